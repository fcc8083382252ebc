--- mzTab 1.0 and mzTab-M 2.0, the tables of the Proteomics Standards Initiative.
---
--- Each line begins with the section that it belongs to. The table that is read is that of
--- the proteins (PRH, PRT) or of the small molecules (SMH, SML), its first column included;
--- metadata (MTD) and comments (COM) are kept beside it, the sections of evidence (peptides,
--- PSMs, small molecule features and their evidence) are only counted.
local formats = require "ligase.omics.formats"
local metadata = require "ligase.omics.mztab_metadata"
local sections = require "ligase.io.sections"

local TABLES = {
  PRH = { row = "PRT", names = { "accession" }, unit = "protein-quantification_unit" },
  SMH = { row = "SML", names = { "chemical_name", "description", "database_identifier", "identifier", "SML_ID" },
    unit = "small_molecule-quantification_unit" },
}
local TABLE_OF_ROW = { PRT = "PRH", SML = "SMH" }

--- Sections whose rows are evidence, by the words that begin their lines.
local EVIDENCE = { PEH = "PEP", PSH = "PSM", SFH = "SMF", SEH = "SME" }
local IS_EVIDENCE = { PEP = true, PSM = true, SMF = true, SME = true }

--- The name is looked for in so many rows before a column without any is passed over.
local NAME_ROWS = 1000

local function read_version(from, state, value)
  state.version = value
  if not value:find("^1%.%d") and not value:find("^2%.%d[%d.]*%-M$") then
    from:refuse { code = "version", message = ('"%s" is not a version of mzTab that is known'):format(value),
      hint = "Export it as mzTab 1.0 or mzTab-M 2.0.0-M" }
  end
end

