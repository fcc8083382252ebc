--- A matrix: the shape that is left when no tool's format and no other shape fits better.
--- Its columns are found by ligase.omics.columns.
local formats = require "ligase.omics.formats"

return formats.register {
  name = "wide",
  title = "a matrix, one column per sample",
  source = "no tool's own; docs/reading.md says how its columns are found",
  generic = true,
  recognise = function(look)
    if #look.header > 1 then
      return 0.5, "rows of features, columns of numbers"
    end
  end,
}
