--- GCT 1.2 and 1.3, the matrices of GenePattern, GSEA and the Connectivity Map.
---
--- Line 1 is the version, line 2 says how many rows and columns there are (in 1.3 also how
--- many columns describe the rows and how many rows describe the columns), line 3 is the
--- header. Rows that describe the columns become attributes of the samples.
local formats = require "ligase.omics.formats"
local sections = require "ligase.io.sections"

local FETCH_AGAIN = "Fetch or export the file again; if it was cut on purpose, correct the numbers on line 2"

local function read_version(from)
  local line = from:next()
  local version = line and line:match("^#(1%.[%d]+)%s*$")
  if version ~= "1.2" and version ~= "1.3" then
    from:refuse { code = "version", message = ('"%s" is not a version of GCT that is known'):format(
      from:decoded((line or ""):sub(1, 40))), hint = "Export it as GCT 1.2 or 1.3" }
  end
  return version
end

--- How many rows, columns, columns about rows and rows about columns there must be.
local function read_counts(from, version)
  local line, counts = from:next() or "", {}
  for digits in line:gmatch("[^\t ]+") do
    counts[#counts + 1] = math.tointeger(tonumber(digits)) or -1
  end
  local expected = version == "1.2" and 2 or 4
  for i = 1, math.max(#counts, expected) do
    if (counts[i] or -1) < 0 or i > expected then
      from:refuse { code = "counts", message = ("the second line of GCT %s must hold %d whole numbers"):format(version,
        expected), hint = "Is a line missing, or the version on line 1 another?" }
    end
  end
  return { rows = counts[1], samples = counts[2], about_rows = counts[3] or 1, about_samples = counts[4] or 0 }
end

local function read_header(from, counts)
  local line = from:next()
  local header = line and sections.cells(from:decoded(line)) or {}
  local expected = 1 + counts.about_rows + counts.samples
  if #header ~= expected then
    from:refuse { code = "counts",
      message = ("the header has %d columns, but line 2 says %d"):format(#header, expected),
      hint = FETCH_AGAIN }
  end
  from:keep(line)
  return header
end

--- The rows that describe the samples: by sample's position, name and value.
local function read_attributes(from, counts, header)
  local attributes, first = {}, 2 + counts.about_rows
  for _ = 1, counts.about_samples do
    local cells = sections.cells(from:decoded(from:next() or ""))
    if #cells ~= #header then
      from:refuse { code = "ragged",
        message = ("the row that describes the samples has %d cells, but the header has %d"):format(#cells, #header),
        hint = FETCH_AGAIN }
    end
    for i = first, #header do
      attributes[i] = attributes[i] or {}
      attributes[i][cells[1]] = cells[i]
    end
  end
  return attributes
end

local function copy_rows(from, counts)
  local rows = 0
  for line in from:lines() do
    if line ~= "" then
      rows = rows + 1
      from:keep(line)
    end
  end
  if rows ~= counts.rows then
    from:refuse { code = "counts", message = ("the file has %d rows, but line 2 says %d%s"):format(rows, counts.rows,
      rows < counts.rows and ": it was cut short" or ""), hint = FETCH_AGAIN }
  end
end

local function read(from)
  local version = read_version(from)
  local counts = read_counts(from, version)
  local header = read_header(from, counts)
  local attributes = read_attributes(from, counts, header)
  copy_rows(from, counts)
  local samples = {}
  for i = 2 + counts.about_rows, #header do
    samples[header[i]] = attributes[i]
  end
  return { about = { version = version, samples = next(samples) and samples or nil }, attributes = attributes,
    first = 2 + counts.about_rows }
end

local gct = sections.format(read)

return formats.register {
  name = "gct", title = "GCT (GenePattern, GSEA)",
  source = "GenePattern file formats guide, GCT; Connectivity Map, GCT 1.3 (clue.io)",
  omics = { "transcriptomics", "proteomics", "metabolomics" },
  recognise = function(look)
    local lines = look.lines
    if (lines[1] or ""):find("^#1%.%d+%s*$") and (lines[2] or ""):find("^%d+%s+%d+[%d%s]*$") then
      return 1, "its first lines are a version and counts"
    end
    return nil
  end,
  place = gct.place,
  about = gct.about,
  columns = function(_, look)
    local found, roles = gct.found(look), { { role = "feature" } }
    for i = 2, #found.header do
      roles[i] = i < found.first and { role = "annotation" }
        or { role = "sample", sample = found.header[i], attributes = found.attributes[i] }
    end
    return roles
  end,
}
