--- What would be lost with tables and columns that go: their rows and values are counted
--- before anything is done, and again under a lock just before it is.
local errors = require "ligase.base.errors"
local pg = require "pg"
local text = require "ligase.base.text"

local M = {}

local MANY = 1000000

--- The code of the failure that says that rows or values would be lost.
M.CODE = "loses"

-- ---- counting --------------------------------------------------------------

---@class ligase.LossCount
---@field count integer
---@field form string how the count is written: "%s", "about %s" or "more than %s"
---@field unit string "row" or "value"

--- How many rows a table has, roughly when it has very many.
---@param conn table
---@param id string the table's oid
---@return ligase.LossCount
function M.rows_of(conn, id)
  local row = conn:query([[
    SELECT oid::regclass::text AS name, reltuples::bigint AS n FROM pg_class WHERE oid = $1]], id)[1]
  if row.n > MANY and conn:query(("SELECT EXISTS (SELECT FROM %s) AS has"):format(row.name))[1].has then
    return { count = row.n, form = "about %s", unit = "row" }
  end
  return { count = conn:query("SELECT count(*) AS n FROM " .. row.name)[1].n, form = "%s", unit = "row" }
end

local COLUMN = [[
  SELECT c.oid::regclass::text AS tbl, quote_ident(a.attname) AS col, a.attgenerated <> '' AS is_generated,
    format_type(a.atttypid, a.atttypmod) AS type, pg_get_expr(d.adbin, d.adrelid) AS def
  FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
    LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  WHERE a.attrelid = $1 AND a.attnum = $2]]

--- Whether a default is the same value whenever it is asked for.
local function is_constant(default)
  local outside = default:gsub("'[^']*'", "''"):upper()
  return not (outside:find('[%w_"]%(') or outside:find("CURRENT_", 1, true) or outside:find("LOCALTIME", 1, true)
    or outside:find("_USER", 1, true))
end

--- How many values of a column are neither NULL nor its default. What is computed from other
--- columns is none.
---@param conn table
---@param id string the table's oid and the column's number, with a point between
---@return ligase.LossCount
function M.values_of(conn, id)
  local row = conn:query(COLUMN, id:match "^(%d+)%.(%d+)$")[1]
  if row.is_generated then
    return { count = 0, form = "%s", unit = "value" }
  end
  local wanted = row.col .. " IS NOT NULL"
  if type(row.def) == "string" and is_constant(row.def) then
    wanted = ("%s AND %s::text IS DISTINCT FROM (%s)::%s::text"):format(wanted, row.col, row.def, row.type)
  end
  local count = conn:query(("SELECT count(*) AS n FROM (SELECT FROM %s WHERE %s LIMIT %d) AS x"):format(row.tbl, wanted,
    MANY + 1))[1].n
  return { count = math.min(count, MANY), form = count > MANY and "more than %s" or "%s", unit = "value" }
end

local COUNTED = { table = M.rows_of, column = M.values_of }

--- What is in a thing that can hold something; nil for an index and its like.
---@param conn table
---@param id string
---@param kind string
---@return ligase.LossCount?
function M.count(conn, id, kind)
  return COUNTED[kind] and COUNTED[kind](conn, id) or nil
end

--- A count as it is told, such as "about 2000000 rows".
---@param counted ligase.LossCount
---@return string
function M.told(counted)
  return ("%s %s%s"):format(counted.form:format(counted.count), counted.unit, counted.count == 1 and "" or "s")
end

-- ---- refusing --------------------------------------------------------------

---@class ligase.Going a table or column that a step takes away
---@field id string
---@field name string
---@field kind "table"|"column"
---@field table_id string
---@field at integer which of the tasks takes it away

local MOST_NAMED = 8

local function enumerate(lost)
  table.sort(lost, function(a, b)
    if a.counted.count ~= b.counted.count then
      return a.counted.count > b.counted.count
    end
    return a.name < b.name
  end)
  local words = {}
  for i = 1, math.min(#lost, MOST_NAMED) do
    words[i] = ("%s %s (%s)"):format(lost[i].kind, lost[i].name, M.told(lost[i].counted))
  end
  if #lost > MOST_NAMED then
    words[#words + 1] = text.count(#lost - MOST_NAMED, "other")
  end
  return text.enumerate(words, "and")
end

--- What is in the things that go, as far as there is anything. Columns whose table goes as
--- well are not told by themselves.
local function lost_of(conn, going)
  local lost, tables = {}, {}
  for _, thing in ipairs(going) do
    tables[thing.table_id] = tables[thing.table_id] or thing.kind == "table"
  end
  for _, thing in ipairs(going) do
    local is_told = thing.kind == "table" or not tables[thing.table_id]
    local counted = is_told and M.count(conn, thing.id, thing.kind)
    if counted and counted.count > 0 then
      lost[#lost + 1] = { name = thing.name, kind = thing.kind, counted = counted }
    end
  end
  return lost
end

local function names_of(tasks)
  local names = {}
  for _, task in ipairs(tasks) do
    names[#names + 1] = task.direction == "down" and task.step.name or nil
  end
  return #names <= 3 and text.enumerate(names, "and")
    or ("%d steps, %s to %s,"):format(#names, names[1], names[#names])
end

local function hint_of(again)
  return ("Keep a backup that is tested first: %s --backup FILE; where nobody needs what goes, --discard instead of "
    .. "--backup FILE lets it go"):format(again)
end

--- Raises when anything would be lost with what goes.
---@param conn table outside a transaction
---@param tasks ligase.StepTask[]
---@param going ligase.Going[]
---@param unknown string[] the names of steps of which nobody can tell
---@param again string the command to type once more
function M.check(conn, tasks, going, unknown, again)
  local lost = lost_of(conn, going)
  if #lost > 0 then
    errors.raise { kind = "database", code = M.CODE, hint = hint_of(again),
      message = ("taking back %s loses what is in %s, so nothing was done"):format(names_of(tasks), enumerate(lost)) }
  elseif #unknown > 0 then
    errors.raise { kind = "database", code = M.CODE, hint = hint_of(again),
      message = ("what taking back %s loses cannot be seen before, for it runs outside a transaction; nothing was done")
        :format(text.enumerate(unknown, "and")) }
  end
end

-- ---- once more, just before it is done -------------------------------------

local NAMES = [[
  SELECT string_agg(oid::regclass::text, ', ' ORDER BY oid) AS list FROM pg_class WHERE oid::text = ANY ($1)]]

--- Raises when others put something into what goes since it was looked at; nobody can from
--- then on, until the open transaction ends.
---@param conn table in a transaction
---@param tasks ligase.StepTask[]
---@param going ligase.Going[] what these tasks take away
---@param again string the command to type once more
function M.check_unchanged(conn, tasks, going, again)
  local ids = {}
  for i, thing in ipairs(going) do
    ids[i] = thing.table_id
  end
  if #ids == 0 then
    return
  end
  conn:script(("LOCK TABLE %s IN EXCLUSIVE MODE"):format(conn:query(NAMES, pg.array(ids, "text"))[1].list))
  local lost = lost_of(conn, going)
  if #lost > 0 then
    errors.raise { kind = "database", code = M.CODE, hint = hint_of(again),
      message = ("others wrote meanwhile: taking back %s loses what is in %s, so it was not done"):format(
        names_of(tasks), enumerate(lost)) }
  end
end

return M
