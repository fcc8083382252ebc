--- A server that answers as Notion does, for tests and rehearsals: it keeps pages, databases
--- and blocks, refuses what Notion refuses in its words, counts and limits requests, and has
--- faults when asked to. docs/standins.md tells what it can do.
---
---   ligase tests/standins/notion.lua [--port N] [--clock FACTOR] [--token T]... [--seed N]
---     [--budget N] [--grace-s S] [--faults SPEC] [--slow-s S] [--retry-after-s S] [--state FILE.json]
---     [--parent PID]
---
--- prints one line with its address when it is ready. In a process of one's own:
---
---   local notion = require "tests.standins.notion"
---   local standin = notion.new { clock = 60 }
---   local server <close> = standin:listen()      -- or standin:handle(request)
local host = require "host"

if not package.searchpath("tests.standins.notion.server", package.path) then
  package.path = host.home .. "/?.lua;" .. package.path
end

local errors = require "ligase.base.errors"
local server = require "tests.standins.notion.server"
local serve = require "serve"
local state = require "tests.standins.notion.state"
local sys = require "sys"

local M = {}

--- Between two looks for the process that started it.
local LOOK_S = 1

local BODY_BYTES = 8 << 20 -- beyond Notion's limit, so that the refusal is Notion's

--- A stand-in in this process.
---@param options? table seed, clock, tokens, budget, grace_s, faults
---@return table standin with handle(request), set_faults(spec), figures(), reset()
function M.new(options)
  return server.new(options)
end

--- Lets a stand-in listen; the caller gives the server its time with step() or run().
---@param standin table
---@param port? integer any free one without it
---@return table server
function M.listen(standin, port)
  return serve.listen { port = port or 0, limits = { body_bytes = BODY_BYTES },
    handler = function(request) return standin:handle(request) end }
end

-- ---- as a program ----------------------------------------------------------

local NUMBERS = { ["--port"] = "port", ["--clock"] = "clock", ["--seed"] = "seed", ["--budget"] = "budget",
  ["--grace-s"] = "grace_s", ["--slow-s"] = "slow_s", ["--retry-after-s"] = "retry_after_s", ["--parent"] = "parent" }
local TEXTS = { ["--faults"] = "faults", ["--state"] = "state" }

local function parse(words)
  local options = {}
  local i = 1
  while i <= #words do
    local name, value = words[i], words[i + 1]
    if name == "--token" and value then
      options.tokens = options.tokens or {}
      table.insert(options.tokens, value)
    elseif NUMBERS[name] and tonumber(value) then
      options[NUMBERS[name]] = tonumber(value)
    elseif TEXTS[name] and value then
      options[TEXTS[name]] = value
    else
      errors.raise { kind = "usage", code = "usage", message = ("the stand-in does not take '%s'"):format(name),
        hint = "Its flags, each with a value: --port, --clock, --token, --seed, --budget, --grace-s, --faults, "
          .. "--slow-s, --retry-after-s, --state, --parent" }
    end
    i = i + 2
  end
  return options
end

--- Serves until it is interrupted, or the process that started it is gone.
local function serve_on(listener, parent)
  if not parent then
    return listener:run()
  end
  while sys.parent() == parent do
    listener:step(LOOK_S)
  end
end

local function main(words)
  local given = parse(words)
  -- Ids that come again in the next run would pass for those of the last one.
  local seed = given.seed or (sys.hash64(sys.random_bytes(16)) & 0x7fffffff)
  local faults = { spec = given.faults, slow_s = given.slow_s, retry_after_s = given.retry_after_s }
  local standin = M.new { seed = seed, clock = given.clock, tokens = given.tokens, budget = given.budget,
    grace_s = given.grace_s, faults = faults }
  standin.state_path = given.state
  if given.state and sys.stat(given.state) then
    standin:use_world(state.load(given.state, { clock = given.clock }))
  end
  local listener <close> = M.listen(standin, given.port)
  io.stdout:write(("notion stand-in: http://127.0.0.1:%d root page %s seed %d clock %g\n"):format(listener.port,
    standin.world.root.id, seed, standin.world.clock))
  io.stdout:flush()
  local done, failure = pcall(serve_on, listener, given.parent)
  if given.state then
    state.save(standin.world, given.state)
  end
  if not done and not errors.is(failure, "interrupted") then
    error(failure, 0)
  end
end

if ... ~= "tests.standins.notion" then
  main(arg)
end

return M
