--- Features and the receipts of their names in Postgres.
---
--- Known names are looked up first and only the missing ones inserted, because writes
--- to these tables are the slow part and, on a distributed server, serialised. A key
--- that two different names share is an error and never a mix-up.
local errors = require "ligase.base.errors"
local json = require "ligase.base.json"
local pg = require "pg"

local M = {}

--- Names whose receipt is missing, and whether their feature is there already.
local MISSING = [[
SELECT n.place::int8 AS place, f.name
FROM unnest($2::text[], $3::int8[]) WITH ORDINALITY AS n (raw_name, key, place)
LEFT JOIN feature_names AS r
  ON r.feature_type = $1 AND r.raw_name = n.raw_name AND r.feature_key = n.key
LEFT JOIN features AS f ON f.key = n.key
WHERE r.feature_key IS NULL]]

local INSERT_FEATURES = [[
INSERT INTO features (id, key, feature_type, name, level, run_id)
SELECT n.id, n.key, $1, n.name, n.level, $2
FROM unnest($3::uuid[], $4::int8[], $5::text[], $6::text[]) AS n (id, key, name, level)
ON CONFLICT (key) DO NOTHING
RETURNING key]]

local NAMES_OF = "SELECT key, name, feature_type FROM features WHERE key = ANY ($1::int8[])"

local INSERT_RECEIPTS = [[
INSERT INTO feature_names (feature_type, raw_name, feature_key, rule, level, aside, run_id)
SELECT $1, n.raw_name, n.key, n.rule, n.level, n.aside::jsonb, $2
FROM unnest($3::text[], $4::int8[], $5::text[], $6::text[], $7::text[]) AS n (raw_name, key, rule, level, aside)
ON CONFLICT (feature_type, raw_name, feature_key) DO NOTHING]]

local function gather(entries, field)
  local list = {}
  for i, entry in ipairs(entries) do
    local value = entry[field]
    list[i] = value == nil and pg.null or value
  end
  return pg.array(list)
end

local function refuse_collision(entry, other)
  errors.raise { kind = "database", code = "feature_key_collision",
    message = ('the features "%s" and "%s" have the same key %d'):format(entry.name, other, entry.key),
    hint = "Nothing was stored. Please report it: two names out of 2^64 met" }
end

--- Features inserted by another transaction meanwhile must be the same ones.
local function check_rest(conn, entries, inserted)
  local got, rest = {}, {}
  for _, row in ipairs(inserted) do
    got[row.key] = true
  end
  for _, entry in ipairs(entries) do
    if not got[entry.key] then
      rest[#rest + 1] = entry
    end
  end
  if #rest == 0 then
    return
  end
  local names = {}
  for _, row in ipairs(conn:query(conn:prepare(NAMES_OF), gather(rest, "key"))) do
    names[row.key] = row.name
  end
  for _, entry in ipairs(rest) do
    if names[entry.key] ~= entry.name then
      refuse_collision(entry, names[entry.key] or "?")
    end
  end
end

local function insert_features(conn, feature_type, run_id, entries, feature_id)
  local unique, last = {}, nil
  for _, entry in ipairs(entries) do -- sorted by key
    if last and last.key == entry.key then
      if last.name ~= entry.name then
        refuse_collision(entry, last.name)
      end
    else
      entry.id = feature_id(feature_type, entry.name)
      unique[#unique + 1] = entry
      last = entry
    end
  end
  local inserted = conn:query(conn:prepare(INSERT_FEATURES), feature_type, run_id, gather(unique, "id"),
    gather(unique, "key"), gather(unique, "name"), gather(unique, "level"))
  if #inserted < #unique then
    check_rest(conn, unique, inserted)
  end
  return #inserted
end

--- Two writers that insert the same features in the same order wait for one another
--- and never for both.
local function in_lock_order(a, b)
  if a.key ~= b.key then
    return a.key < b.key
  end
  return a.raw < b.raw
end

--- The names among the waiting ones whose receipts are missing, and those of them whose
--- feature is missing too.
---@param conn table
---@param feature_type string
---@param waiting ligase.waiting
---@return table[] missing, table[] new {raw, key, name, level, rule, aside}, in lock order
function M.missing(conn, feature_type, waiting)
  local missing, new = {}, {}
  if #waiting.raws == 0 then
    return missing, new
  end
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
  table.sort(missing, in_lock_order)
  table.sort(new, in_lock_order)
  return missing, new
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
  local inserted = #new > 0 and insert_features(conn, feature_type, run_id, new, feature_id) or 0
  for _, entry in ipairs(missing) do
    entry.aside = entry.aside and json.encode(entry.aside)
  end
  conn:query(conn:prepare(INSERT_RECEIPTS), feature_type, run_id, gather(missing, "raw"), gather(missing, "key"),
    gather(missing, "rule"), gather(missing, "level"), gather(missing, "aside"))
  return inserted, #missing
end

return M
