--- The specs in several processes: each file is a run of its own, so many at a time, on
--- one Postgres that belongs to the whole.
---
--- A part is told by its environment where that server is and where its counts go; what it
--- prints is shown when it has ended, so that files do not mix.
local errors = require "ligase.base.errors"
local host = require "host"
local json = require "ligase.base.json"
local sys = require "sys"

local M = {}

--- Longest first, so that no long one is left alone at the end: files of 20 seconds and more,
--- and then folders.
local ORDER = { "/faults/relay_spec", "/phase_kill_spec", "/lipid_lists_spec", "/cli/workspace_spec",
  "/bad_input_spec", "/kill_spec", "/batch_spec", "/verdicts/export_spec", "/store/cluster_spec", "/rehearse_spec",
  "/sync/phases_spec", "/faults/cluster_spec", "/undo_kill_spec", "/name_moves_spec", "/faults/", "/verdicts/",
  "/cli/", "/lua/store/", "/lua/", "/host/" }
local LOOK_S = 0.02
--- A file that is not done after this waits for what never comes.
local LIMIT_S = 600

local function rank(path)
  for place, part in ipairs(ORDER) do
    if path:find(part, 1, true) then
      return place
    end
  end
  return #ORDER + 1
end

--- The spec files among these, and in these folders.
---@param paths string[]
---@return string[]
function M.files(paths)
  local found = {}
  local function add(path, is_named)
    local stat = sys.stat(path)
    if stat and stat.type == "directory" then
      for _, name in ipairs(sys.list(path)) do
        add(path .. "/" .. name)
      end
    elseif is_named or path:find("_spec%.lua$") then
      found[#found + 1] = path
    end
  end
  for _, path in ipairs(paths) do
    add(path, true)
  end
  table.sort(found, function(a, b)
    local first, second = rank(a), rank(b)
    return first < second or first == second and a < b
  end)
  return found
end

-- ---- the side of a part ------------------------------------------------------

--- Where this process belongs to a run in parts: its server and where its counts go.
---@return {url: string, template: string, folder: string, report: string}|nil
function M.own()
  local text = sys.getenv "LIGASE_TEST_PART"
  return text and json.decode(text) or nil
end

--- Notes which test runs, for the process that started this one.
---@param part {report: string}
---@param name string
function M.note_test(part, name)
  sys.write_file((part.report:gsub("json$", "now")), name)
end

--- Hands the counts to the process that started this one.
---@param part {report: string}
---@param report table
function M.hand_over(part, report)
  local reasons = json.array()
  for i, reason in ipairs(report.order) do
    reasons[i] = { reason = reason, count = report.reasons[reason] }
  end
  sys.write_file(part.report, json.encode { passed = report.passed, failed = report.failed, skipped = report.skipped,
    interrupted = report.interrupted or false, reasons = reasons })
end

-- ---- the side that starts them -----------------------------------------------

local function start(file, server, words, folder, number)
  local stem = ("%s/%d"):format(folder, number)
  sys.mkdir(stem)
  sys.chmod(stem, "755")
  local own = json.encode { url = server.url, template = server.template, folder = stem, report = stem .. ".json" }
  local argv = table.move(words, 1, #words, 3, { host.executable, host.home .. "/tests/run.lua" })
  argv[#argv + 1] = file
  return { file = file, stem = stem, began = sys.monotonic(), process = sys.spawn(argv,
    { env = { LIGASE_TEST_PART = own }, stdout = stem .. ".out", stderr = "stdout" }) }
end

--- The processes below this one, a line each.
local function descendants(pid)
  local children, lines = {}, {}
  for _, name in ipairs(sys.list "/proc") do
    local read, stat = pcall(sys.read_file, "/proc/" .. name .. "/stat")
    local parent = read and name:find "^%d+$" and stat:match "^.*%) %a (%d+)"
    if parent then
      children[parent] = children[parent] or {}
      table.insert(children[parent], name)
    end
  end
  local function add(parent, indent)
    for _, child in ipairs(children[parent] or {}) do
      local read, words = pcall(sys.read_file, "/proc/" .. child .. "/cmdline")
      lines[#lines + 1] = indent .. child .. " " .. (read and words:gsub("%z", " "):sub(1, 200) or "has ended")
      add(child, indent .. "  ")
    end
  end
  add(tostring(pid), "    ")
  return table.concat(lines, "\n")
end

--- Ends a part that is not done, and notes what it was doing.
local function give_up(part)
  local now = part.stem .. ".now"
  part.given_up = ("not done after %.0f s\n    %s\n%s"):format(sys.monotonic() - part.began,
    sys.stat(now) and sys.read_file(now) or "no test has begun", descendants(part.process:pid()))
  part.process:close()
end

--- Adds a part's counts; one that left none has failed.
local function take(report, part, ended)
  io.stdout:write(sys.read_file(part.stem .. ".out"))
  io.stdout:flush()
  if part.given_up or not sys.stat(part.stem .. ".json") then
    report.failed = report.failed + 1
    report.problems[#report.problems + 1] = ("FAILED %s: %s"):format(part.file, part.given_up
      or "its process ended by " .. (ended.signal and "signal " .. ended.signal or "status " .. ended.code))
    return
  end
  local counts = json.decode(sys.read_file(part.stem .. ".json"))
  for _, kind in ipairs { "passed", "failed", "skipped" } do
    report[kind] = report[kind] + counts[kind]
  end
  for _, skipped in ipairs(counts.reasons) do
    local reason = skipped.reason
    report.order[#report.order + 1] = not report.reasons[reason] and reason or nil
    report.reasons[reason] = (report.reasons[reason] or 0) + skipped.count
  end
  report.interrupted = report.interrupted or counts.interrupted
end

local function run(files, jobs, words, report, server, folder, running)
  local next_file = 1
  while next_file <= #files and not report.interrupted or #running > 0 do
    while #running < jobs and next_file <= #files and not report.interrupted do
      running[#running + 1] = start(files[next_file], server, words, folder, next_file)
      next_file = next_file + 1
    end
    for i = #running, 1, -1 do
      local part = running[i]
      local ended = part.process:wait(i == 1 and LOOK_S or 0)
      if not ended and sys.monotonic() - part.began > LIMIT_S then
        give_up(part)
        ended = {}
      end
      if ended then
        take(report, table.remove(running, i), ended)
      end
    end
  end
end

--- Runs each file in a process of its own.
---@param files string[] from files
---@param jobs integer so many at a time
---@param words string[] options of the run that each part is given
---@param report table counts are added to it
---@param server {url: string, template: string}
---@param folder string of the run
function M.run(files, jobs, words, report, server, folder)
  local running = {}
  local done, failure = xpcall(run, debug.traceback, files, jobs, words, report, server, folder, running)
  for _, part in ipairs(running) do
    give_up(part)
    take(report, part, {})
  end
  if not done then
    report.interrupted = errors.is(failure, "interrupted")
    error(failure, 0)
  end
end

return M
