--- Notion, version 2025-09-03 of its API: pages, queries, data sources and blocks, within all
--- limits, with errors that name the call, the entity and the remedy.
---
---     local client = require("ligase.io.notion").new { token = config:get "NOTION_API_KEY" }
---     local source = client:resolve_database(config:get "NOTION_EXP_DATA_DB_ID")
---     for page in client:query(source.id, { filter = { property = "Name", title = { equals = "plasma" } } }) do
---       print(page.id, properties.title(page))
---     end
---
--- Values of properties are written and read by ligase.io.notion.properties, texts by
--- ligase.io.notion.markdown. Whether, when and why something is written is not decided here.
local api = require "ligase.io.notion.api"
local blocks = require "ligase.io.notion.blocks"
local errors = require "ligase.base.errors"
local instants = require "ligase.base.instants"
local json = require "ligase.base.json"
local limits = require "ligase.io.notion.limits"
local options = require "ligase.base.options"
local properties = require "ligase.io.notion.properties"
local query = require "ligase.io.notion.query"
local sys = require "sys"

local M = {}

M.BASE_URL = "https://api.notion.com"

---@class ligase.notion.Client
---@field api ligase.notion.Api
local Client = {}
Client.__index = Client

--- A client. Nothing is sent before the first call.
---
--- `retries`: further attempts of what may be repeated. `total_s`: none begins later than that
--- after the first; where Notion asks to wait for longer, the failure is raised instead.
--- `limiter`: asked before each attempt with `limiter:acquire(timeout_s)`, and told of its end
--- with `limiter:answered{ retry_after_s = }`.
---@param given {token: string, base_url?: string, timeout_s?: number, retries?: integer, total_s?: number,
---  limiter?: table}
---@return ligase.notion.Client
function M.new(given)
  local made = options.check(given, {
    token = { type = "string", required = true },
    base_url = { type = "string", default = M.BASE_URL },
    timeout_s = { type = "number", default = 60, min = 0.1 },
    retries = { type = "integer", default = 4, min = 0 },
    total_s = { type = "number", default = 300, min = 0 },
    limiter = { type = "table|userdata" },
  }, "notion.new")
  made.base_url = made.base_url:gsub("/+$", "")
  return setmetatable({ api = api.new(made) }, Client)
end

--- The token of the settings. Raises "usage" without NOTION_API_KEY: what makes a workspace first
--- asks for it before.
---@param config ligase.Config
---@return string
function M.token(config)
  return config:get "NOTION_API_KEY" or errors.raise { kind = "usage", code = "notion_key",
    message = "NOTION_API_KEY is not set",
    hint = "Set it to the token of your integration (Notion: Settings, Connections)" }
end

--- A client by the settings. Raises "usage" without NOTION_API_KEY.
---@param config ligase.Config
---@param given? {limiter?: table, retries?: integer, total_s?: number}
---@return ligase.notion.Client
function M.from_config(config, given)
  given = given or {}
  return M.new { token = M.token(config), base_url = config:get "NOTION_API_URL",
    timeout_s = config:get "NOTION_TIMEOUT_S", limiter = given.limiter, retries = given.retries,
    total_s = given.total_s }
end

local CALL = { about = { type = "string" } }

local function about_of(given, where)
  return options.check(given, CALL, where).about
end

-- ---- pages -----------------------------------------------------------------

--- Makes a page, by one request. It is repeated only when it was certainly not sent. An error
--- has `outcome`: "unknown" means that the page may be there; `committed_resource_id` is its id
--- when Notion says so.
---@param page {data_source: string, properties: table, children?: table[], about?: string}
---@return table page as Notion answers
function Client:create_page(page)
  local checked = options.check(page, {
    data_source = { type = "string", required = true },
    properties = { type = "table", required = true },
    children = { type = "table" },
    about = CALL.about,
  }, "client:create_page")
  return self.api:call { method = "POST", path = "/v1/pages", what = "create the page", about = checked.about,
    once = true, body = {
      parent = { type = "data_source_id", data_source_id = checked.data_source },
      properties = checked.properties,
      children = checked.children and blocks.for_page(checked.children),
    } }
end

--- Changes a page's properties, or puts it into the trash or takes it out.
---@param id string
---@param change {properties?: table, in_trash?: boolean, about?: string}
---@return table page as Notion answers
function Client:update_page(id, change)
  local checked = options.check(change, { properties = { type = "table" }, in_trash = { type = "boolean" },
    about = CALL.about }, "client:update_page")
  local what = checked.in_trash and "trash the page" or checked.in_trash == false and "restore the page"
    or "update the page"
  return self.api:call { method = "PATCH", path = api.path("/v1/pages/%s", id), what = what, about = checked.about,
    repeats = true, body = { properties = checked.properties, in_trash = checked.in_trash } }
