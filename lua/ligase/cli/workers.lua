--- Worker processes of one batch: starting them, watching over them, stopping them.
local errors = require "ligase.base.errors"
local host = require "host"
local jobs = require "ligase.store.jobs"
local output = require "ligase.cli.output"
local progress = require "ligase.cli.progress"
local sys = require "sys"

local M = {}

--- Between two looks at the workers, and at the database for the progress line.
local LOOK_S, DRAW_S = 0.1, 0.25
--- The database is asked no more than this share of the time.
local ASKED_MOST = 0.02
--- Workers that may be killed, one after the other, without any file done in between:
--- whatever kills them will kill the next one too.
local CRASHES_MOST = 5
--- How long workers may take to roll back when they are to end at once.
local PATIENCE_S = 1

---@class ligase.workers
---@field stopping integer how many signals asked to stop
local Workers = {}
Workers.__index = Workers

local function start(self)
  local argv = { host.executable, "worker", "--batch", self.batch.id, "--parent", tostring(sys.pid()) }
  if self.crashes > 0 then
    table.move({ "--skip", tostring(self.crashes) }, 1, 2, #argv + 1, argv)
  end
  argv[#argv + 1] = self.bar and "--quiet" or nil
  output.push()
  self.running[#self.running + 1] = sys.spawn(argv, { env = { LIGASE_WORKSPACE = self.workspace } })
end

local function each(self, method, ...)
  for _, process in ipairs(self.running) do
    process[method](process, ...)
  end
end

--- The first signal lets the files in flight end, the second ends the workers at once.
local function stop_when_told(self)
  local function stop()
    self.stopping = self.stopping + 1
    each(self, "kill", "TERM")
    if self.bar then
      self.bar:close()
    end
    if self.stopping == 1 then
      io.stderr:write("ligase: stopping after the files in flight; once more stops at once\n")
    else
      self.deadline = sys.monotonic() + PATIENCE_S
    end
  end
  sys.on_signal("INT", stop)
  sys.on_signal("TERM", stop)
end

--- How far the batch is; as it was when the server cannot be asked: the workers will say
--- what is wrong with it.
local function count(self)
  local began = sys.monotonic()
  local asked, counts = errors.try(jobs.counts, self.conn, self.batch)
  if asked then
    counts.finished = counts.ingested + counts.unchanged + counts.dead - self.dead_before
    self.counts = counts
  end
  self.next_count = sys.monotonic() + math.max(DRAW_S, (sys.monotonic() - began) / ASKED_MOST)
  return self.counts
end

--- A worker that was killed is replaced while the batch goes on. The new one begins behind
--- the files that may have done it.
local function replace(self)
  local finished = count(self).finished
  self.crashes = finished > self.finished and 1 or self.crashes + 1
  self.finished = finished
  if self.crashes <= CRASHES_MOST then
    sys.sleep(0.05 * self.crashes)
    start(self)
  end
end

--- Takes the workers that have ended off the list.
local function look(self)
  for i = #self.running, 1, -1 do
    local ended = self.running[i]:wait(i == 1 and LOOK_S or 0)
    if ended then
      table.remove(self.running, i):close()
      if ended.signal then
        self.killed = ended.signal
        if self.stopping == 0 then
          replace(self)
        end
      elseif ended.code ~= 0 then
        self.broken = true -- it has said why
      end
    end
  end
end

local function draw(self)
  if self.bar and sys.monotonic() >= self.next_count then
    local counts = count(self)
    self.bar:at(counts.total, counts)
  end
end

local function watch(self)
  while #self.running > 0 do
    look(self)
    draw(self)
    if self.deadline and sys.monotonic() > self.deadline then
      each(self, "kill", "KILL")
    end
  end
end

Workers.__close = function(self)
  sys.on_signal("INT", "default")
  sys.on_signal("TERM", "default")
  each(self, "close")
  if self.bar then
    self.bar:close()
  end
end

--- Has a batch done by worker processes and waits for them. Workers write a line for each
--- file, or on a terminal there is one progress line instead. A worker that is killed is
--- replaced; one that fails has said why and is not.
---@param conn table to ask how far they are
---@param workspace string
---@param batch {id: string, began: string}
---@param number integer of workers
---@return {stopped: boolean, broken: boolean, killed: string|nil, seconds: number} killed: the signal, when workers
--- were killed again and again
function M.run(conn, workspace, batch, number)
  local counts = jobs.counts(conn, batch)
  counts.finished = 0
  local is_terminal = sys.is_terminal(1) and sys.is_terminal(2)
  local self <close> = setmetatable({ conn = conn, workspace = workspace, batch = batch, running = {}, stopping = 0,
    crashes = 0, finished = 0, dead_before = counts.dead, counts = counts, next_count = 0,
    bar = is_terminal and progress.files() or nil }, Workers)
  local started = sys.monotonic()
  stop_when_told(self)
  for _ = 1, math.min(number, counts.left) do
    start(self)
  end
  local done, failure = xpcall(watch, errors.explained, self)
  if not done then
    error(failure, 0)
  end
  return { stopped = self.stopping > 0, broken = self.broken == true, seconds = sys.monotonic() - started,
    killed = self.crashes > CRASHES_MOST and self.killed or nil }
end

return M
