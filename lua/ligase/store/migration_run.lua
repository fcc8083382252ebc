--- Steps are run here: in a transaction that is tried again while others hold the tables'
--- locks, outside of one where a step asks for it, or in one that is rolled back in any
--- case, to see what would be.
local errors = require "ligase.base.errors"
local files_of = require "ligase.store.migration_files"
local guard = require "ligase.store.migration_guard"
local index_builds = require "ligase.store.index_builds"
local lock = require "ligase.store.migration_lock"
local losses = require "ligase.store.migration_losses"
local record = require "ligase.store.migration_record"
local sys = require "sys"

local M = {}

local LOCK_NOT_AVAILABLE, DEADLOCK = "55P03", "40P01"
local CANCELLED, IN_TRANSACTION = "57014", "25001"
local CHECKS_CONNECTION = 14 -- the first version of Postgres that notices a client's death by itself

---@class ligase.StepTask
---@field direction string "up" or "down"
---@field step ligase.Step
---@field body ligase.StepBody

---@class ligase.StepRun options of a run
---@field wait_s number for how long locks are waited for
---@field statement_timeout_s? number
---@field again string the command to type after a failure was remedied
---@field say fun(text: string?)

-- ---- what a failure is told as ---------------------------------------------

--- The line of a file in which the character at position stands.
local function line_of(text, position)
  local byte = text and position and utf8.offset(text, position)
  return byte and select(2, text:sub(1, byte - 1):gsub("\n", "")) + 1 or nil
end

local ADVICE = {
  [IN_TRANSACTION] = "What cannot run in a transaction is written as a step in Lua with transaction = false",
  [CANCELLED] = "It was cancelled, or took longer than --statement-timeout allows",
}

--- Failures that say by themselves what was done and what to do.
local SPEAKS = { [guard.ENDED] = true, [losses.CODE] = true, backup_outdated = true }

--- How much of a step was done when it failed.
local function extent_of(failure, body)
  if not body.transaction then
    return "The step is not recorded, and goes on where it stopped"
  elseif errors.is(failure) and failure.unknown_outcome then
    return "Whether the step was done is not known: ligase migrate status tells"
  end
  return "Nothing of this step was done"
end

local function raise_failed(failure, task, again)
  if errors.is(failure, "interrupted") or errors.is(failure, "system")
    or errors.is(failure) and SPEAKS[failure.code] then
    error(failure, 0)
  end
  local fields = { kind = "input", code = "migration_step", message = tostring(failure) }
  if errors.is(failure) then
    fields = {}
    for key, value in pairs(failure) do
      fields[key] = value
    end
  end
  local body, direction = task.body, task.direction
  fields.message = ("migration %s failed on the way %s: %s"):format(task.step.name, direction, fields.message)
  fields.file = direction == "up" and task.step.up_path or task.step.down_path
  fields.line = line_of(body.texts[direction], math.tointeger(tonumber(fields.position)))
  if task.step.is_lua and fields.statement then
    fields.detail = (fields.detail and fields.detail .. "; " or "") .. "in: " .. fields.statement:match("%S[^\n]*")
  end
  fields.statement, fields.position, fields.step = nil, nil, task.step.step
  local advice = fields.hint or ADVICE[fields.code]
  fields.hint = ("%s%s; after the remedy run: %s"):format(advice and advice:gsub("%.$", "") .. ". " or "",
    extent_of(failure, body), again)
  errors.raise(fields)
end

local function is_passing(failure)
  return errors.is(failure, "database") and (failure.code == LOCK_NOT_AVAILABLE or failure.code == DEADLOCK)
end

local function raise_locked(failure, task, run)
  errors.raise { kind = "database", code = failure.code, detail = failure.message, step = task.step.step,
    file = task.direction == "up" and task.step.up_path or task.step.down_path,
    message = ("migration %s could not lock its tables within %g s"):format(task.step.name, run.wait_s),
    hint = "Other sessions use them; see who: SELECT pid, state, query FROM pg_stat_activity; then run: " .. run.again }
end

-- ---- one step --------------------------------------------------------------

local function server_version(conn)
  return tonumber((conn:parameter("server_version") or ""):match("^%d+")) or 0
end

--- Has the server stop work whose client has died, where it can.
---@param conn table
function M.prepare(conn)
  if server_version(conn) >= CHECKS_CONNECTION and conn:transaction_status() == "idle" then
    errors.try(conn.script, conn, "SET client_connection_check_interval = '1s'")
  end
end

