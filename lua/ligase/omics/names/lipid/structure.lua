--- A lipid as its parts, and how it is printed at each level.
---
--- Levels of Liebisch et al. 2020 (J Lipid Res 61:1539). A structure says as much as was
--- written: it can be printed at its own level and at every lower one, never higher.
local chain_text = require "ligase.omics.names.lipid.chain_text"
local chains = require "ligase.omics.names.lipid.chain"
local classes = require "ligase.omics.names.lipid.classes"
local elements = require "ligase.omics.names.lipid.elements"

local M = {}

---@class ligase.lipid.structure
---@field head ligase.lipid.head
---@field chains (ligase.lipid.chain|false)[] false: a place without a chain ("0:0")
---@field head_chain ligase.lipid.chain|nil the acyl chain on the head ("ACer(FA 16:0)", "PE-N(FA 16:0)")
---@field head_sum boolean|nil there is such a chain, within the sum
---@field order string|nil "/" or "_"
---@field rank integer its level, as an index into LEVELS
---@field detail integer how much is said of its chains (1 to 3)
---@field trivial string|nil the trivial name by which it is printed
---@field pieces string[]|nil its chains as they were written, and the field separator
---@field head_piece string|nil the chain on its head as it was written
---@field is_merged boolean|nil chains that were written apart have become one sum

M.LEVELS = require "ligase.omics.names.lipid.levels"
local CATEGORY, CLASS, SPECIES, MOLECULAR, SN = 1, 2, 3, 4, 5
M.RANKS = {}
for rank, level in ipairs(M.LEVELS) do
  M.RANKS[level] = rank
end

local ETHER_PREFIX = { [0] = "", "O-", "dO-", "tO-", "eO-" }
local ETHER_COUNT = { [""] = 0, ["O-"] = 1, ["P-"] = 1, ["dO-"] = 2, ["tO-"] = 3, ["eO-"] = 4 }

-- ---- sums -------------------------------------------------------------------------------

local function add_sum(total, chain)
  total.carbons = total.carbons + chain.sum.carbons
  total.double_bonds = total.double_bonds + chain.sum.double_bonds
  total.ethers = total.ethers + (ETHER_COUNT[chain.bond] or 0)
  if chain.bond == "P-" then
    total.double_bonds = total.double_bonds + 1
    total.vinyl = total.vinyl + 1
  end
  for element, count in pairs(chain.sum.extra) do
    total.extra[element] = (total.extra[element] or 0) + count
  end
end

--- Carbons, double bonds, ethers and further atoms of all chains together.
---@param structure ligase.lipid.structure
---@return table sum {carbons=, double_bonds=, ethers=, vinyl=, extra=}
function M.sum(structure)
  local total = { carbons = 0, double_bonds = 0, ethers = 0, vinyl = 0, extra = {} }
  for _, chain in ipairs(structure.chains) do
    if chain then
      add_sum(total, chain)
    end
  end
  if structure.head_chain then
    add_sum(total, structure.head_chain)
  end
  return total
end

-- ---- printing ---------------------------------------------------------------------------

--- What all lipids share that may be the same one: class, ethers, carbons and double bonds of
--- all chains together ("PC 34:1"). Further oxygens are left out, because `SM 34:1` leaves
--- them open, and vinyl ethers count as ethers. Whatever `contains` says yes to shares it.
---@param structure ligase.lipid.structure
---@return string|nil text nil for a class or a category
function M.sum_text(structure)
  local head = structure.head
  if structure.rank < SPECIES then
    return nil
  elseif #structure.chains == 0 then
    return head.full
  end
  local total = M.sum(structure)
  return ("%s %s%d:%d"):format(head.generic or head.class.name, ETHER_PREFIX[total.ethers] or "?", total.carbons,
    total.double_bonds)
end

local function nth_chain_text(structure, i, detail)
  local chain = structure.chains[i]
  if not chain then
    return "0:0"
  end
  return (i == 1 and structure.head.class.headed and chain.headed or chain.text)[detail]
end

--- Whether the head's place on the base is printed: "SM(1) 18:1(4E);3OH/16:0".
local function has_place(structure, detail)
  local class, base = structure.head.class, structure.chains[1]
  return detail == chains.FULL and class.headed and base and base.is_base and #base.groups > 0
