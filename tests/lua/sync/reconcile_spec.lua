local entities = require "ligase.store.entities"
local labs = require "tests.lua.sync.lab"
local reconcile = require "ligase.sync.reconcile"
local reconciliations = require "ligase.store.reconciliations"
local repair = require "ligase.sync.repair"
local support = require "tests.support"
local sys = require "sys"

local function change(conn, work, is_told)
  return (entities.change(conn, { command = "spec", outbox = is_told ~= false, create = true }, work))
end

local function rich(value)
  return { rich_text = { { text = { content = value } } } }
end

describe("reconcile", function()
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
    for _, entity_type in ipairs { "programs", "experiments", "datasets" } do
      for _, page in ipairs(lab:pages(entity_type)) do
        lab:ask("PATCH", "/v1/pages/" .. page.id, { in_trash = true })
      end
    end
  end)

  local function target()
    return lab:relay(conn).target
  end

  local function compare(entity_type)
    return reconcile.compare(conn, target(), entity_type or "programs")
  end

  --- The counts that are not 0, and the findings as words.
  local function seen(comparison)
    local counts, words = {}, {}
    for name, count in pairs(comparison.counts) do
      counts[name] = count ~= 0 and count or nil
    end
    for i, finding in ipairs(comparison.findings) do
      words[i] = ("%s %s%s"):format(finding.finding, finding.details.name, finding.is_fixed and " fixed" or "")
    end
    table.sort(words)
    return counts, table.concat(words, ", ")
  end

  local function page_of(name)
    return conn:query("SELECT notion_page_id AS id FROM programs WHERE name = $1", name)[1].id
  end

  --- Programs with pages that say the same.
  local function programs(...)
    local names = { ... }
    change(conn, function(changes)
      for _, name in ipairs(names) do
        changes:create("program", { name = name, description = "about " .. name })
      end
    end)
    lab:deliver(conn)
  end

  it("finds nothing where both say the same", function()
    programs("A", "B", "C")
    assert.same({ entities = 3, pages = 3, equal = 3 }, (seen(compare())))
  end)

  it("tells what is missing, too many, twice, and what differs by side", function()
    programs("A", "B", "C", "D", "E")
    lab:ask("PATCH", "/v1/pages/" .. page_of "A", { in_trash = true })
    lab:edit(page_of "B", { Description = rich "by hand" })
    change(conn, function(changes) changes:update("program", "C", { description = "newer" }) end, false)
    lab:edit(page_of "D", { Description = rich "by hand" })
    change(conn, function(changes) changes:update("program", "D", { description = "newer" }) end, false)
    local source = { type = "data_source_id", data_source_id = lab.sources.programs }
    local id = conn:query("SELECT id FROM programs WHERE name = 'E'")[1].id
    lab:ask("POST", "/v1/pages", { parent = source, properties = { Name = { title = { { text = { content = "E" } } } },
      ["Ligase ID"] = rich(id) } })
    lab:ask("POST", "/v1/pages", { parent = source, properties = {
      Name = { title = { { text = { content = "hand-made" } } } } } })
    local comparison = compare()
    local counts, words = seen(comparison)
    assert.same({ entities = 5, pages = 6, equal = 1, missing = 1, differing = 3, duplicates = 1, extra = 1 }, counts)
    assert.equal("differing B, differing C, differing D, duplicate E, extra hand-made, missing A", words)
    local sides = {}
    for _, finding in ipairs(comparison.findings) do
      if finding.sides then
        sides[finding.details.name] = finding.sides.Description
      end
    end
    assert.same({ B = "notion", C = "postgres", D = "both" }, sides)
  end)

  it("looks once more at what was delivered meanwhile, though the relay's clock is hours behind", function()
    programs("A")
    local it, timestamp, told = target(), sys.timestamp, false
    local query = it.client.query
    it.client.query = function(...)
      local next_page = query(...)
      return function()
        local page = next_page()
        if page and not told then
          told = true
          change(conn, function(changes) changes:update("program", "A", { description = "newer" }) end)
          sys.timestamp = function() return timestamp(sys.now() - 3 * 3600) end -- luacheck: ignore
          lab:deliver(conn)
          sys.timestamp = timestamp -- luacheck: ignore
        end
        return page
      end
    end
    assert.same({ entities = 1, pages = 1, equal = 1 }, (seen(reconcile.compare(conn, it, "programs"))))
    assert.is_true(told)
  end)

  --- Notion, where something happens as soon as the first pages of a type are listed.
  local function target_with(work)
    local it, is_done = target(), false
    local query = it.client.query
    it.client.query = function(...)
      local next_page = query(...)
      return function()
        local page = next_page()
        if page and not is_done then
          is_done = true
          work()
        end
        return page
      end
    end
    return it
  end

  it("knows a page that the relay made while pages were read, and one that it took away", function()
    programs("A")
    change(conn, function(changes) changes:create("program", { name = "new" }) end)
    local it = target()
    local query = it.client.query
    it.client.query = function(...) -- it lists the page, which Postgres did not know when it began
      lab:deliver(conn)
      return query(...)
    end
    assert.same({ entities = 2, pages = 2, equal = 2 }, (seen(reconcile.compare(conn, it, "programs"))))

    local twin = lab:ask("POST", "/v1/pages", { parent = { type = "data_source_id",
      data_source_id = lab.sources.programs }, properties = { Name = { title = { { text = { content = "A" } } } },
      ["Ligase ID"] = rich(conn:query("SELECT id FROM programs WHERE name = 'A'")[1].id) } }).id
    assert.same({ entities = 2, pages = 3, equal = 2, duplicates = 1 }, (seen(compare())))
    it = target_with(function()
      change(conn, function(changes) changes:update("program", "A", { description = "newer" }) end)
      lab:deliver(conn)
      lab:ask("PATCH", "/v1/pages/" .. twin, { in_trash = true })
    end)
    assert.same({ entities = 2, pages = 2, equal = 2 }, (seen(reconcile.compare(conn, it, "programs"))))
  end)

  it("still tells a page that nobody knows when the relay is at work elsewhere", function()
    programs("A", "B")
    conn:query "UPDATE programs SET notion_page_id = NULL WHERE name = 'A'"
    conn:query "UPDATE mirrors SET page_id = NULL WHERE entity_id = (SELECT id FROM programs WHERE name = 'A')"
    local it = target_with(function()
      change(conn, function(changes) changes:update("program", "B", { description = "newer" }) end)
      lab:deliver(conn)
    end)
    local comparison = reconcile.compare(conn, it, "programs")
    assert.same({ entities = 2, pages = 2, equal = 1, differing = 1 }, (seen(comparison)))
    assert.equal("unlinked", comparison.findings[1].why)
  end)

  describe("of a reference that was left out", function()
    --- An experiment whose page was made while programs had no database.
    local function left_out()
      change(conn, function(changes)
        changes:create("program", { name = "A" })
        changes:create("experiment", { name = "E", programs = { "A" } })
      end)
      assert.equal(1, lab:deliver(conn, { settings = { NOTION_PROGRAMS_DB_ID = "" } }).created)
    end

    local function referred_to()
      return #lab:said(conn:query("SELECT notion_page_id AS id FROM experiments")[1].id).Programs
    end

    it("tells it when the page comes", function()
      left_out()
      assert.equal(0, referred_to())
      assert.same({ entities = 1, pages = 1, on_their_way = 1 }, (seen(compare "experiments")))
      local counts = lab:deliver(conn)
      assert.same({ 1, 1, 1 }, { counts.created, counts.updated, referred_to() })
      assert.same({ entities = 1, pages = 1, equal = 1 }, (seen(compare "experiments")))
    end)

    it("does not count as equal while the page is missing, and is repaired", function()
      left_out()
      conn:query "DELETE FROM outbox WHERE state = 'pending'" -- as when programs were not mirrored
      local comparison = compare "experiments"
      local counts, words = seen(comparison)
      assert.same({ entities = 1, pages = 1, differing = 1 }, counts)
      assert.equal("differing E", words)
      assert.equal("program 'A'", comparison.findings[1].details.waits_for)
      local result = lab:ligase { "reconcile", "--entity", "experiments", database = url }
      assert.equal(1, result.code)
      assert.matches("experiment 'E': it refers to program 'A', which has no page yet", result.stdout, 1, true)
      repair.repair(conn, target(), comparison, { side = "postgres" })
      assert.equal("differing E", select(2, seen(comparison)))
      repair.repair(conn, target(), comparison, { side = "notion" })
      assert.equal("differing E fixed", select(2, seen(comparison)))
      lab:deliver(conn)
      assert.equal(1, referred_to())
      assert.same({ entities = 1, pages = 1, equal = 1 }, (seen(compare "experiments")))
    end)

    it("tells it when another page takes the place of one that is gone", function()
      change(conn, function(changes)
        changes:create("experiment", { name = "E", programs = { "A" } })
      end)
      lab:deliver(conn)
      lab:ask("PATCH", "/v1/pages/" .. page_of "A", { in_trash = true })
      conn:query "UPDATE programs SET notion_page_id = 'aaaaaaaa-0000-4000-8000-000000000001'"
      conn:query "UPDATE mirrors SET page_id = 'aaaaaaaa-0000-4000-8000-000000000001' WHERE entity_type = 'programs'"
      repair.repair(conn, target(), compare "programs", { side = "notion" })
      lab:deliver(conn)
      assert.same({ page_of "A" }, table.move(lab:said(conn:query("SELECT notion_page_id AS id FROM experiments")[1].id)
        .Programs, 1, 9, 1, {}))
      assert.same({ entities = 1, pages = 1, equal = 1 }, (seen(compare "experiments")))
    end)

    it("tells it when the page is found by an import", function()
      left_out()
      conn:query "DELETE FROM outbox WHERE state = 'pending'"
      lab:ask("POST", "/v1/pages", { parent = { type = "data_source_id", data_source_id = lab.sources.programs },
        properties = { Name = { title = { { text = { content = "A" } } } } } })
      require("ligase.sync.import").run(conn, target(), { types = { "programs" } })
      lab:deliver(conn)
      assert.equal(1, referred_to())
    end)
  end)

  it("does not count what lies in the outbox", function()
    programs("A")
    change(conn, function(changes)
      changes:update("program", "A", { description = "on its way" })
      changes:create("program", { name = "new" })
    end)
    assert.same({ entities = 2, pages = 1, on_their_way = 2 }, (seen(compare())))
  end)

  it("does not take what was given up for being on its way, and tells it again when it repairs", function()
    programs("A")
    change(conn, function(changes) changes:update("program", "A", { description = "newer" }) end)
    conn:query [[UPDATE outbox SET state = 'dead', finished_at = now(), last_error = 'given up'
      WHERE state = 'pending']]
    local comparison = compare()
    assert.same({ entities = 1, pages = 1, differing = 1 }, (seen(comparison)))
    repair.repair(conn, target(), comparison, { side = "notion" })
    lab:deliver(conn)
    assert.equal("newer", lab:said(page_of "A").Description)
    assert.equal(0, conn:query("SELECT count(*) AS n FROM outbox WHERE state = 'dead'")[1].n)
  end)

  it("sees an entity that is deleted and its page still there", function()
    programs("A")
    change(conn, function(changes) changes:delete("program", "A") end)
    assert.same({ pages = 1, on_their_way = 1 }, (seen(compare())))
    conn:query "UPDATE outbox SET state = 'discarded', finished_at = now() WHERE state = 'pending'"
    local comparison = compare()
    assert.same("extra A", select(2, seen(comparison)))
    repair.repair(conn, target(), comparison, { side = "notion" })
    assert.same("extra A fixed", select(2, seen(comparison)))
    assert.same({}, (seen(compare())))
  end)

  it("repairs Notion where Postgres is newer, and leaves what people changed", function()
    programs("A", "B", "C", "E")
    lab:ask("PATCH", "/v1/pages/" .. page_of "A", { in_trash = true })
    lab:edit(page_of "B", { Description = rich "by hand" })
    change(conn, function(changes) changes:update("program", "C", { description = "newer" }) end, false)
    local id = conn:query("SELECT id FROM programs WHERE name = 'E'")[1].id
    lab:ask("POST", "/v1/pages", { parent = { type = "data_source_id", data_source_id = lab.sources.programs },
      properties = { Name = { title = { { text = { content = "E" } } } }, ["Ligase ID"] = rich(id) } })
    local comparison = compare()
    repair.repair(conn, target(), comparison, { side = "notion" })
    assert.equal("differing B, differing C fixed, duplicate E fixed, missing A fixed", select(2, seen(comparison)))
    lab:deliver(conn)
    assert.equal("newer", lab:said(page_of "C").Description)
    assert.equal("by hand", lab:said(page_of "B").Description)
    local counts, words = seen(compare())
    assert.same({ entities = 4, pages = 4, equal = 3, differing = 1 }, counts)
    assert.equal("differing B", words)

    comparison = compare()
    repair.repair(conn, target(), comparison, { side = "notion", overwrite = true })
    lab:deliver(conn)
    assert.equal("about B", lab:said(page_of "B").Description)
    assert.same({ entities = 4, pages = 4, equal = 4 }, (seen(compare())))
  end)

  it("makes a new page where the old one is gone for good", function()
    programs("A")
    local old = page_of "A"
    conn:query("UPDATE programs SET notion_page_id = 'aaaaaaaa-0000-4000-8000-000000000000'")
    conn:query("UPDATE mirrors SET page_id = 'aaaaaaaa-0000-4000-8000-000000000000'")
    lab:ask("PATCH", "/v1/pages/" .. old, { in_trash = true })
    local comparison = compare()
    repair.repair(conn, target(), comparison, { side = "notion" })
    assert.equal("missing A fixed", select(2, seen(comparison)))
    lab:deliver(conn)
    assert.not_equal(old, page_of "A")
    assert.same({ entities = 1, pages = 1, equal = 1 }, (seen(compare())))
  end)

  it("repairs Postgres where Notion is newer", function()
    programs("A", "B")
    lab:edit(page_of "A", { Description = rich "by hand", Disease = { multi_select = { { name = "ALS" } } } })
    change(conn, function(changes) changes:update("program", "B", { description = "newer" }) end, false)
    lab:ask("POST", "/v1/pages", { parent = { type = "data_source_id", data_source_id = lab.sources.programs },
      properties = { Name = { title = { { text = { content = "hand-made" } } } } } })
    local comparison = compare()
    repair.repair(conn, target(), comparison, { side = "postgres" })
    assert.equal("differing A fixed, differing B, extra hand-made fixed", select(2, seen(comparison)))
    local row = conn:query("SELECT description, disease FROM programs WHERE name = 'A'")[1]
    assert.same({ "by hand", "ALS" }, { row.description, row.disease[1] })
    assert.equal("newer", conn:query("SELECT description FROM programs WHERE name = 'B'")[1].description)
    assert.equal(1, conn:query("SELECT count(*) AS n FROM programs WHERE name = 'hand-made'")[1].n)

    repair.repair(conn, target(), compare(), { side = "postgres", overwrite = true })
    assert.equal("about B", conn:query("SELECT description FROM programs WHERE name = 'B'")[1].description)
    lab:deliver(conn) -- the page that was made by hand gets its id
    assert.same({ entities = 3, pages = 3, equal = 3 }, (seen(compare())))
  end)

  it("keeps its figures", function()
    programs("A", "B")
    lab:edit(page_of "A", { Description = rich "by hand" })
    local run = require("ligase.store.runs").new("reconcile", nil, {})
    reconciliations.write(conn, run, { phase = "dual_write" }, { compare() })
    local latest = reconciliations.latest(conn)[1]
    assert.same({ "programs", 2, 1, 1, 1 }, { latest.entity_type, latest.entities, latest.equal, latest.differing,
      latest.drift })
    local finding = conn:query("SELECT finding, details FROM reconciliation_findings")[1]
    assert.equal("by hand", finding.details.properties.Description.page)
  end)

  it("is a command", function()
    programs("A", "B")
    lab:edit(page_of "A", { Description = rich "by hand" })
    local result = lab:ligase { "reconcile", "--entity", "programs", database = url }
    assert.equal(1, result.code, result.stderr)
    assert.matches("differing  program 'A': Description is 'by hand' in Notion and 'about A' in Postgres "
      .. "(changed in Notion)", result.stdout, 1, true)
    result = lab:ligase { "reconcile", "--entity", "programs", "--fix", "postgres", database = url }
    assert.equal(0, result.code, result.stderr .. result.stdout)
    assert.matches("fixed      program 'A'", result.stdout, 1, true)
    result = lab:ligase { "reconcile", "--entity", "programs", "--format", "jsonl", database = url }
    assert.equal('{"entity":"programs","entities":2,"pages":2,"equal":2,"on their way":0,"missing":0,"extra":0,'
      .. '"differing":0,"duplicates":0,"fixed":0}\n', result.stdout)
    assert.equal(0, result.code)
    result = lab:ligase { "reconcile", "--overwrite", database = url }
    assert.equal(2, result.code)
    assert.equal("ligase: --overwrite goes with --fix. Say which side to repair: --fix notion, or --fix postgres\n",
      result.stderr)
  end)
end)
