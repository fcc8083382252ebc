local errors = require "ligase.base.errors"
local host = require "host"
local ingesting = require "tests.lua.store.ingesting"
local json = require "ligase.base.json"
local pg = require "pg"
local run_finding = require "ligase.store.run_finding"
local run_lines = require "ligase.store.run_lines"
local runs = require "ligase.store.runs"
local short_ids = require "ligase.store.short_ids"
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
      ids[i] = report.run_id
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

  local function insert(conn, id, fields)
    fields = fields or {}
    conn:query([[INSERT INTO runs (id, batch_id, started_at, finished_at, outcome, command, arguments, counts, error)
      VALUES ($1, $2, $3, $4, $5, $6, $7::jsonb, '{"rows": 2}', $8::jsonb)]], id, fields.batch,
      fields.at or "2026-01-01", fields.ended or fields.at or "2026-01-01", fields.outcome or "done",
      fields.command or "ingest", fields.arguments or '{"source": "x.csv"}', fields.error)
  end

  it("are shown by ids as short as they can be while each means one", function()
    local conn = ingesting.fresh()
    local ids = { "01a22757-baba-7001-8000-000000000001", "01a22757-baba-7001-8000-0000000000f1",
      "01a22757-baba-7002-8000-000000000001", "01a22757-b9ce-7001-8000-000000000001",
      "02a22757-b9ce-7001-8000-000000000001" }
    for _, id in ipairs(ids) do
      insert(conn, id)
    end
    local shorts = short_ids.of_runs(conn, { ids[1], ids[3], ids[4], ids[5] })
    assert.same({ ids[1]:sub(1, 35), "01a22757-baba-7002", "01a22757-b9ce", "02a22757-b9ce" },
      { shorts[ids[1]], shorts[ids[3]], shorts[ids[4]], shorts[ids[5]] })
    for id, short in pairs(short_ids.of_runs(conn, ids)) do
      assert.equal(id, run_finding.find(conn, short).id)
    end
    assert.same({}, short_ids.of_runs(conn, {}))
  end)

  it("are one line for people where those of a batch follow one another and ended alike", function()
    local conn = ingesting.fresh()
    local function id(n)
      return ("01a22757-0000-7000-8000-%012x"):format(n)
    end
    local first, second = "01a22757-aaaa-7000-8000-000000000001", "01a22757-aaaa-7000-9000-000000000002"
    local n = 0
    local function several(count, fields)
      for _ = 1, count do
        n = n + 1
        insert(conn, id(n), fields)
      end
    end
    several(300, { batch = first, at = "2026-01-01 10:00:00", ended = "2026-01-01 10:00:09" })
    several(1, { batch = first, at = "2026-01-01 10:00:01", outcome = "failed", error = '{"message": "no good"}' })
    several(2, { at = "2026-01-01 10:00:02" })
    several(1500, { batch = second, at = "2026-01-01 10:00:03", command = "rollback",
      arguments = ('{"run": %q}'):format(id(1)) })
    local lines, shown = run_lines.latest(conn, 10), {}
    for i, line in ipairs(lines) do
      shown[i] = ("%d %s %s %s"):format(line.count, line.command, line.outcome, line.source)
    end
    assert.same({ "1500 rollback done 1,500 runs of batch 01a22757-aaaa-7000-9", "1 ingest done x.csv",
      "1 ingest done x.csv", "1 ingest failed x.csv", "300 ingest done 300 runs of batch 01a22757-aaaa-7000-8" }, shown)
    assert.same({ 9.0, "2026-01-01 10:00:00", 600 }, { lines[5].seconds, lines[5].started, lines[5].rows })
    assert.equal("no good", lines[4].error)
    assert.equal(second, run_finding.batch(conn, lines[1].batch))
    assert.equal(2, #run_lines.latest(conn, 2))
    local single = run_lines.latest(conn, 3, second)
    assert.equal(3, #single)
    assert.same({ 1, "rollback" }, { single[1].count, single[1].command })
    assert.equal(id(1), run_finding.find(conn, (single[1].source:gsub("^run ", ""))).id)
  end)
end)
