--- Lipid names: read into one canonical form that says what was written and no more.
---
--- The canonical form is the LIPID MAPS shorthand (Liebisch et al. 2020, J Lipid Res
--- 61:1539); docs/lipids.md tells which dialects are read. Names of the plain kind
--- ("PC 16:0_18:1") take a short way, all others go through the grammar of
--- ligase.omics.names.lipid.parser.
local cell = require "ligase.omics.names.cell"
local lazy = require "ligase.base.lazy"
local levels = require "ligase.omics.names.lipid.levels"

-- The grammar takes ten milliseconds to load, and plain names do without it.
local chains = lazy "ligase.omics.names.lipid.chain"
local elements = lazy "ligase.omics.names.lipid.elements"
local parser = lazy "ligase.omics.names.lipid.parser"
local structures = lazy "ligase.omics.names.lipid.structure"

local M = {}

--- The levels of a name, from what says least to what says most.
M.LEVELS = levels

--- Classes whose chains are plain acyl or alkyl chains, with the number of chains.
local CHAINS = {
  PC = 2, PE = 2, PS = 2, PI = 2, PG = 2, PA = 2, LPC = 1, LPE = 1, LPS = 1, LPI = 1, LPG = 1, LPA = 1,
  DG = 2, TG = 3, MG = 1, CE = 1, FA = 1, CL = 4, BMP = 2,
}

--- Classes whose two chains in order need a third place ("DG 16:0/18:1/0:0") to be at positions.
local HAS_MORE_PLACES = { DG = true, BMP = true }

local find, sub, byte, match = string.find, string.sub, string.byte, string.match

-- ---- the plain kind ---------------------------------------------------------------------

--- Whether a chain of that size can exist. There are few sizes, so the answers are remembered.
local is_possible = setmetatable({}, { __index = function(self, size)
  local carbons, double_bonds = match(size, "^(%d+):(%d+)$")
  carbons, double_bonds = tonumber(carbons), tonumber(double_bonds)
  local possible = carbons ~= nil and carbons >= 1 and carbons <= 120 and double_bonds * 2 <= carbons
    and #size <= 5 and not find(size, "^0%d") and not find(size, ":0%d")
  if #size <= 5 then
    self[size] = possible
  end
  return possible
end })

--- What plain chains a text spells: their number, times -1 where their order is not known; 0: none of it is plain.
local function count_plain(text)
  local mark = find(text, "/", 1, true) and "/" or "_"
  local count, from = 0, 1
  while true do
    local at = find(text, mark, from, true)
    local piece = sub(text, from, at and at - 1 or -1)
    local size = byte(piece, 2) == 0x2D and (byte(piece) == 0x4F or byte(piece) == 0x50) and sub(piece, 3) or piece
    if not is_possible[size] then
      return 0
    end
    count = count + 1
    if not at then
      break
    end
    from = at + 1
  end
  return mark == "_" and count > 1 and -count or count
end

--- The same chains come under many classes, so what a text of chains says is remembered.
local remembered, remembered_count = {}, 0
local REMEMBERED_MOST = 20000

local function plain_count(text)
  local count = remembered[text]
  if count == nil then
    if remembered_count == REMEMBERED_MOST then
      remembered, remembered_count = {}, 0
    end
    count = count_plain(text)
    remembered[text], remembered_count = count, remembered_count + 1
  end
  return count
end

local BLANK, PLUS, MINUS, OPENING, CLOSING = byte " ", byte "+", byte "-", byte "(", byte ")"

--- "PC 34:1", "PC(34:1)" -> "PC", "34:1", whether that is how it is printed.
local function split(text)
  local blank = find(text, " ", 1, true)
  if blank then
    if byte(text, blank + 1) ~= OPENING then
      return sub(text, 1, blank - 1), sub(text, blank + 1), true
    end
    return nil
  end
  local bracket = find(text, "(", 1, true)
  if bracket and byte(text, -1) == CLOSING then
    return sub(text, 1, bracket - 1), sub(text, bracket + 1, -2), false
  end
  return nil
end

