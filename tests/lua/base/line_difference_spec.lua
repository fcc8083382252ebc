--- How many lines differ.
local line_difference = require "ligase.base.line_difference"

describe("line_difference", function()
  it("counts lines that were put in and taken out", function()
    for _, case in ipairs {
      { "", "", 0, 0 }, { "a\nb\n", "a\nb", 0, 0 }, { "a\r\nb\r\n", "a\nb\n", 0, 0 },
      { "a\nb\nc\n", "a\nx\nc\n", 1, 1 }, { "a\nc\n", "a\nb\nc\n", 1, 0 }, { "a\nb\nc\n", "a\nc\n", 0, 1 },
      { "a\nb\nc\nd\n", "b\nx\nd\na\n", 2, 2 }, { "a\na\na\n", "a\na\n", 0, 1 }, { "x\n", "a\nx\nx\nb\n", 3, 0 },
    } do
      local added, removed = line_difference.count(case[1], case[2])
      assert.same({ case[3], case[4] }, { added, removed }, ("%q %q"):format(case[1], case[2]))
    end
  end)

  it("takes the middle of very long ones for rewritten", function()
    local before, after = { "same" }, { "same" }
    for i = 1, 3000 do
      before[#before + 1], after[#after + 1] = "line " .. i, "line " .. 3001 - i
    end
    local added, removed = line_difference.count(table.concat(before, "\n"), table.concat(after, "\n"))
    assert.same({ 3000, 3000 }, { added, removed })
  end)
end)
