--- Phases: measured, entered, left again; both systems equal in the end. LIGASE_PHASE_CHANGES=1000
--- runs the round trip with as many changes in each phase.
local entities = require "ligase.store.entities"
local host = require "host"
local labs = require "tests.lua.sync.lab"
local ledger = require "tests.faults.ledger"
local policy_of = require "ligase.sync.policy"
local support = require "tests.support"
local sys = require "sys"

local CHANGES = tonumber(sys.getenv "LIGASE_PHASE_CHANGES") or 20

--- Of the changes in a phase.
local CHANGED, DELETED = CHANGES // 3, CHANGES // 6
local MADE = CHANGES - CHANGED - DELETED

local FLAGS = {
  notion_primary = { USE_POSTGRES_AS_SOT = "false", ENABLE_DUAL_WRITE = "false", ENABLE_NOTION_SYNC = "false" },
  dual_write = { USE_POSTGRES_AS_SOT = "true", ENABLE_DUAL_WRITE = "true", ENABLE_NOTION_SYNC = "false" },
  postgres_primary = { USE_POSTGRES_AS_SOT = "true", ENABLE_DUAL_WRITE = "false", ENABLE_NOTION_SYNC = "true" },
  postgres_only = { USE_POSTGRES_AS_SOT = "true", ENABLE_DUAL_WRITE = "false", ENABLE_NOTION_SYNC = "false" },
}

local function title(text)
  return { title = { { text = { content = text } } } }
end

local function rich(text)
  return { rich_text = { { text = { content = text } } } }
end

