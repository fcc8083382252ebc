--- Values as text for a person.
local frame = require "frame"
local host = require "host"
local rows = require "ligase.words.rows"
local showing = require "ligase.words.showing"
local text = require "ligase.base.text"

local function shown(value, width, most)
  return showing.text(value, { width = width or math.huge, most = most or math.huge })
end

local function widest(s)
  local most = 0
  for line in s:gmatch "[^\n]+" do
    most = math.max(most, text.width(line))
  end
  return most
end

describe("showing", function()
  it("shows single values", function()
    for expected, value in pairs { ["1\n"] = 1, ["0.1\n"] = 0.1, ["true\n"] = true, ["a\tb\nc\n"] = "a\tb\nc",
      ["\\x1B[2J\\x07\n"] = "\27[2J\7", ["NULL\n"] = host.null } do
      assert.equal(expected, shown(value))
    end
    assert.equal("nil\n", shown(nil))
    assert.matches("^function %(.*showing_spec.lua:%d+%)\n$", shown(function() end))
    assert.equal("function (in C)\n", shown(print ~= nil and next))
  end)

  it("cuts a long text where its lines fill the terminal, and counts it", function()
    local function cut(value)
      return showing.text(value, { width = 10, most = 3, more = "; .page shows all" })
    end
    for _, whole in ipairs { "a\nb\nc", "a\nb\nc\n", ("x"):rep(30), "" } do
      assert.equal(whole:gsub("\n$", "") .. "\n", cut(whole))
    end
    assert.equal("a\nb\nc\n(6 bytes of 7 bytes; .page shows all)\n", cut "a\nb\nc\nd")
    assert.equal(("x"):rep(30) .. "\n(30 bytes of 4.0 MB; .page shows all)\n", cut(("x"):rep(4000000)))
    assert.equal("y" .. ("\u{E4}"):rep(14) .. "\n(29 bytes of 81 bytes; .page shows all)\n",
      cut("y" .. ("\u{E4}"):rep(40)))
    assert.equal(("x"):rep(4000000) .. "\n", shown(("x"):rep(4000000)))
  end)

  it("shows lists of rows as a table, numbers to the right", function()
    assert.equal("name    n  share\n-----  --  -----\na       1    0.5\nb\\n\u{4E2D}  10   NULL\n(2 rows)\n",
      shown { { name = "a", n = 1, share = 0.5 }, { name = "b\n\u{4E2D}", n = 10, share = host.null } })
    local result = rows.new { { b = 1, a = "x" }, columns = { { name = "b" }, { name = "a" } }, command = "SELECT 1" }
    assert.equal("b  a\n-  -\n1  x\n(1 row)\n", shown(result))
    assert.equal("INSERT 0 1\n", shown(rows.new { columns = {}, command = "INSERT 0 1" }))
    assert.equal('j        l\n-------  ------------\n{"k":1}  [1,null,"x"]\n(1 row)\n',
      shown(rows.new { { j = { k = 1 }, l = { 1, host.null, "x" } }, columns = { { name = "j" }, { name = "l" } },
        command = "SELECT 1" }))
  end)

  it("cuts what is long, and says how much there is", function()
    local many = {}
    for i = 1, 1234 do
      many[i] = { n = i }
    end
    assert.equal("n\n-\n1\n2\n3\n(3 of 1,234 rows)\n", shown(many, 80, 3))
    local names, cells = {}, {}
    for i = 1, 200 do
      names[i], cells[i] = "column " .. i, i
    end
    local wide = showing.text(frame.new(names, { cells }), { width = 60, most = 10, more = "; .page shows all" })
    assert.matches("%(1 row, %d+ of 200 columns; .page shows all%)", wide)
    assert.matches("column 1", wide, 1, true)
  end)

  it("fits on 20 columns", function()
    local f = frame.new({ "a rather long name", "another long one", "third" },
      { { ("x"):rep(50), 123456789.123, "\u{4E2D}\u{4E2D}\u{4E2D}\u{4E2D}\u{4E2D}\u{4E2D}" } })
    local table_part = shown(f, 20):match("^(.*\n)%(")
    assert.is_true(widest(table_part) <= 20, table_part)
    local nested = shown({ ("y"):rep(80), { key = ("z"):rep(80) } }, 20)
    assert.is_true(widest(nested) <= 20, nested)
  end)

  it("shows other tables with their content, to a depth, and rings once", function()
    assert.equal("{}\n", shown {})
    assert.equal('{ 1, "a", [0] = 0, ["two words"] = {}, x = true }\n',
      shown { 1, "a", [0] = 0, x = true, ["two words"] = {} })
    assert.equal("{ { { {...} } } }\n", shown { { { { 1 } } } })
    local ring = { n = 1 }
    ring.me = ring
    assert.equal("{ me = {... the table above}, n = 1 }\n", shown(ring))
    local long = {}
    for i = 1, 1000 do
      long[i] = i
    end
    assert.matches("... 950 more", shown(long), 1, true)
    assert.equal('{\n  "aaaaaaaaaaaa",\n  "b"\n}\n', shown({ "aaaaaaaaaaaa", "b" }, 20))
  end)

  it("calls nothing of a table that does not say how it is shown", function()
    assert.equal("{ a = 1 }\n", shown(setmetatable({ a = 1 }, { __index = error, __pairs = error, __len = error })))
    assert.equal("mine\n", shown(setmetatable({}, { __tostring = function() return "mine" end })))
  end)
end)
