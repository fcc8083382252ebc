--- What became of each file, for the person who had it read.
local dialect = require "ligase.io.dialect"
local formats = require "ligase.omics.formats"
local output = require "ligase.cli.output"
local text = require "ligase.base.text"

local M = {}

local SHOWN_MOST = 4 -- columns of one role that are named

--- A file's words must not drive the terminal.
local function plain(word)
  return text.shown(word, 40)
end

--- The columns of each role by their names; samples once each, whatever was measured of them.
local function names_by_role(plan)
  local by_role, seen = { sample = {}, value = {}, statistic = {}, annotation = {} }, {}
  for _, column in ipairs(plan.columns) do
    local list = by_role[column.role]
    local sample = column.role == "sample" and column.sample_id
    if list and not (sample and seen[sample]) then
      list[#list + 1] = column.statistic and ("%s (%s)"):format(plain(column.name), column.statistic)
        or plain(sample or column.name)
      seen[sample or column] = true
    end
  end
  return by_role
end

local function columns_line(plan)
  local by_role = names_by_role(plan)
  local parts = { ('names in "%s"'):format(plain(plan.feature.name)) }
  if plan.sample_name then
    parts[2] = ('%s in "%s"'):format(text.count(plan.samples, "sample"), plain(plan.sample_name.name))
  end
  for _, role in ipairs { "sample", "value", "statistic", "annotation" } do
    local list = by_role[role]
    if #list > SHOWN_MOST then
      parts[#parts + 1] = ("%s: %s ... %s"):format(text.count(#list, role), list[1], list[#list])
    elseif #list > 0 then
      parts[#parts + 1] = ("%s: %s"):format(text.count(#list, role), table.concat(list, ", "))
    end
  end
  return table.concat(parts, "; ")
end

--- Where the header of a table stands.
---@param findings table as stored with the revision
---@return string
function M.header_words(findings)
  if findings.header == false then
    return "no header line"
  elseif findings.header_rows and findings.header_rows > 1 then
    return ("header on lines %d to %d"):format(findings.header_line - findings.header_rows + 1, findings.header_line)
  end
  return ("header on line %d%s"):format(findings.header_line,
    findings.header_short and " without a cell for the names" or "")
end

local function dialect_line(findings)
  local parts = { findings.encoding .. (findings.byte_order_mark and " with byte order mark" or ""),
    dialect.separator_name(findings.separator) .. "-separated" }
  if findings.gzip then
    table.insert(parts, 1, "gzip")
  end
  parts[#parts + 1] = findings.decimal == "," and "decimal comma" or nil
  parts[#parts + 1] = M.header_words(findings)
  return table.concat(parts, ", ")
end

--- A tool's format is worth a word; that a table is a table is not.
local function format_of(findings)
  local format = findings.format and formats.get(findings.format)
  return format and not format.generic and format.title .. ", " or ""
end

local function say(label, ...)
  io.stdout:write(("  %-9s"):format(label), string.format(...), "\n")
end

local HEADLINES = { created = "new dataset", revised = "revision %d",
  page_made = "page made in Notion; Postgres is off and untouched",
  page_updated = "page changed in Notion; Postgres is off and untouched" }
local REHEARSED = { created = "would be a new dataset", revised = "would be revision %d",
  unknown = "would be stored" }

local function headline(report)
  local words = report.rehearsed and not report.page and REHEARSED[report.outcome] .. " (dry run)"
    or HEADLINES[report.outcome]
  return words:format(report.revision or 0)
end

--- Names that were not understood are kept as they stand; all of them: ligase why DATASET.
local function tell_unread(unread)
  if not unread then
    return
  end
  local shown = {}
  for i, example in ipairs(unread.examples) do
    shown[i] = ('"%s" (%s)'):format(plain(example.name), text.printable(example.reason))
  end
  say("names", "%s not understood, kept as they stand: %s%s", text.number(unread.count), table.concat(shown, ", "),
    unread.count > #shown and ", ..." or "")
end

local function tell_read(job, report)
  local counts, findings = report.counts, report.findings
  io.stdout:write(("%s (%s): %s\n"):format(plain(job.name), job.recipe.omics,
    headline(report)))
  say("read", "%s, %s: %s%s", job.source.shown, text.bytes(counts.bytes),
    format_of(findings), dialect_line(findings))
  say("columns", "%s", columns_line(report.plan))
  say((report.rehearsed or report.page) and "holds" or "stored", "%s, %s%s", text.count(counts.rows, "row"),
    text.count(counts.values, "value"), counts.kept and counts.kept > 0
      and (", %s kept as text beside them"):format(text.count(counts.kept, "cell")) or "")
  if counts.features then
    say("features", "%s: %s new, %s known", text.number(counts.features), text.number(counts.features_new),
      text.number(counts.features - counts.features_new))
  elseif report.unasked then
    say("features", "not looked up: %s", text.printable(report.unasked))
  end
  tell_unread(findings.names_not_understood)
  for _, doubt in ipairs(findings.doubts) do
    say("doubt", "%s", text.printable(doubt))
  end
  if report.page then
    say("page", "%s", text.printable(report.page.url or report.page.notion_page_id))
  end
  if report.scores then
    say("scores", "%s of %s match", text.number(report.scores.matches), text.count(report.scores.signatures,
      "signature"))
  end
  say("took", "%s", text.duration(report.seconds))
end

--- Prints what became of one file. Output that cannot be written does not stop the
--- work; it is reported at the end.
---@param job table
---@param report table
function M.tell(job, report)
  if report.outcome == "unchanged" then
    io.stdout:write(("%s: %sunchanged (revision %d)%s\n"):format(plain(job.name),
      report.rehearsed and "would be " or "", report.revision,
      report.details_changed and ", its details were updated" or ""))
  elseif report.outcome == "settled" then
    io.stdout:write(("%s: stored, it is at revision %d (the server's answer was lost, its journal was asked)\n")
      :format(plain(job.name), report.revision))
  else
    tell_read(job, report)
  end
  output.push()
end

--- Says that a file was left out.
---@param name string the dataset that is there
function M.tell_skipped(name)
  io.stdout:write(("%s: left out, the dataset is there\n"):format(plain(name)))
end

local ONE_LINE = { created = "new dataset", revised = "revision %d", unchanged = "unchanged (revision %d)",
  settled = "stored (revision %d)" }

--- What became of one file among very many, in one line.
---@param request ligase.request
---@param report table
function M.tell_line(request, report)
  local counts = report.counts
  io.stdout:write(("%s (%s): %s%s, %s\n"):format(plain(request.name), request.recipe.omics,
    ONE_LINE[report.outcome]:format(report.revision or 0), counts and (", %s, %s"):format(
      text.count(counts.rows, "row"), text.count(counts.values, "value")) or "", text.duration(report.seconds)))
  output.push()
end

--- The last line when several files were given.
---@param total integer
---@param done integer
---@param failed integer
function M.tell_all(total, done, failed)
  if total > 1 then
    local rest = total - done - failed
    io.stdout:write(("%s: %d done, %d failed%s\n"):format(text.count(total, "file"), done, failed,
      rest > 0 and (", %d not tried"):format(rest) or ""))
  end
end

return M
