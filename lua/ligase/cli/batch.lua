--- `ligase ingest` of many files: they are found, queued, and ingested by worker
--- processes; a report ends it.
---
--- The queue is in the database, so that a batch outlives its command: whatever is not
--- done is taken up by the same command, or by workers elsewhere.
local batch_report = require "ligase.cli.batch_report"
local datasets = require "ligase.store.datasets"
local errors = require "ligase.base.errors"
local failing = require "ligase.cli.failing"
local jobs = require "ligase.store.jobs"
local json = require "ligase.base.json"
local mirroring = require "ligase.cli.mirroring"
local parsing = require "ligase.cli.parsing"
local reading = require "ligase.cli.reading"
local requests = require "ligase.cli.requests"
local sys = require "sys"
local workers = require "ligase.cli.workers"

local M = {}

--- Adds the options for many files.
---@param parser table
function M.configure(parser)
  parser:option("--jobs", "Files ingested at a time, by as many worker processes."):argname("N")
    :convert(parsing.whole_number("--jobs", 1)):default("1")
  parser:flag("--retry", "Take up files that were set aside: those named, or all.")
  parser:flag("--skip-existing", "Leave out files whose dataset is there already, whatever is in them.")
  parser:flag("--force", "Read files again although they are unchanged, as new revisions.")
  parser:option("--report", "Write what became of each file, as JSON or CSV."):argname("FILE.json|csv")
    :convert(batch_report.path)
end

--- Whether the command is one for the queue. A few files that are named are quicker without.
---@param arguments table as parsed
---@param found ligase.findings
---@return boolean
function M.is_wanted(arguments, found)
  return not arguments.dry_run
    and (arguments.jobs > 1 or arguments.retry or arguments.report ~= nil or found.has_folder)
end

--- Words that say something of the whole command and not of each of its files.
local OF_THE_COMMAND = { files = true, name = true, jobs = true, report = true, retry = true, skip_existing = true,
  dry_run = true, recipe = true, help = true }

--- The options as a worker gets them.
local function options_for_jobs(arguments)
  local kept = {}
  for option, value in pairs(arguments) do
    local is_empty = type(value) == "table" and next(value) == nil
    if not OF_THE_COMMAND[option] and not is_empty then
      kept[option] = value
    end
  end
  kept.samples = kept.samples and sys.real_path(kept.samples)
  return kept
end

--- What a word means, wherever the command is typed: a path, or a pattern.
local function resolved(word)
  local found, path = pcall(sys.real_path, word)
  return found and path or word:sub(1, 1) == "/" and word or sys.cwd() .. "/" .. word
end

--- What is common to the same command typed twice: everything it says. How many at a time,
--- and where the report goes, changes nothing.
local function key_of(arguments, recipe, command, options)
  local words = json.array()
  for i, word in ipairs(arguments.files) do
    words[i] = sys.sha256(resolved(word)) -- not every path is UTF-8
  end
  return sys.sha256(json.encode { hostname = sys.hostname(), command = command, recipe = recipe and recipe.path,
    options = options, words = words, name = arguments.name, retry = arguments.retry })
end

local function refuse_streams(found)
  for _, file in ipairs(found.files) do
    if file.source == "-" or not file.size_bytes and sys.stat(file.source) then
      errors.raise { kind = "usage", code = "stream", message = file.path == "-"
        and "standard input cannot be one of many files" or ("%s is no file"):format(file.path),
        hint = "Ingest it by itself, with --name NAME" }
    end
  end
end

--- Files that are there; the others are set aside without a place in the queue, because
--- most of them are slips of the fingers.
local function present(found)
  local files = {}
  for _, file in ipairs(found.files) do
    if file.size_bytes then
      files[#files + 1] = { path = file.source, name = file.name, size_bytes = file.size_bytes,
        modified_s = file.modified_s }
    else
      found.problems[#found.problems + 1] = { source = file.path, error = errors.new { kind = "input", code = "ENOENT",
        file = file.path, message = "there is no such file",
        hint = "Check the path; relative paths start at the current folder" } }
    end
  end
  return files
end

--- The files whose datasets are not there yet.
local function without_existing(conn, files, recipe)
  local names, kept = {}, {}
  for i, file in ipairs(files) do
    names[i] = file.name
  end
  local existing = datasets.existing(conn, recipe and recipe.omics, names)
  for _, file in ipairs(files) do
    kept[#kept + 1] = not existing[file.name] and file or nil
  end
  return kept
end

--- A batch as the queue takes it.
local function new_batch(arguments, recipe, command)
  local options = options_for_jobs(arguments)
  return { key = key_of(arguments, recipe, command, options), command = command, recipe = recipe and recipe.path,
    arguments = json.encode(options) }
end

local function queue(conn, arguments, recipe, command, files)
  local batch = new_batch(arguments, recipe, command)
  if arguments.retry then
    local sources
    for i, file in ipairs(files) do
      sources = sources or {}
      sources[i] = file.path
    end
    jobs.take_up(conn, batch, #arguments.files > 0 and (sources or {}) or nil)
  else
    jobs.queue(conn, batch, files)
  end
  return batch
end

--- Notes a file that failed without a queue, for --retry. What is not there, or cannot be
--- read a second time, is not noted.
---@param conn table
---@param arguments table as parsed
---@param recipe ligase.recipe
---@param command string
---@param file ligase.found_file
---@param failure ligase.Error
function M.note_failure(conn, arguments, recipe, command, file, failure)
  if file.size_bytes and not failing.is_final(failure) then
    jobs.note_failure(conn, new_batch(arguments, recipe, command), { path = file.source, name = file.name,
      size_bytes = file.size_bytes, modified_s = file.modified_s }, failure)
  end
end

--- The connection, or another one when the server was restarted meanwhile.
local function still_open(context, conn)
  return errors.try(conn.query, conn, "SELECT") and conn or failing.open(context)
end

--- Ingests all files by worker processes. Bad files are set aside and the rest goes on.
---@param arguments table as parsed
---@param found ligase.findings
---@param context ligase.context
---@param recipe ligase.recipe|nil nil: for each file the one for what is in it
---@param command string
---@return integer status 0; 1 when files were set aside or left; 130 when it was interrupted
function M.run(arguments, found, context, recipe, command)
  refuse_streams(found)
  if #found.files == 0 and #found.problems == 1 then
    error(found.problems[1].error, 0)
  end
  reading.options_of(arguments) -- what is wrong with the options is said at once
  local conn = failing.open(context)
  context:govern(conn)
  requests.check_links(conn, arguments)
  local files = present(found)
  local wanted = arguments.skip_existing and without_existing(conn, files, recipe) or files
  local batch = queue(conn, arguments, recipe, command, wanted)
  local ended = workers.run(conn, context.workspace, batch, arguments.jobs)
  conn = still_open(context, conn)
  local report = batch_report.gather(conn, batch, ended, { problems = found.problems, passed = found.passed,
    existing = #files - #wanted })
  batch_report.tell(conn, report)
  mirroring.finish(context, conn, arguments)
  if arguments.report then
    batch_report.write(conn, report, arguments.report)
  end
  return batch_report.status(report)
end

return M
