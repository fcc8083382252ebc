--- A line on the terminal that says how far long work is; nothing in a pipe.
local sys = require "sys"
local text = require "ligase.base.text"

local M = {}

local EVERY_S = 0.1
local AFTER_S = 0.5 -- short work needs no line

---@class ligase.progress
local Progress = {}
Progress.__index = Progress

--- A progress line for work of `total` bytes (nil: unknown).
---@param label string
---@param total integer|nil
---@return ligase.progress
function M.new(label, total)
  local now = sys.monotonic()
  return setmetatable({ label = text.printable(label), total = total, started = now, shown_at = now + AFTER_S - EVERY_S,
    on = sys.is_terminal(2) }, Progress)
end

--- So many bytes are done.
---@param done integer
function Progress:at(done)
  if not self.on then
    return
  end
  local now = sys.monotonic()
  if now - self.shown_at < EVERY_S then
    return
  end
  self.shown_at = now
  self.drawn = true
  local rate = done / (now - self.started)
  local share = self.total and self.total > 0 and ("%3d %%  "):format(math.min(100, done * 100 // self.total)) or ""
  local line = ("%s  %s%s  %s/s"):format(self.label, share, text.bytes(done), text.bytes(math.floor(rate)))
  io.stderr:write("\r\27[K", text.truncate(line, sys.terminal_width(2) - 1))
end

--- Takes the line away.
function Progress:close()
  if self.drawn then
    io.stderr:write("\r\27[K")
    self.drawn = false
  end
end

Progress.__close = Progress.close

-- ---- files -----------------------------------------------------------------

local BAR_WIDTH = 24

local function time_left(left, per_s)
  return left > 0 and per_s > 0 and (", %s left"):format(text.duration(math.max(1, left / per_s))) or ""
end

--- One line about a batch: a bar, how many files are done, how many failed, how fast, and
--- how long it will take.
---@param total integer
---@param counts {left: integer, dead: integer, finished: integer} finished: by this command
---@param seconds number since it began
---@return string
function M.files_line(total, counts, seconds)
  local done = total - counts.left
  local filled = total > 0 and done * BAR_WIDTH // total or 0
  local per_s = seconds > 0 and counts.finished / seconds or 0
  local set_aside = counts.dead > 0 and (", %s set aside"):format(text.number(counts.dead)) or ""
  return ("[%s%s] %s of %s files%s, %s/min%s"):format(("#"):rep(filled), ("."):rep(BAR_WIDTH - filled),
    text.number(done), text.number(total), set_aside, text.number(math.floor(per_s * 60)),
    time_left(counts.left, per_s))
end

---@class ligase.line_progress
local Line = {}
Line.__index = Line

--- A line for a terminal that says whatever it is given.
---@return ligase.line_progress
function M.line()
  return setmetatable({}, Line)
end

--- Draws the line. What is written after it begins where the line does.
---@param line string
function Line:draw(line)
  io.stderr:write("\r\27[K", text.truncate(line, sys.terminal_width(2) - 1), "\r")
  self.drawn = true
end

--- Takes the line away.
function Line:close()
  if self.drawn then
    io.stderr:write("\r\27[K")
    self.drawn = false
  end
end

Line.__close = Line.close

---@class ligase.files_progress: ligase.line_progress
local Files = setmetatable({}, Line)
Files.__index, Files.__close = Files, Line.close

--- A progress line for a batch of files, for a terminal.
---@return ligase.files_progress
function M.files()
  return setmetatable({ started = sys.monotonic() }, Files)
end

--- Draws the line. What is written after it begins where the line does.
---@param total integer
---@param counts {left: integer, dead: integer, finished: integer}
function Files:at(total, counts)
  self:draw(M.files_line(total, counts, sys.monotonic() - self.started))
end

return M
