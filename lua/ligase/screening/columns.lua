--- Which column of a screening table holds what, by its header; a unit may stand in it:
--- "IC50 (nM)", "Concentration [µM]", "conc_uM".
local amounts = require "ligase.screening.amounts"
local errors = require "ligase.base.errors"
local text = require "ligase.base.text"

local M = {}

--- What columns may hold. `result`: a column of results of its own.
M.FIELDS = {
  plate = {}, well = {}, row = {}, column = {}, compound = {}, role = {}, concentration = {}, concentration_unit = {},
  unit = {}, measure = {}, relation = {}, value = { result = "raw" }, percent = { result = "percent" },
  ic50 = { result = "ic50" }, ec50 = { result = "ec50" }, ki = { result = "ki" }, kd = { result = "kd" },
  ac50 = { result = "ac50" }, gi50 = { result = "gi50" }, cc50 = { result = "cc50" },
  pic50 = { result = "ic50", logarithm = true }, pec50 = { result = "ec50", logarithm = true },
  pki = { result = "ki", logarithm = true }, pkd = { result = "kd", logarithm = true },
  pac50 = { result = "ac50", logarithm = true },
}

--- What stands in a cell that says nothing.
M.MISSING = { "", "NA", "N/A", "n/a", "#N/A", "null", "NULL", "NaN", "nan", "-" }

---@class ligase.screening_column
---@field position integer
---@field header string
---@field field string|nil
---@field unit string|nil that the header names

--- A word as headers are compared.
local function plain(word)
  return (word:gsub("[%s%p]", ""):lower())
end
M.plain = plain

--- The fields by their words. A word of two fields is the recipe's mistake.
---@param words table<string, string[]> by field
---@return table<string, string>
function M.by_word(words)
  local found = {}
  local function add(field, word)
    local form = plain(word)
    if found[form] and found[form] ~= field then
      errors.raise { kind = "usage", code = "recipe", message = ("'%s' is a word of both %s and %s"):format(word,
        found[form], field), hint = "Take it from one of them" }
    end
    found[form] = field
  end
  for field in pairs(M.FIELDS) do
    add(field, field)
  end
  for field, list in pairs(words) do
    if not M.FIELDS[field] then
      local names = {}
      for name in pairs(M.FIELDS) do
        names[#names + 1] = name
      end
      table.sort(names)
      errors.raise { kind = "usage", code = "recipe", message = ("a screening table has no '%s'"):format(
        tostring(field)), hint = "Fields: " .. table.concat(names, ", ") }
    end
    for _, word in ipairs(list) do
      add(field, word)
    end
  end
  return found
end

--- The field of a header, and the unit that stands in it.
local function field_of(header, by_word)
  local field = by_word[plain(header)]
  if field then
    return field
  end
  local name, unit = header:match("^%s*(.-)%s*[%(%[]%s*([^%(%)%[%]]+)%s*[%)%]]%s*$")
  if not name then
    name, unit = header:match("^%s*(.-)[%s_.]+in[%s_.]+(%S+)%s*$")
  end
  if not name then
    name, unit = header:match("^%s*(.-)[%s_.]+([^%s_.]+)%s*$")
    unit = unit and amounts.molar_power(unit) and unit or nil
  end
  field = unit and by_word[plain(name)]
  if field then
    return field, unit
  end
end

local function refuse(where, position, message, hint)
  errors.raise { kind = "input", code = "table", file = where.file, line = where.line, column = position,
    message = message, hint = hint }
end

local function check_set(where, headers, set)
  local fields = {}
  for field in pairs(M.FIELDS) do
    fields[#fields + 1] = field
  end
  table.sort(fields)
  for column, field in pairs(set) do
    local is_there = false
    for _, header in ipairs(headers) do
      is_there = is_there or header == column
    end
    if not is_there then
      local near = text.nearest(column, headers)
      refuse(where, nil, ("there is no column '%s'"):format(text.printable(column)),
        near and ("Did you mean '%s'?"):format(text.printable(near)) or "Headers are written as in the file")
    elseif not M.FIELDS[field] and field ~= "ignore" then
      local near = text.nearest(field, fields)
      refuse(where, nil, ("a screening table has no '%s'"):format(text.printable(field)),
        (near and ("Did you mean '%s'? "):format(near) or "") .. "Fields: " .. table.concat(fields, ", ")
        .. ", ignore")
    end
  end
end

--- The columns that hold results. Beside a raw value a percentage is not counted twice.
local function results_of(plan)
  local results = {}
  for _, column in ipairs(plan.columns) do
    if column.field and M.FIELDS[column.field].result then
      if column.field == "percent" and plan.at.value then
        column.left, column.field, plan.at.percent = "percent", nil, nil
      else
        results[#results + 1] = column
      end
    end
  end
  return results
end

--- Decides what the columns of a table hold.
---@param headers string[]
---@param by_word table<string, string> from M.by_word
---@param set table<string, string> field by header, or "ignore", as a person says it
---@param where {file: string, line: integer, without_results: boolean|nil} of the header; what kind of table it is
---@return {columns: ligase.screening_column[], at: table<string, ligase.screening_column>, results:
--- ligase.screening_column[]}
function M.plan(headers, by_word, set, where)
  check_set(where, headers, set)
  local plan = { columns = {}, at = {} }
  for position, header in ipairs(headers) do
    local field, unit = field_of(header, by_word)
    if set[header] then
      field = set[header] ~= "ignore" and set[header] or nil
    end
    if field and plan.at[field] then
      refuse(where, position, ('the columns "%s" and "%s" both hold %s'):format(
        text.printable(plan.at[field].header), text.printable(header), field),
        ("Say which one does not: --set '%s=ignore'"):format(text.printable(header)))
    end
    local column = { position = position, header = header, field = field, unit = field and unit }
    plan.columns[position] = column
    if field then
      plan.at[field] = column
    end
  end
  if (plan.at.row == nil) ~= (plan.at.column == nil) then
    local one = plan.at.row or plan.at.column
    refuse(where, one.position, ('"%s" is there without its %s'):format(text.printable(one.header),
      plan.at.row and "column" or "row"), ("Say which column it is, or: --set '%s=ignore'"):format(
      text.printable(one.header)))
  end
  plan.results = results_of(plan)
  if #plan.results == 0 and not where.without_results then
    refuse(where, nil, "no column holds results",
      "Its header may be: value, signal, % inhibition, IC50, EC50, ...; or say which one does: --set COLUMN=value")
  end
  return plan
end

return M
