local ingesting = require "ligase.cli.ingesting"
local recipes = require "ligase.omics.recipes"

local M = {}

M.summary = "read omics tables into Postgres"
M.description = "Reads wide matrices (one column per sample) and statistics tables (log2 fold change, p) into "
  .. "Postgres, each file whole or not at all. The same file read again is no change; a changed one becomes the "
  .. "dataset's next revision."
M.example = [[
  ligase ingest plasma_lipids.csv
  ligase ingest --program ALS --set "Lipid ID=feature" results/*.csv
  zcat big.tsv.gz | ligase ingest --name plasma -]]

function M.configure(parser)
  parser:option("--omics", "The omics type, which chooses the recipe: lipidomics."):argname("TYPE")
  ingesting.configure(parser)
end

function M.run(arguments, context)
  return ingesting.ingest_all(arguments, context, recipes.for_omics(arguments.omics), "ingest")
end

return M
