--- What `ligase ingest` and `ligase run` share: reading files by a recipe, one
--- transaction each.
local errors = require "ligase.base.errors"
local features = require "ligase.store.features"
local ingestion = require "ligase.store.ingestion"
local inputs = require "ligase.cli.inputs"
local output = require "ligase.cli.output"
local parsing = require "ligase.cli.parsing"
local pipeline = require "ligase.omics.pipeline"
local progress = require "ligase.cli.progress"
local runs = require "ligase.store.runs"
local sys = require "sys"
local telling = require "ligase.cli.telling"
local text = require "ligase.base.text"

local M = {}

--- Times a file is tried when the database asked to try again.
local ATTEMPTS = 5
local TRY_AGAIN = { ["40001"] = true, ["40P01"] = true, ["55P03"] = true }

-- ---- the command line ------------------------------------------------------

local SEPARATORS = { comma = ",", tab = "\t", ["\\t"] = "\t", semicolon = ";", bar = "|", space = " " }

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
  parser:option("--set", "A column's role: feature, sample, statistic, annotation, or a statistic's name "
    .. "(p_value, ...). May be given again."):argname("COLUMN=ROLE"):count("*")
  parser:option("--separator", "comma, tab, semicolon, bar, space or the character itself."):argname("CHAR")
    :convert(parsing.character("--separator", SEPARATORS))
  parser:option("--quote", "The quote mark, or none."):argname("CHAR")
    :convert(parsing.character("--quote", { none = false }))
  parser:option("--encoding", "utf-8, utf-16le, latin1, ..."):argname("NAME")
  parser:option("--decimal", "The decimal mark, . or the comma."):argname("CHAR")
    :convert(parsing.one_of("--decimal", { ".", "," }))
  parser:option("--comment", "Lines that begin with it are skipped."):argname("CHAR")
    :convert(parsing.character("--comment", {}))
  parser:option("--skip-lines", "Lines before the header."):argname("N")
    :convert(parsing.whole_number("--skip-lines", 0))
  parser:option("--missing", "Texts that stand for a missing value, separated by commas."):argname("MARKS")
  parser:flag("--dry-run", "Say what would happen and write nothing.")
end

