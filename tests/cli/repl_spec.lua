--- ligase repl, on a terminal and from a pipe.
local support = require "tests.support"
local sys = require "sys"

local conn, url, workspace

setup(function()
  conn, url = support.migrated()
  workspace = support.workspace()
  sys.mkdir(workspace .. "/.ligase")
  local made = support.ligase { "ingest", "--omics", "lipidomics", "--name", "plasma", database = url,
    support.tmpfile("lipid,s1,s2\nPC 34:1,1,4\nPE 36:2,2.5,8\nTG 52:2,NA,9\n", "x.csv"), workspace = workspace }
  assert.equal(0, made.code, made.stderr)
end)

local function piped(lines, call)
  call = call or {}
  call[1], call.stdin, call.database, call.workspace = "repl", lines, url, call.workspace or workspace
  return support.ligase(call)
end

local function output(lines)
  local result = piped(lines)
  assert.equal("", result.stderr)
  assert.equal(0, result.code)
  return result.stdout
end

describe("ligase repl from a pipe", function()
  it("prints what expressions give, and keeps globals and the last value", function()
    assert.equal("3\n10\n20\nnil\n1\nx\n", output '1 + 2\nx = 5\n= x * 2\n_ * 2\nprint(rawget(_G, "x"))\n1, "x"\n')
  end)

  it("goes on over lines until the code is complete", function()
    assert.equal("1\n2\n12\n", output 'for i = 1, 2 do\n\n  print(i)\nend\nx = 3 *\n4\nx\n')
    assert.equal("a\nb\n", output "[[a\nb]]\n")
    assert.matches("the input ends in the middle", piped("for i = 1, 2 do\n").stderr, 1, true)
  end)

  it("says where it went wrong, and how it came there, and goes on", function()
    local result = piped 'function f() error("bad") end\nfunction g() f() return 1 end\ng()\n1 +* 2\nnothing\n7\n'
    assert.equal("7\n", result.stdout)
    assert.equal(1, result.code)
    assert.matches("input 1:1: bad\n  at input 1:1 in f\n  at input 2:1 in g\n  at input 3:1\n", result.stderr, 1, true)
    assert.matches("input 4:1: unexpected symbol near '*'", result.stderr, 1, true)
    assert.matches("input 5:1: there is no 'nothing'", result.stderr, 1, true)
    assert.matches("Did you mean 'dataset'", piped("datasetz").stderr, 1, true)
  end)

  it("says the line of a call that is refused, and not where ligase refuses it", function()
    local folder = support.workspace()
    local script = folder .. "/bad.lua"
    sys.write_file(script, "function f()\n  local r = sql[[SELECT nix]]\nend\n\nf()\n")
    local result = piped(('sql(5)\nx = dataset(7)\nnothing\n.run %s\nrequire "nix"\n1; -- fine\n')
      :format(script))
    assert.equal("1\n", result.stdout)
    assert.matches("input 1:1: sql needs a text", result.stderr, 1, true)
    assert.matches("input 2:1: dataset needs a text", result.stderr, 1, true)
    assert.matches("input 3:1: there is no 'nothing'", result.stderr, 1, true)
    assert.matches("bad.lua:2: SQL:1:8: column \"nix\" does not exist", result.stderr, 1, true)
    assert.matches("\n  at [^\n]*bad.lua:2 in f\n  at [^\n]*bad.lua:5\n", result.stderr)
    assert.matches("input 5:1: module 'nix' not found. Modules", result.stderr, 1, true)
    assert.is_nil(result.stderr:find("lua/ligase/", 1, true), result.stderr)
  end)

  it("takes nothing for a value that is an error of a script's own", function()
    local result = piped 'error({})\nerror(setmetatable({}, { __tostring = function() return "mine" end }))\nerror()\n'
    assert.matches("a table was raised as an error", result.stderr, 1, true)
    assert.matches("mine", result.stderr, 1, true)
    assert.equal("", result.stdout)
  end)

  it("asks the database", function()
    assert.equal("feature  n\n-------  -\nPC 34:1  2\n(1 row)\nPC 34:1\n", output(
      'r = sql("SELECT feature, count(*) AS n FROM measurement_values WHERE feature = $1 GROUP BY 1", "PC 34:1")\n'
      .. "r\nr[1].feature\n"))
    assert.equal("5\n", output 'sql("SELECT $1::int + $2::int AS n", {2, 3})[1].n\n')
    assert.matches("SQL:1:8: column \"nix\" does not exist", piped("sql[[SELECT nix]]\n").stderr, 1, true)
    local steering = "sql[[DO $$ BEGIN RAISE NOTICE 'it % steers', E'\\x1b[31m'; END $$]]\n"
    assert.matches("it \\x1B[31m steers", piped(steering).stderr, 1, true)
    assert.matches("plasma  lipidomics", output 'datasets"pla*"\n', 1, true)
    assert.matches("(0 rows)", output 'datasets"x"\n', 1, true)
    assert.matches("PC 34:1  lipid", output 'features"PC"\n', 1, true)
    assert.matches("there are more", output 'features("*", { limit = 1 })\n', 1, true)
    assert.matches("there is no dataset 'plasna'", piped('dataset"plasna"\n').stderr, 1, true)
  end)

  it("has a dataset's table and draws it", function()
    assert.equal([[
lipid     s1  s2
-------  ---  --
PC 34:1    1   4
PE 36:2  2.5   8
(2 rows)
]], output 'dataset"plasma":frame():head(2)\n')
    assert.equal("TG 52:2  NA   9\n", output('d = dataset"plasma"\nd:tail(1)\n'):match("TG[^\n]*\n"))
    assert.matches("s2 over s1, 2 points", output 'dataset"plasma":plot("s1", "s2")\n', 1, true)
    assert.matches("3 rows, 2 columns\nPC 34:1 ", output 'heat(dataset"plasma", { scale = "log" })\n', 1, true)
    assert.matches("omics      lipidomics", output 'dataset"plasma"\n', 1, true)
    assert.matches("  decode = function", output "json\n", 1, true)
    assert.equal(output 'dataset"plasma":frame():hist("s1")\n', output 'dataset"plasma":hist("s1")\n')
    assert.equal(output 'dataset"plasma":plot("s1", "s2")\n', output 'plot(dataset"plasma", "s1", "s2")\n')
    assert.equal("kept 7\n", output 'recipe"lipidomics".read_name "PC 34:1".name == "PC 34:1" and "kept 7"\n')
  end)

  it("knows its commands, and the nearest of a misspelt one", function()
    assert.matches("measurement_values  view", output ".tables measure\n", 1, true)
    assert.matches("log2_fold_change", output ".columns effects\n", 1, true)
    assert.matches("Did you mean '.tables'", piped(".tabels\n").stderr, 1, true)
    assert.matches("Did you mean 'effects'", piped(".columns efects\n").stderr, 1, true)
    assert.matches("%(%d[%d.]* m?s%)", output ".time\n1\n")
    assert.matches(".save FILE", output ".help\n", 1, true)
    assert.equal("1\n", output "1\n.quit\n2\n")
    assert.equal("4\n", output ".page 2 + 2\n")
  end)

  it("saves a session as a script, which does the same", function()
    local folder = support.workspace()
    local path = folder .. "/session.lua"
    local first = output(('x = 20\nlocal y = 1\n{ x, "a" }\nnothing\nsql"SELECT 1 AS one"\n.save %s\n')
      :format(path):gsub("nothing\n", ""))
    local again = support.ligase { path, database = url, workspace = workspace }
    assert.equal(0, again.code, again.stderr)
    assert.equal(first:gsub("saved[^\n]*\n", ""), again.stdout)
    local odd = { "1 + 1 -- two", '"a"; ', "= 3", "2, 3", "_", "return 7", "if true then return 10 end", "-- nothing",
      "x = 5 -- five", "{", "x}", "return x, 9 -- nine", "function f() return 2 end", "f()" }
    first = output(table.concat(odd, "\n") .. ("\n.save %s\n"):format(path))
    again = support.ligase { path, database = url, workspace = workspace }
    assert.equal("", again.stderr)
    assert.equal("2\na\n3\n2\n3\n2\n7\n10\n{ 5 }\n5\n9\n2\n", again.stdout)
    assert.equal(first:gsub("saved[^\n]*\n", ""), again.stdout)
    sys.write_file(folder .. "/run.lua", "#!/usr/bin/env ligase\nz = 9\nreturn z + 1\n")
    assert.equal("10\n9\n", output((".run %s/run.lua\nz\n"):format(folder)))
    sys.write_file(folder .. "/other.lua", "precious")
    assert.matches("something else", piped((".save %s/other.lua\n"):format(folder)).stderr, 1, true)
    assert.equal("precious", sys.read_file(folder .. "/other.lua"))
  end)

  it("has its words in scripts too", function()
    local script = support.tmpfile([[
local words = require "ligase.words"
print(words.dataset "plasma":head(2):plot("s1", "s2"))
words.show(words.sql("SELECT 1 AS one"))]], "words.lua")
    local result = support.ligase { script, database = url, workspace = workspace }
    assert.equal("", result.stderr)
    assert.matches("2 points", result.stdout, 1, true)
    assert.matches("one\n---\n  1\n(1 row)\n", result.stdout, 1, true)
    local code = 'local _ENV = require("ligase.words").environment() x = 1 show(x + 1) show(y)'
    result = support.ligase { "-e", code, database = url }
    assert.equal("2\n", result.stdout)
    assert.matches("there is no 'y'", result.stderr, 1, true)
  end)

  it("loads changed modules and recipes anew, and keeps the last good one", function()
    local folder = support.workspace()
    sys.mkdir(folder .. "/lua")
    sys.mkdir(folder .. "/recipes")
    local RECIPE = [[local pipeline = require "ligase.omics.pipeline"
return pipeline.recipe { omics = "o", feature_type = "t", name_columns = { "n" }, stages = { pipeline.store },
  read_name = function(raw) return { name = raw .. "%s", rule = "r" } end }]]
    local function write(name, text)
      return ("sys.write_file(%q, %q)\n"):format(folder .. "/" .. name, text):gsub("\\\n", "\\n")
    end
    local result = piped(write("lua/mine.lua", "return { n = 1 }") .. write("recipes/r.lua", RECIPE:format "1")
      .. 'mine = require "mine"\nr = recipe"r"\n'
      .. write("lua/mine.lua", "return { n = 22 }") .. write("recipes/r.lua", RECIPE:format "22")
      .. 'mine.n\nr.read_name("a").name\n'
      .. write("lua/mine.lua", "return { n = 333") .. write("recipes/r.lua", RECIPE:format('333" +')) .. "mine.n\n"
      .. 'r.read_name("a").name\n' .. write("lua/mine.lua", "error('later')") .. "mine.n\n", { workspace = folder })
    assert.equal("22\na22\n22\na22\n22\n", result.stdout)
    assert.matches("module mine was loaded anew", result.stderr, 1, true)
    assert.matches("recipe r was loaded anew", result.stderr, 1, true)
    assert.matches("mine.lua:1: '}' expected near <eof>. The last good one stays in force", result.stderr, 1, true)
    assert.matches("recipes/r.lua:3: ", result.stderr, 1, true)
    assert.matches("mine.lua:1: later", result.stderr, 1, true)
    assert.equal(5, select(2, result.stderr:gsub("\n", "")), result.stderr)
  end)

  it("goes on with the last good recipe where it is asked for again", function()
    local folder = support.workspace()
    sys.mkdir(folder .. "/recipes")
    local path = folder .. "/recipes/panel.lua"
    sys.write_file(path, [[local pipeline = require "ligase.omics.pipeline"
return pipeline.recipe { omics = "o", feature_type = "t", name_columns = { "n" }, stages = { pipeline.store },
  read_name = function(raw) return { name = "the " .. raw, rule = "r" } end }]])
    local ask, typed = "recipe'panel'.read_name('x').name\n", {}
    for i, text in ipairs { "return 1 +", "error()", "return {}", "return 'a text'" } do
      typed[i] = ("sys.write_file(%q, %q)\n"):format(path, text) .. ask .. ask
    end
    local result = piped(ask .. table.concat(typed), { workspace = folder })
    assert.equal(("the x\n"):rep(9), result.stdout, result.stderr)
    assert.matches("panel.lua:1: unexpected symbol near <eof>. Mend the recipe at the line named. The last good one "
      .. "stays in force\n", result.stderr, 1, true)
    assert.equal(4, select(2, result.stderr:gsub("recipe panel has changed, but cannot be loaded", "")), result.stderr)
    assert.equal(4, select(2, result.stderr:gsub("\n", "")), result.stderr)
  end)

  it("loads recipes anew when a module that they use has changed", function()
    local folder = support.workspace()
    sys.mkdir(folder .. "/lua")
    sys.mkdir(folder .. "/recipes")
    sys.write_file(folder .. "/recipes/r.lua", [[local pipeline = require "ligase.omics.pipeline"
return pipeline.recipe { omics = "o", feature_type = "t", name_columns = { "n" }, stages = { pipeline.store },
  read_name = require("mine").read }]])
    local function module(name)
      return ("return { read = function(raw) return { name = raw .. %q, rule = 'r' } end }"):format(name)
    end
    sys.write_file(folder .. "/lua/mine.lua", module "1")
    local function write(text)
      return ("sys.write_file(%q, %q)\n"):format(folder .. "/lua/mine.lua", text)
    end
    local result = piped('r = recipe"r"\n' .. write(module "second") .. 'r.read_name("a").name\n' .. write "return {}"
      .. 'r.read_name("a").name\n', { workspace = folder })
    assert.equal("asecond\nasecond\n", result.stdout)
    assert.matches("module mine was loaded anew\nmodule mine was loaded anew\nrecipe r cannot be loaded: ",
      result.stderr, 1, true)
  end)

  it("loads a changed format anew, which registers itself once more", function()
    local folder = support.workspace()
    local path = "/lua/ligase/omics/formats/mine.lua"
    assert.equal(0, sys.run({ "mkdir", "-p", folder .. path:match "^(.*)/" }).code)
    local function format(title)
      return ('return require("ligase.omics.formats").register { name = "mine", title = %q, source = "x", '
        .. "recognise = function() end }"):format(title)
    end
    local function write(text)
      return ("sys.write_file(%q, %q)\nformats.get('mine').title\n"):format(folder .. path, text)
    end
    sys.write_file(folder .. path, format "one")
    local result = piped('formats = require "ligase.omics.formats"\nformats.get("mine").title\n'
      .. write(format "the second") .. write "return nil" .. write(format "three"), { workspace = folder })
    assert.equal("one\nthe second\nthe second\nthree\n", result.stdout, result.stderr)
    assert.matches("the file returns no format. The last good one stays in force", result.stderr, 1, true)
  end)

  it("makes nothing in a folder where there is nothing", function()
    local folder = support.workspace()
    local result = support.ligase { "repl", stdin = '1\ndatasets"x"\n', database = false, workspace = folder }
    assert.equal("1\n", result.stdout)
    assert.matches("there is no data yet", result.stderr, 1, true)
    assert.same({}, sys.list(folder))
  end)

  it("connects anew when the connection is lost", function()
    local result = piped 'sql"SELECT pg_terminate_backend(pg_backend_pid())"\nsql"SELECT 7 AS n"[1].n\n'
    assert.equal("7\n", result.stdout)
    assert.matches("57P01", result.stderr, 1, true)
  end)

  it("ends quietly when nobody reads any more", function()
    local result = sys.run({ "bash", "-c", 'yes 1 | head -20000 | "$0" repl | head -1', require("host").executable },
      { env = { POSTGRES_URL = url } })
    assert.equal("1\n", result.stdout)
    assert.equal("", result.stderr)
  end)
end)

