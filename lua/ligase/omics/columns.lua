--- What the columns of a table mean: which holds the names, which are samples,
--- statistics or annotations.
---
--- Looks at the headers and at how the cells of the first frame read as numbers. What
--- it found and what it doubts is returned, printed and stored with the revision;
--- anything can be set by the caller instead (`--set COLUMN=ROLE`).
local errors = require "ligase.base.errors"
local text = require "ligase.base.text"

local M = {}

M.ROLES = { "feature", "sample", "statistic", "annotation" }

--- Headers of statistics, as DESeq2, edgeR, limma, MSstats and people write them,
--- without case, blanks and marks. `strong` ones make a table a statistics table;
--- the others count only beside a strong one, because a sample may be called "B".
local STATISTICS = {
  { name = "log2_fold_change", strong = true,
    headers = { "log2fc", "logfc", "log2foldchange", "logfoldchange", "lfc", "log2ratio" } },
  { name = "p_value", strong = true, headers = { "pvalue", "pval", "rawpval", "rawpvalue", "pvalueraw" } },
  { name = "adjusted_p_value", strong = true,
    headers = { "padj", "fdr", "adjpval", "adjpvalue", "adjustedpvalue", "qvalue", "qval", "bh", "pvaladj",
      "pvalueadj", "pvalueadjusted", "pfdr" } },
  { name = "base_mean", headers = { "basemean", "aveexpr", "logcpm", "meanexpression" } },
  { name = "standard_error", headers = { "lfcse", "se", "stderr", "standarderror" } },
  { name = "statistic", headers = { "stat", "t", "tvalue", "tstatistic", "f", "lr", "waldstatistic" } },
  { name = "log_odds", headers = { "b", "logodds" } },
  { name = "degrees_of_freedom", headers = { "df" } },
  { name = "p_value", headers = { "p" } },
}

--- Numbers that describe a feature and are no measurement of it.
local NUMERIC_ANNOTATIONS = {
  "mz", "precursormz", "productmz", "rt", "retentiontime", "rtmin", "charge", "z", "ccs", "mass", "exactmass",
  "monoisotopicmass", "molecularweight", "mw", "length", "carbons", "doublebonds", "index", "rowid", "no",
}

local function set_of(list)
  local set = {}
  for _, item in ipairs(list) do
    set[item] = true
  end
  return set
end

local is_numeric_annotation = set_of(NUMERIC_ANNOTATIONS)

--- A header without case, blanks and marks: "adj.P.Val" -> "adjpval".
local function plain(header)
  return (header:lower():gsub("[%s%p]", ""))
end

local strong_header, weak_header = {}, {}
for _, statistic in ipairs(STATISTICS) do
  for _, header in ipairs(statistic.headers) do
    (statistic.strong and strong_header or weak_header)[header] = statistic.name
  end
end

