--- JSON, the one module that reads and writes it.
---
--- lua-cjson does the work; what is here keeps what goes through it the same and
--- refuses what two readers would understand differently. Left alone, cjson reads 5 as
--- a float, rounds 64-bit ids, takes [] for {}, overlooks text that is not UTF-8, and
--- writes 14 digits of a number and the members in no order.
---
--- Reading: one pass of lpeg over the text refuses what cjson would let through and
--- puts marks where it would lose something; cjson reads the text so marked; a walk
--- over the tables takes the marks away again. A mark begins with the byte 255, which
--- no text in UTF-8 contains.
---
--- Writing: one walk puts the text together. cjson writes the strings.
local cjson = require "cjson"
local errors = require "ligase.base.errors"
local host = require "host"
local lpeg = require "lpeg"

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

local byte, find, gsub, sub = string.byte, string.find, string.gsub, string.sub
local math_type, tointeger = math.type, math.tointeger

-- Decoding ------------------------------------------------------------------

local decoder = cjson.new()
local decode_text = decoder.decode

local MARK = "\255"
local MARK_BYTE = byte(MARK)

---@param file string|false where the text comes from
---@param at integer the byte, from 1
---@param message string
local function fail(file, at, message)
  errors.raise { kind = "input", code = "json", file = file or nil, byte = at,
    message = ("invalid JSON at byte %d: %s"):format(at, message) }
end

--- What cjson gets to read for a number that it may not give back as it was.
local function mark_number(at, token, file, large)
  local value = tonumber(token)
  if not find(token, "[.eE]") then
    if math_type(value) ~= "integer" and not large then
      fail(file, at, "the integer does not fit 64 bits; such ids travel as strings")
    end
  elseif value == math.huge or value == -math.huge then
    fail(file, at, "the number is too large for a float")
  elseif not tointeger(value) then
    return token -- the walk will not take it for an integer
  end
  return '"' .. MARK .. token .. '"'
end

-- The tokens of JSON; their order is left to cjson.
local P, R, S = lpeg.P, lpeg.R, lpeg.S
local space = S " \t\r\n" ^ 0
local digit, hex = R "09", R("09", "af", "AF")
local ends = -(R("09", "az", "AZ") + S "_.")
local plain = (1 - R "\0\31" - S '"\\') ^ 0
local unit = hex * hex
local surrogates = S "dD" * R("89", "ab", "AB") * unit * "\\u" * S "dD" * R("cf", "CF") * unit
local escape = P "\\" * (S '"\\/bfnrt' + P "u" * (surrogates + (unit * unit - S "dD" * R("89", "af", "AF"))))
local open_string = '"' * plain * (escape * plain) ^ 0
local string_token = open_string * '"'
local whole = P "-" ^ -1 * (P "0" + R "19" * digit ^ 0)
local any_number = whole * ("." * digit ^ 1) ^ -1 * (S "eE" * S "+-" ^ -1 * digit ^ 1) ^ -1 * ends
-- Most numbers need no look at their value. Up to 15 digits a double holds an integer,
-- and x.1 to x.8 stay clear of one; up to 18 digits an integer fits 64 bits.
local few_digits = -(P "-" ^ -1 * digit ^ 16)
local safe_number = few_digits * whole * ("." * R "18" * digit ^ 0) ^ -1 * ends
local plain_mark = -(P "-" ^ -1 * digit ^ 19) * whole * ends + few_digits * whole * "." * P "0" ^ 1 * ends
local marked_number = plain_mark / ('"' .. MARK .. '%0"')
  + lpeg.Cp() * lpeg.C(any_number) * lpeg.Carg(1) * lpeg.Carg(2) / mark_number
