--- Part 7: the links of 200 datasets of 20,000 features made in one go.
local generate = require "tests.bench.generate"
local measure = require "tests.bench.measure"
local many_rows = require "tests.bench.many_rows"
local server = require "tests.bench.server"
local sys = require "sys"

local M = {}

local DATASETS, ROWS, SAMPLES = 200, 20000, 6

--- A database with the datasets, stored without links. Where features are known, one more
--- dataset of the same names is linked.
local function prepare(context, are_known)
  local conninfo, conn = server.database()
  local path = context.folder .. "/links.csv"
  generate.wide(path, { rows = ROWS, samples = SAMPLES, seed = 11 })
  if are_known then
    server.ligase(conninfo, { "ingest", "--omics", "lipidomics", "--name", "known", path })
  end
  server.ligase(conninfo, { "ingest", "--omics", "lipidomics", path }, { ENABLE_FEATURE_LINKING = "false" })
  sys.remove(path)
  local id = conn:query("SELECT id FROM datasets WHERE name = 'links'")[1].id
  many_rows.multiply(conn, { id }, DATASETS - 1)
  conn:script "VACUUM ANALYZE"
  server.settle()
  return conninfo, conn
end

local function link_once(context, are_known)
  local conninfo, conn = prepare(context, are_known)
  local seconds = measure.seconds(server.ligase, conninfo, { "link", "--all" })
  local left = conn:query("SELECT count(*) AS n FROM measurements WHERE feature_key IS NULL")[1].n
  conn:close()
  server.drop(conninfo)
  assert(left == 0, "rows were left without links")
  return seconds
end

--- Runs it and prints its table. One round: it moves four million rows.
---@param context table {folder=}
function M.run(context)
  local rows = { { "", "seconds", "links/s" } }
  for _, are_known in ipairs { true, false } do
    local seconds = link_once(context, are_known)
    rows[#rows + 1] = { ("ligase link --all, features %s"):format(are_known and "known" or "new"),
      ("%.1f"):format(seconds), ("%.0f"):format(DATASETS * ROWS / seconds) }
  end
  measure.print_table(("7. links of %d datasets of %d rows in one transaction, one round"):format(DATASETS, ROWS), rows)
end

return M
