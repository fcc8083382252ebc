local csv = require "csv"
local reading = require "tests.host.csv_reading"
local support = require "tests.support"

local function rows_of(text, options)
  return reading.text(text, options).rows
end

--- Asserts that reading fails so; a field that is not given must not be there either.
local function assert_fails(expected, text, options)
  local failure = reading.text_failure(text, options)
  local found = {
    code = failure.code, line = failure.line, column = failure.column, byte = failure.byte,
  }
  assert.same(expected, found, tostring(failure))
  return failure
end

describe("csv.frames", function()
  it("gives names and cells", function()
    local result = reading.text("lipid,a,b\nPC 34:1,1,2\nPE 36:2,3,\n")
    assert.same({ "lipid", "a", "b" }, result.names)
    assert.same({ { "PC 34:1", "1", "2" }, { "PE 36:2", "3", "" } }, result.rows)
    assert.same({ 2, 3 }, result.lines)
  end)

  it("takes names that are given, instead of the header's or for want of one", function()
    local result = reading.text("x,y\nPC 34:1,1\n", { names = { "lipid", "S1" } })
    assert.same({ "lipid", "S1" }, result.names)
    assert.same({ { "PC 34:1", "1" } }, result.rows)
    assert.equal(1, result.info.header_line)
    result = reading.text("PC 34:1,1\nPE 36:2,2\n", { header = false, names = { "lipid", "S1" } })
    assert.same({ "lipid", "S1" }, result.names)
    assert.same({ { "PC 34:1", "1" }, { "PE 36:2", "2" } }, result.rows)
    assert.same({ "", "S1" }, reading.text("S1\na,1\n", { names = { "", "S1" } }).names)
    for row in csv.rows({ text = "PC 34:1,1\n" }, { header = false, names = { "lipid", "S1" } }) do
      assert.same({ lipid = "PC 34:1", S1 = "1" }, row)
    end
    local frame <close> = csv.frames({ text = "a,1\n" }, { header = false, names = { "gene", "n" } })()
    assert.equal(1.0, frame:number("n"):get(1))
  end)

  it("refuses names that are not one for each column", function()
    local failure = reading.text_failure("a,b\n1,2\n", { names = { "a" } })
    assert.equal("ragged", failure.code)
    assert.matches("1 names were given for 2 columns", failure.message)
    for _, names in ipairs { { "a", 3 }, { "a", false }, "ab", 7 } do
      local done, wrong = pcall(csv.frames, { text = "a,b\n1,2\n" }, { names = names })
      assert.is_false(done)
      assert.equal("usage", wrong.kind)
      assert.matches("names must be a list of strings", wrong.message)
    end
  end)

  it("reads a path, a string, and standard input", function()
    local path = support.tmpfile("a,b\n1,2\n")
    assert.same({ { "1", "2" } }, reading.read(path).rows)
    assert.equal(path, reading.read(path).info.name)
    assert.equal("(text)", reading.text("a\n1\n").info.name)
    assert.equal("here", reading.read({ text = "a\n1\n", name = "here" }).info.name)
    local result = support.ligase { "-e", [[
      for frame, _ in require("csv").frames("-") do
        io.write(frame:row(1)[2], " ", #frame)
      end]], stdin = "a,b\n1,x\n2,y\n" }
    assert.equal("x 2", result.stdout, result.stderr)
  end)

  it("keeps empty fields, also the last of a row", function()
    assert.same({ { "", "" }, { "1", "" }, { "", "2" } }, rows_of("a,b\n,\n1,\n,2\n"))
    assert.same({ { "", "", "" } }, rows_of('a,b,c\n"","",""\n'))
    assert.same({ { "", "", "" } }, rows_of('a,b,c\n"",,'))
  end)

  it("keeps blanks", function()
    assert.same({ { " 1 ", "\t" } }, rows_of("a,b\n 1 ,\t\n"))
    assert.same({ { " 1 ", " x" } }, rows_of('a,b\n" 1 ", x\n'))
  end)

  it("reads quoted fields with separators, quotes and line ends in them", function()
    assert.same({ { 'a,"b"', "x\ny" } }, rows_of('h,i\n"a,""b""","x\ny"\n'))
    assert.same({ { '"', '""' } }, rows_of('h,i\n"""",""""""'))
    assert.same({ { "\r\n\n\r", "z" } }, rows_of('h,i\n"\r\n\n\r",z\r\n'))
  end)

  it("does not need an end of the last line", function()
    assert.same({ { "1", "2" } }, rows_of("a,b\n1,2"))
    assert.same({ { "1", "2" } }, rows_of('a,b\n1,"2"'))
    assert.same({ { "1", "" } }, rows_of('a,b\n"1",'))
  end)

  it("skips blank lines between rows, and no others", function()
    local result = reading.text('\n\na\n\n1\n\n\n"x\n\ny"\n\n')
    assert.same({ { "1" }, { "x\n\ny" } }, result.rows)
    assert.same({ 5, 8 }, result.lines)
    assert.equal(3, result.info.header_line)
  end)

  it("numbers rows over all frames", function()
    local reader <close> = csv.frames({ text = "a\n1\n2\n3\n" }, { frame_bytes = 1 })
    local firsts = {}
    for frame in reader do
      firsts[#firsts + 1] = frame:first_row()
    end
    assert.same({ 1, 2, 3 }, firsts)
  end)

  it("has columns of a file with a header only, and no frame", function()
    local result = reading.text("a,b\n")
    assert.same({ "a", "b" }, result.names)
    assert.equal(0, result.frames)
  end)

  it("reads 10,000 columns", function()
    local names, cells = {}, {}
    for i = 1, 10000 do
      names[i] = "S" .. i
      cells[i] = tostring(i / 8)
    end
    local text = table.concat(names, ",") .. "\n" .. (table.concat(cells, ",") .. "\n"):rep(3)
    local result = reading.text(text)
    assert.equal(10000, #result.names)
    assert.equal("S10000", result.names[10000])
    assert.same({ cells, cells, cells }, result.rows)
  end)
end)

describe("line ends", function()
  local expected = { { "1", "2" }, { "3", "4" } }
  for name, text in pairs {
    LF = "a,b\n1,2\n3,4\n", CR = "a,b\r1,2\r3,4\r", CRLF = "a,b\r\n1,2\r\n3,4\r\n",
    mixed = "a,b\r1,2\r\n3,4\n", CRCRLF = "a,b\r\r\n1,2\r\r\n3,4\r\r\n",
  } do
    it("may be " .. name, function()
      assert.same(expected, rows_of(text))
      assert.same(expected, rows_of(text, { engine = "libcsv" }))
      assert.same(expected, rows_of(text:gsub("%d", '"%0"'), { frame_bytes = 1 }))
    end)
  end

  it("count as lines as an editor counts them", function()
    assert.same({ 2, 3, 4 }, reading.text("a\n1\r2\r\n3").lines)
  end)

  it("stay as they are inside quotes", function()
    for _, line_end in ipairs { "\n", "\r", "\r\n", "\r\r\n", "\n\r" } do
      local text = "a,b\n" .. '1,"x' .. line_end .. 'y"\n'
      assert.same({ { "1", "x" .. line_end .. "y" } }, rows_of(text))
    end
  end)

  it("may fall on every place of the reader's buffer", function()
    -- The buffer is 256 KiB; a row that ends around its end in CRLF, CR or LF.
    for _, line_end in ipairs { "\r\n", "\r", "\n" } do
      for before = 262139, 262146 do
        local long = ("x"):rep(before)
        local text = "a,b\n" .. long .. ",1" .. line_end .. '"y\r\nz",2' .. line_end
        assert.same({ { long, "1" }, { "y\r\nz", "2" } }, rows_of(text))
      end
    end
  end)
end)

describe("option", function()
  it("separator splits, and is one character", function()
    for _, separator in ipairs { ";", "\t", "|", " ", ":" } do
      assert.same({ { "1", "2,0" } }, rows_of(("a;b\n1;2,0\n"):gsub(";", separator), { separator = separator }))
    end
    for _, wrong in ipairs { "", "ab", "\n", "\r", "\0", "é", '"', 5, true, false, {} } do
      assert.equal("usage", reading.text_failure("a\n1\n", { separator = wrong }).kind, tostring(wrong))
    end
  end)

  it("quote is another mark, or none", function()
    assert.same({ { "x,y", '"' } }, rows_of("a,b\n'x,y',\"\n", { quote = "'" }))
    assert.same({ { '"x', 'y"' } }, rows_of('a,b\n"x,y"\n', { quote = false }))
    assert.same({ { '"x', 'y"' } }, rows_of('a,b\n"x,y"\n', { quote = false, engine = "libcsv" }))
  end)

  it("comment skips lines between rows, not within quotes", function()
    local text = '# one\na,b\n#two\n1,"x\n#not one"\n#"three\n2,# y\n'
    assert.same({ { "1", "x\n#not one" }, { "2", "# y" } }, rows_of(text, { comment = "#" }))
    assert.same({ { "#1", "2" } }, rows_of("a,b\n#1,2\n"))
    -- What is skipped need not be text either.
    assert.same({ { "1" } }, rows_of("a\n#\0\xFF\n1\n", { comment = "#" }))
  end)

  it("comment is neither separator nor quote", function()
    for _, options in ipairs { { comment = "," }, { comment = '"' }, { comment = "''" } } do
      assert.equal("usage", reading.text_failure("a\n", options).kind)
    end
  end)

  it("header = false names the columns V1, V2", function()
    local result = reading.text("1,2\n3,4\n", { header = false })
    assert.same({ "V1", "V2" }, result.names)
    assert.same({ { "1", "2" }, { "3", "4" } }, result.rows)
    assert.equal(0, reading.text("", { header = false }).frames)
    assert.equal("usage", reading.text_failure("a\n", { header = "no" }).kind)
  end)

  it("skip_lines leaves out lines before the header, whatever is in them", function()
    local text = 'Report "of\n\0\xFF\na,b\n1,2\n'
    local result = reading.text(text, { skip_lines = 2 })
    assert.same({ "a", "b" }, result.names)
    assert.same({ 4 }, result.lines)
    assert.equal("empty", reading.text_failure(text, { skip_lines = 4 }).code)
    assert.equal("empty", reading.text_failure(text, { skip_lines = math.maxinteger // 2 }).code)
  end)

  it("ragged = \"pad\" fills short rows and still refuses long ones", function()
    local options = { ragged = "pad" }
    assert.same({ { "1", "", "" }, { "", "", "" }, { "1", "2", "3" } },
      rows_of('a,b,c\n1\n""\n1,2,3\n', options))
    assert_fails({ code = "ragged", line = 3, column = 3, byte = 9 }, "a,b\n1,2\n1,2,3\n", options)
  end)

  it("frame_bytes cuts frames and changes nothing else", function()
    local lines = { "name,value" }
    for i = 1, 300 do
      lines[#lines + 1] = ('"n\n%d",%d'):format(i, i * i)
    end
    local text = table.concat(lines, "\r\n")
    local whole = reading.text(text)
    assert.equal(1, whole.frames)
    for _, bytes in ipairs { 1, 2, 7, 20, 64, 1000 } do
      local cut = reading.text(text, { frame_bytes = bytes })
      assert.same(whole.rows, cut.rows)
      assert.same(whole.lines, cut.lines)
      assert.truthy(cut.frames >= 3)
    end
    assert.equal(300, reading.text(text, { frame_bytes = 1 }).frames)
    assert.equal(2, reading.text(text, { first_frame_bytes = 1 }).frames)
  end)

  it("field_bytes and column_limit are exact", function()
    for _, engine in ipairs { "fast", "libcsv" } do
      for _, quote in ipairs { "", '"' } do
        local options = { field_bytes = 8, column_limit = 3, engine = engine }
        for _, last in ipairs { "", "\n" } do
          local fits = quote .. "12345678" .. quote
          local long = quote .. "123456789" .. quote
          assert.same({ { "12345678", "2", "12345678" } }, rows_of("a,b,c\n" .. fits .. ",2," .. fits .. last, options))
          local failure = assert_fails({ code = "field_length", line = 2, column = 3, byte = 7 },
            "a,b,c\n1,2," .. long .. last, options)
          assert.equal("a field is longer than 8 bytes", failure.message)
          failure = assert_fails({ code = "columns", line = 2, column = 4, byte = 5 },
            "a,b\n1,2,3," .. fits .. last, options)
          assert.equal("a row has more than 3 fields", failure.message)
        end
      end
    end
    local wide = ("x,"):rep(9999) .. "x"
    assert.equal(10000, #reading.text(wide .. "\n").names)
    assert.equal("columns", reading.text_failure(wide .. ",x\n").code)
    local field = ("x"):rep(1 << 20)
    assert.equal(field, rows_of("a\n" .. field .. "\n")[1][1])
    assert.equal(field, rows_of('a\n"' .. field .. '"')[1][1])
    assert.equal("field_length", reading.text_failure("a\n" .. field .. "x\n").code)
    assert.equal("field_length", reading.text_failure('a\n"' .. field .. 'x"').code)
  end)

  it("of another name or type is refused, and the message names it", function()
    for options, word in pairs {
      [{ seperator = ";" }] = "seperator", [{ "x" }] = "?", [{ frame_bytes = 0 }] = "frame_bytes",
      [{ frame_bytes = 1.5 }] = "1.5", [{ column_limit = "x" }] = "column_limit",
      [{ ragged = "fill" }] = "ragged", [{ ragged = {} }] = "ragged", [{ engine = "zsv" }] = "engine",
      [{ decimal = ";" }] = "decimal", [{ decimal = 5 }] = "decimal", [{ missing = "NA" }] = "missing",
      [{ missing = { 5 } }] = "missing", [{ encoding = 8 }] = "encoding", [{ encoding = "klingon" }] = "klingon",
      [{ encoding = "" }] = "encoding", [{ encoding = "latin1//IGNORE" }] = "IGNORE",
    } do
      local failure = reading.text_failure("a,b\n1,2\n", options)
      assert.equal("usage", failure.kind, word)
      assert.truthy(failure.message:find(word, 1, true), failure.message)
    end
    local marks = {}
    for i = 1, 33 do
      marks[i] = "m" .. i
    end
    assert.equal("usage", reading.text_failure("a\n", { missing = marks }).kind)
    assert.has_error(function() csv.frames({ text = "a\n" }, "x") end)
    assert.equal("usage", reading.failure({}).kind)
    assert.equal("usage", reading.failure({ text = 5 }).kind)
    assert.equal("usage", reading.failure("a\0b").kind)
  end)
end)

describe("a short header", function()
  it("gets \"\" in front when the rows have one field more", function()
    local result = reading.text('"a","b"\n"r1",1,2\n"r2",3,4\n')
    assert.same({ "", "a", "b" }, result.names)
    assert.same({ { "r1", "1", "2" }, { "r2", "3", "4" } }, result.rows)
    assert.is_true(result.info.header_short)
    assert.is_false(reading.text("x,a,b\nr1,1,2\n").info.header_short)
  end)

  it("is not assumed when rows end in a separator: names would move over", function()
    assert_fails({ code = "ragged", line = 2, column = 3, byte = 5 }, "a,b\n1,2,\n3,4,\n")
    assert_fails({ code = "ragged", line = 2, column = 3, byte = 5 }, 'a,b\n1,2,""\n')
  end)

  it("is decided by the first row alone", function()
    assert_fails({ code = "ragged", line = 3, column = 3, byte = 9 }, "a,b\n1,2\n1,2,3\n")
    assert_fails({ code = "ragged", line = 3, column = 2, byte = 11 }, "a,b\n1,2,3\n1,2\n")
    assert_fails({ code = "ragged", line = 2, column = 3, byte = 5 }, "a,b\n1,2,3,4\n")
  end)
end)

describe("errors", function()
  it("say line, field and byte of a wrong quote", function()
    assert_fails({ code = "quote", line = 3, column = 2, byte = 12 }, 'a,b\n1,2\n1,x"y\n')
    assert_fails({ code = "quote", line = 2, column = 1, byte = 8 }, 'a,b\n"x"y,2\n')
    assert_fails({ code = "quote", line = 3, column = 1, byte = 10 }, 'a,b\n"x\ny"z,2\n')
    assert_fails({ code = "quote", line = 2, column = 1, byte = 6 }, '\xEF\xBB\xBFa,b\nx",2\n')
  end)

  it("say where a quote opens that is never closed", function()
    local failure = assert_fails({ code = "quote", line = 3, column = 2, byte = 9 }, 'a,b\n1,2\n3,"x\n\n\n')
    assert.equal("a quoted field is never closed", failure.message)
    -- A large file is not read to its end into one field.
    failure = assert_fails({ code = "field_length", line = 2, column = 2, byte = 5 },
      'a,b\n1,"x\n' .. ("y\n"):rep(600000))
    assert.truthy(failure.hint:find("quote", 1, true))
  end)

  it("say line and width of a ragged row", function()
    local failure = assert_fails({ code = "ragged", line = 4, column = 1, byte = 12 }, 'a,b\n"1\n",2\n1\n')
    assert.equal("the row has 1 fields, but the header has 2", failure.message)
    failure = reading.text_failure("1,2\n1\n", { header = false })
    assert.equal("the row has 1 fields, but the first row has 2", failure.message)
  end)

  it("say where a NUL byte stands, also inside quotes", function()
    assert_fails({ code = "nul", line = 2, byte = 6 }, "a,b\n1\0,2\n")
    assert_fails({ code = "nul", line = 3, byte = 10 }, 'a,b\n"1\nxy\0",2\n')
    assert_fails({ code = "nul", line = 1, byte = 1 }, "\0")
  end)

  it("say which byte is not UTF-8", function()
    for bytes, offset in pairs {
      ["\xFF"] = 0, ["\x80"] = 0, ["\xC0\x80"] = 0, ["\xC1\xBF"] = 0, ["\xE0\x9F\xBF"] = 0, ["\xED\xA0\x80"] = 0,
      ["\xF0\x8F\xBF\xBF"] = 0, ["\xF4\x90\x80\x80"] = 0, ["\xF5\x80\x80\x80"] = 0, ["é\xE9"] = 2, ["\xE2\x82"] = 0,
      ["€\xF0\x9F\x98"] = 3, ["\xC3"] = 0, ["\xC3\n"] = 0,
    } do
      assert_fails({ code = "encoding", line = 2, byte = 7 + offset }, "a,b\n1," .. bytes .. ",\n")
      assert_fails({ code = "encoding", line = 3, byte = 11 + offset }, 'a,b\n1,"x\nx' .. bytes .. '"\n')
    end
    for _, good in ipairs { "é", "€", "😀", "\u{7FF}\u{800}\u{FFFF}\u{10000}\u{10FFFF}\u{D7FF}\u{E000}" } do
      assert.same({ { "1", good } }, rows_of("a,b\n1," .. good .. "\n"))
    end
  end)

  it("carry file, kind, detail and a hint", function()
    local path = support.tmpfile("a,b\n1\n", "my file.csv")
    local failure = reading.failure(path)
    assert.equal("input", failure.kind)
    assert.equal(path, failure.file)
    assert.equal("byte 5", failure.detail)
    assert.equal(path .. ":2:1: the row has 1 fields, but the header has 2 (byte 5). "
      .. "Look at that line for a missing or an extra separator or quote", tostring(failure))
  end)

  it("of an empty file is \"empty\"", function()
    for _, text in ipairs { "", "\n", "\r\n\n", "\xEF\xBB\xBF", "#x\n" } do
      assert_fails({ code = "empty" }, text, { comment = "#" })
    end
  end)

  it("come after the rows before them, and stay", function()
    local reader <close> = csv.frames({ text = "a,b\n1,2\n3\n5,6\n" }, { frame_bytes = 1 })
    assert.same({ "1", "2" }, reader:next():row(1))
    for _ = 1, 3 do
      local done, failure = pcall(reader.next, reader)
      assert.is_false(done)
      assert.equal("ragged", failure.code)
    end
    assert.equal(1, reader:info().rows)
  end)
end)

describe("a reader", function()
  it("gives nil again and again at the end", function()
    local reader <close> = csv.frames { text = "a\n1\n" }
    assert.equal(1, #reader:next())
    assert.is_nil(reader:next())
    assert.is_nil(reader:next())
    assert.is_nil(reader())
  end)

  it("tells what it read", function()
    local reader <close> = csv.frames({ text = "# x\na\n1\n2\n" }, { comment = "#" })
    while reader:next() do end
    assert.same({
      name = "(text)", encoding = "UTF-8", byte_order_mark = false, gzip = false, bytes = 10, lines = 4, rows = 2,
      header_line = 2, header_short = false,
      sha256 = require("sys").sha256("# x\na\n1\n2\n"),
    }, reader:info())
  end)

  it("can be closed twice, and in the middle; then it refuses to go on", function()
    local reader = csv.frames({ text = "a\n1\n2\n" }, { frame_bytes = 1 })
    local frame = reader:next()
    reader:close()
    reader:close()
    for _, method in ipairs { "next", "names", "info" } do
      local done, failure = pcall(reader[method], reader)
      assert.is_false(done)
      assert.equal("usage", failure.kind)
    end
    assert.same({ "1" }, frame:row(1))
    assert.same({ 1.0 }, frame:number("a"):values())
    frame:close()
  end)

  it("is closed by the loop that is left", function()
    local kept
    for frame in csv.frames({ text = "a\n1\n2\n" }, { frame_bytes = 1 }) do -- luacheck: ignore 512
      kept = frame
      break
    end
    assert.same({ "1" }, kept:row(1))
  end)

  it("that is dropped leaves its frames alone", function()
    local frames = {}
    do
      local reader = csv.frames({ text = "a\n1\n2\n3\n" }, { frame_bytes = 1 })
      frames[1], frames[2] = reader:next(), reader:next()
    end
    collectgarbage()
    collectgarbage()
    assert.same({ "1" }, frames[1]:row(1))
    assert.same({ "2" }, frames[2]:text("a"):values())
  end)

  it("that a finalizer closes while it is used finishes what it is at", function()
    local reader = csv.frames({ text = "a\n" .. ("x\n"):rep(100000) }, { frame_bytes = 1 })
    local closed = false
    setmetatable({}, { __gc = function()
      reader:close()
      closed = true
    end })
    local frames = 0
    local done, failure = pcall(function()
      while reader:next():row(1)[1] == "x" do
        frames = frames + 1
      end
    end)
    assert.is_false(done)
    assert.is_true(closed)
    assert.truthy(frames > 0 and frames < 100000)
    assert.equal("usage", failure.kind)
    assert.equal("this reader was closed", failure.message)
  end)

  it("takes only a reader as its self", function()
    local reader <close> = csv.frames { text = "a\n1\n" }
    assert.has_error(function() reader.next({}) end)
    assert.has_error(function() reader.close(io.stdout) end)
  end)

  it("does not let frames pile up that nobody closes #slow", function()
    local text = "name,a,b,c\n" .. ("some name,1.5,2.5,3.5\n"):rep(50000)
    local sys = require "sys"
    local before
    for round = 1, 150 do
      for frame in csv.frames({ text = text }, { frame_bytes = 1 << 17 }) do
        for column = 2, 4 do
          frame:number(column)
        end
      end
      if round == 30 then
        before = sys.peak_memory()
      end
    end
    -- Piled up they would be more than 300 MB.
    assert.truthy(sys.peak_memory() - before < 128 << 20, "it grew by " .. sys.peak_memory() - before)
  end)

  it("does not let columns pile up that nobody closes #slow", function()
    local sys = require "sys"
    local frame <close> = csv.frames({ text = "a\n" .. ("1\n"):rep(200000) }):next()
    for _ = 1, 10 do
      frame:number(1)
    end
    local before = sys.peak_memory()
    for _ = 1, 300 do
      frame:number(1)
      frame:text(1):distinct()
    end
    assert.truthy(sys.peak_memory() - before < 128 << 20, "it grew by " .. sys.peak_memory() - before)
  end)
end)

describe("csv.rows", function()
  it("gives one table per row, keyed by name", function()
    local rows = {}
    for row in csv.rows({ text = 'name,a\nPC 34:1,1\n"x\ny",\n' }, { frame_bytes = 1 }) do
      rows[#rows + 1] = row
    end
    assert.same({ { name = "PC 34:1", a = "1" }, { name = "x\ny", a = "" } }, rows)
  end)

  it("keys by position without a header, or where names repeat", function()
    for row in csv.rows({ text = "1,2\n" }, { header = false }) do
      assert.same({ "1", "2" }, row)
    end
    for row in csv.rows { text = "a,b,a,\n1,2,3,4\n" } do
      assert.same({ [1] = "1", b = "2", [3] = "3", [""] = "4" }, row)
    end
  end)

  it("raises what frames raise, with the rows before it given", function()
    local seen = 0
    local done, failure = pcall(function()
      for _ in csv.rows({ text = "a,b\n1,2\n3\n" }, { frame_bytes = 1 }) do
        seen = seen + 1
      end
    end)
    assert.is_false(done)
    assert.equal("ragged", failure.code)
    assert.equal(1, seen)
  end)
end)

describe("csv.widths", function()
  it("counts the fields of each record, header and ragged rows included", function()
    assert.same({ 2, 1, 3 }, (csv.widths { text = 'a,b\n"x\ny"\n\n1,2,3' }))
    assert.same({ 1, 1 }, (csv.widths({ text = "a;b\n1,5\n" }, { separator = "\t" })))
    assert.same({}, (csv.widths { text = "" }))
  end)

  it("stops at its limit", function()
    assert.same({ 1, 1 }, (csv.widths({ text = "a\nb\nc\n" }, nil, 2)))
    assert.same({}, (csv.widths({ text = "a\n" }, {}, 0)))
    assert.equal(1000, #csv.widths { text = ("x\n"):rep(1001) })
  end)

  it("gives the error that stopped it, beside what it saw", function()
    local widths, failure = csv.widths { text = 'a,b\n1,2\nx"y,1\n' }
    assert.same({ 2, 2 }, widths)
    assert.equal("quote", failure.code)
    assert.equal(3, failure.line)
    local _, none = csv.widths { text = "a\n" }
    assert.is_nil(none)
  end)
end)

describe("csv.head", function()
  it("gives the first bytes as UTF-8, and says whether they are all", function()
    local text = ("abcdefgh\n"):rep(10)
    for bytes = 16, 100 do
      local head, info = csv.head({ text = text }, nil, bytes)
      assert.equal(text:sub(1, bytes), head)
      assert.equal(bytes >= #text, info.complete, bytes)
    end
    local head, info = csv.head { text = "" }
    assert.equal("", head)
    assert.same({ encoding = "UTF-8", byte_order_mark = false, gzip = false, complete = true }, info)
  end)

  it("decodes", function()
    local head, info = csv.head { text = "\xFF\xFE" .. reading.utf16("a,é\n", "<") }
    assert.equal("a,é\n", head)
    assert.same({ encoding = "UTF-16LE", byte_order_mark = true, gzip = false, complete = true }, info)
    assert.equal("é", (csv.head({ text = "\xE9" }, { encoding = "latin1" })))
  end)

  it("refuses sizes that make no sense", function()
    for _, bytes in ipairs { 15, -1, (64 << 20) + 1 } do
      local done, failure = pcall(csv.head, { text = "a" }, {}, bytes)
      assert.is_false(done)
      assert.equal("usage", failure.kind)
    end
  end)
end)
