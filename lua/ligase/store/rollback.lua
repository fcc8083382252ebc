--- Undoing runs, exactly, from the journal.
---
---   local rollback = require "ligase.store.rollback"
---   local report = rollback.run(conn, { runs = { "last" } }, { dry_run = true })
---
--- A run's entry has the state before it of everything that it changed. Undoing it puts that
--- back and notes, in an entry of the same form, what was there: so undoing that brings
--- everything back, and nothing has to know which of both it is doing. Which runs have to go
--- together is found by ligase.store.rollback.plan; rows, scores, alias tables and links each
--- have a module of their own. All of it is one transaction under the locks of the writers.
local aliases = require "ligase.store.rollback.aliases"
local errors = require "ligase.base.errors"
local host = require "host"
local journal = require "ligase.store.rollback.journal"
local locks = require "ligase.store.rollback.locks"
local moves = require "ligase.store.rollback.moves"
local options_of = require "ligase.base.options"
local pg = require "pg"
local plan_of = require "ligase.store.rollback.plan"
local rows = require "ligase.store.rollback.rows"
local run_finding = require "ligase.store.run_finding"
local scores = require "ligase.store.rollback.scores"
local sys = require "sys"
local tables = require "ligase.store.rollback.tables"
local text = require "ligase.base.text"

local M = {}

local ATTEMPTS = 5
local TRY_AGAIN = { ["40001"] = true, ["40P01"] = true, ["55P03"] = true }

--- So many runs are named in a refusal.
local NAMED_MOST = 20

local OPTIONS = { cascade = { type = "boolean" }, dry_run = { type = "boolean" }, outbox = { type = "boolean|table" },
  arguments = { type = "table" } }

-- ---- which runs ------------------------------------------------------------

local UNDONE_BY = [[
SELECT id, started_at::text AS started_at FROM runs WHERE rolls_back = $1 AND outcome = 'done'
ORDER BY finished_at DESC LIMIT 1]]

local function refuse_rolled_back(conn, run)
  local by = conn:query(UNDONE_BY, run.id)[1]
  errors.raise { kind = "usage", code = "rolled_back", message = ("run %s was rolled back already%s"):format(run.id,
    by and (" by run %s on %s"):format(by.id, by.started_at:sub(1, 19)) or ""),
    hint = by and ("To do again what it did: ligase rollback %s"):format(by.id) or "See: ligase runs" }
end

local NOTHING = {
  failed = "run %s failed and changed nothing",
  unchanged = "run %s found everything as it was and changed nothing",
  running = "run %s has not ended",
}

--- A change of phase has a way back of its own, which tells Notion first; a comparison wrote
--- nothing but what it found.
local function check_kind(run)
  local direction = run.command:match "^phase (%l+)$"
  if direction then
    errors.raise { kind = "usage", code = "phase_change",
      message = ("run %s is a change of phase, from %s to %s"):format(run.id, run.arguments.from, run.arguments.to),
      hint = ("Undo it with: ligase phase %s --to %s"):format(direction == "advance" and "back" or "advance",
        run.arguments.from) }
  elseif run.command == "reconcile" and run.arguments.entities then
    errors.raise { kind = "usage", code = "unchanged_run",
      message = ("run %s compared both systems and changed nothing"):format(run.id),
      hint = "What --fix repaired is in runs of its own: ligase runs" }
  end
end

local function check_outcome(conn, run)
  if run.outcome == "rolled_back" then
    refuse_rolled_back(conn, run)
  elseif run.outcome ~= "done" then
    errors.raise { kind = "usage", code = run.outcome .. "_run", message = NOTHING[run.outcome]:format(run.id),
      hint = "There is nothing to take back" }
  end
end

