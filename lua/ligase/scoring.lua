--- Scoring datasets by signatures: what reads, what computes and what writes meet here.
---
---   local scoring = require "ligase.scoring"
---   local session = scoring.session(conn, { methods = { "concordance" } })
---   local counts = scoring.run(conn, session, { dataset_id }, run)
---
--- A session holds the signatures, so that a thousand datasets are scored by a thousand
--- signatures with the signatures read once. What a score is computed from is one dataset, one
--- signature and the parameters; nothing else of the batch enters it.
local containment = require "ligase.omics.scoring.containment"
local effects = require "ligase.omics.scoring.effects"
local errors = require "ligase.base.errors"
local json = require "ligase.base.json"
local methods_of = require "ligase.omics.score"
local options_of = require "ligase.base.options"
local pg = require "pg"
local profiles = require "ligase.store.profiles"
local scores = require "ligase.store.scores"
local sets = require "sets"
local sys = require "sys"

local M = {}

local null = pg.null

--- Datasets that are scored in one transaction.
local DATASETS_AT_ONCE = 50

M.MATCHES = { "exact", "contains" }
M.SCALES = { "linear", "log2" }

---@class ligase.score_options
---@field methods string[]|nil "concordance" without it
---@field signatures string[]|nil ids; the latest version of each without it
---@field parameters table<string, number>|nil of the methods: threshold, permutations, seed, exponent, alpha, effect
---@field contrast string|nil the name of one, or "case/control"; all that the datasets have without it
---@field rank_by string|nil the statistic that is taken for the effect
---@field quantity string|nil of samples, where there are several
---@field scale string|nil "linear" (values) or "log2" (logarithms already)
---@field match string|nil "exact" or "contains"
---@field lenient boolean|nil a dataset that cannot be scored so is left out instead of raising

local OPTIONS = {
  methods = { type = "table", default = { "concordance" } }, signatures = { type = "table" },
  parameters = { type = "table", default = {} }, contrast = { type = "string" }, rank_by = { type = "string" },
  quantity = { type = "string" }, scale = { type = "string", values = M.SCALES, default = "linear" },
  match = { type = "string", values = M.MATCHES, default = "exact" }, lenient = { type = "boolean" },
}

---@class ligase.score_session
---@field signatures ligase.scored_signature[]
---@field methods {method: ligase.score_method, parameters: table}[]
---@field options ligase.score_options
---@field collection table of the sets
---@field ids string[]
---@field sizes integer[]
---@field digests string[]

local function check_parameters(methods, given)
  for name in pairs(given) do
    local is_known = false
    for _, entry in ipairs(methods) do
      is_known = is_known or entry.method.parameters[name] ~= nil
    end
    if not is_known and name ~= "threshold" then
      errors.raise { kind = "usage", code = "parameter", message = ("none of the methods takes '%s'"):format(name),
        hint = "Leave it out, or name the method that it is for (--method)" }
    end
  end
end

--- What scores many datasets: signatures, methods and how.
---@param conn table
---@param options ligase.score_options|nil
---@return ligase.score_session
function M.session(conn, options)
  options = options_of.check(options or {}, OPTIONS, "scoring.session")
  local session = { options = options, methods = {}, method_names = {}, ids = {}, sizes = {}, digests = {} }
  for i, name in ipairs(options.methods) do
    local method = methods_of.get(name)
    session.methods[i] = { method = method, parameters = methods_of.parameters(method, options.parameters) }
    session.method_names[i] = name
  end
  check_parameters(session.methods, options.parameters)
  session.signatures = profiles.signatures(conn, options.signatures, options.match == "contains")
  for i, signature in ipairs(session.signatures) do
    session.ids[i], session.sizes[i], session.digests[i] = signature.id, #signature.keys, signature.sha256
  end
  session.collection = sets.collection(session.signatures)
  return session
end

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

