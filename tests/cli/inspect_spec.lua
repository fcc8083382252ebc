local json = require "ligase.base.json"
local support = require "tests.support"
local sys = require "sys"

local PANEL = "lipid;class;S1;S2\nPC 34:1;PC;1,5;NA\nPE 36:2;PE;2,25;3\n"

--- Runs `ligase inspect` on files of a workspace, by name.
local function inspect(files, ...)
  local workspace = support.workspace()
  for name, content in pairs(files) do
    if name:find "/" then
      sys.mkdir(workspace .. "/" .. name:match "^(.*)/", { parents = true })
    end
    sys.write_file(workspace .. "/" .. name, content)
  end
  local call = { "inspect", ... }
  call.workspace = workspace
  return support.ligase(call), workspace
end

describe("ligase inspect", function()
  it("says what it understood and how sure it is", function()
    local result = inspect({ ["panel.csv"] = PANEL }, "panel.csv")
    assert.equal(0, result.code)
    assert.equal("", result.stderr)
    assert.equal([[
panel.csv
  format      a matrix, one column per sample (wide), 50 % sure: rows of features, columns of numbers
  omics       lipidomics: there is a column "lipid"; 100 % of the first names look like it
  written     UTF-8, semicolon-separated, decimal comma, header on line 1
  missing     NA
  names       "lipid", 2 different ones
  samples     2: S1, S2
  annotations 1: class
  holds       2 rows, 3 values
  first rows  as they would be stored
    lipid    class    S1  S2
    -------  -----  ----  --
    PC 34:1  PC      1.5  -
    PE 36:2  PE     2.25  3
]], result.stdout)
  end)

  it("touches no database and leaves nothing behind", function()
    local result, workspace = inspect({ ["panel.csv"] = PANEL }, "panel.csv")
    assert.equal(0, result.code)
    assert.same({ "panel.csv" }, sys.list(workspace))
  end)

  it("takes every answer that ingest takes", function()
    local result = inspect({ ["panel.csv"] = PANEL, ["s.csv"] = "name,group\nS1,a\nS2,b\n" }, "panel.csv", "--format",
      "statistics", "--omics", "lipidomics", "--decimal", ".", "--set", "class=feature", "--missing", "n.d.",
      "--samples", "s.csv", "--json")
    assert.equal("", result.stderr)
    local found = json.decode(result.stdout)
    assert.equal("statistics", found.read.format)
    assert.is_true(found.read.format_given)
    assert.equal("lipidomics", found.omics)
    assert.equal(".", found.read.decimal)
    assert.equal("feature", found.columns[2].role)
    assert.equal("b", found.columns[4].sample.group)
    assert.same({ "", "n.d." }, found.read.missing)
  end)

  it("reads a file without a header when that is said", function()
    local result = inspect({ ["x.tsv"] = "ENSG1\t10\nENSG2\t17\n" }, "x.tsv", "--no-header")
    assert.matches('names +"V1", 2 different ones', result.stdout)
    assert.matches("no header line", result.stdout)
    assert.matches("holds +2 rows, 2 values", result.stdout)
  end)

  it("names the candidates when the omics type is in doubt", function()
    local result = inspect({ ["protein_data.csv"] = "Gene,S1\nELANE,1.5\nAGL,2\n" }, "protein_data.csv")
    assert.equal(0, result.code)
    assert.matches("omics +in doubt: transcriptomics %(.-%) or proteomics %(.-%) %(%-%-omics%)", result.stdout)
  end)

  it("gives one JSON object per file", function()
    local result = inspect({ ["a.csv"] = PANEL, ["b.csv"] = "lipid,S1\nPC 34:1,1e400\nPC 34:2,<LOD\nPC 34:3,4\n"
      .. "PC 34:4,5\n" }, "--json", "a.csv", "b.csv")
    assert.equal(0, result.code)
    local first, second = result.stdout:match("^([^\n]+)\n([^\n]+)\n$")
    first, second = json.decode(first), json.decode(second)
    assert.equal("a.csv", first.source)
    assert.same({ 2, 3, 2, 2 }, { first.rows, first.values, first.names, first.samples })
    assert.same({ "PC 34:1", "PC", 1.5, json.null }, first.first_rows[1])
    assert.equal("wide", first.read.format)
    assert.equal(0.5, first.read.format_sureness)
    assert.equal("sample", first.columns[3].role)
    assert.equal(2, second.values)
  end)

  it("tells of a bad file with its line and goes on", function()
    local result = inspect({ ["a.csv"] = PANEL, ["bad.csv"] = "lipid,S1\nPC 34:1,1\nPE 36:2,1,2\n" }, "bad.csv",
      "a.csv", "none.csv")
    assert.equal(1, result.code)
    assert.matches("bad.csv:3:", result.stderr)
    assert.matches("none.csv", result.stderr)
    assert.matches("^a.csv\n", result.stdout)
  end)

  it("reads on past what it shows, so that a bad row far down is found", function()
    local lines = { "lipid,S1" }
    for i = 1, 5000 do
      lines[i + 1] = ("PC %d:%d,%d.5"):format(i % 60, i % 7, i)
    end
    lines[4000] = "PC 34:1,1,2"
    local result = inspect({ ["long.csv"] = table.concat(lines, "\n") .. "\n" }, "long.csv")
    assert.equal(1, result.code)
    assert.matches("long.csv:4000:", result.stderr)
  end)

  it("reads standard input", function()
    local result = support.ligase { "inspect", "-", stdin = PANEL }
    assert.equal(0, result.code)
    assert.matches("^%(standard input%)\n", result.stdout)
    assert.matches("holds +2 rows, 3 values", result.stdout)
  end)

  it("shows the column that names the samples among the first rows, wherever it stands", function()
    local text = "lipid,Sample,m1,m2,m3,Value\nPC 34:1,S1,a,b,c,1\nPC 34:1,S2,a,b,c,2\n"
    local result = inspect({ ["x.csv"] = text }, "x.csv", "--set", "Sample=annotation", "--set", "m3=sample_name")
    assert.equal(0, result.code, result.stderr)
    assert.matches("\n    lipid +Sample +m1 +m3 +Value\n", result.stdout)
  end)

  it("tells of a slip in somebody's format in one line and a traceback", function()
    local result = inspect({ ["x.csv"] = PANEL, ["lua/ligase/omics/formats/slip.lua"] =
      'local formats = require "ligase.omics.formats"\nreturn formats.register { name = "slip", title = "t",\n'
      .. 'source = "s", recognise = function() error "boom" end }\n' }, "x.csv")
    assert.equal(1, result.code)
    assert.matches("^ligase: x.csv: the format slip failed: [^\n]*slip.lua:3: boom%. Mend it, [^\n]*\nstack trace",
      result.stderr)
  end)

  it("keeps a failure on one line whatever the file is called", function()
    local result = inspect({ ["a\nb.csv"] = "lipid\n" }, "a\nb.csv")
    assert.matches("^ligase: a\\nb%.csv: [^\n]+\n$", result.stderr)
  end)

  it("names no line where there is no header", function()
    local result = inspect({ ["x.csv"] = PANEL }, "x.csv", "--no-header", "--set", "lipid=feature")
    assert.matches("^ligase: x.csv: there is no column", result.stderr)
  end)

  it("lists the formats", function()
    local result = inspect({}, "--formats")
    assert.equal(0, result.code)
    assert.matches("\nmaxquant +MaxQuant proteinGroups.txt +proteomics\n", result.stdout)
  end)

  it("refuses misuse", function()
    assert.equal(2, inspect({}).code)
    local result = inspect({ ["a.csv"] = PANEL }, "a.csv", "--format", "maxqant")
    assert.equal(2, result.code)
    assert.matches("Did you mean maxquant%?", result.stderr)
    assert.equal(2, inspect({ ["a.csv"] = PANEL }, "a.csv", "--set", "nonsense").code)
  end)

  it("keeps a terminal safe from what files hold", function()
    local result = inspect({ ["x.csv"] = "lipid,S\27[31m1\nPC\27[2J 34:1,1\n" }, "x.csv")
    assert.is_nil(result.stdout:find("\27", 1, true))
  end)
end)

