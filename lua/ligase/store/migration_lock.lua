--- Only one process migrates a database at a time. The lock is an advisory one, on a
--- connection of its own, and is tried for again and again: a session that waits inside
--- Postgres holds a snapshot, and CREATE INDEX CONCURRENTLY would wait for that.
local errors = require "ligase.base.errors"
local sys = require "sys"

local M = {}

--- The key of the lock: "ligase", 1.
M.KEY = 0x6C69676173650001

--- Sleeps a random while. The longer it has taken, the longer we may sleep.
---@param attempt integer how often it was in vain
function M.nap(attempt)
  sys.sleep(math.random() * math.min(1, 0.02 * 2 ^ math.min(attempt, 10)))
end

local HOLDER = [[
  SELECT a.pid, coalesce(a.usename, '?') AS usename, coalesce(nullif(a.application_name, ''), 'a session') AS name,
         coalesce(host(a.client_addr), 'this machine') AS address, a.backend_start
  FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
  WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND (l.classid::bigint << 32 | l.objid::bigint) = $1]]

local function refuse(conn)
  local holder = conn:query(HOLDER, M.KEY)[1]
  errors.raise { kind = "database", code = "migration_locked",
    message = "another process is migrating this database" .. (holder and (
      ": %s (user %s, on %s, server process %d, connected since %s)"):format(holder.name, holder.usename,
      holder.address, holder.pid, holder.backend_start) or ""),
    hint = ("Wait until it has finished; if it hangs, end it: SELECT pg_terminate_backend(%s)"):format(
      holder and holder.pid or "pid") }
end

--- Takes the lock; the value returned releases it at the end of its scope.
---@param conn table
---@param wait_s number for how long to try
---@param say fun(text: string?) told that we wait, again and again; nil when that is over
---@return table held
function M.take(conn, wait_s, say)
  local began, attempt = sys.monotonic(), 0
  while not conn:query("SELECT pg_try_advisory_lock($1) AS locked", M.KEY)[1].locked do
    local waited = sys.monotonic() - began
    if waited > wait_s then
      say(nil)
      refuse(conn)
    end
    say(("another process migrates this database: waiting, %d of %d s"):format(waited // 1, wait_s // 1))
    attempt = attempt + 1
    M.nap(attempt)
  end
  if attempt > 0 then
    say(nil)
  end
  return setmetatable({}, { __close = function()
    pcall(conn.query, conn, "SELECT pg_advisory_unlock($1)", M.KEY) -- or the session's end releases it
  end })
end

--- Makes sure that the lock is still ours: its connection may have been ended, and with it
--- the lock.
---@param conn table
function M.assert_held(conn)
  local asked, held = pcall(conn.query, conn, [[
    SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND granted AND objsubid = 1
      AND (classid::bigint << 32 | objid::bigint) = $1]], M.KEY)
  if not asked and errors.is(held, "interrupted") then
    error(held, 0)
  elseif not asked or #held == 0 then
    errors.raise { kind = "database", code = "migration_lock_lost",
      message = "the connection that held the migration lock was ended, so another process may be migrating",
      hint = "See what was applied: ligase migrate status" }
  end
end

return M
