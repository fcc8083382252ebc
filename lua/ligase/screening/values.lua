--- One cell of a screening table as a value: its number, relation and unit, and what is
--- kept verbatim of it.
---
--- Works on the state of ligase.screening.table, which knows source, columns and row.
local amounts = require "ligase.screening.amounts"
local errors = require "ligase.base.errors"
local hit_rule = require "ligase.screening.hit_rule"
local host = require "host"
local json = require "ligase.base.json"
local text = require "ligase.base.text"

local M = {}

local null = host.null

--- Cells kept verbatim, as an open JSON object by position.
local function keep(state, kept, column, cell)
  if not cell then
    return kept
  end
  return (kept and kept .. "," or "{") .. state.keys[column.position] .. json.encode(cell)
end

--- The unit of a value, from the surest that says one.
local function unit_of(state, row, column, amount)
  local cell = state.at.unit and state.cells.unit[row] or nil
  return amount and amount.unit or cell or column.unit or state.reading.unit
end

-- ---- kinds of results ------------------------------------------------------

local MEASURE_WORDS = { raw = "raw", value = "raw", signal = "raw", readout = "raw", percent = "percent",
  inhibition = "percent", percentinhibition = "percent", activation = "percent", percentactivation = "percent" }

--- What a column of measures says: the kind of result, and whether it is a negative
--- logarithm.
---@param state table
---@param cell string
---@return string measure
---@return boolean logarithm
function M.measure(state, cell)
  local known = state.known_measures[cell]
  if not known then
    local plain = cell:lower():gsub("[%s%p]", "")
    local concentration = hit_rule.CONCENTRATIONS[plain] and plain
    local logarithm = hit_rule.CONCENTRATIONS[plain:sub(2)] and plain:sub(1, 1) == "p" and plain:sub(2)
    known = { measure = concentration or logarithm or MEASURE_WORDS[plain] or cell:lower(),
      logarithm = logarithm and true or false }
    state.known_measures[cell] = known
  end
  return known.measure, known.logarithm
end

-- ---- values ----------------------------------------------------------------

--- One kind of value has one unit; concentrations were made comparable before.
local function check_unit(state, measure, unit, line)
  local units = state.results.units
  local first = units[measure]
  if not first then
    units[measure] = { unit = unit, line = line, shown = state.source.shown }
  elseif first.unit ~= unit then
    local function named(word)
      return word and ("in '%s'"):format(text.shown(word, 20)) or "without a unit"
    end
    errors.raise { kind = "input", code = "mixed_units", file = state.source.shown, line = line,
      message = ("the value is %s, others are %s (%s, %s)"):format(named(unit), named(first.unit), first.shown,
        first.line and ("%s %d"):format(state.reading.row_word or "line", first.line) or "which was read before"),
      hint = "Values of one campaign need one unit: convert them, or make them two campaigns" }
  end
end

--- The relation that a column of its own gives to a cell.
local function add_relation(state, row, cell, amount, line)
  local sign = state.at.relation and state.cells.relation[row]
  if not sign then
    return
  end
  local relation = amounts.relation(sign)
  if relation == false or amount.relation and amount.relation ~= relation then
    errors.raise { kind = "input", code = "relation", file = state.source.shown, line = line,
      column = state.at.relation.position, message = ("'%s' is no relation for '%s'"):format(text.shown(sign, 10),
        text.shown(cell, 30)), hint = "It is one of = < <= > >= ~" }
  end
  amount.relation = relation
end

--- A concentration (IC50, ...) in mol/L, or a note why it is none. No compound acts at 0 or
--- below, and as a number it would be the best of all hits.
local function set_concentration(state, i, amount, unit, logarithm)
  local results = state.results
  local relation = amount.relation
  local value, unknown
  if logarithm then
    value, relation = amounts.from_logarithm(amount)
  else
    value, unknown = amounts.molar(amount, unit)
  end
  if value and value > 0 and value < math.huge then
    results.value[i], results.relation[i], results.unit[i] = value, relation or null, "M"
  elseif value then
    results:note("no_concentration", amount.digits, results.line[i])
  else
    results:note(unknown == "" and "without_unit" or "unknown_unit", unknown == "" and amount.digits or unknown,
      results.line[i])
  end
