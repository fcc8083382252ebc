local json = require "ligase.base.json"
local support = require "tests.support"
local sys = require "sys"

describe("ligase doctor", function()
  local conn, url, workspace

  setup(function()
    conn, url = support.migrated()
    workspace = support.workspace()
    for i = 1, 3 do
      local file = support.tmpfile(("lipid,a,b\nPC 34:1,1,%d\nPE 36:2,3,4\n"):format(i), ("d%d.csv"):format(i))
      local result = support.ligase { "ingest", "--omics", "lipidomics", file, database = url, workspace = workspace }
      assert.equal(0, result.code, result.stderr)
    end
  end)

  --- Findings by check, and the checks that found something wrong. The server of the specs runs without
  --- fsync, which is always found.
  local function look(...)
    local result = support.ligase { "doctor", "--json", database = url, workspace = workspace, ... }
    local found, wrong = {}, {}
    for _, one in ipairs(json.decode(result.stdout).findings) do
      found[one.check] = (one.state == "ok" or one.state == "note") and found[one.check] or one
      wrong[#wrong + 1] = one.state == "wrong" and one.check ~= "postgres" and one.check or nil
    end
    assert.equal(1, result.code)
    return found, wrong
  end

  --- What is found of damage that is undone afterwards.
  local function damaged(sql, check)
    conn:query "CREATE TABLE kept AS SELECT * FROM measurements"
    conn:script(sql)
    local found, wrong = look()
    assert.equal(check, wrong[1])
    conn:script "TRUNCATE measurements; INSERT INTO measurements SELECT * FROM kept; DROP TABLE kept"
    return found[check]
  end

  it("finds nothing where nothing is wrong", function()
    local _, wrong = look()
    assert.same({}, wrong)
    local result = support.ligase { "doctor", database = url, workspace = workspace }
    assert.matches("3 datasets, 6 rows, 2 features: all hangs together", result.stdout, 1, true)
    assert.matches("ok     schema", result.stdout, 1, true)
  end)

  it("finds rows that are lost, too many, and of nothing", function()
    local found = damaged("DELETE FROM measurements WHERE ordinal = 2 AND dataset_id = (SELECT id FROM datasets WHERE "
      .. "name = 'd2')", "counts")
    assert.equal("dataset 'd2', revision 1: 1 row, and its revision says 2", found.message)
    assert.matches("ligase ingest --force", found.repair, 1, true)
    found = damaged("INSERT INTO measurements (dataset_id, ordinal, revision) SELECT id, 1, 7 FROM datasets WHERE "
      .. "name = 'd3'", "rows")
    assert.matches("dataset 'd3': 1 row of revision 7, which is not there", found.message, 1, true)
    for _, id in ipairs { "00000000-0000-0000-0000-000000000001", "ffffffff-ffff-ffff-ffff-ffffffffffff" } do
      found = damaged(("INSERT INTO measurements (dataset_id, ordinal, revision) VALUES ('%s', 1, 1)"):format(id),
        "rows")
      assert.equal("rows of a dataset that is not there: " .. id, found.message)
    end
    local middle = conn:query("SELECT id FROM datasets WHERE name = 'd2'")[1].id
    local after = middle:sub(1, -2) .. (middle:sub(-1) == "f" and "e" or "f")
    found = damaged(("INSERT INTO measurements (dataset_id, ordinal, revision) VALUES ('%s', 1, 1)"):format(after),
      "rows")
    assert.matches(after, found.message, 1, true)
  end)

  it("finds rows of many datasets that are not there", function()
    conn:query [[INSERT INTO measurements (dataset_id, revision, ordinal)
      SELECT gen_random_uuid(), 1, o FROM generate_series(1, 25), generate_series(1, 2) AS o ORDER BY 1]]
    local _, wrong = look()
    assert.equal(("rows "):rep(#wrong):sub(1, -2), table.concat(wrong, " "))
    local strange = conn:query [[SELECT count(DISTINCT dataset_id) AS n FROM measurements WHERE dataset_id NOT IN
      (SELECT id FROM datasets)]][1].n
    assert.equal(strange, #wrong)
    conn:query "DELETE FROM measurements WHERE dataset_id NOT IN (SELECT id FROM datasets)"
  end)

  it("leaves rows alone that a rollback would bring back", function()
    for _, name in ipairs { "e1", "e2" } do
      local file = support.tmpfile("lipid,a\nPC 34:1,1\n", name .. ".csv")
      support.ligase { "ingest", "--omics", "lipidomics", file, database = url, workspace = workspace }
    end
    local ids = conn:query "SELECT id FROM datasets WHERE name IN ('e1', 'e2') ORDER BY name"
    for _ = 1, 2 do
      assert.equal(0, support.ligase({ "rollback", "last", database = url, workspace = workspace }).code)
    end
    assert.equal(2, conn:query("SELECT count(*) AS n FROM measurements WHERE dataset_id IN ($1, $2)", ids[1].id,
      ids[2].id)[1].n)
    local _, wrong = look()
    assert.same({}, wrong)
    -- What lies between them is found all the same.
    local found = damaged(("INSERT INTO measurements (dataset_id, ordinal, revision) VALUES ('%s', 1, 1)"):format(
      ids[1].id:sub(1, -13) .. "ffffffffffff"), "rows")
    assert.matches("rows of a dataset that is not there: .*ffffffffffff", found.message)
    conn:query("DELETE FROM measurements WHERE dataset_id IN ($1, $2)", ids[1].id, ids[2].id)
    conn:query "DELETE FROM runs WHERE command = 'rollback'"
  end)

  it("finds keys without features, names without receipts, and features that were renamed", function()
    local found = damaged("UPDATE measurements SET feature_key = 5 WHERE ordinal = 1 AND dataset_id = (SELECT id FROM "
      .. "datasets WHERE name = 'd1')", "keys")
    assert.equal("dataset 'd1': 1 row with keys of no feature", found.message)
    found = damaged("UPDATE measurements SET source_name = 'nobody' WHERE ordinal = 1", "names")
    assert.matches("1 name without a receipt, such as 'nobody'", found.message, 1, true)
    conn:query "UPDATE features SET name = 'renamed' WHERE name = 'PC 34:1'"
    found = look()
    assert.matches("1 feature whose key or id does not follow from the name: 'renamed'", found.features.message,
      1, true)
    conn:query "UPDATE features SET name = 'PC 34:1' WHERE name = 'renamed'"
  end)

  it("finds a dataset whose revision is not there", function()
    conn:query "UPDATE datasets SET current_revision = 9 WHERE name = 'd1'"
    assert.equal("1 datasets whose revision is not there: 'd1'@9", look().current_revision.message)
    conn:query "UPDATE datasets SET current_revision = 1 WHERE name = 'd1'"
  end)

  it("repairs what loses nothing", function()
    conn:query "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'measurements_feature_key'::regclass"
    conn:query("INSERT INTO signatures (id, name, component_count) VALUES ($1, 's', 3)", sys.uuid7())
    sys.write_file(workspace .. "/.env", "OPENAI_API_KEY=secret\n")
    sys.chmod(workspace .. "/.env", 420) -- 0644
    local _, wrong = look()
    table.sort(wrong)
    assert.same({ ".env", "components", "indexes" }, wrong)
    local found = look "--fix"
    assert.same({ "fixed", "fixed", "fixed" }, { found.indexes.state, found.components.state, found[".env"].state })
    found = look()
    assert.same({}, { found.indexes, found.components, found[".env"] })
    assert.equal(416, sys.stat(workspace .. "/.env").mode & 511) -- 0640
    conn:query "DELETE FROM signatures"
    sys.remove(workspace .. "/.env")
  end)

  it("finds a schema that is not what the steps make, and goes on where it cannot be read", function()
    assert.matches("ok     schema           step %d+ of %d+, and as the steps make it",
      support.ligase({ "doctor", database = url, workspace = workspace }).stdout)
    local broken_conn, broken = support.migrated()
    broken_conn:script "DROP TABLE name_sets; ALTER TABLE datasets DROP COLUMN matrix CASCADE; CREATE TABLE ours ()"
    local result = support.ligase { "doctor", database = broken, workspace = workspace }
    assert.equal(1, result.code)
    assert.matches("wrong  schema           column datasets.matrix is missing\n +its values are gone: restore them",
      result.stdout)
    assert.matches("wrong  schema           table name_sets is missing\n +restore it from a backup: pg_restore",
      result.stdout)
    assert.matches("note   schema           there is more than the steps make: table ours", result.stdout, 1, true)
    result = support.ligase { "migrate", "verify", database = broken, workspace = workspace }
    assert.equal(1, result.code)
    assert.matches("schema +table name_sets is missing. To repair: restore it from a backup", result.stdout)
    assert.matches("schema +there is more than the steps make: table ours", result.stdout)
    broken_conn:script "DROP TABLE measurements CASCADE; DROP TABLE lab_phase"
    result = support.ligase { "doctor", database = broken, workspace = workspace }
    assert.equal(1, result.code)
    assert.matches("wrong  data             could not be looked at: relation \"measurements\" does not exist",
      result.stdout, 1, true)
    assert.matches("wrong  phase            it cannot be read", result.stdout, 1, true)
  end)

  it("does not call it wrong that the schema cannot be compared", function()
    local role = ("spec_doctor_%d"):format(sys.pid())
    local own_conn, own = support.migrated()
    own_conn:script(("CREATE ROLE %s; GRANT ALL ON ALL TABLES IN SCHEMA public TO %s"):format(role, role))
    local poor = own .. (own:find("?", 1, true) and "&" or "?") .. "options=-crole%3D" .. role
    local result = support.ligase { "doctor", database = poor, workspace = workspace }
    assert.matches("note   schema           not compared with what the steps make: .*permission denied to create",
      result.stdout)
    assert.is_nil(result.stdout:find "wrong +schema")
    result = support.ligase { "migrate", "verify", database = poor, workspace = workspace }
    assert.equal(0, result.code, result.stdout)
    assert.matches("schema +not compared with what the steps make: .*permission denied", result.stdout)
    own_conn:script(("DROP OWNED BY %s; DROP ROLE %s"):format(role, role))
  end)

  it("says what a script or setting of the lab's is wrong in", function()
    sys.mkdir(workspace .. "/migrations/phases", { parents = true })
    sys.write_file(workspace .. "/migrations/phases/dual_write.lua", "return nothing.at_all\n")
    assert.matches("dual_write.lua:1:", look().phases.message, 1, true)
    sys.remove_tree(workspace .. "/migrations")
    sys.mkdir(workspace .. "/recipes")
    sys.write_file(workspace .. "/recipes/panel.lua", "error 'it cannot be'\n")
    assert.matches("panel.lua:1: it cannot be", look().recipes.message, 1, true)
    sys.remove_tree(workspace .. "/recipes")
    local _, wrong = look()
    assert.same({}, wrong)
    local result = support.ligase { "doctor", "--json", workspace = workspace }
    assert.equal(1, result.code)
    assert.matches('"check":"postgres".-"state":"wrong"', result.stdout)
  end)

  it("tells a few findings of one check and counts the rest", function()
    local files = {}
    for i = 1, 8 do
      files[i] = support.tmpfile("lipid,a\nTG 48:0,1\n", ("many%d.csv"):format(i))
    end
    local ingested = support.ligase { "ingest", "--omics", "lipidomics", database = url, workspace = workspace,
      table.unpack(files) }
    assert.equal(0, ingested.code, ingested.stderr)
    conn:query "UPDATE measurements SET feature_key = 5 WHERE source_name = 'TG 48:0'"
    local told = support.ligase({ "doctor", database = url, workspace = workspace }).stdout
    assert.equal(5, select(2, told:gsub("with keys of no feature", "")), told)
    assert.matches("wrong  keys             and 3 more; all: ligase doctor --json\n", told, 1, true)
    local _, wrong = look()
    assert.equal(8, select(2, table.concat(wrong, " "):gsub("keys", "")))
    assert.is_true(tonumber(told:match "(%d+) things wrong") >= #wrong)
    assert.equal(0, support.ligase({ "rollback", "--batch", "last", database = url, workspace = workspace }).code)
    conn:query "DELETE FROM measurements WHERE source_name = 'TG 48:0'"
  end)

  it("gives the statement that validates a constraint", function()
    conn:query 'ALTER TABLE programs ADD CONSTRAINT "a b" CHECK (name <> \'never\') NOT VALID'
    assert.equal('ALTER TABLE programs VALIDATE CONSTRAINT "a b"', look().constraints.repair)
    conn:query 'ALTER TABLE programs DROP CONSTRAINT "a b"'
  end)

  it("goes on with what can be checked where a setting is wrong", function()
    sys.write_file(workspace .. "/.env", "SIGNATURE_OVERLAP_THRESHOLD=7\nENABLE_DUAL_WRIT=true\nNOTION_API_KEY='x\n")
    local found, wrong = look()
    assert.same({ "settings", "settings", "settings" }, wrong)
    assert.equal("ok", json.decode(support.ligase({ "doctor", "--json", database = url,
      workspace = workspace }).stdout).findings[4].state)
    assert.matches("SIGNATURE_OVERLAP_THRESHOLD is '7' (from .env:1)", found.settings.message, 1, true)
    local told = support.ligase({ "doctor", database = url, workspace = workspace }).stdout
    assert.matches("wrong  settings +unknown setting ENABLE_DUAL_WRIT %(.-%.env:2%)\n +Did you mean", told)
    assert.matches(".env:3)", told, 1, true)
    assert.matches("3 datasets, 6 rows", told, 1, true)

    -- Another database than the one that was meant is not looked at.
    sys.write_file(workspace .. "/.env", "POSTGRES_PORT=many\n")
    told = support.ligase({ "doctor", database = false, workspace = workspace }).stdout
    assert.matches("POSTGRES_PORT is 'many' (from .env:1)", told, 1, true)
    assert.matches("not looked at: the settings leave open which database is meant", told, 1, true)
    sys.remove(workspace .. "/.env")
  end)
end)
