--- JSON, the one module that reads and writes it.
---
--- It is written here and not borrowed, because what goes through it must come back
--- the same: 5 stays an integer and 5.0 a float, 64-bit ids keep every digit, an
--- empty array stays one. What JSON cannot say, or two readers would understand
--- differently, is refused with its place.
local errors = require "ligase.base.errors"
local host = require "host"

local M = {}

--- JSON's null, the same value as host.null and pg.null.
M.null = host.null

local MAX_BYTES = 8 << 20
local MAX_DEPTH = 64

--- The metatable that marks arrays; decoded arrays carry it.
M.array_metatable = { __name = "ligase.json.array" }
local array_metatable = M.array_metatable

--- Marks a table as an array, which only an empty one needs: without the mark it is
--- written as {}.
---@param t? table a new one without it
---@return table t the same table
function M.array(t)
  return setmetatable(t or {}, array_metatable)
end

--- Whether a table is marked as an array.
---@param t any
---@return boolean
function M.is_array(t)
  return type(t) == "table" and getmetatable(t) == array_metatable
end

-- Decoding ------------------------------------------------------------------

local byte, find, sub = string.byte, string.find, string.sub
local ESCAPED = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", ['"'] = '"', ["\\"] = "\\", ["/"] = "/" }

-- What the parser raises inside itself: message and place, made into an error once.
local function fail(at, message)
  error({ at = at, message = message }, 0)
end

local function what_is_at(text, at)
  local found = text:match("^[%w_+.-]+", at) or text:match("^" .. utf8.charpattern, at)
  if found == "" or not found then
    return "the end"
  end
  return ("'%s'"):format(found:sub(1, 20):gsub("%c", "?"))
end

local function code_unit(text, at)
  local digits = text:match("^\\u(%x%x%x%x)", at)
  return digits and tonumber(digits, 16)
end

--- The string whose quote opens at `from`; returns it and where the text goes on.
local function read_string(text, from)
  local stop = find(text, '"', from + 1, true)
  if not stop then
    fail(from, "the string is never closed")
  end
  local plain_text = sub(text, from + 1, stop - 1)
  if not find(plain_text, "[\\%c]") then
    return plain_text, stop + 1
  end
  stop = find(text, '[%z\1-\31\\"]', from + 1)
  local parts, start = {}, from + 1
  while true do
    local c = byte(text, stop)
    parts[#parts + 1] = sub(text, start, stop - 1)
    if c == 34 then
      return table.concat(parts), stop + 1
    elseif c ~= 92 then
      fail(stop, "a control character must be escaped in a string")
    end
    local plain = ESCAPED[sub(text, stop + 1, stop + 1)]
    if plain then
      parts[#parts + 1] = plain
      start = stop + 2
    else
      local code = code_unit(text, stop)
      start = stop + 6
      if not code then
        fail(stop, "not an escape of JSON")
      elseif code >= 0xD800 and code < 0xE000 then
        local low = code < 0xDC00 and code_unit(text, start)
        if not low or low < 0xDC00 or low >= 0xE000 then
          fail(stop, "half of a surrogate pair")
        end
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)
        start = start + 6
      end
      parts[#parts + 1] = utf8.char(code)
    end
    stop = find(text, '[%z\1-\31\\"]', start)
    if not stop then
      fail(from, "the string is never closed")
    end
  end
end

local function read_number(text, from)
  local _, stop = find(text, "^-?%d+", from)
  if not stop then
    fail(from, "expected a value, found " .. what_is_at(text, from))
  end
  if stop > from and find(text, "^-?0%d", from) then
    fail(from, "a number cannot begin with 0")
  end
  local after = byte(text, stop + 1)
  if (after == 44 or after == 93 or after == 125) and stop - from < 18 then
    return tonumber(sub(text, from, stop)), stop + 1 -- the common case: few digits, then , ] or }
  end
  local _, fraction = find(text, "^%.%d+", stop + 1)
  local _, exponent = find(text, "^[eE][+-]?%d+", (fraction or stop) + 1)
  local last = exponent or fraction or stop
  if find(text, "^[%w_.]", last + 1) then
    fail(from, ("not a number of JSON: %s"):format(what_is_at(text, from)))
  end
  local value = tonumber(sub(text, from, last))
  if last == stop and math.type(value) ~= "integer" then
    fail(from, "the integer does not fit 64 bits; such ids travel as strings")
  elseif value == math.huge or value == -math.huge then
    fail(from, "the number is too large for a float")
  end
  return value, last + 1
