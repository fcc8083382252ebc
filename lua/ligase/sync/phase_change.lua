--- A change of phase: measured, done, verified, journalled.
---
--- Everything that takes long or talks to Notion comes first, in steps that may be repeated; the
--- phase itself changes in one transaction at the end, together with the journal's entry and the
--- verification. A process that dies on the way leaves the phase as it was and a change that is
--- begun; the same command goes on with it.
local errors = require "ligase.base.errors"
local gates_of = require "ligase.sync.gates"
local opening = require "ligase.sync.opening"
local outbox = require "ligase.store.outbox"
local phase_state = require "ligase.store.phase_state"
local phases = require "ligase.sync.phases"
local policy_of = require "ligase.sync.policy"
local steps_of = require "ligase.sync.phase_steps"
local untold = require "ligase.sync.untold"

local M = {}

--- Gates are measured while a person waits.
local GATE_RETRIES, GATE_TOTAL_S = 1, 20

---@class ligase.lab_phase
---@field phase string in force
---@field since string|nil when it was entered; nil when none is stored
---@field is_stored boolean
---@field begun ligase.begun_change|nil
---@field is_under_way boolean|nil another process is changing the phase right now

---@class ligase.phase_report
---@field outcome "done"|"refused"|"rehearsed"
---@field from string
---@field to string
---@field direction "advance"|"back"
---@field gates ligase.gate[]
---@field red ligase.gate[] those that are neither green nor overridden
---@field effects string[]
---@field was table<string, integer>
---@field became table<string, integer>|nil after the steps, also when the phase was not entered; nil before them
---@field compared ligase.comparison[]|nil
---@field is_resumed boolean
---@field is_unverified boolean|nil the red ones are what must hold after the change: none of them can be overridden

--- Where the lab is: the stored phase, else the one of the flags.
---@param config ligase.Config
---@param conn table|nil nil where there is no database yet
---@return ligase.lab_phase
function M.current(config, conn)
  if not conn then
    return { phase = policy_of.phase_of_flags(config), is_stored = false }
  end
  local stored = phase_state.read(conn)
  local begun = phase_state.begun(conn)
  return { phase = stored and stored.phase or policy_of.phase_of_flags(config), since = stored and stored.entered_at,
    is_stored = stored ~= nil, begun = begun, is_under_way = begun and phase_state.is_locked(conn) }
end

--- Notion as one process of a change needs it, opened when it is first asked for.
local function target_of(given, phase, options)
  local target
  return function()
    if not target then
      options = options or {}
      target = opening.target(given.config, { conn = given.another(), phase = phase, retries = options.retries,
        total_s = options.total_s })
    end
    return target
  end
end

local function gates_for(given, current, to, more)
  local patience = { retries = GATE_RETRIES, total_s = GATE_TOTAL_S }
  return gates_of.new { conn = given.conn, phase = current.phase, since = current.since, quick = more and more.quick,
    before = more and more.before, is_rehearsed = more and more.is_rehearsed, target = more and more.target
      or target_of(given, phases.mirroring(current.phase, to), patience) }
end

--- Measures the gates in front of a phase.
---@param given {config: ligase.Config, conn: table, another: fun(): table}
---@param current ligase.lab_phase
---@param to string the phase after it
---@param how {quick: (fun(): ligase.service_state)|nil, is_rehearsed: boolean|nil}|nil quick: how Notion is; what costs
--- requests is then judged by what is kept; is_rehearsed: nothing is kept of what is measured
---@return ligase.gate[]
function M.measure(given, current, to, how)
  local gates = gates_for(given, current, to, how)
  phases.load(to, given.config.workspace):call("check", gates)
  return gates.list
end

-- ---- what is counted before and after --------------------------------------

local COUNT = [[
SELECT count(*) AS entities, count(coalesce(t.notion_page_id, m.page_id)) AS pages
FROM %s AS t LEFT JOIN mirrors AS m ON m.entity_id = t.id AND m.entity_type = '%s' AND m.target = 'notion'
  AND m.trashed_at IS NULL]]

