--- Postgres refuses, dies or has no room in the middle of an ingest.
local cluster = require "ligase.store.cluster"
local host = require "host"
local ledger = require "tests.faults.ledger"
local support = require "tests.support"
local sys = require "sys"

local GOOD = "lipid,a,b\nPC 34:1,1,2\n"

local function assert_one_line(result, parts)
  assert.equal(1, result.code, result.stderr)
  assert.equal(1, select(2, result.stderr:gsub("\n", "")), result.stderr)
  for _, part in ipairs(parts) do
    assert.is_truthy(result.stderr:find(part, 1, true), ("'%s' is not in: %s"):format(part, result.stderr))
  end
end

--- `ligase ingest` on its own, its stderr in a file.
local function spawn_ingest(env, cwd, ...)
  local said = support.tmpfile("", "stderr")
  local child = sys.spawn({ host.executable, "ingest", ... }, { env = env, cwd = cwd, stdout = "null", stderr = said })
  return child, said
end

describe("Postgres that refuses", function()
  it("is named, with what to check", function()
    local _, url = support.migrated()
    local socket = url:match("host=([^&]*)")
    local file = support.tmpfile(GOOD)
    for database, parts in pairs {
      ["postgresql://lab:hush@127.0.0.1:1/omics"] = { '"omics" at 127.0.0.1:1 as user "lab"', "Connection refused",
        "Check host and port" },
      ["postgresql:///no_such_database?user=ligase&host=" .. socket] = { "no_such_database", "does not exist" },
      ["postgresql:///omics?user=nobody_here&host=" .. socket] = { "nobody_here" },
    } do
      for _, words in ipairs { { "ingest", file }, { "datasets" }, { "sql", "SELECT 1" } } do
        words.database = database
        local result = support.ligase(words)
        assert_one_line(result, parts)
        assert.is_nil(result.stderr:find("hush", 1, true))
        assert.equal(words[1] == "ingest",
          result.stderr:find("Postgres creation failed (required)", 1, true) ~= nil)
      end
    end
  end)

  it("in the middle says what it said, and which file it was", function()
    local conn, url = support.migrated()
    conn:script [[
      CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'not today' USING HINT = 'Try tomorrow.'; END $$;
      CREATE TRIGGER refuse BEFORE INSERT ON revisions EXECUTE FUNCTION refuse()]]
    local before = ledger.counts(conn)
    local path = support.tmpfile(GOOD, "refused.csv")
    local result = support.ligase { "ingest", path, database = url }
    assert_one_line(result, { path, "Postgres creation failed (required): not today", "Try tomorrow." })
    assert.same(before, ledger.counts(conn))
    assert.equal("not today", conn:query("SELECT error FROM runs")[1].error.message)
  end)

  it("a write because it is full, says so, and works again when there is room", function()
    if sys.user().uid ~= 0 then
      return pending("needs root, to mount a small file system")
    end
    local conn, url = support.migrated()
    local disk = support.workspace() .. "/disk"
    sys.mkdir(disk)
    if sys.run({ "mount", "-t", "tmpfs", "-o", "size=4m,mode=755", "tmpfs", disk }).code ~= 0 then
      return pending("needs the right to mount a small file system")
    end
    sys.chmod(disk:match("^(.*)/"), "755")
    local owner = sys.stat(conn:query("SHOW data_directory")[1].data_directory)
    sys.mkdir(disk .. "/space", { mode = "700" })
    sys.chown(disk .. "/space", owner.uid, owner.gid)
    local done, problem = pcall(function()
      conn:script(("CREATE TABLESPACE small LOCATION '%s'"):format(disk .. "/space"))
      conn:script("ALTER TABLE measurements SET TABLESPACE small")
      local before = ledger.counts(conn)
      local big = support.tmpfile(ledger.table(20000, 60, "big", 1000), "big.csv")
      local small = support.tmpfile(GOOD, "small.csv")
      local result = support.ligase { "ingest", big, small, database = url }
      assert_one_line(result, { "big.csv: Postgres creation failed (required)", "No space left on device",
        "Check free disk space" })
      assert.matches("2 files: 0 done, 1 failed, 1 not tried", result.stdout, 1, true)
      assert.same(before, ledger.counts(conn))
      assert.equal(0, sys.run({ "mount", "-o", "remount,size=64m", disk }).code)
      assert.equal(0, support.ligase({ "ingest", small, database = url }).code)
      assert.same({}, ledger.torn(conn))
    end)
    conn:script("ALTER TABLE measurements SET TABLESPACE pg_default")
    conn:script("DROP TABLESPACE small")
    sys.run { "umount", disk }
    assert(done, problem)
  end)
end)