end

local LITERALS = { t = { "true", true }, f = { "false", false }, n = { "null", M.null } }

local function read_literal(text, from)
  local literal = LITERALS[sub(text, from, from)]
  local word = text:match("^[%a_][%w_]*", from)
  if literal and word == literal[1] then
    return literal[2], from + #word
  end
  return read_number(text, from)
end

local read_value

local function skip(text, from)
  local c = byte(text, from)
  if c and c > 32 then
    return from
  end
  return find(text, "[^ \n\r\t]", from) or #text + 1
end

local function read_array(text, from, room)
  local items, count = setmetatable({}, array_metatable), 0
  local at = skip(text, from + 1)
  if byte(text, at) == 93 then
    return items, at + 1
  end
  while true do
    count = count + 1
    items[count], at = read_value(text, at, room)
    at = skip(text, at)
    local c = byte(text, at)
    if c == 93 then
      return items, at + 1
    elseif c ~= 44 then
      fail(at, "expected ',' or ']' in an array, found " .. what_is_at(text, at))
    end
    at = skip(text, at + 1)
  end
end

local function read_object(text, from, room)
  local members = {}
  local at = skip(text, from + 1)
  if byte(text, at) == 125 then
    return members, at + 1
  end
  while true do
    if byte(text, at) ~= 34 then
      fail(at, "expected the name of a member, found " .. what_is_at(text, at))
    end
    local name, after = read_string(text, at)
    if members[name] ~= nil then
      fail(at, ("the object has two members '%s'"):format(name:sub(1, 60)))
    end
    at = skip(text, after)
    if byte(text, at) ~= 58 then
      fail(at, "expected ':' after a member's name, found " .. what_is_at(text, at))
    end
    members[name], at = read_value(text, skip(text, at + 1), room)
    at = skip(text, at)
    local c = byte(text, at)
    if c == 125 then
      return members, at + 1
    elseif c ~= 44 then
      fail(at, "expected ',' or '}' in an object, found " .. what_is_at(text, at))
    end
    at = skip(text, at + 1)
  end
end

function read_value(text, at, room)
  local c = byte(text, at)
  if c == 34 then
    return read_string(text, at)
  elseif c == 123 or c == 91 then
    if room == 0 then
      fail(at, "nested too deeply")
    end
    return (c == 123 and read_object or read_array)(text, at, room - 1)
  elseif c and (c == 45 or c >= 48 and c <= 57) then
    return read_number(text, at)
  end
  return read_literal(text, at)
end

local function read_document(text, max_depth)
  local size, bad = utf8.len(text)
  if not size then
    fail(bad, "the text is not UTF-8")
  end
  local value, at = read_value(text, skip(text, 1), max_depth)
  at = skip(text, at)
  if at <= #text then
    fail(at, "expected the end, found " .. what_is_at(text, at))
  end
  return value
end

---@class ligase.JsonDecodeOptions
---@field max_bytes? integer larger texts are refused; 8 MiB without it
---@field max_depth? integer of arrays and objects in each other; 64 without it
---@field file? string where the text comes from, for messages

