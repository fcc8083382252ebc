--- What the specs of the store share: one file read into Postgres as the commands do
--- it, without a command line in between.
local ingest = require "ligase.intake.ingest"
local ingestion = require "ligase.store.ingestion"
local pg = require "pg"
local pipeline = require "ligase.omics.pipeline"
local recipes = require "ligase.omics.recipes"
local support = require "tests.support"
local sys = require "sys"

local M = {}

local shared, shared_conninfo

--- Makes the database that fresh() hands out; for a setup of the whole file.
function M.open()
  shared, shared_conninfo = support.migrated()
end

--- The file's database, emptied: much quicker than a new one.
---@return table conn
---@return string conninfo
function M.fresh()
  shared:script([[
DELETE FROM outbox; DELETE FROM jobs; DELETE FROM measurements; DELETE FROM revisions;
DELETE FROM program_datasets; DELETE FROM experiment_datasets; DELETE FROM datasets;
DELETE FROM features; DELETE FROM feature_names; DELETE FROM name_sets;
DELETE FROM experiments; DELETE FROM programs; DELETE FROM runs]])
  return shared, shared_conninfo
end

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

local OPTIONS = { "dialect", "set", "linking", "resolver", "outbox", "program", "experiment", "create",
  "organism" }

local function request_of(call)
  local options = { name = call.name or call.text and "x" or nil }
  for _, option in ipairs(OPTIONS) do
    options[option] = call[option]
  end
  return ingest.request(call.path or support.tmpfile(call.text), call.recipe or M.recipe(), options)
end

--- Reads and writes one file in one transaction.
---@param conn table
---@param call table {text= or path=, name=, recipe=, dialect=, set=, linking=, resolver=, outbox=, program=,
--- experiment=, create=, organism=}
---@return table report with findings and plan
function M.ingest(conn, call)
  return ingest.store(conn, request_of(call))
end

--- Only begins, so that a spec can stop at any step.
---@param conn table
---@param call table as for M.ingest
---@return ligase.ingestion writer
---@return table reading the pipeline's
function M.begin(conn, call)
  local request = request_of(call)
  local reading = pipeline.prepare(request.recipe, request.source, request)
  local writer = ingestion.begin(conn, request.run, { omics = request.recipe.omics, name = request.name,
    given = pipeline.given_of(reading), outbox = call.outbox })
  return writer, reading
end

--- The steps of a spec's ingestion that are left after begin.
---@param writer ligase.ingestion
---@param reading table
---@return table report
function M.finish(writer, reading)
  local findings, info = pipeline.read(reading, writer)
  writer:link(reading.resolver, reading.resolver:take())
  return writer:finish({ source = reading.source.shown, info = info, recipe = reading.recipe,
    description = ingestion.describe(findings, reading.plan), feature_count = reading.distinct }, {})
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
