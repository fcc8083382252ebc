local datasets = require "ligase.store.datasets"
local errors = require "ligase.base.errors"
local ingesting = require "tests.lua.store.ingesting"
local json = require "ligase.base.json"
local lipid = require "ligase.omics.names.lipid"
local pg = require "pg"
local pipeline = require "ligase.omics.pipeline"
local recipes = require "ligase.omics.recipes"
local support = require "tests.support"
local sys = require "sys"

--- Python's csv module: the header and every cell of a table, one JSON array per line;
--- numbers as float.hex. A short header gets the empty cell that R leaves out.
local READ = [[
import csv, json, sys
path, separator = sys.argv[1], sys.argv[2]
with open(path, encoding="utf-8-sig", newline="") as file:
    rows = [row for row in csv.reader(file, delimiter=separator) if row]
if len(rows[0]) == len(rows[1]) - 1:
    rows[0].insert(0, "")
def cell(text):
    try:
        return [text, float(text).hex()] if text.lower() not in ("nan", "") else [text, None]
    except ValueError:
        return [text, None]
for row in rows:
    print(json.dumps([cell(text) for text in row]))
]]

--- What the library stored, in Python's words: each row of measurements with its values
--- as float.hex, so that every bit counts.
local STORED = [[
SELECT m.ordinal, m.source_name, m.texts, m.cells, f.name AS feature,
  ARRAY(SELECT encode(float8send(v), 'hex') FROM unnest(m.values) WITH ORDINALITY AS u (v, i) ORDER BY i) AS bits
FROM measurements AS m LEFT JOIN features AS f ON f.key = m.feature_key ORDER BY m.ordinal]]

