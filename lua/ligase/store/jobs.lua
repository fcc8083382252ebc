--- The queue: files waiting to be ingested, in batches.
---
--- A worker claims a file with FOR UPDATE SKIP LOCKED and ingests it in the same
--- transaction, which also marks the job as done. There is no state in between: a worker
--- that dies leaves the file as it was, and one that lives leaves it done. Nothing has to
--- be taken back, and no file can be done twice.
local errors = require "ligase.base.errors"
local json = require "ligase.base.json"
local pg = require "pg"
local runs = require "ligase.store.runs"
local sys = require "sys"

local M = {}

--- Small files are claimed two at a time, the second one to be looked at while the first
--- is stored. It is given back with the first one's COMMIT, so that no large file ever
--- waits behind another.
local SMALL_BYTES = 1 << 20

--- Files queued by one statement.
local QUEUED_AT_ONCE = 5000

---@class ligase.job
---@field id integer
---@field batch_id string
---@field source string absolute path
---@field name string the dataset it becomes
---@field recipe string|nil path or name of its recipe
---@field arguments string its options as JSON
---@field command string what the journal calls it
---@field phase string|nil that is stored in the database when the file is claimed

---@class ligase.queued_file
---@field path string absolute
---@field name string
---@field size_bytes integer
---@field modified_s number since 1970

-- ---- queueing --------------------------------------------------------------

--- Held while a batch is put together: the same command typed twice makes one batch.
local LOCK = "SELECT pg_advisory_xact_lock($1)"

local UNFINISHED = [[
SELECT batch_id FROM jobs WHERE batch_key = $1 AND state = 'pending' ORDER BY id DESC LIMIT 1]]

local BEGAN = "SELECT clock_timestamp()::text AS at"

--- Only what is new or has changed since is written: a row that a worker has claimed must
--- not be waited for.
local QUEUE = [[
INSERT INTO jobs (batch_id, batch_key, hostname, command, recipe, arguments, source, name, source_bytes,
  source_modified)
SELECT $1, $2, $3, $4, $5, $6, f.source, f.name, f.source_bytes, to_timestamp(f.modified_s)
FROM unnest($7::text[], $8::text[], $9::int8[], $10::float8[]) WITH ORDINALITY
  AS f (source, name, source_bytes, modified_s, place)
LEFT JOIN jobs AS j ON j.batch_id = $1 AND j.source = f.source
WHERE j.id IS NULL OR j.state IN ('done', 'dead', 'cancelled')
  AND (j.source_bytes, j.source_modified) IS DISTINCT FROM (f.source_bytes, to_timestamp(f.modified_s))
ORDER BY f.place
ON CONFLICT (batch_id, source) DO UPDATE SET state = 'pending', name = excluded.name,
  source_bytes = excluded.source_bytes, source_modified = excluded.source_modified, arguments = excluded.arguments,
  recipe = excluded.recipe]]

--- Of a file that is queued again, what was set aside earlier need not be taken up.
local SUPERSEDE = [[
UPDATE jobs SET state = 'cancelled' WHERE state = 'dead' AND batch_id <> $1 AND hostname = $2
  AND source = ANY($3::text[])]]

