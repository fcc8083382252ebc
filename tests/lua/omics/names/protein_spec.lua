local csv = require "csv"
local protein = require "ligase.omics.names.protein"
local support = require "tests.support"

--- raw, canonical name, level, rule, what was set aside.
local READ = {
  { "P04637", "P04637", "protein", "protein.accession" },
  { "A0A024R1R8", "A0A024R1R8", "protein", "protein.accession" },
  { "P04637-2", "P04637", "isoform", "protein.accession", { isoform = "2" } },
  { "P04637.4", "P04637", "protein", "protein.accession", { version = "4" } },
  { "P05067-PRO_0000000089", "P05067-PRO_0000000089", "chain", "protein.accession" },
  { "sp|P04637|P53_HUMAN", "P04637", "protein", "protein.header", { entry_name = "P53_HUMAN" } },
  { ">sp|P04637|P53_HUMAN Cellular tumor antigen, 2; x OS=Homo sapiens OX=9606 GN=TP53 PE=1", "P04637", "protein",
    "protein.header", { entry_name = "P53_HUMAN", gene = "TP53" } },
  { "tr|Q9ABC1-3|X_HUMAN", "Q9ABC1", "isoform", "protein.header", { entry_name = "X_HUMAN", isoform = "3" } },
  { "gi|120407068|ref|NP_000537.3| p53", "NP_000537", "protein", "protein.header", { version = "3" } },
  { "P53_HUMAN", "P53_HUMAN", "entry name", "protein.entry_name" },
  { "A0A024R4E5_HUMAN", "A0A024R4E5_HUMAN", "entry name", "protein.entry_name" },
  { "ENSP00000269305.4", "ENSP00000269305", "protein", "protein.ensembl", { version = "4" } },
  { "NP_000537.3", "NP_000537", "protein", "protein.refseq", { version = "3" } },
  { "NX_P15924", "NX_P15924", "protein", "protein.nextprot" },
  { "NX_P15924-1", "NX_P15924", "isoform", "protein.nextprot", { isoform = "1" } },
  { "UniRef90_P04637", "UniRef90_P04637", "cluster", "protein.uniref" },
  { "IL-6", "IL-6", "name", "protein.name" },
  { "NKX2-5", "NKX2-5", "name", "protein.name" },
  { "TNF-\u{3B1}", "TNF-alpha", "name", "protein.name" },
  { "REV1", "REV1", "name", "protein.name" },
  { "CONA", "CONA", "name", "protein.name" },
  { "CON__P00761", "P00761", "protein", "protein.accession", { flag = "contaminant" } },
  { "CON__P35908v2", "P35908", "protein", "protein.accession", { flag = "contaminant", version = "2" } },
  { "CON__P02768-1", "P02768", "isoform", "protein.accession", { flag = "contaminant", isoform = "1" } },
  { "CON__ENSEMBL:ENSBTAP00000031900", "ENSBTAP00000031900", "protein", "protein.ensembl", { flag = "contaminant" } },
  { "CON__REFSEQ:XP_932229", "XP_932229", "protein", "protein.refseq", { flag = "contaminant" } },
  { "contam_sp|P00761|TRYP_PIG", "P00761", "protein", "protein.header",
    { flag = "contaminant", entry_name = "TRYP_PIG" } },
  { "Cont_P00761", "P00761", "protein", "protein.accession", { flag = "contaminant" } },
  { "cRAP-P00761", "P00761", "protein", "protein.accession", { flag = "contaminant" } },
  { "P04637_REVERSED", "DECOY_P04637", "protein", "protein.accession", { flag = "decoy" } },
  { "reverse_P04637", "DECOY_P04637", "protein", "protein.accession", { flag = "decoy" } },
  { "x_DECORIN", "x_DECORIN", "name", "protein.name" },
  { "REV__P07988", "DECOY_P07988", "protein", "protein.accession", { flag = "decoy" } },
  { "REV__CON__P07988", "DECOY_P07988", "protein", "protein.accession", { flag = "decoy" } },
  { "rev_sp|P07988|PSPB_HUMAN", "DECOY_P07988", "protein", "protein.header",
    { flag = "decoy", entry_name = "PSPB_HUMAN" } },
  { "XXX_P07988", "DECOY_P07988", "protein", "protein.accession", { flag = "decoy" } },
  { "DECOY_P07988", "DECOY_P07988", "protein", "protein.accession", { flag = "decoy" } },
  { "DECOY_0_sp|P07988|PSPB_HUMAN", "DECOY_P07988", "protein", "protein.header",
    { flag = "decoy", entry_name = "PSPB_HUMAN" } },
  { "1/sp|O75475|PSIP1_HUMAN", "O75475", "protein", "protein.header", { entry_name = "PSIP1_HUMAN" } },
  { "P04637;Q9Y6K9", "P04637;Q9Y6K9", "group", "protein.group",
    { members = { "P04637", "Q9Y6K9" }, leading = "P04637" } },
  { "P04637, Q9Y6K9", "P04637;Q9Y6K9", "group", "protein.group",
    { members = { "P04637", "Q9Y6K9" }, leading = "P04637" } },
  { "2/sp|O75475|PSIP1_HUMAN/sp|P04637|P53_HUMAN", "O75475;P04637", "group", "protein.group",
    { members = { "O75475", "P04637" }, leading = "O75475" } },
  { "P04637-3;P04637;Q9Y6K9", "P04637;Q9Y6K9", "group", "protein.group",
    { members = { "P04637-3", "P04637", "Q9Y6K9" }, leading = "P04637-3" } },
  { "sp|P02768|ALBU_HUMAN;CON__P02768-1;tr|F6KPG5|F6KPG5_HUMAN", "P02768;F6KPG5", "group", "protein.group",
    { members = { "P02768", "P02768-1", "F6KPG5" }, leading = "P02768", flag = "contaminant" } },
  { "REV__P07988;REV__P04637", "DECOY_P07988;DECOY_P04637", "group", "protein.group",
    { members = { "DECOY_P07988", "DECOY_P04637" }, leading = "DECOY_P07988", flag = "decoy" } },
  { "REV__P07988;P04637", "DECOY_P07988;P04637", "group", "protein.group",
    { members = { "DECOY_P07988", "P04637" }, leading = "DECOY_P07988" } },
  { ">sp|P06959|ODP2_ECOLI Dihydro; x OS=E. coli GN=aceF PE=1;>sp|P09372|GRPE_ECOLI GrpE", "P06959;P09372", "group",
    "protein.group", { members = { "P06959", "P09372" }, leading = "P06959" } },
}

