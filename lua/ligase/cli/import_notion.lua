--- `ligase import notion`: the lab's Notion databases into Postgres. Its words are declared in
--- ligase.cli.commands.import.
local access = require "ligase.cli.notion_access"
local import = require "ligase.sync.import"
local json = require "ligase.base.json"
local notion = require "ligase.io.notion"
local opening = require "ligase.sync.opening"
local output = require "ligase.cli.output"
local progress = require "ligase.cli.progress"
local sys = require "sys"
local syncing = require "ligase.cli.syncing"
local text = require "ligase.base.text"
local values = require "ligase.sync.values"

local M = {}

local LINES_MOST = 20

local function say(label, ...)
  output.write(("  %-9s %s\n"):format(label, text.printable(string.format(...))))
end

local function say_some(label, list, line)
  for i = 1, math.min(#list, LINES_MOST) do
    say(label, "%s", line(list[i]))
  end
  if #list > LINES_MOST then
    say(label, "... and %s more", text.number(#list - LINES_MOST))
  end
end

local function plain(value)
  return value ~= json.null and value or nil
end

local function tell(report, is_rehearsed)
  output.write(("%s: %s%s\n"):format(report.entity_type, text.count(report.pages, "page"),
    is_rehearsed and " (dry run)" or ""))
  if report.pages > 0 then
    say("entities", "%s new, %s changed, %s unchanged, %s not edited since%s", text.number(report.created),
      text.number(report.updated), text.number(report.unchanged), text.number(report.skipped), report.deleted > 0
      and (", %s deleted"):format(text.number(report.deleted)) or "")
  end
  if report.bodies > 0 then
    say("texts", "%s taken over", text.number(report.bodies))
  end
  say_some("conflict", report.conflicts, function(one)
    return ("'%s': %s is %s in Notion and %s in Postgres; both stay"):format(text.shown(one.name, 40), one.property,
      values.shown(plain(one.page)), values.shown(plain(one.postgres)))
  end)
  say_some("note", report.notes, function(one)
    return ("'%s': %s"):format(text.shown(one.name, 40), one.message)
  end)
  say_some("held", report.held, function(one)
    return ("'%s': %s, so Postgres keeps those of %s. Was the property removed and made again? Give Notion the values "
      .. "back with: ligase reconcile --fix notion --overwrite; or empty them here with: ligase import notion "
      .. "--allow-empty"):format(one.property, one.message, text.count(one.pages, "entity", "entities"))
  end)
  say_some("gone", report.trashed, function(one)
    return ("'%s': %s"):format(text.shown(one.name, 40), one.message)
  end)
  say_some("left out", report.problems, function(one)
    return ("'%s' (%s): %s%s"):format(text.shown(one.name, 40), one.page_id, one.message,
      one.hint and ". " .. one.hint or "")
  end)
end

--- Runs the command.
---@param arguments table as parsed
---@param context ligase.context
---@return integer status 1 when some pages were left out, or values held
function M.run(arguments, context)
  notion.token(context.config)
  local conn = context:open { when_off = true }
  local target = opening.target(context.config, { conn = context:open { when_off = true } })
  local started, status = sys.monotonic(), 0
  local line <close> = progress.line()
  local is_shown = sys.is_terminal(1) and sys.is_terminal(2)
  for _, entity_type in ipairs(syncing.types(target, access.types(target.policy, arguments.databases))) do
    local report = import.run(conn, target, { types = { entity_type }, since = arguments.since, all = arguments.all,
      bodies = not arguments.no_bodies, delete = arguments.delete, rehearse = arguments.dry_run,
      allow_empty = arguments.allow_empty,
      tell = function(so_far)
        if is_shown then
          line:draw(("%s: %s read, %s taken over"):format(entity_type, text.count(so_far.pages, "page"),
            text.number(so_far.created + so_far.updated)))
        end
      end })[1]
    line:close()
    tell(report, arguments.dry_run)
    status = (#report.problems > 0 or #report.held > 0) and 1 or status
  end
  say("took", "%s", text.duration(sys.monotonic() - started))
  return status
end

return M
