--- Signatures in the database: versions, what is unchanged, what is refused, what is journalled.
local inputs = require "ligase.io.inputs"
local json = require "ligase.base.json"
local pg = require "pg"
local recipes = require "ligase.omics.recipes"
local signatures = require "ligase.omics.signatures"
local store = require "ligase.store.signatures"
local support = require "tests.support"

local CORE = "lipid\tdirection\tweight\nPC 34:1\tup\t2\nSM 34:1;O2\tdown\t\ngibberish(((\tup\t\n"

describe("signatures", function()
  local conn

  before_each(function()
    conn = support.migrated()
    pg.use_json(json.decode)
  end)

  local function load(content, name, given, options)
    local input <close> = inputs.open(support.tmpfile(content, name or "core.tsv"))
    local recipe = recipes.load_any "signatures"
    local file = signatures.read(input, recipe.definition, given or {})
    options = options or {}
    options.recipe = recipe
    return store.load(conn, file, options), file
  end

  local function one(sql, ...)
    return conn:query(sql, ...)[1]
  end

  it("are stored with components, features, receipts and one journal entry", function()
    local report = load(CORE, nil, { about = { disease = { "ALS" }, type = "consortium" } })
    assert.same({ "created" }, report.outcomes)
    local row = one "SELECT * FROM signatures"
    assert.equal("core 1 consortium ALS 3", ("%s %s %s %s %d"):format(row.name, row.version, row.signature_type,
      row.disease[1], row.component_count))
    local components = conn:query [[
SELECT c.raw_name, c.direction, c.weight, c.level, c.rule, c.reason, f.name FROM signature_components AS c
LEFT JOIN features AS f ON f.key = c.feature_key ORDER BY c.position]]
    assert.equal("PC 34:1 1 2.0 species PC 34:1", ("%s %s %s %s %s"):format(components[1].raw_name,
      components[1].direction, components[1].weight, components[1].level, components[1].name))
    assert.equal(-1, components[2].direction)
    assert.equal(pg.null, components[3].name)
    assert.matches("no lipid class", components[3].reason)
    assert.equal(2, one("SELECT count(*) AS n FROM features").n)
    assert.equal(2, one("SELECT count(*) AS n FROM feature_names WHERE run_id = $1", report.run_id).n)
    local run = one "SELECT * FROM runs"
    assert.equal("signature load done signatures", ("%s %s %s"):format(run.command, run.outcome, run.recipe))
    assert.equal(1, run.counts.unmatched)
    assert.equal(row.id, run.changes[1].id)
  end)

  it("that are the same change nothing, wherever their file lies", function()
    load(CORE)
    local report = load(CORE)
    assert.same({ "unchanged" }, report.outcomes)
    assert.equal(1, one("SELECT count(*) AS n FROM signatures").n)
    assert.equal("unchanged", one("SELECT outcome FROM runs ORDER BY id DESC LIMIT 1").outcome)
  end)

  it("that differ become the next version, and the earlier ones stay", function()
    load(CORE)
    assert.same({ "revised" }, load((CORE:gsub("\t2\n", "\t3\n"))).outcomes)
    assert.same({ "revised" }, load(CORE).outcomes) -- what was before is a change too
    local versions = {}
    for i, row in ipairs(conn:query "SELECT version FROM signatures ORDER BY created_at, id") do
      versions[i] = row.version
    end
    assert.same({ "1", "2", "3" }, versions)
    assert.equal("3", store.find(conn, "core").version)
    assert.equal("1", store.find(conn, "core@1").version)
    assert.equal(1, #store.list(conn))
    assert.equal(3, #store.list(conn, true))
  end)

  it("with a version of their own are never changed under it, unless that is said", function()
    local given = { about = { version = "2026-07" } }
    load(CORE, nil, given)
    assert.same({ "unchanged" }, load(CORE, nil, given).outcomes)
    local changed = CORE:gsub("\t2\n", "\t3\n")
    local done, failure = pcall(load, changed, nil, given)
    assert.is_false(done)
    assert.matches("is there in the version 2026%-07, with another content", tostring(failure))
    assert.equal("failed", one("SELECT outcome FROM runs ORDER BY id DESC LIMIT 1").outcome)
    assert.same({ "replaced" }, load(changed, nil, given, { replace = true }).outcomes)
    assert.equal(3.0, one("SELECT weight FROM signature_components WHERE position = 1").weight)
    assert.equal(1, one("SELECT count(*) AS n FROM signatures").n)
    local change = one("SELECT changes FROM runs ORDER BY id DESC LIMIT 1").changes[1]
    assert.equal("2026-07", change.before.version)
    assert.equal(2, change.components[1].weight) -- as it was
  end)

  it("of one file are loaded whole or not at all", function()
    load("A\tna\tTP53\n", "x.gmt", { about = { version = "1" } })
    local done = pcall(load, "B\tna\tMYC\nA\tna\tRB1\n", "x.gmt", { about = { version = "1" } })
    assert.is_false(done)
    assert.equal(1, one("SELECT count(*) AS n FROM signatures").n)
    assert.same({ "created", "revised" }, load("B\tna\tMYC\nA\tna\tRB1\n", "x.gmt").outcomes)
  end)

  it("use the features that datasets have, and the reading of the workspace's recipes", function()
    conn:query("INSERT INTO features (id, key, feature_type, name) VALUES ($1, $2, 'lipid', 'PC 34:1')",
      "cc1a7fe5-d047-5b1a-bf92-e4a7a390b0f4", 3201765840648680321)
    load "lipid\nPC(34:1)\n"
    assert.equal(3201765840648680321, one("SELECT feature_key FROM signature_components").feature_key)
    assert.equal(1, one("SELECT count(*) AS n FROM features").n)
  end)

  it("are told to other systems when asked", function()
    load(CORE, nil, nil, { outbox = true })
    load((CORE:gsub("\t2\n", "\t3\n")), nil, nil, { outbox = true, replace = true })
    local told = conn:query "SELECT action, entity_type FROM outbox ORDER BY id"
    assert.equal("create update signatures", told[1].action .. " " .. told[2].action .. " " .. told[2].entity_type)
  end)

  it("are found by name, version, id and unambiguous starts", function()
    load("A one\tna\tTP53\nA two\tna\tMYC\nother\tna\tRB1\n", "x.gmt")
    local id = store.find(conn, "other").id
    assert.equal("other", store.find(conn, id).name)
    assert.equal("other", store.find(conn, "oth").name)
    assert.equal("A one", store.find(conn, "A o").name)
    local _, ambiguous = pcall(store.find, conn, "A ")
    assert.matches("'A ' may be any of 2 signatures %(A one", tostring(ambiguous))
    local _, unknown = pcall(store.find, conn, "othr")
    assert.matches("there is no signature 'othr'. Did you mean 'other'", tostring(unknown))
  end)

  it("that others refer to are not deleted, and who they are is said", function()
    load(CORE)
    local signature = store.find(conn, "core")
    conn:script "INSERT INTO programs (id, name) VALUES ('01990000-0000-7000-8000-000000000001', 'ALS')"
    conn:query("INSERT INTO program_signatures VALUES ('01990000-0000-7000-8000-000000000001', $1)", signature.id)
    local _, failure = pcall(store.delete, conn, signature, {})
    assert.matches("is referred to %(the program 'ALS'%)", tostring(failure))
    conn:script "DELETE FROM program_signatures"
    conn:query([[
INSERT INTO dataset_signatures (dataset_id, signature_id, revision, method, parameters_key, input_sha256)
VALUES ('01990000-0000-7000-8000-000000000002', $1, 1, 'concordance', 1, 'x')]], signature.id)
    _, failure = pcall(store.delete, conn, signature, {})
    assert.matches("1 score of 1 dataset.*say %-%-scores", tostring(failure))
    assert.equal(1, store.delete(conn, signature, { scores = true }))
    assert.equal(0, one("SELECT count(*) AS n FROM signature_components").n)
    local run = one("SELECT command, changes FROM runs "
      .. "WHERE arguments -> 'piece_of' IS NULL ORDER BY id DESC LIMIT 1")
    assert.equal("signature delete", run.command)
    assert.equal("core", run.changes[1].before.name)
    assert.equal(3, #run.changes[1].components)
  end)

  it("of a file with thousands are loaded in seconds #slow", function()
    local path = support.need_shared "signatures/gseapy__enrichr.GO_Biological_Process_2021.gmt"
    local input <close> = inputs.open(path)
    local began = os.clock()
    local report = store.load(conn, signatures.read(input, signatures.define {}, {}), {})
    assert.equal(3281, report.counts.created)
    assert.equal(102440, one("SELECT count(*) AS n FROM signature_components").n)
    assert.is_true(os.clock() - began < 20)
  end)
end)
