--- Options: one named table, validated once, where it enters. A misspelt option that
--- is silently ignored reads the wrong file without a word.
local errors = require "ligase.base.errors"
local text = require "ligase.base.text"

local M = {}

---@class ligase.OptionSpec
---@field type? string as type() says it, "integer" or "any"; several with "|" between
---@field default? any used when the option is nil
---@field required? boolean
---@field values? any[] the only values allowed
---@field min? number smallest value allowed
---@field max? number greatest value allowed

--- The line that called the function which has its options checked, as "file:line: ".
--- That function itself is gone from the stack when it ended in `return check(...)`.
local function caller_position()
  local level = 2
  local info = debug.getinfo(level, "ft")
  while info and info.func ~= M.check do
    level = level + 1
    info = debug.getinfo(level, "ft")
  end
  info = info and debug.getinfo(level + (info.istailcall and 1 or 2), "Sl")
  return info and info.currentline > 0 and ("%s:%d: "):format(info.short_src, info.currentline) or nil
end

local function refuse(where, message, hint)
  errors.raise { kind = "usage", code = "option", message = ("%s: %s"):format(where, message),
    hint = hint, where = caller_position() }
end

local function shown(value)
  return type(value) == "string" and ("'%s'"):format(text.shown(value, 60))
    or tostring(value)
end

local function sorted_names(spec)
  local names = {}
  for name in pairs(spec) do
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

--- The value as one of the wanted types has it (5.0 is a fine integer), or nil.
local function convert(value, wanted)
  for kind in wanted:gmatch "[^|]+" do
    if kind == "any" or type(value) == kind then
      return value
    elseif kind == "integer" and type(value) == "number" and math.tointeger(value) then
      return math.tointeger(value)
    end
  end
  return nil
end

local function contains(values, value)
  for _, allowed in ipairs(values) do
    if allowed == value then
      return true
    end
  end
  return false
end

local function check_value(name, given, rule, where)
  local wanted = rule.type or "any"
  local value = convert(given, wanted)
  if value == nil then
    refuse(where, ("option '%s' must be %s, not %s"):format(name, wanted:gsub("|", " or "), shown(given)))
  end
  if rule.values and not contains(rule.values, value) then
    local choices = {}
    for i, allowed in ipairs(rule.values) do
      choices[i] = shown(allowed)
    end
    refuse(where, ("option '%s' must be %s, not %s"):format(name, text.enumerate(choices), shown(value)))
  end
  if type(value) == "number"
    and (value ~= value or rule.min and value < rule.min or rule.max and value > rule.max) then
    local range = rule.min and rule.max and ("from %s to %s"):format(rule.min, rule.max)
      or rule.min and ("at least %s"):format(rule.min)
      or rule.max and ("at most %s"):format(rule.max) or "a number"
    refuse(where, ("option '%s' must be %s, not %s"):format(name, range, shown(value)))
  end
  return value
end

--- Checks a table of options and fills in the defaults. Raises "usage", at the line
--- of the caller's caller, for a key that is not in the spec (naming the nearest),
--- a wrong type, and a value out of range.
---@param options table? nil counts as empty
---@param spec table<string, ligase.OptionSpec>
---@param where string the function's name, for the message: "csv.frames"
---@return table checked a new table
function M.check(options, spec, where)
  if options ~= nil and type(options) ~= "table" then
    refuse(where, ("the options must be a table, not %s"):format(shown(options)))
  end
  local checked = {}
  for name, value in pairs(options or {}) do
    local rule = spec[name]
    if not rule then
      local names = sorted_names(spec)
      local nearest = text.nearest(tostring(name), names)
      local all = #names > 0 and "Options: " .. table.concat(names, ", ") or "It takes no options"
      refuse(where, ("unknown option %s"):format(shown(name)),
        nearest and ("Did you mean '%s'? %s"):format(nearest, all) or all)
    end
    checked[name] = check_value(name, value, rule, where)
  end
  for name, rule in pairs(spec) do
    if checked[name] == nil then
      if rule.required then
        refuse(where, ("option '%s' is missing"):format(name))
      end
      checked[name] = rule.default
    end
  end
  return checked
end

return M
