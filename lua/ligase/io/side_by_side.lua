--- Tables that stand one after another in a file, made into one: side by side where they
--- have the same rows in the same order, else one below the other with a column that says
--- which table a row is of.
---
--- Side by side, all tables are read at once, a block of each at a time, so that memory
--- does not grow with their length.
local sections = require "ligase.io.sections"

local M = {}

local byte, find, sub = string.byte, string.find, string.sub
local CR = 13

--- Of the blocks of all tables together, and of one.
local BLOCKS_BYTES = 32 << 20
local BLOCK_MOST, BLOCK_LEAST = 256 << 10, 4 << 10

--- Cells of the widest row that the reader of tables takes.
M.COLUMNS_MOST = 10000

---@class ligase.stacked_table
---@field name string what the table is of
---@field header string[]
---@field line integer where the header stands
---@field at integer the byte where the header's line begins
---@field rows integer

-- ---- one table as lines ----------------------------------------------------

local Rows = {}
Rows.__index = Rows

local function rows_of(from, input, tbl, block_bytes)
  return setmetatable({ from = from, input = input, at = tbl.at, line = tbl.line - 1, block = "", place = 1,
    block_bytes = block_bytes, table = tbl, ending = from.ending }, Rows)
end

--- The next line that is not blank, and its number.
function Rows:next()
  while true do
    local stop = self.block:find(self.ending, self.place, true)
    if not stop then
      self.input:seek("set", self.at)
      local more = self.input:read(self.block_bytes)
      if not more then
        self.line = self.line + 1
        return self.block:sub(self.place), self.line
      end
      self.at = self.at + #more
      self.block, self.place = self.block:sub(self.place) .. more, 1
    else
      local line = self.block:sub(self.place, stop - 1)
      self.place, self.line = stop + 1, self.line + 1
      if line:byte(-1) == CR then
        line = line:sub(1, -2)
      end
      if line ~= "" then
        return line, self.line
      end
    end
  end
end

local function check_width(from, tbl, line, number)
  local width = sections.width(line)
  if width ~= #tbl.header then
    from:refuse { code = "ragged", line = number,
      message = ("the row has %d cells, but the header has %d"):format(width, #tbl.header),
      hint = "Look at that line for a missing or an extra tab" }
  end
end

-- ---- side by side ----------------------------------------------------------

local function same_shape(tables)
  local first = tables[1]
  for _, tbl in ipairs(tables) do
    if tbl.rows ~= first.rows or table.concat(tbl.header, "\t") ~= table.concat(first.header, "\t") then
      return false
    end
  end
  return 1 + #tables * (#first.header - 1) <= M.COLUMNS_MOST
end

--- The rest of a reader's next row where its first cell, with the tab behind it, is known
--- and the row stands whole in the block; else nil, and nothing is read.
local function easy_rest(reader, first, is_pair)
  local block, place = reader.block, reader.place
  local after = place + #first
  if sub(block, place, after - 1) ~= first then
    return nil
  end
  local stop = is_pair and find(block, reader.ending, after, true)
  if not stop then
    return nil
  end
  local rest = sub(block, after, byte(block, stop - 1) == CR and stop - 2 or stop - 1)
  if find(rest, "\t", 1, true) then
    return nil
  end
  reader.place, reader.line = stop + 1, reader.line + 1
  return rest
end

--- The rest of a reader's next row behind its first cell; nil where that is another one.
local function rest_of_row(from, reader, first)
  local line, number = reader:next()
  check_width(from, reader.table, line, number)
  return line:sub(1, #first) == first and line:sub(#first + 1) or nil
end

--- Writes the rows side by side; false when the tables' first cells differ.
local function merge(from, tables, input)
  local block_bytes = math.max(BLOCK_LEAST, math.min(BLOCK_MOST, BLOCKS_BYTES // #tables))
  local readers = {}
  for i, tbl in ipairs(tables) do
    readers[i] = rows_of(from, input, tbl, block_bytes)
    readers[i]:next() -- the header
  end
  local parts, is_pair = {}, #tables[1].header == 2
  for _ = 1, tables[1].rows do
    local line, place = readers[1]:next()
    check_width(from, tables[1], line, place)
    local first = line:sub(1, line:find("\t", 1, true))
    parts[1] = line
    for i = 2, #readers do
      parts[i] = easy_rest(readers[i], first, is_pair) or rest_of_row(from, readers[i], first)
      if not parts[i] then
        return false
      end
    end
    from:keep(table.concat(parts, "\t"), place)
  end
  return true
end

--- Tries to put the tables side by side. `name_of` gives the header of a table's column.
---@param from ligase.sections all lines of which were read
---@param tables ligase.stacked_table[] at least one
---@param name_of fun(tbl: ligase.stacked_table, column: string): string
---@return boolean done false when their rows are not the same; then nothing was kept
function M.wide(from, tables, name_of)
  local first = tables[1]
  if #first.header < 2 or not same_shape(tables) then
    return false
  end
  local names = { first.header[1] }
  for _, tbl in ipairs(tables) do
    for i = 2, #tbl.header do
      names[#names + 1] = name_of(tbl, tbl.header[i])
    end
  end
  from:discard()
  from:keep(table.concat(names, "\t"), first.line)
  local input <close> = from:reopen()
  if merge(from, tables, input) then
    return true
  end
  from:discard()
  return false
end

-- ---- one below the other ---------------------------------------------------

--- All columns in the order in which they first come.
local function all_columns(tables)
  local columns, at = {}, {}
  for _, tbl in ipairs(tables) do
    for _, name in ipairs(tbl.header) do
      if not at[name] then
        columns[#columns + 1] = name
        at[name] = #columns
      end
    end
  end
  return columns, at
end

local function rearranged(line, tbl, at, count)
  local cells, found = {}, sections.raw_cells(line)
  for i = 1, count do
    cells[i] = ""
  end
  for i, name in ipairs(tbl.header) do
    cells[at[name]] = found[i]
  end
  return table.concat(cells, "\t")
end

--- Puts the tables one below the other, with the table's name in front of each row. Lines
--- keep their numbers.
---@param from ligase.sections all lines of which were read
---@param tables ligase.stacked_table[]
---@param title string header of the column in front
---@return string[] header
function M.long(from, tables, title)
  local columns, at = all_columns(tables)
  while at[title] do
    title = "_" .. title
  end
  from:discard()
  local input <close> = from:reopen()
  from:keep(title .. "\t" .. table.concat(columns, "\t"), tables[1].line)
  for _, tbl in ipairs(tables) do
    local reader = rows_of(from, input, tbl, BLOCK_MOST)
    local as_it_is = table.concat(tbl.header, "\t") == table.concat(columns, "\t")
    reader:next()
    for _ = 1, tbl.rows do
      local line, number = reader:next()
      check_width(from, tbl, line, number)
      from:keep(tbl.name .. "\t" .. (as_it_is and line or rearranged(line, tbl, at, #columns)), number)
    end
  end
  table.insert(columns, 1, title)
  return columns
end

return M
