--- What stands before the chains: plain classes, phosphate positions of inositides,
--- and glycosphingolipids, whose formula is the sum of their sugars.
---
--- Sugars and series: IUPAC-IUB nomenclature of glycolipids (Chester 1998, Pure Appl Chem
--- 69:2475); gangliosides after Svennerholm.
local classes = require "ligase.omics.names.lipid.classes"
local elements = require "ligase.omics.names.lipid.elements"
local lpeg = require "lpeg"

local M = {}

---@class ligase.lipid.head
---@field class ligase.lipid.class
---@field full string as printed from the structure defined level on
---@field low string as printed at the sn-position and molecular species levels
---@field species string as printed for sums
---@field generic string|nil the same sugars without telling isomers apart: "Hex2Cer" for LacCer
---@field joint string|nil what is printed before the chains, a blank by default
---@field rest string|nil formula that takes the place of the class's
---@field atoms table|nil of the whole lipid, where it has no chains
---@field chain string|nil the chain on the head
---@field is_less boolean|nil it was written as one that says more ("Sulfatide" is a galactosylceramide)
---@field aside table|nil

--- Anhydro residues, and the generic sugar that stands for them where isomers are not told apart.
local SUGARS = {
  Hex = "C6H10O5", HexNAc = "C8H13NO5", HexA = "C6H8O6", NeuAc = "C11H17NO8", NeuGc = "C11H17NO9", Fuc = "C6H10O4",
  Kdn = "C9H14O8", Xyl = "C5H8O4", S = "SO3", Ac = "C2H2O",
}
local GENERIC = {
  Gal = "Hex", Glc = "Hex", Man = "Hex", GalNAc = "HexNAc", GlcNAc = "HexNAc", GlcA = "HexA", GalA = "HexA",
  KDN = "Kdn", Neu5Ac = "NeuAc", Neu5Gc = "NeuGc", SO3 = "S",
}
local ORDER = { "Hex", "HexA", "HexNAc", "NeuAc", "NeuGc", "Kdn", "Fuc", "Xyl", "S", "Ac" }

--- Names of whole sugar chains: of a ceramide ("GM1"), or as a part ("LacNAc").
local PARTS = { LacNAc = "Hex HexNAc", Lex = "Hex HexNAc Fuc", ["Ac-O-9"] = "Ac" }
local CORES = {
  LacCer = "Hex Hex", GA1 = "Hex Hex Hex HexNAc", GA2 = "Hex Hex HexNAc", GB3 = "Hex Hex Hex",
  GB4 = "Hex Hex Hex HexNAc", iGb3Cer = "Hex Hex Hex", iGb4Cer = "Hex Hex Hex HexNAc",
  Forssman = "Hex Hex Hex HexNAc HexNAc", MSGG = "Hex Hex Hex Hex HexNAc NeuAc",
  DSGG = "Hex Hex Hex Hex HexNAc NeuAc NeuAc", NOR1 = "Hex Hex Hex Hex HexNAc",
  NORint = "Hex Hex Hex Hex HexNAc HexNAc", NOR2 = "Hex Hex Hex Hex Hex HexNAc HexNAc",
  ["Globo-A"] = "Hex Hex Hex Hex HexNAc HexNAc Fuc", ["Globo-B"] = "Hex Hex Hex Hex Hex HexNAc Fuc",
  ["Globo-H"] = "Hex Hex Hex Hex HexNAc Fuc", ["Globo-Lex-9"] = "Hex Hex Hex Hex Hex HexNAc HexNAc Fuc",
  ["Branched-Forssman"] = "Hex Hex Hex Hex HexNAc HexNAc HexNAc", ["Para-Forssman"] = "Hex Hex Hex HexNAc HexNAc",
  ["i-Forssman"] = "Hex Hex Hex HexNAc HexNAc",
  SM1a = "Hex Hex Hex HexNAc S", SM1b = "Hex Hex Hex HexNAc S", SB1a = "Hex Hex Hex HexNAc S S",
  SHexCer = "Hex S", SHex2Cer = "Hex Hex S",
}
--- Other names of a core; only GlcCer and the like keep their own sugar.
local SYNONYMS = {
  GB3 = "Gb3 Gb3Cer GB3Cer", GB4 = "Gb4 Gb4Cer GB4Cer", GA1 = "Ga1", GA2 = "Ga2",
  SHexCer = "SulfoHexCer (3'-sulfo)Galbeta-Cer (3'-sulfo)GalCer SulfoGalCer Sulfatide sulfatide",
  SHex2Cer = "SulfoHex2Cer (3'-sulfo)LacCer",
  GlcCer = "Glucosylceramide glucosylceramide", GalCer = "Galactosylceramide galactosylceramide",
  LacCer = "Lactosylceramide lactosylceramide",
  HexCer = "Hex1Cer CMH CerG1 MHCer MHCER HEXCER Hexosylceramide HCER", Hex2Cer = "CDH CerG2 LCER",
  Hex3Cer = "CTH CerG3",
}

