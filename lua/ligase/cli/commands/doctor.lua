--- `ligase doctor`: what is wrong with the installation and with the data, and how to repair it.
local config_of = require "ligase.base.config"
local errors = require "ligase.base.errors"
local installation = require "ligase.cli.installation"
local integrity = require "ligase.store.integrity"
local json = require "ligase.base.json"
local output = require "ligase.cli.output"
local parsing = require "ligase.cli.parsing"
local progress = require "ligase.cli.progress"
local sys = require "sys"
local text = require "ligase.base.text"

local M = {}

M.description = "Checks the installation (files, programs, server, the schema and whether it is what its steps "
  .. "make, rights, settings, scripts, services) and the data (rows without their revision, revisions without their "
  .. "dataset, keys and names without features and receipts, counts, hashes, indexes), and says how to repair each "
  .. "finding. Rows are gone through the newest datasets first, for --seconds at most. --fix repairs what can be "
  .. "repaired without losing anything. The exit status is 1 when something is wrong."
M.example = [[
  ligase doctor
  ligase doctor --seconds 3600
  ligase doctor --fix]]

M.surplus = "doctor takes only options"

--- Declares the command's words.
---@param parser table argparse's
function M.configure(parser)
  parser:flag("--fix", "Repair what can be repaired without losing anything.")
  parser:option("--seconds", "How long to look at the data."):argname("N"):convert(parsing.whole_number("--seconds", 1))
    :default("30")
  parser:flag("--json", "For scripts: one JSON object.")
end

-- ---- gathering -------------------------------------------------------------

local function server_version(conn)
  return conn and tonumber((conn:parameter "server_version" or ""):match "^%d+")
end

--- Settings with faults, as far as they can be read, and a line for each fault.
local function look_at_settings(context)
  if errors.try(function() return context.config end) then
    return {}
  end
  local problems, lines = {}, {}
  context.config = config_of.load { workspace = context.workspace, problems = problems }
  for i, problem in ipairs(problems) do
    lines[i] = { check = "settings", state = "wrong", repair = problem.hint, message = problem.message
      .. (problem.file and (" (%s:%d)"):format(problem.file, problem.line or 1) or problem.detail
        and (" (%s)"):format(problem.detail) or "") }
  end
  return lines
end

--- Whether a fault in the settings leaves open which database is meant.
local function is_database_open(problems)
  for _, problem in ipairs(problems or {}) do
    local said = ("%s %s"):format(problem.message, problem.hint or "")
    if said:find "%f[%w_]POSTGRES_" or said:find "^not a setting" then
      return true
    end
  end
  return false
end

local function connect(context)
  if is_database_open(context.config.problems) then
    return nil, { check = "postgres", state = "note", message = "not looked at: the settings leave open which database "
      .. "is meant", repair = "mend the settings" }
  end
  if context:is_bare() then
    return nil, { check = "postgres", state = "note", message = "there is no data yet", repair = "ligase ingest FILE" }
  end
  local opened, conn = xpcall(context.connect, errors.explained, context)
  if opened then
    return conn
  end
  return nil, { check = "postgres", state = "wrong", message = errors.describe(conn):match "^[^\n]*",
    repair = "start the server, or mend POSTGRES_URL; see: ligase config" }
end

