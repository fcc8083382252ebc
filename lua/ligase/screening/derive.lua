--- What follows from a campaign's results: for each plate Z′ and signal window, for each
--- well percent effect and z-scores, and which are hits by the rule that was declared.
---
--- Only exact numbers are reckoned with: a bound (">65000") and what is no number enters no
--- mean. Excluded and empty wells count for nothing.
local hit_rule = require "ligase.screening.hit_rule"
local host = require "host"
local statistics = require "ligase.screening.statistics"

local M = {}

local null = host.null

---@class ligase.screening_declaration
---@field direction "inhibition"|"activation"|nil
---@field rule ligase.hit_rule|nil

---@class ligase.screening_plate
---@field plate string|nil
---@field wells integer results on it
---@field samples integer
---@field positive ligase.control_statistics
---@field negative ligase.control_statistics
---@field z_prime number|nil
---@field signal_window number|nil
---@field reason string|nil why there is no Z′
---@field hits integer|nil nil where no rule is declared

local function plate_table(results, i)
  return { plate = results.plate[i] ~= null and results.plate[i] or nil, wells = 0, samples = 0, indices = {},
    values = { sample = {}, positive = {}, negative = {} }, first = i }
end

--- The plates with their raw results, in the order of their first rows.
local function plates_of(results)
  local plates, by_name = {}, {}
  for i = 1, results.n do
    local measure = results.measure[i]
    if measure == "raw" or measure == "percent" then
      local name = results.plate[i]
      local plate = by_name[name]
      if not plate then
        plate = plate_table(results, i)
        by_name[name], plates[#plates + 1] = plate, plate
      end
      local role, value = results.role[i], results.value[i]
      plate.wells = plate.wells + 1
      plate.samples = plate.samples + (role == "sample" and 1 or 0)
      plate.indices[#plate.indices + 1] = i
      plate.measure = plate.measure or measure
      plate.is_mixed = plate.is_mixed or plate.measure ~= measure
      local list = plate.values[role]
      if list and value ~= null and results.relation[i] == null then
        list[#list + 1] = value
      end
    end
  end
  return plates
end

local function reckon_controls(plate)
  plate.positive = statistics.summary(plate.values.positive)
  plate.negative = statistics.summary(plate.values.negative)
  if plate.is_mixed then
    plate.reason = "raw values and percentages stand on it side by side"
    return
  end
  plate.reason = statistics.missing_controls(plate.positive, plate.negative)
  if not plate.reason then
    plate.z_prime = statistics.z_prime(plate.positive, plate.negative)
    plate.signal_window = statistics.signal_window(plate.positive, plate.negative)
  end
end

--- Whether wells of a plate have a percent effect of their own.
local function has_percent(plate, declaration)
  return declaration.direction ~= nil and not plate.is_mixed and plate.measure == "raw" and plate.positive.n > 0
    and plate.negative.n > 0 and plate.positive.mean ~= plate.negative.mean
end

local function reckon_wells(results, plate, declaration)
  local samples = statistics.summary(plate.values.sample)
  local median, deviation = statistics.robust(plate.values.sample)
  local with_percent = has_percent(plate, declaration)
  for _, i in ipairs(plate.indices) do
    local value, role = results.value[i], results.role[i]
    local counts = value ~= null and role ~= "excluded" and role ~= "empty"
    if counts and results.measure[i] == "percent" then -- a bound (">95") stays one: see relation
      results.percent_effect[i] = declaration.direction and value or null
    elseif counts and with_percent and results.relation[i] == null then
      results.percent_effect[i] = statistics.percent_effect(value, plate.positive, plate.negative)
    end
    if counts and results.relation[i] == null then
      if not plate.is_mixed and samples.sd and samples.sd > 0 then
        results.z_score[i] = (value - samples.mean) / samples.sd
      end
      if not plate.is_mixed and samples.n > 1 and deviation > 0 then
        results.robust_z[i] = (value - median) / deviation
      end
    end
  end
  plate.with_percent = with_percent
end

local function or_nil(value)
  return value ~= null and value or nil
end

local function judge(results, i, rule)
  return hit_rule.judge(rule, { measure = results.measure[i], value = or_nil(results.value[i]),
    relation = or_nil(results.relation[i]), percent = or_nil(results.percent_effect[i]),
    z = or_nil(results.z_score[i]), robust_z = or_nil(results.robust_z[i]) })
end

--- Whether a rule speaks of results of this kind at all.
local function concerns(rule, measure)
  local named = rule.all[1].measure
  if hit_rule.CONCENTRATIONS[named] then
    return measure == named
  end
  return measure == "raw" or measure == "percent"
end

local function call_hits(results, plates, rule)
  local counts = { hits = 0, undecided = 0, judged = 0 }
  local by_name = {}
  for _, plate in ipairs(plates) do
    plate.hits, by_name[plate.plate or null] = 0, plate
  end
  for i = 1, results.n do
    if results.role[i] == "sample" and concerns(rule, results.measure[i]) then
      local verdict = judge(results, i, rule)
      counts.judged = counts.judged + 1
      if verdict == nil then
        counts.undecided = counts.undecided + 1
      else
        results.is_hit[i] = verdict
        counts.hits = counts.hits + (verdict and 1 or 0)
        local plate = by_name[results.plate[i]]
        if verdict and plate then
          plate.hits = plate.hits + 1
        end
      end
    end
  end
  return counts
end

--- Sets results.percent_effect, .z_score, .robust_z and .is_hit, and says what became of
--- each plate.
---@param results ligase.screening_results
---@param declaration ligase.screening_declaration
---@return ligase.screening_plate[] plates
---@return {hits: integer, undecided: integer, judged: integer}|nil counts nil where no rule is declared
function M.run(results, declaration)
  for _, field in ipairs { "percent_effect", "z_score", "robust_z", "is_hit" } do
    local list = {}
    for i = 1, results.n do
      list[i] = null
    end
    results[field] = list
  end
  local plates = plates_of(results)
  for _, plate in ipairs(plates) do
    reckon_controls(plate)
    reckon_wells(results, plate, declaration)
  end
  local counts = declaration.rule and call_hits(results, plates, declaration.rule) or nil
  for _, plate in ipairs(plates) do
    plate.indices, plate.values = nil, nil
  end
  return plates, counts
end

return M
