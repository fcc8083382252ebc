--- Pages: created, changed, put into the trash and taken out again, and read.
local blocks = require "tests.standins.notion.blocks"
local failures = require "tests.standins.notion.failures"
local json = require "ligase.base.json"
local paging = require "tests.standins.notion.paging"
local richtext = require "tests.standins.notion.richtext"
local schema = require "tests.standins.notion.schema"
local values = require "tests.standins.notion.values"
local world_module = require "tests.standins.notion.world"

local M = {}

local null = json.null

--- What a page outside a data source has.
local BARE = { id = "title", name = "title", type = "title", config = {} }
local BARE_SOURCE = { properties = { BARE }, by_name = { title = BARE }, by_id = { title = BARE } }

local function source_of(world, page)
  return page.source and world.objects[page.source] or BARE_SOURCE
end

-- ---- what a query looks up --------------------------------------------------
-- Each data source keeps, for each text property that was asked for once, which pages have
-- which text: a look-up by a text is then no walk over all pages.

local function texts_take(source, page, id, before, after)
  local texts = source.texts and source.texts[id]
  if texts and before ~= after then
    if texts[before] then
      texts[before][page.id] = nil
    end
    texts[after] = texts[after] or {}
    texts[after][page.id] = page
  end
end

--- The pages that have this text in a property.
---@param source table
---@param property table of type title or rich_text
---@param text string
---@return table pages by id
function M.with_text(source, property, text)
  local texts = source.texts[property.id]
  if not texts then
    texts = {}
    source.texts[property.id] = texts
    for _, page in ipairs(source.pages) do
      local own = richtext.plain(page.values[property.id])
      texts[own] = texts[own] or {}
      texts[own][page.id] = page
    end
  end
  return texts[text] or {}
end

-- ---- values ----------------------------------------------------------------

