--- MS-DIAL's alignment result: lines on the samples above the header, means and deviations
--- of the classes behind the samples.
local formats = require "ligase.omics.formats"
local roles = require "ligase.omics.roles"

--- The table's own header is the first line that begins with this; above it stand lines on
--- the samples (class, type, injection order, batch), whose labels end where samples begin.
local HEADER = "^Alignment ID\t"
local LINES_BEFORE = 8

local function cells_of(line)
  local cells = {}
  for cell in (line .. "\t"):gmatch("([^\t]*)\t") do
    cells[#cells + 1] = cell
  end
  return cells
end

--- How many lines stand before the header.
local function lines_before(look)
  for i, line in ipairs(look.lines) do
    if line:find(HEADER) then
      return i - 1
    elseif i == LINES_BEFORE then
      return nil
    end
  end
  return nil
end

--- Where the samples begin, and what the lines above say of each column.
local function above(look, count)
  local first, said = nil, {}
  for i = 1, count do
    local cells = cells_of(look.lines[i])
    for position, cell in ipairs(cells) do
      local label = ({ Class = "group", ["File type"] = "File type", ["Injection order"] = "Injection order",
        ["Batch ID"] = "Batch ID" })[cell]
      if label and not said[label] then
        said[label], first = cells, position + 1
      end
    end
  end
  return first, said
end

return formats.register {
  name = "msdial",
  title = "MS-DIAL alignment result",
  source = "Tsugawa et al. 2015, doi:10.1038/nmeth.3393; MS-DIAL tutorial, Alignment result export",
  omics = { "lipidomics", "metabolomics" },
  recognise = function(look)
    if lines_before(look) then
      return 0.98, "a header line that begins with Alignment ID"
    end
  end,
  place = function(look)
    local count = lines_before(look)
    if not count then
      return nil
    end
    local first, said = above(look, count)
    -- Means and deviations of the classes, behind the samples, may be named like each other.
    local names, seen = cells_of(look.lines[count + 1]), {}
    local kinds = said["Batch ID"] or {}
    for position, name in ipairs(names) do
      if seen[name] then
        names[position] = ("%s (%s)"):format(name, kinds[position] or position)
      end
      seen[names[position]] = true
    end
    return { separator = "\t", quote = false, skip_lines = count, header_rows = count + 1, names = names,
      first_sample = first, said = said }
  end,
  columns = function(header, look)
    local known = roles.feature(header, { "Metabolite name" }, {})
    local placement = look.placement or {}
    local first = placement.first_sample or (roles.position(header, "MS/MS spectrum") or #header) + 1
    for position = first, #header do
      local attributes = {}
      for label, cells in pairs(placement.said or {}) do
        attributes[label] = cells[position] ~= "" and cells[position] or nil
      end
      -- Means and deviations of the classes stand behind the samples.
      local is_summary = attributes["Batch ID"] == "Average" or attributes["Batch ID"] == "Stdev"
        or attributes["File type"] == "NA"
      known[position] = is_summary and { role = "annotation" }
        or { role = "sample", sample = header[position], attributes = next(attributes) and attributes or nil }
    end
    return roles.rest(header, known)
  end,
  flags = function()
    return { { flag = "unidentified", equals = "Unknown" } }
  end,
}
