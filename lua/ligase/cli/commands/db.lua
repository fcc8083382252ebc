local cluster = require "ligase.store.cluster"
local db = require "ligase.store.db"
local errors = require "ligase.base.errors"
local sys = require "sys"
local text = require "ligase.base.text"

local M = {}

M.summary = "start, stop or look at the private Postgres"
M.description = "Without POSTGRES_URL or POSTGRES_HOST, ligase keeps a Postgres of its own in the workspace, reached "
  .. "through a unix socket only. It starts by itself; psql and url also work with a server of yours."
M.example = [[
  ligase db status
  ligase db psql -- -c "\d measurements"
  pg_dump "$(ligase db url)" > backup.sql
  ligase db stop]]

function M.configure(parser)
  parser:argument("action", "start, stop, status, psql or url."):choices { "start", "stop", "status", "psql", "url" }
    :argname("ACTION")
  parser:argument("arguments", "For psql: its own arguments, after --."):args("*"):argname("ARG")
end

local actions = {}

function actions.start(context)
  cluster.start(context.workspace)
  return actions.status(context)
end

function actions.stop(context)
  local stopped = cluster.stop(context.workspace)
  io.stdout:write(stopped and "stopped\n" or "it does not run\n")
end

function actions.status(context)
  local status = cluster.status(context.workspace)
  local rows = {}
  for _, name in ipairs { "state", "workspace", "data", "socket_folder", "log", "owner", "version", "pid", "url" } do
    if status[name] then
      rows[#rows + 1] = { (name:gsub("_", " ")), tostring(status[name]) }
    end
  end
  io.stdout:write(text.table(rows))
end

local function refuse_own_server(action)
  errors.raise { kind = "usage", code = "db", message = ("'db %s' is for the private Postgres, and POSTGRES_URL or "
    .. "POSTGRES_HOST names a server of yours"):format(action), hint = "Start and stop that server with its own tools" }
end

local function own_server_url(context)
  local conninfo = context.config:postgres()
  if type(conninfo) == "string" then
    return conninfo
  end
  local parts = {}
  for _, key in ipairs { "host", "port", "dbname", "user", "password" } do
    if conninfo[key] then
      parts[#parts + 1] = ("%s='%s'"):format(key, (tostring(conninfo[key]):gsub("[\\']", "\\%0")))
    end
  end
  return table.concat(parts, " ")
end

function M.run(arguments, context)
  local action = arguments.action
  if action ~= "psql" and #arguments.arguments > 0 then
    errors.raise { kind = "usage", code = "usage", message = ("'db %s' takes no arguments"):format(action),
      hint = "See: ligase db --help" }
  end
  local private = db.is_private(context.config)
  if actions[action] then
    if not private then
      refuse_own_server(action)
    end
    return actions[action](context)
  end
  if action == "url" then
    io.stdout:write(private and cluster.url(context.workspace) or own_server_url(context), "\n")
    return
  end
  local argv = private and cluster.psql_command(context.workspace) or { "psql", own_server_url(context) }
  for _, argument in ipairs(arguments.arguments) do
    argv[#argv + 1] = argument
  end
  sys.exec(argv)
end

return M
