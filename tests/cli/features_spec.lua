--- ligase features: recurrence across datasets and its directions.
local json = require "ligase.base.json"

local lab = require("tests.cli.lab").new()
local write, ligase, done = lab.write, lab.ligase, lab.done

--- "name datasets/rows up/down/both" of each.
local function features(...)
  local list = {}
  for i, row in ipairs(json.decode((done { "features", "--format", "json", ... }))) do
    list[i] = ("%s %d/%d %d/%d/%d"):format(row.feature, row.datasets, row.rows, row.up, row.down, row.both)
  end
  return list
end

setup(function()
  lab.open()
  write("values.csv", "lipid,a,b\nPC 34:1,1,2\nPC 34:1,1,2\nPE 36:2,2,2\nSM 34:1;O2,1,2\n")
  write("one.csv", "lipid,log2FC,pvalue,padj\nPC 34:1,1.5,0.001,0.01\nPE 36:2,-2,0.2,0.5\nTG 52:2,NaN,1,1\n"
    .. "CE 18:1,0,1,1\n")
  write("two.csv", "lipid,log2FC,pvalue\nPC 34:1,0.5,0.3\nPC 34:1,-0.5,0.04\nPE 36:2,-1,0.02\nTG 52:2,Inf,0.01\n")
  write("three.csv", "lipid,log2FC_day1,padj_day1,log2FC_day2,padj_day2\nPC 34:1,1,0.01,2,0.01\n"
    .. "PE 36:2,-1,0.6,3,0.001\n")
  done { "ingest", "--omics", "lipidomics", "values.csv", "one.csv", "two.csv", "three.csv" }
  write("genes.csv", "gene,log2FC,padj\nTP53,1,0.01\n")
  done { "ingest", "--omics", "transcriptomics", "genes.csv" }
  write("genes.csv", "gene,log2FC,padj\nTP53,-1,0.01\n") -- only the current revision counts
  done { "ingest", "--omics", "transcriptomics", "genes.csv" }
end)

describe("ligase features", function()
  it("counts datasets, rows and directions", function()
    assert.same({ "PC 34:1 4/6 2/0/1", "PE 36:2 4/4 0/2/1", "TG 52:2 2/2 1/0/0", "CE 18:1 1/1 0/0/0",
      "SM 34:1;O2 1/1 0/0/0", "TP53 1/1 0/1/0" }, features())
  end)

  it("counts only what is sure enough, by the adjusted p-value where there is one", function()
    assert.same({ "PC 34:1 4/6 2/1/0", "PE 36:2 4/4 1/1/0", "TG 52:2 2/2 1/0/0" },
      features("--max-p", "0.05", "--min", "2"))
  end)

  it("lists those of a type, of a dataset, and so many", function()
    assert.same({ "TP53 1/1 0/1/0" }, features("--type", "gene"))
    assert.same({ "PC 34:1 4/6 2/0/1", "PE 36:2 4/4 0/2/1", "SM 34:1;O2 1/1 0/0/0" }, features("--dataset", "values"))
    assert.same({ "PC 34:1 4/6 2/0/1" }, features("--limit", "1"))
    assert.same({}, features("--min", "5"))
    local out = done { "features", "--limit", "2" }
    assert.matches("\nPC 34:1 +lipid +species +4 +6 +2 +0 +1 +cc1a7fe5[%x-]+\n", out)
    assert.matches("%(2 rows%)\n%.%.%. and 4 more features", out)
  end)

  it("refuses what it does not know", function()
    assert.matches("%-%-max%-p cannot be '5'. It is a number from 0 to 1",
      ligase({ "features", "--max-p", "5" }).stderr)
    assert.equal(2, ligase({ "features", "--type", "lipit" }).code)
    assert.equal(2, ligase({ "features", "--dataset", "valuez" }).code)
  end)
end)
