--- What the stand-in remembers: pages, databases, data sources, blocks and users, with the
--- clock that they are dated by and the dice that their ids come from.
local failures = require "tests.standins.notion.failures"
local json = require "ligase.base.json"
local sys = require "sys"

local M = {}
M.__index = M

-- ---- dice ------------------------------------------------------------------

--- Numbers that a seed brings again, whatever else in the process throws dice.
---@param seed integer
---@return function next_bits gives 64 bits
local function new_dice(seed)
  local state = seed * 0x9E3779B97F4A7C15 + 0x2545F4914F6CDD1D
  return function()
    state = state + 0x9E3779B97F4A7C15
    local z = state
    z = (z ~ (z >> 30)) * 0xBF58476D1CE4E5B9
    z = (z ~ (z >> 27)) * 0x94D049BB133111EB
    return z ~ (z >> 31)
  end
end

--- A chance of `rate`, decided by the dice for faults, which the ids do not disturb.
---@return number from 0 up to 1
function M:chance()
  return (self.fault_bits() >> 11) * 2.0 ^ -53
end

--- A new id.
---@return string uuid with dashes
function M:new_id()
  local high, low = self.bits(), self.bits()
  return ("%08x-%04x-4%03x-%x%03x-%012x"):format(high >> 32, high >> 16 & 0xffff, high & 0xfff,
    8 | (low >> 62 & 3), low >> 48 & 0xfff, low & 0xffffffffffff)
end

local ID_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ;:@=?<"

--- A new property's id, as Notion gives them out: four characters, escaped for URLs.
---@param taken table by id
---@return string
function M:new_property_id(taken)
  local id
  repeat
    id = ""
    for _ = 1, 4 do
      local at = self.bits() % #ID_LETTERS + 1
      id = id .. ID_LETTERS:sub(at, at)
    end
    id = id:gsub("[^%w]", function(c) return ("%%%02X"):format(c:byte()) end)
  until not taken[id]
  return id
end

-- ---- clock -----------------------------------------------------------------

--- Seconds since 1970 on the stand-in's own clock.
---@return number
function M:now()
  return self.epoch + (sys.monotonic() - self.started) * self.clock
end

--- Now, rounded down to the minute as Notion dates things.
---@return string
function M:timestamp()
  local minute = self:now() // 60
  if minute ~= self.minute then
    self.minute = minute
    self.minute_text = os.date("!%Y-%m-%dT%H:%M:00.000Z", math.tointeger(minute * 60))
  end
  return self.minute_text
end

-- ---- ids and users ---------------------------------------------------------

--- An id in the one form the stand-in uses.
---@param id any with or without dashes, in any case
---@return string|nil
function M.plain_id(id)
  if type(id) ~= "string" then
    return nil
  end
  local hex = id:gsub("%-", ""):lower()
  if #hex ~= 32 or hex:find("%X") then
    return nil
  end
  return ("%s-%s-%s-%s-%s"):format(hex:sub(1, 8), hex:sub(9, 12), hex:sub(13, 16), hex:sub(17, 20), hex:sub(21))
end

--- The same, or a refusal.
---@param path string where the id stands in the request
---@param id any
---@return string
function M.checked_id(path, id)
  return M.plain_id(id) or failures.invalid_at(path, "a valid uuid", id)
end

--- The user that a token stands for; a new token makes a new user.
---@param token string
---@return table user
function M:user_of(token)
  local user = self.users[token]
  if not user then
    local is_person = token:find("person", 1, true) ~= nil
    user = { id = self:new_id(), name = is_person and "A person" or "ligase",
      type = is_person and "person" or "bot" }
    self.users[token] = user
  end
  return user
end

-- ---- objects ---------------------------------------------------------------

--- Whether an object, or what it lies in, is not shared with the connection.
local function is_hidden(self, object)
  while object do
    if object.hidden then
      return true
    end
    local parent = object.parent
    object = self.objects[object.above or object.source or object.database or parent and parent.page_id]
  end
  return false
end

--- Finds an object that the request may see, or refuses.
---@param kind string "page", "database", "data_source", "block"
---@param id string plain
---@return table
function M:find(kind, id)
  local object = self.objects[id]
  local is_block = kind == "block" and object and (object.kind == "page" or object.kind == "block")
  if not object or is_hidden(self, object) or not (is_block or object.kind == kind) then
    failures.not_found(kind, id)
  end
  return object
end

--- Adds an object and dates it.
---@param object table with its kind
---@param user table who made it
---@return table object
function M:add(object, user)
  object.id = object.id or self:new_id()
  object.created_time = self:timestamp()
  object.last_edited_time = object.created_time
  object.created_by, object.last_edited_by = user.id, user.id
  self.objects[object.id] = object
  return object
end

--- Notes that somebody changed an object.
---@param object table
---@param user table
function M:touch(object, user)
  object.last_edited_time = self:timestamp()
  object.last_edited_by = user.id
  self.revision = self.revision + 1
end

---@class standin.WorldOptions
---@field seed? integer what ids and faults are drawn from
---@field clock? number how many times as fast as ours the stand-in's clock runs

--- A world with one empty page, below which databases can be made.
---@param options standin.WorldOptions
---@return table world
function M.new(options)
  local seed = options.seed or 1
  local world = setmetatable({
    seed = seed, clock = options.clock or 1.0, bits = new_dice(seed), fault_bits = new_dice(~seed),
    epoch = sys.now(), started = sys.monotonic(), revision = 0,
    objects = {}, users = {}, databases = {},
  }, M)
  world.root = world:add({ kind = "page", parent = { type = "workspace", workspace = true },
    values = { title = json.array() }, children = {} }, world:user_of("standin"))
  return world
end

return M
