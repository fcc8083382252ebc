--- Drawings in the terminal and in files.
local chart = require "ligase.words.chart"
local drawing = require "ligase.words.drawing"
local errors = require "ligase.base.errors"
local frame = require "frame"
local host = require "host"
local rows = require "ligase.words.rows"
local series = require "ligase.words.series"
local support = require "tests.support"
local sys = require "sys"
local text = require "ligase.base.text"

local function failure_of(fn, ...)
  local done, failure = pcall(fn, ...)
  assert.is_false(done)
  assert.is_true(errors.is(failure), tostring(failure))
  return failure
end

local function widest(s)
  local most = 0
  for line in s:gmatch "[^\n]+" do
    most = math.max(most, text.width(line))
  end
  return most
end

describe("points", function()
  it("stand where they belong", function()
    assert.equal([[
y over x, 3 points
2 │                ⠈
  │        ⠐
0 │⡀
  └─────────────────
   0               2
]], chart.points({ 0, 1, 2 }, { 0, 1, 2 }, { width = 20, height = 3 }))
  end)

  it("leave out what is missing or has no place", function()
    assert.equal("(no points)\n", chart.points({ false, 1 }, { 1, false }, {}))
    assert.matches("1 point\n", chart.points({ 1, math.huge, false }, { 1, 1, 1 }, { width = 20 }), 1, true)
  end)

  it("never are wider than asked", function()
    for _, width in ipairs { 20, 33, 80 } do
      assert.is_true(widest(chart.points({ -1e-300, 1e300, 5 }, { 1e9, -123456, 0.5 }, { width = width,
        x = ("x"):rep(90), y = "y" })) <= width)
    end
  end)
end)

describe("bars", function()
  it("count", function()
    assert.equal("6 numbers from 0 to 4\n0 │████████████████ 2\n1 │████████ 1\n2 │ 0\n"
      .. "3 │████████████████████████ 3\n",
      chart.histogram({ 0, 0.5, 1.5, 3, 3.5, 4, false }, { width = 29, bins = 4 }))
    local bins, n = chart.bins({ 0, 0.5, 1.5, 3, 3.5, 4, false, math.huge }, 4)
    assert.equal(6, n)
    assert.same({ 2, 1, 0, 3 }, { bins[1].count, bins[2].count, bins[3].count, bins[4].count })
  end)

  it("of equal numbers, and of none", function()
    assert.matches("\n5 │███████████████ 3\n", chart.histogram({ 5, 5, 5 }, { width = 20 }), 1, true)
    assert.equal("(no numbers)\n", chart.histogram({ false }, {}))
  end)
end)

describe("heat", function()
  it("goes from light to dark", function()
    assert.equal("2 rows, 3 columns\na     ░░░▒▒▒\nbb ▓▓▓███···\n0  ░▒▓█ 4, · missing\n", chart.heat({
      values = { { 0, 1, 2 }, { 3, 4, false } }, rows = { "a", "bb" } }, { width = 20 }))
  end)

  it("shrinks what is large, by the mean", function()
    local values = {}
    for i = 1, 300 do
      values[i] = {}
      for j = 1, 400 do
        values[i][j] = i <= 150 and 0 or 10
      end
    end
    local out = chart.heat({ values = values }, { width = 40, height = 2 })
    assert.equal("300 rows, 400 columns\n" .. (" "):rep(40) .. "\n" .. ("\u{2588}"):rep(40) .. "\n"
      .. "0  \u{2591}\u{2592}\u{2593}\u{2588} 10, \u{B7} missing\n", out)
  end)
end)

describe("on 20 columns", function()
  it("every number is whole", function()
    local many = {}
    for i = 1, 40 do
      many[i] = 1.2345 * i
    end
    assert.equal("40 numbers from\n1.234 to 49.38\n", chart.histogram(many, { width = 20 }):match "^[^\n]+\n[^\n]+\n")
    assert.equal("12,345 numbers of 1\n", chart.histogram(many, { width = 20, title = "12,345 numbers of 1" })
      :match "^[^\n]+\n")
    local function legend(low, high)
      return chart.heat({ values = { { low, high } } }, { width = 20 }):match "\n[^\n]+\n(.*)$"
    end
    assert.equal("1234  ░▒▓█ 5.679e4\n· missing\n", legend(1234, 56789))
    assert.equal(" ░▒▓█\nlowest -1.234e-300\nhighest 1.234e-200\n· missing\n", legend(-1.234e-300, 1.234e-200))
    local points = chart.points({ -1.234e-200, 1.234e-200 }, { 1, 2 }, { width = 20 })
    assert.matches("\n   %-1.234e%-200\n +1.234e%-200\n$", points)
    for _, drawn in ipairs { points, legend(-1e300, 1e300), chart.histogram({ -1.234e-300, 1e5 }, { width = 20 }) } do
      assert.is_true(widest(drawn) <= 20, drawn)
    end
  end)
end)