describe("ligase repl on a terminal", function()
  if not support.has_terminal() then
    pending("needs a terminal")
    return
  end

  local PROMPT = { expect = "ligase> " }

  local function typed(steps, call)
    call = call or {}
    call[1], call.database, call.workspace = "repl", url, call.workspace or workspace
    table.insert(steps, 1, PROMPT)
    steps[#steps + 1] = { send = "\4" }
    local result = support.terminal(steps, call)
    assert.equal(0, result.code, result.output)
    assert.is_true(result.cooked)
    return result.output
  end

  it("opens, answers and ends; and remembers in the workspace", function()
    typed { { send = "40 + 2\r" }, { expect = "42" }, PROMPT, { send = "{\r" }, { expect = ">> " }, { send = "1}\r" },
      { expect = "{ 1 }" }, PROMPT }
    assert.equal("40 + 2\n{\\n1}\n", sys.read_file(workspace .. "/.ligase/history"))
    typed { { send = "\27[A\27[A\r" }, { expect = "42" }, PROMPT }
    assert.equal(384, sys.stat(workspace .. "/.ligase/history").mode & 511)
  end)

  it("cancels what runs at Ctrl-C, and keeps the session", function()
    local out = typed { { send = "kept = 7\r" }, PROMPT, { send = "sql[[SELECT pg_sleep(60)]]\r" }, { cooked = true },
      { quiet = 0.1 }, { send = "\3" }, { expect = "interrupted" }, PROMPT,
      { send = "while true do end\r" }, { cooked = true }, { quiet = 0.1 }, { send = "\3" }, { expect = "interrupted" },
      PROMPT, { send = "coroutine.wrap(function() while true do end end)()\r" }, { cooked = true }, { quiet = 0.1 },
      { send = "\3" }, { expect = "interrupted" }, PROMPT,
      { send = "sql[[SELECT pg_sleep(61)]]\r" }, { cooked = true }, { quiet = 0.1 }, { signal = "INT" },
      { signal = "INT" }, { signal = "INT" }, { expect = "interrupted" }, PROMPT, { quiet = 0.1 }, { send = "\3" },
      PROMPT, { send = "kept, sql[[SELECT 1 AS one]]\r" }, { expect = "7\r\n" }, { expect = "one" }, PROMPT,
      { send = "for i = 1, 2 do\3" }, { expect = "^C" }, PROMPT, { send = "'again'\r" }, { expect = "again" }, PROMPT }
    assert.equal(4, select(2, out:gsub("interrupted", "")))
    assert.equal(0, conn:query("SELECT count(*) AS n FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' "
      .. "AND datname = current_database() AND pid <> pg_backend_pid()")[1].n)
  end)

  it("shows an open and a failed transaction in the prompt", function()
    typed { { send = "sql'BEGIN'\r" }, { expect = "ligase*> " }, { send = "sql'nix'\r" }, { expect = "ligase!> " },
      { send = "sql'ROLLBACK'\r" }, PROMPT }
  end)

  it("completes out of the database", function()
    typed { { send = "datasets\"pla" }, { quiet = 0.1 }, { send = "\t" }, { expect = "sma\"" }, { send = "\r" },
      { expect = "lipidomics" }, PROMPT, { send = "sql[[SELECT * FROM dataset_ov" }, { quiet = 0.1 }, { send = "\t" },
      { expect = "erview" }, { send = "\3" }, PROMPT, { send = ".tab" }, { quiet = 0.1 }, { send = "\t" },
      { expect = "les" }, { send = "\3" }, PROMPT }
  end)

  it("fits on 20 columns", function()
    local out = support.terminal({ { expect = "> " }, { send = "datasets'*'\r" }, { expect = "columns" },
      { expect = "> " }, { send = ".help\r" }, { expect = "inputs as a\r\n    script\r\n" },
      { expect = "> " }, { send = "dataset'plasma':plot('s1', 's2')\r" }, { expect = "\u{2514}" }, { expect = "> " },
      { send = "{ ('x'):rep(50), { a = 1 } }\r" }, { expect = "a = 1" }, { expect = "> " }, { send = "\4" } },
      { "repl", columns = 20, database = url, workspace = workspace }).output
    local text = require "ligase.base.text"
    for line in out:gsub("\27%[%??[%d;]*%a", ""):gmatch("[^\r\n]+") do
      if not line:find(">", 1, true) and not line:find("[%(%)]") and not line:find("ligase 0", 1, true) then
        assert.is_true(text.width(line) <= 20 or line:find("rep", 1, true) ~= nil or line:find("plot", 1, true) ~= nil,
          line)
      end
    end
  end)

  it("edits the last input, and pages a long value", function()
    local folder = support.workspace()
    local editor = folder .. "/ed"
    sys.write_file(editor, "#!/bin/sh\nsed -i 's/1/5/' \"$1\"\n", { mode = "0755" })
    typed({ { send = "1 + 1\r" }, { expect = "2" }, PROMPT, { send = ".edit\r" }, { expect = "5 + 1" },
      { expect = "6\r\n" }, PROMPT, { send = "sql[[SELECT generate_series(1, 300) AS n]]\r" },
      { expect = "40 of 300 rows; .page shows all" }, PROMPT, { send = ".page\r" }, { expect = "300\r\n(300 rows)" },
      PROMPT }, { env = { EDITOR = editor, VISUAL = "", PAGER = "cat" } })
  end)
end)
