--- Entities that are linked to another one, and have to tell Notion so when that one gets a page:
--- what refers to an entity without a page may have been delivered without that reference.
local kinds = require "ligase.store.entity_kinds"

local M = {}

--- A change that a relay has in hand may have been read before the page came, so that only one
--- that still waits counts as open.
local TELL = [[
INSERT INTO outbox (entity_type, entity_id, action, payload)
SELECT '%s', e.id, 'update', jsonb_build_object('name', e.name)
FROM %s AS e JOIN mirrors AS m ON m.entity_id = e.id AND m.entity_type = '%s' AND m.target = 'notion'
WHERE m.page_id IS NOT NULL AND m.trashed_at IS NULL AND e.id IN (%s)
  AND NOT EXISTS (SELECT FROM outbox AS o WHERE o.entity_id = e.id AND o.target = 'notion'
    AND o.entity_type = m.entity_type AND o.state = 'pending')]]

--- The ids of a kind's entities that are linked to $1, as SQL; nil when the kind has no such links.
local function linked_sql(kind, to_name)
  local parts = {}
  for _, link in pairs(kind.links) do
    if link.kind == to_name and link.column then
      parts[#parts + 1] = ("SELECT id FROM %s WHERE %s = $1"):format(kind.table, link.column)
    end
    if link.kind == to_name and link.table then
      parts[#parts + 1] = ("SELECT %s FROM %s WHERE %s = $1"):format(link.own, link.table, link.other)
    end
  end
  return parts[1] and table.concat(parts, " UNION ") or nil
end

--- Puts those into the outbox that are linked to an entity, and have pages.
---@param conn table in the transaction in which it is noted that the entity has a page
---@param entity_type string the entity's table
---@param id string
---@param types string[] the types whose changes are told
---@return integer count
function M.tell(conn, entity_type, id, types)
  local to_name, count = kinds.of_table(entity_type).name, 0
  for _, linking_type in ipairs(types) do
    local linked = linked_sql(kinds.of_table(linking_type), to_name)
    if linked then
      count = count + conn:query(TELL:format(linking_type, linking_type, linking_type, linked), id).affected
    end
  end
  return count
end

return M
