local detect_omics = require "ligase.omics.detect_omics"
local errors = require "ligase.base.errors"
local opening = require "ligase.omics.opening"
local support = require "tests.support"

local function opened(content, name)
  local path = support.tmpfile(content, name or "x.csv")
  return opening.open({ path = path, shown = path }, {})
end

local function guess(content, name)
  return (detect_omics.guess(opened(content, name)))
end

local function column(header, names)
  local lines = { header .. ",S1,S2" }
  for i, name in ipairs(names) do
    lines[i + 1] = name .. ",1.5,2"
  end
  return table.concat(lines, "\n") .. "\n"
end

describe("the omics type", function()
  it("is that of names that look like it", function()
    assert.equal("lipidomics", guess(column("name", { "PC 34:1", "TG 16:0_18:1_18:1", "Cer 18:1;O2/16:0" })))
    assert.equal("lipidomics", guess(column("name", { "PC(16:0/18:1)", "LPE(18:0)", "SM(d18:1/16:0)" })))
    assert.equal("proteomics", guess(column("name", { "P04637", "sp|Q9Y6K9|NEMO_HUMAN", "O75475;P12345" })))
    assert.equal("transcriptomics", guess(column("name", { "ENSG00000215688.3", "ENSG00000215689", "NM_000014" })))
    assert.equal("metabolomics", guess(column("name", { "glutamic acid", "Alanine", "D-glucose", "HMDB0000123" })))
  end)

  it("is that of the header over them", function()
    assert.equal("metabolomics", guess(column("metabolite", { "X - 12345", "X - 12346" })))
    assert.equal("lipidomics", guess(column("Lipid Species", { "species one", "species two" })))
    assert.equal("transcriptomics", guess(column("gene_symbol", { "TP53", "BRCA1", "MYC" })))
  end)

  it("is that of the format where a tool reads one", function()
    assert.equal("transcriptomics", guess("Name\tLength\tEffectiveLength\tTPM\tNumReads\nx\t1\t1\t1\t1\n", "quant.sf"))
  end)

  it("is in doubt where two fit", function()
    assert.is_nil(guess(column("Gene", { "ELANE", "AGL", "MPO" }), "protein_data.csv"))
    assert.is_nil(guess(column("name", { "one thing", "another thing" })))
  end)

  local function refused(file)
    local _, candidates = detect_omics.guess(file)
    return pcall(detect_omics.refuse, "x.csv", candidates, detect_omics.TYPES)
  end

  it("in doubt is refused with the candidates and what to do", function()
    local done, failure = refused(opened(column("Gene", { "ELANE", "AGL" }), "protein_data.csv"))
    assert.is_false(done)
    assert.is_true(errors.is(failure, "input"))
    assert.equal("omics", failure.code)
    assert.matches('it may be transcriptomics %(there is a column "Gene"', failure.detail)
    assert.matches('or proteomics %(the file\'s name has "protein" in it%)', failure.detail)
    assert.equal("Say --omics with one of: transcriptomics, proteomics", failure.hint)
    done, failure = refused(opened(column("name", { "one thing", "another thing" })))
    assert.is_false(done)
    assert.equal("nothing in the file says which omics type it is", failure.message)
    assert.equal("Say --omics with one of: lipidomics, metabolomics, proteomics, transcriptomics", failure.hint)
  end)

  it("is told by the column of the names, not by one of their kinds", function()
    local kinds = "Type,Name,is atomic\nFG,oxy,0\nFG,amine,1\nHGD,hexose chain,0\nHGD,other thing,1\n"
    assert.is_nil(guess(kinds, "groups.csv"))
    assert.is_nil(guess((kinds:gsub("Name", "what")), "groups.csv"))
    assert.equal("lipidomics", guess("kind,what,x\nA,PC 34:1,1\nA,PE 36:2,2\nA,TG 52:2,3\n"))
    local done, failure = refused(opened("Type,Name,x\nFG,OH,0\nFG,oxo,1\nHGD,x y,0\nHGD,z,1\nHGD,OMe,1\n"))
    assert.is_false(done)
    assert.equal("Say --omics with one of: lipidomics, metabolomics, proteomics, transcriptomics", failure.hint)
  end)

  it("is found in the column that a person set", function()
    local file = opened("what\tGene\tx\nPC 34:1\tELANE\t1\nPE 36:2\tAGL\t2\n")
    assert.equal("lipidomics", (detect_omics.guess(file, { what = "feature" })))
    assert.not_equal("lipidomics", (detect_omics.guess(file)))
  end)

  it("says why", function()
    local omics, candidates = detect_omics.guess(opened(column("lipid", { "PC 34:1", "PE 36:2" })))
    assert.equal("lipidomics", omics)
    local why = table.concat(candidates[1].why, ", ")
    assert.matches('there is a column "lipid"', why)
    assert.matches("100 %% of the first names look like it", why)
  end)
end)
