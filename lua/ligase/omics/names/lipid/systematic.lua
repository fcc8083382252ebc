--- Systematic names of open chains: "9Z,12Z-octadecadienoic acid", "methyl 3-hydroxybutanoate",
--- "11-hexadecanoyloxy-octadecanoic acid", "9Z-tetradecenoyl-CoA", "13-methyltritriacontane".
---
--- Reads what IUPAC's recommendations (1979, rules A and C; 1992 for lipids) make of chains with
--- double bonds and simple groups, and writes it as shorthand. Rings, triple bonds and secondary
--- alcohols are left alone.
local lpeg = require "lpeg"

local M = {}

local P, R, S, C, Cc, Cg, Ct = lpeg.P, lpeg.R, lpeg.S, lpeg.C, lpeg.Cc, lpeg.Cg, lpeg.Ct

-- ---- numbers in words -------------------------------------------------------------------

local UNITS = { "hen", "do", "tri", "tetra", "penta", "hexa", "hepta", "octa", "nona" }
local TENS = { [10] = "dec", [20] = "cos", [30] = "triacont", [40] = "tetracont", [50] = "pentacont",
  [60] = "hexacont" }

--- Stems by their number of carbons: "octadec", "docos", "tritriacont".
local function stems()
  local carbons = { meth = 1, eth = 2, prop = 3, but = 4, pent = 5, hex = 6, hept = 7, oct = 8, non = 9, dec = 10,
    undec = 11, hendec = 11, eicos = 20, icos = 20, heneicos = 21, henicos = 21 }
  for ten, word in pairs(TENS) do
    if ten >= 30 then
      carbons[word] = ten
    end
    for unit, prefix in ipairs(UNITS) do
      if not (unit == 1 and ten <= 20) then
        carbons[prefix .. word] = ten + unit
      end
    end
  end
  return carbons
end

local STEMS = stems()

local GROUPS = {
  methyl = "Me", ethyl = "Et", hydroxy = "OH", oxo = "oxo", keto = "oxo", epoxy = "Ep", hydroperoxy = "OOH",
  methoxy = "OMe", amino = "NH2", nitro = "NO2", bromo = "Br", chloro = "Cl", fluoro = "F", iodo = "I",
  mercapto = "SH", sulfanyl = "SH",
}
local COUNTS = { di = 2, tri = 3, tetra = 4, penta = 5, hexa = 6, hepta = 7, octa = 8, nona = 9, deca = 10 }

--- Acids that keep their trivial names in esters.
local ACYLS = { formate = "1:0", acetate = "2:0", propionate = "3:0", butyrate = "4:0", valerate = "5:0",
  isobutyrate = false, isovalerate = false }

