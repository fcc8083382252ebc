--- What people wrote about entities in the bodies of their pages, as Markdown.
local changes_of = require "ligase.store.changes"
local pg = require "pg"
local sys = require "sys"

local M = {}

---@class ligase.narrative
---@field entity_type string
---@field entity_id string
---@field page_id string
---@field edited_at string|nil the page's last_edited_time
---@field markdown string "" when the page has no body

local READ = [[
SELECT entity_id, markdown, markdown_sha256, to_jsonb(n)::text AS image FROM narratives AS n
WHERE entity_type = $1 AND entity_id = ANY($2::uuid[])]]

local WRITE = [[
INSERT INTO narratives (entity_type, entity_id, page_id, run_id, edited_at, markdown, markdown_sha256)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (entity_id, entity_type) DO UPDATE SET page_id = excluded.page_id, run_id = excluded.run_id,
  edited_at = excluded.edited_at, markdown = excluded.markdown, markdown_sha256 = excluded.markdown_sha256,
  taken_at = excluded.taken_at]]

local DELETE = "DELETE FROM narratives WHERE entity_type = $1 AND entity_id = $2"

--- The narratives of entities of a type.
---@param conn table
---@param entity_type string
---@param ids string[]
---@return table<string, {entity_id: string, markdown: string, markdown_sha256: string, image: string}> by entity
function M.read(conn, entity_type, ids)
  local rows = {}
  for _, found in ipairs(conn:query(conn:prepare(READ), entity_type, pg.array(ids, "uuid"))) do
    rows[found.entity_id] = found
  end
  return rows
end

--- Keeps narratives, each noted with what was there before; an empty one is taken away.
---@param conn table in a transaction
---@param noted ligase.noted_changes
---@param entity_type string
---@param list ligase.narrative[] of one type
---@return integer changed
function M.write(conn, noted, entity_type, list)
  local ids, changed = {}, 0
  for i, narrative in ipairs(list) do
    ids[i] = narrative.entity_id
  end
  local before = M.read(conn, entity_type, ids)
  for _, narrative in ipairs(list) do
    local id, row = narrative.entity_id, before[narrative.entity_id]
    local key = { entity_type = entity_type, entity_id = id }
    local sha256 = sys.sha256(narrative.markdown)
    if narrative.markdown == "" and row then
      conn:query(conn:prepare(DELETE), entity_type, id)
      noted:note_deleted("narratives", id, changes_of.raw(row.image), nil, key)
      changed = changed + 1
    elseif narrative.markdown ~= "" and (not row or row.markdown_sha256 ~= sha256) then
      conn:query(conn:prepare(WRITE), entity_type, id, narrative.page_id, noted.run.id,
        narrative.edited_at or pg.null, narrative.markdown, sha256)
      noted:note("narratives", id, row and changes_of.raw(row.image), nil, key)
      changed = changed + 1
    end
  end
  return changed
end

--- The narrative of an entity, or nil.
---@param conn table
---@param entity_type string
---@param id string
---@return string|nil markdown
function M.of(conn, entity_type, id)
  local row = M.read(conn, entity_type, { id })[id]
  return row and row.markdown
end

return M
