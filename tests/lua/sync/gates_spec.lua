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

  describe("taken_over", function()
    local NOTION_FIRST = { USE_POSTGRES_AS_SOT = "false", ENABLE_DUAL_WRITE = "false" }

    local function notion_first(words)
      words.env = {}
      for name, value in pairs(NOTION_FIRST) do
        words.env[name] = value
      end
      return ligase(words)
    end

    local function taken_over()
      for _, gate in ipairs(labs.json.decode(notion_first({ "phase", "--format", "json" }).stdout)) do
        if gate.gate == "taken_over" then
          return gate
        end
      end
    end

    local function make_page(name)
      return lab:ask("POST", "/v1/pages", { parent = { type = "data_source_id", data_source_id = lab.sources.programs },
        properties = { Name = { title = { { text = { content = name } } } } } })
    end

    before_each(function()
      conn:query "UPDATE lab_phase SET phase = 'notion_primary'"
    end)

    it("sees pages that were deleted while Notion was first, until both sides are settled", function()
      local page = make_page "NASH"
      make_page "ALS"
      assert.equal(0, notion_first({ "import", "notion" }).code)
      assert.is_true(taken_over().is_green)
      lab:ask("PATCH", "/v1/pages/" .. page.id, { in_trash = true })
      local gate = taken_over()
      assert.same({ 1, false }, { gate.value, gate.is_green })
      assert.equal("1 page is gone, such as that of program 'NASH', which lies in Notion's trash: take it out of the "
        .. "trash in Notion, or delete what it is the page of: ligase import notion --delete", gate.missing)
      local result = notion_first { "phase", "advance" }
      assert.equal(1, result.code)
      assert.matches("not advanced: taken_over is not green", result.stdout, 1, true)
      assert.equal(2, conn:query("SELECT count(*) AS n FROM programs")[1].n)
      notion_first { "import", "notion", "--delete" }
      assert.equal(1, conn:query("SELECT count(*) AS n FROM programs")[1].n)
      result = notion_first { "phase", "advance" }
      assert.equal(0, result.code, result.stdout .. result.stderr)
    end)

    it("never takes a page that cannot be read for a deleted one", function()
      local page = make_page "NASH"
      notion_first { "import", "notion" }
      lab:ask("PATCH", "/v1/pages/" .. page.id, { in_trash = true })
      lab:faults "internal_error@page_retrieve"
      local gate = taken_over()
      assert.same({ labs.json.null, false }, { gate.value, gate.is_green })
      assert.matches("cannot be measured: ", gate.missing, 1, true)
      lab:faults()
      local stranger = "11111111-2222-3333-4444-555555555555"
      conn:query("UPDATE programs SET notion_page_id = $1", stranger)
      conn:query("UPDATE mirrors SET page_id = $1", stranger)
      gate = taken_over()
      assert.same({ 1, false }, { gate.value, gate.is_green })
      assert.matches("1 page is gone, such as that of program 'NASH', which is gone, or not shared any more: share it "
        .. "again in Notion, or pass this gate", gate.missing, 1, true)
      notion_first { "import", "notion", "--delete" }
      assert.equal(1, conn:query("SELECT count(*) AS n FROM programs")[1].n)
    end)

    it("is kept, so that status says the same", function()
      make_page "ALS"
      assert.matches("not taken_over", notion_first({ "status" }).stdout, 1, true)
      notion_first { "phase" }
      local status = labs.json.decode(notion_first({ "status", "--json" }).stdout)
      assert.matches("such as program 'ALS': ligase import notion", status.phase.gates[2].missing, 1, true)
      notion_first { "import", "notion" }
      assert.matches("next   dual_write: 3 of 3 gates green", notion_first({ "phase" }).stdout, 1, true)
      assert.matches("next dual_write: 3 of 3 gates green: ligase phase advance", notion_first({ "status" }).stdout, 1,
        true)
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

  it("count what was set aside as not told, and say where the reason stands", function()
    make("program", 2)
    ligase { "sync" }
    conn:query "UPDATE programs SET description = 'by a script'"
    conn:query [[INSERT INTO outbox (entity_type, entity_id, action, payload, state, finished_at)
      SELECT 'programs', id, 'update', '{}', 'dead', now() FROM programs WHERE name = 'program 1']]
    local gate = gates().untold
    assert.same({ 2, false }, { gate.value, gate.is_green })
    assert.equal("put them into the outbox: ligase reconcile --fix notion; 1 change was set aside: ligase outbox says "
      .. "why", gate.missing)
    conn:query "UPDATE programs SET description = NULL WHERE name = 'program 2'"
    gate = gates().untold
    assert.same({ 1, "1 change was set aside: ligase outbox says why" }, { gate.value, gate.missing })
  end)

  it("keep nothing in a dry run", function()
    make("program", 1)
    local result = ligase { "phase", "advance", "--dry-run" }
    assert.matches("parity", result.stdout, 1, true)
    assert.equal(0, conn:query("SELECT count(*) AS n FROM parity_checks")[1].n)
  end)
end)
