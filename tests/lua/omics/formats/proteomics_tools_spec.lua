local inspecting = require "tests.lua.omics.formats.inspecting"

--- A tab-separated table from rows of words with "|" between them.
local function tsv(...)
  local lines = {}
  for i, line in ipairs { ... } do
    lines[i] = line:gsub("|", "\t")
  end
  return table.concat(lines, "\n") .. "\n"
end

describe("MaxQuant", function()
  local HEADER = "Protein IDs|Majority protein IDs|Peptides|Razor + unique peptides|Peptides A 1|"
    .. "Sequence coverage [%]|Sequence coverage A 1 [%]|Intensity|Intensity A 1|LFQ intensity A 1|LFQ intensity B|"
    .. "MS/MS count A 1|Only identified by site|Reverse|Potential contaminant|id"

  it("has quantities of each sample, and everything else as it stands", function()
    local result = inspecting.read(tsv(HEADER, "P1;P2|P1|3|2|1|4.1|2.0|100|60|50|40|2||||0"), "proteinGroups.txt")
    assert.equal("maxquant", result.findings.format)
    assert.equal("proteomics", result.omics)
    assert.equal("annotation Protein IDs, feature Majority protein IDs, annotation Peptides, "
      .. "annotation Razor + unique peptides, sample Peptides A 1 of A 1 (Peptides), "
      .. "annotation Sequence coverage [%], sample Sequence coverage A 1 [%] of A 1 (Sequence coverage), "
      .. "annotation Intensity, sample Intensity A 1 of A 1 (Intensity), "
      .. "sample LFQ intensity A 1 of A 1 (LFQ intensity), sample LFQ intensity B of B (LFQ intensity), "
      .. "sample MS/MS count A 1 of A 1 (MS/MS count), annotation Only identified by site, annotation Reverse, "
      .. "annotation Potential contaminant, annotation id", inspecting.columns(result))
    assert.equal(2, result.plan.samples)
  end)

  it("flags contaminants, decoys and what was found by a site alone, and drops none", function()
    local result = inspecting.read(tsv(HEADER, "P1|P1|3|2|1|4|2|9|6|5|4|2||||0",
      "CON__P2|CON__P2|3|2|1|4|2|9|6|5|4|2|||+|1",
      "REV__P3|REV__P3|3|2|1|4|2|9|6|5|4|2|+|+||2", "P4|P4|3|2|1|4|2|9|6|5|4|2|+|||3"), "proteinGroups.txt")
    assert.equal(4, result.rows)
    -- A row is counted once, though its column and its name both say so.
    assert.same({ contaminant = 1, decoy = 1, site_only = 2 }, result.flagged)
    assert.same({ { flag = "site_only", position = 13, slot = 6, equals = "+" },
      { flag = "decoy", position = 14, slot = 7, equals = "+" },
      { flag = "contaminant", position = 15, slot = 8, equals = "+" }, { flag = "contaminant", prefix = "CON__" },
      { flag = "decoy", prefix = "REV__" } }, result.findings.flags)
  end)

  it("has dots for all marks when R wrote it again", function()
    local result = inspecting.read("Protein.IDs,Majority.protein.IDs,Razor...unique.peptides.A_1,"
      .. "Sequence.coverage.A_1....,LFQ.intensity.A_1,MS.MS.count.A_1\nP1,P1,1,2.5,3,4\n", "mq.csv")
    assert.equal("annotation Protein.IDs, feature Majority.protein.IDs, "
      .. "sample Razor...unique.peptides.A_1 of A_1 (Razor + unique peptides), "
      .. "sample Sequence.coverage.A_1.... of A_1 (Sequence coverage), "
      .. "sample LFQ.intensity.A_1 of A_1 (LFQ intensity), sample MS.MS.count.A_1 of A_1 (MS/MS count)",
      inspecting.columns(result))
  end)

  it("may have lost the empty cells at the ends of its rows", function()
    local result = inspecting.read(tsv("Protein IDs|Majority protein IDs|Intensity A|Reverse|Note", "P1|P1|5",
      "P2|P2|6", "P3|P3|7||x"), "proteinGroups.txt")
    assert.equal(3, result.rows)
    assert.matches("the empty cells at their ends seem to have been left out", inspecting.doubts(result))
    local failure = inspecting.refusal(tsv("Protein IDs|Majority protein IDs|Intensity A|Reverse|Note", "P1|P1|5",
      "P2|P2|6||", "P3|P3|7||x"), "proteinGroups.txt")
    assert.equal("ragged", failure.code)
    assert.equal(2, failure.line)
  end)

  it("of a real search holds what Python counts #shared", function()
    local result = inspecting.read_shared "proteomics/alphapeptstats__proteinGroups.txt"
    assert.same({ 882, 10, 882, 70440 }, inspecting.counts(result))
    assert.same({ contaminant = 31, decoy = 13, site_only = 72 }, result.flagged)
  end)

  it("has evidence by run, and sites by protein", function()
    local result = inspecting.read(tsv("Sequence|Modified sequence|Leading razor protein|Raw file|Experiment|Intensity|"
      .. "Reverse", "AEAP|_AEAP_|P1|r1|e1|50|"), "evidence.txt")
    assert.equal("maxquant_evidence", result.findings.format)
    assert.equal("annotation Sequence, annotation Modified sequence, feature Leading razor protein, "
      .. "annotation Raw file, sample_name Experiment, value Intensity (Intensity), annotation Reverse",
      inspecting.columns(result))
    result = inspecting.read(tsv("Proteins|Positions within proteins|Leading proteins|Protein|Localization prob|"
      .. "Localization prob S1|Intensity|Intensity S1|Intensity S1___1|Intensity___1",
      "P1;P2|3;4|P1|P1|0.9|0.8|9|8|7|6"), "Phospho (STY)Sites.txt")
    assert.equal("maxquant_sites", result.findings.format)
    assert.equal("annotation Proteins, annotation Positions within proteins, annotation Leading proteins, "
      .. "feature Protein, annotation Localization prob, sample Localization prob S1 of S1 (Localization prob), "
      .. "annotation Intensity, sample Intensity S1 of S1 (Intensity), "
      .. "sample Intensity S1___1 of S1 (Intensity, one site), annotation Intensity___1", inspecting.columns(result))
  end)
end)

