--- Numbers and tables out of whatever a person has at hand: lists, columns, frames, rows
--- of a query.
local errors = require "ligase.base.errors"
local host = require "host"
local numbers = require "ligase.base.numbers"
local text = require "ligase.base.text"

local M = {}

local function class_of(value)
  local meta = type(value) == "userdata" and getmetatable(value)
  return type(meta) == "table" and meta.__name or nil
end

--- Whether a value is a frame.
---@param value any
---@return boolean
function M.is_frame(value)
  return class_of(value) == "ligase.frame"
end

--- Whether a value is a column of a frame.
---@param value any
---@return boolean
function M.is_column(value)
  return class_of(value) == "ligase.column"
end

local function refuse(message, hint)
  errors.raise({ kind = "usage", code = "values", message = message, hint = hint }, 3)
end

--- How many rows are asked for: 10 without a number. Raises "usage" for what is none.
---@param count any
---@param word string who asks
---@return integer
function M.count(count, word)
  local whole = count == nil and 10 or math.type(count) and math.tointeger(count)
  if not whole or whole < 0 then
    refuse(("%s needs a number of rows, not %s"):format(word, text.shown(tostring(count), 40)),
      ("Example: :%s(5)"):format(word))
  end
  return whole
end

--- A number, or nil for what is missing or none.
local function number_of(value)
  if type(value) == "string" then
    value = tonumber(value)
  end
  return type(value) == "number" and value == value and value or nil
end

