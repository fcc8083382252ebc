--- Whose page a page is: the entity's that Postgres knows it for, else that whose id it carries,
--- else that of its name which has no page yet.
local entities = require "ligase.store.entities"
local entity_values = require "ligase.store.entity_values"
local json = require "ligase.base.json"
local mirrors = require "ligase.store.mirrors"
local values = require "ligase.sync.values"

local M = {}

--- The id of ligase's that a page carries, or nil.
---@param entity_policy ligase.entity_policy
---@param said table<string, any>
---@return string|nil
function M.claimed_id(entity_policy, said)
  local id = said[entity_policy.id_property]
  return type(id) == "string" and entities.is_id(id) and id:lower() or nil
end

--- What a page says in these columns, as they would hold it, with \0 in between, and the first of
--- them; nil when it does not say.
local function key_of(kind, columns, fields)
  local parts = {}
  for i, column in ipairs(columns) do
    local value = fields[column]
    value = value ~= nil and entity_values.convert(kind.fields[column], value)
    if not value or value == json.null then
      value = kind.fields[column].empty
    end
    if value == nil then
      return nil
    end
    parts[i] = value
  end
  return table.concat(parts, "\0"), parts[1]
end

--- The entities that pages without an id mean by what they say in these columns.
local function find_by(self, list, columns)
  local kind, first, keys = self.policy.kind, {}, {}
  for _, one in ipairs(list) do
    if not one.id and not one.new_id then
      keys[one], first[#first + 1] = key_of(kind, columns, one.all)
    end
  end
  local ids = #first > 0 and mirrors.by_columns(self.conn, kind, columns, first) or {}
  for one, key in pairs(keys) do
    one.id = ids[key]
  end
end

--- Finds the entity of each page (`id`, `entity`), or what makes a new one of it (`new_id`).
---@param self ligase.taking
---@param list ligase.page_taken[]
function M.find(self, list)
  local kind, claimed, ids = self.policy.kind, {}, {}
  for _, one in ipairs(list) do
    one.new_id = nil
    one.id = self.owners[values.page_key(one.page.id)] or M.claimed_id(self.policy, one.said)
    claimed[#claimed + 1] = one.id
  end
  local known = mirrors.read(self.conn, kind, claimed)
  for _, one in ipairs(list) do
    if one.id and not known[one.id].row then
      one.new_id, one.id = one.id, nil -- it was made while Notion was written first
    end
  end
  find_by(self, list, kind.identity)
  if kind.identity[1] ~= "name" then
    find_by(self, list, { "name" })
  end
  for _, one in ipairs(list) do
    ids[#ids + 1] = one.id
  end
  known = mirrors.read(self.conn, kind, ids)
  for _, one in ipairs(list) do
    one.entity = one.id and known[one.id]
  end
end

return M
