local inspecting = require "tests.lua.omics.formats.inspecting"

describe("Skyline", function()
  local REPORT = [[
Peptide,Protein,Replicate,Precursor Mz,Precursor Charge,Fragment Ion,Retention Time,Area,Background,Peak Rank
18:1-d9 SM,SM,S1A,738.64,1,Ion [184.1],5.41,1576503,15882,1
18:1-d9 SM,SM,S2A,738.64,1,Ion [184.1],5.4,#N/A,26790,1
PC 34:1,PC,S1A,760.6,1,Ion [184.1],6.1,220000,5,1
]]

  it("names features and samples in its rows", function()
    local result = inspecting.read(REPORT, "F1.csv")
    assert.equal("skyline", result.findings.format)
    assert.equal("long", result.plan.shape)
    assert.equal("lipidomics", result.omics)
    assert.equal("feature Peptide, annotation Protein, sample_name Replicate, annotation Precursor Mz, "
      .. "annotation Precursor Charge, annotation Fragment Ion, value Retention Time (Retention Time), "
      .. "value Area (Area), value Background (Background), annotation Peak Rank", inspecting.columns(result))
    assert.same({ 2, 2, 3, 8 }, inspecting.counts(result))
    assert.equal("", inspecting.doubts(result))
  end)

  it("of peptides is proteomics", function()
    local peptides = REPORT:gsub("18:1%-d9 SM,SM", "AEAPAAAPAAK,P02768"):gsub("PC 34:1,PC", "LVNELTEFAK,P02768")
    local result = inspecting.read(peptides, "r.csv")
    assert.equal("proteomics", result.omics)
    assert.equal("Protein", result.plan.feature.name)
    result = inspecting.read("Protein Name,Peptide Modified Sequence,Precursor Charge,File Name,Area\n"
      .. "sp|P1|A_HUMAN,AEC[+57]PAAK,2,a.raw,#N/A\nsp|P1|A_HUMAN,AEC[Carbamidomethyl (C)]PAAK,2,b.raw,5\n", "r.csv")
    assert.equal("feature Protein Name, annotation Peptide Modified Sequence, annotation Precursor Charge, "
      .. "sample_name File Name, value Area (Area)", inspecting.columns(result))
  end)

  it("keeps the columns that R wrote in front and as texts #shared", function()
    local result = inspecting.read_shared "lipidomics/lipidr__F2.csv"
    assert.equal("Peptide", result.plan.feature.name)
    assert.equal("value", result.plan.columns[11].role)
    assert.equal(52585.0, result.first_rows[1][11])
  end)
end)

describe("a table for MSstats", function()
  it("has its runs as samples", function()
    local result = inspecting.read("ProteinName,PeptideSequence,PrecursorCharge,FragmentIon,ProductCharge,"
      .. "IsotopeLabelType,Condition,BioReplicate,Run,Intensity\nsp|P1|A_YEAST,ALDGQ,2,,0,L,1,1,1,57341200\n", "m.csv")
    assert.equal("msstats_input", result.findings.format)
    assert.equal("sample_name", result.plan.columns[9].role)
    assert.equal("value", result.plan.columns[10].role)
    assert.equal("feature", result.plan.columns[1].role)
  end)

  it("has its channels' replicates as samples when it is of labelled ones", function()
    local result = inspecting.read("ProteinName,PeptideSequence,Charge,Channel,Condition,BioReplicate,Run,Mixture,"
      .. "TechRepMixture,Intensity\nP1,ALDGQ,2,1,A,A_1,r1,1,1,57341200\nP1,ALDGQ,2,2,A,A_2,r1,1,1,5\n", "m.csv")
    assert.equal("BioReplicate", result.plan.sample_name.name)
    assert.equal(2, result.samples)
  end)
end)

describe("DIA-NN's report", function()
  it("has quantities of protein groups by run, and flags contaminants", function()
    local result = inspecting.read("File.Name\tRun\tProtein.Group\tGenes\tPG.Quantity\tPrecursor.Id\tQ.Value\n"
      .. "a.raw\ta\tP04637\tTP53\t10.5\tPEP2\t0.01\na.raw\ta\tCont_P00761\t\t7\tPEQ2\t0.01\n", "report.tsv")
    assert.equal("diann_report", result.findings.format)
    assert.equal("annotation File.Name, sample_name Run, feature Protein.Group, annotation Genes, "
      .. "value PG.Quantity (PG.Quantity), annotation Precursor.Id, annotation Q.Value", inspecting.columns(result))
    assert.same({ contaminant = 1 }, result.flagged)
  end)
end)

describe("a long table of no tool", function()
  it("is found by what its columns are called", function()
    local result = inspecting.read("lipid,sample,value\nPC 34:1,S1,1\nPC 34:1,S2,2\nPE 36:2,S1,3\n", "x.csv")
    assert.equal("long", result.findings.format)
    assert.equal("feature lipid, sample_name sample, value value (value)", inspecting.columns(result))
    assert.same({ 2, 2, 3, 3 }, inspecting.counts(result))
  end)

  it("keeps other numbers beside its values as they stand", function()
    local result = inspecting.read("lipid,sample,area,height,rank\nPC 34:1,S1,1,2,3\nPC 34:1,S2,2,3,4\n", "x.csv")
    assert.equal("feature lipid, sample_name sample, value area (area), annotation height, annotation rank",
      inspecting.columns(result))
    assert.matches('kept as text beside the column of values: "height", "rank" %(%-%-set COLUMN=value%)',
      inspecting.doubts(result))
  end)

  it("is found by its sample column alone, with a doubt", function()
    local result = inspecting.read("lipid,sample,peak\nPC 34:1,S1,1\nPC 34:1,S2,2\nPE 36:2,S1,3\n", "x.csv")
    assert.equal("feature lipid, sample_name sample, value peak", inspecting.columns(result))
    assert.matches('"sample" seems to name the sample of each row', inspecting.doubts(result))
  end)

  it("has the roles that a person says", function()
    local result = inspecting.read("lipid,who,peak\nPC 34:1,S1,1\nPC 34:1,S2,2\n", "x.csv",
      { set = { who = "sample_name" } })
    assert.equal("feature lipid, sample_name who, value peak", inspecting.columns(result))
    assert.equal("long", result.plan.shape)
  end)
end)
