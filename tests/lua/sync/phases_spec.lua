--- Phases: measured, entered, left again; both systems equal in the end. LIGASE_PHASE_CHANGES=1000
--- runs the round trip with as many changes in each phase.
local entities = require "ligase.store.entities"
local labs = require "tests.lua.sync.lab"
local policy_of = require "ligase.sync.policy"
local support = require "tests.support"
local sys = require "sys"

local CHANGES = tonumber(sys.getenv "LIGASE_PHASE_CHANGES") or 20

local FLAGS = {
  notion_primary = { USE_POSTGRES_AS_SOT = "false", ENABLE_DUAL_WRITE = "false", ENABLE_NOTION_SYNC = "false" },
  dual_write = { USE_POSTGRES_AS_SOT = "true", ENABLE_DUAL_WRITE = "true", ENABLE_NOTION_SYNC = "false" },
  postgres_primary = { USE_POSTGRES_AS_SOT = "true", ENABLE_DUAL_WRITE = "false", ENABLE_NOTION_SYNC = "true" },
  postgres_only = { USE_POSTGRES_AS_SOT = "true", ENABLE_DUAL_WRITE = "false", ENABLE_NOTION_SYNC = "false" },
}

local function title(text)
  return { title = { { text = { content = text } } } }
end

local function rich(text)
  return { rich_text = { { text = { content = text } } } }
end

describe("phases", function()
  local lab, conn, url, workspace

  before_each(function()
    lab = labs.start()
    conn, url = support.migrated()
    workspace = support.workspace()
  end)

  after_each(function()
    lab:close()
  end)

  --- Runs the executable with the flags of a phase.
  local function ligase(phase, words, env)
    words.env = {}
    for _, list in ipairs { FLAGS[phase], env or {} } do
      for name, value in pairs(list) do
        words.env[name] = value
      end
    end
    words.database, words.workspace, words.timeout_s = url, workspace, 600
    return lab:ligase(words)
  end

  local function ok(phase, words, env)
    local result = ligase(phase, words, env)
    assert.equal(0, result.code, result.stdout .. result.stderr)
    return result
  end

  local function stored()
    local row = conn:query("SELECT phase FROM lab_phase")[1]
    return row and row.phase
  end

  --- Every entity has exactly one live page that says what Postgres says.
  local function assert_equal_sides(phase)
    local result = ok(phase, { "reconcile", "--format", "json" })
    for _, one in ipairs(labs.json.decode(result.stdout)) do
      assert.same({ 0, 0, 0, 0, 0, one.entities }, { one.missing, one.extra, one.differing, one.duplicates,
        one["on their way"], one.equal }, one.entity)
    end
    for _, entity_type in ipairs(policy_of.TYPES) do
      local seen = {}
      for _, page in ipairs(lab:pages(entity_type)) do
        assert.is_nil(seen[page.key], "two pages of " .. tostring(page.key))
        seen[page.key or page.id] = true
      end
    end
  end

  local function make_page(name)
    return lab:ask("POST", "/v1/pages", { parent = { type = "data_source_id", data_source_id = lab.sources.programs },
      properties = { Name = title(name), Description = rich "written in Notion" } })
  end

  local function ready_for_next(phase)
    ok(phase, { "sync" })
    ok(phase, { "ingest", "--omics", "lipidomics", "--name", "plasma", workspace .. "/plasma.csv" })
    ok(phase, { "sync" })
    for _ = 1, 3 do
      ok(phase, { "reconcile" })
    end
  end

  --- Changes through the library, as a script of the lab's does: a third new, a third changed, a
  --- third of them deleted again.
  local function change(phase, label)
    local script = ([[
local ligase = require "ligase"
ligase.change(function(changes)
  for i = 1, %d do
    local name = %q .. i
    changes:create("experiment", { name = name, programs = { "ALS" }, description = "made" })
  end
end)
ligase.change(function(changes)
  for i = 1, %d do
    changes:update("experiment", %q .. i, { description = "changed " .. i, stage = "discovery" })
  end
end)
ligase.change(function(changes)
  for i = 1, %d do
    changes:delete("experiment", %q .. i)
  end
end)]]):format(CHANGES // 3, label, CHANGES // 3, label, CHANGES // 6, label)
    ok(phase, { "-e", script })
  end

  it(("come back to equal systems after %d changes in each #slow"):format(CHANGES), function()
    local file = assert(io.open(workspace .. "/plasma.csv", "w"))
    file:write "lipid,a,b\nPC 34:1,1,2\nPE 36:2,3,4\n"
    file:close()
    make_page "ALS"
    for i = 1, CHANGES do
      make_page("Old " .. i)
    end
    local first = ligase("notion_primary", { "phase" })
    assert.equal(1, first.code)
    assert.matches("taken_over +" .. require("ligase.base.text").number(CHANGES + 1), first.stdout)
    ok("notion_primary", { "import", "notion" })
    make_page "Late"
    local refused = ligase("notion_primary", { "phase", "advance" })
    assert.same({ 1, nil }, { refused.code, stored() })
    assert.matches("not advanced: taken_over is not green", refused.stdout, 1, true)
    ok("notion_primary", { "import", "notion" })
    ok("notion_primary", { "phase", "advance" })
    assert.equal("dual_write", stored())
    change("dual_write", "D")
    ready_for_next "dual_write"
    ok("dual_write", { "phase", "advance" })
    assert.equal("postgres_primary", stored())
    change("postgres_primary", "P")
    ready_for_next "postgres_primary"
    ok("postgres_primary", { "phase", "advance" })
    assert.equal("postgres_only", stored())
    change("postgres_only", "O")
    ok("postgres_only", { "-e", "require('ligase').programs:update('Old 1', { description = 'only in Postgres' })" })
    assert.equal(0, conn:query("SELECT count(*) AS n FROM outbox WHERE state = 'pending'")[1].n)
    local before = conn:query("SELECT count(*) AS n FROM experiments")[1].n
    local back = ok("postgres_only", { "phase", "back", "--to", "postgres_primary" })
    assert.matches("remains  nothing: both systems say the same", back.stdout, 1, true)
    assert.matches(("of these with a page +%%d+ +%%d+ +%%+%d\n"):format(CHANGES // 3 - CHANGES // 6), back.stdout)
    assert_equal_sides "postgres_primary"
    change("postgres_primary", "Q")
    ok("postgres_primary", { "phase", "back" })
    assert.equal("dual_write", stored())
    change("dual_write", "R")
    ok("dual_write", { "phase", "back" })
    assert.equal("notion_primary", stored())
    assert_equal_sides "dual_write"
    assert.equal(before + 2 * (CHANGES // 3 - CHANGES // 6), conn:query("SELECT count(*) AS n FROM experiments")[1].n)
    assert.equal(6, conn:query("SELECT count(*) AS n FROM phase_changes WHERE state = 'done'")[1].n)
    assert.equal(6, conn:query("SELECT count(*) AS n FROM runs WHERE command LIKE 'phase %' AND outcome = 'done'")[1].n)
  end)
end)
