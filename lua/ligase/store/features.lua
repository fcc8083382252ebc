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

--- The names are looked up one by one in the indexes. Left to itself, without fresh
--- statistics, the planner reads all of both tables instead: 25,000 names then took
--- 600 ms beside 470,000 features. The setting ends with the transaction.
local BY_INDEX = "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL enable_seqscan = off"

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
  conn:script(BY_INDEX)
  local rows = conn:query(conn:prepare(MISSING), feature_type, pg.array(waiting.raws), pg.array(waiting.keys))
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
  local missing, new = M.missing(conn, feature_type, waiting)
  if #missing == 0 then
    return 0, 0
  end
  conn:query(conn:prepare(LOCK), sys.hash64("features"))
  missing, new = M.missing(conn, feature_type, as_waiting(missing))
  if #new > 0 then
    copy_features(conn, feature_type, run_id, new, feature_id)
  end
  if #missing > 0 then
    copy_receipts(conn, feature_type, run_id, missing)
  end
  return #new, #missing
end

return M
