--- GSEA on a ranked list (Subramanian et al. 2005, PNAS 102:15545): the largest deviation of
--- the running sum over the features from the greatest effect to the least.
---
--- The score is the enrichment score. Of signatures with both directions it is half the
--- difference between the features that should rise and those that should fall, when the two
--- lie on different sides, and 0 otherwise (Subramanian et al. 2017, Cell 171:1437). Normalised
--- score and p-value compare with features drawn at random, on the score's side of 0.
local host = require "host"
local score = require "ligase.omics.score"

local null = host.null

return score.register {
  name = "gsea",
  version = "2",
  title = "gene set enrichment analysis, preranked",
  source = "doi:10.1073/pnas.0506580102",
  needs = "effects",
  parameters = { threshold = 0.3, permutations = 1000, seed = 20240229, exponent = 1, alpha = 0.05 },
  score = function(work, parameters)
    local found = work.matching:running_sum { exponent = parameters.exponent,
      permutations = parameters.permutations, seed = parameters.seed, wanted = work.wanted }
    local matches, details = {}, {}
    for i = 1, work.count do
      local p = found.chance[i]
      matches[i] = null
      if found.score[i] == null then
        matches[i] = false
      elseif p ~= null then
        matches[i] = p <= parameters.alpha and found.score[i] > 0
      end
      details[i] = found.score[i] ~= null and { normalized = found.normalized[i], more_extreme = found.as_far[i],
        up = found.up[i], down = found.down[i] } or null
    end
    return { score = found.score, p_value = found.chance, is_match = matches, details = details }
  end,
}
