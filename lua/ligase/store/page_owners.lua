--- Whose a page of Notion is, as far as Postgres knows: no page is shown for two entities.
local errors = require "ligase.base.errors"
local kinds = require "ligase.store.entity_kinds"
local pg = require "pg"
local text = require "ligase.base.text"

local M = {}

local KINDS = { "program", "experiment", "dataset", "signature", "compound", "campaign", "feature" }

---@class ligase.page_owner
---@field page_id string
---@field kind string
---@field id string
---@field name string as `ligase KIND update` takes it; empty when it was deleted
---@field gone boolean it was deleted, and Notion is yet to learn it

--- How the commands call an entity, where that is not the way it is shown.
local NAMES = {
  compound = "t.code", signature = "t.name || CASE WHEN t.version = '' THEN '' ELSE '@' || t.version END",
}

local OF_KIND = "SELECT t.notion_page_id AS page_id, '%s' AS kind, t.id, %s AS name, false AS gone FROM %s AS t "
  .. "WHERE t.notion_page_id = ANY($1::text[])"

--- Pages of entities that are gone stay theirs until they lie in the trash.
local OF_GONE = [[
SELECT m.page_id, m.entity_type, m.entity_id, '', true FROM mirrors AS m
WHERE m.target = 'notion' AND m.page_id = ANY($1::text[]) AND m.trashed_at IS NULL AND NOT EXISTS (
  SELECT FROM (%s) AS t WHERE t.id = m.entity_id)]]

local function owners_sql()
  local owners, ids = {}, {}
  for i, name in ipairs(KINDS) do
    local kind = kinds.get(name)
    owners[i] = OF_KIND:format(name, NAMES[name] or kind.shown, kind.table)
    ids[i] = ("SELECT id FROM %s"):format(kind.table)
  end
  owners[#owners + 1] = OF_GONE:format(table.concat(ids, " UNION ALL "))
  return table.concat(owners, "\nUNION ALL\n")
end

local OWNERS = owners_sql()

--- The owners of pages.
---@param conn table
---@param pages string[] ids as rows have them
---@return table<string, ligase.page_owner> by page
function M.find(conn, pages)
  local owners = {}
  for _, owner in ipairs(#pages > 0 and conn:query(conn:prepare(OWNERS), pg.array(pages, "text")) or {}) do
    if owner.gone then
      owner.kind = kinds.of_table(owner.kind).name
    end
    owners[owner.page_id] = owners[owner.page_id] or owner
  end
  return owners
end

--- Says whose a page is, and what to do.
---@param owner ligase.page_owner
---@return string message
---@return string hint
function M.told(owner)
  if owner.gone then
    return ("the page %s is that of a %s that was deleted"):format(owner.page_id, owner.kind),
      "It goes into Notion's trash with the next: ligase sync. Link another page"
  end
  local name = text.printable(owner.name)
  return ("the page %s is that of %s '%s'"):format(owner.page_id, owner.kind, name), owner.kind == "feature"
    and "Link another page"
    or ("Link another page, or unlink this one there first: ligase %s update '%s' --notion-page ''"):format(owner.kind,
      name)
end

--- Raises "usage" for a page that is another entity's.
---@param conn table
---@param page_id string
---@param own_id string|nil of the entity that it is to be linked to
---@param record integer|nil which of several records asked for it
function M.refuse_taken(conn, page_id, own_id, record)
  local owner = M.find(conn, { page_id })[page_id]
  if owner and owner.id ~= own_id then
    M.refuse(owner, record)
  end
end

--- Raises "usage": the page is that of this one.
---@param owner ligase.page_owner
---@param record integer|nil which of several records asked for it
function M.refuse(owner, record)
  local message, hint = M.told(owner)
  errors.raise { kind = "usage", code = "page_taken", message = message, hint = hint, record = record,
    field = record and "notion_page_id" }
end

local UNIQUE_VIOLATION = "23505"

--- Whether a failure says that a page is another entity's, which two that link it at the same
--- time learn from the database alone.
---@param failure any
---@return boolean
function M.is_taken(failure)
  local constraint = errors.is(failure, "database") and failure.code == UNIQUE_VIOLATION and failure.constraint or ""
  return constraint == "mirrors_page_id_unique" or constraint:find "_notion_page_id_unique$" ~= nil
end

--- The owner of the page that such a failure is about.
---@param conn table
---@param failure ligase.Error
---@return ligase.page_owner|nil
function M.of_failure(conn, failure)
  local page_id = (failure.detail or ""):match "(%x+%-%x+%-%x+%-%x+%-%x+)"
  return page_id and M.find(conn, { page_id })[page_id]
end

return M
