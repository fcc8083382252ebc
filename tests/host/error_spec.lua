local csv = require "csv"
local frame = require "frame"
local host = require "host"
local support = require "tests.support"

local function failure_of(fn, ...)
  local done, failure = pcall(fn, ...)
  assert.is_false(done)
  return failure
end

--- The line a person sees of an error with these fields.
local function line(fields)
  return tostring(setmetatable(fields, host.error_metatable))
end

describe("an error", function()
  it("is a table with kind, code and message", function()
    local failure = failure_of(csv.frames, "/no/such/file.csv")
    assert.equal(host.error_metatable, getmetatable(failure))
    assert.same({
      kind = "input", code = "missing", message = "cannot open the file: No such file or directory",
      file = "/no/such/file.csv", hint = "Check the path; relative paths start at the current folder",
    }, setmetatable(failure, nil))
  end)

  it("of misuse says where the caller is", function()
    local failure = failure_of(function()
      frame.new({ 5 }, {})
    end)
    assert.equal("usage", failure.kind)
    assert.equal("usage", failure.code)
    assert.truthy(failure.where:find("error_spec.lua:%d+: $"), failure.where)
    assert.equal(failure.where .. "the name of column 1 is no string", tostring(failure))
  end)

  it("keeps a message of any length", function()
    for _, length in ipairs { 900, 1000, 1100, 100000 } do
      local name = ("x"):rep(length)
      local failure = failure_of(csv.frames, { text = "a\n" }, { [name] = 1 })
      assert.equal(1, failure.message:find("unknown option '" .. name .. "'; the options are: separator, ", 1, true))
      assert.equal("usage", failure.kind)
    end
  end)
end)

describe("the line a person sees", function()
  it("has place, message, detail and hint, as far as they are there", function()
    assert.equal("m", line { message = "m" })
    assert.equal("f: m", line { message = "m", file = "f" })
    assert.equal("f:3: m", line { message = "m", file = "f", line = 3 })
    assert.equal("f:3:4: m (d). h", line { message = "m", file = "f", line = 3, column = 4, detail = "d", hint = "h" })
    assert.equal("f: m", line { message = "m", file = "f", column = 4 })
    assert.equal("m", line { message = "m", line = 3, hint = "" })
    assert.equal("unknown error", line {})
    assert.equal("unknown error. h", line { hint = "h" })
  end)

  it("names the place in a script when there is no file", function()
    assert.equal("x.lua:5: m", line { message = "m", where = "x.lua:5: " })
    assert.equal("f: m", line { message = "m", where = "x.lua:5: ", file = "f" })
  end)

  it("has the SQLSTATE of a database error, and of no other", function()
    assert.equal("m (d) [23505]. h",
      line { kind = "database", message = "m", detail = "d", sqlstate = "23505", hint = "h" })
    assert.equal("m", line { kind = "input", message = "m", sqlstate = "23505" })
  end)

  it("is one line, and steers no terminal", function()
    assert.equal("a b  c [31md e", line { message = "a\nb\r\nc\27[31md\127e" })
    assert.equal("é😀", line { message = "é😀" })
    assert.equal("f x: m (d d). h h", line { message = "m", file = "f\nx", detail = "d\td", hint = "h\0h" })
  end)

  it("survives fields of other types, and long ones", function()
    assert.equal("5", line { message = 5 })
    assert.equal("unknown error", line { message = {}, file = false, detail = print })
    local long = ("x"):rep(100000)
    assert.equal(long .. ": " .. long .. " (" .. long .. "). " .. long,
      line { message = long, file = long, detail = long, hint = long })
    assert.has_error(function() host.error_metatable.__tostring("x") end)
  end)

  it("does not run what an error's fields bring along", function()
    local fields = { message = "m" }
    host.error_metatable.__index = function() error("ran") end
    local done, result = pcall(line, fields)
    host.error_metatable.__index = nil
    assert.is_true(done, result)
    assert.equal("m", result)
  end)
end)

describe("the exit status", function()
  it("is 1 for what the world does, and for a script that misuses a call", function()
    local misuse = support.ligase { "-e", [[require("csv").frames({text = "a"}, {separator = ""})]] }
    assert.equal(1, misuse.code, misuse.stderr)
    assert.truthy(misuse.stderr:find("(-e):1: separator must be one ASCII character", 1, true))
    local missing = support.ligase { "-e", [[require("csv").frames "none.csv"]] }
    assert.equal(1, missing.code)
    assert.truthy(missing.stderr:find("none.csv: cannot open the file", 1, true))
  end)

  it("is 130 after an interrupt, also in the middle of reading", function()
    for _, signal in ipairs { "INT", "TERM" } do
      local result = support.ligase { "-e", ([[
        local sys, csv = require "sys", require "csv"
        local path = sys.cwd() .. "/pipe"
        sys.run { "mkfifo", path }
        local script = 'exec 3> "$0"; printf "a\\n1\\n" >&3; sleep 0.3; kill -%s $1; sleep 5'
        local writer = sys.spawn { "sh", "-c", script, path, tostring(sys.pid()) }
        local done, failure = pcall(function()
          for _ in csv.frames(path) do end
        end)
        writer:kill("KILL")
        writer:wait(5)
        io.stdout:write(tostring(not done and failure.kind))
        error(failure, 0)]]):format(signal), timeout_s = 20 }
      assert.equal("interrupted", result.stdout, result.stderr)
      assert.equal(130, result.code)
    end
  end)
end)
