local errors = require "ligase.base.errors"
local host = require "host"
local ingesting = require "tests.lua.store.ingesting"
local json = require "ligase.base.json"
local pg = require "pg"
local runs = require "ligase.store.runs"
local support = require "tests.support"
local sys = require "sys"

local function stored(conn, run)
  return conn:query("SELECT * FROM runs WHERE id = $1", run.id)[1]
end

setup(ingesting.open)

describe("the journal", function()
  setup(function()
    pg.use_json(json.decode)
  end)

  it("keeps who did what with which recipe, when and how it ended", function()
    local conn = ingesting.fresh()
    local recipe, batch = ingesting.recipe(), sys.uuid7()
    local run = runs.new("ingest", recipe, { source = "x.csv", name = "x" }, batch)
    conn:query(runs.INSERT, runs.parameters(run, "done", { counts = { rows = 3 }, changes = json.array {} }))
    local row = stored(conn, run)
    assert.same({ batch, "done", "ingest", "spec", recipe.sha256, host.version, sys.hostname() },
      { row.batch_id, row.outcome, row.command, row.recipe, row.recipe_sha256, row.host_version, row.hostname })
    local user = sys.user()
    assert.equal(user and user.name or pg.null, row.os_user)
    assert.same({ "x.csv", "x", 3 }, { row.arguments.source, row.arguments.name, row.counts.rows })
    assert.same({ 0, pg.null, pg.null }, { #row.changes, row.error, row.rolls_back })
    assert.is_true(row.started_at <= row.finished_at)
  end)

  it("keeps a run without recipe", function()
    local conn = ingesting.fresh()
    local run = runs.new("rollback", nil, {})
    conn:query(runs.INSERT, runs.parameters(run, "done", {}))
    local row = stored(conn, run)
    assert.same({ pg.null, pg.null, pg.null, pg.null }, { row.recipe, row.recipe_sha256, row.batch_id, row.counts })
  end)

  it("keeps why a run failed", function()
    local conn = ingesting.fresh()
    local run = runs.new("ingest", ingesting.recipe(), { source = "x.csv" })
    runs.journal_failure(conn, run, errors.new { kind = "input", code = "ragged", message = "the row has 2 fields",
      file = "x.csv", line = 7, column = 2, byte = 90, hint = "Look there", traceback = "not kept" })
    local row = stored(conn, run)
    assert.equal("failed", row.outcome)
    assert.same({ kind = "input", code = "ragged", message = "the row has 2 fields", file = "x.csv", line = 7,
      column = 2, byte = 90, hint = "Look there" }, row.error)
    run = runs.new("ingest", ingesting.recipe(), {})
    runs.journal_failure(conn, run, "a bug")
    assert.same({ message = "a bug" }, stored(conn, run).error)
  end)

  it("says nothing when a failure cannot be kept", function()
    local conn = support.connect()
    conn:close()
    runs.journal_failure(conn, runs.new("ingest", nil, {}), "why")
    runs.journal_failure(nil, runs.new("ingest", nil, {}), "why")
  end)

  it("tells how a run ended, nil when it left nothing", function()
    local conn = ingesting.fresh()
    local report = ingesting.ingest(conn, { name = "a", text = "lipid,S1\nA,1\n" })
    assert.equal("done", runs.outcome(conn, report.run_id))
    assert.is_nil(runs.outcome(conn, sys.uuid7()))
  end)

  it("lists the latest first, up to a limit", function()
    local conn = ingesting.fresh()
    local ids = {}
    for i = 1, 3 do
      local report = ingesting.ingest(conn, { name = "a", text = ("lipid,S1\nA%d,1\n"):format(i) })
      ids[i] = report.run_id:sub(1, 13)
    end
    runs.journal_failure(conn, runs.new("ingest", nil, { source = "bad.csv" }), errors.new { kind = "input",
      message = "no good" })
    local list = runs.list(conn, 10)
    assert.equal(4, #list)
    local at = {}
    for i, column in ipairs(list.columns) do
      at[column.name] = i
    end
    assert.same({ "failed", "bad.csv", "no good" },
      { list[1][at.outcome], list[1][at.source], list[1][at.error] })
    assert.same({ ids[3], "done", "1", "1", "spec" }, { list[2][at.run], list[2][at.outcome], list[2][at.rows],
      list[2][at.new_features], list[2][at.recipe] })
    assert.equal(2, #runs.list(conn, 2))
  end)
end)
