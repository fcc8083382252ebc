local csv = require "csv"
local gene = require "ligase.omics.names.gene"
local support = require "tests.support"

--- raw, canonical name, level, rule, what was set aside.
local READ = {
  { "TP53", "TP53", "symbol", "gene.symbol" },
  { "Trp53", "Trp53", "symbol", "gene.symbol" },
  { " TP53\t", "TP53", "symbol", "gene.symbol" },
  { "\u{A0}TP53\u{FEFF}", "TP53", "symbol", "gene.symbol" },
  { "C1orf57", "C1orf57", "symbol", "gene.symbol" },
  { "H3.3", "H3.3", "symbol", "gene.symbol" },
  { "KRTAP5-2", "KRTAP5-2", "symbol", "gene.symbol" },
  { "NKX2-5", "NKX2-5", "symbol", "gene.symbol" },
  { "HLA-A", "HLA-A", "symbol", "gene.symbol" },
  { "AC027237.1", "AC027237.1", "symbol", "gene.symbol" },
  { "RP11-1134I14.2", "RP11-1134I14.2", "symbol", "gene.symbol" },
  { "Su(var)205", "Su(var)205", "symbol", "gene.symbol" },
  { "2310009E13", "2310009E13", "symbol", "gene.symbol" },
  { "6030468B19Rik", "6030468B19Rik", "symbol", "gene.symbol" },
  { "TEC", "TEC", "symbol", "gene.symbol" },
  { "ENSAP2", "ENSAP2", "symbol", "gene.symbol" },
  { "SEP1", "SEP1", "symbol", "gene.symbol" },
  { "MARCH1", "MARCH1", "symbol", "gene.symbol" },
  { "Oct-4", "Oct-4", "symbol", "gene.symbol" },
  { "jun-1", "jun-1", "symbol", "gene.symbol" },
  { "miR-21", "miR-21", "symbol", "gene.mirna" },
  { "hsa-miR-21-5p", "hsa-miR-21-5p", "symbol", "gene.mirna" },
  { "hsa-let-7a-5p", "hsa-let-7a-5p", "symbol", "gene.mirna" },
  { "ENSG00000141510", "ENSG00000141510", "gene", "gene.ensembl" },
  { "ENSG00000141510.18", "ENSG00000141510", "gene", "gene.ensembl", { version = "18" } },
  { "ensg00000141510", "ENSG00000141510", "gene", "gene.ensembl" },
  { "ENSMUST00000000001.4", "ENSMUST00000000001", "transcript", "gene.ensembl", { version = "4" } },
  { "ENSG00000182378.13_PAR_Y", "ENSG00000182378_PAR_Y", "gene", "gene.ensembl", { version = "13" } },
  { "ENSG00000182378_PAR_Y", "ENSG00000182378_PAR_Y", "gene", "gene.ensembl" },
  { "ENSG00000000003_TSPAN6", "ENSG00000000003", "gene", "gene.ensembl", { symbol = "TSPAN6" } },
  { "ENST00000456328.2|ENSG00000223972.5|OTTHUMG1|OTTHUMT1|DDX11L1-202|DDX11L1|1657|lncRNA|", "ENST00000456328",
    "transcript", "gene.ensembl", { version = "2", gene = "ENSG00000223972.5", symbol = "DDX11L1" } },
  { "7157", "7157", "gene", "gene.entrez" },
  { "GeneID:7157", "7157", "gene", "gene.entrez" },
  { "NM_000546.6", "NM_000546", "transcript", "gene.refseq", { version = "6" } },
  { "NR_001526_1", "NR_001526_1", "transcript", "gene.refseq" },
  { "HGNC:11998", "HGNC:11998", "gene", "gene.hgnc_id" },
  { "FBgn0000001", "FBgn0000001", "gene", "gene.flybase" },
  { "XLOC_000001", "XLOC_000001", "gene", "gene.cufflinks" },
  { "1007_s_at", "1007_s_at", "probe", "gene.probe" },
  { "AFFX-BioB-5_at", "AFFX-BioB-5_at", "probe", "gene.probe", { control = "array control" } },
  { "ERCC-00002", "ERCC-00002", "symbol", "gene.symbol", { control = "ERCC spike-in" } },
  { "A1BG|1", "A1BG", "symbol", "gene.symbol", { entrez = "1" } },
  { "A1BG (1)", "A1BG", "symbol", "gene.symbol", { entrez = "1" } },
  { "?|100130426", "100130426", "gene", "gene.entrez" },
  { "KRT1;KRT2", "KRT1;KRT2", "group", "gene.group", { members = { "KRT1", "KRT2" }, leading = "KRT1" } },
  { "DDR1 /// MIR4640", "DDR1;MIR4640", "group", "gene.group", { members = { "DDR1", "MIR4640" }, leading = "DDR1" } },
  { "TP53;", "TP53", "symbol", "gene.symbol" },
}

