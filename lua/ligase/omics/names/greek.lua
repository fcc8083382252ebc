--- Letters that are written in several ways: Greek letters by name, dashes and primes in
--- ASCII. That is spelling: the name says the same before and after.
local M = {}

local SPELLED = {}

local GREEK = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho final sigma tau "
  .. "upsilon phi chi psi omega"

do
  local code = 0x3B1
  for name in GREEK:gmatch("%a+") do
    name = name == "final" and "sigma" or name
    SPELLED[utf8.char(code)] = name
    SPELLED[utf8.char(code - 0x20)] = name
    code = code + 1
  end
end

for letters, spelled in pairs {
  ["\u{B5}"] = "mu", ["\u{3D1}"] = "theta", ["\u{3D5}"] = "phi", ["\u{3F5}"] = "epsilon",
  ["\u{2010} \u{2011} \u{2012} \u{2013} \u{2014} \u{2212} \u{FE63} \u{FF0D}"] = "-",
  ["\u{2032} \u{2019} \u{2018} \u{B4} \u{2BC}"] = "'", ["\u{2033} \u{201D} \u{201C}"] = "''",
  ["\u{B1}"] = "+/-", ["\u{207A}"] = "+", ["\u{207B}"] = "-", ["\u{A0}"] = " ", ["\u{202F}"] = " ", ["\u{2009}"] = " ",
  ["\u{200B}"] = "", ["\u{FF0B}"] = "+", ["\u{2192}"] = "->",
} do
  for letter in letters:gmatch("[^ ]+") do
    SPELLED[letter] = spelled
  end
end
SPELLED["\u{A0}"], SPELLED["\u{202F}"], SPELLED["\u{2009}"] = " ", " ", " "

for i = 0, 9 do -- sub- and superscripts
  SPELLED[utf8.char(0x2080 + i)] = tostring(i)
  SPELLED[utf8.char(i == 1 and 0xB9 or (i == 2 or i == 3) and 0xB0 + i or 0x2070 + i)] = tostring(i)
end

--- A text with Greek letters, dashes, primes and indices in ASCII; other letters stay.
---@param text string
---@return string
function M.spelled(text)
  if not text:find("[\x80-\xFF]") then
    return text
  end
  return (text:gsub("[\xC2-\xF4][\x80-\xBF]+", SPELLED))
end

return M
