--- What a stored score was made of, down to the rows of the dataset, and whether it comes out the
--- same again.
local containment = require "ligase.omics.scoring.containment"
local methods = require "ligase.omics.score"
local pg = require "pg"
local profiles = require "ligase.store.profiles"
local score_inputs = require "ligase.scoring.inputs"
local scores = require "ligase.store.scores"
local scoring = require "ligase.scoring"
local sets = require "sets"

local M = {}

local null = pg.null

--- The options by which a score was computed.
local function options_of(stored, signature)
  local parameters, method = {}, methods.get(stored.method)
  for name in pairs(method.parameters) do
    parameters[name] = stored.parameters[name]
  end
  local is_groups = stored.parameters.scale ~= nil
  return { methods = { stored.method }, signatures = { signature.id }, parameters = parameters,
    contrast = is_groups and stored.contrast or nil, rank_by = stored.parameters.effect_column,
    quantity = stored.parameters.quantity, scale = stored.parameters.scale or "linear",
    match = stored.parameters.match }
end

local function contrast_named(contrasts, name)
  for _, contrast in ipairs(contrasts) do
    if contrast.name == name then
      return contrast
    end
  end
end

--- Whether the block, computed now, says what is stored, to the last bit.
local function is_same(stored, block)
  local function same(field)
    local now = type(block[field]) == "table" and block[field][1] or block[field]
    return now == stored[field]
  end
  return same "score" and same "p_value" and same "input_sha256"
end

--- Computes the score again: "same", "differs" (the dataset's names were read anew, or another
--- version of ligase computes otherwise), or "impossible".
local function compute_again(conn, session, dataset, stored)
  if methods.get(stored.method).version ~= stored.method_version then
    return "impossible"
  end
  for _, block in ipairs((scoring.compute(conn, session, { dataset.id }))) do
    if block.contrast == stored.contrast then
      return is_same(stored, block) and "same" or "differs"
    end
  end
  return "impossible"
end

--- By component the members that stand for it in this dataset.
local function members_of(conn, session, contrast)
  local signature = session.signatures[1]
  local set
  if session.options.match == "contains" then
    set = containment.expand(containment.index(profiles.features(conn, contrast.found.keys, "lipid")), signature)
  else
    set = { keys = signature.keys, weights = signature.weights, signs = signature.signs }
  end
  local values, places = contrast.profile:match(sets.collection { set }):members(1)
  local by_component = {}
  for i = 1, #set.keys do
    local component = set.components and set.components[i] or i
    by_component[component] = by_component[component] or {}
    if set.keys[i] and values[i] then
      table.insert(by_component[component], { key = set.keys[i], effect = values[i], rank = places[i],
        weight = set.weights[i], is_exact = set.keys[i] == signature.keys[component] })
    end
  end
  return by_component
end

local WAYS = { [1] = "up", [-1] = "down" }

local function went(sign, effect, has_effects)
  if not has_effects then
    return null
  elseif sign == 0 then
    return null
  end
  return effect == 0 and "neither" or (effect > 0) == (sign > 0) and "along" or "against"
end

--- The rows in which features stand, by feature.
local function cells_by_key(conn, contrast, members)
  local keys, by_key = {}, {}
  for _, of_component in pairs(members) do
    for _, member in ipairs(of_component) do
      keys[#keys + 1] = member.key
    end
  end
  for _, row in ipairs(scores.cells(conn, contrast.dataset, keys, contrast.effect, contrast.p)) do
    local list = by_key[row.feature_key] or {}
    by_key[row.feature_key] = list
    list[#list + 1] = { row = row.ordinal, name = row.source_name, effect = contrast.effect and row.effect or nil,
      p = contrast.p and row.p or nil }
  end
  return by_key
end

--- The values that a component's features have in the samples of both groups.
local function group_values(contrast, key)
  local matrix = contrast.dataset.matrix
  if not (contrast.groups and matrix) then
    return nil
  end
  local found = {}
  for row, its_key in ipairs(matrix.keys) do
    if its_key == key then
      for side, places in pairs(contrast.groups) do
        found[side] = found[side] or {}
        for _, place in ipairs(places) do
          found[side][matrix.samples[place].name] = matrix.rows[row][place]
        end
      end
    end
  end
  return found
end

local function component_of(signature, i, members, cells, contrast, names)
  local component = { position = i, name = signature.names[i], type = signature.types[i],
    direction = WAYS[signature.signs[i]] or null, weight = signature.weights[i],
    understood = signature.keys[i] ~= false, features = {},
    found = #members == 0 and null or members[1].is_exact and "exact" or "contained" }
  for j, member in ipairs(members) do
    component.features[j] = { name = names[member.key], effect = contrast.kind ~= "none" and member.effect or null,
      rank = member.rank, weight = member.weight, goes = went(signature.signs[i], member.effect,
        contrast.kind ~= "none"), cells = cells[member.key] or {}, samples = group_values(contrast, member.key) }
  end
  return component
end

--- Explains a stored score.
---@param conn table
---@param dataset table of ligase.store.datasets.find
---@param signature table of ligase.store.signatures.find
---@param method string|nil
---@param contrast_name string|nil
---@return table receipt {score = as stored, again, size, contrast, components}
function M.explain(conn, dataset, signature, method, contrast_name)
  local stored = scores.get(conn, dataset, signature, method, contrast_name)
  local options = options_of(stored, signature)
  local again = compute_again(conn, scoring.session(conn, options), dataset, stored)
  local session = scoring.session(conn, options)
  local scored = profiles.signatures(conn, { signature.id }, true)[1]
  session.signatures[1].names = scored.names
  local contrast = contrast_named(score_inputs.read(conn, session, { dataset.id }, {}), stored.contrast)
  local receipt = { score = stored, again = again, components = {} }
  if not contrast then
    return receipt
  end
  local members = members_of(conn, session, contrast)
  local cells, names = cells_by_key(conn, contrast, members), {}
  for _, of_component in pairs(members) do
    for _, member in ipairs(of_component) do
      names[member.key] = false
    end
  end
  for key in pairs(names) do
    names[key] = profiles.name(conn, key)
  end
  receipt.kind, receipt.size, receipt.effect = contrast.kind, #contrast.profile, contrast.effect_name
  for i = 1, #scored.keys do
    receipt.components[i] = component_of(scored, i, members[i] or {}, cells, contrast, names)
  end
  return receipt
end

return M
