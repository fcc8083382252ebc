--- kill -9 at random moments of changes of phase and of rollbacks, in one workspace beside Notion:
--- what a command does is as before it or as after it, and the same command then finishes.
---
--- LIGASE_TEST_UNDO_KILLS=500 LIGASE_TEST_UNDO_DATASETS=200 makes it the long test;
--- LIGASE_TEST_SEED=7 takes other moments.
local host = require "host"
local ingest = require "ligase.intake.ingest"
local ingesting = require "tests.lua.store.ingesting"
local labs = require "tests.lua.sync.lab"
local ledger = require "tests.faults.ledger"
local rolling = require "tests.lua.store.rolling"
local support = require "tests.support"
local sys = require "sys"

local function number_from(name, default)
  return math.tointeger(tonumber(sys.getenv(name) or "")) or default
end

local KILLS = number_from("LIGASE_TEST_UNDO_KILLS", 8)
local DATASETS = number_from("LIGASE_TEST_UNDO_DATASETS", 25)
local SEED = number_from("LIGASE_TEST_SEED", 20261128)

--- Both systems are compared after so many kills, and in the end; and a new workspace is begun
--- after so many, because hashing a journal that grows takes longer and longer.
local COMPARED_EVERY, AT_ONCE = 25, 50

local BACK = { "phase", "back", "--to", "dual_write" }
local ADVANCE = { "phase", "advance", "--to", "postgres_only", "--override", "drift", "--override", "pipelines",
  "--reason", "spec" }

