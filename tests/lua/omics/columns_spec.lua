local columns = require "ligase.omics.columns"
local csv = require "csv"
local dialect = require "ligase.io.dialect"
local errors = require "ligase.base.errors"
local host = require "host"
local support = require "tests.support"
local sys = require "sys"

local NAMES = { "lipid", "Lipid Name", "gene", "molecule" }

--- Reads a source as it was detected and says what its columns mean.
local function understand(source, set, names)
  local found = dialect.detect(source)
  local reader <close> = csv.frames(source, dialect.reader_options(found))
  local frame <close> = reader:next() or errors.raise { kind = "input", code = "no_rows", message = "no rows" }
  return columns.understand(frame, { name_columns = names or NAMES, set = set, file = "x.csv",
    line = reader:info().header_line })
end

local function plan_of(text, set, names)
  return understand({ text = text }, set, names)
end

--- "lipid=feature a=sample# p=p_value#" for short expectations; # marks numbers.
local function roles(plan)
  local parts = {}
  for i, column in ipairs(plan.columns) do
    local contrast = column.contrast and column.contrast ~= "" and "@" .. column.contrast or ""
    parts[i] = ("%s=%s%s%s"):format(column.name, column.statistic or column.role, contrast,
      column.type == "number" and "#" or "")
  end
  return table.concat(parts, " ")
end

local function refusal(text, set, names)
  local done, failure = pcall(plan_of, text, set, names)
  assert.is_false(done, "a refusal was expected")
  assert.is_true(errors.is(failure), tostring(failure))
  return failure
end

local function doubts(plan)
  return table.concat(plan.doubts, "\n")
end

describe("a wide matrix", function()
  it("has names, samples and annotations", function()
    local plan = plan_of("Lipid,class,S1,S2,m/z\nPC 34:1,PC,1.5,2,760.5\nPE 36:2,PE,3,NA,744.5\n")
    assert.equal("Lipid=feature class=annotation S1=sample# S2=sample# m/z=annotation", roles(plan))
    assert.equal("wide", plan.shape)
    assert.equal(2, plan.samples)
    assert.equal("", doubts(plan))
    assert.same({}, plan.contrasts)
  end)

  it("gives each column its slot among numbers or texts", function()
    local plan = plan_of("class,Lipid,S1,note,S2\nPC,PC 34:1,1.5,x,NA\n,PE 36:2,,y,3\n")
    assert.same({ 3, 5 }, plan.number_positions)
    assert.same({ 1, 4 }, plan.text_positions)
    assert.same({ "", "NA" }, plan.number_marks)
    assert.equal(plan.columns[2], plan.feature)
    assert.same({ position = 3, name = "S1", role = "sample", type = "number", slot = 1, missing = "" },
      plan.columns[3])
    assert.same({ position = 4, name = "note", role = "annotation", type = "text", slot = 2 }, plan.columns[4])
    assert.same({ position = 2, name = "Lipid", role = "feature", type = "text" }, plan.columns[2])
  end)

  it("has its commonest missing mark where a column shows none", function()
    local plan = plan_of("Lipid,S1,S2,S3\nA,1,NA,NA\nB,2,NA,\nC,2,3,4\nD,5,6,7\n")
    assert.same({ "NA", "NA", "" }, plan.number_marks)
    assert.same({ false }, plan_of("Lipid,S1\nA,1\n").number_marks)
  end)

  it("does not take ids and row numbers for samples", function()
    local plan = plan_of(",Lipid,entrez_id,GeneID,row ID,covid,S1\n1,A,7,8,9,1,2\n2,B,7,8,9,1,2\n")
    assert.equal("=annotation Lipid=feature entrez_id=annotation GeneID=annotation row ID=annotation "
      .. "covid=sample# S1=sample#", roles(plan))
    assert.equal("", doubts(plan))
  end)

  it("may have samples called like statistics of others", function()
    local plan = plan_of("Lipid,B,t,F,p\nX,1,2,3,4\n")
    assert.equal("Lipid=feature B=sample# t=sample# F=sample# p=sample#", roles(plan))
  end)

  it("keeps a sample whose cells are all missing", function()
    local plan = plan_of("Lipid,S1,S2,S3,S4\nA,1,NA,,2\nB,1,NA,,2\n")
    assert.equal("Lipid=feature S1=sample# S2=sample# S3=sample# S4=sample#", roles(plan))
    assert.matches('taken for samples: "S3"', doubts(plan))
  end)

  it("does not make samples of empty columns elsewhere", function()
    local plan = plan_of("Lipid,comment,S1,S2,\nA,,1,2,\nB,,1,2,\n")
    assert.equal("Lipid=feature comment=annotation S1=sample# S2=sample# =annotation", roles(plan))
  end)

  it("reads numbers where most cells are one and the same other text", function()
    local plan = plan_of("Lipid,S1,S2\nA,1,<LOD\nB,2,<LOD\nC,3,<LOD\nD,4,0.5\n")
    assert.equal("Lipid=feature S1=sample# S2=sample#", roles(plan))
    assert.matches('"S2" is read as numbers, though most of its cells are "<LOD"', doubts(plan))
    plan = plan_of("Lipid,S1,note\nA,1,one\nB,2,two\nC,3,three\nD,4,0.5\n")
    assert.equal("Lipid=feature S1=sample# note=annotation", roles(plan))
    plan = plan_of("Lipid,S1,S2\nA,1,<LOD\nB,2,<LOD\nC,3,7\n", { S2 = "annotation" })
    assert.equal("Lipid=feature S1=sample# S2=annotation", roles(plan))
  end)

  it("says which columns hold numbers that are not read", function()
    local plan = plan_of('Lipid;S1;share;big;limit;date;name 2\nA;1;6.7%;1.234.567;<0.5;2020-01-02;3-methyl\n')
    assert.matches('kept as text: "share", "big", "limit"$', doubts(plan))
    assert.matches('kept as text: "x"', doubts(plan_of("Lipid;S1;x\nA;1;1\xC2\xA0234,5\n")))
  end)
end)

