local host = require "host"
local support = require "tests.support"
local sys = require "sys"

local function script(text, name)
  local path = support.tmpfile(text, name or "script.lua")
  sys.chmod(path, "755")
  return path
end

describe("a script", function()
  it("gets its arguments", function()
    local path = script('print(arg[0], #arg, ...)\nprint(arg[1], arg[2])\n')
    local result = support.ligase { path, "a b", "--c" }
    assert.equal(0, result.code, result.stderr)
    assert.equal(("%s\t2\ta b\t--c\na b\t--c\n"):format(path), result.stdout)
  end)

  it("is found by its path, whatever its name", function()
    local path = script("print 'here'\n", "my script")
    assert.equal("here\n", support.ligase({ path }).stdout)
    local folder = path:match("^(.*)/")
    assert.equal("here\n", support.ligase({ "./my script", workspace = folder }).stdout)
    local hint = support.ligase { "my script", workspace = folder }
    assert.equal(2, hint.code)
    assert.matches("ligase ./my script", hint.stderr, 1, true)
  end)

  it("runs by itself when it begins with #!", function()
    local path = script("#!/usr/bin/env ligase\nprint('hi', ...)\nos.exit(7)\n", "tool")
    local folder = host.executable:match("^(.*)/")
    local result = sys.run({ path, "1", "2" }, { env = { PATH = folder .. ":" .. sys.getenv("PATH") } })
    assert.equal("hi\t1\t2\n", result.stdout)
    assert.equal(7, result.code, result.stderr)
  end)

  it("has the host's modules and strict globals", function()
    local result = support.ligase { "-e", [[
      print(type(csv.frames), type(frame), type(pg.connect), type(sys.now), host.version, json.encode { a = 1 })]] }
    assert.equal(0, result.code, result.stderr)
    assert.matches("function\ttable\tfunction\tfunction\t%d", result.stdout)
    local reading = support.ligase { script("local x = 1\nprint(smaples)\n") }
    assert.equal(1, reading.code)
    assert.matches("script.lua:2: reading the undeclared global 'smaples'", reading.stderr, 1, true)
    local writing = support.ligase { "-e", "total = 1" }
    assert.equal(1, writing.code)
    assert.equal("ligase: (-e):1: assigning to the undeclared global 'total'. Write 'local' before it\n",
      writing.stderr)
  end)

  it("that fails shows where, and how it came there", function()
    local path = script("local function deep()\n  local x\n  return x.y\nend\ndeep()\n")
    local result = support.ligase { path }
    assert.equal(1, result.code)
    assert.matches("ligase: [^\n]*script.lua:3: attempt to index a nil value", result.stderr)
    assert.matches("stack traceback:\n[^\n]*script.lua:3: in [^\n]*\n[^\n]*script.lua:5: in", result.stderr)
    assert.is_nil(result.stderr:find("boot.lua", 1, true))
    local code = support.ligase { "-e", "error { code = 5 }" }
    assert.matches("(-e):1: in", code.stderr, 1, true)
    local ours = support.ligase { "-e", [[pg.connect("host=/nowhere")]] }
    assert.equal(1, ours.code)
    assert.equal(1, select(2, ours.stderr:gsub("\n", "")), ours.stderr)
  end)

  it("that cannot be loaded says why", function()
    for words, expected in pairs {
      [{ "-e", "x x" }] = "(-e):1: syntax error near 'x'",
      [{ "no_such.lua" }] = "cannot open no_such.lua: No such file or directory",
      [{ "/tmp/" }] = "cannot read /tmp/: Is a directory",
      [{ script("print(1\n") }] = "script.lua:2: ')' expected",
    } do
      local result = support.ligase(words)
      assert.equal(1, result.code)
      assert.matches(expected, result.stderr, 1, true)
      assert.equal(1, select(2, result.stderr:gsub("\n", "")), result.stderr)
    end
    assert.equal(2, support.ligase({ "-e" }).code)
  end)

  it("may not be bytecode", function()
    local compiled = string.dump(assert(load("print 'ran'")))
    local path = script(compiled, "compiled.lua")
    local result = support.ligase { path }
    assert.equal(1, result.code)
    assert.equal("", result.stdout)
    assert.matches("Compiled Lua is refused", result.stderr, 1, true)
    local inside = support.ligase { "-e", [[
      print(load((...), "x", "b"))
      print(pcall(require, "compiled"))
      print(pcall(dofile, "compiled.lua"))]], compiled:gsub("%z", ""), workspace = path:match("^(.*)/") }
    assert.equal(0, inside.code, inside.stderr)
    assert.is_nil(inside.stdout:find("ran\n", 1, true))
    assert.equal(3, select(2, inside.stdout:gsub("binary chunk", "")), inside.stdout)
  end)

  it("may use a database and print what it likes", function()
    local _, url = support.migrated()
    local result = support.ligase { "-e", [[
      local conn <close> = pg.connect(...)
      print(conn:query("SELECT $1::int + 1 AS n", 41)[1].n, conn:query("SELECT '[1,2]'::jsonb AS j")[1].j[2])]], url }
    assert.equal("42\t2\n", result.stdout, result.stderr)
  end)
end)

