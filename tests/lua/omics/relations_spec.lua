local lipid = require "ligase.omics.names.lipid"
local relations = require "ligase.omics.relations"

local function relation(asked, name)
  return relations.relation(relations.ask("lipid", asked), name)
end

describe("how lipids stand to each other", function()
  it("says which says more of the same", function()
    assert.equal("same", relation("PC 34:1", "PC 34:1"))
    assert.equal("narrower", relation("PC 34:1", "PC 16:0_18:1"))
    assert.equal("narrower", relation("PC 34:1", "PC 16:0/18:1(9Z)"))
    assert.equal("broader", relation("PC 16:0_18:1", "PC 34:1"))
    assert.equal("narrower", relation("PC", "PC 34:1"))
    assert.equal("narrower", relation("SM 34:1", "SM 18:1;O2/16:0"))
    assert.is_nil(relation("PC 34:1", "PE 34:1"))
    assert.is_nil(relation("PC 16:0_18:1", "PC 17:0_17:1"))
    assert.is_nil(relation("PC 34:1", "gibberish"))
  end)

  it("knows of no levels of other types", function()
    assert.is_nil(relations.ask("gene", "TP53"))
    assert.is_nil(relations.ask("lipid", "gibberish"))
    assert.same({}, relations.levels "gene")
    assert.is_nil(relations.at_level("gene", "TP53", "species"))
    assert.equal("PC 34:1", relations.at_level("lipid", "PC 16:0/18:1", "species"))
    assert.is_nil(relations.at_level("lipid", "PC 34:1", "sn-position"))
  end)
end)

describe("the sum of a lipid", function()
  local NAMES = {}
  for _, class in ipairs { "PC", "PE", "SM", "Cer", "HexCer", "Hex2Cer", "PIP", "DG", "TG", "FA", "LPC", "CE", "CL" } do
    for _, chains in ipairs { "34:1", "O-34:1", "P-34:1", "O-34:2", "34:1;O2", "16:0_18:1", "16:0/18:1", "18:1/16:0",
      "P-16:0/18:1", "O-16:0_18:1", "18:1;O2/16:0", "18:1(4E);O2/16:0", "16:0/18:1(9Z)", "16:0_18:1(9Z);OH",
      "16:0_18:1_0:0", "16:0_16:0_2:1", "18:1", "16:0/18:1;O" } do
      NAMES[#NAMES + 1] = class .. " " .. chains
    end
  end
  for _, name in ipairs { "GlcCer(d18:1/16:0)", "GalCer 18:1;O2/16:0", "LacCer(d18:1/16:0)", "PIP[4'](16:0/18:1)",
    "12S-HETE", "FA 20:4;O", "Cholesterol", "ST 27:1;O", "SE 27:1/18:1", "CER 16:0", "PE-N(FA 16:0) 34:1",
    "Gal-Glc-Cer(1) 18:1(4E);3OH/16:0", "ACer(FA 16:0) 18:1;O2/16:0", "PGE2", "LNAPE 16:0/18:1", "NAPE 52:1" } do
    NAMES[#NAMES + 1] = name
  end

  it("is the same for all that contain each other", function()
    local structures, pairs_met = {}, 0
    for _, name in ipairs(NAMES) do
      structures[#structures + 1] = lipid.parse(name)
    end
    for _, a in ipairs(structures) do
      for _, b in ipairs(structures) do
        if a ~= b and lipid.contains(a, b) then
          pairs_met = pairs_met + 1
          assert.equal(lipid.sum(a), lipid.sum(b), lipid.print(a) .. " and " .. lipid.print(b))
        end
      end
    end
    assert.is_true(pairs_met > 100, tostring(pairs_met))
  end)

  it("is described with the name, by the short way as by the grammar", function()
    assert.equal("PC 34:1", lipid.describe("PC 16:0_18:1").sum)
    assert.equal("PE O-34:2", lipid.describe("PE P-16:0/18:1").sum)
    assert.equal("PE O-34:2", lipid.describe("PE P-34:1").sum)
    assert.equal("SM 34:1", lipid.describe("SM 18:1;O2/16:0").sum)
    assert.equal("ST 27:1;O", lipid.describe("ST 27:1;O").sum)
    assert.is_nil(lipid.describe("PC").sum)
    for _, name in ipairs(NAMES) do
      local reading = lipid.read(name)
      local structure = reading.rule ~= "verbatim" and lipid.parse(reading.name)
      if structure then
        assert.equal(lipid.sum(structure), lipid.describe(reading.name).sum, name)
      end
    end
  end)
end)
