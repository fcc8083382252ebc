--- MetaboLights MAF.
local reading = require "tests.lua.omics.formats.reading"
local support = require "tests.support"

local HEADER = { "database_identifier", "chemical_formula", "smiles", "inchi", "metabolite_identification",
  "mass_to_charge", "fragmentation", "modifications", "charge", "retention_time", "taxid", "species", "database",
  "database_version", "reliability", "uri", "search_engine", "search_engine_score", "smallmolecule_abundance_sub",
  "smallmolecule_abundance_stdev_sub", "smallmolecule_abundance_std_error_sub", "S1", "S 2" }

local function maf(names, ids)
  local lines = { table.concat(HEADER, "\t") }
  for i, name in ipairs(names) do
    local cells = {}
    for at = 1, #HEADER do
      cells[at] = ""
    end
    cells[1], cells[5], cells[6], cells[22], cells[23] = ids[i], name, "181.07", i .. ".50", ""
    lines[i + 1] = table.concat(cells, "\t")
  end
  return table.concat(lines, "\n") .. "\n"
end

describe("MAF", function()
  it("has its samples behind the columns of identification", function()
    local result = reading.read(support.tmpfile(maf({ "Glucose", "" }, { "CHEBI:17234", "" }), "m_x_v2_maf.tsv"))
    assert.equal("maf", result.name)
    assert.equal("feature", result.roles[5].role)
    assert.same({ "annotation", "statistic" }, { result.roles[6].role, result.roles[21].role })
    assert.same({ { role = "sample", sample = "S1" }, { role = "sample", sample = "S 2" } },
      { result.roles[22], result.roles[23] })
    assert.equal("1.50", result.rows[1][22])
  end)

  it("without names takes the database's identifiers", function()
    local result = reading.read(support.tmpfile(maf({ "", "" }, { "CHEBI:17234", "" }), "m_x_v2_maf.tsv"))
    assert.equal("feature", result.roles[1].role)
    assert.equal("annotation", result.roles[5].role)
  end)

  it("is known by its header, whatever the file is called", function()
    assert.equal("maf", reading.read(support.tmpfile(maf({ "Glucose" }, { "" }), "table.txt")).name)
  end)

  it("of MetaboLights is read cell for cell", function()
    for name, expected in pairs {
      ["lipidomics/mztabm2mtbls__m_REQ2025110600007_metabolite_profiling_v2_maf.tsv"] = { 97, 852, 75, 6 },
      ["metabolomics/mztabm2mtbls__m_REQ2025110600008_metabolite_profiling_v2_maf.tsv"] = { 28, 486, 6, 6 },
      ["metabolomics/mztabm2mtbls__m_REQ2025110600011_metabolite_profiling_v2_maf.tsv"] = { 29, 1730, 7, 6 },
    } do
      local path = support.need_shared(name)
      local result = reading.read(path)
      reading.assert_same(result, reading.by_python(path, "out = [l.split('\\t') for l in lines if l]"))
      local feature
      for i, role in ipairs(result.roles) do
        feature = role.role == "feature" and i or feature
      end
      assert.same(expected, { #result.header, #result.rows, reading.count(result, "sample"), feature }, name)
    end
  end)
end)
