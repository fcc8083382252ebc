--- What `ligase ingest` and `ligase run` share: reading files by a recipe, one
--- transaction each, and saying what became of them.
local dialect = require "ligase.io.dialect"
local errors = require "ligase.base.errors"
local features = require "ligase.store.features"
local ingestion = require "ligase.store.ingestion"
local pipeline = require "ligase.omics.pipeline"
local progress = require "ligase.cli.progress"
local runs = require "ligase.store.runs"
local sys = require "sys"
local text = require "ligase.base.text"

local M = {}

--- Times a file is tried when the database asked to try again.
local ATTEMPTS = 5
local TRY_AGAIN = { ["40001"] = true, ["40P01"] = true, ["55P03"] = true }

-- ---- the command line ------------------------------------------------------

--- Adds the options of both commands.
---@param parser table
function M.configure(parser)
  parser:argument("files", "CSV or TSV files, also gzipped; - is standard input."):args("+"):argname("FILE")
  parser:option("--name", "The dataset's name; without it, the file's name without its ending."):argname("NAME")
  parser:option("--program", "The program it belongs to; made when it is new."):argname("NAME")
  parser:option("--experiment", "The experiment it belongs to; made when it is new."):argname("NAME")
  parser:option("--organism", "The organism it was measured in."):argname("NAME")
  parser:option("--set", "A column's role: feature, sample, statistic, annotation, or a statistic's name "
    .. "(p_value, ...)."):argname("COLUMN=ROLE"):count("*")
  parser:option("--separator", "comma, tab, semicolon, bar, space or the character itself."):argname("CHAR")
  parser:option("--quote", "The quote mark, or none."):argname("CHAR")
  parser:option("--encoding", "utf-8, utf-16le, latin1, ..."):argname("NAME")
  parser:option("--decimal", "The decimal mark."):argname("CHAR"):choices { ".", "," }
  parser:option("--comment", "Lines that begin with it are skipped."):argname("CHAR")
  parser:option("--skip-lines", "Lines before the header."):argname("N"):convert(math.tointeger)
  parser:option("--missing", "Texts that stand for a missing value, separated by commas."):argname("MARKS")
  parser:flag("--dry-run", "Say what would happen and write nothing.")
end

