--- Trivial names: fatty acids, sterols, sphingoid bases, prostanoids and other mediators.
---
--- Fatty acids, sterols and bases become their shorthand. Mediators keep their trivial name,
--- spelled in one way, because it says more than the shorthand (R and S); what they are is
--- known all the same, from the rules by which they are named (Smith et al. 1990, Eur J
--- Biochem 193:xiii, for eicosanoids; LIPID MAPS for the others).
local classes = require "ligase.omics.names.lipid.classes"
local elements = require "ligase.omics.names.lipid.elements"
local structures = require "ligase.omics.names.lipid.structure"
local systematic = require "ligase.base.lazy" "ligase.omics.names.lipid.systematic"

local M = {}

--- Stems of "... acid" and "...ate" with the chain they mean.
local ACIDS = {}
for name, chain in ([[
  acetic 2:0 propionic 3:0 butyric 4:0 valeric 5:0 caproic 6:0 enanthic 7:0 caprylic 8:0 pelargonic 9:0 capric 10:0
  undecylic 11:0 lauric 12:0 tridecylic 13:0 myristic 14:0 pentadecylic 15:0 palmitic 16:0 margaric 17:0 stearic 18:0
  nonadecylic 19:0 arachidic 20:0 heneicosylic 21:0 behenic 22:0 tricosylic 23:0 lignoceric 24:0 cerotic 26:0
  montanic 28:0 melissic 30:0
  butanoic 4:0 pentanoic 5:0 hexanoic 6:0 heptanoic 7:0 octanoic 8:0 nonanoic 9:0 decanoic 10:0 undecanoic 11:0
  dodecanoic 12:0 tridecanoic 13:0 tetradecanoic 14:0 pentadecanoic 15:0 hexadecanoic 16:0 heptadecanoic 17:0
  octadecanoic 18:0 nonadecanoic 19:0 eicosanoic 20:0 icosanoic 20:0 heneicosanoic 21:0 docosanoic 22:0
  tricosanoic 23:0 tetracosanoic 24:0 pentacosanoic 25:0 hexacosanoic 26:0 heptacosanoic 27:0 octacosanoic 28:0
  nonacosanoic 29:0 triacontanoic 30:0
  myristoleic 14:1(9Z) palmitoleic 16:1(9Z) palmitelaidic 16:1(9E) sapienic 16:1(6Z) petroselinic 18:1(6Z)
  oleic 18:1(9Z) elaidic 18:1(9E) vaccenic 18:1(11E) trans-vaccenic 18:1(11E) cis-vaccenic 18:1(11Z)
  gadoleic 20:1(9Z) gondoic 20:1(11Z) erucic 22:1(13Z) brassidic 22:1(13E) nervonic 24:1(15Z)
  linoleic 18:2(9Z,12Z) linolelaidic 18:2(9E,12E) alpha-linolenic 18:3(9Z,12Z,15Z) gamma-linolenic 18:3(6Z,9Z,12Z)
  stearidonic 18:4(6Z,9Z,12Z,15Z) dihomo-gamma-linolenic 20:3(8Z,11Z,14Z) mead 20:3(5Z,8Z,11Z)
  arachidonic 20:4(5Z,8Z,11Z,14Z) adrenic 22:4(7Z,10Z,13Z,16Z) timnodonic 20:5(5Z,8Z,11Z,14Z,17Z)
  clupanodonic 22:5(7Z,10Z,13Z,16Z,19Z) cervonic 22:6(4Z,7Z,10Z,13Z,16Z,19Z)
  ricinoleic 18:1(9Z);12OH phytanic 16:0;3Me,7Me,11Me,15Me pristanic 15:0;2Me,6Me,10Me,14Me
]]):gmatch("(%S+)%s+(%S+)") do
  ACIDS[name] = "FA " .. chain
end

