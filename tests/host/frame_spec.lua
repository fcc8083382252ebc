local csv = require "csv"
local frame = require "frame"
local host = require "host"

local null = host.null

--- A frame read from text, to be closed by the caller.
local function read(text, options)
  local reader <close> = csv.frames({ text = text }, options)
  return reader:next()
end

local function failure_of(fn, ...)
  local done, failure = pcall(fn, ...)
  assert.is_false(done, "nothing was raised")
  return failure
end

local function assert_usage(word, fn, ...)
  local failure = failure_of(fn, ...)
  assert.equal("usage", type(failure) == "table" and failure.kind, tostring(failure))
  assert.truthy(failure.message:find(word, 1, true), failure.message)
end

local TABLE = "name,a,b\nPC 34:1,1.5,NA\nPE 36:2,<LOD,2\nPC 34:1,,-3e2\n,inf,x\n"

describe("a frame", function()
  local f

  before_each(function()
    f = read(TABLE)
  end)

  after_each(function()
    f:close()
  end)

  it("has rows, names and a width", function()
    assert.equal(4, #f)
    assert.equal(3, f:width())
    assert.same({ "name", "a", "b" }, f:names())
    assert.equal(1, f:first_row())
    assert.same({ "PE 36:2", "<LOD", "2" }, f:row(2))
    assert.equal(5, f:line(4))
  end)

  it("gives text columns, in which an empty cell is missing", function()
    local column <close> = f:text("name")
    assert.equal(4, #column)
    assert.same({ "PC 34:1", "PE 36:2", "PC 34:1", null }, column:values())
    assert.equal("PE 36:2", column:get(2))
    assert.is_nil(column:get(4))
    assert.equal(1, column:missing())
  end)

  it("gives number columns, in which marks and misfits are masked", function()
    local a <close> = f:number("a")
    local b <close> = f:number(3)
    assert.same({ 1.5, null, null, math.huge }, a:values())
    assert.same({ null, 2.0, -300.0, null }, b:values())
    assert.equal("float", math.type(b:get(2)))
    assert.is_nil(b:get(1))
    assert.equal(2, a:missing())
  end)

  it("tells how its columns read as numbers", function()
    assert.same({
      { number = 0, code = 0, rounded = 0, missing = 1, misfit = 3, empty = 1, marks = { [""] = 1 } },
      { number = 1, code = 0, rounded = 1, missing = 1, misfit = 1, empty = 1, marks = { [""] = 1 } },
      { number = 2, code = 0, rounded = 0, missing = 1, misfit = 1, empty = 0, marks = { NA = 1 } },
    }, f:profile())
    local codes <close> = read("n,m\n007,\n2310009E13,NA\n7,\"\"\n0x7,0\n")
    assert.same({
      { number = 1, code = 2, rounded = 0, missing = 0, misfit = 1, empty = 0, marks = {} },
      { number = 1, code = 0, rounded = 0, missing = 3, misfit = 0, empty = 2, marks = { [""] = 2, NA = 1 } },
    }, codes:profile())
  end)

  it("gives the rows' numbers", function()
    local column <close> = f:ordinals()
    assert.same({ 1, 2, 3, 4 }, column:values())
    assert.equal(3, column:get(3))
    assert.equal(0, column:missing())
  end)

  it("is cut into slices, and those again", function()
    local slice <close> = f:slice(2, 3)
    assert.equal(2, #slice)
    assert.same({ "PE 36:2", "PC 34:1" }, slice:text("name"):values())
    assert.same({ null, null }, slice:number("a"):values())
    assert.same({ 2, 3 }, slice:ordinals():values())
    assert.equal(2, slice:first_row())
    assert.equal(4, slice:line(2))
    local inner <close> = slice:slice(2)
    assert.same({ "PC 34:1", "", "-3e2" }, inner:row(1))
    assert.equal(3, inner:first_row())
    assert.equal(4, inner:line(1))
    assert.same({ { number = 0, code = 0, rounded = 0, missing = 0, misfit = 1, empty = 0, marks = {} } },
      { inner:profile()[1] })
    assert.equal(0, #f:slice(5, 4))
    assert.same({}, f:slice(1, 0):text(1):values())
    for _, wrong in ipairs { { 0 }, { 1, 5 }, { 3, 1 }, { 6 }, { math.mininteger }, { 1, math.maxinteger },
      { 2, math.mininteger }, { 4, 2 } } do
      assert_usage("not within", f.slice, f, wrong[1], wrong[2])
    end
  end)

  it("finds columns by name or position, and says when it cannot", function()
    assert_usage("'c'", f.text, f, "c")
    assert_usage("4", f.number, f, 4)
    assert_usage("0", f.text, f, 0)
    assert_usage("-1", f.text, f, -1)
    assert_usage("'z'", f.numbers, f, { "a", "z" })
    assert.has_error(function() f:text(1.5) end)
    assert.has_error(function() f:text() end)
    assert.has_error(function() f:text(true) end)
    assert.has_error(function() f:numbers("a") end)
    assert.has_error(function() f:misfits({ "a" }) end)
    local twice <close> = read("x,y,x\n1,2,3\n")
    assert_usage("several columns are named 'x'", twice.text, twice, "x")
    assert.same({ "3" }, twice:text(3):values())
    assert.same({ "2" }, twice:text("y"):values())
  end)

  it("refuses rows that it does not have", function()
    for _, row in ipairs { 0, 5, -1, math.maxinteger } do
      assert_usage("there is no row", f.row, f, row)
      assert_usage("there is no row", f.line, f, row)
      local column <close> = f:text(1)
      assert_usage("there is no row", column.get, column, row)
    end
  end)

  it("can be closed twice, and refuses to be used then; its columns and slices live on", function()
    local column, slice = f:number("b"), f:slice(2)
    f:close()
    f:close()
    assert.same({ null, 2.0, -300.0, null }, column:values())
    assert.equal("PE 36:2", slice:row(1)[1])
    for method, arguments in pairs { names = {}, width = {}, first_row = {}, line = { 1 }, row = { 1 }, slice = { 1 },
      text = { 1 }, number = { 1 }, texts = { { 1 } }, numbers = { { 1 } }, misfits = { { 1 }, {} }, ordinals = {},
      profile = {} } do
      assert_usage("this frame was closed", f[method], f, table.unpack(arguments))
    end
    assert_usage("this frame was closed", function() return #f end)
    slice:close()
    column:close()
    column:close()
    for method, arguments in pairs { get = { 1 }, values = {}, missing = {}, distinct = {}, map = { {} } } do
      assert_usage("this column was closed", column[method], column, table.unpack(arguments))
    end
    assert_usage("this column was closed", function() return #column end)
  end)

  it("outlives the rest in whatever order things are collected", function()
    local column
    do
      local other = read(TABLE)
      column = other:slice(2, 3):text("name")
    end
    collectgarbage()
    collectgarbage()
    assert.same({ "PE 36:2", "PC 34:1" }, column:values())
    column:close()
  end)

  it("takes only a frame as its self, and a column only a column", function()
    local column <close> = f:text(1)
    assert.has_error(function() f.text(column, 1) end)
    assert.has_error(function() column.get(f, 1) end)
    assert.has_error(function() f.row({}, 1) end)
    assert.has_error(function() f.close(nil) end)
  end)

  it("has columns of several columns, which are for COPY", function()
    for _, column in ipairs { f:numbers { "a", "b" }, f:texts { 1, 2 }, f:misfits({ 2, 3 }, { "", "NA" }) } do
      assert.equal(4, #column)
      assert_usage("for COPY", column.values, column)
      assert_usage("for COPY", column.get, column, 1)
      assert_usage("for COPY", column.missing, column)
      column:close()
    end
  end)
end)

describe("distinct and map", function()
  it("give each text once, and each row its integer", function()
    local f <close> = read("n\nb\na\n\"\"\nb\nc\na\n")
    local column <close> = f:text("n")
    assert.same({ "b", "a", "c" }, column:distinct())
    local mapped <close> = column:map { 10, false, math.mininteger }
    assert.same({ 10, null, null, 10, math.mininteger, null }, mapped:values())
    assert.equal(3, mapped:missing())
    assert.equal(10, mapped:get(1))
    assert.is_nil(mapped:get(2))
    assert.same({ null, 2, null, null, null, 2 }, column:map({ null, 2.0 }):values())
    assert.same({ "b", "a", "c" }, column:distinct())
  end)

  it("look only at the rows of a slice", function()
    local f <close> = read("n\na\nb\nc\nb\n")
    local column <close> = f:slice(2, 4):text(1)
    assert.same({ "b", "c" }, column:distinct())
    assert.same({ 1, 2, 1 }, column:map({ 1, 2 }):values())
  end)

  it("hold for many texts, and for those that differ in one byte only", function()
    local lines, expected, places = { "n" }, {}, {}
    for i = 1, 20000 do
      local text = ("%08d"):format(i * 7 % 9973)
      text = text:rep(i % 3 + 1) .. ("x"):rep(i % 5)
      if not places[text] then
        expected[#expected + 1] = text
        places[text] = #expected
      end
      lines[#lines + 1] = text
    end
    local f <close> = read(table.concat(lines, "\n"))
    local column <close> = f:text(1)
    assert.same(expected, column:distinct())
    local integers = {}
    for i = 1, #expected do
      integers[i] = i
    end
    local mapped <close> = column:map(integers)
    for i = 1, #f do
      assert(mapped:get(i) == places[lines[i + 1]])
    end
  end)

  it("refuse what makes no sense", function()
    local f <close> = read("n,m\na,1\nb,2\n")
    local column <close> = f:text("n")
    assert_usage("distinct()", column.map, column, { 1, 2 })
    column:distinct()
    for _, wrong in ipairs { "x", "12", 1.5, {}, true, print } do
      assert_usage("map needs integers", column.map, column, { 1, wrong })
    end
    assert.has_error(function() column:map("x") end)
    local number <close> = f:number("m")
    assert_usage("text columns", number.distinct, number)
    assert_usage("distinct()", number.map, number, { 1 })
  end)

  it("of no rows give nothing", function()
    local f <close> = read("n\na\n")
    local column <close> = f:slice(1, 0):text(1)
    assert.same({}, column:distinct())
    assert.same({}, column:map({}):values())
  end)
end)

describe("missing marks", function()
  it("are the usual ones unless given", function()
    local f <close> = read('x\nNA\nNaN\nnan\nN/A\nn/a\n#N/A\nnull\nNULL\n""\nna\nnone\n')
    local profile = f:profile()[1]
    assert.equal(9, profile.missing)
    assert.equal(2, profile.misfit)
  end)

  it("may be numbers, and are compared as texts", function()
    local f <close> = read("x\n-9\n-9.0\n0\n9\n", { missing = { "-9", "0" } })
    assert.same({ null, -9.0, null, 9.0 }, f:number(1):values())
    assert.same({ ["-9"] = 1, ["0"] = 1 }, f:profile()[1].marks)
  end)

  it("may be numbers with a decimal comma, or beyond exactness", function()
    local f <close> = read("x\n-9,5\n1,5\n", { missing = { "-9,5" }, decimal = ",", separator = ";" })
    assert.same({ null, 1.5 }, f:number(1):values())
    local g <close> = read("x\ninf\n9007199254740993\n1\n", { missing = { "inf", "9007199254740993" } })
    assert.same({ null, null, 1.0 }, g:number(1):values())
  end)

  it("may be none at all", function()
    local f <close> = read('x\nNA\n""\n', { missing = {} })
    assert.equal(2, f:profile()[1].misfit)
  end)
end)

describe("frame.new", function()
  it("makes a frame of Lua values", function()
    local f <close> = frame.new({ "s", "n" }, {
      { "x", 1 }, { "", 0.1 }, { nil, 1e300 }, { null, -5 }, { "y" }, {}, { "z", 1 / 0 },
      { "u", math.mininteger }, { "v", 0 / 0 }, { "w", 5e-324 }, { "p", 2 ^ 53 },
    })
    assert.same({ "s", "n" }, f:names())
    assert.equal(11, #f)
    assert.same({ "x", "1" }, f:row(1))
    assert.same({ "", "0.1" }, f:row(2))
    assert.same({ "", "1e+300" }, f:row(3))
    assert.same({ "z", "inf" }, f:row(7))
    assert.same({ "u", "-9223372036854775808" }, f:row(8))
    assert.same({ 1.0, 0.1, 1e300, -5.0, null, null, math.huge, -2.0 ^ 63, null, 5e-324, 2.0 ^ 53 },
      f:number("n"):values())
    assert.equal(11, f:line(11))
    assert.equal(1, f:first_row())
  end)

  it("writes numbers so that they are read back the same", function()
    local rows, expected = {}, {}
    for i = 1, 2000 do
      local value
      repeat
        value = string.unpack("<d", string.pack("<i8", math.random(0)))
      until value == value and math.abs(value) ~= math.huge
      rows[i], expected[i] = { value }, value
    end
    for _, decimal in ipairs { ".", "," } do
      local f <close> = frame.new({ "x" }, rows, { decimal = decimal })
      assert.same(expected, f:number(1):values())
    end
  end)

  it("keeps a list of names of its own", function()
    local names = { "a" }
    local f <close> = frame.new(names, {})
    names[1] = "b"
    assert.same({ "a" }, f:names())
    assert.equal(0, #f)
    assert.same({}, f:text("a"):values())
  end)

  it("takes any bytes in a cell", function()
    local f <close> = frame.new({ "x", "y" }, { { "a\0b\n", "\xFF" } })
    assert.same({ "a\0b\n", "\xFF" }, f:row(1))
  end)

  it("refuses what is no table of cells", function()
    assert_usage("row 1", frame.new, { "a" }, { { "1", "2" } })
    assert_usage("row 2", frame.new, { "a" }, { { "1" }, "2" })
    assert_usage("row 1, column 2", frame.new, { "a", "b" }, { { "1", true } })
    assert_usage("row 1, column 1", frame.new, { "a" }, { { {} } })
    assert_usage("column 2", frame.new, { "a", 5 }, {})
    assert_usage("column", frame.new, {}, {})
    assert_usage("decimal", frame.new, { "a" }, {}, { decimal = "x" })
    assert.has_error(function() frame.new("a", {}) end)
    assert.has_error(function() frame.new({ "a" }) end)
    assert.has_error(function() frame.new({ "a" }, {}, 5) end)
  end)
end)
