--- Indexes built while others read and write (CREATE INDEX CONCURRENTLY), for steps that
--- run outside a transaction. A build that was killed leaves an index that is not valid;
--- the next run drops it and builds again, and what is valid already is left alone.
local errors = require "ligase.base.errors"
local lock = require "ligase.store.migration_lock"
local sys = require "sys"

local M = {}

---@class ligase.IndexBuilds
local IndexBuilds = {}
IndexBuilds.__index = IndexBuilds

--- For one step.
---@param conn table
---@param options {wait_s: number, noted: string[]?} wait_s: for how long another's build is
--- waited for; noted: statements are put there instead of being run
---@return ligase.IndexBuilds
function M.new(conn, options)
  return setmetatable({ conn = conn, wait_s = options.wait_s, noted = options.noted }, IndexBuilds)
end

local function misuse(message, hint)
  errors.raise { kind = "usage", code = "index", message = message, hint = hint }
end

--- The names of index and table in the statement.
local function parse(sql)
  local upper = sql:upper()
  local is_unique = upper:find("^%s*CREATE%s+UNIQUE%s") ~= nil
  local _, stop = upper:find("^%s*CREATE%s+INDEX%s+CONCURRENTLY%s+")
  if is_unique then
    _, stop = upper:find("^%s*CREATE%s+UNIQUE%s+INDEX%s+CONCURRENTLY%s+")
  end
  local name, on_table
  if stop then
    name, on_table = sql:match("^([%w_]+)%s+[Oo][Nn]%s+([%w_.]+)", stop + 1)
  end
  if not name then
    misuse("indexes:build takes a statement of the form CREATE [UNIQUE] INDEX CONCURRENTLY name ON table (...)",
      "Without IF NOT EXISTS; that is looked after")
  end
  return name, on_table, is_unique
end

local function refuse_inside(conn)
  if conn:transaction_status() ~= "idle" then
    misuse("an index cannot be built beside the work of others within a transaction",
      "Put transaction = false into the step")
  end
end

local STATE = [[
  SELECT i.indisvalid AS is_valid, i.indisunique = $3 AND i.indrelid = to_regclass($2) AS is_ours,
    EXISTS (SELECT FROM pg_stat_progress_create_index AS p
            WHERE p.index_relid = i.indexrelid AND p.pid <> pg_backend_pid()) AS is_being_built
  FROM pg_index AS i WHERE i.indexrelid = to_regclass($1)]]

--- Drops what a failed build left, if that goes at once; else the next run does.
local function clear_away(conn, name)
  if conn:is_open() then
    errors.try(function()
      conn:script("SET lock_timeout = '1s'")
      conn:script(("DROP INDEX CONCURRENTLY IF EXISTS %s"):format(name))
    end)
  end
end

--- Builds an index, unless it is there and valid.
---@param sql string CREATE [UNIQUE] INDEX CONCURRENTLY name ON table (...)
function IndexBuilds:build(sql)
  local name, on_table, is_unique = parse(sql)
  if self.noted then
    self.noted[#self.noted + 1] = sql
    return
  end
  local conn = self.conn
  refuse_inside(conn)
  local deadline, attempt = sys.monotonic() + self.wait_s, 0
  while true do
    local found = conn:query(STATE, name, on_table, is_unique)[1]
    if not found then
      local built, failure = pcall(conn.script, conn, sql)
      if not built then
        clear_away(conn, name)
        error(failure, 0)
      end
    elseif not found.is_ours then
      errors.raise { kind = "database", code = "index_exists",
        message = ("there is another index called %s"):format(name),
        hint = ("Look at it (\\d %s) and rename or drop it"):format(name) }
    elseif found.is_valid then
      return
    elseif not found.is_being_built or sys.monotonic() > deadline then
      conn:script(("DROP INDEX CONCURRENTLY IF EXISTS %s"):format(name))
    else
      attempt = attempt + 1
      lock.nap(attempt)
    end
  end
end

--- Drops an index, if it is there.
---@param name string
function IndexBuilds:drop(name)
  if not name:find("^[%w_]+$") then
    misuse("indexes:drop takes the name of an index", "Letters, digits and underscores, as it was built")
  end
  local sql = ("DROP INDEX CONCURRENTLY IF EXISTS %s"):format(name)
  if self.noted then
    self.noted[#self.noted + 1] = sql
    return
  end
  refuse_inside(self.conn)
  self.conn:script(sql)
end

return M
