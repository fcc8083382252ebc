--- What stands at a lipid's name and is none of it: adducts, isotope labels, remarks on
--- isomers and racemates. They are taken off and kept by kind.
local adducts = require "ligase.omics.names.adduct"
local lpeg = require "lpeg"

local M = {}

--- Adducts written without brackets, as LipidSearch does: "AcCa(16:0)+H".
local BARE_ADDUCTS = {
  ["+H"] = "[M+H]+", ["+NH4"] = "[M+NH4]+", ["+Na"] = "[M+Na]+", ["+K"] = "[M+K]+", ["+Li"] = "[M+Li]+",
  ["-H"] = "[M-H]-", ["-2H"] = "[M-2H]2-", ["+2H"] = "[M+2H]2+", ["+HCOO"] = "[M+HCOO]-", ["+Cl"] = "[M+Cl]-",
  ["+CH3COO"] = "[M+CH3COO]-", ["-CH3"] = "[M-CH3]-", ["+H-H2O"] = "[M+H-H2O]+", ["-H2O+H"] = "[M+H-H2O]+",
  ["+AcO"] = "[M+CH3COO]-", ["+FA-H"] = "[M+HCOO]-",
}

local find, match, sub, byte = string.find, string.match, string.sub, string.byte

local function put(aside, kind, value)
  aside = aside or {}
  aside[kind] = aside[kind] and aside[kind] .. " " .. value or value
  return aside
end

---@return string text
---@return table|nil aside
---@return string|nil reason why an adduct stands there that is not understood
local function take_adduct(text)
  local before, found, reason = adducts.take(text)
  if before then
    return before, found and { adduct = found }, reason
  end
  before, found = match(text, "^(.*%))%s*([+-][%w+-]+)$")
  if not found then
    before, found = match(text, "^(.*%d:%d+)%s*([+-][%w+-]+)$")
  end
  local adduct = found and BARE_ADDUCTS[found]
  if adduct then
    return before, { adduct = adduct }
  end
  return text, nil
end

--- The places and texts of isotope labels: "(d7)", "-d9", " (d5)", "(+[13]C18)", "[M[2]H5]".
local function labels_pattern()
  local P, R, S, C, Cp, Ct = lpeg.P, lpeg.R, lpeg.S, lpeg.C, lpeg.Cp, lpeg.Ct
  local digits = R "09" ^ 1
  local isotope = "[" * digits * "]" * R "AZ" * R "az" ^ -1 * R "09" ^ 0
  local heavy = "(" * C("+" * isotope ^ 1) * ")" + "[M" * C(isotope ^ 1) * "]"
  local ends = -(R("az", "AZ", "09") + S ":_")
  local deuterium = "(" * C(S "dD" * digits) * ")" + S "- " * C("d" * digits) * ends
    + lpeg.B(R "09") * C("D" * digits) * ends
    + "(" * C("13C" * R "09" ^ 0) * ")"
  local label = Ct(Cp() * P " " ^ -1 * (heavy + deuterium) * Cp())
  return Ct((label + 1) ^ 0)
end

local labels = labels_pattern()

local function take_labels(text, aside)
  local kept, from = {}, 1
  for _, label in ipairs(labels:match(text)) do
    kept[#kept + 1] = sub(text, from, label[1] - 1)
    from = label[3]
    aside = put(aside, "label", label[2])
  end
  if from == 1 then
    return text, aside
  end
  kept[#kept + 1] = sub(text, from)
  return table.concat(kept), aside
end

--- "[iso6]", "[rac]", "[R]": which isomers an entry of LIPID MAPS stands for.
local function take_isomers(text, aside)
  local before, found = match(text, "^(.-)%s*%[(%l+%d*)%]$")
  if not before then
    before, found = match(text, "^(.*%))%[([RS])%]$")
  end
  if before and before ~= "" and (found == "rac" or find(found, "^iso%d*$") or #found == 1) then
    return before, put(aside, "isomers", found)
  end
  return text, aside
end

local CLOSING, PLUS, MINUS = byte "]", byte "+", byte "-"

--- Takes off what is none of the name.
---@param text string trimmed
---@return string text
---@return table|nil aside adduct, label, isomers
---@return string|nil reason why something stands there that is not understood
function M.take(text)
  local aside, reason
  local last = byte(text, -1)
  if last == CLOSING or last == PLUS or last == MINUS or find(text, "[+-][%w+-]*$") or find(text, "%]%d+$") then
    text, aside, reason = take_adduct(text)
    text, aside = take_isomers(text, aside)
  end
  if find(text, "[dD]%d", 1) or find(text, "]", 1, true) or find(text, "13C", 1, true) then
    text, aside = take_labels(text, aside)
  end
  return text, aside, reason
end

return M
