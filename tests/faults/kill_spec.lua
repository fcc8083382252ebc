--- kill -9 of an ingest at many moments leaves the whole revision or none of it.
local cluster = require "ligase.store.cluster"
local host = require "host"
local ledger = require "tests.faults.ledger"
local support = require "tests.support"
local sys = require "sys"

local KILLS = 50
local ROWS, COLUMNS = 5000, 20

--- The same moments in every run.
local function seeded(seed)
  return function()
    seed = (seed * 1103515245 + 12345) % 2147483648
    return seed / 2147483648
  end
end

describe("kill -9 of an ingest", function()
  local conn, url

  setup(function()
    conn, url = support.migrated()
  end)

  local function ingest(path, name)
    local began = sys.monotonic()
    local result = support.ligase { "ingest", path, "--name", name, database = url }
    assert.equal(0, result.code, result.stderr)
    return sys.monotonic() - began, result
  end

  --- Kills the ingest after that long; says how many rows of the dataset are there then.
  local function kill(path, name, after_s)
    local child <close> = sys.spawn({ host.executable, "ingest", path, "--name", name },
      { env = { POSTGRES_URL = url }, stdout = "null", stderr = "null" })
    sys.sleep(after_s)
    child:kill("KILL")
    child:wait(10)
    assert.is_true(ledger.wait_until_quiet(conn))
  end

  it(("at %d moments leaves either the whole revision or none of it #slow"):format(KILLS), function()
    local random = seeded(20260102)
    local known = ledger.table(ROWS, COLUMNS, "known")
    local first = support.tmpfile(known, "known.csv")
    local whole_s = (ingest(first, "undisturbed") + ingest(first, "undisturbed 2")) / 2
    local whole, none = 0, 0
    local revision = 0
    for i = 1, KILLS do
      local is_new = i % 2 == 0
      local name = is_new and "new " .. i or "revised"
      -- Names that were never met make the ingest write features and receipts too.
      local content = i % 3 == 0 and ledger.table(ROWS, COLUMNS, "names of " .. i) or known
      local path = support.tmpfile(("%sr%d%s\n"):format(content, i, (",1"):rep(COLUMNS)), "next.csv")
      kill(path, name, whole_s * random() * 1.3)
      local rows = conn:query([[SELECT d.current_revision, count(m.ordinal) AS n FROM datasets AS d
        LEFT JOIN measurements AS m ON m.dataset_id = d.id AND m.revision = d.current_revision
        WHERE d.name = $1 GROUP BY 1]], name)
      local stored = rows[1] ~= nil and (is_new or rows[1].current_revision > revision)
      if stored then
        assert.equal(ROWS + 1, rows[1].n)
        revision = is_new and revision or rows[1].current_revision
        whole = whole + 1
      else
        none = none + 1
      end
    end
    assert.same({}, ledger.torn(conn))
    assert.equal(KILLS, whole + none)
    assert.is_true(none > KILLS / 4, ("only %d of %d were killed in time"):format(none, KILLS))

    -- And the next run is as if nothing had happened.
    local _, result = ingest(first, "revised")
    assert.matches(revision > 0 and ("revision %d\n"):format(revision + 1) or "new dataset", result.stdout, 1, true)
    for i = 2, KILLS, 2 do
      if #conn:query("SELECT FROM datasets WHERE name = $1", "new " .. i) == 0 then
        ingest(first, "new " .. i)
        break
      end
    end
    assert.same({}, ledger.torn(conn))
  end)
end)

describe("kill -9 of the first command", function()
  it("while the private Postgres is made leaves nothing in the way", function()
    local random = seeded(7)
    local workspace = support.workspace()
    sys.chmod(workspace, "755")
    local file = support.tmpfile("lipid,a\nPC 34:1,1\n", "first.csv")
    for _ = 1, 4 do
      local child <close> = sys.spawn({ host.executable, "ingest", file }, { cwd = workspace,
        env = { LIGASE_WORKSPACE = workspace }, stdout = "null", stderr = "null" })
      sys.sleep(0.1 + random() * 1.5)
      child:kill("KILL")
      child:wait(10)
    end
    local result = support.ligase { "ingest", file, workspace = workspace, database = false }
    assert.equal(0, result.code, result.stderr)
    local conn = cluster.connect(workspace)
    assert.same({}, ledger.torn(conn))
    assert.equal(1, ledger.counts(conn).datasets)
    conn:close()
    cluster.stop(workspace)
  end)
end)
