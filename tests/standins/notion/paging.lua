--- Lists in pages: `page_size`, `start_cursor`, `next_cursor`, `has_more`.
local failures = require "tests.standins.notion.failures"
local json = require "ligase.base.json"
local world_module = require "tests.standins.notion.world"

local M = {}

local MOST = 100

--- How many results a request wants: from its body when it has one, else from its query.
---@param request table
---@return integer
function M.size(request)
  local raw, path = request.json.page_size, "body.page_size"
  if raw == nil then
    raw, path = request.query.page_size, "query.page_size"
    raw = raw ~= nil and (math.tointeger(tonumber(raw)) or raw) or nil
  end
  if raw == nil then
    return MOST
  elseif math.type(raw) ~= "integer" then
    failures.invalid_at(path, "a number", raw)
  elseif raw > MOST then
    failures.invalid_at(path, ("≤ `%d`"):format(MOST), raw)
  elseif raw < 1 then
    failures.invalid_at(path, "≥ `1`", raw)
  end
  return raw
end

--- Where a request wants to go on, as it was given out before, or nil at the start.
---@param request table
---@return string|nil
function M.cursor(request)
  local raw, path = request.json.start_cursor, "body.start_cursor"
  if raw == nil then
    raw, path = request.query.start_cursor, "query.start_cursor"
  end
  if raw == nil or raw == json.null then
    return nil
  end
  return world_module.checked_id(path, raw)
end

--- Refuses a cursor that was never given out.
---@param cursor string
function M.refuse_cursor(cursor)
  failures.invalid("The start_cursor provided is invalid: " .. cursor)
end

--- One page of a list that is at hand.
---@param request table
---@param count integer how many there are
---@param item function gives the i-th as answers show it
---@param more? table what else the answer holds
---@return table
function M.list(request, count, item, more)
  local size, cursor = M.size(request), M.cursor(request)
  local first = 1
  if cursor then
    -- The place is in the cursor: such lists are short, and nobody looks inside.
    first = tonumber(cursor:sub(-12), 16)
    if cursor:sub(1, 23) ~= "00000000-0000-4000-8000" or first > count then
      M.refuse_cursor(cursor)
    end
  end
  local results = json.array()
  for i = first, math.min(first + size - 1, count) do
    results[#results + 1] = item(i)
  end
  local next_first = first + size
  local answer = { object = "list", results = results, has_more = next_first <= count,
    next_cursor = next_first <= count and ("00000000-0000-4000-8000-%012x"):format(next_first) or json.null }
  for name, value in pairs(more or {}) do
    answer[name] = value
  end
  return answer
end

return M
