--- What became of a batch: for the person at its end, and as a file for programs.
local csv_writer = require "ligase.io.csv_writer"
local errors = require "ligase.base.errors"
local jobs = require "ligase.store.jobs"
local json = require "ligase.base.json"
local output = require "ligase.cli.output"
local pg = require "pg"
local sys = require "sys"
local text = require "ligase.base.text"

local M = {}

--- Reasons that are printed; the report's file has them all.
local SHOWN_MOST = 50

--- A converter for --report: the ending says how it is written.
---@param given string
---@return string path
function M.path(given)
  if not (given:lower():find("%.json$") or given:lower():find("%.csv$")) then
    errors.raise { kind = "usage", code = "value", message = ("--report cannot be '%s'"):format(text.printable(given)),
      hint = "Its name ends with .json or .csv" }
  end
  return given
end

---@class ligase.batch_report
---@field batch_id string
---@field total integer files, also those that could not be queued
---@field ingested integer
---@field unchanged integer
---@field before integer done by an earlier command
---@field set_aside integer
---@field left integer not tried
---@field existing integer left out because their dataset was there
---@field passed integer in folders, and no tables by their name
---@field seconds number
---@field per_minute number files a minute, as far as this command did them
---@field stopped boolean
---@field killed string|nil the signal that killed workers again and again

--- The figures of a batch whose workers have ended.
---@param conn table
---@param batch {id: string, began: string}
---@param ended {stopped: boolean, broken: boolean, killed: string|nil, seconds: number}
---@param found {problems: table[], passed: integer, existing: integer}
---@return ligase.batch_report
function M.gather(conn, batch, ended, found)
  local counts = jobs.counts(conn, batch)
  local tried = counts.ingested + counts.unchanged + counts.dead
  return { batch_id = batch.id, total = counts.total + #found.problems, ingested = counts.ingested,
    unchanged = counts.unchanged, before = counts.before, set_aside = counts.dead + #found.problems,
    left = counts.left, existing = found.existing, passed = found.passed, seconds = ended.seconds,
    per_minute = ended.seconds > 0 and tried / ended.seconds * 60 or 0, stopped = ended.stopped,
    killed = ended.killed, problems = found.problems, in_queue = counts.dead }
end

--- The exit status that fits.
---@param report ligase.batch_report
---@return integer
function M.status(report)
  return report.stopped and 130 or (report.set_aside > 0 or report.left > 0) and 1 or 0
end

-- ---- for people ------------------------------------------------------------

local function headline(report)
  local parts = { ("%s ingested"):format(text.number(report.ingested)) }
  local function add(number, words)
    if number > 0 then
      parts[#parts + 1] = words:format(text.number(number))
    end
  end
  add(report.unchanged, "%s unchanged")
  add(report.before, "%s done before")
  add(report.set_aside, "%s set aside")
  add(report.left, "%s not tried")
  return ("%s: %s; %s, %s files a minute"):format(text.count(report.total, "file"), table.concat(parts, ", "),
    text.duration(report.seconds), text.number(math.floor(report.per_minute)))
end

local function reason(source, failure)
  local fields = {}
  for name, value in pairs(failure ~= pg.null and failure or {}) do
    fields[name] = value
  end
  fields.kind, fields.message = fields.kind or "internal", fields.message or "no reason was kept"
  fields.file, fields.traceback = fields.file or source, nil
  return text.printable(tostring(errors.new(fields)))
end

local function tell_reasons(conn, report)
  if report.set_aside == 0 then
    return
  end
  output.write("set aside:\n")
  local shown = 0
  local function tell(source, failure)
    shown = shown + 1
    output.write("  " .. reason(source, failure) .. "\n")
  end
  for i = 1, math.min(#report.problems, SHOWN_MOST) do
    tell(report.problems[i].source, report.problems[i].error)
  end
  for _, job in ipairs(jobs.dead(conn, report.batch_id, SHOWN_MOST - shown)) do
    tell(job.source, job.error)
  end
  if shown < report.set_aside then
    output.write(("  ... and %s more: --report FILE lists them all\n"):format(text.number(report.set_aside - shown)))
  end
end

--- Prints the figures, the reasons, and what to do next.
---@param conn table
---@param report ligase.batch_report
function M.tell(conn, report)
  tell_reasons(conn, report)
  if report.existing > 0 then
    output.write(("left out, their datasets are there: %s\n"):format(text.count(report.existing, "file")))
  end
  if report.passed > 0 then
    output.write(("passed over, no tables by their names: %s\n"):format(text.count(report.passed, "file")))
  end
  output.write(headline(report) .. "\n")
  if report.in_queue > 0 then
    output.write("Take up what was set aside, once it is mended: ligase ingest --retry\n")
  end
  if report.left > 0 then
    output.write("The same command goes on with what was not tried\n")
  end
  if report.killed then
    io.stderr:write(("ligase: workers were killed again and again (SIG%s), perhaps by one of the files not tried\n")
      :format(report.killed))
  end
end

-- ---- for programs ----------------------------------------------------------

local STATES = { pending = "not tried", dead = "set aside" }

local FIGURES = { "batch_id", "total", "ingested", "unchanged", "before", "set_aside", "left", "existing", "passed",
  "seconds", "per_minute", "stopped" }

local FIELDS = { "source", "outcome", "omics", "dataset", "dataset_id", "revision", "rows", "values", "seconds", "code",
  "reason" }

--- One file as it stands in the report; no field is NULL.
local function entry_of(job)
  local entry = { source = job.source, outcome = STATES[job.state] or job.outcome, omics = job.omics,
    dataset = job.name, dataset_id = job.dataset_id, revision = job.revision, rows = job.rows, values = job.values,
    seconds = job.seconds }
  if job.state == "dead" then
    entry.code = job.error ~= pg.null and job.error.code or nil
    entry.reason = reason(job.source, job.error)
  end
  for field, value in pairs(entry) do
    entry[field] = value ~= pg.null and value or nil
  end
  return entry
end

local function entries_of(conn, report)
  local entries = json.array()
  for _, problem in ipairs(report.problems) do
    entries[#entries + 1] = { source = text.printable(problem.source), outcome = "set aside",
      code = problem.error.code, reason = reason(problem.source, problem.error) }
  end
  for _, job in ipairs(jobs.files(conn, report.batch_id)) do
    entries[#entries + 1] = entry_of(job)
  end
  return entries
end

local function as_json(report, entries)
  local all = { files = entries }
  for _, figure in ipairs(FIGURES) do
    all[figure] = report[figure]
  end
  return json.encode(all, { pretty = true }) .. "\n"
end

local function as_csv(entries)
  local lines = {}
  local writer = csv_writer.new({ write = function(_, line)
    lines[#lines + 1] = line
    return true
  end }, "csv")
  writer:row(FIELDS)
  for _, entry in ipairs(entries) do
    local cells = {}
    for i, field in ipairs(FIELDS) do
      cells[i] = entry[field] ~= nil and tostring(entry[field]) or ""
    end
    writer:row(cells)
  end
  return table.concat(lines)
end

--- Writes the report's file, whole or not at all.
---@param conn table
---@param report ligase.batch_report
---@param path string ends with .json or .csv
function M.write(conn, report, path)
  local entries = entries_of(conn, report)
  sys.write_file(path, path:lower():find("%.json$") and as_json(report, entries) or as_csv(entries))
end

return M
