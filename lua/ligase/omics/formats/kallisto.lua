--- kallisto's quantification of one sample, which is named by the folder.
local formats = require "ligase.omics.formats"
local roles = require "ligase.omics.roles"

return formats.register {
  name = "kallisto",
  title = "kallisto abundance.tsv",
  source = "Bray et al. 2016, doi:10.1038/nbt.3519; kallisto manual, quant",
  omics = { "transcriptomics" },
  recognise = function(look)
    if look:has("target_id", "length", "eff_length", "est_counts", "tpm") and #look.header == 5 then
      return 0.98, "target_id, length, eff_length, est_counts and tpm"
    end
  end,
  columns = function(header, look)
    local sample = roles.sample_of(look, { "abundance%.tsv", "abundance%.txt" })
    return roles.named(header, {
      target_id = "feature", length = "annotation",
      eff_length = { role = "sample", sample = sample, quantity = "effective length", unit = "nt" },
      est_counts = { role = "sample", sample = sample, quantity = "reads", unit = "reads" },
      tpm = { role = "sample", sample = sample, quantity = "TPM", unit = "TPM" },
    })
  end,
}
