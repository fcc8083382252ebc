--- Receipts of names that are read as the same feature as before, but otherwise: by another
--- rule, at another level, with something else set aside, for another reason.
local features = require "ligase.store.features"
local pg = require "pg"

local M = {}

--- A receipt that was stored otherwise than the name is read now. Looked up one by one in
--- the index, in one order, so that two writers wait for one another and not in a ring.
local DIFFERING = [[
SELECT n.place::int8 AS place, r.rule, r.level, r.reason, r.aside::text AS aside, r.candidates::text AS candidates,
  r.run_id
FROM unnest($1::int8[], $2::int8[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[]) WITH ORDINALITY
  AS n (key, raw_key, rule, level, reason, aside, candidates, place)
CROSS JOIN LATERAL (SELECT * FROM feature_names AS f
  WHERE f.feature_key = n.key AND f.raw_key = n.raw_key LIMIT 1) AS r
WHERE (r.rule, r.level, r.reason, r.aside, r.candidates)
  IS DISTINCT FROM (n.rule, n.level, n.reason, n.aside::jsonb, n.candidates::jsonb)
ORDER BY n.key, n.raw_key]]

local UPDATE = [[
UPDATE feature_names AS r SET rule = n.rule, level = n.level, reason = n.reason, aside = n.aside::jsonb,
  candidates = n.candidates::jsonb, run_id = $8
FROM unnest($1::int8[], $2::int8[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
  AS n (key, raw_key, rule, level, reason, aside, candidates)
WHERE r.feature_key = n.key AND r.raw_key = n.raw_key]]

local FIELDS = { "rule", "level", "reason", "aside", "candidates" }

local function list_of(entries, field)
  local list = {}
  for i, entry in ipairs(entries) do
    local value = entry[field]
    list[i] = value == nil and pg.null or value
  end
  return list
end

local function parameters(entries)
  local columns = { pg.int8_array(list_of(entries, "key")), pg.int8_array(list_of(entries, "raw_key")) }
  for i, field in ipairs(FIELDS) do
    columns[i + 2] = pg.array(list_of(entries, field), "text")
  end
  return table.unpack(columns)
end

---@class ligase.receipt_change
---@field place integer in the list of names
---@field entry table how the name is read now, as ligase.store.features has it
---@field before table<string, string> rule, level, reason, aside (JSON), candidates (JSON), run_id, as far as there are

--- The names among some whose receipts say something else. Names without a receipt are not
--- among them.
---@param conn table in a transaction
---@param waiting ligase.waiting
---@param places? integer[] only these
---@return ligase.receipt_change[] changes in the order of their keys
function M.differing(conn, waiting, places)
  local entries = {}
  if places then
    for i, place in ipairs(places) do
      entries[i] = features.entry_of(waiting, place)
    end
  else
    for place = 1, #waiting.raws do
      entries[place] = features.entry_of(waiting, place)
    end
  end
  if #entries == 0 then
    return {}
  end
  local changes = {}
  for i, row in ipairs(conn:query(conn:prepare(DIFFERING), parameters(entries))) do
    local place = row.place
    local before = { run_id = row.run_id ~= pg.null and row.run_id or nil }
    for _, field in ipairs(FIELDS) do
      before[field] = row[field] ~= pg.null and row[field] or nil
    end
    changes[i] = { place = places and places[place] or place, entry = entries[place], before = before }
  end
  return changes
end

--- Writes the present readings into their receipts.
---@param conn table in a transaction
---@param changes ligase.receipt_change[]
---@param run_id string the run that read them so
function M.update(conn, changes, run_id)
  local entries = {}
  for i, change in ipairs(changes) do
    entries[i] = change.entry
  end
  if #entries == 0 then
    return
  end
  local columns = table.pack(parameters(entries))
  columns[columns.n + 1] = run_id
  conn:query(conn:prepare(UPDATE), table.unpack(columns, 1, columns.n + 1))
end

return M
