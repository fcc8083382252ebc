--- What the columns of a table mean: which holds the names, which are samples,
--- statistics or annotations.
---
--- Looks at the headers and at how the cells of the first frame read as numbers. What
--- it found and what it doubts is returned, printed and stored with the revision;
--- anything can be set by the caller instead (`--set COLUMN=ROLE`).
local column_table = require "ligase.omics.column_table"
local known_roles = require "ligase.omics.known_roles"
local name_column = require "ligase.omics.name_column"
local statistics = require "ligase.omics.statistics"

local M = {}

local is_text, quoted_list = column_table.is_text, column_table.quoted_list

M.ROLES = known_roles.ROLES

local function set_of(list)
  local set = {}
  for _, item in ipairs(list) do
    set[item] = true
  end
  return set
end

--- Numbers that describe a feature and are no measurement of it, whatever the table.
local describes = set_of {
  "mz", "averagemz", "rowmz", "masstocharge", "precursormz", "productmz", "rt", "averagert", "averagertmin", "rtmin",
  "retentiontime", "rowretentiontime", "charge", "precursorcharge", "productcharge", "ccs", "exactmass",
  "monoisotopicmass", "molecularweight", "mw", "carbons", "doublebonds", "peakrank", "id", "rowid", "geneid",
  "entrezid", "entrezgeneid", "entrezgene", "entrez",
  "locuslink", "ncbigeneid", "compoundid", "metaboliteid", "lipidid", "featureid", "proteinid",
  "peptideid", "probeid", "peakid", "collisionenergy", "mim", "omim", "pubchemid", "chebiid", "hmdbid", "keggid",
  "taxid", "taxonid",
}

--- Words that may say the same, and may be what somebody called a sample.
local may_describe = set_of { "z", "mass", "length", "index", "no", "start", "end", "position", "reliability", "module",
  "cluster" }

--- Statistics that have the names of samples as well, unless limma or edgeR wrote the table.
local may_be_statistic = set_of { "b", "t", "f", "q" }

-- ---- roles -----------------------------------------------------------------

local IS_PROBABILITY = { p_value = true, adjusted_p_value = true }

--- A column of p-values beyond 0 to 1 is something else, such as their logarithm; it
--- is kept as a statistic without a name.
local function is_within_range(tbl, column, statistic)
  if not IS_PROBABILITY[statistic] or column.blank then
    return true
  end
  local within = tbl:all_numbers(column, function(value)
    return value >= 0 and value <= 1
  end)
  if not within then
    column.role = "statistic"
    tbl:doubt('"%s" is not taken for p-values, because some are not between 0 and 1 (--set COLUMN=%s)',
      column.name, statistic)
  end
  return within
end

local function has_numbers(column)
  return column.number or column.blank and not column.empty
end

--- Numbers that nothing says are no sample.
local function is_like_sample(column)
  return column.role == "sample" or not column.role and column.number and column.name ~= ""
    and not describes[column.plain] and not may_describe[column.plain] and not statistics.strong(column.name)
end

--- Whether the next column in one direction, leaving out those of doubtful names, is like
--- a sample; the second result says that there is none.
local function is_beside_sample(tbl, column, step)
  local at = column.position + step
  while tbl.columns[at] and may_describe[tbl.columns[at].plain] and not tbl.columns[at].role do
    at = at + step
  end
  local neighbour = tbl.columns[at]
  return neighbour ~= nil and is_like_sample(neighbour), neighbour == nil
end

--- Whether a column stands between samples, or behind the last one.
local function is_between_samples(tbl, column)
  local after, last = is_beside_sample(tbl, column, 1)
  return is_beside_sample(tbl, column, -1) and (after or last)
end

--- Seurat's natural logarithm is a statistic, and none that has a name here: it must not
--- be stored as one to base 2.
local function assign_natural(tbl, column)
  column.role = "statistic"
  tbl:doubt('"%s" is not taken for a log2 fold change, because Seurat up to 3 writes natural logarithms under that '
    .. "name (--set COLUMN=log2_fold_change)", column.name)
