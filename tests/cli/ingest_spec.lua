local support = require "tests.support"
local sys = require "sys"

local LIPIDS = "lipid,a,b\nPC 34:1,1.5,2\nPC 36:2,,4\nCer 18:1;O2/16:0,5,6e-3\n"

local conn, url

setup(function()
  conn, url = support.migrated()
end)

local function ingest(words)
  table.insert(words, 1, "ingest")
  words.database = words.database or url
  return support.ligase(words)
end

local function count(sql, ...)
  return conn:query("SELECT count(*) AS n FROM " .. sql, ...)[1].n
end

local function file(content, name)
  return support.tmpfile(content or LIPIDS, name)
end

describe("ligase ingest", function()
  it("says what it read and stored", function()
    local result = ingest { file(nil, "said.csv") }
    assert.equal(0, result.code, result.stderr)
    assert.equal("", result.stderr)
    assert.matches("^said %(lipidomics%): new dataset\n  read     %S+said.csv, 59 bytes: UTF%-8, comma%-separated, "
      .. "header on line 1\n  columns  names in \"lipid\"; 2 samples: a, b\n  stored   3 rows, 5 values\n"
      .. "  features 3: 3 new, 0 known\n  took     [%d.]+ m?s\n$", result.stdout)
  end)

  it("knows the same file again, and makes a changed one the next revision", function()
    local path = file(nil, "again.csv")
    ingest { path }
    local same = ingest { path }
    assert.equal(0, same.code)
    assert.equal("again: unchanged (revision 1)\n", same.stdout)
    sys.write_file(path, LIPIDS .. "PE 34:1,1,1\n")
    local changed = ingest { path }
    assert.matches("again (lipidomics): revision 2", changed.stdout, 1, true)
    assert.matches("4 rows", changed.stdout, 1, true)
    sys.write_file(path, LIPIDS)
    assert.matches("revision 3", ingest({ path }).stdout, 1, true)
    assert.equal(3, count("revisions AS r JOIN datasets AS d ON d.id = r.dataset_id WHERE d.name = 'again'"))
    assert.equal(3, conn:query("SELECT current_revision AS n FROM datasets WHERE name = 'again'")[1].n)
  end)

  it("keeps what is said of the dataset, also later", function()
    local path = file(nil, "details.csv")
    ingest { path, "--program", "ALS", "--experiment", "Mouse 7", "--organism", "mouse", "--create" }
    local row = conn:query("SELECT * FROM dataset_overview WHERE name = 'details'")[1]
    assert.same({ "ALS", "Mouse 7" }, { row.program, row.experiment })
    local later = ingest { path, "--program", "Aging", "--create" }
    assert.equal("details: unchanged (revision 1), its details were updated\n", later.stdout)
    row = conn:query("SELECT * FROM dataset_overview WHERE name = 'details'")[1]
    assert.same({ "Aging", "Mouse 7" }, { row.program, row.experiment })
  end)

  it("refuses programs and experiments that are not there, with the nearest names", function()
    local path = support.tmpfile("lipid,a\nPC 34:1,1\n", "links.csv")
    ingest { path, "--name", "links", "--program", "Sporadic ALS", "--experiment", "Mouse 9", "--create" }
    local function refuse(...)
      local result = ingest { path, "--name", "other", ... }
      assert.equal(2, result.code)
      assert.is_nil(conn:query("SELECT FROM datasets WHERE name = 'other'")[1])
      return result.stderr
    end
    assert.matches("there is no program 'sporadic als'. Did you mean 'Sporadic ALS'.*%? To make it: %-%-create\n",
      refuse("--program", "sporadic als"))
    assert.matches("there is no experiment 'Mouse 99'. Did you mean 'Mouse 9'", refuse("--experiment", "Mouse 99"))
    assert.matches("there is no program 'sporadic als'", refuse("--dry-run", "--program", "sporadic als"))
    assert.matches("there is no program 'sporadic als'", refuse("--jobs", "2", "--program", "sporadic als"))
    assert.equal(0, conn:query("SELECT count(*) AS n FROM jobs")[1].n)
  end)

  it("links to many programs, found by id, id elsewhere or name", function()
    local path = support.tmpfile("lipid,a\nPC 34:1,1\n", "many.csv")
    local id = "0190d7a3-0000-7000-8000-0000000000aa"
    conn:query([[INSERT INTO programs (id, name, external_ids) VALUES ($1, 'Many A', '{}'),
      ('0190d7a3-0000-7000-8000-0000000000bb', 'Many B', '{"benchling": "prj_b"}')]], id)
    for _, words in ipairs { { "--jobs", "2", "--name", "many" }, {} } do
      local result = ingest { path, "--program", id, "--program", "prj_b", "--program=Many C", "--create",
        table.unpack(words) }
      assert.equal(0, result.code, result.stderr)
      local rows = conn:query([[
SELECT p.name FROM programs AS p, datasets AS d WHERE d.name = 'many' AND (p.id = d.program_id
  OR EXISTS (SELECT FROM program_datasets AS l WHERE l.program_id = p.id AND l.dataset_id = d.id)) ORDER BY 1]])
      assert.same({ "Many A", "Many B", "Many C" }, { rows[1].name, rows[2].name, rows[3].name })
      conn:query "DELETE FROM program_datasets"
      conn:query "UPDATE datasets SET program_id = NULL WHERE name = 'many'"
      conn:query "DELETE FROM programs WHERE name = 'Many C'"
    end
  end)

  it("takes answers instead of its own findings", function()
    local path = file("# made by hand\nx;what;y\n1,5;PC 34:1;-\n2,5;PC 36:1;7\n", "answers.txt")
    local result = ingest { path, "--separator", "semicolon", "--decimal", ",", "--skip-lines", "1", "--missing=-,NA",
      "--set", "what=feature", "--set", "y=p_value", "--set", "x=sample" }
    assert.equal(0, result.code, result.stderr)
    assert.matches('names in "what"; 1 sample: x; 1 statistic: y (p_value)', result.stdout, 1, true)
    local rows = conn:query([[SELECT m.values FROM measurements AS m JOIN datasets AS d ON d.id = m.dataset_id
      WHERE d.name = 'answers' ORDER BY m.ordinal]])
    assert.same({ 1.5, require("pg").null }, rows[1].values)
    assert.same({ 2.5, 7.0 }, rows[2].values)
    local wrong = ingest { path, "--separator", ";", "--set", "wat=feature" }
    assert.equal(2, wrong.code)
    assert.matches('there is no column "wat" to set. Did you mean "what"?', wrong.stderr, 1, true)
    local role = ingest { file(), "--set", "lipid=featur", "--name", "role" }
    assert.equal(2, role.code)
    assert.matches("Did you mean feature?", role.stderr, 1, true)
  end)

  it("reads standard input and pipes, given a name", function()
    local piped = ingest { "-", "--name", "piped", stdin = LIPIDS }
    assert.equal(0, piped.code, piped.stderr)
    assert.matches("(standard input), 59 bytes", piped.stdout, 1, true)
    local nameless = ingest { "-", stdin = LIPIDS }
    assert.equal(2, nameless.code)
    assert.equal("ligase: standard input has no name for its dataset. Say --name NAME\n", nameless.stderr)
    local host = require "host"
    local line = [["$1" ingest --name substituted <(gzip -c "$2"); "$1" ingest <(cat "$2")]]
    local shell = sys.run({ "bash", "-c", line, "bash", host.executable, file() }, { env = { POSTGRES_URL = url } })
    assert.matches("gzip, UTF-8, comma-separated", shell.stdout, 1, true)
    assert.matches("has no name for its dataset", shell.stderr, 1, true)
    assert.equal(2, shell.code)
  end)

  it("goes on after a bad file, and says so at the end", function()
    local bad = file("lipid,a\nPC 34:1,1,2,3\n", "bad.csv")
    local result = ingest { file(nil, "first.csv"), bad, file(nil, "third.csv") }
    assert.equal(1, result.code)
    assert.matches("first (lipidomics): new dataset", result.stdout, 1, true)
    assert.matches("third (lipidomics): new dataset", result.stdout, 1, true)
    assert.matches("3 files: 2 done, 1 failed\n$", result.stdout)
    assert.matches("^ligase: %S+bad.csv:2:%d: [^\n]+\n$", result.stderr)
    assert.equal(0, count("datasets WHERE name = 'bad'"))
    local journal = conn:query [[SELECT outcome, batch_id FROM runs
      WHERE arguments ->> 'name' IN ('first', 'bad', 'third')]]
    assert.equal(3, #journal)
    assert.equal(journal[1].batch_id, journal[2].batch_id)
  end)

  it("refuses two files that would be one dataset", function()
    local one, other = file(nil, "same.csv"), file("lipid\ta\nPC 34:1\t1\n", "same.tsv")
    local result = ingest { one, other }
    assert.equal(2, result.code)
    assert.matches("would both be the dataset 'same'", result.stderr, 1, true)
    assert.equal(2, ingest({ one, other, "--name", "x" }).code)
    assert.equal(0, count("datasets WHERE name = 'same'"))
  end)

  it("says in a dry run what would happen, and does nothing", function()
    local function everything()
      local rows = conn:query [[SELECT (SELECT count(*) FROM runs) AS runs, (SELECT count(*) FROM datasets) AS datasets,
        (SELECT count(*) FROM revisions) AS revisions, (SELECT count(*) FROM features) AS features,
        (SELECT count(*) FROM feature_names) AS names, (SELECT count(*) FROM programs) AS programs]]
      return rows[1]
    end
    local path = file(nil, "rehearsed.csv")
    local before = everything()
    local result = ingest { "--dry-run", path, "--program", "New program", "--create" }
    assert.equal(0, result.code, result.stderr)
    assert.matches("rehearsed (lipidomics): would be a new dataset (dry run)", result.stdout, 1, true)
    assert.matches("holds    3 rows, 5 values", result.stdout, 1, true)
    assert.matches("features 3: %d new", result.stdout)
    assert.same(before, everything())
    ingest { path }
    assert.equal("rehearsed: would be unchanged (revision 1)\n", ingest({ "--dry-run", path }).stdout)
    sys.write_file(path, LIPIDS .. "PE 34:1,1,1\n")
    assert.matches("would be revision 2 (dry run)", ingest({ "--dry-run", path }).stdout, 1, true)
  end)

  it("does a dry run without any database", function()
    local workspace = support.workspace()
    local result = support.ligase { "ingest", "--dry-run", file(), workspace = workspace, database = false }
    assert.equal(0, result.code, result.stderr)
    assert.matches("not looked up: there is no private Postgres yet", result.stdout, 1, true)
    assert.same({}, sys.list(workspace))
    local unreachable = support.ligase { "ingest", "--dry-run", file() }
    assert.equal(0, unreachable.code, unreachable.stderr)
    assert.matches("would be stored (dry run)", unreachable.stdout, 1, true)
    assert.matches("not looked up: cannot connect", unreachable.stdout, 1, true)
  end)

  it("prints nothing that drives the terminal", function()
    local result = ingest { file("lipid,a\27[31mb,c\nPC 34:1,1,2\n", "x\27[2J.csv") , "--name", "escaped" }
    assert.equal(0, result.code, result.stderr)
    assert.is_nil((result.stdout .. result.stderr):find("\27", 1, true))
    local failed = ingest { file("lipid\27[31m,lipid\27[31m\n1,2\n") }
    assert.equal(1, failed.code)
    assert.is_nil(failed.stderr:find("\27", 1, true))
  end)

  it("does not link when linking is off, and says nothing of features", function()
    local result = ingest { file(nil, "unlinked.csv"), env = { ENABLE_FEATURE_LINKING = "false" } }
    assert.equal(0, result.code, result.stderr)
    assert.equal(0, count([[measurements AS m JOIN datasets AS d ON d.id = m.dataset_id
      WHERE d.name = 'unlinked' AND m.feature_key IS NOT NULL]]))
  end)

  it("fills the outbox when Notion is to follow", function()
    local result = ingest { file(nil, "followed.csv"),
      env = { ENABLE_NOTION_SYNC = "true", NOTION_API_KEY = "secret" } }
    assert.equal(0, result.code, result.stderr)
    assert.equal(1, count("outbox AS o JOIN datasets AS d ON d.id = o.entity_id WHERE d.name = 'followed'"))
  end)
end)
