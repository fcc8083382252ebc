--- The samples of a mwTab file, text or JSON: subjects, factors and what else is said of
--- them.
local M = {}

---@class ligase.mwtab_sample
---@field name string
---@field group string|nil the values of its factors, joined
---@field attributes table<string, string> factors and other items by their own names

--- Splits "Age:young | Sex:f". Returns its parts and those that are none.
local function pairs_of(text, mark)
  local found, odd = {}, {}
  for part in (text .. mark):gmatch("%s*(.-)%s*%" .. mark) do
    local name, value
    if mark == "|" then
      name, value = part:match("^([^:]-)%s*:%s*(.*)$")
    else
      name, value = part:match("^([^=]-)%s*=%s*(.*)$")
    end
    if name and name ~= "" and not value:find("^:") then
      found[#found + 1] = { name = name, value = value }
    elseif part ~= "" and part ~= "-" then
      odd[#odd + 1] = part
    end
  end
  return found, odd
end

--- Makes a sample of its parts and puts it among the others.
---@param samples ligase.mwtab_sample[] in the file's order
---@param name string
---@param subject string|nil
---@param factors {name: string, value: string}[]
---@param additional {name: string, value: string}[]
---@return ligase.mwtab_sample
function M.add(samples, name, subject, factors, additional)
  local sample = { name = name, attributes = {} }
  local values = {}
  for i, factor in ipairs(factors) do
    sample.attributes[factor.name] = factor.value
    values[i] = factor.value
  end
  sample.group = #values > 0 and table.concat(values, " | ") or nil
  for _, item in ipairs(additional) do
    local taken = sample.attributes[item.name]
    sample.attributes[item.name] = taken and taken ~= item.value and taken .. "; " .. item.value or item.value
  end
  if subject and subject ~= "-" and subject ~= "" then
    sample.attributes.subject = sample.attributes.subject or subject
  end
  samples[#samples + 1] = sample
  return sample
end

--- Reads one line of SUBJECT_SAMPLE_FACTORS: subject, sample, factors, additional data.
--- What is not of that form is doubted and kept.
---@param from ligase.sections
---@param samples ligase.mwtab_sample[]
---@param line string without its key
function M.read_line(from, samples, line)
  local subject, name, factors, additional = line:match("^([^\t]*)\t([^\t]+)\t([^\t]*)\t?(.*)$")
  if not name then
    from:doubt('line %d does not name subject, sample and factors: "%s"', from.line, line)
    return
  end
  local named, odd = pairs_of(factors, "|")
  local more, also_odd = pairs_of(additional, ";")
  local sample = M.add(samples, name:match("^%s*(.-)%s*$"), subject, named, more)
  if #odd > 0 then
    from:doubt('line %d: a factor of sample "%s" is not NAME:VALUE: "%s"', from.line, name, odd[1])
    sample.attributes.factors_as_written = factors
  end
  if #also_odd > 0 then
    sample.attributes.additional_data = additional
  end
end

--- Samples by name, for what is kept with the revision.
---@param samples ligase.mwtab_sample[]
---@return table<string, table<string, string>>
function M.by_name(samples)
  local found = {}
  for _, sample in ipairs(samples) do
    found[sample.name] = sample.attributes
  end
  return found
end

local function index(samples)
  local found = {}
  for _, sample in ipairs(samples) do
    found[sample.name] = sample
  end
  return found
end

--- Whether the factors in the row under the header say the same as the sample's section.
local function agrees(sample, text)
  local factors = pairs_of(text, "|")
  for _, factor in ipairs(factors) do
    if sample.attributes[factor.name] ~= factor.value then
      return false
    end
  end
  return true
end

--- Compares the samples of the table's header with those of the section, and takes factors
--- from the row under the header where the section has none.
---@param from ligase.sections
---@param state {header: string[], factors: string[]|nil, factors_line: integer|nil, samples: ligase.mwtab_sample[]}
function M.check(from, state)
  local known = index(state.samples)
  for i = 2, #state.header do
    local name, factors = state.header[i], state.factors and state.factors[i]
    local sample = known[name]
    if not sample and factors and factors ~= "" then
      sample = M.add(state.samples, name, nil, (pairs_of(factors, "|")), {})
      known[name] = sample
    elseif not sample then
      from:doubt('sample "%s" of the table is not in SUBJECT_SAMPLE_FACTORS', name)
    elseif factors and not agrees(sample, factors) then
      from:doubt('line %d: the factors of sample "%s" are others than in SUBJECT_SAMPLE_FACTORS, which counts',
        state.factors_line, name)
    end
  end
end

--- The roles of the table's columns: names, then one sample each.
---@param header string[]
---@param samples ligase.mwtab_sample[]
---@param unit string|nil
---@return table<integer, ligase.column_role>
function M.roles(header, samples, unit)
  local known, roles = index(samples), { { role = "feature" } }
  for i = 2, #header do
    local sample = known[header[i]] or {}
    roles[i] = { role = "sample", sample = header[i], unit = unit, group = sample.group,
      attributes = sample.attributes }
  end
  return roles
end

return M
