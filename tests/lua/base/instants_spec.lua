local instants = require "ligase.base.instants"

describe("instants", function()
  it("are seconds since 1970, whatever the zone they are written in", function()
    for text, seconds in pairs {
      ["1970-01-01"] = 0, ["2026-03-01"] = 1772323200, ["2024-02-29T23:59:59Z"] = 1709251199,
      ["2026-01-31T10:00:00.000Z"] = 1769853600, ["2026-01-31 12:00:00+02"] = 1769853600,
      ["2026-01-31T04:30:00.25-05:30"] = 1769853600.25, ["2026-01-31T10:00"] = 1769853600,
      ["1969-12-31T23:59:59Z"] = -1,
    } do
      assert.equal(seconds, instants.seconds(text), text)
    end
  end)

  it("are none where a text is no time", function()
    for _, text in ipairs { "", "yesterday", "2026-13-01", "2026-02-29", "2026-01-31T25:00:00Z", "2026-01-31T10",
      "2026-01-31T10:61Z", "2026-01-31T10:00:00 and more", "2026-1-3" } do
      assert.is_nil(instants.seconds(text), text)
    end
    assert.is_nil(instants.seconds(nil))
  end)
end)
