--- The feature x sample table of one quantity of a dataset, whether its samples are columns
--- of the source or stand in its rows.
---
--- Features stand in the order of their first rows, samples in the order of the columns or
--- of their first rows. Where several rows speak of one feature and sample, a person says
--- what is to be done with them; a missing value says nothing.
local csv = require "csv"
local cursor = require "ligase.store.cursor"
local errors = require "ligase.base.errors"
local json = require "ligase.base.json"
local pg = require "pg"
local text = require "ligase.base.text"

local M = {}

--- What can be done with several values of one feature and sample.
M.DUPLICATES = { "first", "mean", "sum" }

--- What a quantity is called that neither the source nor its format names.
local NAMELESS = "value"

--- Duplicates that are named one by one.
local SHOWN_MOST = 5

-- ---- quantities ------------------------------------------------------------

---@class ligase.quantity
---@field name string
---@field columns table[] of the revision that hold it: one per sample, or the one of a long table
---@field sample_name table|nil of a long table, the column that names each row's sample

local function column_of_role(revision, role)
  for _, column in ipairs(revision.columns) do
    if column.role == role then
      return column
    end
  end
  return nil
end

--- What was measured, in the order of the columns: columns of samples by their quantity;
--- of a table whose rows name their sample, each column of values.
---@param revision table from datasets.revision
---@return ligase.quantity[] empty for a table of statistics
function M.quantities(revision)
  local list, by_name = {}, {}
  local sample_name = column_of_role(revision, "value") and column_of_role(revision, "sample_name")
  local role = sample_name and "value" or "sample"
  for _, column in ipairs(revision.columns) do
    if column.role == role then
      local name = column.quantity or sample_name and column.name or NAMELESS
      if sample_name and by_name[name] then
        name = column.name
      end
      if not by_name[name] then
        by_name[name] = { name = name, columns = {}, sample_name = sample_name }
        list[#list + 1] = by_name[name]
      end
      table.insert(by_name[name].columns, column)
    end
  end
  return list
end

local function names_of(quantities)
  local names = {}
  for i, quantity in ipairs(quantities) do
    names[i] = quantity.name
  end
  return names
end

local function listed(names)
  local shown = {}
  for i, name in ipairs(names) do
    shown[i] = ("'%s'"):format(text.printable(name))
  end
  return table.concat(shown, ", ")
end

--- The quantity of that name; without a name, the only one. Raises "usage" when there is
--- none of that name, or none at all, or several to choose from, listing them.
---@param dataset table from datasets.find
---@param revision table
---@param wanted string|nil
---@return ligase.quantity
function M.quantity(dataset, revision, wanted)
  local quantities = M.quantities(revision)
  for _, quantity in ipairs(quantities) do
    if quantity.name == wanted or not wanted and #quantities == 1 then
      return quantity
    end
  end
  local names = names_of(quantities)
  if #quantities == 0 then
    errors.raise { kind = "usage", code = "no_samples", message = ("dataset '%s' holds no values of samples")
      :format(dataset.name), hint = "Export its table as it is, without --pivot" }
  elseif wanted then
    local near = text.nearest(wanted, names)
    errors.raise { kind = "usage", code = "quantity", message = ("dataset '%s' holds no quantity '%s'")
      :format(dataset.name, text.printable(wanted)), hint = (near and ("Did you mean '%s'? "):format(near) or "")
        .. "It holds: " .. listed(names) }
  end
  errors.raise { kind = "usage", code = "quantity", message = ("dataset '%s' holds %d quantities"):format(dataset.name,
    #names), hint = "Say which with --quantity: " .. listed(names) }
end

-- ---- reading ---------------------------------------------------------------

local FROM = [[
FROM measurements AS m LEFT JOIN features AS f ON f.key = m.feature_key
WHERE m.dataset_id = '%s' AND m.revision = %d]]

local SAMPLES = [[
SELECT m.texts[%d] AS sample FROM measurements AS m
WHERE m.dataset_id = '%s' AND m.revision = %d AND m.source_name IS NOT NULL AND m.texts[%d] <> ''
GROUP BY 1 ORDER BY min(m.ordinal)]]

--- Sorted before numbers become text; a feature's rows stand together.
local READ = [[
SELECT s.ordinal, s.feature, %s, s.cells FROM (
  SELECT m.ordinal, %s AS feature, m.values, m.texts, m.cells, min(m.ordinal) OVER (PARTITION BY %s) AS first
  %s AND m.source_name IS NOT NULL ORDER BY first, m.ordinal OFFSET 0) AS s]]

local function number_of(value)
  return value == "Infinity" and math.huge or value == "-Infinity" and -math.huge or tonumber(value) + 0.0
end

--- What a row says of one column: the text to be written and its number; nil when the value
--- is missing.
local function said_by(pivot, value, kept)
  local number = value ~= nil and value ~= pg.null and value or nil
  if kept then
    return (number or not pivot.is_mark[kept]) and { text = kept, number = number } or nil
  end
  return number and { text = pivot.decimal == "," and number:gsub("%.", ",") or number, number = number } or nil
end

local function kept_of(row, column)
  return row.cells ~= pg.null and row.cells[tostring(column.position)] or nil
end

--- Adds what a row says to the cells of its feature: lists by the sample's place.
local function add_row(pivot, cells, row)
  local function add(place, said)
    if said then
      said.row = row.ordinal
      cells[place] = cells[place] or {}
      table.insert(cells[place], said)
    end
  end
  local columns = pivot.quantity.columns
  if pivot.quantity.sample_name then
    local place = pivot.place_of[row.sample]
    if place then
      add(place, said_by(pivot, row.value, kept_of(row, columns[1])))
    end
    return
  end
  for i, column in ipairs(columns) do
    add(pivot.places[i], said_by(pivot, row.values[column.slot], kept_of(row, column)))
  end
end

-- ---- several values in one cell --------------------------------------------

local function number_text(pivot, number)
  if number ~= number then
    return "NaN"
  elseif number == math.huge or number == -math.huge then
    return number > 0 and "Inf" or "-Inf"
  end
  local written = json.encode(number):gsub("%.0$", "")
  return pivot.decimal == "," and written:gsub("%.", ",") or written
end

--- The sum or the mean of the numbers, in the order of their rows. Texts count for nothing
--- beside numbers, and are counted.
local function combined(pivot, list)
  local sum, count = 0.0, 0
  for _, said in ipairs(list) do
    if said.number then
      sum, count = sum + number_of(said.number), count + 1
    end
  end
  if count == 0 then
    return list[1].text
  end
  pivot.left_out.texts = pivot.left_out.texts + #list - count
  return number_text(pivot, pivot.duplicates == "mean" and sum / count or sum)
end

--- Counts a cell that several values stand for; the first one of each feature is named.
local function note_duplicates(pivot, feature, place, list)
  local found = pivot.found
  found.cells = found.cells + 1
  if feature == found.feature then
    return
  end
  found.feature, found.features = feature, found.features + 1
  if found.features <= SHOWN_MOST then
    local rows = {}
    for i = 1, math.min(#list, SHOWN_MOST) do
      rows[i] = ("%d"):format(list[i].row)
    end
    found[found.features] = ("'%s' of '%s' (rows %s)"):format(text.printable(feature),
      text.printable(pivot.samples[place]),
      #list > #rows and table.concat(rows, ", ") .. ", ..." or text.enumerate(rows, "and"))
  end
end

local function cell_text(pivot, feature, place, list)
  if not list then
    return ""
  elseif #list == 1 or pivot.duplicates == "first" then
    return list[1].text
  elseif pivot.duplicates then
    return combined(pivot, list)
  end
  note_duplicates(pivot, feature, place, list)
  return ""
end

local function texts_of(pivot, feature, cells)
  local texts = {}
  for place = 1, #pivot.samples do
    texts[place] = cell_text(pivot, feature, place, cells[place])
  end
  return texts
end

-- ---- the table -------------------------------------------------------------

---@class ligase.pivot
---@field quantity ligase.quantity
---@field samples string[] the columns, in order
---@field left_out {names: integer, samples: integer, texts: integer} rows without a name, rows without a sample,
--- texts beside numbers that were combined; complete after the last row
local Pivot = {}
Pivot.__index = Pivot

--- Finds the samples, and the place of each.
local function find_samples(pivot, conn, dataset, revision)
  local quantity, seen = pivot.quantity, {}
  local function place_of(sample)
    if not seen[sample] then
      pivot.samples[#pivot.samples + 1] = sample
      seen[sample] = #pivot.samples
    end
    return seen[sample]
  end
  pivot.places, pivot.place_of = {}, seen
  if quantity.sample_name then
    local slot = quantity.sample_name.slot
    for _, row in ipairs(conn:query(SAMPLES:format(slot, dataset.id, revision.revision, slot))) do
      place_of(row.sample)
    end
  else
    for i, column in ipairs(quantity.columns) do
      pivot.places[i] = place_of(column.sample_id or column.name)
    end
  end
end

local function count_left_out(pivot, conn, dataset, revision)
  local named = pivot.quantity.sample_name
  local row = conn:query(("SELECT count(*) FILTER (WHERE source_name IS NULL) AS names, "
    .. "count(*) FILTER (WHERE source_name IS NOT NULL AND %s) AS samples FROM measurements "
    .. "WHERE dataset_id = '%s' AND revision = %d"):format(named and ("coalesce(texts[%d], '') = ''"):format(named.slot)
    or "false", dataset.id, revision.revision))[1]
  pivot.left_out = { names = row.names, samples = row.samples, texts = 0 }
end

local function marks_of(revision)
  local is_mark = {}
  for _, mark in ipairs(revision.dialect.missing or csv.usual_missing) do
    is_mark[mark] = true
  end
  return is_mark
end

--- Prepares the table of one quantity. `duplicates` says what becomes of several values of
--- one feature and sample; without it they are an error, which check raises.
---@param conn table with no open transaction
---@param dataset table from datasets.find
---@param revision table from datasets.revision
---@param options {quantity: string|nil, duplicates: string|nil, source_names: boolean|nil, decimal: string|nil}
--- source_names: features are called as they are in the source, and one feature's different names stay apart;
--- decimal: the decimal mark of numbers, "." when nil
---@return ligase.pivot
function M.open(conn, dataset, revision, options)
  local pivot = setmetatable({ quantity = M.quantity(dataset, revision, options.quantity), samples = {},
    duplicates = options.duplicates, decimal = options.decimal, is_mark = marks_of(revision),
    found = { cells = 0, features = 0 } }, Pivot)
  find_samples(pivot, conn, dataset, revision)
  count_left_out(pivot, conn, dataset, revision)
  local quantity = pivot.quantity
  local name = options.source_names and "m.source_name" or "coalesce(f.name, m.source_name)"
  local what = 's.values::text[] AS "values"'
  if quantity.sample_name then
    what = ("s.values[%d]::text AS value, s.texts[%d] AS sample"):format(quantity.columns[1].slot,
      quantity.sample_name.slot)
  end
  pivot.conn = conn
  pivot.sql = READ:format(what, name, name, FROM:format(dataset.id, revision.revision))
  pivot.width = quantity.sample_name and 1 or #revision.columns
  return pivot
end

--- The rows, once: of each feature its name and the texts of its cells, "" where there is no
--- value. A text that is no number (`<LOD`) stands as it is.
---@return fun(): string|nil, string[]|nil iterator
---@return nil
---@return nil
---@return table closing for a generic for: ends the transaction
function Pivot:rows()
  local next_row, _, _, closing = cursor.rows(self.conn, self.sql, self.width)
  local row = next_row()
  return function()
    if not row then
      return nil
    end
    local feature, cells = row.feature, {}
    repeat
      add_row(self, cells, row)
      row = next_row()
    until not row or row.feature ~= feature
    return feature, texts_of(self, feature, cells)
  end, nil, nil, closing
end

--- Raises "usage" when several values stood for one feature and sample and nothing was said
--- of them; to be called after the last row.
function Pivot:check()
  local found = self.found
  if found.cells == 0 then
    return
  end
  errors.raise { kind = "usage", code = "duplicates",
    message = ("several values stand for one feature and sample in %s of %s: %s%s"):format(
      text.count(found.cells, "cell"), text.count(found.features, "feature"), table.concat(found, ", "),
      found.features > #found and ", ..." or ""),
    hint = "Say what is to be taken: --duplicates first, mean or sum; --source-names keeps different names apart "
      .. "that were read as one feature" }
end

return M
