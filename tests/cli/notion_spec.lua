local json = require "ligase.base.json"
local standins = require "tests.lua.io.notion_standin"
local support = require "tests.support"
local sys = require "sys"

local SETTINGS = { NOTION_API_KEY = "spec", USE_POSTGRES_AS_SOT = "false" }

local standin, databases, sources

local function run(words, env)
  local call = { workspace = words.workspace, env = { NOTION_API_URL = standin.url } }
  for i, word in ipairs(words) do
    call[i] = word
  end
  for name, value in pairs(SETTINGS) do
    call.env[name] = value
  end
  for name, value in pairs(env or {}) do
    call.env[name] = value
  end
  return support.ligase(call)
end

setup(function()
  standin = standins.start()
  databases, sources = {}, {}
  databases.programs, sources.programs = standin:database("Programs", { Name = { title = {} } })
  databases.datasets, sources.datasets = standin:database("Experimental data", { Name = { title = {} },
    Organism = { rich_text = {} } })
end)

teardown(function()
  standin:close()
end)

describe("ligase notion check", function()
  it("says what is missing, makes it, and is content then", function()
    local env = { NOTION_PROGRAMS_DB_ID = databases.programs, NOTION_EXP_DATA_DB_ID = databases.datasets }
    local result = run({ "notion", "check" }, env)
    assert.equal(1, result.code, result.stderr)
    assert.matches("programs %(NOTION_PROGRAMS_DB_ID%): 3 properties not as the policy needs it", result.stdout)
    assert.matches("\n  missing  Disease %(multi_select%)\n", result.stdout)
    assert.matches("\n  missing  Ligase ID %(rich_text%)\n", result.stdout)
    assert.matches("\n  type     Organism is rich_text and should be multi_select\n", result.stdout)
    assert.matches("\n  missing  Experiments %(relation%); what it leads to is not known yet\n", result.stdout)
    assert.matches("\nsignatures: NOTION_SIGNATURE_DB_ID is not set\n", result.stdout)

    result = run({ "notion", "check", "--create" }, env)
    assert.equal(1, result.code, result.stderr)
    assert.matches("programs %(NOTION_PROGRAMS_DB_ID%): made 'Description'\n", result.stdout)
    assert.matches("programs %(NOTION_PROGRAMS_DB_ID%): as it should be\n", result.stdout)
    assert.matches("datasets %(NOTION_EXP_DATA_DB_ID%): made 'Programs'\n", result.stdout)
    assert.matches("Organism is rich_text", result.stdout)
    local schema = standin:ask("GET", "/v1/data_sources/" .. sources.datasets).properties
    assert.equal(sources.programs, schema.Programs.relation.data_source_id)
    assert.equal("rich_text", schema.Organism.type)

    result = run({ "notion", "check" }, { NOTION_PROGRAMS_DB_ID = databases.programs })
    assert.equal(0, result.code, result.stdout)
  end)

  it("says which database cannot be read, and goes on with the others", function()
    local result = run({ "notion", "check" }, { NOTION_PROGRAMS_DB_ID = databases.programs,
      NOTION_EXP_DATA_DB_ID = standin.root, NOTION_OTHER_DB_ID = databases.datasets })
    assert.equal(1, result.code)
    assert.matches("NOTION_EXP_DATA_DB_ID in Notion: .*404.*Share the database", result.stderr)
    assert.matches("datasets %(NOTION_EXP_DATA_DB_ID%): cannot be read\n", result.stdout)
    assert.matches("programs %(NOTION_PROGRAMS_DB_ID%): as it should be\n", result.stdout)
    assert.matches("NOTION_OTHER_DB_ID: the policy shows nothing in it\n", result.stdout)
  end)

  it("makes properties also where Postgres has no schema, or cannot be reached", function()
    for i, database in ipairs { support.database(), "postgres://localhost:1/nowhere" } do
      local made = standin:database("Fresh " .. i, { Name = { title = {} } })
      local result = support.ligase { "notion", "check", "--create", database = database, env = {
        NOTION_API_URL = standin.url, NOTION_API_KEY = "spec", NOTION_PROGRAMS_DB_ID = made } }
      assert.equal(0, result.code, result.stderr)
      assert.matches("made 'Disease'", result.stdout, 1, true)
    end
  end)

  it("keeps the budget that all processes share, where there is a Postgres", function()
    local conn, conninfo = support.migrated()
    local result = support.ligase { "notion", "check", database = conninfo, env = { NOTION_API_URL = standin.url,
      NOTION_API_KEY = "spec", NOTION_PROGRAMS_DB_ID = databases.programs, NOTION_REQUESTS_PER_MINUTE = "6000" } }
    assert.equal(0, result.code, result.stderr)
    local row = conn:query("SELECT holder IS NOT NULL AS is_used FROM rate_limits WHERE name = 'notion'")[1]
    assert.is_true(row.is_used)
  end)

  it("refuses to guess", function()
    local result = run { "notion", "check" }
    assert.equal(2, result.code)
    assert.matches("no setting names a Notion database", result.stderr)
    result = run({ "notion", "check" }, { NOTION_API_KEY = false, USE_POSTGRES_AS_SOT = "true",
      NOTION_PROGRAMS_DB_ID = databases.programs })
    assert.equal(2, result.code)
    assert.matches("NOTION_API_KEY is not set", result.stderr)
    result = run({ "notion", "chek" }, {})
    assert.equal(2, result.code)
    assert.matches("Did you mean 'check'", result.stderr)
  end)
end)

