--- The benchmark's own Postgres (full durability, as a user has it), programs run
--- against it, and the machine it all runs on.
local cluster = require "ligase.store.cluster"
local host = require "host"
local pg = require "pg"
local sys = require "sys"

local M = {}

--- Debian's Python, which is the one that has Debian's pandas.
M.python = sys.stat("/usr/bin/python3") and "/usr/bin/python3" or "python3"

local server

--- Starts it.
---@param folder string an existing folder for its files
function M.start(folder)
  server = { folder = folder, url = cluster.url(folder), databases = 0 }
  server.admin = pg.connect(M.conninfo("postgres"))
end

--- Stops it; safe to call when it never started.
function M.stop()
  if server then
    if server.admin then
      server.admin:close()
    end
    cluster.stop(server.folder)
    server = nil
  end
end

--- The URI of one of its databases.
---@param database string
---@return string
function M.conninfo(database)
  return (server.url:gsub("^postgresql:///[^?]*", "postgresql:///" .. database))
end

--- A fresh database with the schema.
---@return string conninfo
---@return table conn an open connection to it
function M.database()
  server.databases = server.databases + 1
  local name = "bench_" .. server.databases
  server.admin:script("CREATE DATABASE " .. name)
  local conninfo = M.conninfo(name)
  local conn = pg.connect(conninfo)
  require("ligase.store.migrate").up(conn)
  return conninfo, conn
end

--- Writes out what is still in memory, so that one contestant does not pay for
--- what another one left to be written.
function M.settle()
  server.admin:script("CHECKPOINT")
end

--- Drops one of its databases: large ones need not lie there to the end.
---@param conninfo string
function M.drop(conninfo)
  server.admin:script(("DROP DATABASE %s WITH (FORCE)"):format(conninfo:match("postgresql:///([%w_]+)")))
end

local function child_options(conninfo, env)
  local options = { cwd = server.folder, env = { POSTGRES_URL = conninfo }, timeout_s = 900 }
  for name, value in pairs(env or {}) do
    options.env[name] = value
  end
  return options
end

--- Runs a program to its end; raises with what it said when it fails.
---@param argv string[]
---@param conninfo? string becomes its POSTGRES_URL
---@param env? table<string, string> more of its environment
---@return string stdout
function M.run(argv, conninfo, env)
  local result = sys.run(argv, child_options(conninfo, env))
  if result.code ~= 0 then
    error(("%s failed:\n%s%s"):format(argv[1], result.stdout, result.stderr), 2)
  end
  return result.stdout
end

--- `ligase` with these words.
---@param conninfo string
---@param words string[]
---@param env? table<string, string> more of its environment
---@return string stdout
function M.ligase(conninfo, words, env)
  return M.run(table.move(words, 1, #words, 2, { host.executable }), conninfo, env)
end

--- Like ligase(), watching how much memory the process has at its peak.
---@param conninfo string
---@param words string[]
---@return number peak_bytes
function M.ligase_peak(conninfo, words)
  local options = child_options(conninfo)
  options.timeout_s = nil
  options.stdout = "null"
  options.stderr = server.folder .. "/ligase.err"
  local process = sys.spawn(table.move(words, 1, #words, 2, { host.executable }), options)
  local peak_kib = 0
  local outcome
  repeat
    local status = io.open(("/proc/%d/status"):format(process:pid()))
    if status then
      peak_kib = math.max(peak_kib, tonumber((status:read("a"):match("VmHWM:%s*(%d+)"))) or 0)
      status:close()
    end
    outcome = process:wait(0.01)
  until outcome
  if outcome.code ~= 0 then
    error("ligase failed:\n" .. sys.read_file(options.stderr))
  end
  return peak_kib * 1024
end

--- Where psql is: beside the server's programs when not on the PATH.
---@return string
function M.psql()
  local found = sys.glob("/usr/lib/postgresql/*/bin/psql")
  return found[#found] or "psql"
end

--- Whether the analyst's libraries are there.
---@return boolean
function M.has_pandas()
  local result = sys.run({ M.python, "-c", "import pandas, psycopg2" })
  return result.code == 0
end

--- One line about the machine.
---@return string
function M.machine()
  local model = sys.read_file("/proc/cpuinfo"):match("model name%s*:%s*([^\n]+)") or "unknown processor"
  local kib = tonumber(sys.read_file("/proc/meminfo"):match("MemTotal:%s*(%d+)"))
  return ("%d cores (%s), %.0f GB memory, PostgreSQL %s, ligase %s"):format(sys.cpu_count(), model,
    kib / 1024 ^ 2, server.admin:parameter("server_version"), host.version)
end

return M
