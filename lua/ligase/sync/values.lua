--- What the properties of a page should say of an entity, whether they say it, and what they
--- say as fields of the entity.
---
---   local wanted, waiting = values.wanted(entity_policy, entity)
---   values.same("multi_select", wanted["Disease"], page_values["Disease"])
---   local fields = values.fields(entity_policy, page_values, ids_of_pages)
---
--- The values are those of ligase.io.notion.properties: plain ones of Lua, by name of the
--- property. Nothing here talks to anybody.
local errors = require "ligase.base.errors"
local instants = require "ligase.base.instants"
local json = require "ligase.base.json"
local sys = require "sys"
local text = require "ligase.base.text"

local M = {}

local null = json.null

---@class ligase.linked_entity
---@field type string its table
---@field id string
---@field name string
---@field page_id string|nil

---@class ligase.mirrored_entity an entity as Postgres has it now, see ligase.sync.entities
---@field type string
---@field id string
---@field row table its columns by name, NULL as json.null
---@field links table<string, ligase.linked_entity[]>
---@field revision table|nil of a dataset, the current one: {revision, rows, values, features, samples, source, recipe,
--- created_at}
---@field mirror table|nil what is known of its page
---@field page_id string|nil its page
---@field open integer[] its rows in the outbox that are not settled, those that were given up too
---@field is_coming boolean|nil some of them are to be delivered

-- ---- what a page should say ------------------------------------------------

local function is_empty(value)
  return value == nil or value == null or value == "" or value == false
    or type(value) == "table" and next(value) == nil
end

--- A text for what a column holds: terms between semicolons, objects as JSON.
local function as_text(value)
  if type(value) ~= "table" then
    return tostring(value)
  elseif json.is_array(value) or #value > 0 then
    local parts = {}
    for i, part in ipairs(value) do
      parts[i] = type(part) == "table" and json.encode(part) or tostring(part)
    end
    return table.concat(parts, "; ")
  end
  return json.encode(value)
end

--- The name of an option holds no comma; terms hold no semicolon, so nothing is lost.
local function as_option(value)
  return (as_text(value):gsub(",", ";"))
end

local function as_options(value)
  local options = json.array()
  for i, part in ipairs(type(value) == "table" and value or { value }) do
    options[i] = as_option(part)
  end
  return options
end

local function as_is(value)
  return value
end

local TO_PROPERTY = { title = as_text, rich_text = as_text, url = as_text, email = as_text, phone_number = as_text,
  select = as_option, status = as_option, multi_select = as_options, number = as_is, checkbox = as_is, date = as_is,
  files = as_is }

--- Says which function failed, and where: in the line that raised, else where the function begins.
local function refuse_function(entity_policy, property, which, problem)
  local words = tostring(errors.is(problem) and problem.message or problem):match "^[^\n]*"
  local file, line, rest = words:match "^(.-):(%d+): (.*)$"
  local info = debug.getinfo(property[which], "S")
  errors.raise { kind = "usage", code = "policy_function", file = file or info.short_src,
    line = math.tointeger(tonumber(line)) or info.linedefined,
    message = ("the %s function of property '%s' of %s failed: %s"):format(which, property.name,
      entity_policy.kind.plural, rest or words), hint = "Mend recipes/policy.lua" }
end

local function called(entity_policy, property, which, ...)
  local done, result = pcall(property[which], ...)
  if not done then
    refuse_function(entity_policy, property, which, result)
  end
  return result
end

--- The types of Lua that a property's value may be of.
local LUA_TYPES = { number = { number = true }, checkbox = { boolean = true }, date = { string = true, table = true },
  files = { table = true } }
local TEXTS = { string = true, number = true, boolean = true, table = true }

--- Whether neither Postgres nor Notion holds a value.
local function is_unfit(value)
  return type(value) == "string" and value:find("\0", 1, true) ~= nil
    or math.type(value) == "float" and (value ~= value or value == math.huge or value == -math.huge)
end

