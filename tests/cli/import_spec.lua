--- Old chemistry data out of real SQLite files, made by Python, into a real Postgres.
local pg = require "pg"
local support = require "tests.support"
local sys = require "sys"

local SCHEMA = [[
CREATE TABLE compounds (compound_id TEXT PRIMARY KEY, compound_name TEXT, smiles TEXT, inchi_key TEXT,
  molecular_formula TEXT, molecular_weight REAL, logp REAL, pubchem_cid INTEGER);
CREATE TABLE hts_campaigns (campaign_id INTEGER PRIMARY KEY, campaign_name TEXT, description TEXT, assay_type TEXT,
  target TEXT);
CREATE TABLE hts_results (result_id INTEGER PRIMARY KEY, compound_id TEXT, campaign_id INTEGER, plate TEXT,
  well_position TEXT, well_type TEXT, raw_value, normalized_value REAL, hit_flag INTEGER);
CREATE TABLE biochemical_results (result_id TEXT, compound_id TEXT, assay_name TEXT, target TEXT, ic50, ec50,
  units TEXT);
INSERT INTO compounds VALUES
  ('C1', 'aspirin', 'CC(=O)Oc1ccccc1C(=O)O', 'BSYNRYMUTXBXSQ-UHFFFAOYSA-N', 'C9H8O4', 180.16, 1.2, 2244),
  ('C2', 'caffeine', NULL, 'RYYVLZVUVIJVGH-UHFFFAOYSA-N', 'C8H10N4O2', 194.19, -0.1, 0);
INSERT INTO hts_campaigns VALUES (7, 'old screen', 'from 2019', 'biochemical', 'KIN1');
INSERT INTO hts_results VALUES
  (1, NULL, 7, 'P1', 'A1', 'positive', 50, NULL, 0), (2, NULL, 7, 'P1', 'A2', 'positive', 52, NULL, 0),
  (3, NULL, 7, 'P1', 'B1', 'negative', 1000, NULL, 0), (4, NULL, 7, 'P1', 'B2', 'negative', 1010, NULL, 0),
  (5, 'C1', 7, 'P1', 'C1', NULL, 300.5, 0.7, 1), (6, 'C2', 7, 'P1', 'C2', NULL, 'ND', 0.7, 1),
  (7, 'C9', 7, 'P1', 'C3', NULL, 700, 0.3, 1);
INSERT INTO biochemical_results VALUES ('r1', 'C1', 'KIN1 IC50', 'KIN1', '>10', NULL, 'uM'),
  ('r2', 'C2', 'KIN1 IC50', 'KIN1', 25.0, 100, 'nM');
]]

