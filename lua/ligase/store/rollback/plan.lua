--- Which runs have to be undone, and what they touched.
---
--- Every change in the journal has a row's key and the row as it was. Whatever touched the
--- same key later built on it; so did whatever refers to an entity that would go, or took away
--- what rows that come back refer to. A run that was rolled back and its rollback cancel each
--- other out.
local pg = require "pg"
local tables = require "ligase.store.rollback.tables"

local M = {}

---@class ligase.rollback_plan
---@field conn table
---@field runs string[] ids
---@field by_id table<string, boolean>
---@field touched_from string|nil what the list of touched rows was made from

--- Fewer rows than this are looked through in no time, whatever the statistics say.
local FEW_ROWS = 200

local CREATE = [[
SET LOCAL client_min_messages = warning;
CREATE TEMP TABLE IF NOT EXISTS undoing (place bigint, run_id uuid NOT NULL, finished_at timestamptz NOT NULL,
  tbl text NOT NULL, watch text NOT NULL, id text NOT NULL, other text NOT NULL, target jsonb, parts jsonb, now jsonb,
  page boolean NOT NULL DEFAULT false, set_aside boolean NOT NULL DEFAULT false) ON COMMIT DROP;
CREATE UNIQUE INDEX IF NOT EXISTS undoing_key ON undoing (tbl, id, other, run_id);
CREATE TEMP TABLE IF NOT EXISTS touched (run_id uuid NOT NULL, finished_at timestamptz NOT NULL,
  undone_at timestamptz, undone_id uuid, tbl text NOT NULL, id text NOT NULL, other text NOT NULL) ON COMMIT DROP;
CREATE TEMP TABLE IF NOT EXISTS referring (run_id uuid NOT NULL, finished_at timestamptz NOT NULL,
  removed text NOT NULL, removed_id text NOT NULL, tbl text NOT NULL, id text NOT NULL, other text NOT NULL,
  is_row boolean NOT NULL) ON COMMIT DROP]]

--- The entries of a run: its own, and those that hold what did not fit into it.
local ENTRIES = [[
CROSS JOIN LATERAL (SELECT m.changes, 0 AS piece WHERE jsonb_typeof(m.changes) = 'array'
  UNION ALL SELECT p.changes, coalesce((p.arguments ->> 'piece')::int, 1) FROM runs AS p
    WHERE p.batch_id = m.id AND p.arguments ->> 'piece_of' = m.id::text AND jsonb_typeof(p.changes) = 'array') AS e
CROSS JOIN LATERAL jsonb_array_elements(e.changes) WITH ORDINALITY AS c (change, position)]]

--- A run's first change of a row tells how the row was before the run.
local FILL = ([[
INSERT INTO undoing (run_id, finished_at, tbl, watch, id, other, target, parts, page, set_aside)
SELECT DISTINCT ON (run_id, tbl, id, other) run_id, finished_at, tbl,
  CASE tbl WHEN 'measurements' THEN 'revisions' ELSE tbl END AS watch, id, other,
  CASE WHEN jsonb_typeof(change -> 'before') = 'object' THEN change -> 'before' END, change -> 'components',
  coalesce((change ->> 'page')::boolean, false), coalesce((change ->> 'set_aside')::boolean, false)
FROM (SELECT m.id AS run_id, m.finished_at, c.change ->> 'table' AS tbl, k.id, k.other, c.change, e.piece, c.position
  FROM runs AS m $ENTRIES
  CROSS JOIN LATERAL (SELECT $ID AS id, $OTHER AS other
    UNION ALL SELECT run, '' FROM jsonb_array_elements_text(c.change -> 'runs') AS run) AS k
  WHERE m.id = ANY ($1::uuid[])) AS x
WHERE id IS NOT NULL
ORDER BY run_id, tbl, id, other, piece, position]]):gsub("%$(%u+)", { ENTRIES = ENTRIES, ID = tables.KEY.id,
  OTHER = tables.KEY.other })

