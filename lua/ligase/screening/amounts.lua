--- Numbers as screening tables write them: with a relation in front (">10"), with a unit
--- behind ("10 µM"), as the negative logarithm of a concentration (pIC50).
---
--- Concentrations become mol/L by moving the decimal point of the text, so that 10 µM is
--- the same number as 1e-5 and not the product of two.
local M = {}

--- Powers of ten by unit, as it is written; in lower case too where that leaves no doubt.
local MOLAR = {}
for _, group in ipairs { { 0, "M", "mol/L", "mol/l", "mol l-1", "molar" }, { -3, "mM", "mm", "mmol/L", "mmol/l" },
  { -6, "µM", "uM", "um", "µm", "µmol/L", "µmol/l", "umol/L", "umol/l", "micromolar" },
  { -9, "nM", "nm", "nmol/L", "nmol/l", "nanomolar" }, { -12, "pM", "pm", "pmol/L", "pmol/l" }, { -15, "fM", "fm" } } do
  for i = 2, #group do
    MOLAR[group[i]] = group[1]
  end
end

local RELATIONS = { ["="] = "=", ["<"] = "<", ["<="] = "<=", ["≤"] = "<=", ["=<"] = "<=", [">"] = ">", [">="] = ">=",
  ["≥"] = ">=", ["=>"] = ">=", ["~"] = "~", ["≈"] = "~", ["ca."] = "~", ["ca"] = "~" }

M.TURNED = { ["<"] = ">", ["<="] = ">=", [">"] = "<", [">="] = "<=", ["~"] = "~" }

--- A unit as it is compared: one micro sign, no blanks around it.
local function plain_unit(unit)
  return (unit:gsub("μ", "µ"):match("^%s*(.-)%s*$"))
end

--- The power of ten of a unit of concentration; nil for any other.
---@param unit string
---@return integer|nil
function M.molar_power(unit)
  return MOLAR[plain_unit(unit)]
end

--- A relation sign as it is stored: nil for "=", false for what is none.
---@param sign string
---@return string|nil|false
function M.relation(sign)
  local relation = RELATIONS[sign:match("^%s*(.-)%s*$")]
  if relation == nil then
    return false
  end
  return relation ~= "=" and relation or nil
end

---@class ligase.amount
---@field relation string|nil "<", "<=", ">", ">=" or "~"; nil for an exact one
---@field digits string the number's text with a decimal point
---@field number number
---@field unit string|nil what stands behind it

--- What a cell says; nil when it is no number.
---@param cell string
---@param decimal string|nil the decimal mark; the point without it
---@return ligase.amount|nil
function M.read(cell, decimal)
  local sign, rest = cell:match("^%s*([<>=~]*)%s*(.*)$")
  if sign == "" then
    for _, mark in ipairs { "≤", "≥", "≈", "ca.", "ca " } do
      if rest:sub(1, #mark) == mark then
        sign, rest = mark:match("^%S+"), rest:sub(#mark + 1):match("^%s*(.*)$")
        break
      end
    end
  end
  local relation = nil
  if sign ~= "" then
    relation = M.relation(sign)
    if relation == false then
      return nil
    end
  end
  local number, unit = rest:match("^([+-]?[%d.,]+)(.*)$")
  if not number then
    return nil
  end
  local exponent, after = unit:match("^([eE][+-]?%d+)(.*)$")
  if exponent then
    number, unit = number .. exponent, after
  end
  local mark = decimal or "."
  if number:find(mark == "." and "," or ".", 1, true) then
    return nil -- thousands, or another decimal mark: no guess is made
  end
  local digits = mark == "," and number:gsub(",", ".") or number
  local value = tonumber(digits)
  unit = plain_unit(unit)
  if not value or value ~= value or value == math.huge or value == -math.huge or unit:find("^[%d.,+-]") then
    return nil
  end
  return { relation = relation, digits = digits, number = value + 0.0, unit = unit ~= "" and unit or nil }
end

--- The number with its decimal point moved.
---@param digits string from M.read
---@param power integer
---@return number
function M.shifted(digits, power)
  local mantissa, exponent = digits:match("^(.-)[eE]([+-]?%d+)$")
  return tonumber(("%se%d"):format(mantissa or digits, (math.tointeger(tonumber(exponent)) or 0) + power)) + 0.0
end

--- A concentration in mol/L; nil with the unit when it is none of concentration.
---@param amount ligase.amount
---@param unit string|nil the unit where the amount has none
---@return number|nil
---@return string|nil unit what is not understood; "" when there is none at all
function M.molar(amount, unit)
  local own = amount.unit or unit or ""
  local power = M.molar_power(own)
  if not power then
    return nil, own
  end
  return M.shifted(amount.digits, power)
end

--- The concentration of which an amount is the negative logarithm (pIC50), and its
--- relation: above 6 is below 1e-6 M.
---@param amount ligase.amount
---@return number
---@return string|nil relation
function M.from_logarithm(amount)
  local whole = math.tointeger(amount.number)
  return whole and tonumber(("1e%d"):format(-whole)) or 10 ^ -amount.number, M.TURNED[amount.relation]
end

return M
