--- `ligase worker`: ingests what is queued.
local errors = require "ligase.base.errors"
local failing = require "ligase.cli.failing"
local parsing = require "ligase.cli.parsing"
local telling = require "ligase.cli.telling"
local working = require "ligase.cli.working"

local M = {}

M.description = "Ingests files that `ligase ingest` queued, one transaction each, until none is left. Any number of "
  .. "workers may work on one queue, also on other machines that reach the same database and see the files under the "
  .. "same paths. Ctrl-C lets the file in flight end; once more stops at once and leaves it in the queue."
M.example = [[
  ligase worker
  ligase worker --watch
  ligase worker --batch 01a1fb8f-7d52-7000-8000-0123456789ab --once]]

local UUID = "^" .. ("x"):rep(8) .. ("%-xxxx"):rep(3) .. "%-" .. ("x"):rep(12) .. "$"

local function batch_id(given)
  if not given:lower():find((UUID:gsub("x", "%%x"))) then
    errors.raise { kind = "usage", code = "value", message = ("--batch cannot be '%s'"):format(given),
      hint = "It is the whole id of a batch" }
  end
  return given:lower()
end

--- Declares the command's words.
---@param parser table argparse's
function M.configure(parser)
  parser:option("--batch", "Only the files of this batch."):argname("ID"):convert(batch_id)
  parser:mutex(
    parser:flag("--once", "End after one file."),
    parser:flag("--watch", "When there are none, wait for more; outlive the server's restarts."))
  parser:option("--parent", "End when the process of this number is gone."):argname("PID")
    :convert(parsing.whole_number("--parent", 2))
  parser:option("--skip", "Leave so many of the first files for later: one of them may have killed a worker.")
    :argname("N"):convert(parsing.whole_number("--skip", 0))
  parser:flag("--quiet", "Say nothing of single files.")
end

local function tell(_, request, report, failure)
  if report then
    telling.tell_line(request, report)
  else
    failing.report(failure)
  end
end

--- Runs the command.
---@param arguments table as parsed
---@param context ligase.context
---@return integer status 0; 1 when a file was set aside, unless somebody else reports it (--parent, --watch)
function M.run(arguments, context)
  context.is_child = arguments.parent ~= nil
  local counts = working.run(context, { batch_id = arguments.batch, once = arguments.once, watch = arguments.watch,
    skip = arguments.skip, parent_pid = arguments.parent, tell = not arguments.quiet and tell or nil })
  if arguments.parent or arguments.watch then
    return 0 -- one that watches is always stopped in the end
  end
  telling.tell_all(counts.done + counts.failed, counts.done, counts.failed)
  return counts.stopped and 130 or counts.failed > 0 and 1 or 0
end

return M
