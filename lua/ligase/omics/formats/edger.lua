--- edgeR's top tags. The logarithms are to base 2, which the header does not say.
local formats = require "ligase.omics.formats"
local roles = require "ligase.omics.roles"

return formats.register {
  name = "edger",
  title = "edgeR topTags()",
  source = "Robinson et al. 2010, doi:10.1093/bioinformatics/btp616; edgeR reference manual, topTags()",
  omics = { "transcriptomics" },
  recognise = function(look)
    if look:has("logFC", "logCPM", "PValue") then
      return 0.97, "logFC, logCPM and PValue"
    end
  end,
  columns = function(header)
    return roles.named(header, {
      logFC = { role = "statistic", statistic = "log2_fold_change" },
      logCPM = { role = "statistic", statistic = "base_mean" },
      LR = { role = "statistic", statistic = "statistic" },
      F = { role = "statistic", statistic = "statistic" },
      PValue = { role = "statistic", statistic = "p_value" },
      FDR = { role = "statistic", statistic = "adjusted_p_value" },
      FWER = { role = "statistic", statistic = "adjusted_p_value" },
    })
  end,
}
