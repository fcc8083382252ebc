--- The stand-in for Notion, asked in its own process: what the official client cannot ask for
--- (budgets, faults by the dice, memory, control) and what it looks like in older and newer
--- versions. notion_client_spec.lua has the rest.
local errors = require "ligase.base.errors"
local json = require "ligase.base.json"
local notion = require "tests.standins.notion"
local state = require "tests.standins.notion.state"
local support = require "tests.support"

local VERSION = "2025-09-03"

--- A stand-in that is asked as over HTTP.
local function new(options)
  options = options or {}
  options.budget = options.budget or 0
  local standin = notion.new(options)
  local function ask(method, path, body, more)
    local target, query = path:match("^([^?]*)%??(.*)$")
    local request = { method = method, path = target, query = {}, query_pairs = {}, turn = more and more.turn or 1,
      body = body and json.encode(body) or "",
      headers = { authorization = "Bearer " .. (more and more.token or "one"),
        ["notion-version"] = more and more.version or VERSION } }
    for name, value in query:gmatch("([^&=]+)=([^&]*)") do
      request.query[name] = value
      table.insert(request.query_pairs, { name, value })
    end
    local answer = standin:handle(request)
    local read = answer.body and pcall(json.decode, answer.body)
    return answer, read and json.decode(answer.body) or nil
  end
  return ask, standin
end

local function text(content)
  return json.array { { text = { content = content } } }
end

--- A database with a title, a key and a number, and its one data source.
local function with_database(options, faults)
  local ask, standin = new(options)
  local _, database = ask("POST", "/v1/databases", { parent = { page_id = standin.world.root.id }, title = text "D",
    initial_data_source = { properties = { Name = { title = {} }, Key = { rich_text = {} }, N = { number = {} } } } })
  local source = database.data_sources[1].id
  standin:set_faults(faults or "")
  local function create(key, more)
    return ask("POST", "/v1/pages", { parent = { data_source_id = source },
      properties = { Name = { title = text(key) }, Key = { rich_text = text(key) } } }, more)
  end
  local function with_key(key)
    local _, answer = ask("POST", ("/v1/data_sources/%s/query"):format(source),
      { filter = { property = "Key", rich_text = { equals = key } } })
    return answer.results
  end
  return { ask = ask, standin = standin, database = database.id, source = source, create = create,
    with_key = with_key }
end

--- Lets the stand-in's clock jump forward.
local function pass(standin, seconds)
  standin.world.epoch = standin.world.epoch + seconds
end

