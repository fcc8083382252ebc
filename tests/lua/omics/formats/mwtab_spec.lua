--- mwTab as text and as JSON: the table of values cell for cell, what is said of the
--- samples, and what is refused or doubted.
local reading = require "tests.lua.omics.formats.reading"
local support = require "tests.support"

local TEXT = [[
#METABOLOMICS WORKBENCH STUDY_ID:ST900001 ANALYSIS_ID:AN900001
VERSION             	1
CREATED_ON          	2024-05-01
#PROJECT
PR:PROJECT_TITLE    	Yeast in two media
PR:PROJECT_SUMMARY  	A summary that
PR:PROJECT_SUMMARY  	goes on.
#SUBJECT_SAMPLE_FACTORS:	SUBJECT(optional)[tab]SAMPLE[tab]FACTORS[tab]Additional sample data
SUBJECT_SAMPLE_FACTORS	-	s1	Medium:rich | Time:0 h	RAW_FILE_NAME=s1.raw; Batch=1
SUBJECT_SAMPLE_FACTORS	y7	s2	Medium:poor | Time:2 h
#MS
MS:INSTRUMENT_NAME  	Orbitrap
#MS_METABOLITE_DATA
MS_METABOLITE_DATA:UNITS	peak area
MS_METABOLITE_DATA_START
Samples	s1	s2
Factors	Medium:rich | Time:0 h	Medium:poor | Time:2 h
Glucose	1.50	NA
5'-"AMP"	0.1	1e-320
MS_METABOLITE_DATA_END
#METABOLITES
METABOLITES_START
metabolite_name	pubchem_id
Glucose	5793
METABOLITES_END
#END
]]

--- The table of a block, by Python: the lines between START and END without the factors.
local PYTHON = [[
start = next(i for i, l in enumerate(lines) if l.endswith('_DATA_START'))
end = next(i for i, l in enumerate(lines) if l.endswith('_DATA_END'))
out = [l.split('\t') for l in lines[start + 1:end] if l and not l.startswith('Factors\t')]
]]

local function joined(doubts)
  return table.concat(doubts, "\n")
end

