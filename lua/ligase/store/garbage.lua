--- Freeing the rows of revisions that nobody needs any more.
---
--- A revision that counts is never freed. Beyond that nobody needs one that is older than so
--- many newer ones, or than so many days, unless it has scores, or a rollback would make it
--- count again. What is freed is gone for good: the journal says so, and runs that would need
--- it can no longer be undone.
local changes_of = require "ligase.store.changes"
local errors = require "ligase.base.errors"
local options_of = require "ligase.base.options"
local pg = require "pg"
local runs = require "ligase.store.runs"
local sys = require "sys"

local M = {}

local OPTIONS = { keep = { type = "number" }, older_than = { type = "number" }, scores = { type = "boolean" },
  rollbacks = { type = "boolean" }, dry_run = { type = "boolean" } }

---@class ligase.spare_revision
---@field dataset_id string
---@field name string
---@field omics_type string
---@field revision integer
---@field rows integer
---@field why "scores"|"rollback"|nil why it is kept all the same

--- Of each dataset the revision that undoing the last run that moved the number would make
--- count again.
local BEFORE_LAST = [[
SELECT DISTINCT ON (dataset_id) dataset_id, revision FROM (
  SELECT (c.change ->> 'id')::uuid AS dataset_id, (c.change -> 'before' ->> 'current_revision')::int AS revision,
    r.finished_at, r.id
  FROM runs AS r CROSS JOIN LATERAL (SELECT r.changes UNION ALL SELECT p.changes FROM runs AS p
    WHERE p.batch_id = r.id AND p.arguments ->> 'piece_of' = r.id::text) AS e
  CROSS JOIN LATERAL jsonb_array_elements(e.changes) AS c (change)
  WHERE r.outcome = 'done' AND r.arguments -> 'piece_of' IS NULL AND jsonb_typeof(e.changes) = 'array'
    AND c.change ->> 'table' = 'datasets' AND jsonb_typeof(c.change -> 'before') = 'object') AS b
JOIN datasets AS d ON d.id = b.dataset_id AND d.current_revision IS DISTINCT FROM b.revision
ORDER BY dataset_id, b.finished_at DESC, b.id DESC]]

local SPARE = ([[
WITH ranked AS (
  SELECT r.dataset_id, d.omics_type, d.name, r.revision, r.row_count, r.created_at, d.current_revision,
    row_number() OVER (PARTITION BY r.dataset_id ORDER BY r.revision DESC) AS rank
  FROM revisions AS r JOIN datasets AS d ON d.id = r.dataset_id),
before_last AS MATERIALIZED (%s)
SELECT k.dataset_id, k.omics_type, k.name, k.revision, k.row_count AS rows,
  CASE WHEN NOT $3 AND EXISTS (SELECT FROM dataset_signatures AS x
      WHERE x.dataset_id = k.dataset_id AND x.revision = k.revision) THEN 'scores'
    WHEN NOT $4 AND EXISTS (SELECT FROM before_last AS b
      WHERE b.dataset_id = k.dataset_id AND b.revision = k.revision) THEN 'rollback' END AS why
FROM ranked AS k
WHERE k.revision IS DISTINCT FROM k.current_revision AND ($1::int IS NULL OR k.rank > $1)
  AND ($2::float8 IS NULL OR k.created_at < now() - $2 * interval '1 day')
ORDER BY k.name, k.omics_type, k.revision]]):format(BEFORE_LAST)

--- Rows of datasets that a rollback removed.
local SET_ASIDE = [[
SELECT s.dataset_id, s.revision, s.row_count AS rows, s.run_id, CASE WHEN NOT $2 THEN 'rollback' END AS why
FROM set_aside_revisions AS s JOIN runs AS r ON r.id = s.run_id
WHERE ($1::float8 IS NULL OR r.finished_at < now() - $1 * interval '1 day')
  AND EXISTS (SELECT FROM measurements AS m WHERE m.dataset_id = s.dataset_id AND m.revision = s.revision)
ORDER BY 1, 2]]

local ALIASES = [[
SELECT a.run_id, a.source, count(*) AS rows FROM aliases_set_aside AS a JOIN runs AS r ON r.id = a.run_id
WHERE $1::float8 IS NULL OR r.finished_at < now() - $1 * interval '1 day' GROUP BY 1, 2 ORDER BY 2, 1]]

local SIZE = [[
SELECT pg_total_relation_size('measurements') AS bytes, greatest(c.reltuples, 1)::float8 AS rows
FROM pg_class AS c WHERE c.oid = 'measurements'::regclass]]

