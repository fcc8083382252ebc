--- Files of screening results into results: tables with a row per well or compound, and plates
--- as readers print them.
local columns = require "ligase.screening.columns"
local csv = require "csv"
local dialect = require "ligase.io.dialect"
local errors = require "ligase.base.errors"
local frame_of = require "frame"
local grids = require "ligase.screening.grids"
local json = require "ligase.base.json"
local report = require "ligase.screening.report"
local sys = require "sys"
local text = require "ligase.base.text"

local M = {}

local function merged(base, over)
  local result = {}
  for _, answers in ipairs { base or {}, over or {} } do
    for key, value in pairs(answers) do
      result[key] = value
    end
  end
  return result
end

local function set_of(list)
  local set = {}
  for _, word in ipairs(list) do
    set[word] = true
  end
  return set
end

--- The columns of a plan as they are stored.
---@param plan table from ligase.screening.columns
---@return table[]
function M.describe_columns(plan)
  local list = {}
  for i, column in ipairs(plan.columns) do
    list[i] = { position = column.position, header = column.header, field = column.field, unit = column.unit }
  end
  return list
end

--- Whether results of a plan belong to plates: they are readings of wells.
local function needs_plate(plan)
  return not plan.at.plate and (plan.at.well or plan.at.row or plan.at.value or plan.at.percent) ~= nil
end

--- By which a file is known again: absolute; nil for a stream.
---@param source ligase.source
---@return string|nil
function M.path_of(source)
  return source.name and sys.real_path(source.path) or nil
end

-- ---- plates as readers print them ------------------------------------------

--- A grid is looked for in so many bytes; a file of grids is read whole.
local LOOKED_AT_BYTES, GRIDS_BYTES_MOST = 65536, 64 << 20

local GRID_COLUMNS = { "plate", "well", "value" }

--- The content of a file that prints plates; nil for a table.
local function content_of(source, given)
  local options = { encoding = given.encoding }
  local head, how = csv.head(source.path, options, LOOKED_AT_BYTES)
  if not grids.look(head, given.separator) then
    return nil
  elseif how.complete then
    return head, how
  end
  head, how = csv.head(source.path, options, GRIDS_BYTES_MOST)
  if not how.complete then
    errors.raise { kind = "input", code = "grid", file = source.shown, message = ("plates are printed in it, and it is "
      .. "larger than %s"):format(text.bytes(GRIDS_BYTES_MOST)), hint = "Split it" }
  end
  return head, how
end

