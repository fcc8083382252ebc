--- The journal in lines for people: with short ids, and runs of one batch that follow one
--- another and ended alike as one line.
local pg = require "pg"
local short_ids = require "ligase.store.short_ids"
local text = require "ligase.base.text"

local M = {}

local PAGE = [[
SELECT id, batch_id, started_at::text AS at, to_char(started_at, 'YYYY-MM-DD HH24:MI:SS') AS started,
  extract(epoch FROM started_at)::float8 AS began_s, extract(epoch FROM finished_at)::float8 AS ended_s,
  command, recipe, outcome, arguments ->> 'source' AS source, arguments ->> 'run' AS of_run,
  arguments ->> 'name' AS name, counts ->> 'rows' AS rows, counts ->> 'features_new' AS new_features,
  error ->> 'message' AS error
FROM runs WHERE arguments -> 'piece_of' IS NULL AND (started_at, id) < ($1::timestamptz, $2::uuid)
  AND ($4::uuid IS NULL OR batch_id = $4)
ORDER BY started_at DESC, id DESC LIMIT $3]]

local BEHIND_ALL = { at = "infinity", id = "ffffffff-ffff-ffff-ffff-ffffffffffff" }

--- A batch may have very many runs: pages grow, up to that.
local PAGE_MOST = 20000

--- All runs, or those of a batch, the latest first.
local function each_run(conn, at_once, batch_id)
  local page, at, last = {}, 0, BEHIND_ALL
  return function()
    if at == #page then
      page, at = conn:query(PAGE, last.at, last.id, at_once, batch_id), 0
      last, at_once = page[#page], math.min(at_once * 4, PAGE_MOST)
    end
    at = at + 1
    return page[at]
  end
end

---@class ligase.run_line
---@field run string a short id: of the latest of them
---@field count integer how many runs the line stands for
---@field batch string|nil its short id, when they are several
---@field started string of the earliest
---@field seconds number|nil from the earliest's beginning to the last one's end; nil while it runs
---@field command string
---@field recipe string|nil
---@field outcome string
---@field name string|nil of what was made
---@field source string
---@field rows integer|nil
---@field new_features integer|nil
---@field error string|nil

local function is_alike(a, b)
  return a.batch_id ~= pg.null and a.batch_id == b.batch_id and a.command == b.command and a.outcome == b.outcome
    and a.error == b.error
end

local function sum(a, b)
  return tonumber(b) and (a or 0) + tonumber(b) or a
end

--- Runs that make one line, from the latest of them on.
local function add(group, run)
  group.count = group.count + 1
  group.earliest = run
  group.ended_s = run.ended_s ~= pg.null and math.max(group.ended_s or run.ended_s, run.ended_s) or group.ended_s
  group.rows, group.new_features = sum(group.rows, run.rows), sum(group.new_features, run.new_features)
end

local function groups_of(conn, limit, batch_id)
  local groups = {}
  for run in each_run(conn, limit + 1, batch_id) do
    local group = groups[#groups]
    if not group or batch_id or not is_alike(group.latest, run) then
      if #groups == limit then
        break
      end
      group = { latest = run, count = 0 }
      groups[#groups + 1] = group
    end
    add(group, run)
  end
  return groups
end

local function given(value)
  return value ~= pg.null and value or nil
end

local function shortened(conn, groups)
  local ids, batches = {}, {}
  for _, group in ipairs(groups) do
    ids[#ids + 1] = group.latest.id
    ids[#ids + 1] = given(group.latest.of_run)
    batches[#batches + 1] = given(group.latest.batch_id)
  end
  return short_ids.of_runs(conn, ids), short_ids.of_batches(conn, batches)
end

--- The latest runs, in so many lines. Entries that only hold further changes of a run are left
--- out.
---@param conn table
---@param limit integer
---@param batch_id string|nil only those of that batch, one by one
---@return ligase.run_line[]
function M.latest(conn, limit, batch_id)
  local groups = groups_of(conn, limit, batch_id)
  local short_run, short_batch = shortened(conn, groups)
  local lines = {}
  for i, group in ipairs(groups) do
    local run, is_one = group.latest, group.count == 1
    local batch = not is_one and short_batch[run.batch_id] or nil
    lines[i] = { run = short_run[run.id], count = group.count, batch = batch, started = group.earliest.started,
      seconds = group.ended_s and group.ended_s - group.earliest.began_s, command = run.command,
      recipe = given(run.recipe), outcome = run.outcome, name = is_one and given(run.name) or nil,
      source = batch and ("%s of batch %s"):format(text.count(group.count, "run"), batch) or given(run.source)
        or given(run.of_run) and "run " .. short_run[run.of_run] or "",
      rows = group.rows, new_features = group.new_features, error = given(run.error) }
  end
  return lines
end

return M
