--- Effects between two groups of samples: the difference of the means of log2 values.
---
--- A value that is not above 0 has no logarithm and counts as missing; a feature needs a value
--- in each group. Which samples are in a group is said by their annotations or by their
--- names, never guessed.
local errors = require "ligase.base.errors"
local host = require "host"
local sets = require "sets"
local text = require "ligase.base.text"

local M = {}

local null = host.null

--- The groups in "case/control".
---@param contrast string
---@return string|nil case
---@return string|nil control
function M.split(contrast)
  local case, control = contrast:match "^%s*([^/]-)%s*/%s*([^/]-)%s*$"
  if not case or case == "" or control == "" then
    return nil
  end
  return case, control
end

local function places_with(samples, attribute, value)
  local places = {}
  for i, sample in ipairs(samples) do
    if sample.attributes[attribute] == value then
      places[#places + 1] = i
    end
  end
  return places
end

--- The samples whose annotation has that value: their group first, else the one attribute
--- that has it.
local function by_attribute(samples, value)
  local found, attributes, seen = nil, {}, {}
  for _, sample in ipairs(samples) do
    for attribute, its_value in pairs(sample.attributes) do
      if its_value == value and not seen[attribute] then
        seen[attribute] = true
        attributes[#attributes + 1] = attribute
      end
    end
  end
  table.sort(attributes)
  if seen.group then
    found = "group"
  elseif #attributes == 1 then
    found = attributes[1]
  elseif #attributes > 1 then
    errors.raise { kind = "usage", code = "contrast", message = ("'%s' is a value of %d attributes of samples: %s")
      :format(text.printable(value), #attributes, table.concat(attributes, ", ")),
      hint = "Name the samples instead, with commas between" }
  end
  return found and places_with(samples, found, value) or nil
end

--- The samples in a list of names with commas between; nil when one of them is none.
local function by_names(samples, value)
  local place_of, places = {}, {}
  for i, sample in ipairs(samples) do
    place_of[sample.name] = i
  end
  for name in value:gmatch "[^,]+" do
    local place = place_of[name:match "^%s*(.-)%s*$"]
    if not place then
      return nil
    end
    places[#places + 1] = place
  end
  return places
end

local function known_groups(samples, declared)
  local names, seen = {}, {}
  local function add(name)
    if not seen[name] then
      seen[name] = true
      names[#names + 1] = name
    end
  end
  for name in pairs(declared) do
    add(name)
  end
  for _, sample in ipairs(samples) do
    for _, value in pairs(sample.attributes) do
      add(value)
    end
  end
  table.sort(names)
  return names
end

local function group_of(samples, declared, value)
  local listed = declared[value] and by_names(samples, table.concat(declared[value], ","))
  local places = by_attribute(samples, value) or listed or by_names(samples, value)
  if places and #places > 0 then
    return places
  end
  local known = known_groups(samples, declared)
  local near = text.nearest(value, known)
  local names = {}
  for i, sample in ipairs(samples) do
    names[i] = sample.name
  end
  errors.raise { kind = "usage", code = "contrast",
    message = ("no sample is in a group '%s'"):format(text.printable(value)),
    hint = (near and ("Did you mean '%s'? "):format(near) or "") .. (#known > 0 and "Groups: "
      .. table.concat(known, ", ", 1, math.min(#known, 12)) or "The samples have no annotations (ligase ingest "
      .. "--samples FILE); name them, with commas between: " .. table.concat(names, ", ", 1, math.min(#names, 6))) }
end

--- The places of the samples of both groups.
---@param samples {name: string, attributes: table<string, string>}[]
---@param declared table<string, string[]> groups that the experiment declares, by name
---@param contrast string "case/control"
---@return {case: integer[], control: integer[]}
function M.groups(samples, declared, contrast)
  local case, control = M.split(contrast)
  if not case then
    errors.raise { kind = "usage", code = "contrast", message = ("'%s' is no contrast"):format(
      text.printable(contrast)), hint = "Give the name of one, or two groups: case/control" }
  end
  local groups = { case = group_of(samples, declared, case), control = group_of(samples, declared, control) }
  local is_case = {}
  for _, place in ipairs(groups.case) do
    is_case[place] = true
  end
  for _, place in ipairs(groups.control) do
    if is_case[place] then
      errors.raise { kind = "usage", code = "contrast", message = ("the sample '%s' is in both groups"):format(
        text.printable(samples[place].name)), hint = "A sample is in one group or the other" }
    end
  end
  return groups
end

--- A mean of logarithms, or of values that are logarithms already.
local function mean_log2(row, places, is_log2)
  local sum, count = 0.0, 0
  for _, place in ipairs(places) do
    local value = row[place]
    if value and value ~= null and value == value then
      if is_log2 then
        sum, count = sum + value, count + 1
      elseif value > 0 and value < math.huge then
        sum, count = sum + sets.log2(value), count + 1
      end
    end
  end
  return count > 0 and sum / count or nil
end

local function has_negative(matrix)
  for _, row in ipairs(matrix.rows) do
    for i = 1, #matrix.samples do
      local value = row[i]
      if value and value ~= null and value < 0 then
        return true
      end
    end
  end
  return false
end

--- The effects of a contrast between groups, one for each row of a matrix.
---@param matrix ligase.score_matrix
---@param groups {case: integer[], control: integer[]}
---@param scale string "linear" or "log2"
---@return (number|userdata)[] effects host.null where a group has no value
function M.between(matrix, groups, scale)
  if scale == "linear" and has_negative(matrix) then
    errors.raise { kind = "input", code = "scale", message = ("the values of '%s' include negative ones, which have no "
      .. "logarithm"):format(text.printable(matrix.dataset)),
      hint = "If they are logarithms to base 2 already, say --scale log2" }
  end
  local effects = {}
  for i, row in ipairs(matrix.rows) do
    local case = mean_log2(row, groups.case, scale == "log2")
    local control = case and mean_log2(row, groups.control, scale == "log2")
    effects[i] = control and case - control or null
  end
  return effects
end

return M
