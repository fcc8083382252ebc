--- JSON in and out, and asking again, against a server that misbehaves on demand.
local errors = require "ligase.base.errors"
local http = require "ligase.io.http"
local http_peer = require "tests.host.http_peer"
local json = require "ligase.base.json"

local peer

setup(function()
  peer = http_peer.start()
end)

teardown(function()
  peer.stop()
end)

local function failure_of(fn, ...)
  local done, failure = pcall(fn, ...)
  assert.is_false(done, "nothing was raised")
  assert.is_true(errors.is(failure), tostring(failure))
  return failure
end

local function arrivals(key)
  return tonumber(http.get(peer.url .. "/count?" .. key).body)
end

--- A policy whose clock stands still but for its waits, which are noted.
local function policy(fields)
  local now, waits = 0, {}
  local made = { clock = function() return now end, random = function() return 0.5 end,
    sleep = function(seconds)
      waits[#waits + 1] = seconds
      now = now + seconds
    end }
  for name, value in pairs(fields or {}) do
    made[name] = value
  end
  return made, waits
end

--- A path that answers with a status some times, and with 200 from then on.
local function flaky(key, status, times, header, value)
  return ("%s/flaky?%s~%d~%s~%s~%d"):format(peer.url, key, status, header or "", value or "", times)
end

local function key_of(url)
  return url:match("%?(.*)")
end

describe("what is wrong with a request", function()
  it("is said without a line when the line is not known any more", function()
    local typed = assert(load("return http.get(nil)", "=typed", "t", { http = http })) -- a tail call, as in the REPL
    assert.equal("http: the request has no url", tostring(failure_of(function() local _ = typed() end)))
  end)

  it("is said of the line that made it", function()
    local here = debug.getinfo(1, "S").short_src
    for said, wrong in pairs {
      ["http: the request has no url"] = function() local _ = http.get(nil) end,
      ["http: the request has no url "] = function() local _ = http.request {} end,
      ["http: the request has no url  "] = function() local _ = http.post(nil, "body") end,
      ["http: the request has no url   "] = function() local _ = http.retrying {} end,
      ["http.retrying: a request is a table"] = function() local _ = http.retrying(5) end,
      ["unknown option 'timeout' of http.request"] = function() local _ = http.delete(peer.url, { timeout = 1 }) end,
      ["http: a request has a body or json, not both"] = function() local _ = http.put(peer.url, "b", { json = 1 }) end,
      ["http.get: table expected, got number"] = function() local _ = http.get(peer.url, 5) end,
    } do
      local line = debug.getinfo(wrong, "S").linedefined
      local shown = tostring(failure_of(wrong))
      assert.equal(("%s:%d: %s"):format(here, line, said:match "^(.-)%s*$"),
        shown:sub(1, #here + 3 + #tostring(line) + #said:match "^(.-)%s*$"))
    end
  end)
end)

describe("JSON", function()
  it("goes in", function()
    local sent = http.post(peer.url .. "/echo", nil, { json = { b = json.array {}, a = 1 } }).body
    assert.matches("\r\nContent%-Type: application/json\r\n", sent)
    assert.matches("\r\nAccept: application/json\r\n", sent)
    assert.matches('\r\n\r\n{"a":1,"b":%[%]}$', sent)
    sent = http.request { url = peer.url .. "/echo", method = "PUT", json = { x = 1 },
      headers = { ["content-type"] = "application/merge-patch+json" } }.body
    assert.matches("\r\ncontent%-type: application/merge%-patch%+json\r\n", sent)
    assert.is_nil(sent:find("Content-Type", 1, true))
    local request = { url = peer.url, json = {}, body = "x" }
    assert.matches("a body or json, not both", failure_of(http.request, request).message)
  end)

  it("comes out", function()
    assert.are.same({ a = { 1, 2 }, n = json.null }, http.get(peer.url .. "/json"):json())
  end)

  it("is asked for in vain: URL and status are told", function()
    for path, told in pairs { ["/html"] = "the body is HTML and not JSON %(Sign in%)",
      ["/bytes?0"] = "the body is empty",
      ["/json-cut"] = "the body is not whole JSON %(invalid JSON at byte 10: .*the end%)" } do
      local response = http.get(peer.url .. path)
      local failure = failure_of(response.json, response)
      assert.are.same({ "network", "not_json", "unknown", 200 },
        { failure.kind, failure.code, failure.outcome, failure.status })
      assert.matches("^GET http://127%.0%.0%.1:%d+/.*: status 200, but " .. told, tostring(failure))
    end
    local response = http.get(peer.url .. "/json", { on_chunk = function() end })
    assert.matches("on_chunk", failure_of(response.json, response).message)
  end)
end)

describe("Retry-After", function()
  local function asked(headers, now_s)
    return http.retry_after_s({ headers = headers }, now_s)
  end

  it("is seconds, milliseconds or a date", function()
    assert.are.equal(3, asked { ["retry-after"] = "3" })
    assert.are.equal(0.25, asked { ["retry-after"] = "3", ["retry-after-ms"] = "250" })
    -- 784111777 is the date that RFC 9110 gives as its example.
    assert.are.equal(7, asked({ ["retry-after"] = "Sun, 06 Nov 1994 08:49:37 GMT" }, 784111770))
    assert.are.equal(0, asked({ ["retry-after"] = "Sun, 06 Nov 1994 08:49:37 GMT" }, 784111780))
    assert.are.equal(60, asked({ ["retry-after"] = "Thu, 29 Feb 2024 00:00:30 GMT",
      date = "Wed, 28 Feb 2024 23:59:30 GMT" }, 0))
    assert.are.equal(86400, asked { ["retry-after"] = "Fri, 01 Mar 2024 00:00:00 GMT",
      date = "Thu, 29 Feb 2024 00:00:00 GMT" })
    for _, nonsense in ipairs { "", "-1", "soon", "Sun, 06 Foo 1994 08:49:37 GMT", "nan", "1e9" } do
      assert.is_nil(asked { ["retry-after"] = nonsense })
    end
    assert.is_nil(asked {})
  end)
end)

describe("http.retrying", function()
  it("asks again while the service is unwell, at growing random intervals", function()
    local url, told = flaky("grow", 503, 4), {}
    local made, waits = policy { on_retry = function(attempt)
      told[#told + 1] = { attempt.number, attempt.response.status }
    end }
    assert.are.equal("done", http.retrying({ url = url }, made).body)
    assert.are.same({ 0.25, 0.5, 1.0, 2.0 }, waits)
    assert.are.same({ { 1, 503 }, { 2, 503 }, { 3, 503 }, { 4, 503 } }, told)
    assert.are.equal(5, arrivals(key_of(url)))
  end)

  it("waits as long as it is asked to", function()
    local made, waits = policy()
    assert.are.equal("done", http.retrying({ url = flaky("after", 429, 1, "Retry-After", "7") }, made).body)
    assert.are.equal("done", http.retrying({ url = flaky("ms", 529, 1, "retry-after-ms", "1500") }, made).body)
    assert.are.same({ 7, 1.5 }, waits)
  end)

  it("gives the last answer when it may not go on", function()
    local made, waits = policy { attempts = 3 }
    assert.are.equal(502, http.retrying({ url = flaky("few", 502, 9) }, made).status)
    assert.are.equal(2, #waits)
    made, waits = policy { total_s = 5 }
    assert.are.equal(429, http.retrying({ url = flaky("long", 429, 9, "Retry-After", "6") }, made).status)
    assert.are.equal(0, #waits)
    assert.are.equal(404, http.retrying({ url = peer.url .. "/status?404" }, made).status)
  end)

  it("sends what may not be repeated again only when it was not taken up", function()
    for status, attempts in pairs { [429] = 2, [529] = 2, [500] = 1, [502] = 1, [503] = 1, [504] = 1 } do
      local url = flaky("post" .. status, status, 1)
      local response = http.retrying({ url = url, method = "POST", body = "x" }, (policy()))
      assert.are.equal(attempts == 2 and 200 or status, response.status)
      assert.are.equal(attempts, arrivals(key_of(url)))
    end
    local url = flaky("repeatable", 503, 1)
    assert.are.equal(200, http.retrying({ url = url, method = "PATCH" }, (policy { repeatable = true })).status)
    url = flaky("not_repeatable", 503, 1)
    assert.are.equal(503, http.retrying({ url = url }, (policy { repeatable = false })).status)
  end)

  it("goes by what is known of a request that failed", function()
    local url = peer.url .. "/dropping?get~2"
    assert.are.equal("done", http.retrying({ url = url, fresh = true }, (policy())).body)
    assert.are.equal(3, arrivals "get~2")
    url = peer.url .. "/dropping?post~2"
    local failure = failure_of(http.retrying, { url = url, method = "POST" }, (policy()))
    assert.are.same({ "reset", "unknown" }, { failure.code, failure.outcome })
    assert.are.equal(1, arrivals "post~2")
    local made, waits = policy { attempts = 3 }
    failure = failure_of(http.retrying, { url = "http://127.0.0.1:1/", method = "POST" }, made)
    assert.are.same({ "connect", "not_sent" }, { failure.code, failure.outcome })
    assert.are.equal(2, #waits)
    made, waits = policy()
    assert.are.equal("refused_scheme", failure_of(http.retrying, { url = "http://example.com/" }, made).code)
    assert.are.equal("usage", failure_of(http.retrying, { url = peer.url, headers = { X = "\n" } }, made).kind)
    assert.are.equal(0, #waits)
  end)

  it("lets the caller decide", function()
    local seen = {}
    local made = policy { decide = function(response, failure)
      seen[#seen + 1] = response and response.status or failure.code
      if response then
        return false
      end
    end }
    assert.are.equal(503, http.retrying({ url = flaky("decide", 503, 1) }, made).status)
    assert.are.same({ 503 }, seen)
    http.retrying({ url = peer.url .. "/dropping?decide~1", fresh = true }, made)
    assert.are.same({ 503, "reset", 200 }, seen)
  end)

  it("asks the limiter before, and tells it afterwards", function()
    local log = {}
    local limiter = { acquire = function(_, timeout_s)
      log[#log + 1] = ("acquire %g"):format(timeout_s)
      return #log < 7
    end, answered = function(_, answer)
      log[#log + 1] = "answered " .. tostring(answer.retry_after_s)
    end }
    local made, waits = policy { limiter = limiter, total_s = 100 }
    http.get(peer.url .. "/bytes?1") -- leaves a connection that would invite a second sending
    local url = flaky("limiter", 429, 2, "Retry-After", "8")
    assert.are.equal("done", http.retrying({ url = url }, made).body)
    assert.are.same({ "acquire 100", "answered 8", "acquire 100", "answered 8", "acquire 100", "answered nil" }, log)
    assert.are.equal(0, #waits) -- the limiter waits
    local failure = failure_of(http.retrying, { url = url }, made)
    assert.are.same({ "network", "limited", "not_sent" }, { failure.kind, failure.code, failure.outcome })
  end)

  it("never sends more often than the limiter let it", function()
    local acquired = 0
    local limiter = { acquire = function()
      acquired = acquired + 1
      return true
    end, answered = function() end }
    for _ = 1, 50 do
      http.get(peer.url .. "/bytes?1")
      http.retrying({ url = peer.url .. "/mortal?limited" }, (policy { limiter = limiter }))
    end
    assert.are.equal(acquired, arrivals "limited")
    assert.is_true(acquired > 50, "no connection died")
  end)
end)