--- Undoing a rollback makes what it undid count again, which may have built on what else is
--- undone: then it is to be undone in its turn.
local REVIVED = [[
WITH RECURSIVE chain AS (
  SELECT r.rolls_back AS id, 1 AS depth FROM runs AS r WHERE r.id = ANY ($1::uuid[]) AND r.rolls_back IS NOT NULL
  UNION ALL SELECT r.rolls_back, c.depth + 1 FROM chain AS c JOIN runs AS r ON r.id = c.id
    WHERE r.rolls_back IS NOT NULL)
SELECT DISTINCT c.id FROM chain AS c JOIN runs AS r ON r.id = c.id
WHERE c.depth % 2 = 1 AND r.outcome = 'rolled_back' AND c.id <> ALL ($1::uuid[])]]

--- What was touched since the first of the runs ended, by runs that count or will count.
local TOUCH = ([[
INSERT INTO touched (run_id, finished_at, undone_at, undone_id, tbl, id, other)
SELECT DISTINCT m.id, m.finished_at, u.finished_at, u.id,
  CASE c.change ->> 'table' WHEN 'measurements' THEN 'revisions' ELSE c.change ->> 'table' END, k.id, k.other
FROM runs AS m LEFT JOIN runs AS u ON u.id = m.rolls_back $ENTRIES
CROSS JOIN LATERAL (SELECT $ID AS id, $OTHER AS other
  UNION ALL SELECT run, '' FROM jsonb_array_elements_text(c.change -> 'runs') AS run
  UNION ALL SELECT made_by, '' FROM jsonb_array_elements_text(c.change -> 'made_by') AS made_by) AS k
WHERE (m.outcome = 'done' AND m.finished_at >= $1::timestamptz OR m.id = ANY ($2::uuid[]))
  AND m.arguments -> 'piece_of' IS NULL AND k.id IS NOT NULL]]):gsub("%$(%u+)", { ENTRIES = ENTRIES,
  ID = tables.KEY.id, OTHER = tables.KEY.other })

--- Later in the order in which runs ended; x must not only undo what came later itself.
local LATER = [[
(x.finished_at, x.run_id) > (u.finished_at, u.run_id)
  AND NOT coalesce((x.undone_at, x.undone_id) > (u.finished_at, u.run_id), false) AND x.run_id <> ALL ($1::uuid[])]]

local DEPENDENT = ([[
SELECT DISTINCT x.run_id FROM undoing AS u JOIN touched AS x ON x.tbl = u.watch AND x.id = u.id AND x.other = u.other
WHERE %s]]):format(LATER)

local DEPENDENT_REFERRERS = ([[
SELECT DISTINCT x.run_id FROM referring AS u JOIN touched AS x ON x.tbl = u.tbl AND x.id = u.id AND x.other = u.other
WHERE %s]]):format(LATER)

--- Rows that refer to what would go, and that no run will take away.
local REFER = [[
INSERT INTO referring
SELECT u.run_id, u.finished_at, u.tbl, u.id, '%s', t.%s::text, %s, true
FROM undoing AS u JOIN %s AS t ON t.%s = u.id::uuid
WHERE u.tbl = '%s' AND u.target IS NULL
  AND NOT EXISTS (SELECT FROM undoing AS e WHERE e.tbl = '%s' AND e.id = t.%s::text AND e.other = %s)
UNION
SELECT u.run_id, u.finished_at, u.tbl, u.id, e.tbl, e.id, e.other, false
FROM undoing AS u JOIN undoing AS e ON e.tbl = '%s' AND e.target ->> '%s' = u.id AND e.run_id <> u.run_id
WHERE u.tbl = '%s' AND u.target IS NULL]]

