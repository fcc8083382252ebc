--- salmon's quantification of one sample, which is named by the folder.
local formats = require "ligase.omics.formats"
local roles = require "ligase.omics.roles"

return formats.register {
  name = "salmon",
  title = "salmon quant.sf",
  source = "Patro et al. 2017, doi:10.1038/nmeth.4197; salmon documentation, Salmon Output File Formats",
  omics = { "transcriptomics" },
  recognise = function(look)
    if look:has("Name", "Length", "EffectiveLength", "TPM", "NumReads") and #look.header == 5 then
      return 0.98, "Name, Length, EffectiveLength, TPM and NumReads"
    end
  end,
  columns = function(header, look)
    local sample = roles.sample_of(look, { "quant%.sf", "quant%.genes%.sf" })
    return roles.named(header, {
      Name = "feature", Length = "annotation",
      EffectiveLength = { role = "sample", sample = sample, quantity = "effective length", unit = "nt" },
      TPM = { role = "sample", sample = sample, quantity = "TPM", unit = "TPM" },
      NumReads = { role = "sample", sample = sample, quantity = "reads", unit = "reads" },
    })
  end,
}
