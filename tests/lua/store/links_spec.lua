local ingesting = require "tests.lua.store.ingesting"
local links = require "ligase.store.links"
local move_journal = require "ligase.store.move_journal"
local names = require "ligase.omics.names"
local pg = require "pg"
local rereading = require "tests.lua.store.rereading"
local sys = require "sys"

local in_capitals, ingest, key, links_now, plainly = rereading.in_capitals, rereading.ingest, rereading.key,
  rereading.links, rereading.plainly

local conn, conninfo

local function link(read, options, ids)
  local targets = links.targets(conn, ids)
  local resolver = names.resolver("lipid", read, options and options.describe)
  for _, target in ipairs(targets) do
    target.resolver = resolver
  end
  return links.apply(conn, targets, options or {})
end

--- Undoes a run by nothing but its journal entry, as docs/receipts.md says.
local function undo(run_id)
  local text = sys.read_file(require("host").home .. "/docs/receipts.md")
  local count = 0
  for statement in text:gmatch "```sql\n(WITH run AS.-)```" do
    count = count + 1
    conn:script((statement:gsub("01a1fc32%-2bb1%-7372%-9677%-24bc93d29a2a", run_id)))
  end
  assert.equal(1, count)
end

local function unlinked(name, text)
  return ingest(name, text, { linking = false })
end

setup(ingesting.open)

before_each(function()
  conn, conninfo = rereading.fresh()
end)

