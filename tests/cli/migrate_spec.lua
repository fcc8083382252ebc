--- ligase migrate beyond up, down and status, as it is typed.
local support = require "tests.support"
local sys = require "sys"

describe("ligase migrate", function()
  local url, folder

  local function migrate(...)
    return support.ligase { "migrate", database = url, ... }
  end

  local function done(...)
    local result = migrate(...)
    assert.equal(0, result.code, result.stderr)
    return result.stdout
  end

  local function refused(status, expected, ...)
    local result = migrate(...)
    assert.equal(status, result.code, result.stdout)
    assert.matches(expected, result.stderr, 1, true)
  end

  setup(function()
    url, folder = support.database(), support.workspace()
    sys.write_file(folder .. "/001_a.up.sql", "CREATE TABLE a (x integer);")
    sys.write_file(folder .. "/001_a.down.sql", "DROP TABLE a;")
    sys.write_file(folder .. "/002_b.lua", [[return {
      up = function(conn) conn:query "ALTER TABLE a ADD COLUMN y text" end,
      down = function(conn) conn:query "ALTER TABLE a DROP COLUMN y" end,
      verify = function() return { "y is empty" } end,
      irreversible = "what stands in y was typed" }]])
  end)

  it("plans, rehearses and goes up", function()
    local plan = done("plan", "--folder", folder)
    assert.matches("-- up 001_a", plan, 1, true)
    assert.matches("CREATE TABLE a (x integer);", plan, 1, true)
    assert.matches("ALTER TABLE a ADD COLUMN y text;", plan, 1, true)
    assert.matches("only running it tells", done("plan", "--sql-only", "--folder", folder), 1, true)
    assert.matches("would go up: 002_b.-\n  table a comes\nrolled back; nothing was changed",
      done("up", "--dry-run", "--folder", folder))
    assert.matches("001_a +pending", done("status", "--folder", folder))
    assert.matches("^up   001_a %(.-\nup   002_b %(", done("up", "--folder", folder))
    assert.equal("-- nothing to do\n", done("plan", "--folder", folder))
    plan = done("plan", "down", "2", "--folder", folder)
    assert.matches("ACCESS EXCLUSIVE on a: blocks reading and writing", plan, 1, true)
    assert.matches("-- needs --backup FILE: what stands in y was typed", plan, 1, true)
  end)

  it("verifies, with the status that says so", function()
    local result = migrate("verify", "--folder", folder)
    assert.equal(1, result.code)
    assert.matches("1  001_a   files unchanged", result.stdout, 1, true)
    assert.matches("2  002_b   y is empty", result.stdout, 1, true)
  end)

  it("goes down over what is lost only with a backup", function()
    refused(1, "taking back 002_b loses what cannot be made again: what stands in y was typed", "down", "--folder",
      folder)
    local file = folder .. "/before.dump"
    assert.matches("^backup " .. file:gsub("%-", "%%-") .. ", [%d,]+ bytes, restored for a test\ndown 002_b %(.-\n"
      .. "down 001_a", done("down", "2", "--backup", file, "--folder", folder))
    assert.equal("file", sys.stat(file).type)
  end)

  it("goes down over rows only with a backup, or when they may go", function()
    local place, own = support.database(), support.workspace()
    local function run(...)
      return support.ligase { "migrate", database = place, ... }
    end
    sys.write_file(own .. "/001_a.up.sql", "CREATE TABLE a AS SELECT 'x' AS y;")
    sys.write_file(own .. "/001_a.down.sql", "DROP TABLE a;")
    assert.equal(0, run("up", "--folder", own).code)
    assert.matches("table a goes with its 1 row\nrolled back; nothing was changed\nwithout --dry-run it needs --backup "
      .. "FILE, or --discard", run("down", "--dry-run", "--folder", own).stdout, 1, true)
    local result = run("down", "--folder", own)
    assert.equal(1, result.code)
    assert.matches("ligase: taking back 001_a loses what is in table a (1 row), so nothing was done. Keep a backup "
      .. "that is tested first: ligase migrate down --to 0 --folder " .. own .. " --backup FILE;", result.stderr, 1,
      true)
    assert.equal(1, run("redo", "--folder", own).code)
    assert.equal(0, run("redo", "--discard", "--folder", own).code)
    assert.equal(2, run("down", "100", "--folder", own).code)
    assert.equal(0, run("down", "--discard", "--folder", own).code)
  end)

  it("begins new steps", function()
    local own = support.workspace()
    assert.equal(("%s/001_plates.up.sql\n%s/001_plates.down.sql\n"):format(own, own),
      done("new", "plates", "--folder", own))
    assert.equal(own .. "/002_wells.lua\n", done("new", "wells", "--lua", "--folder", own))
  end)

  it("tells which step's way back is not exact", function()
    local own = support.workspace()
    sys.write_file(own .. "/001_a.up.sql", "CREATE TABLE a (x integer); CREATE TABLE IF NOT EXISTS b (x integer);")
    sys.write_file(own .. "/001_a.down.sql", "DROP TABLE a;")
    local result = migrate("check", "--folder", own)
    assert.equal(1, result.code)
    assert.matches("BAD  001_a", result.stdout, 1, true)
    assert.matches("+ column b.x", result.stdout, 1, true)
  end)

  it("refuses words that do not fit", function()
    refused(2, "'migrate status' takes no --backup", "status", "--backup", "x")
    refused(2, "the number of steps cannot be 'two'", "down", "two")
    refused(2, "'migrate up' takes no --discard", "up", "--discard")
    refused(2, "Give one of the two: --backup FILE or --discard", "down", "--discard", "--backup", "x")
    refused(2, "both a number of steps and the step to stay at", "down", "1", "--to", "0")
    refused(2, "the step has no name", "new")
    refused(2, "there is no folder /nowhere", "up", "--folder", "/nowhere")
    refused(2, "Did you mean 'down'?", "plan", "donw")
  end)
end)
