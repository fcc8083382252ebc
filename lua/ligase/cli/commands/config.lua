local output = require "ligase.cli.output"

local M = {}

M.summary = "print every setting, its value and where it came from"
M.description = "Settings come from the environment or from .env in the workspace; the environment wins. Secrets are "
  .. "masked. docs/configuration.md explains each."
M.example = [[
  ligase config
  POSTGRES_URL=postgresql://lab@db/omics ligase config --set-only]]

function M.configure(parser)
  parser:flag("--set-only", "Only settings that were given a value.")
  output.add_format(parser)
end

function M.run(arguments, context)
  local result = { columns = {} }
  for i, name in ipairs { "setting", "value", "source", "meaning" } do
    result.columns[i] = { name = name, type = "text" }
  end
  for _, flag in ipairs(context.config:list()) do
    if flag.is_set or not arguments.set_only then
      result[#result + 1] = { flag.name, flag.value, flag.source, flag.meaning }
    end
  end
  output.print(result, arguments.format)
end

return M
