--- Reading SQLite files. The files are made by Python's own sqlite3, which owes nothing to
--- our code.
local host = require "host"
local sqlite = require "sqlite"
local support = require "tests.support"
local sys = require "sys"

--- Runs Python with a connection `c` to the file.
local function python(path, code)
  return support.python("import sqlite3, sys\nc = sqlite3.connect(sys.argv[1])\n" .. code .. "\nc.commit()", { path })
end

local function made(code)
  local path = support.workspace() .. "/old.db"
  python(path, code)
  return path
end

local function failure_of(fn, ...)
  local done, failure = pcall(fn, ...)
  assert.is_false(done)
  assert.are.equal(host.error_metatable, getmetatable(failure), tostring(failure))
  return failure
end

local VALUES = [[
c.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v, w REAL)")
c.execute("INSERT INTO t VALUES (1, 9007199254740993, 0.1)")
c.execute("INSERT INTO t VALUES (2, ?, NULL)", ("µ \"quoted\" ☃",))
c.execute("INSERT INTO t VALUES (3, ?, 1e300)", (bytes(range(256)),))
c.execute("INSERT INTO t VALUES (4, NULL, 3)")
c.execute("INSERT INTO t VALUES (5, '', ?)", (b'',))
c.execute("INSERT INTO t VALUES (6, ?, -2.5)", ("a\0b",))
]]

