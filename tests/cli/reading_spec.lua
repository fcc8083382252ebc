--- datasets, show, export and runs.
local support = require "tests.support"
local sys = require "sys"

local FIRST = 'lipid,note,a,b\nPC 34:1,"x, ""y""",1.50,<LOD\n=PC 36:2,,-2e-3,7\nPC 34:1,z,0.1,\nPC 34:2,z,0,8\n'
local SECOND = "lipid,note,a,b\nPC 34:1,x,1,2\n"

local conn, url

setup(function()
  local _
  conn, url = support.migrated()
  local path = support.tmpfile(FIRST, "plasma.csv")
  _ = support.ligase { "ingest", path, "--program", "ALS", "--create", database = url }
  sys.write_file(path, SECOND)
  _ = support.ligase { "ingest", path, database = url }
  _ = support.ligase { "ingest", support.tmpfile("lipid,c\nTG 52:2,1\n", "plasmalogens.csv"), database = url }
  -- The same name in another omics type.
  conn:query [[INSERT INTO datasets (id, omics_type, name) VALUES (gen_random_uuid(), 'proteomics', 'plasma')]]
end)

local function run(words)
  words.database = url
  return support.ligase(words)
end

local function output(words)
  local result = run(words)
  assert.equal(0, result.code, result.stderr)
  assert.equal("", result.stderr)
  return result.stdout
end

describe("ligase datasets", function()
  it("lists them with their figures", function()
    local listed = output { "datasets" }
    assert.matches("name +omics +program +revision +rows", listed)
    assert.matches("plasma +lipidomics +ALS +2 +1 +1 +2 +2 ", listed)
    assert.matches("%(3 rows%)", listed)
    assert.equal(2, select(2, output({ "datasets", "--omics", "lipidomics", "--format", "jsonl" }):gsub("\n", "")))
    assert.matches("^name,omics,program", output({ "datasets", "--format", "csv" }))
  end)
end)

describe("ligase show", function()
  it("shows revisions, details, columns", function()
    local shown = output { "show", "lipidomics/plasma", "--columns" }
    assert.matches("program +ALS", shown)
    assert.matches("\n  1  [^\n]+", shown)
    assert.matches("\n%* 2  [^\n]+", shown)
    assert.matches("\n1  lipid +feature +text", shown)
    assert.matches("\n2  note +annotation +text", shown)
    assert.matches("\n3  a +sample +number", shown)
  end)

  it("shows the format, what is flagged, what is known of samples, and what the file told", function()
    local groups = "Protein IDs\tMajority protein IDs\tLFQ intensity A\tIntensity A\tReverse\tPotential contaminant\n"
      .. "P04637\tP04637\t1\t2\t\t\nCON__P00761\tCON__P00761\t3\t4\t\t+\n"
    local path = support.tmpfile(groups, "groups.txt")
    local samples = support.tmpfile("sample\tgroup\tdose\nA\tcase\t5\n", "s.tsv")
    local ingested = output { "ingest", path, "--samples", samples }
    assert.matches("; 1 sample: A; ", ingested)
    local shown = output { "show", "groups", "--columns", "--about" }
    assert.matches("  proteomics  maxquant  tab, UTF%-8", shown)
    assert.matches('\nflagged rows:\n.*  contaminant: "%+" in "Potential contaminant"\n', shown)
    assert.matches('\n  contaminant: "CON__%.%.%." in the names\n', shown)
    assert.matches("\n3  LFQ intensity A +sample +number +%- +dose = 5; group = case\n", shown)
    assert.matches("\nThe file told nothing beside its table%.\n$", shown)
    path = support.tmpfile("#METABOLOMICS WORKBENCH STUDY_ID:ST1 ANALYSIS_ID:AN1\nVERSION\t1\nCREATED_ON\tx\n#PROJECT\n"
      .. "PR:PROJECT_TITLE\tours\n#SUBJECT_SAMPLE_FACTORS:\tSUBJECT(optional)[tab]SAMPLE[tab]FACTORS(NAME:VALUE pairs "
      .. "separated by |)[tab]Additional sample data\nSUBJECT_SAMPLE_FACTORS\t-\tS1\tDiet:fat\t\n#MS_METABOLITE_DATA\n"
      .. "MS_METABOLITE_DATA:UNITS\tarea\nMS_METABOLITE_DATA_START\nSamples\tS1\nFactors\tDiet:fat\nalanine\t5\n"
      .. "MS_METABOLITE_DATA_END\n#END\n", "study.txt")
    output { "ingest", path }
    shown = output { "show", "study", "--columns", "--about" }
    assert.matches("\n2  S1 +sample +number +%- +Diet = fat", shown)
    assert.matches("\nPROJECT PROJECT_TITLE +ours\n", shown)
  end)

  it("takes a name, omics/name, an id and the start of each", function()
    local id = conn:query("SELECT id FROM datasets WHERE name = 'plasmalogens'")[1].id
    for _, word in ipairs { "plasmalogens", "plasmal", "lipidomics/plasmal", id, id:sub(1, 18), id:upper() } do
      assert.matches("dataset +plasmalogens", output { "show", word })
    end
  end)

  it("lists both when two omics types share the name", function()
    local result = run { "show", "plasma" }
    assert.equal(2, result.code)
    assert.matches("'plasma' may be any of 2 datasets", result.stderr, 1, true)
    assert.matches("lipidomics/plasma (", result.stderr, 1, true)
    assert.matches("proteomics/plasma (", result.stderr, 1, true)
    assert.matches("Say which, for example: lipidomics/plasma", result.stderr, 1, true)
    assert.equal(2, run({ "export", "plasma" }).code)
  end)

  it("says when there is none, and the nearest", function()
    local result = run { "show", "plasmalogen5" }
    assert.equal(2, result.code)
    assert.matches("there is no dataset 'plasmalogen5'. Did you mean 'plasmalogens'?", result.stderr, 1, true)
    assert.matches("ligase datasets", run({ "show", "x" }).stderr, 1, true)
  end)
end)

