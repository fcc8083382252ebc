--- Names read anew: which stored names the present rules link to another feature, or to
--- the same one with another receipt.
---
--- All distinct names of current revisions are gone through with a cursor; rows are
--- looked for only where a name differs. Moving the links is in ligase.store.name_moves.
local pg = require "pg"
local receipt_changes = require "ligase.store.receipt_changes"
local sys = require "sys"

local M = {}

--- Names fetched, read and compared at once.
M.NAMES_AT_ONCE = 5000

---@class ligase.name_group: names that were read by one recipe into datasets of one omics type
---@field recipe string|pg.null its name, as the revisions have it
---@field omics_type string
---@field linked boolean false: their rows are not linked to features
---@field datasets integer
---@field resolver ligase.resolver|nil by which they are read now; to be set by the caller

---@class ligase.name_difference
---@field raw string
---@field raw_key integer
---@field old integer|nil key of the feature it is linked to; nil when to none
---@field new integer|nil key of the feature it is read as now; nil when the cell holds no name
---@field is_receipt boolean|nil the feature is the same (`new` is `old`), but its receipt says something else
---@field reading ligase.reading|nil by the present rules; nil when the cell holds no name
---@field rows integer of current revisions
---@field datasets integer
---@field old_name string|nil name of the old feature
---@field old_type string|nil
---@field old_rule string|nil as its receipt says
---@field old_level string|nil
---@field group ligase.name_group

local LINKED = "(r.dialect -> 'given' ->> 'linking') IS DISTINCT FROM 'false'"

local CURRENT = [[
FROM datasets AS d JOIN revisions AS r ON r.dataset_id = d.id AND r.revision = d.current_revision]]

--- The groups of names that are stored.
---@param conn table
---@param dataset_id string|nil only of this dataset
---@return ligase.name_group[]
function M.groups(conn, dataset_id)
  local only = dataset_id and "WHERE d.id = $1" or "WHERE $1::uuid IS NULL"
  return conn:query(([[
SELECT r.recipe, d.omics_type, %s AS linked, count(*) AS datasets %s %s
GROUP BY 1, 2, 3 ORDER BY 2, 1, 3]]):format(LINKED, CURRENT, only), dataset_id or pg.null)
end

-- ---- looking ---------------------------------------------------------------

--- The rows of a group; $1 is the recipe, $2 the omics type, $3 the dataset or NULL.
local function of_group(dataset_id)
  local only = dataset_id and "r.dataset_id = $3 AND m.dataset_id = $3" or "$3::uuid IS NULL"
  return ([[%s JOIN measurements AS m ON m.dataset_id = r.dataset_id AND m.revision = r.revision
WHERE r.recipe IS NOT DISTINCT FROM $1 AND d.omics_type = $2 AND %s AND %s]]):format(CURRENT, LINKED, only)
end

local function declare(conn, group, dataset_id)
  conn:script("SET LOCAL cursor_tuple_fraction = 1; SET LOCAL work_mem = '64MB'")
  conn:query(("DECLARE stored_names NO SCROLL CURSOR FOR SELECT DISTINCT m.source_name, m.feature_key %s "
    .. "AND m.source_name IS NOT NULL ORDER BY 1, 2"):format(of_group(dataset_id)), group.recipe, group.omics_type,
    dataset_id or pg.null)
  -- What follows asks for a few names among all; statistics that are missing must not turn
  -- that into a reading of everything.
  conn:script("SET LOCAL enable_seqscan = off; SET LOCAL enable_mergejoin = off")
end

--- Reads names as an ingest would, from scratch.
---@param resolver ligase.resolver one that remembers none of them; its rolled_back makes it forget
---@param raws string[] each once
---@return table<string, integer|false> keys by raw name
---@return table<string, ligase.reading> readings
---@return ligase.waiting waiting
function M.read_names(resolver, raws)
  local found = resolver:resolve_all(raws)
  local waiting, keys, readings = resolver:take(), {}, {}
  for i, raw in ipairs(raws) do
    keys[raw] = found[i]
  end
  for i, raw in ipairs(waiting.raws) do
    readings[raw] = waiting.readings[i]
  end
  return keys, readings, waiting
end

