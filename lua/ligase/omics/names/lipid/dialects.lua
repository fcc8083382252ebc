--- Names whose parts stand in another order or in another spelling: chain first (Skyline and
--- the labelled standards), snake case of panels, Biocrates, ALEX123, HMDB, plasmalogens.
---
--- Each rule rewrites a name into one that the grammar reads, adding nothing to it.
local heads = require "ligase.omics.names.lipid.heads"
local vendors = require "ligase.omics.names.lipid.vendors"

local M = {}

--- "18:1 Lyso PE", "15:0-18:1 PC", "12:0 Cholesteryl ester"
local function chain_first(text)
  local chains, class = text:match("^([%dOP][%w:%-_/;%(%),]*) +(%a[%w %-]*)$")
  -- "18:0(2OH) Ceramide" names its acyl chain, which this order does not say.
  if chains and chains:find("%d:%d") and heads.find(class)
    and not (chains:find("OH", 1, true) and class:find "^[Cc]er") then
    return class .. " " .. chains, "lipid.chain-first"
  end
  return nil
end

--- Sterols by carbons and double bonds, as the shorthand names their esters.
local STEROLS = {
  Desmosterol = "27:2", Zymosterol = "27:2", Campesterol = "28:1", Ergostadienol = "28:2", Ergosterol = "28:3",
  Sitosterol = "29:1", Stigmasterol = "29:2", Lanosterol = "30:2",
}
local STEROL_CODES = { CmE = "28:1", SiE = "29:1", StE = "29:2", ZyE = "27:2" }

--- "Campesterol ester 18:1", "18:1 Campesterol ester", and "SiE(18:1)" of LipidSearch
local function sterol_ester(text)
  local name, chain = text:match("^(%a+) ester ?%(?([%d:][^()]*)%)?$")
  if not name then
    chain, name = text:match("^(%d+:%d[^ ]*) (%a+) ester$")
  end
  local sterol = name and STEROLS[name:sub(1, 1):upper() .. name:sub(2)]
  if not sterol then
    name, chain = text:match("^(%a+)[ %(](%d+:%d[^()]*)%)?$")
    sterol = name and STEROL_CODES[name]
  end
  if sterol then
    return ("SE %s/%s"):format(sterol, chain), "lipid.sterol-ester", { detail = name }
  end
  return nil
end

local SNAKE = {
  hex_cer = "HexCer", hexcer = "HexCer", glc_cer = "GlcCer", gal_cer = "GalCer", lac_cer = "LacCer", laccer = "LacCer",
  hex2_cer = "Hex2Cer", hex3_cer = "Hex3Cer", cer = "Cer", sm = "SM", ce = "CE", fa = "FA", lyso_pc = "LPC",
  lyso_pe = "LPE", lyso_pg = "LPG", lyso_pi = "LPI", lyso_ps = "LPS", lyso_pa = "LPA", s_hex_cer = "SHexCer",
  cer1p = "CerP", cer_1p = "CerP", car = "CAR", acylcarnitine = "CAR",
}
for name in ("PC PE PS PG PI PA LPC LPE LPS LPG LPI LPA MG DG TG MAG DAG TAG CL BMP"):gmatch "%S+" do
  SNAKE[name:lower()] = name
end

--- "hex_cer_24_0", "pc_34_1"
local function snake(text)
  local class, carbons, double_bonds = text:match("^(%l[%l%d_]-)_(%d+)_(%d)$")
  local name = class and SNAKE[class]
  if name then
    return ("%s %s:%s"):format(name, carbons, double_bonds), "lipid.snake"
  end
  return nil
end

--- "PC aa C34:1", "PC ae C36:2", "lysoPC a C18:0"
local function biocrates(text)
  local class, kind, sum = text:match("^(%a+) ([ae]+) C(%d+:%d+)$")
  if not class then
    return nil
  elseif class == "PC" and kind == "aa" then
    return "PC " .. sum, "lipid.biocrates"
  elseif class == "PC" and kind == "ae" then
    return "PC O-" .. sum, "lipid.biocrates"
  elseif class:lower() == "lysopc" and (kind == "a" or kind == "e") then
    return "LPC " .. (kind == "e" and "O-" or "") .. sum, "lipid.biocrates"
  end
  return nil
end

--- "PE O-a 36:2" and "PE O-p 36:2", whose vinyl ether counts as a double bond
local function alex(text)
  local class, kind, carbons, double_bonds, rest = text:match("^(%w+) O%-([ap]) (%d+):(%d+)(.*)$")
  if not class then
    return nil
  elseif kind == "a" then
    return ("%s O-%s:%s%s"):format(class, carbons, double_bonds, rest), "lipid.alex"
  elseif tonumber(double_bonds) > 0 then
    return ("%s P-%s:%d%s"):format(class, carbons, tonumber(double_bonds) - 1, rest), "lipid.alex"
  end
  return nil
