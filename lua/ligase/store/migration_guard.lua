--- Holds steps to their transaction. A step that ends it by itself would be half done
--- where nothing, or all, was to be: so SQL is looked through before it runs, that of SQL
--- files before anything runs and that of Lua as it comes. What gets past that (a pipeline)
--- is seen afterwards by the transaction's number.
local errors = require "ligase.base.errors"
local sql_statements = require "ligase.store.sql_statements"

local M = {}

--- The code of the failure that says that a step ended its transaction.
M.ENDED = "step_ended_transaction"

local NO_SAVEPOINT = "3B001"

-- ---- before ----------------------------------------------------------------

local function path_of(task)
  return task.direction == "up" and task.step.up_path or task.step.down_path
end

local function refuse(task, ending, line, hint)
  errors.raise { kind = "input", code = M.ENDED, file = path_of(task), line = line, step = task.step.step,
    message = ("migration %s says %s on the way %s, which would end the transaction that the step and its record "
      .. "share"):format(task.step.name, ending, task.direction), hint = hint }
end

local TAKE_OUT = "Take it out, and BEGIN with it: every step has a transaction of its own"

--- Refuses a step whose SQL ends the transaction that it runs in.
---@param task ligase.StepTask
function M.check_text(task)
  local sql = task.body.texts[task.direction]
  if not sql or not task.body.transaction then
    return
  end
  local ending, line = sql_statements.first_ending(sql)
  if ending then
    refuse(task, ending, line, "Nothing was done. " .. (task.direction == "up" and TAKE_OUT
      or ("Where the step was applied long ago, run the other statements of the file by hand, and with them: DELETE "
        .. "FROM schema_migrations WHERE step = %d"):format(task.step.step)))
  end
end

local TAKE_SQL = { query = true, table = true, script = true, prepare = true }

--- The line of a step's own file that is being run.
local function line_in(path)
  for level = 3, 20 do
    local info = debug.getinfo(level, "Sl")
    if not info then
      return nil
    elseif info.source == "@" .. path then
      return info.currentline
    end
  end
end

--- The connection as a step in Lua gets it: SQL that ends the transaction is refused.
---@param conn table
---@param task ligase.StepTask
---@return table
function M.connection(conn, task)
  local function method_of(_, name)
    local method = conn[name]
    if type(method) ~= "function" then
      return method
    elseif not TAKE_SQL[name] then
      return function(_, ...)
        return method(conn, ...)
      end
    end
    return function(_, sql, ...)
      local ending = type(sql) == "string" and sql_statements.first_ending(sql)
      if ending then
        refuse(task, ending, line_in(path_of(task)), "Nothing of this step was done. " .. TAKE_OUT)
      end
      return method(conn, sql, ...)
    end
  end
  return setmetatable({}, { __index = method_of })
end

-- ---- afterwards ------------------------------------------------------------

local function is_same(conn, id)
  return conn:transaction_status() == "in transaction"
    and conn:query("SELECT pg_current_xact_id_if_assigned()::text AS id")[1].id == id
end

local BECAME = {
  committed = "What it did up to there stays",
  aborted = "What it did up to there is undone, and what it did after that stays where it was not undone as well",
  ["in progress"] = "What it did up to there waits as a prepared transaction: SELECT gid FROM pg_prepared_xacts",
}

--- What became of the transaction that was ended.
local function outcome_of(conn, id)
  if conn:transaction_status() ~= "idle" then
    errors.try(conn.script, conn, "ROLLBACK")
  end
  local asked, rows = errors.try(conn.query, conn, "SELECT pg_xact_status($1::xid8) AS status", id)
  return asked and rows[1].status or nil
end

--- A failure that says more than that the transaction is not there.
local function reason_of(failure)
  local is_plain = errors.is(failure, "usage") or errors.is(failure, "database") and failure.code == NO_SAVEPOINT
  return not is_plain and failure and tostring(failure) or nil
end

local function raise_ended(conn, task, id, failure, again, earlier)
  local became = outcome_of(conn, id)
  errors.raise {
    kind = errors.is(failure, "interrupted") and "interrupted" or "input", code = M.ENDED, file = path_of(task),
    step = task.step.step, became = became,
    message = ("migration %s ended its transaction by itself on the way %s, and is not recorded as %s. %s%s"):format(
      task.step.name, task.direction, task.direction == "up" and "applied" or "taken back",
      BECAME[became] or "Whether what it did up to there stays is not known",
      #earlier > 0 and (", and so it is with %s, which shared that transaction"):format(table.concat(earlier, ", "))
        or ""),
    detail = reason_of(failure),
    hint = ("Look at what is there, take back by hand what the step did, and take COMMIT, ROLLBACK and their like out "
      .. "of it; then run: %s"):format(again),
  }
end

--- Runs the body of a step in the transaction that is open, and raises when that is not
--- open any more afterwards.
---@param conn table
---@param task ligase.StepTask
---@param again string the command to type after a failure was remedied
---@param earlier string[] the names of the steps that were run in the same transaction before
---@param body fun()
function M.within(conn, task, again, earlier, body)
  local id = conn:query("SELECT pg_current_xact_id()::text AS id")[1].id
  -- A savepoint of our own: a failure can be taken back to it only in the same transaction.
  local done, failure = pcall(conn.transaction, conn, body)
  if conn:is_open() and not is_same(conn, id) then
    raise_ended(conn, task, id, not done and failure or nil, again, earlier)
  elseif not done then
    error(failure, 0)
  end
end

return M
