--- The words of the REPL, for scripts too.
---
---   local words = require "ligase.words"
---   print(words.sql("SELECT count(*) AS n FROM datasets")[1].n)
---
--- or, to write a script as one types in the REPL:
---
---   local _ENV = require("ligase.words").environment()
---   hits = sql[[SELECT feature, log2_fold_change FROM effects WHERE adjusted_p_value < 0.05]]
---   show(hits:head(5))
---
--- An environment holds the script's own globals, and the words and all globals behind them.
local connection = require "ligase.connection"
local errors = require "ligase.base.errors"
local lazy = require "ligase.base.lazy"
local text = require "ligase.base.text"
local workspace = require "ligase.base.workspace"

local M = {}

local drawing = lazy "ligase.words.drawing"
local lookup = lazy "ligase.words.lookup"

-- ---- the database ----------------------------------------------------------

local BEGIN = "Begin with: ligase ingest FILE; or go to your workspace's folder, or set LIGASE_WORKSPACE"

--- The connection, for looking at what is there: nothing is made for that.
local function looking()
  if not connection.has_database() then
    errors.raise { kind = "input", code = "empty_workspace", hint = BEGIN,
      message = ("there is no data yet in %s"):format(workspace.find()) }
  end
  return connection.open()
end

local function check_text(value, word, example)
  if type(value) ~= "string" then
    errors.raise({ kind = "usage", code = "word", message = ("%s needs a text, not a %s"):format(word, type(value)),
      hint = "Example: " .. example }, 3)
  end
end

--- Runs SQL and gives its rows: sql[[SELECT ...]], or sql("... $1 ...", value), or with the
--- values in a list.
---@param statement string
---@param ... any the values of $1, $2, ...
---@return ligase.rows
function M.sql(statement, ...)
  check_text(statement, "sql", "sql[[SELECT * FROM dataset_overview]]")
  local values = table.pack(...)
  if values.n == 1 and type(values[1]) == "table" and getmetatable(values[1]) == nil then
    values = table.pack(table.unpack(values[1], 1, values[1].n or #values[1]))
  end
  local conn = connection.open()
  local done, result = pcall(conn.query, conn, statement, table.unpack(values, 1, values.n))
  if not done then
    error(require("ligase.store.sql_place").locate(result, statement, "SQL"), 0)
  end
  return require("ligase.words.rows").new(result)
end

--- Datasets by name: datasets"cer*". `*` stands for anything, `?` for one character; without
--- them it is the beginning of a name.
---@param pattern string|nil all without it
---@return ligase.rows
function M.datasets(pattern)
  check_text(pattern or "", "datasets", 'datasets"plasma*"')
  return require("ligase.words.rows").new(lookup.datasets(looking(), pattern or "*"))
end

--- Features by name: features"PC 34*". Patterns as for datasets.
---@param pattern string
---@param options {type: string|nil, limit: integer|nil}|nil
---@return ligase.rows
function M.features(pattern, options)
  check_text(pattern, "features", 'features"PC 34:*"')
  return require("ligase.words.rows").new(lookup.features(looking(), pattern, options))
end

--- One dataset, by its name, omics/name, id or a start of one.
---@param name string
---@return ligase.dataset
function M.dataset(name)
  check_text(name, "dataset", 'dataset"plasma_lipids"')
  return require("ligase.words.dataset").find(looking, name)
end

-- ---- recipes ---------------------------------------------------------------

--- The recipes that were asked for, by path: {recipe, name, path}; the REPL loads them
--- anew when their files change.
M.loaded_recipes = {}

local keeping = false -- somebody else says what is wrong with a recipe that was good before

--- From here on a recipe that was loaded once and cannot be loaded any more stays as it was, as
--- the caller says what is wrong with its file. Without that, asking for it raises.
function M.keep_last_good()
  keeping = true
end

--- A recipe, by name or path: recipe"lipidomics".read_name "PC 34:1".
---@param name string
---@return table
function M.recipe(name)
  check_text(name, "recipe", 'recipe"lipidomics"')
  local path = workspace.find_recipe(name)
  local known = M.loaded_recipes[path]
  local done, recipe = errors.try(require("ligase.omics.recipes").load_any, path)
  if not done then
    return keeping and known or error(recipe, 0)
  end
  if not known then
    M.loaded_recipes[path] = recipe
    return recipe
  end
  M.replace(known, recipe)
  return known
end

--- Gives a table the content of another one, so that who holds it has the new content.
---@param old table
---@param new table
function M.replace(old, new)
  for key in next, old do
    old[key] = nil
  end
  for key, value in next, new do
    old[key] = value
  end
  setmetatable(old, getmetatable(new))
end

-- ---- drawing and showing ---------------------------------------------------

--- Points of y over x: plot(frame, "x", "y"), plot(rows, "x", "y"), plot(xs, ys); with
--- { file = "x.png" } a picture.
---@param ... any as ligase.words.drawing has it
---@return table drawing its text by tostring
function M.plot(...)
  return drawing.plot(...)
end

--- How often numbers occur: hist(list), hist(frame, "column"), hist(rows, "column").
---@param ... any as ligase.words.drawing has it
---@return table drawing
function M.hist(...)
  return drawing.hist(...)
end

--- A table of numbers as shades: heat(dataset"plasma_lipids"), heat(frame), heat{{1, 2}, {3, 4}}.
---@param ... any as ligase.words.drawing has it
---@return table drawing
function M.heat(...)
  return drawing.heat(...)
end

--- Prints values as the REPL shows them.
---@param ... any
function M.show(...)
  local showing = require "ligase.words.showing"
  local values = table.pack(...)
  for i = 1, values.n do
    print((showing.text(values[i]):gsub("\n$", "")))
  end
end

--- The module itself, where a value only stands for one that is loaded when it is first used.
---@param value any
---@return any
function M.loaded(value)
  local meta = type(value) == "table" and getmetatable(value)
  local name = type(meta) == "table" and rawget(meta, "__module")
  return name and require(name) or value
end

-- ---- environments ----------------------------------------------------------

M.NAMES = { "sql", "datasets", "dataset", "features", "recipe", "plot", "hist", "heat", "show", "ligase" }

local IS_WORD = {}
for _, name in ipairs(M.NAMES) do
  IS_WORD[name] = true
end

local function refuse_global(env, name)
  local known = table.move(M.NAMES, 1, #M.NAMES, 1, {})
  for _, names in ipairs { env, _G } do
    for key in next, names do
      known[#known + 1] = type(key) == "string" and key or nil
    end
  end
  local near = text.nearest(tostring(name), known)
  errors.raise({ kind = "usage", code = "global", name = tostring(name),
    message = ("there is no '%s'"):format(text.printable(tostring(name))),
    hint = near and ("Did you mean '%s'?"):format(near) or "Give it a value first" }, 3)
end

--- A fresh environment for code: assignments to globals stay in it, and reading one that
--- is nowhere raises "usage" with the nearest name.
---@return table env
function M.environment()
  drawing.extend(require("frame").methods)
  return setmetatable({}, { __name = "ligase.environment", __index = function(env, name)
    if name == "show" then
      return function(...)
        if select("#", ...) > 0 then
          rawset(env, "_", (...)) -- as what was typed gives its first value that name
        end
        M.show(...)
      end
    elseif IS_WORD[name] then
      return name == "ligase" and require "ligase" or M[name]
    end
    local value = rawget(_G, name)
    if value == nil and name ~= "_" then
      refuse_global(env, name)
    end
    return M.loaded(value)
  end })
end

return M
