--- For the specs of formats: reads a file by its format, without a database, and with
--- Python what the same section holds.
local json = require "ligase.base.json"
local opening = require "ligase.omics.opening"
local support = require "tests.support"

local M = {}

--- Reads the rows; people know the file and not its copy.
local function read_rows(opened, result)
  local reader <close> = opened:reader {}
  result.header = table.move(reader:names(), 1, #reader:names(), 1, {})
  for frame in reader do
    for i = 1, #frame do
      result.rows[#result.rows + 1] = frame:row(i)
    end
    frame:close()
  end
  result.header_line = reader:info().header_line
end

--- Reads a file as the pipeline does: recognised, placed, its rows read.
---@param path string
---@param given table|nil answers for the dialect
---@param format string|nil the format that it is said to be
---@return table {name, sureness, header, rows, header_line, roles, about, doubts, flags, placement}
function M.read(path, given, format)
  local opened <close> = opening.open({ path = path, shown = path }, given or {}, format)
  assert(opened.recognition, "no format recognises " .. path)
  local placed = opened.placement or {}
  local result = { name = opened.recognition.format.name, sureness = opened.recognition.sureness,
    doubts = placed.doubts or {}, rows = {}, about = opened:findings().about, placement = placed,
    roles = opened.roles, flags = opened.flags }
  local done, failure = pcall(read_rows, opened, result)
  if not done then
    if type(failure) == "table" and failure.file == opened.path then
      failure.file = path
    end
    error(failure, 0)
  end
  return result
end

--- The failure that reading a file ends with.
---@param content string
---@param name string the file's name
---@param given table|nil
---@param format string|nil
---@return table error
function M.refused(content, name, given, format)
  local path = support.tmpfile(content, name)
  local done, failure = pcall(M.read, path, given, format)
  assert(not done, "the file was read")
  assert(type(failure) == "table" and failure.message, tostring(failure))
  assert(failure.hint, "a refusal must say what to do: " .. tostring(failure))
  assert(failure.file == path, "a refusal must name the file")
  return failure
end

--- A table as Python reads it: the code fills `out` = [header, row, row, ...] from the
--- lines `lines` (list of str, without their ends) and the path `path`.
---@param path string
---@param code string
---@return string[] header, string[][] rows
function M.by_python(path, code)
  local text = support.python("import sys, json, csv\npath = sys.argv[1]\n"
    .. "lines = open(path, encoding='utf-8', newline='').read().replace('\\r\\n', '\\n').split('\\n')\n"
    .. "out = []\n" .. code .. "\nprint(json.dumps(out))", { path })
  local rows = json.decode(text, { max_bytes = 64 << 20 })
  return table.remove(rows, 1), rows
end

--- Header and rows are the same, cell for cell.
---@param result table from read
---@param header string[]
---@param rows string[][]
function M.assert_same(result, header, rows)
  assert(#header == #result.header, ("%d columns instead of %d"):format(#result.header, #header))
  assert(#rows == #result.rows, ("%d rows instead of %d"):format(#result.rows, #rows))
  for i, name in ipairs(header) do
    assert(name == result.header[i], ("header %d is %q, not %q"):format(i, result.header[i], name))
  end
  for at, row in ipairs(rows) do
    assert(#row == #result.rows[at], ("row %d has %d cells instead of %d"):format(at, #result.rows[at], #row))
    for i, cell in ipairs(row) do
      if cell ~= result.rows[at][i] then
        error(("row %d, column %d is %q, not %q"):format(at, i, result.rows[at][i], cell), 2)
      end
    end
  end
end

--- How many columns have a role.
---@param result table from read
---@param role string
---@return integer
function M.count(result, role)
  local count = 0
  for _, column in pairs(result.roles or {}) do
    count = count + (column.role == role and 1 or 0)
  end
  return count
end

return M
