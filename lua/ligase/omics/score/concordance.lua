--- Weighted concordance of directions: of the weight that was found with a direction, how much
--- more goes the signature's way than against it, from -1 (all against) to 1 (all along).
---
--- A component whose effect is exactly 0 counts as neither. Components of which the signature
--- states no direction say nothing here. The p-value is two-sided: how often components drawn
--- at random from the dataset's features, with the signature's weights and directions, agree or
--- disagree as much.
local host = require "host"
local score = require "ligase.omics.score"

local null = host.null

return score.register {
  name = "concordance",
  version = "2",
  title = "weighted concordance of directions",
  source = "docs/scoring.md",
  needs = "effects",
  undirected = true,
  parameters = { threshold = 0.3, permutations = 1000, seed = 20240229 },
  score = function(work, parameters)
    local found, wanted, threshold = work.found, work.wanted, parameters.threshold
    local same, opposite, neither = found.same, found.opposite, found.neither
    local scores, matches = {}, {}
    for i = 1, work.count do
      local weight = same[i] + opposite[i] + neither[i]
      if weight > 0 and wanted[i] and work.has_effects then
        local value = (same[i] - opposite[i]) / weight
        scores[i], matches[i] = value, value >= threshold
      else
        scores[i], matches[i] = null, false
      end
    end
    local p_values
    if parameters.permutations > 0 and work.has_effects then
      p_values = work.matching:agreement_chance { permutations = parameters.permutations, seed = parameters.seed,
        wanted = wanted }
    end
    return { score = scores, p_value = p_values, is_match = matches }
  end,
}
