--- The two ways through the reader against each other, and against Python.
local reading = require "tests.host.csv_reading"
local support = require "tests.support"
local sys = require "sys"

--- Like assert.same, which takes its time for large tables.
local function assert_same(expected, found, what)
  if reading.print(expected) ~= reading.print(found) then
    assert.same(expected, found, what)
    error("printed differently, yet the same: " .. what)
  end
end

local function assert_engines_agree(source, options, what)
  local fast = reading.outcome(source, options)
  local slow = reading.outcome(source, reading.with(options, { engine = "libcsv" }))
  assert_same(slow, fast, what)
  return fast
end

--- Python's readings of files {path, separator, encoding}: a list of rows each, false
--- for a file that it refuses.
local function python_readings(files)
  local json = require "cjson"
  return json.decode(support.python([[
import csv, json, sys
csv.field_size_limit(1 << 30)
def read(path, separator, encoding):
    try:
        with open(path, newline="", encoding=encoding) as file:
            return [row for row in csv.reader(file, delimiter=separator, strict=True) if row]
    except (csv.Error, UnicodeError):
        return False
print(json.dumps([read(*file) for file in json.load(sys.stdin)]))
]], {}, json.encode(files)))
end

--- Reads the files that we accept in Python too; returns how many those were.
local function assert_python_agrees(candidates)
  local files, ours = {}, {}
  for _, candidate in ipairs(candidates) do
    local path, separator = candidate[1], candidate[2]
    local outcome = reading.outcome(path, { header = false, separator = separator })
    if not outcome.code then
      local utf16 = outcome.encoding:find("UTF%-16")
      files[#files + 1] = { path, separator, utf16 and "utf-16" or "utf-8-sig" }
      ours[#files] = outcome.rows
    end
  end
  for i, rows in ipairs(python_readings(files)) do
    assert_same(rows, ours[i], files[i][1] .. " at " .. files[i][2])
  end
  return #files
end

local DIALECTS = {
  {}, { separator = ";" }, { separator = "\t" }, { header = false }, { ragged = "pad" }, { quote = false },
  { quote = "'" }, { comment = "#" }, { skip_lines = 3 }, { header = false, ragged = "pad", frame_bytes = 1 },
  { frame_bytes = 100 }, { field_bytes = 10 }, { column_limit = 4 }, { encoding = "latin1" },
  { encoding = "latin1", ragged = "pad", separator = ";", decimal = "," },
}

--- Texts from a few pieces that make trouble together.
local function generated(random)
  local pieces = { "a", "1.5", '"', '""', ",", ",", "\n", "\n", "\r\n", "\r", "#", ";", " ", "é", "\t", "'", '"x"',
    '",' }
  if random(20) == 1 then
    pieces[#pieces + 1] = "\0"
    pieces[#pieces + 1] = "\xFF"
  end
  local parts = {}
  for i = 1, random(0, 40) do
    parts[i] = pieces[random(#pieces)]
  end
  return table.concat(parts)
end

--- A proper table: every row as wide as the header, quoted where it must be or may be.
local function table_text(random)
  local ends = ({ "\n", "\r\n", "\r" })[random(3)]
  local width, lines = random(1, 6), {}
  for row = 1, random(1, 12) do
    local cells = {}
    for i = 1, width do
      local parts = {}
      for k = 1, random(0, 4) do
        parts[k] = ({ "x", "1", "é", ",", '"', "\n", "\r\n", " " })[random(8)]
      end
      local cell = table.concat(parts)
      if cell:find('[,"\r\n]') or random(4) == 1 or (width == 1 and cell == "") then
        cell = '"' .. cell:gsub('"', '""') .. '"'
      end
      cells[i] = cell
    end
    lines[row] = table.concat(cells, ",")
  end
  return table.concat(lines, ends) .. (random(2) == 1 and ends or "")
end

local function random_from(seed)
  local state = seed
  return function(low, high)
    state = (state * 6364136223846793005 + 1442695040888963407)
    local drawn = (state >> 33)
    if not high then
      low, high = 1, low
    end
    return low + drawn % (high - low + 1)
  end
end

describe("the fast path and libcsv", function()
  it("agree on whatever is thrown at them", function()
    local random = random_from(11)
    local accepted, refused = 0, 0
    for i = 1, 12000 do
      local text = generated(random)
      local outcome = assert_engines_agree({ text = text }, DIALECTS[random(#DIALECTS)], ("%d: %q"):format(i, text))
      if outcome.code then
        refused = refused + 1
      else
        accepted = accepted + 1
      end
    end
    assert.truthy(accepted > 1000 and refused > 1000, accepted .. " accepted, " .. refused .. " refused")
  end)

  it("agree on all files that are known to be nasty", function()
    local folder = support.need_shared("nasty")
    local files = 0
    for _, name in ipairs(sys.list(folder)) do
      for i, options in ipairs(DIALECTS) do
        assert_engines_agree(folder .. "/" .. name, options, name .. ", dialect " .. i)
      end
      files = files + 1
    end
    assert.truthy(files > 100)
  end)
end)

describe("Python reads the same", function()
  it("from proper tables", function()
    local random = random_from(5)
    local texts, expected = {}, {}
    for i = 1, 400 do
      texts[i] = table_text(random)
      expected[i] = reading.text(texts[i], { header = false }).rows
    end
    local json = require "cjson"
    local read = json.decode(support.python([[
import csv, io, json, sys
texts = sys.stdin.buffer.read().decode("utf-8").split("\x1e")
print(json.dumps([[row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row] for text in texts]))
]], {}, table.concat(texts, "\x1e")))
    assert.equal(#texts, #read)
    for i, rows in ipairs(read) do
      assert.same(rows, expected[i], ("%q"):format(texts[i]))
    end
  end)

  it("from nasty files, whenever we accept one", function()
    local folder = support.need_shared("nasty")
    local candidates = {}
    for _, name in ipairs(sys.list(folder)) do
      for _, separator in ipairs { ",", ";", "\t" } do
        candidates[#candidates + 1] = { folder .. "/" .. name, separator }
      end
    end
    assert.truthy(assert_python_agrees(candidates) > 100)
  end)

  it("from real tables of lipids", function()
    local folder = support.need_shared("lipidomics")
    local candidates = {}
    for _, name in ipairs(sys.list(folder)) do
      local separator = name:find("%.tsv$") and "\t" or name:find("%.csv$") and ","
      candidates[#candidates + 1] = separator and { folder .. "/" .. name, separator }
    end
    assert.truthy(assert_python_agrees(candidates) > 5)
  end)
end)

describe("the expected readings of csv-spectrum", function()
  it("are ours", function()
    local json = require "cjson"
    local folder = support.need_shared("nasty")
    local compared = 0
    for _, name in ipairs(sys.list(folder)) do
      local stem = name:match("^(csvspectrum__.*)%.expected%.json$")
      if stem then
        local result, objects = reading.read(folder .. "/" .. stem .. ".csv"), {}
        for i, row in ipairs(result.rows) do
          objects[i] = {}
          for k, cell in ipairs(row) do
            objects[i][result.names[k]] = cell
          end
        end
        assert.same(json.decode(sys.read_file(folder .. "/" .. name)), objects, stem)
        compared = compared + 1
      end
    end
    assert.truthy(compared > 5)
  end)
end)
