--- The phase that is stored, the changes that led to it, and the samples that were read in both
--- systems.
local errors = require "ligase.base.errors"
local json = require "ligase.base.json"
local pg = require "pg"
local runs = require "ligase.store.runs"
local sys = require "sys"

local M = {}

---@class ligase.stored_phase
---@field phase string
---@field entered_at string
---@field run_id string|nil

---@class ligase.begun_change
---@field run ligase.run
---@field direction "advance"|"back"
---@field from string
---@field to string
---@field was table
---@field overrides table<string, string>

local STATE = "SELECT phase, entered_at, run_id FROM lab_phase"

--- The stored phase; nil before the first change of phase.
---@param conn table
---@return ligase.stored_phase|nil
function M.read(conn)
  local row = conn:query(STATE)[1]
  return row and { phase = row.phase, entered_at = row.entered_at,
    run_id = row.run_id ~= pg.null and row.run_id or nil }
end

-- ---- one change at a time --------------------------------------------------

local LOCK = "SELECT pg_try_advisory_lock($1) AS locked"
local UNLOCK = "SELECT pg_advisory_unlock($1)"

--- Holds what only one process may do at a time: changing the phase. Close what it gives.
---@param conn table
---@return table|nil held nil when another process has it
function M.lock(conn)
  local key = sys.hash64 "ligase phase"
  if not conn:query(LOCK, key)[1].locked then
    return nil
  end
  return setmetatable({}, { __close = function()
    pcall(conn.query, conn, UNLOCK, key) -- or the session's end releases it
  end })
end

local IS_LOCKED = [[
SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted
  AND classid::int8 = ($1::int8 >> 32) & 4294967295 AND objid::int8 = $1::int8 & 4294967295
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())) AS locked]]

--- Whether a process is changing the phase.
---@param conn table
---@return boolean
function M.is_locked(conn)
  return conn:query(IS_LOCKED, sys.hash64 "ligase phase")[1].locked
end

-- ---- a change and its entry in the journal ---------------------------------

local BEGUN = [[
SELECT run_id, started_at, direction, from_phase, to_phase, was, overrides FROM phase_changes WHERE state = 'begun']]

--- The change that was begun and not ended: its process is gone, or still at work.
---@param conn table
---@return ligase.begun_change|nil
function M.begun(conn)
  local row = conn:query(BEGUN)[1]
  return row and { run = { id = row.run_id, started_at = row.started_at, command = "phase " .. row.direction },
    direction = row.direction, from = row.from_phase, to = row.to_phase, was = row.was, overrides = row.overrides }
end

local BEGIN = [[
INSERT INTO phase_changes (run_id, started_at, direction, from_phase, to_phase, os_user, hostname, overrides, gates,
  was)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)]]

