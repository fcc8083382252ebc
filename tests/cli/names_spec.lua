--- ligase names: rules change, links follow.
local host = require "host"
local json = require "ligase.base.json"
local pg = require "pg"
local sys = require "sys"

local RECIPE = [[
local pipeline = require "ligase.omics.pipeline"
return pipeline.recipe {
  omics = "lipidomics", feature_type = "lipid", name_columns = { "lipid" },
  read_name = function(raw)
    %s
    return { name = raw, rule = "own.plain", level = "low" }
  end,
  stages = { pipeline.recognise, pipeline.link, pipeline.store },
}
]]

local UPPER = 'if raw:find("^x") then return { name = raw:upper(), rule = "own.upper", level = "high" } end'

local lab = require("tests.cli.lab").new()
local write, ligase, done, sql = lab.write, lab.ligase, lab.done, lab.sql

local function rules(name, text)
  write("recipes/" .. name .. ".lua", RECIPE:format(text or ""))
end

before_each(function()
  lab.open()
  sys.mkdir(lab.folder .. "/recipes")
  rules "lipidomics"
  rules "panel"
  write("one.csv", "lipid,S1\nx1,1\nx2,2\nx1,3\ny,4\n")
  write("two.csv", "lipid,S1\nx1,1\n")
  done { "run", "lipidomics", "one.csv", "two.csv" }
end)

describe("ligase names diff", function()
  it("prints nothing but the count when nothing differs", function()
    assert.equal("no stored name would be read differently\n", (done { "names", "diff" }))
    local out, err = done { "names", "diff", "--format", "tsv" }
    assert.equal("raw\told_feature\tnew_feature\told_rule\told_level\tnew_rule\tnew_level\trows\tdatasets\ttype\t"
      .. "recipe\tchange\n", out)
    assert.matches("no stored name", err)
  end)

  it("prints the names that would be read differently, and says so by its status", function()
    rules("lipidomics", UPPER)
    local result = ligase { "names", "diff" }
    assert.equal(1, result.code, result.stderr)
    assert.equal("", result.stderr)
    assert.matches("\nx1 +x1 +X1 +own%.plain +low +own%.upper +high +3 +2 +lipid +lipidomics +link\n", result.stdout)
    assert.matches("\nx2 +x2 +X2 +own%.plain +low +own%.upper +high +1 +1 +lipid +lipidomics +link\n", result.stdout)
    assert.matches("\n2 names in 4 rows would be read differently\n$", result.stdout)
    result = ligase { "names", "diff", "--format", "json", "--dataset", "two" }
    assert.equal(1, result.code)
    assert.same({ { raw = "x1", old_feature = "x1", new_feature = "X1", old_rule = "own.plain", old_level = "low",
      new_rule = "own.upper", new_level = "high", rows = 1, datasets = 1, type = "lipid", recipe = "lipidomics",
      change = "link" } },
      { json.decode(result.stdout)[1] })
    assert.matches("1 name in 1 row would be read differently", result.stderr)
  end)

  it("goes by each recipe's own rules, and by the type", function()
    write("three.csv", "lipid,S1\nx1,1\n")
    done { "run", "panel", "three.csv" }
    rules("panel", UPPER)
    local result = ligase { "names", "diff", "--format", "csv" }
    assert.equal(1, result.code)
    assert.matches("\nx1,x1,X1,own.plain,low,own.upper,high,1,1,lipid,panel,link\n$", result.stdout)
    assert.equal(0, ligase({ "names", "diff", "--type", "gene" }).code)
    assert.equal(1, ligase({ "names", "diff", "--type", "lipid" }).code)
    assert.equal(2, ligase({ "names", "diff", "--type", "lipit" }).code)
    assert.equal(2, ligase({ "names", "diff", "--dataset", "four" }).code)
    assert.equal(2, ligase({ "names", "diff", "--dry-run" }).code)
    assert.matches("Did you mean 'diff'", ligase({ "names", "dif" }).stderr)
  end)

  it("takes the standard recipe when a recipe is gone, and says so", function()
    write("three.csv", "lipid,S1\nx1,1\n")
    done { "run", "panel", "three.csv" }
    os.remove(lab.folder .. "/recipes/panel.lua")
    rules("lipidomics", UPPER)
    local result = ligase { "names", "diff", "--dataset", "three" }
    assert.equal(1, result.code)
    assert.matches("the recipe 'panel' is gone; the names of 1 dataset %(lipidomics%) are read by the recipe "
      .. "'lipidomics'", result.stderr)
    assert.matches("\nx1 +x1 +X1 ", result.stdout)
  end)

  it("leaves out what no recipe can read, and fails for it", function()
    write("recipes/glyco.lua", (RECIPE:format(""):gsub('"lipidomics"', '"glycomics"')))
    write("three.csv", "lipid,S1\nx1,1\n")
    done { "run", "glyco", "three.csv" }
    os.remove(lab.folder .. "/recipes/glyco.lua")
    local result = ligase { "names", "diff" }
    assert.equal(1, result.code)
    assert.matches("neither the recipe 'glyco' nor one for glycomics is there", result.stderr)
  end)

  it("leaves out datasets without links", function()
    write("three.csv", "lipid,S1\nx1,1\n")
    local result = ligase { "run", "lipidomics", "three.csv", env = { ENABLE_FEATURE_LINKING = "false" } }
    assert.equal(0, result.code, result.stderr)
    local _, err = done { "names", "diff" }
    assert.matches("1 dataset %(lipidomics%) was stored without links and left out", err)
  end)
end)

