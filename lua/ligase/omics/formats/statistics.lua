--- A statistics table of no tool that is known: fold changes and p-values by their headers.
--- Its columns are found by ligase.omics.columns.
local formats = require "ligase.omics.formats"
local statistics = require "ligase.omics.statistics"

return formats.register {
  name = "statistics",
  title = "a statistics table",
  source = "no tool's own; the headers are listed in docs/reading.md",
  generic = true,
  recognise = function(look)
    for _, header in ipairs(look.header) do
      local statistic = statistics.strong(header)
      if statistic then
        return 0.6, ('"%s" is a header of %s'):format(header, (statistic:gsub("_", " ")))
      end
    end
  end,
}
