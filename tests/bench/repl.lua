--- Part 10: what a person waits for at the REPL: its prompt, and the Tab key.
local generate = require "tests.bench.generate"
local host = require "host"
local json = require "ligase.base.json"
local measure = require "tests.bench.measure"
local server = require "tests.bench.server"
local sys = require "sys"

local M = {}

local FEATURES = 100000

--- Many features, as ingested ones are.
local function prepare(context)
  local conninfo, conn = server.database()
  local file = context.folder .. "/many.csv"
  generate.wide(file, { rows = FEATURES, samples = 1, seed = 31 })
  server.ligase(conninfo, { "ingest", "--omics", "lipidomics", file })
  sys.remove(file)
  conn:script "VACUUM ANALYZE"
  local count = conn:query("SELECT count(*) AS n FROM features")[1].n
  conn:close()
  server.settle()
  return conninfo, count
end

--- The seconds of what is expected on a terminal.
local function times_of(conninfo, steps, argv)
  return json.decode(server.run({ server.python, host.home .. "/tests/bench/terminal.py", json.encode(steps),
    table.unpack(argv) }, conninfo))
end

local PROMPT, PAUSE, LEAVE = { expect = "ligase> " }, { quiet = 0.2 }, { send = "\4" }

--- What is typed before the Tab key, and what shows that it has been completed.
local TYPED = {
  { name = "Tab in features\"PC 3", typed = 'features"PC 3', shown = "PC 3" },
  { name = "Tab in features\"TG 52:2", typed = 'features"TG 52:', shown = "TG 52:" },
  { name = "Tab in dataset\"ma", typed = 'dataset"ma', shown = 'ny"' },
  { name = "Tab in sql[[SELECT * FROM meas", typed = "sql[[SELECT * FROM meas", shown = "urement" },
}

return M
