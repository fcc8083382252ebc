local features = require "ligase.store.features"
local ingesting = require "tests.lua.store.ingesting"
local names = require "ligase.omics.names"
local pg = require "pg"
local name_differences = require "ligase.store.name_differences"
local rereading = require "tests.lua.store.rereading"
local support = require "tests.support"
local sys = require "sys"

local apply, diff, groups_read, in_capitals, ingest, key, links, plainly = rereading.apply, rereading.diff,
  rereading.groups_read, rereading.in_capitals, rereading.ingest, rereading.key, rereading.links, rereading.plainly

local conn, conninfo

--- Undoes a run by nothing but its journal, as docs/receipts.md says.
local function undo(run_id)
  conn:query([[
WITH run AS (SELECT id AS piece, changes FROM runs WHERE id = $1 OR batch_id = $1),
names AS (
  SELECT piece, place, n ->> 0 AS raw, (n ->> 1)::int8 AS old, (n ->> 2)::int8 AS new
  FROM run, jsonb_array_elements(changes -> 0 -> 'before' -> 'names') WITH ORDINALITY AS n (n, place)),
moved AS (
  SELECT piece, (c ->> 'id')::uuid AS dataset_id, (c ->> 'revision')::int AS revision, p::int8 AS place,
    c -> 'before' -> 'rows' -> p AS "rows"
  FROM run, jsonb_array_elements(changes) AS c, jsonb_array_elements_text(c -> 'before' -> 'names') AS p
  WHERE c ->> 'table' = 'measurements')
UPDATE measurements AS m SET feature_key = names.old
FROM moved JOIN names USING (piece, place)
WHERE m.dataset_id = moved.dataset_id AND m.revision = moved.revision AND m.source_name = names.raw
  AND m.feature_key IS NOT DISTINCT FROM names.new
  AND (moved."rows" IS NULL OR moved."rows" @> to_jsonb(m.ordinal))]], run_id)
  conn:query([[
UPDATE revisions AS r SET feature_count = (c -> 'before' ->> 'feature_count')::int8
FROM runs, jsonb_array_elements(runs.changes) AS c
WHERE (runs.id = $1 OR runs.batch_id = $1) AND c ->> 'table' = 'measurements'
  AND r.dataset_id = (c ->> 'id')::uuid AND r.revision = (c ->> 'revision')::int]], run_id)
  conn:query([[
UPDATE feature_names AS f SET rule = old ->> 'rule', level = old ->> 'level', reason = old ->> 'reason',
  aside = old -> 'aside', candidates = old -> 'candidates', run_id = (old ->> 'run_id')::uuid
FROM (
  SELECT r ->> 0 AS raw, (r ->> 1)::int8 AS key, r -> 2 AS old
  FROM runs, jsonb_array_elements(changes) AS c, jsonb_array_elements(c -> 'before' -> 'receipts') AS r
  WHERE runs.id = $1 OR runs.batch_id = $1) AS r
WHERE f.feature_key = r.key AND f.raw_name = r.raw]], run_id)
end

--- All receipts that there were before a run, as text.
local function receipts(with_run)
  local list = {}
  for i, row in ipairs(conn:query([[
SELECT n.raw_name, f.name, n.rule, n.level, n.aside::text AS aside, n.reason, n.candidates::text AS candidates,
  n.run_id
FROM feature_names AS n JOIN features AS f ON f.key = n.feature_key ORDER BY 1, 2]])) do
    local function shown(field)
      return row[field] ~= pg.null and row[field] or "-"
    end
    list[i] = ("%s -> %s %s %s %s %s %s"):format(row.raw_name, row.name, row.rule, shown "level", shown "aside",
      shown "reason", shown "candidates")
    if with_run then
      list[i] = list[i] .. " " .. tostring(row.run_id)
    end
  end
  return list
end

setup(ingesting.open)

before_each(function()
  conn, conninfo = rereading.fresh()
end)

