local csv = require "csv"
local metabolite = require "ligase.omics.names.metabolite"
local support = require "tests.support"

--- raw, canonical name, level, what was set aside.
local READ = {
  { "glutamate", "glutamate", "name" },
  { "GLUTAMATE", "glutamate", "name" },
  { "GLUTAMIC ACID", "glutamic acid", "name" },
  { "L-Glutamic acid", "L-glutamic acid", "stereoisomer" },
  { "  glucose   6-phosphate ", "glucose 6-phosphate", "name" },
  { "\u{3B1}-Tocopherol", "alpha-tocopherol", "name" },
  { "Alpha-tocopherol", "alpha-tocopherol", "name" },
  { ".alpha.-Tocopherol", "alpha-tocopherol", "name" },
  { "\u{3B3}\u{2011}Aminobutyric acid", "gamma-aminobutyric acid", "name" },
  { "5\u{2032}-AMP", "5'-AMP", "name" },
  { "NAD+", "NAD+", "name" },
  { "NAD\u{207A}", "NAD+", "name" },
  { "NAD", "NAD", "name" },
  { "cAMP", "cAMP", "name" },
  { "Camp", "camp", "name" },
  { "CAMP", "CAMP", "name" },
  { "GABA", "GABA", "name" },
  { "Acetyl-CoA", "acetyl-CoA", "name" },
  { "ACETYL-COA", "acetyl-CoA", "name" },
  { "(+)-Catechin", "(+)-catechin", "stereoisomer" },
  { "(-)-Epicatechin", "(-)-epicatechin", "stereoisomer" },
  { "(\u{B1})-Nicotine", "(+/-)-nicotine", "stereoisomer" },
  { "D,L-Alanine", "DL-alanine", "stereoisomer" },
  { "15(S)-HETE", "15(S)-HETE", "stereoisomer" },
  { "d-glucose", "d-glucose", "name" },
  { "Cys-Gly", "Cys-Gly", "name" },
  { "PC 34:1", "PC 34:1", "name" },
  { "Cer 18:1;O2/16:0", "Cer 18:1;O2/16:0", "name" },
  { "Vitamin D3", "vitamin D3", "name" },
  { "vitamin-d3", "vitamin-d3", "name" },
  { "2H-chromene", "2H-chromene", "name" },
  { "(34S)-x-ol", "(34S)-x-ol", "stereoisomer" },
  { "sodium chloride", "sodium chloride", "name" },
  { "chloral hydrate", "chloral hydrate", "name" },
  { "cholesterol sulfate", "cholesterol sulfate", "name" },
  { "2`-DEOXYURIDINE 5`-TRIPHOSPHATE", "2'-deoxyuridine 5'-triphosphate", "name" },
  -- set aside
  { "Creatinine-d3", "creatinine", "name", { label = "d3" } },
  { "d3-creatinine", "creatinine", "name", { label = "d3" } },
  { "Prostaglandin D2-d4", "prostaglandin D2", "name", { label = "d4" } },
  { "[13C6]-Glucose", "glucose", "name", { label = "13C6" } },
  { "Glucose-13C6", "glucose", "name", { label = "13C6" } },
  { "L-Alanine-2,3,3,3-d4", "L-alanine", "stereoisomer", { label = "2,3,3,3-d4" } },
  { "Glycine (2,2-d2)", "glycine", "name", { label = "2,2-d2" } },
  { "glucose-1,2-13C2", "glucose", "name", { label = "1,2-13C2" } },
  { "Methionine-methyl-d3", "methionine-methyl-d3", "name" },
  { "vitamin-1,25-D3", "vitamin-1,25-D3", "name" },
  { "U-13C-glucose", "glucose", "name", { label = "U-13C" } },
  { "[C13] VALINE", "valine", "name", { label = "C13" } },
  { "L-Phenylalanine (13C9,15N)", "L-phenylalanine", "stereoisomer", { label = "13C9,15N" } },
  { "Citrate (pos)", "citrate", "name", { mode = "positive" } },
  { "citrate_neg", "citrate", "name", { mode = "negative" } },
  { "Glucose [M+Na]+", "glucose", "name", { adduct = "[M+Na]+" } },
  { "Citrate_[M-H]-", "citrate", "name", { adduct = "[M-H]-" } },
  { "Hexose (M+H)", "hexose", "name", { adduct = "M+H" } },
  { "Hexose [M+ACN+H]+", "hexose", "name", { adduct = "[M+ACN+H]+" } },
  { "Solvent (M-phase)", "solvent (M-phase)", "name" },
  { "Pyruvate (sodium salt)", "pyruvate", "name", { salt = "sodium salt" } },
  { "L-Lysine monohydrochloride", "L-lysine", "stereoisomer", { salt = "monohydrochloride" } },
  { "Citric acid monohydrate", "citric acid", "name", { salt = "monohydrate" } },
  { "no MS2: Glycolic acid", "glycolic acid", "name", { remark = "no MS2" } },
  { "Spectral Match to Adenosine from NIST14", "adenosine", "name", { remark = "spectral match, NIST14" } },
  { "Oxalic acid; GC-EI-TOF; MS; 2 TMS; BP", "oxalic acid", "name", { record = "GC-EI-TOF; MS; 2 TMS; BP" } },
  { "TRYPTOPHAN (*)", "tryptophan", "name", { mark = "(*)" } },
  { "FRUCTOSE 1_6-BIPHOSPHATE", "fructose 1,6-biphosphate", "name", { assumed = "_ between places is a comma" } },
  { "CIS-7_10_13_16-DOCOSATETRAENOIC ACID", "cis-7,10,13,16-docosatetraenoic acid", "stereoisomer",
    { assumed = "_ between places is a comma" } },
  -- one of several
  { "Leucine/Isoleucine", "leucine / isoleucine", "group",
    { members = { "leucine", "isoleucine" }, leading = "leucine" } },
  { "CITRATE / ISOCITRATE (*)", "citrate / isocitrate", "group",
    { members = { "citrate", "isocitrate" }, leading = "citrate", mark = "(*)" } },
  -- identifiers
  { "HMDB0000001", "HMDB0000001", "identifier" },
  { "HMDB00001", "HMDB0000001", "identifier" },
  { "chebi:15377", "CHEBI:15377", "identifier" },
  { "cpd:C00031", "C00031", "identifier" },
  { "LMFA01030120", "LMFA01030120", "identifier" },
  { "CID 5793", "CID:5793", "identifier" },
  { "50-99-7", "50-99-7", "identifier" },
  { "WQZGKKKJIJFFOK-GASJEMHNSA-N", "WQZGKKKJIJFFOK-GASJEMHNSA-N", "structure" },
  { "InChI=1S/CH4/h1H4", "InChI=1S/CH4/h1H4", "structure" },
}

