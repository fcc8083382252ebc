--- `ligase datasets`: what there is.
local datasets = require "ligase.store.datasets"
local output = require "ligase.cli.output"

local M = {}

M.description = "Lists the datasets with the figures of their current revision."
M.example = [[
  ligase datasets
  ligase datasets --omics lipidomics --format csv]]

--- Declares the command's words.
---@param parser table argparse's
function M.configure(parser)
  parser:option("--omics", "Only those of this omics type."):argname("TYPE")
  output.add_format(parser)
end

--- Runs the command.
---@param arguments table as parsed
---@param context ligase.context
function M.run(arguments, context)
  local conn = context:open_if_there()
  if conn then
    output.print(datasets.list(conn, arguments.omics), arguments.format)
  end
end

return M
