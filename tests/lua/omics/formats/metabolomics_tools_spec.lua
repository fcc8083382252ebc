local inspecting = require "tests.lua.omics.formats.inspecting"

describe("MZmine", function()
  local TABLE = "row ID,row m/z,row retention time,best ion,a b.mzML Peak area,c.mzML Peak area,\n"
    .. "834,150.127,1.05,,81619.78,0,\n1458,150.128,3.19,[M+H]+,0,160484.12,\n"

  it("has areas by file; the comma at each end makes a column without a name", function()
    local result = inspecting.read(TABLE, "quant.csv")
    assert.equal("mzmine", result.findings.format)
    assert.equal("feature row ID, annotation row m/z, annotation row retention time, annotation best ion, "
      .. "sample a b.mzML Peak area of a b.mzML (area), sample c.mzML Peak area of c.mzML (area), annotation ",
      inspecting.columns(result))
    assert.same({ 2, 2, 2, 4 }, inspecting.counts(result))
    assert.equal("834", result.first_rows[1][1])
    assert.equal("", inspecting.doubts(result))
  end)

  it("without that comma is the same", function()
    local result = inspecting.read((TABLE:gsub(",\n", "\n")), "quant.csv")
    assert.same({ 2, 2, 2, 4 }, inspecting.counts(result))
  end)

  it("has the file in the middle of its headers in its full table", function()
    local result = inspecting.read("id,mz,rt,datafile:S1.mzML:area,datafile:S1.mzML:height\n1,150.1,3.2,9,4\n", "f.csv")
    assert.equal("mzmine", result.findings.format)
    assert.equal("feature id, annotation mz, annotation rt, sample datafile:S1.mzML:area of S1.mzML (area), "
      .. "sample datafile:S1.mzML:height of S1.mzML (height)", inspecting.columns(result))
  end)

  it("of a real study holds what Python counts #shared", function()
    for _, name in ipairs { "Lab1_GNPS_file_quant", "FeatureMatrix" } do
      local result = inspecting.read_shared(("metabolomics/fbmn_stats__%s.csv"):format(name))
      assert.same({ 3726, 13, 3726, 48438 }, inspecting.counts(result))
    end
  end)
end)

describe("MS-DIAL", function()
  it("says above its header what its samples are", function()
    local lines = {
      "\t\t\tClass\tctrl\tdrug\tNA\tNA", "\t\t\tFile type\tSample\tQC\tNA\tNA", "\t\t\tInjection order\t1\t2\tNA\tNA",
      "\t\t\tBatch ID\t1\t1\tAverage\tStdev",
      "Alignment ID\tMetabolite name\tAverage Mz\tMS/MS spectrum\tS1\tS2\tctrl\tctrl",
      '0\tPC 34:1\t760.58\t184:100\t1.5\t2\t1.5\t0', '1\tUnknown\t761.58\t5":1\t3\t0\t3\t0' }
    local result = inspecting.read(table.concat(lines, "\n") .. "\n", "Area_0.txt")
    assert.equal("msdial", result.findings.format)
    assert.equal("annotation Alignment ID, feature Metabolite name, annotation Average Mz, annotation MS/MS spectrum, "
      .. "sample S1 of S1, sample S2 of S2, annotation ctrl, annotation ctrl (Stdev)", inspecting.columns(result))
    assert.same({ group = "drug", ["File type"] = "QC", ["Injection order"] = "2", ["Batch ID"] = "1" },
      result.plan.columns[6].sample)
    assert.same({ unidentified = 1 }, result.flagged)
    assert.equal(5, result.findings.header_line)
    assert.equal("lipidomics", result.omics)
    assert.equal('5":1', result.first_rows[2][4])
  end)
end)

describe("LipidSearch and Compound Discoverer", function()
  it("have areas by sample", function()
    local result = inspecting.read("LipidIon\tLipidMolec\tClass\tFattyAcid\tCalcMz\tArea[c-1]\tArea[s1-2]\tRt[c-1]\n"
      .. "PC(16:0/18:1)+H\tPC(34:1)\tPC\t(16:0/18:1)\t760.58\t5\t6\t8.1\n", "ls.txt")
    assert.equal("lipidsearch", result.findings.format)
    assert.equal("annotation LipidIon, feature LipidMolec, annotation Class, annotation FattyAcid, annotation CalcMz, "
      .. "sample Area[c-1] of c-1 (Area), sample Area[s1-2] of s1-2 (Area), sample Rt[c-1] of c-1 (Rt)",
      inspecting.columns(result))
    result = inspecting.read("Name,Formula,Calc. MW,RT [min],Log2 Fold Change: (T) / (C),Area: S1.raw (F1)\n"
      .. "Alanine,C3 H7 N O2,89.0477,0.9,1.5,500\n", "cd.csv")
    assert.equal("compound_discoverer", result.findings.format)
    assert.equal("feature Name, annotation Formula, annotation Calc. MW, annotation RT [min], "
      .. "log2_fold_change Log2 Fold Change: (T) / (C), sample Area: S1.raw (F1) of S1.raw (Area)",
      inspecting.columns(result))
  end)
end)

describe("GNPS' list of identifications", function()
  it("is refused, because it holds no measurements", function()
    local failure = inspecting.refusal("SpectrumID\tCompound_Name\tLibraryName\tMQScore\tSharedPeaks\tMassDiff\n"
      .. "CCMS1\tIrgarol\tlib\t0.99\t8\t1e-5\n", "gnps.tsv")
    assert.equal("no_measurements", failure.code)
    assert.matches("%-%-format wide", failure.hint)
  end)
end)
