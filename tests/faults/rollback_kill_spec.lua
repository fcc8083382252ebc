--- kill -9 of rollbacks, and of rollbacks of rollbacks, of 200 datasets at many moments: all is
--- as before or as after, and the same command then finishes.
---
--- LIGASE_TEST_ROLLBACK_KILLS=500 makes it the long test.
local host = require "host"
local ingest = require "ligase.intake.ingest"
local ingesting = require "tests.lua.store.ingesting"
local ledger = require "tests.faults.ledger"
local rolling = require "tests.lua.store.rolling"
local support = require "tests.support"
local sys = require "sys"

local KILLS = math.tointeger(tonumber(sys.getenv "LIGASE_TEST_ROLLBACK_KILLS" or "")) or 10
local DATASETS = 200

--- The same moments in every run.
local function seeded(seed)
  return function()
    seed = (seed * 1103515245 + 12345) % 2147483648
    return seed / 2147483648
  end
end

describe("kill -9 of a rollback", function()
  local conn, url

  setup(function()
    conn, url = support.migrated()
  end)

  local function fill()
    local batch, recipe = sys.uuid7(), ingesting.recipe()
    for i = 1, DATASETS do
      local request <close> = ingest.request(support.tmpfile(("lipid,a\nx,%d\ny,2\n"):format(i)), recipe,
        { name = "d" .. i, batch_id = batch, program = "P" .. i % 7, create = true, tag = "kill" })
      ingest.store(conn, request)
    end
    return batch
  end

  --- The batch whose undoing is next: of the files, or of the latest rollback of them.
  local function next_batch()
    return conn:query([[SELECT batch_id FROM runs WHERE outcome = 'done' AND batch_id IS NOT NULL
      ORDER BY finished_at DESC, id DESC LIMIT 1]])[1].batch_id
  end

  local function rollback(batch)
    local began = sys.monotonic()
    local result = support.ligase { "rollback", "--batch", batch, database = url }
    return result, sys.monotonic() - began
  end

  local function kill(batch, after_s)
    local child <close> = sys.spawn({ host.executable, "rollback", "--batch", batch },
      { env = { POSTGRES_URL = url }, stdout = "null", stderr = "null" })
    sys.sleep(after_s)
    child:kill("KILL")
    child:wait(10)
    assert.is_true(ledger.wait_until_quiet(conn))
  end

  it(("at %d moments leaves all of it or nothing #slow"):format(KILLS), function()
    local random = seeded(20261128)
    local batch = fill()
    local there, everything = rolling.counting(conn), rolling.snapshot(conn)
    local result, whole_s = rollback(batch)
    assert.equal(0, result.code, result.stderr)
    local gone = rolling.counting(conn)
    assert.not_same({}, rolling.difference(there, gone))
    assert.equal(0, rollback(next_batch()).code)

    local is_there, killed, finished = true, 0, 0
    for _ = 1, KILLS do
      local before, after = is_there and there or gone, is_there and gone or there
      local target = next_batch()
      kill(target, whole_s * random() * 1.2)
      local now = rolling.counting(conn)
      local is_before = #rolling.difference(before, now) == 0
      local is_after = #rolling.difference(after, now) == 0
      assert.is_true(is_before or is_after)
      killed, finished = killed + (is_before and 1 or 0), finished + (is_after and 1 or 0)
      result = rollback(target)
      -- What was finished in time cannot be done twice.
      assert.equal(is_before and 0 or 2, result.code, result.stderr)
      assert.same({}, rolling.difference(after, rolling.counting(conn)))
      is_there = not is_there
      if is_there then
        assert.same({}, rolling.difference(everything, rolling.snapshot(conn, everything)))
      end
    end
    assert.equal(KILLS, killed + finished)
    assert.is_true(killed > 0)
  end)
end)
