local host = require "host"
local json = require "ligase.base.json"
local ledger = require "tests.faults.ledger"
local pg = require "pg"
local support = require "tests.support"
local sys = require "sys"

local conn, url

before_each(function()
  conn, url = support.migrated()
end)

local function run(words)
  words.database = url
  return support.ligase(words)
end

local function output(...)
  local result = run { ... }
  assert.equal(0, result.code, result.stderr)
  return result.stdout
end

local function refused(status, pattern, ...)
  local result = run { ... }
  assert.equal(status, result.code, result.stdout .. result.stderr)
  assert.matches(pattern, result.stderr)
end

local function one(sql)
  return conn:query(sql)[1]
end

describe("ligase program", function()
  it("makes, changes, lists, shows and deletes", function()
    assert.matches("^program ALS: made %(%x+%-", output("program", "create", "ALS", "--disease", "ALS; FTD",
      "--disease", "MND", "--external-id", "benchling=prj_1", "--external-id", "elab=7"))
    assert.same({ "ALS", "FTD", "MND" }, one("SELECT disease FROM programs").disease)
    assert.matches("changed", output("program", "update", "prj_1", "--name", "Motor neurons", "--external-id", "elab=",
      "--description", "two words"))
    assert.matches("unchanged", output("program", "update", "prj_1", "--description", "two words"))
    assert.same({ benchling = "prj_1" }, one("SELECT external_ids FROM programs").external_ids)
    assert.matches("name +disease +experiments +datasets +id", output("program", "list"))
    assert.matches("Motor neurons,ALS; FTD; MND,0,0,", output("program", "list", "--format", "csv"), 1, true)
    assert.matches("description +two words\n", output("program", "show", "Motor neurons"))
    assert.equal("two words", json.decode(output("program", "show", "prj_1", "--format", "json")).description)
    assert.matches("description +%-\n", output("program", "update", "prj_1", "--description", "")
      and output("program", "show", "prj_1"))
    assert.matches("deleted", output("program", "delete", "Motor neurons"))
    assert.equal(0, one("SELECT count(*) AS n FROM programs").n)
    local commands = conn:query "SELECT DISTINCT command FROM runs ORDER BY 1"
    assert.same({ "program create", "program delete", "program update" },
      { commands[1].command, commands[2].command, commands[3].command })
  end)

  it("refuses what is misused", function()
    output("program", "create", "ALS")
    refused(2, "there is a program 'ALS' already", "program", "create", "ALS")
    refused(2, "'program create' takes one word, its name", "program", "create")
    refused(2, "it is not said what to change", "program", "update", "ALS")
    refused(2, "there is no program 'ASL'. Did you mean 'ALS'", "program", "show", "ASL")
    refused(2, "there is no option '%-%-diseas'. Did you mean '%-%-disease'", "program", "create", "X", "--diseas", "x")
    refused(2, "%-%-external%-id x is no KEY=VALUE", "program", "create", "X", "--external-id", "x")
    refused(2, "the action cannot be 'delet'. Did you mean 'delete'", "program", "delet", "ALS")
  end)
end)

describe("deleting while somebody else links", function()
  it("is refused once the link is there", function()
    output("program", "create", "ALS")
    conn:begin()
    conn:query "INSERT INTO experiments (id, name, program_id) SELECT gen_random_uuid(), 'E', id FROM programs"
    local said = support.tmpfile("", "said")
    local deleting <close> = sys.spawn({ host.executable, "program", "delete", "ALS" }, { env = { POSTGRES_URL = url },
      stdout = "null", stderr = said })
    local watcher <close> = pg.connect(url) -- in a transaction one sees the same activity again and again
    assert.is_truthy(ledger.wait_until_blocked(watcher))
    conn:commit()
    assert.equal(2, deleting:wait(20).code)
    assert.matches("others refer to it %(1 experiment: E%)", sys.read_file(said))
    assert.equal(1, one("SELECT count(*) AS n FROM programs").n)
  end)
end)

describe("ligase experiment", function()
  it("links to programs, which are made only when that is said", function()
    output("program", "create", "ALS")
    refused(2, "there is no program 'Ageing'.*To make it: %-%-create", "experiment", "create", "E", "--program", "ALS",
      "--program", "Ageing")
    output("experiment", "create", "E", "--program", "ALS", "--program", "Ageing", "--create", "--type", "in_vivo",
      "--matrix", "plasma", "--sample-groups", "case=a,b; control=c", "--design", "dose=1 mM")
    assert.matches("programs +ALS; Ageing\n", output("experiment", "show", "E"))
    assert.matches("\nE,\"?ALS, Ageing", output("experiment", "list", "--program", "Ageing", "--format", "csv"))
    assert.equal("name,programs,type,disease,matrix,stage,datasets,id\n",
      output("experiment", "create", "F") and output("program", "create", "None")
      and output("experiment", "list", "--program", "None", "--format", "csv"))
    refused(2, "the program 'Ageing' cannot be deleted: others refer to it %(1 experiment: E%)", "program", "delete",
      "Ageing")
    output("experiment", "update", "E", "--program", "")
    output("program", "delete", "Ageing")
  end)
end)

