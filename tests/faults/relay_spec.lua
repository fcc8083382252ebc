--- Relays that are killed, and a Notion that fails in every way it can: no change is lost, no
--- page is made twice, no request comes inside a Retry-After or above the budget.
---
--- LIGASE_RELAY_ROWS=10000 runs the whole proof.
local entities = require "ligase.store.entities"
local host = require "host"
local labs = require "tests.lua.sync.lab"
local support = require "tests.support"
local sys = require "sys"

local ROWS = tonumber(sys.getenv "LIGASE_RELAY_ROWS") or 1000
local RELAYS, KILL_EVERY_S, CLOCK, BUDGET = 4, 1, 30, 180
local BATCHES = 20

--- One request in five fails.
local FAULTS = "lost_reply=0.03,unavailable_committed=0.03,unavailable_named=0.02,rate_limited=0.02,overloaded=0.015,"
  .. "slow=0.01,truncated=0.015,cut_json=0.01,html=0.01,unavailable=0.01,closed=0.01,internal_error=0.01,"
  .. "bad_gateway=0.005,gateway_timeout=0.005,conflict=0.01"

local function seeded(seed)
  return function(most)
    seed = (seed * 1103515245 + 12345) % 2147483648
    return seed // 7 % most + 1
  end
end

--- Some changes in one transaction: programs made, changed and deleted.
local function change_some(conn, live, random, count)
  entities.change(conn, { command = "spec", outbox = true }, function(changes)
    local touched = {}
    for _ = 1, count do
      local dice = #live < 5 and 1 or random(100)
      local at = random(math.max(1, #live))
      if dice <= 45 or touched[live[at]] then
        live.made = live.made + 1
        local name = "P" .. live.made
        changes:create("program", { name = name, description = "made" })
        live[#live + 1], touched[name] = name, true
      elseif dice <= 92 then
        live.edits = live.edits + 1
        changes:update("program", live[at], { description = "edit " .. live.edits, disease = "d" .. live.edits })
        touched[live[at]] = true
      else
        touched[live[at]] = true
        changes:delete("program", live[at])
        table.remove(live, at)
      end
    end
  end)
end

describe("relays under faults", function()
  local lab, conn, url

  setup(function()
    lab = labs.start { clock = CLOCK, budget = BUDGET }
    conn, url = support.migrated()
  end)

  teardown(function()
    lab:close()
  end)

  local function start()
    local env = { LIGASE_WORKSPACE = lab.folder }
    for name, value in pairs(lab.env) do
      env[name] = value
    end
    return sys.spawn({ host.executable, host.home .. "/tests/faults/relay_worker.lua", url, tostring(CLOCK) },
      { env = env, stdout = "null", stderr = lab.folder .. "/relays", append = true })
  end

  local function open()
    return conn:query("SELECT count(*) AS n FROM outbox WHERE state IN ('pending', 'running')")[1].n
  end

  --- Every entity has exactly one live page that says what Postgres says, and no other has one.
  local function assert_equal_sides()
    local by_key = {}
    for _, page in ipairs(lab:pages "programs") do
      assert.is_nil(by_key[page.key], "two pages of " .. page.key)
      by_key[page.key] = page.id
    end
    local all = lab:all "programs"
    local rows = conn:query "SELECT id, name, description, disease, notion_page_id FROM programs"
    for _, row in ipairs(rows) do
      assert.equal(row.notion_page_id, by_key[row.id], row.name)
      local said = all[row.notion_page_id]
      assert.same({ row.name, row.description, row.disease[1] }, { said.Name, said.Description,
        said.Disease and said.Disease[1] })
      by_key[row.id] = nil
    end
    assert.is_nil(next(by_key), "a page of an entity that is gone")
    return #rows
  end

  it(("lose nothing of %d changes #slow"):format(ROWS), function()
    lab:faults(FAULTS, { slow_s = 1, retry_after_s = 5 })
    local relays, live, random, kills = {}, { made = 0, edits = 0 }, seeded(20261128), 0
    local closing <close> = setmetatable({}, { __close = function() -- luacheck: ignore
      for _, process in ipairs(relays) do
        process:kill "KILL"
        process:close()
      end
    end })
    for i = 1, RELAYS do
      relays[i] = start()
    end
    local began, told, next_kill = sys.monotonic(), 0, sys.monotonic() + KILL_EVERY_S
    local deadline = began + 120 + ROWS * 0.5
    while (told < BATCHES or open() > 0) and sys.monotonic() < deadline do
      if told < BATCHES and open() < ROWS / 4 then
        told = told + 1
        change_some(conn, live, random, ROWS // BATCHES)
      end
      sys.sleep(0.05)
      if sys.monotonic() >= next_kill then
        local i = random(RELAYS)
        relays[i]:kill "KILL"
        relays[i]:close()
        relays[i], kills, next_kill = start(), kills + 1, sys.monotonic() + KILL_EVERY_S
      end
    end
    local seconds = sys.monotonic() - began
    lab:faults()
    assert.equal(0, open(), sys.read_file(lab.folder .. "/relays"))
    local counters = lab:counters()
    assert.same({}, table.move(conn:query "SELECT last_error FROM outbox WHERE state = 'dead'", 1, 9, 1, {}))
    assert.equal(0, counters.inside_retry_after)
    assert.is_true(counters.most_in_60_s <= BUDGET, counters.most_in_60_s .. " requests in 60 s")
    local changes = conn:query("SELECT count(*) AS n FROM outbox")[1].n
    assert.is_true(changes >= ROWS - BATCHES)
    local failed = 0
    for _, count in pairs(counters.faults.happened) do
      failed = failed + count
    end
    assert.is_true(failed > ROWS / 10)
    local entities_left = assert_equal_sides()
    if sys.getenv "LIGASE_RELAY_ROWS" then
      print(("%d changes, %d entities, %d requests (%d failed), %d kills, %.0f s, at most %d requests in 60 s"):format(
        changes, entities_left, counters.requests, failed, kills, seconds, counters.most_in_60_s))
    end
  end)

  it("make one page each when 500 replies are lost, and set one poisoned change aside #slow", function()
    local unlimited = labs.start()
    local closing <close> = setmetatable({}, { __close = function() unlimited:close() end }) -- luacheck: ignore
    local fresh = support.migrated()
    entities.change(fresh, { command = "spec", outbox = true }, function(changes)
      local list = {}
      for i = 1, 1000 do
        list[i] = { name = "P" .. i, disease = i == 700 and ("x"):rep(101) or "d" }
      end
      changes:upsert("program", list)
    end)
    unlimited:faults "lost_reply@page_create*500"
    local counts = unlimited:deliver(fresh, { patience_s = 30 })
    assert.same({ 999, 1 }, { counts.created + counts.adopted, counts.dead })
    assert.equal(500, unlimited:counters().faults.happened.lost_reply)
    local duplicates = unlimited:ask("GET", ("/_standin/duplicates?data_source=%s&property=Ligase%%20ID"):format(
      unlimited.sources.programs))
    assert.same({ 999, 999, 0 }, { duplicates.live_pages, duplicates.distinct, #duplicates.duplicates })
    local dead = fresh:query "SELECT payload ->> 'name' AS name, last_error FROM outbox WHERE state = 'dead'"
    assert.same({ 1, "P700" }, { #dead, dead[1].name })
    assert.matches("program 'P700': property 'Disease'.*longer than 100 characters", dead[1].last_error)
  end)
end)
