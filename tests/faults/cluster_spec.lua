local cluster = require "ligase.store.cluster"
local errors = require "ligase.base.errors"
local host = require "host"
local server = require "ligase.store.cluster_server"
local support = require "tests.support"
local sys = require "sys"

local is_root = sys.user().uid == 0
local path

local ENSURE = [[require("ligase.store.cluster").ensure((...))]]

local function spawn_ligase(code, ...)
  return sys.spawn({ host.executable, "-e", code, ... },
    { cwd = path, env = { LIGASE_HOME = host.home }, stdout = "null", stderr = path .. "/stderr" })
end

local function postmaster()
  return assert(cluster.status(path).pid)
end

local function is_alive(pid)
  local found, stat = pcall(sys.read_file, ("/proc/%d/stat"):format(pid))
  return found and not stat:find("%) [ZX] ")
end

local function count_kept()
  local conn <close> = cluster.connect(path)
  return conn:query("SELECT count(*) AS n FROM kept")[1].n
end

--- A running Postgres with a committed row in it.
local function prepare()
  if cluster.status(path).state == "absent" then
    support.private_postgres(path)
  end
  local conn <close> = cluster.connect(path)
  conn:query("CREATE TABLE kept AS SELECT 1 AS x")
end

before_each(function()
  path = support.workspace()
  sys.chmod(path, "755")
end)

after_each(function()
  pcall(cluster.stop, path)
end)

describe("kill -9 of ligase", function()
  it("while the private Postgres is made leaves a whole one or none", function()
    for _ = 1, 8 do
      local ligase = spawn_ligase(ENSURE, path)
      sys.sleep(math.random() * 2)
      ligase:kill("KILL")
      ligase:wait()
      ligase:close()
      local version = path .. "/.ligase/pg/data/PG_VERSION"
      local hba = path .. "/.ligase/pg/data/pg_ident.conf"
      if sys.stat(version) then
        assert.matches("ligase", sys.read_file(hba), 1, true)
      end
    end
    cluster.ensure(path)
    prepare()
    assert.equal(1, count_kept())
    cluster.stop(path)
    cluster.ensure(path) -- by now no initdb is left that could still write
    for _, name in ipairs(sys.list(path .. "/.ligase/pg")) do
      assert.is_nil(name:find("^making%-"), name)
    end
  end)

  it("with an open transaction takes the transaction along and nothing else", function()
    prepare()
    local ligase = spawn_ligase([[
      local conn = require("ligase.store.cluster").connect((...))
      conn:begin()
      conn:query("INSERT INTO kept VALUES (2)")
      sys.write_file((...) .. "/ready", "")
      sys.sleep(60)]], path)
    support.wait_until("the child is ready", function() return sys.stat(path .. "/ready") end)
    ligase:kill("KILL")
    ligase:close()
    assert.equal(1, count_kept())
  end)
end)

describe("kill -9 of the server", function()
  it("loses nothing that was committed", function()
    prepare()
    for _ = 1, 3 do
      sys.kill(postmaster(), "KILL")
      assert.equal(1, count_kept())
    end
  end)

  it("is survived although a process of the old server lives on for a while", function()
    prepare()
    local orphan
    local conn = cluster.connect(path)
    orphan = conn:pid()
    sys.kill(orphan, "STOP") -- it cannot notice that its postmaster has gone
    local old = postmaster()
    sys.kill(old, "KILL")
    support.wait_until("the postmaster is gone", function() return not is_alive(old) end)
    local ligase = spawn_ligase(ENSURE, path)
    assert.is_nil(ligase:wait(1.5)) -- it waits for the orphan, which still has the old memory
    sys.kill(orphan, "CONT")
    local ended = ligase:wait(30)
    assert.equal(0, ended and ended.code, sys.read_file(path .. "/stderr"))
    conn:close()
    assert.equal(1, count_kept())
  end)

  it("is survived although its process id belongs to somebody else now", function()
    prepare()
    local old, owner = postmaster(), cluster.status(path).owner
    sys.kill(old, "KILL")
    support.wait_until("the postmaster is gone", function() return not is_alive(old) end)
    local stranger <close> = sys.spawn({ "sleep", "60" }, { user = owner, cwd = "/" })
    local files = { path .. "/.ligase/pg/data/postmaster.pid", path .. "/.ligase/pg/run/.s.PGSQL.5432.lock" }
    for _, file in ipairs(files) do
      sys.write_file(file, (sys.read_file(file):gsub("^%d+", tostring(stranger:pid()), 1)))
    end
    assert.equal("stopped", cluster.status(path).state)
    assert.is_false(cluster.stop(path)) -- and does not stop the stranger
    assert.is_true(is_alive(stranger:pid()))
    assert.equal(1, count_kept())
    assert.is_true(is_alive(stranger:pid()))
  end)

  it("while it starts is survived", function()
    prepare()
    for _ = 1, 4 do
      cluster.stop(path)
      local ligase = spawn_ligase(ENSURE, path)
      sys.sleep(math.random() * 0.2)
      local pid = cluster.status(path).pid
      if pid then
        sys.kill(pid, "KILL")
      end
      ligase:wait(60) -- it may have failed, with the postmaster shot under it
      ligase:close()
      assert.equal(1, count_kept())
    end
  end)

  it("in the shape of one backend is survived by the others", function()
    prepare()
    local conn = cluster.connect(path)
    sys.kill(conn:pid(), "KILL")
    local ok, failure = pcall(conn.query, conn, "SELECT 1")
    assert.is_false(ok)
    assert.is_true(errors.is(failure, "database"), tostring(failure))
    conn:close()
    assert.equal(1, count_kept())
  end)
end)

