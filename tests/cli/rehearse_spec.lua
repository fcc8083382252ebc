local support = require "tests.support"
local sys = require "sys"

describe("rehearse", function()
  it("plays the move through, and nothing is lost or twice", function()
    local workspace = support.workspace()
    local result = support.ligase { "rehearse", "--datasets", "5", workspace = workspace, timeout_s = 240 }
    assert.equal(0, result.code, result.stderr .. result.stdout)
    assert.matches("$ ligase import notion\nprograms: 3 pages\n  entities  3 new", result.stdout, 1, true)
    assert.matches("5 files: 5 ingested", result.stdout, 1, true)
    assert.matches("differing  program 'Ageing': Description is 'Edited in Notion by a person'", result.stdout, 1, true)
    assert.matches("experiments%s+16%s+16%s+16%s+0", result.stdout)
    assert.matches("of these made to fail%s+[1-9]", result.stdout)
    assert.matches("pages that are there twice%s+0\n", result.stdout)
    assert.matches("Nothing was lost and nothing came twice.\n$", result.stdout)
    assert.is_nil(sys.stat(workspace .. "/.ligase/rehearsal"))
  end)

  it("begins anew each time, also where its Postgres lies outside of the workspace", function()
    local workspace = support.workspace() .. "/closed"
    sys.mkdir(workspace)
    sys.chmod(workspace, "700") -- as root, Postgres runs as a user who cannot go there
    for _ = 1, 2 do
      local result = support.ligase { "rehearse", "--datasets", "1", "--faults", "0", workspace = workspace,
        timeout_s = 240 }
      assert.equal(0, result.code, result.stderr .. result.stdout)
      assert.matches("experiments%s+16%s+16%s+16%s+0", result.stdout)
    end
  end)

  it("keeps a lab in which both systems are written", function()
    local workspace = support.workspace()
    local out = support.tmpfile("", "out")
    local process <close> = sys.spawn({ require("host").executable, "rehearse", "--datasets", "1", "--faults", "0",
      "--keep" }, { stdout = out, stderr = "stdout", cwd = workspace, env = { LIGASE_WORKSPACE = workspace } })
    repeat
      sys.sleep(0.05)
    until sys.read_file(out):find("go on until Ctrl-C", 1, true) or process:wait(0)
    local lab = workspace .. "/.ligase/rehearsal"
    local function ligase(...)
      return support.ligase { workspace = lab, database = false, ... }
    end
    assert.matches("phase   dual_write: .*ENABLE_DUAL_WRITE=true %(%.env:%d+%)", ligase("policy", "check").stdout)
    local made = ligase("program", "create", "Mine")
    assert.equal(0, made.code, made.stderr)
    assert.matches("^1 pending", ligase("outbox").stdout)
    assert.matches("1 change delivered", ligase("sync").stdout)
    local second = support.ligase { "rehearse", "--datasets", "1", workspace = workspace, database = false }
    assert.equal(1, second.code)
    assert.matches(("a rehearsal runs in this workspace already (process %d)"):format(process:pid()), second.stderr, 1,
      true)
    assert.is_not_nil(sys.stat(lab))
    process:kill "INT"
    assert.equal(130, process:wait(30).code)
    assert.is_nil(sys.stat(lab))
  end)

  it("ends with what goes on when it is stopped", function()
    local workspace = support.workspace()
    local out = support.tmpfile("", "out")
    local process <close> = sys.spawn({ require("host").executable, "rehearse" }, { stdout = out, stderr = "stdout",
      cwd = workspace, env = { LIGASE_WORKSPACE = workspace } })
    repeat
      sys.sleep(0.05)
    until sys.read_file(out):find("The lab's Notion", 1, true) or process:wait(0)
    process:kill "INT"
    assert.equal(130, process:wait(30).code)
    assert.is_nil(sys.stat(workspace .. "/.ligase/rehearsal"))
  end)
end)
