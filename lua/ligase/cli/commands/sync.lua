--- `ligase sync`: the relay, once or for ever, in one process or several.
local errors = require "ligase.base.errors"
local host = require "host"
local outbox = require "ligase.store.outbox"
local opening = require "ligase.sync.opening"
local output = require "ligase.cli.output"
local parsing = require "ligase.cli.parsing"
local policy_of = require "ligase.sync.policy"
local progress = require "ligase.cli.progress"
local sys = require "sys"
local text = require "ligase.base.text"

local M = {}

M.description = "Delivers what Notion still has to learn, one change after the other, within Notion's rate limits. "
  .. "What fails is tried again later; what cannot succeed is set aside with its reason (ligase outbox). Any number of "
  .. "relays may work at a time, also on other machines. Ctrl-C lets the change in hand end; once more stops at once."
M.example = [[
  ligase sync
  ligase sync --watch --jobs 2]]

--- Between two looks at the relays, and at the outbox for the progress line.
local LOOK_S, DRAW_S = 0.1, 0.5
--- Relays that may be killed one after the other without anything delivered in between.
local CRASHES_MOST = 5

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

-- ---- one relay -------------------------------------------------------------

local SAID = { failed = true, dead = true, conflict = true, note = true, blocked = true, down = true }

local function stop_when_told(state, is_child)
  local function stop()
    state.stopping = true
    if not is_child then
      io.stderr:write("ligase: stopping after the change in hand; once more stops at once\n")
    end
    sys.on_signal("INT", "default")
    sys.on_signal("TERM", "default")
  end
  sys.on_signal("INT", stop)
  sys.on_signal("TERM", stop)
end

local function relay(arguments, context, bar)
  local state, parent = {}, arguments.parent
  local conn = context:open()
  context:govern(conn, { is_quiet = parent ~= nil })
  local one = opening.relay(context.config, conn, context:open(), { watch = arguments.watch,
    is_over = function()
      if bar then
        bar:look()
      end
      return state.stopping or parent ~= nil and not sys.kill(parent, 0)
    end,
    tell = function(event)
      if SAID[event.kind] then
        if bar then
          bar:close()
        end
        io.stderr:write("ligase: ", text.printable(event.line), "\n")
      end
    end })
  stop_when_told(state, parent ~= nil)
  local done, failure = xpcall(one.run, errors.explained, one)
  sys.on_signal("INT", "default")
  sys.on_signal("TERM", "default")
  if bar then
    bar:close()
  end
  if not done then
    error(failure, 0)
  end
  return state.stopping
end

-- ---- how far it is ---------------------------------------------------------

--- A progress line on a terminal: what is left, what was delivered, what was set aside.
local Bar = {}
Bar.__index = Bar

local function new_bar(conn)
  if not (sys.is_terminal(1) and sys.is_terminal(2)) then
    return nil
  end
  local bar = setmetatable({ conn = conn, began = outbox.counts(conn), line = progress.line(), next_at = 0 }, Bar)
  return bar
end

--- Draws the line anew, when it is time.
function Bar:look()
  local now = sys.monotonic()
  if now < self.next_at then
    return
  end
  self.next_at = now + DRAW_S
  local counts = outbox.counts(self.conn)
  self.line:draw(("%s delivered, %s left%s"):format(text.count(counts.done - self.began.done, "change"),
    text.number(counts.pending + counts.running), counts.dead > 0 and (", %d set aside"):format(counts.dead) or ""))
end

--- Takes the line away.
function Bar:close()
  self.line:close()
end

-- ---- several relays --------------------------------------------------------

local function start(arguments, context)
  return sys.spawn({ host.executable, "sync", "--parent", tostring(sys.pid()),
    arguments.watch and "--watch" or "--once" }, { env = { LIGASE_WORKSPACE = context.workspace } })
end

--- Relays as processes of their own, watched over: one that was killed is replaced.
local function relays(arguments, context, conn, bar)
  local running, state = {}, { crashes = 0 }
  local function each(method, ...)
    for _, process in ipairs(running) do
      process[method](process, ...)
    end
  end
  local function stop()
    state.stopping = true
    each("kill", "TERM")
    io.stderr:write("ligase: stopping after the changes in hand; once more stops at once\n")
    sys.on_signal("INT", function() each("kill", "INT") end)
    sys.on_signal("TERM", function() each("kill", "TERM") end)
  end
  sys.on_signal("INT", stop)
  sys.on_signal("TERM", stop)
  local closing <close> = setmetatable({}, { __close = function() -- luacheck: ignore
    sys.on_signal("INT", "default")
    sys.on_signal("TERM", "default")
    each("close")
  end })
  for i = 1, arguments.jobs do
    running[i] = start(arguments, context)
  end
  local delivered = outbox.counts(conn).done
  while #running > 0 do
    for i = #running, 1, -1 do
      local ended = running[i]:wait(i == 1 and LOOK_S or 0)
      if ended then
        table.remove(running, i):close()
        local now = ended.signal and outbox.counts(conn).done
        state.crashes = now and (now > delivered and 1 or state.crashes + 1) or state.crashes
        delivered = now or delivered
        if ended.signal and not state.stopping and state.crashes <= CRASHES_MOST then
          running[#running + 1] = start(arguments, context)
        elseif ended.code and ended.code ~= 0 and ended.code ~= 130 then
          state.broken = true -- it has said why
        end
      end
    end
    if bar then
      bar:look()
    end
  end
  return state.stopping, state.broken or state.crashes > CRASHES_MOST
end

-- ---- what is left ----------------------------------------------------------

--- Types whose changes wait because no database is set for them.
local function tell_unconfigured(conn, context)
  local policy, phase = policy_of.load(context.workspace), policy_of.phase_of(context.config)
  for entity_type, count in pairs(outbox.pending_by_type(conn)) do
    local entity, rule = policy.entities[entity_type], policy:rule(entity_type, phase)
    if entity and not context.config:get(entity.database) then
      io.stderr:write(("ligase: Notion sync skipped (error): %s of %s wait: %s is not set. Set it to the database's id "
        .. "or link\n"):format(text.count(count, "change"), entity.type, entity.database))
    elseif not (rule and rule.is_mirrored) then
      io.stderr:write(("ligase: Notion sync skipped (error): %s of %s wait: in phase %s the policy does not mirror "
        .. "them. See: ligase policy check\n"):format(text.count(count, "change"), entity_type, phase))
    end
  end
end

local function summary(conn, before)
  local counts, open = outbox.counts(conn), outbox.open(conn)
  local left = open.ready + open.later + open.running
  output.write(("%s delivered%s%s\n"):format(text.count(counts.done - before.done, "change"), left > 0
    and (", %s left"):format(text.number(left)) or "", counts.dead > 0 and (", %s set aside (ligase outbox)"):format(
      text.number(counts.dead)) or ""))
  return left == 0 and counts.dead == 0
end

--- Runs the command.
---@param arguments table as parsed
---@param context ligase.context
---@return integer status 0 when everything is delivered, 1 when something is left or set aside
function M.run(arguments, context)
  if arguments.parent then
    return relay(arguments, context) and 130 or 0
  end
  local conn = context:open()
  context:govern(conn)
  local before, bar = outbox.counts(conn), new_bar(conn)
  local stopped, broken
  if arguments.jobs == 1 then
    stopped = relay(arguments, context, bar)
  else
    stopped, broken = relays(arguments, context, conn, bar)
  end
  if bar then
    bar:close()
  end
  tell_unconfigured(conn, context)
  local is_empty = summary(conn, before)
  return stopped and 130 or not broken and is_empty and 0 or 1
end

return M
