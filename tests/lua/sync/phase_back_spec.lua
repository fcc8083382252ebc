--- Going back that does not come to its end: what was done, what is left, and what to do is said.
local entities = require "ligase.store.entities"
local labs = require "tests.lua.sync.lab"
local support = require "tests.support"

describe("going back", function()
  local lab, conn, url, workspace

  before_each(function()
    lab = labs.start()
    conn, url = support.migrated()
    workspace = support.workspace()
    conn:query "INSERT INTO lab_phase (phase, entered_at) VALUES ('postgres_only', now() - interval '1 hour')"
    entities.change(conn, { command = "spec" }, function(changes)
      changes:create("program", { name = "ALS" })
      changes:create("program", { name = "Ageing", disease = ("x"):rep(150) })
    end)
  end)

  after_each(function()
    lab:close()
  end)

  local function words_of(words, env)
    words.env = { ENABLE_DUAL_WRITE = "false" }
    for name, value in pairs(env or {}) do
      words.env[name] = value
    end
    words.database, words.workspace = url, workspace
    return words
  end

  local function back(env)
    return lab:ligase(words_of({ "phase", "back" }, env))
  end

  it("says what was done although it is refused, and how a change that was set aside is mended", function()
    local result = back()
    assert.equal(1, result.code, result.stderr)
    assert.matches("red +replayed +1 .*1 change was set aside: ligase outbox says why; mend that, and: ligase outbox "
      .. "%-%-retry all\n", result.stdout)
    assert.no.matches("reconcile --fix", result.stdout, 1, true)
    assert.matches("of these with a page +0 +1 +%+1\n", result.stdout)
    assert.matches("not told to Notion +2 +1 +%-1\n", result.stdout)
    assert.matches("set aside +0 +1 +%+1\n", result.stdout)
    assert.matches("not gone back: replayed is not green", result.stdout, 1, true)
    conn:query "UPDATE programs SET disease = '{x}' WHERE name = 'Ageing'"
    assert.equal(0, lab:ligase(words_of { "outbox", "--retry", "all" }).code)
    result = back()
    assert.equal(0, result.code, result.stdout .. result.stderr)
    assert.matches("not told to Notion +2 +0 +%-2\n", result.stdout)
  end)

  it("does not wait for a Notion that is down, and gives the reason once", function()
    local began = os.time()
    local result = back { NOTION_API_URL = "http://127.0.0.1:1" }
    assert.is_true(os.time() - began < 15)
    assert.equal(1, result.code)
    local _, times = result.stderr:gsub("cannot connect", "")
    assert.equal(1, times, result.stderr)
    assert.matches("the phase is what it was, and nothing is lost; to go on: ligase phase back", result.stderr, 1, true)
    assert.matches("See whether it answers again: ligase status", result.stderr, 1, true)
    assert.equal("postgres_only", conn:query("SELECT phase FROM lab_phase")[1].phase)
  end)

  it("says on a terminal that it waits for what a killed relay had", function()
    conn:query [[INSERT INTO outbox (entity_type, entity_id, action, payload, state, lease, lease_until)
      SELECT 'programs', id, 'create', '{}', 'running', gen_random_uuid(), now() + interval '2 seconds'
      FROM programs WHERE name = 'ALS']]
    conn:query "UPDATE programs SET disease = '{x}'"
    local words = words_of({ "phase", "back", columns = 200 }, lab.env)
    words.env.ENABLE_DUAL_WRITE = "false"
    local result = support.terminal({ { expect = "waiting for 1 change that another relay has; what a relay had that "
      .. "was killed is taken over within" }, { expect = "the phase is postgres_primary" } }, words)
    assert.equal(0, result.code, result.output)
  end)
end)
