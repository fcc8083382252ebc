local entity_recipe = require "ligase.intake.entity_recipe"
local errors = require "ligase.base.errors"
local inputs = require "ligase.io.inputs"
local recipes = require "ligase.omics.recipes"
local support = require "tests.support"

local conn

before_each(function()
  conn = support.migrated()
end)

local function store_file(recipe, path, options)
  local own = { command = "ingest", recipe = recipe, dialect = {}, set = {} }
  for key, value in pairs(options or {}) do
    own[key] = value
  end
  local source <close> = inputs.open(path)
  return recipe.store(conn, source, own)
end

local function store(name, text, options)
  return store_file(recipes.load_any(name), support.tmpfile(text, "rows.csv"), options)
end

local function refused(pattern, ...)
  local done, failure = pcall(store, ...)
  assert.is_false(done, "it was not refused")
  assert.is_true(errors.is(failure), tostring(failure))
  assert.matches(pattern, tostring(failure))
  return failure
end

local function count(tbl)
  return conn:query("SELECT count(*) AS n FROM " .. tbl)[1].n
end

local function one(sql, ...)
  return conn:query(sql, ...)[1]
end

describe("a file of programs", function()
  local TEXT = "Program,Indication,Summary,external_ids.benchling\nALS,ALS; FTD|MND,Motor neurons,prj_1\nAgeing,,,\n"

  it("makes them in one transaction with one run", function()
    local report = store("programs", TEXT)
    assert.same({ "done", 2, 2 }, { report.outcome, report.counts.created, report.counts.rows })
    local row = one "SELECT * FROM programs WHERE name = 'ALS'"
    assert.same({ { "ALS", "FTD", "MND" }, "Motor neurons", "prj_1" },
      { row.disease, row.description, row.external_ids.benchling })
    local run = one "SELECT * FROM runs"
    assert.same({ "ingest", "programs", "done", 2 }, { run.command, run.recipe, run.outcome, #run.changes })
    assert.equal(64, #run.arguments.sha256)
    assert.matches("disease from \"Indication\"", report.lines[1][2])
  end)

  it("that comes again is unchanged, and so are its entities", function()
    store("programs", TEXT)
    local before = one "SELECT updated_at FROM programs WHERE name = 'ALS'"
    local report = store("programs", TEXT)
    assert.same({ "unchanged", 2, "unchanged (2 programs)" },
      { report.outcome, report.counts.unchanged, report.headline })
    assert.same(before, one "SELECT updated_at FROM programs WHERE name = 'ALS'")
    assert.equal("unchanged", one("SELECT outcome FROM runs WHERE id = $1", report.run_id).outcome)
  end)

  it("changes those that are there by name or id; an empty cell leaves what is there", function()
    store("programs", TEXT)
    local id = one("SELECT id FROM programs WHERE name = 'Ageing'").id
    local report = store("programs", ("id,name,summary,disease\n,ALS,,ALS\n%s,Ageing well,x,\n"):format(id:upper()))
    assert.same({ 0, 2 }, { report.counts.created, report.counts.updated })
    local row = one "SELECT * FROM programs WHERE name = 'ALS'"
    assert.same({ { "ALS" }, "Motor neurons" }, { row.disease, row.description })
    assert.equal("Ageing well", one("SELECT name FROM programs WHERE id = $1", id).name)
  end)

  it("is rehearsed without a trace", function()
    local report = store("programs", TEXT, { dry_run = true })
    assert.same({ "done", 2 }, { report.outcome, report.counts.created })
    assert.same({ 0, 0 }, { count "programs", count "runs" })
  end)

  it("with a bad row is refused with its place, and nothing is written", function()
    local failure = refused("rows.csv:3:1", "programs", "name,external_ids.x\nA,1\n\"B\nC\",2\nD,3\n")
    assert.matches("control", failure.message)
    refused("there is no program with the id", "programs", "id,name\n0190d7a3-0000-7000-8000-000000000000,A\n")
    failure = refused("'A' stands twice, first on line 2", "programs", "name\nA\nB\nA\n")
    assert.same({ "input", 4, 1 }, { failure.kind, failure.line, failure.column })
    refused("there is no column for name", "programs", "what\nA\n")
    refused("have no programs", "programs", TEXT, { programs = { "A" } })
    assert.same({ 0, 0 }, { count "programs", count "runs" })
  end)
end)

describe("a file of experiments", function()
  local TEXT = "Experiment;Projects;Type;Matrix;Model systems;Groups;Design\n"
    .. "Mouse 7;ALS | Ageing;in_vivo;plasma|CSF;SOD1-G93A;case=m1,m2| control=m3;\"time=0 h, 4 h\"\n"

  it("links them to many programs, by name or id elsewhere", function()
    conn:query [[INSERT INTO programs (id, name, external_ids) VALUES (gen_random_uuid(), 'ALS', '{}'),
      (gen_random_uuid(), 'Growing old', '{"elab": "Ageing"}')]]
    local text = TEXT:gsub("| control", "; control"):gsub("case=m1,m2; control=m3", '"%0"')
    store("experiments", text)
    local row = one "SELECT e.*, p.name AS main FROM experiments AS e JOIN programs AS p ON p.id = e.program_id"
    assert.same({ "ALS", "in_vivo", { "plasma", "CSF" }, { "SOD1-G93A" }, "0 h, 4 h" },
      { row.main, row.experiment_type, row.matrix, row.model_systems, row.design.time })
    assert.same({ "m1", "m2" }, setmetatable(row.sample_groups.case, nil))
    assert.equal("Growing old", one([[
SELECT p.name FROM program_experiments AS l JOIN programs AS p ON p.id = l.program_id]]).name)
    assert.equal("unchanged", store("experiments", text).outcome)
  end)

  it("refuses unknown programs with the nearest names, or makes them", function()
    store("programs", "name\nSporadic ALS\n")
    local text = "name,program\nE1,Sporadic ALS\nE2,sporadic ASL\nE3,Nobody\n"
    local failure = refused("rows.csv:3:2: there is no program 'sporadic ASL'", "experiments", text)
    assert.matches("also line 4: there is no program 'Nobody'", failure.detail)
    assert.matches("Did you mean 'Sporadic ALS'%? To make it: %-%-create", failure.hint)
    assert.equal(0, count "experiments")
    store("experiments", text, { create = true })
    assert.same({ 3, 3 }, { count "experiments", count "programs" })
  end)

  it("belong to what is said for all, unless a row says otherwise", function()
    store("programs", "name\nA\nB\n")
    store("experiments", "name,program\nE1,\nE2,B\n", { programs = { "A" } })
    assert.equal("A,B", one([[SELECT string_agg(p.name, ',' ORDER BY e.name) AS names
      FROM experiments AS e JOIN programs AS p ON p.id = e.program_id]]).names)
  end)
end)

describe("a file of compounds", function()
  local TEXT = "Compound ID;Compound name;CAS;InChIKey;SMILES;MW;CID;ChEMBL\n"
    .. "C-1;aspirin;50-78-2;BSYNRYMUTXBXSQ-UHFFFAOYSA-N;CC(=O)Oc1ccccc1C(=O)O;180,16;2244;CHEMBL25\n"
    .. "C-2;ASA;;InChIKey=BSYNRYMUTXBXSQ-UHFFFAOYSA-N;;180,16;;\n"
    .. "C-3;;58-08-2;;;194,19;;\n"

  it("is stored with its identifiers; what shares an InChIKey is reported", function()
    local report = store("compounds", TEXT)
    local row = one "SELECT * FROM compounds WHERE code = 'C-1'"
    assert.same({ "aspirin", "50-78-2", 180.16, 2244, "CHEMBL25" },
      { row.name, row.cas_number, row.molecular_weight, row.pubchem_cid, row.chembl_id })
    assert.equal("C-3", one("SELECT name FROM compounds WHERE code = 'C-3'").name)
    assert.equal("2 compounds have the InChIKey BSYNRYMUTXBXSQ-UHFFFAOYSA-N: C-1 aspirin, C-2 ASA",
      report.lines[#report.lines][2])
    report = store("compounds", "code,inchikey\nC-9,BSYNRYMUTXBXSQ-UHFFFAOYSA-N\n")
    assert.matches("3 compounds have the InChIKey", report.lines[#report.lines][2])
  end)

  it("is known again by code; one without by name, when that is one compound's", function()
    store("compounds", TEXT)
    local report = store("compounds", "code,name\nC-1,acetylsalicylic acid\n")
    assert.equal(1, report.counts.updated)
    assert.equal(1, store("compounds", "name,description\nASA,old name\n").counts.updated)
    conn:query "UPDATE compounds SET name = 'x' WHERE code IN ('C-1', 'C-2')"
    assert.matches("may be any of 2", refused("rows.csv:2:1", "compounds", "name,description\nx,y\n").message)
    refused("'y' stands twice", "compounds", "name\ny\ny\n")
    refused("the compound has no name", "compounds", "smiles\nCCO\n")
  end)

  it("with wrong identifiers is refused, each with its place", function()
    local failure = refused("rows.csv:2:2: cas_number '50%-78%-3': the check digit", "compounds",
      "code,cas,inchikey\nC-1,50-78-3,\nC-2,,BSYN\n")
    assert.matches("also line 3: inchi_key 'BSYN': it is no InChIKey", failure.detail)
    refused("no ChEMBL id", "compounds", "code,chembl\nC-1,25\n")
    refused("whole number", "compounds", "code,cid\nC-1,2244.5\n")
    assert.equal(0, count "compounds")
  end)

  it("of a real search of a spectral library is refused as it is, and read by a recipe that mends it", function()
    local path = support.need_shared "metabolomics/fbmn_stats__GNPS_result_FBMN.tsv"
    local done, failure = pcall(store_file, recipes.load_any "compounds", path, { set = { SpectrumID = "code" } })
    assert.is_false(done)
    assert.same({ 3, 12 }, { failure.line, failure.column }) -- a CAS number without its hyphens
    local doubtful = true
    local recipe = recipes.adopt(entity_recipe.recipe {
      entity = "compound",
      columns = { code = { "file scan unique id" }, name = { "compound name" }, smiles = {}, inchi_key = {},
        exact_mass = {}, ["attributes.superclass"] = { "superclass" } },
      change = function(fields, cells)
        local digits = cells.cas_number
        fields.inchi = nil
        digits = digits and digits:find("^%d%d%d%d%d+$") and digits:gsub("(%d%d)(%d)$", "-%1-%2") or nil
        fields.cas_number = (doubtful or digits ~= "2114-45-4") and digits or nil
        fields.exact_mass = tonumber(cells.exact_mass) ~= 0 and cells.exact_mass or nil
        fields.smiles = fields.smiles and not fields.smiles:find " " and fields.smiles or nil
        return fields
      end,
    }, path, "a recipe")
    done, failure = pcall(store_file, recipe, path, { set = { CAS_Number = "cas_number" } })
    assert.is_false(done) -- camptothecin has another number, 7689-03-4
    assert.matches("after 2114%-45 comes 6, not 4", failure.message)
    doubtful = false
    local report = store_file(recipe, path, { set = { CAS_Number = "cas_number" } })
    assert.equal(260, report.counts.created)
    assert.equal("84-66-2",
      one("SELECT cas_number FROM compounds WHERE inchi_key = 'FLKPEMZONWLCSK-UHFFFAOYSA-N' LIMIT 1").cas_number)
    assert.equal(260, store_file(recipe, path, { set = { CAS_Number = "cas_number" } }).counts.unchanged)
  end)
end)

describe("a recipe for entities", function()
  it("is checked when it is defined", function()
    local function refuse(pattern, definition)
      local done, failure = pcall(entity_recipe.recipe, definition)
      assert.is_false(done)
      assert.matches(pattern, tostring(failure))
    end
    refuse("no kind of entity", { entity = "progam", columns = {} })
    refuse("a program has no field 'nam'", { entity = "program", columns = { nam = {} } })
    refuse("the words for name are a string", { entity = "program", columns = { name = "title" } })
    refuse("unknown option 'colums'", { entity = "program", colums = {} })
  end)

  it("is no recipe for datasets", function()
    local done, failure = pcall(recipes.load, "compounds")
    assert.is_false(done)
    assert.matches("reads compounds, not datasets. Read such a file with: ligase run compounds FILE", tostring(failure))
    for _, recipe in ipairs(recipes.all()) do
      assert.is_string(recipe.omics)
    end
  end)
end)
