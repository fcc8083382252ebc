--- The verdict on a file: read as what, with how many names, samples, rows and values; or
--- refused with which code and on which line.
local errors = require "ligase.base.errors"
local host = require "host"
local inspection = require "ligase.omics.inspection"
local sys = require "sys"

local M = {}

--- Where the real files are.
M.FOLDER = host.home .. "/../shared/data"

--- Where the verdicts are kept.
M.TABLE = host.home .. "/tests/verdicts/verdicts.tsv"

M.COLUMNS = { "path", "verdict", "format", "omics", "names", "samples", "rows", "values", "flagged", "doubts", "line" }

--- The files, by their paths below the folder, in byte order; the index is none of them.
---@return string[] empty where the folder is not there
function M.files()
  local found = {}
  for _, kind in ipairs(sys.stat(M.FOLDER) and sys.list(M.FOLDER) or {}) do
    if sys.stat(M.FOLDER .. "/" .. kind).type == "directory" then
      for _, name in ipairs(sys.list(M.FOLDER .. "/" .. kind)) do
        found[#found + 1] = kind .. "/" .. name
      end
    end
  end
  return found
end

local function flags_of(flagged)
  local list = {}
  for flag, count in pairs(flagged) do
    list[#list + 1] = ("%s=%d"):format(flag, count)
  end
  table.sort(list)
  return table.concat(list, ",")
end

--- The verdict on one file. A failure that is no refusal is raised.
---@param relative string path below the folder
---@return table<string, string> verdict by column
function M.of(relative)
  local done, result = xpcall(inspection.inspect, errors.explained, M.FOLDER .. "/" .. relative, {})
  local verdict = {}
  for _, column in ipairs(M.COLUMNS) do
    verdict[column] = ""
  end
  verdict.path = relative
  if done then
    verdict.verdict, verdict.format, verdict.omics = "read", result.findings.format or "", result.omics or "in doubt"
    for _, count in ipairs { "names", "samples", "rows", "values" } do
      verdict[count] = tostring(result[count])
    end
    verdict.flagged, verdict.doubts = flags_of(result.flagged), tostring(#result.findings.doubts)
  elseif result.kind == "input" or result.kind == "usage" then
    verdict.verdict, verdict.line = "refused: " .. result.code, result.line and tostring(result.line) or ""
  else
    error(result, 0)
  end
  return verdict
end

--- A verdict as a line of the table.
---@param verdict table<string, string>
---@return string
function M.line(verdict)
  local cells = {}
  for i, column in ipairs(M.COLUMNS) do
    cells[i] = verdict[column]
  end
  return table.concat(cells, "\t")
end

--- The verdicts that are kept, by path, and their number.
---@return table<string, string> lines
---@return integer count
function M.kept()
  local lines, count = {}, 0
  for line in io.lines(M.TABLE) do
    local path = line:match("^[^\t]*")
    if path ~= "path" then
      lines[path], count = line, count + 1
    end
  end
  return lines, count
end

return M