local function numbers_of(version)
  local numbers = {}
  for number in tostring(version):gmatch("%d+") do
    numbers[#numbers + 1] = tonumber(number)
  end
  return numbers
end

local function is_newer(version)
  local theirs, ours = numbers_of(version), numbers_of(host.version)
  for i = 1, math.max(#theirs, #ours) do
    local a, b = theirs[i] or 0, ours[i] or 0
    if a ~= b then
      return a > b
    end
  end
  return false
end

local function check_version(run)
  if run.host_version ~= pg.null and is_newer(run.host_version) then
    errors.raise { kind = "usage", code = "newer_version",
      message = ("run %s was made by ligase %s, this is %s"):format(run.id, text.printable(run.host_version),
        host.version), hint = "Its journal may hold what this ligase does not know: use the newer one" }
  end
end

local OF_BATCH = [[
SELECT id FROM runs WHERE batch_id = $1 AND arguments -> 'piece_of' IS NULL AND outcome = 'done']]

--- A rollback of several runs is undone by its batch.
local BATCH_UNDONE_BY = [[
SELECT u.id, u.batch_id, u.started_at::text AS started_at FROM runs AS r JOIN runs AS u ON u.rolls_back = r.id
WHERE r.batch_id = $1 AND r.arguments -> 'piece_of' IS NULL AND u.outcome = 'done'
ORDER BY u.finished_at DESC LIMIT 1]]

local function refuse_batch(conn, batch)
  local by = conn:query(BATCH_UNDONE_BY, batch)[1]
  local undoing = by and (by.batch_id ~= pg.null and "batch " .. by.batch_id or "run " .. by.id)
  errors.raise { kind = "usage", code = "rolled_back",
    message = ("of batch %s nothing is left to take back%s"):format(batch, by
      and (": its runs were rolled back by %s on %s"):format(undoing, by.started_at:sub(1, 19)) or ""),
    hint = by and "To do again what they did: ligase rollback " .. undoing:gsub("^batch", "--batch"):gsub("^run ", "")
      or "Its runs failed or changed nothing: ligase runs --batch " .. batch }
end

local function ids_of_batch(conn, word)
  local batch = run_finding.batch(conn, word)
  local ids = {}
  for i, row in ipairs(conn:query(OF_BATCH, batch)) do
    ids[i] = row.id
  end
  if #ids == 0 then
    refuse_batch(conn, batch)
  end
  return ids, batch
end

local function resolve(conn, wanted)
  if wanted.batch then
    return ids_of_batch(conn, wanted.batch)
  end
  local ids, seen = {}, {}
  for _, word in ipairs(wanted.runs) do
    local run = run_finding.find(conn, word)
    check_outcome(conn, run)
    check_kind(run)
    if not seen[run.id] then
      seen[run.id] = true
      ids[#ids + 1] = run.id
    end
  end
  return ids
end

-- ---- what cannot be undone -------------------------------------------------

local KNOWN = { measurements = true, alias_sources = true, dataset_signatures = true, feature_names = true }
for _, tbl in ipairs(tables.LIST) do
  KNOWN[tbl.name] = true
end

--- Kinds of changes in the entries of runs, one row for each.
local CHANGES = [[
SELECT m.id, c.change ->> 'table' AS tbl, coalesce((c.change ->> 'deleted')::boolean, false)
    AND c.change -> 'before' ? 'rows' AND NOT c.change -> 'before' ? 'id' AS is_lost,
  c.change ->> 'table' = 'alias_sources' AND NOT c.change ? 'set_aside' AS is_not_kept, count(*) AS n
FROM runs AS m
CROSS JOIN LATERAL (SELECT m.changes UNION ALL SELECT p.changes FROM runs AS p
  WHERE p.batch_id = m.id AND p.arguments ->> 'piece_of' = m.id::text) AS e (changes)
CROSS JOIN LATERAL jsonb_array_elements(e.changes) AS c (change)
WHERE m.id = ANY ($1::uuid[]) AND jsonb_typeof(e.changes) = 'array'
GROUP BY 1, 2, 3, 4]]

local WITHOUT_CHANGES = [[
SELECT id FROM runs WHERE id = ANY ($1::uuid[]) AND jsonb_typeof(changes) IS DISTINCT FROM 'array' LIMIT 1]]

local LOST_SCORES = [[
SELECT m.id, m.counts ->> 'scores' AS scores FROM runs AS m
WHERE m.id = ANY ($1::uuid[]) AND m.command = 'signature delete' AND (m.counts ->> 'scores')::bigint > 0
  AND NOT EXISTS (SELECT FROM runs AS p WHERE p.batch_id = m.id AND p.arguments ->> 'piece_of' = m.id::text) LIMIT 1]]

local function refuse_for_good(run_id, why)
  errors.raise { kind = "usage", code = "irreversible", message = ("run %s cannot be undone: %s"):format(run_id, why),
    hint = "Restore what it took from a backup, or read its source again" }
end

local function check_reversible(conn, all)
  local ids = {}
  for i, run in ipairs(all) do
    check_version(run)
    ids[i] = run.id
  end
  ids = pg.array(ids, "uuid")
  for _, change in ipairs(conn:query(CHANGES, ids)) do
    if change.is_lost then
      refuse_for_good(change.id, ("it deleted rows of %s for good"):format(change.tbl))
    elseif change.is_not_kept then
      refuse_for_good(change.id, "the rows of the alias table that it took out of use were not kept")
    elseif not KNOWN[change.tbl] then
      refuse_for_good(change.id, ("it changed %s, of which the journal does not tell how to undo it"):format(
        text.printable(change.tbl)))
    end
  end
  local bare = conn:query(WITHOUT_CHANGES, ids)[1]
  if bare then
    refuse_for_good(bare.id, "its entry does not say what it changed")
  end
  local lost = conn:query(LOST_SCORES, ids)[1]
  if lost then
    refuse_for_good(lost.id, ("it deleted %s scores, which were not kept"):format(lost.scores))
  end
end

-- ---- what goes along -------------------------------------------------------

local function refuse_built_on(ids, later)
  local lines = {}
  for i = 1, math.min(#later, NAMED_MOST) do
    lines[i] = run_finding.line(later[i])
  end
  errors.raise { kind = "usage", code = "built_on", runs = later, detail = table.concat(lines, "; ")
      .. (#later > NAMED_MOST and "; ..." or ""),
    message = ("%s built on %s"):format(text.count(#later, "later run"), #ids == 1 and "it" or "them"),
    hint = "To undo them too, newest first: --cascade" }
end

local function check_unexplained(plan)
  local found = plan_of.unexplained(plan)
  if #found == 0 then
    return
  end
  local parts = {}
  for i, row in ipairs(found) do
    parts[i] = ("%s %s refers to %s %s"):format(tables.get(row.tbl).name, row.id, tables.get(row.removed).name,
      row.removed_id)
  end
  errors.raise { kind = "usage", code = "referred",
    message = "rows refer to what would be removed, and the journal does not say which run wrote them",
    detail = table.concat(parts, "; "), hint = "Take these references away first" }
end

--- The journal only grows while no other rollback is at work.
local function count_runs(conn)
  return conn:query("SELECT count(*) AS n FROM runs WHERE outcome = 'done'")[1].n
end

--- The runs that have to be undone, with the locks for what they touch: what was found before
--- the locks were held has to be so afterwards.
local function plan_locked(conn, ids)
  local held = {}
  while true do
    local count, plan = count_runs(conn), plan_of.make(conn, ids)
    if not locks.take(conn, held) or count_runs(conn) == count then
      return plan
    end
  end
end

-- ---- all of it -------------------------------------------------------------

local function undo(conn, plan, entry, told)
  journal.number(conn, plan.runs)
  local moved = moves.undo(conn)
  rows.settle(conn)
  rows.apply(conn)
  journal.write(conn, entry)
  moves.undo(conn, moved)
  local tables_exchanged = aliases.undo(conn)
  for _, effect in ipairs(tables_exchanged) do
    journal.add(conn, effect.rollback_id, effect.changes)
  end
  local scored = scores.undo(conn)
  scores.write(conn)
  rows.check(conn)
  local effects, counts = rows.effects(conn)
  for _, effect in ipairs(tables_exchanged) do
    effects[#effects + 1] = { action = effect.action, what = "alias table", name = effect.source, detail = "" }
    local key = "alias table " .. effect.action
    counts[key] = (counts[key] or 0) + 1
  end
  counts["score removed"] = scored.taken > 0 and scored.taken or nil
  counts["score brought back"] = scored.made > 0 and scored.made or nil
  counts["link of a row restored"] = moved.counts.rows > 0 and moved.counts.rows or nil
  counts["receipt restored"] = moved.counts.receipts > 0 and moved.counts.receipts or nil
  local count = journal.tell(conn, told)
  counts["outbox row written"] = count > 0 and count or nil
  return effects, counts
end

local ROLLBACKS = "SELECT rollback_id AS id, run_id FROM undone ORDER BY place"

local function attempt(conn, wanted, options, entry)
  locks.begin(conn)
  local ids, batch = resolve(conn, wanted)
  local plan = plan_locked(conn, ids)
  local all, is_named, named, later = run_finding.all(conn, plan.runs), {}, {}, {}
  for _, id in ipairs(ids) do
    is_named[id] = true
  end
  for _, run in ipairs(all) do
    table.insert(is_named[run.id] and named or later, run)
  end
  check_reversible(conn, named)
  if #later > 0 and not options.cascade then
    refuse_built_on(ids, later)
  end
  check_reversible(conn, later)
  check_unexplained(plan)
  entry.batch_id = #all > 1 and (entry.batch_id or sys.uuid7()) or nil
  entry.arguments.of_batch, entry.arguments.cascade = batch, #later > 0 or nil
  local effects, counts = undo(conn, plan, entry, options.outbox)
  local rollbacks = conn:query(ROLLBACKS)
  return { runs = all, later = later, effects = effects, counts = counts, batch_id = entry.batch_id,
    rollbacks = table.move(rollbacks, 1, #rollbacks, 1, {}) }
end

local REHEARSED = {} -- is raised to undo

local function rehearse(conn, wanted, options, entry)
  local report
  local done, failure = pcall(conn.transaction, conn, function()
    report = attempt(conn, wanted, options, entry)
    error(REHEARSED)
  end)
  if not done and failure ~= REHEARSED then
    error(failure, 0)
  end
  report.rehearsed = true
  return report
end

---@class ligase.rollback_report
---@field runs table[] that were undone, the newest first
---@field later table[] those among them that were not named: they had built on the others
---@field effects ligase.rollback_effect[]
---@field counts table<string, integer>
---@field rollbacks {id: string, run_id: string}[] the runs that undid them
---@field batch_id string|nil of the rollbacks, when they are several
---@field rehearsed boolean|nil nothing was written

--- Undoes runs in one transaction. Raises "usage" when that cannot be done, with the reason;
--- when later runs built on them and `cascade` is not given, with their list.
---@param conn table
---@param wanted {runs: string[]|nil, batch: string|nil} runs by id, start of an id or `last`; or all of a batch
---@param options {cascade: boolean|nil, dry_run: boolean|nil, outbox: boolean|table|nil, arguments: table|nil}|nil
--- dry_run: everything is done and taken back; outbox: other systems are told, of all or of these tables; arguments:
--- what the journal keeps
---@return ligase.rollback_report
function M.run(conn, wanted, options)
  options = options_of.check(options, OPTIONS, "rollback.run")
  for try = 1, ATTEMPTS do
    local entry = { started_at = sys.timestamp(), arguments = {} }
    for name, value in pairs(options.arguments or {}) do
      entry.arguments[name] = value
    end
    local done, result
    if options.dry_run then
      done, result = xpcall(rehearse, errors.explained, conn, wanted, options, entry)
    else
      done, result = xpcall(conn.transaction, errors.explained, conn, attempt, conn, wanted, options, entry)
    end
    if done then
      return result
    elseif not (errors.is(result, "database") and TRY_AGAIN[result.code]) or try == ATTEMPTS then
      error(result, 0)
    end
    sys.sleep(math.random() * 0.05 * 2 ^ try)
  end
end

return M
