--- What two revisions, or two signatures, hold, for setting them side by side.
local datasets = require "ligase.store.datasets"
local errors = require "ligase.base.errors"
local pg = require "pg"
local profiles = require "ligase.store.profiles"
local text = require "ligase.base.text"

local M = {}

---@class ligase.side
---@field dataset table {id, name, omics_type}
---@field revision integer
---@field features table<integer, {name: string, feature_type: string, rows: integer}> by key
---@field contrasts table[] {name, log2_fold_change, ...}: slots
---@field profile ligase.scored_dataset

--- The dataset and the revision in DATASET or DATASET@REVISION.
---@param conn table
---@param word string
---@return table dataset
---@return integer revision
function M.find(conn, word)
  local name, number = word:match("^(.+)@(%d+)$")
  local dataset = datasets.find(conn, name or word)
  local revision = number and math.tointeger(tonumber(number)) or dataset.current_revision
  if revision == pg.null then
    errors.raise { kind = "usage", code = "revision",
      message = ("dataset '%s' holds no data yet"):format(text.printable(dataset.name)),
      hint = ("Read a file into it: ligase ingest --name '%s' FILE"):format(text.printable(dataset.name)) }
  end
  return dataset, datasets.revision(conn, dataset, revision).revision
end

local REVISION = [[
SELECT d.id, d.name, d.omics_type, r.revision, r.contrasts, r.sample_names, r.sample_quantities, r.sample_text,
  r.sample_count
FROM datasets AS d JOIN revisions AS r ON r.dataset_id = d.id WHERE d.id = $1 AND r.revision = $2]]

local FEATURES = [[
SELECT f.key, f.name, f.feature_type, found.n
FROM (SELECT feature_key, count(*) AS n FROM measurements
  WHERE dataset_id = $1 AND revision = $2 AND feature_key IS NOT NULL GROUP BY 1) AS found
JOIN features AS f ON f.key = found.feature_key]]

local UNLINKED = [[
SELECT count(*) AS n FROM measurements
WHERE dataset_id = $1 AND revision = $2 AND feature_key IS NULL AND source_name IS NOT NULL]]

--- A revision's features and contrasts.
---@param conn table
---@param dataset table
---@param revision integer
---@return ligase.side
function M.load(conn, dataset, revision)
  local profile = conn:query(REVISION, dataset.id, revision)[1]
  local features = {}
  for _, row in ipairs(conn:query(FEATURES, dataset.id, revision)) do
    features[row.key] = { name = row.name, feature_type = row.feature_type, rows = row.n }
  end
  return { dataset = dataset, revision = revision, features = features, contrasts = profile.contrasts,
    profile = profile, unlinked = conn:query(UNLINKED, dataset.id, revision)[1].n }
end

--- One number for each feature: the mean of those of its rows, without what is missing or
--- not finite.
local function means(keys, values)
  local sums, counts = {}, {}
  for i, key in ipairs(keys) do
    local value = values[i]
    if value ~= pg.null and value == value and math.abs(value) ~= math.huge then
      sums[key], counts[key] = (sums[key] or 0.0) + value, (counts[key] or 0) + 1
    end
  end
  for key, count in pairs(counts) do
    sums[key] = sums[key] / count
  end
  return sums
end

--- The changes of each feature in a contrast.
---@param conn table
---@param side ligase.side
---@param contrast table
---@return table<integer, number> by key
function M.effects(conn, side, contrast)
  local found = profiles.effects(conn, { { dataset = side.profile, effect = contrast.log2_fold_change } })[1]
  return means(found.keys, found.effects)
end

--- What was measured of samples: its names, "" where the file has only one kind of value.
---@param side ligase.side
---@return string[] quantities empty for a revision without samples
function M.quantities(side)
  local profile, found, met = side.profile, {}, {}
  if profile.sample_names == pg.null or profile.sample_count == 0 then
    return found
  end
  local is_long = profile.sample_text ~= pg.null
  for slot, name in ipairs(profile.sample_names) do
    local quantity = profile.sample_quantities ~= pg.null and profile.sample_quantities[slot] or pg.null
    if (name ~= pg.null or is_long and quantity ~= pg.null) and not met[quantity] then
      met[quantity] = true
      found[#found + 1] = quantity ~= pg.null and quantity or ""
    end
  end
  return found
end

--- The mean over samples of each feature.
---@param conn table
---@param side ligase.side
---@param quantity string as from M.quantities
---@return table<integer, number> by key
---@return integer samples
function M.sample_means(conn, side, quantity)
  local matrix = profiles.matrix(conn, side.profile, quantity ~= "" and quantity or nil)
  local keys, values = {}, {}
  for i, row in ipairs(matrix and matrix.rows or {}) do
    for place = 1, #matrix.samples do
      keys[#keys + 1], values[#values + 1] = matrix.keys[i], row[place]
    end
  end
  return means(keys, values), matrix and #matrix.samples or 0
end

local COMPONENTS = [[
SELECT coalesce(f.name, c.raw_name) AS name, coalesce(c.feature_type, '') AS feature_type, c.feature_key AS key,
  c.direction
FROM signature_components AS c LEFT JOIN features AS f ON f.key = c.feature_key
WHERE c.signature_id = $1 ORDER BY c.position]]

--- The components of a signature that are linked to features.
---@param conn table
---@param signature_id string
---@return table<integer, {name: string, feature_type: string, direction: integer|nil}> by key
---@return integer unmatched components without a feature
function M.components(conn, signature_id)
  local by_key, unmatched = {}, 0
  for _, row in ipairs(conn:query(COMPONENTS, signature_id)) do
    if row.key ~= pg.null then
      by_key[row.key] = { name = row.name, feature_type = row.feature_type,
        direction = row.direction ~= pg.null and row.direction or nil }
    else
      unmatched = unmatched + 1
    end
  end
  return by_key, unmatched
end

return M
