local csv = require "csv"
local reading = require "tests.host.csv_reading"
local support = require "tests.support"
local sys = require "sys"

local TEXT = "name,größe,😀\nα,1,2\nβ,3,4\n"
local NAMES, ROWS = { "name", "größe", "😀" }, { { "α", "1", "2" }, { "β", "3", "4" } }

local function write(path, mode, bytes)
  local file = assert(io.open(path, mode))
  assert(file:write(bytes))
  assert(file:close())
end

describe("encoding", function()
  local function assert_reads(bytes, options, encoding, marked)
    for _, source in ipairs { { text = bytes }, support.tmpfile(bytes), { text = reading.gzip(bytes) } } do
      local result = reading.read(source, options)
      assert.same(NAMES, result.names)
      assert.same(ROWS, result.rows)
      assert.equal(encoding, result.info.encoding)
      assert.equal(marked, result.info.byte_order_mark)
    end
  end

  it("is UTF-8 by default, with or without mark", function()
    assert_reads(TEXT, nil, "UTF-8", false)
    assert_reads("\xEF\xBB\xBF" .. TEXT, nil, "UTF-8", true)
    for _, name in ipairs { "utf-8", "UTF8", "utf-8-sig" } do
      assert_reads("\xEF\xBB\xBF" .. TEXT, { encoding = name }, "UTF-8", true)
      assert_reads(TEXT, { encoding = name }, "UTF-8", false)
    end
  end)

  it("may have a mark before a quoted header", function()
    assert.same({ "a,b", "c" }, reading.text('\xEF\xBB\xBF"a,b",c\n1,2\n').names)
  end)

  it("is UTF-16 by its mark or by name", function()
    for order, name in pairs { ["<"] = "UTF-16LE", [">"] = "UTF-16BE" } do
      local bytes = reading.utf16(TEXT, order)
      local marked = reading.utf16("\u{FEFF}", order) .. bytes
      assert_reads(marked, nil, name, true)
      assert_reads(marked, { encoding = "utf-16" }, name, true)
      assert_reads(marked, { encoding = name:lower() }, name, true)
      assert_reads(bytes, { encoding = name }, name, false)
    end
  end)

  it("is suggested when UTF-16 comes without mark", function()
    for order, name in pairs { ["<"] = "utf-16le", [">"] = "utf-16be" } do
      local failure = reading.text_failure(reading.utf16("a,b\n1,2\n", order))
      assert.equal("nul", failure.code)
      assert.truthy(failure.hint:find(name, 1, true), failure.hint)
    end
  end)

  it("is Latin-1 or another by name", function()
    for _, name in ipairs { "latin1", "Latin-1", "ISO-8859-1", "cp1252" } do
      local result = reading.text("gr\xF6\xDFe,\xB5\n1,\xE9\n", { encoding = name })
      assert.same({ "größe", "µ" }, result.names)
      assert.same({ { "1", "é" } }, result.rows)
    end
    local failure = reading.text_failure("a\n1\n\xE9\n")
    assert.equal("encoding", failure.code)
    assert.truthy(failure.hint:find("latin1", 1, true))
  end)

  it("that contradicts the mark is refused", function()
    for bytes, name in pairs {
      ["\xEF\xBB\xBFa\n"] = "latin1", ["\xFF\xFEa\0\n\0"] = "utf-8", ["\xFE\xFF\0a\0\n"] = "cp1252",
      ["\xFF\xFE\0\0a\0\0\0"] = "utf-16le",
    } do
      local failure = reading.text_failure(bytes, { encoding = name })
      assert.equal("encoding", failure.code)
      assert.truthy(failure.message:find(name, 1, true), failure.message)
    end
    assert.same({ "a" }, reading.text("\xFF\xFE\0\0a\0\0\0").names) -- UTF-32
  end)

  it("errors have their line and byte, counted in UTF-8", function()
    local lone = string.pack("<I2", 0xD800)
    local failure = reading.text_failure("\xFF\xFE" .. reading.utf16("a,b\né,1\nx", "<") .. lone)
    assert.same({ "encoding", 3, 11 }, { failure.code, failure.line, failure.byte })
    failure = reading.text_failure("\xFF\xFE" .. reading.utf16("a,b\r1,2\r", "<") .. lone)
    assert.same({ "encoding", 3, 9 }, { failure.code, failure.line, failure.byte })
    failure = reading.text_failure("\xFF\xFE" .. reading.utf16("a,b\n1,2\n", "<") .. "x")
    assert.same({ "encoding", 3, 9 }, { failure.code, failure.line, failure.byte })
    assert.truthy(failure.message:find("middle of a character", 1, true))
  end)

  it("keeps a last character that the decoder holds back", function()
    -- In Big5-HKSCS, 0x8866 may begin a pair with the next character.
    assert.same({ { "Ê" } }, reading.text("a\n\x88\x66", { encoding = "BIG5-HKSCS" }).rows)
  end)

  it("may split characters anywhere over the buffers", function()
    for before = 262139, 262145 do
      local long = ("x"):rep(before)
      for _, bytes in ipairs { reading.utf16("a\n" .. long .. "😀é\n", "<") } do
        local result = reading.text("\xFF\xFE" .. bytes)
        assert.equal(long .. "😀é", result.rows[1][1])
      end
      assert.equal(long .. "😀é", reading.text("a\n" .. long .. "😀é\n").rows[1][1])
    end
  end)
end)

