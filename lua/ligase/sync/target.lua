--- Notion as the policy sees it: for each type of entity the rule of the phase in force and
--- the data source that holds its pages, checked when it is first needed.
local errors = require "ligase.base.errors"
local policy_of = require "ligase.sync.policy"
local schema = require "ligase.io.notion.schema"
local text = require "ligase.base.text"
local values = require "ligase.sync.values"

local M = {}

---@class ligase.notion_target
---@field client table a ligase.notion.Client
---@field policy ligase.policy
---@field phase string
---@field config ligase.Config
---@field sources table<string, table> data sources by type, once they were found
local Target = {}
Target.__index = Target

--- Notion by the settings and the policy. Nothing is sent before it is needed.
---@param given {config: ligase.Config, policy: ligase.policy, client: table, phase: string|nil} phase: another one than
--- that in force
---@return ligase.notion_target
function M.new(given)
  return setmetatable({ config = given.config, policy = given.policy, client = given.client,
    phase = given.phase or policy_of.phase_of(given.config), sources = {} }, Target)
end

--- What the policy says of a type's pages.
---@param entity_type string
---@return ligase.entity_policy|nil
function Target:entity(entity_type)
  return self.policy.entities[entity_type]
end

--- What is done with a type in the phase in force.
---@param entity_type string
---@return ligase.policy_rule|nil
function Target:rule(entity_type)
  return self.policy:rule(entity_type, self.phase)
end

--- The id or link of a type's Notion database, or nil when none is set.
---@param entity_type string
---@return string|nil
function Target:database(entity_type)
  local entity = self:entity(entity_type)
  local id = entity and self.config:get(entity.database)
  return id ~= "" and id or nil
end

