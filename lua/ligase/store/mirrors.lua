--- What is mirrored into another system: entities as they are now, with their links, pages
--- and open outbox rows, and how far their pages are.
local kinds = require "ligase.store.entity_kinds"
local json = require "ligase.base.json"
local pg = require "pg"
local sys = require "sys"

local M = {}

-- ---- entities as they are --------------------------------------------------

local ROWS = "SELECT to_jsonb(t) AS row FROM %s AS t WHERE t.id = ANY($1::uuid[])"

local LINKS = [[
SELECT l.own, e.id, e.name, e.notion_page_id AS page_id
FROM (%s) AS l (own, other, place) JOIN %s AS e ON e.id = l.other ORDER BY l.place, e.name]]

local REVISIONS = [[
SELECT d.id, r.revision, r.row_count AS rows, r.value_count AS values, r.feature_count AS features,
  r.sample_count AS samples, r.source, r.recipe, r.created_at
FROM datasets AS d JOIN revisions AS r ON r.dataset_id = d.id AND r.revision = d.current_revision
WHERE d.id = ANY($1::uuid[])]]

local MIRRORS = [[
SELECT entity_id, page_id, properties, properties_sha256, intended, intent_at, trashed_at, edited_at, conflict, seen,
  extract(epoch FROM delivered_at)::float8 AS delivered_s
FROM mirrors WHERE entity_id = ANY($1::uuid[]) AND entity_type = $2 AND target = 'notion']]

local OPEN_ROWS = [[
SELECT entity_id, id, state <> 'dead' AS is_coming FROM outbox
WHERE entity_id = ANY($1::uuid[]) AND entity_type = $2 AND target = 'notion'
  AND state IN ('pending', 'running', 'dead') ORDER BY id]]

local function links_sql(kind, link)
  local parts = {}
  if link.column then
    parts[1] = ("SELECT id, %s, 0 FROM %s WHERE id = ANY($1::uuid[]) AND %s IS NOT NULL"):format(link.column,
      kind.table, link.column)
  end
  if link.table then
    parts[#parts + 1] = ("SELECT %s, %s, 1 FROM %s WHERE %s = ANY($1::uuid[])"):format(link.own, link.other, link.table,
      link.own)
  end
  local to = kinds.get(link.kind).table
  return LINKS:format(table.concat(parts, " UNION ALL "), to), to
end

local function present(value)
  return value ~= pg.null and value or nil
end

--- Without NULLs: what is not there is nil.
local function plain(row)
  local made = {}
  for name, value in pairs(row) do
    made[name] = present(value)
  end
  return made
end

