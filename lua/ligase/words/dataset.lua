--- One dataset at hand: what is known of it, and its values.
local datasets = require "ligase.store.datasets"
local drawing = require "ligase.words.drawing"
local frame = require "frame"
local options_of = require "ligase.base.options"
local pg = require "pg"
local pivot = require "ligase.store.pivot"
local text = require "ligase.base.text"

local M = {}

---@class ligase.dataset
---@field id string
---@field name string
---@field omics string
---@field revision integer|nil nil while it holds no data
---@field program string|nil
---@field experiment string|nil
---@field organism string|nil
local Dataset = {}
Dataset.__index = Dataset
Dataset.__name = "ligase.dataset"

local function given(value)
  if value ~= pg.null and value ~= "" then
    return value
  end
end

--- The dataset that a person means by its name, omics/name, id or a start of one.
---@param connection fun(): table
---@param wanted string
---@return ligase.dataset
function M.find(connection, wanted)
  local conn = connection()
  local found = datasets.find(conn, wanted)
  local details = datasets.details(conn, found.id)
  return setmetatable({ id = found.id, name = found.name, omics = found.omics_type,
    revision = given(found.current_revision), program = given(details.program),
    experiment = given(details.experiment), organism = given(details.organism),
    sample_count = given(details.sample_count), contrast_count = given(details.contrast_count),
    _connection = connection }, Dataset)
end

local function stored(self)
  return { id = self.id, name = self.name, omics_type = self.omics, current_revision = self.revision or pg.null }
end

local FRAME = { revision = { type = "integer", min = 1 } }

--- The table as it was read, as a frame.
---@param options {revision: integer|nil}|nil revision: another one than the current
---@return table frame
function Dataset:frame(options)
  options = options_of.check(options, FRAME, "dataset:frame")
  drawing.extend(frame.methods)
  local conn = self._connection()
  local revision = datasets.revision(conn, stored(self), options.revision)
  local names, rows = {}, {}
  for i, column in ipairs(revision.columns) do
    names[i] = column.name
  end
  for cells in datasets.source_rows(conn, stored(self), revision) do
    rows[#rows + 1] = cells
  end
  return frame.new(names, rows, { missing = revision.dialect.missing })
end

local MATRIX = { quantity = { type = "string" }, duplicates = { type = "string", values = pivot.DUPLICATES,
  default = "mean" } }

--- Features by samples. Of several values of one feature and sample the mean is taken.
---@param options {quantity: string|nil, duplicates: "first"|"mean"|"sum"|nil}|nil
---@return ligase.matrix
function Dataset:matrix(options)
  options = options_of.check(options, MATRIX, "dataset:matrix")
  local conn = self._connection()
  local revision = datasets.revision(conn, stored(self))
  local table_of = pivot.open(conn, stored(self), revision, { quantity = options.quantity,
    duplicates = options.duplicates })
  local matrix = { values = {}, rows = {}, columns = table_of.samples }
  for feature, cells in table_of:rows() do
    local numbers = {}
    for i, cell in ipairs(cells) do
      numbers[i] = tonumber(cell) or false
    end
    matrix.rows[#matrix.rows + 1], matrix.values[#matrix.values + 1] = feature, numbers
  end
  return matrix
end

--- The first rows of its table.
---@param count integer|nil 10 without it
---@return table frame
function Dataset:head(count)
  return self:frame():head(count)
end

--- The last rows of its table.
---@param count integer|nil 10 without it
---@return table frame
function Dataset:tail(count)
  return self:frame():tail(count)
end

--- Points of one column of its table over another.
---@param x string|integer
---@param y string|integer
---@param options table|nil as for the word plot
---@return table drawing
function Dataset:plot(x, y, options)
  return self:frame():plot(x, y, options)
end

--- How often the numbers of a column of its table occur.
---@param column string|integer
---@param options table|nil as for the word hist
---@return table drawing
function Dataset:hist(column, options)
  return self:frame():hist(column, options)
end

function Dataset:__tostring()
  local lines = {}
  for _, name in ipairs { "name", "omics", "id", "revision", "program", "experiment", "organism", "sample_count",
    "contrast_count" } do
    lines[#lines + 1] = self[name] ~= nil and { (name:gsub("_count$", "s")), tostring(self[name]) } or nil
  end
  return text.table(lines)
end

return M
