--- Runs the specs inside the host, with its modules and its library:
---
---   build/ligase tests/run.lua [--jobs N] [--filter PATTERN] [--tags TAG] [--exclude-tags TAG] [FILE...]
---
--- FILE is a spec or a folder of specs; all of tests/ by default. With --jobs each file runs
--- in a process of its own, N at a time. One private Postgres serves the whole run and is
--- gone at its end. The last line reads
--- `N passed, N failed, N skipped`; the exit status is 0 when nothing failed.
local cluster = require "ligase.store.cluster"
local errors = require "ligase.base.errors"
local host = require "host"
local sys = require "sys"

package.path = host.home .. "/?.lua;" .. package.path
local parts = require "tests.parts"
local support = require "tests.support"

--- Settings of the person who runs the specs must not change their outcome.
local SETTINGS = { "^POSTGRES_", "^PG", "^NOTION_", "^PINECONE_", "^USE_POSTGRES", "^ENABLE_",
  "^SIGNATURE_", "^VECTOR_", "^EMBEDDING_", "^CHAT_", "^OPENAI_", "^LIGASE_WORKSPACE$" }

local USAGE = "usage: ligase tests/run.lua [--jobs N] [--filter PATTERN] [--tags TAG] [--exclude-tags TAG] [FILE...]"

