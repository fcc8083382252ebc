--- What commands that talk to Notion share.
local errors = require "ligase.base.errors"
local policy_of = require "ligase.sync.policy"

local M = {}

--- The types that are meant: those that were named, else all that have a database, in the
--- order in which they refer to each other. Raises "usage" when one has none.
---@param target ligase.notion_target
---@param named string[]|nil
---@return string[]
function M.types(target, named)
  local wanted = {}
  for _, entity_type in ipairs(named or {}) do
    wanted[entity_type] = true
    if not target:database(entity_type) then
      local entity = target:entity(entity_type)
      errors.raise { kind = "usage", code = "not_configured",
        message = ("%s have no Notion database%s"):format(entity_type, entity
          and (": %s is not set"):format(entity.database) or ""),
        hint = entity and "Set it to the database's id or link" or "Name them in recipes/policy.lua" }
    end
  end
  local _, configured = target:types()
  if #configured == 0 then
    errors.raise { kind = "usage", code = "not_configured", message = "no setting names a Notion database",
      hint = "Set NOTION_PROGRAMS_DB_ID, NOTION_EXP_DATA_DB_ID and the like. See: ligase policy check" }
  elseif not next(wanted) then
    return configured
  end
  local types = {}
  for _, entity_type in ipairs(policy_of.TYPES) do
    types[#types + 1] = wanted[entity_type] and entity_type or nil
  end
  return types
end

return M
