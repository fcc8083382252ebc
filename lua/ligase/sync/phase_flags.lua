--- The flags of the environment and the phase that is stored in the database.
---
--- The stored phase was measured and is the same for every process of the lab, so it wins: a
--- flag that was flipped on one machine changes nothing but a warning. With
--- USE_POSTGRES_AS_SOT=false Postgres is not asked, and the flags win.
local errors = require "ligase.base.errors"
local phase_state = require "ligase.store.phase_state"
local policy_of = require "ligase.sync.policy"
local text = require "ligase.base.text"

local M = {}

local FLAGS = { "USE_POSTGRES_AS_SOT", "ENABLE_DUAL_WRITE", "ENABLE_NOTION_SYNC" }

local WANTED = {
  notion_primary = { USE_POSTGRES_AS_SOT = false, ENABLE_DUAL_WRITE = false },
  dual_write = { USE_POSTGRES_AS_SOT = true, ENABLE_DUAL_WRITE = true },
  postgres_primary = { USE_POSTGRES_AS_SOT = true, ENABLE_DUAL_WRITE = false, ENABLE_NOTION_SYNC = true },
  postgres_only = { USE_POSTGRES_AS_SOT = true, ENABLE_DUAL_WRITE = false, ENABLE_NOTION_SYNC = false },
}

--- The flags that do not fit a phase, as they should be and where they come from.
---@param config ligase.Config
---@param phase string
---@return {name: string, wanted: string, source: string}[]
function M.to_set(config, phase)
  local list = {}
  for _, name in ipairs(policy_of.flags_fit(config, phase) and {} or FLAGS) do
    local wanted = WANTED[phase][name]
    if wanted ~= nil and config:get(name) ~= wanted then
      list[#list + 1] = { name = name, wanted = tostring(wanted), source = config:source(name) }
    end
  end
  return list
end

--- The same in words: "ENABLE_DUAL_WRITE=true (now: .env:3)".
---@param config ligase.Config
---@param phase string
---@return string
function M.settings(config, phase)
  local parts = {}
  for i, flag in ipairs(M.to_set(config, phase)) do
    parts[i] = ("%s=%s (now: %s)"):format(flag.name, flag.wanted, flag.source)
  end
  return text.enumerate(parts, "and")
end

--- What to say where the flags and the stored phase differ; nil where they agree.
---@param config ligase.Config
---@param stored string|nil
---@return string|nil
function M.difference(config, stored)
  if not stored or policy_of.flags_fit(config, stored) then
    return nil
  end
  local by_flags = policy_of.phase_of_flags(config)
  if by_flags == "notion_primary" then
    return ("the database is in phase %s, and the flags mean notion_primary: the flags win, because Postgres is not "
      .. "asked while USE_POSTGRES_AS_SOT=false. Settle it: set %s; or go back with: ligase phase back --to "
      .. "notion_primary"):format(stored, M.settings(config, stored))
  end
  return ("the database is in phase %s, and the flags mean %s: the stored phase wins. Settle it: set %s; or change the "
    .. "phase (ligase phase)"):format(stored, by_flags, M.settings(config, stored))
end

--- Looks up the phase again, for a process that outlives changes of it, and lets it hold.
---@param config ligase.Config
---@param conn table
---@return string phase in force
function M.look(config, conn)
  local stored = phase_state.read(conn)
  config.stored_phase = stored and stored.phase
  return policy_of.phase_of(config)
end

--- Looks up the phase before something is written, and lets it hold in this process. Raises
--- "usage" when Notion is to be written first and this would write to Postgres.
---@param config ligase.Config Postgres is on
---@param conn table
---@param warn fun(line: string)
---@param is_reading boolean|nil nothing is written
function M.govern(config, conn, warn, is_reading)
  local stored = phase_state.read(conn)
  if not stored then
    return
  elseif stored.phase == "notion_primary" and not is_reading then
    errors.raise { kind = "usage", code = "phase", message = ("the lab is in phase notion_primary since %s: Notion is "
      .. "written first, and Postgres is not written"):format(stored.entered_at:sub(1, 16)),
      hint = ("Set %s to write to Notion; or go forward: ligase phase advance"):format(
        M.settings(config, stored.phase)) }
  end
  config.stored_phase = stored.phase
  local line = M.difference(config, stored.phase)
  if line then
    warn(line)
  end
end

return M