describe("kill -9 of changes of phase and of rollbacks", function()
  local lab, conn, url, workspace, env
  local tally = { before = 0, after = 0, between_phases = 0, in_time = 0 }

  local function open()
    lab = labs.start()
    conn, url = support.migrated()
    workspace = support.workspace()
    env = { LIGASE_WORKSPACE = workspace, POSTGRES_URL = url, ENABLE_NOTION_SYNC = "true" }
    for name, value in pairs(lab.env) do
      env[name] = env[name] or value
    end
    env.ENABLE_DUAL_WRITE = "false"
  end

  -- ---- commands ------------------------------------------------------------

  local function spawn(words)
    return sys.spawn(table.move(words, 1, #words, 2, { host.executable }), { env = env, cwd = workspace,
      stdout = lab.folder .. "/said", stderr = "stdout" })
  end

  local function run(words, code)
    local process <close> = spawn(words)
    local began = sys.monotonic()
    local ended = process:wait(300)
    assert.equal(code or 0, ended and ended.code, table.concat(words, " ") .. ": "
      .. sys.read_file(lab.folder .. "/said"):sub(-2000))
    return sys.monotonic() - began
  end

  --- Whether it was still at work when it was killed.
  local function kill(words, after_s)
    local process <close> = spawn(words)
    local ended = process:wait(after_s)
    if not ended then
      process:kill "KILL"
      process:wait(10)
    end
    assert.is_true(ledger.wait_until_quiet(conn))
    return not ended
  end

  -- ---- what there is -------------------------------------------------------

  local function fill()
    local batch, recipe = sys.uuid7(), ingesting.recipe()
    for i = 1, DATASETS do
      local request <close> = ingest.request(support.tmpfile(("lipid,a\nx,%d\ny,2\n"):format(i)), recipe,
        { name = "d" .. i, batch_id = batch, program = "P" .. i % 7, create = true })
      ingest.store(conn, request)
    end
  end

  local function stored()
    return conn:query("SELECT phase FROM lab_phase")[1].phase
  end

  --- What the science says: pages are the mirrors' own.
  local function science()
    return rolling.counting(conn, "- 'notion_page_id'")
  end

  local function assert_same(a, b, what)
    assert.same({}, rolling.difference(a, b), what)
  end

  local function assert_journal()
    local last = conn:query("SELECT to_phase, run_id FROM phase_changes WHERE state = 'done' "
      .. "ORDER BY finished_at DESC LIMIT 1")[1]
    if last then
      assert.equal(last.to_phase, stored())
      assert.equal("done", conn:query("SELECT outcome FROM runs WHERE id = $1", last.run_id)[1].outcome)
    end
    assert.is_true(conn:query("SELECT count(*) AS n FROM phase_changes WHERE state = 'begun'")[1].n <= 1)
    assert.equal(conn:query("SELECT count(*) AS n FROM phase_changes WHERE state = 'begun'")[1].n,
      conn:query("SELECT count(*) AS n FROM runs WHERE outcome = 'running'")[1].n)
  end

  local function equal_in_both(entity_type)
    local pages, all = {}, lab:all(entity_type)
    for _, page in ipairs(lab:pages(entity_type)) do
      assert.is_nil(pages[page.key], "two pages of " .. tostring(page.key))
      pages[page.key] = page.id
    end
    for _, row in ipairs(conn:query(("SELECT id, name, notion_page_id FROM %s"):format(entity_type))) do
      assert.equal(row.notion_page_id, pages[row.id], row.name)
      assert.equal(row.name, all[row.notion_page_id].Name)
      pages[row.id] = nil
    end
    assert.is_nil(next(pages), "a page of an entity that is gone")
  end

  --- Goes back to where Notion follows, and compares.
  local function compare()
    if stored() ~= "dual_write" then
      run(BACK)
    end
    run { "sync" }
    equal_in_both "programs"
    equal_in_both "datasets"
    assert.equal(0, conn:query("SELECT count(*) AS n FROM outbox WHERE state IN ('pending', 'running', 'dead')")[1].n)
  end

  -- ---- one of each ---------------------------------------------------------

  --- The batch whose undoing is next: of the files, or of the latest rollback of them.
  local function rollback_words()
    return { "rollback", "--batch", conn:query([[SELECT batch_id FROM runs WHERE outcome = 'done'
      AND batch_id IS NOT NULL ORDER BY finished_at DESC, id DESC LIMIT 1]])[1].batch_id }
  end

  local longest, sides = {}, {}

  local function roll(side)
    local words, before, everything = rollback_words(), science(), rolling.snapshot(conn)
    assert_same(sides[side], before)
    local was_killed = kill(words, math.random() * longest.roll * 1.1)
    local is_before = #rolling.difference(everything, rolling.snapshot(conn)) == 0
    if not is_before then
      assert_same(sides[not side], science(), "neither before nor after")
    end
    tally[is_before and "before" or "after"] = tally[is_before and "before" or "after"] + 1
    run(words, is_before and 0 or 2) -- what came to its end cannot be done twice
    assert_same(sides[not side], science())
    return was_killed
  end

  local function change_phase()
    local is_back = stored() == "postgres_only"
    local words, from, to = is_back and BACK or ADVANCE, stored(), is_back and "dual_write" or "postgres_only"
    if not is_back then
      run { "sync" } -- the gates want it
    end
    local before, row = science(), rolling.digest(conn, "lab_phase")
    local was_killed = kill(words, math.random() * longest[is_back] * 1.1)
    assert_same(before, science())
    assert_journal()
    local phase = stored()
    assert.is_true(phase == from or phase == to or phase == "postgres_primary", phase)
    if phase == from then
      assert.equal(row, rolling.digest(conn, "lab_phase"))
    end
    local where = phase == from and "before" or phase == to and "after" or "between_phases"
    tally[where] = tally[where] + 1
    longest[is_back] = math.max(longest[is_back] * 0.9, run(words))
    assert.equal(to, stored())
    assert_journal()
    assert_same(before, science())
    return was_killed
  end

  --- So many kills in one workspace, with a tally of what they came to.
  local function kill_some(kills)
    conn:query "INSERT INTO lab_phase (phase) VALUES ('postgres_only')"
    fill()
    sides[true] = science()
    longest[true], longest[false] = run(BACK), run(ADVANCE)
    longest.roll = run(rollback_words())
    sides[false] = science()
    assert.not_same({}, rolling.difference(sides[true], sides[false]))
    run(rollback_words())
    assert_same(sides[true], science())
    local killed, tries, is_there, compared = 0, 0, true, 0
    while killed < kills and tries < 3 * kills do
      tries = tries + 1
      local was_killed
      if math.random() < 0.5 then
        was_killed = roll(is_there)
        is_there = not is_there
      else
        was_killed = change_phase()
      end
      killed, tally.in_time = killed + (was_killed and 1 or 0), tally.in_time + (was_killed and 0 or 1)
      if killed >= compared + COMPARED_EVERY then
        compared = killed
        compare()
      end
    end
    compare()
    assert.is_true(killed >= kills, ("only %d killed"):format(killed))
  end

  it(("%d times leaves nothing half done #slow"):format(KILLS), function()
    math.randomseed(SEED)
    for first = 1, KILLS, AT_ONCE do
      open()
      local closing <close> = setmetatable({}, { __close = function() lab:close() end }) -- luacheck: ignore
      kill_some(math.min(AT_ONCE, KILLS - first + 1))
      if KILLS > AT_ONCE then
        io.stderr:write(("%d killed: %d as before, %d as after, %d at the phase in between; %d were quicker\n"):format(
          math.min(first + AT_ONCE - 1, KILLS), tally.before, tally.after, tally.between_phases, tally.in_time))
      end
    end
  end)
end)
