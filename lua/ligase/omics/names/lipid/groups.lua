--- Functional groups of chains: how they are written and what they add.
---
--- Names are those of the shorthand (Liebisch et al. 2020, J Lipid Res 61:1539, table of
--- functional groups). What a group adds is told for a chain from which the replaced
--- hydrogen has been taken: a hydroxyl adds O, a keto group O less two H.
local M = {}

---@class ligase.lipid.group
---@field name string
---@field adds string atoms, hydrogens of the chain already taken off
---@field carbons integer how many carbons it adds to the sum of the chain
---@field double_bonds integer what it adds to the count of double bonds and rings in a sum

local function group(name, adds, carbons, double_bonds)
  return { name = name, adds = adds, carbons = carbons or 0, double_bonds = double_bonds or 0 }
end

---@type table<string, ligase.lipid.group>
local GROUPS = {}
for _, one in ipairs {
  group("OH", "O"), group("oxo", "OH-2", 0, 1), group("Ep", "OH-2", 0, 1), group("OOH", "O2"),
  group("OO", "O2H-2", 0, 1), group("oxy", "O"), group("Me", "CH2", 1), group("Et", "C2H4", 2),
  group("Pr", "C3H6", 3), group("My", "C", 1, 1), group("OMe", "CH2O", 1), group("COOH", "CO2", 1, 1),
  group("NH2", "NH"), group("NO2", "NO2H-1", 0, 1), group("CN", "CNH-1", 1, 2), group("SH", "S"),
  group("Su", "SO3O"), group("Ph", "HPO4"), group("Cl", "ClH-1"), group("Br", "BrH-1"), group("F", "FH-1"),
  group("I", "IH-1"), group("BOO", "C4H8O2", 4), group("MMAs", "C2H5OAs", 2),
  group("Glc", "C6H10O6", 6, 1),
} do
  GROUPS[one.name] = one
end

--- Other spellings: LIPID MAPS, LPPtiger and LipidLynxX.
local ALIASES = { Ke = "oxo", CHO = "oxo", keto = "oxo", Oxo = "oxo", EP = "Ep", me = "Me" }

--- A group by any of its names.
---@param name string
---@return ligase.lipid.group|nil
function M.find(name)
  return GROUPS[ALIASES[name] or name]
end

--- All spellings, longest first, for the grammar.
---@return string[]
function M.spellings()
  local names = {}
  for name in pairs(GROUPS) do
    names[#names + 1] = name
  end
  for name in pairs(ALIASES) do
    names[#names + 1] = name
  end
  table.sort(names, function(a, b)
    return #a > #b or #a == #b and a < b
  end)
  return names
end

return M
