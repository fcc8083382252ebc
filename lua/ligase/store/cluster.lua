--- The private Postgres of a workspace, for those who have no server: made and
--- started on first need, reached through a unix socket only.
---
--- While it is up, using it costs one connection attempt and nothing else. Only when
--- that fails is the lock taken and the matter looked into. Whatever is killed on the
--- way, the next call finds either a whole cluster or none and goes on from there.
local errors = require "ligase.base.errors"
local lazy = require "ligase.base.lazy"
local pg = require "pg"
local place_of = require "ligase.store.cluster_place"
local sys = require "sys"
local text = require "ligase.base.text"

local M = {}

local server = lazy "ligase.store.cluster_server" -- while it is up, using it needs none of that

local PORT = 5432
local LOCK_WAIT_S = 120
local READY_WAIT_S = 600 -- a crash recovery may take its time
local ORPHANS_WAIT_S = 10
local STOP_WAIT_S = 300

---@class ligase.Cluster how to reach the private Postgres; pg.connect takes it as it is
---@field host string the socket's folder
---@field port integer
---@field user string
---@field dbname string
---@field requirepeer string the user that the server must run as

local function conninfo_of(place, database)
  return {
    host = place_of.socket_folder(place),
    port = PORT,
    user = place_of.NAME,
    dbname = database or place_of.NAME,
    -- Another program that sits on our socket is not taken for the server.
    requirepeer = place.owner.name,
  }
end

--- A connection, or nil with the error. Only an interruption is raised.
local function try_connect(place, database, options)
  local connected, result = pcall(pg.connect, conninfo_of(place, database), options)
  if connected then
    return result
  elseif errors.is(result, "interrupted") or not errors.is(result, "database") then
    error(result, 0)
  end
  return nil, result
end

local function lock(workspace)
  local home = place_of.make_home(workspace)
  local locked, result = pcall(sys.lock, home .. "/cluster.lock", { wait_s = LOCK_WAIT_S })
  if not locked then
    place_of.fail("cannot lock the private Postgres",
      "Wait for the other ligase to finish, or look for one that hangs", result)
  end
  return result
end

--- What waiting or starting again will not change.
local function is_final(failure)
  for _, words in ipairs { "authentication failed", "no pg_hba.conf entry", "requirepeer",
    "too many clients", "remaining connection slots", "role \"" } do
    if failure.message:find(words, 1, true) then
      return true
    end
  end
  return false
end

local function start_server(place)
  local deadline = sys.monotonic() + ORPHANS_WAIT_S
  while true do
    local started, reason, passing = server.start(place)
    if started then
      return
    elseif not passing or sys.monotonic() > deadline then
      place_of.fail("cannot start the private Postgres", "See its log in " .. place.log, reason)
    elseif server.pid(place) then
      return -- started by a pg_ctl whose ligase was killed
    end
    sys.sleep(0.2)
  end
end

--- A connection to the database that is always there, starting the server if it is
--- down. Call under the lock.
local function connect_started(place)
  local deadline = sys.monotonic() + READY_WAIT_S
  while true do
    local conn, failure = try_connect(place, "postgres")
    if conn then
      return conn
    elseif is_final(failure) or sys.monotonic() > deadline then
      error(failure, 0)
    elseif server.pid(place) then
      sys.sleep(0.05) -- starting, recovering or stopping
    else
      start_server(place)
    end
  end
end

local function ensure_database(conn)
  if #conn:query("SELECT 1 FROM pg_database WHERE datname = $1", place_of.NAME) == 0 then
    conn:script("CREATE DATABASE " .. place_of.NAME .. " TEMPLATE template0")
  end
end

local function quoted(path)
  return "'" .. path:gsub("'", "'\\''") .. "'"
end

--- Says what an earlier workspace at the same path left, once: when a cluster was made beside it.
local function tell_left(place)
  for _, folder in ipairs(place.left or {}) do
    local pid = server.pid { data = folder .. "/data", folder = folder, owner = place.owner }
    io.stderr:write(text.printable(("ligase: an earlier workspace at this path left its Postgres in %s; this one "
      .. "begins anew. To take it back: ligase db stop; echo %s > %s. To remove it, unless a workspace that was moved "
      .. "still uses it: %srm -r %s"):format(folder, quoted(folder), quoted(place.home .. "/pg_folder"),
        pid and ("kill -INT %d; "):format(pid) or "", quoted((folder:gsub("/pg$", ""))))), "\n")
  end
