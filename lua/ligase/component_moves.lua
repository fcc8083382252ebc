--- Components of signatures whose names the present rules read as another feature: where the
--- readers of names and the stored signatures meet.
---
--- Only the latest version of a signature is looked at, as of datasets only the current
--- revision: it is what scores are made by. Its components are moved in place, and so is the
--- hash of its content, so that loading the file again finds it unchanged.
local changes_of = require "ligase.store.changes"
local components = require "ligase.omics.signatures.components"
local features = require "ligase.store.features"
local json = require "ligase.base.json"
local pg = require "pg"
local signatures = require "ligase.omics.signatures"

local M = {}

--- Names that are read at once.
local NAMES_AT_ONCE = 5000

---@class ligase.component_difference
---@field feature_type string
---@field raw string
---@field old integer|nil key of the feature it is linked to
---@field new integer|nil key of the feature it is read as now
---@field old_name string|nil
---@field old_rule string|nil
---@field old_level string|nil
---@field reading ligase.reading
---@field components integer
---@field signatures integer

-- ---- looking ---------------------------------------------------------------

local LATEST = [[
FROM (SELECT id, name, version, row_number() OVER (PARTITION BY name ORDER BY created_at DESC, id DESC) AS place
  FROM signatures) AS s
JOIN signature_components AS c ON c.signature_id = s.id AND s.place = 1]]

local DECLARE = ([[
DECLARE component_names NO SCROLL CURSOR FOR
SELECT c.raw_name AS raw, c.feature_key AS old, f.name AS old_name, min(c.rule) AS old_rule, min(c.level) AS old_level,
  count(*) AS components, count(DISTINCT c.signature_id) AS signatures
%s LEFT JOIN features AS f ON f.key = c.feature_key
WHERE c.feature_type = $1 GROUP BY 1, 2, 3 ORDER BY 1, 2]]):format(LATEST)

local FETCH = ("FETCH %d FROM component_names"):format(NAMES_AT_ONCE)

local function or_nil(value)
  return value ~= pg.null and value or nil
end

