--- Filters of queries: checked as Notion does, and made functions that say of a page whether
--- it is meant.
local failures = require "tests.standins.notion.failures"
local json = require "ligase.base.json"
local richtext = require "tests.standins.notion.richtext"
local schema = require "tests.standins.notion.schema"
local values = require "tests.standins.notion.values"

local M = {}

local MOST_NESTING, MOST_MEMBERS = 2, 100

-- ---- conditions ------------------------------------------------------------
-- Each makes, of the operand, a test of a value. The value is nil when the property is empty.

local function is_empty_test(is_empty, expected)
  return function(operand, path)
    if operand ~= true then
      failures.invalid_at(path, "`true`", operand)
    end
    return function(value) return is_empty(value) == expected end
  end
end

local function with_emptiness(conditions, is_empty)
  conditions.is_empty = is_empty_test(is_empty, true)
  conditions.is_not_empty = is_empty_test(is_empty, false)
  return conditions
end

local function checked(kind, test)
  return function(operand, path)
    if type(operand) ~= kind then
      failures.invalid_at(path, "a " .. kind, operand)
    end
    return test(operand)
  end
end

local function folded_test(matches, expected)
  return checked("string", function(operand)
    local wanted = operand:lower()
    return function(value) return matches((value or ""):lower(), wanted) == expected end
  end)
end

local function holds(text, part)
  return text:find(part, 1, true) ~= nil
end

