--- GEO SOFT: samples, series families, DataSets and series matrices.
---
--- "^" begins an entity, "!" says something of it, "#" describes a column of its table,
--- which stands between "!..._table_begin" and "!..._table_end". The tables of the samples
--- of a family become one: gene x sample, or one below the other where the samples do not
--- have the same rows.
local formats = require "ligase.omics.formats"
local sections = require "ligase.io.sections"
local side_by_side = require "ligase.io.side_by_side"
local soft_samples = require "ligase.omics.soft_samples"

local FETCH_AGAIN = "Fetch the whole file again (GEO's view=quick gives the first rows of a table only; view=full all)"

-- ---- entities --------------------------------------------------------------

local function begin_entity(from, state, line)
  local kind, name = line:match("^%^(%w+)%s*=%s*(.-)%s*$")
  if not kind then
    from:doubt("line %d begins no entity (^KIND = NAME) and was not read", from.line)
    return
  end
  state.kind, state.name, state.entity = kind:upper(), from:decoded(name), {}
  if state.kind == "SAMPLE" then
    state.samples[state.name] = state.entity
  elseif state.kind == "SUBSET" then
    table.insert(state.subsets, state.entity)
  else
    state.about[state.kind:lower()] = state.about[state.kind:lower()] or {}
    state.about[state.kind:lower()][state.name] = state.entity
  end
end

--- A line of a series matrix holds one cell for each sample.
local function read_matrix_line(from, state, key, rest)
  local cells = sections.cells(from:decoded(rest))
  local sample_key = key:match("^Sample_(.+)$")
  if sample_key then
    table.insert(state.matrix, { key = sample_key, cells = cells })
  else
    local series = state.about.series or {}
    state.about.series = series
    key = key:gsub("^Series_", "")
    series[key] = series[key] and series[key] .. "\n" .. cells[1] or cells[1]
  end
end

local function read_attribute(from, state, line)
  local key, value = line:match("^!([%w_/.-]+)%s*=%s?(.*)$")
  if not key then
    local name, rest = line:match("^!([%w_/.-]+)\t(.*)$")
    if name then
      read_matrix_line(from, state, name, rest)
    elseif line:find("^![%w_/.-]+%s*$") then
      return -- a name without a value
    else
      from:doubt("line %d is no attribute (!KEY = VALUE) and was not read", from.line)
    end
    return
  end
  value = from:decoded(value)
  local plain = key:gsub("^[%a]+_", "", 1)
  if state.kind == "SAMPLE" then
    soft_samples.put(state.entity, plain, value)
  elseif state.entity then
    state.entity[plain] = state.entity[plain] and state.entity[plain] .. "\n" .. value or value
  end
end

-- ---- tables ----------------------------------------------------------------

local function read_table_header(from, state, kind, line)
  local header = sections.cells(from:decoded(line))
  local tbl = { kind = kind, name = state.name or "", header = header, line = from.line, at = from.at, rows = 0,
    stated = state.kind == "SAMPLE" and tonumber(state.entity.data_row_count) or nil }
  return tbl
end

local function refuse_cut(from, kind, line)
  from:refuse { code = "cut", line = line, message = ("!%s_table_begin has no !%s_table_end: the file is cut short")
    :format(kind, kind), hint = FETCH_AGAIN }
end

local function read_table(from, state, kind)
  local begin, ending, tbl = from.line, "!" .. kind .. "_table_end", nil
  local keeps = kind ~= "platform" and #state.tables == 0
  for line in from:lines() do
    local first = line:byte()
    if first == 33 and line:lower():find(ending, 1, true) == 1 then
      if tbl then
        table.insert(kind == "platform" and state.platforms or state.tables, tbl)
      end
      return
    elseif first == 94 and line:find("^%^%u+%s*=") then
      break
    elseif line ~= "" then
      tbl = tbl or read_table_header(from, state, kind, line)
      tbl.rows = tbl.rows + (from.line > tbl.line and 1 or 0)
      if keeps then
        from:keep(line)
      end
    end
  end
  refuse_cut(from, kind, begin)
end

local function read_line(from, state, line)
  local first = line:sub(1, 1)
  if first == "^" then
    begin_entity(from, state, line)
  elseif first == "!" then
    local kind = line:lower():match("^!(%w+)_table_begin%s*$")
    kind = kind or line:lower():match("^!(series_matrix)_table_begin%s*$")
    if kind then
      read_table(from, state, kind)
    else
      read_attribute(from, state, line)
    end
  elseif first == "#" then
    local name, text = line:match("^#(.-)%s*=%s*(.*)$")
    if name and state.kind ~= "PLATFORM" then
      state.about.columns = state.about.columns or {}
      state.about.columns[from:decoded(name)] = from:decoded(text)
    end
  elseif line:find("%S") then
    from:doubt("line %d belongs to no table and was not read", from.line)
  end
end

-- ---- what must hold --------------------------------------------------------

