--- From names in cells to features.
---
--- A feature has two names of one origin that every machine computes alike: `id`, a
--- UUIDv5 of its type and canonical name, and `key`, 64 bits of SHA-256 of the same.
--- A resolver reads each distinct name once per process and remembers its key.
local dictionary = require "dictionary"
local sys = require "sys"

local M = {}

--- UUIDv5 namespace of ligase's features (a UUIDv5 of the URL namespace and
--- "urn:ligase:feature"); changing it would change every feature's id.
local NAMESPACE = "14c1dc24-3a87-580e-a87c-4cd65888b0a6"

--- Names remembered before the resolver starts afresh, which bounds its memory.
local REMEMBERED_MOST = 100000

local function origin(feature_type, name)
  return feature_type .. "\0" .. name
end

--- The 64-bit key of a feature, as measurements carry it.
---@param feature_type string "lipid", "gene", ...
---@param name string canonical name
---@return integer
function M.feature_key(feature_type, name)
  return sys.hash64(origin(feature_type, name))
end

--- The UUID of a feature.
---@param feature_type string
---@param name string canonical name
---@return string
function M.feature_id(feature_type, name)
  return sys.uuid5(NAMESPACE, origin(feature_type, name))
end

--- Canonical names longer than this are cut: an index cannot hold them. What they were
--- read from stands whole in their receipts.
local NAME_BYTES_MOST = 1000

---@class ligase.reading
---@field name string canonical name; as it stands when it was not understood
---@field level string|nil how much the name says ("species", ...)
---@field rule string which rule read it
---@field aside table|nil what was set aside (adduct, label, ...)
---@field reason string|nil why it was not understood
---@field candidates string[]|nil what it may mean, when that is more than one

--- Names met and not yet asked for in the database, in four lists of one length.
---@class ligase.waiting
---@field raws string[]
---@field raw_keys integer[] 64 bits of SHA-256 of the raw names
---@field keys integer[] of the features
---@field readings ligase.reading[]

---@class ligase.resolver
---@field feature_type string
---@field describe (fun(name: string): table|nil)|nil what follows from a canonical name
---@field read_all (fun(raws: string[]): (ligase.reading|false)[])|nil reads many names at once, with one look-up
---@field state string|nil what read_all depends on beside its code
---@field known table what each name that was read stands for, see dictionary
---@field waiting ligase.waiting
---@field unread table<integer, {raw: string, reason: string}> names that were not understood, by key
---@field expects_new boolean|nil the names written last were all new
---@field rollbacks integer how often what it remembered turned out not to be there
local Resolver = {}
Resolver.__index = Resolver

local function nothing_waiting()
  return { raws = {}, raw_keys = {}, keys = {}, readings = {} }
end

--- A resolver for one feature type.
---@param feature_type string
---@param read fun(raw: string): ligase.reading|nil nil when the cell holds no name
---@param describe (fun(name: string): table|nil)|nil attributes of a new feature
---@return ligase.resolver
function M.resolver(feature_type, read, describe)
  return setmetatable({ feature_type = feature_type, read = read, describe = describe, known = dictionary.new(),
    waiting = nothing_waiting(), taken = nothing_waiting(), written = {}, unread = {}, rollbacks = 0 }, Resolver)
end

--- A name that an index can hold: the start of a long one, and a digest of all of it.
---@param name string
---@return string
function M.bounded(name)
  if #name <= NAME_BYTES_MOST then
    return name
  end
  local start = name:sub(1, (utf8.offset(name, 0, NAME_BYTES_MOST - 30) or NAME_BYTES_MOST - 30) - 1)
  return ("%s... [%016x]"):format(start, sys.hash64(name))
end

local function read_each(self, raws)
  if self.read_all then
    return self.read_all(raws)
  end
  local read, readings = self.read, {}
  for i = 1, #raws do
    readings[i] = read(raws[i]) or false
  end
  return readings
end

--- What stands in a cell without a name. "nan" is not among them: a fly has a gene of that name.
local NO_NAME = { ["NA"] = true, ["N/A"] = true, ["#N/A"] = true, ["null"] = true, ["NULL"] = true, ["-"] = true }

