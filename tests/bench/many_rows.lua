--- Many rows of many datasets without reading a file for each: the rows of a few are
--- written once and copied within Postgres under other datasets' ids.
local M = {}

--- The ids of the copies, in the order of their numbers, so that rows lie as they would
--- have been written.
local COPY = [[
WITH copies AS MATERIALIZED (
  SELECT n, ('01900000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid AS id
  FROM generate_series($2::int, $3::int) AS n),
made AS (
  INSERT INTO datasets (id, omics_type, name, current_revision)
  SELECT copies.id, d.omics_type, d.name || '_' || lpad(copies.n::text, 6, '0'), d.current_revision
  FROM datasets AS d, copies WHERE d.id = $1),
revised AS (
  INSERT INTO revisions (dataset_id, revision, run_id, source_bytes, row_count, value_count, feature_count, cell_count,
    recipe, recipe_sha256, source, source_sha256, dialect, columns, contrasts, sample_names, sample_quantities,
    sample_units, sample_text, sample_count)
  SELECT copies.id, r.revision, r.run_id, r.source_bytes, r.row_count, r.value_count, r.feature_count, r.cell_count,
    r.recipe, r.recipe_sha256, r.source, r.source_sha256, r.dialect, r.columns, r.contrasts, r.sample_names,
    r.sample_quantities, r.sample_units, r.sample_text, r.sample_count
  FROM revisions AS r, copies WHERE r.dataset_id = $1)
INSERT INTO measurements (dataset_id, revision, ordinal, feature_key, source_name, values, texts, cells)
SELECT copies.id, m.revision, m.ordinal, m.feature_key, m.source_name, m.values, m.texts, m.cells
FROM copies CROSS JOIN LATERAL (
  SELECT * FROM measurements WHERE dataset_id = $1 OFFSET 0) AS m]]

--- Copies datasets.
---@param conn table
---@param ids string[] datasets with one revision, whose copies take turns
---@param count integer copies in all
function M.multiply(conn, ids, count)
  local each = (count + #ids - 1) // #ids
  for i, id in ipairs(ids) do
    local first = (i - 1) * each + 1
    conn:query(COPY, id, first, math.min(first + each - 1, count))
  end
end

--- The ids of all datasets, by name.
---@param conn table
---@return string[]
function M.ids(conn)
  local ids = {}
  for i, row in ipairs(conn:query "SELECT id FROM datasets ORDER BY name") do
    ids[i] = row.id
  end
  return ids
end

return M