local function read_metadata(from, state, line)
  local key, value = line:match("^MTD\t([^\t]+)\t(.*)$")
  if not key then
    from:doubt("line %d is no metadata item (MTD, key, value)", from.line)
    return
  end
  key, value = from:decoded(key), from:decoded(value:gsub("\t+$", ""))
  state.items[#state.items + 1] = { key = key, value = value }
  if key == "mzTab-version" then
    read_version(from, state, value)
  end
end

local function begin_table(from, state, word, line)
  if state.tables[word] then
    from:refuse { code = "header_twice", message = ("a second %s: the section began on line %d"):format(word,
      state.tables[word].line), hint = "Is this two files in one? Part them" }
  end
  state.tables[word] = { line = from.line, rows = 0, header = sections.cells(from:decoded(line)), filled = {} }
  state.first = state.first or word
  if state.first == word then
    from:keep(line)
  end
end

--- Notes which columns that may hold the name have one in this row.
local function note_names(tbl, wanted, line)
  local cells = sections.cells(line)
  for i, name in ipairs(tbl.header) do
    for _, candidate in ipairs(wanted) do
      if name == candidate and (cells[i] or "null") ~= "null" and cells[i] ~= "" then
        tbl.filled[name] = (tbl.filled[name] or 0) + 1
      end
    end
  end
end

local function read_row(from, state, word, line)
  local header = TABLE_OF_ROW[word]
  local tbl = state.tables[header]
  if not tbl then
    from:refuse { code = "no_header", message = ("a row %s before the header %s"):format(word, header),
      hint = "Is the beginning of the file missing?" }
  end
  tbl.rows = tbl.rows + 1
  if state.first == header then
    if tbl.rows <= NAME_ROWS then
      note_names(tbl, TABLES[header].names, line)
    end
    from:keep(line)
  end
end

local function read_line(from, state, line)
  local word = line:match("^[^\t]*")
  if word == "MTD" then
    read_metadata(from, state, line)
  elseif word == "COM" then
    table.insert(state.comments, from:decoded(line:sub(5)))
  elseif TABLES[word] then
    begin_table(from, state, word, line)
  elseif TABLE_OF_ROW[word] then
    read_row(from, state, word, line)
  elseif IS_EVIDENCE[word] then
    state.evidence[word] = (state.evidence[word] or 0) + 1
  elseif not EVIDENCE[word] then
    from:doubt('line %d begins with "%s", which is no section of mzTab; it was not read', from.line,
      from:decoded(word:sub(1, 20)))
  end
end

-- ---- what must hold --------------------------------------------------------

local function check(from, state)
  if not state.version then
    from:refuse { code = "version", line = false, message = "the file does not say which version of mzTab it is",
      hint = "Is its beginning missing? It should have a line: MTD, mzTab-version, 1.0.0" }
  elseif not state.first then
    from:refuse { code = "no_table", line = false,
      message = "the file has no proteins (PRH) and no small molecules (SMH)",
      hint = "Export it with quantities of proteins or small molecules" }
  end
  local tbl = state.tables[state.first]
  if tbl.rows == 0 then
    from:refuse { code = "no_rows", line = tbl.line, message = ("the section %s has no rows"):format(state.first),
      hint = "Check that the export finished" }
  end
  for word, other in pairs(state.tables) do
    if word ~= state.first then
      from:doubt("the section %s (%d rows) is not stored, because %s comes first", word, other.rows, state.first)
    end
  end
end

--- The first column that may hold the name and does, beside the best one: a doubt when it
--- is not the one that should.
local function name_column(from, tbl, wanted)
  local first
  for _, name in ipairs(wanted) do
    for position, header in ipairs(tbl.header) do
      if header == name then
        first = first or name
        if tbl.filled[name] then
          if name ~= first then
            from:doubt('the names were taken from "%s", because "%s" is empty', name, first)
          end
          return position
        end
      end
    end
  end
  from:refuse { code = "no_name_column", line = tbl.line, message = ("no column names what was measured (%s)"):format(
    table.concat(wanted, ", ")), hint = "Export it with identifications" }
end

local function read(from)
  local state = { items = {}, comments = {}, tables = {}, evidence = {} }
  for line in from:lines() do
    if line:find("%S") then
      read_line(from, state, line)
    end
  end
  check(from, state)
  local tbl, kind = state.tables[state.first], TABLES[state.first]
  local position = name_column(from, tbl, kind.names)
  local values = {}
  for _, item in ipairs(state.items) do
    values[item.key] = values[item.key] and values[item.key] .. "\n" .. item.value or item.value
  end
  local samples = metadata.samples(state.items)
  local by_name = {}
  for _, assay in ipairs(samples.assays) do
    by_name[assay.name] = assay.attributes
  end
  return { samples = samples, unit = metadata.word(values[kind.unit]), name_position = position,
    about = { version = state.version, metadata = values, comments = state.comments[1] and state.comments or nil,
      table = state.first, other_rows = next(state.evidence) and state.evidence or nil,
      samples = next(by_name) and by_name or nil } }
end

local mztab = sections.format(read)

-- ---- columns ---------------------------------------------------------------

--- What a column of abundances is of: "assay" or "study_variable", its number, and whether
--- it is a measure of spread.
local function abundance(name)
  local what, kind, number = name:match("^(.*abundance.-)_?(assay)%[(%d+)%]$")
  if not kind then
    what, kind, number = name:match("^(.*abundance.-)_?(study_variable)%[(%d+)%]$")
  end
  if not kind or name:find("^opt_") then
    return nil
  end
  return kind, tonumber(number), what:find("stdev") or what:find("std_error") or what:find("variation")
end

--- Assays are the samples; where there are none, the study variables are.
local function sample_kind(header)
  local kind
  for _, name in ipairs(header) do
    local of = abundance(name)
    kind = of == "assay" and of or kind or of
  end
  return kind or "ms_run"
end

local function abundance_role(found, name, samples)
  local kind, number, spread = abundance(name)
  if not kind then
    return nil
  elseif kind == samples and not spread then
    local known = found.samples[kind == "assay" and "assays" or "variables"][number] or {}
    return { role = "sample", sample = known.name or ("%s[%d]"):format(kind, number), quantity = "abundance",
      unit = found.unit, group = known.group, attributes = known.attributes }
  end
  return { role = "statistic" }
end

--- Identifications without quantities: how often each was seen in a run.
local function count_role(name)
  local run = name:match("^num_psms_(ms_run%[%d+%])$")
  return run and { role = "sample", sample = run, quantity = "PSM count" } or nil
end

return formats.register {
  name = "mztab", title = "mzTab",
  source = "HUPO-PSI mzTab 1.0.0 (Griss et al. 2014); mzTab-M 2.0.0 (Hoffmann et al. 2019)",
  omics = function(look)
    local is_m = look.head:find("mzTab-version\t2", 1, true)
    return is_m and { "metabolomics", "lipidomics" } or { "proteomics", "metabolomics", "lipidomics" }
  end,
  recognise = function(look)
    for _, line in ipairs(look.lines) do
      if line:find("^MTD\tmzTab%-version\t") then
        return 1, "it names its version of mzTab"
      elseif line:find("^[^%s]") and not line:find("^MTD\t") and not line:find("^COM") then
        return nil
      end
    end
    return nil
  end,
  place = mztab.place,
  about = mztab.about,
  columns = function(_, look)
    local found, roles = mztab.found(look), {}
    local samples = sample_kind(found.header)
    for i, name in ipairs(found.header) do
      roles[i] = i == found.name_position and { role = "feature" } or abundance_role(found, name, samples)
        or samples == "ms_run" and count_role(name) or { role = "annotation" }
    end
    return roles
  end,
}
