--- SpectroMine's reports of labelled experiments: long by run, with a column per channel.
local formats = require "ligase.omics.formats"
local roles = require "ligase.omics.roles"

return formats.register {
  name = "spectromine",
  title = "SpectroMine report of a labelled experiment",
  source = "Biognosys, SpectroMine manual, Report schemas; MSstatsTMT manual, SpectroMinetoMSstatsTMTFormat",
  omics = { "proteomics" },
  recognise = function(look)
    if look:find("PG.ProteinAccessions", "PG.ProteinGroups") and look:find("R.FileName")
      and table.concat(look.header, "\0"):find("PSM%.[%w]+_%d+[NC]?%.*[ %(]*Raw") then
      return 0.97, "PG. columns, R.FileName, and PSM. columns of reporter channels"
    end
  end,
  columns = function(header)
    local known = roles.feature(header, { "PG.ProteinGroups", "PG.ProteinAccessions" }, {})
    for position, name in ipairs(header) do
      local channel = name:match("^PSM%.(%w+_%d+[NC]?)[. ]*%(?Raw%)?%.*$")
      if channel then
        known[position] = { role = "value", quantity = channel }
      elseif roles.is_one_of(name, "R.FileName") then
        known[position] = { role = "sample_name" }
      end
    end
    return roles.rest(header, known)
  end,
}
