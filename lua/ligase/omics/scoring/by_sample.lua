--- Methods that score each sample by itself: from the scores of samples to that of a dataset.
local host = require "host"

local M = {}

local null = host.null

--- The mean of some samples' scores of one signature, added up in order.
local function mean_of(by_sample, places, signature)
  local sum, count = 0.0, 0
  for _, place in ipairs(places) do
    local value = by_sample[place][signature]
    if value ~= null then
      sum, count = sum + value, count + 1
    end
  end
  return count > 0 and sum / count or nil
end

local function all_places(samples)
  local places = {}
  for i = 1, #samples do
    places[i] = i
  end
  return places
end

--- Scores each sample: the dataset's score is the difference of the means of the groups of a
--- contrast, or the mean of all samples; details hold those of the samples.
---@param work ligase.score_work
---@param score_sample fun(matching: table, size: integer): (number|userdata)[] by signature
---@return ligase.score_lists
function M.score(work, score_sample)
  local by_sample = {}
  for i, sample in ipairs(work.samples) do
    by_sample[i] = score_sample(sample.matching, sample.size)
  end
  local groups = work.groups or { case = all_places(work.samples), control = {} }
  local scores, details = {}, {}
  for i = 1, work.count do
    local case, control = mean_of(by_sample, groups.case, i), mean_of(by_sample, groups.control, i)
    scores[i], details[i] = null, null
    if work.wanted[i] and case and (control or not work.groups) then
      local samples = {}
      for j, sample in ipairs(work.samples) do
        samples[sample.name] = by_sample[j][i]
      end
      scores[i], details[i] = case - (control or 0), { samples = samples, case = case, control = control }
    end
  end
  return { score = scores, details = details }
end

return M
