--- NanoString: one RCC file, and the collector's export of many.
local reading = require "tests.lua.omics.formats.reading"
local support = require "tests.support"

local RCC = "<Header>\r\nFileVersion,1.7\r\n</Header>\r\n\r\n<Sample_Attributes>\r\nID,mouse 3\r\nOwner,\r\n"
  .. "Date,20240501\r\n</Sample_Attributes>\r\n<Lane_Attributes>\r\nID,4\r\nFovCount,280\r\n"
  .. "</Lane_Attributes>\r\n<Code_Summary>\r\nCodeClass,Name,Accession,Count\r\n"
  .. "Endogenous,Actg1,NM_1.1,623\r\nPositive,POS_A(128),ERCC_1.1,7\r\n</Code_Summary>\r\n"
  .. "<Messages>\r\n</Messages>\r\n"

local COLLECTED = "File Name,,,a.RCC,b.RCC\r\nSample ID,,,one,two\r\nLane ID,,,1,2\r\nMessages,,,,\r\n"
  .. "Endogenous,Actg1,NM_1.1,623,7\r\nNegative,NEG_A,ERCC_2.1,1,2\r\n"

describe("NanoString RCC", function()
  it("is read with its counts, sample and lane", function()
    local result = reading.read(support.tmpfile(RCC, "20240501_m3_04.RCC"))
    assert.equal("rcc", result.name)
    assert.equal(15, result.header_line)
    assert.same({ { "Endogenous", "Actg1", "NM_1.1", "623" }, { "Positive", "POS_A(128)", "ERCC_1.1", "7" } },
      result.rows)
    assert.equal("feature", result.roles[2].role)
    assert.same({ role = "sample", sample = "mouse 3", quantity = "count", attributes = { file = "20240501_m3_04.RCC",
      Date = "20240501", ["Lane ID"] = "4", ["Lane FovCount"] = "280" } }, result.roles[4])
    assert.same({}, result.doubts)
  end)

  it("takes the file's name for a sample without id", function()
    local result = reading.read(support.tmpfile(RCC:gsub("mouse 3", ""), "20240501_m3_04.RCC"))
    assert.equal("20240501_m3_04", result.roles[4].sample)
  end)

  it("flags the probes that were added", function()
    local result = reading.read(support.tmpfile(RCC, "x.RCC"))
    assert.same({ flag = "standard", position = 1, equals = "Positive" }, result.flags[1])
  end)

  it("is refused when it is cut or has no counts, doubted in another version", function()
    local cut = reading.refused(RCC:sub(1, RCC:find("Positive") - 1), "x.RCC")
    assert.same({ "cut", 14 }, { cut.code, cut.line })
    assert.equal("no_table", reading.refused(RCC:gsub("<Code_Summary>.*</Code_Summary>\r\n", ""), "x.RCC").code)
    assert.equal("header", reading.refused(RCC:gsub("Accession,Count", "Count,Accession"), "x.RCC").code)
    local result = reading.read(support.tmpfile(RCC:gsub("1%.7", "9.9"), "x.RCC"))
    assert.is_truthy(result.doubts[1]:find("version 9.9", 1, true))
  end)

  it("of a real lane is read cell for cell", function()
    local path = support.need_shared "transcriptomics/nanostringqcpro__20140604_C1-unstim_C1-unstim_01.RCC"
    local result = reading.read(path)
    reading.assert_same(result, reading.by_python(path, [=[
start, end = lines.index('<Code_Summary>'), lines.index('</Code_Summary>')
out = [l.split(',') for l in lines[start + 1:end]]
]=]))
    assert.same({ 4, 32, 27 }, { #result.header, #result.rows, result.header_line })
    assert.equal("unstim_200", result.roles[4].sample)
  end)
end)

describe("the RCC collector's export", function()
  it("is read with its files as columns and its samples' lines as attributes", function()
    local result = reading.read(support.tmpfile(COLLECTED, "x.csv"))
    assert.equal("rcc_collector", result.name)
    assert.same({ "CodeClass", "Name", "Accession", "a.RCC", "b.RCC" }, result.header)
    assert.same({ { "Endogenous", "Actg1", "NM_1.1", "623", "7" }, { "Negative", "NEG_A", "ERCC_2.1", "1", "2" } },
      result.rows)
    assert.same({ role = "sample", sample = "two", quantity = "count", attributes = { ["Sample ID"] = "two",
      ["Lane ID"] = "2" } }, result.roles[5])
  end)

  it("is refused without counts, and where a line is too short", function()
    assert.equal("no_rows", reading.refused(COLLECTED:sub(1, COLLECTED:find("Endogenous") - 1), "x.csv").code)
    local failure = reading.refused(COLLECTED:gsub("Lane ID,,,1,2", "Lane ID,,,1"), "x.csv")
    assert.same({ "ragged", 3 }, { failure.code, failure.line })
    failure = reading.refused(COLLECTED:gsub(",1,2\r\n$", ",1\r\n"), "x.csv")
    assert.same({ "ragged", 6 }, { failure.code, failure.line })
  end)

  it("of real lanes is read cell for cell; ids that repeat do not name samples", function()
    local path = support.need_shared "transcriptomics/nanostringqcpro__RCC_collector_tool_export.csv"
    local result = reading.read(path)
    reading.assert_same(result, reading.by_python(path, [=[
out = [['CodeClass', 'Name', 'Accession'] + lines[0].split(',')[3:]]
out += [l.split(',') for l in lines if l and l.split(',')[1]]
]=]))
    assert.same({ 28, 32, 25 }, { #result.header, #result.rows, reading.count(result, "sample") })
    assert.equal("20140604_C1-unstim_C1-unstim_01.RCC", result.roles[4].sample)
    assert.equal("unstim_200", result.roles[4].attributes["Sample ID"])
  end)
end)
