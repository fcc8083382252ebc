local statistics = require "ligase.omics.statistics"

describe("a header that names a statistic by itself", function()
  for name, headers in pairs {
    log2_fold_change = { "log2FC", "logFC", "log2FoldChange", "lfc", "log2 fold change", "Log2(Fold_Change)",
      "log2 ratio", "avg_log2FC", "average log2FC" },
    p_value = { "pvalue", "PValue", "P.Value", "pval", "p_value", "p-value", "p_val", "raw p-value" },
    adjusted_p_value = { "padj", "FDR", "adj.P.Val", "q-value", "q_value", "qval", "adj.pvalue", "p_val_adj", "p.adj",
      "FDR p-value", "p-value (FDR)", "p value (adj)", "Adjusted P-value", "adj. p" },
  } do
    for _, header in ipairs(headers) do
      it(("is %s: %s"):format(name, header), function()
        local statistic, contrast = statistics.strong(header)
        assert.equal(name, statistic)
        assert.equal("", contrast)
      end)
    end
  end

  for header, expected in pairs {
    ["log2FC_treated"] = { "log2_fold_change", "treated" },
    ["treated: padj"] = { "adjusted_p_value", "treated" },
    ["treated_vs_control_p_value"] = { "p_value", "treated_vs_control" },
    ["log2 fold change (A vs B)"] = { "log2_fold_change", "A vs B" },
    ["adj.P.Val.treated.vs.control"] = { "adjusted_p_value", "treated.vs.control" },
    ["treated.vs.control.adj.P.Val"] = { "adjusted_p_value", "treated.vs.control" },
    ["KO-WT|logFC"] = { "log2_fold_change", "KO-WT" },
    ["padj Träger"] = { "adjusted_p_value", "Träger" },
    ["p_value_adj_day 7"] = { "adjusted_p_value", "day 7" },
    ["log2FC_high"] = { "log2_fold_change", "high" },
    ["log2FC_48"] = { "log2_fold_change", "48" },
    ["1: log2FC"] = { "log2_fold_change", "1" },
    ["log2FC_base_vs_e"] = { "log2_fold_change", "base_vs_e" },
    ["log2FC_high_vs_low"] = { "log2_fold_change", "high_vs_low" },
    ["biology_padj"] = { "adjusted_p_value", "biology" },
  } do
    it("names its contrast: " .. header, function()
      local statistic, contrast = statistics.strong(header)
      assert.same(expected, { statistic, contrast })
    end)
  end

  for _, header in ipairs { "-log10(pvalue)", "-log10_pval", "neg_log10_pval", "−log10 p-value", "log10 padj", "-logFC",
    "abs(log2FC)", "abs_logFC", "logFC_SE", "log2FC CI lower", "logFC.max", "FDR_threshold", "log(pvalue)",
    "ln p-value", "logFC (natural)", "natural log fold change", "nat. log FC", "logFC base e",
    "log fold change, base 10", "1-pvalue", "1 - FDR", "log2FC std", "log2FC error", "log2FC variance",
    "log2FC z-score", "log2FC 95% CI low", "log2FC upper 97.5", "pvalue significance", "log2FC_inverse", "avg_logFC",
    "cluster 2 avg_logFC", "average logFC",
    "padjusted_by_me", "S1", "value", "fcgr", "", "  ", "()", "p", "t", "B", "stat", "valine" } do
    it("is not read into: " .. header, function()
      assert.is_nil(statistics.strong(header))
    end)
  end
end)

describe("a header that names a statistic only beside others", function()
  for header, expected in pairs {
    baseMean = "base_mean", AveExpr = "base_mean", logCPM = "base_mean", lfcSE = "standard_error",
    SE = "standard_error",
    ["logFC_SE"] = "standard_error", stat = "statistic", t = "statistic", F = "statistic", LR = "statistic",
    ["t-value"] = "statistic", test_stat = "statistic", B = "log_odds", DF = "degrees_of_freedom", p = "p_value",
    q = "adjusted_p_value", FC = "fold_change", ["Fold Change"] = "fold_change",
  } do
    it(("is %s: %s"):format(expected, header), function()
      local statistic, contrast = statistics.weak(header)
      assert.same({ expected, "" }, { statistic, contrast })
    end)
  end

  it("may name its contrast, which others have to share", function()
    assert.same({ "standard_error", "treated" }, { statistics.weak "lfcSE_treated" })
    assert.same({ "p_value", "treated" }, { statistics.weak "treated p" })
  end)

  it("is nothing else", function()
    for _, header in ipairs { "logFC", "S1", "", "basement", "-t", "1-p", "length" } do
      assert.is_nil(statistics.weak(header))
    end
  end)
end)

describe("a header that means another quantity of a statistic", function()
  it("is told from others", function()
    for _, header in ipairs { "-log10(pvalue)", "log2FC CI.L", "1-pvalue", "log2FC 95% CI low", "natural log FC" } do
      assert.is_true(statistics.is_derived(header), header)
    end
    for _, header in ipairs { "log2FC", "lfcSE", "padj_treated", "S1", "mean_control", "ln_FC", "" } do
      assert.is_false(statistics.is_derived(header), header)
    end
  end)
end)

describe("a header without case, blanks and marks", function()
  it("may be Seurat's natural logarithm", function()
    assert.is_true(statistics.is_natural(statistics.plain "avg_logFC"))
    assert.is_true(statistics.is_natural(statistics.plain "T cells: average log FC"))
    assert.is_false(statistics.is_natural(statistics.plain "avg_log2FC"))
    assert.is_false(statistics.is_natural(statistics.plain "logFC"))
  end)

  it("may be one that edgeR and limma write", function()
    for _, header in ipairs { "logCPM", "AveExpr", "FDR", "adj.P.Val", "treated FDR" } do
      assert.is_true(statistics.implies_log2(statistics.plain(header)), header)
    end
    for _, header in ipairs { "padj", "p_val_adj", "S1", "" } do
      assert.is_false(statistics.implies_log2(statistics.plain(header)), header)
    end
  end)
end)

describe("the names of statistics", function()
  it("are each known once", function()
    local seen = {}
    for _, name in ipairs(statistics.NAMES) do
      assert.is_nil(seen[name])
      seen[name] = true
      assert.is_true(statistics.is_known(name))
    end
    assert.is_false(statistics.is_known "sample")
  end)
end)
