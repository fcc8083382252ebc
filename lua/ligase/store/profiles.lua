--- What datasets hold, as scoring looks at it: effects of contrasts, values of samples, and the
--- signatures they are scored by.
local errors = require "ligase.base.errors"
local flagged = require "ligase.store.flagged"
local pg = require "pg"
local sys = require "sys"
local text = require "ligase.base.text"

local M = {}

-- ---- signatures ------------------------------------------------------------

local SIGNATURES = [[
SELECT s.id, s.name, s.version, array_agg(c.feature_key ORDER BY c.position) AS keys,
  array_agg(c.weight ORDER BY c.position) AS weights,
  array_agg(coalesce(c.direction, 0)::int4 ORDER BY c.position) AS signs,
  array_agg(coalesce(c.feature_type, '') ORDER BY c.position) AS types
FROM (SELECT *, row_number() OVER (PARTITION BY name ORDER BY created_at DESC, id DESC) AS place FROM signatures) AS s
JOIN signature_components AS c ON c.signature_id = s.id
WHERE CASE WHEN $1::uuid[] IS NULL THEN s.place = 1 ELSE s.id = ANY ($1::uuid[]) END
GROUP BY s.id, s.name, s.version ORDER BY s.id]]

local NAMES = [[
SELECT c.signature_id, array_agg(coalesce(f.name, c.raw_name) ORDER BY c.position) AS names
FROM signature_components AS c LEFT JOIN features AS f ON f.key = c.feature_key
WHERE c.signature_id = ANY ($1::uuid[]) GROUP BY c.signature_id]]

---@class ligase.scored_signature
---@field id string
---@field name string
---@field version string
---@field keys (integer|false)[] of features, in the order of the source; false for one that is not understood
---@field weights number[]
---@field signs integer[] 1, -1 or 0
---@field types string[] feature types
---@field names string[]|nil canonical names, where they were asked for
---@field sha256 string of keys, weights and signs

local function digest_of(signature)
  local parts = {}
  for i, key in ipairs(signature.keys) do
    parts[i] = ("%s %a %d"):format(key or "-", signature.weights[i], signature.signs[i])
  end
  return sys.sha256(table.concat(parts, "\n"))
end

--- Whether there is any signature.
---@param conn table
---@return boolean
function M.has_signatures(conn)
  return #conn:query "SELECT 1 FROM signatures LIMIT 1" > 0
end