--- Both systems in numbers, as far as Postgres knows them.
local function counted(conn, target)
  local state, waiting = { entities = 0, pages = 0 }, outbox.counts(conn)
  for _, entity_type in ipairs(policy_of.TYPES) do
    local row = conn:query(COUNT:format(entity_type, entity_type))[1]
    state.entities, state.pages = state.entities + row.entities, state.pages + row.pages
  end
  state.waiting, state.dead = waiting.pending + waiting.running, waiting.dead
  local done, all = errors.try(function()
    return untold.count(conn, target()).all
  end)
  state.untold = done and all or nil
  return state
end

-- ---- one change ------------------------------------------------------------

--- The phase beside one.
local function neighbour(phase, direction)
  local wanted = phases.next(phase, direction)
  if not wanted then
    errors.raise { kind = "usage", code = "phase", message = ("'%s' is the %s phase"):format(phase,
      direction == "advance" and "last" or "first"), hint = direction == "advance" and "To go back: ligase phase back"
        or "To go forward: ligase phase advance" }
  end
  return wanted
end

--- The change to go on with: the one that an earlier process began, or a new one.
local function begin(given, current, change)
  local begun = current.begun
  if begun and begun.direction == change.direction and begun.to == change.to then
    for name, reason in pairs(change.overrides) do
      begun.overrides[name] = reason
    end
    return begun, true
  elseif begun then
    phase_state.give_up(given.conn, begun, "left", "another change of phase was begun instead")
  end
  return phase_state.begin(given.conn, change), false
end

local UNVERIFIED = {} -- is raised to undo

--- Changes the phase, if what its script verifies holds then. What must hold cannot be overridden.
local function enter(given, begun, script, work)
  local conn, red = given.conn, {}
  local done, failure = xpcall(conn.transaction, errors.explained, conn, function()
    phase_state.enter(conn, begun, work)
    local gates = gates_of.new { conn = conn, phase = begun.to, before = work.before, target = given.target }
    gates:stored(begun.to)
    script:call("verify", gates)
    red = gates_of.red(gates.list, {})
    if #red > 0 then
      errors.raise { kind = "usage", code = "unverified", message = "not verified", cause = UNVERIFIED }
    end
  end)
  if not done and not (errors.is(failure) and failure.cause == UNVERIFIED) then
    error(failure, 0)
  end
  return done, red
end

local function report_of(change, fields)
  local report = { from = change.from, to = change.to, direction = change.direction, gates = {}, red = {},
    effects = {}, is_resumed = false }
  for name, value in pairs(fields) do
    report[name] = value
  end
  return report
end

--- Of the overrides those that passed a gate: the others are not kept.
local function needed(list, overrides)
  local used = {}
  for _, gate in ipairs(list) do
    used[gate.name] = not gate.is_green and overrides[gate.name] or nil
  end
  return used
end

--- Measures what must be green before anything is done.
local function check(given, current, change, options)
  if change.direction == "back" then
    return {}, {}
  end
  local list = M.measure(given, current, change.to, { is_rehearsed = options.is_rehearsed })
  gates_of.check_overrides(list, change.overrides, options.elsewhere)
  return list, gates_of.red(list, change.overrides)
end

