--- So many requests in a minute and no more, for one process: where there is no Postgres in
--- which all processes together could keep their budget.
local sys = require "sys"

local M = {}

local WINDOW_S = 60

---@class ligase.Pace
---@field per_minute integer
---@field times number[] when the last requests were allowed, as a ring
---@field at integer where the oldest is
---@field closed_until number
local Pace = {}
Pace.__index = Pace

--- A pace of that many requests in any 60 seconds. `clock` and `sleep` are those of sys unless
--- a test has its own.
---@param per_minute integer
---@param options? {clock?: (fun(): number), sleep?: fun(seconds: number)}
---@return ligase.Pace
function M.new(per_minute, options)
  options = options or {}
  return setmetatable({ per_minute = per_minute, times = {}, at = 1, closed_until = 0,
    clock = options.clock or sys.monotonic, sleep = options.sleep or sys.sleep }, Pace)
end

--- Waits until the next request may go, and counts it.
---@param timeout_s? number for ever without it
---@return boolean taken false when it would take longer
function Pace:acquire(timeout_s)
  local oldest = self.times[self.at]
  local from = math.max(self.closed_until, oldest and oldest + WINDOW_S or 0)
  local now = self.clock()
  if timeout_s and from - now > timeout_s then
    return false
  end
  while now < from do
    self.sleep(from - now)
    now = self.clock()
  end
  self.times[self.at] = now
  self.at = self.at % self.per_minute + 1
  return true
end

--- Takes note that the service wants nothing for some seconds.
---@param answer {retry_after_s: number|nil}
function Pace:answered(answer)
  if answer.retry_after_s then
    self.closed_until = math.max(self.closed_until, self.clock() + answer.retry_after_s)
  end
end

return M
