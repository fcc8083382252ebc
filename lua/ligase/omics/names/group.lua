--- Groups of names in one cell: `A;B;C`, `A /// B`.
---
--- Search engines report proteins that share their peptides as one group, annotation
--- files list all genes that a probe meets. A group is one feature: which member was
--- measured is not known. Its canonical name lists the members in the order in which
--- they stand, the leading one first, each once.
local sys = require "sys"

local M = {}

--- A longer name is abbreviated, because an index cannot hold it (groups of keratins or
--- of antibodies have thousands of members): the leading member, how many follow, and a
--- digest of the whole list, so that different groups stay different.
local LONGEST_BYTES = 1000

--- The parts between separators, without blanks around them and without empty ones.
---@param text string
---@param separator string a pattern of one character
---@return string[]
function M.split(text, separator)
  local parts = {}
  for part in text:gmatch("[^" .. separator .. "]+") do
    part = part:match("^%s*(.-)%s*$")
    if part ~= "" then
      parts[#parts + 1] = part
    end
  end
  return parts
end

local function name_of(names, joined_by)
  local whole = table.concat(names, joined_by)
  if #whole <= LONGEST_BYTES then
    return whole
  end
  return ("%s;+%d [%016x]"):format(names[1], #names - 1, sys.hash64(whole))
end

--- Whether a text is the abbreviated name of a long group.
---@param text string
---@return boolean
function M.is_abbreviated(text)
  return text:find("^[^;]+;%+%d+ %[%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x%]$") ~= nil
end

--- A group is a contaminant when any member is one, and a decoy only when all are, as
--- MaxQuant marks them.
local function flag_of(readings)
  local decoys, contaminants = 0, 0
  for _, reading in ipairs(readings) do
    local flag = reading.aside and reading.aside.flag
    decoys = decoys + (flag == "decoy" and 1 or 0)
    contaminants = contaminants + (flag == "contaminant" and 1 or 0)
  end
  return decoys == #readings and "decoy" or contaminants > 0 and "contaminant" or nil
end

--- A member as it was written, its isoform included.
local function member_of(reading)
  local isoform = reading.aside and reading.aside.isoform
  return isoform and reading.name .. "-" .. isoform or reading.name
end

--- The reading of an abbreviated name: the name itself.
---@param text string
---@param rule string
---@return ligase.reading
function M.abbreviated(text, rule)
  return { name = text, rule = rule, level = "group", aside = { leading = text:match("^[^;]+") } }
end

--- The reading of a group.
---@param parts string[] its members as they stand
---@param read fun(text: string): ligase.reading
---@param rule string
---@param options {joined_by: string|nil, with_isoforms: boolean|nil}|nil joined_by: what stands between the
--- members of the canonical name, ";" without it; with_isoforms: isoforms are members of their own
---@return ligase.reading|nil reading nil when a member is not understood
---@return string|nil member that member
function M.read(parts, read, rule, options)
  local with_isoforms = options and options.with_isoforms
  local readings, names, members, seen = {}, {}, {}, {}
  for i, part in ipairs(parts) do
    local reading = read(part)
    if reading.rule == "verbatim" then
      return nil, part
    end
    readings[i], members[i] = reading, member_of(reading)
    local name = with_isoforms and members[i] or reading.name
    if not seen[name] then
      seen[name] = true
      names[#names + 1] = name
    end
  end
  return { name = name_of(names, options and options.joined_by or ";"), rule = rule, level = "group",
    aside = { members = members, leading = members[1], flag = flag_of(readings) } }
end

return M
