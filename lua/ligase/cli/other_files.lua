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
  refused = refused or arguments.jobs and arguments.jobs > 1 and "--jobs"
  if arguments.campaign and not recipe.campaign then
    errors.raise { kind = "usage", code = "usage", message = ("--campaign is for screening results, and not for %s")
      :format(recipe.what), hint = "Leave it out" }
  elseif refused then
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

local function tell(shown, report, dry_run, seconds)
  output.write(("%s: %s%s\n"):format(shown, text.printable(report.headline), dry_run and " (dry run)" or ""))
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

local function closing(sources)
  return setmetatable(sources, { __close = function()
    for _, source in ipairs(sources) do
      getmetatable(source).__close(source)
    end
  end })
end

--- Stores one file, or those that belong together.
local function store_files(conn, recipe, files, options)
  local sources <close> = closing {}
  for i, file in ipairs(files) do
    sources[i] = inputs.open(file.path)
  end
  local started = sys.monotonic()
  local report = recipe.store_together and recipe.store_together(conn, sources, options)
    or recipe.store(conn, sources[1], options)
  tell(#files == 1 and sources[1].shown or text.count(#files, "file"), report, options.dry_run,
    sys.monotonic() - started)
end

--- The files in groups that are stored together: all of them, where the recipe says that
--- they belong together, else each by itself. Of those that belong together none may fail.
local function groups_of(found, recipe)
  if recipe.store_together and #found.problems > 0 then
    error(found.problems[1].error, 0)
  elseif recipe.store_together then
    return { found.files }
  end
  local groups = {}
  for i, file in ipairs(found.files) do
    groups[i] = { file }
  end
  return groups
end

local function options_of(arguments, context, recipe, command)
  local how = reading.options_of(arguments)
  return { command = command, recipe = recipe, dialect = how.dialect, set = how.set, programs = arguments.program,
    experiments = arguments.experiment, create = arguments.create, dry_run = arguments.dry_run,
    campaign = arguments.campaign, tag = arguments.tag, arguments = arguments.tag and { tag = arguments.tag } or nil,
    outbox = context:outbox() }
end

--- Stores files by a recipe for files that are no datasets.
---@param arguments table as parsed
---@param context ligase.context
---@param recipe ligase.other_recipe
---@param command string what the journal calls it
---@param more table|nil further options for the recipe
---@return integer status 0, or 1 when a file could not be stored (2: by misuse)
function M.store_all(arguments, context, recipe, command, more)
  check(arguments, recipe)
  local found = finding.find(arguments.files, { unnamed = true })
  reading.options_of(arguments) -- what is wrong with the options is said before anything is opened
  local conn = open_for(arguments, context)
  local options = options_of(arguments, context, recipe, command)
  for name, value in pairs(more or {}) do
    options[name] = value
  end
  local lookup <close> = alias_lookup.open(conn, function()
    return context:open { migrate = false }
  end)
  options.aliases = lookup
  options.reconnect = function()
    conn = context:open()
    return context:open()
  end
  local groups = groups_of(found, recipe)
  local failed, misused, total = #found.problems, 0, #groups + #found.problems
  for _, problem in ipairs(found.problems) do
    failing.report(problem.error)
  end
  for i, files in ipairs(groups) do
    local path = files[1].path
    local done, failure = xpcall(store_files, errors.explained, conn, recipe, files, options)
    if not done then
      failed, misused = failed + 1, misused + (failure.kind == "usage" and 1 or 0)
      if not arguments.dry_run and failure.kind ~= "usage" then
        runs.journal_failure(conn, runs.new(command, recipe, { source = path, tag = arguments.tag }), failure)
      end
      failing.as_required(failure, path)
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
