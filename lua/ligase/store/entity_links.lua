--- Links between entities: many programs of a dataset, experiment, signature or compound,
--- many experiments of a dataset.
---
--- The first of them stands in the entity's own row where it has a column for it, the
--- others in a table of their own. Only what differs is written.
local changes_of = require "ligase.store.changes"
local pg = require "pg"

local M = {}

local HELD = "SELECT to_jsonb(l) AS row, to_jsonb(l)::text AS raw FROM %s AS l WHERE l.%s = ANY($1::uuid[])"

local INSERT = [[
INSERT INTO %s (%s, %s) SELECT own, other FROM unnest($1::uuid[], $2::uuid[]) AS n (own, other)]]

local DELETE = [[
DELETE FROM %s AS l USING unnest($1::uuid[], $2::uuid[]) AS n (own, other) WHERE l.%s = n.own AND l.%s = n.other]]

--- The rows of a link's table as JSON, by entity and by what it leads to.
local function held_of(conn, link, ids)
  local held = {}
  for _, found in ipairs(conn:query(HELD:format(link.table, link.own), pg.array(ids, "uuid"))) do
    local row = found.row
    held[row[link.own]] = held[row[link.own]] or {}
    held[row[link.own]][row[link.other]] = found.raw
  end
  return held
end

local function key_of(link, own, other)
  return { [link.own] = own, [link.other] = other }
end

local function write_link(conn, noted, link, wanted)
  local ids = {}
  for id in pairs(wanted) do
    ids[#ids + 1] = id
  end
  if #ids == 0 then
    return {}
  end
  table.sort(ids)
  local held, touched = held_of(conn, link, ids), {}
  local new, gone = { own = {}, other = {} }, { own = {}, other = {} }
  for _, id in ipairs(ids) do
    local before, after = held[id] or {}, {}
    for _, other in ipairs(wanted[id]) do
      after[other] = true
      if not before[other] then
        new.own[#new.own + 1], new.other[#new.other + 1], touched[id] = id, other, true
        noted:note(link.table, id, nil, nil, key_of(link, id, other))
      end
    end
    for other, raw in pairs(before) do
      if not after[other] then
        gone.own[#gone.own + 1], gone.other[#gone.other + 1], touched[id] = id, other, true
        noted:note_deleted(link.table, id, changes_of.raw(raw), nil, key_of(link, id, other))
      end
    end
  end
  if #gone.own > 0 then
    conn:query(DELETE:format(link.table, link.own, link.other), pg.array(gone.own), pg.array(gone.other))
  end
  if #new.own > 0 then
    conn:query(INSERT:format(link.table, link.own, link.other), pg.array(new.own), pg.array(new.other))
  end
  return touched
end

--- Writes the links that records give, as far as they are not in the rows themselves.
---@param conn table
---@param noted ligase.noted_changes
---@param kind ligase.entity_kind
---@param plan {id: string, record: ligase.entity_record}[]
---@return table<string, boolean> touched ids of the entities whose links were changed
function M.write(conn, noted, kind, plan)
  local touched = {}
  for _, name in ipairs(kind.link_order) do
    local link, wanted = kind.links[name], {}
    for _, entry in ipairs(plan) do
      local ids = link.table and entry.record.links[name]
      if ids then
        wanted[entry.id] = table.move(ids, link.column and 2 or 1, #ids, 1, {})
      end
    end
    for id in pairs(link.table and write_link(conn, noted, link, wanted) or {}) do
      touched[id] = true
    end
  end
  return touched
end

local READ = [[
SELECT e.id, e.name FROM (%s) AS l (id, place) JOIN %s AS e ON e.id = l.id ORDER BY l.place, e.name]]

--- What an entity is linked to, the first one first.
---@param conn table
---@param kind ligase.entity_kind
---@param row table the entity's
---@return table<string, {id: string, name: string}[]> by name of the link
function M.read(conn, kind, row)
  local found = {}
  for name, link in pairs(kind.links) do
    local parts = {}
    if link.column then
      parts[1] = ("SELECT %s AS id, 0 AS place FROM %s WHERE id = $1"):format(link.column, kind.table)
    end
    if link.table then
      parts[#parts + 1] = ("SELECT %s, 1 FROM %s WHERE %s = $1"):format(link.other, link.table, link.own)
    end
    local to = link.kind == "program" and "programs" or "experiments"
    local rows = conn:query(READ:format(table.concat(parts, " UNION ALL "), to), row.id)
    found[name] = table.move(rows, 1, #rows, 1, {})
  end
  return found
end

return M
