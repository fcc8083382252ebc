--- In how many datasets features occur, and in which direction they move there.
---
--- All rows of current revisions are gone through once, dataset by dataset: what is held at
--- once is one dataset's features, and then one line for each feature.
local pg = require "pg"

local M = {}

--- Where effects stand in the values of a revision: aligned arrays of the slots of changes
--- and of what says how sure they are, adjusted where there is one.
local CURRENT = [[
WITH current AS MATERIALIZED (
  SELECT r.dataset_id, r.revision,
    array(SELECT (c.entry ->> 'log2_fold_change')::int FROM jsonb_array_elements(r.contrasts) WITH ORDINALITY
      AS c (entry, place) WHERE c.entry ->> 'log2_fold_change' IS NOT NULL ORDER BY c.place) AS changes,
    array(SELECT coalesce(c.entry ->> 'adjusted_p_value', c.entry ->> 'p_value')::int
      FROM jsonb_array_elements(r.contrasts) WITH ORDINALITY AS c (entry, place)
      WHERE c.entry ->> 'log2_fold_change' IS NOT NULL ORDER BY c.place) AS ps
  FROM datasets AS d JOIN revisions AS r ON r.dataset_id = d.id AND r.revision = d.current_revision),
]]

--- A comparison with NaN is false this way: Postgres takes it for greater than all numbers.
local function moves(condition)
  return ([=[
CASE cardinality(c.changes) WHEN 0 THEN NULL
  WHEN 1 THEN %s AND ($2::float8 IS NULL OR m.values[c.ps[1]] <= $2)
  ELSE EXISTS (SELECT FROM unnest(c.changes, c.ps) AS s (change, p)
    WHERE %s AND ($2::float8 IS NULL OR m.values[s.p] <= $2)) END]=]):format(
    (condition:gsub("%%", "m.values[c.changes[1]]")), (condition:gsub("%%", "m.values[s.change]")))
end

local COUNTED = [[
counted AS (
  SELECT one.feature_key, count(*) AS datasets, sum(one.n)::int8 AS n,
    count(*) FILTER (WHERE one.up AND one.down IS NOT TRUE) AS up,
    count(*) FILTER (WHERE one.down AND one.up IS NOT TRUE) AS down,
    count(*) FILTER (WHERE one.up AND one.down) AS both
  FROM current AS c CROSS JOIN LATERAL (
    SELECT m.feature_key, count(*) AS n, bool_or(]] .. moves "% > 0 AND % <= 'Infinity'" .. [[) AS up,
      bool_or(]] .. moves "% < 0" .. [[) AS down
    FROM measurements AS m
    WHERE m.dataset_id = c.dataset_id AND m.revision = c.revision AND m.feature_key IS NOT NULL
    GROUP BY m.feature_key) AS one
  GROUP BY one.feature_key)
]]

local OF_DATASET = [[
 AND counted.feature_key IN (SELECT m.feature_key FROM measurements AS m JOIN datasets AS d ON d.id = m.dataset_id
  AND d.current_revision = m.revision WHERE m.dataset_id = $5)]]

local LIST = [[
SELECT f.name AS feature, f.feature_type AS type, f.level, counted.datasets, counted.n AS "rows", counted.up,
  counted.down, counted.both, f.id, count(*) OVER () AS matching
FROM counted JOIN features AS f ON f.key = counted.feature_key
WHERE ($1::text IS NULL OR f.feature_type = $1) AND counted.datasets >= $3%s
ORDER BY counted.datasets DESC, counted.n DESC, f.name, f.feature_type LIMIT $4]]

--- Features of current revisions by the number of their datasets. Of these, `up` are those
--- in which every known change is a rise, `down` a fall, and `both` those with both; in the
--- others no direction is known.
---@param conn table
---@param wanted {feature_type: string|nil, dataset_id: string|nil, min: integer|nil, max_p: number|nil,
--- limit: integer|nil} of this type; that occur in this dataset; in so many datasets at least; only changes whose
--- adjusted p-value, or else p-value, is at most this; so many
---@return table result as conn:table gives it: feature, type, level, datasets, rows, up, down, both, id
---@return integer count how many there are without a limit
function M.list(conn, wanted)
  local found = conn:transaction(function()
    -- One dataset after the other, and hash tables for the sums.
    conn:script "SET LOCAL work_mem = '256MB'; SET LOCAL jit = off"
    local parameters = { wanted.feature_type or pg.null, wanted.max_p or pg.null, wanted.min or 1,
      wanted.limit or pg.null, wanted.dataset_id }
    return conn:table(CURRENT .. COUNTED .. LIST:format(wanted.dataset_id and OF_DATASET or ""),
      table.unpack(parameters, 1, wanted.dataset_id and 5 or 4))
  end)
  local columns = found.columns
  local count = found[1] and math.tointeger(tonumber(found[1][#columns])) or 0
  for _, row in ipairs(found) do
    row[#columns] = nil
  end
  columns[#columns] = nil
  return found, count
end

return M
