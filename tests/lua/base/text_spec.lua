local host = require "host"
local text = require "ligase.base.text"

describe("text spelling", function()
  it("counts insertions, removals, replacements and swaps", function()
    assert.equal(0, text.distance("same", "same"))
    assert.equal(3, text.distance("kitten", "sitting"))
    assert.equal(1, text.distance("ab", "ba"))
    assert.equal(4, text.distance("", "four"))
    assert.equal(1, text.distance("Größe", "Grösse") - 1) -- letters, not bytes
    assert.equal(1, text.distance("µM", "uM"))
    assert.equal(text.distance("lipid", "liquid"), text.distance("liquid", "lipid"))
  end)

  it("finds the name that was probably meant, or none", function()
    local names = { "delimiter", "dialect", "limit_bytes" }
    assert.equal("delimiter", text.nearest("delimeter", names))
    assert.equal("dialect", text.nearest("DIALECT", names))
    assert.equal("limit_bytes", text.nearest("limit_byte", names))
    assert.is_nil(text.nearest("columns", names))
    assert.is_nil(text.nearest("delimeter", names, 0))
    assert.is_nil(text.nearest("x", {}))
    assert.equal("aa", text.nearest("ac", { "ab", "aa" }))
  end)

  it("enumerates choices", function()
    assert.equal("", text.enumerate {})
    assert.equal("a", text.enumerate { "a" })
    assert.equal("a or b", text.enumerate { "a", "b" })
    assert.equal("a, b and c", text.enumerate({ "a", "b", "c" }, "and"))
  end)
end)

describe("text width", function()
  it("counts columns, not bytes", function()
    assert.equal(5, text.width("Größe"))
    assert.equal(4, text.width("日本"))
    assert.equal(1, text.width("e\u{301}"))
    assert.equal(2, text.width("한"))
    assert.equal(3, text.width("a\xffb"))
    assert.equal(2, text.width("😀"))
    assert.equal(0, text.width(""))
  end)

  it("cuts between characters and says so", function()
    assert.equal("hello", text.truncate("hello", 5))
    assert.equal("he...", text.truncate("hello world", 5))
    assert.equal("日本...", text.truncate("日本語テキスト", 8))
    assert.equal(7, text.width(text.truncate("日本語テキスト", 7)))
    assert.equal("..", text.truncate("hello", 2))
    assert.truthy(utf8.len(text.truncate("ééééééééé", 5)))
  end)

  it("makes control characters visible", function()
    assert.equal("a\\nb\\tc\\x1B[31m", text.printable("a\nb\tc\27[31m"))
    assert.equal("\\x9B", text.printable("\u{9b}"))
    assert.equal("µ日", text.printable("µ日"))
    assert.equal("a\\u{202E}b\\u{2066}c\\u{200F}\\u{061C}\\n", text.printable("a\u{202E}b\u{2066}c\u{200F}\u{61C}\n"))
    assert.equal("“a” – \u{200D}ء", text.printable("“a” – \u{200D}ء"))
  end)
end)

describe("text.wrapped", function()
  it("puts words on lines", function()
    assert.equal("one two\nthree", text.wrapped("one  two three", 8, ""))
    assert.equal("  one\n  enormous\n  two", text.wrapped("one enormous two", 6, "  "))
    assert.equal("  ", text.wrapped("", 10, "  "))
    assert.equal("\u{4E2D}\u{4E2D}\n\u{4E2D}", text.wrapped("\u{4E2D}\u{4E2D} \u{4E2D}", 6, ""))
  end)
end)

