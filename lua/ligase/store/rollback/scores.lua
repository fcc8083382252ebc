--- Scores taken away and put back.
---
--- A run's scores carry its id; those that it replaced stand in the journal. Scores of a
--- dataset or signature that goes, go with it. A rollback keeps what it takes away as `rows`,
--- the keys of what it puts back as `made`, and as `runs` whose scores it is about.
local errors = require "ligase.base.errors"
local journal = require "ligase.store.rollback.journal"
local row_images = require "ligase.store.row_images"

local M = {}

--- Scores in one journal entry.
local ROWS_AT_ONCE = 5000

local KEY = { "dataset_id", "revision", "signature_id", "method", "contrast" }

local IMAGE = row_images.of("dataset_signatures", "x")

local CREATE = [[
DROP TABLE IF EXISTS scores_taken;
CREATE TEMP TABLE scores_taken (run_id uuid NOT NULL, n bigint GENERATED ALWAYS AS IDENTITY, made_by uuid,
  image jsonb NOT NULL, is_made boolean NOT NULL) ON COMMIT DROP]]

local function same_key(json_alias)
  local parts = {}
  for i, column in ipairs(KEY) do
    local kind = column == "revision" and "::int" or column:find("_id$") and "::uuid" or ""
    parts[i] = ("x.%s = (%s ->> '%s')%s"):format(column, json_alias, column, kind)
  end
  return table.concat(parts, " AND ")
end

--- The runs that are undone and have entries about scores, the newest first.
local WITH_ENTRIES = [[
SELECT u.run_id, r.command, r.rolls_back IS NOT NULL AS is_rollback FROM undone AS u JOIN runs AS r ON r.id = u.run_id
WHERE EXISTS (SELECT FROM undoing AS e WHERE e.run_id = u.run_id AND e.tbl = 'dataset_signatures')
  OR EXISTS (SELECT FROM runs AS p WHERE p.batch_id = u.run_id AND p.arguments ->> 'piece_of' = u.run_id::text
    AND p.changes -> 0 ->> 'table' = 'dataset_signatures')
ORDER BY u.place]]

local TAKE = ([[
INSERT INTO scores_taken (run_id, made_by, image, is_made)
SELECT %%s, x.run_id, %s, false FROM %%s]]):format(IMAGE)

--- The lists of scores in a run's entries.
local LISTS = [[
runs AS p CROSS JOIN LATERAL jsonb_array_elements(p.changes) AS c (change)
CROSS JOIN LATERAL jsonb_array_elements(c.change -> '%s') AS k (image)
WHERE $1::uuid IN (p.id, p.batch_id) AND (p.id = $1 OR p.arguments ->> 'piece_of' = $1::text)
  AND c.change ->> 'table' = 'dataset_signatures' AND jsonb_typeof(c.change -> '%s') = 'array']]

local DELETE_TAKEN = [[
DELETE FROM dataset_signatures AS x USING scores_taken AS s
WHERE NOT s.is_made AND s.run_id = $1 AND ]] .. same_key "s.image"

--- What goes for good, each with the run whose undoing takes it away.
local GOING = [[
(SELECT n.id, (SELECT e.run_id FROM undoing AS e WHERE e.tbl = n.tbl AND e.id = n.id AND e.target IS NULL
    ORDER BY e.place DESC LIMIT 1) AS run_id
  FROM net AS n WHERE n.tbl = '%s' AND n.target IS NULL) AS u]]

local PUT_BACK = ([[
INSERT INTO dataset_signatures
SELECT r.* FROM (SELECT k.image FROM %s) AS l CROSS JOIN LATERAL
  jsonb_populate_record(NULL::dataset_signatures, l.image) AS r]]):format(LISTS:format("rows", "rows"))

local NOTE_MADE = ([[
INSERT INTO scores_taken (run_id, made_by, image, is_made)
SELECT $1, (l.image ->> 'run_id')::uuid, jsonb_build_object('dataset_id', l.image -> 'dataset_id', 'revision',
  l.image -> 'revision', 'signature_id', l.image -> 'signature_id', 'method', l.image -> 'method', 'contrast',
  l.image -> 'contrast'), true
FROM (SELECT k.image FROM %s) AS l]]):format(LISTS:format("rows", "rows"))

