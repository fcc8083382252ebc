--- The words that draw: text for the terminal, or a file when one is named.
---
--- A drawing is made when it is asked for and looked at later: tostring gives its text.
local lazy = require "ligase.base.lazy"
local options_of = require "ligase.base.options"
local series = require "ligase.words.series"
local sys = require "sys"

local M = {}

local chart = lazy "ligase.words.chart"
local picture = lazy "ligase.words.picture"

local Drawing = { __name = "ligase.drawing" }

function Drawing:__tostring()
  return self.text
end

local function drawing(said)
  return setmetatable({ text = said }, Drawing)
end

local function spec_with(more)
  local spec = { width = { type = "integer", min = 20, max = 500 }, title = { type = "string" },
    file = { type = "string" } }
  for name, rule in pairs(more) do
    spec[name] = rule
  end
  return spec
end

local POINTS = spec_with { height = { type = "integer", min = 3, max = 200 } }
local HISTOGRAM = spec_with { bins = { type = "integer", min = 1, max = 1000 } }
local HEAT = spec_with { height = { type = "integer", min = 1, max = 1000 },
  scale = { type = "string", values = { "none", "row", "log" }, default = "none" } }

local function checked(options, spec, name)
  options = options_of.check(options, spec, name)
  options.width = options.width or sys.is_terminal(1) and math.min(100, sys.terminal_width(1)) or nil
  return options
end

local function label(column, otherwise)
  return column ~= nil and type(column) ~= "table" and tostring(column) or otherwise
end

--- Points: plot(frame or rows, "x", "y", options), or plot(xs, ys, options) of two lists.
---@param source any
---@param x any
---@param y any
---@param options {file: string|nil, width: integer|nil, height: integer|nil, title: string|nil}|nil
---@return table drawing
function M.plot(source, x, y, options)
  local xs, ys
  if type(x) == "table" or series.is_column(x) then
    xs, ys, options = series.numbers(source), series.numbers(x), y
    x, y = nil, nil
  else
    xs, ys = series.numbers(source, x), series.numbers(source, y)
  end
  options = checked(options, POINTS, "plot")
  options.x, options.y = label(x, "x"), label(y, "y")
  return drawing(options.file and picture.points(options.file, xs, ys, options) or chart.points(xs, ys, options))
end

--- How often numbers occur: hist(list, options), hist(frame or rows, "column", options).
---@param source any
---@param column any
---@param options {file: string|nil, width: integer|nil, bins: integer|nil, title: string|nil}|nil
---@return table drawing
function M.hist(source, column, options)
  if type(column) == "table" then
    column, options = nil, column
  end
  local values = series.numbers(source, column)
  options = checked(options, HISTOGRAM, "hist")
  if options.file then
    options.x, options.y = label(column, "value"), "count"
    return drawing(picture.histogram(options.file, (chart.bins(values, options.bins)), options))
  end
  return drawing(chart.histogram(values, options))
end

--- A table of numbers as a map of heat: heat(dataset), heat(frame), heat(rows), heat(lists).
--- scale "row" shows each row by its own mean and deviation, "log" the logarithms.
---@param source any
---@param options {file: string|nil, width: integer|nil, height: integer|nil, title: string|nil,
--- scale: "none"|"row"|"log"|nil}|nil
---@return table drawing
function M.heat(source, options)
  options = checked(options, HEAT, "heat")
  local matrix = series.scaled(series.matrix(source), options.scale)
  return drawing(options.file and picture.heat(options.file, matrix, options) or chart.heat(matrix, options))
end

--- The methods head, tail, plot and hist, for frames.
---@param frame_methods table where a frame's methods are
function M.extend(frame_methods)
  frame_methods.head = function(self, count)
    return self:slice(1, math.min(#self, series.count(count, "head")))
  end
  frame_methods.tail = function(self, count)
    return self:slice(math.max(1, #self - series.count(count, "tail") + 1), #self)
  end
  frame_methods.plot = M.plot
  frame_methods.hist = M.hist
end

return M
