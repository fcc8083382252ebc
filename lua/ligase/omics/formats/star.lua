--- STAR's counts of reads by gene: no header, four rows of reads that belong to no gene, and
--- a column of counts for each strandedness.
local formats = require "ligase.omics.formats"
local roles = require "ligase.omics.roles"

local COUNTS = { "unstranded", "first strand", "second strand" }

return formats.register {
  name = "star",
  title = "STAR ReadsPerGene.out.tab",
  source = "Dobin et al. 2013, doi:10.1093/bioinformatics/bts635; STAR manual, Counting number of reads per gene",
  omics = { "transcriptomics" },
  recognise = function(look)
    if look.head:find("^N_unmapped\t%d+\t%d+\t%d+[\r\n]+N_multimapping\t") then
      return 0.99, "it begins with N_unmapped and N_multimapping"
    end
  end,
  place = function()
    return { separator = "\t", header = false, names = { "gene", table.unpack(COUNTS) } }
  end,
  columns = function(_, look)
    local sample = roles.sample_of(look, { "ReadsPerGene%.out%.tab" })
    local known = { { role = "feature" } }
    for i, counts in ipairs(COUNTS) do
      known[i + 1] = { role = "sample", sample = sample, quantity = "reads, " .. counts, unit = "reads" }
    end
    return known
  end,
  flags = function()
    return { { flag = "summary", prefix = "N_" } }
  end,
}
