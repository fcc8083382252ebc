--- Recipes: finding them, loading them, checking them.
local errors = require "ligase.base.errors"
local options = require "ligase.base.options"
local sys = require "sys"
local workspace = require "ligase.base.workspace"

local M = {}

local RECIPE = {} -- marks a checked recipe

---@class ligase.recipe
---@field omics string omics type of its datasets ("lipidomics")
---@field feature_type string type of its features ("lipid")
---@field name_columns string[] headers that may stand over the names, the likeliest first
---@field read_name fun(raw: string): ligase.reading|nil
---@field stages (fun(ingest: ligase.ingest, frame: table))[]
---@field dialect table|nil fixed answers for the dialect (separator, decimal, missing, ...)
---@field set table<string,string>|nil fixed roles of columns
---@field name string set on loading
---@field path string set on loading
---@field sha256 string set on loading: of the recipe's text

local SPEC = {
  omics = { type = "string", required = true },
  feature_type = { type = "string", required = true },
  name_columns = { type = "table", required = true },
  read_name = { type = "function", required = true },
  stages = { type = "table", required = true },
  dialect = { type = "table" },
  set = { type = "table" },
}

--- Checks a recipe's definition and marks it as one.
---@param definition table
---@return ligase.recipe
function M.define(definition)
  local recipe = options.check(definition, SPEC, "recipe")
  for i, stage in ipairs(recipe.stages) do
    if type(stage) ~= "function" then
      errors.raise { kind = "usage", code = "recipe", message = ("stage %d of the recipe is a %s, not a function")
          :format(i, type(stage)), hint = "Is its name misspelled? pipeline has recognise, link and store" }
    end
  end
  return setmetatable(recipe, RECIPE)
end

--- Whether a value is a recipe made by define.
---@param value any
---@return boolean
function M.is_recipe(value)
  return getmetatable(value) == RECIPE
end

--- Loads a recipe by name (from the workspace's recipes/, then ligase's own) or path.
---@param name string
---@return ligase.recipe
function M.load(name)
  local path = workspace.find_recipe(name)
  local source = sys.read_file(path)
  local chunk, problem = load(source, "@" .. path, "t")
  if not chunk then
    errors.raise { kind = "usage", code = "syntax", message = problem,
      hint = "Mend the recipe at the line named" }
  end
  local recipe = chunk()
  if not M.is_recipe(recipe) then
    errors.raise { kind = "usage", code = "recipe", file = path, message = "the file returns no recipe",
      hint = "It must end with: return pipeline.recipe { ... }" }
  end
  recipe.name = path:match("([^/]+)%.lua$") or path:match("([^/]+)$")
  recipe.path = path
  recipe.sha256 = sys.sha256(source)
  return recipe
end

--- The recipe for an omics type; without one, the only recipe there is.
---@param omics string|nil
---@return ligase.recipe
function M.for_omics(omics)
  if omics then
    return M.load(omics)
  end
  local known = workspace.recipes()
  if #known == 1 then
    return M.load(known[1].path)
  end
  local names = {}
  for i, recipe in ipairs(known) do
    names[i] = recipe.name
  end
  errors.raise { kind = "usage", code = "omics", message = "which omics type is it?",
    hint = "Say --omics with one of: " .. table.concat(names, ", ") }
end

return M