--- Sets the texts that are no names aside, for good.
local function without_no_names(self, raws)
  local names, nameless, none = {}, {}, {}
  for i = 1, #raws do
    if NO_NAME[raws[i]] then
      nameless[#nameless + 1], none[#none + 1] = raws[i], false
    else
      names[#names + 1] = raws[i]
    end
  end
  self.known:put(nameless, none)
  return names
end

--- Reads names that were not met before; their readings wait to be written.
local function meet(self, texts)
  local raws = without_no_names(self, texts)
  if #raws == 0 then
    return
  end
  local readings, canonical = read_each(self, raws), {}
  for i = 1, #raws do
    local reading = readings[i]
    if reading and #reading.name > NAME_BYTES_MOST then
      reading.name = M.bounded(reading.name)
    end
    canonical[i] = reading and reading.name or ""
  end
  local keys, raw_keys = sys.hash64_all(canonical, origin(self.feature_type, "")), sys.hash64_all(raws)
  local waiting = self.waiting
  local n = #waiting.raws
  for i = 1, #raws do
    local reading = readings[i]
    if reading then
      n = n + 1
      waiting.raws[n], waiting.raw_keys[n], waiting.keys[n], waiting.readings[n] = raws[i], raw_keys[i], keys[i],
        reading
      if reading.reason then
        self.unread[keys[i]] = { raw = raws[i], reason = reading.reason }
      end
    else
      keys[i] = false
    end
  end
  self.known:put(raws, keys)
end

--- The features' keys for a column of names: each distinct name is read once.
---@param column table a text column of a frame
---@return table keys int8 column; NULL where there is no name
function Resolver:resolve(column)
  local keys, unknown = self.known:map(column)
  if unknown then
    meet(self, unknown)
    keys = self.known:map(column)
  end
  return keys
end

--- The same for a list of names.
---@param raws string[]
---@return (integer|false)[] keys false where there is no name
function Resolver:resolve_all(raws)
  local known, unknown, asked = self.known, {}, {}
  for _, raw in ipairs(raws) do
    if known:get(raw) == nil and not asked[raw] then
      asked[raw] = true
      unknown[#unknown + 1] = raw
    end
  end
  meet(self, unknown)
  local keys = {}
  for i, raw in ipairs(raws) do
    keys[i] = known:get(raw)
  end
  return keys
end

--- The UUID of one of its features.
---@param name string canonical name
---@return string
function Resolver:feature_id(name)
  return M.feature_id(self.feature_type, name)
end

--- How many names are waiting.
---@return integer
function Resolver:waiting_count()
  return #self.waiting.raws
end

--- The waiting names, for who writes them now; names met from here on wait anew.
---@return ligase.waiting
function Resolver:take()
  self.taken, self.waiting = self.waiting, nothing_waiting()
  return self.taken
end

--- The names taken last are in the database, as far as the open transaction goes.
function Resolver:wrote()
  local raws = self.taken.raws
  table.move(raws, 1, #raws, #self.written + 1, self.written)
  self.taken = nothing_waiting()
end

--- The transaction was committed: what it wrote need not be asked for again.
function Resolver:committed()
  self.written = {}
  self:forget_some()
end

--- The transaction was rolled back: nothing it wrote is there. Files whose names were
--- resolved meanwhile may count on some of it, so that they have to be read again.
function Resolver:rolled_back()
  for _, list in ipairs { self.waiting.raws, self.taken.raws, self.written } do
    self.known:remove(list)
  end
  self.waiting, self.taken, self.written = nothing_waiting(), nothing_waiting(), {}
  self.rollbacks = self.rollbacks + 1
end

--- Starts afresh when too much is remembered, also in the middle of a large file; what is
--- still waiting stays. A name met again is then looked up again.
function Resolver:forget_some()
  if #self.known <= REMEMBERED_MOST then
    return
  end
  local waiting, unread = self.waiting, {}
  for _, key in ipairs(waiting.keys) do
    unread[key] = self.unread[key]
  end
  self.unread = unread
  self.known:close()
  self.known:put(waiting.raws, waiting.keys)
end

return M
