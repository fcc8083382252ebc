--- Reports of several small tables under titles, for people.
local output = require "ligase.cli.output"
local pg = require "pg"
local text = require "ligase.base.text"

local M = {}

--- A value that is there; nil for NULL and the empty text.
---@param value any
---@return any
function M.given(value)
  return value ~= nil and value ~= pg.null and value ~= "" and value or nil
end

--- A value as text, "-" when it is not there.
---@param value any
---@return string
function M.or_dash(value)
  local found = M.given(value)
  return found ~= nil and tostring(found) or "-"
end

--- A number with the digits that a person reads.
---@param value number|nil
---@return string "" for none
function M.figure(value)
  if not M.given(value) then
    return ""
  elseif math.type(value) == "integer" then
    return tostring(value)
  end
  return (("%.4g"):format(value):gsub("e([+-])0+(%d)", "e%1%2"))
end

--- Prints a titled table of those columns in which something stands.
---@param title string
---@param rows table[]
---@param columns table[] {header, key or function of a row}
function M.tell(title, rows, columns)
  local header, kept = {}, {}
  for _, column in ipairs(columns) do
    local of = type(column[2]) == "function" and column[2] or function(row)
      return row[column[2]]
    end
    for _, row in ipairs(rows) do
      if M.given(of(row)) ~= nil then
        header[#header + 1], kept[#kept + 1] = column[1], of
        break
      end
    end
  end
  local cells = {}
  for i, row in ipairs(rows) do
    cells[i] = {}
    for j, of in ipairs(kept) do
      local value = M.given(of(row))
      cells[i][j] = value == nil and "" or math.type(value) == "float" and M.figure(value) or tostring(value)
    end
  end
  if #cells > 0 then
    output.write(("\n%s\n%s"):format(title, text.table(cells, { header = header, null = "" })))
  end
end

--- Says how many were left out of a list.
---@param listed integer
---@param count integer of all
---@param what string "dataset"
function M.tell_more(listed, count, what)
  if count > listed then
    output.write(("... and %s; --limit N lists more\n"):format(text.count(count - listed, "more " .. what)))
  end
end

return M
