--- The schema's numbered steps: applied, taken back, looked at.
---
--- Each step runs in one transaction and is recorded there with the checksums of its
--- files, so that a file that was changed after it was applied is noticed. Only one
--- process migrates at a time; it waits for locks a second at a time, so that it
--- never holds up those who work with the tables while it waits itself.
local effects = require "ligase.store.migration_effects"
local errors = require "ligase.base.errors"
local files_of = require "ligase.store.migration_files"
local lock_of = require "ligase.store.migration_lock"
local options_of = require "ligase.base.options"
local record = require "ligase.store.migration_record"
local runner = require "ligase.store.migration_run"
local way_back = require "ligase.store.migration_way_back"

local M = {}

local WAIT_S = 60

--- The steps there are files for, in order.
M.files = files_of.list

M.new = files_of.new

M.state = record.state

-- ---- looking ---------------------------------------------------------------

local function state_of(file, row)
  if not row then
    return "pending"
  end
  local up, down = files_of.checksums(file)
  return row.name == file.name and row.checksum == up and row.down_checksum == down and "applied" or "changed"
end

--- Every step with what became of it. Raises nothing about drift: it tells.
---@param conn table
---@param folder? string ligase's own migrations without it
---@return {step: integer, name: string, state: string, applied_at: string?, host_version: string?}[]
--- steps with the state "applied", "pending", "changed" or "unknown" (no file)
---@return table? problem {code, message, hint, step, file} why up and down would refuse
function M.status(conn, folder)
  local files, applied = M.files(folder), record.applied(conn)
  local steps, by_step = {}, {}
  for _, row in ipairs(applied) do
    by_step[row.step] = row
  end
  for i, file in ipairs(files) do
    local row = by_step[i]
    steps[i] = { step = i, name = file.name, state = state_of(file, row),
      applied_at = row and row.applied_at, host_version = row and row.host_version }
  end
  for _, row in ipairs(applied) do
    if row.step > #files then
      steps[#steps + 1] = { step = row.step, name = row.name, state = "unknown",
        applied_at = row.applied_at, host_version = row.host_version }
    end
  end
  return steps, record.contradiction(files, applied)
end

local INVALID_INDEXES = [[
  SELECT i.indexrelid::regclass::text AS name FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indrelid
  WHERE NOT i.indisvalid AND c.relnamespace = current_schema()::regnamespace ORDER BY 1]]

local function verify_step(conn, file)
  local body = files_of.read(file)
  if not body.verify then
    return nil
  end
  local findings
  conn:script "SET default_transaction_read_only = on" -- for the session: also beyond a COMMIT of the step's own
  local done, failure = errors.try(conn.transaction, conn, function()
    findings = body.verify(conn)
  end)
  errors.try(conn.script, conn, "RESET default_transaction_read_only")
  if not done then
    findings = { tostring(failure) }
  end
  return type(findings) == "table" and findings or findings and { tostring(findings) } or {}
end

