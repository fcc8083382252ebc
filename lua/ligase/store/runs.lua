--- The journal: every run that changed something, or failed to.
local errors = require "ligase.base.errors"
local host = require "host"
local json = require "ligase.base.json"
local pg = require "pg"
local sys = require "sys"
local text = require "ligase.base.text"

local M = {}

M.INSERT = [[
INSERT INTO runs (id, batch_id, started_at, finished_at, outcome, command, recipe, recipe_sha256, arguments,
  host_version, os_user, hostname, error, counts, changes)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)]]

---@class ligase.run
---@field id string UUIDv7
---@field batch_id string|nil
---@field started_at string
---@field command string
---@field recipe ligase.recipe|nil
---@field arguments table

--- A run that begins now.
---@param command string
---@param recipe ligase.recipe|nil
---@param arguments table
---@param batch_id string|nil
---@return ligase.run
function M.new(command, recipe, arguments, batch_id)
  return { id = sys.uuid7(), batch_id = batch_id, started_at = sys.timestamp(), command = command, recipe = recipe,
    arguments = arguments }
end

local who -- one process, one user, one machine

--- Who runs this, and where.
---@return {os_user: string, hostname: string}
function M.identity()
  if not who then
    local user = sys.user()
    who = { os_user = user and user.name or pg.null, hostname = sys.hostname() }
  end
  return who
end

local function encoded(value)
  return value ~= nil and json.encode(value) or pg.null
end

--- Changes may be JSON already.
local function encoded_changes(changes)
  return type(changes) == "string" and changes or encoded(changes)
end

--- The parameters of M.INSERT for a run that ends now.
---@param run ligase.run
---@param outcome "done"|"failed"|"unchanged"
---@param ended {error: table|nil, counts: table|nil, changes: table|string|nil} changes: also as JSON
function M.parameters(run, outcome, ended)
  local me = M.identity()
  return run.id, run.batch_id or pg.null, run.started_at, sys.timestamp(), outcome, run.command,
    run.recipe and run.recipe.name or pg.null, run.recipe and run.recipe.sha256 or pg.null, encoded(run.arguments),
    host.version, me.os_user, me.hostname, encoded(ended.error), encoded(ended.counts), encoded_changes(ended.changes)
end

local PLAIN_FIELDS = { "kind", "code", "message", "detail", "hint", "file", "line", "column", "byte", "sqlstate" }

--- jsonb takes neither NUL nor text that is not UTF-8.
local function storable(value)
  if type(value) ~= "string" then
    return value
  end
  value = text.printable(value)
  return utf8.len(value) and value or (value:gsub("[\x80-\xFF]", function(byte)
    return ("\\x%02X"):format(byte:byte())
  end))
end

--- What is kept of a failure, as plain fields.
---@param failure any
---@return table<string, string|integer>
function M.error_fields(failure)
  if not errors.is(failure) then
    return { message = storable(tostring(failure)) }
  end
  local kept = {}
  for _, field in ipairs(PLAIN_FIELDS) do
    kept[field] = storable(failure[field])
  end
  return kept
end

--- Journals a failed run in a transaction of its own. Says nothing when it cannot: the
--- failure itself is on its way to the person.
---@param conn table
---@param run ligase.run
---@param failure any
function M.journal_failure(conn, run, failure)
  errors.try(function()
    conn:query(M.INSERT, M.parameters(run, "failed", { error = M.error_fields(failure) }))
  end)
end

local LIST = [[
SELECT id AS run, to_char(started_at, 'YYYY-MM-DD HH24:MI:SS') AS started,
  round(extract(epoch FROM finished_at - started_at)::numeric, 2) AS seconds, command, recipe, outcome,
  coalesce(arguments ->> 'source', 'run ' || (arguments ->> 'run'), '') AS source, counts ->> 'rows' AS rows,
  counts ->> 'features_new' AS new_features, error ->> 'message' AS error, batch_id AS batch, rolls_back
FROM runs WHERE arguments -> 'piece_of' IS NULL AND ($2::uuid IS NULL OR batch_id = $2)
ORDER BY started_at DESC, id DESC LIMIT $1]]

--- The runs with their whole ids, the latest first. Entries that only hold further changes of a
--- run are left out. In lines for people: ligase.store.run_lines.
---@param conn table
---@param limit integer
---@param batch_id string|nil only those of that batch
---@return table result as conn:table gives it
function M.list(conn, limit, batch_id)
  return conn:table(LIST, limit, batch_id)
end

--- How a run whose COMMIT got no answer ended.
---@param conn table
---@param run_id string
---@return string|nil outcome nil when it left nothing
function M.outcome(conn, run_id)
  local rows = conn:query("SELECT outcome FROM runs WHERE id = $1", run_id)
  return rows[1] and rows[1].outcome
end

return M