local function check(options)
  if not options.keep and not options.older_than then
    errors.raise { kind = "usage", code = "usage", message = "it is not said what is to be kept",
      hint = "Say --keep N revisions of each dataset, or --older-than DAYS" }
  end
end

local function split(found, freed, kept)
  for _, revision in ipairs(found) do
    if revision.why == pg.null then
      freed[#freed + 1] = revision
    else
      kept[#kept + 1] = revision
    end
  end
end

local function spare(conn, options)
  local freed, kept = {}, {}
  split(conn:query(SPARE, options.keep or pg.null, options.older_than or pg.null, options.scores == true,
    options.rollbacks == true), freed, kept)
  split(conn:query(SET_ASIDE, options.older_than or pg.null, options.rollbacks == true), freed, kept)
  local aliases = options.rollbacks and conn:query(ALIASES, options.older_than or pg.null) or {}
  return freed, kept, table.move(aliases, 1, #aliases, 1, {})
end

local LOCK = "SELECT pg_advisory_xact_lock(key) FROM unnest($1::int8[]) AS key"

--- Rollbacks wait, and so does whoever ingests one of the datasets.
local function lock(conn, revisions)
  conn:query("SELECT pg_advisory_xact_lock($1::int8)", sys.hash64 "rollback")
  local keys, seen = {}, {}
  for _, revision in ipairs(revisions) do
    if revision.name and not seen[revision.dataset_id] then
      seen[revision.dataset_id] = true
      keys[#keys + 1] = sys.hash64("dataset\0" .. revision.omics_type .. "\0" .. revision.name)
    end
  end
  table.sort(keys)
  conn:query(LOCK, pg.int8_array(keys))
end

local DELETE = "DELETE FROM %s WHERE dataset_id = $1 AND revision = $2"

local function free(conn, revision, counts)
  local function delete(tbl)
    return conn:query(conn:prepare(DELETE:format(tbl)), revision.dataset_id, revision.revision).affected
  end
  counts.rows = counts.rows + delete "measurements"
  counts.scores = counts.scores + delete "dataset_signatures"
  delete "revisions"
  return { table = "revisions", id = revision.dataset_id, revision = revision.revision, deleted = true,
    before = { rows = revision.rows } }
end

local function sizes(conn, rows)
  local size = conn:query(SIZE)[1]
  return math.tointeger(size.bytes * math.min(1, rows / size.rows) // 1) or 0
end

local function free_all(conn, options)
  local run = runs.new("gc", nil, { keep = options.keep, older_than = options.older_than, scores = options.scores,
    rollbacks = options.rollbacks })
  local first = spare(conn, options)
  lock(conn, first)
  local freed, kept, aliases = spare(conn, options)
  local counts, changes, total = { revisions = #freed, rows = 0, scores = 0, alias_rows = 0 }, {}, 0
  for _, revision in ipairs(freed) do
    total = total + revision.rows
  end
  for _, tbl in ipairs(aliases) do
    counts.alias_rows = counts.alias_rows + tbl.rows
  end
  local report = { freed = freed, kept = kept, aliases = aliases, counts = counts, bytes = sizes(conn, total),
    run_id = run.id }
  if options.dry_run then
    counts.rows = total
    return report
  end
  for i, revision in ipairs(freed) do
    changes[i] = free(conn, revision, counts)
  end
  for _, tbl in ipairs(aliases) do
    conn:query("DELETE FROM aliases_set_aside WHERE run_id = $1 AND source = $2", tbl.run_id, tbl.source)
    changes[#changes + 1] = { table = "aliases_set_aside", id = tbl.run_id, deleted = true,
      before = { rows = tbl.rows } }
  end
  conn:query(runs.INSERT, runs.parameters(run, #changes > 0 and "done" or "unchanged", { counts = counts,
    changes = changes_of.encode(changes) }))
  return report
end

--- Frees what nobody needs, in one transaction.
---@param conn table
---@param options {keep: integer|nil, older_than: number|nil, scores: boolean|nil, rollbacks: boolean|nil,
--- dry_run: boolean|nil} keep: so many newest revisions of each dataset; older_than: days; scores: also revisions that
--- have scores, with these; rollbacks: also what only a rollback would need
---@return {freed: ligase.spare_revision[], kept: ligase.spare_revision[], aliases: table[], counts: table,
--- bytes: integer, run_id: string} report kept: what the rules spare, with the reason; bytes: about
function M.collect(conn, options)
  options = options_of.check(options, OPTIONS, "garbage.collect")
  check(options)
  return conn:transaction(free_all, conn, options)
end

return M
