--- ligase name: lines in, lines out.
local aliases = require "ligase.store.aliases"
local support = require "tests.support"

local function run(words)
  words.database = words.database or "postgresql:///nowhere?host=/nowhere"
  return support.ligase(words)
end

local function output(words)
  local result = run(words)
  assert.equal(0, result.code, result.stderr)
  assert.equal("", result.stderr)
  return result.stdout
end

--- The cells of each line.
local function cells(text)
  local rows = {}
  for line in text:gmatch("([^\n]*)\n") do
    local row = {}
    for cell in (line .. "\t"):gmatch("([^\t]*)\t") do
      row[#row + 1] = cell
    end
    rows[#rows + 1] = row
  end
  return rows
end

describe("ligase name", function()
  it("prints one line for each line, without a database", function()
    local rows = cells(output { "name", "gene", stdin = "TP53\nENSG00000141510.18\n1-Mar\n" })
    assert.same({
      { "TP53", "TP53", "symbol", "symbol", "", "", "gene.symbol", "" },
      { "ENSG00000141510.18", "ENSG00000141510", "gene", "Ensembl", "", '{"version":"18"}', "gene.ensembl", "" },
      { "1-Mar", "-", "", "", "", "", "verbatim",
        "a date, as spreadsheets make them of names such as MARCH1 or SEPT2: MARCH1, MARC1" },
    }, rows)
  end)

  it("keeps empty lines, and takes CRLF, a byte order mark and a last line without its end", function()
    local rows = cells(output { "name", "protein", stdin = "\u{FEFF}P04637\r\n\r\n \nP04637\n\nIL-6" })
    local raws, names = {}, {}
    for i, row in ipairs(rows) do
      raws[i], names[i] = row[1], row[2]
    end
    assert.same({ "P04637", "", " ", "P04637", "", "IL-6" }, raws)
    assert.same({ "P04637", "-", "-", "P04637", "-", "IL-6" }, names)
    assert.equal("blank", rows[2][8])
    assert.equal(2, #cells(output { "name", "gene", stdin = "A1\rB2\r" }))
    assert.equal("", output { "name", "gene", stdin = "" })
  end)

  it("prints whole lines of UTF-8, whatever stands in them", function()
    local printed = output { "name", "metabolite", stdin = "a\tb\nglu\xFFcose\nx\\y\n\u{3B1}-ol\n\0\n" }
    assert.truthy(utf8.len(printed))
    local rows = cells(printed)
    assert.same({ "a\\tb", "glu\\xFFcose", "x\\\\y", "\u{3B1}-ol", "\\x00" },
      { rows[1][1], rows[2][1], rows[3][1], rows[4][1], rows[5][1] })
    for _, row in ipairs(rows) do
      assert.equal(8, #row)
    end
    assert.equal("its bytes are not UTF-8", rows[2][8])
    assert.equal("alpha-ol", rows[4][2])
  end)

  it("reads a file, and names the columns when asked", function()
    local path = support.tmpfile("L-Alanine (neg)\n", "names.txt")
    local rows = cells(output { "name", "metabolite", path, "--header" })
    assert.same({ "raw", "name", "level", "class", "formula", "aside", "rule", "reason" }, rows[1])
    assert.same({ "L-Alanine (neg)", "L-alanine", "stereoisomer", "name", "", '{"mode":"negative"}', "metabolite.name",
      "" }, rows[2])
  end)

  it("reads lipids", function()
    local row = cells(output { "name", "lipid", stdin = "PC(16:0_18:1)\nfoo\n" })
    assert.equal("PC 16:0_18:1", row[1][2])
    assert.equal("molecular species", row[1][3])
    assert.equal("-", row[2][2])
    assert.is_true(row[2][8] ~= "")
  end)

  it("refuses what is no text, with the remedy", function()
    for _, case in ipairs { { "\x1F\x8B\8\0", "gzip" }, { "\xFF\xFET\0", "UTF%-16" }, { "PK\3\4zip", "zip" } } do
      local result = run { "name", "gene", support.tmpfile(case[1], "x.bin") }
      assert.equal(1, result.code)
      assert.matches(case[2], result.stderr)
    end
    assert.matches("cannot open the file", run({ "name", "gene", "/no/such" }).stderr)
    assert.equal(2, run({ "name", "genes" }).code)
    assert.matches("Did you mean 'gene'", run({ "name", "genes" }).stderr)
    assert.matches("ligase name lipid", run({ "name", "--help" }).stdout)
  end)

  it("looks names up when it is asked to", function()
    local conn, url = support.migrated()
    aliases.load(conn, { source = "hgnc", feature_type = "gene", format = "hgnc", arguments = {},
      files = { { path = "x", sha256 = "1", bytes = 1 } } }, function(emit)
      emit("TP53", "p53", "p53", "alias")
      emit("NAT1", "AAC1", "AAC1", "alias")
      emit("SLC25A4", "AAC1", "AAC1", "previous")
    end)
    local rows = cells(output { "name", "gene", "--aliases", database = url, stdin = "p53\nAAC1\nXYZ\np53\n" })
    assert.same({ "p53", "TP53", "symbol", "symbol", "", '{"alias":"p53"}', "alias.hgnc", "" }, rows[1])
    assert.same({ "AAC1", "-", "", "", "", "", "verbatim", "it may mean any of 2 names: NAT1, SLC25A4" }, rows[2])
    assert.equal("XYZ", rows[3][2])
    assert.same(rows[1], rows[4])
    assert.equal("TP53", cells(output { "name", "gene", "--source", "hgnc", database = url, stdin = "p53\n" })[1][2])
    assert.equal(2, run({ "name", "gene", "--source", "hgnd", database = url, stdin = "p53\n" }).code)
    assert.equal(2, run({ "name", "protein", "--aliases", database = url, stdin = "p53\n" }).code)
  end)

  it("reads a million lines within a minute #slow", function()
    local lines = {}
    for i = 1, 100000 do
      lines[i] = ("ENSG%011d.%d"):format(i * 7 % 100003, i % 20)
    end
    local path = support.tmpfile(table.concat(lines, "\n") .. "\n", "names.txt")
    local sys = require "sys"
    local began = sys.monotonic()
    local _, count = output({ "name", "gene", path }):gsub("\n", "")
    assert.equal(100000, count)
    assert.is_true(sys.monotonic() - began < 6 * 3) -- three times over, on a machine that does other things too
  end)
end)
