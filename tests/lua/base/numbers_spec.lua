local numbers = require "ligase.base.numbers"
local support = require "tests.support"

local function near(expected, got)
  assert.is_true(math.abs(expected - got) <= 1e-12 * math.max(1, math.abs(expected)), ("%.17g, not %.17g"):format(got,
    expected))
end

describe("a summary", function()
  it("is right by hand", function()
    local found = numbers.summary { 4, 1, 3, 2 } -- mean 2.5, squares 2.25 + 0.25 + 0.25 + 2.25 = 5, sd sqrt(5/3)
    assert.same({ 4, 2.5, 2.5, 1, 4 }, { found.n, found.mean, found.median, found.min, found.max })
    near(math.sqrt(5 / 3), found.sd)
    assert.equal(3, numbers.summary({ 9, 3, 1 }).median)
  end)

  it("leaves out what is not finite, and has no figures for nothing", function()
    assert.same({ n = 0 }, numbers.summary {})
    assert.same({ n = 0 }, numbers.summary { 0 / 0, math.huge })
    local one = numbers.summary { -math.huge, 7 }
    assert.same({ n = 1, mean = 7, median = 7, min = 7, max = 7 }, one)
  end)
end)

describe("correlation", function()
  it("is right by hand", function()
    -- x - 3: -2 -1 0 1 2; y - 3: -1 -2 0 2 1: products 2 + 2 + 0 + 2 + 2 = 8, squares 10 and 10
    near(0.8, numbers.pearson({ 1, 2, 3, 4, 5 }, { 2, 1, 3, 5, 4 }))
    near(0.8, numbers.spearman({ 1, 10, 100, 1000, 10000 }, { -2, -7, 0, 50, 9 }))
    assert.equal(1, numbers.spearman({ 1, 2, 3 }, { 1, 8, 27 }))
    assert.equal(-1, numbers.pearson({ 1, 2, 3 }, { 3, 2, 1 }))
  end)

  it("gives equal values the mean of their ranks", function()
    assert.same({ 1.5, 4, 1.5, 4, 4 }, numbers.ranks { 1, 2, 1, 2, 2 })
    -- ranks of x 1 2.5 2.5 4, of y 1 2 3 4: products 2.25 + 0 + 0 + 2.25 = 4.5, squares 4.5 and 5
    near(4.5 / math.sqrt(4.5 * 5), numbers.spearman({ 1, 2, 2, 3 }, { 1, 2, 3, 4 }))
  end)

  it("is not there for fewer than three pairs, or where nothing varies", function()
    assert.is_nil(numbers.pearson({ 1, 2 }, { 1, 2 }))
    assert.is_nil(numbers.spearman({}, {}))
    assert.is_nil(numbers.pearson({ 1, 1, 1 }, { 1, 2, 3 }))
  end)

  it("is what Python says of random numbers with ties", function()
    math.randomseed(7)
    local x, y, lines = {}, {}, {}
    for i = 1, 500 do
      x[i], y[i] = math.random(40) / 8, math.random(60) / 4
      y[i] = y[i] + x[i]
      lines[i] = ("%.17g %.17g"):format(x[i], y[i])
    end
    local out = support.python([[
import sys
from statistics import correlation
pairs = [tuple(map(float, line.split())) for line in sys.stdin]
def ranks(v):
    s = sorted(v)
    return [s.index(a) + (s.count(a) + 1) / 2 for a in v]
x, y = [p[0] for p in pairs], [p[1] for p in pairs]
print("%.17g %.17g" % (correlation(x, y), correlation(ranks(x), ranks(y))))
]], {}, table.concat(lines, "\n"))
    local pearson, spearman = out:match("(%S+) (%S+)")
    near(tonumber(pearson), numbers.pearson(x, y))
    near(tonumber(spearman), numbers.spearman(x, y))
  end)
end)