describe("the private Postgres", function()
  local workspace, env, file, big

  setup(function()
    workspace = support.workspace()
    sys.chmod(workspace, "755")
    support.private_postgres(workspace)
    env = { LIGASE_WORKSPACE = workspace }
    file = support.tmpfile(GOOD, "first.csv")
    big = support.tmpfile(ledger.table(30000, 20, "big", 1000), "big.csv")
    local first = support.ligase { "ingest", file, workspace = workspace, database = false }
    assert.equal(0, first.code, first.stderr)
  end)

  teardown(function()
    cluster.stop(workspace)
  end)

  --- Shoots `victim` while the ingest of the big file is in the middle of it.
  local function shoot(victim)
    local blocker = cluster.connect(workspace)
    blocker:begin()
    blocker:script("LOCK TABLE measurements IN EXCLUSIVE MODE")
    local child, said = spawn_ingest(env, workspace, big)
    local watcher = cluster.connect(workspace)
    local backend = assert(ledger.wait_until_blocked(watcher))
    sys.kill(victim == "backend" and backend or assert(cluster.status(workspace).pid), "KILL")
    local ended = child:wait(60)
    child:close()
    blocker:close()
    watcher:close()
    return { code = ended and ended.code, stderr = sys.read_file(said) }
  end

  for _, victim in ipairs { "backend", "postmaster" } do
    it("dying in the middle (kill -9 of the " .. victim .. ") loses nothing that was stored", function()
      local before
      do
        local conn <close> = cluster.connect(workspace)
        before = ledger.counts(conn)
      end
      assert_one_line(shoot(victim), { "big.csv: Postgres creation failed (required): the connection to",
        "Nothing of the file was stored: run the same command again" })
      local again = support.ligase { "ingest", file, workspace = workspace, database = false }
      assert.equal("first: unchanged (revision 1)\n", again.stdout, again.stderr)
      local conn <close> = cluster.connect(workspace)
      before.runs = before.runs + 1 -- the one that found no change
      assert.same(before, ledger.counts(conn))
      assert.same({}, ledger.torn(conn))
    end)
  end

  it("then takes the file whose ingest it died on", function()
    local result = support.ligase { "ingest", big, workspace = workspace, database = false }
    assert.equal(0, result.code, result.stderr)
    local conn <close> = cluster.connect(workspace)
    assert.same({}, ledger.torn(conn))
  end)

  it("refuses a wrong password without showing it", function()
    local conn <close> = cluster.connect(workspace)
    conn:script "CREATE ROLE lab LOGIN PASSWORD 'right one'"
    local hba = conn:query("SHOW hba_file")[1].hba_file
    local kept = sys.read_file(hba)
    sys.write_file(hba, "local all lab scram-sha-256\n" .. kept)
    conn:query "SELECT pg_reload_conf()"
    sys.sleep(0.3)
    local place = cluster.status(workspace)
    local settings = { POSTGRES_HOST = place.socket_folder, POSTGRES_DB = "ligase", POSTGRES_USER = "lab" }
    settings.POSTGRES_PASSWORD = "wrong one"
    assert_one_line(support.ligase { "ingest", file, env = settings }, { 'as user "lab"',
      "password authentication failed" })
    assert.is_nil(support.ligase({ "ingest", file, env = settings }).stderr:find("wrong one", 1, true))
    settings.POSTGRES_PASSWORD = "right one"
    assert_one_line(support.ligase { "datasets", env = settings }, { "permission denied", "ligase doctor" })
    sys.write_file(hba, kept)
  end)
end)

