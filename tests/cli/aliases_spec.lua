--- ligase aliases: load, list, show, drop.
local support = require "tests.support"

local HGNC = "hgnc_id\tsymbol\tstatus\talias_symbol\tprev_symbol\tentrez_id\n"
  .. 'HGNC:11998\tTP53\tApproved\t"p53|LFS1"\t\t7157\nHGNC:7645\tNAT1\tApproved\tAAC1\t\t9\n'
  .. "HGNC:10990\tSLC25A4\tApproved\t\tAAC1\t291\n"

local url

before_each(function()
  url = support.migrated_database()
end)

local function run(...)
  return support.ligase { "aliases", database = url, ... }
end

local function output(...)
  local result = run(...)
  assert.equal(0, result.code, result.stderr)
  return result.stdout
end

describe("ligase aliases", function()
  it("loads a table, tells what is in it, and replaces it by a newer one", function()
    local path = support.tmpfile(HGNC, "hgnc_complete_set.txt")
    assert.equal("hgnc: loaded, 3 names, 13 aliases (version 2026-07)\n",
      output("load", "hgnc", path, "--version", "2026-07"))
    assert.matches("^hgnc: unchanged, 3 names", output("load", "hgnc", path))
    assert.matches("hgnc +gene +hgnc +2026%-07 +3 +13", output "list")
    local newer = support.tmpfile(HGNC .. "HGNC:1\tNEW\tApproved\t\t\t\n", "newer.txt")
    local told = output("load", "hgnc", newer)
    assert.matches("^hgnc: replaced, 4 names, 15 aliases %(version %d+%-%d+%-%d+ sha256:%x+%)\n", told)
    assert.matches("before: 3 names, 13 aliases %(version 2026%-07%)", told)
    assert.matches("aliases load +done", (support.ligase { "runs", database = url }).stdout)
  end)

  it("shows what a name means, and what else means the same", function()
    output("load", "hgnc", support.tmpfile(HGNC, "x.txt"))
    assert.equal("type,source,name,kind,alias\ngene,hgnc,TP53,alias,LFS1\ngene,hgnc,TP53,alias,p53\n"
      .. "gene,hgnc,TP53,id,7157\ngene,hgnc,TP53,id,HGNC:11998\ngene,hgnc,TP53,name,TP53\n",
      output("show", "p53", "--format", "csv"))
    local ambiguous = output("show", "AAC1")
    assert.matches("NAT1", ambiguous)
    assert.matches("SLC25A4 +previous +AAC1", ambiguous)
    assert.matches("%(0 rows%)", output("show", "nothing"))
  end)

  it("drops a table", function()
    output("load", "generic", support.tmpfile("our53\tTP53\n", "x.tsv"), "--type", "gene", "--as", "panel")
    assert.equal("panel: dropped, 2 aliases\n", output("drop", "panel"))
    assert.matches("%(0 rows%)", output "list")
    local gone = run("drop", "panel")
    assert.equal(2, gone.code)
    assert.matches("there is no alias table 'panel'", gone.stderr)
  end)

  it("refuses misuse with the remedy", function()
    local path = support.tmpfile(HGNC, "x.txt")
    for _, case in ipairs {
      { { "load", "hgnx", path }, "Did you mean 'hgnc'" }, { { "load", "hgnc" }, "needs a format and a file" },
      { { "load", "generic", path }, "Say %-%-type" },
      { { "load", "hgnc", path, "--type", "protein" }, "Leave %-%-type out" },
      { { "load", "hgnc", path, "--taxon", "9606" }, "for ncbi_gene" }, { { "list", "x" }, "takes no words" },
      { { "show" }, "takes one word" }, { { "lood" }, "Did you mean 'load'" },
    } do
      local result = run(table.unpack(case[1]))
      assert.equal(2, result.code)
      assert.matches(case[2], result.stderr)
    end
    assert.matches("there is no such file", run("load", "hgnc", "/no/such").stderr)
    local wrong = run("load", "refmet", path)
    assert.equal(1, wrong.code)
    assert.matches("no column refmet_name", wrong.stderr)
    assert.matches("aliases load +failed", (support.ligase { "runs", database = url }).stdout)
  end)

  it("has nothing to show in a workspace without data, and makes none", function()
    local result = support.ligase { "aliases", "list", database = false }
    assert.equal(0, result.code)
    assert.matches("there is no data yet", result.stderr)
  end)
end)
