--- Recipes: finding them, loading them, checking them.
local errors = require "ligase.base.errors"
local formats = require "ligase.omics.formats"
local host = require "host"
local options = require "ligase.base.options"
local sys = require "sys"
local workspace = require "ligase.base.workspace"

local M = {}

local RECIPE = {} -- marks a checked recipe
local OTHER = {} -- marks a recipe for files that are no datasets

---@class ligase.recipe
---@field omics string omics type of its datasets ("lipidomics")
---@field feature_type string type of its features ("lipid")
---@field name_columns string[] headers that may stand over the names, the likeliest first
---@field read_name fun(raw: string): ligase.reading|nil
---@field describe_name (fun(name: string): table|nil)|nil what follows from a canonical name: class, formula, ...
---@field stages (fun(ingest: ligase.ingest, frame: table))[]
---@field dialect table|nil fixed answers for the dialect (separator, decimal, missing, ...)
---@field set table<string,string>|nil fixed roles of columns
---@field format string|nil the format of its files, instead of detection
---@field name string set on loading
---@field path string set on loading
---@field sha256 string set on loading: of the recipe's text

local SPEC = {
  omics = { type = "string", required = true },
  feature_type = { type = "string", required = true },
  name_columns = { type = "table", required = true },
  read_name = { type = "function", required = true },
  describe_name = { type = "function" },
  stages = { type = "table", required = true },
  dialect = { type = "table" },
  set = { type = "table" },
  format = { type = "string" },
}

local DIALECT_SPEC = {
  separator = { type = "string" }, quote = { type = "string|boolean" }, encoding = { type = "string" },
  decimal = { type = "string", values = { ".", "," } }, skip_lines = { type = "integer", min = 0 },
  comment = { type = "string" }, missing = { type = "table" }, field_bytes = { type = "integer", min = 1 },
  column_limit = { type = "integer", min = 1 },
}

local function refuse(message, hint, level)
  errors.raise({ kind = "usage", code = "recipe", message = message, hint = hint }, level and level + 1)
end

--- Every entry of a list is of that type, and there is one.
local function check_list(list, wanted, what, hint)
  local count = 0
  for i in pairs(list) do
    count = count + 1
    if type(list[count]) ~= wanted then
      refuse(("%s %s of the recipe is a %s, not a %s"):format(what, math.type(i) and count or tostring(i),
        type(list[count]), wanted), hint, 3)
    end
  end
  if count == 0 then
    refuse(("the recipe has no %s"):format(what), hint, 3)
  end
end

local function check_set(set)
  for column, role in pairs(set) do
    if type(column) ~= "string" or type(role) ~= "string" then
      refuse("the recipe's set must hold pairs of texts: [\"column\"] = \"role\"", nil, 3)
    end
  end
end

local function shown(value)
  return type(value) == "string" and ("'%s'"):format(value) or ("a " .. type(value))
end

--- What read_name gave, if a name can be made of it; says what is wrong otherwise.
local function check_reading(raw, reading)
  if reading == nil then
    return nil
  end
  local problem
  if type(reading) ~= "table" then
    problem = ("gave %s, not a table { name = ..., rule = ... }"):format(shown(reading))
  elseif type(reading.name) ~= "string" or reading.name == "" then
    problem = ("gave %s for the name"):format(reading.name == "" and "an empty text" or shown(reading.name))
  elseif type(reading.rule) ~= "string" then
    problem = ("gave %s for the rule, which says how the name was read"):format(shown(reading.rule))
  elseif reading.level ~= nil and type(reading.level) ~= "string" then
    problem = ("gave %s for the level"):format(shown(reading.level))
  elseif reading.aside ~= nil and type(reading.aside) ~= "table" then
    problem = ("gave %s for what was set aside, not a table"):format(shown(reading.aside))
  elseif reading.reason ~= nil and type(reading.reason) ~= "string" then
    problem = ("gave %s for the reason"):format(shown(reading.reason))
  elseif reading.candidates ~= nil and type(reading.candidates) ~= "table" then
    problem = ("gave %s for the candidates, not a list"):format(shown(reading.candidates))
  end
  if problem then
    refuse(("read_name('%s') %s"):format(raw, problem), "For a cell that holds no name it gives nil")
  end
  return reading
end

--- Checks a recipe's definition and marks it as one.
---@param definition table
---@return ligase.recipe
function M.define(definition)
  local recipe = options.check(definition, SPEC, "recipe")
  check_list(recipe.name_columns, "string", "name_columns", "List the headers that may stand over the names")
  check_list(recipe.stages, "function", "stages",
    "Is a stage's name misspelled? pipeline has recognise, link and store")
  if recipe.dialect then
    recipe.dialect = options.check(recipe.dialect, DIALECT_SPEC, "recipe's dialect")
  end
  check_set(recipe.set or {})
  local read_name = recipe.read_name
  recipe.read_name = function(raw)
    return check_reading(raw, read_name(raw))
  end
  return setmetatable(recipe, RECIPE)
end

