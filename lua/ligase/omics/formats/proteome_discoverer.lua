--- Proteome Discoverer's proteins: abundances by file and channel, ratios by contrast.
local formats = require "ligase.omics.formats"
local roles = require "ligase.omics.roles"

--- "Abundances (Normalized): F1: 126, Sample, treated"; R writes dots for all marks.
local PATTERNS = {
  { "^Abundance: (F%d+.*)$", quantity = "Abundance" },
  { "^Abundances? %(Normalized%): (F%d+.*)$", quantity = "Abundance (Normalized)" },
  { "^Abundances? %(Scaled%): (F%d+.*)$", quantity = "Abundance (Scaled)" },
  { "^Abundances? Count: (F%d+.*)$", quantity = "Abundance Count" },
  { "^Abundance%.+(F%d+.*)$", quantity = "Abundance" },
  { "^Abundances?%.+Normalized%.+(F%d+.*)$", quantity = "Abundance (Normalized)" },
}

local STATISTICS = {
  { "^Abundance Ratio: (.+)$", "fold_change" },
  { "^Abundance Ratio %(log2%): (.+)$", "log2_fold_change" },
  { "^Abundance Ratio P%-Value: (.+)$", "p_value" },
  { "^Abundance Ratio Adj%. P%-Value: (.+)$", "adjusted_p_value" },
}

return formats.register {
  name = "proteome_discoverer",
  title = "Proteome Discoverer proteins",
  source = "Thermo Fisher Scientific, Proteome Discoverer user guide, Exporting results: Proteins",
  omics = { "proteomics" },
  recognise = function(look)
    if look:has("Accession", "Description") and select(2, roles.samples(look.header, PATTERNS)) > 0 then
      return 0.97, "Accession, Description and Abundance: F..."
    end
  end,
  columns = function(header)
    local known = roles.feature(header, { "Accession" }, {})
    roles.contrasts(header, STATISTICS, known)
    roles.samples(header, PATTERNS, known)
    return roles.rest(header, known)
  end,
  flags = function(header)
    local rules = {}
    for _, mark in ipairs { "TRUE", "True", "true" } do
      for _, rule in ipairs(roles.marked(header, { Contaminant = "contaminant" }, mark)) do
        rules[#rules + 1] = rule
      end
    end
    return rules
  end,
}
