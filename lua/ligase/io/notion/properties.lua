--- The values of Notion's properties, both ways: what a page shows becomes a plain value of
--- Lua, and a plain value becomes what a page takes.
---
--- | type | value in Lua |
--- |---|---|
--- | title, rich_text, url, email, phone_number | string |
--- | number | integer or float |
--- | select, status | the option's name |
--- | multi_select | list of names |
--- | relation | list of page ids |
--- | checkbox | boolean |
--- | date | "2026-01-31", "2026-01-31T10:00:00Z", or {start=, end=, time_zone=} |
--- | files | list of {name=, url=} |
---
--- Nil (or json.null) is the empty value of each.
local json = require "ligase.base.json"
local limits = require "ligase.io.notion.limits"
local rich_text = require "ligase.io.notion.rich_text"
local text = require "ligase.base.text"

local M = {}

local null = json.null

-- ---- writing ---------------------------------------------------------------

local function shown(value)
  return type(value) == "string" and ("'%s'"):format(text.shown(value, 40)) or tostring(value)
end

local function refuse_value(about, wanted, value)
  limits.refuse("value", ("%s takes %s, not %s"):format(about, wanted, shown(value)),
    "Correct the value, or the function of the policy that makes it")
end

local function need(about, value, wanted_type, wanted)
  if type(value) ~= wanted_type then
    refuse_value(about, wanted, value)
  end
  return value
end

