--- The scripts of the phases: migrations/phases/NAME.lua, of which a copy in the workspace's
--- migrations/phases/ is used instead. A script says what must be measured before its phase is
--- entered, what is done on the way in and on the way out, and what must hold then.
---
---   return phases.define {
---     name = "dual_write",
---     check = function(gate) gate:notion() end,
---     enter = function(change) change:tell_notion() end,
---     verify = function(gate) gate:nothing_lost() end,
---     leave = function(change) change:tell_notion() change:deliver() change:compare() end,
---   }
---
--- `gate` is a ligase.gates, `change` a ligase.phase_steps. What enter and leave do may be
--- repeated: a change that was interrupted runs them again.
local errors = require "ligase.base.errors"
local options_of = require "ligase.base.options"
local policy_of = require "ligase.sync.policy"
local sys = require "sys"
local workspace = require "ligase.base.workspace"

local M = {}

---@class ligase.phase_script
---@field name string
---@field path string
---@field source string its path as Lua's messages have it
---@field check fun(gate: ligase.gates)
---@field enter fun(change: ligase.phase_steps)
---@field verify fun(gate: ligase.gates)
---@field leave fun(change: ligase.phase_steps)
local Script = {}
Script.__index = Script

local OPTIONS = { name = { type = "string", required = true, values = policy_of.PHASES },
  check = { type = "function", required = true }, enter = { type = "function", required = true },
  verify = { type = "function", required = true }, leave = { type = "function", required = true } }

--- Makes a phase of what a script says, checked.
---@param definition {name: string, check: function, enter: function, verify: function, leave: function}
---@return ligase.phase_script
function M.define(definition)
  return setmetatable(options_of.check(definition, OPTIONS, "phases.define"), Script)
end

local HINT = "Mend the script at the line named; the phase was not changed"

local function refuse(path, message, line, hint)
  errors.raise { kind = "usage", code = "phase_script", file = path, line = math.tointeger(tonumber(line)),
    message = message, hint = hint or HINT }
end

--- Classes of SQLSTATE that say that a statement is wrong, and not the world.
local SLIPS = { ["22"] = true, ["42"] = true }

--- The line of the script that some text of Lua's names first, and what follows it.
local function line_in(script, said)
  local place = script.source .. ":"
  local at = said and said:find(place, 1, true)
  if at then
    return said:match("^(%d+):%s?([^\n]*)", at + #place)
  end
end

--- Refuses a slip of the script's. One that shows only deeper, in what the script called, is told
--- with the line of the script that called it.
local function refuse_slip(script, what, problem)
  local said = errors.is(problem) and problem.message or tostring(problem)
  local first = said:match "^[^\n]*"
  local line, message = line_in(script, first)
  refuse(script.path, ("%s failed: %s"):format(what, message or first),
    line or line_in(script, errors.is(problem) and problem.traceback))
end

--- Raises what a script raised: as it is when it speaks for itself, else with file and line.
local function refuse_raised(script, what, problem)
  if errors.is(problem, "database") and SLIPS[problem.code:sub(1, 2)] then
    refuse(script.path, ("%s failed: %s"):format(what, errors.describe(problem):match "^[^\n]*"))
  elseif errors.is(problem, "usage") and line_in(script, problem.where) then
    refuse(script.path, problem.message, (line_in(script, problem.where)), problem.hint)
  elseif errors.is(problem) and problem.kind ~= "internal" then
    error(problem, 0)
  end
  refuse_slip(script, what, problem)
end

local function find(name, folder)
  for _, place in ipairs(workspace.search_path("migrations/phases", folder)) do
    local path = ("%s/%s.lua"):format(place, name)
    local stat = sys.stat(path)
    if stat and stat.type == "file" then
      return path
    end
  end
  errors.raise { kind = "input", code = "phase_script",
    message = ("there is no script for the phase '%s'"):format(name),
    hint = "Install ligase anew; its folders lua, recipes and migrations belong together" }
end

--- Loads the script of a phase: the workspace's, else the one that came with ligase. Raises
--- "usage" with file and line when it is wrong.
---@param name string
---@param folder string|nil the workspace; found without it
---@return ligase.phase_script
function M.load(name, folder)
  local path = find(name, folder)
  local chunk, problem = loadfile(path, "t")
  if not chunk then
    local line, message = problem:match ":(%d+): (.*)$"
    refuse(path, message or problem, line)
  end
  local source = debug.getinfo(chunk, "S").short_src
  local done, script = xpcall(chunk, errors.explained)
  if not done then
    if errors.is(script, "usage") and not script.where then
      script.file = script.file or path
    end
    refuse_raised({ path = path, source = source }, "the script", script)
  elseif getmetatable(script) ~= Script then
    refuse(path, "the file returns no phase; it must end with: return phases.define { ... }")
  elseif script.name ~= name then
    refuse(path, ("the file %s.lua describes the phase '%s'"):format(name, script.name))
  end
  script.path, script.source = path, source
  return script
end

--- Calls one of a script's functions.
---@param step "check"|"enter"|"verify"|"leave"
---@param subject ligase.gates|ligase.phase_steps
function Script:call(step, subject)
  local done, problem = xpcall(self[step], errors.explained, subject)
  if not done then
    refuse_raised(self, ("%s of phase '%s'"):format(step, self.name), problem)
  end
end

--- Where a phase stands in the order of all.
---@param name string
---@return integer
function M.place(name)
  for i, phase in ipairs(policy_of.PHASES) do
    if phase == name then
      return i
    end
  end
  errors.raise { kind = "usage", code = "phase", message = ("there is no phase '%s'"):format(name) }
end

--- The phase before or after another one; nil at the end.
---@param name string
---@param direction "advance"|"back"
---@return string|nil
function M.next(name, direction)
  return policy_of.PHASES[M.place(name) + (direction == "advance" and 1 or -1)]
end

--- By which phase's rules Notion is told and compared during a change between two neighbours: the
--- one in which pages follow Postgres.
---@param a string
---@param b string
---@return string
function M.mirroring(a, b)
  local earlier = M.place(a) < M.place(b) and a or b
  return earlier == "notion_primary" and "dual_write" or earlier
end

return M
