local inspecting = require "tests.lua.omics.formats.inspecting"
local inspection = require "ligase.omics.inspection"
local support = require "tests.support"
local sys = require "sys"

local SALMON = "Name\tLength\tEffectiveLength\tTPM\tNumReads\nENST1.2\t164\t14.5\t1.25\t3\nENST2\t900\t750\t0\t0\n"

describe("salmon", function()
  it("has one sample, named by its folder", function()
    local folder = support.workspace() .. "/ERR188021"
    sys.mkdir(folder)
    sys.write_file(folder .. "/quant.sf", SALMON)
    local result = inspection.inspect(folder .. "/quant.sf", {})
    assert.equal("salmon", result.findings.format)
    assert.equal("feature Name, annotation Length, sample EffectiveLength of ERR188021 (effective length), "
      .. "sample TPM of ERR188021 (TPM), sample NumReads of ERR188021 (reads)", inspecting.columns(result))
    assert.same({ 2, 1, 2, 6 }, inspecting.counts(result))
    assert.equal("TPM", result.plan.columns[4].unit)
  end)

  it("has one sample, named by the file when somebody renamed it", function()
    for name, sample in pairs { ["liver_quant.sf"] = "liver", ["S1.quant.sf"] = "S1", ["tumour.sf"] = "tumour" } do
      assert.equal(sample, inspecting.read(SALMON, name).plan.columns[4].sample_id)
    end
  end)

  it("of a real run holds what Python counts #shared", function()
    assert.same({ 48009, 1, 48009, 144027 },
      inspecting.counts(inspecting.read_shared "transcriptomics/tximportdata__salmon_ERR188021_quant.sf"))
  end)
end)

describe("kallisto and RSEM", function()
  it("are one sample each", function()
    local result = inspecting.read("target_id\tlength\teff_length\test_counts\ttpm\nT1\t291\t107.4\t2\t0.5\n",
      "S7_abundance.tsv")
    assert.equal("kallisto", result.findings.format)
    assert.equal("S7", result.plan.columns[5].sample_id)
    result = inspecting.read("gene_id\ttranscript_id(s)\tlength\teffective_length\texpected_count\tTPM\tFPKM\n"
      .. "A1BG\tNM_1,NM_2\t1766.00\t1699.94\t278.03\t12.74\t7.98\n", "S8.genes.results")
    assert.equal("rsem", result.findings.format)
    assert.equal("S8", result.plan.columns[6].sample_id)
    assert.equal("A1BG", result.first_rows[1][1])
    assert.equal(1, result.samples)
  end)
end)

describe("HTSeq", function()
  local COUNTS = "ENSG1\t0\nENSG2\t17\n__no_feature\t5\n__ambiguous\t6\n__too_low_aQual\t0\n__not_aligned\t0\n"
    .. "__alignment_not_unique\t9\n"

  it("without a header loses no row, and its summary rows are kept and flagged", function()
    local result = inspecting.read(COUNTS, "liver.tsv")
    assert.equal("htseq", result.findings.format)
    assert.is_false(result.findings.header)
    assert.equal("feature feature, sample liver of liver (reads)", inspecting.columns(result))
    assert.same({ "ENSG1", 0.0 }, result.first_rows[1])
    assert.equal(7, result.rows)
    assert.same({ summary = 5 }, result.flagged)
  end)

  it("keeps the attributes between name and count", function()
    local result = inspecting.read((COUNTS:gsub("(ENSG%d)\t", "%1\tTP53\t"):gsub("(__[%w_]+)\t", "%1\t\t")), "a.tsv")
    assert.equal("feature feature, annotation attribute 1, sample a of a (reads)", inspecting.columns(result))
    assert.equal("TP53", result.first_rows[1][2])
  end)

  it("with a header keeps that", function()
    local result = inspecting.read("feature\tcount\n" .. COUNTS, "S3_counts.tsv")
    assert.is_nil(result.findings.header)
    assert.equal("feature feature, sample count of S3 (reads)", inspecting.columns(result))
    assert.equal(7, result.rows)
  end)

  it("of real runs holds what Python counts #shared", function()
    assert.same({ 3556, 1, 3556, 3556 },
      inspecting.counts(inspecting.read_shared "transcriptomics/htseq__WTCHG_536273_229157.tsv"))
    assert.same({ 49773, 1, 49773, 49773 },
      inspecting.counts(inspecting.read_shared "transcriptomics/htseq__counts.tsv"))
  end)

  it("is not seen in any two columns without a header", function()
    assert.equal("no_name_column", inspecting.refusal("a,b\nc,d\n1,2\n", "x.csv").code)
    assert.equal("no_header", inspecting.refusal("ENSG1\t10\nENSG2\t17\nENSG3\t8\nENSG4\t9\n", "x.tsv").code)
  end)
end)

