--- Features and the receipts of their names in Postgres.
---
--- Known names are looked up first and only the missing ones written, because writing
--- is the slow part and, on a distributed server, serialised. Those who write take
--- turns: under one lock, what is still missing is looked up again and copied in, so
--- that two ingests of the same new names neither collide nor wait for each other in a
--- ring. A key that two different names share is an error and never a mix-up.
local errors = require "ligase.base.errors"
local json = require "ligase.base.json"
local pg = require "pg"
local sys = require "sys"

local M = {}

--- A few names beside many known ones are looked up one by one in the indexes; left to
--- itself, without fresh statistics, the planner reads both tables instead (600 ms for
--- 25,000 names beside 470,000 features, against 200). Where the names are many and the
--- tables small, reading them is the quicker way (25 ms for 20,000 beside 40,000,
--- against 50). The settings end with the transaction.
local BY_INDEX = "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL enable_seqscan = off"
local BY_TABLE = "SET LOCAL enable_hashjoin = on; SET LOCAL enable_mergejoin = on; SET LOCAL enable_seqscan = on"

local MANY_NAMES = 5000
local ROW_BYTES = 100 -- of feature_names, about
local KNOWN_BYTES = "SELECT pg_relation_size('feature_names') AS size_bytes"

--- Names whose receipt is missing, and whether their feature is there already.
local MISSING = [[
SELECT n.place::int8 AS place, f.name
FROM unnest($2::text[], $3::int8[]) WITH ORDINALITY AS n (raw_name, key, place)
LEFT JOIN feature_names AS r
  ON r.feature_type = $1 AND r.raw_name = n.raw_name AND r.feature_key = n.key
LEFT JOIN features AS f ON f.key = n.key
WHERE r.feature_key IS NULL]]

local LOCK = "SELECT pg_advisory_xact_lock($1)"

local FEATURE_COLUMNS = { { "id", "uuid" }, { "key", "int8" }, { "run_id", "uuid" }, { "feature_type", "text" },
  { "name", "text" }, { "level", "text" } }

local RECEIPT_COLUMNS = { { "feature_key", "int8" }, { "run_id", "uuid" }, { "feature_type", "text" },
  { "raw_name", "text" }, { "rule", "text" }, { "level", "text" }, { "aside", "jsonb" } }

local function refuse_collision(entry, other)
  errors.raise { kind = "database", code = "feature_key_collision",
    message = ('the features "%s" and "%s" have the same key %d'):format(entry.name, other, entry.key),
    hint = "Nothing was stored. Please report it: two names out of 2^64 met" }
end

--- One field of all entries, as a list for COPY.
local function gather(entries, field)
  local list = {}
  for i, entry in ipairs(entries) do
    local value = entry[field]
    list[i] = value == nil and pg.null or value
  end
  return list
end

--- Entries without those whose feature came earlier in the list: two raw names may be
--- one feature.
local function one_per_feature(entries)
  local first, unique = {}, {}
  for _, entry in ipairs(entries) do
    local other = first[entry.key]
    if not other then
      first[entry.key] = entry
      unique[#unique + 1] = entry
    elseif other.name ~= entry.name then
      refuse_collision(entry, other.name)
    end
  end
  return unique
end

local function copy_features(conn, feature_type, run_id, entries, feature_id)
  for _, entry in ipairs(entries) do
    entry.id = feature_id(feature_type, entry.name)
  end
  local copy <close> = conn:copy_in("features", FEATURE_COLUMNS)
  copy:write(#entries, { id = gather(entries, "id"), key = gather(entries, "key"), run_id = run_id,
    feature_type = feature_type, name = gather(entries, "name"), level = gather(entries, "level") })
  return copy:finish()
end

local function copy_receipts(conn, feature_type, run_id, entries)
  for _, entry in ipairs(entries) do
    entry.aside = entry.aside and json.encode(entry.aside)
  end
  local copy <close> = conn:copy_in("feature_names", RECEIPT_COLUMNS)
  copy:write(#entries, { feature_key = gather(entries, "key"), run_id = run_id, feature_type = feature_type,
    raw_name = gather(entries, "raw"), rule = gather(entries, "rule"), level = gather(entries, "level"),
    aside = gather(entries, "aside") })
  return copy:finish()
end

local function ask(conn, feature_type, waiting)
  local count = #waiting.raws
  local by_table = count >= MANY_NAMES and conn:query(KNOWN_BYTES)[1].size_bytes < count * ROW_BYTES * 5
  conn:script(by_table and BY_TABLE or BY_INDEX)
  -- Not prepared in the one case: the plan depends on how many names there are.
  return conn:query(by_table and MISSING or conn:prepare(MISSING), feature_type, pg.array(waiting.raws),
    pg.array(waiting.keys))
end

--- The names among the waiting ones whose receipts are missing, and the features among
--- those that are missing too.
---@param conn table
---@param feature_type string
---@param waiting ligase.waiting
---@return table[] missing {raw, key, name, level, rule, aside}
---@return table[] new one entry per feature
function M.missing(conn, feature_type, waiting)
  local missing, new = {}, {}
  if #waiting.raws == 0 then
    return missing, new
  end
  local rows = ask(conn, feature_type, waiting)
  for i, row in ipairs(rows) do
    local reading = waiting.readings[row.place]
    local entry = { raw = waiting.raws[row.place], key = waiting.keys[row.place], name = reading.name,
      level = reading.level, rule = reading.rule, aside = reading.aside }
    missing[i] = entry
    if row.name == pg.null then
      new[#new + 1] = entry
    elseif row.name ~= entry.name then
      refuse_collision(entry, row.name)
    end
  end
  return missing, one_per_feature(new)
end

--- The entries as waiting names again.
local function as_waiting(entries)
  return { raws = gather(entries, "raw"), keys = gather(entries, "key"), readings = entries }
end

--- Makes sure that features and receipts of these names are there. Runs in the
--- caller's transaction.
---@param conn table
---@param feature_type string
---@param run_id string the run that would make them
---@param waiting ligase.waiting
---@param feature_id fun(feature_type: string, name: string): string
---@return integer features how many were new
---@return integer receipts how many were new
function M.remember(conn, feature_type, run_id, waiting, feature_id)
  local unknown = M.missing(conn, feature_type, waiting)
  if #unknown == 0 then
    return 0, 0
  end
  conn:query(conn:prepare(LOCK), sys.hash64("features"))
  local missing, new = M.missing(conn, feature_type, as_waiting(unknown))
  if #new > 0 then
    copy_features(conn, feature_type, run_id, new, feature_id)
  end
  if #missing > 0 then
    copy_receipts(conn, feature_type, run_id, missing)
  end
  return #new, #missing
end

return M
