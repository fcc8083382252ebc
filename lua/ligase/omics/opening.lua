--- Opening a file: which format it is, how its table is written, and what the format
--- knows of its columns.
---
--- What a person or a recipe said wins over what the format says, and that over what is
--- found by looking.
local csv = require "csv"
local dialect = require "ligase.io.dialect"
local errors = require "ligase.base.errors"
local formats = require "ligase.omics.formats"
local json = require "ligase.base.json"
local looks = require "ligase.omics.look"
local sys = require "sys"

local M = {}

---@class ligase.opened
---@field look ligase.look at the table, as the format places it
---@field first_look ligase.look at the file as it is
---@field recognition ligase.recognition|nil nil when no format is like it
---@field dialect ligase.dialect
---@field placement ligase.placement|nil
---@field stat table of the file when it was opened
---@field path string what is read: the file, or a converted copy of it
---@field source ligase.source
---@field roles table<integer, ligase.column_role>|nil what the format knows of the columns
---@field flags ligase.flag_rule[]
local Opened = {}
Opened.__index = Opened

--- Answers of a placement that are answers for the dialect.
local ANSWERS = { "separator", "quote", "encoding", "decimal", "comment", "missing", "skip_lines", "header", "names",
  "ragged" }

local function answers_of(placement, given)
  local answers = {}
  for _, key in ipairs(ANSWERS) do
    answers[key] = placement[key]
  end
  for key, value in pairs(given) do
    answers[key] = value
  end
  -- Names fit the lines that the format meant, and no other ones.
  if given.skip_lines and given.skip_lines ~= placement.skip_lines then
    answers.header, answers.names = given.header, given.names
  end
  return answers
end

--- A slip in somebody's format is that format's failure.
local function ask(opened, what, ...)
  local format = opened.recognition and opened.recognition.format
  if not format or not format[what] then
    return nil
  end
  local done, result = xpcall(format[what], errors.explained, ...)
  if done then
    return result
  elseif result.kind == "internal" then
    errors.raise { kind = "input", code = "format", file = opened.source.shown, traceback = result.traceback,
      message = ("the format %s failed: %s"):format(format.name, result.message),
      hint = "Read the file as another one: --format NAME" }
  end
  error(result, 0)
end

--- What is doubtful about the format goes with what is doubtful about the dialect.
local function add_doubts(opened)
  local doubts = opened.dialect.doubts
  for _, from in ipairs { opened.recognition or {}, opened.placement or {} } do
    table.move(from.doubts or {}, 1, #(from.doubts or {}), #doubts + 1, doubts)
  end
end

--- Refuses a file without the columns of the format that it was said to be, unless the table
--- has them where the format found it.
local function check_wanted(opened)
  local recognition = opened.recognition
  if not recognition or not recognition.wanted then
    return
  elseif opened.look ~= opened.first_look then
    local done, sureness, wanted = looks.asking(opened.look, recognition.format.recognise)
    if done and sureness then
      recognition.doubts = {}
      return
    end
    recognition.wanted = wanted
  end
  if #recognition.wanted > 0 then
    opened:close()
    formats.refuse(recognition, opened.look)
  end
end

--- Finds out what a source is and how it is written. Close it.
--- Raises "input" for what cannot be a table or has not the columns of the format given, "usage" for a format that
--- does not exist.
---@param source ligase.source
---@param given table answers for the dialect, from a person or a recipe
---@param format_name string|nil the format that they say it is
---@return ligase.opened
function M.open(source, given, format_name)
  local look = looks.new(source.path, source.shown, given)
  local opened = setmetatable({ source = source, look = look, first_look = look, dialect = look.dialect,
    path = source.path, stat = sys.stat(source.path), recognition = formats.detect(look, format_name) }, Opened)
  local placement = ask(opened, "place", look)
  if placement then
    opened.placement, opened.path = placement, placement.path or source.path
    local done, placed = pcall(looks.new, opened.path, source.shown, answers_of(placement, given))
    if not done then
      opened:close()
      error(placed, 0)
    end
    placed.placement = placement
    opened.look, opened.dialect = placed, placed.dialect
  end
  check_wanted(opened)
  add_doubts(opened)
  opened.roles = ask(opened, "columns", opened.look.header, opened.look)
  opened.flags = ask(opened, "flags", opened.look.header, opened.look) or {}
  return opened
end

--- A reader of its table.
---@param options table more options for csv.frames
---@return table reader
function Opened:reader(options)
  local how = dialect.reader_options(self.dialect)
  for key, value in pairs(options) do
    how[key] = value
  end
  return (csv.frames(self.path, how))
end

--- What the reader says of the file at its end: of the file itself, also where a converted
--- copy of it was read.
---@param info table the reader's
---@return table info
function Opened:info(info)
  if self.path ~= self.source.path then
    info.sha256 = sys.sha256_file(self.source.path)
    local now = sys.stat(self.source.path)
    if not now or now.size_bytes ~= self.stat.size_bytes or now.modified_s ~= self.stat.modified_s then
      errors.raise { kind = "input", code = "changed", file = self.source.shown,
        message = "the file changed while it was read", hint = "Wait until it is written, and read it again" }
    end
    info.bytes = now.size_bytes
  end
  return info
end

--- What is kept of it with the revision.
---@param plan ligase.column_plan|nil says in which slot of measurements.texts a flag's column is
---@return table
function Opened:findings(plan)
  local recognition, placement = self.recognition, self.placement or {}
  local flags = {}
  for i, flag in ipairs(self.flags) do
    local column = plan and flag.position and plan.columns[flag.position]
    flags[i] = { flag = flag.flag, position = flag.position, equals = flag.equals, prefix = flag.prefix,
      slot = column and column.type == "text" and column.slot or nil }
  end
  return {
    format = recognition and recognition.format.name, format_why = recognition and recognition.why,
    format_sureness = recognition and recognition.sureness, format_given = recognition and recognition.given or nil,
    header = self.dialect.header, names = self.dialect.names, header_rows = placement.header_rows,
    written_header = self.dialect.names and self.dialect.header ~= false and self.look.written_header or nil,
    flags = #flags > 0 and json.array(flags) or nil, about = ask(self, "about", self.look),
  }
end

--- Removes a converted copy. May be called again.
function Opened:close()
  local folder = self.placement and self.placement.remove
  if folder then
    self.placement.remove = nil
    errors.try(sys.remove_tree, folder)
  end
end

Opened.__close = Opened.close

return M
