--- Part 10: what the outbox costs an ingest: many small files, one transaction each, with
--- Notion sync off, with the dual write on, and with the dual write on while Notion is down.
local generate = require "tests.bench.generate"
local host = require "host"
local measure = require "tests.bench.measure"
local server = require "tests.bench.server"
local sys = require "sys"

local M = {}

local ROWS, SAMPLES = 500, 6
local FILES = 300

--- Nothing listens there, and an ingest has no reason to find out.
local NOTION = { ENABLE_DUAL_WRITE = "true", NOTION_API_URL = "http://127.0.0.1:1", NOTION_API_KEY = "none",
  NOTION_EXP_DATA_DB_ID = ("0"):rep(32), NOTION_TIMEOUT_S = "1" }

--- As the relay leaves the outbox when it could not reach Notion.
local DOWN = [[
UPDATE outbox SET last_error = 'cannot reach Notion', available_at = now() + interval '5 minutes'
WHERE id = (SELECT min(id) FROM outbox WHERE state = 'pending')]]

--- The lines on standard error.
local function ingest(conninfo, paths, env)
  local options = { env = { POSTGRES_URL = conninfo }, timeout_s = 900 }
  for name, value in pairs(env or {}) do
    options.env[name] = value
  end
  local words = { host.executable, "ingest", "--omics", "lipidomics" }
  local result = sys.run(table.move(paths, 1, #paths, #words + 1, words), options)
  if result.code ~= 0 then
    error("ligase ingest failed:\n" .. result.stderr)
  end
  return select(2, result.stderr:gsub("\n", ""))
end

--- A contestant whose files are made before each round and removed after it.
local function contestant(context, conninfo, name, seed, env, before)
  local folder, paths, made = context.folder .. "/" .. name, nil, { name = name }
  function made.prepare(round)
    paths = generate.small_files(folder, { files = FILES, rows = ROWS, samples = SAMPLES, seed = 100 * seed + round,
      prefix = name .. round })
    before()
    server.settle()
  end
  function made.run()
    made.lines = ingest(conninfo, paths, env)
  end
  function made.finish()
    sys.remove_tree(folder)
  end
  return made
end

--- Runs it and prints its table.
---@param context table {folder=, rounds=}
function M.run(context)
  local conninfo, conn = server.database()
  local warm_up = context.folder .. "/warm_up"
  ingest(conninfo, generate.small_files(warm_up, { files = 20, rows = ROWS, samples = SAMPLES, seed = 1,
    prefix = "warm_up" }))
  sys.remove_tree(warm_up)
  local function forget()
    conn:query "DELETE FROM outbox"
  end
  local off = contestant(context, conninfo, "off", 2, nil, forget)
  local on = contestant(context, conninfo, "on", 3, NOTION, forget)
  local down = contestant(context, conninfo, "down", 4, NOTION, function() conn:query(DOWN) end)
  local medians = measure.rounds(context.rounds, { off, on, down })
  local told = conn:query("SELECT count(*) AS n FROM outbox")[1].n
  conn:close()
  server.drop(conninfo)
  local rows = { { "", "datasets/min", "to off", "lines on stderr" } }
  local labels = { off = "Notion sync off", on = "dual write on", down = "dual write on, Notion down" }
  for _, one in ipairs { off, on, down } do
    local seconds = medians[one.name]
    rows[#rows + 1] = { labels[one.name], ("%.0f"):format(FILES / seconds * 60), measure.ratio(medians.off, seconds),
      tostring(one.lines) }
  end
  local title = "10. %d files of %d rows, with and without the outbox (%d changes in it at the end)"
  measure.print_table(title:format(FILES, ROWS, told), rows)
end

return M
