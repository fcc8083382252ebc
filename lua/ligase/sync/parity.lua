--- Reads compared: a sample of entities read in Postgres and as pages in Notion, as a user of
--- either system would see them.
local errors = require "ligase.base.errors"
local json = require "ligase.base.json"
local mirrors = require "ligase.store.mirrors"
local properties = require "ligase.io.notion.properties"
local sys = require "sys"
local values = require "ligase.sync.values"

local M = {}

--- Entities that a sample has, of all types together, when nobody says.
M.SAMPLE = 30

---@class ligase.parity
---@field sampled integer entities that were looked at
---@field equal integer
---@field mismatched integer
---@field on_their_way integer with changes that Notion is yet to learn: they are not compared
---@field details table[] the mismatches

--- A sample in an order that depends on the seed alone.
local SAMPLE = "SELECT id FROM %s ORDER BY md5(id::text || $1) LIMIT $2"

local function page_of(target, page_id)
  local read, page = xpcall(target.client.page, errors.explained, target.client, page_id)
  if read then
    return not (page.in_trash or page.archived) and page or nil
  elseif errors.is(page, "notion") and page.status == 404 then
    return nil
  end
  error(page, 0)
end

--- The properties that differ, by name; nil when the page is not there.
local function differences_of(target, policy, entity, shown)
  local page = entity.page_id and page_of(target, entity.page_id)
  if not page then
    return nil
  end
  local said = properties.read_all(target.client:complete(page))
  return values.differences(policy, (values.wanted(policy, entity, shown)), said,
    entity.mirror and entity.mirror.properties)
end

local function read_both(conn, target, policy, id, shown)
  local entity = mirrors.read(conn, policy.kind, { id })[id]
  if not entity.row then
    return "gone"
  end
  local found = differences_of(target, policy, entity, shown)
  if found and not next(found) then
    return "equal"
  end
  -- It may have been changed, and told, between the two reads.
  local again = mirrors.read(conn, policy.kind, { id })[id]
  if not again.row then
    return "gone"
  elseif again.is_coming then
    return "on_their_way"
  end
  found = differences_of(target, policy, again, shown)
  if found and not next(found) then
    return "equal"
  end
  local names = json.array()
  for name in pairs(found or {}) do
    names[#names + 1] = name
  end
  table.sort(names)
  return "mismatched", { entity_type = policy.type, entity_id = id, name = again.row.name, properties = names }
end

--- How many of each type a sample has: as many of each as there are, and what the smaller types do
--- not fill comes from the larger ones.
---@param counts table<string, integer> entities by type
---@param sample integer
---@return table<string, integer>
function M.shares(counts, sample)
  local types, shares, left = {}, {}, sample
  for entity_type in pairs(counts) do
    types[#types + 1] = entity_type
  end
  table.sort(types, function(a, b)
    return counts[a] < counts[b] or counts[a] == counts[b] and a < b
  end)
  for i, entity_type in ipairs(types) do
    shares[entity_type] = math.min(counts[entity_type], left // (#types - i + 1))
    left = left - shares[entity_type]
  end
  return shares
end

local function shares_of(conn, target, types, sample)
  local counts = {}
  for _, entity_type in ipairs(types) do
    local kind = target:entity(entity_type).kind
    counts[entity_type] = conn:query(("SELECT count(*) AS n FROM %s"):format(kind.table))[1].n
  end
  return M.shares(counts, sample)
end

--- Reads a sample in both systems. Raises "notion" when Notion cannot be read.
---@param conn table outside a transaction
---@param target ligase.notion_target
---@param sample integer|nil entities of all mirrored types together
---@return ligase.parity
function M.compare(conn, target, sample)
  local types, shown = (target:types()), target:shown_types()
  local result = { sampled = 0, equal = 0, mismatched = 0, on_their_way = 0, details = {} }
  local shares = shares_of(conn, target, types, sample or M.SAMPLE)
  for _, entity_type in ipairs(types) do
    local policy = target:entity(entity_type)
    for _, row in ipairs(conn:query(SAMPLE:format(policy.kind.table), sys.uuid7(), shares[entity_type])) do
      local outcome, detail = read_both(conn, target, policy, row.id, shown)
      if outcome ~= "gone" then
        result.sampled = result.sampled + 1
        result[outcome] = result[outcome] + 1
        result.details[#result.details + 1] = detail
      end
    end
  end
  return result
end

return M
