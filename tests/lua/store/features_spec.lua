local errors = require "ligase.base.errors"
local features = require "ligase.store.features"
local host = require "host"
local ingesting = require "tests.lua.store.ingesting"
local json = require "ligase.base.json"
local names = require "ligase.omics.names"
local pg = require "pg"
local support = require "tests.support"
local sys = require "sys"

local RUN = sys.uuid7()

--- Names as a resolver holds them until they are written: {raw, name, level, aside}.
local function waiting_of(list, feature_type)
  local waiting = { raws = {}, raw_keys = {}, keys = {}, readings = {} }
  for i, item in ipairs(list) do
    local name = item[2] or item[1]
    waiting.raws[i] = item[1]
    waiting.raw_keys[i] = sys.hash64(item[1])
    waiting.keys[i] = names.feature_key(feature_type or "lipid", name)
    waiting.readings[i] = { name = name, level = item[3], aside = item[4], rule = "spec" }
  end
  return waiting
end

--- A resolver with these names waiting.
local function resolver_of(list, feature_type)
  local resolver = names.resolver(feature_type or "lipid", function() end)
  resolver.waiting = waiting_of(list, feature_type)
  return resolver
end

local function remember(conn, list, feature_type)
  return conn:transaction(function()
    return features.remember(conn, resolver_of(list, feature_type), waiting_of(list, feature_type), RUN)
  end)
end

local function count(conn, tbl)
  return conn:query("SELECT count(*) AS n FROM " .. tbl)[1].n
end

setup(ingesting.open)

