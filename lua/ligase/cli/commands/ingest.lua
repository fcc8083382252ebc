--- `ligase ingest`: files into Postgres.
local errors = require "ligase.base.errors"
local ingesting = require "ligase.cli.ingesting"
local recipes = require "ligase.omics.recipes"

local M = {}

M.description = "Reads omics tables into Postgres: matrices, statistics, long tables, and what instruments and tools "
  .. "write (ligase inspect --formats). Each file is stored whole or not at all. The same file read again is no "
  .. "change; a changed one becomes the dataset's next revision. A folder stands for all tables in and below it."
M.example = [[
  ligase ingest plasma_lipids.csv
  ligase ingest --program ALS --create --set lipid=feature plasma_lipids.csv treated_vs_control.csv
  ligase ingest --jobs 2 --report report.json results/
  ligase ingest --retry
  ligase ingest --recipe compounds library.tsv
  cat plasma_lipids.csv | ligase ingest --name plasma -]]

--- Declares the command's words.
---@param parser table argparse's
function M.configure(parser)
  parser:option("--omics", "The omics type, such as lipidomics, and with it the recipe; without it, what each file "
    .. "holds decides."):argname("TYPE")
  parser:option("--recipe", "The recipe, by name or path; also one for programs, experiments, compounds or features.")
    :argname("NAME")
  ingesting.configure(parser)
end

--- Runs the command.
---@param arguments table as parsed
---@param context ligase.context
---@return integer status
function M.run(arguments, context)
  if arguments.omics and arguments.recipe then
    errors.raise { kind = "usage", code = "usage", message = "--omics and --recipe both say by which recipe to read",
      hint = "Give one of them" }
  end
  local recipe = arguments.recipe and recipes.load_any(arguments.recipe)
    or arguments.omics and recipes.load(arguments.omics) or nil
  return ingesting.ingest_all(arguments, context, recipe, "ingest")
end

return M
