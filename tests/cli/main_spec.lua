local host = require "host"
local ledger = require "tests.faults.ledger"
local pg = require "pg"
local support = require "tests.support"
local sys = require "sys"

local COMMANDS = { "ingest", "run", "datasets", "show", "export", "runs", "sql", "migrate", "db", "config" }

local LIPIDS = "lipid,a,b\nPC 34:1,1.5,2\nPC 36:2,,4\n"

--- One line on stderr, nothing on stdout, misuse.
local function assert_misuse(expected, words)
  local result = support.ligase(words)
  assert.equal(2, result.code, result.stderr)
  assert.equal("", result.stdout)
  assert.equal(1, select(2, result.stderr:gsub("\n", "")), result.stderr)
  for _, part in ipairs(expected) do
    assert.is_truthy(result.stderr:find(part, 1, true), result.stderr)
  end
end

describe("the command line", function()
  it("explains itself", function()
    for _, words in ipairs { { "--help" }, { "-h" }, { "help" } } do
      local result = support.ligase(words)
      assert.equal(0, result.code)
      for _, command in ipairs(COMMANDS) do
        assert.matches("\n  " .. command .. " +%w", result.stdout)
      end
    end
    local result = support.ligase {}
    assert.equal(2, result.code)
    assert.equal("", result.stdout)
    assert.matches("ligase ingest FILE", result.stderr, 1, true)
    assert.equal(("ligase %s\n"):format(host.version), support.ligase({ "--version" }).stdout)
  end)

  it("explains each command, with an example, whatever the settings are", function()
    for _, command in ipairs(COMMANDS) do
      local asked = support.ligase { command, "--help", env = { ENABLE_DUAL_WRITE = "maybe" } }
      assert.equal(0, asked.code, asked.stderr)
      assert.matches("Usage: ligase " .. command, asked.stdout, 1, true)
      assert.matches("Example:\n  ", asked.stdout, 1, true)
      assert.equal(asked.stdout, support.ligase({ "help", command }).stdout)
      assert.equal(asked.stdout, support.ligase({ "--help", command }).stdout)
      for line in asked.stdout:gmatch("[^\n]+") do
        assert.is_true(#line <= 100, line)
      end
    end
  end)

  it("suggests the command or option that was meant", function()
    assert_misuse({ "there is no command 'ingets'", "Did you mean 'ingest'?" }, { "ingets", "x.csv" })
    assert_misuse({ "there is no command 'sqll'", "Did you mean 'sql'?" }, { "help", "sqll" })
    assert_misuse({ "there is no command 'frobnicate'", "See: ligase --help" }, { "frobnicate" })
    assert_misuse({ "there is no option '--verion'", "Did you mean '--version'?" }, { "--verion" })
    assert_misuse({ "there is no option '--omic'", "Did you mean '--omics'?", "ligase ingest --help" },
      { "ingest", "--omic", "lipidomics", "x.csv" })
    assert_misuse({ "there is no option '--dryrun'", "'--dry-run'" }, { "run", "lipidomics", "x.csv", "--dryrun" })
    assert_misuse({ "there is no command ''" }, { "" })
  end)

  it("names the value that is wrong and what it may be", function()
    assert_misuse({ "--format cannot be 'cvs'", "Did you mean 'csv'?", "jsonl" }, { "datasets", "--format", "cvs" })
    assert_misuse({ "the action cannot be 'sto'", "Did you mean 'stop'?" }, { "db", "sto" })
    assert_misuse({ "the action cannot be 'stats'", "Did you mean 'status'?" }, { "migrate", "stats" })
    assert_misuse({ "--limit cannot be '0'", "1 or more" }, { "runs", "--limit", "0" })
    assert_misuse({ "--limit cannot be 'x'" }, { "runs", "--limit", "x" })
    assert_misuse({ "--limit cannot be '-1'" }, { "runs", "--limit=-1" })
    assert_misuse({ "no option '-1'", "--option=VALUE" }, { "runs", "--limit", "-1" })
    assert_misuse({ "--to cannot be '6.5'" }, { "migrate", "down", "--to", "6.5" })
    assert_misuse({ "--revision cannot be '0'" }, { "export", "x", "--revision", "0" })
    assert_misuse({ "--separator cannot be 'ab'", "semicolon" }, { "ingest", "--separator", "ab", "x.csv" })
    assert_misuse({ "--quote cannot be 'xx'", "none" }, { "ingest", "--quote", "xx", "x.csv" })
    assert_misuse({ "--decimal cannot be 'x'" }, { "ingest", "--decimal", "x", "x.csv" })
    assert_misuse({ "--skip-lines cannot be 'two'" }, { "ingest", "--skip-lines", "two", "x.csv" })
    assert_misuse({ "--name is empty" }, { "ingest", "--name", "", "x.csv" })
    assert_misuse({ "--program cannot be", "UTF-8" }, { "ingest", "--program", "a\xFF", "x.csv" })
    assert_misuse({ "--set x says no role", "COLUMN=ROLE" }, { "ingest", "--set", "x", "x.csv" })
  end)

  it("says which word is missing or too much", function()
    assert_misuse({ "FILE is missing", "ligase ingest --help" }, { "ingest" })
    assert_misuse({ "SQL is missing" }, { "sql" })
    assert_misuse({ "DATASET is missing" }, { "show" })
    assert_misuse({ "--name needs a value" }, { "ingest", "x.csv", "--name" })
    assert_misuse({ "--dry-run takes no value" }, { "ingest", "x.csv", "--dry-run=yes" })
    assert_misuse({ "more words", "goes into quotes" }, { "sql", "SELECT", "1" })
    assert_misuse({ "more words" }, { "datasets", "x" })
    assert_misuse({ "'db url' takes no arguments" }, { "db", "url", "x" })
  end)

  it("starts quickly, and loads only what it needs #slow", function()
    local fastest = math.huge
    for _ = 1, 5 do
      local began = sys.monotonic()
      support.ligase { "--help" }
      fastest = math.min(fastest, sys.monotonic() - began)
    end
    assert.is_true(fastest < 0.25, fastest)
    local loaded = support.ligase { "-e", [[
      require("ligase.cli.main").run { "datasets", "--help" }
      for name in pairs(package.loaded) do print(name) end]] }
    assert.matches("ligase.cli.commands.datasets", loaded.stdout, 1, true)
    assert.is_nil(loaded.stdout:find("ligase.omics.pipeline", 1, true))
    assert.is_nil(loaded.stdout:find("ligase.cli.commands.ingest", 1, true))
  end)
end)

describe("output", function()
  local function shell(line, ...)
    return sys.run({ "bash", "-c", line, "bash", host.executable, ... }, { env = { LC_ALL = "C.UTF-8" } })
  end

  it("into a pipe that is closed ends quietly", function()
    local _, url = support.migrated()
    for _, format in ipairs { "table", "csv", "tsv", "json", "jsonl" } do
      local result = shell([[POSTGRES_URL=$2 "$1" sql --format $3 "SELECT generate_series(1, 100000)" | head -1
        echo "${PIPESTATUS[0]}"]], url, format)
      assert.equal("", result.stderr)
      assert.matches("\n0\n$", result.stdout)
    end
    local endless = shell([["$1" -e 'while true do print("x") end' | head -1; echo "${PIPESTATUS[0]}"]])
    assert.equal("x\n0\n", endless.stdout)
    assert.equal("", endless.stderr)
  end)

  it("to a full disk is an error", function()
    local _, url = support.migrated()
    local file = support.tmpfile(LIPIDS, "lipids.csv")
    for _, words in ipairs { "--help", "ingest --help", "datasets", "config",
      [[sql "SELECT generate_series(1, 99999)"]],
      [[sql --format csv "SELECT 1"]], [[sql --format json "SELECT generate_series(1, 99999)"]],
      "ingest " .. file, [[-e 'print(1)']], [[-e 'print(1) os.exit(0)']] } do
      local result = shell([[POSTGRES_URL=$2 "$1" ]] .. words .. " > /dev/full", url)
      assert.equal(1, result.code, words)
      assert.equal("ligase: cannot write the output: No space left on device. "
        .. "Look for room on the disk that the output goes to\n", result.stderr, words)
    end
    -- What was done was done all the same.
    assert.matches("lipids: unchanged", support.ligase({ "ingest", file, database = url }).stdout, 1, true)
  end)

  it("shows progress on a terminal only", function()
    if not support.has_terminal() then
      return pending("this machine has no pseudo-terminals")
    end
    local conn, url = support.migrated()
    local file = support.tmpfile(LIPIDS, "lipids.csv")
    -- Another ingest of the same dataset keeps it waiting, so that it takes long enough.
    conn:begin()
    conn:query("SELECT pg_advisory_xact_lock($1)", sys.hash64("dataset\0lipidomics\0lipids"))
    local screen = support.tmpfile("", "screen")
    local terminal <close> = sys.spawn({ "python3", "-c", [==[
import os, pty, sys
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], [sys.argv[1], "ingest", sys.argv[2]])
while True:
    try:
        piece = os.read(fd, 65536)
    except OSError:
        break
    if not piece:
        break
    sys.stdout.buffer.write(piece)
]==], host.executable, file }, { stdout = screen, env = { POSTGRES_URL = url } })
    local watcher <close> = pg.connect(url)
    assert.is_truthy(ledger.wait_until_blocked(watcher))
    sys.sleep(0.7) -- by then it has something to show
    conn:commit()
    assert.equal(0, terminal:wait(20).code)
    local on_terminal = sys.read_file(screen)
    assert.matches("\r\27%[K%S+  +%d+ %%  .-/s", on_terminal)
    assert.matches("\r\27%[Klipids %(lipidomics%): new dataset", on_terminal)
    local piped = support.ligase { "ingest", "--name", "again", file, database = url }
    assert.equal(0, piped.code)
    assert.equal("", piped.stderr)
    assert.is_nil(piped.stdout:find("[\r\27]"))
  end)
end)
