--- Cells as numbers, through frames: every double is compared bit for bit with what
--- strtod says. In Lua that is tonumber, which calls it for all that is no integer.
local csv = require "csv"
local frame = require "frame"
local host = require "host"
local support = require "tests.support"

-- Locals: a global costs a spec more than a division.
local abs, huge, random, type_of = math.abs, math.huge, math.random, math.type
local pack, unpack, tonumber = string.pack, string.unpack, tonumber
local null = host.null

--- The doubles of these texts, masked ones as host.null.
local function read(texts, decimal)
  local values = {}
  local reader <close> = csv.frames({ text = table.concat(texts, "\n") },
    { header = false, decimal = decimal, separator = ";", missing = {} })
  for piece in reader do
    local column <close> = piece:number(1)
    table.move(column:values(), 1, #column, #values + 1, values)
    piece:close()
  end
  return values
end

local function bits(value)
  return value ~= null and ("%016x"):format(unpack("<i8", pack("<d", value))) or "masked"
end

local function strtod(text)
  local value = tonumber(text)
  if type_of(value) ~= "float" then
    value = tonumber(text .. "e0")
  end
  return (value == huge or value == -huge) and null or value
end

local function assert_agrees_with_strtod(texts, decimal)
  local values = read(texts, decimal)
  assert.equal(#texts, #values)
  for i, text in ipairs(texts) do
    local expected = strtod(decimal and text:gsub(decimal, ".") or text)
    -- == alone cannot tell -0.0 from 0.0.
    if values[i] ~= expected or (expected == 0 and 1 / values[i] ~= 1 / expected) then
      assert.equal(bits(expected), bits(values[i]), text)
    end
  end
end

--- How one cell reads: "number", "rounded" or "misfit".
local function kind(text, decimal)
  local f <close> = frame.new({ "x" }, { { text } }, { missing = {}, decimal = decimal })
  local profile = f:profile()[1]
  for _, name in ipairs { "number", "code", "rounded", "misfit" } do
    if profile[name] == 1 then
      return name
    end
  end
end

local function digits(count)
  local result = {}
  for i = 1, count do
    result[i] = random(0, 9)
  end
  return table.concat(result)
end

describe("text to double", function()
  setup(function()
    math.randomseed(20240607)
  end)

  it("is that of strtod for a million random texts", function()
    local formats = { "%.6g", "%.15g", "%.16g", "%.17g", "%.3f", "%.10e", "%.0f", "%.20e", "%.19f", "%d.%d" }
    for format_at, format in ipairs(formats) do
      local texts = {}
      for i = 1, 100000 do
        local value
        if format_at % 3 == 0 then -- any digits, over many powers of two
          value = unpack("<d", pack("<i8", random(0) & ~(3 << 61) | 3 << 60))
        else
          value = (random() - 0.5) * 10.0 ^ random(-12, 12)
        end
        if format == "%d.%d" then
          texts[i] = format:format(random(-9999999, 9999999), random(0, 999999999))
        else
          texts[i] = format:format(value)
        end
      end
      assert_agrees_with_strtod(texts)
    end
  end)

  it("is that of strtod for all bit patterns", function()
    local texts = {}
    while #texts < 60000 do
      local value = unpack("<d", pack("<i8", random(0)))
      if value == value and abs(value) ~= huge then
        texts[#texts + 1] = ("%.17g"):format(value)
        texts[#texts + 1] = ("%.15g"):format(value)
        texts[#texts + 1] = ("%.30e"):format(value)
      end
    end
    assert_agrees_with_strtod(texts)
  end)

  it("is that of strtod where the fast path ends", function()
    local texts = {}
    for _, mantissa in ipairs { 2 ^ 53 - 1, 2 ^ 53, 2 ^ 53 + 1, 2 ^ 53 + 2, 2 ^ 53 + 3, 2 ^ 54 + 2, 1 << 62, 1 } do
      local written = ("%d"):format(mantissa // 1 | 0)
      for exponent = -330, 310 do
        texts[#texts + 1] = written .. "e" .. exponent
        texts[#texts + 1] = "-" .. written:sub(1, 1) .. "." .. written:sub(2) .. "0E" .. exponent
      end
      for point = 1, #written do
        texts[#texts + 1] = written:sub(1, point) .. "." .. written:sub(point + 1)
      end
    end
    for n = 15, 22 do
      for _ = 1, 3000 do
        local written = digits(n)
        local point = random(0, n)
        texts[#texts + 1] = written:sub(1, point) .. "." .. written:sub(point + 1) .. "e" .. random(-25, 25)
      end
    end
    assert_agrees_with_strtod(texts)
  end)

  it("is that of strtod for long digits, long zero runs and far exponents", function()
    local texts = {
      "1.7976931348623157e308", "-1.7976931348623157e308", "1.7976931348623158e308",
      "1.7976931348623159e308", "1.797693134862315807e308", "2e308", "1e309", "-1e400", "1e99999", "1e-99999",
      "4.9e-324", "2.4703282292062327e-324", "2.4703282292062328e-324", "2.5e-324", "5e-324", "-1e-400",
      "2.2250738585072014e-308", "2.2250738585072011e-308", "2.225073858507201e-308", "2.2250738585072009e-308",
      "9007199254740993", "9007199254740992", "9007199254740991", "9007199254740994.5", "9007199254740993.0",
      "0", "-0", "0.0", "-0.0", "+0", "000", "-000.000e5", "0e400", "0e-400", "0.000e99999",
      "00000000000000000000000000000001", "1.", ".5", "-.5", "+5.", "5.e3", ".5e-3", "1e+05", "1E5", "0001e0001",
      "123456789012345678901234567890", "3.14159265358979323846264338327950288419716939937510",
      "0." .. ("0"):rep(400) .. "1e401", "1" .. ("0"):rep(400) .. "e-400", ("9"):rep(309), ("9"):rep(800) .. "e-800",
      "0." .. ("0"):rep(30000) .. "5e30000", ("1"):rep(30000) .. "e-29999", "1e-100000000000000000000",
      "1e100000000000000000000", "0e100000000000000000000", ("0"):rep(5000) .. ".5",
    }
    for n = 16, 60 do
      for _ = 1, 400 do
        texts[#texts + 1] = digits(n) .. "." .. digits(random(0, 40)) .. "e" .. random(-340, 300)
        texts[#texts + 1] = "0." .. ("0"):rep(random(0, 30)) .. digits(n)
      end
    end
    assert_agrees_with_strtod(texts)
  end)

  it("rounds halfway cases as exact arithmetic does", function()
    -- The exact decimal between two neighbouring doubles, and the same a hair above and
    -- below; what Python reads is a second opinion.
    local lines = support.python([[
import decimal, random, struct
decimal.getcontext().prec = 1200
random.seed(3)
out = []
for i in range(4000):
    exponent = random.choice([random.randint(-1074, 970), random.randint(-60, 60)])
    mantissa = random.getrandbits(53) | 1
    half = (decimal.Decimal(2 * mantissa + 1) * decimal.Decimal(2) ** (exponent - 1))
    text = format(half, "f") if -60 < exponent < 60 else format(half, "e")
    head, mark, tail = text.lower().partition("e")
    if "." not in head:
        head += "."
    for digits in (head, head + "0" * 20 + "1", head[:-1] if head[-1] != "." else head):
        whole = digits + mark + tail
        value = float(whole)
        if value != float("inf"):
            out.append(whole + " " + struct.pack(">d", value).hex())
print("\n".join(out))
]])
    local texts, expected = {}, {}
    for text, hex in lines:gmatch("(%S+) (%x+)\n") do
      texts[#texts + 1], expected[#expected + 1] = text, hex
    end
    assert.truthy(#texts > 10000)
    for i, value in ipairs(read(texts)) do
      if bits(value) ~= expected[i] then
        assert.equal(expected[i], bits(value), texts[i])
      end
    end
    assert_agrees_with_strtod(texts)
  end)

  it("reads a decimal comma as it reads a point", function()
    local texts = { "1,5", "-0,1", ",5", "5,", "1,7976931348623157e308", "0,1234567890123456789", "12", "1e5" }
    for _ = 1, 20000 do
      texts[#texts + 1] = ("%.17g"):format(random() * 10.0 ^ random(-20, 20)):gsub("%.", ",")
    end
    assert_agrees_with_strtod(texts, ",")
    assert.equal("misfit", kind("1.5", ","))
    assert.equal("misfit", kind("1,5"))
    assert.equal("misfit", kind("1.234,5", ","))
  end)

  it("does not depend on the locale", function()
    local before = os.setlocale()
    local found
    for _, name in ipairs { "de_DE.UTF-8", "fr_FR.UTF-8", "C.UTF-8", "POSIX" } do
      found = os.setlocale(name) and name or found
      local values = read { "1.5", "0.1234567890123456789", "1e-310" }
      os.setlocale(before)
      assert.same({ 1.5, 0.1234567890123456789, 1e-310 }, values)
    end
    assert.truthy(found)
  end)

  it("allows blanks around a number, and none within", function()
    assert.same({ 1.5, -2.0, 3.0, 4.0 }, read { " 1.5", "-2 ", "\t3\t", "  4" })
    for _, text in ipairs { "1 5", "- 1", "1e 5", "1. 5", "1 .5", "\u{A0}1", "1\v", "1\f", "1\r" } do
      assert.equal("misfit", kind(text), text)
    end
  end)
end)

describe("no number is", function()
  for _, text in ipairs {
    "0x10", "0X1p3", "nan", "NaN", "nan(0x1)", "-nan", "1_000", "1,000", "1,5", "+-1", "--1", "-+1", "e5", "E5", ".",
    "-", "+", "-.", "+.e1", ".e5", "1e", "1e+", "1e-", "1e5.5", "1.2.3", "1..2", "1f", "1.0d0", "1d5", "1L", "1%",
    "<1", ">1", "~1", "1*", "infinit", "infinityy", "in", "i", "-in", ".inf", "-.inf", "+.infinity", "inf.", "1inf",
    "inf1", "einf", "--inf", "1e400", "-1.7976931348623159e308", ("9"):rep(310), "½", "１", "٣", "1\0", "\0", "−1", "",
    " ", "NA", "#N/A", "TRUE", "1/2", "1:2", "(1)", "$1", "'1", "1e5e5", "0b1", "1.e", "..1",
  } do
    it(("%q"):format(text), function()
      assert.equal("misfit", kind(text))
    end)
  end
end)

describe("a number whose text says more than its double", function()
  for _, text in ipairs {
    "inf", "-Inf", "+INFINITY", " infinity ", "123456789012345678", "0.123456789012345678", "9007199254740993",
    "-9007199254740993", "9999999999999999999", "18446744073709551615", "12345678901234567000", "4.9e-324",
    "1.2345678901234567e-310", "1e-400", "-1e-400", "2.2250738585072011e-308", "1.00000000000000000000001",
    "1000000000000000000000000000001",
  } do
    it("is kept verbatim: " .. text, function()
      assert.equal("rounded", kind(text))
    end)
  end

  for _, text in ipairs {
    "0", "-0.0", "0.1", "123456789012345", "9007199254740992", "9007199254740994", "18014398509481984",
    "1e22", "1e23", "1e300", "0.30000000000000004", "2.2250738585072014e-308",
    "1.7976931348623157e308", "1.50000000000000000000000", "0e400", "0.5", "-0.5",
    "100000000000000000000", "1.0000000000000002", "5e-300", "1e5",
  } do
    it("is not " .. text, function()
      assert.equal("number", kind(text))
    end)
  end

  it("has the nearest double all the same", function()
    assert.same({ huge, -huge, huge, 9007199254740992.0, 0.0, 5e-324 },
      read { "inf", "-Inf", "+INFINITY", "9007199254740993", "1e-400", "4.9e-324" })
  end)
end)

describe("a number that is written as codes are", function()
  for _, text in ipairs {
    "00123", "007", "-01", "+01", " 01 ", "00", "00.5", "01e5", "0001e0001", "2310009E13", "12e3", "99e9",
    "000000000000000000000000001.5", "00123456789012345678901234567890", "12e300", "00e400", "09007199254740993",
  } do
    it("is kept verbatim: " .. text, function()
      assert.equal("code", kind(text))
    end)
  end

  for _, text in ipairs {
    "0", "-0", "0.5", "0e5", "1e5", "1.5e3", "12.5e3", "12e+3", "12e-3", "10", "100", ".05", "0.05", "10e-05", "1e05",
  } do
    it("is not " .. text, function()
      assert.equal("number", kind(text))
    end)
  end

  it("has its double, and with a decimal comma too", function()
    assert.same({ 123.0, -1.0, 2310009e13, 0.5 }, read { "00123", "-01", "2310009E13", "00.5" })
    assert.equal("code", kind("00,5", ","))
    assert.equal("number", kind("12,5e3", ","))
  end)

  it("is still beyond the largest double when it is", function()
    assert.equal("misfit", kind("01e400"))
    assert.equal("misfit", kind("12e400"))
  end)
end)
