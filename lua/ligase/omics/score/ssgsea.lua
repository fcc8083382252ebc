--- ssGSEA (Barbie et al. 2009, Nature 462:108), as GSVA computes it without its last step: that
--- one divides by the range of all scores of a batch, and a score would depend on what else
--- was scored with it.
---
--- Every sample is scored by itself; signatures with both directions get the difference of
--- the two. The score is the difference of the means of the two groups of a contrast, or
--- without one the mean of all samples.
local by_sample = require "ligase.omics.scoring.by_sample"
local host = require "host"
local score = require "ligase.omics.score"

return score.register {
  name = "ssgsea",
  version = "2",
  title = "single-sample GSEA",
  source = "doi:10.1038/nature08460",
  needs = "samples",
  parameters = { threshold = 0.3, exponent = 0.25 },
  score = function(work, parameters)
    return by_sample.score(work, function(matching)
      local up, down = matching:walk { exponent = parameters.exponent }
      for i = 1, work.count do
        if down[i] ~= host.null then
          up[i] = up[i] == host.null and -down[i] or up[i] - down[i]
        end
      end
      return up
    end)
  end,
}
