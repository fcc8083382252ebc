--- Roles of columns that are known before anybody looks at the cells: those that a person
--- set, and those that the file's format knows.
local column_table = require "ligase.omics.column_table"
local statistics = require "ligase.omics.statistics"
local text = require "ligase.base.text"

local M = {}

local is_text, quoted_list = column_table.is_text, column_table.quoted_list

M.ROLES = { "feature", "sample", "statistic", "annotation", "sample_name", "value" }

local is_role = {}
for _, role in ipairs(M.ROLES) do
  is_role[role] = true
end

-- ---- roles that were set ---------------------------------------------------

local function refuse_unknown_column(tbl, name)
  local headers = tbl:headers()
  local near = text.nearest(name, headers)
  tbl:refuse({ kind = "usage", code = "unknown_column",
    message = ('there is no column "%s" to set'):format(name),
    hint = near and ('Did you mean "%s"?'):format(near) or "The columns are " .. quoted_list(headers, 12) })
end

local function refuse_unknown_role(tbl, role)
  local roles = table.move(statistics.NAMES, 1, #statistics.NAMES, #M.ROLES + 1, { table.unpack(M.ROLES) })
  local near = text.nearest(role, roles)
  tbl:refuse({ kind = "usage", code = "unknown_role", message = ("there is no role '%s'"):format(role),
    hint = (near and ("Did you mean %s? "):format(near) or "") .. "The roles are " .. table.concat(roles, ", ") })
end

--- The columns that a person means by a name: that one, or all that fit a "*".
local function columns_named(tbl, name)
  local pattern
  if name:find("*", 1, true) then
    pattern = "^" .. name:gsub("[%^%$%(%)%%%.%[%]%+%-%?]", "%%%0"):gsub("%*", ".*") .. "$"
  end
  local found = {}
  for _, column in ipairs(tbl.columns) do
    if column.name == name then
      return { column }
    elseif pattern and column.name:find(pattern) then
      found[#found + 1] = column
    end
  end
  return found
end

--- Applies `--set COLUMN=ROLE`; a statistic's own name (p_value, ...) is a role too. A
--- whole name counts before one with "*".
---@param tbl ligase.column_table
---@param set table<string, string> roles by column
function M.apply_set(tbl, set)
  local names = {}
  for name in pairs(set) do
    names[#names + 1] = name
  end
  table.sort(names, function(a, b)
    local a_many, b_many = a:find("*", 1, true) ~= nil, b:find("*", 1, true) ~= nil
    return a_many == b_many and a < b or a_many ~= b_many and a_many
  end)
  for _, name in ipairs(names) do
    local role, found = set[name], columns_named(tbl, name)
    if #found == 0 then
      refuse_unknown_column(tbl, name)
    elseif not is_role[role] and not statistics.is_known(role) then
      refuse_unknown_role(tbl, role)
    end
    for _, column in ipairs(found) do
      column.role, column.statistic, column.contrast = role, nil, nil
      if not is_role[role] then
        column.role, column.statistic, column.contrast = "statistic", role, ""
      end
    end
  end
end

-- ---- roles that the format knows -------------------------------------------

local NEEDS_NUMBERS = { sample = true, value = true, statistic = true }

--- Whether columns of that role are stored as numbers.
---@param role string
---@return boolean
function M.needs_numbers(role)
  return NEEDS_NUMBERS[role] == true
end

--- Whether some column has a role.
---@param tbl ligase.column_table
---@param role string
---@return boolean
function M.has(tbl, role)
  for _, column in ipairs(tbl.columns) do
    if column.role == role then
      return true
    end
  end
  return false
end

--- Two columns that would be the same quantity of the same sample are of two samples: a
--- file's name without its folder is no name then.
local function keep_samples_apart(tbl)
  local first = {}
  for _, column in ipairs(tbl.columns) do
    if column.role == "sample" and column.sample_id then
      local what = column.sample_id .. "\0" .. (column.quantity or "")
      if first[what] then
        first[what].sample_id, column.sample_id = first[what].name, column.name
      end
      first[what] = first[what] or column
    end
  end
end

--- What the format says of the columns, where a person did not say otherwise and the cells
--- do not speak against it.
---@param tbl ligase.column_table
---@param roles table<integer, ligase.column_role> by position
function M.apply_format(tbl, roles)
  local is_named, against = M.has(tbl, "feature"), {}
  for position, known in pairs(roles) do
    local column = tbl.columns[position]
    if column and not column.role then
      local role = known.role
      if NEEDS_NUMBERS[role] and is_text(column) then
        against[#against + 1] = column.name
        role = "annotation"
      end
      role = role == "feature" and is_named and "annotation" or role
      if role ~= "feature" or not column.blank then
        column.role = role
        column.statistic, column.contrast = known.statistic, known.statistic and (known.contrast or "")
        column.sample_id, column.quantity, column.unit = known.sample, known.quantity, known.unit
        column.sample = known.attributes
      end
    end
  end
  keep_samples_apart(tbl)
  if #against > 0 then
    table.sort(against)
    tbl:doubt("kept as text, because their cells are no numbers: %s (--set COLUMN=sample)", quoted_list(against))
  end
end

return M