describe("ligase names apply", function()
  it("moves the links in one run, after which nothing differs", function()
    rules("lipidomics", UPPER)
    local before = sql "SELECT count(*) AS n FROM runs"
    local dry = done { "names", "apply", "--dry-run" }
    assert.matches("\n2 names in 4 rows would be read differently\n$", dry)
    assert.same(before, sql "SELECT count(*) AS n FROM runs")
    assert.equal(1, ligase({ "names", "diff" }).code)
    assert.matches("^moved 2 names in 4 rows of 2 datasets; 2 features new %(run [%x-]+%)\n$",
      (done { "names", "apply" }))
    assert.equal(0, ligase({ "names", "diff" }).code)
    assert.equal("no stored name is read differently: nothing was moved\n", (done { "names", "apply" }))
    assert.equal("X1", sql([[SELECT feature FROM measurement_values WHERE dataset = 'two']])[1].feature)
    assert.matches("names apply +done", (done { "runs" }))
    assert.equal("X1", json.decode((done { "why", "two:1", "--json" })).feature)
    local told = json.decode((done { "why", "x1", "--json" }))
    assert.equal(2, #told.features) -- read as both, at different times
  end)

  it("brings the receipts of names up to date that are read as the same feature otherwise", function()
    rules("lipidomics", 'if raw == "y" then return { name = raw, rule = "own.y", level = "high" } end')
    local result = ligase { "names", "diff" }
    assert.equal(1, result.code, result.stderr)
    assert.matches("\ny +y +y +own%.plain +low +own%.y +high +1 +1 +lipid +lipidomics +receipt\n", result.stdout)
    assert.matches("\n1 name in 1 row would be read differently; all of them as the same feature\n$", result.stdout)
    assert.matches("^brought 1 receipt up to date; no link was moved %(run [%x-]+%)\n$", (done { "names", "apply" }))
    assert.equal(0, ligase({ "names", "diff" }).code)
    assert.equal("own.y", json.decode((done { "why", "one:4", "--json" })).rule)
    rules("lipidomics", UPPER)
    assert.matches("2 features new; 1 receipt brought up to date", (done { "names", "apply" }))
  end)

  it("tells other systems when sync is on", function()
    rules("lipidomics", UPPER)
    local result = ligase { "names", "apply", "--dataset", "two", env = { ENABLE_DUAL_WRITE = "true",
      NOTION_API_KEY = "secret_x" } }
    assert.equal(0, result.code, result.stderr)
    assert.equal(1, sql("SELECT count(*) AS n FROM outbox WHERE action = 'update'")[1].n)
  end)

  it("reads a re-ingested file by the same rules: nothing differs afterwards", function()
    rules("lipidomics", UPPER)
    done { "run", "lipidomics", "one.csv", "two.csv" }
    assert.equal(0, ligase({ "names", "diff" }).code)
  end)

  it("fails with the recipe's file and line when a rule has a slip", function()
    rules("lipidomics", 'error("no such rule")')
    local result = ligase { "names", "apply" }
    assert.equal(1, result.code)
    assert.matches("lipidomics%.lua:5: no such rule", result.stderr)
    assert.equal("x1", sql([[SELECT feature FROM measurement_values WHERE dataset = 'two']])[1].feature)
  end)
end)

describe("ligase names, of signatures", function()
  before_each(function()
    write("sig.tsv", "lipid\tdirection\nx1\tup\ny\tdown\n")
    write("old.tsv", "lipid\tdirection\nx1\tup\n")
    done { "signature", "load", "old.tsv", "--name", "S" }
    done { "signature", "load", "sig.tsv", "--name", "S" }
    rules("lipidomics", UPPER)
  end)

  it("diff lists components that would be read differently", function()
    local result = ligase { "names", "diff", "--format", "tsv" }
    assert.equal(1, result.code)
    assert.matches("x1\tx1\tX1\town.plain\tlow\town.upper\thigh\t1\t1\tlipid\t\tcomponent\n", result.stdout, 1, true)
    assert.matches("; 1 component of signatures would be", result.stderr, 1, true)
    assert.not_matches("component", (ligase { "names", "diff", "--dataset", "one" }).stdout)
  end)

  it("apply moves them in the latest version, so that the file is unchanged", function()
    local before = sql("SELECT c.id, c.feature_key::text AS key, s.content_sha256 AS hash FROM signature_components "
      .. "AS c JOIN signatures AS s ON s.id = c.signature_id WHERE s.version = '2' ORDER BY c.position")[1]
    local out = done { "names", "apply" }
    assert.matches("moved 2 names in 4 rows of 2 datasets; 2 features new", out, 1, true)
    assert.matches("moved 1 component of 1 signature\n", out, 1, true)
    assert.same({ { version = "1", name = "x1", rule = "own.plain" }, { version = "2", name = "X1",
      rule = "own.upper" }, { version = "2", name = "y", rule = "own.plain" } },
      sql("SELECT s.version, f.name, c.rule FROM signature_components AS c JOIN signatures AS s ON s.id = "
        .. "c.signature_id JOIN features AS f ON f.key = c.feature_key ORDER BY s.version, c.position"))
    assert.equal("no stored name would be read differently\n", (done { "names", "diff" }))
    assert.matches("S, unchanged (version 2)", (done { "signature", "load", "sig.tsv", "--name", "S" }), 1, true)
    local change = sql("SELECT c FROM runs, jsonb_array_elements(changes) AS c WHERE command = 'names apply' "
      .. "AND c ->> 'table' LIKE 'signature%' ORDER BY c ->> 'table'")
    assert.same({ before.id, before.key, "own.plain" }, { change[1].c.id, change[1].c.before.feature_key,
      change[1].c.before.rule })
    assert.equal(before.hash, change[2].c.before.content_sha256)
    assert.equal(2, #change)
  end)

  it("apply can be undone by its journal entry, as docs/receipts.md says", function()
    local all = "SELECT c.id, c.feature_key::text AS key, c.rule, c.level, c.reason, c.aside, s.content_sha256 FROM "
      .. "signature_components AS c JOIN signatures AS s ON s.id = c.signature_id ORDER BY c.id"
    local before = sql(all)
    done { "names", "apply" }
    assert.not_same(before, sql(all))
    local run, count = sql("SELECT id FROM runs WHERE command = 'names apply'")[1].id, 0
    local text = sys.read_file(host.home .. "/docs/receipts.md")
    local conn <close> = pg.connect(lab.url)
    for statement in text:gmatch "components of signatures:\n\n```sql\n(.-)```" do
      count = count + 1
      conn:script((statement:gsub("01a1fc32%-2bb1%-7372%-9677%-24bc93d29a2a", run)))
    end
    assert.equal(1, count)
    assert.same(before, sql(all))
  end)

  it("apply leaves signatures alone in which two components would be one feature", function()
    write("two_of_one.tsv", "lipid\tdirection\nx1\tup\nX1\tdown\n")
    rules "lipidomics"
    done { "signature", "load", "two_of_one.tsv", "--name", "T" }
    rules("lipidomics", UPPER)
    local out, err = done { "names", "apply" }
    assert.matches("moved 1 component of 1 signature\n", out, 1, true)
    assert.matches("two components of the signature 'T' would be one feature", err, 1, true)
  end)
end)
