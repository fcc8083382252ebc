--- The files of the schema's numbered steps: which there are, what one of them does, and
--- how a new one begins.
---
--- A step is a pair of SQL files (NNN_name.up.sql, NNN_name.down.sql, and perhaps
--- NNN_name.verify.sql) or one file of Lua (NNN_name.lua). docs/migrations.md says what
--- may stand in them.
local errors = require "ligase.base.errors"
local host = require "host"
local options_of = require "ligase.base.options"
local sys = require "sys"

local M = {}

---@class ligase.Step
---@field step integer
---@field name string such as "001_entities"
---@field up_path string
---@field down_path string the same file as up_path when the step is in Lua
---@field verify_path? string
---@field is_lua boolean

---@class ligase.StepBody what a step does
---@field up fun(conn: table, indexes: ligase.IndexBuilds)
---@field down fun(conn: table, indexes: ligase.IndexBuilds)
---@field verify? fun(conn: table): string[]|nil what is not as it should be
---@field irreversible? string why going back loses what cannot be made again
---@field transaction boolean whether it runs in one transaction
---@field texts {up: string?, down: string?} SQL as it stands in the files
---@field checksum string
---@field down_checksum string

local function refuse(message, hint, path)
  errors.raise { kind = "database", code = "migration_files", message = message, hint = hint, file = path }
end

-- ---- which there are -------------------------------------------------------

local KINDS = { ["up.sql"] = "up_path", ["down.sql"] = "down_path", ["verify.sql"] = "verify_path" }

