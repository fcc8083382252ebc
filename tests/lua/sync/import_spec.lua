local entities = require "ligase.store.entities"
local import = require "ligase.sync.import"
local json = require "ligase.base.json"
local labs = require "tests.lua.sync.lab"
local mirrors = require "ligase.store.mirrors"
local narratives = require "ligase.store.narratives"
local reconcile = require "ligase.sync.reconcile"
local repair = require "ligase.sync.repair"
local rollback = require "ligase.store.rollback"
local support = require "tests.support"
local sys = require "sys"

local TYPES = { "programs", "experiments", "datasets", "signatures", "compounds" }

local function rich(value)
  return { rich_text = { { text = { content = value } } } }
end

local function title(value)
  return { title = { { text = { content = value } } } }
end

local function options(...)
  local list = {}
  for i, name in ipairs { ... } do
    list[i] = { name = name }
  end
  return { multi_select = list }
end

local function relation(...)
  local list = {}
  for i, id in ipairs { ... } do
    list[i] = { id = id }
  end
  return { relation = list }
end

local function paragraph(value)
  return { paragraph = { rich_text = { { text = { content = value } } } } }
end

describe("import notion", function()
  local lab, conn, url

  setup(function()
    lab = labs.start()
  end)

  teardown(function()
    lab:close()
  end)

  before_each(function()
    conn, url = support.migrated()
    for _, entity_type in ipairs(TYPES) do
      for _, page in ipairs(lab:pages(entity_type)) do
        lab:ask("PATCH", "/v1/pages/" .. page.id, { in_trash = true })
      end
    end
  end)

  --- The page's id.
  local function page(entity_type, properties, children)
    return lab:ask("POST", "/v1/pages", { parent = { type = "data_source_id",
      data_source_id = lab.sources[entity_type] }, properties = properties, children = children }).id
  end

  local function run(given, settings)
    given = given or {}
    given.types = given.types or TYPES
    return import.run(conn, lab:relay(conn, { settings = settings }).target, given)
  end

  local function counts(reports)
    local sums = {}
    for _, report in ipairs(reports) do
      for _, name in ipairs { "pages", "created", "updated", "unchanged", "skipped", "bodies", "deleted" } do
        sums[name] = (sums[name] or 0) + report[name]
      end
      for _, name in ipairs { "conflicts", "problems", "notes", "trashed" } do
        sums[name] = (sums[name] or 0) + #report[name]
      end
    end
    for name, sum in pairs(sums) do
      sums[name] = sum ~= 0 and sum or nil
    end
    return sums
  end

  local function one(sql, ...)
    return conn:query(sql, ...)[1]
  end

  --- Two programs, two experiments, a dataset: pages as the lab had them before ligase.
  local function old_lab()
    local als = page("programs", { Name = title "ALS", Description = rich "motor neurons",
      Disease = options("ALS", "FTD") }, { paragraph "What we know so far.", paragraph "And what we do not." })
    local ageing = page("programs", { Name = title "Ageing" })
    local mouse = page("experiments", { Name = title "Mouse 7", Programs = relation(als, ageing),
      Stage = { select = { name = "preclinical" } } })
    local plasma = page("datasets", { Name = title "plasma", ["Omics Type"] = { select = { name = "lipidomics" } },
      Organism = options "Homo sapiens", Programs = relation(als), Experiments = relation(mouse) })
    return { als = als, ageing = ageing, mouse = mouse, plasma = plasma }
  end

  it("takes over entities, what they are linked to, and the texts of pages", function()
    local ids = old_lab()
    assert.same({ pages = 4, created = 4, bodies = 1 }, counts(run()))
    local als = one "SELECT * FROM programs WHERE name = 'ALS'"
    assert.same({ ids.als, "motor neurons", "ALS", "FTD" },
      { als.notion_page_id, als.description, als.disease[1], als.disease[2] })
    assert.equal("What we know so far.\n\nAnd what we do not.",
      (narratives.of(conn, "programs", als.id):gsub("%s+$", "")))
    assert.same({ "ALS", "preclinical", 1 }, { one([[SELECT p.name AS n FROM experiments AS e
      JOIN programs AS p ON p.id = e.program_id]]).n, one("SELECT stage FROM experiments").stage,
      one("SELECT count(*) AS n FROM program_experiments").n })
    local plasma = one [[SELECT d.omics_type, p.name AS program, e.name AS experiment FROM datasets AS d
      JOIN programs AS p ON p.id = d.program_id JOIN experiments AS e ON e.id = d.experiment_id]]
    assert.same({ "lipidomics", "ALS", "Mouse 7" }, { plasma.omics_type, plasma.program, plasma.experiment })
  end)

  it("changes nothing when nothing was changed", function()
    old_lab()
    run()
    local runs = one("SELECT count(*) AS n FROM runs WHERE outcome = 'done'").n
    local before = one("SELECT md5(string_agg(t::text, '' ORDER BY id)) AS h FROM programs AS t").h
    local again = counts(run { all = true })
    assert.same({ pages = 4, unchanged = 4 }, again)
    assert.equal(runs, one("SELECT count(*) AS n FROM runs WHERE outcome = 'done'").n)
    assert.equal(before, one("SELECT md5(string_agg(t::text, '' ORDER BY id)) AS h FROM programs AS t").h)
  end)

  it("gives the pages their ids through the outbox, after which both sides are the same", function()
    local ids = old_lab()
    run()
    assert.equal(4, one("SELECT count(*) AS n FROM outbox WHERE state = 'pending'").n)
    lab:deliver(conn)
    assert.equal(one("SELECT id FROM programs WHERE name = 'ALS'").id, lab:said(ids.als)["Ligase ID"])
    for _, entity_type in ipairs { "programs", "experiments", "datasets" } do
      local compared = reconcile.compare(conn, lab:relay(conn).target, entity_type)
      assert.equal(compared.counts.entities, compared.counts.equal)
    end
  end)

  it("can be taken back, texts included, and done again", function()
    old_lab()
    run()
    local function all()
      return one([[SELECT (SELECT string_agg(t::text, '' ORDER BY id) FROM programs AS t)
        || (SELECT string_agg(t::text, '' ORDER BY entity_id) FROM narratives AS t) AS rows]]).rows
    end
    local before = all()
    local undone = rollback.run(conn, { runs = { "last" } }, { cascade = true })
    local id = one("SELECT id FROM runs WHERE command = 'import notion' AND arguments ->> 'entity' = 'programs'").id
    local report = rollback.run(conn, { runs = { id } }, { cascade = true })
    assert.same({ 0, 0 }, { one("SELECT count(*) AS n FROM programs").n,
      one("SELECT count(*) AS n FROM narratives").n })
    for i = #report.rollbacks, 1, -1 do
      rollback.run(conn, { runs = { report.rollbacks[i].id } }, { cascade = true })
    end
    assert.equal(before, all())
    assert.equal(1, #undone.rollbacks)
  end)

  it("takes what was edited, and only that", function()
    local ids = old_lab()
    run()
    lab:deliver(conn)
    lab:edit(ids.als, { Description = rich "upper and lower motor neurons" })
    entities.change(conn, { command = "spec" }, function(changes)
      changes:update("program", "ALS", { disease = "ALS" }) -- was not delivered
    end)
    assert.same({ pages = 2, updated = 1, unchanged = 1 }, counts(run { types = { "programs" } }))
    local als = one "SELECT description, disease FROM programs WHERE name = 'ALS'"
    assert.same({ "upper and lower motor neurons", 1 }, { als.description, #als.disease })
  end)

  --- Runs with this machine's clock put forward (or back).
  local function with_clock(ahead_s, work)
    local now, timestamp = sys.now, sys.timestamp
    sys.now = function() return now() + ahead_s end -- luacheck: ignore
    sys.timestamp = function(seconds) return timestamp(seconds or sys.now()) end -- luacheck: ignore
    local done, problem = pcall(work)
    sys.now, sys.timestamp = now, timestamp -- luacheck: ignore
    assert(done, problem)
  end

  it("misses no second edit within a minute when this machine's clock is wrong", function()
    for _, ahead_s in ipairs { 3 * 3600, -3 * 3600 } do
      local id = page("programs", { Name = title("clock " .. ahead_s), Description = rich "first" })
      with_clock(ahead_s, function()
        run { types = { "programs" } }
        lab:edit(id, { Description = rich "second" })
        run { types = { "programs" } }
      end)
      assert.equal("second", one("SELECT description FROM programs WHERE notion_page_id = $1", id).description)
    end
  end)

  it("passes over what was taken long enough after its last edit, by Notion's clock", function()
    local fast <close> = setmetatable({ lab = labs.start { clock = 600 } }, { -- ten minutes in a second
      __close = function(self) self.lab:close() end })
    fast.lab:ask("POST", "/v1/pages", { parent = { type = "data_source_id",
      data_source_id = fast.lab.sources.programs }, properties = { Name = title "old" } })
    local function import_again()
      return counts(import.run(conn, fast.lab:relay(conn).target, { types = { "programs" } }))
    end
    assert.same({ pages = 1, created = 1 }, import_again())
    sys.sleep(0.5)
    assert.same({ pages = 1, unchanged = 1 }, import_again())
    assert.same({ pages = 1, skipped = 1 }, import_again())
  end)

  describe("of a property that was removed", function()
    local ids

    local function descriptions()
      return one("SELECT count(description) AS n FROM programs").n
    end

    local function set_description(definition)
      lab:ask("PATCH", "/v1/data_sources/" .. lab.sources.programs, { properties = { Description = definition } })
    end

    before_each(function()
      ids = {}
      for i = 1, 6 do
        ids[i] = page("programs", { Name = title("P" .. i), Description = rich("about " .. i) })
      end
      run { types = { "programs" } }
      lab:deliver(conn)
    end)

    it("takes nothing while it is missing", function()
      set_description(labs.json.null)
      local done, failure = pcall(run, { types = { "programs" }, all = true })
      set_description { rich_text = {} }
      assert.is_false(done)
      assert.matches("'Description' (rich_text) is missing", failure.message, 1, true)
      assert.equal(6, descriptions())
    end)

    it("keeps the values when it was made again, and empties them only when asked to", function()
      set_description(labs.json.null)
      set_description { rich_text = {} }
      lab:edit(ids[1], { Description = rich "written anew" })
      local report = run({ types = { "programs" }, all = true })[1]
      assert.same({ 1, 0, 6 }, { report.updated, #report.problems, descriptions() })
      assert.equal("written anew", one("SELECT description FROM programs WHERE name = 'P1'").description)
      assert.same({ "Description", 5 }, { report.held[1].property, report.held[1].pages })
      assert.equal("1 of the 6 pages that had a value still has one", report.held[1].message)
      assert.equal(0, one("SELECT count(*) AS n FROM outbox WHERE state = 'pending'").n)
      report = run({ types = { "programs" } })[1] -- what was held is looked at again
      assert.equal(5, report.held[1].pages)
      report = run({ types = { "programs" }, allow_empty = true })[1]
      assert.same({ 5, 0, 1 }, { report.updated, #report.held, descriptions() })
    end)

    it("keeps them in a repair, too", function()
      set_description(labs.json.null)
      set_description { rich_text = {} }
      local target = lab:relay(conn).target
      local comparison = reconcile.compare(conn, target, "programs")
      assert.equal(6, comparison.counts.differing)
      repair.repair(conn, target, comparison, { side = "postgres" })
      assert.equal(6, descriptions())
      assert.matches("'Description' is empty on this page and most others", comparison.findings[1].details.note, 1,
        true)
      repair.repair(conn, target, reconcile.compare(conn, target, "programs"), { side = "notion", overwrite = true })
      lab:deliver(conn)
      assert.equal("about 3", lab:said(ids[3]).Description)
    end)

    it("takes what people emptied page by page", function()
      lab:edit(ids[2], { Description = { rich_text = labs.json.array() } })
      assert.equal(1, run({ types = { "programs" } })[1].updated)
      assert.equal(5, descriptions())
    end)
  end)

  it("keeps a conflict with a page that was linked later, however often it is run", function()
    entities.change(conn, { command = "spec", outbox = true }, function(changes)
      changes:create("program", { name = "R", description = "of Postgres" })
    end)
    lab:deliver(conn)
    local id = page("programs", { Name = title "R", Description = rich "of people" })
    entities.change(conn, { command = "spec", outbox = true }, function(changes)
      changes:update("program", "R", { notion_page_id = id })
    end)
    for _ = 1, 3 do
      run()
      assert.equal("of Postgres", one("SELECT description FROM programs").description)
      assert.equal("of people", lab:said(id).Description)
    end
  end)

  it("leaves a conflict that a delivery found where it is listed, until both sides say the same", function()
    entities.change(conn, { command = "spec", outbox = true }, function(changes)
      changes:create("program", { name = "R", description = "first" })
    end)
    lab:deliver(conn)
    local id = one("SELECT notion_page_id AS id FROM programs").id
    lab:edit(id, { Description = rich "by people" })
    entities.change(conn, { command = "spec", outbox = true }, function(changes)
      changes:update("program", "R", { description = "by ligase" })
    end)
    lab:deliver(conn)
    local function listed()
      return #mirrors.conflicts(conn, 10)
    end
    assert.equal(1, listed())
    run { all = true }
    assert.equal(1, listed())
    lab:edit(id, { Description = rich "by ligase" })
    run { all = true }
    assert.equal(0, listed())
  end)

  describe("of what only shows what ligase reckons", function()
    local function old_dataset()
      return page("datasets", { Name = title "old data", ["Omics Type"] = { select = { name = "lipidomics" } },
        Rows = { number = 77 }, Source = rich "written by Ann.csv" })
    end

    local function kept(id)
      local said = lab:said(id)
      return { said.Rows, said.Source }
    end

    local function compared()
      local sums = reconcile.compare(conn, lab:relay(conn).target, "datasets").counts
      return { sums.entities, sums.equal }
    end

    --- The dataset's first revision, by its file.
    local function ingest()
      local file = support.tmpfile("lipid,a,b\nPC 34:1,2,3\nPE 36:2,4,5\n", "plasma.csv")
      local result = lab:ligase { "ingest", "--omics", "lipidomics", "--name", "old data", file, database = url }
      assert.equal(0, result.code, result.stderr)
    end

    it("leaves in Notion what people wrote, as long as Postgres has no value for it", function()
      local id = old_dataset()
      run()
      lab:deliver(conn)
      assert.equal(one("SELECT id FROM datasets").id, lab:said(id)["Ligase ID"])
      assert.same({ 77, "written by Ann.csv" }, kept(id))
      assert.same({ 1, 1 }, compared())
      for _, description in ipairs { "one", "two" } do
        entities.change(conn, { command = "spec", outbox = true }, function(changes)
          changes:update("dataset", "old data", { description = description })
        end)
        local _, events = lab:deliver(conn)
        assert.equal("delivered", events[1].kind)
        run()
      end
      assert.same({ 77, "written by Ann.csv" }, kept(id))
      assert.equal("two", lab:said(id).Description)
      assert.same({ 1, 1 }, compared())
      local result = lab:ligase { "outbox", database = url }
      assert.not_matches("conflict", result.stdout, 1, true)
    end)

    it("has it forgotten with the property, and tells the first value then", function()
      local id = old_dataset()
      run()
      lab:deliver(conn)
      lab:edit(id, { Rows = { number = json.null } })
      assert.equal(1, mirrors.forget_property(conn, "datasets", "Rows", mirrors.now_s(conn)))
      ingest()
      local _, events = lab:deliver(conn)
      for _, event in ipairs(events) do
        assert.is_not.equal("conflict", event.kind)
      end
      assert.equal(2, lab:said(id).Rows)
    end)

    it("leaves it in Notion whatever is done with edits, and after a repair", function()
      local policy = require("ligase.sync.policy").load(support.workspace())
      for _, conflict in ipairs { "show", "postgres", "notion" } do
        local id = old_dataset()
        local target = lab:relay(conn).target
        repair.repair(conn, target, reconcile.compare(conn, target, "datasets"), { side = "postgres" })
        policy.entities.datasets.phases.dual_write.conflict = conflict
        lab:deliver(conn, { policy = policy })
        assert.same({ 77, "written by Ann.csv" }, kept(id))
        lab:ask("PATCH", "/v1/pages/" .. id, { in_trash = true })
        conn:query "DELETE FROM datasets"
        conn:query "DELETE FROM mirrors"
      end
    end)

    it("tells the values of the first revision, and shows what people changed in between", function()
      local id = old_dataset()
      run()
      lab:deliver(conn)
      lab:edit(id, { Source = rich "corrected by Ann.csv" })
      ingest()
      run()
      local _, events = lab:deliver(conn)
      assert.same({ 2, "corrected by Ann.csv" }, kept(id))
      assert.same({ "note", "conflict" }, { events[1].kind, events[2].kind })
      assert.equal("dataset 'old data': 'Rows' said 77 in Notion, and says 2 now, which Postgres knows since",
        events[1].line)
      local last = one "SELECT payload -> 'overwritten' ->> 'Rows' AS n FROM outbox ORDER BY id DESC LIMIT 1"
      assert.equal(77, tonumber(last.n))
      assert.matches("'Source' was changed in Notion to 'corrected by Ann.csv', and should be 'plasma.csv'",
        events[2].line, 1, true)
    end)
  end)

  it("shows what was changed on both sides; Notion wins where it is written first", function()
    local ids = old_lab()
    run()
    lab:deliver(conn)
    local function diverge(a, b)
      lab:edit(ids.als, { Description = rich(a) })
      entities.change(conn, { command = "spec" }, function(changes)
        changes:update("program", "ALS", { description = b })
      end)
    end
    diverge("by hand", "by ligase")
    local reports = run { types = { "programs" } }
    assert.same({ pages = 2, unchanged = 2, conflicts = 1 }, counts(reports))
    assert.same({ "ALS", "Description", "by hand", "by ligase" }, { reports[1].conflicts[1].name,
      reports[1].conflicts[1].property, reports[1].conflicts[1].page, reports[1].conflicts[1].postgres })
    assert.equal("by ligase", one("SELECT description FROM programs WHERE name = 'ALS'").description)
    run({ types = { "programs" } }, { USE_POSTGRES_AS_SOT = "false", ENABLE_DUAL_WRITE = "false" })
    assert.equal("by hand", one("SELECT description FROM programs WHERE name = 'ALS'").description)
  end)

  it("finds an entity of the same name, and one by the id that its page carries", function()
    local made = entities.change(conn, { command = "spec" }, function(changes)
      return changes:create("program", { name = "ALS", description = "ours" })
    end)
    local wanted = "01900000-0000-7000-8000-000000000001"
    page("programs", { Name = title "ALS", Description = rich "theirs", Disease = options "ALS" })
    page("programs", { Name = title "new", ["Ligase ID"] = rich(wanted) })
    local reports = run { types = { "programs" } }
    assert.same({ pages = 2, created = 1, updated = 1, conflicts = 1 }, counts(reports))
    local als = one "SELECT id, description, disease FROM programs WHERE name = 'ALS'"
    assert.same({ made.id, "ours", "ALS" }, { als.id, als.description, als.disease[1] })
    assert.equal(wanted, one("SELECT id FROM programs WHERE name = 'new'").id)
  end)

  it("leaves out pages that cannot be taken, with the reason, and takes the others", function()
    page("programs", { Name = title "twice" })
    page("programs", { Name = title "twice" })
    page("programs", { Name = title "" })
    page("programs", { Name = title "well" })
    page("datasets", { Name = title "no type" })
    local reports = run { types = { "programs", "datasets" } }
    assert.same({ pages = 5, created = 2, problems = 3 }, counts(reports))
    local messages = {}
    for _, report in ipairs(reports) do
      for _, problem in ipairs(report.problems) do
        messages[#messages + 1] = problem.message
      end
    end
    local all = table.concat(messages, "\n")
    for _, message in ipairs { "the dataset has no omics_type", "program 'twice' has another page already",
      "the program has no name" } do
      assert.matches(message, all, 1, true)
    end
  end)

  it("says of a copied page what makes it one", function()
    page("programs", { Name = title "ALS" })
    run { types = { "programs" } }
    lab:deliver(conn)
    page("programs", { Name = title "ALS copy", ["Ligase ID"] = rich(one("SELECT id FROM programs").id) })
    local problem = run({ types = { "programs" } })[1].problems[1]
    assert.matches("program 'ALS' has another page already", problem.message, 1, true)
    assert.matches("empty the property 'Ligase ID'", problem.hint, 1, true)
  end)

  it("keeps a reference to a page that is no entity's", function()
    local elsewhere = page("programs", { Name = title "will be gone" })
    page("experiments", { Name = title "E", Programs = relation(elsewhere) })
    lab:ask("PATCH", "/v1/pages/" .. elsewhere, { in_trash = true })
    local reports = run { types = { "programs", "experiments" } }
    assert.same({ pages = 1, created = 1, notes = 1 }, counts(reports))
    lab:deliver(conn)
    assert.equal(elsewhere, lab:said(one("SELECT notion_page_id AS id FROM experiments").id).Programs[1])
  end)

  it("sees pages that were put into the trash, and deletes their entities when asked to", function()
    local ids = old_lab()
    run()
    lab:deliver(conn)
    lab:ask("PATCH", "/v1/pages/" .. ids.ageing, { in_trash = true })
    lab:ask("PATCH", "/v1/pages/" .. ids.plasma, { in_trash = true })
    local reports = run()
    assert.equal(2, counts(reports).trashed)
    assert.equal("its page lies in Notion's trash", reports[1].trashed[1].message)
    assert.equal(2, one("SELECT count(*) AS n FROM programs").n)
    reports = run { delete = true }
    assert.same({ 1, 1 }, { counts(reports).deleted, counts(reports).trashed })
    assert.matches("its page lies in Notion's trash; ", reports[1].trashed[1].message, 1, true)
    assert.equal(0, one("SELECT count(*) AS n FROM datasets").n)
  end)

  it("reads relations past 25", function()
    local ids = {}
    for i = 1, 30 do
      ids[i] = page("programs", { Name = title("P" .. i) })
    end
    page("experiments", { Name = title "all", Programs = relation(table.unpack(ids)) })
    run { types = { "programs", "experiments" } }
    assert.equal(29, one("SELECT count(*) AS n FROM program_experiments").n) -- the first one stands in the row
  end)

  it("leaves out a page whose body is not found, and takes the others", function()
    local ids = old_lab()
    local target = lab:relay(conn).target
    local blocks = target.client.blocks
    target.client.blocks = function(client, id, given)
      if id == ids.als then
        lab:ask("POST", "/_standin/hide", { id = id, hidden = true }) -- it was listed before
      end
      return blocks(client, id, given)
    end
    local report = import.run(conn, target, { types = { "programs" } })
    assert.same({ pages = 2, created = 1, problems = 1 }, counts(report))
    assert.same({ "ALS", ids.als }, { report[1].problems[1].name, report[1].problems[1].page_id })
    assert.matches("cannot read the blocks of the body of 'ALS' in Notion: Could not find",
      report[1].problems[1].message, 1, true)
    lab:ask("POST", "/_standin/hide", { id = ids.als, hidden = false })
    assert.is_nil(counts(run { types = { "programs" } }).problems)
    assert.equal(ids.als, one("SELECT notion_page_id AS id FROM programs WHERE name = 'ALS'").id)
  end)

  it("is a command, which also works while Notion is written first", function()
    old_lab()
    local result = lab:ligase { "import", "notion", "--dry-run", database = url }
    assert.equal(0, result.code, result.stderr)
    assert.matches("programs: 2 pages (dry run)\n  entities  2 new", result.stdout, 1, true)
    assert.equal(0, one("SELECT count(*) AS n FROM programs").n)
    result = lab:ligase { "import", "notion", "--database", "programs", database = url,
      env = { USE_POSTGRES_AS_SOT = "false", ENABLE_DUAL_WRITE = "false" } }
    assert.equal(0, result.code, result.stderr)
    assert.equal(2, one("SELECT count(*) AS n FROM programs").n)
    for _, word in ipairs { "exp_data", "NOTION_EXP_DATA_DB_ID", "datasets" } do
      result = lab:ligase { "import", "notion", "--dry-run", "--database", word, database = url }
      assert.matches("^datasets: 1 page %(dry run%)", result.stdout, nil, result.stderr)
      assert.is_nil(result.stdout:find("programs:", 1, true))
    end
    result = lab:ligase { "import", "notion", "--database", "exp_date", database = url }
    assert.equal(2, result.code)
    assert.matches("no type has a Notion database 'exp_date'.*The types: programs", result.stderr)
    result = lab:ligase { "import", "notion", "--map", "x", database = url }
    assert.same({ 2, "ligase: import notion takes no --map. See: ligase import --help\n" },
      { result.code, result.stderr })
    result = lab:ligase { "import", "notion", "--since", "yesterday", database = url }
    assert.equal(2, result.code)
  end)
end)
