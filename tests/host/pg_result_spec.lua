--- Values on their way out of Postgres and into it.
local pg = require "pg"
local session = require "tests.host.pg_session"

describe("pg values", function()
  local db = session.new()
  local failure, refused, value = db.failure, db.refused, db.value
  local conn

  setup(db.start)

  before_each(function()
    conn = db.open()
  end)

  after_each(db.close)

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
      assert.are.equal(pg.null, value("$1::text", nil))
      assert.are.equal(pg.null, value("$1::text", pg.null))
      local row = conn:query("SELECT $1::int AS a, $2::int AS b, $3::int AS c", nil, 2, nil)[1]
      assert.are.same({ a = pg.null, b = 2, c = pg.null }, row)
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

    it("are written in binary by pg.int8_array", function()
      local list = { 0, 1, -1, math.maxinteger, math.mininteger }
      assert.are.same(list, value("$1", pg.int8_array(list)))
      assert.are.same(list, value("$1::int8[]", pg.int8_array(list)))
      assert.are.same({}, value("$1::int8[]", pg.int8_array {}))
      local statement = conn:prepare "SELECT array_length($1::int8[], 1) AS n"
      assert.are.equal(3, conn:query(statement, pg.int8_array { 1, 2, 3 })[1].n)
      for _, wrong in ipairs { { 1, "2" }, { 1.5 }, { true } } do
        local done, e = pcall(pg.int8_array, wrong)
        assert.is_false(done)
        assert.are.equal("usage", e.kind)
      end
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
      assert.are.equal(pg.null, rows[2].c)
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
end)
