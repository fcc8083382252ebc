--- DIA-NN's main report: one row per precursor and run.
local formats = require "ligase.omics.formats"
local roles = require "ligase.omics.roles"

--- Columns that are measured in each run.
local QUANTITIES = { "PG.Quantity", "PG.Normalised", "PG.MaxLFQ", "Genes.Quantity", "Genes.Normalised",
  "Genes.MaxLFQ", "Genes.MaxLFQ.Unique", "Precursor.Quantity", "Precursor.Normalised", "Ms1.Area", "RT", "iRT" }

return formats.register {
  name = "diann_report",
  title = "DIA-NN report",
  source = "Demichev et al. 2020, doi:10.1038/s41592-019-0638-x; DIA-NN README, Main output reference",
  omics = { "proteomics" },
  recognise = function(look)
    if look:has("Run", "Protein.Group") and look:find("Precursor.Id", "Modified.Sequence", "PG.MaxLFQ") then
      return 0.97, "Run, Protein.Group and precursors"
    end
  end,
  columns = function(header)
    local known = roles.named(header, { ["Protein.Group"] = "feature", Run = "sample_name" })
    for position, name in ipairs(header) do
      if roles.is_one_of(name, table.unpack(QUANTITIES)) then
        known[position] = { role = "value", quantity = name }
      end
    end
    return roles.rest(header, known)
  end,
  flags = function()
    return roles.prefixed({}, { Cont_ = "contaminant", ["cRAP-"] = "contaminant", DECOY_ = "decoy" })
  end,
}
