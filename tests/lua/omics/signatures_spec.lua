--- Signature files: what is read of them, and what is refused, with file and line.
local inputs = require "ligase.io.inputs"
local signatures = require "ligase.omics.signatures"
local support = require "tests.support"

local function read_path(path, given)
  local input <close> = inputs.open(path)
  return signatures.read(input, signatures.define {}, given or {})
end

local function read(content, name, given)
  return read_path(support.tmpfile(content, name or "core.tsv"), given)
end

--- One text per component: name read as, direction, weight.
local function told(signature)
  local lines = {}
  for i, component in ipairs(signature.components) do
    lines[i] = ("%s %s %g"):format(component.key and component.name or "?" .. component.raw,
      component.direction or "-", component.weight)
  end
  return table.concat(lines, "; ")
end

local function refused(content, name, given)
  local done, failure = pcall(read, content, name, given)
  assert.is_false(done, "the file should be refused")
  return tostring(failure)
end

describe("a table", function()
  it("has features, directions and weights", function()
    local file = read("feature\tdirection\tweight\nCer(d18:1/16:0)\t↑\t2\nSM 34:1;O2\t↓\t\nPC 34:1\tup\t0.5\n"
      .. "PE 36:2\tdown\t1\nTG 52:2\t+1\t1\nCE 18:1\t-1\t1\nDG 34:1\t+\t1\nPS 36:1\t-\t1\nPI 38:4\t\t1\n"
      .. "PG 34:1\t−1\t1\nLPC 16:0\tIncreased\t1\n")
    assert.equal("table", file.format)
    assert.equal(1, #file.signatures)
    assert.equal("core", file.signatures[1].name)
    assert.equal("Cer 18:1;O2/16:0 1 2; SM 34:1;O2 -1 1; PC 34:1 1 0.5; PE 36:2 -1 1; TG 52:2 1 1; CE 18:1 -1 1; "
      .. "DG 34:1 1 1; PS 36:1 -1 1; PI 38:4 - 1; PG 34:1 -1 1; LPC 16:0 1 1", told(file.signatures[1]))
    assert.matches("^lipid%.", file.signatures[1].components[1].rule)
    assert.equal("sn-position", file.signatures[1].components[1].level)
  end)

  it("may mix omics types, with a column that says which", function()
    local file = read("name,type,direction\nTP53,gene,up\nPC 34:1,lipidomics,down\nP04637,protein,up\n"
      .. "glucose,metabolite,up\n", "mixed.csv")
    local types = {}
    for i, component in ipairs(file.signatures[1].components) do
      types[i] = component.feature_type
    end
    assert.same({ "gene", "lipid", "protein", "metabolite" }, types)
    assert.equal(0, file.counts.unmatched)
    assert.equal(4, #file.names)
  end)

  it("may hold several signatures, with a column that names them", function()
    local file = read("module\tgene\nb\tTP53\na\tBRCA1\nb\tMYC\n", "m.txt")
    assert.equal("b a", file.signatures[1].name .. " " .. file.signatures[2].name)
    assert.equal("TP53 - 1; MYC - 1", told(file.signatures[1]))
  end)

  it("says which columns it did not use, and takes those that a person names", function()
    local file = read("gene\tdirection\tfold\nTP53\tup\t3\n")
    assert.matches('columns that were not used: "fold"', table.concat(file.doubts, "\n"), 1, true)
    file = read("HUMAN\tMOUSE\nTP53\tTrp53\n", "x.txt", { set = { MOUSE = "feature" }, feature_type = "gene" })
    assert.equal("Trp53 - 1", told(file.signatures[1]))
  end)

  it("reads a decimal comma and CRLF", function()
    local file = read("lipid;direction;weight\r\nPC 34:1;up;1,5\r\nPC 36:1;down;2,25\r\n", "x.csv")
    assert.equal("PC 34:1 1 1.5; PC 36:1 -1 2.25", told(file.signatures[1]))
  end)

  it("is refused with the line of what is wrong", function()
    for _, case in ipairs {
      { "lipid\tdirection\nPC 34:1\tup\nPE 36:2\tsideways\n",
        "core.tsv:3: the direction 'sideways' is not understood" },
      { "lipid\tweight\nPC 34:1\t0\n", "core.tsv:2: the weight 0 is not above 0" },
      { "lipid\tweight\nPC 34:1\t1\nPE 36:2\t-2\n", "core.tsv:3: the weight -2 is not above 0" },
      { "lipid\tweight\nPC 34:1\theavy\n", "core.tsv:2: the weight 'heavy' is no number" },
      { "lipid\tweight\nPC 34:1\tinf\n", "core.tsv:2: the weight 'inf' is no number" },
      { "lipid\tdirection\nPC 34:1\tup\nPC(34:1)\tdown\n",
        "core.tsv:3: directions contradict one another: 'PC(34:1)' has down here and up on line 2 ('PC 34:1')" },
      { "lipid\tdirection\nPC 34:1\tup\nPC 34:1\t\n", "has no direction here and up on line 2" },
      { "lipid\tweight\nPC 34:1\t1\nPC 34:1\t2\n", "core.tsv:3: weights contradict one another" },
      { "lipid\tdirection\n\tup\n", "core.tsv:2: the row names no feature" },
      { "name\ttype\nPC 34:1\twhat\n", "core.tsv:2: 'what' is no feature type" },
      { "lipid\tdirection\n", "the file has a header and no features" }, { "", "the file is empty" },
      { "# name: x\n\n", "the file holds no features" },
      { "a\tb\nx\ty\n", 'no column is known to hold features: the headers are "a", "b"' },
      { "set\tgene\n\tTP53\n", "core.tsv:2: the row names no signature" },
      { "feature\tdirection\nfoo bar baz\tup\nzip zap\tdown\n", "it is not clear of which type the features are" },
    } do
      assert.matches(case[2], refused(case[1]), 1, true)
    end
  end)

  it("keeps what nobody understands, unmatched", function()
    local file = read("lipid\tdirection\nPC 34:1\tup\ngibberish(((\tdown\nNA\tup\n")
    assert.equal("PC 34:1 1 1; ?gibberish((( -1 1; ?NA 1 1", told(file.signatures[1]))
    assert.equal(2, file.counts.unmatched)
    assert.equal("gibberish(((", file.unmatched[1].raw)
    assert.equal(3, file.unmatched[1].line)
    assert.matches("no lipid class", file.unmatched[1].reason)
    assert.equal(1, #file.names[1].waiting.raws) -- only what is understood becomes a feature
  end)

  it("leaves out rows that say the same again, and says so", function()
    local file = read("lipid\tdirection\nPC 34:1\tup\nPC(34:1)\tup\nPE 36:2\tup\n")
    assert.equal(2, #file.signatures[1].components)
    assert.matches("1 component came again", table.concat(file.doubts, "\n"))
  end)
end)

describe("what is known of a signature", function()
  local TABLE = "# name: ALS core\n# Disease: ALS; FTD\n# matrix = CSF\n#version: 2026-07\n# what we think of it\n"
    .. "lipid\tdirection\nPC 34:1\tup\n"

  it("stands in comments, in options and in the recipe, and options win", function()
    local signature = read(TABLE).signatures[1]
    assert.equal("ALS core", signature.name)
    assert.same({ "ALS", "FTD" }, signature.disease)
    assert.same({ "CSF" }, signature.matrix)
    assert.equal("2026-07", signature.version)
    signature = read(TABLE, nil, { about = { name = "mine", disease = { "PD" }, type = "literature" } }).signatures[1]
    assert.equal("mine", signature.name)
    assert.same({ "PD" }, signature.disease)
    assert.same({ "CSF" }, signature.matrix)
    assert.equal("literature", signature.type)
  end)

  it("comes from the recipe of the workspace where the file says nothing", function()
    local recipe = signatures.define { about = { type = "consortium", matrix = { "plasma" } }, feature_type = "lipid",
      columns = { feature = { "Analyt" }, direction = { "Richtung" } }, direction = "up" }
    local input <close> = inputs.open(support.tmpfile("Analyt\tRichtung\nPC 34:1\t\nPE 36:2\tdown\n", "x.tsv"))
    local signature = signatures.read(input, recipe, {}).signatures[1]
    assert.equal("consortium plasma", signature.type .. " " .. signature.matrix[1])
    assert.equal("PC 34:1 1 1; PE 36:2 -1 1", told(signature))
  end)

  it("makes another content of it, and its name does not", function()
    local function content(text, about)
      return read(text, nil, { about = about }).signatures[1].content_sha256 -- in another folder each time
    end
    local one = content(TABLE)
    assert.equal(one, content(TABLE, { name = "other", version = "9" }))
    assert.not_equal(one, content(TABLE, { disease = { "PD" } }))
    assert.not_equal(one, content((TABLE:gsub("up", "down"))))
  end)

  it("misspelt in a recipe is refused", function()
    assert.has_error(function() signatures.define { abuot = {} } end)
    assert.has_error(function() signatures.define { columns = { featuer = {} } } end)
  end)
end)

describe("GMT", function()
  it("has a set on each line", function()
    local file = read("A\thttp://x\tTP53\tMYC\nB\tna\tBRCA1\n", "sets.gmt")
    assert.equal("gmt", file.format)
    assert.equal("A", file.signatures[1].name)
    assert.equal("http://x", file.signatures[1].description)
    assert.is_nil(file.signatures[2].description)
    assert.equal("TP53 - 1; MYC - 1", told(file.signatures[1]))
  end)

  it("may carry weights behind commas, and lipids with commas keep them", function()
    local file = read("A\t\tTP53,1.0\tMYC,0.25\n", "w.gmt")
    assert.equal("TP53 - 1; MYC - 0.25", told(file.signatures[1]))
    file = read("A\t\tPC 16:0,18:1\tPC 34:1\n", "l.gmt", { feature_type = "lipid" })
    assert.equal("PC 16:0,18:1", file.signatures[1].components[1].raw)
  end)

  it("takes a direction for all, or from pairs of names", function()
    assert.equal("TP53 -1 1", told(read("A\tna\tTP53\n", "x.gmt", { direction = "down" }).signatures[1]))
    local file = read("X_UP\tna\tTP53\nY\tna\tRB1\nX_DN\tna\tMYC\n", "x.gmt", { pair = true })
    assert.equal(2, #file.signatures)
    assert.equal("X", file.signatures[1].name)
    assert.equal("TP53 1 1; MYC -1 1", told(file.signatures[1]))
    assert.matches("directions contradict", refused("X_UP\tna\tTP53\nX_DN\tna\tTP53\n", "x.gmt", { pair = true }))
  end)

  it("is refused with the line of what is wrong", function()
    assert.matches("x.gmt:2: the set 'B' has no members", refused("A\tna\tTP53\nB\tna\n", "x.gmt"), 1, true)
    assert.matches("x.gmt:3: two sets are called 'A', the first one on line 1",
      refused("A\tna\tTP53\nB\tna\tMYC\nA\tna\tRB1\n", "x.gmt"), 1, true)
    assert.matches("x.gmt:1: a line of GMT has a name", refused("TP53\nMYC\n", "x.gmt"), 1, true)
    assert.matches("2 signatures, which have names of their own",
      refused("A\tna\tTP53\nB\tna\tMYC\n", "x.gmt", { about = { name = "one" } }))
  end)
end)

describe("GMX", function()
  it("has a set in each column", function()
    local file = read("A\tB\nna\tof b\nTP53\tMYC\nRB1\t\n", "sets.gmx")
    assert.equal("TP53 - 1; RB1 - 1", told(file.signatures[1]))
    assert.equal("MYC - 1", told(file.signatures[2]))
    assert.equal("of b", file.signatures[2].description)
    assert.matches("x.gmx:3: there is a member in column 2", refused("A\nna\nTP53\tMYC\n", "x.gmx"), 1, true)
    assert.matches("the set 'B' has no members", refused("A\tB\nna\tna\nTP53\t\n", "x.gmx"))
  end)
end)

describe("a rank file", function()
  it("has directions by sign and weights by size", function()
    local file = read("gene\tt\nTP53\t2.5\nMYC\t-0.5\nRB1\t0\n", "x.rnk")
    assert.equal("TP53 1 2.5; MYC -1 0.5", told(file.signatures[1]))
    assert.matches("line 1 was taken for the header", table.concat(file.doubts, "\n"))
    assert.matches("1 feature with the rank 0", table.concat(file.doubts, "\n"))
    assert.matches("x.rnk:2: 'high' is no rank", refused("TP53\t1\nMYC\thigh\n", "x.rnk"), 1, true)
    assert.matches("x.rnk:1: a line of a rank file has two cells", refused("TP53 1\n", "x.rnk"), 1, true)
    assert.matches("has no components", refused("TP53\t0\n", "x.rnk"))
  end)
end)

describe("a list", function()
  it("has a feature on each line", function()
    local file = read("  TP53\nMYC  \n\nRB1\n", "genes.txt")
    assert.equal("list", file.format)
    assert.equal("TP53 - 1; MYC - 1; RB1 - 1", told(file.signatures[1]))
    file = read("lipid\nPC 16:0,18:1\nPC 34:1\n", "lipids.txt")
    assert.equal("lipid", file.signatures[1].components[1].feature_type)
    assert.equal(2, #file.signatures[1].components)
    assert.matches("was taken for the header", table.concat(file.doubts, "\n"))
  end)
end)

describe("the real files", function()
  --- format, signatures, components, unmatched; or what their refusal says.
  local VERDICTS = {
    ["fgsea__fgsea_res.tsv"] = "no column is known to hold features",
    ["fgsea__mouse.reactome.gmt"] = { "gmt", 1457, 63523, 0 },
    ["fgsea__naive.vs.th1.rnk"] = { "rnk", 1, 12000, 0 },
    ["gseabase__Broad.xml"] = ":1: this is XML",
    ["gseapy__C1OE.cls"] = ":1: this is a class file of GSEA",
    ["gseapy__background.txt"] = { "list", 1, 22922, 0 },
    ["gseapy__enrichr.GO_Biological_Process_2021.gmt"] = { "gmt", 3281, 102440, 0 },
    ["gseapy__gene_list.txt"] = { "list", 1, 800, 0 },
    ["gseapy__genes.gmt"] = { "gmt", 8, 867, 0 },
    ["gseapy__geneset.gsva.gmt"] = { "gmt", 100, 5676, 0 },
    ["gseapy__gsea_data.gsea_data.rnk"] = { "rnk", 1, 694, 1 },
    ["gseapy__h.all.v7.0.symbols.gmt"] = { "gmt", 50, 7322, 0 },
    ["gseapy__mds.2k.rnk"] = { "rnk", 1, 21014, 10 },
    ["gseapy__pathways.tsv"] = ":3: there is no header of features, and this line has 16 cells where the first has 15",
    ["mergeomics__Significant_pathways.txt"] = { "table", 16, 2350, 0 },
    ["mergeomics__symbols.txt"] = 'the headers are "HUMAN", "MOUSE"',
  }

  for name, verdict in pairs(VERDICTS) do
    it("load, or are refused with the reason: " .. name, function()
      local path = support.need_shared("signatures/" .. name)
      local done, result = pcall(read_path, path)
      if type(verdict) == "string" then
        assert.is_false(done)
        assert.matches(verdict, tostring(result), 1, true)
      else
        assert.is_true(done, tostring(result))
        assert.same(verdict, { result.format, result.counts.signatures, result.counts.components,
          result.counts.unmatched })
      end
    end)
  end

  it("hold as many members as Python counts", function()
    local path = support.need_shared "signatures/gseapy__h.all.v7.0.symbols.gmt"
    local counted = support.python([[
import sys
print(" ".join("%s=%d" % (p[0], len(set(p[2:]))) for p in (l.rstrip("\n").split("\t") for l in open(sys.argv[1]))))
]], { path })
    local found = {}
    for i, signature in ipairs(read_path(path).signatures) do
      found[i] = ("%s=%d"):format(signature.name, #signature.components)
    end
    assert.equal(counted:gsub("\n", ""), table.concat(found, " "))
  end)

  it("tell genes that a spreadsheet spoiled, and repair none", function()
    local file = read_path(support.need_shared "signatures/gseapy__mds.2k.rnk")
    assert.equal("7-Mar", file.unmatched[1].raw)
    assert.matches("a date, as spreadsheets make them", file.unmatched[1].reason)
  end)
end)
