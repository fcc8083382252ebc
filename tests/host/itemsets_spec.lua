local itemsets = require "itemsets"
local support = require "tests.support"

--- Sets as text, "1 2 3 @ 1 2 | 2 of 3, most 3".
local function mine(transactions, options)
  local sets, is_cut = itemsets.mine(transactions, options)
  local lines = {}
  for i, set in ipairs(sets) do
    lines[i] = ("%s @ %s | %d of %d, most %d"):format(table.concat(set.items, " "),
      table.concat(set.transactions, " "), set.support, set.any, set.most)
  end
  table.sort(lines)
  return lines, is_cut
end

--- Every set that passes, and of those the ones without a larger one in the same
--- transactions: the definition, by trying all.
local ALL = [==[
import sys, itertools
from fractions import Fraction
lines = sys.stdin.read().split("\n")
items, support, size, similarity, confidence = lines[0].split()
items, support, size = int(items), int(support), int(size)
similarity, confidence = float(similarity), float(confidence)
transactions = [set(map(int, line.split())) for line in lines[1:]]
where = {i: frozenset(t + 1 for t, held in enumerate(transactions) if i in held) for i in range(1, items + 1)}
passing = {}
for n in range(1, items + 1):
    for chosen in itertools.combinations(range(1, items + 1), n):
        both = frozenset.intersection(*[where[i] for i in chosen])
        union = frozenset.union(*[where[i] for i in chosen])
        most = max(len(where[i]) for i in chosen)
        if len(both) >= support and len(both) / len(union) >= similarity and len(both) / most >= confidence:
            passing[frozenset(chosen)] = (both, len(union), most)
by_where = {}
for chosen, (both, any_, most) in passing.items():
    by_where.setdefault(both, []).append(chosen)
out = []
for chosen, (both, any_, most) in passing.items():
    if len(chosen) >= size and not any(chosen < other for other in by_where[both]):
        out.append("%s @ %s | %d of %d, most %d" % (" ".join(map(str, sorted(chosen))),
            " ".join(map(str, sorted(both))), len(both), any_, most))
print("\n".join(sorted(out)))
]==]

