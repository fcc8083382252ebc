--- The HTTP server, asked by clients that owe nothing to it: Python's http.client and bare
--- sockets, in a process of their own.
local errors = require "ligase.base.errors"
local host = require "host"
local json = require "ligase.base.json"
local serve = require "serve"
local support = require "tests.support"
local sys = require "sys"

--- The clients' process: does one piece of Python after the other, as they are put into its
--- folder; `ask` is for one request, `raw` for bytes as they are, `tell` for the outcome.
local CLIENT = [=[
import http.client, json, os, socket, sys, time, traceback
folder = sys.argv[1]
def ask(method, path, body=None, headers={}):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        c.request(method, path, body, headers)
        r = c.getresponse()
        return [r.status, r.read().decode(), {k.lower(): v for k, v in r.getheaders()}]
    except Exception as e:
        return [type(e).__name__]
def raw(data, pause=0, rest=b""):
    s = socket.create_connection(("127.0.0.1", port), timeout=10)
    got = b""
    try:
        s.sendall(data)
        time.sleep(pause)
        if rest: s.sendall(rest)
        while True:
            piece = s.recv(65536)
            if not piece: break
            got += piece
    except Exception as e:
        return type(e).__name__
    return got.decode()
def tell(value):
    global told
    told = value
number = 0
while True:
    number += 1
    place = "%s/%d" % (folder, number)
    while not os.path.exists(place + ".py"): time.sleep(0.002)
    told = None
    try:
        with open(place + ".py") as f: port, code = f.read().split("\n", 1)
        port = int(port)
        exec(code)
    except Exception:
        told = {"failed": traceback.format_exc()}
    with open(place + ".part", "w") as f: json.dump(told, f)
    os.rename(place + ".part", place + ".json")
]=]

