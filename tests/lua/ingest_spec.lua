--- A file that is read ahead, while the one before it is still being stored.
local errors = require "ligase.base.errors"
local ingest = require "ligase.ingest"
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