--- Each name once; rows are in the order of their names.
local function distinct_names(rows)
  local raws = {}
  for _, row in ipairs(rows) do
    if row.source_name ~= raws[#raws] then
      raws[#raws + 1] = row.source_name
    end
  end
  return raws
end

--- Those changes that no other group's rules account for: where two recipes read a name as one
--- feature by different rules, its only receipt may be that of either.
local function without_others(conn, groups, group, waiting, changes)
  for _, other in ipairs(groups) do
    if other ~= group and other.linked and #changes > 0
      and other.resolver.feature_type == group.resolver.feature_type then
      local raws, kept, differs = {}, {}, {}
      for i, change in ipairs(changes) do
        raws[i] = waiting.raws[change.place]
      end
      local keys, _, theirs = M.read_names(other.resolver, raws)
      for _, change in ipairs(receipt_changes.differing(conn, theirs)) do
        differs[theirs.raws[change.place]] = true
      end
      other.resolver:rolled_back()
      for _, change in ipairs(changes) do
        local raw = waiting.raws[change.place]
        kept[#kept + 1] = (differs[raw] or keys[raw] ~= change.entry.key) and change or nil
      end
      changes = kept
    end
  end
  return changes
end

--- The receipts that say something else than the present rules, of names whose link stays.
local function differing_receipts(conn, groups, group, waiting, stays)
  local places = {}
  for place, raw in ipairs(waiting.raws) do
    if stays[raw] then
      places[#places + 1] = place
    end
  end
  return without_others(conn, groups, group, waiting, receipt_changes.differing(conn, waiting, places))
end

--- Those of the rows that the present rules link to another feature, and those whose receipt
--- says something else.
local function differing(conn, groups, group, rows)
  local keys, readings, waiting = M.read_names(group.resolver, distinct_names(rows))
  group.resolver:rolled_back() -- nothing of it was written, and it need not be remembered
  local found, stays = {}, {}
  for _, row in ipairs(rows) do
    local old = row.feature_key ~= pg.null and row.feature_key or nil
    local new = keys[row.source_name] or nil
    if old ~= new then
      found[#found + 1] = { raw = row.source_name, old = old, new = new, reading = readings[row.source_name],
        group = group }
    elseif new then
      stays[row.source_name] = true
    end
  end
  local moved = #found
  for _, change in ipairs(next(stays) and differing_receipts(conn, groups, group, waiting, stays) or {}) do
    local raw, key = waiting.raws[change.place], change.entry.key
    found[#found + 1] = { raw = raw, old = key, new = key, is_receipt = true, reading = readings[raw], group = group }
  end
  if #found > moved then -- in the order of the names again
    local order = {}
    for i, difference in ipairs(found) do
      order[difference] = i
    end
    table.sort(found, function(one, other)
      return one.raw < other.raw or one.raw == other.raw and order[one] < order[other]
    end)
  end
  return found
end

local function list_of(differences, field)
  local list = {}
  for i, difference in ipairs(differences) do
    local value = difference[field]
    list[i] = value == nil and pg.null or value
  end
  return list
end

--- The rows of these differences, found by their keys before anything is known of their
--- datasets: a query that goes the other way takes ten times as long, or much more.
local WHERE_THEY_STAND = [[
WITH n AS MATERIALIZED (
  SELECT * FROM unnest($4::text[], $5::int8[]) WITH ORDINALITY AS n (raw, old, place)),
found AS MATERIALIZED (
  SELECT n.place, m.dataset_id, m.revision
  FROM measurements AS m JOIN n ON n.raw = m.source_name AND n.old IS NOT DISTINCT FROM m.feature_key
  WHERE (%s) AND %s)
SELECT found.place::int8 AS place, %s
FROM found JOIN datasets AS d ON d.id = found.dataset_id AND d.current_revision = found.revision
JOIN revisions AS r ON r.dataset_id = found.dataset_id AND r.revision = found.revision
WHERE r.recipe IS NOT DISTINCT FROM $1 AND d.omics_type = $2 AND %s GROUP BY %s]]

local BY_KEY = "m.feature_key = ANY ($5::int8[])"
local BY_NO_KEY = "m.feature_key IS NULL AND m.source_name = ANY ($4::text[])"

--- Asks for the rows of some differences of one group.
---@param conn table
---@param dataset_id string|nil only of this dataset
---@param differences ligase.name_difference[]
---@param selected string SQL, beside their place in the list: of found (dataset_id, revision), d (datasets), r
--- (revisions)
---@param grouped string SQL: GROUP BY what
---@return table[] rows {place, ...}
function M.ask_where(conn, dataset_id, differences, selected, grouped)
  local group, any_unlinked = differences[1].group, false
  for _, difference in ipairs(differences) do
    any_unlinked = any_unlinked or difference.old == nil
  end
  return conn:query(WHERE_THEY_STAND:format(any_unlinked and BY_KEY .. " OR " .. BY_NO_KEY or BY_KEY,
    dataset_id and "m.dataset_id = $3" or "$3::uuid IS NULL", selected, LINKED, grouped), group.recipe,
    group.omics_type, dataset_id or pg.null, pg.array(list_of(differences, "raw"), "text"),
    pg.array(list_of(differences, "old"), "int8"))
end

local OLD_READINGS = [[
SELECT n.place::int8 AS place, f.name, f.feature_type, r.rule, r.level
FROM unnest($1::int8[], $2::int8[]) WITH ORDINALITY AS n (key, raw_key, place)
JOIN features AS f ON f.key = n.key
LEFT JOIN feature_names AS r ON r.feature_key = n.key AND r.raw_key = n.raw_key]]

--- Adds how the names were read before, and how often they occur.
local function describe(conn, dataset_id, differences)
  local raw_keys = sys.hash64_all(list_of(differences, "raw"))
  for i, difference in ipairs(differences) do
    difference.raw_key, difference.rows, difference.datasets = raw_keys[i], 0, 0
  end
  for _, row in ipairs(conn:query(OLD_READINGS, pg.array(list_of(differences, "old"), "int8"),
    pg.int8_array(raw_keys))) do
    local difference = differences[row.place]
    difference.old_name, difference.old_type = row.name, row.feature_type
    difference.old_rule = row.rule ~= pg.null and row.rule or nil
    difference.old_level = row.level ~= pg.null and row.level or nil
  end
  for _, row in ipairs(M.ask_where(conn, dataset_id, differences,
    "count(*) AS n, count(DISTINCT found.dataset_id) AS datasets", "1")) do
    differences[row.place].rows, differences[row.place].datasets = row.n, row.datasets
  end
end

local FETCH = ("FETCH %d FROM stored_names"):format(M.NAMES_AT_ONCE)

local function each_batch_of(conn, groups, group, dataset_id, fn)
  declare(conn, group, dataset_id)
  repeat
    local rows = conn:query(FETCH)
    local found = differing(conn, groups, group, rows)
    if #found > 0 then
      fn(found)
    end
  until #rows == 0
  conn:script("CLOSE stored_names; SET LOCAL enable_seqscan TO DEFAULT; SET LOCAL enable_mergejoin TO DEFAULT")
end

--- Calls fn with lists of differences, some thousand at most, group after group and in the
--- order of the names. What was before and how many rows there are is not in them yet.
---@param conn table in a transaction
---@param groups ligase.name_group[] with their resolvers
---@param dataset_id string|nil only of this dataset
---@param fn fun(differences: ligase.name_difference[])
function M.each_batch(conn, groups, dataset_id, fn)
  for _, group in ipairs(groups) do
    if group.linked then
      each_batch_of(conn, groups, group, dataset_id, fn)
    end
  end
end

--- All names that the present rules read as another feature than the one they are linked
--- to, or as the same one with another receipt. Any number of names is gone through in
--- little memory. Within a transaction, best one that is read-only and REPEATABLE READ.
---@param conn table
---@param groups ligase.name_group[] with their resolvers
---@param dataset_id string|nil only of this dataset
---@return fun(): ligase.name_difference|nil iterator
function M.differences(conn, groups, dataset_id)
  return coroutine.wrap(function()
    M.each_batch(conn, groups, dataset_id, function(found)
      describe(conn, dataset_id, found)
      for _, difference in ipairs(found) do
        coroutine.yield(difference)
      end
    end)
  end)
end

return M
