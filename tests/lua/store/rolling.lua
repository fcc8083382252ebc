--- What the specs of rollback share: the content of a database as one text per table, so that
--- "bit for bit" is a comparison of texts that Postgres wrote.
local M = {}

--- Never taken back, or only added to: compared by the rows that were there.
local ONLY_OLD = { runs = "id", outbox = "id" }

local TABLES = [[
SELECT relname AS name FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
  AND relname <> 'schema_migrations' ORDER BY relname]]

local DIGEST = [[
SELECT coalesce(encode(sha256(convert_to(string_agg(x.row, E'\n' ORDER BY x.row COLLATE "C"), 'UTF8')), 'hex'), '')
  AS digest, count(*) AS n
FROM (SELECT %s AS row FROM %s AS t %s) AS x]]

local function digest_of(conn, name, condition, shown)
  local row = conn:query(DIGEST:format(shown or "t::text", name, condition))[1]
  return ("%d %s"):format(row.n, row.digest)
end

--- The digest of one table.
---@param conn table
---@param name string
---@return string
function M.digest(conn, name)
  return digest_of(conn, name, "")
end

--- The digests of all tables.
---@param conn table
---@param old table|nil an earlier snapshot: of the journal and the outbox only the rows of then
---@return table snapshot digests by table; compare with M.difference
function M.snapshot(conn, old)
  local snapshot = { tables = {}, ids = {} }
  for _, tbl in ipairs(conn:query(TABLES)) do
    local where = ""
    if ONLY_OLD[tbl.name] then
      local ids = old and old.ids[tbl.name]
        or conn:query(("SELECT coalesce(string_agg(quote_literal(id::text), ','), '''''') AS ids FROM %s"):format(
          tbl.name))[1].ids
      snapshot.ids[tbl.name] = ids
      where = ("WHERE id::text IN (%s)"):format(ids)
    end
    snapshot.tables[tbl.name] = digest_of(conn, tbl.name, where)
  end
  return snapshot
end

--- The tables in which two snapshots differ.
---@param a table
---@param b table
---@return string[]
function M.difference(a, b)
  local names = {}
  for name, digest in pairs(a.tables) do
    if b.tables[name] ~= digest then
      names[#names + 1] = name
    end
  end
  table.sort(names)
  return names
end

--- What counts: all that a rollback gives back as it was before the run.
local COUNTS = {
  programs = "", experiments = "", datasets = "", compounds = "", screening_campaigns = "", signatures = "",
  signature_components = "", program_experiments = "", program_datasets = "", experiment_datasets = "",
  program_signatures = "", program_compounds = "", alias_sources = "", name_aliases = "",
  dataset_signatures = "JOIN datasets AS d ON d.id = t.dataset_id AND d.current_revision = t.revision",
  revisions = "JOIN datasets AS d ON d.id = t.dataset_id AND d.current_revision = t.revision",
  measurements = "JOIN datasets AS d ON d.id = t.dataset_id AND d.current_revision = t.revision",
  screening_revisions = "JOIN screening_campaigns AS d ON d.id = t.campaign_id AND d.current_revision = t.revision",
  screening_results = "JOIN screening_campaigns AS d ON d.id = t.campaign_id AND d.current_revision = t.revision",
}

--- The digests of what counts.
---@param conn table
---@param without string|nil columns that do not count: "- 'notion_page_id'"
---@return table snapshot
function M.counting(conn, without)
  local snapshot = { tables = {} }
  for name, join in pairs(COUNTS) do
    snapshot.tables[name] = digest_of(conn, name, join, without and ("(to_jsonb(t) %s)::text"):format(without))
  end
  return snapshot
end

return M
