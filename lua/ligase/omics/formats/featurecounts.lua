--- featureCounts' output: a comment line, places of the features, one column per alignment
--- file. Its .summary holds no features and is refused.
local errors = require "ligase.base.errors"
local formats = require "ligase.omics.formats"
local roles = require "ligase.omics.roles"

local function is_summary(look)
  return look.header[1] == "Status" and look.rows[1] ~= nil and look.rows[1][1] == "Assigned"
end

return formats.register {
  name = "featurecounts",
  title = "featureCounts output",
  source = "Liao et al. 2014, doi:10.1093/bioinformatics/btt656; Subread user's guide, featureCounts",
  omics = { "transcriptomics" },
  recognise = function(look)
    if look.head:find("^# Program:featureCounts") then
      return 0.99, "its first line says so"
    elseif look:has("Geneid", "Chr", "Start", "End", "Strand", "Length") and #look.header > 6 then
      return 0.95, "Geneid, Chr, Start, End, Strand and Length before the counts"
    elseif is_summary(look) then
      return 0.97, "its rows are Assigned, Unassigned_..."
    end
  end,
  place = function(look)
    if is_summary(look) then
      errors.raise { kind = "input", code = "summary", file = look.shown, line = 1,
        message = "this is featureCounts' summary of how many reads were assigned, and holds no features",
        hint = "Give the file of counts (the same name without .summary), or read it anyway with --format wide" }
    end
    return nil
  end,
  columns = function(header)
    local known = roles.named(header, { Geneid = "feature", Chr = "annotation", Start = "annotation",
      End = "annotation", Strand = "annotation", Length = "annotation" })
    local first = known[2] and 7 or 2
    for position = first, #header do
      local has_text = roles.is_one_of(header[position], "gene_name", "gene_biotype", "gene_type")
      known[position] = has_text and { role = "annotation" } or { role = "sample",
        sample = roles.file_stem(header[position]), quantity = "reads", unit = "reads" }
    end
    return known
  end,
}