--- A run that was undone and done again counts from then on: what is undone in its place is
--- the rollback that did it again.
local LATEST = [[
WITH RECURSIVE users AS MATERIALIZED (%s),
again AS (
  SELECT DISTINCT r.id AS first, r.id, r.finished_at, r.outcome FROM users AS s JOIN runs AS r ON r.id = s.run_id
  WHERE r.outcome = 'done'
  UNION ALL SELECT a.first, r.id, r.finished_at, r.outcome FROM again AS a JOIN runs AS r ON r.rolls_back = a.id),
latest AS (SELECT DISTINCT ON (first) first, id, finished_at FROM again WHERE outcome = 'done'
  ORDER BY first, finished_at DESC, id DESC)
SELECT DISTINCT l.id AS run_id FROM users AS u JOIN latest AS l ON l.first = u.run_id
WHERE (l.finished_at, l.id) > (u.finished_at, u.removed_by) AND l.id <> ALL ($1::uuid[])
  AND u.run_id <> ALL ($1::uuid[])]]

--- Runs whose whole purpose were scores of what would go.
local SCORED_BY = LATEST:format [[
SELECT DISTINCT x.run_id, u.finished_at, u.run_id AS removed_by FROM undoing AS u
JOIN dataset_signatures AS x ON x.%s = u.id::uuid JOIN runs AS s ON s.id = x.run_id AND s.command = 'score'
WHERE u.tbl = '%s' AND u.target IS NULL]]

--- Screenings that name compounds which would go.
local SCREENED_BY = LATEST:format [[
SELECT DISTINCT v.run_id, u.finished_at, u.run_id AS removed_by FROM undoing AS u
JOIN screening_results AS x ON x.compound_id = u.id::uuid
JOIN screening_revisions AS v ON v.campaign_id = x.campaign_id AND v.revision = x.revision
WHERE u.tbl = 'compounds' AND u.target IS NULL]]

--- What becomes of each row in the end: the oldest run's state.
local FINAL = [[final AS MATERIALIZED (
  SELECT DISTINCT ON (tbl, id, other) tbl, id, other, target FROM undoing
  ORDER BY tbl, id, other, finished_at, run_id)]]

--- What rows refer to in the end, whether it is there or not; and what scores refer to that come
--- back, if only for a later one of the runs.
local NEEDED = (function()
  local parts = {}
  for i, reference in ipairs(tables.REFERENCES) do
    parts[i] = ("SELECT '%s' AS tbl, u.target ->> '%s' AS id, true AS is_final FROM final AS u WHERE u.tbl = '%s'")
      :format(reference[3], reference[2], reference[1])
  end
  parts[#parts + 1] = [[SELECT 'compounds', x.compound_id::text, true FROM final AS u JOIN screening_results AS x
    ON x.campaign_id = u.id::uuid AND x.revision = (u.target ->> 'current_revision')::int
  WHERE u.tbl = 'screening_campaigns']]
  for tbl, column in pairs { datasets = "dataset_id", signatures = "signature_id" } do
    parts[#parts + 1] = ([[SELECT '%s', k.score ->> '%s', false FROM runs AS p
    CROSS JOIN LATERAL jsonb_array_elements(p.changes) AS c (change)
    CROSS JOIN LATERAL jsonb_array_elements(c.change -> 'rows') AS k (score)
  WHERE p.batch_id = ANY ($1::uuid[]) AND p.arguments ? 'piece_of' AND c.change ->> 'table' = 'dataset_signatures'
    AND jsonb_typeof(c.change -> 'rows') = 'array']]):format(tbl, column)
  end
  return table.concat(parts, "\n  UNION ")
end)()

--- Who took away what is needed and will not be there: whoever touched it last.
local TAKEN_BY = [[
WITH %s, needed AS MATERIALIZED (%s)
SELECT DISTINCT ON (n.tbl, n.id) x.run_id
FROM needed AS n JOIN touched AS x ON x.tbl = n.tbl AND x.id = n.id AND x.run_id <> ALL ($1::uuid[])
LEFT JOIN final AS f ON f.tbl = n.tbl AND f.id = n.id
WHERE CASE WHEN n.is_final THEN f.target IS NULL
  ELSE NOT EXISTS (SELECT FROM undoing AS e WHERE e.tbl = n.tbl AND e.id = n.id AND e.target IS NOT NULL) END
  AND (n.is_final AND f.id IS NOT NULL OR %s)
ORDER BY n.tbl, n.id, x.finished_at DESC, x.run_id DESC]]