--- The names of the columns that the rows have, in an order that does not change: as the
--- query gave them, else sorted with the name first.
---@param rows table
---@return string[]
function M.column_names(rows)
  local names, seen = {}, {}
  local columns = rawget(rows, "columns")
  if type(columns) == "table" then
    for i, column in ipairs(columns) do
      names[i] = column.name
    end
    return names
  end
  for _, row in ipairs(rows) do
    for name in pairs(row) do
      if not seen[name] then
        seen[name] = true
        names[#names + 1] = name
      end
    end
  end
  table.sort(names, function(a, b)
    if (a == "name") ~= (b == "name") then
      return a == "name"
    end
    return tostring(a) < tostring(b)
  end)
  return names
end

local function column_of_rows(rows, name)
  local values, seen = {}, false
  for i, row in ipairs(rows) do
    local value = row[name]
    seen = seen or value ~= nil
    values[i] = number_of(value) or false
  end
  if not seen then
    local names = M.column_names(rows)
    for i, each in ipairs(names) do
      names[i] = tostring(each)
    end
    local near = text.nearest(tostring(name), names)
    refuse(("there is no column '%s'"):format(text.shown(tostring(name), 60)), near and ("Did you mean '%s'?")
      :format(near) or "Columns: " .. text.shown(table.concat(names, ", "), 300))
  end
  return values
end

local function list_of(values)
  local list = {}
  for i = 1, #values do
    list[i] = number_of(values[i]) or false
  end
  return list
end

--- The numbers of a list, of a column, or of one column of a frame or of rows. Raises
--- "usage" when there is not one among them.
---@param source any a dataset stands for its frame
---@param column string|integer|nil of a frame or of rows
---@return (number|false)[] values false where one is missing
function M.numbers(source, column)
  local values
  if type(source) == "table" and type(source.frame) == "function" then
    source = source:frame()
  end
  if M.is_frame(source) then
    if column == nil then
      refuse("no column of the frame is named", "Columns: " .. text.shown(table.concat(source:names(), ", "), 300))
    end
    values = list_of(source:number(column):values())
  elseif M.is_column(source) then
    values = list_of(source:values())
  elseif type(source) ~= "table" then
    refuse(("a %s holds no numbers"):format(type(source)), "Give a list, a column, or a frame or rows with a column")
  elseif column ~= nil then
    values = column_of_rows(source, column)
  else
    values = list_of(source)
  end
  for _, value in ipairs(values) do
    if value then
      return values
    end
  end
  refuse(column ~= nil and ("there are no numbers in '%s'"):format(text.shown(tostring(column), 60))
    or "there are no numbers", "Give a list, a column, or a frame or rows with a column")
end

---@class ligase.matrix
---@field values (number|false)[][] rows of numbers
---@field rows string[]|nil their names
---@field columns string[]|nil

--- Of a frame: its columns of numbers, and the first one that is none for names.
local function matrix_of_frame(frame)
  local matrix, columns = { values = {}, columns = {} }, {}
  for place, profile in ipairs(frame:profile()) do
    if profile.number + profile.code + profile.rounded > 0 and profile.misfit == 0 then
      matrix.columns[#matrix.columns + 1] = frame:names()[place]
      columns[#columns + 1] = list_of(frame:number(place):values())
    elseif not matrix.rows then
      matrix.rows = {}
      for i, name in ipairs(frame:text(place):values()) do
        matrix.rows[i] = name ~= host.null and name or ""
      end
    end
  end
  for row = 1, #frame do
    local values = {}
    for i, column in ipairs(columns) do
      values[i] = column[row]
    end
    matrix.values[row] = values
  end
  return matrix
end

local function matrix_of_rows(rows)
  local matrix, names = { values = {}, columns = {}, rows = nil }, M.column_names(rows)
  local is_number = {}
  for _, name in ipairs(names) do
    for _, row in ipairs(rows) do
      if row[name] ~= nil and row[name] ~= host.null then
        is_number[name] = number_of(row[name]) ~= nil
        break
      end
    end
  end
  for _, name in ipairs(names) do
    if is_number[name] then
      matrix.columns[#matrix.columns + 1] = name
    elseif not matrix.rows then
      matrix.rows = {}
      for i, row in ipairs(rows) do
        matrix.rows[i] = tostring(row[name])
      end
    end
  end
  for i, row in ipairs(rows) do
    local values = {}
    for place, name in ipairs(matrix.columns) do
      values[place] = number_of(row[name]) or false
    end
    matrix.values[i] = values
  end
  return matrix
end

--- A table of numbers: of a list of lists, a frame, rows of a query, or of what has a
--- `matrix` method (a dataset). Raises "usage" when there are none.
---@param source any
---@return ligase.matrix
function M.matrix(source)
  local matrix
  if M.is_frame(source) then
    matrix = matrix_of_frame(source)
  elseif type(source) == "table" and type(source.matrix) == "function" then
    matrix = source:matrix()
  elseif type(source) == "table" and type(source.values) == "table" then
    matrix = source
  elseif type(source) == "table" and type(source[1]) == "table" then
    if source[1][1] ~= nil then
      matrix = { values = {} }
      for i, row in ipairs(source) do
        matrix.values[i] = list_of(row)
      end
    else
      matrix = matrix_of_rows(source)
    end
  end
  if not matrix or not matrix.values[1] or #matrix.values[1] == 0 then
    refuse("there is no table of numbers", "Give a dataset, a frame, rows of a query or a list of lists of numbers")
  end
  return matrix
end

local function is_finite(value)
  return value and math.abs(value) < math.huge
end

local scales = {}

function scales.row(row)
  local finite = {}
  for _, value in ipairs(row) do
    finite[#finite + 1] = is_finite(value) and value or nil
  end
  local summary = numbers.summary(finite)
  return function(value)
    return (summary.sd or 0) > 0 and (value - summary.mean) / summary.sd or 0
  end
end

function scales.log()
  return function(value)
    return value > 0 and math.log(value, 2)
  end
end

--- The same table on another scale: "row" takes each row's mean from it and divides by its
--- standard deviation, "log" takes logarithms to the base 2 (of what is positive).
---@param matrix ligase.matrix
---@param scale "none"|"row"|"log"
---@return ligase.matrix
function M.scaled(matrix, scale)
  if scale == "none" then
    return matrix
  end
  local values = {}
  for i, row in ipairs(matrix.values) do
    local change = scales[scale](row)
    values[i] = {}
    for j, value in ipairs(row) do
      values[i][j] = is_finite(value) and change(value)
    end
  end
  return { values = values, rows = matrix.rows, columns = matrix.columns }
end

return M
