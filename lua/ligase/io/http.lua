--- HTTP as scripts use it: the host's requests, with JSON going in and coming out, and
--- with asking again where that is safe.
---
---   local page = http.get("https://api.example.org/pages/1"):json()
---   http.post("https://api.example.org/pages", nil, { json = { title = "x" } })
---   http.retrying({ url = "https://api.example.org/pages/1" }, { attempts = 3 })
---
--- What the host itself does is in docs/http.md: any status is a response; what is raised
--- says in `outcome` whether the request may have arrived.
local errors = require "ligase.base.errors"
local http = require "http"
local instants = require "ligase.base.instants"
local json = require "ligase.base.json"
local options_of = require "ligase.base.options"
local sys = require "sys"
local text = require "ligase.base.text"

local M = {}

--- Many requests at once, as the host has it; json= goes through http.prepare.
M.pool = http.pool

--- libcurl's version.
M.version = http.version

-- ---- JSON ------------------------------------------------------------------

local function has_header(headers, name)
  for given in pairs(headers) do
    if type(given) == "string" and given:lower() == name then
      return true
    end
  end
  return false
end

local function copied(t)
  local copy = {}
  for name, value in pairs(t) do
    copy[name] = value
  end
  return copy
end

--- What is wrong with a request is the caller's fault; level as for errors.raise, from here.
local function refuse(problem, method, level)
  local misfit = type(problem) == "string" and problem:match "bad argument #%d+ to '[^']*' %((.*)%)"
  if misfit then
    errors.raise({ kind = "usage", message = ("http.%s: %s"):format(method, misfit) }, level + 1)
  elseif errors.is(problem, "usage") and problem.code == "usage" then
    problem.where = nil
    errors.raise(problem, level + 1)
  end
  error(problem, 0)
end

--- As M.prepare; level as for errors.raise, from here.
local function prepare(request, body, level)
  if type(request) ~= "table" or request.json == nil then
    return request
  end
  if request.body ~= nil or body ~= nil then
    errors.raise({ kind = "usage", message = "http: a request has a body or json, not both" }, level + 1)
  end
  local prepared, headers = copied(request), copied(request.headers or {})
  for name, value in pairs { ["Content-Type"] = "application/json", Accept = "application/json" } do
    if not has_header(headers, name:lower()) then
      headers[name] = value
    end
  end
  prepared.json, prepared.headers, prepared.body = nil, headers, json.encode(request.json)
  return prepared
end

--- A request as the host understands it: `json`, a value, becomes the body and its
--- Content-Type. The table given is left as it is.
---@param request table as for http.request
---@return table request
function M.prepare(request)
  local prepared = prepare(request, nil, 2)
  return prepared
end

--- Asks the host, for who called the function of this module that calls it.
local function ask(method, options, ...)
  local count = select("#", ...)
  local body = count > 1 and select(2, ...) or nil
  local arguments = table.pack(...)
  arguments[count + 1] = prepare(options, body, 3)
  local done, result = pcall(http[method], table.unpack(arguments, 1, count + 1))
  if not done then
    refuse(result, method, 3)
  end
  return result
end

local function refuse_json(response, what, detail)
  errors.raise { kind = "network", code = "not_json", outcome = "unknown", detail = detail,
    message = ("%s %s: status %d, but %s"):format(response.method, response.url, response.status, what),
    url = response.url, status = response.status }
end

--- The body of a response as a value. Raises "network" with the code "not_json", naming
--- URL and status, for HTML, for JSON that was cut short, and for a body that went elsewhere.
---@param response ligase.HttpResponse
---@param options? ligase.JsonDecodeOptions
---@return any
function M.json(response, options)
  local body = response.body
  if type(body) ~= "string" then
    refuse_json(response, "its body went into a file or to on_chunk")
  elseif body == "" then
    refuse_json(response, "the body is empty")
  elseif body:find("^%s*<") then
    local title = body:match("<[tT][iI][tT][lL][eE][^>]*>%s*(.-)%s*<")
    refuse_json(response, "the body is HTML and not JSON", title and text.shown(title, 80))
  end
  local done, value = errors.try(json.decode, body, options)
  if not done then
    refuse_json(response, "the body is not whole JSON", errors.is(value) and value.message or tostring(value))
  end
  return value
end

http.response_methods.json = M.json

---@class ligase.HttpResponse
---@field status integer
---@field headers table<string, string> by lower-case name
---@field body string|nil nil when the body of a 2xx went into a file or to on_chunk
---@field path string|nil the file
---@field url string to be shown: without user, password and query
---@field method string
---@field seconds number
---@field bytes integer of the body, decoded

