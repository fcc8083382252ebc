local aliases = require "ligase.omics.names.aliases"
local gene = require "ligase.omics.names.gene"
local metabolite = require "ligase.omics.names.metabolite"
local protein = require "ligase.omics.names.protein"

--- A look-up over entries {folded alias, canonical name, kind, source}, which counts its calls.
local function lookup_of(entries)
  local calls = { count = 0 }
  return function(names)
    calls.count, calls.names = calls.count + 1, names
    local wanted, found = {}, {}
    for _, name in ipairs(names) do
      assert(not wanted[name], "asked twice")
      wanted[name] = true
    end
    for _, entry in ipairs(entries) do
      if wanted[entry[1]] then
        local alias, name, kind, source = table.unpack(entry, 1, 4)
        found[alias] = found[alias] or {}
        table.insert(found[alias], { alias = alias, name = name, kind = kind, source = source or "hgnc" })
      end
    end
    return found
  end, calls
end

local GENES = {
  { "TP53", "TP53", "name" }, { "p53", "TP53", "alias" }, { "7157", "TP53", "id" }, { "ENSG00000141510", "TP53", "id" },
  { "MLL", "KMT2A", "previous" }, { "NAT1", "NAT1", "name" }, { "NAT1", "EIF4G2", "alias" },
  { "AAC1", "NAT1", "alias" }, { "AAC1", "SLC25A4", "previous" }, { "p53", "TP53", "alias", "ncbi_gene" },
  { "X1", "AAA", "name", "one" }, { "X1", "BBB", "name", "two" },
}

local function read_genes(raws)
  return aliases.read_all("gene", raws, gene.read, (lookup_of(GENES)))
end

describe("names and alias tables", function()
  it("an alias of one name becomes that name, with what it was", function()
    local readings = read_genes { "p53", "MLL", "7157", "ENSG00000141510.18" }
    assert.same({ name = "TP53", rule = "alias.hgnc", level = "symbol", aside = { alias = "p53" } }, readings[1])
    assert.equal("KMT2A", readings[2].name)
    assert.equal("TP53", readings[3].name)
    assert.same({ name = "TP53", rule = "alias.hgnc", level = "symbol",
      aside = { alias = "ENSG00000141510", version = "18" } }, readings[4])
  end)

  it("a canonical name stays, also when it is another's alias", function()
    assert.same({ gene.read "TP53", gene.read "NAT1" }, read_genes { "TP53", "NAT1" })
  end)

  it("an alias of several names stays as it stands, with the candidates", function()
    local reading = read_genes({ " AAC1" })[1]
    assert.same({ name = "AAC1", rule = "verbatim", reason = "it may mean any of 2 names",
      candidates = { "NAT1", "SLC25A4" } }, reading)
    assert.same({ "AAA", "BBB" }, read_genes({ "X1" })[1].candidates)
  end)

  it("what no table knows stays as it was read", function()
    local readings = read_genes { "Trp53", "1-Mar", "", "P53" }
    assert.same(gene.read "Trp53", readings[1])
    assert.same(gene.read "1-Mar", readings[2])
    assert.is_false(readings[3])
    assert.same(gene.read "P53", readings[4]) -- case counts
  end)

  it("asks once for all names, each once, and not for groups and decoys", function()
    local lookup, calls = lookup_of {}
    aliases.read_all("protein", { "P04637", "sp|P04637|P53_HUMAN", "P04637-2", "A1;B2", "REV__P04637", "IL-6" },
      protein.read, lookup)
    assert.equal(1, calls.count)
    assert.same({ "P04637", "IL-6" }, calls.names)
    aliases.read_all("protein", { "A1;B2", "" }, protein.read, lookup)
    assert.equal(1, calls.count)
  end)

  it("the form of a metabolite's name does not matter, its substance does", function()
    local lookup = lookup_of {
      { metabolite.fold "Glutamic acid", "Glutamic acid", "name", "refmet" },
      { metabolite.fold "Glutamate", "Glutamic acid", "alias", "refmet" },
      { metabolite.fold "glutamate", "glutamic acid", "alias", "chebi" },
      { metabolite.fold "cAMP", "Cyclic AMP", "alias", "hmdb" },
    }
    local readings = aliases.read_all("metabolite", { "GLUTAMATE (neg)", "Camp", "cAMP", "Glutamic-Acid" },
      metabolite.read, lookup)
    assert.same({ name = "Glutamic acid", rule = "alias.refmet", level = "name",
      aside = { alias = "glutamate", mode = "negative" } }, readings[1])
    assert.equal("camp", readings[2].name)
    assert.equal("Cyclic AMP", readings[3].name)
    assert.equal("Glutamic acid", readings[4].name)
  end)

  it("an isoform stays one", function()
    local lookup = lookup_of { { "Q12345", "P04637", "id", "uniprot" } }
    local reading = aliases.read_all("protein", { "Q12345-2" }, protein.read, lookup)[1]
    assert.same({ name = "P04637", rule = "alias.uniprot", level = "isoform",
      aside = { alias = "Q12345", isoform = "2" } }, reading)
  end)
end)
