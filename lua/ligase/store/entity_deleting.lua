--- Deleting an entity: refused while others refer to it, with the list of them; else with
--- what is part of it, and with the links that it has itself.
local changes_of = require "ligase.store.changes"
local errors = require "ligase.base.errors"
local pg = require "pg"
local text = require "ligase.base.text"

local M = {}

--- So many of those that refer are named.
local NAMED_MOST = 10
--- Counting stops here: that there are many is enough.
local COUNTED_MOST = 1000

local FOREIGN_KEY_VIOLATION = "23503"

local REFERRERS = [[
SELECT DISTINCT %s AS shown FROM (SELECT * FROM %s AS r WHERE r.%s = $1 LIMIT %d) AS r ORDER BY 1]]

--- What refers to an entity, by what it is.
---@param conn table
---@param kind ligase.entity_kind
---@param id string
---@return {what: string, names: string[], more: boolean}[]
function M.referrers(conn, kind, id)
  local found, by_what = {}, {}
  for _, referrer in ipairs(kind.referrers) do
    local rows = conn:query(REFERRERS:format(referrer.shown, referrer.table, referrer.column, COUNTED_MOST), id)
    if #rows > 0 then
      local group = by_what[referrer.what]
      if not group then
        group = { what = referrer.what, names = {}, more = false }
        by_what[referrer.what], found[#found + 1] = group, group
      end
      group.more = group.more or #rows == COUNTED_MOST
      for _, row in ipairs(rows) do
        group.names[#group.names + 1] = row.shown ~= pg.null and row.shown or "(without a name)"
      end
    end
  end
  return found
end

local function listed(found)
  local lines = {}
  for i, group in ipairs(found) do
    local shown = {}
    for k = 1, math.min(#group.names, NAMED_MOST) do
      shown[k] = text.printable(group.names[k])
    end
    lines[i] = ("%s%s: %s%s"):format(group.more and "at least " or "", text.count(#group.names, group.what),
      table.concat(shown, ", "), #group.names > NAMED_MOST and ", ..." or "")
  end
  return table.concat(lines, "; ")
end

local function name_of(row)
  return text.printable(row.code and row.code ~= pg.null and row.code or row.name)
end

local function refuse_referrers(kind, row, found)
  errors.raise { kind = "usage", code = "referred", referrers = found,
    message = ("the %s '%s' cannot be deleted: others refer to it"):format(kind.name, name_of(row)),
    detail = listed(found), hint = "Take these links away first, or link them to another one" }
end

local DELETE_PARTS = "DELETE FROM %s AS p WHERE p.%s = $1 RETURNING to_jsonb(p) AS row, to_jsonb(p)::text AS raw"

--- Parts that were read from files can be many: they are counted; others are kept in the
--- journal row by row.
local function delete_part(conn, noted, part, id)
  if part.data then
    local count = conn:query(("SELECT count(*) AS n FROM %s WHERE %s = $1"):format(part.table, part.column), id)[1].n
    if count > 0 then
      conn:query(("DELETE FROM %s WHERE %s = $1"):format(part.table, part.column), id)
      noted:note_deleted(part.table, id, { rows = count })
    end
    return
  end
  for _, found in ipairs(conn:query(DELETE_PARTS:format(part.table, part.column), id)) do
    noted:note_deleted(part.table, found.row.id or id, changes_of.raw(found.raw))
  end
end

local function refuse_data(conn, kind, row)
  local held = {}
  for _, part in ipairs(kind.parts) do
    local count = part.data and conn:query(("SELECT count(*) AS n FROM %s WHERE %s = $1"):format(part.table,
      part.column), row.id)[1].n or 0
    held[#held + 1] = count > 0 and text.count(count, part.what) or nil
  end
  if #held > 0 then
    errors.raise { kind = "usage", code = "holds_data",
      message = ("the %s '%s' holds data: %s"):format(kind.name, name_of(row), table.concat(held, ", ")),
      hint = "To delete the data with it, which cannot be taken back: --with-data" }
  end
end

local function delete_all(conn, noted, kind, row, options)
  if not options.data then
    refuse_data(conn, kind, row)
  end
  for _, part in ipairs(kind.parts) do
    delete_part(conn, noted, part, row.id)
  end
  for _, name in ipairs(kind.link_order) do
    local link = kind.links[name]
    if link.table then
      for _, found in ipairs(conn:query(DELETE_PARTS:format(link.table, link.own), row.id)) do
        noted:note_deleted(link.table, row.id, changes_of.raw(found.raw), nil,
          { [link.own] = row.id, [link.other] = found.row[link.other] })
      end
    end
  end
  local gone = conn:query(("DELETE FROM %s AS t WHERE id = $1 RETURNING to_jsonb(t)::text AS raw"):format(kind.table),
    row.id)[1]
  noted:note_deleted(kind.table, row.id, gone and changes_of.raw(gone.raw) or row, { name = row.name,
    page_id = row.notion_page_id ~= pg.null and row.notion_page_id or nil })
end

--- Deletes an entity in the caller's transaction.
---@param conn table
---@param noted ligase.noted_changes
---@param kind ligase.entity_kind
---@param row table the entity's
---@param options {data: boolean|nil} data: rows that were read from files go with it
function M.delete(conn, noted, kind, row, options)
  if kind.fixed then
    errors.raise { kind = "usage", code = "fixed", message = ("a %s cannot be deleted"):format(kind.name),
      hint = "An unused one does no harm, and other processes may remember it" }
  end
  local found = M.referrers(conn, kind, row.id)
  if #found > 0 then
    refuse_referrers(kind, row, found)
  end
  local deleted, failure = pcall(conn.transaction, conn, delete_all, conn, noted, kind, row, options)
  if deleted then
    return
  elseif errors.is(failure, "database") and failure.code == FOREIGN_KEY_VIOLATION then
    -- Somebody linked to it after the look.
    refuse_referrers(kind, row, M.referrers(conn, kind, row.id))
  end
  error(failure, 0)
end

return M