end

--- Gives the columns that name a statistic by themselves their role. Returns how many
--- there are, and the fold changes whose headers do not say their base.
local function assign_strong(tbl, contrasts)
  local count, baseless = 0, {}
  for _, column in ipairs(tbl.columns) do
    if not column.role and has_numbers(column) then
      local statistic, contrast = statistics.strong(column.name)
      if statistics.is_natural(column.plain) then
        assign_natural(tbl, column)
      elseif statistic and is_within_range(tbl, column, statistic) then
        column.role, column.statistic, column.contrast = "statistic", statistic, contrast
        contrasts[contrast] = true
        if statistic == "log2_fold_change" and not column.plain:find("log2", 1, true) then
          baseless[#baseless + 1] = column.name
        end
      end
    end
    count = count + (column.role == "statistic" and 1 or 0)
  end
  return count, baseless
end

--- The same for those that do so only beside others; those that samples may be called are
--- doubted, or left when they stand among samples.
local function assign_weak(tbl, contrasts, from_tool)
  local count, generic = 0, {}
  for _, column in ipairs(tbl.columns) do
    if not column.role and has_numbers(column) then
      local statistic, contrast = statistics.weak(column.name)
      local is_generic = statistic and may_be_statistic[column.plain] and not from_tool
      if statistic and contrasts[contrast] and not (is_generic and is_between_samples(tbl, column))
        and is_within_range(tbl, column, statistic) then
        column.role, column.statistic, column.contrast = "statistic", statistic, contrast
        count = count + 1
        generic[#generic + 1] = is_generic and column.name or nil
      end
    end
  end
  if #generic > 0 then
    tbl:doubt("taken for statistics, but samples may be called so: %s (--set COLUMN=sample)", quoted_list(generic))
  end
  return count
end

--- Gives the columns of statistics their role; returns how many there are.
local function assign_statistics(tbl)
  local contrasts, from_tool = { [""] = true }, false
  local count, baseless = assign_strong(tbl, contrasts)
  if count == 0 then
    return 0
  end
  for _, column in ipairs(tbl.columns) do
    from_tool = from_tool or statistics.implies_log2(column.plain)
  end
  if #baseless > 0 and not from_tool then
    tbl:doubt("taken for logarithms to base 2, which the header does not say: %s (--set COLUMN=statistic)",
      quoted_list(baseless))
  end
  return count + assign_weak(tbl, contrasts, from_tool)
end

local function is_whole(value)
  return value % 1 == 0
end

--- "gene_id", "GeneID", "row ID", "Comment[summary_id]": numbers that name something.
local function is_id_header(name)
  return name:find("[iI][dD]s?%W*$") and (name:find("^%W*[iI][dD]s?%W*$") or name:find("[%s_.-][iI][dD]s?%W*$")
    or name:find("%lIDs?%W*$"))
end

--- Whether its header says that a column describes the feature, and whether that is sure.
--- Where it is not, fractions beside samples are no ids or places; a mass or a mean
--- length has fractions, but no place between samples.
local function describes_feature(tbl, column)
  if column.name == "" or describes[column.plain] then
    return true, true
  elseif not may_describe[column.plain] and not is_id_header(column.name) then
    return false, true
  end
  local is_near = is_between_samples(tbl, column)
  if column.plain ~= "mass" and column.plain ~= "length" then
    is_near = is_near or is_beside_sample(tbl, column, -1) or is_beside_sample(tbl, column, 1)
  end
  return not is_near or tbl:all_numbers(column, is_whole), false
end

--- A column without any value among samples is a sample that failed; elsewhere it is an
--- annotation that nobody filled in.
local function assign_empty(tbl)
  local columns, taken = tbl.columns, {}
  for i, column in ipairs(columns) do
    local before, after = columns[i - 1], i + 1
    while columns[after] and not columns[after].role do
      after = after + 1
    end
    if not column.role and before and before.role == "sample" and column.name ~= ""
      and (not columns[after] or columns[after].role == "sample") then
      column.role = "sample"
      taken[#taken + 1] = column.name
    elseif not column.role then
      column.role = "annotation"
    end
  end
  if #taken > 0 then
    tbl:doubt("without any value in their first rows, but taken for samples: %s (--set COLUMN=annotation)",
      quoted_list(taken))
  end
end

--- More numbers than this beside statistics may be samples.
local FEW = 2

--- Numbers beside statistics: a few are taken for statistics too (means of groups), many
--- for samples (the table of values with the statistics beside it), unless their header
--- speaks of a statistic (its logarithm, its limits). Both are doubtful.
local function assign_unsure(tbl, unsure, statistic_count)
  local names, unnamed = { sample = {}, statistic = {} }, 0
  for _, column in ipairs(unsure) do
    column.role = statistics.is_derived(column.name) and "statistic" or nil
    unnamed = unnamed + (column.role and 0 or 1)
  end
  local role = unnamed > math.max(statistic_count, FEW) and "sample" or "statistic"
  for _, column in ipairs(unsure) do
    column.role = column.role or role
    table.insert(names[column.role], column.name)
  end
  local function doubt(taken, other)
    if #names[taken] > 0 then
      tbl:doubt("numbers beside the statistics were taken for %ss: %s (--set COLUMN=%s)", taken,
        quoted_list(names[taken]), other)
    end
  end
  doubt("statistic", "sample")
  doubt("sample", "annotation")
end

--- Says which columns might as well have had the other role.
local function doubt_generic(tbl, generic, role, other)
  if #generic > 0 then
    tbl:doubt("taken for %ss by their header, but may be %ss: %s (--set COLUMN=%s)", role, other, quoted_list(generic),
      other)
  end
end

local function assign_rest(tbl, statistic_count, number_role)
  local unsure, generic, codes, beside = {}, { annotation = {}, sample = {} }, {}, {}
  for _, column in ipairs(tbl.columns) do
    if not column.role and not (column.empty and column.name ~= "") then
      local described, sure = describes_feature(tbl, column)
      if is_text(column) then
        column.role = "annotation"
        codes[#codes + 1] = column.coded > 0 and not described and column.name or nil
      elseif column.empty or described then
        column.role = "annotation"
      elseif statistic_count > 0 then
        unsure[#unsure + 1] = column
      else
        column.role = number_role
        beside[#beside + 1] = column.name
      end
      if generic[column.role] and column.number and not sure then
        table.insert(generic[column.role], column.name)
      end
    end
  end
  if number_role == "annotation" and #beside > 0 then
    tbl:doubt("kept as text beside the column of values: %s (--set COLUMN=value)", quoted_list(beside))
  end
  doubt_generic(tbl, generic.annotation, "annotation", "sample")
  doubt_generic(tbl, generic.sample, "sample", "annotation")
  if #codes > 0 then
    tbl:doubt("kept as text, because numbers in it are written as codes: %s (--set COLUMN=sample)", quoted_list(codes))
  end
  assign_unsure(tbl, unsure, statistic_count)
  assign_empty(tbl)
end

--- Columns of samples that are looked at for flags, at most.
local FLAGS_MOST = 20

--- Samples of nothing but 0 and 1 may be flags of the features.
local function doubt_flags(tbl)
  local samples, flags = {}, {}
  for _, column in ipairs(tbl.columns) do
    samples[#samples + 1] = column.role == "sample" and not column.sample_id and column.number and column or nil
  end
  for _, column in ipairs(#samples <= FLAGS_MOST and #tbl.frame >= 4 and samples or {}) do
    local ones = false
    local only = tbl:all_numbers(column, function(value)
      ones = ones or value == 1
      return value == 0 or value == 1
    end)
    flags[#flags + 1] = only and ones and column.name or nil
  end
  if #flags > 0 then
    tbl:doubt("taken for samples, though they hold nothing but 0 and 1: %s (--set COLUMN=annotation)",
      quoted_list(flags))
  end
end

--- Codes among more numbers: kept as they stand, but a sample has none.
local function doubt_codes(tbl)
  local coded = {}
  for _, column in ipairs(tbl.columns) do
    if column.role == "sample" and column.number and column.coded > 0 then
      coded[#coded + 1] = column.name
    end
  end
  if #coded > 0 then
    tbl:doubt("read as numbers, though some are written as codes, such as 007 or 12E3: %s (--set COLUMN=annotation)",
      quoted_list(coded))
  end
end

-- ---- cells that are no numbers ---------------------------------------------

--- Numbers with marks that are not read: percent, thousands, "<", a minus sign that is none
--- of ASCII, no-break spaces.
local MARKED = { "^[-+]?[%d.,]+%s?%%$", "^[-+]?%d%d?%d?[ '.,]%d%d%d[%d ',.]*$", "^[-+]?%d%d?%d?\xc2\xa0%d%d%d",
  "^[-+]?%d%d?%d?\xe2\x80\xaf%d%d%d", "^[<>]=?%s?[%d.,]+$", "^\xe2\x88\x92%s?[%d.,]+$", "^\xc2\xa0[-+]?[%d.,]+$",
  "^[-+]?[%d.,]+\xc2\xa0$" }

local MARKED_SHOWN = "numbers with %%, <, a mark between thousands, a minus sign other than - or a no-break space are "
  .. "kept as text: %s"

local function is_marked(cell)
  for _, pattern in ipairs(cell:find("%d") and MARKED or {}) do
    if cell:find(pattern) then
      return true
    end
  end
  return false
end

--- Columns of texts that begin with such numbers.
local function marked_columns(tbl)
  local marked = {}
  for _, column in ipairs(tbl.columns) do
    if (not column.role or column.role == "annotation") and is_text(column) then
      for _, cell in ipairs(tbl:first_cells(column, 5)) do
        if is_marked(cell) then
          marked[#marked + 1] = column.name
          break
        end
      end
    end
  end
  return marked
end

local function doubt_marked_numbers(tbl)
  local marked = marked_columns(tbl)
  if #marked > 0 then
    tbl:doubt(MARKED_SHOWN, quoted_list(marked))
  end
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

-- ---- the plan --------------------------------------------------------------

--- Places of the statistics in measurements.values, one entry per contrast.
local function contrasts_of(tbl)
  local list, by_name, repeated = {}, {}, {}
  for _, column in ipairs(tbl.columns) do
    if column.role == "statistic" and column.statistic and column.type == "number" then
      local contrast = by_name[column.contrast]
      if not contrast then
        contrast = { name = column.contrast }
        by_name[column.contrast] = contrast
        list[#list + 1] = contrast
      end
      if contrast[column.statistic] then
        repeated[#repeated + 1] = column.name
      else
        contrast[column.statistic] = column.slot
      end
    end
  end
  if #repeated > 0 then
    tbl:doubt("stored, but not used as a contrast's statistic, because an earlier column is: %s",
      quoted_list(repeated))
  end
  return list
end

--- Whether each column is stored among the numbers or the texts, and its slot there.
--- Annotations are texts even if they read as numbers: 1.10 may be a version.
local function assign_slots(tbl, plan)
  local all_marks, seen = {}, {}
  for _, column in ipairs(tbl.columns) do
    for mark, count in pairs(column.marks) do
      all_marks[mark] = (all_marks[mark] or 0) + count
    end
  end
  local usual_mark = common_mark(all_marks)
  for _, column in ipairs(tbl.columns) do
    local positions = plan.text_positions
    column.type = "text"
    if known_roles.needs_numbers(column.role) then
      positions = plan.number_positions
      column.type = "number"
      column.missing = common_mark(column.marks) or usual_mark
      plan.number_marks[#plan.number_marks + 1] = column.missing or false
    end
    if column ~= plan.feature then
      positions[#positions + 1] = column.position
      column.slot = #positions
    end
    if column.role == "sample" and not seen[column.sample_id or column.name] then
      seen[column.sample_id or column.name] = true
      plan.samples = plan.samples + 1
    elseif column.role == "sample_name" then
      plan.sample_name = column
    end
  end
end

local function refuse_numberless(tbl, where, hint)
  tbl:refuse({ code = "no_numbers", message = "no column holds numbers to store",
    detail = ("%sthe file has %s"):format(where, quoted_list(tbl:headers(), 12)),
    hint = #tbl.columns == 1 and column_table.ONE_COLUMN or hint })
end

local function refuse_without_numbers(tbl, feature, opened)
  local any, measured = false, false
  for _, column in ipairs(tbl.columns) do
    any = any or column.number
    measured = measured or feature and column.number and column ~= feature and column.role ~= "annotation"
  end
  if not any then
    local doubt = opened and opened.dialect and opened.dialect.decimal_doubt
    local marked = not doubt and marked_columns(tbl) or {}
    if #marked > 0 then
      doubt = MARKED_SHOWN:format(quoted_list(marked)) .. ". Write them plainly, as in -1234.5"
    end
    refuse_numberless(tbl, "", doubt and doubt:gsub("^%l", string.upper)
      or "Check the separator and the decimal mark (--separator, --decimal)")
  elseif feature and not measured then
    refuse_numberless(tbl, ('names in "%s"; '):format(feature.name),
      "Set the role of a column with numbers: --set COLUMN=sample")
  end
end

--- Whether a tool's format says what the columns are.
local function is_known(opened)
  return opened ~= nil and opened.roles ~= nil and opened.recognition ~= nil and not opened.recognition.format.generic
end

---@class ligase.column_plan
---@field columns table[] in file order: {position, name, role, type, slot, missing, statistic, contrast, sample_id,
--- quantity, unit}
---@field feature table the column of names
---@field number_positions integer[] columns of measurements.values, in slot order
---@field number_marks (string|boolean)[] the own missing mark of each of them
---@field text_positions integer[] columns of measurements.texts, in slot order
---@field contrasts table[]
---@field samples integer how many different samples the columns are of
---@field sample_name table|nil of a long table, the column that names each row's sample
---@field sample_names string[]|nil of a long table, the samples, as far as it was read
---@field shape string "wide", "statistics" or "long"
---@field doubts string[]

--- Decides what the columns mean. Raises "input" for a table that has no names or no
--- numbers, or two columns of one name, "usage" for roles that cannot be set.
---@param frame table the first frame
---@param options {name_columns: string[], set: table<string,string>|nil, opened: ligase.opened|nil, file: string,
--- line: integer}
---@return ligase.column_plan
function M.understand(frame, options)
  local tbl = column_table.new(frame, options.file, options.line)
  known_roles.apply_set(tbl, options.set or {})
  known_roles.apply_format(tbl, options.opened and options.opened.roles or {})
  refuse_without_numbers(tbl, nil, options.opened)
  tbl:doubt_marks()
  local feature = name_column.find(tbl, options.name_columns)
  feature.role = "feature"
  local statistic_count = assign_statistics(tbl)
  local is_long = known_roles.has(tbl, "sample_name") or statistic_count == 0 and not known_roles.has(tbl, "sample")
    and name_column.assign_sample_name(tbl)
  assign_rest(tbl, statistic_count, not is_long and "sample" or known_roles.has(tbl, "value") and "annotation"
    or "value")
  doubt_codes(tbl)
  doubt_flags(tbl)
  refuse_without_numbers(tbl, feature)
  if not is_long and not is_known(options.opened) then
    name_column.doubt_repeats(tbl, feature)
  end
  doubt_marked_numbers(tbl)

  local plan = { columns = tbl.columns, feature = feature, number_positions = {}, number_marks = {},
    text_positions = {}, samples = 0, doubts = tbl.doubts }
  assign_slots(tbl, plan)
  plan.shape = statistic_count > 0 and "statistics" or plan.sample_name and "long" or "wide"
  plan.contrasts = contrasts_of(tbl)
  for _, column in ipairs(tbl.columns) do
    column.plain, column.number, column.coded, column.blank, column.empty, column.marks = nil, nil, nil, nil, nil, nil
  end
  return plan
end

return M
