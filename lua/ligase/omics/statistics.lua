--- Headers of statistics: that "adj.P.Val" is an adjusted p-value, and "log2FC_treated"
--- the log2 fold change of a contrast.
---
--- Knows the headers that DESeq2, edgeR, limma, MSstats, Seurat, Cuffdiff and people
--- write. Which columns are taken for statistics is decided in ligase.omics.columns.
local M = {}

--- Headers without case, blanks and marks. Those under `strong` make a table a
--- statistics table; those under `weak` count only beside a strong one, because a
--- sample may be called "B".
local STATISTICS = {
  { name = "log2_fold_change",
    strong = { "log2fc", "logfc", "log2foldchange", "logfoldchange", "lfc", "log2ratio", "avglog2fc",
      "averagelog2fc", "estimatedlog2fc" } },
  { name = "p_value",
    strong = { "pvalue", "pval", "rawpval", "rawpvalue", "pvalueraw", "pvalraw", "nominalpvalue", "nompval" },
    weak = { "p" } },
  { name = "adjusted_p_value",
    strong = { "padj", "fdr", "adjpval", "adjpvalue", "adjp", "adjustedp", "adjustedpval", "adjustedpvalue", "qvalue",
      "qval", "pvaladj", "pvalueadj", "pvaladjusted", "pvalueadjusted", "pvalcorrected", "pvaluecorrected",
      "correctedpvalue", "fdrpval", "fdrpvalue", "pvalfdr", "pvaluefdr", "pfdr", "fdrq", "fdrqval", "pvalbh",
      "pvaluebh", "padjbh", "fdrbh", "pvalbonferroni", "pvaluebonferroni" },
    weak = { "bh", "q", "bonferroni" } },
  { name = "base_mean", weak = { "basemean", "aveexpr", "logcpm", "meanexpression" } },
  { name = "standard_error",
    weak = { "se", "stderr", "standarderror", "lfcse", "logfcse", "log2fcse", "selogfc", "selog2fc" } },
  { name = "statistic",
    weak = { "stat", "teststat", "statistic", "t", "tvalue", "tstat", "tstatistic", "f", "fvalue", "fstatistic", "lr",
      "waldstat", "waldstatistic", "zscore" } },
  { name = "log_odds", weak = { "b", "logodds" } },
  { name = "degrees_of_freedom", weak = { "df" } },
  { name = "fold_change", weak = { "fc", "foldchange" } },
}

--- The names a column can be given, in the order of the list above.
---@type string[]
M.NAMES = {}

local strong, weak, known = {}, {}, {}
for i, statistic in ipairs(STATISTICS) do
  M.NAMES[i] = statistic.name
  known[statistic.name] = true
  for _, header in ipairs(statistic.strong or {}) do
    strong[header] = statistic.name
  end
  for _, header in ipairs(statistic.weak or {}) do
    weak[header] = statistic.name
  end
end

--- Most words that one statistic's header has ("raw p value").
local WORDS_MOST = 4

--- Words that make another quantity of the statistic beside them.
local TRANSFORMS = { abs = true, absolute = true, neg = true, minus = true, rank = true, ln = true, log = true,
  log2 = true, signed = true, avg = true, average = true, natural = true, nat = true, loge = true, logn = true,
  inverse = true, inverted = true, reciprocal = true }

--- Behind "base" they are the base of a logarithm that is none to base 2.
local OTHER_BASES = { e = true, ["10"] = true, natural = true }

--- Words that alone are no contrast but say which side of the statistic it is.
local SIDES = { ci = true, l = true, r = true, lower = true, upper = true, lwr = true, upr = true, se = true, sd = true,
  sem = true, min = true, max = true, significant = true, significance = true, sig = true, threshold = true,
  cutoff = true, std = true, stdev = true, stddev = true, error = true, err = true, variance = true, var = true,
  z = true, zscore = true, score = true, rsd = true, cv = true }

--- Words that say so beside one of those: "95 % CI low"; alone they may be a contrast ("high").
local SIDES_BESIDE = { low = true, high = true, confidence = true, interval = true, bound = true, limit = true }

--- Every format asks for its own headers in every file, so they are remembered.
local plains, plain_count = {}, 0
local PLAINS_MOST = 20000

--- A header without case, blanks and marks: "adj.P.Val" -> "adjpval".
---@param header string
---@return string
function M.plain(header)
  local plain = plains[header]
  if not plain then
    if plain_count == PLAINS_MOST then
      plains, plain_count = {}, 0
    end
    plain = header:lower():gsub("[%s%p]", "")
    plains[header], plain_count = plain, plain_count + 1
  end
  return plain
