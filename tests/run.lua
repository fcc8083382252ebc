--- Runs the specs inside the host, with its modules and its library:
---
---   build/ligase tests/run.lua [--filter PATTERN] [--tags TAG] [--exclude-tags TAG] [FILE...]
---
--- FILE is a spec or a folder of specs; all of tests/ by default. One private
--- Postgres serves the whole run and is gone at its end. The last line reads
--- `N passed, N failed, N skipped`; the exit status is 0 when nothing failed.
local errors = require "ligase.base.errors"
local host = require "host"
local sys = require "sys"

--- Settings of the person who runs the specs must not change their outcome.
local SETTINGS = { "^POSTGRES_", "^PG", "^NOTION_", "^PINECONE_", "^USE_POSTGRES", "^ENABLE_",
  "^SIGNATURE_", "^VECTOR_", "^EMBEDDING_", "^CHAT_", "^OPENAI_", "^LIGASE_WORKSPACE$" }

local USAGE = "usage: ligase tests/run.lua [--filter PATTERN] [--tags TAG] [--exclude-tags TAG] [FILE...]"

local function parse(words)
  local options = { filter = {}, filterOut = {}, tags = {}, excludeTags = {} }
  local lists = { ["--filter"] = "filter", ["--tags"] = "tags", ["--exclude-tags"] = "excludeTags" }
  local files = {}
  local i = 1
  while i <= #words do
    local list = lists[words[i]]
    if list then
      i = i + 1
      table.insert(options[list], words[i] or errors.raise { kind = "usage", message = USAGE })
    elseif words[i]:find("^%-") then
      errors.raise { kind = "usage", code = "usage", message = USAGE }
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

local function subscribe(busted, report, support)
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

--- A folder of the run's own, in which everybody's temporary files end up.
local function prepare_environment()
  local folder = sys.temp_dir("ligase-tests-")
  sys.chmod(folder, "755") -- as root, Postgres runs as another user
  sys.mkdir(folder .. "/tmp")
  sys.chmod(folder .. "/tmp", "1777")
  for name in pairs(sys.environ()) do
    for _, pattern in ipairs(SETTINGS) do
      if name:find(pattern) then
        sys.setenv(name, nil)
      end
    end
  end
  sys.setenv("TMPDIR", folder .. "/tmp")
  return folder
end

local function run_specs(busted, report, options, files)
  require "busted.modules.filter_loader"()(busted, options)
  local load_files = require "busted.modules.test_file_loader"(busted, { "lua" })
  load_files(files, { "_spec%.lua$" }, { excludes = {}, recursive = true })
  require "busted.execute"(busted)(1, {})
  if report.passed + report.failed + report.skipped == 0 then
    report.failed = 1
    add_problem(report, "the run", "no test matches")
  end
end

local function main(words)
  local options, files = parse(words)
  local busted = require "busted.core"()
  require "busted"(busted)
  package.path = host.home .. "/?.lua;" .. package.path
  local support = require "tests.support"
  local report = new_report()
  local folder = prepare_environment()
  support.open {
    folder = folder,
    pending = busted.pending,
    place = function()
      return busted.context.get().descriptor
    end,
  }
  subscribe(busted, report, support)
  local done, failure = xpcall(run_specs, debug.traceback, busted, report, options, files)
  local closed, problem = pcall(support.close)
  sys.remove_tree(folder)
  if not done or not closed then
    report.failed = report.failed + 1
    add_problem(report, "the run", done and problem or failure)
  end
  print_end(report)
  return report.interrupted and 130 or report.failed > 0 and 1 or 0
end

os.exit(main(arg), true)