local function choice(set)
  local names = {}
  for name in pairs(set) do
    names[#names + 1] = name
  end
  table.sort(names, function(a, b)
    return #a > #b or #a == #b and a < b
  end)
  local pattern = P(false)
  for _, name in ipairs(names) do
    pattern = pattern + P(name)
  end
  return pattern
end

-- ---- the grammar ------------------------------------------------------------------------

local digits = R "09" ^ 1 / function(text)
  return #text < 3 and math.tointeger(tonumber(text)) or 999
end
local dash = P "-" ^ -1
local locant = Ct(Cg(digits, "at") * ("(" * Cg(digits, "to") * ")") ^ -1 * Cg(C(S "EZ"), "geometry") ^ -1 * S "RS" ^ -1)
local locants = Ct(locant * ("," * locant) ^ 0)
local stem = choice(STEMS) / STEMS
local count = choice(COUNTS) / COUNTS

--- "(2E,4R)-", "(+/-)-": what is known of the stereochemistry, told before the name.
local stereo_item = Ct(Cg(digits, "at") * Cg(C(S "EZ"), "geometry")) + R "09" ^ 1 * S "RS" + S "EZRS"
local stereo = Ct("(" * (stereo_item * ("," * stereo_item) ^ 0) * ")" * dash) + Ct(P "(+/-)" * dash)

local function field(name, pattern)
  return Cg(pattern, name)
end

--- The chain itself: double bonds told before the stem or within the name.
local inner = "-" * ("(" * locants * ")" + locants) * "-"
local unsaturated = P "a" ^ -1 * field("inner", inner) ^ -1 * (field("count", count) + Cc(nil)) * "en"
local chain = (field("places", locants) * "-") ^ -1 * field("carbons", stem)
  * (unsaturated * field("is_unsaturated", Cc(true)) + P "an")
local short = field("carbons", stem) -- "octadecyl"

local branch = Ct((field("places", locants) * "-") ^ -1 * field("carbons", stem)
  * ("a" * field("count", count) * "en" + P "en" * field("count", Cc(1)) + P "an" + P(true)) * "yl" * #P(1)) -- heptyl
local simple = Ct(field("at", locants) * dash * field("times", count) ^ -1 * field("name", C(choice(GROUPS))) * dash)
local acyloxy = Ct(field("groups", Ct(simple ^ 0)) * chain * "oyloxy")
local group = Ct(field("at", locants) * dash * (field("times", count) ^ -1 * field("name", C(choice(GROUPS)))
  + field("acyl", acyloxy + "(" * acyloxy * ")")
  + field("branch", "(" * branch * ")" + branch - choice(GROUPS))) * dash)
local prefix = field("stereo", stereo) ^ -1 * field("groups", Ct(group ^ 0))

local function named(ending)
  return Ct(prefix * chain * ending) * -1
end

local acid = named(P "oic acid" + "oate") + named(field("is_diacid", Cc(true)) * P "edioic acid")
  + named(field("is_diacid", Cc(true)) * "e-" * ("1," * field("last", digits)) * "-dioic acid")
local acyl = named "oyl"
local aldehyde = named "al"
local more_ols = ("," * Ct(Cg(digits, "at") * S "RS" ^ -1)) ^ 1
local alcohol = Ct(prefix * "1-" * field("carbons", stem) * "anol") * -1
  + Ct(prefix * field("carbons", stem) * "anol" * field("is_bare_ol", Cc(true))) * -1
  + Ct(prefix * chain * "-1-ol") * -1
  + Ct(prefix * chain * "e-1" * S "RS" ^ -1 * field("ols", Ct(more_ols)) * "-" * field("ol_count", count) * "ol") * -1
local hydrocarbon = named "e"
local alkyl = Ct(prefix * (chain * (P "-1-yl" + "yl") + short * "yl")) * -1

-- ---- shorthand --------------------------------------------------------------------------

--- Places of double bonds with what is known of their geometry; nil when they are not all said.
local function double_bonds(found)
  local places = found.inner or found.places
  local wanted = found.is_unsaturated and (found.count or 1) or found.count or 0
  if wanted == 0 then
    return not places and "" or nil, 0
  elseif not places or #places ~= wanted then
    return nil
  end
  local geometry, parts = {}, {}
  for _, known in ipairs(found.stereo or {}) do
    geometry[known.at or false] = known.geometry
  end
  for i, place in ipairs(places) do
    if place.to or place.at >= found.carbons or place.at < 1 then
      return nil
    end
    parts[i] = place.at .. (place.geometry or geometry[place.at] or "")
  end
  return "(" .. table.concat(parts, ",") .. ")", wanted
end

local function bare_chain(found)
  local places, number = double_bonds(found)
  return places and ("%d:%d%s"):format(found.carbons, number, places)
end

local chain_text

--- ";9OH,10OH" of one group, or nil where a place is missing or beyond the chain.
local function group_text(item, carbons)
  local parts = {}
  for _, place in ipairs(item.at) do
    if place.geometry or place.at > carbons or place.to and item.name ~= "epoxy" then
      return nil
    end
  end
  if item.acyl or item.branch then
    local inside = #item.at == 1 and chain_text(item.acyl or item.branch)
    return inside and (";%d%s"):format(item.at[1].at, (item.acyl and "O(FA %s)" or "(%s)"):format(inside))
  elseif item.name == "epoxy" then
    local first, second = item.at[1].at, item.at[1].to or item.at[2] and item.at[2].at
    return #item.at + (item.at[1].to and 1 or 0) == 2 and second == first + 1 and not item.times
      and (";%dEp"):format(first) or nil
  elseif #item.at ~= (item.times or 1) then
    return nil
  end
  for i, place in ipairs(item.at) do
    parts[i] = place.at .. GROUPS[item.name]
  end
  return ";" .. table.concat(parts, ",")
end

--- The chain of a name with its groups.
---@return string|nil text, boolean|nil has_acyl
function chain_text(found)
  if not found then
    return nil
  end
  if found.is_diacid then
    if found.last and found.last ~= found.carbons then
      return nil
    end
    found.carbons = found.carbons - 1
  end
  local text, has_acyl = bare_chain(found), false
  for _, item in ipairs(found.groups or {}) do
    local more = text and group_text(item, found.carbons)
    text = more and text .. more
    has_acyl = has_acyl or item.acyl ~= nil
  end
  if found.is_diacid and text then
    text = ("%s;%dCOOH"):format(text, found.carbons)
  end
  return text, has_acyl
end

local function of_class(class, pattern, text)
  local found = chain_text(pattern:match(text))
  return found and class .. " " .. found
end

--- "methyl 9Z-octadecenoate"
local function ester(text)
  local first, second = text:match("^([^ ]+) ([^ ]+ate)$")
  local alcohol_chain = first and chain_text(alkyl:match(first:match("^%((.*)%)$") or first))
  if not alcohol_chain then
    return nil
  end
  local acid_chain = ACYLS[second] or chain_text(acid:match(second))
  return acid_chain and ("WE %s/%s"):format(alcohol_chain, acid_chain)
end

local function coenzyme(text)
  local acyl_text = text:match("^(.*oyl)[- ]coa$") or text:match("^(.*oyl)[- ]CoA$")
  if acyl_text then
    return of_class("CoA", acyl, acyl_text)
  end
  acyl_text = text:match("^(.*oyl)[- ]?l?%-?carnitine$")
    or text:match("^3%-%[(.*oyl)oxy%]%-4%-%(trimethylazaniumyl%)butanoate$")
  if acyl_text then
    return of_class("CAR", acyl, acyl_text)
  end
  acyl_text = text:match("^N%-(.*oyl)[- ]ethanolamine$") or text:match("^N%-%((.*oyl)%)[- ]ethanolamine$")
  return acyl_text and of_class("NAE", acyl, acyl_text)
end

--- "1-hexadecanol", "hexadecan-1-ol", "tricosane-1,2-diol"; where the group is must be said.
local function alcohol_text(text)
  local found = alcohol:match(text)
  if not found or found.is_bare_ol then
    return nil
  end
  local inside = chain_text(found)
  if inside and found.ols then
    if #found.ols ~= found.ol_count - 1 then
      return nil
    end
    for _, place in ipairs(found.ols) do
      if place.at > found.carbons then
        return nil
      end
      inside = ("%s;%dOH"):format(inside, place.at)
    end
  end
  return inside and "FOH " .. inside
end

--- What a systematic name says, in shorthand.
---@param text string
---@return string|nil shorthand nil when the name is not of this kind
function M.shorthand(text)
  if not text:find "[oae]" or #text < 6 then
    return nil
  end
  local plain = text:gsub("%a%a%a+", string.lower)
  local found, has_acyl = chain_text(acid:match(plain))
  if found then
    return (has_acyl and "FAHFA " or "FA ") .. found
  end
  return ester(plain) or coenzyme(plain) or of_class("FAL", aldehyde, plain) or alcohol_text(plain)
    or of_class("HC", hydrocarbon, plain)
end

return M
