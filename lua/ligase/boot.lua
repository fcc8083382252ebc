--- The first Lua that runs: joins the primitives, sets up the seat belts, and
--- decides what the words on the command line are: a script, a piece of code or a
--- command. Everything a command means is in ligase.cli.
local M = {}

--- Text only: bytecode can crash the interpreter, and nobody edits it.
local function refuse_bytecode()
  local plain_load, plain_loadfile = load, loadfile
  function load(chunk, name, _, ...) -- luacheck: globals load
    return plain_load(chunk, name, "t", ...)
  end
  function loadfile(path, _, ...) -- luacheck: globals loadfile
    return plain_loadfile(path, "t", ...)
  end
  function dofile(path) -- luacheck: globals dofile
    return assert(plain_loadfile(path, "t"))()
  end
  package.searchers[2] = function(name)
    local path, why = package.searchpath(name, package.path)
    if not path then
      return why
    end
    local chunk, problem = plain_loadfile(path, "t")
    if not chunk then
      error(("cannot load module '%s': %s"):format(name, problem), 0)
    end
    return chunk, path
  end
end

--- What a script and `-e` find without asking for it.
local function declare_globals()
  local strict = require "ligase.base.strict"
  for _, name in ipairs { "csv", "frame", "pg", "sys", "host" } do
    strict.declare(name, require(name))
  end
  strict.declare("json", require "ligase.base.json")
  strict.enable()
end

--- Errors that carry a kind speak for themselves; anything else is a mistake in
--- the script or in ligase and needs its traceback.
local function explain(failure)
  local errors = require "ligase.base.errors"
  if errors.is(failure) then
    return failure
  end
  return errors.wrap(debug.traceback(tostring(failure), 2))
end

local function run_chunk(chunk, arguments)
  rawset(_G, "arg", arguments)
  return chunk(table.unpack(arguments))
end

local function main(arguments)
  local errors = require "ligase.base.errors"
  local first = arguments[1]
  if first == "-e" then
    if not arguments[2] then
      errors.raise { kind = "usage", code = "usage", message = "-e needs a piece of Lua code",
        hint = [[Example: ligase -e 'print(sys.timestamp())']] }
    end
    local chunk, problem = load(arguments[2], "=(-e)")
    if not chunk then
      errors.raise { kind = "usage", code = "syntax", message = problem }
    end
    run_chunk(chunk, table.move(arguments, 3, #arguments, 1, { [0] = "-e" }))
    return 0
  end
  if first and first:sub(1, 1) ~= "-" and (first:find("%.lua$") or first:find("/", 1, true)) then
    local chunk, problem = loadfile(first)
    if not chunk then
      errors.raise { kind = "usage", code = "syntax", message = problem,
        hint = "Check the path, and the Lua syntax at the line named" }
    end
    run_chunk(chunk, table.move(arguments, 2, #arguments, 1, { [0] = first }))
    return 0
  end
  return require("ligase.cli.main").run(arguments)
end

--- Runs one command line and says with which status the process ends.
---@param arguments string[] the words after the program's name
---@return integer status 0 done, 1 failed, 2 misuse, 130 interrupted
function M.main(arguments)
  refuse_bytecode()
  local workspace = require "ligase.base.workspace"
  package.path = workspace.find() .. "/lua/?.lua;" .. package.path
  require("pg").use_json(require("ligase.base.json").decode)
  declare_globals()
  local done, status = xpcall(main, explain, arguments)
  if done then
    return math.type(status) == "integer" and status or 0
  end
  local errors = require "ligase.base.errors"
  io.stdout:flush()
  io.stderr:write("ligase: ", errors.describe(status), "\n")
  return errors.exit_status(status)
end

return M
