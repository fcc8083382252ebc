--- The copy of a section: the same lines at the same numbers, whatever ends them.
local csv = require "csv"
local sections = require "ligase.io.sections"
local side_by_side = require "ligase.io.side_by_side"
local support = require "tests.support"
local sys = require "sys"

--- Converts a text; returns the copy as a list of lines, and what was found.
local function convert(content, read, more)
  local path = support.tmpfile(content, "x.txt")
  local source = { path = path, shown = path }
  for key, value in pairs(more or {}) do
    source[key] = value
  end
  local result = sections.convert(source, read)
  local copy = sys.read_file(result.placement.path)
  sys.remove_tree(result.placement.remove)
  return copy, result
end

local function numbered(from)
  local seen = {}
  for line in from:lines() do
    seen[#seen + 1] = ("%d:%s"):format(from.line, line)
  end
  return { seen = seen }
end

local function keep_rows(from)
  for line in from:lines() do
    if line:find("^R") then
      from:keep(line)
    end
  end
end

describe("sections", function()
  it("number lines as the reader of tables does, whatever ends them", function()
    for _, content in ipairs { "a\nb\n\nc\n", "a\r\nb\r\n\r\nc\r\n", "a\rb\r\rc\r", "a\nb\n\nc", "a\rb\r\rc",
      "\xef\xbb\xbfa\nb\n\nc\n" } do
      local _, result = convert(content, numbered)
      assert.same({ "1:a", "2:b", "3:", "4:c" }, result.seen, ("%q"):format(content))
    end
  end)

  it("take a CR inside a line of an LF file for a line end, as the reader does", function()
    local content = "n\tv\nx\r\r\ny\t1\rz\t2\nw\t3\n"
    local _, result = convert(content, numbered)
    assert.same({ "1:n\tv", "2:x", "3:", "4:y\t1", "5:z\t2", "6:w\t3" }, result.seen)
    local reader <close> = csv.frames({ text = content:gsub("x\r\r\n", "x\t0\r\r\n") }, { separator = "\t" })
    assert.equal(4, #reader:next())
    assert.equal(6, reader:info().lines)
  end)

  it("keep line numbers over blocks of the file", function()
    local lines = {}
    for i = 1, 60000 do
      lines[i] = i % 1000 == 0 and ("R\t%d"):format(i) or ("filler %d %s"):format(i, ("x"):rep(i % 70))
    end
    local copy = convert(table.concat(lines, "\r\n"), keep_rows)
    local at = 0
    for line in copy:gmatch "([^\n]*)\n" do
      at = at + 1
      assert.equal(at % 1000 == 0 and ("R\t%d"):format(at) or "", line)
    end
    assert.equal(60000, at)
  end)

  it("hold a line that is longer than a block", function()
    local long = "R\t" .. ("y"):rep(3 << 20)
    local copy = convert("a\n" .. long .. "\nb\n", keep_rows)
    assert.equal("\n" .. long .. "\n", copy)
  end)

  it("unpack gzip, and refuse it when it is cut", function()
    local plain = support.tmpfile("x\nR\t1\n", "plain.txt")
    local packed = sys.run({ "gzip", "-c", plain }).stdout
    local copy = convert(packed, keep_rows, { gzip = true })
    assert.equal("\nR\t1\n", copy)
    local done, failure = pcall(convert, packed:sub(1, -6), keep_rows, { gzip = true })
    assert.is_false(done)
    assert.equal("gzip", failure.code)
  end)

  it("decode what is kept as text, and leave the table in its encoding", function()
    local copy, result = convert("about \xb5g\nR\t\xb5g\n", function(from)
      local about = from:decoded(from:next())
      from:keep(from:next())
      return { about = { text = about } }
    end, { encoding = "latin1" })
    assert.equal("about µg", result.about.text)
    assert.equal("\nR\t\xb5g\n", copy)
    assert.equal("latin1", result.placement.encoding)
    assert.same({ "R", "µg" }, result.header)
  end)

  it("read UTF-16 and give the table back in it", function()
    local function wide(text)
      return (text:gsub(".", "%0\0"))
    end
    local copy, result = convert("\xff\xfe" .. wide "about\nR\t1\n", keep_rows, { encoding = "UTF-16LE" })
    assert.equal(wide "\nR\t1\n", copy)
    assert.equal("UTF-16LE", result.placement.encoding)
  end)

  it("refuse text that is not UTF-8 or has NUL bytes, with the line", function()
    for content, code in pairs { ["a\nb \xb5\n"] = "encoding", ["a\nb \0\n"] = "nul" } do
      local done, failure = pcall(convert, content, function(from)
        for line in from:lines() do
          from:decoded(line)
        end
      end)
      assert.is_false(done)
      assert.equal(code, failure.code)
      assert.equal(2, failure.line)
    end
  end)

  it("take quote marks for quotes only where they enclose every cell that has some", function()
    local cases = { ['R\t"a ""b"" c"\nR\tx\n'] = '"', ['R\t"a"\nR\t5" pipe\n'] = false, ["R\ta\n"] = false,
      ['R\t[A, "b, c", ]\n'] = false, ['R\t"a\tb"\n'] = false }
    for content, quote in pairs(cases) do
      local _, result = convert(content, keep_rows)
      assert.equal(quote, result.placement.quote, content)
    end
  end)

  it("limit what is kept beside the table", function()
    local done, failure = pcall(convert, ("x"):rep(1 << 20) .. "\n", function(from)
      local line = from:next()
      for _ = 1, 40 do
        from:decoded(line)
      end
    end)
    assert.is_false(done)
    assert.equal("about_size", failure.code)
  end)

  it("count doubts of one kind beyond the first", function()
    local _, result = convert(("x\n"):rep(100), function(from)
      for _ in from:lines() do
        from:doubt("line %d is odd", from.line)
      end
      from:doubt("and this")
    end)
    assert.equal(6, #result.doubts)
    assert.equal("line 5 is odd; and 95 more like it", result.doubts[5])
  end)

  it("leave no temporary folder behind when they fail", function()
    local path = support.tmpfile("x\n", "y.txt")
    local copied
    local done = pcall(sections.convert, { path = path, shown = path }, function(from)
      copied = #sys.glob(sys.getenv "TMPDIR" .. "/ligase-section-*/table")
      from:keep(from:next())
      from:refuse { code = "x", message = "no", hint = "None" }
    end)
    assert.is_false(done)
    assert.equal(1, copied)
    assert.same({}, sys.glob(sys.getenv "TMPDIR" .. "/ligase-section-*"))
  end)
end)

describe("stacked tables", function()
  --- Tables "T name", header, rows.
  local function read(from)
    local tables = {}
    for line in from:lines() do
      local name = line:match("^T (.*)")
      if name then
        tables[#tables + 1] = { name = name, rows = 0 }
      elseif line ~= "" and not tables[#tables].header then
        local tbl = tables[#tables]
        tbl.header, tbl.line, tbl.at = sections.cells(line), from.line, from.at
      elseif line ~= "" then
        tables[#tables].rows = tables[#tables].rows + 1
      end
    end
    return { wide = side_by_side.wide(from, tables, function(tbl, column)
      return tbl.name .. "." .. column
    end) or side_by_side.long(from, tables, "T") }
  end

  --- Many tables of many rows, so that blocks end inside of lines.
  local function many(count, rows, ending)
    local lines, expected = {}, {}
    for t = 1, count do
      lines[#lines + 1] = "T s" .. t
      lines[#lines + 1] = "id\tv\tw"
      for row = 1, rows do
        lines[#lines + 1] = ("g%d\t%d.%d\t%s"):format(row, t, row, ("z"):rep(row % 37))
        expected[row] = (expected[row] or "g" .. row) .. ("\t%d.%d\t%s"):format(t, row, ("z"):rep(row % 37))
      end
      lines[#lines + 1] = ""
    end
    return table.concat(lines, ending) .. ending, expected
  end

  it("with the same rows go side by side, row for row, whatever ends the lines", function()
    for _, ending in ipairs { "\n", "\r\n", "\r" } do
      local content, expected = many(7, 8000, ending)
      local copy, result = convert(content, read)
      assert.is_true(result.wide)
      local lines = {}
      for line in copy:gmatch "([^\n]*)\n" do
        lines[#lines + 1] = line
      end
      assert.equal("", lines[1])
      assert.equal("id\ts1.v\ts1.w\ts2.v", lines[2]:sub(1, 17))
      assert.same(expected, table.move(lines, 3, #lines, 1, {}))
    end
  end)

  it("with other rows go one below the other, lines at their numbers", function()
    local copy, result = convert("T a\nid\tv\ng1\t1\ng2\t2\n\nT b\nid\tw\ng2\t3\ng1\t4\n", read)
    assert.same({ "T", "id", "v", "w" }, result.wide)
    assert.equal("\nT\tid\tv\tw\na\tg1\t1\t\na\tg2\t2\t\n\n\n\nb\tg2\t\t3\nb\tg1\t\t4\n", copy)
  end)

  it("that begin alike and differ later are still put one below the other", function()
    local copy = convert("T a\nid\tv\ng1\t1\ng2\t2\nT b\nid\tv\ng1\t3\ng3\t4\n", read)
    assert.equal("\nT\tid\tv\na\tg1\t1\na\tg2\t2\n\n\nb\tg1\t3\nb\tg3\t4\n", copy)
  end)

  it("with a row of another width are refused at its line", function()
    local done, failure = pcall(convert, "T a\nid\tv\ng1\t1\nT b\nid\tv\ng1\t1\t2\n", read)
    assert.is_false(done)
    assert.equal("ragged", failure.code)
    assert.equal(6, failure.line)
  end)
end)
