--- Cells of many kilobytes under the header of names: they are met (a quote that was never
--- closed, a sequence, a group of proteins) and must be told off or read as fast as others.
local detect_omics = require "ligase.omics.detect_omics"

-- Reading that takes the square of the length takes many minutes for these.
local SIZE = 60000

local PIECES = { "1", "18", "0", "a", "P", " x", "  ", "\u{A0}", "\u{FEFF}", "-", "(", "1-", ".", ";", "/", "[M+H]",
  "%" }
local STARTS = { "", "PC 16:0", "FA 18:1(", "L-", "sp|P04637|", "P04637 " }

for _, kind in ipairs { "lipid", "protein", "gene", "metabolite" } do
  describe("long names: " .. kind, function()
    local read = require("ligase.omics.names." .. kind).read

    it("reads or refuses cells of 60 kB as it does short ones", function()
      for _, start in ipairs(STARTS) do
        for _, piece in ipairs(PIECES) do
          local raw = start .. piece:rep(SIZE // #piece)
          local reading = read(raw)
          if reading then
            assert.is_string(reading.name)
            assert.is_true(reading.rule ~= "verbatim" or reading.reason ~= nil)
          end
        end
      end
    end)

    it("takes the blanks off around a short name, however many there are", function()
      local name = ({ lipid = "PC 34:1", protein = "P04637", gene = "TP53", metabolite = "alanine" })[kind]
      local blanks = (" \u{A0}\u{FEFF}\t"):rep(20000)
      assert.is_true(read(blanks .. name .. blanks).name == name) -- not printed when it fails
      assert.is_nil(read(blanks))
    end)
  end)
end

describe("long names: the omics type", function()
  it("is told by how long names begin", function()
    local shares = detect_omics.shares { ("P"):rep(SIZE), ("18"):rep(SIZE), "PC 34:1" }
    assert.is_true(shares.lipidomics > 0)
    shares = detect_omics.shares { "P04637;" .. ("P04637-2;"):rep(SIZE // 9) }
    assert.is_true(shares.proteomics > 0.9)
  end)
end)