local REFUSED = {
  { "Serum albumin", "several words" },
  { "sp|P0463|P53_HUMAN", "not the form" },
  { "1-Mar", "a date" },
  { "2.31E+19", "powers of ten" },
  { "42", "a number" },
  { "P04637;Keratin, type II", "Keratin, type II" },
  { "CON__two words", "although marked as a contaminant" },
  { "-", "a mark for a missing name" },
  { "P04637\xFF", "not UTF%-8" },
}

describe("a protein's name", function()
  for _, case in ipairs(READ) do
    it("is read: " .. case[1], function()
      local reading = protein.read(case[1])
      assert.same({ name = case[2], level = case[3], rule = case[4], aside = case[5] }, reading)
      assert.equal(case[2], protein.read(case[2]).name) -- canonical once read
      assert.truthy(protein.describe(case[2]).class)
    end)
  end

  for _, case in ipairs(REFUSED) do
    it("is refused: " .. case[1]:gsub("[^%g ]", "?"), function()
      local reading = protein.read(case[1])
      assert.equal("verbatim", reading.rule)
      assert.equal(case[1], reading.name)
      assert.matches(case[2], reading.reason)
    end)
  end

  it("is none in a blank cell", function()
    assert.is_nil(protein.read "  ")
  end)

  it("keeps its isoform when a recipe asks for it", function()
    assert.equal("P04637-2", protein.read("P04637-2", { keep_isoform = true }).name)
    assert.equal("IL-6", protein.read("IL-6", { keep_isoform = true }).name)
    assert.equal("P04637-3;P04637", protein.read("P04637-3;P04637", { keep_isoform = true }).name)
  end)

  it("is an accession only in the published form", function()
    for _, raw in ipairs { "P0463", "P046377", "B12345", "1P0463", "A0A02R1R8", "p04637" } do
      assert.not_equal("protein.accession", protein.read(raw).rule, raw)
    end
  end)
end)

describe("proteins of real files", function()
  local function count(path, options, column)
    local total, by = 0, { contaminant = 0, decoy = 0, group = 0, verbatim = 0 }
    for frame in csv.frames(support.need_shared(path), options) do
      for _, raw in ipairs(frame:text(column):distinct()) do
        local reading = protein.read(raw)
        local flag = reading.aside and reading.aside.flag
        total = total + 1
        by.verbatim = by.verbatim + (reading.rule == "verbatim" and 1 or 0)
        by.group = by.group + (reading.level == "group" and 1 or 0)
        if flag then
          by[flag] = by[flag] + 1
        end
        assert.is_true(#reading.name <= 1000)
      end
    end
    return total, by
  end

  it("carry the flags that MaxQuant gives their rows", function()
    local path = "proteomics/alphapeptstats__proteinGroups.txt"
    local total, by = count(path, { separator = "\t", quote = false, ragged = "pad" }, "Majority protein IDs")
    assert.equal(882, total)
    -- From the columns Potential contaminant (12 + 1 + 4 + 14) and Reverse of that file.
    assert.same({ contaminant = 31, decoy = 12, verbatim = 0, group = by.group }, by)
  end)

  it("are all accessions where a table lists accessions", function()
    local total, by = count("proteomics/orghs__uniprot_idmapping_human.tsv", { separator = "\t", quote = false }, 1)
    assert.equal(17958, total)
    assert.equal(0, by.verbatim + by.group)
  end)
end)

describe("a modification site", function()
  it("is no entry name", function()
    for _, raw in ipairs { "P04637_S15", "TP53_T18" } do
      assert.not_equal("protein.entry_name", protein.read(raw).rule)
      assert.equal(raw, protein.read(raw).name)
    end
    assert.equal("protein.entry_name", protein.read("P53_HUMAN").rule)
  end)
end)
