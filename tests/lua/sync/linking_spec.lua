--- Pages that people link and unlink: which page is an entity's, and whose page one is.
local entities = require "ligase.store.entities"
local host = require "host"
local labs = require "tests.lua.sync.lab"
local outbox = require "ligase.store.outbox"
local pg = require "pg"
local reconcile = require "ligase.sync.reconcile"
local support = require "tests.support"
local sys = require "sys"

local PAGE = "0f0e0d0c-0b0a-0908-0706-050403020100"

local function change(conn, work)
  return (entities.change(conn, { command = "spec", outbox = true, create = true }, work))
end

local function update(conn, kind, name, fields)
  return change(conn, function(changes) return changes:update(kind, name, fields) end)
end

local function one(conn, sql, ...)
  return conn:query(sql, ...)[1]
end

local function page_of(conn, tbl, name)
  return one(conn, ("SELECT notion_page_id AS id FROM %s WHERE name = $1"):format(tbl), name).id
end

describe("linking pages", function()
  local lab, conn

  setup(function()
    lab = labs.start()
  end)

  teardown(function()
    lab:close()
  end)

  before_each(function()
    conn = support.migrated()
    lab:faults()
  end)

  local function hide(page_id, hidden)
    lab:ask("POST", "/_standin/hide", { id = page_id, hidden = hidden })
  end

  --- The live pages that carry an entity's id.
  local function pages_with(entity_type, id)
    local found = {}
    for _, page in ipairs(lab:pages(entity_type)) do
      found[#found + 1] = page.key == id and page.id or nil
    end
    return found
  end

  --- A page that a person made.
  local function made_by_hand(entity_type, name)
    return lab:ask("POST", "/v1/pages", { parent = { type = "data_source_id",
      data_source_id = lab.sources[entity_type] }, properties = {
        Name = { title = { { text = { content = name } } } } } }).id
  end

  --- A copy that a person made of an entity's page, its id included.
  local function copied(entity_type, name, id)
    local page = made_by_hand(entity_type, name)
    lab:edit(page, { ["Ligase ID"] = { rich_text = { { text = { content = id } } } } })
    return page
  end

  it("writes nothing into a page that was unlinked and is another entity's by now", function()
    change(conn, function(changes) changes:create("program", { name = "C", description = "c" }) end)
    lab:deliver(conn)
    local page = page_of(conn, "programs", "C")
    update(conn, "program", "C", { notion_page_id = "", disease = "of C" })
    change(conn, function(changes) changes:create("program", { name = "Z", notion_page_id = page }) end)
    local counts, events = lab:deliver(conn)
    assert.same({ 0, 1 }, { counts.dead, counts.created })
    assert.equal(0, #(lab:said(page).Disease or {}))
    for _, event in ipairs(events) do
      assert.no.matches("Disease", event.line)
    end
    assert.equal("of C", lab:said(page_of(conn, "programs", "C")).Disease[1])
  end)

  it("leaves a page alone that carries the id and is another entity's, and takes its own again", function()
    local a = change(conn, function(changes)
      changes:create("program", { name = "B" })
      return changes:create("program", { name = "A" })
    end)
    lab:deliver(conn)
    local own, copy = page_of(conn, "programs", "A"), copied("programs", "a copy", a.id)
    update(conn, "program", "B", { notion_page_id = copy })
    update(conn, "program", "A", { notion_page_id = "", description = "new" })
    local counts = lab:deliver(conn)
    assert.same({ 0, 1 }, { counts.dead, counts.adopted })
    assert.same({ false, false }, { lab:page(own).in_trash, lab:page(copy).in_trash })
    assert.same({ own, copy }, { page_of(conn, "programs", "A"), page_of(conn, "programs", "B") })
  end)

  it("puts no page into the trash that its entity had before it was unlinked and deleted", function()
    change(conn, function(changes)
      changes:create("program", { name = "A" })
      changes:create("program", { name = "B" })
      changes:create("program", { name = "E" })
    end)
    lab:deliver(conn)
    local of_b, of_e = page_of(conn, "programs", "B"), page_of(conn, "programs", "E")
    update(conn, "program", "B", { notion_page_id = "" })
    update(conn, "program", "E", { notion_page_id = "" })
    update(conn, "program", "A", { notion_page_id = of_b })
    change(conn, function(changes)
      changes:delete("program", "B")
      changes:delete("program", "E")
    end)
    assert.equal(0, lab:deliver(conn).dead)
    assert.same({ false, false }, { lab:page(of_b).in_trash, lab:page(of_e).in_trash })
    assert.equal(of_b, page_of(conn, "programs", "A"))
  end)

  it("refuses a page of another database, also when it has all the properties", function()
    local page = made_by_hand("experiments", "an experiment of theirs")
    change(conn, function(changes) changes:create("program", { name = "C", notion_page_id = page }) end)
    local policy = require("ligase.sync.policy").load()
    policy.entities.programs.properties = {}
    policy.entities.programs.by_name = {}
    local counts, events = lab:deliver(conn, { policy = policy })
    assert.equal(1, counts.dead)
    assert.matches("the page of program 'C' does not lie in the database of programs", events[1].line, 1, true)
    assert.equal("", lab:said(page)["Ligase ID"])
  end)

  it("says so when the page that a person linked cannot be seen", function()
    change(conn, function(changes) changes:create("program", { name = "T" }) end)
    lab:deliver(conn)
    local hidden = made_by_hand("programs", "hidden")
    hide(hidden, true)
    update(conn, "program", "T", { notion_page_id = hidden })
    local counts, events = lab:deliver(conn)
    assert.equal(1, counts.dead)
    assert.matches("ligase program update 'T' --notion-page ''", events[1].line, 1, true)
    assert.equal(hidden, page_of(conn, "programs", "T"))
  end)

  it("makes another page when one that cannot be seen is unlinked", function()
    change(conn, function(changes) changes:create("program", { name = "ALS" }) end)
    lab:deliver(conn)
    local first = page_of(conn, "programs", "ALS")
    hide(first, true)
    update(conn, "program", "ALS", { description = "x" })
    assert.equal(1, lab:deliver(conn).dead)
    update(conn, "program", "ALS", { notion_page_id = "" })
    outbox.try_again(conn)
    local counts = lab:deliver(conn)
    assert.same({ 0, 1 }, { counts.dead, counts.created })
    local second = page_of(conn, "programs", "ALS")
    assert.is_not.equal(first, second)
    assert.equal("x", lab:said(second).Description)
  end)

  it("finds the page that carries the id again, and makes no second one", function()
    local made = change(conn, function(changes)
      return changes:create("program", { name = "ALS", description = "d" })
    end)
    lab:deliver(conn)
    local page = page_of(conn, "programs", "ALS")
    update(conn, "program", "ALS", { notion_page_id = "", description = "e" })
    local counts, events = lab:deliver(conn)
    assert.same({ 1, 0 }, { counts.adopted, counts.created })
    for _, event in ipairs(events) do
      assert.is_not.equal("conflict", event.kind)
    end
    assert.equal(page, page_of(conn, "programs", "ALS"))
    assert.same({ page }, pages_with("programs", made.id))
    assert.equal("e", lab:said(page).Description)
  end)

  it("undoes a link to a page of another database", function()
    local program = made_by_hand("programs", "a program of theirs")
    change(conn, function(changes)
      changes:create("experiment", { name = "wrong", notion_page_id = program, programs = { "ALS" } })
    end)
    assert.equal(1, lab:deliver(conn).dead)
    update(conn, "experiment", "wrong", { notion_page_id = "" })
    local counts = lab:deliver(conn)
    assert.same({ 0, 1 }, { counts.dead, counts.created })
    assert.is_not.equal(program, page_of(conn, "experiments", "wrong"))
    assert.equal("", lab:said(program)["Ligase ID"])
  end)

  it("goes back to the page of before when the wrong one is unlinked", function()
    local made = change(conn, function(changes)
      return changes:create("experiment", { name = "E", programs = { "ALS" } })
    end)
    lab:deliver(conn)
    local page = page_of(conn, "experiments", "E")
    update(conn, "experiment", "E", { notion_page_id = made_by_hand("programs", "no experiment") })
    assert.equal(1, lab:deliver(conn).dead)
    update(conn, "experiment", "E", { notion_page_id = "" })
    assert.equal(0, lab:deliver(conn).dead)
    assert.equal(page, page_of(conn, "experiments", "E"))
    assert.same({ page }, pages_with("experiments", made.id))
  end)

  it("moves to another page that is linked, which may be one that was unlinked elsewhere", function()
    local page = made_by_hand("programs", "by hand")
    change(conn, function(changes)
      changes:create("program", { name = "A", notion_page_id = page })
      changes:create("program", { name = "B" })
    end)
    lab:deliver(conn)
    lab:edit(page, { ["Ligase ID"] = { rich_text = labs.json.array() } })
    update(conn, "program", "A", { notion_page_id = "" })
    update(conn, "program", "B", { notion_page_id = page })
    local counts = lab:deliver(conn)
    assert.same({ 0, 1 }, { counts.dead, counts.created })
    assert.same({ page, page }, { page_of(conn, "programs", "B"), one(conn,
      "SELECT page_id AS id FROM mirrors AS m JOIN programs AS p ON p.id = m.entity_id WHERE p.name = 'B'").id })
    assert.is_not.equal(page, page_of(conn, "programs", "A"))
  end)

  it("leaves a page alone that was unlinked before its entity was deleted", function()
    local page = made_by_hand("programs", "by hand")
    change(conn, function(changes) changes:create("program", { name = "A", notion_page_id = page }) end)
    lab:deliver(conn)
    lab:edit(page, { ["Ligase ID"] = { rich_text = labs.json.array() } })
    update(conn, "program", "A", { notion_page_id = "" })
    change(conn, function(changes) changes:delete("program", "A") end)
    lab:deliver(conn)
    assert.is_false(lab:page(page).in_trash)
  end)

  it("lets what refers to an unlinked entity wait for its new page", function()
    change(conn, function(changes) changes:create("experiment", { name = "E", programs = { "ALS" } }) end)
    lab:deliver(conn)
    hide(page_of(conn, "programs", "ALS"), true)
    update(conn, "program", "ALS", { notion_page_id = "" })
    update(conn, "experiment", "E", { description = "x" })
    conn:query "UPDATE outbox SET available_at = now() + interval '2 seconds' WHERE entity_type = 'programs'"
    local counts = lab:deliver(conn, { patience_s = 10 })
    assert.same({ 0, 1, 1, 1 }, { counts.dead, counts.created, counts.updated, counts.waits })
    assert.same({ page_of(conn, "programs", "ALS") }, table.move(lab:said(page_of(conn, "experiments", "E")).Programs,
      1, 9, 1, {}))
  end)

  it("lists the page of before as a duplicate, and puts it into the trash", function()
    change(conn, function(changes) changes:create("program", { name = "A" }) end)
    lab:deliver(conn)
    local before, page = page_of(conn, "programs", "A"), made_by_hand("programs", "by hand")
    update(conn, "program", "A", { notion_page_id = page })
    lab:deliver(conn)
    local comparison = reconcile.compare(conn, lab:relay(conn).target, "programs")
    local duplicates = {}
    for _, finding in ipairs(comparison.findings) do
      duplicates[#duplicates + 1] = finding.finding == "duplicate" and finding.page_id or nil
    end
    assert.same({ before }, duplicates)
  end)
end)

describe("a page that is another entity's", function()
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
    change(conn, function(changes)
      changes:create("program", { name = "ALS", notion_page_id = PAGE })
    end)
  end)

  local WHOSE = "the page " .. PAGE .. " is that of program 'ALS'. Link another page, or unlink this one there first: "
    .. "ligase program update 'ALS' --notion-page ''"

  local function refused(words)
    words.database = url
    local result = lab:ligase(words)
    assert.equal(2, result.code, result.stdout .. result.stderr)
    assert.is_truthy(result.stderr:find(WHOSE, 1, true), result.stderr)
  end

  it("is refused before a file is stored, and for every kind", function()
    local file = support.tmpfile("lipid,a\nPC 34:1,1\n", "plasma.csv")
    local ingest = { "ingest", "--omics", "lipidomics", "--notion-page-id", PAGE, file }
    refused(ingest)
    table.insert(ingest, 2, "--dry-run")
    refused(ingest)
    assert.equal(0, one(conn, "SELECT count(*) AS n FROM datasets").n)
    refused { "experiment", "create", "E", "--notion-page", PAGE }
    refused { "program", "create", "P", "--notion-page", PAGE }
    local done = lab:ligase { "ingest", "--omics", "lipidomics", file, database = url }
    assert.equal(0, done.code, done.stderr)
    refused { "dataset", "update", "plasma", "--notion-page", PAGE }
    done = lab:ligase { "program", "update", "ALS", "--notion-page", "", database = url }
    assert.equal(0, done.code, done.stderr)
    done = lab:ligase { "dataset", "update", "plasma", "--notion-page", PAGE, database = url }
    assert.equal(0, done.code, done.stderr)
    done = lab:ligase { "dataset", "update", "plasma", "--notion-page", PAGE, "--organism", "human", database = url }
    assert.equal(0, done.code, done.stderr)
  end)

  it("is refused within one set of records", function()
    local page = "0f0e0d0c-0b0a-0908-0706-050403020101"
    local done, failure = pcall(change, conn, function(changes)
      changes:upsert("program", { { name = "A", notion_page_id = page }, { name = "B", notion_page_id = page } })
    end)
    assert.is_false(done)
    assert.matches("the page " .. page .. " is that of program 'A'", tostring(failure), 1, true)
  end)

  it("is refused in the same words when both link it at the same time", function()
    local page = "0f0e0d0c-0b0a-0908-0706-050403020102"
    local file = support.tmpfile("lipid,a\nPC 34:1,1\n", "plasma.csv")
    conn:begin()
    conn:query("INSERT INTO datasets (id, omics_type, name, notion_page_id) VALUES ($1, 'lipidomics', 'first', $2)",
      sys.uuid7(), page)
    local said = support.tmpfile("", "said")
    local process <close> = sys.spawn({ host.executable, "ingest", "--omics", "lipidomics", "--notion-page-id", page,
      file }, { env = { POSTGRES_URL = url }, stdout = said .. ".out", stderr = said })
    local other <close> = pg.connect(url)
    support.wait_until("the other one waits", function()
      return one(other, "SELECT count(*) AS n FROM pg_locks WHERE NOT granted").n > 0
    end)
    conn:commit()
    assert.equal(2, process:wait().code)
    assert.matches("the page " .. page .. " is that of dataset 'lipidomics/first'", sys.read_file(said), 1, true)
  end)

  it("is said by the relay, with whose it is", function()
    change(conn, function(changes) changes:create("experiment", { name = "E" }) end)
    conn:query "UPDATE programs SET notion_page_id = NULL"
    conn:query "DELETE FROM outbox WHERE entity_type = 'programs'"
    local page = lab:ask("POST", "/v1/pages", { parent = { type = "data_source_id",
      data_source_id = lab.sources.experiments }, properties = {
        Name = { title = { { text = { content = "E" } } } } } }).id
    conn:query("UPDATE programs SET notion_page_id = $1", page)
    conn:query("INSERT INTO mirrors (entity_type, entity_id, page_id) SELECT 'programs', id, $1 FROM programs", page)
    conn:query("UPDATE experiments SET notion_page_id = $1", page)
    local counts, events = lab:deliver(conn)
    assert.equal(1, counts.dead)
    assert.matches("experiment 'E': the page " .. page .. " is that of program 'ALS'", events[#events].line, 1, true)
    assert.matches("ligase outbox --retry all", events[#events].line, 1, true)
  end)
end)
