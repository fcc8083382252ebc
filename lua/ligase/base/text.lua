--- Text for people at a terminal: near names for typing mistakes, columns that line
--- up, numbers with a unit.
local host = require "host"
local sys = require "sys"

local M = {}

-- Spelling ------------------------------------------------------------------

local function letters(s)
  local codes = {}
  if utf8.len(s) then
    for _, code in utf8.codes(s) do
      codes[#codes + 1] = code
    end
  else
    codes = table.pack(s:byte(1, math.min(#s, 200)))
  end
  return codes
end

--- How many letters must be inserted, removed, replaced or swapped with their
--- neighbour to make one word of the other.
---@param a string
---@param b string
---@return integer
function M.distance(a, b)
  local x, y = letters(a), letters(b)
  local before, above, row = {}, {}, {}
  for j = 0, #y do
    above[j] = j
  end
  for i = 1, #x do
    row[0] = i
    for j = 1, #y do
      local same = x[i] == y[j]
      local best = math.min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (same and 0 or 1))
      if i > 1 and j > 1 and x[i] == y[j - 1] and x[i - 1] == y[j] then
        best = math.min(best, before[j - 2] + 1)
      end
      row[j] = best
    end
    before, above, row = above, row, before
  end
  return above[#y]
end

--- The candidate that was probably meant, or nil when none is plausibly near. Case
--- counts less than a letter; of equally near ones the alphabetically first wins.
---@param name string
---@param candidates string[]
---@param limit? integer the greatest distance; a third of the name's length, at least 1, without it
---@return string?
function M.nearest(name, candidates, limit)
  local wanted = name:lower()
  limit = limit or math.max(1, #name // 3)
  local best, best_distance = nil, limit + 1
  for _, candidate in ipairs(candidates) do
    if math.abs((utf8.len(candidate) or #candidate) - (utf8.len(name) or #name)) <= limit then
      local distance = M.distance(wanted, candidate:lower())
      if distance < best_distance or (best and distance == best_distance and candidate < best) then
        best, best_distance = candidate, distance
      end
    end
  end
  return best
end

--- "a, b or c", for naming the choices.
---@param items string[]
---@param last? string the word before the last one; "or" without it
---@return string
function M.enumerate(items, last)
  if #items < 2 then
    return items[1] or ""
  end
  return ("%s %s %s"):format(table.concat(items, ", ", 1, #items - 1), last or "or", items[#items])
end

-- Width ---------------------------------------------------------------------

-- Ranges in order, {first, last, columns}; anything else takes one column.
local WIDTHS = {
  { 0x0300, 0x036F, 0 }, { 0x0483, 0x0489, 0 }, { 0x0591, 0x05BD, 0 }, { 0x0610, 0x061A, 0 },
  { 0x064B, 0x065F, 0 }, { 0x06D6, 0x06DC, 0 }, { 0x0E34, 0x0E3A, 0 }, { 0x0E47, 0x0E4E, 0 },
  { 0x1100, 0x115F, 2 }, { 0x1AB0, 0x1AFF, 0 }, { 0x1DC0, 0x1DFF, 0 }, { 0x200B, 0x200F, 0 },
  { 0x202A, 0x202E, 0 }, { 0x2060, 0x2064, 0 }, { 0x20D0, 0x20F0, 0 }, { 0x2E80, 0x303E, 2 },
  { 0x3041, 0x33FF, 2 }, { 0x3400, 0x4DBF, 2 }, { 0x4E00, 0x9FFF, 2 }, { 0xA000, 0xA4CF, 2 },
  { 0xA960, 0xA97F, 2 }, { 0xAC00, 0xD7A3, 2 }, { 0xF900, 0xFAFF, 2 }, { 0xFE00, 0xFE0F, 0 },
  { 0xFE20, 0xFE2F, 0 }, { 0xFE30, 0xFE6F, 2 }, { 0xFEFF, 0xFEFF, 0 }, { 0xFF00, 0xFF60, 2 },
  { 0xFFE0, 0xFFE6, 2 }, { 0x1F300, 0x1F64F, 2 }, { 0x1F680, 0x1F6FF, 2 }, { 0x1F900, 0x1F9FF, 2 },
  { 0x20000, 0x3FFFD, 2 }, { 0xE0100, 0xE01EF, 0 },
}

local function code_width(code)
  if code < 0x300 then
    return (code < 0x20 or (code >= 0x7F and code < 0xA0)) and 0 or 1
  end
  local low, high = 1, #WIDTHS
  while low <= high do
    local middle = (low + high) // 2
    local range = WIDTHS[middle]
    if code < range[1] then
      high = middle - 1
    elseif code > range[2] then
      low = middle + 1
    else
      return range[3]
    end
  end
  return 1
end

--- Columns that a string takes on a terminal. Bytes that are not UTF-8 count one each.
---@param s string
---@return integer
function M.width(s)
  if not s:find("[\x80-\xFF]") then
    return #s - select(2, s:gsub("%c", ""))
  end
  local columns, from = 0, 1
  while from <= #s do
    local _, bad = utf8.len(s, from)
    for _, code in utf8.codes(s:sub(from, (bad or #s + 1) - 1)) do
      columns = columns + code_width(code)
    end
    if not bad then
      break
    end
    columns, from = columns + 1, bad + 1
  end
  return columns
end

--- Cuts a string to that many columns, ending in "..." where something was cut.
---@param s string
---@param columns integer
---@return string
function M.truncate(s, columns)
  if M.width(s) <= columns then
    return s
  end
  local mark = ("..."):sub(1, columns)
  local room, used, stop = columns - #mark, 0, 0
  local from = 1
  while from <= #s do
    local code = utf8.len(s, from, from) and utf8.codepoint(s, from)
    local width = code and code_width(code) or 1
    if used + width > room then
      break
    end
    used = used + width
    from = code and utf8.offset(s, 2, from) or from + 1
    stop = from - 1
  end
  return s:sub(1, stop) .. mark
end

--- Characters that turn the text around them: U+061C, U+200E, U+200F, U+202A to U+202E, U+2066
--- to U+2069.
local TURNING = { "\xD8\x9C", "\xE2\x80[\x8E\x8F\xAA-\xAE]", "\xE2\x81[\xA6-\xA9]" }

local function escaped_code(character)
  return ("\\u{%04X}"):format(utf8.codepoint(character))
end

local CONTROL_NAMES = { ["\n"] = "\\n", ["\t"] = "\\t", ["\r"] = "\\r" }

local function escaped_byte(c)
  return CONTROL_NAMES[c] or ("\\x%02X"):format(c:byte())
end

--- Makes control characters visible, and those that turn text around: a file's content must not
--- drive the terminal, nor look like something else there.
---@param s string
---@return string
function M.printable(s)
  if s:find("%c") then
    s = s:gsub("%c", escaped_byte)
  end
  if not s:find("[\xC2\xD8\xE2]") then
    return s
  end
  s = s:gsub("\xC2([\x80-\x9F])", escaped_byte)
  for _, pattern in ipairs(TURNING) do
    s = s:gsub(pattern, escaped_code)
  end
  return s
end

--- The same, but text of several lines keeps its line ends and tabs.
---@param s string
---@return string
function M.printable_lines(s)
  return (s:gsub("[^\n\t]+", M.printable))
end

--- A word from a file or a command line as it is shown among others: without control
--- characters, and cut.
---@param word string
---@param columns integer
---@return string
function M.shown(word, columns)
  return M.truncate(M.printable(word), columns)
end

-- Tables --------------------------------------------------------------------

local function cell_text(value, null)
  if value == nil or value == host.null then
    return null
  end
  if type(value) == "string" then
    return M.printable(value)
  end
  return math.type(value) == "float" and ("%.14g"):format(value) or tostring(value)
end

local function is_number_like(value)
  return type(value) == "number"
    or (type(value) == "string"
      and (value:find("^[+-]?%d[%d,]*%.?%d*[eE]?[+-]?%d*%%?$") or value:find("^[+-]?%.%d+$")) ~= nil)
end

--- "right" when every value there is a number.
local function column_side(rows, column)
  local seen = false
  for _, row in ipairs(rows) do
    local value = row[column]
    if value ~= nil and value ~= host.null and value ~= "" then
      if not is_number_like(value) then
        return "left"
      end
      seen = true
    end
  end
  return seen and "right" or "left"
end

--- Cuts the widest columns, all to one width, until the line fits, but leaves each
--- its 4.
local function widths_fit(widths, room)
  room = room - 2 * (#widths - 1)
  local function total(most)
    local sum = 0
    for _, width in ipairs(widths) do
      sum = sum + math.min(width, most)
    end
    return sum
  end
  local low, high = 4, 4
  for _, width in ipairs(widths) do
    high = math.max(high, width)
  end
  if total(high) <= room then
    return
  end
  while low < high do
    local middle = (low + high + 1) // 2
    if total(middle) <= room then
      low = middle
    else
      high = middle - 1
    end
  end
  local spare = room - total(low) -- columns that may keep one more
  for i, width in ipairs(widths) do
    if width > low then
      widths[i] = spare > 0 and low + 1 or low
      spare = spare - 1
    end
  end
end

--- A number in as many digits as fit, behind a ~ when they are not all; "..." when none do: a
--- number that was cut off would be another one.
local function number_within(s, width)
  local digits, unit = s:gsub(",", ""):match "^(.-)(%%?)$"
  local value = tonumber(digits)
  for precision = 15, 1, -1 do
    local shown = ("%%.%dg"):format(precision):format(value):gsub("e%+?(%-?)0*(%d)", "e%1%2")
    shown = (tonumber(shown) == value and "" or "~") .. shown .. unit
    if #shown <= width then
      return shown
    end
  end
  return ("..."):sub(1, width)
end

local function pad(s, width, side)
  s = side == "right" and #s > width and is_number_like(s) and number_within(s, width) or M.truncate(s, width)
  local space = (" "):rep(width - M.width(s))
  return side == "right" and space .. s or s .. space
end

---@class ligase.TableOptions
---@field header? string[] the columns' names
---@field align? string[] "left" or "right" per column; numbers go right by themselves
---@field width? number columns of the terminal; found out, and unlimited when it is none
---@field null? string what stands for a missing value; nothing without it

--- Lays rows out in columns, for a terminal.
---@param rows any[][] values by position
---@param options? ligase.TableOptions
---@return string text lines, each with its line end; "" for nothing
function M.table(rows, options)
  options = options or {}
  local header, null = options.header, options.null or ""
  local room = options.width or (sys.is_terminal(1) and sys.terminal_width(1)) or math.huge
  local count = header and #header or 0
  for _, row in ipairs(rows) do
    for column in pairs(row) do
      count = math.type(column) == "integer" and math.max(count, column) or count
    end
  end
  if count == 0 then
    return ""
  end
  local lines, sides, widths = {}, {}, {}
  for column = 1, count do
    sides[column] = options.align and options.align[column] or column_side(rows, column)
    widths[column] = 0
  end
  local function add(row, missing)
    local cells = {}
    for column = 1, count do
      cells[column] = cell_text(row[column], missing)
      widths[column] = math.max(widths[column], M.width(cells[column]))
    end
    lines[#lines + 1] = cells
  end
  if header then
    add(header, "")
    lines[2] = false -- the rule, once the widths are known
  end
  for _, row in ipairs(rows) do
    add(row, null)
  end
  widths_fit(widths, room)
  if header then
    lines[2] = {}
    for column = 1, count do
      lines[2][column] = ("-"):rep(widths[column])
    end
  end
  for i, cells in ipairs(lines) do
    for column = 1, count do
      cells[column] = pad(cells[column], widths[column], sides[column])
    end
    lines[i] = M.truncate((table.concat(cells, "  "):gsub(" +$", "")), room)
  end
  return table.concat(lines, "\n") .. "\n"
end

-- Quantities ----------------------------------------------------------------

--- A number with its thousands apart: 12,345 or -1,234.50.
---@param n number
---@param decimals? integer digits after the point; none without it
---@return string
function M.number(n, decimals)
  if n ~= n or n == math.huge or n == -math.huge then
    return tostring(n)
  end
  local digits
  if math.type(n) == "integer" and not decimals then
    digits = ("%d"):format(n)
  else
    digits = ("%%.%df"):format(decimals or 0):format(n)
  end
  local sign, whole, rest = digits:match("^(-?)(%d+)(.*)$")
  whole = whole:reverse():gsub("(%d%d%d)", "%1,"):reverse():gsub("^,", "")
  return sign .. whole .. rest
end

--- "1 row", "12,345 rows".
---@param n integer
---@param singular string
---@param plural? string the singular with an s without it
---@return string
function M.count(n, singular, plural)
  return ("%s %s"):format(M.number(n), n == 1 and singular or plural or singular .. "s")
end

--- Words on lines of at most so many columns; a longer word has a line for itself.
---@param s string
---@param columns integer
---@param indent string before each line
---@return string
function M.wrapped(s, columns, indent)
  local lines, line = {}, ""
  for word in s:gmatch "%S+" do
    if line ~= "" and #indent + M.width(line) + 1 + M.width(word) > columns then
      lines[#lines + 1], line = indent .. line, word
    else
      line = line == "" and word or line .. " " .. word
    end
  end
  lines[#lines + 1] = indent .. line
  return table.concat(lines, "\n")
end

--- A size for people, in powers of 1000: 999 bytes, 1.2 MB.
---@param size_bytes number
---@return string
function M.bytes(size_bytes)
  local units = { "kB", "MB", "GB", "TB", "PB" }
  if math.abs(size_bytes) < 1000 then
    return M.count(math.tointeger(size_bytes) or math.floor(size_bytes + 0.5), "byte")
  end
  local value, unit = size_bytes / 1000, 1
  while math.abs(value) >= 999.95 and unit < #units do
    value, unit = value / 1000, unit + 1
  end
  return ("%.1f %s"):format(value, units[unit])
end

--- A time for people: 0.4 ms, 0.24 s, 12.3 s, 3 min 05 s, 2 h 04 min.
---@param seconds number
---@return string
function M.duration(seconds)
  local size = math.abs(seconds)
  if size == 0 then
    return "0 s"
  elseif size < 0.00995 then
    return ("%.1f ms"):format(seconds * 1000)
  elseif size < 9.995 then
    return ("%.2f s"):format(seconds)
  elseif size < 59.95 then
    return ("%.1f s"):format(seconds)
  end
  local sign, whole = seconds < 0 and "-" or "", math.floor(size + 0.5)
  if whole < 3600 then
    return ("%s%d min %02d s"):format(sign, whole // 60, whole % 60)
  end
  local minutes = math.floor(size / 60 + 0.5)
  return ("%s%d h %02d min"):format(sign, minutes // 60, minutes % 60)
end

return M
