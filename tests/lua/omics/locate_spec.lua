local locate = require "ligase.omics.locate"
local support = require "tests.support"
local sys = require "sys"

--- The line of a cell, and why there is none.
local function line(path, ordinal, cell, more)
  local wanted = { path = path, sha256 = sys.sha256_file(path), findings = {}, ordinal = ordinal, position = 1,
    cell = cell }
  for key, value in pairs(more or {}) do
    wanted[key] = value
  end
  return locate.line(wanted)
end

local TEXT = '# by hand\nlipid,S1\nPC 34:1,1\n\n# half of it\n"two\nlines",2\nPE 36:2,3\n'

local MWTAB = [[
#METABOLOMICS WORKBENCH STUDY_ID:ST900001 ANALYSIS_ID:AN900001
VERSION             	1
CREATED_ON          	2024-05-01
#SUBJECT_SAMPLE_FACTORS:	SUBJECT(optional)[tab]SAMPLE[tab]FACTORS[tab]Additional sample data
SUBJECT_SAMPLE_FACTORS	-	s1	Medium:rich
SUBJECT_SAMPLE_FACTORS	-	s2	Medium:poor
#MS_METABOLITE_DATA
MS_METABOLITE_DATA:UNITS	peak area
MS_METABOLITE_DATA_START
Samples	s1	s2
Factors	Medium:rich	Medium:poor
Glucose	1.50	NA
Alanine	0.1	2
MS_METABOLITE_DATA_END
#END
]]

describe("the line of a row", function()
  it("counts comments, blank lines and cells of several lines", function()
    local path, how = support.tmpfile(TEXT), { findings = { given = { comment = "#" } } }
    assert.equal(3, line(path, 1, "PC 34:1", how))
    assert.equal(6, line(path, 2, "two\nlines", how))
    assert.equal(8, line(path, 3, "PE 36:2", how))
    assert.equal(2, line(support.tmpfile("lipid,S1\n,1\n"), 1, nil))
  end)

  it("is found by the answers that were given", function()
    local path = support.tmpfile("by hand\nx;1\ny;2\n")
    local findings = { given = { separator = ";", skip_lines = 1, header = false, reading_version = 2 } }
    assert.equal(3, line(path, 2, "y", { findings = findings }))
  end)

  it("is found deep in a large file", function()
    local lines = { "lipid,S1" }
    for i = 1, 200000 do
      lines[i + 1] = ("PC %d:1,%d"):format(i, i)
    end
    assert.equal(200001, line(support.tmpfile(table.concat(lines, "\n")), 200000, "PC 200000:1"))
  end)

  it("is that of the file where a converted copy is read", function()
    local path = support.tmpfile(MWTAB, "study.txt")
    assert.equal(12, line(path, 1, "Glucose", { findings = { format = "mwtab" } }))
    assert.equal(13, line(path, 2, "Alanine", { findings = { format = "mwtab" } }))
  end)

  it("is not known when the file has no such row, or other content", function()
    local path, how = support.tmpfile(TEXT), { findings = { given = { comment = "#" } } }
    assert.is_nil(line(path, 4, "PC 34:1", how))
    assert.is_nil(line(path, 1, "PE 36:2", how))
    assert.is_nil(line(path, 1, nil, how))
    assert.same({ nil, "the file was changed since" }, { line(path, 1, "PC 34:1", { sha256 = ("0"):rep(64) }) })
    assert.same({ nil, "the file is not there" }, { line(path, 1, "PC 34:1", { path = path .. ".gz" }) })
    assert.is_nil(line(support.tmpfile "lipid,S1\nx,1,2,3\n", 1, "x"))
  end)

  it("is not made up for a file that has no lines of its own", function()
    local path = support.need_shared "metabolomics/mwtab__ST000040_AN000060.json"
    local name = sys.read_file(path):match('"Metabolite"%s*:%s*"([^"]+)"')
    assert.is_string(name)
    assert.is_nil(line(path, 1, name, { findings = { format = "mwtab_json" } }))
  end)
end)
