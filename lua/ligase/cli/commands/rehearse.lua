--- `ligase rehearse`: the move from Notion to Postgres played through, on this machine alone.
local config_of = require "ligase.base.config"
local cluster = require "ligase.store.cluster"
local errors = require "ligase.base.errors"
local host = require "host"
local output = require "ligase.cli.output"
local parsing = require "ligase.cli.parsing"
local policy_of = require "ligase.sync.policy"
local properties = require "ligase.io.notion.properties"
local rehearsal = require "ligase.sync.rehearsal"
local sys = require "sys"
local text = require "ligase.base.text"

local M = {}

M.description = "Plays the move from Notion to Postgres through, without an account: a stand-in for Notion on this "
  .. "machine, a Postgres of its own, old pages taken over, files ingested while both systems are written, every fifth "
  .. "request failing, a relay killed, and both systems compared in the end. Every line with a $ is a command that is "
  .. "really run. Nothing outside .ligase/rehearsal is touched; the exit status is 1 when something was lost or came "
  .. "twice."
M.example = [[
  ligase rehearse
  ligase rehearse --datasets 100 --faults 0.4
  ligase rehearse --keep]]

M.surplus = "rehearse takes only options"

--- A fifth of the requests by default, in equal parts.
local FAULTS = { "lost_reply", "unavailable_committed", "unavailable", "rate_limited", "closed", "slow" }
local KILL_AFTER_S = 0.8
local ROWS, SAMPLES = 40, 6

--- Declares the command's words.
---@param parser table argparse's
function M.configure(parser)
  parser:option("--datasets", "Files to ingest."):argname("N"):convert(parsing.whole_number("--datasets", 1))
    :default("20")
  parser:option("--faults", "The share of requests that fail."):argname("SHARE"):convert(parsing.fraction "--faults")
    :default("0.2")
  parser:flag("--keep", "Keep the stand-in and the rehearsal's Postgres until Ctrl-C, to try things out.")
end

-- ---- the stage -------------------------------------------------------------

---@class ligase.play
---@field folder string
---@field lab ligase.rehearsal
---@field settings table<string, string|false>
--- The settings of the person do not count here: they may name the lab's own server.
local function settings_of(folder, lab)
  local settings = { LIGASE_WORKSPACE = folder }
  for _, flag in ipairs(config_of.flags) do
    settings[flag.name] = false
  end
  for name, value in pairs(lab.settings) do
    settings[name] = value
  end
  -- Its minutes last a second: 100 requests in each of them, of the 180 that it allows.
  settings.NOTION_REQUESTS_PER_MINUTE, settings.NOTION_TIMEOUT_S = "6000", "1"
  return settings
end

local function heading(...)
  output.write(("\n%s\n"):format(string.format(...)))
end

local function shown(words)
  local parts = {}
  for i, word in ipairs(words) do
    parts[i] = word:find "%s" and '"' .. word .. '"' or word
  end
  return table.concat(parts, " ")
end