describe("ligase export notion", function()
  local folder, env

  local function files(name)
    local found = {}
    for _, file in ipairs(sys.list(folder .. "/" .. name)) do
      found[#found + 1] = file
    end
    return found
  end

  local function index()
    local rows = {}
    for line in sys.read_file(folder .. "/index.tsv"):gmatch("[^\n]+") do
      local cells = {}
      for value in (line .. "\t"):gmatch("(.-)\t") do
        cells[#cells + 1] = value
      end
      rows[#rows + 1] = cells
    end
    return rows
  end

  local function make(name, text)
    local page = standin:ask("POST", "/v1/pages", { parent = { type = "data_source_id",
      data_source_id = sources.kept }, properties = { Name = { title = { { text = { content = name } } } } },
      children = text and { { type = "paragraph", paragraph = { rich_text = { { text = { content = text } } } } } }
        or nil })
    assert(page.object == "page", page.message)
    return page.id
  end

  --- As if the pages had been fetched long after they were edited.
  local function age_index()
    local path = folder .. "/index.tsv"
    sys.write_file(path, (sys.read_file(path):gsub("(\tlive\t[^\t]+\t)%d%d%d%d", "%12199")))
  end

  before_each(function()
    databases.kept, sources.kept = standin:database("Kept", { Name = { title = {} }, N = { number = {} } })
    folder = support.workspace() .. "/copy"
    env = { NOTION_EXP_DATA_DB_ID = databases.kept }
  end)

  after_each(function()
    standin:faults()
  end)

  it("writes pages as JSON and Markdown, and fetches what changed the next time", function()
    local id = make("Plasma: lipids/2026 | é", "hello *world*")
    make("second")
    local result = run({ "export", "notion", folder }, env)
    assert.equal(0, result.code, result.stderr)
    assert.equal("exp_data: 2 pages fetched, 0 unchanged\n", result.stdout)
    local name = "plasma-lipids-2026-é-" .. id:sub(-8)
    local kept = json.decode(sys.read_file(("%s/exp_data/%s.json"):format(folder, name)))
    assert.equal(id, kept.page.id)
    assert.equal("paragraph", kept.blocks[1].type)
    local text = sys.read_file(("%s/exp_data/%s.md"):format(folder, name))
    assert.matches("^# Plasma: lipids/2026 \\| é\n", text)
    assert.matches("\n| N |  |\n", text)
    assert.matches("\nhello \\%*world\\%*\n$", text)
    assert.equal("Kept", json.decode(sys.read_file(folder .. "/exp_data/database.json")).title[1].plain_text)
    assert.equal(3, #index())
    assert.equal(5, #files "exp_data")

    age_index()
    result = run({ "export", "notion", folder }, env)
    assert.equal("exp_data: 0 pages fetched, 2 unchanged\n", result.stdout)
    for _, word in ipairs { "datasets", "exp_data", "NOTION_EXP_DATA_DB_ID" } do
      result = run({ "export", "notion", folder, "--database", word }, env)
      assert.equal("exp_data: 0 pages fetched, 2 unchanged\n", result.stdout, result.stderr)
    end
    result = run({ "export", "notion", folder, "--database", "compounds" }, env)
    assert.matches("no setting names a Notion database 'compounds'", result.stderr, 1, true)
    sys.remove(("%s/exp_data/%s.json"):format(folder, name))
    standin:ask("PATCH", "/v1/pages/" .. id, { in_trash = true })
    local third = make "third"
    result = run({ "export", "notion", folder }, env)
    assert.equal("exp_data: 1 page fetched, 1 unchanged, 1 gone from Notion and kept here\n", result.stdout)
    assert.is_table(sys.stat(("%s/exp_data/third-%s.md"):format(folder, third:sub(-8))))
    assert.is_table(sys.stat(("%s/exp_data/%s.md"):format(folder, name)))
    local states = {}
    for _, row in ipairs(index()) do
      states[row[2]] = row[4]
    end
    assert.equal("gone", states[id])
  end)

  it("gives a page that is renamed its new name, and one that was edited just now another look", function()
    local id = make "before"
    run({ "export", "notion", folder }, env)
    standin:ask("PATCH", "/v1/pages/" .. id, { properties = {
      Name = { title = { { text = { content = "after" } } } } } })
    local result = run({ "export", "notion", folder }, env)
    assert.equal("exp_data: 1 page fetched, 0 unchanged\n", result.stdout)
    assert.same({ ("after-%s.json"):format(id:sub(-8)), ("after-%s.md"):format(id:sub(-8)), "database.json" },
      files "exp_data")
  end)

  it("takes pages within pages along, and sees what becomes of them", function()
    local outer = make "outer"
    local function inner(title, parent)
      return standin:ask("POST", "/v1/pages", { parent = { type = "page_id", page_id = parent },
        properties = { title = { title = { { text = { content = title } } } } } }).id
    end
    local middle = inner("middle", outer)
    local deepest = inner("deepest", middle)
    local result = run({ "export", "notion", folder }, env)
    assert.equal("exp_data: 3 pages fetched, 0 unchanged\n", result.stdout, result.stderr)
    assert.is_table(sys.stat(("%s/exp_data/deepest-%s.md"):format(folder, deepest:sub(-8))))
    age_index()
    result = run({ "export", "notion", folder }, env)
    assert.equal("exp_data: 0 pages fetched, 3 unchanged\n", result.stdout)
    standin:ask("PATCH", "/v1/pages/" .. deepest, { in_trash = true })
    result = run({ "export", "notion", folder }, env)
    assert.matches("1 gone from Notion and kept here\n", result.stdout)
    local parents = {}
    for _, row in ipairs(index()) do
      parents[row[2]] = row[3]
    end
    assert.same({ "", outer, middle }, { parents[outer], parents[middle], parents[deepest] })
  end)

  it("keeps what it has when it ends early, and goes on there", function()
    for i = 1, 6 do
      make("page " .. i)
    end
    standin:ask("POST", "/_standin/faults", { rules = { { fault = "bad_gateway", on = "blocks_list", skip = 4 } } })
    env.NOTION_TIMEOUT_S = "5"
    local process = sys.spawn({ require("host").executable, "export", "notion", folder }, { stdout = "null",
      stderr = "null", env = { NOTION_API_URL = standin.url, NOTION_API_KEY = "spec", USE_POSTGRES_AS_SOT = "false",
        NOTION_EXP_DATA_DB_ID = databases.kept, LIGASE_WORKSPACE = support.workspace() } })
    for _ = 1, 400 do -- until it tries again and again
      if standin:ask("GET", "/_standin/counters").by_status["502"] then
        break
      end
      sys.sleep(0.02)
    end
    process:kill "INT"
    assert.equal(130, process:wait(20).code)
    assert.equal(5, #index()) -- the header and four pages
    standin:faults()
    age_index()
    local result = run({ "export", "notion", folder }, env)
    assert.equal("exp_data: 2 pages fetched, 4 unchanged\n", result.stdout)
  end)

  it("says which page failed, and keeps the others", function()
    make "good"
    local bad = make "bad"
    local toggle = standin:ask("PATCH", ("/v1/blocks/%s/children"):format(bad), { children = { { type = "toggle",
      toggle = { rich_text = json.array(), children = { { type = "divider", divider = {} } } } } } }).results[1].id
    standin:ask("POST", "/_standin/hide", { id = toggle })
    local result = run({ "export", "notion", folder, "--database", "exp_data" }, env)
    assert.equal(1, result.code)
    assert.equal("exp_data: 1 page fetched, 0 unchanged, 1 failed\n", result.stdout)
    assert.matches("cannot read the blocks of page 'bad' of exp_data in Notion: .*404", result.stderr)
    assert.equal(2, #index())
    standin:ask("POST", "/_standin/hide", { id = toggle, hidden = false })
    result = run({ "export", "notion", folder }, env)
    assert.equal(0, result.code, result.stderr)
    assert.equal(3, #index())
  end)

  it("says which database cannot be read, and keeps the others", function()
    make "good"
    env.NOTION_ALSO_DB_ID = standin.root
    local result = run({ "export", "notion", folder }, env)
    assert.equal(1, result.code)
    assert.equal("also: cannot be read\nexp_data: 1 page fetched, 0 unchanged\n", result.stdout)
    assert.matches("NOTION_ALSO_DB_ID in Notion: .*404", result.stderr)
  end)

  it("refuses what it cannot do", function()
    local result = run({ "export", "notion", folder, "--database", "exp_dta" }, env)
    assert.equal(2, result.code)
    assert.matches("Did you mean 'exp_data'", result.stderr)
    result = run({ "export", "notion" }, env)
    assert.equal(2, result.code)
    assert.matches("needs the folder", result.stderr)
    sys.mkdir(folder)
    sys.write_file(folder .. "/index.tsv", "something else\n")
    result = run({ "export", "notion", folder }, env)
    assert.equal(1, result.code)
    assert.matches("index.tsv:1: the index of the export is not as ligase wrote it", result.stderr)
  end)
end)
