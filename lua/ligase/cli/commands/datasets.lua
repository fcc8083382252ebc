local datasets = require "ligase.store.datasets"
local output = require "ligase.cli.output"

local M = {}

M.summary = "list the datasets"
M.example = [[
  ligase datasets
  ligase datasets --omics lipidomics --format csv]]

function M.configure(parser)
  parser:option("--omics", "Only those of this omics type."):argname("TYPE")
  output.add_format(parser)
end

function M.run(arguments, context)
  output.print(datasets.list(context:open(), arguments.omics), arguments.format)
end

return M
