--- Rows out as CSV, TSV or JSON lines.
---
--- Quoting follows RFC 4180: a field that holds the separator, a quote mark or a line
--- end is quoted, a quote mark inside is doubled. Fields are written as they stand;
--- `excel_safe` puts an apostrophe before text that a spreadsheet would run as a
--- formula (it begins with = + - @ and is no number).
local errors = require "ligase.base.errors"

local M = {}

local SEPARATORS = { csv = ",", tsv = "\t" }

--- Numbers begin with + or - too and are left alone, whatever their decimal mark.
local function formula_guarded(text)
  if text:find("^[=+@\t\r\n-]") and not text:find("^[-+]?%d*[.,]?%d+[eE]?[-+]?%d*$")
    and not text:find("^[-+]?[iI][nN][fF]") then
    return "'" .. text
  end
  return text
end

---@class ligase.csv_writer
local Writer = {}
Writer.__index = Writer

--- A writer of separated text. Raises "usage" for another format.
---@param out file* or anything with a write method that returns nil, message on failure
---@param format string "csv" or "tsv"
---@param options table|nil {excel_safe = boolean}
---@return ligase.csv_writer
function M.new(out, format, options)
  local separator = SEPARATORS[format]
  if not separator then
    errors.raise({ kind = "usage", code = "format", message = ("there is no format '%s'"):format(tostring(format)),
      hint = "The formats are csv and tsv" }, 2)
  end
  return setmetatable({
    out = out, separator = separator, special = '["\r\n' .. separator .. "]",
    excel_safe = options and options.excel_safe,
  }, Writer)
end

--- Writes one record.
---@param fields string[]
function Writer:row(fields)
  local cells = {}
  for i = 1, #fields do
    local text = fields[i]
    if self.excel_safe then
      text = formula_guarded(text)
    end
    if text:find(self.special) then
      text = '"' .. text:gsub('"', '""') .. '"'
    end
    cells[i] = text
  end
  -- A record of one empty field would be a blank line, which readers skip.
  local line = table.concat(cells, self.separator)
  M.write(self.out, (line == "" and '""' or line) .. "\n")
end

local function check(done, why, code)
  if not done then
    errors.raise { kind = "system", code = "write", message = "cannot write the output: " .. tostring(why),
      errno = code, hint = "Is the disk full, or was the reading end of a pipe closed?" }
  end
end

--- Writes text and raises when it cannot be written (a full disk, a closed pipe).
---@param out file*
---@param text string
function M.write(out, text)
  check(out:write(text))
end

--- Writes out what is held back, and raises when it cannot be written.
---@param out file*
function M.flush(out)
  check(out:flush())
end

return M
