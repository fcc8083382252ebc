--- NanoString nSolver, RCC collector export: the counts of many RCC files side by side.
---
--- Lines that describe the samples come first ("File Name,,,a.RCC,b.RCC"), with two blank
--- cells where the probes' columns are; then one line per probe. There is no header: the
--- first line with the probes' columns named becomes it.
local formats = require "ligase.omics.formats"
local sections = require "ligase.io.sections"

local PROBE_COLUMNS = { "CodeClass", "Name", "Accession" }
local CONTROLS = { "Positive", "Negative", "Ligation", "SpikeIn", "Purification", "Binding" }
local ABOUT_MOST = 100 -- lines before the counts

--- The lines above the counts, by their first cell.
local function read_attributes(from)
  local first = from:next()
  local names = sections.cells(from:decoded(first), ",")
  local attributes = {}
  from:keep(table.concat(PROBE_COLUMNS, ",") .. first:match("^File Name,,(,.*)$"))
  for line in from:lines() do
    local cells = sections.cells(from:decoded(line), ",")
    if cells[2] and cells[2] ~= "" then
      return names, attributes, line
    elseif #cells ~= #names or from.line > ABOUT_MOST then
      from:refuse { code = "ragged",
        message = ("the line has %d cells, but the first one has %d"):format(#cells, #names),
        hint = "Export the files again from nSolver" }
    end
    for i = 4, #names do
      attributes[i] = attributes[i] or {}
      attributes[i][cells[1]] = cells[i] ~= "" and cells[i] or nil
    end
  end
  from:refuse { code = "no_rows", line = false, message = "the file has no counts below the lines about the samples",
    hint = "Export the files again from nSolver" }
end

--- The samples' names: their ids, or those of their files where ids are missing or repeat.
local function sample_names(names, attributes)
  local seen, ids = {}, {}
  for i = 4, #names do
    local id = (attributes[i] or {})["Sample ID"]
    if not id or seen[id] then
      return names
    end
    seen[id], ids[i] = true, id
  end
  return ids
end

local function read(from)
  from.separator = ","
  local names, attributes, line = read_attributes(from)
  repeat
    if line ~= "" then
      from:keep(line)
    end
    line = from:next()
  until not line
  local called, samples = sample_names(names, attributes), {}
  for i = 4, #names do
    samples[called[i]] = attributes[i]
  end
  return { about = { samples = samples }, names = called, attributes = attributes }
end

local collector = sections.format(read)

return formats.register {
  name = "rcc_collector", title = "NanoString RCC collector export (nSolver)",
  source = "NanoString nSolver analysis software, RCC collector tool export",
  omics = { "transcriptomics", "proteomics" },
  recognise = function(look)
    if not (look.lines[1] or ""):find("^File Name,,,[^,]") then
      return nil
    end
    for i = 2, math.min(#look.lines, 20) do
      if look.lines[i]:find("^Sample ID,,,") then
        return 1, "it has the lines of an RCC collector export"
      end
    end
    return nil
  end,
  place = collector.place,
  about = collector.about,
  columns = function(_, look)
    local found = collector.found(look)
    local roles = { { role = "annotation" }, { role = "feature" }, { role = "annotation" } }
    for i = 4, #found.header do
      roles[i] = { role = "sample", sample = found.names[i], quantity = "count", attributes = found.attributes[i] }
    end
    return roles
  end,
  flags = function()
    local rules = {}
    for i, class in ipairs(CONTROLS) do
      rules[i] = { flag = "standard", position = 1, equals = class }
    end
    return rules
  end,
}
