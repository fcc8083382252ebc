local cluster = require "ligase.store.cluster"
local errors = require "ligase.base.errors"
local host = require "host"
local pg = require "pg"
local server = require "ligase.store.cluster_server"
local support = require "tests.support"
local sys = require "sys"

local is_root = sys.user().uid == 0
local started -- workspaces whose Postgres has to be stopped

--- A workspace that every user may enter, as in most homes and on most servers.
local function workspace(name)
  local path = support.workspace()
  sys.chmod(path, "755")
  if name then
    path = path .. "/" .. name
    sys.mkdir(path, { parents = true })
  end
  started[#started + 1] = path
  return path
end

--- A workspace with a private Postgres that is not running.
local function made_workspace(name)
  local path = workspace(name)
  support.private_postgres(path)
  return path
end

local function raised(fn, ...)
  local ok, failure = pcall(fn, ...)
  assert.is_false(ok, "an error was expected")
  assert.is_true(errors.is(failure), tostring(failure))
  return failure
end

local function answer(path)
  local conn <close> = cluster.connect(path)
  return conn:query("SELECT 6 * 7 AS n")[1].n
end

--- Runs Lua in a ligase of its own, as another user if one is named.
local function run_ligase(code, arguments, user)
  local argv = table.move(arguments or {}, 1, #(arguments or {}), 4, { host.executable, "-e", code })
  return sys.run(argv, { user = user, cwd = "/", stdout = "capture", stderr = "capture", timeout_s = 60,
    env = { LIGASE_HOME = host.home, LIGASE_WORKSPACE = false } })
end

--- Whether root runs this, and the user nobody can start ligase: not where the project lies in
--- a folder of root's alone.
local function can_be_nobody()
  if not is_root then
    pending("needs root, to become somebody else")
  elseif sys.run({ "test", "-x", host.executable }, { user = "nobody", cwd = "/" }).code ~= 0 then
    pending("the other user cannot start ligase here")
  else
    return true
  end
  return false
end

before_each(function()
  started = {}
end)

after_each(function()
  for _, path in ipairs(started) do
    cluster.remove(path)
  end
end)

describe("the private Postgres", function()
  it("is made on first need, stopped, and started again with what was in it", function()
    local path = workspace()
    assert.equal("absent", cluster.status(path).state)
    assert.is_false(cluster.stop(path))
    assert.is_nil(sys.stat(path .. "/.ligase"))
    do
      local conn <close> = cluster.connect(path)
      conn:query("CREATE TABLE kept (x integer)")
    end
    local status = cluster.status(path)
    assert.equal("running", status.state)
    assert.equal(path .. "/.ligase/pg", status.folder)
    assert.is_true(cluster.stop(path))
    assert.equal("stopped", cluster.status(path).state)
    assert.is_false(cluster.stop(path))
    local conn <close> = cluster.connect(path)
    assert.equal(0, #conn:query("SELECT * FROM kept"))
  end)

  it("has the settings that were promised", function()
    local conn <close> = cluster.connect(workspace())
    local function setting(name)
      return conn:query("SELECT current_setting($1) AS value", name)[1].value
    end
    for name, value in pairs { fsync = "on", synchronous_commit = "on", full_page_writes = "on", jit = "off",
      data_checksums = "on", listen_addresses = "", server_encoding = "UTF8", port = "5432",
      unix_socket_permissions = "0700" } do
      assert.equal(value, setting(name), name)
    end
    local row = conn:query([[SELECT current_user AS me, current_database() AS db, datcollate
      FROM pg_database WHERE datname = current_database()]])[1]
    assert.equal("ligase", row.me)
    assert.equal("ligase", row.db)
    assert.matches("^C", row.datcollate)
  end)

  it("starts no process while it is up", function()
    local path = made_workspace()
    cluster.ensure(path)
    local run = sys.run
    sys.run = function() error("something was started") end -- luacheck: ignore 122
    local ok, problem = pcall(cluster.ensure, path)
    sys.run = run -- luacheck: ignore 122
    assert.is_true(ok, tostring(problem))
  end)

  it("works in folders with any name", function()
    for _, name in ipairs { "it's \"quoted\" $HOME `x`", "üñí 実験 per%cent#hash" } do
      local path = workspace(name)
      assert.equal(42, answer(path))
      local conn <close> = pg.connect(cluster.url(path))
      assert.equal(42, conn:query("SELECT 42 AS n")[1].n)
      conn:close()
      cluster.remove(path)
    end
  end)

  it("puts the socket elsewhere when the folder is too deep, or has a comma", function()
    for _, name in ipairs { ("deep/"):rep(22) .. "end", "a,b" } do
      local path = workspace(name)
      assert.equal(42, answer(path))
      local status = cluster.status(path)
      assert.equal(path .. "/.ligase/pg", status.folder)
      assert.is_true(#status.socket_folder < 90)
      assert.is_nil(status.socket_folder:find(path, 1, true))
      local stat = sys.stat(status.socket_folder)
      assert.equal(tonumber("700", 8), stat.mode)
      assert.equal(sys.user(status.owner).uid, stat.uid)
      cluster.stop(path)
      sys.remove_tree(status.socket_folder) -- as after a reboot
      assert.equal(42, answer(path))
      cluster.remove(path)
    end
  end)

  it("exists once for each workspace", function()
    local one, two = workspace(), workspace()
    do
      local conn <close> = cluster.connect(one)
      conn:query("CREATE TABLE only_here (x integer)")
    end
    local conn <close> = cluster.connect(two)
    assert.equal(0, #conn:query("SELECT FROM pg_class WHERE relname = 'only_here'"))
    assert.are_not.equal(cluster.status(one).pid, cluster.status(two).pid)
    cluster.stop(one)
    assert.equal("running", cluster.status(two).state)
  end)

  it("is made once when many want it at once", function()
    local path, processes = workspace(), {}
    for i = 1, 5 do
      processes[i] = sys.spawn({ host.executable, "-e", [[
        local conn = require("ligase.store.cluster").connect((...))
        assert(conn:query("SELECT 1 AS n")[1].n == 1)]], path },
        { cwd = path, stdout = "null", stderr = path .. "/" .. i, env = { LIGASE_HOME = host.home } })
    end
    for i, process in ipairs(processes) do
      local ended = process:wait(60)
      assert.equal(0, ended and ended.code, sys.read_file(path .. "/" .. i))
    end
    assert.equal(42, answer(path))
  end)

  it("gives psql its words, and a URL that psql understands", function()
    local path = made_workspace("it's here")
    local argv = cluster.psql_command(path)
    local result = sys.run(table.move({ "-XAtc", "SELECT current_user" }, 1, 2, #argv + 1, argv),
      { stdout = "capture", stderr = "capture" })
    assert.equal("ligase\n", result.stdout, result.stderr)
  end)

  it("rolls back what is open when it is stopped, and keeps what was committed", function()
    local path = made_workspace()
    local conn <close> = cluster.connect(path)
    conn:query("CREATE TABLE t (x integer)")
    conn:begin()
    conn:query("INSERT INTO t VALUES (1)")
    assert.is_true(cluster.stop(path))
    local again <close> = cluster.connect(path)
    assert.equal(0, #again:query("SELECT * FROM t"))
  end)

  it("keeps its log and shows its last words when it does not start", function()
    local path = made_workspace()
    cluster.ensure(path)
    cluster.stop(path)
    local settings = cluster.status(path).data .. "/ligase.conf"
    sys.write_file(settings, sys.read_file(settings) .. "nonsense = 1\n")
    local failure = raised(cluster.ensure, path)
    assert.equal("system", failure.kind)
    assert.matches("cannot start the private Postgres", failure.message)
    assert.matches("contains errors", failure.message)
    assert.matches(path .. "/.ligase/pg/log", failure.hint, 1, true)
  end)

  it("says what to install when PostgreSQL is absent or of another version", function()
    local path, folders, search = made_workspace(), server.PROGRAM_FOLDERS, sys.getenv("PATH")
    server.PROGRAM_FOLDERS = {}
    sys.setenv("PATH", "/nonexistent")
    local absent = raised(server.find_programs)
    local version = raised(server.find_programs, 9)
    sys.setenv("PATH", search)
    server.PROGRAM_FOLDERS = folders
    assert.matches("not installed", absent.message)
    assert.matches("apt-get install postgresql", absent.hint, 1, true)
    assert.matches("apt-get install postgresql-9", version.hint, 1, true)
    cluster.ensure(path)
    cluster.stop(path)
    sys.write_file(cluster.status(path).data .. "/PG_VERSION", "98\n")
    assert.matches("made by PostgreSQL 98", raised(cluster.ensure, path).message)
  end)
end)

describe("the private Postgres of root", function()
  local function need_root()
    if not is_root then
      pending("needs root")
    end
    return is_root
  end

  it("runs as another user, whose files nobody else can read", function()
    if not need_root() then return end
    local path = workspace()
    cluster.ensure(path)
    local status = cluster.status(path)
    assert.are_not.equal("root", status.owner)
    for _, folder in ipairs { status.folder, status.data, status.socket_folder } do
      local stat = sys.stat(folder)
      assert.equal(sys.user(status.owner).uid, stat.uid)
      assert.equal(tonumber("700", 8), stat.mode)
    end
  end)

  it("lies elsewhere when that user cannot enter the workspace", function()
    if not need_root() then return end
    local path = workspace("closed")
    sys.chmod(path, "700")
    assert.equal(42, answer(path))
    local status = cluster.status(path)
    assert.matches("^/var/lib/ligase/%x+/pg$", status.folder)
    assert.equal(status.folder .. "\n", sys.read_file(path .. "/.ligase/pg_folder"))
    assert.equal(0, sys.stat("/var/lib/ligase").mode & tonumber("066", 8))
    assert.equal(tonumber("700", 8), sys.stat(status.folder).mode)
    cluster.stop(path)
    assert.equal(42, answer(path))
  end)

  it("is removed with all that belongs to it, also where that lies elsewhere", function()
    local near = workspace()
    assert.is_false(cluster.remove(near))
    cluster.ensure(near)
    assert.is_true(cluster.remove(near))
    assert.same({ "cluster.lock" }, sys.list(near .. "/.ligase"))
    assert.equal("absent", cluster.status(near).state)
    if not need_root() then return end
    local path = workspace("closed")
    sys.chmod(path, "700")
    do
      local conn <close> = cluster.connect(path)
      conn:query "CREATE TABLE kept (x integer)"
    end
    local status = cluster.status(path)
    assert.is_true(cluster.remove(path))
    assert.is_nil(sys.stat((status.folder:match "^(.*)/pg$")))
    assert.is_nil(sys.stat(status.socket_folder))
    local conn <close> = cluster.connect(path)
    assert.equal(0, #conn:query "SELECT FROM pg_tables WHERE tablename = 'kept'")
  end)

  it("begins anew where an earlier workspace at the path left one, which can be taken back", function()
    if not need_root() then return end
    local path = workspace("closed")
    sys.chmod(path, "700")
    local function ligase(words)
      words.workspace, words.database = path, false
      return support.ligase(words)
    end
    assert.equal(0, ligase({ "sql", "CREATE TABLE of_the_first (x integer)" }).code)
    local first = cluster.status(path)
    ligase { "db", "stop" }
    sys.remove_tree(path .. "/.ligase")
    assert.matches("database +absent", ligase({ "status" }).stdout)

    local begun = ligase { "db", "start" }
    local second = cluster.status(path)
    assert.equal(first.folder:gsub("/pg$", "-2/pg"), second.folder)
    local sees_the_first = support.ligase { "sql", "SELECT * FROM of_the_first", workspace = path, database = false }
    assert.matches('relation "of_the_first" does not exist', sees_the_first.stderr, 1, true)
    assert.matches("an earlier workspace at this path left its Postgres in " .. first.folder
      .. "; this one begins anew", begun.stderr, 1, true)
    assert.equal("", ligase({ "db", "start" }).stderr)
    assert.is_table(sys.stat(first.data))

    local take_back, remove = begun.stderr:match "To take it back: ligase db stop; (.-)%. To remove it, .-: (.-)\n"
    cluster.stop(path)
    assert.equal(0, sys.run({ "sh", "-c", take_back }).code)
    assert.equal(first.folder, cluster.status(path).folder)
    assert.equal("", ligase({ "sql", "SELECT * FROM of_the_first" }).stderr)
    cluster.stop(path)
    assert.equal(0, sys.run({ "sh", "-c", remove }).code)
    assert.equal("absent", cluster.status(path).state)
    sys.remove_tree((second.folder:gsub("/pg$", "")))
  end)

  it("is not shared with a workspace that is made where it was before it was moved", function()
    if not need_root() then return end
    local above = workspace("closed")
    sys.chmod(above, "700")
    local here, there = above .. "/lab", above .. "/moved"
    started[#started + 1], started[#started + 2] = here, there
    sys.mkdir(here)
    assert.equal(42, answer(here))
    local first = cluster.status(here).folder
    assert(os.rename(here, there))
    sys.mkdir(here)
    local told = support.ligase { "db", "start", workspace = here, database = false }.stderr
    assert.matches("unless a workspace that was moved still uses it: kill %-INT %d+; rm %-r '/var/lib/ligase/%x+'\n",
      told)
    assert.equal(first, cluster.status(there).folder)
    assert.are_not.equal(first, cluster.status(here).folder)
    assert.are_not.equal(cluster.status(there).socket_folder, cluster.status(here).socket_folder)
    assert.equal(42, answer(there))
  end)

  it("is out of reach for other users, and says so", function()
    if not can_be_nobody() then return end
    local path = made_workspace()
    cluster.ensure(path)
    local result = run_ligase("require('ligase.store.cluster').ensure((...))", { path }, "nobody")
    assert.equal(1, result.code)
    assert.matches("belongs to user " .. cluster.status(path).owner, result.stderr, 1, true)
    assert.matches("POSTGRES_URL", result.stderr, 1, true)
  end)
end)

describe("the private Postgres of an ordinary user", function()
  local nobody = sys.user("nobody")

  --- A workspace of the user nobody; root can play that part.
  local function nobodys(name)
    if not can_be_nobody() then
      return nil
    end
    local path = workspace()
    sys.chown(path, nobody.uid, nobody.gid)
    if name then
      path = path .. "/" .. name
      assert(run_ligase("sys.mkdir((...), { parents = true })", { path }, "nobody").code == 0)
      started[#started + 1] = path
    end
    return path
  end

  it("runs as that user, and root may use it too", function()
    local path = nobodys()
    if not path then return end
    local result = run_ligase([[
      local cluster = require "ligase.store.cluster"
      local conn <close> = cluster.connect((...))
      io.write(conn:query("SELECT current_user AS me")[1].me, " ", cluster.status((...)).owner)]],
      { path }, "nobody")
    assert.equal("ligase nobody", result.stdout, result.stderr)
    assert.equal(42, answer(path))
    cluster.stop(path)
    assert.equal(42, answer(path))
    assert.equal("nobody", cluster.status(path).owner)
  end)

  it("needs a workspace that can be written to", function()
    local path = nobodys()
    if not path then return end
    sys.chmod(path, "555")
    local result = run_ligase("require('ligase.store.cluster').ensure((...))", { path }, "nobody")
    assert.equal(1, result.code)
    assert.matches("cannot make the private Postgres: .*Permission denied", result.stderr)
    assert.matches("POSTGRES_URL", result.stderr, 1, true)
    assert.same({}, sys.list(path))
  end)

  it("trusts no socket folder that somebody else made", function()
    local path = nobodys(("deep/"):rep(22) .. "end")
    if not path then return end
    local trap = "/tmp/ligase-" .. nobody.uid
    sys.remove_tree(trap)
    sys.mkdir(trap)
    sys.chmod(trap, "777")
    local result = run_ligase([[
      local cluster = require "ligase.store.cluster"
      cluster.ensure((...))
      io.write(cluster.status((...)).socket_folder)]], { path }, "nobody")
    local caught = sys.list(trap)
    sys.remove_tree(trap)
    assert.equal(0, result.code, result.stderr)
    assert.same({}, caught)
    assert.is_nil(result.stdout:find(trap .. "/", 1, true))
    assert.equal(nobody.uid, sys.stat(result.stdout).uid)
  end)
end)
