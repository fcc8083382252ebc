local hit_rule = require "ligase.screening.hit_rule"

describe("hit rules", function()
  local function judge(rule, result)
    result.measure = result.measure or "raw"
    return hit_rule.judge(hit_rule.read(rule), result)
  end

  it("are read as they are declared", function()
    assert.same({ text = "percent >= 50", all = { { measure = "percent", relation = ">=", threshold = 50.0 } } },
      hit_rule.read " percent >= 50 ")
    assert.same({ { measure = "z", relation = "<=", threshold = -3.0 }, { measure = "percent", relation = ">",
      threshold = 40.0 } }, hit_rule.read("Z-score <= -3 AND % Inhibition > 40%").all)
    assert.same({ { measure = "ic50", relation = "<=", threshold = 1e-6, unit = "µM" } },
      hit_rule.read("IC50 ≤ 1 µM").all)
    assert.is_nil(hit_rule.read "none")
    assert.is_nil(hit_rule.read " ")
  end)

  it("are refused when they are none", function()
    for rule, why in pairs { ["percent 50"] = "no condition", ["percent >= many"] = "no number",
      ["percentage >= 50"] = "none of", ["ic50 <= 1"] = "needs a unit", ["ic50 <= 1 furlong"] = "no unit of",
      ["percent >= 50 nM"] = "has no unit", ["z <= -3 and ic50 < 1 µM"] = "never said of one row",
      ["percent = 50"] = "compares with no bound", ["percent >= 50 or z < 1"] = "has no unit" } do
      local done, failure = pcall(hit_rule.read, rule)
      assert.is_false(done, rule)
      assert.equal("usage", failure.kind)
      assert.matches(why, failure.message, 1, true)
      assert.matches("Write for example", failure.hint)
    end
  end)

  it("judge what they speak of", function()
    assert.is_true(judge("percent >= 50", { percent = 50.0 }))
    assert.is_false(judge("percent >= 50", { percent = 49.999 }))
    assert.is_nil(judge("percent >= 50", {}))
    assert.is_true(judge("percent >= 50 and z <= -3", { percent = 60, z = -3.0 }))
    assert.is_false(judge("percent >= 50 and z <= -3", { percent = 60, z = -2 }))
    assert.is_false(judge("percent >= 50 and z <= -3", { percent = 10 })) -- whatever z would be
    assert.is_nil(judge("percent >= 50 and z <= -3", { percent = 60 }))
    assert.is_true(judge("value < 100", { value = 99 }))
    assert.is_nil(judge("ic50 <= 1 µM", { measure = "ec50", value = 1e-9 }))
  end)

  it("leave open what a bound leaves open", function()
    local function ic50(rule, relation, value)
      return judge(rule, { measure = "ic50", value = value, relation = relation })
    end
    for _, case in ipairs {
      { "ic50 <= 1 µM", ">", 1e-5, false }, { "ic50 <= 1 µM", ">", 1e-6, false }, { "ic50 <= 1 µM", ">", 1e-7, nil },
      { "ic50 <= 1 µM", ">=", 1e-6, nil }, { "ic50 <= 1 µM", "<", 1e-7, true }, { "ic50 <= 1 µM", "<", 1e-6, true },
      { "ic50 <= 1 µM", "<", 1e-5, nil }, { "ic50 < 1 µM", "<=", 1e-6, nil }, { "ic50 < 1 µM", "<", 1e-6, true },
      { "ic50 < 1 µM", ">=", 1e-6, false }, { "ic50 <= 1 µM", "~", 1e-9, nil }, { "ic50 > 1 µM", ">", 1e-6, true },
      { "ic50 > 1 µM", "<=", 1e-6, false }, { "ic50 >= 1 µM", "<", 1e-6, false }, { "ic50 >= 1 µM", "<", 1e-5, nil },
      { "ic50 <= 1 µM", nil, 1e-6, true },
    } do
      assert.equal(case[4], ic50(case[1], case[2], case[3]), ("%s: %s%g"):format(case[1], case[2] or "", case[3]))
    end
  end)
end)
