--- Workspaces: their private Postgres, recipes and modules; the installed tree.
local host = require "host"
local labs = require "tests.lua.sync.lab"
local support = require "tests.support"
local sys = require "sys"

local INTERRUPTED = table.concat(support.INTERRUPTED, " ") .. " "
local LIPIDS = "lipid,a,b\nPC 34:1,1.5,2\nPC 36:2,3,4\n"

local function in_workspace(workspace, words)
  words.workspace, words.database = workspace, false
  return support.ligase(words)
end

--- A workspace that the private Postgres' user can enter; its server is stopped at the end.
local stopping = {}

local function lab(name)
  local path = support.workspace()
  sys.chmod(path, "755")
  if name then
    path = path .. "/" .. name
    sys.mkdir(path)
  end
  stopping[#stopping + 1] = path
  return path
end

after_each(function()
  for _, path in ipairs(stopping) do
    in_workspace(path, { "db", "stop" })
  end
  stopping = {}
end)

describe("a workspace", function()
  it("is not made by asking for the phase, nor by a change that cannot be", function()
    local path = lab()
    local first = { USE_POSTGRES_AS_SOT = "false", NOTION_API_KEY = "secret-x", NOTION_API_URL = "http://127.0.0.1:1" }
    for _, case in ipairs {
      { 0, "there is no data yet", "phase" },
      { 1, "there is no data yet", "phase", env = first },
      { 0, "there is no data yet", "phase", "history" },
      { 1, "there is no data yet", "phase", "back" },
      { 2, "'postgres_only' is the last phase", "phase", "advance" },
      { 1, "there is no data yet", "phase", "advance", "--dry-run", env = first },
    } do
      local words = table.move(case, 3, #case, 1, { env = case.env })
      local result = in_workspace(path, words)
      assert.equal(case[1], result.code, result.stdout .. result.stderr)
      assert.matches(case[2], result.stderr, 1, true)
      assert.is_nil(sys.stat(path .. "/.ligase"), table.concat(words, " "))
    end
    local shown = in_workspace(path, { "phase", env = first })
    assert.matches("phase  notion_primary\nfrom   the flags", shown.stdout, 1, true)
    assert.matches("next   dual_write: its gates are measured once there is data\n", shown.stdout, 1, true)
  end)

  it("works from the first command on, two of them side by side, in a path with spaces", function()
    local one, other = lab(), lab("my lab – 2")
    local file = support.tmpfile(LIPIDS, "plasma.csv")
    local first = in_workspace(one, { "ingest", file })
    assert.equal(0, first.code, first.stderr)
    local second = in_workspace(other, { "ingest", file, "--name", "theirs" })
    assert.equal(0, second.code, second.stderr)
    assert.matches("plasma +lipidomics", in_workspace(one, { "datasets" }).stdout)
    assert.is_nil(in_workspace(one, { "datasets" }).stdout:find("theirs", 1, true))
    assert.matches("theirs +lipidomics", in_workspace(other, { "datasets" }).stdout)

    local status = in_workspace(other, { "db", "status" }).stdout
    assert.matches("state +running", status)
    assert.matches(other, status, 1, true)
    local url = in_workspace(other, { "db", "url" }).stdout:gsub("\n", "")
    assert.matches("theirs", support.ligase({ "datasets", database = url }).stdout, 1, true)
    assert.equal("1\n", in_workspace(other, { "db", "psql", "-Atc", "SELECT count(*) FROM datasets" }).stdout)

    assert.equal("stopped\n", in_workspace(other, { "db", "stop" }).stdout)
    assert.equal("it does not run\n", in_workspace(other, { "db", "stop" }).stdout)
    assert.matches("state +stopped", in_workspace(other, { "db", "status" }).stdout)
    assert.matches("state +running", in_workspace(one, { "db", "status" }).stdout)
    assert.matches("theirs", in_workspace(other, { "datasets" }).stdout, 1, true) -- it starts by itself
  end)

  it("is left alone by a worker that watches when somebody stops its Postgres", function()
    local path, said = lab(), support.tmpfile("", "said")
    assert.equal(0, in_workspace(path, { "ingest", support.tmpfile(LIPIDS, "plasma.csv") }).code)
    local worker <close> = sys.spawn({ host.executable, "worker", "--watch" },
      { cwd = path, env = { LIGASE_WORKSPACE = path, POSTGRES_URL = "" }, stdout = "null", stderr = said })
    local function works()
      return in_workspace(path, { "db", "psql", "-Atc",
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'ligase'" }).stdout ~= "0\n"
    end
    support.wait_until("the worker is connected", works)
    in_workspace(path, { "db", "stop" })
    support.wait_until("it says that Postgres is gone", function()
      return sys.read_file(said):find("the workspace's Postgres does not run", 1, true)
    end)
    assert.matches("state +stopped", in_workspace(path, { "db", "status" }).stdout)
    in_workspace(path, { "db", "start" })
    support.wait_until("it goes on", works)
    in_workspace(path, { "db", "stop" })
    worker:kill("TERM")
    assert.same({ code = 0 }, worker:wait(40))
  end)

  it("gets its Postgres and its schema from the first SQL too", function()
    local path = lab()
    local result = in_workspace(path, { "sql", "--format", "csv", "SELECT count(*) FROM effects" })
    assert.equal(0, result.code, result.stderr)
    assert.equal("count\n0\n", result.stdout)
  end)

  it("is found from its folders, and from LIGASE_WORKSPACE", function()
    local path = support.workspace()
    sys.mkdir(path .. "/.ligase")
    sys.mkdir(path .. "/data/2026", { parents = true })
    local function found(folder, env)
      env.LIGASE_WORKSPACE = env.LIGASE_WORKSPACE or false
      return support.ligase({ "-e", [[print(require("ligase.base.workspace").find())]], workspace = folder,
        env = env }).stdout
    end
    assert.equal(path .. "\n", found(path .. "/data/2026", {}))
    assert.equal(path .. "\n", found("/", { LIGASE_WORKSPACE = path }))
    local wrong = support.ligase { "datasets", env = { LIGASE_WORKSPACE = "/no/such/folder" } }
    assert.equal(2, wrong.code)
    assert.matches("LIGASE_WORKSPACE names no folder: /no/such/folder", wrong.stderr, 1, true)
  end)
end)

describe("every example of the help", function()
  --- Files that examples name, as a user would have them.
  local NAMED = {
    ["genes.txt"] = "TP53\nBRCA1\n",
    ["als_core.tsv"] = "feature\tdirection\nCer 34:1;O2\tup\nCer 36:1;O2\tup\nSM 34:1;O2\tdown\nLPC 18:2\tdown\n",
    ["hallmarks.gmt"] = "HALLMARK_HYPOXIA\tna\tVEGFA\tLDHA\tPGK1\nHALLMARK_GLYCOLYSIS\tna\tLDHA\tPGK1\tENO1\n",
    ["screen/plate_1.csv"] = "well,compound,signal\nA1,C1,5\nA23,,1\nB23,,2\nA24,,9\nB24,,10\n",
    ["screen/plate_17.csv"] = "well,compound,signal\nA1,C3,4\nA23,,1\nB23,,2\nA24,,9\nB24,,10\n",
    ["screen/plate_2.csv"] = "well,compound,signal\nA1,C2,5\nA23,,1\nB23,,2\nA24,,9\nB24,,10\n",
    ["layouts/P7.csv"] = "well,compound\nA1,C4\nA2,C5\n",
    ["screen/reader_P7.txt"] = "Plate: P7\n,1,2,3,4,5,6\nA,5,6,,,,\n",
    ["screen/reader.csv"] = "well,content,signal\nA1,sample,5\nA2,HPE,1\nA3,HPE,2\nB1,ZPE,9\nB2,ZPE,10\n",
    ["screen/ic50.csv"] = "compound,IC50\nC1,25\nC2,>10000\n",
    ["library.tsv"] = "Compound ID\tCompound name\tCAS\nC-0001\tcaffeine\t58-08-2\n",
    ["our_panel.tsv"] = "alias\tname\nblood sugar\tglucose\n",
    ["hgnc_complete_set.txt"] = "hgnc_id\tsymbol\tname\tlocus_group\tstatus\talias_symbol\tprev_symbol\tentrez_id"
      .. "\tensembl_gene_id\nHGNC:11998\tTP53\ttumor protein p53\tprotein-coding gene\tApproved\tp53|LFS1\t\t7157"
      .. "\tENSG00000141510\n",
  }

  --- Commands that need the lab's Notion, or name runs, revisions and rows that only one lab
  --- has. `rehearse` makes its own Notion, and has a spec of its own.
  local OF_ONE_LAB = { "import notion", "export notion", "notion ", "sync", "reconcile", "outbox", "phase", "policy",
    "rehearse", "rollback", "history", "diff", "gc" }

  local function is_of_one_lab(line)
    for _, words in ipairs(OF_ONE_LAB) do
      if (line .. " "):find("^ *ligase " .. words) then
        return true
      end
    end
  end

  it("is understood where it is about one lab", function()
    local lab_of_notion, path = labs.start(), lab()
    local closing <close> = setmetatable({}, { __close = function() lab_of_notion:close() end }) -- luacheck: ignore
    local env = { PATH = host.executable:match("^(.*)/") .. ":" .. sys.getenv("PATH"), LIGASE_WORKSPACE = path }
    for name, value in pairs(lab_of_notion.env) do
      env[name] = value
    end
    for _, command in ipairs(require("ligase.cli.main").COMMANDS) do
      local help = support.ligase({ command[1], "--help" }).stdout
      for line in help:match("Example:\n(.*)"):gmatch("[^\n]+") do
        if is_of_one_lab(line) and command[1] ~= "rehearse" then
          local watches = line:find("--watch", 1, true) and INTERRUPTED or ""
          local result = sys.run({ "bash", "-c", watches .. line }, { cwd = path, env = env, timeout_s = 120 })
          for _, complaint in ipairs { "See: ligase %a+ %-%-help", "stack traceback" } do
            assert.is_nil(result.stderr:find(complaint), line .. "\n" .. result.stderr)
          end
        end
      end
    end
  end)

  it("works as it is typed", function()
    local path = lab()
    for _, name in ipairs { "plasma_lipids.csv", "treated_vs_control.csv" } do
      sys.write_file(path .. "/" .. name, sys.read_file(host.home .. "/docs/examples/" .. name))
    end
    sys.mkdir(path .. "/results")
    sys.mkdir(path .. "/screen")
    sys.mkdir(path .. "/layouts")
    sys.write_file(path .. "/results/day_1.csv", "Lipid,a,b\nPC 34:1,1,2\nPC 36:1,3,4\n")
    for name, content in pairs(NAMED) do
      sys.write_file(path .. "/" .. name, content)
    end
    support.python([[
import sqlite3, sys
c = sqlite3.connect(sys.argv[1])
c.execute("CREATE TABLE compounds (compound_id TEXT, compound_name TEXT)")
c.execute("INSERT INTO compounds VALUES ('C-7', 'theobromine')")
c.commit()]], { path .. "/chemistry.db" })
    local search = host.executable:match("^(.*)/") .. ":" .. sys.getenv("PATH")
    for _, command in ipairs(require("ligase.cli.main").COMMANDS) do
      local help = support.ligase({ command[1], "--help" }).stdout
      for line in help:match("Example:\n(.*)"):gmatch("[^\n]+") do
        if not is_of_one_lab(line) then
          local watches = line:find("--watch", 1, true) -- until it is stopped
          local result = sys.run({ "bash", "-o", "pipefail", "-c", watches and INTERRUPTED .. line or line },
            { cwd = path, env = { PATH = search, LIGASE_WORKSPACE = path }, timeout_s = 120 })
          assert.equal(watches and 124 or 0, result.code, line .. "\n" .. result.stderr)
          if not watches and not line:find("> ", 1, true) then -- what goes into a file is summed up on stderr
            assert.equal("", result.stderr, line)
          end
        end
      end
    end
  end)
end)

describe("a workspace's own files", function()
  local workspace, conn, url

  setup(function()
    workspace = support.workspace()
    conn, url = support.migrated()
    sys.mkdir(workspace .. "/recipes")
    sys.mkdir(workspace .. "/lua/ligase/omics/names", { parents = true })
    sys.write_file(workspace .. "/lua/panel.lua", [[
return { read = function(raw) return { name = raw:upper(), rule = "panel" } end }]])
    sys.write_file(workspace .. "/recipes/panel.lua", [[
local pipeline = require "ligase.omics.pipeline"
return pipeline.recipe {
  omics = "panel", feature_type = "marker", name_columns = { "marker" }, read_name = require("panel").read,
  stages = { pipeline.recognise, pipeline.link, pipeline.store },
}]])
  end)

  it("are recipes and modules like those that came along", function()
    local file = support.tmpfile("marker,a\nabc,1\n", "markers.csv")
    local result = support.ligase { "run", "panel", file, workspace = workspace, database = url }
    assert.equal(0, result.code, result.stderr)
    assert.equal("ABC", conn:query("SELECT name FROM features WHERE feature_type = 'marker'")[1].name)
    local by_omics = support.ligase { "ingest", "--omics", "panel", file, workspace = workspace, database = url }
    assert.matches("markers: unchanged", by_omics.stdout, 1, true)
    local unclear = support.ligase { "ingest", file, workspace = workspace, database = url }
    assert.equal(1, unclear.code)
    assert.matches("--omics with one of: lipidomics, metabolomics, panel, proteomics, transcriptomics", unclear.stderr,
      1, true)
  end)

  it("win over those that came along", function()
    local own = sys.read_file(host.home .. "/recipes/lipidomics.lua"):gsub('"lipid", "lipids"', '"my lipids"')
    sys.write_file(workspace .. "/recipes/lipidomics.lua", own)
    sys.write_file(workspace .. "/lua/ligase/omics/names/lipid.lua",
      [[return { read = function(raw) return { name = "own " .. raw, rule = "own" } end }]])
    local file = support.tmpfile("x,my lipids,a\ny,PC 34:1,1\n", "mine.csv")
    local result = support.ligase { "ingest", "--omics", "lipidomics", file, workspace = workspace, database = url }
    assert.equal(0, result.code, result.stderr)
    assert.matches('names in "my lipids"', result.stdout, 1, true)
    assert.equal(1, conn:query("SELECT count(*) AS n FROM features WHERE name = 'own PC 34:1'")[1].n)
  end)
end)

describe("the installed tree", function()
  it("works from elsewhere", function()
    local destination = support.workspace()
    local made = sys.run({ "make", "install", "DESTDIR=" .. destination, "PREFIX=/opt/lig ase" }, { cwd = host.home })
    assert.equal(0, made.code, made.stderr)
    local root = destination .. "/opt/lig ase"
    local executable = root .. "/bin/ligase"
    local function run(...)
      local result = sys.run({ executable, ... }, { cwd = "/", env = { LIGASE_HOME = false,
        POSTGRES_URL = support.migrated_database() } })
      assert.equal(0, result.code, result.stderr)
      return result.stdout
    end
    assert.equal(root .. "/share/ligase\n", run("-e", "print(host.home)"))
    assert.matches("installed (lipidomics): new dataset",
      run("ingest", "--name", "installed", support.tmpfile(LIPIDS)), 1, true)
    assert.matches("nothing to do", run("migrate", "up"), 1, true)
    -- Through a link, as packages put it on the PATH.
    assert.equal(0, sys.run({ "ln", "-s", executable, destination .. "/ligase" }).code)
    executable = destination .. "/ligase"
    assert.matches("ligase %d", run("--version"))
    -- Without its library it says what is missing.
    sys.rename(root .. "/share/ligase", root .. "/share/elsewhere")
    local lost = sys.run({ executable, "--version" }, { env = { LIGASE_HOME = false } })
    assert.equal(1, lost.code)
    assert.matches("cannot find the Lua library", lost.stderr, 1, true)
  end)
end)
