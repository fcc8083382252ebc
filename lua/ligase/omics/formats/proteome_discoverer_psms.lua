--- Proteome Discoverer's peptide-spectrum matches: one row per spectrum of a file.
local formats = require "ligase.omics.formats"
local roles = require "ligase.omics.roles"

local PROTEINS = { "Master Protein Accessions", "Protein Group Accessions", "Protein Accessions" }

return formats.register {
  name = "proteome_discoverer_psms",
  title = "Proteome Discoverer peptide-spectrum matches",
  source = "Thermo Fisher Scientific, Proteome Discoverer user guide, Exporting results: PSMs",
  omics = { "proteomics" },
  recognise = function(look)
    if look:find(table.unpack(PROTEINS)) and look:find("Spectrum File") and look:has("Charge")
      and look:find("Sequence", "Annotated Sequence") then
      return 0.96, "Sequence, Charge, Spectrum File and protein accessions"
    end
  end,
  columns = function(header)
    local known = roles.feature(header, PROTEINS, {})
    roles.named(header, {
      ["Spectrum File"] = "sample_name",
      ["Precursor Area"] = { role = "value", quantity = "Precursor Area" },
      ["Precursor Abundance"] = { role = "value", quantity = "Precursor Abundance" },
      Intensity = { role = "value", quantity = "Intensity" },
      ["RT [min]"] = { role = "value", quantity = "Retention time", unit = "min" },
      ["RT min"] = { role = "value", quantity = "Retention time", unit = "min" },
    }, known)
    for position, name in ipairs(header) do
      local channel = name:match("^Abundance:? ?%.*(%d%d%d[NC]?)$") or name:match("^X?(1[23]%d[NC]?)$")
      if channel then
        known[position] = { role = "value", quantity = channel }
      end
    end
    return roles.rest(header, known)
  end,
}
