local host = require "host"
local support = require "tests.support"
local sys = require "sys"

local conn, url

setup(function()
  conn, url = support.migrated()
end)

local function sql(words)
  table.insert(words, 1, "sql")
  words.database = url
  return support.ligase(words)
end

local function output(words)
  local result = sql(words)
  assert.equal(0, result.code, result.stderr)
  assert.equal("", result.stderr)
  return result.stdout
end

local MIXED = [[SELECT 1 AS n, NULL AS nothing, '' AS empty, 'a,"b' || E'\n' || 'c' AS text, 2.50::numeric AS exact,
  0.1::float8 AS f, true AS yes, ARRAY[1, NULL] AS list, '{"k": [1]}'::jsonb AS j]]

describe("ligase sql", function()
  it("prints an aligned table", function()
    assert.equal("n  word\n-  ----\n1  a\n2  b\n(2 rows)\n", output { "VALUES (1, 'a'), (2, 'b')" }
      :gsub("column1  column2\n%-+  %-+\n", "n  word\n-  ----\n"):gsub("\n +", "\n"):gsub("(%d)  +", "%1  "))
    assert.matches("(0 rows)", output { "SELECT 1 AS n WHERE false" }, 1, true)
  end)

  it("prints csv and tsv as COPY does", function()
    assert.equal('n,nothing,empty,text,exact,f,yes,list,j\n1,,"","a,""b\nc",2.50,0.1,t,"{1,NULL}","{""k"": [1]}"\n',
      output { "--format", "csv", MIXED })
    assert.equal('n\tempty\n1\t""\n', output { "--format", "tsv", "SELECT 1 AS n, '' AS empty;" })
    -- What COPY does not take looks the same.
    assert.equal('n,empty,none\n1,"",\n',
      output { "--format", "csv", "SELECT 1 AS n, '' AS empty, NULL AS none; -- a comment" })
  end)

  it("prints JSON with numbers as they are", function()
    local read = support.python([[
import json, sys
from decimal import Decimal
row = json.load(sys.stdin, parse_float=Decimal)[0]
print(row["n"], row["nothing"], repr(row["empty"]), repr(row["text"]), row["exact"], row["f"], row["yes"], row["list"],
      row["j"])]], {}, output { "--format", "json", MIXED })
    assert.equal([[1 None '' 'a,"b\nc' 2.50 0.1 True {1,NULL} {'k': [1]}]] .. "\n", read)
    assert.equal('{"a":1}\n{"a":2}\n', output { "--format", "jsonl", "SELECT generate_series(1, 2) AS a" })
    assert.equal("[]\n", output { "--format", "json", "SELECT 1 WHERE false" })
    assert.equal("", output { "--format", "jsonl", "SELECT 1 WHERE false" })
    assert.equal('{"x":"NaN","y":"Infinity"}\n',
      output { "--format", "jsonl", "SELECT 'NaN'::float8 AS x, 'inf'::float8 AS y" })
  end)

  it("gives the same rows in every format, many of them in little memory #slow", function()
    for _, format in ipairs { "csv", "tsv", "jsonl" } do
      local line = [["$1" sql --format ]] .. format
        .. [[ "SELECT i, repeat('x', 100) AS text FROM generate_series(1, 200000) AS i" | tail -n 1]]
      local result = sys.run({ "bash", "-c", "ulimit -v 300000; " .. line, "bash", host.executable },
        { env = { POSTGRES_URL = url } })
      assert.equal("", result.stderr)
      assert.matches("200000", result.stdout, 1, true)
    end
  end)

  it("runs what gives no rows, and what changes rows", function()
    local made = sql { "CREATE TABLE kept (a int)" }
    assert.equal("CREATE TABLE\n", made.stderr)
    assert.equal("", made.stdout)
    assert.equal("INSERT 0 2\n", sql({ "INSERT INTO kept VALUES (1), (2)" }).stderr)
    for _, format in ipairs { "csv", "jsonl", "table" } do
      output { "--format", format, "INSERT INTO kept VALUES (3) RETURNING a" }
      output { "--format", format, "WITH i AS (INSERT INTO kept VALUES (4) RETURNING a) SELECT * FROM i" }
    end
    assert.equal(8, conn:query("SELECT count(*) AS n FROM kept")[1].n)
    assert.equal("1\n2\n", output { "COPY (SELECT a FROM kept ORDER BY a LIMIT 2) TO STDOUT" })
    assert.matches("ligase db psql", sql({ "COPY kept FROM STDIN" }).stderr, 1, true)
    assert.matches("NOTICE:", sql({ "DROP TABLE IF EXISTS nothing_here" }).stderr, 1, true)
    local steering = [[DO $$ BEGIN RAISE NOTICE 'it % steers', E'\x1b[31m'; END $$]]
    assert.matches("it \\x1B[31m steers", sql({ steering }).stderr, 1, true)
  end)

  it("says where in the statement a mistake is", function()
    for _, format in ipairs { "table", "csv", "json", "jsonl", "tsv" } do
      local result = sql { "--format", format, "SELECT 'ä',\n  nothing\nFROM datasets" }
      assert.equal(1, result.code)
      assert.equal("", result.stdout)
      assert.equal('ligase: SQL:2:3: column "nothing" does not exist [42703]\n', result.stderr)
      local syntax = sql { "--format", format, "SELECT 1,,2" }
      assert.matches('^ligase: SQL:1:10: syntax error at or near ","', syntax.stderr)
    end
    local piped = sql { "-", stdin = "SELECT *\nFROM nowhere\n" }
    assert.matches('^ligase: %(standard input%):2:6: relation "nowhere" does not exist', piped.stderr)
    assert.equal(1, select(2, piped.stderr:gsub("\n", "")))
  end)

  it("refuses several statements, whole", function()
    for _, format in ipairs { "table", "csv", "json" } do
      local result = sql { "--format", format, "SELECT 1; CREATE TABLE injected (a int)" }
      assert.equal(1, result.code)
      assert.matches("there is more than one statement", result.stderr, 1, true)
      assert.matches("ligase db psql", result.stderr, 1, true)
    end
    assert.equal(0, conn:query("SELECT count(*) AS n FROM pg_class WHERE relname = 'injected'")[1].n)
  end)

  it("takes any text that a shell hands over", function()
    assert.matches("5", output { "-- a comment first\nSELECT 5" }, 1, true)
    assert.matches("5", output { "-- a comment first\nSELECT 5", "--format", "csv" }, 1, true)
    assert.matches("7", output { "/* why */ (SELECT 7)", "--format", "csv" }, 1, true)
    assert.matches("41", output { "-", stdin = "SELECT 40 + 1\n" }, 1, true)
    for _, words in ipairs { { "" }, { " ; " }, { "-", stdin = "" } } do
      local result = sql(words)
      assert.equal(2, result.code)
      assert.matches("there is no SQL to run", result.stderr, 1, true)
    end
    assert.matches("not UTF-8 text (byte 9)", sql({ "SELECT '\xFF'" }).stderr, 1, true)
  end)

  it("fits a wide result onto a terminal quickly", function()
    if not support.has_terminal() then
      return pending("this machine has no pseudo-terminals")
    end
    local columns = {}
    for i = 1, 1600 do
      columns[i] = ("repeat('x', 50) AS column_%d"):format(i)
    end
    local query = "SELECT " .. table.concat(columns, ", ")
    local began = sys.monotonic()
    local screen = support.python([==[
import os, pty, sys
pid, fd = pty.fork()
if pid == 0:
    os.environ.update(POSTGRES_URL=sys.argv[2], COLUMNS="80")
    os.execv(sys.argv[1], [sys.argv[1], "sql", sys.argv[3]])
while True:
    try:
        piece = os.read(fd, 65536)
    except OSError:
        break
    if not piece:
        break
    sys.stdout.write(piece.decode())
]==], { host.executable, url, query })
    assert.is_true(sys.monotonic() - began < 5)
    for line in screen:gmatch("[^\r\n]+") do
      assert.is_true(#line <= 80, line)
    end
    assert.matches("(1 row)", screen, 1, true)
    assert.matches("column_1600", output { query }, 1, true)
  end)
end)
