--- Changes of phase that are killed at any moment: the phase is always the one before or the one
--- after, and the same command then finishes. LIGASE_PHASE_KILLS=500 kills as often.
local entities = require "ligase.store.entities"
local host = require "host"
local labs = require "tests.lua.sync.lab"
local support = require "tests.support"
local sys = require "sys"

local KILLS = tonumber(sys.getenv "LIGASE_PHASE_KILLS") or 10
local ENTITIES = 12

describe("changes of phase that are killed", function()
  local lab, conn, url, workspace, env

  setup(function()
    lab = labs.start()
    conn, url = support.migrated()
    workspace = support.workspace()
    env = { LIGASE_WORKSPACE = workspace, POSTGRES_URL = url, ENABLE_NOTION_SYNC = "true" }
    for name, value in pairs(lab.env) do
      env[name] = env[name] or value
    end
    env.ENABLE_DUAL_WRITE = "false"
  end)

  teardown(function()
    lab:close()
  end)

  local function stored()
    return conn:query("SELECT phase FROM lab_phase")[1].phase
  end

  --- What is stored is what the last change that came to its end says, and no two are begun.
  local function assert_whole(before, after)
    local phase = stored()
    local last = conn:query("SELECT to_phase, run_id FROM phase_changes WHERE state = 'done' "
      .. "ORDER BY finished_at DESC")[1]
    assert.is_true(phase == before or phase == "postgres_primary" or phase == after, phase)
    if last then
      assert.equal(last.to_phase, phase)
      assert.equal("done", conn:query("SELECT outcome FROM runs WHERE id = $1", last.run_id)[1].outcome)
    end
    assert.is_true(conn:query("SELECT count(*) AS n FROM phase_changes WHERE state = 'begun'")[1].n <= 1)
  end

  local function command(words)
    return sys.spawn(table.move(words, 1, #words, 2, { host.executable }), { env = env, cwd = workspace,
      stdout = lab.folder .. "/said", stderr = "stdout", append = true })
  end

  local function run(words)
    local process <close> = command(words)
    local began = sys.monotonic()
    local ended = process:wait(120)
    assert.equal(0, ended and ended.code, sys.read_file(lab.folder .. "/said"):sub(-2000))
    return sys.monotonic() - began
  end

  local BACK = { "phase", "back", "--to", "dual_write" }
  local ADVANCE = { "phase", "advance", "--to", "postgres_only", "--override", "drift", "--reason", "spec" }

  local round = 0

  --- What Notion is not told of: some made, some changed, some deleted.
  local function change()
    round = round + 1
    entities.change(conn, { command = "spec" }, function(changes)
      for i = 1, ENTITIES do
        changes:create("program", { name = ("P %d.%d"):format(round, i), description = "made" })
        if round > 1 and i % 3 == 0 then
          changes:update("program", ("P %d.%d"):format(round - 1, i - 1), { description = "changed" })
          changes:delete("program", ("P %d.%d"):format(round - 1, i))
        end
      end
    end)
  end

  local function kill_one(words, before, after, longest)
    local process <close> = command(words)
    local ended = process:wait(math.random() * longest)
    if not ended then
      process:kill "KILL"
      process:wait(10)
    end
    assert_whole(before, after)
    return not ended
  end

  it(("are before or after, %d times #slow"):format(KILLS), function()
    conn:query "INSERT INTO lab_phase (phase) VALUES ('postgres_only')"
    change()
    local longest = { [BACK] = run(BACK), [ADVANCE] = run(ADVANCE) }
    local killed, tries = 0, 0
    while killed < KILLS and tries < 3 * KILLS do
      tries = tries + 1
      local is_back = tries % 2 == 1
      local words = is_back and BACK or ADVANCE
      local before, after = is_back and "postgres_only" or "dual_write", is_back and "dual_write" or "postgres_only"
      if is_back then
        change()
      end
      killed = killed + (kill_one(words, before, after, longest[words]) and 1 or 0)
      run(words)
      assert.equal(after, stored())
      assert_whole(before, after)
    end
    assert.is_true(killed >= KILLS, ("only %d killed"):format(killed))
    if stored() == "postgres_only" then
      run(BACK)
    end
    assert.equal(0, conn:query("SELECT count(*) AS n FROM phase_changes WHERE state = 'begun'")[1].n)
    assert.equal(0, conn:query("SELECT count(*) AS n FROM outbox WHERE state IN ('pending', 'running', 'dead')")[1].n)
    local by_key = {}
    for _, page in ipairs(lab:pages "programs") do
      assert.is_nil(by_key[page.key], "two pages of " .. tostring(page.key))
      by_key[page.key] = page.id
    end
    local all = lab:all "programs"
    for _, row in ipairs(conn:query "SELECT id, name, description, notion_page_id FROM programs") do
      assert.equal(row.notion_page_id, by_key[row.id], row.name)
      assert.same({ row.name, row.description }, { all[row.notion_page_id].Name, all[row.notion_page_id].Description })
      by_key[row.id] = nil
    end
    assert.is_nil(next(by_key), "a page of an entity that is gone")
  end)
end)
