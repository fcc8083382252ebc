--- Helpers whose starter is killed, and lies there dead because nobody takes notice.
local host = require "host"
local labs = require "tests.lua.sync.lab"
local parenthood = require "ligase.cli.parenthood"
local pg = require "pg"
local support = require "tests.support"
local sys = require "sys"

--- Starts a program that ends with the process that runs this, and waits.
local STARTER = [[
local sys, host = require "sys", require "host"
local words = { host.executable, ... }
for i, word in ipairs(words) do
  words[i] = word == "PARENT" and tostring(sys.pid()) or word
end
local process = sys.spawn(words, { stdout = "inherit", stderr = "inherit" })
io.stdout:write("helper ", process:pid(), "\n")
io.stdout:flush()
sys.sleep(600)]]

describe("a helper of a process that was killed", function()
  local url

  before_each(function()
    url = support.migrated_database()
  end)

  --- Starts one, waits until it says or does what shows that it is at work, and kills its starter.
  local function assert_ends(words, env, is_at_work)
    local out = support.tmpfile("", "out")
    local starter <close> = sys.spawn(table.move(words, 1, #words, 3, { host.executable,
      support.tmpfile(STARTER, "starter.lua") }), { env = env, stdout = out, stderr = "stdout" })
    local helper
    support.wait_until("a helper at work", function()
      helper = tonumber(sys.read_file(out):match "helper (%d+)")
      return helper and is_at_work(sys.read_file(out))
    end)
    sys.kill(starter:pid(), "KILL")
    support.wait_until("its end", function()
      local is_there, stat = pcall(sys.read_file, ("/proc/%d/stat"):format(helper))
      return not is_there or stat:find "%) Z"
    end)
  end

  local function is_connected()
    local conn <close> = pg.connect(url)
    return conn:query([[SELECT count(*) AS n FROM pg_stat_activity
      WHERE datname = current_database() AND backend_type = 'client backend']])[1].n > 1
  end

  it("ends: a worker", function()
    assert_ends({ "worker", "--watch", "--parent", "PARENT" }, { POSTGRES_URL = url }, is_connected)
  end)

  it("ends: a worker that has no Postgres any more", function()
    assert_ends({ "worker", "--watch", "--parent", "PARENT" }, { POSTGRES_URL = url .. "&port=1" }, function(said)
      return said:find("cannot connect", 1, true) ~= nil
    end)
  end)

  it("ends when its starter was dead before it looked, and none of its own", function()
    local dead <close> = sys.spawn({ "sleep", "600" })
    sys.kill(dead:pid(), "KILL")
    local is_gone = parenthood.watch(dead:pid())
    support.wait_until("its end", is_gone)
    assert.is_true(sys.kill(dead:pid(), 0)) -- nobody has taken notice
    assert.is_false(parenthood.watch(sys.pid())())
    assert.is_false(parenthood.watch(nil)())
  end)

  it("ends: a relay", function()
    local lab <close> = setmetatable({ at = labs.start() }, { __close = function(self) self.at:close() end })
    local env = { POSTGRES_URL = url }
    for name, value in pairs(lab.at.env) do
      env[name] = value
    end
    assert_ends({ "sync", "--watch", "--parent", "PARENT" }, env, is_connected)
  end)

  it("ends: the stand-in for Notion", function()
    assert_ends({ host.home .. "/tests/standins/notion.lua", "--parent", "PARENT" }, {}, function(said)
      return said:find("notion stand-in: http", 1, true) ~= nil
    end)
  end)
end)
