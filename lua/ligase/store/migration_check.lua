--- Proves of every step that its way back is exact: up, verify, down, up on a scratch
--- database in which every table has rows, with the schema and checksums of the rows
--- compared on the way.
---
--- A dump takes long, so each step is compared by what the catalogues say. Only the schema
--- to which every step went up, down and up is dumped, and the one to which all went
--- straight up; where these two differ, every step is dumped to find the one at fault.
local errors = require "ligase.base.errors"
local generated_rows = require "ligase.store.generated_rows"
local files_of = require "ligase.store.migration_files"
local migrate = require "ligase.store.migrate"
local options_of = require "ligase.base.options"
local pg = require "pg"
local programs = require "ligase.store.pg_programs"
local row_sums = require "ligase.store.row_sums"
local schema_shape = require "ligase.store.schema_shape"
local scratch = require "ligase.store.scratch"

local M = {}

local RECORD = "schema_migrations"

---@class ligase.CheckedStep
---@field step? integer nil for the last one, of all steps together
---@field is_stuck? boolean it did not run, so that those after it cannot be checked
---@field name string
---@field differences string[] one line each; empty when the step is exact
---@field rows integer how many rows there were

-- ---- comparing -------------------------------------------------------------

local function lines_of(text)
  local lines = {}
  for line in text:gmatch "[^\n]*" do
    if line:find("%S") and not line:find("^%-%- ") then
      lines[#lines + 1] = line
    end
  end
  return lines
end

local MOST_LINES = 5

--- Lines that are more often in one dump than in the other.
local function differing_lines(before, after)
  local balance, order = {}, {}
  local function count(text, step)
    for _, line in ipairs(lines_of(text)) do
      if not balance[line] then
        balance[line], order[#order + 1] = 0, line
      end
      balance[line] = balance[line] + step
    end
  end
  count(before, -1)
  count(after, 1)
  local found = {}
  for _, line in ipairs(order) do
    if balance[line] ~= 0 then
      found[#found + 1] = (balance[line] < 0 and "- " or "+ ") .. line
    end
  end
  return found
end

local function compare_schemas(when, before, after, differences)
  if before == after then
    return
  end
  local lines = differing_lines(before, after)
  differences[#differences + 1] = ("%s the schema is another:"):format(when)
  for i = 1, math.min(#lines, MOST_LINES) do
    differences[#differences + 1] = "  " .. lines[i]
  end
  if #lines > MOST_LINES then
    differences[#differences + 1] = ("  and %d lines more"):format(#lines - MOST_LINES)
  elseif #lines == 0 then
    differences[#differences + 1] = "  the same lines in another order"
  end
end

local function compare_rows(when, before, after, differences)
  before[RECORD], after[RECORD] = nil, nil
  for _, line in ipairs(row_sums.difference(before, after)) do
    differences[#differences + 1] = ("%s %s"):format(when, line)
  end
end

-- ---- one step --------------------------------------------------------------

--- Columns that the step adds with the present time in them differ each time it is run.
local TIMED = [[
  SELECT a.attrelid::regclass::text AS name, a.attname AS column
  FROM pg_attrdef AS d JOIN pg_attribute AS a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
  WHERE pg_get_expr(d.adbin, d.adrelid) ~* '\m(now|current_timestamp|clock_timestamp)\M']]

local COLUMNS = [[
  SELECT a.attrelid::regclass::text AS name, a.attname AS column, quote_ident(a.attname) AS quoted
  FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
  WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace AND a.attnum > 0 AND NOT a.attisdropped
  ORDER BY a.attrelid, a.attname COLLATE "C"]]

local function columns_now(conn)
  local present = {}
  for _, row in ipairs(conn:query(COLUMNS)) do
    present[row.name .. "." .. row.column] = true
  end
  return present
end

--- The columns that count after a step, for the tables where not all do.
local function lasting_columns(conn, before)
  local timed, listed, is_partial = {}, {}, {}
  for _, row in ipairs(conn:query(TIMED)) do
    timed[row.name .. "." .. row.column] = true
  end
  for _, row in ipairs(conn:query(COLUMNS)) do
    local id = row.name .. "." .. row.column
    if timed[id] and not before[id] then
      is_partial[row.name] = true
    else
      listed[row.name] = listed[row.name] or {}
      table.insert(listed[row.name], row.quoted)
    end
  end
  local columns = {}
  for name in pairs(is_partial) do
    columns[name] = table.concat(listed[name] or {}, ", ")
  end
  return columns
end

local function find_problems(conn, options, step, differences)
  for _, verdict in ipairs(migrate.verify(conn, options.folder)) do
    if verdict.step == step or not verdict.step then
      for _, finding in ipairs(verdict.findings) do
        differences[#differences + 1] = "verify: " .. finding
      end
    end
  end
end

local function count_rows(sums)
  local rows = 0
  for _, sum in pairs(sums) do
    rows = rows + sum.count
  end
  return rows
end

--- Goes up by one step, back, and up again; `state` is how things stood before, and is
--- moved on.
local function check_step(bench, file, state)
  local conn, differences = bench.conn, {}
  local body, steps = files_of.read(file), { folder = bench.options.folder, to = file.step }
  local before = columns_now(conn)
  migrate.up(bench.conn, steps)
  local columns = lasting_columns(conn, before)
  local shape_up, dump_up = schema_shape.read(conn, true), bench.with_dumps and bench.dump() or nil
  local rows_up = row_sums.read(conn, columns)
  generated_rows.fill(conn)
  find_problems(conn, bench.options, file.step, differences)

  bench.down(file.step - 1)
  compare_schemas("after down", state.shape, schema_shape.read(conn), differences)
  if not body.irreversible then
    compare_rows("after down", state.rows, row_sums.read(conn), differences)
  end

  migrate.up(bench.conn, steps)
  state.shape = schema_shape.read(conn)
  compare_schemas("after up, down and up", shape_up, schema_shape.read(conn, true), differences)
  if dump_up and #differences == 0 then
    compare_schemas("after up, down and up", dump_up, bench.dump(), differences)
  end
  if not body.irreversible then
    compare_rows("after up, down and up", rows_up, row_sums.read(conn, columns), differences)
  end
  generated_rows.fill(conn)
  state.rows = row_sums.read(conn)
  state.rows[RECORD] = nil
  return { step = file.step, name = file.name, differences = differences, rows = count_rows(state.rows) }
end

--- All the way down and up at once.
local function check_whole(bench, files, bare, state)
  local differences, dump = {}, bench.dump()
  bench.down(0)
  compare_schemas("after down to 0", bare, schema_shape.read(bench.conn), differences)
  migrate.up(bench.conn, { folder = bench.options.folder })
  compare_schemas("after down to 0 and up", dump, bench.dump(), differences)
  find_problems(bench.conn, bench.options, nil, differences)
  return { name = ("all %d steps"):format(#files), differences = differences, rows = count_rows(state.rows) }
end

-- ---- all of it -------------------------------------------------------------

local function bench_of(place, options, with_dumps)
  local conn = pg.connect(place.conninfo)
  conn:script("SET synchronous_commit = off") -- nothing of it has to outlive a power cut
  local version = programs.version_of(conn)
  return {
    conn = conn, options = options, with_dumps = with_dumps,
    dump = function()
      return programs.schema(place.conninfo, version)
    end,
    down = function(to)
      -- What the steps would lose is scratch anyway.
      migrate.down(conn, { folder = options.folder, to = to, loses = true })
    end,
  }
end

--- The same, with a step that does not run as a finding.
local function try_step(bench, file, state)
  local done, result = errors.try(check_step, bench, file, state)
  if not done and not errors.is(result) then
    error(result, 0)
  end
  return done and result
    or { step = file.step, name = file.name, differences = { result.message }, rows = 0, is_stuck = true }
end

local function has_differences(checked)
  for _, step in ipairs(checked) do
    if #step.differences > 0 then
      return true
    end
  end
  return false
end

local function check_all(place, files, options, with_dumps)
  local bench = bench_of(place, options, with_dumps)
  local conn <close> = bench.conn
  local bare = schema_shape.read(conn)
  local state, checked = { shape = bare, rows = row_sums.read(conn) }, {}
  for i, file in ipairs(files) do
    checked[i] = try_step(bench, file, state)
    if not with_dumps or #checked[i].differences > 0 then
      options.on_step(checked[i])
    end
    if checked[i].is_stuck then
      return checked
    end
  end
  if not with_dumps then
    local whole = check_whole(bench, files, bare, state)
    local is_hidden = #whole.differences > 0 and not has_differences(checked)
    checked[#checked + 1] = whole
    options.on_step(whole)
    return checked, is_hidden
  end
  return checked
end

--- Checks every step on a scratch database.
---@param server string|table where the scratch database is made, if that is allowed
---@param workspace string the folder whose private Postgres serves where it is not
---@param options? {folder: string?, on_step: fun(checked: ligase.CheckedStep)?}
---@return ligase.CheckedStep[] checked
---@return string place "the server" or "the private Postgres"
function M.run(server, workspace, options)
  options = options_of.check(options, { folder = { type = "string" },
    on_step = { type = "function", default = function() end } }, "migration_check.run")
  local files = migrate.files(options.folder)
  local place <close> = scratch.open(server, workspace)
  local checked, is_hidden = check_all(place, files, options, false)
  if is_hidden then
    local again <close> = scratch.open(server, workspace)
    table.move(check_all(again, files, options, true), 1, #files, #checked + 1, checked)
  end
  return checked, place.place
end

return M
