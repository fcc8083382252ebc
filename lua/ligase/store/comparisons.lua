--- What moves in which comparison: the effects of current revisions as lists of features that
--- rise and that fall.
local flagged = require "ligase.store.flagged"
local pg = require "pg"

local M = {}

--- Comparisons asked for in one round trip, and features asked for at once.
local AT_ONCE, FEATURES_AT_ONCE = 100, 50000

local LIST = [[
SELECT d.id AS dataset_id, d.name AS dataset, d.omics_type, r.revision, c.entry ->> 'name' AS contrast,
  (c.entry ->> 'log2_fold_change')::int AS change,
  coalesce(c.entry ->> 'adjusted_p_value', c.entry ->> 'p_value')::int AS p,
  CASE WHEN d.omics_type = 'proteomics' THEN 'protein' END AS feature_type, %s
FROM datasets AS d JOIN revisions AS r ON r.dataset_id = d.id AND r.revision = d.current_revision,
  jsonb_array_elements(r.contrasts) WITH ORDINALITY AS c (entry, place)
WHERE r.contrasts <> '[]' AND c.entry ->> 'log2_fold_change' IS NOT NULL
ORDER BY d.name, d.omics_type, c.place]]

---@class ligase.comparison: one contrast of one dataset's current revision
---@field dataset_id string
---@field dataset string
---@field omics_type string
---@field revision integer
---@field contrast string|pg.null its name
---@field change integer slot of the log2 fold changes
---@field p integer|pg.null slot of the adjusted p-values, or else of the p-values
---@field up integer[]|nil keys of the features that rise
---@field down integer[]|nil of those that fall
---@field flag_rules string|nil by which rows are flagged
---@field both integer|nil how many rise in one row and fall in another

--- All comparisons that state changes, by dataset and in the order of the file's columns.
---@param conn table
---@return ligase.comparison[]
function M.list(conn)
  local found = conn:query(LIST:format(flagged.COLUMNS))
  for _, one in ipairs(found) do
    one.flag_rules = flagged.read(one)
  end
  return table.move(found, 1, #found, 1, {})
end

--- NaN is greater than all numbers to Postgres, and no movement to us.
local MOVED = [[
SELECT array_agg(feature_key ORDER BY feature_key) FILTER (WHERE up AND NOT down) AS up,
  array_agg(feature_key ORDER BY feature_key) FILTER (WHERE down AND NOT up) AS down,
  count(*) FILTER (WHERE up AND down) AS both
FROM (SELECT feature_key, bool_or(change > 0) AS up, bool_or(change < 0) AS down
  FROM (SELECT m.feature_key, m.values[$3::int] AS change, m.values[$4::int] AS p FROM measurements AS m
    WHERE m.dataset_id = $1 AND m.revision = $2 AND m.feature_key IS NOT NULL %s) AS m
  WHERE change <> 0 AND change <> 'NaN' AND abs(change) >= $6::float8 AND ($4::int IS NULL OR p <= $5::float8)
  GROUP BY feature_key) AS moved]]

--- Fills in what moves in each comparison. Where a comparison states how sure it is, only
--- what is sure enough counts. Rows that are flagged say nothing.
---@param conn table
---@param comparisons ligase.comparison[]
---@param max_p number
---@param min_change number the least log2 fold change, up or down
function M.fill(conn, comparisons, max_p, min_change)
  local function ask(p, sql, ...)
    p:query(conn:prepare(sql), ...)
  end
  for first = 1, #comparisons, AT_ONCE do
    local last = math.min(first + AT_ONCE - 1, #comparisons)
    local results = conn:pipeline(function(p)
      for i = first, last do
        local one = comparisons[i]
        ask(p, flagged.without(one, MOVED, one.dataset_id, one.revision, one.change, one.p, max_p, min_change))
      end
    end)
    for i = first, last do
      local row, one = results[i - first + 1][1], comparisons[i]
      one.up, one.down = row.up ~= pg.null and row.up or {}, row.down ~= pg.null and row.down or {}
      one.both = row.both
    end
  end
end

local FEATURES = [[
SELECT f.key, f.id, f.feature_type, f.name, f.level FROM unnest($1::int8[]) AS n (key)
JOIN features AS f ON f.key = n.key]]

--- Features by their keys.
---@param conn table
---@param keys integer[] each once
---@return table<integer, {key: integer, id: string, feature_type: string, name: string, level: string}> by key
function M.features(conn, keys)
  local by_key = {}
  for first = 1, #keys, FEATURES_AT_ONCE do
    local some = table.move(keys, first, math.min(first + FEATURES_AT_ONCE - 1, #keys), 1, {})
    for _, row in ipairs(conn:query(FEATURES, pg.int8_array(some))) do
      by_key[row.key] = row
    end
  end
  return by_key
end

return M
