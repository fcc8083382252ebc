local cluster = require "ligase.store.cluster"
local db = require "ligase.store.db"
local errors = require "ligase.base.errors"
local migrate = require "ligase.store.migrate"
local pg = require "pg"
local support = require "tests.support"
local sys = require "sys"

--- The part of the settings that db reads.
local function config_of(conninfo)
  return {
    postgres = function()
      return conninfo
    end,
    get = function(_, name)
      assert(name == "POSTGRES_ECHO")
      return false
    end,
  }
end

local function code_of(fn, ...)
  local ok, failure = pcall(fn, ...)
  assert.is_false(ok, "an error was expected")
  assert.is_true(errors.is(failure, "database"), tostring(failure))
  return failure.code, failure
end

describe("db.open with a server of the lab's", function()
  it("hands out a connection when the schema is the one we know", function()
    local conn <close> = db.open(config_of(support.migrated_database()), "/nowhere")
    assert.equal("off", conn:query("SHOW jit")[1].jit)
    assert.equal("ligase", conn:query("SHOW application_name")[1].application_name)
    assert.equal(0, #conn:query("SELECT * FROM datasets"))
  end)

  it("never makes the schema by itself", function()
    local conninfo = support.database()
    local code, failure = code_of(db.open, config_of(conninfo), "/nowhere", { migrate = true })
    assert.equal("schema_absent", code)
    assert.matches("ligase migrate up", failure.hint, 1, true)
    local conn <close> = pg.connect(conninfo)
    assert.equal(0, #conn:query("SELECT FROM pg_class WHERE relname = 'datasets'"))
  end)

  it("refuses a schema that is older or newer than the files", function()
    local conninfo = support.database()
    local conn <close> = pg.connect(conninfo)
    migrate.up(conn, { to = 2 })
    assert.equal("schema_older", (code_of(db.open, config_of(conninfo), "/nowhere")))
    migrate.up(conn)
    conn:query([[INSERT INTO schema_migrations (step, name, checksum, down_checksum, host_version)
      VALUES (99, '099_later', '', '', '9.9')]])
    local code, failure = code_of(db.open, config_of(conninfo), "/nowhere")
    assert.equal("schema_newer", code)
    assert.matches("step 99", failure.message, 1, true)
  end)

  it("refuses an option that it does not know", function()
    local ok, failure = pcall(db.open, config_of("dbname=x"), "/nowhere", { migrat = true })
    assert.is_false(ok)
    assert.equal("usage", failure.kind)
    assert.matches("'migrate'", failure.hint, 1, true)
  end)

  it("says which server does not answer", function()
    local code = code_of(db.open, config_of("postgresql://u:secret@127.0.0.1:1/d"), "/nowhere")
    assert.equal("08001", code)
  end)
end)

describe("db.open without a server", function()
  local workspace

  before_each(function()
    workspace = support.workspace()
    sys.chmod(workspace, "755")
  end)

  after_each(function()
    cluster.stop(workspace)
  end)

  it("starts the private Postgres, and makes its schema when that is allowed", function()
    local config = config_of(nil)
    assert.is_true(db.is_private(config))
    assert.equal("schema_absent", (code_of(db.open, config, workspace)))
    db.open(config, workspace, { migrate = true }):close()
    local conn <close> = db.open(config, workspace)
    assert.equal("ligase", conn:query("SELECT current_database() AS name")[1].name)
    assert.equal(0, #conn:query("SELECT * FROM datasets"))
  end)

  it("brings an older private schema up to date on the way", function()
    local config = config_of(nil)
    support.private_postgres(workspace)
    db.connect(config, workspace):close()
    migrate.up(function()
      return db.connect(config, workspace)
    end, { to = 3 })
    local conn <close> = db.open(config, workspace, { migrate = true })
    assert.equal("current", (migrate.state(conn)))
  end)
end)