--- The name of each plate: its own, else the one that was said or the file's, with its number
--- where there are several.
local function name_plates(printed, source, options)
  if options.plate and #printed > 1 then
    errors.raise { kind = "usage", code = "plate", message = ("%s holds %d plates"):format(source.shown, #printed),
      hint = "Leave --plate out: each is called by the line above it, or by the file and its number" }
  end
  for i, grid in ipairs(printed) do
    local name = options.plate or grid.plate or source.name
    if not name then
      errors.raise { kind = "usage", code = "plate", message = "no line names the plate",
        hint = "Say which it is: --plate NAME" }
    end
    grid.plate = (options.plate or grid.plate or #printed == 1) and name or ("%s %d"):format(name, i)
  end
end

local function frame_over(printed, decimal)
  local rows, lines = {}, {}
  for _, grid in ipairs(printed) do
    for _, cell in ipairs(grid.cells) do
      rows[#rows + 1], lines[#lines + 1] = { grid.plate, cell.well, cell.text }, cell.line
    end
  end
  local made = frame_of.new(GRID_COLUMNS, rows, { missing = { "" }, decimal = decimal })
  return setmetatable({
    text = function(_, position)
      return made:text(position)
    end,
    number = function(_, position)
      return made:number(position)
    end,
    line = function(_, row)
      return lines[row]
    end,
    close = function()
      made:close()
    end,
  }, { __len = function()
    return #rows
  end })
end

local function grid_doubts(printed)
  local beside = {}
  for _, grid in ipairs(printed) do
    table.move(grid.beside, 1, #grid.beside, #beside + 1, beside)
  end
  return #beside > 0 and { ("what stands beside the wells is left out: %s"):format(table.concat(beside, ", ", 1,
    math.min(#beside, 3)) .. (#beside > 3 and ", ..." or "")) } or {}
end

local function read_grids(definition, source, results, options, given, content, how)
  if next(options.set or {}) then
    errors.raise { kind = "usage", code = "set", hint = "Leave --set out",
      message = ("%s prints plates, and has no columns"):format(source.shown) }
  end
  local printed, separator, others = grids.read(content, source.shown, given.separator)
  local decimal = given.decimal or grids.decimal(printed, source.shown)
  name_plates(printed, source, options)
  local plan = columns.plan(GRID_COLUMNS, definition.by_word, {}, { file = source.shown, line = printed[1].line })
  local frame = frame_over(printed, decimal)
  results:read({ shown = source.shown, plan = plan, decimal = decimal, layout = options.layout,
    missing = set_of(given.missing or columns.MISSING) }, columns.FIELDS, function()
      local now = frame
      frame = nil
      return now
    end)
  local read = results.sources[#results.sources]
  local described, plates = json.array(), {}
  for i, grid in ipairs(printed) do
    described[i] = { plate = grid.plate, line = grid.line, rows = grid.rows, columns = grid.columns }
    plates[i] = ("%s (%d x %d)"):format(text.shown(grid.plate, 40), grid.rows, grid.columns)
  end
  local info = { sha256 = sys.sha256_file(source.path), bytes = sys.stat(source.path).size_bytes,
    encoding = how.encoding }
  return { source = source.shown, path = M.path_of(source), sha256 = info.sha256, bytes = info.bytes, grids = described,
    about = #others > 0 and table.concat(others, "\n") or nil, columns = M.describe_columns(plan), rows = read.rows,
    first_ordinal = read.first_ordinal, doubts = json.array(report.note_doubts(read.notes)) },
    { plan = plan, info = info, grids = plates, dialect = { separator = separator, decimal = decimal,
      doubts = grid_doubts(printed) } }
end

-- ---- tables ----------------------------------------------------------------

local function read_source(definition, source, results, options)
  local given = merged(definition.dialect, options.dialect)
  local content, how = content_of(source, given)
  if content then
    return read_grids(definition, source, results, options, given, content, how)
  end
  local found = dialect.detect(source.path, given)
  local reader <close> = csv.frames(source.path, dialect.reader_options(found))
  local plan = columns.plan(reader:names(), definition.by_word, options.set or {},
    { file = source.shown, line = reader:info().header_line })
  local plate = options.plate
  if plate and plan.at.plate then
    errors.raise { kind = "usage", code = "plate", message = ('"%s" names the plates already'):format(
      plan.at.plate.header), hint = "Leave --plate out" }
  end
  if not plate and needs_plate(plan) then
    plate = source.name or errors.raise { kind = "usage", code = "plate", message = "no column names the plate",
      hint = "Say which it is: --plate NAME" }
  end
  results:read({ shown = source.shown, plan = plan, decimal = found.decimal, plate = plate, layout = options.layout,
    missing = set_of(given.missing or columns.MISSING) }, columns.FIELDS, function()
    return reader()
  end)
  local info, read = reader:info(), results.sources[#results.sources]
  return { source = source.shown, path = M.path_of(source), sha256 = info.sha256, bytes = info.bytes,
    columns = M.describe_columns(plan), rows = read.rows, first_ordinal = read.first_ordinal, plate = plate,
    doubts = json.array(report.note_doubts(read.notes)) }, { plan = plan, dialect = found, info = info }
end

--- Errors of reading carry the path that was opened; people know the one they named.
---@param definition table a recipe's
---@param sources ligase.source[]
---@param results ligase.screening_results gets the rows
---@param options table what a person said
---@return table[] read how each was read, as it is stored
---@return {plan: table, dialect: table, info: table, grids: string[]|nil}[] details for people
function M.read_all(definition, sources, results, options)
  local read, details = {}, {}
  for i, source in ipairs(sources) do
    local done, result, detail = xpcall(read_source, errors.explained, definition, source, results, options)
    if not done then
      result.file = result.file == source.path and source.shown or result.file
      error(result, 0)
    end
    result.layout = options.layout and options.layout:described()
    read[i], details[i] = result, detail
  end
  results:finish()
  return read, details
end

return M
