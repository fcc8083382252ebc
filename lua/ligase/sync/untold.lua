--- What Notion has not been told of: entities whose page was never made, or last said something
--- else than Postgres says now, and pages of entities that are gone.
---
--- It is found by what was last delivered, without a look at Notion, so that it is known on any
--- day and in any phase, also where nothing was put into the outbox. What lies there already
--- is on its way and does not count.
local json = require "ligase.base.json"
local mirrors = require "ligase.store.mirrors"
local outbox = require "ligase.store.outbox"
local pg = require "pg"
local values = require "ligase.sync.values"

local M = {}

local AT_ONCE = 500

---@class ligase.untold
---@field id string
---@field name string|nil
---@field action "create"|"update"|"delete"

local function action_for(entity, policy, shown)
  local mirror = entity.mirror
  if not entity.row or #entity.open > 0 then
    return nil
  elseif not entity.page_id then
    return "create"
  elseif not mirror or mirror.trashed_at or mirror.intended then
    return "update"
  end
  local wanted = values.wanted(policy, entity, shown)
  return next(values.differences(policy, wanted, mirror.properties, mirror.properties)) and "update" or nil
end

local GONE = [[
SELECT m.entity_id AS id FROM mirrors AS m LEFT JOIN %s AS t ON t.id = m.entity_id
WHERE m.entity_type = '%s' AND m.target = 'notion' AND m.page_id IS NOT NULL AND m.trashed_at IS NULL AND t.id IS NULL
  AND NOT EXISTS (SELECT FROM outbox AS o WHERE o.entity_id = m.entity_id AND o.target = 'notion'
    AND o.entity_type = m.entity_type AND o.state IN ('pending', 'running', 'dead'))]]

--- Goes through what Notion has not been told of one type, some at a time.
---@param conn table outside a transaction
---@param target ligase.notion_target
---@param entity_type string
---@param visit fun(some: ligase.untold[])
function M.each(conn, target, entity_type, visit)
  local policy, shown = target:entity(entity_type), target:shown_types()
  local last
  repeat
    local ids, some = mirrors.ids(conn, policy.kind, last, AT_ONCE), {}
    local entities = mirrors.read(conn, policy.kind, ids)
    for _, id in ipairs(ids) do
      local action = action_for(entities[id], policy, shown)
      some[#some + 1] = action and { id = id, name = entities[id].row.name, action = action } or nil
    end
    visit(some)
    last = ids[#ids]
  until #ids < AT_ONCE
  local gone = {}
  for i, row in ipairs(conn:query(GONE:format(policy.kind.table, policy.kind.table))) do
    gone[i] = { id = row.id, name = row.name ~= pg.null and row.name or nil, action = "delete" }
  end
  visit(gone)
end

--- How much of each mirrored type Notion has not been told of.
---@param conn table outside a transaction
---@param target ligase.notion_target
---@return integer all
---@return table<string, integer> by_type
function M.count(conn, target)
  local all, by_type = 0, {}
  for _, entity_type in ipairs((target:types())) do
    by_type[entity_type] = 0
    M.each(conn, target, entity_type, function(some)
      by_type[entity_type] = by_type[entity_type] + #some
    end)
    all = all + by_type[entity_type]
  end
  return all, by_type
end

--- Puts it into the outbox. What is there already stays as it is, so that this may be repeated.
---@param conn table outside a transaction
---@param target ligase.notion_target
---@return integer all
---@return table<string, integer> by_type
function M.tell(conn, target)
  local all, by_type = 0, {}
  for _, entity_type in ipairs((target:types())) do
    by_type[entity_type] = 0
    M.each(conn, target, entity_type, function(some)
      conn:transaction(function()
        for _, one in ipairs(some) do
          local told = outbox.tell(conn, entity_type, one.id, one.action,
            json.encode { name = one.name, asked = true })
          by_type[entity_type] = by_type[entity_type] + (told and 1 or 0)
        end
      end)
    end)
    all = all + by_type[entity_type]
  end
  return all, by_type
end

return M
