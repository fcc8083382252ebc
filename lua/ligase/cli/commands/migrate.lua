--- `ligase migrate`: the schema's steps.
local migrate = require "ligase.store.migrate"
local output = require "ligase.cli.output"
local parsing = require "ligase.cli.parsing"
local text = require "ligase.base.text"

local M = {}

M.description = "Applies the numbered steps of the schema under a lock, one transaction each, or takes them back, the "
  .. "latest first (their tables and what is in them go with them). The private Postgres gets its schema by itself; "
  .. "a server of yours gets it from this command."
M.example = [[
  ligase migrate status
  ligase migrate up
  ligase migrate down --to 6]]

local ACTIONS = { "up", "down", "status" }

--- Declares the command's words.
---@param parser table argparse's
function M.configure(parser)
  parser:argument("ACTION", "up, down or status."):target("action"):argname("ACTION")
    :convert(parsing.one_of("the action", ACTIONS))
  parser:option("--to", "up: the last step to apply; down: the step to stay at, 0 for none."):argname("STEP")
    :convert(parsing.whole_number("--to", 0))
  output.add_format(parser)
end

local function status(arguments, context)
  local steps, problem = migrate.status(context:connect())
  local result = { columns = {} }
  for i, name in ipairs { "step", "name", "state", "applied_at", "version" } do
    result.columns[i] = { name = name, type = i == 1 and "int4" or "text" }
  end
  for i, step in ipairs(steps) do
    result[i] = { tostring(step.step), step.name, step.state, step.applied_at or "", step.host_version or "" }
  end
  output.print(result, arguments.format)
  if problem then
    output.flush()
    io.stderr:write("ligase: ", problem.message, ". ", problem.hint or "", "\n")
    return 1
  end
end

--- Runs the command.
---@param arguments table as parsed
---@param context ligase.context
---@return integer|nil status
function M.run(arguments, context)
  if arguments.action == "status" then
    return status(arguments, context)
  end
  local steps = migrate[arguments.action](function()
    return context:connect()
  end, { to = arguments.to })
  for _, step in ipairs(steps) do
    output.write(("%-4s %s (%s)\n"):format(arguments.action, step.name, text.duration(step.seconds)))
  end
  if #steps == 0 then
    output.write("nothing to do\n")
  end
end

return M
