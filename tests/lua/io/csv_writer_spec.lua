local csv = require "csv"
local csv_writer = require "ligase.io.csv_writer"
local errors = require "ligase.base.errors"
local support = require "tests.support"

--- Collects what is written.
local function sink()
  return { text = "", write = function(self, text)
    self.text = self.text .. text
    return self
  end }
end

local function written(format, rows, options)
  local out = sink()
  local writer = csv_writer.new(out, format, options)
  for _, row in ipairs(rows) do
    writer:row(row)
  end
  return out.text
end

describe("csv_writer", function()
  it("quotes what needs quoting and nothing else", function()
    assert.equal('a,b\n"x,y","say ""hi"""\n"two\nlines",\n', written("csv", { { "a", "b" }, { "x,y", 'say "hi"' },
      { "two\nlines", "" } }))
    assert.equal('a\tb,c\n"x\ty"\t"\r"\n', written("tsv", { { "a", "b,c" }, { "x\ty", "\r" } }))
  end)

  it("keeps a row of one empty cell a row", function()
    assert.equal('a\n""\n', written("csv", { { "a" }, { "" } }))
  end)

  it("is read back the same by this reader and by Python's", function()
    local rows = { { "name", "a;b", " spaces " }, { 'q"uo"te', ",", "\n" }, { "", "ß→", "'x'" }, { '"', '""', "\r\n" },
      { "=1+1", "#x", "-3" } }
    for _, format in ipairs { "csv", "tsv" } do
      local text, separator = written(format, rows), format == "csv" and "," or "\t"
      local reader <close> = csv.frames({ text = text }, { separator = separator, header = false })
      local frame = reader:next()
      for i, row in ipairs(rows) do
        assert.same(row, frame:row(i))
      end
      local python = support.python([[
import csv, io, sys
text = sys.stdin.buffer.read().decode()
rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=sys.argv[1]))
print(repr(rows))]], { separator }, text)
      local expected = support.python([[
import sys
print(repr([row.split("\x1f") for row in sys.stdin.buffer.read().decode().split("\x1e")]))]], {},
        table.concat((function()
          local joined = {}
          for i, row in ipairs(rows) do
            joined[i] = table.concat(row, "\x1f")
          end
          return joined
        end)(), "\x1e"))
      assert.equal(expected, python)
    end
  end)

  it("disarms formulas when asked, and leaves numbers alone", function()
    local cells = { "=1+1", "+A1", "-A1", "@SUM(A1)", "\tx", "-1.5", "+2", "-1,5", "-1e-300", "-Inf", "a=b", "" }
    assert.equal("'=1+1,'+A1,'-A1,'@SUM(A1),'\tx,-1.5,+2,\"-1,5\",-1e-300,-Inf,a=b,\n",
      written("csv", { cells }, { excel_safe = true }))
    assert.equal("=1+1\n", written("csv", { { "=1+1" } }))
  end)

  it("raises when the output cannot be written", function()
    local full <close> = assert(io.open("/dev/full", "w"))
    full:setvbuf("no")
    local done, failure = pcall(csv_writer.write, full, "x")
    assert.is_false(done)
    assert.is_true(errors.is(failure, "system"))
    assert.matches("No space left", failure.message)
    local held <close> = assert(io.open("/dev/full", "w"))
    held:setvbuf("full", 4096)
    csv_writer.write(held, "x")
    done, failure = pcall(csv_writer.flush, held)
    assert.is_false(done)
    assert.is_true(errors.is(failure, "system"))
    assert.matches("No space left", failure.message)
  end)

  it("refuses another format by name", function()
    local done, failure = pcall(csv_writer.new, sink(), "xlsx")
    assert.is_false(done)
    assert.is_true(errors.is(failure, "usage"))
    assert.matches("xlsx", failure.message)
  end)
end)
