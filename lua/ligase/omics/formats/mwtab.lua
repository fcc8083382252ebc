--- Metabolomics Workbench mwTab, as text.
---
--- Sections begin with "#NAME"; study, subject and methods are lines "XX:KEY<tab>value";
--- the values stand between "..._DATA_START" and "..._DATA_END", one row per metabolite
--- (or NMR bin), one column per sample. That table is read; the row "Factors" under its
--- header and SUBJECT_SAMPLE_FACTORS say what the samples are.
local formats = require "ligase.omics.formats"
local mwtab_samples = require "ligase.omics.mwtab_samples"
local sections = require "ligase.io.sections"

local RESULTS_ELSEWHERE = "Take the table of values from that file, or ask the workbench for the results"

-- ---- lines beside the tables -----------------------------------------------

--- A value on several lines repeats its key; the text goes on.
local function add_item(section, key, value)
  section[key] = section[key] and section[key] .. " " .. value or value
end

local function section_of(about, name)
  about[name] = about[name] or {}
  return about[name]
end

local function doubt_line(from, about, line)
  from:doubt("line %d is no key, tab and value, and was kept as it stands", from.line)
  about.unread = about.unread or {}
  table.insert(about.unread, { line = from.line, text = from:decoded(line) })
end

local function read_item(from, state, line)
  local key, value = line:match("^([^\t]-)%s*\t(.*)$")
  if not key or key == "" then
    doubt_line(from, state.about, line)
  elseif key == "SUBJECT_SAMPLE_FACTORS" then
    mwtab_samples.read_line(from, state.samples, from:decoded(value))
  else
    local name = key:match("^[%w_]+:(.+)$")
    local section = name and section_of(state.about, state.section or "file") or state.about
    add_item(section, name or key, from:decoded(value))
  end
end

local function read_heading(from, state, line)
  local name = line:match("^#([%w_]+)")
  if line:find("^#METABOLOMICS WORKBENCH") then
    state.about.heading = from:decoded(line:sub(2))
  elseif name == "END" then
    state.ended = true
  else
    state.section = name or state.section
  end
end

-- ---- tables ----------------------------------------------------------------

local function is_data(block)
  return block:find("DATA$") and not block:find("^EXTENDED")
end

local function refuse_cut(from, block, line)
  from:refuse { code = "cut", line = line,
    message = ("%s_START has no %s_END: the file is cut short"):format(block, block), hint = "Fetch the file again" }
end

--- The lines of one block, without its START and END.
local function block_lines(from, block)
  local start, ending = from.line, block .. "_END"
  return function()
    local line = from:next()
    if not line or line:find("^#") then
      refuse_cut(from, block, start)
    elseif line:find(ending, 1, true) == 1 then
      return nil
    end
    return line
  end
end

--- The table of values: its header and rows are kept, the row of factors is not.
local function read_data(from, state, block)
  for line in block_lines(from, block) do
    if line == "" then
      goto continue
    elseif not state.header then
      state.header = sections.cells(from:decoded(line))
      state.header_line = from.line
      from:keep(line)
    elseif state.rows == 0 and line:find("^Factors\t") and not state.factors then
      state.factors, state.factors_line = sections.cells(from:decoded(line)), from.line
    else
      state.rows = state.rows + 1
      from:keep(line)
    end
    ::continue::
  end
  state.block = block
end

--- Another table (the metabolites' identifiers, a second table of values) is kept as text.
local function read_other(from, state, block)
  local kept = { rows = {} }
  for line in block_lines(from, block) do
    local cells = line ~= "" and sections.cells(from:decoded(line))
    if cells and not kept.columns then
      kept.columns = cells
    elseif cells then
      table.insert(kept.rows, cells)
    end
  end
  state.about[block] = kept
  if is_data(block) then
    from:doubt("the file has a second table of values, %s, which was kept as text beside the first", block)
  end
end

-- ---- what must hold --------------------------------------------------------

local function refuse_without_table(from, state)
  local results = (state.about.MS or {}).MS_RESULTS_FILE or (state.about.NM or {}).NMR_RESULTS_FILE
    or (state.about.NMR or {}).NMR_RESULTS_FILE
  from:refuse { code = "no_table", line = false,
    message = results and ("the values are not in this file but in another: %s"):format(results)
      or "the file has no table of values (a block ..._DATA_START)",
    hint = results and RESULTS_ELSEWHERE or "Fetch the analysis again, with its data" }
end

local function check(from, state)
  if not state.header then
    refuse_without_table(from, state)
  elseif state.rows == 0 then
    from:refuse { code = "no_rows", line = state.header_line, message = ("%s has no rows"):format(state.block),
      hint = "Check that the export finished" }
  end
  if not state.ended then
    from:doubt("the file does not end with #END; sections behind the table may be missing")
  end
  local version = state.about.VERSION
  if version ~= "1" then
    from:doubt("version %s of mwTab is not known here; it was read as version 1", version or "(none)")
  end
end

local function read(from)
  local state = { about = {}, samples = {}, rows = 0 }
  for line in from:lines() do
    local block = line:match("^([%u_]+)_START%s*$")
    if block and is_data(block) and not state.block then
      read_data(from, state, block)
    elseif block then
      read_other(from, state, block)
    elseif line:find("^#") then
      read_heading(from, state, line)
    elseif line:find("%S") then
      read_item(from, state, line)
    end
  end
  check(from, state)
  local named = state.about[state.block] or {}
  mwtab_samples.check(from, state)
  state.about.table, state.about.samples = state.block, mwtab_samples.by_name(state.samples)
  return { about = state.about, header = state.header, samples = state.samples, unit = named.UNITS }
end

local mwtab = sections.format(read)

return formats.register {
  name = "mwtab", title = "Metabolomics Workbench mwTab",
  source = "Metabolomics Workbench, mwTab file format specification 1.x (metabolomicsworkbench.org/data)",
  omics = { "metabolomics", "lipidomics" },
  recognise = function(look)
    for _, line in ipairs(look.lines) do
      if line:find("^#METABOLOMICS WORKBENCH") then
        return 1, "its first line is #METABOLOMICS WORKBENCH"
      elseif line:find("%S") then
        return nil
      end
    end
    return nil
  end,
  place = mwtab.place,
  about = mwtab.about,
  columns = function(_, look)
    local found = mwtab.found(look)
    return mwtab_samples.roles(found.header, found.samples, found.unit)
  end,
}