---@class ligase.other_recipe a recipe for files that are no datasets: programs, compounds, ...
---@field what string what a row is, in the plural
---@field store fun(conn: table, source: ligase.source, options: table): table stores one file in one transaction with
--- one run, and gives a report: {outcome, lines, ...}
---@field store_together (fun(conn: table, sources: ligase.source[], options: table): table)|nil the same for files
--- that are named together and belong together
---@field campaign boolean|nil its files belong to a screening campaign
---@field name string set on loading
---@field path string set on loading
---@field sha256 string set on loading: of the recipe's text

local OTHER_SPEC = { what = { type = "string", required = true }, store = { type = "function", required = true },
  definition = { type = "table" }, store_together = { type = "function" }, campaign = { type = "boolean" } }

--- Makes a recipe for files that are no datasets: it does itself what is to be done with
--- them. See ligase.cli.other_files for what it is asked and what its report is.
---@param definition table
---@return ligase.other_recipe
function M.define_other(definition)
  return setmetatable(options.check(definition, OTHER_SPEC, "recipe"), OTHER)
end

--- Whether a value is a recipe for files that are no datasets.
---@param value any
---@return boolean
function M.is_other(value)
  return getmetatable(value) == OTHER
end

--- Whether a value is a recipe, made by define or define_other.
---@param value any
---@return boolean
function M.is_recipe(value)
  return getmetatable(value) == RECIPE or M.is_other(value)
end

--- The SHA-256 of every module that was loaded from the workspace's own lua/ folder: a
--- recipe that reads names by one of them reads differently when it changes.
local function own_modules()
  local folder, found = workspace.find() .. "/lua/", {}
  if workspace.find() == host.home then
    return "" -- ligase's own checkout: its modules count by pipeline.READING_VERSION
  end
  formats.all() -- those of the workspace are among its modules
  for name in pairs(package.loaded) do
    local file = type(name) == "string" and package.searchpath(name, folder .. "?.lua")
    if file then
      found[#found + 1] = name .. " " .. sys.sha256_file(file)
    end
  end
  table.sort(found)
  return table.concat(found, "\n")
end

--- Says of a recipe where it came from.
---@param recipe ligase.recipe
---@param path string absolute
---@param source string|nil its text; read from the path without it
---@return ligase.recipe
function M.adopt(recipe, path, source)
  recipe.name = path:match("([^/]+)%.lua$") or path:match("([^/]+)$")
  recipe.path = path
  recipe.sha256 = sys.sha256((source or sys.read_file(path)) .. own_modules())
  return recipe
end

--- Lua's own message begins with file and line, a long path cut at its beginning; a
--- module that is not there adds all places where it was looked for.
local function mend(path, problem, code)
  if errors.is(problem) then
    problem.file = problem.file or (not problem.where and path or nil)
    error(problem, 0)
  end
  local first = type(problem) == "string" and problem:match("^[^\n]*") or ("a %s was raised"):format(type(problem))
  local place, line, message = first:match("^%.*(.-):(%d+): (.*)$")
  local is_here = place and path:sub(-#place) == place
  errors.raise { kind = "usage", code = code, message = is_here and message or first, file = path,
    line = is_here and math.tointeger(line) or nil, hint = "Mend the recipe at the line named" }
end

local function refuse_file(path)
  errors.raise { kind = "usage", code = "recipe", file = path, message = "the file returns no recipe",
    hint = "It must end with: return pipeline.recipe { ... }" }
end

--- Loads what a file in a folder of recipes returns. Raises "usage" as load_any does.
---@param path string
---@return ligase.recipe|ligase.other_recipe|nil recipe nil for a script, which returns nothing
function M.load_file(path)
  local source = sys.read_file(path)
  local text = source:gsub("^\xEF\xBB\xBF", ""):gsub("^#[^\n]*", "") -- as Windows saves it, as a script begins
  local chunk, problem = load(text, "@" .. path, "t")
  if not chunk then
    mend(path, problem, "syntax")
  end
  local done, recipe = pcall(chunk)
  if not done then
    mend(path, recipe, "recipe")
  elseif recipe ~= nil and not M.is_recipe(recipe) then
    refuse_file(path)
  end
  return recipe and M.adopt(recipe, path, source)
end

--- Loads a recipe of any kind by name (from the workspace's recipes/, then ligase's own) or
--- path. Raises "usage" with file and line when it cannot be used.
---@param name string
---@return ligase.recipe|ligase.other_recipe
function M.load_any(name)
  local path = workspace.find_recipe(name)
  return M.load_file(path) or refuse_file(path)
end

--- Loads a recipe for datasets. Raises "usage" when it is one for other files.
---@param name string
---@return ligase.recipe
function M.load(name)
  local recipe = M.load_any(name)
  if M.is_other(recipe) then
    refuse(("the recipe '%s' reads %s, not datasets"):format(recipe.name, recipe.what),
      ("Read such a file with: ligase run %s FILE"):format(recipe.name))
  end
  return recipe
end

--- The recipes for datasets that there are, those of the workspace first where two have one
--- name. A script that stands beside them, and does nothing without words, returns none.
---@return ligase.recipe[]
function M.all()
  local all = {}
  for _, known in ipairs(workspace.recipes()) do
    local recipe = M.load_file(known.path)
    all[#all + 1] = recipe and not M.is_other(recipe) and recipe or nil
  end
  return all
end

return M