local number = safe_number + marked_number * -(space * ":") -- where it could pass for a member's name
local empty_array = P "[" * #(space * "]") / ('["' .. MARK .. '"')
local word = (P "true" + "false" + "null") * ends
local string_or_name = string_token * (S " \t\r\n" ^ 1 * #P ":" / "") ^ -1 -- for count_names
local token = string_or_name + S " \t\r\n,:{}]" ^ 1 + number + empty_array + "[" + word

local marked_text = lpeg.Cs(token ^ 0) * lpeg.Cp()
local string_end = open_string * lpeg.Cp()
local number_end = any_number * lpeg.Cp()
local next_place = ((1 - S '"{}') ^ 1 + string_token * -(space * ":")) ^ 0
  * lpeg.Cp() * lpeg.C(S "{}" + string_token) * lpeg.Cp()

local function what_is_at(text, at)
  local found = text:match("^[%w_+.-]+", at) or text:match("^" .. utf8.charpattern, at)
  if found == "" or not found then
    return "the end"
  end
  return ("'%s'"):format(found:sub(1, 20):gsub("%c", "?"))
end

--- Says what is wrong with the token at a byte.
local function fail_token(text, at, file)
  if sub(text, at, at) == '"' then
    local stop = string_end:match(text, at)
    local c = sub(text, stop, stop)
    if c == "" or c == "\\" and stop == #text then
      fail(file, at, "the string is never closed")
    elseif c ~= "\\" then
      fail(file, stop, "a control character must be escaped in a string")
    end
    fail(file, stop, find(text, "^\\u[dD][89a-fA-F]%x%x", stop) and "half of a surrogate pair"
      or "not an escape of JSON")
  elseif find(text, "^-?0%d", at) then
    fail(file, at, "a number cannot begin with 0")
  elseif number_end:match(text, at) then
    fail(file, at, "expected the name of a member, found " .. what_is_at(text, at))
  end
  fail(file, at, what_is_at(text, at) .. " is not JSON")
end

local EXPECTED = {
  ["value"] = "a value", ["the end"] = "the end", ["colon"] = "':' after a member's name",
  ["comma or array end"] = "',' or ']' in an array", ["comma or object end"] = "',' or '}' in an object",
  ["object key string"] = "the name of a member",
}

--- Says in our words what cjson found wrong with the order of the tokens.
local function fail_order(text, marked_failure, file)
  local _, failure = pcall(decode_text, text) -- once more, unmarked: the bytes are the text's own
  failure = type(failure) == "string" and failure or tostring(marked_failure)
  local expected, at = failure:match("^Expected (.-) but found .- at character (%d+)$")
  if expected then
    fail(file, tointeger(at), ("expected %s, found %s"):format(EXPECTED[expected] or expected,
      what_is_at(text, tointeger(at))))
  end
  at = failure:match("^Found too many nested data structures %(%d+%) at character (%d+)$")
  if at then
    fail(file, tointeger(at), "nested too deeply")
  end
  error(marked_failure, 0) -- out of memory
end

--- How many times a quote stands before a colon: at the end of each name, and perhaps
--- in strings.
local function count_names(text)
  local count, _, at = 0, find(text, '":', 1, true)
  while at do
    count = count + 1
    _, at = find(text, '":', at + 1, true)
  end
  return count
end

--- Refuses objects that name a member twice, of which cjson keeps the last.
local function refuse_twins(text, file)
  local names, depth, at = {}, 0, 1
  while true do
    local place, what, after = next_place:match(text, at)
    if not place then
      return
    end
    if what == "{" then
      depth = depth + 1
      names[depth] = {}
    elseif what == "}" then
      depth = depth - 1
    else
      local name = decode_text(what)
      if names[depth][name] then
        fail(file, place, ("the object has two members '%s'"):format(name:sub(1, 60)))
      end
      names[depth][name] = true
    end
    at = after
  end
end

--- Makes a decoded table what the text says, in place.
---@param t table
---@param is_marked boolean
---@return integer members of all objects in it
local function restore(t, is_marked)
  local first, members, is_object = t[1], 0, 1
  if first ~= nil then
    setmetatable(t, array_metatable)
    is_object = 0
    if first == MARK then
      t[1] = nil
      return 0
    end
  end
  for key, value in next, t do
    local kind = type(value)
    if kind == "number" then
      local integer = tointeger(value)
      if integer then
        t[key] = integer
      end
    elseif kind == "table" then
      members = members + restore(value, is_marked)
    elseif is_marked and kind == "string" and byte(value) == MARK_BYTE then
      t[key] = tonumber(sub(value, 2))
    end
    members = members + is_object
  end
  return members
end

---@class ligase.JsonDecodeOptions
---@field max_bytes? integer larger texts are refused; 8 MiB without it
---@field max_depth? integer of arrays and objects in each other; 64 without it
---@field file? string where the text comes from, for messages
---@field large_integers? boolean integers beyond 64 bits become floats; refused without it

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
  local file = options and options.file or false
  local max_bytes = options and options.max_bytes or MAX_BYTES
  if #text > max_bytes then
    errors.raise { kind = "input", code = "json", file = file or nil,
      message = ("invalid JSON: %d bytes are more than the %d allowed"):format(#text, max_bytes) }
  end
  local size, bad = utf8.len(text)
  if not size then
    fail(file, bad, "the text is not UTF-8")
  end
  local marked, after = marked_text:match(text, 1, file, options and options.large_integers or false)
  if after <= #text then
    fail_token(text, after, file)
  end
  decoder.decode_max_depth(options and options.max_depth or MAX_DEPTH)
  local read, value = pcall(decode_text, marked)
  if not read then
    fail_order(text, value, file)
  end
  local document = { value }
  if restore(document, marked ~= text) ~= count_names(marked) then
    refuse_twins(text, file)
  end
  return document[1]
end

-- Encoding ------------------------------------------------------------------

local encoder = cjson.new()
local encode_text = encoder.encode

local SMALLEST_NORMAL = 0x1p-1022
local SHORT_BYTES = 40 -- strings up to here are worth remembering in case they come again

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

--- Refuses the value at a depth, where it is the one named `key`.
local function refuse(state, depth, key, message, at)
  state.path[depth] = key
  errors.raise { kind = "usage", code = "json", byte = at,
    message = ("cannot write %s as JSON: %s"):format(path_text(state.path, depth), message) }
end

local function string_text(state, s, depth, key)
  local size, bad = utf8.len(s)
  if not size then
    refuse(state, depth, key, ("the string is not UTF-8 at its byte %d"):format(bad), bad)
  end
  local text = encode_text(s)
  if find(text, "/", 1, true) then
    text = gsub(text, "\\/", "/") -- a slash needs no escape
  end
  if size <= SHORT_BYTES then
    state.texts[s] = text
  end
  return text
end

--- The fewest digits that read back as the same float, never looking like an integer.
local function float_text(state, n, depth, key)
  if n ~= n or n == math.huge or n == -math.huge then
    refuse(state, depth, key, n ~= n and "it is not a number (nan)" or "it is infinite")
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

local append_table

--- Adds a value's text to state.out, of which `n` pieces are there; returns how many
--- there are then. `key` is the value's place in what holds it, `depth` levels down.
--- Callers have looked into state.texts, to spare the call.
local function append(state, n, value, depth, key)
  local kind, text = type(value), nil
  if kind == "string" then
    text = string_text(state, value, depth, key)
  elseif kind == "table" then
    state.path[depth] = key
    return append_table(state, n, value, depth)
  elseif kind == "number" then
    text = math_type(value) == "integer" and value or float_text(state, value, depth, key)
  else
    refuse(state, depth, key, ("a %s has no form there"):format(kind))
  end
  state.out[n + 1] = text
  return n + 1
end

--- Says why an array of which not every item is there cannot be written.
local function refuse_array(state, t, depth)
  local greatest = 0
  for key in next, t do
    if math_type(key) ~= "integer" or key < 1 then
      refuse(state, depth, state.path[depth],
        ("the array has a key that is no position: %s"):format(tostring(key)))
    end
    greatest = key > greatest and key or greatest
  end
  local hole = 1
  while t[hole] ~= nil do
    hole = hole + 1
  end
  refuse(state, depth, state.path[depth],
    ("the array has no item %d of %d; put json.null there"):format(hole, greatest))
end

local function append_array(state, n, t, depth)
  local out, texts, count = state.out, state.texts, 0
  for _ in next, t do
    count = count + 1
  end
  if count == 0 then
    out[n + 1] = "[]"
    return n + 1
  end
  local indent = state.indent
  local before = indent and "[\n" .. indent:rep(depth + 1) or "["
  local comma = indent and ",\n" .. indent:rep(depth + 1) or ","
  for i = 1, count do
    local value = t[i]
    if value == nil then
      refuse_array(state, t, depth)
    end
    local text = texts[value]
    out[n + 1] = before
    if text then
      out[n + 2] = text
      n = n + 2
    else
      n = append(state, n + 1, value, depth + 1, i)
    end
    before = comma
  end
  out[n + 1] = indent and "\n" .. indent:rep(depth) .. "]" or "]"
  return n + 1
end

--- An object's names in order and what is written for them. Objects that come one
--- after the other mostly have the same, so the last are kept: those at this depth
--- (their indentation is part of it) for which `next` gives the same name first.
local function object_shape(state, t, first, depth)
  local shapes = state.shapes[depth]
  if not shapes then
    shapes = {}
    state.shapes[depth] = shapes
  end
  local shape = shapes[first]
  if shape then
    local is_name, count = shape.is_name, 0
    for name in next, t do
      if not is_name[name] then
        count = -1
        break
      end
      count = count + 1
    end
    if count == #shape.names then
      return shape
    end
  end
  local names, labels, is_name = {}, {}, {}
  for name in next, t do
    if type(name) ~= "string" then
      refuse(state, depth, state.path[depth],
        ("an object's member is named by a %s: %s"):format(type(name), tostring(name)))
    end
    names[#names + 1] = name
    is_name[name] = true
  end
  if state.sort_keys then
    table.sort(names)
  end
  local new_line = state.indent and "\n" .. state.indent:rep(depth + 1) or ""
  local before, colon = "{" .. new_line, state.indent and ": " or ":"
  for i, name in ipairs(names) do
    labels[i] = before .. (state.texts[name] or string_text(state, name, depth + 1, name)) .. colon
    before = "," .. new_line
  end
  shape = { names = names, labels = labels, is_name = is_name }
  shapes[first] = shape
  return shape
end

local function append_object(state, n, t, depth, first)
  local out, texts, indent = state.out, state.texts, state.indent
  local shape = object_shape(state, t, first, depth)
  local names, labels = shape.names, shape.labels
  for i = 1, #names do
    local name = names[i]
    local value = t[name]
    local text = texts[value]
    out[n + 1] = labels[i]
    if text then
      out[n + 2] = text
      n = n + 2
    else
      n = append(state, n + 1, value, depth + 1, name)
    end
  end
  out[n + 1] = indent and "\n" .. indent:rep(depth) .. "}" or "}"
  return n + 1
end

function append_table(state, n, t, depth)
  if depth >= MAX_DEPTH then
    refuse(state, 3, state.path[3], "it is nested too deeply; does it contain itself?")
  end
  local first = next(t)
  if getmetatable(t) == array_metatable or math_type(first) == "integer" then
    return append_array(state, n, t, depth)
  elseif first == nil then
    state.out[n + 1] = "{}"
    return n + 1
  end
  return append_object(state, n, t, depth, first)
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
  local state = { out = {}, path = {}, texts = { [true] = "true", [false] = "false", [M.null] = "null" }, shapes = {},
    sort_keys = not options or options.sort_keys ~= false, indent = options and options.pretty and "  " or nil }
  return state.texts[value] or table.concat(state.out, "", 1, append(state, 0, value, 0))
end

return M
