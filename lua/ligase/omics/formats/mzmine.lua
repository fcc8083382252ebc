--- MZmine's feature tables, of versions 2 to 4. The full table and the one for GNPS end each
--- line in a comma.
local formats = require "ligase.omics.formats"
local roles = require "ligase.omics.roles"

--- MZmine 2 and 3 name a column per sample and quantity by the file; MZmine 3 and 4's full
--- table puts the file in the middle.
local PATTERNS = {
  { "^datafile:(.+):area$", quantity = "area" },
  { "^datafile:(.+):height$", quantity = "height" },
  { "^datafile:(.+):rt$", quantity = "retention time", unit = "min" },
  { "^datafile:(.+):mz$", quantity = "m/z" },
  { "^(.+) Peak area$", quantity = "area" },
  { "^(.+) Peak height$", quantity = "height" },
  { "^(.+) Peak m/z$", quantity = "m/z" },
  { "^(.+) Peak RT$", quantity = "retention time", unit = "min" },
  { "^(.+) Peak RT start$", quantity = "retention time, start", unit = "min" },
  { "^(.+) Peak RT end$", quantity = "retention time, end", unit = "min" },
  { "^(.+) Peak duration time$", quantity = "duration", unit = "min" },
}

return formats.register {
  name = "mzmine",
  title = "MZmine feature table",
  source = "Schmid et al. 2023, doi:10.1038/s41587-023-01690-2; mzmine documentation, Export to CSV file",
  omics = { "metabolomics", "lipidomics" },
  recognise = function(look)
    if look:has("row ID", "row m/z", "row retention time") then
      return 0.98, "row ID, row m/z and row retention time"
    elseif look:has("id", "mz", "rt") and table.concat(look.header, "\0"):find("\0datafile:", 1, true) then
      return 0.97, "id, mz, rt and columns of datafile:"
    end
  end,
  columns = function(header)
    -- A name of the compound says more than the number of the row, but most rows have none.
    local known = roles.feature(header, { "row ID", "id" }, {})
    roles.samples(header, PATTERNS, known)
    return roles.rest(header, known) -- the header and each row end in a comma: a column without a name
  end,
}
