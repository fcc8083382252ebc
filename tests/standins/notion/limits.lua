--- The request budget of each connection, and the figures that prove who kept to it.
---
--- As Notion documents it: so many requests in a window of 60 seconds, spent at any pace; a
--- request beyond gets 429 and the time until the window ends. All times are the stand-in's.
local M = {}
M.__index = M

local WINDOW_S = 60

---@class standin.LimitOptions
---@field budget? integer requests in 60 seconds for each token; 0 for no limit
---@field grace_s? number a client cannot know of a Retry-After that is still on its way:
--- requests that come within this time of ours after it was sent are counted apart

---@param world table for its clock
---@param options standin.LimitOptions
---@return table limits
function M.new(world, options)
  return setmetatable({ world = world, budget = options.budget or 180,
    grace_s = options.grace_s or 0.1, connections = {} }, M)
end

local function connection_of(self, token)
  local connection = self.connections[token]
  if not connection then
    connection = { window_start = -math.huge, used = 0, arrivals = {}, first = 1, last = 0, most = 0,
      requests = 0, blocked_until = -math.huge, blocked_at = -math.huge, inside = 0, on_its_way = 0,
      refused = 0 }
    self.connections[token] = connection
  end
  return connection
end

--- Counts how many came within any 60 seconds.
local function count_window(connection, now)
  connection.last = connection.last + 1
  connection.arrivals[connection.last] = now
  while connection.arrivals[connection.first] <= now - WINDOW_S do
    connection.arrivals[connection.first] = nil
    connection.first = connection.first + 1
  end
  connection.most = math.max(connection.most, connection.last - connection.first + 1)
end

--- A request has come: counts it, and says whether it is within the budget.
---@param token string
---@return integer|nil retry_after_s when it is not
function M:arrive(token)
  local connection, now = connection_of(self, token), self.world:now()
  connection.requests = connection.requests + 1
  count_window(connection, now)
  if now < connection.blocked_until then
    local late = now - connection.blocked_at > self.grace_s * self.world.clock
    local name = late and "inside" or "on_its_way"
    connection[name] = connection[name] + 1
  end
  if self.budget == 0 then
    return nil
  end
  if now >= connection.window_start + WINDOW_S then
    connection.window_start, connection.used = now, 0
  end
  connection.used = connection.used + 1
  if connection.used > self.budget then
    connection.refused = connection.refused + 1
    return math.max(1, math.ceil(connection.window_start + WINDOW_S - now))
  end
  return nil
end

--- A Retry-After was sent.
---@param token string
---@param retry_after_s number
function M:sent_retry_after(token, retry_after_s)
  local connection, now = connection_of(self, token), self.world:now()
  connection.blocked_at = now
  connection.blocked_until = math.max(connection.blocked_until, now + retry_after_s)
end

--- The figures, by the last letters of each token, and over all.
---@return table
function M:figures()
  local all = { most_in_60_s = 0, inside_retry_after = 0, inside_retry_after_on_its_way = 0, rate_limited = 0 }
  local by_token = {}
  for token, connection in pairs(self.connections) do
    by_token[token:sub(-6)] = { requests = connection.requests, most_in_60_s = connection.most,
      inside_retry_after = connection.inside, inside_retry_after_on_its_way = connection.on_its_way,
      rate_limited = connection.refused }
    all.most_in_60_s = math.max(all.most_in_60_s, connection.most)
    all.inside_retry_after = all.inside_retry_after + connection.inside
    all.inside_retry_after_on_its_way = all.inside_retry_after_on_its_way + connection.on_its_way
    all.rate_limited = all.rate_limited + connection.refused
  end
  all.by_token = by_token
  return all
end

return M
