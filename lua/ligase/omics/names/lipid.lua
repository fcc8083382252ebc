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
local CLOSING = (")"):byte()

--- One pattern for the whole name. Its captures: class, where the chains begin, "_" or
--- "/" (or "" for one chain), and the chains' carbons and double bonds.
local function name_pattern()
  local P, R, C, Cc, Cp = lpeg.P, lpeg.R, lpeg.C, lpeg.Cc, lpeg.Cp
  local digits = C(R "09" ^ 1)
  local hydroxyls = ";O" * R "09" ^ -1
  local plain = (P "O-" + P "P-") ^ -1 * digits * ":" * digits
  local base = digits * ":" * digits * hydroxyls
  local acyl = digits * ":" * digits * hydroxyls ^ -1

  local function one_of(classes)
    local names, any = {}, P(false)
    for name in pairs(classes) do
      names[#names + 1] = name
    end
    table.sort(names, function(a, b) -- the longer first: "PC" must not hide "PCX"
      return #a > #b or #a == #b and a < b
    end)
    for _, name in ipairs(names) do
      any = any + P(name)
    end
    return C(any)
  end

  --- The separator is looked for before the chains are read, so that it is captured first.
  local function chains(first, other)
    local chain_text = (1 - lpeg.S "_/()") ^ 1
    return #(chain_text * "_") * Cc "_" * first * ("_" * other) ^ 1
      + #(chain_text * "/") * Cc "/" * first * ("/" * other) ^ 1
      + Cc "" * first
  end

  local function whole(classes, first, other)
    local body = Cp() * chains(first, other)
    return one_of(classes) * (P " " ^ 1 * body * -1 + P " " ^ 0 * "(" * body * ")" * -1)
  end
  return whole(CHAINS, plain, plain) + whole(SPHINGOLIPID_CHAINS, base, acyl)
end

local pattern = name_pattern()

--- Whether a chain can exist: at least one carbon, no more double bonds than bonds.
local function is_possible(carbons, double_bonds)
  local n = tonumber(carbons)
  return n >= 1 and n <= CARBONS_MOST and tonumber(double_bonds) * 2 <= n
end

--- Takes the pattern's captures and says what they mean.
---@return string|nil name, string|nil level
local function judge(text, class, start, separator, ...)
  if not class then
    return nil
  end
  local numbers = select("#", ...)
  for i = 1, numbers, 2 do
    if not is_possible(select(i, ...)) then
      return nil
    end
  end
  local chain_count = numbers // 2
  if chain_count > 1 and chain_count ~= (CHAINS[class] or SPHINGOLIPID_CHAINS[class]) then
    return nil
  end
  local closed = text:byte(-1) == CLOSING and -2 or -1
  local level = chain_count == 1 and "species" or separator == "/" and "sn-position" or "molecular species"
  return class .. " " .. text:sub(start, closed), level
end

local function understand(text)
  return judge(text, pattern:match(text))
end

local BLANK, PLUS, MINUS = 32, 43, 45

--- Reads one name.
---@param raw string a cell
---@return ligase.reading|nil reading nil when the cell is blank
function M.read(raw)
  local text = raw
  if raw:byte() <= BLANK or raw:byte(-1) <= BLANK then
    text = raw:match("^%s*(.-)%s*$")
    if text == "" then
      return nil
    end
  end
  local body, adduct = text, nil
  local last = text:byte(-1)
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
