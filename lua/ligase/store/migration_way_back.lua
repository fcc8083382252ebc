--- What stands before a way back: a step that says that it is irreversible, rows and values
--- that would be lost, the backup that was asked for. All of it before the first step goes,
--- so that nothing is half done.
local backup_of = require "ligase.store.backup"
local effects = require "ligase.store.migration_effects"
local errors = require "ligase.base.errors"
local losses = require "ligase.store.migration_losses"
local runner = require "ligase.store.migration_run"

local M = {}

local function check_irreversible(tasks, run)
  for _, task in ipairs(tasks) do
    if task.direction == "down" and task.body.irreversible then
      errors.raise { kind = "database", code = "irreversible", step = task.step.step, file = task.step.down_path,
        message = ("taking back %s loses what cannot be made again: %s"):format(task.step.name,
          task.body.irreversible),
        hint = ("Keep a backup that is tested first: %s --backup FILE"):format(run.again:gsub(" %-%-discard$", "")) }
    end
  end
end

--- Runs the steps in a transaction that is rolled back, to see which of the tables and
--- columns that are there now go.
---@return ligase.Going[]
local function going_of(conn, tasks, run)
  local going, first, before, at
  runner.rolled_back(conn, tasks, run, function(trial)
    local after = effects.snapshot(conn)
    if not trial then -- perhaps not for the first time, when locks were waited for
      going, first, at = {}, after, 0
    else
      at = at + 1
      for _, thing in ipairs(effects.going(before, after, at)) do
        going[#going + 1] = first[thing.id] and thing or nil
      end
    end
    before = after
  end)
  return going
end

--- Steps outside a transaction that do more than build and drop indexes.
local function unknown_of(tasks)
  local names = {}
  for _, task in ipairs(tasks) do
    local is_unknown = task.direction == "down" and not task.body.transaction and not runner.noted(task)
    names[#names + 1] = is_unknown and task.step.name or nil
  end
  return names
end

local function check_losses(conn, tasks, run)
  local going = going_of(conn, tasks, run)
  losses.check(conn, tasks, going, unknown_of(tasks), run.again)
  return function(unit, first)
    local here = {}
    for _, thing in ipairs(going) do
      here[#here + 1] = thing.at >= first and thing.at < first + #unit and thing or nil
    end
    losses.check_unchanged(conn, unit, here, run.again)
  end
end

local function keep_backup(conn, options, run)
  local kept = backup_of.make(conn, options.backup, options.say)
  options.on_backup(kept)
  return function(_, first)
    if first == 1 then
      backup_of.check_unchanged(conn, kept, run.again)
    end
  end
end

--- Makes the backup, or refuses where something would be lost without one.
---@param conn table outside a transaction
---@param tasks ligase.StepTask[]
---@param options ligase.MigrateOptions
---@param run ligase.StepRun
---@return (fun(unit: ligase.StepTask[], first: integer))? look to be called in the transaction of each unit of tasks
--- before anything is done there, with the number of its first task
function M.prepare(conn, tasks, options, run)
  if #tasks == 0 or tasks[1].direction == "up" or options.loses then
    return nil
  elseif options.backup then
    return keep_backup(conn, options, run)
  end
  check_irreversible(tasks, run)
  return not options.discard and check_losses(conn, tasks, run) or nil
end

return M
