--- The samples of a GEO SOFT file: their attributes, from the sample's own lines, the lines
--- of a series matrix, or the subsets of a DataSet.
local M = {}

local function put(attributes, name, value)
  if value == "" then
    return
  end
  attributes[name] = attributes[name] and attributes[name] .. "; " .. value or value
end

--- Notes one attribute of a sample. Characteristics "tag: value" go by their tag.
---@param attributes table<string, string>
---@param key string without "Sample_"
---@param value string
function M.put(attributes, key, value)
  local tag, rest
  if key:find("^characteristics") then
    tag, rest = value:match("^%s*([^:]-)%s*:%s*(.*)$")
  end
  if tag and tag ~= "" then
    put(attributes, tag, rest)
  else
    put(attributes, key, value)
  end
end

--- Attributes that all samples of several have in common are taken off them.
---@param samples table<string, table<string, string>>
---@return table<string, string>|nil shared
function M.take_shared(samples)
  local first = next(samples)
  if not first or not next(samples, first) then
    return nil
  end
  local shared = {}
  for key, value in pairs(samples[first]) do
    local common = true
    for _, attributes in pairs(samples) do
      common = common and attributes[key] == value
    end
    shared[key] = common and value or nil
  end
  for _, attributes in pairs(samples) do
    for key in pairs(shared) do
      attributes[key] = nil
    end
  end
  return next(shared) and shared or nil
end

--- Turns the lines of a series matrix ("Sample_title", one cell for each sample) into
--- attributes by accession.
---@param lines {key: string, cells: string[]}[]
---@return table<string, table<string, string>> samples
function M.of_matrix(lines)
  local names
  for _, line in ipairs(lines) do
    names = names or line.key == "geo_accession" and line.cells or nil
  end
  local samples = {}
  for i, name in ipairs(names or {}) do
    samples[name] = {}
    for _, line in ipairs(lines) do
      if line.key ~= "geo_accession" then
        M.put(samples[name], line.key, line.cells[i] or "")
      end
    end
  end
  return samples
end

--- Turns the subsets of a DataSet into attributes by accession, and into groups.
---@param subsets {type: string|nil, description: string|nil, sample_id: string|nil}[]
---@param samples table<string, table<string, string>> added to
---@return table<string, string> groups by sample
function M.add_subsets(subsets, samples)
  local groups = {}
  for _, subset in ipairs(subsets) do
    for name in (subset.sample_id or ""):gmatch("[^,%s]+") do
      samples[name] = samples[name] or {}
      put(samples[name], subset.type or "subset", subset.description or "")
      groups[name] = groups[name] and groups[name] .. " | " .. subset.description or subset.description
    end
  end
  return groups
end

return M
