--- Undeclared globals fail: a misspelt name in a recipe is an error where it
--- stands, not a nil that surfaces three functions later.
local errors = require "ligase.base.errors"
local text = require "ligase.base.text"

local M = {}

-- Which names were declared, per environment.
local declared_in = setmetatable({}, { __mode = "k" })

local function declared_names(env)
  declared_in[env] = declared_in[env] or {}
  return declared_in[env]
end

--- Libraries installed beside us probe for globals of other Lua versions; what they
--- do is their affair. `level` is counted as in debug.getinfo by our caller.
local function is_foreign(level)
  local info = debug.getinfo(level + 1, "S")
  return not info or info.what == "C" or info.source:find("/share/lua/%d") ~= nil
end

local function refuse(env, name, what, advice)
  local known = {}
  for key in next, env do
    known[#known + 1] = type(key) == "string" and key or nil
  end
  for key in pairs(declared_names(env)) do
    known[#known + 1] = key
  end
  table.sort(known)
  local nearest = text.nearest(tostring(name), known)
  errors.raise({
    kind = "usage", code = "global", name = tostring(name),
    message = ("%s undeclared global '%s'"):format(what, tostring(name)),
    hint = nearest and ("Did you mean '%s'? %s"):format(nearest, advice) or advice,
  }, 3)
end

--- Makes a name known among the globals, with its value; the value may be nil.
---@param name string
---@param value any
function M.declare(name, value)
  declared_names(_G)[name] = true
  rawset(_G, name, value)
end

--- From here on, reading or assigning a global that is neither there nor declared
--- raises "usage" with the line at fault. What the environment held before goes on
--- to work, and so does a metatable's __index that it had.
---@param env? table the globals without it
function M.enable(env)
  env = env or _G
  local meta = getmetatable(env) or {}
  if meta.__ligase_strict then
    return
  end
  local inherited, declared = meta.__index, declared_names(env)
  meta.__ligase_strict = true
  meta.__index = function(t, name)
    local value
    if type(inherited) == "function" then
      value = inherited(t, name)
    elseif inherited ~= nil then
      value = inherited[name]
    end
    if value == nil and not declared[name] and not is_foreign(2) then
      refuse(env, name, "reading the", "Write 'local' where it is first assigned")
    end
    return value
  end
  meta.__newindex = function(t, name, value)
    if not declared[name] and not is_foreign(2) then
      refuse(env, name, "assigning to the", "Write 'local' before it")
    end
    rawset(t, name, value)
  end
  setmetatable(env, meta)
end

return M
