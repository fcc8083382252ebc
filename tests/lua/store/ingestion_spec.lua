local errors = require "ligase.base.errors"
local host = require "host"
local ingesting = require "tests.lua.store.ingesting"
local json = require "ligase.base.json"
local ledger = require "tests.faults.ledger"
local names = require "ligase.omics.names"
local pg = require "pg"
local pipeline = require "ligase.omics.pipeline"
local support = require "tests.support"
local sys = require "sys"

local TEXT = "lipid,class,S1,S2\nA,one,1.5,2\nB,two,NA,-3e10\nA,,<LOD,\n"

local function rows_of(conn)
  return conn:query([[
SELECT revision, ordinal, source_name, values, texts, cells, feature_key FROM measurements
ORDER BY dataset_id, revision, ordinal]])
end

local function one(conn, sql, ...)
  local rows = conn:query(sql, ...)
  assert.equal(1, #rows)
  return rows[1]
end

setup(ingesting.open)

describe("a new file", function()
  it("becomes dataset, revision, measurements, features, receipts and a run", function()
    local conn = ingesting.fresh()
    pg.use_json(json.decode)
    local report = ingesting.ingest(conn, { text = TEXT, name = "panel" })
    assert.equal("created", report.outcome)
    assert.equal(1, report.revision)
    assert.same({ rows = 3, values = 3, kept = 1, features = 2, features_new = 2, names_new = 2, bytes = #TEXT },
      report.counts)

    local dataset = one(conn, "SELECT * FROM datasets")
    assert.equal(report.dataset_id, dataset.id)
    assert.same({ "lipidomics", "panel", 1 }, { dataset.omics_type, dataset.name, dataset.current_revision })
    assert.same({ pg.null, pg.null }, { dataset.program_id, dataset.experiment_id })

    local revision = one(conn, "SELECT * FROM revisions")
    assert.same({ 1, report.run_id, sys.sha256(TEXT), #TEXT, "spec", sys.sha256("spec"), 3, 3, 2, 1 },
      { revision.revision, revision.run_id, revision.source_sha256, revision.source_bytes, revision.recipe,
        revision.recipe_sha256, revision.row_count, revision.value_count, revision.feature_count, revision.cell_count })
    assert.same({ "S1", "S2" }, revision.sample_names)
    assert.equal(",", revision.dialect.separator)
    assert.equal(1, revision.dialect.header_line)
    assert.same({ "lipid", "class", "S1", "S2" }, (function()
      local found = {}
      for i, column in ipairs(revision.columns) do
        found[i] = column.name
      end
      return found
    end)())

    local rows = rows_of(conn)
    local key_a, key_b = names.feature_key("lipid", "A"), names.feature_key("lipid", "B")
    assert.equal(3, #rows)
    assert.same({ ordinal = 1, revision = 1, source_name = "A", values = { 1.5, 2.0 }, texts = { "one" },
      cells = pg.null, feature_key = key_a }, rows[1])
    assert.same({ ordinal = 2, revision = 1, source_name = "B", values = { pg.null, -3e10 }, texts = { "two" },
      cells = pg.null, feature_key = key_b }, rows[2])
    assert.same({ "A", { pg.null, pg.null }, key_a }, { rows[3].source_name, rows[3].values, rows[3].feature_key })
    assert.same({ ["3"] = "<LOD" }, rows[3].cells)
  end)

  it("leaves its changes in the journal, with the state before", function()
    local conn = ingesting.fresh()
    pg.use_json(json.decode)
    local report = ingesting.ingest(conn, { text = TEXT, name = "panel", program = "ALS", experiment = "E1",
      create = true })
    local run = one(conn, "SELECT * FROM runs")
    assert.same({ report.run_id, "done", "ingest", "spec" }, { run.id, run.outcome, run.command, run.recipe })
    assert.equal(3, run.counts.rows)
    local program = one(conn, "SELECT id FROM programs WHERE name = 'ALS'").id
    local experiment = one(conn, "SELECT id FROM experiments WHERE name = 'E1'").id
    assert.same({
      { table = "programs", id = program, before = json.null },
      { table = "experiments", id = experiment, before = json.null },
      { table = "datasets", id = report.dataset_id, before = json.null },
      { table = "revisions", id = report.dataset_id, revision = 1, before = json.null },
    }, setmetatable(run.changes, nil))

    ingesting.ingest(conn, { text = "lipid,S1\nA,1\n", name = "panel", organism = "mouse" })
    run = one(conn, "SELECT changes FROM runs WHERE id <> $1", report.run_id)
    local before = run.changes[1].before
    assert.same({ 1, program, experiment, 0 }, { before.current_revision, before.program_id, before.experiment_id,
      #before.organism })
    assert.same({ "panel", "lipidomics" }, { before.name, before.omics_type }) -- the whole row as it was
    assert.is_string(before.updated_at)
    assert.same({ table = "revisions", id = report.dataset_id, revision = 2, before = json.null }, run.changes[2])
    assert.equal(2, #run.changes)
  end)

  it("is bound to program, experiment and organism, which are made once", function()
    local conn = ingesting.fresh()
    ingesting.ingest(conn, { text = TEXT, name = "a", program = "ALS", experiment = "E1",
      organism = "human", create = true })
    ingesting.ingest(conn, { text = TEXT, name = "b", program = "ALS", experiment = "E2",
      create = true })
    assert.equal(1, ingesting.counts(conn).programs)
    assert.equal(2, ingesting.counts(conn).experiments)
    local rows = conn:query([[
SELECT d.name, p.name AS program, e.name AS experiment, d.organism FROM datasets AS d
JOIN programs AS p ON p.id = d.program_id JOIN experiments AS e ON e.id = d.experiment_id ORDER BY d.name]])
    assert.same({ "a", "ALS", "E1", { "human" } },
      { rows[1].name, rows[1].program, rows[1].experiment, rows[1].organism })
    assert.same({ "b", "ALS", "E2", {} }, { rows[2].name, rows[2].program, rows[2].experiment, rows[2].organism })
  end)

  local LINKS = [[
SELECT (SELECT name FROM programs WHERE id = d.program_id) AS program,
  (SELECT name FROM experiments WHERE id = d.experiment_id) AS experiment,
  (SELECT string_agg(p.name, ',' ORDER BY p.name) FROM program_datasets AS l JOIN programs AS p ON p.id = l.program_id
    WHERE l.dataset_id = d.id) AS programs,
  (SELECT string_agg(e.name, ',' ORDER BY e.name) FROM experiment_datasets AS l
    JOIN experiments AS e ON e.id = l.experiment_id WHERE l.dataset_id = d.id) AS experiments
FROM datasets AS d]]

  local function links(conn)
    local row = one(conn, LINKS)
    return { row.program, row.programs, row.experiment, row.experiments }
  end

  it("may belong to many programs and experiments, of which the first stands in its row", function()
    local conn = ingesting.fresh()
    pg.use_json(json.decode)
    ingesting.ingest(conn, { text = TEXT, name = "a", program = { "P1", "P2", "P1", "P3" },
      experiment = { "E1", "E2" }, create = true })
    assert.same({ "P1", "P2,P3", "E1", "E2" }, links(conn))
    local again = ingesting.ingest(conn, { text = TEXT, name = "a", program = { "P1", "P3" } })
    assert.is_true(again.details_changed)
    assert.same({ "P1", "P3", "E1", "E2" }, links(conn))
    local changes = one(conn, "SELECT changes FROM runs WHERE id = $1", again.run_id).changes
    assert.same({ "program_datasets", true }, { changes[1].table, changes[1].deleted })
    assert.is_false(ingesting.ingest(conn, { text = TEXT, name = "a", program = { "P1", "P3" } }).details_changed)
    ingesting.ingest(conn, { text = "lipid,S1\nB,7\n", name = "a", experiment = { "E2" } })
    assert.same({ "P1", "P3", "E2", pg.null }, links(conn))
  end)

  it("is refused before its rows are read when a program is unknown", function()
    local conn = ingesting.fresh()
    ingesting.ingest(conn, { text = TEXT, name = "a", program = "ALS", create = true })
    local before = ingesting.counts(conn)
    local done, failure = pcall(ingesting.ingest, conn, { text = TEXT, name = "b", program = "ASL" })
    assert.same({ false, "usage", "unknown_program" }, { done, failure.kind, failure.code })
    assert.matches("Did you mean 'ALS'%?", failure.hint)
    done, failure = pcall(ingesting.ingest, conn, { text = TEXT, name = "b",
      program = "0190d7a3-0000-7000-8000-000000000000", create = true })
    assert.same({ false, "unknown_program" }, { done, failure.code }) -- an id is no name for something new
    assert.same(before, ingesting.counts(conn))
  end)

  it("is told to other systems only when that is asked for", function()
    local conn = ingesting.fresh()
    pg.use_json(json.decode)
    ingesting.ingest(conn, { text = TEXT, name = "a" })
    assert.equal(0, ingesting.counts(conn).outbox)
    local report = ingesting.ingest(conn, { text = TEXT, name = "b", outbox = true })
    local row = one(conn, "SELECT * FROM outbox")
    assert.same({ "datasets", report.dataset_id, "create", report.run_id, "pending" },
      { row.entity_type, row.entity_id, row.action, row.run_id, row.state })
    assert.equal(1, row.payload.revision)
    ingesting.ingest(conn, { text = TEXT .. "C,,1,1\n", name = "b", outbox = true })
    assert.equal(1, #conn:query("SELECT 1 FROM outbox WHERE action = 'update'"))
    ingesting.ingest(conn, { text = TEXT .. "C,,1,1\n", name = "b", outbox = true })
    assert.equal(2, ingesting.counts(conn).outbox)
  end)

  it("may be stored without links to features", function()
    local conn = ingesting.fresh()
    ingesting.ingest(conn, { text = TEXT, name = "a", linking = false })
    local counts = ingesting.counts(conn)
    assert.same({ 3, 0, 0 }, { counts.measurements, counts.features, counts.feature_names })
    assert.equal(pg.null, rows_of(conn)[1].feature_key)
  end)

  it("keeps rows without a name", function()
    local conn = ingesting.fresh()
    local report = ingesting.ingest(conn, { text = "lipid,S1\n,1\nA,2\n,3\n" })
    assert.equal(3, report.counts.rows)
    local rows = rows_of(conn)
    assert.same({ pg.null, pg.null }, { rows[1].source_name, rows[1].feature_key })
    assert.equal("A", rows[2].source_name)
  end)

  it("may have the name of a dataset of another omics type", function()
    local conn = ingesting.fresh()
    local first = ingesting.ingest(conn, { text = TEXT, name = "a" })
    local second = ingesting.ingest(conn, { text = TEXT, name = "a", recipe = ingesting.recipe { omics = "other" } })
    assert.not_equal(first.dataset_id, second.dataset_id)
    assert.equal("created", second.outcome)
  end)
end)

describe("a file read again", function()
  it("is unchanged, which is noted and nothing else", function()
    local conn = ingesting.fresh()
    local first = ingesting.ingest(conn, { text = TEXT, name = "a", set = { class = "annotation" } })
    local before = ingesting.counts(conn)
    local again = ingesting.ingest(conn, { text = TEXT, name = "a", set = { class = "annotation" } })
    assert.same({ "unchanged", 1, first.dataset_id, false },
      { again.outcome, again.revision, again.dataset_id, again.details_changed })
    before.runs = before.runs + 1
    assert.same(before, ingesting.counts(conn))
    assert.equal("unchanged", one(conn, "SELECT outcome FROM runs WHERE id = $1", again.run_id).outcome)
  end)

  it("can still get a program, with the state before in the journal", function()
    local conn = ingesting.fresh()
    pg.use_json(json.decode)
    ingesting.ingest(conn, { text = TEXT, name = "a" })
    local again = ingesting.ingest(conn, { text = TEXT, name = "a", program = "ALS", create = true })
    assert.same({ "unchanged", true }, { again.outcome, again.details_changed })
    local run = one(conn, "SELECT outcome, changes FROM runs WHERE id = $1", again.run_id)
    assert.equal("done", run.outcome)
    assert.equal("programs", run.changes[1].table)
    assert.same({ "datasets", json.null }, { run.changes[2].table, run.changes[2].before.program_id })
    assert.is_false(ingesting.ingest(conn, { text = TEXT, name = "a", program = "ALS" }).details_changed)
  end)

  it("makes the next revision when it changed; the one before stays", function()
    local conn = ingesting.fresh()
    ingesting.ingest(conn, { text = TEXT, name = "a" })
    local report = ingesting.ingest(conn, { text = "lipid,S1\nC,7\n", name = "a" })
    assert.same({ "revised", 2, 1 }, { report.outcome, report.revision, report.counts.features_new })
    assert.equal(2, one(conn, "SELECT current_revision FROM datasets").current_revision)
    local rows = rows_of(conn)
    assert.same({ 4, 1, 2, "C" }, { #rows, rows[3].revision, rows[4].revision, rows[4].source_name })
  end)

  it("makes the next revision when recipe or answers changed", function()
    local conn = ingesting.fresh()
    ingesting.ingest(conn, { text = TEXT, name = "a" })
    local recipe = ingesting.recipe()
    recipe.sha256 = sys.sha256("edited")
    assert.equal(2, ingesting.ingest(conn, { text = TEXT, name = "a", recipe = recipe }).revision)
    assert.equal("unchanged", ingesting.ingest(conn, { text = TEXT, name = "a", recipe = recipe }).outcome)
    assert.equal(3, ingesting.ingest(conn, { text = TEXT, name = "a", recipe = recipe,
      set = { S2 = "annotation" } }).revision)
    assert.equal(4, ingesting.ingest(conn, { text = TEXT, name = "a", recipe = recipe }).revision)
    assert.equal(5, ingesting.ingest(conn, { text = TEXT, name = "a", recipe = recipe, linking = false }).revision)
    assert.equal(6, ingesting.ingest(conn, { text = TEXT, name = "a", recipe = recipe,
      dialect = { missing = { "", "<LOD" } } }).revision)
  end)

  it("counts revisions on after going back", function()
    local conn = ingesting.fresh()
    ingesting.ingest(conn, { text = TEXT, name = "a" })
    ingesting.ingest(conn, { text = "lipid,S1\nC,7\n", name = "a" })
    conn:query("UPDATE datasets SET current_revision = 1")
    assert.equal("unchanged", ingesting.ingest(conn, { text = TEXT, name = "a" }).outcome)
    assert.equal(3, ingesting.ingest(conn, { text = "lipid,S1\nD,7\n", name = "a" }).revision)
  end)
end)

describe("an ingestion that fails", function()
  local NOTHING = { datasets = 0, revisions = 0, measurements = 0, features = 0, feature_names = 0, programs = 0,
    experiments = 0, runs = 0, outbox = 0 }

  it("leaves nothing, whatever had been written", function()
    local conn = ingesting.fresh()
    for _, text in ipairs { TEXT .. "x,y\n", "lipid,a,a\nx,1,2\n", "lipid,S1\n", "lipid,S1\nx,y\n",
      TEXT .. '"never closed,1,2,3\n' } do
      local done, failure = pcall(ingesting.ingest, conn, { text = text, name = "a", program = "P",
        create = true })
      assert.is_false(done)
      assert.is_true(errors.is(failure, "input"), tostring(failure))
      assert.same(NOTHING, ingesting.counts(conn))
      assert.equal("idle", conn:transaction_status())
    end
    assert.equal("created", ingesting.ingest(conn, { text = TEXT, name = "a" }).outcome)
  end)

  it("refuses rows with a field too many, which look like a table with row names", function()
    local done, failure = pcall(ingesting.ingest, ingesting.fresh(), { text = "lipid,S1\nA,1,2\nB,3,4\n", name = "x" })
    assert.is_false(done)
    assert.equal("ragged", failure.code)
  end)

  it("that cannot begin leaves the connection fit for the next file, and says why", function()
    local conn, conninfo = ingesting.fresh()
    local other <close> = ingesting.connect(conninfo)
    other:begin()
    other:query("SELECT pg_advisory_xact_lock($1)", sys.hash64("dataset\0lipidomics\0locked"))
    conn:script("SET lock_timeout = '50ms'")
    local done, failure = pcall(ingesting.ingest, conn, { text = TEXT, name = "locked" })
    assert.is_false(done)
    assert.equal("55P03", failure.code)
    assert.equal("idle", conn:transaction_status())
    assert.equal("created", ingesting.ingest(conn, { text = TEXT, name = "free" }).outcome)
    other:rollback()
    assert.equal("created", ingesting.ingest(conn, { text = TEXT, name = "locked" }).outcome)
  end)

  it("within a transaction of somebody else is part of it, and only its own part is undone", function()
    local conn, conninfo = ingesting.fresh()
    local other <close> = ingesting.connect(conninfo)
    conn:begin()
    conn:query("INSERT INTO programs (id, name) VALUES ($1, 'claimed')", sys.uuid7())
    assert.is_false(pcall(ingesting.ingest, conn, { text = "lipid,S1\nA,\"1\n", name = "bad" }))
    assert.equal("in transaction", conn:transaction_status())
    assert.equal("created", ingesting.ingest(conn, { text = TEXT, name = "good" }).outcome)
    assert.equal(0, ingesting.counts(other).datasets)
    conn:commit()
    local counts = ingesting.counts(other)
    assert.same({ 1, 1, 1 }, { counts.programs, counts.datasets, counts.revisions })
  end)

  it("leaves nothing when a stage of the recipe fails after rows were sent", function()
    local conn = ingesting.fresh()
    local recipe = ingesting.recipe { stages = { pipeline.recognise, pipeline.link, pipeline.store, function()
      error("the stage failed")
    end } }
    local done, failure = pcall(ingesting.ingest, conn, { text = TEXT, name = "a", recipe = recipe })
    assert.is_false(done)
    assert.matches("the stage failed", tostring(failure))
    assert.same(NOTHING, ingesting.counts(conn))
    assert.equal("idle", conn:transaction_status())
  end)

  it("leaves nothing when it is abandoned at any step, and the connection is good", function()
    local conn = ingesting.fresh()
    for step = 1, 3 do
      local writer, ingest = ingesting.begin(conn, { text = TEXT, name = "a" })
      if step >= 2 then
        pipeline.read(ingest, writer)
      end
      if step >= 3 then
        writer:link(ingest.resolver, ingest.resolver:take())
      end
      writer:abandon()
      writer:abandon()
      assert.same(NOTHING, ingesting.counts(conn))
      assert.equal("idle", conn:transaction_status())
    end
  end)

  it("tells a resolver that is used further what is not there", function()
    local conn = ingesting.fresh()
    local resolver = pipeline.resolver(ingesting.recipe())
    local done = pcall(ingesting.ingest, conn, { text = TEXT .. "x,y\n", name = "a", resolver = resolver })
    assert.is_false(done)
    resolver:rolled_back()
    assert.equal(2, ingesting.ingest(conn, { text = TEXT, name = "a", resolver = resolver }).counts.features_new)
    assert.equal(0, ingesting.ingest(conn, { text = TEXT, name = "b", resolver = resolver }).counts.features_new)
    assert.equal(2, ingesting.counts(conn).features)
  end)

  it("does not go on after the connection was lost", function()
    local conn, conninfo = support.migrated()
    local writer, ingest = ingesting.begin(conn, { text = TEXT, name = "a" })
    local other <close> = ingesting.connect(conninfo)
    other:query("SELECT pg_terminate_backend($1)", conn:pid())
    assert.is_true(ledger.wait_until_quiet(other))
    local done, failure = pcall(function()
      pipeline.read(ingest, writer)
      writer:link(ingest.resolver, ingest.resolver:take())
    end)
    writer:abandon()
    assert.is_false(done)
    assert.is_true(errors.is(failure, "database"), tostring(failure))
    assert.same(NOTHING, ingesting.counts(other))
  end)
end)

describe("two ingestions", function()
  --- Starts a piece of Lua in a process of its own, connected to the database.
  local function start(conninfo, code)
    local script = support.tmpfile(([[
package.path = %q .. "/?.lua;" .. package.path
local ingesting = require "tests.lua.store.ingesting"
local conn <close> = ingesting.connect(%q)
%s]]):format(host.home, conninfo, code), "other.lua")
    return sys.spawn({ host.executable, script }, { stdout = script .. ".out", stderr = script .. ".err" })
  end

  it("of one dataset follow one another", function()
    local conn, conninfo = ingesting.fresh()
    local first, reading = ingesting.begin(conn, { text = TEXT, name = "a" })
    local other = support.tmpfile("lipid,S1\nA,1\n", "a.csv")
    local process <close> = start(conninfo, ("ingesting.ingest(conn, { path = %q, name = 'a' })"):format(other))
    local watcher <close> = ingesting.connect(conninfo)
    assert.is_truthy(ledger.wait_until_blocked(watcher), "the second one did not wait")
    assert.equal(1, ingesting.finish(first, reading).revision)
    local ended = process:wait(20)
    assert.is_not_nil(ended, "the second one did not end")
    assert.equal(0, ended.code)
    local rows = conn:query("SELECT revision, row_count FROM revisions ORDER BY revision")
    assert.same({ { revision = 1, row_count = 3 }, { revision = 2, row_count = 1 } },
      { { revision = rows[1].revision, row_count = rows[1].row_count },
        { revision = rows[2].revision, row_count = rows[2].row_count } })
  end)

  it("of different datasets do not wait for each other", function()
    local conn, conninfo = ingesting.fresh()
    local writer = ingesting.begin(conn, { text = TEXT, name = "a" })
    local other <close> = ingesting.connect(conninfo)
    other:query("SET lock_timeout = '2s'")
    assert.equal("created", ingesting.ingest(other, { text = TEXT, name = "b" }).outcome)
    writer:abandon()
  end)
end)
