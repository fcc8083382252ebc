--- What is exported of every real file that is read is the table that stands in it: the
--- same cells in the same order, numbers the same to the last bit. The table is read by
--- Python's csv module.
local datasets = require "ligase.store.datasets"
local detect_omics = require "ligase.omics.detect_omics"
local host = require "host"
local ingest = require "ligase.intake.ingest"
local json = require "ligase.base.json"
local pg = require "pg"
local pipeline = require "ligase.omics.pipeline"
local recipes = require "ligase.omics.recipes"
local support = require "tests.support"
local sys = require "sys"
local verdict = require "tests.verdicts.verdict"

--- The name columns of all types, and names as they stand: what they mean plays no part.
local function recipe_of(omics)
  local headers = {}
  for _, known in ipairs(recipes.all()) do
    table.move(known.name_columns, 1, 1000, #headers + 1, headers)
  end
  table.move(detect_omics.headers(omics), 1, 1000, #headers + 1, headers)
  local recipe = pipeline.recipe { omics = "lipidomics", feature_type = "lipid", name_columns = headers,
    read_name = function(raw)
      return { name = raw, rule = "verbatim" }
    end,
    stages = { pipeline.recognise, pipeline.link, pipeline.store } }
  recipe.name, recipe.path, recipe.sha256 = "spec", "/spec.lua", sys.sha256("spec")
  return recipe
end

--- The files that are read, in the order of their paths, with format, omics type and rows.
local function accepted()
  local files = {}
  for path, line in pairs((verdict.kept())) do
    local format, omics, rows = line:match("^[^\t]+\tread\t([^\t]*)\t([^\t]*)\t%d+\t%d+\t(%d+)")
    if format then
      files[#files + 1] = { path = path, format = format, omics = omics ~= "in doubt" and omics or nil, rows = rows }
    end
  end
  table.sort(files, function(a, b)
    return a.path < b.path
  end)
  return files
end

--- Ingests one file and exports it; returns what Python has to compare.
local function there_and_back(conn, conninfo, file, name, folder)
  local request <close> = ingest.request(verdict.FOLDER .. "/" .. file.path, recipe_of(file.omics), { name = name })
  ingest.store(conn, request)
  local revision = datasets.revision(conn, datasets.find(conn, name))
  local result = support.ligase { "export", name, database = conninfo }
  assert.equal(0, result.code, file.path .. ": " .. result.stderr)
  local exported = ("%s/%s.csv"):format(folder, name)
  sys.write_file(exported, result.stdout)
  return json.encode { path = request.source.path, exported = exported, format = file.format,
    dialect = revision.dialect, columns = revision.columns }
end

describe("the export of every real file that is read", function()
  setup(function()
    pg.use_json(json.decode)
  end)

  it("equals the file's table #shared #slow", function()
    support.need_shared "INDEX.tsv"
    local conn, conninfo = support.migrated()
    local folder, files, jobs = support.workspace(), accepted(), {}
    for i, file in ipairs(files) do
      jobs[i] = there_and_back(conn, conninfo, file, ("t%03d"):format(i), folder)
    end
    local compared = support.python(sys.read_file(host.home .. "/tests/verdicts/export.py"), {},
      table.concat(jobs, "\n") .. "\n")
    local wrong, at = {}, 0
    for line in compared:gmatch("[^\n]+") do
      at = at + 1
      if line:match("^[^\t]+\t(%d+)\t%d+\t%d+$") ~= files[at].rows then
        wrong[#wrong + 1] = line
      end
    end
    assert.same({}, wrong)
    assert.equal(#files, at)
    assert.is_true(at >= 60, at .. " files were compared")
  end)
end)
