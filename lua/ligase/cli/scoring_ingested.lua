--- Scoring what was just ingested, where ENABLE_SIGNATURE_SCORING is true.
---
--- The dataset is stored whatever becomes of its scores: a failure is a warning. Without any
--- signature this costs one query for all files of a process.
local errors = require "ligase.base.errors"
local lazy = require "ligase.base.lazy"
local text = require "ligase.base.text"

local profiles = lazy "ligase.store.profiles"
local scoring = lazy "ligase.scoring"

local M = {}

---@class ligase.ingested_scorer
---@field session ligase.score_session|false|nil false: there is nothing to score by; nil: not looked yet
local Scorer = {}
Scorer.__index = Scorer

--- A scorer for the files of one process.
---@param config ligase.Config
---@return ligase.ingested_scorer
function M.new(config)
  local self = setmetatable({ threshold = config:get "SIGNATURE_OVERLAP_THRESHOLD" }, Scorer)
  if not config:get "ENABLE_SIGNATURE_SCORING" then
    self.session = false
  end
  return self
end

local function score(conn, self, report)
  if self.session == nil then
    self.session = profiles.has_signatures(conn)
      and scoring.session(conn, { parameters = { threshold = self.threshold }, lenient = true }) or false
  end
  if not self.session then
    return nil
  end
  local counts = scoring.run(conn, self.session, { report.dataset_id }, report.run_id)
  counts.signatures = #self.session.signatures
  return counts
end

--- Scores a dataset after it was stored. In a transaction of its own, or a savepoint where one
--- is open, so that a failure leaves the ingest as it is.
---@param conn table
---@param name string the dataset's, for the warning
---@param report table of ligase.intake.ingest
---@return {signatures: integer, matches: integer}|nil counts
function Scorer:score(conn, name, report)
  if self.session == false or report.outcome ~= "created" and report.outcome ~= "revised" then
    return nil
  end
  local done, result = errors.try(conn.transaction, conn, score, conn, self, report)
  if done then
    return result
  end
  io.stderr:write(("ligase: %s: signature scoring skipped (%s)\n"):format(text.printable(name),
    text.printable(errors.wrap(result).message)))
end

return M