describe("a full disk", function()
  it("is said to be one, and leaves nothing half made", function()
    local disk = path .. "/disk"
    sys.mkdir(disk)
    local mounted = is_root and pcall(function()
      assert(sys.run({ "mount", "-t", "tmpfs", "-o", "size=12m,mode=755", "tmpfs", disk },
        { stderr = "capture" }).code == 0)
    end)
    if not mounted then
      return pending("needs the right to mount a small file system")
    end
    local ok, failure = pcall(cluster.ensure, disk)
    local left = sys.list(disk .. "/.ligase/pg")
    sys.run { "mount", "-o", "remount,size=400m", disk }
    local later, problem = pcall(cluster.ensure, disk)
    pcall(cluster.stop, disk)
    sys.run { "umount", disk }
    assert.is_false(ok)
    assert.equal("system", failure.kind)
    assert.matches("No space left on device", failure.message)
    assert.matches("room on the disk", failure.hint)
    for _, name in ipairs(left) do
      assert.is_nil(name:find("^making%-") or name:find("^data"), name)
    end
    assert.is_true(later, tostring(problem))
  end)
end)

describe("the server", function()
  it("does not die with the terminal that started it", function()
    prepare()
    local stat = sys.read_file(("/proc/%d/stat"):format(postmaster()))
    local group, session, terminal = stat:match("%) %a %d+ (%d+) (%d+) (%-?%d+)")
    assert.equal(tostring(postmaster()), group)
    assert.equal(tostring(postmaster()), session)
    assert.equal("0", terminal)
  end)

  it("inherits none of our open files", function()
    local name = path .. "/held"
    sys.write_file(name, "")
    support.private_postgres(path)
    local file <close> = assert(io.open(name)) -- luacheck: ignore 211
    cluster.ensure(path)
    for _, entry in ipairs(sys.list(("/proc/%d/fd"):format(postmaster()))) do
      local found, target = pcall(sys.real_path, ("/proc/%d/fd/%s"):format(postmaster(), entry))
      assert.is_false(found and (target == name or target:find("cluster.lock", 1, true) ~= nil), entry)
    end
  end)

  it("that cannot get rid of an orphan in time is reported as such", function()
    prepare()
    cluster.stop(path)
    local start, slept = server.start, 0
    server.start = function()
      return false, "pre-existing shared memory block (key 1, ID 2) is still in use", true
    end
    local nap = sys.sleep
    sys.sleep = function(seconds) -- luacheck: ignore 122
      slept = slept + seconds
      nap(seconds / 20)
    end
    local clock = sys.monotonic
    sys.monotonic = function() return clock() + slept end -- luacheck: ignore 122
    local ok, failure = pcall(cluster.ensure, path)
    server.start, sys.sleep, sys.monotonic = start, nap, clock -- luacheck: ignore 122
    assert.is_false(ok)
    assert.matches("pre-existing shared memory block", failure.message, 1, true)
    assert.is_true(slept >= 9 and slept < 15)
  end)
end)