local function parse(words)
  local options = { filter = {}, filterOut = {}, tags = {}, excludeTags = {}, jobs = 1, words = {} }
  local lists = { ["--filter"] = "filter", ["--tags"] = "tags", ["--exclude-tags"] = "excludeTags" }
  local files = {}
  local i = 1
  while i <= #words do
    local list = lists[words[i]]
    if words[i] == "--jobs" then
      i = i + 1
      options.jobs = math.tointeger(tonumber(words[i])) or errors.raise { kind = "usage", message = USAGE }
    elseif list then
      i = i + 1
      table.insert(options[list], words[i] or errors.raise { kind = "usage", message = USAGE })
      table.move(words, i - 1, i, #options.words + 1, options.words)
    elseif words[i]:find("^%-") then
      errors.raise { kind = "usage", code = "usage", message = USAGE }
    elseif not sys.stat(words[i]) then
      errors.raise { kind = "usage", code = "usage", message = ("there is no '%s'"):format(words[i]), hint = USAGE }
    else
      files[#files + 1] = words[i]
    end
    i = i + 1
  end
  if #files == 0 then
    files[1] = host.home .. "/tests"
  end
  return options, files
end

-- ---- the report ------------------------------------------------------------

local function new_report()
  return { passed = 0, failed = 0, skipped = 0, problems = {}, reasons = {}, order = {} }
end

local function short(path)
  local prefix = host.home .. "/"
  return path:sub(1, #prefix) == prefix and path:sub(#prefix + 1) or path
end

local function full_name(busted, element)
  local names = {}
  while element and element.descriptor ~= "suite" do
    local name = element.name or element.descriptor or "the run"
    table.insert(names, 1, element.descriptor == "file" and short(name) .. ":" or name)
    element = busted.context.parent(element)
  end
  return table.concat(names, " ")
end

local function add_problem(report, title, text, trace)
  local lines = { "FAILED " .. title }
  local traceback = trace and trace.traceback or ""
  for line in (tostring(text) .. traceback):gmatch("[^\n]+") do
    lines[#lines + 1] = "    " .. line
  end
  report.problems[#report.problems + 1] = table.concat(lines, "\n")
end

local function print_problems(report)
  for _, problem in ipairs(report.problems) do
    print(problem)
  end
  report.problems = {}
end

local function print_file(report, file)
  local before = file.before
  local passed = report.passed - before.passed
  local failed = report.failed - before.failed
  local skipped = report.skipped - before.skipped
  if passed + failed + skipped == 0 then
    return -- a filter left nothing of it
  end
  print(("%-46s %4d passed%s%s  %5.1f s"):format(short(file.name), passed,
    failed > 0 and (", %d failed"):format(failed) or "",
    skipped > 0 and (", %d skipped"):format(skipped) or "", sys.monotonic() - file.started))
  print_problems(report)
  io.stdout:flush()
end

local function print_end(report)
  print_problems(report)
  if #report.order > 0 then
    print("\nskipped:")
    for _, reason in ipairs(report.order) do
      print(("  %d x %s"):format(report.reasons[reason], reason))
    end
  end
  print(("\n%d passed, %d failed, %d skipped"):format(report.passed, report.failed, report.skipped))
end

-- ---- joining busted, the report and the support module ----------------------

local COUNTED = { success = "passed", failure = "failed", error = "failed", pending = "skipped" }

local function subscribe(busted, report, part)
  local file

  busted.subscribe({ "file", "start" }, function(element)
    file = { name = element.name, started = sys.monotonic(),
      before = { passed = report.passed, failed = report.failed, skipped = report.skipped } }
    return nil, true
  end)

  busted.subscribe({ "file", "end" }, function()
    for _, leak in ipairs(support.finish_file()) do
      report.failed = report.failed + 1
      add_problem(report, short(file.name), leak)
    end
    print_file(report, file)
    return nil, true
  end)

  busted.subscribe({ "test", "start" }, function(element)
    if part then
      parts.note_test(part, full_name(busted, element))
    end
    return nil, true
  end)

  busted.subscribe({ "test", "end" }, function(_, _, status)
    local kind = COUNTED[status]
    report[kind] = report[kind] + 1
    support.finish_test()
    return nil, true
  end)

  busted.subscribe({ "pending" }, function(_, _, message)
    local reason = tostring(message or "no reason given"):gsub("^%S+:%d+: ", "")
    report.order[#report.order + 1] = not report.reasons[reason] and reason or nil
    report.reasons[reason] = (report.reasons[reason] or 0) + 1
    return nil, true
  end)

  local function problem(element, _, message, trace)
    if element.descriptor ~= "it" then
      report.failed = report.failed + 1 -- a setup, a teardown, a file that does not load
    end
    add_problem(report, full_name(busted, element), message, trace)
    return nil, true
  end
  busted.subscribe({ "failure" }, problem)
  busted.subscribe({ "error" }, problem)

  -- An interruption that reaches busted (and not a test that expects one) ends the run.
  local rewrite = busted.rewriteMessage
  function busted.rewriteMessage(element, message, trace)
    if errors.is(message, "interrupted") then
      report.interrupted = true
      busted.skipAll = true
    end
    return rewrite(element, message, trace)
  end
end

local function clear_settings()
  for name in pairs(sys.environ()) do
    for _, pattern in ipairs(SETTINGS) do
      if name:find(pattern) then
        sys.setenv(name, nil)
      end
    end
  end
end

--- Specs make and drop hundreds of databases of hundreds of files each, which a file system in
--- memory does many times quicker. A run takes half a GiB. TMPDIR chooses another place.
local MEMORY, MEMORY_KIB = "/dev/shm", 2 << 20

--- Whether it is in memory, with room, and programs may be started from it, as specs do.
local function serves(folder)
  local options = sys.read_file("/proc/mounts"):match(" " .. folder .. " tmpfs (%S+)")
  if not options or options:find "noexec" then
    return false
  end
  local told = sys.run({ "df", "-Pk", folder }, { stdout = "capture" }).stdout
  local free = tonumber(told:match "\n%S+ +%d+ +%d+ +(%d+)") or 0
  local available = tonumber(sys.read_file("/proc/meminfo"):match "MemAvailable: +(%d+)") or 0
  return math.min(free, available) >= MEMORY_KIB
end

local STEM = "ligase-tests-"

--- The lock says that a run is alive: it ends with its process.
local function lock(folder)
  return sys.lock(folder .. "/lock")
end

--- Runs that were killed left their server and their files in memory.
local function sweep(place)
  for _, name in ipairs(sys.list(place)) do
    local folder = place .. "/" .. name
    if name:find(STEM, 1, true) == 1 and sys.stat(folder .. "/lock") then
      pcall(function() -- raises where the run is alive, or somebody else's
        local held <close> = lock(folder) -- luacheck: ignore 211
        cluster.stop(folder)
        sys.remove_tree(folder)
      end)
    end
  end
end

local function make_folder()
  local is_in_memory = not sys.getenv "TMPDIR" and serves(MEMORY)
  if is_in_memory then
    sweep(MEMORY)
  end
  local folder = sys.temp_dir((is_in_memory and MEMORY .. "/" or "") .. STEM)
  sys.chmod(folder, "755") -- as root, Postgres runs as another user
  return folder, lock(folder)
end

--- Everybody's temporary files end up there.
local function use_folder(folder)
  sys.mkdir(folder .. "/tmp")
  sys.chmod(folder .. "/tmp", "1777")
  sys.setenv("TMPDIR", folder .. "/tmp")
end

local function run_specs(busted, options, files)
  require "busted.modules.filter_loader"()(busted, options)
  local load_files = require "busted.modules.test_file_loader"(busted, { "lua" })
  load_files(files, { "_spec%.lua$" }, { excludes = {}, recursive = true })
  require "busted.execute"(busted)(1, {})
end

--- All files in this process.
local function run_here(report, options, files, folder, part)
  local busted = require "busted.core"()
  require "busted"(busted)
  use_folder(folder)
  support.open {
    folder = folder,
    server = part,
    pending = busted.pending,
    place = function()
      return busted.context.get().descriptor
    end,
  }
  subscribe(busted, report, part)
  run_specs(busted, options, files)
end

--- Each file in a process of its own.
local function run_parts(report, options, files, folder)
  support.open { folder = folder }
  parts.run(files, options.jobs, options.words, report, support.server(), folder)
end

local function finish(report, part)
  if part then
    print_problems(report)
    parts.hand_over(part, report)
    return
  end
  if report.passed + report.failed + report.skipped == 0 then
    report.failed = 1
    add_problem(report, "the run", "no test matches")
  end
  print_end(report)
end

local function main(words)
  local options, paths = parse(words)
  local part, report = parts.own(), new_report()
  local folder, alive = part and part.folder, nil
  if not part then
    folder, alive = make_folder()
  end
  clear_settings()
  local files = options.jobs > 1 and parts.files(paths) or paths
  local done, failure = xpcall(options.jobs > 1 and #files > 1 and run_parts or run_here, debug.traceback, report,
    options, files, folder, part)
  local closed, problem = pcall(support.close)
  sys.remove_tree(folder)
  if alive then
    alive:close()
  end
  if not done or not closed then
    report.failed = report.failed + 1
    add_problem(report, "the run", done and problem or failure)
  end
  finish(report, part)
  return report.interrupted and 130 or report.failed > 0 and 1 or 0
end

os.exit(main(arg), true)
