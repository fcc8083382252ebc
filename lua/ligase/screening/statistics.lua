--- The statistics of a plate.
---
--- Z′ and the standardised separation bands behind it are those of Zhang, Chung and
--- Oldenburg (1999), J Biomol Screen 4:67; the signal window is that of the Assay Guidance
--- Manual for single wells (n = 1), after Sittampalam and others (1997), J Biomol Screen
--- 2:159. Standard deviations are those of a sample (n - 1).
local M = {}

--- The median of absolute deviations times this estimates a normal distribution's standard
--- deviation.
local MAD_SCALE = 1.482602218505602

---@class ligase.control_statistics
---@field n integer
---@field mean number|nil
---@field sd number|nil nil below two values

--- Mean and standard deviation, in two passes.
---@param values number[]
---@return ligase.control_statistics
function M.summary(values)
  local n, sum = #values, 0.0
  if n == 0 then
    return { n = 0 }
  end
  for i = 1, n do
    sum = sum + values[i]
  end
  local mean, squares, rest = sum / n, 0.0, 0.0
  for i = 1, n do
    local d = values[i] - mean
    squares, rest = squares + d * d, rest + d
  end
  mean = mean + rest / n
  return { n = n, mean = mean, sd = n > 1 and math.sqrt(math.max(0, squares - rest * rest / n) / (n - 1)) or nil }
end

local function median_of(sorted)
  local n = #sorted
  local middle = n // 2
  return n % 2 == 1 and sorted[middle + 1] or (sorted[middle] + sorted[middle + 1]) / 2
end

--- Median, and the median of absolute deviations from it, scaled to a standard deviation.
---@param values number[]
---@return number|nil median nil without values
---@return number|nil deviation
function M.robust(values)
  if #values == 0 then
    return nil
  end
  local sorted = table.move(values, 1, #values, 1, {})
  table.sort(sorted)
  local median = median_of(sorted)
  for i, value in ipairs(sorted) do
    sorted[i] = math.abs(value - median)
  end
  table.sort(sorted)
  return median, MAD_SCALE * median_of(sorted)
end

--- Why two groups of control wells give neither Z′ nor a signal window; nil when they do.
---@param positive ligase.control_statistics
---@param negative ligase.control_statistics
---@return string|nil
function M.missing_controls(positive, negative)
  local lacking = {}
  for _, group in ipairs { { positive, "positive" }, { negative, "negative" } } do
    if group[1].n < 2 then
      lacking[#lacking + 1] = (group[1].n == 0 and "no %s controls" or "only one %s control"):format(group[2])
    end
  end
  if #lacking > 0 then
    return table.concat(lacking, ", ")
  elseif positive.mean == negative.mean then
    return "the means of both controls are equal"
  end
end

--- Z′ = 1 - 3 (sd+ + sd-) / |mean+ - mean-|. For controls that missing_controls has
--- nothing against.
---@param positive ligase.control_statistics
---@param negative ligase.control_statistics
---@return number
function M.z_prime(positive, negative)
  return 1 - 3 * (positive.sd + negative.sd) / math.abs(positive.mean - negative.mean)
end

--- SW = (mean_max - mean_min - 3 (sd_max + sd_min)) / sd_max, where max is the control with
--- the larger mean. nil when its wells are all the same.
---@param positive ligase.control_statistics
---@param negative ligase.control_statistics
---@return number|nil
function M.signal_window(positive, negative)
  local max, min = positive, negative
  if max.mean < min.mean then
    max, min = min, max
  end
  if max.sd == 0 then
    return nil
  end
  return (max.mean - min.mean - 3 * (max.sd + min.sd)) / max.sd
end

--- Percent of the effect that the positive control has, against the negative control:
--- inhibition or activation, as the campaign declares.
---@param value number
---@param positive ligase.control_statistics
---@param negative ligase.control_statistics
---@return number
function M.percent_effect(value, positive, negative)
  return 100 * (value - negative.mean) / (positive.mean - negative.mean)
end

return M
