--- Rows put back to what they were, many runs at once.
---
--- For each row and run there is what the row was before the run. Of several runs the oldest
--- one decides what the row becomes; what each rollback notes as the state before itself is
--- what the rollback of the next newer run left.
local errors = require "ligase.base.errors"
local json = require "ligase.base.json"
local tables = require "ligase.store.rollback.tables"

local M = {}

-- ---- what is to be done ----------------------------------------------------

--- The order in which runs are undone, the newest first.
local ORDER = "UPDATE undoing AS u SET place = o.place FROM undone AS o WHERE o.run_id = u.run_id"

--- A revision stays where its dataset stays: it only counts no longer. It goes with the
--- dataset, together with those that earlier rollbacks left there.
local REVISIONS_STAY = [[
DELETE FROM undoing AS u WHERE u.tbl = '%s' AND u.target IS NULL AND NOT EXISTS (
  SELECT FROM undoing AS d WHERE d.run_id = u.run_id AND d.tbl = '%s' AND d.id = u.id AND d.target IS NULL)]]

local REVISIONS_GO = [[
INSERT INTO undoing (place, run_id, finished_at, tbl, watch, id, other)
SELECT d.place, d.run_id, d.finished_at, '%s', '%s', d.id, v.other
FROM undoing AS d JOIN (SELECT t.%s::text AS id, t.revision::text AS other FROM %s AS t JOIN undoing AS o
    ON o.tbl = '%s' AND o.target IS NULL AND t.%s = o.id::uuid
  UNION SELECT id, other FROM undoing WHERE tbl = '%s') AS v ON v.id = d.id
WHERE d.tbl = '%s' AND d.target IS NULL
ON CONFLICT DO NOTHING]]

--- Components that a run replaced or deleted with their signature come back ...
local COMPONENTS_COME = [[
INSERT INTO undoing (place, run_id, finished_at, tbl, watch, id, other, target)
SELECT s.place, s.run_id, s.finished_at, 'signature_components', 'signature_components', c.row ->> 'id', '', c.row
FROM undoing AS s CROSS JOIN LATERAL jsonb_array_elements(s.parts) AS c (row)
WHERE s.tbl = 'signatures' AND jsonb_typeof(s.parts) = 'array'
ON CONFLICT DO NOTHING]]

--- ... and those of a signature that goes, or that was replaced, go.
local COMPONENTS_GO = [[
INSERT INTO undoing (place, run_id, finished_at, tbl, watch, id, other)
SELECT s.place, s.run_id, s.finished_at, 'signature_components', 'signature_components', c.id, ''
FROM undoing AS s JOIN (SELECT t.id::text AS id, t.signature_id::text AS signature_id
    FROM signature_components AS t JOIN undoing AS o ON o.tbl = 'signatures' AND t.signature_id = o.id::uuid
  UNION SELECT id, target ->> 'signature_id' FROM undoing WHERE tbl = 'signature_components' AND target IS NOT NULL)
  AS c ON c.signature_id = s.id
WHERE s.tbl = 'signatures' AND (s.target IS NULL OR jsonb_typeof(s.parts) = 'array')
ON CONFLICT DO NOTHING]]

local NOW = "UPDATE undoing AS u SET now = %s FROM %s AS t WHERE u.tbl = '%s' AND %s"

--- The page that shows an entity is the mirror's own, unless the run said it.
local KEEP_PAGES = [[
UPDATE undoing SET target = target || jsonb_build_object('notion_page_id', now -> 'notion_page_id')
WHERE NOT page AND target -> 'notion_page_id' = 'null' AND jsonb_typeof(now -> 'notion_page_id') = 'string']]

--- What a rollback finds is what the one before it left.
local CHAIN = [[
UPDATE undoing AS u SET now = c.before FROM (
  SELECT tbl, id, other, run_id, lag(target) OVER w AS before, row_number() OVER w AS n FROM undoing
  WINDOW w AS (PARTITION BY tbl, id, other ORDER BY place)) AS c
WHERE c.n > 1 AND c.tbl = u.tbl AND c.id = u.id AND c.other = u.other AND c.run_id = u.run_id]]

local NET = [[
CREATE TEMP TABLE net ON COMMIT DROP AS
SELECT n.tbl, n.id, n.other, n.now, o.target FROM
  (SELECT DISTINCT ON (tbl, id, other) tbl, id, other, now FROM undoing ORDER BY tbl, id, other, place) AS n
  JOIN (SELECT DISTINCT ON (tbl, id, other) tbl, id, other, target FROM undoing
    ORDER BY tbl, id, other, place DESC) AS o USING (tbl, id, other)
WHERE n.tbl <> ALL ('{measurements,alias_sources,dataset_signatures,feature_names}')
  AND n.now IS DISTINCT FROM o.target]]

