--- How the names of two features stand to each other: whether what one says is among what
--- the other leaves open.
---
--- Only lipids have names of several levels: `PC 34:1` contains `PC 16:0_18:1` and never
--- equals it. Of all other types two features are the same or they are not.
local lazy = require "ligase.base.lazy"

local lipid = lazy "ligase.omics.names.lipid"

local M = {}

---@class ligase.asked: a name whose relatives are looked for
---@field feature_type string
---@field name string canonical
---@field level string|nil
---@field sum string|nil what all its relatives share
---@field class string|nil of a class: the sums of its members begin with it
---@field structure table

--- A name whose relatives can be looked for.
---@param feature_type string
---@param name string canonical
---@return ligase.asked|nil asked nil when names of this type, or this one, have no levels
function M.ask(feature_type, name)
  local structure = feature_type == "lipid" and lipid.parse(name)
  if not structure then
    return nil
  end
  local level, sum = lipid.level(structure), lipid.sum(structure)
  return { feature_type = feature_type, name = name, level = level, sum = sum, structure = structure,
    class = level == "class" and name or nil }
end

--- How another feature stands to the one asked for.
---@param asked ligase.asked
---@param name string canonical, of the same type
---@return "same"|"narrower"|"broader"|nil relation narrower: it says more of the same; nil: it is something else
function M.relation(asked, name)
  if name == asked.name then
    return "same"
  end
  local other = lipid.parse(name)
  if not other then
    return nil
  elseif lipid.contains(asked.structure, other) then
    return "narrower"
  end
  return lipid.contains(other, asked.structure) and "broader" or nil
end

--- A feature's name as it is at a lower level.
---@param feature_type string
---@param name string canonical
---@param level string one of ligase.omics.names.lipid's LEVELS
---@return string|nil name nil when it does not reach that level, or has none
function M.at_level(feature_type, name, level)
  local structure = feature_type == "lipid" and lipid.parse(name)
  return structure and lipid.print(structure, level) or nil
end

--- The levels at which features of a type can be set side by side, from what says least.
---@param feature_type string
---@return string[] empty when its names have no levels
function M.levels(feature_type)
  return feature_type == "lipid" and { "class", "species", "molecular species", "sn-position" } or {}
end

return M
