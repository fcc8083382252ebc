--- A first look at a file: its first lines, header and rows as texts, by which formats
--- recognise it.
---
--- Reads at most the head of the file and never fails over its shape: a file of several
--- tables, or of none, has some header and some rows too. Lines, header and rows are made
--- when they are first asked for, and only as many: most formats look at the header alone.
local dialect = require "ligase.io.dialect"
local statistics = require "ligase.omics.statistics"
local text = require "ligase.base.text"

local M = {}

local ROWS_MOST = 200
local LINES_BYTES = 64 * 1024

---@class ligase.look
---@field path string what is opened
---@field shown string what people see
---@field file_name string the last part of `shown`
---@field folder string|nil the name of the folder that it lies in
---@field given table what a person or a recipe said of the dialect
---@field dialect ligase.dialect as detected
---@field head string the beginning of the file as UTF-8, whole lines
---@field lines string[] the lines of the first 64 KiB, without their ends; # makes all of them
---@field header string[] cells of the first record after the skipped lines
---@field placement ligase.placement|nil how the format places the table, once it was asked
---@field written_header string[] the header as it stands in the file, set with `header`
---@field rows string[][] the records after the header, at most 200; # makes all of them
---@field wanted string[]|nil headers that were asked for and are not there, for people; kept while it is a table
---@field at table<string, integer> position of each header without case, blanks and marks; the first one of each
local Look = {}

-- ---- records ---------------------------------------------------------------

local function escaped(character)
  return (character:gsub("%W", "%%%0"))
end

