--- Ctrl-C: status 130, quick, and nothing half-written.
local host = require "host"
local ledger = require "tests.faults.ledger"
local pg = require "pg"
local support = require "tests.support"
local sys = require "sys"

local conn, url

setup(function()
  conn, url = support.migrated()
end)

--- Sends a signal once `ready` has come back, and checks how the ingest ends.
local function interrupt(words, ready, options)
  options = options or {}
  local said = support.tmpfile("", "stderr")
  table.insert(words, 1, host.executable)
  local child <close> = sys.spawn(words, { env = { POSTGRES_URL = url }, stdout = "null", stderr = said,
    stdin = options.stdin })
  ready(child)
  local sent = sys.monotonic()
  child:kill(options.signal or "INT")
  local ended = child:wait(10)
  local took = sys.monotonic() - sent
  return ended, took, sys.read_file(said)
end

local function assert_interrupted(ended, took, said)
  assert.same({ code = 130 }, ended)
  assert.is_true(took < 3, took)
  assert.equal(1, select(2, said:gsub("\n", "")), said)
  assert.matches("interrupted", said, 1, true)
end

--- Before it catches the signal there is nothing to see of how it handles it.
local function catches_it(child)
  support.wait_until("the signal is caught", function()
    local caught = sys.read_file(("/proc/%d/status"):format(child:pid())):match "SigCgt:%s*(%x+)"
    return tonumber(caught, 16) & 1 << 1 ~= 0 -- SIGINT is the second
  end)
end

local function blocked()
  assert.is_truthy(ledger.wait_until_blocked(conn))
end

describe("Ctrl-C", function()
  local file

  setup(function()
    file = support.tmpfile(ledger.table(25000, 20, "long", 1000), "long.csv")
  end)

  for _, signal in ipairs { "INT", "TERM" } do
    it(("while an ingest waits for a lock (SIG%s)"):format(signal), function()
      local before = ledger.counts(conn)
      local blocker = pg.connect(url)
      blocker:begin()
      blocker:script("LOCK TABLE measurements IN EXCLUSIVE MODE")
      assert_interrupted(interrupt({ "ingest", file }, blocked, { signal = signal }))
      blocker:close()
      assert.is_true(ledger.wait_until_quiet(conn))
      assert.same(before, ledger.counts(conn))
    end)
  end

  it("at any moment of an ingest", function()
    local began = sys.monotonic()
    assert.equal(0, support.ligase({ "ingest", file, "--name", "undisturbed", database = url }).code)
    local whole_s = sys.monotonic() - began
    local before, stored = ledger.counts(conn), 0
    for i = 1, 8 do
      local ended, took, said = interrupt({ "ingest", file, "--name", "moment" .. i }, function(child)
        catches_it(child)
        sys.sleep(whole_s * i / 8)
      end)
      if ended.code == 0 then
        stored = stored + 1
      else
        assert_interrupted(ended, took, said)
      end
    end
    assert.is_true(ledger.wait_until_quiet(conn))
    assert.same({}, ledger.torn(conn))
    local now = ledger.counts(conn)
    -- A COMMIT that was already under way may still have counted.
    local more = now.datasets - before.datasets
    assert.is_true(more >= stored and more <= stored + 1, more)
    assert.equal(before.measurements + 25000 * more, now.measurements)
  end)

  it("while standard input is read", function()
    local folder = support.workspace()
    assert.equal(0, sys.run({ "mkfifo", folder .. "/endless" }).code)
    local writer <close> = sys.spawn { "sh", "-c", 'exec 3> "$1"; echo "lipid,a" >&3; exec sleep 60', "sh",
      folder .. "/endless" }
    assert.is_truthy(writer:pid())
    local before = ledger.counts(conn)
    assert_interrupted(interrupt({ "ingest", "--name", "endless", folder .. "/endless" }, function()
      support.wait_until("input is kept", function() return sys.glob(sys.getenv "TMPDIR" .. "/ligase-input-*/*")[1] end)
    end))
    assert.same(before, ledger.counts(conn))
    for _, name in ipairs(sys.list(sys.getenv("TMPDIR"))) do
      assert.is_nil(name:find("^ligase%-input"), name) -- what was kept of it is gone
    end
  end)

  it("ends a query, an export and a script", function()
    local function asleep()
      support.wait_until("the query runs", function()
        return #conn:query "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
          > 0
      end)
    end
    assert_interrupted(interrupt({ "sql", "SELECT pg_sleep(60)" }, asleep))
    assert_interrupted(interrupt({ "sql", "--format", "jsonl", "SELECT pg_sleep(60)" }, asleep))
    for _, work in ipairs { "while true do end", "sys.sleep(60)" } do
      local begun = support.workspace() .. "/begun"
      assert_interrupted(interrupt({ "-e", ("sys.write_file(%q, '') %s"):format(begun, work) }, function()
        support.wait_until("the script runs", function() return sys.stat(begun) end)
      end))
    end
    assert.is_true(ledger.wait_until_quiet(conn)) -- the server has stopped too
  end)
end)
