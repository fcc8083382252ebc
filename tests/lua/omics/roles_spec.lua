local inspecting = require "tests.lua.omics.formats.inspecting"
local roles = require "ligase.omics.roles"

describe("roles by headers", function()
  it("name a sample by its file", function()
    for path, name in pairs { ["/data/S1.raw"] = "S1", ["D:\\x\\S2.mzML"] = "S2", ["S3.sorted.bam"] = "S3.sorted",
      ["S4.d"] = "S4", ["plain"] = "plain", ["S5.csv"] = "S5.csv", ["a.dia"] = "a" } do
      assert.equal(name, roles.file_stem(path))
    end
  end)

  it("name the sample of a file that holds one", function()
    local own = { "quant%.sf" }
    for file, name in pairs { ["quant.sf"] = "ERR1", ["quant.sf.gz"] = "ERR1", ["liver_quant.sf"] = "liver",
      ["liver-quant.sf.gz"] = "liver", ["S1.sf"] = "S1", ["S1.x.sf"] = "S1.x" } do
      assert.equal(name, roles.sample_of({ file_name = file, folder = "ERR1" }, own))
    end
    assert.equal("quant.sf", roles.sample_of({ file_name = "quant.sf" }, own))
  end)

  it("take the first pattern that fits and keep what is known", function()
    local header = { "Area a", "Norm Area a", "Area b", "id" }
    local known, count = roles.samples(header, { { "^Norm Area (.+)$", quantity = "norm" },
      { "^%a* ?Area (.+)$", quantity = "area", unit = "au" } }, { [3] = { role = "annotation" } })
    assert.equal(2, count)
    assert.same({ { role = "sample", sample = "a", quantity = "area", unit = "au" },
      { role = "sample", sample = "a", quantity = "norm" }, { role = "annotation" } }, known)
    assert.same({ role = "annotation" }, roles.rest(header, known)[4])
  end)

  it("make rules that flag rows", function()
    local rules = roles.marked({ "Reverse", "x" }, { reverse = "decoy" }, "+")
    roles.prefixed(rules, { CON__ = "contaminant" })
    assert.same({ { flag = "decoy", position = 1, equals = "+" }, { flag = "contaminant", prefix = "CON__" } }, rules)
  end)
end)

describe("roles that a format knows", function()
  local TABLE = "row ID,row m/z,row retention time,best ion,a.mzML Peak area\n1,150.1,1.5,M+H,5\n2,151.1,1.6,M+Na,6\n"

  it("give way to those that a person sets", function()
    local result = inspecting.read(TABLE, "quant.csv", { set = { ["best ion"] = "feature" } })
    assert.equal("annotation row ID, annotation row m/z, annotation row retention time, feature best ion, "
      .. "sample a.mzML Peak area of a.mzML (area)", inspecting.columns(result))
  end)

  it("do not make numbers of texts", function()
    local result = inspecting.read((TABLE:gsub(",([56])\n", ",x%1\n"):gsub("area\n", "area,b.mzML Peak area\n")
      :gsub("x(%d)\n", "x%1,%1\n")), "quant.csv")
    assert.equal("annotation", result.plan.columns[5].role)
    assert.equal("sample", result.plan.columns[6].role)
    assert.matches('kept as text, because their cells are no numbers: "a.mzML Peak area"', inspecting.doubts(result))
  end)
end)
