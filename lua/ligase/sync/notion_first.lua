--- Writing while Notion is the source of truth: pages are made and changed directly, each with
--- an id of ligase's, and Postgres is never asked. `ligase import notion` finds them later by
--- that id.
local entities = require "ligase.store.entities"
local errors = require "ligase.base.errors"
local json = require "ligase.base.json"
local notion_properties = require "ligase.io.notion.properties"
local policy_of = require "ligase.sync.policy"
local records = require "ligase.store.entity_records"
local sys = require "sys"
local text = require "ligase.base.text"
local values = require "ligase.sync.values"

local M = {}

--- Times that a page is asked for when it is not known what became of the request.
local ATTEMPTS = 5
local PAUSE_S = 0.5

---@class ligase.notion_writer
---@field target ligase.notion_target
---@field ids table<string, string> pages by kind and word, once they were found
local Writer = {}
Writer.__index = Writer

--- What writes to Notion first.
---@param target ligase.notion_target
---@return ligase.notion_writer
function M.new(target)
  return setmetatable({ target = target, ids = {} }, Writer)
end

local function is_live(page)
  return not (page.in_trash or page.archived)
end

--- The live pages of a type whose property of text equals a word.
local function pages_with(self, entity_type, property, kind, word, about)
  local source, pages = self.target:source(entity_type), {}
  for page in self.target.client:query(source.id, { about = about, filter = { property = property,
    [kind] = { equals = word } } }) do
    pages[#pages + 1] = is_live(page) and page or nil
  end
  return pages
end

--- The page that a word means: by its address or id, by ligase's id, by its title; nil when
--- there is none.
local function lookup(self, policy, word)
  local about = ("%s '%s'"):format(policy.kind.name, text.shown(word, 60))
  local pages = pages_with(self, policy.type, policy.properties[1].name, "title", word, about)
  if #pages == 0 and entities.is_id(word) then
    pages = pages_with(self, policy.type, policy.id_property, "rich_text", word:lower(), about)
  end
  if #pages > 1 then
    local ids = {}
    for i, page in ipairs(pages) do
      ids[i] = page.id
    end
    errors.raise { kind = "usage", code = "ambiguous_" .. policy.kind.name,
      message = ("%s pages in Notion are called '%s'"):format(#pages, text.printable(word)),
      detail = table.concat(ids, ", "), hint = "Say which by its page id" }
  end
  local page_id = #pages == 0 and notion_properties.id(word)
  if not page_id then
    return pages[1]
  end
  local done, result = xpcall(self.target.client.page, errors.explained, self.target.client, page_id, { about = about })
  if not done and not (errors.is(result, "notion") and result.status == 404) then
    error(result, 0)
  end
  return done and is_live(result) and result or nil
end

local function policy_for(self, kind_name)
  local entity_type = policy_of.type_of(kind_name)
  local policy = entity_type and self.target:entity(entity_type)
  if not policy then
    errors.raise { kind = "usage", code = "policy", message = ("the policy has no pages for a %s"):format(kind_name),
      hint = "See: ligase policy check" }
  end
  return policy
end

--- The page of what is linked to. Unlike in Postgres, nothing is made by the way.
local function resolve(self, kind_name, word)
  local key = kind_name .. "\0" .. word
  if not self.ids[key] then
    local page = lookup(self, policy_for(self, kind_name), word)
    if not page then
      errors.raise { kind = "usage", code = "unknown_" .. kind_name,
        message = ("there is no %s '%s' in Notion"):format(kind_name, text.printable(word)),
        hint = ("Make it first: ligase.dual_write{}:create_%s { name = ... }"):format(kind_name) }
    end
    self.ids[key] = page.id
  end
  return self.ids[key]
end

--- What is said of an entity, checked as for Postgres, as an entity that can be shown.
local function entity_of(self, policy, fields, revision)
  local record = records.read(policy.kind, fields, nil, function(kind_name, word)
    return resolve(self, kind_name, word)
  end)
  local links = {}
  for name, pages in pairs(record.links) do
    links[name] = {}
    for i, page_id in ipairs(pages) do
      links[name][i] = { type = policy_of.type_of(policy.kind.links[name].kind), id = page_id, page_id = page_id }
    end
  end
  local row = record.fields
  row.name = row.name or record.default_name
  return { type = policy.type, row = row, links = links, revision = revision }
end

local function written(policy, wanted)
  local made = {}
  for name, value in pairs(wanted) do
    made[name] = notion_properties.write(values.type_of(policy, name), value, name)
  end
  return made
end

--- Makes the page; one whose answer was lost is looked for by its id before it is asked for
--- again.
local function make(self, policy, id, wanted, about)
  local source, made = self.target:source(policy.type), written(policy, wanted)
  for attempt = 1, ATTEMPTS do
    local done, result = xpcall(self.target.client.create_page, errors.explained, self.target.client,
      { data_source = source.id, properties = made, about = about })
    if done then
      return result
    elseif not errors.is(result, "notion") or result.outcome ~= "unknown" then
      error(result, 0)
    end
    sys.sleep(math.random() * PAUSE_S * 2 ^ attempt)
    local looked, pages = errors.try(self.target.pages_of, self.target, policy.type, id, about)
    if looked and pages[1] then
      return pages[1]
    elseif not looked or attempt == ATTEMPTS then
      error(result, 0)
    end
  end
end

local function told(policy, id, page, fields)
  return { id = id, notion_page_id = page.id, url = page.url ~= json.null and page.url or nil, name = fields.name
    or fields.code, type = policy.type }
end

--- Makes a page. Raises "usage" when there is one of its name.
---@param kind_name string
---@param fields table as for ligase.store.entities
---@param revision table|nil of a dataset: what is known of its file
---@return {id: string, notion_page_id: string, url: string|nil, name: string, type: string}
function Writer:create(kind_name, fields, revision)
  local policy = policy_for(self, kind_name)
  local entity = entity_of(self, policy, fields, revision)
  if type(entity.row.name) ~= "string" then
    errors.raise { kind = "usage", code = "value", message = ("the %s has no name"):format(kind_name) }
  elseif lookup(self, policy, entity.row.name) then
    errors.raise { kind = "usage", code = "exists",
      message = ("there is a %s '%s' in Notion already"):format(kind_name, text.printable(entity.row.name)),
      hint = "Change it with update, or give the new one another name" }
  end
  local id = sys.uuid7()
  entity.id = id
  local wanted = values.wanted(policy, entity)
  return told(policy, id, make(self, policy, id, wanted, ("%s '%s'"):format(kind_name,
    text.shown(entity.row.name, 60))), fields)
end

--- What of the wanted properties was given, so that others stay as they are.
local function given_only(policy, entity, wanted, fields)
  local chosen = {}
  for _, property in ipairs(policy.properties) do
    local is_given
    if property.link then
      is_given = entity.links[property.link] ~= nil
    elseif property.column then
      is_given = fields[property.column] ~= nil
    else
      is_given = entity.revision ~= nil and wanted[property.name] ~= nil
    end
    if is_given then
      chosen[property.name] = wanted[property.name] == nil and json.null or wanted[property.name]
    end
  end
  return chosen
end

--- Changes a page, in the fields given. One without an id of ligase's gets one.
---@param kind_name string
---@param which string its name, ligase's id, its page's id or address
---@param fields table
---@param revision table|nil of a dataset: what is known of its file
---@return {id: string, notion_page_id: string, url: string|nil, name: string, type: string}
function Writer:update(kind_name, which, fields, revision)
  local policy = policy_for(self, kind_name)
  local page = lookup(self, policy, which)
  if not page then
    errors.raise { kind = "usage", code = "unknown_" .. kind_name,
      message = ("there is no %s '%s' in Notion"):format(kind_name, text.printable(which)) }
  end
  local entity = entity_of(self, policy, fields, revision)
  local said = notion_properties.read_all(page)
  entity.id = said[policy.id_property] or sys.uuid7()
  local chosen = given_only(policy, entity, values.wanted(policy, entity), fields)
  if not said[policy.id_property] then
    chosen[policy.id_property] = entity.id
  end
  page = self.target.client:update_page(page.id, { properties = written(policy, chosen),
    about = ("%s '%s'"):format(kind_name, text.shown(which, 60)) })
  return told(policy, entity.id, page, { name = fields.name or which })
end

--- Whether there is a page of that name.
---@param kind_name string
---@param word string
---@return boolean
function Writer:is_there(kind_name, word)
  return lookup(self, policy_for(self, kind_name), word) ~= nil
end

return M
