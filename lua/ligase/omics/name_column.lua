--- Which column of a table holds the names of the features.
---
--- In this order: the one that was set, the first one that the recipe lists, a first
--- column without a header (row names as R writes them), a first column that is the
--- only one of text. What is found by less than the recipe's list is doubted; a table
--- that is turned, long or without a header is refused or doubted.
local column_table = require "ligase.omics.column_table"
local detect_omics = require "ligase.omics.detect_omics"
local statistics = require "ligase.omics.statistics"

local M = {}

local is_number_text, is_text, quoted_list = column_table.is_number, column_table.is_text, column_table.quoted_list

--- Columns that say in which sample a row was measured, the likeliest first.
local SAMPLE_HEADERS = { "samplename", "sampleid", "sample", "samples", "replicatename", "run", "filename", "rawfile",
  "bioreplicate", "replicate", "channel", "subject", "patient" }

local names_samples = {}
for _, header in ipairs(SAMPLE_HEADERS) do
  names_samples[header] = true
end

local function all_match(cells, pattern)
  for _, cell in ipairs(cells) do
    if not cell:find(pattern) then
      return false
    end
  end
  return #cells > 0
end

local function first_cells(tbl)
  return tbl:first_cells(tbl.columns[1], column_table.LOOK_ROWS)
end

--- 1, 2, 3, ...: the number of the row and no name.
local function counts_rows(cells)
  for i, cell in ipairs(cells) do
    if tonumber(cell) ~= i and tonumber(cell) ~= i - 1 then
      return false
    end
  end
  return #cells > 1
end

local function set_feature(tbl)
  local feature
  for _, column in ipairs(tbl.columns) do
    if column.role == "feature" and feature then
      tbl:refuse({ kind = "usage", code = "two_name_columns",
        message = ('"%s" and "%s" cannot both hold the names'):format(feature.name, column.name),
        hint = "Set one of them to feature, the other to annotation" })
    end
    feature = column.role == "feature" and column or feature
  end
  return feature
end

