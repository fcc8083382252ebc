--- `ligase config`: every setting.
local host = require "host"
local output = require "ligase.cli.output"

local M = {}

M.description = "Prints every setting, its value and where it came from: the environment, .env in the workspace (the "
  .. "environment wins), or the default. Secrets are masked. docs/configuration.md explains each."
M.example = [[
  ligase config
  POSTGRES_URL=postgresql://lab@db/omics ligase config --set-only]]

--- Declares the command's words.
---@param parser table argparse's
function M.configure(parser)
  parser:flag("--set-only", "Only settings that were given a value.")
  output.add_format(parser)
end

--- Runs the command.
---@param arguments table as parsed
---@param context ligase.context
function M.run(arguments, context)
  local result = { columns = {} }
  for i, name in ipairs { "setting", "value", "source", "meaning" } do
    result.columns[i] = { name = name, type = "text" }
  end
  for _, flag in ipairs(context.config:list()) do
    if flag.is_set or not arguments.set_only then
      result[#result + 1] = { flag.name, flag.value ~= "" and flag.value or host.null, flag.source, flag.meaning }
    end
  end
  output.print(result, arguments.format)
end

return M
