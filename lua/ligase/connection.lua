--- The one connection that a script or a session works with: to the database of the
--- workspace's settings, opened when it is first needed.
local config_of = require "ligase.base.config"
local db = require "ligase.store.db"
local errors = require "ligase.base.errors"
local workspace = require "ligase.base.workspace"

local M = {}

local opened = {} -- {conn, ahead, config}: one process, one database

--- The settings, read when they are first needed.
---@return ligase.Config
function M.config()
  opened.config = opened.config or config_of.load { workspace = workspace.find() }
  return opened.config
end

--- Begins to connect, so that the first use waits less. What is wrong shows then.
function M.begin()
  if not opened.conn and not opened.ahead then
    errors.try(function()
      if M.config():get "USE_POSTGRES_AS_SOT" then
        opened.ahead = db.connect_ahead(M.config(), workspace.find())
      end
    end)
  end
end

--- Whether there is a database to look into: a private Postgres that was never made is none.
---@return boolean
function M.has_database()
  return opened.conn ~= nil or not db.is_private(M.config())
    or require("ligase.store.cluster").status(workspace.find()).state ~= "absent"
end

--- The connection if one is open: nothing is opened, nothing waits.
---@return table|nil conn
function M.current()
  return opened.conn and opened.conn:is_open() and opened.conn or nil
end

--- A further connection that is only begun, for who must not disturb the first; nil when
--- there is nothing to connect to. The caller closes it.
---@return table|nil conn
function M.begin_beside()
  return M.config():get "USE_POSTGRES_AS_SOT" and db.connect_ahead(M.config(), workspace.find()) or nil
end

--- A further connection, which the caller closes.
---@return table conn
function M.another()
  return db.open(M.config(), workspace.find())
end

--- The connection, opened when it is first asked for, and anew when it was lost.
---@return table conn
function M.open()
  if opened.conn and not opened.is_lent and not opened.conn:is_open() then
    opened.conn:close()
    opened.conn = nil
  end
  if not opened.conn then
    if not M.config():get "USE_POSTGRES_AS_SOT" then
      errors.raise { kind = "usage", code = "postgres_off",
        message = "Postgres is switched off: USE_POSTGRES_AS_SOT is false",
        hint = "Set USE_POSTGRES_AS_SOT=true to use it" }
    end
    local ahead = opened.ahead
    opened.ahead = nil
    opened.conn = db.open(M.config(), workspace.find(), { migrate = true, ahead = ahead })
  end
  return opened.conn
end

--- Uses a connection of the caller's from here on, who also closes it.
---@param conn table
function M.use(conn)
  if opened.conn ~= conn then
    M.close()
  end
  opened.conn, opened.is_lent = conn, true
end

--- Closes the connection; the next call opens it anew.
function M.close()
  if opened.conn and not opened.is_lent then
    opened.conn:close()
  end
  if opened.ahead then
    opened.ahead:close()
  end
  opened = {}
end

return M
