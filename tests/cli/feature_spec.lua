--- ligase feature: where a feature occurs, and what says more or less of the same.
local json = require "ligase.base.json"

local lab = require("tests.cli.lab").new()
local write, ligase, done = lab.write, lab.ligase, lab.done

local function feature(...)
  return json.decode((done { "feature", "--json", ... }))
end

setup(function()
  lab.open()
  write("plasma.csv", "lipid,a,b,c,d\nPC 34:1,1,2,3,4\nPC(34:1),5,,7,8\nPC 16:0_18:1,1,1,1,1\nPE 36:2,2,2,2,2\n")
  write("liver.csv", "lipid,a,b\nPC 34:1,10,30\nPC 16:0/18:1,1,2\nPC 18:1/16:0,3,4\nPC 17:0_17:1,5,6\nSM 34:1;O2,1,2\n")
  write("effects.csv", "lipid,log2FC,pvalue,padj\nPC 34:1,1.5,0.001,0.01\nPE 36:2,-2,0.2,0.5\nPC O-34:1,1,1,1\n")
  write("other.csv", "lipid,log2FC,pvalue,padj\nPC 34:1,-0.5,0.3,0.4\nPE 36:2,-1,0.02,0.05\n")
  done { "ingest", "--omics", "lipidomics", "plasma.csv", "liver.csv", "effects.csv", "other.csv" }
  write("other.csv", "lipid,log2FC,pvalue,padj\nPC 34:1,-0.5,0.3,0.4\nPC 34:1,2,0.3,0.4\nPE 36:2,-1,0.02,0.05\n")
  done { "ingest", "--omics", "lipidomics", "other.csv" }
end)

