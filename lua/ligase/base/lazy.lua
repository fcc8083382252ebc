--- Modules that are loaded when they are first used.
---
---   local grammar = lazy "ligase.omics.names.lipid.parser"
---   grammar.read(text) -- loaded here
---
--- For what takes milliseconds to load and is not always needed: a command on a small
--- file takes not many more.

--- A stand-in for a module's table: its functions are found in the module.
---@param name string as for require
---@return table
return function(name)
  return setmetatable({}, {
    __module = name,
    __index = function(self, field)
      local module = require(name)
      setmetatable(self, { __module = name, __index = module })
      return module[field]
    end,
  })
end
