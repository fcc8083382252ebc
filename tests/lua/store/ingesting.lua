--- What the specs of the store share: one file read into Postgres as the commands do
--- it, without a command line in between.
local ingestion = require "ligase.store.ingestion"
local pg = require "pg"
local pipeline = require "ligase.omics.pipeline"
local recipes = require "ligase.omics.recipes"
local runs = require "ligase.store.runs"
local support = require "tests.support"
local sys = require "sys"

local M = {}

--- Names stay as they stand, so that what is expected needs no knowledge of lipids.
---@param changes table|nil fields of the recipe
---@return ligase.recipe
function M.recipe(changes)
  local definition = {
    omics = "lipidomics", feature_type = "lipid", name_columns = { "lipid" },
    read_name = function(raw)
      return { name = raw, rule = "verbatim" }
    end,
    stages = { pipeline.recognise, pipeline.link, pipeline.store },
  }
  for field, value in pairs(changes or {}) do
    definition[field] = value
  end
  local recipe = recipes.define(definition)
  recipe.name, recipe.path, recipe.sha256 = "spec", "/spec.lua", sys.sha256("spec")
  return recipe
end

--- Begins an ingestion as the commands do.
---@param conn table
---@param call table as for M.ingest
---@return ligase.ingestion writer
---@return table ingest the pipeline's
function M.begin(conn, call)
  local recipe = call.recipe or M.recipe()
  local source = pipeline.source(call.path or support.tmpfile(call.text, (call.name or "x") .. ".csv"))
  local run = runs.new("ingest", recipe, { source = source.shown })
  local ingest = pipeline.prepare(recipe, source, { dialect = call.dialect, set = call.set, linking = call.linking,
    resolver = call.resolver })
  local writer = ingestion.begin(conn, run, { omics = recipe.omics, name = call.name or source.name,
    given = pipeline.given_of(ingest), outbox = call.outbox })
  return writer, ingest
end

--- Reads and writes one file in one transaction.
---@param conn table
---@param call table {text= or path=, name=, recipe=, dialect=, set=, linking=, resolver=, outbox=, program=,
--- experiment=, organism=}
---@return table report with findings and plan
function M.ingest(conn, call)
  local begun, ingest = M.begin(conn, call)
  local writer <close> = begun
  local given = { program = call.program, experiment = call.experiment, organism = call.organism }
  if writer.existing and writer:is_current(sys.sha256_file(ingest.source.path), ingest.recipe) then
    return writer:finish_unchanged(given)
  end
  local findings, info = pipeline.read(ingest, writer)
  writer:link(ingest.resolver)
  local report = writer:finish({ source = ingest.source.shown, info = info, findings = findings, plan = ingest.plan,
    recipe = ingest.recipe, feature_count = not ingest.uncounted and ingest.distinct or nil }, given)
  ingest.resolver:committed()
  report.findings, report.plan = findings, ingest.plan
  return report
end

--- How many rows the tables hold, for "nothing was written".
---@param conn table
---@return table<string, integer>
function M.counts(conn)
  local counts = {}
  for _, name in ipairs { "datasets", "revisions", "measurements", "features", "feature_names", "programs",
    "experiments", "runs", "outbox" } do
    counts[name] = conn:query("SELECT count(*) AS n FROM " .. name)[1].n
  end
  return counts
end

--- A second connection to the database of a first one, closed by the caller.
---@param conninfo string
---@return table conn
function M.connect(conninfo)
  return pg.connect(conninfo)
end

return M
