--- The ids of runs and batches as people see and type them: as short as they can be while they
--- still mean one among all that there are. Programs are given whole ids.
local pg = require "pg"

local M = {}

--- Shorter ones would often become ambiguous with the next run.
local LEAST = 13

--- Of each id the nearest ones on both sides: no other shares a longer beginning with it.
local NEIGHBOURS = [[
SELECT w.id, (SELECT r.%s FROM runs AS r WHERE r.%s < w.id ORDER BY r.%s DESC LIMIT 1) AS below,
  (SELECT r.%s FROM runs AS r WHERE r.%s > w.id ORDER BY r.%s LIMIT 1) AS above
FROM (SELECT DISTINCT unnest($1::uuid[])) AS w (id)]]

local function common_length(a, b)
  local length = 0
  while length < #a and a:byte(length + 1) == b:byte(length + 1) do
    length = length + 1
  end
  return length
end

local function short(row)
  local length = LEAST
  for _, other in ipairs { row.below, row.above } do
    if other ~= pg.null then
      length = math.max(length, common_length(row.id, other) + 1)
    end
  end
  return (row.id:sub(1, length):gsub("%-$", ""))
end

local function shortened(conn, column, ids)
  local found = {}
  if #ids > 0 then
    for _, row in ipairs(conn:query(NEIGHBOURS:gsub("%%s", column), pg.array(ids, "uuid"))) do
      found[row.id] = short(row)
    end
  end
  return found
end

--- Short ids of runs, by the whole ones.
---@param conn table
---@param ids string[]
---@return table<string, string>
function M.of_runs(conn, ids)
  return shortened(conn, "id", ids)
end

--- Short ids of batches, by the whole ones.
---@param conn table
---@param ids string[]
---@return table<string, string>
function M.of_batches(conn, ids)
  return shortened(conn, "batch_id", ids)
end

--- Puts short ids of runs into a column of a result.
---@param conn table
---@param result table as conn:table gives it
---@param name string the column's
---@return table result
function M.shorten_column(conn, result, name)
  local at, ids = nil, {}
  for i, column in ipairs(result.columns) do
    at = column.name == name and i or at
  end
  for i = 1, #result do
    ids[#ids + 1] = result[i][at] ~= pg.null and result[i][at] or nil
  end
  local shorts = M.of_runs(conn, ids)
  for i = 1, #result do
    result[i][at] = shorts[result[i][at]] or result[i][at]
  end
  return result
end

return M
