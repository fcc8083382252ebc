--- Sum formulas as tables of atom counts, and their exact masses.
---
--- Masses of the most abundant isotopes: AME2020 (Wang et al. 2021, Chinese Phys. C 45:030003).
local M = {}

--- Monoisotopic masses in Da.
local MASS = {
  C = 12.0, H = 1.00782503190, N = 14.00307400425, O = 15.99491461926, P = 30.97376199768,
  S = 31.97207117354, F = 18.99840316207, Cl = 34.968852694, Br = 78.9183376, I = 126.9044719, As = 74.92159455,
}

--- Hill order: carbon, hydrogen, then the others by the alphabet.
local ORDER = { "C", "H", "As", "Br", "Cl", "F", "I", "N", "O", "P", "S" }

local parsed = {}

--- The atoms of a formula.
---@param formula string such as "C8H18NO6P"; counts may be negative ("OH-2")
---@return table<string, integer> atoms shared, not to be changed
function M.parse(formula)
  local atoms = parsed[formula]
  if not atoms then
    atoms = {}
    for element, count in formula:gmatch("(%u%l?)(%-?%d*)") do
      assert(MASS[element], element)
      atoms[element] = (atoms[element] or 0) + (count == "" and 1 or math.tointeger(tonumber(count)))
    end
    parsed[formula] = atoms
  end
  return atoms
end

--- Adds atoms to a sum.
---@param sum table<string, integer> changed
---@param atoms table<string, integer>|string
---@param times? integer 1 by default
function M.add(sum, atoms, times)
  if type(atoms) == "string" then
    atoms = M.parse(atoms)
  end
  for element, count in pairs(atoms) do
    sum[element] = (sum[element] or 0) + count * (times or 1)
  end
end

--- The formula in Hill order.
---@param atoms table<string, integer>
---@return string|nil formula nil when a count is negative
function M.formula(atoms)
  local parts = {}
  for _, element in ipairs(ORDER) do
    local count = atoms[element] or 0
    if count < 0 then
      return nil
    elseif count > 0 then
      parts[#parts + 1] = count == 1 and element or element .. count
    end
  end
  return table.concat(parts)
end

--- The exact monoisotopic mass.
---@param atoms table<string, integer>
---@return number mass in Da, of the neutral molecule
function M.mass(atoms)
  local mass = 0.0
  for _, element in ipairs(ORDER) do -- in one order, so that the sum is the same on every machine
    mass = mass + MASS[element] * (atoms[element] or 0)
  end
  return mass
end

return M
