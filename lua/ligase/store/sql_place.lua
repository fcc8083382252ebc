--- Where in a piece of SQL the server found a mistake, as line and column.
local errors = require "ligase.base.errors"

local M = {}

--- What is said of more than one statement at once.
M.SEVERAL = "there is more than one statement"

--- Adds the place to a failure of the database.
---@param failure any what was raised
---@param sql string as the person wrote it
---@param name string what it is called, instead of a file
---@param offset integer|nil how many characters we put before it
---@return any failure the same
function M.locate(failure, sql, name, offset)
  if not errors.is(failure, "database") then
    return failure
  end
  offset = offset or 0
  local position = math.tointeger(failure.position)
  local byte = position and position > offset and utf8.offset(sql, position - offset)
  if byte then
    local before = sql:sub(1, byte - 1)
    failure.file, failure.line = name, select(2, before:gsub("\n", "")) + 1
    failure.column = utf8.len(before:match("[^\n]*$")) + 1
  end
  if failure.message:find("multiple commands", 1, true) then
    failure.message = M.SEVERAL
    failure.hint = "Run them one by one"
  end
  return failure
end

return M
