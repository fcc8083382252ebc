--- ligase link: rows linked to features anew.
local json = require "ligase.base.json"

local lab = require("tests.cli.lab").new()
local write, ligase, done = lab.write, lab.ligase, lab.done

local function linked()
  return json.decode((done { "sql", "--format", "json",
    "SELECT d.name, string_agg(coalesce(f.name, '-'), ' | ' ORDER BY m.ordinal) AS features FROM datasets AS d "
      .. "JOIN measurements AS m ON m.dataset_id = d.id LEFT JOIN features AS f ON f.key = m.feature_key "
      .. "GROUP BY 1 ORDER BY 1" }))
end

local OFF = { ENABLE_FEATURE_LINKING = "false" }

before_each(function()
  lab.open()
  write("lipids.csv", "lipid,a,b\nPC(34:1),1,2\nPE 36:2,2,3\n")
  write("genes.csv", "gene,a,b\nTP53,1,2\nENSG00000141510.18,2,3\n")
  write("proteins.csv", "protein,a,b\nsp|P04637|P53_HUMAN,1,2\nP04637-2,2,3\n")
  write("metabolites.csv", "metabolite,a,b\nL-glutamate,1,2\nHMDB00001,2,3\n")
  for omics, file in pairs { lipidomics = "lipids", transcriptomics = "genes", proteomics = "proteins",
    metabolomics = "metabolites" } do
    assert.equal(0, ligase({ "ingest", "--omics", omics, file .. ".csv", env = OFF }).code)
  end
end)

describe("ligase link", function()
  it("links every omics type by its recipe's reader, with receipts", function()
    for _, row in ipairs(linked()) do
      assert.equal("- | -", row.features)
    end
    local out = done { "link", "--all" }
    assert.matches("^linked 8 rows in 4 of 4 datasets; 7 new features %(run %x+%-", out)
    local found = {}
    for _, row in ipairs(linked()) do
      found[row.name] = row.features
    end
    assert.same({ lipids = "PC 34:1 | PE 36:2", genes = "TP53 | ENSG00000141510", proteins = "P04637 | P04637",
      metabolites = "L-glutamate | HMDB0000001" }, found)
    assert.matches("P53_HUMAN", (done { "why", "proteins:1" }))
    assert.equal("4 datasets: every row has the link that its name is read as\n", (done { "link", "--all" }))
    -- Read again with links on it is the same file read in the same way.
    assert.matches("unchanged", (done { "ingest", "--omics", "lipidomics", "lipids.csv" }))
    assert.matches("no stored name would be read differently", (done { "names", "diff" }))
  end)

  it("links the datasets that are named", function()
    assert.matches("^linked 4 rows in 2 of 2 datasets", (done { "link", "lipids", "transcriptomics/genes" }))
    assert.matches("every row", (done { "link", "lipids" }))
    local result = ligase { "link", "lipid_table" }
    assert.equal(2, result.code)
    assert.matches("there is no dataset 'lipid_table'", result.stderr)
    assert.matches("DATASET is missing", ligase({ "link" }).stderr)
    assert.equal(2, ligase({ "link" }).code)
    assert.equal(2, ligase({ "link", "--all", "lipids" }).code)
  end)

  it("goes by the rules of today, by alias tables too", function()
    done { "link", "--all" }
    write("hgnc.tsv", "hgnc_id\tsymbol\tname\tstatus\talias_symbol\tprev_symbol\tentrez_id\tensembl_gene_id\n"
      .. "HGNC:11998\tTP53\ttumor protein p53\tApproved\tp53\t\t7157\tENSG00000141510\n")
    done { "aliases", "load", "hgnc", "hgnc.tsv" }
    assert.matches("^linked 1 row in 1 of 4 datasets; 0 new features", (done { "link", "--all" }))
    assert.equal("TP53 | TP53", linked()[1].features)
    assert.matches("occurs in +1 dataset, 2 rows", (done { "feature", "p53", "--type", "gene" }))
  end)

  it("leaves out what no recipe can read, and fails for it", function()
    done { "sql", "UPDATE revisions SET recipe = 'gone' WHERE dataset_id = (SELECT id FROM datasets WHERE name = "
      .. "'genes')" }
    done { "sql", "UPDATE datasets SET omics_type = 'glycomics' WHERE name = 'genes'" }
    local result = ligase { "link", "--all" }
    assert.equal(1, result.code)
    assert.matches("neither the recipe 'gone' nor one for glycomics is there; the names of 1 dataset are left out",
      result.stderr)
    assert.matches("^linked 6 rows in 3 of 3 datasets", result.stdout)
  end)
end)
