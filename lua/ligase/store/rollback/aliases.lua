--- Alias tables exchanged for those that were there before.
---
--- A run that loads, replaces or drops a table sets the rows aside that it takes out of use,
--- under its own id. Undoing it puts its own rows aside and takes the others back. Undoing
--- that does the run again, so the rows return to where the run itself had put them.
local errors = require "ligase.base.errors"

local M = {}

local ENTRIES = [[
SELECT u.run_id, u.rollback_id, e.id AS source, e.target::text AS target,
  (e.target ->> 'alias_count')::bigint AS alias_count
FROM undone AS u JOIN undoing AS e ON e.run_id = u.run_id
WHERE e.tbl = 'alias_sources' ORDER BY u.place]]

--- Under which run a run's rows are set aside: `mine` those that it took out of use, `its` those
--- that undoing it takes out.
local LABELS = [[
WITH RECURSIVE up AS (
  SELECT id, rolls_back, 0 AS depth FROM runs WHERE id = $1
  UNION ALL SELECT r.id, r.rolls_back, up.depth + 1 FROM up JOIN runs AS r ON r.id = up.rolls_back)
SELECT id, depth FROM up ORDER BY depth DESC LIMIT 2]]

local function labels_of(conn, run_id, rollback_id)
  local chain = conn:query(LABELS, run_id)
  if chain[1].depth == 0 then
    return run_id, rollback_id
  end
  local run, first_rollback = chain[1].id, chain[2].id
  if chain[1].depth % 2 == 1 then
    return first_rollback, run
  end
  return run, first_rollback
end

local SET_ASIDE = [[
INSERT INTO aliases_set_aside (run_id, key, source, kind, folded, alias, name)
SELECT $2, key, source, kind, folded, alias, name FROM name_aliases WHERE source = $1]]

local TAKE_BACK = [[
INSERT INTO name_aliases (key, source, kind, folded, alias, name)
SELECT key, source, kind, folded, alias, name FROM aliases_set_aside WHERE source = $1 AND run_id = $2]]

local BEFORE = [[
SELECT jsonb_build_array(jsonb_build_object('table', 'alias_sources', 'id', $1::text, 'set_aside', true, 'before',
  (SELECT to_jsonb(s) FROM alias_sources AS s WHERE source = $1)))::text AS changes]]

local INSERT = [[
INSERT INTO alias_sources SELECT r.* FROM jsonb_populate_record(NULL::alias_sources, $1::jsonb) AS r]]

local function refuse_gone(source, rows, wanted)
  errors.raise { kind = "usage", code = "rows_gone",
    message = ("of the alias table '%s' %d of %d rows are stored"):format(source, rows, wanted),
    hint = "ligase gc freed them; load the table again from its file: ligase aliases load" }
end

--- Undoes what the runs did to alias tables.
---@param conn table
---@return {source: string, action: "removed"|"restored", rollback_id: string, changes: string}[] effects
function M.undo(conn)
  local effects = {}
  for i, entry in ipairs(conn:query(ENTRIES)) do
    local from, to = labels_of(conn, entry.run_id, entry.rollback_id)
    local is_back = type(entry.target) == "string"
    effects[i] = { source = entry.source, rollback_id = entry.rollback_id, action = is_back and "restored" or "removed",
      changes = conn:query(BEFORE, entry.source)[1].changes }
    conn:query(SET_ASIDE, entry.source, to)
    conn:query("DELETE FROM name_aliases WHERE source = $1", entry.source)
    local rows = conn:query(TAKE_BACK, entry.source, from).affected
    if is_back and rows ~= entry.alias_count then
      refuse_gone(entry.source, rows, entry.alias_count)
    end
    conn:query("DELETE FROM aliases_set_aside WHERE source = $1 AND run_id = $2", entry.source, from)
    conn:query("DELETE FROM alias_sources WHERE source = $1", entry.source)
    if is_back then
      conn:query(INSERT, entry.target)
    end
  end
  return effects
end

return M
