--- `ligase phase`: where the lab is on its way out of Notion, and the next step, or the last one
--- taken back.
local errors = require "ligase.base.errors"
local output = require "ligase.cli.output"
local parsing = require "ligase.cli.parsing"
local phase_change = require "ligase.sync.phase_change"
local phase_flags = require "ligase.sync.phase_flags"
local phase_state = require "ligase.store.phase_state"
local phase_telling = require "ligase.cli.phase_telling"
local phases = require "ligase.sync.phases"
local policy_of = require "ligase.sync.policy"
local short_ids = require "ligase.store.short_ids"
local sys = require "sys"
local text = require "ligase.base.text"

local M = {}

M.description = "Without a word: the phase in force and every gate before the next one, measured now. advance measures "
  .. "the gates, does what the next phase asks for, verifies it, and changes the phase in one transaction. back tells "
  .. "Notion everything that Postgres learned since, compares both systems, and changes the phase only when nothing is "
  .. "missing there. Nothing is deleted in either direction. A change that was interrupted leaves the phase as it was, "
  .. "and the same command goes on with it; scripts say --to, so that a command that had come to its end is not "
  .. "repeated. The exit status is 1 when a gate is not green."
M.example = [[
  ligase phase
  ligase phase advance --dry-run
  ligase phase advance --override pipelines --reason "no instrument for proteomics before May"
  ligase phase back --to dual_write
  ligase phase history]]

M.surplus = "phase takes one word: show, advance, back or history"

local ACTIONS = { "show", "advance", "back", "history" }

local function reason(given)
  if not given:find "%S" then
    errors.raise { kind = "usage", code = "value", message = "--reason is empty",
      hint = "Say why; whoever reads the history wants to know" }
  end
  return given
end

--- Declares the command's words.
---@param parser table argparse's
function M.configure(parser)
  parser:argument("ACTION", "show (without a word), advance, back or history."):target("action"):argname("ACTION")
    :args("?"):convert(parsing.one_of("the action", ACTIONS))
  parser:option("--to", "advance, back: the phase to end in, by those in between: "
    .. table.concat(policy_of.PHASES, ", ") .. "."):argname("PHASE"):convert(parsing.one_of("--to", policy_of.PHASES))
  parser:flag("--dry-run", "advance, back: measure the next phase, say what would be done, and write nothing.")
  parser:option("--override", "Pass a gate although it is not green (repeatable; each with its --reason).")
    :target("overridden"):argname("GATE"):count("*")
  parser:option("--reason", "Why; it is kept in the journal."):target("reasons"):argname("TEXT"):count("*")
    :convert(reason)
  parser:option("--limit", "history: how many changes."):argname("N"):convert(parsing.whole_number("--limit", 1))
    :default("50")
  output.add_format(parser)
end

