--- What steps do to a database, read from its catalogues while they are tried: what comes
--- and goes, and which locks they hold on what was there before.
local M = {}

-- ---- what comes and goes ---------------------------------------------------

local SNAPSHOT = [[
  SELECT c.oid::text AS id, c.relname AS name,
    CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'i' THEN 'index'
      WHEN 'I' THEN 'index' WHEN 'S' THEN 'sequence' ELSE 'table' END AS kind,
    c.relkind IN ('r', 'p') AS has_rows
  FROM pg_class AS c
  WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'i', 'I', 'S')
  UNION ALL
  SELECT c.oid || '.' || a.attnum, c.relname || '.' || a.attname, 'column', false
  FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
  WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
    AND a.attnum > 0 AND NOT a.attisdropped
  UNION ALL
  SELECT 'c' || k.oid, conrelid::regclass || ' ' || conname, 'constraint', false
  FROM pg_constraint AS k WHERE k.connamespace = current_schema()::regnamespace AND k.conrelid <> 0
    AND k.contype IN ('c', 'f')]]

--- What is in the schema now.
---@param conn table
---@return table<string, {name: string, kind: string, has_rows: boolean}> things by id
function M.snapshot(conn)
  local things = {}
  for _, row in ipairs(conn:query(SNAPSHOT)) do
    things[row.id] = row
  end
  return things
end

local MANY_ROWS = 1000000

--- How many rows a table has, roughly when it has very many.
local function rows_of(conn, id)
  local estimate = conn:query("SELECT reltuples::bigint AS n FROM pg_class WHERE oid = $1", id)[1].n
  if estimate > MANY_ROWS then
    return ("about %d rows"):format(estimate)
  end
  local name = conn:query("SELECT $1::oid::regclass::text AS name", id)[1].name
  local count = conn:query("SELECT count(*) AS n FROM " .. name)[1].n
  return ("%d row%s"):format(count, count == 1 and "" or "s")
end

local ORDER = { table = 1, view = 2, ["materialized view"] = 3, column = 4, constraint = 5, index = 6, sequence = 7 }

--- The table that a column or constraint is of, as a snapshot names it.
local function owner(thing)
  return thing.kind == "column" and thing.name:match("^[^.]+")
    or thing.kind == "constraint" and thing.name:match("^%S+")
end

--- What the second snapshot has and the first has not. What comes with a table that
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
    if not tables[owner(entry.thing)] then
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

--- One line for each thing that came or went between two snapshots. Call it when the
--- transaction was rolled back, so that the rows of what would go can be counted.
---@param conn table
---@param before table a snapshot
---@param after table a snapshot
---@return string[]
function M.difference(conn, before, after)
  local lines = {}
  for _, entry in ipairs(only_in(before, after)) do
    lines[#lines + 1] = ("%s %s goes%s"):format(entry.thing.kind, entry.thing.name,
      entry.thing.has_rows and (" with its %s"):format(rows_of(conn, entry.id)) or "")
  end
  for _, entry in ipairs(only_in(after, before)) do
    lines[#lines + 1] = ("%s %s comes"):format(entry.thing.kind, entry.thing.name)
  end
  return lines
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

--- The names of the relations that are there now, by oid.
---@param conn table
---@return table<integer, string>
function M.relations(conn)
  local known = {}
  for _, row in ipairs(conn:query [[
    SELECT c.oid, c.oid::regclass::text AS name FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_']]) do
    known[row.oid] = row.name
  end
  return known
end

--- An index's lock is told with its table's name: that is what people wait for.
local HELD = [[
  SELECT l.relation, coalesce(i.indrelid, l.relation) AS table_id, l.mode
  FROM pg_locks AS l LEFT JOIN pg_index AS i ON i.indexrelid = l.relation
  WHERE l.locktype = 'relation' AND l.pid = pg_backend_pid() AND l.granted
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())]]

--- The locks that the open transaction holds on known relations, the strongest for each
--- table, as far as they are stronger than those it held when this was last asked.
---@param conn table
---@param known table<integer, string> from relations
---@param held table<integer, integer> what was held before, kept here
---@return {table: string, mode: string, blocks: string?}[] locks the strongest first
function M.locks(conn, known, held)
  local found = {}
  for _, row in ipairs(conn:query(HELD)) do
    local strength = STRENGTH[row.mode]
    if known[row.relation] and known[row.table_id] and strength > (held[row.table_id] or 0) then
      held[row.table_id], found[row.table_id] = strength, strength
    end
  end
  local locks = {}
  for id, strength in pairs(found) do
    local mode = MODES[strength]
    locks[#locks + 1] = { table = known[id], mode = mode[2], blocks = mode[3], strength = strength }
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
