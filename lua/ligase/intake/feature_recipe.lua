--- Recipes for files of features: a name per row, its type, attributes, ids elsewhere.
---
--- The names are read by the same readers as those of datasets and leave the same receipts,
--- so that a feature that is added here is the one that a dataset's row will name. What the
--- row says beside its name is kept with the feature: members of its attributes, ids in other
--- systems.
local entities = require "ligase.store.entities"
local entity_recipe = require "ligase.intake.entity_recipe"
local errors = require "ligase.base.errors"
local features = require "ligase.store.features"
local frame = require "frame"
local names = require "ligase.omics.names"
local options_of = require "ligase.base.options"
local record_table = require "ligase.io.record_table"
local recipes = require "ligase.omics.recipes"
local text = require "ligase.base.text"

local M = {}

local SPEC = {
  columns = { type = "table", required = true }, readers = { type = "table", required = true },
  feature_type = { type = "string" }, dialect = { type = "table" },
}

--- Objects whose members may have columns of their own.
local MEMBERS = { attributes = true, external_ids = true }
local FIELDS = { "name", "feature_type", "attributes", "external_ids", "notion_page_id" }

local function refuse(source, record, column, message, hint)
  errors.raise { kind = "input", code = "feature", file = source.shown, line = record.line, column = column,
    message = message, hint = hint }
end

-- ---- types -----------------------------------------------------------------

