--- The outbox: what other systems still have to learn, row by row.
---
--- A relay claims the lowest open row of an entity for a while (a lease), tells the other
--- system, and finishes the row; who lost the lease finishes nothing. What is told is the
--- entity as it is then, so that its newer rows are settled with it. A row that was given
--- up (dead) does not hold back newer ones.
local errors = require "ligase.base.errors"
local json = require "ligase.base.json"
local kinds = require "ligase.store.entity_kinds"
local pg = require "pg"
local sys = require "sys"

local M = {}

---@class ligase.outbox_claim
---@field id integer
---@field entity_type string
---@field entity_id string
---@field action "create"|"update"|"delete"|"restore"
---@field attempts integer failed deliveries so far
---@field payload table
---@field lease string

-- ---- claiming --------------------------------------------------------------

--- $1 token, $2 seconds, $3 types that are mirrored, $4 types that are when a row asks for it,
--- $5 the only entities, or NULL.
local CLAIM = [[
WITH candidate AS MATERIALIZED (
  SELECT o.id FROM outbox AS o
  WHERE o.state = 'pending' AND o.target = 'notion' AND o.available_at <= now()
    AND (o.entity_type = ANY($3::text[]) OR o.entity_type = ANY($4::text[]) AND o.payload @> '{"asked": true}')
    AND ($5::uuid[] IS NULL OR o.entity_id = ANY($5))
    AND NOT EXISTS (SELECT FROM outbox AS e WHERE e.entity_id = o.entity_id AND e.target = o.target
      AND e.entity_type = o.entity_type AND (e.state = 'running' OR e.state = 'pending' AND e.id < o.id))
  ORDER BY o.available_at, o.id LIMIT 1 FOR UPDATE OF o SKIP LOCKED)
UPDATE outbox AS o SET state = 'running', lease = $1, lease_until = now() + $2 * interval '1 second', waits_for = NULL,
  payload = o.payload - 'idle'
FROM candidate AS c WHERE o.id = c.id
RETURNING o.id, o.entity_type, o.entity_id, o.action, o.attempts, o.payload, o.lease]]

--- The lease of a relay that died is over: the row is open again. The failure counts, because the
--- row itself may be what ends relays, unless the relay only waited for its turn (`idle`).
--- $1 attempts at most, $2 the kinds' names by table.
local TAKE_UP = [[
WITH lost AS MATERIALIZED (
  SELECT id, attempts + CASE WHEN payload ? 'idle' THEN 0 ELSE 1 END AS attempts, payload ? 'idle' AS is_idle,
    format('%s ''%s''', $2::jsonb ->> entity_type, coalesce(payload ->> 'name', entity_id::text)) AS about
  FROM outbox WHERE state = 'running' AND lease_until < now() FOR UPDATE SKIP LOCKED)
UPDATE outbox AS o SET state = CASE WHEN l.attempts >= $1 THEN 'dead' ELSE 'pending' END, lease = NULL,
  lease_until = NULL, attempts = l.attempts, finished_at = CASE WHEN l.attempts >= $1 THEN now() END,
  payload = o.payload - 'idle', last_error = CASE WHEN l.attempts >= $1 THEN format('%s: given up after %s attempts; '
    'the relay that had it last ended without a word (killed, or out of memory) and may have told Notion. See what '
    'ended it; a page that was made is found again by: ligase outbox --retry %s', l.about, l.attempts, o.id)
    WHEN l.is_idle THEN o.last_error
    ELSE format('%s: the relay that had it ended without a word (attempt %s of %s)', l.about, l.attempts, $1) END
FROM lost AS l WHERE o.id = l.id RETURNING o.state, o.last_error]]

local function kind_names()
  local names = {}
  for _, name in ipairs { "program", "experiment", "dataset", "signature", "compound", "campaign" } do
    names[kinds.get(name).table] = name
  end
  return json.encode(names)
end

local KIND_NAMES = kind_names()

local UNIQUE_VIOLATION = "23505"

--- Claims the next row that can go.
---@param conn table
---@param which {types: string[], asked: string[], entities: string[]|nil, lease_s: number} types: whose rows go;
--- asked: whose rows go when they were asked for one by one; entities: only these
---@return ligase.outbox_claim|nil
function M.claim(conn, which)
  local claimed, result = errors.try(conn.query, conn, conn:prepare(CLAIM), sys.uuid7(), which.lease_s,
    pg.array(which.types, "text"), pg.array(which.asked, "text"), which.entities and pg.array(which.entities, "uuid")
    or pg.null)
  if claimed then
    return result[1]
  elseif errors.is(result, "database") and result.code == UNIQUE_VIOLATION then
    return nil -- another relay has the entity by a row that was not visible yet
  end
  error(result, 0)
end