--- Whole names, as they are usually abbreviated.
local NAMES = {
  AA = ACIDS.arachidonic, ARA = ACIDS.arachidonic, EPA = ACIDS.timnodonic, DHA = ACIDS.cervonic,
  ALA = ACIDS["alpha-linolenic"], GLA = ACIDS["gamma-linolenic"], DGLA = ACIDS["dihomo-gamma-linolenic"],
  SDA = ACIDS.stearidonic, AdA = ACIDS.adrenic,
  ["Eicosapentaenoic acid"] = "FA 20:5", ["Docosahexaenoic acid"] = "FA 22:6", ["Docosapentaenoic acid"] = "FA 22:5",
  Cholesterol = "ST 27:1;O", cholesterol = "ST 27:1;O", Chol = "ST 27:1;O", Ch = "ST 27:1;O", FC = "ST 27:1;O",
  ["Free cholesterol"] = "ST 27:1;O", Desmosterol = "ST 27:2;O", desmosterol = "ST 27:2;O",
  Campesterol = "ST 28:1;O", campesterol = "ST 28:1;O", Ergosterol = "ST 28:3;O", ergosterol = "ST 28:3;O",
  Sitosterol = "ST 29:1;O", sitosterol = "ST 29:1;O", ["beta-sitosterol"] = "ST 29:1;O", Lanosterol = "ST 30:2;O",
  ["beta-Sitosterol"] = "ST 29:1;O",
  lanosterol = "ST 30:2;O", Stigmasterol = "ST 29:2;O", stigmasterol = "ST 29:2;O",
  ["Cholesterol sulfate"] = "ST 27:1;O;S", ["cholesterol sulfate"] = "ST 27:1;O;S",
}

--- Mediators that have names of their own, with their shorthand as far as we know it.
local MEDIATORS = {}
for name, shorthand in ([[
  PGE1=FA 20:1(13E);[8-12cy5:0;11OH;9oxo];15OH
  PGE2=FA 20:2(5Z,13E);[8-12cy5:0;11OH;9oxo];15OH
  PGE3=FA 20:3(5Z,13E,17Z);[8-12cy5:0;11OH;9oxo];15OH
  PGD1=FA 20:1(13E);[8-12cy5:0;9OH;11oxo];15OH
  PGD2=FA 20:2(5Z,13E);[8-12cy5:0;9OH;11oxo];15OH
  PGD3=FA 20:3(5Z,13E,17Z);[8-12cy5:0;9OH;11oxo];15OH
  PGF1alpha=FA 20:1(13E);[8-12cy5:0;9OH,11OH];15OH
  PGF2alpha=FA 20:2(5Z,13E);[8-12cy5:0;9OH,11OH];15OH
  PGF3alpha=FA 20:3(5Z,13E,17Z);[8-12cy5:0;9OH,11OH];15OH
  6-keto-PGF1alpha=FA 20:3;O4
  PGA2=FA 20:5;O2
  PGB2=FA 20:5;O2
  PGJ2=FA 20:5;O2
  PGI2=FA 20:4;O3
  15d-PGJ2=FA 20:6;O
  TXB1=FA 20:2;O4
  TXB2=FA 20:3;O4
  TXB3=FA 20:4;O4
  LTB4=FA 20:4(6Z,8E,10E,14Z);5OH,12OH
  LXA4=FA 20:4;O3
  LXB4=FA 20:4;O3
  LXA5=FA 20:5;O3
  5,6,15-LXA4=FA 20:4;O3
  15-oxo-LXA4=FA 20:5;O3
  Resolvin D1=FA 22:6;O3
  Resolvin D2=FA 22:6;O3
  Resolvin D3=FA 22:6;O3
  Resolvin D4=FA 22:6;O3
  Resolvin D5=FA 22:6;O2
  Resolvin D6=FA 22:6;O2
  Resolvin E1=FA 20:5;O3
  Resolvin E2=FA 20:5;O2
  Maresin 1=FA 22:6;O2
  Maresin 2=FA 22:6;O2
  Protectin D1=FA 22:6;O2
  12S-HHTrE=FA 17:3(5Z,8E,10E);12OH
  12R-HHTrE=FA 17:3;O
  12-HHTrE=FA 17:3;O
  12-oxoHT=FA 17:4;O
  tetranor-12-HETE=FA 16:3;O
]]):gmatch("%s*([^=\n]+)=([^\n]+)") do
  MEDIATORS[name] = shorthand
