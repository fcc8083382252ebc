--- What the specs of name_differences and name_moves share: two sets of rules, and what is stored
--- read by one of them.
local ingesting = require "tests.lua.store.ingesting"
local json = require "ligase.base.json"
local names = require "ligase.omics.names"
local pg = require "pg"
local name_moves = require "ligase.store.name_moves"
local name_differences = require "ligase.store.name_differences"

local M = {}

--- An emptied database for a test.
---@return table conn
---@return string conninfo
function M.fresh()
  pg.use_json(json.decode)
  local conninfo
  M.conn, conninfo = ingesting.fresh()
  return M.conn, conninfo
end

--- As names are read before the rules change: as they stand.
---@param raw string
---@return ligase.reading|nil
function M.plainly(raw)
  return raw:find("%S") and { name = raw, rule = "spec.old", level = "low" } or nil
end

--- And after: in capitals, "#" is no name any more, a blank is one now.
---@param raw string
---@return ligase.reading|nil
function M.in_capitals(raw)
  if raw == "#" then
    return nil
  end
  return { name = raw:find("%S") and raw:upper() or "BLANK", rule = "spec.new", level = "high",
    aside = { was = raw } }
end

--- Stores a table, its names read plainly.
---@param name string
---@param text string
---@param options table|nil more of what ingesting.ingest takes
---@return table report
function M.ingest(name, text, options)
  local call = { text = text, name = name, recipe = ingesting.recipe { read_name = M.plainly } }
  for key, value in pairs(options or {}) do
    call[key] = value
  end
  return ingesting.ingest(M.conn, call)
end

--- A feature's key.
---@param name string
---@return integer
function M.key(name)
  return names.feature_key("lipid", name)
end

--- The groups of what is stored, to be read by `read` from now on.
---@param read function
---@param dataset_id string|nil
---@return ligase.name_group[]
function M.groups_read(read, dataset_id)
  local groups = name_differences.groups(M.conn, dataset_id)
  for _, group in ipairs(groups) do
    group.resolver = names.resolver("lipid", read)
  end
  return groups
end

--- What would be read differently, in order: {raw, old, new, rows, datasets}.
---@param read function
---@param dataset_id string|nil
---@param is_receipt boolean|nil true: names whose link stays; else those whose link would move
---@return table[]
function M.diff(read, dataset_id, is_receipt)
  return M.conn:transaction(function()
    local found = {}
    for difference in name_differences.differences(M.conn, M.groups_read(read, dataset_id), dataset_id) do
      if difference.is_receipt == is_receipt then
        found[#found + 1] = { difference.raw, difference.old_name or "-",
          difference.reading and difference.reading.name or "-", difference.rows, difference.datasets }
      end
    end
    return found
  end)
end

--- Moves the links.
---@param read function
---@param options table|nil
---@return table report
function M.apply(read, options)
  options = options or {}
  return name_moves.apply(M.conn, M.groups_read(read, options.dataset_id), options)
end

--- Every link there is, as text.
---@return string[]
function M.links()
  local list = {}
  for i, row in ipairs(M.conn:query([[
SELECT d.name, m.revision, m.ordinal, m.source_name, f.name AS feature, r.feature_count
FROM measurements AS m JOIN datasets AS d ON d.id = m.dataset_id
JOIN revisions AS r ON r.dataset_id = m.dataset_id AND r.revision = m.revision
LEFT JOIN features AS f ON f.key = m.feature_key ORDER BY 1, 2, 3]])) do
    list[i] = ("%s/%d:%d %s -> %s (%d)"):format(row.name, row.revision, row.ordinal, tostring(row.source_name),
      row.feature ~= pg.null and row.feature or "-", row.feature_count)
  end
  return list
end

return M
