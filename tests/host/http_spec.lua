--- Requests against a server that misbehaves on demand.
local host = require "host"
local http = require "http"
local http_peer = require "tests.host.http_peer"
local support = require "tests.support"
local sys = require "sys"

local peer

setup(function()
  peer = http_peer.start(true)
end)

teardown(function()
  peer.stop()
end)

local function failure_of(fn, ...)
  local done, failure = pcall(fn, ...)
  assert.is_false(done, "nothing was raised")
  assert.are.equal(host.error_metatable, getmetatable(failure), tostring(failure))
  return failure
end

--- What http.get raises for a path of the peer.
local function get_failure(path, options)
  return failure_of(http.get, peer.url .. path, options)
end

local function arrivals(key)
  return tonumber(http.get(peer.url .. "/count?" .. key).body)
end

local function assert_failure(failure, code, outcome)
  assert.are.same({ "network", code, outcome }, { failure.kind, failure.code, failure.outcome }, tostring(failure))
end

describe("http.request", function()
  it("sends what it is told, and nothing else", function()
    local response = http.request { url = peer.url .. "/echo?a=1", method = "PATCH", body = "b\0dy",
      headers = { ["X-Empty"] = "", ["X-Two"] = "2; q=1" } }
    local head, body = response.body:match("^(.-)\r\n\r\n(.*)$")
    assert.are.equal("b\0dy", body)
    local lines = {}
    for line in head:gmatch("[^\r\n]+") do
      lines[#lines + 1] = line
    end
    assert.are.equal("PATCH /echo?a=1 HTTP/1.1", table.remove(lines, 1))
    table.sort(lines)
    assert.are.same({ "Accept-Encoding: gzip", "Accept: */*", "Content-Length: 4",
      "Host: " .. peer.url:sub(8), "User-Agent: ligase/" .. host.version, "X-Empty:", "X-Two: 2; q=1" }, lines)
  end)

  it("gives any status as an answer, headers by lower-case name", function()
    for _, status in ipairs { 200, 204, 301, 404, 429, 500, 503, 529 } do
      local response = http.get(peer.url .. "/status?" .. status)
      assert.are.equal(status, response.status)
      assert.are.equal(status == 204 and "" or "said " .. status, response.body)
    end
    local response = http.get(peer.url .. "/headers")
    assert.are.same({ ["x-one"] = "a, b", empty = "", etag = '"1"', ["content-length"] = "0" }, response.headers)
    local redirect = http.get(peer.url .. "/redirect")
    assert.are.same({ 302, "/echo" }, { redirect.status, redirect.headers.location })
  end)

  it("has a line for a person", function()
    local response = http.get(peer.url .. "/bytes?1234")
    assert.matches("^GET http://127%.0%.0%.1:%d+/bytes%?%.%.%.: 200, 1234 bytes, [%d.e-]+ s$", tostring(response))
    assert.matches(": 200, application/json, 20 bytes", tostring(http.get(peer.url .. "/json")))
    assert.is_true(response.seconds > 0)
  end)

  it("knows the usual methods", function()
    assert.are.same({ 200, "", 0 }, { http.head(peer.url .. "/status?200").status, http.head(peer.url .. "/echo").body,
      http.head(peer.url .. "/echo").bytes })
    for method, response in pairs { POST = http.post(peer.url .. "/echo", "x", { timeout_s = 5 }),
      PUT = http.put(peer.url .. "/echo", "x"), PATCH = http.patch(peer.url .. "/echo", "x") } do
      assert.matches("^" .. method .. " /echo .*\r\n\r\nx$", response.body)
    end
    assert.matches("^DELETE /echo ", http.delete(peer.url .. "/echo").body)
    assert.matches("Content%-Length: 0\r\n", http.post(peer.url .. "/echo").body)
  end)

  it("streams into a file that is only there when it is complete", function()
    local folder = support.workspace()
    local path = folder .. "/out.bin"
    local response = http.get(peer.url .. "/bytes?300000", { to = path })
    assert.are.same({ 200, path, 300000 }, { response.status, response.path, response.bytes })
    assert.is_nil(response.body)
    assert.are.equal(("x"):rep(300000), sys.read_file(path))
    assert.are.equal(200, http.get(peer.url .. "/bytes?0", { to = path }).status)
    assert.are.equal("", sys.read_file(path))
    sys.write_file(path, "before")
    for _, call in ipairs { "/truncated", "/reset", "/truncated-chunks" } do
      get_failure(call, { to = path })
    end
    get_failure("/bytes?100", { to = path, size_limit_bytes = 99 })
    assert.are.equal("said 404", http.get(peer.url .. "/status?404", { to = path }).body)
    assert.are.equal("before", sys.read_file(path))
    assert.are.same({ "out.bin" }, sys.list(folder))
    assert_failure(get_failure("/bytes?1", { to = folder .. "/no/such" }), "write", "not_sent")
    assert_failure(get_failure("/bytes?1", { to = folder }), "write", "not_sent")
  end)

  it("hands the body over in pieces", function()
    local pieces = {}
    local response = http.get(peer.url .. "/chunks?20", { on_chunk = function(bytes)
      pieces[#pieces + 1] = bytes
    end })
    assert.is_nil(response.body)
    assert.is_true(#pieces > 1)
    assert.are.equal("0;1;2;3;4;5;6;7;8;9;10;11;12;13;14;15;16;17;18;19;", table.concat(pieces))
    assert.are.equal("said 500", http.get(peer.url .. "/status?500", { on_chunk = error }).body)
  end)

  it("passes on what on_chunk raises, and goes on afterwards", function()
    local done, failure = pcall(http.get, peer.url .. "/chunks?20", { on_chunk = function()
      error({ mine = true })
    end })
    assert.are.same({ false, { mine = true } }, { done, failure })
    local inner = get_failure("/bytes?10", { on_chunk = function()
      http.get(peer.url .. "/bytes?1")
    end })
    assert.matches("on_chunk cannot use the connections", inner.message)
    assert.are.equal(200, http.get(peer.url .. "/bytes?1").status)
  end)

  it("counts decoded bytes against the limit", function()
    assert.are.equal(100000, #http.get(peer.url .. "/gzip?100000", { size_limit_bytes = 100000 }).body)
    local failure = get_failure("/gzip?10000000", { size_limit_bytes = 100000 })
    assert_failure(failure, "size", "unknown")
    assert.matches("larger than 100000 bytes%. Set size_limit_bytes", tostring(failure))
    assert_failure(get_failure("/chunks?20", { size_limit_bytes = 20 }), "size", "unknown")
    assert_failure(get_failure "/long-headers", "size", "unknown")
  end)

  it("unpacks gzip, and notices when it breaks off", function()
    for _, n in ipairs { 0, 1, 32767, 32768, 32769, 65536, 1000000 } do
      assert.are.equal(("\0"):rep(n), http.get(peer.url .. "/gzip?" .. n).body)
    end
    assert.are.equal("onetwo", http.get(peer.url .. "/gzip-two").body)
    local path = support.workspace() .. "/out"
    for _, n in ipairs { 1, 5, 10, 2000, 5000 } do
      assert_failure(get_failure("/gzip-cut?" .. n, { to = path }), "truncated", "unknown")
      assert.is_nil(sys.stat(path))
    end
    assert.are.equal("", http.get(peer.url .. "/gzip-cut?0").body)
    assert_failure(get_failure "/brotli", "protocol", "unknown")
    assert.are.equal("", http.head(peer.url .. "/gzip?5").body)
  end)

  it("tells exactly whether the request may have arrived", function()
    for url, code in pairs { ["https://host.invalid/"] = "resolve", ["http://127.0.0.1:1"] = "connect",
      [peer.tls_url .. "/echo"] = "tls" } do
      assert_failure(failure_of(http.get, url, { timeout_s = 10 }), code, "not_sent")
    end
    local started = sys.monotonic()
    local slow = failure_of(http.post, peer.silent_tls_url, "x", { connect_timeout_s = 0.1, timeout_s = 30 })
    assert_failure(slow, "timeout", "not_sent")
    assert.matches("no connection within 0.1 s", slow.message)
    assert.is_true(sys.monotonic() - started < 20)
    local silent = failure_of(http.post, peer.silent_url, "x", { timeout_s = 0.1 })
    assert_failure(silent, "timeout", "unknown")
    assert.matches("no complete answer within 0.1 s", silent.message)
    for path, code in pairs { ["/nothing"] = "reset", ["/reset"] = "reset", ["/truncated"] = "truncated",
      ["/truncated-chunks"] = "truncated", ["/garbage"] = "protocol", ["/gzip-broken"] = "protocol" } do
      assert_failure(get_failure(path), code, "unknown")
      assert_failure(failure_of(http.post, peer.url .. path, "x"), code, "unknown")
    end
    assert.are.equal(200, get_failure("/truncated").status)
    assert.is_nil(get_failure("/nothing").status)
  end)

  it("hides what a URL may have of secrets", function()
    local failure = failure_of(http.get, peer.url:gsub("//", "//user:word@") .. "/nothing?key=hidden#part")
    for _, shown in ipairs { tostring(failure), failure.url } do
      assert.is_nil(shown:find("user") or shown:find("word") or shown:find("hidden") or shown:find("part"), shown)
      assert.matches("^.*http://127%.0%.0%.1:%d+/nothing%?%.%.%.", shown)
    end
    assert.is_nil(tostring(failure_of(http.get, "http://h/?key=hidden")):find("hidden"))
    assert.is_nil(tostring(failure_of(http.get, "http://u:hidden@[::1/")):find("hidden"))
  end)

  it("speaks plainly only with this machine", function()
    local port = peer.url:match("%d+$")
    for _, name in ipairs { "localhost", "127.0.0.1", "127.1", "127.9.8.7" } do
      local done, response = pcall(http.get, ("http://%s:%s/echo"):format(name, port))
      -- Whether anybody listens there is another matter.
      assert.is_true(done or response.code == "connect", tostring(response))
    end
    for _, url in ipairs { "http://example.com/", "http://128.0.0.1/", "http://localhost.example.com/",
      "http://[::2]/", "ftp://localhost/x", "file:///etc/passwd", "http://127.0.0.1.example.com/" } do
      assert_failure(failure_of(http.get, url), "refused_scheme", "not_sent")
    end
    assert_failure(failure_of(http.get, "http://host.invalid/", { plain = true }), "resolve", "not_sent")
    assert_failure(failure_of(http.get, peer.url, { proxy = peer.url }), "refused_scheme", "not_sent")
  end)

  it("trusts only whom the CA file vouches for", function()
    local response = http.get(peer.tls_url .. "/echo", { ca_file = peer.ca_file })
    assert.matches("^GET /echo HTTP/1.1", response.body)
    local other = peer.tls_url:gsub("127%.0%.0%.1", "localhost")
    assert_failure(failure_of(http.get, other, { ca_file = peer.ca_file }), "tls", "not_sent")
  end)

  it("uses a proxy only when told", function()
    local response = http.get("http://host.invalid/echo", { proxy = peer.url, plain = true })
    assert.matches("^GET http://host.invalid/echo HTTP/1.1", response.body)
    local home = support.workspace()
    sys.write_file(home .. "/.netrc", "machine 127.0.0.1 login me password secret\n")
    local code = ("print(http.get('%s/echo').body)"):format(peer.url)
    local result = support.ligase { "-e", code,
      env = { http_proxy = "http://127.0.0.1:1", all_proxy = "http://127.0.0.1:1", HOME = home } }
    assert.are.equal("", result.stderr)
    assert.matches("^GET /echo HTTP/1.1", result.stdout)
    assert.is_nil(result.stdout:find("Authorization"))
  end)

  it("refuses what would break out of a header, and wrong options", function()
    local cases = {
      { { headers = { ["X"] = "a\r\nY: b" } }, "line end or a NUL" },
      { { headers = { ["X"] = "a\0b" } }, "NUL" },
      { { headers = { ["X\r\n"] = "a" } }, "name is empty or holds" },
      { { headers = { [""] = "a" } }, "name is empty" },
      { { headers = { ["X:"] = "a" } }, "name is empty or holds" },
      { { headers = { "a" } }, "strings by name" },
      { { headers = { X = 5 } }, "strings by name" },
      { { headers = "x" }, "headers must be a table" },
      { { headers = { ["content-length"] = "5" } }, "follows from the body" },
      { { body = "x" }, "a GET has no body" },
      { { method = "get" }, "capitals" },
      { { method = "TRACE" }, "no method" },
      { { timeout_s = 0 }, "timeout_s must" },
      { { url = "http://[::1" }, "cannot be read" },
      { { url = "http://127.0.0.1/a b" }, "cannot be read" },
      { { url = "http://127.0.0.1/\0" }, "NUL" },
      { { url = 5 }, "url must be a string" },
      { { connect_timeout_s = "x" }, "connect_timeout_s must" },
      { { size_limit_bytes = -1 }, "size_limit_bytes must" },
      { { fresh = 1 }, "fresh must be true or false" },
      { { on_chunk = 5 }, "on_chunk must be a function" },
      { { to = "" }, "to is empty" },
      { { to = "a\0b" }, "NUL byte" },
      { { tiemout_s = 5 }, "unknown option 'tiemout_s'" },
    }
    for _, case in ipairs(cases) do
      case[1].url = case[1].url or peer.url
      local failure = failure_of(http.request, case[1])
      assert.are.equal("usage", failure.kind)
      assert.matches(case[2], failure.message)
    end
    assert.matches("no url", failure_of(http.request, {}).message)
  end)

  it("stops for a signal", function()
    local code = ("http.get('%s/slow')"):format(peer.url)
    local process = sys.spawn({ host.executable, "-e", code }, { stderr = "null" })
    local deadline = sys.monotonic() + 20
    while arrivals "/slow" == 0 and sys.monotonic() < deadline do
      sys.sleep(0.02)
    end
    process:kill "INT"
    assert.are.same({ code = 130 }, process:wait(10))
  end)
end)

describe("connections", function()
  it("are used again for what may be repeated", function()
    http.get(peer.url .. "/bytes?1")
    -- What comes next on that connection arrives and dies; libcurl then asks once more.
    assert.are.equal("alive", http.get(peer.url .. "/mortal?again").body)
    assert.is_true(arrivals "again" > 1)
    http.get(peer.url .. "/bytes?1")
    assert_failure(get_failure("/mortal?not_again", { resend = false }), "reset", "unknown")
    assert.are.equal(1, arrivals "not_again")
  end)

  it("never carry a POST twice, also when they die", function()
    local counts = { answered = 0, unknown = 0 }
    for i = 1, 500 do
      if i % 2 == 1 then
        http.get(peer.url .. "/mortal?warm") -- leaves a connection behind that dies on its next use
      end
      local done, failure = pcall(http.post, peer.url .. "/mortal?reused", "x", { fresh = false })
      counts.answered = counts.answered + (done and 1 or 0)
      if not done then
        assert_failure(failure, "reset", "unknown")
        counts.unknown = counts.unknown + 1
      end
    end
    assert.are.equal(500, arrivals "reused")
    assert.is_true(counts.unknown > 100, "the connections did not die")
    assert.are.equal(500, counts.answered + counts.unknown)
  end)

  it("are new for POST and PATCH by default, so that a dying one does no harm", function()
    for i = 1, 500 do
      http.get(peer.url .. "/bytes?1") -- an idle connection is there
      local method = i % 2 == 0 and "POST" or "PATCH"
      assert.are.equal("alive", http.request { url = peer.url .. "/mortal?new", method = method, body = "x" }.body)
    end
    assert.are.equal(500, arrivals "new")
  end)
end)

describe("http.pool", function()
  it("answers many at once, each with its tag", function()
    local pool <close> = http.pool { connections = 8 }
    for i = 1, 200 do
      assert.are.equal(i, pool:add { url = peer.url .. "/bytes?" .. i })
    end
    local tag = { "mine" }
    assert.are.equal(tag, pool:add({ url = peer.url .. "/nothing" }, tag))
    assert.are.equal(201, #pool)
    assert.matches("8 connections, 201 requests", tostring(pool))
    local seen = 0
    for found, response, failure in pool:each() do
      seen = seen + 1
      if found == tag then
        assert.is_nil(response)
        assert_failure(failure, "reset", "unknown")
      else
        assert.are.equal(found, response and response.bytes, tostring(failure))
      end
      assert.are.equal(201 - seen, #pool)
    end
    assert.are.equal(201, seen)
    assert.is_nil(pool:next())
  end)

  it("waits no longer than it is told", function()
    local pool <close> = http.pool()
    assert.is_nil(pool:next(0))
    pool:add { url = peer.silent_url, timeout_s = 30 }
    assert.is_nil(pool:next(0))
    assert.is_nil(pool:next(0.05))
    assert.are.equal(1, #pool)
  end)

  it("does not count the time in its own queue", function()
    local pool <close> = http.pool { connections = 1 }
    pool:add { url = peer.silent_url, timeout_s = 0.3 }
    pool:add { url = peer.url .. "/bytes?7", timeout_s = 0.25 }
    assert_failure(select(3, pool:next()), "timeout", "unknown")
    assert.are.equal(7, select(2, pool:next()).bytes)
  end)

  it("refuses what it can see beforehand, and keeps nothing of it", function()
    local pool <close> = http.pool { connections = 2 }
    assert_failure(failure_of(pool.add, pool, { url = "http://example.com/" }), "refused_scheme", "not_sent")
    assert.are.equal("usage", failure_of(pool.add, pool, { url = peer.url, headers = { X = "\n" } }).kind)
    assert.are.equal(0, #pool)
    for _, n in ipairs { 0, 1.5, 257, "x" } do
      assert.matches("from 1 to 256", failure_of(http.pool, { connections = n }).message)
    end
  end)

  it("hands over what on_chunk raises, and cannot be used from inside", function()
    local pool <close> = http.pool()
    pool:add({ url = peer.url .. "/bytes?10", on_chunk = function()
      pool:close()
    end }, "close")
    pool:add({ url = peer.url .. "/bytes?10", on_chunk = function()
      error "mine"
    end }, "error")
    local failures = {}
    for tag, _, failure in pool:each() do
      failures[tag] = tostring(failure)
    end
    assert.matches("on_chunk cannot use", failures.close)
    assert.matches("mine", failures.error)
  end)

  it("ends what is under way when it is closed", function()
    local path = support.workspace() .. "/file"
    local pool = http.pool()
    for _ = 1, 20 do
      pool:add { url = peer.url .. "/slow", to = path }
    end
    pool:next(0.05)
    pool:close()
    pool:close()
    assert.are.equal(0, #pool)
    assert.matches("closed", tostring(pool))
    assert.matches("the pool is closed", failure_of(pool.next, pool).message)
    assert.matches("the pool is closed", failure_of(pool.add, pool, { url = peer.url }).message)
    assert.are.same({}, sys.list(path:match("^(.*)/")))
  end)

  it("is collected with what is under way", function()
    do
      local pool = http.pool()
      pool:add { url = peer.url .. "/slow" }
      pool:next(0.01)
    end
    collectgarbage()
    collectgarbage()
    assert.are.equal(200, http.get(peer.url .. "/bytes?1").status)
  end)
end)
