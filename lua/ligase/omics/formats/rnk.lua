--- A ranked list of genes as GSEA takes it: a name and a number on each line, with or without
--- a header.
local formats = require "ligase.omics.formats"

local function is_number(cell)
  return cell ~= nil and tonumber(cell) ~= nil
end

local function has_header(look)
  return not is_number(look.header[2])
end

return formats.register {
  name = "rnk",
  title = "GSEA ranked list",
  source = "Broad Institute, GSEA data formats, RNK",
  omics = { "transcriptomics" },
  recognise = function(look)
    local first = has_header(look) and look.rows[1] or look.header
    if look.file_name:lower():find("%.rnk%f[%W]") and look.dialect.separator == "\t" and #look.header == 2
      and first and is_number(first[2]) then
      return 0.96, "a name and a number on each line, and the file's name ends in .rnk"
    end
  end,
  place = function(look)
    return not has_header(look) and { header = false, names = { "feature", "rank" } } or nil
  end,
  columns = function()
    return { { role = "feature" }, { role = "statistic", statistic = "statistic", contrast = "" } }
  end,
}
