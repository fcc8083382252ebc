--- Going back from the command line and from scripts: rollback, history, diff, gc.
local host = require "host"
local json = require "ligase.base.json"
local pg = require "pg"
local rolling = require "tests.lua.store.rolling"
local support = require "tests.support"
local sys = require "sys"

local conn, url, folder

setup(function()
  conn, url = support.migrated()
  pg.use_json(json.decode)
  folder = support.workspace()
end)

local function ligase(words)
  words.database, words.workspace = url, folder
  return support.ligase(words)
end

local function done(words)
  local result = ligase(words)
  assert.equal(0, result.code, result.stdout .. result.stderr)
  return result.stdout, result.stderr
end

local function refused(code, why, words)
  local result = ligase(words)
  assert.equal(code, result.code, result.stdout .. result.stderr)
  assert.matches(why, result.stderr, 1, true)
  return result.stderr
end

local function file(name, content)
  sys.write_file(folder .. "/" .. name, content)
  return name
end

local function last_run(command)
  return conn:query("SELECT id FROM runs WHERE command = $1 AND outcome = 'done' ORDER BY finished_at DESC, id DESC "
    .. "LIMIT 1", command)[1].id
end

describe("ligase rollback", function()
  it("says in a dry run what it would do, does it, and says how to take it back", function()
    done { "ingest", file("a.csv", "lipid,s\nx,1\n"), "--program", "P", "--create" }
    local all = rolling.snapshot(conn)
    local out = done { "rollback", "--dry-run", "last" }
    assert.matches("would undo %x+.-ingest a.csv\n", out)
    assert.matches("  program P: removed\n  dataset lipidomics/a: removed\n", out, 1, true)
    assert.matches("nothing was written\n", out, 1, true)
    assert.same({}, rolling.difference(all, rolling.snapshot(conn)))
    out = done { "rollback", "last" }
    assert.matches("in all: 1 dataset removed, 1 program removed, 1 revision removed\n", out, 1, true)
    local id = out:match "to take this back: ligase rollback (%S+)\n"
    assert.matches("(0 rows)", (done { "datasets" }), 1, true)
    refused(2, "no run is left that last could mean", { "rollback", "last" })
    assert.matches("it was a rollback", (done { "rollback", id }), 1, true)
    assert.same({}, rolling.difference(all, rolling.snapshot(conn, all)))
    assert.matches("rollback +done +run %x", (done { "runs" }))
    local report = json.decode((done { "rollback", "--json", "--dry-run", "last" }))
    assert.same({ true, 1, "P" }, { report.rehearsed, #report.runs, report.effects[1].name })
  end)

  it("lists what built on a run, and takes that along with --cascade", function()
    local first = last_run "ingest"
    done { "ingest", file("a.csv", "lipid,s\nx,2\n") }
    done { "dataset", "update", "a", "--description", "d" }
    local told = refused(2, "2 later runs built on it", { "rollback", first })
    assert.matches("the newest first:\n  %x+%S+ %S+ %S+ dataset update\n  %x+%S+ %S+ %S+ ingest a.csv\n", told)
    local out = done { "rollback", "--cascade", first }
    local batch = out:match "ligase rollback %-%-batch (%S+)\n"
    assert.equal(0, #conn:query "SELECT 1 FROM datasets")
    done { "rollback", "--batch", batch }
    assert.equal(2, conn:query("SELECT current_revision FROM datasets WHERE name = 'a'")[1].current_revision)
  end)

  it("undoes all files of a batch", function()
    sys.mkdir(folder .. "/many")
    for i = 1, 3 do
      file(("many/f%d.csv"):format(i), "lipid,s\nx,1\n")
    end
    done { "ingest", "--jobs", "2", "--tag", "pilot", "many" }
    done { "rollback", "--batch", "last" }
    assert.equal(0, #conn:query "SELECT 1 FROM datasets WHERE name LIKE 'f_'")
    local batch = conn:query("SELECT batch_id FROM runs WHERE arguments ->> 'tag' = 'pilot'")[1].batch_id
    local told = refused(2, "nothing is left to take back: its runs were rolled back by batch ",
      { "rollback", "--batch", batch })
    local undoing = conn:query([[SELECT batch_id AS id FROM runs WHERE rolls_back IS NOT NULL
      ORDER BY started_at DESC]])[1].id
    assert.matches("ligase rollback --batch " .. undoing, told, 1, true)
    refused(2, "no batch is left that last could mean", { "rollback", "--batch", "last" })
    refused(2, "the batch is empty", { "rollback", "--batch", "" })

    -- For people the rollbacks are one line, for scripts each has its id and its batch.
    local listed = done { "runs", "--limit", "2" }
    assert.matches("rollback +done +3 runs of batch %x+.-\n%x+%S+ .* ingest .* 3 runs of batch ", listed)
    assert.matches("done +rollback: 3 runs of batch ", (done { "status" }))
    assert.matches("(3 rows)", (done { "runs", "--batch", undoing }), 1, true)
    local short = listed:match "rollback +done +3 runs of batch (%S+)"
    assert.equal(undoing:sub(1, #short), short)
    local seen = {}
    for line in (done { "runs", "--format", "jsonl", "--limit", "3" }):gmatch "[^\n]+" do
      local run = json.decode(line)
      assert.same({ undoing, 36, 36 }, { run.batch, #run.run, #run.rolls_back })
      assert.is_nil(seen[run.run])
      seen[run.run] = true
    end
    assert.equal(36, #json.decode((done { "status", "--json" })).overview.runs[1].run)

    -- And the same command stores them again.
    assert.matches("3 ingested", (done { "ingest", "--jobs", "2", "--tag", "pilot", "many" }), 1, true)
  end)

  it("does not say that nothing was run where a run has failed", function()
    local another = support.migrated_database()
    support.ligase { "ingest", support.tmpfile("", "empty.csv"), database = another }
    local told = support.ligase({ "rollback", "zzz", database = another }).stderr
    assert.matches("the latest ones: %x+%-%S+ .- ingest .+%. See them with: ligase runs", told)
    told = support.ligase({ "rollback", "zzz", database = support.migrated_database() }).stderr
    assert.matches("Nothing was run yet", told, 1, true)
  end)

  it("refuses what it cannot mean", function()
    refused(2, "RUN is missing", { "rollback" })
    refused(2, "--batch goes without names", { "rollback", "--batch", "last", "last" })
    refused(2, "there is no run 'zz'", { "rollback", "zz" })
    local told = refused(2, "there is no batch 'zz'", { "rollback", "--batch", "zz" })
    assert.matches("the latest ones: %x+%-%S+ %(%d runs?%)", told)
    refused(2, "may be any of", { "rollback", "0" })
    assert.matches("ligase rollback --cascade", (done { "rollback", "--help" }), 1, true)
  end)

  it("tells the mirror when that is on", function()
    done { "program", "create", "Told" }
    local result = support.ligase { "rollback", "last", database = url, workspace = folder,
      env = { ENABLE_DUAL_WRITE = "true", NOTION_API_KEY = "secret" } }
    assert.equal(0, result.code, result.stderr)
    local row = conn:query("SELECT action, payload FROM outbox WHERE run_id = $1", last_run "rollback")[1]
    assert.same({ "delete", "Told" }, { row.action, row.payload.name })
  end)
end)

describe("recipes/rollback_example.lua", function()
  local script = host.home .. "/recipes/rollback_example.lua"

  it("chooses runs by their tag, shows, undoes and verifies", function()
    local out = done { script, "tag=pilot" }
    assert.matches("dataset lipidomics/f3: removed", out, 1, true)
    assert.matches("nothing was written", out, 1, true)
    assert.equal(3, #conn:query "SELECT 1 FROM datasets WHERE name LIKE 'f_'")
    assert.matches("undid 3 runs", (done { script, "tag=pilot", "do" }), 1, true)
    assert.equal(0, #conn:query "SELECT 1 FROM datasets WHERE name LIKE 'f_'")
    assert.matches("no such run counts", (done { script, "tag=pilot" }), 1, true)
    assert.equal("", (done { script }))
    refused(2, "is none of the words", { script, "everything" })
    refused(2, "is no time", { script, "since=one day" })
  end)

  local function last_batch()
    return conn:query("SELECT batch_id AS id FROM runs WHERE batch_id IS NOT NULL ORDER BY finished_at DESC")[1].id
  end

  it("has its choices from ligase.runs and ligase.rollback", function()
    local out = done { "-e", [[
local ligase = require "ligase"
local runs = ligase.runs:list { recipe = "lipidomics", command = "ingest", since = "yesterday", outcome = "done" }
print(#runs, runs[1].arguments.name, #ligase.runs:list { batch = "]] .. last_batch() .. [[" } > 0,
  #ligase.runs:list { limit = 2 })
print(ligase.rollback(runs[1], { dry_run = true, cascade = true }).effects[1].name)
print(select(2, pcall(ligase.rollback, {})).message)
print(select(2, pcall(ligase.runs.list, ligase.runs, { recip = "x" })).hint)]] }
    assert.matches("^2\ta\ttrue\t2\nlipidomics/a\n", out)
    assert.matches("no run is named\n", out, 1, true)
    assert.matches("recipe", out, 1, true)
  end)
end)

describe("ligase history", function()
  it("tells who did what to a dataset, also when it is gone", function()
    local out = done { "history", "a" }
    assert.matches("ingest +%- %-> 1 +read a.csv: 1 row", out)
    assert.matches("dataset update +2 +changed what is said of it", out)
    assert.matches("rollback", out, 1, true)
    assert.matches("2 datasets that are gone were called 'f1'", refused(2, "f1", { "history", "f1" }), 1, true)
    local id = conn:query([[SELECT c ->> 'id' AS id FROM runs, jsonb_array_elements(changes) AS c
      WHERE c ->> 'table' = 'datasets' AND c -> 'before' ->> 'name' = 'f1' LIMIT 1]])[1].id
    local first
    for line in (done { "history", "--format", "jsonl", id }):gmatch "[^\n]+" do
      first = first or json.decode(line)
    end
    assert.same({ "ingest", "- -> 1" }, { first.command, first.revision })
    assert.matches("^read .*f1.csv: %d+ rows?; taken back since$", first.what)
    refused(2, "there is no dataset 'nothing'", { "history", "nothing" })
  end)
end)

describe("ligase diff", function()
  it("counts, lists and writes what differs", function()
    done { "ingest", file("d.csv", "lipid,s,t\nx,1,a\ny,2,b\nx,3,c\nz,4,d\n"), "--name", "d" }
    done { "ingest", file("d.csv", "lipid,t,u\nnew,q,1\nx,a,1\ny,B,1\nx,c,<LOD\n"), "--name", "d" }
    local out = done { "diff", "d@1", "d@2" }
    assert.matches("rows     1 added, 1 removed, 1 changed in 1 cell\n", out, 1, true)
    assert.matches("columns  1 added: u\n", out, 1, true)
    assert.matches("columns  1 removed: s\n", out, 1, true)
    assert.matches("changed +y +y +2 +3 +t +b +B\n", out)
    assert.matches("... and 2 more", (done { "diff", "d@1", "d", "--limit", "1" }), 1, true)
    local csv, told = done { "diff", "d@1", "d@2", "--format", "csv" }
    assert.matches("kind,name,feature,row_before,row_after,column,before,after\n", csv, 1, true)
    assert.matches("changed,y,y,2,3,t,b,B\n", csv, 1, true)
    assert.matches("removed,z,z,4,,,,\n", csv, 1, true)
    assert.matches("rows     1 added", told, 1, true)
    assert.matches("rows     0 added, 0 removed, 0 changed in 0 cells\n", (done { "diff", "d", "d@2" }), 1, true)
    refused(2, "has no revision 9", { "diff", "d@9", "d" })
  end)
end)

describe("ligase gc", function()
  local function revisions()
    local list = {}
    for i, row in ipairs(conn:query([[SELECT r.revision FROM revisions AS r JOIN datasets AS d ON d.id = r.dataset_id
      WHERE d.name = 'g' ORDER BY 1]])) do
      list[i] = row.revision
    end
    return list
  end

  it("frees what nobody needs, and never what counts or could come back", function()
    for i = 1, 4 do
      done { "ingest", file("g.csv", ("lipid,s\nx,%d\n"):format(i)), "--name", "g" }
    end
    refused(2, "it is not said what is to be kept", { "gc" })
    assert.matches("would free lipidomics/g@1: 1 row\n", (done { "gc", "--keep", "1", "--dry-run" }), 1, true)
    assert.same({ 1, 2, 3, 4 }, revisions())
    assert.matches("freed 0 revisions", (done { "gc", "--keep", "1", "--older-than", "1" }), 1, true)
    conn:query([[INSERT INTO dataset_signatures (dataset_id, signature_id, revision, method, input_sha256,
      parameters_key) SELECT id, gen_random_uuid(), 2, 'm', 'x', 1 FROM datasets WHERE name = 'g']])
    local out = done { "gc", "--keep", "1" }
    assert.matches("kept lipidomics/g@2: 1 row, because it has scores", out, 1, true)
    assert.matches("kept lipidomics/g@3: 1 row, because a rollback would need it", out, 1, true)
    assert.same({ 2, 3, 4 }, revisions())
    done { "rollback", last_run "ingest" }
    assert.same({ 3 }, { conn:query("SELECT current_revision FROM datasets WHERE name = 'g'")[1].current_revision })
    refused(2, "cannot be undone: it deleted rows of revisions for good", { "rollback", last_run "gc" })

    done { "gc", "--keep", "1", "--scores", "--rollbacks" }
    assert.same({ 3, 4 }, revisions())
    assert.equal(0, #conn:query "SELECT 1 FROM dataset_signatures")
    refused(2, "revision 2 of 'g' is no longer stored", { "rollback", last_run "ingest" })
  end)

  it("frees the rows of datasets that were taken back, when that is said", function()
    done { "ingest", file("gone.csv", "lipid,s\nx,1\n") }
    done { "rollback", "last" }
    assert.matches("of a dataset that was taken back", (done { "gc", "--keep", "9" }), 1, true)
    done { "gc", "--keep", "9", "--rollbacks" }
    assert.equal(0, #conn:query [[SELECT 1 FROM measurements AS m LEFT JOIN revisions AS r USING (dataset_id, revision)
      WHERE r.revision IS NULL]])
  end)
end)
