--- Rows of a query, with what a person does with them: a list of tables by column name.
local drawing = require "ligase.words.drawing"
local errors = require "ligase.base.errors"
local series = require "ligase.words.series"

local M = {}

---@class ligase.rows: table[]
---@field columns {name: string, type: string}[]
---@field command string
---@field affected integer|nil
local Rows = {}
Rows.__index = Rows
Rows.__name = "ligase.rows"

--- Makes rows of a result of conn:query; the result itself becomes them.
---@param result table
---@return ligase.rows
function M.new(result)
  return setmetatable(result, Rows)
end

--- Whether a value is rows of a query.
---@param value any
---@return boolean
function M.is_rows(value)
  return type(value) == "table" and getmetatable(value) == Rows
end

local function part(self, first, last)
  local some = table.move(self, first, last, 1, {})
  some.columns = self.columns
  return M.new(some)
end

--- The first rows.
---@param count integer|nil 10 without it
---@return ligase.rows
function Rows:head(count)
  return part(self, 1, math.min(#self, series.count(count, "head")))
end

--- The last rows.
---@param count integer|nil 10 without it
---@return ligase.rows
function Rows:tail(count)
  return part(self, math.max(1, #self - series.count(count, "tail") + 1), #self)
end

--- One column as a list.
---@param name string
---@return any[]
function Rows:column(name)
  local known = false
  for _, each in ipairs(series.column_names(self)) do
    known = known or each == name
  end
  if not known then
    errors.raise({ kind = "usage", code = "column", message = ("there is no column '%s'"):format(tostring(name)),
      hint = "Columns: " .. table.concat(series.column_names(self), ", ") }, 2)
  end
  local values = {}
  for i, row in ipairs(self) do
    values[i] = row[name]
  end
  return values
end

--- Points of one column over another.
---@param x string
---@param y string
---@param options table|nil as for the word plot
---@return table drawing
function Rows:plot(x, y, options)
  return drawing.plot(self, x, y, options)
end

--- How often the numbers of a column occur.
---@param column string
---@param options table|nil as for the word hist
---@return table drawing
function Rows:hist(column, options)
  return drawing.hist(self, column, options)
end

return M
