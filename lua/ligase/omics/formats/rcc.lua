--- NanoString RCC: one sample per file, sections between tags, the counts in Code_Summary.
local formats = require "ligase.omics.formats"
local sections = require "ligase.io.sections"

local COLUMNS = { "CodeClass", "Name", "Accession", "Count" }

--- Probes that were added and measure no gene of the sample.
local CONTROLS = { "Positive", "Negative", "Ligation", "SpikeIn", "Purification", "Binding" }

local KNOWN_VERSIONS = { ["1.6"] = true, ["1.7"] = true, ["2.0"] = true }

local function refuse_cut(from, tag, line)
  from:refuse { code = "cut", line = line, message = ("<%s> is never closed: the file is cut short"):format(tag),
    hint = "Copy the file from the instrument again" }
end

--- The lines between a tag and its end.
local function inside(from, tag)
  local start = from.line
  return function()
    local line = from:next()
    if not line or line:find("^<[%w_]+>") then
      refuse_cut(from, tag, start)
    elseif line:find("^</") then
      return nil
    end
    return line
  end
end

--- The counts: a header and one row per probe.
local function read_counts(from, tag)
  local header, rows = nil, 0
  for line in inside(from, tag) do
    local cells = line ~= "" and sections.cells(line, ",")
    if cells and not header then
      header = cells
      if table.concat(header, ",") ~= table.concat(COLUMNS, ",") then
        from:refuse { code = "header", message = ("the columns of Code_Summary are %s instead of %s"):format(
          from:decoded(table.concat(header, ",")), table.concat(COLUMNS, ",")),
          hint = "Is this an RCC file as the instrument wrote it?" }
      end
      from:keep(line)
    elseif cells then
      rows = rows + 1
      from:keep(line)
    end
  end
  return header, rows
end

local function read_items(from, tag, about)
  local section = {}
  for line in inside(from, tag) do
    local key, value = line:match("^([^,]+),(.*)$")
    if key then
      section[from:decoded(key)] = from:decoded(value)
    elseif line:find("%S") then
      about.unread = about.unread or {}
      table.insert(about.unread, { line = from.line, text = from:decoded(line) })
    end
  end
  about[tag] = section
end

--- The sample's name: its id, or the file's name where the id is empty.
local function sample_of(about, look)
  local sample, lane = about.Sample_Attributes or {}, about.Lane_Attributes or {}
  local attributes = { file = look.file_name }
  for key, value in pairs(sample) do
    attributes[key] = value ~= "" and key ~= "ID" and value or nil
  end
  for key, value in pairs(lane) do
    attributes["Lane " .. key] = value ~= "" and value or nil
  end
  local id = sample.ID
  return id and id ~= "" and id or look.file_name:gsub("%.[gG][zZ]$", ""):gsub("%.[rR][cC][cC]$", ""), attributes
end

local function read(from, look)
  from.separator = ","
  local about, header, rows = {}, nil, 0
  for line in from:lines() do
    local tag = line:match("^<([%w_]+)>")
    if tag == "Code_Summary" and not header then
      header, rows = read_counts(from, tag)
    elseif tag then
      read_items(from, tag, about)
    elseif line:find("%S") then
      from:doubt("line %d stands outside of every section and was not read", from.line)
    end
  end
  if rows == 0 then
    from:refuse { code = "no_table", line = false, message = "the file has no counts (<Code_Summary>)",
      hint = "Copy the file from the instrument again" }
  end
  local version = about.Header and about.Header.FileVersion
  if not KNOWN_VERSIONS[version or ""] then
    from:doubt("version %s of RCC is not known here; it was read like 1.7", version or "(none)")
  end
  local name, attributes = sample_of(about, look)
  about.samples = { [name] = attributes }
  return { about = about, sample = name, attributes = attributes }
end

local rcc = sections.format(read)

return formats.register {
  name = "rcc", title = "NanoString RCC",
  source = "NanoString nCounter, Reporter Code Count files (RCC) 1.6 to 2.0",
  omics = { "transcriptomics", "proteomics" },
  recognise = function(look)
    if not look.head:find("^%s*<") then
      return nil
    end
    local first
    for i = 1, math.min(#look.lines, 200) do
      local line = look.lines[i]
      if line:find("^<Code_Summary>") then
        return first and 1 or nil, "it has the sections of an RCC file"
      elseif line:find("^<Header>") or line:find("^<Sample_Attributes>") then
        first = true
      end
    end
    return first and 0.7 or nil, "it begins like an RCC file"
  end,
  place = rcc.place,
  about = rcc.about,
  columns = function(_, look)
    local found = rcc.found(look)
    return { { role = "annotation" }, { role = "feature" }, { role = "annotation" },
      { role = "sample", sample = found.sample, quantity = "count", attributes = found.attributes } }
  end,
  flags = function()
    local rules = {}
    for i, class in ipairs(CONTROLS) do
      rules[i] = { flag = "standard", position = 1, equals = class }
    end
    return rules
  end,
}
