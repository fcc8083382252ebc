--- For the specs of formats: what is understood of a file, in short words.
local errors = require "ligase.base.errors"
local inspection = require "ligase.omics.inspection"
local support = require "tests.support"

local M = {}

--- Inspects a file of this content.
---@param content string
---@param name string the file's name
---@param options table|nil as inspection.inspect takes them
---@return ligase.inspection
function M.read(content, name, options)
  return inspection.inspect(support.tmpfile(content, name), options or {})
end

--- Inspects a real file; the test is skipped where it is not there.
---@param relative string
---@param options table|nil
---@return ligase.inspection
function M.read_shared(relative, options)
  return inspection.inspect(support.need_shared(relative), options or {})
end

--- The error that a file of this content is refused with.
---@param content string
---@param name string
---@param options table|nil
---@return ligase.Error
function M.refusal(content, name, options)
  local done, failure = pcall(M.read, content, name, options)
  assert(not done, "a refusal was expected")
  assert(errors.is(failure), tostring(failure))
  return failure
end

--- The columns with their roles: "feature a, sample b of S1 (TPM), annotation c".
---@param result ligase.inspection
---@return string
function M.columns(result)
  local parts = {}
  for i, column in ipairs(result.plan.columns) do
    parts[i] = ("%s %s%s%s"):format(column.statistic or column.role, column.name,
      column.sample_id and " of " .. column.sample_id or "",
      column.quantity and (" (%s)"):format(column.quantity) or "")
  end
  return table.concat(parts, ", ")
end

--- Names, samples, rows and values: what an independent count can be held against.
---@param result ligase.inspection
---@return integer[]
function M.counts(result)
  return { result.names, result.samples, result.rows, result.values }
end

--- The doubts as one text.
---@param result ligase.inspection
---@return string
function M.doubts(result)
  return table.concat(result.findings.doubts, "\n")
end

return M
