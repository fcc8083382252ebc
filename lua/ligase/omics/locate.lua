--- Where a stored row stands in its file, when the file is still there as it was read.
---
--- Rows are counted without blank lines and comments, and a cell may run over several
--- lines, so the line is not computed but looked up, by reading the file again as far as
--- the row.
local errors = require "ligase.base.errors"
local opening = require "ligase.omics.opening"
local sys = require "sys"

local M = {}

--- Answers that a revision keeps and that belong to the dialect.
local ANSWERS = { "separator", "quote", "encoding", "decimal", "comment", "skip_lines", "missing", "header", "names",
  "ragged", "column_limit", "field_bytes" }

local function answers_of(findings)
  local answers, given = {}, findings.given or {}
  for _, key in ipairs(ANSWERS) do
    answers[key] = given[key]
  end
  return answers
end

--- The text of one line of a file, as it stands.
local function line_of(path, number)
  local file = io.open(path, "rb")
  if not file then
    return nil
  end
  local _ <close> = file
  local at = 0
  for line in file:lines() do
    at = at + 1
    if at == number then
      return line
    end
  end
  return nil
end

--- The line on which a row begins, and its cell.
local function find(reader, ordinal, position)
  for frame in reader do
    local _ <close> = frame
    local row = ordinal - frame:first_row() + 1
    if row <= #frame then
      return frame:line(row), frame:text(position):get(row)
    end
  end
end

local function look_up(wanted)
  local opened <close> = opening.open({ path = wanted.path, shown = wanted.path }, answers_of(wanted.findings),
    wanted.findings.format)
  local reader <close> = opened:reader {}
  local line, cell = find(reader, wanted.ordinal, wanted.position)
  if not line or cell ~= wanted.cell then
    return nil
  end
  -- A converted copy keeps the lines of the file where it has any; the line itself tells.
  if opened.path ~= wanted.path and not (cell and (line_of(wanted.path, line) or ""):find(cell, 1, true)) then
    return nil
  end
  return line
end

--- The line of the file on which a stored row begins. Nothing is guessed: when the file
--- is gone or was changed, or does not have that cell in that row, there is none.
---@param wanted {path: string, sha256: string, findings: table, ordinal: integer, position: integer, cell: string|nil}
--- findings: the revision's dialect; ordinal, position: of row and name column, from 1; cell: the name as stored
---@return integer|nil line from 1
---@return string|nil why "the file is not there" or "the file was changed since", when that is why
function M.line(wanted)
  local stat = sys.stat(wanted.path)
  if not stat or stat.type ~= "file" then
    return nil, "the file is not there"
  elseif sys.sha256_file(wanted.path) ~= wanted.sha256 then
    return nil, "the file was changed since"
  end
  local found, line = errors.try(look_up, wanted)
  return found and line or nil
end

return M
