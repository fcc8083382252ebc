--- `ligase inspect FILE...`: what would be understood of a file, and how sure that is.
local dialect = require "ligase.io.dialect"
local errors = require "ligase.base.errors"
local failing = require "ligase.cli.failing"
local formats = require "ligase.omics.formats"
local inspection = require "ligase.omics.inspection"
local json = require "ligase.base.json"
local output = require "ligase.cli.output"
local reading = require "ligase.cli.reading"
local telling = require "ligase.cli.telling"
local text = require "ligase.base.text"

local M = {}

M.description = "Reads files as `ligase ingest` would and says what it understood and how sure it is: format, "
  .. "encoding, separator, decimal mark, header, names, samples, statistics, missing marks, first rows and doubts. "
  .. "Nothing is stored, and no database is needed."
M.example = [[
  ligase inspect plasma_lipids.csv
  ligase inspect --format wide --set lipid=feature plasma_lipids.csv
  ligase inspect --json *.csv | head -1
  ligase inspect --formats]]

--- Names of one kind that are shown, and columns of the first rows.
local NAMES_MOST, NUMBERS_MOST, TEXTS_MOST = 4, 4, 2

--- Declares the command's words.
---@param parser table argparse's
function M.configure(parser)
  parser:argument("FILE", "Files, also gzipped; - is standard input."):target("files"):argname("FILE"):args("*")
  parser:option("--omics", "The omics type, instead of detection."):argname("TYPE")
  parser:flag("--json", "One JSON object per file.")
  parser:flag("--formats", "List the formats that there are.")
  reading.configure(parser)
end

-- ---- for people ------------------------------------------------------------

local function plain(word)
  return text.shown(word, 40)
end

