local datasets = require "ligase.store.datasets"
local dialect = require "ligase.io.dialect"
local pg = require "pg"
local text = require "ligase.base.text"

local M = {}

M.summary = "show what is known of one dataset"
M.description = "A dataset is named by its name, omics/name, its id, or an unambiguous start of one of them."
M.example = [[
  ligase show plasma_lipids
  ligase show lipidomics/plasma --columns]]

function M.configure(parser)
  parser:argument("dataset", "The dataset."):argname("DATASET")
  parser:flag("--columns", "List every column of the current revision.")
end

local function or_dash(value)
  return (value == nil or value == pg.null) and "-" or tostring(value)
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
    local role = column.statistic or column.role
    rows[i] = { tostring(column.position), column.name, role, column.type, or_dash(column.missing) }
  end
  return text.table(rows, { header = { "#", "column", "role", "type", "missing" } })
end

function M.run(arguments, context)
  local conn = context:open()
  local dataset = datasets.find(conn, arguments.dataset)
  local details = conn:query([[
SELECT o.program, o.experiment, array_to_string(d.organism, ', ') AS organism, o.sample_count, o.contrast_count, o.run_id
FROM dataset_overview AS o JOIN datasets AS d ON d.id = o.id WHERE o.id = $1]], dataset.id)[1]
  local rows = {
    { "dataset", dataset.name }, { "omics", dataset.omics_type }, { "id", dataset.id },
    { "program", or_dash(details.program) }, { "experiment", or_dash(details.experiment) },
    { "organism", details.organism == "" and "-" or or_dash(details.organism) },
    { "samples", or_dash(details.sample_count) }, { "contrasts", or_dash(details.contrast_count) },
    { "last run", or_dash(details.run_id) },
  }
  io.stdout:write(text.table(rows), "\n")
  local lines, current = {}, nil
  for _, revision in ipairs(datasets.revisions(conn, dataset.id)) do
    local is_current = revision.revision == dataset.current_revision
    lines[#lines + 1] = tell_revision(revision, is_current)
    current = is_current and revision or current
  end
  io.stdout:write(text.table(lines, { header = { "revision", "read", "rows", "features", "values", "kept", "recipe",
    "written as", "source" } }))
  if current and #current.dialect.doubts > 0 then
    io.stdout:write("\ndoubts:\n  ", table.concat(current.dialect.doubts, "\n  "), "\n")
  end
  if arguments.columns and current then
    io.stdout:write("\n", columns_table(current.columns))
  end
end

return M