describe("sqlite", function()
  it("gives values in their own types", function()
    local db <close> = sqlite.open(made(VALUES))
    local rows = db:query "SELECT * FROM t ORDER BY id"
    assert.are.equal(6, #rows)
    assert.are.same({ id = 1, v = 9007199254740993, w = 0.1 }, rows[1])
    assert.are.equal("integer", math.type(rows[1].v))
    assert.are.same({ id = 2, v = 'µ "quoted" ☃', w = host.null }, rows[2])
    local all = {}
    for i = 0, 255 do
      all[#all + 1] = string.char(i)
    end
    assert.are.same({ id = 3, v = { blob = table.concat(all) }, w = 1e300 }, rows[3])
    assert.are.equal(host.null, rows[4].v)
    assert.are.equal("float", math.type(rows[4].w)) -- the column's affinity is REAL
    assert.are.same({ id = 5, v = "", w = { blob = "" } }, rows[5])
    assert.are.equal("a\0b", rows[6].v)
  end)

  it("binds values of every type, and gives them back", function()
    local db <close> = sqlite.open(made "c.execute('CREATE TABLE t (a)')")
    local echo <close> = db:prepare "SELECT ?1 AS v, typeof(?1) AS t"
    for _, case in ipairs { { 42, "integer" }, { math.mininteger, "integer" }, { 0.1, "real" }, { "x\0y", "text" },
      { "", "text" }, { { blob = "\0\255" }, "blob" }, { host.null, "null" } } do
      assert.are.same({ v = case[1], t = case[2] }, echo:query(case[1])[1])
    end
    assert.are.same({ v = 1, t = "integer" }, echo:query(true)[1])
    assert.are.same({ v = host.null, t = "null" }, echo:query(nil)[1])
    assert.matches("takes 1 values, not 2", failure_of(echo.query, echo, 1, 2).message)
    assert.matches("parameter %?1 is a function", failure_of(echo.query, echo, print).message)
    assert.matches("blob = bytes", failure_of(echo.query, echo, {}).message)
  end)

  it("reads UTF-16 files as UTF-8", function()
    local db <close> = sqlite.open(made [[
c.execute("PRAGMA encoding = 'UTF-16le'")
c.execute("CREATE TABLE t (v)")
c.execute("INSERT INTO t VALUES ('µ☃😀')")]])
    assert.are.equal("µ☃😀", db:query "SELECT v FROM t"[1].v)
  end)

  it("goes through rows as they are asked for", function()
    local db <close> = sqlite.open(made [[
c.execute("CREATE TABLE t (n)")
c.executemany("INSERT INTO t VALUES (?)", ((i,) for i in range(1, 50001)))]])
    local sum, statement = 0, db:prepare "SELECT n FROM t WHERE n > ? ORDER BY n"
    for row in statement:rows(10) do
      sum = sum + row.n
    end
    assert.are.equal(50000 * 50001 // 2 - 55, sum)
    for row in statement:rows(49999) do -- again, with another value
      assert.are.equal(50000, row.n)
    end
    for row in db:rows("SELECT n FROM t WHERE n > ?", 6) do
      assert.are.equal(7, row.n)
      if row.n == 7 then
        break -- which ends the statement
      end
    end
    local n = 0
    for _ in db:rows "SELECT 1 AS one, 2 AS two FROM t" do
      n = n + 1
    end
    assert.are.equal(50000, n)
  end)

  it("says what a loop may not do", function()
    local db <close> = sqlite.open(made(VALUES))
    local statement = db:prepare "SELECT id FROM t"
    local failure = failure_of(function()
      for _ in statement:rows() do
        statement:query()
      end
    end)
    assert.are.equal("usage", failure.kind)
    assert.matches("begun anew inside a loop", failure.message)
    local next_row = statement:rows()
    while next_row() do
    end
    assert.matches("begun anew", failure_of(next_row).message) -- an end stays the end
  end)

  it("tells of columns", function()
    local db <close> = sqlite.open(made(VALUES))
    local statement <close> = db:prepare "SELECT id, w, id + 1 AS next FROM t"
    assert.are.same({ { name = "id", declared = "INTEGER" }, { name = "w", declared = "REAL" }, { name = "next" } },
      statement:columns())
    local failure = failure_of(db.prepare, db, "SELECT id, w AS id FROM t")
    assert.are.equal("usage", failure.kind)
    assert.matches("two columns of the statement are called 'id'", failure.message)
    assert.are.equal('"a""b"', db:quote_identifier 'a"b')
    assert.matches("^%d+%.%d+%.%d+$", sqlite.version)
  end)

  it("refuses what is no SQLite file, and says why", function()
    local folder = support.workspace()
    assert.are.equal("missing", failure_of(sqlite.open, folder .. "/none.db").code)
    assert.are.equal("directory", failure_of(sqlite.open, folder).code)
    local failure = failure_of(sqlite.open, support.tmpfile(("no database "):rep(100), "x.db"))
    assert.are.equal("input", failure.kind)
    assert.are.equal("not_sqlite", failure.code)
    assert.matches("x%.db: SQLite: file is not a database%. Is it another kind", tostring(failure))
    assert.are.equal("usage", failure_of(sqlite.open, "").kind)
    assert.are.equal("usage", failure_of(sqlite.open, "a\0b").kind)
    local path = made(VALUES)
    assert.matches("unknown option 'timeout'", failure_of(sqlite.open, path, { timeout = 1 }).message)
    assert.matches("number of seconds", failure_of(sqlite.open, path, { busy_timeout_s = -1 }).message)
    local empty <close> = sqlite.open(support.tmpfile("", "empty.db")) -- to SQLite a database without tables
    assert.are.same({}, empty:query "SELECT name FROM sqlite_master")
  end)

  it("finds a damaged file out when it comes to the damage", function()
    local path = made [[
c.execute("CREATE TABLE t (v)")
c.executemany("INSERT INTO t VALUES (?)", (("x" * 500,) for i in range(200)))]]
    local content = sys.read_file(path)
    sys.write_file(path, content:sub(1, 4096 * 3) .. ("\xFF"):rep(4096 * 4) .. content:sub(4096 * 7 + 1))
    local db <close> = sqlite.open(path)
    local failure = failure_of(db.query, db, "SELECT count(v) AS n, max(length(v)) AS l FROM t")
    assert.are.equal("input", failure.kind)
    assert.are.equal("corrupt", failure.code)
    assert.are.equal(path, failure.file)
  end)

  it("says what is wrong with SQL", function()
    local db <close> = sqlite.open(made(VALUES))
    local failure = failure_of(db.query, db, "SELECT x FROM nowhere")
    assert.are.equal("usage", failure.kind)
    assert.are.equal("sql", failure.code)
    assert.matches("no such table: nowhere", failure.message)
    assert.matches("no statement", failure_of(db.prepare, db, " -- nothing").message)
    assert.matches("one statement at a time", failure_of(db.query, db, "SELECT 1; SELECT 2").message)
    assert.are.same({ { ["1"] = 1 } }, db:query "SELECT 1; ")
    assert.matches("NUL", failure_of(db.query, db, "SELECT 1\0").message)
  end)

  it("never writes, and opens no other file", function()
    local path = made(VALUES)
    local before = sys.read_file(path)
    local db <close> = sqlite.open(path)
    assert.matches("readonly", failure_of(db.query, db, "DELETE FROM t").message)
    assert.matches("too many attached", failure_of(db.query, db, "ATTACH 'other.db' AS other").message)
    assert.are.equal(before, sys.read_file(path))
    assert.are.same({ "old.db" }, sys.list(path:match "^(.*)/"))
  end)

  it("reads a file in WAL mode with what is not yet in the file itself", function()
    local path = support.workspace() .. "/wal.db"
    local held = assert(io.popen(("python3 -c '%s' %s"):format([[
import sqlite3, sys
c = sqlite3.connect(sys.argv[1])
c.execute("PRAGMA journal_mode = wal")
c.execute("CREATE TABLE t (v)")
c.execute("INSERT INTO t VALUES (5)")
c.commit()
open(sys.argv[1] + ".ready", "w").close()
sys.stdin.readline()]], path), "w")) -- holds its connection open until it is closed
    for _ = 1, 200 do
      if sys.stat(path .. ".ready") then
        break
      end
      sys.sleep(0.02)
    end
    local db = sqlite.open(path)
    assert.are.same({ { v = 5 } }, db:query "SELECT v FROM t")
    db:close()
    held:close()
  end)

  it("waits for a writer as long as it was told, and no longer", function()
    local path = made(VALUES)
    local writer = support.workspace() .. "/writer.py"
    sys.write_file(writer, [[
import sqlite3, sys, time
c = sqlite3.connect(sys.argv[1], isolation_level = None)
c.execute("BEGIN EXCLUSIVE")
open(sys.argv[2], "w").close()
time.sleep(float(sys.argv[3]))
c.execute("COMMIT")
]])
    local function while_locked(seconds, fn)
      local mark = support.workspace() .. "/locked"
      local running = assert(io.popen(("python3 %s %s %s %s"):format(writer, path, mark, seconds)))
      while not sys.stat(mark) do
        sys.sleep(0.01)
      end
      local started = sys.monotonic()
      fn()
      local elapsed = sys.monotonic() - started
      running:close()
      return elapsed
    end
    local elapsed = while_locked(1.5, function()
      local failure = failure_of(sqlite.open, path, { busy_timeout_s = 0.2 })
      assert.are.equal("system", failure.kind)
      assert.are.equal("busy", failure.code)
      assert.matches("Another program is writing", tostring(failure))
    end)
    assert.is_true(elapsed >= 0.15 and elapsed < 1.2, elapsed)
    while_locked(0.4, function()
      local db <close> = sqlite.open(path, { busy_timeout_s = 20 })
      assert.are.equal(6, db:query "SELECT count(*) AS n FROM t"[1].n)
    end)
  end)

  it("ends a long statement at Ctrl-C", function()
    local path = made(VALUES)
    local started = sys.monotonic()
    local argv = { host.executable, "-e", [[
local db = sqlite.open(arg[1])
db:query "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) AS n FROM n"]], path }
    table.move(support.INTERRUPTED, 1, #support.INTERRUPTED, 1, table.move(argv, 1, #argv, #support.INTERRUPTED + 1))
    local result = sys.run(argv, { timeout_s = 30 })
    assert.is_true(sys.monotonic() - started < 15)
    assert.matches("interrupted", result.stderr)
  end)

  it("closes statements with their file, and both more than once", function()
    local db = sqlite.open(made(VALUES))
    local statement, other = db:prepare "SELECT id FROM t", db:prepare "SELECT v FROM t"
    local next_row = other:rows()
    assert.is_table(next_row())
    statement:close()
    statement:close()
    assert.matches("statement is closed", failure_of(statement.query, statement).message)
    assert.is_true(db:is_open())
    db:close()
    db:close()
    assert.is_false(db:is_open())
    assert.matches("closed", tostring(db))
    assert.matches("file is closed", failure_of(next_row).message)
    assert.matches("file is closed", failure_of(db.query, db, "SELECT 1").message)
    other:close()
  end)

  it("leaves nothing behind when it is forgotten", function()
    local path = made(VALUES)
    for _ = 1, 50 do
      local next_row = sqlite.open(path):prepare "SELECT id FROM t":rows()
      next_row()
    end
    collectgarbage()
    collectgarbage()
    local open = 0
    for _, name in ipairs(sys.list "/proc/self/fd") do
      local found, target = pcall(sys.real_path, "/proc/self/fd/" .. name)
      open = open + (found and target == path and 1 or 0)
    end
    assert.are.equal(0, open)
  end)
end)
