--- `ligase show DATASET`: what is known of one dataset.
local datasets = require "ligase.store.datasets"
local dialect = require "ligase.io.dialect"
local output = require "ligase.cli.output"
local pg = require "pg"
local text = require "ligase.base.text"

local M = {}

M.description = "Shows a dataset and its revisions. It is named by its name, omics/name, its id, or an unambiguous "
  .. "start of one of them."
M.example = [[
  ligase show plasma_lipids
  ligase show lipidomics/plasma_l --columns
  ligase show plasma_lipids --about]]

--- Declares the command's words.
---@param parser table argparse's
function M.configure(parser)
  parser:argument("DATASET", "The dataset."):target("dataset"):argname("DATASET")
  parser:flag("--columns", "List every column of the current revision, and what is known of its sample.")
  parser:flag("--about", "List what the file told beside its table: study, protocols, instruments, ...")
end

local function or_dash(value)
  return (value == nil or value == pg.null or value == "") and "-" or tostring(value)
end

local function tell_revision(revision, is_current)
  local d = revision.dialect
  return {
    (is_current and "* " or "  ") .. revision.revision, revision.created_at, text.number(revision.row_count),
    text.number(revision.feature_count), text.number(revision.value_count), text.number(revision.cell_count),
    or_dash(revision.recipe), or_dash(d.format),
    dialect.separator_name(d.separator or ",") .. ", " .. or_dash(d.encoding),
    or_dash(revision.source),
  }
end

--- A table as "group = a; dose = 1", in the order of its keys.
local function attributes_line(attributes)
  local keys, parts = {}, {}
  for key in pairs(attributes or {}) do
    keys[#keys + 1] = key
  end
  table.sort(keys)
  for i, key in ipairs(keys) do
    parts[i] = ("%s = %s"):format(key, tostring(attributes[key]))
  end
  return table.concat(parts, "; ")
end

local function columns_table(columns)
  local rows, header, any = {}, { "#", "column", "role", "type", "missing" }, false
  for i, column in ipairs(columns) do
    local sample = attributes_line(column.sample)
    any = any or sample ~= ""
    rows[i] = { tostring(column.position), column.name, column.statistic or column.role, column.type,
      or_dash(column.missing), or_dash(sample) }
  end
  for _, row in ipairs(any and {} or rows) do
    row[#header + 1] = nil
  end
  header[#header + 1] = any and "sample" or nil
  return text.table(rows, { header = header })
end

--- The samples of a long table, which stand in its rows.
local function samples_table(columns)
  local rows = {}
  for _, column in ipairs(columns) do
    for name, attributes in pairs(column.samples or {}) do
      rows[#rows + 1] = { name, or_dash(attributes_line(attributes)) }
    end
  end
  table.sort(rows, function(one, other)
    return one[1] < other[1]
  end)
  return #rows > 0 and "\n" .. text.table(rows, { header = { "sample", "what is known of it" } }) or ""
end

--- Which rows are flagged, as rules: 'contaminant: "+" in "Potential contaminant"'.
local function flag_lines(revision)
  local lines = {}
  for i, rule in ipairs(revision.dialect.flags or {}) do
    local column = rule.position and revision.columns[rule.position]
    local where = column and ('in "%s"'):format(column.name) or "in the names"
    lines[i] = text.printable(("%s: %s %s"):format(rule.flag, rule.equals and ('"%s"'):format(rule.equals)
      or ('"%s..."'):format(rule.prefix), where))
  end
  return lines
end

--- The leaves of what a file told about itself: { "STUDY STUDY_TITLE", "..." }.
local function about_rows(value, path, rows)
  if type(value) ~= "table" then
    rows[#rows + 1] = { path, or_dash(value) }
    return rows
  end
  local keys = {}
  for key in pairs(value) do
    keys[#keys + 1] = key
  end
  table.sort(keys, function(one, other)
    if type(one) ~= type(other) then
      return type(one) == "number"
    end
    return one < other
  end)
  for _, key in ipairs(keys) do
    about_rows(value[key], path == "" and tostring(key) or path .. " " .. key, rows)
  end
  return rows
end

local function doubts_of(revision)
  local lines = {}
  for i, doubt in ipairs(revision.dialect.doubts or {}) do
    lines[i] = text.printable(doubt)
  end
  return lines
end

local function tell_list(title, lines)
  if #lines > 0 then
    output.write(("\n%s:\n  %s\n"):format(title, table.concat(lines, "\n  ")))
  end
end

--- Runs the command.
---@param arguments table as parsed
---@param context ligase.context
function M.run(arguments, context)
  local conn = context:open_existing()
  local dataset = datasets.find(conn, arguments.dataset)
  local details = datasets.details(conn, dataset.id)
  output.write(text.table {
    { "dataset", dataset.name }, { "omics", dataset.omics_type }, { "id", dataset.id },
    { "program", or_dash(details.program) }, { "experiment", or_dash(details.experiment) },
    { "organism", or_dash(details.organism) }, { "samples", or_dash(details.sample_count) },
    { "contrasts", or_dash(details.contrast_count) }, { "last run", or_dash(details.run_id) },
  })
  local lines, current = {}, nil
  for i, revision in ipairs(datasets.revisions(conn, dataset.id)) do
    local is_current = revision.revision == dataset.current_revision
    lines[i] = tell_revision(revision, is_current)
    current = is_current and revision or current
  end
  output.write("\n" .. text.table(lines, { header = { "revision", "read", "rows", "features", "values", "kept",
    "recipe", "format", "written as", "source" } }))
  if not current then
    return
  end
  tell_list("flagged rows", flag_lines(current))
  tell_list("doubts", doubts_of(current))
  if arguments.columns then
    output.write("\n" .. columns_table(current.columns) .. samples_table(current.columns))
  end
  if arguments.about then
    local rows = about_rows(current.dialect.about or {}, "", {})
    output.write("\n" .. (#rows > 0 and text.table(rows) or "The file told nothing beside its table.\n"))
  end
end

return M