describe("ligase import sqlite", function()
  local conn, conninfo, workspace, path

  local function python(sql)
    support.python([[
import sqlite3, sys
c = sqlite3.connect(sys.argv[1])
c.executescript(sys.stdin.read())
c.commit()]], { path }, sql)
  end

  before_each(function()
    conn, conninfo = support.migrated()
    workspace = support.workspace()
    path = workspace .. "/chemistry.db"
    python(SCHEMA)
  end)

  local function import(...)
    return support.ligase { "import", "sqlite", path, database = conninfo, workspace = workspace, ... }
  end

  local function done(...)
    local result = import(...)
    assert.equal(0, result.code, result.stdout .. result.stderr)
    return result.stdout
  end

  local function count(name)
    return conn:query("SELECT count(*) AS n FROM " .. name)[1].n
  end

  local TABLES = { "compounds", "screening_campaigns", "screening_results", "screening_revisions", "screening_plates",
    "programs" }

  it("takes over compounds, campaigns and results in one run", function()
    local said = done("--map", "recipes/chemistry_sqlite.lua")
    assert.matches("compounds compounds: 2 rows, 2 new", said)
    assert.matches("campaign old screen: revision 1, 7 results", said)
    assert.matches("3 compounds named: 2 known, 1 unknown and kept as text (C9;", said, 1, true)
    assert.matches("1 cells that are no numbers, kept as text: ND (rowid 6)", said, 1, true)
    assert.matches("no hits are called", said) -- whatever hit_flag says
    assert.equal(1, count "runs")
    local run = conn:query "SELECT * FROM runs"[1]
    assert.same({ "import sqlite", "chemistry_sqlite", "done" }, { run.command, run.recipe, run.outcome })
    local aspirin = conn:query "SELECT * FROM compounds WHERE code = 'C1'"[1]
    assert.same({ "aspirin", 180.16, 2244, "C9H8O4" }, { aspirin.name, aspirin.molecular_weight, aspirin.pubchem_cid,
      aspirin.formula })
    assert.same({ logp = 1.2 }, aspirin.attributes)
    assert.same({ chemistry_sqlite = "C1" }, aspirin.external_ids)
    assert.equal(pg.null, conn:query "SELECT pubchem_cid FROM compounds WHERE code = 'C2'"[1].pubchem_cid) -- was 0
    local row = conn:query "SELECT * FROM campaign_results WHERE well = 'C01'"[1]
    assert.same({ "C1", 300.5, "P1", "sample", pg.null }, { row.compound_code, row.value, row.plate, row.role,
      row.is_hit })
    assert.same({ ["6"] = "0.7", ["7"] = "1" }, row.cells)
    local potency = conn:query [[
SELECT * FROM campaign_results WHERE campaign = 'KIN1 IC50' AND measure = 'ic50' ORDER BY ordinal]]
    assert.same({ ">", 1e-5, "M" }, { potency[1].relation, potency[1].value, potency[1].unit })
    assert.equal(2.5e-8, potency[2].value)
    local plate = conn:query "SELECT z_prime FROM campaign_plates"[1]
    assert.near(1 - 3 * (math.sqrt(2) + math.sqrt(50)) / 954, plate.z_prime, 1e-12)
  end)

  it("changes nothing when it is done again, also after the file was rewritten", function()
    done()
    local before = {}
    local function digest(name)
      return conn:query(("SELECT md5(string_agg(t::text, ' ' ORDER BY t::text)) AS d FROM %s AS t"):format(name))[1].d
    end
    for _, name in ipairs(TABLES) do
      before[name] = digest(name)
    end
    python "CREATE TABLE scratch (v); INSERT INTO scratch VALUES (1); VACUUM;" -- other bytes, the same content
    assert.matches("chemistry.db: unchanged", done(), 1, true)
    assert.equal("unchanged", conn:query "SELECT outcome FROM runs ORDER BY started_at DESC LIMIT 1"[1].outcome)
    for _, name in ipairs(TABLES) do
      assert.equal(before[name], digest(name), name)
    end
  end)

  it("takes over what changed, and only that", function()
    done()
    python [[
UPDATE compounds SET logp = 3.5 WHERE compound_id = 'C2';
UPDATE hts_results SET raw_value = 90 WHERE result_id = 7;]]
    local said = done()
    assert.matches("compounds: 2 rows, 0 new, 1 changed, 1 unchanged", said)
    assert.matches("campaign old screen: revision 2", said)
    assert.matches("campaign KIN1 IC50: unchanged %(revision 1%)", said)
  end)

  it("keeps what a campaign declares meanwhile", function()
    done()
    support.ligase { "campaign", "update", "old screen", "--direction", "inhibition", "--hit-rule", "percent >= 50",
      database = conninfo, workspace = workspace }
    assert.matches("campaign old screen: unchanged %(revision 2%)", done())
    assert.equal(1, conn:query "SELECT hit_count FROM campaign_overview WHERE name = 'old screen'"[1].hit_count)
  end)

  it("lists rows that cannot be taken over with table and rowid, and stores nothing", function()
    python [[
INSERT INTO compounds (rowid, compound_id, inchi_key) VALUES (31, 'C3', 'not a key');
INSERT INTO compounds (rowid, compound_id, compound_name) VALUES (32, NULL, 'nameless');
INSERT INTO hts_results VALUES (40, 'C1', 99, 'P1', 'D1', NULL, 1, NULL, 0),
  (41, 'C1', 7, 'P1', 'XX9', NULL, 1, NULL, 0), (42, 'C1', 7, 'P1', 'C1', NULL, 1, NULL, 0),
  (43, 'C1', 7, 'P1', 'D2', 'HPE', 1, NULL, 0),
  (44, 'C1', 7, 'P1', 'D3', NULL, x'00ff', NULL, 0);]]
    local result = import()
    assert.equal(1, result.code)
    for _, line in ipairs { "chemistry.db: 7 rows cannot be taken over", "compounds rowid 31: ",
      "compounds rowid 32: its key, compound_id, is empty", "hts_results rowid 40: there is no campaign '99'",
      "hts_results rowid 41: 'XX9' is no well",
      "hts_results rowid 42: well C01 of plate 'P1' stands twice, first in rowid 5",
      "hts_results rowid 43: nobody knows the role 'HPE'", "hts_results rowid 44: raw_value: it is a blob",
      "--leave-out" } do
      assert.matches(line, result.stderr, 1, true)
    end
    for _, name in ipairs(TABLES) do
      assert.equal(0, count(name), name)
    end
    assert.equal("failed", conn:query "SELECT outcome FROM runs"[1].outcome)
    local said = done "--leave-out"
    assert.matches("left out: 7 rows", said)
    assert.matches("hts_results rowid 43: nobody knows the role 'HPE'", said, 1, true)
    assert.same({ 2, 10 }, { count "compounds", count "screening_results" })
    assert.matches("unchanged", done "--leave-out")
  end)

  it("writes nothing in a dry run", function()
    assert.matches("would be taken over %(dry run%)", done "--dry-run")
    for _, name in ipairs(TABLES) do
      assert.equal(0, count(name), name)
    end
    assert.equal(0, count "runs")
  end)

  it("goes by a map of one's own, with functions", function()
    python [[
CREATE TABLE stoffe (nr INTEGER PRIMARY KEY, bez TEXT, projekt TEXT);
INSERT INTO stoffe VALUES (1, 'Coffein', 'ALS'), (2, 'test', NULL), (3, 'Aspirin', NULL);
CREATE TABLE werte (stoff INTEGER, pos TEXT, lum REAL, assay TEXT);
INSERT INTO werte VALUES (1, 'A1', 5, 'a'), (3, 'A2', 9, 'a'), (NULL, 'H1', 1, 'a');]]
    sys.mkdir(workspace .. "/recipes")
    sys.write_file(workspace .. "/recipes/german.lua", [[
local sqlite_map = require "ligase.intake.sqlite_map"
return sqlite_map.map {
  system = "lims",
  compounds = { { table = "stoffe", key = "nr", columns = { name = "bez", programs = "projekt" },
    change = function(fields, row)
      if row.bez == "test" then return false end
      fields.code = ("S-%03d"):format(row.nr)
    end } },
  results = { { table = "werte", campaign = "assay", compound = "stoff", make_campaigns = true, unit = "RLU",
    columns = { well = "pos", value = "lum" },
    change = function(row)
      row.assay = "Assay " .. row.assay
      return row
    end } },
  controls = { negative = { "row H" } },
}]])
    local result = import("--map", "german")
    assert.equal(1, result.code)
    assert.matches("stoffe rowid 1: there is no program 'ALS'", result.stderr, 1, true)
    done("--map", "german", "--create")
    local rows = conn:query "SELECT code, name, external_ids FROM compounds ORDER BY code"
    assert.same({ { code = "S-001", name = "Coffein", external_ids = { lims = "1" } },
      { code = "S-003", name = "Aspirin", external_ids = { lims = "3" } } }, { rows[1], rows[2] })
    rows = conn:query "SELECT campaign, compound_code, role, unit FROM campaign_results ORDER BY ordinal"
    assert.same({ campaign = "Assay a", compound_code = "S-001", role = "sample", unit = "RLU" }, rows[1])
    assert.equal("negative", rows[3].role)
    assert.matches("unchanged", done("--map", "german"))
  end)

  it("says what is wrong with a map, and where", function()
    sys.mkdir(workspace .. "/recipes")
    local function refused(code, why, text)
      sys.write_file(workspace .. "/recipes/m.lua", 'return require("ligase.intake.sqlite_map").map {' .. text .. "}")
      local result = import("--map", "m")
      assert.equal(code, result.code, result.stdout .. result.stderr)
      assert.matches(why, result.stderr, 1, true)
    end
    refused(2, "Did you mean 'compounds'?", "compound = {}")
    refused(2, "compounds[1]: there is no field 'smile'. Did you mean 'smiles'?",
      "compounds = { { table = 't', key = 'k', columns = { smile = 'x' } } }")
    refused(2, "compounds[1]: option 'key' is missing", "compounds = { { table = 't', columns = {} } }")
    refused(2, "results[1]: no column holds results", "results = { { table = 't', campaign = 'c', columns = {} } }")
    refused(1, "there is no table 'compoundz'. Did you mean 'compounds'?",
      "compounds = { { table = 'compoundz', key = 'k', columns = { name = 'x' } } }")
    refused(1, "table 'compounds' has no column 'nme'",
      "compounds = { { table = 'compounds', key = 'compound_id', columns = { name = 'nme' } } }")
    refused(2, "m.lua: change of table compounds failed", "compounds = { { table = 'compounds', key = 'compound_id', "
      .. "columns = { name = 'compound_name' }, change = function(f) return f.x.y end } }")
    local result = import("--map", "compounds")
    assert.equal(2, result.code)
    assert.matches("the file returns no map", result.stderr)
    result = support.ligase { "ingest", "--recipe", "chemistry_sqlite", path, database = conninfo,
      workspace = workspace }
    assert.equal(2, result.code)
    assert.matches("ligase import sqlite FILE --map MAP", result.stderr, 1, true)
  end)

  it("refuses what is no SQLite file", function()
    sys.write_file(path, ("not a database "):rep(100))
    local result = import()
    assert.equal(1, result.code)
    assert.matches("chemistry.db: SQLite: file is not a database", result.stderr, 1, true)
    path = workspace .. "/none.db"
    result = import()
    assert.equal(1, result.code)
    assert.matches("none.db: there is no such file", result.stderr, 1, true)
    result = support.ligase { "import", "csv", path, database = conninfo, workspace = workspace }
    assert.equal(2, result.code)
    assert.matches("It is one of: sqlite", result.stderr)
  end)
end)
