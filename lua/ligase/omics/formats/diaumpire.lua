--- DIA-Umpire's summaries: several quantities behind each run's name.
local formats = require "ligase.omics.formats"
local roles = require "ligase.omics.roles"

--- What stands behind the run's name, in the summaries of fragments, peptides and proteins.
local QUANTITIES = { "Spec_Centric_Prob", "Pep_Centric_Prob", "Intensity", "RT", "Corr", "PPM", "Prob", "Peptides",
  "PSMs", "MS1_iBAQ", "Top6pep/Top6fra, Freq>0.5", "Top6pep.Top6fra..Freq.0.5", "Top6fra", "MS1" }

local PATTERNS = {}
for i, quantity in ipairs(QUANTITIES) do
  PATTERNS[i] = { "^(.+)_" .. quantity:gsub("%W", "%%%0") .. "$", quantity = quantity }
end

return formats.register {
  name = "diaumpire",
  title = "DIA-Umpire summary",
  source = "Tsou et al. 2015, doi:10.1038/nmeth.3255; DIA-Umpire manual, FragSummary, PeptideSummary and ProtSummary",
  omics = { "proteomics" },
  recognise = function(look)
    local has_keys = look:has("Fragment Key", "Protein", "Peptide") or look:has("Protein Key", "Selected_peptides")
      or look:has("Peptide Key", "Sequence", "Proteins")
    if has_keys and select(2, roles.samples(look.header, PATTERNS)) > 0 then
      return 0.97, "keys of fragments or proteins, and RT, Prob or PSMs for each run"
    end
  end,
  columns = function(header)
    local known = roles.feature(header, { "Protein Key", "Protein", "Proteins" }, {})
    roles.samples(header, PATTERNS, known)
    return roles.rest(header, known)
  end,
}