--- Refuses what a function of the policy gave and the property does not hold: nothing could be
--- compared with it.
local function check_type(entity_policy, property, value)
  if is_unfit(value) or not (LUA_TYPES[property.type] or TEXTS)[type(value)] then
    local shown = type(value) == "string" and ("the text '%s'"):format(text.shown(value, 40))
      or type(value) == "number" and ("the number %s"):format(value) or "a " .. type(value)
    errors.raise { kind = "usage", code = "policy",
      message = ("property '%s' of %s is a %s, and was to show %s"):format(property.name, entity_policy.kind.plural,
        property.type, shown),
      hint = "Mend its write function in recipes/policy.lua" }
  end
end

--- The pages of what an entity is linked to; links to entities without a page are added to
--- those that are waited for.
local function pages_of(links, waiting, shown_types)
  local pages = json.array()
  for _, linked in ipairs(links) do
    if linked.page_id then
      pages[#pages + 1] = linked.page_id
    elseif not shown_types or shown_types[linked.type] then
      waiting[#waiting + 1] = linked
    end
  end
  return pages
end

--- What the properties of an entity's page should say, the one with ligase's id included.
--- Empty values are nil.
---@param entity_policy ligase.entity_policy
---@param entity ligase.mirrored_entity
---@param shown_types table<string, boolean>|nil the types that get pages; all without it. Links to others are left out
---@return table<string, any> wanted by name of the property
---@return ligase.linked_entity[] waiting what it is linked to and has no page yet
function M.wanted(entity_policy, entity, shown_types)
  local wanted, waiting = { [entity_policy.id_property] = entity.id }, {}
  for _, property in ipairs(entity_policy.properties) do
    local value
    if property.link then
      value = pages_of(entity.links[property.link] or {}, waiting, shown_types)
    else
      value = property.column and entity.row[property.column]
      value = value ~= null and value or nil
      if property.write then
        value = property.column and called(entity_policy, property, "write", value, entity)
          or not property.column and called(entity_policy, property, "write", entity)
      end
      if not is_empty(value) then
        check_type(entity_policy, property, value)
        value = TO_PROPERTY[property.type](value)
      end
    end
    wanted[property.name] = not is_empty(value) and value or nil
  end
  return wanted, waiting
end

-- ---- whether two values are the same ---------------------------------------

--- A page's id as it is compared: without hyphens, in small letters.
---@param id string
---@return string
function M.page_key(id)
  return (tostring(id):gsub("%-", ""):lower())
end

local function set_key(list, form)
  local keys, seen = {}, {}
  for _, item in ipairs(list) do
    local key = form(item)
    if not seen[key] then
      seen[key] = true
      keys[#keys + 1] = key
    end
  end
  table.sort(keys)
  return table.concat(keys, "\0")
end

--- A time as it is compared: to the millisecond, whatever zone it is written in. A day is no
--- time.
local function instant(value)
  local seconds = value:find ":" and instants.seconds(value)
  return seconds and ("%.3f"):format(seconds) or value
end

local function date_key(value)
  if type(value) ~= "table" then
    return instant(tostring(value))
  end
  local stop = value["end"]
  return instant(tostring(value.start)) .. (stop and stop ~= null and "/" .. instant(tostring(stop)) or "")
end

local function file_key(file)
  return type(file) == "table" and ("%s %s"):format(file.name or "", file.url or "") or tostring(file)
end

--- What two values of a type have in common exactly when they are the same.
local function key_of(property_type, value)
  if property_type == "relation" then
    return set_key(value, M.page_key)
  elseif property_type == "multi_select" then
    return set_key(value, tostring)
  elseif property_type == "files" then
    return set_key(value, file_key)
  elseif property_type == "date" then
    return date_key(value)
  elseif property_type == "number" then
    return ("%.17g"):format(value)
  end
  return tostring(value)
end

--- Whether two values of a property say the same: the order of options and relations does
--- not matter, and nothing, an empty text, an empty list and an unchecked box are one.
---@param property_type string
---@param a any
---@param b any
---@return boolean
function M.same(property_type, a, b)
  if is_empty(a) or is_empty(b) then
    return is_empty(a) and is_empty(b)
  end
  return key_of(property_type, a) == key_of(property_type, b)
end

--- The type of a property of the policy, the one with ligase's id included.
---@param entity_policy ligase.entity_policy
---@param name string
---@return string
function M.type_of(entity_policy, name)
  return name == entity_policy.id_property and "rich_text" or entity_policy.by_name[name].type
end

--- The names of all properties that the policy shows, in a fixed order, ligase's id last.
---@param entity_policy ligase.entity_policy
---@return string[]
function M.names(entity_policy)
  local names = {}
  for i, property in ipairs(entity_policy.properties) do
    names[i] = property.name
  end
  names[#names + 1] = entity_policy.id_property
  return names
end

--- The SHA-256 of what a page should say, or says: two pages that say the same have the same.
---@param entity_policy ligase.entity_policy
---@param said table<string, any> by name of the property; others than the policy's do not count
---@return string hexadecimal
function M.sha256(entity_policy, said)
  local parts = {}
  for _, name in ipairs(M.names(entity_policy)) do
    if not is_empty(said[name]) then
      parts[#parts + 1] = ("%s\0%s"):format(name, key_of(M.type_of(entity_policy, name), said[name]))
    end
  end
  return sys.sha256(table.concat(parts, "\1"))
end

---@class ligase.property_difference
---@field delivered any what was last delivered, json.null for nothing
---@field page any what the page says
---@field wanted any what it should say

local function or_null(value)
  return value == nil and null or value
end

--- Whether what a page says of a property is nobody's but Notion's: it only shows what ligase
--- reckons, and there ligase has nothing and never wrote anything, as of a dataset whose page is
--- older than its first revision.
---@param entity_policy ligase.entity_policy
---@param name string
---@param wanted any
---@param delivered any
---@return boolean
function M.is_notions_own(entity_policy, name, wanted, delivered)
  local property = entity_policy.by_name[name]
  return property ~= nil and is_empty(wanted) and is_empty(delivered) and not M.is_readable(entity_policy, property)
end

--- The properties in which a page does not say what it should, without those that are Notion's
--- own.
---@param entity_policy ligase.entity_policy
---@param wanted table<string, any>
---@param page table<string, any> what the page says
---@param delivered table<string, any>|nil what was last delivered
---@return table<string, ligase.property_difference> by name of the property
function M.differences(entity_policy, wanted, page, delivered)
  local found = {}
  delivered = delivered or {}
  for _, name in ipairs(M.names(entity_policy)) do
    if not M.same(M.type_of(entity_policy, name), wanted[name], page[name])
      and not M.is_notions_own(entity_policy, name, wanted[name], delivered[name]) then
      found[name] = { wanted = or_null(wanted[name]), page = or_null(page[name]),
        delivered = or_null(delivered[name]) }
    end
  end
  return found
end

---@class ligase.delivery_plan
---@field write table<string, any> what is to be written, json.null for what is to be emptied
---@field conflicts table<string, ligase.property_difference> what people changed
---@field baseline table<string, any> what was delivered for sure, or is known to have arrived
---@field seen table<string, any> what the page says of properties that are Notion's own
---@field replaced table<string, any> what was Notion's own so far, and gives way to a value that Postgres has now
---@field is_empty boolean nothing is to be written

--- What has to be written so that a page says what it should. Properties that people changed
--- since are conflicts, which are left out when `keep` says so. What was being written when
--- its outcome got lost is ours too. What is Notion's own stays.
---@param entity_policy ligase.entity_policy
---@param wanted table<string, any>
---@param page table<string, any> what the page says
---@param known {delivered: table, intended: table|nil, seen: table|nil} by name: what was last delivered; what was
--- being written, json.null for what was being emptied; what the page said that was Notion's own then
---@param keep boolean|nil
---@return ligase.delivery_plan
function M.plan(entity_policy, wanted, page, known, keep)
  local plan = { write = {}, conflicts = {}, baseline = {}, seen = {}, replaced = {} }
  local delivered, intended, seen = known.delivered, known.intended or {}, known.seen or {}
  for _, name in ipairs(M.names(entity_policy)) do
    local property_type = M.type_of(entity_policy, name)
    plan.baseline[name] = delivered[name]
    if intended[name] ~= nil and M.same(property_type, page[name], intended[name]) then
      plan.baseline[name] = page[name]
    end
    if M.is_notions_own(entity_policy, name, wanted[name], plan.baseline[name]) then
      plan.seen[name] = not is_empty(page[name]) and page[name] or nil
    elseif not M.same(property_type, wanted[name], page[name]) then
      local before = is_empty(plan.baseline[name]) and seen[name] or plan.baseline[name]
      local by_people = name ~= entity_policy.id_property and not M.same(property_type, page[name], before)
      if by_people then
        plan.conflicts[name] = { delivered = or_null(delivered[name]), page = or_null(page[name]),
          wanted = or_null(wanted[name]) }
      end
      if name ~= entity_policy.id_property and not by_people and is_empty(plan.baseline[name])
        and not is_empty(page[name]) then
        plan.replaced[name] = page[name]
      end
      if not (by_people and keep) then
        plan.write[name] = or_null(wanted[name])
      end
    end
  end
  plan.is_empty = next(plan.write) == nil
  return plan
end

-- ---- what a page says, as fields -------------------------------------------

local function back_option(value)
  return (tostring(value):gsub(";", ","))
end

--- The value of a column for what a property says, by the field's type.
local function from_property(property, field, value)
  if is_empty(value) then
    return null
  elseif property.type == "multi_select" then
    local terms = json.array()
    for i, option in ipairs(value) do
      terms[i] = back_option(option)
    end
    return field.type == "terms" and terms or table.concat(terms, "; ")
  elseif property.type == "select" or property.type == "status" then
    value = back_option(value)
    return field.type == "terms" and json.array { value } or value
  elseif property.type == "date" and type(value) == "table" then
    return value.start
  elseif math.type(value) == "float" and math.tointeger(value) and field.type ~= "number" then
    return math.tointeger(value)
  end
  return value
end

--- Whether what a property says can be taken into Postgres.
---@param entity_policy ligase.entity_policy
---@param property ligase.property_map
---@return boolean
function M.is_readable(entity_policy, property)
  if property.link then
    return true
  elseif not property.column then
    return property.read ~= nil
  end
  local field = entity_policy.kind.fields[property.column]
  return field ~= nil and property.column ~= "current_revision" and property.column ~= "component_count"
    and (property.read ~= nil or property.write == nil)
end

--- Puts what one property says among the fields.
local function take(entity_policy, property, value, ids_of_pages, fields, unknown)
  value = not is_empty(value) and value or nil
  if property.link then
    local ids = {}
    for _, page_id in ipairs(value or {}) do
      local id = ids_of_pages[M.page_key(page_id)]
      if id then
        ids[#ids + 1] = id
      else
        unknown[#unknown + 1] = { property = property.name, page_id = page_id }
      end
    end
    fields[property.link] = ids
  elseif property.read then
    local result = called(entity_policy, property, "read", value, fields)
    if property.column then
      fields[property.column] = or_null(result)
    end
  else
    fields[property.column] = from_property(property, entity_policy.kind.fields[property.column], value)
  end
end

--- What a page says, as fields and links of its entity, for ligase.store.entities. Properties
--- that only show what ligase reckons are left out.
---@param entity_policy ligase.entity_policy
---@param said table<string, any> by name of the property
---@param ids_of_pages table<string, string> ids of entities by their pages' ids without hyphens
---@param only table<string, any>|nil only the properties that are keys of it
---@return table<string, any> fields links as lists of ids
---@return {property: string, page_id: string}[] unknown pages referred to that are no entity's
function M.fields(entity_policy, said, ids_of_pages, only)
  local fields, unknown = {}, {}
  for _, property in ipairs(entity_policy.properties) do
    if M.is_readable(entity_policy, property) and not (only and only[property.name] == nil) then
      take(entity_policy, property, said[property.name], ids_of_pages, fields, unknown)
    end
  end
  return fields, unknown
end

--- A value for people, in a line of text.
---@param value any
---@return string
function M.shown(value)
  if is_empty(value) then
    return "nothing"
  end
  return type(value) == "string" and ("'%s'"):format(text.shown(value, 40)) or text.shown(as_text(value), 60)
end

return M
