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
  ligase show lipidomics/plasma_l --columns]]

--- Declares the command's words.
---@param parser table argparse's
function M.configure(parser)
  parser:argument("DATASET", "The dataset."):target("dataset"):argname("DATASET")
  parser:flag("--columns", "List every column of the current revision.")
end

local function or_dash(value)
  return (value == nil or value == pg.null or value == "") and "-" or tostring(value)
end

local function tell_revision(revision, is_current)
  local d = revision.dialect
  return {
    (is_current and "* " or "  ") .. revision.revision, revision.created_at, text.number(revision.row_count),
    text.number(revision.feature_count), text.number(revision.value_count), text.number(revision.cell_count),
    or_dash(revision.recipe), dialect.separator_name(d.separator or ",") .. ", " .. or_dash(d.encoding),
    or_dash(revision.source),
  }
end

local function columns_table(columns)
  local rows = {}
  for i, column in ipairs(columns) do
    rows[i] = { tostring(column.position), column.name, column.statistic or column.role, column.type,
      or_dash(column.missing) }
  end
  return text.table(rows, { header = { "#", "column", "role", "type", "missing" } })
end

local function doubts_of(revision)
  local lines = {}
  for i, doubt in ipairs(revision.dialect.doubts or {}) do
    lines[i] = text.printable(doubt)
  end
  return lines
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
    "recipe", "written as", "source" } }))
  local doubts = current and doubts_of(current) or {}
  if #doubts > 0 then
    output.write("\ndoubts:\n  " .. table.concat(doubts, "\n  ") .. "\n")
  end
  if arguments.columns and current then
    output.write("\n" .. columns_table(current.columns))
  end
end

return M
