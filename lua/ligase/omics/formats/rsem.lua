--- RSEM's quantification of one sample, which is named by the file.
local formats = require "ligase.omics.formats"
local roles = require "ligase.omics.roles"

return formats.register {
  name = "rsem",
  title = "RSEM genes.results or isoforms.results",
  source = "Li and Dewey 2011, doi:10.1186/1471-2105-12-323; rsem-calculate-expression, OUTPUT",
  omics = { "transcriptomics" },
  recognise = function(look)
    if look:has("gene_id", "length", "effective_length", "expected_count", "TPM", "FPKM") then
      return 0.98, "gene_id, effective_length, expected_count, TPM and FPKM"
    end
  end,
  columns = function(header, look)
    local sample = roles.sample_of(look, { "genes%.results", "isoforms%.results" })
    local known = { [1] = { role = "feature" } }
    roles.named(header, {
      effective_length = { role = "sample", sample = sample, quantity = "effective length", unit = "nt" },
      expected_count = { role = "sample", sample = sample, quantity = "reads", unit = "reads" },
      TPM = { role = "sample", sample = sample, quantity = "TPM", unit = "TPM" },
      FPKM = { role = "sample", sample = sample, quantity = "FPKM", unit = "FPKM" },
      IsoPct = { role = "sample", sample = sample, quantity = "isoform percentage", unit = "%" },
    }, known)
    return roles.rest(header, known)
  end,
}
