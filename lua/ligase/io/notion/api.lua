--- One call of Notion's API: the request, how often it may be repeated, and what its answer is.
local errors = require "ligase.base.errors"
local failures = require "ligase.io.notion.failures"
local http = require "http"
local json = require "ligase.base.json"
local sys = require "sys"

local M = {}

M.VERSION = "2025-09-03"

local ANSWER_BYTES = 64 << 20

local FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30

---@class ligase.notion.Call
---@field method string
---@field path string "/v1/pages"
---@field what string what it does, for messages: "create the page"
---@field about string|nil for whom: "dataset plasma"
---@field query table<string, any>|nil
---@field body table|nil
---@field repeats boolean|nil that it may be sent again when its outcome is unknown
---@field once boolean|nil that it is sent again only when it was not sent at all

---@class ligase.notion.Api
local Api = {}
Api.__index = Api

local function encoded(value)
  return (tostring(value):gsub("[^%w%-._~]", function(c)
    return ("%%%02X"):format(c:byte())
  end))
end

--- Some of Notion's own ids come encoded already.
local function encoded_once(value)
  return value:find("^[%w%-._~%%]+$") and not value:gsub("%%%x%x", ""):find("%%") and value or encoded(value)
end

--- A path with ids in it.
---@param format string with one %s per id
---@param ... string
---@return string
function M.path(format, ...)
  local ids = table.pack(...)
  for i = 1, ids.n do
    ids[i] = encoded_once(ids[i])
  end
  return format:format(table.unpack(ids, 1, ids.n))
end

local function url_of(self, call)
  local parts, names = {}, {}
  for name in pairs(call.query or {}) do
    names[#names + 1] = name
  end
  table.sort(names)
  for i, name in ipairs(names) do
    parts[i] = encoded(name) .. "=" .. encoded(call.query[name])
  end
  return self.base_url .. call.path .. (#parts > 0 and "?" .. table.concat(parts, "&") or "")
end

local function decoded(call, response)
  local done, body = pcall(json.decode, response.body, { max_bytes = ANSWER_BYTES })
  if not done or type(body) ~= "table" or json.is_array(body) then
    failures.raise_not_json(call, response, not done and body or nil)
  end
  return body
end

--- The seconds that an answer asks to wait. Notion says whole seconds; the other form of the
--- header, a date, is left to our own patience.
local function retry_after(response)
  local seconds = tonumber(response.headers["retry-after"])
  return seconds and seconds >= 0 and seconds or nil
end

--- One request and its answer.
local function ask(self, call)
  local done, response = xpcall(http.request, errors.explained, {
    method = call.method, url = url_of(self, call), body = call.body and json.encode(call.body),
    headers = { authorization = "Bearer " .. self.token, ["notion-version"] = M.VERSION,
      ["content-type"] = call.body and "application/json" or nil, accept = "application/json" },
    timeout_s = self.timeout_s, size_limit_bytes = ANSWER_BYTES,
    fresh = not call.repeats and call.method ~= "GET",
  })
  if not done then
    if errors.is(response, "network") then
      failures.raise_network(call, response)
    end
    error(response, 0)
  elseif response.status < 200 or response.status > 299 then
    failures.raise_status(call, response, retry_after(response))
  end
  return decoded(call, response)
end

local function is_throttled(failure)
  return failure.status == 429 or failure.status == 529
end

--- Whether the same request may be sent again, and whether that may help.
local function may_repeat(call, failure)
  if failure.blocked then
    return false
  elseif failure.outcome == "not_sent" then
    return failure.code ~= "refused_scheme" and failure.code ~= "tls"
  elseif call.once then
    return false
  elseif failure.outcome == "refused" then
    return is_throttled(failure) or failure.status == 409
  end
  return call.repeats or call.method == "GET"
end

--- How long to wait before the next attempt, between nothing and twice as long each time.
local function patience(failure, attempt)
  return failure.retry_after_s or math.random() * math.min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ^ attempt)
end

--- Makes a call and gives its answer, with further attempts where they do no harm. Raises
--- "notion".
---@param call ligase.notion.Call
---@return table answer
function Api:call(call)
  local limiter, attempt = self.limiter, 0
  while true do
    if limiter then
      limiter:acquire()
    end
    local done, result = xpcall(ask, errors.explained, self, call)
    if limiter then
      limiter:answered { retry_after_s = not done and errors.is(result, "notion") and is_throttled(result)
        and result.retry_after_s or nil }
    end
    if done then
      return result
    elseif not errors.is(result, "notion") then
      error(result, 0)
    end
    local wait_s = patience(result, attempt)
    if attempt >= self.retries or not may_repeat(call, result) or wait_s > self.longest_wait_s then
      result.attempts = attempt + 1
      error(result, 0)
    end
    attempt = attempt + 1
    sys.sleep(wait_s)
  end
end

--- All items of a list that comes in pages.
---@param call ligase.notion.Call a GET
---@param take fun(item: table)
---@return table answer the last one
function Api:each(call, take)
  call.query = call.query or {}
  call.query.page_size = call.query.page_size or 100
  while true do
    local answer = self:call(call)
    for _, item in ipairs(answer.results or {}) do
      take(item)
    end
    local cursor = answer.has_more and answer.next_cursor
    if not cursor then
      return answer
    elseif cursor == json.null or cursor == call.query.start_cursor then
      errors.raise { kind = "notion", code = "paging", outcome = "refused", about = call.about,
        message = ("cannot %s in Notion: there is more, but Notion does not say where"):format(call.what),
        hint = "Try again later" }
    end
    call.query.start_cursor = cursor
  end
end

--- An access to Notion's API.
---@param options {token: string, base_url: string, timeout_s: number, retries: integer, longest_wait_s: number,
---  limiter: table|nil}
---@return ligase.notion.Api
function M.new(options)
  return setmetatable(options, Api)
end

return M
