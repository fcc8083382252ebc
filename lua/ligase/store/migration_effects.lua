--- What steps do to a database, read from its catalogues while they are tried: what comes
--- and goes, and which locks they hold on what was there before.
local losses = require "ligase.store.migration_losses"

local M = {}

local RECORD = "schema_migrations"

-- ---- what comes and goes ---------------------------------------------------

local SNAPSHOT = [[
  SELECT c.oid::text AS id, c.relname AS name,
    CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'i' THEN 'index'
      WHEN 'I' THEN 'index' WHEN 'S' THEN 'sequence' ELSE 'table' END AS kind,
    c.relkind IN ('r', 'p') AS has_rows,
    CASE WHEN c.relkind IN ('i', 'I', 'S') THEN (
      SELECT t.relname FROM pg_depend AS d JOIN pg_class AS t ON t.oid = d.refobjid AND t.relkind IN ('r', 'p')
      WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass
      UNION SELECT i.indrelid::regclass::text FROM pg_index AS i WHERE i.indexrelid = c.oid LIMIT 1) END AS owner
  FROM pg_class AS c
  WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'i', 'I', 'S')
  UNION ALL
  SELECT c.oid || '.' || a.attnum, c.relname || '.' || a.attname, 'column', false, c.relname
  FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
  WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
    AND a.attnum > 0 AND NOT a.attisdropped
  UNION ALL
  SELECT 'c' || k.oid, c.relname || ' ' || conname, 'constraint', false, c.relname
  FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = k.conrelid
  WHERE k.connamespace = current_schema()::regnamespace AND k.contype IN ('c', 'f')]]

--- What is in the schema now.
---@param conn table
---@return table<string, {name: string, kind: string, has_rows: boolean}> things by id
function M.snapshot(conn)
  local things = {}
  for _, row in ipairs(conn:query(SNAPSHOT)) do
    things[row.id] = row.name ~= RECORD and row.owner ~= RECORD and row or nil
  end
  return things
end

local ORDER = { table = 1, view = 2, ["materialized view"] = 3, column = 4, constraint = 5, index = 6, sequence = 7 }

--- What the one snapshot has and the other has not. What comes with a table that
--- comes, or goes with one that goes, is not told.
local function only_in(these, those)
  local found, tables = {}, {}
  for id, thing in pairs(these) do
    if not those[id] then
      found[#found + 1] = { id = id, thing = thing }
      tables[thing.name] = thing.has_rows or nil
    end
  end
  local told = {}
  for _, entry in ipairs(found) do
    if not tables[entry.thing.owner] then
      told[#told + 1] = entry
    end
  end
  table.sort(told, function(a, b)
    local x, y = a.thing, b.thing
    if x.kind ~= y.kind then
      return ORDER[x.kind] < ORDER[y.kind]
    end
    return x.name < y.name
  end)
  return told
end

--- The tables and columns that one snapshot has and the next one has not.
---@param before table a snapshot
---@param after table a snapshot
---@param at integer the number of the step between them
---@return ligase.Going[]
function M.going(before, after, at)
  local going = {}
  for _, entry in ipairs(only_in(before, after)) do
    local thing = entry.thing
    if thing.has_rows or thing.kind == "column" then
      going[#going + 1] = { id = entry.id, name = thing.name, kind = thing.kind, at = at,
        table_id = entry.id:match "^%d+" }
    end
  end
  return going
end

--- One line for each thing that came or went between two snapshots. Call it when the
--- transaction was rolled back, so that the rows of what would go can be counted.
---@param conn table
---@param before table a snapshot
---@param after table a snapshot
---@return string[] lines
---@return boolean loses whether anything is in what goes
function M.difference(conn, before, after)
  local lines, loses = {}, false
  for _, entry in ipairs(only_in(before, after)) do
    local counted = losses.count(conn, entry.id, entry.thing.kind)
    loses = loses or counted ~= nil and counted.count > 0
    lines[#lines + 1] = ("%s %s goes%s"):format(entry.thing.kind, entry.thing.name,
      counted and (" with its %s"):format(losses.told(counted)) or "")
  end
  for _, entry in ipairs(only_in(after, before)) do
    lines[#lines + 1] = ("%s %s comes"):format(entry.thing.kind, entry.thing.name)
  end
  return lines, loses
end

-- ---- locks -----------------------------------------------------------------

--- Weakest first, with what others cannot do meanwhile.
local MODES = {
  { "AccessShareLock", "ACCESS SHARE" }, { "RowShareLock", "ROW SHARE" }, { "RowExclusiveLock", "ROW EXCLUSIVE" },
  { "ShareUpdateExclusiveLock", "SHARE UPDATE EXCLUSIVE" }, { "ShareLock", "SHARE", "writing" },
  { "ShareRowExclusiveLock", "SHARE ROW EXCLUSIVE", "writing" }, { "ExclusiveLock", "EXCLUSIVE", "writing" },
  { "AccessExclusiveLock", "ACCESS EXCLUSIVE", "reading and writing" },
}

local STRENGTH = {}
for i, mode in ipairs(MODES) do
  STRENGTH[mode[1]] = i
end

--- The relations that are there now, by oid. Of an index the table's name is told: that is
--- what people wait for.
---@param conn table
---@return table<integer, {id: integer, name: string}>
function M.relations(conn)
  local known = {}
  for _, row in ipairs(conn:query [[
    SELECT c.oid, coalesce(i.indrelid, c.oid) AS id, coalesce(i.indrelid, c.oid)::regclass::text AS name
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace LEFT JOIN pg_index AS i ON i.indexrelid = c.oid
    WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_']]) do
    known[row.oid] = row.name ~= RECORD and row or nil
  end
  return known
end

local HELD = [[
  SELECT relation, mode FROM pg_locks
  WHERE locktype = 'relation' AND pid = pg_backend_pid() AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())]]

--- The locks that the open transaction holds on known relations, the strongest for each
--- table, as far as they are stronger than those it held when this was last asked.
---@param conn table
---@param known table<integer, table> from relations
---@param held table<integer, integer> what was held before, kept here
---@return {table: string, mode: string, blocks: string?}[] locks the strongest first
function M.locks(conn, known, held)
  local found = {}
  for _, row in ipairs(conn:query(HELD)) do
    local relation, strength = known[row.relation], STRENGTH[row.mode]
    if relation and strength > (held[relation.id] or 0) then
      held[relation.id], found[relation.id] = strength, relation.name
    end
  end
  local locks = {}
  for id, name in pairs(found) do
    local mode = MODES[held[id]]
    locks[#locks + 1] = { table = name, mode = mode[2], blocks = mode[3], strength = held[id] }
  end
  table.sort(locks, function(a, b)
    if a.strength ~= b.strength then
      return a.strength > b.strength
    end
    return a.table < b.table
  end)
  return locks
end

return M
