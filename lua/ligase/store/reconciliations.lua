--- Comparisons of Postgres with another system, kept: the numbers that a change of phase is
--- judged by, and what was found.
local json = require "ligase.base.json"
local pg = require "pg"
local runs = require "ligase.store.runs"
local sys = require "sys"

local M = {}

--- So many findings by one statement.
local FINDINGS_AT_ONCE = 1000

---@class ligase.reconciliation_counts
---@field entities integer in Postgres
---@field pages integer live ones in the other system
---@field equal integer entities whose one page says the same
---@field missing integer entities without a page
---@field extra integer pages without an entity
---@field differing integer entities whose page says something else
---@field duplicates integer pages beyond the first of an entity
---@field on_their_way integer entities with changes in the outbox, which do not count as differing or missing
---@field fixed integer findings that were repaired, or put into the outbox to be

---@class ligase.reconciliation
---@field entity_type string
---@field started_at string
---@field counts ligase.reconciliation_counts
---@field findings ligase.reconciliation_finding[]

---@class ligase.reconciliation_finding
---@field finding "missing"|"extra"|"differing"|"duplicate"
---@field entity_id string|nil
---@field page_id string|nil
---@field is_fixed boolean|nil
---@field details table for people: names, reasons, properties

local INSERT = [[
INSERT INTO reconciliations (id, run_id, started_at, finished_at, entity_type, phase, fix, entities, pages, equal_count,
  missing, extra, differing, duplicates, on_their_way, fixed, is_complete)
VALUES ($1, $2, $3, now(), $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, true)]]

local INSERT_FINDINGS = [[
INSERT INTO reconciliation_findings (reconciliation_id, position, entity_id, page_id, finding, is_fixed, details)
SELECT $1, position, entity_id, page_id, finding, is_fixed, details FROM jsonb_to_recordset($2::jsonb)
  AS f (position bigint, entity_id uuid, page_id text, finding text, is_fixed boolean, details jsonb)]]

local function rows_of(findings, first, last)
  local rows = json.array()
  for i = first, last do
    local finding = findings[i]
    rows[#rows + 1] = { position = i, entity_id = finding.entity_id, page_id = finding.page_id,
      finding = finding.finding, is_fixed = finding.is_fixed or false, details = finding.details }
  end
  return rows
end

local function write_one(conn, run, phase, fix, one)
  local id, c = sys.uuid7(), one.counts
  conn:query(conn:prepare(INSERT), id, run.id, one.started_at, one.entity_type, phase, fix or pg.null, c.entities,
    c.pages, c.equal, c.missing, c.extra, c.differing, c.duplicates, c.on_their_way, c.fixed)
  for first = 1, #one.findings, FINDINGS_AT_ONCE do
    local last = math.min(first + FINDINGS_AT_ONCE - 1, #one.findings)
    conn:query(conn:prepare(INSERT_FINDINGS), id, json.encode(rows_of(one.findings, first, last)))
  end
end

local SUMMED = { "entities", "pages", "equal", "missing", "extra", "differing", "duplicates", "on_their_way", "fixed" }

--- The counts of several comparisons, together.
---@param list ligase.reconciliation[]
---@return ligase.reconciliation_counts
function M.total(list)
  local total = {}
  for _, name in ipairs(SUMMED) do
    total[name] = 0
    for _, one in ipairs(list) do
      total[name] = total[name] + one.counts[name]
    end
  end
  return total
end

--- Keeps the comparisons of one run, with its entry in the journal, in one transaction.
---@param conn table
---@param run ligase.run
---@param given {phase: string, fix: "notion"|"postgres"|nil}
---@param list ligase.reconciliation[]
function M.write(conn, run, given, list)
  conn:transaction(function()
    conn:query(runs.INSERT, runs.parameters(run, "done", { counts = M.total(list) }))
    for _, one in ipairs(list) do
      write_one(conn, run, given.phase, given.fix, one)
    end
  end)
end

local LATEST = [[
SELECT DISTINCT ON (entity_type) entity_type, phase, started_at, entities, pages, equal_count AS equal, missing, extra,
  differing, duplicates, on_their_way, missing + extra + differing + duplicates AS drift
FROM reconciliations WHERE target = 'notion' AND is_complete AND started_at >= coalesce($1::timestamptz, '-infinity')
ORDER BY entity_type, started_at DESC]]

--- The latest comparison of each type.
---@param conn table
---@param since string|nil not those before
---@return table[]
function M.latest(conn, since)
  return conn:query(LATEST, since or pg.null)
end

return M
