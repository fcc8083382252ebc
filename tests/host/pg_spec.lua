--- The Postgres primitive: connecting, statements, errors, handles.
local pg = require "pg"
local session = require "tests.host.pg_session"
local sys = require "sys"

describe("pg", function()
  local db = session.new()
  local failure, refused, count = db.failure, db.refused, db.count
  local conn

  setup(db.start)

  before_each(function()
    conn = db.open()
  end)

  after_each(db.close)

  describe("connecting", function()
    it("takes a table", function()
      local row = conn:query("SELECT current_database() AS db, current_user AS u")[1]
      local place = db.conninfo:match "host=([^&]+)":gsub("%%(%x%x)", function(hex)
        return string.char(tonumber(hex, 16))
      end)
      local port = tonumber(db.conninfo:match "port=(%d+)" or 5432)
      local other <close> = pg.connect { host = place, port = port, dbname = row.db, user = row.u }
      assert.are.equal(row.db, other:query("SELECT current_database() AS db")[1].db)
    end)

    it("can be begun, and is completed by its first use", function()
      local begun <close> = pg.connect(db.conninfo, { later = true })
      assert.are.equal(1, begun:query("SELECT 1 AS one")[1].one)
      assert.is_true(begun:is_open())
      assert.are.equal(0.1 + 0.2, begun:query("SELECT 0.30000000000000004::float8 AS v")[1].v)
      local unused = pg.connect(db.conninfo, { later = true })
      assert.is_false(unused:is_open())
      unused:close()
      assert.are.equal("usage", failure(unused.query, unused, "SELECT 1").kind)
      local lost <close> = pg.connect({ host = "/nowhere", dbname = "x" }, { later = true })
      assert.are.equal("08001", failure(lost.query, lost, "SELECT 1").code)
      assert.are.equal("usage", failure(lost.query, lost, "SELECT 1").kind)
    end)

    it("sets the session up the same everywhere", function()
      conn:script "ALTER ROLE CURRENT_USER SET extra_float_digits = 0"
      conn:script "ALTER ROLE CURRENT_USER SET datestyle = 'German'"
      local other <close> = pg.connect(db.conninfo)
      conn:script "ALTER ROLE CURRENT_USER RESET ALL"
      assert.are.equal("UTF8", other:parameter "client_encoding")
      assert.are.equal("on", other:parameter "standard_conforming_strings")
      assert.are.equal(0.1 + 0.2, other:query("SELECT 0.30000000000000004::float8 AS v")[1].v)
      assert.are.equal("2024-12-31", other:query("SELECT '2024-12-31'::date AS v")[1].v)
      assert.is_nil(other:parameter "no such parameter")
    end)

    it("says where it failed and what to do", function()
      local e = failure(pg.connect, "host=/nowhere/at/all dbname=omics user=ann password=hush1234")
      assert.are.equal("database", e.kind)
      assert.are.equal("08001", e.code)
      assert.is_truthy(e.message:find('"omics"', 1, true))
      assert.is_truthy(e.message:find("/nowhere/at/all", 1, true))
      assert.is_truthy(e.hint)
      assert.is_nil(tostring(e):find("hush1234", 1, true))
    end)

    it("never shows a password from a string that cannot be read", function()
      for _, bad in ipairs {
        "postgresql://ann:hu@sh1234@host/db", "postgresql://ann:hush1234%zz@host/db",
        "postgresql://ann:12/sh1234@host:port/db", "postgresql://ann:sh1234/x@host/db",
        "password=hush1234 nonsense host=", "password='hush1234", "host=x port=sh1234",
      } do
        local e = failure(pg.connect, bad)
        assert.are.equal("usage", e.kind, bad)
        assert.is_nil(tostring(e):find("sh1234", 1, true), tostring(e))
      end
    end)

    it("refuses unknown settings and options", function()
      assert.are.equal("usage", failure(pg.connect, { hots = "x" }).kind)
      assert.are.equal("usage", failure(pg.connect, { host = {} }).kind)
      assert.are.equal("usage", failure(pg.connect, db.conninfo, { ecko = true }).kind)
      assert.are.equal("usage", failure(pg.connect, db.conninfo, { echo = 3 }).kind)
      assert.are.equal("usage", failure(pg.connect, db.conninfo, { connect_timeout_s = 0 }).kind)
      assert.are.equal("usage", failure(pg.connect, 5).kind)
    end)
  end)

  describe("table", function()
    it("gives positional rows of Postgres' own text", function()
      local result = conn:table("SELECT 1.50::numeric, NULL, true, '{1,2}'::int[], $1::float8", 0.1)
      assert.are.same({ "1.50", pg.null, "t", "{1,2}", "0.1" }, result[1])
      assert.are.equal("numeric", result.columns[1].type)
    end)

    it("keeps columns of the same name apart", function()
      assert.are.same({ "1", "2" }, conn:table("SELECT 1 AS a, 2 AS a")[1])
    end)
  end)

  describe("script", function()
    it("runs several statements and returns the last command tag", function()
      assert.are.equal("INSERT 0 2", conn:script [[
        CREATE TEMP TABLE s (a int);
        INSERT INTO s VALUES (1), (2) ]])
      assert.are.equal(2, count "s")
    end)

    it("is undone as a whole by the first failure", function()
      conn:script "CREATE TEMP TABLE s (a int)"
      local e = refused("script", "INSERT INTO s VALUES (1); SELECT 1/0; INSERT INTO s VALUES (2)")
      assert.are.equal("22012", e.code)
      assert.are.equal(0, count "s")
    end)

    it("takes no parameters", function()
      assert.are.equal("usage", refused("script", "SELECT 1", 2).kind)
    end)

    it("may be empty", function()
      assert.are.equal("", conn:script "")
      assert.are.equal(0, #conn:query "")
    end)
  end)

  describe("prepared statements", function()
    it("are cached by their text", function()
      local a = conn:prepare "SELECT $1::int8 + 1 AS v"
      assert.are.equal(a, conn:prepare("SELECT $1::int8 " .. "+ 1 AS v"))
      assert.are.equal(42, conn:query(a, 41)[1].v)
      assert.are.equal("42", conn:table(a, 41)[1][1])
      assert.are.equal(1, count "pg_prepared_statements")
    end)

    it("report a mistake where they are prepared", function()
      local e = refused("prepare", "SELEC 1")
      assert.are.equal("42601", e.code)
      assert.are.equal("SELEC 1", e.statement)
      assert.are.equal("usage", refused("prepare", "COPY t FROM STDIN").kind)
    end)

    it("survive the rollback of the transaction that made them", function()
      conn:begin()
      local s = conn:prepare "SELECT 5 AS v"
      conn:rollback()
      assert.are.equal(5, conn:query(s)[1].v)
    end)

    it("that failed to be made can be made later", function()
      local sql = "SELECT a FROM later"
      assert.are.equal("42P01", refused("prepare", sql).code)
      conn:script "CREATE TEMP TABLE later (a int); INSERT INTO later VALUES (3)"
      assert.are.equal(3, conn:query(conn:prepare(sql))[1].a)
    end)

    it("are made anew when the server forgot them", function()
      local s = conn:prepare "SELECT 6 AS v"
      conn:script "DISCARD ALL"
      assert.are.equal(6, conn:query(s)[1].v)
      conn:script "DEALLOCATE ALL"
      local results = conn:pipeline(function(p)
        p:query(s)
        p:query(s)
      end)
      assert.are.equal(6, results[2][1].v)
    end)

    it("are made anew when their result type changed", function()
      conn:script "CREATE TEMP TABLE c (a int); INSERT INTO c VALUES (1)"
      local s = conn:prepare "SELECT * FROM c"
      assert.are.same({ a = 1 }, conn:query(s)[1])
      conn:script "ALTER TABLE c ADD b int DEFAULT 2"
      assert.are.same({ a = 1, b = 2 }, conn:query(s)[1])
      conn:script "ALTER TABLE c ADD d int DEFAULT 3"
      local results = conn:pipeline(function(p)
        p:query "INSERT INTO c VALUES (9)"
        p:query(s)
      end)
      assert.are.equal(2, #results[2]) -- the INSERT that was undone and repeated counts once
      assert.are.equal(3, results[2][1].d)
    end)

    it("cannot be made anew inside a transaction, but after it", function()
      conn:script "CREATE TEMP TABLE c (a int)"
      local s = conn:prepare "SELECT * FROM c"
      conn:query(s)
      conn:script "ALTER TABLE c ADD b int"
      local e = refused("transaction", function()
        conn:query(s)
      end)
      assert.are.equal("0A000", e.code)
      assert.are.equal(0, #conn:query(s))
    end)

    it("belong to one connection", function()
      local other <close> = pg.connect(db.conninfo)
      assert.are.equal("usage", refused("query", other:prepare "SELECT 1").kind)
    end)
  end)

  describe("errors", function()
    it("carry everything the server said", function()
      conn:script "CREATE TABLE public.e (a int CONSTRAINT positive CHECK (a > 0), b int NOT NULL)"
      local e = refused("query", "INSERT INTO e VALUES ($1, 1)", -1)
      assert.are.equal("database", e.kind)
      assert.are.equal("23514", e.code)
      assert.are.equal("23514", e.sqlstate)
      assert.are.equal("positive", e.constraint)
      assert.are.equal("e", e.table_name)
      assert.are.equal("INSERT INTO e VALUES ($1, 1)", e.statement)
      assert.is_truthy(e.detail:find("-1", 1, true))
      assert.are.equal("b", refused("query", "INSERT INTO e VALUES (1, NULL)").column_name)

      e = refused("query", "SELECT nope FROM e")
      assert.are.equal("42703", e.code)
      assert.are.equal(8, e.position)

      e = refused("query", [[
        DO $$ BEGIN RAISE EXCEPTION 'm' USING DETAIL = 'd', HINT = 'h', ERRCODE = 'XY123'; END $$]])
      assert.are.equal("XY123", e.code)
      assert.are.equal("m", e.message)
      assert.are.equal("d", e.detail)
      assert.are.equal("h", e.hint)
      assert.is_truthy(e.context:find("PL/pgSQL", 1, true))
      assert.are.equal("m (d) [XY123]. h", tostring(e))
    end)

    it("keep messages of any length and cut long statements", function()
      local e = refused("query", ("DO $$ BEGIN RAISE EXCEPTION '%s'; END $$"):format(("é"):rep(5000)))
      assert.are.equal(("é"):rep(5000), e.message)
      assert.is_true(#e.statement <= 4000)
      assert.is_truthy(utf8.len(e.statement))
    end)

    it("never show a password in a statement", function()
      for _, sql in ipairs {
        "ALTER ROLE nobody_at_all PASSWORD 'hush1234'",
        "ALTER ROLE nobody_at_all PASSWORD E'hu\\'sh1234'",
        "ALTER ROLE nobody_at_all PASSWORD $$hush1234$$",
        "SELECT dblink('host=x password=hush1234 user=y')",
        "SELECT dblink('postgresql://u:hush1234@host/db')",
      } do
        local e = refused("query", sql)
        assert.is_nil(e.statement:find("sh1234", 1, true), e.statement)
        assert.is_truthy(e.statement:find("***", 1, true))
      end
    end)

    it("refuse COPY where it cannot work", function()
      conn:script "CREATE TEMP TABLE t (a int)"
      for _, method in ipairs { "query", "script" } do
        assert.are.equal("usage", refused(method, "COPY t FROM STDIN").kind)
        assert.are.equal("usage", refused(method, "COPY t TO STDOUT").kind)
      end
      assert.are.equal(0, count "t")
    end)

    it("refuse what is no SQL", function()
      for _, bad in ipairs { 1, true, {}, "SELECT 1\0" } do
        assert.are.equal("usage", refused("query", bad).kind)
      end
      assert.are.equal("usage", refused("query").kind)
    end)
  end)

  describe("echo", function()
    it("reports each statement, without parameters and secrets", function()
      local seen = {}
      conn:set_echo(function(sql, seconds)
        assert.is_true(seconds >= 0 and seconds < 60)
        seen[#seen + 1] = sql
      end)
      conn:query("SELECT $1::text", "parameter")
      pcall(conn.query, conn, "ALTER ROLE nobody_at_all PASSWORD 'hush1234'")
      conn:transaction(function()
        conn:pipeline(function(p)
          p:query "SELECT 1"
          p:query "SELECT 2"
        end)
      end)
      conn:set_echo(nil)
      conn:query "SELECT 3"
      assert.are.same({ "SELECT $1::text", "ALTER ROLE nobody_at_all PASSWORD '***'", "BEGIN", "SELECT 1",
        "SELECT 2", "COMMIT" }, seen)
    end)

    it("may ask the connection itself", function()
      local pids = {}
      local other <close> = pg.connect(db.conninfo, {
        echo = function()
          pids[#pids + 1] = conn:query("SELECT pg_backend_pid() AS p")[1].p
        end,
      })
      other:query "SELECT 1"
      assert.are.same({ conn:pid() }, pids)
    end)
  end)

  describe("handles", function()
    it("that are closed say so", function()
      local s = conn:prepare "SELECT 1"
      conn:close()
      conn:close()
      assert.is_false(conn:is_open())
      assert.are.equal("unknown", conn:transaction_status())
      assert.is_truthy(tostring(conn):find("closed", 1, true))
      local calls = { query = { "SELECT 1" }, table = { s }, script = { "SELECT 1" }, prepare = { "SELECT 2" },
        pipeline = { print }, transaction = { print }, begin = {}, commit = {}, rollback = {},
        copy_out = { "COPY t TO STDOUT" }, listen = { "c" }, notify = { "c", "p" }, wait_notification = { 1 },
        cancel = {}, pid = {}, parameter = { "x" } }
      for method, arguments in pairs(calls) do
        local e = refused(method, table.unpack(arguments))
        assert.are.equal("usage", e.kind, method)
        assert.is_truthy(e.message:find("closed", 1, true), method)
      end
    end)

    it("tell what they are", function()
      assert.is_truthy(tostring(conn):find("^ligase%.conn %(database"))
      assert.are.equal("ligase.statement: SELECT 1", tostring(conn:prepare "SELECT 1"))
      assert.are.equal('{1,"a\\"b"}', tostring(pg.array { 1, 'a"b' }))
    end)

    it("of other kinds are refused", function()
      assert.is_false(pcall(conn.query, {}, "SELECT 1"))
      assert.is_false(pcall(conn.query, io.stdout, "SELECT 1"))
    end)

    it("that are dropped free their connections and results", function()
      local function backends()
        return count "pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'"
      end
      local before = backends()
      for i = 1, 20 do
        local dropped = pg.connect(db.conninfo)
        dropped:begin()
        dropped:prepare "SELECT 1"
        if i % 2 == 0 then
          dropped:copy_out "COPY (SELECT generate_series(1, 1000000)) TO STDOUT"()
        end
      end
      collectgarbage()
      collectgarbage()
      for _ = 1, 100 do
        if backends() == before then
          break
        end
        sys.sleep(0.02)
      end
      assert.are.equal(before, backends())
    end)

    it("close at the end of their scope", function()
      local kept
      do
        local scoped <close> = pg.connect(db.conninfo)
        kept = scoped
      end
      assert.is_false(kept:is_open())
    end)
  end)

  it("quotes identifiers", function()
    assert.are.equal('"a"', conn:quote_identifier "a")
    assert.are.equal('"A ""b"" é"', conn:quote_identifier 'A "b" é')
    assert.are.equal("usage", refused("quote_identifier", "a\0b").kind)
    assert.are.equal("usage", refused("quote_identifier", "").kind)
  end)

  it("keeps notices", function()
    conn:script "DROP TABLE IF EXISTS no_such_table"
    local notices = conn:notices()
    assert.are.equal(1, #notices)
    assert.is_truthy(notices[1]:find("no_such_table", 1, true))
    assert.are.same({}, conn:notices())
    conn:script "DO $$ BEGIN FOR i IN 1..5000 LOOP RAISE NOTICE '%', repeat('x', 100); END LOOP; END $$"
    assert.is_true(#conn:notices() < 5000)
  end)
end)
