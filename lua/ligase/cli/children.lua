--- Processes that share one piece of work: started, told to stop, watched over, and replaced
--- when they are killed.
local errors = require "ligase.base.errors"
local sys = require "sys"

local M = {}

--- Between two looks at them.
local LOOK_S = 0.1
--- Children that may be killed, one after the other, without anything finished in between:
--- whatever kills them will kill the next one too.
local CRASHES_MOST = 5
--- The first child after one that was killed comes at once, later ones after a while.
local PAUSE_S = 0.05
--- How long they may take to roll back when they are to end at once.
local PATIENCE_S = 1

---@class ligase.children
---@field options ligase.children_options
---@field running {process: table, told: integer}[] told: how often it was asked to stop
---@field asked integer how often a signal has asked us to stop
---@field crashes integer children that were killed since something was finished
---@field finished integer how much was done when the last one was killed
local Children = {}
Children.__index = Children

---@class ligase.children_options
---@field start fun(crashes: integer): table starts one; it ends softly by a first TERM, at once by a second
---@field finished fun(): integer how much is done so far
---@field told fun(times: integer) called when a signal has asked to stop, for the first time or once more
---@field look fun() called at each look at them

--- The handler only counts: one that came while a child is being started would not reach it.
local function stop_when_told(self)
  local function stop()
    self.asked = self.asked + 1
    self.options.told(self.asked)
  end
  sys.on_signal("INT", stop)
  sys.on_signal("TERM", stop)
end

local function start(self)
  if self.asked == 0 then
    self.running[#self.running + 1] = { process = self.options.start(self.crashes), told = 0 }
  end
end

--- Passes on what signals asked for. Two at once would be one to a process.
local function tell(self)
  for _, child in ipairs(self.running) do
    if child.told < self.asked then
      child.told = child.told + 1
      child.process:kill "TERM"
    end
  end
  if self.asked > 1 then
    self.deadline = self.deadline or sys.monotonic() + PATIENCE_S
  end
  if self.deadline and sys.monotonic() > self.deadline then
    for _, child in ipairs(self.running) do
      child.process:kill "KILL"
    end
  end
end

local function replace(self)
  local finished = self.options.finished()
  self.crashes = finished > self.finished and 1 or self.crashes + 1
  self.finished = finished
  if self.crashes <= CRASHES_MOST then
    sys.sleep(PAUSE_S * (self.crashes - 1))
    start(self)
  end
end

local function note_end(self, ended)
  if ended.signal then
    self.killed = ended.signal
    if self.asked == 0 then
      replace(self)
    end
  elseif ended.code ~= 0 and not (self.asked > 0 and ended.code == 130) then
    self.is_broken = true -- it has said why
  end
end

local function watch(self)
  while #self.running > 0 do
    tell(self)
    for i = #self.running, 1, -1 do
      local ended = self.running[i].process:wait(i == 1 and LOOK_S or 0)
      if ended then
        table.remove(self.running, i).process:close()
        note_end(self, ended)
      end
    end
    self.options.look()
  end
end

Children.__close = function(self)
  sys.on_signal("INT", "default")
  sys.on_signal("TERM", "default")
  for _, child in ipairs(self.running) do
    child.process:close()
  end
end

--- Starts so many processes and waits until all have ended. One that is killed is replaced;
--- one that fails has said why and is not. A first INT or TERM lets each end softly, a second
--- one makes them end at once.
---@param number integer
---@param options ligase.children_options
---@return {stopped: boolean, broken: boolean, killed: string|nil} broken: one has failed; killed: the signal, when
--- they were killed again and again
function M.run(number, options)
  local self <close> = setmetatable({ options = options, running = {}, asked = 0, crashes = 0, finished = 0 },
    Children)
  stop_when_told(self)
  for _ = 1, number do
    start(self)
  end
  local done, failure = xpcall(watch, errors.explained, self)
  if not done then
    error(failure, 0)
  end
  return { stopped = self.asked > 0, broken = self.is_broken == true,
    killed = self.crashes > CRASHES_MOST and self.killed or nil }
end

return M
