--- Receipts: how the names of a feature, a dataset or a row were read.
---
--- Every name that was ever read has its receipt in feature_names, by the feature it was
--- read as and the name as it stood. Moving links to other features is in
--- ligase.store.name_differences.
local pg = require "pg"
local sys = require "sys"
local text = require "ligase.base.text"

local M = {}

--- The rows of a result as a plain list, without what a result has beside them.
local function rows_of(result)
  return table.move(result, 1, #result, 1, {})
end

-- ---- finding ---------------------------------------------------------------

local FEATURES = [[
SELECT f.key, f.id, f.feature_type, f.name, f.level, f.attributes, f.run_id, runs.command,
  runs.arguments ->> 'source' AS source, to_char(f.created_at, 'YYYY-MM-DD HH24:MI:SS TZ') AS created_at
FROM features AS f LEFT JOIN runs ON runs.id = f.run_id
WHERE f.key = ANY ($1::int8[]) AND ($2::text IS NULL OR f.feature_type = $2) ORDER BY f.feature_type, f.name]]

--- Features by their keys, by type and name.
---@param conn table
---@param keys integer[]
---@param feature_type string|nil only of this type
---@return table[] features {key, id, feature_type, name, level, attributes, run_id, command, source, created_at}
function M.features(conn, keys, feature_type)
  return rows_of(conn:query(FEATURES, pg.array(keys, "int8"), feature_type or pg.null))
end

local function keys_of(rows)
  local keys = {}
  for i, row in ipairs(rows) do
    keys[i] = row.key
  end
  return keys
end

--- The features of a canonical name, whatever their type.
---@param conn table
---@param name string
---@return integer[] keys
function M.keys_by_name(conn, name)
  return keys_of(conn:query("SELECT key FROM features WHERE name = $1", name))
end

--- The features that a raw name was ever read as. No index leads there: all receipts are
--- gone through.
---@param conn table
---@param raw string
---@return integer[] keys
function M.keys_by_raw_name(conn, raw)
  return keys_of(conn:query([[
SELECT DISTINCT feature_key AS key FROM feature_names WHERE raw_key = $1 AND raw_name = $2]], sys.hash64(raw), raw))
end

--- Whether there is a feature of this type.
---@param conn table
---@param feature_type string
---@return boolean
function M.has_type(conn, feature_type)
  return #conn:query("SELECT 1 FROM features WHERE feature_type = $1 LIMIT 1", feature_type) > 0
end

local BEGINS_LIKE = [[
SELECT name FROM features WHERE name >= $1 AND name < $1 || chr(1114111) ORDER BY name LIMIT 500]]

local RECENT = "SELECT name FROM datasets ORDER BY updated_at DESC LIMIT 500"

--- The name of a feature or dataset that was probably meant, or nil: among the latest
--- datasets, and the features that begin like it, in this or another case.
---@param conn table
---@param word string
---@return string|nil
function M.nearest(conn, word)
  local start = word:sub(1, (utf8.offset(word, 3) or #word + 1) - 1)
  local names, asked = {}, {}
  for _, each in ipairs { start, start:upper(), start:lower(), start:sub(1, 1):upper() .. start:sub(2) } do
    for _, row in ipairs(asked[each] and {} or conn:query(BEGINS_LIKE, each)) do
      names[#names + 1] = row.name
    end
    asked[each] = true
  end
  for _, row in ipairs(conn:query(RECENT)) do
    names[#names + 1] = row.name
  end
  return text.nearest(word, names)
end

-- ---- one feature -----------------------------------------------------------

local NAMES = [[
SELECT n.raw_name, n.rule, n.level, n.aside, n.reason, n.candidates, n.run_id, runs.command,
  runs.arguments ->> 'source' AS source, to_char(n.created_at, 'YYYY-MM-DD HH24:MI:SS TZ') AS read_at,
  count(*) OVER () AS matching
FROM feature_names AS n LEFT JOIN runs ON runs.id = n.run_id
WHERE n.feature_key = $1 ORDER BY n.created_at, n.raw_name LIMIT $2]]

local ROWS_BY_NAME = [[
SELECT m.source_name AS raw_name, count(*) AS n, count(DISTINCT m.dataset_id) AS datasets
FROM measurements AS m JOIN datasets AS d ON d.id = m.dataset_id AND d.current_revision = m.revision
WHERE m.feature_key = $1 AND m.source_name = ANY ($2::text[]) GROUP BY 1]]

--- The raw names that were read as a feature, the first read first, with the rows of
--- current revisions in which they stand.
---@param conn table
---@param key integer
---@param limit integer
---@return table[] names {raw_name, rule, level, aside, reason, candidates, run_id, command, source, read_at, rows,
--- datasets}
---@return integer count how many there are
function M.names(conn, key, limit)
  local names, by_name, raws = rows_of(conn:query(NAMES, key, limit)), {}, {}
  for i, name in ipairs(names) do
    by_name[name.raw_name], raws[i] = name, name.raw_name
    name.rows, name.datasets = 0, 0
  end
  for _, row in ipairs(#raws > 0 and conn:query(ROWS_BY_NAME, key, pg.array(raws, "text")) or {}) do
    local name = by_name[row.raw_name]
    name.rows, name.datasets = row.n, row.datasets
  end
  return names, names[1] and names[1].matching or 0
end

local TOTALS = [[
SELECT count(DISTINCT m.dataset_id) FILTER (WHERE d.current_revision = m.revision) AS datasets,
  count(*) FILTER (WHERE d.current_revision = m.revision) AS "rows",
  count(*) FILTER (WHERE d.current_revision IS DISTINCT FROM m.revision) AS earlier_rows
FROM measurements AS m JOIN datasets AS d ON d.id = m.dataset_id WHERE m.feature_key = $1]]

local EXAMPLES = [[
SELECT d.name AS dataset, d.omics_type, m.dataset_id, m.revision, min(m.ordinal) AS "row", count(*) AS "rows",
  (array_agg(m.source_name ORDER BY m.ordinal))[1] AS raw_name, r.source AS file
FROM measurements AS m JOIN datasets AS d ON d.id = m.dataset_id AND d.current_revision = m.revision
JOIN revisions AS r ON r.dataset_id = m.dataset_id AND r.revision = m.revision
WHERE m.feature_key = $1
GROUP BY d.name, d.omics_type, m.dataset_id, m.revision, r.source ORDER BY d.name, d.omics_type LIMIT $2]]

--- Where a feature occurs: in the current revisions, with examples, and in earlier ones.
---@param conn table
---@param key integer
---@param limit integer examples, one for each dataset
---@return {datasets: integer, rows: integer, earlier_rows: integer, examples: table[]} examples: {dataset, omics_type,
--- dataset_id, revision, row (its first), rows, raw_name, file}
function M.occurrences(conn, key, limit)
  local found = conn:query(TOTALS, key)[1]
  found.examples = found.rows > 0 and rows_of(conn:query(EXAMPLES, key, limit)) or {}
  return found
end

-- ---- one dataset -----------------------------------------------------------

--- Each name of the revision once, with its receipt. Names are joined by their text: the
--- few that one feature has are found by its key.
local READ = [[
WITH named AS MATERIALIZED (
  SELECT source_name AS raw_name, feature_key AS key, count(*) AS n, min(ordinal) AS ordinal
  FROM measurements WHERE dataset_id = $1 AND revision = $2 GROUP BY 1, 2),
read AS MATERIALIZED (
  SELECT named.*, r.rule, r.level, r.reason, r.candidates, r.aside
  FROM named LEFT JOIN feature_names AS r ON r.feature_key = named.key AND r.raw_name = named.raw_name)
]]

local COUNTS = [[
SELECT count(raw_name) AS names, coalesce(sum(n), 0)::int8 AS "rows", count(DISTINCT key) AS features,
  coalesce(sum(n) FILTER (WHERE raw_name IS NULL), 0)::int8 AS rows_without_name,
  coalesce(sum(n) FILTER (WHERE raw_name IS NOT NULL AND key IS NULL), 0)::int8 AS rows_not_linked,
  count(*) FILTER (WHERE key IS NOT NULL AND rule IS NULL) AS names_without_receipt,
  count(*) FILTER (WHERE candidates IS NOT NULL) AS ambiguous,
  count(*) FILTER (WHERE rule = 'verbatim' AND candidates IS NULL) AS not_understood,
  count(*) FILTER (WHERE rule <> 'verbatim' AND candidates IS NULL) AS understood
FROM read]]

local RULES = [[
SELECT rule, level, count(*) AS names, sum(n)::int8 AS "rows"
FROM read WHERE rule IS NOT NULL GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2]]

local REASONS = [[
SELECT reason, count(*) AS names, sum(n)::int8 AS "rows", (array_agg(raw_name ORDER BY ordinal))[1:$3::int] AS examples,
  min(ordinal) AS "row", count(*) OVER () AS matching
FROM read WHERE rule = 'verbatim' AND candidates IS NULL GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT $3]]

local AMBIGUOUS = [[
SELECT raw_name, reason, candidates, n AS "rows", ordinal AS "row", count(*) OVER () AS matching
FROM read WHERE candidates IS NOT NULL ORDER BY ordinal LIMIT $3]]

local ASIDE = [[
SELECT kind, count(*) AS names, sum(n)::int8 AS "rows", (array_agg(raw_name ORDER BY ordinal))[1:$3::int] AS examples
FROM (SELECT read.*, jsonb_object_keys(aside) AS kind FROM read WHERE jsonb_typeof(aside) = 'object') AS kept
GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT $3]]

--- How the names of a revision were read.
---@param conn table
---@param dataset_id string
---@param revision integer
---@param limit integer reasons, ambiguous names, kinds and examples that are listed
---@return table summary {counts, rules, reasons, ambiguous, aside}: counts = {names, rows, features, understood,
--- not_understood, ambiguous, rows_without_name, rows_not_linked, names_without_receipt}, the others lists
function M.summary(conn, dataset_id, revision, limit)
  local found = {}
  conn:transaction(function()
    conn:script("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
    found.counts = conn:query(READ .. COUNTS, dataset_id, revision)[1]
    found.rules = rows_of(conn:query(READ .. RULES, dataset_id, revision))
    found.reasons = rows_of(conn:query(READ .. REASONS, dataset_id, revision, limit))
    found.ambiguous = rows_of(conn:query(READ .. AMBIGUOUS, dataset_id, revision, limit))
    found.aside = rows_of(conn:query(READ .. ASIDE, dataset_id, revision, limit))
  end)
  return found
end

-- ---- one row ---------------------------------------------------------------

local ROW = [[
SELECT m.ordinal, m.source_name AS raw_name, m.feature_key, f.name AS feature, f.feature_type, f.id AS feature_id,
  n.rule, n.level, n.aside, n.reason, n.candidates, n.run_id, runs.command,
  to_char(n.created_at, 'YYYY-MM-DD HH24:MI:SS TZ') AS read_at
FROM measurements AS m
LEFT JOIN features AS f ON f.key = m.feature_key
LEFT JOIN feature_names AS n ON n.feature_key = m.feature_key AND n.raw_name = m.source_name
LEFT JOIN runs ON runs.id = n.run_id
WHERE m.dataset_id = $1 AND m.revision = $2 AND m.ordinal = $3]]

--- How the name of one row was read.
---@param conn table
---@param dataset_id string
---@param revision integer
---@param ordinal integer from 1
---@return table|nil row {ordinal, raw_name, feature, feature_type, feature_id, feature_key, rule, level, aside, reason,
--- candidates, run_id, command, read_at}; nil when there is no such row
function M.row(conn, dataset_id, revision, ordinal)
  return conn:query(ROW, dataset_id, revision, ordinal)[1]
end

return M
