--- `ligase db`: the private Postgres, and psql on whichever server is meant.
local cluster = require "ligase.store.cluster"
local conninfo_of = require "ligase.store.conninfo"
local db = require "ligase.store.db"
local errors = require "ligase.base.errors"
local output = require "ligase.cli.output"
local parsing = require "ligase.cli.parsing"
local sys = require "sys"
local text = require "ligase.base.text"

local M = {}

M.description = "Without POSTGRES_URL or POSTGRES_HOST, ligase keeps a Postgres of its own in the workspace, reached "
  .. "through a unix socket only. It starts by itself. status, psql and url also work with a server of yours; what "
  .. "follows psql is handed to it."
M.example = [[
  ligase db status
  ligase db psql -c "\d measurements"
  pg_dump "$(ligase db url)" > backup.sql
  ligase db stop]]

local ACTIONS = { "start", "stop", "status", "psql", "url" }

--- Declares the command's words.
---@param parser table argparse's
function M.configure(parser)
  parser:argument("ACTION", "start, stop, status, psql or url."):target("action"):argname("ACTION")
    :convert(parsing.one_of("the action", ACTIONS))
  parser:argument("ARG", "For psql: its own arguments."):target("arguments"):argname("ARG"):args("*")
end

--- What follows psql is psql's, options included.
---@param words string[]
---@return string[]
function M.prepare(words)
  if words[1] == "psql" and words[2] ~= "--" then
    table.insert(words, 2, "--")
  end
  return words
end

-- ---- the private Postgres --------------------------------------------------

local private = {}

function private.status(context)
  local status = cluster.status(context.workspace)
  local rows = {}
  for _, name in ipairs { "state", "workspace", "data", "socket_folder", "log", "owner", "version", "pid", "url" } do
    if status[name] then
      rows[#rows + 1] = { (name:gsub("_", " ")), tostring(status[name]) }
    end
  end
  output.write(text.table(rows))
end

function private.start(context)
  cluster.start(context.workspace)
  private.status(context)
end

function private.stop(context)
  output.write(cluster.stop(context.workspace) and "stopped\n" or "it does not run\n")
end

function private.url(context)
  output.write(cluster.url(context.workspace) .. "\n")
end

function private.psql(context, arguments)
  sys.exec(table.move(arguments, 1, #arguments, 3, cluster.psql_command(context.workspace)))
end

-- ---- a server of the lab's -------------------------------------------------

local own = {}

function own.status(context)
  local conn = context:connect()
  local row = db.describe(conn)
  local state, step, latest = require("ligase.store.migration_record").state(conn)
  output.write(text.table {
    { "state", "reachable" }, { "address", row.address }, { "port", row.port }, { "database", row.database },
    { "user", row.user }, { "version", row.version }, { "schema", ("%s (step %d of %d)"):format(state, step, latest) },
  })
end

function own.url(context)
  output.write(conninfo_of.text(context.config:postgres()) .. "\n")
end

function own.psql(context, arguments)
  local server, password = conninfo_of.split(context.config:postgres())
  sys.exec(table.move(arguments, 1, #arguments, 3, { "psql", server }), { env = { PGPASSWORD = password } })
end

local function refuse_own(action)
  errors.raise { kind = "usage", code = "db", message = ("'db %s' is for the private Postgres, but POSTGRES_URL or "
    .. "POSTGRES_HOST names a server of yours"):format(action), hint = "Start and stop that server with its own tools" }
end

--- Runs the command.
---@param arguments table as parsed
---@param context ligase.context
function M.run(arguments, context)
  local action = arguments.action
  if action ~= "psql" and #arguments.arguments > 0 then
    errors.raise { kind = "usage", code = "usage", message = ("'db %s' takes no arguments"):format(action),
      hint = "See: ligase db --help" }
  end
  if db.is_private(context.config) then
    private[action](context, arguments.arguments)
  elseif own[action] then
    own[action](context, arguments.arguments)
  else
    refuse_own(action)
  end
end

return M
