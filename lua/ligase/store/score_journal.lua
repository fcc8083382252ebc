--- What the journal keeps of scores.
---
--- Scores carry the run that wrote them, so those that a run made need no list. Those that it
--- replaced or deleted are kept as rows, in entries of their own (their arguments are
--- {"piece_of": run}), because there can be very many.
local json = require "ligase.base.json"
local row_images = require "ligase.store.row_images"
local runs = require "ligase.store.runs"
local sys = require "sys"

local M = {}

--- JSON of rows in one entry, about.
local PIECE_BYTES = 2 << 20

---@class ligase.score_journal
local Journal = {}
Journal.__index = Journal

--- Where the scores are kept that a run takes away.
---@param conn table in the transaction that takes them away
---@param run {id: string}
---@return ligase.score_journal call :finish in the end
function M.new(conn, run)
  return setmetatable({ conn = conn, run = run, texts = {}, runs = {}, bytes = 0 }, Journal)
end

--- The changes of a run that wrote scores.
---@param run_id string
---@return table[] changes
function M.entry(run_id)
  return json.array { { table = "dataset_signatures", id = run_id, before = json.null } }
end

local function flush(self)
  if #self.texts == 0 then
    return
  end
  local made_by = json.array()
  for id in pairs(self.runs) do
    made_by[#made_by + 1] = id
  end
  table.sort(made_by)
  local run = { id = sys.uuid7(), batch_id = self.run.id, started_at = sys.timestamp(), command = "score",
    arguments = { piece_of = self.run.id } }
  self.conn:query(self.conn:prepare(runs.INSERT), runs.parameters(run, "done", { changes =
    ('[{"table":"dataset_signatures","id":%s,"made_by":%s,"rows":[%s]}]'):format(json.encode(self.run.id),
    json.encode(made_by), table.concat(self.texts, ",")) }))
  self.texts, self.runs, self.bytes = {}, {}, 0
end

local DELETE = ([[
DELETE FROM dataset_signatures AS x WHERE %%s RETURNING %s::text AS row, x.run_id]]):format(
  row_images.of("dataset_signatures", "x"))

--- Deletes scores and keeps them.
---@param where string SQL with $n
---@param ... any its parameters
---@return integer count
function Journal:take(where, ...)
  local gone = self.conn:query(self.conn:prepare(DELETE:format(where)), ...)
  for _, score in ipairs(gone) do
    self.texts[#self.texts + 1], self.bytes = score.row, self.bytes + #score.row
    if type(score.run_id) == "string" then
      self.runs[score.run_id] = true
    end
    if self.bytes > PIECE_BYTES then
      flush(self)
    end
  end
  return #gone
end

--- Writes what is left to be written.
function Journal:finish()
  flush(self)
end

return M
