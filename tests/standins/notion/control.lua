--- What tests ask of the stand-in itself, under /_standin: figures, faults, and how things
--- really stand. No token, no budget, no faults here.
local errors = require "ligase.base.errors"
local failures = require "tests.standins.notion.failures"
local json = require "ligase.base.json"
local pages = require "tests.standins.notion.pages"
local richtext = require "tests.standins.notion.richtext"
local schema = require "tests.standins.notion.schema"
local state = require "tests.standins.notion.state"
local values = require "tests.standins.notion.values"
local world_module = require "tests.standins.notion.world"

local M = {}

-- ---- looking ---------------------------------------------------------------

local function show_self(standin)
  local world, databases = standin.world, json.array()
  for i, id in ipairs(world.databases) do
    local database, sources = world.objects[id], json.array()
    for k, source_id in ipairs(database.sources) do
      local source = world.objects[source_id]
      sources[k] = { id = source_id, name = richtext.plain(source.title), live_pages = source.live,
        pages = #source.pages }
    end
    databases[i] = { id = id, title = richtext.plain(database.title), data_sources = sources }
  end
  return { standin = "notion", clock = world.clock, seed = world.seed, now = world:now(),
    root_page_id = world.root.id, budget = standin.budget, databases = databases }
end

--- The data source that ?data_source= names, or the one of ?database=.
local function source_of(standin, request)
  local id = world_module.plain_id(request.query.data_source or request.query.database)
  local object = id and standin.world.objects[id]
  if object and object.kind == "database" then
    object = standin.world.objects[object.sources[1]]
  end
  if not object or object.kind ~= "data_source" then
    failures.invalid("?data_source=ID or ?database=ID is needed, of one that is there")
  end
  return object
end

local function text_property(source, request)
  local name = request.query.property
  local property = name and schema.property(source, name)
  if name and not property then
    failures.invalid("there is no property " .. name)
  end
  return property
end

local function key_of(page, property)
  local kept = property and page.values[property.id]
  return type(kept) == "table" and richtext.plain(kept) or kept
end

local function each_live(source, visit)
  for _, page in ipairs(source.pages) do
    if not page.trashed then
      visit(page)
    end
  end
end

local function show_pages(standin, request)
  local source, list = source_of(standin, request), json.array()
  local property = text_property(source, request)
  each_live(source, function(page)
    list[#list + 1] = { id = page.id, title = pages.title(page), key = key_of(page, property),
      created_time = page.created_time, last_edited_time = page.last_edited_time,
      created_by = page.created_by, last_edited_by = page.last_edited_by }
  end)
  return { data_source = source.id, count = #list, pages = list }
end

local function show_duplicates(standin, request)
  local source = source_of(standin, request)
  local property = text_property(source, request) or failures.invalid("?property=NAME is needed")
  local by_key, empty = {}, 0
  each_live(source, function(page)
    local key = key_of(page, property)
    if key == nil or key == "" then
      empty = empty + 1
    else
      by_key[key] = by_key[key] or json.array()
      table.insert(by_key[key], page.id)
    end
  end)
  local duplicates, keys = json.array(), {}
  for key, ids in pairs(by_key) do
    keys[#keys + 1] = key
    if #ids > 1 then
      duplicates[#duplicates + 1] = { key = key, pages = ids }
    end
  end
  table.sort(duplicates, function(a, b) return a.key < b.key end)
  return { data_source = source.id, live_pages = source.live, distinct = #keys, without = empty,
    duplicates = duplicates }
end

-- ---- changing --------------------------------------------------------------

local function set_faults(standin, request)
  local set, failure = pcall(standin.set_faults, standin, request.json)
  if not set then
    failures.invalid(errors.is(failure) and tostring(failure) or "the faults cannot be read")
  end
  return standin.faults:figures()
end

--- Makes many pages at once, which a test of large databases would spend its time on; the
--- last of them now, and each `every_s` seconds after the one before.
local function fill(standin, request)
  local body, world = request.json, standin.world
  request.query.data_source = body.data_source_id
  local source = source_of(standin, request)
  local user = world:user_of("standin")
  local made = json.array()
  local count = math.min(body.count or 1, 100000)
  for i = 1, count do
    local page = pages.make(world, source, user)
    page.created_time = world:timestamp((count - i) * (body.every_s or 0))
    page.last_edited_time = page.created_time
    for name, pattern in pairs(body.properties or {}) do
      local property = schema.property(source, name) or failures.invalid("there is no property " .. name)
      local text = pattern:gsub("%%d", tostring(i))
      local value = { [property.type] = property.type == "number" and i or richtext.of(text) }
      local _, kept = values.read("body.properties." .. name, value)
      page.values[property.id] = kept
    end
    made[i] = page.id
  end
  source.texts = {}
  world.revision = world.revision + 1
  return { count = #made, pages = made }
end

--- Takes a page, database or data source out of the connection's sight, or back into it.
local function hide(standin, request)
  local object = standin.world.objects[world_module.plain_id(request.json.id) or ""]
  if not object then
    failures.invalid("there is no object with this id")
  end
  object.hidden = request.json.hidden ~= false or nil
  standin.world.revision = standin.world.revision + 1 -- what was found before does not hold any more
  return { id = object.id, hidden = object.hidden == true }
end

local function reset(standin)
  standin:reset()
  return show_self(standin)
end

local function reset_counters(standin)
  standin:reset_counters()
  return standin:figures()
end

local function save(standin, request)
  state.save(standin.world, request.json.path or standin.state_path
    or failures.invalid("no path was given, here or with --state"))
  return { saved = true }
end

local function clear_faults(standin)
  standin.faults:set {}
  return standin.faults:figures()
end

local ACTIONS = {
  ["GET /_standin"] = show_self,
  ["GET /_standin/counters"] = function(standin) return standin:figures() end,
  ["POST /_standin/counters/reset"] = reset_counters,
  ["GET /_standin/faults"] = function(standin) return standin.faults:figures() end,
  ["POST /_standin/faults"] = set_faults,
  ["DELETE /_standin/faults"] = clear_faults,
  ["GET /_standin/pages"] = show_pages,
  ["GET /_standin/duplicates"] = show_duplicates,
  ["POST /_standin/fill"] = fill,
  ["POST /_standin/hide"] = hide,
  ["POST /_standin/reset"] = reset,
  ["POST /_standin/save"] = save,
}

local function perform(standin, request)
  local action = ACTIONS[request.method .. " " .. request.path]
  if not action then
    local names = {}
    for name in pairs(ACTIONS) do
      names[#names + 1] = name
    end
    table.sort(names)
    failures.refuse(404, "object_not_found", "There are: " .. table.concat(names, ", "))
  end
  request.json = request.body ~= "" and json.decode(request.body) or {}
  return action(standin, request)
end

--- Answers a request under /_standin.
---@param standin table
---@param request table
---@return table answer
function M.answer(standin, request)
  local done, result = pcall(perform, standin, request)
  local status = 200
  if not done then
    status = type(result) == "table" and result.status or 400
    result = { object = "error", status = status, message = tostring(type(result) == "table" and result.message
      or result) }
  end
  return { status = status, headers = { ["Content-Type"] = "application/json; charset=utf-8" },
    body = json.encode(result) }
end

return M
