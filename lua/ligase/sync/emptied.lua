--- Properties that became empty on most pages at once. That is what Notion shows of a property
--- that was removed and made again, and seldom what people mean, so Postgres' values are held.
local mirrors = require "ligase.store.mirrors"

local M = {}

--- With fewer values than these, emptying most of them may well be meant.
local LEAST = 5

--- A box that is not checked is no sign of anything.
local WITHOUT_EMPTINESS = { checkbox = true }

---@class ligase.emptied
---@field conn table
---@field target ligase.notion_target
---@field policy ligase.entity_policy
---@field known table<string, string|false>
local Emptied = {}
Emptied.__index = Emptied

--- Looks at the properties of a type when they are first asked for.
---@param conn table
---@param target ligase.notion_target
---@param entity_type string
---@return ligase.emptied
function M.new(conn, target, entity_type)
  return setmetatable({ conn = conn, target = target, policy = target:entity(entity_type), known = {} }, Emptied)
end

--- How many pages have a value, counted no further than `enough`.
local function filled(self, property, enough)
  local count = 0
  local filter = { property = property.name, [property.type] = { is_not_empty = true } }
  for page in self.target.client:query(self.target:source(self.policy.type).id, { filter = filter,
    about = self.policy.kind.plural }) do
    count = count + (not (page.in_trash or page.archived) and 1 or 0)
    if count >= enough then
      break
    end
  end
  return count
end

--- What speaks against taking over that pages have no value of a property any more: nil when
--- most of the pages that had one still have one.
---@param name string
---@return string|nil
function Emptied:suspicion(name)
  local property = self.policy.by_name[name]
  if self.known[name] == nil then
    local had = not WITHOUT_EMPTINESS[property.type] and mirrors.filled(self.conn, self.policy.type, name) or 0
    local has = had >= LEAST and filled(self, property, had / 2) or had
    self.known[name] = has < had / 2 and ("%d of the %d pages that had a value still %s one"):format(has, had,
      has == 1 and "has" or "have")
  end
  return self.known[name] or nil
end

return M
