--- Lines typed on a terminal, and lines that come from elsewhere.
local support = require "tests.support"

local ECHO = [[
local line = require "line"
local reader <close> = line.open(function(text, cursor)
  if text == "fail" then error("no idea", 0) end
  if text == "table" then error({ message = "told" }) end
  if text == "raise" then error(setmetatable({}, { __tostring = function() error("worse") end })) end
  if text == "reuse" then reader_of_all:read() end
  if text:sub(1, cursor - 1) == "ab" then return "c\u{4E2D}" end
  return nil, "one\ntwo\n"
end)
rawset(_G, "reader_of_all", reader)
reader:add "\u{E4}lter"
while true do
  local text, why = reader:read "p\u{BB} "
  print("GOT " .. (text and ("%q"):format(text) or why))
  io.stdout:flush()
  if why == "end" then break end
end
]]

local PROMPT = "p\u{BB} "

--- Types each text at a prompt and gives what was read.
local function read(texts, call)
  local steps = {}
  for _, text in ipairs(texts) do
    steps[#steps + 1] = { expect = PROMPT }
    if type(text) == "table" then
      for _, step in ipairs(text) do
        steps[#steps + 1] = step
      end
    else
      steps[#steps + 1] = { send = text .. "\r" }
    end
    steps[#steps + 1] = { expect = "GOT " }
  end
  table.move({ { expect = PROMPT }, { send = "\4" }, { expect = "GOT end" } }, 1, 3, #steps + 1, steps)
  call = call or {}
  table.insert(call, 1, support.tmpfile("require('ligase.base.strict').declare('reader_of_all')\n" .. ECHO, "echo.lua"))
  local result = support.terminal(steps, call)
  assert.equal(0, result.code)
  assert.is_true(result.cooked)
  local got = {}
  for line in result.output:gsub("\r", ""):gsub("\\\n", "\\n"):gmatch("GOT ([^\n]*)") do
    got[#got + 1] = line
  end
  table.remove(got)
  return got, result.output
end

describe("line on a terminal", function()
  if not support.has_terminal() then
    pending("needs a terminal")
    return
  end

  it("reads UTF-8, wide characters too", function()
    assert.same({ '"a\u{F1} \u{4E2D} \u{1F600} b"', '""' }, (read { "a\u{F1} \u{4E2D} \u{1F600} b", "" }))
  end)

  it("edits, and finds what was typed before", function()
    assert.same({ '"xab"', '"\u{E4}lter"', '"ac"' },
      (read { "ab\1x", { { send = "\27[A" }, { send = "\r" } }, "abc\27[D\127" }))
  end)

  it("completes with the Tab key, in the middle too", function()
    local got, output = read { { { send = "abd\27[D" }, { quiet = 0.1 }, { send = "\t" }, { quiet = 0.1 },
      { send = "\r" } }, { { send = "q" }, { expect = "q" }, { send = "\t" }, { expect = "two" }, { send = "\r" } } }
    assert.same({ '"abc\u{4E2D}d"', '"q"' }, got)
    assert.matches("one\r\ntwo\r\np\u{BB} q", output, 1, true)
  end)

  it("says what a completion raised, and goes on", function()
    local typed, expected = {}, {}
    for text, said in pairs { fail = "no completion: no idea", table = "no completion: told",
      raise = "no completion: it failed", reuse = "completion cannot use its line reader" } do
      typed[#typed + 1] = { { send = text }, { expect = text }, { send = "\t" }, { expect = said }, { send = "\r" } }
      expected[#expected + 1] = ('"%s"'):format(text)
    end
    assert.same(expected, (read(typed)))
  end)

  it("takes pasted text as text, whatever is in it", function()
    local got = read { { { send = "\27[200~a\tb\3\r\n\4\26c\27[A\0\127d\r\n\r\n\27[201~" }, { send = "!\r" } },
      { { send = "\27[200~\27[201~\27[200~x\27[20y\27[201~" }, { send = "\r" } } }
    assert.same({ [["a\9b\nc[Ad!"]], '"x[20y"' }, got)
  end)

  it("passes over the end of a paste that it has given up", function()
    assert.same({ "interrupted", '"2+2"' }, (read { { { send = "\27[200~abc" }, { expect = "abc" }, { send = "\3" } },
      "\27[201~2+2" }))
  end)

  it("takes a tab for text when it was pasted without a word", function()
    assert.same({ [["ab\9x"]], [["\9x"]] }, (read { "ab\tx", "\tx" }))
  end)

  it("ends the line at Ctrl-C, and at a signal", function()
    assert.same({ "interrupted", '"b"', "interrupted" },
      (read { { { send = "abc\3" } }, "b", { { send = "abc" }, { expect = "abc" }, { signal = "INT" } } }))
  end)

  it("ends with SIGTERM, and gives the terminal back", function()
    local result = support.terminal({ { expect = PROMPT }, { send = "abc" }, { expect = "abc" }, { signal = "TERM" } },
      { support.tmpfile("require('ligase.base.strict').declare('reader_of_all')\n" .. ECHO, "echo.lua") })
    assert.equal(130, result.code)
    assert.is_true(result.cooked)
  end)

  it("survives bytes that are no text", function()
    assert.same({ '"a\u{FFFD}b\u{FFFD}c"' }, (read { { { hex = "61FF62E4630D" } } }))
  end)

  it("follows the terminal's size", function()
    local long = ("0123456789"):rep(6)
    assert.same({ ('"%s"'):format(long), ('"%s"'):format(long) },
      (read({ long, { { columns = 33 }, { send = long .. "\r" } } }, { columns = 20 })))
  end)
end)

describe("line without a terminal", function()
  it("reads lines as they come", function()
    local result = support.ligase { "-e", "require('ligase.base.strict').declare('reader_of_all')\n" .. ECHO,
      stdin = "a\t\27b\nc\r\n\nlast \xFF" }
    assert.equal(0, result.code, result.stderr)
    assert.equal('GOT "a\\9\\27b"\nGOT "c"\nGOT ""\nGOT "last \xFF"\nGOT end\n', result.stdout)
  end)

  it("refuses a reader that was closed", function()
    local reader = require("line").open()
    assert.is_false(reader:is_editing())
    reader:close()
    reader:close()
    assert.has_error(function() reader:read() end)
    assert.has_error(function() require("line").open "x" end)
  end)
end)
