--- Helpers that end with the process that started them.
local sys = require "sys"

local M = {}

--- Whether a process is there and not dead already: one whose own parent takes no notice of its
--- end can be signalled as if it lived.
local function is_alive(pid)
  if not sys.kill(pid, 0) then
    return false
  end
  local is_read, stat = pcall(sys.read_file, ("/proc/%d/stat"):format(pid))
  return not (is_read and stat:find "^.*%) [ZX]")
end

--- What tells whether a process is gone. The one that started this one is known by that, also
--- when another process got its number since.
---@param pid integer|nil
---@return fun(): boolean is_gone always false without a process
function M.watch(pid)
  local is_own = pid ~= nil and sys.parent() == pid
  return function()
    return pid ~= nil and (is_own and sys.parent() ~= pid or not is_own and not is_alive(pid))
  end
end

return M
