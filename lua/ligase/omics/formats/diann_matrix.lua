--- DIA-NN's matrices of protein groups, genes and precursors: one column per run, named by
--- the raw file.
local formats = require "ligase.omics.formats"
local roles = require "ligase.omics.roles"

local ANNOTATIONS = { "Protein.Group", "Protein.Ids", "Protein.Names", "Genes", "First.Protein.Description",
  "N.Sequences", "N.Proteotypic.Sequences", "Proteotypic", "Stripped.Sequence", "Modified.Sequence",
  "Precursor.Charge", "Precursor.Id" }

return formats.register {
  name = "diann_matrix",
  title = "DIA-NN pg_matrix",
  source = "Demichev et al. 2020, doi:10.1038/s41592-019-0638-x; DIA-NN README, matrices",
  omics = { "proteomics" },
  recognise = function(look)
    if look:has("Protein.Group", "Protein.Names", "Genes") and not look:find("Run") then
      return 0.97, "Protein.Group, Protein.Names and Genes before the runs"
    elseif look:has("Genes") and look.at.genes == 1 and look.file_name:find("gg_matrix", 1, true) then
      return 0.9, "Genes before the runs, and the file's name"
    end
  end,
  columns = function(header)
    local known = roles.feature(header, { "Protein.Group", "Genes" }, {})
    for position, name in ipairs(header) do
      if not known[position] and roles.is_one_of(name, table.unpack(ANNOTATIONS)) then
        known[position] = { role = "annotation" }
      end
      known[position] = known[position] or { role = "sample", sample = roles.file_stem(name),
        quantity = "PG.MaxLFQ" }
    end
    return known
  end,
  flags = function()
    return roles.prefixed({}, { Cont_ = "contaminant", ["cRAP-"] = "contaminant", DECOY_ = "decoy" })
  end,
}
