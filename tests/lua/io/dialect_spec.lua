local csv = require "csv"
local dialect = require "ligase.io.dialect"
local errors = require "ligase.base.errors"
local host = require "host"
local support = require "tests.support"
local sys = require "sys"

local function detect(text, given)
  return dialect.detect({ text = text }, given)
end

--- The table as the reader gives it with what was detected.
local function rows_of(text, given)
  local found = detect(text, given)
  local reader <close> = csv.frames({ text = text }, dialect.reader_options(found))
  local frame = reader:next()
  local rows = { reader:names() }
  for i = 1, frame and #frame or 0 do
    rows[i + 1] = frame:row(i)
  end
  return rows, found
end

local function doubts(found)
  return table.concat(found.doubts, "\n")
end

describe("the separator", function()
  for _, case in ipairs {
    { "comma", "lipid,a,b\nPC 34:1,1,2\n" },
    { "tab", "lipid\ta\tb\nPC 34:1\t1\t2\n" },
    { "semicolon", "lipid;a;b\nPC 34:1;1;2\n" },
    { "bar", "lipid|a|b\nPC 34:1|1|2\n" },
    { "tab", "lipid\ta\nPC(16:0,18:1)\t1\nPC(16:0,18:2)\t2\n", "names with a comma each" },
    { "comma", "lipid,a,b\nP1;P2,1,2\nP3;P4,1,2\n", "protein groups of two" },
    { "comma", "id,a\nsp|P1|X,1\nsp|P2|Y,2\n", "FASTA headers" },
    { "semicolon", "lipid;0,5 h;1,5 h\nA;1,0;2,0\nB;3,0;4,0\n", "decimal commas, also in the header" },
    { "tab", "id\tx,y\tz\nA\t1,2\t3\nB\t3,4\t4\n", "a list of commas in every row and the header" },
    { "tab", "a\tb\nr1\t1\t2\nr2\t3\t4\n", "a header without a cell for the row names" },
    { "semicolon", "\n\nlipid;a\nx;1\n", "empty lines in front" },
    { "comma", '"lipid, name","a"\n"x,y;z;","1"\n', "separators in quoted cells" },
    { "comma", "lipid,a\r\nx,1\r\n", "CRLF" },
    { "semicolon", "lipid;a\rx;1\ry;2\r", "CR alone" },
    { "tab", "#1.2\n# a, b; c\nlipid\ta\nx\t1\n", "separators in the comments only" },
  } do
    it("is a " .. case[1] .. (case[3] and " with " .. case[3] or ""), function()
      assert.equal(case[1], dialect.separator_name(detect(case[2]).separator))
    end)
  end

  it("is doubted when another one fits as well", function()
    assert.matches("comma would split the rows evenly too", doubts(detect("id\tx,y\nA\t1,2\nB\t3,4\n")))
    assert.equal("", doubts(detect("id\tx\nA\t1\nB\t3\n")))
  end)

  it("is doubted when the rows come out of different widths", function()
    local found = detect("a,b,c\n1,2\n1,2,3,4\n1\n1,2,3\n1,2\n")
    assert.matches("different widths when split at the comma", doubts(found))
  end)

  it("is a comma, without a doubt, where there is none", function()
    local found = detect("lipid\nPC 34:1\nPC 36:2\n")
    assert.equal(",", found.separator)
    assert.equal("", doubts(found))
  end)

  it("can be given, and then nothing is doubted", function()
    local found = detect("a,b;c\n1,2;3\n", { separator = ";" })
    assert.equal(";", found.separator)
    assert.equal("", doubts(found))
  end)

  it("is the one that Excel's first line announces, which is no part of the table", function()
    for _, first in ipairs { "sep=;\r\n", "SEP=;\n", '"sep=;"\n', "sep=;\r" } do
      local rows, found = rows_of(first .. "lipid;a\nx,y;1\n")
      assert.equal(";", found.separator)
      assert.equal(1, found.skip_lines)
      assert.same({ "lipid", "a" }, rows[1])
      assert.same({ "x,y", "1" }, rows[2])
    end
  end)

  it("is found behind a header that is longer than the first look", function()
    local names, cells = {}, {}
    for i = 1, 6000 do
      names[i], cells[i] = "sample_" .. i, "1"
    end
    local text = "lipid\t" .. table.concat(names, "\t") .. "\n" .. ("a,b\t" .. table.concat(cells, "\t") .. "\n"):rep(3)
    local found = detect(text)
    assert.equal("\t", found.separator)
    assert.equal("", doubts(found))
  end)

  it("is found although the first look ends in a quoted cell with line ends", function()
    local cell = '"' .. ("line, of text\n"):rep(200) .. '"'
    local text = "name;note;a\n" .. ("x;" .. cell .. ";1\n"):rep(40)
    local found = detect(text)
    assert.equal(";", found.separator)
    assert.equal("", doubts(found))
  end)

  it("has words and characters that mean it", function()
    for word, character in pairs { tab = "\t", comma = ",", semicolon = ";", bar = "|", space = " " } do
      assert.equal(character, dialect.SEPARATOR_WORDS[word])
      assert.equal(word, dialect.separator_name(character))
    end
    assert.equal("'~'", dialect.separator_name "~")
  end)
end)