describe("a large set of names", function()
  local function many(from, to)
    local list = {}
    for i = from, to do
      list[#list + 1] = { ("name %d"):format(i), ("NAME %d"):format(i) }
    end
    return list
  end

  --- What remembering them asks the database.
  local function statements(conn, list)
    local found = {}
    conn:set_echo(function(sql)
      found[#found + 1] = sql
    end)
    local made, receipts = remember(conn, list)
    conn:set_echo(false)
    return made, receipts, table.concat(found, "\n")
  end

  it("that was met as a whole is looked up as a whole, in any order", function()
    local conn = ingesting.fresh()
    local list = many(1, 2500)
    assert.same({ 2500, 2500 }, { remember(conn, list) })
    assert.equal(1, count(conn, "name_sets"))
    for i = 1, #list // 2 do
      list[i], list[#list - i + 1] = list[#list - i + 1], list[i]
    end
    local made, receipts, said = statements(conn, list)
    assert.same({ 0, 0 }, { made, receipts })
    assert.matches("name_sets", said)
    assert.is_nil(said:find("WITH ORDINALITY", 1, true))
    assert.equal(1, count(conn, "name_sets"))
  end)

  it("with one name more, less or other is looked up name by name", function()
    local conn = ingesting.fresh()
    remember(conn, many(1, 2500))
    for _, list in ipairs { many(2, 2500), many(1, 2501), many(2, 2501) } do
      local _, receipts, said = statements(conn, list)
      assert.equal(list[#list][1] == "name 2501" and list[1][1] == "name 1" and 1 or 0, receipts)
      assert.matches("WITH ORDINALITY", said)
    end
    assert.equal(4, count(conn, "name_sets"))
    assert.equal(2501, count(conn, "feature_names"))
  end)

  it("whose receipts somebody deleted is written again", function()
    local conn = ingesting.fresh()
    remember(conn, many(1, 2500))
    conn:script "DELETE FROM feature_names"
    assert.same({ 0, 2500 }, { remember(conn, many(1, 2500)) })
  end)

  it("that was rolled back is not known", function()
    local conn = ingesting.fresh()
    pcall(conn.transaction, conn, function()
      remember(conn, many(1, 2500))
      error "no"
    end)
    assert.equal(0, count(conn, "name_sets"))
    assert.same({ 2500, 2500 }, { remember(conn, many(1, 2500)) })
  end)
end)

describe("a feature", function()
  it("has an id and a key that every machine computes alike", function()
    local python = support.python([[
import hashlib, uuid
origin = "lipid\0PC 34:1"
key = int.from_bytes(hashlib.sha256(origin.encode()).digest()[:8], "big", signed=True)
namespace = uuid.uuid5(uuid.NAMESPACE_URL, "urn:ligase:feature")
print(key, uuid.uuid5(namespace, origin), end="")]])
    assert.equal(python, ("%d %s"):format(names.feature_key("lipid", "PC 34:1"), names.feature_id("lipid", "PC 34:1")))
    assert.not_equal(names.feature_key("lipid", "X"), names.feature_key("gene", "X"))
  end)

  it("is stored with its level, its receipts with what was set aside", function()
    local conn = ingesting.fresh()
    pg.use_json(json.decode)
    local made, receipts = remember(conn, { { "PC 34:1 [M+H]+", "PC 34:1", "species", { adduct = "[M+H]+" } },
      { "PC(34:1)", "PC 34:1", "species" }, { "PE ?" } })
    assert.same({ 2, 3 }, { made, receipts })
    local rows = conn:query([[SELECT id, key, feature_type, name, level, run_id FROM features ORDER BY name]])
    assert.same({ id = names.feature_id("lipid", "PC 34:1"), key = names.feature_key("lipid", "PC 34:1"),
      feature_type = "lipid", name = "PC 34:1", level = "species", run_id = RUN }, rows[1])
    assert.same({ "PE ?", pg.null }, { rows[2].name, rows[2].level })
    rows = conn:query([[
SELECT raw_name, feature_key, feature_type, rule, level, aside, run_id FROM feature_names ORDER BY raw_name]])
    assert.same({ raw_name = "PC 34:1 [M+H]+", feature_key = names.feature_key("lipid", "PC 34:1"),
      feature_type = "lipid", rule = "spec", level = "species", aside = { adduct = "[M+H]+" }, run_id = RUN }, rows[1])
    assert.same({ "PC(34:1)", pg.null }, { rows[2].raw_name, rows[2].aside })
    assert.same({ "PE ?", pg.null, pg.null }, { rows[3].raw_name, rows[3].level, rows[3].aside })
  end)

  it("is made once, its receipt once per raw name and reading", function()
    local conn = ingesting.fresh()
    assert.same({ 1, 1 }, { remember(conn, { { "a", "A" } }) })
    assert.same({ 0, 0 }, { remember(conn, { { "a", "A" } }) })
    assert.same({ 0, 1 }, { remember(conn, { { "A", "A" } }) })
    assert.same({ 1, 1 }, { remember(conn, { { "a", "other reading" } }) })
    assert.same({ 1, 1 }, { remember(conn, { { "a", "A" } }, "gene") })
    assert.same({ 0, 0 }, { remember(conn, {}) })
    assert.same({ 3, 4 }, { count(conn, "features"), count(conn, "feature_names") })
  end)

  it("keeps its name byte for byte", function()
    local conn = ingesting.fresh()
    local list = { { "β-carotene" }, { "a\tb" }, { "quo\"te" }, { "{1,2}" }, { "NULL" }, { "\\N" }, { "  " }, { "'" },
      { ("x"):rep(2000) } }
    remember(conn, list)
    for _, item in ipairs(list) do
      assert.equal(1, #conn:query("SELECT 1 FROM features WHERE name = $1", item[1]), item[1])
    end
  end)

  it("is taken for new after a batch of new ones, and still told right", function()
    local conn = ingesting.fresh()
    local resolver = resolver_of {}
    local function batch(list)
      return { conn:transaction(features.remember, conn, resolver, waiting_of(list), RUN) }
    end
    assert.same({ 2, 2 }, batch { { "a", "A" }, { "b", "B" } })
    assert.is_true(resolver.expects_new)
    assert.same({ 2, 3 }, batch { { "c", "C" }, { "c'", "C" }, { "d", "D" } })
    assert.same({ 1, 2 }, batch { { "a", "A" }, { "a'", "A" }, { "e", "E" } })
    assert.is_false(resolver.expects_new)
    assert.same({ 1, 1 }, batch { { "f", "F" } })
    assert.equal(6, count(conn, "features"))
    assert.equal(8, count(conn, "feature_names"))
  end)

  it("is told missing or new without being written", function()
    local conn = ingesting.fresh()
    remember(conn, { { "a", "A" } })
    local missing, new
    conn:transaction(function()
      missing, new = features.missing(conn,
        waiting_of { { "a", "A" }, { "a2", "A" }, { "b", "B" }, { "b2", "B" } })
    end)
    local raws, made = {}, {}
    for i, entry in ipairs(missing) do
      raws[i] = entry.raw
    end
    for i, entry in ipairs(new) do
      made[i] = entry.name
    end
    table.sort(raws)
    assert.same({ "a2", "b", "b2" }, raws)
    assert.same({ "B" }, made)
    assert.equal(1, count(conn, "features"))
  end)

  it("is gone with the transaction that made it", function()
    local conn = ingesting.fresh()
    pcall(conn.transaction, conn, function()
      features.remember(conn, resolver_of {}, waiting_of { { "a" } }, RUN)
      error("no")
    end)
    assert.same({ 0, 0 }, { count(conn, "features"), count(conn, "feature_names") })
  end)

  it("is never mixed up with another one of the same key", function()
    local conn = ingesting.fresh()
    conn:query("INSERT INTO features (id, key, feature_type, name) VALUES ($1, $2, 'lipid', 'another')", sys.uuid7(),
      names.feature_key("lipid", "A"))
    local done, failure = pcall(remember, conn, { { "b", "B" }, { "a", "A" } })
    assert.is_false(done)
    assert.is_true(errors.is(failure, "database"))
    assert.equal("feature_key_collision", failure.code)
    assert.matches('"A" and "another" have the same key', failure.message)
    assert.same({ 1, 0 }, { count(conn, "features"), count(conn, "feature_names") })
  end)

  it("is never mixed up with another new one of the same key", function()
    local conn = ingesting.fresh()
    local resolver = resolver_of { { "a", "A" }, { "b", "B" } }
    resolver.waiting.keys[2] = resolver.waiting.keys[1]
    local done, failure = pcall(conn.transaction, conn, function()
      features.remember(conn, resolver, resolver:take(), RUN)
    end)
    assert.is_false(done)
    assert.equal("feature_key_collision", failure.code)
    assert.equal(0, count(conn, "features"))
  end)

  it("of many is found as fast beside none as beside many", function()
    local conn = ingesting.fresh()
    local list = {}
    for i = 1, 5000 do
      list[i] = { ("name %d"):format(i) }
    end
    assert.same({ 5000, 5000 }, { remember(conn, list) })
    assert.same({ 0, 0 }, { remember(conn, list) })
    assert.equal("on", conn:query("SHOW enable_seqscan")[1].enable_seqscan)
  end)
end)

describe("the same names from two connections", function()
  it("are made once, whatever their order, and nobody fails", function()
    local conn, conninfo = ingesting.fresh()
    local forth, back = {}, {}
    for i = 1, 400 do
      forth[i] = ("name %d"):format(i)
      back[401 - i] = forth[i]
    end
    local scripts, processes = {}, {}
    for i, list in ipairs { forth, back, forth, back } do
      local text = "lipid,S1\n" .. table.concat(list, ",1\n") .. ",1\n"
      local file = support.tmpfile(text, ("f%d.csv"):format(i))
      scripts[i] = support.tmpfile(([[
package.path = %q .. "/?.lua;" .. package.path
local ingesting = require "tests.lua.store.ingesting"
local conn <close> = ingesting.connect(%q)
for round = 1, 10 do
  local recipe = ingesting.recipe { read_name = function(raw)
    return { name = raw .. " of round " .. round, rule = "spec" }
  end }
  ingesting.ingest(conn, { path = %q, name = "d%d round " .. round, recipe = recipe, program = "P" .. round,
    experiment = "E", create = true })
end]]):format(host.home, conninfo, file, i), "work.lua")
    end
    for i, script in ipairs(scripts) do
      processes[i] = sys.spawn({ host.executable, script }, { stdout = script .. ".out", stderr = script .. ".err" })
    end
    for i, process in ipairs(processes) do
      local ended = process:wait(60)
      process:close()
      assert.is_not_nil(ended, "one did not end")
      assert.equal(0, ended.code, sys.read_file(scripts[i] .. ".err"))
    end
    assert.same({ 4000, 4000 }, { count(conn, "features"), count(conn, "feature_names") })
    assert.same({ 40, 16000, 10, 1 }, { count(conn, "datasets"), count(conn, "measurements"), count(conn, "programs"),
      count(conn, "experiments") })
    assert.equal(4000, conn:query("SELECT sum((counts ->> 'features_new')::int)::int AS n FROM runs")[1].n)
  end)
end)
