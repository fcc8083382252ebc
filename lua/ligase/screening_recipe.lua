--- Recipes for files of screening results.
---
---   return screening_recipe.recipe {
---     columns = { well = { "well position" }, value = { "luminescence" } },
---     controls = { positive = { "column 23" }, negative = { "DMSO" } },
---   }
---
--- Files that are given together become one revision of a campaign, in one transaction with
--- one run: read, plates reckoned, compounds linked, hits called by the campaign's rule. The
--- same files again are no change.
local columns = require "ligase.screening.columns"
local controls = require "ligase.screening.controls"
local csv = require "csv"
local derive = require "ligase.screening.derive"
local dialect = require "ligase.io.dialect"
local entities = require "ligase.store.entities"
local errors = require "ligase.base.errors"
local host = require "host"
local options_of = require "ligase.base.options"
local recipes = require "ligase.omics.recipes"
local report = require "ligase.screening.report"
local screening = require "ligase.store.screening"
local sys = require "sys"
local tables = require "ligase.screening.table"

local M = {}

--- Counts up whenever the same file would be read or reckoned differently than before.
M.READING_VERSION = 1

local null = host.null

local SPEC = {
  columns = { type = "table", default = {} }, roles = { type = "table", default = {} },
  controls = { type = "table", default = {} }, dialect = { type = "table" }, unit = { type = "string" },
  concentration_unit = { type = "string" },
}

--- What stands in a cell that says nothing.
local MISSING = { "", "NA", "N/A", "n/a", "#N/A", "null", "NULL", "NaN", "nan", "-" }

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

local function merged(base, over)
  local result = {}
  for _, answers in ipairs { base or {}, over or {} } do
    for key, value in pairs(answers) do
      result[key] = value
    end
  end
  return result
end

-- ---- reading ---------------------------------------------------------------

local function set_of(list)
  local set = {}
  for _, word in ipairs(list) do
    set[word] = true
  end
  return set
end

--- The columns of a plan as they are stored.
---@param plan table from ligase.screening.columns
---@return table[]
function M.describe_columns(plan)
  local list = {}
  for i, column in ipairs(plan.columns) do
    list[i] = { position = column.position, header = column.header, field = column.field, unit = column.unit }
  end
  return list
end

--- Whether results of a plan belong to plates: they are readings of wells.
local function needs_plate(plan)
  return not plan.at.plate and (plan.at.well or plan.at.row or plan.at.value or plan.at.percent) ~= nil
end

local function read_source(definition, source, results, options)
  local given = merged(definition.dialect, options.dialect)
  local found = dialect.detect(source.path, given)
  local reader <close> = csv.frames(source.path, dialect.reader_options(found))
  local plan = columns.plan(reader:names(), definition.by_word, options.set or {},
    { file = source.shown, line = reader:info().header_line })
  local plate = options.plate
  if plate and plan.at.plate then
    errors.raise { kind = "usage", code = "plate", message = ('"%s" names the plates already'):format(
      plan.at.plate.header), hint = "Leave --plate out" }
  end
  if not plate and needs_plate(plan) then
    plate = source.name or errors.raise { kind = "usage", code = "plate", message = "no column names the plate",
      hint = "Say which it is: --plate NAME" }
  end
  results:read({ shown = source.shown, plan = plan, decimal = found.decimal, plate = plate,
    missing = set_of(given.missing or MISSING) }, columns.FIELDS, function()
    return reader()
  end)
  local info = reader:info()
  return { source = source.shown, sha256 = info.sha256, bytes = info.bytes, columns = M.describe_columns(plan),
    rows = results.sources[#results.sources].rows, first_ordinal = results.sources[#results.sources].first_ordinal,
    plate = plate }, { plan = plan, dialect = found, info = info }
end

--- Errors of reading carry the path that was opened; people know the one they named.
local function read_all(definition, sources, results, options)
  local read, details = {}, {}
  for i, source in ipairs(sources) do
    local done, result, detail = xpcall(read_source, errors.explained, definition, source, results, options)
    if not done then
      result.file = result.file == source.path and source.shown or result.file
      error(result, 0)
    end
    read[i], details[i] = result, detail
  end
  results:finish()
  return read, details
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
  results.compound_id = {}
  for i = 1, results.n do
    local name = results.source_name[i]
    results.compound_id[i] = name ~= null and ids[name] or null
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
    row = changes:create("campaign", { name = word }).row
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
    concentration_unit = options.concentration_unit, duplicates = options.duplicates }
  for _, name in ipairs { "set", "dialect", "controls", "roles" } do
    given[name] = options[name] and next(options[name]) and options[name] or nil
  end
  return given
end

local function sha256_of(read)
  if #read == 1 then
    return read[1].sha256
  end
  local digests = {}
  for i, source in ipairs(read) do
    digests[i] = source.sha256
  end
  return sys.sha256(table.concat(digests, "\n"))
end

local function sum_bytes(read)
  local bytes = 0
  for _, source in ipairs(read) do
    bytes = bytes + source.bytes
  end
  return bytes
end

local function store_in(changes, definition, sources, options)
  local campaign_id = campaign_of(changes, options)
  local given = given_of(options)
  local state = screening.current(changes.conn, campaign_id, given)
  local campaign = state.campaign
  local map = controls.map { campaign.controls, definition.controls, options.controls or {} }
  local unit = options.unit or or_nil(campaign.unit) or definition.unit
  local results = tables.new { controls = map, roles = M.role_words(definition.roles, options.roles), unit = unit,
    concentration_unit = options.concentration_unit or definition.concentration_unit,
    duplicates = options.duplicates or "refuse", direction = or_nil(campaign.direction) }
  local read, details = read_all(definition, sources, results, options)
  local compounds = M.link(changes, results, options.create)
  local plates, hits = derive.run(results, { direction = or_nil(campaign.direction),
    rule = or_nil(campaign.hit_rule) })
  local content = { results = results, plates = plates, hits = hits, recipe = options.recipe, sources = read,
    given = given, source = read[1].source, sha256 = sha256_of(read), bytes = sum_bytes(read), rows = results.rows,
    doubts = report.reading_doubts(results, map),
    reckoning_doubts = report.reckoning_doubts(plates, hits, campaign) }
  local outcome = { campaign = campaign, content = content, compounds = compounds, details = details }
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
  local shown = {}
  for i, source in ipairs(sources) do
    shown[i] = source.shown
  end
  local result, outcome, run_id = entities.change(conn, { command = options.command, recipe = options.recipe,
    outbox = options.outbox, create = options.create, rehearse = options.dry_run,
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
