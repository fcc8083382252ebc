local statistics = require "ligase.screening.statistics"
local support = require "tests.support"

--- The same in Python's statistics, which reckons with fractions.
local REFERENCE = [[
import json, statistics as s, sys
p, n = json.load(sys.stdin)
mp, mn, sp, sn = s.mean(p), s.mean(n), s.stdev(p), s.stdev(n)
hi, lo = ((mp, sp), (mn, sn)) if mp > mn else ((mn, sn), (mp, sp))
med = s.median(p)
print(1 - 3 * (sp + sn) / abs(mp - mn), (hi[0] - lo[0] - 3 * (hi[1] + lo[1])) / hi[1], sp, med,
  1.482602218505602 * s.median([abs(v - med) for v in p]))
]]

describe("plate statistics", function()
  it("are those of the definitions, reckoned by hand", function()
    -- means 100 and 20, standard deviations 10 and 2
    local high, low = statistics.summary { 90, 100, 110 }, statistics.summary { 18, 20, 22 }
    assert.same({ 3, 100.0, 10.0 }, { high.n, high.mean, high.sd })
    assert.near(1 - 3 * 12 / 80, statistics.z_prime(high, low), 1e-15) -- 0.55
    assert.near(0.55, statistics.z_prime(low, high), 1e-15)
    assert.near((80 - 36) / 10, statistics.signal_window(high, low), 1e-15) -- 4.4
    assert.near(4.4, statistics.signal_window(low, high), 1e-15)
    assert.equal(0, statistics.percent_effect(100, low, high))
    assert.equal(100, statistics.percent_effect(20, low, high))
    assert.equal(50, statistics.percent_effect(60, low, high))
    assert.equal(125, statistics.percent_effect(0, low, high))
  end)

  it("are those of an independent implementation", function()
    math.randomseed(4, 1999)
    for _, scale in ipairs { 1, 1e-7, 1e9 } do
      local positive, negative = {}, {}
      for i = 1, 32 do
        positive[i] = scale * (1e3 + 40 * (math.random() - 0.5))
        negative[i] = scale * (5e3 + 300 * (math.random() - 0.5))
      end
      local function list(values)
        local texts = {}
        for i, value in ipairs(values) do
          texts[i] = ("%.17g"):format(value)
        end
        return "[" .. table.concat(texts, ",") .. "]"
      end
      local wanted = {}
      for word in support.python(REFERENCE, {}, "[" .. list(positive) .. "," .. list(negative) .. "]"):gmatch "%S+" do
        wanted[#wanted + 1] = tonumber(word)
      end
      local p, n = statistics.summary(positive), statistics.summary(negative)
      local median, deviation = statistics.robust(positive)
      for i, got in ipairs { statistics.z_prime(p, n), statistics.signal_window(p, n), p.sd, median, deviation } do
        assert.near(1, got / wanted[i], 1e-12)
      end
    end
  end)

  it("say why there is no Z'", function()
    local none, one, two = statistics.summary {}, statistics.summary { 5 }, statistics.summary { 1, 2 }
    assert.equal("no positive controls, no negative controls", statistics.missing_controls(none, none))
    assert.equal("only one positive control", statistics.missing_controls(one, two))
    assert.equal("no negative controls", statistics.missing_controls(two, none))
    assert.matches("equal", statistics.missing_controls(two, two))
    assert.is_nil(statistics.missing_controls(two, statistics.summary { 3, 4 }))
    assert.is_nil(one.sd)
    assert.is_nil(statistics.robust {})
    assert.is_nil(statistics.signal_window(statistics.summary { 9, 9 }, two)) -- no spread to measure it by
    assert.equal(1, statistics.z_prime(statistics.summary { 9, 9 }, statistics.summary { 1, 1 }))
  end)
end)
