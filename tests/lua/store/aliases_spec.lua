local aliases = require "ligase.store.aliases"
local errors = require "ligase.base.errors"
local support = require "tests.support"

local GENES = { { "TP53", "TP53", "name" }, { "TP53", "p53", "alias" }, { "NAT1", "NAT1", "name" },
  { "NAT1", "AAC1", "alias" }, { "SLC25A4", "SLC25A4", "name" }, { "SLC25A4", "AAC1", "previous" } }

local function table_of(source, sha256, more)
  local tbl = { source = source, feature_type = "gene", format = "hgnc", arguments = { reading = 1 },
    files = { { path = source .. ".txt", sha256 = sha256, bytes = 10 } } }
  for key, value in pairs(more or {}) do
    tbl[key] = value
  end
  return tbl
end

local function rows(list)
  return function(emit)
    for _, row in ipairs(list) do
      emit(row[1], row[2], row[2], row[3])
    end
  end
end

local function count(conn)
  return conn:query("SELECT count(*) AS n FROM name_aliases")[1].n
end

describe("an alias table", function()
  it("is loaded with its source, version and counts, and journalled", function()
    local conn = support.migrated()
    local result = aliases.load(conn, table_of("hgnc", "abcdef0123456789", { version = "2026-07" }), rows(GENES))
    assert.same({ outcome = "loaded", version = "2026-07", names = 3, aliases = 6 }, result)
    local row = conn:query("SELECT * FROM alias_sources")[1]
    assert.equal("hgnc", row.source)
    assert.equal("gene", row.feature_type)
    assert.equal(3, row.name_count)
    assert.equal(6, row.alias_count)
    assert.equal("abcdef0123456789", row.files[1].sha256)
    local run = conn:query("SELECT * FROM runs")[1]
    assert.equal("aliases load", run.command)
    assert.equal("done", run.outcome)
    assert.equal(row.run_id, run.id)
    assert.equal(6, run.counts.rows)
  end)

  it("gets day and digest for a version, and is not loaded twice", function()
    local conn = support.migrated()
    local first = aliases.load(conn, table_of("hgnc", "abcdef0123456789"), rows(GENES))
    assert.matches("^%d%d%d%d%-%d%d%-%d%d sha256:abcdef012345$", first.version)
    local again = aliases.load(conn, table_of("hgnc", "abcdef0123456789"), function()
      error "it was read again"
    end)
    assert.equal("unchanged", again.outcome)
    assert.equal("replaced",
      aliases.load(conn, table_of("hgnc", "abcdef0123456789", { arguments = { reading = 2 } }), rows(GENES)).outcome)
    assert.equal(6, count(conn))
  end)

  it("replaces the older one of its source as a whole, and no other", function()
    local conn = support.migrated()
    aliases.load(conn, table_of("hgnc", "01"), rows(GENES))
    aliases.load(conn, table_of("panel", "02"), rows { { "TP53", "our53", "alias" } })
    local result = aliases.load(conn, table_of("hgnc", "03"), rows { { "TP53", "TP53", "name" } })
    assert.equal("replaced", result.outcome)
    assert.equal(6, result.before.alias_count)
    assert.equal(2, count(conn))
    assert.is_nil(aliases.lookup(conn, "gene", { "p53" }).p53)
    local change = conn:query("SELECT changes FROM runs ORDER BY id DESC LIMIT 1")[1].changes[1]
    assert.equal("hgnc", change.id)
    assert.equal(6, change.before.alias_count)
  end)

  it("stays as it was when the newer one cannot be read", function()
    local conn = support.migrated()
    aliases.load(conn, table_of("hgnc", "01"), rows(GENES))
    local done, failure = pcall(aliases.load, conn, table_of("hgnc", "02"), function(emit)
      for i = 1, 20000 do
        emit("G" .. i, "G" .. i, "G" .. i, "name")
      end
      errors.raise { kind = "input", code = "quote", message = "line 7 is broken" }
    end)
    assert.is_false(done)
    assert.equal("line 7 is broken", failure.message)
    assert.equal(6, count(conn))
    assert.equal("TP53", aliases.lookup(conn, "gene", { "p53" }).p53[1].name)
    assert.equal("failed", conn:query("SELECT outcome FROM runs ORDER BY id DESC LIMIT 1")[1].outcome)
    done, failure = pcall(aliases.load, conn, table_of("hgnc", "03"), rows {})
    assert.is_false(done)
    assert.equal("no_rows", failure.code)
    assert.equal(6, count(conn))
  end)

  it("is seen by others only when it is whole", function()
    local conn, url = support.migrated()
    local other <close> = require("pg").connect(url)
    aliases.load(conn, table_of("hgnc", "01"), rows(GENES))
    local seen
    aliases.load(conn, table_of("hgnc", "02"), function(emit)
      emit("TP53", "TP53", "TP53", "name")
      seen = count(other)
    end)
    assert.equal(6, seen)
    assert.equal(1, count(other))
  end)

  it("is dropped, and nothing of it is left", function()
    local conn = support.migrated()
    aliases.load(conn, table_of("hgnc", "01"), rows(GENES))
    assert.equal(6, aliases.drop(conn, "hgnc"))
    assert.equal(0, count(conn))
    local done, failure = pcall(aliases.drop, conn, "hgnc")
    assert.is_false(done)
    assert.equal("usage", failure.kind)
  end)

  it("takes synonyms longer than an index entry", function()
    local conn = support.migrated()
    local random = {}
    for i = 1, 9000 do
      random[i] = string.char(33 + (i * i * 7919) % 90)
    end
    local long = table.concat(random)
    aliases.load(conn, table_of("hgnc", "01"), rows { { "A", long, "alias" } })
    assert.equal("A", aliases.lookup(conn, "gene", { long })[long][1].name)
  end)
end)

