--- Recipes for files of screening results.
---
---   return screening_recipe.recipe {
---     columns = { well = { "well position" }, value = { "luminescence" } },
---     controls = { positive = { "column 23" }, negative = { "DMSO" } },
---   }
---
--- Files that are given together are added to a campaign, in one transaction with one run:
--- read, plates reckoned, compounds linked, hits called by the campaign's rule. The next
--- revision is what all files together give, those that were read before and these; a file
--- that was read before and changed takes its own place. The same files again are no change.
local columns = require "ligase.screening.columns"
local controls = require "ligase.screening.controls"
local derive = require "ligase.screening.derive"
local entities = require "ligase.store.entities"
local errors = require "ligase.base.errors"
local host = require "host"
local inputs = require "ligase.io.inputs"
local json = require "ligase.base.json"
local layouts = require "ligase.screening.layout"
local options_of = require "ligase.base.options"
local recipes = require "ligase.omics.recipes"
local report = require "ligase.screening.report"
local screening = require "ligase.store.screening"
local source_files = require "ligase.screening.source_files"
local sys = require "sys"
local tables = require "ligase.screening.table"

local M = {}

--- Counts up whenever the same file would be read or reckoned differently than before.
M.READING_VERSION = 2

local null = host.null

local SPEC = {
  columns = { type = "table", default = {} }, roles = { type = "table", default = {} },
  controls = { type = "table", default = {} }, dialect = { type = "table" }, unit = { type = "string" },
  concentration_unit = { type = "string" },
}

local ROLES = { sample = true, positive = true, negative = true, blank = true, empty = true, excluded = true }

--- Role by word, in lower case.
---@param definition table<string, string[]> words by role
---@param given table<string, string>|nil role by word, which come first
---@return table<string, string>
function M.role_words(definition, given)
  local words = {}
  for role in pairs(ROLES) do
    words[role] = role
  end
  for role, list in pairs(definition) do
    if not ROLES[role] or type(list) ~= "table" then
      errors.raise { kind = "usage", code = "recipe", message = ("roles.%s is no list of words for a role"):format(
        tostring(role)), hint = "Roles: sample, positive, negative, blank, empty, excluded" }
    end
    for _, word in ipairs(list) do
      words[word:lower()] = role
    end
  end
  for word, role in pairs(given or {}) do
    if not ROLES[role] then
      errors.raise { kind = "usage", code = "role", message = ("there is no role '%s'"):format(role),
        hint = "Roles: sample, positive, negative, blank, empty, excluded" }
    end
    words[word:lower()] = role
  end
  return words
end

-- ---- linking compounds -----------------------------------------------------

local WORDS_AT_ONCE = 5000

