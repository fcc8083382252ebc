--- The files of recipes: which one a name means, what it was copied from, and how the two
--- differ.
local errors = require "ligase.base.errors"
local host = require "host"
local line_difference = require "ligase.base.line_difference"
local policy_of = require "ligase.sync.policy"
local recipes = require "ligase.omics.recipes"
local sys = require "sys"
local text = require "ligase.base.text"
local workspace = require "ligase.base.workspace"

local M = {}

local COPIED = "-- %s: copied from the recipe %s of ligase %s.\n--\n"
local COPIED_PATTERN = "^%-%- [^\n]-: copied from the recipe (%S+) of ligase"

---@class ligase.recipe_file
---@field name string
---@field path string of the file that is used
---@field place "workspace"|"ligase"
---@field original string|nil the name of ligase's own that it shadows or was copied from
---@field added integer|nil lines that the original has not
---@field removed integer|nil lines of the original that it has not

local function own_path(name)
  local path = host.home .. "/recipes/" .. name .. ".lua"
  return sys.stat(path) and sys.real_path(path) or nil
end

--- The name at the head of a copy is not counted as a difference.
local function without_header(content)
  return (content:gsub("^%-%- [^\n]-: copied from the recipe [^\n]*\n%-%-\n", "", 1))
end

--- What is known of a recipe's file without loading it.
---@param name string
---@param path string
---@return ligase.recipe_file
function M.about(name, path)
  local file = { name = name, path = path, place = "ligase" }
  if path == own_path(name) then
    return file
  end
  file.place = "workspace"
  local content = sys.read_file(path)
  file.original = own_path(name) and name or content:match(COPIED_PATTERN)
  local original = file.original and own_path(file.original)
  if original then
    file.added, file.removed = line_difference.count(sys.read_file(original), without_header(content))
  end
  return file
end

--- All recipes that a name can mean, by name.
---@return ligase.recipe_file[]
function M.all()
  local files = {}
  for i, known in ipairs(workspace.recipes()) do
    files[i] = M.about(known.name, known.path)
  end
  return files
end

--- Whether a recipe has that name, or the policy, which lies among them.
---@param name string
---@return boolean
function M.is_known(name)
  if name == policy_of.NAME then
    return true
  end
  for _, known in ipairs(workspace.recipes()) do
    if known.name == name then
      return true
    end
  end
  return false
end

--- The file that a name or path means.
---@param word string
---@return ligase.recipe_file
function M.find(word)
  local path = sys.real_path(workspace.find_recipe(word))
  return M.about(path:match("([^/]+)%.lua$") or path:match("[^/]+$"), path)
end

--- How it differs, in words.
---@param file ligase.recipe_file
---@return string|nil nil for ligase's own, and for one that is nobody's copy
function M.difference(file)
  if not file.added then
    return nil
  elseif file.added + file.removed == 0 then
    return ("same as ligase's %s"):format(file.original)
  end
  return ("+%d -%d lines of ligase's %s"):format(file.added, file.removed, file.original)
end

local function name_of(path)
  return path:match("([^/]+)%.lua$")
end

--- Loads and checks what lies among the recipes. Raises what is wrong, with file and line.
---@param path string
---@return string reads what it reads; of what is no recipe that it reads nothing, and what it is
---@return table recipe empty when it is none
function M.load(path)
  if name_of(path) == policy_of.NAME then
    policy_of.load_file(path)
    return "nothing: the policy of the dual write, see: ligase policy check", {}
  end
  local recipe = recipes.load_file(path)
  if not recipe then
    return "nothing: a script to run", {}
  end
  return recipe.omics or recipe.what, recipe
end

--- The policy counts by its name alone, and nothing else may have it.
local function check_policy(name, source)
  if name == policy_of.NAME and name_of(source) ~= name then
    errors.raise { kind = "usage", code = "name", message = ("a copy of %s cannot be called policy: that is the policy "
      .. "of the dual write"):format(text.shown(name_of(source) or source, 60)), hint = "Choose another name" }
  elseif name_of(source) == policy_of.NAME and name ~= policy_of.NAME then
    errors.raise { kind = "usage", code = "name", message = "the policy of the dual write is no recipe, and counts "
      .. "only by its own name", hint = "Copy it with: ligase recipe new policy" }
  end
end

--- What to do with a copy, by what it is.
---@param name string
---@param path string
---@return string
function M.advice(name, path)
  if name == policy_of.NAME then
    return "ligase policy check"
  end
  local loaded, _, recipe = pcall(M.load, path)
  if loaded and not recipes.is_recipe(recipe) then
    return ("ligase recipe check %s; ligase %s"):format(name, path)
  end
  return ("ligase recipe check %s; ligase run %s FILE --dry-run"):format(name, name)
end

--- Copies a recipe into the workspace under a name.
---@param name string
---@param from string the name or path of a recipe
---@return string path of the copy
---@return string source its path
function M.copy(name, from)
  if not name:find("^[%w_][%w_-]*$") then
    errors.raise { kind = "usage", code = "name", message = ("a recipe cannot be called '%s'"):format(
      text.shown(name, 60)), hint = "A name is letters, digits, _ and -" }
  end
  local source = workspace.find_recipe(from)
  check_policy(name, source)
  local folder = workspace.find() .. "/recipes"
  local path = folder .. "/" .. name .. ".lua"
  if sys.stat(path) then
    errors.raise { kind = "usage", code = "exists", message = ("there is a recipe of that name: %s"):format(path),
      hint = "Choose another name, or edit that one" }
  end
  sys.mkdir(folder, { parents = true })
  local content = without_header(sys.read_file(source))
  local origin = name_of(source) or source
  sys.write_file(path, COPIED:format(name, origin, host.version) .. content)
  return path, source
end

return M