TAKEN_BY = (function()
  local absent = {}
  for _, tbl in ipairs { "programs", "experiments", "datasets", "signatures", "compounds", "screening_campaigns" } do
    absent[#absent + 1] = ("n.tbl = '%s' AND NOT EXISTS (SELECT FROM %s AS t WHERE t.id = n.id::uuid)"):format(tbl, tbl)
  end
  return TAKEN_BY:format(FINAL, NEEDED, table.concat(absent, "\n  OR "))
end)()

--- Scores that stand where others have to come back.
local SCORED_INSTEAD = LATEST:format [[
SELECT DISTINCT x.run_id, m.finished_at, m.id AS removed_by FROM runs AS m
JOIN runs AS p ON p.batch_id = m.id AND p.arguments ->> 'piece_of' = m.id::text
CROSS JOIN LATERAL jsonb_array_elements(p.changes) AS c (change)
CROSS JOIN LATERAL jsonb_array_elements(c.change -> 'rows') AS k (score)
JOIN dataset_signatures AS x ON x.dataset_id = (k.score ->> 'dataset_id')::uuid
  AND x.revision = (k.score ->> 'revision')::int AND x.signature_id = (k.score ->> 'signature_id')::uuid
  AND x.method = k.score ->> 'method' AND x.contrast = k.score ->> 'contrast'
WHERE m.id = ANY ($1::uuid[]) AND c.change ->> 'table' = 'dataset_signatures'
  AND jsonb_typeof(c.change -> 'rows') = 'array']]

--- Who gave a name away that a row needs in the end: of the two rows that would share it,
--- whoever touched either last.
local NAMED_BY = (function()
  local parts = {}
  for tbl, columns in pairs(tables.UNIQUE) do
    local stands, becomes, known = {}, {}, {}
    for i, column in ipairs(columns) do
      stands[i] = ("t.%s = u.target ->> '%s'"):format(column, column)
      becomes[i] = ("t.target ->> '%s' = u.target ->> '%s'"):format(column, column)
      known[i] = ("u.target ->> '%s' IS NOT NULL"):format(column)
    end
    known = table.concat(known, " AND ")
    parts[#parts + 1] = ([[SELECT u.tbl, u.id AS pair, t.id::text AS id FROM final AS u JOIN %s AS t ON %s
  WHERE u.tbl = '%s' AND %s AND t.id <> u.id::uuid
    AND NOT EXISTS (SELECT FROM final AS f WHERE f.tbl = u.tbl AND f.id = t.id::text)]]):format(tbl,
      table.concat(stands, " AND "), tbl, known)
    parts[#parts + 1] = ([[SELECT u.tbl, least(u.id, t.id), unnest(ARRAY[u.id, t.id])
  FROM final AS u JOIN final AS t ON t.tbl = u.tbl AND %s AND t.id > u.id
  WHERE u.tbl = '%s' AND %s]]):format(table.concat(becomes, " AND "), tbl, known)
  end
  return ([[
WITH %s, taken AS MATERIALIZED (%s)
SELECT DISTINCT ON (n.tbl, n.pair) x.run_id
FROM taken AS n JOIN touched AS x ON x.tbl = n.tbl AND x.id = n.id AND x.run_id <> ALL ($1::uuid[])
ORDER BY n.tbl, n.pair, x.finished_at DESC, x.run_id DESC]]):format(FINAL, table.concat(parts, "\n  UNION "))
end)()

local UNEXPLAINED = [[
SELECT u.tbl, u.id, u.removed, u.removed_id, r.target AS removed_row
FROM referring AS u LEFT JOIN undoing AS r ON r.tbl = u.removed AND r.id = u.removed_id AND r.run_id = u.run_id
WHERE u.is_row AND NOT EXISTS (SELECT FROM touched AS x WHERE x.tbl = u.tbl AND x.id = u.id AND x.other = u.other
  AND (x.finished_at, x.run_id) > (u.finished_at, u.run_id))
ORDER BY 1, 2 LIMIT 20]]

