--- Runs by what a person types: an id, an unambiguous start of one, or `last`; and lists of
--- runs by recipe, command, tag, batch and time.
local errors = require "ligase.base.errors"
local options_of = require "ligase.base.options"
local pg = require "pg"
local text = require "ligase.base.text"

local M = {}

local FIELDS = [[
r.id, r.batch_id, r.rolls_back, r.started_at::text AS started_at, r.finished_at::text AS finished_at, r.outcome,
  r.command, r.recipe, r.host_version, r.os_user, r.hostname, r.counts, r.arguments,
  coalesce(r.arguments ->> 'source', r.arguments ->> 'run', r.arguments ->> 'signature', '') AS source]]

local ANY = "SELECT " .. FIELDS .. [[ FROM runs AS r WHERE r.id = ANY ($1::uuid[])
ORDER BY r.finished_at DESC, r.id DESC]]

local MATCHES = "SELECT " .. FIELDS .. [[ FROM runs AS r
WHERE starts_with(r.id::text, lower($1)) ORDER BY r.started_at DESC, r.id DESC LIMIT 20]]

local LAST = "SELECT " .. FIELDS .. [[ FROM runs AS r WHERE r.outcome = 'done' AND r.command <> 'rollback'
  AND NOT (r.command = 'reconcile' AND r.changes IS NULL) AND r.arguments -> 'piece_of' IS NULL
ORDER BY r.finished_at DESC, r.id DESC LIMIT 1]]

local RECENT = "SELECT " .. FIELDS .. [[ FROM runs AS r WHERE r.arguments -> 'piece_of' IS NULL
ORDER BY r.started_at DESC, r.id DESC LIMIT $1]]

--- So many runs are looked through for one with a like id, and so many are shown.
local RECENT_MOST, SHOWN_MOST = 1000, 5

--- A run in one line, for people.
---@param run table
---@return string
function M.line(run)
  return ("%s %s %s%s"):format(run.id, run.started_at:sub(1, 19), run.command,
    run.source ~= "" and " " .. text.shown(run.source, 60) or "")
end