--- Names of a core that say which sugars it has, or where the sulfate stands.
local SAYS_MORE = {}
for name in ("(3'-sulfo)Galbeta-Cer (3'-sulfo)GalCer SulfoGalCer Sulfatide sulfatide (3'-sulfo)LacCer"):gmatch "%S+" do
  SAYS_MORE[name] = true
end

--- Gangliosides of the Gal-GalNAc-Gal-Glc series: how much of the core there is, and how many sialic acids.
local function put_gangliosides()
  local core = { ["1"] = "Hex Hex Hex HexNAc", ["2"] = "Hex Hex HexNAc", ["3"] = "Hex Hex" }
  local sialic = { M = 1, D = 2, T = 3, Q = 4, P = 5 }
  for letter, count in pairs(sialic) do
    for number, sugars in pairs(core) do
      for _, suffix in ipairs { "", "a", "b", "c" } do
        local name = "G" .. letter .. number .. suffix
        CORES[name] = sugars .. (" NeuAc"):rep(count)
        SYNONYMS[name] = "G" .. letter:lower() .. number .. suffix
      end
    end
  end
  CORES.GM4, SYNONYMS.GM4 = "Hex NeuAc", "Gm4"
end
put_gangliosides()

local canonical_core = {}
for name in pairs(CORES) do
  canonical_core[name] = name
end
for name, others in pairs(SYNONYMS) do
  for other in others:gmatch("%S+") do
    canonical_core[other] = name
  end
end