local function look(context, conn, problem)
  local lines, is_current = installation.look(context, server_version(conn)), false
  lines[#lines + 1] = problem
  if conn then
    local more
    more, is_current = installation.look_at_database(context, conn)
    table.move(more, 1, #more, #lines + 1, lines)
  end
  return lines, is_current
end

local function check_data(conn, seconds)
  local bar <close> = progress.line()
  local is_shown = sys.is_terminal(1) and sys.is_terminal(2)
  return integrity.check(conn, { seconds = seconds, tell = function(so_far)
    if is_shown then
      bar:draw(("%s of %s datasets, %s rows looked at"):format(text.number(so_far.datasets_checked),
        text.number(so_far.datasets), text.number(so_far.checked.rows)))
    end
  end })
end

--- The same, where a broken schema is a finding.
local function try_data(conn, seconds)
  local done, found = errors.try(check_data, conn, seconds)
  if done then
    return found
  elseif not errors.is(found, "database") then
    error(found, 0)
  end
  return nil, { check = "data", state = "wrong", repair = "mend the schema first",
    message = "could not be looked at: " .. errors.describe(found):match "^[^\n]*" }
end

--- The data's findings, as lines like those of the installation.
local function lines_of(found)
  local lines = {}
  for i, finding in ipairs(found.findings) do
    lines[i] = { check = finding.check, state = finding.is_fixed and "fixed" or finding.is_wrong and "wrong" or "note",
      message = finding.message, repair = finding.repair }
  end
  if #lines == 0 then
    lines[1] = { check = "data", state = "ok", message = ("%s, %s, %s: %s"):format(
      text.count(found.datasets_checked, "dataset"), text.count(found.checked.rows, "row"),
      text.count(found.checked.features or 0, "feature"), #found.unfinished == 0 and "all hangs together"
        or "nothing wrong so far") }
  end
  if #found.unfinished > 0 then
    lines[#lines + 1] = { check = "data", state = "note", message = ("the time did not suffice for %s; %s of %s "
      .. "datasets looked at"):format(text.enumerate(found.unfinished, "and"), text.number(found.datasets_checked),
        text.number(found.datasets)), repair = "ligase doctor --seconds 3600" }
  end
  return lines
end

local function fix(lines)
  for _, line in ipairs(lines) do
    if line.fix then
      line.fix()
      line.state = "fixed"
    end
  end
end

-- ---- for people and for scripts --------------------------------------------

--- So many findings of one check are told, and the rest counted.
local TOLD_MOST = 5

local function tell(lines)
  local told, total = {}, {}
  for _, line in ipairs(lines) do
    local kind = line.check .. line.state
    total[kind] = (total[kind] or 0) + 1
  end
  for _, line in ipairs(lines) do
    local kind = line.check .. line.state
    told[kind] = (told[kind] or 0) + 1
    if told[kind] <= TOLD_MOST then
      output.write(("%-6s %-16s %s\n"):format(line.state, line.check, text.printable(line.message)))
      if line.repair and line.state ~= "fixed" then
        output.write(("%24s%s\n"):format("", text.printable(line.repair)))
      end
    elseif told[kind] == TOLD_MOST + 1 then
      output.write(("%-6s %-16s and %s more; all: ligase doctor --json\n"):format(line.state, line.check,
        text.number(total[kind] - TOLD_MOST)))
    end
  end
end

local function write_json(lines, is_well)
  local list = json.array()
  for i, line in ipairs(lines) do
    list[i] = { check = line.check, state = line.state, message = line.message, repair = line.repair }
  end
  output.write(json.encode { is_well = is_well, findings = list } .. "\n")
end

--- Runs the command.
---@param arguments table as parsed
---@param context ligase.context
---@return integer status 1 when something is wrong
function M.run(arguments, context)
  local faults = look_at_settings(context)
  local conn, problem = connect(context)
  local lines, is_current = look(context, conn, problem)
  lines = table.move(lines, 1, #lines, #faults + 1, faults)
  local found, broken
  if is_current then
    found, broken = try_data(conn, arguments.seconds)
    lines[#lines + 1] = broken
  end
  if arguments.fix then
    fix(lines)
    if found then
      integrity.fix(conn, found.findings)
    end
  end
  local more = found and lines_of(found) or {}
  table.move(more, 1, #more, #lines + 1, lines)
  local wrong = 0
  for _, line in ipairs(lines) do
    wrong = wrong + (line.state == "wrong" and 1 or 0)
  end
  if arguments.json then
    write_json(lines, wrong == 0)
  else
    tell(lines)
    output.write(wrong == 0 and "all is well\n" or ("%s wrong\n"):format(text.count(wrong, "thing")))
  end
  return wrong == 0 and 0 or 1
end

return M