describe("DIA-NN's matrix", function()
  it("has runs behind the columns of the group", function()
    local result = inspecting.read(tsv("Protein.Group|Protein.Ids|Protein.Names|Genes|First.Protein.Description|"
      .. "D:\\data\\S1.raw.dia|/data/S2.mzML", "P1;P2|P1;P2|A_HUMAN|A|text|1.5|", "cRAP-P3|P3|B_PIG|B|text||2"),
      "report.pg_matrix.tsv")
    assert.equal("diann_matrix", result.findings.format)
    assert.equal("S2", result.plan.columns[7].sample_id)
    assert.equal("PG.MaxLFQ", result.plan.columns[7].quantity)
    assert.same({ 2, 2, 2, 2 }, inspecting.counts(result))
    assert.same({ contaminant = 1 }, result.flagged)
  end)
end)

describe("FragPipe", function()
  it("tells samples from sums, and flags by the protein's own name", function()
    local result = inspecting.read(tsv("Protein|Protein ID|Entry Name|Gene|Protein Length|Organism|"
      .. "Combined Total Peptides|Combined Spectral Count|S 1 Spectral Count|S 1 Unique Spectral Count|S 1 Intensity|"
      .. "S 1 MaxLFQ Intensity", "sp|P1|A", ""):gsub("\nsp\tP1\tA\n\n$", "\n")
      .. "sp_P1\tP1\tA_HUMAN\tA\t120\tHomo\t3\t4\t4\t3\t100\t90\ncontam_sp_P2\tP2\tB\tB\t9\tBos\t3\t4\t4\t3\t100\t90\n",
      "combined_protein.tsv")
    assert.equal("fragpipe", result.findings.format)
    assert.equal("annotation Protein, feature Protein ID, annotation Entry Name, annotation Gene, "
      .. "annotation Protein Length, annotation Organism, annotation Combined Total Peptides, "
      .. "annotation Combined Spectral Count, sample S 1 Spectral Count of S 1 (Spectral Count), "
      .. "sample S 1 Unique Spectral Count of S 1 (Unique Spectral Count), sample S 1 Intensity of S 1 (Intensity), "
      .. "sample S 1 MaxLFQ Intensity of S 1 (MaxLFQ Intensity)", inspecting.columns(result))
    assert.same({ contaminant = 1 }, result.flagged)
  end)
end)

