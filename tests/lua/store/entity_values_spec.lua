local json = require "ligase.base.json"
local values = require "ligase.store.entity_values"

local function plain(value)
  return type(value) == "table" and setmetatable(value, nil) or value
end

local function gives(wanted, field, given)
  local value, problem = values.convert(field, given)
  assert.is_nil(problem)
  assert.same(wanted, plain(value))
end

local function refuses(pattern, field, given)
  local value, problem = values.convert(field, given)
  assert.is_nil(value)
  assert.matches(pattern, problem)
end

describe("a field's value", function()
  it("is text without blanks around it, or nothing", function()
    local field = { type = "text" }
    gives("a b", field, " a b\n")
    gives("7", field, 7)
    gives(json.null, field, "  ")
    gives(json.null, field, json.null)
    refuses("UTF%-8", field, "\xFF")
    refuses("NUL", field, "a\0b")
    refuses("a boolean", field, true)
  end)

  it("is a list of terms, each once, also from one text", function()
    local field = { type = "terms" }
    gives({ "ALS", "FTD", "a, b" }, field, "ALS; FTD | ALS;;a, b")
    gives({ "ALS" }, field, { "ALS", " ALS " })
    gives({}, field, "")
    assert.is_true(json.is_array((values.convert(field, ""))))
    refuses("no list", field, { a = "b" })
    refuses("not a text", field, { {} })
    refuses("control", field, { "a\tb" })
  end)

  it("is an object, from a table, JSON or pairs", function()
    local field = { type = "object" }
    gives({ a = "1", b = "x=y" }, field, "a=1; b=x=y")
    gives({ a = 1 }, field, '{"a": 1}')
    gives({}, field, "")
    refuses("no JSON", field, "{a")
    refuses("'a' is no key=value", field, "a")
    refuses("stands twice", field, "a=1;a=2")
    refuses("a list", field, { "x" })
  end)

  it("is groups of samples", function()
    local field = { type = "groups" }
    local groups = values.convert(field, "case=s1, s2; control=s3")
    assert.same({ "s1", "s2" }, plain(groups.case))
    assert.same({ "s3" }, plain(groups.control))
    refuses("group 'case'", field, { case = 5 })
  end)

  it("is a number", function()
    gives(2244, { type = "integer" }, " 2244 ")
    refuses("whole", { type = "integer" }, "22.5")
    gives(180.16, { type = "number" }, "180.16")
    gives(180, { type = "number" }, 180.0)
    refuses("no number", { type = "number" }, "180,16")
    refuses("no number", { type = "number" }, 0 / 0)
    refuses("above 0", { type = "number", check = "positive" }, "-1")
  end)

  it("sets members of a merged object one by one", function()
    local field = { type = "object", merge = true }
    assert.same({ a = "1", c = "3" }, values.merged(field, { a = "1", b = "2" }, { b = json.null, c = "3" }))
    assert.same({}, values.merged(field, { a = "1" }, {}))
    assert.same({ b = "2" }, values.merged({ type = "object" }, { a = "1" }, { b = "2" }))
  end)
end)
