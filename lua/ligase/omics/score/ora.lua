--- Over-representation: whether more of the signature is among the selected features of a
--- dataset than chance would have it. The background is what was measured.
---
--- The score is how many times as many of the signature's features are selected as would be on
--- average; the p-value is the upper tail of the hypergeometric distribution. Directions play
--- no part.
local host = require "host"
local score = require "ligase.omics.score"
local sets = require "sets"

local null = host.null

return score.register {
  name = "ora",
  version = "2",
  title = "over-representation",
  source = "doi:10.1093/bioinformatics/btl567",
  needs = "selection",
  parameters = { threshold = 0.3, alpha = 0.05, effect = 1 },
  score = function(work, parameters)
    local selection = work.selection
    local measured = work.found.matched
    local hits = selection.matching:agreement().matched
    local scores, p_values, matches, details = {}, {}, {}, {}
    for i = 1, work.count do
      scores[i], p_values[i], matches[i], details[i] = null, null, false, null
      if measured[i] > 0 and work.wanted[i] then
        local p = sets.overlap_chance(hits[i], measured[i], selection.selected, selection.measured)
        scores[i] = selection.selected > 0 and hits[i] * selection.measured / (measured[i] * selection.selected)
          or null
        p_values[i], matches[i] = p, p <= parameters.alpha
        details[i] = { hits = hits[i], measured = measured[i], selected = selection.selected,
          background = selection.measured }
      end
    end
    return { score = scores, p_value = p_values, is_match = matches, details = details }
  end,
}