describe("looking names up", function()
  local conn

  before_each(function()
    conn = support.migrated()
    aliases.load(conn, table_of("hgnc", "01"), rows(GENES))
    aliases.load(conn, table_of("panel", "02"), rows { { "TP53", "p53", "alias" }, { "XYZ", "AAC1", "alias" } })
    aliases.load(conn, table_of("metabolites", "03", { feature_type = "metabolite" }), rows { { "x", "p53", "alias" } })
  end)

  local function names_of(entries)
    local names = {}
    for i, entry in ipairs(entries or {}) do
      names[i] = ("%s:%s:%s"):format(entry.source, entry.kind, entry.name)
    end
    table.sort(names)
    return names
  end

  it("gives every meaning, by type and table, in one query", function()
    local asked = 0
    conn:set_echo(function()
      asked = asked + 1
    end)
    local found = aliases.lookup(conn, "gene", { "AAC1", "p53", "nothing" })
    conn:set_echo(false)
    assert.equal(1, asked)
    assert.same({ "hgnc:alias:NAT1", "hgnc:previous:SLC25A4", "panel:alias:XYZ" }, names_of(found.AAC1))
    assert.same({ "hgnc:alias:TP53", "panel:alias:TP53" }, names_of(found.p53))
    assert.is_nil(found.nothing)
    assert.same({ "metabolites:alias:x" }, names_of(aliases.lookup(conn, "metabolite", { "p53" }).p53))
    assert.same({ "panel:alias:XYZ" }, names_of(aliases.lookup(conn, "gene", { "AAC1" }, { "panel" }).AAC1))
    assert.same({}, aliases.lookup(conn, "gene", {}))
  end)

  it("finds among many", function()
    local names = {}
    for i = 1, 50000 do
      names[i] = "NAME" .. i
    end
    names[25000], names[50000] = "p53", "AAC1"
    local found, n = aliases.lookup(conn, "gene", names), 0
    for _ in pairs(found) do
      n = n + 1
    end
    assert.equal(2, n)
    assert.equal("TP53", found.p53[1].name)
  end)

  it("knows its tables, and their state", function()
    local sources, state = aliases.sources(conn, "gene")
    assert.same({ "hgnc", "panel" }, sources)
    assert.same({ { "panel" } }, { (aliases.sources(conn, "gene", { "panel" })) })
    aliases.load(conn, table_of("panel", "04"), rows { { "A", "B", "alias" } })
    assert.not_equal(state, select(2, aliases.sources(conn, "gene")))
    local done, failure = pcall(aliases.sources, conn, "gene", { "hgnd" })
    assert.is_false(done)
    assert.matches("Did you mean 'hgnc'", failure.hint)
    done, failure = pcall(aliases.sources, conn, "protein")
    assert.is_false(done)
    assert.matches("no alias table for the names of proteins", failure.message)
  end)
end)
