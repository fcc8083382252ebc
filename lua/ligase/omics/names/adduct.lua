--- Adducts: whether a text such as "[M+NH4]+" or "[2M+ACN+H]+" tells of an ion.
---
--- What is added or lost must be a formula of real elements, or a word that mass spectrometrists
--- use for one; anything else in such brackets is not understood.
local M = {}

local ELEMENTS = {}
for symbol in ([[
  H D He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr Nb Mo
  Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi
  Th U]]):gmatch "%a+" do
  ELEMENTS[symbol] = true
end

--- Usual words: solvents, buffers and their ions, derivatives, sugars that are lost.
local WORDS = {}
for word in ([[
  ACN MeCN FA HFA For HFor Formate formate Ac HAc Hac AcO OAc AcOH HOAc Acetate acetate TFA HTFA DMSO MeOH EtOH IsoProp
  iPrOH Isoprop TMS TBDMS Me OMe Hex HexNAc]]):gmatch "%a+" do
  WORDS[word] = true
end

--- What ions are usually made of: in brackets of another kind, or in none, only these tell of an adduct.
local USUAL = {}
for term in ([[
  H Na K Li NH4 NH3 Cl Br H2O HCOO CHO2 CH3COO C2H3O2 CH3 Ca Mg Cs Ag Cu Fe O CO2 e
  ACN FA HAc Hac Ac OAc AcO TFA DMSO MeOH IsoProp Formate formate Acetate acetate]]):gmatch "%w+" do
  USUAL[term] = true
end

--- "H", "CH3COO", "C6H10O5": elements with their counts.
local function is_formula(text)
  local from = 1
  while from <= #text do
    local symbol, count = text:match("^(%u%l)(%d*)", from)
    if not ELEMENTS[symbol] then
      symbol, count = text:match("^(%u)(%d*)", from)
    end
    if not ELEMENTS[symbol] or count:find "^0" then
      return false
    end
    from = from + #symbol + #count
  end
  return text ~= ""
end

--- Whether what stands between the brackets is an ion of M.
---@param text string "M+H", "2M+ACN+Na"
---@param usual_only? boolean only what ions are usually made of
---@return boolean|nil is_adduct
---@return string|nil reason why not
function M.check(text, usual_only)
  local count, terms = text:match("^(%d?)M(.*)$")
  if not count or count == "0" then
    return nil, "an adduct is told as M with what it gained and lost"
  end
  local from = 1
  while from <= #terms do
    local times, what = terms:match("^[+-](%d*)(%a%w*)", from)
    if not times then
      return nil, ("what M gained or lost is not understood: %s"):format(terms:sub(from))
    elseif usual_only and not USUAL[what] or not (WORDS[what] or is_formula(what)) then
      return nil, ("%s is neither made of elements nor a word for what ions gain or lose"):format(what)
    end
    from = from + 1 + #times + #what
  end
  return true
end

--- Takes an adduct in square brackets off the end of a name.
---@param text string
---@return string|nil before the name without it, blanks and underscores too; nil when none stands there
---@return string|nil adduct nil when it is not understood
---@return string|nil reason why it is not
function M.take(text)
  local before, inside, charge = text:match("^(.-)[%s_]*%[(%d*M%f[+%-%]][^%[%]]*)%](%d*[+-]*%d*)$")
  if not before or before == "" or charge == "" and not inside:find "[+-]" then
    return nil
  end
  local adduct = ("[%s]%s"):format(inside, charge)
  local is_adduct, reason = M.check(inside)
  if is_adduct and charge ~= "" and not (charge:find "^%d*[+-]$" or charge:find "^[+-]%d+$"
    or charge:find "^%++$" or charge:find "^%-+$") then
    is_adduct, reason = nil, ("there is no charge %s"):format(charge)
  end
  if not is_adduct then
    return before, nil, ("the adduct %s is not understood: %s"):format(adduct, reason)
  end
  return before, adduct
end

return M
