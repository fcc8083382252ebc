--- `ligase sync`: the relay, once or for ever, in one process or several.
local children = require "ligase.cli.children"
local errors = require "ligase.base.errors"
local failing = require "ligase.cli.failing"
local host = require "host"
local notion = require "ligase.io.notion"
local outbox = require "ligase.store.outbox"
local output = require "ligase.cli.output"
local parsing = require "ligase.cli.parsing"
local policy_of = require "ligase.sync.policy"
local progress = require "ligase.cli.progress"
local relaying = require "ligase.cli.relaying"
local sys = require "sys"
local text = require "ligase.base.text"

local M = {}

M.description = "Delivers what Notion still has to learn, one change after the other, within Notion's rate limits. "
  .. "What fails is tried again later; what cannot succeed is set aside with its reason (ligase outbox). Any number of "
  .. "relays may work at a time, also on other machines. Ctrl-C lets the change in hand end; once more stops at once."
M.example = [[
  ligase sync
  ligase sync --watch --jobs 2]]

--- Between two looks at the outbox for the progress line, and for a Postgres that is gone.
local DRAW_S, REOPEN_S = 0.5, 2

--- Declares the command's words.
---@param parser table argparse's
function M.configure(parser)
  parser:mutex(
    parser:flag("--once", "End when nothing is left that can go; without it too."),
    parser:flag("--watch", "Wait for further changes, for ever."))
  parser:option("--jobs", "Relays at a time. The budget of requests stays one."):argname("N")
    :convert(parsing.whole_number("--jobs", 1)):default("1")
  parser:option("--parent", "Be one of the relays of the process of this number."):argname("PID")
    :convert(parsing.whole_number("--parent", 2))
end

-- ---- what this command delivers ---------------------------------------------

--- Counts what the relays of this command deliver, and not those of others. Relays that are
--- processes write a byte for each change, so that one that is killed takes nothing with it.
local Tally = {}
Tally.__index = Tally

local function new_tally(jobs)
  local folder = jobs > 1 and sys.temp_dir "ligase-sync-" or nil
  return setmetatable({ folder = folder, path = folder and folder .. "/delivered", count = 0 }, Tally)
end

local function note_for_parent()
  io.stdout:write "."
  io.stdout:flush()
end

--- Notes a delivery of the relay in this process.
function Tally:note()
  self.count = self.count + 1
end

--- How many changes were delivered so far.
---@return integer
function Tally:delivered()
  local found = self.path and sys.stat(self.path)
  return found and found.size_bytes or self.count
end

function Tally:__close()
  if self.folder then
    errors.try(sys.remove_tree, self.folder)
  end
end

-- ---- how far it is ---------------------------------------------------------

--- The outbox as the command sees it, on a connection of its own that is opened again when it
--- was lost.
local View = {}
View.__index = View

--- Asks the outbox; nil when Postgres is gone.
---@param question fun(conn: table, argument: any): any
---@param argument any
---@return any
function View:ask(question, argument)
  if not (self.conn and self.conn:is_open()) then
    if sys.monotonic() < (self.next_at or 0) then
      return nil
    end
    self.next_at = sys.monotonic() + REOPEN_S
    local opened, conn = errors.try(self.context.open, self.context, { again = true })
    self.conn = opened and conn or nil
  end
  local asked, answer = errors.try(function()
    return self.conn and question(self.conn, argument)
  end)
  if asked then
    return answer or nil
  elseif not failing.is_lost(answer) then
    error(answer, 0)
  end
end

--- A progress line on a terminal: what was delivered, what is left, what was set aside.
local Bar = {}
Bar.__index = Bar

local function new_bar(view, tally)
  local line = sys.is_terminal(1) and sys.is_terminal(2) and progress.line() or nil
  return setmetatable({ view = view, tally = tally, line = line, next_at = 0 }, Bar)
end

--- Draws the line anew, when it is time.
function Bar:look()
  local now = sys.monotonic()
  if not self.line or now < self.next_at then
    return
  end
  self.next_at = now + DRAW_S
  local counts = self.view:ask(outbox.counts)
  local left = counts and (", %s left%s"):format(text.number(counts.pending + counts.running), counts.dead > 0
    and (", %d set aside"):format(counts.dead) or "") or "; Postgres is gone"
  self.line:draw(text.count(self.tally:delivered(), "change") .. " delivered" .. left)
