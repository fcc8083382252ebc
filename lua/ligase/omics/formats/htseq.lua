--- htseq-count's output: no header line in most versions, names (and attributes) first,
--- counts last, and five rows at the end that count reads and not features.
local formats = require "ligase.omics.formats"
local roles = require "ligase.omics.roles"

--- The rows of reads that were counted for no feature, at the end of the file.
local SUMMARY = { "__no_feature", "__ambiguous", "__too_low_aQual", "__not_aligned", "__alignment_not_unique" }

local OWN_NAMES = { "counts?%.t[sx][vt]", "htseq[_.-]?counts?%.t[sx][vt]", "htseq%.t[sx][vt]" }

local function has_summary(look)
  local tail = look:tail(1024)
  for _, name in ipairs(SUMMARY) do
    if tail:find(name, 1, true) or look.head:find("\n" .. name .. "\t", 1, true) then
      return true
    end
  end
  return false
end

local function is_count(cell)
  return cell ~= nil and cell:find("^%d+$") ~= nil
end

--- Whether the first line is data: a name, and counts where the rows below have counts.
local function has_no_header(look)
  local first = look.header
  return #first >= 2 and not is_count(first[1]) and is_count(first[#first])
end

--- How many of the last columns are counts: one per sample.
local function count_columns(look)
  local width, row = #look.header, look.rows[1] or look.header
  local counts = 0
  while counts < width - 1 and is_count(row[width - counts]) do
    counts = counts + 1
  end
  return counts
end

return formats.register {
  name = "htseq",
  title = "htseq-count output",
  source = "Anders et al. 2015, doi:10.1093/bioinformatics/btu638; HTSeq documentation, htseq-count",
  omics = { "transcriptomics" },
  recognise = function(look)
    if look.dialect.separator == "\t" and #look.header >= 2 and has_summary(look) and count_columns(look) > 0 then
      return 0.96, "a name and counts, and rows such as __no_feature at the end"
    end
  end,
  place = function(look)
    if not has_no_header(look) then
      return nil
    end
    local names, width, counts = { "feature" }, #look.header, count_columns(look)
    for position = 2, width - counts do
      names[position] = ("attribute %d"):format(position - 1)
    end
    local sample = roles.sample_of(look, OWN_NAMES)
    for i = 1, counts do
      names[#names + 1] = counts == 1 and sample or ("%s %d"):format(sample, i)
    end
    return { header = false, names = names }
  end,
  columns = function(header, look)
    local known, counts = { { role = "feature" } }, count_columns(look)
    for position = #header - counts + 1, #header do
      local name = header[position]
      local is_given = name ~= "" and not roles.is_one_of(name, "count", "counts")
      known[position] = { role = "sample", sample = is_given and roles.file_stem(name)
        or roles.sample_of(look, OWN_NAMES), quantity = "reads", unit = "reads" }
    end
    return roles.rest(header, known)
  end,
  flags = function()
    return { { flag = "summary", prefix = "__" } }
  end,
}
