--- `ligase run RECIPE FILE...`, and `ligase RECIPE.lua FILE...`.
local ingesting = require "ligase.cli.ingesting"
local recipes = require "ligase.omics.recipes"

local M = {}

M.description = "Like ingest, with a recipe named by its file or by its name in the workspace's recipes/ folder. "
  .. "The recipe's file itself can be run too: ligase recipes/my_panel.lua FILE."
M.example = [[
  ligase run lipidomics plasma_lipids.csv
  ligase run compounds library.tsv
  ligase run lipidomics --dry-run --decimal . --missing=-,NA plasma_lipids.csv]]

--- Declares the command's words.
---@param parser table argparse's
function M.configure(parser)
  parser:argument("RECIPE", "The recipe's name, or the path of its file."):target("recipe"):argname("RECIPE")
  ingesting.configure(parser)
end

--- Runs the command.
---@param arguments table as parsed
---@param context ligase.context
---@return integer status
function M.run(arguments, context)
  return ingesting.ingest_all(arguments, context, context.recipe or recipes.load_any(arguments.recipe), "run")
end

return M
