--- A screening table as results: one per data row and column of results.
---
--- Results are kept as lists, one per field, because there can be a million of them.
--- What cannot be read is kept verbatim and counted; what would make numbers wrong (a well
--- twice, two units for one kind of value, a role that nobody knows) is refused with its
--- place.
local errors = require "ligase.base.errors"
local hit_rule = require "ligase.screening.hit_rule"
local host = require "host"
local json = require "ligase.base.json"
local text = require "ligase.base.text"
local values = require "ligase.screening.values"
local wells = require "ligase.screening.wells"

local M = {}

local null = host.null

--- The lists of results; `source` and `line` say where each stands.
M.FIELDS = { "ordinal", "plate", "well", "role", "measure", "value", "relation", "unit", "concentration_m",
  "source_name", "cells", "source", "line" }

---@class ligase.screening_results_source
---@field shown string
---@field rows integer
---@field first_ordinal integer
---@field notes table<string, {count: integer, examples: string[]}> by what was noted
---@field is_earlier boolean|nil it was read before, and is there as ligase.store.screening has it

---@class ligase.screening_results
---@field n integer
---@field sources ligase.screening_results_source[]
---@field notes table<string, {count: integer, examples: string[]}> by what was noted, of what was read now
---@field earlier_count integer|nil how many are of files that were read before
---@field earlier_compound_id (string|userdata)[]|nil their compounds
local Results = {}
Results.__index = Results

--- How a table is to be read.
---@class ligase.screening_reading
---@field controls ligase.control_map
---@field roles table<string, string> role by word in lower case
---@field unit string|nil of values where the table says none
---@field concentration_unit string|nil
---@field duplicates "refuse"|"keep"|"exclude"
---@field row_word string|nil what a place in the source is called; line without it
---@field direction string|nil of the campaign, for percentages that are named by one

--- No results yet.
---@param reading ligase.screening_reading
---@return ligase.screening_results
function M.new(reading)
  local results = { n = 0, rows = 0, next_ordinal = 1, sources = {}, notes = {}, reading = reading, units = {},
    seen_wells = {}, twice = {} }
  for _, field in ipairs(M.FIELDS) do
    results[field] = {}
  end
  return setmetatable(results, Results)
end

local NOTED_MOST = 3