local REFUSED = {
  { "150.1277_1.05", "a signal" }, { "M150T63", "a signal" }, { "Unknown 12", "a signal" }, { "X - 12345", "a signal" },
  { "[M+H]+", "a signal" }, { "834", "a number" }, { "12.5", "a number" }, { "50-99-8", "a number" },
  { "Glucose [M+Foo]+", "the adduct %[M%+Foo%]%+ is not understood: Foo" },
  { "HMDB001", "7 digits" }, { "1-Mar", "a date" }, { "-", "missing" }, { "NA", "missing" },
  { "glucose\xFF", "not UTF%-8" }, { "glu\1cose", "control character" },
}

describe("a metabolite's name", function()
  for _, case in ipairs(READ) do
    it("is read: " .. case[1], function()
      local reading = metabolite.read(case[1])
      assert.equal(case[2], reading.name)
      assert.equal(case[3], reading.level)
      assert.same(case[4], reading.aside)
      assert.matches("^metabolite%.", reading.rule)
      local again = metabolite.read(case[2]) -- canonical once read
      assert.equal(case[2], again.name)
      assert.equal(case[3], again.level)
      assert.truthy(metabolite.describe(case[2]).class)
    end)
  end

  for _, case in ipairs(REFUSED) do
    it("is refused: " .. case[1]:gsub("[^%g ]", "?"), function()
      local reading = metabolite.read(case[1])
      assert.equal("verbatim", reading.rule)
      assert.equal(case[1], reading.name)
      assert.matches(case[2], reading.reason)
      assert.is_nil(metabolite.describe(case[1]))
    end)
  end

  it("is none in a blank cell", function()
    assert.is_nil(metabolite.read "\t ")
  end)

  it("is not taken for another's", function()
    local pairs_apart = { { "NAD+", "NAD" }, { "cAMP", "Camp" }, { "(+)-catechin", "(-)-catechin" },
      { "(+)-catechin", "catechin" }, { "L-alanine", "D-alanine" }, { "L-alanine", "alanine" },
      { "glutamate", "glutamic acid" }, { "NADH", "NADPH" }, { "Ca2+", "Ca" } }
    for _, pair in ipairs(pairs_apart) do
      assert.not_equal(metabolite.read(pair[1]).name, metabolite.read(pair[2]).name)
      assert.not_equal(metabolite.fold(pair[1]), metabolite.fold(pair[2]))
    end
  end)

  it("is folded by its spelling alone", function()
    assert.equal(metabolite.fold "Glutamic acid", metabolite.fold "GLUTAMIC-ACID")
    assert.equal(metabolite.fold "\u{3B1}-Tocopherol", metabolite.fold "alpha tocopherol")
    assert.not_equal(metabolite.fold "Creatinine-d3", metabolite.fold "creatinine")
  end)
end)

