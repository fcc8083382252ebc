--- What a person named on the command line as a thing to read, made into a file that
--- can be looked at first and read then.
local errors = require "ligase.base.errors"
local sys = require "sys"
local text = require "ligase.base.text"

local M = {}

local PIECE_BYTES = 1 << 20

---@class ligase.source
---@field path string what is opened
---@field shown string what people see
---@field name string? the dataset's name when none is given

--- Whether it can be read only once: standard input, a pipe, a device.
---@param path string
---@return boolean
function M.is_stream(path)
  if path == "-" then
    return true
  end
  local found, stat = pcall(sys.stat, path)
  return found and stat ~= nil and (stat.type == "fifo" or stat.type == "socket" or stat.type == "other")
end

local function shown_name(path)
  return path == "-" and "(standard input)" or text.printable(path)
end

--- The dataset's name that a path gives: the file's name without its ending.
---@param path string
---@return string|nil name nil for what has none
function M.name_of(path)
  if M.is_stream(path) then
    return nil
  end
  local name = path:match("([^/]+)/*$") or path
  name = name:gsub("%.[gG][zZ]$", ""):gsub("(.)%.[^.]*$", "%1")
  return name
end

local function refuse_read(path, why)
  errors.raise { kind = "system", code = "read", message = ("cannot read %s: %s"):format(shown_name(path), why),
    hint = "Check the path, and whether you may read it; relative paths start at the current folder" }
end

--- Copies what is left of `from` into the file.
local function copy(from, path, to)
  repeat
    local piece, why = from:read(PIECE_BYTES)
    if not piece and why then
      refuse_read(path, why)
    end
    local done, problem = to:write(piece or "")
    if not done then
      errors.raise { kind = "system", code = "write", message = ("cannot keep %s in a temporary file: %s"):format(
        shown_name(path), problem), hint = "Make room, or set TMPDIR to a folder on a larger disk" }
    end
  until not piece
  local done, problem = to:close()
  if not done then
    refuse_read(path, problem)
  end
end

--- A table is looked at before it is read, so a stream is kept in a file meanwhile.
local function keep(path, folder)
  local from, why = io.stdin, nil
  if path ~= "-" then
    from, why = io.open(path, "rb")
  end
  if not from then
    refuse_read(path, why)
  end
  local kept = folder .. "/input"
  local to = assert(io.open(kept, "wb"))
  copy(from, path, to)
  if from ~= io.stdin then
    from:close()
  end
  return kept
end

local PLAIN = { __close = function() end }

--- Opens what a person named. Close it.
---@param path string a path, or "-" for standard input
---@return ligase.source
function M.open(path)
  local source = { path = path, shown = shown_name(path), name = M.name_of(path) }
  if not M.is_stream(path) then
    return setmetatable(source, PLAIN)
  end
  local folder = sys.temp_dir("ligase-input-")
  setmetatable(source, { __close = function()
    sys.remove_tree(folder)
  end })
  local kept, result = pcall(keep, path, folder)
  if not kept then
    sys.remove_tree(folder)
    error(result, 0)
  end
  source.path = result
  return source
end

return M
