local sqlite_tables = require "ligase.store.sqlite_tables"
local support = require "tests.support"

local function made(code)
  local path = support.workspace() .. "/old.db"
  support.python([[
import sqlite3, sys
c = sqlite3.connect(sys.argv[1])
c.executescript(sys.stdin.read())
c.commit()]], { path }, code)
  return path
end

describe("tables of a SQLite file", function()
  local path

  setup(function()
    path = made [[
CREATE TABLE "Odd ""name" (id TEXT, "Two Words" INTEGER);
INSERT INTO "Odd ""name" (rowid, id, "Two Words") VALUES (7, 'b', 2), (3, 'a', 1), (9, 'c', NULL);
CREATE TABLE keyed (id TEXT PRIMARY KEY, v) WITHOUT ROWID;
INSERT INTO keyed VALUES ('x', 1), ('y', 2);
CREATE TABLE compounds (id INTEGER PRIMARY KEY, name TEXT);
CREATE VIEW both AS SELECT id, v FROM keyed;]]
  end)

  local function rows_of(file, name)
    local list = {}
    for row, rowid in file:rows(name) do
      list[#list + 1] = { row, rowid }
    end
    return list
  end

  it("have columns, and rows with their rowids in that order", function()
    local file <close> = sqlite_tables.open(path)
    assert.same({ "id", "Two Words" }, file:columns 'odd "NAME')
    local rows = rows_of(file, 'Odd "name')
    assert.same({ { id = "a", ["Two Words"] = 1 }, 3 }, rows[1])
    assert.same({ 3, 7, 9 }, { rows[1][2], rows[2][2], rows[3][2] })
    assert.is_nil(file:columns "nothing")
    assert.equal("Two Words", file:column('Odd "name', "two words", false))
    assert.is_nil(file:column("keyed", "w", true))
  end)

  it("without rowids are counted, and so are views", function()
    local file <close> = sqlite_tables.open(path)
    assert.same({ { { id = "x", v = 1 }, 1 }, { { id = "y", v = 2 }, 2 } }, rows_of(file, "keyed"))
    assert.same({ 1, 2 }, { rows_of(file, "both")[1][2], rows_of(file, "both")[2][2] })
  end)

  it("that are not there come with the nearest", function()
    local file <close> = sqlite_tables.open(path)
    local done, failure = pcall(file.need_table, file, "compound")
    assert.is_false(done)
    assert.equal("input", failure.kind)
    assert.matches("there is no table 'compound'. Did you mean 'compounds'?", tostring(failure), 1, true)
    done, failure = pcall(file.column, file, "compounds", "nam", false)
    assert.is_false(done)
    assert.matches("table 'compounds' has no column 'nam'. Did you mean 'name'? There are: id, name", tostring(failure),
      1, true)
  end)

  it("are seen as they were when the file was opened", function()
    local own = made "CREATE TABLE t (v); INSERT INTO t VALUES (1); PRAGMA journal_mode = wal;"
    local file <close> = sqlite_tables.open(own)
    assert.equal(1, #rows_of(file, "t"))
    support.python([[
import sqlite3, sys
c = sqlite3.connect(sys.argv[1])
c.execute("INSERT INTO t VALUES (2)")
c.commit()]], { own })
    assert.equal(1, #rows_of(file, "t"))
  end)
end)
