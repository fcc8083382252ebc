--- Protein Prospector's Search Compare: two lines on the search, then one row per spectrum.
local formats = require "ligase.omics.formats"
local roles = require "ligase.omics.roles"

local function is_header(line)
  return line:find("\tAcc #\t", 1, true) ~= nil and line:find("\tSpectrum\t", 1, true) ~= nil
end

--- How many lines stand before the header.
local function lines_before(look)
  for i, line in ipairs(look.lines) do
    if is_header(line) then
      return i - 1
    elseif i == 6 then
      return nil
    end
  end
  return nil
end

return formats.register {
  name = "prospector",
  title = "Protein Prospector Search Compare report",
  source = "Chalkley et al. 2008, doi:10.1074/mcp.M800021-MCP200; Protein Prospector manual, Search Compare",
  omics = { "proteomics" },
  recognise = function(look)
    if look.head:find("^Search Name:\t") and lines_before(look) then
      return 0.98, "Search Name: on the first line, and Acc # and Spectrum below"
    end
  end,
  place = function(look)
    local skipped = lines_before(look)
    return skipped and { separator = "\t", quote = false, skip_lines = skipped }
  end,
  columns = function(header)
    local known = roles.feature(header, { "Acc #" }, {})
    roles.named(header, { Fraction = "sample_name",
      RT = { role = "value", quantity = "Retention time", unit = "min" } }, known)
    for position, name in ipairs(header) do
      local channel = name:match("^Int (%d+%a*)$")
      if channel then
        known[position] = { role = "value", quantity = channel }
      end
    end
    return roles.rest(header, known)
  end,
}
