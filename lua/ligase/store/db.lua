--- The database that the settings mean, ready for work: connected, of a version we
--- know, with the schema that this ligase was written for.
local cluster = require "ligase.store.cluster"
local errors = require "ligase.base.errors"
local lazy = require "ligase.base.lazy"
local options_of = require "ligase.base.options"
local pg = require "pg"

local M = {}

local record = lazy "ligase.store.migration_record"

local OLDEST_SERVER = 13

-- Compiling a query costs more than it saves on queries like ours.
local SESSION = "SET jit = off"

--- Whether the workspace's private Postgres is meant, rather than a server of the lab's.
---@param config ligase.Config
---@return boolean
function M.is_private(config)
  return config:postgres() == nil
end

--- How pg.connect and Postgres' own programs reach the database; a private Postgres is made
--- and started when it is not there.
---@param config ligase.Config
---@param workspace string a folder
---@return string|table conninfo
function M.server(config, workspace)
  return config:postgres() or cluster.ensure(workspace)
end

--- A connection that is only begun, while the caller does something else; nil when there
--- is nothing to connect to. What is wrong with it shows when connect is given it.
---@param config ligase.Config
---@param workspace string a folder
---@return table|nil ahead
function M.connect_ahead(config, workspace)
  local options = { echo = config:get("POSTGRES_ECHO"), later = true }
  local conninfo = config:postgres()
  if conninfo then
    return pg.connect(conninfo, options)
  end
  return cluster.connect_ahead(workspace, options)
end

--- Whether a connection that was begun ahead has come to stand. A private Postgres that is
--- down has yet to be started; a server of the lab's that cannot be reached is an error.
local function has_come(config, ahead)
  local done, failure = pcall(ahead.pid, ahead)
  if not done then
    ahead:close()
    if not M.is_private(config) or errors.is(failure, "interrupted") then
      error(failure, 0)
    end
  end
  return done
end

--- A connection without any look at the schema, for `migrate` and `sql`.
---@param config ligase.Config
---@param workspace string a folder
---@param ahead table|nil from connect_ahead
---@return table conn
function M.connect(config, workspace, ahead)
  local options = { echo = config:get("POSTGRES_ECHO") }
  local conninfo = config:postgres()
  local conn = ahead and has_come(config, ahead) and ahead
    or conninfo and pg.connect(conninfo, options) or cluster.connect(workspace, options)
  local version = tonumber((conn:parameter("server_version") or ""):match("^%d+"))
  if version and version < OLDEST_SERVER then
    conn:close()
    errors.raise { kind = "database", code = "server_version",
      message = ("the server is PostgreSQL %d, which is too old"):format(version),
      hint = ("ligase needs PostgreSQL %d or newer"):format(OLDEST_SERVER) }
  end
  conn:script(SESSION)
  return conn
end

--- Which server and database a connection reaches.
---@param conn table
---@return {database: string, user: string, version: string, address: string, port: string}
function M.describe(conn)
  return conn:query([[
SELECT current_database() AS database, current_user AS "user", current_setting('server_version') AS version,
  coalesce(host(inet_server_addr()), 'unix socket') AS address, current_setting('port') AS port]])[1]
end

local MISMATCH = {
  absent = {
    message = "the database holds no schema of ligase's yet",
    hint = "Run: ligase migrate up",
  },
  older = {
    message = "the database's schema is older than this ligase: step %d of %d",
    hint = "Run: ligase migrate up",
  },
  newer = {
    message = "the database's schema is newer than this ligase: step %d, the files end with step %d",
    hint = "Install the newer ligase, or go back with it: ligase migrate down --to %d",
  },
}

local function refuse_schema(state, step, latest)
  local mismatch = MISMATCH[state]
  errors.raise { kind = "database", code = "schema_" .. state,
    message = mismatch.message:format(step, latest), hint = mismatch.hint:format(latest) }
end

--- A connection to the database with its schema. A private Postgres is made and
--- started when it is not there, and gets its schema when `migrate` allows it; a
--- server of the lab's gets its schema only by `ligase migrate up`.
---@param config ligase.Config
---@param workspace string a folder
---@param options? {migrate: boolean?, ahead: table?} migrate: false without it; ahead: from connect_ahead
---@return table conn
function M.open(config, workspace, options)
  options = options_of.check(options, { migrate = { type = "boolean", default = false },
    ahead = { type = "userdata" } }, "db.open")
  local conn = M.connect(config, workspace, options.ahead)
  local checked, problem = pcall(function()
    local state, step, latest = record.state(conn)
    if (state == "absent" or state == "older") and options.migrate and M.is_private(config) then
      require("ligase.store.migrate").up(function()
        return M.connect(config, workspace)
      end)
    elseif state ~= "current" then
      refuse_schema(state, step, latest)
    end
  end)
  if not checked then
    conn:close()
    error(problem, 0)
  end
  return conn
end

return M
