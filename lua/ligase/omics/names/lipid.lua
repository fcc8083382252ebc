--- Lipid names, as far as they can be read without a grammar and without a guess.
---
--- Reads the LIPID MAPS shorthand (Liebisch et al. 2020, J Lipid Res 61:1539) where it
--- is plain: a known class, then chains as carbons:double bonds. Brackets and blanks
--- are brought into one form, `_` (order unknown) and `/` (sn-position known) are kept
--- apart. What is not understood stays as it stands: a name never says more than was
--- written.
local M = {}

--- Classes whose chains are plain acyl or alkyl chains, with the number of chains.
local CHAINS = {
  PC = 2, PE = 2, PS = 2, PI = 2, PG = 2, PA = 2, LPC = 1, LPE = 1, LPS = 1, LPI = 1, LPG = 1, LPA = 1,
  DG = 2, TG = 3, MG = 1, CE = 1, FA = 1, CL = 4, BMP = 2,
}

--- Classes of sphingolipids: read only when the hydroxyl groups are written (";O2").
local SPHINGOLIPID_CHAINS = { SM = 2, Cer = 2, HexCer = 2, Hex2Cer = 2, Hex3Cer = 2, SHexCer = 2 }

--- One chain: "16:0", "O-16:0", "P-18:0", "18:1;O2". Returns its carbons and double bonds.
local function chain_parts(chain, sphingolipid)
  local carbons, double_bonds, rest = chain:match("^[OP]?%-?(%d+):(%d+)(.*)$")
  if not carbons or (chain:find("^[OP]") and not chain:find("^[OP]%-%d")) or chain:find("^%-") then
    return nil
  end
  if rest ~= "" and not (sphingolipid and rest:find("^;O%d?$")) then
    return nil
  end
  carbons, double_bonds = tonumber(carbons), tonumber(double_bonds)
  if carbons < 1 or carbons > 120 or double_bonds * 2 > carbons then
    return nil
  end
  return carbons, double_bonds
end

--- "16:0_18:1" -> its chains and separator; nil when both separators occur.
local function split_chains(chains)
  local unordered, ordered = chains:find("_", 1, true), chains:find("/", 1, true)
  if unordered and ordered then
    return nil
  end
  local list = {}
  for chain in chains:gmatch("[^_/]+") do
    list[#list + 1] = chain
  end
  return list, unordered and "_" or ordered and "/" or ""
end

local function level_of(chain_count, separator, class_chains)
  if chain_count == 1 then
    return "species"
  end
  if chain_count ~= class_chains then
    return nil
  end
  return separator == "/" and "sn-position" or "molecular species"
end

local function understand(trimmed)
  local class, chains = trimmed:match("^(%u%w-)%s*%(([^()]*)%)$")
  if not class then
    class, chains = trimmed:match("^(%u%a%w-%a?)%s+(%S+)$")
  end
  if not class then
    return nil
  end
  local sphingolipid = SPHINGOLIPID_CHAINS[class] ~= nil
  local class_chains = CHAINS[class] or SPHINGOLIPID_CHAINS[class]
  if not class_chains or chains:find("^[_/]") or chains:find("[_/]$") or chains:find("[_/][_/]") then
    return nil
  end
  local list, separator = split_chains(chains)
  if not list or #list == 0 then
    return nil
  end
  for i, chain in ipairs(list) do
    if not chain_parts(chain, sphingolipid) then
      return nil
    end
    -- The first chain of a sphingolipid is its base: without hydroxyls it is unsaid what it is.
    if sphingolipid and i == 1 and not chain:find(";O", 1, true) then
      return nil
    end
  end
  local level = level_of(#list, separator, class_chains)
  if not level then
    return nil
  end
  return class .. " " .. chains, level
end

--- Reads one name.
---@param raw string a cell
---@return ligase.reading|nil reading nil when the cell is blank
function M.read(raw)
  local trimmed = raw:match("^%s*(.-)%s*$")
  if trimmed == "" then
    return nil
  end
  local body, adduct = trimmed:match("^(.-)%s*(%[M[%w+-]*%]%d*[+-])$")
  local name, level = understand(body or trimmed)
  if name then
    return { name = name, level = level, rule = "lipid.shorthand", aside = adduct and { adduct = adduct } or nil }
  end
  return { name = trimmed, rule = "verbatim" }
end

return M
