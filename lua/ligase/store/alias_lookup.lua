--- The alias tables of a database as a resolver asks them.
---
--- Names are read while the rows of the same file are on their way, so the tables are
--- asked on a connection of their own, which is made when it is first needed.
local aliases = require "ligase.omics.names.aliases"
local store = require "ligase.store.aliases"

local M = {}

---@class ligase.alias_lookup
---@field types table<string, true> feature types that have a table
local Lookup = {}
Lookup.__index = Lookup

--- The tables that are there; nil when there is none, so that nobody asks.
---@param conn table
---@param connect fun(): table makes a connection
---@return ligase.alias_lookup|nil close it
function M.open(conn, connect)
  local types = store.types(conn)
  return next(types) and setmetatable({ types = types, connect = connect }, Lookup)
end

--- Makes a resolver ask the tables for its feature type, where there are some.
---@param resolver ligase.resolver
function Lookup:serve(resolver)
  local feature_type = resolver.feature_type
  if not self.types[feature_type] then
    return
  end
  self.conn = self.conn or self.connect()
  local sources, state = store.sources(self.conn, feature_type)
  resolver.state = state
  resolver.read_all = function(raws)
    return aliases.read_all(feature_type, raws, resolver.read, function(names)
      return store.lookup(self.conn, feature_type, names, sources)
    end)
  end
end

--- Closes its connection. Safe to call again.
function Lookup:close()
  if self.conn then
    self.conn:close()
    self.conn = nil
  end
end

Lookup.__close = Lookup.close

return M
