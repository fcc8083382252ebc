local datasets = require "ligase.store.datasets"
local errors = require "ligase.base.errors"
local ingesting = require "tests.lua.store.ingesting"
local json = require "ligase.base.json"
local pg = require "pg"
local support = require "tests.support"

local function refusal(fn, ...)
  local done, failure = pcall(fn, ...)
  assert.is_false(done, "a refusal was expected")
  assert.is_true(errors.is(failure, "usage"), tostring(failure))
  return failure
end

local function add(conn, id, omics, name)
  conn:query("INSERT INTO datasets (id, omics_type, name) VALUES ($1, $2, $3)", id, omics, name)
end

setup(ingesting.open)

describe("finding a dataset", function()
  local conn

  local function found(wanted)
    local dataset = datasets.find(conn, wanted)
    return dataset.omics_type .. "/" .. dataset.name
  end

  setup(function()
    conn = support.migrated()
    add(conn, "0198a000-0000-7000-8000-00000000000a", "lipidomics", "plasma")
    add(conn, "0198b000-0000-7000-8000-00000000000b", "lipidomics", "plasma_lipids")
    add(conn, "0198b100-0000-7000-8000-00000000000c", "proteomics", "liver")
    add(conn, "0198c000-0000-7000-8000-00000000000d", "lipidomics", "liver")
    add(conn, "0198d000-0000-7000-8000-00000000000e", "lipidomics", "50%_done")
    add(conn, "0198e000-0000-7000-8000-00000000000f", "lipidomics", "0198a000")
  end)

  it("takes a name, also one that begins other names", function()
    assert.equal("lipidomics/plasma", found "plasma")
    assert.equal("lipidomics/50%_done", found "50%_done")
  end)

  it("takes an unambiguous start of a name, nothing of it being a pattern", function()
    assert.equal("lipidomics/plasma_lipids", found "plasma_")
    assert.equal("lipidomics/50%_done", found "50%")
    refusal(datasets.find, conn, "%")
    refusal(datasets.find, conn, "_lasma")
  end)

  it("takes an id, or an unambiguous start of one, in any case", function()
    assert.equal("lipidomics/plasma_lipids", found "0198b000-0000-7000-8000-00000000000b")
    assert.equal("lipidomics/plasma_lipids", found "0198B000")
    assert.equal("proteomics/liver", found "0198b1")
  end)

  it("takes a name before the start of an id", function()
    assert.equal("lipidomics/0198a000", found "0198a000")
    assert.equal("lipidomics/plasma", found "0198a000-")
  end)

  it("takes omics/name, or an unambiguous start of it", function()
    assert.equal("proteomics/liver", found "proteomics/liver")
    assert.equal("lipidomics/liver", found "lipidomics/liv")
    assert.equal("proteomics/liver", found "proteo")
  end)

  it("lists all that share a name, with ids", function()
    local failure = refusal(datasets.find, conn, "liver")
    assert.equal("ambiguous_dataset", failure.code)
    assert.matches("any of 2 datasets", failure.message)
    assert.matches("lipidomics/liver %(0198c000%-0000%), proteomics/liver %(0198b100%-0000%)", failure.detail)
    assert.matches("for example: lipidomics/liver", failure.hint)
  end)

  it("lists all that begin so", function()
    assert.matches("lipidomics/plasma_lipids", refusal(datasets.find, conn, "pl").detail)
    assert.matches("any of 6 datasets", refusal(datasets.find, conn, "0198").message)
  end)

  it("suggests the nearest name", function()
    local failure = refusal(datasets.find, conn, "plasma_lipds")
    assert.matches("no dataset 'plasma_lipds'", failure.message)
    assert.matches("Did you mean 'plasma_lipids'", failure.hint)
    assert.matches("Did you mean 'proteomics/liver'", refusal(datasets.find, conn, "proteomics/lever").hint)
    assert.matches("ligase datasets", refusal(datasets.find, conn, "nothing like it").hint)
  end)

  it("does not take nothing for something", function()
    refusal(datasets.find, conn, "")
    local empty = ingesting.fresh()
    assert.matches("There are none yet", refusal(datasets.find, empty, "x").hint)
    add(empty, "0198a000-0000-7000-8000-00000000000a", "lipidomics", "only")
    refusal(datasets.find, empty, "")
  end)

  it("says that a dataset without data has none", function()
    local failure = refusal(datasets.revision, conn, datasets.find(conn, "plasma"))
    assert.matches("'plasma' holds no data yet", failure.message)
  end)

  it("counts what it does not list", function()
    local many = ingesting.fresh()
    many:query([[
INSERT INTO datasets (id, omics_type, name)
SELECT gen_random_uuid(), 'lipidomics', 'batch ' || i FROM generate_series(1, 120) AS i]])
    assert.matches("any of 120 datasets", refusal(datasets.find, many, "batch").message)
    assert.equal("batch 7", datasets.find(many, "batch 7").name)
  end)
end)

