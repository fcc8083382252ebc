--- Processes that share one piece of work.
local children = require "ligase.cli.children"
local host = require "host"
local support = require "tests.support"
local sys = require "sys"

--- Waits to be told to stop: for ever, or with "at once" no longer.
local CHILD = [[
local patience, ready = ...
local told = false
require("sys").on_signal("TERM", function()
  told = true
  require("sys").on_signal("TERM", "default")
end)
io.open(ready, "a"):write("."):close()
while not (told and patience == "soft") do require("sys").sleep(0.02) end
os.exit(130)]]

--- So many processes of one kind, and what became of them; `during` overrides what the caller
--- of children.run gives.
local function run(number, script, argument, during)
  local started, told, ready = {}, {}, support.tmpfile("", "ready")
  local path = support.tmpfile(script, "child.lua")
  local options = {
    start = function(crashes)
      started[#started + 1] = crashes
      return sys.spawn({ host.executable, path, argument or "", ready }, { stderr = "null" })
    end,
    finished = function() return 0 end,
    told = function(times) told[#told + 1] = times end,
    look = function() end }
  for name, make in pairs(during or {}) do
    options[name] = make(options[name], function() return sys.stat(ready).size_bytes end, started)
  end
  local ended = children.run(number, options)
  return ended, started, told
end

local function interrupt()
  sys.kill(sys.pid(), "INT")
end

describe("children", function()
  it("are waited for", function()
    local ended, started = run(3, "os.exit(0)")
    assert.same({ stopped = false, broken = false }, ended)
    assert.same({ 0, 0, 0 }, started)
  end)

  it("that fail are not started again", function()
    local ended, started = run(2, "os.exit(1)")
    assert.same({ stopped = false, broken = true }, ended)
    assert.equal(2, #started)
  end)

  it("that are killed are replaced while something gets finished, five times without", function()
    local killed = "require('sys').kill(require('sys').pid(), 'KILL')"
    local ended, started = run(1, killed)
    assert.same({ stopped = false, broken = false, killed = "KILL" }, ended)
    assert.same({ 0, 1, 2, 3, 4, 5 }, started)

    local finished = 0
    ended, started = run(1, killed, nil, { finished = function(_, _, before)
      return function()
        finished = #before <= 8 and finished + 1 or finished
        return finished
      end
    end })
    assert.equal("KILL", ended.killed)
    assert.equal(13, #started)
  end)

  it("end softly when the first signal comes", function()
    local sent = false
    local ended, started, told = run(2, CHILD, "soft", { look = function(_, ready)
      return function()
        if not sent and ready() == 2 then
          sent = true
          interrupt()
        end
      end
    end })
    assert.same({ stopped = true, broken = false }, ended)
    assert.same({ { 0, 0 }, { 1 } }, { started, told })
  end)

  it("end softly when it comes while one is being started, and no other is", function()
    local ended, started = run(2, CHILD, "soft", { start = function(start)
      return function(crashes)
        local process = start(crashes)
        interrupt()
        return process
      end
    end })
    assert.same({ stopped = true, broken = false }, ended)
    assert.equal(1, #started)
  end)

  it("end at once when the second one comes, also with both between two looks", function()
    local sent = false
    local ended, _, told = run(2, CHILD, "hard", { look = function(_, ready)
      return function()
        if not sent and ready() == 2 then
          sent = true
          interrupt()
          interrupt()
        end
      end
    end })
    assert.same({ stopped = true, broken = false }, ended)
    assert.same({ 1, 2 }, told)
  end)

  it("that do not end even then are killed", function()
    local deaf = CHILD:gsub("default", "ignore")
    local sent, began = false, sys.monotonic()
    local ended = run(1, deaf, "hard", { look = function(_, ready)
      return function()
        if not sent and ready() == 1 then
          sent = true
          interrupt()
          interrupt()
        end
      end
    end })
    assert.is_true(ended.stopped)
    assert.is_nil(ended.killed)
    assert.is_true(sys.monotonic() - began < 30)
  end)

  it("end when what watches them fails", function()
    local processes = {}
    local done, failure = pcall(run, 2, CHILD, "soft", {
      start = function(start)
        return function(crashes)
          processes[#processes + 1] = start(crashes)
          return processes[#processes]
        end
      end,
      look = function()
        return function() error("it cannot look", 0) end
      end })
    assert.is_false(done)
    assert.matches("it cannot look", tostring(failure), 1, true)
    for _, process in ipairs(processes) do
      assert.is_false(process:kill "TERM")
    end
  end)
end)
