--- Rows of a query of any size, read in pieces.
local M = {}

--- So many values, and rows, are held in memory at once.
local VALUES_AT_ONCE, ROWS_AT_ONCE = 200000, 5000

--- Runs a SELECT and gives its rows one by one. It runs in a transaction of its own, which
--- sees one state of the database and ends with the last row, or when the loop is left.
---@param conn table with no open transaction
---@param sql string
---@param width integer how many values a row has, for the memory that rows take
---@return fun(): table|nil iterator over rows by column
---@return nil
---@return nil
---@return table closing for a generic for: ends the transaction
function M.rows(conn, sql, width)
  conn:begin()
  local open = true
  local closing = setmetatable({}, { __close = function()
    if open then
      open = false
      pcall(conn.rollback, conn)
    end
  end })
  conn:query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
  conn:query("DECLARE rows_in_pieces NO SCROLL CURSOR FOR " .. sql)
  local count = math.max(1, math.min(ROWS_AT_ONCE, VALUES_AT_ONCE // math.max(1, width)))
  local fetch = ("FETCH %d FROM rows_in_pieces"):format(count)
  local rows, at = conn:query(fetch), 0
  return function()
    if at == #rows then
      rows, at = open and conn:query(fetch) or {}, 0
      if #rows == 0 then
        if open then
          open = false
          conn:commit()
        end
        return nil
      end
    end
    at = at + 1
    return rows[at]
  end, nil, nil, closing
end

return M
