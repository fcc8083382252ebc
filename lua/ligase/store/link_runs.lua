--- Runs that move links of stored rows: one at a time, one transaction.
---
--- What such a run moves is described by a plan: names in three lists of one length (the
--- cell, the key of its feature before, and after), and datasets, each with the places of
--- its names in those lists. How the journal keeps it is ligase.store.move_journal's.
local errors = require "ligase.base.errors"
local pg = require "pg"
local runs = require "ligase.store.runs"
local sys = require "sys"

local M = {}

---@class ligase.link_plan
---@field raws string[]
---@field olds (integer|pg.null)[]
---@field news (integer|pg.null)[]
---@field datasets ligase.link_plan_dataset[]

---@class ligase.link_plan_dataset
---@field id string
---@field revision integer
---@field feature_count integer as it was
---@field places integer[] of its names
---@field rows table<string, integer[]>|nil ordinals by place, where a name was linked in several ways
---@field unlinked boolean|nil none of its rows was linked, but for `links`; it has no places then
---@field links table[]|nil {ordinal, key} of rows that were linked all the same

local ATTEMPTS = 5
local TRY_AGAIN = { ["40001"] = true, ["40P01"] = true, ["55P03"] = true }

local LOCK_NAME = "names apply"

-- ---- telling others -------------------------------------------------------

local INSERT_OUTBOX = [[
INSERT INTO outbox (entity_type, entity_id, action, payload, run_id)
SELECT 'datasets', n.id, 'update', jsonb_build_object('revision', n.revision), $1
FROM unnest($2::uuid[], $3::int[]) WITH ORDINALITY AS n (id, revision, place) ORDER BY n.place]]

--- Other systems are to learn of the datasets.
---@param conn table
---@param plan ligase.link_plan
---@param run_id string
function M.tell_others(conn, plan, run_id)
  local ids, revisions = {}, {}
  for i, dataset in ipairs(plan.datasets) do
    ids[i], revisions[i] = dataset.id, dataset.revision
  end
  conn:query(INSERT_OUTBOX, run_id, pg.array(ids), pg.array(revisions))
end

-- ---- the transaction -------------------------------------------------------

--- Whether Postgres ended one of two that waited for each other, or another transaction
--- wrote the same feature meanwhile: the next try will do.
local function may_try_again(failure)
  return errors.is(failure, "database")
    and (TRY_AGAIN[failure.code] or failure.code == "23505" and (failure.table_name or ""):find("^feature") ~= nil)
end

--- Calls fn in a transaction, again when Postgres asks for it.
---@param conn table
---@param resolvers ligase.resolver[] that forget what a try wrote
---@param fn function
---@param ... any what it is given
---@return any what it returns
function M.until_done(conn, resolvers, fn, ...)
  for try = 1, ATTEMPTS do
    local done, result = xpcall(conn.transaction, errors.explained, conn, fn, ...)
    if done then
      return result
    end
    for _, resolver in ipairs(resolvers) do
      resolver:rolled_back()
    end
    if not may_try_again(result) or try == ATTEMPTS then
      error(result, 0)
    end
    sys.sleep(math.random() * 0.05 * 2 ^ try)
  end
end

--- Calls fn while no other run of one database moves links; a failure goes into the
--- journal and is raised.
---@param conn table with no open transaction
---@param run ligase.run
---@param fn function
---@param ... any what it is given
---@return any what it returns
function M.locked(conn, run, fn, ...)
  local lock = sys.hash64(LOCK_NAME)
  conn:query("SELECT pg_advisory_lock($1::int8)", lock)
  local done, result = xpcall(fn, errors.explained, ...)
  if not done then
    runs.journal_failure(conn, run, result)
  end
  errors.try(conn.query, conn, "SELECT pg_advisory_unlock($1::int8)", lock)
  return done and result or error(result, 0)
end

return M
