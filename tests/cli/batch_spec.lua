--- Many files: folders, the queue, its workers, and the report at the end.
local host = require "host"
local json = require "ligase.base.json"
local ledger = require "tests.faults.ledger"
local support = require "tests.support"
local sys = require "sys"

local GOOD = "lipid,a,b\nPC 34:1,1.5,2\nPC 36:2,,4\n"
local BAD = "lipid,a,b\nPC 34:1,1,2\nPC 36:2,1,2,3\n"

local conn, url

before_each(function()
  conn, url = support.migrated()
end)

--- A folder with these files, by path: their content, or true for good ones.
local function folder_of(files)
  local folder = support.workspace()
  for path, content in pairs(files) do
    local below = path:match("^(.*)/")
    if below then
      sys.mkdir(folder .. "/" .. below, { parents = true })
    end
    sys.write_file(folder .. "/" .. path, content == true and GOOD or content)
  end
  return folder
end

--- So many good files, each with a name of its own in it.
local function many(count, rows)
  local files = {}
  for i = 1, count do
    files[("f%03d.csv"):format(i)] = ledger.table(rows or 2, 4) .. ("r%d,1,2,3,4\n"):format(i)
  end
  return folder_of(files)
end

local function run(words)
  words.database = words.database or url
  return support.ligase(words)
end

local function ingest(words)
  table.insert(words, 1, "ingest")
  return run(words)
end

local function names()
  local found = {}
  for i, row in ipairs(conn:query([[SELECT name || ' ' || current_revision AS name FROM datasets
    ORDER BY name COLLATE "C"]])) do
    found[i] = row.name
  end
  return found
end

