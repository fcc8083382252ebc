--- `ligase rollback`: undoes runs.
local errors = require "ligase.base.errors"
local output = require "ligase.cli.output"
local rollback = require "ligase.store.rollback"
local run_finding = require "ligase.store.run_finding"
local text = require "ligase.base.text"

local M = {}

M.description = "Undoes a run exactly: datasets go back to their earlier revision, what it made is removed, what it "
  .. "changed or deleted is as it was before. It is refused when later runs built on it, with their list. A rollback "
  .. "is a run itself, and rolling that back does everything again. One transaction: all or nothing."
M.example = [[
  ligase rollback --dry-run last        # what undoing the latest run would do
  ligase rollback 01a1fb8f-7d85
  ligase rollback --cascade 01a1fb8f    # with all that built on it
  ligase rollback --batch last          # all files of one ingest]]

--- Effects that are named without --dry-run.
local NAMED_MOST = 10

--- Declares the command's words.
---@param parser table argparse's
function M.configure(parser)
  parser:argument("RUN", "Runs: an id, a start of one, or last: the latest that counts and is neither a rollback nor "
    .. "a comparison.")
    :target("runs"):argname("RUN"):args("*")
  parser:option("--batch", "All runs of a batch that count: its id, a start of it, or last."):argname("BATCH")
  parser:flag("--cascade", "Undo later runs that built on it too, the newest first.")
  parser:flag("--dry-run", "Say everything that would happen and write nothing.")
  parser:flag("--json", "Print what was done as one JSON object.")
end

local function check(arguments)
  if #arguments.runs == 0 and not arguments.batch then
    errors.raise { kind = "usage", code = "usage", message = "RUN is missing",
      hint = "Say which: ligase runs lists them. See: ligase rollback --help" }
  elseif #arguments.runs > 0 and arguments.batch then
    errors.raise { kind = "usage", code = "usage", message = "--batch goes without names of runs",
      hint = "Leave one of them out" }
  end
end

--- The runs that are in the way are listed line by line.
local function refuse(failure)
  if failure.code == "built_on" then
    io.stderr:write("ligase: these runs built on it, the newest first:\n")
    for _, run in ipairs(failure.runs) do
      io.stderr:write(("  %s\n"):format(run_finding.line(run)))
    end
    failure.detail = nil
  end
  error(failure, 0)
end

local function tell_runs(report)
  for _, run in ipairs(report.runs) do
    output.write(("%s %s\n"):format(report.rehearsed and "would undo" or "undid", run_finding.line(run)))
    if run.rolls_back ~= nil and type(run.rolls_back) == "string" then
      output.write(("  it was a rollback: what run %s did is done again\n"):format(run.rolls_back))
    end
  end
  if #report.later > 0 then
    output.write(("%s had built on %s\n"):format(text.count(#report.later, "of these runs", "of these runs"),
      #report.runs - #report.later == 1 and "the other one" or "the others"))
  end
end

local function tell_effects(report, most)
  for i = 1, math.min(#report.effects, most) do
    local effect = report.effects[i]
    output.write(("  %s %s: %s%s\n"):format(effect.what, text.printable(effect.name), effect.action,
      effect.detail ~= "" and (" (%s)"):format(text.printable(effect.detail)) or ""))
  end
  if #report.effects > most then
    output.write(("  ... and %s more\n"):format(text.number(#report.effects - most)))
  end
end

local function tell_counts(report)
  local keys, parts = {}, {}
  for key in pairs(report.counts) do
    keys[#keys + 1] = key
  end
  table.sort(keys)
  for i, key in ipairs(keys) do
    local what, action = key:match("^(.-) ([^ ]+ ?b?a?c?k?)$")
    local noun = what:match("^link of a row$") and "links of rows" or nil
    parts[i] = ("%s %s"):format(noun and report.counts[key] ~= 1 and text.number(report.counts[key]) .. " " .. noun
      or text.count(report.counts[key], what), action)
  end
  output.write(#parts > 0 and ("  in all: %s\n"):format(table.concat(parts, ", ")) or "  nothing was left to undo\n")
end

local function tell(report, dry_run)
  local many = #report.runs > NAMED_MOST and not dry_run
  if many then
    output.write(("undid %s\n"):format(text.count(#report.runs, "run")))
  else
    tell_runs(report)
  end
  tell_effects(report, dry_run and math.huge or NAMED_MOST)
  tell_counts(report)
  if dry_run then
    output.write("nothing was written\n")
  elseif report.batch_id then
    output.write(("to take this back: ligase rollback --batch %s\n"):format(report.batch_id))
  else
    output.write(("to take this back: ligase rollback %s\n"):format(report.rollbacks[1].id))
  end
end

--- Runs the command.
---@param arguments table as parsed
---@param context ligase.context
function M.run(arguments, context)
  check(arguments)
  local conn = context:open_existing()
  local done, report = xpcall(rollback.run, errors.explained, conn, { runs = arguments.runs, batch = arguments.batch },
    { cascade = arguments.cascade, dry_run = arguments.dry_run,
      outbox = context:outbox() })
  if not done then
    refuse(report)
  end
  if arguments.json then
    output.write(require("ligase.base.json").encode({ runs = report.runs, effects = report.effects,
      counts = report.counts, rollbacks = report.rollbacks, batch_id = report.batch_id,
      rehearsed = report.rehearsed or false }) .. "\n")
  else
    tell(report, arguments.dry_run)
  end
end

return M
