--- From names in cells to features.
---
--- A feature has two names of one origin that every machine computes alike: `id`, a
--- UUIDv5 of its type and canonical name, and `key`, 64 bits of SHA-256 of the same.
--- A resolver reads each distinct name once per process and remembers its key.
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
  return setmetatable({ feature_type = feature_type, read = read, describe = describe, keys = {}, count = 0,
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

--- Reads names that were not met before; their readings wait to be written.
local function meet(self, raws)
  local readings, canonical = read_each(self, raws), {}
  for i = 1, #raws do
    local reading = readings[i]
    if reading and #reading.name > NAME_BYTES_MOST then
      reading.name = M.bounded(reading.name)
    end
    canonical[i] = reading and reading.name or ""
  end
  local keys, raw_keys = sys.hash64_all(canonical, origin(self.feature_type, "")), sys.hash64_all(raws)
  local known, waiting = self.keys, self.waiting
  local n = #waiting.raws
  for i = 1, #raws do
    local raw, reading = raws[i], readings[i]
    known[raw] = reading and keys[i]
    if reading then
      n = n + 1
      waiting.raws[n], waiting.raw_keys[n], waiting.keys[n], waiting.readings[n] = raw, raw_keys[i], keys[i], reading
      if reading.reason then
        self.unread[keys[i]] = { raw = raw, reason = reading.reason }
      end
    end
  end
  self.count = self.count + #raws
end

--- The features' keys for a column of names: each distinct name is read once.
---@param column table a text column of a frame
---@return table keys int8 column; NULL where there is no name
---@return integer[] distinct the keys of the distinct names (false for none)
function Resolver:resolve(column)
  local found, keys, unknown = column:distinct(), self.keys, {}
  for i = 1, #found do
    local raw = found[i]
    if keys[raw] == nil then
      if NO_NAME[raw] then
        keys[raw] = false
      else
        unknown[#unknown + 1] = raw
      end
    end
  end
  if #unknown > 0 then
    meet(self, unknown)
  end
  for i = 1, #found do
    found[i] = keys[found[i]]
  end
  return column:map(found), found
end

--- Names as a resolver takes them: each once already, and their keys wanted as a list.
---@param raws string[] each once
---@return table column
function M.column_of(raws)
  return {
    distinct = function()
      return table.move(raws, 1, #raws, 1, {})
    end,
    map = function(_, keys)
      return keys
    end,
  }
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
    for _, raw in ipairs(list) do
      self.keys[raw] = nil
    end
  end
  self.waiting, self.taken, self.written = nothing_waiting(), nothing_waiting(), {}
  self.rollbacks = self.rollbacks + 1
end

--- Starts afresh when too much is remembered, also in the middle of a large file; what is
--- still waiting stays. A name met again is then looked up again.
function Resolver:forget_some()
  if self.count <= REMEMBERED_MOST then
    return
  end
  local waiting, keys, unread = self.waiting, {}, {}
  for i, raw in ipairs(waiting.raws) do
    local key = waiting.keys[i]
    keys[raw], unread[key] = key, self.unread[key]
  end
  self.keys, self.unread, self.count = keys, unread, #waiting.raws
end

return M
