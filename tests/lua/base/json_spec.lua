local errors = require "ligase.base.errors"
local host = require "host"
local json = require "ligase.base.json"
local support = require "tests.support"

local function refused_text(text, byte, options)
  local done, failure = pcall(json.decode, text, options)
  assert.is_false(done, text)
  assert.is_true(errors.is(failure, "input"), tostring(failure))
  assert.equal(byte, failure.byte, tostring(failure))
  return failure.message
end

local function refused_value(value, path)
  local done, failure = pcall(json.encode, value)
  assert.is_false(done)
  assert.is_true(errors.is(failure, "usage"), tostring(failure))
  assert.truthy(failure.message:find("cannot write " .. path .. " as JSON: ", 1, true), failure.message)
  return failure.message
end

--- A value made at random, from a generator that always gives the same ones.
local function random_value(random, depth)
  local kind = random(depth > 4 and 6 or 8)
  if kind == 1 then
    return random(0) -- any 64-bit integer
  elseif kind == 2 then
    return (string.unpack("d", string.pack("i8", random(0) & ~(0x7ff << 52) | random(0x001, 0x7fe) << 52)))
  elseif kind == 3 then
    return random(2) == 1
  elseif kind == 4 then
    return json.null
  elseif kind <= 6 then
    local codes = {}
    for i = 1, random(0, 8) do
      codes[i] = ({ random(0, 127), random(0x80, 0x7FF), random(0xE000, 0xFFFF), random(0x10000, 0x10FFFF) })[
        random(4)]
    end
    return utf8.char(table.unpack(codes))
  elseif kind == 7 then
    local items = json.array()
    for i = 1, random(0, 5) do
      items[i] = random_value(random, depth + 1)
    end
    return items
  end
  local members = {}
  for _ = 1, random(0, 5) do
    members["k" .. random(100)] = random_value(random, depth + 1)
  end
  return members
end

--- Reads JSON strictly and writes it in another manner: escapes for all that is not
--- ASCII, its own form of floats, much white space.
local PYTHON = [[
import json, sys
def refuse(name):
    raise ValueError(name)
value = json.loads(sys.stdin.buffer.read().decode("utf-8"), parse_constant=refuse)
json.dump(value, sys.stdout, indent=1, separators=(" ,", " :\t"), sort_keys=True)]]

describe("json numbers", function()
  it("stay integers or floats", function()
    assert.equal("integer", math.type(json.decode("5")))
    assert.equal("float", math.type(json.decode("5.0")))
    assert.equal("float", math.type(json.decode("5e0")))
    assert.equal("5", json.encode(5))
    assert.equal("5.0", json.encode(5.0))
    assert.equal("-0.0", json.encode(-0.0))
  end)

  it("keep every digit of 64 bits", function()
    for _, digits in ipairs { "9007199254740993", "1234567890123456789", "9223372036854775807",
      "-9223372036854775808", "0", "-1" } do
      assert.equal("integer", math.type(json.decode(digits)))
      assert.equal(digits, json.encode(json.decode(digits)))
      assert.equal(("[%s,{\"a\":%s}]"):format(digits, digits),
        json.encode(json.decode((" [ %s , {\"a\" : %s\n} ] "):format(digits, digits))))
    end
  end)

  it("are refused beyond 64 bits and beyond double precision", function()
    assert.truthy(refused_text("9223372036854775808", 1):find("64 bits", 1, true))
    refused_text("[1, -9223372036854775809]", 5)
    refused_text("100000000000000000000", 1)
    refused_text('{"a":1e400}', 6)
    refused_text("1e400", 1)
    refused_text("[-1e999]", 2)
    assert.equal(0.0, json.decode("1e-400"))
    assert.equal(1.7976931348623157e308, json.decode("1.7976931348623157e308"))
  end)

  it("beyond 64 bits become floats where that is asked for", function()
    local read = json.decode('[9223372036854775808, -9223372036854775809, {"a": 100000000000000000000}, 5]',
      { large_integers = true })
    assert.same({ 2.0 ^ 63, -2.0 ^ 63, 1e20 }, { read[1], read[2], read[3].a })
    assert.same({ "float", "float", "float", "integer" }, { math.type(read[1]), math.type(read[2]),
      math.type(read[3].a), math.type(read[4]) })
  end)

  it("are written with the fewest digits that read back the same", function()
    assert.equal("0.1", json.encode(0.1))
    assert.equal("0.30000000000000004", json.encode(0.1 + 0.2))
    assert.equal("1e+100", json.encode(1e100))
    assert.equal("5e-324", json.encode(5e-324))
    assert.equal("1e-310", json.encode(1e-310))
    assert.equal("3.0", json.encode(3.0))
  end)

  it("stay apart where a float has no fraction or many digits", function()
    for text, value in pairs {
      ["-0"] = 0, ["-0.0"] = -0.0, ["12.000"] = 12.0, ["1e3"] = 1000.0, ["-2E+2"] = -200.0,
      ["999999999999999"] = 999999999999999, ["9007199254740993.0"] = 9007199254740992.0,
      ["0.99999999999999999999"] = 1.0, ["100000000000000.1"] = 100000000000000.1, ["1e20"] = 1e20,
      ["123456789012345678"] = 123456789012345678, ["1000000000000000000000.5"] = 1e21,
    } do
      local read = json.decode("[" .. text .. "]")[1]
      assert.equal(math.type(value), math.type(read), text)
      assert.equal(("%q"):format(value), ("%q"):format(read), text)
    end
  end)

  it("must be JSON's", function()
    for _, bad in ipairs { "0x10", "NaN", "nan", "Infinity", "-Infinity", "inf", "+1", ".5", "1.", "01", "-01",
      "1e", "1e+", "--1", "-", "1_000", "1f", "0b1", "1.e5", "-.5", "- 1", "1e5.0", "00" } do
      refused_text(bad, 1)
    end
  end)

  it("must be finite to be written", function()
    refused_value({ a = { 1, 0 / 0 } }, "$.a[2]")
    refused_value({ ["odd key"] = math.huge }, '$["odd key"]')
    refused_value(-math.huge, "$")
  end)
end)

