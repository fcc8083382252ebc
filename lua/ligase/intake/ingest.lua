--- One file into one revision of one dataset: the main path as a function, for the
--- command line and for scripts.
---
---   local ingest = require "ligase.intake.ingest"
---   local request = ingest.request("plasma.csv", require("ligase.omics.recipes").load "lipidomics")
---   print(ingest.store(conn, request).counts.rows)
---
--- Reading is ligase.omics.pipeline, writing is ligase.store.ingestion; here they meet,
--- and here it is decided what to do when Postgres asks to try again or a COMMIT gets
--- no answer.
local detect_omics = require "ligase.omics.detect_omics"
local errors = require "ligase.base.errors"
local features = require "ligase.store.features"
local ingestion = require "ligase.store.ingestion"
local inputs = require "ligase.io.inputs"
local inspection = require "ligase.omics.inspection"
local opening = require "ligase.omics.opening"
local options_of = require "ligase.base.options"
local page_owners = require "ligase.store.page_owners"
local pipeline = require "ligase.omics.pipeline"
local recipes = require "ligase.omics.recipes"
local runs = require "ligase.store.runs"
local sys = require "sys"

local M = {}

--- Times a file is tried when the database asked to try again.
local ATTEMPTS = 5
local TRY_AGAIN = { ["40001"] = true, ["40P01"] = true, ["55P03"] = true }

--- How long the lost transaction may hold its lock before its outcome stays unknown.
local SETTLE_WAIT_S = 30

---@class ligase.ingest_options
---@field name string|nil the dataset's name; the file's without its ending when nil
---@field dialect table|nil answers instead of detection: separator, quote, encoding, decimal, ...
---@field format string|nil which format the file is, instead of detection
---@field samples ligase.sample_table|nil attributes of the samples, see ligase.omics.samples
---@field set table<string,string>|nil roles of columns
---@field linking boolean|nil false: rows are not linked to features
---@field outbox boolean|table<string, boolean>|nil other systems are to be told, of all or of changes in these tables
---@field create_page boolean|nil Notion is told of the dataset in any case
---@field notion_page_id string|nil the page that the dataset has
---@field force boolean|nil a file that is unchanged is read again and makes a new revision
---@field program string|string[]|nil the programs it belongs to, as a person may call them; they replace those it has
---@field experiment string|string[]|nil
---@field create boolean|nil programs and experiments that are not there are made
---@field organism string|nil
---@field command string|nil what the journal calls it ("ingest")
---@field tag string|nil a word in the journal by which the run is found again
---@field batch_id string|nil the journal's mark of files that came together
---@field resolver ligase.resolver|nil one that already knows names
---@field resolvers table|nil from M.resolvers, shared by many files: they remember names
---@field progress fun(bytes: integer)|nil called after every frame
---@field reconnect (fun(): table)|nil makes a new connection, to ask about a lost COMMIT

---@class ligase.request: ligase.ingest_options
---@field recipe ligase.recipe
---@field resolver ligase.resolver
---@field source ligase.source
---@field run ligase.run
---@field opened ligase.opened|nil the source, opened to see what is in it
---@field looked ligase.ingest|nil what look found out
---@field rollbacks integer|nil the resolver's, when it looked
---@field meanwhile fun()|nil called when all rows are sent and Postgres still works on them

local OPTIONS = {
  name = { type = "string" }, format = { type = "string" }, samples = { type = "table" },
  dialect = { type = "table" }, set = { type = "table" }, linking = { type = "boolean" },
  outbox = { type = "boolean|table" }, create_page = { type = "boolean" }, notion_page_id = { type = "string" },
  force = { type = "boolean" }, program = { type = "string|table" },
  experiment = { type = "string|table" }, create = { type = "boolean" },
  organism = { type = "string" }, command = { type = "string", default = "ingest" }, batch_id = { type = "string" },
  tag = { type = "string" },
  resolver = { type = "table" }, resolvers = { type = "table" }, progress = { type = "function" },
  reconnect = { type = "function" },
}

local Request = {}
Request.__index = Request

--- What the files of one process share: for each recipe the resolver that remembers its
--- names, and for each omics type its recipe.
---@param aliases ligase.alias_lookup|nil what asks the alias tables
---@return table resolvers
function M.resolvers(aliases)
  return { aliases = aliases, by_recipe = {}, recipes = {} }
end