--- The types that have a database: those that are mirrored, and all of them.
---@return string[] mirrored
---@return string[] configured
function Target:types()
  local mirrored, configured = {}, {}
  for _, entity_type in ipairs(policy_of.TYPES) do
    if self:database(entity_type) then
      configured[#configured + 1] = entity_type
      if self:rule(entity_type).is_mirrored then
        mirrored[#mirrored + 1] = entity_type
      end
    end
  end
  return mirrored, configured
end

--- The types whose pages others may refer to, as a set.
---@return table<string, boolean>
function Target:shown_types()
  local shown = {}
  for _, entity_type in ipairs((self:types())) do
    shown[entity_type] = true
  end
  return shown
end

--- What the policy needs of a type's data source.
local function needs(entity_policy)
  local list = {}
  for i, name in ipairs(values.names(entity_policy)) do
    list[i] = { name = name, type = values.type_of(entity_policy, name) }
  end
  return list
end

local function listed(findings)
  local parts = {}
  for i, found in ipairs(findings) do
    parts[i] = found.problem == "missing" and ("'%s' (%s) is missing"):format(found.name, found.wanted)
      or found.problem == "title" and ("its title is called '%s', not '%s'"):format(tostring(found.found), found.name)
      or ("'%s' is a %s, not a %s"):format(found.name, tostring(found.found), found.wanted)
  end
  return text.enumerate(parts, "and")
end

--- What to do: only what is missing can be made by itself.
local function remedy(findings)
  local missing, other = false, false
  for _, found in ipairs(findings) do
    missing, other = missing or found.problem == "missing", other or found.problem ~= "missing"
  end
  local parts = { missing and "Add what is missing with: ligase notion check --create" or nil }
  parts[#parts + 1] = other and "Give what is of another name or type back what it had in Notion (its menu: Edit "
    .. "property)" or nil
  return table.concat(parts, ". ") .. "; or change recipes/policy.lua"
end

local function refuse_schema(entity_policy, source, findings)
  errors.raise { kind = "notion", code = "schema", outcome = "refused",
    message = ("the Notion database of %s (%s) does not fit the policy: %s (GET /v1/data_sources/%s)"):format(
      entity_policy.kind.plural, entity_policy.database, listed(findings), source.id),
    hint = remedy(findings) }
end

local function resolve(self, entity, database)
  local source = self.client:resolve_database(database, { about = entity.kind.plural })
  local findings = schema.compare(source.properties, needs(entity))
  if #findings > 0 then
    refuse_schema(entity, source, findings)
  end
  return source
end

--- The data source of a type, found and checked once. Raises "notion" when there is none, or
--- it does not fit the policy; `entity_type` then says that all of the type are concerned.
---@param entity_type string
---@return table source
function Target:source(entity_type)
  local known = self.sources[entity_type]
  if known then
    return known
  end
  local entity = self:entity(entity_type)
  local database = self:database(entity_type)
  if not database then
    errors.raise { kind = "notion", code = "not_configured", outcome = "not_sent",
      message = ("%s is not set, so %s have no Notion database"):format(entity and entity.database or "the database",
        entity and entity.kind.plural or entity_type),
      hint = "Set it to the database's id or link", entity_type = entity_type }
  end
  local done, source = xpcall(resolve, errors.explained, self, entity, database)
  if not done then
    local lasting = errors.is(source, "notion") and source.outcome ~= "unknown" and not source.retry_after_s
      and source.status ~= 429 and source.status ~= 529 and (source.status or source.code == "value"
      or source.code == "schema" or source.code == "multiple_data_sources")
    source.entity_type = lasting and entity_type or nil
    error(source, 0)
  end
  self.sources[entity_type] = source
  return source
end

--- Forgets what was found of a type's data source: it may have been changed.
---@param entity_type string
function Target:forget(entity_type)
  self.sources[entity_type] = nil
end

--- Makes sure that a page has the properties that the policy shows, each of its type: what is
--- absent in Notion's answer says nothing, and must not pass for what people emptied. Raises
--- "notion" when one is missing; `entity_type` says that all of the type are concerned, `final`
--- that this page alone is.
---@param entity_type string
---@param page table as Notion gives it
---@param about string the entity or page, as "program 'ALS'"
function Target:check_page(entity_type, page, about)
  local entity = self:entity(entity_type)
  local findings = schema.compare(page.properties, needs(entity))
  if #findings > 0 then
    self:forget(entity_type) -- and looked at anew: it raises what is wrong with the database itself
  end
  if M.is_elsewhere(self:source(entity_type), page) then
    errors.raise { kind = "notion", code = "elsewhere", outcome = "refused", final = true, about = about,
      message = ("the page of %s does not lie in the database of %s (%s)%s (GET /v1/pages/%s)"):format(about,
        entity.kind.plural, entity.database, #findings > 0 and ": " .. listed(findings) or "", page.id),
      hint = ("Link the right page, or none, so that one is made: ligase %s --notion-page ''; then: ligase outbox "
        .. "--retry all"):format((about:gsub("^%S+", "%0 update", 1))) }
  elseif #findings == 0 then
    return
  end
  errors.raise { kind = "notion", code = "schema", outcome = "refused", entity_type = entity_type,
    message = ("the Notion database of %s (%s) was being changed: on the page of %s, %s (GET /v1/pages/%s)"):format(
      entity.kind.plural, entity.database, about, listed(findings), page.id), hint = "Do it again" }
end

--- Whether a page lies somewhere else than in a data source.
---@param source table
---@param page table as Notion gives it
---@return boolean
function M.is_elsewhere(source, page)
  local parent = page.parent and page.parent.data_source_id
  return type(parent) ~= "string" or values.page_key(parent) ~= values.page_key(source.id)
end

--- The live pages that carry an id of ligase's, the oldest first.
---@param entity_type string
---@param id string the entity's
---@param about string for messages
---@return table[] pages
function Target:pages_of(entity_type, id, about)
  local pages = {}
  for page in self.client:query(self:source(entity_type).id, { about = about,
    filter = { property = self:entity(entity_type).id_property, rich_text = { equals = id } } }) do
    if not (page.in_trash or page.archived) then
      pages[#pages + 1] = page
    end
  end
  table.sort(pages, function(a, b)
    if a.created_time ~= b.created_time then
      return a.created_time < b.created_time
    end
    return a.id < b.id
  end)
  return pages
end

return M
