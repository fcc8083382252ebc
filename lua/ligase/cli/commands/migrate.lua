--- `ligase migrate`: the schema's steps.
local db = require "ligase.store.db"
local errors = require "ligase.base.errors"
local migrate = require "ligase.store.migrate"
local output = require "ligase.cli.output"
local parsing = require "ligase.cli.parsing"
local schema_compare = require "ligase.store.schema_compare"
local sys = require "sys"
local text = require "ligase.base.text"

local M = {}

M.description = "Applies the numbered steps of the schema under a lock, one transaction each (up), or takes them back, "
  .. "the latest first (down). Where tables with rows or columns with values would go with them, down and redo want "
  .. "a backup, or --discard. plan prints the SQL and the locks it takes; verify asks whether what was applied is as "
  .. "it should be, and compares the schema with what the steps make; new begins another step, and check proves on a "
  .. "scratch database that every step's way back is exact. The private Postgres gets its schema by itself; a server "
  .. "of yours gets it from this command."
M.example = [[
  ligase migrate status
  ligase migrate plan
  ligase migrate up --dry-run
  ligase migrate up
  ligase migrate plan down 2
  ligase migrate down --backup before.dump
  ligase migrate up --wait 300 --statement-timeout 600
  ligase migrate redo
  ligase migrate verify
  ligase migrate new sample_batches --folder .
  ligase migrate check --folder .]]

local ACTIONS = { "up", "down", "redo", "status", "plan", "verify", "new", "check" }

--- Which options an action takes, beside --folder.
local TAKES = {
  up = { to = true, dry_run = true, wait_s = true, statement_timeout_s = true },
  down = { to = true, dry_run = true, wait_s = true, statement_timeout_s = true, backup = true, discard = true },
  redo = { dry_run = true, wait_s = true, statement_timeout_s = true, backup = true, discard = true },
  plan = { to = true, sql_only = true, wait_s = true, statement_timeout_s = true },
  status = { format = true }, verify = { format = true }, new = { lua = true }, check = {},
}

local FLAGS = { to = "--to", dry_run = "--dry-run", wait_s = "--wait", statement_timeout_s = "--statement-timeout",
  backup = "--backup", discard = "--discard", sql_only = "--sql-only", lua = "--lua", format = "--format" }

--- Declares the command's words.
---@param parser table argparse's
function M.configure(parser)
  parser:argument("ACTION", "up, down, redo, status, plan, verify, new or check."):target("action"):argname("ACTION")
    :convert(parsing.one_of("the action", ACTIONS))
  parser:argument("WORD", "down: how many steps, 1 without it; new: the step's name; plan: up, down or redo, up "
    .. "without it, and for down how many steps."):target("words"):argname("WORD"):args("*")
  parser:option("--to", "up: the last step to apply; down: the step to stay at, 0 for none."):argname("STEP")
    :convert(parsing.whole_number("--to", 0))
  parser:flag("--dry-run", "Do it in a transaction that is rolled back, and say what would be."):target("dry_run")
  parser:option("--backup", "down, redo: first write a backup there and restore it for a test. Needed where rows or "
    .. "values go, or a step says that it is irreversible."):argname("FILE")
  parser:flag("--discard", "down, redo: go although rows and values go with it, without a backup; for scratch "
    .. "databases. A step that says that it is irreversible wants a backup all the same.")
  parser:option("--wait", "How many seconds to wait for another migration and for locks, 60 without it.")
    :argname("SECONDS"):target("wait_s"):convert(parsing.amount("--wait"))
  parser:option("--statement-timeout", "How many seconds a statement may take; no limit without it.")
    :argname("SECONDS"):target("statement_timeout_s"):convert(parsing.amount("--statement-timeout"))
  parser:flag("--sql-only", "plan: only print the SQL; run nothing."):target("sql_only")
  parser:flag("--lua", "new: a step in Lua instead of SQL.")
  parser:option("--folder", "Where the steps lie, instead of ligase's own migrations."):argname("FOLDER")
  output.add_format(parser)
end

-- ---- words -----------------------------------------------------------------

local function misuse(message, hint)
  errors.raise { kind = "usage", code = "usage", message = message, hint = hint or "See: ligase migrate --help" }
end

local count_of = parsing.whole_number("the number of steps", 1)

