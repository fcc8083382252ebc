--- DESeq2's results, as write.csv and write.table save them: names without a header first.
local formats = require "ligase.omics.formats"
local roles = require "ligase.omics.roles"

return formats.register {
  name = "deseq2",
  title = "DESeq2 results()",
  source = "Love et al. 2014, doi:10.1186/s13059-014-0550-8; DESeq2 reference manual, results()",
  omics = { "transcriptomics" },
  recognise = function(look)
    if look:has("baseMean", "log2FoldChange", "pvalue", "padj") then
      return 0.97, "baseMean, log2FoldChange, pvalue and padj"
    end
  end,
  columns = function(header)
    return roles.named(header, {
      baseMean = { role = "statistic", statistic = "base_mean" },
      log2FoldChange = { role = "statistic", statistic = "log2_fold_change" },
      lfcSE = { role = "statistic", statistic = "standard_error" },
      stat = { role = "statistic", statistic = "statistic" },
      pvalue = { role = "statistic", statistic = "p_value" },
      padj = { role = "statistic", statistic = "adjusted_p_value" },
    })
  end,
}
