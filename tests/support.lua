--- What specs share: databases on the run's own Postgres, workspaces, temporary
--- files, the executable as a child process, and an independent reader in Python.
---
--- Everything handed out is taken back: at the end of the test when the test (or
--- a before_each) asked for it, at the end of the file when a setup did. Specs
--- close what they open themselves; tests/run.lua fails a file that does not.
local cluster = require "ligase.store.cluster"
local host = require "host"
local pg = require "pg"
local place_of = require "ligase.store.cluster_place"
local sys = require "sys"

local M = {}

local TEMPLATE = "spec_template"
--- Several processes may share one server.
local PREFIX = ("spec_%d_"):format(sys.pid())

--- Set by open(): where this run keeps its files, what busted is executing; the
--- rest once a spec needs the database.
local run

-- ---- what was handed out ---------------------------------------------------

--- Things asked for in a test belong to it; what a setup asked for lives as long
--- as the file. `round` counts finished tests, so that what a before_each asked
--- for belongs to the test that follows.
local held, round = {}, 0

local function release_where(wanted)
  local failures = {}
  for i = #held, 1, -1 do
    if wanted(held[i]) then
      local item = table.remove(held, i)
      local ok, problem = pcall(item.release)
      if not ok then
        failures[#failures + 1] = ("cannot release %s: %s"):format(item.what, tostring(problem))
      end
    end
  end
  return failures
end

local function hold(what, release)
  release_where(function(item)
    return item.round and item.round < round
  end)
  local place = run.place()
  local in_test = place == "it" or place == "before_each" or place == "after_each"
  held[#held + 1] = { what = what, release = release, round = in_test and round or nil }
end

-- ---- databases -------------------------------------------------------------

local function conninfo_of(database)
  return (run.url:gsub("^postgresql:///[^?]*", "postgresql:///" .. database))
end

--- The connection that makes and drops databases; the first use starts the server,
--- so that specs without a database do not wait for one.
local function admin()
  if not run.admin and run.is_guest then
    run.admin = pg.connect(conninfo_of("postgres"))
  elseif not run.admin then
    run.url = cluster.url(run.folder)
    run.admin = pg.connect(conninfo_of("postgres"))
    -- Nothing here has to outlive a power cut, and creating databases is mostly fsync. The
    -- log must not fill the memory that it may lie in.
    for _, setting in ipairs { "fsync = off", "full_page_writes = off", "max_wal_size = '512MB'" } do
      run.admin:query("ALTER SYSTEM SET " .. setting)
    end
    run.admin:query("SELECT pg_reload_conf()")
  end
  return run.admin
end

--- Copying files is the cheaper way; before Postgres 15 it was the only one.
local function strategy()
  local version = admin():query("SELECT current_setting('server_version_num')::int AS version")[1].version
  return version >= 150000 and "STRATEGY file_copy" or ""
end

local function create_database(template)
  run.databases = run.databases + 1
  local name = PREFIX .. run.databases
  run.strategy = run.strategy or strategy()
  admin():script(("CREATE DATABASE %s TEMPLATE %s %s"):format(name, template, run.strategy))
  hold("database " .. name, function()
    run.admin:script(("DROP DATABASE IF EXISTS %s WITH (FORCE)"):format(name))
  end)
  return conninfo_of(name)
end

--- A connection that is closed with what else the test holds.
local function connect(conninfo, options)
  local conn = pg.connect(conninfo, options)
  hold("connection", function()
    conn:close()
  end)
  return conn
end

--- The template is migrated once per run; copying it is many times faster than
--- migrating each database anew.
local function migrated_template()
  if not run.template then
    admin():script("CREATE DATABASE " .. TEMPLATE .. " TEMPLATE template0")
    local conn <close> = pg.connect(conninfo_of(TEMPLATE))
    require("ligase.store.migrate").up(conn)
    run.template = TEMPLATE
  end
  return run.template
end

--- A fresh, empty database.
---@return string conninfo a connection URI, good for POSTGRES_URL too
function M.database()
  return create_database("template0")
end

--- A fresh database with the whole schema in it.
---@return string conninfo a connection URI, good for POSTGRES_URL too
function M.migrated_database()
  return create_database(migrated_template())
end

--- A connection to a fresh, empty database.
---@param options? table what pg.connect takes
---@return table conn
function M.connect(options)
  return connect(M.database(), options)
end

--- A connection to a fresh database with the whole schema in it.
---@param options? table what pg.connect takes
---@return table conn
---@return string conninfo of its database
function M.migrated(options)
  local conninfo = M.migrated_database()
  return connect(conninfo, options), conninfo
end

--- Gives a workspace without one a private Postgres, which is not running: a copy of one that
--- ligase made, for specs of what comes after the making.
---@param workspace string
function M.private_postgres(workspace)
  if not run.made then
    local made = run.folder .. "/made"
    sys.mkdir(made)
    sys.chmod(made, "755")
    cluster.ensure(made)
    cluster.stop(made)
    run.made = cluster.status(made).data
  end
  local copied = sys.run({ "cp", "-a", run.made, place_of.make(workspace).data }, { stderr = "capture" })
  assert(copied.code == 0, copied.stderr)
end

-- ---- waiting ---------------------------------------------------------------

--- Waits for what is about to happen; raises when it does not.
---@param what string for the message
---@param holds fun(): any
---@param seconds? number 20 without it
function M.wait_until(what, holds, seconds)
  local deadline = sys.monotonic() + (seconds or 20)
  while not holds() do
    if sys.monotonic() > deadline then
      error("waited in vain until " .. what, 2)
    end
    sys.sleep(0.02)
  end
end

-- ---- files -----------------------------------------------------------------

--- A fresh, empty folder.
---@return string path absolute
function M.workspace()
  local path = sys.temp_dir("workspace-")
  hold("workspace " .. path, function()
    sys.remove_tree(path)
  end)
  return path
end

--- A file with this content, in a folder of its own so that its name can be chosen.
---@param content string
---@param name? string the file's name, "input.csv" by default
---@return string path absolute
function M.tmpfile(content, name)
  local path = M.workspace() .. "/" .. (name or "input.csv")
  local file = assert(io.open(path, "wb"))
  assert(file:write(content))
  assert(file:close())
  return path
end

--- A real file from the folder that lies beside the project on our own machines.
---@param relative string path below that folder's data/, such as "lipidomics/x.csv"
---@return string? path nil where there is no such file
function M.shared(relative)
  local path = host.home .. "/../shared/data/" .. relative
  return sys.stat(path) and sys.real_path(path) or nil
end

--- Like shared(), but the test that asks is skipped, with the reason, when the file is absent.
---@param relative string path below that folder's data/
---@return string path
function M.need_shared(relative)
  return M.shared(relative) or run.pending("needs ../shared/data/" .. relative)
end

-- ---- processes -------------------------------------------------------------

--- A child sees our environment, which tests/run.lua has freed of settings, in a
--- locale and on a terminal width that are the same everywhere.
local function child_environment(extra)
  local env = { LC_ALL = "C.UTF-8", COLUMNS = "100" }
  for name, value in pairs(extra or {}) do
    env[name] = value
  end
  return env
end

--- Words that interrupt what follows them, a second after its start. Not in the background:
--- there timeout sends CONT too, which undoes the stop that LeakSanitizer waits for, for ever,
--- in a process that is ending by then.
M.INTERRUPTED = { "timeout", "--foreground", "-s", "INT", "1" }

--- Runs the built executable and waits for it.
---
--- The words of the command line are the positional entries. `database` is a
--- conninfo; without it the child gets one that does not exist, so that a spec
--- starts a private cluster only when it asks for one with `database = false`.
---@param call table {"ingest", "x.csv", workspace=, database=, env=, stdin=, timeout_s=};
--- env extends the environment, false takes a variable out
---@return table result {code, signal, stdout, stderr}
function M.ligase(call)
  local argv = table.move(call, 1, #call, 2, { host.executable })
  local env = child_environment(call.env)
  local workspace = call.workspace or M.workspace()
  if env.LIGASE_WORKSPACE == nil then
    env.LIGASE_WORKSPACE = workspace
  end
  if call.database ~= false and not (env.POSTGRES_URL or env.POSTGRES_HOST) then
    env.POSTGRES_URL = call.database or "postgresql:///no_database_was_given?host=/nowhere"
  end
  return sys.run(argv, {
    cwd = workspace,
    env = env,
    stdin = call.stdin,
    timeout_s = call.timeout_s or 120,
  })
end

--- Whether this machine has a terminal to lend (a bare chroot without /dev/pts has none).
---@return boolean
function M.has_terminal()
  return sys.run({ "python3", "-c", "import pty; pty.openpty()" }, { stderr = "null" }).code == 0
end

--- Runs the built executable on a terminal, with a person who does the steps: see
--- tests/terminal.py for what there is. Raises when a step waits in vain.
---@param steps table[]
---@param call table as for support.ligase, and columns= of the terminal (100)
---@return table result {output, code, signal, times, cooked}
function M.terminal(steps, call)
  local json = require "ligase.base.json"
  local argv = table.move(call, 1, #call, 5, { "python3", host.home .. "/tests/terminal.py", json.encode(steps),
    host.executable })
  local env = child_environment(call.env)
  env.COLUMNS, env.TERM = tostring(call.columns or 100), env.TERM or "xterm"
  env.HOME = env.HOME or call.workspace
  env.LIGASE_WORKSPACE = call.workspace or M.workspace()
  if call.database ~= false then
    env.POSTGRES_URL = call.database or "postgresql:///no_database_was_given?host=/nowhere"
  end
  local result = sys.run(argv, { cwd = env.LIGASE_WORKSPACE, env = env, timeout_s = call.timeout_s or 120 })
  if result.code ~= 0 then
    error("tests/terminal.py failed: " .. result.stderr, 2)
  end
  local told = json.decode(result.stdout)
  if told.problem ~= json.null then
    error(("%s; all of it:\n%s"):format(told.problem, told.output), 2)
  end
  return told
end

--- Runs a piece of Python, for a reading of a file that owes nothing to our code.
---@param code string
---@param arguments? string[] found in sys.argv[1:]
---@param stdin? string
---@return string stdout raises when Python fails
function M.python(code, arguments, stdin)
  local argv = table.move(arguments or {}, 1, #(arguments or {}), 4, { "python3", "-c", code })
  local result = sys.run(argv, {
    env = child_environment { PYTHONIOENCODING = "utf-8" },
    stdin = stdin,
    timeout_s = 120,
  })
  if result.code ~= 0 then
    error("python3 failed: " .. result.stderr, 2)
  end
  return result.stdout
end

-- ---- for tests/run.lua -----------------------------------------------------

--- Tells where this run keeps its files; its Postgres starts when a spec needs it.
---@param options table {folder=, place=function, pending=function, server={url=, template=}|nil}: an existing
--- folder, what busted is executing ("it", "before_each", ...), how a test is skipped, and somebody else's server
function M.open(options)
  local server = options.server or {}
  run = { folder = options.folder, place = options.place, pending = options.pending, databases = 0,
    url = server.url, template = server.template, is_guest = options.server ~= nil }
end

--- This run's server, for other processes to use.
---@return {url: string, template: string}
function M.server()
  return { template = migrated_template(), url = run.url }
end

--- Takes note that a test has ended.
function M.finish_test()
  round = round + 1
end

local OPEN_CONNECTIONS = [[
  SELECT datname, coalesce(query, '') AS query FROM pg_stat_activity
  WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND starts_with(datname, $1)]]

--- Backends need a moment to notice that their client has gone.
local function open_connections()
  local rows = {}
  for _ = 1, run.admin and 40 or 0 do
    rows = run.admin:query(OPEN_CONNECTIONS, PREFIX)
    if #rows == 0 then
      break
    end
    sys.sleep(0.05)
  end
  return rows
end

--- Releases everything the file holds and tells what it left behind by itself.
---@return string[] leaks one line each
function M.finish_file()
  local leaks = release_where(function(item)
    return item.what == "connection"
  end)
  for _, row in ipairs(open_connections()) do
    leaks[#leaks + 1] = ("a connection to %s was left open; its last statement: %s"):format(
      row.datname, row.query)
    collectgarbage() -- or the next file is blamed for it too
  end
  for _, failure in ipairs(release_where(function() return true end)) do
    leaks[#leaks + 1] = failure
  end
  local temporary = sys.getenv("TMPDIR")
  for _, name in ipairs(sys.list(temporary)) do
    leaks[#leaks + 1] = "a temporary file or folder was left behind: " .. name
    sys.remove_tree(temporary .. "/" .. name)
  end
  return leaks
end

--- Stops the run's Postgres; safe to call at any point of a run.
function M.close()
  if run and run.admin then
    run.admin:close()
  end
  if run and not run.is_guest then
    cluster.stop(run.folder)
  end
  run = nil
end

return M