describe("a header that a sample may have too", function()
  it("makes an annotation with a doubt", function()
    local plan = plan_of("Lipid,Start,No,Mass,S1,S2,Patient ID\nA,1,2,7.5,1.5,2,17\nB,3,4,8.5,3,4,18\n")
    assert.equal("Lipid=feature Start=annotation No=annotation Mass=annotation S1=sample# S2=sample# "
      .. "Patient ID=annotation", roles(plan))
    assert.equal('taken for annotations by their header, but may be samples: "Start", "No", "Mass", "Patient ID" '
      .. "(--set COLUMN=sample)", doubts(plan))
    plan = plan_of("Lipid,Start,S1\nA,1,2\n", { Start = "annotation" })
    assert.equal("", doubts(plan))
  end)

  it("makes a sample with a doubt where fractions stand beside samples", function()
    local plan = plan_of("Lipid,Start,Mid,End,Index\nA,1.5,2.5,3.5,1\nB,1,2,3,2\n")
    assert.equal("Lipid=feature Start=sample# Mid=sample# End=sample# Index=annotation", roles(plan))
    assert.matches('annotations by their header, but may be samples: "Index"', doubts(plan))
    assert.matches('samples by their header, but may be annotations: "Start", "End" %(%-%-set COLUMN=annotation%)',
      doubts(plan))
    plan = plan_of("Lipid,S1,Mass,S2\nA,1.5,2.5,3.5\n")
    assert.equal("Lipid=feature S1=sample# Mass=sample# S2=sample#", roles(plan))
    plan = plan_of("Lipid,Length,class,S1\nA,1.5,x,1\n")
    assert.equal("Lipid=feature Length=annotation class=annotation S1=sample#", roles(plan))
  end)

  it("is a statistic with a doubt, unless limma or edgeR wrote the others", function()
    local plan = plan_of("gene,B,t,log2FC,padj\nx,1.5,2,1,0.1\n")
    assert.equal("gene=feature B=log_odds# t=statistic# log2FC=log2_fold_change# padj=adjusted_p_value#", roles(plan))
    assert.equal('taken for statistics, but samples may be called so: "B", "t" (--set COLUMN=sample)', doubts(plan))
    plan = plan_of("gene,logFC,AveExpr,t,P.Value,adj.P.Val,B\nx,1,2,3,0.1,0.1,4\n")
    assert.equal("", doubts(plan))
    plan = plan_of("gene,log2FC,padj,A,B,C,D\nx,1,0.1,5,6,7,8\n")
    assert.equal("gene=feature log2FC=log2_fold_change# padj=adjusted_p_value# A=sample# B=sample# C=sample# D=sample#",
      roles(plan))
  end)
end)

