--- Property values: read from requests with Notion's checks, kept, and shown in answers.
---
--- A value is kept as answers show it, with two exceptions: a select's option is the schema's
--- own option table, and a relation is a list of page ids.
local failures = require "tests.standins.notion.failures"
local json = require "ligase.base.json"
local richtext = require "tests.standins.notion.richtext"
local world_module = require "tests.standins.notion.world"

local M = {}

local null = json.null
local MOST_OPTIONS, MOST_RELATIONS, MOST_URL, MOST_SHORT, MOST_OPTION_NAME = 100, 100, 2000, 200, 100
local COLORS = { "default", "gray", "brown", "orange", "yellow", "green", "blue", "purple", "pink", "red" }

--- How many references of a relation a page shows.
M.SHOWN_REFERENCES = 25

--- The types that can be written, in the order in which Notion's messages go through them.
M.writable = { "title", "rich_text", "number", "url", "select", "multi_select", "people", "email",
  "phone_number", "date", "checkbox", "relation", "files", "status" }

-- ---- reading ---------------------------------------------------------------
-- A reader checks the form of what a request says and returns what is kept; the schema has
-- its say afterwards (M.fit).

local readers = {}

local function refuse_form(path, kind, clause)
  local clauses = {}
  for _, name in ipairs(M.writable) do
    clauses[#clauses + 1] = name == kind and clause or failures.clause(path .. "." .. name, "defined")
  end
  failures.invalid_forms(clauses)
end

local function want(path, kind, wanted, value)
  refuse_form(path, kind, failures.clause(path .. "." .. kind, wanted, value))
end

local function read_rich_text(path, kind, raw)
  if not json.is_array(raw) then
    want(path, kind, "an array", raw)
  end
  return richtext.read(path .. "." .. kind, raw)
end

readers.title, readers.rich_text = read_rich_text, read_rich_text

function readers.number(path, kind, raw)
  if raw ~= null and type(raw) ~= "number" then
    want(path, kind, "a number or `null`", raw)
  end
  return raw
end

function readers.checkbox(path, kind, raw)
  if type(raw) ~= "boolean" then
    want(path, kind, "a boolean", raw)
  end
  return raw
end

local function short_text(most)
  return function(path, kind, raw)
    if raw == null then
      return null
    elseif type(raw) ~= "string" then
      want(path, kind, "a string or `null`", raw)
    end
    failures.check_length(path .. "." .. kind, richtext.length(raw), most)
    return raw
  end
end

readers.url = short_text(MOST_URL)
readers.email, readers.phone_number = short_text(MOST_SHORT), short_text(MOST_SHORT)

local function read_option(path, raw)
  if type(raw) ~= "table" or json.is_array(raw) then
    failures.invalid_at(path, "an object", raw)
  elseif raw.name == nil and raw.id == nil then
    failures.invalid_forms { failures.clause(path .. ".id", "defined"), failures.clause(path .. ".name", "defined") }
  elseif raw.name ~= nil and type(raw.name) ~= "string" then
    failures.invalid_at(path .. ".name", "a string", raw.name)
  elseif raw.name then
    failures.check_length(path .. ".name", richtext.length(raw.name), MOST_OPTION_NAME)
    if raw.name:find(",", 1, true) then
      failures.invalid("Invalid select option, commas not allowed: " .. raw.name)
    end
  end
  return raw
end

local function read_select(path, kind, raw)
  return raw == null and null or read_option(path .. "." .. kind, raw)
end

readers.select, readers.status = read_select, read_select

local function read_list(path, kind, raw, most)
  if not json.is_array(raw) then
    want(path, kind, "an array", raw)
  end
  failures.check_length(path .. "." .. kind, #raw, most)
  return raw
end

function readers.multi_select(path, kind, raw)
  for i, option in ipairs(read_list(path, kind, raw, MOST_OPTIONS)) do
    read_option(("%s.%s[%d]"):format(path, kind, i - 1), option)
  end
  return raw
end

function readers.people(path, kind, raw)
  local people = json.array()
  for i, person in ipairs(read_list(path, kind, raw, MOST_RELATIONS)) do
    local at = ("%s.%s[%d].id"):format(path, kind, i - 1)
    people[i] = { object = "user", id = world_module.checked_id(at, type(person) == "table" and person.id or nil) }
  end
  return people
end

function readers.relation(path, kind, raw)
  local ids, seen = json.array(), {}
  for i, reference in ipairs(read_list(path, kind, raw, MOST_RELATIONS)) do
    local at = ("%s.%s[%d].id"):format(path, kind, i - 1)
    local id = world_module.checked_id(at, type(reference) == "table" and reference.id or nil)
    if not seen[id] then
      seen[id] = true
      ids[#ids + 1] = id
    end
  end
  return ids
end

local function check_date(path, raw)
  if type(raw) ~= "string" or not (raw:find("^%d%d%d%d%-%d%d%-%d%d$")
    or raw:find("^%d%d%d%d%-%d%d%-%d%d[T ]%d%d:%d%d")) then
    failures.invalid_at(path, "a valid ISO 8601 date string", raw)
  end
end

function readers.date(path, kind, raw)
  if raw == null then
    return null
  elseif type(raw) ~= "table" or json.is_array(raw) then
    want(path, kind, "an object or `null`", raw)
  end
  local at = path .. "." .. kind
  check_date(at .. ".start", raw.start)
  if raw["end"] ~= nil and raw["end"] ~= null then
    check_date(at .. ".end", raw["end"])
  end
  return { start = raw.start, ["end"] = raw["end"] or null, time_zone = raw.time_zone or null }
end

function readers.files(path, kind, raw)
  local files = json.array()
  for i, file in ipairs(read_list(path, kind, raw, MOST_RELATIONS)) do
    local at = ("%s.%s[%d]"):format(path, kind, i - 1)
    if type(file) ~= "table" or type(file.name) ~= "string" then
      failures.invalid_at(at .. ".name", "a string", type(file) == "table" and file.name or nil)
    elseif type(file.external) ~= "table" or type(file.external.url) ~= "string" then
      failures.invalid_at(at .. ".external", "defined", file.external)
    end
    failures.check_length(at .. ".name", richtext.length(file.name), MOST_OPTION_NAME)
    failures.check_length(at .. ".external.url", richtext.length(file.external.url), MOST_URL)
    files[i] = { name = file.name, type = "external", external = { url = file.external.url } }
  end
  return files
end

--- Reads one property's value from a request.
---@param path string "body.properties.Name"
---@param raw any
---@return string kind
---@return any value
function M.read(path, raw)
  if type(raw) ~= "table" or json.is_array(raw) then
    failures.invalid_at(path, "an object", raw)
  end
  for _, kind in ipairs(M.writable) do
    if raw[kind] ~= nil then
      return kind, readers[kind](path, kind, raw[kind])
    end
  end
  refuse_form(path)
end

-- ---- fitting the schema ----------------------------------------------------

--- The schema's option for one that a request names; an unknown name makes a new option.
local function option_of(world, property, raw)
  local options = property.config.options
  for _, option in ipairs(options) do
    if raw.id ~= nil and option.id == raw.id or raw.id == nil and option.name == raw.name then
      return option
    end
  end
  if raw.name == nil then
    failures.invalid(("Select option with id %s does not exist"):format(failures.shown(raw.id)))
  elseif property.type == "status" then
    failures.invalid(('Invalid status option. Status option "%s" does not exist".'):format(raw.name))
  end
  local option = { id = world:new_id(), name = raw.name, color = raw.color or COLORS[#options % #COLORS + 1],
    description = null }
  options[#options + 1] = option
  return option
end

--- Makes a value that was read what the property keeps.
---@param world table
---@param property table of the schema
---@param value any
---@return any
function M.fit(world, property, value)
  if value == null then
    return nil
  elseif property.type == "select" or property.type == "status" then
    return option_of(world, property, value)
  elseif property.type == "multi_select" then
    local options = json.array()
    for i, raw in ipairs(value) do
      options[i] = option_of(world, property, raw)
    end
    return options
  elseif property.type == "relation" then
    for _, id in ipairs(value) do
      world:find("page", id)
    end
  end
  return value
end

-- ---- showing ---------------------------------------------------------------

local EMPTY_LISTS = { title = true, rich_text = true, multi_select = true, people = true, files = true }

local computed = {}

function computed.created_time(page)
  return page.created_time
end

function computed.last_edited_time(page)
  return page.last_edited_time
end

function computed.created_by(page)
  return { object = "user", id = page.created_by }
end

function computed.last_edited_by(page)
  return { object = "user", id = page.last_edited_by }
end

function computed.unique_id(page, property)
  return { prefix = property.config.prefix or null, number = page.number }
end

function computed.formula()
  return { type = "string", string = null }
end

function computed.rollup()
  return { type = "array", array = json.array(), ["function"] = "show_original" }
end

--- The value of a property that Notion fills in itself, or nil for one that is written.
---@param page table
---@param property table
---@return any
function M.computed(page, property)
  local compute = computed[property.type]
  return compute and compute(page, property)
end

local function option_shown(option)
  return { id = option.id, name = option.name, color = option.color }
end

--- A page's property as answers show it.
---@param page table
---@param property table
---@return table
function M.show(page, property)
  local kind = property.type
  local value = page.values[property.id]
  local shown = { id = property.id, type = kind }
  if computed[kind] then
    shown[kind] = M.computed(page, property)
  elseif kind == "relation" then
    shown.relation, shown.has_more = json.array(), value ~= nil and #value > M.SHOWN_REFERENCES
    for i = 1, math.min(value and #value or 0, M.SHOWN_REFERENCES) do
      shown.relation[i] = { id = value[i] }
    end
  elseif kind == "checkbox" then
    shown.checkbox = value == true
  elseif value == nil then
    shown[kind] = EMPTY_LISTS[kind] and json.array() or null
  elseif kind == "select" or kind == "status" then
    shown[kind] = option_shown(value)
  elseif kind == "multi_select" then
    shown[kind] = json.array()
    for i, option in ipairs(value) do
      shown[kind][i] = option_shown(option)
    end
  else
    shown[kind] = value
  end
  return shown
end

return M
