--- The stand-in's memory in a file, so that it can be stopped and go on.
local json = require "ligase.base.json"
local sys = require "sys"
local world_module = require "tests.standins.notion.world"

local M = {}

local MOST_BYTES = 1 << 30

--- What of an object is found again from the others.
local DERIVED = { data_source = { by_name = true, by_id = true, pages = true, texts = true, live = true } }

local function kept(object)
  local derived, copy = DERIVED[object.kind] or {}, {}
  for name, value in pairs(object) do
    if not derived[name] then
      copy[name] = value
    end
  end
  return copy
end

--- Writes a world to a file.
---@param world table
---@param path string
function M.save(world, path)
  local objects = {}
  for id, object in pairs(world.objects) do
    objects[id] = kept(object)
  end
  sys.write_file(path, json.encode { seed = world.seed, root = world.root.id, users = world.users,
    databases = json.array(world.databases), objects = objects, drawn = sys.hash64(tostring(world.bits())) })
end

local function restore_source(source)
  source.by_name, source.by_id, source.pages, source.texts, source.live = {}, {}, {}, {}, 0
  for _, property in ipairs(source.properties) do
    source.by_name[property.name], source.by_id[property.id] = property, property
  end
end

--- Reads a world from a file. Its ids go on from dice of their own, so that none comes twice.
---@param path string
---@param options table clock
---@return table world
function M.load(path, options)
  local data = json.decode(sys.read_file(path, MOST_BYTES), { max_bytes = MOST_BYTES, file = path })
  local world = world_module.new { seed = data.drawn, clock = options.clock }
  world.seed, world.users, world.databases = data.seed, data.users, data.databases
  world.objects = data.objects
  world.root = data.objects[data.root]
  local pages = {}
  for _, object in pairs(world.objects) do
    if object.kind == "data_source" then
      restore_source(object)
    elseif object.place then
      pages[#pages + 1] = object
    end
  end
  table.sort(pages, function(a, b) return a.place < b.place end)
  for _, page in ipairs(pages) do
    local source = world.objects[page.source]
    source.pages[#source.pages + 1] = page
    page.place = #source.pages
    source.live = source.live + (page.trashed and 0 or 1)
  end
  return world
end

return M
