--- What was typed, kept in the workspace: .ligase/history, one entry a line.
---
--- Entries are added one by one, so that two sessions in one workspace keep both their
--- entries and a crash loses none. Where there is no .ligase yet none is made.
local errors = require "ligase.base.errors"
local sys = require "sys"

local M = {}

local KEPT, MOST = 2000, 3000

---@class ligase.history
---@field path string|nil nil where nothing is kept
local History = {}
History.__index = History

local function line_of(entry)
  return (entry:gsub("\\", "\\\\"):gsub("\n", "\\n")) .. "\n"
end

local function entry_of(line)
  return (line:gsub("\\(.)", function(c)
    return c == "n" and "\n" or c
  end))
end

local function load(path)
  local entries = {}
  for line in sys.read_file(path):gmatch("[^\n]+") do
    entries[#entries + 1] = entry_of(line)
  end
  return entries
end

local function shorten(path, entries)
  local kept, lines = table.move(entries, #entries - KEPT + 1, #entries, 1, {}), {}
  for i, entry in ipairs(kept) do
    lines[i] = line_of(entry)
  end
  sys.write_file(path, table.concat(lines))
  return kept
end

--- Opens the history of a workspace. A history that cannot be read or written is no reason
--- not to work.
---@param workspace string a folder
---@return ligase.history
---@return string[] entries the oldest first
function M.open(workspace)
  local path, entries = workspace .. "/.ligase/history", {}
  local done, stat = errors.try(sys.stat, workspace .. "/.ligase")
  if not done or not stat or stat.type ~= "directory" then
    return setmetatable({}, History), entries
  end
  errors.try(function()
    if not sys.stat(path) then
      sys.write_file(path, "", { mode = "0600" })
      return
    end
    entries = load(path)
    if #entries > MOST then
      entries = shorten(path, entries)
    end
  end)
  return setmetatable({ path = path, last = entries[#entries] }, History), entries
end

--- Adds an entry; one that begins with a blank, or repeats the last one, is not kept.
---@param entry string
---@return boolean added
function History:add(entry)
  if entry:find("^%s") or entry == self.last or not entry:find("%S") then
    return false
  end
  self.last = entry
  local file = self.path and io.open(self.path, "ab")
  if file then
    file:write(line_of(entry))
    file:close()
  end
  return true
end

return M