--- Opens rows again whose relay died, or gives them up.
---@param conn table
---@param attempts_most integer
---@return string[] reasons of those that were given up
function M.take_up(conn, attempts_most)
  local reasons = {}
  for _, row in ipairs(conn:query(conn:prepare(TAKE_UP), attempts_most, KIND_NAMES)) do
    reasons[#reasons + 1] = row.state == "dead" and row.last_error or nil
  end
  return reasons
end

local RENEW = [[
UPDATE outbox SET lease_until = now() + $3 * interval '1 second',
  payload = CASE WHEN $4::bool THEN payload || '{"idle": true}' ELSE payload - 'idle' END
WHERE id = $1 AND lease = $2 AND state = 'running']]

--- Holds a claim for longer.
---@param conn table
---@param claim ligase.outbox_claim
---@param lease_s number
---@param is_idle boolean the relay waits for its turn: when it dies meanwhile, that is not the change's fault
---@return boolean held false: it is somebody else's by now
function M.renew(conn, claim, lease_s, is_idle)
  return conn:query(conn:prepare(RENEW), claim.id, claim.lease, lease_s, is_idle).affected == 1
end

-- ---- finishing -------------------------------------------------------------

local FINISH = [[
UPDATE outbox SET state = $3, finished_at = CASE WHEN $3 = 'pending' THEN NULL ELSE now() END, lease = NULL,
  lease_until = NULL, attempts = attempts + $4, available_at = now() + $5 * interval '1 second', last_error = $6,
  waits_for = $7
WHERE id = $1 AND lease = $2 AND state = 'running']]

--- Ends a claim.
---@param conn table
---@param claim ligase.outbox_claim
---@param result {state: "done"|"pending"|"dead", failed: boolean|nil, after_s: number|nil, reason: string|nil,
--- waits_for: string|nil} failed: counts as an attempt; after_s: not to be tried before
---@return boolean held false: it is somebody else's by now, and nothing was changed
function M.finish(conn, claim, result)
  return conn:query(conn:prepare(FINISH), claim.id, claim.lease, result.state, result.failed and 1 or 0,
    result.after_s or 0, result.reason or pg.null, result.waits_for or pg.null).affected == 1
end

local ADD = "UPDATE outbox SET payload = payload || $3 WHERE id = $1 AND lease = $2"

--- Adds to what is noted of a change.
---@param conn table
---@param claim ligase.outbox_claim
---@param payload string JSON, an object
function M.add(conn, claim, payload)
  conn:query(conn:prepare(ADD), claim.id, claim.lease, payload)
end

local SUPERSEDE = [[
UPDATE outbox SET state = 'superseded', finished_at = now()
WHERE id = ANY($1::int8[]) AND id <> $2 AND state IN ('pending', 'dead')]]

--- Settles the other rows of an entity that was told as it is.
---@param conn table
---@param claim ligase.outbox_claim
---@param ids integer[] those that were visible when the entity was read
function M.supersede(conn, claim, ids)
  if #ids > 1 then
    conn:query(conn:prepare(SUPERSEDE), pg.int8_array(ids), claim.id)
  end
end

local GO_ON = [[
UPDATE outbox SET available_at = now(), waits_for = NULL WHERE id = $1 AND state = 'pending'
  AND EXISTS (SELECT FROM %s AS t WHERE t.id = waits_for AND t.notion_page_id IS NOT NULL)]]

--- Has a row that waits for an entity's page go when the page came in between.
---@param conn table
---@param claim ligase.outbox_claim
---@param entity_type string of what it waits for
function M.go_on(conn, claim, entity_type)
  conn:query(conn:prepare(GO_ON:format(entity_type)), claim.id)
end

local WAKE = "UPDATE outbox SET available_at = now(), waits_for = NULL WHERE waits_for = $1 AND state = 'pending'"

--- Lets those go that waited for an entity's page.
---@param conn table
---@param entity_id string
function M.wake(conn, entity_id)
  conn:query(conn:prepare(WAKE), entity_id)
end

-- ---- telling ---------------------------------------------------------------

local TELL = [[
INSERT INTO outbox (entity_type, entity_id, action, payload)
SELECT $1, $2, $3, $4 WHERE NOT EXISTS (SELECT FROM outbox
  WHERE entity_id = $2::uuid AND target = 'notion' AND entity_type = $1
    AND (state IN ('pending', 'running') OR state = 'dead' AND NOT $5))]]

--- Puts an entity into the outbox, unless something is open for it.
---@param conn table
---@param entity_type string
---@param entity_id string
---@param action "create"|"update"|"delete"|"restore"
---@param payload string JSON
---@param again boolean|nil also when a change of it was given up
---@return boolean told
function M.tell(conn, entity_type, entity_id, action, payload, again)
  return conn:query(conn:prepare(TELL), entity_type, entity_id, action, payload, again == true).affected == 1
end

-- ---- looking ---------------------------------------------------------------

local COUNTS = "SELECT state, count(*) AS n FROM outbox WHERE target = 'notion' GROUP BY state"

--- How many rows are in which state.
---@param conn table
---@return table<string, integer> by state, 0 for none
function M.counts(conn)
  local counts = { pending = 0, running = 0, done = 0, superseded = 0, dead = 0, discarded = 0 }
  for _, row in ipairs(conn:query(COUNTS)) do
    counts[row.state] = row.n
  end
  return counts
end

local BY_TYPE = [[
SELECT entity_type, count(*) AS n FROM outbox WHERE target = 'notion' AND state = 'pending'
  AND NOT payload @> '{"asked": true}' GROUP BY entity_type]]

--- How many changes wait of each type, those left out that were asked for one by one.
---@param conn table
---@return table<string, integer>
function M.pending_by_type(conn)
  local counts = {}
  for _, row in ipairs(conn:query(BY_TYPE)) do
    counts[row.entity_type] = row.n
  end
  return counts
end

local ASKED = [[
SELECT DISTINCT entity_id FROM outbox WHERE target = 'notion' AND state IN ('pending', 'running')
  AND payload @> '{"asked": true}']]

--- The entities whose pages were asked for one by one and are not there yet.
---@param conn table
---@return string[] ids
function M.asked(conn)
  local ids = {}
  for i, row in ipairs(conn:query(ASKED)) do
    ids[i] = row.entity_id
  end
  return ids
end

local COMING = [[
SELECT EXISTS (SELECT FROM outbox WHERE target = 'notion' AND state IN ('pending', 'running')
  AND entity_id = ANY($1::uuid[])) AS yes]]

--- Whether something is to be delivered of one of these entities.
---@param conn table
---@param ids string[]
---@return boolean
function M.is_coming(conn, ids)
  return conn:query(conn:prepare(COMING), pg.array(ids, "uuid"))[1].yes
end

local OPEN = [[
SELECT count(*) FILTER (WHERE state = 'pending' AND available_at <= now()) AS ready,
  count(*) FILTER (WHERE state = 'pending' AND available_at > now()) AS later,
  count(*) FILTER (WHERE state = 'running') AS running, count(*) FILTER (WHERE state = 'dead') AS dead,
  count(*) FILTER (WHERE state = 'pending' AND waits_for IS NOT NULL) AS waiting,
  extract(epoch FROM min(available_at) FILTER (WHERE state = 'pending') - now())::float8 AS next_s,
  extract(epoch FROM now() - min(created_at) FILTER (WHERE state = 'pending'))::float8 AS oldest_s,
  (array_agg(last_error ORDER BY id DESC) FILTER (WHERE state IN ('pending', 'dead') AND last_error IS NOT NULL))[1]
    AS last_error
FROM outbox AS o WHERE target = 'notion' AND state IN ('pending', 'running', 'dead')
  AND ($1::text[] IS NULL OR o.entity_type = ANY($1::text[])
    OR o.entity_type = ANY($2::text[]) AND o.payload @> '{"asked": true}')
  AND ($3::uuid[] IS NULL OR entity_id = ANY($3))]]

--- What is open: ready to go, to be tried later, with a relay now, given up.
---@param conn table
---@param which {types: string[], asked: string[], entities: string[]|nil}|nil as for claim; all without it
---@return {ready: integer, later: integer, running: integer, dead: integer, waiting: integer, next_s: number|pg.null,
--- oldest_s: number|pg.null, last_error: string|pg.null}
function M.open(conn, which)
  which = which or {}
  return conn:query(conn:prepare(OPEN), which.types and pg.array(which.types, "text") or pg.null,
    which.asked and pg.array(which.asked, "text") or pg.null,
    which.entities and pg.array(which.entities, "uuid") or pg.null)[1]
end

local LIST = [[
SELECT id, entity_type AS entity, coalesce(payload ->> 'name', left(entity_id::text, 13)) AS name, action, state,
  attempts, to_char(available_at, 'YYYY-MM-DD HH24:MI:SS') AS not_before, last_error AS reason
FROM outbox WHERE target = 'notion'
  AND (state = 'dead' OR state = 'pending' AND last_error IS NOT NULL OR $2 AND state IN ('pending', 'running'))
ORDER BY state = 'dead' DESC, id LIMIT $1]]

--- Rows that need a look: given up, or waiting for a reason.
---@param conn table
---@param limit integer
---@param all boolean|nil also those that simply wait for their turn
---@return table result as conn:table gives it
function M.list(conn, limit, all)
  return conn:table(LIST, limit, all == true)
end

local AGAIN = [[
UPDATE outbox SET state = 'pending', attempts = 0, available_at = now(), finished_at = NULL, waits_for = NULL
WHERE target = 'notion' AND (state = 'dead' OR state = 'pending' AND (last_error IS NOT NULL OR available_at > now()))
  AND ($1::int8 IS NULL OR id = $1)]]

--- Has rows tried again at once: those given up, and those that wait.
---@param conn table
---@param id integer|nil only this one
---@return integer count
function M.try_again(conn, id)
  return conn:query(AGAIN, id or pg.null).affected
end

local DISCARD = [[
UPDATE outbox SET state = 'discarded', finished_at = now(), waits_for = NULL
WHERE target = 'notion' AND id = $1 AND state IN ('dead', 'pending')]]

--- Gives a change up for good: the other system will not learn it.
---@param conn table
---@param id integer
---@return boolean done false when it is not open
function M.discard(conn, id)
  return conn:query(DISCARD, id).affected == 1
end

return M
