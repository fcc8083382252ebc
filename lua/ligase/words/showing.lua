--- Values as text for a person: rows, frames and lists of alike tables as aligned columns,
--- other tables with their content.
local errors = require "ligase.base.errors"
local host = require "host"
local json = require "ligase.base.json"
local series = require "ligase.words.series"
local sys = require "sys"
local text = require "ligase.base.text"

local M = {}

---@class ligase.showing
---@field width number|nil columns of the terminal; found out, and unlimited when there is none
---@field most integer|nil rows of a table; 40 on a terminal, and unlimited when there is none
---@field depth integer|nil tables in tables that are shown, 3 without it
---@field more string|nil what to do to see all, behind the count of what was cut

local ON_TERMINAL, ENTRIES, DEPTH = 40, 50, 3

local NULL = "NULL"

--- Columns are squeezed to this width before some are left out.
local NARROW = 8

-- ---- single values ---------------------------------------------------------

local function number_text(value)
  if math.type(value) ~= "float" then
    return tostring(value)
  elseif value == math.floor(value) and math.abs(value) < 1e15 then
    return ("%.0f"):format(value)
  end
  return ("%.7g"):format(value)
end

--- What stands in a cell; numbers stay what text.table sets to the right.
local function cell(value)
  if type(value) == "number" then
    return number_text(value)
  elseif value == nil then
    return ""
  elseif type(value) == "table" then
    local done, encoded = pcall(json.encode, value)
    return done and encoded or tostring(value)
  end
  return value == host.null and value or tostring(value)
end

