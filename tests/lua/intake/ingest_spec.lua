--- One file into Postgres: read ahead while the one before it is still being stored, and
--- what becomes of its names.
local alias_lookup = require "ligase.store.alias_lookup"
local alias_store = require "ligase.store.aliases"
local errors = require "ligase.base.errors"
local ingest = require "ligase.intake.ingest"
local ingesting = require "tests.lua.store.ingesting"
local pipeline = require "ligase.omics.pipeline"
local support = require "tests.support"

setup(ingesting.open)

describe("a file looked at ahead", function()
  local conn, recipe, resolver
  before_each(function()
    conn = ingesting.fresh()
    recipe = ingesting.recipe()
    resolver = pipeline.resolver(recipe)
  end)

  local function request(name, text)
    return ingest.request(support.tmpfile(text, name .. ".csv"), recipe, { name = name, resolver = resolver })
  end

  local function receipts()
    local raws = {}
    for i, row in ipairs(conn:query("SELECT raw_name FROM feature_names ORDER BY raw_name")) do
      raws[i] = row.raw_name
    end
    return raws
  end

  --- Stores `first`, looking at `second` meanwhile.
  local function store_looking(first, second)
    first.meanwhile = function()
      ingest.look(second)
    end
    return errors.try(ingest.store, conn, first)
  end

  it("is stored as if it had not been, its new names with its own run", function()
    local first <close> = request("one", "lipid,S1\nA,1\nB,2\n")
    local second <close> = request("two", "lipid,S1\nB,3\nC,4\nC,5\n")
    local _, report = store_looking(first, second)
    assert.same({ 2, 2 }, { report.counts.features_new, report.counts.names_new })
    assert.same({ "A", "B" }, receipts())
    assert.is_not_nil(second.looked)
    report = ingest.store(conn, second)
    assert.same({ 3, 1, 1 }, { report.counts.rows, report.counts.features_new, report.counts.names_new })
    assert.same({ "A", "B", "C" }, receipts())
    local linked = conn:query([[SELECT count(f.key) AS n FROM measurements AS m JOIN features AS f
      ON f.key = m.feature_key AND f.name = m.source_name]])[1].n
    assert.equal(5, linked)
  end)

  it("does not count on names of a file that was rolled back", function()
    conn:script "ALTER TABLE revisions ADD CONSTRAINT refused CHECK (row_count <> 2)"
    local first <close> = request("one", "lipid,S1\nA,1\nB,2\n")
    local second <close> = request("two", "lipid,S1\nB,3\nC,4\nC,5\n")
    local done, failure = store_looking(first, second)
    conn:script "ALTER TABLE revisions DROP CONSTRAINT refused"
    assert.is_false(done)
    assert.equal("23514", failure.code)
    assert.same({}, receipts())
    local report = ingest.store(conn, second)
    assert.same({ 2, 2 }, { report.counts.features_new, report.counts.names_new })
    assert.same({ "B", "C" }, receipts())
  end)

  it("leaves its names to the next one when it turns out unchanged", function()
    local text = "lipid,S1\nA,1\n"
    local first <close> = request("one", text)
    ingest.store(conn, first)
    resolver = pipeline.resolver(recipe) -- another process
    local again <close> = request("one", text)
    ingest.look(again)
    assert.equal("unchanged", ingest.store(conn, again).outcome)
    local second <close> = request("two", "lipid,S1\nA,1\nB,2\n")
    assert.equal(1, ingest.store(conn, second).counts.names_new)
    assert.same({ "A", "B" }, receipts())
  end)

  it("is counted like any other in a rehearsal", function()
    local one <close> = request("one", "lipid,S1\nA,1\nB,2\n")
    ingest.look(one)
    local report = ingest.rehearse(conn, one)
    assert.same({ 2, 2, 2 }, { report.counts.rows, report.counts.values, report.counts.features_new })
  end)
end)