--- The names that samples are called by, each once.
local function compound_names(results)
  local names, seen = {}, {}
  for i = 1, results.n do
    local name = results.source_name[i]
    if name ~= null and not seen[name] then
      seen[name] = results.role[i]
      names[#names + 1] = name
    elseif name ~= null and results.role[i] == "sample" then
      seen[name] = "sample"
    end
  end
  return names, seen
end

local function make_compounds(changes, names, ids)
  local given = {}
  for i, name in ipairs(names) do
    given[i] = { code = name, name = name }
  end
  for i, made in ipairs(changes:upsert("compound", given)) do
    ids[names[i]] = made.id
  end
end

--- Links results to the compounds that they name; those that nobody knows are made where
--- that was asked for.
---@param changes ligase.changes
---@param results ligase.screening_results
---@param create boolean|nil
---@param known table<string, string>|nil ids by what the results call them, where that is settled
---@return {known: integer, made: integer, unknown: string[], ambiguous: string[]}
function M.link(changes, results, create, known)
  known = known or {}
  local names, roles = compound_names(results)
  local found = { known = 0, made = 0, unknown = {}, ambiguous = {} }
  local ids = {}
  for first = 1, #names, WORDS_AT_ONCE do
    local some = table.move(names, first, math.min(first + WORDS_AT_ONCE - 1, #names), 1, {})
    local rows, ambiguous = entities.find_all(changes.conn, "compound", some)
    for _, name in ipairs(some) do
      if known[name] then
        ids[name], found.known = known[name], found.known + 1
      elseif rows[name] then
        ids[name], found.known = rows[name].id, found.known + 1
      elseif ambiguous[name] then
        table.insert(found.ambiguous, name)
      elseif roles[name] == "sample" then
        table.insert(found.unknown, name)
      end
    end
  end
  if create and #found.unknown > 0 then
    make_compounds(changes, found.unknown, ids)
    found.made, found.unknown = #found.unknown, {}
  end
  local before = results.earlier_compound_id or {}
  results.compound_id = {}
  for i = 1, results.n do
    local name = results.source_name[i]
    results.compound_id[i] = name ~= null and ids[name] or before[i] or null
  end
  return found
end

-- ---- storing ---------------------------------------------------------------

local function campaign_of(changes, options)
  local word = options.campaign
  if not word then
    errors.raise { kind = "usage", code = "campaign", message = "it is not said which campaign the results are of",
      hint = "Say --campaign NAME; make one with: ligase campaign create NAME --direction inhibition" }
  end
  local row = entities.lookup(changes.conn, "campaign", word)
  if not row and options.create and not entities.is_id(word) then
    row = changes:upsert("campaign", { { name = word } })[1].row -- somebody else may just have made it
  elseif not row then
    error(entities.unknown(changes.conn, "campaign", word, not entities.is_id(word)
      and ("To make it: ligase campaign create '%s', or --create"):format(word) or nil), 0)
  end
  local links = {}
  for _, name in ipairs { "programs", "experiments" } do
    links[name] = #(options[name] or {}) > 0 and options[name] or nil
  end
  if next(links) then
    changes:update("campaign", row.id, links)
  end
  return row.id
end

local function or_nil(value)
  return value ~= null and value or nil
end

--- What else decides how files are read, as it is compared and stored.
local function given_of(options)
  local given = { reading_version = M.READING_VERSION, plate = options.plate, unit = options.unit,
    concentration_unit = options.concentration_unit, duplicates = options.duplicates,
    layout = options.layout and options.layout.sha256 }
  for _, name in ipairs { "set", "dialect", "controls", "roles" } do
    given[name] = options[name] and next(options[name]) and options[name] or nil
  end
  return given
end

--- Whether a source that was read before is one of those that are read now: the same file,
--- or the same bytes read in the same way.
local function is_among(sources, given)
  local paths, digests, names = {}, {}, {}
  for _, source in ipairs(sources) do
    names[source.shown] = true
    paths[source_files.path_of(source) or ""], digests[sys.sha256_file(source.path)] = true, true
  end
  return function(earlier)
    return paths[earlier.path or "\0"] or earlier.is_named and names[earlier.source]
      or digests[earlier.sha256] and json.encode(earlier.given) == json.encode(given)
  end
end

--- A revision of the sources that were read before and of those that are read now.
---@param content table recipe and sources, as they are read now, among what else is known
---@param earlier table|nil from ligase.store.screening.earlier
---@param given table what else decided how the sources are read
---@param run_id string
---@return ligase.campaign_content
function M.complete(content, earlier, given, run_id)
  local all, digests, doubts, bytes = {}, {}, {}, 0
  for _, source in ipairs(content.sources) do
    source.given, source.recipe, source.recipe_sha256 = given, content.recipe.name, content.recipe.sha256
    source.run_id = run_id
  end
  for _, source in ipairs(earlier and earlier.sources or {}) do
    all[#all + 1] = source
    for _, doubt in ipairs(source.doubts or {}) do
      doubts[#doubts + 1] = ("%s: %s"):format(source.source, doubt)
    end
  end
  table.move(content.sources, 1, #content.sources, #all + 1, all)
  for i, source in ipairs(all) do
    digests[i], bytes = source.sha256, bytes + (source.bytes or 0)
  end
  content.sources, content.earlier_doubts, content.given = all, doubts, given
  content.source, content.bytes, content.rows = all[1].source, bytes, content.results.rows
  content.sha256 = #digests == 1 and digests[1] or sys.sha256(table.concat(digests, "\n"))
  return content
end

local function reading_of(definition, campaign, options, map)
  return { controls = map, roles = M.role_words(definition.roles, options.roles),
    unit = options.unit or or_nil(campaign.unit) or definition.unit,
    concentration_unit = options.concentration_unit or definition.concentration_unit,
    duplicates = options.duplicates or "refuse", direction = or_nil(campaign.direction) }
end

local function store_in(changes, definition, sources, options)
  local campaign_id = campaign_of(changes, options)
  local given = given_of(options)
  local state = screening.current(changes.conn, campaign_id)
  local campaign = state.campaign
  local map = controls.map { campaign.controls, definition.controls, options.controls or {} }
  local results = tables.new(reading_of(definition, campaign, options, map))
  local earlier = not options.only and screening.earlier(changes.conn, state, is_among(sources, given)) or nil
  if earlier then
    results:take(earlier)
  end
  local read, details = source_files.read_all(definition, sources, results, options)
  local compounds = M.link(changes, results, options.create)
  local plates, hits = derive.run(results, { direction = or_nil(campaign.direction),
    rule = or_nil(campaign.hit_rule) })
  local content = M.complete({ results = results, plates = plates, hits = hits, recipe = options.recipe, sources = read,
    doubts = report.reading_doubts(results, map, options.layout),
    reckoning_doubts = report.reckoning_doubts(plates, hits, campaign) }, earlier, given, changes.noted.run.id)
  local outcome = { campaign = campaign, content = content, compounds = compounds, details = details,
    layout = options.layout }
  if not options.force and screening.is_current(state, content) then
    outcome.unchanged, outcome.revision = true, state.revision.revision
  else
    outcome.revision = screening.write(changes, state, content)
  end
  changes:count("rows", results.rows)
  return outcome
end

local function store(definition, conn, sources, options)
  if options.controls then
    options.controls = controls.checked(options.controls)
  end
  if options.layout_path then
    local source <close> = inputs.open(options.layout_path)
    options.layout = layouts.read(definition, source)
  end
  local shown = {}
  for i, source in ipairs(sources) do
    shown[i] = source.shown
  end
  local result, outcome, run_id = entities.change(conn, { command = options.command, recipe = options.recipe,
    outbox = options.outbox, create = options.create, rehearse = options.dry_run, reconnect = options.reconnect,
    arguments = { source = shown[1], sources = #shown > 1 and shown or nil, campaign = options.campaign,
      tag = options.tag } },
    function(changes)
      return store_in(changes, definition, sources, options)
    end)
  return report.of(result, outcome, run_id)
end

--- Defines a recipe for files of screening results.
---@param definition table columns: by field the headers that may stand over it; roles: by role the words for it;
--- controls: wells and names by role; unit, concentration_unit: where neither file nor campaign says one; dialect: how
--- such files are written, when it should not be found out
---@return ligase.other_recipe
function M.recipe(definition)
  local own = options_of.check(definition, SPEC, "recipe")
  own.by_word = columns.by_word(own.columns)
  own.controls = controls.checked(own.controls)
  M.role_words(own.roles)
  return recipes.define_other { what = "screening results", definition = own, campaign = true,
    store = function(conn, source, options)
      return store(own, conn, { source }, options)
    end,
    store_together = function(conn, sources, options)
      return store(own, conn, sources, options)
    end }
end

return M
