local csv = require "csv"
local dictionary = require "dictionary"
local host = require "host"

--- A text column of these cells.
local function column_of(...)
  local lines = { "n,x" }
  for i, cell in ipairs { ... } do
    lines[i + 1] = cell .. ",1"
  end
  local reader <close> = csv.frames({ text = table.concat(lines, "\n") .. "\n" }, { frame_bytes = 1 << 20 })
  return reader:next():text "n"
end

local function message_of(fn, ...)
  local done, failure = pcall(fn, ...)
  assert.is_false(done)
  assert.equal("usage", failure.kind)
  return failure.message
end

describe("a dictionary", function()
  it("gives out what it does not know, each once and in order, and then maps it", function()
    local known <close> = dictionary.new()
    local column = column_of("b", "a", "b", "", "c", "a")
    local keys, unknown = known:map(column)
    assert.is_nil(keys)
    assert.same({ "b", "a", "c" }, unknown)
    known:put(unknown, { 7, false, math.mininteger })
    keys, unknown = known:map(column)
    assert.is_nil(unknown)
    assert.same({ 7, host.null, 7, host.null, math.mininteger, host.null }, keys:values())
    assert.equal(6, #keys)
    assert.equal(3, keys:missing())
  end)

  it("gives a text out again as long as nobody says what it stands for", function()
    local known = dictionary.new()
    local column = column_of("a", "b", "a")
    known:put({ "b" }, { 1 })
    for _ = 1, 2 do
      local _, unknown = known:map(column)
      assert.same({ "a" }, unknown)
    end
    assert.equal(1, #known)
  end)

  it("knows its texts by themselves, and forgets them", function()
    local known = dictionary.new()
    assert.is_nil(known:get "a")
    known:put({ "a", "", "a\0b" }, { 1, false, 3 })
    assert.same({ 1, false, 3, 3 }, { known:get "a", known:get "", known:get "a\0b", #known })
    known:put({ "a" }, { 2 })
    assert.same({ 2, 3 }, { known:get "a", #known })
    known:remove { "a", "never met" }
    assert.is_nil(known:get "a")
    assert.equal(2, #known)
    known:put({ "a" }, { false })
    assert.same({ false, 3 }, { known:get "a", #known })
    known:close()
    assert.same({ 0, nil }, { #known, known:get "a" })
    known:put({ "a" }, { 5 })
    assert.equal(5, known:get "a")
  end)

  it("holds as many as there are", function()
    local known, texts, values = dictionary.new(), {}, {}
    for i = 1, 50000 do
      texts[i], values[i] = ("name %d"):format(i), i * 977 - 25000
    end
    known:put(texts, values)
    assert.equal(50000, #known)
    local keys = known:map(column_of(table.unpack(texts, 1, 250)))
    assert.same(table.move(values, 1, 250, 1, {}), keys:values())
    for i = 1, 50000, 7 do
      assert.equal(values[i], known:get(texts[i]))
    end
  end)

  it("refuses what is no text, no integer, no text column", function()
    local known = dictionary.new()
    assert.matches("list of texts, and entry 1 is a number", message_of(known.put, known, { 1 }, { 1 }))
    assert.matches("integers or false; number 1 is 1.5", message_of(known.put, known, { "a" }, { 1.5 }))
    assert.matches("number 2 is nil", message_of(known.put, known, { "a", "b" }, { 1 }))
    assert.matches("number 1 is true", message_of(known.put, known, { "a" }, { true }))
    local column = column_of "1"
    known:put({ "1" }, { 1 })
    assert.matches("maps text columns", message_of(known.map, known, known:map(column)))
    column:close()
    assert.matches("closed", message_of(known.map, known, column))
  end)
end)

describe("a tally", function()
  local function keys_of(known, ...)
    return (known:map(column_of(...)))
  end

  it("counts integers that it has not met", function()
    local known = dictionary.new()
    known:put({ "a", "b", "c", "none" }, { 0, -1, math.maxinteger, false })
    local tally <close> = dictionary.tally()
    assert.equal(2, tally:add(keys_of(known, "b", "a", "b", "none", "")))
    local count, fresh = tally:add(keys_of(known, "a", "c", "c"), true)
    assert.same({ 1, { math.maxinteger } }, { count, fresh })
    count, fresh = tally:add(keys_of(known, "a"), true)
    assert.same({ 0, {}, 3 }, { count, fresh, #tally })
    tally:close()
    assert.same({ 0, 1 }, { #tally, tally:add(keys_of(known, "a")) })
  end)

  it("counts integers that follow one another, and many", function()
    local known, texts, values = dictionary.new(), {}, {}
    for i = 1, 5000 do
      texts[i], values[i] = "n" .. i, i << 20
    end
    known:put(texts, values)
    local tally = dictionary.tally()
    assert.equal(5000, tally:add(keys_of(known, table.unpack(texts))))
    assert.equal(0, tally:add(keys_of(known, table.unpack(texts))))
    assert.equal(5000, #tally)
  end)

  it("refuses columns that are not int8", function()
    assert.matches("int8 columns", message_of(dictionary.tally().add, dictionary.tally(), column_of "a"))
  end)
end)
