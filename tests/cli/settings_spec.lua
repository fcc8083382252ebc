--- config, .env, flags, migrate, and db on a server of the lab's.
local support = require "tests.support"
local sys = require "sys"

describe("ligase config", function()
  it("prints every setting, its value and where it came from", function()
    local workspace = support.workspace()
    sys.write_file(workspace .. "/.env", "# ours\nENABLE_FEATURE_LINKING=off\nSIGNATURE_OVERLAP_THRESHOLD=0.5\n")
    local result = support.ligase { "config", workspace = workspace, env = { SIGNATURE_OVERLAP_THRESHOLD = "0.25" } }
    assert.equal(0, result.code, result.stderr)
    assert.matches("\nENABLE_FEATURE_LINKING +false +.env:2 ", result.stdout)
    assert.matches("\nSIGNATURE_OVERLAP_THRESHOLD +0.25 +environment ", result.stdout)
    assert.matches("\nENABLE_DUAL_WRITE +false +default ", result.stdout)
    local set = support.ligase { "config", "--set-only", "--format", "csv", workspace = workspace }
    assert.equal(4, select(2, set.stdout:gsub("\n", "")), set.stdout)
  end)

  it("masks secrets", function()
    local env = { POSTGRES_URL = "postgresql://lab:hush1@db/omics", NOTION_API_KEY = "hush2", OPENAI_API_KEY = "hush3" }
    for _, format in ipairs { "table", "csv", "json" } do
      local result = support.ligase { "config", "--format", format, env = env }
      assert.equal(0, result.code)
      assert.is_nil(result.stdout:find("hush", 1, true))
      assert.matches("postgresql://lab:********@db/omics", result.stdout, 1, true)
    end
    local parts = support.ligase { "config", env = { POSTGRES_HOST = "db", POSTGRES_PASSWORD = "hush4" } }
    assert.is_nil(parts.stdout:find("hush", 1, true))
  end)
end)

describe("a setting", function()
  it("with a wrong value is refused by name", function()
    for name, value in pairs { ENABLE_DUAL_WRITE = "maybe", POSTGRES_PORT = "many", VECTOR_BACKEND = "pincone",
      SIGNATURE_OVERLAP_THRESHOLD = "2", POSTGRES_URL = "http://x" } do
      local result = support.ligase { "datasets", env = { [name] = value } }
      assert.equal(2, result.code, result.stderr)
      assert.matches(("ligase: %s is '%s'"):format(name, value), result.stderr, 1, true)
      assert.matches("Valid: ", result.stderr, 1, true)
    end
  end)

  it("in .env with a mistake is refused by file and line", function()
    local workspace = support.workspace()
    for line, expected in pairs { ["ENABLE_DUEL_WRITE=true"] = "Did you mean ENABLE_DUAL_WRITE?",
      ['POSTGRES_DB="half'] = "never closed" } do
      sys.write_file(workspace .. "/.env", "# first\n" .. line .. "\n")
      local result = support.ligase { "datasets", workspace = workspace }
      assert.equal(1, result.code)
      assert.matches(workspace .. "/.env:2: ", result.stderr, 1, true)
      assert.matches(expected, result.stderr, 1, true)
    end
  end)

  it("of .env reaches Postgres", function()
    local workspace, url = support.workspace(), support.migrated_database()
    sys.write_file(workspace .. "/.env", ("POSTGRES_URL='%s'\n"):format(url))
    local result = support.ligase { "datasets", workspace = workspace, database = false }
    assert.equal(0, result.code, result.stderr)
    assert.matches("(0 rows)", result.stdout, 1, true)
  end)

  it("USE_POSTGRES_AS_SOT=false keeps everything away from Postgres", function()
    local workspace = support.workspace()
    local file = support.tmpfile("lipid,a\nPC 34:1,1\n")
    local env = { USE_POSTGRES_AS_SOT = "false", NOTION_API_KEY = "key", NOTION_API_URL = "http://127.0.0.1:1" }
    for _, words in ipairs { { "ingest", file }, { "run", "lipidomics", file } } do -- they write to Notion then
      words.workspace, words.env, words.database = workspace, env, false
      assert.matches("NOTION_EXP_DATA_DB_ID is not set", support.ligase(words).stderr, 1, true)
    end
    for _, words in ipairs { { "datasets" }, { "show", "x" }, { "export", "x" }, { "runs" }, { "sql", "SELECT 1" } } do
      words.workspace, words.env, words.database = workspace, env, false
      local result = support.ligase(words)
      assert.equal(2, result.code, words[1])
      assert.equal("ligase: Postgres is switched off: USE_POSTGRES_AS_SOT is false (from environment). "
        .. "Set USE_POSTGRES_AS_SOT=true to use it\n", result.stderr)
    end
    assert.same({}, sys.list(workspace))
    assert.equal(0, support.ligase({ "config", workspace = workspace, env = env, database = false }).code)
  end)

  it("POSTGRES_ECHO shows the SQL on stderr", function()
    local result = support.ligase { "sql", "SELECT 1 AS one", database = support.database(),
      env = { POSTGRES_ECHO = "true" } }
    assert.matches("SELECT 1 AS one", result.stderr, 1, true)
    assert.is_nil(result.stdout:find("SELECT", 1, true))
  end)
end)