local function matrix_of(conn, session, dataset)
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
  local matrix = matrix_of(conn, session, dataset) or refuse_samples(dataset)
  contrast.groups = effects.groups(matrix.samples, profiles.declared_groups(conn, dataset.id), contrast.name)
  return { keys = matrix.keys, effects = effects.between(matrix, contrast.groups, session.options.scale), p = null }
end

--- Runs fn for one dataset among many: what is wrong with it leaves it out and is noted. Of
--- a dataset that was named alone it is raised.
local function attempt(session, skipped, dataset, fn, ...)
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
    local found = contrast.found or attempt(session, skipped, contrast.dataset, read_groups, conn, session, contrast)
    contrast.found = found
    contrast.profile = found and sets.profile(found.keys, contrast.kind ~= "none" and found.effects or nil)
  end
end

-- ---- one contrast ----------------------------------------------------------

--- The sets as this dataset is asked for them, and which of their components are contained.
local function sets_for(conn, session, profile_keys)
  if session.options.match == "exact" then
    return session.collection
  end
  local index = containment.index(profiles.features(conn, profile_keys, "lipid"))
  local expanded = {}
  for i, signature in ipairs(session.signatures) do
    expanded[i] = containment.expand(index, signature)
  end
  return sets.collection(expanded), expanded
end

local EXACT, CONTAINED = "exact", "contained"

--- How much of each signature was found, and how.
local function measure(work, expanded, threshold)
  local found = work.found
  local coverage, wanted, levels = {}, {}, {}
  for i = 1, work.count do
    local matched = found.same[i] + found.opposite[i] + found.neither[i] + found.unsigned[i]
    local share = found.total[i] > 0 and matched / found.total[i] or 0.0
    coverage[i], wanted[i] = share, found.matched[i] > 0 and share >= threshold
    levels[i] = found.matched[i] > 0 and EXACT or null
    if expanded and expanded[i].contained > 0 then
      levels[i] = CONTAINED
      found.matched[i] = found.matched[i] - expanded[i].extra
    end
  end
  work.coverage, work.wanted, work.levels = coverage, wanted, levels
end

