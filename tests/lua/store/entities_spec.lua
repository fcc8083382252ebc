local entities = require "ligase.store.entities"
local errors = require "ligase.base.errors"
local json = require "ligase.base.json"
local pg = require "pg"
local support = require "tests.support"

local function one(conn, sql, ...)
  return conn:query(sql, ...)[1]
end

local function change(conn, work, options)
  options = options or {}
  options.command = options.command or "spec"
  return entities.change(conn, options, work)
end

local function create(conn, kind, fields, options)
  return (change(conn, function(changes)
    return changes:create(kind, fields)
  end, options))
end

local function update(conn, kind, wanted, fields, options)
  return change(conn, function(changes)
    return changes:update(kind, wanted, fields)
  end, options)
end

local function delete(conn, kind, wanted, options)
  return change(conn, function(changes)
    return changes:delete(kind, wanted, options)
  end)
end

local function refused(code, fn, ...)
  local done, failure = pcall(fn, ...)
  assert.is_false(done, "it was not refused")
  assert.is_true(errors.is(failure), tostring(failure))
  assert.equal(code, failure.code, tostring(failure))
  return failure
end

local function last_run(conn)
  return one(conn, "SELECT * FROM runs ORDER BY id DESC LIMIT 1")
end

describe("an entity", function()
  it("is made with its fields, and journalled", function()
    local conn = support.migrated()
    local made = create(conn, "program", { name = " ALS ", description = "two\nlines",
      disease = "ALS; FTD|ALS", external_ids = { benchling = "b1" } }, { command = "program create" })
    assert.equal("created", made.outcome)
    local row = one(conn, "SELECT * FROM programs")
    assert.same({ made.id, "ALS", "two\nlines", { "ALS", "FTD" }, "b1", pg.null },
      { row.id, row.name, row.description, row.disease, row.external_ids.benchling, row.notion_page_id })
    local run = last_run(conn)
    assert.same({ "program create", "done", 1 }, { run.command, run.outcome, run.counts.created })
    assert.same({ table = "programs", id = made.id, before = json.null }, run.changes[1])
    assert.equal(0, one(conn, "SELECT count(*) AS n FROM outbox").n)
  end)

  it("is refused when its name is taken, empty, or no name", function()
    local conn = support.migrated()
    create(conn, "program", { name = "ALS" })
    local failure = refused("exists", create, conn, "program", { name = "ALS" })
    assert.matches("there is a program 'ALS' already", failure.message)
    assert.equal(1, failure.record)
    refused("value", create, conn, "program", {})
    refused("value", create, conn, "program", { name = "  " })
    refused("value", create, conn, "program", { name = "a\nb" })
    refused("value", create, conn, "program", { name = "a\xFF" })
    refused("value", create, conn, "program", { name = ("x"):rep(1001) })
    assert.equal(1, one(conn, "SELECT count(*) AS n FROM programs").n)
    assert.equal(1, one(conn, "SELECT count(*) AS n FROM runs").n)
  end)

  it("has only the fields of its kind; the nearest is named", function()
    local conn = support.migrated()
    local failure = refused("field", create, conn, "program", { name = "A", diseas = "x" })
    assert.matches("Did you mean 'disease'%?", failure.hint)
    assert.equal("diseas", failure.field)
    assert.matches("There is no kind", (tostring(refused("entity_kind", create, conn, "progam", {})):gsub("'.*' is no",
      "There is no")))
  end)

  it("is changed in the fields given, with the row as it was in the journal", function()
    local conn = support.migrated()
    local id = create(conn, "experiment", { name = "E", stage = "discovery", disease = { "ALS" },
      design = { dose = "1 mM" }, sample_groups = { case = { "s1", "s2" }, control = "s3, s4" },
      external_ids = { a = "1", b = "2" } }).id
    local _, outcome = update(conn, "experiment", "E", { stage = "preclinical", design = "dose=2 mM; time=1 h",
      external_ids = { b = json.null, c = "3" } })
    assert.equal("done", outcome)
    local row = one(conn, "SELECT * FROM experiments")
    assert.same({ "preclinical", { "ALS" }, { dose = "2 mM", time = "1 h" }, { a = "1", c = "3" } },
      { row.stage, row.disease, row.design, row.external_ids })
    assert.same({ "s3", "s4" }, setmetatable(row.sample_groups.control, nil))
    local before = last_run(conn).changes[1].before
    assert.same({ id, "discovery", "1 mM", "2" },
      { before.id, before.stage, before.design.dose, before.external_ids.b })
    update(conn, "experiment", "E", { stage = json.null, disease = "", name = "F" })
    row = one(conn, "SELECT * FROM experiments")
    assert.same({ pg.null, {}, "F" }, { row.stage, setmetatable(row.disease, nil), row.name })
  end)

  it("that is given what it has is unchanged, and so is the journal's outcome", function()
    local conn = support.migrated()
    local fields = { code = "C-1", name = "aspirin", smiles = "CC(=O)Oc1ccccc1C(=O)O", pubchem_cid = 2244,
      molecular_weight = 180.16, exact_mass = "180.0423", attributes = { salt = "none" }, cas_number = "50-78-2" }
    create(conn, "compound", fields)
    local updated_at = one(conn, "SELECT updated_at FROM compounds").updated_at
    local result, outcome = change(conn, function(changes)
      return changes:upsert("compound", { fields })
    end)
    assert.same({ "unchanged", "unchanged" }, { result[1].outcome, outcome })
    assert.equal("unchanged", last_run(conn).outcome)
    assert.equal(updated_at, one(conn, "SELECT updated_at FROM compounds").updated_at)
  end)

  it("is told to the outbox when asked", function()
    local conn = support.migrated()
    local id = create(conn, "program", { name = "A" }, { outbox = true }).id
    update(conn, "program", "A", { description = "x" }, { outbox = true })
    update(conn, "program", "A", { description = "x" }, { outbox = true })
    local rows = conn:query("SELECT entity_type, entity_id, action, run_id FROM outbox ORDER BY id")
    assert.equal(2, #rows)
    assert.same({ "programs", id, "create" }, { rows[1].entity_type, rows[1].entity_id, rows[1].action })
    assert.equal("update", rows[2].action)
  end)

  it("comes by the thousand in one transaction", function()
    local conn = support.migrated()
    local list = {}
    for i = 1, 2500 do
      list[i] = { code = "C-" .. i, name = "compound " .. i, molecular_weight = i / 7 }
    end
    local function all(changes)
      return changes:upsert("compound", list)
    end
    change(conn, all)
    assert.equal(2500, one(conn, "SELECT count(*) AS n FROM compounds").n)
    assert.equal(17 / 7, one(conn, "SELECT molecular_weight AS n FROM compounds WHERE code = 'C-17'").n)
    list[7].name = "another"
    local result = change(conn, all)
    assert.same({ "unchanged", "updated" }, { result[6].outcome, result[7].outcome })
    assert.same({ updated = 1, unchanged = 2499 }, last_run(conn).counts)
    list[9].code = "C-8"
    local failure = refused("twice", change, conn, all)
    assert.same({ 9, 8, "code" }, { failure.record, failure.other, failure.field })
  end)

  it("is undone with everything else of its transaction", function()
    local conn = support.migrated()
    assert.is_false((pcall(change, conn, function(changes)
      changes:create("program", { name = "A" })
      error "stop"
    end)))
    assert.equal(0, one(conn, "SELECT (SELECT count(*) FROM programs) + (SELECT count(*) FROM runs) AS n").n)
  end)
end)

describe("links", function()
  it("hold many: the first in the row, the others in their table", function()
    local conn = support.migrated()
    for _, name in ipairs { "P1", "P2", "P3" } do
      create(conn, "program", { name = name })
    end
    local id = create(conn, "experiment", { name = "E", programs = { "P2", "P1", "P2" } }).id
    local function names()
      local row = one(conn, [[
SELECT p.name AS first, (SELECT string_agg(q.name, ',' ORDER BY q.name) FROM program_experiments AS l
  JOIN programs AS q ON q.id = l.program_id WHERE l.experiment_id = e.id) AS others
FROM experiments AS e LEFT JOIN programs AS p ON p.id = e.program_id]])
      return { row.first, row.others }
    end
    assert.same({ "P2", "P1" }, names())
    local result = update(conn, "experiment", "E", { programs = { "P2", "P3" } })
    assert.equal("updated", result.outcome)
    assert.same({ "P2", "P3" }, names())
    local changes = last_run(conn).changes
    assert.equal(2, #changes)
    assert.same({ "program_experiments", id }, { changes[1].table, changes[1].id })
    local _, outcome = update(conn, "experiment", "E", { programs = { "P2", "P3" }, description = json.null })
    assert.equal("unchanged", outcome)
    update(conn, "experiment", "E", { program = "P3" })
    assert.same({ "P3", pg.null }, names())
    update(conn, "experiment", "E", { programs = {} })
    assert.same({ pg.null, pg.null }, names())
  end)

  it("to what is unknown are refused with the nearest names, unless it may be made", function()
    local conn = support.migrated()
    create(conn, "program", { name = "Sporadic ALS" })
    local failure = refused("unknown_program", create, conn, "experiment", { name = "E", program = "sporadic ASL" })
    assert.matches("Did you mean 'Sporadic ALS'%? To make it: %-%-create", failure.hint)
    assert.same({ 1, "program" }, { failure.record, failure.field == "programs" and "program" })
    create(conn, "experiment", { name = "E", programs = { "Sporadic ALS", "Ageing" } }, { create = true })
    assert.equal(1, one(conn, "SELECT count(*) AS n FROM programs WHERE name = 'Ageing'").n)
    assert.equal(3, #last_run(conn).changes)
  end)

  it("of a campaign are single", function()
    local conn = support.migrated()
    create(conn, "program", { name = "A" })
    create(conn, "program", { name = "B" })
    refused("links", create, conn, "campaign", { name = "C", programs = { "A", "B" } })
    create(conn, "campaign", { name = "C", program = "A", direction = "inhibition", hit_rule = "percent >= 50",
      controls = { positive = "column 23, DMSO" } })
    refused("value", update, conn, "campaign", "C", { direction = "up" })
    local row = one(conn, "SELECT hit_rule, controls FROM screening_campaigns")
    assert.same({ text = "percent >= 50", all = { { measure = "percent", relation = ">=", threshold = 50 } } },
      row.hit_rule)
    assert.same({ positive = { "column 23", "DMSO" } }, row.controls)
    refused("value", update, conn, "campaign", "C", { hit_rule = "percent 50" })
    refused("value", update, conn, "campaign", "C", { controls = { postive = "A1" } })
    update(conn, "campaign", "C", { hit_rule = "none" })
    assert.equal(pg.null, one(conn, "SELECT hit_rule FROM screening_campaigns").hit_rule)
  end)
end)

describe("finding", function()
  local PAGE = "0123456789abcdef0123456789ABCDEF"

  it("goes by name, id, start of the id, external id and Notion page", function()
    local conn = support.migrated()
    local id = create(conn, "program", { name = "ALS", notion_page_id = PAGE,
      external_ids = { benchling = "prj_1" } }).id
    create(conn, "program", { name = "Ageing" })
    for _, word in ipairs { "ALS", id, id:upper(), id:sub(1, 35), "prj_1", "benchling:prj_1", PAGE, PAGE:lower(),
      "01234567-89ab-cdef-0123-456789abcdef", "https://www.notion.so/lab/ALS-" .. PAGE:lower() .. "?pvs=4" } do
      assert.equal(id, entities.find(conn, "program", word).id, word)
    end
    assert.is_nil(entities.lookup(conn, "program", "AL"))
    assert.is_nil(entities.lookup(conn, "program", ""))
  end)

  it("knows one page in any notation, and gives it to one entity", function()
    local conn = support.migrated()
    local page = "01234567-89ab-cdef-0123-456789abcdef"
    create(conn, "program", { name = "ALS", notion_page_id = "https://www.notion.so/lab/ALS-" .. PAGE .. "?pvs=4#x" })
    assert.equal(page, one(conn, "SELECT notion_page_id AS p FROM programs").p)
    for _, word in ipairs { PAGE, page, "https://www.notion.so/" .. page .. "#block",
      "https://www.notion.so/lab/0000?v=1&p=" .. PAGE .. "&pm=s" } do
      assert.equal("ALS", entities.find(conn, "program", word).name, word)
      assert.is_false((pcall(create, conn, "program", { name = "other", notion_page_id = word })))
    end
    assert.matches("it is no page of Notion", refused("value", create, conn, "program", { name = "x",
      notion_page_id = PAGE:sub(2) }).message)
  end)

  it("refuses what is unknown with the nearest names", function()
    local conn = support.migrated()
    assert.matches("There are no programs yet", refused("unknown_program", entities.find, conn, "program", "x").hint)
    for _, name in ipairs { "ALS", "ALS mouse", "Ageing" } do
      create(conn, "program", { name = name })
    end
    assert.matches("Did you mean 'ALS' or 'ALS mouse'%?",
      refused("unknown_program", entities.find, conn, "program", "als").hint)
    assert.matches("None of the programs", refused("unknown_program", entities.find, conn, "program", "zzzzz").hint)
  end)

  it("lists what is ambiguous", function()
    local conn = support.migrated()
    local a = create(conn, "compound", { code = "C1", name = "aspirin", inchi_key = "BSYNRYMUTXBXSQ-UHFFFAOYSA-N" }).id
    local b = create(conn, "compound", { code = "C2", name = "aspirin" }).id
    local failure = refused("ambiguous_compound", entities.find, conn, "compound", "aspirin")
    assert.matches("C1 aspirin", failure.detail)
    assert.matches(b, failure.detail, 1, true)
    assert.equal(a, entities.find(conn, "compound", "C1").id)
    assert.equal(a, entities.find(conn, "compound", "BSYNRYMUTXBXSQ-UHFFFAOYSA-N").id)
    refused("ambiguous_compound", entities.find, conn, "compound", a:sub(1, 8))
  end)

  it("answers for many words at once", function()
    local conn = support.migrated()
    create(conn, "compound", { code = "C1", name = "aspirin" })
    create(conn, "compound", { code = "C2", name = "aspirin" })
    create(conn, "compound", { code = "C3", name = "caffeine", cas_number = "58-08-2" })
    local found, ambiguous = entities.find_all(conn, "compound", { "C1", "aspirin", "58-08-2", "caffeine", "none" })
    assert.same({ "C1", "C3", "C3" }, { found.C1.code, found["58-08-2"].code, found.caffeine.code })
    assert.is_nil(found.none)
    assert.equal(2, #ambiguous.aspirin)
  end)
end)

describe("deleting", function()
  it("takes the entity and its own links, and journals them as they were", function()
    local conn = support.migrated()
    create(conn, "program", { name = "P" })
    create(conn, "program", { name = "Q" })
    local id = create(conn, "experiment", { name = "E", programs = { "P", "Q" }, stage = "late" }).id
    local result = delete(conn, "experiment", "E")
    assert.same({ "deleted", id }, { result.outcome, result.id })
    assert.equal(0, one(conn,
      "SELECT (SELECT count(*) FROM experiments) + (SELECT count(*) FROM program_experiments) AS n").n)
    local changes = last_run(conn).changes
    assert.same({ "program_experiments", "experiments" }, { changes[1].table, changes[2].table })
    assert.same({ "late", true }, { changes[2].before.stage, changes[2].deleted })
  end)

  it("is refused while others refer to it, with the list of them", function()
    local conn = support.migrated()
    create(conn, "program", { name = "P" })
    create(conn, "program", { name = "Q" })
    create(conn, "experiment", { name = "E1", program = "P" })
    create(conn, "experiment", { name = "E2", programs = { "Q", "P" } })
    create(conn, "dataset", { omics_type = "lipidomics", name = "D", programs = { "Q", "P" }, experiments = { "E1" } })
    create(conn, "compound", { name = "C", program = "P" })
    create(conn, "signature", { name = "S", program = "P" })
    create(conn, "campaign", { name = "K", program = "P", experiment = "E1" })
    local failure = refused("referred", delete, conn, "program", "P")
    assert.equal("2 experiments: E1, E2; 1 dataset: lipidomics/D; 1 signature: S; 1 compound: C; 1 campaign: K",
      failure.detail)
    assert.equal("1 dataset: lipidomics/D; 1 campaign: K",
      refused("referred", delete, conn, "experiment", "E1").detail)
    delete(conn, "compound", "C")
    delete(conn, "signature", "S")
    delete(conn, "campaign", "K")
    delete(conn, "dataset", "D")
    delete(conn, "experiment", "E1")
    delete(conn, "experiment", "E2")
    delete(conn, "program", "P")
  end)

  it("of a compound with results and of a scored signature is refused", function()
    local conn = support.migrated()
    local compound = create(conn, "compound", { name = "C" }).id
    local campaign = create(conn, "campaign", { name = "K" }).id
    local signature = create(conn, "signature", { name = "S", version = "2" }).id
    local dataset = create(conn, "dataset", { omics_type = "lipidomics", name = "D" }).id
    conn:query([[INSERT INTO screening_results (campaign_id, ordinal, compound_id, revision, measure, role)
      VALUES ($1, 1, $2, 1, 'raw', 'sample')]], campaign, compound)
    conn:query([[INSERT INTO dataset_signatures (dataset_id, signature_id, revision, method, parameters_key,
      input_sha256) VALUES ($1, $2, 1, 'm', 1, 'x')]], dataset, signature)
    assert.matches("1 screening result: K", refused("referred", delete, conn, "compound", "C").detail)
    assert.matches("1 score: lipidomics/D", refused("referred", delete, conn, "signature", "S/2").detail)
    assert.matches("holds data: 1 score", refused("holds_data", delete, conn, "dataset", "D").message)
    assert.matches("1 result", refused("holds_data", delete, conn, "campaign", "K").message)
    delete(conn, "campaign", "K", { data = true })
    delete(conn, "compound", "C")
    delete(conn, "dataset", "D", { data = true })
    assert.same({ table = "dataset_signatures", id = dataset, deleted = true, before = { rows = 1 } },
      last_run(conn).changes[1])
    assert.equal(0, #conn:query "SELECT FROM dataset_signatures")
    conn:query([[INSERT INTO signature_components (id, signature_id, position, raw_name)
      VALUES (gen_random_uuid(), $1, 1, 'PC 34:1')]], signature)
    delete(conn, "signature", "S")
    assert.equal("PC 34:1", last_run(conn).changes[1].before.raw_name)
  end)
end)
