--- The locks of the writers, taken by a rollback: whoever looked at a row before writing it is
--- waited for, and waits.
local pg = require "pg"
local sys = require "sys"

local M = {}

--- More locks of single things than this are more than a server of usual settings keeps: then
--- the table itself is locked, also against readers, because a writer reads before it writes.
local SINGLE_MOST = 2000

local TAKE = "SELECT pg_advisory_xact_lock(key) FROM unnest($1::int8[]) AS key"

--- Rollbacks of one database follow one another.
---@param conn table in a transaction
function M.begin(conn)
  conn:query("SELECT pg_advisory_xact_lock($1::int8)", sys.hash64 "rollback")
end

local DATASETS = [[
SELECT DISTINCT 'dataset' || chr(1) || coalesce(d.omics_type, u.target ->> 'omics_type') || chr(1)
  || coalesce(d.name, u.target ->> 'name') AS word
FROM undoing AS u LEFT JOIN datasets AS d ON d.id = u.id::uuid
WHERE u.watch IN ('datasets', 'revisions') AND coalesce(d.name, u.target ->> 'name') IS NOT NULL]]

local SCORED = [[
SELECT DISTINCT 'scores' || chr(1) || x.dataset_id AS word FROM dataset_signatures AS x
WHERE EXISTS (SELECT FROM undoing WHERE tbl = 'dataset_signatures')
  AND x.run_id::text IN (SELECT id FROM undoing WHERE tbl = 'dataset_signatures')
UNION SELECT 'scores' || chr(1) || id FROM undoing WHERE tbl = 'datasets' AND target IS NULL]]

local OTHERS = [[
SELECT DISTINCT CASE tbl WHEN 'screening_campaigns' THEN 'campaign' || chr(1) || id
  WHEN 'alias_sources' THEN 'alias_sources' || chr(1) || id
  WHEN 'signatures' THEN 'signatures' ELSE 'names apply' END AS word
FROM undoing WHERE tbl IN ('screening_campaigns', 'alias_sources', 'signatures', 'measurements', 'feature_names')
UNION SELECT DISTINCT 'entity' || chr(1) || tbl FROM undoing
WHERE tbl IN ('programs', 'experiments', 'datasets', 'compounds', 'signatures', 'screening_campaigns', 'features')]]

local HAS_SCORES = [[
SELECT 1 FROM undoing WHERE tbl = 'dataset_signatures' OR tbl = 'datasets' AND target IS NULL LIMIT 1]]

local function add_words(conn, sql, words, whole)
  local found = conn:query(sql)
  if whole and #found > SINGLE_MOST then
    conn:script(("LOCK TABLE %s IN ACCESS EXCLUSIVE MODE"):format(whole))
    return
  end
  for _, row in ipairs(found) do
    words[#words + 1] = row.word
  end
end

--- Takes the locks for what a plan touches, as far as they are not held.
---@param conn table
---@param held table<string, boolean> gets what is locked now
---@return boolean is_new whether any was not held before: the plan has to be made anew
function M.take(conn, held)
  local words, keys = {}, {}
  add_words(conn, DATASETS, words, "datasets")
  if #conn:query(HAS_SCORES) > 0 then
    add_words(conn, SCORED, words, "dataset_signatures")
  end
  add_words(conn, OTHERS, words)
  for _, word in ipairs(words) do
    if not held[word] then
      held[word] = true
      keys[#keys + 1] = sys.hash64((word:gsub("\1", "\0")))
    end
  end
  if #keys == 0 then
    return false
  end
  table.sort(keys)
  conn:query(TAKE, pg.int8_array(keys))
  return true
end

return M