describe("phases", function()
  local lab, conn, url, workspace

  before_each(function()
    lab = labs.start()
    conn, url = support.migrated()
    workspace = support.workspace()
  end)

  after_each(function()
    lab:close()
  end)

  --- Runs the executable with the flags of a phase.
  local function ligase(phase, words, env)
    words.env = {}
    for _, list in ipairs { FLAGS[phase], env or {} } do
      for name, value in pairs(list) do
        words.env[name] = value
      end
    end
    words.database, words.workspace, words.timeout_s = url, workspace, 600
    return lab:ligase(words)
  end

  local function ok(phase, words, env)
    local result = ligase(phase, words, env)
    assert.equal(0, result.code, result.stdout .. result.stderr)
    return result
  end

  local function stored()
    local row = conn:query("SELECT phase FROM lab_phase")[1]
    return row and row.phase
  end

  --- Every entity has exactly one live page that says what Postgres says.
  local function assert_equal_sides(phase)
    local result = ok(phase, { "reconcile", "--format", "json" })
    for _, one in ipairs(labs.json.decode(result.stdout)) do
      assert.same({ 0, 0, 0, 0, 0, one.entities }, { one.missing, one.extra, one.differing, one.duplicates,
        one["on their way"], one.equal }, one.entity)
    end
    for _, entity_type in ipairs(policy_of.TYPES) do
      local seen = {}
      for _, page in ipairs(lab:pages(entity_type)) do
        assert.is_nil(seen[page.key], "two pages of " .. tostring(page.key))
        seen[page.key or page.id] = true
      end
    end
  end

  local function make_page(name)
    return lab:ask("POST", "/v1/pages", { parent = { type = "data_source_id", data_source_id = lab.sources.programs },
      properties = { Name = title(name), Description = rich "written in Notion" } })
  end

  local function ready_for_next(phase)
    ok(phase, { "sync" })
    ok(phase, { "ingest", "--omics", "lipidomics", "--name", "plasma", workspace .. "/plasma.csv" })
    ok(phase, { "sync" })
    for _ = 1, 3 do
      ok(phase, { "reconcile" })
    end
  end

  --- Changes through the library, as a script of the lab's does.
  local function change(phase, label)
    local script = ([[
local ligase = require "ligase"
ligase.change(function(changes)
  for i = 1, %d do
    changes:create("experiment", { name = %q .. i, programs = { "ALS" }, description = "made" })
  end
end)
ligase.change(function(changes)
  for i = 1, %d do
    changes:update("experiment", %q .. i, { description = "changed " .. i, stage = "discovery" })
  end
end)
ligase.change(function(changes)
  for i = 1, %d do
    changes:delete("experiment", %q .. i)
  end
end)]]):format(MADE, label, CHANGED, label, DELETED, label)
    ok(phase, { "-e", script })
  end

  it(("come back to equal systems after %d changes in each #slow"):format(CHANGES), function()
    local file = assert(io.open(workspace .. "/plasma.csv", "w"))
    file:write "lipid,a,b\nPC 34:1,1,2\nPE 36:2,3,4\n"
    file:close()
    make_page "ALS"
    for i = 1, CHANGES do
      make_page("Old " .. i)
    end
    local first = ligase("notion_primary", { "phase" })
    assert.equal(1, first.code, first.stderr)
    assert.equal("", first.stderr)
    assert.matches("taken_over +" .. require("ligase.base.text").number(CHANGES + 1), first.stdout)
    ok("notion_primary", { "import", "notion" })
    make_page "Late"
    local refused = ligase("notion_primary", { "phase", "advance" })
    assert.same({ 1, nil }, { refused.code, stored() })
    assert.matches("not advanced: taken_over is not green", refused.stdout, 1, true)
    ok("notion_primary", { "import", "notion" })
    ok("notion_primary", { "phase", "advance" })
    assert.equal("dual_write", stored())
    change("dual_write", "D")
    ready_for_next "dual_write"
    ok("dual_write", { "phase", "advance" })
    assert.equal("postgres_primary", stored())
    change("postgres_primary", "P")
    ready_for_next "postgres_primary"
    ok("postgres_primary", { "phase", "advance" })
    assert.equal("postgres_only", stored())
    change("postgres_only", "O")
    ok("postgres_only", { "-e", "require('ligase').programs:update('Old 1', { description = 'only in Postgres' })" })
    assert.equal(0, conn:query("SELECT count(*) AS n FROM outbox WHERE state = 'pending'")[1].n)
    local before = conn:query("SELECT count(*) AS n FROM experiments")[1].n
    local back = ok("postgres_only", { "phase", "back", "--to", "postgres_primary" })
    assert.matches("remains  nothing: both systems say the same", back.stdout, 1, true)
    assert.matches(("of these with a page +[%%d,]+ +[%%d,]+ +%%+%d\n"):format(MADE - DELETED), back.stdout)
    assert_equal_sides "postgres_primary"
    change("postgres_primary", "Q")
    ok("postgres_primary", { "phase", "back" })
    assert.equal("dual_write", stored())
    change("dual_write", "R")
    ok("dual_write", { "phase", "back" })
    assert.equal("notion_primary", stored())
    assert_equal_sides "notion_primary"
    -- and forward once more, with what was written in Notion meanwhile
    local page = conn:query("SELECT notion_page_id AS id FROM programs WHERE name = 'Old 1'")[1].id
    lab:edit(page, { Description = rich "Notion's word" })
    conn:query "UPDATE programs SET description = 'a stray word of Postgres' WHERE name = 'Old 1'"
    ok("notion_primary", { "phase", "advance" })
    assert.equal("Notion's word", conn:query("SELECT description FROM programs WHERE name = 'Old 1'")[1].description)
    assert.equal(before + 2 * (MADE - DELETED), conn:query("SELECT count(*) AS n FROM experiments")[1].n)
    assert.equal(7, conn:query("SELECT count(*) AS n FROM phase_changes WHERE state = 'done'")[1].n)
    assert.equal(7, conn:query("SELECT count(*) AS n FROM runs WHERE command LIKE 'phase %' AND outcome = 'done'")[1].n)
  end)

  local function store(phase)
    conn:query("INSERT INTO lab_phase (phase, entered_at) VALUES ($1, now() - interval '1 hour')", phase)
  end

  local function gates(phase, env)
    local by_name = {}
    local result = ligase(phase, { "phase", "--format", "json" }, env)
    for _, gate in ipairs(labs.json.decode(result.stdout)) do
      by_name[gate.gate] = gate
    end
    return by_name, result
  end

  local function programs(...)
    local names = { ... }
    entities.change(conn, { command = "spec", outbox = true }, function(changes)
      for _, name in ipairs(names) do
        changes:create("program", { name = name })
      end
    end)
  end

  it("measure every gate, and say what is missing", function()
    store "dual_write"
    programs("ALS", "Ageing")
    local found, result = gates "dual_write"
    assert.equal(1, result.code)
    assert.same({ 2, false }, { found.outbox.value, found.outbox.is_green })
    assert.same({ 2, "2 of programs: ligase sync; ligase reconcile --fix notion" },
      { found.counterparts.value, found.counterparts.missing })
    assert.matches("none was made in this phase", found.drift.missing, 1, true)
    assert.same({ 0, true }, { found.notion.value, found.notion.is_green })
    assert.same({ 0, labs.json.null, false }, { found.untold.value, found.parity.value, found.parity.is_green })
    assert.same({ "0 compared, 2 on their way", "wait until Notion was told: ligase sync" },
      { found.parity.wanted, found.parity.missing })
    conn:query "UPDATE outbox SET state = 'discarded', finished_at = now()"
    assert.equal(2, gates("dual_write").untold.value)
    ok("dual_write", { "reconcile", "--fix", "notion" })
    ok("dual_write", { "sync" })
    lab:edit(lab:pages("programs")[1].id, { Description = rich "by a person" })
    ligase("dual_write", { "reconcile" })
    found = gates "dual_write"
    -- a check that had something to repair is none that found nothing
    assert.same({ 0, 0, 0, 3, 1 }, { found.outbox.value, found.untold.value, found.counterparts.value,
      found.drift.value, found.parity.value })
    assert.matches("differs in Description: ligase reconcile", found.parity.missing, 1, true)
    assert.equal(2, conn:query("SELECT sampled FROM parity_checks ORDER BY checked_at DESC LIMIT 1")[1].sampled)
  end)

  it("are not entered when a gate cannot be measured", function()
    store "dual_write"
    local down = { NOTION_API_URL = "http://127.0.0.1:1" }
    local found = gates("dual_write", down)
    assert.matches("^cannot be measured: ", found.notion.missing)
    assert.equal(labs.json.null, found.notion.value)
    local result = ligase("dual_write", { "phase", "advance" }, down)
    assert.equal(1, result.code)
    assert.matches("not advanced: notion", result.stdout, 1, true)
    assert.same({ "dual_write", 0 }, { stored(), conn:query("SELECT count(*) AS n FROM phase_changes")[1].n })
  end)

  it("pass a gate by its name and with a reason, which is kept", function()
    store "postgres_primary"
    local result = ligase("postgres_primary", { "phase", "advance", "--override", "drift" })
    assert.equal(2, result.code)
    result = ligase("postgres_primary", { "phase", "advance", "--override", "drfit", "--reason", "x" })
    assert.equal(2, result.code)
    assert.matches("there is no gate 'drfit' here. Did you mean 'drift'?", result.stderr, 1, true)
    result = ligase("postgres_primary", { "phase", "advance" })
    assert.matches("not advanced: drift is not green", result.stdout, 1, true)
    ok("postgres_primary", { "phase", "advance", "--override", "drift", "--reason", "nobody reads the pages" })
    assert.equal("postgres_only", stored())
    assert.same({ drift = "nobody reads the pages" }, conn:query("SELECT overrides FROM phase_changes")[1].overrides)
    assert.equal("nobody reads the pages",
      conn:query("SELECT arguments -> 'overrides' ->> 'drift' AS why FROM runs WHERE command = 'phase advance'")[1].why)
    assert.matches("drift: nobody reads the pages", ok("postgres_only", { "phase", "history" }).stdout, 1, true)
  end)

  it("end where they end", function()
    store "postgres_only"
    local result = ligase("postgres_only", { "phase", "advance" })
    assert.same({ 2, "" }, { result.code, result.stdout })
    assert.matches("'postgres_only' is the last phase. To go back: ligase phase back", result.stderr, 1, true)
    conn:query "UPDATE lab_phase SET phase = 'notion_primary'"
    result = ligase("notion_primary", { "phase", "back" })
    assert.equal(2, result.code)
    assert.matches("'notion_primary' is the first phase. To go forward: ligase phase advance", result.stderr, 1, true)
  end)

  it("are undone by going back, and not by a rollback", function()
    store "postgres_primary"
    programs "ALS"
    ok("postgres_primary", { "sync" })
    ok("postgres_primary", { "reconcile" })
    ok("postgres_primary", { "phase", "advance", "--override", "drift", "--reason", "spec" })
    local id = conn:query("SELECT id FROM runs WHERE command = 'phase advance'")[1].id
    for _, word in ipairs { "last", id:sub(1, 18), id } do
      local result = ligase("postgres_only", { "rollback", "--cascade", word })
      assert.equal(2, result.code)
      assert.matches(("run %s is a change of phase, from postgres_primary to postgres_only. "):format(id)
        .. "Undo it with: ligase phase back --to postgres_primary", result.stderr, 1, true)
    end
    assert.equal("postgres_only", stored())
    ok("postgres_only", { "phase", "back", "--to", "postgres_primary" })
    local result = ligase("postgres_primary", { "rollback", "last" })
    assert.matches("Undo it with: ligase phase advance --to postgres_only", result.stderr, 1, true)
    -- What was written before is undone in any phase; a comparison wrote nothing.
    conn:query "DELETE FROM runs WHERE command LIKE 'phase %'"
    id = conn:query("SELECT id FROM runs WHERE command = 'reconcile' LIMIT 1")[1].id
    assert.matches("compared both systems and changed nothing",
      ligase("postgres_primary", { "rollback", id }).stderr, 1, true)
    assert.matches("program ALS: removed", ok("postgres_primary", { "rollback", "last" }).stdout, 1, true)
  end)

  it("write nothing in a dry run, and show every effect", function()
    programs("ALS", "Ageing")
    conn:query "DELETE FROM outbox"
    make_page "Old"
    local result = ligase("postgres_only", { "phase", "back", "--dry-run" })
    assert.equal(0, result.code, result.stderr)
    assert.matches("2 entities that Notion was not told of into the outbox (2 programs)", result.stdout, 1, true)
    assert.matches("2 changes to Notion", result.stdout, 1, true)
    assert.matches("postgres_only becomes postgres_primary", result.stdout, 1, true)
    result = ligase("notion_primary", { "phase", "advance", "--dry-run" })
    assert.matches("1 page of Notion's looked at: 1 entity new", result.stdout, 1, true)
    for tbl, count in pairs { outbox = 0, phase_changes = 0, programs = 2 } do
      assert.equal(count, conn:query("SELECT count(*) AS n FROM " .. tbl)[1].n, tbl)
    end
    assert.is_nil(stored())
  end)

  it("stay as they were when a script raises half-way, and go on when it is mended", function()
    programs "ALS"
    sys.mkdir(workspace .. "/migrations/phases", { parents = true })
    local path = workspace .. "/migrations/phases/postgres_only.lua"
    local file = assert(io.open(path, "w"))
    file:write [[
local phases = require "ligase.sync.phases"
return phases.define { name = "postgres_only", check = function() end, enter = function() end,
  verify = function(gate) gate:nothing_lost() end,
  leave = function(change)
    change:tell_notion()
    local nothing
    change:deliver(nothing.at_all)
  end }
]]
    file:close()
    conn:query "DELETE FROM outbox"
    local result = ligase("postgres_only", { "phase", "back" })
    assert.equal(2, result.code)
    assert.matches("postgres_only.lua:7: leave of phase 'postgres_only' failed: attempt to index a nil value",
      result.stderr, 1, true)
    assert.is_nil(stored())
    assert.equal("failed", conn:query("SELECT state FROM phase_changes")[1].state)
    sys.remove(path)
    ok("postgres_only", { "phase", "back" })
    assert.equal("postgres_primary", stored())
    assert.equal(1, #lab:pages "programs")
    assert.same({ "failed", "done" }, { conn:query("SELECT outcome FROM runs WHERE command = 'phase back' "
      .. "ORDER BY started_at")[1].outcome, conn:query("SELECT outcome FROM runs WHERE command = 'phase back' "
      .. "ORDER BY started_at DESC")[1].outcome })
  end)

  --- A script of the lab's for postgres_only, with a line of its own in one of its functions.
  local function own_script(lines)
    sys.mkdir(workspace .. "/migrations/phases", { parents = true })
    sys.write_file(workspace .. "/migrations/phases/postgres_only.lua", ([[
local phases = require "ligase.sync.phases"
return phases.define { name = "postgres_only",
  check = function(gate) gate:outbox() %s end,
  enter = function() %s end,
  verify = function(gate) gate:nothing_lost() %s end,
  leave = function(change) change:tell_notion() change:deliver() change:compare() end,
}
]]):format(lines.check or "", lines.enter or "", lines.verify or ""))
  end

  it("say of a script's slip where it is, and of what must hold that it cannot be passed", function()
    store "postgres_primary"
    own_script { check = "gate:measure('mine', '0 x', function() gate.conn:query 'SELECT nonsense' end)" }
    local result = ligase("postgres_primary", { "phase", "advance" })
    assert.equal(2, result.code)
    assert.matches("postgres_only.lua: check of phase 'postgres_only' failed: column \"nonsense\" does not exist",
      result.stderr, 1, true)
    sys.write_file(workspace .. "/migrations/phases/postgres_only.lua",
      "return require 'ligase.sync.phases'.define { name = 'postgres_only', check = function() end }")
    result = ligase("postgres_primary", { "phase" })
    assert.equal(2, result.code)
    assert.matches("postgres_only.lua: phases.define: option '%l+' is missing", result.stderr)
    own_script { verify = "gate:measure('mine', '0 x', function() return 3, nil, 'do this' end)" }
    result = ligase("postgres_primary", { "phase", "advance" })
    assert.equal(1, result.code)
    assert.matches("red +mine +3 +0 x +do this\nnot advanced: mine is not green; it has to hold after the change, so "
      .. "nothing was changed\n", result.stdout)
    assert.equal("postgres_primary", stored())
    result = ligase("postgres_primary", { "phase", "advance", "--override", "mine", "--reason", " " })
    assert.matches("--reason is empty. Say why", result.stderr, 1, true)
  end)

  it("show whether a change that was begun is under way", function()
    store "postgres_primary"
    own_script { enter = "require('sys').sleep(30)" }
    local env = { POSTGRES_URL = url, LIGASE_WORKSPACE = workspace }
    for _, list in ipairs { lab.env, FLAGS.postgres_primary } do
      for name, value in pairs(list) do
        env[name] = value
      end
    end
    local process <close> = sys.spawn({ host.executable, "phase", "advance" }, { env = env, cwd = workspace,
      stdout = workspace .. "/said", stderr = "stdout" })
    for _ = 1, 200 do
      if conn:query("SELECT count(*) AS n FROM phase_changes WHERE state = 'begun'")[1].n == 1 then
        break
      end
      sys.sleep(0.05)
    end
    assert.equal("", sys.read_file(workspace .. "/said"))
    assert.matches("begun +advance to postgres_only at .*, under way in another process",
      ligase("postgres_primary", { "phase" }).stdout)
    assert.matches("another process is changing the phase", ligase("postgres_primary", { "phase", "back" }).stderr, 1,
      true)
    process:kill "KILL"
    process:wait(10)
    assert.is_true(ledger.wait_until_quiet(conn))
    assert.matches("not ended: ligase phase advance --to postgres_only goes on",
      ligase("postgres_primary", { "phase" }).stdout, 1, true)
  end)

  it("take overrides of gates that only some of several steps have", function()
    store "dual_write"
    programs "ALS"
    ok("dual_write", { "sync" })
    local result = ligase("dual_write", { "phase", "advance", "--to", "postgres_only", "--override", "parity",
      "--override", "drfit", "--reason", "spec" })
    assert.equal(2, result.code)
    assert.matches("there is no gate 'drfit' here. Did you mean 'drift'?", result.stderr, 1, true)
    assert.equal("dual_write", stored())
    ok("dual_write", { "phase", "advance", "--to", "postgres_only", "--override", "parity", "--override", "drift",
      "--reason", "spec" })
    assert.equal("postgres_only", stored())
  end)

  it("do not go back while something of Postgres is missing in Notion", function()
    store "postgres_primary"
    programs("ALS", "Ageing")
    ok("postgres_primary", { "sync" })
    local page = conn:query("SELECT notion_page_id AS id FROM programs WHERE name = 'ALS'")[1].id
    lab:edit(page, { Description = rich "by a person" })
    conn:query "UPDATE programs SET description = 'by a script' WHERE name = 'ALS'"
    local result = ligase("postgres_primary", { "phase", "back" })
    assert.equal(1, result.code, result.stderr)
    assert.matches("remains  program 'ALS': differs", result.stdout, 1, true)
    assert.matches("not gone back: replayed is not green", result.stdout, 1, true)
    assert.equal("postgres_primary", stored())
    conn:query "UPDATE programs SET description = NULL WHERE name = 'ALS'"
    result = ok("postgres_primary", { "phase", "back" }) -- what only a person wrote is in nobody's way
    assert.matches("going on with what was begun", result.stdout, 1, true)
    assert.matches("remains  program 'ALS': differs", result.stdout, 1, true)
    assert.equal("dual_write", stored())
  end)

  it("win over flags that say something else, and say how to settle it", function()
    store "dual_write"
    local result = ok("postgres_only", { "program", "create", "ALS" })
    assert.equal("ligase: the database is in phase dual_write, and the flags mean postgres_only: the stored phase "
      .. "wins. Settle it: set ENABLE_DUAL_WRITE=true (now: environment); or change the phase (ligase phase)\n",
      result.stderr)
    assert.equal(1, conn:query("SELECT count(*) AS n FROM outbox")[1].n)
    result = ok("postgres_only", { "-e", "require('ligase').programs:create { name = 'Ageing' }" })
    assert.matches("the stored phase wins", result.stderr, 1, true)
    ok("postgres_only", { "-e", "require('ligase').dual_write {}:create_program { name = 'NASH' }" })
    assert.equal(3, conn:query("SELECT count(*) AS n FROM outbox")[1].n)
    result = ok("postgres_only", { "sync" })
    assert.matches("3 changes delivered", result.stdout, 1, true)
    local file = support.tmpfile("lipid,a\nPC 34:1,1\n", "x.csv")
    result = ok("notion_primary", { "ingest", "--omics", "lipidomics", file })
    assert.matches("the flags win, because Postgres is not asked", result.stderr, 1, true)
    conn:query "UPDATE lab_phase SET phase = 'notion_primary'"
    result = ligase("dual_write", { "program", "create", "MS" })
    assert.equal(2, result.code)
    assert.matches("Notion is written first, and Postgres is not written. Set USE_POSTGRES_AS_SOT=false", result.stderr,
      1, true)
    conn:query "UPDATE lab_phase SET phase = 'postgres_primary'"
    assert.equal("", ok("postgres_only", { "program", "create", "MS" }).stderr)
  end)
end)
