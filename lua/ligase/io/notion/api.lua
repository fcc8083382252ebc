--- One call of Notion's API: the request, how often it may be repeated, and what its answer is.
local errors = require "ligase.base.errors"
local failures = require "ligase.io.notion.failures"
local json = require "ligase.base.json"
local web = require "ligase.io.http"

local M = {}

M.VERSION = "2025-09-03"

local ANSWER_BYTES = 64 << 20

---@class ligase.notion.Call
---@field method string
---@field path string "/v1/pages"
---@field what string what it does, for messages: "create the page"
---@field about string|nil for whom: "dataset plasma"
---@field query table<string, any>|nil
---@field body table|nil
---@field repeats boolean|nil that it may be sent again when its outcome is unknown

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

--- Makes a call and gives its answer. Raises "notion".
---@param call ligase.notion.Call
---@return table answer
function Api:call(call)
  local done, response = xpcall(web.request, errors.explained, {
    method = call.method, url = url_of(self, call), body = call.body and json.encode(call.body),
    headers = { authorization = "Bearer " .. self.token, ["notion-version"] = M.VERSION,
      ["content-type"] = call.body and "application/json" or nil, accept = "application/json" },
    timeout_s = self.timeout_s, size_limit_bytes = ANSWER_BYTES, limiter = self.limiter,
  })
  if not done then
    if errors.is(response, "network") then
      failures.raise_network(call, response)
    end
    error(response, 0)
  elseif response.status < 200 or response.status > 299 then
    failures.raise_status(call, response, response.retry_after_s)
  end
  return decoded(call, response)
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
---@param options {token: string, base_url: string, timeout_s: number, limiter: table|nil}
---@return ligase.notion.Api
function M.new(options)
  return setmetatable(options, Api)
end

return M