describe("mwTab", function()
  it("is read with its table, units, samples and sections", function()
    local result = reading.read(support.tmpfile(TEXT, "study.txt"))
    assert.equal("mwtab", result.name)
    assert.equal(16, result.header_line)
    assert.same({ "Samples", "s1", "s2" }, result.header)
    assert.same({ { "Glucose", "1.50", "NA" }, { "5'-\"AMP\"", "0.1", "1e-320" } }, result.rows)
    assert.same({}, result.doubts)
    assert.equal("feature", result.roles[1].role)
    assert.same({ role = "sample", sample = "s1", unit = "peak area", group = "rich | 0 h",
      attributes = { Medium = "rich", Time = "0 h", RAW_FILE_NAME = "s1.raw", Batch = "1" } }, result.roles[2])
    assert.same({ Medium = "poor", Time = "2 h", subject = "y7" }, result.roles[3].attributes)
    assert.equal("A summary that goes on.", result.about.PROJECT.PROJECT_SUMMARY)
    assert.equal("Orbitrap", result.about.MS.INSTRUMENT_NAME)
    assert.same({ columns = { "metabolite_name", "pubchem_id" }, rows = { { "Glucose", "5793" } } },
      result.about.METABOLITES)
  end)

  it("takes factors from under the header where the samples have no section of their own", function()
    local content = TEXT:gsub("SUBJECT_SAMPLE_FACTORS\t[^\n]*\n", "")
    local result = reading.read(support.tmpfile(content, "x.txt"))
    assert.same({}, result.doubts)
    assert.same({ Medium = "poor", Time = "2 h" }, result.roles[3].attributes)
  end)

  it("is refused when it is cut short, with the line where the table began", function()
    for _, at in ipairs { "MS_METABOLITE_DATA_END", "5'%-" } do
      local failure = reading.refused(TEXT:sub(1, TEXT:find(at) - 1), "cut.txt")
      assert.equal("cut", failure.code)
      assert.equal(15, failure.line)
    end
    local failure = reading.refused(TEXT:sub(1, TEXT:find("METABOLITES_END") - 1), "cut.txt")
    assert.equal(22, failure.line)
  end)

  it("is refused without values, naming the file that has them", function()
    local without = TEXT:gsub("MS_METABOLITE_DATA_START.*MS_METABOLITE_DATA_END\n", "")
    assert.equal("no_table", reading.refused(without, "none.txt").code)
    local elsewhere = without:gsub("Orbitrap\n", "%0MS:MS_RESULTS_FILE\tST900001_Results.txt UNITS:area\n")
    assert.is_truthy(reading.refused(elsewhere, "x.txt").message:find("ST900001_Results.txt", 1, true))
    local empty = TEXT:gsub("Glucose\t1.50\tNA\n5[^\n]*\n", "")
    local failure = reading.refused(empty, "empty.txt")
    assert.equal("no_rows", failure.code)
    assert.equal(16, failure.line)
  end)

  it("is doubted where versions, samples or factors do not fit", function()
    local cases = {
      { "VERSION             \t1", "VERSION\t7", "version 7" },
      { "#END\n", "", "does not end with #END" },
      { "\ts2\tMedium:poor", "\ts1\tMedium:poor", "line 17: the factors of sample \"s1\"" },
      { "\nFactors[^\n]*", "", "" },
      { "\ts2\tMedium:poor", "\ts2\tMedium:rich", 'line 17: the factors of sample "s2"' },
      { "CREATED_ON          \t", "CREATED_ON ", "line 3 is no key" },
    }
    for _, case in ipairs(cases) do
      local content, count = TEXT:gsub(case[1], case[2], 1)
      assert.equal(1, count)
      local result = reading.read(support.tmpfile(content, "x.txt"))
      assert.equal(2, #result.rows)
      assert.is_truthy(joined(result.doubts):find(case[3], 1, true), joined(result.doubts))
    end
  end)

  it("of the workbench is read cell for cell", function()
    for name, expected in pairs { ["ST000017_AN000035"] = { 43, 319, 120, 42 },
      ["ST000022_AN000041"] = { 37, 216, 183, 36 }, ["ST000040_AN000060"] = { 17, 301, 137, 16 } } do
      local path = support.need_shared("metabolomics/mwtab__" .. name .. ".txt")
      local result = reading.read(path)
      reading.assert_same(result, reading.by_python(path, PYTHON))
      assert.same(expected, { #result.header, #result.rows, result.header_line, reading.count(result, "sample") })
      assert.same({}, result.doubts)
      for i = 2, #result.header do
        assert.is_truthy(result.roles[i].group, result.header[i])
      end
    end
  end)

  it("that somebody broke on purpose is read with a doubt that names the line", function()
    local whole = reading.read(support.need_shared "metabolomics/mwtab__ST000022_AN000041.txt")
    for name, doubt in pairs { malformed_SSF_line = "line 72", malformed_factor = 'line 72: a factor of sample "C0559"',
      missing_tab = "line 5 is no key, tab and value" } do
      local result = reading.read(support.need_shared("metabolomics/mwtab__ST000022_AN000041_" .. name .. ".txt"))
      reading.assert_same(result, whole.header, whole.rows)
      assert.equal(doubt, result.doubts[1]:sub(1, #doubt))
    end
  end)
end)

local JSON = [[
{"METABOLOMICS WORKBENCH":{"STUDY_ID":"ST900001","VERSION":"1"},
"SUBJECT_SAMPLE_FACTORS":[{"Subject ID":"-","Sample ID":"s1","Factors":{"Medium":"rich"}},
 {"Subject ID":"y7","Sample ID":"s2","Factors":{"Medium":"poor"},"Additional sample data":{"Batch":"1"}}],
"MS_METABOLITE_DATA":{"Units":"peak area",
"Data":[{"Metabolite":"Glucose","s2":"1.50","s1":""},
 {"s1":1e-320,"Metabolite":"a\tb \"c\"","s2":12345678901234567}],
"Metabolites":[{"Metabolite":"Glucose","pubchem_id":"5793"}]}}
]]

describe("mwTab JSON", function()
  it("is read with columns in the first item's order, numbers as they are", function()
    local result = reading.read(support.tmpfile(JSON, "study.json"))
    assert.equal("mwtab_json", result.name)
    assert.same({ "Metabolite", "s2", "s1" }, result.header)
    assert.same({ { "Glucose", "1.50", "" }, { 'a\tb "c"', "12345678901234567", "1e-320" } },
      { result.rows[1], { result.rows[2][1], result.rows[2][2], ("%.0e"):format(tonumber(result.rows[2][3])) } })
    assert.equal(1e-320, tonumber(result.rows[2][3]))
    assert.same({ role = "sample", sample = "s2", unit = "peak area", group = "poor",
      attributes = { Medium = "poor", Batch = "1", subject = "y7" } }, result.roles[2])
    assert.is_nil(result.about.MS_METABOLITE_DATA.Data)
    assert.equal("5793", result.about.MS_METABOLITE_DATA.Metabolites[1].pubchem_id)
  end)

  it("is refused when it is cut, has no values, or items of other members", function()
    assert.equal("json", reading.refused(JSON:sub(1, -40), "cut.json").code)
    assert.equal("no_table", reading.refused(JSON:gsub('"Data"', '"data"'), "x.json").code)
    assert.equal("ragged", reading.refused(JSON:gsub('"s1":1e%-320', '"s9":1'), "x.json").code)
    assert.equal("cell", reading.refused(JSON:gsub('1e%-320', 'true'), "x.json").code)
  end)

  it("doubts a cell that is not there", function()
    local content = JSON:gsub('"s1":1e%-320,', "")
    local result = reading.read(support.tmpfile(content, "x.json"))
    assert.equal("", result.rows[2][3])
    assert.is_truthy(joined(result.doubts):find('item 2 of the table has no "s1"', 1, true))
  end)

  it("of the workbench holds the same values as its text", function()
    local path = support.need_shared "metabolomics/mwtab__ST000040_AN000060.json"
    local result = reading.read(path)
    reading.assert_same(result, reading.by_python(path, [[
data = json.load(open(path, encoding='utf-8'))['MS_METABOLITE_DATA']['Data']
out = [list(data[0])] + [list(d.values()) for d in data]
]]))
    assert.equal(301, #result.rows)
    local text = reading.read(support.need_shared "metabolomics/mwtab__ST000040_AN000060.txt")
    assert.same(text.rows, result.rows)
    assert.same(text.roles[2].attributes, result.roles[2].attributes)
  end)
end)
