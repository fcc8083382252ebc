--- FragPipe's combined proteins, peptides and ions: quantities behind each sample's name,
--- sums in front.
local formats = require "ligase.omics.formats"
local roles = require "ligase.omics.roles"

--- What stands behind the sample's name, the longer ones first.
local PATTERNS = {
  { "^(.+) MaxLFQ Unique Intensity$", quantity = "MaxLFQ Unique Intensity" },
  { "^(.+) MaxLFQ Total Intensity$", quantity = "MaxLFQ Total Intensity" },
  { "^(.+) MaxLFQ Razor Intensity$", quantity = "MaxLFQ Razor Intensity" },
  { "^(.+) MaxLFQ Intensity$", quantity = "MaxLFQ Intensity" },
  { "^(.+) Unique Intensity$", quantity = "Unique Intensity" },
  { "^(.+) Total Intensity$", quantity = "Total Intensity" },
  { "^(.+) Razor Intensity$", quantity = "Razor Intensity" },
  { "^(.+) Intensity$", quantity = "Intensity" },
  { "^(.+) Unique Spectral Count$", quantity = "Unique Spectral Count" },
  { "^(.+) Total Spectral Count$", quantity = "Total Spectral Count" },
  { "^(.+) Razor Spectral Count$", quantity = "Razor Spectral Count" },
  { "^(.+) Spectral Count$", quantity = "Spectral Count" },
}

return formats.register {
  name = "fragpipe",
  title = "FragPipe combined tables",
  source = "Yu et al. 2020, doi:10.1074/mcp.TIR120.002048; FragPipe documentation, Output files: combined_*.tsv",
  omics = { "proteomics" },
  recognise = function(look)
    if look:has("Protein", "Protein ID", "Entry Name", "Gene", "Protein Length", "Combined Total Peptides") then
      return 0.98, "Protein, Protein ID, Entry Name and Combined Total Peptides"
    elseif look:has("Protein", "Protein ID", "Entry Name", "Gene")
      and select(2, roles.samples(look.header, PATTERNS)) > 0 then
      return 0.96, "Protein, Protein ID, Entry Name, and intensities or counts by sample"
    end
  end,
  columns = function(header)
    local known = roles.feature(header, { "Protein ID" }, {})
    for position, name in ipairs(header) do
      if name:find("^Combined ") then
        known[position] = { role = "annotation" }
      end
    end
    roles.samples(header, PATTERNS, known)
    return roles.rest(header, known)
  end,
  flags = function(header)
    local protein = roles.position(header, "Protein")
    return { { flag = "contaminant", position = protein, prefix = "contam_" },
      { flag = "decoy", position = protein, prefix = "rev_" } }
  end,
}