describe("json arrays and objects", function()
  it("keep their kind when empty", function()
    assert.equal("[]", json.encode(json.array()))
    assert.equal("{}", json.encode({}))
    for _, text in ipairs { "[]", "{}", "[[],{}]", '{"a":[],"b":{}}', "[null]", '[""]', "[[[]],[]]" } do
      assert.equal(text, json.encode(json.decode(text)))
    end
    assert.equal('{"a":[],"b":"[]"}', json.encode(json.decode ' { "a" : [ \n\t] , "b" : "[]" } '))
    assert.is_nil(next(json.decode("[ ]")))
    assert.is_true(json.is_array(json.decode("[1]")))
    assert.is_true(json.is_array(json.decode("[]")))
    assert.is_false(json.is_array(json.decode("{}")))
  end)

  it("mark the table that was given", function()
    local t = { 1, 2 }
    assert.equal(t, json.array(t))
    assert.equal("[1,2]", json.encode(t))
    assert.equal("[1,2]", json.encode({ 1, 2 }))
  end)

  it("hold null where it stands", function()
    local items = json.decode("[null,1,null]")
    assert.equal(3, #items)
    assert.equal(host.null, items[1])
    assert.equal(host.null, json.null)
    assert.equal('{"a":null}', json.encode({ a = json.null }))
  end)

  it("are refused with holes, or keys of two kinds", function()
    assert.truthy(refused_value({ rows = { 1, nil, 3 } }, "$.rows"):find("no item 2 of 3", 1, true))
    refused_value({ rows = json.array { [2] = 1 } }, "$.rows")
    refused_value({ [1] = 1, x = 2 }, "$")
    refused_value({ [1.5] = 1 }, "$")
    refused_value({ [true] = 1 }, "$")
    refused_value(json.array { x = 1 }, "$")
    refused_value({ [0] = 1 }, "$")
  end)

  it("have each member once", function()
    assert.truthy(refused_text('{"a":1, "a":2}', 9):find("two members 'a'", 1, true))
    refused_text('{"a":null,"a":null}', 11)
    refused_text('{"a" :1,\n"b":":", "\\u0061" :{}}', 19) -- spaces and escapes notwithstanding
    refused_text('[{"x":[{"a":1}]},{"b":{"a":1,"a":2}}]', 30)
    assert.equal('{"\\":":{":":":{\\":"},"a":[{"a":1},{"a":2}]}',
      json.encode(json.decode '{"a":[{"a":1},{"a":2}],"\\":":{":":":{\\":"}}'))
  end)

  it("have strings for names", function()
    for _, name in ipairs { "1", "9007199254740993", "5.0", "null", "[]", "{}" } do
      refused_text("{" .. name .. " :1}", 2)
    end
  end)

  it("write members in byte order, or prettily", function()
    local value = { b = 1, a = { 1, { c = true } }, ["1"] = {}, e = json.array() }
    assert.equal('{"1":{},"a":[1,{"c":true}],"b":1,"e":[]}', json.encode(value))
    assert.equal('{\n  "1": {},\n  "a": [\n    1,\n    {\n      "c": true\n    }\n  ],\n  "b": 1,\n  "e": []\n}',
      json.encode(value, { pretty = true }))
    assert.same(json.decode(json.encode(value)), json.decode(json.encode(value, { sort_keys = false })))
  end)

  it("are not nested beyond 64, either way", function()
    local deep = ("["):rep(64) .. ("]"):rep(64)
    assert.equal(deep, json.encode(json.decode(deep)))
    refused_text("[" .. deep .. "]", 65)
    refused_text("[[1]]", 2, { max_depth = 1 })
    local itself = {}
    itself.me = itself
    refused_value(itself, "$.me.me.me")
  end)

  it("hold no functions and the like", function()
    refused_value({ a = print }, "$.a")
    refused_value({ coroutine.create(print) }, "$[1]")
  end)
end)

describe("json text", function()
  it("comes back as it was", function()
    local hard = 'quote " backslash \\ slash / control \0\1\31\n\r\t\b\f del \127 é 日本 😀'
    assert.equal(hard, json.decode(json.encode(hard)))
    assert.equal('"\\u0000\\u001f\\b\\f\\n\\r\\t\\"\\\\/"', json.encode('\0\31\b\f\n\r\t"\\/'))
  end)

  it("reads every escape", function()
    assert.equal('"\\/\b\f\n\r\té€😀\0', json.decode([["\"\\\/\b\f\n\r\t\u00e9\u20AC\ud83d\uDE00\u0000"]]))
    assert.equal("plain\127", json.decode('"plain\127"'))
  end)

  it("refuses broken escapes and strings", function()
    refused_text([["\x"]], 2)
    refused_text([["ab\u12g4"]], 4)
    refused_text([["\ud800"]], 2)
    refused_text([["\ud800\u0041"]], 2)
    refused_text([["\udc00"]], 2)
    refused_text('"a\nb"', 3)
    refused_text('"a\0b"', 3)
    refused_text('["abc', 2)
    refused_text('["abc\\"', 2)
    refused_text('["abc\\', 2)
  end)

  it("must be UTF-8 both ways, with the byte", function()
    assert.truthy(refused_text('["ab\xff"]', 5):find("UTF-8", 1, true))
    refused_text('"\xed\xa0\x80"', 2) -- a surrogate
    refused_text('"\xc0\x80"', 2) -- an overlong form
    assert.truthy(refused_value({ a = "ab\xff" }, "$.a"):find("byte 3", 1, true))
    refused_value({ ["\xff"] = 1 }, '$["\xff"]')
  end)

  it("says where it goes wrong", function()
    local cases = {
      { "", 1 }, { "   ", 4 }, { "[1 2]", 4 }, { "[1,]", 4 }, { "[,1]", 2 }, { "[1", 3 }, { '{"a"}', 5 },
      { '{"a":}', 6 }, { '{"a":1,}', 8 }, { "{1:2}", 2 }, { '{"a":1', 7 }, { "nul", 1 }, { "truex", 1 },
      { "[true false]", 7 }, { "1 2", 3 }, { "[1]x", 4 }, { "'a'", 1 }, { "// c\n1", 1 }, { "\xEF\xBB\xBF1", 1 },
      { "]", 1 }, { "{", 2 }, { "[", 2 }, { "\v1", 1 },
    }
    for _, case in ipairs(cases) do
      local message = refused_text(case[1], case[2])
      assert.truthy(message:find(("invalid JSON at byte %d: "):format(case[2]), 1, true), message)
    end
  end)

  it("names the file it came from", function()
    local _, failure = pcall(json.decode, "[", { file = "a.json" })
    assert.equal("a.json", failure.file)
    assert.truthy(tostring(failure):find("^a.json: invalid JSON at byte 2"))
  end)

  it("is capped in size, unless told", function()
    local large = '"' .. ("x"):rep(8 << 20) .. '"'
    local done, failure = pcall(json.decode, large)
    assert.is_false(done)
    assert.is_true(errors.is(failure, "input"))
    assert.equal(#large - 2, #json.decode(large, { max_bytes = 16 << 20 }))
    assert.is_false((pcall(json.decode, "[1,2]", { max_bytes = 4 })))
  end)

  it("must be a string", function()
    for _, bad in ipairs { 5, {}, true } do
      local done, failure = pcall(json.decode, bad)
      assert.is_false(done)
      assert.is_true(errors.is(failure, "usage"))
    end
  end)
end)

describe("json as a whole", function()
  it("gives back any value", function()
    math.randomseed(20261120)
    for _ = 1, 2000 do
      local text = json.encode(random_value(math.random, 0))
      assert.equal(text, json.encode(json.decode(text)))
    end
  end)

  it("agrees with Python's reader and writer", function()
    math.randomseed(20261121)
    local values = json.array()
    for i = 1, 400 do
      values[i] = random_value(math.random, 0)
    end
    local text = json.encode(values)
    local theirs = support.python(PYTHON, nil, text)
    assert.truthy(theirs:find("\n[ \t]+", 1))
    assert.equal(text, json.encode(json.decode(theirs)))
    -- what Python finds the same, in every way that we write it
    for _, options in ipairs { { pretty = true }, { sort_keys = false } } do
      assert.equal(theirs, support.python(PYTHON, nil, json.encode(values, options)))
    end
  end)

  it("reads the description of 10,000 columns in reasonable time", function()
    local columns = {}
    for i = 1, 10000 do
      columns[i] = { name = "sample_" .. i, role = "sample", unit = json.null, ordinal = i }
    end
    local before = os.clock()
    assert.equal(10000, #json.decode(json.encode(columns)))
    assert.is_true(os.clock() - before < 10) -- far above what it takes, for slow builds
  end)
end)