end

local PLASMALOGENS = { PlsEtn = "PE", PlsCho = "PC", PlsSer = "PS", PlsGro = "PG", PlsIns = "PI", PlsA = "PA" }

--- "PlsEtn (16:0p_18:1)": only where the chains show the ether
local function plasmalogen(text)
  local class, rest = text:match("^(Pls%a+)(.*)$")
  local name = class and PLASMALOGENS[class]
  if not name then
    class, rest = text:match("^Ether(L?P%u)(.*)$")
    name = class
  end
  if name and (rest:find("[OP]%-%d") or rest:find("%d[peo]%f[%W_]")) then
    return name .. rest, "lipid.plasmalogen"
  end
  return nil
end

--- "P-PE 34:1" and "O-PC 34:1" of LDA, "plasmenylPE 16:0/20:4" of Skyline's lists: the ether is
--- that of the sum or of the first chain
local function ether_first(text)
  local bond, class, rest = text:match("^([OP])%-(L?P%u) (%d.*)$")
  if not bond then
    local kind
    kind, class, rest = text:match("^plasm(%l+)yl[- ]?(P%u)[ %(]+(%d[^%(%)]*)%)?$")
    bond = kind == "en" and "P" or kind == "an" and "O"
    if not bond or not rest:find("[/_]") then
      return nil
    end
  end
  if bond and not rest:find("[OP]%-") then
    return ("%s %s-%s"):format(class, bond, rest), "lipid.ether-first"
  end
  return nil
end

--- MS-DIAL's doubts: "no MS2: PC 34:1", "low score: PC 34:1"
local function doubted(text)
  local doubt, name = text:match("^(no MS2): *(.+)$")
  if not doubt then
    doubt, name = text:match("^(low score): *(.+)$")
  end
  if not doubt then
    doubt, name = text:match("^(w/o MS2): *(.+)$")
  end
  if doubt then
    return name, "lipid.doubted", { evidence = doubt }
  end
  return nil
end

--- "PC 34:1 + O": an oxygen of a sum or of a single chain
local function plus_oxygen(text)
  local before, count, what, more = text:match("^(.-) *%+ *(%d?)(OH?)(%d?)$")
  if not before or before:find("[_/;+]") or not before:find("%d:%d") then
    return nil
  end
  local number = tonumber(count ~= "" and count or more ~= "" and more or 1)
  local inner = before:match("^(.*)%)$")
  local class, chain = (inner or before):match(inner and "^(.-) ?%(([^()]*)$" or "^(.-) ([^ ]*)$")
  if class and what then
    return ("%s %s;O%s"):format(class, chain, number > 1 and math.tointeger(number) or ""), "lipid.plus-oxygen",
      what == "OH" and { detail = text:match "%+ *(.*)$" } or nil
  end
  return nil
end

--- Marks that some tools and publishers put in the place of plain ones.
local MARKS = {
  ["\xE2\x80\x91"] = "-", ["\xE2\x80\x90"] = "-", ["\xE2\x88\x92"] = "-", ["\xE2\x80\x93"] = "-",
  ["\xE2\x80\x99"] = "'", ["\xE2\x80\xB2"] = "'", ["\xC2\xA0"] = " ",
}

--- HMDB's "PC(o-16:0/18:0)" and "CL(i-13:0/...)"; hyphens and primes of typesetters
local function respell(text)
  local plain = text:gsub("[\xC2\xE2][\x80-\xBF][\x80-\xBF]?", MARKS)
  plain = plain:gsub("\xC2\xA0", " ")
  plain = plain:gsub("(%d:%d+) (%(%d+[EZ]?[,%)])", "%1%2") -- "20:4 (5Z,8Z,11Z,13E)"
  plain = plain:gsub("([%(/])o%-(%d)", "%1O-%2"):gsub("([%(%[/])i%-(%d)", "%1iso-%2")
  if plain ~= text then
    return plain, "lipid.respelled"
  end
  return nil
end

local RULES = {
  chain_first, sterol_ester, snake, biocrates, alex, plasmalogen, ether_first, doubted, plus_oxygen, respell,
}
table.move(vendors.RULES, 1, #vendors.RULES, #RULES + 1, RULES)

--- The same name as the grammar reads it.
---@param text string
---@return string|nil rewritten nil when no rule applies
---@return string|nil rule the reason, where a rule knows the form but nothing of that kind can be
---@return table|nil aside
function M.rewrite(text)
  local reason
  for _, rule in ipairs(RULES) do
    local rewritten, name, aside = rule(text)
    if rewritten then
      return rewritten, name, aside
    end
    reason = reason or name
  end
  return nil, reason
end

return M
