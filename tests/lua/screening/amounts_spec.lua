local amounts = require "ligase.screening.amounts"

describe("amounts", function()
  it("have a relation, a number and a unit", function()
    for cell, wanted in pairs {
      ["10"] = { nil, 10.0 }, [" 2.5e-3 "] = { nil, 0.0025 }, [">10"] = { ">", 10.0 },
      ["> 10 µM"] = { ">", 10.0, "µM" },
      [">=3nM"] = { ">=", 3.0, "nM" }, ["≤ 0.1 uM"] = { "<=", 0.1, "uM" }, ["~5"] = { "~", 5.0 },
      ["ca. 5 μM"] = { "~", 5.0, "µM" }, ["=7"] = { nil, 7.0 }, ["-4.25"] = { nil, -4.25 },
      ["95%"] = { nil, 95.0, "%" },
      ["1e3mM"] = { nil, 1000.0, "mM" }, ["12 E"] = { nil, 12.0, "E" },
    } do
      local amount = amounts.read(cell)
      assert.is_table(amount, cell)
      assert.same(wanted, { amount.relation, amount.number, amount.unit }, cell)
    end
  end)

  it("are nothing else", function()
    for _, cell in ipairs { "", "ND", "OVER", "inf", "nan", "1,234", "1.2.3", "><5", "10-20", "5 ± 1 5", "µM", "0x10",
      "1e999", "> ", "10 20", "<>5" } do
      local amount = amounts.read(cell)
      assert.is_true(amount == nil or amount.unit ~= nil, cell) -- what has a unit is looked at by its unit
    end
    for _, cell in ipairs { "ND", "OVER", "1,234", "1.2.3", "10 20", "1e999" } do
      assert.is_nil(amounts.read(cell), cell)
    end
  end)

  it("know the decimal comma", function()
    assert.equal(1.5, amounts.read("1,5 nM", ",").number)
    assert.is_nil(amounts.read("1.5", ","))
  end)

  it("become mol/L without rounding twice", function()
    for cell, wanted in pairs { ["10 µM"] = 1e-5, ["10 uM"] = 1e-5, ["0.3 µM"] = 3e-7, ["30 nM"] = 3e-8,
      ["1e1 uM"] = 1e-5, ["2.5 mM"] = 2.5e-3, ["5 pM"] = 5e-12, ["1 M"] = 1.0, ["7 nmol/L"] = 7e-9,
      ["33.3 μM"] = 33.3e-6, ["1E-2 mM"] = 1e-5, ["9 fM"] = 9e-15 } do
      assert.equal(wanted, (amounts.molar(amounts.read(cell))), cell)
    end
    assert.equal(1e-5, (amounts.molar(amounts.read "10", "µM")))
    assert.same({ nil, "" }, { amounts.molar(amounts.read "10") })
    assert.same({ nil, "µg/mL" }, { amounts.molar(amounts.read "10 µg/mL") })
    assert.same({ nil, "MM" }, { amounts.molar(amounts.read "10 MM") }) -- mega or milli: no guess
  end)

  it("may be negative logarithms", function()
    assert.same({ 1e-6 }, { amounts.from_logarithm(amounts.read "6") })
    assert.same({ 1e-6, "<" }, { amounts.from_logarithm(amounts.read ">6") })
    local value, relation = amounts.from_logarithm(amounts.read "<= 7.5")
    assert.near(3.16227766e-8, value, 1e-15)
    assert.equal(">=", relation)
  end)
end)
