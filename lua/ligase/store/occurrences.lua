--- Where a feature occurs: found by its name or id, with its relatives, the rows of current
--- revisions and what stands in them.
---
--- One feature among ten million rows has to be there in a moment: each query goes by one
--- index, and what is not printed is only counted.
local pg = require "pg"

local M = {}

local function rows_of(result)
  return table.move(result, 1, #result, 1, {})
end

-- ---- which feature ---------------------------------------------------------

local FEATURE = "SELECT f.key, f.id, f.feature_type, f.name, f.level, f.attributes FROM features AS f "

--- Features by their keys.
---@param conn table
---@param keys integer[]
---@param feature_type string|nil only of this type
---@return table[] features {key, id, feature_type, name, level, attributes}
function M.by_keys(conn, keys, feature_type)
  return rows_of(conn:query(FEATURE .. [[
WHERE f.key = ANY ($1::int8[]) AND ($2::text IS NULL OR f.feature_type = $2) ORDER BY f.feature_type, f.name]],
    pg.array(keys, "int8"), feature_type or pg.null))
end

--- Features of a canonical name, whatever their type.
---@param conn table
---@param name string
---@param feature_type string|nil
---@return table[] features
function M.by_name(conn, name, feature_type)
  return rows_of(conn:query(FEATURE .. [[
WHERE f.name = $1 AND ($2::text IS NULL OR f.feature_type = $2) ORDER BY f.feature_type]], name,
    feature_type or pg.null))
end

--- Digits of an id that are enough to look for it.
local ID_DIGITS_LEAST = 8

--- Features whose id begins so.
---@param conn table
---@param start string
---@param feature_type string|nil
---@return table[] features two at most
function M.by_id(conn, start, feature_type)
  local digits = start:lower():gsub("-", "")
  if #digits < ID_DIGITS_LEAST or #digits > 32 or digits:find("%X") then
    return {}
  end
  return rows_of(conn:query(FEATURE .. [[
WHERE f.id >= rpad($1, 32, '0')::uuid AND f.id <= rpad($1, 32, 'f')::uuid AND ($2::text IS NULL OR f.feature_type = $2)
ORDER BY f.id LIMIT 2]], digits, feature_type or pg.null))
end

--- Features whose name begins so.
---@param conn table
---@param start string
---@param feature_type string|nil
---@param limit integer
---@return table[] features
function M.by_start(conn, start, feature_type, limit)
  return rows_of(conn:query(FEATURE .. [[
WHERE f.name >= $1 AND f.name < $1 || chr(1114111) AND ($2::text IS NULL OR f.feature_type = $2)
ORDER BY f.name, f.feature_type LIMIT $3]], start, feature_type or pg.null, limit))
end

--- Lipids that share a sum.
---@param conn table
---@param sum string
---@param is_class boolean all whose sum begins with this class
---@param limit integer
---@return table[] features
function M.by_sum(conn, sum, is_class, limit)
  local condition = is_class and [[(f.attributes ->> 'sum') COLLATE "C" >= $1 || ' '
AND (f.attributes ->> 'sum') COLLATE "C" < $1 || '!']] or [[(f.attributes ->> 'sum') COLLATE "C" = $1]]
  return rows_of(conn:query(FEATURE .. "WHERE f.attributes ? 'sum' AND f.feature_type = 'lipid' AND " .. condition
    .. " ORDER BY f.name LIMIT $2", sum, limit))
end

--- Whether there are lipids whose sum is not known, so that by_sum may miss some.
---@param conn table
---@return boolean
function M.lacks_sums(conn)
  return #conn:query([[
SELECT 1 FROM features WHERE feature_type = 'lipid' AND attributes ? 'class' AND NOT attributes ? 'sum'
  AND level NOT IN ('category', 'class') LIMIT 1]]) > 0
end

-- ---- where it occurs -------------------------------------------------------

local COUNTS = [[
WITH found AS MATERIALIZED (
  SELECT m.dataset_id, m.revision, m.feature_key FROM measurements AS m WHERE m.feature_key = ANY ($1::int8[]))
SELECT found.feature_key AS key, count(DISTINCT found.dataset_id) AS datasets, count(*) AS "rows"
FROM found JOIN datasets AS d ON d.id = found.dataset_id AND d.current_revision = found.revision
GROUP BY found.feature_key]]

