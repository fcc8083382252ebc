--- Identifiers of compounds: whether they have the form that their makers gave them, and
--- the right check digit where there is one.
---
--- A check says nil when all is well, else what is wrong and, where there is more to say,
--- what the right form is.
local M = {}

local LETTER = "%u"

local INCHI_KEY = "^" .. LETTER:rep(14) .. "%-" .. LETTER:rep(8) .. "[SN]" .. LETTER .. "%-" .. LETTER .. "$"

--- An InChIKey: 14 letters of the skeleton, 8 of the rest, standard or not, version, protons.
---@param key string
---@return string|nil problem
---@return string|nil hint
function M.check_inchi_key(key)
  if key:find(INCHI_KEY) then
    return nil
  elseif key:upper():find(INCHI_KEY) then
    return "an InChIKey is written in capitals", "Write: " .. key:upper()
  end
  return "it is no InChIKey", "It has 14, 10 and 1 capital letters, the 23rd letter S or N: "
    .. "BSYNRYMUTXBXSQ-UHFFFAOYSA-N"
end

--- A CAS registry number: its last digit is the sum of all others, each times its place
--- from the right, modulo 10.
---@param number string
---@return string|nil problem
---@return string|nil hint
function M.check_cas_number(number)
  local first, second, digit = number:match("^([1-9]%d%d?%d?%d?%d?%d?)%-(%d%d)%-(%d)$")
  if not first or #first < 2 then
    return "it is no CAS number", "It has up to seven digits, two, and a check digit: 50-78-2"
  end
  local digits, sum = (first .. second):reverse(), 0
  for place = 1, #digits do
    sum = sum + place * math.tointeger(digits:sub(place, place))
  end
  if sum % 10 ~= math.tointeger(digit) then
    return ("the check digit of the CAS number is wrong: after %s-%s comes %d, not %s"):format(first, second, sum % 10,
      digit), "One of its digits was mistyped"
  end
  return nil
end

--- A ChEMBL id.
---@param id string
---@return string|nil problem
---@return string|nil hint
function M.check_chembl_id(id)
  if not id:find("^CHEMBL[1-9]%d*$") then
    return "it is no ChEMBL id", "It is CHEMBL and a number: CHEMBL25"
  end
  return nil
end

--- An InChI.
---@param inchi string
---@return string|nil problem
---@return string|nil hint
function M.check_inchi(inchi)
  if not inchi:find("^InChI=1S?/[!-~]+$") then
    return "it is no InChI", "It begins with InChI=1S/ and holds no blanks"
  end
  return nil
end

local CLOSING = { [")"] = "(", ["]"] = "[" }

--- A SMILES, as far as a look at its characters and brackets tells.
---@param smiles string
---@return string|nil problem
---@return string|nil hint
function M.check_smiles(smiles)
  local odd = smiles:match("[^A-Za-z0-9()%[%]=#$:/\\+%-@.%%*~&>|,{}?!;^_'\"]")
  if odd then
    return ("a SMILES holds no '%s'"):format(odd == " " and "blank" or odd)
  elseif not smiles:find("[A-Za-z*]") then
    return "a SMILES names at least one atom"
  end
  local open = {}
  for mark in smiles:gmatch("[()%[%]]") do
    local wanted = CLOSING[mark]
    if not wanted then
      open[#open + 1] = mark
    elseif table.remove(open) ~= wanted then
      return ("the '%s' in the SMILES closes nothing"):format(mark)
    end
  end
  if #open > 0 then
    return ("the '%s' in the SMILES is not closed"):format(open[#open])
  end
  return nil
end

local PAGE_DIGITS = 32

--- The id of a Notion page, however it is written: with or without hyphens, in capitals, or in
--- the page's address.
---@param word string
---@return string|nil id in lower case with hyphens; nil when it is none
function M.notion_page(word)
  local address = word:find("^https?://[%w.]*notion%.s[oi]") and word:gsub("#.*$", "")
  local page = address and address:match("[?&]p=([%x-]+)") or address and address:gsub("%?.*$", "") or word
  local hex = page:gsub("%-", ""):lower():match("%x+$") or ""
  if #hex < PAGE_DIGITS or not address and #word:gsub("%-", "") ~= PAGE_DIGITS then
    return nil
  end
  return (hex:sub(-PAGE_DIGITS):gsub("^(%x%x%x%x%x%x%x%x)(%x%x%x%x)(%x%x%x%x)(%x%x%x%x)", "%1-%2-%3-%4-"))
end

return M
