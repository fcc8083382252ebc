local ingesting = require "tests.lua.store.ingesting"
local json = require "ligase.base.json"
local names = require "ligase.omics.names"
local pg = require "pg"
local receipts = require "ligase.store.receipts"

--- "X [+H]" is X with something set aside, "?" is not understood, "A|B" is ambiguous.
local function read(raw)
  local name, adduct = raw:match("^(.-) %[(.-)%]$")
  if raw:find("^%s*$") then
    return nil
  elseif raw:find("?", 1, true) then
    return { name = raw, rule = "verbatim", reason = "it has a question mark" }
  elseif raw:find("|", 1, true) then
    return { name = raw, rule = "verbatim", reason = "it may mean any of 2 names", candidates = { "A", "B" } }
  end
  return { name = name or raw, rule = "spec.plain", level = "species", aside = name and { adduct = adduct } }
end

local TEXT = "lipid,S1\nPC 1,1\nPC 1 [+H],2\nA|B,3\nw?,4\nv?,5\nPC 1,6\n ,7\n,8\n"

local function key(name)
  return names.feature_key("lipid", name)
end

local conn

setup(ingesting.open)

before_each(function()
  conn = ingesting.fresh()
  pg.use_json(json.decode)
end)

local function ingest(name, text)
  return ingesting.ingest(conn, { text = text, name = name, recipe = ingesting.recipe { read_name = read } })
end

describe("receipts", function()
  it("tell of a feature which names were read as it, how, and in how many rows they stand", function()
    local report = ingest("one", TEXT)
    ingest("two", "lipid,S1\nPC 1,1\n")
    ingest("two", "lipid,S1\nPC 1,1\nPC 1,2\n")
    local found, count = receipts.names(conn, key "PC 1", 10)
    assert.equal(2, count)
    table.sort(found, function(a, b) return a.raw_name < b.raw_name end)
    assert.same({ "PC 1", "spec.plain", "species", pg.null, 4, 2, report.run_id, "ingest" },
      { found[1].raw_name, found[1].rule, found[1].level, found[1].aside, found[1].rows, found[1].datasets,
        found[1].run_id, found[1].command })
    assert.same({ "PC 1 [+H]", { adduct = "+H" }, 1, 1 },
      { found[2].raw_name, found[2].aside, found[2].rows, found[2].datasets })
    assert.same({ 1, 2 }, { #receipts.names(conn, key "PC 1", 1), select(2, receipts.names(conn, key "PC 1", 1)) })
    assert.same({ {}, 0 }, { receipts.names(conn, 1, 10) })
  end)

  it("tell where a feature stands now, and that it stood elsewhere", function()
    ingest("two", "lipid,S1\nx,1\nPC 1,1\n")
    ingest("two", "lipid,S1\nx,0\ny,0\nPC 1,1\nPC 1,2\n")
    ingest("one", TEXT)
    local found = receipts.occurrences(conn, key "PC 1", 10)
    assert.same({ 2, 5, 1 }, { found.datasets, found.rows, found.earlier_rows })
    local one, two = found.examples[1], found.examples[2]
    assert.same({ "one", "lipidomics", 1, 1, 3, "PC 1" },
      { one.dataset, one.omics_type, one.revision, one.row, one.rows, one.raw_name })
    assert.same({ "two", 2, 3, 2 }, { two.dataset, two.revision, two.row, two.rows })
    assert.matches("input.csv$", one.file)
    assert.equal(1, #receipts.occurrences(conn, key "PC 1", 1).examples)
    assert.same({ datasets = 0, rows = 0, earlier_rows = 0, examples = {} }, receipts.occurrences(conn, 1, 10))
  end)

  it("are found by the feature's name, and by a name that was read as it", function()
    ingest("one", TEXT)
    assert.same({ key "PC 1" }, receipts.keys_by_name(conn, "PC 1"))
    assert.same({ key "PC 1" }, receipts.keys_by_raw_name(conn, "PC 1 [+H]"))
    assert.same({}, receipts.keys_by_raw_name(conn, "PC 1 [+Na]"))
    assert.equal("PC 1", receipts.features(conn, { key "PC 1", 5 })[1].name)
    assert.same({}, { table.unpack(receipts.features(conn, { key "PC 1" }, "gene")) })
    assert.is_true(receipts.has_type(conn, "lipid"))
    assert.is_false(receipts.has_type(conn, "gene"))
  end)

  it("know the name that was probably meant", function()
    ingest("plasma", TEXT)
    assert.equal("PC 1", receipts.nearest(conn, "PC 2"))
    assert.equal("PC 1", receipts.nearest(conn, "pc 1"))
    assert.equal("plasma", receipts.nearest(conn, "plsma"))
    assert.is_nil(receipts.nearest(conn, "something else"))
    assert.is_nil(receipts.nearest(conn, ""))
  end)

  it("sum up how the names of a dataset were read", function()
    local report = ingest("one", TEXT)
    local found = receipts.summary(conn, report.dataset_id, 1, 10)
    assert.same({ names = 6, rows = 8, features = 4, rows_without_name = 1, rows_not_linked = 1,
      names_without_receipt = 0, ambiguous = 1, not_understood = 2, understood = 2 }, found.counts)
    assert.same({ "verbatim", pg.null, 3, 3 },
      { found.rules[1].rule, found.rules[1].level, found.rules[1].names, found.rules[1].rows })
    assert.same({ "spec.plain", "species", 2, 3 },
      { found.rules[2].rule, found.rules[2].level, found.rules[2].names, found.rules[2].rows })
    assert.equal(1, #found.reasons)
    assert.same({ "it has a question mark", 2, 2, { "w?", "v?" }, 4 }, { found.reasons[1].reason,
      found.reasons[1].names, found.reasons[1].rows, found.reasons[1].examples, found.reasons[1].row })
    assert.same({ "A|B", 1, 3 }, { found.ambiguous[1].raw_name, found.ambiguous[1].rows, found.ambiguous[1].row })
    assert.equal("A B", table.concat(found.ambiguous[1].candidates, " "))
    assert.same({ "adduct", 1, 1, { "PC 1 [+H]" } },
      { found.aside[1].kind, found.aside[1].names, found.aside[1].rows, found.aside[1].examples })
    local short = receipts.summary(conn, report.dataset_id, 1, 1)
    assert.same({ { "w?" }, 1 }, { short.reasons[1].examples, short.reasons[1].matching })
  end)

  it("tell of a row what its cell was read as", function()
    local report = ingest("one", TEXT)
    local function row(ordinal)
      return receipts.row(conn, report.dataset_id, 1, ordinal)
    end
    local second = row(2)
    assert.same({ 2, "PC 1 [+H]", "PC 1", "lipid", "spec.plain", "species", { adduct = "+H" }, report.run_id },
      { second.ordinal, second.raw_name, second.feature, second.feature_type, second.rule, second.level, second.aside,
        second.run_id })
    assert.same({ "A|B", "A|B", "verbatim", "it may mean any of 2 names" },
      { row(3).raw_name, row(3).feature, row(3).rule, row(3).reason })
    assert.same({ " ", pg.null, pg.null }, { row(7).raw_name, row(7).feature, row(7).rule })
    assert.equal(pg.null, row(8).raw_name)
    assert.is_nil(row(9))
    assert.is_nil(row(0))
  end)
end)
