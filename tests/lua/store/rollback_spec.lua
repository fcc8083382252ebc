--- Runs of every kind undone and done again: the first gives back what was there before the
--- run, the second what was there after it, bit for bit.
local aliases = require "ligase.store.aliases"
local entities = require "ligase.store.entities"
local intake = require "ligase.intake.ingest"
local ingesting = require "tests.lua.store.ingesting"
local inputs = require "ligase.io.inputs"
local integrity = require "ligase.store.integrity"
local json = require "ligase.base.json"
local links = require "ligase.store.links"
local name_differences = require "ligase.store.name_differences"
local name_moves = require "ligase.store.name_moves"
local names = require "ligase.omics.names"
local pg = require "pg"
local profiles = require "ligase.store.profiles"
local recipes = require "ligase.omics.recipes"
local rereading = require "tests.lua.store.rereading"
local rollback = require "ligase.store.rollback"
local rolling = require "tests.lua.store.rolling"
local runs = require "ligase.store.runs"
local scores = require "ligase.store.scores"
local scoring = require "ligase.scoring"
local signatures = require "ligase.omics.signatures"
local signature_store = require "ligase.store.signatures"
local support = require "tests.support"

local conn, conninfo

setup(function()
  conn, conninfo = support.migrated()
  pg.use_json(json.decode)
end)

local function ingest(name, text, options)
  local call = { name = name, text = text }
  for key, value in pairs(options or {}) do
    call[key] = value
  end
  return ingesting.ingest(conn, call)
end

local function undo(id, options)
  return rollback.run(conn, { runs = { id } }, options)
end

--- Why something is refused.
local function refusal(...)
  local done, failure = pcall(rollback.run, conn, ...)
  assert.is_false(done)
  assert.equal("usage", failure.kind, tostring(failure))
  return failure
end

--- Calls a function that returns a run's id, undoes the run and does it again, in two ways.
local function round_trip(fn, options)
  local before = rolling.counting(conn)
  local id = fn()
  local after, counted = rolling.snapshot(conn), rolling.counting(conn)
  local report = undo(id, options)
  assert.same({}, rolling.difference(before, rolling.counting(conn)))
  assert.not_same({}, rolling.difference(after, rolling.snapshot(conn, after)))
  local again = undo(report.rollbacks[1].id, options)
  assert.same({}, rolling.difference(after, rolling.snapshot(conn, after)))
  assert.same({}, rolling.difference(counted, rolling.counting(conn)))
  -- Undone by undoing what did it again, done again, and undone by its own id once more.
  local back = undo(again.rollbacks[1].id, options)
  assert.same({}, rolling.difference(before, rolling.counting(conn)))
  undo(back.rollbacks[1].id, options)
  assert.same({}, rolling.difference(after, rolling.snapshot(conn, after)))
  back = undo(id, options)
  assert.same({}, rolling.difference(before, rolling.counting(conn)))
  undo(back.rollbacks[1].id, options)
  assert.same({}, rolling.difference(after, rolling.snapshot(conn, after)))
  return report, id
end

local function change(fn, options)
  options = options or {}
  options.command = options.command or "spec"
  local result, outcome, id = entities.change(conn, options, fn)
  assert.equal("done", outcome)
  return id, result
end

