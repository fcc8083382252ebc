--- Two revisions side by side, cell by cell.
---
--- Rows are the same when they have the same name and are equally often preceded by it, columns
--- when they have the same header likewise: a row that was put in between changes no other.
--- Postgres pairs and sorts the rows, which come in pieces, so that memory does not grow with
--- the table.
local cursor = require "ligase.store.cursor"
local datasets = require "ligase.store.datasets"
local json = require "ligase.base.json"
local pg = require "pg"

local M = {}

---@class ligase.revision_difference
---@field kind "added"|"removed"|"changed"|"linked"
---@field name string|nil as it stands in the source
---@field feature string|nil
---@field row_before integer|nil
---@field row_after integer|nil
---@field column string|nil
---@field before string|nil
---@field after string|nil

local ROWS = [[
SELECT m.source_name, m.ordinal, m.feature_key, m.values, m.texts, m.cells,
    coalesce('n' || m.source_name, '') AS pair, row_number() OVER (PARTITION BY m.source_name ORDER BY m.ordinal) AS n
  FROM measurements AS m WHERE m.dataset_id = '%s' AND m.revision = %d]]

--- Equal rows are left out by Postgres where the columns are the same ones.
local PAIRS = [[
SELECT a.source_name AS name_a, a.ordinal AS ordinal_a, a.values::text[] AS values_a, a.texts AS texts_a,
  a.cells AS cells_a, b.source_name AS name_b, b.ordinal AS ordinal_b, b.values::text[] AS values_b,
  b.texts AS texts_b, b.cells AS cells_b, fa.name AS feature_a, fb.name AS feature_b
FROM (%s) AS a FULL JOIN (%s) AS b ON a.pair = b.pair AND a.n = b.n
LEFT JOIN features AS fa ON fa.key = a.feature_key LEFT JOIN features AS fb ON fb.key = b.feature_key
WHERE %s
ORDER BY coalesce(b.ordinal, a.ordinal), a.ordinal]]

local DIFFERS = [[
a.ordinal IS NULL OR b.ordinal IS NULL OR (a.values, a.texts, a.cells, a.feature_key)
  IS DISTINCT FROM (b.values, b.texts, b.cells, b.feature_key)]]

--- The columns by header and by how often it stood before.
local function by_header(columns)
  local places, counts = {}, {}
  for i, column in ipairs(columns) do
    local name = column.name or ""
    counts[name] = (counts[name] or 0) + 1
    places[name .. "\0" .. counts[name]] = i
  end
  return places
end

local function pair_columns(a, b)
  local in_a, in_b = by_header(a), by_header(b)
  local shared, added, removed, same = {}, {}, {}, #a == #b
  for key, place in pairs(in_a) do
    if in_b[key] then
      shared[#shared + 1] = { name = key:match("^(.*)\0"), a = place, b = in_b[key] }
      local x, y = a[place], b[in_b[key]]
      same = same and place == in_b[key] and x.slot == y.slot and x.type == y.type and x.role == y.role
        and x.missing == y.missing
    else
      removed[#removed + 1] = { place = place, name = key:match("^(.*)\0") }
    end
  end
  for key, place in pairs(in_b) do
    if not in_a[key] then
      added[#added + 1] = { place = place, name = key:match("^(.*)\0") }
    end
  end
  local function in_order(list, field)
    table.sort(list, function(x, y)
      return x[field] < y[field]
    end)
    return list
  end
  return in_order(shared, "b"), in_order(added, "place"), in_order(removed, "place"),
    same and #added == 0 and #removed == 0
end

local function given(value)
  return value ~= pg.null and value ~= json.null and value or nil
end

local function side_of(row, which)
  return { source_name = row["name_" .. which], values = row["values_" .. which], texts = row["texts_" .. which],
    cells = row["cells_" .. which] }
end

--- What differs in one pair of rows.
local function differences_of(row, sides, shared)
  local base = { name = given(row.name_b) or given(row.name_a), feature = given(row.feature_b) or given(row.feature_a),
    row_before = given(row.ordinal_a), row_after = given(row.ordinal_b) }
  local function difference(kind, column, before, after)
    return { kind = kind, name = base.name, feature = base.feature, row_before = base.row_before,
      row_after = base.row_after, column = column, before = before, after = after }
  end
  if not base.row_before or not base.row_after then
    return { difference(base.row_after and "added" or "removed") }
  end
  local found = {}
  local a = datasets.cells_of(side_of(row, "a"), sides[1].columns)
  local b = datasets.cells_of(side_of(row, "b"), sides[2].columns)
  for _, column in ipairs(shared) do
    if a[column.a] ~= b[column.b] then
      found[#found + 1] = difference("changed", column.name, a[column.a], b[column.b])
    end
  end
  if row.feature_a ~= row.feature_b then
    found[#found + 1] = difference("linked", nil, given(row.feature_a), given(row.feature_b))
  end
  return found
end

local function names_of(list)
  local names = {}
  for i, column in ipairs(list) do
    names[i] = column.name
  end
  return names
end

--- Goes through all differences of two revisions, in the order of the rows.
---@param conn table with no open transaction
---@param sides {dataset: table, revision: integer}[] two of them
---@param fn fun(difference: ligase.revision_difference)
---@return {rows_added: integer, rows_removed: integer, rows_changed: integer, cells_changed: integer,
--- rows_linked: integer, columns_added: string[], columns_removed: string[]} counts
function M.each(conn, sides, fn)
  local full = {}
  for i, side in ipairs(sides) do
    full[i] = datasets.revision(conn, side.dataset, side.revision)
  end
  local shared, added, removed, same = pair_columns(full[1].columns, full[2].columns)
  local counts = { rows_added = 0, rows_removed = 0, rows_changed = 0, cells_changed = 0, rows_linked = 0,
    columns_added = names_of(added), columns_removed = names_of(removed) }
  local sql = PAIRS:format(ROWS:format(sides[1].dataset.id, sides[1].revision),
    ROWS:format(sides[2].dataset.id, sides[2].revision), same and DIFFERS or "true")
  for row in cursor.rows(conn, sql, #full[1].columns + #full[2].columns) do
    local is_changed = false
    for _, difference in ipairs(differences_of(row, full, shared)) do
      if difference.kind == "added" or difference.kind == "removed" then
        counts["rows_" .. difference.kind] = counts["rows_" .. difference.kind] + 1
      elseif difference.kind == "linked" then
        counts.rows_linked = counts.rows_linked + 1
      else
        counts.cells_changed, is_changed = counts.cells_changed + 1, true
      end
      fn(difference)
    end
    counts.rows_changed = counts.rows_changed + (is_changed and 1 or 0)
  end
  return counts
end

return M
