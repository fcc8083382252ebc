--- Names of wells on a plate: A1, a01, P-24 and AF48 all become a letter (or two) and a
--- number of two digits. Up to 32 rows and 48 columns, which is a plate of 1,536 wells.
local M = {}

M.ROWS, M.COLUMNS = 32, 48

--- The letters of a row's number.
local function letters_of(row)
  return row <= 26 and string.char(64 + row) or "A" .. string.char(64 + row - 26)
end

--- The number of a row by its letters, nil for what is none.
local function row_of(letters)
  local first, second = letters:byte(1, 2)
  local row = not second and first - 64 or first == 65 and 26 + second - 64 or nil
  return row and row >= 1 and row <= M.ROWS and row or nil
end

--- The name of a well by the numbers of its row and column; nil beyond the plate.
---@param row integer
---@param column integer
---@return string|nil
function M.name(row, column)
  if row < 1 or row > M.ROWS or column < 1 or column > M.COLUMNS then
    return nil
  end
  return ("%s%02d"):format(letters_of(row), column)
end

--- Row and column of a well's name, however it is written; nil for what is none.
---@param word string
---@return integer|nil row
---@return integer|nil column
function M.place(word)
  local letters, digits = word:upper():match("^%s*(%u%u?)[%s:_-]?(%d%d?%d?)%s*$")
  local row, column = letters and row_of(letters), tonumber(digits)
  if row and column >= 1 and column <= M.COLUMNS then
    return row, column
  end
end

--- A well's name in the form that is stored; nil for what is none.
---@param word string
---@return string|nil
function M.read(word)
  local row, column = M.place(word)
  return row and M.name(row, column)
end

--- A well by its row, a letter or a number, and its column.
---@param row_word string
---@param column_word string
---@return string|nil
function M.from(row_word, column_word)
  local letters = row_word:match("^%s*(%a%a?)%s*$")
  local row = letters and row_of(letters:upper()) or math.tointeger(tonumber(row_word))
  local column = math.tointeger(tonumber(column_word))
  return row and column and M.name(row, column)
end

--- The wells that a word means: one, a rectangle (A1:H1, A1-P2), a whole row (row A) or a
--- whole column (column 12). nil for what means no wells.
---@param word string
---@return {first_row: integer, last_row: integer, first_column: integer, last_column: integer}|nil
function M.range(word)
  local row, column = M.place(word)
  if row then
    return { first_row = row, last_row = row, first_column = column, last_column = column }
  end
  local from, to = word:match("^%s*(%a%a?%d+)%s*[:-]%s*(%a%a?%d+)%s*$")
  if from then
    local r1, c1 = M.place(from)
    local r2, c2 = M.place(to)
    return r1 and r2 and { first_row = math.min(r1, r2), last_row = math.max(r1, r2),
      first_column = math.min(c1, c2), last_column = math.max(c1, c2) } or nil
  end
  local letters = word:match("^%s*[Rr][Oo][Ww]%s+(%a%a?)%s*$")
  row = letters and row_of(letters:upper())
  if row then
    return { first_row = row, last_row = row, first_column = 1, last_column = M.COLUMNS }
  end
  column = tonumber(word:match("^%s*[Cc][Oo][Ll][Uu]?[Mm]?[Nn]?%s+(%d%d?)%s*$"))
  if column and column >= 1 and column <= M.COLUMNS then
    return { first_row = 1, last_row = M.ROWS, first_column = column, last_column = column }
  end
end

--- Whether a well lies in a range.
---@param range table from M.range
---@param row integer
---@param column integer
---@return boolean
function M.is_within(range, row, column)
  return row >= range.first_row and row <= range.last_row and column >= range.first_column
    and column <= range.last_column
end

return M