--- The signatures to score by: those named by their ids, or the latest version of each.
---@param conn table
---@param ids string[]|nil
---@param with_names boolean|nil
---@return ligase.scored_signature[]
function M.signatures(conn, ids, with_names)
  local result = conn:query(SIGNATURES, ids and pg.array(ids, "uuid") or pg.null)
  local signatures, places, all = table.move(result, 1, #result, 1, {}), {}, {}
  for i, signature in ipairs(signatures) do
    for j, key in ipairs(signature.keys) do
      signature.keys[j] = key ~= pg.null and key
    end
    signature.sha256 = digest_of(signature)
    places[signature.id], all[i] = i, signature.id
  end
  for _, row in ipairs(with_names and #signatures > 0 and conn:query(NAMES, pg.array(all, "uuid")) or {}) do
    signatures[places[row.signature_id]].names = row.names
  end
  return signatures
end

-- ---- datasets --------------------------------------------------------------

local DATASETS = [[
SELECT d.id, d.name, d.omics_type, r.revision, r.contrasts, r.sample_names, r.sample_quantities, r.sample_text,
  r.sample_count, t.feature_type, %s
FROM datasets AS d JOIN revisions AS r ON r.dataset_id = d.id AND r.revision = d.current_revision
LEFT JOIN LATERAL (SELECT f.feature_type FROM measurements AS m JOIN features AS f ON f.key = m.feature_key
  WHERE m.dataset_id = d.id AND m.revision = d.current_revision ORDER BY m.ordinal LIMIT 1) AS t ON true
WHERE d.id = ANY ($1::uuid[]) ORDER BY d.id]]

---@class ligase.scored_dataset
---@field id string
---@field name string
---@field omics_type string
---@field revision integer
---@field contrasts table[] {name, log2_fold_change, p_value, ...}: slots
---@field sample_names (string|userdata)[]|userdata by slot
---@field sample_quantities (string|userdata)[]|userdata by slot
---@field sample_text integer|userdata of a long table
---@field sample_count integer
---@field feature_type string|userdata what its rows are about: a recipe gives all of them one type
---@field flag_rules string|nil by which rows are flagged: these take no part

--- Datasets that hold data, by their ids.
---@param conn table
---@param ids string[]
---@return ligase.scored_dataset[]
function M.datasets(conn, ids)
  local result = conn:query(DATASETS:format(flagged.COLUMNS), pg.array(ids, "uuid"))
  for _, dataset in ipairs(result) do
    dataset.flag_rules = flagged.read(dataset)
  end
  return table.move(result, 1, #result, 1, {})
end

--- The ids of all datasets that hold data.
---@param conn table
---@return string[]
function M.all_ids(conn)
  local ids = {}
  for i, row in ipairs(conn:query "SELECT id FROM datasets WHERE current_revision IS NOT NULL ORDER BY id") do
    ids[i] = row.id
  end
  return ids
end

local SIZES = [[
SELECT d.id, r.row_count * greatest(1, jsonb_array_length(r.contrasts)) AS effects,
  r.row_count * CASE WHEN r.sample_text IS NULL THEN r.sample_count ELSE 1 END AS sample_values
FROM datasets AS d JOIN revisions AS r ON r.dataset_id = d.id AND r.revision = d.current_revision
WHERE d.id = ANY ($1::uuid[])]]

--- How many numbers each dataset has to be asked for.
---@param conn table
---@param ids string[]
---@param with_samples boolean
---@return table<string, integer> sizes by id
function M.sizes(conn, ids, with_samples)
  local sizes = {}
  for _, row in ipairs(conn:query(SIZES, pg.array(ids, "uuid"))) do
    sizes[row.id] = row.effects + (with_samples and row.sample_values or 0)
  end
  return sizes
end

-- Rows in file order; the two slots are NULL where there is no such column.
local EFFECTS = [[
SELECT coalesce(array_agg(feature_key), '{}') AS keys, coalesce(array_agg(effect), '{}') AS effects,
  CASE WHEN $4::int4 IS NOT NULL THEN array_agg(p) END AS p
FROM (SELECT m.feature_key, m.values[$3::int4] AS effect, m.values[$4::int4] AS p FROM measurements AS m
  WHERE m.dataset_id = $1 AND m.revision = $2 AND m.feature_key IS NOT NULL %s
  ORDER BY m.ordinal) AS m]]

---@class ligase.effect_request
---@field dataset ligase.scored_dataset
---@field effect integer|nil slot of the effects; nil: only which features there are
---@field p integer|nil slot of p-values

--- The features of datasets, with effects and p-values, in few round trips.
---@param conn table
---@param requests ligase.effect_request[]
---@return {keys: integer[], effects: number[], p: number[]|userdata}[] one for each request
function M.effects(conn, requests)
  local function ask(p, sql, ...)
    p:query(conn:prepare(sql), ...)
  end
  local results, found = conn:pipeline(function(p)
    for _, request in ipairs(requests) do
      ask(p, flagged.without(request.dataset, EFFECTS, request.dataset.id, request.dataset.revision,
        request.effect or pg.null, request.p or pg.null))
    end
  end), {}
  for i = 1, #requests do
    found[i] = results[i][1]
  end
  return found
end

local FEATURES = [[
SELECT f.key, f.name FROM unnest($1::int8[]) AS n (key) JOIN features AS f ON f.key = n.key
WHERE f.feature_type = $2]]

--- The names of features of one type among some keys.
---@param conn table
---@param keys integer[]
---@param feature_type string
---@return {key: integer, name: string}[]
function M.features(conn, keys, feature_type)
  return conn:query(FEATURES, pg.int8_array(keys), feature_type)
end

--- The name of a feature.
---@param conn table
---@param key integer
---@return string|nil
function M.name(conn, key)
  local row = conn:query("SELECT name FROM features WHERE key = $1", key)[1]
  return row and row.name
end

-- ---- samples ---------------------------------------------------------------

---@class ligase.score_matrix
---@field dataset string its name
---@field samples {name: string, attributes: table<string, string>}[]
---@field keys integer[] by row
---@field rows (number|userdata)[][] by row and sample
---@field quantity string|nil which of several quantities it holds

local SAMPLES = "SELECT sample, attributes FROM dataset_samples WHERE dataset_id = $1"

local WIDE = [[
SELECT m.feature_key, m.values FROM measurements AS m
WHERE m.dataset_id = $1 AND m.revision = $2 AND m.feature_key IS NOT NULL %s ORDER BY m.ordinal]]

local LONG = [[
SELECT m.feature_key, m.texts[$3::int4] AS sample, m.values[$4::int4] AS value FROM measurements AS m
WHERE m.dataset_id = $1 AND m.revision = $2 AND m.feature_key IS NOT NULL AND m.texts[$3::int4] IS NOT NULL %s
ORDER BY m.ordinal]]

--- The quantity to take: the only one, or the one that was asked for.
local function quantity_of(dataset, wanted)
  local seen, list = {}, {}
  for slot, quantity in ipairs(dataset.sample_quantities ~= pg.null and dataset.sample_quantities or {}) do
    if quantity ~= pg.null and not seen[quantity] then
      seen[quantity] = slot
      list[#list + 1] = quantity
    end
  end
  if wanted and not seen[wanted] then
    local near = text.nearest(wanted, list)
    errors.raise { kind = "usage", code = "quantity", message = ("'%s' has no quantity '%s'"):format(
      text.printable(dataset.name), text.printable(wanted)),
      hint = near and ("Did you mean '%s'?"):format(near) or "It has: " .. table.concat(list, ", ") }
  elseif #list > 1 and not wanted then
    errors.raise { kind = "usage", code = "quantity", message = ("'%s' holds several quantities: %s"):format(
      text.printable(dataset.name), table.concat(list, ", ")), hint = "Say which: --quantity NAME" }
  end
  return wanted or list[1], seen
end

local function attributes_by_sample(conn, dataset)
  local by_name = {}
  for _, row in ipairs(conn:query(SAMPLES, dataset.id)) do
    by_name[row.sample] = row.attributes
  end
  return by_name
end

local function read_wide(conn, dataset, matrix)
  local slots, attributes = {}, attributes_by_sample(conn, dataset)
  for slot, name in ipairs(dataset.sample_names) do
    local quantity = dataset.sample_quantities ~= pg.null and dataset.sample_quantities[slot] or nil
    if name ~= pg.null and (not matrix.quantity or quantity == matrix.quantity) then
      slots[#slots + 1] = slot
      matrix.samples[#slots] = { name = name, attributes = attributes[name] or {} }
    end
  end
  for i, row in ipairs(conn:query(flagged.without(dataset, WIDE, dataset.id, dataset.revision))) do
    local values = {}
    for place, slot in ipairs(slots) do
      values[place] = row.values[slot]
    end
    matrix.keys[i], matrix.rows[i] = row.feature_key, values
  end
end

--- Of a long table: one row for each feature; several values of one sample become their mean.
local function read_long(conn, dataset, matrix, slot)
  local attributes, place_of, row_of, counts = attributes_by_sample(conn, dataset), {}, {}, {}
  for _, row in ipairs(conn:query(flagged.without(dataset, LONG, dataset.id, dataset.revision,
    dataset.sample_text, slot))) do
    local place = place_of[row.sample]
    if not place then
      place = #matrix.samples + 1
      place_of[row.sample] = place
      matrix.samples[place] = { name = row.sample, attributes = attributes[row.sample] or {} }
    end
    local at = row_of[row.feature_key]
    if not at then
      at = #matrix.keys + 1
      row_of[row.feature_key], matrix.keys[at], matrix.rows[at], counts[at] = at, row.feature_key, {}, {}
    end
    if row.value ~= pg.null then
      matrix.rows[at][place] = (matrix.rows[at][place] or 0.0) + row.value
      counts[at][place] = (counts[at][place] or 0) + 1
    end
  end
  for at, values in ipairs(matrix.rows) do
    for place = 1, #matrix.samples do
      values[place] = values[place] and values[place] / counts[at][place] or pg.null
    end
  end
end

--- The values of a dataset's samples.
---@param conn table
---@param dataset ligase.scored_dataset
---@param wanted string|nil which quantity, where there are several
---@return ligase.score_matrix|nil matrix nil for a dataset without samples
function M.matrix(conn, dataset, wanted)
  if dataset.sample_names == pg.null or dataset.sample_count == 0 then
    return nil
  end
  local quantity, slots = quantity_of(dataset, wanted)
  local matrix = { dataset = dataset.name, samples = {}, keys = {}, rows = {}, quantity = quantity }
  if dataset.sample_text ~= pg.null then
    read_long(conn, dataset, matrix, slots[quantity])
  else
    read_wide(conn, dataset, matrix)
  end
  return #matrix.samples > 0 and matrix or nil
end

local DECLARED = [[
SELECT e.sample_groups FROM datasets AS d JOIN experiments AS e ON e.id = d.experiment_id
WHERE d.id = $1 AND e.sample_groups <> '{}']]

--- The groups of samples that the dataset's experiment declares.
---@param conn table
---@param dataset_id string
---@return table<string, string[]>
function M.declared_groups(conn, dataset_id)
  local row = conn:query(DECLARED, dataset_id)[1]
  return row and row.sample_groups or {}
end

return M
