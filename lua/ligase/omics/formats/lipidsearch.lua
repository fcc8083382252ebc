--- LipidSearch's alignment result: areas by group and number of the sample.
local formats = require "ligase.omics.formats"
local roles = require "ligase.omics.roles"

--- LipidSearch numbers its samples by group and place: "Area[s1-1]", "MainArea[c]".
local PATTERNS = {
  { "^Area%[([%w]+%-%d+)%]$", quantity = "Area" },
  { "^NormArea%[([%w]+%-%d+)%]$", quantity = "NormArea" },
  { "^MainArea%[([%w]+%-%d+)%]$", quantity = "MainArea" },
  { "^Height%[([%w]+%-%d+)%]$", quantity = "Height" },
  { "^Rt%[([%w]+%-%d+)%]$", quantity = "Rt", unit = "min" },
  { "^Conc%[([%w]+%-%d+)%]$", quantity = "Conc" },
}

return formats.register {
  name = "lipidsearch",
  title = "LipidSearch alignment result",
  source = "Thermo Fisher Scientific, LipidSearch user guide, Exporting alignment results",
  omics = { "lipidomics" },
  recognise = function(look)
    if look:find("LipidIon", "LipidMolec") and look:has("Class", "FattyAcid")
      and select(2, roles.samples(look.header, PATTERNS)) > 0 then
      return 0.97, "LipidIon, Class, FattyAcid and areas by sample"
    end
  end,
  columns = function(header)
    local known = roles.feature(header, { "LipidMolec", "LipidIon", "LipidGroup" }, {})
    roles.samples(header, PATTERNS, known)
    return roles.rest(header, known)
  end,
}
