--- Part 4: peak memory of an ingest, for a tall and for a wide file of 200 MB.
local generate = require "tests.bench.generate"
local measure = require "tests.bench.measure"
local server = require "tests.bench.server"
local sys = require "sys"

local M = {}

local SHAPES = {
  { name = "tall", rows = 240000, samples = 100 },
  { name = "wide", rows = 2400, samples = 9999 },
}

--- Runs it and prints its table.
---@param context table {folder=}
function M.run(context)
  local conninfo, conn = server.database()
  conn:close()
  local rows = { { "", "file MB", "seconds", "MB/s", "peak MB resident" } }
  for i, shape in ipairs(SHAPES) do
    local path = ("%s/%s.csv"):format(context.folder, shape.name)
    generate.wide(path, { rows = shape.rows, samples = shape.samples, seed = 6 + i })
    local megabytes = sys.stat(path).size_bytes / 1e6
    server.settle()
    local peak_bytes
    local seconds = measure.seconds(function()
      peak_bytes = server.ligase_peak(conninfo, { "ingest", "--omics", "lipidomics", path })
    end)
    rows[#rows + 1] = { ("ligase ingest, %d x %d"):format(shape.rows, shape.samples),
      ("%.0f"):format(megabytes), ("%.2f"):format(seconds), ("%.0f"):format(megabytes / seconds),
      ("%.0f"):format(peak_bytes / 1024 ^ 2) }
    sys.remove(path)
  end
  measure.print_table("4. peak memory, features all new", rows)
end

return M
