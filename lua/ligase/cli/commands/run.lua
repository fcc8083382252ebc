local ingesting = require "ligase.cli.ingesting"
local recipes = require "ligase.omics.recipes"

local M = {}

M.summary = "read files by a recipe of yours"
M.description = "Like ingest, with a recipe named by its file or by its name in the workspace's recipes/ folder."
M.example = [[
  ligase run lipidomics plasma_lipids.csv
  ligase run ./recipes/my_panel.lua panel.csv --dry-run]]

function M.configure(parser)
  parser:argument("recipe", "The recipe's name, or the path of its file."):argname("RECIPE")
  ingesting.configure(parser)
end

function M.run(arguments, context)
  return ingesting.ingest_all(arguments, context, recipes.load(arguments.recipe), "run")
end

return M
