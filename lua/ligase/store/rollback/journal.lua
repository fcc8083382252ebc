--- The journal's entries of rollbacks: one for each run that is undone, of the same form as
--- that of any other run, so that it can be undone by the same means.
local changes_of = require "ligase.store.changes"
local host = require "host"
local json = require "ligase.base.json"
local pg = require "pg"
local runs = require "ligase.store.runs"
local sys = require "sys"
local tables = require "ligase.store.rollback.tables"

local M = {}

--- Changes in one entry; more go into entries of their own.
local CHANGES_AT_ONCE = 20000

--- `set_aside_under` is where a run's rows of alias tables are kept: undoing twice is doing
--- again, so its rows go back to where the run itself had put them.
local CREATE = [[
DROP TABLE IF EXISTS undone;
CREATE TEMP TABLE undone (place bigint PRIMARY KEY, run_id uuid NOT NULL UNIQUE, rollback_id uuid NOT NULL,
  finished_at timestamptz NOT NULL) ON COMMIT DROP]]

--- The rollbacks end one after the other, and after whatever they undo, whichever machine's
--- clock said when that was.
local LIST = [[
INSERT INTO undone (place, run_id, rollback_id, finished_at)
SELECT o.place, o.id, n.id, l.at + o.place * interval '1 microsecond'
FROM (SELECT id, row_number() OVER (ORDER BY finished_at DESC, id DESC) AS place FROM runs
  WHERE id = ANY ($1::uuid[])) AS o
JOIN unnest($2::uuid[]) WITH ORDINALITY AS n (id, place) USING (place)
CROSS JOIN (SELECT greatest($3::timestamptz, max(finished_at)) AS at FROM runs WHERE id = ANY ($1::uuid[])) AS l]]

--- Notes which runs are undone, the newest first, each by a run of its own.
---@param conn table
---@param ids string[]
function M.number(conn, ids)
  local rollbacks = {}
  for i = 1, #ids do
    rollbacks[i] = sys.uuid7()
  end
  table.sort(rollbacks)
  conn:script(CREATE)
  conn:query(LIST, pg.array(ids, "uuid"), pg.array(rollbacks, "uuid"), sys.timestamp())
end

