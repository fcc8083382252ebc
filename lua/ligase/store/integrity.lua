--- Whether what is stored holds together: rows without their revision, revisions without their
--- dataset, keys and names without features and receipts, counts, hashes, indexes.
---
--- The tables of measurements carry no foreign keys, so this is where they are checked. Rows are
--- gone through some datasets at a time, the newest first, always by their datasets' ids; after
--- `seconds` it stops and says how far it came. Nothing is written.
local errors = require "ligase.base.errors"
local names = require "ligase.omics.names"
local pg = require "pg"
local sys = require "sys"
local text = require "ligase.base.text"

local M = {}

---@class ligase.finding
---@field check string
---@field is_wrong boolean false: worth knowing, and in nobody's way
---@field message string
---@field repair string what to do
---@field fix string|nil SQL that repairs it and loses nothing

---@class ligase.integrity
---@field findings ligase.finding[]
---@field checked table<string, integer> what was looked at, by name
---@field unfinished string[] what the time did not suffice for
---@field datasets integer that there are
---@field datasets_checked integer

local DATASETS_AT_ONCE, FEATURES_AT_ONCE, EXAMPLES = 20, 10000, 3
local OUT_OF_TIME = "57014"

---@class ligase.checking
---@field conn table
---@field stop_at number
---@field result ligase.integrity
local Checking = {}
Checking.__index = Checking

local function left_s(self)
  return self.stop_at - sys.monotonic()
end

local function found(self, check, message, repair, more)
  local list = self.result.findings
  list[#list + 1] = { check = check, message = message, repair = repair, is_wrong = not (more and more.is_note),
    fix = more and more.fix }
end

