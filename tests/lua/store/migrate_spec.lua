local errors = require "ligase.base.errors"
local host = require "host"
local migrate = require "ligase.store.migrate"
local pg = require "pg"
local support = require "tests.support"
local sys = require "sys"

local function raised(fn, ...)
  local ok, failure = pcall(fn, ...)
  assert.is_false(ok, "an error was expected")
  assert.is_true(errors.is(failure), tostring(failure))
  return failure
end

--- A folder of migrations of our own, {["001_a.up"] = sql, ...}.
local function folder_of(files)
  local folder = support.workspace()
  for name, sql in pairs(files) do
    sys.write_file(("%s/%s.sql"):format(folder, name), sql)
  end
  return folder
end

local function two_steps()
  return folder_of {
    ["001_a.up"] = "CREATE TABLE a (x integer);", ["001_a.down"] = "DROP TABLE a;",
    ["002_b.up"] = "CREATE TABLE b (x integer);", ["002_b.down"] = "DROP TABLE b;",
  }
end

local function exists(conn, name)
  return conn:query("SELECT to_regclass($1) IS NOT NULL AS there", name)[1].there
end

local function first_column(conn, sql)
  local found = {}
  for i, row in ipairs(conn:table(sql)) do
    found[i] = row[1]
  end
  return found
end

local function names(list)
  local found = {}
  for i, step in ipairs(list) do
    found[i] = step.name
  end
  return found
end

