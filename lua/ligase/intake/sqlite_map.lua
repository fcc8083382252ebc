--- Maps: which tables and columns of a SQLite file are compounds, campaigns and results.
---
---   return sqlite_map.map {
---     compounds = { { table = "compounds", key = "compound_id",
---       columns = { code = "compound_id", name = "name?" } } },
---   }
---
--- A name that ends in ? may be absent. A map holds tables, columns and functions, and no
--- SQL.
local columns = require "ligase.screening.columns"
local controls = require "ligase.screening.controls"
local errors = require "ligase.base.errors"
local kinds = require "ligase.store.entity_kinds"
local options_of = require "ligase.base.options"
local recipes = require "ligase.omics.recipes"
local sys = require "sys"
local text = require "ligase.base.text"
local workspace = require "ligase.base.workspace"

local M = {}

local SPEC = { system = { type = "string", default = "sqlite" }, programs = { type = "table", default = {} },
  compounds = { type = "table", default = {} }, campaigns = { type = "table", default = {} },
  results = { type = "table", default = {} }, roles = { type = "table", default = {} },
  controls = { type = "table", default = {} } }

local ENTITY_SPEC = { table = { type = "string", required = true }, key = { type = "string", required = true },
  columns = { type = "table", required = true }, change = { type = "function" } }

local RESULT_SPEC = { table = { type = "string", required = true }, campaign = { type = "string", required = true },
  compound = { type = "string" }, columns = { type = "table", required = true },
  keep = { type = "table", default = {} },
  make_campaigns = { type = "boolean", default = false }, change = { type = "function" },
  unit = { type = "string" }, concentration_unit = { type = "string" } }

--- The kinds of entities that a map may have, in the order in which they are stored.
M.ENTITIES = { { "programs", "program" }, { "compounds", "compound" }, { "campaigns", "campaign" } }

local function refuse(message, hint)
  errors.raise { kind = "usage", code = "map", message = message, hint = hint }
end

--- Options checked; the file at fault is the map, not the line of ours that checks it.
local function check_options(given, spec, where)
  local done, result = pcall(options_of.check, given, spec, where)
  if not done then
    result.where = nil
    error(result, 0)
  end
  return result
end

--- A name as a map writes it, and whether it may be absent.
---@param word string
---@return string name
---@return boolean optional
function M.name_of(word)
  local name = word:match("^(.-)%?$")
  return name or word, name ~= nil
end

local function check_columns(where, given, is_field, all)
  for field, column in pairs(given) do
    if type(field) ~= "string" or not is_field(field) then
      local near = text.nearest(tostring(field), all)
      refuse(("%s: there is no field '%s'"):format(where, tostring(field)),
        (near and ("Did you mean '%s'? "):format(near) or "") .. "Fields: " .. table.concat(all, ", "))
    elseif type(column) ~= "string" or column == "" then
      refuse(("%s: %s is a %s, not the name of a column"):format(where, field, type(column)),
        "Compute what is in no column by the function change")
    end
  end
end

local function sorted(set)
  local names = {}
  for name in pairs(set) do
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

local function check_entities(what, kind, list)
  local checked = {}
  for i, given in ipairs(list) do
    local where = ("%s[%d]"):format(what, i)
    local entry = check_options(given, ENTITY_SPEC, where)
    local all = sorted(kind.fields)
    table.move(sorted(kind.links), 1, 100, #all + 1, all)
    check_columns(where, entry.columns, function(field)
      local owner = field:match("^([%w_]+)%.")
      return kind.fields[field] or kind.links[field] or owner and kind.fields[owner] and kind.fields[owner].merge
    end, all)
    checked[i] = entry
  end
  return checked
end

local function check_results(list)
  local checked = {}
  for i, given in ipairs(list) do
    local where = ("results[%d]"):format(i)
    local entry = check_options(given, RESULT_SPEC, where)
    local has_results = false
    check_columns(where, entry.columns, function(field)
      has_results = has_results or columns.FIELDS[field] and columns.FIELDS[field].result ~= nil
      return columns.FIELDS[field] and field ~= "compound"
    end, sorted(columns.FIELDS))
    if not has_results then
      refuse(("%s: no column holds results"):format(where), "Say which: columns = { value = \"COLUMN\" }, or ic50, ...")
    end
    for _, column in ipairs(entry.keep) do
      if type(column) ~= "string" then
        refuse(("%s: keep holds a %s, not the name of a column"):format(where, type(column)))
      end
    end
    checked[i] = entry
  end
  return checked
end

--- Defines a map.
---@param definition table system: what ids of the file are kept under; programs, compounds, campaigns: lists of {table,
--- key, columns, change}; results: a list of {table, campaign, compound, columns, keep, make_campaigns, change, unit,
--- concentration_unit}; roles, controls: as of recipes/screening.lua
---@return ligase.other_recipe
function M.map(definition)
  local own = check_options(definition, SPEC, "map")
  for _, entry in ipairs(M.ENTITIES) do
    own[entry[1]] = check_entities(entry[1], kinds.get(entry[2]), own[entry[1]])
  end
  own.results, own.controls = check_results(own.results), controls.checked(own.controls)
  own.is_map = true
  return recipes.define_other { what = "what a SQLite file holds", definition = own, store = function()
    errors.raise { kind = "usage", code = "map", message = "a map is for a SQLite file",
      hint = "Use it with: ligase import sqlite FILE --map MAP" }
  end }
end

--- Loads a map by name or path. Raises "usage" for what is none.
---@param name string
---@return ligase.other_recipe
function M.load(name)
  local plain = name:match("^recipes/([^/]+)%.lua$")
  if plain and not sys.stat(name) then
    workspace.find_recipe(plain) -- raises when there is none of that name either
    name = plain
  end
  local map = recipes.load_any(name)
  if not (recipes.is_other(map) and map.definition and map.definition.is_map) then
    errors.raise { kind = "usage", code = "map", file = map.path, message = "the file returns no map",
      hint = "It must end with: return sqlite_map.map { ... }" }
  end
  return map
end

return M
