--- What people write for an entity's fields, made into what its columns hold.
---
--- Values come from Lua, from a command line and from cells of files; what each of them may
--- be is the same everywhere. A problem is said without a place: whoever asked knows it.
local controls = require "ligase.screening.controls"
local hit_rules = require "ligase.screening.hit_rule"
local identifiers = require "ligase.base.identifiers"
local json = require "ligase.base.json"
local text = require "ligase.base.text"

local M = {}

--- What an index entry can hold, well below Postgres' limit.
local NAME_BYTES_MOST = 1000

--- Postgres writes a row's numbers out in JSON, and what is larger is no integer of Lua any more.
local NUMBER_LESS_THAN = 2.0 ^ 63

-- ---- checks ----------------------------------------------------------------

local checks = {}

function checks.name(value)
  if value:find("%c") then
    return "it holds control characters", "A name is one line of text"
  elseif #value > NAME_BYTES_MOST then
    return ("it has %d bytes"):format(#value), ("A name has at most %d"):format(NAME_BYTES_MOST)
  end
end

function checks.positive(value)
  if value <= 0 then
    return "it is not above 0"
  end
end

function checks.external_ids(ids)
  for system, id in pairs(ids) do
    if id ~= json.null and (type(id) ~= "string" or id == "") then
      return ("the id in '%s' is no text"):format(system), "External ids are texts: { system = \"id\" }"
    end
  end
end

for _, name in ipairs { "inchi_key", "cas_number", "chembl_id", "inchi", "smiles" } do
  checks[name] = identifiers["check_" .. name]
end

-- ---- conversions -----------------------------------------------------------

local function trim(value)
  return value:match("^%s*(.-)%s*$")
end

local convert = {}

function convert.text(value, field)
  if math.type(value) == "integer" then
    value = tostring(value)
  elseif type(value) ~= "string" then
    return nil, ("it is a %s, not a text"):format(type(value))
  end
  value = trim(value)
  if not utf8.len(value) then
    return nil, "it is not UTF-8"
  elseif value:find("\0", 1, true) then
    return nil, "it holds a NUL byte"
  end
  if field.check == "inchi_key" then
    value = value:gsub("^InChIKey=", "")
  end
  return value
end

--- The terms of a list, or of a text in which they stand between ; or |.
function convert.terms(value)
  if type(value) == "string" then
    local terms = {}
    for term in value:gmatch("[^;|]+") do
      terms[#terms + 1] = term
    end
    value = terms
  elseif type(value) ~= "table" then
    return nil, ("it is a %s, not a list of terms"):format(type(value))
  end
  local list, seen, count = {}, {}, 0
  for i in pairs(value) do
    count = math.type(i) == "integer" and math.max(count, i) or math.huge
  end
  if count ~= #value then
    return nil, "it is no list of terms", "Write { \"first\", \"second\" }"
  end
  for _, term in ipairs(value) do
    local clean, problem, hint = convert.text(term, {})
    if problem then
      return nil, problem, hint
    elseif clean:find("%c") then
      return nil, "a term holds control characters"
    elseif clean ~= "" and not seen[clean] then
      seen[clean] = true
      list[#list + 1] = clean
    end
  end
  return json.array(list)
end

local function decoded(value, wanted)
  local done, object = pcall(json.decode, value)
  if not done then
    return nil, ("it is no JSON: %s"):format(tostring(object.message or object)), wanted
  end
  return object
end

local OBJECT_HINT = "Write key=value; key=value, or an object in JSON: {\"key\": \"value\"}"

--- An object: a table, JSON, or key=value between semicolons.
function convert.object(value)
  local problem, hint
  if type(value) == "string" and value:find("^%s*{") then
    value, problem, hint = decoded(value, OBJECT_HINT)
    if problem then
      return nil, problem, hint
    end
  elseif type(value) == "string" then
    local object = {}
    for part in value:gmatch("[^;]+") do
      local key, word = part:match("^%s*(.-)%s*=%s*(.-)%s*$")
      if not key or key == "" then
        return nil, ("'%s' is no key=value"):format(text.shown(trim(part), 40)), OBJECT_HINT
      elseif object[key] ~= nil then
        return nil, ("'%s' stands twice"):format(text.shown(key, 40)), OBJECT_HINT
      end
      object[key] = word
    end
    value = object
  end
  if type(value) ~= "table" or json.is_array(value) then
    return nil, ("it is %s, not an object"):format(type(value) == "table" and "a list" or "a " .. type(value)),
      OBJECT_HINT
  end
  for key in pairs(value) do
    if type(key) ~= "string" then
      return nil, "it is a list, not an object", OBJECT_HINT
    end
  end
  return value
end

local GROUPS_HINT = "Write group=sample,sample; group=sample, or JSON: {\"group\": [\"sample\"]}"

--- Groups of samples: an object whose members are lists of texts.
function convert.groups(value)
  local object, problem = convert.object(value)
  if problem then
    return nil, problem, GROUPS_HINT
  end
  local groups = {}
  for group, samples in pairs(object) do
    if type(samples) == "string" then
      local list = {}
      for sample in samples:gmatch("[^,]+") do
        list[#list + 1] = sample
      end
      samples = list
    end
    local list, wrong = convert.terms(samples)
    if wrong then
      return nil, ("group '%s': %s"):format(text.shown(group, 40), wrong), GROUPS_HINT
    end
    groups[group] = list
  end
  return groups
end

--- What a reader of declarations makes of a value, its complaint as problem and hint.
local function declared(read, value)
  local done, result = pcall(read, value)
  if done then
    return result
  end
  return nil, tostring(result.message or result), result.hint
end

--- A hit rule, as text or as it is stored.
function convert.hit_rule(value)
  if type(value) == "table" then
    value = value.text
  end
  if type(value) ~= "string" then
    return nil, "it is no text", "Write for example: percent >= 50"
  end
  local rule, problem, hint = declared(hit_rules.read, value)
  if problem then
    return nil, problem, hint
  end
  return rule or json.null
end

--- Control wells by role: { positive = { "column 23", "DMSO" } }.
function convert.controls(value)
  local object, problem, hint = convert.object(value)
  if not problem then
    object, problem, hint = declared(function(given)
      local checked = controls.checked(given)
      controls.map { checked } -- raises when they contradict each other
      return checked
    end, object)
  end
  if problem then
    return nil, problem, hint
  end
  for role, words in pairs(object) do
    object[role] = json.array(words)
  end
  return object
end

--- A Notion page, however it is named: written in one way, so that no two entities have it.
function convert.page(value)
  local word, problem = convert.text(value, {})
  local page = word and identifiers.notion_page(word)
  if not page then
    return nil, problem or "it is no page of Notion", "A page's id has 32 hexadecimal digits; its address will do too"
  end
  return page
end

function convert.integer(value)
  local number = type(value) == "string" and trim(value):match("^[+-]?%d+$") or value
  number = math.tointeger(tonumber(number))
  if not number then
    return nil, "it is no whole number"
  end
  return number
end

function convert.number(value)
  local number = type(value) == "string" and trim(value):match("^[+-]?%d*%.?%d*[eE]?[+-]?%d*$") or value
  number = type(number) ~= "boolean" and tonumber(number)
  if not number or number ~= number or number == math.huge or number == -math.huge then
    return nil, "it is no number", "The decimal mark is the point"
  elseif number >= NUMBER_LESS_THAN or number <= -NUMBER_LESS_THAN then
    return nil, "it is too large"
  end
  return math.tointeger(number) or number
end

--- What stands in the column of a field that says nothing.
---@param field ligase.entity_field
---@return any
function M.empty(field)
  if field.empty ~= nil then
    return field.empty
  elseif field.type == "terms" then
    return json.array()
  elseif (field.type == "object" or field.type == "groups" or field.type == "controls") and not field.nullable then
    return {}
  end
  return json.null
end

--- A field's value as its column holds it; nil with what is wrong and what to do. An empty
--- text says that the field is to be empty.
---@param field ligase.entity_field
---@param value any
---@return any
---@return string|nil problem
---@return string|nil hint
function M.convert(field, value)
  if value == json.null or type(value) == "string" and not value:find("%S") then
    return M.empty(field)
  end
  local made, problem, hint = convert[field.type](value, field)
  if problem then
    return nil, problem, hint
  end
  if field.values then
    for _, allowed in ipairs(field.values) do
      if allowed == made then
        return made
      end
    end
    return nil, ("it cannot be '%s'"):format(text.shown(made, 40)), "It is " .. text.enumerate(field.values)
  elseif field.check then
    problem, hint = checks[field.check](made)
    if problem then
      return nil, problem, hint
    end
  end
  return made
end

--- A field's value after a change: members of an object that is merged are set one by one,
--- and null takes one out.
---@param field ligase.entity_field
---@param before any
---@param value any from convert
---@return any
function M.merged(field, before, value)
  if not field.merge or type(before) ~= "table" or before == json.null or type(value) ~= "table"
    or next(value) == nil then
    return value
  end
  local object = {}
  for key, member in pairs(before) do
    object[key] = member
  end
  for key, member in pairs(value) do
    object[key] = member ~= json.null and member or nil
  end
  return object
end

return M