describe("a table without a header", function()
  it("is read when a person says so", function()
    local result = inspecting.read("ENSG1\t10\nENSG2\t17\n", "x.tsv", { dialect = { header = false } })
    assert.equal("feature V1, sample V2", inspecting.columns(result))
    assert.equal(2, result.rows)
  end)
end)

describe("STAR", function()
  it("has three counts of one sample, named by the file, and rows of no gene", function()
    local result = inspecting.read("N_unmapped\t5\t5\t5\nN_multimapping\t1\t1\t1\nN_noFeature\t2\t3\t4\n"
      .. "N_ambiguous\t0\t0\t0\nENSG1\t7\t8\t9\n", "liver_ReadsPerGene.out.tab")
    assert.equal("feature gene, sample unstranded of liver (reads, unstranded), "
      .. "sample first strand of liver (reads, first strand), sample second strand of liver (reads, second strand)",
      inspecting.columns(result))
    assert.same({ 5, 1, 5, 15 }, inspecting.counts(result))
    assert.same({ summary = 4 }, result.flagged)
  end)
end)

describe("featureCounts", function()
  local HEADER = '# Program:featureCounts v2.0; Command:"featureCounts"\n'

  it("has its samples named by their alignments", function()
    local result = inspecting.read(HEADER .. "Geneid\tChr\tStart\tEnd\tStrand\tLength\tout/S1.bam\tout/S2.sorted.bam\n"
      .. "ENSG1\tchr1;chr1\t1;5\t2;9\t+;+\t7\t10\t0\n", "counts.txt")
    assert.equal("featurecounts", result.findings.format)
    assert.equal("feature Geneid, annotation Chr, annotation Start, annotation End, annotation Strand, "
      .. "annotation Length, sample out/S1.bam of S1 (reads), sample out/S2.sorted.bam of S2.sorted (reads)",
      inspecting.columns(result))
    assert.matches("^# Program:featureCounts", result.findings.preamble)
  end)

  it("keeps two samples of one file name apart", function()
    local result = inspecting.read(HEADER .. "Geneid\ta/x.bam\tb/x.bam\nENSG1\t1\t2\n", "counts.txt")
    assert.equal("feature Geneid, sample a/x.bam of a/x.bam (reads), sample b/x.bam of b/x.bam (reads)",
      inspecting.columns(result))
    assert.equal(2, result.samples)
  end)

  it("refuses its summary, which has no features", function()
    local failure = inspecting.refusal("Status\ta.bam\nAssigned\t10\nUnassigned_NoFeatures\t3\n", "c.txt.summary")
    assert.equal("summary", failure.code)
    assert.equal(1, failure.line)
    assert.matches("%-%-format wide", failure.hint)
    local result = inspecting.read("Status\ta.bam\nAssigned\t10\nUnassigned_NoFeatures\t3\n", "c.txt.summary",
      { format = "wide" })
    assert.equal(2, result.rows)
  end)
end)

describe("Cufflinks", function()
  it("has values and their limits for each condition", function()
    local result = inspecting.read("tracking_id\tclass_code\tnearest_ref_id\tgene_id\tgene_short_name\ttss_id\tlocus\t"
      .. "length\tcoverage\tiPS_FPKM\tiPS_conf_lo\tiPS_conf_hi\tiPS_status\n"
      .. "XLOC_1\t-\t-\tXLOC_1\tOR4F5\tTSS1\tchr1:1-2\t-\t-\t20.2\t0\t182.5\tOK\n", "genes.fpkm_tracking")
    assert.equal("cufflinks", result.findings.format)
    assert.same({ 1, 1, 1, 3 }, inspecting.counts(result))
    assert.equal("annotation", result.plan.columns[13].role)
  end)
end)
