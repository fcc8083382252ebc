--- What MSstats and MSstatsTMT take, and OpenMS and others write for them: one row per
--- feature of a peptide and run, or channel.
local formats = require "ligase.omics.formats"
local roles = require "ligase.omics.roles"

return formats.register {
  name = "msstats_input",
  title = "a feature table for MSstats or MSstatsTMT",
  source = "MSstats user manual, section on the 10-column format; MSstatsTMT manual, required input",
  omics = { "proteomics" },
  recognise = function(look)
    if look:has("ProteinName", "PeptideSequence", "Condition", "BioReplicate", "Run", "Intensity") then
      return 0.97, "ProteinName, PeptideSequence, Condition, BioReplicate, Run and Intensity"
    end
  end,
  columns = function(header)
    -- In the TMT form a run holds several samples, one per channel: BioReplicate tells them apart.
    local sample = roles.position(header, "Channel") and "BioReplicate" or "Run"
    return roles.rest(header, roles.named(header, {
      ProteinName = "feature", [sample] = "sample_name", Intensity = { role = "value", quantity = "Intensity" },
    }))
  end,
}
