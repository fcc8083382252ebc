--- ligase compare: two datasets, revisions or signatures side by side.
local json = require "ligase.base.json"

local lab = require("tests.cli.lab").new()
local write, ligase, done = lab.write, lab.ligase, lab.done

local function compare(...)
  return json.decode((done { "compare", "--json", ... }))
end

local function near(expected, got)
  assert.is_true(math.abs(expected - got) < 1e-12, ("%.15g, not %.15g"):format(got, expected))
end

setup(function()
  lab.open()
  -- Shared with changes in both: five; PC 34:1 of A is 3 (the mean of 2 and 4), CE 18:1 is missing in B.
  write("a.csv", "lipid,log2FC,padj\nPC 34:1,2,0.1\nPC 34:1,4,0.1\nPE 36:2,-2,0.1\nTG 52:2,1,0.1\nSM 34:1;O2,0,0.1\n"
    .. "LPC 16:0,-1,0.1\nCE 18:1,1,0.1\nCer 18:1;O2/16:0,1,0.1\n")
  write("b.csv", "lipid,log2FC,padj\nPC 34:1,1,0.1\nPE 36:2,1,0.1\nTG 52:2,5,0.1\nSM 34:1;O2,2,0.1\nLPC 16:0,-4,0.1\n"
    .. "CE 18:1,,0.1\nCer 34:1;O2,1,0.1\nPC 16:0_18:1,9,0.1\n")
  write("doses.csv", "lipid,log2FC_low,padj_low,log2FC_high,padj_high\nPC 34:1,1,0.1,2,0.1\nPE 36:2,2,0.1,4,0.1\n"
    .. "TG 52:2,3,0.1,-9,0.1\n")
  write("liver.csv", "lipid,x,y\nPC 34:1,1,3\nPE 36:2,4,4\nTG 52:2,9,\nSM 34:1;O2,,\n")
  write("plasma.csv", "lipid,s,t,u\nPC 34:1,5,5,5\nPE 36:2,1,2,3\nTG 52:2,6,7,8\nSM 34:1;O2,1,1,1\n")
  done { "ingest", "--omics", "lipidomics", "a.csv", "b.csv", "doses.csv", "liver.csv", "plasma.csv" }
end)

