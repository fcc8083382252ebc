--- Sample annotations: a table with one row per sample, joined to the samples of a dataset.
---
--- The column that names the samples is the one that fits the dataset's samples best. A
--- name must be the same, or the same but for case and blanks around it and then only one
--- sample's; whatever found no partner, on either side, is a doubt. Group, timepoint, dose
--- and replicate get these names, all other columns keep theirs.
local csv = require "csv"
local dialect = require "ligase.io.dialect"
local errors = require "ligase.base.errors"
local statistics = require "ligase.omics.statistics"
local sys = require "sys"
local text = require "ligase.base.text"

local M = {}

--- Rows of the largest table that is read.
local ROWS_MOST = 100000

--- What people call the attributes that have a name here, without case, blanks and marks.
local KNOWN = {
  group = { "group", "samplegroup", "condition", "treatment", "class", "samplecondition", "phenotype", "genotype" },
  timepoint = { "timepoint", "time", "day", "hour", "hours", "visit", "week" },
  dose = { "dose", "concentration", "dosage" },
  replicate = { "replicate", "bioreplicate", "biologicalreplicate", "rep", "techreplicate" },
}
local ORDER = { "group", "timepoint", "dose", "replicate" }

---@class ligase.sample_table
---@field shown string the file as it was named
---@field sha256 string
---@field headers string[]
---@field rows string[][] cells as texts
---@field doubts string[] of reading it

