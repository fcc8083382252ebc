--- Whether ligase itself is well: its files, the programs it calls, the server, the schema, what
--- the role may do, settings, scripts, services.
local db = require "ligase.store.db"
local errors = require "ligase.base.errors"
local host = require "host"
local migrate = require "ligase.store.migrate"
local phase_flags = require "ligase.sync.phase_flags"
local phase_state = require "ligase.store.phase_state"
local phases = require "ligase.sync.phases"
local policy_of = require "ligase.sync.policy"
local recipe_files = require "ligase.cli.recipe_files"
local schema_compare = require "ligase.store.schema_compare"
local services = require "ligase.sync.services"
local sys = require "sys"
local text = require "ligase.base.text"
local workspace = require "ligase.base.workspace"

local M = {}

---@class ligase.installation_line
---@field check string
---@field state "ok"|"note"|"wrong"
---@field message string
---@field repair string|nil
---@field fix (fun())|nil repairs it

local function line(list, check, state, message, repair, fix)
  list[#list + 1] = { check = check, state = state, message = message, repair = repair, fix = fix }
end

local function reason_of(failure)
  return (errors.describe(failure):match "^[^\n]*")
end

-- ---- without a database ----------------------------------------------------

local function look_at_files(list)
  local missing = {}
  for _, name in ipairs { "lua/ligase", "recipes", "migrations", "migrations/phases" } do
    local stat = sys.stat(host.home .. "/" .. name)
    missing[#missing + 1] = not (stat and stat.type == "directory") and name or nil
  end
  if #missing > 0 then
    line(list, "files", "wrong", ("%s is missing in %s"):format(text.enumerate(missing, "and"), host.home),
      "install ligase anew; its folders belong together")
  else
    line(list, "ligase", "ok", ("%s in %s"):format(host.version, host.home))
  end
end

local function version_of(program)
  local done, result = errors.try(sys.run, { program, "--version" }, { stderr = "null" })
  return done and result.code == 0 and result.stdout:match "(%d+[%d.]*)" or nil
end

local PROGRAMS = { { "psql", "ligase db psql" }, { "pg_dump", "backups" } }

local function look_at_programs(list, server_version)
  for _, program in ipairs(PROGRAMS) do
    local version = version_of(program[1])
    if not version then
      line(list, program[1], "note", ("is not installed; it is needed for %s"):format(program[2]),
        "apt-get install postgresql-client")
    elseif program[1] == "pg_dump" and server_version and tonumber(version:match "^%d+") < server_version then
      line(list, program[1], "note", ("%s is older than the server (%d) and will refuse it"):format(version,
        server_version), ("apt-get install postgresql-client-%d"):format(server_version))
    else
      line(list, program[1], "ok", version)
    end
  end
end

local SECRETS = { "NOTION_API_KEY", "POSTGRES_PASSWORD", "POSTGRES_URL", "PINECONE_API_KEY", "OPENAI_API_KEY" }
local OTHERS = 7 -- the bits of everybody else

local function look_at_workspace(list, context)
  local folder = context.workspace
  local probe = ("%s/.ligase-doctor-%d"):format(folder, sys.pid())
  local written, failure = errors.try(sys.write_file, probe, "")
  if written then
    sys.remove(probe)
    line(list, "workspace", "ok", folder)
  else
    line(list, "workspace", "wrong", ("%s cannot be written: %s"):format(folder, reason_of(failure)),
      "give yourself the right to write there, or set LIGASE_WORKSPACE")
  end
  local env = folder .. "/.env"
  local stat = sys.stat(env)
  for _, name in ipairs(stat and SECRETS or {}) do
    if context.config:source(name):find "^%.env" and stat.mode and stat.mode & OTHERS ~= 0 then
      line(list, ".env", "wrong", ("holds %s, and everybody on this machine may read it"):format(name),
        "ligase doctor --fix, or: chmod 640 " .. env, function()
          sys.chmod(env, stat.mode & 0x1A0)
        end)
      break
    end
  end
end

local function look_at_scripts(list, folder)
  local policy, problem = errors.try(policy_of.load, folder)
  if policy then
    line(list, "policy", "ok", problem.path)
  else
    line(list, "policy", "wrong", reason_of(problem), "mend it; see: ligase policy check")
  end
  for _, name in ipairs(policy_of.PHASES) do
    local loaded, failure = errors.try(phases.load, name, folder)
    if not loaded then
      line(list, "phases", "wrong", reason_of(failure), "mend the script, or take your copy away")
    end
  end
  for _, recipe in ipairs(workspace.recipes(folder)) do
    local loaded, failure = errors.try(recipe_files.load, recipe.path)
    if not loaded and recipe.name ~= policy_of.NAME then -- that one was looked at
      line(list, "recipes", "wrong", reason_of(failure), "mend the recipe, or take it out of the folder")
    end
  end
end

local function look_at_services(list, config)
  for _, service in ipairs(services.all(config)) do
    if service.state == "reachable" then
      line(list, service.name, "ok", ("answers within %s"):format(text.duration(service.seconds)))
    elseif service.state == "unreachable" then
      line(list, service.name, "wrong", service.reason, "see whether it runs, and whether its settings are right: "
        .. "ligase config")
    end
  end
end

--- Looks at everything that needs no database.
---@param context ligase.context
---@param server_version integer|nil of the Postgres that is used
---@return ligase.installation_line[]
function M.look(context, server_version)
  local list = {}
  look_at_files(list)
  look_at_programs(list, server_version)
  look_at_workspace(list, context)
  look_at_scripts(list, context.workspace)
  look_at_services(list, context.config)
  return list
end

-- ---- the database ----------------------------------------------------------

local SETTINGS = [[
SELECT current_setting('fsync') AS fsync, current_setting('full_page_writes') AS full_page_writes,
  current_setting('synchronous_commit') AS synchronous_commit, current_setting('server_encoding') AS encoding,
  current_setting('server_version') AS version, current_setting('autovacuum') AS autovacuum]]

local function look_at_server(list, conn)
  local s = conn:query(SETTINGS)[1]
  line(list, "postgres", "ok", s.version)
  for _, name in ipairs { "fsync", "full_page_writes", "synchronous_commit" } do
    if s[name] == "off" then
      line(list, "postgres", "wrong", name .. " is off: a crash can lose what was stored",
        ("ALTER SYSTEM SET %s = on; SELECT pg_reload_conf()"):format(name))
    end
  end
  if s.autovacuum == "off" then
    line(list, "postgres", "note", "autovacuum is off: queries become slow", "ALTER SYSTEM SET autovacuum = on")
  end
  if s.encoding ~= "UTF8" then
    line(list, "postgres", "wrong", "the database's encoding is " .. s.encoding,
      "make the database with ENCODING 'UTF8'")
  end
end

local FORBIDDEN = [[
SELECT c.relname AS name FROM pg_class AS c
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
  AND NOT (has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')
    AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE'))
ORDER BY 1]]

local function look_at_rights(list, conn)
  local names = {}
  for i, row in ipairs(conn:query(FORBIDDEN)) do
    names[i] = row.name
  end
  if #names > 0 then
    line(list, "rights", "wrong", ("the role may not read and write %s"):format(text.enumerate(names, "and")),
      "as the tables' owner: GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO ROLE")
  else
    line(list, "rights", "ok", "the role may read and write all tables")
  end
end

--- What of the schema is not as the steps make it.
local function compare_schema(list, conn, context)
  local compared = schema_compare.run(conn, db.server(context.config, context.workspace))
  for _, finding in ipairs(compared.findings) do
    line(list, "schema", "wrong", finding.message, finding.repair)
  end
  if compared.not_compared then
    line(list, "schema", "note", "not compared with what the steps make: " .. compared.not_compared,
      "ligase migrate verify compares it where the role has CREATEDB")
  end
  local additional = schema_compare.told_additional(compared)
  if additional then
    line(list, "schema", "note", additional)
  end
  return #compared.findings == 0 and not compared.not_compared
end

local function look_at_schema(list, conn, context)
  local state, step, latest = migrate.state(conn)
  local _, problem = migrate.status(conn)
  if problem then
    line(list, "schema", "wrong", problem.message, problem.hint)
  elseif state ~= "current" then
    line(list, "schema", "wrong", ("it is at step %d of %d"):format(step, latest), "ligase migrate up")
  else
    local is_same = compare_schema(list, conn, context)
    line(list, "schema", "ok", ("step %d of %d%s"):format(step, latest, is_same and ", and as the steps make it" or ""))
  end
  return state == "current"
end

--- Looks at the server, the schema, the rights and the phase.
---@param context ligase.context
---@param conn table
---@return ligase.installation_line[]
---@return boolean is_current the schema can be used
function M.look_at_database(context, conn)
  local list = {}
  look_at_server(list, conn)
  local is_current = look_at_schema(list, conn, context)
  look_at_rights(list, conn)
  local read, stored = false, nil
  if is_current then
    read, stored = errors.try(phase_state.read, conn)
    if not read then
      line(list, "phase", "wrong", "it cannot be read: " .. reason_of(stored), "mend the schema first")
    end
  end
  stored = read and stored
  local difference = stored and not context.config.problems and phase_flags.difference(context.config, stored.phase)
  if difference then
    line(list, "phase", "wrong", difference, ("set %s"):format(phase_flags.settings(context.config, stored.phase)))
  end
  return list, is_current
end

return M
