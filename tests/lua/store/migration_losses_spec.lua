--- Going back over rows and values: refused without a backup, and measured before anything is done.
local errors = require "ligase.base.errors"
local migrate = require "ligase.store.migrate"
local pg = require "pg"
local support = require "tests.support"
local sys = require "sys"

describe("going back", function()
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

  local function refused(action, options)
    options.folder = folder
    local failure = raised(migrate[action], conn, options)
    assert.equal("loses", failure.code, tostring(failure))
    assert.matches("--backup FILE", failure.hint, 1, true)
    return failure
  end

  local function goes(action, options)
    options.folder = folder
    return #migrate[action](conn, options)
  end

  local function step()
    return select(2, migrate.state(conn))
  end

  before_each(function()
    conninfo, folder = support.database(), support.workspace()
    conn = connect()
    write("001_a.up.sql", "CREATE TABLE a (x integer);")
    write("001_a.down.sql", "DROP TABLE a;")
    write("002_b.up.sql", [[
      ALTER TABLE a ADD COLUMN note text, ADD COLUMN kind text NOT NULL DEFAULT 'plain',
        ADD COLUMN tags text[] NOT NULL DEFAULT '{}', ADD COLUMN share numeric(6, 2) DEFAULT 0,
        ADD COLUMN twice integer GENERATED ALWAYS AS (2 * x) STORED, ADD COLUMN document json DEFAULT '{"a": [1]}';
      CREATE TABLE b (x integer, y text); CREATE VIEW v AS SELECT x FROM b;]])
    write("002_b.down.sql", [[DROP VIEW v; DROP TABLE b;
      ALTER TABLE a DROP COLUMN note, DROP COLUMN kind, DROP COLUMN tags, DROP COLUMN share, DROP COLUMN twice,
        DROP COLUMN document;]])
    write("003_c.up.sql", "CREATE TABLE c (x integer);")
    write("003_c.down.sql", "DROP TABLE c;")
    migrate.up(conn, { folder = folder })
  end)

  after_each(function()
    conn:close()
  end)

  it("needs nothing where tables are empty and columns hold only their defaults", function()
    conn:query("INSERT INTO a (x) SELECT generate_series(1, 9)")
    assert.equal(2, goes("redo", {}))
    assert.equal(2, goes("down", { count = 2 }))
  end)

  it("is refused with what is lost and how much, before the first step goes", function()
    conn:script [[INSERT INTO b SELECT generate_series(1, 12);
      INSERT INTO a (x, note, kind, share)
      VALUES (1, 'typed', 'plain', 0), (2, 'too', 'odd', NULL), (3, NULL, 'odd', 1);]]
    local failure = refused("down", { count = 2 })
    assert.equal("taking back 003_c and 002_b loses what is in table b (12 rows), column a.kind (2 values), column "
      .. "a.note (2 values) and column a.share (1 value), so nothing was done", failure.message)
    assert.matches("first: ligase migrate down --to 1 --folder " .. folder .. " --backup FILE;", failure.hint, 1, true)
    assert.equal(3, conn:query("SELECT count(*) AS n FROM schema_migrations")[1].n)
    assert.matches("003_c, 002_b and 001_a loses what is in table b (12 rows) and table a (3 rows)",
      refused("down", { to = 0 }).message, 1, true)
    assert.equal(1, goes("down", {})) -- nothing is in c
    refused("redo", {})
    assert.equal(2, goes("redo", { discard = true }))
    assert.equal(0, conn:query("SELECT count(*) AS n FROM b")[1].n)
    conn:query("INSERT INTO b VALUES (1)")
    assert.equal(2, goes("down", { to = 0, discard = true }))
    assert.equal("absent", (migrate.state(conn)))
  end)

  it("goes with a backup, which is told of", function()
    conn:query("INSERT INTO c VALUES (1)")
    local kept
    migrate.down(connect, { folder = folder, on_backup = function(backup)
      kept = backup
    end, backup = { file = folder .. "/x.dump", server = conninfo, workspace = "/nowhere" } })
    assert.same({ folder .. "/x.dump", sys.stat(folder .. "/x.dump").size_bytes }, { kept.file, kept.size_bytes })
    assert.equal(2, conn:query("SELECT count(*) AS n FROM schema_migrations")[1].n)
  end)

  it("tells the values in a dry run, and that they are lost", function()
    conn:script "INSERT INTO a (x, note) VALUES (1, 'typed'); INSERT INTO b VALUES (1)"
    local trials = migrate.down(conn, { folder = folder, count = 2, dry_run = true })
    assert.is_true(trials.loses)
    local lines = table.concat(trials.effects, "\n")
    assert.matches("table b goes with its 1 row\n", lines, 1, true)
    assert.matches("column a.note goes with its 1 value\n", lines, 1, true)
    assert.matches("column a.kind goes with its 0 values\n", lines, 1, true)
    assert.is_false(migrate.down(conn, { folder = folder, dry_run = true }).loses)
  end)

  it("looks again when all is locked, for others may write meanwhile", function()
    local tried, other <close> = 0, connect()
    local failure = raised(migrate.down, connect, { folder = folder, count = 2, on_step = function(done)
      tried = tried + 1
      if done.name == "003_c" then
        other:query("INSERT INTO b VALUES (7)")
      end
    end })
    assert.equal("loses", failure.code)
    assert.matches("others wrote meanwhile: taking back 002_b loses what is in table b (1 row), so it was not done",
      failure.message, 1, true)
    assert.is_nil(failure.hint:find("after the remedy", 1, true))
    assert.same({ 1, 2 }, { tried, conn:query("SELECT max(step) AS n FROM schema_migrations")[1].n })
  end)

  it("counts what is there now where a step makes again what a later one takes away", function()
    write("004_d.up.sql", "DROP TABLE c; CREATE TABLE d (x integer);")
    write("004_d.down.sql", "CREATE TABLE c (x integer); INSERT INTO c SELECT x FROM d; DROP TABLE d;")
    migrate.up(conn, { folder = folder })
    assert.equal(2, goes("redo", {}))
    conn:query("INSERT INTO d VALUES (1)")
    assert.matches("table d (1 row)", refused("down", { count = 2 }).message, 1, true)
    conn:query("TRUNCATE d")
    assert.equal(2, goes("down", { count = 2 }))
  end)

  it("is refused where nobody can tell what a step outside a transaction loses", function()
    write("004_d.lua", [[return { transaction = false, up = function() end,
      down = function(conn) conn:script "DROP TABLE c" end }]])
    migrate.up(conn, { folder = folder })
    assert.matches("004_d loses cannot be seen before", refused("down", {}).message, 1, true)
    assert.equal(1, goes("down", { discard = true }))
  end)

  it("asks for a backup of what is irreversible, --discard or not", function()
    write("004_d.up.sql", "SELECT 1;")
    write("004_d.down.sql", "-- irreversible: it was typed\nSELECT 1;")
    migrate.up(conn, { folder = folder })
    local failure = raised(migrate.down, conn, { folder = folder, discard = true })
    assert.equal("irreversible", failure.code)
    assert.matches("down --to 3 --folder " .. folder .. " --backup FILE", failure.hint, 1, true)
    assert.equal(1, goes("down", { loses = true }))
  end)

  it("by more steps than are applied is misuse", function()
    for _, call in ipairs { function() migrate.down(conn, { folder = folder, count = 4 }) end,
      function() migrate.plan(connect, { folder = folder, direction = "down", count = 100 }) end } do
      local failure = raised(call)
      assert.equal("usage", failure.kind)
      assert.matches("there are no %d+ steps to take back: 3 are applied", failure.message)
    end
    assert.equal(3, step())
  end)
end)