local function change_sql()
  local keys = {}
  for _, tbl in ipairs(tables.LIST) do
    if tbl.second then
      keys[#keys + 1] = tbl.second_type ~= "integer"
        and ("WHEN '%s' THEN jsonb_build_object('key', jsonb_build_object('%s', u.id, '%s', u.other))"):format(tbl.name,
          tbl.first, tbl.second)
        or ("WHEN '%s' THEN jsonb_build_object('revision', u.other::int)"):format(tbl.name)
    end
  end
  return ([[jsonb_build_object('table', u.tbl, 'id', u.id, 'before', coalesce(u.now, 'null'))
  || CASE u.tbl %s ELSE '{}' END || CASE WHEN u.page THEN '{"page": true}'::jsonb ELSE '{}' END]]):format(
    table.concat(keys, "\n  "))
end

--- What the rows were before, in pieces; the first one is the entry's own.
local PIECES = ([[
CREATE TEMP TABLE pieces ON COMMIT DROP AS
SELECT place, piece, jsonb_agg(change ORDER BY n) AS changes FROM (
  SELECT u.place, u.n, (u.n - 1) / %d AS piece, %s AS change
  FROM (SELECT *, row_number() OVER (PARTITION BY place ORDER BY tbl, id, other) AS n FROM undoing
    WHERE tbl <> ALL ('{measurements,alias_sources,dataset_signatures,feature_names}')) AS u) AS c
GROUP BY 1, 2]]):format(CHANGES_AT_ONCE, change_sql())

local INSERT = [[
INSERT INTO runs (id, batch_id, rolls_back, started_at, finished_at, outcome, command, arguments, host_version, os_user,
  hostname, counts, changes)
SELECT u.rollback_id, $1, u.run_id, $2::timestamptz, u.finished_at, 'done', 'rollback',
  $3::jsonb || jsonb_build_object('run', u.run_id, 'undoes', r.command),
  $4, $5, $6, jsonb_build_object('changes', coalesce(jsonb_array_length(p.changes), 0)), coalesce(p.changes, '[]')
FROM undone AS u JOIN runs AS r ON r.id = u.run_id
LEFT JOIN pieces AS p ON p.place = u.place AND p.piece = 0]]

local INSERT_PIECES = [[
INSERT INTO runs (id, batch_id, started_at, finished_at, outcome, command, arguments, host_version, changes)
SELECT n.id, u.rollback_id, $2::timestamptz, u.finished_at, 'done', 'rollback',
  jsonb_build_object('piece_of', u.rollback_id, 'piece', p.piece), $3, p.changes
FROM (SELECT *, row_number() OVER (ORDER BY place, piece) AS n FROM pieces WHERE piece > 0) AS p
JOIN undone AS u USING (place)
JOIN unnest($1::uuid[]) WITH ORDINALITY AS n (id, n) ON n.n = p.n]]

--- A run that is undone counts no longer; what it had undone counts again, what that had undone
--- does not, and so on.
local OUTCOMES = [[
WITH RECURSIVE chain AS (
  SELECT u.place, r.id, r.rolls_back, 0 AS depth FROM undone AS u JOIN runs AS r ON r.id = u.run_id
  UNION ALL SELECT c.place, r.id, r.rolls_back, c.depth + 1 FROM chain AS c JOIN runs AS r ON r.id = c.rolls_back),
settled AS (
  SELECT DISTINCT ON (id) id, CASE depth % 2 WHEN 0 THEN 'rolled_back' ELSE 'done' END AS outcome
  FROM chain ORDER BY id, place DESC),
entries AS (
  SELECT id, outcome FROM settled
  UNION ALL SELECT p.id, s.outcome FROM settled AS s JOIN runs AS p
    ON p.batch_id = s.id AND p.arguments ->> 'piece_of' = s.id::text)
UPDATE runs AS r SET outcome = e.outcome FROM entries AS e WHERE e.id = r.id]]

local function ids(count)
  local list = {}
  for i = 1, count do
    list[i] = sys.uuid7()
  end
  return pg.array(list, "uuid")
end

--- Writes the entries, with what the rows were before.
---@param conn table
---@param entry {batch_id: string|nil, started_at: string, arguments: table}
function M.write(conn, entry)
  local me = runs.identity()
  conn:script("DROP TABLE IF EXISTS pieces")
  conn:query(PIECES)
  conn:query(INSERT, entry.batch_id or pg.null, entry.started_at, json.encode(entry.arguments), host.version,
    me.os_user, me.hostname)
  local more = conn:query("SELECT count(*) AS n FROM pieces WHERE piece > 0")[1].n
  if more > 0 then
    conn:query(INSERT_PIECES, ids(more), entry.started_at, host.version)
  end
  conn:query(OUTCOMES)
end

--- Adds an entry with further changes to a rollback.
---@param conn table
---@param rollback_id string
---@param changes string JSON
function M.add(conn, rollback_id, changes)
  local run = { id = sys.uuid7(), batch_id = rollback_id, started_at = sys.timestamp(), command = "rollback",
    arguments = { piece_of = rollback_id } }
  conn:query(conn:prepare(runs.INSERT), runs.parameters(run, "done", { changes = changes }))
end

-- ---- telling others --------------------------------------------------------

local TABLES, OWNERS = {}, {}
for _, tbl in ipairs(tables.LIST) do
  if tbl.told then
    TABLES[#TABLES + 1] = ("'%s'"):format(tbl.name)
  elseif tbl.owner then
    local column = tbl.owner_column == tbl.first and "id" or "other"
    OWNERS[#OWNERS + 1] = ("SELECT '%s', %s, NULL::jsonb, NULL::jsonb, true FROM net WHERE tbl = '%s'"):format(
      tbl.owner, column, tbl.name)
  end
end

--- Told of what changed whoever is told now, or was told of the run.
local TELL = ([[
INSERT INTO outbox (entity_type, entity_id, action, payload, run_id)
SELECT DISTINCT ON (e.tbl, e.id) e.tbl, e.id::uuid,
  CASE WHEN e.is_link THEN 'update' WHEN e.target IS NULL THEN 'delete' WHEN e.now IS NULL THEN 'restore'
    ELSE 'update' END,
  jsonb_strip_nulls(jsonb_build_object('name', i.image -> 'name', 'revision', i.image -> 'current_revision',
    'version', i.image -> 'version', 'notion_page_id', i.image -> 'notion_page_id')), w.rollback_id
FROM (SELECT tbl, id, now, target, false AS is_link FROM net WHERE tbl IN (%s)
  UNION ALL %s
  UNION ALL SELECT DISTINCT 'datasets', id, NULL::jsonb, NULL::jsonb, true FROM undoing
    WHERE tbl = 'measurements') AS e
CROSS JOIN LATERAL (SELECT coalesce(e.target, e.now, '{}') AS image) AS i
CROSS JOIN LATERAL (SELECT u.rollback_id FROM undone AS u JOIN undoing AS x ON x.place = u.place
  WHERE x.id = e.id OR x.other = e.id ORDER BY u.place DESC LIMIT 1) AS w
WHERE e.tbl = ANY($1::text[]) OR EXISTS (SELECT FROM outbox AS o JOIN undone AS u ON u.run_id = o.run_id
  WHERE o.entity_id = e.id::uuid AND o.entity_type = e.tbl)
ORDER BY e.tbl, e.id, e.is_link]]):format(table.concat(TABLES, ", "), table.concat(OWNERS, "\n  UNION ALL "))

local WAS_TOLD = [[
SELECT EXISTS (SELECT FROM undone AS u JOIN outbox AS o ON o.run_id = u.run_id) AS was_told]]

--- Writes what other systems have to learn.
---@param conn table
---@param outbox boolean|table<string, boolean>|nil they are told of everything, or of changes in these tables; else
--- only of what they were told of before
---@return integer count
function M.tell(conn, outbox)
  local told = {}
  for _, tbl in ipairs(tables.LIST) do
    told[#told + 1] = tbl.told and changes_of.is_told(outbox, tbl.name) and tbl.name or nil
  end
  if #told == 0 and not conn:query(WAS_TOLD)[1].was_told then
    return 0
  end
  return conn:query(TELL, pg.array(told, "text")).affected
end

return M
