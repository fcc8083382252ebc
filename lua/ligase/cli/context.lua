--- What commands share: the workspace, the settings, the connection.
local config = require "ligase.base.config"
local errors = require "ligase.base.errors"
local text = require "ligase.base.text"
local workspace = require "ligase.base.workspace"

local M = {}

local BEGIN = "Begin with: ligase ingest FILE; or go to your workspace's folder, or set LIGASE_WORKSPACE"

---@class ligase.context
---@field workspace string
---@field config ligase.Config
---@field recipe ligase.recipe|nil the recipe that the command line began with
---@field is_child boolean|nil the process that started this one has said what is to be said
local Context = {}

--- Settings are read when they are first needed, so that `--help` works with wrong ones.
function Context:__index(name)
  if name == "workspace" then
    self.workspace = workspace.find()
    return rawget(self, "workspace")
  elseif name == "config" then
    self.config = config.load { workspace = self.workspace }
    return rawget(self, "config")
  end
  return Context[name]
end

--- Begins to connect, while the command's own code is loaded. What is wrong with the settings
--- or the server is said by who needs the connection.
function Context:connect_ahead()
  errors.try(function()
    if self.config:get "USE_POSTGRES_AS_SOT" then
      self.ahead = require("ligase.store.db").connect_ahead(self.config, self.workspace)
    end
  end)
end

--- What was begun ahead, for one taker.
local function take_ahead(self)
  local ahead = rawget(self, "ahead")
  self.ahead = nil
  return ahead
end

--- A context for one command; close it.
---@param recipe? ligase.recipe
---@return ligase.context
function M.new(recipe)
  return setmetatable({ conns = {}, recipe = recipe }, Context)
end

