--- ligase why: features, datasets and rows.
local json = require "ligase.base.json"
local support = require "tests.support"

local LIPIDS = '# made by hand\nlipid,S1\nPC(16:0/18:1) [M+H]+,1\n"PC 34:1",2\n\nPC 34:1,3\nnonsense\u{1},4\n,5\n'

local url, folder

local function ligase(words)
  words.database, words.workspace = words.database or url, words.workspace or folder
  return support.ligase(words)
end

local function ingest(name, text, ...)
  local file = io.open(folder .. "/" .. name .. ".csv", "wb")
  file:write(text)
  file:close()
  local result = ligase { "ingest", "--omics", "lipidomics", name .. ".csv", ... }
  assert.equal(0, result.code, result.stderr)
end

local function why(...)
  local result = ligase { "why", ... }
  assert.equal(0, result.code, result.stderr)
  assert.equal("", result.stderr)
  return result.stdout
end

local function why_json(...)
  return json.decode(why("--json", ...))
end

local function refused(...)
  local result = ligase { "why", ... }
  assert.equal(2, result.code, result.stdout .. result.stderr)
  return result.stderr
end

setup(function()
  url, folder = support.migrated_database(), support.workspace()
  ingest("plasma", LIPIDS)
  ingest("liver", "lipid,S1\nPC 34:1,2\nCer 34:1;O2,3\n")
end)

describe("ligase why FEATURE", function()
  it("says which names were read as it, by which rule, and where they stand", function()
    local told = why "PC 34:1"
    assert.matches("^lipid +PC 34:1\nlevel +species\n", told)
    assert.matches("occurs in +2 datasets, 3 rows\n", told)
    assert.matches("\nPC 34:1 +lipid%.shorthand +species +3 +2 +%d+%-%d+%-%d+ [%d:]+ %S+ +%S+ %(ingest%)\n", told)
    assert.matches("\nliver +lipidomics +1 +1 +1 +PC 34:1 +liver%.csv\n", told)
    assert.matches("\nplasma +lipidomics +1 +2 +2 +PC 34:1 +plasma%.csv\n", told)
  end)

  it("is told by any name that is read as it", function()
    local told = why "PC(16:0/18:1)[M+H]+"
    assert.matches("^lipid +PC 16:0/18:1\n", told)
    assert.matches("adduct = %[M%+H%]%+", told)
    local feature = why_json("PC(16:0/18:1) [M+H]+").features[1]
    assert.equal("PC 16:0/18:1", feature.name)
    local name = feature.names[1]
    assert.same({ "PC(16:0/18:1) [M+H]+", "[M+H]+", 1, "ingest" },
      { name.raw_name, name.aside.adduct, name.rows, name.command })
    assert.same({ 1, 1, 0 }, { feature.occurrences.datasets, feature.occurrences.rows,
      feature.occurrences.earlier_rows })
    assert.same({ "plasma", 1, 1, "plasma.csv" }, { feature.occurrences.examples[1].dataset,
      feature.occurrences.examples[1].revision, feature.occurrences.examples[1].row,
      feature.occurrences.examples[1].file })
  end)

  it("lists fewer when asked to", function()
    local told = why("PC 34:1", "--limit", "1")
    assert.matches("%.%.%. and 1 more dataset; %-%-limit N lists more\n$", told)
    assert.not_matches("plasma%.csv", told)
  end)

  it("shows the types that have a name each, or the one that is asked for", function()
    local conn, own = support.migrated()
    conn:script [[
INSERT INTO features (id, key, feature_type, name) VALUES
  ('00000000-0000-4000-8000-000000000001', 1, 'gene', 'IL-6'),
  ('00000000-0000-4000-8000-000000000002', 2, 'protein', 'IL-6'),
  ('00000000-0000-4000-8000-000000000003', 3, 'glycan', 'IL-6')]]
    local function types(...)
      local result, list = support.ligase { "why", "IL-6", "--json", database = own, ... }, {}
      assert.equal(0, result.code, result.stderr)
      for i, feature in ipairs(json.decode(result.stdout).features) do
        list[i] = feature.type
      end
      return list
    end
    assert.same({ "gene", "glycan", "protein" }, types())
    assert.same({ "protein" }, types("--type", "protein"))
    assert.same({ "glycan" }, types("--type", "glycan"))
    local result = support.ligase { "why", "IL-6", "--type", "glican", database = own }
    assert.equal(2, result.code)
    assert.matches("lipid protein gene metabolite", result.stderr)
  end)

  it("suggests the nearest name", function()
    assert.matches("there is no dataset and no feature 'PC 34:2'%. Did you mean 'PC 34:1'", refused "PC 34:2")
    assert.matches("Did you mean 'plasma'", refused "plsma")
    assert.matches("there is no gene 'PC 34:1'", refused("PC 34:1", "--type", "gene"))
    assert.matches("ligase name TYPE", refused "quite another thing")
    assert.equal(2, ligase({ "why" }).code)
    assert.matches("goes into quotes", refused("PC", "34:1"))
  end)
end)

