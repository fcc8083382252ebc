local errors = require "ligase.base.errors"
local feature_recipe = require "ligase.intake.feature_recipe"
local ingesting = require "tests.lua.store.ingesting"
local inputs = require "ligase.io.inputs"
local names = require "ligase.omics.names"
local recipes = require "ligase.omics.recipes"
local support = require "tests.support"

local conn

before_each(function()
  conn = support.migrated()
end)

local function store(text, options)
  local recipe = recipes.load_any "features"
  local own = { command = "ingest", recipe = recipe, dialect = {}, set = {} }
  for key, value in pairs(options or {}) do
    own[key] = value
  end
  local source <close> = inputs.open(support.tmpfile(text, "features.csv"))
  return recipe.store(conn, source, own)
end

local function refused(pattern, ...)
  local done, failure = pcall(store, ...)
  assert.is_false(done, "it was not refused")
  assert.is_true(errors.is(failure), tostring(failure))
  assert.matches(pattern, tostring(failure))
  return failure
end

local function one(sql, ...)
  return conn:query(sql, ...)[1]
end

local TEXT = [[
name,type,HMDB,attributes.panel,external_ids.lims
PC 34:1,lipid,,A,7
PC(34:1),Lipids,HMDB0000001,A,
TP53,gene,,,
glucose,metabolite,HMDB0000122,B,
nonsense 99:9,lipid,,,
]]

describe("a file of features", function()
  it("adds them by the readers of their types, with receipts", function()
    local report = store(TEXT)
    assert.same({ 5, 4, 4, 5 }, { report.counts.rows, report.counts.features, report.counts.features_new,
      report.counts.names_new })
    local lipid = one "SELECT * FROM features WHERE name = 'PC 34:1'"
    assert.same({ names.feature_id("lipid", "PC 34:1"), "lipid", "species", "A", "7", "HMDB0000001" }, { lipid.id,
      lipid.feature_type, lipid.level, lipid.attributes.panel, lipid.external_ids.lims, lipid.external_ids.hmdb })
    assert.is_string(lipid.attributes.formula or lipid.attributes.class) -- what follows from the name stays
    local receipts = conn:query("SELECT raw_name, run_id FROM feature_names WHERE feature_key = $1 ORDER BY 1",
      lipid.key)
    assert.same({ "PC 34:1", "PC(34:1)", report.run_id }, { receipts[1].raw_name, receipts[2].raw_name,
      receipts[1].run_id })
    assert.matches("nonsense", one("SELECT reason FROM feature_names WHERE raw_name = 'nonsense 99:9'").reason)
    assert.matches('^1 not understood, kept as they stand: "nonsense 99:9"', report.lines[#report.lines][2])
    assert.equal("B", one("SELECT attributes FROM features WHERE name = 'glucose'").attributes.panel)
  end)

  it("that comes again is unchanged; one with more details changes them", function()
    store(TEXT)
    assert.equal("unchanged", store(TEXT).outcome)
    local report = store("name,type,kegg\nglucose,metabolite,C00031\nPC 34:1,lipid,\n")
    assert.same({ "done", 1, 0 }, { report.outcome, report.counts.details, report.counts.features_new })
    local row = one "SELECT * FROM features WHERE name = 'glucose'"
    assert.same({ "C00031", "HMDB0000122", "B" },
      { row.external_ids.kegg, row.external_ids.hmdb, row.attributes.panel })
    local change = one("SELECT changes FROM runs WHERE id = $1", report.run_id).changes[1]
    assert.same({ "features", row.id }, { change.table, change.id })
    assert.is_nil(change.before.external_ids.kegg)
  end)

  it("names the features that a dataset's rows name", function()
    store "lipid,type\nPC(34:1),lipid\n"
    ingesting.ingest(conn, { text = "lipid,S1\nPC 34:1,5\n", name = "d", recipe = recipes.load "lipidomics" })
    assert.equal(1, one("SELECT count(*) AS n FROM measurements AS m JOIN features AS f ON f.key = m.feature_key").n)
    assert.equal(1, one("SELECT count(*) AS n FROM features").n)
  end)

  it("is rehearsed without a trace", function()
    local report = store(TEXT, { dry_run = true })
    assert.same({ "done", 4 }, { report.outcome, report.counts.features_new })
    assert.equal(0, one("SELECT (SELECT count(*) FROM features) + (SELECT count(*) FROM runs) AS n").n)
  end)

  it("with a bad row is refused with its place, and nothing is written", function()
    local failure = refused("'lipdi' is no type of feature. Did you mean 'lipid'",
      "name,type\nPC 34:1,lipid\nx,lipdi\n")
    assert.same({ "input", 3, 2 }, { failure.kind, failure.line, failure.column })
    refused("does not say which type", "name\nPC 34:1\n")
    refused("features.csv:3:1: the row has no name", "name,type\nPC 34:1,lipid\n,lipid\n")
    refused("external_ids.hmdb is 'H2' here and 'H1' in an earlier row",
      "name,type,hmdb\nPC 34:1,lipid,H1\nPC(34:1),lipid,H2\n")
    refused("neither programs", "name,type\nPC 34:1,lipid\n", { programs = { "ALS" } })
    assert.equal(0, one("SELECT (SELECT count(*) FROM features) + (SELECT count(*) FROM runs) AS n").n)
  end)
end)

describe("a recipe for features", function()
  it("is checked when it is defined", function()
    local function refuse(pattern, definition)
      local done, failure = pcall(feature_recipe.recipe, definition)
      assert.is_false(done)
      assert.matches(pattern, tostring(failure))
    end
    refuse("no function 'read'", { columns = {}, readers = { lipid = 5 } })
    refuse("has no field 'nam'", { columns = { nam = {} }, readers = {} })
  end)
end)
