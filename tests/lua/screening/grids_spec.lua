--- Plates as readers print them, from text.
local grids = require "ligase.screening.grids"

--- A block: column numbers, and rows with or without letters; the value in row r, column c is
--- r + c / 100.
local function block(rows, columns, options)
  options = options or {}
  local separator, lines = options.separator or ",", {}
  local cells = { options.corner or "" }
  for column = 1, columns do
    cells[#cells + 1] = tostring(column)
  end
  lines[1] = table.concat(cells, separator)
  for row = options.first or 1, rows do
    cells = { options.plain and "" or row <= 26 and string.char(64 + row) or "A" .. string.char(64 + row - 26) }
    for column = 1, columns do
      cells[#cells + 1] = ("%d%s%02d"):format(row, options.decimal or ".", column)
    end
    cells[#cells + 1] = options.beside
    lines[#lines + 1] = table.concat(cells, separator)
  end
  return table.concat(lines, options.line_end or "\n") .. (options.line_end or "\n")
end

local function refused(pattern, content)
  local done, failure = pcall(grids.read, content, "reader.csv")
  assert.is_false(done)
  assert.matches(pattern, tostring(failure))
end

describe("a printed plate", function()
  it("of any usual size is read well by well", function()
    for _, size in ipairs { { 4, 6, "D06" }, { 8, 12, "H12" }, { 16, 24, "P24" }, { 32, 48, "AF48" } } do
      local found, separator, others = grids.read(block(size[1], size[2]), "reader.csv")
      assert.same({ 1, ",", 0 }, { #found, separator, #others })
      assert.same({ size[1], size[2], size[1] * size[2] }, { found[1].rows, found[1].columns, #found[1].cells })
      assert.same({ well = "A01", text = "1.01", line = 2 }, found[1].cells[1])
      assert.same({ well = size[3], text = ("%d.%02d"):format(size[1], size[2]), line = size[1] + 1 },
        found[1].cells[#found[1].cells])
    end
  end)

  it("has what the reader says around it told apart", function()
    local content = "\u{FEFF}Reader 7\r\nPlate:\tP1\t1.3\tEndpoint\r\n"
      .. block(8, 12, { separator = "\t", corner = "<>", line_end = "\r\n" })
      .. "~End\r\n\r\nPlate 2\r\nnoise\r\n" .. block(8, 12, { separator = "\t", line_end = "\r\n", beside = "450" })
    local found, separator, others = grids.read(content, "reader.txt")
    assert.same({ 2, "\t", "P1", "Plate 2" }, { #found, separator, found[1].plate, found[2].plate })
    assert.same({ "Reader 7", "Plate:\tP1\t1.3\tEndpoint", "~End", "Plate 2", "noise" }, others)
    assert.same({ 8, "450 (line 17)" }, { #found[2].beside, found[2].beside[1] })
    assert.equal("12.00", grids.read(content:gsub("8.12", "12.00"), "x")[2].cells[96].text)
  end)

  it("may bear no letters, hold part of the rows, or blank wells", function()
    local found = grids.read((block(8, 12, { plain = true })), "x")
    assert.equal("H12", found[1].cells[96].well)
    found = grids.read(block(5, 12, { first = 3 }), "x")
    assert.same({ 3, "C01", "E12" }, { found[1].rows, found[1].cells[1].well, found[1].cells[36].well })
    found = grids.read((block(8, 12):gsub("2%.05", ""):gsub("2%.06", "OVER")), "x")
    assert.equal(95, #found[1].cells)
    assert.equal("OVER", found[1].cells[17].text)
    found = grids.read((block(8, 12):gsub("^,", "")), "x") -- nothing stands over the letters
    assert.same({ "A01", "1.01", "H12" }, { found[1].cells[1].well, found[1].cells[1].text, found[1].cells[96].well })
  end)

  it("is not guessed", function()
    refused("reader.csv:3: the rows of the plate are not one line each",
      (block(8, 12):gsub("\nB,", "\n,9.01,9.02,9.03,9.04,9.05,9.06,9.07,9.08,9.09,9.10,9.11,9.12\nB,")))
    refused("reader.csv:4: the rows of the plate are not one line each", (block(8, 12):gsub("\nC,", "\nB,")))
    refused("bear no letters, and are 7 instead of 8", (block(7, 12, { plain = true })))
    refused("reader.csv:1: there are numbers of columns and no rows", ",1,2,3,4,5,6,7,8,9,10,11,12\n")
    refused("has no row I", block(8, 12) .. "I,1,2,3\n")
  end)

  it("is none where a table is", function()
    for _, content in ipairs { "well,value\nA1,5\n", "1,2,3\n4,5,6\n", "", "x,1,2,3,4,5,6,7,8,9,10\nA,1\n" } do
      assert.is_nil(grids.look(content))
    end
    assert.equal(";", grids.look(block(8, 12, { separator = ";", decimal = "," })))
    assert.is_nil(grids.look(block(8, 12), ";"))
  end)

  it("tells its decimal mark, and refuses two", function()
    local found = grids.read(block(8, 12, { separator = ";", decimal = "," }), "x")
    assert.equal(",", grids.decimal(found, "x"))
    assert.equal(".", grids.decimal(grids.read(block(8, 12), "x"), "x"))
    found[1].cells[5].text = "1.5"
    local done, failure = pcall(grids.decimal, found, "reader.csv")
    assert.is_false(done)
    assert.matches("reader.csv:2: '1,01' has a decimal comma and '1.5' a decimal point", tostring(failure), 1, true)
  end)
end)
