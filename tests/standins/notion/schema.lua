--- Databases and data sources: containers, and the tables in them with their properties.
local failures = require "tests.standins.notion.failures"
local json = require "ligase.base.json"
local richtext = require "tests.standins.notion.richtext"
local world_module = require "tests.standins.notion.world"

local M = {}

local null = json.null
local MOST_SCHEMA_BYTES = 50 * 1024

local TYPES = {}
for word in ([[title rich_text number select status multi_select date people files checkbox url email
  phone_number relation formula rollup created_time created_by last_edited_time last_edited_by
  unique_id]]):gmatch("%S+") do
  TYPES[word] = true
end

-- ---- properties ------------------------------------------------------------

local function kind_of(path, raw)
  if type(raw) ~= "table" or json.is_array(raw) then
    failures.invalid_at(path, "an object", raw)
  end
  for kind in pairs(TYPES) do
    if type(raw[kind]) == "table" then
      return kind
    end
  end
  failures.invalid(("body failed validation: %s.type should be defined, instead was %s."):format(path,
    failures.shown(raw.type)))
end

local function options_of(world, path, raw)
  local options, seen = json.array(), {}
  for i, option in ipairs(raw.options or {}) do
    if type(option) ~= "table" or type(option.name) ~= "string" then
      failures.invalid_at(("%s.options[%d].name"):format(path, i - 1), "a string", type(option) == "table"
        and option.name or nil)
    elseif option.name:find(",", 1, true) then
      failures.invalid("Invalid select option, commas not allowed: " .. option.name)
    elseif not seen[option.name] then
      seen[option.name] = true
      options[#options + 1] = { id = option.id or world:new_id(), name = option.name,
        color = option.color or "default", description = null }
    end
  end
  return options
end

--- Where a relation points: the data source, also when its database was named.
local function relation_target(world, path, raw)
  if raw.data_source_id ~= nil then
    return world:find("data_source", world_module.checked_id(path .. ".data_source_id", raw.data_source_id))
  end
  local database = world:find("database", world_module.checked_id(path .. ".database_id", raw.database_id))
  return M.only_source(world, database)
end

local configs = {}

function configs.number(_, _, raw)
  return { format = raw.format or "number" }
end

function configs.select(world, path, raw)
  return { options = options_of(world, path, raw) }
end

configs.multi_select = configs.select

function configs.status(world, path, raw)
  local config = { options = options_of(world, path, raw), groups = json.array() }
  if #config.options == 0 then
    config.options = options_of(world, path, { options = { { name = "Not started" }, { name = "In progress" },
      { name = "Done" } } })
  end
  return config
end

function configs.relation(world, path, raw)
  local target = relation_target(world, path, raw)
  local kind = (raw.type == "dual_property" or raw.dual_property) and "dual_property" or "single_property"
  return { data_source_id = target.id, database_id = target.database, type = kind,
    [kind] = type(raw[kind]) == "table" and raw[kind] or {} }
end

function configs.unique_id(_, _, raw)
  return { prefix = raw.prefix or null }
end

local function config_of(world, path, kind, raw)
  local read = configs[kind]
  return read and read(world, path .. "." .. kind, raw[kind]) or {}
end