end

--- Makes and starts what is missing.
local function establish(workspace)
  local held <close> = lock(workspace) -- luacheck: ignore 211
  local place = place_of.make(workspace)
  tell_left(place)
  server.make(place)
  local conn <close> = connect_started(place)
  ensure_database(conn)
  return place
end

--- A connection to the workspace's private Postgres, which is made and started when
--- it is not there.
---@param workspace string a folder
---@param options? table as for pg.connect
---@return table conn
function M.connect(workspace, options)
  workspace = sys.real_path(workspace)
  local place = place_of.find(workspace)
  local conn, failure
  if place then
    conn, failure = try_connect(place, nil, options)
    if failure and is_final(failure) then
      error(failure, 0)
    end
  end
  if not conn then
    place = establish(workspace)
    conn, failure = try_connect(place, nil, options)
  end
  return conn or error(failure, 0)
end

--- A connection to the private Postgres that is only begun, if there is a cluster: see
--- pg.connect's `later`. It may turn out not to run.
---@param workspace string a folder
---@param options table as for pg.connect, with later = true
---@return table|nil conn
function M.connect_ahead(workspace, options)
  local place = place_of.find(sys.real_path(workspace))
  return place and pg.connect(conninfo_of(place), options)
end

--- Makes sure that the private Postgres runs.
---@param workspace string a folder
---@return ligase.Cluster conninfo
function M.ensure(workspace)
  M.connect(workspace):close()
  return conninfo_of(place_of.find(sys.real_path(workspace)))
end

--- The same under the name that people look for.
M.start = M.ensure

--- Stops the private Postgres: open transactions are rolled back, everything that was
--- committed is on disk.
---@param workspace string a folder
---@return boolean stopped false when it did not run
function M.stop(workspace)
  workspace = sys.real_path(workspace)
  if not place_of.find(workspace) then
    return false
  end
  local held <close> = lock(workspace) -- luacheck: ignore 211
  local place = place_of.find(workspace)
  return place ~= nil and server.stop(place, STOP_WAIT_S)
end

--- Stops the private Postgres and removes it, with everything in it.
---@param workspace string a folder
---@return boolean removed false when there was none
function M.remove(workspace)
  workspace = sys.real_path(workspace)
  if not place_of.find(workspace) then
    return false
  end
  local held <close> = lock(workspace) -- luacheck: ignore 211
  local place = place_of.find(workspace)
  if place then
    server.stop(place, STOP_WAIT_S)
    place_of.remove(place)
  end
  return place ~= nil
end

local function encode(value)
  return (value:gsub("[^%w%-._~/]", function(character)
    return ("%%%02X"):format(character:byte())
  end))
end

local function url_of(place)
  local conninfo = conninfo_of(place)
  return ("postgresql:///%s?host=%s&user=%s"):format(conninfo.dbname, encode(conninfo.host), conninfo.user)
end

--- How things stand, without starting anything.
---@param workspace string a folder
---@return table status {state = "absent"|"stopped"|"running", workspace} and, unless
--- absent, folder, data, log, socket_folder, url, owner (a user's name), version, pid
function M.status(workspace)
  workspace = sys.real_path(workspace)
  local place = place_of.find(workspace)
  local version = place and server.cluster_version(place)
  if not version then
    return { state = "absent", workspace = workspace }
  end
  local pid = server.pid(place)
  return {
    state = pid and "running" or "stopped",
    workspace = workspace,
    folder = place.folder,
    data = place.data,
    log = place.log,
    socket_folder = place_of.socket_folder(place),
    url = url_of(place),
    owner = place.owner.name,
    version = version,
    pid = pid,
  }
end

--- The URL for other programs, of a Postgres that runs.
---@param workspace string a folder
---@return string
function M.url(workspace)
  M.ensure(workspace)
  return url_of(place_of.find(sys.real_path(workspace)))
end

--- The words that start psql on the private Postgres, which runs by then.
---@param workspace string a folder
---@return string[] argv
function M.psql_command(workspace)
  M.ensure(workspace)
  local place = place_of.find(sys.real_path(workspace))
  local psql = server.find_programs(server.cluster_version(place)) .. "/psql"
  return { sys.stat(psql) and psql or "psql", url_of(place) }
end

return M
