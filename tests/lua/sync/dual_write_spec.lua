local labs = require "tests.lua.sync.lab"
local support = require "tests.support"

describe("ligase.dual_write", function()
  local lab, conn, url

  setup(function()
    lab = labs.start()
    conn, url = support.migrated()
  end)

  teardown(function()
    lab:close()
  end)

  local function script(code, env, database)
    return lab:ligase { "-e", "local ligase = require 'ligase'\n" .. code, database = database or url, env = env }
  end

  it("writes Postgres with what Notion has to learn, for every kind", function()
    local result = script [[
local both = ligase.dual_write { notion = true, postgres = true, create = true }
local program, warning = both:create_program { name = "ALS", disease = { "ALS" } }
print(program.name, warning)
both:create_experiment { name = "E", programs = { "ALS" } }
both:create_dataset { name = "d", omics_type = "lipidomics", programs = { "ALS" } }
both:create_signature { name = "s", version = "1" }
both:create_compound { code = "C-1", name = "c" }
both:create_campaign { name = "k" }
print(select(3, both:update_program("ALS", { description = "x" })), select(3, both:update_program("ALS", {})))]]
    assert.same({ 0, "" }, { result.code, result.stderr })
    assert.equal("ALS\tnil\nupdated\tunchanged\n", result.stdout)
    assert.equal(7, conn:query("SELECT count(*) AS n FROM outbox WHERE state = 'pending'")[1].n)
    local counts = lab:deliver(conn)
    assert.same({ 6, 0 }, { counts.created, counts.dead })
  end)

  it("tells Notion at once when asked to, and warns when that fails", function()
    local result = script [[
local both = ligase.dual_write { notion = true, deliver = true }
both:create_program { name = "Now" }
print(#ligase.programs:find("Now").notion_page_id)]]
    assert.same({ 0, "", "36\n" }, { result.code, result.stderr, result.stdout })
    result = script([[
local program, warning = ligase.dual_write { deliver = true }:create_program { name = "Later" }
print(program.name, warning)]], { NOTION_API_URL = "http://127.0.0.1:1" })
    assert.matches("^Later\tNotion sync skipped %(error%): ", result.stdout)
    assert.matches("^ligase: Notion sync skipped %(error%): [^\n]*\n$", result.stderr)
    assert.equal("pending", conn:query("SELECT state FROM outbox ORDER BY id DESC LIMIT 1")[1].state)
  end)

  it("warns of what is not configured, and tells a type that is not mirrored when it is asked to", function()
    local result = script([[
print((select(2, ligase.dual_write {}:create_compound { name = "x" })))]], { NOTION_COMPOUNDS_DB_ID = "" })
    assert.equal("Notion sync skipped (error): NOTION_COMPOUNDS_DB_ID is not set; the change waits in the outbox\n",
      result.stdout)
    local off = { ENABLE_DUAL_WRITE = "false" }
    script("ligase.dual_write {}:create_program { name = 'untold' }", off)
    script("ligase.dual_write { notion = true }:create_program { name = 'told' }", off)
    assert.same({ "told" }, { conn:query("SELECT payload ->> 'name' AS name FROM outbox WHERE payload @> "
      .. "'{\"asked\": true}'")[1].name })
    assert.equal(0, conn:query("SELECT count(*) AS n FROM outbox WHERE payload ->> 'name' = 'untold'")[1].n)
  end)

  it("raises when Postgres fails", function()
    local result = script("ligase.dual_write {}:create_program { name = 'A' }", nil, "postgresql:///none?host=/nowhere")
    assert.equal(1, result.code)
    assert.matches("Postgres creation failed (required): ", result.stderr, 1, true)
    result = script "ligase.dual_write {}:create_experiment { name = 'E', programs = { 'AL' } }"
    assert.matches("there is no program 'AL'", result.stderr, 1, true)
    assert.matches("To make it: create = true", result.stderr, 1, true)
    result = script "ligase.dual_write { notoin = true }"
    assert.matches("Did you mean 'notion'?", result.stderr, 1, true)
  end)

  it("writes Notion first while Notion is the source of truth, and finds pages again", function()
    local first = { USE_POSTGRES_AS_SOT = "false", ENABLE_DUAL_WRITE = "false" }
    lab:faults "lost_reply@page_create*1"
    local result = script([[
local both = ligase.dual_write {}
local program = both:create_program { name = "Ageing", disease = "old age" }
local experiment = both:create_experiment { name = "E 9", programs = { "Ageing" } }
local again = both:update_program("Ageing", { description = "later" })
print(program.id == again.id, program.notion_page_id == again.notion_page_id)
print(pcall(both.create_program, both, { name = "Ageing" }))
print(pcall(both.create_experiment, both, { name = "E 10", programs = { "Agein" } }))
print(program.notion_page_id)]], first, "postgresql:///none?host=/nowhere")
    lab:faults()
    assert.equal(0, result.code, result.stderr)
    assert.matches("^true\ttrue\nfalse\t.-there is a program 'Ageing' in Notion already.-\n"
      .. "false\t.-there is no program 'Agein' in Notion", result.stdout)
    local said = lab:said(result.stdout:match("(%S+)\n$"))
    assert.same({ "old age", "later" }, { said.Disease[1], said.Description })
    local count = 0
    for _, page in ipairs(lab:pages "programs") do
      count = count + (page.title == "Ageing" and 1 or 0)
    end
    assert.equal(1, count)
  end)
end)