describe("ligase compare", function()
  it("sets changes side by side, with figures worked out by hand", function()
    local report = compare("a", "b")
    assert.same({ "a", 1, 7, 1 }, { report.a.dataset, report.a.revision, report.a.features, report.a.repeated })
    assert.same({ 6, 1, 2 }, { report.shared, report.only_a, report.only_b })
    assert.same({ "Cer 18:1;O2/16:0" }, { table.unpack(report.only_a_features) })
    assert.same({ "Cer 34:1;O2", "PC 16:0_18:1" }, { table.unpack(report.only_b_features) })
    -- Pairs (3, 1) (-2, 1) (1, 5) (0, 2) (-1, -4): SM has no direction in A.
    local effects = report.effects[1]
    assert.same({ 1, 5, 3, 1, 0.75 }, { #report.effects, effects.n, effects.same, effects.opposite,
      effects.concordance })
    -- Means 0.2 and 1: products 0 + 0 + 0.8 * 4 + -0.2 * 1 + -1.2 * -5 = 9, squares 14.8 and 42.
    near(9 / math.sqrt(14.8 * 42), effects.pearson)
    -- Ranks 5 1 4 3 2 and 2.5 2.5 5 4 1: products -1 + 1 + 2 + 0 + 2 = 4, squares 10 and 9.5.
    near(4 / math.sqrt(10 * 9.5), effects.spearman)
    assert.equal(0, #report.means)
  end)

  it("counts what is shared at each level of the names", function()
    local found = {}
    for i, row in ipairs(compare("a", "b").levels) do
      found[i] = ("%s %s: %d %d %d"):format(row.type, row.level, row.a, row.b, row.shared)
    end
    -- At the species PC 16:0_18:1 is PC 34:1, and the ceramide of A that of B.
    assert.same({ "lipid as named: 7 8 6", "lipid class: 7 7 7", "lipid species: 7 7 7",
      "lipid molecular species: 1 1 0", "lipid sn-position: 1 0 0" }, found)
  end)

  it("compares every pair of contrasts, or those that are named", function()
    local report = compare("doses", "a")
    assert.same({ { "low", "" }, { "high", "" } }, { { report.effects[1].contrast_a, report.effects[1].contrast_b },
      { report.effects[2].contrast_a, report.effects[2].contrast_b } })
    assert.same({ 3, 2, 1 }, { report.effects[1].n, report.effects[1].same, report.effects[1].opposite })
    report = compare("doses", "doses", "--contrast", "low", "--with", "high")
    assert.same({ 1, 3, 2, 1 }, { #report.effects, report.effects[1].n, report.effects[1].same,
      report.effects[1].opposite })
    assert.equal(1, compare("doses", "doses", "--contrast", "low").effects[1].pearson)
    local result = ligase { "compare", "doses", "a", "--contrast", "hihg" }
    assert.equal(2, result.code)
    assert.matches("dataset 'doses' has no contrast 'hihg'. Did you mean 'high'?", result.stderr)
  end)

  it("correlates means over samples where there are no changes", function()
    local report = compare("liver", "plasma")
    -- Means 2 4 9 (SM has no value in liver) and 5 2 7.
    local means = report.means[1]
    assert.same({ 1, 3, 2, 3, 0 }, { #report.means, means.n, means.samples_a, means.samples_b, #report.effects })
    -- About 5 and 14/3: products -1 + 8/3 + 28/3 = 11, squares 26 and 38/3.
    near(11 / math.sqrt(26 * 38 / 3), means.pearson)
    near(0.5, means.spearman)
    local out = done { "compare", "liver", "plasma" }
    assert.matches("means over samples of shared features\nsamples of A +samples of B +n +Pearson +Spearman\n.-\n"
      .. " +2 +3 +3 +0%.6061 +0%.5\n", out)
    assert.matches("nothing to correlate", (done { "compare", "liver", "a" }))
  end)

  it("sets revisions side by side", function()
    write("plasma.csv", "lipid,s,t,u\nPC 34:1,5,5,5\nPE 36:2,1,2,3\nFA 18:1,6,7,8\n")
    done { "ingest", "--omics", "lipidomics", "plasma.csv" }
    local report = compare("plasma@1", "plasma@2")
    assert.same({ 1, 2, 2, 2, 1 }, { report.a.revision, report.b.revision, report.shared, report.only_a,
      report.only_b })
    local out = done { "compare", "plasma@1", "plasma" }
    assert.matches("^A +lipidomics/plasma@1 +4 features\nB +lipidomics/plasma@2 +3 features\n", out)
    assert.matches("\nonly in A: 2 features: SM 34:1;O2, TG 52:2\n\nonly in B: 1 feature: FA 18:1\n", out)
    local result = ligase { "compare", "plasma@7", "plasma" }
    assert.equal(2, result.code)
    assert.matches("has no revision 7", result.stderr)
  end)

  it("sets signatures side by side", function()
    write("one.tsv", "lipid\tdirection\nPC 34:1\tup\nPE 36:2\tdown\nTG 52:2\tup\nno lipid at all\tup\n")
    write("two.tsv", "lipid\tdirection\nPC 34:1\tup\nPE 36:2\tup\nSM 34:1;O2\tdown\n")
    done { "signature", "load", "one.tsv", "two.tsv" }
    local report = compare("--signatures", "one", "two")
    assert.same({ 2, 0.5, 1, 1 }, { report.shared, report.jaccard, report.same, report.opposite })
    assert.same({ "PE 36:2", -1, 1 }, { report.contradictory[1].name, report.contradictory[1].a,
      report.contradictory[1].b })
    assert.same({ "TG 52:2" }, { table.unpack(report.only_a_features) })
    local out = done { "compare", "--signatures", "one", "two" }
    assert.matches("^A +one@1 +3 components; 1 more not understood\n", out)
    assert.matches("2 components shared %(Jaccard 0%.500%): 1 in the same direction, 1 in the opposite, 0 without one",
      out)
    assert.matches("contradictory directions\nfeature +type +A +B\n.-\nPE 36:2 +lipid +down +up\n", out)
    assert.equal(2, ligase({ "compare", "--signatures", "one", "two", "--contrast", "x" }).code)
    assert.equal(2, ligase({ "compare", "--signatures", "one", "three" }).code)
  end)
end)
