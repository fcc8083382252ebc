--- Steps that end their own transaction: SQL is refused before it runs, Lua is found out, and nothing untrue is said.
local errors = require "ligase.base.errors"
local migrate = require "ligase.store.migrate"
local pg = require "pg"
local support = require "tests.support"
local sys = require "sys"

describe("a step that ends its transaction", function()
  local conn, folder, conninfo

  local function connect()
    return pg.connect(conninfo)
  end

  local function write(name, text)
    sys.write_file(("%s/%s"):format(folder, name), text)
  end

  local function raised(fn, ...)
    local done, failure = pcall(fn, ...)
    assert.is_false(done, "an error was expected")
    assert.is_true(errors.is(failure), tostring(failure))
    return failure
  end

  local function exists(name)
    return conn:query("SELECT to_regclass($1) IS NOT NULL AS there", name)[1].there
  end

  local function recorded()
    return conn:query("SELECT count(*) AS n FROM schema_migrations")[1].n
  end

  before_each(function()
    conninfo, folder = support.database(), support.workspace()
    conn = connect()
    write("001_a.up.sql", "CREATE TABLE a (x integer);")
    write("001_a.down.sql", "DROP TABLE a;")
    migrate.up(conn, { folder = folder })
  end)

  after_each(function()
    conn:close()
  end)

  it("is refused before anything is run, whatever it is that ends it", function()
    write("002_b.up.sql", "SELECT 1;")
    write("002_b.down.sql", "SELECT 1;")
    write("003_half.down.sql", "DROP TABLE half;")
    for _, ending in ipairs { "COMMIT", "ROLLBACK", "END", "ABORT", "PREPARE TRANSACTION 'p'", "COMMIT AND CHAIN" } do
      write("003_half.up.sql", ("BEGIN;\nCREATE TABLE half (id int);\n%s;\n"):format(ending))
      for _, go in ipairs { function() migrate.up(conn, { folder = folder, dry_run = true }) end,
        function() migrate.plan(connect, { folder = folder }) end,
        function() migrate.up(conn, { folder = folder }) end } do
        local failure = raised(go)
        assert.equal("step_ended_transaction", failure.code)
        assert.equal(3, failure.line)
        assert.equal(folder .. "/003_half.up.sql", failure.file)
        assert.matches("003_half says " .. ending:match("^%u+"), failure.message, 1, true)
        assert.is_false(exists "half")
        assert.equal(1, recorded())
      end
    end
  end)

  it("is refused on the way down, with what to do where it was applied", function()
    write("002_b.up.sql", "SELECT 1;")
    write("002_b.down.sql", "DROP TABLE a;\nCOMMIT;")
    migrate.up(conn, { folder = folder })
    local failure = raised(migrate.down, conn, { folder = folder })
    assert.matches("DELETE FROM schema_migrations WHERE step = 2", failure.hint, 1, true)
    assert.is_true(exists "a")
  end)

  --- A step in Lua that does this.
  local function lua_step(body)
    write("002_half.lua", ("return { up = function(conn) %s end, down = function() end }"):format(body))
  end

  it("in Lua is refused when it comes to that", function()
    for _, body in ipairs { 'conn:script "SELECT 1; COMMIT"', 'conn:query "END"', 'conn:table "ABORT"',
      'conn:prepare "ROLLBACK"', 'conn:transaction(function() conn:script "COMMIT AND CHAIN" end)' } do
      lua_step('conn:query "CREATE TABLE half ()"\n' .. body)
      for _, options in ipairs { { folder = folder }, { folder = folder, dry_run = true } } do
        local failure = raised(migrate.up, conn, options)
        assert.equal("step_ended_transaction", failure.code, body)
        assert.equal(2, failure.line)
        assert.matches("Nothing of this step was done. Take it out", failure.hint, 1, true)
        assert.same({ false, 1 }, { exists "half", recorded() })
      end
    end
  end)

  --- One whose SQL nobody looks at before it is sent.
  local function sly_step(...)
    local statements = {}
    for i, sql in ipairs { ... } do
      statements[i] = ("p:query %q"):format(sql)
    end
    lua_step(("conn:pipeline(function(p) %s end)"):format(table.concat(statements, " ")))
  end

  it("in Lua is found out where it could be sent, and what stays is said", function()
    for _, body in ipairs { { "COMMIT" }, { "COMMIT AND CHAIN" }, { "COMMIT", "BEGIN" }, { "COMMIT", "SELECT 1 / 0" },
      { "COMMIT AND CHAIN", "SELECT 1 / 0" }, { "END", "BEGIN", "SELECT 1 / 0" } } do
      sly_step("CREATE TABLE half ()", table.unpack(body))
      body = table.concat(body, "; ")
      for _, options in ipairs { { folder = folder }, { folder = folder, dry_run = true } } do
        local failure = raised(migrate.up, conn, options)
        assert.equal("step_ended_transaction", failure.code, body)
        assert.equal("committed", failure.became)
        assert.matches("002_half ended its transaction by itself on the way up, and is not recorded as applied. What "
          .. "it did up to there stays", failure.message, 1, true)
        assert.is_nil(failure.hint:find("Nothing", 1, true))
        assert.equal(body:find("1 / 0", 1, true) ~= nil, failure.detail ~= nil and
          failure.detail:find("division by zero", 1, true) ~= nil)
        assert.matches("then run: ligase migrate up", failure.hint, 1, true)
        assert.equal("idle", conn:transaction_status())
        assert.is_true(exists "half")
        assert.equal(1, recorded())
        conn:script "DROP TABLE half"
      end
    end
    local _, failure = migrate.plan(connect, { folder = folder })
    assert.equal("step_ended_transaction", failure.code)
  end)

  it("in Lua is found out where it rolled back", function()
    sly_step("CREATE TABLE half ()", "ROLLBACK", "CREATE TABLE other ()")
    local failure = raised(migrate.up, conn, { folder = folder })
    assert.equal("aborted", failure.became)
    assert.same({ false, true, 1 }, { exists "half", exists "other", recorded() })
    sly_step("ROLLBACK", "BEGIN", "SELECT 1 / 0")
    assert.equal("aborted", raised(migrate.up, conn, { folder = folder }).became)
    assert.equal(1, recorded())
  end)

  it("in Lua tells of the steps that shared the transaction", function()
    write("002_half.lua", 'return { up = function() end, down = function(conn) '
      .. 'conn:pipeline(function(p) p:query "COMMIT" end) end }')
    write("003_c.up.sql", "SELECT 1;")
    write("003_c.down.sql", "SELECT 1;")
    migrate.up(conn, { folder = folder })
    local failure = raised(migrate.down, conn, { folder = folder, to = 0, dry_run = true })
    assert.matches("is not recorded as taken back. What it did up to there stays, and so it is with 003_c",
      failure.message, 1, true)
    assert.equal(2, recorded())
  end)

  it("is not seen in one that uses savepoints, or calls a procedure that may not commit", function()
    lua_step [[conn:transaction(function() conn:query "CREATE TABLE half ()" end)
      conn:script "SAVEPOINT mine; CREATE TABLE other (); ROLLBACK TO mine"]]
    assert.equal(1, #migrate.up(conn, { folder = folder }))
    assert.same({ true, false, 2 }, { exists "half", exists "other", recorded() })
    write("003_c.up.sql", "CREATE TABLE c ();\nDO $$ BEGIN COMMIT; END $$;")
    write("003_c.down.sql", "SELECT 1;")
    local failure = raised(migrate.up, conn, { folder = folder })
    assert.equal("2D000", failure.code)
    assert.matches("Nothing of this step was done", failure.hint, 1, true)
    assert.is_false(exists "c")
  end)
end)