end

--- Takes the line away.
function Bar:close()
  if self.line then
    self.line:close()
  end
end

-- ---- one relay or several --------------------------------------------------

local function relay(arguments, context, bar, note)
  return relaying.run(context, { watch = arguments.watch, parent = arguments.parent, delivered = note,
    look = function() return bar and bar:look() end,
    pause = function() return bar and bar:close() end })
end

local function start(arguments, context, tally)
  return sys.spawn({ host.executable, "sync", "--parent", tostring(sys.pid()),
    arguments.watch and "--watch" or "--once" }, { env = { LIGASE_WORKSPACE = context.workspace }, stdout = tally.path,
    append = true })
end

--- Relays as processes of their own, watched over.
local function relays(arguments, context, bar, tally)
  return children.run(arguments.jobs, {
    start = function() return start(arguments, context, tally) end,
    finished = function() return tally:delivered() end,
    told = function(times)
      if times == 1 then
        bar:close()
        io.stderr:write("ligase: stopping after the changes in hand; once more stops at once\n")
      end
    end,
    look = function() bar:look() end })
end

-- ---- what is left ----------------------------------------------------------

--- Types whose changes wait because no database is set for them.
local function tell_unconfigured(conn, context)
  local policy, phase = policy_of.load(context.workspace), policy_of.phase_of(context.config)
  for entity_type, count in pairs(outbox.pending_by_type(conn)) do
    local entity, rule = policy.entities[entity_type], policy:rule(entity_type, phase)
    local waiting = ("%s of %s %s"):format(text.count(count, "change"), entity_type, count == 1 and "waits" or "wait")
    if entity and not context.config:get(entity.database) then
      io.stderr:write(("ligase: Notion sync skipped (error): %s: %s is not set. Set it to the database's id or link\n")
        :format(waiting, entity.database))
    elseif not (rule and rule.is_mirrored) then
      io.stderr:write(("ligase: Notion sync skipped (error): %s: in phase %s the policy does not mirror them. See: "
        .. "ligase policy check\n"):format(waiting, phase))
    end
  end
end

local function summary(view, delivered)
  local counts = view:ask(outbox.counts)
  local open = counts and view:ask(outbox.open)
  if not open then
    output.write(("%s delivered\n"):format(text.count(delivered, "change")))
    return false
  end
  local left = open.ready + open.later + open.running
  output.write(("%s delivered%s%s\n"):format(text.count(delivered, "change"), left > 0
    and (", %s left"):format(text.number(left)) or "", counts.dead > 0 and (", %s set aside (ligase outbox)"):format(
      text.number(counts.dead)) or ""))
  return left == 0 and counts.dead == 0
end

--- A view of the outbox. A relay that watches begins also while the server is down.
local function new_view(arguments, context)
  local view = setmetatable({ context = context }, View)
  local opened, conn = errors.try(context.open, context)
  if opened then
    view.conn = conn
    context:govern(conn)
  elseif not (arguments.watch and failing.is_lost(conn)) then
    error(conn, 0)
  end
  return view
end

--- Runs the command.
---@param arguments table as parsed
---@param context ligase.context
---@return integer status 0 when everything is delivered, 1 when something is left or set aside
function M.run(arguments, context)
  if arguments.parent then
    return relay(arguments, context, nil, note_for_parent) and 130 or 0
  end
  notion.token(context.config)
  local view = new_view(arguments, context)
  local tally <close> = new_tally(arguments.jobs)
  local bar = new_bar(view, tally)
  local stopped, broken
  if arguments.jobs == 1 then
    stopped = relay(arguments, context, bar, function() tally:note() end)
  else
    local ended = relays(arguments, context, bar, tally)
    stopped, broken = ended.stopped, ended.broken or ended.killed
  end
  bar:close()
  view:ask(tell_unconfigured, context)
  local is_empty = summary(view, tally:delivered())
  return stopped and 130 or not broken and is_empty and 0 or 1
end

return M