end
local OTHER_MEDIATORS = {
  RvD1 = "Resolvin D1", RvD2 = "Resolvin D2", RvD3 = "Resolvin D3", RvD4 = "Resolvin D4", RvD5 = "Resolvin D5",
  RvE1 = "Resolvin E1", RvE2 = "Resolvin E2", MaR1 = "Maresin 1", PGF2a = "PGF2alpha", PD1 = "Protectin D1",
  ["PGF2\xCE\xB1"] = "PGF2alpha", ["6-keto-PGF1a"] = "6-keto-PGF1alpha", ["6-keto-PGF1\xCE\xB1"] = "6-keto-PGF1alpha",
}

--- Cysteinyl leukotrienes are no chains with groups, but their atoms are known.
local PEPTIDES = { LTC4 = "C30H47N3O9S", LTD4 = "C25H40N2O6S", LTE4 = "C23H37NO5S" }

--- Parents of the systematic trivial names: carbons and double bonds.
local PARENTS = {
  ETE = { 20, 5, 8, 11, 14 }, EPE = { 20, 5, 8, 11, 14, 17 }, DoHE = { 22, 4, 7, 10, 13, 16, 19 }, ODE = { 18, 9, 12 },
  OTrE = { 18, 9, 12, 15 },
}

--- Stem -> carbons, double bonds of the name, group, parent whose double bonds are known, and how
--- they come to be where they are: "move" (allylic oxidation) or "lose" (oxidation at the bond).
local STEMS = {}
for line in ([[
  HETE 20 4 OH ETE move|HpETE 20 4 OOH ETE move|Oxo-ETE 20 4 oxo ETE move|HEPE 20 5 OH EPE move
  HpEPE 20 5 OOH EPE move|HDoHE 22 6 OH DoHE move|HpDoHE 22 6 OOH DoHE move|HODE 18 2 OH ODE move
  HpODE 18 2 OOH ODE move|Oxo-ODE 18 2 oxo ODE move|HOTrE 18 3 OH OTrE move|HpOTrE 18 3 OOH OTrE move
  Oxo-OTrE 18 3 oxo OTrE move|HETrE 20 3 OH|HpETrE 20 3 OOH|HOME 18 1 OH|HpOME 18 1 OOH|DiHETE 20 4 OH2
  DiHEPE 20 5 OH2|DiHDoHE 22 6 OH2|DiHETrE 20 3 OH2 ETE lose|DiHOME 18 1 OH2 ODE lose|DiHODE 18 2 OH2 OTrE lose
  DiHOTrE 18 3 OH2|DiHDPE 22 5 OH2 DoHE lose|EET 20 3 Ep ETE lose|EpETE 20 4 Ep EPE lose|EpOME 18 1 Ep ODE lose
  EpODE 18 2 Ep|EpDPE 22 5 Ep DoHE lose|EpEDE 20 2 Ep]]):gmatch("[^|\n]+") do
  local stem, carbons, count, group, parent, rule = line:match("(%S+) (%d+) (%d+) (%S+) ?(%S*) ?(%S*)")
  STEMS[stem] = { carbons = tonumber(carbons), count = tonumber(count), group = group, parent = PARENTS[parent],
    rule = rule }
end

