--- Which wells are controls: declared by a campaign, a recipe or the command line as wells
--- (A1, A1:P2, column 23, row A) or as names (of compounds, or what stands in the column of
--- roles), or said by the file's own column of roles.
local errors = require "ligase.base.errors"
local text = require "ligase.base.text"
local wells = require "ligase.screening.wells"

local M = {}

--- The roles that people declare; a sample is what is none of them.
M.DECLARED = { "positive", "negative", "blank", "empty", "excluded" }

local IS_ROLE = { sample = true }
for _, role in ipairs(M.DECLARED) do
  IS_ROLE[role] = true
end

---@class ligase.control_map
---@field ranges {role: string, word: string, range: table, seen: boolean}[]
---@field names table<string, {role: string, word: string, seen: boolean}>
---@field by_well table<string, string|false> remembered
local Map = {}
Map.__index = Map

local function plain(word)
  return word:lower():match("^%s*(.-)%s*$")
end

local function refuse(message, hint)
  errors.raise { kind = "usage", code = "controls", message = message, hint = hint }
end

local function words_of(role, value)
  if type(value) == "string" then
    local words = {}
    for word in value:gmatch("[^,;|]+") do
      words[#words + 1] = word
    end
    return words
  elseif type(value) ~= "table" then
    refuse(("what is declared as %s controls is a %s"):format(role, type(value)), "List wells or names")
  end
  return value
end

--- A declaration in the form that is stored: lists of words by role. Raises "usage" for
--- what is none.
---@param declared table<string, string|string[]>
---@return table<string, string[]>
function M.checked(declared)
  local checked = {}
  for role, value in pairs(declared) do
    if not IS_ROLE[role] or role == "sample" then
      local near = text.nearest(tostring(role), M.DECLARED)
      refuse(("there are no '%s' controls"):format(text.printable(tostring(role))),
        (near and ("Did you mean '%s'? "):format(near) or "") .. "Roles: " .. table.concat(M.DECLARED, ", "))
    end
    local words = {}
    for _, word in ipairs(words_of(role, value)) do
      if type(word) ~= "string" then
        refuse(("a %s control is a %s, not a text"):format(role, type(word)), "List wells or names")
      end
      local clean = word:match("^%s*(.-)%s*$")
      words[#words + 1] = clean ~= "" and clean or nil
    end
    checked[role] = #words > 0 and words or nil
  end
  return checked
end

local function add_word(map, role, word)
  local range = wells.range(word)
  if range then
    for _, other in ipairs(map.ranges) do
      local apart = range.last_row < other.range.first_row or range.first_row > other.range.last_row
        or range.last_column < other.range.first_column or range.first_column > other.range.last_column
      if other.role ~= role and not apart then
        refuse(("the wells %s (%s) and %s (%s) overlap"):format(other.word, other.role, word, role),
          "Each well has one role")
      end
    end
    map.ranges[#map.ranges + 1] = { role = role, word = word, range = range, seen = false }
    return
  end
  local known = map.names[plain(word)]
  if known and known.role ~= role then
    refuse(("'%s' is declared both %s and %s"):format(text.printable(word), known.role, role), "It can be one of them")
  end
  map.names[plain(word)] = { role = role, word = word, seen = false }
end

--- A map of several declarations together.
---@param declarations table<string, string[]>[] from M.checked
---@return ligase.control_map
function M.map(declarations)
  local map = setmetatable({ ranges = {}, names = {}, by_well = {} }, Map)
  for _, declared in ipairs(declarations) do
    for _, role in ipairs(M.DECLARED) do
      for _, word in ipairs(declared[role] or {}) do
        add_word(map, role, word)
      end
    end
  end
  return map
end

--- The role of a well by its place.
---@param well string as ligase.screening.wells gives it
---@return string|nil
function Map:of_well(well)
  local known = self.by_well[well]
  if known == nil then
    local row, column = wells.place(well)
    known = false
    for _, entry in ipairs(self.ranges) do
      if wells.is_within(entry.range, row, column) then
        entry.seen, known = true, entry.role
      end
    end
    self.by_well[well] = known
  end
  return known or nil
end

--- The role of what is called by a name.
---@param name string
---@return string|nil
function Map:of_name(name)
  local entry = self.names[plain(name)]
  if entry then
    entry.seen = true
    return entry.role
  end
end

--- What was declared and never met.
---@return {role: string, word: string}[]
function Map:unseen()
  local list = {}
  for _, entry in ipairs(self.ranges) do
    list[#list + 1] = not entry.seen and { role = entry.role, word = entry.word } or nil
  end
  for _, entry in pairs(self.names) do
    list[#list + 1] = not entry.seen and { role = entry.role, word = entry.word } or nil
  end
  table.sort(list, function(a, b)
    return a.role < b.role or a.role == b.role and a.word < b.word
  end)
  return list
end

return M
