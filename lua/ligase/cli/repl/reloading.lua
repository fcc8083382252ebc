--- Recipes and modules of the workspace are loaded anew when their files have changed.
---
--- Who holds a module's table goes on holding it: its content is replaced. What does not
--- compile, or fails while it is loaded, leaves the last good one in force.
local errors = require "ligase.base.errors"
local sys = require "sys"
local text = require "ligase.base.text"
local words = require "ligase.words"

local M = {}

---@class ligase.reloading
---@field folder string the workspace's lua folder
---@field stamps table<string, string> by file: what it was when it was loaded, or looked at last
local Reloading = {}
Reloading.__index = Reloading

--- Watches what was loaded from a workspace.
---@param workspace string
---@return ligase.reloading
function M.new(workspace)
  words.keep_last_good()
  local folder = workspace .. "/lua"
  return setmetatable({ folder = folder, template = ("%s/?.lua;%s/?/init.lua"):format(folder, folder), stamps = {},
    files = {} }, Reloading)
end

local function stamp_of(path)
  local done, stat = errors.try(sys.stat, path)
  return done and stat and ("%d %d %.6f"):format(stat.inode, stat.size_bytes, stat.modified_s) or nil
end

--- Whether the file has changed since it was looked at last; the first look only notes it.
local function has_changed(self, path)
  local stamp, before = stamp_of(path), self.stamps[path]
  if stamp == nil or stamp == before then
    return false
  end
  self.stamps[path] = stamp
  return before ~= nil
end

local function load_module(path, name)
  local chunk, problem = loadfile(path)
  if not chunk then
    error(problem, 0)
  end
  local module = chunk(name, path)
  return module == nil and true or module
end

--- A format registers itself when it is loaded, and may not do so twice.
local function load_anew(name, path)
  local module
  if name:find("^ligase%.omics%.formats%.") then
    module = require("ligase.omics.formats").anew(path, load_module, path, name)
  else
    module = load_module(path, name)
  end
  local old = package.loaded[name]
  if type(old) == "table" and type(module) == "table" then
    words.replace(old, module)
  else
    package.loaded[name] = module
  end
end

--- The file of a module that came from the workspace, or false.
local function file_of(self, name)
  if self.files[name] == nil then
    self.files[name] = package.searchpath(name, self.template) or false
  end
  return self.files[name]
end

--- What is said of it, and whether it was loaded.
local function try_to(what, fn, ...)
  local done, failure = errors.try(fn, ...)
  if done then
    return what .. " was loaded anew", true
  end
  local why = errors.is(failure) and tostring(failure) or tostring(errors.wrap(failure))
  return ("%s has changed, but cannot be loaded: %s. The last good one stays in force"):format(what,
    text.printable((why:gsub("%.$", "")))), false
end

local function reload_recipe(recipe, path)
  words.replace(recipe, require("ligase.omics.recipes").load_any(path))
end

--- Recipes may hold functions of modules: where one is new, they are loaded anew as well,
--- which is only said where it fails.
local function look_at_recipes(self, said, is_module_new)
  for path, recipe in pairs(words.loaded_recipes) do
    local is_changed = has_changed(self, path)
    if is_changed or is_module_new then
      local saying, done = try_to("recipe " .. path:match("([^/]+)%.lua$"), reload_recipe, recipe, path)
      if is_changed or not done then
        said[#said + 1] = is_changed and saying or saying:gsub(" has changed, but cannot", " cannot", 1)
      end
    end
  end
end

--- Notes what is loaded and new, and loads anew what has changed.
---@return string[] said one line for each that changed
function Reloading:look()
  local said, names, is_module_new = {}, {}, false
  for name in pairs(stamp_of(self.folder) and package.loaded or {}) do
    names[#names + 1] = type(name) == "string" and file_of(self, name) and name or nil
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local path = file_of(self, name)
    if has_changed(self, path) then
      local done
      said[#said + 1], done = try_to("module " .. name, function()
        load_anew(name, path)
      end)
      is_module_new = is_module_new or done
    end
  end
  look_at_recipes(self, said, is_module_new)
  return said
end

return M
