--- `ligase ingest --recipe NAME FILE` and `ligase run NAME FILE` by recipes for files that
--- are no datasets: programs, experiments, compounds, features, ....
---
--- Each file is stored by its recipe in one transaction, one after the other; a bad one is
--- reported and the rest goes on.
local alias_lookup = require "ligase.store.alias_lookup"
local dialect = require "ligase.io.dialect"
local errors = require "ligase.base.errors"
local failing = require "ligase.cli.failing"
local finding = require "ligase.cli.finding"
local inputs = require "ligase.io.inputs"
local output = require "ligase.cli.output"
local reading = require "ligase.cli.reading"
local runs = require "ligase.store.runs"
local sys = require "sys"
local telling = require "ligase.cli.telling"
local text = require "ligase.base.text"

local M = {}

--- Options that only mean something for datasets.
local FOR_DATASETS = {
  { "omics", "--omics" }, { "name", "--name" }, { "organism", "--organism" }, { "samples", "--samples" },
  { "format", "--format" }, { "retry", "--retry" }, { "report", "--report" }, { "skip_existing", "--skip-existing" },
  { "force", "--force" },
}

local function check(arguments, recipe)
  local refused
  for _, option in ipairs(FOR_DATASETS) do
    refused = refused or arguments[option[1]] and option[2]
  end
  refused = refused or arguments.jobs > 1 and "--jobs"
  if refused then
    errors.raise { kind = "usage", code = "usage", message = ("%s is for datasets, and %s are none"):format(refused,
      recipe.what), hint = "Leave it out" }
  elseif #arguments.files == 0 then
    errors.raise { kind = "usage", code = "usage", message = "FILE is missing", hint = "See: ligase run --help" }
  end
end

--- The connection. A dry run must not make a private Postgres, nor bring a schema up to
--- date, just to compare rows with it.
local function open_for(arguments, context)
  if arguments.dry_run then
    return context:open_existing()
  end
  return failing.open(context)
end

local function written_as(report)
  local found = report.dialect
  return ("%s, %s-separated%s"):format(report.info.encoding or found.encoding,
    dialect.separator_name(found.separator), found.decimal == "," and ", decimal comma" or "")
end

local function tell(source, report, dry_run, seconds)
  output.write(("%s: %s%s\n"):format(source.shown, text.printable(report.headline), dry_run and " (dry run)" or ""))
  if report.outcome == "unchanged" and not dry_run then
    output.push()
    return
  end
  local lines = { { "read", ("%s, %s"):format(text.bytes(report.info.bytes), written_as(report)) } }
  table.move(report.lines, 1, #report.lines, 2, lines)
  lines[#lines + 1] = { "took", text.duration(seconds) }
  for _, line in ipairs(lines) do
    output.write(("  %-9s%s\n"):format(line[1], text.printable(line[2])))
  end
  output.push()
end

local function store_file(conn, recipe, file, options)
  local source <close> = inputs.open(file.path)
  local started = sys.monotonic()
  local report = recipe.store(conn, source, options)
  tell(source, report, options.dry_run, sys.monotonic() - started)
end

local function options_of(arguments, context, recipe, command)
  local how, config = reading.options_of(arguments), context.config
  return { command = command, recipe = recipe, dialect = how.dialect, set = how.set, programs = arguments.program,
    experiments = arguments.experiment, create = arguments.create, dry_run = arguments.dry_run,
    outbox = config:get "ENABLE_NOTION_SYNC" or config:get "ENABLE_DUAL_WRITE" }
end

--- Stores files by a recipe for files that are no datasets.
---@param arguments table as parsed
---@param context ligase.context
---@param recipe ligase.other_recipe
---@param command string what the journal calls it
---@return integer status 0, or 1 when a file could not be stored (2: by misuse)
function M.store_all(arguments, context, recipe, command)
  check(arguments, recipe)
  local found = finding.find(arguments.files, {})
  local options, conn = options_of(arguments, context, recipe, command), open_for(arguments, context)
  local lookup <close> = alias_lookup.open(conn, function()
    return context:open { migrate = false }
  end)
  options.aliases = lookup
  local failed, misused, total = #found.problems, 0, #found.files + #found.problems
  for _, problem in ipairs(found.problems) do
    failing.report(problem.error)
  end
  for i, file in ipairs(found.files) do
    local done, failure = xpcall(store_file, errors.explained, conn, recipe, file, options)
    if not done then
      failed, misused = failed + 1, misused + (failure.kind == "usage" and 1 or 0)
      if not arguments.dry_run and failure.kind ~= "usage" then
        runs.journal_failure(conn, runs.new(command, recipe, { source = file.path }), failure)
      end
      failing.as_required(failure, file.path)
      if failing.is_final(failure) then
        telling.tell_all(total, i - failed, failed)
        error(failure, 0)
      end
      failing.report(failure)
    end
  end
  telling.tell_all(total, total - failed, failed)
  return failed == 0 and 0 or failed == misused and 2 or 1
end

return M
