--- The first Lua that runs: joins the primitives, sets up the seat belts, and
--- decides what the words on the command line are: a script, a piece of code or a
--- command. Everything a command means is in ligase.cli.
local M = {}

local STORED_JSON_BYTES = 256 << 20

-- ---- seat belts ------------------------------------------------------------

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

--- What a script prints must not get lost without a word; and a script that prints
--- without end has to end when nobody reads any more.
local function check_printing()
  local output = require "ligase.cli.output"
  function print(...) -- luacheck: globals print
    local words = table.pack(...)
    for i = 1, words.n do
      words[i] = tostring(words[i])
    end
    output.write(table.concat(words, "\t") .. "\n")
  end
  local exit = os.exit
  function os.exit(status, ...) -- luacheck: globals os.exit
    if status == nil or status == true or status == 0 then
      status = M.finish(0)
    end
    exit(status, ...)
  end
end

--- What a script and `-e` find without asking for it.
local function declare_globals()
  local strict = require "ligase.base.strict"
  for _, name in ipairs { "csv", "frame", "dictionary", "pg", "serve", "sys", "sqlite", "host" } do
    strict.declare(name, require(name))
  end
  local lazy = require "ligase.base.lazy"
  strict.declare("json", lazy "ligase.base.json")
  strict.declare("http", lazy "ligase.io.http")
  strict.enable()
end

-- ---- failures --------------------------------------------------------------

--- The traceback down to where the script or the command began.
local function trimmed(traceback)
  local lines = {}
  for line in traceback:gmatch("[^\n]+") do
    lines[#lines + 1] = line
  end
  local ours = { "ligase/boot.lua:", "[C]: in function 'xpcall'", "[C]: in ?", "(...tail calls...)" }
  local function is_ours(line)
    for _, mark in ipairs(ours) do
      if line:find(mark, 1, true) then
        return true
      end
    end
  end
  while #lines > 1 and is_ours(lines[#lines]) do
    lines[#lines] = nil
  end
  return table.concat(lines, "\n")
end

--- Errors that carry a kind speak for themselves; anything else is a mistake in the
--- script or in ligase and needs its traceback.
local function explain(failure)
  local errors = require "ligase.base.errors"
  local wrapped = errors.wrap(failure)
  if wrapped.kind == "internal" then
    wrapped.traceback = trimmed(wrapped.traceback or debug.traceback(nil, 2))
  end
  return wrapped
end

--- The status that fits a failure. A call that is misused by a line of Lua is a
--- mistake in that line, and not misuse of the command.
local function status_of(failure)
  if failure.kind == "usage" and rawget(failure, "where") then
    return 1
  end
  return require("ligase.base.errors").exit_status(failure)
end

local function report(failure)
  io.stdout:flush()
  io.stderr:write("ligase: ", require("ligase.cli.failing").shown(failure), "\n")
end

--- Writes out what is still held back; a command whose output is lost has failed.
---@param status integer
---@return integer status
function M.finish(status)
  local done, failure = pcall(require("ligase.cli.output").flush)
  if not done and status == 0 and not require("ligase.cli.output").is_closed_pipe(failure) then
    report(failure)
    return 1
  end
  return status
end

-- ---- scripts ---------------------------------------------------------------

local function run_chunk(chunk, name, words)
  local arguments = table.move(words, 2, #words, 1, { [0] = name })
  rawset(_G, "arg", arguments)
  local result = chunk(table.unpack(arguments))
  return result
end

local function run_code(words)
  local errors = require "ligase.base.errors"
  if not words[2] then
    errors.raise { kind = "usage", code = "usage", message = "-e needs a piece of Lua code",
      hint = [[Example: ligase -e 'print(sys.timestamp())']] }
  end
  local chunk, problem = load(words[2], "=(-e)")
  if not chunk then
    errors.raise { kind = "input", code = "syntax", message = problem }
  end
  run_chunk(chunk, "-e", table.move(words, 2, #words, 1, {}))
  return 0
end

local function load_script(path)
  local chunk, problem = loadfile(path)
  if not chunk then
    local hint = problem:find("^cannot ") and "Check the path; relative paths start at the current folder"
      or problem:find("binary chunk", 1, true) and "Compiled Lua is refused: run its source"
      or "Mend the script at the line named"
    require("ligase.base.errors").raise { kind = "input", code = "script", hint = hint,
      message = problem:find(path, 1, true) and problem or ("%s: %s"):format(path, problem) }
  end
  return chunk
end

--- A script that returns a recipe means: read these files by it.
local function run_script(words)
  local path = words[1]
  local result = run_chunk(load_script(path), path, words)
  local recipes = package.loaded["ligase.omics.recipes"]
  if recipes and recipes.is_recipe(result) then
    recipes.adopt(result, require("sys").real_path(path))
    return require("ligase.cli.main").run({ "run", table.unpack(words) }, result)
  end
  return 0
end

--- Commands close what they open; what a script leaves open is closed with the state.
local function closes_itself(words)
  return words[1] ~= "-e" and not (words[1] or ""):find("[./]")
end

local function main(words)
  local first = words[1]
  if first == "-e" then
    return run_code(words)
  elseif first and first:sub(1, 1) ~= "-" and (first:find("%.lua$") or first:find("/", 1, true)) then
    return run_script(words)
  end
  return require("ligase.cli.main").run(words)
end

local function prepare()
  refuse_bytecode()
  local workspace = require "ligase.base.workspace"
  package.path = workspace.find() .. "/lua/?.lua;" .. package.path
  local json = require "ligase.base.lazy" "ligase.base.json"
  -- What Postgres holds was checked when it came in. It writes a large float of a row as an
  -- integer of many digits.
  local stored = { max_bytes = STORED_JSON_BYTES, large_integers = true }
  require("pg").use_json(function(text)
    return json.decode(text, stored)
  end)
  check_printing()
  declare_globals()
end

--- Runs one command line and says with which status the process ends.
---@param words string[] the words after the program's name
---@return integer status 0 done, 1 failed, 2 misuse, 130 interrupted
---@return boolean|nil closed nothing is left that the end of the process would not free as well, and sooner
function M.main(words)
  local done, result = xpcall(function()
    prepare()
    local status = main(words)
    return status
  end, explain)
  if done then
    return M.finish(math.type(result) == "integer" and result or 0), closes_itself(words)
  elseif require("ligase.cli.output").is_closed_pipe(result) then
    return 0
  end
  report(result)
  return status_of(result)
end

return M
