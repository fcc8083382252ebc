--- The workspace: the folder a lab works in. It holds the private cluster
--- (`.ligase`), the settings (`.env`) and the lab's own recipes; where it says
--- nothing, what came with ligase counts.
local errors = require "ligase.base.errors"
local host = require "host"
local sys = require "sys"
local text = require "ligase.base.text"

local M = {}

local function is_type(path, wanted)
  local found, stat = pcall(sys.stat, path) -- a folder that we may not look into is none for us
  return found and stat ~= nil and stat.type == wanted
end

local function is_directory(path)
  return is_type(path, "directory")
end

local function join(folder, name)
  return folder == "/" and "/" .. name or folder .. "/" .. name
end

local function absolute(path)
  return path:sub(1, 1) == "/" and path or join(sys.cwd(), path)
end

--- Whether the folder was meant as a workspace. The root and a person's home hold
--- many things by accident; there only `.ligase` counts.
local function is_marked(folder, is_common_ground)
  return is_directory(join(folder, ".ligase"))
    or not is_common_ground
      and (is_type(join(folder, ".env"), "file") or is_directory(join(folder, "recipes")))
end

local function home_folder()
  local home = sys.getenv("HOME")
  local found, real = pcall(sys.real_path, home ~= "" and home or "/")
  return found and real or "/"
end

--- The workspace's folder: $LIGASE_WORKSPACE, else the nearest folder from
--- start_folder upwards (not above $HOME) that holds `.ligase`, `.env` or `recipes/`,
--- else start_folder itself.
---@param start_folder? string the current folder without it
---@return string folder an absolute path without links
function M.find(start_folder)
  local wanted = sys.getenv("LIGASE_WORKSPACE")
  if wanted and wanted ~= "" then
    if not is_directory(wanted) then
      errors.raise { kind = "usage", code = "workspace",
        message = ("LIGASE_WORKSPACE names no folder: %s"):format(wanted),
        hint = "Make the folder, or unset the variable" }
    end
    return sys.real_path(wanted)
  end
  local start = sys.real_path(start_folder or sys.cwd())
  local home = home_folder()
  local folder = start
  while true do
    if is_marked(folder, folder == "/" or folder == home) then
      return folder
    end
    if folder == "/" or folder == home then
      return start
    end
    folder = folder:match("^(.+)/[^/]*$") or "/"
  end
end

--- The folders that may hold recipes or Lua modules, the workspace's first.
---@param kind string "recipes" or "lua"
---@param workspace? string a folder; found without it
---@return string[] folders those that exist
function M.search_path(kind, workspace)
  local folders, seen = {}, {}
  for _, parent in ipairs { workspace or M.find(), host.home } do
    local folder = join(parent, kind)
    if is_directory(folder) then
      folder = sys.real_path(folder)
      if not seen[folder] then
        seen[folder] = true
        folders[#folders + 1] = folder
      end
    end
  end
  return folders
end

--- Scripts that lie among the recipes and are none: they are not about files.
local NO_RECIPES = { policy = true }

--- All recipes that a name can mean, in alphabetical order. A recipe of the
--- workspace hides the one of the same name that came with ligase.
---@param workspace? string a folder; found without it
---@return {name: string, path: string}[]
function M.recipes(workspace)
  local found, seen = {}, {}
  for _, folder in ipairs(M.search_path("recipes", workspace)) do
    for _, file in ipairs(sys.list(folder)) do
      local name = file:match("^([^.].*)%.lua$")
      if name and not seen[name] and not NO_RECIPES[name] then
        seen[name] = true
        found[#found + 1] = { name = name, path = join(folder, file) }
      end
    end
  end
  table.sort(found, function(a, b)
    return a.name < b.name
  end)
  return found
end

--- The file of a recipe, by the recipe's name or the file's path. Raises "usage" when
--- there is none, naming those there are.
---@param name string
---@param workspace? string a folder; found without it
---@return string path absolute
function M.find_recipe(name, workspace)
  if (name:find("/", 1, true) or name:find("%.lua$")) and is_type(name, "file") then
    return absolute(name)
  end
  for _, folder in ipairs(M.search_path("recipes", workspace)) do
    local path = join(folder, name .. ".lua")
    if is_type(path, "file") then
      return path
    end
  end
  local names = {}
  for i, recipe in ipairs(M.recipes(workspace)) do
    names[i] = recipe.name
  end
  local nearest = text.nearest(name, names)
  local known = #names > 0 and "Recipes: " .. table.concat(names, ", ")
    or "There are no recipes yet; they lie in " .. join(workspace or M.find(), "recipes")
  errors.raise { kind = "usage", code = "recipe",
    message = ("there is no recipe '%s'"):format(name),
    hint = nearest and ("Did you mean '%s'? %s"):format(nearest, known) or known }
end

return M
