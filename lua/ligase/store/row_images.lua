--- Rows as JSON that gives them back exactly.
---
--- jsonb keeps numbers as decimal digits: every float comes back as it was but the negative
--- zero, so floats that may be one are written as texts.
local M = {}

--- Columns of floats that are computed, and so may be a negative zero.
local FLOATS = {
  dataset_signatures = { "score", "p_value", "coverage" },
}

--- SQL for the image of a row.
---@param tbl string
---@param alias string
---@return string
function M.of(tbl, alias)
  local pairs_of = {}
  for i, column in ipairs(FLOATS[tbl] or {}) do
    pairs_of[i] = ("'%s', %s.%s::text"):format(column, alias, column)
  end
  local image = ("to_jsonb(%s)"):format(alias)
  return #pairs_of == 0 and image or ("(%s || jsonb_build_object(%s))"):format(image, table.concat(pairs_of, ", "))
end

return M
