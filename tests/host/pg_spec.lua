--- The Postgres primitive: types in and out, statements, pipelines, transactions,
--- COPY out, notifications, and what happens when things go wrong.
local pg = require "pg"
local support = require "tests.support"
local sys = require "sys"

describe("pg", function()
  local conninfo, conn

  setup(function()
    conninfo = support.database()
  end)

  before_each(function()
    conn = pg.connect(conninfo)
  end)

  after_each(function()
    conn:close()
  end)

  --- The error that a call raises.
  local function failure(fn, ...)
    local ok, problem = pcall(fn, ...)
    assert.is_false(ok, "nothing was raised")
    return problem
  end

  --- The error table that a connection's method raises.
  local function refused(method, ...)
    return failure(conn[method], conn, ...)
  end

  --- The only value of a query's only row.
  local function value(sql, ...)
    return conn:query("SELECT " .. sql .. " AS v", ...)[1].v
  end

  local function count(sql, ...)
    return conn:query("SELECT count(*) AS n FROM " .. sql, ...)[1].n
  end

  --- Ends the server's side of a connection and waits until it is gone.
  local function terminate(pid)
    local other <close> = pg.connect(conninfo)
    other:query("SELECT pg_terminate_backend($1)", pid)
    for _ = 1, 100 do
      if #other:query("SELECT 1 FROM pg_stat_activity WHERE pid = $1", pid) == 0 then
        return
      end
      sys.sleep(0.02)
    end
    error("the backend did not end")
  end

  describe("types", function()
    it("keep 64-bit integers exact", function()
      for _, n in ipairs { 0, 1, -1, 42, 2 ^ 53 | 0, (2 ^ 53 | 0) + 1, math.maxinteger, math.mininteger } do
        local back = value("$1::int8", n)
        assert.are.equal(n, back)
        assert.are.equal("integer", math.type(back))
      end
      assert.are.equal(-32768, value "(-32768)::int2")
      assert.are.equal(-2147483648, value "(-2147483648)::int4")
      assert.are.equal(4294967295, value "4294967295::oid")
    end)

    it("keep floats exact to the last bit", function()
      local tiny = 0x0.0000000000001p-1022
      for _, x in ipairs { 0.1, 1 / 3, 3.0, -2.5, 1e22, 1e23, 1e300, 5e-324, tiny, 2 ^ 53 + 0.0,
        0x1.fffffffffffffp1023, 0x1p-1022, 123456789012345680.0, math.pi, 0.30000000000000004 } do
        local back = value("$1::float8", x)
        assert.are.equal("float", math.type(back))
        assert.are.equal(x, back)
        assert.are.equal(-x, value("$1::float8", -x))
      end
      assert.are.equal(math.huge, value("$1::float8", math.huge))
      assert.are.equal(-math.huge, value("$1::float8", -math.huge))
      local nan = value("$1::float8", 0 / 0)
      assert.are_not.equal(nan, nan)
      assert.are.equal(-math.huge, 1 / value("$1::float8", -0.0))
      assert.are.equal(0.1, value "0.1::float4")
    end)

    it("send a float with no more digits than it needs", function()
      assert.are.equal("0.1", value("$1::numeric", 0.1))
      assert.are.equal("0.30000000000000004", value("$1::numeric", 0.1 + 0.2))
      assert.are.equal(3, value("$1::int4", 3.0))
    end)

    it("keep numeric as exact text", function()
      assert.are.equal("12345678901234567890.10", value "12345678901234567890.10::numeric")
      assert.are.equal("12345678901234567890.10", value("$1::numeric", "12345678901234567890.10"))
    end)

    it("know booleans and NULL", function()
      assert.is_true(value("$1::bool", true))
      assert.is_false(value("$1::bool", false))
      assert.is_nil(value("$1::text", nil))
      assert.is_nil(value("$1::text", pg.null))
      local row = conn:query("SELECT $1::int AS a, $2::int AS b, $3::int AS c", nil, 2, nil)[1]
      assert.are.same({ b = 2 }, row)
    end)

    it("keep text of every kind", function()
      for _, s in ipairs { "", " ", "'", '"', "\\", "\\n", "$1", "a\nb\r\t", "µ-Ölçü ☃ 😀", ("x"):rep(100000) } do
        assert.are.equal(s, value("$1::text", s))
      end
    end)

    it("keep bytes", function()
      local all = {}
      for i = 0, 255 do
        all[#all + 1] = string.char(i)
      end
      local bytes = table.concat(all)
      assert.are.equal(bytes, value("$1::bytea", pg.bytes(bytes)))
      assert.are.equal(256, value("length($1)", pg.bytes(bytes)))
      assert.are.equal("", value("$1::bytea", pg.bytes ""))
      conn:script "SET bytea_output = escape"
      assert.are.equal(bytes, value("$1::bytea", pg.bytes(bytes)))
    end)

    it("hand everything else over as text", function()
      assert.are.equal("2024-02-29", value "'2024-02-29'::date")
      assert.are.equal("2024-02-29 01:02:03.000004", value "'2024-02-29T01:02:03.000004'::timestamp")
      assert.are.equal("0189b5a2-7e1d-7a5c-9d1e-0123456789ab",
        value("$1::uuid", "0189B5A2-7E1D-7A5C-9D1E-0123456789AB"))
      assert.are.equal("(1,x)", value "row(1,'x')")
      assert.are.equal("", value "pg_notify('nobody', '')")
    end)

    it("name the columns and their types once per result", function()
      local result = conn:query [[SELECT 1::int8 AS a, 'x'::text AS b, '{1}'::float8[] AS c,
        '{}'::jsonb AS d, row(1) AS e]]
      assert.are.same({
        { name = "a", type = "int8", oid = 20 },
        { name = "b", type = "text", oid = 25 },
        { name = "c", type = "float8[]", oid = 1022 },
        { name = "d", type = "jsonb", oid = 3802 },
        { name = "e", type = "other", oid = 2249 },
      }, result.columns)
      assert.are.equal("SELECT 1", result.command)
      assert.are.equal(1, result.affected)
    end)

    it("take rows of very many columns", function()
      local parts = {}
      for i = 1, 1600 do
        parts[i] = i .. " AS c" .. i
      end
      local row = conn:query("SELECT " .. table.concat(parts, ","))[1]
      assert.are.equal(1, row.c1)
      assert.are.equal(1600, row.c1600)
    end)
  end)

  describe("json", function()
    local before

    before_each(function()
      before = pg.use_json(nil)
    end)

    after_each(function()
      pg.use_json(before)
    end)

    it("is text without a decoder", function()
      assert.are.equal('{"a": [1, 2]}', value([[$1::jsonb]], '{"a":[1,2]}'))
    end)

    it("goes through the decoder, in arrays too", function()
      pg.use_json(function(text)
        return { text }
      end)
      assert.are.same({ "{}" }, value "'{}'::jsonb")
      assert.are.same({ "1" }, value "'1'::json")
      assert.are.same({ { '{"a": "\\""}' }, pg.null }, value [[ARRAY['{"a":"\""}'::jsonb, NULL] ]])
    end)

    it("may be decoded with the same connection", function()
      pg.use_json(function(text)
        return conn:query("SELECT $1::text || '!' AS v", text)[1].v
      end)
      assert.are.equal("1!", value "'1'::jsonb")
    end)

    it("a decoder's error goes through and leaves the connection usable", function()
      pg.use_json(function()
        error({ "mine" })
      end)
      assert.are.same({ "mine" }, refused("query", "SELECT '1'::jsonb AS v FROM generate_series(1, 100)"))
      assert.are.same({ "mine" }, refused("pipeline", function(p)
        p:query "SELECT '1'::jsonb"
        p:query "SELECT 1"
      end))
      assert.are.equal(1, value "1")
    end)
  end)

  describe("arrays", function()
    it("come back as lists", function()
      assert.are.same({ 1, -2, math.mininteger }, value "ARRAY[1, -2, -9223372036854775808]::int8[]")
      assert.are.same({ 0.5, math.huge, 1e300 }, value "ARRAY[0.5, 'Infinity', 1e300]::float8[]")
      assert.are.same({ true, false }, value "ARRAY[true, false]")
      assert.are.same({ "1.10", "2" }, value "ARRAY[1.10, 2]::numeric[]")
      assert.are.same({}, value "'{}'::text[]")
      assert.are.same({ "\1\0\255" }, value [[ARRAY['\x0100ff'::bytea] ]])
      assert.are.same({ 7, 8 }, value "'[0:1]={7,8}'::int4[]")
    end)

    it("keep NULL elements apart from the text NULL", function()
      assert.are.same({ pg.null, "NULL", "null", "" }, value [[ARRAY[NULL, 'NULL', 'null', ''] ]])
      assert.are.same({ 1, pg.null, 3 }, value("$1::int8[]", pg.array { 1, pg.null, 3 }))
    end)

    it("round-trip strings with anything in them", function()
      local list = { "", " ", "a,b", "{", "}", "{}", '"', '\\', '\\"', "NULL", "null", "'", "a\nb", "µ☃😀", "\\x41",
        ("long "):rep(10000) }
      assert.are.same(list, value("$1::text[]", pg.array(list)))
      assert.are.same(list, value("$1", pg.array(list, "text")))
    end)

    it("round-trip nested lists", function()
      local nested = { { { 1, 2 }, { 3, 4 } }, { { 5, 6 }, { 7, 8 } } }
      assert.are.same(nested, value("$1::int4[]", pg.array(nested)))
      assert.are.same({ { "a", pg.null }, { '"', "{}" } },
        value("$1::text[]", pg.array { { "a", pg.null }, { '"', "{}" } }))
    end)

    it("take an element type, which unnest needs", function()
      local rows = conn:query("SELECT * FROM unnest($1, $2, $3) AS t(a, b, c)", pg.array({ 1, 2 }, "int8"),
        pg.array({ 0.5, 0 / 0 }, "double precision"), pg.array({ "x", pg.null }, "text"))
      assert.are.equal(2, #rows)
      assert.are.equal(0.5, rows[1].b)
      assert.is_nil(rows[2].c)
      assert.are.same({ "\0\1\255", "" }, value("$1", pg.array({ "\0\1\255", "" }, "bytea")))
      assert.are.same({ "\0\1" }, value("$1::bytea[]", pg.array { pg.bytes "\0\1" }))
      assert.are.same({ true, false }, value("$1", pg.array({ true, false }, "boolean")))
    end)

    it("hold a hundred thousand elements", function()
      local list = {}
      for i = 1, 100000 do
        list[i] = i
      end
      local back = value("$1", pg.array(list, "int8"))
      assert.are.equal(100000, #back)
      assert.are.equal(100000, back[100000])
      assert.are.equal(99999, back[99999])
    end)

    it("respect an explicit length", function()
      assert.are.same({ pg.null, 2, pg.null }, value("$1::int4[]", pg.array { n = 3, nil, 2 }))
      assert.are.same({}, value("$1::int4[]", pg.array {}))
    end)

    it("refuse lists that would lose elements", function()
      for _, list in ipairs { { 1, nil, 3 }, { a = 1 }, { 1, 2, x = 3 }, { [3] = 1 }, { 1, print }, { n = -1 } } do
        assert.are.equal("usage", failure(pg.array, list).kind)
      end
      assert.are.equal("usage", failure(pg.array, { "a\0b" }).kind)
      assert.are.equal("usage", failure(pg.array, "no list").kind)
      assert.are.equal("usage", failure(pg.array, { 1 }, "no_such_type").kind)
      assert.are.equal("usage", failure(pg.array, { { { { { { { 1 } } } } } } }).kind)
      assert.are.equal("22P02", refused("query", "SELECT $1::int4[]", pg.array { { 1, 2 }, { 3 } }).code)
    end)

    it("can be built in any order", function()
      local list = {}
      for i = 100, 1, -1 do
        list[i] = i
      end
      assert.are.equal(100, #value("$1::int4[]", pg.array(list)))
    end)
  end)

  describe("parameters", function()
    it("refuse what has no form in Postgres, by position", function()
      for _, bad in ipairs { { {} }, { print }, { io.stdout }, { coroutine.create(print) } } do
        local e = refused("query", "SELECT $1, $2", 1, bad[1])
        assert.are.equal("usage", e.kind)
        assert.is_truthy(e.message:find("$2", 1, true))
      end
      local e = refused("query", "SELECT $1, $2::text", 1, "ab\0c")
      assert.is_truthy(e.message:find("$2", 1, true))
      assert.is_truthy(e.message:find("byte 3", 1, true))
    end)

    it("may be many", function()
      local marks, values = {}, {}
      for i = 1, 2000 do
        marks[i] = "$" .. i .. "::int8"
        values[i] = i
      end
      assert.are.equal(2001000, value(table.concat(marks, "+"), table.unpack(values)))
    end)

    it("of the wrong number are the server's to refuse", function()
      assert.are.equal("42P18", refused("query", "SELECT $1::int", 1, 2).code)
      assert.are.equal("08P01", refused("query", conn:prepare "SELECT $1::int", 1, 2).code)
      assert.is_true(conn:is_open())
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
      local other <close> = pg.connect(conninfo)
      assert.are.equal("usage", refused("query", other:prepare "SELECT 1").kind)
    end)
  end)

  describe("pipelines", function()
    it("return one result per statement", function()
      local s = conn:prepare "SELECT $1::int8 AS v"
      local places = {}
      local results = conn:pipeline(function(p)
        for i = 1, 500 do
          places[i] = p:query(s, i)
        end
        places[501] = p:query("SELECT $1::text AS v, $2::text AS w", nil, "x")
      end)
      assert.are.equal(501, #results)
      assert.are.equal(500, results[500][1].v)
      assert.are.same({ w = "x" }, results[501][1])
      assert.are.equal(501, places[501])
    end)

    it("may be empty", function()
      assert.are.same({}, conn:pipeline(function() end))
    end)

    it("raise the first failure and undo everything before it", function()
      conn:script "CREATE TEMP TABLE p (a int PRIMARY KEY)"
      local e = refused("pipeline", function(p)
        p:query "INSERT INTO p VALUES (1)"
        p:query "INSERT INTO p VALUES (1)"
        p:query "INSERT INTO p VALUES (2)"
      end)
      assert.are.equal("23505", e.code)
      assert.are.equal("INSERT INTO p VALUES (1)", e.statement)
      assert.are.equal(2, e.place)
      assert.are.equal("idle", conn:transaction_status())
      assert.are.equal(0, count "p")
    end)

    it("fail inside a transaction without ending it", function()
      conn:begin()
      assert.are.equal("22012", refused("pipeline", function(p)
        p:query "SELECT 1/0"
      end).code)
      assert.are.equal("failed", conn:transaction_status())
      conn:rollback()
    end)

    it("send nothing when their function raises", function()
      conn:script "CREATE TEMP TABLE p (a int)"
      assert.are.equal("stop", refused("pipeline", function(p)
        p:query "INSERT INTO p VALUES (1)"
        error("stop", 0)
      end))
      assert.are.equal(0, count "p")
    end)

    it("refuse a bad parameter in the call that passes it", function()
      local e = refused("pipeline", function(p)
        p:query("SELECT $1::int", 1)
        p:query("SELECT $1, $2", 1, {})
      end)
      assert.is_truthy(e.message:find("$2", 1, true))
      assert.are.equal("usage", refused("pipeline", function(p)
        p:query "/* x */ copy pg_class TO STDOUT"
      end).kind)
    end)

    it("do not deadlock when both sides send a lot", function()
      local big = ("x"):rep(4 * 1024 * 1024)
      local results = conn:pipeline(function(p)
        for _ = 1, 12 do
          p:query("SELECT $1::text AS v", big)
        end
      end)
      for i = 1, 12 do
        assert.are.equal(#big, #results[i][1].v)
      end
    end)

    it("end with their function", function()
      local kept
      conn:pipeline(function(p)
        kept = p
      end)
      assert.are.equal("usage", failure(kept.query, kept, "SELECT 1").kind)
    end)

    it("may use the connection while they are collected", function()
      local results = conn:pipeline(function(p)
        p:query("SELECT $1::int AS v", conn:query("SELECT 3 AS v")[1].v)
      end)
      assert.are.equal(3, results[1][1].v)
    end)
  end)

  describe("transactions", function()
    before_each(function()
      conn:script "CREATE TEMP TABLE t (a int)"
    end)

    local function add(n)
      conn:query("INSERT INTO t VALUES ($1)", n)
    end

    it("commit and return what the function returns", function()
      local function work(a, b)
        add(a)
        return b, nil, "c", nil
      end
      assert.are.same(table.pack("b", nil, "c", nil), table.pack(conn:transaction(work, 1, "b")))
      assert.are.equal("idle", conn:transaction_status())
      assert.are.equal(1, count "t")
    end)

    it("roll back and let the error go on as it is", function()
      local thrown = setmetatable({}, { __tostring = error })
      for _, e in ipairs { thrown, "text", 42, true, print } do
        assert.are.equal(e, refused("transaction", function()
          add(1)
          error(e, 0)
        end))
      end
      assert.is_nil(refused("transaction", function()
        error(nil)
      end))
      assert.are.equal("idle", conn:transaction_status())
      assert.are.equal(0, count "t")
    end)

    it("nest as savepoints", function()
      conn:transaction(function()
        add(1)
        assert.are.equal("inner", refused("transaction", function()
          add(2)
          conn:transaction(add, 3)
          error("inner", 0)
        end))
        assert.are.equal("in transaction", conn:transaction_status())
        conn:transaction(add, 4)
      end)
      assert.are.same({ { a = 1 }, { a = 4 } }, { table.unpack(conn:query "SELECT a FROM t ORDER BY a") })
    end)

    it("nest inside one begun by hand", function()
      conn:begin()
      conn:transaction(add, 1)
      assert.are.equal("in transaction", conn:transaction_status())
      conn:rollback()
      assert.are.equal(0, count "t")
    end)

    it("recover from a failed statement in a nested one", function()
      conn:transaction(function()
        add(1)
        assert.are.equal("22012", refused("transaction", function()
          conn:query "SELECT 1/0"
        end).code)
        add(2)
      end)
      assert.are.equal(2, count "t")
    end)

    it("do not commit silently what a swallowed error undid", function()
      local e = refused("transaction", function()
        add(1)
        pcall(conn.query, conn, "SELECT 1/0")
      end)
      assert.are.equal("database", e.kind)
      assert.are.equal("25P02", e.code)
      assert.are.equal("division by zero", e.detail)
      assert.are.equal(0, count "t")

      conn:transaction(function() -- swallowed one level down, and undone there
        assert.are.equal("25P02", refused("transaction", function()
          add(2)
          pcall(conn.query, conn, "SELECT 1/0")
        end).code)
        add(3)
      end)
      assert.are.same({ a = 3 }, conn:query("SELECT a FROM t")[1])
    end)

    it("refuse a COMMIT that the server answers with ROLLBACK", function()
      for _, commit in ipairs {
        function() conn:commit() end,
        function() conn:query "COMMIT" end,
        function() conn:script "END" end,
        function() conn:pipeline(function(p) p:query "COMMIT" end) end,
      } do
        conn:begin()
        add(1)
        refused("query", "SELECT 1/0")
        local e = failure(commit)
        assert.are.equal("25P02", e.code)
        assert.are.equal("division by zero", e.detail)
        assert.are.equal("idle", conn:transaction_status())
      end
      assert.are.equal(0, count "t")
    end)

    it("raise what a deferred constraint says at COMMIT", function()
      conn:script "CREATE TEMP TABLE d (a int UNIQUE DEFERRABLE INITIALLY DEFERRED)"
      local e = refused("transaction", function()
        conn:query "INSERT INTO d VALUES (1), (1)"
      end)
      assert.are.equal("23505", e.code)
      assert.is_nil(e.unknown_outcome)
      assert.are.equal("idle", conn:transaction_status())
    end)

    it("are not ended behind their back", function()
      for _, method in ipairs { "begin", "commit", "rollback" } do
        assert.are.equal("usage", refused("transaction", function()
          conn[method](conn)
        end).kind)
      end
      assert.are.equal("usage", refused("transaction", function()
        conn:query "ROLLBACK"
      end).kind)
      assert.are.equal("usage", refused("transaction", function()
        conn:close()
      end).kind)
    end)

    it("by hand", function()
      conn:begin()
      assert.are.equal("in transaction", conn:transaction_status())
      assert.are.equal("usage", refused("begin").kind)
      add(1)
      conn:commit()
      assert.are.equal("usage", refused("commit").kind)
      conn:begin()
      add(2)
      assert.is_true(conn:rollback())
      assert.is_false(conn:rollback())
      assert.are.equal(1, count "t")
    end)

    it("inside a failed one say why they cannot begin", function()
      conn:begin()
      refused("query", "SELECT 1/0")
      local e = refused("transaction", print)
      assert.are.equal("25P02", e.code)
      assert.are.equal("division by zero", e.detail)
    end)

    it("roll back when a coroutine ends with an error, and cannot be left by a yield", function()
      local ok, e = coroutine.resume(coroutine.create(function()
        conn:transaction(function()
          add(1)
          coroutine.yield()
        end)
      end))
      assert.is_false(ok)
      assert.is_truthy(tostring(e):find("yield", 1, true))
      assert.are.equal("idle", conn:transaction_status())
      assert.are.equal(0, count "t")
    end)

    it("drain a COPY that was left open", function()
      assert.are.equal("usage", refused("transaction", function()
        add(1)
        conn:copy_out "COPY (SELECT generate_series(1, 1000000)) TO STDOUT"
      end).kind)
      assert.are.equal("stop", refused("transaction", function()
        conn:copy_out "COPY (SELECT generate_series(1, 1000000)) TO STDOUT"()
        error("stop", 0)
      end))
      assert.are.equal("idle", conn:transaction_status())
      assert.are.equal(0, count "t")
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

      e = refused("query", [[DO $$ BEGIN RAISE EXCEPTION 'm' USING DETAIL = 'd', HINT = 'h', ERRCODE = 'XY123'; END $$]])
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

  describe("connecting", function()
    it("takes a table", function()
      local row = conn:query("SELECT current_database() AS db, current_user AS u")[1]
      local place = conninfo:match "host=([^&]+)":gsub("%%(%x%x)", function(hex)
        return string.char(tonumber(hex, 16))
      end)
      local port = tonumber(conninfo:match "port=(%d+)" or 5432)
      local other <close> = pg.connect { host = place, port = port, dbname = row.db, user = row.u }
      assert.are.equal(row.db, other:query("SELECT current_database() AS db")[1].db)
    end)

    it("sets the session up the same everywhere", function()
      conn:script "ALTER ROLE CURRENT_USER SET extra_float_digits = 0"
      conn:script "ALTER ROLE CURRENT_USER SET datestyle = 'German'"
      local other <close> = pg.connect(conninfo)
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
      assert.are.equal("usage", failure(pg.connect, conninfo, { ecko = true }).kind)
      assert.are.equal("usage", failure(pg.connect, conninfo, { echo = 3 }).kind)
      assert.are.equal("usage", failure(pg.connect, conninfo, { connect_timeout_s = 0 }).kind)
      assert.are.equal("usage", failure(pg.connect, 5).kind)
    end)
  end)

  describe("lost connections", function()
    it("are an error with a code, and stay one", function()
      terminate(conn:pid())
      local e = refused("query", "SELECT 1")
      assert.are.equal("database", e.kind)
      assert.is_truthy(e.code == "57P01" or e.code == "08006", e.code)
      assert.is_false(conn:is_open())
      assert.are.equal("unknown", conn:transaction_status())
      e = refused("query", "SELECT 1")
      assert.are.equal("08006", e.code)
      assert.is_nil(e.unknown_outcome)
    end)

    it("while a statement runs leave its outcome unknown", function()
      local e = refused("query", "SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(5)")
      assert.are.equal("57P01", e.code)
      assert.is_true(e.unknown_outcome)
    end)

    it("in a pipeline", function()
      local e = refused("pipeline", function(p)
        p:query "SELECT 1"
        p:query "SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(5)"
        p:query "SELECT 2"
      end)
      assert.are.equal("57P01", e.code)
      assert.are.equal(2, e.place)
      assert.is_true(e.unknown_outcome)
      assert.is_false(conn:is_open())
    end)

    it("let the error of a transaction's function go on", function()
      local e = refused("transaction", function()
        terminate(conn:pid())
        error("mine", 0)
      end)
      assert.are.equal("mine", e)
    end)

    it("before COMMIT is sent are just lost", function()
      local e = refused("transaction", function()
        terminate(conn:pid())
      end)
      assert.are.equal("08006", e.code)
      assert.is_nil(e.unknown_outcome)
    end)

    it("after COMMIT is sent are unknown", function()
      conn:script [[
        CREATE TABLE doomed (a int);
        CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS
          $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()), pg_sleep(5); RETURN NULL; END $$;
        CREATE CONSTRAINT TRIGGER die AFTER INSERT ON doomed DEFERRABLE INITIALLY DEFERRED
          FOR EACH ROW EXECUTE FUNCTION die()]]
      local e = refused("transaction", function()
        conn:query "INSERT INTO doomed VALUES (1)"
      end)
      assert.are.equal("database", e.kind)
      assert.are.equal("08007", e.code)
      assert.is_true(e.unknown_outcome)
      assert.is_truthy(e.hint)
    end)

    it("while waiting and while copying", function()
      terminate(conn:pid())
      assert.are.equal("database", refused("wait_notification", 5).kind)
      local other <close> = pg.connect(conninfo)
      local chunks = other:copy_out "COPY (SELECT generate_series(1, 3000000)) TO STDOUT"
      chunks()
      terminate(other:pid())
      local e = failure(function()
        repeat until not chunks()
      end)
      assert.are.equal("database", e.kind)
      chunks:close()
    end)
  end)

  describe("copy_out", function()
    it("yields whole rows", function()
      local all = {}
      for chunk in conn:copy_out "COPY (SELECT i FROM generate_series(1, 100000) i) TO STDOUT" do
        assert.are.equal("\n", chunk:sub(-1))
        all[#all + 1] = chunk
      end
      local text = table.concat(all)
      assert.is_true(#all > 1)
      assert.are.equal("1\n2\n3\n", text:sub(1, 6))
      local _, lines = text:gsub("\n", "")
      assert.are.equal(100000, lines)
      assert.are.equal(1, value "1")
    end)

    it("yields nothing for nothing, and binary as it is", function()
      for _ in conn:copy_out "COPY (SELECT 1 WHERE false) TO STDOUT" do
        error "no rows"
      end
      local binary = conn:copy_out "COPY (SELECT 1) TO STDOUT (FORMAT binary)"
      assert.are.equal("PGCOPY\n\255\r\n\0", binary():sub(1, 11))
      assert.is_nil(binary())
      assert.is_nil(binary())
    end)

    it("is drained when the loop is left early", function()
      for _ in conn:copy_out "COPY (SELECT generate_series(1, 5000000)) TO STDOUT" do
        break
      end
      assert.are.equal("idle", conn:transaction_status())
      assert.are.equal(1, value "1")
      local chunks = conn:copy_out "COPY (SELECT generate_series(1, 5000000)) TO STDOUT"
      assert.is_string(chunks())
      chunks:close()
      chunks:close()
      assert.is_nil(chunks())
      assert.are.equal(1, value "1")
    end)

    it("is drained when it is forgotten", function()
      conn:copy_out "COPY (SELECT generate_series(1, 5000000)) TO STDOUT"()
      collectgarbage()
      collectgarbage()
      assert.are.equal("idle", conn:transaction_status())
    end)

    it("occupies the connection", function()
      local chunks <close> = conn:copy_out "COPY (SELECT generate_series(1, 1000000)) TO STDOUT"
      for _, method in ipairs { "query", "prepare", "script", "copy_out" } do
        assert.are.equal("usage", refused(method, "SELECT 1").kind)
      end
      assert.are.equal("usage", refused("pipeline", print).kind)
      assert.are.equal("usage", refused("transaction", print).kind)
      assert.are.equal("active", conn:transaction_status())
      assert.is_string(chunks())
    end)

    it("does not disturb what came after it", function()
      conn:begin()
      local old = conn:copy_out "COPY (SELECT generate_series(1, 1000000)) TO STDOUT"
      old()
      old:close()
      conn:rollback()
      local stale
      refused("transaction", function()
        stale = conn:copy_out "COPY (SELECT generate_series(1, 1000000)) TO STDOUT"
        error "leave it open"
      end)
      local n = 0
      for chunk in conn:copy_out "COPY (SELECT generate_series(1, 200000)) TO STDOUT" do
        n = n + #chunk
        if stale then
          assert.are.equal("usage", failure(stale).kind)
          stale = nil
          collectgarbage()
        end
      end
      assert.are.equal(1288895, n)
    end)

    it("raises what the server says, at the start and in the middle", function()
      assert.are.equal("42P01", refused("copy_out", "COPY no_such_table TO STDOUT").code)
      assert.are.equal("usage", refused("copy_out", "SELECT 1").kind)
      conn:script "CREATE TEMP TABLE t (a int)"
      assert.are.equal("usage", refused("copy_out", "COPY t FROM STDIN").kind)
      local e = failure(function()
        for _ in conn:copy_out "COPY (SELECT 1 / (100000 - i) FROM generate_series(1, 100000) i) TO STDOUT" do
          count = count
        end
      end)
      assert.are.equal("22012", e.code)
      assert.are.equal(1, value "1")
    end)
  end)

  describe("notifications", function()
    it("travel between connections", function()
      local other <close> = pg.connect(conninfo)
      conn:listen 'Jobs "new"'
      other:notify('Jobs "new"', "héllo")
      assert.are.same({ channel = 'Jobs "new"', payload = "héllo", pid = other:pid() },
        conn:wait_notification(5))
      other:notify 'Jobs "new"'
      other:notify('Jobs "new"', "second")
      assert.are.equal("", conn:wait_notification(5).payload)
      assert.are.equal("second", conn:wait_notification(5).payload)
      conn:unlisten 'Jobs "new"'
      other:notify('Jobs "new"', "unheard")
      assert.is_nil(conn:wait_notification(0.05))
    end)

    it("that came with another answer are kept", function()
      conn:listen "here"
      conn:query "SELECT pg_notify('here', 'x')"
      assert.are.equal("x", conn:wait_notification(0).payload)
      assert.is_nil(conn:wait_notification(0))
    end)

    it("are waited for as long as was said", function()
      local start = sys.monotonic()
      assert.is_nil(conn:wait_notification(0.1))
      local waited = sys.monotonic() - start
      assert.is_true(waited >= 0.09 and waited < 2, waited)
      assert.are.equal("usage", refused("wait_notification", -1).kind)
    end)
  end)

  describe("stopping", function()
    it("a COPY with cancel", function()
      local chunks = conn:copy_out "COPY (SELECT generate_series(1, 100000000)) TO STDOUT"
      chunks()
      conn:cancel()
      local e = failure(function()
        repeat until not chunks()
      end)
      assert.are.equal("57014", e.code)
      assert.are.equal(1, value "1")
    end)

    it("a statement from another connection", function()
      conn:script "SET statement_timeout = '50ms'"
      assert.are.equal("57014", refused("query", "SELECT pg_sleep(30)").code)
      assert.is_true(conn:is_open())
    end)

    --- Sends this process a signal a moment from now.
    local function interrupt_soon()
      return sys.spawn { "sh", "-c", "sleep 0.2; kill -INT " .. sys.pid() }
    end

    it("a statement with a signal", function()
      local child = interrupt_soon()
      local start = sys.monotonic()
      local e = refused("transaction", function()
        conn:query "SELECT pg_sleep(30)"
      end)
      child:wait()
      child:close()
      assert.are.equal("interrupted", e.kind)
      assert.is_true(sys.monotonic() - start < 10)
      assert.are.equal("idle", conn:transaction_status())
      assert.are.equal(1, value "1")
    end)

    it("a pipeline, a COPY and a wait with a signal", function()
      for _, work in ipairs {
        function() conn:pipeline(function(p) p:query "SELECT 1" p:query "SELECT pg_sleep(30)" end) end,
        function() conn:copy_out "COPY (SELECT pg_sleep(30)) TO STDOUT"() end,
        function() conn:wait_notification(30) end,
      } do
        local child = interrupt_soon()
        local e = failure(work)
        child:wait()
        child:close()
        assert.are.equal("interrupted", e.kind)
        collectgarbage()
        assert.are.equal("idle", conn:transaction_status())
        assert.are.equal(1, value "1")
      end
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
      local other <close> = pg.connect(conninfo, {
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
        local dropped = pg.connect(conninfo)
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
        local scoped <close> = pg.connect(conninfo)
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
