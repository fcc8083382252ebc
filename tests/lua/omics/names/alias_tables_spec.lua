local alias_tables = require "ligase.omics.names.alias_tables"
local support = require "tests.support"

--- All rows of files, as "name|alias|kind".
local function rows_of(format, contents, options)
  local paths, rows = {}, {}
  for i, content in ipairs(contents) do
    paths[i] = support.tmpfile(content, "table" .. i .. ".txt")
  end
  alias_tables.read(format, paths, options or {}, function(name, alias, kind)
    rows[#rows + 1] = ("%s|%s|%s"):format(name, alias, kind)
  end)
  return rows
end

local function refused(format, content, options)
  local done, failure = pcall(rows_of, format, { content }, options)
  assert.is_false(done)
  assert.equal("input", failure.kind)
  return failure
end

describe("alias tables are read as they are downloaded:", function()
  it("HGNC's complete set", function()
    local rows = rows_of("hgnc", { "hgnc_id\tsymbol\tname\tstatus\talias_symbol\tprev_symbol\tentrez_id\t"
      .. "ensembl_gene_id\trefseq_accession\n"
      .. 'HGNC:11998\tTP53\t"tumor protein ""p53"""\tApproved\t"p53|LFS1"\t\t7157\tENSG00000141510\tNM_000546.6\n'
      .. "HGNC:7132\tKMT2A\tlysine 5\" methyl\tApproved\tTRX1|TRX1\tMLL\t4297\t\t\n"
      .. "HGNC:1\tGONE\tx\tEntry Withdrawn\t\t\t\t\t\n" })
    assert.same({ "TP53|TP53|name", "TP53|p53|alias", "TP53|LFS1|alias", "TP53|HGNC:11998|id", "TP53|7157|id",
      "TP53|ENSG00000141510|id", "TP53|NM_000546|id", "KMT2A|KMT2A|name", "KMT2A|MLL|previous", "KMT2A|TRX1|alias",
      "KMT2A|HGNC:7132|id", "KMT2A|4297|id" }, rows)
  end)

  it("NCBI's gene_info, one organism of it", function()
    local content = "#tax_id\tGeneID\tSymbol\tLocusTag\tSynonyms\tdbXrefs\n"
      .. "9606\t7157\tTP53\t-\tP53|LFS1\tMIM:191170|HGNC:HGNC:11998|Ensembl:ENSG00000141510\n"
      .. "10090\t22059\tTrp53\t-\tp53\tMGI:MGI:98834\n"
    assert.same({ "Trp53|Trp53|name", "Trp53|p53|alias", "Trp53|22059|id", "Trp53|MGI:98834|id" },
      rows_of("ncbi_gene", { content }, { taxon = "10090" }))
    local failure = refused("ncbi_gene", content)
    assert.equal("alias_taxon", failure.code)
    assert.matches("9606 and 10090", failure.message)
  end)

  it("Ensembl's BioMart", function()
    assert.same({ "TP53|TP53|name", "TP53|ENSG00000141510|id", "TP53|p53|alias", "TP53|LFS1|alias",
      "ENSG00000290825|ENSG00000290825|name" },
      rows_of("ensembl", { "Gene stable ID,Gene name,Gene Synonym\nENSG00000141510,TP53,p53\n"
        .. "ENSG00000141510,TP53,LFS1\nENSG00000290825,,\n" }))
  end)

  it("UniProt's idmapping.dat", function()
    assert.same({ "P04637|P04637|name", "P04637|P53_HUMAN|id", "P04637|TP53|alias", "P04637|NP_000537|id",
      "P04637|ENSP00000269305|id", "Q00987|Q00987|name", "Q00987|MDM2_HUMAN|id" },
      rows_of("uniprot", { "P04637\tUniProtKB-ID\tP53_HUMAN\nP04637\tGene_Name\tTP53\nP04637\tPDB\t1A1U\n"
        .. "P04637\tRefSeq\tNP_000537.3\nP04637-2\tRefSeq\tNP_000537.3\nP04637\tEnsembl_PRO\tENSP00000269305.4\n"
        .. "Q00987\tUniProtKB-ID\tMDM2_HUMAN\n" }))
  end)

  it("a table from UniProt's site", function()
    assert.same({ "P04637|P04637|name", "P04637|P53_HUMAN|id", "P04637|TP53|alias", "P04637|P53|alias",
      "P04637|Cellular tumor antigen p53|alias" },
      rows_of("uniprot", { "Entry\tReviewed\tEntry Name\tProtein names\tGene Names\n"
        .. "P04637\treviewed\tP53_HUMAN\tCellular tumor antigen p53 (Antigen NY-CO-13)\tTP53 P53\n" }))
  end)

  it("RefMet, whose header begins with a blank", function()
    assert.same({ "Glucose|Glucose|name", "Glucose|CID:5793|id", "Glucose|CHEBI:4167|id", "Glucose|HMDB0000122|id",
      "Glucose|C00031|id", "Glucose|WQZGKKKJIJFFOK-GASJEMHNSA-N|id", "Lysine, D-|Lysine, D-|name" },
      rows_of("refmet", { " refmet_id,refmet_name,super_class,formula,pubchem_cid,chebi_id,hmdb_id,kegg_id,inchi_key\n"
        .. "RM1,Glucose,Carbohydrates,C6H12O6,5793,CHEBI:4167,HMDB0000122,C00031,WQZGKKKJIJFFOK-GASJEMHNSA-N\n"
        .. '"RM2","Lysine, D-",,,,,,,\n' }))
  end)

  it("HMDB, without the synonyms of its ontology", function()
    assert.same({ "1-Methyl-\"x\" & y|1-Methyl-\"x\" & y|name", "1-Methyl-\"x\" & y|HMDB0000001|id",
      "1-Methyl-\"x\" & y|HMDB00001|id", "1-Methyl-\"x\" & y|C01152|id", "1-Methyl-\"x\" & y|\u{3B1}-x|alias" },
      rows_of("hmdb", { [[
<?xml version="1.0" encoding="UTF-8"?>
<hmdb xmlns="http://www.hmdb.ca">
<metabolite>
  <accession>HMDB0000001</accession>
  <secondary_accessions>
    <accession>HMDB00001</accession>
  </secondary_accessions>
  <name>1-Methyl-&quot;x&quot; &amp; y</name>
  <synonyms>
    <synonym>&#945;-x</synonym>
  </synonyms>
  <kegg_id>C01152</kegg_id>
  <ontology>
    <root>
      <synonyms>
        <synonym>Animal</synonym>
      </synonyms>
    </root>
  </ontology>
  <diseases>
    <disease>
      <name>Some disease</name>
    </disease>
  </diseases>
</metabolite>
</hmdb>
]] }))
  end)

  it("ChEBI's names, with and without compounds", function()
    local old = "ID\tCOMPOUND_ID\tTYPE\tSOURCE\tNAME\tADAPTED\tLANGUAGE\n"
      .. "1\t15377\tSYNONYM\tKEGG\tH2O\tF\ten\n2\t15377\tIUPAC NAME\tIUPAC\toxidane\tF\ten\n"
      .. "3\t27313\tSYNONYM\tKEGG\taqua\tF\ten\n"
    local new = "id\tcompound_id\tname\ttype\tstatus_id\tadapted\tlanguage_code\tascii_name\n"
      .. "1\t15377\tH2O\tSYNONYM\t1\tf\ten\tH2O\n"
    local compounds = "ID\tSTATUS\tCHEBI_ACCESSION\tSOURCE\tPARENT_ID\tNAME\n15377\tC\tCHEBI:15377\tx\tnull\twater\n"
      .. "27313\tC\tCHEBI:27313\tx\t15377\tnull\n"
    assert.same({ "CHEBI:15377|CHEBI:15377|name", "CHEBI:15377|H2O|alias" }, rows_of("chebi", { new }))
    local rows = rows_of("chebi", { old, compounds })
    table.sort(rows)
    assert.same({ "water|CHEBI:15377|id", "water|H2O|alias", "water|aqua|alias", "water|oxidane|alias",
      "water|water|name" }, rows)
  end)

  it("two columns", function()
    assert.same({ "Glucose|Glucose|name", "Glucose|blood sugar|alias", "Glucose|dextrose|alias" },
      rows_of("generic", { "alias\tname\nblood sugar\tGlucose\ndextrose\tGlucose\n\tx\n" }))
    assert.same({ "Lysine, L-|Lysine, L-|name", "Lysine, L-|Lys|alias" },
      rows_of("generic", { 'Lys,"Lysine, L-"\n' }))
  end)

  it("and another file is refused by the column that is missing", function()
    for _, format in ipairs(alias_tables.FORMATS) do
      local failure = refused(format, "a\tb\tc\td\n1\t2\t3\t4\n")
      assert.equal("alias_format", failure.code)
      assert.truthy(failure.file)
      assert.truthy(failure.hint)
    end
  end)
end)
