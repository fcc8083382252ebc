--- How many lines of a text were taken out and put in to make another one of it.
local M = {}

--- Beyond this many pairs of lines the middle counts as rewritten.
local PAIRS_MOST = 4000000

local function lines_of(content)
  local lines = {}
  for line in (content:find("\n$") and content or content .. "\n"):gmatch "([^\n]*)\n" do
    lines[#lines + 1] = (line:gsub("\r$", ""))
  end
  return lines
end

--- The length of the longest common subsequence of a[from..a_last] and b[from..b_last].
local function common_count(a, b, from, a_last, b_last)
  local above, row = {}, {}
  for j = from - 1, b_last do
    above[j] = 0
  end
  for i = from, a_last do
    row[from - 1] = 0
    for j = from, b_last do
      row[j] = a[i] == b[j] and above[j - 1] + 1 or math.max(above[j], row[j - 1])
    end
    above, row = row, above
  end
  return above[b_last]
end

--- Counts the lines in which two texts differ.
---@param before string
---@param after string
---@return integer added
---@return integer removed
function M.count(before, after)
  local a, b = lines_of(before), lines_of(after)
  local from, a_last, b_last = 1, #a, #b
  while from <= a_last and from <= b_last and a[from] == b[from] do
    from = from + 1
  end
  while a_last >= from and b_last >= from and a[a_last] == b[b_last] do
    a_last, b_last = a_last - 1, b_last - 1
  end
  local removed, added = a_last - from + 1, b_last - from + 1
  local common = removed > 0 and added > 0 and removed * added <= PAIRS_MOST
    and common_count(a, b, from, a_last, b_last) or 0
  return added - common, removed - common
end

return M
