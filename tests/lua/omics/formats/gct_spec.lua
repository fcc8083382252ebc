--- GCT 1.2 and 1.3.
local reading = require "tests.lua.omics.formats.reading"
local support = require "tests.support"

local V12 = "#1.2\n2\t3\nNAME\tDescription\ta\tb\tc\nTP53\tna\t1.5\t\t-0\nEGFR\tx \"y\"\t1e-320\tNA\t3\n"
local V13 = "#1.3\n2\t2\t1\t2\nid\tsymbol\ta\tb\ntreatment\tna\tDMSO\tdrug\ndose\tna\t\t10 uM\n"
  .. "p1\tTP53\t1.5\t2\np2\tEGFR\t0.1\t4\n"

describe("GCT", function()
  it("1.2 is read as it stands", function()
    local result = reading.read(support.tmpfile(V12, "x.gct"))
    assert.equal("gct", result.name)
    assert.equal(3, result.header_line)
    assert.same({ "NAME", "Description", "a", "b", "c" }, result.header)
    assert.same({ { "TP53", "na", "1.5", "", "-0" }, { "EGFR", 'x "y"', "1e-320", "NA", "3" } }, result.rows)
    assert.same({ "feature", "annotation", "sample" },
      { result.roles[1].role, result.roles[2].role, result.roles[5].role })
  end)

  it("1.3 gives the rows that describe the columns to the samples", function()
    local result = reading.read(support.tmpfile(V13, "x.gct"))
    assert.same({ { "p1", "TP53", "1.5", "2" }, { "p2", "EGFR", "0.1", "4" } }, result.rows)
    assert.same({ role = "sample", sample = "b", attributes = { treatment = "drug", dose = "10 uM" } },
      result.roles[4])
    assert.equal("DMSO", result.about.samples.a.treatment)
  end)

  it("saved by a spreadsheet has tabs behind its first lines", function()
    local content = V12:gsub("#1.2\n", "#1.2\t\t\t\t\r\n"):gsub("2\t3\n", "2\t3\t\t\t\r\n")
    assert.equal(2, #reading.read(support.tmpfile(content, "x.gct")).rows)
  end)

  it("is refused where the counts do not fit, with file and line", function()
    local cases = {
      { V12, "\n2\t3\n", "\n3\t3\n", "counts", 5 }, { V12, "\n2\t3\n", "\n1\t3\n", "counts", 5 },
      { V12, "\n2\t3\n", "\n2\t4\n", "counts", 3 }, { V12, "\n2\t3\n", "\n2\t3\t0\t0\n", "counts", 2 },
      { V13, "\n2\t2\t1\t2\n", "\n2\t2\n", "counts", 2 }, { V13, "dose\tna\t\t10 uM", "dose\tna\t10 uM", "ragged", 5 },
      { V12, "#1.2", "#1.7", "version", 1 }, { V12, "\t1.5\t\t", "\t1.5\t", "ragged", 4 },
    }
    for i, case in ipairs(cases) do
      local content, count = case[1]:gsub(case[2], case[3], 1)
      assert.equal(1, count)
      local failure = reading.refused(content, "x.gct")
      assert.equal(case[4], failure.code, "case " .. i)
      assert.equal(case[5], failure.line, "case " .. i)
    end
  end)

  it("of which only the head was kept is refused; whole again it is read cell for cell", function()
    local path = support.need_shared "transcriptomics/gseapy__Leukemia_hgu95av2.trim.gct"
    local done, failure = pcall(reading.read, path)
    assert.is_false(done)
    assert.is_truthy(failure.message:find("1259 rows, but line 2 says 9020", 1, true))
    local file <close> = assert(io.open(path, "rb"))
    local mended = support.tmpfile((file:read("a"):gsub("^(#1.2%s*\n)9020", "%11259")), "mended.gct")
    local result = reading.read(mended)
    reading.assert_same(result, reading.by_python(mended, "out = [l.split('\\t') for l in lines[2:] if l]"))
    assert.same({ 50, 1259, 48 }, { #result.header, #result.rows, reading.count(result, "sample") })
  end)
end)
