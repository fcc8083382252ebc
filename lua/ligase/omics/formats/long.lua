--- A long table of no tool that is known: a column names the sample of each row.
local formats = require "ligase.omics.formats"
local roles = require "ligase.omics.roles"

--- Headers of columns that name a row's sample, and of columns that hold what was measured.
local SAMPLES = { "sample", "sample name", "sample id", "replicate name", "run", "file name", "raw file" }
local VALUES = { "value", "intensity", "area", "peak area", "peak intensity", "abundance", "quantity", "concentration",
  "amount", "expression", "count", "response", "signal" }

return formats.register {
  name = "long",
  title = "a long table, one row per feature and sample",
  source = "no tool's own; docs/reading.md says how its columns are found",
  generic = true,
  recognise = function(look)
    local sample, value = look:find(table.unpack(SAMPLES)), look:find(table.unpack(VALUES))
    if sample and value then
      return 0.7, ('"%s" names the sample of each row, "%s" holds its value'):format(look.header[sample],
        look.header[value])
    end
  end,
  columns = function(header, look)
    local known, sample = {}, look:find(table.unpack(SAMPLES))
    for position, name in ipairs(header) do
      if position == sample then
        known[position] = { role = "sample_name" }
      elseif roles.is_one_of(name, table.unpack(VALUES)) then
        known[position] = { role = "value", quantity = name }
      end
    end
    return known
  end,
}
