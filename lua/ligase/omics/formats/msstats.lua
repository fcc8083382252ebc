--- The comparisons of MSstats and MSstatsTMT: one row per protein and contrast, which the
--- column Label names.
local formats = require "ligase.omics.formats"
local roles = require "ligase.omics.roles"

return formats.register {
  name = "msstats",
  title = "MSstats groupComparison()",
  source = "Choi et al. 2014, doi:10.1093/bioinformatics/btu305; MSstats and MSstatsTMT manuals, ComparisonResult",
  omics = { "proteomics" },
  recognise = function(look)
    if look:has("Protein", "Label", "log2FC", "SE", "DF", "pvalue", "adj.pvalue") then
      return 0.97, "Protein, Label, log2FC, SE, DF, pvalue and adj.pvalue"
    end
  end,
  columns = function(header)
    local known = roles.named(header, {
      Protein = "feature",
      Label = "annotation",
      log2FC = { role = "statistic", statistic = "log2_fold_change" },
      SE = { role = "statistic", statistic = "standard_error" },
      Tvalue = { role = "statistic", statistic = "statistic" },
      DF = { role = "statistic", statistic = "degrees_of_freedom" },
      pvalue = { role = "statistic", statistic = "p_value" },
      ["adj.pvalue"] = { role = "statistic", statistic = "adjusted_p_value" },
      MissingPercentage = "statistic",
      ImputationPercentage = "statistic",
    })
    return roles.rest(header, known)
  end,
}
