--- `ligase import sqlite FILE --map MAP`: old chemistry data into Postgres. Its words are
--- declared in ligase.cli.commands.import.
local errors = require "ligase.base.errors"
local entity_recipe = require "ligase.intake.entity_recipe"
local failing = require "ligase.cli.failing"
local kinds = require "ligase.store.entity_kinds"
local output = require "ligase.cli.output"
local report = require "ligase.screening.report"
local runs = require "ligase.store.runs"
local sqlite_import = require "ligase.intake.sqlite_import"
local sqlite_map = require "ligase.intake.sqlite_map"
local sys = require "sys"
local text = require "ligase.base.text"

local M = {}

local PROBLEMS_SHOWN = 20

local function say(label, ...)
  output.write(("  %-9s %s\n"):format(label, text.printable(string.format(...))))
end

local function tell_tables(counts)
  for _, count in ipairs(counts) do
    if count.created then
      say(count.table, "%s: %s, %s new, %s changed, %s unchanged", count.what, text.count(count.rows, "row"),
        text.number(count.created), text.number(count.updated), text.number(count.unchanged))
      for _, line in ipairs(entity_recipe.duplicate_lines(kinds.get(count.what:sub(1, -2)), count.duplicates)) do
        say("doubt", "%s", line)
      end
    else
      say(count.table, "%s: %s", count.what, text.count(count.rows, "row"))
    end
  end
end

local function tell_campaign(campaign)
  local outcome = campaign.unchanged and ("unchanged (revision %d)"):format(campaign.revision)
    or campaign.revision and ("revision %d"):format(campaign.revision) or "nothing left to store"
  output.write(("campaign %s: %s, %s%s\n"):format(text.shown(campaign.name, 40), outcome,
    text.count(campaign.results, "result"), campaign.hits and (", %s"):format(text.count(campaign.hits.hits, "hit"))
      or ""))
  if campaign.unchanged then
    return
  end
  local line = report.compounds_line(campaign.compounds)
  if line then
    say("linked", "%s", line)
  end
  for _, list in ipairs { campaign.doubts, campaign.reckoning_doubts } do
    for _, doubt in ipairs(list) do
      say("doubt", "%s", doubt)
    end
  end
end

local function tell_problems(problems, first)
  if #problems == 0 then
    return
  end
  output.write(("%s: %s\n"):format(first, text.count(#problems, "row")))
  for i = 1, math.min(#problems, PROBLEMS_SHOWN) do
    local problem = problems[i]
    output.write(("  %s rowid %d: %s\n"):format(text.printable(problem.table), problem.rowid,
      text.printable(problem.message)))
  end
  if #problems > PROBLEMS_SHOWN then
    output.write(("  ... and %s more\n"):format(text.number(#problems - PROBLEMS_SHOWN)))
  end
end

local function tell(source, done, arguments)
  output.write(("%s: %s%s\n"):format(source.shown, done.outcome == "unchanged" and "unchanged"
    or arguments.dry_run and "would be taken over" or "taken over", arguments.dry_run and " (dry run)" or ""))
  tell_tables(done.counts)
  for _, campaign in ipairs(done.campaigns) do
    tell_campaign(campaign)
  end
  tell_problems(done.problems, "left out")
end

local function import(conn, arguments, context, map, source)
  return sqlite_import.import(conn, source, { map = map, leave_out = arguments.leave_out, dry_run = arguments.dry_run,
    create = arguments.create, duplicates = arguments.duplicates, busy_timeout_s = arguments.busy_timeout,
    outbox = context:outbox(),
    reconnect = function()
      return context:open()
    end })
end

--- Runs the command.
---@param arguments table as parsed
---@param context ligase.context
---@return integer|nil status
function M.run(arguments, context)
  if arguments.file == "-" then
    errors.raise { kind = "usage", code = "usage", message = "a SQLite file cannot be read from standard input",
      hint = "Name the file" }
  end
  local map = sqlite_map.load(arguments.map or "chemistry_sqlite")
  local conn = arguments.dry_run and context:open_existing() or failing.open(context)
  local source = { path = arguments.file, shown = text.printable(arguments.file) }
  local started = sys.monotonic()
  local done, result = xpcall(import, errors.explained, conn, arguments, context, map, source)
  if not done then
    if not arguments.dry_run and result.kind ~= "usage" then
      runs.journal_failure(conn, runs.new("import sqlite", map, { source = source.shown }), result)
    end
    failing.as_required(result, source.shown)
    error(result, 0)
  end
  tell(source, result, arguments)
  say("took", "%s", text.duration(sys.monotonic() - started))
end

return M