--- What is no gene's name: raw, a piece of the reason, candidates.
local REFUSED = {
  { "1-Mar", "a date", { "MARCH1", "MARC1" } },
  { "2-Sep", "a date", { "SEPT2" } },
  { "15-Sep", "a date", { "SEP15" } },
  { "4-SEP", "a date", { "SEPT4" } },
  { "Sep-02", "a date", { "SEPT2" } },
  { "Mar-1", "a date", { "MARCH1", "MARC1" } },
  { "1-Dec", "a date", { "DEC1" } },
  { "1. Mrz", "a date", { "MARCH1", "MARC1" } },
  { "01-d\u{E9}c", "a date", { "DEC1" } },
  { "20-Mar", "a date" },
  { "Jun-74", "a date" },
  { "7-Dec-99", "a date" },
  { "2001-03-01", "a date" },
  { "2001-03-01 00:00:00", "a date" },
  { "3/1/2001", "a date" },
  { "01.03.2001", "a date" },
  { "2.31E+19", "a number in powers of ten" },
  { "2,31E+19", "a number in powers of ten" },
  { "2.31e+19", "a number in powers of ten" },
  { "12.5", "a number" },
  { "7157.0", "a number" },
  { "-3", "a number" },
  { "007", "no NCBI gene id" },
  { "ENSG0000014151", "has 11 digits, this one has 10" },
  { "ENSG00000141510-", "something behind it" },
  { "P53_HUMAN", "a protein's entry name" },
  { "protein_coding", "a class of genes" },
  { "__no_feature", "a count of reads" },
  { "N_unmapped", "a count of reads" },
  { "lacZ b0344 JW0335", "several words" },
  { "TP53;two words", "two words" },
  { "NA", "a mark for a missing name" },
  { "-", "a mark for a missing name" },
  { "#NAME?", "an error mark of a spreadsheet" },
  { ";", "" },
  { "TP53\xFF", "not UTF%-8" },
  { "TP\0" .. "53", "control character" },
}

describe("a gene's name", function()
  for _, case in ipairs(READ) do
    it("is read: " .. case[1], function()
      local reading = gene.read(case[1])
      assert.same({ name = case[2], level = case[3], rule = case[4], aside = case[5] }, reading)
      assert.equal(case[2], gene.read(case[2]).name) -- canonical once read
      assert.equal(reading.level, gene.describe(case[2]).level)
    end)
  end

  for _, case in ipairs(REFUSED) do
    it("is refused: " .. case[1]:gsub("[^%g ]", "?"), function()
      local reading = gene.read(case[1])
      assert.equal("verbatim", reading.rule)
      assert.equal(case[1], reading.name)
      assert.matches(case[2], reading.reason)
      assert.same(case[3], reading.candidates)
      assert.is_nil(gene.describe(case[1]))
    end)
  end

  it("is none in a blank cell", function()
    assert.is_nil(gene.read "")
    assert.is_nil(gene.read " \t ")
    assert.is_nil(gene.read "\u{A0}")
  end)

  it("keeps its case", function()
    assert.not_equal(gene.read("TP53").name, gene.read("Tp53").name)
  end)

  it("of a group of thousands fits an index and tells its members apart", function()
    local members, others = {}, {}
    for i = 1, 5000 do
      members[i] = "GENE" .. i
      others[i] = i == 5000 and "OTHER" or members[i]
    end
    local one, other = gene.read(table.concat(members, ";")), gene.read(table.concat(others, ";"))
    assert.matches("^GENE1;%+4999 %[%x+%]$", one.name)
    assert.equal("group", one.level)
    assert.equal(5000, #one.aside.members)
    assert.not_equal(one.name, other.name)
    assert.equal(one.name, gene.read(one.name).name)
  end)
end)

--- The names of a column of a real file that are not understood, and how many there are.
local function refused(path, options, column)
  local list, count, seen = {}, 0, {}
  for frame in csv.frames(path, options) do
    for _, raw in ipairs(frame:text(column):distinct()) do
      local reading = not seen[raw] and gene.read(raw)
      seen[raw] = true
      count = count + (reading and 1 or 0)
      if reading and reading.rule == "verbatim" then
        list[#list + 1] = raw
      end
    end
  end
  table.sort(list)
  return list, count
end

describe("genes of real files", function()
  it("are read, but for what spreadsheets made of them", function()
    local path = support.need_shared "signatures/gseapy__mds.2k.rnk"
    local list, count = refused(path, { separator = "\t", header = false }, 1)
    assert.equal(21020, count)
    assert.same({ "1-Mar", "10-Mar", "15-Sep", "2-Mar", "3-Mar", "5-Mar", "6-Mar", "7-Mar", "8-Mar", "9-Mar" }, list)
  end)

  it("are read whole from counts, but for the counter's own lines", function()
    local list, count = refused(support.need_shared "transcriptomics/htseq__counts.tsv", { separator = "\t" }, 1)
    assert.equal(49773, count)
    assert.same({ "__alignment_not_unique", "__ambiguous", "__no_feature", "__not_aligned", "__too_low_aQual" }, list)
  end)

  it("are all read where there are only symbols", function()
    local path = support.need_shared "transcriptomics/orghs__human_genes_symbol_alias_ensembl_uniprot.tsv"
    for column = 1, 2 do
      local list, count = refused(path, { separator = "\t", quote = false }, column)
      assert.same({}, list)
      assert.equal(18980, count)
    end
  end)
end)

describe("genes joined by slashes", function()
  it("are a group with and without blanks", function()
    for _, raw in ipairs { "TP53 /// BRCA1", "TP53///BRCA1" } do
      local reading = gene.read(raw)
      assert.same({ "TP53;BRCA1", "gene.group" }, { reading.name, reading.rule })
    end
  end)
end)
