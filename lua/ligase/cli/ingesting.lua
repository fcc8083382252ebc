--- What `ligase ingest` and `ligase run` share: their options, and going through files
--- that were named, one by one. What happens to one file is in ligase.intake.ingest; folders and
--- many files at a time are ligase.cli.batch's.
local batch = require "ligase.cli.batch"
local datasets = require "ligase.store.datasets"
local errors = require "ligase.base.errors"
local failing = require "ligase.cli.failing"
local finding = require "ligase.cli.finding"
local ingest = require "ligase.intake.ingest"
local inputs = require "ligase.io.inputs"
local mirroring = require "ligase.cli.mirroring"
local parsing = require "ligase.cli.parsing"
local progress = require "ligase.cli.progress"
local reading = require "ligase.cli.reading"
local recipes = require "ligase.omics.recipes"
local requests = require "ligase.cli.requests"
local runs = require "ligase.store.runs"
local scoring_ingested = require "ligase.cli.scoring_ingested"
local sys = require "sys"
local telling = require "ligase.cli.telling"

local M = {}

-- ---- the command line ------------------------------------------------------

--- Adds the options of both commands.
---@param parser table
function M.configure(parser)
  parser:argument("FILE", "Tables, also gzipped; folders, for the tables in and below them; - is standard input.")
    :target("files"):argname("FILE"):args("*")
  parser:option("--name", "The dataset's name; without it, the file's name without its ending."):argname("NAME")
    :convert(parsing.name("--name"))
  requests.configure_links(parser)
  parser:option("--organism", "The organism it was measured in."):argname("NAME")
    :convert(parsing.name("--organism"))
  parser:option("--tag", "A word for the journal, by which the runs are found again."):argname("WORD")
    :convert(parsing.name("--tag"))
  parser:option("--campaign", "Of screening results: the campaign that they belong to."):argname("NAME")
    :convert(parsing.name("--campaign"))
  reading.configure(parser)
  batch.configure(parser)
  mirroring.configure(parser)
  parser:flag("--dry-run", "Say what would happen and write nothing.")
end

--- Only what was set aside can be meant without being named.
local function check(arguments)
  if arguments.campaign then
    errors.raise { kind = "usage", code = "usage", message = "--campaign is for screening results",
      hint = "Read them with: ligase screening --campaign NAME FILE, or --recipe screening" }
  end
  if #arguments.files == 0 and not arguments.retry then
    errors.raise { kind = "usage", code = "usage", message = "FILE is missing", hint = "See: ligase ingest --help" }
  elseif arguments.dry_run and (arguments.retry or arguments.report) then
    errors.raise { kind = "usage", code = "usage", message = "--dry-run goes with neither --retry nor --report",
      hint = "Name the files: ligase ingest --dry-run FILE..." }
  end
end

-- ---- one file --------------------------------------------------------------

local function request_of(shared, file)
  return ingest.request(file.path, shared.recipe, requests.options_for(shared.options, file.name, shared.batch_id))
end

--- Looks at the next file while Postgres stores this one. What is wrong with it will be
--- said when its turn comes.
local function looker(shared, file, ahead)
  if not file or shared.dry_run or inputs.is_stream(file.path) then
    return nil
  end
  return function()
    local request
    local looked = errors.try(function()
      request = request_of(shared, file)
      ingest.look(request)
    end)
    ahead.request = looked and request or nil
  end
end

local function ingest_file(shared, request, meanwhile)
  local started = sys.monotonic()
  local stat = sys.stat(request.source.path)
  local line <close> = progress.new(request.name, stat and stat.size_bytes)
  request.meanwhile = meanwhile
  request.progress = function(bytes)
    line:at(bytes)
  end
  if request.looked then
    request.looked.progress = request.progress
  end
  local report
  if shared.dry_run then
    report = ingest.rehearse(shared.conn, request)
    if report.outcome == "unknown" and shared.is_bare then
      report.outcome = "created"
    end
    report.unasked = shared.options.linking and shared.unasked or nil
  else
    report = ingest.store(shared.conn, request)
    report.scores = shared.scorer:score(shared.conn, request.name, report)
  end
  report.seconds = sys.monotonic() - started
  return report
end

-- ---- all files -------------------------------------------------------------

