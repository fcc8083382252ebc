--- A plate layout: a table that says what is in the wells of plates, for files that say only
--- what was measured there, as plates that readers print do.
local columns = require "ligase.screening.columns"
local csv = require "csv"
local dialect = require "ligase.io.dialect"
local errors = require "ligase.base.errors"
local host = require "host"
local sys = require "sys"
local text = require "ligase.base.text"
local wells = require "ligase.screening.wells"

local M = {}

local null = host.null

--- What it may say of a well.
local FIELDS = { "compound", "role", "concentration", "concentration_unit" }

--- Where plates and wells stand.
local PLACES = { "plate", "well", "row", "column" }

---@class ligase.laid_well
---@field line integer
---@field compound string|nil
---@field role string|nil
---@field concentration string|nil
---@field concentration_unit string|nil
---@field is_met boolean|nil a file has this well

---@class ligase.plate_layout
---@field shown string
---@field sha256 string
---@field columns table<string, ligase.screening_column> by what they say: compound, role, concentration, ...
---@field plan table from ligase.screening.columns
---@field plates table<string, table<string, ligase.laid_well>> by plate and well; "" is every plate
---@field count integer wells that it speaks of
local Layout = {}
Layout.__index = Layout

local function refuse(layout, line, column, message, hint)
  errors.raise { kind = "input", code = "layout", file = layout.shown, line = line, column = column and column.position,
    message = message, hint = hint }
end

-- ---- reading ---------------------------------------------------------------

--- The cells of a column, false where nothing stands.
local function cells_of(frame, column, missing)
  local texts <close> = frame:text(column.position)
  local cells = texts:values()
  for i, cell in ipairs(cells) do
    local clean = cell ~= null and cell:match("^%s*(.-)%s*$")
    cells[i] = clean and not missing[clean] and clean or false
  end
  return cells
end

local function well_of(layout, cells, row, line)
  local at = layout.plan.at
  local well
  if at.well then
    well = cells.well[row] and wells.read(cells.well[row])
  else
    well = cells.row[row] and cells.column[row] and wells.from(cells.row[row], cells.column[row])
  end
  return well or refuse(layout, line, at.well or at.row, ("'%s' is no well"):format(text.shown(at.well
    and (cells.well[row] or "") or ("%s, %s"):format(cells.row[row] or "", cells.column[row] or ""), 30)),
    "A well is a letter and a number, from A1 to AF48")
end

local function add_row(layout, cells, row, line)
  local plate = layout.plan.at.plate and (cells.plate[row] or refuse(layout, line, layout.plan.at.plate,
    "the row names no plate", "Fill it in, or leave the column out when it holds for all plates")) or ""
  local well, laid = well_of(layout, cells, row, line), { line = line }
  for field in pairs(layout.columns) do
    laid[field] = cells[field][row] or nil
  end
  local on_plate = layout.plates[plate] or {}
  if on_plate[well] then
    refuse(layout, line, layout.plan.at.well, ("well %s%s stands twice, first in line %d"):format(well,
      plate ~= "" and (" of plate '%s'"):format(text.shown(plate, 40)) or "", on_plate[well].line),
      "Each well has one line")
  end
  layout.plates[plate], on_plate[well], layout.count = on_plate, laid, layout.count + 1
end

local function check_plan(layout, line)
  local at = layout.plan.at
  if not at.well and not at.row then
    refuse(layout, line, nil, "no column names wells", "Its header may be: well, position; or row and column")
  elseif not at.compound and not at.role then
    refuse(layout, line, nil, "no column says what is in the wells",
      "Its header may be: compound, sample, ... for compounds; role, type, ... for controls")
  end
end

local function read(layout, definition, source)
  local missing = {}
  for _, mark in ipairs(columns.MISSING) do
    missing[mark] = true
  end
  local reader <close> = csv.frames(source.path, dialect.reader_options(dialect.detect(source.path, {})))
  local header_line = reader:info().header_line
  layout.plan = columns.plan(reader:names(), definition.by_word, {}, { file = layout.shown, line = header_line,
    without_results = true })
  check_plan(layout, header_line)
  for _, field in ipairs(FIELDS) do
    layout.columns[field] = layout.plan.at[field]
  end
  for frame in reader do
    local cells = {}
    for _, list in ipairs { PLACES, FIELDS } do
      for _, field in ipairs(list) do
        local column = layout.plan.at[field]
        cells[field] = column and cells_of(frame, column, missing)
      end
    end
    for row = 1, #frame do
      add_row(layout, cells, row, frame:line(row))
    end
    frame:close()
  end
end

--- Reads a layout. Its columns are found by the recipe's words.
---@param definition table a recipe's
---@param source ligase.source
---@return ligase.plate_layout
function M.read(definition, source)
  local layout = setmetatable({ shown = source.shown, sha256 = sys.sha256_file(source.path), columns = {}, plates = {},
    count = 0, seen_plates = {} }, Layout)
  local done, failure = xpcall(read, errors.explained, layout, definition, source)
  if not done then
    failure.file = failure.file == source.path and source.shown or failure.file
    error(failure, 0)
  end
  return layout
end

-- ---- asking ----------------------------------------------------------------

--- What is in a well; nil where the layout does not speak of it. Refuses a plate that it does
--- not have.
---@param plate string|nil
---@param well string|nil as ligase.screening.wells gives it
---@return ligase.laid_well|nil
function Layout:of(plate, well)
  local name = self.plan.at.plate and (plate or "") or ""
  local on_plate = self.plates[name]
  if not on_plate then
    local names = {}
    for known in pairs(self.plates) do
      names[#names + 1] = known
    end
    local near = text.nearest(name, names)
    refuse(self, nil, nil, ("it says nothing of plate '%s'"):format(text.shown(name, 40)), near
      and ("Did you mean '%s'? Plates are called alike in both files, or --plate says it"):format(text.shown(near, 40))
      or "Plates are called alike in both files, or --plate says it")
  end
  self.seen_plates[name] = true
  local laid = on_plate[well or ""]
  if laid then
    laid.is_met = true
  end
  return laid
end

--- What it says of wells that no file has, of plates that files have.
---@return string|nil doubt
function Layout:doubt()
  local missed = {}
  for name in pairs(self.seen_plates) do
    for well, laid in pairs(self.plates[name]) do
      missed[#missed + 1] = not laid.is_met and (name ~= "" and text.shown(name, 40) .. " " or "") .. well or nil
    end
  end
  if #missed > 0 then
    table.sort(missed)
    return ("%s of %s in no file that was read: %s%s"):format(text.count(#missed, "well"), self.shown,
      table.concat(missed, ", ", 1, math.min(#missed, 3)), #missed > 3 and ", ..." or "")
  end
end

--- As it is stored with what was read by it.
---@return table
function Layout:described()
  return { source = self.shown, sha256 = self.sha256, wells = self.count }
end

return M
