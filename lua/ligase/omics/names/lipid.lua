--- Lipid names, as far as they can be read without a grammar and without a guess.
---
--- Reads the LIPID MAPS shorthand (Liebisch et al. 2020, J Lipid Res 61:1539) where it
--- is plain: a known class, then chains as carbons:double bonds. Brackets and blanks
--- are brought into one form, `_` (order unknown) and `/` (sn-position known) are kept
--- apart. What is not understood stays as it stands: a name never says more than was
--- written.
local lpeg = require "lpeg"

local M = {}

--- Classes whose chains are plain acyl or alkyl chains, with the number of chains.
local CHAINS = {
  PC = 2, PE = 2, PS = 2, PI = 2, PG = 2, PA = 2, LPC = 1, LPE = 1, LPS = 1, LPI = 1, LPG = 1, LPA = 1,
  DG = 2, TG = 3, MG = 1, CE = 1, FA = 1, CL = 4, BMP = 2,
}

--- Classes of sphingolipids: read only when the hydroxyl groups of the base are
--- written (";O2"), because without them it is unsaid what the base is.
local SPHINGOLIPID_CHAINS = { SM = 2, Cer = 2, HexCer = 2, Hex2Cer = 2, Hex3Cer = 2, SHexCer = 2 }

local CARBONS_MOST = 120 -- of one chain, or of a sum composition

--- What chains a text spells: its captures are "plain" or "sphingoid" (the hydroxyl groups
--- of the first chain are written), the first chain's size, "_" or "/" (or "" for one
--- chain), and the other chains' sizes as carbons:double bonds.
local function chains_pattern()
  local P, R, C, Cc = lpeg.P, lpeg.R, lpeg.C, lpeg.Cc
  local size = C(R "09" ^ 1 * ":" * R "09" ^ 1)
  local hydroxyls = ";O" * R "09" ^ -1
  local function chains(first, other)
    return first * (-P(1) * Cc "" + Cc "_" * ("_" * other) ^ 1 * -1 + Cc "/" * ("/" * other) ^ 1 * -1)
  end
  local plain = (P "O-" + P "P-") ^ -1 * size
  return Cc "plain" * chains(plain, plain) + Cc "sphingoid" * chains(size * hydroxyls, size * hydroxyls ^ -1)
end

local pattern = chains_pattern()

--- Whether a chain of that size can exist: at least one carbon, no more double bonds than
--- bonds. There are few sizes, so the answers are remembered.
local is_possible = setmetatable({}, { __index = function(self, size)
  local carbons, double_bonds = size:match("^(%d+):(%d+)$")
  carbons, double_bonds = tonumber(carbons), tonumber(double_bonds)
  local possible = carbons >= 1 and carbons <= CARBONS_MOST and double_bonds * 2 <= carbons
  if #size <= 5 then
    self[size] = possible
  end
  return possible
end })

local function describe(kind, first, separator, ...)
  if not kind or not is_possible[first] then
    return false
  end
  local count = select("#", ...)
  for i = 1, count do
    if not is_possible[(select(i, ...))] then
      return false
    end
  end
  return { kind = kind, separator = separator, count = count + 1 }
end

--- The same chains come under many classes, so what a text of chains says is remembered.
local remembered, remembered_count = {}, 0
local REMEMBERED_MOST = 20000

local function chains_of(text)
  local known = remembered[text]
  if known == nil then
    if remembered_count == REMEMBERED_MOST then
      remembered, remembered_count = {}, 0
    end
    known = describe(pattern:match(text))
    remembered[text], remembered_count = known, remembered_count + 1
  end
  return known
end

local find, sub, byte = string.find, string.sub, string.byte
local BLANK, PLUS, MINUS, OPENING = byte " ", byte "+", byte "-", byte "("

--- "PC 34:1", "PC(34:1)" and "PC (34:1)" -> "PC", "34:1".
local function split(text)
  local blank = find(text, " ", 1, true)
  if blank and byte(text, blank + 1) ~= BLANK and byte(text, blank + 1) ~= OPENING then
    return sub(text, 1, blank - 1), sub(text, blank + 1), true
  end
  local class, chains = text:match("^(%w+) *%(([^()]*)%)$")
  if not class then
    class, chains = text:match("^(%w+) +(%S+)$")
  end
  return class, chains
end

---@return string|nil name, string|nil level
local function understand(text)
  local class, chains, is_canonical = split(text)
  local class_chains = class and (CHAINS[class] or SPHINGOLIPID_CHAINS[class])
  local spelled = class_chains and chains_of(chains)
  if not spelled or (spelled.kind == "sphingoid") ~= (SPHINGOLIPID_CHAINS[class] ~= nil) then
    return nil
  end
  local name = is_canonical and text or class .. " " .. chains
  if spelled.count == 1 then
    return name, "species"
  elseif spelled.count ~= class_chains then
    return nil
  end
  return name, spelled.separator == "/" and "sn-position" or "molecular species"
end

--- Reads one name.
---@param raw string a cell
---@return ligase.reading|nil reading nil when the cell is blank
function M.read(raw)
  local text, first, last = raw, byte(raw), byte(raw, -1)
  if not first then
    return nil
  elseif first <= BLANK or last <= BLANK then
    text = raw:match("^%s*(.-)%s*$")
    if text == "" then
      return nil
    end
    last = byte(text, -1)
  end
  local body, adduct = text, nil
  if last == PLUS or last == MINUS then
    local before, found = text:match("^(.-)%s*(%[M[%w+-]*%]%d*[+-])$")
    body, adduct = before or text, found
  end
  local name, level = understand(body)
  if name then
    return { name = name, level = level, rule = "lipid.shorthand", aside = adduct and { adduct = adduct } or nil }
  end
  return { name = text, rule = "verbatim" }
end

return M