describe("the words that draw", function()
  local f = frame.new({ "name", "a", "b" }, { { "x", 1, 10 }, { "y", 2, "NA" }, { "z", 4, 30 } })

  it("take frames, columns, rows and lists", function()
    for _, made in ipairs { drawing.plot(f, "a", "b"), drawing.plot(f:number "a", f:number "b"),
      drawing.plot({ { a = 1, b = "10" }, { a = 4, b = 30 }, { a = 2, b = host.null } }, "a", "b"),
      drawing.plot({ 1, 4 }, { 10, 30 }) } do
      assert.matches("2 points", tostring(made), 1, true)
    end
    assert.matches("3 numbers", tostring(drawing.hist(f, "a")), 1, true)
    assert.matches("3 numbers", tostring(drawing.hist { 1, 2, 4 }), 1, true)
    assert.matches("3 rows, 2 columns", tostring(drawing.heat(f)), 1, true)
    assert.matches("2 rows, 2 columns", tostring(drawing.heat { { 1, 2 }, { 3, 4 } }), 1, true)
  end)

  it("say what they need", function()
    assert.matches("there are no numbers in 'name'", failure_of(drawing.hist, f, "name").message, 1, true)
    assert.matches("no column of the frame is named", failure_of(drawing.hist, f).message, 1, true)
    local result = rows.new { { a = 1 }, columns = { { name = "a" } }, command = "SELECT 1" }
    for _, count in ipairs { "a", -1, 1.5, {} } do
      assert.matches("head needs a number of rows", failure_of(result.head, result, count).message, 1, true)
      assert.matches("tail needs a number of rows", failure_of(result.tail, result, count).message, 1, true)
    end
    assert.equal(1, #result:head(1.0))
    assert.matches("there is no column 'c'", failure_of(drawing.hist, { { ca = 1 } }, "c").message, 1, true)
    assert.matches("a string holds no numbers", failure_of(drawing.hist, "x").message, 1, true)
    assert.matches("option 'widht'", tostring(failure_of(drawing.hist, { 1 }, { widht = 3 })):gsub("unknown ", ""), 1,
      true)
    assert.matches("no table of numbers", failure_of(drawing.heat, {}).message, 1, true)
    assert.equal("picture", failure_of(drawing.hist, { 1 }, { file = "x.pdf" }).code)
  end)

  it("change the scale of heat", function()
    local row = series.scaled({ values = { { 1, 2, 3 }, { 5, 5, false } } }, "row").values
    assert.same({ { -1, 0, 1 }, { 0, 0, false } }, row)
    assert.same({ { 1, false, 3 } }, series.scaled({ values = { { 2, -1, 8 } } }, "log").values)
  end)

  it("give frames head and tail", function()
    drawing.extend(frame.methods)
    assert.equal(2, #f:head(2))
    assert.equal("z", f:tail(1):row(1)[1])
    assert.equal(3, #f:head())
    assert.equal(0, #f:tail(0))
  end)

  it("say when gnuplot is missing", function()
    local path = sys.getenv "PATH"
    sys.setenv("PATH", "/nowhere")
    local failure = failure_of(drawing.hist, { 1, 2 }, { file = "x.png" })
    sys.setenv("PATH", path)
    assert.equal("gnuplot", failure.code)
    assert.matches("gnuplot-nox", failure.hint, 1, true)
  end)

  it("write pictures by gnuplot", function()
    if not pcall(sys.run, { "gnuplot", "--version" }) then
      pending("needs gnuplot")
      return
    end
    local folder = support.workspace()
    for name, start in pairs { ["it's.png"] = "\x89PNG", ["b.svg"] = "<?xml" } do
      local path = folder .. "/" .. name
      local made = drawing.plot({ 1, 2, 3 }, { 1, 4, 9 }, { file = path, title = "it's" })
      assert.matches("wrote ", tostring(made), 1, true)
      assert.equal(start, sys.read_file(path):sub(1, #start))
      drawing.hist({ 1, 2, 2, 5 }, { file = path })
      drawing.heat({ { 1, 2 }, { 3, 4 } }, { file = path })
      assert.equal(start, sys.read_file(path):sub(1, #start))
    end
    assert.equal("gnuplot", failure_of(drawing.hist, { 1, 2 }, { file = folder .. "/no/x.png" }).code)
    local path, many = folder .. "/names.svg", {}
    for i = 1, 120 do
      many[i] = { feature = ("it's %d_x"):format(i), one = i, two = -i }
    end
    drawing.heat(many, { file = path })
    local svg = sys.read_file(path)
    for _, name in ipairs { ">one<", ">two<", "it's 1_x", "it's 4_x" } do
      assert.matches(name, svg:gsub("&#39;", "'"):gsub("&apos;", "'"), 1, true)
    end
    assert.is_nil(svg:find("[^%d]2_x<")) -- every third of 120 has room
  end)
end)
