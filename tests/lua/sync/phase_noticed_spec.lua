--- Processes that outlive a change of phase notice it: watching relays and workers, scripts and
--- the REPL.
local entities = require "ligase.store.entities"
local host = require "host"
local jobs = require "ligase.store.jobs"
local labs = require "tests.lua.sync.lab"
local support = require "tests.support"
local sys = require "sys"

describe("a change of phase", function()
  local lab, conn, url, workspace, env

  before_each(function()
    lab = labs.start()
    conn, url = support.migrated()
    workspace = support.workspace()
    env = { LIGASE_WORKSPACE = workspace, POSTGRES_URL = url, ENABLE_NOTION_SYNC = "true" }
    for name, value in pairs(lab.env) do
      env[name] = env[name] or value
    end
    conn:query "INSERT INTO lab_phase (phase) VALUES ('dual_write')"
  end)

  after_each(function()
    lab:close()
  end)

  local function enter(phase)
    conn:query("UPDATE lab_phase SET phase = $1", phase)
  end

  local function start(...)
    return sys.spawn({ host.executable, ... }, { env = env, cwd = workspace, stdout = lab.folder .. "/said",
      stderr = "stdout" })
  end

  local function said()
    return sys.read_file(lab.folder .. "/said")
  end

  local function wait_for(sql, what)
    for _ = 1, 300 do
      if conn:query(sql)[1].n then
        return
      end
      sys.sleep(0.05)
    end
    error(what .. " does not come: " .. said())
  end

  local function program(name)
    entities.change(conn, { command = "spec", outbox = true }, function(changes)
      changes:create("program", { name = name })
    end)
  end

  local function told_of(name)
    return conn:query("SELECT count(*) AS n FROM outbox AS o JOIN runs AS r ON r.id = o.run_id "
      .. "WHERE o.payload ->> 'name' = $1", name)[1].n
  end

  it("is noticed by a relay that watches", function()
    local relay <close> = start("sync", "--watch")
    program "in dual_write"
    wait_for("SELECT count(notion_page_id) = 1 AS n FROM programs", "the first page")
    enter "postgres_only"
    for _ = 1, 300 do
      if said():find("the phase is postgres_only now", 1, true) then
        break
      end
      sys.sleep(0.05)
    end
    assert.matches("the phase is postgres_only now", said(), 1, true)
    program "in postgres_only"
    sys.sleep(2)
    assert.equal(1, #lab:pages "programs")
    enter "dual_write"
    wait_for("SELECT count(notion_page_id) = 2 AS n FROM programs", "the second page")
    relay:kill "TERM"
    assert.equal(130, relay:wait(10).code)
  end)

  it("is noticed by a worker that watches, with the file that it claims", function()
    local function queue(name)
      local path, content = ("%s/%s.csv"):format(workspace, name), "lipid,s\nx,1\n"
      sys.write_file(path, content)
      jobs.queue(conn, { key = name, command = "ingest", recipe = "lipidomics", arguments = "{}" },
        { { path = path, name = name, size_bytes = #content, modified_s = 0 } })
    end
    local worker <close> = sys.spawn({ host.executable, "worker", "--watch" }, { env = env, cwd = workspace,
      stdout = lab.folder .. "/worked", stderr = "stdout" })
    queue "first"
    wait_for("SELECT count(*) = 1 AS n FROM datasets", "the first dataset")
    assert.equal(1, told_of "first")
    enter "postgres_only"
    queue "second"
    wait_for("SELECT count(*) = 2 AS n FROM datasets", "the second dataset")
    assert.equal(0, told_of "second")
    enter "postgres_primary"
    queue "third"
    wait_for("SELECT count(*) = 3 AS n FROM datasets", "the third dataset")
    assert.equal(1, told_of "third")
    -- Where Postgres is not written at all, the file stays in the queue.
    enter "notion_primary"
    queue "fourth"
    local ended = worker:wait(20)
    assert.equal(2, ended and ended.code)
    assert.matches("the lab is in phase notion_primary since", sys.read_file(lab.folder .. "/worked"), 1, true)
    assert.same({ 3, "pending" }, { conn:query("SELECT count(*) AS n FROM datasets")[1].n,
      conn:query("SELECT state FROM jobs WHERE name = 'fourth'")[1].state })
  end)

  it("is noticed by scripts, with their next change", function()
    local script = workspace .. "/script.lua"
    sys.write_file(script, [[
local ligase = require "ligase"
local writer = ligase.dual_write {}
local function enter(phase)
  ligase.connection():query("UPDATE lab_phase SET phase = $1", phase)
end
ligase.programs:create { name = "a1" }
writer:create_program { name = "b1" }
enter "postgres_only"
ligase.programs:create { name = "a2" }
writer:create_program { name = "b2" }
enter "postgres_primary"
ligase.programs:create { name = "a3" }
writer:create_program { name = "b3" }
enter "notion_primary"
for _, work in ipairs { function() ligase.programs:create { name = "a4" } end,
    function() writer:create_program { name = "b4" } end } do
  local done, failure = pcall(work)
  print(done, failure.message:match "^the lab is in phase %S+")
end
]])
    local running <close> = start(script)
    assert.equal(0, running:wait(20).code, said())
    for name, count in pairs { a1 = 1, b1 = 1, a2 = 0, b2 = 0, a3 = 1, b3 = 1 } do
      assert.equal(count, told_of(name), name)
    end
    assert.matches("false\tthe lab is in phase notion_primary\nfalse\tthe lab is in phase notion_primary\n", said(), 1,
      true)
    assert.equal(6, conn:query("SELECT count(*) AS n FROM programs")[1].n)
  end)
end)