--- Works out from the plan's entries what each row is and what it becomes: the temporary table
--- `net` has the rows that differ. The runs are numbered already.
---@param conn table
function M.settle(conn)
  conn:query(ORDER)
  conn:script("DROP TABLE IF EXISTS net")
  for _, pair in ipairs { { "revisions", "datasets" }, { "screening_revisions", "screening_campaigns" } } do
    local parts, whole = tables.get(pair[1]), pair[2]
    conn:query(REVISIONS_STAY:format(parts.name, whole))
    conn:query(REVISIONS_GO:format(parts.name, parts.name, parts.first, parts.name, whole, parts.first, parts.name,
      whole))
  end
  conn:query(COMPONENTS_COME)
  conn:query(COMPONENTS_GO)
  for _, row in ipairs(conn:query "SELECT DISTINCT tbl FROM undoing") do
    local tbl = tables.get(row.tbl)
    if tbl then
      conn:query(NOW:format(tables.image(tbl, "t"), tbl.name, tbl.name, tables.same_key(tbl, "t", "u")))
    end
  end
  conn:query(KEEP_PAGES)
  conn:query(CHAIN)
  conn:query(NET)
  conn:script("ANALYZE net")
end

-- ---- doing it --------------------------------------------------------------

local COLUMNS = [[
SELECT attname AS name FROM pg_attribute
WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum]]

local MISSING = [[
SELECT 1 FROM net WHERE tbl = $1 AND target IS NOT NULL AND NOT target ? $2 LIMIT 1]]