describe("a recipe's file", function()
  local recipe = host.home .. "/recipes/lipidomics.lua"

  it("that is run reads files, as ligase run does", function()
    local conn, url = support.migrated()
    local file = support.tmpfile("lipid,a\nPC 34:1,1\n", "x.csv")
    local result = support.ligase { recipe, file, "--name", "direct", database = url }
    assert.equal(0, result.code, result.stderr)
    assert.matches("direct (lipidomics): new dataset", result.stdout, 1, true)
    local again = support.ligase { "run", "lipidomics", file, "--name", "direct", database = url }
    assert.matches("direct: unchanged (revision 1)", again.stdout, 1, true)
    assert.same({ "lipidomics", "lipidomics" }, { conn:query("SELECT recipe FROM revisions")[1].recipe,
      conn:query("SELECT recipe FROM runs ORDER BY started_at LIMIT 1")[1].recipe })
    assert.equal(2, support.ligase({ recipe }).code)
    assert.matches("Usage: ligase run", support.ligase({ recipe, "--help" }).stdout, 1, true)
  end)

  it("may begin with #! and stand anywhere", function()
    local _, url = support.migrated()
    local path = script("#!/usr/bin/env ligase\n" .. sys.read_file(recipe):gsub('"lipidomics"', '"other"'), "panel")
    local file = support.tmpfile("lipid,a\nPC 34:1,1\n", "x.csv")
    local direct = support.ligase { path, file, database = url }
    assert.equal(0, direct.code, direct.stderr)
    assert.matches("x (other): new dataset", direct.stdout, 1, true)
    local named = support.ligase { "run", path .. "", file, database = url }
    assert.matches("x: unchanged", named.stdout, 1, true)
  end)

  it("that is no recipe is said to be none", function()
    local path = script("return 5\n")
    local result = support.ligase { "run", path, "x.csv" }
    assert.equal(2, result.code)
    assert.matches("returns no recipe", result.stderr, 1, true)
    local unknown = support.ligase { "run", "lipidomic", "x.csv" }
    assert.equal(2, unknown.code)
    assert.matches("Did you mean 'lipidomics'?", unknown.stderr, 1, true)
  end)

  it("with a mistake in it shows the mistake", function()
    local _, url = support.migrated()
    local broken = sys.read_file(recipe):gsub("read_name = lipid.read", "read_name = function(raw) return raw.x.y end")
    local file = support.tmpfile("lipid,a\nPC 34:1,1\n", "x.csv")
    local result = support.ligase { "run", script(broken, "panel.lua"), file, database = url }
    assert.equal(1, result.code)
    assert.matches("panel.lua:%d+: attempt to index a nil value", result.stderr)
    assert.matches("x.csv: the recipe panel failed", result.stderr, 1, true)
  end)
end)
