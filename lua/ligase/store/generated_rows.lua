--- Rows that nobody measured, for every table of a scratch database: enough to see whether
--- the way down and up again leaves data as it was.
---
--- What a table wants is read from the catalogues: types, keys, and of its checks the texts
--- and numbers that stand in them. What a check refuses is tried with other values. The same
--- tables get the same rows in every run.
local errors = require "ligase.base.errors"
local sys = require "sys"

local M = {}

local CHECK_VIOLATION, UNIQUE_VIOLATION = "23514", "23505"
local MOST_TRIES = 400
local NAMESPACE = "14c1dc24-3a87-580e-a87c-4cd65888b0a6"

---@class ligase.GeneratedColumn
---@field name string
---@field type string as it is written in a cast
---@field base string the type's plain name, or that of its elements
---@field is_array boolean
---@field is_required boolean
---@field labels string[] of an enumeration

-- ---- what the tables want --------------------------------------------------

local TABLES = [[
  SELECT c.oid, c.oid::regclass::text AS name, c.relname AS plain FROM pg_class AS c
  WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace AND c.relname <> 'schema_migrations'
    AND NOT EXISTS (SELECT FROM pg_depend AS d
                    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
  ORDER BY c.relname]]

local COLUMNS = [[
  SELECT a.attnum AS number, a.attname AS name, a.attnotnull AS is_required,
    format_type(a.atttypid, a.atttypmod) AS type, t.typcategory = 'A' AS is_array,
    coalesce(e.typname, t.typname) AS base,
    ARRAY(SELECT enumlabel::text FROM pg_enum WHERE enumtypid = coalesce(e.oid, t.oid) ORDER BY enumsortorder) AS labels
  FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid
    LEFT JOIN pg_type AS e ON e.oid = t.typelem AND t.typcategory = 'A'
  WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' AND a.attidentity = ''
  ORDER BY a.attnum]]

local CONSTRAINTS = [[
  SELECT conname AS name, contype::text AS kind, pg_get_constraintdef(oid) AS definition,
    conkey AS columns, confrelid AS target, confrelid::regclass::text AS target_name,
    ARRAY(SELECT quote_ident(a.attname) FROM unnest(confkey) WITH ORDINALITY AS k (n, i)
          JOIN pg_attribute AS a ON a.attrelid = confrelid AND a.attnum = k.n ORDER BY k.i) AS target_columns
  FROM pg_constraint WHERE conrelid = $1 AND contype IN ('c', 'f') ORDER BY conname]]

--- The tables without rows.
local function empty_tables(conn)
  local tables, parts, empty = conn:query(TABLES), {}, {}
  for i, item in ipairs(tables) do
    parts[i] = ("SELECT %d AS i WHERE NOT EXISTS (SELECT FROM %s)"):format(i, item.name)
  end
  for i, row in ipairs(#parts > 0 and conn:query(table.concat(parts, " UNION ALL ") .. " ORDER BY 1") or {}) do
    empty[i] = tables[row.i]
  end
  return empty
end

local function describe(conn)
  local tables, by_oid = empty_tables(conn), {}
  for _, item in ipairs(tables) do
    item.columns, item.constraints = conn:query(COLUMNS, item.oid), conn:query(CONSTRAINTS, item.oid)
    item.by_number = {}
    for _, column in ipairs(item.columns) do
      item.by_number[column.number] = column
    end
    by_oid[item.oid] = item
  end
  return tables, by_oid
end

--- Referenced tables come first; a circle is entered anywhere.
local function in_order(tables, by_oid)
  local ordered, seen = {}, {}
  local function visit(item)
    if seen[item.oid] then
      return
    end
    seen[item.oid] = true
    for _, constraint in ipairs(item.constraints) do
      if constraint.kind == "f" and by_oid[constraint.target] then
        visit(by_oid[constraint.target])
      end
    end
    ordered[#ordered + 1] = item
  end
  for _, item in ipairs(tables) do
    visit(item)
  end
  return ordered
end

-- ---- values ----------------------------------------------------------------

local makers = {}

local function whole(_, _, row)
  return tostring(row)
end

makers.int2, makers.int4, makers.int8, makers.numeric, makers.oid = whole, whole, whole, whole, whole

function makers.float8(_, _, row)
  return ("%d.25"):format(row)
end
makers.float4 = makers.float8

function makers.bool(_, _, row)
  return row % 2 == 0 and "true" or "false"
end

function makers.text(item, column, row)
  return ("%s %s %d"):format(item.plain, column.name, row)
end
makers.name = makers.text

--- As long as varchar(n) allows.
function makers.varchar(item, column, row)
  local length = math.tointeger(tonumber(column.type:match("%((%d+)%)")))
  return (("%d %s %s"):format(row, column.name, item.plain):sub(1, length or -1))
end
makers.bpchar = makers.varchar

--- dataset_id holds what datasets.id holds, though no foreign key says so.
function makers.uuid(item, column, row)
  local of = column.name:match("^(.+)_id$")
  return sys.uuid5(NAMESPACE, ("%s:%d"):format(column.name == "id" and item.plain or of and of .. "s" or
    item.plain .. "." .. column.name, row))
end

function makers.timestamptz(_, _, row)
  return ("2024-02-%02d 10:20:30.5+00"):format(row % 28 + 1)
end
makers.timestamp, makers.date = makers.timestamptz, makers.timestamptz

function makers.jsonb(_, column, row)
  return ('{"%s": %d}'):format(column.name, row)
end
makers.json = makers.jsonb

function makers.bytea(_, _, row)
  return ("\\x%02x00ff"):format(row % 256)
end

function makers.interval(_, _, row)
  return ("%d minutes"):format(row)
end

function makers.inet(_, _, row)
  return ("192.0.2.%d"):format(row % 250 + 1)
end

local function array_of(value)
  return ('{"%s"}'):format((value:gsub('[\\"]', "\\%0")))
end

--- The value that a column gets first; nil where we know none.
local function first_value(item, column, row)
  local value
  if #column.labels > 0 then
    value = column.labels[(row - 1) % #column.labels + 1]
  elseif makers[column.base] then
    value = makers[column.base](item, column, row)
  end
  return value and column.is_array and array_of(value) or value
end

--- What else a column may hold, by the checks that it stands in: their literals, NULL, and
--- the forms of JSON.
local function other_values(column, definition)
  local values = {}
  for literal in definition:gmatch "'([^']*)'" do
    values[#values + 1] = column.is_array and array_of(literal) or literal
  end
  for number in definition:gmatch "%f[%w_'(%-](%-?%d+)%f[^%d]" do
    values[#values + 1] = number
  end
  if column.base == "jsonb" or column.base == "json" then
    values[#values + 1], values[#values + 2] = "{}", "[]"
  end
  if column.is_array then
    values[#values + 1] = "{}"
  elseif column.base == "bool" then
    values[#values + 1], values[#values + 2] = "true", "false"
  end
  return values
end

-- ---- rows ------------------------------------------------------------------

local function quoted(conn, name)
  return conn:quote_identifier(name)
end

--- Values of the referenced row, for each column of a foreign key. The first row of a
--- table that refers to itself refers to nothing.
local function follow(conn, item, constraint, row, values)
  local found = conn:table(("SELECT %s FROM %s ORDER BY 1 OFFSET $1 %% greatest((SELECT count(*) FROM %s), 1) LIMIT 1")
    :format(table.concat(constraint.target_columns, ", "), constraint.target_name, constraint.target_name), row - 1)[1]
  for i, number in ipairs(constraint.columns) do
    local column = item.by_number[number]
    if column then
      values[column.name] = found and found[i] or nil
    end
  end
end

local function insert(conn, item, values)
  local names, places, list = {}, {}, { n = 0 }
  for _, column in ipairs(item.columns) do
    if values[column.name] ~= nil then
      list.n = list.n + 1
      names[list.n], places[list.n] = quoted(conn, column.name), ("$%d::text::%s"):format(list.n, column.type)
      list[list.n] = values[column.name]
    end
  end
  local sql = list.n > 0 and ("INSERT INTO %s (%s) VALUES (%s)"):format(item.name, table.concat(names, ", "),
    table.concat(places, ", ")) or ("INSERT INTO %s DEFAULT VALUES"):format(item.name)
  return pcall(conn.transaction, conn, conn.query, conn, sql, table.unpack(list, 1, list.n))
end

local function constraint_of(item, name)
  for _, constraint in ipairs(item.constraints) do
    if constraint.name == name then
      return constraint
    end
  end
end

--- Values to try for the columns of a check, one table of values after the other: the
--- counter runs through all combinations.
local function combinations(item, constraint, values)
  local columns = {}
  for _, number in ipairs(constraint.columns) do
    local column = item.by_number[number]
    if column then
      local choices = other_values(column, constraint.definition)
      table.insert(choices, 1, values[column.name])
      if not column.is_required then
        choices[#choices + 1] = false -- NULL
      end
      columns[#columns + 1] = { name = column.name, choices = choices }
    end
  end
  local at = 0
  return function()
    at = at + 1
    local rest, tried = at, {}
    for name, value in pairs(values) do
      tried[name] = value
    end
    for _, column in ipairs(columns) do
      tried[column.name] = column.choices[rest % #column.choices + 1] or nil
      rest = rest // #column.choices
    end
    return rest == 0 and tried or nil
  end
end

local function refuse(item, failure)
  errors.raise { kind = "database", code = "generated_rows",
    message = ("cannot make rows for the table %s: %s"):format(item.name, tostring(failure)),
    hint = "The check needs rows of every table; make its constraints simpler, or teach "
      .. "ligase.store.generated_rows what it wants" }
end

local function has_code(failure, code)
  return errors.is(failure, "database") and failure.code == code
end

--- Looks for values with which a check is content, whatever else is wrong with the row then.
local function satisfy(conn, item, constraint, values)
  local tries, is_taken = 0, false
  for tried in combinations(item, constraint, values) do
    local done, failure = insert(conn, item, tried)
    if done or has_code(failure, CHECK_VIOLATION) and failure.constraint ~= constraint.name then
      return done, failure, tried
    end
    is_taken = is_taken or has_code(failure, UNIQUE_VIOLATION)
    tries = tries + 1
    if tries == MOST_TRIES then
      break
    end
  end
  return false, is_taken and UNIQUE_VIOLATION or nil, nil
end

--- Inserts one row, trying other values for the columns of the checks that refuse it. False
--- says that it would be there twice.
local function settle(conn, item, values)
  local done, failure = insert(conn, item, values)
  local settled = {}
  while not done and has_code(failure, CHECK_VIOLATION) do
    local constraint = constraint_of(item, failure.constraint)
    if not constraint or settled[constraint.name] then
      break
    end
    settled[constraint.name] = true
    local is_done, why, found = satisfy(conn, item, constraint, values)
    if why == UNIQUE_VIOLATION then
      return false
    elseif not found then
      break
    end
    done, failure, values = is_done, why, found
  end
  if not done and not has_code(failure, UNIQUE_VIOLATION) then
    refuse(item, failure)
  end
  return done
end

local function fill(conn, item, count)
  local made = 0
  for row = 1, count do
    local values = {}
    for _, column in ipairs(item.columns) do
      values[column.name] = first_value(item, column, row)
      if values[column.name] == nil and column.is_required then
        refuse(item, ("nobody knows a value of type %s for %s"):format(column.type, column.name))
      end
    end
    for _, constraint in ipairs(item.constraints) do
      if constraint.kind == "f" then
        follow(conn, item, constraint, row, values)
      end
    end
    made = made + (settle(conn, item, values) and 1 or 0)
  end
  if made == 0 then
    refuse(item, "none was taken")
  end
  return made
end

--- Puts rows into every table that has none.
---@param conn table a connection to a scratch database
---@param count? integer rows for each table, 4 without it; uniqueness may allow fewer
---@return integer rows that were made
function M.fill(conn, count)
  return conn:transaction(function()
    local tables, by_oid = describe(conn)
    local made = 0
    for _, item in ipairs(in_order(tables, by_oid)) do
      made = made + fill(conn, item, count or 4)
    end
    return made
  end)
end

return M
