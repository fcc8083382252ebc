--- Dry runs of a change of phase: they foretell what the change then does, and write nothing.
local entities = require "ligase.store.entities"
local labs = require "tests.lua.sync.lab"
local support = require "tests.support"

describe("a dry run of a change of phase", function()
  local lab, conn, url, workspace

  before_each(function()
    lab = labs.start()
    conn, url = support.migrated()
    workspace = support.workspace()
  end)

  after_each(function()
    lab:close()
  end)

  local function store(phase)
    conn:query("INSERT INTO lab_phase (phase, entered_at) VALUES ($1, now() - interval '1 hour')", phase)
  end

  local function ligase(words)
    words.env = { USE_POSTGRES_AS_SOT = words.notion_first and "false" or "true", ENABLE_DUAL_WRITE = "false",
      ENABLE_NOTION_SYNC = "false" }
    words.database, words.workspace = url, workspace
    return lab:ligase(words)
  end

  local function properties(name, more)
    local made = { Name = { title = { { text = { content = name } } } } }
    for property, text in pairs(more or {}) do
      made[property] = { rich_text = { { text = { content = text } } } }
    end
    return made
  end

  local function make_page(name, more)
    return lab:ask("POST", "/v1/pages", { parent = { type = "data_source_id", data_source_id = lab.sources.programs },
      properties = properties(name, more) })
  end

  --- All rows, as far as a dry run must not touch them.
  local function content()
    local parts = {}
    for _, tbl in ipairs { "programs", "mirrors", "outbox", "runs", "phase_changes", "parity_checks", "lab_phase",
      "reconciliations" } do
      parts[#parts + 1] = conn:query(("SELECT coalesce(md5(string_agg(t::text, ',' ORDER BY t::text)), '') AS s "
        .. "FROM %s AS t"):format(tbl))[1].s
    end
    return parts
  end

  --- What is said of the steps, without the counts of what was delivered.
  local function steps(stdout)
    return stdout:match "[^\n]* of Notion's looked at[^\n]*", stdout:match "[^\n]*that Notion was not told of[^\n]*"
  end

  local function advance(...)
    return ligase { "phase", "advance", "--override", "taken_over", "--reason", "spec", notion_first = true, ... }
  end

  it("foretells what is taken over and told, by name", function()
    store "notion_primary"
    make_page "Old"
    local changed = make_page "Changed"
    assert.equal(0, ligase({ "import", "notion", notion_first = true }).code)
    lab:edit(changed.id, properties("Changed", { Description = "by a person" }))
    conn:query "UPDATE programs SET description = 'a stray word of Postgres' WHERE name = 'Changed'"
    for i = 1, 5 do
      make_page("New " .. i)
    end
    -- made while Notion was first: it has the id already, and there is nothing to tell
    make_page("Ours", { ["Ligase ID"] = "0190aaaa-0000-7000-8000-000000000001" })
    local before = content()
    local dry = advance "--dry-run"
    assert.equal(0, dry.code, dry.stdout .. dry.stderr)
    assert.same(before, content())
    local taken, told = steps(dry.stdout)
    assert.matches("8 pages of Notion's looked at: 6 entities new and 1 changed in Postgres: program '", taken, 1, true)
    assert.matches("and 2 more$", taken)
    assert.matches("7 entities that Notion was not told of into the outbox (7 programs): program '", told, 1, true)
    assert.matches("and 2 more$", told)
    local real = advance()
    assert.equal(0, real.code, real.stdout .. real.stderr)
    local taken_then, told_then = steps(real.stdout)
    assert.equal(taken, taken_then)
    assert.equal(told:match "^(.-%))", told_then:match "^(.-%))")
    assert.equal(7, conn:query("SELECT count(*) AS n FROM outbox WHERE state = 'pending'")[1].n)
  end)

  it("names what goes back", function()
    store "postgres_only"
    entities.change(conn, { command = "spec" }, function(changes)
      changes:create("program", { name = "ALS" })
      changes:create("program", { name = "Ageing" })
    end)
    local before = content()
    local result = ligase { "phase", "back", "--dry-run" }
    assert.matches("2 entities that Notion was not told of into the outbox (2 programs): program 'ALS', "
      .. "program 'Ageing'\n", result.stdout, 1, true)
    assert.same(before, content())
  end)

  it("says that a way back is barred by what was set aside", function()
    store "dual_write"
    entities.change(conn, { command = "spec" }, function(changes)
      changes:create("program", { name = "ALS" })
    end)
    conn:query [[INSERT INTO outbox (entity_type, entity_id, action, payload, state, finished_at)
      SELECT 'programs', id, 'create', '{}', 'dead', now() FROM programs]]
    local result = ligase { "phase", "back", "--dry-run" }
    assert.equal(1, result.code, result.stdout)
    assert.matches("red +replayed +1 .-1 change was set aside: ligase outbox says why", result.stdout)
  end)

  it("keeps no sample, and says which phases it did not try", function()
    store "dual_write"
    local before = content()
    local result = ligase { "phase", "advance", "--to", "postgres_only", "--dry-run" }
    assert.equal(1, result.code)
    assert.matches("parity +0 ", result.stdout)
    assert.matches("not tried: postgres_only; what is measured and done there depends on postgres_primary being "
      .. "entered first", result.stdout, 1, true)
    assert.same(before, content())
    result = ligase { "phase", "back", "--to", "notion_primary", "--dry-run" }
    assert.no.matches("not tried", result.stdout)
  end)
end)