local function examples(rows, form)
  local parts = {}
  for i = 1, math.min(#rows, EXAMPLES) do
    parts[i] = form(rows[i])
  end
  return table.concat(parts, ", ") .. (#rows > EXAMPLES and ", ..." or "")
end

--- Asks with what is left of the time. nil when that did not suffice.
local function query(self, sql, ...)
  local ms = math.floor(left_s(self) * 1000)
  if ms <= 0 then
    return nil
  end
  self.conn:script(("SET statement_timeout = %d"):format(ms))
  local done, rows = errors.try(self.conn.query, self.conn, sql, ...)
  self.conn:script "SET statement_timeout = 0"
  if done then
    return rows
  elseif errors.is(rows, "database") and rows.code == OUT_OF_TIME then
    return nil
  end
  error(rows, 0)
end

-- ---- by one question each --------------------------------------------------

--- {name, sql, message, repair, row -> words}; a row is something wrong.
local QUESTIONS = {
  { "revisions", [[
SELECT r.dataset_id AS id, r.revision FROM revisions AS r LEFT JOIN datasets AS d ON d.id = r.dataset_id
WHERE d.id IS NULL LIMIT 100]], "revisions of no dataset", "restore the dataset's row from a backup, or delete them: "
    .. "DELETE FROM revisions WHERE dataset_id = '<id>'", function(row) return row.id .. "@" .. row.revision end },
  { "current_revision", [[
SELECT d.name, d.current_revision AS revision FROM datasets AS d
LEFT JOIN revisions AS r ON r.dataset_id = d.id AND r.revision = d.current_revision
WHERE d.current_revision IS NOT NULL AND r.dataset_id IS NULL LIMIT 100]], "datasets whose revision is not there",
    "read the file again: ligase ingest --force FILE --name NAME", function(row)
      return ("'%s'@%d"):format(row.name, row.revision)
    end },
  { "campaigns", [[
SELECT c.name, c.current_revision AS revision FROM screening_campaigns AS c
LEFT JOIN screening_revisions AS r ON r.campaign_id = c.id AND r.revision = c.current_revision
WHERE c.current_revision IS NOT NULL AND r.campaign_id IS NULL LIMIT 100]], "campaigns whose revision is not there",
    "read the results again: ligase screening --campaign NAME FILE", function(row)
      return ("'%s'@%d"):format(row.name, row.revision)
    end },
  { "receipts", [[
SELECT n.raw_name FROM feature_names AS n LEFT JOIN features AS f ON f.key = n.feature_key
WHERE f.key IS NULL LIMIT 100]], "receipts of no feature", "make the features again: ligase link --all", function(row)
      return ("'%s'"):format(text.shown(row.raw_name, 30))
    end },
  { "components", [[
SELECT s.id, s.name, s.component_count AS said, count(c.signature_id) AS counted FROM signatures AS s
LEFT JOIN signature_components AS c ON c.signature_id = s.id
GROUP BY s.id, s.name, s.component_count HAVING s.component_count <> count(c.signature_id) LIMIT 100]],
    "signatures whose number of components is another one", "ligase doctor --fix", function(row)
      return ("'%s' (%d, says %d)"):format(row.name, row.counted, row.said)
    end, function(row)
      return ("UPDATE signatures SET component_count = %d WHERE id = '%s'"):format(row.counted, row.id)
    end },
  { "narratives", [[
SELECT entity_type, page_id FROM narratives
WHERE markdown_sha256 <> encode(sha256(convert_to(markdown, 'UTF8')), 'hex') LIMIT 100]],
    "texts whose hash is another one: somebody changed them", "take them again: ligase import notion --all",
    function(row) return row.page_id end },
  { "indexes", [[
SELECT n.nspname AS schema, c.relname AS name FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE NOT i.indisvalid AND n.nspname NOT IN ('pg_catalog', 'pg_toast') LIMIT 100]], "indexes that are not valid",
    "ligase doctor --fix", function(row) return row.name end,
    function(row) return ('REINDEX INDEX CONCURRENTLY "%s"."%s"'):format(row.schema, row.name) end },
  { "constraints", [[
SELECT conrelid::regclass::text AS tbl, conname AS name, quote_ident(conname) AS quoted FROM pg_constraint
WHERE NOT convalidated AND connamespace = current_schema()::regnamespace LIMIT 100]],
    "constraints that were not validated", function(rows)
      local statements = {}
      for i = 1, math.min(#rows, 3) do
        statements[i] = ("ALTER TABLE %s VALIDATE CONSTRAINT %s"):format(rows[i].tbl, rows[i].quoted)
      end
      return table.concat(statements, "; ") .. (#rows > 3 and "; and so on" or "")
    end, function(row) return row.tbl .. "." .. row.name end },
}

local function ask(self, question)
  local check, sql, what, repair, form, fix = table.unpack(question)
  local rows = query(self, sql)
  if not rows then
    table.insert(self.result.unfinished, check)
    return
  end
  self.result.checked[check] = 1
  if #rows > 0 and fix then
    for _, row in ipairs(rows) do
      found(self, check, ("%s: %s"):format(what, form(row)), repair, { fix = fix(row) })
    end
  elseif #rows > 0 then
    found(self, check, ("%s %s: %s"):format(#rows == 100 and "100 or more" or tostring(#rows), what,
      examples(rows, form)), type(repair) == "function" and repair(rows) or repair)
  end
end

-- ---- queues and the journal ------------------------------------------------

local STUCK = [[
SELECT (SELECT count(*) FROM outbox WHERE state = 'running' AND lease_until < now() - interval '1 hour') AS leases,
  (SELECT count(*) FROM outbox WHERE state = 'dead') AS dead,
  (SELECT count(*) FROM runs AS r WHERE outcome = 'running' AND started_at < now() - interval '1 day'
    AND NOT EXISTS (SELECT FROM phase_changes AS p WHERE p.run_id = r.id)) AS runs,
  (SELECT count(*) FROM phase_changes WHERE state = 'begun') AS changes]]

local function look_at_queues(self)
  local row = (query(self, STUCK) or {})[1] or { leases = 0, dead = 0, runs = 0, changes = 0 }
  if row.leases > 0 then
    found(self, "outbox", ("%s with relays that are gone"):format(text.count(row.leases, "change")), "ligase sync",
      { is_note = true })
  end
  if row.dead > 0 then
    found(self, "outbox", text.count(row.dead, "change") .. " set aside", "ligase outbox", { is_note = true })
  end
  if row.runs > 0 then
    found(self, "runs", ("%s begun over a day ago and never ended"):format(text.count(row.runs, "run")), "ligase runs",
      { is_note = true })
  end
  if row.changes > 0 then
    found(self, "phase", "a change of phase was begun and not ended", "ligase phase says how to go on",
      { is_note = true })
  end
end

-- ---- features --------------------------------------------------------------

local FEATURES = [[
SELECT key, id, feature_type, name FROM features WHERE $1::int8 IS NULL OR key > $1 ORDER BY key LIMIT $2]]

--- Keys and ids of features are computed from their names: both are computed again.
local function look_at_features(self)
  local last, wrong, count = pg.null, {}, 0
  repeat
    local rows = query(self, FEATURES, last, FEATURES_AT_ONCE)
    if not rows then
      table.insert(self.result.unfinished, "features")
      break
    end
    for _, row in ipairs(rows) do
      if row.key ~= names.feature_key(row.feature_type, row.name)
        or row.id ~= names.feature_id(row.feature_type, row.name) then
        wrong[#wrong + 1] = row
      end
    end
    count, last = count + #rows, #rows > 0 and rows[#rows].key or last
  until #rows < FEATURES_AT_ONCE
  self.result.checked.features = count
  if #wrong > 0 then
    found(self, "features", ("%s whose key or id does not follow from the name: %s"):format(text.count(#wrong,
      "feature"), examples(wrong, function(row) return ("'%s'"):format(text.shown(row.name, 30)) end)),
      "somebody changed their names; give them back, or restore the rows from a backup")
  end
end

-- ---- rows of datasets ------------------------------------------------------

local DATASETS = [[
SELECT id, name FROM datasets WHERE $1::uuid IS NULL OR id < $1 ORDER BY id DESC LIMIT $2]]

local REVISIONS = "SELECT dataset_id, revision, row_count FROM revisions WHERE dataset_id = ANY($1::uuid[])"

local ROWS = [[
SELECT dataset_id, revision, count(*) AS n FROM measurements WHERE dataset_id = ANY($1::uuid[])
GROUP BY dataset_id, revision]]

local KEYS = [[
WITH k AS MATERIALIZED (
  SELECT dataset_id, feature_key, count(*) AS n FROM measurements
  WHERE dataset_id = ANY($1::uuid[]) AND feature_key IS NOT NULL GROUP BY dataset_id, feature_key)
SELECT k.dataset_id, sum(k.n)::int8 AS n FROM k LEFT JOIN features AS f ON f.key = k.feature_key
WHERE f.key IS NULL GROUP BY k.dataset_id]]

local NAMES = [[
WITH k AS MATERIALIZED (
  SELECT DISTINCT dataset_id, feature_key, source_name FROM measurements
  WHERE dataset_id = ANY($1::uuid[]) AND feature_key IS NOT NULL AND source_name IS NOT NULL)
SELECT k.dataset_id, count(*) AS n, min(k.source_name) AS name
FROM k LEFT JOIN feature_names AS f ON f.feature_key = k.feature_key AND f.raw_name = k.source_name
WHERE f.feature_key IS NULL GROUP BY k.dataset_id]]

--- What a rollback took away: its rows stay for that being undone.
local SET_ASIDE = "SELECT DISTINCT dataset_id, revision FROM set_aside_revisions ORDER BY dataset_id DESC"

--- Rows of datasets that are not there lie between those that are, and those set aside. From one
--- of them to the next by the index: each may have many rows.
local BETWEEN = [[
WITH RECURSIVE strange (dataset_id, n) AS (
  (SELECT dataset_id, 1 FROM measurements
   WHERE ($1::uuid IS NULL OR dataset_id > $1) AND ($2::uuid IS NULL OR dataset_id < $2)
   ORDER BY dataset_id, revision, ordinal LIMIT 1)
  UNION ALL
  SELECT m.dataset_id, n + 1 FROM strange AS s CROSS JOIN LATERAL (
    SELECT dataset_id FROM measurements
    WHERE dataset_id > s.dataset_id AND ($2::uuid IS NULL OR dataset_id < $2)
    ORDER BY dataset_id, revision, ordinal LIMIT 1) AS m
  WHERE n < 1000)
SELECT dataset_id FROM strange]]

local function revision_key(row)
  return row.dataset_id .. "@" .. row.revision
end

local function compare_counts(self, datasets, revisions, rows)
  local counted, known = {}, {}
  for _, row in ipairs(rows) do
    counted[revision_key(row)] = row.n
    self.result.checked.rows = self.result.checked.rows + row.n
  end
  for _, revision in ipairs(revisions) do
    local key = revision_key(revision)
    known[key] = true
    if (counted[key] or 0) ~= revision.row_count then
      found(self, "counts", ("dataset '%s', revision %d: %s, and its revision says %s"):format(
        datasets[revision.dataset_id], revision.revision, text.count(counted[key] or 0, "row"),
        text.number(revision.row_count)), "read the file again: ligase ingest --force FILE --name NAME; or restore the "
        .. "rows from a backup")
    end
  end
  for _, row in ipairs(rows) do
    if not (known[revision_key(row)] or self.is_set_aside[revision_key(row)]) then
      found(self, "rows", ("dataset '%s': %s of revision %d, which is not there"):format(datasets[row.dataset_id],
        text.count(row.n, "row"), row.revision), ("nothing shows them; restore the revision from a backup, or: DELETE "
        .. "FROM measurements WHERE dataset_id = '%s' AND revision = %d"):format(row.dataset_id, row.revision))
    end
  end
end

local function look_into_gap(self, after, before)
  local rows = query(self, BETWEEN, after or pg.null, before or pg.null)
  for _, row in ipairs(rows or {}) do
    local id = row.dataset_id
    found(self, "rows", ("rows of a dataset that is not there: %s"):format(id), ("nothing shows them; restore the "
      .. "dataset from a backup, or: DELETE FROM measurements WHERE dataset_id = '%s'"):format(id))
  end
  return rows ~= nil
end

--- From one dataset that is there down to the next one, by those set aside.
local function look_between(self, after, before)
  local aside = self.set_aside
  while aside[aside.at] and before and aside[aside.at].dataset_id >= before do
    aside.at = aside.at + 1
  end
  while aside[aside.at] and (not after or aside[aside.at].dataset_id > after) do
    local id = aside[aside.at].dataset_id
    if not look_into_gap(self, id, before) then
      return false
    end
    before, aside.at = id, aside.at + 1
  end
  return look_into_gap(self, after, before)
end

local function look_at_keys(self, ids, datasets)
  local keys, receipts = query(self, KEYS, ids), query(self, NAMES, ids)
  for _, row in ipairs(keys or {}) do
    found(self, "keys", ("dataset '%s': %s with keys of no feature"):format(datasets[row.dataset_id],
      text.count(row.n, "row")), ("link them again: ligase link %s"):format(datasets[row.dataset_id]))
  end
  for _, row in ipairs(receipts or {}) do
    found(self, "names", ("dataset '%s': %s without a receipt, such as '%s'"):format(datasets[row.dataset_id],
      text.count(row.n, "name"), text.shown(row.name, 30)), ("link them again: ligase link %s"):format(
        datasets[row.dataset_id]))
  end
  return keys ~= nil and receipts ~= nil
end

--- One batch of datasets. False when the time did not suffice for it.
local function look_at_some(self, some, before)
  local list, datasets = {}, {}
  for i, row in ipairs(some) do
    list[i], datasets[row.id] = row.id, row.name
  end
  local ids = pg.array(list, "uuid")
  local revisions, rows = query(self, REVISIONS, ids), query(self, ROWS, ids)
  if not (revisions and rows) then
    return false
  end
  compare_counts(self, datasets, revisions, rows)
  for _, id in ipairs(list) do
    if not look_between(self, id, before) then
      return false
    end
    before = id
  end
  return look_at_keys(self, ids, datasets)
end

local function look_at_datasets(self)
  local result, last, at_once = self.result, nil, 1
  local aside = query(self, SET_ASIDE)
  if not aside then
    table.insert(result.unfinished, "rows")
    return
  end
  self.set_aside, self.is_set_aside = table.move(aside, 1, #aside, 1, { at = 1 }), {}
  for _, row in ipairs(aside) do
    self.is_set_aside[revision_key(row)] = true
  end
  repeat
    local wanted = at_once
    at_once = math.min(DATASETS_AT_ONCE, 2 * at_once) -- they may be large, and the time short
    local some = query(self, DATASETS, last or pg.null, wanted)
    if not some or #some > 0 and not look_at_some(self, some, last) then
      table.insert(result.unfinished, "rows")
      return
    end
    result.datasets_checked = result.datasets_checked + #some
    last = #some > 0 and some[#some].id or last
    self.tell(result)
  until #some < wanted
  look_between(self, nil, last)
end

-- ---- results of screens ----------------------------------------------------

local RESULTS = [[
SELECT c.name, r.revision, r.result_count AS said, count(s.ordinal) AS counted
FROM screening_revisions AS r JOIN screening_campaigns AS c ON c.id = r.campaign_id
LEFT JOIN screening_results AS s ON s.campaign_id = r.campaign_id AND s.revision = r.revision
GROUP BY c.name, r.revision, r.result_count HAVING r.result_count <> count(s.ordinal) LIMIT 100]]

local function look_at_results(self)
  local rows = query(self, RESULTS)
  if not rows then
    return table.insert(self.result.unfinished, "results")
  end
  self.result.checked.results = 1
  if #rows > 0 then
    found(self, "counts", ("%s of campaigns with another number of results than they say: %s"):format(
      text.count(#rows, "revision"), examples(rows, function(row)
        return ("'%s'@%d has %d, says %d"):format(row.name, row.revision, row.counted, row.said)
      end)), "read the results again: ligase screening --campaign NAME FILE")
  end
end

-- ---- all of it -------------------------------------------------------------

--- Checks what is stored.
---@param conn table outside a transaction
---@param given {seconds: number, tell: (fun(so_far: ligase.integrity))|nil} seconds: after which it stops
---@return ligase.integrity
function M.check(conn, given)
  local self = setmetatable({ conn = conn, stop_at = sys.monotonic() + given.seconds,
    tell = given.tell or function() end, result = { findings = {}, checked = { rows = 0 }, unfinished = {},
      datasets = conn:query("SELECT count(*) AS n FROM datasets")[1].n, datasets_checked = 0 } }, Checking)
  for _, question in ipairs(QUESTIONS) do
    ask(self, question)
  end
  look_at_queues(self)
  look_at_results(self)
  look_at_features(self)
  look_at_datasets(self)
  return self.result
end

--- Repairs what can be repaired without losing anything.
---@param conn table outside a transaction
---@param findings ligase.finding[]
---@return integer count
function M.fix(conn, findings)
  local count = 0
  for _, finding in ipairs(findings) do
    if finding.fix then
      conn:query(finding.fix)
      finding.is_fixed, count = true, count + 1
    end
  end
  return count
end

return M
