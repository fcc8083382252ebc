--- Chains: acyl, alkyl, alkenyl chains and sphingoid bases.
---
--- A chain is made once from its text, never changed, and shared by all names that have it.
--- It carries its own text at each of the three levels of detail, because printing is
--- what is done most.
local chain_text = require "ligase.omics.names.lipid.chain_text"
local elements = require "ligase.omics.names.lipid.elements"
local grammar = require "ligase.omics.names.lipid.grammar"
local groups = require "ligase.omics.names.lipid.groups"

local M = {}

--- Levels of detail of a chain.
M.SUM, M.STRUCTURE, M.FULL = chain_text.SUM, chain_text.STRUCTURE, chain_text.FULL

local CARBONS_MOST = 120 -- of one chain, or of a sum composition
local ETHERS = { "O-", "dO-", "tO-", "eO-" }
local HYDROXYLS = { m = { 3 }, d = { 1, 3 }, t = { 1, 3, 4 } }
local CONVENTIONS = {}
for letter, places in pairs(HYDROXYLS) do
  CONVENTIONS[letter] = ("hydroxyl group%s at %s"):format(#places > 1 and "s" or "", table.concat(places, ","))
end

--- Above the levels of detail: what no level prints (R and S, that an oxo group is an aldehyde).
local MORE_THAN_FULL = chain_text.FULL + 1

--- Hydrogens that come or go with such an atom: it has three bonds, or one.
local HYDROGENS = { N = 1, P = 1, As = 1, Br = -1, Cl = -1, F = -1, I = -1 }

---@class ligase.lipid.chain
---@field carbons integer of the main chain
---@field double_bonds integer written ones
---@field bond string "", "O-", "P-", "dO-", ...
---@field is_base boolean
---@field said boolean of a base: whether its hydroxyl groups are written
---@field positions table[]|nil {at=, geometry=}
---@field groups table[] {name=, at=, chain=, joint=, ring=}
---@field extra table<string, integer> atoms whose group is not known
---@field level integer how much it says
---@field complete integer the lowest level at which it is printed with all that was written; 4: not even at the highest
---@field source string|nil as it was written
---@field convention string|nil where its hydroxyl groups stand by the convention of d, t and m
---@field doubt string|nil why the places of its double bonds were left out
---@field text string[] printed at each level
---@field headed string[] the same without the hydroxyl group that the class's rest stands on
---@field sum table {carbons=, double_bonds=, extra=}

-- ---- what a chain amounts to ------------------------------------------------------------

--- Atoms and counts that a group adds to its chain.
local function add_group(sum, atoms, group)
  if group.ring then
    local ring = group.ring
    sum.double_bonds = sum.double_bonds + 1 + ring.double_bonds
    atoms.H = (atoms.H or 0) - 2 - 2 * ring.double_bonds
    for hetero in ring.hetero:gmatch(".") do
      atoms[hetero] = (atoms[hetero] or 0) + 1
      if hetero == "N" then
        atoms.H = atoms.H + 1
      end
    end
    for _, inner in ipairs(ring.groups) do
      add_group(sum, atoms, inner)
    end
  elseif group.chain then
    local chain = group.chain
    elements.add(atoms, chain.atoms)
    elements.add(atoms, { H = group.acyl and -1 or 1, O = group.acyl and 1 or 0 })
    elements.add(atoms, { C = chain.carbons, H = 2 * chain.carbons - 1 - 2 * chain.double_bonds })
    if group.joint then
      atoms[group.joint] = (atoms[group.joint] or 0) + 1
      atoms.H = atoms.H + (group.joint == "N" and 1 or 0)
    end
    sum.carbons = sum.carbons + chain.sum.carbons
    sum.double_bonds = sum.double_bonds + chain.sum.double_bonds + (group.acyl and 1 or 0)
  else
    local known = groups.find(group.name)
    elements.add(atoms, known.adds)
    sum.carbons = sum.carbons + known.carbons
    sum.double_bonds = sum.double_bonds + known.double_bonds
  end
end

--- Chain atoms beyond the bare hydrocarbon, and its sum form.
local function amount(chain)
  local sum = { carbons = chain.carbons, double_bonds = chain.double_bonds, extra = {} }
  local atoms = {}
  for _, group in ipairs(chain.groups) do
    add_group(sum, atoms, group)
  end
  for element, count in pairs(chain.extra) do
    elements.add(atoms, { [element] = count })
    atoms.H = (atoms.H or 0) + (HYDROGENS[element] or 0) * count
  end
  for element, count in pairs(atoms) do
    if element ~= "C" and element ~= "H" and count ~= 0 then
      sum.extra[element] = count
    end
  end
  chain.sum, chain.atoms = sum, atoms
end

local function level_of(chain)
  if next(chain.extra) or chain.is_base and not chain.said then
    return M.SUM
  elseif chain.double_bonds > 0 and not chain.positions then
    return M.SUM
  end
  local level = M.FULL
  for _, position in ipairs(chain.positions or {}) do
    if not position.geometry and position.at ~= chain.carbons - 1 then
      level = M.STRUCTURE
    end
  end
  local function look(list)
    for _, group in ipairs(list) do
      if not group.at and not group.ring or group.ring and not group.ring.from then
        level = M.STRUCTURE
      elseif group.chain then
        level = math.min(level, math.max(group.chain.level, M.STRUCTURE))
      end
      if group.ring then
        look(group.ring.groups)
      end
    end
  end
  look(chain.groups)
  return level
end

--- The lowest level at which nothing of what was written of these groups is missing.
local function complete_groups(list)
  local most = M.SUM
  for _, group in ipairs(list) do
    local ring = group.ring
    if group.at and not group.is_implied or ring and (ring.from or ring.positions) then
      most = math.max(most, M.FULL)
    elseif not group.is_implied then
      most = math.max(most, M.STRUCTURE)
    end
    if ring then
      most = math.max(most, complete_groups(ring.groups), ring.says_more and MORE_THAN_FULL or 0)
    elseif group.chain then
      most = math.max(most, group.chain.complete)
    end
  end
  return most
end

local function complete_level(chain)
  local most = complete_groups(chain.groups)
  for _, position in ipairs(chain.positions or {}) do
    most = math.max(most, position.geometry and M.FULL or M.STRUCTURE)
  end
  return (chain.says_more or chain.doubt) and MORE_THAN_FULL or most
end

--- Completes a chain: sums, level and texts.
local function finish(chain)
  amount(chain)
  chain.level = level_of(chain)
  chain.complete = complete_level(chain)
  local core = ("%s%d:%d"):format(chain.bond, chain.carbons, chain.double_bonds)
  local sum = chain.sum
  chain.text = { ("%s%d:%d%s"):format(chain.bond, sum.carbons, sum.double_bonds, chain_text.extra(sum.extra)) }
  chain.headed = { chain.text[1] }
  local others = chain.is_base and chain_text.without_first_hydroxyl(chain.groups)
  for level = M.STRUCTURE, chain.level do
    local start = core .. chain_text.positions(chain.positions, level)
    chain.text[level] = start .. chain_text.groups(chain.groups, level)
    chain.headed[level] = others and start .. chain_text.groups(others, level) or chain.text[level]
  end
  return chain
end

-- ---- making -----------------------------------------------------------------------------

--- In a sum with oxygens the double bonds of keto groups and rings are counted too.
local function is_possible(written)
  local carbons, most = written.carbons, written.carbons // 2
  for _, item in ipairs(written.items) do
    most = item.kind == "extra" and carbons or most
  end
  return carbons >= 1 and carbons <= CARBONS_MOST and written.double_bonds <= most
end

local function sorted_positions(written)
  table.sort(written, function(a, b)
    return a.at < b.at
  end)
  return written
end

local add_item

local adders = {
  group = function(chain, item)
    local name = groups.find(item.name).name
    chain.says_more = chain.says_more or item.stereo ~= nil or item.name == "CHO" -- at the end
    local places = item.places or { item.at }
    local count = item.count or math.max(#places, 1)
    if count > 30 or #places > 0 and #places ~= count then
      return "the number of places is not that of the groups"
    end
    for i = 1, count do
      chain.groups[#chain.groups + 1] = { name = name, at = places[i] }
    end
  end,
  extra = function(chain, item)
    local count = item.count or 1
    if count > 30 then
      return "so many atoms are not possible"
    end
    chain.said = true
    if count > 0 then
      chain.extra[item.element] = (chain.extra[item.element] or 0) + count
    end
  end,
  chain = function(chain, item)
    local inner, reason = M.get(item.text)
    if not inner then
      return reason
    end
    chain.groups[#chain.groups + 1] = { at = item.at, joint = item.joint, acyl = item.acyl, chain = inner }
  end,
  ring = function(chain, item)
    if item.from and item.to <= item.from or item.size < 3 or item.size > 60 then
      return "there is no such ring"
    end
    local ring = { from = item.from, to = item.to, size = item.size, hetero = item.hetero,
      double_bonds = item.double_bonds, positions = item.positions, groups = {} }
    for _, inner in ipairs(item.inner or {}) do
      local reason = add_item(ring, inner)
      if reason then
        return reason
      end
    end
    chain.groups[#chain.groups + 1] = { ring = ring }
  end,
  --- The ring's third carbon is not counted in LIPID MAPS' "18:0(11Cp)".
  cyclopropane = function(chain, item)
    chain.says_more = chain.says_more or item.stereo ~= nil
    chain.carbons = chain.carbons + 1
    chain.groups[#chain.groups + 1] = { ring = { from = item.at, to = item.at and item.at + 2, size = 3, hetero = "",
      double_bonds = 0, groups = {} } }
  end,
  --- SwissLipids counts the methyl group in "17:0-15me".
  iso = function(chain, item)
    if item.at >= chain.carbons then
      return "the methyl group stands beyond the chain"
    end
    chain.carbons = chain.carbons - 1
    chain.groups[#chain.groups + 1] = { name = "Me", at = item.at }
  end,
  acid = function()
    return "whether the carbon of COOH is one of the chain's is not said"
  end,
  --- "2(1OH,3OH)": as many as are listed.
  counted = function(chain, item)
    if item.count ~= #item.inner then
      return "the number of groups is not that of the list"
    end
    for _, inner in ipairs(item.inner) do
      local reason = add_item(chain, inner)
      if reason then
        return reason
      end
    end
  end,
  positions = function(chain, item)
    chain.positions = sorted_positions(item.positions)
  end,
}

function add_item(chain, item)
  return adders[item.kind](chain, item)
end

--- "16:0p", "O-18:1p", "16:0e"; a bare "a" is alkyl to some and acyl to others.
local function apply_suffix(chain, written)
  local suffix = written.suffix
  if suffix == "a" and written.bond ~= "O" then
    return "the suffix a means alkyl in one notation and acyl in another"
  elseif suffix == "p" then
    if written.bond == "O" then
      if chain.double_bonds == 0 then
        return "a vinyl ether has a double bond"
      end
      chain.double_bonds = chain.double_bonds - 1
    elseif chain.double_bonds > 0 then
      return "whether the suffix p counts as one of the double bonds is not said"
    end
    chain.bond = "P-"
  elseif suffix then
    chain.bond = "O-"
  end
  return nil
end

local function apply_prefix(chain, written)
  if written.hydroxyls == "h" then
    chain.groups[#chain.groups + 1] = { name = "OH" }
  elseif written.hydroxyls then
    for _, at in ipairs(HYDROXYLS[written.hydroxyls]) do
      chain.groups[#chain.groups + 1] = { name = "OH", at = at, is_implied = true }
    end
    chain.is_base, chain.said, chain.marked = true, true, true
    chain.convention = CONVENTIONS[written.hydroxyls]
  end
  if written.iso then
    if chain.carbons < 4 then
      return "a chain so short has no branch"
    end
    chain.carbons = chain.carbons - 1
    chain.groups[#chain.groups + 1] = { name = "Me", at = chain.carbons - 1 }
  end
end

--- Whether the hydroxyl group that carries the rest of the molecule is missing from what is
--- written: the shorthand leaves it out from the structure defined level on.
local function lacks_first_hydroxyl(chain)
  if #chain.groups == 0 or chain.marked or next(chain.extra) or chain.double_bonds > 0 and not chain.positions then
    return false
  end
  for _, group in ipairs(chain.groups) do
    if group.at == 1 then
      return false
    end
  end
  return true
end

local function settle_base(chain, headed)
  chain.is_base = true
  chain.said = chain.said or #chain.groups > 0
  if headed and lacks_first_hydroxyl(chain) then
    local is_placed = true
    for _, group in ipairs(chain.groups) do
      is_placed = is_placed and (group.at or group.ring) ~= nil
    end
    table.insert(chain.groups, 1, { name = "OH", at = is_placed and 1 or nil, is_implied = true })
  end
end

--- Whether there is such a bond in the chain: between two of its carbons, and not the vinyl ether's own.
local function is_bond(chain, at)
  return at >= 1 and at < chain.carbons and not (at == 1 and chain.bond == "P-")
end

--- Why the places of double bonds cannot be. Where one of three or more is impossible and the others
--- are not, that place is the slip and not the chain's size: then all places are left out, with the doubt.
---@return string|nil reason
local function impossible_bonds(chain)
  local positions = chain.positions
  if not positions then
    return nil
  elseif #positions ~= chain.double_bonds then
    return ("%d double bonds, but %d places of them"):format(chain.double_bonds, #positions)
  end
  local met, wrong, impossible = {}, 0, nil
  for _, position in ipairs(positions) do
    local at = position.at
    if met[at] then
      return ("two double bonds at %d"):format(at)
    elseif not is_bond(chain, at) then
      wrong, impossible = wrong + 1, ("a double bond at %d in a chain of %d carbons"):format(at, chain.carbons)
    end
    met[at] = true
  end
  if wrong == 1 and #positions >= 3 then
    chain.positions, chain.doubt = nil, impossible
    return nil
  end
  return impossible
end

--- Why the places of double bonds and groups cannot be.
---@return string|nil reason
local function impossible_place(chain)
  local reason = impossible_bonds(chain)
  for _, group in ipairs(chain.groups) do
    local at = group.at or 1
    if at > chain.carbons or at < 1 then
      reason = reason or ("a group at %d in a chain of %d carbons"):format(at, chain.carbons)
    elseif group.ring and group.ring.from and (group.ring.from < 1 or group.ring.to > chain.carbons) then
      reason = reason or ("a ring from %d to %d in a chain of %d carbons"):format(group.ring.from, group.ring.to,
        chain.carbons)
    end
  end
  return reason
end

local function make(text, role)
  local written = grammar.chain(text)
  if not written then
    return nil, ("the chain %s is not understood"):format(text)
  elseif not is_possible(written) then
    return nil, ("there is no chain %d:%d"):format(written.carbons, written.double_bonds)
  end
  local chain = {
    carbons = written.carbons, double_bonds = written.double_bonds, groups = {}, extra = {}, said = false,
    bond = written.bond and (written.bond == "P" and "P-" or ETHERS[written.ethers or 1]) or "",
    positions = written.positions and sorted_positions(written.positions), is_base = false, source = text,
  }
  local reason = apply_suffix(chain, written) or apply_prefix(chain, written)
  for _, item in ipairs(written.items) do
    reason = reason or add_item(chain, item)
  end
  reason = reason or impossible_place(chain)
  if not reason and chain.marked and not role then
    reason = "a sphingoid base where an acyl chain belongs"
  elseif not reason and role and chain.bond ~= "" then
    reason = "an ether where a sphingoid base belongs"
  end
  if reason then
    return nil, reason
  end
  if role then
    settle_base(chain, role == "headed")
  end
  return finish(chain)
end

--- What has been made, by role and text; the same chains come under many classes.
local made = { plain = {}, base = {}, headed = {} }
local made_count = 0
local MADE_MOST = 20000

--- The chain that a text means.
---@param text string one chain as written
---@param role? "base"|"headed" it is a sphingoid base, whose first hydroxyl group may carry the rest ("headed")
---@return ligase.lipid.chain|nil chain shared, not to be changed
---@return string|nil reason
function M.get(text, role)
  local known = made[role or "plain"]
  local chain = known[text]
  if chain then
    return chain
  end
  local reason
  chain, reason = make(text, role)
  if chain then
    if made_count >= MADE_MOST then
      made, made_count = { plain = {}, base = {}, headed = {} }, 0
      known = made[role or "plain"]
    end
    known[text], made_count = chain, made_count + 1
  end
  return chain, reason
end

--- A chain as it says less: only its sum.
---@param carbons integer
---@param double_bonds integer
---@param bond string
---@param extra table<string, integer>
---@param is_base? boolean
---@return ligase.lipid.chain
function M.sum(carbons, double_bonds, bond, extra, is_base)
  return finish { carbons = carbons, double_bonds = double_bonds, bond = bond, extra = extra, groups = {},
    is_base = is_base or false, said = next(extra) ~= nil }
end

return M