--- A text as it stands, cut where it would fill the terminal many times over.
local function string_text(value, options)
  if options.most == math.huge then
    return text.printable_lines(value)
  end
  local at, room = 0, options.most * math.min(options.width, 1000)
  for _ = 1, options.most do
    local stop = value:find("\n", at + 1, true)
    if not stop or stop > room then
      at = nil
      break
    end
    at = stop
  end
  local last = at or math.min(#value, room)
  if last >= #value then
    return text.printable_lines(value)
  end
  while last > 0 and (value:byte(last + 1) & 0xC0) == 0x80 do
    last = last - 1 -- no character is cut in two
  end
  local shown = text.printable_lines((value:sub(1, last):gsub("\n$", "", 1)))
  return ("%s\n(%s of %s%s)"):format(shown, text.bytes(last), text.bytes(#value), options.more)
end

-- ---- tables of rows --------------------------------------------------------

--- How many of the columns fit when the wide ones are squeezed.
local function fitting(lines, header, width)
  if width == math.huge then
    return #header
  end
  local used, count = -2, 0
  for column = 1, #header do
    local needed = 1
    for i = 0, #lines do
      local value = i == 0 and header[column] or lines[i][column]
      needed = math.max(needed, value == host.null and #NULL or text.width(text.printable(value)))
      if needed >= NARROW then
        needed = NARROW
        break
      end
    end
    used = used + needed + 2
    if used > width then
      break
    end
    count = column
  end
  return math.max(1, count)
end

local function cut(shown, all, what)
  return shown == all and text.count(all, what) or ("%s of %s"):format(text.number(shown), text.count(all, what))
end

--- Lays out lines of texts under a header, and counts what was left out.
local function table_text(lines, header, count, options, at_least)
  local columns = fitting(lines, header, options.width)
  local cells = {}
  for i, line in ipairs(lines) do
    cells[i] = table.move(line, 1, columns, 1, {})
  end
  local shown = text.table(cells, { header = table.move(header, 1, columns, 1, {}), width = options.width,
    null = NULL })
  local counts = cut(#lines, count, "row") .. (at_least and ", and there are more" or "")
  local is_cut = #lines < count or columns < #header
  if columns < #header then
    counts = counts .. ", " .. cut(columns, #header, "column")
  end
  return ("%s(%s%s)\n"):format(shown, counts, is_cut and options.more or "")
end

local function rows_text(rows, options)
  local names, lines, header = series.column_names(rows), {}, {}
  for i = 1, math.min(#rows, options.most) do
    lines[i] = {}
    for column, name in ipairs(names) do
      lines[i][column] = cell(rows[i][name])
    end
  end
  for column, name in ipairs(names) do
    header[column] = text.printable(tostring(name))
  end
  return table_text(lines, header, #rows, options, rawget(rows, "more"))
end

local function frame_text(frame, options)
  local lines, header = {}, {}
  for i = 1, math.min(#frame, options.most) do
    lines[i] = frame:row(i)
  end
  for i, name in ipairs(frame:names()) do
    header[i] = text.printable(name)
  end
  return table_text(lines, header, #frame, options)
end

-- ---- other tables ----------------------------------------------------------

local pretty

local function key_text(key)
  if type(key) == "string" and key:find("^[%a_][%w_]*$") then
    return key
  end
  return ("[%s]"):format(type(key) == "string" and ('"%s"'):format(text.shown(key, 60)) or tostring(key))
end

local function sorted_keys(value)
  local keys = {}
  for key in next, value do
    if not (math.type(key) == "integer" and key >= 1 and key <= rawlen(value)) then
      keys[#keys + 1] = key
    end
  end
  table.sort(keys, function(a, b)
    if type(a) ~= type(b) then
      return type(a) < type(b)
    elseif type(a) == "number" or type(a) == "string" then
      return a < b
    end
    return tostring(a) < tostring(b)
  end)
  return keys
end

--- The entries as texts: a list's without keys.
local function entries_of(value, depth, indent, above, options)
  local entries, count = {}, 0
  local function add(prefix, entry)
    count = count + 1
    if count <= ENTRIES then
      entries[count] = prefix .. pretty(entry, depth + 1, indent .. "  ", above, options, #prefix)
    end
  end
  for i = 1, rawlen(value) do
    add("", rawget(value, i))
  end
  for _, key in ipairs(sorted_keys(value)) do
    add(key_text(key) .. " = ", rawget(value, key))
  end
  if count > ENTRIES then
    entries[#entries + 1] = ("... %s more"):format(text.number(count - ENTRIES))
  end
  return entries
end

local function nested_text(value, depth, indent, above, options)
  if next(value) == nil then
    return "{}"
  elseif above[value] then
    return "{... the table above}"
  elseif depth >= (options.depth or DEPTH) then
    return "{...}"
  end
  above[value] = true
  local entries = entries_of(value, depth, indent, above, options)
  above[value] = nil
  local line = "{ " .. table.concat(entries, ", ") .. " }"
  local room = math.min(options.width, 100)
  if not line:find("\n") and #indent + text.width(line) <= room then
    return line
  end
  return ("{\n%s  %s\n%s}"):format(indent, table.concat(entries, ",\n" .. indent .. "  "), indent)
end

local function function_text(value)
  local info = debug.getinfo(value, "S")
  return info.what == "C" and "function (in C)" or ("function (%s:%d)"):format(info.short_src, info.linedefined)
end

--- A value inside a table; `before` is the width of what stands before it.
function pretty(value, depth, indent, above, options, before)
  local kind = type(value)
  if kind == "string" then
    local room = math.min(options.width, 200) - #indent - before - #'"",'
    return ('"%s"'):format(text.shown(value, math.max(4, room)))
  elseif value == host.null then
    return NULL
  elseif kind == "function" then
    return function_text(value)
  elseif kind == "table" then
    local meta = getmetatable(value)
    if errors.is(value) or type(meta) == "table" and rawget(meta, "__tostring") then
      return text.shown(tostring(value), 200)
    end
    return nested_text(value, depth, indent, above, options)
  end
  return tostring(value)
end

-- ---- all -------------------------------------------------------------------

--- Whether all entries of a list are tables by name that are alike: rows.
local function is_list_of_rows(value)
  local count = rawlen(value)
  if count == 0 or rawget(value, count) == nil or next(value, count) ~= nil then
    return false
  end
  for i = 1, count do
    local row = rawget(value, i)
    if type(row) ~= "table" or rawlen(row) > 0 or type(next(row)) ~= "string" then
      return false
    end
    local meta = getmetatable(row)
    if type(meta) == "table" and rawget(meta, "__tostring") then
      return false
    end
  end
  return true
end

local function is_result(value)
  return type(rawget(value, "columns")) == "table" and type(rawget(value, "command")) == "string"
    or require("ligase.words.rows").is_rows(value)
end

local function object_text(value, options)
  local meta = getmetatable(value)
  if errors.is(value) then
    return errors.describe(value)
  elseif type(meta) == "table" and rawget(meta, "__tostring") then
    return text.printable_lines(tostring(value))
  elseif is_result(value) then
    if #value.columns == 0 then
      return (value.command or "") ~= "" and value.command or "done"
    end
    return rows_text(value, options)
  elseif is_list_of_rows(value) then
    return rows_text(value, options)
  end
  return nested_text(value, 0, "", {}, options)
end

--- A value as text that ends with a line end.
---@param value any
---@param options ligase.showing|nil
---@return string
function M.text(value, options)
  local on_terminal = sys.is_terminal(1)
  options = options or {}
  options = { width = options.width or (on_terminal and sys.terminal_width(1)) or math.huge, depth = options.depth,
    most = options.most or (on_terminal and ON_TERMINAL) or math.huge, more = options.more or "" }
  local shown
  if type(value) == "string" then
    shown = string_text(value, options)
  elseif value == host.null then
    shown = NULL
  elseif type(value) == "table" then
    shown = object_text(value, options)
  elseif series.is_frame(value) then
    shown = frame_text(value, options)
  elseif series.is_column(value) then
    shown = nested_text(value:values(), 0, "", {}, options)
  elseif type(value) == "function" then
    shown = function_text(value)
  else
    shown = tostring(value)
  end
  return shown:find("\n$") and shown or shown .. "\n"
end

return M
