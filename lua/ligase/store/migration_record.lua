--- What the database knows of the steps that were applied to it, and where that and the
--- files contradict each other.
local errors = require "ligase.base.errors"
local files_of = require "ligase.store.migration_files"
local host = require "host"

local M = {}

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

---@class ligase.AppliedStep
---@field step integer
---@field name string
---@field checksum string
---@field down_checksum string
---@field applied_at string
---@field host_version string

--- Whether a failure only says that there is no record yet.
---@param failure any
---@return boolean
function M.is_absent(failure)
  return errors.is(failure, "database") and failure.code == UNDEFINED_TABLE
end

--- The steps recorded in the database, in order; none when it has no such record.
---@param conn table
---@return ligase.AppliedStep[]
function M.applied(conn)
  local read, result = pcall(conn.query, conn, [[
    SELECT step, name, checksum, down_checksum, applied_at, host_version
    FROM schema_migrations ORDER BY step]])
  if read then
    return result
  elseif M.is_absent(result) then
    return {}
  end
  error(result, 0)
end

--- How the schema stands to the files, without reading the files: quick enough for
--- every command.
---@param conn table
---@return string state "current", "absent", "older" or "newer"
---@return integer step the last one applied, 0 for none
---@return integer latest the last one there is a file for
function M.state(conn)
  local latest = #files_of.list()
  local read, rows = pcall(conn.query, conn, "SELECT max(step) AS step FROM schema_migrations")
  if not read and not M.is_absent(rows) then
    error(rows, 0)
  end
  local step = read and math.type(rows[1].step) == "integer" and rows[1].step or 0
  local state = step == latest and "current" or step == 0 and "absent" or step < latest and "older" or "newer"
  return state, step, latest
end

--- Records a step, in the transaction that applies it.
---@param conn table
---@param step ligase.Step
---@param body ligase.StepBody
function M.add(conn, step, body)
  if step.step == 1 then
    conn:script(CREATE_TABLE)
  end
  conn:query([[
    INSERT INTO schema_migrations (step, name, checksum, down_checksum, host_version)
    VALUES ($1, $2, $3, $4, $5)]], step.step, step.name, body.checksum, body.down_checksum, host.version)
end

--- Forgets a step, in the transaction that takes it back.
---@param conn table
---@param step ligase.Step
function M.remove(conn, step)
  conn:query("DELETE FROM schema_migrations WHERE step = $1", step.step)
end

local function without_file(files, row)
  if row.host_version == host.version then
    return { code = "migration_missing", step = row.step,
      message = ("step %d (%s) was applied by this version of ligase, but its file is missing"):format(row.step,
        row.name),
      hint = ("Restore the files of %s; they are in the repository or the package they came from"):format(row.name) }
  end
  return { code = "schema_newer", step = row.step,
    message = ("the database's schema is newer than this ligase: it has step %d (%s, by ligase %s), "
      .. "the files end with step %d"):format(row.step, row.name, row.host_version, #files),
    hint = "Install the newer ligase, or go back with it: ligase migrate down --to " .. #files }
end

--- Where database and files contradict each other; the first contradiction is enough.
---@param files ligase.Step[]
---@param applied ligase.AppliedStep[]
---@return {code: string, message: string, hint: string, step: integer, file: string?}? problem
function M.contradiction(files, applied)
  for i, row in ipairs(applied) do
    local file = files[row.step]
    if row.step ~= i then
      return { code = "migration_gap", step = i,
        message = ("the database has step %d (%s) but not step %d"):format(row.step, row.name, i),
        hint = "Somebody edited schema_migrations; restore its row, or restore the database from a backup" }
    elseif not file then
      return without_file(files, row)
    elseif file.name ~= row.name then
      return { code = "migration_drift", step = row.step,
        message = ("step %d was applied as %s, but its file is now %s"):format(row.step, row.name, file.name),
        hint = "Give the file its old name back, and put changes into a new step" }
    end
    local up, down = files_of.checksums(file)
    if row.checksum ~= up or row.down_checksum ~= down then
      return { code = "migration_drift", step = row.step,
        file = row.checksum ~= up and file.up_path or file.down_path,
        message = ("step %d (%s) was changed after it was applied on %s"):format(row.step, row.name,
          row.applied_at),
        hint = "Restore the file as it was (ligase " .. row.host_version .. "), and put changes into a new step" }
    end
  end
end

--- Raises the first contradiction.
---@param files ligase.Step[]
---@param applied ligase.AppliedStep[]
function M.check(files, applied)
  local found = M.contradiction(files, applied)
  if found then
    found.kind = "database"
    errors.raise(found)
  end
end

return M
