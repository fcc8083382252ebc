--- A budget kept by several processes: counted where the requests arrive.
local errors = require "ligase.base.errors"
local host = require "host"
local pg = require "pg"
local rate_limit = require "ligase.store.rate_limit"
local support = require "tests.support"
local sys = require "sys"

local conn, conninfo

setup(function()
  conn, conninfo = support.migrated()
  conn:script [[
    CREATE TABLE arrivals (at timestamptz NOT NULL, worker text NOT NULL);
    CREATE TABLE blocks (since timestamptz NOT NULL, until timestamptz NOT NULL)]]
end)

--- Asks as fast as it is let, and is told now and then to stay away. What arrives is noted
--- by the clock of the place where it arrives.
local WORKER = [[
local rate_limit = require "ligase.store.rate_limit"
local uri, worker, requests, block_at = arg[1], arg[2], tonumber(arg[3]), tonumber(arg[4])
local conn <close> = pg.connect(uri)
local service <close> = pg.connect(uri)
-- However busy the machine is, an answer comes within ten seconds.
local limiter <close> = rate_limit.new(conn, "service", { per_minute = 180, window_s = 1, slack_s = 0.05,
  answer_wait_s = 10 })
for i = 1, requests do
  limiter:acquire()
  local at = service:query("INSERT INTO arrivals VALUES (clock_timestamp(), $1) RETURNING at", worker)[1].at
  if i == block_at then
    service:query("INSERT INTO blocks VALUES ($1::timestamptz, $1::timestamptz + interval '0.2 s')", at)
    limiter:answered { retry_after_s = 0.2 }
  else
    limiter:answered()
  end
end]]

--- Waits until a child has ended, and says how.
local function finish(process)
  local result = process:wait(60)
  process:close()
  return result
end

describe("rate_limit", function()
  it("is kept by four processes together, and so is a Retry-After", function()
    local script, workers = support.tmpfile(WORKER, "worker.lua"), {}
    for i = 1, 4 do
      workers[i] = sys.spawn { host.executable, script, conninfo, "w" .. i, "80", tostring(15 * i) }
    end
    for _, worker in ipairs(workers) do
      assert.are.same({ code = 0 }, finish(worker))
    end
    local counted = conn:query([[
      SELECT max(n) AS most, count(*) AS all FROM (
        SELECT count(*) OVER (ORDER BY at RANGE BETWEEN interval '1 second' PRECEDING AND CURRENT ROW) AS n
        FROM arrivals) AS windows]])[1]
    assert.are.equal(320, counted.all)
    assert.is_true(counted.most <= 180, counted.most .. " within one window")
    assert.are.equal(4, conn:query("SELECT count(*) AS n FROM blocks")[1].n)
    assert.are.equal(0, conn:query([[
      SELECT count(*) AS n FROM arrivals JOIN blocks ON at > since AND at < until]])[1].n)
  end)

  it("goes on when a process died with its slot", function()
    local process = sys.spawn { host.executable, support.tmpfile([[
      local conn = pg.connect(arg[1])
      require("ligase.store.rate_limit").new(conn, "crash", { per_minute = 6000, answer_wait_s = 0.2 }):acquire()
      sys.kill(sys.pid(), "KILL")]], "dies.lua"), conninfo }
    assert.are.same({ signal = "KILL" }, finish(process))
    local limiter <close> = rate_limit.new(conn, "crash", { per_minute = 6000 })
    assert.is_true(limiter:acquire(30))
  end)

  it("waits for another's answer, but not for its own", function()
    local options = { per_minute = 60000, window_s = 1, answer_wait_s = 30 }
    local other_conn <close> = pg.connect(conninfo)
    local one <close> = rate_limit.new(conn, "answer", options)
    local other <close> = rate_limit.new(other_conn, "answer", options)
    assert.is_true(one:acquire())
    assert.is_true(one:acquire(5))
    assert.is_false(other:acquire(0.02))
    one:answered()
    assert.is_false(other:acquire(0.02)) -- one of two is still open
    one:answered()
    assert.is_true(other:acquire(5))
    other:answered { retry_after_s = 30 }
    assert.is_false(one:acquire(0.02))
    assert.is_false(other:acquire(0))
  end)

  it("tells those who wait that the answer is there", function()
    local listener <close> = pg.connect(conninfo)
    listener:listen "rate_limit:told"
    local limiter <close> = rate_limit.new(conn, "told", { per_minute = 60 })
    limiter:acquire()
    assert.is_nil(listener:wait_notification(0))
    limiter:answered()
    assert.are.equal("rate_limit:told", (listener:wait_notification(20) or {}).channel)
  end)

  it("gives back what is open when it is closed", function()
    local options = { per_minute = 60000, window_s = 1, answer_wait_s = 60 }
    local other_conn <close> = pg.connect(conninfo)
    do
      local limiter <close> = rate_limit.new(other_conn, "closed", options)
      limiter:acquire()
      limiter:acquire()
    end
    local limiter <close> = rate_limit.new(conn, "closed", options)
    assert.is_true(limiter:acquire(5))
  end)

  it("finds its row again when somebody has emptied the table", function()
    local limiter <close> = rate_limit.new(conn, "emptied", { per_minute = 60 })
    conn:query "DELETE FROM rate_limits"
    assert.is_true(limiter:acquire(5))
    assert.is_false(limiter:acquire(0)) -- a minute's sixtieth has not passed
  end)

  it("refuses a transaction, and numbers that are no budget", function()
    local limiter <close> = rate_limit.new(conn, "refused", { per_minute = 60 })
    local done, failure = pcall(conn.transaction, conn, function()
      limiter:acquire()
    end)
    assert.is_false(done)
    assert.is_true(errors.is(failure, "usage"))
    assert.matches("outside of transactions", failure.message)
    for _, case in ipairs { { "x", {} }, { "x", { per_minute = 0 } }, { "", { per_minute = 1 } },
      { ("x"):rep(41), { per_minute = 1 } }, { "x", { per_minute = 1, window = 5 } } } do
      assert.is_false((pcall(rate_limit.new, conn, table.unpack(case))))
    end
  end)

  it("is ended by a signal", function()
    local process = sys.spawn({ host.executable, support.tmpfile([[
      local conn <close> = pg.connect(arg[1])
      local limiter <close> = require("ligase.store.rate_limit").new(conn, "signal", { per_minute = 1 })
      limiter:acquire()
      limiter:answered()
      limiter:acquire()]], "signal.lua"), conninfo }, { stderr = "null" })
    local deadline = sys.monotonic() + 20
    while #conn:query "SELECT FROM rate_limits WHERE name = 'signal' AND holder IS NOT NULL" == 0 do
      assert(sys.monotonic() < deadline)
      sys.sleep(0.02)
    end
    process:kill "INT"
    assert.are.same({ code = 130 }, finish(process))
  end)
end)
