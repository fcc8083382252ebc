--- The schema's numbered steps: migrations/NNN_name.up.sql and .down.sql.
---
--- Each step runs in one transaction and is recorded there with the checksums of its
--- files, so that a file that was changed after it was applied is noticed. Only one
--- process migrates at a time; it waits for locks a second at a time, so that it
--- never holds up those who work with the tables while it waits itself.
local errors = require "ligase.base.errors"
local host = require "host"
local options_of = require "ligase.base.options"
local sys = require "sys"

local M = {}

local LOCK_KEY = 0x6C69676173650001 -- "ligase", 1
local LOCK_WAIT_S = 60

---@class ligase.Step
---@field step integer
---@field name string such as "001_entities"
---@field up_path string
---@field down_path string

local function refuse(code, message, hint, fields)
  local failure = fields or {}
  failure.kind, failure.code, failure.message, failure.hint = "database", code, message, hint
  errors.raise(failure)
end

-- The files -----------------------------------------------------------------

--- The steps there are files for, in order.
---@param folder? string ligase's own migrations without it
---@return ligase.Step[]
function M.files(folder)
  folder = folder or host.home .. "/migrations"
  local steps, present = {}, {}
  for _, file in ipairs(sys.list(folder)) do
    local name, number, direction = file:match("^((%d+)_[%w_]+)%.(%a+)%.sql$")
    if direction == "up" then
      steps[#steps + 1] = { step = tonumber(number), name = name,
        up_path = folder .. "/" .. file, down_path = ("%s/%s.down.sql"):format(folder, name) }
    elseif direction == "down" then
      present[name] = true
    end
  end
  table.sort(steps, function(a, b)
    return a.step < b.step
  end)
  for i, step in ipairs(steps) do
    if step.step ~= i then
      refuse("migration_files", step.step < i and ("two migrations have the number %d"):format(step.step)
        or ("migration %d is missing: after %d comes %s"):format(i, i - 1, step.name),
        "Number the files without gaps: 001_name.up.sql, 001_name.down.sql, 002_...", { file = step.up_path })
    elseif not present[step.name] then
      refuse("migration_files", ("migration %s has no way back"):format(step.name),
        ("Write %s.down.sql beside it"):format(step.name), { file = step.up_path })
    end
  end
  if #steps == 0 then
    refuse("migration_files", "there are no migrations in " .. folder,
      "Install ligase anew; its folders lua, recipes and migrations belong together")
  end
  return steps
end

local function checksum(path)
  return sys.sha256_file(path)
end

-- What was applied ----------------------------------------------------------

local CREATE_TABLE = [[
  CREATE TABLE IF NOT EXISTS schema_migrations (
    step integer PRIMARY KEY,
    name text NOT NULL,
    checksum text NOT NULL,
    down_checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    host_version text NOT NULL
  );
  COMMENT ON TABLE schema_migrations IS
    'Steps of ligase''s schema that were applied, with the SHA-256 of their files.';
]]

local UNDEFINED_TABLE = "42P01"
local LOCK_NOT_AVAILABLE, DEADLOCK = "55P03", "40P01"

--- The steps recorded in the database, in order; none when it has no such record.
local function applied_steps(conn)
  local read, result = pcall(conn.query, conn, [[
    SELECT step, name, checksum, down_checksum, applied_at, host_version
    FROM schema_migrations ORDER BY step]])
  if read then
    return result
  elseif errors.is(result, "database") and result.code == UNDEFINED_TABLE then
    return {}
  end
  error(result, 0)
end

