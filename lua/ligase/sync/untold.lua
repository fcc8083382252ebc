--- What Notion has not been told of: entities whose page was never made, or last said something
--- else than Postgres says now, and pages of entities that are gone.
---
--- It is found by what was last delivered, without a look at Notion, so that it is known on any
--- day and in any phase, also where nothing was put into the outbox. What waits there already is on
--- its way and does not count; what was set aside there is not, and counts.
local json = require "ligase.base.json"
local mirrors = require "ligase.store.mirrors"
local outbox = require "ligase.store.outbox"
local text = require "ligase.base.text"
local values = require "ligase.sync.values"

local M = {}

local AT_ONCE = 500

--- So many are named.
local NAMED = 5

---@class ligase.untold
---@field id string
---@field name string|nil
---@field action "create"|"update"|"delete"
---@field is_set_aside boolean|nil its change lies in the outbox and is not tried again

--- Some entities of one type that Notion is to be told of, for people.
---@class ligase.untold_sum
---@field all integer
---@field by_type table<string, integer>
---@field set_aside integer of all
---@field first string[] the first few, as "program 'ALS'"

local function action_for(entity, policy, shown)
  local mirror = entity.mirror
  if not entity.row or entity.is_coming then
    return nil
  elseif not entity.page_id then
    return "create"
  elseif not mirror or mirror.trashed_at or mirror.intended then
    return "update"
  end
  local wanted = values.wanted(policy, entity, shown)
  return next(values.differences(policy, wanted, mirror.properties, mirror.properties)) and "update" or nil
end

--- What Notion has not been told of among these entities of one type.
---@param conn table
---@param target ligase.notion_target
---@param entity_type string
---@param ids string[]
---@return ligase.untold[]
function M.among(conn, target, entity_type, ids)
  local policy, shown, some = target:entity(entity_type), target:shown_types(), {}
  local entities = mirrors.read(conn, policy.kind, ids)
  for _, id in ipairs(ids) do
    local entity = entities[id]
    local action = action_for(entity, policy, shown)
    some[#some + 1] = action and { id = id, name = entity.row.name, action = action,
      is_set_aside = #entity.open > 0 } or nil
  end
  return some
end

local GONE = [[
SELECT m.entity_id AS id, EXISTS (SELECT FROM outbox AS o WHERE o.entity_id = m.entity_id AND o.target = 'notion'
    AND o.entity_type = m.entity_type AND o.state = 'dead') AS is_set_aside
FROM mirrors AS m LEFT JOIN %s AS t ON t.id = m.entity_id
WHERE m.entity_type = '%s' AND m.target = 'notion' AND m.page_id IS NOT NULL AND m.trashed_at IS NULL AND t.id IS NULL
  AND NOT EXISTS (SELECT FROM outbox AS o WHERE o.entity_id = m.entity_id AND o.target = 'notion'
    AND o.entity_type = m.entity_type AND o.state IN ('pending', 'running'))]]

--- Goes through what Notion has not been told of one type, some at a time.
---@param conn table outside a transaction
---@param target ligase.notion_target
---@param entity_type string
---@param visit fun(some: ligase.untold[])
function M.each(conn, target, entity_type, visit)
  local kind = target:entity(entity_type).kind
  local last
  repeat
    local ids = mirrors.ids(conn, kind, last, AT_ONCE)
    visit(M.among(conn, target, entity_type, ids))
    last = ids[#ids]
  until #ids < AT_ONCE
  local gone = {}
  for i, row in ipairs(conn:query(GONE:format(kind.table, kind.table))) do
    gone[i] = { id = row.id, action = "delete", is_set_aside = row.is_set_aside }
  end
  visit(gone)
end

local function new_sum()
  return { all = 0, by_type = {}, set_aside = 0, first = {} }
end

local function add(sum, target, entity_type, one)
  sum.all, sum.by_type[entity_type] = sum.all + 1, (sum.by_type[entity_type] or 0) + 1
  sum.set_aside = sum.set_aside + (one.is_set_aside and 1 or 0)
  if #sum.first < NAMED then
    sum.first[#sum.first + 1] = ("%s '%s'"):format(target:entity(entity_type).kind.name,
      text.shown(one.name or one.id, 40))
  end
end

--- How much of each mirrored type Notion has not been told of.
---@param conn table outside a transaction
---@param target ligase.notion_target
---@return ligase.untold_sum
function M.count(conn, target)
  local sum = new_sum()
  for _, entity_type in ipairs((target:types())) do
    M.each(conn, target, entity_type, function(some)
      for _, one in ipairs(some) do
        add(sum, target, entity_type, one)
      end
    end)
  end
  return sum
end

local function in_order(touched)
  local list = {}
  for _, one in pairs(touched) do
    list[#list + 1] = one and not one.is_set_aside and one or nil
  end
  table.sort(list, function(a, b)
    return a.id < b.id
  end)
  return list
end

--- What `tell` would put into the outbox, after changes that were only rehearsed.
---@param conn table outside a transaction
---@param target ligase.notion_target
---@param foreseen table<string, table<string, ligase.untold|false>> by type and id: what would be untold of the
--- entities that those changes touch
---@return ligase.untold_sum
function M.foresee(conn, target, foreseen)
  local sum = new_sum()
  for _, entity_type in ipairs((target:types())) do
    local touched = foreseen[entity_type] or {}
    M.each(conn, target, entity_type, function(some)
      for _, one in ipairs(some) do
        if touched[one.id] == nil and not one.is_set_aside then
          add(sum, target, entity_type, one)
        end
      end
    end)
    for _, one in ipairs(in_order(touched)) do
      add(sum, target, entity_type, one)
    end
  end
  return sum
end

--- Puts it into the outbox. What lies there already stays as it is, so that this may be repeated.
---@param conn table outside a transaction
---@param target ligase.notion_target
---@return ligase.untold_sum of what was put there
function M.tell(conn, target)
  local sum = new_sum()
  for _, entity_type in ipairs((target:types())) do
    M.each(conn, target, entity_type, function(some)
      local told = {}
      conn:transaction(function()
        for i, one in ipairs(some) do
          told[i] = outbox.tell(conn, entity_type, one.id, one.action, json.encode { name = one.name, asked = true })
        end
      end)
      for i, one in ipairs(some) do
        if told[i] then
          add(sum, target, entity_type, one)
        end
      end
    end)
  end
  return sum
end

return M
