--- What a run changed: noted row by row with the state before, and written as the journal's
--- entry and, when other systems are to be told, as outbox rows, all in the transaction of
--- the change itself.
local json = require "ligase.base.json"
local runs = require "ligase.store.runs"

local M = {}

--- So many outbox rows by one statement.
local TOLD_AT_ONCE = 1000

local INSERT_OUTBOX = [[
INSERT INTO outbox (entity_type, entity_id, action, payload, run_id)
SELECT entity_type, entity_id, action, payload, $2
FROM jsonb_to_recordset($1::jsonb) AS n (entity_type text, entity_id uuid, action text, payload jsonb)]]

---@class ligase.raw_row a row as Postgres wrote it: numbers keep their digits, which a rollback gives back
---@field text string JSON
local Raw = {}

--- A row that goes into the journal as it is.
---@param row_text string JSON, as to_jsonb(row)::text gives it
---@return ligase.raw_row
function M.raw(row_text)
  return setmetatable({ text = row_text }, Raw)
end

--- A list of changes as JSON.
---@param changes table[] with fields that may be from M.raw
---@return string
function M.encode(changes)
  local texts = {}
  for i, change in ipairs(changes) do
    local plain, raw = {}, {}
    for name, value in pairs(change) do
      if getmetatable(value) == Raw then
        raw[#raw + 1] = ('"%s":%s'):format(name, value.text)
      else
        plain[name] = value
      end
    end
    local text = json.encode(plain)
    texts[i] = #raw == 0 and text or ("%s,%s}"):format(text:sub(1, -2), table.concat(raw, ","))
  end
  return "[" .. table.concat(texts, ",") .. "]"
end

---@class ligase.noted_changes
---@field run ligase.run
---@field outbox boolean|table<string, boolean>|nil true, or the tables whose changes are told
---@field asked boolean|nil they are told because somebody asked for it, whatever the policy says
---@field changes table[]
local Noted = {}
Noted.__index = Noted

--- An empty list of changes of a run.
---@param run ligase.run
---@param outbox boolean|table<string, boolean>|nil other systems are to be told: of all, or of changes in these tables
---@param asked boolean|nil because somebody asked for it, whatever the policy says
---@return ligase.noted_changes
function M.new(run, outbox, asked)
  return setmetatable({ run = run, outbox = outbox, asked = asked, changes = {}, told = {} }, Noted)
end

--- Whether other systems are to be told of changes in a table.
---@param outbox boolean|table<string, boolean>|nil
---@param tbl string
---@return boolean
function M.is_told(outbox, tbl)
  return outbox == true or type(outbox) == "table" and outbox[tbl] == true
end

--- Notes that a row was made or changed.
---@param tbl string
---@param id string the entity's
---@param before table|ligase.raw_row|nil the row as it was; nil when it is new
---@param payload table|nil what other systems are told; nothing without it
---@param key table|nil the row's key, where it is more than an id
---@param page boolean|nil the Notion page of the row was said by hand; else it is the mirror's, and stays when the run
--- is undone
function Noted:note(tbl, id, before, payload, key, page)
  self.changes[#self.changes + 1] = { table = tbl, id = id, key = key, before = before or json.null,
    page = page or nil }
  if payload then
    self:tell(tbl, id, before and "update" or "create", payload)
  end
end

--- Notes that a row is gone.
---@param tbl string
---@param id string the entity's
---@param before table|ligase.raw_row the row as it was
---@param payload table|nil what other systems are told; nothing without it
---@param key table|nil the row's key, where it is more than an id
function Noted:note_deleted(tbl, id, before, payload, key)
  self.changes[#self.changes + 1] = { table = tbl, id = id, key = key, before = before, deleted = true }
  if payload then
    self:tell(tbl, id, "delete", payload)
  end
end

--- Notes what other systems have to learn.
---@param tbl string
---@param id string
---@param action "create"|"update"|"delete"
---@param payload table
function Noted:tell(tbl, id, action, payload)
  if M.is_told(self.outbox, tbl) then
    payload.asked = self.asked
    self.told[#self.told + 1] = { entity_type = tbl, entity_id = id, action = action, payload = payload }
  end
end

--- Whether nothing was changed.
---@return boolean
function Noted:is_empty()
  return #self.changes == 0
end

--- Writes the journal's entry, and after it what other systems have to learn.
---@param conn table
---@param p table what takes queries: the connection, or a pipeline on it
---@param outcome "done"|"unchanged"
---@param counts table|nil
function Noted:write(conn, p, outcome, counts)
  p:query(conn:prepare(runs.INSERT), runs.parameters(self.run, outcome, { counts = counts,
    changes = M.encode(self.changes) }))
  for first = 1, #self.told, TOLD_AT_ONCE do
    local some = table.move(self.told, first, math.min(first + TOLD_AT_ONCE - 1, #self.told), 1, json.array())
    p:query(conn:prepare(INSERT_OUTBOX), json.encode(some), self.run.id)
  end
end

return M
