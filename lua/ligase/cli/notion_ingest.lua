--- `ligase ingest` while Notion is the source of truth: files are read, and what they hold is
--- written to the pages of their datasets. Postgres stays untouched.
local errors = require "ligase.base.errors"
local failing = require "ligase.cli.failing"
local finding = require "ligase.cli.finding"
local ingest = require "ligase.intake.ingest"
local notion_first = require "ligase.sync.notion_first"
local opening = require "ligase.sync.opening"
local requests = require "ligase.cli.requests"
local sys = require "sys"
local telling = require "ligase.cli.telling"

local M = {}

local function list_of(given)
  return type(given) == "table" and given or given and { given } or nil
end

--- The page's properties: only what was said, so that others stay as they are.
local function fields_of(request)
  return { omics_type = request.recipe.omics, name = request.name, organism = list_of(request.organism),
    programs = list_of(request.program), experiments = list_of(request.experiment) }
end

local function write(writer, request, report, page)
  local fields = fields_of(request)
  local revision = { rows = report.counts.rows, values = report.counts.values, source = request.source.shown,
    recipe = request.recipe.name }
  if page or writer:is_there("dataset", request.name) then
    return writer:update("dataset", page or request.name, fields, revision), "page_updated"
  end
  return writer:create("dataset", fields, revision), "page_made"
end

local function ingest_file(writer, file, recipe, options, arguments)
  local request <close> = ingest.request(file.path, recipe, requests.options_for(options, file.name))
  local started = sys.monotonic()
  local report = ingest.rehearse(nil, request)
  if not arguments.dry_run then
    report.page, report.outcome = write(writer, request, report, arguments.notion_page_id)
  end
  report.seconds = sys.monotonic() - started
  telling.tell(request, report)
end

local function refuse_queue(arguments)
  for _, option in ipairs { "retry", "report", "create" } do
    if arguments[option] then
      errors.raise { kind = "usage", code = "postgres_off",
        message = ("--%s needs Postgres, and USE_POSTGRES_AS_SOT is false"):format(option),
        hint = "Set USE_POSTGRES_AS_SOT=true to use it" }
    end
  end
end

--- Reads files and writes the pages of their datasets.
---@param arguments table as parsed
---@param context ligase.context
---@param recipe ligase.recipe|nil nil: for each file the one for what is in it
---@param command string
---@return integer status 0, or 1 when a file could not be read or written (2: by misuse)
function M.ingest_all(arguments, context, recipe, command)
  refuse_queue(arguments)
  context:warn_when_off()
  local found = finding.find(arguments.files, { name = arguments.name, except = arguments.samples })
  local options = requests.options_of(arguments, context, command, requests.resolvers(context, nil))
  options.create_page, options.notion_page_id = nil, nil
  local writer = not arguments.dry_run and notion_first.new(opening.target(context.config)) or nil
  local failed, misused = #found.problems, 0
  for _, problem in ipairs(found.problems) do
    failing.report(problem.error)
  end
  for _, file in ipairs(found.files) do
    local done, failure = xpcall(ingest_file, errors.explained, writer, file, recipe, options, arguments)
    if not done then
      if failing.is_final(failure) then
        error(failure, 0)
      end
      failed = failed + 1
      misused = misused + (failure.kind == "usage" and 1 or 0)
      failure.file = failure.file or file.path
      failing.report(failure)
    end
  end
  local total = #found.files + #found.problems
  telling.tell_all(total, total - failed, failed)
  return failed == 0 and 0 or failed == misused and 2 or 1
end

return M
