local errors = require "ligase.base.errors"
local host = require "host"
local migrate = require "ligase.store.migrate"
local pg = require "pg"
local support = require "tests.support"
local sys = require "sys"

local function raised(fn, ...)
  local ok, failure = pcall(fn, ...)
  assert.is_false(ok, "an error was expected")
  assert.is_true(errors.is(failure), tostring(failure))
  return failure
end

--- A folder of migrations of our own, {["001_a.up"] = sql, ...}.
local function folder_of(files)
  local folder = support.workspace()
  for name, sql in pairs(files) do
    sys.write_file(("%s/%s.sql"):format(folder, name), sql)
  end
  return folder
end

local function two_steps()
  return folder_of {
    ["001_a.up"] = "CREATE TABLE a (x integer);", ["001_a.down"] = "DROP TABLE a;",
    ["002_b.up"] = "CREATE TABLE b (x integer);", ["002_b.down"] = "DROP TABLE b;",
  }
end

local function exists(conn, name)
  return conn:query("SELECT to_regclass($1) IS NOT NULL AS there", name)[1].there
end

local function first_column(conn, sql)
  local found = {}
  for i, row in ipairs(conn:table(sql)) do
    found[i] = row[1]
  end
  return found
end

local function names(list)
  local found = {}
  for i, step in ipairs(list) do
    found[i] = step.name
  end
  return found
end

