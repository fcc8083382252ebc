--- A budget of requests that all workers of a workspace keep together, in one row of
--- Postgres and by its clock.
---
---   local limiter <close> = rate_limit.new(conn, "notion", { per_minute = 180 })
---   limiter:acquire()                       -- waits for a slot
---   local response = http.request(...)
---   limiter:answered { retry_after_s = n }  -- or nothing in it
---
--- A slot is taken by one statement at the moment it is used and never ahead, so that a
--- Retry-After holds for everybody at once and a worker that dies takes nothing with it.
--- Slots are evenly spaced. As an answer may be a Retry-After, the others wait for it, a
--- little: whoever is let through alone is told no by the service alone.
local errors = require "ligase.base.errors"
local options_of = require "ligase.base.options"
local sys = require "sys"

local M = {}

local SLICE_S = 0.25 -- Lua's signal handlers run between two waits for Postgres

local OPTIONS = {
  per_minute = { type = "number", required = true, min = 1 },
  window_s = { type = "number", default = 60, min = 0.001 },
  slack_s = { type = "number", min = 0 },
  answer_wait_s = { type = "number", default = 0.5, min = 0 },
}

local ENSURE = "INSERT INTO rate_limits (name) VALUES ($1) ON CONFLICT DO NOTHING"

--- One statement: takes the slot when it is free, and says how long to wait when not. The
--- row's lock decides between those who ask at once. Losing the last second of this when the
--- server crashes does no harm, so nobody waits for the disk.
local ACQUIRE = [[
WITH quick AS MATERIALIZED (
  SELECT set_config('synchronous_commit', 'off', true)
), taken AS (
  UPDATE rate_limits SET holder = $2,
    free_at = clock_timestamp() + $3::float8 * interval '1 second',
    unanswered_until = clock_timestamp() + $4::float8 * interval '1 second'
  FROM quick
  WHERE name = $1 AND free_at <= clock_timestamp() AND blocked_until <= clock_timestamp()
    AND (unanswered_until <= clock_timestamp() OR holder = $2)
  RETURNING 1
)
SELECT EXISTS (SELECT FROM taken) AS is_taken,
  greatest(0, extract(epoch FROM greatest(nullif(free_at, '-infinity'), nullif(blocked_until, '-infinity'),
    CASE WHEN holder <> $2 THEN nullif(unanswered_until, '-infinity') END) - clock_timestamp()))::float8 AS wait_s
FROM rate_limits WHERE name = $1]]

local ANSWERED = [[
WITH quick AS MATERIALIZED (
  SELECT set_config('synchronous_commit', 'off', true)
), told AS (
  UPDATE rate_limits SET
    blocked_until = greatest(blocked_until, clock_timestamp() + $3::float8 * interval '1 second'),
    unanswered_until = CASE WHEN holder = $2 AND $4::bool THEN '-infinity' ELSE unanswered_until END
  FROM quick WHERE name = $1
  RETURNING 1
)
SELECT pg_notify($5, '') FROM told]]

---@class ligase.RateLimiter
---@field private conn table
---@field private name string
---@field private id string
---@field private channel string
---@field private open integer acquired and not answered
---@field spacing_s number between two slots
local Limiter = {}
Limiter.__index = Limiter

--- A limiter of this process for the budget of that name. Workers that share a budget give
--- the same name and the same numbers.
---@param conn table a connection that is used for this alone, outside of transactions
---@param name string such as "notion"; up to 40 bytes
---@param options {per_minute: number, window_s: number|nil, slack_s: number|nil, answer_wait_s: number|nil}
--- per_minute: requests in any window; window_s (60): how long that "minute" is, shorter in rehearsals; slack_s (a
--- sixtieth of the window): how much later than another a request may arrive and the budget still holds;
--- answer_wait_s (0.5): how long the others wait for an answer
---@return ligase.RateLimiter
function M.new(conn, name, options)
  options = options_of.check(options, OPTIONS, "rate_limit.new")
  if type(name) ~= "string" or name == "" or #name > 40 or name:find "%z" then
    errors.raise({ kind = "usage", message = "rate_limit.new: the name must be a text of 1 to 40 bytes" }, 2)
  end
  local slack_s = options.slack_s or options.window_s / 60
  local limiter = setmetatable({ conn = conn, name = name, id = sys.uuid7(), channel = "rate_limit:" .. name, open = 0,
    spacing_s = (options.window_s + slack_s) / options.per_minute, answer_wait_s = options.answer_wait_s }, Limiter)
  conn:query(ENSURE, name)
  conn:listen(limiter.channel)
  limiter.acquire_statement, limiter.answered_statement = conn:prepare(ACQUIRE), conn:prepare(ANSWERED)
  return limiter
end

--- Waits until something may have changed, at most so long.
local function wait(conn, seconds)
  conn:wait_notification(math.min(seconds, SLICE_S))
  while conn:wait_notification(0) do -- one look answers all that were told meanwhile
  end
end

--- Waits for a slot and takes it; SIGINT and SIGTERM end the wait.
---@param timeout_s? number for ever without it
---@return boolean taken false when the time is up
function Limiter:acquire(timeout_s)
  if self.conn:transaction_status() ~= "idle" then
    errors.raise({ kind = "usage", message = "a rate limit is kept outside of transactions: the others would wait for "
      .. "the end of this one" }, 2)
  end
  local deadline = timeout_s and sys.monotonic() + timeout_s or math.huge
  while true do
    local row = self.conn:query(self.acquire_statement, self.name, self.id, self.spacing_s, self.answer_wait_s)[1]
    if not row then -- somebody emptied the table
      self.conn:query(ENSURE, self.name)
    elseif row.is_taken then
      self.open = self.open + 1
      return true
    else
      local left_s = deadline - sys.monotonic()
      if left_s <= 0 then
        return false
      end
      wait(self.conn, math.min(row.wait_s, left_s))
    end
  end
end

--- Tells that a request that had a slot is over, however it ended.
---@param answer? {retry_after_s: number|nil} what the service asked for: nobody is let through before
function Limiter:answered(answer)
  self.open = math.max(0, self.open - 1)
  self.conn:query(self.answered_statement, self.name, self.id, answer and answer.retry_after_s or 0, self.open == 0,
    self.channel)
end

--- Stops listening; the connection stays open. A slot that is still open is given back.
function Limiter:close()
  if self.conn:is_open() and self.conn:transaction_status() == "idle" then
    if self.open > 0 then
      self.open = 1
      self:answered()
    end
    self.conn:unlisten(self.channel)
  end
end

Limiter.__close = Limiter.close

return M