describe("text.table", function()
  it("lines columns up, numbers to the right", function()
    assert.equal("name    n  note\n------  -  ----\nPC      5  日本\nGrößer  -  x\n",
      text.table({ { "PC", 5, "日本" }, { "Größer", host.null, "x" } },
        { header = { "name", "n", "note" }, width = 80, null = "-" }))
    assert.equal(" 5.0  a\n12.5  b\n", text.table({ { "5.0", "a" }, { "12.5", "b" } }, { width = 80 }))
    assert.equal("5     a\n12.5  b\n",
      text.table({ { "5", "a" }, { "12.5", "b" } }, { width = 80, align = { "left" } }))
  end)

  it("takes rows with holes and no rows at all", function()
    assert.equal("", text.table({}))
    assert.equal("a  b\n-  -\n", text.table({}, { header = { "a", "b" }, width = 80 }))
    assert.equal("   x\na  y\n", text.table({ { nil, "x" }, { "a", "y" } }, { width = 80 }))
  end)

  it("rounds numbers that do not fit, and says so, rather than cut them", function()
    for _, case in ipairs { { "123456789.25", 9, "~1.2346e8" }, { "1234567.875", 9, "~1234568" },
      { 12345678901, 9, "~1.235e10" }, { "1,000,000", 5, "1e6" }, { "-1.5e-300", 8, "~-2e-300" },
      { "98.7654321%", 7, "~98.77%" }, { "-1.5e-300", 5, "..." }, { "0.000123456", 8, "~0.00012" },
      { "abcdefghijkl", 9, "abcdef..." } } do
      assert.equal(case[3], (text.table({ { case[1] } }, { width = case[2] }):gsub("%s", "")))
    end
    assert.equal("~1.2346e8\n        5\n", text.table({ { "123456789.25" }, { "5" } }, { width = 9 }))
  end)

  it("fits the terminal by shortening the widest", function()
    local out = text.table({ { ("x"):rep(100), "short" }, { "y", "z" } }, { width = 30 })
    for line in out:gmatch "[^\n]+" do
      assert.is_true(text.width(line) <= 30)
    end
    assert.truthy(out:find("x%.%.%.  short\n"))
    local many = {}
    for i = 1, 40 do
      many[i] = "value"
    end
    assert.is_true(text.width((text.table({ many }, { width = 50 }):gsub("\n", ""))) <= 50)
  end)

  it("shows each row on one line, whatever it holds", function()
    local out = text.table({ { "a\nb", "\27[2J" } }, { width = 80 })
    assert.equal("a\\nb  \\x1B[2J\n", out)
  end)
end)

describe("text quantities", function()
  it("are numbers with thousands apart", function()
    assert.equal("12,345", text.number(12345))
    assert.equal("0", text.number(0))
    assert.equal("-123", text.number(-123))
    assert.equal("-1,234,567.89", text.number(-1234567.891, 2))
    assert.equal("9,223,372,036,854,775,807", text.number(math.maxinteger))
    assert.equal("123,456", text.number(123456.4))
    assert.equal("inf", text.number(math.huge))
  end)

  it("are counts", function()
    assert.equal("1 row", text.count(1, "row"))
    assert.equal("0 rows", text.count(0, "row"))
    assert.equal("2,000 entries", text.count(2000, "entry", "entries"))
  end)

  it("are sizes", function()
    assert.equal("1 byte", text.bytes(1))
    assert.equal("999 bytes", text.bytes(999))
    assert.equal("1.0 kB", text.bytes(1000))
    assert.equal("1.2 MB", text.bytes(1234567))
    assert.equal("1.0 MB", text.bytes(999999))
    assert.equal("5000.0 PB", text.bytes(5e18))
  end)

  it("are durations", function()
    assert.equal("0 s", text.duration(0))
    assert.equal("0.4 ms", text.duration(0.0004))
    assert.equal("0.24 s", text.duration(0.24))
    assert.equal("12.3 s", text.duration(12.34))
    assert.equal("1 min 00 s", text.duration(59.99))
    assert.equal("3 min 05 s", text.duration(185))
    assert.equal("1 h 00 min", text.duration(3599.6))
    assert.equal("2 h 04 min", text.duration(7440))
  end)
end)
