--- `ligase outbox`: what Notion still has to learn.
local errors = require "ligase.base.errors"
local json = require "ligase.base.json"
local kinds = require "ligase.store.entity_kinds"
local mirrors = require "ligase.store.mirrors"
local output = require "ligase.cli.output"
local outbox = require "ligase.store.outbox"
local parsing = require "ligase.cli.parsing"
local text = require "ligase.base.text"
local values = require "ligase.sync.values"

local M = {}

M.description = "Lists what Notion still has to learn: how many changes wait, which of them for what, which were set "
  .. "aside after too many failures (dead), and which pages hold changes that people made and that were therefore kept."
M.example = [[
  ligase outbox
  ligase outbox --retry all
  ligase outbox --retry 4711
  ligase outbox --discard 4711]]

local function id_or_all(given)
  local id = given:find "^%d+$" and math.tointeger(tonumber(given))
  if given ~= "all" and not id then
    errors.raise { kind = "usage", code = "value", message = ("--retry cannot be '%s'"):format(text.printable(given)),
      hint = "It is the number of a change, or all. See: ligase outbox" }
  end
  return id or given
end

--- Declares the command's words.
---@param parser table argparse's
function M.configure(parser)
  parser:mutex(
    parser:option("--retry", "Try a change again now, or all that wait or were set aside."):argname("ID|all")
      :convert(id_or_all),
    parser:option("--discard", "Give a change up: Notion will not learn it."):argname("ID")
      :convert(parsing.whole_number("--discard", 1)))
  parser:flag("--all", "List also changes that simply wait for their turn.")
  parser:option("--limit", "How many to list."):argname("N"):convert(parsing.whole_number("--limit", 1)):default("50")
  output.add_format(parser)
end

local function refuse_unknown(id)
  errors.raise { kind = "usage", code = "unknown_change", message = ("no change %d is open"):format(id),
    hint = "See: ligase outbox --all" }
end

local function tell_counts(conn)
  local counts, open = outbox.counts(conn), outbox.open(conn)
  output.write(("%d pending (%d for another page), %d with a relay, %d dead; %d delivered, %d superseded, "
    .. "%d discarded\n"):format(counts.pending, open.waiting, counts.running, counts.dead, counts.done,
      counts.superseded, counts.discarded))
end

local function tell_conflicts(conn, limit)
  for _, page in ipairs(mirrors.conflicts(conn, limit)) do
    local names = {}
    for name, conflict in pairs(page.conflict) do
      names[#names + 1] = ("%s is %s, should be %s"):format(name, values.shown(conflict.page),
        values.shown(conflict.wanted))
    end
    table.sort(names)
    local name = page.name ~= json.null and page.name or page.entity_id
    output.write(("conflict  %s '%s': %s\n"):format(kinds.of_table(page.entity_type).name, text.printable(name),
      text.printable(table.concat(names, "; "))))
  end
end

local function try_again(conn, given)
  local count = outbox.try_again(conn, given ~= "all" and given or nil)
  if count == 0 and given ~= "all" then
    refuse_unknown(given)
  end
  output.write(("%s will be tried again: ligase sync\n"):format(text.count(count, "change")))
end

--- Runs the command.
---@param arguments table as parsed
---@param context ligase.context
function M.run(arguments, context)
  local conn = context:open_if_there()
  if not conn then
    return
  elseif arguments.retry then
    return try_again(conn, arguments.retry)
  elseif arguments.discard then
    if not outbox.discard(conn, arguments.discard) then
      refuse_unknown(arguments.discard)
    end
    return output.write(("change %d was discarded\n"):format(arguments.discard))
  end
  local listed = outbox.list(conn, arguments.limit, arguments.all)
  if arguments.format ~= "table" then
    return output.print(listed, arguments.format)
  end
  tell_counts(conn)
  if #listed > 0 then
    output.print(listed, "table")
  end
  tell_conflicts(conn, arguments.limit)
end

return M
