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

  local function repairs(compared)
    local found = {}
    for i, finding in ipairs(compared.findings) do
      found[i] = finding.repair
    end
    return found
  end

  --- Does what the repairs say, one after the other, and gives what is found then.
  local function repaired(compared, backup, folder)
    for _, finding in ipairs(compared.findings) do
      local words = finding.repair
      local renaming, restoring = words:match "^if that is it: (.-); else", words:match "(pg_restore .- FILE);"
      local making, filling = words:match "is made by: (.-); fill it, then: (.*)"
      if renaming then
        conn:script(renaming)
      elseif restoring then
        local command = restoring:gsub('"%$%(ligase db url%)" FILE', '"$1" "$2"')
        local result = sys.run({ "sh", "-c", command, "sh", conninfo, backup }, { stderr = "capture" })
        assert.equal(0, result.code, result.stderr)
      elseif making then
        conn:script(making)
        local owner, column = filling:match "ALTER TABLE (%S+) ALTER COLUMN (%S+)"
        conn:script(("UPDATE %s SET %s = 'filled'"):format(owner, column))
        conn:script(filling)
      else
        conn:script(words:match "is made by: (.*)" or words:match ", then: (.*)" or words)
      end
    end
    return schema_compare.run(conn, conninfo, folder)
  end

  local function backed_up()
    local backup = support.workspace() .. "/before.dump"
    local result = sys.run({ "pg_dump", "-Fc", "-f", backup, conninfo }, { stderr = "capture" })
    assert.equal(0, result.code, result.stderr)
    return backup
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
        CREATE TABLE mine (x integer PRIMARY KEY, y integer UNIQUE); ALTER TABLE runs ADD COLUMN ours text;
        ALTER TABLE signatures ADD CONSTRAINT of_mine FOREIGN KEY (component_count) REFERENCES mine;]]
      local compared = schema_compare.run(conn, conninfo)
      assert.same({ "table name_sets is missing", "column datasets.matrix is missing",
        "column signatures.component_count is bigint, and should be integer" }, messages(compared))
      assert.matches("its values are gone: restore them from a backup; an empty one is made by: ALTER TABLE datasets "
        .. "ADD COLUMN matrix text[] DEFAULT '{}'::text[] NOT NULL", repairs(compared)[2], 1, true)
      assert.matches("pg_restore %-%-table=name_sets .*empty as in .*/013_name_sets.up.sql", repairs(compared)[1])
      assert.matches("ALTER TABLE signatures ALTER COLUMN component_count TYPE integer", repairs(compared)[3],
        1, true)
      assert.same({ "column runs.ours", "constraint signatures.of_mine", "table mine" }, compared.additional)
      assert.equal("there is more than the steps make: column runs.ours, constraint signatures.of_mine and table mine",
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
      assert.same({ findings = {}, additional = {} }, repaired(compared))
    end)

    it("gets a lost table back from a backup with what numbers its rows", function()
      conn:script [[
        INSERT INTO outbox (entity_id, entity_type, action)
        SELECT gen_random_uuid(), 'datasets', 'create' FROM generate_series(1, 3);]]
      local backup = backed_up()
      conn:script "DROP TABLE outbox CASCADE; DROP TABLE jobs CASCADE"
      local compared = schema_compare.run(conn, conninfo)
      local told = messages(compared)
      assert.same({ "table jobs is missing", "table outbox is missing" }, table.move(told, 1, 2, 1, {}))
      for i = 3, #told do
        assert.matches("^view ", told[i])
      end
      assert.matches("pg_restore --table=jobs --table=jobs_id_seq -d", repairs(compared)[1], 1, true)
      assert.matches("pg_restore --table=outbox --table=outbox_id_seq -d", repairs(compared)[2], 1, true)
      compared = repaired(compared, backup)
      for _, message in ipairs(messages(compared)) do
        assert.is_nil(message:find("^column") or message:find("^table"), message)
      end
      assert.same({ findings = {}, additional = {} }, repaired(compared))
      local inserted = conn:query [[
        INSERT INTO outbox (entity_id, entity_type, action) VALUES (gen_random_uuid(), 'datasets', 'create')
        RETURNING id]]
      assert.equal(4, inserted[1].id)
    end)

    it("numbers rows again that a table without its sequence holds", function()
      conn:script [[
        INSERT INTO outbox (entity_id, entity_type, action)
        SELECT gen_random_uuid(), 'datasets', 'create' FROM generate_series(1, 3);
        ALTER TABLE outbox ALTER COLUMN id DROP IDENTITY]]
      local compared = schema_compare.run(conn, conninfo)
      assert.same({ "column outbox.id is not numbered by itself, and should be numbered by itself (ALWAYS)" },
        messages(compared))
      assert.same({}, messages(repaired(compared)))
      local inserted = conn:query [[
        INSERT INTO outbox (entity_id, entity_type, action) VALUES (gen_random_uuid(), 'datasets', 'create')
        RETURNING id]]
      assert.equal(4, inserted[1].id)
      conn:script "ALTER TABLE jobs DROP COLUMN id CASCADE"
      assert.same({}, messages(repaired(schema_compare.run(conn, conninfo))))
    end)

    it("gets a renamed table back by its name", function()
      conn:script [[
        INSERT INTO mirrors (entity_type, entity_id) VALUES ('datasets', gen_random_uuid());
        ALTER TABLE mirrors RENAME TO mirrors_old]]
      local compared = schema_compare.run(conn, conninfo)
      assert.equal("table mirrors is missing, and mirrors_old has its columns", messages(compared)[1])
      assert.matches("^if that is it: ALTER TABLE mirrors_old RENAME TO mirrors; else restore it from a backup",
        repairs(compared)[1])
      for i = 2, #compared.findings do
        assert.matches("^view ", messages(compared)[i])
      end
      assert.same({ findings = {}, additional = {} }, repaired(compared))
      assert.equal(1, conn:query("SELECT count(*) AS n FROM mirrors")[1].n)
    end)

    it("gets a table back beside another one that holds the names of its indexes", function()
      local backup = backed_up()
      conn:script "ALTER TABLE mirrors RENAME TO mirrors_old; ALTER TABLE mirrors_old ADD COLUMN ours text"
      local compared = schema_compare.run(conn, conninfo)
      assert.equal("table mirrors is missing", messages(compared)[1])
      compared = repaired(repaired(compared, backup))
      assert.same({}, messages(compared))
      assert.equal("table mirrors_old", compared.additional[1])
    end)

    it("gets views back that have a column more or less, or stand on one that has", function()
      local list = "SELECT pg_get_viewdef('effects'::regclass) AS made"
      local effects = conn:query(list)[1].made:gsub(";%s*$", "")
      conn:script(("DROP VIEW effects CASCADE; CREATE VIEW effects AS SELECT e.*, 1 AS more FROM (%s) AS e")
        :format(effects))
      conn:script "CREATE VIEW ours AS SELECT count(*) FROM effects"
      conn:script "DROP VIEW dataset_programs CASCADE; CREATE VIEW dataset_programs AS SELECT 1 AS one"
      local compared = schema_compare.run(conn, conninfo)
      assert.is_true(#compared.findings > 1)
      assert.same({ findings = {}, additional = { "view ours" } }, repaired(compared))
      assert.equal(0, conn:query("SELECT count FROM ours")[1].count)
    end)

    it("alters columns back, also where views stand on them", function()
      conn:script [[
        ALTER TABLE outbox ALTER COLUMN attempts DROP DEFAULT; ALTER TABLE outbox ALTER COLUMN state SET DEFAULT 'done';
        ALTER TABLE outbox ALTER COLUMN action DROP NOT NULL; ALTER TABLE outbox ALTER COLUMN run_id SET NOT NULL;
        ALTER TABLE outbox ALTER COLUMN last_error SET DEFAULT '';
        ALTER TABLE outbox ALTER COLUMN payload SET STORAGE MAIN;
        ALTER TABLE mirrors ALTER COLUMN page_id TYPE text COLLATE "default";
        ALTER TABLE signatures ALTER COLUMN component_count TYPE bigint;
        ALTER TABLE signatures ALTER COLUMN component_count SET DEFAULT 7;
        CREATE VIEW ours AS SELECT component_count FROM signatures; CREATE VIEW theirs AS SELECT * FROM ours]]
      local compared = schema_compare.run(conn, conninfo)
      assert.same({ 'column mirrors.page_id is text, and should be text COLLATE "C"',
        "column outbox.action may be NULL, and should not",
        "column outbox.attempts has no default, and should have the default 0",
        "column outbox.last_error has the default ''::text, and should have none",
        "column outbox.payload has the storage MAIN, and should have the storage EXTENDED",
        "column outbox.state has the default 'done'::text, and should have the default 'pending'::text",
        "column signatures.component_count is bigint, and should be integer; has the default 7, and should have the "
          .. "default 0",
        "column outbox.run_id may not be NULL, and should be allowed to" }, messages(compared))
      assert.equal("fill it where it is NULL, then: ALTER TABLE outbox ALTER COLUMN action SET NOT NULL",
        repairs(compared)[2])
      assert.equal("ALTER TABLE outbox ALTER COLUMN attempts SET DEFAULT 0", repairs(compared)[3])
      assert.same({ findings = {}, additional = { "view ours", "view theirs" } }, repaired(compared))
    end)

    it("gets a column back that may not be NULL, in a table with rows", function()
      conn:script [[
        INSERT INTO outbox (entity_id, entity_type, action)
        SELECT gen_random_uuid(), 'datasets', 'create' FROM generate_series(1, 3);
        ALTER TABLE outbox DROP COLUMN entity_type CASCADE]]
      local compared = schema_compare.run(conn, conninfo)
      assert.equal("column outbox.entity_type is missing", messages(compared)[1])
      assert.equal('its values are gone: restore them from a backup; an empty one is made by: ALTER TABLE outbox ADD '
        .. 'COLUMN entity_type text COLLATE "C"; fill it, then: ALTER TABLE outbox ALTER COLUMN entity_type SET NOT '
        .. "NULL", repairs(compared)[1])
      assert.same({ findings = {}, additional = {} }, repaired(compared))
    end)

    it("tells another primary key once, and gets the right one back", function()
      conn:script [[
        ALTER TABLE mirrors DROP CONSTRAINT mirrors_pkey;
        ALTER TABLE mirrors ADD CONSTRAINT mirrors_pkey PRIMARY KEY (entity_id, page_id);
        ALTER TABLE outbox RENAME CONSTRAINT outbox_pkey TO outbox_key;
        ALTER TABLE jobs DROP CONSTRAINT jobs_pkey CASCADE; ALTER TABLE jobs ADD CONSTRAINT jobs_key UNIQUE (id)]]
      local compared = schema_compare.run(conn, conninfo)
      assert.same({ "constraint jobs.jobs_pkey is missing", "constraint mirrors.mirrors_pkey is 'PRIMARY KEY "
        .. "(entity_id, page_id)', and should be 'PRIMARY KEY (entity_id, entity_type, target)'",
        "constraint outbox.outbox_pkey is missing",
        "column mirrors.page_id may not be NULL, and should be allowed to" }, messages(compared))
      assert.same({ findings = {}, additional = { "constraint jobs.jobs_key" } }, repaired(compared))
    end)

    it("gets keys back before what refers to them, and an index that a constraint took the name of", function()
      conn:script [[
        ALTER TABLE runs DROP CONSTRAINT runs_pkey CASCADE; DROP INDEX mirrors_conflicts;
        ALTER TABLE mirrors ADD CONSTRAINT mirrors_conflicts UNIQUE (target, entity_type)]]
      local compared = schema_compare.run(conn, conninfo)
      assert.equal("constraint runs.runs_pkey is missing", messages(compared)[1])
      assert.is_true(#compared.findings > 2)
      assert.same({ findings = {}, additional = {} }, repaired(compared))
    end)
  end)

  it("has computed columns, triggers and statistics that come back as well", function()
    conninfo = support.database()
    conn = pg.connect(conninfo)
    local folder = support.workspace()
    sys.write_file(folder .. "/001_a.up.sql", [[
      CREATE TABLE a (x integer, y integer DEFAULT 3, twice integer GENERATED ALWAYS AS (x * 2) STORED);
      CREATE STATISTICS a_both ON x, y FROM a;
      CREATE TRIGGER a_kept BEFORE UPDATE ON a FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();]])
    sys.write_file(folder .. "/001_a.down.sql", "DROP TABLE a;")
    migrate.up(conn, { folder = folder })
    conn:script [[
      INSERT INTO a VALUES (1, 2); ALTER TABLE a ALTER COLUMN y TYPE text; ALTER TABLE a ALTER COLUMN y SET DEFAULT '3';
      ALTER TABLE a DROP COLUMN twice; DROP STATISTICS a_both;
      ALTER TABLE a ADD COLUMN twice integer GENERATED ALWAYS AS (x + x) STORED;
      CREATE STATISTICS a_both ON x, twice FROM a;
      DROP TRIGGER a_kept ON a;
      CREATE TRIGGER a_kept AFTER UPDATE ON a FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();]]
    local compared = schema_compare.run(conn, conninfo, folder)
    assert.equal("column a.twice is computed as (x + x), and should be computed as (x * 2)", messages(compared)[2])
    assert.equal(4, #compared.findings)
    assert.same({}, messages(repaired(repaired(compared, nil, folder), nil, folder)))
    conn:script "ALTER TABLE a DROP COLUMN x CASCADE"
    assert.same({}, messages(repaired(schema_compare.run(conn, conninfo, folder), nil, folder)))
    conn:close()
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
