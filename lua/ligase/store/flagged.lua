--- Rows that are flagged: contaminants, decoys, spiked standards, totals, and what else is no
--- measurement of a feature that was looked for.
---
--- Formats flag rows by rules that stand with the revision (a column holds "+", a name begins
--- with REV__); the reader of protein names flags names, which their receipts say.
local json = require "ligase.base.json"
local pg = require "pg"

local M = {}

--- Columns over r (revisions) that M.read wants.
M.COLUMNS = [[
r.dialect -> 'flags' AS flags, CASE WHEN r.dialect ? 'flags' THEN (
    SELECT (c ->> 'position')::int4 FROM jsonb_array_elements(r.columns) AS c WHERE c ->> 'role' = 'feature' LIMIT 1)
  END AS name_position]]

local BY_RULES = [[
AND NOT EXISTS (
  SELECT FROM jsonb_to_recordset($%d::jsonb) AS f (slot int4, equals text, prefix text)
  WHERE CASE WHEN f.slot IS NULL THEN m.source_name ELSE m.texts[f.slot] END = f.equals
    OR starts_with(CASE WHEN f.slot IS NULL THEN m.source_name ELSE m.texts[f.slot] END, f.prefix))]]

local BY_NAMES = [[

AND NOT EXISTS (
  SELECT FROM feature_names AS n
  WHERE n.feature_key = m.feature_key AND n.raw_name = m.source_name AND n.aside ? 'flag')]]

--- The rules of a revision that can be held against its rows: a rule for a column that is
--- stored in no slot is one for the names, or for what no row has.
---@param row {flags: table[]|userdata, name_position: integer|userdata} of M.COLUMNS
---@return string|nil rules JSON; nil when there are none
function M.read(row)
  local rules = json.array()
  for _, rule in ipairs(row.flags ~= pg.null and row.flags or {}) do
    if rule.slot or not rule.position or rule.position == row.name_position then
      rules[#rules + 1] = { slot = rule.slot, equals = rule.equals, prefix = rule.prefix }
    end
  end
  return #rules > 0 and json.encode(rules) or nil
end

--- A query over m (measurements) that leaves flagged rows out, and its parameters.
---@param dataset {flag_rules: string|nil, feature_type: string|userdata}
---@param sql string with %s where another condition may follow
---@param ... any its parameters
---@return string sql
---@return any ... the parameters
function M.without(dataset, sql, ...)
  local is_protein = dataset.feature_type == "protein"
  if not (dataset.flag_rules or is_protein) then
    return sql:format "", ...
  end
  local parameters = table.pack(...)
  local conditions = dataset.flag_rules and BY_RULES:format(parameters.n + 1) or ""
  if dataset.flag_rules then
    parameters.n = parameters.n + 1
    parameters[parameters.n] = dataset.flag_rules
  end
  return sql:format(conditions .. (is_protein and BY_NAMES or "")), table.unpack(parameters, 1, parameters.n)
end

return M
