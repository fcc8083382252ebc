local ingesting = require "tests.lua.store.ingesting"
local names = require "ligase.omics.names"
local name_differences = require "ligase.store.name_differences"
local rereading = require "tests.lua.store.rereading"

local diff, groups_read, in_capitals, ingest, key, plainly = rereading.diff, rereading.groups_read,
  rereading.in_capitals, rereading.ingest, rereading.key, rereading.plainly

local conn

setup(ingesting.open)

before_each(function()
  conn = rereading.fresh()
end)

describe("the difference", function()
  it("is what the present rules link elsewhere, with rows and datasets of current revisions", function()
    ingest("one", "lipid,S1\na,1\nB,2\na,3\n#,4\n ,5\n,6\n")
    ingest("two", "lipid,S1\nz,1\n")
    ingest("two", "lipid,S1\na,1\nC,2\n")
    assert.same({ { " ", "-", "BLANK", 1, 1 }, { "#", "#", "-", 1, 1 }, { "a", "a", "A", 3, 2 } }, diff(in_capitals))
    assert.same({}, diff(plainly))
  end)

  it("says how the name was read before and is read now", function()
    ingest("one", "lipid,S1\na,1\n")
    local difference = conn:transaction(function()
      return name_differences.differences(conn, groups_read(in_capitals))()
    end)
    assert.same({ key "a", key "A", "spec.old", "low", "lipid" }, { difference.old, difference.new,
      difference.old_rule, difference.old_level, difference.old_type })
    assert.same({ "A", "spec.new", "high" }, { difference.reading.name, difference.reading.rule,
      difference.reading.level })
    assert.equal("spec", difference.group.recipe)
  end)

  it("knows recipes apart, and can be asked of one dataset", function()
    local other = ingesting.recipe { read_name = plainly }
    other.name = "panel"
    ingest("one", "lipid,S1\na,1\n")
    local two = ingest("two", "lipid,S1\na,1\nb,2\n", { recipe = other })
    local groups = name_differences.groups(conn)
    assert.same({ "panel", "lipidomics", true, 1 },
      { groups[1].recipe, groups[1].omics_type, groups[1].linked, groups[1].datasets })
    assert.equal("spec", groups[2].recipe)
    groups[1].resolver, groups[2].resolver = names.resolver("lipid", plainly), names.resolver("lipid", in_capitals)
    local found = conn:transaction(function()
      local list = {}
      for difference in name_differences.differences(conn, groups) do
        list[#list + 1] = difference
      end
      return list
    end)
    assert.same({ 1, "spec", 1 }, { #found, found[1].group.recipe, found[1].datasets })
    assert.same({ { "a", "a", "A", 1, 1 }, { "b", "b", "B", 1, 1 } }, diff(in_capitals, two.dataset_id))
  end)

  it("leaves out what was stored without links", function()
    ingest("unlinked", "lipid,S1\na,1\n", { linking = false })
    local groups = name_differences.groups(conn)
    assert.same({ 1, false }, { #groups, groups[1].linked })
    ingest("linked", "lipid,S1\na,1\n")
    assert.same({ { "a", "a", "A", 1, 1 } }, diff(in_capitals))
  end)

  it("reads names with one look-up for many when the resolver can", function()
    ingest("one", "lipid,S1\na,1\nb,2\n#,3\n")
    local groups, calls = name_differences.groups(conn), {}
    groups[1].resolver = names.resolver("lipid", function() error("one by one") end)
    groups[1].resolver.read_all = function(raws)
      calls[#calls + 1] = table.concat(raws, " ")
      local readings = {}
      for i, raw in ipairs(raws) do
        readings[i] = in_capitals(raw) or false
      end
      return readings
    end
    conn:transaction(function()
      local differences = name_differences.differences(conn, groups)
      assert.equal("#", differences().raw)
      assert.equal("a", differences().raw)
      assert.equal("b", differences().raw)
      assert.is_nil(differences())
    end)
    assert.same({ "# a b" }, calls)
  end)
end)

describe("a receipt that says something else than the present rules", function()
  --- As plainly, but with one field of the reading changed.
  local function plainly_with(field, value)
    return function(raw)
      local reading = plainly(raw)
      if reading then
        reading[field] = value
      end
      return reading
    end
  end

  it("is a difference that moves no link, whatever differs", function()
    ingest("one", "lipid,S1\na,1\nb,2\na,3\n")
    for field, value in pairs { rule = "spec.other", level = "high", reason = "why", aside = { was = "x" },
      candidates = { "p", "q" } } do
      local read = plainly_with(field, value)
      assert.same({ { "a", "a", "a", 2, 1 }, { "b", "b", "b", 1, 1 } }, diff(read, nil, true), field)
      assert.same({}, diff(read), field)
    end
    assert.same({}, diff(plainly, nil, true))
  end)

  it("stands among the others in the order of the names", function()
    ingest("one", "lipid,S1\na,1\nB,2\nc,3\n")
    local found = conn:transaction(function()
      local list = {}
      for difference in name_differences.differences(conn, groups_read(in_capitals)) do
        list[#list + 1] = difference.raw .. (difference.is_receipt and " receipt" or "")
      end
      return list
    end)
    assert.same({ "B receipt", "a", "c" }, found)
  end)

  it("is none where another recipe reads the name so", function()
    local other = ingesting.recipe { read_name = plainly }
    other.name = "panel"
    ingest("one", "lipid,S1\na,1\n")
    ingest("two", "lipid,S1\na,1\n", { recipe = other })
    local groups = name_differences.groups(conn)
    groups[1].resolver = names.resolver("lipid", plainly)
    groups[2].resolver = names.resolver("lipid", plainly_with("rule", "spec.other"))
    local function count()
      return conn:transaction(function()
        local n = 0
        for _ in name_differences.differences(conn, groups) do
          n = n + 1
        end
        return n
      end)
    end
    assert.equal(0, count())
    groups[1].resolver = names.resolver("lipid", plainly_with("rule", "spec.third"))
    assert.equal(2, count())
  end)
end)