local function limit(conn, scope, lock_timeout_s, run)
  conn:script(("SET %s lock_timeout = %d"):format(scope, math.max(1, lock_timeout_s * 1000 // 1)))
  if run.statement_timeout_s then
    conn:script(("SET %s statement_timeout = %d"):format(scope, math.max(1, run.statement_timeout_s * 1000 // 1)))
  end
end

local function note(conn, task)
  if task.direction == "up" then
    record.add(conn, task.step, task.body)
  else
    record.remove(conn, task.step)
  end
end

--- The names of the steps of a list before one, as far as they run in a transaction.
local function names_before(tasks, at)
  local names = {}
  for i = 1, at - 1 do
    names[#names + 1] = tasks[i].body.transaction and tasks[i].step.name or nil
  end
  return names
end

--- Runs one step of a list and its record in the transaction that is open; the statements of
--- the step are put into `statements`, if there is such a list.
local function perform(conn, tasks, at, run, statements)
  local task = tasks[at]
  if task.step.is_lua then -- SQL files begin with it
    conn:script("SET LOCAL citus.multi_shard_modify_mode = 'sequential'")
  end
  guard.within(conn, task, run.again, names_before(tasks, at), function()
    if statements then
      conn:set_echo(function(sql)
        statements[#statements + 1] = sql
      end)
    end
    task.body[task.direction](task.step.is_lua and guard.connection(conn, task) or conn,
      index_builds.new(conn, { wait_s = run.wait_s }))
    if statements then
      conn:set_echo(false)
    end
  end)
  note(conn, task)
end

--- Calls try(step_is_over) until it succeeds, or fails by more than a lock that others hold.
local function insist(conn, tasks, run, try)
  local began, attempt = sys.monotonic(), 0
  while true do
    local current = tasks[1]
    local done, result = pcall(try, function(task)
      current = task
    end)
    if done then
      if attempt > 0 then
        run.say(nil)
      end
      return result
    end
    local waited = sys.monotonic() - began
    if not is_passing(result) or not conn:is_open() then
      run.say(nil)
      raise_failed(result, current, run.again)
    elseif waited > run.wait_s then
      run.say(nil)
      raise_locked(result, current, run)
    end
    attempt = attempt + 1
    run.say(("%s waits for tables that others use: %d of %d s"):format(current.step.name, waited // 1,
      run.wait_s // 1))
    lock.nap(attempt)
  end
end

--- Runs steps in one transaction: all of them or none.
---@param conn table
---@param tasks ligase.StepTask[]
---@param run ligase.StepRun
---@param before? fun() called first in the transaction
---@return number[] seconds by task
function M.together(conn, tasks, run, before)
  return insist(conn, tasks, run, function(at)
    local seconds = {}
    conn:transaction(function()
      limit(conn, "LOCAL", 1, run)
      if before then
        before()
      end
      for i, task in ipairs(tasks) do
        at(task)
        local began = sys.monotonic()
        perform(conn, tasks, i, run)
        seconds[i] = sys.monotonic() - began
      end
    end)
    return seconds
  end)
end

--- Runs a step that must not be in a transaction, and records it when it is through.
---@param conn table
---@param task ligase.StepTask
---@param run ligase.StepRun
---@return number seconds
function M.outside(conn, task, run)
  local began = sys.monotonic()
  insist(conn, { task }, run, function()
    -- Waiting for a long time is harmless here: a concurrent build holds nobody up.
    limit(conn, "SESSION", run.wait_s, run)
    local done, failure = pcall(task.body[task.direction], conn, index_builds.new(conn, { wait_s = run.wait_s }))
    if conn:is_open() then
      conn:rollback()
      conn:script("RESET lock_timeout; RESET statement_timeout")
    end
    if not done then
      error(failure, 0)
    end
    conn:transaction(note, conn, task)
  end)
  return sys.monotonic() - began
end

-- ---- what would be ---------------------------------------------------------

local ROLL_BACK = {}

---@class ligase.Trial what a step would do
---@field step integer
---@field name string
---@field direction string
---@field seconds? number
---@field statements? string[] of a step in Lua
---@field not_tried? string why

local function try_one(conn, tasks, at, run)
  local task = tasks[at]
  local trial = { step = task.step.step, name = task.step.name, direction = task.direction }
  if task.body.transaction then
    local began = sys.monotonic()
    trial.statements = task.step.is_lua and {} or nil
    perform(conn, tasks, at, run, trial.statements)
    trial.seconds = sys.monotonic() - began
  else
    trial.not_tried = "it runs outside a transaction, which cannot be taken back"
  end
  return trial
end

--- Runs steps in a transaction that is rolled back whatever happens. What runs outside a
--- transaction is left out.
---@param conn table its echo is off afterwards
---@param tasks ligase.StepTask[]
---@param run ligase.StepRun
---@param look? fun(trial: ligase.Trial|nil) called before the first step and after each, within the transaction
---@return ligase.Trial[]
function M.rolled_back(conn, tasks, run, look)
  return insist(conn, tasks, run, function(at)
    local trials = {}
    local done, failure = pcall(conn.transaction, conn, function()
      limit(conn, "LOCAL", 1, run)
      if look then
        look(nil)
      end
      for i, task in ipairs(tasks) do
        at(task)
        trials[i] = try_one(conn, tasks, i, run)
        if look then
          look(trials[i])
        end
      end
      error(ROLL_BACK, 0)
    end)
    conn:set_echo(false)
    if not done and failure ~= ROLL_BACK then
      error(failure, 0)
    end
    return trials
  end)
end

--- The SQL that a step outside a transaction would send, as far as it is index builds.
---@param task ligase.StepTask
---@return string[]? statements nil when it does more than that
function M.noted(task)
  local noted = {}
  local done = errors.try(task.body[task.direction], nil, index_builds.new(nil, { wait_s = 0, noted = noted }))
  return done and noted or nil
end

--- A task for each step, with what it does. A step whose SQL ends its transaction raises.
---@param direction string "up" or "down"
---@param steps ligase.Step[]
---@return ligase.StepTask[]
function M.tasks(direction, steps)
  local tasks = {}
  for i, step in ipairs(steps) do
    tasks[i] = { direction = direction, step = step, body = files_of.read(step) }
    guard.check_text(tasks[i])
  end
  return tasks
end

return M