local function joined(a, b)
  return table.move(b, 1, #b, #a + 1, table.move(a, 1, #a, 1, {}))
end

--- The steps of a change that is begun, and then the phase itself.
local function carry_out(given, begun, script, steps, gates)
  local before, step = gates_of.counts(given.conn), begun.direction == "back" and "leave" or "enter"
  script:call(step, steps)
  local all = joined(gates, steps.gates.list)
  gates_of.check_overrides(all, begun.overrides)
  local red, entered = gates_of.red(all, begun.overrides), false
  local is_tried, became = #red == 0, counted(given.conn, given.target)
  if is_tried then
    entered, red = enter(given, begun, script, { gates = all, overrides = needed(all, begun.overrides),
      before = before, counts = steps.counts, became = became })
  end
  return report_of(begun, { outcome = entered and "done" or "refused", gates = all, red = red, effects = steps.effects,
    is_unverified = is_tried and not entered or nil, was = begun.was, became = became, compared = steps.compared })
end

--- Begins a change, or goes on with one, and carries it out. What fails on the way leaves it begun.
local function go(given, current, change, script, steps)
  local begun, is_resumed = begin(given, current, change)
  local done, result = xpcall(carry_out, errors.explained, given, begun, script, steps, change.gates)
  if done then
    result.is_resumed = is_resumed
    return result
  elseif errors.is(result, "usage") then -- the script's own slip: there is nothing to go on with
    errors.try(phase_state.give_up, given.conn, begun, "failed", result)
  end
  error(result, 0)
end

--- Changes which were made by processes that still held the phase before.
local function tell_late(given, change)
  if change.to == "dual_write" or change.to == "postgres_primary" and given.config:get "ENABLE_NOTION_SYNC" then
    errors.try(function()
      untold.tell(given.conn, target_of(given, change.to)())
    end)
  end
end

--- Goes to the next phase, or back to the one before. Raises when Notion or Postgres fails on the
--- way; then the phase is what it was, and the same call goes on.
---@param given {config: ligase.Config, conn: table, another: (fun(): table), say: fun(line: string),
--- wait: (fun(line: string))|nil} another: a further connection, closed by who gave it; wait: told what is waited for
---@param direction "advance"|"back"
---@param options {to: string|nil, overrides: table<string, string>|nil, elsewhere: table<string, boolean>|nil,
--- is_rehearsed: boolean|nil}|nil to: the neighbour that is meant; overrides: reasons by gate; elsewhere: gates that
--- overrides may name although this change does not have them
---@return ligase.phase_report
function M.change(given, direction, options)
  options = options or {}
  local held <close> = phase_state.lock(given.conn)
  if not held then
    errors.raise { kind = "database", code = "phase_locked", message = "another process is changing the phase",
      hint = "Wait until it has finished; see: ligase phase history" }
  end
  local current = M.current(given.config, given.conn)
  local wanted = neighbour(current.phase, direction)
  local change = { direction = direction, from = current.phase, to = options.to or wanted,
    overrides = options.overrides or {} }
  local list, red = check(given, current, change, options)
  if #red > 0 and not options.is_rehearsed then
    return report_of(change, { outcome = "refused", gates = list, red = red, was = {} })
  end
  local back, mirroring = direction == "back", phases.mirroring(change.from, change.to)
  given.target = target_of(given, mirroring)
  local script = phases.load(back and change.from or change.to, given.config.workspace)
  local steps = steps_of.new { conn = given.conn, another = given.another, config = given.config,
    phase = current.phase, mirroring = mirroring, target = given.target,
    own_target = target_of(given, current.phase), say = given.say, wait = given.wait or function() end,
    gates = gates_for(given, current, change.to, { target = given.target }), is_rehearsed = options.is_rehearsed }
  change.was, change.gates = counted(given.conn, given.target), list
  if options.is_rehearsed then
    script:call(back and "leave" or "enter", steps)
    local all = joined(list, steps.gates.list)
    red = gates_of.red(all, change.overrides)
    return report_of(change, { outcome = "rehearsed", gates = all, red = red, effects = steps.effects,
      was = change.was })
  end
  change.overrides = back and change.overrides or needed(list, change.overrides)
  local report = go(given, current, change, script, steps)
  if report.outcome == "done" then
    tell_late(given, change)
  end
  return report
end

--- The gates that the scripts of some phases ask for when they are entered, by their names and
--- without measuring them.
---@param config ligase.Config
---@param names string[] of phases
---@return table<string, boolean>
function M.gate_names(config, names)
  local found = {}
  local recorder = setmetatable({ measure = function(_, name)
    found[name] = true
  end }, { __index = function(_, name)
    return function()
      found[name] = true
    end
  end })
  for _, name in ipairs(names) do
    errors.try(function() -- a script that does more than ask is told when its turn comes
      phases.load(name, config.workspace).check(recorder)
    end)
  end
  return found
end

--- The phases on the way, one after the other.
---@param from string
---@param direction "advance"|"back"
---@param to string|nil the neighbour without it
---@return string[] empty when `to` is where we are
function M.way(from, direction, to)
  local way, place = {}, phases.place(from)
  local step = direction == "advance" and 1 or -1
  local last = phases.place(to or neighbour(from, direction))
  if to and (last - place) * step < 0 then
    errors.raise { kind = "usage", code = "phase", message = ("'%s' lies %s '%s'"):format(to,
      step > 0 and "before" or "after", from),
      hint = ("ligase phase %s --to %s"):format(step > 0 and "back" or "advance", to) }
  end
  for at = place + step, last, step do
    way[#way + 1] = policy_of.PHASES[at]
  end
  return way
end

return M
