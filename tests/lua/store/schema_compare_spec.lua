--- A schema that is not what its steps make is found, and named with what repairs it.
local migrate = require "ligase.store.migrate"
local pg = require "pg"
local schema_compare = require "ligase.store.schema_compare"
local support = require "tests.support"
local sys = require "sys"

describe("a schema compared with its steps", function()
  local conn, conninfo

  local function messages(compared)
    local found = {}
    for i, finding in ipairs(compared.findings) do
      found[i] = finding.message
    end
    return found
  end

  local function scratch_databases()
    return conn:query("SELECT count(*) AS n FROM pg_database WHERE datname ~ $1",
      ("^ligase_scratch_[0-9]+_%d_"):format(sys.pid()))[1].n
  end

  describe("of ligase's own", function()
    before_each(function()
      conn, conninfo = support.migrated()
    end)

    it("is well when it is as they make it, whoever owns it and whatever is said of it", function()
      assert.same({ findings = {}, additional = {} }, schema_compare.run(conn, conninfo))
      conn:script [[
        GRANT SELECT ON datasets TO PUBLIC; COMMENT ON TABLE datasets IS 'ours';
        ALTER TABLE runs SET (autovacuum_enabled = off); ALTER TABLE datasets DROP COLUMN description;
        ALTER TABLE datasets ADD COLUMN description text;]]
      assert.same({}, messages(schema_compare.run(conn, conninfo)))
      assert.equal(0, scratch_databases())
    end)

    it("is compared as far as it was applied", function()
      migrate.down(conn, { to = 10 })
      assert.same({ findings = {}, additional = {} }, schema_compare.run(conn, conninfo))
    end)

    it("names what is missing and what is another, each once, with its repair", function()
      conn:script [[
        DROP TABLE name_sets; ALTER TABLE datasets DROP COLUMN matrix CASCADE;
        ALTER TABLE signatures ALTER COLUMN component_count TYPE bigint;
        CREATE TABLE mine (x integer PRIMARY KEY, y integer UNIQUE); ALTER TABLE runs ADD COLUMN ours text;]]
      local compared = schema_compare.run(conn, conninfo)
      assert.same({ "column datasets.matrix is missing", "table name_sets is missing",
        "column signatures.component_count is 'bigint not null p default 0', and should be 'integer not null p "
          .. "default 0'" }, messages(compared))
      local repairs = {}
      for i, finding in ipairs(compared.findings) do
        repairs[i] = finding.repair
      end
      assert.matches("its values are gone: restore them from a backup; an empty one is made by: ALTER TABLE datasets "
        .. "ADD COLUMN matrix text[] DEFAULT '{}'::text[] NOT NULL", repairs[1], 1, true)
      assert.matches("pg_restore %-%-table=name_sets .*empty as in .*/013_name_sets.up.sql", repairs[2])
      assert.matches("ALTER TABLE signatures ALTER COLUMN component_count", repairs[3], 1, true)
      assert.same({ "column runs.ours", "table mine" }, compared.additional)
      assert.equal("there is more than the steps make: column runs.ours and table mine",
        schema_compare.told_additional(compared))
    end)

    it("is well again after the statements that are named", function()
      conn:script [[
        DROP INDEX measurements_feature_key; ALTER TABLE datasets DROP COLUMN matrix CASCADE;
        ALTER TABLE measurements DROP COLUMN texts CASCADE; ALTER TABLE jobs SET UNLOGGED;
        ALTER TABLE signatures DROP CONSTRAINT signatures_component_count_not_negative;
        ALTER TABLE signatures ADD CONSTRAINT signatures_component_count_not_negative CHECK (component_count > 0);
        ALTER TABLE feature_names DROP CONSTRAINT feature_names_pkey;
        DROP VIEW dataset_programs; CREATE VIEW dataset_programs AS SELECT 1 AS x;]]
      conn:script "DROP VIEW dataset_programs; DROP VIEW campaign_plates"
      local compared = schema_compare.run(conn, conninfo)
      local views = {}
      for _, finding in ipairs(compared.findings) do
        local statement = finding.repair:match "is made by: (.*)" or finding.repair
        if finding.message:find "^view" then
          views[#views + 1] = statement
        else
          conn:script(statement)
        end
      end
      assert.is_true(#views > 1)
      for _, statement in ipairs(views) do
        conn:script(statement)
      end
      assert.same({ findings = {}, additional = {} }, schema_compare.run(conn, conninfo))
    end)
  end)

  it("is compared in the schema that the connection works in", function()
    conninfo = support.database()
    conn = pg.connect(conninfo)
    conn:script "CREATE SCHEMA lab"
    local inside = conninfo .. (conninfo:find("?", 1, true) and "&" or "?") .. "options=-csearch_path%3Dlab"
    local working <close> = pg.connect(inside)
    migrate.up(working)
    assert.same({ findings = {}, additional = {} }, schema_compare.run(working, conninfo))
    working:script "DROP VIEW effects"
    assert.same({ "view effects is missing" }, messages(schema_compare.run(working, conninfo)))
    conn:close()
  end)

  it("is not compared where it cannot be, with the reason", function()
    conninfo = support.database()
    conn = pg.connect(conninfo)
    assert.equal("no step is applied", schema_compare.run(conn, conninfo).not_compared)
    local folder = support.workspace()
    sys.write_file(folder .. "/001_a.up.sql", "CREATE TABLE a (x integer);")
    sys.write_file(folder .. "/001_a.down.sql", "DROP TABLE a;")
    migrate.up(conn, { folder = folder })
    local role = ("spec_role_%d"):format(sys.pid())
    conn:script(("CREATE ROLE %s"):format(role))
    local poor = conninfo .. (conninfo:find("?", 1, true) and "&" or "?") .. "options=-crole%3D" .. role
    local compared = schema_compare.run(conn, poor, folder)
    assert.same({}, compared.findings)
    assert.matches("^the steps could not be run on a scratch database: permission denied to create database",
      compared.not_compared)
    conn:script(("DROP ROLE %s"):format(role))
    sys.write_file(folder .. "/001_a.up.sql", "CREATE TABLE a (x bigint);")
    assert.equal("the files are not those of the steps that were applied",
      schema_compare.run(conn, conninfo, folder).not_compared)
    conn:close()
  end)
end)
