--- Datasets scored by signatures, in the database: a planted example, the same bits in every batch,
--- contrasts, levels of matching, and what is stored.
local ingest = require "ligase.intake.ingest"
local inputs = require "ligase.io.inputs"
local json = require "ligase.base.json"
local pg = require "pg"
local profiles = require "ligase.store.profiles"
local recipes = require "ligase.omics.recipes"
local samples = require "ligase.omics.samples"
local score_inputs = require "ligase.scoring.inputs"
local scores = require "ligase.store.scores"
local scoring = require "ligase.scoring"
local signatures = require "ligase.omics.signatures"
local store = require "ligase.store.signatures"
local support = require "tests.support"
local sys = require "sys"

local CERAMIDES = { "Cer 18:1;O2/16:0", "Cer 18:1;O2/18:0", "Cer 18:1;O2/20:0", "Cer 18:1;O2/22:0", "Cer 18:1;O2/24:0",
  "Cer 18:1;O2/24:1" }
local SPHINGOMYELINS = { "SM 34:1;O2", "SM 36:1;O2", "SM 38:1;O2", "SM 42:2;O2" }

--- Six ceramides up, sphingomyelins down.
local function core(up, down)
  local lines = { "lipid\tdirection" }
  for _, name in ipairs(CERAMIDES) do
    lines[#lines + 1] = name .. "\t" .. up
  end
  for _, name in ipairs(SPHINGOMYELINS) do
    lines[#lines + 1] = name .. "\t" .. down
  end
  return table.concat(lines, "\n") .. "\n"
end

--- A statistics table in which they move so, among eighty lipids that move at random.
local function planted()
  local lines, x = { "lipid,log2FC,pvalue,padj" }, 7
  for i, name in ipairs(CERAMIDES) do
    lines[#lines + 1] = ("%s,%.2f,0.001,0.01"):format(name, 0.8 + i / 10)
  end
  for i, name in ipairs(SPHINGOMYELINS) do
    lines[#lines + 1] = ("%s,%.2f,0.001,0.01"):format(name, -0.5 - i / 10)
  end
  for carbons = 30, 49 do
    for double_bonds = 0, 3 do
      x = (x * 1103515245 + 12345) % 2147483648
      lines[#lines + 1] = ("PC %d:%d,%.3f,0.4,0.6"):format(carbons, double_bonds, x / 2147483648 - 0.5)
    end
  end
  return table.concat(lines, "\n") .. "\n"
end

describe("scoring", function()
  local conn

  before_each(function()
    conn = support.migrated()
    pg.use_json(json.decode)
  end)

  local function load(content, name, given)
    local input <close> = inputs.open(support.tmpfile(content, (name or "core") .. ".tsv"))
    store.load(conn, signatures.read(input, signatures.define {}, given or {}), {})
    local found, signature = pcall(store.find, conn, name or "core")
    return found and signature or nil
  end

  local function add(content, name, options)
    options = options or {}
    options.name = name
    local request <close> = ingest.request(support.tmpfile(content, name .. ".csv"), recipes.load(options.omics
      or "lipidomics"), { name = name, set = options.set, samples = options.samples, dialect = options.dialect })
    return ingest.store(conn, request).dataset_id
  end

  local function score(options, ids)
    return scoring.run(conn, scoring.session(conn, options), ids or profiles.all_ids(conn), sys.uuid7())
  end

  local function stored(dataset, signature, method, contrast)
    return conn:query([[
SELECT * FROM signature_scores WHERE dataset = $1 AND signature = $2 AND method = $3 AND ($4::text IS NULL
  OR contrast = $4)]], dataset, signature, method or "concordance", contrast or pg.null)[1]
  end

  it("finds a planted signature, its reverse as the opposite, and an unrelated one as no match", function()
    load(core("up", "down"))
    load(core("down", "up"), "reverse")
    load("lipid\tdirection\nTG 16:0_18:1_18:1\tup\nTG 52:3\tup\nDG 34:1\tdown\n", "unrelated")
    load("gene\tdirection\nCERS6\tup\nSMPD1\tup\n", "genes")
    add(planted(), "planted")
    local counts = score()
    assert.same({ written = 3, unchanged = 0, matches = 1, datasets = 1 }, counts)
    assert.is_nil(stored("planted", "genes")) -- which a dataset of lipids cannot have
    score { signatures = { store.find(conn, "genes").id } } -- unless that is asked
    local found = stored("planted", "core")
    assert.equal(1, found.score)
    assert.equal(1, found.coverage)
    assert.is_true(found.p_value < 0.01)
    assert.is_true(found.is_match)
    assert.equal("exact 10 10", ("%s %d %d"):format(found.level, found.matched_count, found.component_count))
    local reverse = stored("planted", "reverse")
    assert.equal(-1, reverse.score)
    assert.equal(found.p_value, reverse.p_value) -- as far, the other way
    assert.is_false(reverse.is_match)
    for _, name in ipairs { "unrelated", "genes" } do
      local none = stored("planted", name)
      assert.equal(pg.null, none.score)
      assert.equal(pg.null, none.p_value)
      assert.equal(0, none.coverage)
      assert.equal(0, none.matched_count)
      assert.equal(pg.null, none.level)
      assert.is_false(none.is_match)
    end
  end)

  it("gives the ranks' methods the same answer", function()
    load(core("up", "down"))
    load(core("down", "up"), "reverse")
    add(planted(), "planted")
    score { methods = { "gsea", "singscore", "ssgsea", "ora", "legacy" } }
    assert.is_true(stored("planted", "core", "gsea").score > 0.9)
    assert.is_true(stored("planted", "core", "gsea").p_value < 0.01)
    assert.is_true(stored("planted", "core", "gsea").is_match)
    assert.equal(-stored("planted", "core", "gsea").score, stored("planted", "reverse", "gsea").score)
    assert.equal(1, stored("planted", "core", "singscore").score)
    assert.equal(-1, stored("planted", "reverse", "singscore").score)
    assert.is_true(stored("planted", "core", "ssgsea").score > 0)
    assert.equal(1, stored("planted", "core", "legacy").score)
    assert.equal(0, stored("planted", "reverse", "legacy").score)
    local ora = stored("planted", "core", "ora") -- all 10 of 10 significant ones of 90
    assert.near(1 / 5720645481903.0, ora.p_value, 1e-24)
    assert.equal(9, ora.score)
    assert.equal("adjusted_p_value", ora.parameters.selected_by)
  end)

  it("leaves out what is flagged by its name: contaminants and decoys are no background", function()
    load("protein\tdirection\nP02768\tup\nQ9Y6K9\tup\nP04637\tup\n", "proteins")
    add("protein,log2FC,padj\nP04637,2,0.01\nQ9Y6K9,1.5,0.01\nCON__P02768,3,0.01\nREV__P31946,4,0.01\nP62258,-1,0.9\n"
      .. "P61981,-2,0.9\n", "clean", { omics = "proteomics" })
    score { methods = { "ora", "concordance" } }
    local ora = stored("clean", "proteins", "ora")
    assert.same({ 2, 3 }, { ora.matched_count, ora.component_count }) -- albumin was measured as a contaminant alone
    assert.equal(2, ora.score) -- 2 of 2 selected, among 4: neither 3 of 4 nor among 6
    assert.near(1 / 6, ora.p_value, 1e-15)
    assert.near(2 / 3, stored("clean", "proteins").coverage, 1e-15)
  end)

  it("leaves out what its format flags, in columns, in samples and in receipts", function()
    load("protein\tdirection\nP02768\tup\nP04637\tup\n", "proteins")
    local lines = { "Protein IDs\tMajority protein IDs\tLFQ intensity a1\tLFQ intensity a2\tLFQ intensity b1\t"
      .. "LFQ intensity b2\tOnly identified by site\tReverse\tPotential contaminant" }
    for i, row in ipairs { "P04637\t8\t8\t1\t1\t\t\t", "P62258\t2\t2\t2\t2\t\t\t", "P61981\t4\t4\t4\t4\t\t\t",
      "P02768\t99\t99\t1\t1\t\t\t+", "P31946\t98\t98\t1\t1\t+\t\t", "P27348\t97\t97\t1\t1\t\t+\t" } do
      lines[i + 1] = row:match "^%w+" .. "\t" .. row
    end
    local id = add(table.concat(lines, "\n") .. "\n", "quant", { omics = "proteomics" })
    score { methods = { "concordance", "singscore" }, contrast = "a1,a2/b1,b2" }
    local score_of = stored("quant", "proteins", nil, "a1,a2/b1,b2")
    assert.same({ 1, 0.5 }, { score_of.score, score_of.coverage })
    local dataset = profiles.datasets(conn, { id })[1]
    assert.equal(3, #profiles.matrix(conn, dataset, "LFQ intensity").keys)
    local keys = {}
    for i, row in ipairs(conn:query "SELECT feature_key FROM measurements ORDER BY ordinal") do
      keys[i] = row.feature_key
    end
    assert.equal(6, #keys)
    assert.equal(3, #scores.cells(conn, dataset, keys))
  end)

  it("gives the same bits in every batch, and writes nothing that is the same", function()
    local signature = load(core("up", "down"))
    load("A\tna\tPC 30:0\tPC 33:2\tPC 40:1\tPC 41:1\nB\tna\tPC 38:1\tCer 18:1;O2/16:0\tSM 34:1;O2\n", "sets",
      { format = "gmt", feature_type = "lipid", direction = "up" })
    local dataset = add(planted(), "planted")
    add(planted():gsub("0.4,0.6", "0.2,0.3"), "other")
    local methods = { "concordance", "gsea", "ssgsea", "singscore", "legacy", "ora" }
    score { methods = methods }
    local all = conn:query "SELECT * FROM signature_scores ORDER BY dataset, signature, method"
    assert.equal(36, #all)
    assert.same({ written = 0, unchanged = 36, matches = score({ methods = methods }).matches, datasets = 2 },
      (score { methods = methods }))
    conn:script "TRUNCATE dataset_signatures"
    for _, method in ipairs(methods) do
      score({ methods = { method }, signatures = { signature.id } }, { dataset })
    end
    local alone = conn:query "SELECT * FROM signature_scores ORDER BY dataset, signature, method"
    assert.equal(6, #alone)
    for _, row in ipairs(alone) do
      for _, other in ipairs(all) do
        if other.dataset == row.dataset and other.signature == row.signature and other.method == row.method then
          for _, field in ipairs { "score", "p_value", "coverage", "input_sha256", "matched_count" } do
            assert.equal(other[field], row[field], field .. " of " .. row.method)
          end
        end
      end
    end
  end)

  it("is done anew where an input changed, and only there", function()
    load(core("up", "down"))
    add(planted(), "planted")
    score()
    local before = stored("planted", "core")
    assert.equal(1, score({ parameters = { seed = 5 } }).written)
    local reseeded = stored("planted", "core")
    assert.not_equal(before.input_sha256, reseeded.input_sha256)
    assert.equal(5, reseeded.parameters.seed)
    assert.equal(1, conn:query("SELECT count(*) AS n FROM dataset_signatures")[1].n) -- replaced
    assert.equal(1, score().written)
    assert.equal(before.input_sha256, stored("planted", "core").input_sha256)
    add(planted():gsub("PC 30:0,", "PC 30:0,1"), "planted") -- the next revision
    assert.equal(1, score().written)
    assert.equal(2, conn:query("SELECT count(*) AS n FROM dataset_signatures")[1].n) -- one for each revision
    assert.equal(1, #conn:query "SELECT * FROM signature_scores")
  end)

  it("leaves a signature without a score of which too little was found", function()
    load(core("up", "down") .. "CE 18:1\tup\nCE 20:4\tup\nTG 50:1\tup\nTG 52:1\tup\n")
    add("lipid,log2FC,pvalue\n" .. CERAMIDES[1] .. ",1,0.1\n" .. CERAMIDES[2] .. ",1,0.1\nPC 34:1,1,0.1\n", "small")
    score()
    local found = stored("small", "core")
    assert.equal(pg.null, found.score)
    assert.near(2 / 14, found.coverage, 1e-15)
    assert.equal(2, found.matched_count)
    score { parameters = { threshold = 0.1 } }
    assert.equal(1, stored("small", "core").score)
  end)

  it("has one score for each contrast of a dataset, and for one that is named", function()
    load(core("up", "down"))
    add("lipid,log2FC_treated,pvalue_treated,log2FC_aged,pvalue_aged\n" .. CERAMIDES[1] .. ",1,0.1,-1,0.1\n"
      .. CERAMIDES[2] .. ",1,0.1,-1,0.1\n" .. CERAMIDES[3] .. ",2,0.1,-1,0.1\nSM 34:1;O2,-1,0.1,1,0.1\n", "two")
    assert.equal(2, score().written)
    assert.equal(1, stored("two", "core", nil, "treated").score)
    assert.equal(-1, stored("two", "core", nil, "aged").score)
    conn:script "TRUNCATE dataset_signatures"
    assert.equal(1, score({ contrast = "aged" }).written)
    local _, failure = pcall(score, { contrast = "treatet" })
    assert.matches("'two' has no contrast 'treatet'. It has: 'treated', 'aged'", tostring(failure))
  end)

  describe("between groups of samples", function()
    local WIDE = "lipid,a1,a2,c1,c2\n" .. CERAMIDES[1] .. ",8,8,2,2\n" .. CERAMIDES[2] .. ",4,16,2,8\n"
      .. CERAMIDES[3] .. ",4,0,2,\nSM 34:1;O2,1,1,4,4\nSM 36:1;O2,,,4,4\nPC 34:1,1,1,1,1\n"

    it("takes the difference of the means of log2 values", function()
      load(core("up", "down"))
      add(WIDE, "wide")
      score { contrast = "a1,a2/c1,c2" }
      local found = stored("wide", "core")
      assert.equal("a1,a2/c1,c2", found.contrast)
      assert.equal(4, found.matched_count) -- SM 36:1;O2 has no value in one group
      assert.equal(1, found.score)
      assert.equal("linear", found.parameters.scale)
      local session = scoring.session(conn, { contrast = "a1,a2/c1,c2" })
      local contrasts = score_inputs.read(conn, session, profiles.all_ids(conn), {})
      -- 3 - 1; (2 + 4) / 2 - (1 + 3) / 2; 2 - 1, for 0 has no logarithm; 0 - 2; none; 0
      assert.same({ 2.0, 1.0, 1.0, -2.0, pg.null, 0.0 }, contrasts[1].found.effects)
      conn:script "TRUNCATE dataset_signatures"
      score { contrast = "a1,a2/c1,c2", scale = "log2" }
      assert.equal("log2", stored("wide", "core").parameters.scale)
    end)

    it("knows the groups by the samples' annotations, or by the experiment's", function()
      load(core("up", "down"))
      local annotations = samples.read(support.tmpfile("sample,group,batch\na1,ALS,1\na2,ALS,2\nc1,control,1\n"
        .. "c2,control,2\n", "samples.csv"))
      local id = add(WIDE, "wide", { samples = annotations })
      score { contrast = "ALS/control" }
      assert.equal(1, stored("wide", "core").score)
      score { contrast = "control/ALS" }
      assert.equal(-1, stored("wide", "core", nil, "control/ALS").score)
      for _, case in ipairs {
        { "ALZ/control", "no sample is in a group 'ALZ'. Did you mean 'ALS'? Groups: 1, 2, ALS, control" },
        { "ALS/ALS", "the sample 'a1' is in both groups" }, { "ALS", "has no contrast 'ALS'" },
      } do
        local _, failure = pcall(score, { contrast = case[1] })
        assert.matches(case[2], tostring(failure), 1, true)
      end
      conn:query("INSERT INTO experiments (id, name, sample_groups) VALUES ($1, 'e', $2)", sys.uuid7(),
        json.encode { late = { "a2", "c2" }, early = { "a1", "c1" } })
      conn:query("UPDATE datasets SET experiment_id = (SELECT id FROM experiments) WHERE id = $1", id)
      score { contrast = "late/early" }
      assert.is_truthy(stored("wide", "core", nil, "late/early"))
    end)

    it("scores long tables too, and single samples", function()
      load(core("up", "down"))
      local lines = { "lipid,sample,value" }
      for i, name in ipairs(CERAMIDES) do
        for place, sample in ipairs { "a1", "a2", "c1", "c2" } do
          lines[#lines + 1] = ("%s,%s,%d"):format(name, sample, place <= 2 and 8 + i or 2)
        end
      end
      lines[#lines + 1] = "PC 34:1,a1,1\nPC 34:1,a2,1\nPC 34:1,c1,9\nPC 34:1,c2,9"
      add(table.concat(lines, "\n") .. "\n", "long", { set = { sample = "sample_name", value = "value" } })
      score { contrast = "a1,a2/c1,c2", methods = { "concordance", "singscore" } }
      assert.equal(1, stored("long", "core").score)
      local details = stored("long", "core", "singscore").details
      assert.same({ "a1", "a2", "c1", "c2" }, (function()
        local names = {}
        for name in pairs(details.samples) do
          names[#names + 1] = name
        end
        table.sort(names)
        return names
      end)())
    end)

    it("refuses negative values that are not said to be logarithms", function()
      load(core("up", "down"))
      add(WIDE:gsub(",8,8,", ",-8,8,"), "negative")
      local _, failure = pcall(score, { contrast = "a1,a2/c1,c2" })
      assert.matches("include negative ones.*%-%-scale log2", tostring(failure))
      score { contrast = "a1,a2/c1,c2", scale = "log2" }
      assert.is_truthy(stored("negative", "core"))
    end)

    it("leaves what cannot be scored so out of many, and says which", function()
      load(core("up", "down"))
      add(WIDE, "wide")
      add(planted(), "planted")
      local counts, skipped = score { contrast = "a1,a2/c1,c2", lenient = true }
      assert.equal(1, counts.written)
      assert.equal("planted", skipped[1].dataset)
      assert.matches("has no samples", skipped[1].why)
    end)
  end)

  it("says how much of a signature is there, where nothing has a direction", function()
    load(core("up", "down"))
    add("lipid,s1,s2\n" .. CERAMIDES[1] .. ",1,2\nSM 34:1;O2,1,2\nPC 34:1,1,1\n", "wide")
    local _, skipped = score { methods = { "concordance", "gsea", "ora", "legacy", "singscore" } }
    assert.equal("gsea ora", skipped[1].method .. " " .. skipped[2].method)
    assert.equal(pg.null, stored("wide", "core").score)
    assert.near(0.2, stored("wide", "core").coverage, 1e-15)
    assert.near((0.3 * 2 / 10 + 1) / 2, stored("wide", "core", "legacy").score, 1e-15)
  end)

  describe("levels", function()
    local DATA = "lipid,log2FC,pvalue\nPC 16:0_18:1,1,0.1\nPC 16:1_18:0,-1,0.1\nPC 36:2,1,0.1\nPC 16:0_20:4,1,0.1\n"

    it("match exactly, unless it is declared that a species may contain", function()
      load "lipid\tdirection\nPC 34:1\tup\nPC 36:2\tup\nPC 36:4\tup\nPC 40:6\tup\n"
      add(DATA, "species")
      score { parameters = { threshold = 0 } }
      local exact = stored("species", "core")
      assert.equal("exact 1", exact.level .. " " .. exact.matched_count)
      assert.equal("exact", exact.parameters.match)
      score { match = "contains", parameters = { threshold = 0 } }
      local contained = stored("species", "core")
      assert.equal("contained 3 4", ("%s %d %d"):format(contained.level, contained.matched_count,
        contained.component_count))
      assert.equal(0.75, contained.coverage)
      -- PC 34:1 has half of its weight in one that goes along and half in one that goes against.
      assert.near((0.5 - 0.5 + 1 + 1) / 3, contained.score, 1e-15)
    end)

    it("never take a molecular species for a sum, nor anything for its class", function()
      load "lipid\tdirection\nPC 16:0_18:1\tup\nPC 18:0_18:2\tup\nPC\tup\nPE 34:1\tup\nCer 18:1;O2/16:0\tup\n"
      add("lipid,log2FC,pvalue\nPC 34:1,1,0.1\nPC 36:2,1,0.1\nCer 18:1;O2/22:0,1,0.1\n", "sums")
      score { match = "contains", parameters = { threshold = 0 } }
      local found = stored("sums", "core")
      assert.equal(0, found.matched_count)
      assert.equal(pg.null, found.score)
    end)
  end)

  it("by the latest version only, unless another is named", function()
    local first = load(core("up", "down"))
    load(core("down", "up"))
    add(planted(), "planted")
    assert.equal(1, score().written)
    assert.equal(-1, stored("planted", "core").score)
    score { signatures = { first.id } }
    assert.equal(2, conn:query("SELECT count(*) AS n FROM dataset_signatures")[1].n)
  end)

  it("refuses a parameter that no method takes", function()
    load(core("up", "down"))
    local _, failure = pcall(scoring.session, conn, { methods = { "legacy" }, parameters = { permutations = 5 } })
    assert.matches("none of the methods takes 'permutations'", tostring(failure))
  end)

  it("agrees with fgsea's table on the real rank file #slow", function()
    local rank = support.need_shared "signatures/fgsea__naive.vs.th1.rnk"
    local request <close> = ingest.request(rank, recipes.load "transcriptomics", { name = "th1" })
    ingest.store(conn, request)
    local input <close> = inputs.open(support.need_shared "signatures/fgsea__mouse.reactome.gmt")
    store.load(conn, signatures.read(input, signatures.define {}, {}), {})
    score { methods = { "gsea" }, parameters = { permutations = 0, threshold = 0 } }
    local compared = 0
    local by_id = {}
    for _, row in ipairs(conn:query "SELECT signature, score, contrast FROM signature_scores") do
      by_id[row.signature:match "^%d+"] = row.score
    end
    for line in io.lines(support.need_shared "signatures/fgsea__fgsea_res.tsv") do
      local name, enrichment = line:match "^(%d+)\t%S+\t%S+\t(%S+)"
      if name then
        assert.near(tonumber(enrichment), by_id[name], 4e-15)
        compared = compared + 1
      end
    end
    assert.equal(586, compared)
  end)

  it("is locked, so that two who score one dataset follow one another", function()
    conn:begin()
    scores.lock(conn, { "01990000-0000-7000-8000-000000000001" })
    assert.equal(1, conn:query("SELECT count(*) AS n FROM pg_locks WHERE locktype = 'advisory' "
      .. "AND pid = pg_backend_pid()")[1].n)
    conn:rollback()
  end)
end)