--- What was put back and stayed.
local ORPHANS = [[
SELECT d.id IS NULL AS no_dataset, s.image ->> 'dataset_id' AS dataset_id, s.image ->> 'signature_id' AS signature_id
FROM scores_taken AS s LEFT JOIN datasets AS d ON d.id = (s.image ->> 'dataset_id')::uuid
LEFT JOIN signatures AS g ON g.id = (s.image ->> 'signature_id')::uuid
WHERE s.is_made AND (d.id IS NULL OR g.id IS NULL)
  AND EXISTS (SELECT FROM dataset_signatures AS x WHERE ]] .. same_key "s.image" .. ") LIMIT 1"

local function refuse_orphans(conn)
  local orphan = conn:query(ORPHANS)[1]
  if orphan then
    local what, id = orphan.no_dataset and "dataset" or "signature", orphan.no_dataset and orphan.dataset_id
      or orphan.signature_id
    errors.raise { kind = "usage", code = "conflict",
      message = ("scores that have to come back are of the %s %s, which is not there"):format(what, id),
      hint = ("Bring the %s back first; ligase runs says which run took it away"):format(what) }
  end
end

local UNIQUE = "23505"

--- Scores come back, unless others stand in their place that no run in the way explains.
local function put_back(conn, run_id)
  local done, failure = pcall(conn.query, conn, PUT_BACK, run_id)
  if done then
    return
  elseif errors.is(failure, "database") and failure.code == UNIQUE then
    errors.raise { kind = "usage", code = "conflict", sqlstate = failure.code, detail = failure.detail,
      message = "scores that have to come back have their place taken by others",
      hint = "Roll back the run that wrote the others (ligase runs), and try again; rollbacks that were made together "
        .. "are best undone together: --batch" }
  end
  error(failure, 0)
end

local function undo_run(conn, run)
  if run.is_rollback then
    conn:query(TAKE:format("$1", "dataset_signatures AS x JOIN (SELECT k.image FROM " .. LISTS:format("made", "made")
      .. ") AS l ON " .. same_key "l.image"), run.run_id)
  elseif run.command == "score" then
    conn:query(TAKE:format("$1", "dataset_signatures AS x WHERE x.run_id = $1"), run.run_id)
  end
  conn:query(DELETE_TAKEN, run.run_id)
  conn:query(NOTE_MADE, run.run_id)
  put_back(conn, run.run_id)
end

local function take_with(conn, tbl, column)
  if #conn:query("SELECT 1 FROM net WHERE tbl = $1 AND target IS NULL LIMIT 1", tbl) == 0 then
    return
  end
  local going = GOING:format(tbl)
  conn:query(TAKE:format("u.run_id", ("%s JOIN dataset_signatures AS x ON x.%s = u.id::uuid"):format(going, column)))
  conn:query(("DELETE FROM dataset_signatures AS x USING %s WHERE x.%s = u.id::uuid"):format(going, column))
end

--- Undoes what the runs did to scores. The rows that they refer to are there already, or are
--- still there.
---@param conn table
---@return {taken: integer, made: integer} counts
function M.undo(conn)
  conn:script(CREATE)
  for _, run in ipairs(conn:query(WITH_ENTRIES)) do
    undo_run(conn, run)
  end
  take_with(conn, "datasets", "dataset_id")
  take_with(conn, "signatures", "signature_id")
  return conn:query([[
SELECT count(*) FILTER (WHERE NOT is_made) AS taken, count(*) FILTER (WHERE is_made) AS made FROM scores_taken]])[1]
end

local ENTRIES = ([[
SELECT u.rollback_id, jsonb_build_array(jsonb_build_object('table', 'dataset_signatures', 'id', u.rollback_id,
  'made_by', jsonb_agg(DISTINCT s.made_by), 'runs',
  coalesce(jsonb_agg(DISTINCT s.made_by) FILTER (WHERE s.is_made AND s.made_by IS NOT NULL), '[]'),
  'rows', coalesce(jsonb_agg(s.image) FILTER (WHERE NOT s.is_made), '[]'),
  'made', coalesce(jsonb_agg(s.image) FILTER (WHERE s.is_made), '[]')))::text AS changes
FROM (SELECT *, row_number() OVER (PARTITION BY run_id ORDER BY n) AS k FROM scores_taken) AS s
JOIN undone AS u ON u.run_id = s.run_id
GROUP BY u.rollback_id, (s.k - 1) / %d ORDER BY 1]]):format(ROWS_AT_ONCE)

--- That a rollback is about the scores of some runs, whether there were any or not: who touches
--- them later is in the way.
local RUNS = [[
SELECT u.rollback_id, jsonb_build_array(jsonb_build_object('table', 'dataset_signatures', 'id', u.rollback_id,
  'runs', jsonb_agg(e.id ORDER BY e.id)))::text AS changes
FROM undone AS u JOIN undoing AS e ON e.run_id = u.run_id WHERE e.tbl = 'dataset_signatures'
GROUP BY u.rollback_id ORDER BY 1]]

--- Journals it, after the rollbacks' own entries.
---@param conn table
function M.write(conn)
  refuse_orphans(conn)
  for _, entry in ipairs(conn:query(RUNS)) do
    journal.add(conn, entry.rollback_id, entry.changes)
  end
  for _, entry in ipairs(conn:query(ENTRIES)) do
    journal.add(conn, entry.rollback_id, entry.changes)
  end
end

return M
