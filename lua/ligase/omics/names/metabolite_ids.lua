--- Identifiers of small molecules: registry numbers and structure keys.
local M = {}

local find, match = string.find, string.match

--- The check digit of a CAS Registry Number: the digits before it, counted from the
--- right, times their place, modulo 10 (cas.org/support/documentation/chemical-substances/checkdig).
local function is_cas(first, second, check)
  local digits, sum = first .. second, 0
  for place = 1, #digits do
    sum = sum + place * tonumber(digits:sub(-place, -place))
  end
  return sum % 10 == tonumber(check)
end

local function hmdb(digits)
  if #digits == 5 then -- before 2017 HMDB counted to 99999
    digits = "00" .. digits
  end
  return #digits == 7 and "HMDB" .. digits or nil
end

--- Prefixes before the numbers of PubChem and ChEBI, in lower case.
local PREFIXES = { chebi = "CHEBI:", cid = "CID:", ["pubchem cid"] = "CID:", pubchem = "CID:", pubchem_cid = "CID:" }

local function prefixed(text)
  local prefix, digits = match(text, "^(%a[%a ]*%a)[:_ ]%s*(%d+)$")
  prefix = prefix and PREFIXES[prefix:lower()]
  if not prefix then
    prefix, digits = match(text, "^(%a+)(%d+)$")
    prefix = prefix == "CID" and "CID:" or nil
  end
  return prefix and prefix .. digits, prefix
end

--- Reads an identifier.
---@param text string trimmed
---@return string|nil id in its canonical form; nil when it is none
---@return string system "HMDB", "ChEBI", ...
function M.read(text)
  local digits = match(text, "^[Hh][Mm][Dd][Bb](%d+)$")
  if digits then
    local id = hmdb(digits)
    return id, "HMDB"
  end
  text = match(text, "^[Ii][Nn][Cc][Hh][Ii][Kk][Ee][Yy][=:] ?(%u+%-%u+%-%u)$") or text
  local bare = match(text, "^cpd:(C%d%d%d%d%d)$") or match(text, "^[Kk][Ee][Gg][Gg][: ](%u%d%d%d%d%d)$") or text
  if find(bare, "^[CDG]%d%d%d%d%d$") then
    return bare, "KEGG"
  elseif find(text, "^LM%u%u%d%d%d%d%d%d%d%d%d*$") or find(text, "^LM%u%u%d%d%d%d%u%u%d%d$") then
    return text, "LIPID MAPS"
  elseif find(text, "^RM%d%d%d%d%d%d%d$") then
    return text, "RefMet"
  elseif #text == 27 and find(text, "^%u+%-%u+%-%u$") and #match(text, "^%u+") == 14 then
    return text, "InChIKey"
  elseif find(text, "^InChI=1S?/") then
    return text, "InChI"
  end
  local id, prefix = prefixed(text)
  if id then
    return id, prefix == "CHEBI:" and "ChEBI" or "PubChem"
  end
  local first, second, check = match(text, "^(%d%d+)%-(%d%d)%-(%d)$")
  if not first then
    first, second, check = match(text, "^[Cc][Aa][Ss][: ]+(%d%d+)%-(%d%d)%-(%d)$")
  end
  if first and #first <= 7 and is_cas(first, second, check) then
    return ("%s-%s-%s"):format(first, second, check), "CAS"
  end
end

return M