local function list(gates)
  return json.encode(json.array(table.move(gates or {}, 1, #(gates or {}), 1, {})))
end

--- Notes that a change begins, in a transaction of its own.
---@param conn table
---@param change {direction: string, from: string, to: string, was: table, overrides: table<string, string>,
--- gates: table[]}
---@return ligase.begun_change
function M.begin(conn, change)
  local run = runs.new("phase " .. change.direction, nil, { from = change.from, to = change.to,
    overrides = next(change.overrides) and change.overrides or nil })
  local user = sys.user()
  conn:transaction(function()
    conn:query(runs.INSERT, runs.parameters(run, "running", {}))
    conn:query("UPDATE runs SET finished_at = NULL WHERE id = $1", run.id)
    conn:query(BEGIN, run.id, run.started_at, change.direction, change.from, change.to, user and user.name or pg.null,
      sys.hostname(), json.encode(change.overrides), list(change.gates), json.encode(change.was))
  end)
  return { run = run, direction = change.direction, from = change.from, to = change.to, was = change.was,
    overrides = change.overrides }
end

local END = [[
UPDATE phase_changes SET state = $2, finished_at = now(), gates = coalesce($3::jsonb, gates),
  overrides = coalesce($4::jsonb, overrides), became = $5
WHERE run_id = $1 AND state = 'begun']]

local END_RUN = "UPDATE runs SET outcome = $2, finished_at = now(), counts = $3, error = $4 WHERE id = $1"

local function finish(conn, begun, state, ended)
  local ended_now = conn:query(END, begun.run.id, state, ended.gates and list(ended.gates) or pg.null,
    ended.overrides and json.encode(ended.overrides) or pg.null, ended.became and json.encode(ended.became) or pg.null)
  if ended_now.affected ~= 1 then
    errors.raise { kind = "database", code = "phase_taken", message = "another process has taken this change of phase "
      .. "over", hint = "See: ligase phase" }
  end
  conn:query(END_RUN, begun.run.id, state == "done" and "done" or "failed", ended.counts
    and json.encode(ended.counts) or pg.null, ended.error and json.encode(ended.error) or pg.null)
end

local ENTER = [[
INSERT INTO lab_phase (phase, entered_at, run_id) VALUES ($1, clock_timestamp(), $2)
ON CONFLICT (is_only) DO UPDATE SET phase = excluded.phase, entered_at = excluded.entered_at, run_id = excluded.run_id]]

--- Enters the phase and ends the change, in the caller's transaction.
---@param conn table
---@param begun ligase.begun_change
---@param ended {gates: table[], overrides: table<string, string>, counts: table<string, integer>, became: table}
function M.enter(conn, begun, ended)
  conn:query(ENTER, begun.to, begun.run.id)
  finish(conn, begun, "done", ended)
end

--- Ends a change that did not happen.
---@param conn table
---@param begun ligase.begun_change
---@param state "failed"|"left"
---@param failure any
function M.give_up(conn, begun, state, failure)
  conn:transaction(function()
    finish(conn, begun, state, { error = runs.error_fields(failure) })
  end)
end

local HISTORY = [[
SELECT to_char(started_at, 'YYYY-MM-DD HH24:MI:SS') AS started, direction, from_phase AS "from", to_phase AS "to",
  state, os_user AS who, run_id AS run,
  (SELECT string_agg(key || ': ' || value, '; ' ORDER BY key) FROM jsonb_each_text(overrides)) AS overridden
FROM phase_changes ORDER BY started_at DESC LIMIT $1]]

--- The changes, the latest first.
---@param conn table
---@param limit integer
---@return table result as conn:table gives it
function M.history(conn, limit)
  return conn:table(HISTORY, limit)
end

-- ---- samples read in both systems ------------------------------------------

local INSERT_PARITY = [[
INSERT INTO parity_checks (id, phase, sampled, equal_count, mismatched, on_their_way, details)
VALUES ($1, $2, $3, $4, $5, $6, $7)]]

--- Keeps what a sample showed.
---@param conn table
---@param phase string
---@param result ligase.parity
function M.keep_parity(conn, phase, result)
  conn:query(INSERT_PARITY, sys.uuid7(), phase, result.sampled, result.equal, result.mismatched, result.on_their_way,
    list(result.details))
end

local PARITY = [[
SELECT sampled, equal_count AS equal, mismatched, on_their_way, details, to_char(checked_at, 'YYYY-MM-DD HH24:MI') AS at
FROM parity_checks WHERE target = 'notion' AND checked_at >= coalesce($1::timestamptz, '-infinity') AND phase = $2
ORDER BY checked_at DESC LIMIT 1]]

--- The latest sample of a phase.
---@param conn table
---@param since string|nil
---@param phase string
---@return table|nil
function M.parity(conn, since, phase)
  return conn:query(PARITY, since or pg.null, phase)[1]
end

local INSERT_UNTAKEN = [[
INSERT INTO parity_checks (id, phase, target, sampled, equal_count, mismatched, details)
VALUES ($1, $2, 'notion pages', $3, $4, $5, $6)]]

--- Keeps what a look at all of Notion's pages showed, as a sample that holds them all. It stands
--- beside those of entities, with the target "notion pages".
---@param conn table
---@param phase string
---@param found ligase.untaken
function M.keep_untaken(conn, phase, found)
  conn:query(INSERT_UNTAKEN, sys.uuid7(), phase, found.pages + found.gone, found.pages - found.without,
    found.without + found.gone, list { found })
end

local UNTAKEN = [[
SELECT details -> 0 AS found FROM parity_checks
WHERE target = 'notion pages' AND checked_at >= coalesce($1::timestamptz, '-infinity') AND phase = $2
ORDER BY checked_at DESC LIMIT 1]]

--- What the latest look at Notion's pages in a phase showed.
---@param conn table
---@param since string|nil
---@param phase string
---@return ligase.untaken|nil
function M.untaken(conn, since, phase)
  local row = conn:query(UNTAKEN, since or pg.null, phase)[1]
  return row and row.found
end

-- ---- what gates count ------------------------------------------------------

local CHECKS = [[
SELECT run_id, sum(missing + extra + differing + duplicates)::int8 AS drift, sum(on_their_way)::int8 AS on_their_way,
  to_char(min(started_at), 'YYYY-MM-DD HH24:MI') AS at
FROM reconciliations
WHERE target = 'notion' AND is_complete AND started_at >= coalesce($1::timestamptz, '-infinity') AND phase = $2
GROUP BY run_id HAVING array_agg(entity_type) @> $3::text[]
ORDER BY min(started_at) DESC LIMIT $4]]

--- The latest comparisons of all these types in a phase, the latest first.
---@param conn table
---@param since string|nil
---@param phase string
---@param types string[]
---@param limit integer
---@return {drift: integer, on_their_way: integer, at: string}[]
function M.checks(conn, since, phase, types, limit)
  return conn:query(CHECKS, since or pg.null, phase, pg.array(types, "text"), limit)
end

local PIPELINES = [[
SELECT d.omics_type, count(*) AS datasets, count(x.name) AS exercised
FROM datasets AS d LEFT JOIN (
  SELECT DISTINCT arguments ->> 'name' AS name FROM runs
  WHERE started_at >= coalesce($1::timestamptz, '-infinity') AND outcome IN ('done', 'unchanged')
    AND arguments ? 'source') AS x ON x.name = d.name
WHERE d.current_revision IS NOT NULL
GROUP BY d.omics_type ORDER BY d.omics_type]]

--- The omics types that have datasets, and how many of these were read since.
---@param conn table
---@param since string|nil
---@return {omics_type: string, datasets: integer, exercised: integer}[]
function M.pipelines(conn, since)
  return conn:query(PIPELINES, since or pg.null)
end

return M
