--- What the csv specs share: whole tables read at once, and the outcome of reading as
--- one value that can be compared.
local csv = require "csv"
local sys = require "sys"

local M = {}

--- Reads everything a reader yields.
---@param source string|table
---@param options? table what csv.frames takes
---@return table {names, rows (lists of cells), lines (where each row begins), frames (how many), info}
function M.read(source, options)
  local reader <close> = csv.frames(source, options)
  local table_read = { names = reader:names(), rows = {}, lines = {}, frames = 0 }
  for frame in reader do
    table_read.frames = table_read.frames + 1
    for i = 1, #frame do
      table_read.rows[#table_read.rows + 1] = frame:row(i)
      table_read.lines[#table_read.lines + 1] = frame:line(i)
    end
    frame:close()
  end
  table_read.info = reader:info()
  return table_read
end

--- Reads a text.
---@param text string
---@param options? table
---@return table as M.read
function M.text(text, options)
  return M.read({ text = text }, options)
end

--- The error that reading raises.
---@param source string|table
---@param options? table
---@return table error an empty table when nothing was raised
function M.failure(source, options)
  local done, failure = pcall(M.read, source, options)
  return not done and failure or {}
end

--- The error that reading a text raises.
---@param text string
---@param options? table
---@return table error an empty table when nothing was raised
function M.text_failure(text, options)
  return M.failure({ text = text }, options)
end

--- Everything reading gave, table or error, as plain data.
---@param source string|table
---@param options? table
---@return table
function M.outcome(source, options)
  local done, result = pcall(M.read, source, options)
  if done then
    return { names = result.names, rows = result.rows, lines = result.lines, count = result.info.lines,
      encoding = result.info.encoding }
  elseif type(result) ~= "table" then
    error(result, 0)
  end
  return {
    code = result.code, message = result.message, hint = result.hint,
    line = result.line, column = result.column, byte = result.byte,
  }
end

local function print_rows(rows)
  local printed = {}
  for i, row in ipairs(rows) do
    printed[i] = table.concat(row, "\31")
  end
  return table.concat(printed, "\30")
end

--- An outcome, or a list of rows, as text: different ones have different texts, as long as
--- no cell holds the separators of ASCII (0x1D to 0x1F).
---@param outcome table
---@return string
function M.print(outcome)
  if not outcome.rows and not outcome.code then
    return print_rows(outcome)
  elseif outcome.code then
    return table.concat({ outcome.code, outcome.message, outcome.hint or "", outcome.line or "",
      outcome.column or "", outcome.byte or "" }, "\29")
  end
  return table.concat({ print_rows { outcome.names }, print_rows(outcome.rows), print_rows { outcome.lines },
    outcome.count }, "\29")
end

--- The options with some replaced.
---@param options table|nil
---@param changes table
---@return table
function M.with(options, changes)
  local result = {}
  for key, value in pairs(options or {}) do
    result[key] = value
  end
  for key, value in pairs(changes) do
    result[key] = value
  end
  return result
end

--- UTF-8 as UTF-16, without a mark.
---@param text string
---@param order string "<" little-endian, ">" big-endian
---@return string
function M.utf16(text, order)
  local units = {}
  for _, code in utf8.codes(text) do
    if code >= 0x10000 then
      units[#units + 1] = string.pack(order .. "I2", 0xD800 + ((code - 0x10000) >> 10))
      code = 0xDC00 + (code & 0x3FF)
    end
    units[#units + 1] = string.pack(order .. "I2", code)
  end
  return table.concat(units)
end

--- The bytes as gzip(1) packs them.
---@param bytes string
---@return string
function M.gzip(bytes)
  local result = sys.run({ "gzip", "-c" }, { stdin = bytes, timeout_s = 60 })
  assert(result.code == 0, result.stderr)
  return result.stdout
end

return M
