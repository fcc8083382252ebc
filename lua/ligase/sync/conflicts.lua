--- Properties of a page that people changed since ligase wrote it: which of them Postgres takes
--- where the policy says so, and what is said of each.
local emptied = require "ligase.sync.emptied"
local json = require "ligase.base.json"
local mirrors = require "ligase.store.mirrors"
local values = require "ligase.sync.values"

local M = {}

--- Why what a page says of a property cannot be taken into Postgres, whatever its value is; nil
--- when it can.
local function refusal(policy, name, conflict, suspect)
  local property = policy.by_name[name]
  if not values.is_readable(policy, property) then
    return "for it only shows what Postgres says; ligase reconcile settles it"
  end
  local is_emptied = values.same(property.type, conflict.page ~= json.null and conflict.page or nil, nil)
  local suspicion = is_emptied and suspect:suspicion(name)
  return suspicion and ("for most pages lost theirs (%s): ligase reconcile --fix notion --overwrite gives them back")
    :format(suspicion) or nil
end

--- A property that is not taken after all stays a conflict, as both sides have it.
local function keep(delivered, name, reason)
  local told, conflict = delivered.told, delivered.conflicts[name]
  delivered.kept[name] = "left as it is, " .. reason
  told.properties[name] = conflict.delivered ~= json.null and conflict.delivered or nil
  told.conflict = told.conflict or {}
  told.conflict[name] = conflict
end

--- The kinds that a kind is linked to.
local function kinds_of_links(kind)
  local names = {}
  for _, link in pairs(kind.links) do
    names[#names + 1] = link.kind
  end
  return names
end

--- What people wrote in the page, as fields for Postgres. What cannot be taken, or is suspicious
--- because most pages lost their value at once, stays a conflict. So does a relation to a page
--- that is no entity's: taken without that page, it would be taken out of Notion, too.
---@param conn table outside a transaction
---@param target ligase.notion_target
---@param delivered ligase.delivered with conflicts; `kept` and `told` are filled in
---@return table<string, any> fields
function M.fields(conn, target, delivered)
  local policy, said, only = target:entity(delivered.entity.type), {}, {}
  local suspect = emptied.new(conn, target, delivered.entity.type)
  delivered.kept = {}
  for name, conflict in pairs(delivered.conflicts) do
    local reason = refusal(policy, name, conflict, suspect)
    if reason then
      keep(delivered, name, reason)
    else
      said[name], only[name] = conflict.page ~= json.null and conflict.page or nil, true
    end
  end
  local fields, unknown = values.fields(policy, said, mirrors.ids_of_pages(conn, kinds_of_links(policy.kind)), only)
  for _, reference in ipairs(unknown) do
    keep(delivered, reference.property, ("for it refers to a page that is no entity's (%s)"):format(reference.page_id))
    fields[policy.by_name[reference.property].link] = nil
  end
  return fields
end

local OUTCOMES = { show = "left as it is; ligase reconcile settles it", notion = "taken into Postgres",
  postgres = "overwritten" }

--- What is said of each conflict of a delivery.
---@param target ligase.notion_target
---@param about string the entity
---@param delivered ligase.delivered
---@return string[]
function M.lines(target, about, delivered)
  local lines, kept = {}, delivered.kept or {}
  local rule = target:rule(delivered.entity.type)
  for _, name in ipairs(values.names(target:entity(delivered.entity.type))) do
    local conflict = delivered.conflicts[name]
    if conflict then
      lines[#lines + 1] = ("%s: '%s' was changed in Notion to %s, and should be %s: %s"):format(about, name,
        values.shown(conflict.page), values.shown(conflict.wanted), kept[name] or OUTCOMES[rule.conflict])
    end
  end
  return lines
end

return M