local function rich_text_value(value, about)
  if math.type(value) then
    value = tostring(value)
  end
  local items = rich_text.fit(type(value) == "table" and value or need(about, value, "string", "a text"))
  if #items > limits.RICH_TEXTS then
    local length = limits.length(rich_text.plain(items))
    limits.refuse("limit", ("%s holds %s characters in %d pieces, and Notion takes %d of up to %s"):format(about,
      text.number(length), #items, limits.RICH_TEXTS, text.number(limits.TEXT_LENGTH)),
      "Keep the text in the page's body instead, which has no such limit")
  end
  return json.array(items)
end

local function option_name(value, about)
  need(about, value, "string", "the name of an option")
  if value:find(",", 1, true) then
    limits.refuse("value", ("%s: the name of an option cannot hold a comma: %s"):format(about, shown(value)),
      "Let the policy write it without, for example with ';' or as a text property")
  elseif not value:find("%S") then
    refuse_value(about, "the name of an option", "an empty text")
  elseif limits.length(value) > limits.OPTION_LENGTH then
    limits.refuse("limit", ("%s: the name of an option is longer than %d characters: %s"):format(about,
      limits.OPTION_LENGTH, shown(value)), "Use a text property, or shorter names")
  end
  return { name = value }
end

--- A list of the value's items, each made by `make` and each only once.
local function list_value(value, about, most, what, make)
  need(about, value, "table", "a list of " .. what)
  local list, seen = json.array(), {}
  for _, item in ipairs(value) do
    local made = make(item, about)
    local key = made.name or made.id
    if not seen[key] then
      seen[key] = true
      list[#list + 1] = made
    end
  end
  if #list > most then
    limits.refuse("limit", ("%s has %d %s, and Notion takes %d in one property"):format(about, #list, what, most),
      "No further request can add the rest: let recipes/policy.lua show them in a rich_text property")
  end
  return list
end

local UUID = "%f[%x]" .. ("%x"):rep(8) .. ("%-" .. ("%x"):rep(4)):rep(3) .. "%-" .. ("%x"):rep(12) .. "$"
local DIGITS = "%f[%x]" .. ("%x"):rep(32) .. "$"

--- A page's or database's id in the form that Notion answers with, or nil. Links, which end in
--- a title and the id, are taken too.
---@param given string
---@return string|nil id with dashes, in small letters
function M.id(given)
  local last = given:gsub("[?#].*$", ""):gsub("/+$", ""):match("[^/]*$"):lower()
  local id = (last:match(UUID) or last:match(DIGITS) or ""):gsub("-", "")
  if id == "" then
    return nil
  end
  return ("%s-%s-%s-%s-%s"):format(id:sub(1, 8), id:sub(9, 12), id:sub(13, 16), id:sub(17, 20), id:sub(21))
end

local function page_reference(value, about)
  local id = M.id(need(about, value, "string", "the id of a page"))
  if not id then
    refuse_value(about, "the id of a page", value)
  end
  return { id = id }
end

local DATE = "^%d%d%d%d%-%d%d%-%d%d$"
local TIME = "^%d%d%d%d%-%d%d%-%d%d[T ]%d%d:%d%d"

local function date_text(value, about)
  need(about, value, "string", "a date")
  if not (value:find(DATE) or value:find(TIME)) then
    refuse_value(about, "a date such as 2026-01-31 or 2026-01-31T10:00:00Z", value)
  end
  return (value:gsub("^(%d+%-%d+%-%d+) ", "%1T"))
end

local function date_value(value, about)
  if type(value) ~= "table" then
    return { start = date_text(value, about) }
  end
  local function given(field)
    local part = value[field]
    return part ~= null and part or nil
  end
  return { start = date_text(given "start", about), ["end"] = given "end" and date_text(given "end", about),
    time_zone = given "time_zone" }
end

local function url_value(value, about)
  need(about, value, "string", "an address")
  if limits.length(value) > limits.URL_LENGTH then
    limits.refuse("limit", ("%s: an address of %d characters is longer than the %d that Notion takes"):format(about,
      limits.length(value), limits.URL_LENGTH), "Shorten it, or use a text property")
  end
  return value ~= "" and value or null
end

local MOST_EXACT = 1 << 53

local function number_value(value, about)
  if not math.type(value) or value ~= value or value == math.huge or value == -math.huge then
    refuse_value(about, "a number", value)
  elseif math.type(value) == "integer" and (value > MOST_EXACT or value < -MOST_EXACT) then
    limits.refuse("value", ("%s: Notion's numbers cannot hold %d exactly"):format(about, value),
      "Use a text property for it")
  end
  return value
end

local function file_reference(value, about)
  need(about, value, "table", "files as {name, url}")
  local url = url_value(value.url, about)
  local name = value.name or value.url
  if limits.length(name) > limits.OPTION_LENGTH then
    limits.refuse("limit", ("%s: the name of a file is longer than %d characters: %s"):format(about,
      limits.OPTION_LENGTH, shown(name)), "Give it a shorter name")
  end
  return { name = name, type = "external", external = { url = url } }
end

local writers = {
  title = rich_text_value,
  rich_text = rich_text_value,
  number = number_value,
  select = option_name,
  status = option_name,
  multi_select = function(value, about)
    return list_value(value, about, limits.OPTIONS, "options", option_name)
  end,
  relation = function(value, about)
    return list_value(value, about, limits.RELATIONS, "relations", page_reference)
  end,
  url = url_value,
  email = url_value,
  phone_number = url_value,
  checkbox = function(value, about)
    return need(about, value, "boolean", "true or false")
  end,
  date = date_value,
  files = function(value, about)
    return list_value(value, about, limits.CHILDREN, "files", file_reference)
  end,
}

--- What the property of a type is when it is empty.
local function empty_value(kind)
  if kind == "checkbox" then
    return false
  elseif kind == "title" or kind == "rich_text" or kind == "multi_select" or kind == "relation" or kind == "files" then
    return json.array()
  end
  return null
end

--- Whether a property of that type can be written.
---@param kind string
---@return boolean
function M.is_writable(kind)
  return writers[kind] ~= nil
end

--- A value as a page takes it. Raises "notion" ("value" or "limit", outcome "not_sent") for what
--- the type does not hold.
---@param kind string the property's type
---@param value any nil or json.null empties it
---@param name? string the property, for messages
---@return table property
function M.write(kind, value, name)
  local about = name and ("property '%s' (%s)"):format(name, kind) or ("a property of type " .. kind)
  local writer = writers[kind]
  if not writer then
    limits.refuse("value", about .. " is read-only", "Map the column to a property of another type")
  end
  if value == nil or value == null then
    return { [kind] = empty_value(kind) }
  end
  return { [kind] = writer(value, about) }
end

-- ---- reading ---------------------------------------------------------------

local function present(value)
  if value ~= null then
    return value
  end
end

local function person(value)
  value = present(value)
  return value and { id = value.id, name = present(value.name),
    email = type(value.person) == "table" and present(value.person.email) or nil }
end

local function each(list, make)
  local made = json.array()
  for i, item in ipairs(list) do
    made[i] = make(item)
  end
  return made
end

local function option(value)
  value = present(value)
  return value and value.name
end

local function date(value)
  value = present(value)
  if not value then
    return nil
  end
  local stop, zone = present(value["end"]), present(value.time_zone)
  if not stop and not zone then
    return value.start
  end
  return { start = value.start, ["end"] = stop, time_zone = zone }
end

local function file(value)
  local place = value.external or value.file or {}
  return { name = present(value.name), url = place.url }
end

local readers

--- The value within a formula or rollup, which names its own type.
local function typed(value)
  value = present(value)
  local reader = value and readers[value.type]
  if reader and value[value.type] ~= nil then
    return reader(value[value.type])
  end
end

local function rollup(value)
  if value.type == "array" then
    return each(value.array, function(item)
      local read = M.read(item)
      return read == nil and null or read
    end)
  end
  return typed(value)
end

local function unique_id(value)
  value = present(value)
  local number = value and present(value.number)
  if not number then
    return nil
  end
  local prefix = present(value.prefix)
  return (prefix and prefix .. "-" or "") .. tostring(number)
end

readers = {
  title = rich_text.plain,
  rich_text = rich_text.plain,
  number = present,
  string = present, -- of a formula
  boolean = present,
  select = option,
  status = option,
  multi_select = function(list) return each(list, option) end,
  relation = function(list) return each(list, function(item) return item.id end) end,
  url = present,
  email = present,
  phone_number = present,
  checkbox = present,
  date = date,
  files = function(list) return each(list, file) end,
  people = function(list) return each(list, person) end,
  created_by = person,
  last_edited_by = person,
  created_time = present,
  last_edited_time = present,
  formula = typed,
  rollup = rollup,
  unique_id = unique_id,
  verification = function(value) value = present(value) return value and value.state end,
}

--- The value of a property as a page shows it; nil when it is empty or of a type without
--- a value (a button).
---@param property table
---@return any
function M.read(property)
  local reader, value = readers[property.type], property[property.type]
  if reader and value ~= nil then
    return reader(value)
  end
end

--- The values of all properties of a page, by name.
---@param page table
---@return table<string, any>
function M.read_all(page)
  local values = {}
  for name, property in pairs(page.properties) do
    values[name] = M.read(property)
  end
  return values
end

--- The title of a page, whatever its property is called.
---@param page table
---@return string "" when it has none
function M.title(page)
  for _, property in pairs(page.properties or {}) do
    if property.type == "title" then
      return rich_text.plain(property.title)
    end
  end
  return ""
end

return M