--- Runs one command of ligase in the rehearsal's workspace, as a person would.
local function command(self, words, options)
  output.write(("$ ligase %s\n"):format(options and options.shown or shown(words)))
  output.flush()
  local process <close> = sys.spawn(table.move(words, 1, #words, 2, { host.executable }),
    { cwd = self.folder, env = self.settings, stdout = options and options.quiet and "null" or "inherit",
      stderr = "inherit" })
  if options and options.meanwhile then
    options.meanwhile(process)
  end
  local ended = process:wait()
  if ended.code ~= 0 and not (options and options.may_fail) then
    errors.raise { kind = "system", code = "rehearsal", message = ("'ligase %s' ended with %s"):format(shown(words),
      ended.signal and "signal " .. ended.signal or "status " .. ended.code), hint = "What it said stands above" }
  end
  return ended.code
end

-- ---- what is played --------------------------------------------------------

local function page_of(lab, entity_type, name, said)
  local made = { Name = properties.write("title", name) }
  for property, value in pairs(said or {}) do
    made[property] = properties.write(value[1], value[2])
  end
  return lab.person:create_page { data_source = lab.sources[entity_type], properties = made }
end

--- What the lab wrote in Notion before there was a ligase.
local function old_pages(lab)
  local programs, count = {}, 0
  for i, name in ipairs { "ALS", "Ageing", "NASH" } do
    programs[i] = page_of(lab, "programs", name, { Description = { "rich_text", "The lab's work on " .. name },
      Disease = { "multi_select", { name } } }).id
    count = count + 1
  end
  for i = 1, 6 do
    page_of(lab, "experiments", "Experiment " .. i, { Stage = { "select", i % 2 == 0 and "discovery" or "preclinical" },
      Programs = { "relation", { programs[(i - 1) % 3 + 1] } } })
    count = count + 1
  end
  return count
end

local CLASSES = { "PC", "PE", "PI", "PS", "TG", "DG", "SM", "Cer" }

--- A table of lipids by samples, made up from its number.
local function table_text(number)
  local state = number * 7919
  local function draw()
    state = (state * 1103515245 + 12345) % 2147483648
    return state / 2147483648
  end
  local lines = { "lipid,s1,s2,s3,s4,s5,s6" }
  for i = 1, ROWS do
    local cells = { ("%s %d:%d"):format(CLASSES[i % #CLASSES + 1], 30 + i // #CLASSES * 2, i % 4) }
    for k = 1, SAMPLES do
      cells[k + 1] = ("%.3f"):format(10 + 90 * draw())
    end
    lines[i + 1] = table.concat(cells, ",")
  end
  return table.concat(lines, "\n") .. "\n"
end

local function write_files(folder, count)
  sys.mkdir(folder .. "/data", { parents = true })
  for i = 1, count do
    sys.write_file(("%s/data/plasma_%03d.csv"):format(folder, i), table_text(i))
  end
end

local CHANGES = [[
-- Every change goes to Postgres, and to Notion through the outbox.
local ligase = require "ligase"
local both = ligase.dual_write { notion = true, postgres = true }
for i = 1, 10 do
  both:create_experiment { name = "Mouse cohort " .. i, programs = { "ALS" }, stage = "preclinical" }
end
both:update_program("ALS", { description = "Amyotrophic lateral sclerosis" })
]]

local function faults_of(share)
  local parts = {}
  for i, fault in ipairs(FAULTS) do
    parts[i] = ("%s=%.4f"):format(fault, share / #FAULTS)
  end
  return table.concat(parts, ",")
end

--- The processes that a process has started.
local function children_of(pid)
  local found = {}
  for _, name in ipairs(sys.list "/proc") do
    local is_read, stat = pcall(sys.read_file, "/proc/" .. name .. "/stat")
    if name:find "^%d+$" and is_read and stat:match "%) %a (%d+)" == tostring(pid) then
      found[#found + 1] = tonumber(name)
    end
  end
  return found
end

local function kill_one(process)
  if process:wait(KILL_AFTER_S) then
    return
  end
  local victim = children_of(process:pid())[1]
  if victim and sys.kill(victim, "KILL") then
    output.write "  (one of the two relays is killed with -9; the other one goes on, and a new one is started)\n"
    output.flush()
  end
end

local function edit(lab, name)
  for page in lab.person:query(lab.sources.programs, {}) do
    if properties.title(page) == name then
      lab.person:update_page(page.id, { properties = { Description = properties.write("rich_text",
        "Edited in Notion by a person") } })
    end
  end
end

-- ---- what is counted in the end --------------------------------------------

local function sum_of(counts)
  local sum = 0
  for _, count in pairs(counts) do
    sum = sum + count
  end
  return sum
end

local function twice_of(lab)
  local twice = 0
  for _, entity_type in ipairs(policy_of.TYPES) do
    if lab.sources[entity_type] then
      local found = lab:duplicates(entity_type)
      twice = twice + found.live_pages - found.distinct - (found.without or 0)
    end
  end
  return twice
end

--- Prints what the stand-in counted; whether all is well.
local function conclude(lab, counters, is_equal)
  local twice = twice_of(lab)
  local faults = counters.faults.happened
  output.write(text.table {
    { "requests to Notion", text.number(counters.requests) },
    { "of these made to fail", text.number(sum_of(faults)) },
    { "most requests in 60 of its seconds (180 allowed)", text.number(counters.most_in_60_s) },
    { "requests inside a Retry-After", text.number(counters.inside_retry_after) },
    { "pages that are there twice", text.number(twice) },
    { "both systems say the same", is_equal and "yes" or "no" },
  })
  return is_equal and twice == 0 and counters.inside_retry_after == 0 and counters.most_in_60_s <= 180
end

local LATER = [[
-- Notion is not told: the phase is postgres_only.
local ligase = require "ligase"
ligase.programs:create { name = "Fibrosis", disease = { "NASH" } }
ligase.programs:update("ALS", { description = "Changed when Notion was left already" })
]]

--- On to the last phase, something written there, and back to where both systems are written.
local function go_on_and_back(self)
  heading "6. Notion is left, something is written, and the lab goes back"
  command(self, { "phase" }, { may_fail = true })
  command(self, { "phase", "advance", "--to", "postgres_only", "--override", "drift", "--override", "pipelines",
    "--reason", "a rehearsal compares once" })
  self.settings.ENABLE_DUAL_WRITE = "false"
  sys.write_file(self.folder .. "/later.lua", LATER)
  command(self, { "later.lua" })
  command(self, { "phase", "back", "--to", "dual_write" })
  self.settings.ENABLE_DUAL_WRITE = "true"
end

local function play(self, arguments)
  local lab = self.lab
  heading("1. The lab's Notion, as it was: %s pages", text.number(old_pages(lab)))
  self.settings.USE_POSTGRES_AS_SOT = "false"
  command(self, { "import", "notion" })
  heading "2. From now on both systems are written: Postgres first, Notion through the outbox"
  command(self, { "phase", "advance", "--to", "dual_write" })
  self.settings.USE_POSTGRES_AS_SOT, self.settings.ENABLE_DUAL_WRITE = "true", "true"
  write_files(self.folder, arguments.datasets)
  sys.write_file(self.folder .. "/changes.lua", CHANGES)
  command(self, { "ingest", "--omics", "lipidomics", "--program", "ALS", "data" })
  command(self, { "changes.lua" })
  heading("3. Notion is told, while %.0f %% of the requests fail: answers lost after success, 503 after the page was "
    .. "made, rate limits, dead connections, time-outs", arguments.faults * 100)
  lab:faults(faults_of(arguments.faults), { slow_s = 1.5, retry_after_s = 2 })
  lab:count_anew()
  command(self, { "sync", "--jobs", "2" }, { meanwhile = kill_one })
  local counters = lab:counters()
  lab:faults()
  heading "4. Somebody edits a page in Notion"
  edit(lab, "Ageing")
  command(self, { "reconcile" }, { may_fail = true })
  command(self, { "reconcile", "--fix", "postgres", "--entity", "programs" }, { may_fail = true })
  heading "5. Both systems compared once more"
  local is_equal = command(self, { "reconcile" }, { may_fail = true }) == 0
  go_on_and_back(self)
  heading "What the stand-in for Notion counted while it failed:"
  return conclude(lab, counters, is_equal)
end

-- ---- beginning and end -----------------------------------------------------

local function keep(self)
  local lines = {}
  for name, value in pairs(self.settings) do
    lines[#lines + 1] = value and name ~= "LIGASE_WORKSPACE" and ("%s=%s"):format(name, value) or nil
  end
  table.sort(lines)
  sys.write_file(self.folder .. "/.env", table.concat(lines, "\n") .. "\n", { mode = tonumber("600", 8) })
  output.write(("\nThe stand-in (%s) and the rehearsal's Postgres go on until Ctrl-C. In another terminal:\n"
    .. "  cd %s\n  ligase outbox\n  ligase policy check\n"):format(self.lab.url, self.folder))
  output.flush()
  while true do
    sys.sleep(3600)
  end
end

--- Takes away what an earlier rehearsal left.
local function clear(folder)
  if sys.stat(folder) then
    cluster.remove(folder)
    sys.remove_tree(folder)
  end
end

--- One rehearsal at a time: the next one would take this one's folder away.
local function lock(workspace)
  sys.mkdir(workspace .. "/.ligase", { parents = true })
  local held, result = pcall(sys.lock, workspace .. "/.ligase/rehearsal.lock")
  if held then
    return result
  elseif errors.is(result, "system") and result.code == "EAGAIN" then
    local holder = result.holder_pid and (" (process %d)"):format(result.holder_pid) or ""
    errors.raise { kind = "system", code = "rehearsal",
      message = ("a rehearsal runs in this workspace already%s"):format(holder),
      hint = "End it with Ctrl-C, or rehearse in another workspace" }
  end
  error(result, 0)
end

local function rehearse(arguments, context)
  local folder = context.workspace .. "/.ligase/rehearsal"
  local locked <close> = lock(context.workspace) -- luacheck: ignore
  clear(folder)
  sys.mkdir(folder .. "/.ligase", { parents = true })
  local ending <close> = setmetatable({}, { __close = function() -- luacheck: ignore
    errors.try(clear, folder)
  end })
  local lab <close> = rehearsal.start { folder = folder }
  local self = { folder = folder, lab = lab, settings = settings_of(folder, lab) }
  local is_well = play(self, arguments)
  output.write(is_well and "\nNothing was lost and nothing came twice.\n"
    or "\nNot all is well: see the figures above.\n")
  if arguments.keep then
    keep(self)
  end
  return is_well and 0 or 1
end

--- Runs the command.
---@param arguments table as parsed
---@param context ligase.context
---@return integer status
function M.run(arguments, context)
  return rehearse(arguments, context)
end

return M
