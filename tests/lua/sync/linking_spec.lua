--- Pages that people link and unlink: which page is an entity's, and whose page one is.
local entities = require "ligase.store.entities"
local labs = require "tests.lua.sync.lab"
local outbox = require "ligase.store.outbox"
local support = require "tests.support"

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
end)