--- Where database and files contradict each other; the first contradiction is enough.
local function contradiction(files, applied)
  for i, row in ipairs(applied) do
    local file = files[row.step]
    if row.step ~= i then
      return { code = "migration_gap", step = i,
        message = ("the database has step %d (%s) but not step %d"):format(row.step, row.name, i),
        hint = "Somebody edited schema_migrations; restore its row, or restore the database from a backup" }
    elseif not file then
      return { code = "schema_newer", step = row.step,
        message = ("the database's schema is newer than this ligase: it has step %d (%s, by ligase %s), "
          .. "the files end with step %d"):format(row.step, row.name, row.host_version, #files),
        hint = "Install the newer ligase, or go back with it: ligase migrate down --to " .. #files }
    elseif file.name ~= row.name then
      return { code = "migration_drift", step = row.step,
        message = ("step %d was applied as %s, but its file is now %s"):format(row.step, row.name, file.name),
        hint = "Give the file its old name back, and put changes into a new step" }
    end
    for column, path in pairs { checksum = file.up_path, down_checksum = file.down_path } do
      if row[column] ~= checksum(path) then
        return { code = "migration_drift", step = row.step, file = path,
          message = ("step %d (%s) was changed after it was applied on %s"):format(row.step, row.name,
            row.applied_at),
          hint = "Restore the file as it was (ligase " .. row.host_version
            .. "), and put changes into a new step" }
      end
    end
  end
end

local function check_contradiction(files, applied)
  local found = contradiction(files, applied)
  if found then
    refuse(found.code, found.message, found.hint, { file = found.file, step = found.step })
  end
end

--- How the schema stands to the files, without reading the files: quick enough for
--- every command.
---@param conn table
---@return string state "current", "absent", "older" or "newer"
---@return integer step the last one applied, 0 for none
---@return integer latest the last one there is a file for
function M.state(conn)
  local latest = #M.files()
  local read, rows = pcall(conn.query, conn, "SELECT max(step) AS step FROM schema_migrations")
  if not read and not (errors.is(rows, "database") and rows.code == UNDEFINED_TABLE) then
    error(rows, 0)
  end
  local step = read and math.type(rows[1].step) == "integer" and rows[1].step or 0
  local state = step == latest and "current" or step == 0 and "absent" or step < latest and "older" or "newer"
  return state, step, latest
end

--- Every step with what became of it. Raises nothing about drift: it tells.
---@param conn table
---@param folder? string ligase's own migrations without it
---@return {step: integer, name: string, state: string, applied_at: string?, host_version: string?}[]
--- steps with the state "applied", "pending", "changed" or "unknown" (no file)
---@return table? problem {code, message, hint, step, file} why up and down would refuse
function M.status(conn, folder)
  local files, applied = M.files(folder), applied_steps(conn)
  local steps, by_step = {}, {}
  for _, row in ipairs(applied) do
    by_step[row.step] = row
  end
  for i, file in ipairs(files) do
    local row = by_step[i]
    local is_same = row and row.name == file.name and row.checksum == checksum(file.up_path)
      and row.down_checksum == checksum(file.down_path)
    steps[i] = { step = i, name = file.name,
      state = not row and "pending" or is_same and "applied" or "changed",
      applied_at = row and row.applied_at, host_version = row and row.host_version }
  end
  for _, row in ipairs(applied) do
    if row.step > #files then
      steps[#steps + 1] = { step = row.step, name = row.name, state = "unknown",
        applied_at = row.applied_at, host_version = row.host_version }
    end
  end
  return steps, contradiction(files, applied)
end

-- The lock ------------------------------------------------------------------

--- Full jitter: the longer it has taken, the longer we may sleep.
local function nap(attempt)
  sys.sleep(math.random() * math.min(1, 0.02 * 2 ^ attempt))
end

local HOLDER = [[
  SELECT a.pid, a.usename, a.application_name, coalesce(host(a.client_addr), 'this machine') AS address,
         a.backend_start
  FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
  WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND (l.classid::bigint << 32 | l.objid::bigint) = $1]]

--- Takes the lock by trying again and again: a session that waits inside Postgres
--- holds a snapshot, and CREATE INDEX CONCURRENTLY would wait for that.
local function take_lock(conn, wait_s)
  local deadline, attempt = sys.monotonic() + wait_s, 0
  while not conn:query("SELECT pg_try_advisory_lock($1) AS locked", LOCK_KEY)[1].locked do
    if sys.monotonic() > deadline then
      local holder = conn:query(HOLDER, LOCK_KEY)[1]
      refuse("migration_locked", "another process is migrating this database"
        .. (holder and (": %s (user %s, on %s, server process %d, connected since %s)"):format(
          holder.application_name, holder.usename, holder.address, holder.pid, holder.backend_start) or ""),
        "Wait until it has finished; if it hangs, end it: SELECT pg_terminate_backend("
          .. (holder and holder.pid or "pid") .. ")")
    end
    attempt = attempt + 1
    nap(attempt)
  end
  return setmetatable({}, { __close = function()
    pcall(conn.query, conn, "SELECT pg_advisory_unlock($1)", LOCK_KEY) -- or the session's end releases it
  end })
end

-- Running -------------------------------------------------------------------

--- The line of a file in which the character at position stands.
local function line_of(text, position)
  local byte = position and utf8.offset(text, position)
  return byte and select(2, text:sub(1, byte - 1):gsub("\n", "")) + 1 or nil
end

local function raise_failed(failure, step, path, text)
  if not errors.is(failure, "database") then
    error(failure, 0)
  end
  local fields = {}
  for key, value in pairs(failure) do
    fields[key] = value
  end
  fields.message = ("migration %s failed: %s"):format(step.name, failure.message)
  fields.file = path
  fields.line = line_of(text, math.tointeger(tonumber(failure.position)))
  fields.statement, fields.position, fields.step = nil, nil, step.step
  fields.hint = fields.hint or "Nothing of this step was applied; after the remedy run: ligase migrate up"
  errors.raise(fields)
end

--- Runs a file and its record in one transaction, again while others hold locks.
local function run_step(conn, step, path, record, wait_s)
  local text = sys.read_file(path)
  local deadline, attempt = sys.monotonic() + wait_s, 0
  while true do
    local done, failure = pcall(conn.transaction, conn, function()
      conn:script("SET LOCAL lock_timeout = '1s'")
      conn:script(text)
      record()
    end)
    if done then
      return
    end
    local is_passing = errors.is(failure, "database")
      and (failure.code == LOCK_NOT_AVAILABLE or failure.code == DEADLOCK)
    if not is_passing then
      raise_failed(failure, step, path, text)
    elseif sys.monotonic() > deadline then
      refuse(failure.code, ("migration %s could not lock its tables within %g s"):format(step.name, wait_s),
        "Other sessions use them; wait for them, or see who: SELECT pid, state, query FROM pg_stat_activity",
        { file = path, detail = failure.message, step = step.step })
    end
    attempt = attempt + 1
    nap(attempt)
  end
end

local function run_up(conn, file, wait_s)
  run_step(conn, file, file.up_path, function()
    conn:query([[
      INSERT INTO schema_migrations (step, name, checksum, down_checksum, host_version)
      VALUES ($1, $2, $3, $4, $5)]],
      file.step, file.name, checksum(file.up_path), checksum(file.down_path), host.version)
  end, wait_s)
end

local function run_down(conn, file, wait_s)
  run_step(conn, file, file.down_path, function()
    conn:query("DELETE FROM schema_migrations WHERE step = $1", file.step)
  end, wait_s)
end

local NOTHING_TO_CLOSE = setmetatable({}, { __close = function() end })

--- The connection to work on, and one for the lock. A function makes both; a
--- connection that was handed in serves as both and stays open.
local function connections(source)
  if type(source) ~= "function" then
    return source, source, NOTHING_TO_CLOSE
  end
  local opened = {}
  local function open()
    opened[#opened + 1] = source()
    return opened[#opened]
  end
  return open(), open, setmetatable({}, { __close = function()
    for _, conn in ipairs(opened) do
      conn:close()
    end
  end })
end

local OPTIONS = {
  to = { type = "integer", min = 0 },
  folder = { type = "string" },
  wait_s = { type = "number", min = 0, default = LOCK_WAIT_S },
}

local function check_target(to, files)
  if to and to > #files then
    errors.raise { kind = "usage", code = "step", message = ("there is no step %d"):format(to),
      hint = ("The last one is %d (%s)"):format(#files, files[#files].name) }
  end
end

--- Runs the steps that `plan` asks for once nobody else can change what is applied.
local function under_lock(conn, lock, files, options, plan)
  local lock_conn = type(lock) == "function" and lock() or lock
  local held <close> = take_lock(lock_conn, options.wait_s) -- luacheck: ignore 211
  local applied = applied_steps(conn)
  check_contradiction(files, applied)
  local finished = {}
  plan(applied, function(run, file)
    local began = sys.monotonic()
    run(conn, file, options.wait_s)
    finished[#finished + 1] = { step = file.step, name = file.name, seconds = sys.monotonic() - began }
  end)
  return finished
end

--- Applies the steps that are missing. With nothing to do, this is one query.
---@param source table|function a connection, or a function that makes one (then the
--- lock has a connection of its own)
---@param options? {to: integer?, folder: string?, wait_s: number?} to: the last step to
--- apply; wait_s: how long to wait for another migration, and for locks, 60 without it
---@return {step: integer, name: string, seconds: number}[] applied
function M.up(source, options)
  options = options_of.check(options, OPTIONS, "migrate.up")
  local files = M.files(options.folder)
  check_target(options.to, files)
  local last = options.to or #files
  local conn, lock, opened = connections(source)
  local closing <close> = opened -- luacheck: ignore 211
  local applied = applied_steps(conn)
  check_contradiction(files, applied)
  if #applied >= last then
    return {}
  end
  return under_lock(conn, lock, files, options, function(now_applied, run)
    if #now_applied == 0 then
      conn:transaction(function()
        conn:script(CREATE_TABLE)
      end)
    end
    for i = #now_applied + 1, last do
      run(run_up, files[i])
    end
  end)
end

--- Takes steps back, the latest first, down to and without `to`.
---@param source table|function as for up
---@param options? {to: integer?, folder: string?, wait_s: number?} to: the step to stay
--- at, 0 for none; the last step but one without it
---@return {step: integer, name: string, seconds: number}[] taken_back
function M.down(source, options)
  options = options_of.check(options, OPTIONS, "migrate.down")
  local files = M.files(options.folder)
  check_target(options.to, files)
  local conn, lock, opened = connections(source)
  local closing <close> = opened -- luacheck: ignore 211
  return under_lock(conn, lock, files, options, function(applied, run)
    for i = #applied, (options.to or math.max(0, #applied - 1)) + 1, -1 do
      run(run_down, files[i])
    end
  end)
end

return M