describe("gzip", function()
  it("is unpacked, from a file, a string and standard input", function()
    local packed = reading.gzip(TEXT)
    local path = support.tmpfile(packed, "x.csv.gz")
    local result = reading.read(path)
    assert.same(ROWS, result.rows)
    assert.is_true(result.info.gzip)
    assert.equal(#packed, result.info.bytes)
    assert.equal(sys.sha256(packed), result.info.sha256)
    assert.same(ROWS, reading.text(packed).rows)
    local child = support.ligase { "-e", [[for f in require("csv").frames "-" do io.write(f:row(2)[1]) end]],
      stdin = packed }
    assert.equal("β", child.stdout, child.stderr)
  end)

  it("may be several members, empty ones too, and end in zeros", function()
    local packed = reading.gzip("a\n1") .. reading.gzip("") .. reading.gzip("2\n3\n")
    assert.same({ { "12" }, { "3" } }, reading.text(packed).rows)
    assert.same({ { "12" }, { "3" } }, reading.text(packed .. ("\0"):rep(1000)).rows)
  end)

  it("of a large text is unpacked to the last byte", function()
    local lines = { "n" }
    for i = 1, 200000 do
      lines[#lines + 1] = tostring(i * 7919 % 1000003)
    end
    local text = table.concat(lines, "\n")
    local plain, packed = reading.text(text), reading.text(reading.gzip(text))
    assert.equal(200000, #packed.rows)
    assert.same(plain.rows, packed.rows)
  end)

  it("that is cut short or damaged is an error at every place", function()
    local packed = reading.gzip("a,b\n" .. ("1,2\n"):rep(100))
    for length = 2, #packed - 1 do
      assert.equal("gzip", reading.text_failure(packed:sub(1, length)).code, length)
    end
    local failure = reading.text_failure(packed:sub(1, -2) .. "\xFF")
    assert.equal("gzip", failure.code)
    assert.truthy(failure.message:find("damaged", 1, true))
    assert.equal("gzip", reading.text_failure(packed .. "trailing").code)
    assert.equal("binary", reading.text_failure(reading.gzip(packed)).code)
  end)
end)

describe("a file", function()
  it("that is missing, a folder or not to be read is refused by name", function()
    local folder = support.workspace()
    for path, code in pairs { [folder .. "/none.csv"] = "missing", [folder] = "directory",
      [folder .. "/x/y"] = "missing", [""] = "missing" } do
      local failure = reading.failure(path)
      assert.equal("input", failure.kind)
      assert.equal(code, failure.code)
      assert.equal(path, failure.file)
      assert.truthy(#failure.hint > 0)
    end
    assert.equal("unreadable", reading.failure("/proc/self/mem").code)
  end)

  it("of 0 bytes is empty", function()
    assert.equal("empty", reading.failure(support.tmpfile("")).code)
    assert.equal("empty", reading.failure("/dev/null").code)
  end)

  it("that is no text is called what it is", function()
    for magic, word in pairs {
      ["PK\3\4rest of the zip"] = "Excel workbook", ["\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1 more"] = "old Excel",
      ["\x89PNG\r\n\x1A\n...."] = "PNG", ["%PDF-1.7 ......"] = "PDF", ["BZh91AY&SY......"] = "bzip2",
      ["\xFD7zXZ\0.........."] = "xz", ["\x28\xB5\x2F\xFD............"] = "zstd", ["\x7FELF............"] = "program",
      ["SQLite format 3\0"] = "SQLite", ["\x89HDF\r\n\x1A\n........"] = "HDF5", ["\xFF\xD8\xFF............."] = "JPEG",
    } do
      for _, bytes in ipairs { magic, reading.gzip(magic) } do
        local failure = reading.failure(support.tmpfile(bytes))
        assert.equal("binary", failure.code)
        assert.truthy(failure.message:find(word, 1, true), failure.message)
      end
    end
  end)

  it("that grows, shrinks or changes while it is read is an error", function()
    local text = "a,b\n" .. ("1,2\n"):rep(200000)
    for name, change in pairs {
      grows = function(path) write(path, "ab", "3,4\n") end,
      shrinks = function(path) write(path, "wb", text:sub(1, 700000)) end,
      changes = function(path)
        sys.sleep(0.02)
        local file = assert(io.open(path, "r+b"))
        file:seek("set", 4)
        file:write("9")
        file:close()
      end,
    } do
      local path = support.tmpfile(text)
      local reader <close> = csv.frames(path, { frame_bytes = 1 << 16 })
      assert.truthy(#reader:next() > 0)
      change(path)
      local done, failure = pcall(function()
        while reader:next() do end
      end)
      assert.is_false(done, name)
      assert.equal("changed", failure.code, name)
      assert.equal(path, failure.file)
    end
  end)

  it("may be a pipe", function()
    local path = support.workspace() .. "/pipe"
    assert.equal(0, sys.run({ "mkfifo", path }).code)
    local writer = sys.spawn { "sh", "-c", 'printf "a,b\\n1," > "$0"; sleep 0.05', path }
    -- The writer closes after half a row: what is read is what there was.
    assert.same({ { "1", "" } }, reading.read(path).rows)
    writer:wait(5)
  end)

  it("leaves no descriptor open, however reading ends", function()
    local function descriptors()
      return #sys.list("/proc/self/fd")
    end
    local good, bad = support.tmpfile("a,b\n1,2\n"), support.tmpfile("a,b\n1\n")
    collectgarbage() -- what other tests left
    local before = descriptors()
    for _ = 1, 20 do
      reading.read(good)
      reading.failure(bad)
      reading.failure(good, { encoding = "klingon" })
      csv.head(good)
      csv.widths(bad)
    end
    collectgarbage()
    assert.equal(before, descriptors())
  end)
end)
