local errors = require "ligase.base.errors"
local json = require "ligase.base.json"
local limits = require "ligase.io.notion.limits"
local properties = require "ligase.io.notion.properties"

local ID = "01234567-89ab-cdef-0123-456789abcdef"

--- What Notion shows of a property that was written: as written, with its type.
local function shown(kind, written)
  for _, item in ipairs(kind == "title" and written.title or kind == "rich_text" and written.rich_text or {}) do
    item.plain_text = item.text.content
  end
  return { id = "x", type = kind, [kind] = written[kind] }
end

local function refused(code, kind, value, name)
  local done, failure = pcall(properties.write, kind, value, name)
  assert.is_false(done, "it was taken")
  assert.is_true(errors.is(failure, "notion"), tostring(failure))
  assert.equal(code, failure.code, tostring(failure))
  assert.equal("not_sent", failure.outcome)
  return tostring(failure)
end

describe("Notion's properties", function()
  it("come back as they were written", function()
    for kind, values in pairs {
      title = { "plasma", "a, b\n\"c\"", ("é"):rep(2001), ("x"):rep(200000) },
      rich_text = { "0123", ("💡"):rep(1001) },
      number = { 3, 2.5, -1, 0, 1 << 53 },
      select = { "lipidomics" },
      status = { "Done" },
      multi_select = { { "human", "mouse" }, {} },
      relation = { { ID }, {} },
      url = { "https://example.org/?a=b" },
      email = { "a@example.org" },
      phone_number = { "+1 555" },
      checkbox = { true, false },
      date = { "2026-01-31", "2026-01-31T10:00:00Z", { start = "2026-01-31", ["end"] = "2026-02-01" } },
      files = { { { name = "a.csv", url = "https://example.org/a.csv" } } },
    } do
      for _, value in ipairs(values) do
        local written = json.decode(json.encode(properties.write(kind, value)))
        assert.same(value, properties.read(shown(kind, written)), kind)
      end
    end
  end)

  it("are emptied by nil and by null", function()
    for kind, empty in pairs { title = "[]", rich_text = "[]", multi_select = "[]", relation = "[]", files = "[]",
      number = "null", select = "null", url = "null", date = "null", checkbox = "false" } do
      local wanted = ('{"%s":%s}'):format(kind, empty)
      assert.equal(wanted, json.encode(properties.write(kind, nil)))
      assert.equal(wanted, json.encode(properties.write(kind, json.null)))
    end
    assert.equal('{"url":null}', json.encode(properties.write("url", "")))
    assert.is_nil(properties.read { type = "select", select = json.null })
    assert.is_nil(properties.read { type = "number", number = json.null })
    assert.is_nil(properties.read { type = "date", date = json.null })
    assert.equal("", properties.read { type = "title", title = {} })
  end)

  it("hold long texts in pieces of 2000 UTF-16 units, and no longer ones than 100 pieces", function()
    local items = properties.write("rich_text", ("💡"):rep(1500)).rich_text
    assert.equal(2, #items)
    assert.equal(2000, limits.length(items[1].text.content))
    assert.equal(1000, limits.length(items[2].text.content))
    local message = refused("limit", "rich_text", ("x"):rep(200001), "Summary")
    assert.matches("property 'Summary' %(rich_text%) holds 200,001 characters", message)
  end)

  it("name each option and page once", function()
    assert.equal('{"multi_select":[{"name":"a"},{"name":"b"}]}', json.encode(properties.write("multi_select",
      { "a", "b", "a" })))
    assert.equal(('{"relation":[{"id":"%s"}]}'):format(ID), json.encode(properties.write("relation",
      { ID, ID:gsub("-", ""):upper() })))
  end)

  it("refuse what they cannot hold, before anything is sent", function()
    assert.matches("comma", refused("value", "select", "diabetes, type 2", "Disease"))
    refused("value", "multi_select", { "a,b" })
    refused("value", "multi_select", { "  " })
    refused("limit", "select", ("x"):rep(101))
    refused("value", "number", 0 / 0)
    refused("value", "number", math.huge)
    refused("value", "number", (1 << 53) + 1)
    refused("value", "number", "3")
    refused("value", "checkbox", "yes")
    refused("value", "date", "31.01.2026")
    refused("value", "relation", { "plasma" })
    refused("value", "title", "\xFF")
    refused("limit", "url", "https://" .. ("x"):rep(2000))
    local many = {}
    for i = 1, 101 do
      many[i] = ("%08x%s"):format(i, ID:sub(9))
    end
    assert.matches("has 101 relations", refused("limit", "relation", many))
    for _, kind in ipairs { "people", "formula", "rollup", "unique_id", "created_time", "last_edited_by" } do
      assert.is_false(properties.is_writable(kind))
      assert.matches("read%-only", refused("value", kind, "x", "P"))
    end
  end)

  it("that are read-only can be read", function()
    local person = { object = "user", id = ID, name = "Ann", person = { email = "ann@example.org" } }
    for _, case in ipairs {
      { { type = "people", people = { person } }, { { id = ID, name = "Ann", email = "ann@example.org" } } },
      { { type = "created_by", created_by = person }, { id = ID, name = "Ann", email = "ann@example.org" } },
      { { type = "created_time", created_time = "2026-01-31T10:00:00.000Z" }, "2026-01-31T10:00:00.000Z" },
      { { type = "unique_id", unique_id = { prefix = "DS", number = 12 } }, "DS-12" },
      { { type = "unique_id", unique_id = { prefix = json.null, number = 12 } }, "12" },
      { { type = "formula", formula = { type = "string", string = "x" } }, "x" },
      { { type = "formula", formula = { type = "boolean", boolean = false } }, false },
      { { type = "formula", formula = { type = "date", date = { start = "2026-01-31", ["end"] = json.null } } },
        "2026-01-31" },
      { { type = "formula", formula = { type = "number", number = json.null } }, nil },
      { { type = "rollup", rollup = { type = "number", number = 3, ["function"] = "sum" } }, 3 },
      { { type = "rollup", rollup = { type = "array", ["function"] = "show_original", array = {
        { type = "title", title = { { plain_text = "a" } } }, { type = "number", number = json.null } } } },
        { "a", json.null } },
      { { type = "button", button = {} }, nil },
      { { type = "never_heard_of", never_heard_of = {} }, nil },
    } do
      assert.same(case[2], properties.read(case[1]), case[1].type)
    end
  end)

  it("give a page's title, whatever it is called", function()
    assert.equal("a b", properties.title { properties = { Nome = { type = "title",
      title = { { plain_text = "a " }, { plain_text = "b" } } }, N = { type = "number", number = 1 } } })
  end)
end)

describe("the id of a page", function()
  it("is found in what people copy", function()
    local digits = ID:gsub("-", "")
    for _, given in ipairs { ID, ID:upper(), digits, "https://www.notion.so/lab/" .. digits,
      ("https://www.notion.so/lab/My-Facade-%s?v=%s&pvs=4"):format(digits, ("f"):rep(32)),
      ("https://www.notion.so/Title-%s#block"):format(digits), ("https://www.notion.so/%s/"):format(ID) } do
      assert.equal(ID, properties.id(given), given)
    end
    for _, given in ipairs { "", "x", digits:sub(2), "1" .. digits, "https://www.notion.so/lab", ID .. "0" } do
      assert.is_nil(properties.id(given), given)
    end
  end)
end)
