local entities = require "ligase.store.entities"
local errors = require "ligase.base.errors"
local host = require "host"
local labs = require "tests.lua.sync.lab"
local outbox = require "ligase.store.outbox"
local policy_of = require "ligase.sync.policy"
local support = require "tests.support"
local sys = require "sys"

local function change(conn, work)
  return (entities.change(conn, { command = "spec", outbox = true, create = true }, work))
end

local function one(conn, sql, ...)
  return conn:query(sql, ...)[1]
end

local function of_kind(events, kind)
  local lines = {}
  for _, event in ipairs(events) do
    if event.kind == kind then
      lines[#lines + 1] = event.line
    end
  end
  return table.concat(lines, "\n"), #lines
end

--- The policy with another answer to conflicts.
local function policy_with(conflict)
  local policy = policy_of.load(support.workspace())
  for _, entity in pairs(policy.entities) do
    entity.phases.dual_write.conflict = conflict
  end
  return policy
end

describe("the relay", function()
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

  it("makes a page for each entity and keeps its id", function()
    change(conn, function(changes)
      changes:create("experiment", { name = "Mouse 7", programs = { "ALS" }, disease = "ALS; FTD, late",
        description = ("long "):rep(900) })
      changes:create("compound", { code = "C-1", name = "riluzole", molecular_weight = 234.2, programs = { "ALS" } })
    end)
    local counts = lab:deliver(conn)
    assert.equal(3, counts.created)
    local row = one(conn, "SELECT id, notion_page_id FROM experiments")
    local said = lab:said(row.notion_page_id)
    assert.same({ row.id, "Mouse 7", ("long "):rep(900):match("^(.-) *$") }, { said["Ligase ID"], said.Name,
      (said.Description:match("^(.-) *$")) })
    assert.same({ "ALS", "FTD; late" }, table.move(said.Disease, 1, 9, 1, {}))
    assert.same({ one(conn, "SELECT notion_page_id FROM programs").notion_page_id },
      table.move(said.Programs, 1, 9, 1, {}))
    assert.equal(234.2, lab:said(one(conn, "SELECT notion_page_id FROM compounds").notion_page_id)["Molecular Weight"])
    assert.equal("done done done", labs.states(conn))
    assert.equal(3, one(conn, "SELECT count(*) AS n FROM mirrors WHERE page_id IS NOT NULL AND intent_at IS NULL").n)
  end)

  it("delivers a large number that stands in a row", function()
    change(conn, function(changes) changes:create("compound", { code = "C-1", molecular_weight = 5 }) end)
    lab:deliver(conn)
    conn:query "UPDATE compounds SET molecular_weight = 1e19"
    change(conn, function(changes) changes:update("compound", "C-1", { name = "riluzole" }) end)
    assert.equal(1, lab:deliver(conn).updated)
    assert.equal(1e19, lab:said(one(conn, "SELECT notion_page_id FROM compounds").notion_page_id)["Molecular Weight"])
  end)

  it("delivers the newest state once, and only what changed", function()
    change(conn, function(changes) changes:create("program", { name = "A", disease = "x" }) end)
    for _, text in ipairs { "one", "two", "three" } do
      change(conn, function(changes) changes:update("program", "A", { description = text }) end)
    end
    lab:deliver(conn)
    assert.equal("done superseded superseded superseded", labs.states(conn))
    local page = one(conn, "SELECT notion_page_id AS id FROM programs").id
    assert.equal("three", lab:said(page).Description)
    local before = lab:counters().requests
    change(conn, function(changes) changes:update("program", "A", { external_ids = { other = "1" } }) end)
    assert.equal(1, lab:deliver(conn).unchanged)
    assert.equal(before, lab:counters().requests)
    change(conn, function(changes) changes:update("program", "A", { disease = "" }) end)
    lab:deliver(conn)
    assert.same({}, table.move(lab:said(page).Disease or {}, 1, 9, 1, {}))
  end)

  it("keeps what people changed, shows it, and goes on with the rest", function()
    change(conn, function(changes) changes:create("program", { name = "A", disease = "x", description = "d" }) end)
    lab:deliver(conn)
    local page = one(conn, "SELECT notion_page_id AS id FROM programs").id
    lab:edit(page, { Disease = { multi_select = { { name = "theirs" } } } })
    change(conn, function(changes) changes:update("program", "A", { disease = "ours", description = "new" }) end)
    local _, events = lab:deliver(conn)
    local said = lab:said(page)
    assert.same({ "theirs", "new" }, { said.Disease[1], said.Description })
    assert.matches("program 'A': 'Disease' was changed in Notion to theirs, and should be ours",
      of_kind(events, "conflict"), 1, true)
    assert.equal("theirs", one(conn, "SELECT conflict FROM mirrors").conflict.Disease.page[1])
    lab:edit(page, { Disease = { multi_select = { { name = "ours" } } } })
    change(conn, function(changes) changes:update("program", "A", { description = "newer" }) end)
    lab:deliver(conn)
    assert.equal(0, one(conn, "SELECT count(*) AS n FROM mirrors WHERE conflict IS NOT NULL").n)
  end)

  it("overwrites it where the policy says so, or takes it into Postgres", function()
    change(conn, function(changes)
      changes:create("program", { name = "A", disease = "x" })
      changes:create("program", { name = "B", disease = "x" })
    end)
    lab:deliver(conn)
    local pages = {}
    for _, row in ipairs(conn:query "SELECT name, notion_page_id AS id FROM programs") do
      pages[row.name] = row.id
      lab:edit(row.id, { Disease = { multi_select = { { name = "theirs" } } } })
    end
    change(conn, function(changes) changes:update("program", "A", { disease = "ours" }) end)
    lab:deliver(conn, { policy = policy_with "postgres" })
    assert.equal("ours", lab:said(pages.A).Disease[1])
    change(conn, function(changes) changes:update("program", "B", { disease = "ours", description = "d" }) end)
    lab:deliver(conn, { policy = policy_with "notion" })
    assert.same({ "theirs", "d" }, { lab:said(pages.B).Disease[1], lab:said(pages.B).Description })
    assert.equal("theirs", one(conn, "SELECT disease FROM programs WHERE name = 'B'").disease[1])
    assert.equal("sync", one(conn, "SELECT command FROM runs ORDER BY id DESC LIMIT 1").command)
  end)

  describe("with a property that is missing in Notion", function()
    local function set_disease(definition)
      lab:ask("PATCH", "/v1/data_sources/" .. lab.sources.programs, { properties = { Disease = definition } })
    end

    local function diseases()
      return one(conn, "SELECT sum(cardinality(disease))::int AS n FROM programs").n
    end

    before_each(function()
      for _, page in ipairs(lab:pages "programs") do
        lab:ask("PATCH", "/v1/pages/" .. page.id, { in_trash = true })
      end
      change(conn, function(changes)
        for i = 1, 6 do
          changes:create("program", { name = "P" .. i, disease = "ALS" })
        end
      end)
      lab:deliver(conn)
    end)

    after_each(function()
      set_disease { multi_select = {} }
    end)

    it("leaves the changes of pages that are there, whatever the policy does with people's edits", function()
      for _, conflict in ipairs { "show", "postgres", "notion" } do
        for _, definition in ipairs { labs.json.null, { number = {} } } do
          local relay = lab:relay(conn, { policy = policy_with(conflict) })
          relay.target:source "programs" -- what was found before does not count
          set_disease(definition)
          change(conn, function(changes)
            changes:update("program", "P1", { disease = "ALS; Ageing" })
            changes:update("program", "P2", { description = "harmless " .. conflict })
          end)
          local counts = relay:run()
          assert.same({ 0, 0, 0 }, { counts.updated + counts.kept, counts.dead, counts.failed })
          local lines, count = of_kind(relay.events, "blocked")
          assert.equal(1, count)
          assert.matches("(NOTION_PROGRAMS_DB_ID) does not fit the policy: 'Disease' ", lines, 1, true)
          assert.matches(definition == labs.json.null and "ligase notion check --create" or "its menu: Edit property",
            lines, 1, true)
          assert.equal("", of_kind(relay.events, "conflict"))
          assert.equal(7, diseases())
          assert.equal(2, one(conn, "SELECT count(DISTINCT entity_id) AS n FROM outbox WHERE state = 'pending'").n)
          set_disease { multi_select = {} }
        end
      end
    end)

    it("delivers them once 'notion check' has made it", function()
      set_disease(labs.json.null)
      change(conn, function(changes) changes:update("program", "P1", { disease = "ALS; Ageing" }) end)
      lab:deliver(conn)
      local result = lab:ligase { "notion", "check", "--create", database = url }
      assert.equal(0, result.code, result.stderr)
      assert.matches("programs: 6 pages had a value of 'Disease'. Give them back with: ligase reconcile --entity "
        .. "programs --fix notion\n", result.stdout, 1, true)
      local counts, events = lab:deliver(conn, { policy = policy_with "notion" })
      assert.same({ 1, "" }, { counts.updated, (of_kind(events, "conflict")) })
      local page = one(conn, "SELECT notion_page_id AS id FROM programs WHERE name = 'P1'").id
      assert.same({ "ALS", "Ageing" }, table.move(lab:said(page).Disease, 1, 2, 1, {}))
      result = lab:ligase { "reconcile", "--entity", "programs", "--fix", "notion", database = url }
      assert.equal(0, result.code, result.stderr .. result.stdout)
      result = lab:ligase { "import", "notion", "--database", "programs", "--all", database = url }
      assert.equal(0, result.code, result.stderr .. result.stdout)
      assert.equal(7, diseases())
      lab:deliver(conn)
      for _, row in ipairs(conn:query "SELECT notion_page_id AS id FROM programs") do
        assert.equal("ALS", lab:said(row.id).Disease[1])
      end
    end)

    it("goes by the page itself when the database seems to have it", function()
      local relay = lab:relay(conn, { policy = policy_with "notion" })
      local client, page = relay.target.client, relay.target.client.page
      client.page = function(...)
        local answer = page(...)
        answer.properties.Disease = nil
        return answer
      end
      change(conn, function(changes) changes:update("program", "P1", { description = "harmless" }) end)
      assert.equal(0, relay:run().dead)
      assert.matches("(NOTION_PROGRAMS_DB_ID) was being changed: on the page of program 'P1', 'Disease' (multi_select) "
        .. "is missing", of_kind(relay.events, "blocked"), 1, true)
      assert.same({ 6, "pending" }, { diseases(), labs.states(conn):match "%S+$" })
    end)

    it("does not empty Postgres when it was made again", function()
      set_disease(labs.json.null)
      set_disease { multi_select = {} }
      change(conn, function(changes) changes:update("program", "P1", { description = "harmless" }) end)
      local _, events = lab:deliver(conn, { policy = policy_with "notion" })
      assert.equal(6, diseases())
      assert.matches("program 'P1': 'Disease' was changed in Notion to nothing, and should be ALS: left as it is, for "
        .. "most pages lost theirs (0 of the 6 pages that had a value still have one): ligase reconcile --fix notion "
        .. "--overwrite", of_kind(events, "conflict"), 1, true)
      local kept = one(conn, "SELECT conflict FROM mirrors WHERE conflict IS NOT NULL").conflict
      assert.equal("ALS", kept.Disease.wanted[1])
    end)
  end)

  it("says that a page does not lie in its database, and goes on with the others", function()
    change(conn, function(changes)
      changes:create("program", { name = "A" })
      changes:create("experiment", { name = "E" })
    end)
    lab:deliver(conn)
    local page = one(conn, "SELECT notion_page_id AS id FROM programs").id
    conn:query "UPDATE programs SET notion_page_id = NULL" -- nobody's page any more
    conn:query "DELETE FROM mirrors WHERE entity_type = 'programs'"
    change(conn, function(changes)
      changes:create("compound", { name = "C", notion_page_id = page })
      changes:create("compound", { name = "D" })
    end)
    local counts, events = lab:deliver(conn)
    assert.same({ 1, 1 }, { counts.created, counts.dead })
    assert.matches("the page of compound 'C' does not lie in the database of compounds (NOTION_COMPOUNDS_DB_ID)",
      of_kind(events, "dead"), 1, true)
    assert.matches("ligase compound update 'C' --notion-page ''", of_kind(events, "dead"), 1, true)
  end)

  it("says what it overwrites where the policy says so, and keeps it in the outbox", function()
    change(conn, function(changes) changes:create("program", { name = "A", disease = "x", description = "d" }) end)
    lab:deliver(conn)
    local page = one(conn, "SELECT notion_page_id AS id FROM programs").id
    local theirs = ("what a person wrote "):rep(20)
    lab:edit(page, { Description = { rich_text = { { text = { content = theirs } } } } })
    change(conn, function(changes) changes:update("program", "A", { disease = "ours" }) end)
    local _, events = lab:deliver(conn, { policy = policy_with "postgres" })
    assert.matches("program 'A': 'Description' was changed in Notion to 'what a person .* and should be 'd': "
      .. "overwritten", (of_kind(events, "conflict")))
    assert.same({ "d", "ours" }, { lab:said(page).Description, lab:said(page).Disease[1] })
    local noted = one(conn, "SELECT payload FROM outbox ORDER BY id DESC LIMIT 1").payload
    assert.equal(theirs, noted.overwritten.Description)
    assert.equal(0, one(conn, "SELECT count(*) AS n FROM mirrors WHERE conflict IS NOT NULL").n)
  end)

  it("puts the page of a deleted entity into the trash, and takes it out again", function()
    local made = change(conn, function(changes) return changes:create("program", { name = "Gone" }) end)
    lab:deliver(conn)
    local page = one(conn, "SELECT notion_page_id AS id FROM programs").id
    change(conn, function(changes) changes:delete("program", "Gone") end)
    assert.equal(1, lab:deliver(conn).trashed)
    assert.is_true(lab:page(page).in_trash)
    conn:query("INSERT INTO programs (id, name, description) VALUES ($1, 'Gone', 'back')", made.id)
    outbox.tell(conn, "programs", made.id, "restore", "{}")
    assert.equal(1, lab:deliver(conn).restored)
    local said = lab:page(page)
    assert.is_false(said.in_trash)
    assert.same({ "back", page }, { lab:said(page).Description, one(conn,
      "SELECT notion_page_id AS id FROM programs").id })
  end)

  it("looks for a page whose making got no answer, before it makes another one", function()
    change(conn, function(changes)
      for i = 1, 6 do
        changes:create("program", { name = "P" .. i })
      end
    end)
    lab:faults("lost_reply@page_create*1,unavailable_committed@page_create*1,unavailable_named@page_create*1,"
      .. "truncated@page_create*1,html@page_create*1")
    local counts = lab:deliver(conn)
    assert.same({ 0, 6 }, { counts.dead, counts.created + counts.adopted })
    local mine = {}
    for _, page in ipairs(lab:pages "programs") do
      mine[page.key or ""] = (mine[page.key or ""] or 0) + 1
    end
    for _, row in ipairs(conn:query "SELECT id FROM programs") do
      assert.equal(1, mine[row.id])
    end
  end)

  it("does not take its own lost write for a change that people made", function()
    change(conn, function(changes) changes:create("program", { name = "A", description = "made" }) end)
    lab:deliver(conn)
    local page = one(conn, "SELECT notion_page_id AS id FROM programs").id
    for _, conflict in ipairs { "show", "postgres" } do
      change(conn, function(changes) changes:update("program", "A", { description = "lost " .. conflict }) end)
      lab:faults "lost_reply@page_update*1"
      local relay = lab:relay(conn, { policy = policy_with(conflict), pause_s = 60, pause_most_s = 60, patience_s = 0 })
      relay:run()
      assert.equal("lost " .. conflict, lab:said(page).Description)
      change(conn, function(changes) changes:update("program", "A", { description = "made" }) end)
      conn:query "UPDATE outbox SET available_at = now()"
      local _, events = lab:deliver(conn, { policy = policy_with(conflict) })
      assert.same({ "", 0 }, { of_kind(events, "conflict") })
      assert.equal("made", lab:said(page).Description)
    end
  end)

  it("makes one page of several with the same id", function()
    local made = change(conn, function(changes) return changes:create("program", { name = "Twin" }) end)
    conn:query("INSERT INTO mirrors (entity_type, entity_id, intent_at) VALUES ('programs', $1, now())", made.id)
    local ids = {}
    local parent = { type = "data_source_id", data_source_id = lab.sources.programs }
    for i = 1, 3 do
      ids[i] = lab:ask("POST", "/v1/pages", { parent = parent, properties = {
        Name = { title = { { text = { content = "Twin" } } } },
        ["Ligase ID"] = { rich_text = { { text = { content = made.id } } } },
      } }).id
    end
    local counts, events = lab:deliver(conn)
    assert.equal(1, counts.adopted)
    assert.equal(2, select(2, of_kind(events, "note")))
    local live = {}
    for _, id in ipairs(ids) do
      live[#live + 1] = not lab:page(id).in_trash and id or nil
    end
    assert.same({ one(conn, "SELECT notion_page_id AS id FROM programs").id }, live)
  end)

  it("waits for the page that another one refers to", function()
    entities.change(conn, { command = "spec" }, function(changes)
      changes:create("program", { name = "Before the sync" })
    end)
    change(conn, function(changes) changes:create("experiment", { name = "E", programs = { "Before the sync" } }) end)
    local counts = lab:deliver(conn)
    assert.same({ 1, 2 }, { counts.waits, counts.created })
    assert.equal(0, one(conn, "SELECT sum(attempts)::int AS n FROM outbox").n)
    assert.equal("done done", labs.states(conn))
  end)

  it("sets aside what Notion refuses, with the reason, and delivers all else", function()
    change(conn, function(changes)
      for i = 1, 20 do
        changes:create("program", { name = "P" .. i, disease = i == 7 and ("x"):rep(150) or "y" })
      end
    end)
    local counts, events = lab:deliver(conn)
    assert.same({ 19, 1 }, { counts.created, counts.dead })
    assert.matches("program 'P7'", of_kind(events, "dead"), 1, true)
    local dead = one(conn, "SELECT last_error, attempts FROM outbox WHERE state = 'dead'")
    assert.matches("longer than 100 characters", dead.last_error, 1, true)
    change(conn, function(changes) changes:update("program", "P7", { disease = "y" }) end)
    assert.equal(1, lab:deliver(conn).created)
    assert.equal(0, one(conn, "SELECT count(*) AS n FROM outbox WHERE state = 'dead'").n)
  end)

  it("sets aside more relations or options than Notion takes; the policy may show them as a text", function()
    local programs, terms = {}, {}
    for i = 1, 101 do
      programs[i], terms[i] = "Program " .. i, "disease " .. i
    end
    change(conn, function(changes)
      changes:create("experiment", { name = "E", programs = programs })
      changes:create("program", { name = "P", disease = terms })
    end)
    local counts, events = lab:deliver(conn)
    assert.same({ 101, 2 }, { counts.created, counts.dead })
    local said = of_kind(events, "dead")
    assert.matches("experiment 'E': property 'Programs' (relation) has 101 relations, and Notion takes 100 in one "
      .. "property. No further request can add the rest: let recipes/policy.lua show them in a rich_text property",
      said, 1, true)
    assert.matches("program 'P': property 'Disease' (multi_select) has 101 options", said, 1, true)
    lab:ask("PATCH", "/v1/data_sources/" .. lab.sources.programs, { properties = {
      ["Diseases"] = { rich_text = {} } } })
    lab:ask("PATCH", "/v1/data_sources/" .. lab.sources.experiments, { properties = {
      ["All Programs"] = { rich_text = {} } } })
    local folder = support.workspace()
    sys.mkdir(folder .. "/recipes")
    local source = sys.read_file(host.home .. "/recipes/policy.lua")
    source = source:gsub('%["Disease"%] = { type = "multi_select", column = "disease" }',
      '["Diseases"] = { type = "rich_text", column = "disease" }', 1)
    source = source:gsub('%["Programs"%] = { type = "relation", link = "programs" }', [[["All Programs"] = {
      type = "rich_text", write = function(entity)
        local names = {}
        for i, program in ipairs(entity.links.programs) do
          names[i] = program.name
        end
        return names
      end }]], 1)
    sys.write_file(folder .. "/recipes/policy.lua", source)
    outbox.try_again(conn)
    assert.equal(2, lab:deliver(conn, { policy = policy_of.load(folder) }).created)
    assert.matches("disease 1; .*disease 101$", lab:said(one(conn,
      "SELECT notion_page_id AS id FROM programs WHERE name = 'P'").id).Diseases)
    local shown = lab:said(one(conn, "SELECT notion_page_id AS id FROM experiments").id)["All Programs"]
    assert.matches("Program 101", shown, 1, true)
  end)

  it("gives up a change that fails again and again while others succeed", function()
    change(conn, function(changes)
      changes:create("program", { name = "poisoned" })
      changes:create("program", { name = "fine" })
    end)
    lab:faults("", { rules = { { fault = "internal_error", on = "page_create", body = "poisoned" } } })
    local counts = lab:deliver(conn, { attempts_most = 3 })
    assert.same({ 1, 1, 2 }, { counts.created, counts.dead, counts.failed })
    local dead = one(conn, "SELECT last_error, attempts FROM outbox WHERE state = 'dead'")
    assert.equal(3, dead.attempts)
    lab:faults()
    assert.equal(1, outbox.try_again(conn))
    assert.equal(1, lab:deliver(conn).created)
  end)

  it("does not count rate limits, nor an outage", function()
    change(conn, function(changes) changes:create("program", { name = "A" }) end)
    lab:faults("rate_limited@page_create*3", { retry_after_s = 1 })
    local relay = lab:relay(conn, { attempts_most = 2, patience_s = 0.2 })
    relay:run()
    assert.same({ "pending", 0 }, { labs.states(conn), one(conn, "SELECT attempts FROM outbox").attempts })
    conn:query "UPDATE outbox SET available_at = now()"
    lab:faults "unavailable"
    local counts, events = lab:deliver(conn, { attempts_most = 2, patience_s = 0.5 })
    assert.equal(0, counts.dead)
    assert.equal(1, select(2, of_kind(events, "down")))
    assert.matches("^Notion sync skipped %(error%): ", of_kind(events, "down"))
    assert.same({ "pending", 0 }, { labs.states(conn), one(conn, "SELECT attempts FROM outbox").attempts })
    lab:faults()
    conn:query "UPDATE outbox SET available_at = now()"
    assert.equal(1, lab:deliver(conn).created)
  end)

  it("stops at a wrong key and leaves everything as it was", function()
    change(conn, function(changes) changes:create("program", { name = "A" }) end)
    local relay = lab:relay(conn, { settings = { NOTION_API_KEY = "wrong" } })
    local done, failure = pcall(relay.run, relay)
    assert.is_false(done)
    assert.same({ "notion", 401 }, { failure.kind, failure.status })
    assert.matches("NOTION_API_KEY", tostring(failure), 1, true)
    assert.same({ "pending", 0 }, { labs.states(conn), one(conn, "SELECT attempts FROM outbox").attempts })
  end)

  it("leaves changes of a type whose database does not fit, with one line", function()
    change(conn, function(changes)
      changes:create("program", { name = "A" })
      changes:create("compound", { name = "C" })
      changes:create("compound", { name = "D" })
    end)
    lab:ask("PATCH", "/v1/data_sources/" .. lab.sources.compounds, { properties = { CAS = json.null } })
    local counts, events = lab:deliver(conn)
    assert.same({ 1, 0 }, { counts.created, counts.dead })
    local lines, count = of_kind(events, "blocked")
    assert.equal(1, count)
    assert.matches("(NOTION_COMPOUNDS_DB_ID) does not fit the policy: 'CAS' (rich_text) is missing "
      .. "(GET /v1/data_sources/", lines, 1, true)
    lab:ask("PATCH", "/v1/data_sources/" .. lab.sources.compounds, { properties = { CAS = { rich_text = {} } } })
    assert.equal(2, lab:deliver(conn).created)
  end)

  it("says that a page lies in the trash, or is gone, and keeps the change", function()
    change(conn, function(changes) changes:create("program", { name = "A" }) end)
    lab:deliver(conn)
    local page = one(conn, "SELECT notion_page_id AS id FROM programs").id
    lab:ask("PATCH", "/v1/pages/" .. page, { in_trash = true })
    change(conn, function(changes) changes:update("program", "A", { description = "d" }) end)
    local _, events
    for _, conflict in ipairs { "postgres", "notion", "show" } do
      outbox.try_again(conn)
      _, events = lab:deliver(conn, { policy = policy_with(conflict) })
      assert.matches("cannot update the page of program 'A' in Notion: it lies in the trash, where somebody put it "
        .. "(GET /v1/pages/" .. page, of_kind(events, "dead"), 1, true)
    end
    lab:ask("PATCH", "/v1/pages/" .. page, { in_trash = false })
    outbox.try_again(conn)
    assert.equal(1, lab:deliver(conn).updated)
    lab:ask("POST", "/_standin/hide", { id = page })
    change(conn, function(changes) changes:update("program", "A", { description = "e" }) end)
    _, events = lab:deliver(conn)
    local line = of_kind(events, "dead")
    assert.matches("cannot read the page of program 'A' in Notion: Could not find page .* %(GET /v1/pages/", line)
    assert.matches("ligase program update 'A' --notion-page ''", line, 1, true)
  end)

  it("waits with what refers to pages of a database that is not shared", function()
    change(conn, function(changes) changes:create("program", { name = "P" }) end)
    lab:deliver(conn)
    local database = lab.env.NOTION_PROGRAMS_DB_ID
    lab:ask("POST", "/_standin/hide", { id = database })
    change(conn, function(changes) changes:create("experiment", { name = "E", programs = { "P" } }) end)
    local counts, events = lab:deliver(conn)
    lab:ask("POST", "/_standin/hide", { id = database, hidden = false })
    assert.same({ 0, 0 }, { counts.created, counts.dead })
    assert.matches("experiment 'E' .*%(POST /v1/pages, 404.* The database of programs is not shared", (of_kind(events,
      "blocked")))
    assert.equal(1, lab:deliver(conn).created)
  end)

  it("ends when its patience does, however long the next pause would be", function()
    change(conn, function(changes) changes:create("program", { name = "A" }) end)
    lab:faults "html"
    local began = sys.monotonic()
    lab:deliver(conn, { patience_s = 0.5, pause_s = 300, pause_most_s = 300 })
    assert.is_true(sys.monotonic() - began < 8)
  end)

  it("sets a change aside that refers to a page nobody may see, and goes on with the rest", function()
    change(conn, function(changes)
      changes:create("program", { name = "P" })
      changes:create("experiment", { name = "linked later" })
    end)
    lab:deliver(conn)
    lab:ask("POST", "/_standin/hide", { id = one(conn, "SELECT notion_page_id AS id FROM programs").id })
    change(conn, function(changes)
      changes:create("experiment", { name = "linked", programs = { "P" } })
      changes:update("experiment", "linked later", { programs = { "P" } })
      changes:create("experiment", { name = "free" })
    end)
    local counts, events = lab:deliver(conn)
    assert.same({ 1, 2 }, { counts.created, counts.dead })
    assert.equal(0, select(2, of_kind(events, "blocked")))
    assert.matches("experiment 'linked' .* It refers to the page of program 'P': share that page",
      (of_kind(events, "dead")))
    lab:ask("POST", "/_standin/hide", { id = one(conn, "SELECT notion_page_id AS id FROM programs").id,
      hidden = false })
    outbox.try_again(conn)
    counts = lab:deliver(conn)
    assert.same({ 1, 1 }, { counts.created, counts.updated })
  end)

  it("counts nothing while a proxy answers for Notion, or every answer is cut short", function()
    change(conn, function(changes) changes:create("program", { name = "A" }) end)
    for _, fault in ipairs { "html", "cut_json", "truncated" } do
      lab:faults(fault)
      local counts, events = lab:deliver(conn, { attempts_most = 2, patience_s = 0.3 })
      assert.same({ 0, 0, 1 }, { counts.dead, counts.failed, select(2, of_kind(events, "down")) })
    end
    assert.same({ "pending", 0 }, { labs.states(conn), one(conn, "SELECT attempts FROM outbox").attempts })
    lab:faults()
    conn:query "UPDATE outbox SET available_at = now()"
    assert.equal(1, lab:deliver(conn).created)
  end)

  it("sends nothing once its lease is over, and another relay finishes", function()
    change(conn, function(changes) changes:create("program", { name = "A" }) end)
    local relay = lab:relay(conn)
    local plain_acquire, taken = relay.target.client.api.limiter.acquire, false
    relay.target.client.api.limiter.acquire = function(self)
      if not taken then
        taken = true
        conn:query "UPDATE outbox SET lease = gen_random_uuid()"
      end
      return plain_acquire(self)
    end
    local before = lab:counters().requests
    relay.patience_s = 0
    relay:run()
    assert.same({ 1, before }, { relay.counts.lost, lab:counters().requests })
    conn:query "UPDATE outbox SET lease_until = now() - interval '1 second'"
    assert.equal(1, lab:deliver(conn).created)
  end)

  it("refuses misspelt options", function()
    assert.has_error(function()
      require("ligase.sync.relay").new { conn = conn, target = {}, wach = true }
    end)
    assert.is_true(errors.is(select(2, pcall(require("ligase.sync.relay").new, { conn = conn, target = {},
      wach = true })), "usage"))
  end)
end)