local function by_definition(transactions, options)
  local lines = { ("%d %d %d %.17g %.17g"):format(options.items, options.support, options.size, options.similarity,
    options.confidence) }
  for _, items in ipairs(transactions) do
    lines[#lines + 1] = table.concat(items, " ")
  end
  local found = {}
  for line in support.python(ALL, {}, table.concat(lines, "\n")):gmatch "[^\n]+" do
    found[#found + 1] = line
  end
  table.sort(found)
  return found
end

describe("sets of items", function()
  -- 1 and 2 are always together, 3 with them twice, 4 everywhere, 5 once.
  local TRANSACTIONS = { { 1, 2, 3, 4 }, { 4, 1, 2 }, { 3, 2, 1, 4, 5 }, { 4 }, {} }

  it("are the largest ones in the same transactions", function()
    assert.same({ "1 2 3 4 @ 1 3 | 2 of 4, most 4", "1 2 4 @ 1 2 3 | 3 of 4, most 4" },
      (mine(TRANSACTIONS, { items = 5, support = 2, size = 2 })))
    assert.same({ "1 2 3 4 5 @ 3 | 1 of 4, most 4", "1 2 3 4 @ 1 3 | 2 of 4, most 4", "1 2 4 @ 1 2 3 | 3 of 4, most 4",
      "4 @ 1 2 3 4 | 4 of 4, most 4" }, (mine(TRANSACTIONS, { items = 5, support = 1, size = 1 })))
  end)

  it("are the largest ones that pass: what is everywhere does not hide what belongs together", function()
    -- With 4 the similarity is 3/4 at most; {1, 2, 3} is in 2 of 3 transactions.
    assert.same({ "1 2 @ 1 2 3 | 3 of 3, most 3" },
      (mine(TRANSACTIONS, { items = 5, support = 2, size = 2, similarity = 0.8 })))
    assert.same({ "1 2 3 @ 1 3 | 2 of 3, most 3", "1 2 4 @ 1 2 3 | 3 of 4, most 4" },
      (mine(TRANSACTIONS, { items = 5, support = 2, size = 2, similarity = 0.6 })))
    -- Confidence looks at the most frequent item alone.
    assert.same({ "1 2 3 @ 1 3 | 2 of 3, most 3", "1 2 4 @ 1 2 3 | 3 of 4, most 4" },
      (mine(TRANSACTIONS, { items = 5, support = 2, size = 2, confidence = 0.6 })))
  end)

  it("are those of the definition, whatever the thresholds", function()
    math.randomseed(3)
    local compared = 0
    for round = 1, 24 do
      local items, transactions = 5 + round % 7, {}
      local density = ({ 0.3, 0.6, 0.8 })[round % 3 + 1]
      for t = 1, 4 + round do
        transactions[t] = {}
        for item = 1, items do
          -- Some items follow others, so that there is something to find.
          local follows = item % 3 == 0 and transactions[t][#transactions[t]] == item - 1
          if math.random() < (follows and 0.9 or density) then
            table.insert(transactions[t], item)
          end
        end
      end
      local options = { items = items, support = 1 + round % 4, size = 1 + round % 3,
        similarity = ({ 0, 0.3, 0.5, 0.75 })[round % 4 + 1], confidence = ({ 0, 0.5, 0.8 })[round % 3 + 1] }
      local expected, found = by_definition(transactions, options), mine(transactions, options)
      assert.same(expected, found)
      compared = compared + #found
    end
    assert.is_true(compared > 200, tostring(compared))
  end)

  it("come in the same order whatever order the items of a transaction have", function()
    local one = itemsets.mine(TRANSACTIONS, { items = 5, support = 1, size = 1 })
    local other = itemsets.mine({ { 4, 3, 2, 1, 1 }, { 1, 2, 4 }, { 5, 4, 1, 2, 3, 3 }, { 4, 4 }, {} },
      { items = 5, support = 1, size = 1 })
    assert.same(one, other)
  end)

  it("are the same beside many others, where pairs are counted by going through transactions", function()
    math.randomseed(5)
    local transactions = {}
    for t = 1, 60 do
      transactions[t] = {}
      for item = 1, 12 do
        if math.random() < (t % 3 == item % 3 and 0.7 or 0.2) then
          table.insert(transactions[t], item)
        end
      end
    end
    local options = { items = 1012, support = 4, size = 2, similarity = 0.2 }
    local alone = mine(transactions, options)
    for item = 13, 1012 do -- each four times, with no other
      for _ = 1, 4 do
        transactions[#transactions + 1] = { item }
      end
    end
    assert.is_true(#alone > 20)
    assert.same(alone, (mine(transactions, options)))
  end)

  it("of many items alike are one set, at once", function()
    local transactions = {}
    for t = 1, 300 do
      transactions[t] = {}
      for item = 1, 2000 do
        if t % 3 == 0 or item % 2 == 0 and t % 5 == 0 then
          table.insert(transactions[t], item)
        end
      end
    end
    local sets = itemsets.mine(transactions, { items = 2000, support = 10, size = 3 })
    assert.same({ { 1000, 140 }, { 2000, 100 } }, { { #sets[2].items, sets[2].support },
      { #sets[1].items, sets[1].support } })
    assert.equal(2, #sets)
  end)

  it("are no more than the limit, which is said", function()
    local sets, is_cut = mine(TRANSACTIONS, { items = 5, support = 1, size = 1, limit = 4 })
    assert.same({ 4, false }, { #sets, is_cut })
    sets, is_cut = mine(TRANSACTIONS, { items = 5, support = 1, size = 1, limit = 2 })
    assert.same({ 2, true }, { #sets, is_cut })
    assert.same({}, (mine({}, { items = 1 })))
    assert.same({}, (mine({ {}, {} }, { items = 1 })))
  end)

  it("refuse what cannot be", function()
    for _, case in ipairs {
      { { { 1, 6 } }, { items = 5 }, "item 2 of transaction 1 is not from 1 to 5" },
      { { { 0 } }, { items = 5 }, "item 1 of transaction 1" }, { { { "a" } }, { items = 5 }, "item 1" },
      { { 7 }, { items = 5 }, "transaction 1 is a number, not a list" }, { {}, {}, "items says how many" },
      { {}, { items = 5, support = 0 }, "support must be a whole number" },
      { {}, { items = 5, similarity = 1.1 }, "similarity must be a number from 0 to 1" },
      { {}, { items = 5, confidence = 0 / 0 }, "confidence must be a number from 0 to 1" },
    } do
      local done, failure = pcall(itemsets.mine, case[1], case[2])
      assert.is_false(done)
      assert.equal("usage", failure.kind)
      assert.is_truthy(failure.message:find(case[3], 1, true), failure.message)
    end
  end)
end)
