--- What of datasets is scored: their contrasts, read with the effects that their features have.
---
--- A contrast is one that a dataset's columns hold, or one between two groups of its samples;
--- a dataset without either has no directions, and only says what is there.
local effects = require "ligase.omics.scoring.effects"
local errors = require "ligase.base.errors"
local pg = require "pg"
local profiles = require "ligase.store.profiles"
local sets = require "sets"

local M = {}

-- ---- contrasts -------------------------------------------------------------

local EFFECTS = { "log2_fold_change", "statistic" }

--- The slot of a contrast's effects: of the statistic that was asked for, else of the first
--- that it has.
local function effect_of(contrast, rank_by)
  for _, name in ipairs(rank_by and { rank_by } or EFFECTS) do
    if contrast[name] then
      return contrast[name], name
    end
  end
end

local function named_contrast(dataset, contrast, rank_by)
  local slot, statistic = effect_of(contrast, rank_by)
  if not slot then
    return nil
  end
  local p_name = contrast.adjusted_p_value and "adjusted_p_value" or contrast.p_value and "p_value" or nil
  return { dataset = dataset, name = contrast.name or "", kind = "statistic", effect = slot, effect_name = statistic,
    p = p_name and contrast[p_name], p_name = p_name }
end

local function refuse_contrast(dataset, wanted)
  local names = {}
  for i, contrast in ipairs(dataset.contrasts) do
    names[i] = ("'%s'"):format(contrast.name or "")
  end
  errors.raise { kind = "usage", code = "contrast",
    message = ("'%s' has no contrast '%s'"):format(dataset.name, wanted),
    hint = (#names > 0 and "It has: " .. table.concat(names, ", ") .. ". " or "")
      .. "Two groups of samples are named case/control" }
end

--- What of a dataset is to be scored: each contrast that its columns hold; or the one that was
--- named; or the one between two groups; or, where nothing says a direction, what is there.
---@param dataset ligase.scored_dataset
---@param options ligase.score_options
---@return table[] contrasts
function M.contrasts(dataset, options)
  local found = {}
  for _, contrast in ipairs(dataset.contrasts) do
    local entry = named_contrast(dataset, contrast, options.rank_by)
    if entry and (not options.contrast or entry.name == options.contrast) then
      found[#found + 1] = entry
    end
  end
  if #found > 0 then
    return found
  elseif options.contrast and effects.split(options.contrast) then
    return { { dataset = dataset, name = options.contrast, kind = "groups" } }
  elseif options.contrast then
    refuse_contrast(dataset, options.contrast)
  end
  return { { dataset = dataset, name = "", kind = "none" } }
end

-- ---- what a dataset holds --------------------------------------------------

--- The values of a dataset's samples, read once; nil for one without samples.
---@param conn table
---@param session ligase.score_session
---@param dataset ligase.scored_dataset
---@return ligase.score_matrix|nil
function M.matrix(conn, session, dataset)
  if dataset.matrix == nil then
    dataset.matrix = profiles.matrix(conn, dataset, session.options.quantity) or false
  end
  return dataset.matrix or nil
end

local function refuse_samples(dataset)
  errors.raise { kind = "input", code = "no_samples", message = ("'%s' has no samples to make groups of"):format(
    dataset.name), hint = "Name one of its contrasts, or leave --contrast out" }
end

local function read_groups(conn, session, contrast)
  local dataset = contrast.dataset
  local matrix = M.matrix(conn, session, dataset) or refuse_samples(dataset)
  contrast.groups = effects.groups(matrix.samples, profiles.declared_groups(conn, dataset.id), contrast.name)
  return { keys = matrix.keys, effects = effects.between(matrix, contrast.groups, session.options.scale), p = pg.null }
end

--- Runs fn for one dataset among many: what is wrong with it leaves it out and is noted. Of
--- a dataset that was named alone it is raised.
---@param session ligase.score_session
---@param skipped table[] what is left out is added
---@param dataset ligase.scored_dataset
---@param fn function
---@param ... any its arguments
---@return any result
function M.attempt(session, skipped, dataset, fn, ...)
  if not session.options.lenient then
    return fn(...)
  end
  local done, result = xpcall(fn, errors.explained, ...)
  if done then
    return result
  elseif result.kind ~= "usage" and result.kind ~= "input" then
    error(result, 0)
  end
  skipped[#skipped + 1] = { dataset = dataset.name, why = result.message }
end

--- Reads the effects of all contrasts: those in columns in few round trips.
local function read_effects(conn, session, contrasts, skipped)
  local in_columns = {}
  for _, contrast in ipairs(contrasts) do
    in_columns[#in_columns + 1] = contrast.kind ~= "groups" and contrast or nil
  end
  local of_columns = #in_columns > 0 and profiles.effects(conn, in_columns) or {}
  for i, contrast in ipairs(in_columns) do
    contrast.found = of_columns[i]
  end
  for _, contrast in ipairs(contrasts) do
    local found = contrast.found or M.attempt(session, skipped, contrast.dataset, read_groups, conn, session, contrast)
    contrast.found = found
    contrast.profile = found and sets.profile(found.keys, contrast.kind ~= "none" and found.effects or nil)
  end
end

--- Datasets with what is to be scored of them, read: contrasts with their `profile`.
---@param conn table
---@param session ligase.score_session
---@param ids string[]
---@param skipped table[] what cannot be scored is added
---@return table[] contrasts
---@return ligase.scored_dataset[] datasets
function M.read(conn, session, ids, skipped)
  local datasets, contrasts, left = profiles.datasets(conn, ids), {}, {}
  for _, dataset in ipairs(datasets) do
    for _, contrast in ipairs(M.attempt(session, skipped, dataset, M.contrasts, dataset, session.options) or {}) do
      contrasts[#contrasts + 1] = contrast
    end
  end
  read_effects(conn, session, contrasts, skipped)
  for _, contrast in ipairs(contrasts) do
    left[#left + 1] = contrast.found and contrast or nil
  end
  return left, datasets
end

return M