local function add_differing(found, feature_type, resolver, rows)
  local names, seen = {}, {}
  for _, row in ipairs(rows) do
    names[#names + 1] = not seen[row.raw] and { row.raw } or nil
    seen[row.raw] = true
  end
  local read = components.read_names(resolver, names)
  resolver:rolled_back()
  for _, row in ipairs(rows) do
    local now = read[row.raw] or { reading = { reason = "a mark for a missing name" } }
    if or_nil(row.old) ~= now.key then
      found[#found + 1] = { feature_type = feature_type, raw = row.raw, old = or_nil(row.old), new = now.key,
        old_name = or_nil(row.old_name), old_rule = or_nil(row.old_rule), old_level = or_nil(row.old_level),
        reading = now.reading, components = row.components, signatures = row.signatures }
    end
  end
end

--- The types whose names can be read anew.
---@return string[]
function M.types()
  local list = {}
  for feature_type in pairs(components.OMICS) do
    list[#list + 1] = feature_type
  end
  table.sort(list)
  return list
end

--- The names of components that would be linked to another feature.
---@param conn table in a transaction
---@param aliases ligase.alias_lookup|nil
---@param only string|nil only of this feature type
---@return ligase.component_difference[]
function M.differences(conn, aliases, only)
  local found = {}
  for _, feature_type in ipairs(M.types()) do
    if not only or only == feature_type then
      local resolver = components.resolver_for(feature_type, aliases)
      conn:query(DECLARE, feature_type)
      repeat
        local rows = conn:query(FETCH)
        add_differing(found, feature_type, resolver, rows)
      until #rows == 0
      conn:script "CLOSE component_names"
    end
  end
  return found
end

-- ---- what is to be moved ---------------------------------------------------

local TOUCHED = ([[
SELECT DISTINCT c.signature_id AS id %s
JOIN unnest($1::text[], $2::text[]) AS n (feature_type, raw)
  ON n.feature_type = c.feature_type AND n.raw = c.raw_name]]):format(LATEST)

local SIGNATURES = [[
SELECT s.id, s.name, s.version, s.signature_type AS type, s.source, s.description, s.organism, s.disease, s.matrix,
  s.content_sha256 FROM signatures AS s WHERE s.id = ANY ($1::uuid[]) ORDER BY s.id]]

local COMPONENTS = [[
SELECT signature_id, id, raw_name AS raw, feature_type, feature_key AS key, direction, weight, rule, level, reason,
  aside::text AS aside FROM signature_components WHERE signature_id = ANY ($1::uuid[]) ORDER BY signature_id, position]]

local function name_of(feature_type, raw)
  return feature_type .. "\0" .. raw
end

local function signatures_of(conn, differences)
  local types, raws, ids = {}, {}, {}
  for i, difference in ipairs(differences) do
    types[i], raws[i] = difference.feature_type, difference.raw
  end
  for i, row in ipairs(conn:query(TOUCHED, pg.array(types, "text"), pg.array(raws, "text"))) do
    ids[i] = row.id
  end
  local list, by_id = {}, {}
  for i, row in ipairs(conn:query(SIGNATURES, pg.array(ids, "uuid"))) do
    row.type, row.description, row.components = or_nil(row.type), or_nil(row.description), {}
    list[i], by_id[row.id] = row, row
  end
  for _, row in ipairs(conn:query(COMPONENTS, pg.array(ids, "uuid"))) do
    row.key, row.direction = or_nil(row.key), or_nil(row.direction)
    table.insert(by_id[row.signature_id].components, row)
  end
  return list
end

--- The hash of a signature's content with the features it has now: nil when it is not known how
--- the stored one came about. Whether somebody named the source is not stored.
local function hash_function(signature)
  for _, cited in ipairs { signature.source, false } do
    local function hash()
      signature.cited = cited or nil
      return signatures.content_of(signature)
    end
    if hash() == signature.content_sha256 then
      return hash
    end
  end
end

--- Whether a feature would be in the signature twice.
local function has_twice(signature, news)
  local seen = {}
  for _, component in ipairs(signature.components) do
    local difference = news[name_of(component.feature_type, component.raw)]
    local key = component.key
    if difference then
      key = difference.new
    end
    if key and seen[key] then
      return true
    elseif key then
      seen[key] = true
    end
  end
  return false
end

---@class ligase.component_plan
---@field moves {id: string, before: table, difference: ligase.component_difference}[]
---@field signatures {id: string, name: string, before: string|nil, content_sha256: string|nil}[]
---@field left string[] signatures of which two components would be one feature
---@field names table<string, string[]> names to be written, by feature type

local function plan_signature(plan, signature, news)
  local hash = hash_function(signature)
  for _, component in ipairs(signature.components) do
    local difference = news[name_of(component.feature_type, component.raw)]
    if difference then
      plan.moves[#plan.moves + 1] = { id = component.id, difference = difference, before = {
        feature_key = component.key and tostring(component.key) or json.null, rule = component.rule,
        level = component.level, reason = component.reason, aside = component.aside } }
      component.key = difference.new
      if difference.new then
        plan.names[difference.feature_type] = plan.names[difference.feature_type] or {}
        table.insert(plan.names[difference.feature_type], { component.raw })
      end
    end
  end
  table.insert(plan.signatures, { id = signature.id, name = signature.name, version = signature.version,
    before = or_nil(signature.content_sha256), content_sha256 = hash and hash() or or_nil(signature.content_sha256) })
end

--- What is to be moved.
---@param conn table in a transaction
---@param differences ligase.component_difference[]
---@return ligase.component_plan
function M.plan(conn, differences)
  local plan, news = { moves = {}, signatures = {}, left = {}, names = {} }, {}
  for _, difference in ipairs(differences) do
    news[name_of(difference.feature_type, difference.raw)] = difference
  end
  for _, signature in ipairs(#differences > 0 and signatures_of(conn, differences) or {}) do
    if has_twice(signature, news) then
      plan.left[#plan.left + 1] = signature.name
    else
      plan_signature(plan, signature, news)
    end
  end
  return plan
end

-- ---- moving ----------------------------------------------------------------

local MOVE = [[
UPDATE signature_components AS c SET feature_key = n.key, rule = n.rule, level = n.level, reason = n.reason,
  aside = n.aside::jsonb, updated_at = now()
FROM unnest($1::uuid[], $2::int8[], $3::text[], $4::text[], $5::text[], $6::text[])
  AS n (id, key, rule, level, reason, aside) WHERE c.id = n.id]]

local HASH = [[
UPDATE signatures AS s SET content_sha256 = n.content, updated_at = now()
FROM unnest($1::uuid[], $2::text[]) AS n (id, content) WHERE s.id = n.id]]

local INSERT_OUTBOX = [[
INSERT INTO outbox (entity_type, entity_id, action, payload, run_id) VALUES ('signatures', $1, 'update', $2, $3)]]

local function or_null(value)
  return value == nil and pg.null or value
end

local function move(conn, plan)
  local lists = { {}, {}, {}, {}, {}, {} }
  for i, entry in ipairs(plan.moves) do
    local difference = entry.difference
    local reading = difference.reading
    local row = { entry.id, or_null(difference.new), reading.rule or "verbatim", or_null(reading.level),
      or_null(not difference.new and (reading.reason or "a mark for a missing name") or nil),
      reading.aside and json.encode(reading.aside) or pg.null }
    for place, value in ipairs(row) do
      lists[place][i] = value
    end
  end
  conn:query(MOVE, pg.array(lists[1], "uuid"), pg.array(lists[2], "int8"), pg.array(lists[3], "text"),
    pg.array(lists[4], "text"), pg.array(lists[5], "text"), pg.array(lists[6], "text"))
  local ids, hashes = {}, {}
  for i, signature in ipairs(plan.signatures) do
    ids[i], hashes[i] = signature.id, or_null(signature.content_sha256)
  end
  conn:query(HASH, pg.array(ids, "uuid"), pg.array(hashes, "text"))
end

local function change_texts(plan)
  local texts = {}
  for _, entry in ipairs(plan.moves) do
    texts[#texts + 1] = json.encode { table = "signature_components", id = entry.id, before = entry.before }
  end
  for _, signature in ipairs(plan.signatures) do
    texts[#texts + 1] = json.encode { table = "signatures", id = signature.id,
      before = { content_sha256 = signature.before or json.null } }
  end
  return texts
end

--- Moves the components of a plan in the caller's transaction. Names are read once more, because
--- a transaction that is tried again finds others' features there.
---@param conn table
---@param plan ligase.component_plan
---@param run_id string
---@param options {aliases: ligase.alias_lookup|nil, outbox: boolean|table|nil}
---@return string[] changes for the journal, each as JSON
---@return integer new features
function M.write(conn, plan, run_id, options)
  local new = 0
  if #plan.moves == 0 then
    return {}, new
  end
  for _, feature_type in ipairs(M.types()) do
    if plan.names[feature_type] then
      local resolver = components.resolver_for(feature_type, options.aliases)
      local _, waiting = components.read_names(resolver, plan.names[feature_type])
      new = new + features.remember(conn, resolver, waiting, run_id)
    end
  end
  move(conn, plan)
  for _, signature in ipairs(changes_of.is_told(options.outbox, "signatures") and plan.signatures or {}) do
    conn:query(INSERT_OUTBOX, signature.id, json.encode { name = signature.name, version = signature.version }, run_id)
  end
  return change_texts(plan), new
end

return M
