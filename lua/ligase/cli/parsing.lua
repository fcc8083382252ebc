--- The words after a command's name: options and arguments, and complaints about
--- them in our own form (which word, what it should be, the nearest valid one).
local argparse = require "argparse"
local errors = require "ligase.base.errors"
local text = require "ligase.base.text"

local M = {}

local HELP_WIDTH = 100

-- ---- values ----------------------------------------------------------------

local function refuse(message, hint)
  errors.raise { kind = "usage", code = "value", message = message, hint = hint }
end

local function shown(word)
  return ("'%s'"):format(text.shown(word, 60))
end

--- A converter that takes one of the words; the nearest one is suggested.
---@param what string what the word is, for messages: "--format", "the action"
---@param words string[]
---@return fun(word: string): string
function M.one_of(what, words)
  return function(given)
    for _, word in ipairs(words) do
      if word == given then
        return word
      end
    end
    local near = #given > 1 and text.nearest(given, words)
    refuse(("%s cannot be %s"):format(what, shown(given)),
      (near and ("Did you mean '%s'? "):format(near) or "") .. "It is one of: " .. table.concat(words, " "))
  end
end

--- A converter that takes a whole number.
---@param what string
---@param min integer the smallest allowed
---@return fun(word: string): integer
function M.whole_number(what, min)
  return function(given)
    local number = given:find("^[+-]?%d+$") and math.tointeger(tonumber(given))
    if not number or number < min then
      refuse(("%s cannot be %s"):format(what, shown(given)), ("It is a whole number, %d or more"):format(min))
    end
    return number
  end
end

--- A converter that takes a number from 0 to 1.
---@param what string
---@return fun(word: string): number
function M.fraction(what)
  return function(given)
    local number = given:find("^[%d.]+[eE]?[+-]?%d*$") and tonumber(given)
    if not number or number < 0 or number > 1 then
      refuse(("%s cannot be %s"):format(what, shown(given)), "It is a number from 0 to 1")
    end
    return number + 0.0
  end
end

--- A converter that takes a number that is not negative.
---@param what string
---@return fun(word: string): number
function M.amount(what)
  return function(given)
    local number = given:find("^[%d.]+[eE]?[+-]?%d*$") and tonumber(given)
    if not number or number == math.huge then
      refuse(("%s cannot be %s"):format(what, shown(given)), "It is a number, 0 or more")
    end
    return number + 0.0
  end
end

--- A converter that takes text which Postgres can keep as a name.
---@param what string
---@return fun(word: string): string
function M.name(what)
  return function(given)
    if not given:find("%S") then
      refuse(what .. " is empty", "Give it a name, or leave it out")
    elseif not utf8.len(given) or given:find("%c") then
      refuse(("%s cannot be %s"):format(what, shown(given)), "A name is UTF-8 text without control characters")
    end
    return given
  end
end

--- A converter that takes one character, or one of the words that stand for one.
---@param what string
---@param words table<string, any> by word
---@return fun(word: string): any
function M.character(what, words)
  return function(given)
    if words[given] ~= nil then
      return words[given]
    elseif not given:find("^[\t -~]$") then
      local names = {}
      for word in pairs(words) do
        names[#names + 1] = word
      end
      table.sort(names)
      refuse(("%s cannot be %s"):format(what, shown(given)), "It is one character"
        .. (#names > 0 and (", or a word: " .. table.concat(names, " ")) or ""))
    end
    return given
  end
end

-- ---- complaints ------------------------------------------------------------

local function option_names(parser)
  local names = {}
  for _, option in ipairs(parser._options) do
    for _, alias in ipairs(option._aliases) do
      names[#names + 1] = alias
    end
  end
  return names
end

local function unknown_option(parser, option)
  local near = #option > 2 and text.nearest(option, option_names(parser))
  return ("there is no option '%s'"):format(text.printable(option)), near and ("Did you mean '%s'? "):format(near)
    or option:find("^%-%-") and "" or "A value that begins with - is written --option=VALUE. "
end

--- Says in our form what argparse complains about.
local function complaint(parser, command, message)
  local option = message:match("^unknown option '(.-)'\n") or message:match("^unknown option '(.*)'$")
  if option then
    return unknown_option(parser, option)
  end
  local missing = message:match("^missing argument '(.-)'$")
  if missing then
    return missing .. " is missing", ""
  end
  option = message:match("^option '(.-)' requires an argument$")
  if option then
    return ("%s needs a value"):format(option), ""
  end
  option = message:match("^option '(.-)' does not take arguments$")
  if option then
    return ("%s takes no value"):format(option), ""
  end
  if message == "too many arguments" then
    return "there are more words than the command takes", command.surplus and command.surplus .. ". " or ""
  end
  return (message:gsub("%s*\n%s*", ". ")), ""
end

--- A parser for one command.
---@param command table its module: description, example, configure
---@param name string
---@return table parser argparse's
function M.parser(command, name)
  local parser = argparse("ligase " .. name, command.description, "Example:\n" .. command.example)
  parser:add_help(false)
  parser:help_max_width(HELP_WIDTH)
  parser:usage_max_width(HELP_WIDTH)
  parser.error = function(_, said)
    local message, advice = complaint(parser, command, said)
    errors.raise { kind = "usage", code = "usage", message = message,
      hint = ("%sSee: ligase %s --help"):format(advice, name) }
  end
  command.configure(parser)
  parser:flag("-h --help", "Print this and stop.")
  return parser
end

return M
