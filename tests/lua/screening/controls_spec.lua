local controls = require "ligase.screening.controls"

describe("controls", function()
  local function map(...)
    local list = { ... }
    for i, declared in ipairs(list) do
      list[i] = controls.checked(declared)
    end
    return controls.map(list)
  end

  it("are wells or names", function()
    local known = map { positive = "column 23, staurosporine", negative = { "A24:P24", "DMSO" } }
    assert.equal("positive", known:of_well "C23")
    assert.equal("negative", known:of_well "P24")
    assert.is_nil(known:of_well "A01")
    assert.equal("positive", known:of_name " Staurosporine ")
    assert.equal("negative", known:of_name "dmso")
    assert.is_nil(known:of_name "aspirin")
  end)

  it("of several declarations count together", function()
    local known = map({ positive = "A1" }, { positive = "A2", blank = "H12" })
    assert.equal("positive", known:of_well "A01")
    assert.equal("positive", known:of_well "A02")
    assert.equal("blank", known:of_well "H12")
  end)

  it("that never occur are told", function()
    local known = map { positive = { "A1", "staurosporin" }, negative = "DMSO" }
    known:of_name "DMSO"
    known:of_well "A01"
    assert.same({ { role = "positive", word = "staurosporin" } }, known:unseen())
  end)

  it("are refused when they contradict each other or mean nothing", function()
    local function refused(why, ...)
      local done, failure = pcall(map, ...)
      assert.is_false(done)
      assert.equal("usage", failure.kind)
      assert.matches(why, failure.message .. (failure.hint or ""), 1, true)
    end
    refused("overlap", { positive = "A1:A5", negative = "row A" })
    refused("both positive and negative", { positive = "DMSO" }, { negative = "dmso" })
    refused("Did you mean 'positive'", { positve = "A1" })
    refused("there are no 'sample' controls", { sample = "A1" })
    refused("not a text", { positive = { 1 } })
  end)
end)
