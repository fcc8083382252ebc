--- Campaigns and their results from the command line, in a real Postgres.
local host = require "host"
local pg = require "pg"
local support = require "tests.support"
local sys = require "sys"

local PLATE = [[
plate,well,compound,role,conc (µM),signal
P1,A1,C1,,10,100
P1,A2,C2,,10,950
P1,A3,C3,,10,480
P1,a04,C4,,10,OVER
P1,B1,staurosporine,pos,1,50
P1,B2,staurosporine,pos,1,55
P1,B3,staurosporine,pos,1,45
P1,C1,,neg,,1000
P1,C2,,neg,,1010
P1,C3,,neg,,990
]]

describe("screening", function()
  local conn, conninfo, workspace

  before_each(function()
    conn, conninfo = support.migrated()
    workspace = support.workspace()
  end)

  local function ligase(...)
    return support.ligase { database = conninfo, workspace = workspace, ... }
  end

  local function done(...)
    local result = ligase(...)
    assert.equal(0, result.code, result.stdout .. result.stderr)
    return result.stdout
  end

  local function refused(code, why, ...)
    local result = ligase(...)
    assert.equal(code, result.code, result.stdout .. result.stderr)
    assert.matches(why, result.stderr, 1, true)
    return result.stderr
  end

  local function one(sql, ...)
    return conn:query(sql, ...)[1]
  end

  local function make(...)
    return done("campaign", "create", "kinases", "--direction", "inhibition", ...)
  end

  local function file(content, name)
    local path = workspace .. "/" .. (name or "plate.csv")
    sys.write_file(path, content)
    return path
  end

  it("stores a plate with what follows from it", function()
    make("--hit-rule", "percent >= 50")
    done("compound", "create", "C1", "--name", "aspirin")
    local said = done("screening", "--campaign", "kinases", file(PLATE))
    assert.matches("campaign kinases: revision 1, 10 results", said, 1, true)
    assert.matches("plates   P1: 10 wells, Z' 0.953, signal window 90.50", said, 1, true)
    assert.matches("4 compounds named: 1 known, 3 unknown and kept as text (C2, C3, C4;", said, 1, true)
    assert.matches("hits     2 of 4 samples by percent >= 50", said, 1, true)
    assert.matches("1 cells that are no numbers, kept as text: OVER (line 5)", said, 1, true)
    local row = one "SELECT * FROM campaign_results WHERE well = 'A01'"
    assert.same({ "C1", "aspirin", 100.0, 1e-5, true }, { row.compound_code, row.compound, row.value,
      row.concentration_m, row.is_hit })
    assert.near(100 * 900 / 950, row.percent_effect, 1e-12)
    assert.same({ { ["6"] = "OVER" } }, { one "SELECT cells FROM campaign_results WHERE well = 'A04'".cells })
    local revision = one "SELECT * FROM screening_revisions"
    assert.same({ 10, 9, 1, 1, 2, 1 }, { revision.result_count, revision.value_count, revision.linked_count,
      revision.plate_count, revision.hit_count, revision.undecided_count })
    assert.equal(sys.sha256_file(workspace .. "/plate.csv"), revision.source_sha256)
    assert.equal("signal", revision.sources[1].columns[6].header)
    local run = one "SELECT * FROM runs ORDER BY started_at DESC LIMIT 1"
    assert.same({ "screening", "done", "screening", 10 }, { run.command, run.outcome, run.recipe, run.counts.rows })
    assert.equal(revision.run_id, run.id)
    assert.equal("screening_campaigns", run.changes[1].table)
  end)

  it("finds the same file unchanged, and a changed one the next revision", function()
    make("--hit-rule", "percent >= 50")
    done("screening", "--campaign", "kinases", file(PLATE))
    assert.matches("unchanged (revision 1)", done("screening", "--campaign", "kinases", file(PLATE)), 1, true)
    assert.equal("unchanged", one "SELECT outcome FROM runs ORDER BY started_at DESC LIMIT 1".outcome)
    assert.equal(10, one "SELECT count(*) AS n FROM screening_results".n)
    assert.matches("revision 2", done("screening", "--campaign", "kinases", file((PLATE:gsub("480", "900")))))
    assert.same({ 1, 2 }, { one "SELECT hit_count FROM campaign_overview".hit_count,
      one "SELECT revision FROM campaign_overview".revision })
    assert.equal(20, one "SELECT count(*) AS n FROM screening_results".n) -- both are kept
    assert.matches("revision 3", done("screening", "--campaign", "kinases", "--again", "plate.csv"))
  end)

  local WELLS = "well,compound,role,value\nA1,%s,,5\nA2,,pos,1\nA3,,pos,2\nH1,,neg,9\nH2,,neg,%d\n"

  local function plates()
    local found = conn:query "SELECT plate, well_count AS wells, z_prime FROM campaign_plates ORDER BY ordinal"
    return table.move(found, 1, #found, 1, {})
  end

  it("adds the plates of files that come later, as if all had been read together", function()
    make("--hit-rule", "percent >= 50")
    local a, b = file(WELLS:format("C1", 10), "p1.csv"), file(WELLS:format("C2", 11), "p2.csv")
    done("screening", "--campaign", "kinases", a)
    assert.matches("campaign kinases: revision 2, 10 results, 5 of them from 1 file read before",
      done("screening", "--campaign", "kinases", b), 1, true)
    local added, rows = plates(), conn:query "SELECT ordinal, plate FROM campaign_results ORDER BY ordinal"
    assert.same({ 10, 1, 10, "p1", "p2" }, { #rows, rows[1].ordinal, rows[10].ordinal, rows[5].plate, rows[6].plate })
    local revision = one "SELECT * FROM screening_revisions WHERE revision = 2"
    assert.same({ 10, 10, 2, pg.null }, { revision.row_count, revision.result_count, revision.plate_count,
      revision.derived_from })
    local run = one "SELECT * FROM runs ORDER BY started_at DESC LIMIT 1"
    assert.equal(run.id, revision.sources[2].run_id)
    assert.not_equal(run.id, revision.sources[1].run_id)
    assert.same({ "screening_campaigns", 1 }, { run.changes[1].table, run.changes[1].before.current_revision })
    assert.same({ campaign_id = revision.campaign_id, revision = 2 }, run.changes[2].key)
    for _, again in ipairs { { a }, { b }, { b, a } } do
      assert.matches("unchanged (revision 2)", done("screening", "--campaign", "kinases", table.unpack(again)), 1, true)
    end
    done("screening", "--campaign", "kinases", "--again", a, b)
    assert.same(added, plates())
    assert.matches("revision 4, 5 results\n", done("screening", "--campaign", "kinases", "--only", b))
    assert.same({ "p2" }, { plates()[1].plate, plates()[2] and "another" })
    assert.matches("p1.csv and 1 more", done("campaign", "show", "kinases"), 1, true)
  end)

  it("puts a file that changed in its own place, and leaves the others", function()
    make()
    local a, b = file(WELLS:format("C1", 10), "p1.csv"), file(WELLS:format("C2", 11), "p2.csv")
    done("screening", "--campaign", "kinases", a, b)
    file(WELLS:format("C1", 30), "p1.csv")
    done("screening", "--campaign", "kinases", a)
    assert.equal(10, one "SELECT count(*) AS n FROM campaign_results".n)
    assert.equal(30, one "SELECT value FROM campaign_results WHERE plate = 'p1' AND well = 'H02'".value)
    assert.equal(11, one "SELECT value FROM campaign_results WHERE plate = 'p2' AND well = 'H02'".value)
    local before = "SELECT value FROM screening_results WHERE plate = 'p1' AND well = 'H02' AND revision = 1"
    assert.equal(10, one(before).value)
  end)

  it("refuses what contradicts earlier files: wells, units, controls that were declared since", function()
    make()
    done("screening", "--campaign", "kinases", file("plate,well,value,unit\nP1,A1,5,RLU\n", "first.csv"))
    local second = file("plate,well,value,unit\nP1,A1,6,RLU\n", "second.csv")
    refused(1, "well A01 of plate 'P1' stands twice, first in " .. workspace .. "/first.csv, which was read before",
      "screening", "--campaign", "kinases", second)
    done("screening", "--campaign", "kinases", "--duplicates", "exclude", second)
    assert.equal(2, one "SELECT count(*) AS n FROM campaign_results WHERE role = 'excluded'".n)
    refused(1, "the value is in 'OD', others are in 'RLU' (" .. workspace .. "/first.csv, which was read before)",
      "screening", "--campaign", "kinases", file("plate,well,value,unit\nP2,A1,6,OD\n", "third.csv"))
    done("campaign", "update", "kinases", "--positive", "A1")
    refused(2, "'kinases' declares other controls than those by which revision 2 was read", "screening", "--campaign",
      "kinases", file("plate,well,value,unit\nP2,A1,6,RLU\n", "third.csv"))
    done("screening", "--campaign", "kinases", "--only", "third.csv")
  end)

  it("keeps what was told of earlier files, and meets controls in them", function()
    make("--negative", "DMSO")
    done("screening", "--campaign", "kinases", file("well,compound,value\nA1,DMSO,9\nA2,x,OVER\n", "p1.csv"))
    local said = done("screening", "--campaign", "kinases", file("well,compound,value\nA1,y,9\n", "p2.csv"))
    assert.not_matches("occurs nowhere", said)
    assert.not_matches("OVER", said)
    said = done("campaign", "show", "kinases")
    assert.matches("p1.csv: 1 cells that are no numbers, kept as text: OVER (line 3)", said, 1, true)
  end)

  it("lets several processes add to a campaign that none of them finds yet", function()
    local children = {}
    for i = 1, 4 do
      children[i] = sys.spawn({ host.executable, "screening", "--campaign", "new", "--create",
        file(WELLS:format("C" .. i, 10), ("n%d.csv"):format(i)) }, { env = { POSTGRES_URL = conninfo }, cwd = workspace,
        stdout = "null" })
    end
    for i = 1, 4 do
      assert.equal(0, children[i]:wait().code)
    end
    assert.equal(4, one "SELECT plate_count FROM campaign_overview WHERE name = 'new'".plate_count)
  end)

  it("reads plates as readers print them", function()
    make("--hit-rule", "percent >= 50", "--negative", "column 1", "--positive", "column 12")
    local lines = { "Instrument: X", "Plate: P7", "<>;1;2;3;4;5;6;7;8;9;10;11;12" }
    for row = 0, 7 do
      lines[#lines + 1] = ("%s;10,%d;5;5;5;5;5;;5;OVER;5;5;0,%d"):format(string.char(65 + row), row, row)
    end
    local path = file(table.concat(lines, "\n") .. "\n", "reader.csv")
    local said = done("screening", "--campaign", "kinases", path)
    assert.matches("campaign kinases: revision 1, 88 results", said, 1, true)
    assert.matches("read     %d+ bytes, UTF%-8, semicolon%-separated, decimal comma", said)
    assert.matches("grids    P7 (8 x 12)", said, 1, true)
    assert.matches("8 cells that are no numbers, kept as text: OVER (line 4), OVER (line 5)", said, 1, true)
    assert.same({ 88, 8, 8, 72, 64 }, { one "SELECT well_count AS n FROM campaign_plates".n,
      one "SELECT positive_count AS n FROM campaign_plates".n, one "SELECT negative_count AS n FROM campaign_plates".n,
      one "SELECT sample_count AS n FROM campaign_plates".n, one "SELECT hit_count AS n FROM campaign_plates".n })
    assert.equal(10.7, one "SELECT value FROM campaign_results WHERE plate = 'P7' AND well = 'H01'".value)
    local source = one "SELECT sources FROM screening_revisions".sources[1]
    assert.same({ { plate = "P7", line = 3, rows = 8, columns = 12 } }, source.grids)
    assert.equal("Instrument: X\nPlate: P7", source.about)
    assert.matches("unchanged", done("screening", "--campaign", "kinases", path))
    local two = file(table.concat(lines, "\n", 3, 11) .. "\n\n" .. table.concat(lines, "\n", 3, 11) .. "\n", "two.csv")
    assert.matches("grids    two 1 (8 x 12), two 2 (8 x 12)", done("screening", "--campaign", "kinases", two), 1, true)
    assert.equal(3, one "SELECT count(*) AS n FROM campaign_plates".n)
    refused(2, "two.csv holds 2 plates", "screening", "--campaign", "kinases", "--plate", "P8", two)
    refused(2, "prints plates, and has no columns", "screening", "--campaign", "kinases", "--set", "x=value", two)
  end)

  it("takes from a layout what is in the wells of plates that readers print", function()
    make("--hit-rule", "percent >= 50")
    local grid = file("Plate: P7\n,1,2,3,4,5,6\nA,100,10,20,90,5,0\nB,100,10,80,90,,0\n", "reader.txt")
    local layout = file("plate,well,compound,content,conc (nM)\nP7,a1,,neg,\nP7,B1,,neg,\nP7,A2,S1,pos,1\n"
      .. "P7,B2,S1,pos,1\nP7,A03,C1,,1000\nP7,B3,C2,,10x\nP7,A4,C1,,500\nP7,B4,,,\nP7,C6,C9,,1\nP8,A1,C3,,1\n",
      "layout.csv")
    local said = done("screening", "--campaign", "kinases", "--layout", layout, grid)
    assert.matches("layout   .*layout.csv: 10 wells", said)
    assert.matches("1 well of .*layout.csv in no file that was read: P7 C06", said)
    assert.matches("2 compounds named: 0 known, 2 unknown and kept as text (C1, C2;", said, 1, true)
    local null = host.null
    local rows = conn:table("SELECT well, role, source_name, concentration_m, cells FROM campaign_results ORDER BY 1")
    assert.same({
      { "A01", "negative", null, null, null }, { "A02", "positive", "S1", "1e-09", null },
      { "A03", "sample", "C1", "1e-06", null }, { "A04", "sample", "C1", "5e-07", null },
      { "A05", "empty", null, null, null }, { "A06", "empty", null, null, null },
      { "B01", "negative", null, null, null }, { "B02", "positive", "S1", "1e-09", null },
      { "B03", "sample", "C2", null, '{"layout 5": "10x"}' }, { "B04", "empty", null, null, null },
      { "B06", "empty", null, null, null } }, table.move(rows, 1, #rows, 1, {}))
    assert.equal(1, one "SELECT hit_count AS n FROM campaign_plates".n)
    assert.matches("unchanged", done("screening", "--campaign", "kinases", "--layout", layout, grid))
    local stored = one "SELECT sources FROM screening_revisions".sources[1].layout
    assert.same({ 10, 64 }, { stored.wells, #stored.sha256 })
    file(sys.read_file(layout):gsub("P7,A4,C1", "P7,A4,C2"), "layout.csv")
    assert.matches("revision 2", done("screening", "--campaign", "kinases", "--layout", layout, grid))
  end)

  it("takes one layout for all plates, and for tables of wells; refuses what it cannot mean", function()
    make()
    local layout = file("row,col,cpd\nA,1,C1\nA,2,C2\n", "layout.csv")
    local two = file("Plate: P7\n,1,2,3,4,5,6\nA,1,2,,,,\n\nPlate: P8\n,1,2,3,4,5,6\nA,3,4,,,,\n", "two.txt")
    local tabled = file("plate,well,signal\nP9,A01,5\nP9,A02,6\n", "wells.csv")
    done("screening", "--campaign", "kinases", "--layout", layout, two, tabled)
    local rows = conn:table("SELECT plate, source_name, value FROM campaign_results ORDER BY value")
    assert.same({ { "P7", "C1", "1" }, { "P7", "C2", "2" }, { "P8", "C1", "3" }, { "P8", "C2", "4" },
      { "P9", "C1", "5" }, { "P9", "C2", "6" } }, table.move(rows, 1, #rows, 1, {}))
    local function wrong(content, why, path)
      return refused(1, why, "screening", "--campaign", "kinases", "--layout", file(content, "bad.csv"), path or two)
    end
    wrong("well,compound\nA1,C1\na01,C2\n", "bad.csv:3:1: well A01 stands twice, first in line 2")
    wrong("well,compound\nZ99,C1\n", "bad.csv:2:1: 'Z99' is no well")
    wrong("plate,well,compound\nP7,A1,C1\nP7,A2,C1\nX8,A1,C1\n", "it says nothing of plate 'P8'")
    wrong("plate,compound\nP7,C1\n", "no column names wells")
    wrong("plate,well\nP7,A1\n", "no column says what is in the wells")
    wrong("well,type\nA1,HPE\nA2,HPE\n", "bad.csv:2:2: nobody knows the role 'HPE'")
    refused(1, "cannot read", "screening", "--campaign", "kinases", "--layout", workspace .. "/none.csv", two)
    refused(2, 'says what the layout says too', "screening", "--campaign", "kinases", "--layout", layout,
      file("well,compound,signal\nA1,C1,5\n", "named.csv"))
  end)

  it("reads again when compounds became known", function()
    make()
    assert.matches("4 unknown and kept as text", done("screening", "--campaign", "kinases", file(PLATE)))
    done("compound", "create", "C2")
    assert.matches("revision 2", done("screening", "--campaign", "kinases", file(PLATE)))
    assert.equal(1, one "SELECT linked_count FROM screening_revisions WHERE revision = 2".linked_count)
    assert.matches("3 new", done("screening", "--campaign", "kinases", "--create", file(PLATE)))
    assert.equal(4, one "SELECT count(*) AS n FROM compounds".n) -- staurosporine is a control, and no sample
  end)

  it("writes nothing in a dry run", function()
    make("--hit-rule", "percent >= 50")
    local runs = one "SELECT count(*) AS n FROM runs".n
    local said = done("screening", "--campaign", "kinases", "--create", "--dry-run", file(PLATE))
    assert.matches("revision 1, 10 results %(dry run%)", said)
    assert.matches("hits     2 of 4 samples", said)
    for _, name in ipairs { "screening_results", "screening_revisions", "screening_plates", "compounds" } do
      assert.equal(0, one("SELECT count(*) AS n FROM " .. name).n)
    end
    assert.equal(runs, one "SELECT count(*) AS n FROM runs".n)
  end)

  it("leaves nothing of a bad file, and journals it", function()
    make()
    local said = refused(1, "plate.csv:4:2: 'Q99' is no well", "screening", "--campaign", "kinases",
      file((PLATE:gsub("A3", "Q99"))))
    assert.matches("from A1 to AF48", said)
    assert.equal(0, one "SELECT count(*) AS n FROM screening_results".n)
    assert.equal(pg.null, one "SELECT current_revision AS r FROM screening_campaigns".r)
    assert.equal("failed", one "SELECT outcome FROM runs ORDER BY started_at DESC LIMIT 1".outcome)
  end)

  it("reads plates of several files as one revision, all or none", function()
    make("--hit-rule", "percent >= 50")
    local a, b = file("well,compound,role,value\nA1,C1,,5\nA2,,pos,1\nA3,,pos,2\nH1,,neg,9\nH2,,neg,10\n", "p1.csv"),
      file("well,compound,role,value\nA1,C2,,8\nA2,,pos,1\nA3,,pos,2\nH1,,neg,9\nH2,,neg,11\n", "p2.csv")
    assert.matches("2 files: campaign kinases: revision 1, 10 results", done("screening", "--campaign", "kinases", a,
      b))
    local rows = conn:query [[
SELECT plate, count(*) AS n, min(ordinal) AS o FROM campaign_results GROUP BY plate ORDER BY plate]]
    assert.same({ { plate = "p1", n = 5, o = 1 }, { plate = "p2", n = 5, o = 6 } }, { rows[1], rows[2] })
    assert.matches("unchanged", done("screening", "--campaign", "kinases", a, b))
    refused(1, "no well", "screening", "--campaign", "kinases", a, file("well,value\n??,1\n", "p3.csv"))
    assert.equal(1, one "SELECT max(revision) AS r FROM screening_revisions".r)
  end)

  it("goes by --recipe too, of ligase ingest and of ligase run", function()
    make()
    assert.matches("revision 1", done("ingest", "--recipe", "screening", "--campaign", "kinases", file(PLATE)))
    assert.matches("unchanged", done("run", "screening", "--campaign", "kinases", file(PLATE)))
    refused(2, "which campaign", "ingest", "--recipe", "screening", file(PLATE))
    refused(2, "--campaign is for screening results", "ingest", "--campaign", "kinases", file(PLATE))
    refused(2, "--campaign is for screening results", "ingest", "--recipe", "compounds", "--campaign", "kinases",
      file(PLATE))
    refused(2, "not for screening", "screening", "--recipe", "compounds", "--campaign", "kinases", file(PLATE))
  end)

  it("takes a recipe of one's own, with words, roles and controls", function()
    make()
    sys.mkdir(workspace .. "/recipes")
    sys.write_file(workspace .. "/recipes/reader.lua", [[
local screening_recipe = require "ligase.intake.screening_recipe"
return screening_recipe.recipe {
  columns = { well = { "Pos" }, value = { "Lum" } },
  roles = { positive = { "HPE" } }, controls = { negative = { "column 12" } }, unit = "RLU",
}]])
    done("screening", "--campaign", "kinases", "--recipe", "reader", "--plate", "X",
      file "Pos,Type,Lum,role\nA1,x,5,\nA2,x,1,hpe\nA3,x,2,HPE\nA12,x,9,\nB12,x,8,\n")
    local rows = conn:query "SELECT role, unit, plate FROM campaign_results ORDER BY ordinal"
    assert.same({ { role = "sample", unit = "RLU", plate = "X" }, { role = "positive", unit = "RLU", plate = "X" } },
      { rows[1], rows[2] })
    assert.equal("negative", rows[5].role)
    sys.write_file(workspace .. "/recipes/bad.lua", [[
return require "ligase.intake.screening_recipe".recipe { columns = { wel = { "x" } } }]])
    refused(2, "a screening table has no 'wel'", "screening", "--campaign", "kinases", "--recipe", "bad", file(PLATE))
  end)

  it("offers the nearest campaign, and makes one only when asked", function()
    make()
    local said = refused(2, "there is no campaign 'kinase'", "screening", "--campaign", "kinase", file(PLATE))
    assert.matches("Did you mean 'kinases'?", said, 1, true)
    done("screening", "--campaign", "new one", "--create", "--program", "ALS", file(PLATE))
    assert.equal("ALS", one "SELECT program FROM campaign_overview WHERE name = 'new one'".program)
  end)

  it("says what controls never occur, and that there is no Z' without them", function()
    make("--positive", "staurosporin", "--negative", "column 12")
    local said = done("screening", "--campaign", "kinases", file "well,compound,value\nA1,x,5\nA2,y,6\n")
    assert.matches("the positive control 'staurosporin' occurs nowhere", said)
    assert.matches("no Z' for 1 plate %(plate%): no positive controls, no negative controls", said)
    assert.matches("no hits are called: the campaign declares no hit rule", said)
    assert.equal("plate", one "SELECT plate FROM campaign_plates".plate) -- the file's name
    local result = support.ligase { "screening", "--campaign", "kinases", "-", database = conninfo,
      workspace = workspace, stdin = "well,value\nA1,5\n" }
    assert.equal(2, result.code)
    assert.matches("no column names the plate. Say which it is: --plate NAME", result.stderr, 1, true)
  end)

  it("does with mixed units and duplicate wells what the documentation says", function()
    make()
    refused(1, "the value is in 'OD', others are in 'RLU'", "screening", "--campaign", "kinases",
      file "well,value,unit\nA1,5,RLU\nA2,6,OD\n")
    local twice = file "well,value\nA1,5\nA1,6\n"
    refused(1, "well A01 of plate 'plate' stands twice, first in line 2", "screening", "--campaign", "kinases", twice)
    assert.matches("1 wells that stand twice", done("screening", "--campaign", "kinases", "--duplicates", "keep",
      twice))
    assert.matches("revision 2", done("screening", "--campaign", "kinases", "--duplicates", "exclude", twice))
    assert.same({ "excluded", "excluded" }, { one "SELECT min(role) AS r FROM campaign_results".r,
      one "SELECT max(role) AS r FROM campaign_results".r })
  end)

  it("keeps potencies with relation and unit", function()
    done("campaign", "create", "potency", "--hit-rule", "ic50 <= 1 µM")
    done("screening", "--campaign", "potency", file "compound,IC50,unit\na,>10,µM\nb,25,nM\nc,ND,nM\n")
    local rows = conn:query "SELECT * FROM campaign_results ORDER BY ordinal"
    assert.same({ ">", 1e-5, "M", false }, { rows[1].relation, rows[1].value, rows[1].unit, rows[1].is_hit })
    assert.same({ ["2"] = ">10", ["3"] = "µM" }, rows[1].cells)
    assert.same({ pg.null, 2.5e-8, true }, { rows[2].relation, rows[2].value, rows[2].is_hit })
    assert.same({ pg.null, pg.null, { ["2"] = "ND", ["3"] = "nM" } }, { rows[3].value, rows[3].is_hit, rows[3].cells })
    local shown = done("campaign", "show", "potency")
    assert.matches("1 hit by ic50 <= 1 µM, 1 sample left open", shown)
  end)
end)

describe("campaign", function()
  local conn, conninfo, workspace

  before_each(function()
    conn, conninfo = support.migrated()
    workspace = support.workspace()
    sys.write_file(workspace .. "/plate.csv", PLATE)
  end)

  local function run(...)
    return support.ligase { database = conninfo, workspace = workspace, ... }
  end

  local function done(...)
    local result = run(...)
    assert.equal(0, result.code, result.stdout .. result.stderr)
    return result.stdout
  end

  it("is made, listed, shown and deleted", function()
    done("program", "create", "ALS")
    assert.matches("campaign kinases: made", done("campaign", "create", "kinases", "--direction", "inhibition",
      "--hit-rule", "percent >= 50", "--positive", "column 23", "--positive", "stauro", "--negative", "DMSO",
      "--target", "LRRK2", "--program", "ALS"))
    local row = conn:query "SELECT * FROM screening_campaigns"[1]
    assert.same({ positive = { "column 23", "stauro" }, negative = { "DMSO" } }, row.controls)
    assert.equal("percent >= 50", row.hit_rule.text)
    assert.matches("kinases", done("campaign", "list", "--program", "ALS"))
    local shown = done("campaign", "show", "kinases")
    assert.matches("no results yet", shown)
    assert.matches("column 23", shown)
    assert.matches("deleted", done("campaign", "delete", "kinases"))
    assert.equal(0, #conn:query "SELECT FROM screening_campaigns")
  end)

  it("refuses rules, directions and controls that are none", function()
    for _, case in ipairs { { "no condition", "--hit-rule", "percent 50" }, { "inhibition or", "--direction", "up" },
      { "overlap", "--positive", "A1:A3", "--negative", "A2" } } do
      local result = run("campaign", "create", "x", table.unpack(case, 2))
      assert.equal(2, result.code)
      assert.matches(case[1], result.stderr, 1, true)
    end
  end)

  it("reckons anew when it declares otherwise, as the next revision", function()
    done("campaign", "create", "kinases")
    done("screening", "--campaign", "kinases", "plate.csv")
    assert.matches("reckoned anew: revision 2, no hits are called", done("campaign", "update", "kinases", "--direction",
      "inhibition"))
    assert.matches("reckoned anew: revision 3, 2 hits", done("campaign", "update", "kinases", "--hit-rule",
      "percent >= 50"))
    assert.matches("revision 4, 1 hit\n", done("campaign", "update", "kinases", "--hit-rule", "percent >= 60"))
    local rows = conn:query [[
SELECT revision, derived_from, hit_count, hit_rule ->> 'text' AS rule, direction FROM screening_revisions ORDER BY 1]]
    assert.same({ revision = 1, derived_from = pg.null, hit_count = pg.null, rule = pg.null, direction = pg.null },
      rows[1])
    assert.same({ revision = 4, derived_from = 3, hit_count = 1, rule = "percent >= 60", direction = "inhibition" },
      rows[4])
    -- the values are the same in all of them
    assert.same({ n = 1 }, conn:query [[
SELECT count(DISTINCT s) AS n FROM (SELECT string_agg(concat_ws(' ', ordinal, well, value, role, cells), ';' ORDER BY
ordinal) AS s FROM screening_results GROUP BY revision) AS x]][1])
    assert.equal(pg.null, conn:query "SELECT percent_effect AS p FROM screening_results WHERE revision = 1"[1].p)
    -- as if the file had been read with that declaration: it is no change
    assert.matches("unchanged (revision 4)", done("screening", "--campaign", "kinases", "plate.csv"), 1, true)
    local run_row = conn:query [[
SELECT * FROM runs WHERE command = 'campaign update' ORDER BY started_at DESC LIMIT 1]][1]
    assert.equal("percent >= 50", run_row.changes[1].before.hit_rule.text)
  end)

  it("tells that controls need the file again", function()
    done("campaign", "create", "kinases", "--direction", "inhibition")
    done("screening", "--campaign", "kinases", "plate.csv")
    assert.matches("read with other controls: read their file again", done("campaign", "update", "kinases",
      "--positive", "A1"))
    assert.matches("other controls since: read the file again", done("campaign", "show", "kinases"))
    assert.matches("revision 2", done("screening", "--campaign", "kinases", "plate.csv"))
    assert.equal("positive", conn:query "SELECT role FROM campaign_results WHERE well = 'A01'"[1].role)
    assert.not_matches("other controls", done("campaign", "show", "kinases"))
  end)

  it("shows plates and hits, and all results when asked", function()
    done("campaign", "create", "kinases", "--direction", "inhibition", "--hit-rule", "percent >= 50")
    done("screening", "--campaign", "kinases", "plate.csv")
    local shown = done("campaign", "show", "kinases")
    assert.matches("P1%s+10%s+4%s+3%s+3%s+0.953%s+90.50%s+2", shown)
    assert.matches("2 hits by percent >= 50, 1 sample left open", shown)
    assert.matches("C1%s+P1%s+A01%s+sample%s+raw.-C3%s+P1%s+A03", shown) -- the strongest first
    assert.matches("staurosporine", done("campaign", "show", "kinases", "--results"))
    assert.not_matches("staurosporine", shown)
  end)

  it("with results is deleted only when that is said", function()
    done("campaign", "create", "kinases")
    done("screening", "--campaign", "kinases", "plate.csv")
    local result = run("campaign", "delete", "kinases")
    assert.equal(2, result.code)
    assert.matches("holds data: 10 results", result.stderr)
    done("campaign", "delete", "kinases", "--with-data")
    for _, name in ipairs { "screening_results", "screening_revisions", "screening_plates", "screening_campaigns" } do
      assert.equal(0, #conn:query("SELECT FROM " .. name))
    end
  end)

  it("keeps a compound that its results name from being deleted", function()
    done("campaign", "create", "kinases")
    done("screening", "--campaign", "kinases", "--create", "plate.csv")
    local result = run("compound", "delete", "C1")
    assert.equal(2, result.code)
    assert.matches("1 screening result: kinases", result.stderr)
  end)
end)
