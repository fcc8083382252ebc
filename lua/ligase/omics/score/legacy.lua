--- The score of the system before, for comparison: (sum of w * m / sum of w + 1) / 2 over all
--- components, with m = 1 for the same direction, -1 for the opposite, 0.3 for one that is
--- present without direction, 0 for one that is absent.
---
--- Nothing found scores 0.5, as it did; that is why this is no rule for matches.
local score = require "ligase.omics.score"

local PRESENT = 0.3

return score.register {
  name = "legacy",
  version = "2",
  title = "the formula of the system before",
  source = "docs/scoring.md",
  needs = "effects",
  undirected = true,
  ungated = true,
  score = function(work)
    local found, scores = work.found, {}
    for i = 1, work.count do
      local sum = found.same[i] - found.opposite[i] + PRESENT * (found.neither[i] + found.unsigned[i])
      scores[i] = (sum / found.total[i] + 1) / 2
    end
    return { score = scores }
  end,
}