end

--- Puts a page into the trash.
---@param id string
---@param given? {about?: string}
---@return table page
function Client:trash_page(id, given)
  return self:update_page(id, { in_trash = true, about = about_of(given, "client:trash_page") })
end

--- Takes a page out of the trash.
---@param id string
---@param given? {about?: string}
---@return table page
function Client:restore_page(id, given)
  return self:update_page(id, { in_trash = false, about = about_of(given, "client:restore_page") })
end

local function mentions(items)
  local count = 0
  for _, item in ipairs(items) do
    count = count + (item.type == "mention" and 1 or 0)
  end
  return count
end

--- Whether a page may show only the first references of a property.
local function is_partial(property)
  local value = property[property.type]
  if property.type == "relation" then
    return property.has_more or #value >= limits.REFERENCES_READ
  elseif property.type == "people" then
    return #value >= limits.REFERENCES_READ
  elseif property.type == "title" or property.type == "rich_text" then
    return mentions(value) >= limits.REFERENCES_READ
  end
  return false
end

--- Reads the rest of those properties of which a page shows only the first 25 references.
---@param page table as Notion answered; completed in place
---@param given? {about?: string}
---@return table page the same
function Client:complete(page, given)
  local about = about_of(given, "client:complete")
  for name, property in pairs(page.properties or {}) do
    if is_partial(property) then
      local items = json.array()
      self.api:each({ method = "GET", path = api.path("/v1/pages/%s/properties/%s", page.id, property.id),
        what = ("read the property '%s'"):format(name), about = about }, function(item)
        items[#items + 1] = item[property.type]
      end)
      property[property.type] = items
      property.has_more = property.has_more ~= nil and false or nil
    end
  end
  return page
end

--- A page, with all references of its properties.
---@param id string
---@param given? {about?: string}
---@return table page
function Client:page(id, given)
  local about = about_of(given, "client:page")
  local page = self.api:call { method = "GET", path = api.path("/v1/pages/%s", id), what = "read the page",
    about = about }
  return self:complete(page, { about = about })
end

--- When a page was read, by Notion's clock.
---@param page table as a method of a client gave it
---@return number seconds since 1970
function M.read_s(page)
  return api.answered_s(page) or sys.now()
end

--- Notion's times are whole minutes: a page may have been edited again in the minute of its
--- last_edited_time, after it was read. So long after it, that is certain not to be.
M.SETTLED_AFTER_S = 180

--- The last_edited_time of a page that was read so long after it that there can be no later edit
--- of the same time; nil otherwise.
---@param page table as a method of a client gave it
---@return string|nil
function M.settled_edit(page)
  local edited_s = instants.seconds(page.last_edited_time)
  return edited_s and M.read_s(page) - edited_s > M.SETTLED_AFTER_S and page.last_edited_time or nil
end

-- ---- data sources ----------------------------------------------------------

--- An iterator over all pages of a data source that fit a filter: also more than 10,000. Without
--- sorts they come in the order in which they were made; with sorts, no more than 10,000 do.
--- Properties show their first 25 references; client:complete reads the rest.
---@param data_source string its id
---@param given? {filter?: table, sorts?: table, page_size?: integer, about?: string}
---@return fun(): table|nil
function Client:query(data_source, given)
  local checked = options.check(given, { filter = { type = "table" }, sorts = { type = "table" },
    page_size = { type = "integer", min = 1, max = limits.PAGE_SIZE }, about = CALL.about }, "client:query")
  return query.pages(function(body)
    local answer = self.api:call { method = "POST", path = api.path("/v1/data_sources/%s/query", data_source),
      what = "query the data source", about = checked.about, repeats = true, body = body }
    for _, page in ipairs(answer.results or {}) do
      api.note_part(page, answer)
    end
    return answer
  end, checked)
end

--- A data source with its schema.
---@param id string
---@param given? {about?: string}
---@return table data_source
function Client:data_source(id, given)
  return self.api:call { method = "GET", path = api.path("/v1/data_sources/%s", id), what = "read the data source",
    about = about_of(given, "client:data_source") }
end

--- Changes a data source: {properties = {Name = {type = "number", number = {}}}} adds properties.
---@param id string
---@param change {properties?: table, title?: table, about?: string}
---@return table data_source
function Client:update_data_source(id, change)
  local checked = options.check(change, { properties = { type = "table" }, title = { type = "table" },
    about = CALL.about }, "client:update_data_source")
  return self.api:call { method = "PATCH", path = api.path("/v1/data_sources/%s", id), what = "change the data source",
    about = checked.about, repeats = true, body = { properties = checked.properties, title = checked.title } }
end

local function refuse_sources(database, about)
  local ids = {}
  for i, source in ipairs(database.data_sources) do
    ids[i] = ("%s (%s)"):format(source.id, source.name)
  end
  errors.raise { kind = "notion", code = "multiple_data_sources", outcome = "refused", about = about,
    data_sources = ids, message = ("the Notion database%s has %d data sources (GET /v1/databases/%s)"):format(
      about and " of " .. about or "", #ids, database.id),
    hint = "Set the id of the one that is meant instead: " .. table.concat(ids, ", ") }
end

local function try_call(fn, ...)
  local done, result = xpcall(fn, errors.explained, ...)
  if not done and not (errors.is(result, "notion") and result.status == 404) then
    error(result, 0)
  end
  return done and result or nil, result
end

--- The data source of a database with one; the id of a data source is taken too. Raises for a
--- database with several, with their ids.
---@param id_or_url string
---@param given? {about?: string}
---@return table data_source with its schema
function Client:resolve_database(id_or_url, given)
  local about = about_of(given, "client:resolve_database")
  local id = properties.id(id_or_url)
  if not id then
    errors.raise { kind = "notion", code = "value", outcome = "not_sent", about = about,
      message = ("'%s'%s is no id and no link of a Notion database"):format(id_or_url,
        about and " for " .. about or ""),
      hint = "Copy the database's link in Notion: its id is the 32 digits before the question mark" }
  end
  local database, failure = try_call(self.api.call, self.api, { method = "GET", what = "find the database",
    path = api.path("/v1/databases/%s", id), about = about })
  if not database then
    local source = try_call(self.data_source, self, id, given)
    return source or error(failure, 0)
  elseif #database.data_sources ~= 1 then
    refuse_sources(database, about)
  end
  return self:data_source(database.data_sources[1].id, given)
end

-- ---- blocks ----------------------------------------------------------------

local OTHER_PAGES = { child_page = true, child_database = true }

--- The blocks of a page or block, each with its `children`, all the way down. Pages within the
--- page are named and not followed.
---@param id string
---@param given? {about?: string}
---@return table[] blocks
function Client:blocks(id, given)
  local about = about_of(given, "client:blocks")
  local function children_of(parent)
    local list = json.array()
    self.api:each({ method = "GET", path = api.path("/v1/blocks/%s/children", parent), what = "read the blocks",
      about = about }, function(block)
      list[#list + 1] = block
    end)
    for _, block in ipairs(list) do
      if block.has_children and not OTHER_PAGES[block.type] then
        block.children = children_of(block.id)
      end
    end
    return list
  end
  return children_of(id)
end

--- The ids of the blocks that were made, which further ones may be appended to.
local function ids_of(made, count, page, about)
  if type(made) ~= "table" or #made ~= count then
    errors.raise { kind = "notion", code = "answer", outcome = "unknown", about = about,
      message = ("cannot append blocks to the page %s: Notion names %d blocks, and %d were sent"):format(page,
        type(made) == "table" and #made or 0, count), hint = "Look at the page before it is repeated" }
  end
  local ids = {}
  for i, block in ipairs(made) do
    ids[i] = block.id
  end
  return ids
end

--- Appends blocks to a page or block, in as many requests as Notion's limits ask for, in order.
--- None is repeated when its outcome is unknown. An error has `appended`, how many blocks
--- (with those within others) are there for sure.
---@param id string
---@param list table[] blocks as Notion takes or gives them, nested as deep as they are
---@param given? {about?: string}
---@return string[] ids of the blocks at the top
function Client:append_blocks(id, list, given)
  local about = about_of(given, "client:append_blocks")
  local appended = 0
  local done, result = xpcall(blocks.append, errors.explained, id, list, function(parent, batch)
    local answer = self.api:call { method = "PATCH", path = api.path("/v1/blocks/%s/children", parent),
      what = "append blocks to the page", about = about, body = { children = batch } }
    appended = appended + blocks.count(batch)
    return ids_of(answer.results, #batch, id, about)
  end)
  if not done then
    result.appended = appended
    error(result, 0)
  end
  return result
end

--- Puts a block into the trash.
---@param id string
---@param given? {about?: string}
---@return table block
function Client:delete_block(id, given)
  return self.api:call { method = "DELETE", path = api.path("/v1/blocks/%s", id), what = "delete the block",
    about = about_of(given, "client:delete_block"), repeats = true }
end

return M
