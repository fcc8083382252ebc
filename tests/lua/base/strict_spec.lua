local errors = require "ligase.base.errors"
local strict = require "ligase.base.strict"

--- Runs a chunk in an environment and returns the error it raised, if any.
local function run(env, code)
  local done, failure = pcall(assert(load(code, "=chunk", "t", env)))
  return not done and failure or nil
end

local function refused(env, code)
  local failure = run(env, code)
  assert.is_true(errors.is(failure, "usage"), tostring(failure))
  return tostring(failure)
end

describe("strict", function()
  local env

  before_each(function()
    env = { print = print, pairs = pairs, known = 1 }
    strict.enable(env)
  end)

  it("raises when an unknown global is read, with line and nearest name", function()
    local line = refused(env, "local x\nx = knwon")
    assert.truthy(line:find("chunk:2: ", 1, true))
    assert.truthy(line:find("'knwon'", 1, true))
    assert.truthy(line:find("Did you mean 'known'?", 1, true))
    assert.truthy(refused(env, "return zzzzzzzz()"):find("'zzzzzzzz'", 1, true))
  end)

  it("raises when an unknown global is assigned, and assigns nothing", function()
    assert.truthy(refused(env, "total = 1"):find("'local'", 1, true))
    assert.is_nil(rawget(env, "total"))
    refused(env, "function helper() end")
  end)

  it("lets known ones be read and assigned", function()
    assert.is_nil(run(env, "known = known + 1"))
    assert.equal(2, env.known)
  end)

  it("keeps an __index that was there, and is enabled once", function()
    local inherited = setmetatable({}, { __index = { old = 7 } })
    strict.enable(inherited)
    strict.enable(inherited)
    assert.is_nil(run(inherited, "local x = old"))
    refused(inherited, "local x = young")
    local computed = setmetatable({}, { __index = function(_, name)
      return name == "made" and 1 or nil
    end })
    strict.enable(computed)
    assert.is_nil(run(computed, "local x = made"))
    refused(computed, "local x = other")
  end)

  it("declares globals, also without a value", function()
    finally(function()
      rawset(_G, "LIGASE_SPEC_GLOBAL", nil)
    end)
    strict.declare("LIGASE_SPEC_GLOBAL", nil)
    strict.enable()
    assert.is_nil(run(_G, "local x = LIGASE_SPEC_GLOBAL; LIGASE_SPEC_GLOBAL = 5"))
    assert.equal(5, rawget(_G, "LIGASE_SPEC_GLOBAL"))
    refused(_G, "return LIGASE_SPEC_OTHER")
    refused(_G, "LIGASE_SPEC_OTHER = 1")
  end)

  it("leaves libraries that are installed beside us alone", function()
    local probe = assert(load("return unpack or 'none'", "@/usr/share/lua/5.4/some/library.lua", "t", env))
    assert.equal("none", probe())
  end)
end)
