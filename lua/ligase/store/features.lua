--- Features and the receipts of their names in Postgres.
---
--- Known names are looked up first and only the missing ones written, because writing
--- is the slow part and, on a distributed server, serialised. Where no name of a batch has
--- a receipt, its features are taken for new too, and after such a batch all of the next
--- one; what is there is looked up only when that proves wrong. They are copied in, which
--- is quickest; only when another transaction turns out to have written some of them
--- meanwhile are they inserted one by one around those. All writers keep to the order of
--- the keys, so that two of them wait for one another and not in a ring. A key that two
--- different names share is an error and never a mix-up. Features and receipts are never
--- taken back: an unused one is harmless, and other processes may remember it.
local errors = require "ligase.base.errors"
local json = require "ligase.base.json"
local pg = require "pg"

local M = {}

--- A few names beside many known ones are looked up one by one in the indexes; left to
--- itself, without fresh statistics, the planner reads both tables instead (600 ms for
--- 25,000 names beside 470,000 features, against 200). Where the names are many and the
--- tables small, reading them is the quicker way (25 ms for 20,000 beside 40,000,
--- against 50). The settings end with the transaction.
local BY_INDEX = "SET LOCAL enable_nestloop = on; SET LOCAL enable_hashjoin = off; "
  .. "SET LOCAL enable_mergejoin = off; SET LOCAL enable_seqscan = off"
-- Without nested loops: statistics taken after a large ingest was rolled back promise a
-- table of one row, and one scan of the real one for each name would take hours.
local BY_TABLE = "SET LOCAL enable_nestloop = off; SET LOCAL enable_hashjoin = on; "
  .. "SET LOCAL enable_mergejoin = on; SET LOCAL enable_seqscan = on"

local MANY_NAMES = 5000
local ROW_BYTES = 100 -- of feature_names, about
local KNOWN_BYTES = "SELECT pg_relation_size('feature_names') AS size_bytes"

--- Names whose receipt is missing. Both keys are hashes of texts: the texts need not be
--- sent, and two raw names that share one would have to name the same feature too.
local MISSING = [[
SELECT n.place::int8 AS place
FROM unnest($1::int8[], $2::int8[]) WITH ORDINALITY AS n (key, raw_key, place)
LEFT JOIN feature_names AS r ON r.feature_key = n.key AND r.raw_key = n.raw_key
WHERE r.feature_key IS NULL
ORDER BY n.key, n.raw_key]]

--- The same, name by name whatever the statistics say: LIMIT keeps the look-up inside
--- its loop, where a join may be turned into one that reads all names for each name.
local MISSING_BY_INDEX = [[
SELECT n.place::int8 AS place
FROM unnest($1::int8[], $2::int8[]) WITH ORDINALITY AS n (key, raw_key, place)
LEFT JOIN LATERAL (SELECT true AS is_known FROM feature_names AS r
  WHERE r.feature_key = n.key AND r.raw_key = n.raw_key LIMIT 1) AS r ON true
WHERE r.is_known IS NULL
ORDER BY n.key, n.raw_key]]

--- Features by key, one by one in their index.
local NAMES_OF = [[
SELECT n.key, f.name FROM unnest($1::int8[]) AS n (key)
CROSS JOIN LATERAL (SELECT name FROM features WHERE key = n.key LIMIT 1) AS f]]

local FEATURE_COLUMNS = { { "id", "uuid" }, { "key", "int8" }, { "run_id", "uuid" }, { "feature_type", "text" },
  { "name", "text" }, { "level", "text" }, { "attributes", "jsonb" } }

local RECEIPT_COLUMNS = { { "feature_key", "int8" }, { "raw_key", "int8" }, { "run_id", "uuid" },
  { "feature_type", "text" }, { "raw_name", "text" }, { "rule", "text" }, { "level", "text" }, { "reason", "text" },
  { "aside", "jsonb" }, { "candidates", "jsonb" } }

local UNIQUE_VIOLATION = "23505"

