local errors = require "ligase.base.errors"
local options = require "ligase.base.options"

local SPEC = {
  delimiter = { type = "string", values = { ",", "\t" }, default = "," },
  limit_bytes = { type = "integer", min = 1, max = 100 },
  ratio = { type = "number", min = 0 },
  columns = { type = "table|string" },
  strict = { type = "boolean", default = true },
  anything = {},
}

local function check(given, spec)
  return options.check(given, spec or SPEC, "csv.frames")
end

local function refused(given, spec)
  local done, failure = pcall(check, given, spec)
  assert.is_false(done)
  assert.is_true(errors.is(failure, "usage"), tostring(failure))
  assert.truthy(failure.message:find("csv.frames: ", 1, true))
  return tostring(failure)
end

describe("options.check", function()
  it("fills in defaults and leaves the caller's table alone", function()
    assert.same({ delimiter = ",", strict = true }, check(nil))
    local given = { strict = false }
    assert.same({ delimiter = ",", strict = false }, check(given))
    assert.same({ strict = false }, given)
  end)

  it("refuses unknown names, with the nearest and all there are", function()
    local line = refused { delimeter = "," }
    assert.truthy(line:find("unknown option 'delimeter'", 1, true))
    assert.truthy(line:find("Did you mean 'delimiter'?", 1, true))
    assert.truthy(line:find("anything, columns, delimiter, limit_bytes, ratio, strict", 1, true))
    assert.is_nil(refused({ zzzz = 1 }):find("Did you mean", 1, true))
    refused { "positional" }
    assert.truthy(refused({ a = 1 }, {}):find("takes no options", 1, true))
  end)

  it("checks types", function()
    assert.truthy(refused({ delimiter = 5 }):find("must be string, not 5", 1, true))
    assert.truthy(refused({ strict = "yes" }):find("must be boolean, not 'yes'", 1, true))
    assert.truthy(refused({ columns = 5 }):find("must be table or string, not 5", 1, true))
    assert.same({ "a" }, check({ columns = { "a" } }).columns)
    assert.equal("a", check({ columns = "a" }).columns)
    assert.equal(check, check({ anything = check }).anything)
    assert.is_false(check({ anything = false }).anything)
    refused("text")
  end)

  it("takes whole floats for integers, and no others", function()
    assert.equal("integer", math.type(check({ limit_bytes = 5.0 }).limit_bytes))
    refused { limit_bytes = 5.5 }
    refused { limit_bytes = "5" }
    assert.equal(0.5, check({ ratio = 0.5 }).ratio)
  end)

  it("checks enumerations and ranges", function()
    assert.equal("\t", check({ delimiter = "\t" }).delimiter)
    assert.truthy(refused({ delimiter = ";" }):find("must be ',' or '\\t', not ';'", 1, true))
    assert.truthy(refused({ limit_bytes = 0 }):find("from 1 to 100, not 0", 1, true))
    assert.truthy(refused({ limit_bytes = 101 }):find("from 1 to 100", 1, true))
    assert.truthy(refused({ ratio = -1 }):find("at least 0", 1, true))
    refused { ratio = 0 / 0 }
  end)

  it("misses what is required", function()
    local spec = { name = { type = "string", required = true } }
    assert.truthy(refused({}, spec):find("option 'name' is missing", 1, true))
    assert.same({ name = "x" }, check({ name = "x" }, spec))
  end)

  it("points at the line that called the function whose options they are", function()
    local function frames(given)
      return options.check(given, SPEC, "csv.frames")
    end
    local line = debug.getinfo(1, "l").currentline + 2
    local _, failure = pcall(function()
      local made = frames { nonsense = 1 }
      return made
    end)
    assert.truthy(tostring(failure):find(("options_spec.lua:%d:"):format(line), 1, true), tostring(failure))
  end)
end)