--- Every step that has any file, by name.
local function gather(folder)
  local by_name, steps = {}, {}
  for _, file in ipairs(sys.list(folder)) do
    local name, number, ending = file:match("^((%d+)_[%w_]+)%.([%a.]+)$")
    local is_lua = ending == "lua"
    if name and (is_lua or KINDS[ending]) then
      local step = by_name[name]
      if not step then
        step = { step = tonumber(number), name = name, is_lua = false }
        by_name[name], steps[#steps + 1] = step, step
      end
      if is_lua then
        step.is_lua, step.lua_path = true, folder .. "/" .. file
      else
        step[KINDS[ending]] = folder .. "/" .. file
      end
    end
  end
  return steps
end

local function check_files(step, folder)
  if step.is_lua then
    if step.up_path or step.down_path or step.verify_path then
      refuse(("migration %s is there in Lua and in SQL"):format(step.name), "Keep one of the two", step.lua_path)
    end
    step.up_path, step.down_path, step.lua_path = step.lua_path, step.lua_path, nil
  elseif not step.down_path then
    refuse(("migration %s has no way back"):format(step.name), ("Write %s.down.sql beside it"):format(step.name),
      step.up_path or step.verify_path)
  end
  step.down_path = step.down_path or ("%s/%s.down.sql"):format(folder, step.name)
end

--- The steps there are files for, in order. A way back, or a look at what was done, without
--- a way forward makes no step.
---@param folder? string ligase's own migrations without it
---@param options? {may_be_empty: boolean?}
---@return ligase.Step[]
function M.list(folder, options)
  folder = folder or M.folder()
  local steps = {}
  for _, step in ipairs(gather(folder)) do
    if step.up_path or step.is_lua then
      steps[#steps + 1] = step
    end
  end
  table.sort(steps, function(a, b)
    return a.step < b.step
  end)
  for i, step in ipairs(steps) do
    if step.step ~= i then
      refuse(step.step < i and ("two migrations have the number %d"):format(step.step)
        or ("migration %d is missing: after %d comes %s"):format(i, i - 1, step.name),
        "Number the files without gaps: 001_name.up.sql, 001_name.down.sql, 002_..., and restore what was removed",
        step.up_path or step.lua_path)
    end
    check_files(step, folder)
  end
  if #steps == 0 and not (options and options.may_be_empty) then
    refuse("there are no migrations in " .. folder,
      "Install ligase anew; its folders lua, recipes and migrations belong together")
  end
  return steps
end

--- The folder of ligase's own steps.
---@return string
function M.folder()
  return host.home .. "/migrations"
end

-- ---- what one of them does -------------------------------------------------

local DEFINITION = {
  up = { type = "function", required = true },
  down = { type = "function", required = true },
  verify = { type = "function" },
  irreversible = { type = "string" },
  transaction = { type = "boolean", default = true },
}

local function read_lua(step)
  local text = sys.read_file(step.up_path)
  local chunk, problem = load(text, "@" .. step.up_path, "t")
  if not chunk then
    refuse(problem, "Mend the file at the line named")
  end
  local ran, definition = pcall(chunk)
  if not ran then
    refuse(tostring(definition), "A step's file only returns its table; what is to be done stands in up and down",
      step.up_path)
  elseif type(definition) ~= "table" then
    refuse(("migration %s returns no table"):format(step.name),
      "It returns { up = function(conn) ... end, down = function(conn) ... end }", step.up_path)
  end
  local fits, body = pcall(options_of.check, definition, DEFINITION, step.name)
  if not fits then
    refuse(body.message, body.hint or "It returns { up = function(conn) ... end, down = function(conn) ... end }",
      step.up_path)
  end
  body.texts, body.checksum = {}, sys.sha256(text)
  body.down_checksum = body.checksum
  return body
end

--- Each row of a verify file is something that is not as it should be.
local function verify_by(path)
  return function(conn)
    local findings = {}
    for i, row in ipairs(conn:table(sys.read_file(path))) do
      local cells = {}
      for j = 1, #row do
        cells[j] = row[j] == host.null and "NULL" or row[j]
      end
      findings[i] = table.concat(cells, " ")
    end
    return findings
  end
end

local function read_sql(step)
  local up, down = sys.read_file(step.up_path), sys.read_file(step.down_path)
  return {
    up = function(conn)
      conn:script(up)
    end,
    down = function(conn)
      conn:script(down)
    end,
    verify = step.verify_path and verify_by(step.verify_path),
    irreversible = ("\n" .. down):match("\n%-%- irreversible: *([^\n]*%S)"),
    transaction = true,
    texts = { up = up, down = down },
    checksum = sys.sha256(up),
    down_checksum = sys.sha256(down),
  }
end

--- What a step does, read from its files.
---@param step ligase.Step
---@return ligase.StepBody
function M.read(step)
  return step.is_lua and read_lua(step) or read_sql(step)
end

--- The checksums of a step's files, as they are recorded.
---@param step ligase.Step
---@return string up
---@return string down
function M.checksums(step)
  local up = sys.sha256_file(step.up_path)
  return up, step.is_lua and up or sys.sha256_file(step.down_path)
end

-- ---- a new one -------------------------------------------------------------

local RULES = [[
%s What this step is for, and why it is built the way it is.
%s
%s The rules that let the schema be distributed (docs/migrations.md):
%s   - every key of a bulk table holds dataset_id (or campaign_id), which is never updated;
%s   - ids are made by the client; identity columns only on local tables (runs, outbox, jobs);
%s   - foreign keys are named and added by an ALTER of their own, one constraint each; none on
%s     bulk tables, none from a distributed or reference table to a local one;
%s   - no triggers, no rules; no ADD COLUMN with a CHECK in it; STORAGE when the table is made;
%s   - names COLLATE "C"; a COMMENT on every table, view and column that needs one.
]]

local UP = [[
SET LOCAL citus.multi_shard_modify_mode = 'sequential';

]] .. RULES:gsub("%%s", "--")

local DOWN = [[
SET LOCAL citus.multi_shard_modify_mode = 'sequential';

-- The exact way back: ligase migrate check compares the schema before and after. Where it
-- loses what cannot be made again, a line by itself says so, and ligase migrate down then
-- asks for a backup:
--   -- irreversible: why
]]

local LUA = RULES:gsub("%%s", "---") .. [[
return {
  up = function(conn)
    conn:script [[
    ]].."]]" .. [[

  end,

  down = function(conn)
    conn:script [[
    ]].."]]" .. [[

  end,

  -- What is not as it should be, one text each; nothing when all is well.
  verify = function(_conn)
    return {}
  end,

  -- irreversible = "why going back loses what cannot be made again",

  -- Long index builds run outside a transaction and are taken up again after a crash:
  --   up = function(_, indexes) indexes:build "CREATE INDEX CONCURRENTLY name ON table (column)" end,
  --   down = function(_, indexes) indexes:drop "name" end,
  -- transaction = false,
}
]]

--- Writes the files of the next step.
---@param name string words; what is no letter or digit becomes an underscore
---@param options? {folder: string?, is_lua: boolean?}
---@return string[] paths
function M.new(name, options)
  options = options_of.check(options, { folder = { type = "string" }, is_lua = { type = "boolean" } }, "migrate.new")
  local word = name:lower():gsub("^%d+_", ""):gsub("[^%w]+", "_"):gsub("^_+", ""):gsub("_+$", "")
  if not word:find("%a") then
    errors.raise { kind = "usage", code = "name", message = ("a step cannot be called '%s'"):format(name),
      hint = "A name is made of letters, digits and underscores, such as sample_batches" }
  end
  local folder = options.folder or M.folder()
  local base = ("%s/%03d_%s"):format(folder, #M.list(folder, { may_be_empty = true }) + 1, word)
  local files = options.is_lua and { { ".lua", LUA } } or { { ".up.sql", UP }, { ".down.sql", DOWN } }
  local paths = {}
  for i, file in ipairs(files) do
    paths[i] = base .. file[1]
    sys.write_file(paths[i], file[2])
  end
  return paths
end

return M