describe("the stand-in for Notion", function()
  it("takes ids with and without dashes, and rounds times down to the minute", function()
    local at = with_database()
    local _, page = at.create "a"
    assert.matches("^%x+%-%x+%-4%x+%-[89ab]%x+%-%x+$", page.id)
    assert.matches("^%d+%-%d%d%-%d%dT%d%d:%d%d:00.000Z$", page.created_time)
    local bare = page.id:gsub("%-", ""):upper()
    assert.equal(page.id, select(2, at.ask("GET", "/v1/pages/" .. bare)).id)
    pass(at.standin, 61)
    local _, changed = at.ask("PATCH", "/v1/pages/" .. bare, { properties = { N = { number = 1 } } })
    assert.is_true(changed.last_edited_time > page.last_edited_time)
    assert.equal(page.created_time, changed.created_time)
  end)

  it("has a clock that can run faster", function()
    local _, standin = new { clock = 1000 }
    local before = standin.world:now()
    local ours = require("sys").monotonic()
    repeat until require("sys").monotonic() - ours > 0.01
    assert.is_true(standin.world:now() - before > 10)
  end)

  describe("finds pages by a text", function()
    it("after every change, and never those in the trash", function()
      local at = with_database()
      local _, page = at.create "one"
      assert.equal(page.id, at.with_key "one" [1].id)
      at.create "one"
      assert.equal(2, #at.with_key "one")
      at.ask("PATCH", "/v1/pages/" .. page.id, { properties = { Key = { rich_text = text "two" } } })
      assert.equal(1, #at.with_key "one")
      assert.equal(page.id, at.with_key "two" [1].id)
      at.ask("PATCH", "/v1/pages/" .. page.id, { in_trash = true })
      assert.equal(0, #at.with_key "two")
      at.ask("PATCH", "/v1/pages/" .. page.id, { in_trash = false })
      assert.equal(1, #at.with_key "two")
      at.ask("PATCH", "/v1/pages/" .. page.id, { properties = { Key = { rich_text = json.array() } } })
      assert.equal(1, #at.with_key "")
    end)

    it("without a walk over all of them", function()
      local at = with_database()
      at.ask("POST", "/_standin/fill", { data_source_id = at.source, count = 3000, properties = { Key = "k%d" } })
      assert.equal(1, #at.with_key "k1") -- the first look-up makes the index
      local looked_at = 0
      for _, page in ipairs(at.standin.world.objects[at.source].pages) do
        local kept = page.values
        page.values = setmetatable({}, { __index = function(_, name)
          looked_at = looked_at + 1
          return kept[name]
        end })
      end
      assert.equal(1, #at.with_key "k2999")
      assert.is_true(looked_at < 20)
    end)
  end)

  describe("budget", function()
    it("is so many requests in a window, and Retry-After its end", function()
      local ask, standin = new { budget = 180 }
      for _ = 1, 180 do
        assert.equal(200, ask("GET", "/v1/users/me").status)
      end
      pass(standin, 20)
      local answer, failure = ask("GET", "/v1/users/me")
      assert.equal(429, answer.status)
      assert.equal("40", answer.headers["Retry-After"])
      assert.equal("rate_limited", failure.code)
      assert.same({ rate_limit_reason = "public_api_request_rate_limit", retry_after = "40" },
        failure.additional_data)
      assert.equal(200, ask("GET", "/v1/users/me", nil, { token = "another" }).status)
      pass(standin, 40)
      assert.equal(200, ask("GET", "/v1/users/me").status)
    end)

    it("is told from the most that came in any 60 seconds", function()
      local ask, standin = new { budget = 180 }
      local function ask_times(count)
        for _ = 1, count do
          ask("GET", "/v1/users/me")
        end
      end
      ask_times(1)
      pass(standin, 50)
      ask_times(100)
      pass(standin, 20)
      ask_times(100)
      assert.equal(200, standin:figures().most_in_60_s)
      assert.equal(0, standin:figures().rate_limited)
    end)

    it("counts who comes before Retry-After is over, and who could not know", function()
      local ask, standin = new { faults = "rate_limited*1,overloaded*1" }
      assert.equal(429, ask("GET", "/v1/users/me").status)
      assert.equal(529, ask("GET", "/v1/users/me").status)
      pass(standin, 1)
      assert.equal(200, ask("GET", "/v1/users/me").status)
      pass(standin, 5)
      ask("GET", "/v1/users/me")
      local figures = standin:figures()
      assert.equal(1, figures.inside_retry_after)
      assert.equal(1, figures.inside_retry_after_on_its_way)
    end)
  end)

  describe("faults", function()
    local function outcomes(seed, faults, count)
      local at, seen = with_database({ seed = seed }, faults), {}
      for i = 1, count do
        local answer = at.create("k" .. i)
        seen[i] = answer.drop and "dropped" or answer.delay_s and "slow" or answer.truncate and "cut"
          or tostring(answer.status)
      end
      return seen, at
    end

    it("come by the dice, the same for the same seed", function()
      local spec = "lost_reply@page_create=0.2,unavailable_committed=0.2,slow=0.1"
      local first = outcomes(5, spec, 60)
      assert.same(first, outcomes(5, spec, 60))
      assert.are_not.same(first, outcomes(6, spec, 60))
      local counted = {}
      for _, outcome in ipairs(first) do
        counted[outcome] = (counted[outcome] or 0) + 1
      end
      assert.is_true(counted.dropped > 3 and counted["503"] > 3 and counted["200"] > 15)
    end)

    it("meet the requests that they are meant for", function()
      local _, at = outcomes(1, "", 2)
      at.standin:set_faults { rules = {
        { fault = "unavailable", on = "page_create", body = "poison" },
        { fault = "lost_reply", on = "page_create", reused = true, times = 1 },
        { fault = "internal_error", on = "read", skip = 1, times = 1 },
      } }
      assert.equal(503, at.create("poison").status)
      assert.equal(200, at.create("fine", { turn = 1 }).status)
      assert.is_true(at.create("fine", { turn = 2 }).drop)
      assert.equal(200, at.create("fine", { turn = 2 }).status)
      assert.equal(200, at.ask("GET", "/v1/users/me").status)
      assert.equal(500, at.ask("GET", "/v1/users/me").status)
      assert.equal(200, at.ask("GET", "/v1/users/me").status)
      assert.same({ unavailable = 1, lost_reply = 1, internal_error = 1 }, at.standin:figures().faults.happened)
      assert.equal(3, #at.with_key "fine")
    end)

    it("never hide what the request did wrong", function()
      local at = with_database(nil, "unavailable_committed")
      local answer, failure = at.ask("GET", "/v1/pages/nonsense")
      assert.equal(400, answer.status)
      assert.equal("validation_error", failure.code)
    end)

    it("name what was saved where Notion would", function()
      local at = with_database()
      local _, page = at.create "a"
      at.standin:set_faults "unavailable_named"
      local _, made = at.create "b"
      assert.equal(at.standin.world.objects[made.additional_data.committed_resource_id].kind, "page")
      local _, updated = at.ask("PATCH", "/v1/pages/" .. page.id, { properties = { N = { number = 1 } } })
      assert.is_nil(updated.additional_data.committed_resource_id)
      local _, appended = at.ask("PATCH", ("/v1/blocks/%s/children"):format(page.id), { children = json.array {
        { paragraph = { rich_text = text "x" } }, { divider = {} } } })
      assert.equal(page.id, appended.additional_data.committed_resource_id)
      assert.equal(2, #appended.additional_data.committed_child_ids)
      assert.same(at.standin.world.objects[page.id].children, table.move(
        appended.additional_data.committed_child_ids, 1, 2, 1, {}))
    end)

    it("are refused when there is no such fault", function()
      for _, spec in ipairs { "lost", "slow=x", "slow@", "slow*x", "slow=0.1=0.2" } do
        local done, failure = pcall(notion.new, { faults = spec })
        assert.is_false(done, spec)
        assert.is_true(errors.is(failure, "usage"), spec)
      end
    end)
  end)

  describe("versions", function()
    it("before 2025-09-03 have their properties and pages on the database", function()
      local at = with_database()
      local old = { version = "2022-06-28" }
      local _, database = at.ask("GET", "/v1/databases/" .. at.database, nil, old)
      assert.equal("title", database.properties.Name.type)
      assert.is_nil(database.data_sources)
      local _, page = at.ask("POST", "/v1/pages", { parent = { database_id = at.database },
        properties = { Name = { title = text "old" } } }, old)
      assert.same({ type = "database_id", database_id = at.database }, page.parent)
      local _, found = at.ask("POST", ("/v1/databases/%s/query"):format(at.database), {}, old)
      assert.equal(1, #found.results)
      assert.equal(400, at.ask("POST", ("/v1/databases/%s/query"):format(at.database), {}).status)
      at.ask("PATCH", "/v1/databases/" .. at.database, { properties = { Extra = { checkbox = {} } } }, old)
      local _, source = at.ask("GET", "/v1/data_sources/" .. at.source)
      assert.equal("checkbox", source.properties.Extra.type)
      local _, seen = at.ask("POST", "/v1/search", { filter = { property = "object", value = "database" } }, old)
      assert.equal("database", seen.results[1].object)
      at.ask("POST", "/v1/data_sources", { parent = { database_id = at.database },
        properties = { Name = { title = {} } } })
      local refused, failure = at.ask("POST", "/v1/pages", { parent = { database_id = at.database },
        properties = {} }, old)
      assert.equal(400, refused.status)
      assert.equal(2, #failure.additional_data.child_data_source_ids)
    end)

    it("since 2026-03-11 know no archived and no after", function()
      local at = with_database()
      local newer = { version = "2026-03-11" }
      local _, page = at.create("a", newer)
      assert.is_nil(page.archived)
      assert.is_false(page.in_trash)
      local path = ("/v1/blocks/%s/children"):format(page.id)
      local children = json.array { { divider = {} } }
      local _, first = at.ask("PATCH", path, { children = children })
      assert.equal(400, at.ask("PATCH", path, { children = children, after = first.results[1].id }, newer).status)
      assert.equal(200, at.ask("PATCH", path, { children = children, after = first.results[1].id }).status)
      assert.equal(400, at.ask("PATCH", path, { children = children,
        position = { type = "middle" } }, newer).status)
    end)

    it("that are none are refused", function()
      local answer, failure = new()("GET", "/v1/users/me", nil, { version = "2020-01-01" })
      assert.equal(400, answer.status)
      assert.matches('instead was `"2020%-01%-01"`', failure.message)
    end)
  end)

  describe("schemas", function()
    it("change by name and by id, and keep their title", function()
      local at = with_database()
      local path = "/v1/data_sources/" .. at.source
      local function change(properties)
        return at.ask("PATCH", path, { properties = properties })
      end
      local _, source = change { Key = { name = "Ligase ID" } }
      local id = source.properties["Ligase ID"].id
      local _, again = change { [id] = { name = "Key" } }
      assert.equal(id, again.properties.Key.id)
      for _, wrong in ipairs { { Name = json.null }, { Title = { title = {} } }, { Gone = json.null },
        { Key = { name = "N" } }, { X = { nonsense = {} } }, { X = { relation = { data_source_id = "x" } } } } do
        assert.equal(400, change(wrong).status, json.encode(wrong))
      end
      at.create "a"
      at.ask("PATCH", "/v1/pages/" .. at.with_key "a" [1].id, { properties = { N = { number = 1 } } })
      change { N = { rich_text = {} } }
      assert.same({}, at.with_key "a" [1].properties.N.rich_text)
    end)

    it("keep both sides of a relation", function()
      local at = with_database()
      at.ask("PATCH", "/v1/data_sources/" .. at.source, { properties = {
        Part = { relation = { data_source_id = at.source, type = "dual_property",
          dual_property = { synced_property_name = "Whole" } } } } })
      local _, a = at.create "a"
      local _, b = at.create "b"
      local function relate(page, ids)
        local list = json.array()
        for i, id in ipairs(ids) do
          list[i] = { id = id }
        end
        return at.ask("PATCH", "/v1/pages/" .. page.id, { properties = { Part = { relation = list } } })
      end
      local function whole_of(page)
        return select(2, at.ask("GET", "/v1/pages/" .. page.id)).properties.Whole.relation
      end
      relate(a, { b.id })
      assert.same({ { id = a.id } }, whole_of(b))
      relate(a, {})
      assert.same({}, whole_of(b))
    end)
  end)

  describe("memory", function()
    it("goes into a file and comes back", function()
      local at = with_database { seed = 9 }
      local _, page = at.create "kept"
      at.ask("PATCH", ("/v1/blocks/%s/children"):format(page.id), { children = json.array {
        { paragraph = { rich_text = text "body" } } } })
      local _, gone = at.create "gone"
      at.ask("PATCH", "/v1/pages/" .. gone.id, { in_trash = true })
      local before = at.with_key "kept"
      local path = support.workspace() .. "/state.json"
      assert.equal(200, at.ask("POST", "/_standin/save", { path = path }).status)
      at.standin:use_world(state.load(path, {}))
      local after = at.with_key "kept"
      assert.same(before, after)
      local _, blocks = at.ask("GET", ("/v1/blocks/%s/children"):format(page.id))
      assert.equal("body", blocks.results[1].paragraph.rich_text[1].plain_text)
      assert.equal(0, #at.with_key "gone")
      local _, new_page = at.create "new"
      assert.are_not.equal(gone.id, new_page.id)
      assert.equal(page.created_by.id, new_page.created_by.id)
    end)

    it("can be emptied, and its seed gives the same ids again", function()
      local at = with_database { seed = 3 }
      local first = at.database
      assert.equal(200, at.ask("POST", "/_standin/reset").status)
      assert.equal(404, at.ask("GET", "/v1/databases/" .. first).status)
      assert.equal(first, with_database { seed = 3 }.database)
    end)
  end)

  describe("control", function()
    it("counts, lists and finds duplicates", function()
      local at = with_database()
      at.create "a"
      at.create("a", { token = "person-1" })
      at.create "b"
      local trashed = select(2, at.create "a")
      at.ask("PATCH", "/v1/pages/" .. trashed.id, { in_trash = true })
      local _, found = at.ask("GET", ("/_standin/duplicates?database=%s&property=Key"):format(at.database))
      assert.same({ 3, 2, 0 }, { found.live_pages, found.distinct, found.without })
      assert.equal("a", found.duplicates[1].key)
      assert.equal(2, #found.duplicates[1].pages)
      local _, pages = at.ask("GET", ("/_standin/pages?data_source=%s&property=Key"):format(at.source))
      assert.equal(3, pages.count)
      assert.are_not.equal(pages.pages[1].last_edited_by, pages.pages[2].last_edited_by)
      local _, counters = at.ask("GET", "/_standin/counters")
      assert.equal(4, counters.by_kind.page_create)
      assert.equal(6, counters.requests)
      at.ask("POST", "/_standin/counters/reset")
      assert.equal(0, at.standin:figures().requests)
    end)

    it("takes a hidden page out of a query that was asked before", function()
      local at = with_database()
      at.create("a")
      at.create("b")
      local function found()
        local _, answer = at.ask("POST", ("/v1/data_sources/%s/query"):format(at.source), { sorts = json.array {
          { property = "Key", direction = "ascending" } } })
        return answer.results
      end
      local page = found()[1]
      at.ask("POST", "/_standin/hide", { id = page.id, hidden = true })
      assert.equal(1, #found())
      at.ask("POST", "/_standin/hide", { id = page.id, hidden = false })
      assert.equal(2, #found())
    end)

    it("sets faults, hides objects, and says what it knows", function()
      local at = with_database()
      local _, set = at.ask("POST", "/_standin/faults", { spec = "slow", slow_s = 3 })
      assert.equal("slow", set.rules[1].fault)
      assert.equal(3, at.create("a").delay_s)
      assert.equal(400, at.ask("POST", "/_standin/faults", { spec = "nonsense" }).status)
      at.ask("DELETE", "/_standin/faults")
      assert.equal(200, at.create("b").status)
      local page = at.with_key "b" [1]
      for _, id in ipairs { at.source, at.database } do
        at.ask("POST", "/_standin/hide", { id = id })
        assert.equal(404, at.create("c").status)
        assert.equal(404, at.ask("GET", "/v1/pages/" .. page.id).status)
        at.ask("POST", "/_standin/hide", { id = id, hidden = false })
        assert.equal(200, at.ask("GET", "/v1/pages/" .. page.id).status)
      end
      at.ask("PATCH", "/v1/databases/" .. at.database, { in_trash = true })
      assert.equal(400, at.create("c").status)
      local answer, told = at.ask("GET", "/_standin/nothing")
      assert.equal(404, answer.status)
      assert.matches("GET /_standin/counters", told.message, 1, true)
      local _, self = at.ask("GET", "/_standin")
      assert.same({ at.source }, { self.databases[1].data_sources[1].id })
      assert.equal(2, self.databases[1].data_sources[1].live_pages)
    end)
  end)

  it("as a program says when it is called wrongly", function()
    local result = support.ligase { require("host").home .. "/tests/standins/notion.lua", "--nonsense", "1" }
    assert.equal(2, result.code)
    assert.matches("%-%-nonsense", result.stderr)
  end)
end)