--- In how many datasets and rows features occur.
---@param conn table
---@param keys integer[]
---@return table<integer, {datasets: integer, rows: integer}> by key; none for those that occur nowhere
function M.counts(conn, keys)
  local counts = {}
  if #keys > 0 then
    for _, row in ipairs(conn:query(COUNTS, pg.array(keys, "int8"))) do
      counts[row.key] = { datasets = row.datasets, rows = row.rows }
    end
  end
  return counts
end

--- All of one feature at once, because finding its rows is what costs: they are found by
--- their key before anything is known of their datasets. A change that is missing, zero or
--- not a number has no direction; `up` and `down` count datasets in which every known change
--- is one, `both` those with both.
local PLACES = [[
WITH found AS MATERIALIZED (
  SELECT m.dataset_id, m.revision, m.ordinal, m.source_name, m.values, m.texts
  FROM measurements AS m WHERE m.feature_key = $1),
placed AS MATERIALIZED (
  SELECT found.*, d.name, d.omics_type, dense_rank() OVER (ORDER BY d.name, d.omics_type) AS place
  FROM found JOIN datasets AS d ON d.id = found.dataset_id AND d.current_revision = found.revision),
moved AS (
  SELECT p.dataset_id, sign(p.values[(c.entry ->> 'log2_fold_change')::int]) AS direction
  FROM placed AS p JOIN revisions AS r ON r.dataset_id = p.dataset_id AND r.revision = p.revision,
    jsonb_array_elements(r.contrasts) AS c (entry)
  WHERE r.contrasts <> '[]'),
judged AS (
  SELECT dataset_id, bool_or(direction = 1) AS up, bool_or(direction = -1) AS down FROM moved GROUP BY 1),
totals AS (
  SELECT (SELECT count(*) FROM placed) AS "rows", (SELECT coalesce(max(place), 0) FROM placed) AS datasets,
    count(*) FILTER (WHERE up AND down IS NOT TRUE) AS up, count(*) FILTER (WHERE down AND up IS NOT TRUE) AS down,
    count(*) FILTER (WHERE up AND down) AS both
  FROM judged)
SELECT totals."rows", totals.datasets, totals.up, totals.down, totals.both, p.name AS dataset, p.omics_type,
  p.dataset_id, p.revision, p.ordinal AS "row", p.source_name AS raw_name, p.values, p.texts, r.contrasts,
  r.sample_names, r.sample_quantities, r.sample_units, r.sample_text
FROM totals CROSS JOIN placed AS p JOIN revisions AS r ON r.dataset_id = p.dataset_id AND r.revision = p.revision
WHERE p.place <= $2 ORDER BY p.place, p.ordinal]]

---@class ligase.places where a feature occurs
---@field rows integer in current revisions
---@field datasets integer
---@field up integer datasets in which every known change is a rise
---@field down integer the same, a fall
---@field both integer datasets in which it rises in one row or contrast and falls in another
---@field first table[] its rows in the first datasets by name: {dataset, omics_type, dataset_id, revision, row,
--- raw_name, values, texts, contrasts, sample_names, sample_quantities, sample_units, sample_text}

local function places_of(result)
  local first = result[1] or { rows = 0, datasets = 0, up = 0, down = 0, both = 0 }
  return { rows = first.rows, datasets = first.datasets, up = first.up, down = first.down, both = first.both,
    first = rows_of(result) }
end

--- Where features occur.
---@param conn table
---@param features {key: integer}[]
---@param limit integer datasets whose rows are given
---@param meanwhile fun()|nil called while Postgres looks; it must not use the connection
---@return ligase.places[] places one for each feature
function M.places(conn, features, limit, meanwhile)
  if #features == 0 then
    return {}
  end
  local results = conn:pipeline(function(p)
    for _, feature in ipairs(features) do
      p:query(PLACES, feature.key, limit)
    end
  end, meanwhile)
  local places = {}
  for i, result in ipairs(results) do
    places[i] = places_of(result)
  end
  return places
end

return M
