--- Sets of keys against a profile: by hand, against exact arithmetic, and against what fgsea published.
local host = require "host"
local sets = require "sets"
local support = require "tests.support"

--- Numbers that are the same for the same seed, with nothing of the host's generator in them.
local function random_values(count, seed)
  local values, x = {}, seed
  for i = 1, count do
    x = (x * 1103515245 + 12345) % 2147483648
    values[i] = x / 1073741824 - 1
  end
  return values
end

local function range(first, last)
  local list = {}
  for i = first, last do
    list[#list + 1] = i
  end
  return list
end

describe("a profile", function()
  it("has one value for each key, the mean where a key comes again", function()
    local profile = sets.profile({ 7, 8, 7, 9 }, { 1.0, 5.0, 2.0, -3.0 })
    assert.equal(3, #profile)
    local values = profile:match(sets.collection { { keys = { 7, 8, 9 } } }):members(1)
    assert.same({ 1.5, 5.0, -3.0 }, values)
  end)

  it("leaves out what has no key or no value", function()
    local profile = sets.profile({ 1, 2, 3, false, host.null, 6 }, { 1, host.null, 0 / 0, 4, 5, false })
    assert.equal(1, #profile)
    assert.equal(0, #sets.profile({}, {}))
    assert.equal(1, #sets.profile({ 1, 1, 2 }, { math.huge, -math.huge, 3 }))
  end)

  it("is told by its bytes, lowest first", function()
    assert.equal(string.pack("<i8d<i8d", 5, 0.5, -6, 2.0), sets.profile({ 5, -6 }, { 0.5, 2 }):bytes())
    assert.equal(string.pack("<i8d", 5, 0), sets.profile({ 5 }):bytes())
  end)
end)

describe("a matching", function()
  it("sums weights by how signs agree", function()
    local profile = sets.profile({ 1, 2, 3, 4, 5 }, { 2, -1, 0, 3, -4 })
    local found = profile:match(sets.collection {
      { keys = { 1, 2, 3, 4, 99 }, weights = { 1, 2, 4, 8, 16 }, signs = { 1, 1, -1, 0, 1 } },
      { keys = { 98, 99 }, signs = { 1, -1 } }, { keys = { 5, false } }, { keys = {} } }):agreement()
    assert.same({ 4, 0, 1, 0 }, found.matched)
    assert.same({ 1.0, 0.0, 0.0, 0.0 }, found.same)
    assert.same({ 2.0, 0.0, 0.0, 0.0 }, found.opposite)
    assert.same({ 4.0, 0.0, 0.0, 0.0 }, found.neither)
    assert.same({ 8.0, 0.0, 1.0, 0.0 }, found.unsigned)
    assert.same({ 31.0, 2.0, 2.0, 0.0 }, found.total)
  end)

  it("gives the values and places of a set's members", function()
    local profile = sets.profile({ 1, 2, 3 }, { 5, 9, -1 })
    local values, places = profile:match(sets.collection { { keys = { 3, 4, 2 } } }):members(1)
    assert.same({ -1.0, false, 9.0 }, values)
    assert.same({ 3, false, 1 }, places)
  end)

  it("finds keys that many sets share, whatever else stands beside them", function()
    local list = {}
    for i = 1, 500 do
      list[i] = { keys = range(i, i + 49) }
    end
    local profile = sets.profile(range(100, 300), random_values(201, 3))
    local all = profile:match(sets.collection(list)):agreement().matched
    for _, i in ipairs { 1, 51, 100, 251, 301, 500 } do
      assert.equal(profile:match(sets.collection { list[i] }):agreement().matched[1], all[i])
    end
    assert.equal(50, all[200])
    assert.equal(0, all[500])
  end)
end)

describe("mean ranks", function()
  it("count from the smallest value, and equal values share the smallest rank", function()
    -- values 10 20 20 30 40 have the ranks 1 2 2 4 5
    local profile = sets.profile({ 1, 2, 3, 4, 5 }, { 10, 20, 20, 30, 40 })
    local up, down = profile:match(sets.collection { { keys = { 3, 5, 1 }, signs = { 1, 0, -1 } },
      { keys = { 9 } } }):mean_ranks()
    assert.same({ 2.0, 0.0 }, up.count)
    assert.same({ 3.5, host.null }, up.mean)
    assert.same({ 1.0, 0.0 }, down.count)
    assert.same({ 1.0, host.null }, down.mean)
  end)
end)

describe("the walk", function()
  it("is the difference of the two distributions along the places", function()
    -- From the top: ranks 4 3 2 1, the members at ranks 4 and 2. With the exponent 0 the
    -- members' distribution goes 1/2 1/2 1 1, the others' 0 1/2 1/2 1: differences 1/2 0 1/2 0.
    local profile = sets.profile({ 1, 2, 3, 4 }, { 9, 7, 5, 3 })
    local matching = profile:match(sets.collection { { keys = { 1, 3 } }, { keys = { 1, 2, 3, 4 } }, { keys = { 8 } },
      { keys = { 1, 3 }, signs = { -1, -1 } } })
    local up, down = matching:walk { exponent = 0 }
    assert.same({ 1.0, host.null, host.null, host.null }, up)
    assert.same({ host.null, host.null, host.null, 1.0 }, down)
    -- With the exponent 1 the members' goes 4/6 4/6 1 1: differences 4/6 1/6 1/2 0.
    assert.near(8 / 6, matching:walk { exponent = 1 }[1], 1e-15)
  end)

  it("cuts the fraction of equal values' mean rank", function()
    -- 5 5 1: ranks 2.5 2.5 1, cut to 2 2 1; the member stands first of the equal ones.
    local profile = sets.profile({ 1, 2, 3 }, { 5, 5, 1 })
    local up = profile:match(sets.collection { { keys = { 1, 3 } } }):walk { exponent = 1 }
    -- members 2/3 2/3 1, others 0 1 1: differences 2/3 -1/3 0
    assert.near(1 / 3, up[1], 1e-15)
  end)
end)

describe("the running sum", function()
  local profile = sets.profile({ 1, 2, 3, 4, 5 }, { 5, 3, 0.5, -1, -2 })

  it("is its largest deviation, on either side", function()
    local found = profile:match(sets.collection { { keys = { 1, 2 } }, { keys = { 4, 5 } }, { keys = { 1, 5 } },
      { keys = { 9 } } }):running_sum()
    -- {1, 2}: 5/8, 1 at the top. {4, 5}: -1 before them. {1, 5}: 5/7 at the top, then -1/3 each: -2/7 before 5.
    assert.same({ 1.0, -1.0, 5 / 7, host.null }, found.score)
    assert.same({ 2, 2, 2, 0 }, found.up)
    assert.same({ host.null, host.null, host.null, host.null }, found.chance)
  end)

  it("takes half the difference of those that rise and those that fall", function()
    local found = profile:match(sets.collection {
      { keys = { 1, 2, 4, 5 }, signs = { 1, 1, -1, -1 } }, { keys = { 1, 2, 4, 5 }, signs = { -1, -1, 1, 1 } },
      { keys = { 4, 5 }, signs = { -1, -1 } }, { keys = { 1, 2 }, signs = { 1, -1 } } }):running_sum()
    assert.same({ 1.0, -1.0, 1.0, 0 }, found.score) -- in the last one both lie at the top
    assert.same({ 2, 2, 0, 1 }, found.up)
    assert.same({ 2, 2, 2, 1 }, found.down)
  end)

  it("knows that equal sizes of values weigh equally, and all of nothing the same", function()
    local flat = sets.profile({ 1, 2, 3, 4 }, { 0, 0, 0, 0 })
    assert.equal(0.5, flat:match(sets.collection { { keys = { 1, 3 } } }):running_sum().score[1])
    assert.equal(1, flat:match(sets.collection { { keys = { 1, 2, 3, 4 } } }):running_sum().score[1])
    local endless = sets.profile({ 1, 2, 3 }, { math.huge, 2, -1 })
    assert.equal(1, endless:match(sets.collection { { keys = { 1 } } }):running_sum().score[1])
  end)

  it("draws the same for the same seed and sizes, whatever other sets there are", function()
    local values = random_values(400, 11)
    local big = sets.profile(range(1, 400), values)
    local list = {}
    for i = 1, 40 do
      list[i] = { keys = range(i * 9, i * 9 + i % 7 + 3) }
    end
    local all = big:match(sets.collection(list)):running_sum { permutations = 200, seed = 5 }
    for _, i in ipairs { 1, 17, 40 } do
      local alone = big:match(sets.collection { list[i] }):running_sum { permutations = 200, seed = 5 }
      for _, field in ipairs { "score", "normalized", "chance", "as_far" } do
        assert.equal(alone[field][1], all[field][i])
      end
    end
    local other = big:match(sets.collection(list)):running_sum { permutations = 200, seed = 6 }
    assert.not_same(other.normalized, all.normalized)
  end)

  it("agrees with fgsea's published table", function()
    local keys, values = {}, {}
    for line in io.lines(support.need_shared "signatures/fgsea__naive.vs.th1.rnk") do
      local key, value = line:match("^(%d+)\t(%S+)$")
      keys[#keys + 1], values[#values + 1] = math.tointeger(tonumber(key)), tonumber(value)
    end
    local list, at = {}, {}
    for line in io.lines(support.need_shared "signatures/fgsea__mouse.reactome.gmt") do
      local name, rest = line:match("^(%d+)_[^\t]*\t[^\t]*\t(.*)$")
      local members = {}
      for member in rest:gmatch("%d+") do
        members[#members + 1] = math.tointeger(tonumber(member))
      end
      list[#list + 1] = { keys = members }
      at[name] = #list
    end
    local permutations = 2000
    local found = sets.profile(keys, values):match(sets.collection(list)):running_sum { permutations = permutations }
    local compared = 0
    for line in io.lines(support.need_shared "signatures/fgsea__fgsea_res.tsv") do
      local name, chance, score, normalized, size = line:match("^(%d+)\t(%S+)\t%S+\t(%S+)\t(%S+)\t%S+\t(%S+)")
      if name then
        local i = at[name]
        chance, compared = tonumber(chance), compared + 1
        assert.equal(tonumber(size), found.up[i])
        assert.near(tonumber(score), found.score[i], 4e-15)
        assert.near(1, found.normalized[i] / tonumber(normalized), 0.05)
        -- About half of the draws fall on the set's side.
        local error_of_chance = math.sqrt(chance * (1 - chance) / (permutations / 2)) + 2 / permutations
        assert.near(chance, found.chance[i], 4.5 * error_of_chance)
      end
    end
    assert.equal(586, compared)
  end)
end)

describe("chances of agreement", function()
  it("come near what counting all draws gives", function()
    -- Two members in a profile of 3 up and 2 down: of 20 ordered draws 6 are both up, 2 both down.
    local profile = sets.profile({ 1, 2, 3, 4, 5 }, { 1, 2, 3, -1, -2 })
    local chances = profile:match(sets.collection { { keys = { 1, 2 }, signs = { 1, 1 } },
      { keys = { 1, 4 }, signs = { 1, 1 } }, { keys = { 9 }, signs = { 1 } }, { keys = { 1 } } })
      :agreement_chance { permutations = 20000 }
    assert.near(0.4, chances[1], 0.015)
    assert.equal(1, chances[2]) -- they cancel, and everything goes as far as 0
    assert.equal(host.null, chances[3])
    assert.equal(host.null, chances[4])
  end)

  it("are the same beside any other sets", function()
    local profile = sets.profile(range(1, 300), random_values(300, 2))
    local one = { keys = { 3, 50, 77, 120, 299 }, weights = { 1, 0.5, 2, 0.1, 1 }, signs = { 1, -1, 1, 1, -1 } }
    local other = { keys = range(5, 40), signs = random_values(36, 9) }
    local alone = profile:match(sets.collection { one }):agreement_chance { permutations = 500, seed = 1 }[1]
    assert.equal(alone, profile:match(sets.collection { other, one }):agreement_chance { permutations = 500,
      seed = 1 }[2])
  end)
end)

describe("overlap_chance", function()
  it("is the upper tail of the hypergeometric distribution, to exact integers", function()
    local cases = { { 3, 10, 20, 100 }, { 0, 5, 5, 50 }, { 5, 5, 5, 50 }, { 6, 5, 5, 50 }, { 40, 200, 500, 20000 },
      { 150, 200, 500, 20000 }, { 12, 400, 400, 12000 }, { 7, 8, 9, 10 }, { 300, 2000, 3000, 20000 },
      { 1, 1, 1, 1 }, { 0, 0, 0, 0 }, { 450, 500, 500, 30000 } }
    local words = {}
    for i, case in ipairs(cases) do
      words[i] = table.concat(case, ",")
    end
    local exact = support.python([[
import sys
from fractions import Fraction
from math import comb
for word in sys.argv[1:]:
    k, K, n, N = map(int, word.split(","))
    tail = sum(comb(K, i) * comb(N - K, n - i) for i in range(max(k, 0), min(K, n) + 1))
    p = Fraction(tail, comb(N, n))
    print(repr(float(p)) if p == 0 or p > Fraction(1, 10**300) else "tiny")
]], words)
    local i = 0
    for line in exact:gmatch("[^\n]+") do
      i = i + 1
      local p = sets.overlap_chance(table.unpack(cases[i]))
      if line == "tiny" then
        assert.is_true(p < 1e-300)
      elseif tonumber(line) == 0 then
        assert.equal(0, p)
      else
        assert.near(1, p / tonumber(line), 1e-12)
      end
    end
    assert.equal(#cases, i)
  end)

  it("is R's phyper", function()
    local found = require("sys").run({ "sh", "-c", "command -v Rscript" }, {})
    if found.code ~= 0 then
      pending "needs R (apt-get install r-base-core)"
      return
    end
    local result = require("sys").run { "Rscript", "-e",
      "cat(sprintf('%.17g', phyper(c(2, 39, 149, 11, 299), c(10, 200, 200, 400, 2000), c(90, 19800, 19800, 11600, "
      .. "18000), c(20, 500, 500, 400, 3000), lower.tail = FALSE)), sep = '\\n')" }
    local cases = { { 3, 10, 20, 100 }, { 40, 200, 500, 20000 }, { 150, 200, 500, 20000 }, { 12, 400, 400, 12000 },
      { 300, 2000, 3000, 20000 } }
    local i = 0
    for line in result.stdout:gmatch("[^\n]+") do
      i = i + 1
      assert.near(1, sets.overlap_chance(table.unpack(cases[i])) / tonumber(line), 1e-9) -- R's own error is larger
    end
    assert.equal(5, i)
  end)
end)

describe("log2", function()
  it("is exact for powers of 2 and within some last places elsewhere", function()
    for exponent = -1074, 1023 do
      assert.equal(exponent, sets.log2(2.0 ^ exponent))
    end
    for _, x in ipairs { 0.3, 0.7071, 0.70711, 0.9999999, 1.0000001, 1.4142, 3, 10, 1e-300, 6.02e23, math.pi } do
      local known = math.log(x, 2)
      assert.near(known, sets.log2(x), 1e-15 * math.max(1, math.abs(known)))
    end
  end)
end)

describe("misuse", function()
  it("is refused with what is wrong", function()
    for _, case in ipairs {
      { function() sets.collection { {} } end, "set 1 has no list of keys" },
      { function() sets.collection { { keys = { 1.5 } } } end, "keys must be integers" },
      { function() sets.collection { { keys = { 1 }, weights = { 0 } } } end, "weights must be positive" },
      { function() sets.collection { { keys = { 1, 2 }, weights = { 1 } } } end, "one for each key" },
      { function() sets.profile({ 1 }, { 1 }):match(sets.collection { { keys = { 1 } } }):walk { exponent = 0.3 } end,
        "multiple of 0.25" },
      { function() sets.profile({ 1 }, { 1 }):match(sets.collection { { keys = { 1 } } })
        :running_sum { permutations = -1 } end, "permutations must be a whole number" },
      { function() sets.overlap_chance(1, 5, 5, 3) end, "cannot be" },
      { function() sets.log2(0) end, "positive" },
      { function() sets.profile({ 1 }, { 1 }):match(sets.collection {}):members(1) end, "no such set" },
    } do
      local done, failure = pcall(case[1])
      assert.is_false(done)
      assert.matches(case[2], tostring(failure), 1, true)
    end
  end)

  it("does not matter to what has no members", function()
    local matching = sets.profile({}, {}):match(sets.collection { { keys = {} }, { keys = { 1 }, signs = { 1 } } })
    assert.same({ host.null, host.null }, matching:running_sum({ permutations = 10 }).score)
    assert.same({ host.null, host.null }, (matching:walk()))
    assert.same({ host.null, host.null }, matching:agreement_chance { permutations = 10 })
  end)
end)
