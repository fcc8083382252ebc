--- Plates as readers print them: a line of column numbers, below it a line for each row of
--- wells, and around that whatever the reader has to say.
---
---   Plate: P1
---   ,1,2,3,4,5,6,7,8,9,10,11,12
---   A,0.051,0.049,...
---   ...
---
--- A grid has all columns of a plate of 24, 96, 384 or 1,536 wells. Its rows bear their letters,
--- in order, or are all rows of the plate and bear none. What would be guessed otherwise is
--- refused with its line.
local errors = require "ligase.base.errors"
local text = require "ligase.base.text"
local wells = require "ligase.screening.wells"

local M = {}

--- Rows by columns.
local ROWS = { [6] = 4, [12] = 8, [24] = 16, [48] = 32 }

--- Cells before the first well: a row's letter, a temperature.
local BEFORE_MOST = 3

--- A grid begins within so many lines, or the file is a table.
local LOOKED_AT_LINES = 300

M.SEPARATORS = { "\t", ",", ";" }

---@class ligase.plate_grid
---@field plate string|nil its name, where the file says one
---@field line integer of the column numbers
---@field rows integer
---@field columns integer
---@field cells {well: string, text: string, line: integer}[] that are not blank, in order
---@field beside string[] what stands beside the wells

-- ---- lines -----------------------------------------------------------------

local function trim(cell)
  return cell:match("^%s*(.-)%s*$")
end

