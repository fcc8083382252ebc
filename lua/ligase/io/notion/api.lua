--- One call of Notion's API: the request, how often it may be repeated, and what its answer is.
local errors = require "ligase.base.errors"
local failures = require "ligase.io.notion.failures"
local json = require "ligase.base.json"
local sys = require "sys"
local web = require "ligase.io.http"

local M = {}

M.VERSION = "2025-09-03"

local ANSWER_BYTES = 64 << 20

--- When answers were given, by Notion's clock.
local answered_s = setmetatable({}, { __mode = "k" })

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

local function request_of(self, call)
  return {
    method = call.method, url = url_of(self, call), body = call.body and json.encode(call.body),
    headers = { authorization = "Bearer " .. self.token, ["notion-version"] = M.VERSION,
      ["content-type"] = call.body and "application/json" or nil, accept = "application/json" },
    timeout_s = self.timeout_s, size_limit_bytes = ANSWER_BYTES,
    fresh = not call.repeats and call.method ~= "GET",
  }
end

local function is_good(response)
  return response.status >= 200 and response.status <= 299
end

--- The answer's object; nil and the problem for anything else.
local function read(response)
  local done, body = errors.try(json.decode, response.body, { max_bytes = ANSWER_BYTES })
  if done and type(body) == "table" and not json.is_array(body) then
    return body
  end
  return nil, not done and errors.wrap(body) or nil
end

--- Whether another attempt makes sense; nil leaves it to the rules of ligase.io.http.
local function decide(call, response, failure)
  local is_repeatable = call.repeats or call.method == "GET"
  if failure then
    return call.once and failure.outcome ~= "not_sent" and false or nil
  elseif call.once or failures.is_blocked(response) then
    return false
  elseif is_good(response) then
    return is_repeatable and not read(response)
  elseif response.status == 409 then
    return true -- nothing was done: somebody else was saving at that moment
  end
end

--- Makes a call and gives its answer, with further attempts where they do no harm. Raises
--- "notion".
---@param call ligase.notion.Call
---@return table answer
function Api:call(call)
  local done, response = xpcall(web.retrying, errors.explained, request_of(self, call), {
    attempts = self.retries + 1, total_s = self.total_s, limiter = self.limiter,
    repeatable = call.repeats or call.method == "GET",
    decide = function(answer, failure)
      return decide(call, answer, failure)
    end,
  })
  if not done then
    if errors.is(response, "network") then
      failures.raise_network(call, response)
    end
    error(response, 0)
  elseif not is_good(response) then
    failures.raise_status(call, response, web.retry_after_s(response))
  end
  local answer, problem = read(response)
  if not answer then
    failures.raise_not_json(call, response, problem)
  end
  answered_s[answer] = web.date_s(response) or sys.now()
  return answer
end

--- When an answer was given, by Notion's clock: this machine's may be wrong.
---@param answer table as call gave it
---@return number|nil seconds since 1970
function M.answered_s(answer)
  return answered_s[answer]
end

--- Has a part of an answer count as given when all of it was.
---@param part table
---@param answer table as call gave it
function M.note_part(part, answer)
  answered_s[part] = answered_s[answer]
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
---@param options {token: string, base_url: string, timeout_s: number, retries: integer, total_s: number,
---  limiter: table|nil}
---@return ligase.notion.Api
function M.new(options)
  local limiter = options.limiter
  options.limiter = limiter and {
    acquire = function(_, timeout_s)
      return limiter:acquire(timeout_s) ~= false -- one that waits for ever need not answer
    end,
    answered = function(_, answer)
      limiter:answered(answer)
    end,
  }
  return setmetatable(options, Api)
end

return M