local function lines(rows)
  local list = {}
  for i = 1, math.min(#rows, SHOWN_MOST) do
    list[i] = M.line(rows[i])
  end
  return table.concat(list, "; ") .. (#rows > SHOWN_MOST and "; ..." or "")
end

local function refuse_unknown(conn, word)
  local recent = conn:query(RECENT, RECENT_MOST)
  local by_id, ids = {}, {}
  for i, run in ipairs(recent) do
    ids[i] = run.id:sub(1, math.max(#word, 8))
    by_id[ids[i]] = by_id[ids[i]] or run
  end
  local near = text.nearest(word:lower(), ids)
  local shown = near and { by_id[near] } or recent
  errors.raise { kind = "usage", code = "unknown_run", message = ("there is no run '%s'"):format(text.shown(word, 60)),
    detail = #shown > 0 and (near and "the nearest one: " or "the latest ones: ") .. lines(shown) or nil,
    hint = #recent == 0 and "Nothing was run yet" or "See them with: ligase runs" }
end

--- The run that a person means. Raises "usage" when there is none, or more than one, with the
--- nearest ones.
---@param conn table
---@param word string
---@return table run
function M.find(conn, word)
  if word == "last" then
    local last = conn:query(LAST)[1]
    if not last then
      errors.raise { kind = "usage", code = "unknown_run", message = "no run is left that last could mean",
        hint = "It passes over rollbacks, and over what was undone; see: ligase runs" }
    end
    return last
  end
  local found = word:find("^%x[%x-]*$") and conn:query(MATCHES, word) or {}
  if #found == 0 then
    refuse_unknown(conn, word)
  elseif #found > 1 then
    errors.raise { kind = "usage", code = "ambiguous_run", message = ("'%s' may be any of %s runs"):format(word,
      #found == 20 and "20 or more" or tostring(#found)), detail = "they are: " .. lines(found),
      hint = "Type more of its id" }
  end
  local whole = found[1].arguments ~= pg.null and found[1].arguments.piece_of
  return whole and M.find(conn, whole) or found[1]
end

--- Runs by their ids, the newest first.
---@param conn table
---@param ids string[]
---@return table[]
function M.all(conn, ids)
  local found = conn:query(ANY, pg.array(ids, "uuid"))
  return table.move(found, 1, #found, 1, {})
end

local BATCHES = [[
SELECT batch_id, count(*) AS n FROM runs AS r WHERE batch_id IS NOT NULL AND arguments -> 'piece_of' IS NULL
  AND ($1 = 'last' AND outcome = 'done' AND command <> 'rollback' OR starts_with(batch_id::text, lower($1)))
GROUP BY 1 ORDER BY max(finished_at) DESC LIMIT 20]]

local function batch_lines(found)
  local shown = {}
  for i = 1, math.min(#found, SHOWN_MOST) do
    shown[i] = ("%s (%s)"):format(found[i].batch_id, text.count(found[i].n, "run"))
  end
  return table.concat(shown, ", ")
end

local function refuse_batch(conn, word)
  if word == "last" then
    errors.raise { kind = "usage", code = "unknown_batch", message = "no batch is left that last could mean",
      hint = "It passes over rollbacks, and over what was undone; see: ligase runs" }
  end
  local latest = conn:query(BATCHES, "")
  errors.raise { kind = "usage", code = "unknown_batch", message = ("there is no batch '%s'"):format(
    text.shown(word, 60)), detail = #latest > 0 and "the latest ones: " .. batch_lines(latest) or nil,
    hint = #latest > 0 and "Runs name theirs in: ligase runs --format jsonl" or "No batch was run yet" }
end

--- The batch that a person means, by its id, a start of it, or `last`.
---@param conn table
---@param word string
---@return string id
function M.batch(conn, word)
  if word == "" then
    errors.raise { kind = "usage", code = "usage", message = "the batch is empty", hint = "Name one, or say: last" }
  end
  local found = conn:query(BATCHES, word)
  if #found == 0 then
    refuse_batch(conn, word)
  elseif #found > 1 and word ~= "last" then
    errors.raise { kind = "usage", code = "ambiguous_batch", message = ("'%s' may be any of %d batches"):format(word,
      #found), detail = "they are: " .. batch_lines(found), hint = "Type more of its id" }
  end
  return found[1].batch_id
end

local LIST = "SELECT " .. FIELDS .. [[ FROM runs AS r WHERE r.arguments -> 'piece_of' IS NULL
  AND ($1::text IS NULL OR r.recipe = $1) AND ($2::text IS NULL OR r.command = $2)
  AND ($3::text IS NULL OR r.arguments ->> 'tag' = $3) AND ($4::uuid IS NULL OR r.batch_id = $4)
  AND ($5::timestamptz IS NULL OR r.started_at >= $5) AND ($6::text IS NULL OR r.outcome = $6)
ORDER BY r.started_at DESC, r.id DESC LIMIT $7]]

local WANTED = { recipe = { type = "string" }, command = { type = "string" }, tag = { type = "string" },
  batch = { type = "string" }, since = { type = "string" }, outcome = { type = "string" },
  limit = { type = "number" } }

local INVALID_TIME = { ["22007"] = true, ["22008"] = true }

--- Runs, the latest first, that are all of what is asked for. Entries that only hold further
--- changes of a run are left out.
---@param conn table
---@param wanted {recipe: string|nil, command: string|nil, tag: string|nil, batch: string|nil, since: string|nil,
--- outcome: string|nil, limit: integer|nil}|nil since: a time as Postgres reads it, such as "2026-11-20", "yesterday"
---@return table[] runs
function M.list(conn, wanted)
  wanted = options_of.check(wanted, WANTED, "runs:list")
  local batch = wanted.batch and M.batch(conn, wanted.batch)
  local done, found = pcall(conn.query, conn, LIST, wanted.recipe, wanted.command, wanted.tag, batch, wanted.since,
    wanted.outcome, wanted.limit)
  if not done then
    if errors.is(found, "database") and INVALID_TIME[found.code] then
      errors.raise { kind = "usage", code = "time", message = ("'%s' is no time"):format(text.shown(wanted.since, 40)),
        hint = "Write it as 2026-11-20, '2026-11-20 14:30', yesterday or today" }
    end
    error(found, 0)
  end
  return table.move(found, 1, #found, 1, {})
end

return M
