local json = require "ligase.base.json"
local labs = require "tests.lua.sync.lab"
local support = require "tests.support"

describe("ligase status", function()
  local lab, conn, url

  setup(function()
    lab = labs.start()
    conn, url = support.migrated()
  end)

  teardown(function()
    lab:close()
  end)

  local function status(env, ...)
    return lab:ligase { "status", database = url, env = env, ... }
  end

  it("shows what is there and how it is", function()
    lab:ligase { "ingest", "--omics", "lipidomics", support.tmpfile("lipid,a\nPC 34:1,1\n", "plasma.csv"),
      database = url }
    lab:ligase { "program", "create", "ALS", database = url }
    local result = status()
    assert.same({ 0, "" }, { result.code, result.stderr })
    for _, line in ipairs { "phase     dual_write, by the flags",
      "next postgres_primary: 4 of 8 gates green; not outbox, counterparts, drift and parity",
      "entities  1 program, 0 experiments, 1 dataset", "datasets  lipidomics            1             1 values; last",
      "outbox    2 waiting, 0 with a relay, 0 set aside", "drift     never checked", "ingest 'plasma'",
      "notion     reachable" } do
      assert.matches(line, result.stdout, 1, true)
    end
    lab:ligase { "sync", database = url }
    lab:ligase { "reconcile", database = url }
    local found = json.decode(status(nil, "--json").stdout)
    assert.same({ "current", 0, 2, "dual_write", 0 }, { found.database.state, found.outbox.waiting,
      found.outbox.delivered, found.phase.phase, found.overview.drift.drift })
    assert.same({ "drift", "parity" }, found.phase.red)
    assert.equal("lipidomics", found.overview.omics[1].omics_type)
  end)

  it("says which services do not answer, and what cannot be measured for that", function()
    local found = json.decode(status({ NOTION_API_URL = "http://127.0.0.1:1" }, "--json").stdout)
    assert.equal("unreachable", found.services[1].state)
    assert.equal("notion", found.phase.red[1])
    local result = lab:ligase { "status" }
    assert.equal(1, result.code)
    assert.matches("database  unreachable: ", result.stdout, 1, true)
    assert.matches("notion     reachable", result.stdout, 1, true)
  end)

  it("asks Postgres for the phase while the flags put Notion first", function()
    conn:query "INSERT INTO lab_phase (phase) VALUES ('dual_write')"
    local result = status { USE_POSTGRES_AS_SOT = "false", ENABLE_DUAL_WRITE = "false" }
    assert.equal(0, result.code, result.stderr)
    assert.matches("phase     dual_write since", result.stdout, 1, true)
    assert.matches("the flags win, because Postgres is not asked", result.stdout, 1, true)
    conn:query "DELETE FROM lab_phase"
  end)
end)