describe("ligase why DATASET", function()
  it("sums up how its names were read", function()
    local told = why "plasma"
    assert.matches("^dataset +plasma %(lipidomics%), revision 1\nfile +plasma%.csv\nrecipe +lipidomics\n", told)
    assert.matches("\nnames +3 different, in 5 rows: 2 understood, 1 not understood\n", told)
    assert.matches("\nno name +1 row\n", told)
    assert.matches("\nlipid%.shorthand +species +1 +2\n", told)
    assert.matches("\nverbatim +1 +1\n", told)
    assert.matches("not understood\nreason .*\n[^\n]+ 1 +1 +4 +nonsense\\x01\n", told)
    assert.matches("set aside\n.*\nadduct +1 +1 +PC%(16:0/18:1%) %[M%+H%]%+\n", told)
    local report = why_json "lipidomics/plasma"
    assert.same({ "plasma", 2, 1, 0, 3 }, { report.dataset, report.counts.understood, report.counts.not_understood,
      report.counts.ambiguous, report.counts.features })
    assert.equal("nonsense\u{1}", report.reasons[1].examples[1])
    assert.equal(1, report.reason_count)
  end)

  it("takes an unambiguous start, and lists what it may be", function()
    assert.matches("^dataset +plasma ", why "plas")
    ingest("liver2", "lipid,S1\nPC 34:1,2\n")
    assert.matches("^dataset +liver ", why "liver")
    assert.matches("may be any of 2 datasets", refused "live")
    assert.matches("may be any of 2 datasets", refused "live:1")
  end)
end)

describe("ligase why DATASET:ROW", function()
  it("says where the cell stands and what it was read as", function()
    local told = why "plasma:1"
    assert.matches("\nrow +1\nline +3\ncolumn +lipid %(column 1%)\ncell +PC%(16:0/18:1%) %[M%+H%]%+\n", told)
    assert.matches("\nread as +PC 16:0/18:1 %(lipid%)\n", told)
    assert.matches("\nset aside +adduct = %[M%+H%]%+\n", told)
    assert.matches("\nrow +3\nline +6\n", why "plas:3")
    local row = why_json "plasma:4"
    assert.same({ 4, 7, "nonsense\u{1}", "verbatim", "lipid" },
      { row.row, row.line, row.raw_name, row.rule, row.column })
    assert.is_string(row.reason)
    assert.matches("\ncell +%-\nread as +%-, the cell is empty\n", why "plasma:5")
  end)

  it("gives no line when the file is not as it was", function()
    ingest("moved", "lipid,S1\nPC 34:1,2\n")
    assert.equal(2, why_json("moved:1").line)
    support.ligase { "-e", "os.rename('moved.csv', 'gone.csv')", workspace = folder }
    assert.equal(json.null, why_json("moved:1").line)
    assert.matches("\nline +%-, the file is not there\n", why "moved:1")
    local file = io.open(folder .. "/moved.csv", "wb")
    file:write("lipid,S1\nPC 36:1,2\n")
    file:close()
    assert.matches("\nline +%-, the file was changed since\n", why "moved:1")
  end)

  it("goes by the full name first, and a name may hold a colon", function()
    ingest("a", "lipid,S1\nPC 34:1,2\nPC 36:1,2\n", "--name", "day:2")
    ingest("b", "lipid,S1\nPC 34:1,2\nPC 36:1,2\n", "--name", "day")
    ingest("c", "lipid,S1\nPC 34:1,2\n", "--name", "PC 34")
    assert.equal("day:2", why_json("day:2").dataset)
    assert.is_nil(why_json("day:2").row)
    assert.same({ "day", 1 }, { why_json("day:1").dataset, why_json("day:1").row })
    assert.same({ "day", 2 }, { why_json("lipidomics/day:1").dataset, 2 })
    assert.same({ "day:2", 1 }, { why_json("day:2:1").dataset, why_json("day:2:1").row })
    assert.equal("PC 34:1", why_json("PC 34:1").features[1].name)
    assert.same({ "PC 34", 1 }, { why_json("lipidomics/PC 34:1").dataset, why_json("lipidomics/PC 34:1").row })
  end)

  it("refuses rows that are not there", function()
    assert.matches("dataset 'plasma' has no row 6%. Its rows are counted from 1 to 5", refused "plasma:6")
    assert.matches("has no row 0", refused "plasma:0")
    assert.matches("has no row 9223372036854775807", refused "plasma:99999999999999999999")
  end)
end)

describe("ligase why", function()
  it("asks for data when there is none", function()
    local result = support.ligase { "why", "x", database = false }
    assert.equal(1, result.code)
    assert.matches("there is no data yet", result.stderr)
    assert.matches("ligase why plasma_lipids:17", (support.ligase { "why", "--help" }).stdout)
  end)
end)
