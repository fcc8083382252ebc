local inspecting = require "tests.lua.omics.formats.inspecting"

describe("DESeq2", function()
  it("is known by its headers, and its row names have none", function()
    local result = inspecting.read([["","baseMean","log2FoldChange","lfcSE","stat","pvalue","padj"
"ENSG00000215688",0,NA,NA,NA,NA,NA
"ENSG00000215689",12.5,-1.25,0.5,-2.5,0.0124,0.03
]], "res.csv")
    assert.equal("deseq2", result.findings.format)
    assert.equal("transcriptomics", result.omics)
    assert.equal("feature , base_mean baseMean, log2_fold_change log2FoldChange, standard_error lfcSE, statistic stat, "
      .. "p_value pvalue, adjusted_p_value padj", inspecting.columns(result))
    assert.equal("statistics", result.plan.shape)
    assert.same({ "ENSG00000215688", 0.0 }, { result.first_rows[1][1], result.first_rows[1][2] })
    assert.is_nil(result.first_rows[1][3])
  end)

  it("of Li 2008 holds what Python counts #shared", function()
    local result = inspecting.read_shared "transcriptomics/generated__deseq2_Li2008_LNCaP_treated_vs_control.csv"
    assert.same({ 6381, 0, 6381, 18692 }, inspecting.counts(result))
  end)
end)

describe("edgeR", function()
  it("leaves out the header of the names", function()
    local result = inspecting.read("logFC\tlogCPM\tLR\tPValue\tFDR\nENSG1\t4.5\t9.4\t1455.7\t1.6e-318\t2.4e-314\n",
      "top.tsv")
    assert.equal("edger", result.findings.format)
    assert.equal("feature , log2_fold_change logFC, base_mean logCPM, statistic LR, p_value PValue, "
      .. "adjusted_p_value FDR", inspecting.columns(result))
    assert.equal(1.6e-318, result.first_rows[1][5])
    assert.equal("", inspecting.doubts(result))
  end)
end)

describe("limma", function()
  it("has log odds and a moderated t", function()
    local result = inspecting.read('"logFC"\t"AveExpr"\t"t"\t"P.Value"\t"adj.P.Val"\t"B"\n'
      .. '"ENSG00000130066"\t2.7\t9.6\t41.6\t1.6e-12\t1e-08\t19.3\n', "top.txt")
    assert.equal("limma", result.findings.format)
    assert.equal("feature , log2_fold_change logFC, base_mean AveExpr, statistic t, p_value P.Value, "
      .. "adjusted_p_value adj.P.Val, log_odds B", inspecting.columns(result))
  end)
end)

describe("MSstats", function()
  it("names its contrast in each row", function()
    local result = inspecting.read("Protein\tLabel\tlog2FC\tSE\tDF\tpvalue\tadj.pvalue\tissue\n"
      .. "P04637\tA-B\t0.5\t0.1\t8\t0.01\t0.02\tNA\nP04637\tA-C\t0.7\t0.1\t8\t0.01\t0.02\tNA\n", "cmp.tsv")
    assert.equal("msstats", result.findings.format)
    assert.equal("proteomics", result.omics)
    assert.equal("feature Protein, annotation Label, log2_fold_change log2FC, standard_error SE, "
      .. "degrees_of_freedom DF, p_value pvalue, adjusted_p_value adj.pvalue, annotation issue",
      inspecting.columns(result))
    assert.equal("", inspecting.doubts(result))
  end)
end)

describe("Cuffdiff", function()
  it("takes ids that are each row's own, and the greatest double for an endless fold change", function()
    local result = inspecting.read("test_id\tgene_id\tgene\tlocus\tsample_1\tsample_2\tstatus\tvalue_1\tvalue_2\t"
      .. "log2(fold_change)\ttest_stat\tp_value\tq_value\tsignificant\n"
      .. "T1\tX1\t-\tchr1:1-2\tiPS\thESC\tNOTEST\t6.8\t0\t-1.79769e+308\t-1.79769e+308\t0.45\t1\tno\n", "gene_exp.diff")
    assert.equal("cuffdiff", result.findings.format)
    assert.equal("T1", result.first_rows[1][1])
    assert.equal(-1.79769e+308, result.first_rows[1][10])
    assert.equal("log2_fold_change", result.plan.columns[10].statistic)
  end)
end)

describe("another statistics table", function()
  it("is read by its headers, and a shape's doubts stay", function()
    local result = inspecting.read("lipid,log2FC,p\nPC 34:1,1.5,0.01\nPE 36:2,-0.5,0.2\n", "x.csv")
    assert.equal("statistics", result.findings.format)
    assert.equal("feature lipid, log2_fold_change log2FC, p_value p", inspecting.columns(result))
  end)

  it("can be read as a matrix when a person says so", function()
    local result = inspecting.read("lipid,log2FC,p\nPC 34:1,1.5,0.01\n", "x.csv", { format = "wide" })
    assert.equal("wide", result.findings.format)
    assert.is_true(result.findings.format_given)
  end)
end)