local function dialect_answers(arguments)
  local quote
  if arguments.quote then
    quote = arguments.quote ~= "none" and arguments.quote
  end
  local missing
  if arguments.missing then
    missing = { "" }
    for mark in arguments.missing:gmatch("[^,]+") do
      missing[#missing + 1] = mark
    end
  end
  return {
    separator = arguments.separator and dialect.separator_of(arguments.separator), quote = quote,
    encoding = arguments.encoding, decimal = arguments.decimal, comment = arguments.comment,
    skip_lines = arguments.skip_lines, missing = missing,
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

-- ---- telling ---------------------------------------------------------------

local function columns_line(plan)
  local by_role = { sample = {}, statistic = {}, annotation = {} }
  for _, column in ipairs(plan.columns) do
    local list = by_role[column.role]
    if list then
      list[#list + 1] = column.statistic and ("%s (%s)"):format(column.name, column.statistic) or column.name
    end
  end
  local parts = { ('names in "%s"'):format(plan.feature.name) }
  for _, role in ipairs { "sample", "statistic", "annotation" } do
    local list = by_role[role]
    if #list > 4 then
      parts[#parts + 1] = ("%s: %s ... %s"):format(text.count(#list, role), list[1], list[#list])
    elseif #list > 0 then
      parts[#parts + 1] = ("%s: %s"):format(text.count(#list, role), table.concat(list, ", "))
    end
  end
  return table.concat(parts, "; ")
end

local function dialect_line(findings)
  local parts = { findings.encoding .. (findings.byte_order_mark and " with byte order mark" or ""),
    dialect.separator_name(findings.separator) .. "-separated" }
  if findings.gzip then
    table.insert(parts, 1, "gzip")
  end
  parts[#parts + 1] = findings.decimal == "," and "decimal comma" or nil
  parts[#parts + 1] = ("header on line %d%s"):format(findings.header_line,
    findings.header_short and " without a cell for the names" or "")
  return table.concat(parts, ", ")
end

local function say(label, ...)
  io.stdout:write(("  %-9s"):format(label), string.format(...), "\n")
end

local HEADLINES = { created = "new dataset", revised = "revision %d", dry_run = "would be stored (dry run)" }

--- Prints what became of one file.
local function tell(job, report)
  if report.outcome == "unchanged" then
    io.stdout:write(("%s: unchanged (revision %d)%s\n"):format(job.name, report.revision,
      report.details_changed and ", its details were updated" or ""))
    return
  end
  local counts, findings = report.counts, report.findings
  io.stdout:write(("%s (%s): %s\n"):format(job.name, job.recipe.omics,
    HEADLINES[report.outcome]:format(report.revision or 0)))
  say("read", "%s, %s: %s", job.source.shown, text.bytes(counts.bytes), dialect_line(findings))
  say("columns", "%s", columns_line(report.plan))
  say("stored", "%s, %s%s", text.count(counts.rows, "row"), text.count(counts.values, "value"),
    counts.kept and counts.kept > 0 and (", %s kept as text beside them"):format(text.count(counts.kept, "cell")) or "")
  if counts.features then
    say("features", "%s: %s new, %s known", text.number(counts.features), text.number(counts.features_new),
      text.number(counts.features - counts.features_new))
  end
  for _, doubt in ipairs(findings.doubts) do
    say("doubt", "%s", doubt)
  end
  say("took", "%s", text.duration(report.seconds))
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

--- Reads the file without writing: counts rows and asks which features are known.
local function rehearse(job)
  local ingest = pipeline.prepare(job.recipe, job.source, ingest_options(job))
  local findings, info = pipeline.read(ingest)
  local counts = { rows = info.rows, values = ingest.counts.values, bytes = info.bytes }
  if ingest.linking and job.conn and not ingest.uncounted then
    local _, new = features.missing(job.conn, ingest.resolver.feature_type, ingest.resolver.waiting)
    local keys, new_count = {}, 0
    for _, entry in ipairs(new) do
      if not keys[entry.key] then
        keys[entry.key] = true
        new_count = new_count + 1
      end
    end
    counts.features, counts.features_new = ingest.distinct, new_count
  end
  ingest.resolver:rolled_back()
  return { outcome = "dry_run", counts = counts, findings = findings, plan = ingest.plan }
end

local function details(job)
  return { program = job.program, experiment = job.experiment, organism = job.organism }
end

--- Reads and writes the file in one transaction.
local function write(job)
  local ingest = pipeline.prepare(job.recipe, job.source, ingest_options(job))
  local writer <close> = ingestion.begin(job.conn, job.run, {
    omics = job.recipe.omics, name = job.name, given = pipeline.given_of(ingest), outbox = job.outbox,
  })
  if writer.existing and writer:is_current(sys.sha256_file(job.source.path), job.recipe) then
    return writer:finish_unchanged(details(job))
  end
  local findings, info = pipeline.read(ingest, writer)
  writer:link(ingest.resolver)
  local feature_count
  if not ingest.uncounted then
    feature_count = ingest.distinct
  end
  local report = writer:finish({ source = job.source.shown, info = info, findings = findings, plan = ingest.plan,
    recipe = job.recipe, feature_count = feature_count }, details(job))
  report.findings, report.plan = findings, ingest.plan
  return report
end

--- A COMMIT whose answer was lost: looks by the run's id whether it took place.
local function settle(job, failure)
  local looked, outcome = pcall(function()
    job.conn = job.reconnect()
    return runs.outcome(job.conn, job.run.id)
  end)
  if looked and outcome then
    return { outcome = "unchanged", revision = 0, settled = true }
  end
  error(failure, 0)
end

local function attempt(job)
  for try = 1, ATTEMPTS do
    local done, result = xpcall(write, function(failure)
      return errors.is(failure) and failure or errors.wrap(debug.traceback(tostring(failure), 2))
    end, job)
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

--- The words the lab's runbooks look for stand before what Postgres said.
local function as_required(failure)
  if errors.is(failure, "database") and not failure.required then
    failure.required = true
    failure.message = "Postgres creation failed (required): " .. failure.message
  end
  return failure
end

local function ingest_file(job)
  local started = sys.monotonic()
  local stat = sys.stat(job.source.path)
  local line <close> = progress.new(job.name, stat and stat.size_bytes)
  job.line = line
  local report = job.dry_run and rehearse(job) or attempt(job)
  report.seconds = sys.monotonic() - started
  return report
end

-- ---- all files -------------------------------------------------------------

local function check_names(arguments)
  if arguments.name and #arguments.files > 1 then
    errors.raise { kind = "usage", code = "name", message = "--name is for one file, and several were given",
      hint = "Leave it out to name each dataset after its file" }
  end
  for _, file in ipairs(arguments.files) do
    if file == "-" and not arguments.name then
      errors.raise { kind = "usage", code = "name", message = "standard input has no name for its dataset",
        hint = "Say --name NAME" }
    end
  end
end

--- Whether going on with the next file makes sense.
local function is_final(failure)
  return not errors.is(failure) or failure.kind == "interrupted" or failure.kind == "internal"
    or failure.kind == "database" and (failure.code:find("^08") or failure.code:find("^57P") or failure.code == "53100")
end

local function report_failure(failure)
  io.stdout:flush()
  io.stderr:write("ligase: ", errors.describe(failure), "\n")
end

--- A dry run must not make a private cluster just to find that it is empty.
local function open_for(arguments, context)
  if not arguments.dry_run then
    return context:open { migrate = true }
  end
  local db = require "ligase.store.db"
  local private = db.is_private(context.config)
  if private and require("ligase.store.cluster").status(context.workspace).state == "absent" then
    return nil
  end
  local opened, conn = pcall(context.open, context)
  return opened and conn or nil
end

local function job_for(shared, file)
  local source, remove = pipeline.source(file)
  local job = setmetatable({ source = source, remove = remove }, { __index = shared })
  job.name = shared.name or source.name
  job.run = runs.new(shared.command, shared.recipe, { source = source.shown, name = job.name, program = shared.program,
    experiment = shared.experiment, organism = shared.organism }, shared.batch_id)
  return job
end

--- Ingests the files one after the other. A bad file is reported and the rest goes on.
---@param arguments table as parsed
---@param context ligase.context
---@param recipe ligase.recipe
---@param command string
---@return integer status 0, or 1 when a file could not be ingested
function M.ingest_all(arguments, context, recipe, command)
  check_names(arguments)
  local shared = {
    recipe = recipe, command = command, answers = dialect_answers(arguments), set = roles_set(arguments.set),
    name = arguments.name, program = arguments.program, experiment = arguments.experiment,
    organism = arguments.organism, dry_run = arguments.dry_run, conn = open_for(arguments, context),
    linking = context.config:get "ENABLE_FEATURE_LINKING",
    outbox = context.config:get "ENABLE_NOTION_SYNC" or context.config:get "ENABLE_DUAL_WRITE",
    resolver = pipeline.resolver(recipe), batch_id = #arguments.files > 1 and sys.uuid7() or nil,
    reconnect = function()
      return context:open()
    end,
  }
  local failed = 0
  for _, file in ipairs(arguments.files) do
    local job = job_for(shared, file)
    local done, result = pcall(ingest_file, job)
    if job.remove then
      job.remove()
    end
    if done then
      tell(job, result)
    else
      failed = failed + 1
      if not arguments.dry_run and errors.is(result) and result.kind ~= "usage" then
        runs.journal_failure(job.conn, job.run, result)
      end
      if is_final(result) then
        error(as_required(result), 0)
      end
      report_failure(as_required(result))
    end
  end
  if #arguments.files > 1 then
    io.stdout:write(("%s: %d done, %d failed\n"):format(text.count(#arguments.files, "file"),
      #arguments.files - failed, failed))
  end
  return failed == 0 and 0 or 1
end

return M