describe("rollback of an ingest", function()
  it("removes a dataset that it made, with the program that it made for it", function()
    local report = round_trip(function()
      return ingest("made", "lipid,a\nx,1\ny,-0\nx,<LOD\n", { program = { "P1", "P2" }, experiment = "E1",
        create = true, organism = "Mus musculus" }).run_id
    end)
    assert.same({ "P1", "P2", "E1", "lipidomics/made" }, { report.effects[1].name, report.effects[2].name,
      report.effects[3].name, report.effects[4].name })
    assert.equal(1, report.counts["dataset removed"])
    assert.equal(2, report.counts["program removed"])
  end)

  it("goes back to the revision before and leaves the new one stored", function()
    ingest("revised", "lipid,a\nx,1\n")
    local report = round_trip(function()
      return ingest("revised", "lipid,a\nx,2\nz,3\n", { organism = "Homo sapiens" }).run_id
    end)
    assert.same({ { action = "restored", what = "dataset", name = "lipidomics/revised",
      detail = "revision 1 instead of 2; organism" } }, report.effects)
    undo "last"
    -- The number of what was set aside is not given a second time.
    assert.equal(3, ingest("revised", "lipid,a\nx,5\n").revision)
  end)

  it("is refused when the dataset was revised since, and takes that along when it is told to", function()
    local before = rolling.counting(conn)
    local first = ingest("built on", "lipid,a\nx,1\n").run_id
    local second = ingest("built on", "lipid,a\nx,2\n").run_id
    local third = change(function(changes)
      changes:update("dataset", "built on", { description = "looked at" })
    end)
    local after = rolling.snapshot(conn)
    local failure = refusal { runs = { first } }
    assert.equal("built_on", failure.code)
    assert.matches(("%s.*%s"):format(third:gsub("%-", "%%-"), second:gsub("%-", "%%-")), failure.detail)
    local report = undo(first, { cascade = true })
    assert.same({ third, second, first }, { report.runs[1].id, report.runs[2].id, report.runs[3].id })
    assert.same({}, rolling.difference(before, rolling.counting(conn)))
    assert.same({}, conn:query("SELECT 1 FROM revisions AS r JOIN datasets AS d ON d.id = r.dataset_id "
      .. "WHERE d.name = 'built on'") [1] or {})

    -- The rollback of the oldest run came last, so it alone can be undone alone.
    assert.equal("built_on", refusal({ runs = { report.rollbacks[1].id } }).code)
    rollback.run(conn, { batch = report.batch_id })
    assert.same({}, rolling.difference(after, rolling.snapshot(conn, after)))
    -- What was done again and what was rolled back before are out of each other's way.
    undo(third)
    undo(second)
    undo(first)
    assert.same({}, rolling.difference(before, rolling.counting(conn)))
  end)

  it("is done again a second time after that was undone, with what its rows refer to", function()
    local made = ingest("again", "lipid,a\nx,1\n", { program = "Again", create = true }).run_id
    change(function(changes)
      changes:create("experiment", { name = "Once more", programs = { "Again" } })
    end)
    change(function(changes)
      changes:update("dataset", "again", { experiments = { "Once more" } })
    end)
    local away = change(function(changes)
      changes:update("dataset", "again", { experiments = {} })
    end)
    local undone_by
    for _, one in ipairs(undo(made, { cascade = true }).rollbacks) do
      undone_by = one.run_id == away and one.id or undone_by
    end
    local before = rolling.counting(conn)
    local report = undo(undone_by, { cascade = true })
    local after = rolling.counting(conn)
    rollback.run(conn, { batch = report.batch_id })
    assert.same({}, rolling.difference(before, rolling.counting(conn)))
    undo(undone_by, { cascade = true })
    assert.same({}, rolling.difference(after, rolling.counting(conn)))
    undo(made, { cascade = true })
  end)

  it("leaves the numbers of revisions alone that another rollback keeps", function()
    local made = ingest("numbered", "lipid,a\nx,1\n").run_id
    local gone = undo(made).rollbacks[1].id
    local there = undo(gone).rollbacks[1].id
    local second = ingest("numbered", "lipid,a\nx,2\n")
    assert.equal(2, second.revision)
    undo(second.run_id)
    undo(there) -- with both revisions; and the first rollback, undone once more, brings back one
    undo(gone)
    assert.equal(3, ingest("numbered", "lipid,a\nx,3\n").revision)
    assert.equal(3, conn:query("SELECT count(*) AS n FROM measurements AS m JOIN datasets AS d ON d.id = m.dataset_id "
      .. "WHERE d.name = 'numbered'")[1].n)
    local found = integrity.check(conn, { seconds = 60 })
    assert.same({}, found.findings)
  end)

  it("finds the rows of a removed dataset where it left them", function()
    local id = ingest("left", "lipid,a\nx,1\ny,2\n").run_id
    local report = undo(id)
    local aside = conn:query("SELECT * FROM set_aside_revisions WHERE rolls_back = $1", id)
    assert.same({ 1, 1, 2 }, { #aside, aside[1].revision, aside[1].row_count })
    assert.equal(2, conn:query("SELECT count(*) AS n FROM measurements WHERE dataset_id = $1",
      aside[1].dataset_id)[1].n)
    conn:query("DELETE FROM measurements WHERE dataset_id = $1 AND ordinal = 1", aside[1].dataset_id)
    assert.equal("rows_gone", refusal({ runs = { report.rollbacks[1].id } }).code)
    assert.equal(1, #conn:query("SELECT 1 FROM set_aside_revisions WHERE rolls_back = $1", id))
  end)

  it("does not bring a dataset back whose name was given away", function()
    local report = undo(ingest("taken", "lipid,a\nx,1\n").run_id)
    local other = ingest("taken", "lipid,a\nx,9\n").run_id
    local failure = refusal { runs = { report.rollbacks[1].id } }
    assert.same({ "built_on", other }, { failure.code, failure.runs[1].id })
    undo(other)
    conn:query("INSERT INTO datasets (id, omics_type, name) VALUES (gen_random_uuid(), 'lipidomics', 'taken')")
    failure = refusal { runs = { report.rollbacks[1].id } }
    assert.same({ "conflict", "23505" }, { failure.code, failure.sqlstate })
    conn:query("DELETE FROM datasets WHERE name = 'taken'")
  end)
end)

describe("rollback of changes to entities", function()
  it("brings back fields to the digit, and what was linked", function()
    change(function(changes)
      changes:upsert("program", { { name = "Q1" }, { name = "Q2" } })
      changes:create("compound", { code = "C-1", name = "one", attributes = { logp = 1.0, ph = 7.40 },
        programs = { "Q1" }, molecular_weight = 180.156 })
    end)
    conn:query [[UPDATE compounds SET attributes = '{"logp": 1.0, "ph": 7.40}']]
    round_trip(function()
      return (change(function(changes)
        changes:update("compound", "C-1", { name = "uno", attributes = { ph = 7 }, programs = { "Q2" },
          external_ids = { vendor = "9" } })
        changes:create("program", { name = "Q3", disease = { "ALS", "a \"quoted\"; one" } })
        changes:update("program", "Q2", { description = "line\nline\t\\ '" })
      end))
    end)
    round_trip(function()
      return (change(function(changes)
        changes:delete("compound", "C-1")
        changes:delete("program", "Q1")
      end))
    end)
  end)

  it("gives a name back to the one that had it", function()
    change(function(changes)
      changes:upsert("program", { { name = "old" }, { name = "other" } })
    end)
    round_trip(function()
      return (change(function(changes)
        changes:delete("program", "old")
        changes:update("program", "other", { name = "old" })
        changes:create("program", { name = "other" })
      end))
    end)
  end)

  it("is refused while something refers to what it made, naming the run that did", function()
    local made = change(function(changes)
      changes:create("program", { name = "R1" })
    end)
    local linked = change(function(changes)
      changes:create("experiment", { name = "RE1", programs = { "R1" } })
    end)
    local failure = refusal { runs = { made } }
    assert.same({ "built_on", linked }, { failure.code, failure.runs[1].id })
    undo(made, { cascade = true })
    assert.equal(0, #conn:query "SELECT 1 FROM experiments WHERE name = 'RE1'")

    local by_hand = change(function(changes)
      changes:create("program", { name = "R2" })
    end)
    conn:query("INSERT INTO experiments (id, name, program_id) SELECT gen_random_uuid(), 'by hand', id FROM programs "
      .. "WHERE name = 'R2'")
    assert.equal("referred", refusal({ runs = { by_hand } }, { cascade = true }).code)
    conn:query "DELETE FROM experiments WHERE name = 'by hand'"
    undo(by_hand)
  end)

  it("keeps the page that the mirror made since, and takes back one that was said by hand", function()
    local id = change(function(changes)
      changes:create("program", { name = "paged" })
    end)
    local described = change(function(changes)
      changes:update("program", "paged", { description = "d" })
    end)
    conn:query "UPDATE programs SET notion_page_id = 'made-since' WHERE name = 'paged'"
    undo(described)
    local row = conn:query("SELECT notion_page_id, description FROM programs WHERE name = 'paged'")[1]
    assert.same({ "made-since", pg.null }, { row.notion_page_id, row.description })
    conn:query "UPDATE programs SET notion_page_id = NULL WHERE name = 'paged'"
    local said = change(function(changes)
      changes:update("program", "paged", { notion_page_id = ("ab"):rep(16) })
    end)
    undo(said)
    assert.equal(pg.null, conn:query("SELECT notion_page_id FROM programs WHERE name = 'paged'")[1].notion_page_id)
    undo(id)
  end)

  it("is refused for rows that were deleted for good", function()
    ingest("gone", "lipid,a\nx,1\n")
    local id = change(function(changes)
      changes:delete("dataset", "gone", { data = true })
    end)
    local failure = refusal { runs = { id } }
    assert.equal("irreversible", failure.code)
    assert.matches("deleted rows of", failure.message)
  end)
end)

local CORE = "lipid\tdirection\tweight\nCer 18:1;O2/16:0\tup\t1.0\nCer 18:1;O2/18:0\tdown\t0.5\ngibberish(((\tup\t0.1\n"

local function load_signature(content, options)
  local input <close> = inputs.open(support.tmpfile(content, "core.tsv"))
  return signature_store.load(conn, signatures.read(input, signatures.define {}, {}), options or {}).run_id
end

local EFFECTS = "lipid,log2FC,pvalue,padj\nCer 18:1;O2/16:0,%s,0.001,0.01\nCer 18:1;O2/18:0,-0.8,0.001,0.01\n"
  .. "PC 34:1,0.1,0.5,0.6\n"

local function score(options)
  local run = runs.new("score", nil, {})
  scores.journal(conn, run, (scoring.run(conn, scoring.session(conn, options), profiles.all_ids(conn), run.id)))
  return run.id
end

local function add_scored(name, effect)
  local request <close> = intake.request(support.tmpfile(EFFECTS:format(effect), name .. ".csv"),
    recipes.load "lipidomics", { name = name })
  return intake.store(conn, request).run_id
end

describe("rollback of signatures and scores", function()
  it("takes signatures out with their components, and puts replaced ones back", function()
    round_trip(function()
      return load_signature(CORE)
    end)
    round_trip(function()
      return load_signature((CORE:gsub("0.1", "0.25")), { replace = true })
    end)
    round_trip(function()
      return load_signature((CORE:gsub("gibberish", "others")))
    end)
  end)

  it("takes scores out, and puts those back that were replaced", function()
    add_scored("effects", "1.5")
    round_trip(function()
      return score { methods = { "concordance", "ora" } }
    end)
    local negative = conn:query("UPDATE dataset_signatures SET score = '-0' WHERE method = 'concordance'").affected
    assert.is_true(negative > 0)
    round_trip(function()
      return score { methods = { "concordance" }, parameters = { threshold = 0.1, permutations = 10 } }
    end)
  end)

  it("leaves scores alone that came back while a dataset went", function()
    add_scored("effects that stay", "4.5")
    score { methods = { "concordance" }, parameters = { threshold = 0.3, permutations = 10 } }
    local before = rolling.counting(conn)
    local made = add_scored("effects that go", "5.5")
    score { methods = { "concordance" }, parameters = { threshold = 0.4, permutations = 10 } }
    local after = rolling.snapshot(conn)
    local report = undo(made, { cascade = true })
    assert.equal(2, #report.runs)
    assert.same({}, rolling.difference(before, rolling.counting(conn)))
    rollback.run(conn, { batch = report.batch_id })
    assert.same({}, rolling.difference(after, rolling.snapshot(conn, after)))
  end)

  it("does not put scores back where others stand of which no run is known", function()
    add_scored("effects beside", "3.5")
    local run = score { methods = { "concordance" } }
    conn:query("CREATE TABLE standing AS SELECT * FROM dataset_signatures WHERE run_id = '" .. run
      .. "' AND dataset_id = (SELECT id FROM datasets WHERE name = 'effects beside')")
    local gone = undo(run)
    conn:query "UPDATE standing SET run_id = gen_random_uuid()"
    conn:query "INSERT INTO dataset_signatures SELECT * FROM standing"
    local failure = refusal { runs = { gone.rollbacks[1].id } }
    assert.equal("conflict", failure.code)
    assert.matches("scores that have to come back have their place taken by others", failure.message, 1, true)
    conn:query "DELETE FROM dataset_signatures AS x USING standing AS s WHERE s.run_id = x.run_id"
    conn:query "DROP TABLE standing"
    undo(gone.rollbacks[1].id)
  end)

  it("knows which scores were computed from what goes", function()
    local first = add_scored("second effects", "2.5")
    local scored = score { methods = { "concordance" } }
    local failure = refusal { runs = { first } }
    assert.same({ "built_on", scored }, { failure.code, failure.runs[1].id })
    local report = undo(first, { cascade = true })
    assert.is_true(report.counts["score removed"] > 0)
    rollback.run(conn, { batch = report.batch_id })
  end)

  it("brings scores back that were deleted with their signature", function()
    local signature = signature_store.find(conn, "core")
    round_trip(function()
      signature_store.delete(conn, signature, { scores = true })
      return conn:query("SELECT id FROM runs WHERE command = 'signature delete' ORDER BY started_at DESC LIMIT 1")[1].id
    end)
  end)
end)

describe("rollback of alias tables", function()
  local function load(digest, list)
    aliases.load(conn, { source = "panel", feature_type = "gene", format = "generic", arguments = { a = 1.0 },
      files = { { path = "p.tsv", sha256 = digest, bytes = 3 } } }, function(emit)
      for _, row in ipairs(list) do
        emit(row[1], row[2], row[2], row[3])
      end
    end)
    return conn:query("SELECT id FROM runs WHERE command = 'aliases load' ORDER BY started_at DESC LIMIT 1")[1].id
  end

  it("exchanges them whole", function()
    round_trip(function()
      return load("aa", { { "TP53", "TP53", "name" }, { "TP53", "p53", "alias" } })
    end)
    round_trip(function()
      return load("bb", { { "TP53", "TP53", "name" }, { "NAT1", "AAC1", "alias" }, { "X", "AAC1", "alias" } })
    end)
    round_trip(function()
      aliases.drop(conn, "panel")
      return conn:query("SELECT id FROM runs WHERE command = 'aliases drop' ORDER BY started_at DESC LIMIT 1")[1].id
    end)
  end)
end)

describe("rollback of links", function()
  local function link(read, ids)
    local targets = links.targets(conn, ids)
    local resolver = names.resolver("lipid", read)
    for _, target in ipairs(targets) do
      target.resolver = resolver
    end
    return links.apply(conn, targets, {}).run_id
  end

  local function apply(read)
    local groups = name_differences.groups(conn)
    for _, group in ipairs(groups) do
      group.resolver = names.resolver("lipid", read)
    end
    return name_moves.apply(conn, groups, {}).run_id
  end

  local function receipts()
    return conn:table("SELECT feature_key, raw_key, rule, level, reason, aside, candidates, run_id FROM feature_names "
      .. "ORDER BY 1, 2")
  end

  it("moves them back to the features, receipts and figures of before", function()
    local plainly = ingesting.recipe { read_name = rereading.plainly }
    local one = ingest("linked", "lipid,S1\na,1\n#,2\n,3\nb,4\na,5\n", { recipe = plainly })
    ingest("unlinked", "lipid,S1\na,1\nc,2\n,3\na,4\n", { recipe = plainly, linking = false })
    local mixed = ingest("mixed", "lipid,S1\na,1\na,2\nb,3\n", { recipe = plainly })
    conn:query("UPDATE measurements SET feature_key = $2 WHERE dataset_id = $1 AND ordinal = 2", mixed.dataset_id,
      rereading.key "b")
    local was = receipts()
    assert.is_true(#was > 0)
    round_trip(function()
      return link(rereading.plainly, { one.dataset_id, conn:query(
        "SELECT id FROM datasets WHERE name = 'unlinked'")[1].id, mixed.dataset_id })
    end)
    round_trip(function()
      return link(rereading.in_capitals, { one.dataset_id, mixed.dataset_id })
    end)
    undo "last"
    undo "last"
    local now = {}
    for _, row in ipairs(receipts()) do
      now[row[1] .. " " .. row[2]] = row
    end
    for _, row in ipairs(was) do
      assert.same(row, now[row[1] .. " " .. row[2]])
    end
    -- In capitals already: both of the next runs change the receipt that is there.
    ingest("later", "lipid,S1\nD,1\n", { recipe = plainly })
    round_trip(function()
      return apply(rereading.in_capitals)
    end)
    local first = conn:query("SELECT id FROM runs WHERE command = 'names apply' ORDER BY started_at DESC LIMIT 1")[1].id
    round_trip(function()
      return apply(function(raw)
        local reading = rereading.in_capitals(raw)
        return reading and { name = reading.name, rule = "spec.newest", level = "low", candidates = { "A", "B" } }
      end)
    end)
    assert.equal("built_on", refusal({ runs = { first } }).code)
  end)

  it("is in the way of the ingest whose rows it linked, in pieces too", function()
    local move_journal = require "ligase.store.move_journal"
    local linked
    local plainly = ingesting.recipe { read_name = rereading.plainly }
    local lines = { "lipid,S1" }
    for i = 1, 60 do
      lines[#lines + 1] = ("name %d,%d"):format(i, i)
    end
    local made = ingest("pieces", table.concat(lines, "\n") .. "\n", { recipe = plainly })
    round_trip(function()
      local bytes = move_journal.PIECE_BYTES
      move_journal.PIECE_BYTES = 700
      linked = link(rereading.in_capitals, { made.dataset_id })
      move_journal.PIECE_BYTES = bytes
      assert.is_true(conn:query("SELECT (counts ->> 'pieces')::int AS n FROM runs WHERE id = $1", linked)[1].n > 2)
      return linked
    end)
    local failure = refusal { runs = { made.run_id } }
    assert.same({ "built_on", linked }, { failure.code, failure.runs[1].id })
    local after = rolling.snapshot(conn)
    local report = undo(made.run_id, { cascade = true })
    rollback.run(conn, { batch = report.batch_id })
    assert.same({}, rolling.difference(after, rolling.snapshot(conn, after)))
  end)
end)

describe("rollback of a screening", function()
  local PLATE = "well,compound,role,value\nA1,x,,5\nA2,y,,9\nB1,,pos,1\nB2,,pos,2\nC1,,neg,10\nC2,,neg,11\n"

  local function store(content, options)
    local recipe = recipes.load_any "screening"
    local source <close> = inputs.open(support.tmpfile(content, "plate.csv"))
    options = options or {}
    options.command, options.recipe, options.campaign = "screening", recipe, options.campaign or "C"
    return recipe.store(conn, source, options).run_id
  end

  it("goes back to the revision before, with campaign and compounds that it made", function()
    round_trip(function()
      return store(PLATE, { create = true })
    end)
    round_trip(function()
      return store((PLATE:gsub("A2,y,,9", "A2,y,,1")), { only = true })
    end)
    round_trip(function()
      return (change(function(changes)
        changes:update("campaign", "C", { direction = "inhibition", hit_rule = "percent >= 50" })
      end))
    end)
  end)

  it("is in the way of the run that made its compounds", function()
    local made = change(function(changes)
      changes:upsert("compound", { { code = "k1", name = "k1" } })
    end)
    local screened = store((PLATE:gsub("A1,x", "A1,k1")), { only = true })
    assert.equal(screened, refusal({ runs = { made } }).runs[1].id)
    undo(made, { cascade = true })
  end)
end)

describe("rollback", function()
  it("of a batch is one transaction, and so is doing it again", function()
    local before = rolling.counting(conn)
    local batch = require("sys").uuid7()
    for i = 1, 3 do
      local request <close> = intake.request(support.tmpfile("lipid,a\nx,1\n"), ingesting.recipe(),
        { name = "batch " .. i, batch_id = batch, program = "BP", create = true })
      intake.store(conn, request)
    end
    local after = rolling.snapshot(conn)
    local report = rollback.run(conn, { batch = batch })
    assert.equal(3, #report.runs)
    assert.same({}, rolling.difference(before, rolling.counting(conn)))
    assert.equal("rolled_back", refusal({ batch = batch }).code)
    rollback.run(conn, { batch = report.batch_id:sub(1, 23) })
    assert.same({}, rolling.difference(after, rolling.snapshot(conn, after)))
  end)

  it("in a dry run says everything and writes nothing", function()
    local id = ingest("rehearsed", "lipid,a\nx,1\n").run_id
    local all = rolling.snapshot(conn)
    local report = undo(id, { dry_run = true })
    assert.is_true(report.rehearsed)
    assert.same({ "dataset", "lipidomics/rehearsed", "removed" }, { report.effects[1].what, report.effects[1].name,
      report.effects[1].action })
    assert.same({}, rolling.difference(all, rolling.snapshot(conn)))
  end)

  it("tells other systems when they are told, or were told of the run", function()
    local id, made = change(function(changes)
      return changes:create("program", { name = "told" })
    end, { outbox = true })
    local function told()
      local rows = conn:query("SELECT action, payload ->> 'name' AS name FROM outbox WHERE entity_id = $1 ORDER BY id",
        made.id)
      local actions = {}
      for i, row in ipairs(rows) do
        actions[i] = row.action .. " " .. row.name
      end
      return actions
    end
    local report = undo(id)
    assert.same({ "create told", "delete told" }, told())
    undo(report.rollbacks[1].id)
    assert.same({ "create told", "delete told", "restore told" }, told())
    local silent = change(function(changes)
      changes:update("program", "told", { description = "quietly" })
    end)
    undo(silent)
    assert.equal(3, #told())
    local loud = change(function(changes)
      changes:update("program", "told", { description = "aloud" })
    end)
    undo(loud, { outbox = true })
    assert.equal("update told", told()[4])
  end)

  it("says what is wrong with a run that cannot be undone", function()
    local id = ingest("refused", "lipid,a\nx,1\n").run_id
    local unchanged = ingest("refused", "lipid,a\nx,1\n").run_id
    assert.equal("unchanged_run", refusal({ runs = { unchanged } }).code)
    local failed = runs.new("ingest", nil, { source = "no.csv" })
    runs.journal_failure(conn, failed, "no such file")
    assert.equal("failed_run", refusal({ runs = { failed.id } }).code)
    local report = undo(id)
    local failure = refusal { runs = { id } }
    assert.equal("rolled_back", failure.code)
    assert.matches("ligase rollback " .. report.rollbacks[1].id, failure.hint, 1, true)
    local again = undo(report.rollbacks[1].id)
    assert.equal("rolled_back", refusal({ runs = { report.rollbacks[1].id } }).code)
    assert.equal(again.runs[1].id, report.rollbacks[1].id)

    failure = refusal { runs = { "00000000-0000" } }
    assert.equal("unknown_run", failure.code)
    assert.matches(id, failure.detail, 1, true)
    failure = refusal { runs = { id:sub(1, -2) .. (id:sub(-1) == "0" and "1" or "0") } }
    assert.matches("nearest", failure.detail)
    assert.matches(id, failure.detail, 1, true)
    assert.equal("unknown_run", refusal({ runs = { "no run's id" } }).code)
    assert.equal("ambiguous_run", refusal({ runs = { "0" } }).code)
    assert.equal("unknown_batch", refusal({ batch = "ffffffff" }).code)

    conn:query("UPDATE runs SET host_version = '99.0.0' WHERE id = $1", id)
    assert.equal("newer_version", refusal({ runs = { id } }).code)
    conn:query([[UPDATE runs SET host_version = '0.0.9', changes = '[{"table": "moons", "id": "1"}]'
      WHERE id = $1]], id)
    assert.equal("irreversible", refusal({ runs = { id } }).code)
  end)

  it("waits for who is at work on the same rows", function()
    local id = ingest("locked", "lipid,a\nx,1\n").run_id
    local other <close> = pg.connect(conninfo)
    local writer = ingesting.begin(other, { name = "locked", text = "lipid,a\nx,2\n" })
    conn:script "SET lock_timeout = '50ms'"
    local done, failure = pcall(rollback.run, conn, { runs = { id } })
    conn:script "SET lock_timeout = 0"
    assert.same({ false, "55P03" }, { done, failure.code })
    writer:abandon()
    undo(id)
  end)
end)