--- Notes something about a row that people should know of.
---@param what string one of ligase.screening.report's notes
---@param example string
---@param line integer
function Results:note(what, example, line)
  for _, notes in ipairs { self.notes, self.sources[#self.sources].notes } do
    local note = notes[what]
    if not note then
      note = { count = 0, examples = {} }
      notes[what] = note
    end
    note.count = note.count + 1
    if #note.examples < NOTED_MOST then
      note.examples[#note.examples + 1] = ("%s (%s %d)"):format(text.shown(example, 40),
        self.reading.row_word or "line", line)
    end
  end
end

-- ---- one source ------------------------------------------------------------

---@class ligase.screening_source
---@field shown string
---@field plan table from ligase.screening.columns
---@field decimal string
---@field missing table<string, boolean>
---@field plate string|nil of all rows, where no column names plates
---@field layout ligase.plate_layout|nil what is in the wells, where the table does not say it

local function refuse(state, line, field, message, hint)
  local column, shown = field and state.at[field], state.source.shown
  if column and column.is_laid then
    shown, line, column = state.source.layout.shown, state.laid and state.laid.line, column.laid
  end
  errors.raise { kind = "input", code = "table", file = shown, line = line, column = column and column.position,
    message = message, hint = hint }
end

local function plate_of(state, cell, line)
  if not state.at.plate then
    return state.source.plate or null
  elseif not cell then
    refuse(state, line, "plate", "the row names no plate", "Fill it in, or leave the row out of the file")
  end
  return cell
end

--- A well's name; what is none is kept as it stands, and belongs to no place on the plate.
local function well_of(state, row, line)
  local at = state.at
  if at.well then
    local cell = state.cells.well[row]
    if not cell then
      return null
    end
    local known = state.known_wells[cell]
    if known == nil then
      known = wells.read(cell) or false
      state.known_wells[cell] = known
    end
    if not known then
      refuse(state, line, "well", ("'%s' is no well"):format(text.shown(cell, 30)),
        "A well is a letter and a number, from A1 to AF48")
    end
    return known
  elseif at.row then
    local letter, number = state.cells.row[row], state.cells.column[row]
    local well = letter and number and wells.from(letter, number)
    if not well then
      refuse(state, line, "row", ("row '%s', column '%s' is no well"):format(text.shown(letter or "", 20),
        text.shown(number or "", 20)), "Rows are A to AF or 1 to 32, columns 1 to 48")
    end
    return well
  end
  return null
end

--- What the table itself says of the role: nil for nothing. Words that people declared come
--- first.
local function told_role(state, cell, line)
  local known = state.known_roles[cell]
  if known == nil then
    known = state.reading.controls:of_name(cell) or state.reading.roles[cell:lower()] or false
    state.known_roles[cell] = known
  end
  if not known then
    local words = {}
    for word in pairs(state.reading.roles) do
      words[#words + 1] = word
    end
    local near = text.nearest(cell:lower(), words)
    refuse(state, line, "role", ("nobody knows the role '%s'"):format(text.shown(cell, 30)),
      (near and ("Did you mean '%s'? "):format(near) or "") .. ("Say what it is: --role '%s=positive' (or negative, "
        .. "sample, blank, empty, excluded)"):format(text.printable(cell)))
  end
  return known
end

local function role_of(state, row, line, well, compound)
  local controls = state.reading.controls
  local cell = state.at.role and state.cells.role[row]
  local told = cell and told_role(state, cell, line)
  local declared = well ~= null and controls:of_well(well) or nil
  local named = compound and controls:of_name(compound) or nil
  if declared and named and declared ~= named then
    refuse(state, line, "compound", ("well %s is declared %s, and '%s' in it %s"):format(well, declared,
      text.shown(compound, 30), named), "Mend the declaration, or the row")
  end
  declared = declared or named
  if declared and told and told ~= "sample" and told ~= "empty" and told ~= declared then
    refuse(state, line, "role", ("the row says %s, and the controls are declared so that it is %s"):format(told,
      declared), "Mend the declaration, or the row")
  end
  if declared or told then
    return declared or told
  elseif compound or not state.at.compound then
    return "sample"
  end
  state.results:note("unnamed", well ~= null and well or "a row", line)
  return "empty"
end

-- ---- rows ------------------------------------------------------------------

--- Remembers the well of a result that belongs to a plate; gives the result of the same
--- kind that was there before.
local function first_of_well(results, i)
  local measure = results.measure[i]
  if results.well[i] == null or measure ~= "raw" and measure ~= "percent" then
    return nil
  end
  local place = (results.plate[i] == null and "" or results.plate[i]) .. "\0" .. measure
  local seen = results.seen_wells[place]
  if not seen then
    seen = {}
    results.seen_wells[place] = seen
  end
  local first = seen[results.well[i]]
  seen[results.well[i]] = first or i
  return first
end

local function refuse_well(state, i, first)
  local results = state.results
  local source, row_word = results.sources[results.source[first]], state.reading.row_word or "line"
  local place = source.is_earlier and ("%s, which was read before"):format(source.shown)
    or ("%s %d%s"):format(row_word, results.line[first], results.source[first] ~= results.source[i]
      and " of " .. source.shown or "")
  refuse(state, results.line[i], "well", ("well %s%s stands twice, first in %s"):format(results.well[i],
    results.plate[i] ~= null and (" of plate '%s'"):format(text.shown(results.plate[i], 40)) or "", place),
    "If both count: --duplicates keep; if neither does: --duplicates exclude; " .. (source.is_earlier
      and "if what is read now takes the place of all that was read before: --only" or "else mend the file"))
end

--- A well that stands twice with values of one kind counts twice, which only a person can
--- want.
local function note_well(state, i)
  local results = state.results
  local first = first_of_well(results, i)
  if not first then
    return
  elseif state.reading.duplicates == "refuse" then
    refuse_well(state, i, first)
  end
  results:note("twice", results.well[i], results.line[i])
  results.twice[#results.twice + 1] = { first, i }
end

local function percent_column_sign(column, direction)
  local header = column.header:lower()
  local named = header:find("inhib", 1, true) and "inhibition" or header:find("activation", 1, true) and "activation"
    or nil
  return not named or named == direction, named
end

local function add_result(state, row, line, column, shared, kept, is_first)
  local results = state.results
  local i = results.n + 1
  results.n = i
  local measure, logarithm = shared.measure or column.result, shared.measure and shared.logarithm or column.logarithm
  local row_number = results.rows - state.rows_before
  results.ordinal[i] = state.first_ordinal + (row_number - 1) * state.width + shared.place - 1
  results.plate[i], results.well[i], results.role[i] = shared.plate, shared.well, shared.role
  results.measure[i], results.source_name[i] = measure, shared.compound or null
  results.source[i], results.line[i] = #results.sources, line
  local own = values.read(state, i, row, column, logarithm)
  own = values.read_dose(state, i, row, own)
  if is_first and kept then
    own = own and own .. "," .. kept or "{" .. kept
  end
  results.cells[i] = own and own .. "}" or null
  note_well(state, i)
end

--- What the layout says of the row's well, as if the row said it.
local function lay_out(state, row, shared)
  local layout = state.source.layout
  state.laid = layout:of(shared.plate ~= null and shared.plate or nil, shared.well ~= null and shared.well or nil)
  for field in pairs(layout.columns) do
    state.cells[field][row] = state.laid and state.laid[field] or false
  end
end

--- The cells of columns that nobody asked for.
local function left_cells(state, row)
  local kept
  for _, column in ipairs(state.left) do
    local cell = state.texts[column.position][row]
    if cell ~= null then
      kept = (kept and kept .. "," or "") .. state.keys[column.position] .. json.encode(cell)
    end
  end
  return kept
end

local function add_row(state, frame, row)
  local results, line = state.results, frame:line(row)
  results.rows = results.rows + 1
  local shared = { plate = plate_of(state, state.at.plate and state.cells.plate[row], line),
    well = well_of(state, row, line) }
  if state.source.layout then
    lay_out(state, row, shared)
  end
  shared.compound = state.at.compound and state.cells.compound[row] or nil
  shared.role = role_of(state, row, line, shared.well, shared.compound)
  if state.at.measure then
    local cell = state.cells.measure[row]
    if not cell then
      refuse(state, line, "measure", "the row does not say what its value is", "Fill it in")
    end
    shared.measure, shared.logarithm = values.measure(state, cell)
  end
  local kept, any = left_cells(state, row), false
  for place, column in ipairs(state.columns) do
    local cell = state.texts[column.position][row]
    if cell ~= null and not state.source.missing[cell] or place == #state.columns and not any then
      shared.place = place
      add_result(state, row, line, column, shared, kept, not any)
      any = true
    end
  end
end

local function trimmed(list)
  for i, cell in ipairs(list) do
    if cell ~= null and (cell:byte(1) <= 32 or cell:byte(-1) <= 32) then
      local clean = cell:match("^%s*(.-)%s*$")
      list[i] = clean ~= "" and clean or null
    end
  end
  return list
end

--- The cells of a frame that are looked at, as lists.
local function open_frame(state, frame)
  state.cells, state.texts, state.numbers = {}, {}, {}
  for field, column in pairs(state.at) do
    local cells = {}
    if not column.is_laid then
      local texts <close> = frame:text(column.position)
      local list = trimmed(texts:values())
      state.texts[column.position] = list
      for i, cell in ipairs(list) do
        cells[i] = cell ~= null and not state.source.missing[cell] and cell or false
      end
    end
    state.cells[field] = cells
  end
  for _, column in ipairs(state.columns) do
    local numbers <close> = frame:number(column.position)
    state.numbers[column.position] = numbers:values()
  end
  for _, column in ipairs(state.left) do
    local texts <close> = frame:text(column.position)
    state.texts[column.position] = texts:values()
  end
end

--- By field the columns that say it: the table's own, and the layout's.
local function places_of(source)
  local at = {}
  for field, column in pairs(source.plan.at) do
    at[field] = column
  end
  for field, column in pairs(source.layout and source.layout.columns or {}) do
    if at[field] then
      errors.raise { kind = "usage", code = "layout", message = ('"%s" of %s says what the layout says too'):format(
        text.printable(at[field].header), source.shown), hint = ("Leave the layout out, or: --set '%s=ignore'"):format(
        text.printable(at[field].header)) }
    end
    at[field] = { position = ("layout %d"):format(column.position), header = column.header, unit = column.unit,
      is_laid = true, laid = column }
  end
  return at
end

local function state_of(results, source, fields)
  local state = { results = results, source = source, reading = results.reading, at = places_of(source), columns = {},
    left = {}, keys = {}, known_wells = {}, known_roles = {}, known_measures = {}, known_doses = {} }
  for _, column in pairs(state.at) do
    state.keys[column.position] = ('"%s":'):format(column.position)
  end
  for _, column in ipairs(source.plan.columns) do
    state.keys[column.position] = ('"%d":'):format(column.position)
    if not column.field then
      state.left[#state.left + 1] = column
    elseif fields[column.field].result then
      state.columns[#state.columns + 1] = { position = column.position, header = column.header, unit = column.unit,
        result = fields[column.field].result, logarithm = fields[column.field].logarithm or false }
    end
  end
  state.width = #state.columns
  for _, column in ipairs(state.columns) do
    local fits, named = percent_column_sign(column, results.reading.direction)
    if column.result == "percent" and results.reading.direction and not fits then
      errors.raise { kind = "input", code = "direction", file = source.shown, column = column.position,
        message = ('"%s" is of %s, and the campaign of %s'):format(text.printable(column.header), named,
          results.reading.direction), hint = "Is it the right campaign? Its direction: ligase campaign update NAME "
          .. "--direction " .. named }
    end
  end
  return state
end

--- Reads the frames of one source.
---@param source ligase.screening_source
---@param fields table ligase.screening.columns' FIELDS
---@param frames fun(): table|nil an iterator over frames
function Results:read(source, fields, frames)
  if self.width and self.width ~= #source.plan.results then
    errors.raise { kind = "input", code = "table", file = source.shown,
      message = ("it has %s of results, and %s has %d"):format(text.count(#source.plan.results, "column"),
        self.sources[#self.sources].shown, self.width), hint = "Files read together are tables of one form" }
  end
  self.width = #source.plan.results
  local before = self.rows
  local state = state_of(self, source, fields)
  state.first_ordinal, state.rows_before = self.next_ordinal, before
  self.sources[#self.sources + 1] = { shown = source.shown, first_ordinal = self.next_ordinal, notes = {} }
  for frame in frames do
    open_frame(state, frame)
    for row = 1, #frame do
      add_row(state, frame, row)
    end
    frame:close()
  end
  self.sources[#self.sources].rows = self.rows - before
  self.next_ordinal = self.next_ordinal + (self.rows - before) * self.width
  if self.rows == before then
    refuse(state, nil, nil, "the file has a header and no rows", "Check that the export finished")
  end
end

-- ---- sources read before ---------------------------------------------------

--- Controls that were met in earlier files need not be in the new ones.
local function meet_control(results, i)
  if results.role[i] == "sample" then
    return
  end
  if results.well[i] ~= null then
    results.reading.controls:of_well(results.well[i])
  end
  if results.source_name[i] ~= null then
    results.reading.controls:of_name(results.source_name[i])
  end
end

local function meet_unit(results, i)
  local measure = results.measure[i]
  if results.value[i] ~= null and not hit_rule.CONCENTRATIONS[measure] and not results.units[measure] then
    results.units[measure] = { unit = results.unit[i] ~= null and results.unit[i] or nil,
      shown = results.sources[results.source[i]].shown }
  end
end

--- Takes over results of files that were read before, as if they had been named together
--- with those that are read next. To be called first.
---@param earlier table from ligase.store.screening.earlier
function Results:take(earlier)
  for place, source in ipairs(earlier.sources) do
    self.sources[place] = { shown = source.source, rows = source.rows, first_ordinal = source.first_ordinal,
      notes = {}, is_earlier = true }
    self.rows = self.rows + source.rows
  end
  for _, field in ipairs(M.FIELDS) do
    self[field] = earlier[field] or self[field]
  end
  self.n, self.earlier_count, self.earlier_compound_id = earlier.n, earlier.n, earlier.compound_id
  self.next_ordinal = earlier.n > 0 and earlier.ordinal[earlier.n] + 1 or 1
  for i = 1, earlier.n do
    first_of_well(self, i)
    meet_unit(self, i)
    meet_control(self, i)
  end
end

--- Takes wells that stand twice out of what counts, where that was asked for. To be called
--- after the last source.
function Results:finish()
  if self.reading.duplicates == "exclude" then
    for _, pair in ipairs(self.twice) do
      self.role[pair[1]], self.role[pair[2]] = "excluded", "excluded"
    end
  end
end

return M