--- One quoted cell that begins at `at`: its text, and where it ends; nil when it does not.
local function quoted_cell(head, at, quote)
  local from, parts = at + 1, {}
  while true do
    local close = head:find(quote, from, true)
    if not close then
      return nil
    end
    parts[#parts + 1] = head:sub(from, close - 1)
    if head:sub(close + 1, close + 1) ~= quote then
      return table.concat(parts, quote), close + 1
    end
    from = close + 2
  end
end

--- The cells of the record that begins at `at`, and where the next one begins; nil for a
--- record that is cut.
local function record_at(head, at, separator, quote)
  local stop, cells = "[\r\n" .. escaped(separator) .. "]", {}
  while true do
    local cell, after
    if quote and head:sub(at, at) == quote then
      cell, after = quoted_cell(head, at, quote)
      if not cell then
        return nil
      end
      local rest = head:find(stop, after) or #head + 1
      cell, after = cell .. head:sub(after, rest - 1), rest
    else
      after = head:find(stop, at) or #head + 1
      cell = head:sub(at, after - 1)
    end
    cells[#cells + 1] = cell
    if head:sub(after, after) ~= separator then
      local line_end = head:sub(after, after + 1) == "\r\n" and 2 or 1
      return cells, after + line_end
    end
    at = after + 1
  end
end

--- The record at a place or behind it, without blank lines and comments, and where the next
--- one begins; nil at the end.
local function next_record(head, at, how)
  local ignored = how.comment and "^[\r\n" .. escaped(how.comment) .. "]" or "^[\r\n]"
  while at <= #head do
    if not head:find(ignored, at) then
      return record_at(head, at, how.separator, how.quote)
    end
    at = (head:find("[\r\n]", at) or #head) + 1
  end
  return nil
end

-- ---- lists that grow when they are looked at -------------------------------

--- A list whose items are made one after the other, as far as somebody looks.
---@param make fun(): any the next item, nil at the end
---@return table list
local function growing(make)
  local items, ended = {}, false
  local function grow_to(wanted)
    while not ended and #items < wanted do
      local item = make()
      ended = item == nil
      items[#items + 1] = item
    end
  end
  return setmetatable({}, {
    __index = function(_, i)
      if math.type(i) ~= "integer" then
        return nil
      end
      grow_to(i)
      return items[i]
    end,
    __len = function()
      grow_to(math.huge)
      return #items
    end,
  })
end

-- ---- what is made when it is asked for -------------------------------------

local makers = {}

function makers.lines(look)
  local head, at = look.head, 1
  local most = math.min(#head, LINES_BYTES)
  return growing(function()
    if at > most then
      return nil
    end
    local line_end = head:find("[\r\n]", at) or #head + 1
    local line = head:sub(at, line_end - 1)
    at = line_end + (head:sub(line_end, line_end + 1) == "\r\n" and 2 or 1)
    return line
  end)
end

function makers.header(look)
  local how = look.dialect
  local begin = dialect.after_lines(look.head, how.skip_lines)
  local header, after = next_record(look.head, begin, how)
  header = header or {}
  look.after_header = how.header == false and begin or after or #look.head + 1
  local first = after and next_record(look.head, after, how)
  if first and #first == #header + 1 and first[#first] ~= "" then
    table.insert(header, 1, "") -- row names as R writes them
  end
  look.written_header = header
  return how.names or header
end

function makers.rows(look)
  local _ = look.header
  local at, count = look.after_header, 0
  return growing(function()
    if count == ROWS_MOST then
      return nil
    end
    local record, after = next_record(look.head, at, look.dialect)
    at, count = after, count + 1
    return record
  end)
end

function makers.at(look)
  local at = {}
  for position, name in ipairs(look.header) do
    local plain = statistics.plain(name)
    at[plain] = at[plain] or position
  end
  return at
end

function Look:__index(key)
  local make = makers[key]
  if make then
    local made = make(self)
    rawset(self, key, made)
    return made
  end
  return M.methods[key]
end

M.methods = {}

local function quoted(header)
  return '"' .. header .. '"'
end

--- The position of the first header that is one of these, without regard to case, blanks
--- and marks.
---@param look ligase.look
---@param ... string headers
---@return integer|nil position
function M.methods.find(look, ...)
  for i = 1, select("#", ...) do
    local position = look.at[statistics.plain((select(i, ...)))]
    if position then
      return position
    end
  end
  local wanted = rawget(look, "wanted")
  if wanted then
    local headers = { ... }
    for i, header in ipairs(headers) do
      headers[i] = quoted(header)
    end
    wanted[#wanted + 1] = text.enumerate(headers)
  end
  return nil
end

--- Whether all of these headers are there, without regard to case, blanks and marks.
---@param look ligase.look
---@param ... string headers
---@return boolean
function M.methods.has(look, ...)
  local missing
  for i = 1, select("#", ...) do
    local header = select(i, ...)
    if not look.at[statistics.plain(header)] then
      if not rawget(look, "wanted") then
        return false
      end
      missing = missing or {}
      missing[#missing + 1] = quoted(header)
    end
  end
  if missing then
    table.insert(look.wanted, table.concat(missing, ", "))
  end
  return missing == nil
end

--- The cells of one column in the first rows; "" where a row is too short.
---@param look ligase.look
---@param position integer
---@return string[]
function M.methods.cells(look, position)
  local cells = {}
  for i, row in ipairs(look.rows) do
    cells[i] = row[position] or ""
  end
  return cells
end

--- The last bytes of the file as they stand; "" for what is packed or not a file.
---@param look ligase.look
---@param bytes integer
---@return string
function M.methods.tail(look, bytes)
  local file = not look.dialect.gzip and type(look.path) == "string" and io.open(look.path, "rb")
  if not file then
    return ""
  end
  local size = file:seek("end")
  file:seek("set", math.max(0, size - bytes))
  local tail = file:read("a")
  file:close()
  return tail or ""
end

--- Does something with a look and notes which headers it asks for in vain.
---@param look ligase.look
---@param fn fun(look: ligase.look): any
---@return boolean done whether it did not fail
---@return any result of the function
---@return string[] wanted for people, those that belong together in one text
function M.asking(look, fn)
  rawset(look, "wanted", {})
  local done, result = pcall(fn, look)
  local wanted = look.wanted
  rawset(look, "wanted", nil)
  return done, result, wanted
end

--- Looks at a file. Raises "input" for what is no text or cannot be read.
---@param path string
---@param shown string|nil what people see; the path without it
---@param given table|nil answers for the dialect
---@return ligase.look
function M.new(path, shown, given)
  local found, head = dialect.detect(path, given)
  shown = shown or path
  return setmetatable({ path = path, shown = shown, given = given or {}, dialect = found, head = head,
    file_name = shown:match("([^/]+)/*$") or shown, folder = shown:match("([^/]+)/+[^/]+$") }, Look)
end

return M
