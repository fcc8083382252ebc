local errors = require "ligase.base.errors"
local host = require "host"
local sys = require "sys"

local IS_ROOT = sys.user().uid == 0
local OTHER_USER = IS_ROOT and (sys.user("nobody") and "nobody")

--- Calls and expects an error of that kind and code; returns it.
local function raised(kind, code, call, ...)
  local done, failure = pcall(call, ...)
  assert.is_false(done)
  assert.is_true(errors.is(failure, kind), tostring(failure))
  assert.equal(code, failure.code)
  return failure
end

local function is_running(pid)
  local file = io.open(("/proc/%d/stat"):format(pid))
  if not file then
    return false
  end
  local stat = file:read("a")
  file:close()
  return not stat:find("%) Z ")
end

local function eventually(condition)
  local stop = sys.monotonic() + 5
  while not condition() do
    assert(sys.monotonic() < stop, "it did not happen within 5 s")
    sys.sleep(0.01)
  end
end

describe("sys clocks", function()
  it("agree with Lua's clock and go forward", function()
    assert.is_true(math.abs(sys.now() - os.time()) < 2)
    local before = sys.monotonic()
    assert.equal(0.0, sys.sleep(0.02))
    local passed = sys.monotonic() - before
    assert.is_true(passed >= 0.02 and passed < 1)
  end)

  it("write a time with microseconds in UTC", function()
    assert.equal("1970-01-01T00:00:00.000000Z", sys.timestamp(0))
    assert.equal("2001-09-09T01:46:40.250000Z", sys.timestamp(1e9 + 0.25))
    assert.equal("1969-12-31T23:59:59.500000Z", sys.timestamp(-0.5))
    assert.equal("2001-09-09T01:46:41.000000Z", sys.timestamp(1e9 + 0.9999999))
    assert.equal(os.date("!%Y-%m-%dT%H:%M"), sys.timestamp():sub(1, 16))
    raised("usage", "usage", sys.timestamp, 1e15)
    raised("usage", "usage", sys.timestamp, 0 / 0)
  end)

  it("refuse to sleep backwards", function()
    raised("usage", "usage", sys.sleep, -1)
    raised("usage", "usage", sys.sleep, 0 / 0)
  end)
end)

