local support = require "tests.support"

local function run(code, url)
  local result = support.ligase { "-e", code, database = url }
  assert.equal(0, result.code, result.stderr)
  return result.stdout
end

describe("require \"ligase\"", function()
  it("gives scripts the entities, on a connection of the settings", function()
    local conn, url = support.migrated()
    local output = run([==[
local ligase = require "ligase"
ligase.programs:create { name = "ALS", disease = { "ALS", "FTD" } }
ligase.experiments:create({ name = "Mouse 7", programs = { "ALS", "Ageing" } }, { create = true })
local row, outcome = ligase.programs:update("ALS", { description = "x" })
print(row.description, outcome, select(2, ligase.programs:update("ALS", { description = "x" })))
print(#ligase.programs:list(), ligase.experiments:list({ program = "Ageing" })[1].name)
local known = ligase.programs:show "ALS"
print(known.referrers[1].what, known.referrers[1].names[1], ligase.programs:lookup "none")
local done, failure = pcall(ligase.programs.delete, ligase.programs, "ALS")
print(done, failure.code)
print(ligase.experiments:delete("Mouse 7").name, ligase.programs:delete("ALS").name)
ligase.compounds:upsert { { code = "C-1", name = "a" }, { code = "C-2", name = "b" } }
ligase.compounds:upsert { { code = "C-1", name = "c" } }
print(ligase.compounds:find("C-1").name)]==], url)
    assert.equal([[
x	updated	unchanged
2	Mouse 7
experiment	Mouse 7	nil
false	referred
Mouse 7	ALS
c
]], output)
    local rows = conn:query "SELECT command FROM runs ORDER BY id"
    assert.same({ 8, "program create", "experiment create", "compound upsert" },
      { #rows, rows[1].command, rows[2].command, rows[8].command })
  end)

  it("makes many changes one, or none", function()
    local conn, url = support.migrated()
    local output = run([==[
local ligase = require "ligase"
local _, outcome = ligase.change(function(changes)
  changes:create("program", { name = "A" })
  changes:create("experiment", { name = "E", program = "A" })
end, { command = "set up" })
print(outcome, pcall(ligase.change, function(changes)
  changes:create("program", { name = "B" })
  changes:create("program", { name = "A" })
end))]==], url)
    assert.matches("^done\tfalse\t.*there is a program 'A' already", output)
    local row = conn:query("SELECT count(*) AS n, min(command) AS command FROM runs")[1]
    assert.same({ 1, "set up" }, { row.n, row.command })
    assert.equal(1, conn:query("SELECT count(*) AS n FROM programs")[1].n)
  end)

  it("tells other systems when the settings say so", function()
    local conn, url = support.migrated()
    local result = support.ligase { "-e", "require('ligase').programs:create { name = 'A' }", database = url,
      env = { ENABLE_DUAL_WRITE = "true", NOTION_API_KEY = "secret" } }
    assert.equal(0, result.code, result.stderr)
    assert.equal("create", conn:query("SELECT action FROM outbox")[1].action)
  end)

  it("takes the connection that it has opened itself, and leaves it open", function()
    local _, url = support.migrated()
    assert.equal("true\n", run([==[
local ligase = require "ligase"
local conn = ligase.connection()
ligase.use(conn)
ligase.programs:create { name = "A" }
ligase.close()
print(conn:query("SELECT count(*) = 1 AS one FROM programs")[1].one)
conn:close()]==], url))
  end)

  it("refuses what is misspelt at the line of the script", function()
    local _, url = support.migrated()
    local function refuse(pattern, code)
      local result = support.ligase { "-e", code, database = url }
      assert.not_equal(0, result.code)
      assert.matches(pattern, result.stderr)
    end
    refuse("a program has no field 'nam'", "require('ligase').programs:create { nam = 'A' }")
    refuse("Did you mean 'create'", "require('ligase').programs:create({ name = 'A' }, { creat = true })")
    refuse("programs have no programs", "require('ligase').programs:list { program = 'A' }")
    refuse("a program is made of a table of fields, not of a nil", "require('ligase').programs:create()")
    refuse("controls: the wells A1 %(positive%) and A1:B2 %(negative%) overlap", "require('ligase').campaigns:create { "
      .. "name = 'C', controls = { positive = 'A1', negative = 'A1:B2' } }")
  end)
end)