describe("ligase export", function()
  it("gives back the table, of any revision, in any format", function()
    assert.equal(SECOND, output { "export", "lipidomics/plasma" })
    local first = output { "export", "lipidomics/plasma", "--revision", "1" }
    -- The same table value for value: numbers are written in their shortest form.
    assert.equal('lipid,note,a,b\nPC 34:1,"x, ""y""",1.5,<LOD\n=PC 36:2,,-0.002,7\nPC 34:1,z,0.1,\nPC 34:2,z,0,8\n',
      first)
    assert.equal("lipid\tc\nTG 52:2\t1\n", output { "export", "plasmal", "--format", "tsv" })
    local safe = output { "export", "lipidomics/plasma", "--revision", "1", "--excel-safe" }
    assert.matches("\n'=PC 36:2,,-0.002,", safe, 1, true)
  end)

  it("writes JSON that others can read", function()
    local lines = output { "export", "lipidomics/plasma", "--revision", "1", "--format", "jsonl" }
    local read = support.python([[
import json, sys
rows = [json.loads(line) for line in sys.stdin]
for row in rows:
    print(row["row"], row["feature"], row["columns"]["a"], row["columns"]["b"])]], {}, lines)
    assert.matches("^1 PC 34:1 1.5 <LOD\n2 =PC 36:2 %-0.002 7\n3 PC 34:1 0.1 None\n4 PC 34:2 0 8\n$", read)
  end)

  it("writes cells that only look like numbers as text in JSON", function()
    local path = support.tmpfile("lipid,a\nPC 34:1,1\nPC 36:1,2\nPC 38:1,1-2\nPC 40:1,007x\nPC 42:1,3\n", "odd.csv")
    output { "ingest", path }
    support.python("import json, sys\n[json.loads(line) for line in sys.stdin]", {},
      output { "export", "odd", "--format", "jsonl" })
  end)

  it("says which revisions there are", function()
    local result = run { "export", "lipidomics/plasma", "--revision", "7" }
    assert.equal(2, result.code)
    assert.equal("ligase: dataset 'plasma' has no revision 7. It has: 1, 2\n", result.stderr)
  end)
end)

describe("ligase runs", function()
  it("lists the latest first, failures with their reason", function()
    run { "ingest", support.tmpfile("", "nothing.csv") }
    local listed = output { "runs", "--limit", "2", "--format", "csv" }
    local lines = {}
    for line in listed:gmatch("[^\n]+") do
      lines[#lines + 1] = line
    end
    assert.equal(3, #lines)
    assert.matches("^run,started,seconds,command,recipe,outcome,source", lines[1])
    assert.matches(",ingest,,failed,%S+nothing.csv,.*the file holds no rows", lines[2])
  end)
end)

describe("reading where nothing is yet", function()
  it("says so and makes nothing", function()
    local workspace = support.workspace()
    for _, words in ipairs { { "datasets" }, { "runs" }, { "show", "x" }, { "export", "x" } } do
      words.workspace, words.database = workspace, false
      local result = support.ligase(words)
      assert.equal((words[1] == "datasets" or words[1] == "runs") and 0 or 1, result.code)
      assert.matches("there is no data yet in " .. workspace, result.stderr, 1, true)
      assert.matches("ligase ingest FILE", result.stderr, 1, true)
      assert.same({}, sys.list(workspace))
    end
  end)

  it("asks for the schema on a server of the lab's", function()
    local result = support.ligase { "datasets", database = support.database() }
    assert.equal(1, result.code)
    assert.matches("Run: ligase migrate up", result.stderr, 1, true)
  end)
end)
