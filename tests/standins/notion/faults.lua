--- Faults on demand: which request gets which, and what it does to the answer.
---
--- A fault is chosen by rules, first match first. The dice are the world's, so that the same
--- seed and the same requests give the same faults.
local errors = require "ligase.base.errors"
local json = require "ligase.base.json"
local text = require "ligase.base.text"

local M = {}
M.__index = M

--- What there is. `commits` says that the request is carried out all the same.
M.kinds = {
  closed = { commits = false },                -- the connection closes before the request is looked at
  lost_reply = { commits = true },             -- done, and the connection closes without a byte
  slow = { commits = true },                   -- done, and answered after slow_s seconds
  truncated = { commits = true },              -- done, the answer breaks off in its middle
  cut_json = { commits = true },               -- done, the JSON ends early and the connection is fine
  html = { commits = false },                  -- status 200 and a page of HTML, as proxies answer
  unavailable = { commits = false },           -- 503
  unavailable_committed = { commits = true },  -- 503, done all the same
  unavailable_named = { commits = true },      -- the same, and the answer names what was made
  internal_error = { commits = false },        -- 500
  bad_gateway = { commits = false },           -- 502
  gateway_timeout = { commits = false },       -- 504
  conflict = { commits = false },              -- 409
  rate_limited = { commits = false },          -- 429 with Retry-After
  blocked = { commits = false },               -- 429 that must not be tried again
  overloaded = { commits = false },            -- 529 with Retry-After
}

local GROUPS = {
  any = function() return true end,
  write = function(request) return request.is_write end,
  read = function(request) return not request.is_write end,
}

