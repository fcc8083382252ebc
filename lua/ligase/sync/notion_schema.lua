--- Whether the lab's Notion databases have what the policy shows in them.
local errors = require "ligase.base.errors"
local policies = require "ligase.sync.policy"
local schema = require "ligase.io.notion.schema"

local M = {}

---@class ligase.notion_schema.Database
---@field entity_type string
---@field setting string the setting that names the database
---@field source table|nil the data source with its schema
---@field failure ligase.Error|nil why there is none
---@field findings ligase.notion.Finding[]
---@field made string[] the properties that were made

--- What the policy needs of the database of one type. Relations lead to the databases of
--- others, as far as those are known.
---@param entity ligase.entity_policy
---@param sources table<string, table> data sources by entity type
---@return ligase.notion.Need[]
function M.needs(entity, sources)
  local needs = {}
  for i, property in ipairs(entity.properties) do
    needs[i] = { name = property.name, type = property.type }
    if property.link then
      local source = sources[policies.type_of(entity.kind.links[property.link].kind)]
      needs[i].relation = source and source.id
    end
  end
  needs[#needs + 1] = { name = entity.id_property, type = "rich_text" }
  return needs
end

local function resolve(client, database, id)
  local done, result = xpcall(client.resolve_database, errors.explained, client, id, { about = database.setting })
  if done then
    database.source = result
  elseif errors.is(result, "notion") and result.outcome ~= "unknown" and result.status ~= 401 then
    database.failure = result
  else
    error(result, 0)
  end
end

--- Compares the databases that the settings name with the policy, and makes what is missing if
--- that is asked for. A database that cannot be read is said, and the others go on.
---@param client ligase.notion.Client
---@param policy ligase.policy
---@param config ligase.Config
---@param options? {create?: boolean}
---@return ligase.notion_schema.Database[] databases of those types whose setting is set
---@return ligase.entity_policy[] unset the types of the policy whose setting is not
function M.check(client, policy, config, options)
  local databases, unset, sources = {}, {}, {}
  for _, entity_type in ipairs(policies.TYPES) do
    local entity = policy.entities[entity_type]
    local id = entity and config:get(entity.database)
    if id then
      local database = { entity_type = entity_type, setting = entity.database, findings = {}, made = {} }
      resolve(client, database, id)
      sources[entity_type] = database.source
      databases[#databases + 1] = database
    elseif entity then
      unset[#unset + 1] = entity
    end
  end
  for _, database in ipairs(databases) do
    local needs = M.needs(policy.entities[database.entity_type], sources)
    if database.source and options and options.create then
      database.made, database.source = schema.create(client, database.source, needs, { about = database.setting })
    end
    database.findings = database.source and schema.compare(database.source.properties, needs) or {}
  end
  return databases, unset
end

return M