local function starts(text, part)
  return text:sub(1, #part) == part
end

local function ends(text, part)
  return part == "" or text:sub(-#part) == part
end

local text = with_emptiness({
  equals = checked("string", function(operand)
    return function(value) return (value or "") == operand end
  end),
  does_not_equal = checked("string", function(operand)
    return function(value) return (value or "") ~= operand end
  end),
  contains = folded_test(holds, true), does_not_contain = folded_test(holds, false),
  starts_with = folded_test(starts, true), ends_with = folded_test(ends, true),
}, function(value) return value == nil or value == "" end)

local function is_nil(value)
  return value == nil
end

local function compared(compare)
  return checked("number", function(operand)
    return function(value) return value ~= nil and compare(value, operand) end
  end)
end

local number = with_emptiness({
  equals = compared(function(a, b) return a == b end),
  does_not_equal = checked("number", function(operand)
    return function(value) return value ~= operand end
  end),
  greater_than = compared(function(a, b) return a > b end),
  less_than = compared(function(a, b) return a < b end),
  greater_than_or_equal_to = compared(function(a, b) return a >= b end),
  less_than_or_equal_to = compared(function(a, b) return a <= b end),
}, is_nil)

local checkbox = {
  equals = checked("boolean", function(operand)
    return function(value) return (value == true) == operand end
  end),
  does_not_equal = checked("boolean", function(operand)
    return function(value) return (value == true) ~= operand end
  end),
}

local choice = with_emptiness({
  equals = checked("string", function(operand)
    return function(value) return value ~= nil and value.name == operand end
  end),
  does_not_equal = checked("string", function(operand)
    return function(value) return value == nil or value.name ~= operand end
  end),
}, is_nil)

local function members_of(name_of)
  local function contains(list, wanted)
    for _, item in ipairs(list or {}) do
      if name_of(item) == wanted then
        return true
      end
    end
    return false
  end
  return with_emptiness({
    contains = checked("string", function(operand)
      return function(value) return contains(value, operand) end
    end),
    does_not_contain = checked("string", function(operand)
      return function(value) return not contains(value, operand) end
    end),
  }, function(value) return value == nil or #value == 0 end)
end

-- ---- dates -----------------------------------------------------------------

local function days_from_civil(year, month, day)
  year = month <= 2 and year - 1 or year
  local era = year // 400
  local of_era = year - era * 400
  local of_year = (153 * (month + (month > 2 and -3 or 9)) + 2) // 5 + day - 1
  return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468
end

--- Seconds since 1970 of a date, and whether it names a whole day.
local function moment(raw, path)
  local year, month, day, rest = tostring(raw):match("^(%d%d%d%d)%-(%d%d)%-(%d%d)(.*)$")
  if type(raw) ~= "string" or not year then
    failures.invalid_at(path, "a valid ISO 8601 date string", raw)
  end
  local at = days_from_civil(tonumber(year), tonumber(month), tonumber(day)) * 86400
  if rest == "" then
    return at, true
  end
  local hour, minute, second, zone = rest:match("^[T ](%d%d):(%d%d):?(%d*%.?%d*)(.*)$")
  if not hour then
    failures.invalid_at(path, "a valid ISO 8601 date string", raw)
  end
  at = at + tonumber(hour) * 3600 + tonumber(minute) * 60 + (tonumber(second) or 0)
  local sign, zone_hour, zone_minute = zone:match("^([+-])(%d%d):?(%d%d)$")
  if sign then
    at = at - (sign == "-" and -1 or 1) * (tonumber(zone_hour) * 3600 + tonumber(zone_minute) * 60)
  end
  return at, false
end

--- A comparison with a day counts in days, one with a moment in seconds.
local function dated(compare)
  return function(operand, path)
    local wanted, is_day = moment(operand, path)
    return function(value)
      if value == nil then
        return false
      end
      local at = moment(value, path)
      return compare(is_day and at // 86400 * 86400 or at, wanted)
    end
  end
end

local date = with_emptiness({
  equals = dated(function(a, b) return a == b end), before = dated(function(a, b) return a < b end),
  after = dated(function(a, b) return a > b end), on_or_before = dated(function(a, b) return a <= b end),
  on_or_after = dated(function(a, b) return a >= b end),
}, is_nil)

-- ---- which conditions a property takes --------------------------------------

local function itself(value)
  return value
end

--- By type of property: the conditions, what they are named in a filter, and what of the
--- property's value they look at.
local KINDS = {
  title = { conditions = text, names = { "title", "rich_text" }, of = richtext.plain },
  rich_text = { conditions = text, names = { "rich_text", "text" }, of = richtext.plain },
  url = { conditions = text, names = { "url", "rich_text" }, of = itself },
  email = { conditions = text, names = { "email", "rich_text" }, of = itself },
  phone_number = { conditions = text, names = { "phone_number", "rich_text" }, of = itself },
  number = { conditions = number, names = { "number" }, of = itself },
  unique_id = { conditions = number, names = { "unique_id", "number" }, of = function(value) return value.number end },
  checkbox = { conditions = checkbox, names = { "checkbox" }, of = itself },
  select = { conditions = choice, names = { "select" }, of = itself },
  status = { conditions = choice, names = { "status" }, of = itself },
  multi_select = { conditions = members_of(function(item) return item.name end), names = { "multi_select" },
    of = itself },
  relation = { conditions = members_of(itself), names = { "relation" }, of = itself },
  people = { conditions = members_of(function(item) return item.id end), names = { "people" }, of = itself },
  files = { conditions = members_of(function(item) return item.name end), names = { "files" }, of = itself },
  date = { conditions = date, names = { "date" }, of = function(value) return value and value.start end },
  created_time = { conditions = date, names = { "created_time", "date" }, of = itself },
  last_edited_time = { conditions = date, names = { "last_edited_time", "date" }, of = itself },
}

--- What a page has in a property, as filters and sorts see it.
---@param page table
---@param property table
---@return any nil when it is empty
function M.value(page, property)
  local kind = KINDS[property.type]
  local value = page.values[property.id]
  if value == nil then
    value = values.computed(page, property)
  end
  return kind and kind.of(value)
end

-- ---- filters ---------------------------------------------------------------

local function condition_of(conditions, path, raw)
  if type(raw) ~= "table" or json.is_array(raw) or next(raw) == nil then
    failures.invalid_at(path, "an object", raw)
  end
  local name, operand = next(raw)
  if next(raw, name) ~= nil or not conditions[name] then
    local clauses, names = {}, {}
    for known in pairs(conditions) do
      names[#names + 1] = known
    end
    table.sort(names)
    for i, known in ipairs(names) do
      clauses[i] = failures.clause(path .. "." .. known, "defined", raw[known])
    end
    failures.invalid_forms(clauses)
  end
  return name, conditions[name](operand, path .. "." .. name), operand
end

local function timestamp_filter(path, raw)
  local name = raw.timestamp
  if name ~= "created_time" and name ~= "last_edited_time" then
    failures.invalid_at(path .. ".timestamp", '`"created_time"` or `"last_edited_time"`', name)
  end
  local _, test = condition_of(date, path .. "." .. name, raw[name])
  return { matches = function(page) return test(page[name]) end }
end

--- The name under which a filter gives its condition.
local function given_kind(raw)
  for name, value in pairs(raw) do
    if name ~= "property" and name ~= "type" and type(value) == "table" then
      return name
    end
  end
end

local function property_filter(source, path, raw)
  local property = type(raw.property) == "string" and schema.property(source, raw.property)
  if not property then
    failures.invalid("Could not find property with name or id: " .. tostring(raw.property))
  end
  local kind, given = KINDS[property.type], given_kind(raw)
  local named
  for _, name in ipairs(kind and kind.names or {}) do
    named = named or raw[name] ~= nil and name or nil
  end
  if not named then
    failures.invalid(("The property type in the database does not match the property type of the filter provided: "
      .. "database property %s does not match filter %s"):format(property.type, tostring(given)))
  end
  local operator, test, operand = condition_of(kind.conditions, path .. "." .. named, raw[named])
  local is_text = property.type == "title" or property.type == "rich_text"
  return { matches = function(page) return test(M.value(page, property)) end,
    look_up = is_text and operator == "equals" and { property = property, text = operand } or nil }
end

local read

local function group_filter(source, path, name, list, depth)
  if not json.is_array(list) then
    failures.invalid_at(path .. "." .. name, "an array", list)
  elseif depth == MOST_NESTING then
    failures.invalid_at(path .. "." .. name, "not present", list)
  end
  failures.check_length(path .. "." .. name, #list, MOST_MEMBERS)
  local members = {}
  for i, member in ipairs(list) do
    members[i] = read(source, ("%s.%s[%d]"):format(path, name, i - 1), member, depth + 1)
  end
  local expected = name == "or"
  local filter = { matches = function(page)
    for _, member in ipairs(members) do
      if member.matches(page) == expected then
        return expected
      end
    end
    return not expected
  end }
  for _, member in ipairs(name == "and" and members or {}) do
    filter.look_up = filter.look_up or member.look_up
  end
  return filter
end

function read(source, path, raw, depth)
  if type(raw) ~= "table" or json.is_array(raw) then
    failures.invalid_at(path, "an object", raw)
  elseif raw["and"] ~= nil then
    return group_filter(source, path, "and", raw["and"], depth)
  elseif raw["or"] ~= nil then
    return group_filter(source, path, "or", raw["or"], depth)
  elseif raw.timestamp ~= nil then
    return timestamp_filter(path, raw)
  elseif raw.property == nil then
    failures.invalid_forms { failures.clause(path .. ".or", "defined"), failures.clause(path .. ".and", "defined"),
      failures.clause(path .. ".property", "defined"), failures.clause(path .. ".timestamp", "defined") }
  end
  return property_filter(source, path, raw)
end

--- Reads a filter.
---@param source table the data source
---@param raw any
---@return table filter {matches = function(page), look_up = {property=, text=} or nil}: with
--- look_up, only pages with that text can match
function M.read(source, raw)
  return read(source, "body.filter", raw, 0)
end

return M