local function add_links(entities, name, to, rows)
  for _, row in ipairs(rows) do
    local entity = entities[row.own]
    if entity then
      local list = entity.links[name]
      list[#list + 1] = { type = to, id = row.id, name = row.name, page_id = present(row.page_id) }
    end
  end
end

local function queue_reading(conn, kind, p, ids)
  local places = { rows = p:query(conn:prepare(ROWS:format(kind.table)), ids), links = {} }
  for _, name in ipairs(kind.link_order) do
    local sql, to = links_sql(kind, kind.links[name])
    places.links[name] = { place = p:query(conn:prepare(sql), ids), to = to }
  end
  places.revisions = kind.name == "dataset" and p:query(conn:prepare(REVISIONS), ids) or nil
  places.mirrors = p:query(conn:prepare(MIRRORS), ids, kind.table)
  places.open = p:query(conn:prepare(OPEN_ROWS), ids, kind.table)
  return places
end

--- Which page is an entity's. Its row says so, and its mirror only how far that page is, except
--- when the page lies in the trash because the entity was gone: it comes back with it.
--- A page that the mirror still has and the row has not was unlinked: one that carries the
--- entity's id is looked for, as after a lost answer, before another one is made.
local function settle_page(entity)
  local row, mirror = entity.row, entity.mirror
  local linked = row and present(row.notion_page_id)
  local last = mirror and mirror.page_id
  entity.page_id = linked or (not row or mirror and mirror.trashed_at) and last or nil
  if last and not entity.page_id then
    mirror.intent_at = mirror.intent_at or mirror.delivered_s or 0
  end
end

local function assemble(kind, ids, places, results)
  local entities = {}
  for _, id in ipairs(ids) do
    local entity = { type = kind.table, id = id, links = {}, open = {} }
    for _, name in ipairs(kind.link_order) do
      entity.links[name] = {}
    end
    entities[id] = entity
  end
  for _, found in ipairs(results[places.rows]) do
    entities[found.row.id].row = found.row
  end
  for name, link in pairs(places.links) do
    add_links(entities, name, link.to, results[link.place])
  end
  for _, row in ipairs(places.revisions and results[places.revisions] or {}) do
    entities[row.id].revision = plain(row)
  end
  for _, row in ipairs(results[places.mirrors]) do
    entities[row.entity_id].mirror = plain(row)
  end
  for _, row in ipairs(results[places.open]) do
    local entity = entities[row.entity_id]
    table.insert(entity.open, row.id)
    entity.is_coming = entity.is_coming or row.is_coming
  end
  for _, entity in pairs(entities) do
    settle_page(entity)
  end
  return entities
end

--- Entities of one kind as they are now, all from one moment, and which of their outbox rows
--- are open in that moment. One that is not there has no `row`. In a transaction that is open they
--- are as that one sees them.
---@param conn table
---@param kind ligase.entity_kind
---@param ids string[]
---@return table<string, ligase.mirrored_entity> by id
function M.read(conn, kind, ids)
  local list, places = pg.array(ids, "uuid"), nil
  local is_within = conn:transaction_status() == "in transaction"
  local results = conn:pipeline(function(p)
    if not is_within then
      p:query("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    end
    places = queue_reading(conn, kind, p, list)
    if not is_within then
      p:query("COMMIT")
    end
  end)
  return assemble(kind, ids, places, results)
end

--- The server's clock, by which it is noted when pages were told.
---@param conn table
---@return number seconds since 1970
function M.now_s(conn)
  return conn:query("SELECT extract(epoch FROM clock_timestamp())::float8 AS s")[1].s
end

local IDS = "SELECT id FROM %s WHERE ($1::uuid IS NULL OR id > $1) ORDER BY id LIMIT $2"

--- The ids of a kind's entities, in their order, some at a time.
---@param conn table
---@param kind ligase.entity_kind
---@param after string|nil the last one of those before
---@param limit integer
---@return string[]
function M.ids(conn, kind, after, limit)
  local ids = {}
  for i, row in ipairs(conn:query(conn:prepare(IDS:format(kind.table)), after or pg.null, limit)) do
    ids[i] = row.id
  end
  return ids
end

-- ---- pages -----------------------------------------------------------------

local PAGES = [[
SELECT t.id, replace(lower(coalesce(t.notion_page_id, m.page_id)), '-', '') AS page
FROM %s AS t LEFT JOIN mirrors AS m ON m.entity_id = t.id AND m.entity_type = '%s' AND m.target = 'notion'
  AND m.trashed_at IS NOT NULL
WHERE coalesce(t.notion_page_id, m.page_id) IS NOT NULL]]

--- The ids of entities by their pages.
---@param conn table
---@param kind_names string[] of these kinds
---@return table<string, string> ids by the page's id without hyphens
function M.ids_of_pages(conn, kind_names)
  local ids = {}
  for _, name in ipairs(kind_names) do
    local tbl = kinds.get(name).table
    for _, row in ipairs(conn:query(PAGES:format(tbl, tbl))) do
      ids[row.page] = row.id
    end
  end
  return ids
end

local SAME = [[
SELECT to_jsonb(t) AS row FROM %s AS t WHERE t.%s = ANY($1::text[])]]

--- The ids of entities by some of their columns, the values of which stand together with \0 in
--- between. What several have in common leads to none of them.
---@param conn table
---@param kind ligase.entity_kind
---@param columns string[]
---@param first string[] values of the first of these columns
---@return table<string, string>
function M.by_columns(conn, kind, columns, first)
  local ids, several = {}, {}
  for _, found in ipairs(conn:query(SAME:format(kind.table, columns[1]), pg.array(first, "text"))) do
    local parts = {}
    for i, column in ipairs(columns) do
      parts[i] = tostring(found.row[column])
    end
    local key = table.concat(parts, "\0")
    several[key] = ids[key] ~= nil
    ids[key] = found.row.id
  end
  for key, is_several in pairs(several) do
    ids[key] = not is_several and ids[key] or nil
  end
  return ids
end

local MARKS = [[
SELECT t.id, t.name, coalesce(t.notion_page_id, m.page_id) AS page_id,
  coalesce(extract(epoch FROM m.edited_at), 0)::float8 AS edited_s
FROM %s AS t LEFT JOIN mirrors AS m ON m.entity_id = t.id AND m.entity_type = '%s' AND m.target = 'notion'
  AND (m.trashed_at IS NOT NULL OR m.page_id = t.notion_page_id)
WHERE coalesce(t.notion_page_id, m.page_id) IS NOT NULL]]

--- How old what is known of pages is.
---@param conn table
---@param kind ligase.entity_kind
---@return table<string, {id: string, name: string, page_id: string, edited_s: number}> by the page's id without
--- hyphens; edited_s: seconds since 1970 up to which its edits are known, 0 when that is not certain
function M.marks(conn, kind)
  local marks = {}
  for _, row in ipairs(conn:query(MARKS:format(kind.table, kind.table))) do
    marks[row.page_id:gsub("%-", ""):lower()] = { id = row.id, name = row.name, page_id = row.page_id,
      edited_s = row.edited_s }
  end
  return marks
end

local FILLED = [[
SELECT count(*) AS n FROM mirrors WHERE entity_type = $1 AND target = 'notion' AND page_id IS NOT NULL
  AND trashed_at IS NULL AND properties -> $2 NOT IN ('null', '""', '[]', 'false')]]

--- How many pages had a value of a property when they were last the same as Postgres.
---@param conn table
---@param entity_type string
---@param property string
---@return integer
function M.filled(conn, entity_type, property)
  return conn:query(FILLED, entity_type, property)[1].n
end

local FORGET_PROPERTY = [[
WITH known AS (
  SELECT entity_id, coalesce(properties -> $2, seen -> $2) NOT IN ('null', '""', '[]', 'false') AS is_filled
  FROM mirrors WHERE entity_type = $1 AND target = 'notion' AND (properties ? $2 OR seen ? $2)
    AND extract(epoch FROM delivered_at)::float8 < $3),
told AS (UPDATE mirrors AS m SET properties = m.properties - $2, properties_sha256 = NULL,
    seen = nullif(m.seen - $2, '{}') FROM known AS k
  WHERE m.entity_id = k.entity_id AND m.entity_type = $1 AND m.target = 'notion')
SELECT count(*) FILTER (WHERE is_filled) AS n FROM known]]

--- Notes that a property was made, and therefore is empty on every page: what was delivered of it
--- before is not there any more, and nobody emptied it.
---@param conn table
---@param entity_type string
---@param property string
---@param made_s number when, or before, by M.now_s
---@return integer count pages that had a value
function M.forget_property(conn, entity_type, property, made_s)
  return conn:query(FORGET_PROPERTY, entity_type, property, made_s)[1].n
end

-- ---- how far a page is -----------------------------------------------------

--- The pages that entities have by their rows.
local function linked_pages()
  local parts = {}
  for _, name in ipairs { "program", "experiment", "dataset", "signature", "compound", "campaign" } do
    parts[#parts + 1] = ("SELECT id, notion_page_id FROM %s"):format(kinds.get(name).table)
  end
  return table.concat(parts, " UNION ALL ")
end

--- A page of an entity that is gone, or from which it was unlinked, may become another entity's.
local LET_GO = ([[
UPDATE mirrors AS m SET page_id = NULL WHERE target = 'notion' AND page_id = $1 AND entity_id <> $2
  AND (trashed_at IS NOT NULL OR EXISTS (SELECT FROM (%s) AS t
    WHERE t.id = m.entity_id AND t.notion_page_id IS DISTINCT FROM $1))]]):format(linked_pages())

local INTEND = [[
INSERT INTO mirrors (entity_type, entity_id, intent_at, properties, intended)
VALUES ($1, $2, clock_timestamp(), $3, $4)
ON CONFLICT (entity_id, entity_type, target) DO UPDATE SET intent_at = excluded.intent_at,
  properties = excluded.properties, intended = excluded.intended, page_id = NULL, trashed_at = NULL]]

--- Notes that a page is about to be asked for, and with which properties.
---@param conn table
---@param entity ligase.mirrored_entity
---@param properties table<string, any>
function M.intend(conn, entity, properties)
  local mirror = entity.mirror
  local before = mirror and mirror.intent_at and json.encode(mirror.properties) or pg.null
  conn:query(conn:prepare(INTEND), entity.type, entity.id, json.encode(properties), before)
end

local INTEND_CHANGE = [[
INSERT INTO mirrors (entity_type, entity_id, page_id, properties, intended) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (entity_id, entity_type, target) DO UPDATE SET page_id = excluded.page_id, intent_at = NULL,
  properties = excluded.properties, properties_sha256 = NULL, intended = excluded.intended]]

--- Notes what is about to be written to a page, so that it is known for ours if its answer is
--- lost.
---@param conn table
---@param entity ligase.mirrored_entity
---@param page_id string
---@param says table<string, any> what the page says of ours before
---@param intended table<string, any>
function M.intend_change(conn, entity, page_id, says, intended)
  conn:query(conn:prepare(LET_GO), page_id, entity.id)
  conn:query(conn:prepare(INTEND_CHANGE), entity.type, entity.id, page_id, json.encode(says), json.encode(intended))
end

local CLEAR_INTENT = [[
UPDATE mirrors SET intent_at = NULL WHERE entity_type = $1 AND entity_id = $2 AND target = 'notion']]

--- Notes that no page was made of what was asked for.
---@param conn table
---@param entity ligase.mirrored_entity
function M.clear_intent(conn, entity)
  conn:query(conn:prepare(CLEAR_INTENT), entity.type, entity.id)
end

local SETTLE = [[
INSERT INTO mirrors (entity_type, entity_id, page_id, delivered_at, trashed_at, edited_at, properties,
  properties_sha256, conflict, conflict_at, seen)
VALUES ($1, $2, $3, clock_timestamp(), CASE WHEN $4::bool THEN clock_timestamp() END, $5, $6, $7, $8,
  CASE WHEN $8::jsonb IS NOT NULL THEN clock_timestamp() END, $9)
ON CONFLICT (entity_id, entity_type, target) DO UPDATE SET page_id = excluded.page_id,
  delivered_at = excluded.delivered_at, trashed_at = excluded.trashed_at, edited_at = excluded.edited_at,
  properties = excluded.properties, properties_sha256 = excluded.properties_sha256, conflict = excluded.conflict,
  conflict_at = excluded.conflict_at, seen = excluded.seen, intent_at = NULL, intended = NULL]]

local function object(values)
  return values and next(values) and json.encode(values) or pg.null
end

local LOCK = "SELECT pg_advisory_xact_lock($1)"

--- Notes what a page says now, and whose it is, in the caller's transaction. Times are the
--- server's; edited_at is Notion's, and only given when there can be no later edit of that minute
--- (ligase.io.notion.settled_edit).
---@param conn table
---@param entity ligase.mirrored_entity
---@param told {page_id: string|nil, properties: table<string, any>, sha256: string|nil, edited_at: string|nil,
--- conflict: table|nil, seen: table|nil, trashed: boolean|nil} sha256: nil when the page does not say all it should;
--- seen: what the page says of properties that are Notion's own
function M.settle(conn, entity, told)
  local kind_table = entity.type
  if entity.row and told.page_id and entity.row.notion_page_id ~= told.page_id then
    -- Who changes entities writes whole rows: the page's id must not get lost in between.
    conn:query(conn:prepare(LOCK), sys.hash64("entity\0" .. kind_table))
    conn:query(conn:prepare(("UPDATE %s SET notion_page_id = $2 WHERE id = $1"):format(kind_table)), entity.id,
      told.page_id)
  end
  if told.page_id then
    conn:query(conn:prepare(LET_GO), told.page_id, entity.id)
  end
  conn:query(conn:prepare(SETTLE), kind_table, entity.id, told.page_id or pg.null, told.trashed == true,
    told.edited_at or pg.null, json.encode(told.properties), told.sha256 or pg.null, object(told.conflict),
    object(told.seen))
end

--- Forgets an entity's page, which is gone for good: the next delivery makes another one.
---@param conn table in a transaction
---@param entity ligase.mirrored_entity
function M.forget(conn, entity)
  conn:query(conn:prepare(LOCK), sys.hash64("entity\0" .. entity.type))
  conn:query(conn:prepare(("UPDATE %s SET notion_page_id = NULL WHERE id = $1"):format(entity.type)), entity.id)
  conn:query(conn:prepare "DELETE FROM mirrors WHERE entity_id = $1 AND entity_type = $2 AND target = 'notion'",
    entity.id, entity.type)
end

local PART = [[
UPDATE mirrors AS m SET page_id = NULL, properties_sha256 = NULL, intent_at = coalesce(intent_at, clock_timestamp())
FROM %s AS t WHERE t.id = m.entity_id AND t.id = ANY($1::uuid[]) AND m.entity_type = $2 AND m.target = 'notion'
  AND m.trashed_at IS NULL AND m.page_id IS DISTINCT FROM t.notion_page_id]]

--- Parts entities from the pages that their rows do not name any more: those are not touched
--- again, also when the entities are deleted.
---@param conn table in the transaction that wrote the rows, after them; a pipeline will do
---@param entity_type string
---@param ids any a pg.array of uuid
function M.part(conn, entity_type, ids)
  conn:query(PART:format(entity_type), ids, entity_type)
end

local CONFLICTS = [[
SELECT m.entity_type, m.entity_id, m.page_id, m.conflict, to_char(m.conflict_at, 'YYYY-MM-DD HH24:MI') AS at,
  coalesce(p.name, e.name, d.name, s.name, c.name, k.name) AS name
FROM mirrors AS m LEFT JOIN programs AS p ON p.id = m.entity_id LEFT JOIN experiments AS e ON e.id = m.entity_id
LEFT JOIN datasets AS d ON d.id = m.entity_id LEFT JOIN signatures AS s ON s.id = m.entity_id
LEFT JOIN compounds AS c ON c.id = m.entity_id LEFT JOIN screening_campaigns AS k ON k.id = m.entity_id
WHERE m.target = 'notion' AND m.conflict IS NOT NULL ORDER BY m.conflict_at, m.entity_id LIMIT $1]]

--- Pages whose properties people changed and that were therefore not overwritten.
---@param conn table
---@param limit integer
---@return {entity_type: string, entity_id: string, page_id: string, name: string, conflict: table, at: string}[]
function M.conflicts(conn, limit)
  return conn:query(CONFLICTS, limit)
end

return M