describe("moving links", function()
  it("moves those of current revisions, keeps earlier ones and their receipts, and leaves no difference", function()
    ingest("one", "lipid,S1\na,1\nA,2\nb,3\n#,4\n ,5\n")
    ingest("two", "lipid,S1\na,1\n")
    ingest("two", "lipid,S1\na,1\nC,2\n")
    local report = apply(in_capitals)
    assert.equal("done", report.outcome)
    assert.same({ names = 4, rows = 5, datasets = 2, features_new = 2, names_new = 3, receipts = 2, pieces = 1 },
      report.counts)
    assert.same({ "one/1:1 a -> A (3)", "one/1:2 A -> A (3)", "one/1:3 b -> B (3)", "one/1:4 # -> - (3)",
      "one/1:5   -> BLANK (3)", "two/1:1 a -> a (1)", "two/2:1 a -> A (2)", "two/2:2 C -> C (2)" }, links())
    assert.same({}, diff(in_capitals))
    assert.same({}, diff(in_capitals, nil, true))
    local stored = conn:query([[
SELECT rule, level, aside, run_id FROM feature_names WHERE raw_name = 'a' ORDER BY rule]])
    assert.equal(2, #stored)
    assert.same({ "spec.new", "high", { was = "a" }, report.run_id },
      { stored[1].rule, stored[1].level, stored[1].aside, stored[1].run_id })
    assert.equal("spec.old", stored[2].rule)
    local again = apply(in_capitals)
    assert.equal("unchanged", again.outcome)
    local outcomes = conn:query("SELECT outcome FROM runs WHERE command = 'names apply' ORDER BY started_at")
    assert.same({ 2, "done", "unchanged" }, { #outcomes, outcomes[1].outcome, outcomes[2].outcome })
  end)

  it("can be undone exactly by its journal entry", function()
    ingest("one", "lipid,S1\na,1\nA,2\nb,3\n#,4\n ,5\na,6\n")
    ingest("two", "lipid,S1\na,1\nq,2\n")
    local before, before_receipts = links(), receipts(true)
    local report = apply(in_capitals)
    assert.not_same(before, links())
    undo(report.run_id)
    assert.same(before, links())
    for _, receipt in ipairs(before_receipts) do
      assert.is_truthy(table.concat(receipts(true), "\n"):find(receipt, 1, true), receipt)
    end
    local run = conn:query("SELECT command, counts, changes, arguments FROM runs WHERE id = $1", report.run_id)[1]
    assert.same({ "names apply", 7 }, { run.command, run.counts.rows })
    assert.same({ "a", tostring(key "a"), tostring(key "A") }, { table.unpack(run.changes[1].before.names[3]) })
    assert.equal(4, #run.changes) -- names, two datasets, the receipt of "A"
  end)

  it("can be undone exactly where a stage had linked one name in two ways", function()
    local report = ingest("one", "lipid,S1\na,1\na,2\na,3\nb,4\n")
    -- As a recipe's own stage might have done it: row 2 is linked by hand, row 3 not at all.
    conn:transaction(function()
      local resolver = names.resolver("lipid", in_capitals)
      resolver:resolve_all { "a" }
      features.remember(conn, resolver, resolver:take(), sys.uuid7())
    end)
    conn:query("UPDATE measurements SET feature_key = $1 WHERE ordinal = 2", key "A")
    conn:query("UPDATE measurements SET feature_key = NULL WHERE ordinal = 3")
    conn:query("UPDATE revisions SET feature_count = 3")
    local before = links()
    assert.same({ { "a", "a", "A", 1, 1 }, { "a", "-", "A", 1, 1 }, { "b", "b", "B", 1, 1 } }, diff(in_capitals))
    local moved = apply(in_capitals, { dataset_id = report.dataset_id })
    assert.same({ "one/1:1 a -> A (2)", "one/1:2 a -> A (2)", "one/1:3 a -> A (2)", "one/1:4 b -> B (2)" }, links())
    undo(moved.run_id)
    assert.same(before, links())
  end)

  it("tells other systems when it is asked to", function()
    local one = ingest("one", "lipid,S1\na,1\n")
    ingest("two", "lipid,S1\nB,1\n")
    local report = apply(in_capitals, { outbox = true })
    local told = conn:query("SELECT entity_type, entity_id, action, payload, run_id, state FROM outbox")
    assert.equal(1, #told)
    assert.same({ "datasets", one.dataset_id, "update", { revision = 1 }, report.run_id, "pending" },
      { told[1].entity_type, told[1].entity_id, told[1].action, told[1].payload, told[1].run_id, told[1].state })
    undo(report.run_id)
    apply(in_capitals)
    assert.equal(1, conn:query("SELECT count(*) AS n FROM outbox")[1].n)
  end)

  it("moves only the dataset's when asked", function()
    local one = ingest("one", "lipid,S1\na,1\n")
    ingest("two", "lipid,S1\na,1\n")
    apply(in_capitals, { dataset_id = one.dataset_id, arguments = { dataset = "one" } })
    assert.same({ "one/1:1 a -> A (1)", "two/1:1 a -> a (1)" }, links())
    assert.equal("one", conn:query("SELECT arguments ->> 'dataset' AS d FROM runs WHERE command = 'names apply'")[1].d)
  end)

  it("moves nothing when it fails, and journals that", function()
    ingest("one", "lipid,S1\na,1\nb,2\n")
    local before = links()
    local counts = ingesting.counts(conn)
    conn:script("ALTER TABLE revisions ADD CONSTRAINT no_one CHECK (feature_count <> 1)")
    local done, failure = pcall(apply, function()
      return { name = "one and the same", rule = "spec" }
    end)
    conn:script("ALTER TABLE revisions DROP CONSTRAINT no_one")
    assert.is_false(done)
    assert.matches("no_one", failure.message)
    assert.same(before, links())
    local after = ingesting.counts(conn)
    assert.equal(counts.features, after.features)
    local run = conn:query("SELECT outcome, error FROM runs WHERE command = 'names apply'")[1]
    assert.equal("failed", run.outcome)
    assert.matches("no_one", run.error.message)
    assert.equal("done", apply(in_capitals).outcome) -- the lock is free again
  end)

  it("fails as a whole when a rule fails", function()
    ingest("one", "lipid,S1\na,1\nb,2\n")
    local before = links()
    local done, failure = pcall(apply, function(raw)
      return raw == "b" and error("a slip") or in_capitals(raw)
    end)
    assert.is_false(done)
    assert.matches("a slip", tostring(failure))
    assert.same(before, links())
    assert.equal("idle", conn:transaction_status())
  end)

  it("waits for another one", function()
    ingest("one", "lipid,S1\na,1\n")
    local other <close> = ingesting.connect(conninfo)
    other:query("SELECT pg_advisory_lock($1::int8)", sys.hash64 "names apply")
    conn:script("SET lock_timeout = '50ms'")
    local done, failure = pcall(apply, in_capitals)
    conn:script("RESET lock_timeout")
    assert.is_false(done)
    assert.equal("55P03", failure.code)
  end)
end)

describe("receipts of names whose link stays", function()
  it("are brought up to date in the same run, and can be taken back", function()
    ingest("one", "lipid,S1\nA,1\nB,2\n")
    local before = receipts(true)
    local report = apply(in_capitals)
    assert.equal("done", report.outcome)
    assert.same({ names = 0, rows = 0, datasets = 0, features_new = 0, names_new = 0, receipts = 2, pieces = 1 },
      report.counts)
    assert.same({ 'A -> A spec.new high {"was": "A"} - -', 'B -> B spec.new high {"was": "B"} - -' },
      receipts())
    assert.same({}, diff(in_capitals, nil, true))
    assert.equal("unchanged", apply(in_capitals).outcome)
    undo(report.run_id)
    assert.same(before, receipts(true))
  end)

  it("are also those of features that a name was read as earlier", function()
    ingest("one", "lipid,S1\na,1\n")
    apply(in_capitals)
    apply(plainly) -- back to "a", whose first receipt is there
    apply(in_capitals)
    local report = apply(function(raw)
      return { name = raw, rule = "spec.third", candidates = { "x", "y" }, reason = "it may be either" }
    end)
    assert.same({ 1, 1 }, { report.counts.names, report.counts.receipts })
    assert.equal('a -> a spec.third - - it may be either ["x", "y"]', receipts()[2])
    assert.equal('a -> A spec.new high {"was": "a"} - -', receipts()[1])
  end)
end)

describe("a journal entry", function()
  it("is written in pieces that are read one by one and undo the whole", function()
    local move_journal = require "ligase.store.move_journal"
    local usual = move_journal.PIECE_BYTES
    finally(function()
      move_journal.PIECE_BYTES = usual
    end)
    move_journal.PIECE_BYTES = 300
    local lines = { "lipid,S1" }
    for i = 1, 30 do
      lines[i + 1] = ("%s %02d,%d"):format(i % 3 == 0 and "KEPT" or "name", i, i)
    end
    for _, name in ipairs { "one", "two", "three", "four" } do
      ingest(name, table.concat(lines, "\n") .. "\n")
    end
    local before, before_receipts = links(), receipts(true)
    local report = apply(in_capitals)
    assert.same({ 20, 80, 10 }, { report.counts.names, report.counts.rows, report.counts.receipts })
    assert.is_true(report.counts.pieces > 6, tostring(report.counts.pieces))
    local pieces = conn:query("SELECT changes, pg_column_size(changes) AS size, arguments FROM runs "
      .. "WHERE id = $1 OR batch_id = $1 ORDER BY id", report.run_id)
    assert.equal(report.counts.pieces, #pieces)
    for i, piece in ipairs(pieces) do
      assert.is_true(piece.size < 2500, tostring(piece.size))
      assert.equal(i > 1 and report.run_id or nil, piece.arguments.piece_of)
    end
    local listed = require("ligase.store.runs").list(conn, 100)
    assert.equal(5, #listed) -- four ingests and this one
    undo(report.run_id)
    assert.same(before, links())
    local after = table.concat(receipts(true), "\n")
    for _, receipt in ipairs(before_receipts) do
      assert.is_truthy(after:find(receipt, 1, true), receipt)
    end
  end)
end)

describe("many names", function()
  it("are gone through in little memory, and moved #slow", function()
    local lines, count = { "lipid,S1" }, 100000
    for i = 1, count do
      lines[i + 1] = ("%s name %d,%d"):format(i % 10 == 0 and "a" or "A", i, i)
    end
    local file = support.tmpfile(table.concat(lines, "\n") .. "\n", "many.csv")
    for _, name in ipairs { "one", "two" } do
      ingesting.ingest(conn, { path = file, name = name, recipe = ingesting.recipe { read_name = plainly } })
    end
    local function in_front(raw)
      if raw:find("^a") then
        return { name = raw:gsub("^a", "A"), rule = "spec.new" }
      end
      return plainly(raw)
    end
    lines = nil -- luacheck: ignore
    collectgarbage()
    local kept, most, found = collectgarbage "count", 0, 0
    local began = sys.monotonic()
    conn:transaction(function()
      for difference in name_differences.differences(conn, groups_read(in_front)) do
        found = found + 1
        assert(difference.rows == 2 and difference.datasets == 2)
        most = found % 100 == 0 and math.max(most, collectgarbage "count") or most
      end
    end)
    local seconds = sys.monotonic() - began
    assert.equal(count // 10, found)
    began = sys.monotonic()
    local none = groups_read(plainly)
    conn:transaction(function()
      assert.is_nil(name_differences.differences(conn, none)())
    end)
    print(("  diff of %d names in %d rows: %.2f s with %d differing, %.2f s with none; %.1f MB"):format(count,
      2 * count, seconds, found, sys.monotonic() - began, (most - kept) / 1000))
    assert.is_true(most - kept < 40000, "kB held: " .. most - kept)
    began = sys.monotonic()
    local report = apply(in_front)
    assert.same({ names = count // 10, rows = count // 5, datasets = 2, features_new = count // 10,
      names_new = count // 10, receipts = 0, pieces = 1 }, report.counts)
    print(("  apply: %.2f s, %s in the journal"):format(sys.monotonic() - began, conn:query(
      "SELECT pg_size_pretty(pg_column_size(changes)::bigint) AS size FROM runs WHERE id = $1", report.run_id)[1].size))
    assert.same({}, diff(in_front))
    assert.equal(count, conn:query("SELECT feature_count FROM revisions LIMIT 1")[1].feature_count)
  end)
end)
