--- Recipes for files of entities: programs, experiments, compounds, ..., one per row.
---
---   return entity_recipe.recipe {
---     entity = "program",
---     columns = { name = { "program" }, disease = { "disease terms", "indication" } },
---   }
---
--- A file is stored in one transaction with one run. A row with the id or name (a compound:
--- the code) of an entity that is there changes it, in the fields that the row says
--- something of; all others are made. What is wrong with a row is said with file, line and
--- column, and nothing is stored.
local entities = require "ligase.store.entities"
local errors = require "ligase.base.errors"
local kinds = require "ligase.store.entity_kinds"
local options_of = require "ligase.base.options"
local record_table = require "ligase.io.record_table"
local recipes = require "ligase.omics.recipes"
local text = require "ligase.base.text"

local M = {}

local SPEC = {
  entity = { type = "string", required = true }, columns = { type = "table", required = true },
  change = { type = "function" }, dialect = { type = "table" }, required = { type = "table" },
}

---@class ligase.file_options what a person said of files that are no datasets
---@field command string
---@field recipe ligase.other_recipe
---@field dialect table answers for how the file is written
---@field set table<string, string> field by column
---@field programs string[] what all rows belong to that say nothing of it
---@field experiments string[]
---@field create boolean|nil programs and experiments that are not there are made
---@field outbox boolean|nil other systems are to be told
---@field dry_run boolean|nil nothing is written
---@field tag string|nil a word in the journal by which the run is found again
---@field aliases ligase.alias_lookup|nil

-- ---- definitions -----------------------------------------------------------

--- Fields, links and the id; fields of members may be meant as well.
local function is_field(kind, name)
  local owner = name:match("^([%w_]+)%.")
  return name == "id" or kind.fields[name] ~= nil or kind.links[name] ~= nil
    or owner ~= nil and kind.fields[owner] ~= nil and kind.fields[owner].merge == true
end

