--- Nothing of a table is lost: generated tables with odd cells go through ingest and
--- export, and what comes back is compared cell by cell with what went in.
local csv = require "csv"
local csv_writer = require "ligase.io.csv_writer"
local datasets = require "ligase.store.datasets"
local ingesting = require "tests.lua.store.ingesting"
local support = require "tests.support"

local TABLES, ROWS = 40, 24

--- Cells that a careless reader changes.
local ODD = {
  "00123", "007", "-01", "00.5", "2310009E13", "5E3", "12E3", "<LOD", "n.d.", "1e400", "-1e400", "12345678901234567890",
  "9007199254740993", "Inf", "-inf", "infinity", "+5", " 1.5 ", "1.50", "-0", "0.0", "-0.0", "1.", ".5", "6.7%",
  "1e-400", "4.9e-324", "1e22", "1E+05", "0.1", "1e15", "100000000000000000000", "0.30000000000000004", "µg/ml",
  "größe", "数", "=1+2",
  'a"b', "a,b", "x\ny", "TRUE", "1/2", "1-Mar", "2020.10", "NaN", "NA", "", "N/A", "null", " ",
  "1.7976931348623157e308",
}

local function plain_number()
  local kinds = { "%.0f", "%.2f", "%.6g", "%.17g", "%e" }
  return kinds[math.random(#kinds)]:format((math.random() - 0.5) * 10.0 ^ math.random(-6, 12))
end

--- A column's cells: mostly numbers, or mostly odd, or all codes, or short decimals.
local COLUMNS = {
  function() return math.random() < 0.8 and plain_number() or ODD[math.random(#ODD)] end,
  function() return math.random() < 0.6 and plain_number() or math.random() < 0.5 and "NA" or "" end,
  function() return ODD[math.random(#ODD)] end,
  function() return ("%05d"):format(math.random(0, 99999)) end,
  function() return ("%.2f"):format(math.random(0, 200) / 100) end,
  function() return tostring(math.random(0, 300)) end,
}

local HEADERS = { "Start", "No", "m/z", "patient ID", "Version", "B", "padj", "log2FC", "", "Größe", "batch" }

local function generated()
  local names, rows, set = { "lipid" }, {}, {}
  local makers = {}
  for i = 1, math.random(3, 9) do
    names[i + 1] = math.random() < 0.3 and HEADERS[math.random(#HEADERS)] or "S" .. i
    makers[i] = COLUMNS[math.random(#COLUMNS)]
    for other = 1, i do
      names[i + 1] = names[other] == names[i + 1] and "S" .. i or names[i + 1]
    end
    if math.random() < 0.2 and names[i + 1] ~= "" then
      set[names[i + 1]] = math.random() < 0.5 and "annotation" or "sample"
    end
  end
  names[#names + 1], makers[#makers + 1] = "plain", plain_number
  for row = 1, ROWS do
    rows[row] = { ("Ä %d"):format(row) }
    for i, make in ipairs(makers) do
      rows[row][i + 1] = make()
    end
  end
  return names, rows, set
end

local function csv_of(names, rows)
  local parts = {}
  local writer = csv_writer.new({ write = function(_, ...)
    for _, part in ipairs { ... } do
      parts[#parts + 1] = part
    end
    return true
  end }, "csv")
  writer:row(names)
  for _, cells in ipairs(rows) do
    writer:row(cells)
  end
  return table.concat(parts)
end

--- The bits of a cell that is a number, by Lua's own reading; nil for every other.
local function bits(cell)
  local digits = cell:match("^[ \t]*([-+]?%d*%.?%d*[eE]?[-+]?%d*)[ \t]*$")
  local value = digits and tonumber((digits:gsub("^%+", "")))
  if math.type(value) == "integer" or digits and not digits:find("[.eE]") then
    value = tonumber((digits:gsub("^%+", "")) .. ".0")
  end
  return value and math.abs(value) ~= math.huge and string.pack("<d", value) or nil
end

local function assert_same_cells(columns, expected, found, text)
  for i, column in ipairs(columns) do
    local is_number = (column.role == "sample" or column.role == "statistic") and bits(expected[i])
    if is_number and bits(found[i]) ~= is_number or not is_number and found[i] ~= expected[i] then
      assert.equal(expected[i], found[i], ("%s of\n%s"):format(column.name, text))
    end
  end
end

describe("a table with odd cells", function()
  local conn, conninfo

  setup(function()
    ingesting.open()
    math.randomseed(20240608)
  end)

  before_each(function()
    conn, conninfo = ingesting.fresh()
  end)

  it("comes back from the database", function()
    for n = 1, TABLES do
      local names, rows, set = generated()
      local text = csv_of(names, rows)
      ingesting.ingest(conn, { text = text, name = "t" .. n, set = set })
      local dataset = datasets.find(conn, "t" .. n)
      local revision = datasets.revision(conn, dataset)
      local at = 0
      for cells in datasets.source_rows(conn, dataset, revision) do
        at = at + 1
        assert_same_cells(revision.columns, rows[at], cells, text)
      end
      assert.equal(ROWS, at)
    end
  end)

  it("comes back from ligase export", function()
    local names, rows, set = generated()
    local text = csv_of(names, rows)
    ingesting.ingest(conn, { text = text, name = "t", set = set })
    local exported = support.ligase { "export", "t", database = conninfo }
    assert.equal(0, exported.code, exported.stderr)
    local columns = datasets.revision(conn, datasets.find(conn, "t")).columns
    local frame <close> = csv.frames({ text = exported.stdout }, { separator = "," }):next()
    assert.same(names, frame:names())
    assert.equal(ROWS, #frame)
    for row = 1, ROWS do
      assert_same_cells(columns, rows[row], frame:row(row), text)
    end
  end)

  it("is one where plates and wells are no numbers", function()
    local text = "lipid,plate,well,S1\nA,00123,2310009E13,1.5\nB,00007,5,2\nC,00123,17,3\n"
    ingesting.ingest(conn, { text = text, name = "wells" })
    assert.equal(text, support.ligase({ "export", "wells", database = conninfo }).stdout)
  end)
end)
