--- One relay of `ligase sync`: it says what people should know, ends on a signal, and when it
--- watches outlives the connection to Postgres.
local errors = require "ligase.base.errors"
local failing = require "ligase.cli.failing"
local opening = require "ligase.sync.opening"
local outbox = require "ligase.store.outbox"
local parenthood = require "ligase.cli.parenthood"
local sys = require "sys"
local text = require "ligase.base.text"

local M = {}

local SAID = { failed = true, dead = true, conflict = true, note = true, blocked = true, down = true }

--- Between two attempts to connect; doubled with each, and drawn between half of that and all.
local PAUSE_S, PAUSE_MOST_S, LOOK_S = 0.5, 30, 0.25

---@class ligase.relaying
---@field context ligase.context
---@field options ligase.relaying_options
---@field tries integer connections that were tried or lost since the last delivery
---@field lost ligase.outbox_claim|nil in hand when the connection went
---@field is_gone boolean|nil it was said that Postgres is gone
---@field stopping boolean|nil
---@field is_orphan fun(): boolean the process that started this relay is gone
local Relaying = {}
Relaying.__index = Relaying

---@class ligase.relaying_options
---@field watch boolean|nil
---@field parent integer|nil the process that started this relay: it ends with it
---@field look fun() called between two deliveries and while it waits
---@field delivered fun() called after each delivery
---@field pause fun() called before something is said

-- ---- signals and lines -----------------------------------------------------

local function say(self, line)
  self.options.pause()
  io.stderr:write("ligase: ", text.printable(line), "\n")
end

local function stop_when_told(self)
  local function stop()
    self.stopping = true
    if not self.options.parent then
      io.stderr:write("ligase: stopping after the change in hand; once more stops at once\n")
    end
    sys.on_signal("INT", "default")
    sys.on_signal("TERM", "default")
  end
  sys.on_signal("INT", stop)
  sys.on_signal("TERM", stop)
end

local function is_over(self)
  self.options.look()
  return self.stopping or self.is_orphan()
end

local function hear(self, event)
  if event.kind == "delivered" then
    self.tries = 0
    self.options.delivered()
  elseif SAID[event.kind] then
    say(self, event.line)
  end
end

-- ---- the connection --------------------------------------------------------

--- Whether a failure of Postgres' may pass: a lost connection, a server that starts or has no
--- room, a transaction that met another one.
local function may_pass(failure)
  return failing.is_lost(failure) or errors.is(failure, "database")
    and (failure.code:find "^53" or failure.code:find "^40") ~= nil
end

local function close(self)
  for _, conn in ipairs(self.conns) do
    conn:close()
  end
  self.conns = {}
end

local function open(self)
  local conn = self.context:open { again = self.was_open }
  self.conns[#self.conns + 1] = conn
  return conn
end

--- What was in hand goes on at once, and not when its lease is over.
local function give_back(self, conn)
  if self.lost then
    outbox.finish(conn, self.lost, { state = "pending", reason = "the relay lost its connection to Postgres" })
    self.lost = nil
  end
end

local function connect(self)
  local conn = open(self)
  self.context:govern(conn, { is_quiet = self.options.parent ~= nil })
  local relay = opening.relay(self.context.config, conn, open(self), { watch = self.options.watch,
    is_over = function() return is_over(self) end,
    tell = function(event) hear(self, event) end })
  give_back(self, conn)
  self.was_open = true
  if self.is_gone then
    self.is_gone = nil
    say(self, "Postgres is back; the relay goes on")
  end
  return relay
end

local function run(self)
  self.relay = nil
  self.relay = connect(self)
  self.relay:run()
end

--- Waits before the next connection. Raises what will not pass, and anything when the relay
--- does not watch.
local function endure(self, failure)
  self.lost = self.relay and self.relay.claim or self.lost
  close(self)
  if not (self.options.watch and may_pass(failure)) then
    error(failure, 0)
  elseif not self.is_gone then
    self.is_gone = true
    say(self, ("Postgres is gone (%s); the relay connects again by itself"):format(failure.message:match "^[^\n]*"))
  end
  local stop = sys.monotonic() + math.min(PAUSE_MOST_S, PAUSE_S * 2 ^ self.tries) * (0.5 + 0.5 * math.random())
  self.tries = self.tries + 1
  while sys.monotonic() < stop and not is_over(self) do
    sys.sleep(math.min(LOOK_S, math.max(0, stop - sys.monotonic())))
  end
end

local function run_on(self)
  repeat
    local done, failure = xpcall(run, errors.explained, self)
    if not done then
      endure(self, failure)
    end
  until done or is_over(self)
  close(self)
end

--- Runs a relay until nothing is left, or for ever.
---@param context ligase.context
---@param options ligase.relaying_options
---@return boolean stopped by a signal
function M.run(context, options)
  local self = setmetatable({ context = context, options = options, conns = {}, tries = 0,
    is_orphan = parenthood.watch(options.parent) }, Relaying)
  stop_when_told(self)
  local done, failure = xpcall(run_on, errors.explained, self)
  sys.on_signal("INT", "default")
  sys.on_signal("TERM", "default")
  options.pause()
  if not done then
    close(self)
    error(failure, 0)
  end
  return self.stopping == true
end

return M