describe("codes", function()
  it("make a column of text, with a doubt unless its header says that they are", function()
    local plan = plan_of("Lipid,plate,GeneID,S1\nA,00123,007,1\nB,00007,008,2\n")
    assert.equal("Lipid=feature plate=annotation GeneID=annotation S1=sample#", roles(plan))
    assert.equal('kept as text, because numbers in it are written as codes: "plate" (--set COLUMN=sample)',
      doubts(plan))
    plan = plan_of("Lipid,plate,S1\nA,00123,1\nB,00007,2\n", { plate = "sample" })
    assert.equal("Lipid=feature plate=sample# S1=sample#", roles(plan))
  end)

  it("among more numbers are doubted", function()
    local plan = plan_of("Lipid,well,S1\nA,2310009E13,1\nB,5,2\nC,17,3\n")
    assert.equal("Lipid=feature well=sample# S1=sample#", roles(plan))
    assert.matches('written as codes, such as 007 or 12E3: "well" %(%-%-set COLUMN=annotation%)', doubts(plan))
    assert.equal("Lipid=feature well=annotation S1=sample#",
      roles(plan_of("Lipid,well,S1\nA,2310009E13,1\nB,05,2\nC,17,3\n")))
  end)

  it("do not count for numbers against other texts", function()
    assert.equal("Lipid=feature x=annotation S1=sample#",
      roles(plan_of("Lipid,x,S1\nA,01,1\nB,5,2\nC,u,3\nD,v,4\nE,w,5\nF,6,6\n")))
  end)

  it("may be names", function()
    assert.equal("=feature S1=sample#", roles(plan_of("S1\n2310009E13\t1\n4930012E11\t2\n")))
    assert.equal("id=feature S1=sample#", roles(plan_of("id,S1\n007,1\n008,2\n", nil, { "id" })))
    assert.equal("no_name_column", refusal("S1\n01\t1\n02\t2\n").code)
    assert.equal("Probe=feature plate=annotation S1=sample#", roles(plan_of("Probe,plate,S1\nx,01,1\ny,02,2\n")))
  end)
end)

