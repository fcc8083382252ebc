--- limma's top table, of any kind of data. The logarithms are to base 2, which the header
--- does not say.
local formats = require "ligase.omics.formats"
local roles = require "ligase.omics.roles"

return formats.register {
  name = "limma",
  title = "limma topTable()",
  source = "Ritchie et al. 2015, doi:10.1093/nar/gkv007; limma reference manual, topTable()",
  recognise = function(look)
    if look:has("logFC", "AveExpr", "P.Value") then
      return 0.97, "logFC, AveExpr and P.Value"
    end
  end,
  columns = function(header)
    return roles.named(header, {
      logFC = { role = "statistic", statistic = "log2_fold_change" },
      AveExpr = { role = "statistic", statistic = "base_mean" },
      t = { role = "statistic", statistic = "statistic" },
      ["P.Value"] = { role = "statistic", statistic = "p_value" },
      ["adj.P.Val"] = { role = "statistic", statistic = "adjusted_p_value" },
      B = { role = "statistic", statistic = "log_odds" },
    })
  end,
}
