--- Prints how fast ligase is on this machine, beside other ways of doing the same:
---
---   build/ligase tests/bench/bench.lua [--only PART,...] [--rounds 5]
---
--- Everything it makes lies in one temporary folder and is gone at the end.
local errors = require "ligase.base.errors"
local host = require "host"
local sys = require "sys"

package.path = host.home .. "/?.lua;" .. package.path
local server = require "tests.bench.server"

local PARTS = { "wide", "small", "reading", "memory", "batch", "scores", "links", "features", "discovery",
  "outbox", "repl" }
local MODULES = { wide = "wide_file", small = "small_files", reading = "reading", memory = "memory",
  batch = "batch", scores = "scores", links = "linking", features = "looking_up", discovery = "discovering",
  outbox = "outbox", repl = "repl" }

local function misuse()
  errors.raise { kind = "usage", code = "usage", message = "unknown argument of the benchmarks",
    hint = "They take --only with a list of " .. table.concat(PARTS, ",") .. " and --rounds N" }
end

--- A number stands for a part too: 1 is "wide".
local function parse(words)
  local options = { rounds = 5, parts = PARTS }
  for i = 1, #words, 2 do
    if words[i] == "--rounds" then
      options.rounds = math.tointeger(tonumber(words[i + 1])) or misuse()
    elseif words[i] == "--only" then
      options.parts = {}
      for word in (words[i + 1] or misuse()):gmatch("[^,]+") do
        local part = PARTS[tonumber(word)] or word
        options.parts[#options.parts + 1] = MODULES[part] and part or misuse()
      end
    else
      misuse()
    end
  end
  return options
end

local function run(options, folder)
  server.start(folder)
  print(server.machine())
  print(("medians of %d rounds, contestants taking turns"):format(options.rounds))
  local context = { folder = folder, home = host.home, rounds = options.rounds,
    pandas = server.has_pandas() }
  for _, part in ipairs(options.parts) do
    require("tests.bench." .. MODULES[part]).run(context)
  end
end

local function main(words)
  local options = parse(words)
  local folder = sys.temp_dir("ligase-bench-")
  sys.chmod(folder, "755") -- as root, Postgres runs as another user
  local done, failure = xpcall(run, function(problem)
    return errors.is(problem) and problem or debug.traceback(problem)
  end, options, folder)
  server.stop()
  sys.remove_tree(folder)
  if not done then
    error(failure, 0)
  end
end

main(arg)