--- The connection, or for a dry run nil with the reason: that must not make a private
--- Postgres just to find it empty, nor bring a schema up to date.
local function open_for(arguments, context)
  context:need_postgres()
  if not arguments.dry_run then
    return failing.open(context)
  elseif context:is_bare() then
    return nil, "there is no private Postgres yet", true
  end
  local opened, result = xpcall(context.open, errors.explained, context, { migrate = false })
  if opened then
    return result
  elseif result.kind == "interrupted" or result.kind == "internal" then
    error(result, 0)
  end
  return nil, result.message
end

local function shared_by_files(arguments, context, recipe, command)
  reading.options_of(arguments) -- what is wrong with the options is said before anything is opened
  local conn, unasked, is_bare = open_for(arguments, context)
  local options = requests.options_of(arguments, context, command)
  requests.check_links(conn, arguments, is_bare)
  options.resolvers = requests.resolvers(context, conn)
  local shared = { recipe = recipe, dry_run = arguments.dry_run, conn = conn, unasked = unasked, is_bare = is_bare,
    options = options, scorer = scoring_ingested.new(context.config) }
  options.reconnect = function()
    shared.conn = context:open()
    return context:open()
  end
  return shared
end

--- The files without those that --skip-existing leaves out.
local function left_of(files, arguments, shared)
  if not (arguments.skip_existing and shared.conn) then
    return files
  end
  local names, left = {}, {}
  for i, file in ipairs(files) do
    names[i] = file.name
  end
  local existing = datasets.existing(shared.conn, shared.recipe and shared.recipe.omics, names)
  for _, file in ipairs(files) do
    if existing[file.name] then
      telling.tell_skipped(file.name)
    else
      left[#left + 1] = file
    end
  end
  return left
end

local function ingest_found(found, arguments, context, recipe, command)
  local shared = shared_by_files(arguments, context, recipe, command)
  local files = left_of(found.files, arguments, shared)
  local failed, misused, ahead = #found.problems, 0, {}
  local total = #files + failed
  shared.batch_id = total > 1 and sys.uuid7() or nil
  for _, problem in ipairs(found.problems) do
    failing.report(problem.error)
  end
  for i, file in ipairs(files) do
    local request, report = ahead.request, nil
    ahead.request = nil
    local done, result = xpcall(function()
      request = request or request_of(shared, file)
      local open <close> = request -- luacheck: ignore
      report = ingest_file(shared, request, looker(shared, files[i + 1], ahead))
    end, errors.explained)
    if done then
      telling.tell(request, report)
    else
      failed = failed + 1
      misused = misused + (result.kind == "usage" and 1 or 0)
      if not arguments.dry_run and result.kind ~= "usage" then
        runs.journal_failure(shared.conn, request and request.run or runs.new(command, recipe, { source = file.path,
          name = file.name, tag = arguments.tag }, shared.batch_id), result)
        batch.note_failure(shared.conn, arguments, recipe, command, file, result)
      end
      failing.as_required(result, request and request.source.shown)
      if failing.is_final(result) then
        telling.tell_all(total, i - failed, failed)
        error(result, 0)
      end
      failing.report(result)
    end
  end
  telling.tell_all(total, total - failed, failed)
  if shared.conn and not arguments.dry_run then
    mirroring.finish(context, shared.conn, arguments)
  end
  return failed == 0 and 0 or failed == misused and 2 or 1
end

--- Ingests files: those named, one after the other; folders and many at a time by the
--- queue. A bad file is reported and the rest goes on.
---@param arguments table as parsed
---@param context ligase.context
---@param recipe ligase.recipe|ligase.other_recipe|nil nil: for each file the one for what is in it
---@param command string
---@return integer status 0, or 1 when a file could not be ingested (2: by misuse)
function M.ingest_all(arguments, context, recipe, command)
  if recipes.is_other(recipe) then
    return require("ligase.cli.other_files").store_all(arguments, context, recipe, command)
  end
  check(arguments)
  if not context.config:get "USE_POSTGRES_AS_SOT" then
    return require("ligase.cli.notion_ingest").ingest_all(arguments, context, recipe, command)
  end
  local found = finding.find(arguments.files, { name = arguments.name, except = arguments.samples })
  mirroring.check(arguments, #found.files)
  if batch.is_wanted(arguments, found) then
    return batch.run(arguments, found, context, recipe, command)
  end
  return ingest_found(found, arguments, context, recipe, command)
end

return M
