--- What a campaign counts as a hit: declared by it, never assumed.
---
---   local rule = hit_rule.read "percent >= 50 and robust_z <= -3"
---   hit_rule.judge(rule, { measure = "raw", percent = 61, robust_z = -4.2 })   --> true
---
--- A rule is one condition, or several joined by "and". `percent`, `z`, `robust_z` and
--- `value` look at wells; ic50, ec50, ki and kd at results of that kind, in a unit of
--- concentration. What a bound (">10 µM") leaves open is neither a hit nor none.
local amounts = require "ligase.screening.amounts"
local errors = require "ligase.base.errors"
local text = require "ligase.base.text"

local M = {}

--- What a condition may look at: a field of a well, or a kind of result.
M.WELL_FIELDS = { percent = "percent", z = "z", robust_z = "robust_z", value = "value" }
M.CONCENTRATIONS = { ic50 = true, ec50 = true, ki = true, kd = true, ac50 = true, gi50 = true, cc50 = true }

--- Further words for them, without blanks and marks.
local ALIASES = { zscore = "z", robustz = "robust_z", robustzscore = "robust_z", percentinhibition = "percent",
  percentactivation = "percent", percenteffect = "percent", inhibition = "percent", activation = "percent",
  raw = "value", rawvalue = "value" }

local HINT = "Write for example: percent >= 50, z <= -3, robust_z <= -3, value < 1000, ic50 <= 1 µM, or several "
  .. "joined by and; none declares that nothing is called a hit"

---@class ligase.hit_condition
---@field measure string
---@field relation string "<", "<=", ">", ">="
---@field threshold number in mol/L for a concentration
---@field unit string|nil as it was written

---@class ligase.hit_rule
---@field text string as it was declared
---@field all ligase.hit_condition[]

local function refuse(rule, problem)
  errors.raise { kind = "usage", code = "hit_rule", message = ("the hit rule '%s' cannot be read: %s"):format(
    text.printable(rule), problem), hint = HINT }
end

local function read_condition(rule, part)
  local word, sign, amount_text = part:match("^%s*([%a%%][%w%% _-]-)%s*([<>=≤≥]+)%s*(.-)%s*$")
  if not word then
    refuse(rule, ("'%s' is no condition"):format(text.printable(part)))
  end
  local measure = word:lower()
  measure = ALIASES[measure:gsub("%%", "percent"):gsub("[%s_-]", "")] or measure:gsub("^%%$", "percent")
  if not (M.WELL_FIELDS[measure] or M.CONCENTRATIONS[measure]) then
    local names = {}
    for _, set in ipairs { M.WELL_FIELDS, M.CONCENTRATIONS } do
      for name in pairs(set) do
        names[#names + 1] = name
      end
    end
    table.sort(names)
    refuse(rule, ("'%s' is none of %s"):format(text.printable(word), table.concat(names, ", ")))
  end
  local relation, amount = amounts.relation(sign), amounts.read(amount_text)
  if not relation or relation == "~" then
    refuse(rule, ("'%s' compares with no bound"):format(text.printable(part)))
  elseif not amount or amount.relation then
    refuse(rule, ("'%s' is no number"):format(text.printable(amount_text)))
  elseif M.CONCENTRATIONS[measure] then
    local threshold = amounts.molar(amount)
    if not threshold then
      refuse(rule, amount.unit and ("'%s' is no unit of concentration"):format(text.printable(amount.unit))
        or ("%s needs a unit, such as µM"):format(measure))
    end
    return { measure = measure, relation = relation, threshold = threshold, unit = amount.unit }
  elseif amount.unit and not (measure == "percent" and amount.unit == "%") then
    refuse(rule, ("%s has no unit"):format(measure))
  end
  return { measure = measure, relation = relation, threshold = amount.number }
end

--- Reads a rule; nil for one that declares nothing ("none", or an empty text). Raises
--- "usage" for what is no rule.
---@param rule string
---@return ligase.hit_rule|nil
function M.read(rule)
  local plain = rule:match("^%s*(.-)%s*$")
  if plain == "" or plain:lower() == "none" then
    return nil
  end
  local conditions, at = {}, 1
  while true do
    local first, last = plain:lower():find("%s+and%s+", at)
    conditions[#conditions + 1] = read_condition(rule, plain:sub(at, first and first - 1))
    if not first then
      break
    end
    at = last + 1
  end
  local is_concentration = M.CONCENTRATIONS[conditions[1].measure]
  for i = 2, #conditions do
    if M.CONCENTRATIONS[conditions[i].measure] ~= is_concentration
      or is_concentration and conditions[i].measure ~= conditions[1].measure then
      refuse(rule, ("%s and %s are never said of one row"):format(conditions[1].measure, conditions[i].measure))
    end
  end
  return { text = plain, all = conditions }
end

local function holds(relation, value, threshold)
  if relation == "<" then
    return value < threshold
  elseif relation == "<=" then
    return value <= threshold
  elseif relation == ">" then
    return value > threshold
  end
  return value >= threshold
end

--- Whether a value of which only a bound is known fulfils a condition: nil when that is
--- open. `>10` says all that is above 10.
local function judge_bound(condition, value, relation)
  if relation == nil then
    return holds(condition.relation, value, condition.threshold)
  elseif relation == "~" then
    return nil
  end
  local looks_up, is_above = condition.relation:sub(1, 1) == ">", relation:sub(1, 1) == ">"
  local strict = relation == "<" or relation == ">"
  if looks_up == is_above then -- the bound itself is the least favourable value there is
    if strict and value == condition.threshold then
      return true
    end
    return holds(condition.relation, value, condition.threshold) or nil
  elseif strict and value == condition.threshold or not holds(condition.relation, value, condition.threshold) then
    return false
  end
  return nil
end

--- Whether a result is a hit; nil when the rule does not say, or too little is known.
---@param rule ligase.hit_rule
---@param result {measure: string, value: number|nil, relation: string|nil, percent: number|nil, z: number|nil,
--- robust_z: number|nil}
---@return boolean|nil
function M.judge(rule, result)
  local open = false
  for _, condition in ipairs(rule.all) do
    local verdict
    if M.CONCENTRATIONS[condition.measure] then
      verdict = nil
      if condition.measure == result.measure and result.value then
        verdict = judge_bound(condition, result.value, result.relation)
      end
    elseif condition.measure == "value" then
      if result.measure == "raw" and result.value then
        verdict = judge_bound(condition, result.value, result.relation)
      end
    else
      local value = result[M.WELL_FIELDS[condition.measure]]
      if value then
        verdict = judge_bound(condition, value, condition.measure == "percent" and result.measure == "percent"
          and result.relation or nil)
      end
    end
    if verdict == false then
      return false
    end
    open = open or verdict == nil
  end
  if open then
    return nil
  end
  return true
end

return M
