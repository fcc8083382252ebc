--- Spectronaut's reports: long by run, or pivoted with a column per run.
local formats = require "ligase.omics.formats"
local roles = require "ligase.omics.roles"

--- Columns of the pivot report: "[1] run.raw.PG.Quantity"; R writes "X.1..run.raw.PG.Quantity".
local PIVOT = {
  { "^%[%d+%] (.+)%.PG%.Quantity$", quantity = "PG.Quantity" },
  { "^%[%d+%] (.+)%.PG%.IBAQ$", quantity = "PG.IBAQ" },
  { "^%[%d+%] (.+)%.PG%.NrOf[%w]+$", quantity = "PG.NrOfPrecursors" },
  { "^%[%d+%] (.+)%.EG%.TotalQuantity %(Settings%)$", quantity = "EG.TotalQuantity" },
  { "^%[%d+%] (.+)%.FG%.Quantity$", quantity = "FG.Quantity" },
  { "^X%.%d+%.+(.+)%.PG%.Quantity$", quantity = "PG.Quantity" },
}

local VALUES = { "PG.Quantity", "PEP.Quantity", "FG.Quantity", "FG.MS1Quantity", "FG.MS2Quantity", "EG.TotalQuantity",
  "EG.ApexRT", "F.PeakArea", "F.PeakHeight", "F.NormalizedPeakArea", "F.NormalizedPeakHeight" }

local GROUPS = { "PG.ProteinGroups", "PG.ProteinAccessions", "PG.UniProtIds" }

return formats.register {
  name = "spectronaut",
  title = "Spectronaut report",
  source = "Bruderer et al. 2015, doi:10.1074/mcp.M114.044305; Spectronaut manual, Report schemas",
  omics = { "proteomics" },
  recognise = function(look)
    if not look:find(table.unpack(GROUPS)) then
      return nil
    elseif look:find("R.FileName", "R.Label") and look:find(table.unpack(VALUES)) then
      return 0.95, "PG., EG. and F. columns, and R.FileName for each row"
    elseif select(2, roles.samples(look.header, PIVOT)) > 0 then
      return 0.97, "PG. columns, and one of quantities for each run"
    end
  end,
  columns = function(header)
    local known = roles.feature(header, GROUPS, {})
    local sample = roles.position(header, "R.FileName") or roles.position(header, "R.Label")
    if sample then
      known[sample] = { role = "sample_name" }
      for position, name in ipairs(header) do
        if roles.is_one_of(name, table.unpack(VALUES)) then
          known[position] = { role = "value", quantity = name }
        end
      end
    else
      roles.samples(header, PIVOT, known)
    end
    return roles.rest(header, known)
  end,
  flags = function()
    return roles.prefixed({}, { ["CON__"] = "contaminant", ["Cont_"] = "contaminant", ["decoy_"] = "decoy" })
  end,
}
