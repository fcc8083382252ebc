--- singscore (Foroutan et al. 2018, BMC Bioinformatics 19:404): the mean rank of the features
--- that should rise within a sample, scaled to its least and greatest possible value and
--- centred, plus the same of those that should fall, their ranks turned around.
---
--- Every sample is scored by itself, from -0.5 to 0.5 for one direction and -1 to 1 for both.
--- The score is the difference of the means of the two groups of a contrast, or without one
--- the mean of all samples.
local by_sample = require "ligase.omics.scoring.by_sample"
local host = require "host"
local score = require "ligase.omics.score"

--- A mean rank of so many among n features, scaled to what it can be and centred.
local function scaled(mean, count, n)
  local least, greatest = (count + 1) / 2, (2 * n - count + 1) / 2
  return greatest > least and (mean - least) / (greatest - least) - 0.5 or host.null
end

return score.register {
  name = "singscore",
  version = "2",
  title = "singscore",
  source = "doi:10.1186/s12859-018-2435-4",
  needs = "samples",
  parameters = { threshold = 0.3 },
  score = function(work)
    return by_sample.score(work, function(matching, size)
      local up, down = matching:mean_ranks()
      local scores = {}
      for i = 1, work.count do
        local rise = up.count[i] > 0 and scaled(up.mean[i], up.count[i], size) or host.null
        local fall = down.count[i] > 0 and scaled(size - down.mean[i] + 1, down.count[i], size) or host.null
        scores[i] = rise == host.null and fall or fall == host.null and rise or rise + fall
      end
      return scores
    end)
  end,
}