local function known_types(definition)
  local types = {}
  for feature_type in pairs(definition.readers) do
    types[#types + 1] = feature_type
  end
  table.sort(types)
  return types
end

--- The feature type that a cell means: case and a plural's s do not matter.
local function type_of(definition, source, tbl, record)
  local cell = record.cells.feature_type
  local word = (cell or definition.feature_type or ""):lower()
  local feature_type = definition.readers[word] and word or definition.readers[word:gsub("s$", "")]
    and word:gsub("s$", "")
  if feature_type then
    return feature_type
  end
  local types = known_types(definition)
  if word == "" then
    refuse(source, record, tbl.positions.feature_type, "the row does not say which type its feature has",
      "Give the file a column 'type' with one of: " .. table.concat(types, ", "))
  end
  local near = text.nearest(word, types)
  local message = ("'%s' is no type of feature"):format(text.shown(cell or word, 40))
  refuse(source, record, tbl.positions.feature_type, message,
    (near and ("Did you mean '%s'? "):format(near) or "") .. "It is one of: " .. table.concat(types, ", "))
end

-- ---- names -----------------------------------------------------------------

--- The names of one type, read: a resolver that knows their keys, and its waiting names.
local function read_names(definition, feature_type, records, aliases)
  local reader, rows = definition.readers[feature_type], {}
  local resolver = names.resolver(feature_type, reader.read, reader.describe)
  if aliases then
    aliases:serve(resolver)
  end
  for i, record in ipairs(records) do
    rows[i] = { record.cells.name }
  end
  local made <close> = frame.new({ "name" }, rows)
  local column <close> = made:text "name"
  local keys <close> = resolver:resolve(column)
  for i, record in ipairs(records) do
    record.key = keys:get(i)
  end
  return resolver
end

--- The records by feature type, each with its name.
local function grouped(definition, source, tbl)
  local groups, order = {}, {}
  for _, record in ipairs(tbl.records) do
    if not record.cells.name then
      refuse(source, record, tbl.positions.name, "the row has no name", "Fill it in, or take the row out")
    end
    local feature_type = type_of(definition, source, tbl, record)
    if not groups[feature_type] then
      groups[feature_type] = {}
      order[#order + 1] = feature_type
    end
    table.insert(groups[feature_type], record)
  end
  return groups, order
end

-- ---- what rows say beside ---------------------------------------------------

--- Adds what a row says of a feature to what rows before said of it.
local function add_fields(source, tbl, fields, record)
  for name, cell in pairs(record.cells) do
    local owner, member = name:match("^([%w_]+)%.(.+)$")
    local place, key = fields, member or name
    if owner then
      fields[owner] = fields[owner] or {}
      place = fields[owner]
    end
    if owner or key ~= "name" and key ~= "feature_type" then
      if place[key] ~= nil and place[key] ~= cell then
        refuse(source, record, tbl.positions[name], ("%s is '%s' here and '%s' in an earlier row of the same feature")
          :format(name, text.shown(cell, 40), text.shown(tostring(place[key]), 40)), "Only one of them can be right")
      end
      place[key] = cell
    end
  end
end

local FEATURES = "SELECT key, id FROM features WHERE key = ANY($1::int8[])"

--- What is to be kept with features, one entry each.
local function details_of(conn, source, tbl)
  local by_key, keys, records = {}, {}, {}
  for _, record in ipairs(tbl.records) do
    if record.key then
      if not by_key[record.key] then
        by_key[record.key] = {}
        keys[#keys + 1] = record.key
        records[record.key] = record
      end
      add_fields(source, tbl, by_key[record.key], record)
    end
  end
  local given, said = {}, {}
  for _, row in ipairs(conn:query(FEATURES, require("pg").int8_array(keys))) do
    local fields = by_key[row.key]
    if next(fields) then
      fields.id = row.id
      given[#given + 1], said[#said + 1] = fields, records[row.key]
    end
  end
  return given, said, #keys
end

-- ---- storing ---------------------------------------------------------------

local function remember(changes, resolvers)
  local new_features, new_names = 0, 0
  for _, resolver in ipairs(resolvers) do
    local waiting = resolver:take()
    if #waiting.raws > 0 then
      local made, read = features.remember(changes.conn, resolver, waiting, changes.noted.run.id)
      new_features, new_names = new_features + made, new_names + read
    end
  end
  if new_names > 0 then
    changes:touch()
  end
  return new_features, new_names
end

local function unread_line(resolvers)
  local count, shown = 0, {}
  for _, resolver in ipairs(resolvers) do
    for _, unread in pairs(resolver.unread) do
      count = count + 1
      shown[#shown + 1] = ('"%s" (%s)'):format(text.shown(unread.raw, 40), unread.reason)
    end
  end
  if count > 0 then
    table.sort(shown)
    return ("%s not understood, kept as they stand: %s%s"):format(text.number(count),
      table.concat(shown, ", ", 1, math.min(#shown, 3)), #shown > 3 and ", ..." or "")
  end
end

local function store_in(changes, definition, source, tbl, options)
  local groups, order = grouped(definition, source, tbl)
  local resolvers = {}
  for i, feature_type in ipairs(order) do
    resolvers[i] = read_names(definition, feature_type, groups[feature_type], options.aliases)
  end
  local new_features, new_names = remember(changes, resolvers)
  local given, said, count = details_of(changes.conn, source, tbl)
  local updated = 0
  local done, outcomes = pcall(changes.upsert, changes, "feature", given)
  if not done then
    error(entity_recipe.placed(outcomes, { records = said, positions = tbl.positions }, source), 0)
  end
  for _, outcome in ipairs(outcomes) do
    updated = updated + (outcome.outcome == "updated" and 1 or 0)
  end
  changes:count("rows", #tbl.records)
  changes:count("features", count)
  changes:count("features_new", new_features)
  changes:count("names_new", new_names)
  return { rows = #tbl.records, features = count, features_new = new_features, names_new = new_names,
    details = updated, unread = unread_line(resolvers) }
end

local function headline(counts, outcome)
  if outcome == "unchanged" then
    return ("unchanged (%s)"):format(text.count(counts.features, "feature"))
  end
  return ("%s: %s new, %s known, details of %s changed"):format(text.count(counts.features, "feature"),
    text.number(counts.features_new), text.number(counts.features - counts.features_new),
    text.number(counts.details))
end

local function store(definition, conn, source, options)
  if #(options.programs or {}) + #(options.experiments or {}) > 0 then
    errors.raise { kind = "usage", code = "usage", message = "features have neither programs nor experiments",
      hint = "Leave --program and --experiment out" }
  end
  local dialect = {}
  for _, answers in ipairs { definition.dialect or {}, options.dialect or {} } do
    for key, value in pairs(answers) do
      dialect[key] = value
    end
  end
  local tbl = record_table.read(source, { columns = definition.columns, members = MEMBERS, required = { "name" },
    set = options.set, dialect = dialect })
  local counts, outcome, run_id = entities.change(conn, { command = options.command, recipe = options.recipe,
    outbox = options.outbox, rehearse = options.dry_run, reconnect = options.reconnect,
    arguments = { source = source.shown, sha256 = tbl.info.sha256, bytes = tbl.info.bytes, tag = options.tag } },
    function(changes)
      return store_in(changes, definition, source, tbl, options)
    end)
  local lines = entity_recipe.table_lines(tbl)
  if counts.unread then
    lines[#lines + 1] = { "names", counts.unread }
  end
  return { outcome = outcome, run_id = run_id, counts = counts, headline = headline(counts, outcome), lines = lines,
    info = tbl.info, dialect = tbl.dialect }
end

local function check_readers(readers)
  for feature_type, reader in pairs(readers) do
    if type(reader) ~= "table" or type(reader.read) ~= "function" then
      errors.raise { kind = "usage", code = "recipe", message = ("the reader of %s has no function 'read'"):format(
        tostring(feature_type)), hint = "Write: lipid = { read = lipid.read }" }
    end
  end
end

--- Defines a recipe for files of features.
---@param definition table columns: by field the headers that may stand over it; readers: by feature type
--- { read = function, describe = function|nil }; feature_type: of rows that do not say theirs; dialect
---@return ligase.other_recipe
function M.recipe(definition)
  local own = options_of.check(definition, SPEC, "recipe")
  check_readers(own.readers)
  local columns = {}
  for _, field in ipairs(FIELDS) do
    columns[field] = {}
  end
  for field, words in pairs(own.columns) do
    local owner = field:match("^([%w_]+)%.")
    if not columns[field] and not MEMBERS[owner] then
      errors.raise { kind = "usage", code = "recipe", message = ("a feature has no field '%s'"):format(field),
        hint = "Fields: " .. table.concat(FIELDS, ", ") }
    end
    columns[field] = words
  end
  own.columns = columns
  return recipes.define_other { what = "features", definition = own, store = function(conn, source, options)
    return store(own, conn, source, options)
  end }
end

return M
