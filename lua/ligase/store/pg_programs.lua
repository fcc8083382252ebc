--- pg_dump and pg_restore, of the version that fits a server.
local conninfo_of = require "ligase.store.conninfo"
local errors = require "ligase.base.errors"
local server = require "ligase.store.cluster_server"
local sys = require "sys"

local M = {}

--- Where a program lies: of the server's own version if that is installed, else of the
--- newest, else wherever PATH says.
local function find(name, version)
  local best, best_version
  for _, pattern in ipairs(server.PROGRAM_FOLDERS) do
    for _, path in ipairs(sys.glob(pattern .. "/" .. name)) do
      local found = tonumber(path:match("(%d+)[^%d]*/bin/[^/]*$")) or 0
      if found == version then
        return path
      elseif not best or found > best_version then
        best, best_version = path, found
      end
    end
  end
  return best or name
end

--- Runs one of them on a database.
---@param name string "pg_dump" or "pg_restore"
---@param version integer the server's
---@param conninfo string|table
---@param words string[] further words
---@return {code: integer?, stdout: string, stderr: string} result
function M.run(name, version, conninfo, words)
  local database, password = conninfo_of.split(conninfo)
  local argv = { find(name, version), "-d", database, table.unpack(words) }
  return sys.run(argv, { env = { PGPASSWORD = password, LC_ALL = "C.UTF-8" }, stdout = "capture", stderr = "capture" })
end

local MOST_SHOWN = 160

--- The first line of the command that failed, cut between two words; nil when it is not told.
local function command_of(stderr)
  local command = stderr:match("Command was: ([^\n]*%S)") or stderr:match("Query was: ([^\n]*%S)")
  if command and #command > MOST_SHOWN then
    command = (command:sub(1, MOST_SHOWN):match("^(.*%S)%s") or command:sub(1, MOST_SHOWN)) .. " ..."
  end
  return command and "in: " .. command:gsub(";$", "") or nil
end

--- The same, where a failure ends everything.
---@param what string what fails then, for the message
---@param hint string
---@param name string "pg_dump" or "pg_restore"
---@param version integer the server's
---@param conninfo string|table
---@param words string[] further words
---@return string stdout
function M.insist(what, hint, name, version, conninfo, words)
  local result = M.run(name, version, conninfo, words)
  if result.code ~= 0 then
    local first = result.stderr:match("error: ([^\n]+)") or result.stderr:match("[^\n]+") or "no reason given"
    errors.raise { kind = "database", code = name, message = ("%s: %s"):format(what, first),
      detail = command_of(result.stderr), hint = hint }
  end
  return result.stdout
end

--- The server's main version.
---@param conn table
---@return integer
function M.version_of(conn)
  return tonumber((conn:parameter("server_version") or ""):match("^%d+")) or 0
end

--- The schema as SQL that is the same for equal schemas.
---@param conninfo string|table
---@param version integer the server's
---@return string
function M.schema(conninfo, version)
  local result = M.run("pg_dump", version, conninfo, { "--schema-only", "--restrict-key=fixed" })
  if result.code ~= 0 and result.stderr:find("restrict%-key") then -- older minor releases know no such thing
    result = M.run("pg_dump", version, conninfo, { "--schema-only" })
  end
  if result.code ~= 0 then
    errors.raise { kind = "database", code = "pg_dump", message = "pg_dump failed: " .. result.stderr,
      hint = "It has to be as new as the server: apt-get install postgresql-client" }
  end
  return result.stdout
end

return M
