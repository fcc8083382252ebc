--- By which recipes stored names are read now.
local pg = require "pg"
local recipes = require "ligase.omics.recipes"
local text = require "ligase.base.text"
local workspace = require "ligase.base.workspace"

local M = {}

--- Says something on standard error.
---@param message string a format
---@param ... any
function M.note(message, ...)
  io.stderr:write("ligase: ", message:format(...), "\n")
end

--- The recipes by name, as they are now.
---@return fun(name: string): ligase.recipe|nil
function M.loader()
  local paths, loaded = {}, {}
  for _, known in ipairs(workspace.recipes()) do
    paths[known.name] = known.path
  end
  return function(name)
    if not loaded[name] and paths[name] then
      loaded[name] = recipes.load(paths[name])
    end
    return loaded[name]
  end
end

--- The recipe by which names are read now: the one of the same name, else the standard
--- one of the omics type, which is said. nil, which is said too, when there is neither.
---@param load fun(name: string): ligase.recipe|nil from loader
---@param group {recipe: string|pg.null, omics_type: string, datasets: integer}
---@return ligase.recipe|nil
function M.recipe_of(load, group)
  local name = group.recipe ~= pg.null and group.recipe or nil
  local recipe = name and load(name)
  if recipe then
    return recipe
  end
  local shown, count = text.printable(name or "-"), text.count(group.datasets, "dataset")
  recipe = load(group.omics_type)
  if recipe then
    M.note("the recipe '%s' is gone; the names of %s (%s) are read by the recipe '%s'", shown, count,
      text.printable(group.omics_type), recipe.name)
  else
    M.note("neither the recipe '%s' nor one for %s is there; the names of %s are left out", shown,
      text.printable(group.omics_type), count)
  end
  return recipe
end

return M
