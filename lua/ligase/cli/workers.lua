--- The worker processes of one batch, and how far it is.
local children = require "ligase.cli.children"
local errors = require "ligase.base.errors"
local host = require "host"
local jobs = require "ligase.store.jobs"
local output = require "ligase.cli.output"
local progress = require "ligase.cli.progress"
local sys = require "sys"

local M = {}

--- Between two looks at the database for the progress line.
local DRAW_S = 0.25
--- The database is asked no more than this share of the time.
local ASKED_MOST = 0.02

---@class ligase.workers
local Workers = {}
Workers.__index = Workers

--- After a crash the new one begins behind the files that may have done it.
local function start(self, crashes)
  local argv = { host.executable, "worker", "--batch", self.batch.id, "--parent", tostring(sys.pid()) }
  if crashes > 0 then
    table.move({ "--skip", tostring(crashes) }, 1, 2, #argv + 1, argv)
  end
  argv[#argv + 1] = self.bar and "--quiet" or nil
  output.push()
  return sys.spawn(argv, { env = { LIGASE_WORKSPACE = self.workspace } })
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

local function say_stopping(self, times)
  if self.bar then
    self.bar:close()
  end
  if times == 1 then
    io.stderr:write("ligase: stopping after the files in flight; once more stops at once\n")
  end
end

local function draw(self)
  if self.bar and sys.monotonic() >= self.next_count then
    local counts = count(self)
    self.bar:at(counts.total, counts)
  end
end

Workers.__close = function(self)
  if self.bar then
    self.bar:close()
  end
end

--- Has a batch done by worker processes and waits for them. Workers write a line for each
--- file, or on a terminal there is one progress line instead.
---@param conn table to ask how far they are
---@param workspace string
---@param batch {id: string, began: string}
---@param number integer of workers
---@return {stopped: boolean, broken: boolean, killed: string|nil, seconds: number} as children.run, and the time
function M.run(conn, workspace, batch, number)
  local counts = jobs.counts(conn, batch)
  counts.finished = 0
  local is_terminal = sys.is_terminal(1) and sys.is_terminal(2)
  local self <close> = setmetatable({ conn = conn, workspace = workspace, batch = batch, dead_before = counts.dead,
    counts = counts, next_count = 0, bar = is_terminal and progress.files() or nil }, Workers)
  local started = sys.monotonic()
  local ended = children.run(math.min(number, counts.left), {
    start = function(crashes) return start(self, crashes) end,
    finished = function() return count(self).finished end,
    told = function(times) say_stopping(self, times) end,
    look = function() draw(self) end })
  ended.seconds = sys.monotonic() - started
  return ended
end

return M
