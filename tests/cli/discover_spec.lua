--- ligase discover: sets of features that move together, planted and found.
local json = require "ligase.base.json"
local support = require "tests.support"

local lab = require("tests.cli.lab").new()
local write, ligase, done = lab.write, lab.ligase, lab.done

--- A dataset of the changes of some lipids; those of all others are not sure.
local function dataset(name, changes)
  local lines = { "lipid,log2FC,padj" }
  for _, lipid in ipairs { "Cer 34:1;O2", "Cer 36:1;O2", "SM 34:1;O2", "PC 34:1", "PE 36:2", "TG 52:2" } do
    lines[#lines + 1] = ("%s,%s,%s"):format(lipid, changes[lipid] or 3, changes[lipid] and "0.01" or "0.9")
  end
  write(name .. ".csv", table.concat(lines, "\n") .. "\n")
end

local CERAMIDES = { ["Cer 34:1;O2"] = 1, ["Cer 36:1;O2"] = 2, ["SM 34:1;O2"] = -1 }

local function with(changes, more)
  local all = {}
  for _, each in ipairs { changes, more } do
    for name, change in pairs(each) do
      all[name] = change
    end
  end
  return all
end

--- "feature direction, ... | support datasets co-occurrence confidence" of each set.
local function discovered(...)
  local sets = {}
  for _, row in ipairs(json.decode((done { "discover", "--format", "json", ... }))) do
    local one = sets[row.set] or { names = {} }
    sets[row.set] = one
    table.insert(one.names, row.feature .. " " .. row.direction)
    one.rest = ("%d %d %.3f %.3f"):format(row.support, row.datasets, row.co_occurrence, row.confidence)
  end
  for i, one in ipairs(sets) do
    sets[i] = table.concat(one.names, ", ") .. " | " .. one.rest
  end
  return sets
end

before_each(function()
  lab.open()
  -- Ceramides rise and the sphingomyelin falls in a, b and c; in d a ceramide rises without the others; in e the
  -- sphingomyelin rises. PC moves everywhere, upwards.
  dataset("a", with(CERAMIDES, { ["PC 34:1"] = 1 }))
  dataset("b", with(CERAMIDES, { ["PC 34:1"] = 1, ["PE 36:2"] = 1 }))
  dataset("c", with(CERAMIDES, { ["PC 34:1"] = 1 }))
  dataset("d", { ["Cer 34:1;O2"] = 1, ["PC 34:1"] = 1 })
  dataset("e", { ["SM 34:1;O2"] = 1, ["PC 34:1"] = 1 })
  done { "ingest", "--omics", "lipidomics", "a.csv", "b.csv", "c.csv", "d.csv", "e.csv" }
end)

describe("ligase discover", function()
  it("finds what moves together, with figures worked out by hand", function()
    -- All four with PC: in 3 of the 5 comparisons with any; PC alone is in 5. Without PC: 3 of 4 (d has a ceramide).
    assert.same({ "Cer 34:1;O2 up, Cer 36:1;O2 up, PC 34:1 up, SM 34:1;O2 down | 3 3 0.600 0.600" }, discovered())
    assert.same({ "Cer 34:1;O2 up, Cer 36:1;O2 up, SM 34:1;O2 down | 3 3 0.750 0.750" },
      discovered("--co-occurrence", "0.7"))
    assert.same({ "Cer 34:1;O2 up, PC 34:1 up | 4 4 0.800 0.800" }, discovered("--support", "4", "--size", "2"))
    assert.same({}, discovered("--size", "5"))
    assert.same({}, discovered("--datasets", "4"))
    assert.same({}, discovered("--type", "gene", "--support", "1"))
  end)

  it("goes by what is sure, and by the change alone where nobody says how sure", function()
    write("f.csv", "lipid,log2FC\nCer 34:1;O2,0.2\nCer 36:1;O2,2\nSM 34:1;O2,-3\nSM 34:1;O2,3\n")
    done { "ingest", "--omics", "lipidomics", "f.csv" }
    local out = done { "discover", "--support", "4", "--size", "2" }
    assert.matches("^6 comparisons of 6 datasets, 6 features with a direction\n1 comparison without p%-values: taken "
      .. "by the change alone\n1 feature moving both ways within a comparison: left out there\n", out)
    assert.matches("\n%d%. 2 features in 4 comparisons of 4 datasets; co%-occurrence 0%.80, confidence 0%.80\n"
      .. "   up    Cer 34:1;O2, Cer 36:1;O2\n   in    a; b; c; f\n", out)
    out = done { "discover", "--support", "4", "--size", "2", "--min-change", "0.5" }
    assert.not_matches("Cer 34:1;O2, Cer 36:1;O2", out)
    assert.same({}, discovered("--max-p", "0.001", "--min-change", "0.1"))
  end)

  it("counts comparisons of one dataset as such, and asks for several datasets", function()
    lab.url = support.migrated_database()
    write("doses.csv", "lipid,log2FC_low,padj_low,log2FC_mid,padj_mid,log2FC_high,padj_high\n"
      .. "PC 34:1,1,0.01,2,0.01,3,0.01\nPE 36:2,-1,0.01,-2,0.01,-3,0.01\nTG 52:2,1,0.01,1,0.01,1,0.01\n")
    done { "ingest", "--omics", "lipidomics", "doses.csv" }
    assert.same({}, discovered())
    assert.same({ "PC 34:1 up, PE 36:2 down, TG 52:2 up | 3 1 1.000 1.000" }, discovered("--datasets", "1"))
    assert.matches("in    doses %(low%); doses %(mid%); doses %(high%)", (done { "discover", "--datasets", "1" }))
  end)

  it("stores sets as signatures, each once, in one journalled run", function()
    local out = done { "discover", "--co-occurrence", "0.7", "--store" }
    assert.matches("\nstored 1 new signature, 0 known %(run ", out)
    out = done { "discover", "--co-occurrence", "0.7", "--store" }
    assert.matches("\nstored 0 new signatures, 1 known %(run ", out)
    local rows = json.decode((done { "sql", "--format", "json", [[
SELECT s.name, s.signature_type, s.description, s.source, f.name AS feature, c.direction, c.weight, c.rule
FROM signatures AS s JOIN signature_components AS c ON c.signature_id = s.id JOIN features AS f ON f.key = c.feature_key
ORDER BY c.position]] }))
    assert.same({ { "Cer 34:1;O2", 1 }, { "Cer 36:1;O2", 1 }, { "SM 34:1;O2", -1 } }, { { rows[1].feature,
      rows[1].direction }, { rows[2].feature, rows[2].direction }, { rows[3].feature, rows[3].direction } })
    assert.matches("^discovered lipid %x+$", rows[1].name)
    assert.equal("discovered", rows[1].signature_type)
    assert.matches("^3 comparisons of 3 datasets %(co%-occurrence 0%.75, confidence 0%.75%): a; b; c$",
      rows[1].description)
    assert.matches("%-%-co%-occurrence 0%.7 ", rows[1].source)
    local runs = json.decode((done { "sql", "--format", "json",
      "SELECT outcome, changes -> 0 ->> 'table' AS t FROM runs WHERE command = 'discover' ORDER BY started_at" }))
    assert.same({ { outcome = "done", t = "signatures" }, "unchanged" }, { runs[1], runs[2].outcome })
  end)

  it("refuses what it cannot take, and says when there is nothing", function()
    assert.matches("%-%-co%-occurrence cannot be '2'", ligase({ "discover", "--co-occurrence", "2" }).stderr)
    assert.matches("%-%-size cannot be '1'", ligase({ "discover", "--size", "1" }).stderr)
    assert.equal(2, ligase({ "discover", "--min-change", "-1" }).code)
    lab.url = support.migrated_database()
    assert.matches("^0 comparisons of 0 datasets, 0 features with a direction\n\nno set of features moves together",
      (done { "discover" }))
  end)
end)
