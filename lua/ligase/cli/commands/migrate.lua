local migrate = require "ligase.store.migrate"
local output = require "ligase.cli.output"
local text = require "ligase.base.text"

local M = {}

M.summary = "bring the database's schema up to date, or take steps back"
M.description = "Applies the numbered steps of migrations/ under a lock, one transaction each. The private Postgres "
  .. "gets them by itself on the first ingest; a server of yours gets them from this command."
M.example = [[
  ligase migrate status
  ligase migrate up
  ligase migrate down --to 6]]

function M.configure(parser)
  parser:argument("action", "up, down or status."):choices { "up", "down", "status" }:argname("ACTION")
  parser:option("--to", "The last step to apply, or to stay at."):argname("STEP"):convert(math.tointeger)
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
    io.stderr:write("ligase: ", problem.message, ". ", problem.hint or "", "\n")
    return 1
  end
end

function M.run(arguments, context)
  if arguments.action == "status" then
    return status(arguments, context)
  end
  local function connect()
    return context:connect()
  end
  local steps = migrate[arguments.action](connect, { to = arguments.to })
  for _, step in ipairs(steps) do
    io.stdout:write(("%-4s %03d %s (%s)\n"):format(arguments.action, step.step, step.name,
      text.duration(step.seconds)))
  end
  if #steps == 0 then
    io.stdout:write("nothing to do\n")
  end
end

return M