describe("serve", function()
  local client = { asked = 0 }

  setup(function()
    client.folder = support.workspace()
    client.process = sys.spawn { "python3", "-IS", "-c", CLIENT, client.folder }
  end)

  teardown(function()
    client.process:close()
  end)

  --- Lets the client begin with a piece of Python; gives what tells whether it is done.
  local function begin(port, code)
    client.asked = client.asked + 1
    local place = ("%s/%d"):format(client.folder, client.asked)
    sys.write_file(place .. ".py", ("%d\n%s"):format(port, code))
    return function()
      return sys.stat(place .. ".json") and json.decode(sys.read_file(place .. ".json"))
    end
  end

  --- Lets the client do it and gives the server its time until that is done.
  local function served(server, code)
    local outcome = begin(server.port, code)
    local told = outcome()
    while not told do
      server:step(0.02)
      assert.is_nil(client.process:wait(0), "the client has ended")
      told = outcome()
    end
    assert.is_nil(type(told) == "table" and told.failed or nil)
    return told
  end

  --- The same with a server of its own.
  local function with(handler, code, options)
    local server <close> = serve.listen { handler = handler, limits = options and options.limits,
      failed = options and options.failed }
    return served(server, code)
  end

  local function echo(request)
    return { body = json.encode(request), headers = { ["Content-Type"] = "application/json" } }
  end

  describe("requests", function()
    it("come decoded, with their headers in lower case", function()
      local got = with(echo, [=[tell(ask("POST", "/a%20b/%C3%A9?x=1&y=%2B+z&x=2&empty", "body", {"X-Name": "v"}))]=])
      local request = json.decode(got[2])
      assert.equal("POST", request.method)
      assert.equal("/a b/é", request.path)
      assert.equal("/a%20b/%C3%A9?x=1&y=%2B+z&x=2&empty", request.raw_path)
      assert.same({ x = "2", y = "+ z", empty = "" }, request.query)
      assert.same({ { "x", "1" }, { "y", "+ z" }, { "x", "2" }, { "empty", "" } }, request.query_pairs)
      assert.equal("body", request.body)
      assert.equal("v", request.headers["x-name"])
      assert.equal("127.0.0.1", request.peer)
      assert.equal("integer", math.type(request.peer_port))
    end)

    it("may have a header twice, and a target with a host", function()
      local got = with(echo, [=[tell(raw(b"GET http://example.org/p?q=1 HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nx-a: 2\r\n"
        b"Connection: close\r\n\r\n").split("\r\n\r\n"))]=])
      local request = json.decode(got[2])
      assert.equal("/p", request.path)
      assert.equal("1, 2", request.headers["x-a"])
      assert.equal("1", request.query.q)
    end)

    it("may come in pieces, and in chunks", function()
      local got = with(echo, [=[
tell([raw(b"POST / HTTP/1.1\r\nHo", 0.1, b"st: a\r\nContent-Length: 6\r\nConnection: close\r\n\r\nabcdef"),
      raw(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n", 0.1,
          b"2\r\nde\r\n0\r\n\r\n")])]=])
      assert.matches('"body":"abcdef"', got[1], 1, true)
      assert.matches('"body":"abcde"', got[2], 1, true)
    end)

    it("carry any bytes in their body", function()
      local seen
      with(function(request)
        seen = request.body
        return {}
      end, [=[tell(ask("PUT", "/", bytes(range(256)) * 300))]=])
      assert.equal(256 * 300, #seen)
      assert.equal("\0\1\2", seen:sub(1, 3))
    end)

    it("share a connection, and know it", function()
      local got = with(echo, [=[
c = http.client.HTTPConnection("127.0.0.1", port)
answers = []
for i in range(3):
    c.request("POST", "/", "x" * i)
    answers.append(json.loads(c.getresponse().read()))
tell([[a["connection"], a["turn"]] for a in answers] + [json.loads(ask("GET", "/")[1])["connection"]])]=])
      assert.same({ { 1, 1 }, { 1, 2 }, { 1, 3 }, 2 }, got)
    end)
  end)

  describe("refuses", function()
    local function refused(code)
      return with(function()
        error("the handler was asked")
      end, code, { failed = function(failure) error(failure) end })
    end

    it("what two readers may understand differently, and closes", function()
      local got = refused [=[
heads = [b"Content-Length: 3\r\nContent-Length: 3", b"Content-Length: 3\r\nContent-Length: 4",
         b"Content-Length: 3\r\nTransfer-Encoding: chunked", b"Transfer-Encoding: chunked\r\nContent-Length: 3",
         b"Host: b\r\nContent-Length: 3"]
tell([raw(b"POST / HTTP/1.1\r\nHost: a\r\n" + head + b"\r\n\r\nabc") for head in heads]
     + [raw(b"GET / HTTP/1.1\r\n\r\n")])]=]
      assert.equal(6, #got)
      for _, answer in ipairs(got) do
        assert.matches("^HTTP/1.1 400 ", answer)
        assert.matches("Connection: close", answer, 1, true)
      end
    end)

    it("paths that leave the root, end early or are wrongly escaped", function()
      local got = refused [=[tell([ask("GET", p)[0] for p in ["/../x", "/a/%2e%2e/b", "/a/..", "/%00", "/a%0Ab",
        "/a%zz", "/%", "/a%5Cb", "/.", "nothing"]] + [ask("GET", "/?a=%4")[0]])]=]
      assert.same({ 400, 400, 400, 400, 400, 400, 400, 400, 400, 400, 400 }, got)
    end)

    it("bodies and headers beyond the limits", function()
      local got = with(echo, [=[tell([ask("POST", "/", "x" * 100)[0], ask("POST", "/", "x" * 101)[0],
        ask("POST", "/", iter([b"x" * 60, b"y" * 60]))[0],
        ask("GET", "/", None, {"X-Long": "x" * 1100})[0], ask("GET", "/", None, {"X": "x" * 900})[0]])]=],
        { limits = { body_bytes = 100, header_bytes = 1024 } })
      assert.same({ 200, 413, 413, 431, 200 }, got)
    end)

    it("bodies that are announced as far too large, before they come", function()
      local got = with(echo, [=[
head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: "
tell([raw(head + b"100000000\r\n\r\n")[:12], raw(head + b"101\r\nExpect: 100-continue\r\n\r\n")[:12],
      raw(head + b"99999999999999999999999\r\n\r\n")[:12],
      raw(head + b"5\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n", 0.05, b"abcde").split("\r\n\r\n")[0],
      ask("GET", "/")[0]])]=], { limits = { body_bytes = 100 } })
      assert.same({ "HTTP/1.1 413", "HTTP/1.1 413" }, { got[1], got[2] })
      assert.matches("^HTTP/1.1 4", got[3])
      assert.same({ "HTTP/1.1 100 Continue", 200 }, { got[4], got[5] })
    end)

    it("clients that never come to an end", function()
      local got = with(echo, [=[
def slow(first, pieces):
    s = socket.create_connection(("127.0.0.1", port), timeout=10)
    try:
        s.sendall(first)
        for i in range(100):
            s.sendall(pieces)
            time.sleep(0.02)
            s.settimeout(0.001)
            try:
                if s.recv(10) == b"": return i
            except socket.timeout: pass
        return "never"
    except OSError: return i
tell([slow(b"", b"G"), slow(b"GET / HTTP/1.1\r\nX: ", b"x"), slow(b"POST / HTTP/1.1\r\nHost: a\r\n"
      b"Content-Length: 1000\r\n\r\n", b"x")])]=], { limits = { request_timeout_s = 0.1 } })
      for _, count in ipairs(got) do
        assert.is_number(count)
      end
    end)
  end)

  describe("answers", function()
    it("have a status, headers and a body of any bytes", function()
      local got = with(function()
        return { status = 418, body = "a\0b", headers = { ["X-One"] = "1", ["Set-Cookie"] = { "a=1", "b=2" },
          ["X-Number"] = 5 } }
      end, [=[
c = http.client.HTTPConnection("127.0.0.1", port)
c.request("GET", "/")
r = c.getresponse()
tell([r.status, list(r.read()), r.headers.get_all("Set-Cookie"), r.headers["X-One"], r.headers["X-Number"],
      r.headers["Content-Length"]])]=])
      assert.same({ 418, { 97, 0, 98 }, { "a=1", "b=2" }, "1", "5", "3" }, got)
    end)

    it("to HEAD have no body", function()
      local got = with(function() return { body = "12345" } end, [=[tell(ask("HEAD", "/"))]=])
      assert.equal("", got[2])
      assert.equal("5", got[3]["content-length"])
    end)

    it("can be a closed connection without a byte", function()
      local got = with(function() return { drop = true } end, [=[tell(ask("POST", "/", "x"))]=])
      assert.same({ "RemoteDisconnected" }, got)
    end)

    it("can break off in their middle", function()
      local got = with(function() return { body = ("x"):rep(1000), truncate = 10 } end, [=[
tell([ask("GET", "/"), raw(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")])]=])
      assert.same({ "IncompleteRead" }, got[1])
      assert.matches("Content%-Length: 1000", got[2])
      assert.matches("\r\n\r\nxxxxxxxxxx$", got[2])
    end)

    it("can wait while others are answered", function()
      local got = with(function(request)
        return request.path == "/slow" and { body = "slow", delay_s = 1 } or { body = "fast" }
      end, [=[
s = socket.create_connection(("127.0.0.1", port))
s.sendall(b"GET /slow HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
fast = [ask("GET", "/fast")[1] for i in range(3)]
s.setblocking(False)
try: early = s.recv(10).decode()
except BlockingIOError: early = "nothing yet"
s.setblocking(True)
tell(fast + [early, s.makefile().read()[-4:]])]=])
      assert.same({ "fast", "fast", "fast", "nothing yet", "slow" }, got)
    end)

    it("that a client does not take are given up", function()
      local server <close> = serve.listen { handler = function() return { body = ("x"):rep(64 << 20) } end,
        limits = { answer_timeout_s = 0.2 } }
      local got = served(server, [=[
s = socket.create_connection(("127.0.0.1", port))
s.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
count = len(s.recv(1)) # the answer has begun, however long that took
time.sleep(2)
try:
    while True:
        piece = s.recv(1 << 20)
        if not piece: break
        count += len(piece)
except OSError: pass
tell(count)]=])
      assert.is_true(got < 64 << 20)
    end)

    it("that are none are failures, and the next request is served", function()
      local wrong = { "text", { status = 99 }, { status = "x" }, { body = 5 }, { truncate = 1 }, { delay_s = -1 },
        { headers = "x" }, { headers = { ["a b"] = "c" } }, { headers = { a = "b\r\nc" } }, { heads = {} },
        { headers = { [1] = "x" } }, { headers = { a = {} , b = { false } } } }
      local failures = {}
      local got = with(function(request)
        local number = tonumber(request.query.n)
        return number and wrong[number] or { body = "fine" }
      end, ([=[tell([ask("GET", "/?n=%%d" %% n)[0] for n in range(1, %d)] + [ask("GET", "/")[1]])]=]):format(
        #wrong + 1), { failed = function(failure) failures[#failures + 1] = failure end })
      for i = 1, #wrong do
        assert.equal(500, got[i], "answer " .. i)
        assert.is_true(errors.is(failures[i], "usage"), tostring(failures[i]))
      end
      assert.equal("fine", got[#wrong + 1])
    end)
  end)

  describe("a handler that raises", function()
    it("gives 500, and its error with a traceback to who wants it", function()
      local failure, request
      local got = with(function() error("broken") end, [=[tell(ask("GET", "/here"))]=], {
        failed = function(...) failure, request = ... end })
      assert.equal(500, got[1])
      assert.is_nil(got[2]:find("broken", 1, true))
      assert.matches("broken.*stack traceback", failure)
      assert.equal("/here", request.path)
    end)

    it("may fail again in the function that is told of it", function()
      local count = 0
      local got = with(function()
        count = count + 1
        return count == 2 and { body = "well" } or errors.raise { kind = "input", message = "no" }
      end, [=[tell([ask("GET", "/")[0], ask("GET", "/")[0]])]=], { failed = function() error({}) end })
      assert.same({ 500, 200 }, got)
    end)

    it("cannot close or run its own server", function()
      local server, told
      server = serve.listen { handler = function(request)
        return request.path == "/close" and server:close() or server:step(0)
      end, failed = function(failure) told = (told or "") .. tostring(failure) end }
      assert.same({ 500, 500 }, served(server, [=[tell([ask("GET", "/close")[0], ask("GET", "/step")[0]])]=]))
      assert.matches("cannot close.*cannot run", told)
      server:close()
    end)
  end)

  describe("the server", function()
    it("is told how to listen in named options", function()
      local function refused(options)
        local done, failure = pcall(serve.listen, options)
        assert.is_false(done)
        return failure
      end
      assert.matches("has no 'prot'", tostring(refused { handler = print, prot = 1 }))
      assert.matches("has no 'body'", tostring(refused { handler = print, limits = { body = 1 } }))
      assert.matches("'port'", tostring(refused { handler = print, port = 70000 }))
      assert.matches("handler", tostring(refused {}))
      local failure = refused { handler = print, host = "256.1.1.1" }
      assert.equal("EADDRNOTAVAIL", failure.code)
    end)

    it("says when its port is taken", function()
      local first <close> = serve.listen { handler = echo }
      local done, failure = pcall(serve.listen, { handler = echo, port = first.port })
      assert.is_false(done)
      assert.equal("EADDRINUSE", failure.code)
    end)

    it("can be closed at any time, and again", function()
      local server = serve.listen { handler = function() return { delay_s = 60 } end }
      local outcome = begin(server.port, [=[tell(ask("GET", "/"))]=])
      local count = 0
      while count == 0 do
        count = server:step(0.05)
      end
      server:close() -- with an answer that waits
      server:close()
      assert.is_nil(server.port)
      assert.has_error(function() server:step(0) end)
      local told
      while not told do
        told = outcome()
      end
      assert.same({ "RemoteDisconnected" }, told)
      serve.listen { handler = echo } -- left to the collector
      collectgarbage()
    end)

    it("listens on IPv6 too", function()
      local done, server = pcall(serve.listen, { handler = echo, host = "::1" })
      if not done then
        pending("this machine has no IPv6")
        return
      end
      local got = served(server, [=[
c = http.client.HTTPConnection("::1", port)
c.request("GET", "/")
tell(json.loads(c.getresponse().read())["peer"])]=])
      server:close()
      assert.equal("::1", got)
    end)

    it("runs until it is stopped or interrupted", function()
      local script = support.tmpfile([=[
local serve = require "serve"
local server
server = serve.listen { handler = function(request)
  if request.path == "/stop" then server:stop() end
  if request.path == "/hang" then while true do end end
  return { body = "bye" }
end }
local file = io.open(arg[1] .. ".part", "w")
file:write(server.port)
file:close()
os.rename(arg[1] .. ".part", arg[1])
server:run()
server:close()
]=], "server.lua")
      local function ran(how)
        local place = support.workspace() .. "/port"
        local process <close> = sys.spawn({ host.executable, script, place }, { stderr = "null" })
        while not sys.stat(place) do
          sys.sleep(0.02)
        end
        how(process, tonumber(sys.read_file(place)))
        return process:wait(10).code
      end
      local function told(port, code)
        local outcome, value = begin(port, code), nil
        while not value do
          sys.sleep(0.01)
          value = outcome()
        end
        return value
      end
      assert.equal(0, ran(function(_, port)
        assert.equal("bye", told(port, [=[tell(ask("GET", "/stop")[1])]=]))
      end))
      assert.equal(130, ran(function(process)
        process:kill("INT")
      end))
      assert.equal(130, ran(function(process, port)
        told(port, [=[
s = socket.create_connection(("127.0.0.1", port))
s.sendall(b"GET /hang HTTP/1.1\r\nHost: a\r\n\r\n")
time.sleep(0.1)
tell("sent")]=])
        process:kill("INT")
      end))
    end)
  end)
end)