describe("migrate.up", function()
  it("applies every step once and records who and what", function()
    local conn = support.connect()
    local folder = two_steps()
    assert.same({ "001_a", "002_b" }, names(migrate.up(conn, { folder = folder })))
    assert.is_true(exists(conn, "b"))
    local row = conn:query("SELECT * FROM schema_migrations WHERE step = 2")[1]
    assert.equal("002_b", row.name)
    assert.equal(sys.sha256("CREATE TABLE b (x integer);"), row.checksum)
    assert.equal(sys.sha256("DROP TABLE b;"), row.down_checksum)
    assert.equal(host.version, row.host_version)
  end)

  it("asks one question when there is nothing to do", function()
    local conn = support.connect()
    local folder = two_steps()
    migrate.up(conn, { folder = folder })
    local asked = 0
    conn:set_echo(function()
      asked = asked + 1
    end)
    assert.same({}, migrate.up(conn, { folder = folder }))
    assert.equal(1, asked)
    conn:set_echo(false)
  end)

  it("stops at the step asked for, and goes on from there", function()
    local conn = support.connect()
    local folder = two_steps()
    assert.same({ "001_a" }, names(migrate.up(conn, { folder = folder, to = 1 })))
    assert.is_false(exists(conn, "b"))
    assert.same({ "002_b" }, names(migrate.up(conn, { folder = folder })))
  end)

  it("takes a function that makes connections, and closes them", function()
    local conninfo, opened = support.database(), {}
    migrate.up(function()
      opened[#opened + 1] = pg.connect(conninfo)
      return opened[#opened]
    end, { folder = two_steps() })
    assert.equal(2, #opened) -- one to work, one for the lock
    for _, conn in ipairs(opened) do
      assert.is_false(conn:is_open())
    end
  end)

  it("leaves nothing of a step that fails, and names file and line", function()
    local conn = support.connect()
    local folder = two_steps()
    sys.write_file(folder .. "/002_b.up.sql", "CREATE TABLE b (x integer);\n\nCREATE TABEL c ();")
    local failure = raised(migrate.up, conn, { folder = folder })
    assert.equal("database", failure.kind)
    assert.equal("42601", failure.code)
    assert.equal(folder .. "/002_b.up.sql", failure.file)
    assert.equal(3, failure.line)
    assert.matches("002_b", failure.message, 1, true)
    assert.is_true(exists(conn, "a"))
    assert.is_false(exists(conn, "b"))
    assert.equal(1, select(2, migrate.state(conn)))
  end)

  it("refuses a step that does not exist", function()
    assert.equal("usage", raised(migrate.up, support.connect(), { folder = two_steps(), to = 3 }).kind)
  end)

  it("refuses to go on when a file was changed after it was applied", function()
    local conn, folder = support.connect(), two_steps()
    migrate.up(conn, { folder = folder })
    sys.write_file(folder .. "/001_a.up.sql", "CREATE TABLE a (x bigint);")
    local failure = raised(migrate.up, conn, { folder = folder })
    assert.equal("migration_drift", failure.code)
    assert.equal(1, failure.step)
    assert.equal(folder .. "/001_a.up.sql", failure.file)
    assert.matches("new step", failure.hint)
    sys.write_file(folder .. "/001_a.up.sql", "CREATE TABLE a (x integer);")
    sys.write_file(folder .. "/002_b.down.sql", "DROP TABLE IF EXISTS b;")
    assert.equal(folder .. "/002_b.down.sql", raised(migrate.up, conn, { folder = folder }).file)
  end)

  it("refuses a renamed file, a database newer than the files, and gaps", function()
    local conn, folder = support.connect(), two_steps()
    migrate.up(conn, { folder = folder })
    sys.rename(folder .. "/002_b.up.sql", folder .. "/002_c.up.sql")
    sys.rename(folder .. "/002_b.down.sql", folder .. "/002_c.down.sql")
    assert.equal("migration_drift", raised(migrate.up, conn, { folder = folder }).code)
    sys.remove(folder .. "/002_c.up.sql")
    local failure = raised(migrate.up, conn, { folder = folder })
    assert.equal("schema_newer", failure.code)
    assert.matches("step 2 (002_b", failure.message, 1, true)
    conn:query("DELETE FROM schema_migrations WHERE step = 1")
    assert.equal("migration_gap", raised(migrate.up, conn, { folder = folder }).code)
  end)

  it("refuses files with gaps, with one number twice and without a way back", function()
    local sql = "SELECT 1;"
    local cases = {
      { ["001_a.up"] = sql, ["001_a.down"] = sql, ["003_c.up"] = sql, ["003_c.down"] = sql },
      { ["001_a.up"] = sql, ["001_a.down"] = sql, ["001_b.up"] = sql, ["001_b.down"] = sql },
      { ["001_a.up"] = sql },
      {},
    }
    local conn = support.connect()
    for _, files in ipairs(cases) do
      assert.equal("migration_files", raised(migrate.up, conn, { folder = folder_of(files) }).code)
    end
  end)

  it("says who holds the lock", function()
    local conninfo = support.database()
    local holder <close> = pg.connect(conninfo)
    local conn <close> = pg.connect(conninfo)
    holder:query("SET application_name = 'the other one'")
    holder:query("SELECT pg_advisory_lock($1)", 0x6C69676173650001)
    local failure = raised(migrate.up, conn, { folder = two_steps(), wait_s = 0.2 })
    assert.equal("migration_locked", failure.code)
    assert.matches("the other one", failure.message, 1, true)
    assert.matches(tostring(holder:pid()), failure.message, 1, true)
  end)

  it("gives up on tables that others keep locked, with nothing applied", function()
    local conninfo, folder = support.database(), two_steps()
    local other <close> = pg.connect(conninfo)
    local conn <close> = pg.connect(conninfo)
    migrate.up(conn, { folder = folder, to = 1 })
    sys.write_file(folder .. "/002_b.up.sql", "ALTER TABLE a ADD COLUMN y integer;")
    other:begin()
    other:query("SELECT * FROM a")
    local failure = raised(migrate.up, conn, { folder = folder, wait_s = 0.5 })
    assert.equal("55P03", failure.code)
    other:rollback()
    assert.same({ "002_b" }, names(migrate.up(conn, { folder = folder })))
  end)

  it("is safe when many do it at once", function()
    local conninfo = support.database()
    local code = [[
      local pg, migrate = require "pg", require "ligase.store.migrate"
      local conninfo = ...
      migrate.up(function() return pg.connect(conninfo) end)
    ]]
    local folder, processes = support.workspace(), {}
    for i = 1, 8 do
      processes[i] = sys.spawn({ host.executable, "-e", code, conninfo },
        { cwd = folder, env = { LIGASE_HOME = host.home }, stdout = "null", stderr = folder .. "/" .. i })
    end
    for i, process in ipairs(processes) do
      local ended = process:wait(60)
      assert.equal(0, ended and ended.code, sys.read_file(folder .. "/" .. i))
    end
    local conn <close> = pg.connect(conninfo)
    assert.equal("current", (migrate.state(conn)))
    assert.equal(#migrate.files(), conn:query("SELECT count(*) AS n FROM schema_migrations")[1].n)
  end)
end)

describe("migrate.down", function()
  it("takes the last step back, or all down to one", function()
    local conn, folder = support.connect(), two_steps()
    migrate.up(conn, { folder = folder })
    assert.same({ "002_b" }, names(migrate.down(conn, { folder = folder })))
    assert.is_false(exists(conn, "b"))
    migrate.up(conn, { folder = folder })
    assert.same({ "002_b", "001_a" }, names(migrate.down(conn, { folder = folder, to = 0 })))
    assert.is_false(exists(conn, "a"))
    assert.same({}, migrate.down(conn, { folder = folder }))
  end)

  it("refuses a way back that is not the one that was recorded", function()
    local conn, folder = support.connect(), two_steps()
    migrate.up(conn, { folder = folder })
    sys.write_file(folder .. "/002_b.down.sql", "DROP TABLE a;")
    assert.equal("migration_drift", raised(migrate.down, conn, { folder = folder }).code)
    assert.is_true(exists(conn, "a"))
  end)
end)

describe("migrate.status", function()
  it("tells what is applied, pending, changed and unknown", function()
    local conn, folder = support.connect(), two_steps()
    local steps, problem = migrate.status(conn, folder)
    assert.same({ "pending", "pending" }, { steps[1].state, steps[2].state })
    assert.is_nil(problem)
    migrate.up(conn, { folder = folder })
    sys.write_file(folder .. "/001_a.up.sql", "SELECT 1;")
    conn:query([[INSERT INTO schema_migrations (step, name, checksum, down_checksum, host_version)
      VALUES (3, '003_c', '', '', '9.9')]])
    steps, problem = migrate.status(conn, folder)
    assert.same({ "changed", "applied", "unknown" }, { steps[1].state, steps[2].state, steps[3].state })
    assert.equal("migration_drift", problem.code)
    assert.truthy(steps[2].applied_at)
  end)
end)

describe("the schema", function()
  local function dump(conninfo)
    local result = sys.run({ "pg_dump", "--schema-only", "--restrict-key=fixed", "-d", conninfo },
      { stdout = "capture", stderr = "capture" })
    if result.code ~= 0 and result.stderr:find("restrict%-key") then -- older minor releases know no such thing
      result = sys.run({ "pg_dump", "--schema-only", "-d", conninfo }, { stdout = "capture", stderr = "capture" })
    end
    assert.equal(0, result.code, result.stderr)
    return result.stdout
  end

  it("is the same after up, down, up, for each step and for all", function()
    local conninfo = support.database()
    local conn <close> = pg.connect(conninfo)
    migrate.up(conn)
    local whole = dump(conninfo)
    migrate.down(conn, { to = 0 })
    local bare = dump(conninfo)
    for i = 1, #migrate.files() do
      migrate.up(conn, { to = i })
      local up = dump(conninfo)
      migrate.down(conn)
      migrate.up(conn, { to = i })
      assert.is_true(up == dump(conninfo), "step " .. i)
    end
    assert.is_true(whole == dump(conninfo))
    migrate.down(conn, { to = 0 })
    assert.is_true(bare == dump(conninfo))
    assert.equal(0, conn:query([[SELECT count(*) AS n FROM pg_class WHERE relnamespace = 'public'::regnamespace
      AND relname NOT LIKE 'schema_migrations%']])[1].n)
  end)

  it("begins every file with what a distributed database needs", function()
    for _, step in ipairs(migrate.files()) do
      for _, path in ipairs { step.up_path, step.down_path } do
        assert.matches("^SET LOCAL citus%.multi_shard_modify_mode = 'sequential';\n", sys.read_file(path), nil, path)
      end
    end
  end)

  it("has no foreign key on bulk tables, no trigger of ours, names for all foreign keys", function()
    local conn = support.migrated()
    assert.same({}, first_column(conn, [[
      SELECT conname FROM pg_constraint WHERE contype = 'f' AND conrelid IN ('measurements'::regclass,
        'feature_names'::regclass, 'dataset_signatures'::regclass, 'screening_results'::regclass)]]))
    assert.same({}, first_column(conn, [[
      SELECT tgname FROM pg_trigger WHERE NOT tgisinternal]]))
    assert.same({}, first_column(conn, [[
      SELECT conrelid::regclass::text FROM pg_constraint
      WHERE contype = 'f' AND confrelid = 'runs'::regclass
        AND conrelid NOT IN ('runs'::regclass, 'outbox'::regclass, 'jobs'::regclass)]]))
  end)

  it("describes every table and view", function()
    local conn = support.migrated()
    assert.same({}, first_column(conn, [[
      SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v')
        AND obj_description(oid) IS NULL]]))
  end)

  it("compares names byte by byte", function()
    local conn = support.migrated()
    assert.same({}, first_column(conn, [[
      SELECT attrelid::regclass || '.' || attname FROM pg_attribute
      JOIN pg_class ON pg_class.oid = attrelid JOIN pg_collation ON pg_collation.oid = attcollation
      WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND attnum > 0 AND NOT attisdropped
        AND attname IN ('name', 'raw_name', 'source_name', 'feature_type', 'omics_type', 'state', 'notion_page_id')
        AND relname <> 'schema_migrations' AND collname <> 'C']]))
  end)
end)

describe("the views", function()
  local WIDE, EFFECTS = "00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002"
  local conn

  before_each(function()
    conn = support.migrated()
    conn:script([[
      INSERT INTO features (id, key, feature_type, name)
      VALUES ('10000000-0000-0000-0000-000000000001', 11, 'lipid', 'PC 34:1'),
             ('10000000-0000-0000-0000-000000000002', 12, 'lipid', 'SM 34:1;O2');
      INSERT INTO datasets (id, omics_type, name, current_revision)
      VALUES ('00000000-0000-0000-0000-000000000001', 'lipidomics', 'wide', 2),
             ('00000000-0000-0000-0000-000000000002', 'lipidomics', 'effects', 1);
      INSERT INTO revisions (dataset_id, revision, row_count, sample_names, sample_units, sample_count, columns)
      SELECT '00000000-0000-0000-0000-000000000001', n, 3, '{NULL,s,s}', '{NULL,nM,NULL}', 2, '[
        {"position": 1, "name": "species", "role": "feature", "type": "text", "slot": null},
        {"position": 2, "name": "m/z", "role": "annotation", "type": "number", "slot": 1, "unit": "Da"},
        {"position": 3, "name": "s", "role": "sample", "type": "number", "slot": 2, "unit": "nM"},
        {"position": 4, "name": "note", "role": "annotation", "type": "text", "slot": 1},
        {"position": 5, "name": "s", "role": "sample", "type": "number", "slot": 3, "unit": null}]'
      FROM generate_series(1, 2) AS n;
      INSERT INTO measurements (dataset_id, revision, ordinal, feature_key, source_name, values, texts)
      VALUES ('00000000-0000-0000-0000-000000000001', 1, 1, 11, 'old', '{1,1,1}', '{x}'),
             ('00000000-0000-0000-0000-000000000001', 2, 1, 11, 'PC(34:1)', '{760.5,1,2}', '{x}'),
             ('00000000-0000-0000-0000-000000000001', 2, 2, NULL, 'unknown', '{1.5,NULL,Infinity}', NULL),
             ('00000000-0000-0000-0000-000000000001', 2, 3, 12, 'SM', NULL, NULL);
      INSERT INTO revisions (dataset_id, revision, columns, contrasts)
      VALUES ('00000000-0000-0000-0000-000000000002', 1, '[]', '[
        {"name": "a vs b", "base_mean": 1, "log2_fold_change": 2, "p_value": 3, "adjusted_p_value": 4},
        {"name": "c vs b", "log2_fold_change": 5}]');
      INSERT INTO measurements (dataset_id, revision, ordinal, feature_key, source_name, values)
      VALUES ('00000000-0000-0000-0000-000000000002', 1, 1, 11, 'PC 34:1', '{100,-1.5,0.01,0.02,0.5}');
    ]])
  end)

  it("spread the samples of the current revision, and nothing else", function()
    local rows = conn:table([[
      SELECT ordinal, feature, source_name, sample, unit, value FROM measurement_values
      WHERE dataset_id = $1 ORDER BY ordinal, unit]], WIDE)
    local null = pg.null
    assert.equal(4, #rows)
    assert.same({ "1", "PC 34:1", "PC(34:1)", "s", "nM", "1" }, rows[1])
    assert.same({ "1", "PC 34:1", "PC(34:1)", "s", null, "2" }, rows[2])
    assert.same({ "2", null, "unknown", "s", "nM", null }, rows[3])
    assert.same({ "2", null, "unknown", "s", null, "Infinity" }, rows[4])
  end)

  it("give every contrast of every row", function()
    local rows = conn:query([[
      SELECT contrast, log2_fold_change, p_value, adjusted_p_value, base_mean, statistic FROM effects
      WHERE dataset = 'effects' ORDER BY contrast]])
    assert.equal(2, #rows)
    assert.equal("a vs b", rows[1].contrast)
    assert.equal(-1.5, rows[1].log2_fold_change)
    assert.equal(0.02, rows[1].adjusted_p_value)
    assert.equal(100.0, rows[1].base_mean)
    assert.equal(pg.null, rows[1].statistic or pg.null)
    assert.equal(0.5, rows[2].log2_fold_change)
    assert.equal(0, #conn:query("SELECT FROM effects WHERE dataset_id = $1", WIDE))
    assert.equal(0, #conn:query("SELECT FROM measurement_values WHERE dataset_id = $1", EFFECTS))
  end)

  it("count samples and contrasts in the overview", function()
    conn:query [[INSERT INTO datasets (id, omics_type, name)
      VALUES ('00000000-0000-0000-0000-000000000003', 'lipidomics', 'empty')]]
    local rows = conn:query("SELECT name, revision, sample_count, contrast_count FROM dataset_overview ORDER BY name")
    assert.same({ "effects", "empty", "wide" }, names(rows))
    assert.equal(2, rows[1].contrast_count)
    assert.equal(2, rows[3].sample_count)
    assert.equal(2, rows[3].revision)
  end)

  it("reach rows by dataset and by feature through the indexes", function()
    local function plan(sql)
      local lines = {}
      conn:query("SET enable_seqscan = off") -- three rows are read faster without an index
      for i, row in ipairs(conn:table("EXPLAIN " .. sql)) do
        lines[i] = row[1]
      end
      return table.concat(lines, "\n")
    end
    local by_dataset = plan("SELECT * FROM measurement_values WHERE dataset_id = '" .. WIDE .. "'")
    assert.matches("measurements_pkey", by_dataset, 1, true)
    assert.matches("measurements_pkey", plan "SELECT * FROM measurement_values WHERE dataset = 'wide'", 1, true)
    for _, view in ipairs { "measurement_values", "effects" } do
      local by_key = plan("SELECT * FROM " .. view .. " WHERE feature_key = 11")
      assert.matches("measurements_feature_key", by_key, 1, true)
      local by_name = plan("SELECT * FROM " .. view .. " WHERE feature = 'PC 34:1'")
      assert.matches("features_feature_type_name_unique", by_name, 1, true)
      assert.matches("measurements_feature_key", by_name, 1, true)
    end
  end)
end)