local function check_options(arguments)
  local takes = TAKES[arguments.action]
  for name, flag in pairs(FLAGS) do
    local is_default = name == "format" and (arguments.format == nil or arguments.format == "table")
    if arguments[name] and not takes[name] and not is_default then
      misuse(("'migrate %s' takes no %s"):format(arguments.action, flag))
    end
  end
end

--- What follows the action, as the action understands it.
local function read_words(arguments)
  local action, words = arguments.action, arguments.words
  local most = (action == "down" or action == "new") and 1 or action == "plan" and 2 or 0
  if #words > most then
    misuse(("'migrate %s' takes %s"):format(action, most == 0 and "no further words" or "fewer words"))
  elseif action == "new" then
    return { name = words[1] or misuse("the step has no name", "For example: ligase migrate new sample_batches") }
  elseif action == "plan" then
    local direction = words[1] and parsing.one_of("what is planned", { "up", "down", "redo" })(words[1]) or "up"
    if words[2] and direction ~= "down" then
      misuse(("'migrate plan %s' takes no number of steps"):format(direction), "Use --to STEP")
    end
    return { direction = direction, count = words[2] and count_of(words[2]) }
  end
  return { count = words[1] and count_of(words[1]) }
end

local function folder_of(arguments)
  if arguments.folder then
    local stat = sys.stat(arguments.folder)
    if not stat or stat.type ~= "directory" then
      misuse(("there is no folder %s"):format(arguments.folder), "Make it, or mend --folder")
    end
    return arguments.folder
  end
end

--- A line on the terminal while something is waited for; nothing in a pipe.
local function say_waiting(line)
  if sys.is_terminal(2) then
    io.stderr:write("\r\27[K", line and text.truncate(line, sys.terminal_width(2) - 1) or "")
  end
end

-- ---- going -----------------------------------------------------------------

local function duration(seconds)
  return seconds and (" (%s)"):format(text.duration(seconds)) or ""
end

local function write_step(step)
  output.write(("%-4s %s%s\n"):format(step.direction, step.name, duration(step.seconds)))
  output.push()
end

local function write_backup(kept)
  output.write(("backup %s, %s bytes, restored for a test\n"):format(kept.file, text.number(kept.size_bytes)))
  output.push()
end

local function write_trials(trials)
  for _, trial in ipairs(trials) do
    output.write(trial.not_tried and ("would go %s: %s; not tried, %s\n"):format(trial.direction, trial.name,
      trial.not_tried) or ("would go %s: %s%s\n"):format(trial.direction, trial.name, duration(trial.seconds)))
  end
  for _, line in ipairs(trials.effects or {}) do
    output.write("  " .. line .. "\n")
  end
  output.write("rolled back; nothing was changed\n")
  if trials.loses then
    output.write("without --dry-run it needs --backup FILE, or --discard, for what goes with that\n")
  end
end

local function go(arguments, context, words)
  local action = arguments.action
  local options = { to = arguments.to, count = words.count, folder = folder_of(arguments), wait_s = arguments.wait_s,
    statement_timeout_s = arguments.statement_timeout_s, dry_run = arguments.dry_run or nil, say = say_waiting,
    on_step = write_step, discard = arguments.discard or nil }
  if arguments.backup then
    options.on_backup = write_backup
    options.backup = { file = arguments.backup, workspace = context.workspace,
      server = db.server(context.config, context.workspace) }
  end
  local steps = migrate[action](function()
    return context:connect()
  end, options)
  if #steps == 0 then
    output.write("nothing to do\n")
  elseif arguments.dry_run then
    write_trials(steps)
  end
end

-- ---- looking ---------------------------------------------------------------

local function table_of(...)
  local result = { columns = {} }
  for i, name in ipairs { ... } do
    result.columns[i] = { name = name, type = i == 1 and "int4" or "text" }
  end
  return result
end

local function status(arguments, context)
  local steps, problem = migrate.status(context:connect(), folder_of(arguments))
  local result = table_of("step", "name", "state", "applied_at", "version")
  for i, step in ipairs(steps) do
    result[i] = { tostring(step.step), step.name, step.state, step.applied_at or "", step.host_version or "" }
  end
  output.print(result, arguments.format)
  if problem then
    output.flush()
    io.stderr:write("ligase: ", problem.message, ". ", problem.hint or "", "\n")
    return 1
  end
end