--- "PC 16:0_18:1" and its like.
---@return string|nil name, string|nil level
local function read_plain(text)
  local class, body, is_canonical = split(text)
  local wanted = class and CHAINS[class]
  if not wanted then
    return nil
  end
  local count = plain_count(body)
  if count == 0 or wanted == 1 and byte(body, 2) == MINUS then
    return nil
  elseif count == 1 then
    return is_canonical and text or class .. " " .. body, "species"
  elseif count == -wanted then
    return is_canonical and text or class .. " " .. body, "molecular species"
  elseif count == wanted and not HAS_MORE_PLACES[class] then
    return is_canonical and text or class .. " " .. body, "sn-position"
  end
  return nil
end

-- ---- structures -------------------------------------------------------------------------

--- Reads a name into its parts.
---@param text string
---@return ligase.lipid.structure|nil structure
---@return string|nil reason why it was not understood
function M.parse(text)
  local structure, reason = parser.read(match(text, "^%s*(.-)%s*$"))
  return structure, reason
end

--- Prints a structure.
---@param structure ligase.lipid.structure
---@param level? string one of M.LEVELS; its own by default
---@return string|nil text nil when the structure does not reach that level
---@return string|nil reason
function M.print(structure, level)
  return structures.print(structure, level)
end

--- The level of a structure.
---@param structure ligase.lipid.structure
---@return string level one of M.LEVELS
function M.level(structure)
  return levels[structure.rank]
end

--- A structure that says only as much as a lower level: "PC 16:0_18:1" at "species" is "PC 34:1".
---@param structure ligase.lipid.structure
---@param level string one of M.LEVELS
---@return ligase.lipid.structure|nil structure nil when it does not reach that level
---@return string|nil reason
function M.at_level(structure, level)
  local text, reason = structures.print(structure, level)
  if not text then
    return nil, reason
  end
  return parser.read(text)
end

--- What all lipids share that may be the same one: "PC 34:1" of `PC 16:0/18:1(9Z)`. Whatever
--- contains a lipid, or is contained in it, has the same sum, unless it is a class.
---@param structure ligase.lipid.structure
---@return string|nil text nil for a class or a category
function M.sum(structure)
  return structures.sum_text(structure)
end

--- Whether what `b` says is among what `a` leaves open: `PC 34:1` contains `PC 16:0_18:1`.
--- Each lipid contains itself; two that contain each other are written differently only.
---@param a ligase.lipid.structure
---@param b ligase.lipid.structure
---@return boolean
function M.contains(a, b)
  return structures.contains(a, b)
end

-- ---- reading ----------------------------------------------------------------------------

--- Longest acyl chain, in carbons, that a panel's "CER 24:0" is taken for.
local PANEL_ACYL_MOST = 30

--- "CER 16:0" with the base that the panel is known to mean, where the user says so.
local function assume_base(structure, options)
  local base = options.panel_sphingoid_base
  local class, first = structure.head.class, structure.chains[1]
  if not base or class.kind ~= "base" or class.chains ~= 2 or not structure.is_sum or first.said
    or first.carbons > PANEL_ACYL_MOST then
    return structure
  end
  base = base == true and "18:1;O2" or base
  local assumed = structures.make(structure.head, { base, first.text[chains.SUM], separator = "/" })
  return assumed or structure, assumed and ("sphingoid base %s"):format(base)
end

--- What a name may mean whose suffix or prefix differs between notations.
local function readings_of_ambiguous(text)
  if find(text, "^C%d+:%d+$") then
    return { "FA " .. sub(text, 2), "CAR " .. sub(text, 2) }
  elseif find(text, "^C%d+:?%d*%-DC$") or find(text, "^C%d+:?%d*%-OH$") then -- "C5-DC", "C14:1-OH"
    return { "FA " .. text, "CAR " .. text }
  elseif find(text, "%d:%d+p%f[%W_]") then -- the vinyl ether is one of the double bonds, or comes on top
    return { (text:gsub("(%d+):(%d+)p", "P-%1:%2")), (text:gsub("(%d+:%d+)p", "O-%1p")) }
  elseif find(text, "%d:%d+a%f[%W_]") then
    return { (text:gsub("(%d+:%d+)a", "O-%1")), (text:gsub("(%d+:%d+)a", "%1")) }
  end
  return nil