local function keep(self, conn)
  self.conns[#self.conns + 1] = conn
  return conn
end

--- Refuses to go on when the settings say that Postgres is not to be used.
function Context:need_postgres()
  if not self.config:get "USE_POSTGRES_AS_SOT" then
    errors.raise { kind = "usage", code = "postgres_off",
      message = ("Postgres is switched off: USE_POSTGRES_AS_SOT is false (from %s)"):format(
        self.config:source "USE_POSTGRES_AS_SOT"),
      hint = "Set USE_POSTGRES_AS_SOT=true to use it" }
  end
end

--- Lets the phase that is stored in the database hold, before something is written; once for a
--- process. What contradicts it is said on standard error.
---@param conn table
---@param how {is_quiet: boolean|nil, is_reading: boolean|nil}|nil is_quiet: somebody else says it; is_reading: nothing
--- is written
function Context:govern(conn, how)
  if not rawget(self, "is_governed") and self.config:get "USE_POSTGRES_AS_SOT" then
    how = how or {}
    self.is_governed = not how.is_reading
    require("ligase.sync.phase_flags").govern(self.config, conn, function(line)
      if not (how.is_quiet or rawget(self, "is_child")) then
        io.stderr:write("ligase: ", text.printable(line), "\n")
      end
    end, how.is_reading)
  end
end

--- Has the phase looked up again before something is written: a change of it, since this process
--- began, holds from there on.
function Context:forget_phase()
  self.is_governed, self.config.stored_phase = nil, nil
end

--- The phase that is stored in the database, for commands that do without one: Postgres is
--- looked at only where it runs, and what is wrong with it is nothing to them.
---@return ligase.stored_phase|nil
function Context:peek_phase()
  local db, cluster = require "ligase.store.db", require "ligase.store.cluster"
  if db.is_private(self.config) and cluster.status(self.workspace).state ~= "running" then
    return nil
  end
  local read, stored = errors.try(function()
    local conn <close> = db.connect(self.config, self.workspace)
    return require("ligase.store.phase_state").read(conn)
  end)
  return read and stored or nil
end

--- Says when the database is in another phase than one in which Notion is written first, as the
--- flags have it.
function Context:warn_when_off()
  local stored = self:peek_phase()
  local line = require("ligase.sync.phase_flags").difference(self.config, stored and stored.phase)
  if line then
    io.stderr:write("ligase: ", text.printable(line), "\n")
  end
end

--- The connection that was opened last and not closed since.
local function open_connection(self)
  for i = #self.conns, 1, -1 do
    if errors.try(self.conns[i].transaction_status, self.conns[i]) then
      return self.conns[i]
    end
  end
end

--- The tables whose changes other systems are told of, by the phase and the policy. The phase is
--- looked up in the database that was opened before; without one the flags alone say it.
---@return table<string, boolean>|false
function Context:outbox()
  local settings = self.config
  local conn = open_connection(self)
  if conn then
    self:govern(conn)
  end
  if not settings.stored_phase and not (settings:get "ENABLE_NOTION_SYNC" or settings:get "ENABLE_DUAL_WRITE") then
    return false -- without a look at the policy
  end
  return require("ligase.sync.policy").outbox_of(settings)
end

--- Whether the database is the private one and was never made. Looking for what cannot
--- be there makes none: a command typed in the wrong folder would turn it into a
--- workspace.
---@return boolean
function Context:is_bare()
  return require("ligase.store.db").is_private(self.config)
    and require("ligase.store.cluster").status(self.workspace).state == "absent"
end

local function refuse_stopped(self)
  if require("ligase.store.db").is_private(self.config)
    and require("ligase.store.cluster").status(self.workspace).state ~= "running" then
    errors.raise { kind = "database", code = "08001", message = "the workspace's Postgres does not run",
      hint = "Start it with: ligase db start" }
  end
end

--- A connection to the database with its schema, for writing: the private Postgres is
--- made when there is none, and gets its schema on the way.
---@param options? {migrate?: boolean, when_off?: boolean, again?: boolean} migrate: false: the schema stays as it is;
--- when_off: also when the settings say that Postgres is not to be used; again: the command had a connection before, so
--- that a private Postgres that does not run was stopped by somebody, and is left alone
---@return table conn
function Context:open(options)
  options = options or {}
  if not options.when_off then
    self:need_postgres()
  end
  if options.again then
    refuse_stopped(self)
  end
  return keep(self, require("ligase.store.db").open(self.config, self.workspace,
    { migrate = options.migrate ~= false, ahead = take_ahead(self) }))
end

--- A connection to the database with its schema, for looking at what is there: nil
--- when there is no private Postgres yet, which is said on standard error.
---@param options? {when_off?: boolean} when_off: also when the settings say that Postgres is not to be used
---@return table? conn
function Context:open_if_there(options)
  local when_off = options and options.when_off
  if not when_off then
    self:need_postgres()
  end
  if not self:is_bare() then
    return self:open { migrate = false, when_off = when_off }
  end
  io.stderr:write(("ligase: there is no data yet in %s. %s\n"):format(self.workspace, BEGIN))
end

--- A connection to the database with its schema, for reading what must be there.
--- Raises "input" when there is no private Postgres yet.
---@param options? {when_off?: boolean} when_off: also when the settings say that Postgres is not to be used
---@return table conn
function Context:open_existing(options)
  local when_off = options and options.when_off
  if not when_off then
    self:need_postgres()
  end
  if self:is_bare() then
    errors.raise { kind = "input", code = "empty_workspace",
      message = ("there is no data yet in %s"):format(self.workspace), hint = BEGIN }
  end
  return self:open { migrate = false, when_off = when_off }
end

--- A connection without any look at the schema.
---@return table conn
function Context:connect()
  return keep(self, require("ligase.store.db").connect(self.config, self.workspace, take_ahead(self)))
end

function Context:__close()
  local ahead = take_ahead(self)
  if ahead then
    ahead:close()
  end
  for _, conn in ipairs(rawget(self, "conns")) do
    conn:close()
  end
end

return M