--- Adds to the verdict of the whole schema how it stands to what the steps make; gives what is
--- no fault.
local function compare(verdict, conn, context, folder)
  local compared = schema_compare.run(conn, db.server(context.config, context.workspace), folder)
  for _, finding in ipairs(compared.findings) do
    table.insert(verdict.findings, ("%s. To repair: %s"):format(finding.message, finding.repair))
  end
  if compared.not_compared then
    verdict.verdict = "not compared with what the steps make: " .. compared.not_compared
  end
  return schema_compare.told_additional(compared)
end

local function verify(arguments, context)
  local result, is_well = table_of("step", "name", "verdict"), true
  local conn, folder = context:connect(), folder_of(arguments)
  local verdicts = migrate.verify(conn, folder)
  local note = compare(verdicts[#verdicts], conn, context, folder)
  for _, verdict in ipairs(verdicts) do
    local step = verdict.step and tostring(verdict.step) or require("host").null
    for _, finding in ipairs(verdict.findings) do
      is_well = false
      result[#result + 1] = { step, verdict.name, tostring(finding) }
    end
    if #verdict.findings == 0 then
      result[#result + 1] = { step, verdict.name, verdict.verdict or verdict.is_asked and "as it should be"
        or "files unchanged" }
    end
  end
  if note then
    result[#result + 1] = { require("host").null, "schema", note }
  end
  output.print(result, arguments.format)
  return is_well and 0 or 1
end

local function write_lock(lock)
  output.write(("--   %s on %s%s\n"):format(lock.mode, lock.table,
    lock.blocks and (": blocks %s"):format(lock.blocks) or ""))
end

local function write_planned(entry, is_tried)
  output.write(("-- %s %s (%s)\n"):format(entry.direction, entry.name, entry.path))
  if entry.irreversible then
    output.write(("-- needs --backup FILE: %s\n"):format(entry.irreversible))
  end
  if not is_tried then
    output.write("-- locks: not looked for\n")
  elseif not entry.locks then
    output.write("-- locks: not known, the step was not reached\n")
  elseif entry.problem then
    output.write(("-- locks: not known, because %s;\n-- an index build beside the work of others takes "
      .. "SHARE UPDATE EXCLUSIVE on its table\n"):format(entry.problem))
  elseif #entry.locks == 0 then
    output.write("-- locks: none on tables that are there now\n")
  else
    output.write("-- locks:\n")
    for _, lock in ipairs(entry.locks) do
      write_lock(lock)
    end
  end
  output.write(entry.sql or "-- a step in Lua: only running it tells its SQL\n")
  output.write(entry.sql and not entry.sql:find("\n$") and "\n\n" or "\n")
end

local function plan(arguments, context, words)
  local planned, failure = migrate.plan(function()
    return context:connect()
  end, { direction = words.direction, count = words.count, to = arguments.to, folder = folder_of(arguments),
    sql_only = arguments.sql_only or nil, wait_s = arguments.wait_s, say = say_waiting,
    statement_timeout_s = arguments.statement_timeout_s })
  for _, entry in ipairs(planned) do
    write_planned(entry, not arguments.sql_only)
  end
  if #planned == 0 then
    output.write("-- nothing to do\n")
  elseif failure then
    output.flush()
    io.stderr:write("ligase: ", text.printable(errors.describe(failure)), "\n")
    return 1
  end
end

-- ---- making steps ----------------------------------------------------------

local function new(arguments, _, words)
  for _, path in ipairs(migrate.new(words.name, { folder = folder_of(arguments), is_lua = arguments.lua or nil })) do
    output.write(path .. "\n")
  end
end

local function check(arguments, context)
  local is_well = true
  local _, place = require("ligase.store.migration_check").run(db.server(context.config, context.workspace),
    context.workspace, { folder = folder_of(arguments), on_step = function(checked)
      output.write(("%-4s %s (%s)\n"):format(#checked.differences == 0 and "ok" or "BAD", checked.name,
        text.count(checked.rows, "row")))
      for _, line in ipairs(checked.differences) do
        is_well = false
        output.write("     " .. line .. "\n")
      end
      output.push()
    end })
  output.write(is_well and ("every step goes up, down and up exactly (scratch database on %s)\n"):format(place)
    or "not every step's way back is exact\n")
  return is_well and 0 or 1
end

local RUN = { up = go, down = go, redo = go, status = status, plan = plan, verify = verify, new = new, check = check }

--- Runs the command.
---@param arguments table as parsed
---@param context ligase.context
---@return integer|nil status
function M.run(arguments, context)
  check_options(arguments)
  return RUN[arguments.action](arguments, context, read_words(arguments))
end

return M