describe("a COMMIT whose answer is lost", function()
  --- Between ligase and Postgres: hands everything through and goes silent at COMMIT,
  --- after (or before) passing it on.
  local PROXY = [==[
import socket, sys, threading
server, path, passes_on = sys.argv[1], sys.argv[2], sys.argv[3] == "after"
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen()
print("ready", flush=True)
shot = []
def serve(client):
    upstream = socket.socket(socket.AF_UNIX)
    upstream.connect(server)
    lost = threading.Event()
    def answers():
        while True:
            data = upstream.recv(65536)
            if not data: break
            if lost.is_set(): continue
            client.sendall(data)
        client.close()
    back = threading.Thread(target=answers, daemon=True)
    back.start()
    seen = b""
    while True:
        data = client.recv(65536)
        if not data: break
        seen = (seen + data)[-200000:]
        if not shot and b"revisions (" in seen and b"COMMIT\0" in data:
            shot.append(1)
            lost.set()
            if passes_on:
                upstream.sendall(data)
                import time; time.sleep(0.5)
            client.shutdown(socket.SHUT_RDWR)
            if not passes_on:
                upstream.shutdown(socket.SHUT_RDWR)
            break
        upstream.sendall(data)
while True:
    client, _ = listener.accept()
    threading.Thread(target=serve, args=(client,), daemon=True).start()
]==]

  --- Calls ligase by way of the proxy.
  local function through_proxy(url, moment, ...)
    local database, socket = url:match("^postgresql:///([^?]*)"), url:match("host=([^&]*)")
    local folder = support.workspace()
    local said = folder .. "/said"
    local proxy <close> = sys.spawn({ "python3", "-c", PROXY, socket .. "/.s.PGSQL.5432",
      folder .. "/.s.PGSQL.5432", moment }, { stdout = said, stderr = "null" })
    repeat
      sys.sleep(0.02)
    until sys.stat(said) and sys.read_file(said):find("ready", 1, true)
    assert.is_truthy(proxy:pid())
    return support.ligase { database = ("postgresql:///%s?host=%s&user=ligase"):format(database, folder), ... }
  end

  for _, moment in ipairs { "after", "before" } do
    it("is looked up in the journal (lost " .. moment .. " it took place)", function()
      local conn, url = support.migrated()
      local path = support.tmpfile(GOOD, "unsure.csv")
      local result = through_proxy(url, moment, "ingest", path)
      local stored = moment == "after"
      assert.equal(stored and 1 or 0, #conn:query("SELECT FROM datasets WHERE name = 'unsure'"), result.stderr)
      if stored then
        assert.equal(0, result.code, result.stderr)
        assert.matches("unsure: stored, it is at revision 1", result.stdout, 1, true)
      else
        assert_one_line(result, { "unsure.csv: Postgres creation failed (required)", "Nothing of the file was stored" })
      end
      assert.same({}, ledger.torn(conn))
    end)

    it("of screening results is looked up too (lost " .. moment .. " it took place)", function()
      local conn, url = support.migrated()
      local path = support.tmpfile("well,compound,value\nA1,x,5\n", "plate.csv")
      local result = through_proxy(url, moment, "screening", "--campaign", "unsure", "--create", path)
      local stored = moment == "after"
      assert.equal(stored and 1 or 0, #conn:query "SELECT FROM screening_results", result.stderr)
      assert.equal(stored and 1 or 0, #conn:query "SELECT FROM runs WHERE outcome = 'done'")
      if stored then
        assert.equal(0, result.code, result.stderr)
        assert.matches("campaign unsure: revision 1, 1 result", result.stdout, 1, true)
      else
        assert_one_line(result, { "plate.csv: Postgres creation failed (required)", "Nothing was stored" })
      end
    end)
  end
end)