local function check_columns(kind, columns)
  for field, words in pairs(columns) do
    if type(field) ~= "string" or not is_field(kind, field) then
      local names = { "id" }
      for name in pairs(kind.fields) do
        names[#names + 1] = name
      end
      for name in pairs(kind.links) do
        names[#names + 1] = name
      end
      table.sort(names)
      errors.raise { kind = "usage", code = "recipe", message = ("a %s has no field '%s'"):format(kind.name,
        tostring(field)), hint = "Fields: " .. table.concat(names, ", ") }
    elseif type(words) ~= "table" then
      errors.raise { kind = "usage", code = "recipe", message = ("the words for %s are a %s, not a list"):format(field,
        type(words)), hint = "List the headers that may stand over it" }
    end
  end
end

--- All fields may be meant by their own names.
local function all_columns(kind, given)
  local columns = { id = {} }
  for name in pairs(kind.fields) do
    columns[name] = {}
  end
  for name in pairs(kind.links) do
    columns[name] = {}
  end
  for field, words in pairs(given) do
    columns[field] = words
  end
  return columns
end

-- ---- rows ------------------------------------------------------------------

--- A number as a text with a decimal point.
local function number_text(cell, decimal)
  return decimal == "," and cell:gsub("%.", ""):gsub(",", ".") or cell
end

--- The members of objects that have columns of their own come together.
local function fields_of(kind, cells, decimal)
  local fields = {}
  for name, cell in pairs(cells) do
    local owner, member = name:match("^([%w_]+)%.(.+)$")
    if owner then
      fields[owner] = fields[owner] or {}
      fields[owner][member] = cell
    elseif kind.links[name] then
      local words = {}
      for word in cell:gmatch("[^;|]+") do
        local clean = word:match("^%s*(.-)%s*$")
        words[#words + 1] = clean ~= "" and clean or nil
      end
      fields[name] = words
    elseif kind.fields[name] and kind.fields[name].type == "number" then
      fields[name] = number_text(cell, decimal)
    elseif type(fields[name]) ~= "table" then
      fields[name] = cell
    end
  end
  return fields
end

--- What rows that say nothing of it belong to.
local function add_links(kind, fields, options)
  for name in pairs(kind.links) do
    local all = options[name] or {}
    if #all > 0 and fields[name] == nil then
      fields[name] = all
    end
  end
end

local function refuse_links(kind, options)
  for _, name in ipairs { "programs", "experiments" } do
    if #(options[name] or {}) > 0 and not kind.links[name] then
      errors.raise { kind = "usage", code = "usage", message = ("%s have no %s"):format(kind.plural, name),
        hint = ("Leave --%s out"):format(name:sub(1, -2)) }
    end
  end
end

local function given_of(definition, kind, tbl, options)
  local given = {}
  for i, record in ipairs(tbl.records) do
    local fields = fields_of(kind, record.cells, tbl.dialect.decimal)
    if definition.change then
      fields = definition.change(fields, record.cells) or fields
    end
    add_links(kind, fields, options)
    given[i] = fields
  end
  return given
end

-- ---- what is wrong, and where ----------------------------------------------

local function position_of(tbl, field)
  if not field then
    return nil
  elseif tbl.positions[field] then
    return tbl.positions[field]
  end
  for name, position in pairs(tbl.positions) do
    if name:sub(1, #field + 1) == field .. "." then
      return position
    end
  end
end

--- Gives a failure of a record its place in the file.
---@param failure any
---@param tbl ligase.record_table
---@param source ligase.source
---@return any failure
function M.placed(failure, tbl, source)
  if not (errors.is(failure, "usage") and failure.record) then
    return failure
  end
  local fields = {}
  for name, value in pairs(failure) do
    fields[name] = value
  end
  fields.kind, fields.file, fields.others = "input", source.shown, nil
  fields.line = tbl.records[failure.record].line
  fields.column = position_of(tbl, failure.field)
  if failure.other then
    fields.message = ("%s, first on line %d"):format(failure.message, tbl.records[failure.other].line)
  end
  local also = {}
  for i, other in ipairs(failure.others or {}) do
    also[i] = ("line %d: %s"):format(tbl.records[other.record].line, other.message)
  end
  if #also > 0 then
    fields.detail = "also " .. table.concat(also, "; ")
  end
  return errors.new(fields)
end

-- ---- reports ---------------------------------------------------------------

local function listed(words, most)
  local shown = {}
  for i = 1, math.min(#words, most) do
    shown[i] = text.shown(words[i], 60)
  end
  return table.concat(shown, ", ") .. (#words > most and ", ..." or "")
end

--- The lines of a report that say how a table was read.
---@param tbl ligase.record_table
---@return string[][] label and text
function M.table_lines(tbl)
  local used, left = {}, {}
  for _, column in ipairs(tbl.columns) do
    if column.field then
      used[#used + 1] = M.plain_pair(column)
    else
      left[#left + 1] = ('"%s"'):format(column.header)
    end
  end
  local lines = { { "columns", listed(used, 30) } }
  if #left > 0 then
    lines[2] = { "left out", listed(left, 20) }
  end
  for _, doubt in ipairs(tbl.dialect.doubts) do
    lines[#lines + 1] = { "doubt", doubt }
  end
  return lines
end

--- A column and what it is for, as it is shown.
---@param column {header: string, field: string}
---@return string
function M.plain_pair(column)
  return record_table.plain(column.header) == record_table.plain(column.field) and column.field
    or ('%s from "%s"'):format(column.field, column.header)
end

local function headline(kind, counts, outcome)
  local total = text.count(counts.rows, kind.name, kind.plural)
  if outcome == "unchanged" then
    return ("unchanged (%s)"):format(total)
  end
  return ("%s: %s new, %s changed, %s unchanged"):format(total, text.number(counts.created),
    text.number(counts.updated), text.number(counts.unchanged))
end

--- What people are told of entities that have in common what should be one's own.
---@param kind ligase.entity_kind
---@param found {value: string, names: string[]}[]
---@return string[]
function M.duplicate_lines(kind, found)
  local lines = {}
  for i, group in ipairs(found) do
    lines[i] = ("%s have the %s %s: %s"):format(text.count(#group.names, kind.name, kind.plural),
      kind.own == "inchi_key" and "InChIKey" or kind.own, group.value, listed(group.names, 5))
  end
  return lines
end

-- ---- storing ---------------------------------------------------------------

local function store(definition, kind, conn, source, options)
  refuse_links(kind, options)
  local dialect = {}
  for _, answers in ipairs { definition.dialect or {}, options.dialect or {} } do
    for key, value in pairs(answers) do
      dialect[key] = value
    end
  end
  local tbl = record_table.read(source, { columns = definition.all, members = definition.members,
    required = definition.required, set = options.set, dialect = dialect })
  local given, duplicates = given_of(definition, kind, tbl, options), nil
  local done, counts, outcome, run_id = pcall(entities.change, conn, { command = options.command,
    recipe = options.recipe, outbox = options.outbox, create = options.create, rehearse = options.dry_run,
    reconnect = options.reconnect,
    arguments = { source = source.shown, sha256 = tbl.info.sha256, bytes = tbl.info.bytes, tag = options.tag } },
    function(changes)
      local outcomes = changes:upsert(kind.name, given)
      duplicates = changes:duplicates(kind.name, outcomes)
      changes:count("rows", #given)
      return changes.counts
    end)
  if not done then
    error(M.placed(counts, tbl, source), 0)
  end
  local lines = M.table_lines(tbl)
  for _, line in ipairs(M.duplicate_lines(kind, duplicates)) do
    lines[#lines + 1] = { "doubt", line }
  end
  return { outcome = outcome, run_id = run_id, counts = counts, headline = headline(kind, counts, outcome),
    lines = lines, info = tbl.info, dialect = tbl.dialect, duplicates = duplicates }
end

--- Defines a recipe for files of entities.
---@param definition table entity: the kind; columns: by field the headers that may stand over it, beside its own
--- name; required: fields without whose column a file is refused; change: a function (fields, cells) that may change
--- what a row says; dialect: how such files are written, when it should not be found out
---@return ligase.other_recipe
function M.recipe(definition)
  local own = options_of.check(definition, SPEC, "recipe")
  local kind = kinds.get(own.entity)
  check_columns(kind, own.columns)
  own.all, own.members = all_columns(kind, own.columns), {}
  for name, field in pairs(kind.fields) do
    own.members[name] = field.merge
  end
  return recipes.define_other { what = kind.plural, definition = own, store = function(conn, source, options)
    return store(own, kind, conn, source, options)
  end }
end

return M
