--- Helpers that end with the process that started them.
local sys = require "sys"

local M = {}

--- What tells whether a process is gone. Of the one that started this one it is known at once; it
--- may lie there dead for long before its own parent takes notice, and can be signalled till then.
---@param pid integer|nil
---@return fun(): boolean is_gone always false without a process
function M.watch(pid)
  if not pid then
    return function()
      return false
    end
  elseif sys.parent() == pid then
    return function()
      return sys.parent() ~= pid
    end
  end
  return function()
    return not sys.kill(pid, 0)
  end
end

return M