--- Asks each applied step whether what it did is as it should be, and compares the
--- checksums. Nothing can be changed meanwhile: it is asked in a read-only transaction.
---@param conn table
---@param folder? string ligase's own migrations without it
---@return {step: integer?, name: string, findings: string[], is_asked: boolean}[] verdicts the last
--- one is of the whole schema
function M.verify(conn, folder)
  local files, applied = M.files(folder), record.applied(conn)
  local verdicts, problem = {}, record.contradiction(files, applied)
  for i, row in ipairs(applied) do
    local is_known = files[row.step] and files[row.step].name == row.name
    local findings = is_known and verify_step(conn, files[row.step])
    verdicts[i] = { step = row.step, name = row.name, findings = findings or {}, is_asked = findings and true or false }
    if problem and problem.step == row.step then
      table.insert(verdicts[i].findings, 1, problem.message .. ". " .. problem.hint)
    elseif not is_known or state_of(files[row.step], row) ~= "applied" then
      table.insert(verdicts[i].findings, 1, "its files are not those that were applied")
    end
  end
  local whole = { name = "schema", findings = {}, is_asked = true }
  local is_applied = {}
  for _, row in ipairs(applied) do
    is_applied[row.step] = true
  end
  if problem and not is_applied[problem.step] then
    whole.findings[1] = problem.message .. ". " .. problem.hint
  end
  for _, row in ipairs(conn:query(INVALID_INDEXES)) do
    whole.findings[#whole.findings + 1] = ("index %s is not valid: a build was interrupted. Drop it (DROP INDEX "
      .. "CONCURRENTLY %s), and build it again"):format(row.name, row.name)
  end
  verdicts[#verdicts + 1] = whole
  return verdicts
end

-- ---- the words of a call ---------------------------------------------------

local function with(fields)
  local spec = {
    folder = { type = "string" },
    wait_s = { type = "number", min = 0, default = WAIT_S },
    statement_timeout_s = { type = "number", min = 0 },
    dry_run = { type = "boolean", default = false },
    say = { type = "function", default = function() end },
    on_step = { type = "function", default = function() end },
  }
  for name, rule in pairs(fields) do
    spec[name] = rule
  end
  return spec
end

local BACKUP = { type = "table" }
local ON_BACKUP = { type = "function", default = function() end }
local UP = with { to = { type = "integer", min = 0 } }
local DOWN = with { to = { type = "integer", min = 0 }, count = { type = "integer", min = 1 }, backup = BACKUP,
  on_backup = ON_BACKUP, discard = { type = "boolean" }, loses = { type = "boolean" } }
local REDO = with { backup = BACKUP, on_backup = ON_BACKUP, discard = { type = "boolean" } }
local PLAN = with { to = { type = "integer", min = 0 }, count = { type = "integer", min = 1 },
  direction = { type = "string", values = { "up", "down", "redo" }, default = "up" },
  sql_only = { type = "boolean", default = false } }

local function misuse(message, hint)
  errors.raise { kind = "usage", code = "step", message = message, hint = hint }
end

local function check_target(options, files)
  if options.to and options.to > #files then
    misuse(("there is no step %d"):format(options.to), ("The last one is %d (%s)"):format(#files, files[#files].name))
  elseif options.to and options.count then
    misuse("both a number of steps and the step to stay at are given", "Give one of the two")
  elseif options.backup and options.discard then
    misuse("both a backup and going without one are asked for", "Give one of the two: --backup FILE or --discard")
  end
end

local function check_count(options, applied)
  local count = options.count
  if count and count > #applied then
    misuse(("there are no %d steps to take back: %s applied"):format(count,
      #applied == 0 and "none is" or #applied == 1 and "one is" or #applied .. " are"),
      "All of them are taken back by: ligase migrate down --to 0")
  end
end

--- The command that does the same once more.
local function again(action, options, first)
  local words = { "ligase migrate", action }
  local to = options.to or action == "down" and math.max(0, first - (options.count or 1))
  if to then
    words[#words + 1] = ("--to %d"):format(to)
  end
  if options.folder then
    words[#words + 1] = "--folder " .. options.folder
  end
  if options.backup then
    words[#words + 1] = "--backup FILE"
  elseif options.discard then
    words[#words + 1] = "--discard"
  end
  return table.concat(words, " ")
end

--- The steps to take, in their order.
local function tasks_of(action, options, files, applied)
  local up, down = {}, {}
  if action == "up" then
    table.move(files, #applied + 1, options.to or #files, 1, up)
  else
    local stay = options.to or math.max(0, #applied - (options.count or 1))
    for i = #applied, stay + 1, -1 do
      down[#down + 1] = files[i]
    end
    if action == "redo" then
      up[1] = files[#applied]
    end
  end
  local tasks = runner.tasks("down", down)
  for _, task in ipairs(runner.tasks("up", up)) do
    tasks[#tasks + 1] = task
  end
  return tasks
end

-- ---- going -----------------------------------------------------------------

local NOTHING_TO_CLOSE = setmetatable({}, { __close = function() end })

--- The connection to work on, and one for the lock. A function makes both; a
--- connection that was handed in serves as both and stays open.
local function connections(source)
  if type(source) ~= "function" then
    return source, source, NOTHING_TO_CLOSE
  end
  local opened = {}
  local function open()
    opened[#opened + 1] = source()
    return opened[#opened]
  end
  return open(), open, setmetatable({}, { __close = function()
    for _, conn in ipairs(opened) do
      conn:close()
    end
  end })
end

--- Calls act(tasks, lock_conn, run) once nobody else can change what is applied.
local function under_lock(conn, lock, action, options, files, act)
  local lock_conn = type(lock) == "function" and lock() or lock
  local held <close> = lock_of.take(lock_conn, options.wait_s, options.say) -- luacheck: ignore 211
  runner.prepare(conn)
  local applied = record.applied(conn)
  record.check(files, applied)
  check_count(options, applied)
  local run = { wait_s = options.wait_s, statement_timeout_s = options.statement_timeout_s, say = options.say,
    again = again(action, options, #applied) }
  return act(tasks_of(action, options, files, applied), lock_conn, run)
end

--- What is undone together: by itself each step, or all of them; a step outside a
--- transaction is always by itself.
local function units_of(tasks, is_whole)
  local units = {}
  for _, task in ipairs(tasks) do
    local last = units[#units]
    if is_whole and last and task.body.transaction and last[1].body.transaction then
      last[#last + 1] = task
    else
      units[#units + 1] = { task }
    end
  end
  return units
end

local function go(conn, tasks, lock_conn, run, options, is_whole)
  local look = way_back.prepare(conn, tasks, options, run)
  is_whole = is_whole or options.backup ~= nil
  local finished = {}
  for _, unit in ipairs(units_of(tasks, is_whole)) do
    lock_of.assert_held(lock_conn)
    local first = #finished + 1
    local seconds
    local before = look and function()
      look(unit, first)
    end
    if unit[1].body.transaction then
      seconds = runner.together(conn, unit, run, before)
    else
      if before then
        conn:transaction(before)
      end
      seconds = { runner.outside(conn, unit[1], run) }
    end
    for i, task in ipairs(unit) do
      local result = { step = task.step.step, name = task.step.name, direction = task.direction, seconds = seconds[i] }
      finished[#finished + 1] = result
      options.on_step(result)
    end
  end
  return finished
end

local function rehearse(conn, tasks, run)
  local before, after
  local trials = runner.rolled_back(conn, tasks, run, function(trial)
    if trial then
      after = effects.snapshot(conn)
    else
      before = effects.snapshot(conn)
      after = before
    end
  end)
  trials.effects, trials.loses = effects.difference(conn, before, after)
  return trials
end

local function act(action, source, options, is_whole)
  local files = M.files(options.folder)
  check_target(options, files)
  local conn, lock, opened = connections(source)
  local closing <close> = opened -- luacheck: ignore 211
  if action == "up" then -- the usual case is that there is nothing to do, and then one question is enough
    local applied = record.applied(conn)
    record.check(files, applied)
    if #applied >= (options.to or #files) then
      return {}
    end
  end
  return under_lock(conn, lock, action, options, files, function(tasks, lock_conn, run)
    if options.dry_run then
      return rehearse(conn, tasks, run)
    end
    return go(conn, tasks, lock_conn, run, options, is_whole)
  end)
end

---@class ligase.MigrateOptions
---@field to? integer up: the last step to apply; down: the step to stay at, 0 for none
---@field count? integer down: how many steps to take back, 1 without it
---@field folder? string ligase's own migrations without it
---@field wait_s? number how long to wait for another migration, and for locks, 60 without it
---@field statement_timeout_s? number the longest that a statement may take
---@field dry_run? boolean run everything in a transaction that is rolled back
---@field backup? ligase.BackupOptions down, redo: made and tested first; needed where going back loses something
---@field on_backup? fun(kept: ligase.Backup) told of the backup that was made
---@field discard? boolean down, redo: rows and values may go without a backup
---@field loses? boolean down: nothing is lost by going back, as in a scratch database; also over steps that say
--- that they are irreversible
---@field say? fun(text: string?) told what is waited for, nil when that is over
---@field on_step? fun(done: {step: integer, name: string, direction: string, seconds: number})

--- Applies the steps that are missing. With nothing to do, this is one query.
---@param source table|function a connection, or a function that makes one (then the
--- lock has a connection of its own)
---@param options? ligase.MigrateOptions
---@return {step: integer, name: string, direction: string, seconds: number}[] applied after a dry run
--- what would be, with `effects`: one line for each change, and `loses`: whether rows or values go
function M.up(source, options)
  return act("up", source, options_of.check(options, UP, "migrate.up"), false)
end

--- Takes steps back, the latest first.
---@param source table|function as for up
---@param options? ligase.MigrateOptions
---@return {step: integer, name: string, direction: string, seconds: number}[] taken_back as for up
function M.down(source, options)
  return act("down", source, options_of.check(options, DOWN, "migrate.down"), false)
end

--- Takes the last step back and applies it again, in one transaction.
---@param source table|function as for up
---@param options? ligase.MigrateOptions
---@return {step: integer, name: string, direction: string, seconds: number}[] done as for up
function M.redo(source, options)
  return act("redo", source, options_of.check(options, REDO, "migrate.redo"), true)
end

-- ---- what would be ---------------------------------------------------------

local function sql_of(task)
  local texts = task.body.texts
  if texts[task.direction] then
    return texts[task.direction]
  elseif not task.body.transaction then
    local noted = runner.noted(task)
    return noted and table.concat(noted, ";\n") .. ";\n"
  end
end

--- Runs the planned steps in a transaction that is rolled back, to see their locks and the
--- SQL of those in Lua.
local function try_plan(conn, tasks, planned, run)
  local known, held
  local done, result = errors.try(runner.rolled_back, conn, tasks, run, function(trial)
    if not trial then
      known, held = effects.relations(conn), {}
      return
    end
    local entry = planned[trial.step .. trial.direction]
    entry.locks = effects.locks(conn, known, held)
    entry.sql = entry.sql or trial.statements and table.concat(trial.statements, ";\n") .. ";\n"
    entry.problem = trial.not_tried
  end)
  return not done and result or nil
end

--- What `up`, `down` or `redo` would send, and which locks on tables that are there now it
--- would take. The steps are run for that and rolled back, unless sql_only is set.
---@param source function makes a connection
---@param options? table `direction` beside those of up and down; sql_only: run nothing
---@return {step: integer, name: string, direction: string, path: string, sql: string?, locks: table[]?, problem:
--- string?}[] plan sql is nil where only running it would tell; locks: {table, mode, blocks}
---@return ligase.Error? failure what went wrong when the steps were run
function M.plan(source, options)
  options = options_of.check(options, PLAN, "migrate.plan")
  local files = M.files(options.folder)
  check_target(options, files)
  local conn, lock, opened = connections(source)
  local closing <close> = opened -- luacheck: ignore 211
  return under_lock(conn, lock, options.direction, options, files, function(tasks, _, run)
    local plan = {}
    for i, task in ipairs(tasks) do
      plan[i] = { step = task.step.step, name = task.step.name, direction = task.direction,
        path = task.direction == "up" and task.step.up_path or task.step.down_path, sql = sql_of(task),
        irreversible = task.direction == "down" and task.body.irreversible or nil }
      plan[task.step.step .. task.direction] = plan[i]
    end
    local failure = not options.sql_only and #plan > 0 and try_plan(conn, tasks, plan, run) or nil
    return plan, failure
  end)
end

return M
