--- Signatures and scores from the command line: load, score, matches, why, and after ingest.
local json = require "ligase.base.json"
local support = require "tests.support"

local CORE = [[
# name: ALS core
# disease: ALS; FTD
lipid	direction	weight
Cer(d18:1/16:0)	↑	2
Cer 18:1;O2/18:0	up	1
SM 34:1;O2	down	1
gibberish(((	up	1
]]

local STATISTICS = "lipid,log2FC,pvalue,padj\nCer 18:1;O2/16:0,1.5,0.001,0.01\nCer 18:1;O2/18:0,0.5,0.01,0.02\n"
  .. "SM 34:1;O2,-0.8,0.001,0.01\nPC 34:1,0.1,0.5,0.6\nPC 36:2,-0.1,0.5,0.6\nPE 36:2,0.2,0.5,0.6\n"

local WIDE = "lipid,a1,a2,c1,c2\nCer 18:1;O2/16:0,8,8,2,2\nCer 18:1;O2/18:0,8,4,2,2\nSM 34:1;O2,1,1,4,4\n"
  .. "PC 34:1,1,2,1,2\n"

describe("ligase signature, score, matches and why", function()
  local url

  setup(function()
    url = support.migrated_database()
  end)

  local function run(...)
    return support.ligase { database = url, ... }
  end

  local function output(...)
    local result = run(...)
    assert.equal(0, result.code, result.stderr .. result.stdout)
    return result.stdout
  end

  it("load a signature and say what was read of it", function()
    local path = support.tmpfile(CORE, "core.tsv")
    local told = output("signature", "load", path, "--matrix", "CSF", "--type", "consortium")
    assert.matches("core.tsv: ALS core, new signature, 4 components, 3 up, 1 down", told, 1, true)
    assert.matches('unmatched 1 component kept and matched with nothing: "gibberish((("', told, 1, true)
    assert.matches("(line 7: no lipid class", told, 1, true)
    assert.matches("ALS core, unchanged %(version 1%)", output("signature", "load", path, "--matrix", "CSF", "--type",
      "consortium"))
    assert.matches("ALS core +1 +consortium +4 +1 +ALS; FTD +CSF", output("signature", "list"))
    local shown = output("signature", "show", "ALS c")
    assert.matches("disease +ALS; FTD", shown)
    assert.matches("Cer 18:1;O2/16:0 +lipid +up +2 +sn%-position", shown)
    assert.matches("4  gibberish%(%(%( +lipid +up +1 +verbatim +no lipid class", shown)
    assert.matches("^position,component,feature,", output("signature", "show", "ALS core", "--format", "csv"))
    assert.matches("signature load +signatures +done", output "runs")
  end)

  it("say which programs a signature matters to", function()
    local refused = run("signature", "update", "ALS core")
    assert.equal(2, refused.code)
    assert.matches("Say --program PROGRAM", refused.stderr, 1, true)
    assert.matches("there is no program 'ALS'", run("signature", "update", "ALS core", "--program", "ALS").stderr,
      1, true)
    assert.matches("signature ALS core: changed", output("signature", "update", "ALS c", "--program", "ALS",
      "--program", "Ageing", "--create"), 1, true)
    assert.matches("programs +ALS; Ageing", output("signature", "show", "ALS core@1"))
    assert.matches("ALS core", output("signature", "list", "--program", "ALS"), 1, true)
    output("program", "create", "Other")
    assert.not_matches("ALS core", output("signature", "list", "--program", "Other"), 1, true)
    local used = run("signature", "delete", "ALS core")
    assert.equal(2, used.code)
    assert.matches("the program 'ALS'; the program 'Ageing'", used.stderr, 1, true)
    assert.matches("signature update NAME --program ''", used.stderr, 1, true)
    output("rollback", "last")
    output("rollback", "last")
    assert.matches("programs +%-", output("signature", "show", "ALS core"))
  end)

  it("score datasets after they were ingested", function()
    local told = output("ingest", "--omics", "lipidomics", "--name", "stats", support.tmpfile(STATISTICS, "stats.csv"))
    assert.matches("scores   1 of 1 signature match", told)
    assert.matches("ALS core +1 +concordance +1.0000 +[%d.]+ +0.800 +3/4 +exact +t", output("matches", "stats"))
    assert.matches("stats +lipidomics +concordance +1.0000", output("matches", "ALS core"))
  end)

  it("score anew, and write nothing that is the same", function()
    local told = output("score", "stats")
    assert.matches("1 dataset by 1 signature: 0 scores written, 1 unchanged, 1 match", told)
    told = output("score", "stats", "--method", "all", "--permutations", "100")
    assert.matches("6 scores written", told)
    for _, method in ipairs { "concordance", "gsea", "legacy", "ora", "singscore", "ssgsea" } do
      assert.matches(method, told)
    end
    assert.matches("2 datasets by 1 signature", (output("ingest", "--omics", "lipidomics", "--name", "wide",
      support.tmpfile(WIDE, "wide.csv")) and output("score", "--all")))
    assert.matches("^signature,version,method,", output("score", "stats", "--format", "csv"))
  end)

  it("score groups of samples that are named", function()
    assert.matches("a1,a2/c1,c2 +1.0000", output("score", "wide", "--contrast", "a1,a2/c1,c2"))
    assert.matches("c1,c2/a1,a2 +%-1.0000", output("score", "wide", "--contrast", "c1,c2/a1,a2"))
    local refused = run("score", "wide", "--contrast", "ALS/control")
    assert.equal(2, refused.code)
    assert.matches("no sample is in a group 'ALS'", refused.stderr)
    assert.matches("%-%-samples FILE", refused.stderr)
  end)

  it("say why, down to the rows", function()
    local told = output("why", "wide", "--signature", "ALS core", "--contrast", "a1,a2/c1,c2")
    assert.matches("score +1 by concordance %(version 2%), a match", told)
    assert.matches("coverage +0.8 of the weight, 3 of 4 components, exact", told)
    assert.matches("again +comes out the same, to the last bit", told)
    assert.matches("Cer 18:1;O2/16:0 +up +2 +exact +2 +along +1 +1 +Cer 18:1;O2/16:0", told)
    assert.matches("SM 34:1;O2 +down +1 +exact +%-2 +along +4 +3 +SM 34:1;O2", told)
    assert.matches("gibberish%(%(%( +up +1 +not understood", told)
    local report = json.decode(output("why", "wide", "--signature", "ALS core", "--contrast", "a1,a2/c1,c2", "--json"))
    assert.equal("same", report.again)
    assert.same({ a1 = 8.0, a2 = 8.0 }, report.components[1].features[1].samples.case)
    assert.same({ c1 = 2.0, c2 = 2.0 }, report.components[1].features[1].samples.control)
    for _, method in ipairs { "gsea", "ora", "ssgsea", "singscore", "legacy" } do
      assert.matches("again +comes out the same", output("why", "stats", "--signature", "ALS core", "--method", method))
    end
    local none = run("why", "stats", "--signature", "ALS core", "--contrast", "aged")
    assert.equal(2, none.code)
    assert.matches("was not scored by 'ALS core' in that way. Score it: ligase score 'stats'", none.stderr)
  end)

  it("load files by recipes too", function()
    local path = support.tmpfile("gene\tdirection\nTP53\tup\n", "genes.tsv")
    assert.matches("genes.tsv: genes, new signature, 1 component", output("ingest", "--recipe", "signatures", path))
    assert.matches("genes, unchanged", output("run", "signatures", path))
    assert.matches("gmt", output("signature", "load", support.tmpfile("A\tna\tTP53\nB\tna\tMYC\n", "two.gmt"),
      "--dry-run"))
    assert.equal(2, run("signature", "load", path, "--recipe", "lipidomics").code)
  end)

  it("report a bad file with its place, and go on with the rest", function()
    local bad = support.tmpfile("lipid\tdirection\nPC 34:1\tsideways\n", "bad.tsv")
    local good = support.tmpfile("lipid\tdirection\nPC 34:1\tup\n", "good.tsv")
    local result = run("signature", "load", bad, good)
    assert.equal(1, result.code)
    assert.matches("bad.tsv:2: the direction 'sideways' is not understood", result.stderr, 1, true)
    assert.matches("good, new signature", result.stdout)
    assert.matches("2 files: 1 done, 1 failed", result.stdout)
  end)

  it("delete a signature that nothing refers to", function()
    local refused = run("signature", "delete", "ALS core")
    assert.equal(2, refused.code)
    assert.matches("is referred to %(.* scores of 2 datasets", refused.stderr)
    assert.matches("good: version 1 deleted", output("signature", "delete", "good"))
    assert.matches("ALS core: version 1 deleted, with %d+ scores", output("signature", "delete", "ALS core",
      "--scores"))
  end)

  it("refuse misuse with the remedy", function()
    for _, case in ipairs {
      { { "signature", "lod" }, "Did you mean 'load'" }, { { "signature", "load" }, "needs a file" },
      { { "signature", "show" }, "takes one signature" }, { { "signature", "list", "x" }, "takes no words" },
      { { "signature", "show", "nothing" }, "there is no signature 'nothing'" },
      { { "score" }, "DATASET is missing" }, { { "score", "stats", "--all" }, "%-%-all goes without names" },
      { { "score", "stats", "--method", "gsee" }, "Did you mean 'gsea'" },
      { { "score", "stats", "--threshold", "2" }, "a number from 0 to 1" },
      { { "score", "stats", "--method", "legacy", "--permutations", "5" }, "none of the methods takes 'permutations'" },
      { { "score", "nothing" }, "there is no dataset 'nothing'" },
      { { "matches", "nothing" }, "there is no dataset and no signature 'nothing'" },
    } do
      local result = run(table.unpack(case[1]))
      assert.equal(2, result.code, table.concat(case[1], " "))
      assert.matches(case[2], result.stderr)
    end
  end)
end)

describe("scoring after ingest", function()
  it("is off where ENABLE_SIGNATURE_SCORING is false, and asks nothing", function()
    local url = support.migrated_database()
    support.ligase { "signature", "load", support.tmpfile(CORE, "core.tsv"), database = url }
    local result = support.ligase { "ingest", "--omics", "lipidomics", support.tmpfile(STATISTICS, "x.csv"),
      database = url, env = { ENABLE_SIGNATURE_SCORING = "false" } }
    assert.equal(0, result.code)
    assert.not_matches("scores", result.stdout)
    assert.matches("%(0 rows%)", support.ligase({ "matches", "x", "--all", database = url }).stdout)
  end)

  it("asks once for all files when there are no signatures", function()
    local url = support.migrated_database()
    local first, second = support.tmpfile(STATISTICS, "x.csv"), support.tmpfile(STATISTICS, "y.csv")
    local result = support.ligase { "ingest", "--omics", "lipidomics", first, second, database = url,
      env = { POSTGRES_ECHO = "true" } }
    assert.equal(0, result.code, result.stderr)
    local _, asked = result.stderr:gsub("FROM signatures LIMIT 1", "")
    assert.equal(1, asked)
    assert.not_matches("scores ", result.stdout)
  end)

  it("warns when it fails, and the dataset is stored all the same", function()
    local conn, url = support.migrated()
    support.ligase { "signature", "load", support.tmpfile(CORE, "core.tsv"), database = url }
    conn:script "ALTER TABLE dataset_signatures ADD CONSTRAINT none CHECK (false)"
    for _, words in ipairs { { "ingest", "--omics", "lipidomics", support.tmpfile(STATISTICS, "x.csv") },
      { "ingest", "--omics", "lipidomics", "--jobs", "2", support.tmpfile(STATISTICS, "y.csv") } } do
      words.database = url
      local result = support.ligase(words)
      assert.equal(0, result.code, result.stderr)
      assert.matches("signature scoring skipped %(", result.stderr)
    end
    assert.equal(2, conn:query("SELECT count(*) AS n FROM datasets WHERE current_revision = 1")[1].n)
    assert.equal(12, conn:query("SELECT count(*) AS n FROM measurements")[1].n)
  end)

  it("is done by workers too", function()
    local conn, url = support.migrated()
    support.ligase { "signature", "load", support.tmpfile(CORE, "core.tsv"), database = url }
    local folder = support.workspace()
    for i = 1, 3 do
      require("sys").write_file(("%s/d%d.csv"):format(folder, i), STATISTICS)
    end
    local result = support.ligase { "ingest", "--omics", "lipidomics", "--jobs", "2", folder, database = url }
    assert.equal(0, result.code, result.stderr)
    assert.equal(3, conn:query("SELECT count(*) AS n FROM dataset_signatures WHERE is_match")[1].n)
  end)

  it("takes methods of the workspace like those of ligase", function()
    local url = support.migrated_database()
    local workspace = support.workspace()
    require("sys").mkdir(workspace .. "/lua/ligase/omics/score", { parents = true })
    require("sys").mkdir(workspace .. "/recipes")
    require("sys").write_file(workspace .. "/lua/ligase/omics/score/count.lua", [[
--- How many components there are.
local score = require "ligase.omics.score"
return score.register { name = "count", version = "1", title = "count", source = "here", needs = "effects",
  score = function(work) return { score = work.found.matched } end }
]])
    support.ligase { "signature", "load", support.tmpfile(CORE, "core.tsv"), database = url }
    support.ligase { "ingest", "--omics", "lipidomics", support.tmpfile(STATISTICS, "x.csv"), database = url }
    local result = support.ligase { "score", "x", "--method", "count", database = url, workspace = workspace }
    assert.equal(0, result.code, result.stderr)
    assert.matches("count +3.0000", result.stdout)
    require("sys").write_file(workspace .. "/lua/ligase/omics/score/count.lua", [[
local score = require "ligase.omics.score"
return score.register { name = "count", version = "2", title = "count", source = "here", needs = "effects",
  score = function(work) return { score = work.nothing.there } end }
]])
    result = support.ligase { "score", "x", "--method", "count", database = url, workspace = workspace }
    assert.equal(1, result.code)
    assert.matches("the method count failed: .*count.lua:3", result.stderr)
  end)
end)
