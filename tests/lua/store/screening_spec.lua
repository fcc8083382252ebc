--- Revisions of campaigns in a real Postgres, from Lua.
local entities = require "ligase.store.entities"
local inputs = require "ligase.io.inputs"
local pg = require "pg"
local recipes = require "ligase.omics.recipes"
local screening = require "ligase.store.screening"
local support = require "tests.support"
local sys = require "sys"

local PLATE = "well,compound,role,value\nA1,x,,5\nA2,y,,9\nB1,,pos,1\nB2,,pos,2\nC1,,neg,10\nC2,,neg,11\n"

describe("revisions of a campaign", function()
  local conn, conninfo, folder

  before_each(function()
    conn, conninfo = support.migrated()
    folder = support.workspace()
  end)

  local function change(fn, options)
    options = options or {}
    options.command = "spec"
    return entities.change(conn, options, fn)
  end

  local function campaign(fields)
    fields.name = "C"
    return change(function(changes)
      return changes:create("campaign", fields)
    end).id
  end

  local function store(content, options)
    local recipe = recipes.load_any "screening"
    sys.write_file(folder .. "/plate.csv", content)
    local source <close> = inputs.open(folder .. "/plate.csv")
    options = options or {}
    options.command, options.recipe, options.campaign = "spec", recipe, "C"
    return recipe.store(options.conn or conn, source, options)
  end

  local function rows(sql, ...)
    local found = conn:query(sql, ...)
    return table.move(found, 1, #found, 1, {})
  end

  it("tell what is known of them as values too", function()
    local id = campaign { direction = "inhibition", hit_rule = "percent >= 50" }
    local report = store(PLATE)
    assert.same({ "done", 1, id, 6 }, { report.outcome, report.revision, report.campaign_id, report.counts.results })
    assert.equal(1, report.hits.hits)
    assert.near(1 - 3 * 2 * math.sqrt(0.5) / 9, report.plates[1].z_prime, 1e-12)
    assert.equal("unchanged", store(PLATE).outcome)
    local known = screening.revisions(conn, id)
    assert.same({ 1, 6, 1, "percent >= 50" }, { #known, known[1].result_count, known[1].hit_count, known[1].rule })
  end)

  it("are all there, and going back is moving a number", function()
    campaign { direction = "inhibition", hit_rule = "percent >= 50" }
    store(PLATE)
    store((PLATE:gsub("A2,y,,9", "A2,y,,1")))
    assert.equal(2, rows "SELECT hit_count FROM campaign_overview"[1].hit_count)
    change(function(changes)
      return changes:update("campaign", "C", { current_revision = 1 })
    end)
    assert.equal(1, rows "SELECT hit_count FROM campaign_overview"[1].hit_count)
    assert.equal(9, rows "SELECT value FROM campaign_results WHERE well = 'A02'"[1].value)
    store((PLATE:gsub("A2,y,,9", "A2,y,,2")))
    assert.equal(3, rows "SELECT current_revision AS r FROM screening_campaigns"[1].r) -- numbers are not used twice
  end)

  it("go on from revisions whose sources did not say yet how they were read", function()
    campaign { direction = "inhibition" }
    store(PLATE)
    conn:query [[
UPDATE screening_revisions SET sources = (SELECT jsonb_agg(s - 'path' - 'given' - 'recipe' - 'recipe_sha256' - 'run_id'
  - 'doubts') FROM jsonb_array_elements(sources) AS s)]]
    assert.equal("unchanged", store(PLATE).outcome)
    assert.equal(6, store((PLATE:gsub("A2,y,,9", "A2,y,,1"))).counts.results)
    assert.equal(2, rows "SELECT max(revision) AS r FROM screening_revisions"[1].r)
  end)

  it("follow a rule that is changed from Lua, in the run that changes it", function()
    campaign { direction = "inhibition" }
    store(PLATE)
    local _, _, run_id = change(function(changes)
      return changes:update("campaign", "C", { hit_rule = "robust_z <= -0.5 and percent > 10" })
    end)
    local revision = rows "SELECT * FROM screening_revisions WHERE revision = 2"[1]
    assert.same({ run_id, 1, 1 }, { revision.run_id, revision.derived_from, revision.hit_count })
    change(function(changes) -- what says nothing of them makes no revision
      return changes:update("campaign", "C", { description = "new" })
    end)
    assert.equal(2, rows "SELECT max(revision) AS r FROM screening_revisions"[1].r)
  end)

  it("are undone with the transaction that made them", function()
    campaign { direction = "inhibition" }
    assert.equal("done", store(PLATE, { dry_run = true }).outcome)
    assert.equal(0, #rows "SELECT FROM screening_results")
    conn:begin()
    store(PLATE)
    conn:rollback()
    assert.equal(0, #rows "SELECT FROM screening_results")
    assert.equal(0, #rows "SELECT FROM screening_revisions")
    assert.equal(pg.null, rows "SELECT current_revision AS r FROM screening_campaigns"[1].r)
  end)

  it("follow one another when two write at a time", function()
    campaign { direction = "inhibition" }
    local other <close> = pg.connect(conninfo)
    other:script "SET lock_timeout = '300ms'"
    conn:begin()
    store(PLATE)
    local done, failure = pcall(store, PLATE:gsub("5", "6"), { conn = other })
    assert.is_false(done)
    assert.equal("55P03", failure.sqlstate) -- waits for the first one
    conn:commit()
    assert.equal(2, store((PLATE:gsub("5", "6")), { conn = other }).revision)
  end)

  it("tell other systems of it when that is wanted", function()
    local id = campaign { direction = "inhibition" }
    store(PLATE, { outbox = true })
    local told = rows "SELECT entity_type, entity_id, action, payload FROM outbox"
    assert.same({ { entity_type = "screening_campaigns", entity_id = id, action = "update",
      payload = { name = "C", revision = 1 } } }, told)
  end)

  it("hold many plates of many sizes", function()
    local lines = { "plate,well,role,value" }
    for plate = 1, 30 do
      for row = 1, 16 do
        for column = 1, 24 do
          lines[#lines + 1] = ("P%d,%s%d,%s,%d"):format(plate, string.char(64 + row), column, column == 23 and "pos"
            or column == 24 and "neg" or "", column == 23 and 10 + row or column == 24 and 1000 + row or 500 + row)
        end
      end
    end
    campaign { direction = "inhibition", hit_rule = "percent >= 50" }
    store(table.concat(lines, "\n") .. "\n")
    assert.same({ { n = 11520, plates = 30, wells = 384, hits = 13 * 22 * 30, last = 11520 } }, rows [[
SELECT count(*) AS n, count(DISTINCT plate) AS plates, count(DISTINCT well) AS wells,
  count(*) FILTER (WHERE is_hit) AS hits, max(ordinal) AS last FROM campaign_results]])
  end)
end)