--- Other spellings of a stem, with what they are spelled as here.
local STEM_SPELLINGS = {
  HPETE = "HpETE", HPODE = "HpODE", HPEPE = "HpEPE", HPOTrE = "HpOTrE", HDHA = "HDoHE", HpDHA = "HpDoHE",
  diHETE = "DiHETE", DHET = "DiHETrE", diHETrE = "DiHETrE", diHEPE = "DiHEPE", diHOME = "DiHOME", diHODE = "DiHODE",
  diHDPA = "DiHDPE", DiHDPA = "DiHDPE", diHDPE = "DiHDPE", EpETrE = "EET", EpDPA = "EpDPE",
  ["Oxo-ETE"] = "Oxo-ETE", ["oxo-ETE"] = "Oxo-ETE", oxoETE = "Oxo-ETE", OxoETE = "Oxo-ETE", KETE = "Oxo-ETE",
  ["Oxo-ODE"] = "Oxo-ODE", ["oxo-ODE"] = "Oxo-ODE", oxoODE = "Oxo-ODE", OxoODE = "Oxo-ODE", KODE = "Oxo-ODE",
  ["oxo-OTrE"] = "Oxo-OTrE", OxoOTrE = "Oxo-OTrE", oxoOTrE = "Oxo-OTrE",
}
for stem in pairs(STEMS) do
  STEM_SPELLINGS[stem] = stem
end

local parse -- the parser of shorthand, set by M.use (it needs this module too)

