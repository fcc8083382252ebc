local entities = require "ligase.store.entities"
local host = require "host"
local labs = require "tests.lua.sync.lab"
local support = require "tests.support"
local sys = require "sys"

local TABLE = "lipid,a,b\nPC 34:1,1.5,2\nPC 36:2,,4\n"
local OFF = { ENABLE_DUAL_WRITE = "false" }

local function one(conn, sql, ...)
  return conn:query(sql, ...)[1]
end

local function has(text, part)
  assert.is_truthy(text:find(part, 1, true), text)
end

describe("the dual write on the command line", function()
  local lab, conn, url

  setup(function()
    lab = labs.start()
  end)

  teardown(function()
    lab:close()
  end)

  before_each(function()
    conn, url = support.migrated()
    lab:faults()
  end)

  local function run(words)
    words.database = url
    return lab:ligase(words)
  end

  local function done(words)
    local result = run(words)
    assert.equal(0, result.code, result.stderr .. result.stdout)
    return result
  end

  it("stores first, and tells Notion by the relay", function()
    local file = support.tmpfile(TABLE, "plasma.csv")
    done { "ingest", "--omics", "lipidomics", "--program", "ALS", "--create", "--organism", "human", file }
    assert.equal(2, one(conn, "SELECT count(*) AS n FROM outbox WHERE state = 'pending'").n)
    has(done({ "outbox" }).stdout, "2 pending (0 for another page), 0 with a relay, 0 dead; 0 delivered")
    local result = done { "sync" }
    assert.same({ "2 changes delivered\n", "" }, { result.stdout, result.stderr })
    local said = lab:said(one(conn, "SELECT notion_page_id AS id FROM datasets").id)
    assert.same({ "plasma", "lipidomics", "human", 1, 2, 2 }, { said.Name, said["Omics Type"], said.Organism[1],
      said.Revision, said.Rows, said.Features })
    assert.equal(1, #said.Programs)
    assert.equal("0 changes delivered\n", done({ "sync", "--once" }).stdout)
  end)

  it("delivers by several relays", function()
    for i = 1, 3 do
      done { "-e", ([[local ligase = require "ligase"
        ligase.change(function(c) for i = 1, 8 do c:create("program", { name = "%d-" .. i }) end end)]]):format(i) }
    end
    has(done({ "sync", "--jobs", "2" }).stdout, "24 changes delivered")
    assert.equal(24, one(conn, "SELECT count(notion_page_id) AS n FROM programs").n)
  end)

  --- `ligase sync` as a process of its own.
  local function relay(...)
    local env, said = { POSTGRES_URL = url }, support.tmpfile("", "said")
    for name, value in pairs(lab.env) do
      env[name] = value
    end
    return sys.spawn({ host.executable, "sync", ... }, { env = env, stdout = said .. ".out", stderr = said }), said
  end

  local function make(first, last)
    entities.change(conn, { command = "spec", outbox = true }, function(changes)
      for i = first, last do
        changes:create("program", { name = "P" .. i })
      end
    end)
  end

  local function wait_for_pages(count)
    support.wait_until(count .. " pages", function()
      return one(conn, "SELECT count(notion_page_id) AS n FROM programs").n == count
        and one(conn, "SELECT count(*) AS n FROM outbox WHERE state <> 'done'").n == 0
    end)
  end

  for _, jobs in ipairs { "1", "2" } do
    it("watches on when its connections are lost, with --jobs " .. jobs, function()
      local process <close>, said = relay("--watch", "--jobs", jobs)
      make(1, 3)
      wait_for_pages(3)
      lab:faults("slow@page_create", { slow_s = 0.5 })
      make(4, 8)
      support.wait_until("a claim", function()
        return one(conn, "SELECT count(*) AS n FROM outbox WHERE state = 'running'").n > 0
      end)
      conn:query [[SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()]]
      lab:faults()
      wait_for_pages(8) -- long before the lease of what was in hand is over
      assert.is_nil(process:wait(0))
      has(sys.read_file(said), "ligase: Postgres is gone (")
      has(sys.read_file(said), "ligase: Postgres is back; the relay goes on")
      local pages = {}
      for _, page in ipairs(lab:pages "programs") do
        pages[page.key] = (pages[page.key] or 0) + 1
      end
      for _, program in ipairs(conn:query "SELECT id, name FROM programs") do
        assert.equal(1, pages[program.id], program.name)
      end
      process:kill "TERM"
      assert.same({ code = 130 }, process:wait(10))
      has(sys.read_file(said .. ".out"), "8 changes delivered\n")
    end)
  end

  it("reports of two at once what each of them delivered", function()
    make(1, 30)
    lab:faults("slow", { slow_s = 0.02 })
    local first <close>, first_said = relay()
    local second <close>, second_said = relay("--jobs", "2")
    assert.same({ { code = 0 }, { code = 0 } }, { first:wait(30), second:wait(30) })
    local function delivered(said)
      return tonumber(sys.read_file(said .. ".out"):match "^(%d+) changes? delivered\n$")
    end
    assert.equal(30, delivered(first_said) + delivered(second_said))
    assert.is_true(delivered(first_said) > 0 and delivered(second_said) > 0)
  end)

  it("asks for the key before it makes a workspace", function()
    for _, words in ipairs { { "sync" }, { "reconcile" }, { "import", "notion" } } do
      words.workspace, words.database = support.workspace(), false
      words.env = { NOTION_API_KEY = "", ENABLE_DUAL_WRITE = "false" }
      local result = lab:ligase(words)
      assert.equal(2, result.code)
      has(result.stderr, "NOTION_API_KEY is not set")
      assert.is_nil(sys.stat(words.workspace .. "/.ligase"), words[1])
    end
  end)

  it("ends the reason that a page waits for with a full stop", function()
    local result = done { "ingest", "--omics", "lipidomics", "--create-page", support.tmpfile(TABLE, "plasma.csv"),
      env = { NOTION_API_KEY = "wrong" } }
    assert.matches("[^.]%. The page waits in the outbox\n$", result.stderr)
  end)

  it("makes the page of one dataset while the sync is off", function()
    local file = support.tmpfile(TABLE, "plasma.csv")
    done { "ingest", "--omics", "lipidomics", file, env = OFF }
    assert.equal(0, one(conn, "SELECT count(*) AS n FROM outbox").n)
    local result = done { "ingest", "--omics", "lipidomics", "--create-page", file, env = OFF }
    assert.equal("", result.stderr)
    local row = one(conn, "SELECT id, notion_page_id FROM datasets")
    assert.equal(row.id, lab:said(row.notion_page_id)["Ligase ID"])
    local other = support.tmpfile(TABLE, "liver.csv")
    result = done { "ingest", "--omics", "lipidomics", "--create-page", other,
      env = { ENABLE_DUAL_WRITE = "false", NOTION_EXP_DATA_DB_ID = "" } }
    has(result.stderr, "Notion sync skipped (error): NOTION_EXP_DATA_DB_ID is not set; the page waits in the outbox")
    assert.equal("0 changes delivered, 1 left\n", run({ "sync", env = { NOTION_EXP_DATA_DB_ID = "" } }).stdout)
    assert.equal("1 change delivered\n", done({ "sync", env = OFF }).stdout)
  end)

  it("links a page that is there, by its id or link", function()
    local page = lab:ask("POST", "/v1/pages", { parent = { type = "data_source_id",
      data_source_id = lab.sources.datasets }, properties = { Name = { title = { { text = { content = "plasma" } } } },
        Description = { rich_text = { { text = { content = "written by hand" } } } } } })
    local file = support.tmpfile(TABLE, "plasma.csv")
    done { "ingest", "--omics", "lipidomics", "--notion-page-id",
      "https://www.notion.so/lab/plasma-" .. page.id:gsub("-", "") .. "?pvs=4", file }
    done { "sync" }
    local row = one(conn, "SELECT id, notion_page_id FROM datasets")
    assert.equal(page.id, row.notion_page_id)
    local said = lab:said(page.id)
    assert.same({ row.id, 2, "written by hand" }, { said["Ligase ID"], said.Rows, said.Description })
    assert.same(2, run({ "ingest", "--notion-page-id", "nonsense", file }).code)
    assert.same(2, run({ "ingest", "--notion-page-id", page.id, file, support.tmpfile(TABLE, "b.csv") }).code)
  end)

  it("never fails for Notion's sake, and warns in one line", function()
    local file = support.tmpfile(TABLE, "plasma.csv")
    local down = { NOTION_API_URL = "http://127.0.0.1:1" }
    assert.equal("", done({ "ingest", "--omics", "lipidomics", file, env = down }).stderr)
    conn:query("UPDATE outbox SET last_error = 'cannot connect', available_at = now() + interval '1 hour'")
    local result = done { "ingest", "--omics", "lipidomics", "--force", file, env = down }
    assert.equal(1, select(2, result.stderr:gsub("\n", "")))
    has(result.stderr, "ligase: Notion sync skipped (error): 2 changes waiting in the outbox; the last reason: "
      .. "cannot connect. See: ligase outbox; deliver with: ligase sync")
    conn:query("UPDATE outbox SET last_error = 'cannot connect. Does it run?' WHERE last_error IS NOT NULL")
    has(run({ "ingest", "--omics", "lipidomics", "--force", file, env = down }).stderr,
      "cannot connect. Does it run? See: ligase outbox")
  end)

  it("says what is wrong with the key, and leaves everything", function()
    done { "program", "create", "ALS" }
    local result = run { "sync", env = { NOTION_API_KEY = "wrong" } }
    assert.equal(1, result.code)
    has(result.stderr, "cannot find the database of programs in Notion")
    has(result.stderr, "NOTION_API_KEY")
    assert.equal("pending", one(conn, "SELECT state FROM outbox").state)
  end)

  it("lists what was set aside, tries it again, gives it up", function()
    done { "program", "create", "bad", "--disease", ("x"):rep(120) }
    done { "program", "create", "good" }
    local result = run { "sync" }
    assert.equal(1, result.code)
    has(result.stdout, "1 change delivered, 1 set aside")
    has(result.stderr, "program 'bad': property 'Disease' (multi_select): the name of an option is longer than")
    result = done { "outbox" }
    has(result.stdout, "1 dead; 1 delivered")
    has(result.stdout, "bad")
    local id = tostring(one(conn, "SELECT id FROM outbox WHERE state = 'dead'").id)
    has(done({ "outbox", "--retry", id }).stdout, "1 change will be tried again")
    has(run({ "outbox", "--retry", "bad" }).stderr, "--retry cannot be 'bad'. It is the number of a change, or all")
    run { "sync" }
    has(done({ "outbox", "--discard", id }).stdout, "was discarded")
    assert.equal(2, run({ "outbox", "--discard", id }).code)
    assert.equal(0, done({ "sync" }).code)
  end)

  it("shows what people changed, by the entity's kind and name", function()
    done { "program", "create", "ALS", "--description", "ours" }
    done { "sync" }
    lab:edit(one(conn, "SELECT notion_page_id AS id FROM programs").id,
      { Description = { rich_text = { { text = { content = "theirs" } } } } })
    done { "program", "update", "ALS", "--description", "newer" }
    has(run({ "sync" }).stderr, "program 'ALS': 'Description' was changed in Notion to 'theirs'")
    has(done({ "outbox" }).stdout, "conflict  program 'ALS': Description is 'theirs', should be 'newer'\n")
  end)

  it("says once what is left to do about a page that was made in Notion", function()
    local page = lab:ask("POST", "/v1/pages", { parent = { type = "data_source_id",
      data_source_id = lab.sources.signatures }, properties = { Name = { title = { { text = { content = "S" } } } } } })
    local said = run({ "reconcile", "--entity", "signatures", "--fix", "notion" }).stdout
    has(said, ("extra      signature 'S': page %s: it was made in Notion; take it over with --fix postgres, or: ligase "
      .. "import notion\n"):format(page.id))
  end)

  it("writes to Notion alone while Notion is the source of truth", function()
    local file = support.tmpfile(TABLE, "notion_first.csv")
    local env = { USE_POSTGRES_AS_SOT = "false", ENABLE_DUAL_WRITE = "false" }
    local result = lab:ligase { "ingest", "--omics", "lipidomics", "--organism", "human", file, env = env }
    assert.equal(0, result.code, result.stderr)
    has(result.stdout, "page made in Notion; Postgres is off and untouched")
    local page
    for _, found in ipairs(lab:pages "datasets") do
      page = found.title == "notion_first" and found or page
    end
    local said = lab:said(page.id)
    assert.same({ "lipidomics", "human", 2 }, { said["Omics Type"], said.Organism[1], said.Rows })
    assert.matches("^%x+%-%x+%-7", page.key)
    result = lab:ligase { "ingest", "--omics", "lipidomics", file, env = env }
    has(result.stdout, "page changed in Notion")
    assert.equal(page.key, lab:said(page.id)["Ligase ID"])
    result = lab:ligase { "ingest", "--omics", "lipidomics", "--program", "nobody", file, env = env }
    assert.equal(2, result.code)
    has(result.stderr, "there is no program 'nobody' in Notion")
  end)
end)

describe("ligase policy check", function()
  local function check(env, policy)
    local workspace = support.workspace()
    if policy then
      sys.mkdir(workspace .. "/recipes")
      sys.write_file(workspace .. "/recipes/policy.lua", policy)
    end
    return support.ligase { "policy", "check", env = env, workspace = workspace }
  end

  it("says what happens to each type, and what is missing", function()
    local result = check { ENABLE_DUAL_WRITE = "true", NOTION_API_KEY = "k", NOTION_PROGRAMS_DB_ID = "abc" }
    assert.equal(1, result.code, result.stderr)
    has(result.stdout, "phase   dual_write: ")
    has(result.stdout, "written to Postgres, which must succeed; then to Notion by the relay")
    has(result.stdout, "NOTION_PROGRAMS_DB_ID = abc")
    has(result.stdout, "NOTION_COMPOUNDS_DB_ID is not set: changes wait in the outbox")
    result = check {}
    assert.equal(0, result.code, result.stderr)
    has(result.stdout, "phase   postgres_only")
    has(result.stdout, "Notion is not told")
  end)

  it("uses the workspace's policy, and says where it is wrong", function()
    local source = sys.read_file(host.home .. "/recipes/policy.lua")
    local result = check({}, source:gsub("properties = {", 'properties = { ["Area"] = { type = "select", column = '
      .. '"disease", write = function(terms) return terms and terms[1] end },', 1))
    has(result.stdout, "Area (select) from disease, by a function")
    for wrong, said in pairs {
      ['["Disease"] = { type = "multi_select", colum = "disease" }'] = "unknown option 'colum'",
      ['["Disease"] = { type = "multi_select", column = "diseas" }'] = "Did you mean 'disease'?",
      ['["Disease"] = { type = "multi_selct", column = "disease" }'] = "not 'multi_selct'",
    } do
      result = check({}, (source:gsub('%["Disease"%] = { type = "multi_select", column = "disease" }', function()
        return wrong
      end, 1)))
      assert.equal(2, result.code, result.stdout)
      has(result.stderr, "/recipes/policy.lua:47: ")
      has(result.stderr, said)
    end
  end)
end)