describe("ligase compound", function()
  it("goes by its code, and tells what shares an InChIKey", function()
    local key = "BSYNRYMUTXBXSQ-UHFFFAOYSA-N"
    output("compound", "create", "C-1", "--name", "aspirin", "--cas", "50-78-2", "--inchi-key", key, "--pubchem",
      "2244", "--smiles", "CC(=O)Oc1ccccc1C(=O)O", "--attribute", "vendor=Acme")
    local said = output("compound", "create", "C-2", "--inchi-key", key)
    assert.matches("^compound C%-2: made", said)
    assert.matches("doubt    2 compounds have the InChIKey " .. key .. ": C-1 aspirin, C-2", said, 1, true)
    assert.matches("same inchi key +C%-2\n", output("compound", "show", "50-78-2"))
    refused(2, "cas_number '50%-78%-3': the check digit", "compound", "create", "C-3", "--cas", "50-78-3")
    refused(2, "may be any of 2 compounds", "compound", "show", key)
    assert.equal(2, one("SELECT count(*) AS n FROM compounds").n)
  end)
end)

describe("ligase dataset", function()
  it("changes what is said of a dataset, and deletes its data only when asked", function()
    local path = support.tmpfile("lipid,a\nPC 34:1,1\nPC 36:2,2\n", "panel.csv")
    output("ingest", path, "--program", "ALS", "--create")
    output("dataset", "update", "panel", "--program", "ALS", "--program", "Ageing", "--experiment", "E", "--create",
      "--disease", "ALS")
    assert.matches("program +ALS; Ageing\nexperiment +E\n", output("show", "panel"))
    assert.matches("\npanel,", output("datasets", "--program", "Ageing", "--format", "csv"))
    assert.matches("\npanel,", output("datasets", "--experiment", "E", "--format", "csv"))
    output("program", "create", "None")
    assert.not_matches("panel", output("datasets", "--program", "None", "--format", "csv"))
    refused(2, "there is no program 'Agein'. Did you mean 'Ageing'", "datasets", "--program", "Agein")
    assert.matches("ALS", output("dataset", "show", "lipidomics/panel"))
    refused(2, "the dataset 'panel' holds data: 2 rows.*%-%-with%-data", "dataset", "delete", "panel")
    assert.matches("deleted", output("dataset", "delete", "panel", "--with-data"))
    assert.equal(0, one([[SELECT (SELECT count(*) FROM datasets) + (SELECT count(*) FROM measurements)
      + (SELECT count(*) FROM revisions) + (SELECT count(*) FROM program_datasets) AS n]]).n)
    assert.matches("new dataset", output("ingest", path))
  end)
end)

describe("files of entities", function()
  it("come by ingest --recipe and by run, and say what became of them", function()
    local programs = support.tmpfile("Program,Indication,Owner\nALS,ALS,ann\nAgeing,,\n", "programs.csv")
    local said = output("ingest", "--recipe", "programs", programs)
    assert.matches("programs.csv: 2 programs: 2 new, 0 changed, 0 unchanged\n", said)
    assert.matches('  columns  name from "Program", disease from "Indication"\n  left out "Owner"\n', said)
    assert.matches("programs.csv: unchanged %(2 programs%)\n$", output("run", "programs", programs))
    local compounds = support.tmpfile("code,name\nC-1,aspirin\n", "compounds.csv")
    assert.matches("%(dry run%)", output("run", "compounds", compounds, "--dry-run"))
    assert.equal(0, one("SELECT count(*) AS n FROM compounds").n)
    output("run", "compounds", compounds, "--program", "ALS")
    assert.equal(1, one("SELECT count(*) AS n FROM program_compounds").n)
    assert.matches("compound", output("runs"))
  end)

  it("go on after a bad one, which is journalled", function()
    local good = support.tmpfile("name\nALS\n", "good.csv")
    local bad = support.tmpfile("name\nAgeing\n\"a\nb\"\n", "bad.csv")
    local result = run { "ingest", "--recipe", "programs", bad, good, "/nowhere/x.csv" }
    assert.equal(1, result.code)
    assert.matches("bad.csv:3:1: name 'a\\nb': it holds control characters", result.stderr)
    assert.matches("3 files: 1 done, 2 failed\n$", result.stdout)
    assert.equal(1, one("SELECT count(*) AS n FROM programs").n)
    assert.equal(3, one("SELECT count(*) AS n FROM runs").n)
    assert.matches("control", one("SELECT error FROM runs WHERE outcome = 'failed' ORDER BY id LIMIT 1").error.message)
  end)

  it("come on standard input, and by a recipe of the workspace", function()
    local workspace = support.workspace()
    os.execute("mkdir -p '" .. workspace .. "/recipes'")
    local file <close> = assert(io.open(workspace .. "/recipes/ours.lua", "w"))
    file:write([[
return require("ligase.intake.entity_recipe").recipe { entity = "program", columns = { name = { "what" } } }]])
    file:close()
    local result = run { "run", "ours", "-", stdin = "what\nALS\n", workspace = workspace }
    assert.equal(0, result.code, result.stderr)
    assert.equal("ALS", one("SELECT name FROM programs").name)
    result = run { "recipes/ours.lua", "-", stdin = "what\nAgeing\n", workspace = workspace }
    assert.equal(0, result.code, result.stderr)
    assert.equal(2, one("SELECT count(*) AS n FROM programs").n)
  end)

  it("take no options that are for datasets", function()
    local path = support.tmpfile("name\nALS\n", "p.csv")
    refused(2, "%-%-jobs is for datasets, and programs are none", "run", "programs", "--jobs", "2", path)
    refused(2, "%-%-omics and %-%-recipe both", "ingest", "--omics", "lipidomics", "--recipe", "programs", path)
    refused(2, "reads programs, not datasets", "ingest", "--omics", "programs", path)
    refused(2, "FILE is missing", "run", "programs")
  end)
end)