describe("ligase migrate", function()
  it("goes up, tells, and goes down", function()
    local url = support.database()
    local function migrate(...)
      local result = support.ligase { "migrate", database = url, ... }
      assert.equal(0, result.code, result.stderr)
      return result.stdout
    end
    assert.matches("001_entities +pending", migrate "status")
    assert.matches("^up   001_entities %(.-\nup   002_features", migrate "up")
    assert.equal("nothing to do\n", migrate "up")
    assert.matches("001_entities +applied", migrate "status")
    assert.matches("down 007_views", migrate("down", "--to", "6"), 1, true)
    local old = support.ligase { "datasets", database = url }
    assert.equal(1, old.code)
    assert.matches("older than this ligase: step 6 of %d+%. Run: ligase migrate up", old.stderr)
    local ingest = support.ligase { "ingest", support.tmpfile("lipid,a\nPC 34:1,1\n"), database = url }
    assert.equal(1, ingest.code)
    assert.matches("ligase migrate up", ingest.stderr, 1, true)
    assert.matches("up   007_views", migrate "up", 1, true)
    migrate("down", "--to", "0")
    assert.matches("no step 99", support.ligase({ "migrate", "up", "--to", "99", database = url }).stderr, 1, true)
  end)
end)

describe("ligase db on a server of the lab's", function()
  it("shows it, hands out its url, and neither starts nor stops it", function()
    local url = support.migrated_database()
    local status = support.ligase { "db", "status", database = url }
    assert.equal(0, status.code, status.stderr)
    assert.matches("state +reachable", status.stdout)
    assert.matches("schema +current", status.stdout)
    assert.equal(url .. "\n", support.ligase({ "db", "url", database = url }).stdout)
    for _, action in ipairs { "start", "stop" } do
      local result = support.ligase { "db", action, database = url }
      assert.equal(2, result.code)
      assert.matches("names a server of yours", result.stderr, 1, true)
    end
  end)

  it("runs psql with its own options and status", function()
    local url = support.database()
    assert.equal("2\n", support.ligase({ "db", "psql", "-Atc", "SELECT 1 + 1", database = url }).stdout)
    assert.equal("3\n", support.ligase({ "db", "psql", "--", "-Atc", "SELECT 3", database = url }).stdout)
    assert.equal(1, support.ligase({ "db", "psql", "-c", "SELECT nothing", database = url }).code)
  end)

  it("shows psql's password to nobody", function()
    local bin = support.workspace()
    sys.write_file(bin .. "/psql", "#!/bin/sh\necho \"$@ / $PGPASSWORD\"\n", { mode = "755" })
    local path = bin .. ":" .. sys.getenv("PATH")
    local by_url = support.ligase { "db", "psql", "-l", env = { PATH = path,
      POSTGRES_URL = "postgresql://lab:s%40cret@db:1/omics" } }
    assert.equal("postgresql://lab@db:1/omics -l / s@cret\n", by_url.stdout)
    local by_parts = support.ligase { "db", "psql", env = { PATH = path, POSTGRES_HOST = "db", POSTGRES_USER = "lab",
      POSTGRES_PASSWORD = "it's" } }
    assert.equal("host='db' port='5432' user='lab' / it's\n", by_parts.stdout)
  end)
end)
