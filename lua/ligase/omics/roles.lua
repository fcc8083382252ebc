--- Helpers for formats: roles of columns by their headers.
local statistics = require "ligase.omics.statistics"

local M = {}

local plain = statistics.plain

--- The position of a header, without regard to case, blanks and marks.
---@param header string[]
---@param wanted string
---@return integer|nil
function M.position(header, wanted)
  for position, name in ipairs(header) do
    if plain(name) == plain(wanted) then
      return position
    end
  end
  return nil
end

--- Whether a header is one of these, without regard to case, blanks and marks.
---@param name string
---@param ... string
---@return boolean
function M.is_one_of(name, ...)
  local found = plain(name)
  for i = 1, select("#", ...) do
    if found == plain((select(i, ...))) then
      return true
    end
  end
  return false
end

--- The name of a sample that a tool names by its file: without folders and the ending of a
--- raw file.
---@param path string
---@return string
function M.file_stem(path)
  local name = path:match("([^/\\]+)$") or path
  local stem = name
  for _, ending in ipairs { "raw", "d", "wiff", "wiff2", "dia", "mzml", "mzxml", "htrms", "bam", "sam" } do
    local found = name:lower():match("^(.+)%." .. ending .. "$")
    stem = found and name:sub(1, #found) or stem
  end
  return stem
end

--- Gives each column whose header fits a pattern the role of a sample. The pattern's first
--- capture is the sample's name; the first pattern that fits counts.
---@param header string[]
---@param patterns {[1]: string, quantity: string|nil, unit: string|nil}[] Lua patterns
---@param roles table<integer, ligase.column_role>|nil to add to; columns with a role keep it
---@return table<integer, ligase.column_role> roles
---@return integer count how many samples' columns were found
function M.samples(header, patterns, roles)
  roles = roles or {}
  local count = 0
  for position, name in ipairs(header) do
    for _, pattern in ipairs(roles[position] and {} or patterns) do
      local sample = name:match(pattern[1])
      if sample and sample ~= "" then
        roles[position] = { role = "sample", sample = sample, quantity = pattern.quantity, unit = pattern.unit }
        count = count + 1
        break
      end
    end
  end
  return roles, count
end

--- Gives each column whose header fits a pattern the role of a statistic. The pattern's
--- first capture is the contrast's name; the first pattern that fits counts.
---@param header string[]
---@param patterns {[1]: string, [2]: string}[] Lua pattern and statistic
---@param roles table<integer, ligase.column_role> to add to; columns with a role keep it
---@return table<integer, ligase.column_role> roles
function M.contrasts(header, patterns, roles)
  for position, name in ipairs(header) do
    for _, pattern in ipairs(roles[position] and {} or patterns) do
      local contrast = name:match(pattern[1])
      if contrast then
        roles[position] = { role = "statistic", statistic = pattern[2], contrast = contrast }
        break
      end
    end
  end
  return roles
end

--- Gives the columns of these headers, without regard to case, blanks and marks, a role.
---@param header string[]
---@param wanted table<string, ligase.column_role|string> by header; a string is a role
---@param roles table<integer, ligase.column_role>|nil to add to; columns with a role keep it
---@return table<integer, ligase.column_role> roles
function M.named(header, wanted, roles)
  roles = roles or {}
  local by_plain = {}
  for name, role in pairs(wanted) do
    by_plain[plain(name)] = type(role) == "string" and { role = role } or role
  end
  for position, name in ipairs(header) do
    roles[position] = roles[position] or by_plain[plain(name)]
  end
  return roles
end

--- Makes the first of these headers that is there the column of names.
---@param header string[]
---@param candidates string[] the best first
---@param roles table<integer, ligase.column_role>
---@return table<integer, ligase.column_role> roles
function M.feature(header, candidates, roles)
  for _, wanted in ipairs(candidates) do
    for position, name in ipairs(header) do
      if plain(name) == plain(wanted) then
        roles[position] = { role = "feature" }
        return roles
      end
    end
  end
  return roles
end

--- Makes all columns that have no role yet annotations.
---@param header string[]
---@param roles table<integer, ligase.column_role>
---@return table<integer, ligase.column_role> roles
function M.rest(header, roles)
  for position in ipairs(header) do
    roles[position] = roles[position] or { role = "annotation" }
  end
  return roles
end

--- Rules that flag the rows in which a column holds a mark.
---@param header string[]
---@param wanted table<string, string> flag by header
---@param mark string
---@return ligase.flag_rule[]
function M.marked(header, wanted, mark)
  local rules = {}
  for position, name in ipairs(header) do
    for column, flag in pairs(wanted) do
      if plain(name) == plain(column) then
        rules[#rules + 1] = { flag = flag, position = position, equals = mark }
      end
    end
  end
  return rules
end

--- Adds rules that flag the rows whose name begins with a text.
---@param rules ligase.flag_rule[]
---@param prefixes table<string, string> flag by prefix
---@return ligase.flag_rule[]
function M.prefixed(rules, prefixes)
  local sorted = {}
  for prefix in pairs(prefixes) do
    sorted[#sorted + 1] = prefix
  end
  table.sort(sorted)
  for _, prefix in ipairs(sorted) do
    rules[#rules + 1] = { flag = prefixes[prefix], prefix = prefix }
  end
  return rules
end

--- The sample of a file that holds one: what stands before the tool's own file name, or the
--- name of the folder that the file lies in.
---@param look ligase.look
---@param own_names string[] Lua patterns of the names that the tool itself gives its file
---@return string
function M.sample_of(look, own_names)
  local name = look.file_name:gsub("%.[gG][zZ]$", "")
  for _, own in ipairs(own_names) do
    if name:find("^" .. own .. "$") then
      return look.folder or name
    end
    local before = name:match("^(.-)[._-]+" .. own .. "$")
    if before and before ~= "" then
      return before
    end
  end
  return (name:gsub("(.)%.[^.]*$", "%1"))
end

return M
