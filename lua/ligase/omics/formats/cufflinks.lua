--- Cufflinks' tracking files: values and their confidence limits for each condition. The
--- tracking id is each row's own; gene names may be missing.
local formats = require "ligase.omics.formats"
local roles = require "ligase.omics.roles"

return formats.register {
  name = "cufflinks",
  title = "Cufflinks fpkm_tracking",
  source = "Trapnell et al. 2012, doi:10.1038/nprot.2012.016; Cufflinks manual, FPKM tracking format",
  omics = { "transcriptomics" },
  recognise = function(look)
    if look:has("tracking_id", "class_code", "nearest_ref_id", "gene_id", "gene_short_name", "tss_id", "locus") then
      return 0.98, "tracking_id, class_code, nearest_ref_id and gene_short_name"
    end
  end,
  columns = function(header)
    local known = roles.named(header, { tracking_id = "feature" })
    for position, name in ipairs(header) do -- a file of one sample does not name it
      if name == "FPKM" then
        known[position] = { role = "sample", quantity = "FPKM", unit = "FPKM" }
      elseif name:find("^FPKM_conf_") then
        known[position] = { role = "sample", sample = "FPKM", quantity = name, unit = "FPKM" }
      end
    end
    roles.samples(header, {
      { "^(.+)_FPKM$", quantity = "FPKM", unit = "FPKM" },
      { "^(.+)_conf_lo$", quantity = "FPKM, lower confidence limit", unit = "FPKM" },
      { "^(.+)_conf_hi$", quantity = "FPKM, upper confidence limit", unit = "FPKM" },
    }, known)
    return roles.rest(header, known)
  end,
}