end

--- Whether a header can hold a strong one at all; most do not, and are many.
local function is_promising(lower)
  return lower:find("f[co]") or lower:find("val", 1, true) or lower:find("adj", 1, true)
    or lower:find("fdr", 1, true) or lower:find("ratio", 1, true)
end

local function words_of(header)
  local words = {}
  for from, word, after in header:gmatch("()([%w\x80-\xff]+)()") do
    words[#words + 1] = { from = from, text = word:lower(), to = after - 1 }
  end
  return words
end

local function joined(words, first, last)
  local parts = {}
  for i = first, last do
    parts[#parts + 1] = words[i].text
  end
  return table.concat(parts)
end

--- The text of words first..last as it stands in the header; nil when one of them
--- makes the statistic another quantity.
local function contrast_of(header, words, first, last)
  local sides, others = 0, 0
  for i = first, last do
    local word = words[i].text
    local after = words[i + 1]
    if TRANSFORMS[word] or word:find("log10", 1, true) or word == "base" and after and OTHER_BASES[after.text] then
      return nil
    end
    sides = sides + (SIDES[word] and 1 or 0)
    others = others + ((SIDES[word] or SIDES_BESIDE[word] or word:find("^%d+$")) and 0 or 1)
  end
  return (sides == 0 or others > 0) and header:sub(words[first].from, words[last].to) or nil
end

--- Whether what stands before the words makes another quantity of them: "-log2FC", "1 - p".
local function is_turned(header)
  return header:find("^%s*%-") or header:find("^%s*1%s*%-%s*%a") or header:find("^%s*1%s*\xE2\x88\x92")
end

local function read(header, dictionary, other)
  local words = words_of(header)
  local all = joined(words, 1, #words)
  if dictionary[all] then
    return dictionary[all], ""
  elseif other[all] then
    return nil
  end
  for count = math.min(WORDS_MOST, #words - 1), 1, -1 do
    local first = dictionary[joined(words, 1, count)]
    local last = dictionary[joined(words, #words - count + 1, #words)]
    local contrast
    if first then
      contrast = contrast_of(header, words, count + 1, #words)
    elseif last then
      contrast = contrast_of(header, words, 1, #words - count)
    end
    if contrast then
      return first or last, contrast
    end
  end
  return nil
end

--- The statistic that a header names by itself, and its contrast: "log2FC_treated" and
--- "treated: log2FC" are the log2 fold change of "treated". A minus in front, "-log10"
--- and the like make it another quantity, which has no name here.
---@param header string
---@return string|nil statistic one of NAMES
---@return string|nil contrast "" when the header names none
function M.strong(header)
  if not is_promising(header:lower()) or is_turned(header) then
    return nil
  end
  return read(header, strong, weak)
end

--- Like strong, for headers that name a statistic only in a table that has others.
---@param header string
---@return string|nil statistic one of NAMES
---@return string|nil contrast "" when the header names none
function M.weak(header)
  if is_turned(header) then
    return nil
  end
  return read(header, weak, strong)
end

--- Whether a header speaks of a statistic and means another quantity of it: "-log10(pvalue)",
--- "log2FC CI lower".
---@param header string
---@return boolean
function M.is_derived(header)
  if not is_promising(header:lower()) or M.strong(header) or M.weak(header) then
    return false
  end
  local words = words_of(header)
  for count = 1, math.min(WORDS_MOST, #words) do
    if strong[joined(words, 1, count)] or strong[joined(words, #words - count + 1, #words)] then
      return true
    end
  end
  return false
end

--- Whether a header is that of Seurat's natural logarithms: up to version 3 they are
--- called avg_logFC, since then avg_log2FC.
---@param plain_header string
---@return boolean
function M.is_natural(plain_header)
  return plain_header:find("avglogfc", 1, true) ~= nil or plain_header:find("averagelogfc", 1, true) ~= nil
end

--- Whether edgeR or limma write such a header beside their logFC, which is to base 2.
---@param plain_header string
---@return boolean
function M.implies_log2(plain_header)
  for _, theirs in ipairs { "logcpm", "aveexpr", "adjpval", "fdr" } do
    if plain_header:find(theirs, 1, true) then
      return true
    end
  end
  return false
end

--- Whether a statistic of that name exists.
---@param name string
---@return boolean
function M.is_known(name)
  return known[name] == true
end

return M