--- The cells of a line, without the quotes around them.
local function split(line, separator)
  local cells, at = {}, 1
  while at do
    local quoted, after = line:match('^%s*"([^"]*)"%s*()', at)
    if quoted and (after > #line or line:sub(after, after) == separator) then
      cells[#cells + 1] = trim(quoted)
      at = after <= #line and after + 1 or nil
    else
      local stop = line:find(separator, at, true)
      cells[#cells + 1] = trim(line:sub(at, stop and stop - 1))
      at = stop and stop + 1
    end
  end
  return cells
end

local function is_blank(cells)
  for _, cell in ipairs(cells) do
    if cell ~= "" then
      return false
    end
  end
  return true
end

--- Where the numbers of all columns of a plate stand in a line: the place before 1, and how many
--- there are.
local function columns_in(cells)
  for before = 0, BEFORE_MOST do
    local count = 0
    while tonumber(cells[before + count + 1]) == count + 1 do
      count = count + 1
    end
    if ROWS[count] then
      return before, count
    end
  end
end

-- ---- one grid --------------------------------------------------------------

local function refuse(state, line, message, hint)
  errors.raise { kind = "input", code = "grid", file = state.shown, line = line, message = message, hint = hint }
end

--- The row that a line's letter names; nil for a line without one.
local function row_named(cells, before)
  for place = 1, before do
    local row = cells[place]:match("^%a%a?$") and wells.place(cells[place] .. "1")
    if row then
      return row
    end
  end
end

local function wells_in(cells, before, count)
  local found, numbers = false, 0
  for column = 1, count do
    local cell = cells[before + column] or ""
    found = found or cell ~= ""
    numbers = numbers + (cell:find("^[+-]?%d") and 1 or 0)
  end
  return found, numbers
end

local function add_row(grid, row, cells, before, line)
  for column = 1, grid.columns do
    local cell = cells[before + column] or ""
    if cell ~= "" then
      grid.cells[#grid.cells + 1] = { well = wells.name(row, column), text = cell, line = line }
    end
  end
  for place = before + grid.columns + 1, #cells do
    grid.beside[#grid.beside + 1] = cells[place] ~= "" and ("%s (line %d)"):format(cells[place], line) or nil
  end
end

--- Reads the rows below a line of column numbers; gives the line after them.
local function read_grid(state, at, before, count)
  local grid = { line = at, columns = count, rows = 0, cells = {}, beside = {} }
  local last, lettered, line = 0, nil, at + 1
  if before == 0 and row_named(split(state.lines[line] or "", state.separator), 1) then
    before = 1 -- no cell stands over the letters
  end
  while state.lines[line] do
    local cells = split(state.lines[line], state.separator)
    local row, any, numbers = row_named(cells, before), wells_in(cells, before, count)
    if not row and (is_blank(cells) or not any or lettered and numbers < 2 or grid.rows == ROWS[count]
      or columns_in(cells)) then
      break
    elseif lettered == nil then
      lettered = row ~= nil
    end
    if lettered ~= (row ~= nil) or row and row <= last then
      refuse(state, line, "the rows of the plate are not one line each, in their order",
        "Export one value per well, or a table with one well per line")
    elseif (row or last + 1) > ROWS[count] then
      refuse(state, line, ("a plate with %d columns has no row %s"):format(count, cells[1]),
        "Check that the block was exported whole")
    end
    last = row or last + 1
    grid.rows = grid.rows + 1
    add_row(grid, last, cells, before, line)
    line = line + 1
  end
  if lettered == false and grid.rows ~= ROWS[count] then
    refuse(state, at, ("the rows below bear no letters, and are %d instead of %d"):format(grid.rows, ROWS[count]),
      "Export all rows of the plate, or their letters")
  elseif grid.rows == 0 then
    refuse(state, at, "there are numbers of columns and no rows of wells below", "Check that the export finished")
  end
  return grid, line
end

-- ---- names -----------------------------------------------------------------

--- The name that a line above a grid gives the plate: what follows "Plate:" or "Barcode:", or
--- "Plate 7" itself.
local function name_in(cells)
  for place, cell in ipairs(cells) do
    local word = cell:lower()
    local label = word:match("^plate%s*%a*%s*:?$") or word:match("^barcode%s*:?$")
    if label then
      return cells[place + 1] ~= "" and cells[place + 1] or nil
    end
    local rest = cell:match("^[Pp][Ll][Aa][Tt][Ee][%a ]*:%s*(%S.*)$") or cell:match("^[Bb]arcode%s*:%s*(%S.*)$")
    if rest or word:find("^plate[%s_#-]*%w*%d") then
      return rest or cell
    elseif cell ~= "" then
      return nil
    end
  end
end

local function plate_above(state, from, at)
  for line = at - 1, from, -1 do
    local name = name_in(split(state.lines[line], state.separator))
    if name then
      return name
    end
  end
end

-- ---- all of them -----------------------------------------------------------

local function lines_of(content)
  local lines, at = {}, 1
  content = content:gsub("^\u{FEFF}", "")
  while at <= #content do
    local stop, after = content:match("()[\r\n]()", at)
    if not stop then
      lines[#lines + 1] = content:sub(at)
      break
    end
    lines[#lines + 1] = content:sub(at, stop - 1)
    at = content:sub(stop, stop) == "\r" and content:sub(after, after) == "\n" and after + 1 or after
  end
  return lines
end

--- The separator by which a file's first lines hold a grid; nil for a file of another kind.
local function separator_of(lines, given)
  for line = 1, math.min(#lines, LOOKED_AT_LINES) do
    for _, separator in ipairs(given and { given } or M.SEPARATORS) do
      if columns_in(split(lines[line], separator)) then
        return separator
      end
    end
  end
end

--- The separator of a grid at the beginning of a file, for a look before all is read.
---@param head string the beginning of the file
---@param given string|nil the separator, when it is known
---@return string|nil separator nil when no plate is printed there
function M.look(head, given)
  return separator_of(lines_of(head), given)
end

--- The plates that are printed in a file.
---@param content string all of it
---@param shown string what people see
---@param given string|nil the separator, when it is known
---@return ligase.plate_grid[] grids
---@return string separator
---@return string[] others the lines that belong to no plate and are not blank
function M.read(content, shown, given)
  local lines = lines_of(content)
  local state = { shown = shown, lines = lines, separator = separator_of(lines, given) }
  local grids, others, line, from = {}, {}, 1, 1
  while state.separator and lines[line] do
    local before, count = columns_in(split(lines[line], state.separator))
    if before then
      local grid, after = read_grid(state, line, before, count)
      grid.plate = plate_above(state, from, line)
      grids[#grids + 1] = grid
      line, from = after, after
    else
      others[#others + 1] = lines[line]:find("[^%s,;]") and lines[line] or nil
      line = line + 1
    end
  end
  return grids, state.separator, others
end

--- The decimal mark of the numbers in grids: the point, unless commas stand in them. Refuses
--- both.
---@param grids ligase.plate_grid[]
---@param shown string
---@return string
function M.decimal(grids, shown)
  local comma, point
  for _, grid in ipairs(grids) do
    for _, cell in ipairs(grid.cells) do
      comma = comma or cell.text:find("^[^%d]*%d+,%d+$") and cell
      point = point or cell.text:find("^[^%d]*%d*%.%d+$") and cell
    end
  end
  if comma and point then
    errors.raise { kind = "input", code = "decimal", file = shown, line = math.max(comma.line, point.line),
      message = ("'%s' has a decimal comma and '%s' a decimal point"):format(text.shown(comma.text, 20),
        text.shown(point.text, 20)), hint = "Say which it is: --decimal , or --decimal ." }
  end
  return comma and "," or "."
end

return M