local function listed(names)
  local shown = {}
  for i = 1, math.min(#names, NAMES_MOST) do
    shown[i] = plain(names[i])
  end
  return table.concat(shown, ", ") .. (#names > NAMES_MOST and ", ..." or "")
end

local function percent(share)
  return ("%d %%"):format(math.floor(share * 100 + 0.5))
end

local function format_line(result)
  local found = result.findings
  if not found.format then
    return "none that is known"
  end
  local format = formats.get(found.format)
  return ("%s (%s), %s"):format(format.title, format.name, found.format_given and "as was said"
    or ("%s sure: %s"):format(percent(found.format_sureness), text.printable(found.format_why)))
end

local function omics_line(result)
  if result.omics_given then
    return result.omics .. ", as was said"
  elseif result.omics then
    return ("%s: %s"):format(result.omics, text.printable(table.concat(result.candidates[1].why, "; ")))
  elseif #result.candidates == 0 then
    return "nothing says which (--omics)"
  end
  local shown = {}
  for i, candidate in ipairs(result.candidates) do
    shown[i] = ("%s (%s)"):format(candidate.omics, text.printable(table.concat(candidate.why, "; ")))
  end
  return "in doubt: " .. table.concat(shown, " or ") .. " (--omics)"
end

local function written_line(result)
  local found = result.findings
  local parts = { (found.gzip and "gzip, " or "") .. found.encoding
    .. (found.byte_order_mark and " with byte order mark" or "") }
  parts[#parts + 1] = dialect.separator_name(found.separator) .. "-separated"
  parts[#parts + 1] = found.decimal == "," and "decimal comma" or "decimal point"
  parts[#parts + 1] = telling.header_words(found)
  return table.concat(parts, ", ")
end

--- The marks that stand for a missing value in the columns of numbers.
local function missing_line(plan)
  local marks, seen = {}, {}
  for _, column in ipairs(plan.columns) do
    local mark = column.type == "number" and column.missing
    if mark and not seen[mark] then
      seen[mark] = true
      marks[#marks + 1] = mark == "" and "empty" or plain(mark)
    end
  end
  return #marks > 0 and table.concat(marks, ", ") or "none seen in the first rows"
end

--- The samples' names, the quantities, and the columns of the other roles.
local function columns_of(plan)
  local by_role, seen = { sample = {}, statistic = {}, annotation = {}, value = {}, quantity = {} }, {}
  for _, column in ipairs(plan.columns) do
    local name = column.role == "sample" and column.sample_id or column.name
    local list = by_role[column.role]
    if list and not seen[column.role .. name] then
      seen[column.role .. name] = true
      list[#list + 1] = column.statistic and ("%s (%s)"):format(name, column.statistic) or name
    end
    if column.quantity and not seen["quantity" .. column.quantity] then
      seen["quantity" .. column.quantity] = true
      table.insert(by_role.quantity, column.quantity)
    end
  end
  return by_role
end

local function say(label, ...)
  output.write(("  %-12s%s\n"):format(label, string.format(...)))
end

local function column_words(column)
  return column.name == "" and "the column without a header" or ('"%s"'):format(plain(column.name))
end

local function say_columns(result)
  local plan = result.plan
  local by_role = columns_of(plan)
  say("names", '%s, %s', column_words(plan.feature), text.count(result.names, "different one", "different ones"))
  if plan.sample_name then
    say("samples", '%s, named in "%s"', text.number(result.samples), plain(plan.sample_name.name))
  elseif #by_role.sample > 0 then
    say("samples", "%s: %s", text.number(#by_role.sample), listed(by_role.sample))
  end
  for _, entry in ipairs { { "quantity", "quantities" }, { "value", "values in" }, { "statistic", "statistics" },
    { "annotation", "annotations" } } do
    local list = by_role[entry[1]]
    if #list > 0 and not (entry[1] == "value" and #by_role.quantity > 0) then
      say(entry[2], "%s: %s", text.number(#list), listed(list))
    end
  end
end

local function holds_line(result)
  local parts, flags = { text.count(result.rows, "row"), text.count(result.values, "value") }, {}
  for flag in pairs(result.flagged) do
    flags[#flags + 1] = flag
  end
  table.sort(flags)
  for _, flag in ipairs(flags) do
    parts[#parts + 1] = ("%s flagged as %s"):format(text.number(result.flagged[flag]), flag)
  end
  return table.concat(parts, ", ")
end

--- The columns whose first cells are shown.
local function shown_columns(plan)
  local shown, numbers, texts = { plan.feature }, 0, 0
  for _, column in ipairs(plan.columns) do
    local is_number = column.type == "number"
    if column == plan.sample_name and column ~= plan.feature then
      shown[#shown + 1] = column
    elseif column ~= plan.feature
      and (is_number and numbers < NUMBERS_MOST or not is_number and texts < TEXTS_MOST) then
      numbers, texts = numbers + (is_number and 1 or 0), texts + (is_number and 0 or 1)
      shown[#shown + 1] = column
    end
  end
  return shown
end

local function shown_cell(value)
  if value == nil then
    return "-"
  end
  return text.shown(math.type(value) == "float" and ("%.7g"):format(value) or value, 24)
end

local function first_rows_table(result)
  local columns, header, rows = shown_columns(result.plan), {}, {}
  for i, column in ipairs(columns) do
    header[i] = text.shown(column.name, 24)
    for row, stored in ipairs(result.first_rows) do
      rows[row] = rows[row] or {}
      rows[row][i] = shown_cell(stored[column.position])
    end
  end
  return text.table(rows, { header = header })
end

local function tell(result)
  output.write(text.printable(result.source) .. "\n")
  say("format", "%s", format_line(result))
  say("omics", "%s", omics_line(result))
  say("written", "%s", written_line(result))
  say("missing", "%s", missing_line(result.plan))
  say_columns(result)
  say("holds", "%s", holds_line(result))
  for _, doubt in ipairs(result.findings.doubts) do
    say("doubt", "%s", text.printable(doubt))
  end
  say("first rows", "%s", "as they would be stored")
  output.write((first_rows_table(result):gsub("([^\n]+)", "    %1")))
end

-- ---- for programs ----------------------------------------------------------

local function as_json(result)
  local rows = {}
  for i, stored in ipairs(result.first_rows) do
    local cells = {}
    for position in ipairs(result.plan.columns) do
      local value = stored[position]
      cells[position] = value == nil and json.null or value
    end
    rows[i] = json.array(cells)
  end
  return json.encode {
    source = result.source, omics = result.omics or json.null, omics_candidates = json.array(result.candidates),
    recipe = result.recipe or json.null, read = result.findings, columns = json.array(result.plan.columns),
    rows = result.rows, values = result.values, names = result.names, samples = result.samples,
    flagged = next(result.flagged) and result.flagged or json.null, bytes = result.bytes,
    first_rows = json.array(rows),
  }
end

-- ---- all files -------------------------------------------------------------

local function list_formats()
  local rows = {}
  for i, format in ipairs(formats.all()) do
    rows[i] = { format.name, format.title,
      type(format.omics) == "table" and table.concat(format.omics, ", ") or "any" }
  end
  output.write(text.table(rows, { header = { "format", "what it is", "omics" } }))
end

--- Runs the command.
---@param arguments table as parsed
---@return integer status 1 when a file could not be read
function M.run(arguments)
  if arguments.formats then
    list_formats()
    return 0
  elseif #arguments.files == 0 then
    errors.raise { kind = "usage", code = "usage", message = "no file is named", hint = "See: ligase inspect --help" }
  end
  local options, failed, misused = reading.options_of(arguments), 0, 0
  options.omics = arguments.omics
  for _, file in ipairs(arguments.files) do
    local done, result = xpcall(inspection.inspect, errors.explained, file, options)
    if done and arguments.json then
      output.write(as_json(result) .. "\n")
    elseif done then
      tell(result)
    elseif result.kind == "interrupted" or result.kind == "internal" then
      error(result, 0)
    else
      failed, misused = failed + 1, misused + (result.kind == "usage" and 1 or 0)
      result.file = result.file or text.printable(file)
      failing.report(result)
    end
  end
  return failed == 0 and 0 or failed == misused and 2 or 1
end

return M
