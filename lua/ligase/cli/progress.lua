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

return M