local function refuse_without_table(from, state)
  local elsewhere
  for _, attributes in pairs(state.samples) do
    elsewhere = elsewhere or attributes.supplementary_file or attributes.supplementary_file_1
  end
  local only_platform = #state.platforms > 0 and "the file has the table of a platform and none of a sample"
  from:refuse { code = "no_table", line = false,
    message = elsewhere and ("the values are not in this file but in another: %s"):format(elsewhere) or only_platform
      or "the file has no table of values",
    hint = elsewhere and "Take the table of values from that file" or FETCH_AGAIN }
end

local function check(from, state)
  local filled = {}
  for _, tbl in ipairs(state.tables) do
    if tbl.stated and tbl.stated ~= tbl.rows then
      from:refuse { code = "counts", line = tbl.line, message = ("the table of %s has %d rows, but the file says %d")
        :format(tbl.name, tbl.rows, tbl.stated), hint = FETCH_AGAIN }
    elseif tbl.rows > 0 then
      filled[#filled + 1] = tbl
    else
      from:doubt("the table of %s has no rows", tbl.name)
    end
  end
  if #filled == 0 then
    refuse_without_table(from, state)
  end
  for _, tbl in ipairs(state.platforms) do
    from:doubt("the table of platform %s (%d rows) is not stored", tbl.name, tbl.rows)
  end
  state.tables = filled
end

--- The column with the values; the second one where none is called VALUE.
local function value_column(from, header)
  for _, name in ipairs(header) do
    if name == "VALUE" then
      return name
    end
  end
  from:doubt('no column is called VALUE; the values were taken from "%s"', header[2] or header[1])
  return header[2]
end

--- Makes one table of those of several samples. Returns its shape.
local function join(from, tables, value)
  local done = side_by_side.wide(from, tables, function(tbl, column)
    return column == value and tbl.name or tbl.name .. "." .. column
  end)
  if done then
    return "wide"
  end
  from:doubt("the samples do not have the same rows and columns: their tables stand one below the other, with the "
    .. "sample in front")
  return "long", side_by_side.long(from, tables, "SAMPLE")
end

local function sample_names(tables)
  local names = {}
  for _, tbl in ipairs(tables) do
    names[tbl.name] = true
  end
  return names
end

local function read(from)
  local state = { about = {}, samples = {}, subsets = {}, matrix = {}, tables = {}, platforms = {} }
  for line in from:lines() do
    read_line(from, state, line)
  end
  local count = #state.tables
  check(from, state)
  local first, result = state.tables[1], {}
  for name, attributes in pairs(soft_samples.of_matrix(state.matrix)) do
    state.samples[name] = attributes
  end
  result.groups = soft_samples.add_subsets(state.subsets, state.samples)
  result.kind = first.kind
  if first.kind == "sample" then
    result.value, result.names = value_column(from, first.header), sample_names(state.tables)
    if count > 1 then
      result.shape = join(from, state.tables, result.value)
    else
      result.shape, result.sample = "one", first.name
    end
  elseif count > 1 then
    from:doubt("only the first of %d tables of values was read", count)
  end
  state.about.shared_by_samples = soft_samples.take_shared(state.samples)
  state.about.samples = next(state.samples) and state.samples or nil
  result.about, result.samples = state.about, state.samples
  return result
end

local soft = sections.format(read)

-- ---- columns ---------------------------------------------------------------

--- Roles in the tables of samples.
local function sample_role(found, name)
  if found.shape == "long" then
    return name == found.value and { role = "value", quantity = name } or { role = "annotation" }
  end
  local sample = found.shape == "one" and name == found.value and found.sample or found.names[name] and name
  if found.shape == "one" and name ~= found.value or not sample then
    return { role = "annotation" }
  end
  return { role = "sample", sample = sample, quantity = found.value, attributes = found.samples[sample] }
end

local DESCRIBES = { IDENTIFIER = true }

return formats.register {
  name = "soft", title = "GEO SOFT",
  source = "NCBI GEO, SOFT file format and content (ncbi.nlm.nih.gov/geo/info/soft.html); series matrix files",
  omics = { "transcriptomics" },
  recognise = function(look)
    for _, line in ipairs(look.lines) do
      if line:find("^%^%u+%s*=") or line:find("^!Series_%w+[\t ]") or line:find("^!Sample_%w+[\t ]") then
        return 1, "its first line is one of SOFT"
      elseif line:find("%S") then
        return nil
      end
    end
    return nil
  end,
  place = soft.place,
  about = soft.about,
  columns = function(_, look)
    local found, roles = soft.found(look), {}
    local feature = found.shape == "long" and 2 or 1
    for i, name in ipairs(found.header) do
      if i == feature then
        roles[i] = { role = "feature" }
      elseif i < feature then
        roles[i] = { role = "sample_name" }
      elseif found.kind == "sample" then
        roles[i] = sample_role(found, name)
      else
        roles[i] = DESCRIBES[name] and { role = "annotation" }
          or { role = "sample", sample = name, group = found.groups[name], attributes = found.samples[name] }
      end
    end
    return roles
  end,
  flags = function()
    return { { flag = "standard", prefix = "AFFX-" } }
  end,
}
