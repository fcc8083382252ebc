--- export: headers and rows as they stood, and the feature x sample table.
local json = require "ligase.base.json"
local support = require "tests.support"

local _, url

setup(function()
  _, url = support.migrated()
end)

local function run(words)
  words.database = url
  return support.ligase(words)
end

local function output(words)
  local result = run(words)
  assert.equal(0, result.code, result.stderr)
  return result.stdout, result.stderr
end

--- Ingests a text under a name.
local function ingest(name, content, ...)
  output { "ingest", support.tmpfile(content, name .. ".txt"), "--omics", "lipidomics", "--name", name, ... }
end

local function exported(name, ...)
  return (output { "export", name, "--format", "tsv", ... })
end

describe("ligase export of what is no plain table", function()
  it("writes no header where there was none", function()
    local counts = "ENSG01\t12\nENSG02\t0\nENSG03\t7\n__no_feature\t3\n__ambiguous\t0\n"
    ingest("htseq", counts)
    assert.equal(counts, exported "htseq")
    ingest("bare", "PC 34:1\t1.5\nPC 36:1\t2\n", "--no-header", "--set", "V1=feature")
    assert.equal("PC 34:1\t1.5\nPC 36:1\t2\n", exported "bare")
    local first = json.decode((exported("bare", "--format", "jsonl"):match "^[^\n]*"))
    assert.same({ V1 = "PC 34:1", V2 = 1.5 }, first.columns)
  end)

  it("leaves the header as short as R writes it", function()
    local short = "S1\tS2\nPC 34:1\t1\t2\nPC 36:1\t3\tNA\n"
    ingest("short", short)
    assert.equal(short, exported "short")
    assert.matches("^S1,S2\nPC 34:1,1,2\n", (output { "export", "short" }))
  end)

  it("writes the header that stood above the rows, not the names that a format gave", function()
    local header = "Compound\tm/z\tS1\tS2\tS1\tS2\n"
    local rows = "PC 34:1\t760.585\t10\t11\t1\t2\nPC 36:1\t788.616\t12\t13\t3\t4\n"
    ingest("progenesis", "\t\tNormalised abundance\t\tRaw abundance\t\n\t\tcontrol\ttreated\tcontrol\ttreated\n"
      .. header .. rows)
    assert.matches("^S1 %(Normalised abundance%)$", (output { "sql", "--format", "csv",
      "SELECT columns -> 2 ->> 'name' FROM revisions JOIN datasets AS d ON d.id = dataset_id "
      .. "WHERE d.name = 'progenesis'" }):match "\n([^\n]*)\n")
    assert.equal(header .. rows, exported "progenesis")
  end)

  it("leaves out the empty cells at the ends of rows that the source left out", function()
    local rows = { "lipid\tnote\tS1\tS2\tS3\n" }
    for i = 1, 6 do
      rows[#rows + 1] = ("PC %d:1\tn\t%d.5\t%d\t7\n"):format(30 + i, i, i)
    end
    rows[#rows + 1] = "PC 40:1\tn\t5\t\t6\n"
    rows[#rows + 1] = "PC 42:1\tn\t5\n"
    rows[#rows + 1] = "PC 44:1\n"
    local content = table.concat(rows)
    ingest("trimmed", content)
    assert.equal(content, exported "trimmed")
    local object = json.decode((exported("trimmed", "--format", "jsonl"):match "[^\n]*\n$"))
    assert.same({ lipid = "PC 44:1", note = "", S1 = json.null, S2 = json.null, S3 = json.null }, object.columns)
  end)

  it("leaves out the lines above the table and comments, but not a header among them", function()
    ingest("commented", "# made by hand\n#lipid\tS1\nPC 34:1\t1\nPC 36:1\t2\n\nPC 38:1\t3\n")
    assert.equal("#lipid\tS1\nPC 34:1\t1\nPC 36:1\t2\nPC 38:1\t3\n", exported "commented")
  end)

  it("keeps the decimal comma", function()
    local content = "lipid;S1;S2\nPC 34:1;1,25;<LOD\nPC 36:1;2,5;3\nPC 38:1;0,75;1e400\n"
    ingest("comma", content)
    assert.equal((content:gsub(";", "\t")), exported "comma")
  end)
end)

-- ---- --pivot ---------------------------------------------------------------

local LONG = [[
lipid,sample,area,height
PC 36:1,S2,1.50,10
PC 34:1,S1,2,20
PC 34:1,S2,<LOD,
PC 36:1,S1,NA,40
PC 38:1,S3,123456789012345678,50
]]

local LONG_SETS = { "--set", "sample=sample_name", "--set", "area=value", "--set", "height=value" }

local function ingest_long(name, content)
  ingest(name, content, table.unpack(LONG_SETS))
end

local function pivoted(name, ...)
  return output { "export", name, "--pivot", ... }
end

local function refusal(...)
  local result = run { "export", ... }
  assert.equal(2, result.code)
  assert.equal("", result.stdout)
  return result.stderr
end

describe("ligase export --pivot", function()
  it("makes the table of a quantity whose samples stand in rows", function()
    ingest_long("long", LONG)
    assert.equal("feature,S2,S1,S3\nPC 36:1,1.5,,\nPC 34:1,<LOD,2,\nPC 38:1,,,123456789012345678\n",
      pivoted("long", "--quantity", "area"))
    assert.equal("feature\tS2\tS1\tS3\nPC 36:1\t10\t40\t\nPC 34:1\t\t20\t\nPC 38:1\t\t\t50\n",
      pivoted("long", "--quantity", "height", "--format", "tsv"))
  end)

  it("writes JSON that others can read", function()
    ingest_long("long", LONG)
    local read = support.python("import json, sys\nfor line in sys.stdin:\n  print(json.loads(line))", {},
      (pivoted("long", "--quantity", "area", "--format", "jsonl")))
    assert.equal("{'feature': 'PC 36:1', 'values': {'S2': 1.5, 'S1': None, 'S3': None}}\n"
      .. "{'feature': 'PC 34:1', 'values': {'S2': '<LOD', 'S1': 2, 'S3': None}}\n"
      .. "{'feature': 'PC 38:1', 'values': {'S2': None, 'S1': None, 'S3': 123456789012345678}}\n", read)
  end)

  it("makes it of a wide table too, with features by their canonical names or as they stood", function()
    ingest("wide", "note\tlipid\tS1\tS2\nx\tPC(34:1)\t1,5\t2\ny\tTG 52:2\t\t-0,25\n")
    assert.equal("feature,S1,S2\nPC 34:1,\"1,5\",2\nTG 52:2,,\"-0,25\"\n", (pivoted "wide"))
    assert.equal("feature,S1,S2\nPC(34:1),\"1,5\",2\nTG 52:2,,\"-0,25\"\n", (pivoted("wide", "--source-names")))
    assert.equal('{"feature":"PC 34:1","values":{"S1":1.5,"S2":2}}',
      pivoted("wide", "--format", "jsonl"):match "^[^\n]*")
  end)

  it("asks which quantity, and says which there are", function()
    ingest_long("long", LONG)
    assert.equal("ligase: dataset 'long' holds 2 quantities. Say which with --quantity: 'area', 'height'\n",
      refusal("long", "--pivot"))
    assert.equal("ligase: dataset 'long' holds no quantity 'aera'. Did you mean 'area'? It holds: 'area', 'height'\n",
      refusal("long", "--pivot", "--quantity", "aera"))
    ingest("effects", "lipid,log2FC,pvalue\nPC 34:1,1,0.5\nPC 36:1,2,0.01\n")
    assert.matches("dataset 'effects' holds no values of samples", refusal("effects", "--pivot"), 1, true)
    assert.matches("--quantity belongs to --pivot", refusal("long", "--quantity", "area"), 1, true)
  end)

  it("names features and samples with several values, and writes nothing", function()
    ingest_long("twice", LONG .. "PC 34:1,S1,3,1\nPC(34:1),S2,4,1\n")
    assert.equal("ligase: several values stand for one feature and sample in 2 cells of 1 feature: "
      .. "'PC 34:1' of 'S2' (rows 3 and 7). Say what is to be taken: --duplicates first, mean or sum; "
      .. "--source-names keeps different names apart that were read as one feature\n",
      refusal("twice", "--pivot", "--quantity", "area"))
    local kept_apart = refusal("twice", "--pivot", "--quantity", "area", "--source-names")
    assert.matches("in 1 cell of 1 feature: 'PC 34:1' of 'S1' (rows 2 and 6)", kept_apart, 1, true)
  end)

  it("does with them what is said", function()
    ingest_long("twice", LONG .. "PC 34:1,S1,3,1\nPC(34:1),S2,4,1\nPC 36:1,S1,7.25,1\nPC 36:1,S2,0.1,\n"
      .. "PC 36:1,S2,0.2,\n")
    local function second_and_third(how)
      return (pivoted("twice", "--quantity", "area", "--duplicates", how):match "^feature,S2,S1,S3\n(.-)\nPC 38")
    end
    assert.equal("PC 36:1,1.5,7.25,\nPC 34:1,<LOD,2,", second_and_third "first")
    assert.equal("PC 36:1,1.8,7.25,\nPC 34:1,4,5,", second_and_third "sum")
    assert.equal("PC 36:1,0.6,7.25,\nPC 34:1,4,2.5,", (second_and_third "mean"))
    local _, said = pivoted("twice", "--quantity", "area", "--duplicates", "sum")
    assert.equal("ligase: 1 text beside numbers is not in the table\n", said)
  end)

  it("says how many rows have no name or no sample", function()
    ingest_long("nameless", LONG .. ",S1,3,1\n,S2,3,1\nPC 34:1,,4,1\n")
    local written, said = pivoted("nameless", "--quantity", "area")
    assert.equal("feature,S2,S1,S3\nPC 36:1,1.5,,\nPC 34:1,<LOD,2,\nPC 38:1,,,123456789012345678\n", written)
    assert.equal("ligase: 2 rows without a name are not in the table\nligase: 1 row without a sample is not in the "
      .. "table\n", said)
  end)

  it("takes texts for missing that the dialect takes for missing", function()
    ingest("marks", "lipid,S1,S2\nPC 34:1,ND,1\nPC 36:1,2,NA\nPC 38:1,ND,ND\nPC 40:1,,ND\nPC 42:1,3,4\n",
      "--missing", "ND,NA")
    assert.equal("feature,S1,S2\nPC 34:1,,1\nPC 36:1,2,\nPC 38:1,,\nPC 40:1,,\nPC 42:1,3,4\n", (pivoted "marks"))
  end)

  it("takes for missing what the reader does when nothing is said", function()
    local marks = { "NA", "NaN", "nan", "N/A", "n/a", "#N/A", "null", "NULL", "", "NA." }
    local lines = { "lipid,S1,S2" }
    for i, mark in ipairs(marks) do
      lines[#lines + 1] = ("PC %d:1,%s,%d"):format(30 + i, mark, i)
      lines[#lines + 1] = ("TG %d:1,%d,%d"):format(30 + i, i, i)
    end
    ingest("usual", table.concat(lines, "\n") .. "\n")
    local table_of = pivoted "usual"
    for i = 1, #marks - 1 do
      assert.matches(("\nPC %d:1,,%d\n"):format(30 + i, i), table_of, 1, true)
    end
    assert.matches("\nPC 40:1,NA.,10\n", table_of, 1, true)
  end)
end)

--- The feature x sample table as Python makes it of a file's rows.
local PIVOT = [=[
import csv, re, struct, sys
path, separator, kind, *how = sys.argv[1:]
rows = list(csv.reader(open(path, encoding="utf-8", newline=""), delimiter=separator))
header, rows = rows[0], rows[1:]
name = header.index(how[0])
if kind == "long":
    sample, value = header.index(how[1]), header.index(how[2])
    cells = [(row[name], row[sample], row[value]) for row in rows]
else:
    titles = [(at, re.fullmatch(how[1], title)) for at, title in enumerate(header)]
    cells = [(row[name], title[1], row[at]) for row in rows for at, title in titles if title and at < len(row)]
features = list(dict.fromkeys(feature for feature, _, _ in cells))
samples = list(dict.fromkeys(sample for _, sample, _ in cells))
found = {}
for feature, sample, value in cells:
    if value not in ("", "NA", "#N/A"):
        assert (feature, sample) not in found
        found[feature, sample] = struct.pack("<d", float(value))
ours = list(csv.reader(sys.stdin))
assert ours[0] == ["feature"] + samples, ours[0]
assert [row[0] for row in ours[1:]] == features
numbers = 0
for row in ours[1:]:
    for sample, cell in zip(samples, row[1:], strict=True):
        theirs = found.get((row[0], sample))
        assert (cell == "") == (theirs is None), (row[0], sample, cell)
        assert theirs is None or theirs == struct.pack("<d", float(cell)), (row[0], sample, cell)
        numbers += cell != ""
print(len(features), len(samples), numbers)
]=]

describe("ligase export --pivot of real files", function()
  local function pivots_alike(name, path, words, arguments)
    local real = support.need_shared(path)
    output { "ingest", "--omics", "lipidomics", "--name", name, real }
    local table_of = pivoted(name, "--source-names", table.unpack(words))
    return support.python(PIVOT, { real, table.unpack(arguments) }, table_of)
  end

  it("is what Python makes of a Skyline report", function()
    assert.equal("94 58 5448\n", pivots_alike("skyline", "lipidomics/lipidr__F1_data.csv", { "--quantity", "Area" },
      { ",", "long", "Peptide", "Replicate", "Area" }))
  end)

  it("is what Python makes of a matrix and of one quantity of many", function()
    assert.equal("413 20 8260\n", pivots_alike("matrix", "lipidomics/lipidr__brca_matrix.csv", {},
      { ",", "wide", "lipids", "(S.+)" }))
    assert.equal("882 10 8820\n", pivots_alike("maxquant", "proteomics/alphapeptstats__proteinGroups.txt",
      { "--quantity", "LFQ intensity" }, { "\t", "wide", "Majority protein IDs", "LFQ intensity (.+)" }))
  end)
end)
