--- MaxQuant's evidence: one row per peptide feature and raw file.
local formats = require "ligase.omics.formats"
local roles = require "ligase.omics.roles"

return formats.register {
  name = "maxquant_evidence",
  title = "MaxQuant evidence.txt",
  source = "Cox and Mann 2008, doi:10.1038/nbt.1511; MaxQuant's own tables.pdf, Evidence",
  omics = { "proteomics" },
  recognise = function(look)
    if look:has("Sequence", "Modified sequence", "Raw file", "Intensity", "Leading razor protein") then
      return 0.97, "Modified sequence, Raw file, Leading razor protein and Intensity"
    end
  end,
  columns = function(header)
    local known = roles.feature(header, { "Leading razor protein" }, {})
    local sample = roles.position(header, "Experiment") or roles.position(header, "Raw file")
    if sample then
      known[sample] = { role = "sample_name" }
    end
    roles.named(header, {
      Intensity = { role = "value", quantity = "Intensity" },
      ["Retention time"] = { role = "value", quantity = "Retention time", unit = "min" },
      ["MS/MS count"] = { role = "value", quantity = "MS/MS count" },
    }, known)
    for position, name in ipairs(header) do
      local quantity = name:match("^(Reporter[ .]intensity[ .].*%d+)$")
      if quantity and not quantity:find("count", 1, true) then
        known[position] = { role = "value", quantity = name }
      end
    end
    return roles.rest(header, known)
  end,
  flags = function(header)
    local rules = roles.marked(header, { Reverse = "decoy", ["Potential contaminant"] = "contaminant",
      Contaminant = "contaminant" }, "+")
    return roles.prefixed(rules, { CON__ = "contaminant", REV__ = "decoy" })
  end,
}