local function add_property(world, source, name, kind, config)
  local property = { id = kind == "title" and "title" or world:new_property_id(source.by_id), name = name,
    type = kind, config = config }
  source.properties[#source.properties + 1] = property
  source.by_name[name], source.by_id[property.id] = property, property
  return property
end

--- The other side of a relation that both sides show.
local function add_counterpart(world, source, property)
  local config = property.config
  if property.type ~= "relation" or config.type ~= "dual_property" then
    return
  end
  local target = world.objects[config.data_source_id]
  local name = config.dual_property.synced_property_name or ("Related to %s (%s)"):format(
    richtext.plain(source.title), property.name)
  local other = target.by_name[name] or add_property(world, target, name, "relation",
    { data_source_id = source.id, database_id = source.database, type = "dual_property" })
  other.config.dual_property = { synced_property_id = property.id, synced_property_name = property.name }
  config.dual_property = { synced_property_id = other.id, synced_property_name = other.name }
end

--- The property that a request names, by name or id.
---@param source table a data source
---@param key string
---@return table|nil
function M.property(source, key)
  return source.by_name[key] or source.by_id[key]
    or source.by_id[(key:gsub("[^%w]", function(c) return ("%%%02X"):format(c:byte()) end))]
end

local function remove_property(source, property)
  if property.type == "title" then
    failures.invalid("Cannot delete title property.")
  end
  for i, candidate in ipairs(source.properties) do
    if candidate == property then
      table.remove(source.properties, i)
    end
  end
  source.by_name[property.name], source.by_id[property.id], source.texts[property.id] = nil, nil, nil
end

local function rename_property(source, property, name)
  if source.by_name[name] and source.by_name[name] ~= property then
    failures.invalid(("Property with name %s already exists."):format(name))
  end
  source.by_name[property.name] = nil
  property.name = name
  source.by_name[name] = property
end

local function change_property(world, source, path, property, raw)
  if type(raw.name) == "string" then
    rename_property(source, property, raw.name)
  end
  local has_kind = false
  for kind in pairs(TYPES) do
    has_kind = has_kind or type(raw[kind]) == "table"
  end
  if has_kind then
    local kind = kind_of(path, raw)
    if kind ~= property.type then
      property.type = kind
      for _, page in ipairs(source.pages) do
        page.values[property.id] = nil
      end
      source.texts[property.id] = nil
    end
    property.config = config_of(world, path, kind, raw)
    add_counterpart(world, source, property)
  end
end

--- Changes a data source's properties as a request says.
---@param world table
---@param source table
---@param path string "body.properties"
---@param raw any
function M.change(world, source, path, raw)
  if type(raw) ~= "table" or json.is_array(raw) then
    failures.invalid_at(path, "an object", raw)
  end
  local names = {}
  for name in pairs(raw) do
    names[#names + 1] = name
  end
  table.sort(names) -- so that the same request always gives the same ids
  for _, name in ipairs(names) do
    local wanted, property, at = raw[name], M.property(source, name), path .. "." .. name
    if wanted == null then
      remove_property(source, property or failures.invalid(name .. " is not a property that exists."))
    elseif property then
      change_property(world, source, at, property, wanted)
    else
      local kind = kind_of(at, wanted)
      if kind == "title" and source.by_id.title then
        failures.invalid("Cannot create new title property.")
      end
      add_counterpart(world, source, add_property(world, source, name, kind, config_of(world, at, kind, wanted)))
    end
  end
  source.schema_revision = (source.schema_revision or 0) + 1
end

--- A data source's properties as answers show them.
---@param source table
---@return table
function M.show_properties(source)
  local shown = {}
  for _, property in ipairs(source.properties) do
    shown[property.name] = { id = property.id, name = property.name, type = property.type,
      description = null, [property.type] = property.config }
  end
  return shown
end

-- ---- data sources ----------------------------------------------------------

--- Adds a data source to a database.
---@param world table
---@param database table
---@param user table
---@param title table rich text
---@param path string where the properties stand in the request
---@param properties any
---@return table source
function M.add_source(world, database, user, title, path, properties)
  if properties ~= nil and #json.encode(properties) > MOST_SCHEMA_BYTES then
    failures.invalid("body failed validation: the schema is larger than 50 KB.")
  end
  local has_title = false
  for _, raw in pairs(type(properties) == "table" and properties or {}) do
    has_title = has_title or type(raw) == "table" and raw.title ~= nil
  end
  if not has_title then
    failures.invalid("Title is not provided")
  end
  local source = { kind = "data_source", database = database.id, title = title, properties = {}, by_name = {},
    by_id = {}, pages = {}, live = 0, numbers = 0, texts = {} }
  world:add(source, user)
  M.change(world, source, path, properties)
  database.sources[#database.sources + 1] = source.id
  return source
end

--- The one data source of a database, for requests that know only databases.
---@param world table
---@param database table
---@return table source
function M.only_source(world, database)
  if #database.sources > 1 then
    failures.refuse(400, "validation_error",
      "Databases with multiple data sources are not supported in this API version.", { additional_data = {
        error_type = "multiple_data_sources_for_database", database_id = database.id,
        child_data_source_ids = json.array(table.move(database.sources, 1, #database.sources, 1, {})),
        minimum_api_version = "2025-09-03" } })
  end
  return world.objects[database.sources[1]]
end

local function show_common(shown, object, request)
  shown.id, shown.created_time, shown.last_edited_time = object.id, object.created_time, object.last_edited_time
  shown.created_by = { object = "user", id = object.created_by }
  shown.last_edited_by = { object = "user", id = object.last_edited_by }
  shown.icon, shown.cover = object.icon or null, object.cover or null
  shown.in_trash = object.trashed == true
  if request.version < "2026-03-11" then
    shown.archived = object.trashed == true
  end
  shown.public_url = null
  return shown
end

--- A data source as answers show it.
---@param world table
---@param source table
---@param request table for the version that is spoken
---@return table
function M.show_source(world, source, request)
  local database = world.objects[source.database]
  return show_common({ object = "data_source", title = source.title, description = json.array(),
    parent = { type = "database_id", database_id = source.database }, database_parent = database.parent,
    is_inline = false, properties = M.show_properties(source),
    url = "https://www.notion.so/" .. source.id:gsub("%-", "") }, source, request)
end

--- A database as answers show it: since 2025-09-03 the container, before that the table.
---@param world table
---@param database table
---@param request table
---@return table
function M.show_database(world, database, request)
  local shown = { object = "database", title = database.title, description = json.array(),
    parent = database.parent, is_inline = database.is_inline == true, is_locked = false,
    url = "https://www.notion.so/" .. database.id:gsub("%-", "") }
  if request.version < "2025-09-03" then
    shown.properties = M.show_properties(M.only_source(world, database))
  else
    shown.data_sources = json.array()
    for i, id in ipairs(database.sources) do
      shown.data_sources[i] = { id = id, name = richtext.plain(world.objects[id].title) }
    end
  end
  return show_common(shown, database, request)
end

-- ---- endpoints -------------------------------------------------------------

local function title_of(body, fallback)
  return body.title ~= nil and richtext.read("body.title", body.title) or fallback
end

--- POST /v1/databases
---@param world table
---@param request table
---@return table
function M.create_database(world, request)
  local body, parent = request.json, request.json.parent
  if type(parent) ~= "table" then
    failures.invalid_at("body.parent", "defined", parent)
  end
  local path, properties = "body.initial_data_source.properties", nil
  if request.version < "2025-09-03" then
    path, properties = "body.properties", body.properties
  elseif body.properties ~= nil then
    failures.invalid_at("body.properties", "not present", body.properties)
  elseif type(body.initial_data_source) == "table" then
    properties = body.initial_data_source.properties
  end
  if properties == nil then
    failures.invalid_at(path, "defined", nil)
  end
  local where
  if parent.page_id ~= nil then
    where = { type = "page_id", page_id = world:find("page", world_module.checked_id("body.parent.page_id",
      parent.page_id)).id }
  elseif parent.workspace == true then
    where = { type = "workspace", workspace = true }
  else
    failures.invalid_at("body.parent.page_id", "defined", nil)
  end
  local title = title_of(body, json.array())
  local database = { kind = "database", title = title, parent = where, sources = {}, icon = body.icon,
    cover = body.cover, is_inline = body.is_inline }
  M.add_source(world, world:add(database, request.user), request.user,
    type(body.initial_data_source) == "table" and body.initial_data_source.title
      and richtext.read("body.initial_data_source.title", body.initial_data_source.title) or title,
    path, properties)
  world.databases[#world.databases + 1] = database.id
  request.committed = database.id
  return M.show_database(world, database, request)
end

local function database_named(world, request)
  return world:find("database", world_module.checked_id("path.database_id", request.params[1]))
end

--- GET /v1/databases/{id}
---@param world table
---@param request table
---@return table
function M.retrieve_database(world, request)
  return M.show_database(world, database_named(world, request), request)
end

local function change_common(object, body)
  if body.in_trash ~= nil or body.archived ~= nil then
    object.trashed = body.in_trash == true or body.in_trash == nil and body.archived == true
  elseif object.trashed then
    failures.archived()
  end
  object.title = title_of(body, object.title)
  if body.icon ~= nil then
    object.icon = body.icon ~= null and body.icon or nil
  end
end

--- PATCH /v1/databases/{id}
---@param world table
---@param request table
---@return table
function M.update_database(world, request)
  local database, body = database_named(world, request), request.json
  if body.properties ~= nil then
    if request.version >= "2025-09-03" then
      failures.invalid_at("body.properties", "not present", body.properties)
    end
    M.change(world, M.only_source(world, database), "body.properties", body.properties)
  end
  change_common(database, body)
  world:touch(database, request.user)
  return M.show_database(world, database, request)
end

local function source_named(world, request)
  return world:find("data_source", world_module.checked_id("path.data_source_id", request.params[1]))
end

--- POST /v1/data_sources
---@param world table
---@param request table
---@return table
function M.create_source(world, request)
  local body, parent = request.json, request.json.parent
  if type(parent) ~= "table" then
    failures.invalid_at("body.parent", "defined", parent)
  end
  local database = world:find("database", world_module.checked_id("body.parent.database_id", parent.database_id))
  local source = M.add_source(world, database, request.user, title_of(body, json.array()), "body.properties",
    body.properties)
  request.committed = source.id
  return M.show_source(world, source, request)
end

--- GET /v1/data_sources/{id}
---@param world table
---@param request table
---@return table
function M.retrieve_source(world, request)
  return M.show_source(world, source_named(world, request), request)
end

--- PATCH /v1/data_sources/{id}
---@param world table
---@param request table
---@return table
function M.update_source(world, request)
  local source, body = source_named(world, request), request.json
  change_common(source, body)
  if body.properties ~= nil then
    M.change(world, source, "body.properties", body.properties)
  end
  world:touch(source, request.user)
  return M.show_source(world, source, request)
end

return M