--- Reads a table of samples. Raises "input" when it is none, with file and line.
---@param path string
---@return ligase.sample_table
function M.read(path)
  local found = dialect.detect(path)
  local reader <close> = csv.frames(path, dialect.reader_options(found))
  local headers, rows = reader:names(), {}
  for i, header in ipairs(headers) do
    for j = 1, i - 1 do
      if headers[j] == header and header ~= "" then
        errors.raise { kind = "input", code = "duplicate_header", file = path, line = reader:info().header_line,
          message = ('columns %d and %d of the samples have the same header "%s"'):format(j, i,
            text.printable(header)), hint = "Give each column a header of its own" }
      end
    end
  end
  for frame in reader do
    for row = 1, #frame do
      rows[#rows + 1] = frame:row(row)
    end
    if #rows > ROWS_MOST then
      errors.raise { kind = "input", code = "samples", file = path,
        message = ("the table of samples has more than %d rows"):format(ROWS_MOST),
        hint = "Is it the data? --samples wants a table with one row per sample" }
    end
  end
  if #rows == 0 then
    errors.raise { kind = "input", code = "no_rows", file = path, message = "the table of samples has no rows",
      hint = "Give one row per sample" }
  end
  return { shown = path, sha256 = sys.sha256_file(path), headers = headers, rows = rows, doubts = found.doubts }
end

--- A name without case and blanks around it.
local function folded(name)
  return (name:match("^%s*(.-)%s*$"):lower())
end

--- How a column's cells answer to names: exactly, or folded where only one row has that.
local function index_of(annotations, position)
  local index = { exact = {}, folded = {} }
  for i, row in ipairs(annotations.rows) do
    local cell = row[position] or ""
    if cell ~= "" then
      index.exact[cell] = index.exact[cell] == nil and i or false
      local near = folded(cell)
      index.folded[near] = index.folded[near] == nil and i or false
    end
  end
  return index
end

local function row_for(index, name)
  local row = index.exact[name]
  if row == nil then
    row = index.folded[folded(name)]
  end
  return row or nil, row == false
end

--- The column in which most of the names stand.
local function name_column(annotations, names)
  local best, most, best_index = nil, 0, nil
  for position in ipairs(annotations.headers) do
    local index, count = index_of(annotations, position), 0
    for _, name in ipairs(names) do
      count = count + (row_for(index, name) and 1 or 0)
    end
    if count > most then
      best, most, best_index = position, count, index
    end
  end
  return best, best_index
end

--- The name of each column's attribute: group, timepoint, dose and replicate where a
--- header means that and is the only one, else the header itself.
local function attribute_names(annotations, name_position)
  local attributes, taken = {}, {}
  for _, attribute in ipairs(ORDER) do
    for _, wanted in ipairs(KNOWN[attribute]) do
      for position, header in ipairs(annotations.headers) do
        if not taken[attribute] and position ~= name_position and not attributes[position]
          and statistics.plain(header) == wanted then
          attributes[position], taken[attribute] = attribute, header
        end
      end
    end
  end
  for position, header in ipairs(annotations.headers) do
    if position ~= name_position and not attributes[position] then
      local name = header ~= "" and header or ("column %d"):format(position)
      attributes[position] = taken[name] and ("%s (column %d)"):format(name, position) or name
    end
  end
  return attributes, taken
end

local function attributes_of(row, names)
  local attributes = {}
  for position, name in pairs(names) do
    local cell = row[position]
    attributes[name] = cell ~= "" and cell or nil
  end
  return attributes
end

local function listed(names)
  local shown = {}
  for i = 1, math.min(#names, 8) do
    shown[i] = ('"%s"'):format(text.printable(names[i]))
  end
  return table.concat(shown, ", ") .. (#names > 8 and (", ... (%d)"):format(#names) or "")
end

--- The samples' names in a plan, each once, and which columns are of each.
local function samples_of(plan)
  local names, columns = {}, {}
  for _, column in ipairs(plan.columns) do
    if column.role == "sample" then
      local name = column.sample_id or column.name
      if not columns[name] then
        columns[name] = {}
        names[#names + 1] = name
      end
      table.insert(columns[name], column)
    end
  end
  return names, columns
end

local function doubt(plan, ...)
  plan.doubts[#plan.doubts + 1] = string.format(...)
end

--- Gives each sample of the list its row, and notes what has no partner.
local function match(plan, annotations, names, position, index)
  local rows, used, alone, several = {}, {}, {}, {}
  for _, name in ipairs(names) do
    local row, is_several = row_for(index, name)
    if row then
      rows[name], used[row] = annotations.rows[row], true
    else
      table.insert(is_several and several or alone, name)
    end
  end
  local left = {}
  for i, row in ipairs(annotations.rows) do
    if not used[i] and row[position] ~= "" then
      left[#left + 1] = row[position]
    end
  end
  if #several > 0 then
    doubt(plan, "several rows of %s are for one sample, so none was taken: %s", annotations.shown, listed(several))
  end
  if #alone > 0 then
    doubt(plan, "samples without a row in %s: %s", annotations.shown, listed(alone))
  end
  if #left > 0 and #several == 0 then
    doubt(plan, "rows of %s without a sample in the file: %s", annotations.shown, listed(left))
  end
  return rows
end

--- Joins annotations to the samples of a plan: each sample column gets `sample`, a table of
--- its attributes. Of a long table, whose samples stand in its rows, the column that names
--- them gets `samples`, the attributes of each.
---@param plan ligase.column_plan
---@param annotations ligase.sample_table
---@param names_in_rows string[]|nil the samples in the first rows of a long table
function M.join(plan, annotations, names_in_rows)
  local names, columns = samples_of(plan)
  if names_in_rows then
    names = names_in_rows
  end
  local position, index = name_column(annotations, names)
  if not position then
    doubt(plan, "no sample of the file was found in %s; the samples are %s", annotations.shown, listed(names))
    return
  end
  local attributes, taken = attribute_names(annotations, position)
  plan.sample_table = { source = annotations.shown, sha256 = annotations.sha256,
    name_column = annotations.headers[position], headers = next(taken) and taken or nil }
  if names_in_rows then
    plan.sample_name.samples = {}
    for _, row in ipairs(annotations.rows) do
      plan.sample_name.samples[row[position]] = attributes_of(row, attributes)
    end
    match(plan, annotations, names, position, index)
    return
  end
  for name, row in pairs(match(plan, annotations, names, position, index)) do
    for _, column in ipairs(columns[name]) do
      local joined = attributes_of(row, attributes)
      for name_of, value in pairs(column.sample or {}) do -- what the file itself says of its sample
        joined[name_of] = joined[name_of] or value
      end
      column.sample = joined
    end
  end
end

return M