--- The column that the recipe's list names first; one without a single cell is none.
local function listed_feature(tbl, wanted)
  local feature, others, told = nil, {}, {}
  for _, name in ipairs(wanted) do
    local plain_name = statistics.plain(name)
    for _, column in ipairs(tbl.columns) do
      if column.plain == plain_name and not column.role and not column.blank and column.name ~= "" then
        if not feature then
          feature = column
        elseif column ~= feature and is_text(column) and not told[column] then
          others[#others + 1], told[column] = column.name, true
        end
      end
    end
  end
  if #others > 0 then
    tbl:doubt('the names were taken from "%s", but %s may hold names too (--set COLUMN=feature)', feature.name,
      quoted_list(others))
  end
  return feature
end

--- A header that is one cell short names the columns from the second on (row names, as R
--- writes them). If numbers then stand under the header of the names, it is not R's: the
--- rows have a separator too many.
local function refuse_shifted(tbl, feature)
  local first = tbl.columns[1]
  if feature and feature.number and first ~= feature and first.name == "" and is_text(first) then
    tbl:refuse({ code = "ragged",
      message = ('the rows have a name in front of "%s", which holds numbers'):format(feature.name),
      hint = "Look for a separator too many in the rows, or one missing in the header; if the names do stand in the "
        .. "column without a header, give it one" })
  end
end

--- Whether a header is a name like those below it; words in capitals may be both.
local function is_like_its_cells(tbl, column)
  local own, cells = detect_omics.shares { column.name }, nil
  for omics, weight in pairs(own) do
    if weight > 0.7 or column.name:find "%d" then
      cells = cells or detect_omics.shares(tbl:first_cells(column, column_table.LOOK_ROWS))
      if (cells[omics] or 0) >= 0.5 then
        return true
      end
    end
  end
  return false
end

--- Without a header line the first row would become the header and be lost as data.
--- Numbers that count up are how samples are numbered, unless a name stands before them.
local function refuse_data_as_header(tbl, feature)
  local numbers, ascending, last = {}, true, -math.huge
  for _, column in ipairs(tbl.columns) do
    if column ~= feature and is_number_text(column.name) then
      local value = math.tointeger(tonumber(column.name))
      ascending = ascending and value ~= nil and value > last
      last = value or last
      numbers[#numbers + 1] = column.name
    end
  end
  if #numbers > 0 and (not (ascending and #numbers > 1) or is_like_its_cells(tbl, feature)) then
    tbl:refuse({ code = "no_header", message = "the line taken for the header looks like data",
      detail = quoted_list(tbl:headers(), 6),
      hint = ('If the file has no header line, say --no-header; if this is one, say so with --set "%s=feature"')
        :format(feature.name) })
  end
end

--- R writes row names into a first column without a header; ids among them are numbers.
local function unnamed_feature(tbl, texts)
  local first = tbl.columns[1]
  if not first or first.role or first.blank or first.name ~= "" then
    return nil
  end
  if not first.number and first.coded == 0 then
    return first
  end
  local cells = first_cells(tbl)
  if not first.number then
    return not counts_rows(cells) and first or nil
  end
  if texts == 0 and all_match(cells, "^%d+$") and not counts_rows(cells) then
    tbl:doubt("the names were taken from the first column, which has no header and holds numbers "
      .. "(--set COLUMN=feature)")
    return first
  end
  return nil
end

local function only_text_feature(tbl, texts)
  local first = tbl.columns[1]
  if not first or first.role or not is_text(first) or texts ~= 1 or #tbl.columns == 1
    or names_samples[first.plain] or first.coded > 0 and counts_rows(first_cells(tbl)) then
    return nil
  end
  refuse_data_as_header(tbl, first)
  tbl:doubt('the names were taken from "%s", the only column of text (--set COLUMN=feature)', first.name)
  return first
end

local function refuse_nameless(tbl, wanted)
  local first = tbl.columns[1]
  local hint = "Say which one it is with --set COLUMN=feature, or add its header to the recipe's name_columns"
  if #tbl.columns == 1 then
    hint = column_table.ONE_COLUMN
  elseif names_samples[first.plain] then
    hint = ('Its rows seem to be samples ("%s"): turn the table, so that each row is a feature, or say '
      .. "--set COLUMN=feature"):format(first.name)
  end
  tbl:refuse({ code = "no_name_column", message = "no column holds the names of the features",
    detail = ("looked for %s; the file has %s"):format(quoted_list(wanted), quoted_list(tbl:headers(), 12)),
    hint = hint })
end

--- Finds the column of names. Raises "input" when there is none.
---@param tbl ligase.column_table
---@param wanted string[] headers that may stand over it, the likeliest first
---@return ligase.column
function M.find(tbl, wanted)
  local texts = 0
  for i, column in ipairs(tbl.columns) do
    texts = texts + (is_text(column) and (i == 1 or column.coded == 0) and 1 or 0)
  end
  local set = set_feature(tbl)
  if set then
    return set
  end
  local listed = listed_feature(tbl, wanted)
  refuse_shifted(tbl, listed)
  return listed or unnamed_feature(tbl, texts) or only_text_feature(tbl, texts) or refuse_nameless(tbl, wanted)
end

--- In a long table each row names its sample: gives the column that does so its role.
---@param tbl ligase.column_table
---@return boolean found
function M.assign_sample_name(tbl)
  for _, header in ipairs(SAMPLE_HEADERS) do
    for _, column in ipairs(tbl.columns) do
      if column.plain == header and not column.role and not column.blank then
        column.role = "sample_name"
        tbl:doubt('"%s" seems to name the sample of each row: a long table, which is stored row by row as it stands '
          .. '(--set COLUMN=annotation)', column.name)
        return true
      end
    end
  end
  return false
end

--- One row per feature is what wide tables have. Rows that repeat their names are stored
--- as they are, which deserves a word.
---@param tbl ligase.column_table
---@param feature ligase.column
function M.doubt_repeats(tbl, feature)
  local rows = math.min(#tbl.frame, column_table.LOOK_ROWS)
  local slice = tbl.frame:slice(1, rows)
  local names = slice:text(feature.position)
  local distinct = #names:distinct()
  names:close()
  slice:close()
  if rows >= 4 and distinct > 0 and distinct * 2 <= rows then
    tbl:doubt('the names in "%s" repeat: %d different ones in the first %d rows, which are stored as they stand',
      feature.name, distinct, rows)
  end
end

return M