local function resolver_of(resolvers, recipe)
  local resolver = resolvers.by_recipe[recipe]
  if not resolver then
    resolver = pipeline.resolver(recipe)
    if resolvers.aliases then
      resolvers.aliases:serve(resolver)
    end
    resolvers.by_recipe[recipe] = resolver
  end
  return resolver
end

--- A reading of the file; what was opened to see what is in it is used once.
local function prepare(request, recipe)
  local opened = request.opened
  request.opened = nil
  return pipeline.prepare(recipe, request.source, request, opened)
end

--- Refuses a file that no omics type was found for: what is wrong with the table itself
--- comes first.
local function refuse_doubtful(request, candidates)
  local reading <close> = prepare(request, inspection.plain_recipe())
  pipeline.look(reading)
  if reading.counts.rows == 0 then
    pipeline.read(reading)
  end
  local known = {}
  for i, recipe in ipairs(recipes.all()) do
    known[i] = recipe.name
  end
  detect_omics.refuse(request.source.shown, candidates, known)
end

--- The recipe for what is in the file. Raises when that is in doubt.
local function recipe_of(request)
  request.opened = opening.open(request.source, request.dialect or {}, request.format)
  local omics, candidates = detect_omics.guess(request.opened, request.set)
  if not omics then
    refuse_doubtful(request, candidates)
  end
  local known = request.resolvers.recipes
  known[omics] = known[omics] or recipes.load(omics)
  return known[omics]
end

local function choose(request, recipe)
  request.recipe = recipe or recipe_of(request)
  request.resolver = request.resolver or resolver_of(request.resolvers, request.recipe)
end

--- A request to read one file by one recipe; for one use. Close it: a stream was kept in
--- a temporary file.
---@param path string a path, or "-" for standard input
---@param recipe ligase.recipe|nil nil: the one for the omics type that is found in the file
---@param options ligase.ingest_options|nil
---@return ligase.request
function M.request(path, recipe, options)
  local request = setmetatable(options_of.check(options or {}, OPTIONS, "ingest"), Request)
  request.name = request.name or inputs.name_of(path)
  if not request.name then
    errors.raise { kind = "usage", code = "name", message = "standard input has no name for its dataset",
      hint = "Say which: --name NAME, or the option name" }
  end
  request.resolvers = request.resolvers or M.resolvers()
  request.source = inputs.open(path)
  local chosen, failure = errors.try(choose, request, recipe)
  if not chosen then
    request:__close()
    error(failure, 0)
  end
  request.run = runs.new(request.command, request.recipe, { source = request.source.shown, name = request.name,
    program = request.program, experiment = request.experiment, organism = request.organism,
    tag = request.tag }, request.batch_id)
  return request
end

function Request:__close()
  if self.opened then
    self.opened:close()
    self.opened = nil
  end
  if self.looked then
    self.looked:close()
    self.looked = nil
  end
  getmetatable(self.source).__close(self.source)
end

--- Does ahead what needs no database: finds out how the file is written, reads its first
--- frame and resolves the names in it. Raises what is wrong with it.
---@param request ligase.request
function M.look(request)
  local ingest = prepare(request, request.recipe)
  request.looked, request.rollbacks = ingest, request.resolver.rollbacks
  pipeline.look(ingest)
end

--- The reading that look began, or a new one: also when names that it counts on were
--- rolled back since.
local function reading_of(request)
  local ingest = request.looked
  request.looked = nil
  if ingest and request.rollbacks ~= request.resolver.rollbacks then
    ingest:close()
    ingest = nil
  end
  return ingest or prepare(request, request.recipe)
end

local function what_of(request, ingest)
  return { omics = request.recipe.omics, name = request.name, given = pipeline.given_of(ingest),
    outbox = request.outbox, create_page = request.create_page }
end

local function is_unchanged(writer, request)
  return not request.force and writer.existing ~= nil
    and writer:is_current(sys.sha256_file(request.source.path), request.recipe)
end