--- A table's columns as far as all images name them: others were added to the table since.
local function columns_of(conn, tbl)
  local names = {}
  for _, column in ipairs(conn:query(COLUMNS, tbl.name)) do
    if #conn:query(MISSING, tbl.name, column.name) == 0 then
      names[#names + 1] = conn:quote_identifier(column.name)
    end
  end
  return names
end

--- Rows that change let go of what stands in the way of others: references to what goes, names
--- that another row gets.
local function let_go(conn, tbl)
  local sets, differs = {}, {}
  for _, column in ipairs(tbl.references) do
    sets[#sets + 1] = ("%s = NULL"):format(column)
    differs[#differs + 1] = ("n.now -> '%s' IS DISTINCT FROM n.target -> '%s'"):format(column, column)
  end
  sets[#sets + 1] = ("%s = t.id::text"):format(tbl.unique)
  differs[#differs + 1] = ("n.now -> '%s' IS DISTINCT FROM n.target -> '%s'"):format(tbl.unique, tbl.unique)
  conn:query(("UPDATE %s AS t SET %s FROM net AS n WHERE n.tbl = '%s' AND n.now IS NOT NULL AND n.target IS NOT NULL "
    .. "AND t.id = n.id::uuid AND (%s)"):format(tbl.name, table.concat(sets, ", "), tbl.name,
    table.concat(differs, " OR ")))
end

local function delete_rows(conn, tbl)
  conn:query(("DELETE FROM %s AS t USING net AS n WHERE n.tbl = '%s' AND n.now IS NOT NULL AND n.target IS NULL "
    .. "AND %s"):format(tbl.name, tbl.name, tables.same_key(tbl, "t", "n")))
end

local function insert_rows(conn, tbl, columns)
  local list = table.concat(columns, ", ")
  conn:query(("INSERT INTO %s (%s) SELECT %s FROM net AS n "
    .. "CROSS JOIN LATERAL jsonb_populate_record(NULL::%s, n.target) AS r "
    .. "WHERE n.tbl = '%s' AND n.now IS NULL AND n.target IS NOT NULL"):format(tbl.name, list,
    (list:gsub("[^, ]+", "r.%0")), tbl.name, tbl.name))
end

local function update_rows(conn, tbl, columns)
  local sets = {}
  for i, column in ipairs(columns) do
    sets[i] = ("%s = r.%s"):format(column, column)
  end
  conn:query(("UPDATE %s AS t SET %s FROM net AS n CROSS JOIN LATERAL jsonb_populate_record(NULL::%s, n.target) AS r "
    .. "WHERE n.tbl = '%s' AND n.now IS NOT NULL AND n.target IS NOT NULL AND %s"):format(tbl.name,
    table.concat(sets, ", "), tbl.name, tbl.name, tables.same_key(tbl, "t", "n")))
end

--- The tables that have rows in `net`.
local function present_of(conn)
  local present = {}
  for _, row in ipairs(conn:query "SELECT DISTINCT tbl FROM net") do
    present[row.tbl] = true
  end
  return present
end

local FOREIGN_KEY, UNIQUE = "23503", "23505"

local function refuse_conflict(failure)
  errors.raise { kind = "usage", code = "conflict", sqlstate = failure.code,
    message = failure.code == UNIQUE and "a row that has to come back has its place taken by another one"
      or "a row that has to come back, or to go, and another one refer to each other",
    detail = failure.detail or failure.message,
    hint = "Change or delete the other one, or roll back the run that made it, and try again; rollbacks that were "
      .. "made together are best undone together: --batch" }
end

--- Puts the rows of `net` back. Raises "usage" when others stand in the way.
---@param conn table
function M.apply(conn)
  local present, columns = present_of(conn), {}
  local done, failure = pcall(function()
    for _, tbl in ipairs(tables.LIST) do
      if present[tbl.name] then
        columns[tbl.name] = columns_of(conn, tbl)
        if tbl.references then
          let_go(conn, tbl)
        end
      end
    end
    for _, tbl in ipairs(tables.LIST) do
      if present[tbl.name] then
        delete_rows(conn, tbl)
      end
    end
    for i = #tables.LIST, 1, -1 do
      local tbl = tables.LIST[i]
      if present[tbl.name] then
        insert_rows(conn, tbl, columns[tbl.name])
        update_rows(conn, tbl, columns[tbl.name])
      end
    end
  end)
  if not done then
    if errors.is(failure, "database") and (failure.code == FOREIGN_KEY or failure.code == UNIQUE) then
      refuse_conflict(failure)
    end
    error(failure, 0)
  end
end

-- ---- what came of it -------------------------------------------------------

local NOT_STORED = [[
SELECT n.target ->> 'omics_type' AS omics_type, n.target ->> 'name' AS name, n.target ->> '%s' AS revision
FROM net AS n LEFT JOIN %s AS v ON v.%s = n.id::uuid AND v.revision = (n.target ->> 'current_revision')::int
WHERE n.tbl = '%s' AND jsonb_typeof(n.target -> 'current_revision') = 'number' AND v.revision IS NULL
ORDER BY 2, 1 LIMIT 1]]

local ROWS_GONE = [[
SELECT n.id, n.other AS revision, n.target -> 'row_count' AS rows, m.n AS stored
FROM net AS n CROSS JOIN LATERAL (SELECT count(*) AS n FROM measurements AS m
  WHERE m.dataset_id = n.id::uuid AND m.revision = n.other::int) AS m
WHERE n.tbl = 'revisions' AND n.now IS NULL AND n.target IS NOT NULL AND m.n <> (n.target ->> 'row_count')::bigint
LIMIT 1]]

--- Raises "usage" when what should count again is no longer stored.
---@param conn table
function M.check(conn)
  for _, pair in ipairs { { "revisions", "datasets" }, { "screening_revisions", "screening_campaigns" } } do
    local tbl = tables.get(pair[1])
    local gone = conn:query(NOT_STORED:format("current_revision", tbl.name, tbl.first, pair[2]))[1]
    if gone then
      errors.raise { kind = "usage", code = "revision_gone",
        message = ("revision %s of '%s' is no longer stored"):format(gone.revision, gone.name),
        hint = "ligase gc freed it; see: ligase history" }
    end
  end
  local gone = conn:query(ROWS_GONE)[1]
  if gone then
    errors.raise { kind = "usage", code = "rows_gone",
      message = ("of revision %s of dataset %s %s of %s rows are stored"):format(gone.revision, gone.id,
        gone.stored, json.encode(gone.rows)), hint = "ligase gc freed them, or somebody deleted them by hand" }
  end
end

---@class ligase.rollback_effect
---@field action "removed"|"restored"|"brought back"
---@field what string "dataset"
---@field name string
---@field detail string

local EFFECTS = [[
SELECT tbl, CASE WHEN target IS NULL THEN 'removed' WHEN now IS NULL THEN 'brought back' ELSE 'restored' END AS action,
  %s AS name, now -> 'current_revision' #>> '{}' AS revision_now, target -> 'current_revision' #>> '{}' AS revision,
  (SELECT string_agg(k, ', ' ORDER BY k) FROM jsonb_object_keys(now) AS k
    WHERE k NOT IN ('created_at', 'updated_at', 'current_revision') AND target IS NOT NULL
      AND now -> k IS DISTINCT FROM target -> k) AS columns
FROM (SELECT *, coalesce(target, now) AS image FROM net WHERE tbl = '%s') AS n ORDER BY 2, 3]]

local function detail_of(row)
  local parts, null = {}, json.null
  if row.action == "restored" and row.revision ~= row.revision_now then
    parts[1] = ("revision %s instead of %s"):format(row.revision == null and "none" or row.revision,
      row.revision_now == null and "none" or row.revision_now)
  end
  parts[#parts + 1] = row.action == "restored" and row.columns ~= null and row.columns or nil
  return table.concat(parts, "; ")
end

--- What the rows of `net` come to, for people. Links, components and revisions are counted.
---@param conn table
---@return ligase.rollback_effect[] effects
---@return table<string, integer> counts by "what action"
function M.effects(conn)
  local effects, counts, present = {}, {}, present_of(conn)
  for i = #tables.LIST, 1, -1 do
    local tbl = tables.LIST[i]
    for _, row in ipairs(present[tbl.name] and conn:query(EFFECTS:format(tbl.shown, tbl.name)) or {}) do
      local key = tbl.what .. " " .. row.action
      counts[key] = (counts[key] or 0) + 1
      if tbl.told then
        effects[#effects + 1] = { action = row.action, what = tbl.what, name = row.name, detail = detail_of(row) }
      end
    end
  end
  return effects, counts
end

return M