describe("a statistics table", function()
  for tool, case in pairs {
    DESeq2 = { '"","baseMean","log2FoldChange","lfcSE","stat","pvalue","padj"\n'
        .. '"A",1,-2,0.1,3,1.6e-318,NA\n"B",1,2,1,1,1,NA\n',
      "=feature baseMean=base_mean# log2FoldChange=log2_fold_change# lfcSE=standard_error# stat=statistic# "
        .. "pvalue=p_value# padj=adjusted_p_value#" },
    edgeR = { "logFC\tlogCPM\tLR\tPValue\tFDR\nA\t1\t2\t3\t0.5\t0.5\nB\t1\t2\t3\t0.5\t0.5\n",
      "=feature logFC=log2_fold_change# logCPM=base_mean# LR=statistic# PValue=p_value# FDR=adjusted_p_value#" },
    limma = { '"logFC"\t"AveExpr"\t"t"\t"P.Value"\t"adj.P.Val"\t"B"\n"A"\t1\t2\t3\t0.5\t0.5\t-4\n',
      "=feature logFC=log2_fold_change# AveExpr=base_mean# t=statistic# P.Value=p_value# "
        .. "adj.P.Val=adjusted_p_value# B=log_odds#" },
    MSstats = { "gene,Label,log2FC,SE,Tvalue,DF,pvalue,adj.pvalue\nA,T-C,1,0.1,2,4,0.01,0.02\n"
        .. "B,T-C,1,0.1,2,4,0.01,0.02\n",
      "gene=feature Label=annotation log2FC=log2_fold_change# SE=standard_error# Tvalue=statistic# "
        .. "DF=degrees_of_freedom# pvalue=p_value# adj.pvalue=adjusted_p_value#" },
    Seurat = { ',p_val,avg_log2FC,pct.1,pct.2,p_val_adj\nA,0.1,1,0.5,0.2,0.1\n',
      "=feature p_val=p_value# avg_log2FC=log2_fold_change# pct.1=statistic# pct.2=statistic# "
        .. "p_val_adj=adjusted_p_value#" },
    people = { "Lipid,FC,log2 FC,p,q-value\nA,2,1,0.1,0.2\n",
      "Lipid=feature FC=fold_change# log2 FC=log2_fold_change# p=p_value# q-value=adjusted_p_value#" },
  } do
    it("is known as " .. tool .. " writes it", function()
      local plan = plan_of(case[1])
      assert.equal(case[2], roles(plan))
      assert.equal("statistics", plan.shape)
      assert.equal(1, #plan.contrasts)
    end)
  end

  it("has one contrast with the slots of its statistics", function()
    local plan = plan_of("gene,log2FC,pvalue,padj,note\nA,1,0.1,0.2,x\n")
    assert.same({ { name = "", log2_fold_change = 1, p_value = 2, adjusted_p_value = 3 } }, plan.contrasts)
  end)

  it("has a contrast for each name before or behind its statistics", function()
    local plan = plan_of("gene,baseMean,log2FC_A,lfcSE_A,padj_A,B: log2FC,B: padj,p_C\nx,9,1,2,0.3,4,0.5,6\n")
    assert.same({
      { name = "", base_mean = 1 },
      { name = "A", log2_fold_change = 2, standard_error = 3, adjusted_p_value = 4 },
      { name = "B", log2_fold_change = 5, adjusted_p_value = 6 },
    }, plan.contrasts)
    assert.equal("statistic", plan.columns[8].role)
    assert.is_nil(plan.columns[8].statistic) -- there is no other of C
    assert.matches('taken for statistics: "p_C"', doubts(plan))
  end)

  it("may have values of samples beside it, which is doubted", function()
    local plan = plan_of("gene,log2FC,padj,S1,S2,S3,length\nx,1,0.2,5,6,7,800\n")
    assert.equal("gene=feature log2FC=log2_fold_change# padj=adjusted_p_value# S1=sample# S2=sample# S3=sample# "
      .. "length=annotation", roles(plan))
    assert.matches('taken for samples: "S1", "S2", "S3" %(%-%-set COLUMN=annotation%)', doubts(plan))
    plan = plan_of("gene,log2FC,padj,mean_a\nx,1,0.2,5\n")
    assert.matches('taken for statistics: "mean_a" %(%-%-set COLUMN=sample%)', doubts(plan))
  end)

  it("does not take a logarithm for a p-value", function()
    local plan = plan_of("gene,log2FC,pvalue,-log10(padj)\nx,1,5.2,3\ny,1,0.2,3\n")
    assert.equal("gene=feature log2FC=log2_fold_change# pvalue=statistic# -log10(padj)=statistic#", roles(plan))
    assert.matches('"pvalue" is not taken for p%-values', doubts(plan))
    plan = plan_of("gene,log2FC,pvalue\nx,1,5.2\n", { pvalue = "p_value" })
    assert.equal(2, plan.contrasts[1].p_value)
  end)

  it("does not take Seurat's natural logarithms for base 2", function()
    local plan = plan_of(",p_val,avg_logFC,pct.1,pct.2,p_val_adj\nA,0.1,1,0.5,0.2,0.1\n")
    assert.equal("=feature p_val=p_value# avg_logFC=statistic# pct.1=statistic# pct.2=statistic# "
      .. "p_val_adj=adjusted_p_value#", roles(plan))
    assert.is_nil(plan.contrasts[1].log2_fold_change)
    assert.matches('"avg_logFC" is not taken for a log2 fold change', doubts(plan))
    plan = plan_of(",p_val,avg_logFC\nA,0.1,1\n", { avg_logFC = "log2_fold_change" })
    assert.equal("", doubts(plan))
    assert.equal("log2_fold_change", plan.columns[3].statistic)
    assert.is_nil(plan_of(",p_val,T cells avg_logFC\nA,0.1,1\n").columns[3].statistic)
  end)

  it("doubts that a fold change is to base 2 when nothing says so", function()
    for _, header in ipairs { "lfc", "logFC", "logfoldchange", "treated lfc" } do
      local plan = plan_of(("gene,%s,pvalue\nx,1,0.1\n"):format(header))
      assert.equal("log2_fold_change", plan.columns[2].statistic)
      assert.equal(('taken for logarithms to base 2, which the header does not say: "%s" (--set COLUMN=statistic)')
        :format(header), doubts(plan))
      for _, beside in ipairs { "logCPM", "AveExpr", "FDR", "adj.P.Val", "adj.P.Val.treated" } do
        assert.equal("", doubts(plan_of(("gene,%s,%s,pvalue\nx,1,0.5,0.1\n"):format(header, beside))))
      end
    end
    assert.equal("", doubts(plan_of("gene,log2FC,pvalue\nx,1,0.1\n")))
  end)

  it("says when two columns hold one statistic", function()
    local plan = plan_of("gene,log2FC,pvalue,P.Value\nx,1,0.1,0.2\n")
    assert.equal(2, plan.contrasts[1].p_value)
    assert.matches('an earlier column is: "P.Value"', doubts(plan))
  end)

  it("keeps a statistic that is missing everywhere", function()
    local plan = plan_of("gene,log2FC,padj\nx,1,NA\ny,2,NA\n")
    assert.equal("gene=feature log2FC=log2_fold_change# padj=adjusted_p_value#", roles(plan))
  end)
end)

describe("the column of names", function()
  it("is the first of the recipe's list, without regard to case, blanks and marks", function()
    assert.equal("LIPID_NAME", plan_of("class,LIPID_NAME,S1\nPC,A,1\n").feature.name)
    local plan = plan_of("Lipid Name,lipid,S1\nx,A,1\n")
    assert.equal("lipid", plan.feature.name)
    assert.matches('"Lipid Name" may hold names too', doubts(plan))
  end)

  it("is not one without a single name", function()
    local plan = plan_of("lipid,gene,S1\n,A,1\n,B,2\n")
    assert.equal("gene", plan.feature.name)
    assert.equal("", doubts(plan))
  end)

  it("may hold numbers when it is listed or set", function()
    assert.equal("entrez=feature S1=sample#", roles(plan_of("entrez,S1\n672,1\n675,2\n", nil, { "Entrez" })))
    assert.equal("id=feature S1=sample#", roles(plan_of("id,S1\n672,1\n675,2\n", { id = "feature" })))
  end)

  it("is a first column without header, as R writes row names", function()
    assert.equal("=feature a=sample# b=sample#", roles(plan_of("a\tb\nx\t1\t2\n")))
    assert.equal("", doubts(plan_of('"","a"\n"x",1\n')))
  end)

  it("is such a column of ids too, with a doubt", function()
    local plan = plan_of("a\tb\n672\t1\t2\n675\t3\t4\n")
    assert.equal("=feature a=sample# b=sample#", roles(plan))
    assert.matches("no header and holds numbers", doubts(plan))
  end)

  it("is no count of rows", function()
    assert.equal("no_name_column", refusal("a\tb\n1\t1\t2\n2\t3\t4\n").code)
    assert.equal("no_name_column", refusal("a\tb\n0\t1\t2\n1\t3\t4\n").code)
    assert.equal("no_name_column", refusal(",thing,a\n672,x,1\n675,y,4\n").code)
  end)

  it("is the first column when that is the only text, with a doubt", function()
    local plan = plan_of("Probe,a,b\nx,1,2\ny,3,4\n")
    assert.equal("Probe=feature a=sample# b=sample#", roles(plan))
    assert.matches('names were taken from "Probe", the only column of text', doubts(plan))
  end)

  it("is not guessed among several texts", function()
    local failure = refusal("Probe,Symbol,a\nx,y,1\n")
    assert.equal("no_name_column", failure.code)
    assert.equal("input", failure.kind)
    assert.equal("x.csv", failure.file)
    assert.equal(1, failure.line)
    assert.matches('"Probe", "Symbol", "a"', failure.detail)
    assert.matches("%-%-set COLUMN=feature", failure.hint)
  end)

  it("is not guessed when the rows seem to be samples", function()
    assert.matches('rows seem to be samples %("Sample"%)', refusal("Sample,PC 34:1,PC 36:2\nS1,1,2\nS2,3,4\n").hint)
    assert.equal("Sample", plan_of("Sample,a\nx,1\n", { Sample = "feature" }).feature.name)
  end)

  it("is not guessed when the header seems to be data", function()
    local failure = refusal("TP53\t2.5\nBRCA1\t1.5\n")
    assert.equal("no_header", failure.code)
    assert.matches('"TP53", "2.5"', failure.detail)
    assert.equal("no_header", refusal("TP53\t7\nBRCA1\t9\n").code)
    assert.equal("Probe=feature 1=sample# 2=sample#", roles(plan_of("Probe\t1\t2\nx\t5\t6\n")))
    assert.equal("Probe=feature 2.5=sample#", roles(plan_of("Probe\t2.5\nx\t5\n", { Probe = "feature" })))
    assert.equal("gene=feature 0.5=sample# 2=sample#", roles(plan_of("gene\t0.5\t2\nx\t5\t6\n")))
  end)
end)

describe("a long table", function()
  it("is not stored without a word", function()
    local text = "molecule,Replicate,Area\n"
    for sample = 1, 3 do
      for lipid = 1, 4 do
        text = text .. ("L%d,S%d,%d\n"):format(lipid, sample, lipid * sample)
      end
    end
    assert.matches('"Replicate" seems to name the sample of each row', doubts(plan_of(text)))
    assert.matches('names in "molecule" repeat: 4 different ones in the first 12 rows',
      doubts(plan_of((text:gsub("Replicate", "Where")))))
  end)

  it("as Skyline writes it is refused, and stored only with a word", function()
    local path = support.need_shared "lipidomics/lipidr__F1_data.csv"
    local done, failure = pcall(understand, path)
    assert.is_false(done)
    assert.equal("no_name_column", failure.code)
    local plan = understand(path, { Peptide = "feature" })
    assert.matches('"Replicate" seems to name the sample of each row', doubts(plan))
  end)
end)

describe("--set", function()
  local TEXT = "Lipid,Intensity A,Intensity B,score,note\nx,1,2,3,t\ny,4,5,6,u\n"

  it("gives a column any role", function()
    local plan = plan_of(TEXT, { score = "annotation", note = "feature", Lipid = "annotation" })
    assert.equal("Lipid=annotation Intensity A=sample# Intensity B=sample# score=annotation note=feature", roles(plan))
  end)

  it("gives a statistic's name", function()
    local plan = plan_of(TEXT, { score = "log2_fold_change" })
    assert.equal("statistics", plan.shape)
    assert.same({ { name = "", log2_fold_change = 3 } }, plan.contrasts)
  end)

  it("means several columns with a *, and one by its whole name first", function()
    local plan = plan_of(TEXT, { ["Intensity *"] = "annotation", ["Intensity B"] = "sample" })
    assert.equal("Lipid=feature Intensity A=annotation Intensity B=sample# score=sample# note=annotation", roles(plan))
    plan = plan_of("Lipid,a*b,aab\nx,1,2\n", { ["a*b"] = "annotation" })
    assert.equal("Lipid=feature a*b=annotation aab=sample#", roles(plan))
    plan = plan_of("Lipid,a.b (1),b\nx,1,2\n", { ["*.b (*"] = "annotation" })
    assert.equal("Lipid=feature a.b (1)=annotation b=sample#", roles(plan))
  end)

  it("makes numbers of texts, cell by cell", function()
    local plan = plan_of("Lipid,S1,S2\nx,1,low\ny,2,5\nz,3,high\n", { S2 = "sample" })
    assert.equal("Lipid=feature S1=sample# S2=sample#", roles(plan))
  end)

  it("is refused for a column or role that is not there, with the nearest one", function()
    local failure = refusal(TEXT, { scroe = "sample" })
    assert.equal("usage", failure.kind)
    assert.matches('no column "scroe"', failure.message)
    assert.matches('Did you mean "score"', failure.hint)
    assert.matches('The columns are "Lipid"', refusal(TEXT, { ["something else"] = "sample" }).hint)
    assert.matches('The columns are', refusal(TEXT, { ["Area *"] = "sample" }).hint)
    failure = refusal(TEXT, { score = "smaple" })
    assert.matches("no role 'smaple'", failure.message)
    assert.matches("Did you mean sample%?", failure.hint)
    assert.matches("The roles are feature, sample, statistic, annotation, sample_name, value, log2", failure.hint)
  end)

  it("is refused for two columns of names", function()
    local failure = refusal(TEXT, { Lipid = "feature", note = "feature" })
    assert.equal("usage", failure.kind)
    assert.matches('"Lipid" and "note"', failure.message)
  end)
end)

describe("a table", function()
  it("with two columns of one name is refused at its place", function()
    local failure = refusal("Lipid,S1,S2,S1\nx,1,2,3\n")
    assert.equal("duplicate_header", failure.code)
    assert.equal("x.csv", failure.file)
    assert.same({ 1, 4 }, { failure.line, failure.column })
    assert.matches('columns 2 and 4 have the same header "S1"', failure.message)
    assert.matches("columns 2 and 3 both have an empty header", refusal("Lipid,,,S1\nx,1,2,3\n").message)
    assert.matches("Is this line data", refusal("x,1,1\ny,2,3\n").hint)
  end)

  it("without numbers is refused", function()
    assert.equal("no_numbers", refusal("Lipid,class\nx,PC\ny,PE\n").code)
    assert.equal("no_numbers", refusal("Lipid,class\nx,NA\ny,NA\n").code)
    local failure = refusal("Lipid,m/z\nx,1\ny,2\n")
    assert.equal("no_numbers", failure.code)
    assert.matches("%-%-set COLUMN=sample", failure.hint)
    assert.matches("one column: check the separator", refusal("Lipid a b\nx 1 2\n").hint)
    assert.equal("no_numbers", refusal("Lipid\n1\n2\n").code)
  end)

  it("with control characters in its headers does not drive the terminal", function()
    assert.matches('"a\\x1B%[31m"', refusal("x,a\27[31m,c\ny,z,1\n").detail)
  end)

  it("of samples is refused for having no numbers", function()
    local done, failure = pcall(understand, support.need_shared "lipidomics/lipidr__clin.csv")
    assert.is_false(done)
    assert.equal("no_numbers", failure.code)
  end)

  it("of any kind is understood or refused, and never a bug", function()
    support.need_shared "lipidomics"
    for _, folder in ipairs { "lipidomics", "metabolomics", "names", "nasty", "proteomics", "signatures",
      "transcriptomics" } do
      for _, name in ipairs(sys.list(host.home .. "/../shared/data/" .. folder)) do
        local done, result = pcall(understand, support.shared(folder .. "/" .. name))
        assert.is_true(done or errors.is(result, "input"), name .. ": " .. tostring(result))
      end
    end
  end)

  it("of 500 rows is understood in a small part of a millisecond #slow", function()
    local lines = { "lipid,a,b,c,d,e,f" }
    for i = 1, 500 do
      lines[#lines + 1] = ("PC %d:%d,1.5,2.25,3.125,4.5,5.5,6.5"):format(i // 10, i % 10)
    end
    local reader <close> = csv.frames { text = table.concat(lines, "\n") }
    local frame, best = reader:next(), math.huge
    for _ = 1, 20 do
      local started = sys.monotonic()
      for _ = 1, 20 do
        columns.understand(frame, { name_columns = NAMES, file = "x", line = 1 })
      end
      best = math.min(best, (sys.monotonic() - started) / 20)
    end
    assert.is_true(best < 0.0008, ("%.3f ms"):format(best * 1000))
  end)
end)

describe("the real file", function()
  for name, case in pairs {
    ["lipidomics/lipidr__brca_matrix.csv"] = { "lipids", "wide", 20, 0 },
    ["transcriptomics/generated__deseq2_Li2008_LNCaP_treated_vs_control.csv"] = { "", "statistics", 0, 6 },
    ["transcriptomics/generated__edgeR_Li2008_topTags.tsv"] = { "", "statistics", 0, 5 },
    ["transcriptomics/generated__limma_voom_Li2008_topTable.txt"] = { "", "statistics", 0, 6 },
    ["transcriptomics/rgsepd__IlluminaBodymap.csv"] = { "", "wide", 16, 0 },
    ["transcriptomics/goseq__Li_sum.txt"] = { "genes", "wide", 7, 0 },
    ["transcriptomics/progeny__mouse_input.csv"] = { "", "wide", 8, 0 },
    ["proteomics/galaxyp__quantp_protein_data.tabular"] = { "Gene", "wide", 4, 0 },
  } do
    it(name .. " is understood", function()
      local plan = understand(support.need_shared(name), nil, { "lipids", "genes", "gene" })
      local statistics = 0
      for _, column in ipairs(plan.columns) do
        statistics = statistics + (column.role == "statistic" and 1 or 0)
      end
      assert.same(case, { plan.feature.name, plan.shape, plan.samples, statistics })
      assert.equal("", doubts(plan))
    end)
  end
end)

describe("numbers written with marks", function()
  it("are kept as text, with a doubt", function()
    for _, cell in ipairs { "6.7%", "<5", "1 234", "1'234.5", "1\u{A0}234", "\u{2212}1.5", "\u{A0}1.5", "2\u{A0}" } do
      local plan = plan_of(("lipid\ta\tb\nX\t%s\t2\nY\t%s\t3\n"):format(cell, cell))
      assert.equal("lipid=feature a=annotation b=sample#", roles(plan), cell)
      assert.matches('or a no%-break space are kept as text: "a"', doubts(plan))
    end
  end)

  it("are told of where no other numbers are", function()
    local failure = refusal "lipid\ta\nX\t\u{2212}1.5\nY\t\u{2212}2\n"
    assert.equal("no_numbers", failure.code)
    assert.matches('^Numbers with .* kept as text: "a"%. Write them plainly', failure.hint)
  end)
end)

describe("a first line of a name and numbers that count up", function()
  it("is data where the name is like those below it", function()
    for _, text in ipairs { "PC 34:1,1,2\nPC 34:2,3,4\n", "ENSG00000141510\t10\t20\nENSG00000141511\t17\t30\n",
      "TP53\t10\t20\nEGFR\t17\t30\nMYC\t1\t3\n" } do
      assert.equal("no_header", refusal(text).code)
    end
  end)

  it("numbers the samples otherwise", function()
    for _, header in ipairs { "GENES", "SYMBOL", "Gene names", "Probe_1" } do
      local plan = plan_of(header .. "\t1\t2\t3\nTP53\t10\t20\t2\nEGFR\t17\t30\t5\n")
      assert.equal(3, plan.samples)
    end
  end)
end)
