--- docs/tutorial.md, walked as it stands: what it saves, edits and types, and what it says is
--- printed.
local cluster = require "ligase.store.cluster"
local host = require "host"
local page = require "tests.cli.page"
local support = require "tests.support"
local sys = require "sys"

--- A folder as the page's reader has it, and the environment of the commands typed there.
local function place()
  local folder = support.workspace()
  sys.chmod(folder, "755")
  return folder, { PATH = host.executable:match "^(.*)/" .. ":" .. sys.getenv "PATH", LC_ALL = "C.UTF-8",
    COLUMNS = "100", LIGASE_WORKSPACE = folder }
end

local function walked(text)
  local folder, env = place()
  return page.walk("x.md", text, folder, env), folder
end

describe("the tutorial", function()
  local folder, env

  setup(function()
    folder, env = place()
  end)

  teardown(function()
    cluster.stop(folder) -- where a walk ended before its last command
  end)

  it("says what ligase does", function()
    local text = sys.read_file(host.home .. "/docs/tutorial.md")
    local complaints, blocks = page.walk("docs/tutorial.md", text, folder, env)
    assert.equal("", table.concat(complaints, "\n"))
    local commands = 0
    for _, block in ipairs(blocks) do
      commands = commands + #(block.commands or {})
    end
    assert.is_true(commands >= 20 and #blocks >= 15)
  end)
end)

describe("walking a page", function()
  it("names the line that is not printed", function()
    local complaints = walked "# x\n\n```\n$ echo one; echo two\none\nthree\n```\n"
    assert.same({ "x.md:6: after 'echo one; echo two' the page shows\n  three\nand this is printed\n  two" },
      complaints)
    assert.matches("x.md:3: after 'echo one' the page shows\n  %(nothing more%)", walked("\n```\n$ echo one\n```\n")[1])
    assert.matches("x.md:5: .*\n  two\nand this is printed\n  %(nothing more%)",
      walked("\n```\n$ echo one\none\ntwo\n```\n")[1])
    assert.same({}, (walked "```\n$ seq 9\n1\n...\n8\n9\n```\n"))
    assert.matches("x.md:5: ", walked("```\n$ seq 9\n1\n...\n10\n```\n")[1], 1, true)
  end)

  it("pairs ids, and knows only times and durations as the like of one another", function()
    local shown, ours = "01a22507-9de8-7380-8e67-bc94d2d7ef94", "01b33333-1234-7aaa-8bbb-cccccccccccc"
    local function dialogue(second)
      return ("```\n$ echo run %s; echo took 0.07 s\nrun %s\ntook 3.1 ms\n$ echo %s %s\n%s\n```\n"):format(ours, shown,
        shown, shown:sub(1, 13), second)
    end
    assert.same({}, (walked(dialogue(shown .. " " .. shown:sub(1, 13)))))
    assert.equal(1, #walked(dialogue(shown .. " 01a22507-9de9")))
    assert.equal(1, #walked("```\n$ echo 5 rows\n6 rows\n```\n"))
  end)

  it("saves and edits files, and says where that cannot be done", function()
    local text = "Save this as `a.txt`:\n\n```\none\ntwo\n```\n\nOpen `a.txt`:\n\n```diff\n one\n-two\n+2\n+3\n```\n"
    local complaints, folder = walked(text)
    assert.same({}, complaints)
    assert.equal("one\n2\n3\n", sys.read_file(folder .. "/a.txt"))
    assert.same({ "x.md:11: these lines are not in a.txt, or twice" }, (walked(text:gsub("\n one", "\n on"))))
    assert.same({ "x.md:2: this block is no file to save, no edit and no dialogue" }, (walked "```\nx\n```\n"))
    assert.same({ "x.md:4: the page has no folder b yet" }, (walked "Save `b/a`:\n\n```\nx\n```\n"))
  end)
end)
