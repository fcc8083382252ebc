--- Part 5: a folder of many small files through the queue, by one worker and by two, and
--- how much memory they take.
local generate = require "tests.bench.generate"
local host = require "host"
local measure = require "tests.bench.measure"
local server = require "tests.bench.server"
local sys = require "sys"

local M = {}

local ROWS, SAMPLES = 500, 6
local FILES = 1000
--- Memory must not grow with the number of files.
local MEMORY_FILES = { 1000, 3000 }

local function words_for(folder, jobs)
  return { "ingest", "--omics", "lipidomics", "--jobs", tostring(jobs), folder }
end

-- ---- memory ----------------------------------------------------------------

local function children_of(pid)
  local file = io.open(("/proc/%d/task/%d/children"):format(pid, pid))
  local pids = {}
  if file then
    for child in file:read("a"):gmatch("%d+") do
      pids[#pids + 1] = math.tointeger(tonumber(child))
    end
    file:close()
  end
  return pids
end

local function peak_of(pid)
  local file = io.open(("/proc/%d/status"):format(pid))
  if not file then
    return 0
  end
  local kib = tonumber(file:read("a"):match("VmHWM:%s*(%d+)")) or 0
  file:close()
  return kib
end

--- The peak of the command itself and of its largest worker, in MB.
local function peaks(conninfo, words)
  local process <close> = sys.spawn(table.move(words, 1, #words, 2, { host.executable }),
    { env = { POSTGRES_URL = conninfo }, stdout = "null" })
  local own, workers = 0, 0
  local ended
  repeat
    own = math.max(own, peak_of(process:pid()))
    for _, pid in ipairs(children_of(process:pid())) do
      workers = math.max(workers, peak_of(pid))
    end
    ended = process:wait(0.02)
  until ended
  if ended.code ~= 0 then
    error("ligase ingest failed")
  end
  return own / 1000, workers / 1000
end

local function print_memory(context, conninfo)
  local rows = { { "", "MB, ligase ingest", "MB, largest worker" } }
  for i, count in ipairs(MEMORY_FILES) do
    local folder = context.folder .. "/memory"
    generate.small_files(folder, { files = count, rows = ROWS, samples = SAMPLES, seed = 60 + i,
      prefix = "memory" .. i })
    local own, worker = peaks(conninfo, words_for(folder, 2))
    rows[#rows + 1] = { ("--jobs 2, %d files"):format(count), ("%.0f"):format(own), ("%.0f"):format(worker) }
    sys.remove_tree(folder)
  end
  measure.print_table("peak memory resident", rows)
end

-- ---- files a minute --------------------------------------------------------

--- A contestant whose files are made before each round and removed after it.
local function contestant(context, conninfo, jobs)
  local folder = ("%s/jobs%d"):format(context.folder, jobs)
  return {
    name = jobs,
    prepare = function(round)
      generate.small_files(folder, { files = FILES, rows = ROWS, samples = SAMPLES, seed = 100 * jobs + round,
        prefix = ("jobs%d_%d"):format(jobs, round) })
      server.settle()
    end,
    run = function()
      server.ligase(conninfo, words_for(folder, jobs))
    end,
    finish = function()
      sys.remove_tree(folder)
    end,
  }
end

--- Runs it and prints its tables.
---@param context table {folder=, rounds=}
function M.run(context)
  local conninfo, conn = server.database()
  generate.small_files(context.folder .. "/first", { files = FILES, rows = ROWS, samples = SAMPLES, seed = 7,
    prefix = "first" })
  server.ligase(conninfo, words_for(context.folder .. "/first", 2)) -- features are known from here on
  sys.remove_tree(context.folder .. "/first")
  conn:script("ANALYZE")
  local medians = measure.rounds(context.rounds, { contestant(context, conninfo, 1), contestant(context, conninfo, 2) })
  local rows = { { "", "seconds", "files/min", "to --jobs 1" } }
  for _, jobs in ipairs { 1, 2 } do
    rows[#rows + 1] = { ("ligase ingest FOLDER --jobs %d"):format(jobs), ("%.2f"):format(medians[jobs]),
      ("%.0f"):format(FILES / medians[jobs] * 60), measure.ratio(medians[1], medians[jobs]) }
  end
  measure.print_table(("5. a folder of %d files of %d rows, features known"):format(FILES, ROWS), rows)
  print_memory(context, conninfo)
  conn:close()
end

return M
