--- Cuffdiff's tests: one row per feature and pair of conditions. Test ids are taken for
--- names, because gene names may be missing.
local formats = require "ligase.omics.formats"
local roles = require "ligase.omics.roles"

return formats.register {
  name = "cuffdiff",
  title = "Cuffdiff differential expression",
  source = "Trapnell et al. 2012, doi:10.1038/nprot.2012.016; Cuffdiff manual, Differential expression tests",
  omics = { "transcriptomics" },
  recognise = function(look)
    if look:has("test_id", "sample_1", "sample_2", "value_1", "value_2", "log2(fold_change)", "p_value", "q_value") then
      return 0.98, "test_id, sample_1, sample_2, log2(fold_change), p_value and q_value"
    end
  end,
  columns = function(header)
    return roles.rest(header, roles.named(header, {
      test_id = "feature", value_1 = "statistic", value_2 = "statistic",
      ["log2(fold_change)"] = { role = "statistic", statistic = "log2_fold_change" },
      test_stat = { role = "statistic", statistic = "statistic" },
      p_value = { role = "statistic", statistic = "p_value" },
      q_value = { role = "statistic", statistic = "adjusted_p_value" },
    }))
  end,
}