--- Reads a JSON text. Integers become integers, other numbers floats, null json.null,
--- arrays tables marked as such. Raises "input" with the byte (from 1) for anything
--- that is not JSON (RFC 8259), for invalid UTF-8, members named twice, integers
--- beyond 64 bits and floats beyond double precision.
---@param text string
---@param options? ligase.JsonDecodeOptions
---@return any
function M.decode(text, options)
  if type(text) ~= "string" then
    errors.raise({ kind = "usage", code = "json",
      message = ("json.decode needs a string, not a %s"):format(type(text)) }, 2)
  end
  options = options or {}
  local max_bytes = options.max_bytes or MAX_BYTES
  if #text > max_bytes then
    errors.raise { kind = "input", code = "json", file = options.file,
      message = ("invalid JSON: %d bytes are more than the %d allowed"):format(#text, max_bytes) }
  end
  local read, value = pcall(read_document, text, options.max_depth or MAX_DEPTH)
  if read then
    return value
  elseif type(value) ~= "table" or not value.at then
    error(value, 0)
  end
  errors.raise { kind = "input", code = "json", file = options.file, byte = value.at,
    message = ("invalid JSON at byte %d: %s"):format(value.at, value.message) }
end

-- Encoding ------------------------------------------------------------------

local ESCAPES = { ['"'] = '\\"', ["\\"] = "\\\\", ["\b"] = "\\b", ["\f"] = "\\f", ["\n"] = "\\n",
  ["\r"] = "\\r", ["\t"] = "\\t" }
for code = 0, 31 do
  local c = string.char(code)
  ESCAPES[c] = ESCAPES[c] or ("\\u%04x"):format(code)
end

local SMALLEST_NORMAL = 0x1p-1022

--- "$.columns[3].name": where in the value we are.
local function path_text(path, depth)
  local parts = { "$" }
  for i = 1, depth do
    local key = path[i]
    parts[i + 1] = type(key) == "number" and ("[%d]"):format(key)
      or tostring(key):find("^[%a_][%w_]*$") and "." .. key or ("[%q]"):format(tostring(key))
  end
  return table.concat(parts)
end

local function refuse(state, depth, message, at)
  fail(at, ("cannot write %s as JSON: %s"):format(path_text(state.path, depth), message))
end

local function write_string(state, s, depth)
  if not find(s, "[^ !#-%[%]-~]") then
    return '"' .. s .. '"'
  end
  local size, bad = utf8.len(s)
  if not size then
    refuse(state, depth, ("the string is not UTF-8 at its byte %d"):format(bad), bad)
  end
  return '"' .. s:gsub('[%z\1-\31\\"]', ESCAPES) .. '"'
end

--- The fewest digits that read back as the same float, never looking like an integer.
local function write_float(state, n, depth)
  if n ~= n or n == math.huge or n == -math.huge then
    refuse(state, depth, n ~= n and "it is not a number (nan)" or "it is infinite")
  end
  local digits = ("%.15g"):format(n)
  if n ~= 0 and n < SMALLEST_NORMAL and n > -SMALLEST_NORMAL then
    local precision = 0
    repeat -- what lies below has fewer than 15 digits
      precision = precision + 1
      digits = ("%%.%dg"):format(precision):format(n)
    until tonumber(digits) == n
  end
  if tonumber(digits) ~= n then
    digits = ("%.16g"):format(n)
    if tonumber(digits) ~= n then
      digits = ("%.17g"):format(n)
    end
  end
  return find(digits, "[.e]") and digits or digits .. ".0"
end

--- How many items an array has; refuses holes and keys that are no positions.
local function array_size(state, t, depth)
  local count, greatest = 0, 0
  for key in next, t do
    if math.type(key) ~= "integer" or key < 1 then
      refuse(state, depth, ("the array has a key that is no position: %s"):format(tostring(key)))
    end
    count = count + 1
    greatest = key > greatest and key or greatest
  end
  if count ~= greatest then
    local hole = 1
    while t[hole] ~= nil do
      hole = hole + 1
    end
    refuse(state, depth, ("the array has no item %d of %d; put json.null there"):format(hole, greatest))
  end
  return count
end

--- The text of a value that is no table; nil for tables.
local function scalar_text(state, value, depth)
  local kind = type(value)
  if kind == "string" then
    return write_string(state, value, depth)
  elseif kind == "number" then
    return math.type(value) == "integer" and ("%d"):format(value) or write_float(state, value, depth)
  elseif kind == "boolean" then
    return value and "true" or "false"
  elseif value == M.null then
    return "null"
  elseif kind ~= "table" then
    refuse(state, depth, ("a %s has no form there"):format(kind))
  end
end

local write_table

local function write_array(state, t, depth)
  local out, path, pretty = state.out, state.path, state.pretty
  local count = array_size(state, t, depth)
  if count == 0 then
    out[#out + 1] = "[]"
    return
  end
  local before = pretty and "[\n" .. pretty:rep(depth + 1) or "["
  local comma = pretty and ",\n" .. pretty:rep(depth + 1) or ","
  for i = 1, count do
    path[depth + 1] = i
    local text = scalar_text(state, t[i], depth + 1)
    out[#out + 1] = before .. (text or "")
    if not text then
      write_table(state, t[i], depth + 1)
    end
    before = comma
  end
  out[#out + 1] = pretty and "\n" .. pretty:rep(depth) .. "]" or "]"
end

local function member_names(state, t, depth)
  local names = {}
  for name in next, t do
    if type(name) ~= "string" then
      refuse(state, depth, ("an object's member is named by a %s: %s"):format(type(name), tostring(name)))
    end
    names[#names + 1] = name
  end
  if state.sort_keys then
    table.sort(names)
  end
  return names
end

local function write_object(state, t, depth)
  local out, path, pretty = state.out, state.path, state.pretty
  local names = member_names(state, t, depth)
  if #names == 0 then
    out[#out + 1] = "{}"
    return
  end
  local before = pretty and "{\n" .. pretty:rep(depth + 1) or "{"
  local comma = pretty and ",\n" .. pretty:rep(depth + 1) or ","
  local labels, colon = state.labels, pretty and ": " or ":"
  for _, name in ipairs(names) do
    path[depth + 1] = name
    local label = labels[name]
    if not label then
      label = write_string(state, name, depth + 1) .. colon
      labels[name] = label
    end
    local value = t[name]
    local text = scalar_text(state, value, depth + 1)
    out[#out + 1] = before .. label .. (text or "")
    if not text then
      write_table(state, value, depth + 1)
    end
    before = comma
  end
  out[#out + 1] = pretty and "\n" .. pretty:rep(depth) .. "}" or "}"
end

function write_table(state, t, depth)
  if depth >= MAX_DEPTH then
    refuse(state, 3, "it is nested too deeply; does it contain itself?")
  elseif getmetatable(t) == array_metatable or math.type((next(t))) == "integer" then
    write_array(state, t, depth)
  else
    write_object(state, t, depth)
  end
end

local function write_document(state, value)
  local text = scalar_text(state, value, 0)
  if text then
    return text
  end
  write_table(state, value, 0)
  return table.concat(state.out)
end

---@class ligase.JsonEncodeOptions
---@field sort_keys? boolean members in byte order, so that equal values give equal texts; true without it
---@field pretty? boolean one member or item per line, two spaces deep

--- Writes a value as JSON. Tables are arrays when marked by json.array, or when their
--- keys are 1..n; else objects, also when empty. Raises "usage", naming the place
--- ($.columns[3].name), for holes in arrays, nan and infinity, text that is not UTF-8,
--- keys that are no strings, functions and the like, and nesting beyond 64.
---@param value any
---@param options? ligase.JsonEncodeOptions
---@return string
function M.encode(value, options)
  options = options or {}
  local state = { out = {}, path = {}, labels = {}, sort_keys = options.sort_keys ~= false,
    pretty = options.pretty and "  " or nil }
  local written, failure = pcall(write_document, state, value)
  if written then
    return failure
  elseif type(failure) ~= "table" or not failure.message or errors.is(failure) then
    error(failure, 0)
  end
  errors.raise { kind = "usage", code = "json", message = failure.message, byte = failure.at }
end

return M
