--- Part 11: what a person waits for at the REPL: its prompt, and the Tab key.
local generate = require "tests.bench.generate"
local host = require "host"
local json = require "ligase.base.json"
local measure = require "tests.bench.measure"
local server = require "tests.bench.server"
local sys = require "sys"

local M = {}

local FEATURES = 100000

--- Rounds for each that make up one of the benchmark's: a start takes milliseconds.
local STARTS = 4

--- A database with many features, and one of them.
local function prepare(context)
  local conninfo, conn = server.database()
  local file = context.folder .. "/many.csv"
  generate.wide(file, { rows = FEATURES, samples = 1, seed = 31 })
  server.ligase(conninfo, { "ingest", "--omics", "lipidomics", file })
  sys.remove(file)
  conn:script "VACUUM ANALYZE"
  local row = conn:query("SELECT count(*) AS n, max(name) AS last FROM features")[1]
  conn:close()
  server.settle()
  return conninfo, row
end

local PROMPT, PAUSE = { expect = "ligase> " }, { quiet = 0.2 }

--- What is typed before the Tab key, and what then shows that it has been answered.
local function asked_for(last)
  return {
    { "Tab in dataset\"ma, the first one", 'dataset"ma', 'ny"' },
    { "Tab in features\"P, a list", 'features"P', "and more" },
    { "Tab in features\"..., the last one", 'features"' .. last:sub(1, -2), last:sub(-1) .. '"' },
    { "Tab in sql[[SELECT * FROM dataset_o", "sql[[SELECT * FROM dataset_o", "verview" },
    { "Tab in sql[[SELECT adj, FROM effects behind it", nil, "usted_p_value" },
  }
end

--- One session: the prompt, and each Tab.
local function steps_for(asked)
  local steps = { PROMPT }
  for _, each in ipairs(asked) do
    -- ESC b goes back a word, to where the cursor has something behind it.
    local typed = each[2] or "sql[[SELECT adj FROM effects]]" .. ("\27b"):rep(2) .. "\2"
    for _, step in ipairs { PAUSE, { send = typed }, PAUSE, { send = "\t" }, { expect = each[3] }, { send = "\3" } } do
      steps[#steps + 1] = step
    end
  end
  steps[#steps + 1] = PAUSE
  steps[#steps + 1] = { send = "\4" }
  return json.encode(json.array(steps))
end

local function session(conninfo, steps)
  return json.decode(server.run({ server.python, host.home .. "/tests/bench/terminal.py", steps, host.executable,
    "repl" }, conninfo))
end

--- Milliseconds of both, taking turns.
local function measured(context, conninfo, steps, count)
  local times = {}
  for i = 1, count do
    times[i] = {}
  end
  local psql = { name = "psql", run = function()
    server.run { server.psql(), "-X", conninfo, "-c", "SELECT 1" }
  end }
  local version = { name = "version", run = function()
    server.ligase(conninfo, { "--version" })
  end }
  local repl = { name = "repl", run = function()
    local taken = session(conninfo, steps)
    for i, seconds in ipairs(taken) do
      table.insert(times[i], seconds)
    end
    return taken[1]
  end }
  local medians = measure.rounds(context.rounds * STARTS, { psql, version, repl })
  for i, list in ipairs(times) do
    times[i] = measure.median(list)
  end
  return medians, times
end

local function milliseconds(seconds)
  return ("%.0f"):format(seconds * 1000)
end

--- Runs it and prints its table.
---@param context table {folder=, rounds=}
function M.run(context)
  local conninfo, features = prepare(context)
  local asked = asked_for(features.last)
  local steps = steps_for(asked)
  session(conninfo, steps) -- warm
  local medians, times = measured(context, conninfo, steps, #asked + 1)
  local rows = { { "", "ms" }, { "ligase repl, start to prompt", milliseconds(medians.repl) },
    { "ligase --version, start to exit", milliseconds(medians.version) },
    { "psql -c 'SELECT 1', start to exit", milliseconds(medians.psql) } }
  for i, each in ipairs(asked) do
    rows[#rows + 1] = { each[1], milliseconds(times[i + 1]) }
  end
  measure.print_table(("11. the REPL, %d features in the database, %d starts"):format(features.n,
    context.rounds * STARTS), rows)
  server.drop(conninfo)
end

return M