describe("sys environment", function()
  it("sets, reads, lists and removes a variable", function()
    sys.setenv("LIGASE_SPEC", "a=b c")
    assert.equal("a=b c", sys.getenv("LIGASE_SPEC"))
    assert.equal("a=b c", sys.environ().LIGASE_SPEC)
    assert.equal("a=b c", os.getenv("LIGASE_SPEC"))
    sys.setenv("LIGASE_SPEC", nil)
    assert.is_nil(sys.getenv("LIGASE_SPEC"))
    assert.is_nil(sys.environ().LIGASE_SPEC)
  end)

  it("refuses names and values that would be cut or torn", function()
    raised("usage", "usage", sys.setenv, "A=B", "x")
    raised("usage", "usage", sys.setenv, "", "x")
    raised("usage", "usage", sys.setenv, "LIGASE_SPEC", "x\0y")
    assert.is_false((pcall(sys.setenv, "LIGASE_SPEC")))
    assert.is_nil(sys.getenv("LIGASE_SPEC"))
  end)

  it("knows the machine", function()
    assert.is_true(sys.pid() > 1)
    assert.equal(("%d\n"):format(sys.pid()), sys.run({ host.executable, "-e", "print(sys.parent())" }).stdout)
    assert.is_true(#sys.hostname() > 0)
    assert.is_true(sys.cpu_count() >= 1)
    assert.is_true(sys.peak_memory() > 1 << 20 and sys.peak_memory() < 1 << 40)
  end)

  it("knows users by name and by number", function()
    local root = sys.user("root")
    assert.same({ name = "root", uid = 0, gid = 0, home = root.home }, root)
    assert.same(root, sys.user(0))
    assert.is_nil(sys.user("no-such-user-here"))
    assert.is_nil(sys.user(3999999999))
    assert.equal(sys.run({ "id", "-u" }).stdout, sys.user().uid .. "\n")
  end)
end)

describe("sys terminal", function()
  it("takes the width from COLUMNS, and 80 where there is none", function()
    local before = sys.getenv("COLUMNS")
    finally(function()
      sys.setenv("COLUMNS", before)
    end)
    sys.setenv("COLUMNS", "123")
    assert.equal(123, sys.terminal_width())
    sys.setenv("COLUMNS", "many")
    assert.equal(80, sys.terminal_width(99))
    sys.setenv("COLUMNS", nil)
    assert.equal(80, sys.terminal_width(99))
    assert.is_false(sys.is_terminal(99))
  end)
end)

describe("sys hash", function()
  it("matches the published values", function()
    assert.equal("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", sys.sha256("abc"))
    assert.equal("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", sys.sha256(""))
    assert.equal("a9993e364706816aba3e25717850c26c9cd0d89d", sys.sha1("abc"))
    assert.equal("b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
      sys.hmac_sha256(("\x0b"):rep(20), "Hi There"))
    assert.equal("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
      sys.hmac_sha256("Jefe", "what do ya want for nothing?"))
  end)

  it("makes keys from the first 8 bytes, signed", function()
    assert.equal(0xba7816bf8f01cfea, sys.hash64("abc"))
    assert.equal(math.tointeger(tonumber("0x" .. sys.sha256("PC 34:1"):sub(1, 16))), sys.hash64("PC 34:1"))
    assert.are_not.equal(sys.hash64("a\0b"), sys.hash64("a\0c"))
  end)

  it("makes keys of a list", function()
    assert.same({ sys.hash64 "x\0a", sys.hash64 "x\0", sys.hash64 "x\0b\0" }, sys.hash64_all({ "a", "", "b\0" }, "x\0"))
    assert.same({ sys.hash64 "abc" }, sys.hash64_all { "abc" })
    assert.same({}, sys.hash64_all {})
    local done, e = pcall(sys.hash64_all, { "a", 1 })
    assert.is_false(done)
    assert.matches("entry 2 is a number", e.message)
  end)

  it("digests all of a list", function()
    assert.same({ sys.sha256 "x\0a", sys.sha256 "x\0" }, sys.sha256_all({ "a", "" }, "x\0"))
    assert.same({}, sys.sha256_all {})
    assert.matches("entry 1 is a boolean", select(2, pcall(sys.sha256_all, { true })).message)
  end)

  it("is fast enough for a key per name", function()
    local before, count = os.clock(), 100000
    for i = 1, count do
      sys.hash64("lipid:PC 34:" .. i % 100)
    end
    assert.is_true((os.clock() - before) / count < 20e-6) -- far above what it takes, for slow builds
  end)

  it("digests a file like its content", function()
    local folder = sys.temp_dir()
    finally(function()
      sys.remove_tree(folder)
    end)
    local content = ("0123456789abcdef"):rep(20000) .. "tail"
    sys.write_file(folder .. "/x", content)
    assert.equal(sys.sha256(content), sys.sha256_file(folder .. "/x"))
    raised("system", "ENOENT", sys.sha256_file, folder .. "/none")
    raised("system", "EISDIR", sys.sha256_file, folder)
  end)

  it("makes name-based UUIDs by RFC 9562", function()
    local dns = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
    assert.equal("2ed6657d-e927-568b-95e1-2665a8aea6a2", sys.uuid5(dns, "www.example.com"))
    assert.equal(sys.uuid5(dns, "x"), sys.uuid5(dns:upper(), "x"))
    for _, bad in ipairs { "", "x", dns:sub(1, -2), dns .. "0", (dns:gsub("-", "0")), dns:gsub("6", "g") } do
      raised("usage", "usage", sys.uuid5, bad, "x")
    end
  end)

  it("makes time-ordered UUIDs, each greater than the last", function()
    local before = math.floor(sys.now() * 1000)
    local last, seen = "", {}
    for _ = 1, 20000 do
      local id = sys.uuid7()
      assert.is_true(id > last)
      assert.is_nil(seen[id])
      seen[id], last = true, id
    end
    assert.truthy(last:match("^%x%x%x%x%x%x%x%x%-%x%x%x%x%-7%x%x%x%-[89ab]%x%x%x%-%x%x%x%x%x%x%x%x%x%x%x%x$"))
    local ms = tonumber((last:gsub("-", ""):sub(1, 12)), 16)
    assert.is_true(ms >= before and ms <= sys.now() * 1000 + 50)
  end)

  it("gives random bytes", function()
    assert.equal(16, #sys.random_bytes(16))
    assert.are_not.equal(sys.random_bytes(16), sys.random_bytes(16))
    assert.equal("", sys.random_bytes(0))
    raised("usage", "usage", sys.random_bytes, -1)
    raised("usage", "usage", sys.random_bytes, 1 << 40)
  end)
end)

describe("sys files", function()
  local folder

  before_each(function()
    folder = sys.temp_dir("ligase-spec-")
  end)
  after_each(function()
    sys.remove_tree(folder)
  end)

  it("describes what is there", function()
    sys.write_file(folder .. "/x", "hello", { mode = "0640" })
    local stat = sys.stat(folder .. "/x")
    assert.equal("file", stat.type)
    assert.equal(5, stat.size_bytes)
    assert.equal(tonumber("640", 8), stat.mode)
    assert.equal(sys.user().uid, stat.uid)
    assert.equal("float", math.type(stat.modified_s))
    assert.is_true(math.abs(stat.modified_s - sys.now()) < 5)
    assert.equal("directory", sys.stat(folder).type)
    assert.equal(stat.device, sys.stat(folder).device)
    assert.equal("other", sys.stat("/dev/null").type)
  end)

  it("says nil for nothing, and raises for what it cannot see", function()
    assert.is_nil(sys.stat(folder .. "/none"))
    sys.write_file(folder .. "/x", "")
    assert.is_nil(sys.stat(folder .. "/x/below"))
    assert.equal(0, sys.run({ "ln", "-s", "loop", folder .. "/loop" }).code)
    raised("system", "ELOOP", sys.stat, folder .. "/loop")
    assert.equal("link", sys.stat(folder .. "/loop", { follow = false }).type)
    assert.equal(0, sys.run({ "mkfifo", folder .. "/fifo" }).code)
    assert.equal("fifo", sys.stat(folder .. "/fifo").type)
  end)

  it("refuses paths that the system would cut", function()
    raised("usage", "usage", sys.stat, folder .. "\0x")
    raised("usage", "usage", sys.read_file, "")
  end)

  it("lists and globs in byte order", function()
    for _, name in ipairs { "b", "a", "Z", ".hidden", "é", "a1" } do
      sys.write_file(folder .. "/" .. name, "")
    end
    assert.same({ ".hidden", "Z", "a", "a1", "b", "é" }, sys.list(folder))
    assert.same({ folder .. "/a", folder .. "/a1" }, sys.glob(folder .. "/a*"))
    assert.same({ folder .. "/Z", folder .. "/a", folder .. "/b" }, sys.glob(folder .. "/[Zab]"))
    assert.same({}, sys.glob(folder .. "/nothing*"))
    raised("system", "ENOENT", sys.list, folder .. "/none")
    raised("system", "ENOTDIR", sys.list, folder .. "/a")
  end)

  it("makes folders, with those above when asked", function()
    raised("system", "ENOENT", sys.mkdir, folder .. "/a/b")
    assert.is_true(sys.mkdir(folder .. "/a//b/c/", { parents = true }))
    assert.is_false(sys.mkdir(folder .. "/a/b/c", { parents = true }))
    raised("system", "EEXIST", sys.mkdir, folder .. "/a")
    sys.write_file(folder .. "/file", "")
    raised("system", "EEXIST", sys.mkdir, folder .. "/file", { parents = true })
    raised("system", "ENOTDIR", sys.mkdir, folder .. "/file/x", { parents = true })
    assert.is_true(sys.mkdir(folder .. "/private", { mode = "0770" }))
    assert.equal(tonumber("770", 8), sys.stat(folder .. "/private").mode)
    raised("usage", "usage", sys.mkdir, folder .. "/x", { mode = "0999" })
    raised("usage", "usage", sys.mkdir, folder .. "/x", { mode = 1.5 })
    local failure = raised("usage", "usage", sys.mkdir, folder .. "/x", { parent = true })
    assert.truthy(failure.message:find("'parent'", 1, true))
    assert.truthy(failure.message:find("parents, mode", 1, true))
    assert.is_nil(sys.stat(folder .. "/x"))
  end)

  it("removes files and empty folders, once", function()
    sys.write_file(folder .. "/x", "")
    assert.is_true(sys.remove(folder .. "/x"))
    assert.is_false(sys.remove(folder .. "/x"))
    sys.mkdir(folder .. "/d/e", { parents = true })
    raised("system", "ENOTEMPTY", sys.remove, folder .. "/d")
    assert.is_true(sys.remove(folder .. "/d/e"))
  end)

  it("removes a tree but not what links in it point to", function()
    sys.mkdir(folder .. "/keep")
    sys.write_file(folder .. "/keep/precious", "x")
    sys.mkdir(folder .. "/tree/a/b", { parents = true })
    for i = 1, 200 do
      sys.write_file(("%s/tree/a/b/%d"):format(folder, i), "x")
    end
    assert.equal(0, sys.run({ "ln", "-s", folder .. "/keep", folder .. "/tree/a/link" }).code)
    assert.is_true(sys.remove_tree(folder .. "/tree"))
    assert.is_nil(sys.stat(folder .. "/tree"))
    assert.equal("x", sys.read_file(folder .. "/keep/precious"))
    assert.is_false(sys.remove_tree(folder .. "/tree"))
    assert.equal(0, sys.run({ "ln", "-s", folder .. "/keep", folder .. "/link" }).code)
    assert.is_true(sys.remove_tree(folder .. "/link"))
    assert.equal("x", sys.read_file(folder .. "/keep/precious"))
  end)

  it("does not saw off the branch it sits on", function()
    local before = sys.cwd()
    finally(function()
      sys.chdir(before)
    end)
    sys.mkdir(folder .. "/in/side", { parents = true })
    sys.chdir(folder .. "/in/side")
    raised("usage", "usage", sys.remove_tree, folder .. "/in")
    raised("usage", "usage", sys.remove_tree, ".")
    raised("usage", "usage", sys.remove_tree, "/")
    assert.equal("directory", sys.stat(folder .. "/in/side").type)
  end)

  it("renames, replacing", function()
    sys.write_file(folder .. "/a", "1")
    sys.write_file(folder .. "/b", "2")
    sys.rename(folder .. "/a", folder .. "/b")
    assert.equal("1", sys.read_file(folder .. "/b"))
    local failure = raised("system", "ENOENT", sys.rename, folder .. "/a", folder .. "/c")
    assert.truthy(failure.message:find(folder .. "/a to " .. folder .. "/c", 1, true))
  end)

  it("finds real paths and the current folder", function()
    local before = sys.cwd()
    finally(function()
      sys.chdir(before)
    end)
    local real = sys.real_path(folder)
    sys.mkdir(folder .. "/d")
    assert.equal(0, sys.run({ "ln", "-s", "d", folder .. "/link" }).code)
    assert.equal(real .. "/d", sys.real_path(folder .. "/link/../link"))
    sys.chdir(folder .. "/link")
    assert.equal(real .. "/d", sys.cwd())
    raised("system", "ENOENT", sys.chdir, folder .. "/none")
    raised("system", "ENOENT", sys.real_path, folder .. "/none")
  end)

  it("reads a whole file or refuses", function()
    local content = ("\0\1\2\xff\r\n"):rep(30000)
    sys.write_file(folder .. "/x", content)
    assert.equal(content, sys.read_file(folder .. "/x"))
    assert.equal(content, sys.read_file(folder .. "/x", #content))
    local failure = raised("input", "EFBIG", sys.read_file, folder .. "/x", #content - 1)
    assert.equal(folder .. "/x", failure.path)
    raised("system", "ENOENT", sys.read_file, folder .. "/none")
    raised("system", "EISDIR", sys.read_file, folder)
    assert.truthy(sys.read_file("/proc/self/status"):find("State:")) -- a file that says size 0
    sys.write_file(folder .. "/empty", "")
    assert.equal("", sys.read_file(folder .. "/empty"))
  end)

  it("replaces a file whole, keeping its mode unless told", function()
    sys.write_file(folder .. "/x", "old", { mode = "0600" })
    local inode = sys.stat(folder .. "/x").inode
    sys.write_file(folder .. "/x", "new")
    assert.equal("new", sys.read_file(folder .. "/x"))
    assert.equal(tonumber("600", 8), sys.stat(folder .. "/x").mode)
    assert.are_not.equal(inode, sys.stat(folder .. "/x").inode)
    sys.write_file(folder .. "/x", "new", { mode = "0604" })
    assert.equal(tonumber("604", 8), sys.stat(folder .. "/x").mode)
    assert.same({ "x" }, sys.list(folder))
  end)

  it("writes through a link and never replaces what is no file", function()
    sys.write_file(folder .. "/x", "old")
    assert.equal(0, sys.run({ "ln", "-s", "x", folder .. "/link" }).code)
    sys.write_file(folder .. "/link", "new")
    assert.equal("link", sys.stat(folder .. "/link", { follow = false }).type)
    assert.equal("new", sys.read_file(folder .. "/x"))
    assert.equal(0, sys.run({ "mkfifo", folder .. "/fifo" }).code)
    raised("system", "EINVAL", sys.write_file, folder .. "/fifo", "x")
    assert.equal("fifo", sys.stat(folder .. "/fifo").type)
    raised("system", "EISDIR", sys.write_file, folder, "x")
    raised("system", "ENOENT", sys.write_file, folder .. "/none/x", "x")
    assert.same({ "fifo", "link", "x" }, sys.list(folder))
  end)

  it("leaves the old file when the disk is full", function()
    if not sys.stat("/dev/full") then
      return pending("no /dev/full here")
    end
    raised("system", "EINVAL", sys.write_file, "/dev/full", "x")
    assert.equal("other", sys.stat("/dev/full").type)
  end)

  it("makes private temporary folders", function()
    local other = sys.temp_dir(folder .. "/mine-")
    assert.equal(folder .. "/mine-", other:sub(1, #folder + 6))
    assert.equal(tonumber("700", 8), sys.stat(other).mode)
    raised("system", "ENOENT", sys.temp_dir, folder .. "/none/x-")
  end)

  it("changes mode and owner", function()
    sys.write_file(folder .. "/x", "")
    sys.chmod(folder .. "/x", "0400")
    assert.equal(tonumber("400", 8), sys.stat(folder .. "/x").mode)
    sys.chmod(folder .. "/x", tonumber("644", 8))
    assert.equal(tonumber("644", 8), sys.stat(folder .. "/x").mode)
    raised("system", "ENOENT", sys.chmod, folder .. "/none", "0644")
    raised("usage", "usage", sys.chown, folder .. "/x", -5)
    if IS_ROOT then
      sys.chown(folder .. "/x", 12345, nil)
      assert.equal(12345, sys.stat(folder .. "/x").uid)
      assert.equal(0, sys.stat(folder .. "/x").gid)
      sys.write_file(folder .. "/x", "new") -- whoever owned it still does
      assert.equal(12345, sys.stat(folder .. "/x").uid)
    end
  end)

  describe("lock", function()
    it("keeps others out until it is closed", function()
      local path = folder .. "/lock"
      local lock = sys.lock(path)
      local failure = raised("system", "EAGAIN", sys.lock, path)
      assert.equal(sys.pid(), failure.holder_pid)
      assert.equal(1, sys.run({ "flock", "-n", path, "true" }).code)
      lock:close()
      lock:close()
      assert.equal(0, sys.run({ "flock", "-n", path, "true" }).code)
      sys.lock(path):close()
    end)

    it("is released at the end of its scope, and by the collector", function()
      local path = folder .. "/lock"
      do
        local lock <close> = sys.lock(path)
        assert.truthy(lock)
      end
      do
        local forgotten = sys.lock(path)
        assert.truthy(forgotten)
      end
      collectgarbage()
      collectgarbage()
      sys.lock(path):close()
    end)

    it("waits for its turn", function()
      local path = folder .. "/lock"
      local holder <close> = sys.spawn({ "flock", path, "sleep", "0.3" })
      eventually(function()
        return sys.run({ "flock", "-n", path, "true" }).code == 1
      end)
      local before = sys.monotonic()
      raised("system", "EAGAIN", sys.lock, path, { wait_s = 0.02 })
      sys.lock(path, { wait_s = 5 }):close()
      assert.is_true(sys.monotonic() - before < 2)
      assert.equal(0, holder:wait().code)
    end)

    it("says why it cannot be taken", function()
      raised("system", "ENOENT", sys.lock, folder .. "/none/lock")
      raised("usage", "usage", sys.lock, folder .. "/lock", { wait = 1 })
    end)
  end)
end)

describe("sys.run", function()
  local folder

  before_each(function()
    folder = sys.temp_dir("ligase-spec-")
  end)
  after_each(function()
    sys.remove_tree(folder)
  end)

  it("gives status, output and errors", function()
    assert.same({ code = 3, stdout = "out\n", stderr = "err\n" },
      sys.run({ "sh", "-c", "echo out; echo err >&2; exit 3" }))
    assert.same({ signal = "KILL", stdout = "", stderr = "" }, sys.run({ "sh", "-c", "kill -9 $$" }))
    assert.same({ code = 0, stdout = "a b *\n1\n\n", stderr = "" },
      sys.run({ "printf", "%s\n", "a b *", 1, "" }))
  end)

  it("never deadlocks on large input and output", function()
    local data = ("0123456789abcdef"):rep(1 << 17)
    local result = sys.run({ "sh", "-c", "tee /dev/stderr" }, { stdin = data })
    assert.is_true(result.stdout == data)
    assert.is_true(result.stderr == data)
    assert.equal(0, sys.run({ "true" }, { stdin = data }).code) -- one that does not read it
  end)

  it("gives an empty input unless told", function()
    assert.equal("", sys.run({ "cat" }).stdout)
    assert.equal("x\0y", sys.run({ "cat" }, { stdin = "x\0y" }).stdout)
    assert.equal("", sys.run({ "cat" }, { stdin = "" }).stdout)
  end)

  it("does not wait for what the program leaves behind", function()
    local before = sys.monotonic()
    local result = sys.run({ "sh", "-c", "sleep 30 & echo $!" })
    assert.is_true(sys.monotonic() - before < 5)
    sys.kill(math.tointeger(tonumber(result.stdout)), "KILL")
  end)

  it("names a missing program and what to check", function()
    local failure = raised("system", "ENOENT", sys.run, { "no-such-program" })
    assert.equal("cannot start no-such-program: No such file or directory", failure.message)
    assert.truthy(failure.hint:find("PATH", 1, true))
    failure = raised("system", "ENOENT", sys.run, { folder .. "/none" })
    assert.truthy(failure.hint:find("Check the path", 1, true))
    sys.write_file(folder .. "/x", "#!/bin/sh\n")
    raised("system", "EACCES", sys.run, { folder .. "/x" })
    sys.write_file(folder .. "/x", "no program", { mode = "0755" })
    raised("system", "ENOEXEC", sys.run, { folder .. "/x" })
    sys.write_file(folder .. "/x", "#!/no/such/interpreter\n", { mode = "0755" })
    raised("system", "ENOENT", sys.run, { folder .. "/x" })
  end)

  it("looks for the program in the PATH that the program gets", function()
    sys.write_file(folder .. "/ligase-spec-tool", "#!/bin/sh\necho found\n", { mode = "0755" })
    local path = folder .. ":" .. sys.getenv("PATH")
    assert.equal("found\n", sys.run({ "ligase-spec-tool" }, { env = { PATH = path } }).stdout)
    raised("system", "ENOENT", sys.run, { "ligase-spec-tool" })
  end)

  it("does not blame a folder of PATH that nobody may look into", function()
    sys.mkdir(folder .. "/closed", { mode = "0000" })
    finally(function()
      sys.chmod(folder .. "/closed", "0700")
    end)
    sys.mkdir(folder .. "/open/no-such-program", { parents = true })
    sys.chmod(folder, "0755")
    local path = folder .. "/closed:" .. folder .. "/open:/usr/bin"
    raised("system", "ENOENT", sys.run, { "no-such-program" }, { env = { PATH = path }, user = OTHER_USER or nil })
  end)

  it("sets, overrides and leaves out variables", function()
    sys.setenv("LIGASE_SPEC", "outer")
    finally(function()
      sys.setenv("LIGASE_SPEC", nil)
    end)
    local show = { "sh", "-c", "echo ${LIGASE_SPEC-none} ${OTHER-none}" }
    assert.equal("outer none\n", sys.run(show).stdout)
    assert.equal("inner x\n", sys.run(show, { env = { LIGASE_SPEC = "inner", OTHER = "x" } }).stdout)
    assert.equal("none none\n", sys.run(show, { env = { LIGASE_SPEC = false } }).stdout)
    raised("usage", "usage", sys.run, show, { env = { ["A=B"] = "x" } })
    raised("usage", "usage", sys.run, show, { env = { A = true } })
    raised("usage", "usage", sys.run, show, { env = { A = "x\0y" } })
  end)

  it("starts in a folder", function()
    assert.equal(sys.real_path(folder) .. "\n", sys.run({ "pwd", "-P" }, { cwd = folder }).stdout)
    local failure = raised("system", "ENOENT", sys.run, { "pwd" }, { cwd = folder .. "/none" })
    assert.truthy(failure.message:find("in folder " .. folder .. "/none", 1, true))
  end)

  it("sends output where it is wanted", function()
    local path = folder .. "/log"
    local talk = { "sh", "-c", "echo out; echo err >&2" }
    assert.same({ code = 0, stderr = "err\n" }, sys.run(talk, { stdout = path }))
    assert.equal("out\n", sys.read_file(path))
    sys.run(talk, { stdout = path, stderr = "stdout" })
    assert.equal("out\nerr\n", sys.read_file(path))
    sys.run(talk, { stdout = path, stderr = "null", append = true })
    assert.equal("out\nerr\nout\n", sys.read_file(path))
    assert.same({ code = 0, stdout = "out\nerr\n" }, sys.run(talk, { stderr = "stdout" }))
    raised("system", "ENOENT", sys.run, talk, { stdout = folder .. "/none/log" })
  end)

  it("stops the whole group when the time is up", function()
    local script = ("sleep 60 & echo $! > %s/pid; echo waiting >&2; wait"):format(folder)
    local before = sys.monotonic()
    local failure = raised("system", "ETIMEDOUT", sys.run, { "sh", "-c", script }, { timeout_s = 0.3 })
    assert.is_true(sys.monotonic() - before < 5)
    assert.equal("waiting", failure.detail)
    local pid = math.tointeger(tonumber(sys.read_file(folder .. "/pid")))
    eventually(function()
      return not is_running(pid)
    end)
  end)

  it("stops what does not want to stop", function()
    local before = sys.monotonic()
    raised("system", "ETIMEDOUT", sys.run, { "sh", "-c", "trap '' TERM; while :; do sleep 0.1; done" },
      { timeout_s = 0.1 })
    assert.is_true(sys.monotonic() - before < 8)
  end)

  it("hands down no descriptor, no handler and no mask", function()
    local lock <close> = sys.lock(folder .. "/lock")
    local file <close> = assert(io.open(folder .. "/lock"))
    assert.truthy(lock and file)
    sys.on_signal("USR2", "ignore")
    finally(function()
      sys.on_signal("USR2", "default")
    end)
    assert.same({ "0", "1", "2", "3" }, -- 3 is the listed folder itself
      (function()
        local fds = {}
        for fd in sys.run({ "ls", "/proc/self/fd" }).stdout:gmatch "%d+" do
          fds[#fds + 1] = fd
        end
        return fds
      end)())
    local status = sys.run({ "cat", "/proc/self/status" }).stdout
    for _, field in ipairs { "SigBlk", "SigIgn", "SigCgt" } do
      -- Signals 32 and 33 are the C library's own: who starts us with them ignored (make
      -- does) leaves them so, and no program can change it.
      local mask = tonumber(status:match(field .. ":%s*(%x+)"), 16) & ~0x180000000
      assert.equal(0, mask, field)
    end
  end)

  it("refuses words that are no words", function()
    raised("usage", "usage", sys.run, {})
    raised("usage", "usage", sys.run, { "" })
    raised("usage", "usage", sys.run, { "echo", "a\0b" })
    raised("usage", "usage", sys.run, { "echo", true })
    raised("usage", "usage", sys.run, { "echo" }, { timeout = 1 })
    raised("usage", "usage", sys.run, { "echo" }, { timeout_s = -1 })
    raised("usage", "usage", sys.run, { "echo" }, { stdin = {} })
  end)

  it("becomes another user completely", function()
    if not OTHER_USER then
      return pending("only root can do that")
    end
    local user = sys.user(OTHER_USER)
    local status = sys.run({ "cat", "/proc/self/status" }, { user = OTHER_USER }).stdout
    local uid, gid = tostring(user.uid), tostring(user.gid)
    assert.equal(table.concat({ uid, uid, uid, uid }, "\t"), status:match("Uid:%s*([%d\t]+)"))
    assert.equal(table.concat({ gid, gid, gid, gid }, "\t"), status:match("Gid:%s*([%d\t]+)"))
    assert.equal("0000000000000000", status:match("CapEff:%s*(%x+)"))
    assert.equal(sys.run({ "id", "-G", OTHER_USER }).stdout,
      sys.run({ "id", "-G" }, { user = user.uid }).stdout)
    assert.equal(OTHER_USER .. "\n", sys.run({ "sh", "-c", "echo $USER" }, { user = OTHER_USER }).stdout)
    assert.equal("kept\n",
      sys.run({ "sh", "-c", "echo $HOME" }, { user = OTHER_USER, env = { HOME = "kept" } }).stdout)
  end)

  it("says what keeps another user out", function()
    if not OTHER_USER then
      return pending("only root can do that")
    end
    local failure = raised("system", "EACCES", sys.run, { "ls" }, { user = OTHER_USER, cwd = folder })
    assert.truthy(failure.hint:find(OTHER_USER, 1, true))
    sys.write_file(folder .. "/x", "#!/bin/sh\n", { mode = "0700" })
    raised("system", "EACCES", sys.run, { folder .. "/x" }, { user = OTHER_USER })
    failure = raised("system", "ENOENT", sys.run, { "ls" }, { user = "no-such-user-here" })
    assert.truthy(failure.message:find("there is no user 'no-such-user-here'", 1, true))
  end)

  it("refuses another user to anyone but root", function()
    if not OTHER_USER then
      local failure = raised("system", "EPERM", sys.run, { "true" }, { user = "root" })
      assert.truthy(failure.hint:find("root", 1, true))
    else
      local code = "local ok, e = pcall(sys.run, {'true'}, {user='root'}) io.write(tostring(ok), e.code)"
      if sys.run({ "test", "-x", host.executable }, { user = OTHER_USER }).code ~= 0 then
        return pending("the other user cannot start ligase here")
      end
      local result = sys.run({ host.executable, "-e", code }, { user = OTHER_USER })
      assert.equal("falseEPERM", result.stdout)
    end
  end)
end)

describe("sys.spawn", function()
  it("lets a process run beside us and waits for it", function()
    local process <close> = sys.spawn({ "sh", "-c", "sleep 0.2; exit 7" })
    assert.is_true(is_running(process:pid()))
    assert.is_nil(process:wait(0.01))
    assert.same({ code = 7 }, process:wait())
    assert.same({ code = 7 }, process:wait(0))
    assert.is_false(process:kill())
  end)

  it("sends signals", function()
    local process <close> = sys.spawn({ "sleep", "60" })
    assert.is_true(process:kill("HUP"))
    assert.same({ signal = "HUP" }, process:wait(5))
    local other <close> = sys.spawn({ "sleep", "60" })
    other:kill()
    assert.same({ signal = "TERM" }, other:wait(5))
    raised("usage", "usage", other.kill, other, "NOSUCH")
  end)

  it("ends the process when it is closed or forgotten", function()
    local process = sys.spawn({ "sleep", "60" })
    local pid = process:pid()
    process:close()
    process:close()
    assert.is_false(is_running(pid))
    local forgotten = sys.spawn({ "sleep", "60" })
    pid = forgotten:pid()
    assert.is_true(is_running(pid))
    forgotten = nil -- luacheck: ignore 311
    collectgarbage()
    collectgarbage()
    assert.is_false(is_running(pid))
  end)

  it("feeds input and sends output to a file", function()
    local folder = sys.temp_dir()
    finally(function()
      sys.remove_tree(folder)
    end)
    local data = ("x"):rep(1 << 20)
    local process <close> = sys.spawn({ "cat" }, { stdin = data, stdout = folder .. "/out" })
    assert.same({ code = 0 }, process:wait(10))
    assert.is_true(sys.read_file(folder .. "/out") == data)
  end)

  it("cannot capture, since nobody would read", function()
    raised("usage", "usage", sys.spawn, { "true" }, { stdout = "capture" })
    raised("system", "ENOENT", sys.spawn, { "no-such-program" })
  end)
end)

describe("sys.exec", function()
  it("becomes the program, without our descriptors", function()
    local code = [[local f = io.open("/dev/null") io.write("before ") sys.exec({"sh", "-c",
      "echo after $A; ls /proc/self/fd | wc -l"}, {env = {A = "x"}})]]
    assert.same({ code = 0, stdout = "before after x\n4\n", stderr = "" },
      sys.run({ host.executable, "-e", code }))
  end)

  it("comes back when there is no such program", function()
    raised("system", "ENOENT", sys.exec, { "no-such-program" })
    raised("usage", "usage", sys.exec, { "true" }, { stdin = "x" })
  end)
end)

describe("sys signals", function()
  it("call a function of Lua with the name", function()
    local got = {}
    sys.on_signal("USR1", function(name)
      got[#got + 1] = name
    end)
    finally(function()
      sys.on_signal("USR1", "default")
    end)
    assert.is_true(sys.kill(sys.pid(), "SIGUSR1"))
    eventually(function()
      return #got == 1
    end)
    sys.kill(sys.pid(), 10)
    eventually(function()
      return #got == 2
    end)
    assert.same({ "USR1", "USR1" }, got)
  end)

  it("go on with an error of the handler where the program was", function()
    sys.on_signal("USR1", function()
      error("enough", 0)
    end)
    finally(function()
      sys.on_signal("USR1", "default")
    end)
    local done, failure = pcall(function()
      sys.kill(sys.pid(), "USR1")
      for _ = 1, 1e7 do -- luacheck: ignore 542
      end
    end)
    assert.is_false(done)
    assert.equal("enough", failure)
  end)

  it("wake a sleep and a wait", function()
    local woken = 0
    sys.on_signal("USR1", function()
      woken = woken + 1
    end)
    finally(function()
      sys.on_signal("USR1", "default")
    end)
    local wake = { "sh", "-c", ("sleep 0.2; kill -USR1 %d; sleep 3"):format(sys.pid()) }
    local process <close> = sys.spawn(wake)
    local left = sys.sleep(30)
    assert.is_true(left > 20 and left < 30)
    assert.equal(1, woken)
    local other <close> = sys.spawn(wake)
    local before = sys.monotonic()
    assert.is_nil(process:wait(30) and other:wait(30))
    assert.is_true(sys.monotonic() - before < 10)
  end)

  it("are ignored, and are themselves again, when told", function()
    sys.on_signal("USR1", "ignore")
    sys.kill(sys.pid(), "USR1")
    sys.sleep(0.01)
    sys.on_signal("USR1", "default")
    sys.on_signal("USR1", "default")
    assert.same({ signal = "USR1" },
      (function()
        local process <close> = sys.spawn({ "sleep", "60" })
        process:kill("USR1")
        return process:wait(5)
      end)())
  end)

  it("interrupt: SIGINT raises unless it was replaced, and again afterwards", function()
    local function interrupt()
      sys.kill(sys.pid(), "INT")
      sys.sleep(0.5)
    end
    local failure = raised("interrupted", "SIGINT", interrupt)
    assert.equal(130, errors.exit_status(failure))
    local got
    sys.on_signal("INT", function(name)
      got = name
    end)
    interrupt()
    assert.equal("INT", got)
    sys.on_signal("INT", "default")
    raised("interrupted", "SIGINT", interrupt)
  end)

  it("interrupt a running child and take it along", function()
    local folder = sys.temp_dir()
    finally(function()
      sys.remove_tree(folder)
    end)
    local script = ("echo $$ > %s/pid; kill -INT %d; sleep 60"):format(folder, sys.pid())
    raised("interrupted", "SIGINT", sys.run, { "sh", "-c", script })
    local pid = math.tointeger(tonumber(sys.read_file(folder .. "/pid")))
    assert.is_false(is_running(pid))
  end)

  it("refuse names there are not, and signals nobody can handle", function()
    raised("usage", "usage", sys.on_signal, "NOSUCH", "ignore")
    raised("usage", "usage", sys.on_signal, "KILL", "ignore")
    raised("usage", "usage", sys.on_signal, 0, "ignore")
    assert.is_false((pcall(sys.on_signal, "USR1", "explode")))
  end)

  it("ask whether a process is there", function()
    local process <close> = sys.spawn({ "sleep", "60" })
    local pid = process:pid()
    assert.is_true(sys.kill(pid, 0))
    process:close()
    assert.is_false(sys.kill(pid, 0))
    raised("usage", "usage", sys.kill, 0, "TERM")
    raised("usage", "usage", sys.kill, -1, "TERM")
  end)
end)