local function lines_of(text)
  local lines = {}
  for line in text:gmatch("[^\n]+") do
    lines[#lines + 1] = line
  end
  return lines
end

describe("a folder", function()
  it("stands for the tables in and below it, whose names hold the folders between", function()
    local folder = folder_of { ["b.csv"] = true, ["a.TSV"] = "lipid\ta\nPC 34:1\t1\n", ["one/quant.csv"] = true,
      ["two/deep/quant.csv"] = true, ["notes.pdf"] = "x", [".hidden.csv"] = "x", [".git/x.csv"] = "x" }
    local result = ingest { folder, "--jobs", "2" }
    assert.equal(0, result.code, result.stderr)
    assert.same({ "a 1", "b 1", "one/quant 1", "two/deep/quant 1" }, names())
    assert.matches("passed over, no tables by their names: 1 file\n", result.stdout, 1, true)
    assert.matches("4 files: 4 ingested; [%d.]+ m?s, [%d,]+ files a minute\n$", result.stdout)
  end)

  it("is ingested without --jobs too, a line for each file", function()
    local result = ingest { many(3) }
    assert.equal(0, result.code, result.stderr)
    local lines = lines_of(result.stdout)
    assert.equal(4, #lines)
    for i = 1, 3 do
      assert.matches("^f00%d %(lipidomics%): new dataset, 3 rows, 12 values, [%d.]+ m?s$", lines[i])
    end
    assert.equal("", result.stderr)
  end)

  it("is followed by links to files, and not by links to folders", function()
    local folder = folder_of { ["real/x.csv"] = true }
    sys.run { "ln", "-s", "real/x.csv", folder .. "/linked.csv" }
    sys.run { "ln", "-s", "..", folder .. "/real/ring" }
    assert.equal(0, ingest({ folder }).code)
    assert.same({ "linked 1", "real/x 1" }, names())
  end)

  it("tells of links that lead nowhere and of what is no file, and waits for none", function()
    local folder = folder_of { ["y.csv"] = true }
    sys.run { "ln", "-s", "nowhere.csv", folder .. "/lost.csv" }
    sys.run { "ln", "-s", "ring.csv", folder .. "/ring.csv" }
    sys.run { "mkfifo", folder .. "/pipe.csv" }
    local result = ingest { folder }
    assert.equal(1, result.code)
    assert.same({ "y 1" }, names())
    assert.matches("lost.csv: the link leads to no file", result.stdout, 1, true)
    assert.matches("ring.csv: the link leads to no file", result.stdout, 1, true)
    assert.matches("pipe.csv: this is no file (fifo)", result.stdout, 1, true)
    assert.matches("4 files: 1 ingested, 3 set aside", result.stdout, 1, true)
  end)

  it("with no tables is refused", function()
    local result = ingest { folder_of { ["a.pdf"] = "x" } }
    assert.equal(1, result.code)
    assert.matches("the folder holds no tables (1 file with other endings). Tables end with .csv", result.stderr, 1,
      true)
  end)

  it("may hold files that would be one dataset: neither is taken", function()
    local result = ingest { folder_of { ["x.csv"] = true, ["x.tsv"] = "lipid\ta\nPC 34:1\t1\n", ["y.csv"] = true } }
    assert.equal(1, result.code)
    assert.same({ "y 1" }, names())
    assert.matches("would both be the dataset 'x'", result.stdout, 1, true)
    assert.matches("3 files: 1 ingested, 2 set aside", result.stdout, 1, true)
  end)

  it("is seen through in a dry run", function()
    local result = ingest { folder_of { ["one/x.csv"] = true }, "--dry-run" }
    assert.equal(0, result.code, result.stderr)
    assert.matches("one/x (lipidomics): would be a new dataset (dry run)", result.stdout, 1, true)
    assert.same({}, names())
    assert.equal(0, conn:query("SELECT count(*) AS n FROM jobs")[1].n)
  end)

  it("may hold the table of samples, which is no data", function()
    local folder = folder_of { ["x.csv"] = true, ["samples.csv"] = "sample,group\na,control\nb,treated\n" }
    local result = ingest { folder, "--samples", folder .. "/samples.csv" }
    assert.equal(0, result.code, result.stdout .. result.stderr)
    assert.same({ "x 1" }, names())
    assert.matches("control", conn:query("SELECT columns::text AS c FROM revisions")[1].c, 1, true)
  end)
end)

describe("a pattern", function()
  it("that the shell did not expand is expanded", function()
    local folder = folder_of { ["f1.csv"] = true, ["f2.csv"] = true, ["g.csv"] = true }
    assert.equal(0, ingest({ folder .. "/f*.csv" }).code)
    assert.same({ "f1 1", "f2 1" }, names())
  end)

  it("that nothing matches is said", function()
    local result = ingest { folder_of {} .. "/f*.csv" }
    assert.equal(1, result.code)
    assert.matches("no file matches", result.stderr, 1, true)
  end)
end)

describe("a bad file", function()
  it("is set aside with its reason, and the rest goes on", function()
    local folder = folder_of { ["a.csv"] = true, ["bad.csv"] = BAD, ["c.csv"] = true }
    local result = ingest { folder, folder .. "/missing.csv", "--jobs", "2" }
    assert.equal(1, result.code)
    assert.same({ "a 1", "c 1" }, names())
    assert.matches("\nset aside:\n  %S+missing.csv: there is no such file.-\n  %S+bad.csv:3:4: the row has 4 fields",
      result.stdout)
    assert.matches("4 files: 2 ingested, 2 set aside", result.stdout, 1, true)
    assert.matches("^ligase: %S+bad.csv:3:4: [^\n]+\n$", result.stderr)
    local run_row = conn:query("SELECT r.outcome, r.batch_id = j.batch_id AS same FROM runs AS r "
      .. "JOIN jobs AS j ON j.run_id = r.id WHERE j.state = 'dead'")[1]
    assert.same({ "failed", true }, { run_row.outcome, run_row.same })
    assert.same({}, ledger.torn(conn))
  end)

  it("is taken up by --retry, with the options it had and those of now", function()
    local folder = folder_of { ["a.csv"] = true, ["b.txt"] = "lipid;a\nPC 34:1;1,5\nPC 36:1;2,5\nPC 38:1\n" }
    assert.equal(1, ingest({ folder, "--organism", "mouse" }).code)
    assert.equal(1, ingest({ "--retry" }).code)
    sys.write_file(folder .. "/b.txt", "lipid;a\nPC 34:1;1,5\nPC 36:1;2,5\n")
    local result = ingest { "--retry", "--decimal", "," }
    assert.equal(0, result.code, result.stdout .. result.stderr)
    assert.matches("^b %(lipidomics%): new dataset, 2 rows, 2 values.*1 file: 1 ingested", result.stdout)
    assert.same({ "mouse" }, conn:query("SELECT organism FROM datasets WHERE name = 'b'")[1].organism)
    assert.same({ 1.5 }, conn:query("SELECT values FROM measurements ORDER BY dataset_id DESC, ordinal")[1].values)
    assert.matches("^0 files: ", ingest({ "--retry" }).stdout)
  end)

  it("is taken up by its name only, when it is named", function()
    local folder = folder_of { ["a.csv"] = BAD, ["b.csv"] = BAD }
    ingest { folder }
    sys.write_file(folder .. "/b.csv", GOOD)
    assert.equal(0, ingest({ "--retry", folder .. "/b.csv" }).code)
    assert.same({ "b 1" }, names())
    assert.matches("1 file: 0 ingested, 1 set aside", ingest({ "--retry" }).stdout, 1, true)
  end)

  it("of a command without a queue is taken up too", function()
    local path = support.tmpfile(BAD, "named.csv")
    assert.equal(1, ingest({ path }).code)
    sys.write_file(path, GOOD)
    assert.equal(0, ingest({ "--retry" }).code)
    assert.same({ "named 1" }, names())
  end)

  it("that makes a recipe fail is set aside, and a recipe that cannot be loaded ends the command", function()
    local recipe = support.tmpfile([[
local pipeline = require "ligase.omics.pipeline"
return pipeline.recipe { omics = "lipidomics", feature_type = "lipid", name_columns = { "lipid" },
  read_name = function(raw)
    if raw == "boom" then
      error("cannot read it")
    end
    return { name = raw, rule = "verbatim" }
  end, stages = { pipeline.recognise, pipeline.link, pipeline.store } }]], "touchy.lua")
    local folder = folder_of { ["a.csv"] = true, ["b.csv"] = "lipid,a\nboom,1\n" }
    local result = run { "run", recipe, folder, "--jobs", "2" }
    assert.equal(1, result.code)
    assert.matches("cannot read it", result.stdout, 1, true)
    assert.same({ "a 1" }, names())
    conn:query("UPDATE jobs SET state = 'pending', recipe = '/no/such/recipe.lua'")
    local broken = run { "worker" }
    assert.equal(2, broken.code)
    assert.matches("there is no recipe", broken.stderr, 1, true)
    assert.equal(2, conn:query("SELECT count(*) AS n FROM jobs WHERE state = 'pending'")[1].n)
  end)
end)

describe("the report", function()
  local folder

  local function reported(ending)
    folder = folder_of { ["a.csv"] = true, ["bad.csv"] = BAD, ["c.csv"] = true }
    ingest { folder .. "/c.csv" }
    local path = folder .. "/../report." .. ending
    local result = ingest { folder, "--report", path }
    assert.equal(1, result.code, result.stderr)
    return sys.read_file(path), sys.remove(path)
  end

  it("is written as JSON", function()
    local report = json.decode((reported "json"))
    assert.same({ 3, 1, 1, 1, 0, 0, false }, { report.total, report.ingested, report.unchanged, report.set_aside,
      report.left, report.before, report.stopped })
    assert.is_true(report.seconds > 0 and report.per_minute > 0)
    local a, bad, c = table.unpack(report.files)
    assert.same({ folder .. "/a.csv", "ingested", "lipidomics", "a", 1, 2, 3 }, { a.source, a.outcome, a.omics,
      a.dataset, a.revision, a.rows, a.values })
    assert.same({ "set aside", "ragged" }, { bad.outcome, bad.code })
    assert.matches("bad.csv:3:4: the row has 4 fields", bad.reason, 1, true)
    assert.same({ "unchanged", 1 }, { c.outcome, c.revision })
  end)

  it("is written as CSV", function()
    local rows = support.python("import csv, json, sys; print(json.dumps(list(csv.DictReader(sys.stdin))))", {},
      (reported "csv"))
    rows = json.decode(rows)
    assert.equal(3, #rows)
    assert.same({ "ingested", "1", "2", "3", "" }, { rows[1].outcome, rows[1].revision, rows[1].rows, rows[1].values,
      rows[1].reason })
    assert.matches("the row has 4 fields", rows[2].reason, 1, true)
  end)

  it("has an ending that says how", function()
    local result = ingest { "x.csv", "--report", "report.txt" }
    assert.equal(2, result.code)
    assert.equal("ligase: --report cannot be 'report.txt'. Its name ends with .json or .csv\n", result.stderr)
  end)
end)

describe("files that are there already", function()
  it("are unchanged, left out by --skip-existing, and read again by --force", function()
    local folder = many(3)
    ingest { folder }
    assert.matches("3 files: 0 ingested, 3 unchanged", ingest({ folder, "--jobs", "2" }).stdout, 1, true)
    sys.write_file(folder .. "/f001.csv", GOOD)
    sys.write_file(folder .. "/new.csv", GOOD)
    local skipped = ingest { folder, "--skip-existing" }
    assert.equal(0, skipped.code)
    assert.matches("left out, their datasets are there: 3 files\n1 file: 1 ingested", skipped.stdout, 1, true)
    assert.same({ "f001 1", "f002 1", "f003 1", "new 1" }, names())
    assert.matches("4 files: 4 ingested", ingest({ folder, "--force", "--jobs", "2" }).stdout, 1, true)
    assert.same({ "f001 2", "f002 2", "f003 2", "new 2" }, names())
  end)

  it("are treated alike without a queue", function()
    local path = support.tmpfile(GOOD, "one.csv")
    ingest { path }
    assert.equal("one: left out, the dataset is there\n", ingest({ path, "--skip-existing" }).stdout)
    assert.matches("one (lipidomics): revision 2", ingest({ path, "--force" }).stdout, 1, true)
  end)
end)

describe("an interrupted batch", function()
  local WAITING = [[SELECT count(*) AS n FROM pg_locks AS l JOIN pg_database AS d ON d.oid = l.database
    WHERE d.datname = current_database() AND l.locktype = 'advisory' AND NOT l.granted]]

  --- Interrupts when three files are done and, where that is so, another one waits for a lock.
  local function interrupt(folder, signals, is_blocked)
    local out = support.tmpfile("", "out")
    local command <close> = sys.spawn({ host.executable, "ingest", folder, "--jobs", "2" },
      { env = { POSTGRES_URL = url }, stdout = out, stderr = out, append = true })
    local deadline = sys.monotonic() + 20
    repeat
      sys.sleep(0.02)
    until conn:query("SELECT count(*) AS n FROM jobs WHERE state = 'done'")[1].n >= 3
      and (not is_blocked or conn:query(WAITING)[1].n > 0) or sys.monotonic() > deadline
    for _ = 1, signals do
      command:kill("INT")
      repeat -- two that come together are one
        sys.sleep(0.02)
      until sys.read_file(out):find("stopping after", 1, true) or sys.monotonic() > deadline
    end
    local ended = command:wait(20)
    return ended, sys.read_file(out)
  end

  it("ends after the files in flight, and the same command goes on", function()
    local folder = many(400, 100)
    local ended, said = interrupt(folder, 1)
    assert.same({ code = 130 }, ended, said)
    assert.matches("stopping after the files in flight", said, 1, true)
    assert.is_true(ledger.wait_until_quiet(conn))
    local done = conn:query("SELECT count(*) AS n FROM datasets")[1].n
    assert.is_true(done >= 3 and done < 400, done)
    assert.matches(("400 files: %d ingested, %d not tried"):format(done, 400 - done), said, 1, true)
    local result = ingest { folder, "--jobs", "2" }
    assert.equal(0, result.code, result.stderr)
    assert.matches(("400 files: %d ingested, %d done before"):format(400 - done, done), result.stdout, 1, true)
    assert.same({}, ledger.torn(conn))
    assert.equal(400, conn:query("SELECT count(*) AS n FROM runs")[1].n)
  end)

  it("ends at once when it is asked twice, and leaves the file in flight in the queue", function()
    local folder = folder_of { ["a.csv"] = true, ["b.csv"] = true, ["c.csv"] = true,
      ["z.csv"] = ledger.table(2000, 4) }
    local blocker <close> = require("pg").connect(url)
    ingest { folder .. "/a.csv", folder .. "/b.csv", folder .. "/c.csv" }
    blocker:begin()
    blocker:query("SELECT pg_advisory_xact_lock($1)", sys.hash64("dataset\0lipidomics\0z"))
    local ended, said = interrupt(folder, 2, true)
    assert.same({ code = 130 }, ended, said)
    assert.matches("1 not tried", said, 1, true)
    blocker:rollback()
    assert.equal(0, ingest({ folder }).code)
    assert.same({ "a 1", "b 1", "c 1", "z 1" }, names())
  end)
end)

describe("workers", function()
  --- Queues files without having them ingested.
  local function queued(folder, count)
    require("ligase.store.jobs").queue(conn, { key = "k", command = "ingest", recipe = "lipidomics",
      arguments = "{}" }, (function()
      local files = {}
      for i = 1, count do
        local path = ("%s/f%03d.csv"):format(folder, i)
        files[i] = { path = path, name = ("f%03d"):format(i), size_bytes = sys.stat(path).size_bytes, modified_s = 0 }
      end
      return files
    end)())
  end

  it("do what is queued, one file or all", function()
    queued(many(3), 3)
    local once = run { "worker", "--once" }
    assert.equal(0, once.code, once.stderr)
    assert.same({ "f001 1" }, names())
    local batch = conn:query("SELECT batch_id FROM jobs LIMIT 1")[1].batch_id
    assert.equal(0, run({ "worker", "--batch", sys.uuid7() }).code)
    assert.same({ "f001 1" }, names())
    local rest = run { "worker", "--batch", batch }
    assert.matches("2 files: 2 done, 0 failed\n$", rest.stdout)
    assert.same({ "f001 1", "f002 1", "f003 1" }, names())
    assert.equal(2, run({ "worker", "--batch", "x" }).code)
  end)

  it("say by their status that a file was set aside", function()
    local folder = folder_of { ["f001.csv"] = BAD }
    queued(folder, 1)
    local result = run { "worker" }
    assert.equal(1, result.code)
    assert.matches("f001.csv:3:4", result.stderr, 1, true)
  end)

  it("wait for work when they watch, also over a lost connection", function()
    local worker <close> = sys.spawn({ host.executable, "worker", "--watch" }, { env = { POSTGRES_URL = url },
      stdout = "null", stderr = "null" })
    local function wait_for(count)
      local deadline = sys.monotonic() + 20
      repeat
        sys.sleep(0.05)
      until #names() == count or sys.monotonic() > deadline
      assert.equal(count, #names())
    end
    queued(many(1), 1)
    wait_for(1)
    conn:query [[SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE datname = current_database() AND pid <> pg_backend_pid()]]
    queued(many(2), 2)
    wait_for(2)
    worker:kill("TERM")
    assert.same({ code = 0 }, worker:wait(10))
  end)

  it("go on when their connections are lost, and so does the command", function()
    local folder = many(120, 200)
    local out = support.tmpfile("", "out")
    local command <close> = sys.spawn({ host.executable, "ingest", folder, "--jobs", "2" },
      { env = { POSTGRES_URL = url }, stdout = out, stderr = "null" })
    repeat
      sys.sleep(0.01)
    until #names() >= 3 or command:wait(0)
    conn:query [[SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE datname = current_database() AND pid <> pg_backend_pid()]]
    assert.is_true(#names() < 120)
    assert.same({ code = 0 }, command:wait(60))
    assert.matches("120 files: 120 ingested", sys.read_file(out), 1, true)
    assert.equal(120, conn:query("SELECT count(*) AS n FROM revisions")[1].n)
    assert.same({}, ledger.torn(conn))
  end)

  it("of one folder share it, and end with the command that started them", function()
    local folder = many(60, 300)
    local command <close> = sys.spawn({ host.executable, "ingest", folder, "--jobs", "3" },
      { env = { POSTGRES_URL = url }, stdout = "null", stderr = "null" })
    repeat
      sys.sleep(0.01)
    until #names() >= 3 or command:wait(0)
    command:kill("KILL")
    command:wait(5)
    assert.is_true(ledger.wait_until_quiet(conn))
    local done = #names()
    assert.is_true(done < 60, done)
    assert.matches(("60 files: %d ingested, %d done before"):format(60 - done, done),
      ingest({ folder, "--jobs", "3" }).stdout, 1, true)
    local workers = conn:query("SELECT count(DISTINCT worker) AS n FROM jobs")[1].n
    assert.is_true(workers >= 4, workers)
  end)

  it("that are killed again and again do not run for ever #slow", function()
    -- Stands for a file that crashes its reader. Slow: the sanitizers catch the signal. A
    -- file beside it may be among those that its workers take down with them.
    local recipe = support.tmpfile([[
local pipeline = require "ligase.omics.pipeline"
return pipeline.recipe { omics = "lipidomics", feature_type = "lipid", name_columns = { "lipid" },
  read_name = function(raw)
    if raw == "crash" then
      sys.kill(sys.pid(), "SEGV")
      sys.sleep(5)
    end
    return { name = raw, rule = "verbatim" }
  end, stages = { pipeline.recognise, pipeline.link, pipeline.store } }]], "crashing.lua")
    local folder = folder_of { ["a.csv"] = "lipid,a\ncrash,1\n", ["b.csv"] = true, ["c.csv"] = true, ["d.csv"] = true }
    local result = run { "run", recipe, folder, "--jobs", "2" }
    assert.equal(1, result.code)
    assert.matches("4 files: [23] ingested, [12] not tried", result.stdout)
    assert.matches("workers were killed again and again (SIGSEGV)", result.stderr, 1, true)
    local stored = table.concat(names(), ", ")
    assert.is_truthy(stored == "b 1, c 1, d 1" or stored == "c 1, d 1" or stored == "b 1, d 1" or stored == "b 1, c 1",
      stored)
  end)

  it("do not begin without a database", function()
    local result = ingest { many(2), "--jobs", "2", env = { POSTGRES_URL = "postgresql:///none?host=/nowhere" } }
    assert.equal(1, result.code)
    assert.equal(1, #lines_of(result.stderr), result.stderr)
    assert.matches("Postgres creation failed (required)", result.stderr, 1, true)
  end)
end)

describe("misuse", function()
  it("is refused before anything is queued", function()
    local path = support.tmpfile(GOOD)
    for _, case in ipairs {
      { { "-", "--jobs", "2", "--name", "x" }, "standard input cannot be one of many files" },
      { { path, "--jobs", "0" }, "--jobs cannot be '0'" },
      { {}, "FILE is missing" },
      { { path, "--retry", "--dry-run" }, "--dry-run goes with neither" },
      { { folder_of { ["a.csv"] = true, ["b.csv"] = true }, "--name", "x" }, "--name is for one file" },
      { { path, "--jobs", "2", "--set", "x" }, "says no role" },
    } do
      local words = case[1]
      words.stdin = GOOD
      local result = ingest(words)
      assert.equal(2, result.code, result.stderr)
      assert.matches(case[2], result.stderr, 1, true)
    end
    assert.equal(0, conn:query("SELECT count(*) AS n FROM jobs")[1].n)
  end)
end)

describe("on a terminal", function()
  it("one line says how far the files are, and none for each of them", function()
    if not support.has_terminal() then
      return pending("no pseudo-terminals here")
    end
    local folder = many(300, 100)
    sys.write_file(folder .. "/bad.csv", BAD)
    local said = support.python([[
import os, pty, sys
os.environ["POSTGRES_URL"] = sys.argv[1]
status = pty.spawn(sys.argv[2:])
print("status", os.waitstatus_to_exitcode(status))]], { url, host.executable, "ingest", folder, "--jobs", "2" })
    assert.matches("%[#+%.*%] %d+ of 301 files, 1 set aside, [%d,]+/min, %d+", said)
    assert.matches("301 files: 300 ingested, 1 set aside", said, 1, true)
    assert.is_nil(said:find("new dataset", 1, true))
    assert.matches("status 1", said, 1, true)
  end)
end)
