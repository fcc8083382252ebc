--- What became of one dataset: the runs that touched it, in the order in which they ended, and
--- which revision counted before and after each.
local datasets = require "ligase.store.datasets"
local pg = require "pg"
local errors = require "ligase.base.errors"
local short_ids = require "ligase.store.short_ids"
local text = require "ligase.base.text"

local M = {}

--- The journal also remembers datasets that were removed or renamed.
local REMEMBERED = [[
SELECT DISTINCT c.change ->> 'id' AS id FROM runs AS r CROSS JOIN LATERAL jsonb_array_elements(r.changes) AS c (change)
WHERE jsonb_typeof(r.changes) = 'array' AND c.change ->> 'table' = 'datasets'
  AND (c.change -> 'before' ->> 'name' = $1 OR (c.change -> 'before' ->> 'omics_type') || '/'
    || (c.change -> 'before' ->> 'name') = $1 OR c.change ->> 'id' = lower($1)) ORDER BY 1]]

--- The dataset that a person means, also one that is no longer there.
---@param conn table
---@param wanted string
---@return {id: string, name: string, current_revision: integer|nil, is_gone: boolean|nil}
function M.find(conn, wanted)
  local found, result = pcall(datasets.find, conn, wanted)
  if found then
    return result
  elseif not errors.is(result, "usage") or result.code ~= "dataset" then
    error(result, 0)
  end
  local remembered = conn:query(REMEMBERED, wanted)
  if #remembered == 0 then
    error(result, 0)
  elseif #remembered > 1 then
    local ids = {}
    for i, row in ipairs(remembered) do
      ids[i] = row.id
    end
    errors.raise { kind = "usage", code = "ambiguous_dataset", detail = table.concat(ids, ", "),
      message = ("%d datasets that are gone were called '%s'"):format(#ids, text.printable(wanted)),
      hint = "Say which by its id" }
  end
  return { id = remembered[1].id, name = wanted, is_gone = true }
end

local EVENTS = [[
SELECT r.id, r.finished_at::text AS at, r.os_user, r.hostname, r.command, r.outcome, r.rolls_back, r.recipe,
  r.arguments ->> 'source' AS source, r.arguments ->> 'tag' AS tag, coalesce(v.revision, n.revision) AS made,
  coalesce(v.row_count, (r.counts ->> 'rows')::int8, 0) AS rows,
  jsonb_typeof(d.before) AS kind, d.before ->> 'current_revision' AS before, l.count AS links,
  g.revisions AS freed, (SELECT outcome FROM runs AS u WHERE u.id = r.rolls_back) AS undone_outcome
FROM runs AS r
CROSS JOIN LATERAL (SELECT r.changes UNION ALL SELECT p.changes FROM runs AS p
  WHERE p.batch_id = r.id AND p.arguments ->> 'piece_of' = r.id::text) AS e
LEFT JOIN revisions AS v ON v.dataset_id = $1::text::uuid AND v.run_id = r.id
LEFT JOIN LATERAL (SELECT c.change -> 'before' AS before FROM jsonb_array_elements(e.changes) AS c (change)
  WHERE c.change ->> 'table' = 'datasets' AND c.change ->> 'id' = $1 LIMIT 1) AS d ON true
LEFT JOIN LATERAL (SELECT count(*) FROM jsonb_array_elements(e.changes) AS c (change)
  WHERE c.change ->> 'table' = 'measurements' AND c.change ->> 'id' = $1) AS l ON true
LEFT JOIN LATERAL (SELECT string_agg(c.change ->> 'revision', ', ' ORDER BY c.change ->> 'revision') AS revisions
  FROM jsonb_array_elements(e.changes) AS c (change) WHERE c.change ->> 'table' = 'revisions'
    AND c.change ->> 'id' = $1 AND (c.change ->> 'deleted')::boolean) AS g ON true
LEFT JOIN LATERAL (SELECT (c.change ->> 'revision')::int AS revision
  FROM jsonb_array_elements(e.changes) AS c (change) WHERE c.change ->> 'table' = 'revisions'
    AND c.change ->> 'id' = $1 AND jsonb_typeof(c.change -> 'before') = 'null' LIMIT 1) AS n ON r.rolls_back IS NULL
WHERE r.arguments -> 'piece_of' IS NULL AND jsonb_typeof(e.changes) = 'array'
  AND e.changes @> jsonb_build_array(jsonb_build_object('id', $1::text))
ORDER BY r.finished_at, r.id]]

---@class ligase.history_event
---@field id string of the run
---@field at string
---@field who string
---@field command string
---@field outcome string
---@field what string
---@field revision_before integer|nil
---@field revision_after integer|nil

local function given(value)
  return value ~= pg.null and value or nil
end

local function what_of(row, before, after, shown)
  local parts = {}
  if given(row.rolls_back) then
    parts[1] = ("took back run %s"):format(shown[row.rolls_back] or row.rolls_back)
  elseif given(row.made) then
    parts[1] = ("read %s: %s"):format(text.printable(given(row.source) or "?"), text.count(row.rows, "row"))
  elseif row.links > 0 then
    parts[1] = "linked its rows anew"
  elseif given(row.freed) then
    parts[1] = ("freed revision %s"):format(row.freed)
  elseif given(row.kind) == "null" then
    parts[1] = "made it"
  elseif before == after and row.command:find "delete" then
    parts[1] = "deleted it"
  else
    parts[1] = "changed what is said of it"
  end
  parts[#parts + 1] = row.outcome == "rolled_back" and "taken back since" or nil
  return table.concat(parts, "; ")
end

local function short_of(conn, rows)
  local ids = {}
  for _, row in ipairs(rows) do
    ids[#ids + 1] = row.id
    ids[#ids + 1] = given(row.rolls_back)
  end
  return short_ids.of_runs(conn, ids)
end

--- The runs that touched a dataset, the oldest first.
---@param conn table
---@param dataset table from M.find
---@param is_short boolean|nil ids as short as they can be, for people
---@return ligase.history_event[]
function M.of(conn, dataset, is_short)
  local rows, events, seen = conn:query(EVENTS, dataset.id), {}, {}
  local shown = is_short and short_of(conn, rows) or {}
  local after = given(dataset.current_revision)
  for i = #rows, 1, -1 do
    local row = rows[i]
    local before
    if given(row.kind) then
      before = math.tointeger(tonumber(given(row.before) or ""))
    else
      before = after
    end
    if not seen[row.id] then
      seen[row.id] = true
      table.insert(events, 1, { id = shown[row.id] or row.id, at = row.at,
        who = ("%s@%s"):format(given(row.os_user) or "?", given(row.hostname) or "?"), command = row.command,
        outcome = row.outcome, what = what_of(row, before, after, shown), tag = given(row.tag),
        revision_before = before, revision_after = after })
    end
    after = before
  end
  return events
end

return M
