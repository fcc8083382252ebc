--- Finds what is exported without documentation, and documentation that no longer
--- fits: build/ligase tests/docs_check.lua prints one line for each and fails.
---
--- C: a function in a luaL_Reg table has a comment right above its definition; a
--- prototype in a header stands in a paragraph with a comment, unless it is one of
--- those functions, or a module's opener. Lua: an exported
--- function (M.name, or a method of a capitalised table) has a `---` text and one
--- `---@param` per parameter, no fewer and no more. Every file says what it is for.
local host = require "host"
local sys = require "sys"

local complaints = {}

local function complain(path, line, format, ...)
  local where = path:sub(#host.home + 2)
  complaints[#complaints + 1] = ("%s:%d: %s"):format(where, line, format:format(...))
end

local function lines_of(path)
  local lines = {}
  for line in io.lines(path) do
    lines[#lines + 1] = line
  end
  return lines
end

local function files_below(folder, extension, found)
  found = found or {}
  for _, name in ipairs(sys.stat(folder) and sys.list(folder) or {}) do
    local path = folder .. "/" .. name
    if sys.stat(path).type == "directory" then
      files_below(path, extension, found)
    elseif name:find("%." .. extension .. "$") then
      found[#found + 1] = path
    end
  end
  return found
end

-- ---- C ---------------------------------------------------------------------

local function is_comment_end(line)
  return line and (line:find("%*/%s*$") or line:find("^%s*//")) and true or false
end

--- Where each function is defined: name -> {path, line, documented}.
local function c_definitions(paths)
  local definitions = {}
  for _, path in ipairs(paths) do
    local lines = lines_of(path)
    for i, line in ipairs(lines) do
      local name = line:match("^[%a_][%w_ %*]-([%a_][%w_]*)%(lua_State %*L%) {")
      if name then
        definitions[name] = { path = path, line = i, documented = is_comment_end(lines[i - 1]) }
      end
    end
  end
  return definitions
end

local function check_registrations(path, definitions)
  local text = table.concat(lines_of(path), "\n")
  for exported, name in text:gmatch('{%s*"([^"]*)",%s*([%a_][%w_]*)%s*}') do
    local definition = definitions[name]
    local own = not exported:find("^__") and not name:find("^luaopen_")
    if definition and own and not definition.documented then
      complain(definition.path, definition.line, "%s (%s in Lua) has no comment above it", name,
        exported)
    end
  end
end

local function is_prototype(line)
  return line:find("^[%a_][%w_ %*]*[ %*][%a_][%w_]*%(") and not line:find("^typedef")
    and not line:find("{%s*$") and not line:find("^int [%w_]+%(lua_State %*L%);")
    and not line:find("_open%(lua_State %*L%);")
end

local function check_header(path)
  local documented = false
  for i, line in ipairs(lines_of(path)) do
    if line == "" then
      documented = false
    elseif line:find("/*", 1, true) or line:find("//", 1, true) then
      documented = true
    elseif not documented and is_prototype(line) then
      complain(path, i, "a prototype stands in a paragraph without a comment")
      documented = true
    end
  end
end

-- ---- Lua -------------------------------------------------------------------

local function exported_function(line)
  local owner, name, parameters = line:match("^function ([%w_]+)[.:]([%w_]+)%(([^)]*)%)")
  if not owner then
    owner, name, parameters = line:match("^([%w_]+)%.([%w_]+) = function%(([^)]*)%)")
  end
  if owner and owner:find("^%u") and not name:find("^_") then
    return owner .. "." .. name, parameters
  end
end

--- The `---` lines right above line i: whether they hold prose, and their params.
local function documentation(lines, i)
  local prose, params = false, {}
  for j = i - 1, 1, -1 do
    local text = lines[j]:match("^%-%-%-(.*)")
    if not text then
      break
    end
    local param = text:match("^%s*@param%s+([%w_.]+)")
    if param then
      params[param] = j
    elseif text:find("%w") and not text:find("^%s*@") then
      prose = true
    end
  end
  return prose, params
end

local function check_lua(path)
  local lines = lines_of(path)
  local first = (lines[1] or ""):find("^#!") and 2 or 1
  if not (lines[first] or ""):find("^%-%-") then
    complain(path, first, "the file does not say what it is for")
  end
  for i, line in ipairs(lines) do
    local name, parameters = exported_function(line)
    if name then
      local prose, params = documentation(lines, i)
      if not prose then
        complain(path, i, "%s has no documentation", name)
      end
      for parameter in parameters:gmatch("[%w_.]+") do
        if not params[parameter] and not parameter:find("^_") and parameter ~= "self" then
          complain(path, i, "%s: no ---@param for %s", name, parameter)
        end
        params[parameter] = nil
      end
      for stale, at in pairs(params) do
        complain(path, at, "%s has no parameter %s", name, stale)
      end
    end
  end
end

-- ---- all of it -------------------------------------------------------------

local sources = files_below(host.home .. "/host", "c")
local definitions = c_definitions(sources)
for _, path in ipairs(sources) do
  if not lines_of(path)[1]:find("^/%*") then
    complain(path, 1, "the file does not say what it is for")
  end
  check_registrations(path, definitions)
end
for _, path in ipairs(files_below(host.home .. "/host", "h")) do
  check_header(path)
end
for _, folder in ipairs { "lua", "recipes", "migrations" } do
  for _, path in ipairs(files_below(host.home .. "/" .. folder, "lua")) do
    check_lua(path)
  end
end

table.sort(complaints)
for _, complaint in ipairs(complaints) do
  print(complaint)
end
if #complaints > 0 then
  print(("%d places lack documentation that fits"):format(#complaints))
  os.exit(1, true)
end