describe("Spectronaut", function()
  it("is long as a report, and wide as a pivot", function()
    local result = inspecting.read("R.Condition,R.FileName,PG.ProteinGroups,PG.Quantity,EG.PrecursorId,F.PeakArea\n"
      .. "A,run1,P1,4302.7,PEP.2,12\n", "sn.csv")
    assert.equal("annotation R.Condition, sample_name R.FileName, feature PG.ProteinGroups, "
      .. "value PG.Quantity (PG.Quantity), annotation EG.PrecursorId, value F.PeakArea (F.PeakArea)",
      inspecting.columns(result))
    result = inspecting.read(tsv("PG.ProteinGroups|PG.Genes|[1] run1.raw.PG.Quantity|[2] run2.raw.PG.Quantity",
      "P1|A|1.5|Filtered", "P2|B|2.5|3"), "pivot.tsv")
    assert.equal("spectronaut", result.findings.format)
    assert.equal("feature PG.ProteinGroups, annotation PG.Genes, sample [1] run1.raw.PG.Quantity of run1.raw "
      .. "(PG.Quantity), sample [2] run2.raw.PG.Quantity of run2.raw (PG.Quantity)", inspecting.columns(result))
  end)

  it("keeps SpectroMine's channels apart", function()
    local result = inspecting.read("R.FileName,PG.ProteinAccessions,PG.Coverage,PSM.TMT6_126..Raw.,PSM.TMT6_127..Raw.\n"
      .. "r1,P1,6.7%,5,6\n", "sm.csv")
    assert.equal("sample_name R.FileName, feature PG.ProteinAccessions, annotation PG.Coverage, "
      .. "value PSM.TMT6_126..Raw. (TMT6_126), value PSM.TMT6_127..Raw. (TMT6_127)", inspecting.columns(result))
  end)
end)

describe("Proteome Discoverer", function()
  it("has abundances by file, ratios by contrast, and marks contaminants", function()
    local result = inspecting.read(tsv("Master|Accession|Description|Contaminant|# Peptides|"
      .. "Abundance Ratio: (T) / (C)|Abundance Ratio (log2): (T) / (C)|Abundance Ratio Adj. P-Value: (T) / (C)|"
      .. "Abundance: F1: 126, Sample, T|Abundances (Normalized): F1: 126, Sample, T",
      "IsMasterProtein|P1|text|FALSE|3|2|1|0.01|10|11", "IsMasterProtein|P2|text|TRUE|3|2|1|0.01|10|11"), "p.txt")
    assert.equal("proteome_discoverer", result.findings.format)
    assert.equal("annotation Master, feature Accession, annotation Description, annotation Contaminant, "
      .. "annotation # Peptides, fold_change Abundance Ratio: (T) / (C), "
      .. "log2_fold_change Abundance Ratio (log2): (T) / (C), "
      .. "adjusted_p_value Abundance Ratio Adj. P-Value: (T) / (C), "
      .. "sample Abundance: F1: 126, Sample, T of F1: 126, Sample, T (Abundance), "
      .. "sample Abundances (Normalized): F1: 126, Sample, T of F1: 126, Sample, T (Abundance (Normalized))",
      inspecting.columns(result))
    assert.equal("(T) / (C)", result.plan.contrasts[1].name)
    assert.same({ contaminant = 1 }, result.flagged)
    assert.equal(1, result.samples)
  end)

  it("has its spectra by file #shared", function()
    local result = inspecting.read_shared "proteomics/msstatsconvert__PD_pd_input.csv"
    assert.equal("proteome_discoverer_psms", result.findings.format)
    assert.same({ 5, 15, 247, 737 }, inspecting.counts(result))
  end)
end)

