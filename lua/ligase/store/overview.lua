--- What is in the database, in a few numbers that are quick to count.
local pg = require "pg"

local M = {}

local SERVER = [[
SELECT current_database() AS database, current_setting('server_version') AS version,
  coalesce(host(inet_server_addr()), 'unix socket') AS address, pg_database_size(current_database()) AS bytes]]

local ENTITIES = [[
SELECT (SELECT count(*) FROM programs) AS programs, (SELECT count(*) FROM experiments) AS experiments,
  (SELECT count(*) FROM datasets) AS datasets, (SELECT count(*) FROM signatures) AS signatures,
  (SELECT count(*) FROM compounds) AS compounds, (SELECT count(*) FROM screening_campaigns) AS campaigns]]

local OMICS = [[
SELECT d.omics_type, count(*) AS datasets, sum(r.row_count)::int8 AS rows, sum(r.value_count)::int8 AS values,
  to_char(max(r.created_at), 'YYYY-MM-DD HH24:MI') AS last_ingest,
  (array_agg(d.name ORDER BY r.created_at DESC))[1] AS last_dataset
FROM datasets AS d JOIN revisions AS r ON r.dataset_id = d.id AND r.revision = d.current_revision
GROUP BY d.omics_type ORDER BY d.omics_type]]

local DRIFT = [[
SELECT to_char(min(started_at), 'YYYY-MM-DD HH24:MI') AS at, min(phase) AS phase,
  sum(missing + extra + differing + duplicates)::int8 AS drift, count(*) AS types
FROM reconciliations
WHERE is_complete AND run_id = (SELECT run_id FROM reconciliations WHERE is_complete ORDER BY started_at DESC LIMIT 1)
HAVING count(*) > 0]]

local JOBS = [[
SELECT count(*) FILTER (WHERE state = 'pending') AS pending, count(*) FILTER (WHERE state = 'dead') AS dead
FROM jobs WHERE state IN ('pending', 'dead')]]

local RUNS = [[
SELECT id AS run, batch_id AS batch, to_char(started_at, 'YYYY-MM-DD HH24:MI') AS started, command, outcome,
  coalesce(arguments ->> 'name', '') AS name, error ->> 'message' AS error
FROM runs WHERE arguments -> 'piece_of' IS NULL ORDER BY started_at DESC, id DESC LIMIT $1]]

local function plain(row)
  local made = {}
  for name, value in pairs(row or {}) do
    made[name] = value ~= pg.null and value or nil
  end
  return made
end

local function plain_all(rows)
  local list = {}
  for i, row in ipairs(rows) do
    list[i] = plain(row)
  end
  return list
end

---@class ligase.overview
---@field server {database: string, version: string, address: string, bytes: integer}
---@field entities table<string, integer>
---@field omics {omics_type: string, datasets: integer, rows: integer, values: integer, last_ingest: string,
--- last_dataset: string}[]
---@field drift {at: string, phase: string, drift: integer, types: integer}|nil the latest comparison
---@field jobs {pending: integer, dead: integer}
---@field runs {run: string, batch: string|nil, started: string, command: string, outcome: string, name: string,
--- error: string|nil}[]

--- Counts what there is.
---@param conn table
---@param runs_most integer of the last runs
---@return ligase.overview
function M.read(conn, runs_most)
  local drift = plain(conn:query(DRIFT)[1])
  return { server = plain(conn:query(SERVER)[1]), entities = plain(conn:query(ENTITIES)[1]),
    omics = plain_all(conn:query(OMICS)), drift = drift.at and drift or nil, jobs = plain(conn:query(JOBS)[1]),
    runs = plain_all(conn:query(RUNS, runs_most)) }
end

return M
