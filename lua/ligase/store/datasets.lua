--- Datasets: finding them by what a person types, listing them, reading them back.
local cursor = require "ligase.store.cursor"
local errors = require "ligase.base.errors"
local json = require "ligase.base.json"
local pg = require "pg"
local text = require "ligase.base.text"

local M = {}

local MATCH = [[
SELECT id, omics_type, name, current_revision, created_at, updated_at,
  (name = $1 OR omics_type || '/' || name = $1 OR id::text = lower($1)) AS exact, count(*) OVER () AS matching
FROM datasets
WHERE name = $1 OR omics_type || '/' || name = $1 OR starts_with(id::text, lower($1)) OR starts_with(name, $1)
  OR starts_with(omics_type || '/' || name, $1)
ORDER BY exact DESC, name, omics_type LIMIT 50]]

local function shown(rows, most)
  local lines = {}
  for i = 1, math.min(#rows, most) do
    lines[i] = ("%s/%s (%s)"):format(rows[i].omics_type, rows[i].name, rows[i].id:sub(1, 13))
  end
  return table.concat(lines, ", ") .. (#rows > most and ", ..." or "")
end

local function refuse_unknown(conn, wanted)
  local rows = conn:query("SELECT omics_type, name FROM datasets ORDER BY updated_at DESC LIMIT 1000")
  local names = {}
  for _, row in ipairs(rows) do
    names[#names + 1] = row.name
    names[#names + 1] = wanted:find("/", 1, true) and row.omics_type .. "/" .. row.name or nil
  end
  local near = text.nearest(wanted, names)
  errors.raise { kind = "usage", code = "dataset", message = ("there is no dataset '%s'"):format(wanted),
    hint = near and ("Did you mean '%s'?"):format(near)
      or (#names == 0 and "There are none yet: ligase ingest FILE" or "See them with: ligase datasets") }
end

--- The dataset a person means by its name, omics/name, id, or an unambiguous start of
--- one. Raises "usage" when there is none or more than one, listing them.
---@param conn table
---@param wanted string
---@return {id: string, omics_type: string, name: string, current_revision: integer}
function M.find(conn, wanted)
  local rows = wanted ~= "" and conn:query(MATCH, wanted) or {}
  local exact = {}
  for _, row in ipairs(rows) do
    if row.exact then
      exact[#exact + 1] = row
    end
  end
  local candidates = #exact > 0 and exact or rows
  if #candidates == 1 then
    return candidates[1]
  elseif #candidates == 0 then
    refuse_unknown(conn, wanted)
  end
  errors.raise { kind = "usage", code = "ambiguous_dataset",
    message = ("'%s' may be any of %d datasets"):format(wanted, #exact > 0 and #exact or rows[1].matching),
    detail = shown(candidates, 8),
    hint = ("Say which, for example: %s/%s"):format(candidates[1].omics_type, candidates[1].name) }
end

--- Which of these names are names of datasets.
---@param conn table
---@param omics string|nil only of this type
---@param names string[]
---@return table<string, boolean>
function M.existing(conn, omics, names)
  local found = {}
  for _, row in ipairs(conn:query("SELECT name FROM datasets WHERE name = ANY($1::text[]) "
    .. "AND ($2::text IS NULL OR omics_type = $2)", pg.array(names), omics or pg.null)) do
    found[row.name] = true
  end
  return found
end

--- All datasets with their figures, for a table.
---@param conn table
---@param omics string|nil
---@param program_id string|nil only those of this program, first of all or further
---@param experiment_id string|nil only those of this experiment
---@return table result as conn:table gives it
function M.list(conn, omics, program_id, experiment_id)
  return conn:table([[
SELECT name, omics_type AS omics, program, revision, row_count AS rows, feature_count AS features,
  sample_count AS samples, value_count AS "values", to_char(revised_at, 'YYYY-MM-DD HH24:MI') AS ingested,
  left(id::text, 13) AS id
FROM dataset_overview AS o
WHERE ($1::text IS NULL OR omics_type = $1)
  AND ($2::uuid IS NULL OR id IN (SELECT dataset_id FROM dataset_programs WHERE program_id = $2))
  AND ($3::uuid IS NULL OR id IN (SELECT dataset_id FROM dataset_experiments WHERE experiment_id = $3))
ORDER BY name, omics_type]], omics or pg.null, program_id or pg.null, experiment_id or pg.null)
end

--- A dataset's programs, experiments, organism, and the figures of its current revision.
---@param conn table
---@param dataset_id string
---@return {program: string, experiment: string, organism: string, sample_count: integer, contrast_count: integer,
--- run_id: string}
function M.details(conn, dataset_id)
  return conn:query([[
SELECT (SELECT string_agg(program, '; ' ORDER BY NOT is_main, program) FROM dataset_programs
    WHERE dataset_id = $1) AS program,
  (SELECT string_agg(experiment, '; ' ORDER BY NOT is_main, experiment) FROM dataset_experiments
    WHERE dataset_id = $1) AS experiment,
  array_to_string(d.organism, ', ') AS organism, o.sample_count, o.contrast_count, o.run_id
FROM dataset_overview AS o JOIN datasets AS d ON d.id = o.id WHERE o.id = $1]], dataset_id)[1]
end

--- A dataset's revisions, the oldest first, with columns and findings as Lua values.
---@param conn table
---@param dataset_id string
---@return table[]
function M.revisions(conn, dataset_id)
  return conn:query([[
SELECT revision, run_id, source, source_bytes, source_sha256, recipe, recipe_sha256, dialect, columns, contrasts,
  row_count, value_count, feature_count, cell_count, to_char(created_at, 'YYYY-MM-DD HH24:MI:SS TZ') AS created_at
FROM revisions WHERE dataset_id = $1 ORDER BY revision]], dataset_id)
end

--- One revision; the current one without a number.
---@param conn table
---@param dataset table from M.find
---@param number integer|nil
---@return table revision
function M.revision(conn, dataset, number)
  local wanted = number or dataset.current_revision
  local known, revisions = {}, M.revisions(conn, dataset.id)
  if wanted == pg.null or #revisions == 0 then
    errors.raise { kind = "usage", code = "revision", message = ("dataset '%s' holds no data yet"):format(dataset.name),
      hint = ("Read a file into it: ligase ingest --name '%s' FILE"):format(dataset.name) }
  end
  for _, revision in ipairs(revisions) do
    if revision.revision == wanted then
      return revision
    end
    known[#known + 1] = tostring(revision.revision)
  end
  errors.raise { kind = "usage", code = "revision",
    message = ("dataset '%s' has no revision %s"):format(dataset.name, tostring(wanted)),
    hint = "It has: " .. table.concat(known, ", ") }
end

--- Arrays come as Postgres' own text, the shortest that reads back to the same number.
local READ = [[
SELECT m.source_name, m.values::text[] AS "values", m.texts, m.cells, m.ordinal, f.name AS feature
FROM measurements AS m LEFT JOIN features AS f ON f.key = m.feature_key
WHERE m.dataset_id = '%s' AND m.revision = %d ORDER BY m.ordinal]]

--- The rows of one revision as they stood in the source: one list of texts per row, in
--- file order, read in pieces so that any size fits in memory. Rows that were shorter than
--- the header are filled up. They are read in a transaction of their own, which ends with
--- the last row, or when the loop is left.
---@param conn table with no open transaction
---@param dataset table
---@param revision table from M.revision
---@param decimal string|nil the decimal mark of numbers, "." when nil
---@return fun(): string[]|nil, table|nil iterator over cells and the row itself
---@return nil
---@return nil
---@return table closing for a generic for: ends the transaction
function M.source_rows(conn, dataset, revision, decimal)
  local columns = revision.columns
  local next_row, _, _, closing = cursor.rows(conn, READ:format(dataset.id, revision.revision), #columns)
  return function()
    local row = next_row()
    if not row then
      return nil
    end
    return M.cells_of(row, columns, decimal), row
  end, nil, nil, closing
end

--- The header line as it stood in the source: not the names that a format gave the columns
--- instead, and without the cell that R leaves out over the row names.
---@param revision table from M.revision
---@return string[]|nil cells nil when the source has no header line
function M.written_header(revision)
  local dialect, header = revision.dialect, {}
  if dialect.header == false then
    return nil
  end
  local written = dialect.written_header
  -- A header line too long for the first look is not kept whole.
  local is_whole = written ~= nil and #written == #revision.columns
  for i, column in ipairs(revision.columns) do
    header[i] = is_whole and written[i] or column.name
  end
  if dialect.header_short then
    table.remove(header, 1)
  end
  return header
end

--- One row's cells as texts, in file order.
---@param row table {source_name, values, texts, cells}
---@param columns table[]
---@param decimal string|nil the decimal mark of numbers, "." when nil
---@return string[]
function M.cells_of(row, columns, decimal)
  local cells, kept = {}, row.cells
  for i, column in ipairs(columns) do
    local value
    if column.role == "feature" then
      value = row.source_name
    elseif column.type == "number" then
      value = row.values[column.slot]
      if kept ~= pg.null and kept[tostring(column.position)] then
        value = kept[tostring(column.position)]
      elseif value == pg.null then
        value = column.missing
      elseif decimal == "," then
        value = value:gsub("%.", ",")
      end
    else
      value = row.texts[column.slot]
    end
    cells[i] = (value == nil or value == pg.null or value == json.null) and "" or value
  end
  return cells
end

return M
