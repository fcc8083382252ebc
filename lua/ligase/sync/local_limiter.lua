--- A rate limiter of one process, for when there is no Postgres to share one: requests keep
--- their distance, and nothing is sent before the other system wants to be asked again.
local sys = require "sys"

local M = {}

---@class ligase.local_limiter
---@field distance_s number
---@field next_at number on the monotonic clock
local Limiter = {}
Limiter.__index = Limiter

--- A limiter.
---@param per_minute number
---@return ligase.local_limiter
function M.new(per_minute)
  return setmetatable({ distance_s = 60 / per_minute, next_at = 0 }, Limiter)
end

--- Waits for a turn.
---@return boolean true
function Limiter:acquire()
  local now = sys.monotonic()
  local at = math.max(now, self.next_at)
  self.next_at = at + self.distance_s
  while now < at do
    sys.sleep(at - now)
    now = sys.monotonic()
  end
  return true
end

--- Takes note of what an answer says.
---@param answer {retry_after_s: number|nil}
function Limiter:answered(answer)
  if answer.retry_after_s then
    self.next_at = math.max(self.next_at, sys.monotonic() + answer.retry_after_s)
  end
end

return M
