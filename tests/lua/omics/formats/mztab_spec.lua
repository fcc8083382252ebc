--- mzTab 1.0 and mzTab-M: the table of proteins or small molecules cell for cell, the
--- samples from the metadata, and what is refused or doubted.
local metadata = require "ligase.omics.mztab_metadata"
local reading = require "tests.lua.omics.formats.reading"
local support = require "tests.support"

local METABOLITES = [[
COM	a comment	of three cells
MTD	mzTab-version	2.0.0-M
MTD	title	Two conditions
MTD	sample[1]-species[1]	[NCBITaxon, NCBITaxon:9606, Homo sapiens, ]
MTD	ms_run[1]-location	file:///data/run_a.mzML
MTD	ms_run[2]-location	file:///data/run_b.mzML
MTD	assay[1]	first
MTD	assay[1]-sample_ref	sample[1]
MTD	assay[1]-ms_run_ref	ms_run[1]
MTD	assay[2]-ms_run_ref	ms_run[2]
MTD	study_variable[1]	control
MTD	study_variable[1]-assay_refs	assay[1]
MTD	study_variable[2]	drug
MTD	study_variable[2]-assay_refs	assay[2]
MTD	small_molecule-quantification_unit	[MS, MS:1001844, MS1 feature area, ]

SMH	SML_ID	chemical_name	adduct_ions	abundance_assay[1]	abundance_assay[2]	abundance_study_variable[1]
SML	1	null	[M+H]+	1.50	null	1.50
COM	between rows
SML	2	PC 34:1	[M-H]1-	4.9e-324	0.1	4.9e-324

SFH	SMF_ID	abundance_assay[1]
SMF	1	7
]]

local PROTEINS = [[
MTD	mzTab-version	1.0.0
MTD	mzTab-mode	Complete
MTD	assay[1]-quantification_reagent	[PRIDE, PRIDE:0000114, iTRAQ reagent 114, ]
MTD	assay[1]-ms_run_ref	ms_run[1]
MTD	assay[2]-quantification_reagent	[PRIDE, PRIDE:0000115, iTRAQ reagent 115, ]
MTD	assay[2]-ms_run_ref	ms_run[1]
MTD	study_variable[1]-description	t = 0
MTD	study_variable[1]-assay_refs	assay[1],assay[2]
PRH	accession	description	num_psms_ms_run[1]	protein_abundance_assay[1]	protein_abundance_assay[2]	]]
  .. [[protein_abundance_study_variable[1]	protein_abundance_stdev_study_variable[1]
PRT	P63017	Heat shock "cognate"	3	34.4	34.3	34.35	null
PRT	P14602	Heat shock protein	2	1	2	1.5	0.5
PSH	sequence	PSM_ID
PSM	QTQTF	1
]]

--- The rows of one section and its header, by Python.
local PYTHON = [[
rows = [l for l in lines if l[:4] in ('SMH\t', 'SML\t', 'PRH\t', 'PRT\t')]
if 'MTBLS263' in path:
    out = list(csv.reader(rows, delimiter='\t', quotechar='"'))
else:
    out = [l.split('\t') for l in rows]
]]

local function joined(doubts)
  return table.concat(doubts, "\n")
end

