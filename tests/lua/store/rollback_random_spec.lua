--- Runs of all kinds in a random order, and random ones of them undone and done again: whatever
--- stands in the way goes along, and doing it again gives back every bit.
---
--- LIGASE_TEST_SEED=7 takes other runs; LIGASE_TEST_RUNS=100 makes more of them, and
--- LIGASE_TEST_ROLLBACKS=100 undoes more.
local entities = require "ligase.store.entities"
local ingesting = require "tests.lua.store.ingesting"
local inputs = require "ligase.io.inputs"
local json = require "ligase.base.json"
local links = require "ligase.store.links"
local names = require "ligase.omics.names"
local pg = require "pg"
local profiles = require "ligase.store.profiles"
local rereading = require "tests.lua.store.rereading"
local rollback = require "ligase.store.rollback"
local rolling = require "tests.lua.store.rolling"
local runs = require "ligase.store.runs"
local scores = require "ligase.store.scores"
local scoring = require "ligase.scoring"
local signatures = require "ligase.omics.signatures"
local signature_store = require "ligase.store.signatures"
local support = require "tests.support"
local sys = require "sys"

local function number_from(name, default)
  return math.tointeger(tonumber(sys.getenv(name) or "")) or default
end

local SEED = number_from("LIGASE_TEST_SEED", 3)
local RUNS, ROLLBACKS = number_from("LIGASE_TEST_RUNS", 30), number_from("LIGASE_TEST_ROLLBACKS", 8)

describe("rollback of random runs", function()
  local conn

  setup(function()
    conn = support.migrated()
    pg.use_json(json.decode)
    math.randomseed(SEED)
  end)

  local function one_of(list)
    return list[math.random(#list)]
  end

  local function change(fn)
    pcall(entities.change, conn, { command = "spec", create = true, outbox = math.random() < 0.3 }, fn)
  end

  local function program()
    return one_of { "P1", "P2", "P3" }
  end

  local function dataset()
    return one_of { "d1", "d2", "d3" }
  end

  local function ingest()
    local lines = { "lipid,log2FC,pvalue" }
    for i = 1, math.random(3) do
      lines[i + 1] = ("PC 3%d:%d,%d,0.01"):format(i, math.random(3), math.random(9))
    end
    ingesting.ingest(conn, { name = dataset(), text = table.concat(lines, "\n") .. "\n", create = true,
      program = math.random() < 0.5 and program() or nil, recipe = ingesting.recipe { read_name = rereading.plainly } })
  end

  local function load_signature()
    local input <close> = inputs.open(support.tmpfile(("lipid\tdirection\nPC 31:%d\tup\nPC 32:%d\tdown\n"):format(
      math.random(3), math.random(3)), one_of { "s1.tsv", "s2.tsv" }))
    pcall(signature_store.load, conn, signatures.read(input, signatures.define {}, {}),
      { replace = math.random() < 0.5 })
  end

  local function score()
    local run = runs.new("score", nil, {})
    local session = scoring.session(conn, { methods = { "concordance" }, lenient = true,
      parameters = { threshold = math.random() / 2, permutations = 5 } })
    if #session.signatures > 0 then
      scores.journal(conn, run, (scoring.run(conn, session, profiles.all_ids(conn), run.id)))
    end
  end

  local function link()
    local targets = links.targets(conn)
    local resolver = names.resolver("lipid", one_of { rereading.plainly, rereading.in_capitals })
    for _, target in ipairs(targets) do
      target.resolver = resolver
    end
    links.apply(conn, targets, {})
  end

  local ACTIONS = { ingest, ingest, ingest, load_signature, score, link,
    function()
      change(function(changes)
        changes:upsert("program", { { name = program(), description = tostring(math.random(5)) } })
      end)
    end,
    function()
      change(function(changes)
        changes:upsert("experiment", { { name = one_of { "E1", "E2" }, programs = { program(), "P4" } } })
      end)
    end,
    function()
      change(function(changes)
        changes:update("dataset", dataset(), { programs = { program(), program() }, experiments = { "E1" } })
      end)
    end,
    function()
      change(function(changes)
        changes:upsert("compound", { { code = one_of { "C1", "C2" }, name = tostring(math.random(9)),
          programs = { program() } } })
      end)
    end,
    function()
      change(function(changes)
        changes:delete(one_of { "compound", "program", "experiment" }, one_of { "C1", "P3", "E2", "P4" })
      end)
    end }

  it("gives everything back, in any order #slow", function()
    for _ = 1, RUNS do
      one_of(ACTIONS)()
    end
    for i = 1, ROLLBACKS do
      local found = conn:query("SELECT id, command, batch_id IS NOT NULL AS is_of_batch FROM runs "
        .. "WHERE outcome = 'done' AND arguments -> 'piece_of' IS NULL ORDER BY id")
      local run = one_of(found)
      local before, counted = rolling.snapshot(conn), rolling.counting(conn)
      local what = ("seed %d, rollback %d of %s %s"):format(SEED, i, run.command, run.id)
      local done, report = pcall(rollback.run, conn, { runs = { run.id } }, { cascade = true })
      if not done then
        -- One rollback out of a batch may lead to a state in between that refers to what was gone even then.
        assert.same({ "conflict", "rollback", true }, { report.code, run.command, run.is_of_batch }, what)
        assert.same({}, rolling.difference(before, rolling.snapshot(conn)), what)
        goto continue
      end
      rollback.run(conn, { runs = not report.batch_id and { report.rollbacks[1].id } or nil, batch = report.batch_id })
      assert.same({}, rolling.difference(before, rolling.snapshot(conn, before)), what)
      assert.same({}, rolling.difference(counted, rolling.counting(conn)), what)
      if math.random() < 0.5 then
        rollback.run(conn, { runs = { run.id } }, { cascade = true })
        one_of(ACTIONS)()
      end
      ::continue::
    end
    -- And all of it, down to the empty database.
    while true do
      local left = conn:query("SELECT id FROM runs WHERE outcome = 'done' AND rolls_back IS NULL AND "
        .. "arguments -> 'piece_of' IS NULL ORDER BY finished_at LIMIT 1")[1]
      if not left then
        break
      end
      rollback.run(conn, { runs = { left.id } }, { cascade = true })
    end
    for name, digest in pairs(rolling.counting(conn).tables) do
      assert.equal("0 ", digest, name)
    end
  end)
end)
