local errors = require "ligase.base.errors"
local host = require "host"
local sys = require "sys"

describe("errors", function()
  it("look the same from Lua and from C", function()
    local _, from_c = pcall(sys.read_file, "/no/such/file")
    local _, from_lua = pcall(errors.raise, { kind = "system", code = "ENOENT",
      message = "cannot read /no/such/file: No such file or directory" })
    assert.equal(getmetatable(from_c), getmetatable(from_lua))
    assert.equal(host.error_metatable, getmetatable(from_lua))
    assert.equal(tostring(from_c), tostring(from_lua))
    assert.equal(from_c.kind, from_lua.kind)
    assert.equal(from_c.code, from_lua.code)
  end)

  it("are copies with a code", function()
    local fields = { kind = "input", message = "m", line = 3 }
    local made = errors.new(fields)
    assert.are_not.equal(fields, made)
    assert.is_nil(getmetatable(fields))
    assert.equal("input", made.code)
    assert.equal("x", errors.new({ kind = "input", code = "x", message = "m" }).code)
    assert.equal(3, made.line)
  end)

  it("need a known kind and a message", function()
    assert.has_error(function()
      errors.new { kind = "strange", message = "m" }
    end)
    assert.has_error(function()
      errors.new { kind = "usage" }
    end)
  end)

  it("are told from other values and by kind", function()
    local made = errors.new { kind = "usage", message = "m" }
    assert.is_true(errors.is(made))
    assert.is_true(errors.is(made, "usage"))
    assert.is_false(errors.is(made, "input"))
    assert.is_false(errors.is({ kind = "usage", message = "m" }))
    assert.is_false(errors.is("m"))
    assert.is_false(errors.is(nil))
  end)

  it("say what, where and what to do in one line", function()
    assert.equal("a.csv:12:3: bad number (found 'x'). Fix the cell", errors.describe(errors.new {
      kind = "input", message = "bad number", detail = "found 'x'", file = "a.csv", line = 12, column = 3,
      hint = "Fix the cell" }))
    assert.equal("duplicate key [23505]", errors.describe(errors.new {
      kind = "database", message = "duplicate key", sqlstate = "23505" }))
    assert.is_nil(errors.describe(errors.new { kind = "input", message = "a\nb\r\nc" }):find("[\r\n]"))
  end)

  it("name the line at fault when asked", function()
    local line = debug.getinfo(1, "l").currentline + 2
    local function careless()
      errors.raise({ kind = "usage", message = "m" }, 1)
    end
    local _, failure = pcall(careless)
    assert.truthy(tostring(failure):find(("errors_spec.lua:%d: m"):format(line), 1, true))
    local _, plain = pcall(errors.raise, { kind = "usage", message = "m" })
    assert.equal("m", tostring(plain))
  end)

  it("wrap what was not meant for people, with its traceback kept apart", function()
    local made = errors.new { kind = "usage", message = "m" }
    assert.equal(made, errors.wrap(made))
    local wrapped = errors.wrap("boom")
    assert.equal("internal", wrapped.kind)
    assert.equal("boom", wrapped.message)
    assert.is_nil(wrapped.traceback)
    wrapped = errors.wrap(debug.traceback("boom\nbang"))
    assert.equal("boom\nbang", wrapped.message)
    assert.equal("stack traceback:", wrapped.traceback:match("^[^\n]*"))
    assert.truthy(errors.describe(wrapped):find("\nstack traceback:\n", 1, true))
    assert.equal("spoken", errors.wrap(setmetatable({}, { __tostring = function()
      return "spoken"
    end })).message)
    assert.truthy(errors.wrap(nil).message:find("nil", 1, true))
    assert.truthy(errors.wrap({}).message:find("a table was raised", 1, true))
    assert.truthy(errors.describe(42):find("42", 1, true))
  end)

  it("decide the exit status", function()
    local status = {}
    for _, kind in ipairs { "usage", "input", "database", "system", "interrupted", "internal" } do
      status[kind] = errors.exit_status(errors.new { kind = kind, message = "m" })
    end
    assert.same({ usage = 2, input = 1, database = 1, system = 1, interrupted = 130, internal = 1 }, status)
    assert.equal(1, errors.exit_status("boom"))
  end)
end)
