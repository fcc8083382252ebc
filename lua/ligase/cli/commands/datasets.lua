--- `ligase datasets`: what there is.
local datasets = require "ligase.store.datasets"
local entities = require "ligase.store.entities"
local output = require "ligase.cli.output"

local M = {}

M.description = "Lists the datasets with the figures of their current revision."
M.example = [[
  ligase datasets
  ligase datasets --program ALS
  ligase datasets --omics lipidomics --format csv]]

--- Declares the command's words.
---@param parser table argparse's
function M.configure(parser)
  parser:option("--omics", "Only those of this omics type."):argname("TYPE")
  parser:option("--program", "Only those of this program."):argname("PROGRAM")
  parser:option("--experiment", "Only those of this experiment."):argname("EXPERIMENT")
  output.add_format(parser)
end

--- Runs the command.
---@param arguments table as parsed
---@param context ligase.context
function M.run(arguments, context)
  local conn = context:open_if_there()
  if conn then
    local program = arguments.program and entities.find(conn, "program", arguments.program).id
    local experiment = arguments.experiment and entities.find(conn, "experiment", arguments.experiment).id
    output.print(datasets.list(conn, arguments.omics, program, experiment), arguments.format)
  end
end

return M
