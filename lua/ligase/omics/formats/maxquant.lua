--- MaxQuant's protein groups: many quantities for each sample, and marks of contaminants,
--- decoys and groups found by a modified site alone.
local formats = require "ligase.omics.formats"
local roles = require "ligase.omics.roles"

--- The first words of the columns that there are once per sample; R writes dots for blanks.
local PATTERNS = {
  { "^LFQ[ .]intensity[ .]+(.+)$", quantity = "LFQ intensity" },
  { "^Intensity[ .]+(.+)$", quantity = "Intensity" },
  { "^iBAQ[ .]+(.+)$", quantity = "iBAQ" },
  { "^Top3[ .]+(.+)$", quantity = "Top3" },
  { "^Reporter[ .]intensity[ .]corrected[ .]+(.+)$", quantity = "Reporter intensity corrected" },
  { "^Reporter[ .]intensity[ .]count[ .]+(.+)$", quantity = "Reporter intensity count" },
  { "^Reporter[ .]intensity[ .]+(.+)$", quantity = "Reporter intensity" },
  { "^Ratio[ .]([HML][ ./][HML][ .]normalized[ .]+.+)$", quantity = "Ratio" },
  { "^Ratio[ .]([HML][ ./][HML][ .]+.+)$", quantity = "Ratio" },
  { "^MS[/.]MS[ .][Cc]ount[ .]+(.+)$", quantity = "MS/MS count" },
  { "^Peptides[ .]+(.+)$", quantity = "Peptides" },
  { "^Razor[ .]+%+?[ .]*unique[ .]peptides[ .]+(.+)$", quantity = "Razor + unique peptides" },
  { "^Unique[ .]peptides[ .]+(.+)$", quantity = "Unique peptides" },
  { "^Sequence[ .]coverage[ .]+([^%[.].-)[ .]+[%[.]+%%?[%].]*$", quantity = "Sequence coverage", unit = "%" },
}

return formats.register {
  name = "maxquant",
  title = "MaxQuant proteinGroups.txt",
  source = "Cox and Mann 2008, doi:10.1038/nbt.1511; MaxQuant's own tables.pdf, Protein groups",
  omics = { "proteomics" },
  recognise = function(look)
    if look:has("Protein IDs", "Majority protein IDs") then
      return 0.98, "Protein IDs and Majority protein IDs"
    end
  end,
  columns = function(header)
    local known = roles.feature(header, { "Majority protein IDs" }, {})
    roles.samples(header, PATTERNS, known)
    for position, name in ipairs(header) do
      local is_total = roles.is_one_of(name, "Intensity L", "Intensity M", "Intensity H")
      known[position] = not is_total and known[position] or { role = "annotation" }
    end
    return known
  end,
  flags = function(header)
    local rules = roles.marked(header, { Reverse = "decoy", ["Potential contaminant"] = "contaminant",
      Contaminant = "contaminant", ["Only identified by site"] = "site_only" }, "+")
    return roles.prefixed(rules, { CON__ = "contaminant", REV__ = "decoy" })
  end,
}