describe("Progenesis", function()
  local TABLE = [[
,,,Normalized abundance,,,,Raw abundance,,,,
,,,A,,B,,A,,B,,
#,Accession,Score,s1,s2,s3,s4,s1,s2,s3,s4,Notes
1,P1,70.1,1,2,3,4,5,6,7,8,9
2,P2,70.2,1.5,2,3,4,5,6,7,,9
]]

  it("has three header rows, of which names, quantities and groups are made", function()
    local result = inspecting.read(TABLE, "prog.csv")
    assert.equal("progenesis", result.findings.format)
    assert.equal("annotation #, feature Accession, annotation Score, "
      .. "sample s1 (Normalized abundance) of s1 (Normalized abundance), "
      .. "sample s2 (Normalized abundance) of s2 (Normalized abundance), "
      .. "sample s3 (Normalized abundance) of s3 (Normalized abundance), "
      .. "sample s4 (Normalized abundance) of s4 (Normalized abundance), "
      .. "sample s1 (Raw abundance) of s1 (Raw abundance), "
      .. "sample s2 (Raw abundance) of s2 (Raw abundance), sample s3 (Raw abundance) of s3 (Raw abundance), "
      .. "sample s4 (Raw abundance) of s4 (Raw abundance), annotation Notes", inspecting.columns(result))
    assert.same({ group = "B" }, result.plan.columns[11].sample)
    assert.same({ 2, 4, 2, 15 }, inspecting.counts(result))
  end)

  it("may have been written again by R", function()
    local result = inspecting.read("X,X.1,X.2,Normalized.abundance,X.3,X.4,X.5,Raw.abundance,X.6,X.7,X.8,X.9\n"
      .. TABLE:match("\n(.*)$"), "prog.csv")
    assert.equal("progenesis", result.findings.format)
    assert.same({ 2, 4, 2, 15 }, inspecting.counts(result))
  end)

  it("says where its header is and keeps all of it", function()
    local found = inspecting.read(TABLE, "prog.csv").findings
    assert.equal(3, found.header_line)
    assert.equal(3, found.header_rows)
    assert.equal(",,,Normalized abundance,,,,Raw abundance,,,,\n,,,A,,B,,A,,B,,\n", found.preamble)
    assert.same({ "#", "Accession", "Score", "s1", "s2", "s3", "s4", "s1", "s2", "s3", "s4", "Notes" },
      found.written_header)
  end)
end)

describe("Protein Prospector", function()
  it("begins with two lines on the search", function()
    local result = inspecting.read(tsv("Search Name:|Z1/x", "||Z1/x||||",
      "|Acc #|Gene|Fraction|Spectrum|Int 126|Int 127",
      "[1]|P1|A|f1|7|25|28", "[1]|P1|A|f2|8|25|28"), "search.txt")
    assert.equal("prospector", result.findings.format)
    assert.equal("annotation , feature Acc #, annotation Gene, sample_name Fraction, annotation Spectrum, "
      .. "value Int 126 (126), value Int 127 (127)", inspecting.columns(result))
    assert.equal(3, result.findings.header_line)
  end)
end)

describe("DIA-Umpire", function()
  it("has several quantities of each run", function()
    local result = inspecting.read("Fragment.Key,Protein,Peptide,FragMz,run_1_RT,run_1_Intensity,run_2_RT,"
      .. "run_2_Intensity\n"
      .. "k1,P1,PEP,284.2,72.1,745,,\n", "FragSummary.csv")
    assert.equal("annotation Fragment.Key, feature Protein, annotation Peptide, annotation FragMz, "
      .. "sample run_1_RT of run_1 (RT), sample run_1_Intensity of run_1 (Intensity), sample run_2_RT of run_2 (RT), "
      .. "sample run_2_Intensity of run_2 (Intensity)", inspecting.columns(result))
    assert.equal(2, result.samples)
  end)
end)