--- Oxidation beside a cis double bond moves it towards the middle of the chain and makes it
--- trans: 5 turns 5Z into 6E, 12 turns 11Z into 10E. Beyond the last bond nothing moves.
--- nil where the name has been given to more than one acid.
local function moved(parent, at)
  local places, is_moved = {}, false
  local last = #parent
  for i = 2, last do
    local place = parent[i]
    local is_inner = last > 4 and i > 2 and i < last
    if at == place and (i == 2 or is_inner) then
      places[#places + 1], is_moved = (place + 1) .. "E", true
    elseif at == place + 1 and (i == last or is_inner) then
      places[#places + 1], is_moved = (place - 1) .. "E", true
    else
      places[#places + 1] = place .. "Z"
    end
  end
  if last == 4 and at == parent[3] + 1 then -- 13-HOTrE
    return { parent[2] .. "Z", (parent[3] - 1) .. "E", parent[4] .. "Z" }
  end
  return (is_moved or last > 4 and at > parent[last] + 1) and places or nil
end

local function lost(parent, at, beside)
  local places = {}
  for i = 2, #parent do
    if parent[i] ~= at then
      places[#places + 1] = parent[i] .. "Z"
    end
  end
  return beside == at + 1 and #places == #parent - 2 and places or nil
end

--- The shorthand of a name made of places and a stem.
local function shorthand(stem, places)
  local group, double_bonds = stem.group, nil
  if stem.rule == "move" and #places == 1 then
    double_bonds = moved(stem.parent, places[1])
  elseif stem.rule == "lose" and #places == 2 then
    double_bonds = lost(stem.parent, places[1], places[2])
  end
  if not double_bonds or #double_bonds ~= stem.count then
    local oxygens = (group == "OOH" or group == "OH2") and 2 or 1
    local more = (group == "oxo" or group == "Ep") and 1 or 0
    return ("FA %d:%d;O%s"):format(stem.carbons, stem.count + more, oxygens > 1 and oxygens or "")
  end
  local carried = group == "OH2" and ("%dOH,%dOH"):format(places[1], places[2]) or places[1] .. group
  return ("FA %d:%d(%s);%s"):format(stem.carbons, stem.count, table.concat(double_bonds, ","), carried)
end

--- "5S", "5(S)", "9(10)", "9,10", "12S,13R": places, and how they are spelled here.
local function places_of(text, is_pair)
  local plain = text:gsub("%(([RS])%)", "%1")
  local first, second = plain:match("^(%d+)%((%d+)%)$")
  if first then
    return { tonumber(first), tonumber(second) }, plain
  end
  local places, has_stereo = {}, plain:find("[RS]") ~= nil
  for place in (plain .. ","):gmatch("(%d+)[RS]?,") do
    places[#places + 1] = tonumber(place)
  end
  if #places == 2 and is_pair and not has_stereo then
    plain = ("%d(%d)"):format(places[1], places[2])
  end
  return places, plain
end

local function oxylipin(text)
  local mark, places_text, stem_text = text:match("^(%(?[+/-]*%)?%-?)(%d[%dRS,%(%)]*)%-(%a[%a%-]*)$")
  local name = stem_text and STEM_SPELLINGS[stem_text]
  if not name or mark ~= "" and mark ~= "(+/-)-" and mark ~= "(+/-)" then
    return nil
  end
  local stem = STEMS[name]
  local places, spelled = places_of(places_text, stem.group == "Ep")
  local wanted = (stem.group == "OH2" or stem.group == "Ep") and 2 or 1
  if #places ~= wanted then
    return nil
  end
  for _, place in ipairs(places) do
    if place < 2 or place > stem.carbons then
      return nil
    end
  end
  return shorthand(stem, places), ("%s%s-%s"):format(mark ~= "" and "(+/-)-" or "", spelled, name)
end

local BASE_ENDINGS = {
  [""] = { "SPB", 2 }, ["-1-phosphate"] = { "SPBP", 2 }, [" 1-phosphate"] = { "SPBP", 2 },
  ["-1-phosphocholine"] = { "LSM", 2 }, ["-1-phosphoethanolamine"] = { "LEPC", 2 },
}

--- "Sphingosine", "C16 Sphinganine-1-phosphate"
local function sphingoid(text)
  local carbons, kind, ending = text:match("^C?(%d*) ?[Ss]phing(%l+)(.*)$")
  local class = BASE_ENDINGS[ending or false]
  if not class or kind ~= "osine" and kind ~= "anine" or (carbons ~= "" and text:sub(1, 1) ~= "C") then
    return nil
  end
  carbons = carbons == "" and "18" or carbons
  return ("%s %s%s:%d"):format(class[1], "d", carbons, kind == "osine" and 1 or 0)
end

--- Gives this module the reader of shorthand names.
---@param reader fun(text: string): ligase.lipid.structure|nil
function M.use(reader)
  parse = reader
end

local function named(structure, name)
  local copy = {}
  for key, value in pairs(structure) do
    copy[key] = value
  end
  copy.trivial = name
  return copy
end

local function acid(text)
  local stem = text:match("^(.-) [Aa]cid$") or text:match("^(%S+i?)ate$") and text:match("^(.*)ate$") .. "ic"
  if not stem then
    return nil
  end
  return ACIDS[stem] or ACIDS[stem:sub(1, 1):lower() .. stem:sub(2)] or ACIDS[stem:lower()]
end

--- Whether a systematic name tells of R, S, E or Z what its shorthand does not.
local function has_more_stereo(text, printed)
  for mark in text:gmatch("%f[%w](%d*[RSEZ])%f[%W]") do
    if not printed:find(mark, 1, true) then
      return true
    end
  end
  return false
end

--- Reads a trivial name.
---@param text string
---@return ligase.lipid.structure|nil structure
---@return boolean|nil says_less the shorthand says less than the name: which sterol it is, R and S
function M.read(text)
  local plain = NAMES[text] or acid(text)
  if plain then
    return parse(plain), plain:find("^ST ") ~= nil
  end
  plain = sphingoid(text)
  if plain then
    return parse(plain), plain:find(":1", 1, true) ~= nil -- where its double bond is
  end
  local name = OTHER_MEDIATORS[text] or text
  if MEDIATORS[name] then
    return named(parse(MEDIATORS[name]), name)
  elseif PEPTIDES[name] then
    local class = classes.get "FA"
    return structures.bare({ class = class, full = name, low = name, species = name,
      atoms = elements.parse(PEPTIDES[name]) }, "species")
  end
  local chain, spelled = oxylipin(text)
  if chain then
    return named(parse(chain), spelled)
  end
  chain = systematic.shorthand(text)
  local structure = chain and parse(chain)
  return structure, structure and has_more_stereo(text, structures.print(structure))
end

return M