local function dialect_answers(arguments)
  local missing
  if arguments.missing then
    missing = { "" }
    for mark in arguments.missing:gmatch("[^,]+") do
      missing[#missing + 1] = mark
    end
  end
  return {
    separator = arguments.separator, quote = arguments.quote, encoding = arguments.encoding,
    decimal = arguments.decimal, comment = arguments.comment, skip_lines = arguments.skip_lines, missing = missing,
  }
end

local function roles_set(pairs_given)
  local set = {}
  for _, pair in ipairs(pairs_given) do
    local column, role = pair:match("^(.*)=([^=]+)$")
    if not column then
      errors.raise { kind = "usage", code = "set", message = ("--set %s says no role"):format(pair),
        hint = "Write --set COLUMN=ROLE, for example --set 'Lipid ID=feature'" }
    end
    set[column] = role
  end
  return set
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

local function ingest_options(job)
  local line = job.line
  return {
    dialect = job.answers, set = job.set, linking = job.linking, resolver = job.resolver,
    progress = function(bytes)
      line:at(bytes)
    end,
  }
end

local function what(job, ingest)
  return { omics = job.recipe.omics, name = job.name, given = pipeline.given_of(ingest), outbox = job.outbox }
end

--- What storing the file would come to.
---@return string outcome "created", "revised", "unchanged", or "unknown" without a database
---@return integer|nil revision
local function foresee(job, ingest)
  if not job.shared.conn then
    return job.is_bare and "created" or "unknown"
  end
  local writer <close> = ingestion.begin(job.shared.conn, job.run, what(job, ingest))
  if writer.existing and writer:is_current(sys.sha256_file(job.source.path), job.recipe) then
    return "unchanged", writer.existing.current_revision
  end
  return writer.existing and "revised" or "created", writer.revision
end

--- Reads the file without writing: counts rows and asks which features are known.
local function rehearse(job)
  local ingest = pipeline.prepare(job.recipe, job.source, ingest_options(job))
  local outcome, revision = foresee(job, ingest)
  if outcome == "unchanged" then
    return { outcome = outcome, revision = revision, rehearsed = true }
  end
  local findings, info = pipeline.read(ingest)
  local counts = { rows = info.rows, values = ingest.counts.values, bytes = info.bytes }
  if ingest.linking and job.shared.conn and not ingest.uncounted then
    local _, new = features.missing(job.shared.conn, ingest.resolver.feature_type, ingest.resolver.waiting)
    counts.features, counts.features_new = ingest.distinct, #new
  end
  ingest.resolver:rolled_back()
  return { outcome = outcome, revision = revision, rehearsed = true, counts = counts, findings = findings,
    plan = ingest.plan, unasked = ingest.linking and job.unasked or nil }
end

local function details(job)
  return { program = job.program, experiment = job.experiment, organism = job.organism }
end

--- Reads and writes the file in one transaction.
local function write(job)
  local ingest = pipeline.prepare(job.recipe, job.source, ingest_options(job))
  local writer <close> = ingestion.begin(job.shared.conn, job.run, what(job, ingest))
  if writer.existing and writer:is_current(sys.sha256_file(job.source.path), job.recipe) then
    return writer:finish_unchanged(details(job))
  end
  local findings, info = pipeline.read(ingest, writer)
  writer:link(ingest.resolver)
  local report = writer:finish({ source = job.source.shown, info = info, findings = findings, plan = ingest.plan,
    recipe = job.recipe, feature_count = not ingest.uncounted and ingest.distinct or nil }, details(job))
  report.findings, report.plan = findings, ingest.plan
  return report
end

--- A COMMIT whose answer was lost: looks by the run's id whether it took place. Beginning
--- again waits for the lock that the lost transaction may still hold.
local function settle(job, failure)
  local looked, outcome, revision = pcall(function()
    job.shared.conn = job.reconnect()
    local writer <close> = ingestion.begin(job.shared.conn, job.run, { omics = job.recipe.omics, name = job.name,
      given = {} })
    return runs.outcome(job.shared.conn, job.run.id), writer.existing and writer.existing.current_revision
  end)
  if looked and outcome then
    return { outcome = outcome == "unchanged" and "unchanged" or "settled", revision = revision }
  elseif looked then
    failure.hint = "Nothing of the file was stored: run the same command again"
  end
  error(failure, 0)
end

local function explained(failure)
  return errors.is(failure) and failure or errors.wrap(debug.traceback(tostring(failure), 2))
end

local function attempt(job)
  for try = 1, ATTEMPTS do
    local done, result = xpcall(write, explained, job)
    if done then
      job.resolver:committed()
      return result
    end
    job.resolver:rolled_back()
    if ingestion.is_unknown(result) then
      return settle(job, result)
    elseif not (errors.is(result, "database") and TRY_AGAIN[result.code]) or try == ATTEMPTS then
      error(result, 0)
    end
    sys.sleep(math.random() * 0.05 * 2 ^ try)
  end
end

local function ingest_file(job, file)
  local started = sys.monotonic()
  local source <close> = inputs.open(file)
  job.source = source
  local stat = sys.stat(source.path)
  local line <close> = progress.new(job.name, stat and stat.size_bytes)
  job.line = line
  local report = job.dry_run and rehearse(job) or attempt(job)
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
    local opened, result = xpcall(context.open, explained, context)
    return opened and result or error(as_required(result), 0)
  elseif context:is_bare() then
    return nil, "there is no private Postgres yet", true
  end
  local opened, result = xpcall(context.open, explained, context, { migrate = false })
  if opened then
    return result
  elseif result.kind == "interrupted" or result.kind == "internal" then
    error(result, 0)
  end
  return nil, result.message
end

local function job_for(shared, arguments, file)
  local job = setmetatable({}, { __index = shared })
  job.name = arguments.name or inputs.name_of(file)
  job.run = runs.new(shared.command, shared.recipe, { source = file == "-" and "(standard input)" or file,
    name = job.name, program = shared.program, experiment = shared.experiment, organism = shared.organism },
    shared.batch_id)
  return job
end

--- Ingests the files one after the other. A bad file is reported and the rest goes on.
---@param arguments table as parsed
---@param context ligase.context
---@param recipe ligase.recipe
---@param command string
---@return integer status 0, or 1 when a file could not be ingested (2: by misuse)
function M.ingest_all(arguments, context, recipe, command)
  check_names(arguments)
  local set, conn, unasked, is_bare = roles_set(arguments.set), open_for(arguments, context)
  local shared = {
    recipe = recipe, command = command, answers = dialect_answers(arguments), set = set,
    program = arguments.program, experiment = arguments.experiment, organism = arguments.organism,
    dry_run = arguments.dry_run, conn = conn, unasked = unasked, is_bare = is_bare,
    linking = context.config:get "ENABLE_FEATURE_LINKING",
    outbox = context.config:get "ENABLE_NOTION_SYNC" or context.config:get "ENABLE_DUAL_WRITE",
    resolver = pipeline.resolver(recipe), batch_id = #arguments.files > 1 and sys.uuid7() or nil,
    reconnect = function()
      return context:open()
    end,
  }
  shared.shared = shared
  local failed, misused = 0, 0
  for i, file in ipairs(arguments.files) do
    local job = job_for(shared, arguments, file)
    local done, result = xpcall(ingest_file, explained, job, file)
    if done then
      telling.tell(job, result)
    else
      failed = failed + 1
      misused = misused + (result.kind == "usage" and 1 or 0)
      if not arguments.dry_run and result.kind ~= "usage" then
        runs.journal_failure(shared.conn, job.run, result)
      end
      as_required(result, job.source and job.source.shown)
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
