--- `ligase ingest`: files into Postgres.
local ingesting = require "ligase.cli.ingesting"
local recipes = require "ligase.omics.recipes"

local M = {}

M.description = "Reads wide matrices (one column per sample) and statistics tables (log2 fold change, p) into "
  .. "Postgres, each file whole or not at all. The same file read again is no change; a changed one becomes the "
  .. "dataset's next revision. A folder stands for all tables in and below it."
M.example = [[
  ligase ingest plasma_lipids.csv
  ligase ingest --program ALS --set lipid=feature plasma_lipids.csv treated_vs_control.csv
  ligase ingest --jobs 2 --report report.csv results/
  ligase ingest --retry
  cat plasma_lipids.csv | ligase ingest --name plasma -]]

--- Declares the command's words.
---@param parser table argparse's
function M.configure(parser)
  parser:option("--omics", "The omics type, which chooses the recipe of that name, such as lipidomics."):argname("TYPE")
  ingesting.configure(parser)
end

--- Runs the command.
---@param arguments table as parsed
---@param context ligase.context
---@return integer status
function M.run(arguments, context)
  local as_queued = arguments.retry and not arguments.omics
  return ingesting.ingest_all(arguments, context, not as_queued and recipes.for_omics(arguments.omics) or nil, "ingest")
end

return M