describe("a name", function()
  local LONG = ("P12345;"):rep(12000)

  local function stored(recipe, text)
    local conn = ingesting.fresh()
    local one <close> = ingest.request(support.tmpfile(text), recipe, { name = "one" })
    ingest.store(conn, one)
    return conn
  end

  it("may be longer than an index holds", function()
    local conn = stored(ingesting.recipe(), ("lipid,S1\n%s,1\n%sX,2\nA,3\n"):format(LONG, LONG))
    local rows = conn:query([[SELECT f.name, n.raw_name, m.source_name FROM measurements AS m
      JOIN features AS f ON f.key = m.feature_key
      JOIN feature_names AS n ON n.feature_key = m.feature_key AND n.raw_name = m.source_name ORDER BY m.ordinal]])
    assert.equal(3, #rows)
    assert.equal(LONG, rows[1].raw_name)
    assert.equal(LONG .. "X", rows[2].raw_name)
    assert.is_true(#rows[1].name <= 1000)
    assert.equal(LONG:sub(1, 900), rows[1].name:sub(1, 900))
    assert.not_equal(rows[1].name, rows[2].name)
    assert.equal("A", rows[3].name)
  end)

  it("keeps why it was not understood, and what follows from it", function()
    local conn = stored(ingesting.recipe {
      read_name = function(raw)
        if raw == "?" then
          return { name = raw, rule = "verbatim", reason = "it may mean two", candidates = { "A", "B" } }
        end
        return { name = raw, rule = "plain" }
      end,
      describe_name = function(name)
        return name == "A" and { class = "first", mass = 1.5 } or nil
      end,
    }, "lipid,S1\nA,1\n?,2\n")
    local row = conn:query([[SELECT reason, candidates::text AS candidates FROM feature_names WHERE raw_name = '?']])[1]
    assert.same({ "it may mean two", '["A", "B"]' }, { row.reason, row.candidates })
    row = conn:query([[SELECT attributes ->> 'class' AS class, (attributes ->> 'mass')::float8 AS mass
      FROM features WHERE name = 'A']])[1]
    assert.same({ "first", 1.5 }, { row.class, row.mass })
    assert.equal("{}", conn:query("SELECT attributes::text AS a FROM features WHERE name = '?'")[1].a)
  end)
end)

describe("a cell for a name", function()
  it("that is a missing mark names nothing", function()
    local conn = ingesting.fresh()
    local one <close> = ingest.request(support.tmpfile("lipid,S1\nA,1\nnull,2\nNA,3\n,4\nNAD,5\n"), ingesting.recipe(),
      { name = "one" })
    ingest.store(conn, one)
    local rows = conn:query("SELECT source_name, feature_key IS NULL AS unnamed FROM measurements ORDER BY ordinal")
    local found = {}
    for i, row in ipairs(rows) do
      found[i] = row.unnamed
    end
    assert.same({ false, true, true, true, false }, found)
    assert.same({ "null", "NA" }, { rows[2].source_name, rows[3].source_name })
    assert.equal(2, conn:query("SELECT count(*) AS n FROM feature_names")[1].n)
  end)
end)

describe("without a recipe", function()
  local function outcome(text, name)
    local conn = ingesting.fresh()
    local one <close> = ingest.request(support.tmpfile(text, name))
    return ingest.store(conn, one), conn
  end

  it("a file is read by the one for what is in it", function()
    local report, conn = outcome("Lipid,S1,S2\nPC 34:1,1,2\nTG 16:0_18:1_18:1,3,4\nSM 34:1;O2,5,6\n", "x.csv")
    assert.equal("created", report.outcome)
    assert.equal("lipidomics", conn:query("SELECT omics_type FROM datasets")[1].omics_type)
    local row = conn:query("SELECT attributes ->> 'formula' AS formula FROM features WHERE name = 'PC 34:1'")[1]
    assert.equal("C42H82NO8P", row.formula)
    conn = select(2, outcome("gene_id\tS1\tS2\nENSG00000141510.18\t1\t2\nENSG00000012048.23\t3\t4\n", "counts.tsv"))
    assert.equal("transcriptomics", conn:query("SELECT omics_type FROM datasets")[1].omics_type)
    assert.equal(2, conn:query("SELECT count(*) AS n FROM features WHERE feature_type = 'gene'")[1].n)
  end)

  it("a file in doubt is refused with what it may be", function()
    local done, e = pcall(ingest.request, support.tmpfile("id,S1,S2\na1,1,2\nb2,3,4\n", "x.csv"))
    assert.is_false(done)
    assert.same({ "input", "omics" }, { e.kind, e.code })
    assert.matches("--omics", e.hint, 1, true)
  end)
end)

describe("alias tables", function()
  it("are asked for the names of their type", function()
    local conn, conninfo = ingesting.fresh()
    conn:script "DELETE FROM name_aliases; DELETE FROM alias_sources"
    assert.is_nil(alias_lookup.open(conn, error))
    alias_store.load(conn, { source = "panel", feature_type = "lipid", format = "generic", version = "1", files = {},
      arguments = {} }, function(emit)
      emit("B", "A", "A", "alias")
      emit("C", "X", "X", "alias")
      emit("D", "X", "X", "alias")
    end)
    local lookup <close> = alias_lookup.open(conn, function()
      return ingesting.connect(conninfo)
    end)
    local one <close> = ingest.request(support.tmpfile("lipid,S1\nA,1\nX,2\nZ,3\n"), ingesting.recipe(),
      { name = "one", resolvers = ingest.resolvers(lookup) })
    ingest.store(conn, one)
    local found = {}
    for i, row in ipairs(conn:query([[SELECT n.raw_name, f.name, n.rule, coalesce(n.candidates::text, '-') AS candidates
      FROM feature_names AS n JOIN features AS f ON f.key = n.feature_key ORDER BY n.raw_name]])) do
      found[i] = ("%s=%s %s %s"):format(row.raw_name, row.name, row.rule, row.candidates)
    end
    assert.same({ "A=B alias.panel -", 'X=X verbatim ["C", "D"]', "Z=Z verbatim -" }, found)
    local again <close> = ingest.request(support.tmpfile("lipid,S1\nA,1\nX,2\nZ,3\n"), ingesting.recipe(),
      { name = "one" })
    assert.equal("revised", ingest.store(conn, again).outcome)
  end)
end)

describe("names that are not understood", function()
  it("are counted and named, file by file", function()
    local conn = ingesting.fresh()
    local resolvers = ingest.resolvers()
    local recipe = require("ligase.omics.recipes").load "transcriptomics"
    local function findings_of(text, name)
      local one <close> = ingest.request(support.tmpfile(text), recipe, { name = name, resolvers = resolvers })
      return ingest.store(conn, one).findings.names_not_understood
    end
    local found = findings_of("gene,S1\nTP53,1\n1-Mar,2\n2-Sep,3\n1-Mar,4\n", "a")
    assert.equal(2, found.count)
    assert.equal("1-Mar", found.examples[1].name)
    assert.matches("date", found.examples[1].reason)
    assert.is_nil(findings_of("gene,S1\nTP53,1\n", "b"))
    assert.equal(1, findings_of("gene,S1\nTP53,1\n1-Mar,2\n", "c").count)
  end)
end)

describe("a name that became ambiguous", function()
  it("says so in its receipt from the next file on", function()
    local conn = ingesting.fresh()
    local ambiguous = false
    local recipe = ingesting.recipe {
      read_name = function(raw)
        if ambiguous and raw == "AMB" then
          return { name = raw, rule = "verbatim", reason = "it may mean two", candidates = { "X", "Y" } }
        end
        return { name = raw, rule = "plain" }
      end,
    }
    local function receipt(name)
      local one <close> = ingest.request(support.tmpfile("lipid,S1\nAMB,1\nB,2\n"), recipe, { name = name })
      ingest.store(conn, one)
      local rows = conn:query([[SELECT rule, reason, candidates::text AS candidates FROM feature_names
        ORDER BY raw_name]])
      assert.equal(2, #rows)
      assert.equal("plain", rows[2].rule)
      return rows[1]
    end
    assert.equal("plain", receipt("a").rule)
    ambiguous = true
    local row = receipt("b")
    assert.same({ "verbatim", "it may mean two", '["X", "Y"]' }, { row.rule, row.reason, row.candidates })
  end)
end)