local function add_samples(conn, session, work, contrast, collection)
  local matrix = contrast.kind ~= "statistic" and matrix_of(conn, session, contrast.dataset) or nil
  local bytes = {}
  if not matrix then
    work.samples = contrast.kind == "statistic" and { { name = contrast.name, matching = work.matching,
      size = #contrast.profile } } or nil
    return ""
  end
  work.samples, work.groups = {}, contrast.groups
  for place, sample in ipairs(matrix.samples) do
    local values = {}
    for row, of_row in ipairs(matrix.rows) do
      values[row] = of_row[place] or null
    end
    local profile = sets.profile(matrix.keys, values)
    bytes[place] = sys.sha256(sample.name .. "\0" .. profile:bytes())
    work.samples[place] = { name = sample.name, matching = profile:match(collection), size = #profile }
  end
  for _, side in ipairs(work.groups and { "case", "control" } or {}) do
    bytes[#bytes + 1] = side .. " " .. table.concat(work.groups[side], " ")
  end
  return table.concat(bytes, "\n")
end

--- The features that a dataset selects: by p-value where it has any, else by the size of the
--- effect.
local function add_selection(work, contrast, collection, parameters)
  local found, keys = contrast.found, {}
  local has_p = found.p ~= null
  for i, key in ipairs(found.keys) do
    local effect, p = found.effects[i], has_p and found.p[i]
    local is_selected = effect ~= null
      and (has_p and p ~= null and p <= parameters.alpha or not has_p and math.abs(effect) >= parameters.effect)
    if is_selected then
      keys[#keys + 1] = key
    end
  end
  local selected = sets.profile(keys)
  work.selection = { matching = selected:match(collection), selected = #selected, measured = #contrast.profile }
  return sys.sha256(selected:bytes())
end

local function encoded_details(details, count)
  if not details then
    return null
  end
  local list = {}
  for i = 1, count do
    list[i] = details[i] ~= null and json.encode(details[i]) or null
  end
  return list
end

--- What a score depended on beside its inputs, as it is stored.
local function stored_parameters(session, contrast, method, parameters)
  local stored = { match = session.options.match, effect_column = contrast.effect_name }
  for name, value in pairs(parameters) do
    stored[name] = value
  end
  if contrast.kind == "groups" then
    stored.scale = session.options.scale
  end
  if method.needs == "selection" then
    stored.selected_by = contrast.p_name or "effect"
    stored.effect = not contrast.p_name and stored.effect or nil
  end
  if contrast.kind ~= "statistic" and contrast.dataset.matrix then
    stored.quantity = contrast.dataset.matrix.quantity
  end
  return json.encode(stored)
end

--- What a block says of its method: with few different parameters, each is encoded once.
local function head_of(session, contrast, method, parameters)
  local stored = stored_parameters(session, contrast, method, parameters)
  local origin = table.concat({ method.name, method.version, stored }, "\0")
  return { method = method.name, method_version = method.version, parameters = stored,
    parameters_key = sys.hash64(origin) }
end

local function refuse_method(method, failure)
  if failure.kind ~= "internal" then
    error(failure, 0)
  end
  errors.raise { kind = "input", code = "method", traceback = failure.traceback, file = method.path,
    message = ("the method %s failed: %s"):format(method.name, failure.message), hint = "Mend it at the line named" }
end

--- One method's scores of one contrast.
local function score_by(conn, session, contrast, entry, base)
  local method, parameters = entry.method, entry.parameters
  local work = { count = #session.signatures, matching = base.matching, found = base.found,
    has_effects = contrast.kind ~= "none" }
  local threshold = method.ungated and 0 or parameters.threshold or 0
  measure(work, base.expanded, threshold)
  local inputs = { base.digest }
  if method.needs == "samples" then
    inputs[2] = add_samples(conn, session, work, contrast, base.collection)
    if not work.samples then
      return nil, "no samples"
    end
  elseif method.needs == "selection" and work.has_effects then
    inputs[2] = add_selection(work, contrast, base.collection, parameters)
  end
  if method.needs ~= "samples" and not work.has_effects and not method.undirected then
    return nil, "no directions"
  end
  local done, result = xpcall(method.score, errors.explained, work, parameters)
  if not done then
    refuse_method(method, result)
  end
  local head = head_of(session, contrast, method, parameters)
  local prefix = table.concat({ method.name, method.version, head.parameters, contrast.kind,
    table.concat(inputs, "\n") }, "\0")
  return { dataset_id = contrast.dataset.id, revision = contrast.dataset.revision, method = method.name,
    method_version = method.version, contrast = contrast.name, parameters = head.parameters,
    parameters_key = head.parameters_key, signature_id = session.ids, score = result.score,
    p_value = result.p_value or null, coverage = work.coverage, matched_count = base.found.matched,
    component_count = session.sizes, is_match = result.is_match or null,
    level = work.levels, input_sha256 = sys.sha256_all(session.digests, prefix .. "\0"),
    details = encoded_details(result.details, work.count) }
end

--- All methods' scores of one contrast.
local function score_contrast(conn, session, contrast, emit, skipped)
  local collection, expanded = sets_for(conn, session, contrast.found.keys)
  local base = { collection = collection, expanded = expanded, matching = contrast.profile:match(collection),
    digest = sys.sha256(contrast.profile:bytes()) }
  for _, entry in ipairs(session.methods) do
    base.found = base.matching:agreement()
    local block, why = score_by(conn, session, contrast, entry, base)
    if block then
      emit(block)
    else
      skipped[#skipped + 1] = { dataset = contrast.dataset.name, method = entry.method.name, why = why }
    end
  end
  contrast.profile, contrast.found = nil, nil
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
    for _, contrast in ipairs(attempt(session, skipped, dataset, M.contrasts, dataset, session.options) or {}) do
      contrasts[#contrasts + 1] = contrast
    end
  end
  read_effects(conn, session, contrasts, skipped)
  for _, contrast in ipairs(contrasts) do
    left[#left + 1] = contrast.found and contrast or nil
  end
  return left, datasets
end

local function score_contrasts(conn, session, contrasts, emit, skipped)
  for _, contrast in ipairs(contrasts) do
    attempt(session, skipped, contrast.dataset, score_contrast, conn, session, contrast, emit, skipped)
  end
end

--- The scores of some datasets, nothing of them written.
---@param conn table
---@param session ligase.score_session
---@param ids string[]
---@return ligase.score_block[] blocks
---@return {dataset: string, method: string, why: string}[] skipped methods that have nothing to look at
---@return ligase.scored_dataset[] datasets
function M.compute(conn, session, ids)
  local blocks, skipped = {}, {}
  local contrasts, datasets = M.read(conn, session, ids, skipped)
  score_contrasts(conn, session, contrasts, function(block)
    blocks[#blocks + 1] = block
  end, skipped)
  return blocks, skipped, datasets
end

-- ---- many datasets ---------------------------------------------------------

local function count_matches(block)
  local count = 0
  for _, is_match in ipairs(block.is_match ~= null and block.is_match or {}) do
    count = count + (is_match == true and 1 or 0)
  end
  return count
end

--- Whether all that is computed is computed of what was read already.
local function needs_no_more(session)
  for _, entry in ipairs(session.methods) do
    if entry.method.needs == "samples" then
      return false
    end
  end
  return session.options.match == "exact"
end

--- Blocks are sent as they are computed, while Postgres stores those before, where nothing has
--- to be asked meanwhile and nothing to be replaced.
local function write_meanwhile(conn, session, contrasts, run_id, counts, skipped)
  local heads = {}
  for _, contrast in ipairs(contrasts) do
    for _, entry in ipairs(session.methods) do
      heads[#heads + 1] = head_of(session, contrast, entry.method, entry.parameters)
    end
  end
  local writer <close> = scores.writer(conn, heads, run_id)
  score_contrasts(conn, session, contrasts, function(block)
    writer:write(block)
    counts.matches = counts.matches + count_matches(block)
  end, skipped)
  writer:finish()
  counts.written = writer.written
end

local function write_afterwards(conn, session, contrasts, run_id, counts, skipped)
  local blocks = {}
  score_contrasts(conn, session, contrasts, function(block)
    blocks[#blocks + 1] = block
    counts.matches = counts.matches + count_matches(block)
  end, skipped)
  local written = scores.write(conn, blocks, run_id)
  counts.written, counts.unchanged = written.written, written.unchanged
end

local function score_some(conn, session, ids, run_id, skipped)
  scores.lock(conn, ids)
  local contrasts, datasets = M.read(conn, session, ids, skipped)
  local counts = { written = 0, unchanged = 0, matches = 0, datasets = #datasets }
  local is_new = needs_no_more(session) and not scores.has_any(conn, ids, session.method_names)
  local write = is_new and write_meanwhile or write_afterwards
  write(conn, session, contrasts, run_id, counts, skipped)
  return counts
end

--- Scores datasets and writes the scores, some datasets at a time in a transaction of their own
--- (a savepoint, where one is open). What is there already with the same inputs stays as it is.
---@param conn table
---@param session ligase.score_session
---@param ids string[] of datasets
---@param run_id string
---@param progress (fun(done: integer))|nil
---@return {written: integer, unchanged: integer, matches: integer, datasets: integer} counts
---@return {dataset: string, method: string, why: string}[] skipped
function M.run(conn, session, ids, run_id, progress)
  local total, skipped = { written = 0, unchanged = 0, matches = 0, datasets = 0 }, {}
  local sorted = table.move(ids, 1, #ids, 1, {})
  table.sort(sorted)
  for first = 1, #sorted, DATASETS_AT_ONCE do
    local some = table.move(sorted, first, math.min(first + DATASETS_AT_ONCE - 1, #sorted), 1, {})
    local counts = conn:transaction(score_some, conn, session, some, run_id, skipped)
    for name in pairs(total) do
      total[name] = total[name] + counts[name]
    end
    if progress then
      progress(first + #some - 1)
    end
  end
  return total, skipped
end

return M
