--- Drawings for a terminal: points as braille dots, bars and heat as block characters.
---
--- Every function gives text of a bounded width; what is missing (false) is left out.
local text = require "ligase.base.text"

local M = {}

--- A terminal of 20 columns is the narrowest that is drawn for.
local NARROWEST, WIDEST = 20, 80

local function short(value)
  return (("%.4g"):format(value):gsub("e%+?(%-?)0*(%d)", "e%1%2"))
end

local function bounds(list)
  local low, high = math.huge, -math.huge
  for _, value in ipairs(list) do
    if value and value > -math.huge and value < math.huge then
      low, high = math.min(low, value), math.max(high, value)
    end
  end
  return low, high
end

local function width_of(options)
  return math.max(NARROWEST, math.min(options.width or WIDEST, 500))
end

--- A title on as many lines as it takes: what is cut may be a number.
local function add_title(lines, title, width)
  for line in text.wrapped(text.printable(title), width, ""):gmatch "[^\n]+" do
    lines[#lines + 1] = text.truncate(line, width)
  end
end

-- ---- points ----------------------------------------------------------------

-- The bit of each dot of a braille character, by column and row.
local DOTS = { { 0x01, 0x02, 0x04, 0x40 }, { 0x08, 0x10, 0x20, 0x80 } }

local function canvas(width, height)
  local cells = {}
  return {
    set = function(x, y) -- dots from 0, y downwards
      local column, row = x // 2, y // 4
      if column >= 0 and column < width and row >= 0 and row < height then
        local at = row * width + column
        cells[at] = (cells[at] or 0) | DOTS[x % 2 + 1][y % 4 + 1]
      end
    end,
    line = function(row)
      local characters = {}
      for column = 0, width - 1 do
        local bits = cells[row * width + column]
        characters[column + 1] = bits and utf8.char(0x2800 + bits) or " "
      end
      return table.concat(characters)
    end,
  }
end

local function place(value, low, high, dots)
  return high > low and math.floor((value - low) / (high - low) * (dots - 1) + 0.5) or dots // 2
end

--- Points of y over x.
---@param xs (number|false)[]
---@param ys (number|false)[]
---@param options {width: integer|nil, height: integer|nil, title: string|nil, x: string|nil, y: string|nil}
---@return string
function M.points(xs, ys, options)
  local x_list, y_list = {}, {}
  for i = 1, math.min(#xs, #ys) do
    if xs[i] and ys[i] and math.abs(xs[i]) < math.huge and math.abs(ys[i]) < math.huge then
      x_list[#x_list + 1], y_list[#y_list + 1] = xs[i], ys[i]
    end
  end
  if #x_list == 0 then
    return "(no points)\n"
  end
  local width, height = width_of(options), options.height or 15
  local x_low, x_high = bounds(x_list)
  local y_low, y_high = bounds(y_list)
  local top, bottom = short(y_high), short(y_low)
  local margin = math.max(#top, #bottom)
  local columns = width - margin - 2
  local dots = canvas(columns, height)
  for i, x in ipairs(x_list) do
    dots.set(place(x, x_low, x_high, columns * 2), height * 4 - 1 - place(y_list[i], y_low, y_high, height * 4))
  end
  local title = options.title or ("%s over %s, %s"):format(options.y or "y", options.x or "x",
    text.count(#x_list, "point"))
  local lines = {}
  add_title(lines, title, width)
  for row = 0, height - 1 do
    local label = row == 0 and top or row == height - 1 and bottom or ""
    lines[#lines + 1] = ("%s%s \u{2502}%s"):format((" "):rep(margin - #label), label, dots.line(row):gsub(" +$", ""))
  end
  local left, right = short(x_low), short(x_high)
  lines[#lines + 1] = (" "):rep(margin) .. " \u{2514}" .. ("\u{2500}"):rep(columns)
  if #left + 1 + #right <= columns then
    lines[#lines + 1] = (" "):rep(margin + 2) .. left .. (" "):rep(columns - #left - #right) .. right
  else
    lines[#lines + 1] = (" "):rep(math.min(margin + 2, width - #left)) .. left
    lines[#lines + 1] = (" "):rep(width - #right) .. right
  end
  return table.concat(lines, "\n") .. "\n"
end

-- ---- bars ------------------------------------------------------------------

-- A block of one eighth of a character's width, two eighths, ...
local EIGHTHS = { "\u{258F}", "\u{258E}", "\u{258D}", "\u{258C}", "\u{258B}", "\u{258A}", "\u{2589}", "\u{2588}" }

local function bar(share, columns)
  local eighths = math.floor(share * columns * 8 + 0.5)
  if share > 0 and eighths == 0 then
    eighths = 1
  end
  return EIGHTHS[8]:rep(eighths // 8) .. (EIGHTHS[eighths % 8] or "")
end

--- How many bins numbers fall into: as many as Sturges' rule says, at most 20.
local function bin_count(n)
  return math.max(1, math.min(20, math.ceil(math.log(n, 2)) + 1))
end

--- Sorts numbers into bins of equal width.
---@param values (number|false)[]
---@param bins integer|nil how many
---@return {low: number, high: number, count: integer}[] bins
---@return integer n how many numbers there were
function M.bins(values, bins)
  local low, high = bounds(values)
  local numbers = {}
  for _, value in ipairs(values) do
    numbers[#numbers + 1] = value and math.abs(value) < math.huge and value or nil
  end
  if #numbers == 0 then
    return {}, 0
  end
  local count = low == high and 1 or bins or bin_count(#numbers)
  local step, found = (high - low) / count, {}
  for i = 1, count do
    found[i] = { low = low + (i - 1) * step, high = i == count and high or low + i * step, count = 0 }
  end
  for _, value in ipairs(numbers) do
    local bin = found[step > 0 and math.min(count, (value - low) // step + 1) or 1]
    bin.count = bin.count + 1
  end
  return found, #numbers
end

--- How often numbers occur: one line for each bin.
---@param values (number|false)[]
---@param options {width: integer|nil, bins: integer|nil, title: string|nil}
---@return string
function M.histogram(values, options)
  local bins, n = M.bins(values, options.bins)
  if n == 0 then
    return "(no numbers)\n"
  end
  local width, most, label_width = width_of(options), 0, 0
  local labels = {}
  for i, bin in ipairs(bins) do
    labels[i] = short(bin.low)
    label_width, most = math.max(label_width, #labels[i]), math.max(most, bin.count)
  end
  local columns = math.max(1, width - label_width - #tostring(most) - 3)
  local lines = {}
  add_title(lines, options.title or ("%s from %s to %s"):format(text.count(n, "number"), short(bins[1].low),
    short(bins[#bins].high)), width)
  for i, bin in ipairs(bins) do
    lines[#lines + 1] = ("%s%s \u{2502}%s %d"):format((" "):rep(label_width - #labels[i]), labels[i],
      bar(bin.count / most, columns), bin.count)
  end
  return table.concat(lines, "\n") .. "\n"
end

-- ---- heat ------------------------------------------------------------------

local SHADES = { " ", "\u{2591}", "\u{2592}", "\u{2593}", "\u{2588}" }
local MISSING = "\u{00B7}"

--- The first and last of the `count` entries that share place `i` of `places`.
local function span(i, places, count)
  return (i - 1) * count // places + 1, math.max((i - 1) * count // places + 1, i * count // places)
end

local function mean_of(values, first_row, last_row, first, last)
  local sum, n = 0, 0
  for row = first_row, last_row do
    for column = first, last do
      local value = values[row][column]
      if value and math.abs(value) < math.huge then
        sum, n = sum + value, n + 1
      end
    end
  end
  return n > 0 and sum / n or nil
end

--- The table made so small that it fits: means of neighbours.
local function shrunk(values, rows, columns)
  local small = {}
  for i = 1, rows do
    local first_row, last_row = span(i, rows, #values)
    small[i] = {}
    for j = 1, columns do
      local first, last = span(j, columns, #values[1])
      small[i][j] = mean_of(values, first_row, last_row, first, last) or false
    end
  end
  return small
end

local function shade(value, low, high)
  if not value then
    return MISSING
  end
  local share = high > low and (value - low) / (high - low) or 0.5
  return SHADES[math.min(#SHADES, math.floor(share * #SHADES) + 1)]
end

--- What the shades mean, on one line where it fits.
local function add_legend(lines, low, high, width)
  local missing = MISSING .. " missing"
  local scale = low <= high and ("%s %s %s"):format(short(low), table.concat(SHADES), short(high)) or "no numbers"
  local parts = { scale, missing }
  if text.width(scale) > width then
    parts = { table.concat(SHADES), "lowest " .. short(low), "highest " .. short(high), missing }
  end
  local line = table.concat(parts, ", ")
  table.move(text.width(line) <= width and { line } or parts, 1, #parts, #lines + 1, lines)
end

--- A table of numbers as shades, the darkest the lowest. Of a table larger than the terminal
--- neighbours share a character, by their mean.
---@param matrix ligase.matrix
---@param options {width: integer|nil, height: integer|nil, title: string|nil}
---@return string
function M.heat(matrix, options)
  local values, width = matrix.values, width_of(options)
  local rows = math.min(#values, options.height or 30)
  local is_whole = rows == #values
  local margin = 0
  for i = 1, is_whole and matrix.rows and rows or 0 do
    margin = math.max(margin, math.min(text.width(text.printable(matrix.rows[i])), width // 3))
  end
  local room = width - margin - (margin > 0 and 1 or 0)
  local columns = math.min(#values[1], room)
  local cell = math.max(1, math.min(3, room // columns))
  local small = shrunk(values, rows, columns)
  local low, high = math.huge, -math.huge
  for _, row in ipairs(small) do
    local row_low, row_high = bounds(row)
    low, high = math.min(low, row_low), math.max(high, row_high)
  end
  local lines = {}
  add_title(lines, options.title or ("%s, %s"):format(text.count(#values, "row"), text.count(#values[1], "column")),
    width)
  for i, row in ipairs(small) do
    local label = ""
    if margin > 0 then
      label = text.shown(matrix.rows[i], margin)
      label = label .. (" "):rep(margin - text.width(label) + 1)
    end
    local shades = {}
    for j, value in ipairs(row) do
      shades[j] = shade(value, low, high):rep(cell)
    end
    lines[#lines + 1] = label .. table.concat(shades)
  end
  add_legend(lines, low, high, width)
  return table.concat(lines, "\n") .. "\n"
end

return M
