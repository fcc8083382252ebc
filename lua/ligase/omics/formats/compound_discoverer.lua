--- Compound Discoverer's compounds: areas by file, ratios by contrast.
local formats = require "ligase.omics.formats"
local roles = require "ligase.omics.roles"

local PATTERNS = {
  { "^Area: (.+) %(F%d+%)$", quantity = "Area" },
  { "^Norm%. Area: (.+) %(F%d+%)$", quantity = "Norm. Area" },
  { "^Group Area: (.+)$", quantity = "Group Area" },
}

local STATISTICS = {
  { "^Ratio: (.+)$", "fold_change" },
  { "^Log2 Fold Change: (.+)$", "log2_fold_change" },
  { "^P%-value: (.+)$", "p_value" },
  { "^Adj%. P%-value: (.+)$", "adjusted_p_value" },
}

return formats.register {
  name = "compound_discoverer",
  title = "Compound Discoverer compounds",
  source = "Thermo Fisher Scientific, Compound Discoverer user guide, Exporting results: Compounds",
  omics = { "metabolomics" },
  recognise = function(look)
    if look:has("Name", "Formula") and look:find("Calc. MW", "Molecular Weight") and look:find("RT [min]")
      and select(2, roles.samples(look.header, PATTERNS)) > 0 then
      return 0.97, "Name, Formula, Calc. MW, RT [min] and areas by file"
    end
  end,
  columns = function(header)
    local known = roles.feature(header, { "Name" }, {})
    roles.contrasts(header, STATISTICS, known)
    roles.samples(header, PATTERNS, known)
    return roles.rest(header, known)
  end,
}