---@class ligase.HttpRequest
---@field url string
---@field method? string "GET" without it
---@field headers? table<string, string>
---@field body? string
---@field json? any a value that becomes the body
---@field timeout_s? number 60
---@field connect_timeout_s? number 5
---@field size_limit_bytes? integer 64 MiB
---@field to? string path of a file for the body of a 2xx
---@field on_chunk? fun(bytes: string) gets the body of a 2xx
---@field fresh? boolean a connection of its own; true for POST and PATCH
---@field resend? boolean false: never sent a second time by itself
---@field plain? boolean http:// to another machine is fine
---@field proxy? string
---@field ca_file? string

--- Asks, once. Any status is a response; raises "network" when there is no whole one.
---@param request ligase.HttpRequest
---@return ligase.HttpResponse
function M.request(request)
  local response = ask("request", request)
  return response
end

--- GET, once.
---@param url string
---@param options? ligase.HttpRequest what else there is to say
---@return ligase.HttpResponse
function M.get(url, options)
  local response = ask("get", options, url)
  return response
end

--- HEAD, once.
---@param url string
---@param options? ligase.HttpRequest what else there is to say
---@return ligase.HttpResponse
function M.head(url, options)
  local response = ask("head", options, url)
  return response
end

--- DELETE, once.
---@param url string
---@param options? ligase.HttpRequest what else there is to say
---@return ligase.HttpResponse
function M.delete(url, options)
  local response = ask("delete", options, url)
  return response
end

--- POST, once.
---@param url string
---@param body string|nil
---@param options? ligase.HttpRequest what else there is to say, such as json
---@return ligase.HttpResponse
function M.post(url, body, options)
  local response = ask("post", options, url, body)
  return response
end

--- PUT, once.
---@param url string
---@param body string|nil
---@param options? ligase.HttpRequest what else there is to say, such as json
---@return ligase.HttpResponse
function M.put(url, body, options)
  local response = ask("put", options, url, body)
  return response
end

--- PATCH, once.
---@param url string
---@param body string|nil
---@param options? ligase.HttpRequest what else there is to say, such as json
---@return ligase.HttpResponse
function M.patch(url, body, options)
  local response = ask("patch", options, url, body)
  return response
end

-- ---- asking again ----------------------------------------------------------

local MONTHS = { Jan = 1, Feb = 2, Mar = 3, Apr = 4, May = 5, Jun = 6, Jul = 7, Aug = 8, Sep = 9, Oct = 10, Nov = 11,
  Dec = 12 }

--- Seconds since 1970 of a date as HTTP writes it, or nil.
local function date_seconds(date)
  local day, month_name, year, hour, minute, second =
    (date or ""):match("^%a%a%a, (%d%d) (%a%a%a) (%d%d%d%d) (%d%d):(%d%d):(%d%d) GMT$")
  local month = MONTHS[month_name]
  if not month then
    return nil
  end
  local days = instants.days(math.tointeger(year), month, math.tointeger(day))
  return ((days * 24 + hour) * 60 + minute) * 60 + second
end

--- The server's time when it answered, by its Date; nil when it does not say.
---@param response ligase.HttpResponse
---@return number|nil seconds since 1970
function M.date_s(response)
  return date_seconds(response.headers.date)
end

--- How long the server asks to be left alone: of Retry-After (seconds or a date) and
--- retry-after-ms.
---@param response ligase.HttpResponse
---@param now_s? number seconds since 1970, where the response has no Date; the clock without it
---@return number|nil seconds 0 or more; nil when it does not say
function M.retry_after_s(response, now_s)
  local ms = (response.headers["retry-after-ms"] or ""):match("^%d+%.?%d*$")
  local after = response.headers["retry-after"] or ""
  local seconds = after:match("^%d+%.?%d*$")
  if ms then
    return tonumber(ms) / 1000
  elseif seconds then
    return tonumber(seconds)
  end
  local at = date_seconds(after)
  return at and math.max(0, at - (M.date_s(response) or now_s or sys.now()))
end

--- Statuses that another attempt may mend. The first two are given instead of an answer to
--- the request, so that even a create may be sent again.
local PASSING = { [429] = "refused", [529] = "refused", [500] = "unknown", [502] = "unknown", [503] = "unknown",
  [504] = "unknown" }

--- Failures that another attempt may mend.
local PASSING_CODES = { resolve = true, connect = true, tls = true, timeout = true, reset = true, truncated = true,
  other = true }

local REPEATABLE = { GET = true, HEAD = true, PUT = true, DELETE = true, OPTIONS = true }

