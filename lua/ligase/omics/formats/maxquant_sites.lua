--- MaxQuant's tables of modification sites: one row per site of a protein.
local formats = require "ligase.omics.formats"
local roles = require "ligase.omics.roles"

local PATTERNS = {
  { "^Intensity[ .](.+)___1$", quantity = "Intensity, one site" },
  { "^Intensity[ .](.+)___2$", quantity = "Intensity, two sites" },
  { "^Intensity[ .](.+)___3$", quantity = "Intensity, three sites" },
  { "^Intensity[ .](.+)$", quantity = "Intensity" },
  { "^Localization[ .]prob[ .](.+)$", quantity = "Localization prob" },
  { "^Score[ .]diff[ .](.+)$", quantity = "Score diff" },
  { "^PEP[ .](.+)$", quantity = "PEP" },
  { "^Score[ .](.+)$", quantity = "Score" },
  { "^Ratio[ .]mod[/.]base[ .](.+)$", quantity = "Ratio mod/base" },
  { "^Ratio[ .](.+)$", quantity = "Ratio" },
  { "^Occupancy[ .]ratio[ .]?(.+)$", quantity = "Occupancy ratio" },
  { "^Occupancy[ .]error[ .]scale[ .](.+)$", quantity = "Occupancy error scale" },
  { "^Occupancy[ .](.+)$", quantity = "Occupancy" },
}

local TOTALS = { "Intensity L", "Intensity M", "Intensity H", "Score for localization", "Score diff", "Ratio mod/base",
  "Intensity___1", "Intensity___2", "Intensity___3" }

return formats.register {
  name = "maxquant_sites",
  title = "MaxQuant table of modification sites",
  source = "Cox and Mann 2008, doi:10.1038/nbt.1511; MaxQuant's own tables.pdf, Modification sites",
  omics = { "proteomics" },
  recognise = function(look)
    if look:has("Positions within proteins", "Leading proteins", "Protein", "Localization prob") then
      return 0.97, "Positions within proteins, Leading proteins and Localization prob"
    end
  end,
  columns = function(header)
    local known = roles.feature(header, { "Protein" }, {})
    for position, name in ipairs(header) do
      if roles.is_one_of(name, table.unpack(TOTALS)) then
        known[position] = { role = "annotation" }
      end
    end
    roles.samples(header, PATTERNS, known)
    return roles.rest(header, known)
  end,
  flags = function(header)
    local rules = roles.marked(header, { Reverse = "decoy", ["Potential contaminant"] = "contaminant",
      Contaminant = "contaminant" }, "+")
    return roles.prefixed(rules, { CON__ = "contaminant", REV__ = "decoy" })
  end,
}
