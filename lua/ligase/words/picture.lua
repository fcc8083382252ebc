--- Drawings as PNG or SVG files, by gnuplot.
local errors = require "ligase.base.errors"
local sys = require "sys"
local text = require "ligase.base.text"

local M = {}

local TERMINALS = { png = "pngcairo size 1000,700", svg = "svg size 1000,700" }
local PATIENCE_S = 120

local function quoted(s)
  return "'" .. text.printable(s):gsub("'", "''") .. "'"
end

local function terminal_of(path)
  local ending = path:match("%.(%a+)$")
  local terminal = ending and TERMINALS[ending:lower()]
  if not terminal then
    errors.raise { kind = "usage", code = "picture", message = ("'%s' names neither a PNG nor an SVG file")
      :format(text.printable(path)), hint = "End it with .png or .svg" }
  end
  return terminal
end

local function run(script)
  local started, result = pcall(sys.run, { "gnuplot" }, { stdin = script, timeout_s = PATIENCE_S })
  if not started then
    if errors.is(result, "system") and result.code == "ENOENT" then
      errors.raise { kind = "system", code = "gnuplot",
        message = "pictures are drawn by gnuplot, which is not installed",
        hint = "Install it (on Debian: apt install gnuplot-nox), or leave `file` out to draw in the terminal" }
    end
    error(result, 0)
  elseif result.code ~= 0 then
    errors.raise { kind = "system", code = "gnuplot", message = "gnuplot could not draw the picture",
      detail = text.shown(result.stderr:gsub("^%s+", ""):gsub("%s+$", ""), 300), hint = "Can the file be written?" }
  end
end

local function number(value)
  return value and math.abs(value) < math.huge and ("%.17g"):format(value) or "NaN"
end

--- Writes the file and says so.
local function write(path, options, lines, plot)
  local script = { "set terminal " .. terminal_of(path), "set output " .. quoted(path), "set termoption noenhanced",
    "set title " .. quoted(options.title or "") }
  for label, value in pairs { xlabel = options.x, ylabel = options.y } do
    script[#script + 1] = ("set %s %s"):format(label, quoted(value))
  end
  script[#script + 1] = "$data << LIGASE_END"
  table.move(lines, 1, #lines, #script + 1, script)
  script[#script + 1] = "LIGASE_END"
  script[#script + 1] = plot
  run(table.concat(script, "\n") .. "\n")
  return ("wrote %s\n"):format(text.printable(path))
end

--- Points of y over x.
---@param path string ends with .png or .svg
---@param xs (number|false)[]
---@param ys (number|false)[]
---@param options {title: string|nil, x: string|nil, y: string|nil}
---@return string said
function M.points(path, xs, ys, options)
  local lines = {}
  for i = 1, math.min(#xs, #ys) do
    lines[i] = number(xs[i]) .. " " .. number(ys[i])
  end
  return write(path, options, lines, "plot $data using 1:2 with points pt 7 ps 0.6 notitle")
end

--- How often numbers occur.
---@param path string
---@param bins {low: number, high: number, count: integer}[]
---@param options {title: string|nil, x: string|nil, y: string|nil}
---@return string said
function M.histogram(path, bins, options)
  local lines = {}
  for i, bin in ipairs(bins) do
    lines[i] = ("%s %d %s"):format(number((bin.low + bin.high) / 2), bin.count, number(bin.high - bin.low))
  end
  return write(path, options, lines, "set style fill solid 0.7 border\nset yrange [0:*]\n"
    .. "plot $data using 1:2:3 with boxes notitle")
end

--- Names that an axis has room for; of more, every second, third, ... is written.
local TICKS_MOST = 50

--- Colours that differ in brightness too, for print and for eyes that tell no red from green.
local PALETTE = "set palette defined (0 '#440154', 1 '#3b528b', 2 '#21918c', 3 '#5ec962', 4 '#fde725')"

--- Writes names along an axis; without names there are numbers.
local function ticks(axis, names, count)
  if not names then
    return ("set %stics out nomirror"):format(axis)
  end
  local step, places = math.ceil(count / TICKS_MOST), {}
  for i = 1, count, step do
    places[#places + 1] = ("%s %d"):format(quoted(text.shown(tostring(names[i]), 24)), i - 1)
  end
  return ("set %stics out nomirror font ',9' %s (%s)"):format(axis, axis == "x" and "rotate by 90 right" or "",
    table.concat(places, ", "))
end

--- A table of numbers by colour, with the names of its rows and columns.
---@param path string
---@param matrix ligase.matrix
---@param options {title: string|nil, x: string|nil, y: string|nil}
---@return string said
function M.heat(path, matrix, options)
  local lines = {}
  for i, row in ipairs(matrix.values) do
    local numbers = {}
    for j, value in ipairs(row) do
      numbers[j] = number(value)
    end
    lines[i] = table.concat(numbers, " ")
  end
  local rows, columns = #matrix.values, #matrix.values[1]
  return write(path, options, lines, table.concat({ PALETTE, ticks("x", matrix.columns, columns),
    ticks("y", matrix.rows, rows), ("set xrange [-0.5:%d.5]"):format(columns - 1),
    ("set yrange [%d.5:-0.5]"):format(rows - 1), "plot $data matrix with image notitle" }, "\n"))
end

return M
