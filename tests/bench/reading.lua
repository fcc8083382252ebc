--- Part 3: reading CSV alone, as text and with every value turned into a number.
local csv = require "csv"
local generate = require "tests.bench.generate"
local measure = require "tests.bench.measure"
local server = require "tests.bench.server"
local sys = require "sys"

local M = {}

local ROWS, SAMPLES = 40000, 100

local function read_text(path)
  local rows = 0
  for frame in csv.frames(path) do
    rows = rows + #frame
  end
  assert(rows == ROWS)
end

local function read_numbers(path)
  local rows = 0
  for frame in csv.frames(path) do
    rows = rows + #frame
    for column = 2, SAMPLES + 1 do
      frame:number(column)
    end
  end
  assert(rows == ROWS)
end

--- Runs it and prints its table.
---@param context table {folder=, home=, rounds=, pandas=}
function M.run(context)
  local path = context.folder .. "/reading.csv"
  generate.wide(path, { rows = ROWS, samples = SAMPLES, seed = 6 })
  local bytes = sys.stat(path).size_bytes
  local function python(name, task)
    return {
      name = name,
      run = function()
        return tonumber(server.run {
          server.python, context.home .. "/tests/bench/analyst.py", task, path })
      end,
    }
  end
  local contestants = {
    { name = "text", run = function() read_text(path) end },
    { name = "numbers", run = function() read_numbers(path) end },
    python("python", "csv"),
  }
  if context.pandas then
    contestants[#contestants + 1] = python("pandas", "read")
  end
  local medians = measure.rounds(context.rounds, contestants)

  local rows = { { "", "seconds", "MB/s", "to ligase" } }
  local function add(label, name, against)
    local seconds = medians[name]
    rows[#rows + 1] = { label, seconds and ("%.3f"):format(seconds) or "-",
      seconds and ("%.0f"):format(bytes / 1e6 / seconds) or "-",
      seconds and against and measure.ratio(seconds, medians[against]) or "" }
  end
  add("csv.frames, text", "text")
  add("csv.frames, values as numbers", "numbers")
  add("python3 csv module, text", "python", "text")
  add(context.pandas and "pandas read_csv, values as numbers" or "pandas read_csv: not installed",
    "pandas", "numbers")
  measure.print_table(("3. reading a CSV of %.0f MB alone"):format(bytes / 1e6), rows)
end

return M
