--- A backup that is known to restore: written by pg_dump, read back into a scratch
--- database, and compared row by row with what was dumped.
local errors = require "ligase.base.errors"
local pg = require "pg"
local programs = require "ligase.store.pg_programs"
local row_sums = require "ligase.store.row_sums"
local scratch = require "ligase.store.scratch"
local sys = require "sys"

local M = {}

---@class ligase.BackupOptions
---@field file string where the dump goes; there is no such file yet
---@field server string|table the database, as pg.connect takes it
---@field workspace string see ligase.store.scratch

---@class ligase.Backup
---@field file string
---@field size_bytes integer
---@field sums table<string, ligase.RowSum>

local function check_file(file)
  if file == "" then
    errors.raise { kind = "usage", code = "backup", message = "the backup's file has no name",
      hint = "For example: --backup before.dump" }
  elseif sys.stat(file) then
    errors.raise { kind = "usage", code = "backup", message = ("%s is there already"):format(file),
      hint = "Name a new file for the backup" }
  end
  local folder = file:match "^(.*)/[^/]*$"
  if folder and folder ~= "" and not sys.stat(folder) then
    errors.raise { kind = "usage", code = "backup", message = ("cannot write the backup: there is no folder %s")
      :format(folder), hint = "Make it, or name a file in a folder that is there" }
  end
end

--- The dump and the sums are of one snapshot, whoever writes meanwhile.
local function dump(conn, options, file, version)
  conn:begin()
  local done, result = pcall(function()
    conn:script("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    local snapshot = conn:query("SELECT pg_export_snapshot() AS id")[1].id
    programs.insist("cannot write the backup", "pg_dump has to be as new as the server, and the folder writable",
      "pg_dump", version, options.server, { "--format=custom", "--snapshot=" .. snapshot, "--file=" .. file })
    return row_sums.read(conn)
  end)
  if conn:is_open() then
    conn:rollback()
  end
  return done and result or error(result, 0)
end

local function restore_test(options, file, version, sums)
  local place <close> = scratch.open(options.server, options.workspace)
  programs.insist("the backup does not restore, so nothing was done",
    "The file was removed. Try it again; where it stays so, look at the disk, and at pg_dump itself", "pg_restore",
    version, place.conninfo, { "--exit-on-error", "--no-owner", "--no-privileges", file })
  local conn <close> = pg.connect(place.conninfo)
  local differences = row_sums.difference(sums, row_sums.read(conn))
  if #differences > 0 then
    errors.raise { kind = "database", code = "backup",
      message = "the backup restores other data than was dumped, so nothing was done: "
        .. table.concat(differences, ", "),
      hint = "Make a backup by other means, and see whether that one restores" }
  end
end

--- Writes a backup and restores it for a test. What does not restore raises and leaves no file.
---@param conn table a connection to the database, outside a transaction
---@param options ligase.BackupOptions
---@param say fun(text: string?)
---@return ligase.Backup
function M.make(conn, options, say)
  check_file(options.file)
  local partial = options.file .. ".partial"
  sys.write_file(partial, "", { mode = "600" }) -- before anything is in it
  local version = programs.version_of(conn)
  local done, result = pcall(function()
    say("writing the backup")
    local sums = dump(conn, options, partial, version)
    say("restoring the backup for a test")
    restore_test(options, partial, version, sums)
    return sums
  end)
  say(nil)
  if not done then
    sys.remove(partial)
    error(result, 0)
  end
  sys.rename(partial, options.file)
  return { file = options.file, size_bytes = sys.stat(options.file).size_bytes, sums = result }
end

--- Raises when rows were written since the backup; nobody can write from then on until the
--- open transaction ends.
---@param conn table in a transaction
---@param kept ligase.Backup
---@param again string the command to type once more
function M.check_unchanged(conn, kept, again)
  local tables = row_sums.tables(conn)
  if #tables > 0 then
    conn:script(("LOCK TABLE %s IN EXCLUSIVE MODE"):format(table.concat(tables, ", ")))
  end
  local differences = row_sums.difference(kept.sums, row_sums.read(conn))
  if #differences > 0 then
    errors.raise { kind = "database", code = "backup_outdated",
      message = "others wrote while the backup was made, so nothing was done: " .. table.concat(differences, ", "),
      hint = "Stop those who write, and run again with another file: " .. again }
  end
end

return M
