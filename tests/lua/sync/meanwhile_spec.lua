local entities = require "ligase.store.entities"
local errors = require "ligase.base.errors"
local host = require "host"
local import = require "ligase.sync.import"
local labs = require "tests.lua.sync.lab"
local policy_of = require "ligase.sync.policy"
local reconcile = require "ligase.sync.reconcile"
local repair = require "ligase.sync.repair"
local support = require "tests.support"
local sys = require "sys"

local function rich(value)
  return { rich_text = { { text = { content = value } } } }
end

local function title(value)
  return { title = { { text = { content = value } } } }
end

--- A policy that takes what people wrote.
local function taking_policy()
  local policy = policy_of.load(support.workspace())
  for _, entity in pairs(policy.entities) do
    entity.phases.dual_write.conflict = "notion"
  end
  return policy
end

describe("what happens meanwhile, or by strangers,", function()
  local lab, conn

  setup(function()
    lab = labs.start()
  end)

  teardown(function()
    lab:close()
  end)

  before_each(function()
    conn = support.migrated()
    for _, entity_type in ipairs { "programs", "experiments", "compounds" } do
      for _, page in ipairs(lab:pages(entity_type)) do
        lab:ask("PATCH", "/v1/pages/" .. page.id, { in_trash = true })
      end
    end
  end)

  local function change(work)
    return (entities.change(conn, { command = "spec", outbox = true, create = true }, work))
  end

  local function update(name, fields)
    change(function(changes)
      changes:update("program", name, fields)
    end)
  end

  local function page_of(name)
    return conn:query("SELECT notion_page_id AS id FROM programs WHERE name = $1", name)[1].id
  end

  local function description(name)
    return conn:query("SELECT description FROM programs WHERE name = $1", name)[1].description
  end

  --- Programs with their pages.
  local function programs(...)
    local names = { ... }
    change(function(changes)
      for _, name in ipairs(names) do
        changes:create("program", { name = name, description = "old" })
      end
    end)
    lab:deliver(conn)
  end

  local function page(entity_type, properties)
    return lab:ask("POST", "/v1/pages", { parent = { type = "data_source_id",
      data_source_id = lab.sources[entity_type] }, properties = properties }).id
  end

  local function run(target)
    return import.run(conn, target or lab:relay(conn).target, { types = { "programs" }, all = true })[1]
  end

  --- Does something as soon as an import has listed its pages.
  local function target_with(work)
    local target = lab:relay(conn).target
    local blocks, is_done = target.client.blocks, false
    target.client.blocks = function(...)
      if not is_done then
        is_done = true
        work()
      end
      return blocks(...)
    end
    return target
  end

  it("an import does not take what a page said before the relay wrote it", function()
    programs("ALS")
    local report = run(target_with(function()
      update("ALS", { description = "new" })
      lab:deliver(conn)
    end))
    assert.equal(1, report.unchanged)
    assert.equal("new", description "ALS")
    lab:deliver(conn)
    assert.equal("new", lab:said(page_of "ALS").Description)
  end)

  it("an import leaves a page out that was written and put into the trash", function()
    programs("ALS", "FTD")
    local report = run(target_with(function()
      update("ALS", { description = "new" })
      lab:deliver(conn)
      lab:ask("PATCH", "/v1/pages/" .. page_of "ALS", { in_trash = true })
    end))
    assert.equal(1, report.unchanged)
    assert.equal("new", description "ALS")
  end)

  it("a repair leaves what was changed after the comparison", function()
    programs("ALS")
    lab:edit(page_of "ALS", { Description = rich "by hand" })
    for _, side in ipairs { "postgres", "notion" } do
      local target = lab:relay(conn).target
      local comparison = reconcile.compare(conn, target, "programs")
      assert.equal(1, comparison.counts.differing)
      update("ALS", { description = "new " .. side })
      repair.repair(conn, target, comparison, { side = side, overwrite = true })
      assert.equal(0, comparison.counts.fixed)
      assert.truthy(comparison.findings[1].details.note:find("it was changed", 1, true))
      lab:deliver(conn)
    end
    assert.equal("new notion", description "ALS")
    assert.equal("by hand", lab:said(page_of "ALS").Description)
  end)

  it("a page whose id another database gave is not put into the trash, and can be taken over", function()
    local id = "019a0000-0000-7000-8000-000000000001"
    local stranger = page("programs", { Name = title "another lab's", ["Ligase ID"] = rich(id) })
    local target = lab:relay(conn).target
    local comparison = reconcile.compare(conn, target, "programs")
    assert.equal(1, comparison.counts.extra)
    repair.repair(conn, target, comparison, { side = "notion", overwrite = true })
    assert.is_false(lab:page(stranger).in_trash)
    assert.truthy(comparison.findings[1].details.note:find("never gave", 1, true))
    repair.repair(conn, target, comparison, { side = "postgres" })
    assert.equal(id, conn:query("SELECT id FROM programs WHERE name = $1", "another lab's")[1].id)
  end)

  it("a relation to a page that is no entity's stays, also where the policy takes what people wrote", function()
    local policy = taking_policy()
    change(function(changes)
      changes:create("experiment", { name = "Mouse 7", programs = { "ALS" } })
    end)
    lab:deliver(conn, { policy = policy })
    local own = conn:query("SELECT notion_page_id AS id FROM experiments")[1].id
    local others = page("programs", { Name = title "a stranger" })
    lab:edit(own, { Programs = { relation = { { id = page_of "ALS" }, { id = others } } } })
    for round = 1, 2 do
      change(function(changes)
        changes:update("experiment", "Mouse 7", { description = "round " .. round })
      end)
      local _, events = lab:deliver(conn, { policy = policy })
      assert.truthy(events[1].line:find(others, 1, true))
      assert.equal(2, #lab:said(own).Programs)
      assert.equal("round " .. round, lab:said(own).Description)
    end
    run()
    change(function(changes)
      changes:update("experiment", "Mouse 7", { description = "round 3" })
    end)
    lab:deliver(conn, { policy = policy })
    lab:deliver(conn, { policy = policy })
    assert.equal(2, conn:query [[SELECT count(*) AS n FROM (SELECT program_id FROM experiments UNION
      SELECT program_id FROM program_experiments) AS p]][1].n)
    assert.equal(2, #lab:said(own).Programs)
  end)

  it("a value of the wrong type from the policy sets one change aside", function()
    local policy = policy_of.load(support.workspace())
    change(function(changes)
      changes:create("compound", { code = "C-1", name = "riluzole", molecular_weight = 5 })
      changes:create("compound", { code = "C-2", name = "edaravone", molecular_weight = 6 })
    end)
    lab:deliver(conn, { policy = policy })
    policy.entities.compounds.by_name["Molecular Weight"].write = function(value)
      return value == 7 and "n/a" or value
    end
    change(function(changes)
      changes:update("compound", "C-1", { molecular_weight = 7 })
      changes:update("compound", "C-2", { molecular_weight = 8 })
    end)
    local counts, events = lab:deliver(conn, { policy = policy })
    assert.same({ 1, 1 }, { counts.dead, counts.updated })
    assert.truthy(events[1].line:find("compound 'C-1': property 'Molecular Weight' of compounds is a number", 1, true))
    assert.truthy(events[1].line:find("then: ligase outbox --retry all", 1, true))
  end)

  it("a function of the policy that fails lets the changes of its type wait, and says where it is", function()
    local folder = support.workspace()
    sys.mkdir(folder .. "/recipes")
    local source = sys.read_file(host.home .. "/recipes/policy.lua")
    local bad = source:gsub('column = "description" },', 'column = "description",\n          write = function(v) '
      .. 'return v .. nil end },', 1)
    sys.write_file(folder .. "/recipes/policy.lua", bad)
    local _, line = bad:sub(1, bad:find("v .. nil", 1, true)):gsub("\n", "")
    programs("ALS", "FTD")
    update("ALS", { description = "new" })
    update("FTD", { description = "new" })
    change(function(changes) changes:create("compound", { code = "C-1" }) end)
    local counts, events = lab:deliver(conn, { policy = policy_of.load(folder) })
    assert.same({ 0, 1, 0 }, { counts.dead, counts.created, counts.updated })
    local blocked = {}
    for _, event in ipairs(events) do
      blocked[#blocked + 1] = event.kind == "blocked" and event.line or nil
    end
    assert.equal(1, #blocked)
    assert.truthy(blocked[1]:find(("/recipes/policy.lua:%d: program 'ALS': the write function of property "
      .. "'Description' of programs failed: attempt to concatenate a nil value"):format(line + 1), 1, true), blocked[1])
    assert.truthy(blocked[1]:find("All changes of programs wait", 1, true))
    sys.write_file(folder .. "/recipes/policy.lua", source)
    assert.equal(2, lab:deliver(conn, { policy = policy_of.load(folder) }).updated)
  end)

  it("names that were exchanged in Notion leave the import its other pages", function()
    programs("ALS", "FTD", "SMA")
    local als, ftd, sma = page_of "ALS", page_of "FTD", page_of "SMA"
    lab:edit(als, { Name = title "FTD" })
    lab:edit(ftd, { Name = title "ALS" })
    lab:edit(sma, { Description = rich "by hand" })
    local report = run()
    assert.same({ 1, 2 }, { report.updated, #report.problems })
    assert.truthy(report.problems[1].message:find("there is a program 'FTD' already", 1, true))
    assert.equal("by hand", description "SMA")
    local target = lab:relay(conn).target
    local comparison = reconcile.compare(conn, target, "programs")
    repair.repair(conn, target, comparison, { side = "postgres" })
    assert.same({ 2, 0 }, { comparison.counts.differing, comparison.counts.fixed })
  end)

  it("pages whose names differ in blanks around them are no one entity's", function()
    page("programs", { Name = title "ALS", Description = rich "the first" })
    page("programs", { Name = title "ALS ", Description = rich "the second" })
    local report = run()
    assert.same({ 1, 0, 1 }, { report.created, report.updated, #report.problems })
    assert.equal("the first", description "ALS")
    page("programs", { Name = title " ALS" })
    assert.equal(2, #run().problems)
  end)

  it("a number that no row of Postgres could be read with is refused", function()
    local done, failure = errors.try(change, function(changes)
      changes:create("compound", { code = "C-1", molecular_weight = 1e300 })
    end)
    assert.is_false(done)
    assert.truthy(failure.message:find("too large", 1, true))
  end)
end)
