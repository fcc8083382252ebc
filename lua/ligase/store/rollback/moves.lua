--- Links of stored rows moved back, and receipts as they were: what `ligase link` and
--- `ligase names apply` journal in pieces (ligase.store.move_journal).
---
--- A rollback's own pieces have the same form, with the features of each name exchanged. Of a
--- dataset that goes back to having no links, every link is kept by its row.
local journal = require "ligase.store.rollback.journal"

local M = {}

local RUNS = [[
SELECT u.run_id, u.rollback_id, NOT EXISTS (
  SELECT FROM undoing AS e LEFT JOIN revisions AS v ON v.dataset_id = e.id::uuid AND v.revision = e.other::int
  WHERE e.run_id = u.run_id AND e.tbl = 'measurements' AND v.revision IS NULL) AS is_there
FROM undone AS u JOIN runs AS r ON r.id = u.run_id
WHERE r.command IN ('link', 'names apply', 'rollback')
  AND EXISTS (SELECT FROM (SELECT r.changes UNION ALL SELECT p.changes FROM runs AS p
      WHERE p.batch_id = u.run_id AND p.arguments ->> 'piece_of' = u.run_id::text) AS p
    WHERE p.changes @> '[{"table": "feature_names"}]' OR p.changes @> '[{"table": "measurements"}]')
ORDER BY u.place]]

local PIECES = [[
SELECT p.id FROM runs AS p WHERE (p.id = $1 OR p.batch_id = $1 AND p.arguments ->> 'piece_of' = $1::text)
  AND (p.changes @> '[{"table": "feature_names"}]' OR p.changes @> '[{"table": "measurements"}]') ORDER BY p.id]]

--- The figures of the revisions before anything of the run is undone.
local FIGURES = [[
CREATE TEMP TABLE moves_now ON COMMIT DROP AS
SELECT r.dataset_id, r.revision, r.feature_count FROM revisions AS r JOIN undoing AS e
  ON e.tbl = 'measurements' AND r.dataset_id = e.id::uuid AND r.revision = e.other::int
GROUP BY 1, 2, 3]]

--- The names of a piece with their features exchanged, and its datasets as they are now.
local INVERSE = [[
SELECT (SELECT jsonb_agg(jsonb_build_object('table', 'feature_names', 'before', jsonb_build_object('names',
    (SELECT coalesce(jsonb_agg(jsonb_build_array(n.n -> 0, n.n -> 2, n.n -> 1) ORDER BY n.place), '[]')
     FROM jsonb_array_elements(c.change -> 'before' -> 'names') WITH ORDINALITY AS n (n, place)))))
  FROM jsonb_array_elements(p.changes) AS c (change)
  WHERE c.change ->> 'table' = 'feature_names' AND c.change -> 'before' ? 'names') AS names,
  (SELECT jsonb_agg(jsonb_set(c.change, '{before,feature_count}', to_jsonb(m.feature_count)))
  FROM jsonb_array_elements(p.changes) AS c (change) JOIN moves_now AS m
    ON m.dataset_id = (c.change ->> 'id')::uuid AND m.revision = (c.change ->> 'revision')::int
  WHERE c.change ->> 'table' = 'measurements' AND c.change -> 'before' ? 'names') AS datasets,
  (SELECT jsonb_agg(jsonb_build_object('table', 'feature_names', 'before', jsonb_build_object('receipts',
    (SELECT coalesce(jsonb_agg(jsonb_build_array(l.r -> 0, l.r -> 1, jsonb_build_object('rule', f.rule, 'level',
      f.level, 'reason', f.reason, 'aside', f.aside, 'candidates', f.candidates, 'run_id', f.run_id))), '[]')
     FROM jsonb_array_elements(c.change -> 'before' -> 'receipts') AS l (r)
     JOIN feature_names AS f ON f.feature_key = (l.r ->> 1)::int8 AND f.raw_name = l.r ->> 0))))
  FROM jsonb_array_elements(p.changes) AS c (change)
  WHERE c.change ->> 'table' = 'feature_names' AND c.change -> 'before' ? 'receipts') AS receipts
FROM runs AS p WHERE p.id = $1]]

