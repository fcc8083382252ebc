--- Leases that are over: which of them count against a change.
local entities = require "ligase.store.entities"
local host = require "host"
local labs = require "tests.lua.sync.lab"
local outbox = require "ligase.store.outbox"
local pg = require "pg"
local rate_limit = require "ligase.store.rate_limit"
local support = require "tests.support"
local sys = require "sys"

local WHICH = { types = { "programs" }, asked = {}, lease_s = 10 }

describe("a lease that is over", function()
  local conn, url

  before_each(function()
    conn, url = support.migrated()
    entities.change(conn, { command = "spec", outbox = true }, function(changes)
      changes:create("program", { name = "ALS" })
    end)
  end)

  local function expire()
    conn:query "UPDATE outbox SET lease_until = now() - interval '1 second' WHERE state = 'running'"
  end

  local function row()
    return conn:query("SELECT id, state, attempts, last_error, payload FROM outbox")[1]
  end

  it("counts where a request may have been sent, and not where the relay waited for its turn", function()
    local claim = outbox.claim(conn, WHICH)
    assert.is_true(outbox.renew(conn, claim, 10, true))
    expire()
    assert.same({}, outbox.take_up(conn, 8))
    assert.same({ "pending", 0 }, { row().state, row().attempts })
    claim = outbox.claim(conn, WHICH)
    outbox.renew(conn, claim, 10, true)
    outbox.renew(conn, claim, 10, false)
    expire()
    assert.same({}, outbox.take_up(conn, 8))
    assert.equal(1, row().attempts)
    assert.equal("program 'ALS': the relay that had it ended without a word (attempt 1 of 8)", row().last_error)
    outbox.claim(conn, WHICH)
    expire()
    outbox.take_up(conn, 8)
    assert.equal(2, row().attempts) -- it may be the reading of the entity that ends relays
    assert.is_nil(row().payload.idle)
  end)

  it("sets the change aside in the end, with what is known and the remedy", function()
    conn:query "UPDATE outbox SET attempts = 7"
    outbox.claim(conn, WHICH)
    expire()
    local lab <close> = setmetatable({ at = labs.start() }, { __close = function(self) self.at:close() end })
    local counts, events = lab.at:deliver(conn)
    assert.same({ 1, "dead" }, { counts.dead, row().state })
    assert.equal("dead", events[1].kind)
    assert.matches("^program 'ALS': given up after 8 attempts; the relay that had it last ended without a word",
      events[1].line)
    assert.matches("ligase outbox %-%-retry " .. row().id .. "$", events[1].line)
    assert.equal(row().last_error, events[1].line)
    outbox.try_again(conn)
    assert.equal(1, lab.at:deliver(conn).created)
  end)

  it("of relays that are killed in a Retry-After never counts", function()
    local lab <close> = setmetatable({ at = labs.start() }, { __close = function(self) self.at:close() end })
    local other <close> = pg.connect(url)
    rate_limit.new(other, "notion", { per_minute = 6000 }):answered { retry_after_s = 60 }
    local env = { POSTGRES_URL = url }
    for name, value in pairs(lab.at.env) do
      env[name] = value
    end
    for _ = 1, 3 do
      local relay <close> = sys.spawn({ host.executable, "sync", "--watch" }, { env = env, stdout = "null",
        stderr = "null" })
      support.wait_until("the relay waits", function()
        return row().state == "running" and row().payload.idle
      end)
      relay:kill "KILL"
      relay:wait()
      expire()
      outbox.take_up(conn, 8)
      assert.same({ "pending", 0 }, { row().state, row().attempts })
    end
  end)
end)
