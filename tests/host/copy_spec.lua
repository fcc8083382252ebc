--- conn:copy_in against a real server.
local csv = require "csv"
local frame = require "frame"
local host = require "host"
local pg = require "pg"
local pg_session = require "tests.host.pg_session"
local sys = require "sys"

local null = host.null

local function failure_of(fn, ...)
  local done, failure = pcall(fn, ...)
  assert.is_false(done, "nothing was raised")
  assert.equal("table", type(failure), tostring(failure))
  return failure
end

local function assert_usage(word, fn, ...)
  local failure = failure_of(fn, ...)
  assert.equal("usage", failure.kind, tostring(failure))
  assert.truthy(failure.message:find(word, 1, true), failure.message)
end

local db = pg_session.new()
local conn

setup(db.start)

before_each(function()
  conn = db.open()
  conn:script("SET client_min_messages = error; DROP SCHEMA public CASCADE; CREATE SCHEMA public")
end)

after_each(db.close)

describe("binary COPY", function()

  --- A table t with these columns, "name type, ...", and a COPY into all of them.
  local function copy_into(definition)
    conn:query("CREATE TABLE t (" .. definition .. ")")
    local columns = {}
    for name, type in (definition .. ","):gmatch("%s*(%S+) ([^,]-),") do
      columns[#columns + 1] = { name, type:match("^%S+") }
    end
    return conn:copy_in("t", columns)
  end

  --- What one text column of t holds, in the order of the rows.
  local function texts_of(expression)
    local texts = {}
    for i, row in ipairs(conn:table("SELECT (" .. expression .. ")::text FROM t ORDER BY ctid")) do
      texts[i] = row[1]
    end
    return texts
  end

  it("stores constants of every type, as Postgres itself would", function()
    local copy <close> = copy_into([[b bool, u uuid, i int4, l int8, t text, d float8, da float8[], ta text[],
      j jsonb, z timestamptz]])
    copy:write(2, {
      b = true, u = "01890a5d-ac96-774b-bcce-b302099a8057", i = -2147483648, l = math.mininteger,
      t = "größe\t\\\n'\"", d = 0.1, da = { 1.5, null, -0.0, 1 / 0 }, ta = { "a,b", null, "", '"', "NULL" },
      j = '{"a": [1, "é"]}', z = "2026-01-02T03:04:05.678901Z",
    })
    assert.equal(2, copy:finish())
    local row = conn:query([[SELECT count(*) AS n FROM t WHERE b AND u = '01890a5d-ac96-774b-bcce-b302099a8057'
      AND i = -2147483648 AND l = -9223372036854775808 AND t = E'größe\t\\\n''"' AND d = 0.1
      AND da = '{1.5,NULL,-0,Infinity}' AND ta = ARRAY['a,b', NULL, '', '"', 'NULL'] AND j = '{"a": [1, "é"]}'
      AND z = '2026-01-02 03:04:05.678901+00']])[1]
    assert.equal(2, row.n)
  end)

  it("stores NULL for nil, host.null and a column that is not mentioned", function()
    local copy <close> = copy_into([[b bool, u uuid, i int4, l int8, t text, d float8, da float8[], ta text[],
      j jsonb, z timestamptz]])
    copy:write(1, {})
    copy:write(1, { b = null, u = null, i = null, l = null, t = null, d = null, da = null, ta = null, j = null,
      z = null })
    assert.equal(2, copy:finish())
    assert.equal(2, db.count "t WHERE num_nulls(b, u, i, l, t, d, da, ta, j, z) = 10")
  end)

  it("can be sealed before it is finished", function()
    local copy <close> = copy_into "i int4"
    copy:write(2, { i = { 1, 2 } })
    copy:seal()
    copy:seal()
    local e = failure_of(copy.write, copy, 1, { i = 3 })
    assert.match("sealed", e.message)
    assert.equal(2, copy:finish())
    assert.same({ "1", "2" }, texts_of "i")
  end)

  it("tells after sealing what the server refused", function()
    local copy <close> = copy_into "i int4 CHECK (i < 3)"
    copy:write(2, { i = { 1, 3 } })
    copy:seal()
    assert.equal("23514", failure_of(copy.finish, copy).code)
    assert.equal(0, db.count "t")
  end)

  it("stores lists with one value per row", function()
    local copy <close> = copy_into("i int4, t text, da float8[], ta text[], b bool")
    copy:write(3, { i = { 1, null, 3.0 }, t = { "x", "", null }, da = { null, {}, { 1, null } },
      ta = { { "a" }, null, { null } }, b = { false, true, null } })
    copy:write(0, { i = {}, t = "x" })
    assert.equal(3, copy:finish())
    assert.same({ "1", null, "3" }, texts_of "i")
    assert.same({ "x", "", null }, texts_of "t")
    assert.same({ null, "{}", "{1,NULL}" }, texts_of "da")
    assert.same({ "{a}", null, "{NULL}" }, texts_of "ta")
    assert.same({ "false", "true", null }, texts_of "b")
  end)

  it("stores one array in all rows, also an empty one and one of NULLs", function()
    local copy <close> = copy_into("a float8[], b text[], c text[]")
    copy:write(2, { a = { 1, 2 }, b = {}, c = { null, null } })
    copy:finish()
    assert.same({ "{1,2}", "{1,2}" }, texts_of "a")
    assert.same({ "{}", "{}" }, texts_of "b")
    assert.same({ "{NULL,NULL}", "{NULL,NULL}" }, texts_of "c")
  end)

  it("stores the columns of frames, and counts", function()
    local copy <close> = copy_into([[ordinal int8, key int8, name text, value float8, numbers float8[], texts text[],
      cells jsonb, run uuid]])
    local run = sys.uuid7()
    local text = "name,a,b,c\nPC,1.5,NA,2\nPE,<LOD,7,\n,inf,NaN,1e-400\nPC,-0,123456789012345678,NA\n"
    for f in csv.frames({ text = text }, { frame_bytes = 20 }) do
      local name <close> = f:text "name"
      local keys = {}
      for i, distinct in ipairs(name:distinct()) do
        keys[i] = distinct == "PC" and 11 or 22
      end
      copy:write(f, {
        ordinal = f:ordinals(), key = name:map(keys), name = name, value = f:number "a",
        numbers = f:numbers { "a", 3, "c" }, texts = f:texts { "name", "c" },
        cells = f:misfits({ "a", "b", "c" }, { false, "NA", "NA" }), run = run,
      })
      f:close()
    end
    assert.same({ rows = 4, numbers = 7, kept = 6, misfits = { 1, 0, 0 } }, copy:counts())
    assert.equal(4, copy:finish())
    assert.same({ rows = 4, numbers = 7, kept = 6, misfits = { 1, 0, 0 } }, copy:counts())
    assert.same({ "1", "2", "3", "4" }, texts_of "ordinal")
    assert.same({ "11", "22", null, "11" }, texts_of "key")
    assert.same({ "PC", "PE", null, "PC" }, texts_of "name")
    assert.same({ "1.5", null, "Infinity", "-0" }, texts_of "value")
    assert.same({ "{1.5,NULL,2}", "{NULL,7,NULL}", "{Infinity,NULL,0}", "{-0,1.2345678901234568e+17,NULL}" },
      texts_of "numbers")
    assert.same({ "{PC,2}", "{PE,NULL}", "{NULL,1e-400}", "{PC,NA}" }, texts_of "texts")
    assert.same({ null, '{"2": "<LOD", "4": ""}', '{"2": "inf", "3": "NaN", "4": "1e-400"}',
      '{"3": "123456789012345678"}' }, texts_of "cells")
    assert.equal(4, conn:query("SELECT count(*) AS n FROM t WHERE run = $1", run)[1].n)
  end)

  it("stores slices, and columns after their frame was closed", function()
    local copy <close> = copy_into("o int8, n text, v float8[], m jsonb")
    local f = frame.new({ "n", "v" }, { { "a", 1 }, { "b", "x" }, { "c", 3 } })
    local slice = f:slice(2)
    local values = { o = slice:ordinals(), n = slice:text(1), v = slice:numbers { 2 }, m = slice:misfits({ 2 }, {}) }
    f:close()
    slice:close()
    copy:write(2, values)
    copy:finish()
    assert.same({ "2", "3" }, texts_of "o")
    assert.same({ "b", "c" }, texts_of "n")
    assert.same({ "{NULL}", "{3}" }, texts_of "v")
    assert.same({ '{"2": "x"}', null }, texts_of "m")
  end)

  it("keeps codes verbatim beside their numbers", function()
    local copy <close> = copy_into("v float8[], m jsonb")
    local f <close> = frame.new({ "x" }, { { "007" }, { "7" }, { "2310009E13" } })
    copy:write(f, { v = f:numbers { 1 }, m = f:misfits({ 1 }, {}) })
    assert.same({ rows = 3, numbers = 3, kept = 2, misfits = { 0 } }, copy:counts())
    copy:finish()
    assert.same({ "{7}", "{7}", "{2.310009e+19}" }, texts_of "v")
    assert.same({ '{"1": "007"}', null, '{"1": "2310009E13"}' }, texts_of "m")
  end)

  it("counts misfits by their place in the last float8[], over all writes", function()
    local copy <close> = copy_into("a float8[], b float8[]")
    assert.same({}, copy:counts().misfits)
    copy:write(1, { b = { 1, 2 } })
    assert.same({}, copy:counts().misfits)
    local f <close> = frame.new({ "x", "y", "z" }, { { "u", 1, "NA" }, { "v", "w", "" } })
    copy:write(f, { a = f:numbers { 3, 1 }, b = f:numbers { 2 } })
    assert.same({ 1 }, copy:counts().misfits)
    copy:write(f, { a = f:numbers { 2 }, b = f:numbers { "z", "x", "y" } })
    assert.same({ 1, 2, 1 }, copy:counts().misfits)
    copy:write(f, { b = f:numbers { 1 } })
    assert.same({ 3, 2, 1 }, copy:counts().misfits)
    copy:finish()
    collectgarbage()
    assert.same({ 3, 2, 1 }, copy:counts().misfits)
  end)

  it("keeps misfits right whatever stands between them and their numbers", function()
    local copy <close> = copy_into("a float8[], m jsonb, b float8[], n jsonb, o jsonb")
    local f <close> = frame.new({ "x", "y" }, { { "u", 1 }, { 2, "v" }, { "NA", "w" } })
    local x, y = f:numbers { "x" }, f:numbers { "y" }
    copy:write(f, { a = x, m = f:misfits({ "y" }, { "NA" }), b = y, n = f:misfits({ "y" }, {}),
      o = f:misfits({ "x", "y" }, { "NA", false }) })
    copy:finish()
    assert.same({ null, '{"2": "v"}', '{"2": "w"}' }, texts_of "m")
    assert.same({ null, '{"2": "v"}', '{"2": "w"}' }, texts_of "n")
    assert.same({ '{"1": "u"}', '{"2": "v"}', '{"2": "w"}' }, texts_of "o")
  end)

  it("quotes in jsonb what JSON wants quoted", function()
    local copy <close> = copy_into("m jsonb")
    local cell = '"\\/\n\t\r\1\31\127é😀</script>'
    local f <close> = frame.new({ "x" }, { { cell } })
    copy:write(f, { m = f:misfits({ 1 }, {}) })
    copy:finish()
    assert.equal(cell, conn:query("SELECT m->>'1' AS cell FROM t")[1].cell)
  end)

  it("takes doubles bit for bit", function()
    local copy <close> = copy_into("d float8, a float8[]")
    local values, arrays, expected = {}, {}, {}
    for i = 1, 500 do
      local bits
      repeat
        bits = math.random(0)
        values[i] = string.unpack("<d", string.pack("<i8", bits))
      until values[i] == values[i]
      arrays[i] = { values[i] }
      expected[i] = ("\\x%016x"):format(bits)
    end
    copy:write(500, { d = values, a = arrays })
    copy:finish()
    assert.same(expected, texts_of "float8send(d)")
    assert.same(expected, texts_of "float8send(a[1])")
  end)

  it("reads the usual ways to write a time, and no others", function()
    local good = {
      ["2026-01-02T03:04:05Z"] = "2026-01-02 03:04:05+00", ["2026-01-02 03:04:05.5Z"] = "2026-01-02 03:04:05.5+00",
      ["1999-12-31T23:59:59.999999+00:00"] = "1999-12-31 23:59:59.999999+00",
      ["2024-02-29T12:00:00+05:30"] = "2024-02-29 06:30:00+00", ["0001-01-01T00:00:00Z"] = "0001-01-01 00:00:00+00",
      ["2026-01-01T00:00:00-15:59"] = "2026-01-01 15:59:00+00", ["9999-12-31T23:59:59Z"] = "9999-12-31 23:59:59+00",
    }
    conn:query("SET timezone = 'UTC'")
    conn:begin()
    local copy = copy_into("z timestamptz, w text")
    for time, expected in pairs(good) do
      copy:write(1, { z = time, w = expected })
    end
    copy:finish()
    assert.same(texts_of "w", texts_of "z")
    copy = conn:copy_in("t", { { "z", "timestamptz" } })
    for _, wrong in ipairs {
      "", "now", "2026-01-02", "2026-01-02T03:04:05", "2026-01-02T03:04Z", "2026-1-2T03:04:05Z", "2026-02-30T00:00:00Z",
      "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-01-00T00:00:00Z", "2026-01-01T24:00:00Z",
      "2026-01-01T00:60:00Z", "2026-01-01T00:00:60Z", "2025-02-29T00:00:00Z", "0000-01-01T00:00:00Z",
      "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00.1234567Z", "2026-01-01T00:00:00+1:00", "2026-01-01T00:00:00+16:00",
      "2026-01-01T00:00:00+01:60", "2026-01-01T00:00:00z", "2026-01-01T00:00:00Z ", " 2026-01-01T00:00:00Z",
      "2026-01-01t00:00:00Z", "+026-01-01T00:00:00Z", "2026-01-01T00:00:00+01:00x", "2026-01-01T 0:00:00Z",
      "2026-01-01T00:00:00Z\0", "2026-01-01T00:00:00" .. ("0"):rep(100), "20260-01-01T00:00:00Z",
      "2026/01/01T00:00:00Z",
    } do
      assert_usage("'z' is no time", copy.write, copy, 1, { z = wrong })
    end
    copy:close()
    conn:rollback()
  end)

  it("reads UUIDs with and without hyphens, and no others", function()
    local copy = copy_into("u uuid")
    local uuid = "01890a5d-ac96-774b-bcce-b302099a8057"
    copy:write(1, { u = uuid })
    copy:write(1, { u = uuid:upper() })
    copy:write(1, { u = (uuid:gsub("-", "")) })
    for _, wrong in ipairs { "", "x", uuid .. "0", uuid:sub(1, -2), uuid .. "-", "{" .. uuid .. "}", uuid .. "\0",
      uuid:gsub("5", "g"), uuid:gsub("-", "_"), "-" .. uuid, "0189-0a5d-ac96-774b-bcce-b302099a8057" } do
      assert_usage("'u' is no UUID", copy.write, copy, 1, { u = wrong })
    end
    assert.equal(3, copy:finish())
    assert.same({ uuid, uuid, uuid }, texts_of "u")
  end)

  it("stores rows and fields that are large", function()
    local copy <close> = copy_into("t text, a float8[], b text[]")
    local large, numbers, texts = ("é"):rep(4 << 20), {}, {}
    for i = 1, 300000 do
      numbers[i], texts[i] = i / 2, "t" .. i
    end
    copy:write(1, { t = large, a = numbers, b = texts })
    copy:write(1, { t = "small" })
    assert.equal(2, copy:finish())
    local row = conn:query([[SELECT length(t) AS length, md5(t) AS md5, cardinality(a) AS a, a[300000] AS last,
      b[300000] AS text FROM t WHERE t <> 'small']])[1]
    assert.same({ length = 4 << 20, md5 = row.md5, a = 300000, last = 150000.0, text = "t300000" }, row)
  end)

  it("waits for the server when it is slower than we are", function()
    conn:script([[CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
      $$BEGIN IF NEW.i % 1000 = 0 THEN PERFORM pg_sleep(0.01); END IF; RETURN NEW; END$$;
      CREATE TABLE t (i int8, t text); CREATE TRIGGER slow BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION slow();]])
    local copy <close> = conn:copy_in("t", { { "i", "int8" }, { "t", "text" } })
    local keys = {}
    for i = 1, 1000 do
      keys[i] = i
    end
    local before = sys.peak_memory()
    for _ = 1, 40 do
      copy:write(1000, { i = keys, t = ("x"):rep(1000) })
    end
    assert.equal(40000, copy:finish())
    assert.truthy(sys.peak_memory() - before < 32 << 20)
  end)

  it("quotes names", function()
    conn:script([[CREATE TABLE "A ""t" ("Col ""x" text, "select" int4)]])
    local copy <close> = conn:copy_in('A "t', { { 'Col "x', "text" }, { "select", "int4" } })
    copy:write(1, { ['Col "x'] = "v", select = 1 })
    assert.equal(1, copy:finish())
  end)

  describe("refuses", function()
    it("what is no list of columns", function()
      conn:query("CREATE TABLE t (a int4)")
      assert_usage("1 to 1600", conn.copy_in, conn, "t", {})
      assert_usage("column 1 must be", conn.copy_in, conn, "t", { "a" })
      assert_usage("column 1 must be", conn.copy_in, conn, "t", { { "a" } })
      assert_usage("column 1 must be", conn.copy_in, conn, "t", { { 1, "int4" } })
      assert_usage("'numeric'", conn.copy_in, conn, "t", { { "a", "numeric" } })
      assert.has_error(function() conn:copy_in("t", "a") end)
      assert.has_error(function() conn:copy_in() end)
      assert.equal(1, conn:query("SELECT 1 AS one")[1].one)
    end)

    it("values that do not fit, by the column's name, and goes on", function()
      local copy <close> = copy_into("b bool, i int4, l int8, d float8, t text, j jsonb, da float8[], ta text[]")
      for name, wrongs in pairs {
        b = { 1, "true", {} }, i = { 1.5, 2147483648, -2147483649, "1", true, 1e10 }, l = { 1.5, "1", 2.0 ^ 63, 0 / 0 },
        d = { "1.5", true }, t = { 5, true, "a\0b" }, j = { 5, true, "\0" }, da = { 5, "x", { "1" }, { true } },
        ta = { 5, "x", { 1 }, { "a\0" }, { false } },
      } do
        for _, wrong in ipairs(wrongs) do
          assert_usage("'" .. name .. "' is no", copy.write, copy, 1, { [name] = wrong })
        end
      end
      copy:write(1, { i = 1 })
      assert.equal(1, copy:finish())
    end)

    it("columns of a wrong type or length, and names it does not know", function()
      local copy <close> = copy_into("i int4, t text, d float8, a float8[], j jsonb, l int8")
      local f <close> = frame.new({ "x" }, { { 1 }, { 2 } })
      local columns = { f:text(1), f:number(1), f:numbers { 1 }, f:texts { 1 }, f:misfits({ 1 }, {}), f:ordinals() }
      local fits = { t = 1, d = 2, a = 3, j = 5, l = 6 }
      for _, name in ipairs { "i", "t", "d", "a", "j", "l" } do
        for i, column in ipairs(columns) do
          if fits[name] ~= i then
            assert_usage("'" .. name .. "'", copy.write, copy, f, { [name] = column })
          else
            assert_usage("2 rows where 3", copy.write, copy, 3, { [name] = column })
          end
        end
      end
      assert_usage("'i' is no list with one value per row", copy.write, copy, 3, { i = { 1, 2 } })
      assert_usage("'z'", copy.write, copy, f, { z = 1 })
      assert_usage("'1'", copy.write, copy, f, { 1 })
      columns[1]:close()
      assert_usage("closed", copy.write, copy, f, { t = columns[1] })
      assert_usage("negative", copy.write, copy, -1, {})
      assert.has_error(function() copy:write(f, { t = f }) end)
      assert.has_error(function() copy:write(f) end)
      assert.has_error(function() copy:write() end)
      assert.has_error(function() copy:write(1.5, {}) end)
      assert.equal(0, copy:finish())
    end)

    it("to go on after a row of a list failed, so that no half row is stored", function()
      conn:query("CREATE TABLE t (i int4)")
      conn:begin()
      local copy = conn:copy_in("t", { { "i", "int4" } })
      assert_usage("'i' in row 3 is no int4", copy.write, copy, 4, { i = { 1, 2, "x", 4 } })
      assert_usage("close it", copy.write, copy, 1, { i = 1 })
      assert_usage("close it", copy.finish, copy)
      copy:close()
      assert.equal("failed", conn:transaction_status())
      conn:rollback()
      assert.equal(0, db.count "t")
    end)

    it("to be used once it has ended", function()
      local copy = copy_into("i int4")
      copy:finish()
      assert_usage("has ended", copy.write, copy, 1, { i = 1 })
      assert_usage("has ended", copy.finish, copy)
      copy:close()
      copy:close()
      assert.has_error(function() copy.write(conn, 1, {}) end)
    end)
  end)

  describe("raises what the server said, and leaves the connection usable,", function()
    before_each(function()
      conn:script("CREATE TABLE t (i int4 PRIMARY KEY, t varchar(3) NOT NULL, d numeric)")
    end)

    it("when a key is there already", function()
      local copy <close> = conn:copy_in("t", { { "i", "int4" }, { "t", "text" } })
      copy:write(2, { i = { 1, 1 }, t = "x" })
      local failure = failure_of(copy.finish, copy)
      assert.same({ "database", "23505", "t_pkey", "t" },
        { failure.kind, failure.sqlstate, failure.constraint, failure.table_name })
      assert.equal('COPY "t" ("i", "t") FROM STDIN (FORMAT binary)', failure.statement)
      assert.equal(0, db.count "t")
      assert_usage("has ended", copy.finish, copy)
    end)

    it("when a value is too long, NULL, or of another type", function()
      for state, attempt in pairs {
        ["22001"] = { { { "i", "int4" }, { "t", "text" } }, { i = 1, t = "long" } },
        ["23502"] = { { { "i", "int4" }, { "t", "text" } }, { i = 1 } },
        ["22P03"] = { { { "i", "int8" }, { "t", "text" } }, { i = 1, t = "x" } },
        ["22021"] = { { { "i", "int4" }, { "t", "text" } }, { i = 1, t = "\xFF" } },
      } do
        local copy <close> = conn:copy_in("t", attempt[1])
        copy:write(1, attempt[2])
        assert.equal(state, failure_of(copy.finish, copy).sqlstate)
        assert.equal("idle", conn:transaction_status())
      end
    end)

    it("when the table or a column is not there", function()
      assert.equal("42P01", failure_of(conn.copy_in, conn, "none", { { "i", "int4" } }).sqlstate)
      assert.equal("42703", failure_of(conn.copy_in, conn, "t", { { "x", "int4" } }).sqlstate)
      assert.equal("idle", conn:transaction_status())
    end)

    it("also when it says so early in a long stream", function()
      local copy <close> = conn:copy_in("t", { { "i", "int4" }, { "t", "text" } })
      for _ = 1, 50 do
        copy:write(10000, { i = 1, t = "x" })
      end
      assert.equal("23505", failure_of(copy.finish, copy).sqlstate)
      assert.equal(1, conn:query("SELECT 1 AS one")[1].one)
    end)

    it("inside a transaction, which is rolled back", function()
      local failure = failure_of(conn.transaction, conn, function()
        conn:query("INSERT INTO t VALUES (7, 'a')")
        local copy <close> = conn:copy_in("t", { { "i", "int4" }, { "t", "text" } })
        copy:write(1, { i = 7, t = "b" })
        copy:finish()
      end)
      assert.equal("23505", failure.sqlstate)
      assert.equal(0, db.count "t")
    end)
  end)

  describe("that is left unfinished stores nothing:", function()
    before_each(function()
      conn:query("CREATE TABLE t (i int4)")
    end)

    local function begin(rows)
      local copy = conn:copy_in("t", { { "i", "int4" } })
      copy:write(rows, { i = 1 })
      return copy
    end

    local function assert_nothing_stored()
      assert.equal(0, db.count "t")
      assert.equal("idle", conn:transaction_status())
    end

    it("closed in the middle", function()
      for _, rows in ipairs { 0, 1, 100000 } do
        local copy = begin(rows)
        copy:close()
        copy:close()
        assert_usage("has ended", copy.write, copy, 1, { i = 1 })
        assert_nothing_stored()
      end
    end)

    it("left by an error", function()
      local failure = failure_of(function()
        local copy <close> = begin(10)
        copy:write(1, { i = "x" })
      end)
      assert.equal("usage", failure.kind)
      assert_nothing_stored()
    end)

    it("collected as garbage", function()
      begin(10)
      collectgarbage()
      collectgarbage()
      assert_nothing_stored()
    end)

    it("rolled back with its transaction", function()
      local copy
      local done = pcall(conn.transaction, conn, function()
        copy = begin(10)
        error("enough")
      end)
      assert.is_false(done)
      assert_usage("has ended", copy.write, copy, 1, { i = 1 })
      local second = begin(1)
      copy:close() -- must not touch the second
      second:write(1, { i = 2 })
      assert.equal(2, second:finish())
      conn:query("DELETE FROM t")
      assert_nothing_stored()
    end)

    it("outlived by its connection's end", function()
      local copy = begin(10)
      conn:close()
      assert_usage("has ended", copy.write, copy, 1, { i = 1 })
      copy:close()
    end)

    it("cut off with its connection", function()
      local other <close> = pg.connect(db.conninfo)
      local copy = begin(10)
      other:query("SELECT pg_terminate_backend($1, 5000)", conn:pid())
      local failure = failure_of(function()
        for _ = 1, 1000 do
          copy:write(10000, { i = 1 })
        end
        copy:finish()
      end)
      assert.equal("database", failure.kind, tostring(failure))
      copy:close()
    end)
  end)

  it("occupies its connection", function()
    conn:query("CREATE TABLE t (i int4)")
    local copy <close> = conn:copy_in("t", { { "i", "int4" } })
    assert_usage("COPY", conn.query, conn, "SELECT 1")
    assert_usage("COPY", conn.copy_in, conn, "t", { { "i", "int4" } })
    copy:write(1, { i = 1 })
    assert.equal(1, copy:finish())
  end)
end)

describe("COPY from a stream of one's own", function()
  it("sends text as it is given, in pieces of any size", function()
    conn:query("CREATE TABLE t (i int4, t text)")
    local copy <close> = conn:copy_in("COPY t FROM STDIN (FORMAT csv)")
    copy:write("1,")
    copy:write("")
    copy:write("a\n2,")
    copy:write(("x"):rep(300000) .. "\n")
    assert.equal(2, copy:finish())
    assert.equal(300000, conn:query("SELECT max(length(t)) AS n FROM t")[1].n)
    assert.same({ rows = 0, numbers = 0, kept = 0, misfits = {} }, copy:counts())
  end)

  it("raises what the server said of the line", function()
    conn:query("CREATE TABLE t (i int4)")
    local copy <close> = conn:copy_in("COPY t FROM STDIN")
    copy:write("1\nx\n")
    local failure = failure_of(copy.finish, copy)
    assert.equal("22P02", failure.sqlstate)
    assert.truthy(failure.context:find("line 2", 1, true), failure.context)
    assert.equal(0, db.count "t")
  end)

  it("is only for COPY ... FROM STDIN", function()
    conn:query("CREATE TABLE t (i int4)")
    for _, sql in ipairs { "SELECT 1", "COPY t TO STDOUT", "INSERT INTO t VALUES (1)" } do
      assert_usage("FROM STDIN", conn.copy_in, conn, sql)
      assert.equal("idle", conn:transaction_status())
    end
    assert.equal("42601", failure_of(conn.copy_in, conn, "t").sqlstate)
    local copy <close> = conn:copy_in("COPY t FROM STDIN")
    assert.has_error(function() copy:write({}) end)
    assert.has_error(function() copy:write() end)
  end)
end)