describe("ligase feature", function()
  it("tells rows, values and effects by dataset, of current revisions only", function()
    local report = feature("PC 34:1")
    local found = report.features[1]
    assert.equal(1, #report.features)
    assert.same({ "lipid", "PC 34:1", "species", 4, 6 }, { found.type, found.name, found.level, found.datasets,
      found.rows })
    assert.same({ up = 1, down = 0, both = 1 }, found.directions)
    local names = {}
    for i, place in ipairs(found.places) do
      names[i] = place.dataset .. "@" .. place.revision
    end
    assert.same({ "effects@1", "liver@1", "other@2", "plasma@1" }, names)
    local plasma = found.places[4]
    assert.same({ { 1, "PC 34:1" }, { 2, "PC(34:1)" } }, { { plasma.rows[1].row, plasma.rows[1].raw_name },
      { plasma.rows[2].row, plasma.rows[2].raw_name } })
    -- 1 2 3 4 5 7 8: mean 30/7, median 4; squares about the mean 168 - 900/7 = 39.428...
    local values = plasma.values[1]
    assert.same({ 7, 1, 4, 1, 8 }, { values.n, values.missing, values.median, values.min, values.max })
    assert.is_true(math.abs(values.mean - 30 / 7) < 1e-12)
    assert.is_true(math.abs(values.sd - math.sqrt((168 - 900 / 7) / 6)) < 1e-12)
    local effect = found.places[1].rows[1].effects[1]
    assert.same({ 1.5, 0.001, 0.01 }, { effect.log2_fold_change, effect.p_value, effect.adjusted_p_value })
    assert.same({ -0.5, 2 }, { found.places[3].rows[1].effects[1].log2_fold_change,
      found.places[3].rows[2].effects[1].log2_fold_change })
  end)

  it("lists what says more of the same apart, and never counts it", function()
    local report = feature("PC 34:1")
    local said = {}
    for i, each in ipairs(report.says_more) do
      said[i] = ("%s %s %d %d"):format(each.name, each.level, each.datasets, each.rows)
    end
    assert.same({ "PC 16:0/18:1 sn-position 1 1", "PC 16:0_18:1 molecular species 1 1",
      "PC 17:0_17:1 molecular species 1 1", "PC 18:1/16:0 sn-position 1 1" }, said)
    assert.same({}, { table.unpack(report.says_less) })
    report = feature("PC 16:0_18:1")
    assert.equal("PC 34:1", report.says_less[1].name)
    assert.same({ "PC 16:0/18:1", "PC 18:1/16:0" }, { report.says_more[1].name, report.says_more[2].name })
    assert.equal(2, report.says_more_count)
    report = feature("SM 34:1") -- not there itself
    assert.same({ 0, "SM 34:1;O2" }, { #report.features, report.says_more[1].name })
  end)

  it("prints it for people", function()
    local out = done { "feature", "PC 34:1" }
    assert.matches("occurs in +4 datasets, 6 rows", out)
    assert.matches("direction +rises in 1, falls in 0, both in 1", out)
    assert.matches("plasma +lipidomics +2 +1 +PC 34:1, PC%(34:1%) +7 +1 +4%.286", out)
    assert.matches("\neffects +1 +1%.5 +0%.001 +0%.01\n", out)
    assert.matches("says more of the same %(not counted above%)\nfeature .-\nPC 16:0/18:1 +sn%-position +1 +1\n", out)
    out = done { "feature", "PC 34:1", "--limit", "1" }
    assert.matches("%.%.%. and 3 more datasets; %-%-limit N lists more", out)
    assert.matches("%.%.%. and 3 more features; %-%-limit N lists more", out)
    assert.matches("'SM 34:1' itself is not there\n\nsays more", (done { "feature", "SM 34:1" }))
  end)

  it("finds it by what is read as it, by id, key, and unambiguous starts", function()
    for _, word in ipairs { "PC(34:1)", "PC 34:1 [M+H]+", "cc1a7fe5-d047-5b1a-bf92-e4a7a390b0f4", "cc1a7fe5d",
      "3201765840648680321" } do
      assert.equal("PC 34:1", feature(word).features[1].name, word)
    end
    assert.equal("PE 36:2", feature("PE 3").features[1].name)
    local result = ligase { "feature", "PC 1" }
    assert.equal(2, result.code)
    assert.matches("'PC 1' may be any of several features %(PC 16:0/18:1 %(lipid%), ", result.stderr)
  end)

  it("offers the nearest name for one that is not there", function()
    local result = ligase { "feature", "PX 36:2" }
    assert.equal(2, result.code)
    assert.matches("there is no feature 'PX 36:2'", result.stderr)
    result = ligase { "feature", "PE 36:7" }
    assert.matches("Did you mean 'PE 36:2'", result.stderr)
    assert.equal(2, ligase({ "feature", "PC 34:1", "--type", "lipit" }).code)
    assert.equal(2, ligase({ "feature", "PC 34:1", "--type", "gene" }).code)
    assert.equal(2, ligase({ "feature", "\xff" }).code)
  end)

  it("takes what alias tables say, and what was stored before they were loaded", function()
    write("genes.csv", "gene,log2FC,padj\nTP53,1,0.01\n")
    write("old.csv", "gene,log2FC,padj\np53,1,0.01\n")
    done { "ingest", "--omics", "transcriptomics", "genes.csv", "old.csv" }
    write("hgnc.tsv", "hgnc_id\tsymbol\tname\tstatus\talias_symbol\tprev_symbol\tentrez_id\tensembl_gene_id\n"
      .. "HGNC:11998\tTP53\ttumor protein p53\tApproved\tp53\t\t7157\tENSG00000141510\n")
    done { "aliases", "load", "hgnc", "hgnc.tsv" }
    local names = {}
    for i, each in ipairs(feature("p53", "--type", "gene").features) do
      names[i] = each.name
    end
    table.sort(names)
    assert.same({ "TP53", "p53" }, names)
  end)

  it("says so when sums are not filled in", function()
    done { "sql", "UPDATE features SET attributes = attributes - 'sum' WHERE name = 'PC 16:0_18:1'" }
    local out, err = done { "feature", "PC 34:1" }
    assert.not_matches("PC 16:0_18:1", out)
    assert.matches("ligase link %-%-all", err)
  end)
end)