describe("lines before the header", function()
  it("are skipped when they begin with # and are no row of the table", function()
    local rows, found = rows_of("# made by a tool, v1\n#second\nlipid,a\nx,1\n")
    assert.equal(2, found.skip_lines)
    assert.same({ "lipid", "a" }, rows[1])
  end)

  it("are the header when they are as wide as the table", function()
    local rows, found = rows_of("# made by a tool\n#Name\ta\tb\nx\t1\t2\ny\t3\t4\n")
    assert.equal(1, found.skip_lines)
    assert.same({ "#Name", "a", "b" }, rows[1])
    rows, found = rows_of("#Name\ta\nx\t1\n")
    assert.equal(0, found.skip_lines)
    assert.same({ "#Name", "a" }, rows[1])
  end)

  it("are those after Excel's line too", function()
    local rows = rows_of("sep=;\n# a comment\nlipid;a\nx;1\n")
    assert.same({ "lipid", "a" }, rows[1])
  end)

  it("may be all there is", function()
    assert.equal(0, #detect("# nothing").doubts)
    assert.equal(2, detect("# nothing\n# at all\n").skip_lines)
  end)

  it("can be given as a number, or as a mark of comments anywhere", function()
    local rows = rows_of("title, of the table\n\nlipid;a\nx;1\n", { skip_lines = 2 })
    assert.same({ "lipid", "a" }, rows[1])
    local found
    rows, found = rows_of("% one, two\nlipid;a\n% three\nx;1\n", { comment = "%" })
    assert.same({ "lipid", "a" }, rows[1])
    assert.same({ "x", "1" }, rows[2])
    assert.equal(0, found.skip_lines)
    assert.equal("", doubts(found))
  end)

  it("leave a # in the rows alone", function()
    local rows = rows_of("lipid,a\n#1,1\n")
    assert.same({ "#1", "1" }, rows[2])
  end)
end)

describe("lines of text before the table", function()
  local ROWS = "lipid,S1,S2\nPC 34:1,1,2\nPE 36:2,3,4\nTG 50:1,5,6\nSM 34:1,7,8\n"

  it("are skipped, with a doubt that says where the header is", function()
    local found = detect("Plasma panel\nexported 2026-01-02\n\n" .. ROWS)
    assert.equal(3, found.skip_lines)
    assert.equal(",", found.separator)
    assert.equal("Plasma panel\nexported 2026-01-02\n\n", found.preamble)
    assert.matches("lines 1 to 3 were taken for no part of the table, whose header is on line 4 %(%-%-skip%-lines 0%)",
      doubts(found))
  end)

  it("may be of another width than the table, but much narrower", function()
    assert.equal(1, detect("Study:\tX\n" .. "lipid\ta\tb\tc\n" .. ("PC\t1\t2\t3\n"):rep(5)).skip_lines)
    assert.equal(0, detect("lipid,S1\n" .. ("PC 34:1,1,2,3\n"):rep(6)).skip_lines)
    assert.equal(0, detect("a,b,c,d,e\n" .. ROWS).skip_lines)
  end)

  it("are none when what would be the header is data", function()
    assert.equal(0, detect("lipid\n" .. ("PC 34:1,1,2,3\n"):rep(6)).skip_lines)
  end)

  it("are not looked for when a person said where the table begins", function()
    assert.equal(1, detect("Plasma panel\nexported\n" .. ROWS, { skip_lines = 1 }).skip_lines)
  end)
end)

describe("empty cells at the ends of rows", function()
  it("may have been left out, with a doubt", function()
    local found = detect("id\ta\tb\tc\nx\t1\ny\t1\t2\nz\t1\t2\t3\nw\t1\n")
    assert.equal("pad", found.ragged)
    assert.matches("rows are shorter than the header", doubts(found))
    assert.same({ { "id", "a", "b", "c" }, { "x", "1", "", "" }, { "y", "1", "2", "" }, { "z", "1", "2", "3" },
      { "w", "1", "", "" } }, rows_of("id\ta\tb\tc\nx\t1\ny\t1\t2\nz\t1\t2\t3\nw\t1\n"))
  end)

  it("were not where one line ends in a separator, a row is too long, or only one is short", function()
    assert.is_nil(detect("id\ta\tb\tc\nx\t1\t\t\ny\t1\t2\nz\t1\t2\nw\t1\n").ragged)
    assert.is_nil(detect("id\ta\tb\tc\nx\t1\ny\t1\nz\t1\t2\t3\t4\nw\t1\n").ragged)
    assert.is_nil(detect("id\ta\tb\tc\nx\t1\t2\t3\ny\t1\t2\nz\t1\t2\t3\nw\t1\t2\t3\n").ragged)
    assert.is_nil(detect("id,a,b,c\nx,1\ny,1,2\nz,1,2,3\nw,1\n").ragged)
  end)
end)

describe("the decimal mark", function()
  for _, case in ipairs {
    { ".", "x;a\nA;1.5\n" },
    { ",", "x;a\nA;1,5\n" },
    { ",", "x\ta\nA\t-0,125\nB\t1,000\n", "1,000 may be either, -0,125 not" },
    { ",", 'x,a\nA,"1,5"\nB,"2,25"\n', "quoted between commas" },
    { ",", 'x;a\nA;"1,5"\n', "quoted" },
    { ",", "x;a\nA;1,5e-10\n", "an exponent" },
    { ",", "x;a\nA;1.234,56\nB;12\n", "thousands with a point" },
    { ".", 'x,a\nA,"1,234.56"\nB,12\n', "thousands with a comma" },
    { ".", "x;a\nA;1,234,567\n", "many thousands" },
    { ".", "x,a\nA,1\nB,5\n", "commas between the cells" },
    { ".", "x,a\nA(1,2)B,1.5\n", "commas in names" },
    { ".", "lipid\ta\nPC(16:0,18:1)\t15\n", "commas in names only" },
    { ".", "x\ta\n9,10-DHA\t3\n", "locants" },
  } do
    local what = case[3] or "numbers like " .. case[2]:sub(7, -2)
    it(("is a %s with %s"):format(case[1] == "." and "point" or "comma", what), function()
      assert.equal(case[1], detect(case[2]).decimal)
    end)
  end

  it("is doubted when commas may part thousands", function()
    local found = detect("x;a\nA;1,234\nB;12,345\n")
    assert.equal(".", found.decimal)
    assert.matches('cannot be told from "1,234" in the column "a", line 2; .*%-%-decimal , if .*%-%-decimal %. if',
      doubts(found))
    assert.equal(doubts(found), found.decimal_doubt)
    found = detect('"a b","c"\n"x","1,234"\n"y","2,345"\n')
    assert.matches('"1,234" in the column "c", line 2', doubts(found))
    found = detect("a;b\nx;2;1,234\ny;3;2,345\n") -- row names as R writes them
    assert.matches('"1,234" in the column "b", line 2', doubts(found))
    found = detect("x;1;1,234\ny;2;2,345\n", { header = false, separator = ";" })
    assert.matches('"2,345" in column 3, line 2', doubts(found))
  end)

  it("is doubted when both are in use", function()
    local found = detect("x;a;b\nA;1,5;1.5\n")
    assert.equal(".", found.decimal)
    assert.matches('a decimal comma %("1,5" in the column "a", line 2%) and some a point', doubts(found))
    assert.matches('a point %("1.5" in the column "b", line 2%)', doubts(found))
    found = detect("x;a;b\nA;1,5;1.234\n")
    assert.equal(",", found.decimal)
    assert.matches('like "1.234" in the column "b", line 2 are kept as text: say %-%-decimal %. if', doubts(found))
  end)

  it("is doubted where semicolons part the cells and points may part thousands", function()
    local found = detect("x;a;b\nA;1.234;2\nB;3.456;5\n")
    assert.equal(".", found.decimal)
    assert.matches('numbers like "1.234" in the column "a", line 2: say %-%-decimal ,', doubts(found))
    for _, telling in ipairs { "0.234", "1.5", "1234.567", "1.2345" } do
      assert.equal("", doubts(detect("x;a;b\nA;1.234;2\nB;" .. telling .. ";5\n")))
    end
    assert.equal("", doubts(detect "x\ta\tb\nA\t1.234\t2\n"))
  end)

  it("can be given, and then nothing is doubted", function()
    local found = detect("x;a\nA;1,234\n", { decimal = "," })
    assert.equal(",", found.decimal)
    assert.equal("", doubts(found))
  end)
end)

describe("detection", function()
  it("sees byte order marks, UTF-16 and gzip", function()
    local found = detect("\xEF\xBB\xBF\"lipid\",a\nx,1\n")
    assert.equal("UTF-8", found.encoding)
    assert.is_true(found.byte_order_mark)
    local rows = rows_of("\xEF\xBB\xBF\"lipid\",a\nx,1\n")
    assert.same({ "lipid", "a" }, rows[1])
    local utf16 = ("lipid;a\nx;1,5\n"):gsub(".", "%0\0")
    found = detect("\xFF\xFE" .. utf16)
    assert.equal("UTF-16LE", found.encoding)
    assert.equal(";", found.separator)
    assert.equal(",", found.decimal)
    local packed = support.python([[
import gzip, sys
sys.stdout.buffer.write(gzip.compress(b"lipid\ta\nx\t1\n"))]])
    found = detect(packed)
    assert.is_true(found.gzip)
    assert.equal("\t", found.separator)
  end)

  it("leaves it to the reader to refuse what is no table", function()
    for _, text in ipairs { "", "\n", "a", '"', '"a', 'a"b"c,1\n', '{"a": 1,\n "b": 2}\n', "a,b\n1,2,3\n",
      "\xFF\xC0,x\n", "a\0b,c\n", ",,,\n,,,\n", "#", "sep=", "sep=;" } do
      local done, failure = pcall(detect, text)
      assert.is_true(done, tostring(failure))
    end
  end)

  it("takes a quote mark that is given, or none", function()
    local rows = rows_of("lipid,a\n'x,y',1\n", { quote = "'" })
    assert.same({ "x,y", "1" }, rows[2])
    rows = rows_of('lipid\ta\n5"-x\t1\n', { quote = false })
    assert.same({ '5"-x', "1" }, rows[2])
  end)

  it("refuses what cannot be opened or is not text, by its name", function()
    local done, failure = pcall(dialect.detect, "/nowhere/x.csv")
    assert.is_false(done)
    assert.is_true(errors.is(failure, "input"), tostring(failure))
    assert.equal("/nowhere/x.csv", failure.file)
  end)

  it("passes on what is to be read", function()
    local found = detect("lipid;a\nx;-9\n", { missing = { "-9" } })
    local options = dialect.reader_options(found)
    assert.same({ separator = ";", quote = '"', encoding = "UTF-8", decimal = ".", skip_lines = 0,
      missing = { "-9" } }, options)
  end)

  it("understands every real file, or leaves a clear refusal to the reader", function()
    support.need_shared "lipidomics"
    local looked = 0
    for _, folder in ipairs { "lipidomics", "metabolomics", "names", "nasty", "proteomics", "signatures",
      "transcriptomics" } do
      for _, name in ipairs(sys.list(host.home .. "/../shared/data/" .. folder)) do
        local path = support.shared(folder .. "/" .. name)
        local done, found = pcall(dialect.detect, path)
        if done then
          local read, failure = pcall(function()
            local reader <close> = csv.frames(path, dialect.reader_options(found))
            reader:next()
          end)
          assert.is_true(read or errors.is(failure, "input"), name .. ": " .. tostring(failure))
          assert.is_true(read or failure.line ~= nil or failure.code == "empty", name .. ": " .. tostring(failure))
        else
          assert.is_true(errors.is(found, "input"), name .. ": " .. tostring(found))
          assert.equal(path, found.file)
        end
        looked = looked + 1
      end
    end
    assert.is_true(looked > 200)
  end)

  for name, separator in pairs {
    ["lipidomics/lipidr__brca_matrix.csv"] = ",",
    ["transcriptomics/generated__deseq2_Li2008_LNCaP_treated_vs_control.csv"] = ",",
    ["transcriptomics/generated__edgeR_Li2008_topTags.tsv"] = "\t",
    ["transcriptomics/generated__limma_voom_Li2008_topTable.txt"] = "\t",
    ["transcriptomics/rgsepd__IlluminaBodymap.csv"] = ";",
    ["transcriptomics/goseq__Li_sum.txt"] = "\t",
    ["transcriptomics/progeny__mouse_input.csv"] = ",",
    ["metabolomics/fbmn_stats__FeatureMatrix.csv"] = ",",
    ["proteomics/alphapeptstats__report_final.pg_matrix.tsv"] = "\t",
    ["nasty/messytables__utf-16le_encoded.csv"] = ",",
  } do
    it("finds the separator of " .. name, function()
      local found = dialect.detect(support.need_shared(name))
      assert.equal(separator, found.separator)
      assert.equal(".", found.decimal)
    end)
  end

  it("takes a small part of a millisecond #slow", function()
    local lines = { "lipid,a,b,c,d,e,f" }
    for i = 1, 500 do
      lines[#lines + 1] = ("PC %d:%d,1.5,2.25,3.125,4.5,5.5,6.5"):format(i // 10, i % 10)
    end
    local path = support.tmpfile(table.concat(lines, "\n") .. "\n")
    local best = math.huge
    for _ = 1, 20 do
      local started = sys.monotonic()
      for _ = 1, 20 do
        dialect.detect(path)
      end
      best = math.min(best, (sys.monotonic() - started) / 20)
    end
    assert.is_true(best < 0.0008, ("%.3f ms"):format(best * 1000))
  end)
end)