describe("mzTab-M", function()
  it("is read with its small molecules, and samples from assays and study variables", function()
    local result = reading.read(support.tmpfile(METABOLITES, "x.mztab"))
    assert.equal("mztab", result.name)
    assert.equal(17, result.header_line)
    assert.same({ { "SML", "1", "null", "[M+H]+", "1.50", "null", "1.50" },
      { "SML", "2", "PC 34:1", "[M-H]1-", "4.9e-324", "0.1", "4.9e-324" } }, result.rows)
    assert.equal("feature", result.roles[3].role)
    assert.same({ role = "sample", sample = "first", quantity = "abundance", unit = "MS1 feature area",
      group = "control", attributes = { species = "Homo sapiens", ms_run = "file:///data/run_a.mzML",
        study_variable = "control" } }, result.roles[5])
    assert.equal("run_b", result.roles[6].sample)
    assert.same({ role = "statistic" }, result.roles[7])
    assert.same({}, result.doubts)
    assert.same({ SMF = 1 }, result.about.other_rows)
    assert.equal("Two conditions", result.about.metadata.title)
    assert.same({ "a comment\tof three cells", "between rows" }, result.about.comments)
  end)

  it("names by another column when chemical_name is empty, with a doubt", function()
    local content = METABOLITES:gsub("PC 34:1", "null")
    local result = reading.read(support.tmpfile(content, "x.mztab"))
    assert.equal("feature", result.roles[2].role)
    assert.is_truthy(joined(result.doubts):find('"SML_ID", because "chemical_name" is empty', 1, true))
  end)

  it("is refused with the line: version, header, rows, width", function()
    local cases = {
      { "2.0.0%-M", "3.1.0-M", "version", 2 },
      { "SMH[^\n]*\n", "", "no_header", 17 }, { "SML[^\n]*\n", "", "no_rows", 17 },
      { "PC 34:1\t", "", "ragged", 20 }, { "COM\tbetween rows", "SMH\tSML_ID", "header_twice", 19 },
    }
    for _, case in ipairs(cases) do
      local content = METABOLITES:gsub(case[1], case[2])
      local failure = reading.refused(content, "x.mztab")
      assert.equal(case[3], failure.code)
      assert.equal(case[4], failure.line)
    end
    local proteins = PROTEINS:gsub("PR[HT]\t[^\n]*\n", "")
    assert.equal("no_table", reading.refused(proteins, "x.mztab").code)
    local nameless = METABOLITES:gsub("MTD\tmzTab%-version[^\n]*\n", "")
    assert.equal("version", reading.refused(nameless, "x.mztab", nil, "mztab").code)
  end)

  it("doubts lines of no section", function()
    local result = reading.read(support.tmpfile(METABOLITES .. "XYZ\t1\n", "x.mztab"))
    assert.is_truthy(joined(result.doubts):find('line 24 begins with "XYZ"', 1, true))
  end)

  it("of real tools is read cell for cell", function()
    local files = {
      ["lipidomics/mztabm2mtbls__LDA_v2.11.1_MTBLS396.mzTab"] = { 37, 704, 176, 15 },
      ["lipidomics/mztabm2mtbls__manual_null_null_lipidomics.mztab"] = { 20, 1, 70, 1 },
      ["lipidomics/mztabm2mtbls__msdial_5.5.251021GUI_Area_zenodo14263441.mztab"] = { 27, 319, 76, 7 },
      ["metabolomics/mztabm2mtbls__manual_null_MTBLS263.mztab"] = { 34, 136, 188, 12 },
      ["metabolomics/mztabm2mtbls__msdial_4_gcms_tms_height_mzTab.mztab"] = { 24, 486, 59, 6 },
    }
    for name, expected in pairs(files) do
      local path = support.need_shared(name)
      local result = reading.read(path)
      reading.assert_same(result, reading.by_python(path, PYTHON))
      assert.same(expected, { #result.header, #result.rows, result.header_line, reading.count(result, "sample") }, name)
      for i, role in ipairs(result.roles) do
        assert.is_true(role.role ~= "sample" or role.group ~= nil, result.header[i])
      end
    end
  end)

  it("without a single row is refused at its header", function()
    local path = support.need_shared "metabolomics/mztabm2mtbls__manual_null_null_minimal_example.mztab"
    local done, failure = pcall(reading.read, path)
    assert.is_false(done)
    assert.equal("no_rows", failure.code)
    assert.equal(79, failure.line)
  end)
end)

describe("mzTab 1.0", function()
  it("is read with its proteins; reagents of one run stay apart", function()
    local result = reading.read(support.tmpfile(PROTEINS, "x.mzTab"))
    assert.equal(2, #result.rows)
    assert.equal('Heat shock "cognate"', result.rows[1][3])
    assert.equal("feature", result.roles[2].role)
    assert.equal("annotation", result.roles[4].role)
    assert.same({ role = "sample", sample = "assay[2]", quantity = "abundance", group = "t = 0",
      attributes = { quantification_reagent = "iTRAQ reagent 115", study_variable = "t = 0" } }, result.roles[6])
    assert.same({ role = "statistic" }, result.roles[8])
    assert.same({ PSM = 1 }, result.about.other_rows)
  end)

  it("of a summary takes study variables for samples, and without any the counts", function()
    local summary = PROTEINS:gsub("protein_abundance_assay%[(%d)%]", "opt_assay[%1]_other")
    local result = reading.read(support.tmpfile(summary, "x.mzTab"))
    assert.equal("t = 0", result.roles[7].sample)
    assert.same({ role = "statistic" }, result.roles[8])
    local counts = summary:gsub("protein_abundance", "other")
    result = reading.read(support.tmpfile(counts, "x.mzTab"))
    assert.same({ role = "sample", sample = "ms_run[1]", quantity = "PSM count" }, result.roles[4])
  end)
end)

describe("parameters", function()
  it("are taken apart at commas outside quotes", function()
    local cases = {
      ["[MS, MS:1, name, ]"] = { "MS", "MS:1", "name", "" },
      ["[MS,MS:1,name,]"] = { "MS", "MS:1", "name", "" },
      ['[MS, MS:1, "a, b", 7]'] = { "MS", "MS:1", "a, b", "7" },
      ["[, , own name, a value, with commas]"] = { "", "", "own name", "a value, with commas" },
      ["[]"] = { "", "", "", "" },
    }
    for text, expected in pairs(cases) do
      local param = metadata.param(text)
      assert.same(expected, { param.label, param.accession, param.name, param.value }, text)
    end
    assert.is_nil(metadata.param("no parameter"))
    assert.is_nil(metadata.word("null"))
  end)
end)
