--- What `ligase ingest` and `ligase run` share: their options, and going through the
--- files one by one. What happens to one file is in ligase.ingest.
local errors = require "ligase.base.errors"
local ingest = require "ligase.ingest"
local inputs = require "ligase.io.inputs"
local output = require "ligase.cli.output"
local parsing = require "ligase.cli.parsing"
local pipeline = require "ligase.omics.pipeline"
local progress = require "ligase.cli.progress"
local reading = require "ligase.cli.reading"
local runs = require "ligase.store.runs"
local sys = require "sys"
local telling = require "ligase.cli.telling"
local text = require "ligase.base.text"

local M = {}

-- ---- the command line ------------------------------------------------------

--- Adds the options of both commands.
---@param parser table
function M.configure(parser)
  parser:argument("FILE", "CSV or TSV files, also gzipped; - is standard input."):target("files"):argname("FILE")
    :args("+")
  parser:option("--name", "The dataset's name; without it, the file's name without its ending."):argname("NAME")
    :convert(parsing.name("--name"))
  parser:option("--program", "The program it belongs to; made when it is new."):argname("NAME")
    :convert(parsing.name("--program"))
  parser:option("--experiment", "The experiment it belongs to; made when it is new."):argname("NAME")
    :convert(parsing.name("--experiment"))
  parser:option("--organism", "The organism it was measured in."):argname("NAME")
    :convert(parsing.name("--organism"))
  reading.configure(parser)
  parser:flag("--dry-run", "Say what would happen and write nothing.")
end

--- Each file becomes a dataset of its own, under a name of its own.
local function check_names(arguments)
  if arguments.name and #arguments.files > 1 then
    errors.raise { kind = "usage", code = "name", message = "--name is for one file, and several were given",
      hint = "Leave it out to name each dataset after its file" }
  end
  local seen = {}
  for _, file in ipairs(arguments.files) do
    local name = arguments.name or inputs.name_of(file)
    if not name then
      errors.raise { kind = "usage", code = "name", message = ("%s has no name for its dataset"):format(
        file == "-" and "standard input" or text.printable(file)), hint = "Say --name NAME" }
    elseif not utf8.len(name) or name:find("%c") then
      errors.raise { kind = "usage", code = "name", message = ("the name of %s is no name for a dataset"):format(
        text.printable(file)), hint = "A name is UTF-8 text without control characters: say --name NAME" }
    elseif seen[name] and seen[name] ~= file then
      errors.raise { kind = "usage", code = "name", message = ("%s and %s would both be the dataset '%s'"):format(
        text.printable(seen[name]), text.printable(file), text.printable(name)),
        hint = "Ingest them one by one, each with a --name" }
    end
    seen[name] = file
  end
end

-- ---- one file --------------------------------------------------------------

--- Looks at the next file while Postgres stores this one. What is wrong with it will be
--- said when its turn comes.
local function looker(shared, file, ahead)
  if not file or shared.dry_run or inputs.is_stream(file) then
    return nil
  end
  return function()
    local request
    local looked = errors.try(function()
      request = ingest.request(file, shared.recipe, shared.options)
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
  end
  report.seconds = sys.monotonic() - started
  return report
end

-- ---- failures --------------------------------------------------------------

local LOST = "^08" -- the class of lost connections

--- Adds which file it was. The words the lab's runbooks look for stand before what
--- Postgres said.
local function as_required(failure, file)
  if errors.is(failure, "database") then
    failure.message = "Postgres creation failed (required): " .. failure.message
    failure.file = failure.file or file
    if file and failure.code:find(LOST) and not failure.unknown_outcome then
      failure.hint = "Nothing of the file was stored: run the same command again"
    end
  elseif failure.kind == "interrupted" then
    failure.file = failure.file or file
    failure.hint = "A file is stored whole or not at all: run the same command again"
  end
  return failure
end

--- Failures of the server and not of one file: the next file would fail alike.
local function is_final(failure)
  if failure.kind == "database" then
    local class = failure.code:sub(1, 2)
    return class == "08" or class == "53" or class == "58" or class == "42" or failure.code:find("^57P") ~= nil
      or failure.code == "25006"
  end
  return failure.kind == "interrupted" or failure.kind == "internal"
end

local function report_failure(failure)
  output.push()
  io.stderr:write("ligase: ", text.printable(errors.describe(failure)), "\n")
end

-- ---- all files -------------------------------------------------------------

--- The connection, or for a dry run nil with the reason: that must not make a private
--- Postgres just to find it empty, nor bring a schema up to date.
local function open_for(arguments, context)
  context:need_postgres()
  if not arguments.dry_run then
    local opened, result = xpcall(context.open, errors.explained, context)
    return opened and result or error(as_required(result), 0)
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
  local how = reading.options_of(arguments)
  local conn, unasked, is_bare = open_for(arguments, context)
  local shared = { recipe = recipe, dry_run = arguments.dry_run, conn = conn, unasked = unasked, is_bare = is_bare }
  shared.options = {
    command = command, dialect = how.dialect, set = how.set, format = how.format, samples = how.samples,
    name = arguments.name,
    program = arguments.program, experiment = arguments.experiment, organism = arguments.organism,
    linking = context.config:get "ENABLE_FEATURE_LINKING",
    outbox = context.config:get "ENABLE_NOTION_SYNC" or context.config:get "ENABLE_DUAL_WRITE",
    resolver = pipeline.resolver(recipe), batch_id = #arguments.files > 1 and sys.uuid7() or nil,
    reconnect = function()
      shared.conn = context:open()
      return context:open()
    end,
  }
  return shared
end

--- Ingests the files one after the other. A bad file is reported and the rest goes on.
---@param arguments table as parsed
---@param context ligase.context
---@param recipe ligase.recipe
---@param command string
---@return integer status 0, or 1 when a file could not be ingested (2: by misuse)
function M.ingest_all(arguments, context, recipe, command)
  check_names(arguments)
  local shared = shared_by_files(arguments, context, recipe, command)
  local failed, misused, ahead = 0, 0, {}
  for i, file in ipairs(arguments.files) do
    local request, report = ahead.request, nil
    ahead.request = nil
    local done, result = xpcall(function()
      request = request or ingest.request(file, recipe, shared.options)
      local open <close> = request -- luacheck: ignore
      report = ingest_file(shared, request, looker(shared, arguments.files[i + 1], ahead))
    end, errors.explained)
    if done then
      telling.tell(request, report)
    else
      failed = failed + 1
      misused = misused + (result.kind == "usage" and 1 or 0)
      if not arguments.dry_run and result.kind ~= "usage" then
        runs.journal_failure(shared.conn, request and request.run
          or runs.new(command, recipe, { source = file, name = arguments.name }, shared.options.batch_id), result)
      end
      as_required(result, request and request.source.shown)
      if is_final(result) then
        telling.tell_all(#arguments.files, i - failed, failed)
        error(result, 0)
      end
      report_failure(result)
    end
  end
  telling.tell_all(#arguments.files, #arguments.files - failed, failed)
  return failed == 0 and 0 or failed == misused and 2 or 1
end

return M
