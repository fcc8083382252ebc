--- What commands share: the workspace, the settings, the connection.
local config = require "ligase.base.config"
local db = require "ligase.store.db"
local errors = require "ligase.base.errors"
local workspace = require "ligase.base.workspace"

local M = {}

---@class ligase.context
---@field workspace string
---@field config ligase.Config
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

---@return ligase.context
function M.new()
  return setmetatable({ conns = {} }, Context)
end

local function keep(self, conn)
  self.conns[#self.conns + 1] = conn
  return conn
end

--- A connection to the database with its schema. `migrate` lets the private cluster get
--- its schema on the way.
---@param options {migrate: boolean}|nil
---@return table conn
function Context:open(options)
  if not self.config:get "USE_POSTGRES_AS_SOT" then
    errors.raise { kind = "usage", code = "postgres_off",
      message = "Postgres is switched off: USE_POSTGRES_AS_SOT is false (" .. self.config:source "USE_POSTGRES_AS_SOT" .. ")",
      hint = "Set USE_POSTGRES_AS_SOT=true to use it" }
  end
  return keep(self, db.open(self.config, self.workspace, options))
end

--- A connection without any look at the schema.
---@return table conn
function Context:connect()
  return keep(self, db.connect(self.config, self.workspace))
end

function Context:__close()
  for _, conn in ipairs(rawget(self, "conns")) do
    conn:close()
  end
end

return M
