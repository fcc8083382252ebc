local blocks = require "ligase.io.notion.blocks"
local errors = require "ligase.base.errors"
local json = require "ligase.base.json"
local markdown = require "ligase.io.notion.markdown"
local notion = require "ligase.io.notion"
local properties = require "ligase.io.notion.properties"
local schema = require "ligase.io.notion.schema"
local standins = require "tests.lua.io.notion_standin"

local SCHEMA = { Name = { title = {} }, Summary = { rich_text = {} }, Rows = { number = { format = "number" } },
  Kind = { select = { options = json.array() } }, Disease = { multi_select = { options = json.array() } },
  Done = { checkbox = {} }, When = { date = {} }, Link = { url = {} } }

describe("the Notion client", function()
  local standin, client, database, source

  setup(function()
    standin = standins.start { "--token", "secret", "--token", "spec" }
    client = notion.new { token = "secret", base_url = standin.url, retries = 0, timeout_s = 5 }
    database, source = standin:database("Datasets", SCHEMA)
    standin:ask("PATCH", "/v1/data_sources/" .. source, { properties = { Parents = { relation = {
      data_source_id = source, type = "single_property", single_property = {} } } } })
  end)

  teardown(function()
    standin:close()
  end)

  after_each(function()
    standin:faults()
  end)

  local function written(values)
    local made = {}
    for name, value in pairs(values) do
      made[name] = properties.write(value[1], value[2], name)
    end
    return made
  end

  local function named(name, values)
    values = values or {}
    values.Name = { "title", name }
    return client:create_page { data_source = source, properties = written(values), about = "dataset " .. name }
  end

  local function refused(code, fn, ...)
    local done, failure = pcall(fn, ...)
    assert.is_false(done, "it was taken")
    assert.is_true(errors.is(failure, "notion"), tostring(failure))
    assert.equal(code, failure.code, tostring(failure))
    return failure
  end

  local function live(name)
    local count = 0
    for _, page in ipairs(standin:pages(source)) do
      count = count + (page.title == name and 1 or 0)
    end
    return count
  end

  -- ---- pages ---------------------------------------------------------------

  it("makes 500 pages of 500 creates where connections that are used again die", function()
    local first = named "reused 1"
    standin:ask("POST", "/_standin/counters/reset")
    standin:faults("", { rules = { { fault = "closed", on = "page_create", reused = true },
      { fault = "lost_reply", on = "page_create", reused = true } } })
    for i = 2, 500 do
      client:page(first.id) -- leaves a connection that could be used again
      named("reused " .. i)
    end
    local titles, count = {}, 0
    for _, page in ipairs(standin:pages(source)) do
      if page.title:find "^reused %d+$" then
        titles[page.title], count = true, count + 1
      end
    end
    assert.equal(500, count)
    for i = 1, 500 do
      assert.is_true(titles["reused " .. i])
    end
    assert.equal(499, standin:ask("GET", "/_standin/counters").by_kind.page_create)
  end)

  it("makes, reads, changes, trashes and restores pages", function()
    local long = ("long é💡 "):rep(2000)
    local page = named("plasma", { Summary = { "rich_text", long }, Rows = { "number", 42 },
      Kind = { "select", "lipidomics" }, Disease = { "multi_select", { "ALS", "MS" } }, Done = { "checkbox", true },
      When = { "date", "2026-01-31" }, Link = { "url", "https://example.org/" } })
    local values = properties.read_all(client:page(page.id))
    assert.equal("plasma", values.Name)
    assert.is_true(long == values.Summary)
    assert.same({ 42, "lipidomics", { "ALS", "MS" }, true, "2026-01-31", "https://example.org/" }, { values.Rows,
      values.Kind, values.Disease, values.Done, values.When, values.Link })
    client:update_page(page.id, { properties = written { Rows = { "number", nil }, Kind = { "select", nil },
      Disease = { "multi_select", {} }, Done = { "checkbox", false } } })
    values = properties.read_all(client:page(page.id))
    assert.same({ nil, nil, {}, false, "plasma" }, { values.Rows, values.Kind, values.Disease, values.Done,
      values.Name })
    assert.is_true(client:trash_page(page.id).in_trash)
    assert.equal(0, live "plasma")
    assert.is_false(client:restore_page(page.id).in_trash)
    assert.equal(1, live "plasma")
  end)

  it("reads all of a relation, which a page shows the first 25 of", function()
    local filled = standin:ask("POST", "/_standin/fill", { data_source_id = source, count = 60,
      properties = { Name = "parent %d" } })
    local page = named("child", { Parents = { "relation", filled.pages } })
    assert.equal(25, #client.api:call { method = "GET", path = "/v1/pages/" .. page.id, what = "look" }
      .properties.Parents.relation)
    assert.same(filled.pages, properties.read(client:page(page.id).properties.Parents))
  end)

  -- ---- queries -------------------------------------------------------------

  local function count(iterator)
    local seen, n = {}, 0
    for page in iterator do
      assert.is_nil(seen[page.id])
      seen[page.id], n = true, n + 1
    end
    return n
  end

  it("queries with filters and sorts, past a hundred", function()
    local _, own = standin:database("Many", { Name = { title = {} }, N = { number = {} } })
    standin:ask("POST", "/_standin/fill", { data_source_id = own, count = 250,
      properties = { Name = "p %d", N = "%d" } })
    assert.equal(250, count(client:query(own)))
    assert.equal(250, count(client:query(own, { page_size = 7 })))
    assert.equal(1, count(client:query(own, { filter = { property = "Name", title = { equals = "p 17" } } })))
    local sorted = client:query(own, { sorts = { { property = "N", direction = "descending" } },
      filter = { property = "N", number = { less_than_or_equal_to = 120 } } })
    assert.equal(120, properties.read(sorted().properties.N))
    assert.equal(119, count(sorted))
    assert.equal(0, count(client:query(own, { filter = { property = "Name", title = { equals = "none" } } })))
  end)

  -- ---- data sources --------------------------------------------------------

  it("finds the data source of a database by its id, its link, or its own id", function()
    for _, given in ipairs { database, database:gsub("-", ""), ("https://www.notion.so/lab/Data-%s?v=1"):format(
      database:gsub("-", "")), source } do
      assert.equal(source, client:resolve_database(given).id)
    end
    local failure = refused("object_not_found", client.resolve_database, client, standin.root, { about = "datasets" })
    assert.matches("of datasets", failure.message)
    assert.matches("Share the database", failure.hint)
  end)

  it("says which data sources a database of several has", function()
    local many = standin:database("Several", { Name = { title = {} } })
    standin:ask("POST", "/v1/data_sources", { parent = { type = "database_id", database_id = many },
      title = { { text = { content = "Second" } } }, properties = { Name = { title = {} } } })
    local failure = refused("multiple_data_sources", client.resolve_database, client, many, { about = "datasets" })
    assert.equal(2, #failure.data_sources)
    assert.matches("Second", failure.hint)
    assert.matches("(GET /v1/databases/" .. many, failure.message, 1, true)
    -- what Notion itself says to a client that names the database all the same
    failure = refused("validation_error", client.api.call, client.api, { method = "POST", path = "/v1/pages",
      what = "create the page", once = true, body = { parent = { type = "database_id", database_id = many },
        properties = written { Name = { "title", "x" } } } })
    assert.equal(2, #failure.data_sources)
    assert.matches("several data sources", failure.hint)
  end)

  it("compares a schema with what is needed, and makes what is missing", function()
    local _, own = standin:database("Checked", { Title = { title = {} }, Disease = { rich_text = {} },
      Organisms = { multi_select = { options = json.array() } } })
    local needs = { { name = "Name", type = "title" }, { name = "Disease", type = "multi_select" },
      { name = "Organism", type = "multi_select" }, { name = "Rows", type = "number" },
      { name = "Kind", type = "select" }, { name = "Up", type = "relation", relation = source },
      { name = "Out", type = "relation" }, { name = "Ligase ID", type = "rich_text" } }
    local data_source = client:data_source(own)
    local problems = {}
    for i, found in ipairs(schema.compare(data_source.properties, needs)) do
      problems[i] = ("%s %s %s"):format(found.problem, found.name, found.near or found.found or "")
    end
    assert.same({ "title Name Title", "type Disease rich_text", "missing Organism Organisms", "missing Rows ",
      "missing Kind ", "missing Up ", "missing Out ", "missing Ligase ID " }, problems)
    local made, now = schema.create(client, data_source, needs)
    assert.same({ "Organism", "Rows", "Kind", "Up", "Ligase ID" }, made)
    assert.equal(3, #schema.compare(now.properties, needs))
    assert.equal(source, now.properties.Up.relation.data_source_id)
    assert.same({}, (schema.create(client, now, needs)))
    assert.equal("relation", schema.compare(now.properties, { { name = "Up", type = "relation", relation = own } })[1]
      .problem)
  end)

  -- ---- blocks --------------------------------------------------------------

  it("appends blocks of any number and depth, and reads them all", function()
    local page = named "with blocks"
    local lines = {}
    for i = 1, 130 do
      lines[#lines + 1] = ("- item %d with **bold** and `code`"):format(i)
    end
    lines[#lines + 1] = "  - a\n    - b\n      - c\n        - d\n          - e"
    lines[#lines + 1] = "\n| h | i |\n| --- | --- |" .. ("\n| 1 | 2 |"):rep(150)
    lines[#lines + 1] = "\n```lua\n" .. ("x = 1 -- é\n"):rep(3000) .. "```\n\n> said\n>\n> - inside\n"
    local text = table.concat(lines, "\n")
    local list = markdown.read(text)
    local ids = client:append_blocks(page.id, list)
    assert.equal(#list, #ids)
    local found = client:blocks(page.id)
    assert.equal(blocks.count(list), blocks.count(found))
    assert.is_true(markdown.write(list) == markdown.write(found))
  end)

  it("makes a page with blocks by one request", function()
    local page = client:create_page { data_source = source, properties = written { Name = { "title", "body" } },
      children = markdown.read "# One\n\ntwo\n" }
    assert.equal("# One\n\ntwo\n", markdown.write(client:blocks(page.id)))
  end)

  it("says how much was appended when it ends early", function()
    local page = named "half"
    standin:faults(nil)
    standin:ask("POST", "/_standin/faults", { rules = { { fault = "internal_error", on = "blocks_append",
      skip = 1 } } })
    local failure = refused("internal_server_error", client.append_blocks, client, page.id,
      markdown.read(("x\n\n"):rep(150)))
    assert.equal(100, failure.appended)
    assert.equal("unknown", failure.outcome)
    standin:faults()
    assert.equal(100, #client:blocks(page.id))
  end)

  -- ---- what goes wrong -----------------------------------------------------

  it("says what Notion refuses, for whom, and what to do", function()
    local stranger = notion.new { token = "wrong", base_url = standin.url, retries = 0 }
    local failure = refused("unauthorized", stranger.data_source, stranger, source, { about = "datasets" })
    assert.matches("^cannot read the data source of datasets in Notion: API token is invalid %(GET /v1/data_sources/",
      tostring(failure))
    assert.matches("NOTION_API_KEY", failure.hint)
    assert.equal("refused", failure.outcome)
    assert.equal(401, failure.status)

    failure = refused("object_not_found", client.page, client, "01234567-89ab-cdef-0123-456789abcdef")
    assert.matches("Share", failure.hint)
    failure = refused("validation_error", named, "x", { Missing = { "number", 1 } })
    assert.matches("of dataset x in Notion: .*Missing is not a property that exists", failure.message)
    assert.matches("ligase notion check", failure.hint)
    assert.is_string(failure.request_id)
    failure = refused("validation_error", named, "x", { Rows = { "rich_text", "1" } })
    assert.matches("wrong type", failure.hint)
    local page = named "archived"
    client:trash_page(page.id)
    failure = refused("validation_error", client.update_page, client, page.id, { properties = written {
      Rows = { "number", 1 } } })
    assert.matches("trash", failure.hint)
  end)

  it("tells a page of HTML, broken JSON and half an answer from answers", function()
    for fault, code in pairs { html = "not_json", cut_json = "bad_json", truncated = "truncated" } do
      standin:faults(fault)
      local failure = refused(code, client.data_source, client, source, { about = "datasets" })
      assert.matches("of datasets in Notion", failure.message)
      assert.equal("unknown", failure.outcome)
    end
    standin:faults "closed"
    assert.equal("reset", refused("reset", client.data_source, client, source).code)
    local nobody = notion.new { token = "x", base_url = "http://127.0.0.1:1", retries = 0 }
    assert.equal("not_sent", refused("connect", nobody.data_source, nobody, source).outcome)
    local impatient = notion.new { token = "secret", base_url = standin.url, retries = 0, timeout_s = 0.1 }
    standin:faults("slow", { slow_s = 0.3 })
    assert.equal("unknown", refused("timeout", impatient.data_source, impatient, source).outcome)
  end)

  it("keeps what Notion says of waiting", function()
    standin:faults("rate_limited*1", { retry_after_s = 7 })
    local failure = refused("rate_limited", client.data_source, client, source)
    assert.equal(7, failure.retry_after_s)
    assert.equal("refused", failure.outcome)
    standin:faults "blocked*1"
    failure = refused("rate_limited", client.data_source, client, source)
    assert.is_true(failure.blocked)
  end)

  it("makes a page once, whatever becomes of the answer", function()
    local patient = notion.new { token = "secret", base_url = standin.url, retries = 3, total_s = 10 }
    for fault, case in pairs {
      lost_reply = { 1, "reset" }, unavailable = { 0, "service_unavailable" },
      unavailable_committed = { 1, "service_unavailable" }, unavailable_named = { 1, "service_unavailable" },
      cut_json = { 1, "bad_json" }, rate_limited = { 0, "rate_limited" }, conflict = { 0, "conflict_error" },
    } do
      standin:faults(fault .. "@page_create*1")
      local failure = refused(case[2], patient.create_page, patient, { data_source = source,
        properties = written { Name = { "title", fault } } })
      assert.equal((fault == "rate_limited" or fault == "conflict") and "refused" or "unknown", failure.outcome, fault)
      local pages = {}
      for _, page in ipairs(standin:pages(source)) do
        pages[#pages + 1] = page.title == fault and page.id or nil
      end
      assert.equal(case[1], #pages, fault)
      assert.equal(fault == "unavailable_named" and pages[1] or nil, failure.committed_resource_id)
    end
  end)

  it("asks again where that does no harm", function()
    local patient = notion.new { token = "secret", base_url = standin.url, retries = 3, total_s = 10 }
    local page = named "again"
    for _, faults in ipairs { "unavailable*2", "lost_reply*1", "html*1", "cut_json*1", "conflict*1",
      "rate_limited*1" } do
      standin:faults(faults, { retry_after_s = 0 })
      patient:update_page(page.id, { properties = written { Rows = { "number", 5 } } })
      standin:faults(faults, { retry_after_s = 0 })
      assert.equal(5, properties.read(patient:page(page.id).properties.Rows))
    end
    standin:faults("blocked*1")
    refused("rate_limited", patient.page, patient, page.id)
    standin:faults("rate_limited*1", { retry_after_s = 100 })
    assert.equal(100, refused("rate_limited", patient.page, patient, page.id).retry_after_s)
  end)

  it("appends once, whatever becomes of the answer", function()
    local patient = notion.new { token = "secret", base_url = standin.url, retries = 3, total_s = 10 }
    for fault, case in pairs { lost_reply = { 1, "reset" }, unavailable = { 0, "service_unavailable" },
      rate_limited = { 1 }, overloaded = { 1 }, conflict = { 1 } } do
      local page = named("append " .. fault)
      standin:faults(fault .. "@blocks_append*1", { retry_after_s = 0 })
      if case[2] then
        local failure = refused(case[2], patient.append_blocks, patient, page.id, markdown.read "a")
        assert.equal("unknown", failure.outcome)
        assert.equal(0, failure.appended)
      else
        patient:append_blocks(page.id, markdown.read "a")
      end
      assert.equal(case[1], #patient:blocks(page.id), fault)
    end
  end)

  it("says that the budget left no room", function()
    local limited = notion.new { token = "secret", base_url = standin.url, limiter = {
      acquire = function() return false end, answered = function() end } }
    local failure = refused("limited", limited.data_source, limited, source)
    assert.equal("not_sent", failure.outcome)
    assert.matches("budget", failure.hint)
  end)

  it("asks its limiter before each attempt and tells it of each answer", function()
    local said = {}
    local limited = notion.new { token = "secret", base_url = standin.url, retries = 1, limiter = {
      acquire = function() said[#said + 1] = "acquire" end,
      answered = function(_, answer) said[#said + 1] = ("answered %s"):format(answer.retry_after_s) end,
    } }
    standin:faults("rate_limited*1", { retry_after_s = 0 })
    limited:data_source(source)
    assert.same({ "acquire", "answered 0", "acquire", "answered nil" }, said)
  end)
end)

describe("a query of many pages", function()
  it("goes on past 10,000 against a server that stops there", function()
    local standin = standins.start { "--clock", "2000" }
    local client = notion.new { token = "x", base_url = standin.url }
    local _, source = standin:database("Large", { Name = { title = {} } })
    for _ = 1, 3 do
      standin:ask("POST", "/_standin/fill", { data_source_id = source, count = 3600 })
    end
    local seen, n = {}, 0
    for page in client:query(source, { filter = { property = "Name", title = { is_empty = true } } }) do
      assert.is_nil(seen[page.id])
      seen[page.id], n = true, n + 1
    end
    local asked = standin:ask("GET", "/_standin/counters").by_kind.query
    standin:close()
    assert.equal(10800, n)
    assert.is_true(asked > 108, "the server did not stop at 10,000")
  end)
end)
