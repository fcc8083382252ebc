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

--- A table of numbers by colour.
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
  return write(path, options, lines, "set yrange [*:*] reverse\nplot $data matrix with image notitle")
end

return M
