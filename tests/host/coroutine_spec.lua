--- Coroutines do what Lua's own do, and can be interrupted.
local host = require "host"
local support = require "tests.support"
local sys = require "sys"

describe("coroutines", function()
  it("take and give values", function()
    local thread = coroutine.create(function(...)
      local a, b = coroutine.yield(select("#", ...), ...)
      return a + b, nil
    end)
    assert.same({ n = 4, true, 2, nil, "x" }, table.pack(coroutine.resume(thread, nil, "x")))
    assert.same({ n = 3, true, 7, nil }, table.pack(coroutine.resume(thread, 3, 4)))
    assert.same({ false, "cannot resume dead coroutine" }, { coroutine.resume(thread) })
    assert.equal("dead", coroutine.status(thread))
    local numbers = {}
    for i, square in coroutine.wrap(function()
      for i = 1, 3 do
        coroutine.yield(i, i * i)
      end
    end) do
      numbers[i] = square
    end
    assert.same({ 1, 4, 9 }, numbers)
    assert.equal(0, select("#", coroutine.wrap(function() end)()))
  end)

  it("pass on what is raised, as it was", function()
    local failure = { kind = "mine" }
    local done, raised = coroutine.resume(coroutine.create(function() error(failure) end))
    assert.is_false(done)
    assert.equal(failure, raised)
    done, raised = pcall(coroutine.wrap(function() error(failure) end))
    assert.is_false(done)
    assert.equal(failure, raised)
    assert.matches("coroutine_spec.lua:%d+: text$", select(2, pcall(coroutine.wrap(function() error "text" end))))
    local wrapped = coroutine.wrap(function() error "text" end)
    pcall(wrapped)
    assert.matches("cannot resume dead coroutine", select(2, pcall(wrapped)), 1, true)
  end)

  it("close what they hold when they fail", function()
    local closed = {}
    pcall(coroutine.wrap(function()
      local held <close> = setmetatable({}, { __close = function() closed[1] = true end }) -- luacheck: ignore 211
      error "x"
    end))
    assert.same({ true }, closed)
  end)

  it("nest, know who runs, and yield through protected calls", function()
    local outer = coroutine.wrap(function()
      local inner = coroutine.wrap(function()
        assert(coroutine.isyieldable())
        coroutine.yield(coroutine.running())
        pcall(coroutine.yield, "protected")
        return "end"
      end)
      local thread = inner()
      assert(thread ~= coroutine.running() and coroutine.status(thread) == "suspended")
      coroutine.yield(inner())
      coroutine.yield(inner())
    end)
    assert.equal("protected", outer())
    assert.equal("end", outer())
  end)

  it("refuse what is no coroutine or function", function()
    for _, name in ipairs { "resume", "wrap" } do
      for _, value in ipairs { 5, "x", {} } do
        local done, why = pcall(coroutine[name], value)
        assert.is_false(done)
        assert.matches("expected, got", why, 1, true)
      end
    end
    assert.is_false((pcall(coroutine.resume)))
    local done, why = coroutine.resume(coroutine.running())
    assert.is_false(done)
    assert.matches("non%-suspended", why)
  end)

  it("end at a signal, how deep so ever", function()
    for _, code in ipairs {
      "coroutine.wrap(function() while true do end end)()",
      "assert(coroutine.resume(coroutine.create(function() while true do end end)))",
      "coroutine.wrap(function() coroutine.wrap(function() io.write'in\\n' end)() while true do end end)()",
      "local f = coroutine.wrap(function() while true do coroutine.yield() end end) while true do f() end" } do
      local said = support.tmpfile("", "said")
      local child <close> = sys.spawn({ host.executable, "-e", "io.write'go\\n' io.flush() " .. code },
        { stdout = said, stderr = "null" })
      for _ = 1, 1000 do
        if sys.read_file(said) ~= "" then
          break
        end
        sys.sleep(0.02)
      end
      sys.kill(child:pid(), "INT")
      local ended = child:wait(20)
      assert.same({ code = 130 }, ended and { code = ended.code })
    end
  end)
end)
