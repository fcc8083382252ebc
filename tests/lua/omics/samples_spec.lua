local errors = require "ligase.base.errors"
local inspecting = require "tests.lua.omics.formats.inspecting"
local samples = require "ligase.omics.samples"
local support = require "tests.support"

local TABLE = "lipid,S1,S2,s 3\nPC 34:1,1,2,3\nPE 36:2,4,5,6\n"

local function joined(annotations, content, name)
  return inspecting.read(content or TABLE, name or "x.csv",
    { samples = samples.read(support.tmpfile(annotations, "samples.csv")) })
end

local function attributes(result)
  local found = {}
  for _, column in ipairs(result.plan.columns) do
    found[column.name] = column.sample
  end
  return found
end

describe("sample annotations", function()
  it("join by the column in which the samples' names stand", function()
    local result = joined("No,Sample,Condition,Time,Dose,BioReplicate,Diet\n1,S1,drug,24,5,1,chow\n2,S2,none,24,,2,\n"
      .. "3,s 3,none,48,5,1,fat\n")
    assert.same({
      S1 = { No = "1", group = "drug", timepoint = "24", dose = "5", replicate = "1", Diet = "chow" },
      S2 = { No = "2", group = "none", timepoint = "24", replicate = "2" },
      ["s 3"] = { No = "3", group = "none", timepoint = "48", dose = "5", replicate = "1", Diet = "fat" },
    }, attributes(result))
    assert.equal("", inspecting.doubts(result))
    assert.equal("Sample", result.plan.sample_table.name_column)
    assert.same({ group = "Condition", timepoint = "Time", dose = "Dose", replicate = "BioReplicate" },
      result.plan.sample_table.headers)
    assert.equal(64, #result.plan.sample_table.sha256)
  end)

  it("join names that differ in case and blanks only, if they are one sample's", function()
    local result = joined("name,group\n s1 ,a\nS2,b\nS 3,c\n")
    assert.equal("a", attributes(result).S1.group)
    assert.equal("c", attributes(result)["s 3"].group)
    result = joined("name,group\ns1,a\n s1,b\nS2,b\ns 3,c\n")
    assert.is_nil(attributes(result).S1)
    assert.matches('several rows of .* are for one sample, so none was taken: "S1"', inspecting.doubts(result))
  end)

  it("prefer the very name to one that differs in case", function()
    local result = joined("name,group\ns1,lower\nS1,upper\nS2,b\ns 3,c\n")
    assert.equal("upper", attributes(result).S1.group)
    assert.matches('rows of .* without a sample in the file: "s1"', inspecting.doubts(result))
  end)

  it("doubt what has no partner, on both sides", function()
    local result = joined("name,group\nS1,a\nS4,d\n")
    assert.matches('samples without a row in .*: "S2", "s 3"', inspecting.doubts(result))
    assert.matches('rows of .* without a sample in the file: "S4"', inspecting.doubts(result))
    result = joined("name,group\nA,a\n")
    assert.matches('no sample of the file was found in .*; the samples are "S1", "S2", "s 3"',
      inspecting.doubts(result))
    assert.same({}, attributes(result))
  end)

  it("join by what the format calls the samples, to all their quantities", function()
    local result = joined("run\tgroup\na\tx\nb\ty\n", "Protein IDs\tMajority protein IDs\tIntensity a\tIntensity b\t"
      .. "iBAQ a\tiBAQ b\nP1\tP1\t1\t2\t3\t4\n", "proteinGroups.txt")
    local found = attributes(result)
    assert.equal("x", found["Intensity a"].group)
    assert.equal("x", found["iBAQ a"].group)
    assert.equal("y", found["iBAQ b"].group)
  end)

  it("of a long table stand with the column that names its samples", function()
    local result = joined("sample,group\nS1,a\nS2,b\nS9,c\n", "lipid,sample,value\nPC 34:1,S1,1\nPC 34:1,S2,2\n")
    assert.same({ S1 = { group = "a" }, S2 = { group = "b" }, S9 = { group = "c" } }, result.plan.sample_name.samples)
  end)

  it("keep an attribute's own header when two mean the same", function()
    local result = joined("name,group,condition\nS1,a,x\nS2,b,y\ns 3,c,z\n")
    assert.same({ group = "a", condition = "x" }, attributes(result).S1)
  end)

  it("must have rows, and each header once", function()
    local function refusal(content)
      local done, failure = pcall(samples.read, support.tmpfile(content, "samples.csv"))
      assert.is_false(done)
      assert.is_true(errors.is(failure, "input"))
      return failure
    end
    assert.equal("no_rows", refusal("name,group\n").code)
    local failure = refusal("name,group,group\nS1,a,b\n")
    assert.equal("duplicate_header", failure.code)
    assert.equal(1, failure.line)
  end)

  it("of a real study join to all its samples #shared", function()
    local result = inspecting.read_shared("metabolomics/fbmn_stats__Lab1_GNPS_file_quant.csv",
      { samples = samples.read(support.need_shared "metabolomics/fbmn_stats__MetaData.txt") })
    local count = 0
    for _, column in ipairs(result.plan.columns) do
      count = count + (column.sample and column.sample.timepoint and 1 or 0)
    end
    assert.equal(13, count)
    assert.equal("", inspecting.doubts(result))
  end)
end)