local function read_independently(path, separator)
  local rows = {}
  for line in support.python(READ, { path, separator }):gmatch("[^\n]+") do
    rows[#rows + 1] = json.decode(line)
  end
  return rows
end

--- assert.equal is slow beside a million comparisons.
local function must_equal(expected, got, row, column)
  if expected ~= got then
    error(("row %d, column %d: %q expected, got %q"):format(row, column, tostring(expected), tostring(got)), 2)
  end
end

local function bits_of(hex_float)
  return (("%016x"):format(string.unpack("i8", string.pack("d", tonumber(hex_float)))))
end

setup(ingesting.open)

describe("a real file", function()
  local workspace

  setup(function()
    pg.use_json(json.decode)
    workspace = support.workspace()
    sys.mkdir(workspace .. "/recipes")
    sys.write_file(workspace .. "/recipes/transcriptomics.lua", [[
local pipeline = require "ligase.omics.pipeline"

return pipeline.recipe {
  omics = "transcriptomics",
  feature_type = "gene",
  name_columns = { "gene_id", "genes", "geneid" },
  read_name = function(raw)
    return { name = raw, rule = "verbatim" }
  end,
  stages = { pipeline.recognise, pipeline.link, pipeline.store },
}
]])
    sys.setenv("LIGASE_WORKSPACE", workspace)
  end)

  teardown(function()
    sys.setenv("LIGASE_WORKSPACE", nil)
  end)

  for name, case in pairs {
    ["lipidomics/lipidr__brca_matrix.csv"] = { "lipidomics", "," },
    ["transcriptomics/generated__deseq2_Li2008_LNCaP_treated_vs_control.csv"] = { "transcriptomics", ",", " #slow" },
    ["transcriptomics/generated__edgeR_Li2008_topTags.tsv"] = { "transcriptomics", "\t" },
    ["transcriptomics/generated__limma_voom_Li2008_topTable.txt"] = { "transcriptomics", "\t", " #slow" },
    ["transcriptomics/rgsepd__IlluminaBodymap.csv"] = { "transcriptomics", ";", " #slow" },
    ["transcriptomics/progeny__mouse_input.csv"] = { "transcriptomics", "," },
  } do
    it(name .. " is stored bit for bit and comes back the same" .. (case[3] or ""), function()
      local path = support.need_shared(name)
      -- These files are the beginnings of larger ones; their last line may be cut.
      local whole = sys.read_file(path):match("^(.*\n)") or sys.read_file(path)
      if name:find("brca") then
        whole = sys.read_file(path)
      end
      local file = support.tmpfile(whole, path:match("[^/]+$"))
      local recipe = recipes.load(case[1])
      local conn = ingesting.fresh()
      local report = ingesting.ingest(conn, { path = file, recipe = recipe })
      assert.same({}, report.findings.doubts)

      local expected = read_independently(file, case[2])
      local header = table.remove(expected, 1)
      assert.equal(#expected, report.counts.rows)
      local columns = report.plan.columns
      assert.equal(#header, #columns)
      for i, column in ipairs(columns) do
        assert.equal(header[i][1], column.name)
      end

      local numbers, feature_names = 0, {}
      local rows = conn:query(STORED)
      assert.equal(#expected, #rows)
      for i, row in ipairs(rows) do
        must_equal(i, row.ordinal, i, 0)
        for place, column in ipairs(columns) do
          local text, hex = expected[i][place][1], expected[i][place][2]
          if column.role == "feature" then
            must_equal(text, row.source_name, i, place)
            feature_names[text] = true
            must_equal(recipe.read_name(text).name, row.feature, i, place)
          elseif column.type == "text" then
            must_equal(text, row.texts[column.slot] == pg.null and "" or row.texts[column.slot], i, place)
          elseif hex == json.null then
            must_equal(pg.null, row.bits[column.slot], i, place)
          else
            numbers = numbers + 1
            must_equal(bits_of(hex), row.bits[column.slot], i, place)
          end
        end
      end
      assert.equal(numbers, report.counts.values)
      local distinct = {}
      for raw in pairs(feature_names) do
        distinct[recipe.read_name(raw).name] = true
      end
      local count = 0
      for _ in pairs(distinct) do
        count = count + 1
      end
      assert.equal(count, report.counts.features)
      assert.equal(count, conn:query("SELECT count(*) AS n FROM features")[1].n)

      local dataset = datasets.find(conn, file:match("([^/]+)%.[^.]*$"))
      local place = 0
      for cells in datasets.source_rows(conn, dataset, datasets.revision(conn, dataset)) do
        place = place + 1
        for i, cell in ipairs(cells) do
          local text, hex = expected[place][i][1], expected[place][i][2]
          if columns[i].type == "number" and hex ~= json.null then
            must_equal(tonumber(hex), tonumber(cell), place, i)
          else
            must_equal(text, cell, place, i)
          end
        end
      end
      assert.equal(#expected, place)
      assert.equal("unchanged", ingesting.ingest(conn, { path = file, recipe = recipe }).outcome)
    end)
  end

  it("of statistics shows its effects", function()
    local path = support.need_shared "transcriptomics/generated__edgeR_Li2008_topTags.tsv"
    local whole = sys.read_file(path):match("^(.*\n)")
    local conn = ingesting.fresh()
    ingesting.ingest(conn, { path = support.tmpfile(whole, "edger.tsv"), recipe = recipes.load "transcriptomics" })
    local expected = read_independently(support.tmpfile(whole, "edger.tsv"), "\t")
    local rows = conn:query([[
SELECT e.feature, e.log2_fold_change, e.p_value, e.adjusted_p_value FROM effects AS e
JOIN features AS f ON f.name = e.feature JOIN measurements AS m ON m.feature_key = f.key ORDER BY m.ordinal]])
    assert.equal(#expected - 1, #rows)
    for i, row in ipairs(rows) do
      local source = expected[i + 1]
      assert.same({ source[1][1], tonumber(source[2][1]), tonumber(source[5][1]), tonumber(source[6][1]) },
        { row.feature, row.log2_fold_change, row.p_value, row.adjusted_p_value })
    end
  end)

  it("is exported by the command as the same table", function()
    local path = support.need_shared "lipidomics/lipidr__brca_matrix.csv"
    local _, conninfo = ingesting.fresh()
    local result = support.ligase { "ingest", "--omics", "lipidomics", path, database = conninfo }
    assert.equal(0, result.code, result.stderr)
    result = support.ligase { "export", "lipidr__brca_matrix", database = conninfo }
    assert.equal(0, result.code, result.stderr)
    local verdict = support.python([[
import csv, io, sys
def table(text):
    return [row for row in csv.reader(io.StringIO(text, newline=""))]
def same(a, b):
    try:
        return float(a) == float(b)
    except ValueError:
        return a == b
source, export = table(open(sys.argv[1], newline="").read()), table(sys.stdin.read())
print(len(source) == len(export) and source[0] == export[0] and all(
    len(x) == len(y) and x[0] == y[0] and all(map(same, x, y)) for x, y in zip(source, export)))]], { path },
      result.stdout)
    assert.equal("True\n", verdict)
  end)
end)

describe("a recipe of one's own", function()
  local workspace

  before_each(function()
    workspace = support.workspace()
    sys.mkdir(workspace .. "/recipes")
  end)

  local function write_recipe(name, text)
    sys.write_file(("%s/recipes/%s.lua"):format(workspace, name), text)
  end

  local PANEL = [[
local pipeline = require "ligase.omics.pipeline"
local lipid = require "ligase.omics.names.lipid"

-- Blanks tell how clean the run was: they are counted, and refused when they are many.
local function check_blanks(ingest, frame)
  local blanks = 0
  for _, name in ipairs(frame:text(ingest.plan.feature.position):values()) do
    if name == "BLANK" then
      blanks = blanks + 1
    end
  end
  if blanks > 1 then
    error(("%d blanks"):format(blanks))
  end
end

return pipeline.recipe {
  omics = "lipidomics",
  feature_type = "lipid",
  name_columns = { "Analyte" },
  dialect = { missing = { "", "n.d." } },
  set = { Dose = "annotation" },
  read_name = function(raw)
    if raw == "BLANK" then
      return nil
    end
    return lipid.read((raw:gsub("^c_", "")))
  end,
  stages = { pipeline.recognise, check_blanks, pipeline.link, pipeline.store },
}
]]

  it("adds a stage, reads names its own way, and fixes dialect and roles", function()
    write_recipe("panel", PANEL)
    local conn, conninfo = ingesting.fresh()
    local file = support.tmpfile("Analyte,Dose,S1,S2\nc_PC 34:1,1,2,n.d.\nBLANK,1,0.1,0.2\n", "p.csv")
    local result = support.ligase { "run", "panel", file, database = conninfo, workspace = workspace }
    assert.equal(0, result.code, result.stderr)
    pg.use_json(json.decode)
    local rows = conn:query([[
SELECT m.source_name, f.name, m.values, m.texts, m.cells
FROM measurements AS m LEFT JOIN features AS f ON f.key = m.feature_key
ORDER BY m.ordinal]])
    assert.same({ "c_PC 34:1", "PC 34:1", { 2.0, pg.null }, { "1" }, pg.null },
      { rows[1].source_name, rows[1].name, rows[1].values, rows[1].texts, rows[1].cells })
    assert.same({ "BLANK", pg.null }, { rows[2].source_name, rows[2].name })
    assert.same({ "lipid.shorthand", "species" }, (function()
      local receipt = conn:query("SELECT rule, level FROM feature_names WHERE raw_name = 'c_PC 34:1'")[1]
      return { receipt.rule, receipt.level }
    end)())

    local bad = support.tmpfile("Analyte,Dose,S1\nBLANK,1,2\nBLANK,1,0.1\n", "bad.csv")
    result = support.ligase { "run", "panel", bad, database = conninfo, workspace = workspace }
    assert.not_equal(0, result.code)
    assert.matches("2 blanks", result.stderr)
    assert.matches("panel.lua:13", result.stderr)
    assert.equal(1, conn:query("SELECT count(*) AS n FROM datasets")[1].n)
  end)

  it("is used instead of ligase's own of the same name", function()
    write_recipe("lipidomics", (PANEL:gsub("return lipid%.read.-\n",
      "return { name = 'mine: ' .. raw, rule = 'mine' }\n")))
    local conn, conninfo = ingesting.fresh()
    local file = support.tmpfile("Analyte,Dose,S1\nPC 34:1,1,2\n", "p.csv")
    local result = support.ligase { "ingest", "--omics", "lipidomics", file, database = conninfo,
      workspace = workspace }
    assert.equal(0, result.code, result.stderr)
    assert.equal("mine: PC 34:1", conn:query("SELECT name FROM features")[1].name)
  end)

  it("makes the next revision of a file when it was edited", function()
    write_recipe("panel", PANEL)
    local conn, conninfo = ingesting.fresh()
    local file = support.tmpfile("Analyte,Dose,S1\nPC 34:1,1,2\n", "p.csv")
    local function run()
      local result = support.ligase { "run", "panel", file, database = conninfo, workspace = workspace }
      assert.equal(0, result.code, result.stderr)
      return result.stdout
    end
    run()
    assert.matches("unchanged", run())
    write_recipe("panel", PANEL .. "-- a word more\n")
    assert.matches("revision 2", run())
    local rows = conn:query("SELECT revision, recipe, recipe_sha256 FROM revisions ORDER BY revision")
    assert.same({ 2, "panel", sys.sha256(PANEL .. "-- a word more\n") },
      { rows[2].revision, rows[2].recipe, rows[2].recipe_sha256 })
    assert.equal(sys.sha256(PANEL), rows[1].recipe_sha256)
  end)

  it("may read many frames, each through all of its stages", function()
    local frames, rows = 0, 0
    local recipe = ingesting.recipe { stages = { pipeline.recognise, function(ingest, frame)
      assert.equal(rows + 1, frame:first_row())
      frames, rows = frames + 1, rows + #frame
      assert(ingest.plan)
    end, pipeline.link, pipeline.store } }
    local lines = { "lipid,S1,S2,S3" }
    for i = 1, 60000 do
      lines[i + 1] = ("name of a lipid %d,%d.5,%d.25,%d"):format(i % 1000, i, i, i)
    end
    local conn = ingesting.fresh()
    local report = ingesting.ingest(conn, { text = table.concat(lines, "\n"), recipe = recipe })
    assert.is_true(frames > 1)
    assert.same({ 60000, 60000, 1000, 180000 },
      { rows, report.counts.rows, report.counts.features, report.counts.values })
    local stored = conn:query([[
SELECT count(*) AS n, min(ordinal) AS first, max(ordinal) AS last, count(DISTINCT ordinal) AS ordinals,
  bool_and(values = ARRAY[ordinal + 0.5, ordinal + 0.25, ordinal]::float8[]) AS same,
  bool_and(source_name = 'name of a lipid ' || ordinal % 1000) AS named FROM measurements]])[1]
    assert.same({ 60000, 1, 60000, 60000, true, true },
      { stored.n, stored.first, stored.last, stored.ordinals, stored.same, stored.named })
  end)
end)

describe("preparing an ingest", function()
  local SOURCE = { path = "/x/y.csv", shown = "y.csv", name = "y" }

  it("joins what recipe and caller say, the caller winning", function()
    local recipe = ingesting.recipe { dialect = { decimal = ",", separator = ";" },
      set = { A = "sample", B = "sample" } }
    local ingest = pipeline.prepare(recipe, SOURCE, { dialect = { separator = "\t" },
      set = { B = "annotation" } })
    local version = pipeline.READING_VERSION
    assert.same({ decimal = ",", separator = "\t", set = { A = "sample", B = "annotation" },
      reading_version = version }, pipeline.given_of(ingest))
    local function given(options)
      return pipeline.given_of(pipeline.prepare(ingesting.recipe(), SOURCE, options))
    end
    assert.same({ reading_version = version }, given {})
    assert.same({ linking = false, reading_version = version }, given { linking = false })
  end)

  it("reads a file without a writer, for a dry run", function()
    local file = support.tmpfile("lipid,S1\nPC 34:1,1\nPC(34:1),NA\n")
    local ingest = pipeline.prepare(ingesting.recipe { read_name = lipid.read },
      { path = file, shown = file, name = "x" }, {})
    local findings, info = pipeline.read(ingest)
    assert.same({ 2, 1, 1, "wide" }, { info.rows, ingest.counts.values, #ingest.seen, findings.shape })
    assert.same({ "PC 34:1", "PC(34:1)" }, ingest.resolver.waiting.raws)
  end)

  it("tells a recipe that stores nothing from a file without rows", function()
    local file = support.tmpfile("lipid,S1\nPC 34:1,1\n")
    local recipe = ingesting.recipe { stages = { pipeline.recognise, pipeline.link } }
    local done, failure = pcall(pipeline.read, pipeline.prepare(recipe, { path = file, shown = file, name = "x" }, {}))
    assert.is_false(done)
    assert.same({ "usage", "recipe" }, { failure.kind, failure.code })
    assert.matches("stored none of the rows", failure.message)
  end)

  it("says which file was refused, as the person named it", function()
    local file = support.tmpfile("lipid,S1\nA,1,2,3\nB,2\n")
    local source = { path = file, shown = "(standard input)" }
    local done, failure = pcall(pipeline.read, pipeline.prepare(ingesting.recipe(), source, {}))
    assert.is_false(done)
    assert.is_true(errors.is(failure, "input"))
    assert.same({ "(standard input)", 2 }, { failure.file, failure.line })
  end)
end)
