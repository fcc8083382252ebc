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
local errors = require "ligase.base.errors"
local inputs_of = require "ligase.scoring.inputs"
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

--- Datasets that are scored in one transaction, and numbers of theirs that are in memory at
--- once.
local DATASETS_AT_ONCE, VALUES_AT_ONCE = 50, 2000000

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
---@field views table<string, ligase.score_view> by feature type

--- The signatures that a dataset is scored by: those with a component of its feature type.
---@class ligase.score_view
---@field signatures ligase.scored_signature[]
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
  local session = { options = options, methods = {}, method_names = {}, views = {} }
  for i, name in ipairs(options.methods) do
    local method = methods_of.get(name)
    session.methods[i] = { method = method, parameters = methods_of.parameters(method, options.parameters) }
    session.method_names[i] = name
  end
  check_parameters(session.methods, options.parameters)
  session.signatures = profiles.signatures(conn, options.signatures, options.match == "contains")
  return session
end

local function has_type(signature, feature_type)
  for _, its_type in ipairs(signature.types) do
    if its_type == feature_type then
      return true
    end
  end
  return false
end

local function new_view(signatures)
  local view = { signatures = signatures, ids = {}, sizes = {}, digests = {} }
  for i, signature in ipairs(signatures) do
    view.ids[i], view.sizes[i], view.digests[i] = signature.id, #signature.keys, signature.sha256
  end
  view.collection = sets.collection(signatures)
  return view
end

--- A signature of genes can have nothing in a dataset of lipids: it is scored there only when it
--- was named.
local function view_of(session, dataset)
  local feature_type = not session.options.signatures and dataset.feature_type ~= null and dataset.feature_type or ""
  local view = session.views[feature_type]
  if not view then
    local some = {}
    for _, signature in ipairs(session.signatures) do
      some[#some + 1] = (feature_type == "" or has_type(signature, feature_type)) and signature or nil
    end
    view = new_view(some)
    session.views[feature_type] = view
  end
  return view
end

-- ---- one contrast ----------------------------------------------------------

--- The sets as this dataset is asked for them, and which of their components are contained.
local function sets_for(conn, session, view, profile_keys)
  if session.options.match == "exact" then
    return view.collection
  end
  local index = containment.index(profiles.features(conn, profile_keys, "lipid"))
  local expanded = {}
  for i, signature in ipairs(view.signatures) do
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
  local matrix = contrast.kind ~= "statistic" and inputs_of.matrix(conn, session, contrast.dataset) or nil
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
  local view = base.view
  local work = { count = #view.signatures, matching = base.matching, found = base.found,
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
    parameters_key = head.parameters_key, signature_id = view.ids, score = result.score,
    p_value = result.p_value or null, coverage = work.coverage, matched_count = base.found.matched,
    component_count = view.sizes, is_match = result.is_match or null,
    level = work.levels, input_sha256 = sys.sha256_all(view.digests, prefix .. "\0"),
    details = encoded_details(result.details, work.count) }
end

--- All methods' scores of one contrast.
local function score_contrast(conn, session, contrast, emit, skipped)
  local view = view_of(session, contrast.dataset)
  if #view.signatures == 0 then
    return
  end
  local collection, expanded = sets_for(conn, session, view, contrast.found.keys)
  local base = { view = view, collection = collection, expanded = expanded,
    matching = contrast.profile:match(collection), digest = sys.sha256(contrast.profile:bytes()) }
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

local function score_contrasts(conn, session, contrasts, emit, skipped)
  for _, contrast in ipairs(contrasts) do
    inputs_of.attempt(session, skipped, contrast.dataset, score_contrast, conn, session, contrast, emit, skipped)
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
  local contrasts, datasets = inputs_of.read(conn, session, ids, skipped)
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
  local contrasts, datasets = inputs_of.read(conn, session, ids, skipped)
  local counts = { written = 0, unchanged = 0, matches = 0, datasets = #datasets }
  local is_new = needs_no_more(session) and not scores.has_any(conn, ids, session.method_names)
  local write = is_new and write_meanwhile or write_afterwards
  write(conn, session, contrasts, run_id, counts, skipped)
  return counts
end

--- The ids in groups that are scored together: not too many datasets, and not too many numbers
--- in memory.
local function groups_of(conn, session, ids)
  local with_samples = session.options.contrast ~= nil or not needs_no_more(session)
  local sizes, groups, held = profiles.sizes(conn, ids, with_samples), {}, 0
  for _, id in ipairs(ids) do
    local group, size = groups[#groups], sizes[id] or 0
    if not group or #group == DATASETS_AT_ONCE or held + size > VALUES_AT_ONCE then
      group, held = {}, 0
      groups[#groups + 1] = group
    end
    group[#group + 1], held = id, held + size
  end
  return groups
end

--- Scores datasets and writes the scores, some datasets at a time in a transaction of their own
--- (a savepoint, where one is open). What is there already with the same inputs stays as it is.
---@param conn table
---@param session ligase.score_session
---@param ids string[] of datasets
---@param run_id string
---@return {written: integer, unchanged: integer, matches: integer, datasets: integer} counts
---@return {dataset: string, method: string, why: string}[] skipped
function M.run(conn, session, ids, run_id)
  local total, skipped = { written = 0, unchanged = 0, matches = 0, datasets = 0 }, {}
  local sorted = table.move(ids, 1, #ids, 1, {})
  table.sort(sorted)
  for _, group in ipairs(groups_of(conn, session, sorted)) do
    local counts = conn:transaction(score_some, conn, session, group, run_id, skipped)
    for name in pairs(total) do
      total[name] = total[name] + counts[name]
    end
  end
  return total, skipped
end

return M
