--- Every bad input gives one line that names the place and the remedy, the right
--- status, and nothing half-written.
local ledger = require "tests.faults.ledger"
local pg = require "pg"
local support = require "tests.support"
local sys = require "sys"

local conn, url

setup(function()
  conn, url = support.migrated()
end)

local function ingest(words)
  table.insert(words, 1, "ingest")
  words.database = words.database or url
  return support.ligase(words)
end

--- The file is refused in one line that begins with its name, says all of `parts`, and
--- leaves nothing but the journal's note.
local function assert_refused(path, parts, words)
  local before = ledger.counts(conn)
  words = words or {}
  words[#words + 1] = path
  local result = ingest(words)
  assert.equal(1, result.code, result.stdout .. result.stderr)
  assert.equal("", result.stdout)
  assert.equal(1, select(2, result.stderr:gsub("\n", "")), result.stderr)
  assert.equal("ligase: " .. path .. ":", result.stderr:sub(1, #path + 9), result.stderr)
  for _, part in ipairs(parts) do
    assert.is_truthy(result.stderr:find(part, 1, true), ("'%s' is not in: %s"):format(part, result.stderr))
  end
  assert.same(before, ledger.counts(conn))
  assert.same({}, ledger.torn(conn))
  local run = conn:query("SELECT outcome, error FROM runs ORDER BY started_at DESC, id DESC LIMIT 1")[1]
  assert.equal("failed", run.outcome)
  assert.is_truthy(run.error.message)
end

local GOOD = "lipid,a,b\nPC 34:1,1,2\n"

--- What stands in the file, and what must stand in the line about it.
local CASES = {
  { "a file of 0 bytes", "", { "the file holds no rows", "export" } },
  { "a header only", "lipid,a,b\n", { "no rows", "export" } },
  { "an old Excel file", "\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1" .. ("\0"):rep(4000), { ".xls", "CSV or TSV" } },
  { "a zip archive", "PK\3\4\20\0\0\0\8\0" .. ("x\0"):rep(2000), { "zip", ".xlsx", "CSV or TSV" } },
  { "a picture", "\x89PNG\r\n\x1A\n\0\0\0\rIHDR" .. ("\0"):rep(200), { "PNG", "CSV or TSV" } },
  { "a quote that is never closed", 'lipid,a\nPC 34:1,"1\nPC 36:1,2\n', { ":2:", "never closed", "Close the quote" } },
  { "text after a closing quote", 'lipid,a\n"PC" 34:1,1\n', { ":2:", "quote" } },
  { "a NUL byte", "lipid,a\nPC 34:1,1\0\n", { ":2", "NUL byte", "Export" } },
  { "a row too short", "lipid,a,b\nPC 34:1,1,2\nPC 36:1,1\n", { ":3:", "2 fields", "3", "Look at" } },
  { "a row too long", "lipid,a,b\nPC 34:1,1,2\nPC 36:1,1,2,3\n", { ":3:", "4 fields", "3", "Look at" } },
  { "duplicate headers", "lipid,a,b,a\nPC 34:1,1,2,3\n", { ":1:4:", '"a"', "header of its own" } },
  { "no column of names", "foo,bar,b\nx,y,2\nz,w,3\n", { ":1:", "names", '"foo"', "--set COLUMN=feature" } },
  { "no numbers", "lipid,a,b\nPC 34:1,x,y\nPC 36:1,z,w\n", { ":1:", "no column holds numbers", "--decimal" } },
  { "a gzip file that was cut off", "\x1F\x8B\8\0\0\0\0\0\0\3\xCB\xC9\x2C", { "gzip" } },
  { "a field without end", "lipid,a\n" .. ("x"):rep(2 << 20) .. ",1\n", { ":2", "1048576" } },
}

describe("a bad file:", function()
  for _, case in ipairs(CASES) do
    it(case[1], function()
      assert_refused(support.tmpfile(case[2], "bad.csv"), case[3])
    end)
  end

  it("none at all", function()
    assert_refused("/no/such/file.csv", { "No such file or directory", "Check the path" })
  end)

  it("a folder", function()
    assert_refused(support.workspace(), { "the folder holds no files", "Tables end with .csv" })
  end)

  it("one that may not be read", function()
    if sys.user().uid == 0 then
      return pending("root may read everything")
    end
    local path = support.tmpfile(GOOD)
    sys.chmod(path, "000")
    assert_refused(path, { "Permission denied" })
  end)

  it("too many columns", function()
    local header, row = { "lipid" }, { "PC 34:1" }
    for i = 1, 10001 do
      header[i + 1], row[i + 1] = "s" .. i, "1"
    end
    assert_refused(support.tmpfile(table.concat(header, ",") .. "\n" .. table.concat(row, ",") .. "\n", "wide.csv"),
      { "columns", "more than 10000" })
  end)

  it("one whose last line is bad takes the whole file along", function()
    local content = ledger.table(30000, 5, "torn", 1000) .. "PC 34:1,1\n"
    assert_refused(support.tmpfile(content, "torn.csv"), { ":30002:", "2 fields" })
  end)

  it("a bad next revision leaves the one that is there", function()
    local path = support.tmpfile(GOOD, "kept.csv")
    assert.equal(0, ingest({ path }).code)
    sys.write_file(path, GOOD .. "PC 36:1,1\n")
    assert_refused(path, { ":3:" })
    assert.equal(GOOD, support.ligase({ "export", "kept", database = url }).stdout)
  end)
end)

describe("a file that changes while it is read", function()
  --- Holds the ingest in the middle of the file while `change` works on it.
  local function ingest_with(path, change)
    local blocker = pg.connect(url)
    blocker:begin()
    blocker:script("LOCK TABLE measurements IN EXCLUSIVE MODE")
    local errors_to = support.tmpfile("", "stderr")
    local child <close> = sys.spawn({ require("host").executable, "ingest", path },
      { env = { POSTGRES_URL = url }, stdout = "null", stderr = errors_to })
    assert.is_truthy(ledger.wait_until_blocked(conn))
    change()
    blocker:commit()
    blocker:close()
    local ended = child:wait(60)
    return ended and ended.code, sys.read_file(errors_to)
  end

  local content = ledger.table(100000, 8, "moving", 1000)

  for what, change in pairs {
    ["grows"] = function(path)
      assert.equal(0, sys.run({ "sh", "-c", 'echo "PC 34:1,1,2,3,4,5,6,7,8" >> "$1"', "sh", path }).code)
    end,
    ["is cut off"] = function(path)
      assert.equal(0, sys.run({ "truncate", "-s", "-100000", path }).code)
    end,
    ["is overwritten"] = function(path)
      local file <close> = assert(io.open(path, "r+b"))
      file:seek("set", #content - 5000)
      file:write("9.9")
    end,
  } do
    it(what .. ", and is refused", function()
      local path = support.tmpfile(content, "moving.csv")
      local before = ledger.counts(conn)
      local code, said = ingest_with(path, function() change(path) end)
      assert.equal(1, code, said)
      assert.equal(1, select(2, said:gsub("\n", "")), said)
      assert.matches("moving.csv:", said, 1, true)
      assert.same(before, ledger.counts(conn))
      assert.same({}, ledger.torn(conn))
    end)
  end
end)

describe("several files", function()
  it("go on after bad ones", function()
    local paths = {}
    for i, content in ipairs { GOOD, "", GOOD, 'lipid,a\n"x\n', GOOD } do
      paths[i] = support.tmpfile(content, ("several_%d.csv"):format(i))
    end
    paths[6] = "/no/such/file.csv"
    local result = ingest { table.unpack(paths) }
    assert.equal(1, result.code)
    assert.matches("6 files: 3 done, 3 failed\n$", result.stdout)
    assert.equal(3, select(2, result.stderr:gsub("\n", "")), result.stderr)
    assert.equal(3, conn:query("SELECT count(*) AS n FROM datasets WHERE name LIKE 'several%'")[1].n)
    assert.same({}, ledger.torn(conn))
  end)
end)

describe("misuse", function()
  it("writes nothing at all, not even to the journal", function()
    local path = support.tmpfile(GOOD)
    local before = conn:query("SELECT count(*) AS n FROM runs")[1].n
    for _, words in ipairs { { "--omic", "lipidomics", path }, { "--dryrun", path }, { path, "--set", "lipd=feature" },
      { path, "--omics", "lipidomic" }, { path, "--decimal", ";" } } do
      local result = ingest(words)
      assert.equal(2, result.code, result.stderr)
      assert.equal(1, select(2, result.stderr:gsub("\n", "")), result.stderr)
      assert.matches("Did you mean", result.stderr:gsub("It is one of", "Did you mean"), 1, true)
    end
    assert.equal(before, conn:query("SELECT count(*) AS n FROM runs")[1].n)
  end)

  it("includes a dataset's name that two omics types share: both are listed", function()
    local path = support.tmpfile(GOOD, "shared_name.csv")
    ingest { path }
    conn:query [[INSERT INTO datasets (id, omics_type, name) VALUES (gen_random_uuid(), 'proteomics', 'shared_name')]]
    for _, command in ipairs { "show", "export" } do
      local result = support.ligase { command, "shared_name", database = url }
      assert.equal(2, result.code)
      assert.matches("lipidomics/shared_name (", result.stderr, 1, true)
      assert.matches("proteomics/shared_name (", result.stderr, 1, true)
    end
    assert.equal(0, support.ligase({ "show", "lipidomics/shared_name", database = url }).code)
    -- An ingest names its omics type, so it knows which.
    assert.matches("shared_name: unchanged", ingest({ path }).stdout, 1, true)
    conn:query "DELETE FROM datasets WHERE omics_type = 'proteomics'"
  end)
end)

describe("real files", function()
  local function files_below(folder, found)
    for _, name in ipairs(sys.list(folder)) do
      local path = folder .. "/" .. name
      if sys.stat(path).type == "directory" then
        files_below(path, found)
      else
        found[#found + 1] = path
      end
    end
    return found
  end

  --- Starts a dry run of the file and returns a function that waits for its end.
  local function rehearse(path, folder, place)
    local said = ("%s/stderr_%d"):format(folder, place)
    local child = sys.spawn({ require("host").executable, "ingest", "--dry-run", "--name", "real", path },
      { env = { POSTGRES_URL = url }, stdout = "null", stderr = said })
    return function()
      local ended = child:wait(30)
      child:close()
      return ended, sys.read_file(said)
    end
  end

  local function check(path, ended, said)
    local context = path .. ": " .. said
    assert.is_truthy(ended, path .. " took more than 30 s")
    assert.is_true(ended.code == 0 or ended.code == 1, context)
    assert.equal(ended.code, select(2, said:gsub("\n", "")), context)
    assert.is_nil(said:find("traceback", 1, true), context)
    assert.is_nil(said:find("%.lua:%d"), context)
    assert.is_true(ended.code == 0 or said:find("%. %u") ~= nil, context) -- it ends in a remedy
  end

  it("of every kind are read or refused in one line", function()
    local files, folder = files_below(support.need_shared("."), {}), support.workspace()
    assert.is_true(#files > 200)
    for first = 1, #files, 4 do
      local waiting = {}
      for i = first, math.min(first + 3, #files) do
        waiting[i] = rehearse(files[i], folder, i)
      end
      for i, wait in pairs(waiting) do
        check(files[i], wait())
      end
    end
    assert.same({}, ledger.torn(conn))
  end)
end)
