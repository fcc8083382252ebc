--- Sets of features that move together across comparisons.
---
--- An item is a feature with a direction, a transaction the items of one comparison. Sets
--- are those in enough comparisons (support), which are enough of the comparisons with any
--- of the items (co-occurrence: the Jaccard index of a set, "bond" in Omiecinski 2003, IEEE
--- Trans Knowl Data Eng 15:57), and enough of those with the most frequent item
--- (confidence: "all-confidence" there, the least confidence of any rule among the items).
--- Of sets in the same comparisons only the largest are kept. docs/discovery.md defines it.
local itemsets = require "itemsets"

local M = {}

---@class ligase.discovered
---@field features {key: integer, id: string, feature_type: string, name: string, direction: integer}[] in order
---@field comparisons ligase.comparison[] in which all of them move so
---@field support integer
---@field dataset_count integer
---@field co_occurrence number
---@field confidence number

local function goes_first(a, b)
  if a.feature.feature_type ~= b.feature.feature_type then
    return a.feature.feature_type < b.feature.feature_type
  elseif a.feature.name ~= b.feature.name then
    return a.feature.name < b.feature.name
  end
  return a.direction > b.direction
end

--- The items of the comparisons, in an order that does not depend on keys.
local function items_of(comparisons, features, feature_type)
  local items, by_direction = {}, { [1] = {}, [-1] = {} }
  for _, comparison in ipairs(comparisons) do
    for direction, keys in pairs { [1] = comparison.up, [-1] = comparison.down } do
      for _, key in ipairs(keys) do
        local feature = features[key]
        local is_wanted = feature and (not feature_type or feature.feature_type == feature_type)
        if is_wanted and not by_direction[direction][key] then
          local item = { feature = feature, direction = direction }
          by_direction[direction][key], items[#items + 1] = item, item
        end
      end
    end
  end
  table.sort(items, goes_first)
  for number, item in ipairs(items) do
    item.number = number
  end
  return items, by_direction
end

local function transactions_of(comparisons, by_direction)
  local transactions = {}
  for t, comparison in ipairs(comparisons) do
    local list = {}
    for direction, keys in pairs { [1] = comparison.up, [-1] = comparison.down } do
      for _, key in ipairs(keys) do
        local item = by_direction[direction][key]
        list[#list + 1] = item and item.number
      end
    end
    transactions[t] = list
  end
  return transactions
end

local function described(set, items, comparisons)
  local found = { features = {}, comparisons = {}, support = set.support, dataset_count = 0, items = set.items,
    co_occurrence = set.support / set.any, confidence = set.support / set.most }
  for i, number in ipairs(set.items) do
    local item = items[number]
    found.features[i] = { key = item.feature.key, id = item.feature.id, feature_type = item.feature.feature_type,
      name = item.feature.name, level = item.feature.level, direction = item.direction }
  end
  local met = {}
  for i, t in ipairs(set.transactions) do
    local comparison = comparisons[t]
    found.comparisons[i] = comparison
    if not met[comparison.dataset_id] then
      met[comparison.dataset_id] = true
      found.dataset_count = found.dataset_count + 1
    end
  end
  return found
end

--- The most supported first, then the largest, then the most coherent; then by the items.
local function is_before(a, b)
  if a.support ~= b.support then
    return a.support > b.support
  elseif #a.items ~= #b.items then
    return #a.items > #b.items
  elseif a.co_occurrence ~= b.co_occurrence then
    return a.co_occurrence > b.co_occurrence
  end
  for i, number in ipairs(a.items) do
    if number ~= b.items[i] then
      return number < b.items[i]
    end
  end
  return false
end

--- Finds the sets.
---@param comparisons ligase.comparison[] filled
---@param features table<integer, table> by key
---@param wanted {feature_type: string|nil, support: integer, size: integer, datasets: integer, co_occurrence: number,
--- confidence: number, limit: integer} datasets: in so many different ones; limit: sets that are looked for
---@return ligase.discovered[] sets
---@return {items: integer, is_cut: boolean} about items: features with a direction; is_cut: there are more sets
function M.find(comparisons, features, wanted)
  local items, by_direction = items_of(comparisons, features, wanted.feature_type)
  if #items == 0 then
    return {}, { items = 0, is_cut = false }
  end
  local sets, is_cut = itemsets.mine(transactions_of(comparisons, by_direction), { items = #items,
    support = wanted.support, size = wanted.size, similarity = wanted.co_occurrence, confidence = wanted.confidence,
    limit = wanted.limit })
  local found = {}
  for _, set in ipairs(sets) do
    local one = described(set, items, comparisons)
    found[#found + 1] = one.dataset_count >= wanted.datasets and one or nil
  end
  table.sort(found, is_before)
  return found, { items = #items, is_cut = is_cut }
end

return M