local function fill(self, ids)
  local rows = self.conn:query(FILL, pg.array(ids, "uuid")).affected
  for _, id in ipairs(ids) do
    self.runs[#self.runs + 1], self.by_id[id] = id, true
  end
  if rows > FEW_ROWS then
    self.conn:script("ANALYZE undoing")
  end
end

local function touch(self)
  local first = self.conn:query("SELECT min(finished_at)::text AS at FROM runs WHERE id = ANY ($1::uuid[])",
    pg.array(self.runs, "uuid"))[1].at
  local revived = {}
  for i, row in ipairs(self.conn:query(REVIVED, pg.array(self.runs, "uuid"))) do
    revived[i] = row.id
  end
  local state = first .. table.concat(revived)
  if state ~= self.touched_from then
    self.touched_from = state
    self.conn:script("DELETE FROM touched")
    if self.conn:query(TOUCH, first, pg.array(revived, "uuid")).affected > FEW_ROWS then
      self.conn:script("ANALYZE touched")
    end
  end
end

local function any_removed(self, tbl)
  return #self.conn:query("SELECT 1 FROM undoing WHERE tbl = $1 AND target IS NULL LIMIT 1", tbl) > 0
end

local function find_referrers(self)
  self.conn:script("DELETE FROM referring")
  for removed, referrers in pairs(tables.REFERRERS) do
    if any_removed(self, removed) then
      for _, referrer in ipairs(referrers) do
        local tbl, column = tables.get(referrer[1]), referrer[2]
        local other = tbl.second and ("t.%s::text"):format(tbl.second) or "''"
        self.conn:query(REFER:format(tbl.name, tbl.first, other, tbl.name, column, removed, tbl.name, tbl.first, other,
          tbl.name, column, removed))
      end
    end
  end
end

--- Runs that built on those of the plan.
local function dependents(self)
  local ids, seen = {}, {}
  local function add(sql)
    for _, row in ipairs(self.conn:query(sql, pg.array(self.runs, "uuid"))) do
      if not seen[row.run_id] then
        seen[row.run_id] = true
        ids[#ids + 1] = row.run_id
      end
    end
  end
  find_referrers(self)
  add(DEPENDENT)
  add(DEPENDENT_REFERRERS)
  add(TAKEN_BY)
  add(NAMED_BY)
  if #self.conn:query("SELECT 1 FROM undoing WHERE tbl = 'dataset_signatures' LIMIT 1") > 0 then
    add(SCORED_INSTEAD)
  end
  if any_removed(self, "datasets") then
    add(SCORED_BY:format("dataset_id", "datasets"))
  end
  if any_removed(self, "signatures") then
    add(SCORED_BY:format("signature_id", "signatures"))
  end
  if any_removed(self, "compounds") then
    add(SCREENED_BY)
  end
  return ids
end

--- What undoing some runs comes to, in the caller's transaction: temporary tables hold it.
--- `runs` are all that have to be undone: those named, and all that built on them.
---@param conn table in a transaction
---@param ids string[] of runs
---@return ligase.rollback_plan
function M.make(conn, ids)
  local self = { conn = conn, runs = {}, by_id = {} }
  conn:script(CREATE)
  conn:script("DELETE FROM undoing; DELETE FROM touched; DELETE FROM referring")
  local new = ids
  repeat
    fill(self, new)
    touch(self)
    new = dependents(self)
  until #new == 0
  return self
end

--- Rows that refer to what would go, of which the journal does not say who wrote them.
---@param plan ligase.rollback_plan
---@return {tbl: string, id: string, removed: string, removed_id: string}[]
function M.unexplained(plan)
  return plan.conn:query(UNEXPLAINED)
end

return M