--- Ordered choice of literals, longest first.
local function choice(names)
  local sorted = {}
  for name in pairs(names) do
    sorted[#sorted + 1] = name
  end
  table.sort(sorted, function(a, b)
    return #a > #b or #a == #b and a < b
  end)
  local pattern = lpeg.P(false)
  for _, name in ipairs(sorted) do
    pattern = pattern + lpeg.P(name)
  end
  return pattern
end

--- Captures the sugars of a prefix ("sugar", name, count) and then the core or the kind of end.
local function glyco_pattern()
  local P, C, Cc, Ct = lpeg.P, lpeg.C, lpeg.Cc, lpeg.Ct
  local names = {}
  for _, set in ipairs { SUGARS, GENERIC, PARTS } do
    for name in pairs(set) do
      names[name] = true
    end
  end
  names.S, names.Ac = nil, nil
  local count = lpeg.R "19" / tonumber + Cc(1)
  local sugar = Ct(C(choice(names)) * count)
  local linkage = P "(alpha2-" * lpeg.R "09" * ")" + P "beta" + P "alpha"
  local link = P "-" ^ -1
  local prefix = (sugar + "(" * sugar * ")") * linkage ^ -1 * link
  local acid = C(P "NeuAc" + "NeuGc")
  local variant = Ct("(" * acid * ("/" * acid) ^ 0 * ")") + Cc(false)
  local core = C(choice(canonical_core) * P "-" ^ 0) * C(P " alpha" ^ -1) * variant
  local ending = C(P "Cer" + P "IPC")
  return Ct(prefix ^ 0) * (Cc "core" * core * -1 + Cc "ending" * ending * -1)
end

local glyco -- made when a head is first met that is no plain class: that takes milliseconds

local function add_sugars(sum, names, times)
  for name in names:gmatch("%S+") do
    sum[name] = (sum[name] or 0) + (times or 1)
  end
end

--- How the sugars are written where isomers are not told apart: "Hex2HexNAc".
local function composition(sum)
  local parts = {}
  for _, name in ipairs(ORDER) do
    local count = sum[name] or 0
    if count > 0 then
      parts[#parts + 1] = count == 1 and name or name .. count
    end
  end
  return table.concat(parts)
end

local function rest_of(sum, ending)
  local atoms = {}
  for name, count in pairs(sum) do
    elements.add(atoms, SUGARS[name], count)
  end
  elements.add(atoms, ending == "IPC" and "C6H12O8P" or "H")
  return elements.formula(atoms)
end

--- Named sialic acids stand for those of the core: "GD1a(NeuGc/NeuAc)".
local function vary(sum, variant)
  for _, acid in ipairs(variant or {}) do
    if acid == "NeuGc" then
      sum.NeuAc, sum.NeuGc = (sum.NeuAc or 0) - 1, (sum.NeuGc or 0) + 1
    end
  end
  return (sum.NeuAc or 0) >= 0
end

local function glycolipid(text)
  glyco = glyco or glyco_pattern()
  local prefixes, kind, core, alpha, variant = glyco:match(text)
  if not prefixes then
    return nil
  end
  local sum, is_generic = {}, true
  for _, sugar in ipairs(prefixes) do
    local name = sugar[1]
    is_generic = is_generic and SUGARS[name] ~= nil
    add_sugars(sum, PARTS[name] or GENERIC[name] or name, sugar[2])
  end
  local full, low = text, text
  if kind == "core" then
    local name = canonical_core[core]
    if not CORES[name] then
      return glycolipid(name)
    end
    add_sugars(sum, CORES[name])
    if not vary(sum, variant) then
      return nil
    end
    full = #prefixes == 0 and name .. alpha .. text:sub(#core + #alpha + 1) or text
    low = full
  elseif #prefixes == 0 then
    return nil
  elseif is_generic and not text:find("-", 1, true) then
    full = composition(sum) .. core
    low = full
  elseif text:find("-", 1, true) or #prefixes > 1 then
    low = composition(sum) .. (core == "IPC" and "-IPC" or core)
  end
  local class = {
    name = low, category = "SP", kind = "base", headed = true, slots = 2, chains = 2,
    rest = rest_of(sum, kind == "ending" and core or "Cer"),
    lyso = text == "HexCer" and { "LHexCer" } or nil,
  }
  return { class = class, full = full, low = low, species = low,
    generic = composition(sum) .. (core == "IPC" and "-IPC" or "Cer") }
end

--- Acyl residues on the first hydroxyl group of an acylceramide, by carbons. (What LIPID MAPS
--- calls carboceroyl there has 28.)
local ACYL = {
  myristoyl = 14, palmitoyl = 16, stearoyl = 18, eicosanoyl = 20, behenoyl = 22, lignoceroyl = 24, cerotoyl = 26,
  carboceroyl = 28,
}

local function plain(name)
  local class = classes.find(name)
  return class and { class = class, full = class.name, low = class.name, species = class.name }
end

--- "PIP2[3',5']": the positions are kept, but not in a sum.
local function inositide(text)
  local name, positions = text:match("^(L?PIP[23]?)[%[(]([%d,'\xE2\x80\x99]+)[%])]$")
  local head = name and plain(name)
  if not head then
    return nil
  end
  local places = {}
  for place in positions:gmatch("[3-5]") do
    places[#places + 1] = place .. "'"
  end
  if #places ~= math.tointeger(tonumber(name:match("%d") or 1)) then
    return nil
  end
  head.full = ("%s(%s)"):format(name, table.concat(places, ","))
  head.low = head.full
  return head
end

--- "Cer[NS]", "Cer-NS": the kinds of acid and base, which the chains tell too.
local function ceramide_kind(text)
  local name, kind = text:match("^(%a[%w]-)%[(%u+)%]$")
  if not name then
    name, kind = text:match("^(Cer)[-_](%u+)$")
  end
  if kind and kind:find("^[ANBEO]+[DPSH]+S?$") and #kind <= 4 then
    local head = M.find(name)
    if head and head.class.kind == "base" then
      local copy = { aside = { subclass = kind } }
      return setmetatable(copy, { __index = head })
    end
  end
  return nil
end

local function acylceramide(text)
  local residue = text:match("^1%-O%-(%a+)%-Cer$")
  local carbons = residue and ACYL[residue]
  local head = carbons and plain "ACer"
  if head then
    head.chain = carbons .. ":0"
  end
  return head
end

local known, known_count = {}, 0
local KNOWN_MOST = 5000

--- What a text before the chains means.
---@param text string without the blank or bracket that follows
---@return ligase.lipid.head|nil head shared, not to be changed
function M.find(text)
  local head = known[text]
  if head == nil then
    local bare = text:gsub("[%(%[]1[%)%]]$", "")
    head = plain(bare) or inositide(bare) or glycolipid(bare) or ceramide_kind(bare) or acylceramide(bare) or false
    if head and SAYS_MORE[bare] then
      head.is_less = true
    end
    if known_count < KNOWN_MOST and #text < 60 then
      known[text], known_count = head, known_count + 1
    end
  end
  return head or nil
end

return M
