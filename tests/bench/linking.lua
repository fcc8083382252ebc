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

--- What Postgres does of it alone: every name has one key, and stands in a table.
local UPDATE = [[
CREATE TEMP TABLE keys AS SELECT DISTINCT source_name, feature_key FROM measurements WHERE feature_key IS NOT NULL;
ANALYZE keys;
UPDATE measurements AS m SET feature_key = k.feature_key FROM keys AS k
WHERE k.source_name = m.source_name AND m.feature_key IS NULL]]

local function measured(context, are_known, link)
  local conninfo, conn = prepare(context, are_known)
  local seconds = measure.seconds(link, conninfo)
  local left = conn:query("SELECT count(*) AS n FROM measurements WHERE feature_key IS NULL")[1].n
  conn:close()
  server.drop(conninfo)
  assert(left == 0, "rows were left without links")
  return seconds
end

local function link(conninfo)
  server.ligase(conninfo, { "link", "--all" })
end

local function update(conninfo)
  server.run({ server.psql(), "-X", "-q", "-d", conninfo, "-v", "ON_ERROR_STOP=1", "-c", UPDATE })
end

local CONTESTANTS = {
  { "ligase link --all, features known", true, link },
  { "ligase link --all, features new", false, link },
  { "psql, UPDATE by a table of the names' keys", true, update },
}

--- Runs it and prints its table. One round: it moves four million rows.
---@param context table {folder=}
function M.run(context)
  local rows = { { "", "seconds", "links/s" } }
  for _, contestant in ipairs(CONTESTANTS) do
    local seconds = measured(context, contestant[2], contestant[3])
    rows[#rows + 1] = { contestant[1], ("%.1f"):format(seconds), ("%.0f"):format(DATASETS * ROWS / seconds) }
  end
  measure.print_table(("7. links of %d datasets of %d rows in one transaction, one round"):format(DATASETS, ROWS), rows)
end

return M