describe("linking anew", function()
  it("links what was stored without links, with receipts, and marks it as linked", function()
    unlinked("one", "lipid,S1\na,1\n,2\nb,3\na,4\n")
    ingest("two", "lipid,S1\na,1\n")
    assert.same({ "one/1:1 a -> - (0)", "one/1:2 userdata: (nil) -> - (0)", "one/1:3 b -> - (0)",
      "one/1:4 a -> - (0)", "two/1:1 a -> a (1)" }, links_now())
    local report = link(plainly)
    assert.equal("done", report.outcome)
    assert.same({ rows = 3, datasets = 1, names = 0, features_new = 1, names_new = 1, pieces = 1,
      features_described = 0 },
      report.counts)
    assert.same({ "one/1:1 a -> a (2)", "one/1:2 userdata: (nil) -> - (2)", "one/1:3 b -> b (2)",
      "one/1:4 a -> a (2)", "two/1:1 a -> a (1)" }, links_now())
    local receipt = conn:query("SELECT rule, level, run_id FROM feature_names WHERE raw_name = 'b'")[1]
    assert.same({ "spec.old", "low", report.run_id }, { receipt.rule, receipt.level, receipt.run_id })
    assert.is_true(links.targets(conn)[1].linked and links.targets(conn)[2].linked)
    assert.equal("unchanged", link(plainly).outcome)
    local runs = conn:query("SELECT outcome FROM runs WHERE command = 'link' ORDER BY started_at")
    assert.same({ 2, "done", "unchanged" }, { #runs, runs[1].outcome, runs[2].outcome })
  end)

  it("moves what an older reader read, in current revisions, and keeps the old receipts", function()
    ingest("one", "lipid,S1\na,1\nA,2\nb,3\n#,4\n ,5\n")
    ingest("two", "lipid,S1\na,1\n")
    ingest("two", "lipid,S1\na,1\nC,2\n")
    local report = link(in_capitals)
    -- As `names apply` moves them: the blank cell becomes a name, "#" none any more.
    assert.same({ rows = 5, datasets = 2, names = 4, features_new = 2, names_new = 3, pieces = 1,
      features_described = 0 },
      report.counts)
    assert.same({ "one/1:1 a -> A (3)", "one/1:2 A -> A (3)", "one/1:3 b -> B (3)", "one/1:4 # -> - (3)",
      "one/1:5   -> BLANK (3)", "two/1:1 a -> a (1)", "two/2:1 a -> A (2)", "two/2:2 C -> C (2)" }, links_now())
    assert.equal(2, conn:query("SELECT count(*) AS n FROM feature_names WHERE raw_name = 'a'")[1].n)
  end)

  it("can be undone exactly by its journal entry", function()
    unlinked("none", "lipid,S1\na,1\nb,2\n,3\n")
    ingest("one", "lipid,S1\na,1\na,2\na,3\nb,4\n")
    unlinked("some", "lipid,S1\na,1\nb,2\n")
    -- As a recipe's own stage might have done it: linked by hand, in several ways, and among those without links.
    conn:query("UPDATE measurements AS m SET feature_key = $1 FROM datasets AS d WHERE d.id = m.dataset_id "
      .. "AND d.name = 'one' AND m.ordinal = 2", key "b")
    conn:query("UPDATE measurements AS m SET feature_key = NULL FROM datasets AS d WHERE d.id = m.dataset_id "
      .. "AND d.name = 'one' AND m.ordinal = 3")
    conn:query("UPDATE measurements AS m SET feature_key = $1 FROM datasets AS d WHERE d.id = m.dataset_id "
      .. "AND d.name = 'some' AND m.ordinal = 2", key "a")
    local before, counts = links_now(), conn:query("SELECT dialect, feature_count FROM revisions ORDER BY dataset_id")
    local report = link(in_capitals)
    assert.same({ "none/1:1 a -> A (2)", "none/1:2 b -> B (2)", "none/1:3 userdata: (nil) -> - (2)",
      "one/1:1 a -> A (2)", "one/1:2 a -> A (2)", "one/1:3 a -> A (2)", "one/1:4 b -> B (2)", "some/1:1 a -> A (2)",
      "some/1:2 b -> B (2)" }, links_now())
    undo(report.run_id)
    assert.same(before, links_now())
    local after = conn:query("SELECT dialect, feature_count FROM revisions ORDER BY dataset_id")
    for i = 1, 3 do
      assert.same(counts[i].dialect, after[i].dialect)
      assert.equal(counts[i].feature_count, after[i].feature_count)
    end
  end)

  it("can be undone exactly when the journal has it in several pieces", function()
    local usual = move_journal.PIECE_BYTES
    finally(function()
      move_journal.PIECE_BYTES = usual
    end)
    move_journal.PIECE_BYTES = 200
    for i = 1, 4 do
      ingest("linked" .. i, ("lipid,S1\na%d,1\nb,2\nlong name of %d,3\nA%d,4\n"):format(i, i, i))
      unlinked("unlinked" .. i, ("lipid,S1\na%d,1\nc%d,2\n,3\n"):format(i, i))
      conn:query("UPDATE measurements AS m SET feature_key = $1 FROM datasets AS d WHERE d.id = m.dataset_id "
        .. "AND d.name = $2 AND m.ordinal = 2", key "b", "unlinked" .. i)
      conn:query("UPDATE measurements AS m SET feature_key = $1 FROM datasets AS d WHERE d.id = m.dataset_id "
        .. "AND d.name = $2 AND m.ordinal = 1", key "b", "linked" .. i)
      conn:query("INSERT INTO measurements (dataset_id, revision, ordinal, feature_key, source_name, values) "
        .. "SELECT id, 1, 5, $1, 'a' || $2, '{5}' FROM datasets WHERE name = 'linked' || $2", key("b"), tostring(i))
    end
    local revisions = "SELECT dataset_id, dialect, feature_count FROM revisions ORDER BY dataset_id"
    local before, described = links_now(), conn:query(revisions)
    local report = link(in_capitals)
    assert.is_true(report.counts.pieces > 6, tostring(report.counts.pieces))
    undo(report.run_id)
    assert.same(before, links_now())
    for i, revision in ipairs(conn:query(revisions)) do
      assert.same({ described[i].dialect, described[i].feature_count }, { revision.dialect, revision.feature_count })
    end
  end)

  it("links what lies in several pieces, with rows that are missing between", function()
    local lines = { "lipid,S1" }
    for i = 1, 60000 do
      lines[#lines + 1] = ("n%d,1"):format(i % 40000)
    end
    unlinked("large", table.concat(lines, "\n") .. "\n")
    conn:script("DELETE FROM measurements WHERE ordinal IN (3, 4, 59999)")
    local report = link(plainly)
    assert.same({ 59997, 40000, 40000 }, { report.counts.rows, report.counts.features_new, report.counts.names_new })
    assert.equal(0, conn:query([[
SELECT count(*) AS n FROM measurements AS m LEFT JOIN features AS f ON f.key = m.feature_key
WHERE f.name IS DISTINCT FROM m.source_name]])[1].n)
    assert.equal(40000, conn:query("SELECT feature_count AS n FROM revisions")[1].n)
  end)

  it("links only the datasets that were named, and tells other systems when asked", function()
    local one = unlinked("one", "lipid,S1\na,1\n")
    unlinked("two", "lipid,S1\na,1\n")
    local report = link(plainly, { outbox = true, arguments = { datasets = { "one" } } }, { one.dataset_id })
    assert.same({ "one/1:1 a -> a (1)", "two/1:1 a -> - (0)" }, links_now())
    local told = conn:query("SELECT entity_id, action, payload, run_id FROM outbox")
    assert.same({ 1, one.dataset_id, "update", { revision = 1 }, report.run_id },
      { #told, told[1].entity_id, told[1].action, told[1].payload, told[1].run_id })
  end)

  it("moves nothing when it fails, and journals that", function()
    unlinked("one", "lipid,S1\na,1\n")
    unlinked("two", "lipid,S1\nb,1\n")
    local before = links_now()
    conn:script("ALTER TABLE revisions ADD CONSTRAINT none CHECK (feature_count = 0)")
    local done, failure = pcall(link, plainly)
    conn:script("ALTER TABLE revisions DROP CONSTRAINT none")
    assert.is_false(done)
    assert.matches("none", failure.message)
    assert.same(before, links_now())
    assert.equal(0, conn:query("SELECT count(*) AS n FROM features")[1].n)
    assert.equal("failed", conn:query("SELECT outcome FROM runs WHERE command = 'link'")[1].outcome)
    assert.equal("done", link(plainly).outcome) -- the lock is free, and nothing is taken for written
    assert.equal(2, conn:query("SELECT count(*) AS n FROM features")[1].n)
  end)

  it("describes lipids that were stored before their sums were kept", function()
    ingest("one", "lipid,S1\na,1\n")
    conn:script [[
UPDATE features SET attributes = '{"class": "PC", "mine": 1}', level = 'species' WHERE name = 'a']]
    local report = link(plainly, { describe = function(name)
      return { class = "PC", sum = "sum of " .. name }
    end })
    assert.same({ "done", 1, 0 }, { report.outcome, report.counts.features_described, report.counts.rows })
    assert.same({ class = "PC", sum = "sum of a", mine = 1 }, conn:query("SELECT attributes AS a FROM features")[1].a)
  end)

  it("is not disturbed by files that are ingested meanwhile", function()
    unlinked("one", "lipid,S1\na,1\nb,2\n")
    local other <close> = pg.connect(conninfo)
    other:begin()
    other:query("SELECT pg_advisory_xact_lock($1)", sys.hash64("dataset\0lipidomics\0one"))
    link(plainly)
    other:rollback()
    assert.same({ "one/1:1 a -> a (2)", "one/1:2 b -> b (2)" }, links_now())
  end)
end)
