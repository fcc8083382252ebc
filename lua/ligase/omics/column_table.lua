--- A table's columns as they are looked at: their headers, what their cells read as,
--- and what is refused or doubted about them.
---
--- Decides nothing; that is done in ligase.omics.columns and .name_column.
local errors = require "ligase.base.errors"
local statistics = require "ligase.omics.statistics"
local text = require "ligase.base.text"

local M = {}

--- Rows that are looked at cell by cell, at most.
M.LOOK_ROWS = 200

--- What to do about a table of one column.
M.ONE_COLUMN = "The file has one column: check the separator (--separator tab, comma, semicolon, bar, space)"

---@class ligase.column the fields `plain` to `marks` are taken off when the plan is made
---@field position integer
---@field name string the header
---@field role string|nil
---@field statistic string|nil
---@field contrast string|nil
---@field plain string the header without case, blanks and marks
---@field number boolean its cells read as numbers, more than as other texts or as codes
---@field coded integer cells that read as numbers and are written as codes (00123, 2310009E13)
---@field mixed boolean it has numbers, but more other texts
---@field blank boolean it holds nothing but missing marks
---@field empty boolean it holds nothing but empty cells
---@field marks table<string, integer> its missing marks and how often they stand there

---@class ligase.column_table
---@field columns ligase.column[]
---@field frame table the first frame
---@field file string
---@field line integer of the header
---@field doubts string[]
local Table = {}
Table.__index = Table

--- Headers for people, at most so many.
---@param names string[]
---@param most integer|nil 8 without it
---@return string
function M.quoted_list(names, most)
  local shown = {}
  for i = 1, math.min(#names, most or 8) do
    shown[i] = ('"%s"'):format(text.printable(names[i]))
  end
  return table.concat(shown, ", ") .. (#names > #shown and ", ..." or "")
end

--- Whether a text is a number, with any decimal mark.
---@param cell string
---@return boolean
function M.is_number(cell)
  return cell:find("^%s*[-+]?%d*[.,]?%d+[eE]?[-+]?%d*%s*$") ~= nil
end

--- Whether a column holds texts: neither numbers nor nothing.
---@param column ligase.column
---@return boolean
function M.is_text(column)
  return not column.number and not column.blank
end

--- Raises an error about the table, at the header's line where there is one.
---@param fields table as for errors.new; kind is "input" when none is given
function Table:refuse(fields)
  fields.kind, fields.file, fields.line = fields.kind or "input", self.file, self.line > 0 and self.line or nil
  errors.raise(fields)
end

--- Notes a doubt.
---@param format string
---@param ... any its arguments
function Table:doubt(format, ...)
  self.doubts[#self.doubts + 1] = format:format(...)
end

--- The headers in file order.
---@return string[]
function Table:headers()
  local headers = {}
  for i, column in ipairs(self.columns) do
    headers[i] = column.name
  end
  return headers
end

--- The first cells of a column as text, without the empty ones.
---@param column ligase.column
---@param most integer rows that are looked at
---@return string[]
function Table:first_cells(column, most)
  local cells, values = {}, self.frame:text(column.position)
  for row = 1, math.min(#self.frame, most) do
    cells[#cells + 1] = values:get(row)
  end
  values:close()
  return cells
end

--- Whether a predicate holds for all of a column's first numbers.
---@param column ligase.column
---@param holds fun(value: number): boolean
---@return boolean
function Table:all_numbers(column, holds)
  local slice <close> = self.frame:slice(1, math.min(#self.frame, M.LOOK_ROWS))
  local numbers <close> = slice:number(column.position)
  for row = 1, #numbers do
    local value = numbers:get(row)
    if value and not holds(value) then
      return false
    end
  end
  return true
end

--- The different texts of a column's first cells that are no numbers, up to `most`.
local function other_texts(tbl, column, most)
  local texts, seen = {}, {}
  for _, cell in ipairs(tbl:first_cells(column, M.LOOK_ROWS)) do
    if not seen[cell] and not column.marks[cell] and not M.is_number(cell) then
      seen[cell] = true
      texts[#texts + 1] = cell
      if #texts == most then
        break
      end
    end
  end
  return texts
end

--- Columns with few numbers and many times the same text ("<LOD") are columns of
--- numbers too.
function Table:doubt_marks()
  for _, column in ipairs(self.columns) do
    local is_open = column.mixed and not column.role
    local texts = is_open and other_texts(self, column, 3) or {}
    if is_open and #texts < 3 then
      column.number = true
      self:doubt('"%s" is read as numbers, though most of its cells are %s, which are kept as text beside them '
        .. "(--set COLUMN=annotation)", column.name, M.quoted_list(texts))
    end
    column.mixed = nil
  end
end

--- Two columns of one name cannot be told apart by name.
local function refuse_duplicates(tbl, names)
  local first = {}
  for i, name in ipairs(names) do
    if first[name] then
      tbl:refuse { code = "duplicate_header", column = i,
        message = name == "" and ("columns %d and %d both have an empty header"):format(first[name], i)
          or ('columns %d and %d have the same header "%s"'):format(first[name], i, text.printable(name)),
        hint = M.is_number(name)
          and "Is this line data? Say --no-header if there is no header line, or skip lines with --skip-lines"
          or "Give each column a header of its own; lines before the header are skipped with --skip-lines" }
    end
    first[name] = i
  end
end

--- The columns of a frame. Raises "input" when two have the same header.
---@param frame table
---@param file string for errors
---@param line integer of the header, for errors
---@return ligase.column_table
function M.new(frame, file, line)
  local names = frame:names()
  local tbl = setmetatable({ frame = frame, file = file, line = line, doubts = {}, columns = {} }, Table)
  refuse_duplicates(tbl, names)
  for i, profile in ipairs(frame:profile()) do
    local numbers = profile.number + profile.rounded -- without codes
    local outnumber = profile.code < numbers
    tbl.columns[i] = {
      position = i, name = names[i], plain = statistics.plain(names[i]), marks = profile.marks,
      number = outnumber and numbers >= profile.misfit, coded = profile.code,
      mixed = outnumber and numbers < profile.misfit and numbers * 10 >= profile.misfit,
      blank = numbers + profile.code + profile.misfit == 0,
      empty = profile.empty == #frame,
    }
  end
  return tbl
end

return M