end

---@return string[]|nil candidates canonical names
local function candidates_of(text)
  local names = {}
  for _, reading in ipairs(readings_of_ambiguous(text) or {}) do
    local structure = parser.read(reading)
    names[#names + 1] = structure and structures.print(structure)
  end
  return names[2] and names or nil
end

--- The last structure that was read, because what has been read is often described next.
local latest = {}

local function read_other(text, options)
  local structure, reason, rule, aside = parser.read(text)
  local plain = not structure and cell.with_plain_blanks(text) or text
  if plain ~= text then
    local _
    structure, _, _, aside = parser.read(plain)
    rule = "lipid.respelled"
  end
  if not structure then
    return { name = text, rule = "verbatim", reason = reason, candidates = candidates_of(text) }
  end
  if options and options.panel_sphingoid_base then
    local assumed
    structure, assumed = assume_base(structure, options)
    if assumed then
      aside = aside or {}
      aside.assumed = assumed
    end
  end
  latest.name, latest.structure = structures.print(structure), structure
  return { name = latest.name, level = levels[structure.rank], rule = rule, aside = aside }
end

--- Reads one name.
---@param raw string a cell
---@param options? table panel_sphingoid_base: true ("18:1;O2") or the base that a panel's "CER 16:0" means
---@return ligase.reading|nil reading nil when the cell is blank
function M.read(raw, options)
  local text, first, last = raw, byte(raw), byte(raw, -1)
  if not first then
    return nil
  elseif first <= BLANK or last <= BLANK or first >= 0x7F or last >= 0x7F then
    text = cell.trim(raw)
    if not text then
      return nil
    end
    last = byte(text, -1)
  end
  if last ~= PLUS and last ~= MINUS then
    local name, level = read_plain(text)
    if name then
      return { name = name, level = level, rule = "lipid.shorthand" }
    end
  end
  return read_other(text, options)
end

local function describe(name)
  local structure = latest.name == name and latest.structure or parser.read(name)
  if not structure then
    return nil
  end
  local class = structure.head.class
  local atoms = structure.rank > structures.RANKS.class and structures.atoms(structure)
  local formula = atoms and elements.formula(atoms)
  return {
    class = class.name, category = class.category, level = levels[structure.rank], sum = structures.sum_text(structure),
    formula = formula or nil, mass = formula and elements.mass(atoms) or nil,
  }
end

--- Plain lipids of one class and sum have one formula: what was said of the first serves all.
local described, described_count = {}, 0

--- Class, sum and level of a plain name, as one text; nil when it is not plain.
local function kind_of(name)
  local class, level = match(name, "^%w+"), select(2, read_plain(name))
  if not level then
    return nil
  end
  local carbons, double_bonds, ethers, vinyls = 0, 0, 0, 0
  for ether, c, d in string.gmatch(sub(name, #class + 2), "([OP]?)%-?(%d+):(%d+)") do
    carbons, double_bonds = carbons + c, double_bonds + d
    ethers, vinyls = ethers + (ether == "O" and 1 or 0), vinyls + (ether == "P" and 1 or 0)
  end
  return ("%s %d:%d %d %d %s"):format(class, carbons, double_bonds, ethers, vinyls, level)
end

--- What is known of a lipid by its canonical name.
---@param name string
---@return table|nil attributes class, category, level, and where the name says them sum, formula and mass (Da,
--- monoisotopic, neutral); nil when it is no lipid's name. Not to be changed: lipids that share all of it share
--- the table.
function M.describe(name)
  local kind = kind_of(name)
  if not kind then
    return describe(name)
  end
  if described[kind] == nil then
    if described_count == REMEMBERED_MOST then
      described, described_count = {}, 0
    end
    described[kind], described_count = describe(name) or false, described_count + 1
  end
  return described[kind] or nil
end

return M