describe("ligase ingest", function()
  it("takes --format, --samples and --no-header, and keeps what was said", function()
    local conninfo = support.migrated_database()
    local workspace = support.workspace()
    sys.write_file(workspace .. "/x.tsv", "ENSG1\t10\nENSG2\t17\n")
    sys.write_file(workspace .. "/s.csv", "run,Condition\nV2,ctrl\n")
    local call = { "ingest", "x.tsv", "--omics", "lipidomics", "--no-header", "--format", "wide", "--samples", "s.csv",
      workspace = workspace, database = conninfo }
    local result = support.ligase(call)
    assert.equal("", result.stderr)
    assert.matches("2 rows, 2 values", result.stdout)
    local rows = support.ligase { "sql", "SELECT dialect->>'format' AS f, dialect->'given'->>'format' AS g, "
      .. "dialect->>'header' AS h, columns->1->'sample'->>'group' AS s FROM revisions", "--format", "csv",
      workspace = workspace, database = conninfo }
    assert.equal("f,g,h,s\nwide,wide,false,ctrl\n", rows.stdout)
    assert.matches("unchanged", support.ligase(call).stdout)
    sys.write_file(workspace .. "/s.csv", "run,Condition\nV2,drug\n")
    assert.matches("revision 2", support.ligase(call).stdout)
  end)
end)