--- "log2FC_treated" and "treated: padj" name a statistic and a contrast.
---@return string|nil statistic, string|nil contrast
local function strong_statistic(header)
  local whole = strong_header[plain(header)]
  if whole then
    return whole, ""
  end
  local pieces = {}
  for from, piece, after in header:gmatch("()([^%s_:|]+)()") do
    pieces[#pieces + 1] = { from = from, text = piece, after = after }
  end
  if #pieces < 2 then
    return nil
  end
  local first, last = pieces[1], pieces[#pieces]
  if strong_header[plain(first.text)] then
    return strong_header[plain(first.text)], header:sub(pieces[2].from)
  end
  if strong_header[plain(last.text)] then
    return strong_header[plain(last.text)], header:sub(1, pieces[#pieces - 1].after - 1)
  end
  return nil
end

local function quoted_list(names, most)
  local shown = {}
  for i = 1, math.min(#names, most or 8) do
    shown[i] = ('"%s"'):format(names[i])
  end
  return table.concat(shown, ", ") .. (#names > #shown and ", ..." or "")
end

--- Two columns of one name cannot be told apart by name.
local function refuse_duplicates(names, file, line)
  local first = {}
  for i, name in ipairs(names) do
    if first[name] then
      errors.raise { kind = "input", code = "duplicate_header", file = file, line = line, column = i,
        message = name == "" and ("columns %d and %d both have an empty header"):format(first[name], i)
          or ('columns %d and %d have the same header "%s"'):format(first[name], i, name),
        hint = "Give each column a header of its own" }
    end
    first[name] = i
  end
end

--- Whether a column is read as numbers: it has some, and they outnumber the other texts.
local function is_number(profile)
  local numbers = profile.number + profile.rounded
  return numbers > 0 and numbers >= profile.misfit
end

--- A column without a single value yet: missing marks only, and not just empty cells.
local function is_all_missing(profile)
  return profile.number + profile.rounded + profile.misfit == 0 and profile.empty < profile.missing
end

local function common_mark(marks)
  local best, most = nil, 0
  for mark, count in pairs(marks) do
    if count > most or (count == most and mark < best) then
      best, most = mark, count
    end
  end
  return best
end

--- Finds the column of names. In this order: what was set, what the recipe lists, a
--- first column without header (row names), a first column that is the only text.
local function find_feature(columns, wanted, doubts, file, line)
  for _, column in ipairs(columns) do
    if column.role == "feature" then
      return column
    end
  end
  for _, name in ipairs(wanted) do
    for _, column in ipairs(columns) do
      if not column.role and plain(column.name) == plain(name) and column.name ~= "" then
        return column
      end
    end
  end
  local first = columns[1]
  local texts = {}
  for _, column in ipairs(columns) do
    if not column.number and not column.all_missing then
      texts[#texts + 1] = column.name
    end
  end
  if first and not first.role and first.name == "" and not first.number then
    return first
  end
  if first and not first.role and not first.number and #texts == 1 and #columns > 1 then
    doubts[#doubts + 1] = ('the names were taken from "%s", the only column of text (--set COLUMN=feature)')
        :format(first.name)
    return first
  end
  local headers = {}
  for i, column in ipairs(columns) do
    headers[i] = column.name
  end
  errors.raise { kind = "input", code = "no_name_column", file = file, line = line,
    message = "no column holds the names of the features",
    detail = ("looked for %s; the file has %s"):format(quoted_list(wanted), quoted_list(headers, 12)),
    hint = "Say which one it is with --set COLUMN=feature, or add its header to the recipe's name_columns" }
end

--- Applies `--set COLUMN=ROLE`; a statistic's own name (p_value, ...) is a role too.
local function apply_set(columns, set, file)
  local by_name, headers = {}, {}
  for i, column in ipairs(columns) do
    by_name[column.name] = column
    headers[i] = column.name
  end
  local roles = { table.unpack(M.ROLES) }
  for _, statistic in ipairs(STATISTICS) do
    roles[#roles + 1] = statistic.name
  end
  local known = set_of(roles)
  for name, role in pairs(set) do
    local column = by_name[name]
    if not column then
      local near = text.nearest(name, headers)
      errors.raise { kind = "usage", code = "unknown_column", file = file,
        message = ('there is no column "%s" to set'):format(name),
        hint = near and ('Did you mean "%s"?'):format(near) or "The columns are " .. quoted_list(headers, 12) }
    end
    if not known[role] then
      local near = text.nearest(role, roles)
      errors.raise { kind = "usage", code = "unknown_role", message = ("there is no role '%s'"):format(role),
        hint = (near and ("Did you mean %s? "):format(near) or "") .. "The roles are " .. table.concat(roles, ", ") }
    end
    if role ~= "feature" and role ~= "sample" and role ~= "annotation" and role ~= "statistic" then
      column.role, column.statistic, column.contrast = "statistic", role, ""
    else
      column.role = role
    end
  end
end

local function assign_statistics(columns)
  local strong = false
  for _, column in ipairs(columns) do
    if column.role == "statistic" then
      strong = true
    elseif not column.role and (column.number or column.all_missing) then
      local statistic, contrast = strong_statistic(column.name)
      if statistic then
        column.role, column.statistic, column.contrast, strong = "statistic", statistic, contrast, true
      end
    end
  end
  if strong then
    for _, column in ipairs(columns) do
      local statistic = not column.role and column.number and weak_header[plain(column.name)]
      if statistic then
        column.role, column.statistic, column.contrast = "statistic", statistic, ""
      end
    end
  end
  return strong
end

--- Numbers beside statistics are taken for annotations, with a doubt: a normalised
--- count and a gene length look alike.
local function assign_rest(columns, is_statistics, doubts)
  local unsure = {}
  for _, column in ipairs(columns) do
    if not column.role then
      local holds_numbers = column.number or column.all_missing
      if not holds_numbers or is_numeric_annotation[plain(column.name)] then
        column.role = "annotation"
      elseif is_statistics then
        column.role = "annotation"
        unsure[#unsure + 1] = column.name
      else
        column.role = "sample"
      end
    end
  end
  if #unsure > 0 then
    doubts[#doubts + 1] = ("numbers beside the statistics were taken for annotations: %s (--set COLUMN=sample)")
        :format(quoted_list(unsure))
  end
end

--- Places of the statistics in measurements.values, one entry per contrast.
local function contrasts_of(columns)
  local list, by_name = {}, {}
  for _, column in ipairs(columns) do
    if column.role == "statistic" and column.statistic and column.slot and column.type == "number" then
      local contrast = by_name[column.contrast]
      if not contrast then
        contrast = { name = column.contrast }
        by_name[column.contrast] = contrast
        list[#list + 1] = contrast
      end
      contrast[column.statistic] = contrast[column.statistic] or column.slot
    end
  end
  return list
end

---@class ligase.column_plan
---@field columns table[] in file order: {position, name, role, type, slot, missing, statistic}
---@field feature table the column of names
---@field number_positions integer[] columns of measurements.values, in slot order
---@field number_marks (string|boolean)[] the own missing mark of each of them
---@field text_positions integer[] columns of measurements.texts, in slot order
---@field contrasts table[]
---@field samples integer how many sample columns
---@field shape string "wide" or "statistics"
---@field doubts string[]

--- Decides what the columns mean.
---@param frame table the first frame
---@param options {name_columns: string[], set: table<string,string>|nil, file: string, line: integer}
---@return ligase.column_plan
function M.understand(frame, options)
  local names = frame:names()
  refuse_duplicates(names, options.file, options.line)
  local doubts, columns, all_marks = {}, {}, {}
  for i, profile in ipairs(frame:profile()) do
    columns[i] = { position = i, name = names[i], number = is_number(profile), all_missing = is_all_missing(profile),
      marks = profile.marks }
    for mark, count in pairs(profile.marks) do
      all_marks[mark] = (all_marks[mark] or 0) + count
    end
  end
  apply_set(columns, options.set or {}, options.file)
  local feature = find_feature(columns, options.name_columns, doubts, options.file, options.line)
  feature.role = "feature"
  local is_statistics = assign_statistics(columns)
  assign_rest(columns, is_statistics, doubts)

  local plan = { columns = columns, feature = feature, number_positions = {}, number_marks = {}, text_positions = {},
    samples = 0, shape = is_statistics and "statistics" or "wide", doubts = doubts }
  local usual_mark = common_mark(all_marks) or false
  local measured = 0
  for _, column in ipairs(columns) do
    local holds_numbers = column.number or column.all_missing or column.role == "sample" or column.role == "statistic"
    if column ~= feature and holds_numbers then
      column.type = "number"
      column.missing = common_mark(column.marks) or usual_mark or nil
      plan.number_positions[#plan.number_positions + 1] = column.position
      plan.number_marks[#plan.number_marks + 1] = column.missing or false
      column.slot = #plan.number_positions
      measured = measured + (column.number and column.role ~= "annotation" and 1 or 0)
    else
      column.type = "text"
      if column ~= feature then
        plan.text_positions[#plan.text_positions + 1] = column.position
        column.slot = #plan.text_positions
      end
    end
    plan.samples = plan.samples + (column.role == "sample" and 1 or 0)
    column.number, column.all_missing, column.marks = nil, nil, nil
  end
  if measured == 0 then
    errors.raise { kind = "input", code = "no_numbers", file = options.file, line = options.line,
      message = "no column holds numbers to store",
      detail = ("names in \"%s\"; the file has %s"):format(feature.name, quoted_list(names, 12)),
      hint = "Check the separator and the decimal mark (--separator, --decimal), or set a column's role "
        .. "with --set COLUMN=sample" }
  end
  plan.contrasts = contrasts_of(columns)
  return plan
end

return M
