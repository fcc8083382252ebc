--- Sterols and their conjugates, whose "chains" are the sterol itself: "ST 27:1;O",
--- "ST 27:1;O;S", "BA 24:1;O4;G", and esters of a sterol, "SE 27:1/18:2".
local classes = require "ligase.omics.names.lipid.classes"
local elements = require "ligase.omics.names.lipid.elements"
local grammar = require "ligase.omics.names.lipid.grammar"
local structures = require "ligase.omics.names.lipid.structure"

local M = {}

--- What a conjugate adds (Liebisch et al. 2020: S sulfate, G glycine, T taurine, sugars).
local CONJUGATES = {
  S = "SO3", G = "C2H3NO", T = "C2H5NO2S", Hex = "C6H10O5", HexNAc = "C8H13NO5", HexA = "C6H8O6", GlcA = "C6H8O6",
  Glc = "C6H10O5", Gal = "C6H10O5", GlcNAc = "C8H13NO5",
}

--- Whether a text begins like one of these.
---@param text string
---@return boolean
function M.begins(text)
  return text:find("^ST %d") ~= nil or text:find("^BA %d") ~= nil or text:find("^SE[ %(]%d") ~= nil
    or text:find("^SG %d") ~= nil
end

--- Four rings: CnH(2n+2), less two hydrogens for each ring and double bond.
local function sterol_atoms(carbons, double_bonds, oxygens)
  return { C = carbons, H = 2 * carbons + 2 - 2 * (4 + double_bonds), O = oxygens }
end

local function free(class, carbons, double_bonds, rest)
  local oxygens, conjugate = rest:match("^;O(%d*)(.*)$")
  if not oxygens then
    oxygens, conjugate = rest:match("^;(%d+)(.*)$") -- "ST 27:1;1"
  end
  if not oxygens or carbons < 17 or carbons > 40 or double_bonds > 12 then
    return nil, "a sterol's carbons, double bonds and oxygens are not all said or not possible"
  end
  oxygens = math.tointeger(tonumber(oxygens == "" and "1" or oxygens))
  local residue = conjugate:match("^;(%w+)$")
  if conjugate ~= "" and not CONJUGATES[residue] then
    return nil, ("the conjugate of the sterol is not understood: %s"):format(conjugate)
  end
  local atoms = sterol_atoms(carbons, double_bonds, oxygens)
  if residue then
    elements.add(atoms, CONJUGATES[residue])
  end
  local name = ("%s %d:%d;O%s%s"):format(class.name, carbons, double_bonds, oxygens > 1 and oxygens or "",
    residue and ";" .. residue or "")
  -- Whether the acid's own oxygens are counted in a conjugated bile acid differs between tools.
  local is_said = class.name ~= "BA" or not residue
  return structures.bare({ class = class, full = name, low = name, species = name, atoms = is_said and atoms or nil },
    "species")
end

local function ester(class, carbons, double_bonds, rest)
  local chain = rest:match("^/(.+)$")
  if rest == "" then -- sterol and acid in one sum
    local name = ("SE %d:%d"):format(carbons, double_bonds)
    return structures.bare({ class = class, full = name, low = name, species = name }, "species")
  end
  local pieces = chain and grammar.body(chain)
  if not pieces or #pieces > 1 then
    return nil, "a steryl ester is a sterol, a slash and one chain"
  end
  local name = ("SE %d:%d"):format(carbons, double_bonds)
  local sterol = sterol_atoms(carbons, double_bonds, 1)
  elements.add(sterol, { H = -1 })
  return structures.make({ class = class, full = name, low = name, species = name, joint = "/",
    rest = elements.formula(sterol) }, pieces)
end

--- Reads one.
---@param text string
---@return ligase.lipid.structure|nil structure
---@return string|nil reason
function M.read(text)
  local name, body = text:match("^(%u%u)[ %(](.*)$")
  if text:find("^SE%(") then
    body = body:match("^(.*)%)$")
  end
  local carbons, double_bonds, rest = (body or ""):match("^(%d%d?):(%d%d?)(.*)$")
  if not carbons then
    return nil, "a sterol's carbons and double bonds are not understood"
  end
  name = name == "SG" and "ST" or name
  carbons, double_bonds = math.tointeger(tonumber(carbons)), math.tointeger(tonumber(double_bonds))
  return (name == "SE" and ester or free)(classes.get(name), carbons, double_bonds, rest)
end

return M
