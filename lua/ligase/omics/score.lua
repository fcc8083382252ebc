--- Scoring methods: how well a dataset goes along with a signature.
---
--- Each method is one short file in lua/ligase/omics/score/, of the workspace or of ligase, that
--- calls register once; the workspace's file hides ligase's of the same name. A method gets one
--- dataset and many signatures at once and gives lists, one entry for each signature. It
--- computes from what it is given and from nothing else, so that the same inputs give the
--- same scores in every batch.
local errors = require "ligase.base.errors"
local options = require "ligase.base.options"
local sys = require "sys"
local text = require "ligase.base.text"
local workspace = require "ligase.base.workspace"

local M = {}

local METHOD = {} -- marks a checked method

--- What a method looks at.
---
--- "effects": the matching of a contrast's effects (their signs and sizes). "samples": that of
--- each sample's values. "selection": which features were selected of those measured.
M.NEEDS = { "effects", "samples", "selection" }

---@class ligase.score_method
---@field name string the name of its file ("concordance")
---@field version string counts up whenever it would give another score
---@field title string for people
---@field source string where it is described
---@field needs string one of M.NEEDS
---@field parameters table<string, number|string> what can be said of it, with the values it has otherwise
---@field undirected boolean|nil it has something to say of a dataset without directions too
---@field ungated boolean|nil it scores signatures of which less than the threshold was found
---@field score fun(work: ligase.score_work, parameters: table): ligase.score_lists
---@field path string set on loading

--- One dataset (in one contrast) and many signatures.
---@class ligase.score_work
---@field count integer how many signatures
---@field matching table of the effects; of a dataset without directions, all are 0
---@field found table matching:agreement(), by signature
---@field coverage number[] matched weight over total weight, by signature
---@field wanted boolean[] false: too little of the signature was found for a score
---@field has_effects boolean
---@field samples {name: string, matching: table, size: integer}[]|nil one by one, for "samples"
---@field groups {case: integer[], control: integer[]}|nil places of samples
---@field selection {matching: table, selected: integer, measured: integer}|nil for "selection"

--- Lists with one entry for each signature; host.null where there is nothing to say.
---@class ligase.score_lists
---@field score (number|userdata)[]
---@field p_value (number|userdata)[]|nil
---@field is_match (boolean|userdata)[]|nil
---@field details (table|userdata)[]|nil

local SPEC = {
  name = { type = "string", required = true }, version = { type = "string", required = true },
  title = { type = "string", required = true }, source = { type = "string", required = true },
  needs = { type = "string", required = true, values = M.NEEDS }, parameters = { type = "table", default = {} },
  undirected = { type = "boolean" }, ungated = { type = "boolean" }, score = { type = "function", required = true },
}

--- By name; and the file that is being loaded, which must register under its own name.
local registered, loading = {}, nil

local function refuse(message, hint, file)
  errors.raise { kind = "usage", code = "method", file = file, message = message, hint = hint }
end

--- Makes a method known. Called once by each file of methods.
---@param definition table
---@return ligase.score_method
function M.register(definition)
  local method = options.check(definition, SPEC, "score.register")
  if loading and method.name ~= loading.name then
    refuse(("the method '%s' stands in a file of another name"):format(method.name),
      ("Name it '%s', like its file"):format(loading.name), loading.path)
  elseif registered[method.name] then
    refuse(("there is a method '%s' already"):format(method.name), "Give it another name")
  end
  method.path = loading and loading.path
  registered[method.name] = setmetatable(method, METHOD)
  return method
end

--- The files of methods by name, the workspace's first.
local function files()
  local found, names = {}, {}
  for _, folder in ipairs(workspace.search_path "lua") do
    local of_methods = folder .. "/ligase/omics/score"
    local stat = sys.stat(of_methods)
    for _, file in ipairs(stat and stat.type == "directory" and sys.list(of_methods) or {}) do
      local name = file:match "^([%w_-]+)%.lua$"
      if name and not found[name] then
        found[name] = { name = name, path = of_methods .. "/" .. file }
        names[#names + 1] = name
      end
    end
  end
  table.sort(names)
  return found, names
end

local function load_file(file)
  loading = file
  local done, result = pcall(require, "ligase.omics.score." .. file.name)
  loading = nil
  if not done then
    if errors.is(result) then
      result.file = result.file or (not rawget(result, "where") and file.path or nil)
      error(result, 0)
    end
    refuse(tostring(result):match "^[^\n]*", "Mend the method at the line named", file.path)
  elseif getmetatable(result) ~= METHOD then
    refuse("the file returns no scoring method", "It must end with: return score.register { ... }", file.path)
  end
  return result
end

--- The names of all methods, in alphabetical order.
---@return string[]
function M.names()
  return select(2, files())
end

--- The method of that name. Raises "usage" when there is none, naming those there are.
---@param name string
---@return ligase.score_method
function M.get(name)
  if registered[name] then
    return registered[name]
  end
  local found, names = files()
  if found[name] then
    return load_file(found[name])
  end
  local near = text.nearest(name, names)
  refuse(("there is no scoring method '%s'"):format(text.printable(name)),
    (near and ("Did you mean '%s'? "):format(near) or "") .. "The methods are " .. table.concat(names, ", "))
end

--- A method's parameters: its own values, and those that were given.
---@param method ligase.score_method
---@param given table<string, number|string>
---@return table<string, number|string>
function M.parameters(method, given)
  local parameters = {}
  for name, value in pairs(method.parameters) do
    parameters[name] = value
    if given[name] ~= nil then
      parameters[name] = given[name]
    end
  end
  return parameters
end

return M
