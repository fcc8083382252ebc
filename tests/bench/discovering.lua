--- Part 9: sets of features that move together, in thousands of comparisons of tens of
--- thousands of features, among which some were planted.
local discovery = require "ligase.omics.discovery"
local measure = require "tests.bench.measure"

local M = {}

local FEATURES, COMPARISONS, MODULES, MODULE_SIZE = 20000, 3000, 60, 12
--- Share of a comparison's features that move by chance, and of a module's that move with it.
local BY_CHANCE, WITH_MODULE = 0.02, 0.97
--- Share of the comparisons in which a module moves.
local ACTIVE = 0.04

--- Comparisons as ligase.store.comparisons gives them: features 1 to FEATURES, of which
--- each module has its own, half of them falling.
local function comparisons_of(features)
  math.randomseed(31)
  local random, all = math.random, {}
  for c = 1, COMPARISONS do
    local up, down = {}, {}
    for m = 1, MODULES do
      if random() < ACTIVE then
        for i = 1, MODULE_SIZE do
          local list = i % 2 == 0 and up or down
          list[#list + 1] = random() < WITH_MODULE and (m - 1) * MODULE_SIZE + i or nil
        end
      end
    end
    for key = MODULES * MODULE_SIZE + 1, features do
      if random() < BY_CHANCE then
        local list = random() < 0.5 and up or down
        list[#list + 1] = key
      end
    end
    all[c] = { dataset_id = tostring(c), dataset = tostring(c), up = up, down = down }
  end
  return all
end

--- Runs it and prints its table.
---@param context table {rounds=}
function M.run(context)
  local features, contestants, found = {}, {}, {}
  for key = 1, FEATURES do
    features[key] = { key = key, id = tostring(key), feature_type = "lipid", name = ("f%05d"):format(key) }
  end
  for _, count in ipairs { FEATURES // 2, FEATURES } do
    local all = comparisons_of(count)
    contestants[#contestants + 1] = { name = count, run = function()
      local sets, about = discovery.find(all, features, { support = 20, size = 10, datasets = 20,
        co_occurrence = 0.5, confidence = 0.5, limit = 100000 })
      found[count] = sets
      assert(not about.is_cut and #sets > 0)
    end }
  end
  local medians = measure.rounds(context.rounds, contestants)
  local rows = { { "", "seconds", "sets" } }
  for _, contestant in ipairs(contestants) do
    local count = contestant.name
    rows[#rows + 1] = { ("%d comparisons of %d features"):format(COMPARISONS, count), ("%.2f"):format(medians[count]),
      tostring(#found[count]) }
  end
  measure.print_table(("9. sets that move together, %d modules of %d planted"):format(MODULES, MODULE_SIZE), rows)
end

return M
