--- Datasets and features by the shape of their names.
local options_of = require "ligase.base.options"
local pg = require "pg"

local M = {}

local MOST = 1000

--- A pattern for LIKE: `*` stands for anything, `?` for one character. A pattern without
--- them is the beginning of a name.
---@param pattern string
---@return string
function M.like(pattern)
  local like = pattern:gsub("[\\%%_]", "\\%0"):gsub("%*", "%%"):gsub("%?", "_")
  return pattern:find("[*?]") and like or like .. "%"
end

local DATASETS = [[
SELECT name, omics_type AS omics, program, revision, row_count AS "rows", feature_count AS features,
  sample_count AS samples, to_char(revised_at, 'YYYY-MM-DD HH24:MI') AS ingested, left(id::text, 13) AS id
FROM dataset_overview WHERE name LIKE $1 ORDER BY name, omics_type]]

--- Datasets by name.
---@param conn table
---@param pattern string
---@return table result as conn:query gives it
function M.datasets(conn, pattern)
  return conn:query(DATASETS, M.like(pattern))
end

local FEATURES = [[
SELECT name AS feature, feature_type AS type, level, id FROM features
WHERE name LIKE $1 AND ($2::text IS NULL OR feature_type = $2) ORDER BY name, feature_type LIMIT $3]]

local OPTIONS = { type = { type = "string" }, limit = { type = "integer", min = 1, default = MOST } }

--- Features by name.
---@param conn table
---@param pattern string
---@param options {type: string|nil, limit: integer|nil}|nil of this type; at most so many, 1,000 without it
---@return table result as conn:query gives it; `more` says that there are more
function M.features(conn, pattern, options)
  options = options_of.check(options, OPTIONS, "features")
  local found = conn:query(FEATURES, M.like(pattern), options.type or pg.null, options.limit + 1)
  if #found > options.limit then
    found[#found] = nil
    found.more = true
  end
  return found
end

return M
