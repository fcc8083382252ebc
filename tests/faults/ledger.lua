--- What specs about failures share: counting what is in the database, and finding
--- anything that was half written.
local sys = require "sys"

local M = {}

local COUNTS = [[
SELECT (SELECT count(*) FROM datasets) AS datasets, (SELECT count(*) FROM revisions) AS revisions,
  (SELECT count(*) FROM measurements) AS measurements, (SELECT count(*) FROM features) AS features,
  (SELECT count(*) FROM feature_names) AS feature_names, (SELECT count(*) FROM programs) AS programs,
  (SELECT count(*) FROM experiments) AS experiments, (SELECT count(*) FROM outbox) AS outbox,
  (SELECT count(*) FROM runs WHERE outcome <> 'failed') AS runs]]

--- How much there is of everything; failed runs are not counted.
---@param conn table
---@return table<string, integer>
function M.counts(conn)
  return conn:query(COUNTS)[1]
end

--- Each query names something that can only be there when a write was torn apart.
local TORN = {
  ["rows without a revision"] = [[
    SELECT m.dataset_id FROM (SELECT DISTINCT dataset_id, revision FROM measurements) AS m
    LEFT JOIN revisions AS r USING (dataset_id, revision) WHERE r.revision IS NULL]],
  ["revisions that lack rows"] = [[
    SELECT r.dataset_id FROM revisions AS r LEFT JOIN (SELECT dataset_id, revision, count(*) AS rows
      FROM measurements GROUP BY 1, 2) AS m USING (dataset_id, revision)
    WHERE r.row_count <> coalesce(m.rows, 0)]],
  ["datasets whose current revision is not there"] = [[
    SELECT id FROM datasets AS d WHERE NOT EXISTS (SELECT FROM revisions AS r
      WHERE r.dataset_id = d.id AND r.revision = d.current_revision)]],
  ["revisions without a run that ended well"] = [[
    SELECT r.dataset_id FROM revisions AS r LEFT JOIN runs ON runs.id = r.run_id
    WHERE runs.outcome IS DISTINCT FROM 'done']],
  ["runs that ended well and left no revision"] = [[
    SELECT id FROM runs WHERE outcome = 'done' AND NOT EXISTS (SELECT FROM revisions WHERE run_id = runs.id)]],
  ["keys without a feature"] = [[
    SELECT DISTINCT m.feature_key FROM measurements AS m LEFT JOIN features AS f ON f.key = m.feature_key
    WHERE m.feature_key IS NOT NULL AND f.key IS NULL]],
  ["names without a receipt"] = [[
    SELECT DISTINCT m.feature_key FROM measurements AS m
    LEFT JOIN feature_names AS n ON n.raw_name = m.source_name AND n.feature_key = m.feature_key
    WHERE m.feature_key IS NOT NULL AND n.feature_key IS NULL]],
  ["receipts without a feature"] = [[
    SELECT n.raw_name FROM feature_names AS n LEFT JOIN features AS f ON f.key = n.feature_key WHERE f.key IS NULL]],
}

--- What is half written, one line each; empty when all is whole.
---@param conn table
---@return string[]
function M.torn(conn)
  local found = {}
  conn:script("ANALYZE measurements, revisions, features, feature_names, runs")
  for what, sql in pairs(TORN) do
    local rows = conn:table(sql)
    if #rows > 0 then
      found[#found + 1] = ("%d %s"):format(#rows, what)
    end
  end
  return found
end

--- Waits until no other session works in this connection's database.
---@param conn table
---@return boolean quiet
function M.wait_until_quiet(conn)
  local deadline = sys.monotonic() + 20
  repeat
    local rows = conn:query [[SELECT count(*) AS n FROM pg_stat_activity
      WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend']]
    if rows[1].n == 0 then
      return true
    end
    sys.sleep(0.01)
  until sys.monotonic() > deadline
  return false
end

--- Waits until another session wants a lock that somebody holds.
---@param conn table
---@return integer|nil pid of the session's server process
function M.wait_until_blocked(conn)
  local deadline = sys.monotonic() + 20
  repeat
    local rows = conn:query [[SELECT pid FROM pg_stat_activity WHERE datname = current_database()
      AND cardinality(pg_blocking_pids(pid)) > 0]]
    if rows[1] then
      return rows[1].pid
    end
    sys.sleep(0.01)
  until sys.monotonic() > deadline
end

--- A table of lipids whose numbers are all different.
---@param rows integer
---@param columns integer
---@param tag? string part of every name; names differ between tags
---@param names? integer so many different ones; a file that is large for its bytes alone needs few
---@return string
function M.table(rows, columns, tag, names)
  local header, lines = { "lipid" }, {}
  for c = 1, columns do
    header[#header + 1] = "s" .. c
  end
  lines[1] = table.concat(header, ",")
  for r = 1, rows do
    local cells = { ("%s lipid %d"):format(tag or "a", (r - 1) % (names or rows) + 1) }
    for c = 1, columns do
      cells[c + 1] = ("%d.%d"):format(r, c)
    end
    lines[#lines + 1] = table.concat(cells, ",")
  end
  return table.concat(lines, "\n") .. "\n"
end

return M
