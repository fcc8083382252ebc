--- What the gates in front of a phase measure, and how they are asked for in a script of the lab's.
local entities = require "ligase.store.entities"
local labs = require "tests.lua.sync.lab"
local parity = require "ligase.sync.parity"
local support = require "tests.support"
local sys = require "sys"

describe("gates", function()
  local lab, conn, url, workspace

  before_each(function()
    lab = labs.start()
    conn, url = support.migrated()
    workspace = support.workspace()
    conn:query "INSERT INTO lab_phase (phase, entered_at) VALUES ('dual_write', now() - interval '1 hour')"
  end)

  after_each(function()
    lab:close()
  end)

  local function ligase(words)
    words.database, words.workspace = url, workspace
    return lab:ligase(words)
  end

  local function gates()
    local by_name = {}
    for _, gate in ipairs(labs.json.decode(ligase({ "phase", "--format", "json" }).stdout)) do
      by_name[gate.gate] = gate
    end
    return by_name
  end

  --- Makes entities that lie in the outbox.
  local function make(kind, count, more)
    entities.change(conn, { command = "spec", outbox = true, create = true }, function(changes)
      for i = 1, count do
        local fields = { name = ("%s %d"):format(kind, i) }
        for name, value in pairs(more or {}) do
          fields[name] = value
        end
        changes:create(kind, fields)
      end
    end)
  end

  --- A script of the lab's for postgres_primary that checks with these lines.
  local function own_check(lines)
    sys.mkdir(workspace .. "/migrations/phases", { parents = true })
    sys.write_file(workspace .. "/migrations/phases/postgres_primary.lua", ([[
return require("ligase.sync.phases").define { name = "postgres_primary",
  enter = function() end, leave = function() end, verify = function() end,
  check = function(gate)
    %s
  end }
]]):format(lines))
  end

  local function latest()
    return conn:query([[SELECT sampled, equal_count AS equal, on_their_way FROM parity_checks
      ORDER BY checked_at DESC]])[1]
  end

  describe("parity", function()
    it("is green in a lab without entities, and red while everything is on its way", function()
      local found = gates().parity
      assert.same({ 0, true, "no entities to compare" }, { found.value, found.is_green, found.wanted })
      make("program", 3)
      found = gates().parity
      assert.same({ labs.json.null, false, "0 compared, 3 on their way" },
        { found.value, found.is_green, found.wanted })
      assert.equal("wait until Notion was told: ligase sync", found.missing)
      ligase { "sync" }
      conn:query "INSERT INTO programs (id, name) VALUES (gen_random_uuid(), 'new')"
      conn:query [[INSERT INTO outbox (entity_type, entity_id, action, payload)
        SELECT 'programs', id, 'create', '{}' FROM programs WHERE name = 'new']]
      found = gates().parity
      assert.same({ 0, true, "0 of 3 compared differ, 1 on their way" }, { found.value, found.is_green, found.wanted })
      assert.same({ sampled = 4, equal = 3, on_their_way = 1 }, latest())
    end)

    it("spreads its sample over the types as far as they have entities", function()
      assert.same({ a = 3, b = 27 }, parity.shares({ a = 3, b = 2000 }, 30))
      assert.same({ a = 0, b = 1, c = 5, d = 11 }, parity.shares({ a = 0, b = 1, c = 5, d = 11 }, 30))
      assert.same({ a = 0, b = 1, c = 1, d = 1 }, parity.shares({ a = 9, b = 9, c = 9, d = 9 }, 3))
      assert.same({}, parity.shares({}, 30))
      make("program", 2)
      make("experiment", 20)
      own_check "gate:parity { sample = 9 }"
      gates()
      assert.equal(9, latest().sampled)
    end)

    it("takes no sample that is none", function()
      for lines, message in pairs {
        ["gate:parity { sample = 0 }"] = "gate:parity: option 'sample' must be at least 1, not 0",
        ["gate:parity { samples = 30 }"] = "gate:parity: unknown option 'samples'. Did you mean 'sample'?",
        ["gate:parity { sample = 'x' }"] = "gate:parity: option 'sample' must be integer, not 'x'",
        ["gate:drift { checks = 0 }"] = "gate:drift: option 'checks' must be at least 1, not 0",
      } do
        own_check(lines)
        local result = ligase { "phase" }
        assert.equal(2, result.code, result.stdout .. result.stderr)
        assert.matches("postgres_primary.lua:4: " .. message, result.stderr, 1, true)
      end
    end)
  end)

  describe("of one's own", function()
    it("give a number, and say so when they do not", function()
      for lines, message in pairs {
        ["gate:measure('x', 'y', function() return 'many' end)"] = "gate 'x': the number it measures is many",
        ["gate:measure('x', 'y', function() return 1 / 0 end)"] = "gate 'x': the number it measures is inf",
        ["gate:measure('x', 'y', function() return 1, 'no' end)"] = "gate 'x': whether it is green is no",
        ["gate:measure('x', 'y', function() return 1, nil, 7 end)"] = "gate 'x': what is missing is 7",
        ["gate:measure('x', function() return 1 end)"] = "gate:measure wants a name, a text that says what is wanted",
        ["gate:measure('dead', 'y', function() return 0 end)"] = "the gate 'dead' comes with ligase",
        ["gate:outbox() gate:outbox()"] = "the gate 'outbox' is asked for twice",
      } do
        own_check(lines)
        local result = ligase { "phase" }
        assert.equal(2, result.code, result.stdout .. result.stderr)
        assert.matches("migrations/phases/postgres_primary.lua:4: " .. message, result.stderr, 1, true)
      end
    end)

    it("may measure a share, which is shown as it is", function()
      own_check "gate:measure('share', '1 or less', function() return 1.5, false, 'more' end)"
      assert.matches("red  share  1.5  1 or less  more", ligase({ "phase" }).stdout, 1, true)
      assert.equal(1.5, gates().share.value)
      own_check "gate:measure('share', '1 or less', function() return 5.0, false end)"
      assert.matches('"value":5,', ligase({ "phase", "--format", "json" }).stdout, 1, true)
    end)

    it("are blamed with a line of their own, also for what fails deeper", function()
      own_check "gate:measure('x', 'y', function() return require('ligase.base.text').count('many') end)"
      local stderr = ligase({ "phase" }).stderr
      assert.matches("migrations/phases/postgres_primary.lua:4: check of phase 'postgres_primary' failed: ", stderr, 1,
        true)
      assert.matches("base/text.lua:%d+: ", stderr)
    end)
  end)

  it("keep nothing in a dry run", function()
    make("program", 1)
    local result = ligase { "phase", "advance", "--dry-run" }
    assert.matches("parity", result.stdout, 1, true)
    assert.equal(0, conn:query("SELECT count(*) AS n FROM parity_checks")[1].n)
  end)
end)