--- Reasons by gate.
local function overrides_of(arguments)
  local gates, reasons, overrides = arguments.overridden, arguments.reasons, {}
  if #gates ~= #reasons and #reasons ~= 1 or #gates == 0 and #reasons > 0 then
    errors.raise { kind = "usage", code = "usage", message = ("%s, and %s"):format(text.count(#gates, "--override"),
      text.count(#reasons, "--reason")), hint = "Each --override GATE needs its --reason \"why\"" }
  end
  for i, gate in ipairs(gates) do
    overrides[gate] = reasons[i] or reasons[1]
  end
  return overrides
end

local function check(arguments)
  local changes = arguments.action == "advance" or arguments.action == "back"
  if not changes and (arguments.to or arguments.dry_run or #arguments.overridden > 0 or #arguments.reasons > 0) then
    errors.raise { kind = "usage", code = "usage", message = "--to, --dry-run, --override and --reason go with advance "
      .. "and back", hint = "See: ligase phase --help" }
  end
end

-- ---- show and history ------------------------------------------------------

local actions = {}

function actions.show(given, arguments)
  local current = phase_change.current(given.config, given.conn)
  local following = phases.next(current.phase, "advance")
  local gates = following and given.conn and phase_change.measure(given, current, following) or {}
  if arguments.format ~= "table" then
    phase_telling.print_gates(gates, arguments.format)
  else
    phase_telling.tell_current(given.config, current)
    phase_telling.tell_gates(following, given.conn and gates)
  end
  if following and not given.conn then
    return 1
  end
  for _, gate in ipairs(gates) do
    if not gate.is_green then
      return 1
    end
  end
  return 0
end

function actions.history(given, arguments)
  if given.conn then
    local changes = phase_state.history(given.conn, arguments.limit)
    output.print(arguments.format == "table" and short_ids.shorten_column(given.conn, changes, "run") or changes,
      arguments.format)
  end
  return 0
end

-- ---- changes ---------------------------------------------------------------

--- What fails in the world leaves a change begun, which is worth saying beside what failed.
local function refuse(given, direction, to, failure)
  local read, current = errors.try(phase_change.current, given.config, given.conn)
  if not errors.is(failure, "usage") and not errors.is(failure, "internal") and failure.code ~= "phase_locked"
    and not (read and not current.begun) then
    output.flush()
    io.stderr:write(("ligase: the phase is what it was, and nothing is lost; to go on: ligase phase %s --to %s\n")
      :format(direction, to))
  end
  error(failure, 0)
end

local function change(given, arguments)
  local direction, overrides = arguments.action, overrides_of(arguments)
  local current = phase_change.current(given.config, given.conn)
  if arguments.to == current.phase then
    output.write(("the phase is %s already\n"):format(current.phase))
    return 0
  end
  local way = phase_change.way(current.phase, direction, arguments.to)
  local elsewhere = #way > 1 and direction == "advance" and next(overrides)
    and phase_change.gate_names(given.config, way) or nil
  for i, to in ipairs(way) do
    local done, report = xpcall(phase_change.change, errors.explained, given, direction, { to = to,
      overrides = overrides, elsewhere = elsewhere, is_rehearsed = arguments.dry_run })
    if not done then
      refuse(given, direction, arguments.to or to, report)
    end
    phase_telling.tell_change(given.config, report, overrides, i == #way)
    output.flush()
    if report.outcome == "rehearsed" then
      phase_telling.tell_untried(way, i)
      return #report.red > 0 and 1 or 0
    elseif report.outcome == "refused" then
      return 1
    end
  end
  return 0
end

actions.advance, actions.back = change, change

--- The connection. Looking makes no database, and neither does going back from where nobody is yet:
--- there may be none, when only looking.
local function open(context, arguments)
  if arguments.action == "show" or arguments.action == "history" then
    return context:open_if_there { when_off = true }
  end
  local is_bare = context:is_bare()
  if is_bare then -- what cannot be is refused before anything is made
    phase_change.way(phase_change.current(context.config).phase, arguments.action, arguments.to)
  end
  if arguments.dry_run or is_bare and arguments.action == "back" then
    return context:open_existing { when_off = true }
  end
  return context:open { when_off = true }
end

--- Runs the command.
---@param arguments table as parsed
---@param context ligase.context
---@return integer status
function M.run(arguments, context)
  arguments.action = type(arguments.action) == "string" and arguments.action or "show"
  check(arguments)
  local given = { config = context.config, conn = open(context, arguments), another = function()
    return context:open { when_off = true, migrate = false }
  end, say = function(line)
    output.write(("  %s\n"):format(text.printable(line)))
    output.push()
  end, wait = function(line)
    if sys.is_terminal(2) then
      io.stderr:write("ligase: ", text.printable(line), "\n")
    end
  end }
  local stored = given.conn and phase_state.read(given.conn)
  local difference = phase_flags.difference(given.config, stored and stored.phase)
  if difference then
    io.stderr:write("ligase: ", text.printable(difference), "\n")
  end
  -- A change is judged and done by the phase of the database, whatever the flags say.
  given.config.stored_phase = stored and stored.phase
  return actions[arguments.action](given, arguments)
end

return M