local CHANGES = [[
SELECT (coalesce(x.names, '[]') || coalesce(x.datasets, '[]') || coalesce(x.receipts, '[]'))::text AS changes
FROM (]] .. INVERSE .. ") AS x"

local MOVE = [[
WITH names AS MATERIALIZED (
  SELECT n.place, n.n ->> 0 AS raw, (n.n ->> 1)::int8 AS old, (n.n ->> 2)::int8 AS new
  FROM runs AS p CROSS JOIN LATERAL jsonb_array_elements(p.changes) AS c (change)
  CROSS JOIN LATERAL jsonb_array_elements(c.change -> 'before' -> 'names') WITH ORDINALITY AS n (n, place)
  WHERE p.id = $1 AND c.change ->> 'table' = 'feature_names' AND c.change -> 'before' ? 'names'),
moved AS MATERIALIZED (
  SELECT (c.change ->> 'id')::uuid AS dataset_id, (c.change ->> 'revision')::int AS revision, l.place::int8 AS place,
    c.change -> 'before' -> 'rows' -> l.place AS ordinals
  FROM runs AS p CROSS JOIN LATERAL jsonb_array_elements(p.changes) AS c (change)
  CROSS JOIN LATERAL jsonb_array_elements_text(c.change -> 'before' -> 'names') AS l (place)
  WHERE p.id = $1 AND c.change ->> 'table' = 'measurements' AND c.change -> 'before' ? 'names')
UPDATE measurements AS m SET feature_key = names.old
FROM moved JOIN names USING (place)
WHERE m.dataset_id = moved.dataset_id AND m.revision = moved.revision AND m.source_name = names.raw
  AND m.feature_key IS NOT DISTINCT FROM names.new
  AND (moved.ordinals IS NULL OR moved.ordinals @> to_jsonb(m.ordinal))]]

local COUNTS = [[
UPDATE revisions AS r SET feature_count = (c.change -> 'before' ->> 'feature_count')::int8,
  dialect = CASE c.change -> 'before' ->> 'linked'
    WHEN 'false' THEN jsonb_set(r.dialect, '{given,linking}', 'false')
    WHEN 'true' THEN r.dialect #- '{given,linking}' ELSE r.dialect END
FROM runs AS p CROSS JOIN LATERAL jsonb_array_elements(p.changes) AS c (change)
WHERE p.id = $1 AND c.change ->> 'table' = 'measurements' AND r.dataset_id = (c.change ->> 'id')::uuid
  AND r.revision = (c.change ->> 'revision')::int]]

local RECEIPTS = [[
UPDATE feature_names AS f SET rule = l.r -> 2 ->> 'rule', level = l.r -> 2 ->> 'level',
  reason = l.r -> 2 ->> 'reason', aside = nullif(l.r -> 2 -> 'aside', 'null'),
  candidates = nullif(l.r -> 2 -> 'candidates', 'null'), run_id = (l.r -> 2 ->> 'run_id')::uuid
FROM runs AS p CROSS JOIN LATERAL jsonb_array_elements(p.changes) AS c (change)
CROSS JOIN LATERAL jsonb_array_elements(c.change -> 'before' -> 'receipts') AS l (r)
WHERE p.id = $1 AND c.change ->> 'table' = 'feature_names' AND c.change -> 'before' ? 'receipts'
  AND f.feature_key = (l.r ->> 1)::int8 AND f.raw_name = l.r ->> 0]]

--- Datasets whose links are told row by row.
local BY_ROWS = [[
SELECT (c.change ->> 'id')::uuid AS dataset_id, (c.change ->> 'revision')::int AS revision, c.position,
  c.change -> 'before' ->> 'linked' AS linked
FROM runs AS p CROSS JOIN LATERAL jsonb_array_elements(p.changes) WITH ORDINALITY AS c (change, position)
WHERE p.id = $1 AND c.change ->> 'table' = 'measurements' AND c.change -> 'before' ? 'linked' ORDER BY 3]]

local LINKS_NOW = [[
SELECT jsonb_build_array(jsonb_build_object('table', 'measurements', 'id', $1::uuid, 'revision', $2::int, 'before',
  jsonb_build_object('feature_count', (SELECT feature_count FROM moves_now WHERE dataset_id = $1 AND revision = $2),
    'linked', $3::boolean, 'links', coalesce(jsonb_agg(jsonb_build_array(m.ordinal, m.feature_key::text)
      ORDER BY m.ordinal), '[]'))))::text AS changes
FROM measurements AS m WHERE m.dataset_id = $1 AND m.revision = $2 AND m.feature_key IS NOT NULL]]

local LINK_ROWS = [[
WITH links AS MATERIALIZED (
  SELECT (l.l ->> 0)::int8 AS ordinal, (l.l ->> 1)::int8 AS key
  FROM runs AS p CROSS JOIN LATERAL jsonb_array_elements(
    coalesce(nullif(p.changes -> ($4::int - 1) -> 'before' -> 'links', 'null'), '[]')) AS l (l)
  WHERE p.id = $1)
UPDATE measurements AS m SET feature_key = n.key
FROM (SELECT m.ordinal, links.key FROM measurements AS m LEFT JOIN links USING (ordinal)
  WHERE m.dataset_id = $2 AND m.revision = $3) AS n
WHERE m.dataset_id = $2 AND m.revision = $3 AND m.ordinal = n.ordinal AND m.feature_key IS DISTINCT FROM n.key]]

local function undo_piece(conn, id, rollback_id)
  local rows, has_more = 0, conn:query(CHANGES, id)[1].changes
  if has_more ~= "[]" then
    journal.add(conn, rollback_id, has_more)
  end
  for _, dataset in ipairs(conn:query(BY_ROWS, id)) do
    journal.add(conn, rollback_id, conn:query(LINKS_NOW, dataset.dataset_id, dataset.revision,
      dataset.linked == "false")[1].changes)
    rows = rows + conn:query(LINK_ROWS, id, dataset.dataset_id, dataset.revision, dataset.position).affected
  end
  rows = rows + conn:query(MOVE, id).affected
  conn:query(COUNTS, id)
  return rows, conn:query(RECEIPTS, id).affected
end

local function undo_run(conn, run, counts)
  conn:script("DROP TABLE IF EXISTS moves_now")
  conn:query(FIGURES)
  for _, piece in ipairs(conn:query(PIECES, run.run_id)) do
    local rows, receipts = undo_piece(conn, piece.id, run.rollback_id)
    counts.rows, counts.receipts = counts.rows + rows, counts.receipts + receipts
  end
end

--- Undoes what the runs did to links and receipts, and journals how they were: to be called
--- before other rows are put back, and with what it returned afterwards, because the revisions
--- of some links may be among these.
---@param conn table
---@param left table|nil from the first call
---@return table left what is to be done afterwards, and counts {rows, receipts}
function M.undo(conn, left)
  local state = left or { counts = { rows = 0, receipts = 0 } }
  local later = {}
  for _, run in ipairs(state.runs or conn:query(RUNS)) do
    if left or run.is_there then
      undo_run(conn, run, state.counts)
    else
      later[#later + 1] = run
    end
  end
  state.runs = later
  return state
end

return M
