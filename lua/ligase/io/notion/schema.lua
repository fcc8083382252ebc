--- Whether a data source of Notion has the properties that somebody needs, and making those
--- that are missing.
local errors = require "ligase.base.errors"
local json = require "ligase.base.json"
local text = require "ligase.base.text"

local M = {}

---@class ligase.notion.Need
---@field name string the property's
---@field type string Notion's type of it
---@field relation string|nil the id of the data source that a relation leads to

---@class ligase.notion.Finding
---@field name string
---@field problem "missing"|"type"|"title"|"relation"
---@field wanted string the type, or the data source that a relation should lead to
---@field found string|nil what is there instead
---@field near string|nil a property that may be meant
---@field can_make boolean

local function title_name(schema)
  for name, property in pairs(schema) do
    if property.type == "title" then
      return name
    end
  end
end

local function names_of(schema)
  local names = {}
  for name in pairs(schema) do
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

--- The data source that a relation's property leads to.
local function target_of(property)
  local target = property.relation.data_source_id
  return type(target) == "string" and target or nil
end

local function finding(schema, need)
  local property = schema[need.name]
  if not property and need.type == "title" then
    return { name = need.name, problem = "title", wanted = "title", found = title_name(schema), can_make = false }
  elseif not property then
    return { name = need.name, problem = "missing", wanted = need.type,
      near = text.nearest(need.name, names_of(schema)), can_make = need.type ~= "relation" or need.relation ~= nil }
  elseif property.type ~= need.type then
    return { name = need.name, problem = "type", wanted = need.type, found = property.type, can_make = false }
  elseif need.type == "relation" and need.relation and target_of(property) ~= need.relation then
    return { name = need.name, problem = "relation", wanted = need.relation, found = target_of(property),
      can_make = false }
  end
end

--- What is missing or of the wrong type.
---@param schema table<string, table> the data source's properties
---@param needs ligase.notion.Need[]
---@return ligase.notion.Finding[] findings in the order of the needs
function M.compare(schema, needs)
  local findings = {}
  for _, need in ipairs(needs) do
    findings[#findings + 1] = finding(schema, need)
  end
  return findings
end

--- A property's part of a schema, without anything of its own.
---@param need ligase.notion.Need
---@return table
function M.definition(need)
  if need.type == "relation" then
    if not need.relation then
      errors.raise { kind = "usage", code = "relation", message = ("the relation '%s' does not say what it leads to")
        :format(need.name) }
    end
    return { type = "relation", relation = { data_source_id = need.relation, type = "single_property",
      single_property = {} } }
  elseif need.type == "number" then
    return { type = "number", number = { format = "number" } }
  elseif need.type == "select" or need.type == "multi_select" then
    return { type = need.type, [need.type] = { options = json.array() } }
  end
  return { type = need.type, [need.type] = {} }
end

--- Makes the properties that are missing and can be made, by one request; nothing is changed
--- or taken away.
---@param client ligase.notion.Client
---@param data_source table as client:data_source gives it
---@param needs ligase.notion.Need[]
---@param given? {about?: string}
---@return string[] made the names of those that were made
---@return table data_source as it is now
function M.create(client, data_source, needs, given)
  local by_name, made, properties = {}, {}, {}
  for _, need in ipairs(needs) do
    by_name[need.name] = need
  end
  for _, found in ipairs(M.compare(data_source.properties, needs)) do
    if found.problem == "missing" and found.can_make then
      made[#made + 1] = found.name
      properties[found.name] = M.definition(by_name[found.name])
    end
  end
  if #made == 0 then
    return made, data_source
  end
  return made, client:update_data_source(data_source.id, { properties = properties, about = given and given.about })
end

return M