local POLICY = {
  attempts = { type = "integer", default = 5, min = 1 },
  total_s = { type = "number", default = 120, min = 0 },
  first_wait_s = { type = "number", default = 0.5, min = 0 },
  longest_wait_s = { type = "number", default = 30, min = 0 },
  repeatable = { type = "boolean" },
  decide = { type = "function" },
  limiter = { type = "table|userdata" },
  on_retry = { type = "function" },
  clock = { type = "function", default = sys.monotonic },
  sleep = { type = "function", default = sys.sleep },
  random = { type = "function", default = math.random },
}

---@class ligase.HttpPolicy
---@field attempts? integer at most so many in all; 5 without it
---@field total_s? number no attempt begins later than this after the first; 120 without it
---@field first_wait_s? number the first wait lasts up to this, each further one up to twice as long; 0.5
---@field longest_wait_s? number but never longer than this, unless the server asks for it; 30
---@field repeatable? boolean asking twice does no harm; GET, HEAD, PUT, DELETE and OPTIONS are without saying
---@field decide? fun(response: ligase.HttpResponse|nil, failure: ligase.Error|nil): boolean|nil whether another
--- attempt makes sense; nil leaves it to the rules
---@field limiter? {acquire: fun(self, timeout_s: number): boolean, answered: fun(self, answer: table)}
---@field on_retry? fun(attempt: {number: integer, wait_s: number, response: ligase.HttpResponse|nil,
--- failure: ligase.Error|nil}) told before each wait
---@field clock? fun(): number for tests, as the two that follow
---@field sleep? fun(seconds: number)
---@field random? fun(): number

--- One attempt, let through and reported: a response, or nil and the failure.
local function attempt(request, limiter)
  local done, result = pcall(http.request, request)
  if limiter then
    local asked_s = done and PASSING[result.status] and M.retry_after_s(result) or nil
    errors.try(limiter.answered, limiter, { retry_after_s = asked_s }) -- an answer is not to be lost for that
  end
  if done then
    return result
  elseif not errors.is(result, "network") then
    refuse(result, "request", 3)
  end
  return nil, result
end

--- Whether the rules allow another attempt after this one.
local function is_worth_repeating(response, failure, is_repeatable, decide)
  local verdict
  if decide then
    verdict = decide(response, failure)
  end
  if verdict ~= nil then
    return verdict
  elseif response then
    return PASSING[response.status] == "refused" or PASSING[response.status] ~= nil and is_repeatable
  end
  return PASSING_CODES[failure.code] and (failure.outcome == "not_sent" or is_repeatable)
end

--- Asks until there is an answer that another attempt would not mend, waiting in between:
--- as long as the server asks for, else a random part of a time that doubles. Requests that
--- may not be repeated are repeated only when the last one surely did not arrive or was
--- refused unseen (429, 529). Returns the last response, whatever its status, or raises the
--- last failure. Under a limiter each attempt takes a slot, nothing is sent by itself a
--- second time, and what Retry-After asks for is waited for by the limiter.
---@param request ligase.HttpRequest
---@param policy? ligase.HttpPolicy
---@return ligase.HttpResponse
function M.retrying(request, policy)
  if type(request) ~= "table" then
    errors.raise({ kind = "usage", message = "http.retrying: a request is a table" }, 2)
  end
  policy = options_of.check(policy, POLICY, "http.retrying")
  request = copied(prepare(request, nil, 2))
  local limiter, clock = policy.limiter, policy.clock
  if limiter and request.resend == nil then
    request.resend = false
  end
  local is_repeatable = policy.repeatable
  if is_repeatable == nil then
    is_repeatable = REPEATABLE[request.method or "GET"] or false
  end
  local deadline = clock() + policy.total_s
  local response, failure
  for number = 1, policy.attempts do
    if limiter and not limiter:acquire(math.max(0, deadline - clock())) then
      break
    end
    response, failure = attempt(request, limiter)
    if number == policy.attempts or not is_worth_repeating(response, failure, is_repeatable, policy.decide) then
      break
    end
    local asked_s = response and M.retry_after_s(response)
    local wait_s = asked_s or policy.random() * math.min(policy.longest_wait_s, policy.first_wait_s * 2 ^ (number - 1))
    if clock() + wait_s > deadline then
      break
    end
    if policy.on_retry then
      policy.on_retry { number = number, wait_s = wait_s, response = response, failure = failure }
    end
    if not (asked_s and limiter) then
      policy.sleep(wait_s)
    end
  end
  if response then
    return response
  end
  error(failure or errors.new { kind = "network", code = "limited", outcome = "not_sent",
    message = ("the rate limit left no room for a request within %g s"):format(policy.total_s) }, 0)
end

return M