describe("migrate.up", function()
  it("applies every step once and records who and what", function()
    local conn = support.connect()
    local folder = two_steps()
    assert.same({ "001_a", "002_b" }, names(migrate.up(conn, { folder = folder })))
    assert.is_true(exists(conn, "b"))
    local row = conn:query("SELECT * FROM schema_migrations WHERE step = 2")[1]
    assert.equal("002_b", row.name)
    assert.equal(sys.sha256("CREATE TABLE b (x integer);"), row.checksum)
    assert.equal(sys.sha256("DROP TABLE b;"), row.down_checksum)
    assert.equal(host.version, row.host_version)
  end)

  it("asks one question when there is nothing to do", function()
    local conn = support.connect()
    local folder = two_steps()
    migrate.up(conn, { folder = folder })
    local asked = 0
    conn:set_echo(function()
      asked = asked + 1
    end)
    assert.same({}, migrate.up(conn, { folder = folder }))
    assert.equal(1, asked)
    conn:set_echo(false)
  end)

  it("stops at the step asked for, and goes on from there", function()
    local conn = support.connect()
    local folder = two_steps()
    assert.same({ "001_a" }, names(migrate.up(conn, { folder = folder, to = 1 })))
    assert.is_false(exists(conn, "b"))
    assert.same({ "002_b" }, names(migrate.up(conn, { folder = folder })))
  end)

  it("takes a function that makes connections, and closes them", function()
    local conninfo, opened = support.database(), {}
    migrate.up(function()
      opened[#opened + 1] = pg.connect(conninfo)
      return opened[#opened]
    end, { folder = two_steps() })
    assert.equal(2, #opened) -- one to work, one for the lock
    for _, conn in ipairs(opened) do
      assert.is_false(conn:is_open())
    end
  end)

  it("leaves nothing of a step that fails, and names file and line", function()
    local conn = support.connect()
    local folder = two_steps()
    sys.write_file(folder .. "/002_b.up.sql", "CREATE TABLE b (x integer);\n\nCREATE TABEL c ();")
    local failure = raised(migrate.up, conn, { folder = folder })
    assert.equal("database", failure.kind)
    assert.equal("42601", failure.code)
    assert.equal(folder .. "/002_b.up.sql", failure.file)
    assert.equal(3, failure.line)
    assert.matches("002_b", failure.message, 1, true)
    assert.is_true(exists(conn, "a"))
    assert.is_false(exists(conn, "b"))
    assert.equal(1, select(2, migrate.state(conn)))
  end)

  it("names the command that goes on after a failure", function()
    local conn, folder = support.connect(), two_steps()
    sys.write_file(folder .. "/002_b.up.sql", "CREATE TABLE a ();")
    local failure = raised(migrate.up, conn, { folder = folder, to = 2 })
    assert.matches("Nothing of this step was done; after the remedy run: ligase migrate up --to 2 --folder " .. folder,
      failure.hint, 1, true)
    sys.write_file(folder .. "/002_b.up.sql", "SELECT 1;")
    sys.write_file(folder .. "/002_b.down.sql", "DROP TABLE nothing;")
    migrate.up(conn, { folder = folder })
    failure = raised(migrate.down, conn, { folder = folder })
    assert.matches("on the way down", failure.message, 1, true)
    assert.matches("run: ligase migrate down --to 1", failure.hint, 1, true)
    assert.equal(2, #migrate.status(conn, folder))
    assert.equal("applied", migrate.status(conn, folder)[2].state)
  end)

  it("leaves no trace of a first step that fails", function()
    local conn, folder = support.connect(), two_steps()
    sys.write_file(folder .. "/001_a.up.sql", "CREATE TABLE a (); SELECT 1 / 0;")
    raised(migrate.up, conn, { folder = folder })
    assert.is_false(exists(conn, "schema_migrations"))
  end)

  it("ends statements that take longer than allowed", function()
    local conn, folder = support.connect(), two_steps()
    sys.write_file(folder .. "/001_a.up.sql", "SELECT pg_sleep(20);")
    local failure = raised(migrate.up, conn, { folder = folder, statement_timeout_s = 0.05 })
    assert.equal("57014", failure.code)
    assert.matches("--statement-timeout", failure.hint, 1, true)
    assert.equal("0", conn:query("SHOW statement_timeout")[1].statement_timeout)
  end)

  it("stops when the connection that holds the lock is ended", function()
    local conninfo, folder, opened = support.database(), two_steps(), {}
    local admin <close> = pg.connect(conninfo)
    local failure = raised(migrate.up, function()
      opened[#opened + 1] = pg.connect(conninfo)
      return opened[#opened]
    end, { folder = folder, on_step = function()
      admin:query("SELECT pg_terminate_backend($1, 5000)", opened[2]:pid())
    end })
    assert.equal("migration_lock_lost", failure.code)
    assert.equal(1, select(2, migrate.state(admin)))
  end)

  it("says what it waits for, and that the waiting is over", function()
    local conninfo, folder, said = support.database(), two_steps(), {}
    local conn <close> = pg.connect(conninfo)
    migrate.up(conn, { folder = folder, to = 1 })
    sys.write_file(folder .. "/002_b.up.sql", "ALTER TABLE a ADD COLUMN y integer;")
    sys.write_file(folder .. "/002_b.down.sql", "ALTER TABLE a DROP COLUMN y;")
    local other <close> = pg.connect(conninfo)
    other:begin()
    other:query("SELECT * FROM a")
    migrate.up(conn, { folder = folder, say = function(line)
      said[#said + 1] = line or "over"
      if other:transaction_status() ~= "idle" then
        other:rollback()
      end
    end })
    assert.matches("002_b waits for tables that others use", said[1], 1, true)
    assert.equal("over", said[#said])
  end)

  it("changes nothing in a dry run, and tells what would be", function()
    local conn, folder = support.connect(), two_steps()
    migrate.up(conn, { folder = folder, to = 1 })
    conn:query("INSERT INTO a VALUES (1), (2)")
    local trials = migrate.up(conn, { folder = folder, dry_run = true })
    assert.same({ "002_b" }, names(trials))
    assert.same({ "table b comes" }, trials.effects)
    assert.is_false(exists(conn, "b"))
    trials = migrate.down(conn, { folder = folder, dry_run = true })
    assert.same({ "table a goes with its 2 rows" }, trials.effects)
    assert.equal(1, select(2, migrate.state(conn)))
    assert.equal("idle", conn:transaction_status())
    assert.equal(2, conn:query("SELECT count(*) AS n FROM a")[1].n)
  end)

  it("refuses a step that does not exist", function()
    assert.equal("usage", raised(migrate.up, support.connect(), { folder = two_steps(), to = 3 }).kind)
  end)

  it("refuses to go on when a file was changed after it was applied", function()
    local conn, folder = support.connect(), two_steps()
    migrate.up(conn, { folder = folder })
    sys.write_file(folder .. "/001_a.up.sql", "CREATE TABLE a (x bigint);")
    local failure = raised(migrate.up, conn, { folder = folder })
    assert.equal("migration_drift", failure.code)
    assert.equal(1, failure.step)
    assert.equal(folder .. "/001_a.up.sql", failure.file)
    assert.matches("new step", failure.hint)
    sys.write_file(folder .. "/001_a.up.sql", "CREATE TABLE a (x integer);")
    sys.write_file(folder .. "/002_b.down.sql", "DROP TABLE IF EXISTS b;")
    assert.equal(folder .. "/002_b.down.sql", raised(migrate.up, conn, { folder = folder }).file)
  end)

  it("refuses a renamed file, a database newer than the files, and gaps", function()
    local conn, folder = support.connect(), two_steps()
    migrate.up(conn, { folder = folder })
    sys.rename(folder .. "/002_b.up.sql", folder .. "/002_c.up.sql")
    sys.rename(folder .. "/002_b.down.sql", folder .. "/002_c.down.sql")
    assert.equal("migration_drift", raised(migrate.up, conn, { folder = folder }).code)
    sys.remove(folder .. "/002_c.up.sql")
    local failure = raised(migrate.up, conn, { folder = folder })
    assert.equal("migration_missing", failure.code)
    assert.matches("Restore the files of 002_b", failure.hint, 1, true)
    conn:query("UPDATE schema_migrations SET host_version = '9.9' WHERE step = 2")
    failure = raised(migrate.up, conn, { folder = folder })
    assert.equal("schema_newer", failure.code)
    assert.matches("step 2 (002_b, by ligase 9.9)", failure.message, 1, true)
    assert.matches("down --to 1", failure.hint, 1, true)
    conn:query("DELETE FROM schema_migrations WHERE step = 1")
    assert.equal("migration_gap", raised(migrate.up, conn, { folder = folder }).code)
  end)

  it("refuses files with gaps, with one number twice and without a way back", function()
    local sql = "SELECT 1;"
    local cases = {
      { ["001_a.up"] = sql, ["001_a.down"] = sql, ["003_c.up"] = sql, ["003_c.down"] = sql },
      { ["001_a.up"] = sql, ["001_a.down"] = sql, ["001_b.up"] = sql, ["001_b.down"] = sql },
      { ["001_a.up"] = sql },
      {},
    }
    local conn = support.connect()
    for _, files in ipairs(cases) do
      assert.equal("migration_files", raised(migrate.up, conn, { folder = folder_of(files) }).code)
    end
  end)

  it("says who holds the lock", function()
    local conninfo = support.database()
    local holder <close> = pg.connect(conninfo)
    local conn <close> = pg.connect(conninfo)
    holder:query("SET application_name = 'the other one'")
    holder:query("SELECT pg_advisory_lock($1)", 0x6C69676173650001)
    local failure = raised(migrate.up, conn, { folder = two_steps(), wait_s = 0.2 })
    assert.equal("migration_locked", failure.code)
    assert.matches("the other one", failure.message, 1, true)
    assert.matches(tostring(holder:pid()), failure.message, 1, true)
  end)

  it("gives up on tables that others keep locked, with nothing applied", function()
    local conninfo, folder = support.database(), two_steps()
    local other <close> = pg.connect(conninfo)
    local conn <close> = pg.connect(conninfo)
    migrate.up(conn, { folder = folder, to = 1 })
    sys.write_file(folder .. "/002_b.up.sql", "ALTER TABLE a ADD COLUMN y integer;")
    other:begin()
    other:query("SELECT * FROM a")
    local failure = raised(migrate.up, conn, { folder = folder, wait_s = 0.5 })
    assert.equal("55P03", failure.code)
    other:rollback()
    assert.same({ "002_b" }, names(migrate.up(conn, { folder = folder })))
  end)
end)

describe("migrate.down", function()
  it("takes the last step back, or all down to one", function()
    local conn, folder = support.connect(), two_steps()
    migrate.up(conn, { folder = folder })
    assert.same({ "002_b" }, names(migrate.down(conn, { folder = folder })))
    assert.is_false(exists(conn, "b"))
    migrate.up(conn, { folder = folder })
    assert.same({ "002_b", "001_a" }, names(migrate.down(conn, { folder = folder, to = 0 })))
    assert.is_false(exists(conn, "a"))
    assert.same({}, migrate.down(conn, { folder = folder }))
  end)

  it("refuses a way back that is not the one that was recorded", function()
    local conn, folder = support.connect(), two_steps()
    migrate.up(conn, { folder = folder })
    sys.write_file(folder .. "/002_b.down.sql", "DROP TABLE a;")
    assert.equal("migration_drift", raised(migrate.down, conn, { folder = folder }).code)
    assert.is_true(exists(conn, "a"))
  end)
end)

describe("migrate.redo", function()
  it("takes the last step back and applies it again, or does neither", function()
    local conn, folder = support.connect(), two_steps()
    migrate.up(conn, { folder = folder })
    conn:query("INSERT INTO b VALUES (1)")
    assert.same({ "002_b", "002_b" }, names(migrate.redo(conn, { folder = folder, discard = true })))
    assert.equal(0, conn:query("SELECT count(*) AS n FROM b")[1].n)
    conn:query("INSERT INTO b VALUES (1)")
    sys.write_file(folder .. "/002_b.down.sql", "DROP TABLE b; CREATE TABLE b ();")
    conn:query("UPDATE schema_migrations SET down_checksum = $1 WHERE step = 2",
      sys.sha256_file(folder .. "/002_b.down.sql"))
    local failure = raised(migrate.redo, conn, { folder = folder })
    assert.equal("42P07", failure.code)
    assert.matches("ligase migrate redo", failure.hint, 1, true)
    assert.equal(1, conn:query("SELECT count(*) AS n FROM b")[1].n)
  end)
end)

describe("steps in Lua", function()
  local function lua_step(text)
    local folder = folder_of { ["001_a.up"] = "CREATE TABLE a (x integer);", ["001_a.down"] = "DROP TABLE a;" }
    sys.write_file(folder .. "/002_b.lua", text)
    return folder
  end

  it("go up, verify and down", function()
    local conn = support.connect()
    local folder = lua_step [[return {
      up = function(conn) conn:query("INSERT INTO a VALUES ($1)", 7) end,
      down = function(conn) conn:query("DELETE FROM a WHERE x = 7") end,
      verify = function(conn)
        return #conn:query "SELECT FROM a WHERE x = 7" == 0 and { "7 is missing" } or nil
      end }]]
    assert.same({ "001_a", "002_b" }, names(migrate.up(conn, { folder = folder })))
    assert.same({}, migrate.verify(conn, folder)[2].findings)
    conn:query("DELETE FROM a")
    assert.same({ "7 is missing" }, migrate.verify(conn, folder)[2].findings)
    migrate.down(conn, { folder = folder })
    sys.write_file(folder .. "/002_b.lua", "return { up = function(c) c:query 'SELECT 1' error 'no' end, "
      .. "down = function() end }")
    local failure = raised(migrate.up, conn, { folder = folder })
    assert.equal("migration_step", failure.code)
    assert.matches("002_b.lua:1: no", failure.message, 1, true)
    assert.equal(1, #conn:query("SELECT FROM schema_migrations"))
  end)

  it("cannot change anything when they verify", function()
    local conn = support.connect()
    local folder = lua_step [[return { up = function() end, down = function() end,
      verify = function(conn) conn:query "INSERT INTO a VALUES (1)" end }]]
    migrate.up(conn, { folder = folder })
    assert.matches("read-only", migrate.verify(conn, folder)[2].findings[1], 1, true)
    assert.equal(0, #conn:query("SELECT FROM a"))
  end)

  it("cannot change anything when they verify and end the transaction", function()
    local conn = support.connect()
    local folder = lua_step [[return { up = function() end, down = function() end,
      verify = function(conn) conn:script "COMMIT; INSERT INTO a VALUES (1)" end }]]
    migrate.up(conn, { folder = folder })
    assert.matches("read-only", migrate.verify(conn, folder)[2].findings[1], 1, true)
    assert.equal(0, #conn:query("SELECT FROM a"))
    conn:query "INSERT INTO a VALUES (2)" -- afterwards it may be written as before
  end)

  it("are refused when they say what nobody knows, or nothing", function()
    local conn = support.connect()
    for text, expected in pairs {
      ["return { up = function() end, down = function() end, verfy = 1 }"] = "verify",
      ["return 1"] = "returns no table", ["return {"] = "expected", ["error 'x'"] = "x",
      ["return { up = function() end }"] = "'down' is missing",
    } do
      local failure = raised(migrate.up, conn, { folder = lua_step(text) })
      assert.matches(expected, tostring(failure), 1, true)
      assert.matches("002_b.lua", tostring(failure), 1, true)
    end
  end)

  it("are refused beside SQL of the same name, and when they changed", function()
    local conn = support.connect()
    local folder = lua_step "return { up = function() end, down = function() end }"
    migrate.up(conn, { folder = folder })
    sys.write_file(folder .. "/002_b.lua", "return { up = function() end, down = function()  end }")
    assert.equal("migration_drift", raised(migrate.down, conn, { folder = folder }).code)
    sys.write_file(folder .. "/002_b.down.sql", "SELECT 1;")
    assert.equal("migration_files", raised(migrate.up, conn, { folder = folder }).code)
  end)

  it("build indexes beside the work of others, again after a failure", function()
    local conn = support.connect()
    local folder = lua_step [[return { transaction = false,
      up = function(_, indexes) indexes:build "CREATE UNIQUE INDEX CONCURRENTLY a_x ON a (x)" end,
      down = function(_, indexes) indexes:drop "a_x" end }]]
    migrate.up(conn, { folder = folder, to = 1 })
    conn:query("INSERT INTO a VALUES (1), (1)")
    local failure = raised(migrate.up, conn, { folder = folder })
    assert.equal("23505", failure.code)
    assert.is_false(exists(conn, "a_x"))
    assert.equal(1, select(2, migrate.state(conn)))
    conn:query("DELETE FROM a")
    -- What a killed build leaves.
    conn:script("CREATE UNIQUE INDEX a_x ON a (x)")
    conn:script("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'a_x'::regclass")
    assert.matches("a_x is not valid", migrate.verify(conn, folder)[2].findings[1], 1, true)
    assert.same({ "002_b" }, names(migrate.up(conn, { folder = folder })))
    assert.is_true(conn:query("SELECT indisvalid FROM pg_index WHERE indexrelid = 'a_x'::regclass")[1].indisvalid)
    assert.equal("0", conn:query("SHOW lock_timeout")[1].lock_timeout)
    assert.same({ "002_b", "002_b" }, names(migrate.redo(conn, { folder = folder })))
    migrate.down(conn, { folder = folder })
    assert.is_false(exists(conn, "a_x"))
    conn:script("CREATE INDEX a_x ON a ((x + 1))")
    assert.equal("index_exists", raised(migrate.up, conn, { folder = folder }).code)
  end)
end)

describe("migrate.plan", function()
  it("tells SQL and locks of what would be done, and does nothing", function()
    local conninfo = support.database()
    local folder = two_steps()
    local function connect()
      return pg.connect(conninfo)
    end
    migrate.up(connect, { folder = folder })
    sys.write_file(folder .. "/003_c.up.sql", "ALTER TABLE a ADD COLUMN y integer; CREATE INDEX ON b (x);")
    sys.write_file(folder .. "/003_c.down.sql", "SELECT 1;")
    sys.write_file(folder .. "/004_d.lua", [[return { up = function(conn) conn:query("SELECT count(*) FROM b") end,
      down = function() end }]])
    sys.write_file(folder .. "/005_e.lua", [[return { transaction = false, down = function() end,
      up = function(_, indexes) indexes:build "CREATE INDEX CONCURRENTLY e ON a (x)" end }]])
    local plan, failure = migrate.plan(connect, { folder = folder })
    assert.is_nil(failure)
    assert.same({ "003_c", "004_d", "005_e" }, names(plan))
    assert.equal("a", plan[1].locks[1].table)
    assert.equal("ACCESS EXCLUSIVE", plan[1].locks[1].mode)
    assert.equal("reading and writing", plan[1].locks[1].blocks)
    assert.equal("SHARE", plan[1].locks[2].mode)
    assert.equal("SELECT count(*) FROM b;\n", plan[2].sql)
    assert.matches("CREATE INDEX CONCURRENTLY e ON a (x)", plan[3].sql, 1, true)
    assert.matches("outside a transaction", plan[3].problem, 1, true)
    local conn <close> = connect()
    assert.equal(2, #conn:query("SELECT FROM schema_migrations"))
    plan = migrate.plan(connect, { folder = folder, direction = "down", to = 0 })
    assert.same({ "002_b", "001_a" }, names(plan))
    assert.equal("DROP TABLE b;", plan[1].sql)
    assert.same({ "b" }, { plan[1].locks[1].table, plan[1].locks[2] and plan[1].locks[2].table })
  end)

  it("tells the failure of a step that does not run", function()
    local conninfo, folder = support.database(), two_steps()
    sys.write_file(folder .. "/002_b.up.sql", "CREATE TABLE a ();")
    local plan, failure = migrate.plan(function()
      return pg.connect(conninfo)
    end, { folder = folder })
    assert.equal("42P07", failure.code)
    assert.same({}, plan[1].locks)
    assert.is_nil(plan[2].locks)
    assert.equal("CREATE TABLE a ();", plan[2].sql)
  end)
end)

describe("a step that cannot be taken back without loss", function()
  local conninfo, folder, conn

  local function connect()
    return pg.connect(conninfo)
  end

  before_each(function()
    conninfo, folder = support.database(), two_steps()
    sys.write_file(folder .. "/002_b.down.sql", "-- irreversible: b holds what people typed\nDROP TABLE b;")
    conn = connect()
    migrate.up(conn, { folder = folder })
    conn:query("INSERT INTO b SELECT generate_series(1, 50)")
  end)

  after_each(function()
    conn:close()
  end)

  local function backup_into(file)
    return { file = file, server = conninfo, workspace = "/nowhere" }
  end

  it("asks for a backup", function()
    local failure = raised(migrate.down, conn, { folder = folder })
    assert.equal("irreversible", failure.code)
    assert.matches("b holds what people typed", failure.message, 1, true)
    assert.matches("ligase migrate down --to 1 --folder " .. folder .. " --backup FILE", failure.hint, 1, true)
    assert.equal("irreversible", raised(migrate.redo, conn, { folder = folder }).code)
    assert.equal(1, #migrate.down(conn, { folder = folder, dry_run = true }))
    assert.is_true(exists(conn, "b"))
  end)

  it("goes down after a backup was written and restored for a test", function()
    local file, said = folder .. "/before.dump", {}
    migrate.down(connect, { folder = folder, backup = backup_into(file), say = function(line)
      said[#said + 1] = line
    end })
    assert.same({ "writing the backup", "restoring the backup for a test" }, said)
    assert.is_false(exists(conn, "b"))
    assert.equal(tonumber("600", 8), sys.stat(file).mode & 511)
    local restored = support.database()
    local result = sys.run({ "pg_restore", "-d", restored, file }, { stderr = "capture" })
    assert.equal(0, result.code, result.stderr)
    local there <close> = pg.connect(restored)
    assert.equal(50, there:query("SELECT count(*) AS n FROM b")[1].n)
    migrate.up(conn, { folder = folder })
    assert.equal("backup", raised(migrate.down, connect, { folder = folder, backup = backup_into(file) }).code)
    assert.equal(0, #conn:query("SELECT FROM pg_database WHERE datname ~ $1", -- other specs have theirs
      ("^ligase_scratch_[0-9]+_%d_"):format(sys.pid())))
  end)

  it("is not the only one for which a backup is made when it is asked for", function()
    migrate.down(conn, { folder = folder, loses = true })
    local file = folder .. "/before.dump"
    assert.same({ "001_a" }, names(migrate.down(connect, { folder = folder, backup = backup_into(file) })))
    assert.equal("file", sys.stat(file).type)
    assert.same({}, migrate.down(connect, { folder = folder, backup = backup_into(folder .. "/none.dump") }))
    assert.is_nil(sys.stat(folder .. "/none.dump"))
  end)

  it("stays when there is no folder for the backup", function()
    local failure = raised(migrate.down, connect, { folder = folder, backup = backup_into(folder .. "/none/x.dump") })
    assert.matches("there is no folder " .. folder .. "/none", failure.message, 1, true)
    assert.matches("Make it", failure.hint)
    failure = raised(migrate.down, connect, { folder = folder, backup = backup_into "" })
    assert.equal("the backup's file has no name", failure.message)
    assert.is_true(exists(conn, "b"))
  end)

  it("stays when the backup does not restore", function()
    -- A check that calls a function by its bare name: pg_restore does not find it.
    conn:script [[
      CREATE SCHEMA other;
      CREATE FUNCTION other.fine(integer) RETURNS boolean LANGUAGE sql AS 'SELECT $1 > 0';
      SET search_path = public, other;
      CREATE FUNCTION checked(integer) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN fine($1); END';
      ALTER TABLE b ADD CONSTRAINT b_checked CHECK (checked(x));]]
    local file = folder .. "/before.dump"
    local failure = raised(migrate.down, connect, { folder = folder, backup = backup_into(file) })
    assert.equal("pg_restore", failure.code)
    assert.matches("does not restore, so nothing was done", failure.message, 1, true)
    assert.matches('COPY failed for table "b"', failure.message, 1, true)
    assert.equal(1, select(2, tostring(failure):gsub("function fine", "")))
    assert.is_true(exists(conn, "b"))
    assert.is_nil(sys.stat(file))
    assert.is_nil(sys.stat(file .. ".partial"))
  end)

  it("stays when the backup does not restore a view, and says so in a sentence", function()
    conn:script [[
      CREATE SCHEMA other;
      CREATE FUNCTION other.fine(integer) RETURNS boolean LANGUAGE sql AS 'SELECT $1 > 0';
      SET search_path = public, other;
      CREATE FUNCTION checked(integer) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN fine($1); END';
      CREATE MATERIALIZED VIEW seen AS SELECT checked(x) AS is_fine FROM b;]]
    local failure = raised(migrate.down, connect, { folder = folder, backup = backup_into(folder .. "/x.dump") })
    assert.equal("in: REFRESH MATERIALIZED VIEW public.seen", failure.detail)
    assert.is_true(#tostring(failure) < 400, tostring(failure))
    assert.is_true(exists(conn, "b"))
  end)

  it("stays when others wrote since the backup", function()
    local failure = raised(migrate.down, connect, { folder = folder, backup = backup_into(folder .. "/x.dump"),
      say = function(line)
        if line and line:find("restoring", 1, true) then
          conn:query("INSERT INTO b VALUES (51)")
        end
      end })
    assert.equal("backup_outdated", failure.code)
    assert.matches("b has 51 rows instead of 50", failure.message, 1, true)
    assert.equal(1, select(2, failure.hint:gsub("ligase migrate down", "")))
    assert.is_nil(failure.hint:find("after the remedy", 1, true))
    assert.is_true(exists(conn, "b"))
  end)
end)

describe("migrate.new", function()
  it("writes the next step, which runs as it is", function()
    local conn, folder = support.connect(), support.workspace()
    local paths = migrate.new("Sample batches", { folder = folder })
    assert.same({ folder .. "/001_sample_batches.up.sql", folder .. "/001_sample_batches.down.sql" }, paths)
    assert.same({ folder .. "/002_more.lua" }, migrate.new("more", { folder = folder, is_lua = true }))
    assert.same({ "001_sample_batches", "002_more" }, names(migrate.up(conn, { folder = folder })))
    for _, verdict in ipairs(migrate.verify(conn, folder)) do
      assert.same({}, verdict.findings)
    end
    migrate.down(conn, { folder = folder, to = 0 })
    assert.equal("usage", raised(migrate.new, "7", { folder = folder }).kind)
  end)
end)

describe("migrate.verify", function()
  it("says that a step is not recorded although a later one is", function()
    local conn, folder = support.connect(), two_steps()
    migrate.up(conn, { folder = folder })
    conn:query "DELETE FROM schema_migrations WHERE step = 1"
    local verdicts = migrate.verify(conn, folder)
    assert.matches("has step 2 (002_b) but not step 1", verdicts[#verdicts].findings[1], 1, true)
  end)
end)

describe("migrate.status", function()
  it("tells what is applied, pending, changed and unknown", function()
    local conn, folder = support.connect(), two_steps()
    local steps, problem = migrate.status(conn, folder)
    assert.same({ "pending", "pending" }, { steps[1].state, steps[2].state })
    assert.is_nil(problem)
    migrate.up(conn, { folder = folder })
    sys.write_file(folder .. "/001_a.up.sql", "SELECT 1;")
    conn:query([[INSERT INTO schema_migrations (step, name, checksum, down_checksum, host_version)
      VALUES (3, '003_c', '', '', '9.9')]])
    steps, problem = migrate.status(conn, folder)
    assert.same({ "changed", "applied", "unknown" }, { steps[1].state, steps[2].state, steps[3].state })
    assert.equal("migration_drift", problem.code)
    assert.truthy(steps[2].applied_at)
  end)
end)

describe("the schema", function()
  it("begins every file with what a distributed database needs", function()
    for _, step in ipairs(migrate.files()) do
      for _, path in ipairs(step.is_lua and {} or { step.up_path, step.down_path }) do
        assert.matches("^SET LOCAL citus%.multi_shard_modify_mode = 'sequential';\n", sys.read_file(path), nil, path)
      end
    end
  end)

  it("has no foreign key on bulk tables, no trigger of ours, names for all foreign keys", function()
    local conn = support.migrated()
    assert.same({}, first_column(conn, [[
      SELECT conname FROM pg_constraint WHERE contype = 'f' AND conrelid IN ('measurements'::regclass,
        'feature_names'::regclass, 'dataset_signatures'::regclass, 'screening_results'::regclass)]]))
    assert.same({}, first_column(conn, [[
      SELECT tgname FROM pg_trigger WHERE NOT tgisinternal]]))
    assert.same({}, first_column(conn, [[
      SELECT conrelid::regclass::text FROM pg_constraint
      WHERE contype = 'f' AND confrelid = 'runs'::regclass
        AND conrelid NOT IN ('runs'::regclass, 'outbox'::regclass, 'jobs'::regclass)]]))
  end)

  it("describes every table and view", function()
    local conn = support.migrated()
    assert.same({}, first_column(conn, [[
      SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v')
        AND obj_description(oid) IS NULL]]))
  end)

  it("compares names byte by byte", function()
    local conn = support.migrated()
    assert.same({}, first_column(conn, [[
      SELECT attrelid::regclass || '.' || attname FROM pg_attribute
      JOIN pg_class ON pg_class.oid = attrelid JOIN pg_collation ON pg_collation.oid = attcollation
      WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND attnum > 0 AND NOT attisdropped
        AND attname IN ('name', 'raw_name', 'source_name', 'feature_type', 'omics_type', 'state', 'notion_page_id')
        AND relname <> 'schema_migrations' AND collname <> 'C']]))
  end)
end)

describe("the views", function()
  local WIDE, EFFECTS = "00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002"
  local conn

  before_each(function()
    conn = support.migrated()
    conn:script([[
      INSERT INTO features (id, key, feature_type, name)
      VALUES ('10000000-0000-0000-0000-000000000001', 11, 'lipid', 'PC 34:1'),
             ('10000000-0000-0000-0000-000000000002', 12, 'lipid', 'SM 34:1;O2');
      INSERT INTO datasets (id, omics_type, name, current_revision)
      VALUES ('00000000-0000-0000-0000-000000000001', 'lipidomics', 'wide', 2),
             ('00000000-0000-0000-0000-000000000002', 'lipidomics', 'effects', 1);
      INSERT INTO revisions (dataset_id, revision, row_count, sample_names, sample_units, sample_count, columns)
      SELECT '00000000-0000-0000-0000-000000000001', n, 3, '{NULL,s,s}', '{NULL,nM,NULL}', 2, '[
        {"position": 1, "name": "species", "role": "feature", "type": "text", "slot": null},
        {"position": 2, "name": "m/z", "role": "annotation", "type": "number", "slot": 1, "unit": "Da"},
        {"position": 3, "name": "s", "role": "sample", "type": "number", "slot": 2, "unit": "nM"},
        {"position": 4, "name": "note", "role": "annotation", "type": "text", "slot": 1},
        {"position": 5, "name": "s", "role": "sample", "type": "number", "slot": 3, "unit": null}]'
      FROM generate_series(1, 2) AS n;
      INSERT INTO measurements (dataset_id, revision, ordinal, feature_key, source_name, values, texts)
      VALUES ('00000000-0000-0000-0000-000000000001', 1, 1, 11, 'old', '{1,1,1}', '{x}'),
             ('00000000-0000-0000-0000-000000000001', 2, 1, 11, 'PC(34:1)', '{760.5,1,2}', '{x}'),
             ('00000000-0000-0000-0000-000000000001', 2, 2, NULL, 'unknown', '{1.5,NULL,Infinity}', NULL),
             ('00000000-0000-0000-0000-000000000001', 2, 3, 12, 'SM', NULL, NULL);
      INSERT INTO revisions (dataset_id, revision, columns, contrasts)
      VALUES ('00000000-0000-0000-0000-000000000002', 1, '[]', '[
        {"name": "a vs b", "base_mean": 1, "log2_fold_change": 2, "p_value": 3, "adjusted_p_value": 4},
        {"name": "c vs b", "log2_fold_change": 5}]');
      INSERT INTO measurements (dataset_id, revision, ordinal, feature_key, source_name, values)
      VALUES ('00000000-0000-0000-0000-000000000002', 1, 1, 11, 'PC 34:1', '{100,-1.5,0.01,0.02,0.5}');
    ]])
  end)

  it("spread the samples of the current revision, and nothing else", function()
    local rows = conn:table([[
      SELECT ordinal, feature, source_name, sample, unit, value FROM measurement_values
      WHERE dataset_id = $1 ORDER BY ordinal, unit]], WIDE)
    local null = pg.null
    assert.equal(4, #rows)
    assert.same({ "1", "PC 34:1", "PC(34:1)", "s", "nM", "1" }, rows[1])
    assert.same({ "1", "PC 34:1", "PC(34:1)", "s", null, "2" }, rows[2])
    assert.same({ "2", null, "unknown", "s", "nM", null }, rows[3])
    assert.same({ "2", null, "unknown", "s", null, "Infinity" }, rows[4])
  end)

  it("give every contrast of every row", function()
    local rows = conn:query([[
      SELECT contrast, log2_fold_change, p_value, adjusted_p_value, base_mean, statistic FROM effects
      WHERE dataset = 'effects' ORDER BY contrast]])
    assert.equal(2, #rows)
    assert.equal("a vs b", rows[1].contrast)
    assert.equal(-1.5, rows[1].log2_fold_change)
    assert.equal(0.02, rows[1].adjusted_p_value)
    assert.equal(100.0, rows[1].base_mean)
    assert.equal(pg.null, rows[1].statistic or pg.null)
    assert.equal(0.5, rows[2].log2_fold_change)
    assert.equal(0, #conn:query("SELECT FROM effects WHERE dataset_id = $1", WIDE))
    assert.equal(0, #conn:query("SELECT FROM measurement_values WHERE dataset_id = $1", EFFECTS))
  end)

  it("count samples and contrasts in the overview", function()
    conn:query [[INSERT INTO datasets (id, omics_type, name)
      VALUES ('00000000-0000-0000-0000-000000000003', 'lipidomics', 'empty')]]
    local rows = conn:query("SELECT name, revision, sample_count, contrast_count FROM dataset_overview ORDER BY name")
    assert.same({ "effects", "empty", "wide" }, names(rows))
    assert.equal(2, rows[1].contrast_count)
    assert.equal(2, rows[3].sample_count)
    assert.equal(2, rows[3].revision)
  end)

  it("reach rows by dataset and by feature through the indexes", function()
    local function plan(sql)
      local lines = {}
      conn:query("SET enable_seqscan = off") -- three rows are read faster without an index
      for i, row in ipairs(conn:table("EXPLAIN " .. sql)) do
        lines[i] = row[1]
      end
      return table.concat(lines, "\n")
    end
    local by_dataset = plan("SELECT * FROM measurement_values WHERE dataset_id = '" .. WIDE .. "'")
    assert.matches("measurements_pkey", by_dataset, 1, true)
    assert.matches("measurements_pkey", plan "SELECT * FROM measurement_values WHERE dataset = 'wide'", 1, true)
    for _, view in ipairs { "measurement_values", "effects" } do
      local by_key = plan("SELECT * FROM " .. view .. " WHERE feature_key = 11")
      assert.matches("measurements_feature_key", by_key, 1, true)
      local by_name = plan("SELECT * FROM " .. view .. " WHERE feature = 'PC 34:1'")
      assert.matches("features_feature_type_name_unique", by_name, 1, true)
      assert.matches("measurements_feature_key", by_name, 1, true)
    end
  end)
end)
