--- A database for a while: made beside the lab's own when the role may do that, else on
--- the workspace's private Postgres, and dropped afterwards.
local cluster = require "ligase.store.cluster"
local conninfo_of = require "ligase.store.conninfo"
local errors = require "ligase.base.errors"
local pg = require "pg"
local sys = require "sys"

local M = {}

local PREFIX = "ligase_scratch_"
local FORGOTTEN_AFTER_S = 3600
local INSUFFICIENT_PRIVILEGE = "42501"

---@class ligase.Scratch
---@field conninfo string|table
---@field place string "the server" or "the private Postgres"
local Scratch = {}
Scratch.__index = Scratch

--- What a killed process left; its name says how old it is.
local function drop_forgotten(conn)
  for _, row in ipairs(conn:query([[
    SELECT datname AS name FROM pg_database AS d
    WHERE starts_with(datname, $1) AND NOT EXISTS (SELECT FROM pg_stat_activity AS a WHERE a.datid = d.oid)]],
    PREFIX)) do
    local made = tonumber(row.name:match("^" .. PREFIX .. "(%d+)_"))
    if made and sys.now() - made > FORGOTTEN_AFTER_S then
      errors.try(conn.script, conn, "DROP DATABASE IF EXISTS " .. conn:quote_identifier(row.name))
    end
  end
end

local LIKE_THIS = [[
  SELECT pg_encoding_to_char(encoding) AS encoding, datcollate, datctype FROM pg_database
  WHERE datname = current_database()]]

local function literal(text)
  return ("'%s'"):format((text:gsub("'", "''")))
end

local function create(conninfo)
  local conn <close> = pg.connect(conninfo)
  drop_forgotten(conn)
  local name = ("%s%d_%d_%s"):format(PREFIX, sys.now() // 1, sys.pid(), sys.uuid7():gsub("-", ""):sub(-12))
  local like = conn:query(LIKE_THIS)[1]
  conn:script(("CREATE DATABASE %s TEMPLATE template0 ENCODING %s LC_COLLATE %s LC_CTYPE %s"):format(name,
    literal(like.encoding), literal(like.datcollate), literal(like.datctype)))
  return name
end

--- Makes one; close it.
---@param server string|table a database on the server that is tried first
---@param workspace? string the folder whose private Postgres serves where the server does not allow it; without
--- one that raises
---@return ligase.Scratch
function M.open(server, workspace)
  local done, name = errors.try(create, server)
  if done then
    return setmetatable({ server = server, name = name, place = "the server",
      conninfo = conninfo_of.with_database(server, name) }, Scratch)
  elseif not workspace or not errors.is(name, "database") or name.code ~= INSUFFICIENT_PRIVILEGE then
    error(name, 0)
  end
  local was_running = cluster.status(workspace).state == "running"
  local private = cluster.ensure(workspace)
  name = create(private)
  return setmetatable({ server = private, name = name, place = "the private Postgres", workspace = workspace,
    stops = not was_running, conninfo = conninfo_of.with_database(private, name) }, Scratch)
end

--- Drops it, whoever is connected.
function Scratch:close()
  if self.name then
    local name = self.name
    self.name = nil
    local conn <close> = pg.connect(self.server)
    conn:script(("DROP DATABASE IF EXISTS %s WITH (FORCE)"):format(name))
  end
  if self.stops then
    self.stops = false
    cluster.stop(self.workspace)
  end
end

Scratch.__close = Scratch.close

return M