--- The rows of a dataset's revision as lists of texts.
local function read_back(conn, name, number)
  local dataset = datasets.find(conn, name)
  local rows = {}
  for cells in datasets.source_rows(conn, dataset, datasets.revision(conn, dataset, number)) do
    rows[#rows + 1] = cells
  end
  return rows
end

describe("reading a dataset back", function()
  setup(function()
    pg.use_json(json.decode)
  end)

  it("gives every cell as it stood, or its number", function()
    local conn = ingesting.fresh()
    ingesting.ingest(conn, { name = "a", text = [[
note,lipid,S1,S2,all missing
x,A,1.50,NA,NA
"two
lines",B,<LOD,,NA
,,-0.0,1e400,NA
NA,"C, ""D""",Inf,0.1,NA
" spaces ",A, 7 ,123456789012345678,NA
]] })
    assert.same({
      { "x", "A", "1.5", "NA", "NA" },
      { "two\nlines", "B", "<LOD", "", "NA" },
      { "", "", "-0", "1e400", "NA" },
      { "NA", 'C, "D"', "Inf", "0.1", "NA" },
      { " spaces ", "A", "7", "123456789012345678", "NA" },
    }, read_back(conn, "a"))
  end)

  it("gives the revision that was asked for", function()
    local conn = ingesting.fresh()
    ingesting.ingest(conn, { name = "a", text = "lipid,S1\nA,1\n" })
    ingesting.ingest(conn, { name = "a", text = "lipid,S1\nA,2\nB,3\n" })
    assert.same({ { "A", "2" }, { "B", "3" } }, read_back(conn, "a"))
    assert.same({ { "A", "1" } }, read_back(conn, "a", 1))
    local failure = refusal(read_back, conn, "a", 3)
    assert.matches("has no revision 3", failure.message)
    assert.equal("It has: 1, 2", failure.hint)
    assert.equal("idle", conn:transaction_status())
  end)

  it("ends its transaction with the last row, and when the loop is left", function()
    local conn = ingesting.fresh()
    ingesting.ingest(conn, { name = "a", text = "lipid,S1\nA,1\nB,2\n" })
    local dataset = datasets.find(conn, "a")
    local revision = datasets.revision(conn, dataset)
    read_back(conn, "a")
    assert.equal("idle", conn:transaction_status())
    for cells in datasets.source_rows(conn, dataset, revision) do
      if cells[1] == "A" then
        break
      end
    end
    assert.equal("idle", conn:transaction_status())
    pcall(function()
      for _ in datasets.source_rows(conn, dataset, revision) do
        error("no")
      end
    end)
    assert.equal("idle", conn:transaction_status())
    local next_row = datasets.source_rows(conn, dataset, revision)
    next_row()
    next_row()
    assert.is_nil(next_row())
    assert.is_nil(next_row())
    assert.equal("idle", conn:transaction_status())
  end)

  it("reads more rows than are held at once", function()
    local conn = ingesting.fresh()
    local lines, columns = { "lipid" }, 1000
    for i = 1, columns do
      lines[1] = lines[1] .. ",S" .. i
    end
    for i = 1, 450 do
      lines[#lines + 1] = "L" .. i .. ("," .. i .. ".5"):rep(columns)
    end
    ingesting.ingest(conn, { name = "a", text = table.concat(lines, "\n") })
    local rows = read_back(conn, "a")
    assert.equal(450, #rows)
    for i, row in ipairs(rows) do
      assert.same({ "L" .. i, i .. ".5", i .. ".5", columns + 1 }, { row[1], row[2], row[#row], #row })
    end
  end)

  it("sees one state although another revision is made meanwhile", function()
    local conn, conninfo = ingesting.fresh()
    ingesting.ingest(conn, { name = "a", text = "lipid,S1\nA,1\nB,2\n" })
    local dataset = datasets.find(conn, "a")
    local next_row, _, _, closing = datasets.source_rows(conn, dataset, datasets.revision(conn, dataset))
    local guard <close> = closing
    assert.same({ "A", "1" }, (next_row()))
    local other <close> = ingesting.connect(conninfo)
    other:query("DELETE FROM measurements")
    assert.same({ "B", "2" }, (next_row()))
    assert.is_nil(next_row())
    assert.is_not_nil(guard)
  end)
end)

describe("listing datasets", function()
  it("gives their figures, by name, of one omics type when asked", function()
    local conn = ingesting.fresh()
    ingesting.ingest(conn, { name = "b", text = "lipid,S1,S2\nA,1,2\nA,3,\n", program = "P",
      create = true })
    ingesting.ingest(conn, { name = "a", text = "lipid,S1\nA,1\n", recipe = ingesting.recipe { omics = "other" } })
    local list = datasets.list(conn)
    local names = {}
    for i, column in ipairs(list.columns) do
      names[i] = column.name
    end
    assert.same({ "name", "omics", "program", "revision", "rows", "features", "samples", "values" },
      table.move(names, 1, 8, 1, {}))
    assert.same({ "a", "other", pg.null, "1", "1", "1", "1", "1" }, table.move(list[1], 1, 8, 1, {}))
    assert.same({ "b", "lipidomics", "P", "1", "2", "1", "2", "3" }, table.move(list[2], 1, 8, 1, {}))
    assert.equal(1, #datasets.list(conn, "other"))
    assert.equal(0, #datasets.list(conn, "genomics"))
  end)
end)
