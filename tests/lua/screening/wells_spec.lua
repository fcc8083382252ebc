local wells = require "ligase.screening.wells"

describe("wells", function()
  it("have one name, however they are written", function()
    for written, name in pairs { A1 = "A01", A01 = "A01", a001 = "A01", ["P-24"] = "P24", [" p24 "] = "P24",
      AF48 = "AF48", ["H:12"] = "H12", aa1 = "AA01", ["B 7"] = "B07", ["C_03"] = "C03", Z1 = "Z01" } do
      assert.equal(name, wells.read(written), written)
    end
  end)

  it("end where a plate of 1,536 ends", function()
    for _, word in ipairs { "A0", "A49", "AG1", "BA1", "1A", "A", "12", "", "A1B2", "A1.5", "Ä1", "A1 A2", "A1234" } do
      assert.is_nil(wells.read(word), word)
    end
    assert.equal("AF48", wells.name(32, 48))
    assert.is_nil(wells.name(33, 1))
    assert.is_nil(wells.name(1, 0))
  end)

  it("are all different on a plate, and read back", function()
    local seen = {}
    for row = 1, 32 do
      for column = 1, 48 do
        local name = wells.name(row, column)
        assert.is_nil(seen[name])
        seen[name] = true
        assert.same({ row, column }, { wells.place(name) })
      end
    end
  end)

  it("come from row and column", function()
    assert.equal("B03", wells.from("B", "3"))
    assert.equal("B03", wells.from("2", "03"))
    assert.equal("AF48", wells.from(" af ", "48"))
    assert.is_nil(wells.from("B", ""))
    assert.is_nil(wells.from("B", "1.5"))
    assert.is_nil(wells.from("40", "1"))
  end)

  it("lie in ranges", function()
    local function count(word)
      local range, n = wells.range(word), 0
      for row = 1, 32 do
        for column = 1, 48 do
          n = n + (range and wells.is_within(range, row, column) and 1 or 0)
        end
      end
      return n
    end
    assert.equal(1, count "A1")
    assert.equal(32, count "A1:P2")
    assert.equal(32, count "p2-A1")
    assert.equal(32, count "column 23")
    assert.equal(48, count "row AF")
    for _, word in ipairs { "DMSO", "column 49", "row AG", "A1:Z99", "column", "staurosporine", "C-0042" } do
      assert.is_nil(wells.range(word), word)
    end
  end)
end)