end

local function head_text(structure, detail)
  local head = structure.head
  local text = detail >= chains.STRUCTURE and head.full or head.low
  if structure.head_chain then
    text = ("%s(FA %s)"):format(text, structure.head_chain.text[detail])
  elseif structure.head_sum then
    text = text .. "(FA)"
  end
  return has_place(structure, detail) and text .. "(1)" or text
end

local function species_text(structure)
  local head = structure.head
  local name = (structure.head_chain or structure.head_sum) and head.species .. "(FA)" or head.species
  if #structure.chains == 0 then
    return name
  end
  local total = M.sum(structure)
  return ("%s%s%s%d:%d%s"):format(name, head.joint or " ", ETHER_PREFIX[total.ethers] or "?", total.carbons,
    total.double_bonds, chain_text.extra(total.extra))
end

local function chains_text(structure, detail, is_ordered)
  local parts = {}
  for i = 1, #structure.chains do
    if is_ordered or structure.chains[i] then
      parts[#parts + 1] = nth_chain_text(structure, i, detail)
    end
  end
  local mark = (is_ordered or structure.head.class.kind ~= "acyl") and structure.order ~= "_" and "/" or "_"
  return table.concat(parts, mark)
end

--- The head as it is printed in the structure's own name, without a chain on it.
---@param structure ligase.lipid.structure
---@return string
function M.head_at_own_level(structure)
  local head = structure.head
  if #structure.chains == 0 or structure.rank > SN then
    return head.full
  end
  return structure.rank == SPECIES and not structure.is_sum and head.species or head.low
end

--- Prints a structure at a level it reaches.
---@param structure ligase.lipid.structure
---@param rank integer index into LEVELS
---@return string
local function print_at(structure, rank)
  local head = structure.head
  if rank == CATEGORY then
    return classes.CATEGORIES[head.class.category]
  elseif rank == CLASS then
    return structure.rank == CLASS and head.full or head.class.name
  elseif #structure.chains == 0 then
    return head.full
  elseif rank == SPECIES then
    return structure.is_sum and head_text(structure, 1) .. (head.joint or " ") .. nth_chain_text(structure, 1, 1)
      or species_text(structure)
  end
  local detail = rank <= SN and 1 or math.min(rank - 4, structure.detail)
  return head_text(structure, detail) .. (head.joint or " ") .. chains_text(structure, detail, rank >= SN)
end

--- Prints a structure.
---@param structure ligase.lipid.structure
---@param level? string one of LEVELS; its own by default
---@return string|nil text nil when the structure does not reach that level
---@return string|nil reason
function M.print(structure, level)
  if level == nil then
    return structure.trivial or print_at(structure, structure.rank)
  end
  local rank = M.RANKS[level]
  if not rank then
    return nil, "there is no level " .. level
  elseif rank > structure.rank then
    return nil, ("it is known only at the level %s"):format(M.LEVELS[structure.rank])
  end
  return print_at(structure, rank)
end

-- ---- making -----------------------------------------------------------------------------

local function is_same(structure, a, b)
  if head_text(structure, a) ~= head_text(structure, b) then
    return false
  end
  for i = 1, #structure.chains do
    if nth_chain_text(structure, i, a) ~= nth_chain_text(structure, i, b) then
      return false
    end
  end
  return true
end

--- The lowest level whose text is the same, so that a level is never claimed for nothing said.
local function settle(structure)
  local detail = structure.head_chain and structure.head_chain.level or chains.FULL
  for i = 1, #structure.chains do
    local chain = structure.chains[i]
    detail = chain and chain.level < detail and chain.level or detail
  end
  while detail > 1 and is_same(structure, detail, detail - 1) do
    detail = detail - 1
  end
  structure.detail = detail
  local order = structure.order
  if order == "_" then
    structure.rank, structure.detail = MOLECULAR, 1
  elseif structure.is_sum or structure.is_loose then
    structure.detail = 1
    local chain = structure.chains[1]
    structure.rank = structure.is_loose and chain.bond == "P-" and MOLECULAR or SPECIES
  elseif detail > 1 then
    structure.rank = 4 + detail
  elseif order then
    structure.rank = SN
  else
    structure.rank = structure.chains[1].bond == "P-" and MOLECULAR or SPECIES
  end
  return structure
end

local function get_chains(pieces, class)
  local list, left = {}, 0
  for i, piece in ipairs(pieces) do
    if piece == "0:0" then
      list[i] = false
    else
      local role = class.kind == "base" and i == 1 and (class.headed and "headed" or "base") or nil
      local chain, reason = chains.get(piece, role)
      if not chain then
        return nil, reason
      elseif #chain.bond == 3 and (#pieces > 1 or class.chains == 1) then
        return nil, "more than one ether in one chain"
      elseif chain.bond ~= "" and (class.category == "ST" or class.category == "FA" and class.name ~= "FAHFA") then
        return nil, ("an ether in %s"):format(class.name)
      end
      list[i], left = chain, left + 1
    end
  end
  return list, left
end

local function plain_head(name)
  local class = classes.get(name)
  return { class = class, full = name, low = name, species = name }
end

local function fewer(head, left)
  local lyso = head.class.lyso
  local name = lyso and lyso[left]
  return name and name ~= "-" and plain_head(name) or nil
end

local function without_gaps(list)
  local kept = {}
  for _, chain in ipairs(list) do
    kept[#kept + 1] = chain or nil
  end
  return kept
end

local function wrong_count(class, count)
  return nil, ("%s has %d chain%s, not %d"):format(class.name, class.chains, class.chains == 1 and "" or "s", count)
end

local function single(head, list, head_chain, head_sum)
  local class = head.class
  local structure = { head = head, chains = list, head_chain = head_chain, head_sum = head_sum }
  if class.kind == "base" and class.chains == 1 or class.slots == 1 then
    return settle(structure)
  elseif class.chains == 1 then
    structure.is_loose = true
    return settle(structure)
  end
  structure.is_sum = true
  if head_chain then -- the chain on the head is known, the others only as a sum: all become one sum
    local total = M.sum(structure)
    structure.chains = { chains.sum(total.carbons, total.double_bonds, ETHER_PREFIX[total.ethers], total.extra,
      class.kind == "base") }
    structure.head_chain, structure.head_sum, structure.is_merged = nil, true, true
  end
  return settle(structure)
end

--- A chain longer than this is taken for the sum of those that are not written.
local ONE_CHAIN_MOST = 26

--- "TG 16:0_36:2": some chains of a class with three or more, and the sum of the others; all becomes one sum.
local function with_rest(head, list)
  local class, long, long_carbons = head.class, 0, 0
  for _, chain in ipairs(list) do
    if chain.sum.carbons > ONE_CHAIN_MOST then
      long, long_carbons = long + 1, long_carbons + chain.sum.carbons
    end
  end
  local others = class.chains - (#list - long) -- that the long ones stand for, two or more each
  if long == 0 then
    return nil, ("%s has %d chains, not %d, and none of these is long enough to be the sum of the others"):format(
      class.name, class.chains, #list)
  elseif others < 2 * long or long_carbons > others * ONE_CHAIN_MOST then
    return nil, ("%s has %d chains: %d carbons are no sum of %d of them"):format(class.name, class.chains,
      long_carbons, others)
  end
  local total = M.sum { chains = list }
  local bond = ETHER_PREFIX[total.ethers]
  if not bond then
    return nil, "more ethers than the shorthand has a sign for"
  end
  local structure = single(head, { chains.sum(total.carbons, total.double_bonds, bond, total.extra) })
  structure.is_merged = true
  return structure
end

local function is_with_rest(head, list, left, head_chain)
  local class = head.class
  return class.kind == "acyl" and class.chains > 2 and #list < class.chains and left == #list and not head_chain
end

--- A chain too long to be one, beside a place that is said to be empty.
local function long_chain(list)
  for _, chain in ipairs(list) do
    if chain and chain.sum.carbons > ONE_CHAIN_MOST then
      return chain.sum.carbons
    end
  end
  return nil
end

local function several(head, list, left, order, head_chain)
  if order == "_" and is_with_rest(head, list, left, head_chain) then
    return with_rest(head, list)
  end
  local class, total = head.class, #list
  local slots = class.slots - (head_chain and 1 or 0)
  local wanted = class.chains - (head_chain and 1 or 0)
  local is_complete = total == slots or total == wanted and left == total
  if left ~= wanted or not is_complete then
    local lesser = not head_chain and (total == class.slots or total == class.chains) and fewer(head, left)
    if not lesser then
      return wrong_count(class, left)
    end
    is_complete = total == lesser.class.slots
    local carbons = (order == "_" or not is_complete) and long_chain(list)
    if carbons then -- "DG 0:0_34:1": a monoglyceride, or the sum of a diglyceride?
      return nil, ("whether %d carbons beside an empty place are one chain or several is not said"):format(carbons)
    end
    head = lesser
    if not is_complete and left < total then
      order = "_"
    end
  elseif total < slots then
    order = "_" -- which of the places is empty is not said
  end
  if order ~= "/" and head.class.kind ~= "base" then
    list = without_gaps(list)
    order = "_"
  end
  if #list == 1 then
    return single(head, list)
  end
  return settle { head = head, chains = list, order = order, head_chain = head_chain }
end

local function of_pieces(head, pieces, head_piece)
  local class = head.class
  local head_chain, reason
  if head_piece and head_piece ~= "" then
    head_chain, reason = chains.get(head_piece)
    if not head_chain then
      return nil, reason
    end
  end
  local list, left = get_chains(pieces, class)
  if not list then
    return nil, left
  elseif left == 0 then
    return nil, "no chain is left"
  elseif #list == 1 then
    return single(head, list, head_chain, head_piece == "")
  end
  local mark = pieces.separator
  if class.kind == "base" and mark == "-" then
    return nil, "a hyphen between a sphingoid base and an acyl chain"
  end
  return several(head, list, left, (mark == "/" or mark == "\\") and "/" or mark, head_chain)
end

--- Makes a structure of a head and the texts of its chains.
---@param head ligase.lipid.head
---@param pieces string[] and field separator
---@param head_piece? string the chain on the head; "" when it is only said to be there
---@return ligase.lipid.structure|nil structure
---@return string|nil reason
function M.make(head, pieces, head_piece)
  head_piece = head_piece or head.chain
  local structure, reason = of_pieces(head, pieces, head_piece)
  if structure then
    structure.pieces, structure.head_piece = pieces, head_piece
  end
  return structure, reason
end

--- A structure that is a head alone: a class, a category, a sterol.
---@param head ligase.lipid.head
---@param level string
---@return ligase.lipid.structure
function M.bare(head, level)
  return { head = head, chains = {}, rank = M.RANKS[level], detail = 1 }
end

-- ---- formula ----------------------------------------------------------------------------

--- The atoms of a chain as it is bound; worked out once for each chain and binding.
local function atoms_of(chain, kind)
  local known = chain[kind]
  if known then
    return known
  end
  local hydrogens = kind == "base" and 1 or (kind == "alkyl" or chain.bond ~= "") and 1 or -1
  local total = { C = chain.carbons, H = 2 * chain.carbons + hydrogens - 2 * chain.double_bonds,
    O = hydrogens == -1 and 1 or 0, N = kind == "base" and 1 or 0 }
  if chain.bond == "P-" then
    total.H = total.H - 2
  end
  elements.add(total, chain.atoms)
  chain[kind] = total
  return total
end

local function chain_atoms(total, chain, kind)
  for element, count in pairs(atoms_of(chain, kind)) do
    total[element] = (total[element] or 0) + count
  end
end

--- A sum of several chains: each acyl chain has an oxygen and two hydrogens fewer.
local function sum_atoms(total, chain, class)
  local ethers = ETHER_COUNT[chain.bond]
  local has_base = class.kind == "base"
  local acyls = class.chains - ethers - (has_base and 1 or 0) - (class.kind == "wax" and 1 or 0)
  elements.add(total, { C = chain.carbons, H = 2 * chain.carbons - 2 * chain.double_bonds + class.chains - 2 * acyls,
    O = acyls, N = has_base and 1 or 0 })
  if chain.bond == "P-" then
    elements.add(total, { H = -2 })
  end
  elements.add(total, chain.atoms)
end

--- The atoms of a lipid.
---@param structure ligase.lipid.structure
---@return table<string, integer>|nil atoms nil when the name does not say them
function M.atoms(structure)
  local head, class = structure.head, structure.head.class
  local rest = head.rest or class.rest
  if head.atoms then
    return head.atoms
  elseif not rest or #structure.chains == 0 then
    return nil
  end
  local base = structure.chains[1]
  if class.kind == "base" and not base.said then
    return nil
  end
  local total = {}
  elements.add(total, rest)
  local count = 0
  for i, chain in ipairs(structure.chains) do
    if chain then
      count = count + 1
      if structure.is_sum then
        sum_atoms(total, chain, class)
        count = class.chains
      elseif class.name == "FAHFA" and chain.bond == "O-" then
        elements.add(total, { C = chain.carbons, H = 2 * chain.carbons - 3 - 2 * chain.double_bonds, O = 3 })
      else
        local kind = i == 1 and (class.kind == "base" and "base" or class.kind == "wax" and "alkyl") or class.kind
        chain_atoms(total, chain, kind == "base" and i > 1 and "acyl" or kind == "wax" and "acyl" or kind)
      end
    end
  end
  if structure.head_chain then
    chain_atoms(total, structure.head_chain, "acyl")
    count = count + 1
  end
  elements.add(total, { H = class.slots - count })
  return total
end

-- ---- containment ------------------------------------------------------------------------

local function head_name(head, rank)
  return rank == SPECIES and head.species or rank <= SN and head.low or head.full
end

local function head_contains(a, b)
  local name = head_name(a.head, a.rank)
  return name == head_name(b.head, a.rank) or name == b.head.generic
    or name == a.head.class.name and a.head.class == b.head.class
end

local function same_extra(a, b)
  for element, count in pairs(a) do
    if (b[element] or 0) ~= count then
      return false
    end
  end
  for element, count in pairs(b) do
    if (a[element] or 0) ~= count then
      return false
    end
  end
  return true
end

local function sum_contains(a, b)
  local first, second = M.sum(a), M.sum(b)
  local base = a.chains[1]
  return first.carbons == second.carbons and first.double_bonds == second.double_bonds
    and first.ethers == second.ethers and (first.vinyl == 0 or first.vinyl == second.vinyl)
    and (base.is_base and not base.said or same_extra(first.extra, second.extra))
end

local function chain_contains(a, b, detail)
  if not a or not b then
    return a == b
  elseif a.is_base and not a.said then
    return a.carbons == b.sum.carbons and a.double_bonds == b.sum.double_bonds
  end
  return b.level >= detail and a.text[detail] == b.text[detail]
end

--- Each chain of one among those of the other, whatever their order.
local function chains_match(a, b)
  local free = without_gaps(b.chains)
  for _, chain in ipairs(a.chains) do
    if chain then
      local found
      for i, other in ipairs(free) do
        found = found or chain_contains(chain, other, 1) and i
      end
      if not found then
        return false
      end
      table.remove(free, found)
    end
  end
  return #free == 0
end

--- Whether what `b` says is among what `a` leaves open: `PC 34:1` contains `PC 16:0_18:1`,
--- and every lipid contains itself.
---@param a ligase.lipid.structure
---@param b ligase.lipid.structure
---@return boolean
function M.contains(a, b)
  if a.rank > b.rank then
    return false
  elseif a.rank == CATEGORY then
    return a.head.class.category == b.head.class.category
  elseif not head_contains(a, b) then
    return false
  elseif a.rank == CLASS or #a.chains == 0 then
    return a.rank == CLASS or a.head.full == b.head.full
  elseif a.is_sum or a.rank == SPECIES then
    return sum_contains(a, b)
  elseif a.order == "_" or a.order == nil and a.rank == MOLECULAR then
    return chains_match(a, b)
  end
  if #a.chains ~= #b.chains or a.head_chain and not chain_contains(a.head_chain, b.head_chain, a.detail) then
    return false
  end
  for i = 1, #a.chains do
    if not chain_contains(a.chains[i], b.chains[i], a.detail) then
      return false
    end
  end
  return true
end

return M