local function store_once(conn, request)
  local ingest <close> = reading_of(request)
  local writer <close> = ingestion.begin(conn, request.run, what_of(request, ingest))
  writer:look_up_links(request)
  writer:check_page(request)
  if is_unchanged(writer, request) then
    return writer:finish_unchanged(request)
  end
  local findings, info = pipeline.read(ingest, writer)
  pipeline.doubt_misfits(ingest, findings, writer:misfit_counts())
  -- While Postgres works on the last rows, whatever needs no answer is done.
  writer:seal()
  local waiting = ingest.resolver:take()
  local description = ingestion.describe(findings, ingest.plan)
  writer:link(ingest.resolver, waiting, request.meanwhile)
  local report = writer:finish({ source = request.source.shown, info = info, description = description,
    recipe = request.recipe, feature_count = not ingest.uncounted and #ingest.seen or nil }, request)
  report.findings, report.plan = findings, ingest.plan
  return report
end

--- A COMMIT whose answer was lost: looks by the run's id whether it took place. Beginning
--- again waits for the lock that the lost transaction may still hold.
local function settle(request, failure)
  local looked, found = errors.try(function()
    local conn <close> = request.reconnect()
    conn:script(("SET lock_timeout = '%ds'"):format(SETTLE_WAIT_S))
    local writer <close> = ingestion.begin(conn, request.run, { omics = request.recipe.omics, name = request.name,
      given = {} })
    return { outcome = runs.outcome(conn, request.run.id),
      revision = writer.existing and writer.existing.current_revision }
  end)
  if looked and found.outcome then
    return { outcome = found.outcome == "unchanged" and "unchanged" or "settled", revision = found.revision }
  elseif looked then
    failure.hint = "Nothing of the file was stored: run the same command again"
  end
  error(failure, 0)
end

--- Whether another transaction wrote the same feature in another way than ligase does, or linked
--- the same page, whose owner the next try names, or Postgres ended one of two that waited for
--- each other: the next try will do.
local function may_try_again(failure)
  return page_owners.is_taken(failure) or errors.is(failure, "database")
    and (TRY_AGAIN[failure.code] or failure.code == "23505" and (failure.table_name or ""):find("^feature") ~= nil)
end

--- Stores the file as a revision of its dataset, in one transaction, or finds it
--- unchanged. Raises input errors (file, line, reason) and database errors; then nothing
--- of it is stored.
---@param conn table
---@param request ligase.request
---@return table report {outcome = "created"|"revised"|"unchanged"|"settled", dataset_id, revision, run_id, counts,
--- findings, plan}
function M.store(conn, request)
  for try = 1, ATTEMPTS do
    local done, result = xpcall(store_once, errors.explained, conn, request)
    if done then
      request.resolver:committed()
      return result
    end
    request.resolver:rolled_back()
    if ingestion.is_unknown(result) and request.reconnect then
      return settle(request, result)
    elseif not may_try_again(result) or try == ATTEMPTS then
      error(result, 0)
    end
    sys.sleep(math.random() * 0.05 * 2 ^ try)
  end
end

--- What storing the file would come to, and which of its names are new.
local function foresee(conn, request, ingest, report)
  local seen = ingestion.peek(conn, what_of(request, ingest))
  seen:check_page(request)
  if is_unchanged(seen, request) then
    report.outcome, report.revision = "unchanged", seen.existing.current_revision
    return
  end
  report.outcome, report.revision = seen.existing and "revised" or "created", seen.revision
end

local function rehearse_in(conn, request, ingest, report)
  if conn then
    ingestion.check_links(conn, request)
    foresee(conn, request, ingest, report)
    if report.outcome == "unchanged" then
      return
    end
  end
  local findings, info = pipeline.read(ingest)
  pipeline.doubt_misfits(ingest, findings, ingest.misfits)
  report.findings, report.plan = findings, ingest.plan
  report.counts = { rows = info.rows, values = ingest.counts.values, bytes = info.bytes }
  if ingest.linking and conn and not ingest.uncounted then
    local _, new = features.missing(conn, ingest.resolver.waiting)
    report.counts.features, report.counts.features_new = #ingest.seen, #new
  end
end

--- Reads the file and writes nothing: counts rows and asks which features are known.
---@param conn table|nil
---@param request ligase.request
---@return table report as from store, with `rehearsed`; the outcome is "unknown" without a connection
function M.rehearse(conn, request)
  local report = { outcome = "unknown", rehearsed = true }
  local ingest <close> = reading_of(request)
  if conn then
    conn:begin()
    conn:script("SET TRANSACTION READ ONLY")
  end
  local done, failure = xpcall(rehearse_in, errors.explained, conn, request, ingest, report)
  if conn then
    errors.try(conn.rollback, conn)
  end
  ingest.resolver:rolled_back()
  if not done then
    error(failure, 0)
  end
  return report
end

return M
