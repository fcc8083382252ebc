local json = require "ligase.base.json"
local policy_of = require "ligase.sync.policy"
local support = require "tests.support"
local values = require "ligase.sync.values"

local function plain(list)
  return table.move(list or {}, 1, #(list or {}), 1, {})
end

describe("the values of a page", function()
  local policy, experiments, datasets

  setup(function()
    policy = policy_of.load(support.workspace())
    experiments, datasets = policy.entities.experiments, policy.entities.datasets
  end)

  local function experiment()
    return { type = "experiments", id = "11111111-2222-7333-8444-555555555555",
      row = { name = "E", description = json.null, disease = { "a, b", "c" }, matrix = json.array(), stage = "x, y" },
      links = { programs = { { type = "programs", id = "p", name = "P", page_id = "AAAA-BB" },
        { type = "programs", id = "q", name = "Q" } } } }
  end

  it("come from columns and links; nothing is nil, and what has no page is waited for", function()
    local wanted, waiting = values.wanted(experiments, experiment())
    assert.same({ "E", "11111111-2222-7333-8444-555555555555", "x; y" }, { wanted.Name, wanted["Ligase ID"],
      wanted.Stage })
    assert.same({ "a; b", "c" }, plain(wanted.Disease))
    assert.is_nil(wanted.Description)
    assert.is_nil(wanted.Matrix)
    assert.same({ "AAAA-BB" }, plain(wanted.Programs))
    assert.equal("q", waiting[1].id)
    local _, none = values.wanted(experiments, experiment(), {})
    assert.same({}, none)
  end)

  it("come from functions, whose failure is said with the property", function()
    local row = { row = { name = "d" }, links = {}, id = "x", revision = { rows = 3, source = "a.csv" } }
    assert.same({ 3, "a.csv" }, { values.wanted(datasets, row).Rows, values.wanted(datasets, row).Source })
    local own = setmetatable({ properties = { { name = "Rows", type = "number", write = function() error "no" end } } },
      { __index = datasets })
    local done, failure = pcall(values.wanted, own, row)
    assert.is_false(done)
    assert.matches("the write function of property 'Rows' of datasets failed: .*no$", failure.message)
  end)

  it("are refused when neither system holds what a function gives", function()
    local row = { row = { name = "d" }, links = {}, id = "x" }
    for _, case in ipairs { { "rich_text", "a\0b", "the text 'a" }, { "number", 0 / 0, "the number %-?nan" },
      { "rich_text", math.huge, "the number inf" }, { "number", "x", "the text 'x'" } } do
      local function write() return case[2] end
      local own = setmetatable({ properties = { { name = "P", type = case[1], write = write } } },
        { __index = datasets })
      local done, failure = pcall(values.wanted, own, row)
      assert.is_false(done)
      assert.matches("property 'P' of datasets is a " .. case[1] .. ", and was to show " .. case[3], failure.message)
      assert.equal("usage", failure.kind)
    end
  end)

  it("are the same whatever their order and form", function()
    for _, case in ipairs {
      { "multi_select", { "a", "b" }, { "b", "a" } }, { "relation", { "AAAA-BB" }, { "aaaabb" } },
      { "number", 5, 5.0 }, { "rich_text", nil, "" }, { "checkbox", nil, false }, { "select", json.null, nil },
      { "date", "2026-01-31T10:00:00Z", "2026-01-31 12:00:00+02" }, { "date", { start = "2026-01-31" }, "2026-01-31" },
    } do
      assert.is_true(values.same(case[1], case[2], case[3]), case[1])
    end
    assert.is_false(values.same("multi_select", { "a" }, { "a", "b" }))
    assert.is_false(values.same("date", "2026-01-31", "2026-02-01"))
    assert.is_false(values.same("number", 0, nil))
    local a, b = { Name = "x", Disease = { "p", "q" } }, { Name = "x", Disease = { "q", "p" }, Other = "not ours" }
    assert.equal(values.sha256(experiments, a), values.sha256(experiments, b))
    b.Name = "y"
    assert.not_equal(values.sha256(experiments, a), values.sha256(experiments, b))
    assert.same({ wanted = "x", page = "y", delivered = json.null }, values.differences(experiments, a, b).Name)
  end)

  it("are written where they changed, and kept where people changed them", function()
    local delivered = { Name = "x", Description = "old", Stage = "s" }
    local wanted = { Name = "x", Description = "new", Stage = "t" }
    local theirs = { Name = "x", Description = "theirs", Stage = "s" }
    local plan = values.plan(experiments, wanted, delivered, { delivered = delivered })
    assert.same({ Description = "new", Stage = "t" }, plan.write)
    plan = values.plan(experiments, wanted, theirs, { delivered = delivered }, true)
    assert.same({ Stage = "t" }, plan.write)
    assert.same({ Description = { delivered = "old", page = "theirs", wanted = "new" } }, plan.conflicts)
    plan = values.plan(experiments, wanted, theirs, { delivered = delivered }, false)
    assert.equal("new", plan.write.Description)
    plan = values.plan(experiments, { Name = "x" }, { Name = "x", Description = "lost", Stage = "s" },
      { delivered = delivered, intended = { Description = "lost" } }, true)
    assert.same({ {}, { Description = json.null, Stage = json.null } }, { plan.conflicts, plan.write })
    assert.equal("lost", plan.baseline.Description)
    assert.is_true(values.plan(experiments, delivered, delivered, { delivered = delivered }).is_empty)
  end)

  it("are Notion's own where ligase reckons nothing and never wrote", function()
    local page, seen = { Name = "d", Rows = 77, Source = "Ann.csv" }, { Rows = 77, Source = "Bob.csv" }
    assert.same({}, values.differences(datasets, { Name = "d" }, page))
    assert.truthy(values.differences(datasets, { Name = "d" }, page, { Rows = 77 }).Rows)
    local plan = values.plan(datasets, { Name = "d" }, page, { delivered = { Name = "d" } })
    assert.same({ {}, {}, { Rows = 77, Source = "Ann.csv" } }, { plan.write, plan.conflicts, plan.seen })
    plan = values.plan(datasets, { Name = "d", Rows = 3, Source = "a.csv" }, page, { delivered = { Name = "d" },
      seen = seen }, true)
    assert.same({ Rows = 3 }, plan.write)
    assert.same({ Source = { page = "Ann.csv", wanted = "a.csv", delivered = json.null } }, plan.conflicts)
    plan = values.plan(datasets, { Name = "d" }, page, { delivered = { Name = "d", Rows = 77 } }, true)
    assert.same({ Rows = json.null }, plan.write)
  end)

  it("become fields and links again", function()
    local fields, unknown = values.fields(experiments, { Name = "E", Disease = { "a; b" }, Stage = "x; y",
      Programs = { "AAAA-BB", "cccc" }, Description = nil }, { aaaabb = "p" })
    assert.same({ "E", "x, y", json.null }, { fields.name, fields.stage, fields.description })
    assert.same({ "a, b" }, plain(fields.disease))
    assert.same({ { "p" }, { { property = "Programs", page_id = "cccc" } } }, { fields.programs, unknown })
    fields = values.fields(datasets, { Name = "d", Revision = 7, Rows = 3 }, {})
    assert.is_nil(fields.current_revision)
    assert.same({ name = "d" }, values.fields(datasets, { Name = "d", Description = "x" }, {}, { Name = true }))
  end)
end)
