--- Components that leave open what a dataset says: `PC 34:1` contains `PC 16:0_18:1` and does
--- not equal it.
---
--- Only where that is asked for, and only for components that the dataset does not have
--- themselves: such a component is found in all features that it contains, each with its
--- share of the weight. Nothing is ever taken for another lipid of its class.
local lazy = require "ligase.base.lazy"

local lipid = lazy "ligase.omics.names.lipid"

local M = {}

--- A species names a sum; what says less (a class) contains nothing here.
local LEAST = "species"

--- What was parsed, by name; false for what is no lipid.
local parsed, parsed_count = {}, 0
local REMEMBERED_MOST = 50000

local function parse(name)
  local known = parsed[name]
  if known == nil then
    if parsed_count == REMEMBERED_MOST then
      parsed, parsed_count = {}, 0
    end
    local structure = lipid.parse(name)
    local species = structure and lipid.print(structure, LEAST)
    known = species and { structure = structure, species = species } or false
    parsed[name], parsed_count = known, parsed_count + 1
  end
  return known
end

--- A dataset's features by their species, for M.expand.
---@param features {key: integer, name: string}[]
---@return table index
function M.index(features)
  local index = { by_species = {}, by_key = {} }
  for _, feature in ipairs(features) do
    index.by_key[feature.key] = true
    local lipid_of = parse(feature.name)
    if lipid_of then
      local list = index.by_species[lipid_of.species] or {}
      list[#list + 1] = { key = feature.key, structure = lipid_of.structure, name = feature.name }
      index.by_species[lipid_of.species] = list
    end
  end
  return index
end

--- The features of a dataset that a component contains.
---@param index table from M.index
---@param name string the component's canonical name
---@return {key: integer, name: string}[]
function M.contained(index, name)
  local component, found = parse(name), {}
  for _, feature in ipairs(component and index.by_species[component.species] or {}) do
    if lipid.contains(component.structure, feature.structure)
      and not lipid.contains(feature.structure, component.structure) then
      found[#found + 1] = feature
    end
  end
  table.sort(found, function(a, b)
    return a.key < b.key
  end)
  return found
end

local function add(set, key, weight, sign, component)
  local n = #set.keys + 1
  set.keys[n], set.weights[n], set.signs[n], set.components[n] = key, weight, sign, component
end

--- A signature as a dataset can be asked for it: components that it does not have are
--- replaced by what they contain.
---@param index table from M.index
---@param signature ligase.scored_signature
---@return table set {keys, weights, signs, components = place of the component by member, contained = how many
--- components were replaced, extra = how many members more than components there are}
function M.expand(index, signature)
  local set = { keys = {}, weights = {}, signs = {}, components = {}, contained = 0, extra = 0 }
  for i, key in ipairs(signature.keys) do
    local is_open = key and signature.types[i] == "lipid" and not index.by_key[key]
    local features = is_open and M.contained(index, signature.names[i]) or {}
    for _, feature in ipairs(features) do
      add(set, feature.key, signature.weights[i] / #features, signature.signs[i], i)
    end
    if #features == 0 then
      add(set, key, signature.weights[i], signature.signs[i], i)
    else
      set.contained, set.extra = set.contained + 1, set.extra + #features - 1
    end
  end
  return set
end

return M
