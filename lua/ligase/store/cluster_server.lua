--- The installed PostgreSQL, and the server process of the private cluster: found,
--- set up, started, stopped. Who may call when is decided in ligase.store.cluster.
---
--- Paths reach Postgres' programs as the current folder and not as words, because
--- pg_ctl hands its words to a shell.
local errors = require "ligase.base.errors"
local place_of = require "ligase.store.cluster_place"
local sys = require "sys"

local M = {}

M.OLDEST_VERSION = 13

--- Where PostgreSQL's programs lie, beside the folders in PATH.
M.PROGRAM_FOLDERS = { "/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/pgsql/bin" }

local fail = place_of.fail
local MIB = 1024 * 1024

-- Finding the programs ------------------------------------------------------

local function is_file(path)
  local found, stat = pcall(sys.stat, path)
  return found and stat ~= nil and stat.type == "file"
end

local function is_program_folder(folder)
  return is_file(folder .. "/postgres") and is_file(folder .. "/initdb")
    and is_file(folder .. "/pg_ctl")
end

local function major_version(folder)
  local result = sys.run({ folder .. "/postgres", "--version" }, { stderr = "capture" })
  return result.code == 0 and tonumber(result.stdout:match("PostgreSQL%) (%d+)")) or nil
end

local function program_folders()
  local folders, seen = {}, {}
  local function add(folder)
    if folder:sub(1, 1) == "/" and not seen[folder] and is_program_folder(folder) then
      seen[folder] = true
      folders[#folders + 1] = folder
    end
  end
  for folder in (sys.getenv("PATH") or ""):gmatch("[^:]+") do
    add(folder)
    if is_file(folder .. "/pg_config") then
      local result = sys.run({ folder .. "/pg_config", "--bindir" }, { stderr = "capture" })
      if result.code == 0 then
        add((result.stdout:gsub("%s+$", "")))
      end
    end
  end
  for _, pattern in ipairs(M.PROGRAM_FOLDERS) do
    for _, folder in ipairs(sys.glob(pattern)) do
      add(folder)
    end
  end
  return folders
end

--- The version of the cluster in the place, nil when there is none yet.
---@param place ligase.ClusterPlace
---@return integer?
function M.cluster_version(place)
  local path = place.data .. "/PG_VERSION"
  return sys.stat(path) and tonumber(sys.read_file(path):match("^%d+")) or nil
end

--- The folder of PostgreSQL's programs: of the version named, else of the newest.
---@param version? integer
---@return string folder
---@return integer version
function M.find_programs(version)
  local best, best_version, others = nil, 0, {}
  for _, folder in ipairs(program_folders()) do
    local found = major_version(folder)
    if found and (found == version or not version and found > best_version) then
      best, best_version = folder, found
    elseif found then
      others[#others + 1] = ("%d"):format(found)
    end
  end
  if version and not best then
    fail(("the private Postgres was made by PostgreSQL %d, which is not installed%s"):format(version,
      #others > 0 and " (found: " .. table.concat(others, ", ") .. ")" or ""),
      ("Run: apt-get install postgresql-%d, or set POSTGRES_URL to use a server of your own"):format(version))
  end
  if best_version < M.OLDEST_VERSION then
    fail(best and ("PostgreSQL %d is too old for the private Postgres"):format(best_version)
      or "PostgreSQL is not installed, so there is none to start",
      ("Run: apt-get install postgresql (%d or newer), or set POSTGRES_URL to use a server of your own")
      :format(M.OLDEST_VERSION))
  end
  return best, best_version
end

-- Settings ------------------------------------------------------------------

--- Memory that this machine or container may use, in bytes.
local function memory_bytes()
  local total = tonumber(sys.read_file("/proc/meminfo"):match("MemTotal:%s*(%d+) kB")) * 1024
  for _, path in ipairs { "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes" } do
    local found, limit = pcall(sys.read_file, path)
    limit = found and tonumber(limit:match("^%d+"))
    total = limit and math.min(total, limit) or total
  end
  return total
end

local function clamp(value, low, high)
  return math.max(low, math.min(high, value)) // 1 | 0
end

local SETTINGS = [[
# Written once, when ligase made this cluster; yours to change from then on.
# Full durability (fsync, synchronous_commit, full_page_writes) is Postgres' default.

# For bulk loads, by this machine's memory.
shared_buffers = %dMB
effective_cache_size = %dMB
maintenance_work_mem = %dMB
work_mem = 32MB
max_wal_size = %dMB
min_wal_size = 256MB
checkpoint_timeout = 15min
checkpoint_completion_target = 0.9

# Compiling a query costs more than it saves on queries like ours.
jit = off
# Solid-state disks.
random_page_cost = 1.1

log_checkpoints = off
log_line_prefix = '%%m [%%p] '
]]

local function settings_text()
  local mib = memory_bytes() // MIB
  return SETTINGS:format(clamp(mib / 8, 64, 1024), clamp(mib / 2, 256, 32768),
    clamp(mib / 32, 32, 512), clamp(mib / 4, 1024, 4096))
end

local function quote_setting(text)
  return "'" .. text:gsub("[\\']", "%0%0") .. "'"
end

local HBA = [[
# Only this machine, only through the socket, only whom pg_ident.conf names.
local all all peer map=ligase
local replication all peer map=ligase
]]

local function ident_text(owner)
  local lines = { "# map, user of the operating system, role" }
  local seen = {}
  for _, name in ipairs { owner.name, "root", place_of.me().name } do
    if not seen[name] then
      seen[name] = true
      lines[#lines + 1] = ('ligase "%s" %s'):format(name, place_of.NAME)
    end
  end
  return table.concat(lines, "\n") .. "\n"
end

--- Writes a file for the owner; a file that was there keeps its owner.
local function write_for(place, path, text)
  sys.write_file(path, text, { mode = tonumber("600", 8) })
  if place_of.run_as(place) then
    sys.chown(path, place.owner.uid, place.owner.gid)
  end
end

-- Making --------------------------------------------------------------------

--- Runs one of PostgreSQL's programs as the cluster's owner in a folder.
local function run_program(place, folder, argv)
  return sys.run(argv, {
    user = place_of.run_as(place),
    cwd = folder,
    -- What the person's own clients are told must not reach the server.
    env = { LC_ALL = "C", PGDATA = false, PGPORT = false, PGOPTIONS = false, PGHOST = false,
      PGDATABASE = false, PGUSER = false },
    stdout = "capture",
    stderr = "capture",
  })
end

local function last_line(text)
  local last
  for line in text:gmatch("[^\n]+") do
    last = line:find("%S") and line or last
  end
  return last
end

local function initdb(place, programs, folder, locale)
  return run_program(place, folder, { programs .. "/initdb", "-D", ".", "-U", place_of.NAME,
    "--encoding=UTF8", "--locale=" .. locale, "--data-checksums", "--auth-local=peer",
    "--auth-host=reject", "--no-instructions" })
end

--- Fills an empty folder with a cluster.
local function fill(place, folder)
  local programs = M.find_programs()
  local result = initdb(place, programs, folder, "C.UTF-8")
  if result.code ~= 0 and result.stderr:find("locale", 1, true) then
    result = initdb(place, programs, folder, "C") -- older systems know no C.UTF-8
  end
  if result.code ~= 0 then
    local reason = result.stderr:match("[^\n]*FATAL:%s*([^\n]*)") or result.stderr:match("error: ([^\n]*)")
      or last_line(result.stderr) or ("initdb ended with status %s"):format(result.code or result.signal)
    fail("cannot make the private Postgres in " .. place.folder,
      "Check that there is room on the disk and that the folder is writable", reason)
  end
  write_for(place, folder .. "/pg_hba.conf", HBA)
  write_for(place, folder .. "/pg_ident.conf", ident_text(place.owner))
  write_for(place, folder .. "/ligase.conf", settings_text())
  write_for(place, folder .. "/ligase_socket.conf", "")
  local own = folder .. "/postgresql.conf"
  write_for(place, own, sys.read_file(own)
    .. "\n# The settings of ligase; what follows them wins.\n"
    .. "include 'ligase.conf'\ninclude 'ligase_socket.conf'\n")
end

--- Makes the cluster when it is not there. It is filled under another name and then
--- renamed, so that it is either whole or absent, and what was left of an attempt
--- that was killed is swept away. Call under the lock.
---@param place ligase.ClusterPlace
function M.make(place)
  for _, name in ipairs(sys.list(place.folder)) do
    if name:find("^making%-") then
      pcall(sys.remove_tree, ("%s/%s"):format(place.folder, name)) -- its initdb may still write
    end
  end
  if sys.stat(place.data) then
    return
  end
  local folder = ("%s/making-%s"):format(place.folder, sys.uuid7())
  local made, problem = pcall(function()
    sys.mkdir(folder, { mode = tonumber("700", 8) })
    if place_of.run_as(place) then
      sys.chown(folder, place.owner.uid, place.owner.gid)
    end
    fill(place, folder)
    sys.rename(folder, place.data)
  end)
  if not made then
    pcall(sys.remove_tree, folder)
    if errors.is(problem, "system") and problem.hint then
      error(problem, 0)
    end
    fail("cannot make the private Postgres in " .. place.folder,
      "Check that there is room on the disk and that the folder is writable", problem)
  end
end

-- The server process --------------------------------------------------------

local function pid_file(place)
  return place.data .. "/postmaster.pid"
end

--- The pid that the pid file names, and whether that process is the server of this data
--- folder. A pid alone proves nothing, since pids are used again: the process must work
--- in the folder.
---@return integer? pid
---@return boolean is_server
---@return string? content of the pid file
local function named_process(place)
  local found, content = pcall(sys.read_file, pid_file(place))
  local pid = found and math.tointeger(tonumber(content:match("^%d+")))
  if not pid then
    return nil, false
  end
  local working, folder = pcall(sys.real_path, ("/proc/%d/cwd"):format(pid))
  return pid, working and folder == sys.real_path(place.data), content
end

--- The server's process id, nil when it is not running.
---@param place ligase.ClusterPlace
---@return integer?
function M.pid(place)
  local pid, is_server = named_process(place)
  return is_server and pid or nil
end

--- Makes a pid file whose process is another one harmless. Postgres would take any
--- living process of its user for the old server; the file itself has to stay,
--- because it names the shared memory that orphans of the old server may still use. A
--- server that a killed ligase had begun to start may appear at any moment: its file is
--- left alone.
local function disown_pid_file(place)
  local pid, is_server, content = named_process(place)
  if pid and not is_server and pid > 1 and sys.kill(pid, 0) then
    local never_a_pid = tostring(0x7FFFFFFF)
    write_for(place, pid_file(place), (content:gsub("^%d+", never_a_pid, 1)))
  end
end

local function log_size(place)
  local stat = sys.stat(place.log)
  return stat and stat.size_bytes or 0
end

--- What was written to the log from a byte on, at most the last 64 KiB of it.
local function log_text(place, from_byte)
  local file = io.open(place.log, "rb")
  if not file then
    return ""
  end
  file:seek("set", math.max(from_byte, log_size(place) - 64 * 1024))
  local text = file:read("a") or ""
  file:close()
  return text
end

--- Why a server gave up: its last FATAL or PANIC that is its own and not an orphan's
--- farewell, else its last line.
local function last_words(text)
  local words
  for line in text:gmatch("[^\n]+") do
    local fatal = line:match("FATAL:%s*(.*)") or line:match("PANIC:%s*(.*)")
    if fatal and not fatal:find("unexpected postmaster exit", 1, true) then
      words = fatal
    end
  end
  return words or last_line(text)
end

--- What the remains of an old server cause for a moment.
local function is_passing(text)
  return text:find("pre-existing shared memory block", 1, true) ~= nil
    or text:find("lock file .* already exists") ~= nil
end

local LOG_LIMIT_BYTES = 8 * MIB

--- Starts the server and waits until it is there or has given up; says which. It
--- may be recovering still when this returns. Call under the lock, when it is down.
---@param place ligase.ClusterPlace
---@return boolean started
---@return string? reason the server's last words when it did not start
---@return boolean? passing whether trying again soon makes sense
function M.start(place)
  local programs = M.find_programs(M.cluster_version(place))
  local socket_folder = place_of.make_socket_folder(place)
  place_of.clear_socket_folder(socket_folder)
  disown_pid_file(place)
  write_for(place, place.data .. "/ligase_socket.conf",
    ("# Written at each start: no network, one socket that only its owner may use.\n"
    .. "listen_addresses = ''\nport = 5432\n"
    .. "unix_socket_directories = %s\nunix_socket_permissions = 0700\n"):format(
    quote_setting('"' .. socket_folder:gsub('"', '""') .. '"')))
  if log_size(place) > LOG_LIMIT_BYTES then
    sys.rename(place.log, place.log .. ".old")
  end
  local before = log_size(place)
  -- pg_ctl makes the server a session of its own, so that no terminal takes it along.
  local result = run_program(place, place.data,
    { programs .. "/pg_ctl", "start", "-D", ".", "-l", "../log", "-w", "-t", "600", "-s" })
  if result.code == 0 then
    return true
  end
  local text = log_text(place, before)
  return false, last_words(text) or last_line(result.stderr) or "pg_ctl gave no reason", is_passing(text)
end

--- Stops the server in fast mode and waits for its end. Call under the lock.
---@param place ligase.ClusterPlace
---@param timeout_s number
---@return boolean stopped false when it did not run
function M.stop(place, timeout_s)
  local pid = M.pid(place)
  if not pid then
    return false
  end
  sys.kill(pid, "INT")
  local deadline = sys.monotonic() + timeout_s
  while M.pid(place) do
    if sys.monotonic() > deadline then
      fail(("the private Postgres (process %d) did not stop within %g s"):format(pid, timeout_s),
        "See its log in " .. place.log)
    end
    sys.sleep(0.02)
  end
  return true
end

return M
