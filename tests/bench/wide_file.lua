--- Part 1: one wide file end to end, beside the same rows through the fastest way
--- there is, a plain \copy, and an analyst's script.
local generate = require "tests.bench.generate"
local measure = require "tests.bench.measure"
local server = require "tests.bench.server"

local M = {}

local ROWS, SAMPLES = 20000, 100
--- The analyst's way is slow and linear: a tenth of the rows says enough.
local ANALYST_SHARE = 10

local function wide_table(samples)
  local columns = {}
  for s = 1, samples do
    columns[s] = ("sample_%03d float8"):format(s)
  end
  return ("CREATE TABLE wide (lipid text PRIMARY KEY, %s)"):format(table.concat(columns, ", "))
end

local function ingest(conninfo, name, path)
  server.ligase(conninfo, { "ingest", "--omics", "lipidomics", "--name", name, path })
end

--- The rows of the first dataset as the server sends them, kept in memory.
local function digest(conn)
  local pieces = {}
  for piece in conn:copy_out([[COPY (SELECT m.* FROM measurements AS m
    JOIN datasets AS d ON d.id = m.dataset_id WHERE d.name = 'first' ORDER BY m.ordinal)
    TO STDOUT (FORMAT binary)]]) do
    pieces[#pieces + 1] = piece
  end
  -- libpq hands out rows one by one; sending them one by one is not the limit meant.
  local whole, blocks = table.concat(pieces), {}
  for from = 1, #whole, 1 << 18 do
    blocks[#blocks + 1] = whole:sub(from, from + (1 << 18) - 1)
  end
  return blocks
end

local function replay(conn, blocks)
  local copy = conn:copy_in("COPY replayed FROM STDIN (FORMAT binary)")
  for _, block in ipairs(blocks) do
    copy:write(block)
  end
  copy:finish()
end

--- Each round starts from a fresh database, as the first contestant needs it.
local function contestants(state, path, analyst_path)
  local list = {
    {
      name = "new",
      prepare = function()
        state.conninfo, state.conn = server.database()
        server.settle()
      end,
      run = function()
        ingest(state.conninfo, "first", path)
      end,
    },
    {
      name = "known",
      prepare = server.settle,
      run = function()
        ingest(state.conninfo, "second", path)
      end,
    },
    {
      name = "copy",
      prepare = function()
        state.blocks = state.blocks or digest(state.conn)
        state.conn:script("CREATE TABLE replayed (LIKE measurements INCLUDING ALL)")
        server.settle()
      end,
      run = function()
        replay(state.conn, state.blocks)
      end,
    },
    {
      name = "psql",
      prepare = function()
        state.conn:script(wide_table(SAMPLES))
        server.settle()
      end,
      run = function()
        server.run { server.psql(), "-X", "-q", "-d", state.conninfo, "-c",
          ("\\copy wide FROM '%s' (FORMAT csv, HEADER)"):format(path) }
      end,
    },
  }
  if analyst_path then
    list[#list + 1] = {
      name = "pandas",
      prepare = server.settle,
      run = function()
        local script = state.home .. "/tests/bench/analyst.py"
        return ANALYST_SHARE
          * tonumber(server.run { server.python, script, "ingest", state.conninfo, analyst_path })
      end,
    }
  end
  list[#list].finish = function()
    state.conn:close()
  end
  return list
end

--- Runs it and prints its table.
---@param context table {folder=, home=, rounds=, pandas=}
function M.run(context)
  local path = context.folder .. "/wide.csv"
  generate.wide(path, { rows = ROWS, samples = SAMPLES, seed = 1 })
  local analyst_path
  if context.pandas then
    analyst_path = context.folder .. "/analyst.csv"
    generate.wide(analyst_path, { rows = ROWS // ANALYST_SHARE, samples = SAMPLES, seed = 1 })
  end
  local medians = measure.rounds(context.rounds,
    contestants({ home = context.home }, path, analyst_path))

  local rows = { { "", "seconds", "to (a)", "ligase is faster by" } }
  local function add(label, name)
    local seconds = medians[name]
    rows[#rows + 1] = { label, seconds and ("%.3f"):format(seconds) or "-",
      seconds and measure.ratio(seconds, medians.copy) or "-",
      seconds and name ~= "known" and measure.ratio(seconds, medians.known) or "" }
  end
  add("ligase ingest, features known", "known")
  add("ligase ingest, features all new", "new")
  add("(a) binary COPY of the digested rows", "copy")
  add("(b) psql \\copy into a wide table", "psql")
  add(context.pandas and "(c) pandas + psycopg2 (a tenth of it, x 10)"
    or "(c) pandas + psycopg2: not installed", "pandas")
  measure.print_table(("1. %d x %d wide CSV, end to end"):format(ROWS, SAMPLES), rows)
end

return M