local function check_kind(name)
  if not M.kinds[name] then
    local names = {}
    for known in pairs(M.kinds) do
      names[#names + 1] = known
    end
    table.sort(names)
    errors.raise { kind = "usage", code = "fault", message = ("'%s' is no fault"):format(tostring(name)),
      hint = "Faults are " .. text.enumerate(names) }
  end
  return name
end

--- Reads "lost_reply=0.05,slow@query=0.1,lost_reply@page_create*500": a fault, the kind of
--- request it meets (any), its rate (1) and how many times it happens (without end).
---@param spec string
---@return table[] rules
function M.parse(spec)
  local rules = {}
  for word in spec:gmatch("[^,%s]+") do
    local name, marks = word:match("^([%w_]+)(.*)$")
    local rule, left = { fault = check_kind(name) }, marks
    left = left:gsub("^@([%w_]+)", function(kind) rule.on = kind return "" end)
    left = left:gsub("^=([%d.]+)", function(rate) rule.rate = tonumber(rate) return "" end)
    left = left:gsub("^%*(%d+)$", function(times) rule.times = math.tointeger(tonumber(times)) return "" end)
    if left ~= "" then
      errors.raise { kind = "usage", code = "fault", message = ("'%s' says no fault"):format(word),
        hint = "Example: lost_reply=0.05,slow@query=0.1,lost_reply@page_create*500" }
    end
    rules[#rules + 1] = rule
  end
  return rules
end

---@class standin.FaultRule
---@field fault string one of the kinds
---@field on? string kind of request, or "any", "read", "write"
---@field rate? number from 0 to 1; 1 without it
---@field times? integer how often it happens at most
---@field skip? integer how many matching requests pass first
---@field body? string only requests whose body holds this text
---@field reused? boolean only requests that are not the first on their connection

--- No faults yet.
---@param world table for its dice
---@return table faults
function M.new(world)
  return setmetatable({ world = world, rules = {}, counts = {}, slow_s = 2, retry_after_s = 5 }, M)
end

--- Sets which faults happen from now on.
---@param options table {spec = string, rules = standin.FaultRule[], slow_s =, retry_after_s =}
function M:set(options)
  local rules = options.spec and M.parse(options.spec) or {}
  for _, rule in ipairs(options.rules or {}) do
    check_kind(rule.fault)
    rules[#rules + 1] = rule
  end
  for _, rule in ipairs(rules) do
    rule.left, rule.to_skip = rule.times, rule.skip or 0
  end
  self.rules = rules
  self.slow_s = options.slow_s or self.slow_s
  self.retry_after_s = options.retry_after_s or self.retry_after_s
end

local function matches(rule, request)
  local on = rule.on or "any"
  if GROUPS[on] then
    if not GROUPS[on](request) then
      return false
    end
  elseif on ~= request.kind then
    return false
  end
  return (not rule.body or request.body:find(rule.body, 1, true) ~= nil)
    and (not rule.reused or (request.turn or 1) > 1)
end

--- The fault that a request meets, or nil.
---@param request table
---@return string|nil
function M:choose(request)
  for _, rule in ipairs(self.rules) do
    if rule.left ~= 0 and matches(rule, request) then
      if rule.to_skip > 0 then
        rule.to_skip = rule.to_skip - 1
      elseif (rule.rate or 1) >= 1 or self.world:chance() < rule.rate then
        rule.left = rule.left and rule.left - 1
        self.counts[rule.fault] = (self.counts[rule.fault] or 0) + 1
        return rule.fault
      end
    end
  end
  return nil
end

-- ---- what a fault answers ----------------------------------------------------

local HTML = "<!DOCTYPE html><html><head><title>Just a moment...</title></head>"
  .. "<body>Checking your browser</body></html>"

--- By fault: status, code, message, and for 429 the reason.
local REFUSALS = {
  unavailable = { 503, "service_unavailable", "Public API service is temporarily unavailable." },
  unavailable_committed = { 503, "service_unavailable", "Public API service is temporarily unavailable." },
  unavailable_named = { 503, "service_unavailable", "The change was saved, but the response could not be built "
    .. "in time. Read the object again instead of repeating the write." },
  internal_error = { 500, "internal_server_error", "Unexpected error occurred." },
  bad_gateway = { 502, "bad_gateway", "Bad gateway." },
  gateway_timeout = { 504, "gateway_timeout", "Notion timed out while attempting to complete this request." },
  conflict = { 409, "conflict_error", "Conflict occurred while saving. Please try again." },
  rate_limited = { 429, "rate_limited", "You have been rate limited. Please try again in a few minutes.",
    "public_api_space_request_rate_limit" },
  blocked = { 429, "rate_limited", "This connection's API access has been restricted.", "public_api_request_blocked" },
  overloaded = { 529, "service_overload", "Notion is temporarily overloaded. Please try again later." },
}

--- What Notion adds when it knows that the change was saved: for what was made new, its id.
local function saved_data(request)
  return { retry_guidance = json.array { "Read the object again to confirm the saved change.",
      "Do not repeat the write." }, from = "publicApi." .. request.kind, elapsed_ms = "55012", deadline_ms = "55000",
    committed_resource_id = request.committed, committed_child_ids = request.committed_children }
end

--- The refusal that a fault answers with, if it is one; the server makes the answer.
---@param fault string
---@param request table what it made is named by `unavailable_named`
---@return table|nil refusal {status, code, message, additional_data, retry_after_s}
function M:refusal(fault, request)
  local refusal = REFUSALS[fault]
  if not refusal then
    return nil
  end
  local waits = fault == "rate_limited" or fault == "overloaded"
  return { status = refusal[1], code = refusal[2], message = refusal[3],
    retry_after_s = waits and self.retry_after_s or nil,
    additional_data = refusal[4] and { rate_limit_reason = refusal[4] }
      or fault == "unavailable_named" and saved_data(request) or nil }
end

--- Does to a finished answer what the fault says.
---@param fault string
---@param answer table as serve takes it
---@return table answer
function M:spoil(fault, answer)
  if fault == "closed" or fault == "lost_reply" then
    return { drop = true }
  elseif fault == "html" then
    return { status = 200, headers = { ["Content-Type"] = "text/html; charset=utf-8" }, body = HTML }
  elseif fault == "slow" then
    answer.delay_s = self.slow_s
  elseif fault == "truncated" and #answer.body > 1 then
    answer.truncate = #answer.body // 2
  elseif fault == "cut_json" then
    answer.body = answer.body:sub(1, #answer.body // 2)
  end
  return answer
end

--- The figures and the rules in force.
---@return table
function M:figures()
  local rules = json.array()
  for i, rule in ipairs(self.rules) do
    rules[i] = { fault = rule.fault, on = rule.on, rate = rule.rate, times = rule.times, left = rule.left,
      body = rule.body, reused = rule.reused }
  end
  return { happened = self.counts, rules = rules, slow_s = self.slow_s, retry_after_s = self.retry_after_s }
end

return M