--- Reads the properties of a request and holds them against the schema, as Notion does:
--- first the forms, then the names, then the types.
local function read_properties(world, source, raw)
  if raw == nil then
    return {}
  elseif type(raw) ~= "table" or json.is_array(raw) then
    failures.invalid_at("body.properties", "an object", raw)
  end
  local names = {}
  for name in pairs(raw) do
    names[#names + 1] = name
  end
  table.sort(names)
  local read, unknown, mismatched = {}, {}, {}
  for _, name in ipairs(names) do
    local value = raw[name]
    if json.is_array(value) and name == "title" then
      value = { title = value } -- the short form for a page's title
    end
    local kind, kept = values.read("body.properties." .. name, value)
    local property = schema.property(source, name)
    if not property then
      unknown[#unknown + 1] = name .. " is not a property that exists."
    elseif property.type ~= kind then
      mismatched[#mismatched + 1] = ("%s is expected to be %s."):format(name, property.type)
    else
      read[#read + 1] = { property = property, value = kept }
    end
  end
  if #unknown > 0 or #mismatched > 0 then
    failures.invalid(table.concat(table.move(mismatched, 1, #mismatched, #unknown + 1, unknown), " "))
  end
  for _, entry in ipairs(read) do
    entry.value = values.fit(world, entry.property, entry.value)
  end
  return read
end

local function list_without(list, id)
  local kept = json.array()
  for _, candidate in ipairs(list or {}) do
    if candidate ~= id then
      kept[#kept + 1] = candidate
    end
  end
  return kept
end

--- Brings the other side of a relation up to date.
local function mirror_relation(world, page, property, before, after)
  local config = property.config
  if config.type ~= "dual_property" then
    return
  end
  local other_id = config.dual_property.synced_property_id
  for _, id in ipairs(before or {}) do
    local other = world.objects[id]
    other.values[other_id] = list_without(other.values[other_id], page.id)
  end
  for _, id in ipairs(after or {}) do
    local other = world.objects[id]
    local list = list_without(other.values[other_id], page.id)
    list[#list + 1] = page.id
    other.values[other_id] = list
  end
end

local function apply(world, source, page, read)
  for _, entry in ipairs(read) do
    local property, before = entry.property, page.values[entry.property.id]
    if property.type == "title" or property.type == "rich_text" then
      texts_take(source, page, property.id, richtext.plain(before), richtext.plain(entry.value))
    elseif property.type == "relation" then
      mirror_relation(world, page, property, before, entry.value)
    end
    page.values[property.id] = entry.value
  end
end

-- ---- showing ---------------------------------------------------------------

local function parent_shown(world, page, request)
  if not page.source then
    return page.parent
  end
  local database = world.objects[page.source].database
  if request.version < "2025-09-03" then
    return { type = "database_id", database_id = database }
  end
  return { type = "data_source_id", data_source_id = page.source, database_id = database }
end

--- A page's title.
---@param page table
---@return string
function M.title(page)
  return richtext.plain(page.values.title)
end

--- A page as answers show it.
---@param world table
---@param page table
---@param request table for the version, and `filter_properties`: which ones to show
---@return table
function M.show(world, page, request)
  local properties = {}
  for _, property in ipairs(source_of(world, page).properties) do
    if not request.shown_properties or request.shown_properties[property.id] then
      properties[property.name] = values.show(page, property)
    end
  end
  local name = M.title(page):gsub("[^%w]+", "-"):sub(1, 60)
  local shown = {
    object = "page", id = page.id, created_time = page.created_time, last_edited_time = page.last_edited_time,
    created_by = { object = "user", id = page.created_by },
    last_edited_by = { object = "user", id = page.last_edited_by },
    icon = page.icon or null, cover = page.cover or null, parent = parent_shown(world, page, request),
    in_trash = page.trashed == true, is_locked = false, properties = properties, public_url = null,
    url = ("https://www.notion.so/%s%s"):format(name ~= "" and name .. "-" or "", (page.id:gsub("%-", ""))),
  }
  if request.version < "2026-03-11" then
    shown.archived = shown.in_trash
  end
  return shown
end

-- ---- endpoints -------------------------------------------------------------

--- Where a new page goes: a data source, or nil and the parent that is shown.
local function place_of(world, request)
  local parent = request.json.parent
  if type(parent) ~= "table" or json.is_array(parent) then
    failures.invalid_at("body.parent", "defined", parent)
  end
  if parent.data_source_id ~= nil and request.version >= "2025-09-03" then
    return world:find("data_source", world_module.checked_id("body.parent.data_source_id", parent.data_source_id))
  elseif parent.database_id ~= nil then
    local id = world_module.checked_id("body.parent.database_id", parent.database_id)
    return schema.only_source(world, world:find("database", id))
  elseif parent.page_id ~= nil then
    local above = world:find("page", world_module.checked_id("body.parent.page_id", parent.page_id))
    if above.trashed then
      failures.archived()
    end
    return nil, { type = "page_id", page_id = above.id }
  elseif parent.workspace == true then
    return nil, { type = "workspace", workspace = true }
  end
  failures.invalid_forms { failures.clause("body.parent.page_id", "defined"),
    failures.clause("body.parent.database_id", "defined"), failures.clause("body.parent.data_source_id", "defined") }
end

--- An empty page in a data source.
---@param world table
---@param source table
---@param user table
---@param more? table icon, cover
---@return table page
function M.make(world, source, user, more)
  local page = { kind = "page", source = source.id, values = {}, children = {}, icon = more and more.icon,
    cover = more and more.cover }
  world:add(page, user)
  source.pages[#source.pages + 1] = page
  source.live, source.numbers = source.live + 1, source.numbers + 1
  page.place, page.number = #source.pages, source.numbers
  for _, texts in pairs(source.texts) do
    texts[""] = texts[""] or {}
    texts[""][page.id] = page
  end
  return page
end

--- POST /v1/pages
---@param world table
---@param request table
---@return table
function M.create(world, request)
  local body = request.json
  local source, parent = place_of(world, request)
  if source and (source.trashed or world.objects[source.database].trashed) then
    failures.archived()
  end
  if body.properties == nil then
    failures.invalid_at("body.properties", "defined", nil)
  end
  local children = body.children ~= nil and blocks.read("body.children", body.children) or {}
  local read = read_properties(world, source or BARE_SOURCE, body.properties)
  local dress = { icon = body.icon ~= null and body.icon or nil, cover = body.cover ~= null and body.cover or nil }
  local page = source and M.make(world, source, request.user, dress) or world:add({ kind = "page",
    parent = parent, values = {}, children = {}, icon = dress.icon, cover = dress.cover }, request.user)
  apply(world, source or BARE_SOURCE, page, read)
  blocks.attach(world, page, children, request.user)
  if parent and parent.page_id then -- a page within a page is one of its blocks
    local above = world.objects[parent.page_id]
    table.insert(above.children, page.id)
    world:touch(above, request.user)
  end
  world.revision = world.revision + 1
  request.committed = page.id
  return M.show(world, page, request)
end

local function page_named(world, request)
  return world:find("page", world_module.checked_id("path.page_id", request.params[1]))
end

--- Reads `filter_properties`, given as often as there are properties to show.
---@param request table
---@param source table|nil
function M.take_shown_properties(request, source)
  for _, pair in ipairs(request.query_pairs or {}) do
    if pair[1] == "filter_properties" or pair[1] == "filter_properties[]" then
      local property = source and schema.property(source, pair[2])
      if not property then
        failures.invalid(("Could not find property with name or id: %s"):format(pair[2]))
      end
      request.shown_properties = request.shown_properties or {}
      request.shown_properties[property.id] = true
    end
  end
end

--- GET /v1/pages/{id}
---@param world table
---@param request table
---@return table
function M.retrieve(world, request)
  local page = page_named(world, request)
  M.take_shown_properties(request, source_of(world, page))
  return M.show(world, page, request)
end

--- Whether a request wants the object in the trash, out of it, or says nothing of it.
---@param request table
---@return boolean|nil
function M.wanted_trash(request)
  local body = request.json
  local name = body.in_trash ~= nil and "in_trash" or "archived"
  local wanted = body[name]
  if wanted == nil then
    return nil
  elseif name == "archived" and request.version >= "2026-03-11" then
    failures.invalid_at("body.archived", "not present", wanted)
  elseif type(wanted) ~= "boolean" then
    failures.invalid_at("body." .. name, "a boolean or `undefined`", wanted)
  end
  return wanted
end

--- PATCH /v1/pages/{id}
---@param world table
---@param request table
---@return table
function M.update(world, request)
  local page, body = page_named(world, request), request.json
  local source = source_of(world, page)
  local wanted = M.wanted_trash(request)
  if page.trashed and wanted ~= false then
    if wanted == nil then
      failures.archived()
    end
    return M.show(world, page, request)
  end
  local read = read_properties(world, source, body.properties)
  if wanted ~= nil and wanted ~= (page.trashed == true) then
    page.trashed = wanted
    source.live = source.live and source.live + (wanted and -1 or 1)
  end
  apply(world, source, page, read)
  for _, name in ipairs { "icon", "cover" } do
    if body[name] ~= nil then
      page[name] = body[name] ~= null and body[name] or nil
    end
  end
  world:touch(page, request.user)
  return M.show(world, page, request)
end

-- ---- one property, whole -----------------------------------------------------

local LISTED = { title = true, rich_text = true, relation = true, people = true }

--- GET /v1/pages/{id}/properties/{property}: what is a list comes in pages.
---@param world table
---@param request table
---@return table
function M.retrieve_property(world, request)
  local page = page_named(world, request)
  local property = schema.property(source_of(world, page), request.params[2])
  if not property then
    failures.invalid(request.params[2] .. " is not a property that exists.")
  end
  local kind = property.type
  if not LISTED[kind] then
    local shown = values.show(page, property)
    shown.object = "property_item"
    return shown
  end
  local items = page.values[property.id] or {}
  return paging.list(request, #items, function(i)
    local item = kind == "relation" and { id = items[i] } or items[i]
    return { object = "property_item", id = property.id, type = kind, [kind] = item }
  end, { type = "property_item", property_item = { id = property.id, type = kind, [kind] = {}, next_url = null } })
end

return M
