--- GEO SOFT: samples, families, DataSets and series matrices.
local reading = require "tests.lua.omics.formats.reading"
local support = require "tests.support"

local function sample(name, rows, more)
  local lines = { "^SAMPLE = " .. name, "!Sample_title = title of " .. name, "!Sample_organism_ch1 = Homo sapiens",
    "!Sample_characteristics_ch1 = age: " .. #rows, "!Sample_characteristics_ch1 = treated" }
  lines[#lines + 1] = more
  lines[#lines + 1] = "#VALUE = signal"
  lines[#lines + 1] = "!sample_table_begin"
  lines[#lines + 1] = "ID_REF\tVALUE\tCALL"
  table.move(rows, 1, #rows, #lines + 1, lines)
  lines[#lines + 1] = "!sample_table_end"
  return table.concat(lines, "\n") .. "\n"
end

local ONE = sample("GSM1", { "1007_s_at\t1.50\tP", "AFFX-BioB-5_at\t1e-320\tA" }, "!Sample_data_row_count = 2")
local TWO = sample("GSM2", { "1007_s_at\t3\tM", "AFFX-BioB-5_at\t\tA" })
local FAMILY = "^DATABASE = GeoMiame\n!Database_name = GEO\n^SERIES = GSE9\n!Series_title = A series\n"
  .. "!Series_sample_id = GSM1\n!Series_sample_id = GSM2\n^PLATFORM = GPL9\n!Platform_title = chip\n#ID = probe\n"
  .. "!platform_table_begin\nID\tSymbol\n1007_s_at\tDDR1\n!platform_table_end\n" .. ONE .. TWO

local MATRIX = '!Series_title\t"A series"\n!Series_summary\t"One"\n!Series_summary\t"two"\n'
  .. '!Sample_title\t"first"\t"second"\n!Sample_geo_accession\t"GSM1"\t"GSM2"\n'
  .. '!Sample_characteristics_ch1\t"age: 7"\t"age: 8"\n!series_matrix_table_begin\n'
  .. '"ID_REF"\t"GSM1"\t"GSM2"\n"1007_s_at"\t1.5\tnull\n"x"\t\t2\n!series_matrix_table_end\n'

local DATASET = "^DATABASE = Geo\n^DATASET = GDS1\n!dataset_title = A set\n^SUBSET = GDS1_1\n"
  .. "!subset_description = control\n!subset_sample_id = GSM1\n!subset_type = agent\n^SUBSET = GDS1_2\n"
  .. "!subset_description = drug\n!subset_sample_id = GSM2,GSM3\n!subset_type = agent\n^DATASET = GDS1\n"
  .. "#ID_REF = probe\n!dataset_table_begin\nID_REF\tIDENTIFIER\tGSM1\tGSM2\tGSM3\na_at\tTP53\t1\t2\t3.50\n"
  .. "!dataset_table_end\n"

local function joined(doubts)
  return table.concat(doubts, "\n")
end

describe("GEO SOFT", function()
  it("of one sample is read as it stands", function()
    local result = reading.read(support.tmpfile(ONE, "GSM1.txt"))
    assert.equal("soft", result.name)
    assert.equal(9, result.header_line)
    assert.same({ "ID_REF", "VALUE", "CALL" }, result.header)
    assert.same({ { "1007_s_at", "1.50", "P" }, { "AFFX-BioB-5_at", "1e-320", "A" } }, result.rows)
    assert.same({}, result.doubts)
    assert.same({ role = "sample", sample = "GSM1", quantity = "VALUE", attributes = { title = "title of GSM1",
      organism_ch1 = "Homo sapiens", age = "2", characteristics_ch1 = "treated", data_row_count = "2" } },
      result.roles[2])
    assert.equal("annotation", result.roles[3].role)
    assert.equal("signal", result.about.columns.VALUE)
  end)

  it("of a family becomes gene x sample", function()
    local result = reading.read(support.tmpfile(FAMILY, "GSE9_family.soft"))
    assert.same({ "ID_REF", "GSM1", "GSM1.CALL", "GSM2", "GSM2.CALL" }, result.header)
    assert.same({ { "1007_s_at", "1.50", "P", "3", "M" }, { "AFFX-BioB-5_at", "1e-320", "A", "", "A" } }, result.rows)
    assert.equal(22, result.header_line)
    assert.same({ "feature", "sample", "annotation", "sample", "annotation" }, { result.roles[1].role,
      result.roles[2].role, result.roles[3].role, result.roles[4].role, result.roles[5].role })
    assert.equal("title of GSM2", result.roles[4].attributes.title)
    assert.equal("Homo sapiens", result.about.shared_by_samples.organism_ch1)
    assert.equal("GSM1\nGSM2", result.about.series.GSE9.sample_id)
    assert.same({ "the table of platform GPL9 (1 rows) is not stored" }, result.doubts)
  end)

  it("of a family with other rows is put one below the other", function()
    local content = FAMILY:gsub("1007_s_at\t3", "other_at\t3")
    local result = reading.read(support.tmpfile(content, "GSE9_family.soft"))
    assert.same({ "SAMPLE", "ID_REF", "VALUE", "CALL" }, result.header)
    assert.same({ { "GSM1", "1007_s_at", "1.50", "P" }, { "GSM1", "AFFX-BioB-5_at", "1e-320", "A" },
      { "GSM2", "other_at", "3", "M" }, { "GSM2", "AFFX-BioB-5_at", "", "A" } }, result.rows)
    assert.same({ "sample_name", "feature", "value", "annotation" }, { result.roles[1].role, result.roles[2].role,
      result.roles[3].role, result.roles[4].role })
    assert.is_truthy(joined(result.doubts):find("one below the other", 1, true))
    assert.equal("title of GSM2", result.about.samples.GSM2.title)
  end)

  it("of a series matrix is read with its quoted cells and its samples", function()
    local result = reading.read(support.tmpfile(MATRIX, "GSE9_series_matrix.txt"))
    assert.same({ "ID_REF", "GSM1", "GSM2" }, result.header)
    assert.same({ { "1007_s_at", "1.5", "null" }, { "x", "", "2" } }, result.rows)
    assert.same({ role = "sample", sample = "GSM2", attributes = { title = "second", age = "8" } }, result.roles[3])
    assert.equal("One\ntwo", result.about.series.summary)
  end)

  it("of a DataSet groups its samples by subset", function()
    local result = reading.read(support.tmpfile(DATASET, "GDS1.soft"))
    assert.same({ { "a_at", "TP53", "1", "2", "3.50" } }, result.rows)
    assert.equal("annotation", result.roles[2].role)
    assert.same({ role = "sample", sample = "GSM3", group = "drug", attributes = { agent = "drug" } }, result.roles[5])
  end)

  it("packed by gzip is the same", function()
    local path = support.tmpfile(FAMILY, "f.soft")
    local packed = require("sys").run({ "gzip", "-c", path }).stdout
    local whole, unpacked = reading.read(path), reading.read(support.tmpfile(packed, "f.soft.gz"))
    assert.same(whole.rows, unpacked.rows)
  end)

  it("is refused when it is cut, empty or shortened, with the line", function()
    local cases = {
      { ONE:sub(1, -19), "cut", 8 }, { ONE:gsub("!sample_table_end", "^SAMPLE = GSM2"), "cut", 8 },
      { ONE:gsub("1007[^\n]*\n", ""), "counts", 9 }, { ONE:gsub("\tP\n", "\n"), "ragged", 10 },
      { sample("GSM3", {}, "!Sample_supplementary_file = ftp://x/GSM3.txt.gz"), "no_table" },
      { FAMILY:gsub("%^SAMPLE.*", ""), "no_table" }, { FAMILY:gsub("\t3\tM", "\t3"), "ragged", 34 },
    }
    for i, case in ipairs(cases) do
      local failure = reading.refused(case[1], "x.soft")
      assert.equal(case[2], failure.code, "case " .. i)
      assert.equal(case[3], failure.line, "case " .. i)
    end
  end)

  it("flags control probes", function()
    assert.same({ { flag = "standard", prefix = "AFFX-" } }, reading.read(support.tmpfile(ONE, "x.soft")).flags)
  end)

  it("of GEO is read cell for cell", function()
    local path = support.need_shared "transcriptomics/geoquery__GSM11805.txt"
    local result = reading.read(path)
    reading.assert_same(result, reading.by_python(path, [=[
start, end = lines.index('!sample_table_begin'), lines.index('!sample_table_end')
out = [l.split('\t') for l in lines[start + 1:end]]
]=]))
    assert.same({ 3, 22283, 40 }, { #result.header, #result.rows, result.header_line })
    assert.equal("GSM11805", result.roles[2].sample)
    assert.same({}, result.doubts)
  end)
end)