end

--- Cell and unit are kept as they stand, unless the cell says nothing but the number.
local function read_concentration(state, i, row, column, cell, amount, logarithm)
  local results, unit = state.results, unit_of(state, row, column)
  if not amount then
    results:note("not_numeric", cell, results.line[i])
  else
    set_concentration(state, i, amount, unit, logarithm)
    if not logarithm and cell == amount.digits and unit == "M" then
      return nil
    end
  end
  local kept = keep(state, nil, column, cell)
  return keep(state, kept, state.at.unit or column, state.at.unit and state.cells.unit[row] or nil)
end

--- Any other value, in its own unit.
local function read_number(state, i, row, column, cell, amount, number)
  local results, line = state.results, state.results.line[i]
  if not amount and number == null then
    results:note("not_numeric", cell, line)
    return keep(state, nil, column, cell)
  end
  results.value[i] = amount and amount.number or number
  results.relation[i] = amount and amount.relation or null
  local unit = unit_of(state, row, column, amount)
  check_unit(state, results.measure[i], unit, line)
  results.unit[i] = unit or null
  return amount and amount.unit and keep(state, nil, column, cell) or nil
end

--- What a result without a value is called.
local function place_of(results, i)
  return results.well[i] ~= null and results.well[i] or results.source_name[i] ~= null and results.source_name[i]
    or "a row"
end

--- Sets the value of a result, its relation and its unit.
---@param state table
---@param i integer of the result
---@param row integer of the frame
---@param column table that holds the value
---@param logarithm boolean it is the negative logarithm of a concentration
---@return string|nil kept an open JSON object of cells kept verbatim
function M.read(state, i, row, column, logarithm)
  local results = state.results
  local number, cell = state.numbers[column.position][row], state.texts[column.position][row]
  results.value[i], results.relation[i], results.unit[i] = null, null, null
  if cell == null or state.source.missing[cell] then
    results:note("no_value", place_of(results, i), results.line[i])
    return nil
  end
  local is_concentration = hit_rule.CONCENTRATIONS[results.measure[i]]
  local amount
  if number == null or is_concentration or state.at.relation then
    amount = amounts.read(cell, state.source.decimal)
  end
  if amount then
    add_relation(state, row, cell, amount, results.line[i])
  end
  if is_concentration then
    return read_concentration(state, i, row, column, cell, amount, logarithm)
  end
  return read_number(state, i, row, column, cell, amount, number)
end

-- ---- doses -----------------------------------------------------------------

local function known_dose(state, cell, unit)
  local memo = cell .. "\0" .. (unit or "")
  local known = state.known_doses[memo]
  if not known then
    local amount = amounts.read(cell, state.source.decimal)
    known = {}
    if amount and not amount.relation then
      known.value, known.problem = amounts.molar(amount, unit or state.at.concentration.unit
        or state.reading.concentration_unit)
      known.value = known.value and known.value >= 0 and known.value or nil
    end
    state.known_doses[memo] = known
  end
  return known
end

--- Sets the concentration of a result in mol/L.
---@param state table
---@param i integer of the result
---@param row integer of the frame
---@param kept string|nil an open JSON object of cells kept verbatim
---@return string|nil kept with those of the concentration, where it is not understood
function M.read_dose(state, i, row, kept)
  local results, at = state.results, state.at
  results.concentration_m[i] = null
  local cell = at.concentration and state.cells.concentration[row]
  if not cell then
    return kept
  end
  local unit = at.concentration_unit and state.cells.concentration_unit[row] or nil
  local known = known_dose(state, cell, unit)
  if known.value then
    results.concentration_m[i] = known.value
    return kept
  end
  results:note(known.problem == "" and "dose_without_unit" or "dose_not_read",
    cell .. (unit and " " .. unit or ""), results.line[i])
  kept = keep(state, kept, at.concentration, cell)
  return keep(state, kept, at.concentration_unit or at.concentration, unit)
end

return M
