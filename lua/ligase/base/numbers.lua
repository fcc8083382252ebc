--- Figures of lists of numbers: summaries and correlations.
---
--- Missing values are left out before; what is not finite has no part in a mean, so it is
--- left out here and not counted.
local M = {}

local function is_finite(value)
  return value == value and value ~= math.huge and value ~= -math.huge
end

--- Count, mean, standard deviation (of a sample, n - 1), median, least and greatest.
---@param values number[]
---@return {n: integer, mean: number|nil, sd: number|nil, median: number|nil, min: number|nil, max: number|nil} summary
--- nil where there are too few numbers
function M.summary(values)
  local sorted, sum = {}, 0
  for _, value in ipairs(values) do
    if is_finite(value) then
      sorted[#sorted + 1] = value
      sum = sum + value
    end
  end
  local n = #sorted
  if n == 0 then
    return { n = 0 }
  end
  table.sort(sorted)
  local mean, squares = sum / n, 0
  for _, value in ipairs(sorted) do
    squares = squares + (value - mean) ^ 2
  end
  local middle = (n + 1) // 2
  return { n = n, mean = mean, sd = n > 1 and math.sqrt(squares / (n - 1)) or nil,
    median = n % 2 == 1 and sorted[middle] or (sorted[middle] + sorted[middle + 1]) / 2, min = sorted[1],
    max = sorted[n] }
end

--- Pearson's correlation.
---@param x number[] finite
---@param y number[] as many
---@return number|nil r nil for fewer than three pairs, or when one list does not vary
function M.pearson(x, y)
  local n = #x
  if n < 3 then
    return nil
  end
  local mean_x, mean_y = 0, 0
  for i = 1, n do
    mean_x, mean_y = mean_x + x[i], mean_y + y[i]
  end
  mean_x, mean_y = mean_x / n, mean_y / n
  local xx, yy, xy = 0, 0, 0
  for i = 1, n do
    local dx, dy = x[i] - mean_x, y[i] - mean_y
    xx, yy, xy = xx + dx * dx, yy + dy * dy, xy + dx * dy
  end
  if xx == 0 or yy == 0 then
    return nil
  end
  return math.max(-1, math.min(1, xy / math.sqrt(xx * yy)))
end

--- Ranks from 1; equal values share the mean of theirs.
---@param values number[]
---@return number[]
function M.ranks(values)
  local order, ranks = {}, {}
  for i = 1, #values do
    order[i] = i
  end
  table.sort(order, function(a, b)
    return values[a] < values[b]
  end)
  local first = 1
  while first <= #order do
    local last = first
    while last < #order and values[order[last + 1]] == values[order[first]] do
      last = last + 1
    end
    for i = first, last do
      ranks[order[i]] = (first + last) / 2
    end
    first = last + 1
  end
  return ranks
end

--- Spearman's correlation: Pearson's of the ranks.
---@param x number[] finite
---@param y number[] as many
---@return number|nil r nil for fewer than three pairs, or when one list does not vary
function M.spearman(x, y)
  return M.pearson(M.ranks(x), M.ranks(y))
end

return M