describe("metabolites of real files", function()
  it("are canonical once read", function()
    local path = support.need_shared "metabolomics/mztabm2mtbls__m_REQ2025110600011_metabolite_profiling_v2_maf.tsv"
    local count = 0
    for frame in csv.frames(path, { separator = "\t", quote = false, ragged = "pad" }) do
      for _, raw in ipairs(frame:text("metabolite_identification"):distinct()) do
        local reading = metabolite.read(raw)
        assert.equal(reading.name, metabolite.read(reading.name).name, raw)
        count = count + 1
      end
    end
    assert.is_true(count > 900)
  end)

  it("of mwTab's data section are those of its metabolites section", function()
    local path = support.need_shared "metabolomics/mwtab__ST000017_AN000035.txt"
    local section, data, listed = nil, {}, {}
    for line in io.lines(path) do
      local cell = line:match("^[^\t\r]*")
      if cell:find("_START$") then
        section = cell
      elseif cell:find("_END$") then
        section = nil
      elseif section == "MS_METABOLITE_DATA_START" and cell ~= "Samples" and cell ~= "Factors" then
        data[#data + 1] = metabolite.read(cell).name
      elseif section == "METABOLITES_START" and cell ~= "metabolite_name" then
        listed[metabolite.read(cell).name] = true
      end
    end
    local missing = {}
    for _, name in ipairs(data) do
      missing[#missing + 1] = not listed[name] and name or nil
    end
    assert.is_true(#data > 200)
    -- The file itself writes one name differently (5^- for 5'-), and numbers repeated names.
    assert.is_true(#missing <= 4, table.concat(missing, "\n"))
  end)
end)

describe("an InChIKey", function()
  it("is the same with its prefix", function()
    for _, raw in ipairs { "WQZGKKKJIJFFOK-GASJEMHNSA-N", "InChIKey=WQZGKKKJIJFFOK-GASJEMHNSA-N",
      "InChIKey: WQZGKKKJIJFFOK-GASJEMHNSA-N" } do
      local reading = metabolite.read(raw)
      assert.same({ "WQZGKKKJIJFFOK-GASJEMHNSA-N", "metabolite.id" }, { reading.name, reading.rule }, raw)
    end
  end)
end)