local function in_order(files)
  local sorted = table.move(files, 1, #files, 1, {})
  -- Large files first, the largest of all at the beginning: nothing long is left for the end.
  table.sort(sorted, function(a, b)
    local large_a, large_b = a.size_bytes > SMALL_BYTES, b.size_bytes > SMALL_BYTES
    if large_a and large_b and a.size_bytes ~= b.size_bytes then
      return a.size_bytes > b.size_bytes
    elseif large_a ~= large_b then
      return large_a
    end
    return a.path < b.path
  end)
  return sorted
end

local function queue_some(conn, batch, files, first, last)
  local sources, names, bytes, modified = {}, {}, {}, {}
  for i = first, last do
    local file = files[i]
    sources[#sources + 1], names[#names + 1] = file.path, file.name
    bytes[#bytes + 1], modified[#modified + 1] = file.size_bytes, file.modified_s
  end
  sources = pg.array(sources)
  conn:query(QUEUE, batch.id, batch.key, sys.hostname(), batch.command, batch.recipe or pg.null, batch.arguments,
    sources, pg.array(names), pg.array(bytes), pg.array(modified))
  conn:query(SUPERSEDE, batch.id, sys.hostname(), sources)
end

--- The batch that a command works on: the unfinished one of the same key, or a new one.
--- `began` is the server's clock, by which the batch's files are told from those that an
--- earlier command finished.
local function open_batch(conn, batch)
  conn:query(LOCK, sys.hash64("batch\0" .. batch.key))
  local open = conn:query(UNFINISHED, batch.key)[1]
  batch.id, batch.continued = open and open.batch_id or sys.uuid7(), open ~= nil
  batch.began = conn:query(BEGAN)[1].at
end

--- Queues files as one batch. When a batch of the same key is unfinished, the files join
--- it: those that are done stay done, unless they have changed since.
---@param conn table
---@param batch {key: string, command: string, recipe: string|nil, arguments: string} arguments: JSON;
--- gets `id`, `began` and `continued`
---@param files ligase.queued_file[]
function M.queue(conn, batch, files)
  files = in_order(files)
  conn:transaction(function()
    open_batch(conn, batch)
    for first = 1, #files, QUEUED_AT_ONCE do
      queue_some(conn, batch, files, first, math.min(first + QUEUED_AT_ONCE - 1, #files))
    end
  end)
end

-- ---- taking up what was set aside ------------------------------------------

--- Also what an earlier retry left; what a worker has claimed is its own. The latest job of
--- each source counts and settles the others.
local TAKE_UP = [[
WITH found AS MATERIALIZED (SELECT id, source FROM jobs
  WHERE (state = 'dead' AND hostname = $3 OR state = 'pending' AND batch_key = $2)
    AND ($4::text[] IS NULL OR source = ANY($4)) FOR UPDATE SKIP LOCKED),
ranked AS (SELECT id, row_number() OVER (PARTITION BY source ORDER BY id DESC) = 1 AS is_latest FROM found)
UPDATE jobs AS j SET batch_id = CASE WHEN r.is_latest THEN $1 ELSE j.batch_id END,
  state = CASE WHEN r.is_latest THEN 'pending' ELSE 'cancelled' END,
  batch_key = CASE WHEN r.is_latest THEN $2 ELSE j.batch_key END, arguments = j.arguments || $5::jsonb,
  recipe = coalesce($6, j.recipe)
FROM ranked AS r WHERE j.id = r.id]]

--- Takes up what was set aside, as a batch of its own.
---@param conn table
---@param batch {key: string, arguments: string, recipe: string|nil} arguments: JSON of the options that are to be
--- other than they were; gets `id` and `began`
---@param sources string[]|nil only these; nil: all that this machine queued
function M.take_up(conn, batch, sources)
  conn:transaction(function()
    conn:query(LOCK, sys.hash64("batch\0" .. batch.key))
    batch.id, batch.began = sys.uuid7(), conn:query(BEGAN)[1].at
    conn:query(TAKE_UP, batch.id, batch.key, sys.hostname(), sources and pg.array(sources) or pg.null, batch.arguments,
      batch.recipe or pg.null)
  end)
end

--- Notes a file that was ingested without a queue as set aside, so that it can be taken up.
---@param conn table
---@param batch {key: string, id: string|nil, command: string, recipe: string|nil, arguments: string}
---@param file ligase.queued_file
---@param failure any
function M.note_failure(conn, batch, file, failure)
  errors.try(conn.transaction, conn, function()
    batch.id = batch.id or sys.uuid7()
    queue_some(conn, batch, { file }, 1, 1)
    conn:query("UPDATE jobs SET state = 'dead', attempts = 1, finished_at = clock_timestamp(), last_error = $3 "
      .. "WHERE batch_id = $1 AND source = $2", batch.id, file.path, json.encode(runs.error_fields(failure)))
  end)
end

-- ---- working ---------------------------------------------------------------

local FIELDS = "id, batch_id, source, name, recipe, arguments::text AS arguments, command, source_bytes, "
  .. "(SELECT phase FROM lab_phase) AS phase"

--- $1 a job's id, after which to look; $2 the size of small files; $3 the batch, where one
--- is meant.
local CLAIM = ([[
WITH claimed AS MATERIALIZED (
  SELECT $FIELDS FROM jobs WHERE state = 'pending' AND id > $1 $BATCH
  ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED),
following AS MATERIALIZED (
  SELECT $FIELDS FROM jobs WHERE state = 'pending' AND id > (SELECT id FROM claimed) $BATCH
    AND source_bytes <= $2 AND (SELECT source_bytes FROM claimed) <= $2
  ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
SELECT * FROM claimed UNION ALL SELECT * FROM following]]):gsub("%$FIELDS", FIELDS)

local CLAIM_OF_BATCH = CLAIM:gsub("%$BATCH", "AND batch_id = $3")
local CLAIM_OF_ANY = CLAIM:gsub("%$BATCH", "")

local FINISH = [[
UPDATE jobs SET state = $2, outcome = $3, run_id = $4, dataset_id = $5, worker = $6, last_error = $7,
  attempts = attempts + (CASE WHEN $2 = 'dead' THEN 1 ELSE 0 END), started_at = now(), finished_at = clock_timestamp()
WHERE id = $1]]

local LEFT = "SELECT EXISTS (SELECT FROM jobs WHERE state = 'pending' AND ($1::uuid IS NULL OR batch_id = $1)) AS left"

---@class ligase.claims
---@field conn table
---@field batch_id string|nil
---@field job ligase.job|nil claimed in the open transaction
---@field following ligase.job|nil probably the next one
---@field cursor integer id of the job claimed last
---@field skip integer pending files that the first claim passes over
local Claims = {}
Claims.__index = Claims

--- Claims on the files of one batch, or of any.
---@param conn table
---@param batch_id string|nil
---@param skip integer|nil so many of the first files are left for later: one of them may be what killed the worker
--- before
---@return ligase.claims
function M.claims(conn, batch_id, skip)
  return setmetatable({ conn = conn, batch_id = batch_id, cursor = 0, skip = skip or 0,
    worker = ("%s:%d"):format(sys.hostname(), sys.pid()) }, Claims)
end

local function queue_claim(self, p)
  if self.batch_id then
    return p:query(self.conn:prepare(CLAIM_OF_BATCH), self.cursor, SMALL_BYTES, self.batch_id)
  end
  return p:query(self.conn:prepare(CLAIM_OF_ANY), self.cursor, SMALL_BYTES)
end

--- Takes the claim's rows; nothing claimed leaves no transaction open. Ids only grow, and
--- looking after the last one spares going through all that are done; what was put back
--- meanwhile lies before it.
local function take(self, rows)
  self.job, self.following = rows[1], rows[2]
  if self.job then
    self.cursor = self.job.id
    return self.job
  end
  self.conn:rollback()
  if self.cursor > 0 then
    self.cursor = 0
    return self:claim()
  end
end

local SKIPPED = [[
SELECT id FROM jobs WHERE state = 'pending' AND ($1::uuid IS NULL OR batch_id = $1) ORDER BY id LIMIT 1 OFFSET $2]]

--- Moves the cursor behind the files that are to be passed over.
local function pass_over(self)
  local last = self.conn:query(SKIPPED, self.batch_id or pg.null, self.skip - 1)[1]
  self.cursor, self.skip = last and last.id or 0, 0
end

--- Begins a transaction and claims a file in it.
---@return ligase.job|nil job nil when there is none to be had, and no transaction then
function Claims:claim()
  if self.skip > 0 then
    pass_over(self)
  end
  local place
  local results = self.conn:pipeline(function(p)
    p:query("BEGIN ISOLATION LEVEL READ COMMITTED")
    place = queue_claim(self, p)
  end)
  return take(self, results[place])
end

local function text_or_null(value)
  return value == nil and pg.null or value
end

--- Marks the claimed file, ends the transaction, and claims the next one, in one round
--- trip: what was looked at ahead is hardly ever another worker's by then.
---@param result {state: "done"|"dead", outcome: string|nil, run_id: string|nil, dataset_id: string|nil,
--- failure: any}
---@param is_last boolean|nil no other one is claimed
---@return ligase.job|nil job
function Claims:finish(result, is_last)
  local failure = result.failure ~= nil and json.encode(runs.error_fields(result.failure)) or nil
  local place
  local results = self.conn:pipeline(function(p)
    p:query(self.conn:prepare(FINISH), self.job.id, result.state, text_or_null(result.outcome),
      text_or_null(result.run_id), text_or_null(result.dataset_id), self.worker, text_or_null(failure))
    p:query("COMMIT")
    if not is_last then
      p:query("BEGIN ISOLATION LEVEL READ COMMITTED")
      place = queue_claim(self, p)
    end
  end)
  self.job, self.following = nil, nil
  return place and take(self, results[place]) or nil
end

--- Gives the claimed file back. Safe to call on the way out of a failure.
function Claims:give_back()
  self.job, self.following = nil, nil
  errors.try(self.conn.rollback, self.conn)
end

--- Whether files are left that others hold now.
---@return boolean
function Claims:any_left()
  return self.conn:query(self.conn:prepare(LEFT), self.batch_id or pg.null)[1].left
end

-- ---- looking ---------------------------------------------------------------

local COUNTS = [[
SELECT count(*) AS total, count(*) FILTER (WHERE state = 'pending') AS left,
  count(*) FILTER (WHERE state = 'dead') AS dead,
  count(*) FILTER (WHERE state = 'done' AND finished_at < $2::timestamptz) AS before,
  count(*) FILTER (WHERE state = 'done' AND finished_at >= $2::timestamptz AND outcome = 'ingested') AS ingested,
  count(*) FILTER (WHERE state = 'done' AND finished_at >= $2::timestamptz AND outcome = 'unchanged') AS unchanged
FROM jobs WHERE batch_id = $1 AND state <> 'cancelled']]

--- How far a batch is.
---@param conn table
---@param batch {id: string, began: string}
---@return {total: integer, left: integer, dead: integer, before: integer, ingested: integer, unchanged: integer}
function M.counts(conn, batch)
  return conn:query(conn:prepare(COUNTS), batch.id, batch.began)[1]
end

--- The files of a batch that were set aside.
---@param conn table
---@param batch_id string
---@param limit integer
---@return {source: string, error: table}[]
function M.dead(conn, batch_id, limit)
  return conn:query([[
SELECT source, last_error AS error FROM jobs WHERE batch_id = $1 AND state = 'dead' ORDER BY source LIMIT $2]],
    batch_id, limit)
end

--- What became of every file of a batch, in the order of their paths.
---@param conn table
---@param batch_id string
---@return table[]
function M.files(conn, batch_id)
  return conn:query([[
SELECT j.source, j.name, j.state, j.outcome, d.omics_type AS omics, j.dataset_id, v.revision, v.row_count AS rows,
  v.value_count AS values, extract(epoch FROM j.finished_at - j.started_at)::float8 AS seconds, j.last_error AS error
FROM jobs AS j LEFT JOIN datasets AS d ON d.id = j.dataset_id
LEFT JOIN revisions AS v ON v.dataset_id = j.dataset_id
  AND (v.run_id = j.run_id OR j.outcome = 'unchanged' AND v.revision = d.current_revision)
WHERE j.batch_id = $1 AND j.state <> 'cancelled' ORDER BY j.source]], batch_id)
end

return M
