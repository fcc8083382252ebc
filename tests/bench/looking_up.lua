--- Part 8: what is asked of the features of 10 million measurement rows.
local generate = require "tests.bench.generate"
local many_rows = require "tests.bench.many_rows"
local measure = require "tests.bench.measure"
local occurrences = require "ligase.store.occurrences"
local server = require "tests.bench.server"
local sys = require "sys"

local M = {}

local function output_of(conn, name, limit)
  local feature = occurrences.by_name(conn, name)[1]
  local found = occurrences.places(conn, { feature }, limit)[1]
  assert(found.datasets > 0 and #found.first > 0)
end

local DATASETS, ROWS, SAMPLES = 500, 20000, 6

--- Half of the datasets hold values, half changes; all are copies of two.
local function prepare(context)
  local conninfo, conn = server.database()
  local folder = context.folder .. "/templates"
  sys.mkdir(folder)
  generate.wide(folder .. "/values.csv", { rows = ROWS, samples = SAMPLES, seed = 21 })
  generate.changes(folder, { files = 1, rows = ROWS, seed = 22, prefix = "changes" })
  server.ligase(conninfo, { "ingest", "--omics", "lipidomics", folder })
  sys.remove_tree(folder)
  many_rows.multiply(conn, many_rows.ids(conn), DATASETS - 2)
  conn:script "VACUUM ANALYZE"
  server.settle()
  return conninfo, conn
end

--- A feature that is everywhere, and the sum of it.
local function feature_of(conn)
  local row = conn:query([[
SELECT f.name, f.attributes ->> 'sum' AS sum, count(*) AS n
FROM features AS f JOIN measurements AS m ON m.feature_key = f.key WHERE f.name = $1 GROUP BY 1, 2]],
    "PC 16:0_18:1")[1]
  return row.name, row.sum, row.n
end

local function contestant(conninfo, words)
  return { name = words, run = function()
    server.ligase(conninfo, words)
  end }
end

local PSQL = "psql -c 'select 1'"

--- What a process that links libpq, and a server's process for it, cost by themselves.
local function psql(conninfo)
  return { name = PSQL, run = function()
    server.run({ server.psql(), "-X", "-q", "-d", conninfo, "-c", "select 1" })
  end }
end

--- The same in this process, on a connection that was opened before: without the start of a
--- process and of a server's process.
local function in_process(conn, name, limit)
  return { name = "in_process", run = function()
    output_of(conn, name, limit)
  end }
end

--- Runs it and prints its table.
---@param context table {folder=, rounds=}
function M.run(context)
  local conninfo, conn = prepare(context)
  local name, sum, count = feature_of(conn)
  local rows_there = conn:query("SELECT count(*) AS n FROM measurements")[1].n
  local asked = { { "feature", name }, { "feature", sum }, { "feature", name, "--limit", tostring(count), "--json" },
    { "--version" } }
  local contestants = {}
  for i, words in ipairs(asked) do
    contestants[i] = contestant(conninfo, words)
    server.ligase(conninfo, words) -- warm
  end
  contestants[#contestants + 1] = psql(conninfo)
  contestants[#contestants + 1] = in_process(conn, name, 10)
  local medians = measure.rounds(context.rounds, contestants)
  local rows = { { "", "ms, start to exit" } }
  for _, words in ipairs(asked) do
    rows[#rows + 1] = { "ligase " .. table.concat(words, " "), ("%.0f"):format(medians[words] * 1000) }
    if words == asked[1] then
      rows[#rows + 1] = { "  the same, on a connection that is open", ("%.1f"):format(medians.in_process * 1000) }
    end
  end
  rows[#rows + 1] = { PSQL, ("%.0f"):format(medians[PSQL] * 1000) }
  -- It goes through everything and leaves nothing else in the server's memory: last, and once.
  local all = measure.seconds(server.ligase, conninfo, { "features", "--min", "2" })
  rows[#rows + 1] = { "ligase features --min 2, once", ("%.0f"):format(all * 1000) }
  measure.print_table(("8. features among %d rows of %d datasets; '%s' stands in %d"):format(rows_there, DATASETS, name,
    count), rows)
  conn:close()
  server.drop(conninfo)
end

return M