local INSERT_FEATURES = [[
INSERT INTO features (id, key, run_id, feature_type, name, level, attributes)
SELECT n.id, n.key, $1, $2, n.name, n.level, n.attributes::jsonb
FROM unnest($3::uuid[], $4::int8[], $5::text[], $6::text[], $7::text[]) AS n (id, key, name, level, attributes)
ORDER BY n.key
ON CONFLICT (key) DO NOTHING
RETURNING key]]

local INSERT_RECEIPTS = [[
INSERT INTO feature_names (feature_key, raw_key, run_id, feature_type, raw_name, rule, level, reason, aside, candidates)
SELECT n.key, n.raw_key, $1, $2, n.raw_name, n.rule, n.level, n.reason, n.aside::jsonb, n.candidates::jsonb
FROM unnest($3::int8[], $4::int8[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[])
  AS n (key, raw_key, raw_name, rule, level, reason, aside, candidates)
ORDER BY n.key, n.raw_key
ON CONFLICT (feature_key, raw_key) DO NOTHING]]

--- A name that was understood once and now is not, because a table that was loaded since
--- makes it ambiguous, keeps its feature; its receipt has to say so.
local REFRESH = [[
UPDATE feature_names AS r SET rule = n.rule, level = n.level, reason = n.reason, aside = n.aside::jsonb,
  candidates = n.candidates::jsonb, run_id = $1
FROM unnest($2::int8[], $3::int8[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[])
  AS n (key, raw_key, rule, level, reason, aside, candidates)
WHERE r.feature_key = n.key AND r.raw_key = n.raw_key
  AND (r.rule, r.reason, r.candidates) IS DISTINCT FROM (n.rule, n.reason, n.candidates::jsonb)]]

local function refuse_collision(entry, other)
  errors.raise { kind = "database", code = "feature_key_collision",
    message = ('the features "%s" and "%s" have the same key %d'):format(entry.name, other, entry.key),
    hint = "Nothing was stored. Please report it: two names out of 2^64 met" }
end

--- One field of all entries.
local function list_of(entries, field)
  local list = {}
  for i, entry in ipairs(entries) do
    local value = entry[field]
    list[i] = value == nil and pg.null or value
  end
  return list
end

local function gather(entries, field)
  return pg.array(list_of(entries, field))
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

--- The names of the features that are there, by key.
local function names_of(conn, entries)
  local names = {}
  for _, row in ipairs(conn:query(conn:prepare(NAMES_OF), gather(entries, "key"))) do
    names[row.key] = row.name
  end
  return names
end

--- Features that another transaction inserted meanwhile must be the same ones.
local function check_others(conn, entries, inserted)
  local mine, others = {}, {}
  for _, row in ipairs(inserted) do
    mine[row.key] = true
  end
  for _, entry in ipairs(entries) do
    others[#others + 1] = not mine[entry.key] and entry or nil
  end
  local names = names_of(conn, others)
  for _, entry in ipairs(others) do
    if names[entry.key] ~= entry.name then
      refuse_collision(entry, names[entry.key] or "?")
    end
  end
end

local function insert_features(conn, resolver, run_id, entries)
  if #entries == 0 then
    return 0
  end
  local inserted = conn:query(conn:prepare(INSERT_FEATURES), run_id, resolver.feature_type, gather(entries, "id"),
    gather(entries, "key"), gather(entries, "name"), gather(entries, "level"), gather(entries, "attributes"))
  if #inserted < #entries then
    check_others(conn, entries, inserted)
  end
  return #inserted
end

local function insert_receipts(conn, resolver, run_id, entries)
  conn:query(conn:prepare(INSERT_RECEIPTS), run_id, resolver.feature_type, gather(entries, "key"),
    gather(entries, "raw_key"), gather(entries, "raw"), gather(entries, "rule"), gather(entries, "level"),
    gather(entries, "reason"), gather(entries, "aside"), gather(entries, "candidates"))
end

--- Copies rows in; what needs no answer is done while Postgres works on them.
local function copy_in(conn, tbl, columns, count, values, meanwhile)
  local copy <close> = conn:copy_in(tbl, columns)
  copy:write(count, values)
  if meanwhile then
    copy:seal()
    meanwhile()
  end
  copy:finish()
end

local function feature_values(resolver, run_id, entries)
  return { id = list_of(entries, "id"), key = list_of(entries, "key"), run_id = run_id,
    feature_type = resolver.feature_type, name = list_of(entries, "name"), level = list_of(entries, "level"),
    attributes = list_of(entries, "attributes") }
end

local function receipt_values(resolver, run_id, entries)
  return { feature_key = list_of(entries, "key"), raw_key = list_of(entries, "raw_key"), run_id = run_id,
    feature_type = resolver.feature_type, raw_name = list_of(entries, "raw"), rule = list_of(entries, "rule"),
    level = list_of(entries, "level"), reason = list_of(entries, "reason"), aside = list_of(entries, "aside"),
    candidates = list_of(entries, "candidates") }
end

local function copy_both(conn, resolver, run_id, missing, new, meanwhile)
  local receipts
  if #new > 0 then
    copy_in(conn, "features", FEATURE_COLUMNS, #new, feature_values(resolver, run_id, new), function()
      receipts = receipt_values(resolver, run_id, missing)
    end)
  end
  copy_in(conn, "feature_names", RECEIPT_COLUMNS, #missing, receipts or receipt_values(resolver, run_id, missing),
    meanwhile)
end

--- From so many names on, it is asked first whether this very set was met before. A lab
--- reads the same panel or genome again and again.
local SET_LEAST = 2000

--- Some of its names are looked up all the same: somebody may have emptied a table by hand.
local SAMPLED = 16

local KNOWN_SET = [[
SELECT 1 FROM name_sets WHERE digest = $1 AND name_count = $2 AND $5 = (
  SELECT count(*) FROM unnest($3::int8[], $4::int8[]) AS n (key, raw_key)
  CROSS JOIN LATERAL (SELECT 1 FROM feature_names AS r WHERE r.feature_key = n.key AND r.raw_key = n.raw_key LIMIT 1)
    AS r)]]

local INSERT_SET = [[
INSERT INTO name_sets (digest, run_id, name_count) VALUES ($1, $2, $3) ON CONFLICT (digest) DO NOTHING]]

--- 128 bits of a set of names, whatever their order: sums of the mixed keys of each. The keys are
--- parts of SHA-256 already; the constants are splitmix64's (Steele, Lea and Flood 2014).
local function digest_of(waiting)
  local keys, raw_keys, low, high = waiting.keys, waiting.raw_keys, 0, 0
  for i = 1, #keys do
    local mixed = (keys[i] ~ (raw_keys[i] >> 7)) * 0xBF58476D1CE4E5B9
    low = low + (mixed ~ (mixed >> 31))
    mixed = (raw_keys[i] ~ (keys[i] >> 9)) * 0x94D049BB133111EB
    high = high + (mixed ~ (mixed >> 29))
  end
  local text = ("%016x%016x"):format(high, low)
  return text:gsub("^(........)(....)(....)(....)", "%1-%2-%3-%4-"), nil
end

local function is_known_set(conn, waiting)
  if not waiting.digest then
    return false
  end
  local count, keys, raw_keys = #waiting.raws, {}, {}
  for i = 1, SAMPLED do
    local place = count * i // SAMPLED
    keys[i], raw_keys[i] = waiting.keys[place], waiting.raw_keys[place]
  end
  return conn:query(conn:prepare(KNOWN_SET), waiting.digest, count, pg.int8_array(keys), pg.int8_array(raw_keys),
    SAMPLED)[1] ~= nil
end

local function remember_set(conn, waiting, run_id)
  if waiting.digest then
    conn:query(conn:prepare(INSERT_SET), waiting.digest, run_id, #waiting.raws)
  end
end

local function ask(conn, waiting)
  local count = #waiting.raws
  local by_table = count >= MANY_NAMES and conn:query(KNOWN_BYTES)[1].size_bytes < count * ROW_BYTES * 5
  conn:script(by_table and BY_TABLE or BY_INDEX)
  -- Not prepared in the one case: the plan depends on how many names there are.
  return conn:query(by_table and MISSING or conn:prepare(MISSING_BY_INDEX), pg.int8_array(waiting.keys),
    pg.int8_array(waiting.raw_keys))
end

--- What is to be written of one waiting name.
---@param waiting ligase.waiting
---@param place integer
---@return table entry {raw, raw_key, key, name, level, rule, reason, aside (JSON), candidates (JSON)}
function M.entry_of(waiting, place)
  local reading = waiting.readings[place]
  return { raw = waiting.raws[place], raw_key = waiting.raw_keys[place], key = waiting.keys[place],
    name = reading.name, level = reading.level, rule = reading.rule, reason = reading.reason,
    aside = reading.aside and json.encode(reading.aside),
    candidates = reading.candidates and json.encode(json.array(reading.candidates)) }
end

--- The waiting names without a receipt.
local function without_receipt(conn, waiting)
  local missing = {}
  if #waiting.raws > 0 then
    for i, row in ipairs(ask(conn, waiting)) do
      missing[i] = M.entry_of(waiting, row.place)
    end
  end
  return missing
end

--- All waiting names, as if none had a receipt.
local function all_of(waiting)
  local missing = {}
  for place = 1, #waiting.raws do
    missing[place] = M.entry_of(waiting, place)
  end
  table.sort(missing, function(a, b)
    return a.key < b.key or a.key == b.key and a.raw_key < b.raw_key
  end)
  return missing
end

--- The features of names without a receipt that are not there either.
local function without_feature(conn, missing)
  local names, new = names_of(conn, missing), {}
  for _, entry in ipairs(missing) do
    local name = names[entry.key]
    if not name then
      new[#new + 1] = entry
    elseif name ~= entry.name then
      refuse_collision(entry, name)
    end
  end
  return one_per_feature(new)
end

--- The names among the waiting ones whose receipts are missing, and the features among
--- those that are missing too.
---@param conn table
---@param waiting ligase.waiting
---@return table[] missing {raw, raw_key, key, name, level, rule, reason, aside (JSON), candidates (JSON)}
---@return table[] new one entry per feature
function M.missing(conn, waiting)
  local missing = without_receipt(conn, waiting)
  return missing, without_feature(conn, missing)
end

--- Attributes as JSON. Many features share one table of them, which is encoded once.
local encoded = setmetatable({}, { __mode = "k" })

local function encode_attributes(attributes)
  local text = encoded[attributes]
  if not text then
    text = json.encode(attributes)
    encoded[attributes] = text
  end
  return text
end

--- What a feature has beside its name.
local function complete(resolver, entries)
  for _, entry in ipairs(entries) do
    if not entry.id then
      local attributes = resolver.describe and resolver.describe(entry.name)
      entry.id = resolver:feature_id(entry.name)
      entry.attributes = attributes and encode_attributes(attributes) or "{}"
    end
  end
end

--- Copies features and receipts in a savepoint.
---@return boolean copied false when some of them are there
local function try_copy(conn, resolver, run_id, missing, new, meanwhile)
  complete(resolver, new)
  local copied, failure = pcall(conn.transaction, conn, copy_both, conn, resolver, run_id, missing, new, meanwhile)
  if not copied and not (errors.is(failure, "database") and failure.code == UNIQUE_VIOLATION) then
    error(failure, 0)
  end
  return copied
end

--- Brings the receipts of names that are not understood up to date.
local function refresh(conn, waiting, run_id)
  local doubtful = {}
  for place = 1, #waiting.raws do
    if waiting.readings[place].reason then
      doubtful[#doubtful + 1] = M.entry_of(waiting, place)
    end
  end
  if #doubtful > 0 then
    conn:query(conn:prepare(REFRESH), run_id, gather(doubtful, "key"), gather(doubtful, "raw_key"),
      gather(doubtful, "rule"), gather(doubtful, "level"), gather(doubtful, "reason"), gather(doubtful, "aside"),
      gather(doubtful, "candidates"))
  end
end

--- What will be written if all names are as new as those that were written last, and what
--- a large set of names is known by. Making it asks the database nothing.
---@param resolver ligase.resolver
---@param waiting ligase.waiting
---@return {missing: table[], new: table[]}|nil expected nil when there is no telling
function M.expect(resolver, waiting)
  waiting.digest = #waiting.raws >= SET_LEAST and digest_of(waiting) or nil
  if not resolver.expects_new or #waiting.raws == 0 then
    return nil
  end
  local missing = all_of(waiting)
  local new = one_per_feature(missing)
  complete(resolver, new)
  return { missing = missing, new = new }
end

--- Writes what is missing of names that were met for the first time by this process.
local function write_missing(conn, resolver, waiting, run_id, expected, meanwhile)
  local count = #waiting.raws
  local missing = expected and expected.missing or without_receipt(conn, waiting)
  if #missing == count then -- without receipts, or taken for it
    local all = expected and expected.new or one_per_feature(missing)
    resolver.expects_new = try_copy(conn, resolver, run_id, missing, all, meanwhile)
    if resolver.expects_new then
      return #all, count
    elseif expected then
      missing = without_receipt(conn, waiting)
    end
  end
  if #missing < count then
    refresh(conn, waiting, run_id)
  end
  if #missing == 0 then
    return 0, 0
  end
  local new = without_feature(conn, missing)
  if try_copy(conn, resolver, run_id, missing, new, meanwhile) then
    return #new, #missing
  end
  local inserted = insert_features(conn, resolver, run_id, new)
  insert_receipts(conn, resolver, run_id, missing)
  return inserted, #missing
end

--- Makes sure that features and receipts of names are there. Runs in the caller's
--- transaction.
---@param conn table
---@param resolver ligase.resolver
---@param waiting ligase.waiting
---@param run_id string the run that met them
---@param expected {missing: table[], new: table[]}|nil from M.expect, where it was asked ahead
---@param meanwhile fun()|nil called while Postgres works on the receipts, when there are some
---@return integer features how many were new
---@return integer receipts how many were new
function M.remember(conn, resolver, waiting, run_id, expected, meanwhile)
  expected = expected or M.expect(resolver, waiting)
  if #waiting.raws == 0 then
    return 0, 0
  elseif not expected and is_known_set(conn, waiting) then
    refresh(conn, waiting, run_id)
    return 0, 0
  end
  local new_features, new_names = write_missing(conn, resolver, waiting, run_id, expected, meanwhile)
  remember_set(conn, waiting, run_id)
  return new_features, new_names
end

local WITHOUT_SUM = [[
SELECT key, name FROM features
WHERE feature_type = 'lipid' AND attributes ? 'class' AND NOT attributes ? 'sum' AND level NOT IN ('category', 'class')
  AND key > $1
ORDER BY key LIMIT 5000]]

local FILL = [[
UPDATE features AS f SET attributes = f.attributes || n.attributes::jsonb, updated_at = now()
FROM unnest($1::int8[], $2::text[]) AS n (key, attributes) WHERE f.key = n.key]]

--- Describes lipids anew that were stored before sums were kept. Runs in the caller's
--- transaction.
---@param conn table
---@param resolver ligase.resolver
---@return integer count
function M.fill_sums(conn, resolver)
  local filled, after = 0, math.mininteger
  while resolver.feature_type == "lipid" and resolver.describe do
    local found, keys, attributes = conn:query(WITHOUT_SUM, after), {}, {}
    for i, row in ipairs(found) do
      local described = resolver.describe(row.name)
      keys[#keys + 1], attributes[#attributes + 1] = described and row.key, described and encode_attributes(described)
      after = i == #found and row.key or after
    end
    if #keys > 0 then
      filled = filled + conn:query(FILL, pg.array(keys, "int8"), pg.array(attributes, "text")).affected
    end
    if #found == 0 then
      break
    end
  end
  return filled
end

return M
