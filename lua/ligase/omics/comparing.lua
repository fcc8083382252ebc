--- Two datasets, or two signatures, side by side: what they share, and how it agrees.
local numbers = require "ligase.base.numbers"
local relations = require "ligase.omics.relations"

local M = {}

local function sorted(list)
  table.sort(list, function(a, b)
    return a.name < b.name or a.name == b.name and a.feature_type < b.feature_type
  end)
  return list
end

--- Features of two sides that are the very same, and those of one side alone.
---@param a table<integer, {name: string, feature_type: string}> by key
---@param b table<integer, {name: string, feature_type: string}>
---@return {both: table[], only_a: table[], only_b: table[]} by name
function M.overlap(a, b)
  local found = { both = {}, only_a = {}, only_b = {} }
  for key, feature in pairs(a) do
    local list = b[key] and found.both or found.only_a
    list[#list + 1] = feature
  end
  for key, feature in pairs(b) do
    found.only_b[#found.only_b + 1] = not a[key] and feature or nil
  end
  sorted(found.both)
  sorted(found.only_a)
  sorted(found.only_b)
  return found
end

--- What the names of one side come to at a level, each once.
local function at_level(features, feature_type, level)
  local names, count = {}, 0
  for _, feature in pairs(features) do
    local name = feature.feature_type == feature_type and relations.at_level(feature_type, feature.name, level)
    if name and not names[name] then
      names[name] = true
      count = count + 1
    end
  end
  return names, count
end

local function types_of(a, b)
  local types, met = {}, {}
  for _, features in ipairs { a, b } do
    for _, feature in pairs(features) do
      if not met[feature.feature_type] then
        met[feature.feature_type] = true
        types[#types + 1] = feature.feature_type
      end
    end
  end
  table.sort(types)
  return types
end

--- What two sides share at each level of their names: "as named" for all, and of lipids the
--- levels from what says least. A name counts at a level that it reaches.
---@param a table<integer, {name: string, feature_type: string}>
---@param b table<integer, {name: string, feature_type: string}>
---@return {type: string, level: string, a: integer, b: integer, shared: integer}[]
function M.levels(a, b)
  local found = {}
  for _, feature_type in ipairs(types_of(a, b)) do
    local row = { type = feature_type, level = "as named", a = 0, b = 0, shared = 0 }
    for key, feature in pairs(a) do
      if feature.feature_type == feature_type then
        row.a, row.shared = row.a + 1, row.shared + (b[key] and 1 or 0)
      end
    end
    for _, feature in pairs(b) do
      row.b = row.b + (feature.feature_type == feature_type and 1 or 0)
    end
    found[#found + 1] = row
    for _, level in ipairs(relations.levels(feature_type)) do
      local names_a, count_a = at_level(a, feature_type, level)
      local names_b, count_b = at_level(b, feature_type, level)
      local shared = 0
      for name in pairs(names_a) do
        shared = shared + (names_b[name] and 1 or 0)
      end
      found[#found + 1] = { type = feature_type, level = level, a = count_a, b = count_b, shared = shared }
    end
  end
  return found
end

--- The pairs of numbers that both sides have, in an order that does not depend on how
--- tables are gone through.
local function pairs_of(a, b)
  local keys, x, y = {}, {}, {}
  for key in pairs(a) do
    keys[#keys + 1] = b[key] and key
  end
  table.sort(keys)
  for i, key in ipairs(keys) do
    x[i], y[i] = a[key], b[key]
  end
  return x, y
end

--- How two lists of changes agree. A change of zero has no direction.
---@param a table<integer, number> by key
---@param b table<integer, number>
---@return {n: integer, same: integer, opposite: integer, concordance: number|nil, pearson: number|nil,
--- spearman: number|nil} agreement concordance: same over same and opposite
function M.effects(a, b)
  local x, y = pairs_of(a, b)
  local same, opposite = 0, 0
  for i = 1, #x do
    local product = (x[i] > 0 and 1 or x[i] < 0 and -1 or 0) * (y[i] > 0 and 1 or y[i] < 0 and -1 or 0)
    same, opposite = same + (product > 0 and 1 or 0), opposite + (product < 0 and 1 or 0)
  end
  return { n = #x, same = same, opposite = opposite,
    concordance = same + opposite > 0 and same / (same + opposite) or nil, pearson = numbers.pearson(x, y),
    spearman = numbers.spearman(x, y) }
end

--- How two lists of levels agree.
---@param a table<integer, number> by key
---@param b table<integer, number>
---@return {n: integer, pearson: number|nil, spearman: number|nil}
function M.means(a, b)
  local x, y = pairs_of(a, b)
  return { n = #x, pearson = numbers.pearson(x, y), spearman = numbers.spearman(x, y) }
end

--- How the directions of two signatures' common components agree.
---@param a table<integer, {direction: integer|nil, name: string}> by key
---@param b table<integer, {direction: integer|nil, name: string}>
---@return {same: integer, opposite: integer, without: integer, contradictory: table[]} without: a direction is missing
function M.directions(a, b)
  local found = { same = 0, opposite = 0, without = 0, contradictory = {} }
  for key, one in pairs(a) do
    local other = b[key]
    if other and not (one.direction and other.direction) then
      found.without = found.without + 1
    elseif other and one.direction == other.direction then
      found.same = found.same + 1
    elseif other then
      found.opposite = found.opposite + 1
      table.insert(found.contradictory, { name = one.name, feature_type = one.feature_type, a = one.direction,
        b = other.direction })
    end
  end
  sorted(found.contradictory)
  return found
end

return M
