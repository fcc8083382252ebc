--- Files of several tables: one section of them copied into a file of its own.
---
--- The copy has the same line numbers as the file: what belongs to other sections becomes
--- blank lines, which the reader of tables skips and counts, so that what it says of a
--- line is true of the file. File and copy are streams; only what is kept as text besides
--- the table is held in memory, and that has a limit.
---
--- Knows of packing, encoding, lines and quotes. What the sections of a format are is
--- said in ligase.omics.formats.
local csv = require "csv"
local errors = require "ligase.base.errors"
local sys = require "sys"
local text = require "ligase.base.text"

local M = {}

local find, sub = string.find, string.sub

local BLOCK_BYTES = 1 << 20
local LINE_BYTES_MOST = 64 << 20

--- Of the text that is kept besides the table: sections of study, samples and factors.
M.ABOUT_BYTES_MOST = 32 << 20

--- Doubts of one kind that are told one by one; more are counted.
local DOUBTS_MOST = 5

-- ---- a file as lines -------------------------------------------------------

---@class ligase.sections
---@field file string what people see
---@field line integer the line that was read last
---@field at integer the byte where it begins, from 0, in the text without its byte order mark
---@field doubts string[]
---@field separator string of the table, "\t" unless set
---@field quoted boolean|nil set: what is kept is quoted as CSV has it
---@field reader table what `new` was given: {path, shown, encoding, gzip}
local Sections = {}
Sections.__index = Sections

--- Refuses the file at a line.
---@param fields table as for errors.raise; `line` is the present one unless given, false for none
function Sections:refuse(fields)
  fields.kind, fields.file = fields.kind or "input", self.file
  if fields.line == nil then
    fields.line = self.line > 0 and self.line or nil
  end
  fields.line = fields.line or nil
  errors.raise(fields)
end

--- Notes a doubt. Those of one kind beyond the first few are only counted.
---@param format string of the doubt; the doubts of one format are of one kind
---@param ... any its arguments
function Sections:doubt(format, ...)
  local count = (self.doubt_counts[format] or 0) + 1
  self.doubt_counts[format] = count
  if count <= DOUBTS_MOST then
    self.doubts[#self.doubts + 1] = format:format(...)
    self.doubt_places[format] = #self.doubts
  end
end

--- Says how many doubts were only counted.
local function finish_doubts(self)
  for format, count in pairs(self.doubt_counts) do
    if count > DOUBTS_MOST then
      local at = self.doubt_places[format]
      self.doubts[at] = ("%s; and %d more like it"):format(self.doubts[at], count - DOUBTS_MOST)
    end
  end
  self.doubt_counts = {}
end

local function refuse_read(self, why)
  errors.raise { kind = "system", code = "read", file = self.file, message = "cannot read the file: " .. tostring(why) }
end

local function next_block(self)
  local block, why = self.input:read(BLOCK_BYTES)
  if not block and why then
    refuse_read(self, why)
  end
  return block
end

--- The next piece that ends in this character, without it; nil at the end of the file.
local function next_piece(self, ending)
  local parts, bytes = nil, 0
  while true do
    local stop = self.block:find(ending, self.place, true)
    if stop then
      local piece = self.block:sub(self.place, stop - 1)
      self.place = stop + 1
      if parts then
        parts[#parts + 1] = piece
        piece = table.concat(parts)
      end
      return piece, true
    end
    parts = parts or {}
    parts[#parts + 1] = self.block:sub(self.place)
    bytes = bytes + #parts[#parts]
    if bytes > LINE_BYTES_MOST then
      self.line = self.line + 1
      self:refuse { code = "line_length", message = ("the line is longer than %d MiB"):format(LINE_BYTES_MOST >> 20),
        hint = "Is this a file of text with line ends?" }
    end
    self.block, self.place = next_block(self), 1
    if not self.block then
      self.block = ""
      local rest = table.concat(parts)
      return rest ~= "" and rest or nil, false
    end
  end
end

--- Takes a piece that ended in "\n" apart: a "\r" at its end belongs to the line end, one
--- inside is a line end of its own, as in a file that was put together of several.
local function split_returns(self, piece, ended)
  if ended and piece:sub(-1) == "\r" then
    piece = piece:sub(1, -2)
  end
  if not piece:find("\r", 1, true) then
    return piece
  end
  local from = 1
  for part, after in (piece .. "\r"):gmatch "([^\r]*)\r()" do
    self.waiting[#self.waiting + 1] = part
    from = after
  end
  if not ended and from > #piece and piece:sub(-1) == "\r" then
    self.waiting[#self.waiting] = nil
  end
  return table.remove(self.waiting, 1)
end

--- The next line where it is easy: all of it in the block, and no CR inside.
local function easy_line(self)
  local block, place = self.block, self.place
  local stop = find(block, self.ending, place, true)
  if not stop or self.waiting[1] then
    return nil
  end
  local line = sub(block, place, stop - 1)
  local cr = find(line, "\r", 1, true)
  if cr and cr < #line then
    return nil
  end
  self.place, self.at, self.line = stop + 1, self.piece_at, self.line + 1
  self.piece_at = self.at + stop + 1 - place
  return cr and sub(line, 1, -2) or line
end

--- The next line without its end; nil at the end of the file. LF, CR and CRLF end lines.
---@return string|nil
function Sections:next()
  local line = easy_line(self)
  if line then
    return line
  end
  line = self.waiting[1]
  if line then
    table.remove(self.waiting, 1)
    self.at = self.next_at
    self.next_at = self.next_at + #line + 1
  else
    local piece, ended = next_piece(self, self.ending)
    if not piece then
      return nil
    end
    line = self.ending == "\n" and split_returns(self, piece, ended) or piece
    self.at = self.piece_at
    self.next_at = self.at + #line + 1
    self.piece_at = self.piece_at + #piece + 1
  end
  self.line = self.line + 1
  return line
end

--- Iterates over the lines from here on.
---@return fun(self: ligase.sections): string|nil
---@return ligase.sections
function Sections:lines()
  return self.next, self
end

-- ---- text that is kept ------------------------------------------------------

--- A text of the present line as UTF-8, to be kept besides the table. Raises "input" for
--- bytes that are none, and when there is too much of it.
---@param part string
---@return string
function Sections:decoded(part)
  self.kept_bytes = self.kept_bytes + #part
  if self.kept_bytes > M.ABOUT_BYTES_MOST then
    self:refuse { code = "about_size",
      message = ("the sections beside the table are larger than %d MiB"):format(M.ABOUT_BYTES_MOST >> 20),
      hint = "Take the sections that are not needed out of the file" }
  end
  if part:find("\0", 1, true) then
    self:refuse { code = "nul", message = "a NUL byte in the text", hint = "Is this a file of text?" }
  elseif not part:find("[\128-\255]") then
    return part
  elseif self.encoding then
    return (csv.head({ text = part, name = self.file }, { encoding = self.encoding }, math.max(16, #part * 4)))
  elseif not utf8.len(part) then
    self:refuse { code = "encoding", message = "bytes that are not valid UTF-8",
      hint = "If the file is in another encoding, name it: --encoding latin1" }
  end
  return part
end

-- ---- the copy --------------------------------------------------------------

local function write(self, ...)
  local done, why = self.output:write(...)
  if not done then
    errors.raise { kind = "system", code = "write", message = ("cannot copy a section of %s to a temporary file: %s")
      :format(self.file, why), hint = "Make room, or set TMPDIR to a folder on a larger disk" }
  end
end

--- Whether every cell with quote marks is quoted as a whole, as CSV has it.
local function is_quoted_whole(line, separator)
  for cell in (line .. separator):gmatch("([^" .. separator .. "]*)" .. separator) do
    if cell:find('"', 1, true) and not (cell:find('^".*"$') and #cell > 1
      and not cell:sub(2, -2):gsub('""', ""):find('"', 1, true)) then
      return false
    end
  end
  return true
end

--- Takes a line over into the copy, at its own number unless another is given. Lines
--- between those that are kept are blank there.
---@param line string without its end; not ""
---@param number integer|nil
function Sections:keep(line, number)
  number = number or self.line
  if not self.quoted and self.quote_seen ~= "literal" and line:find('"', 1, true) then
    self.quote_seen = is_quoted_whole(line, self.separator) and "whole" or "literal"
  end
  self.first = self.first or line
  local blanks = number - 1 - self.written
  self.written = number
  if blanks > 0 then
    write(self, ("\n"):rep(blanks), line, "\n")
  else
    write(self, line, "\n")
  end
end

--- Takes back all lines that were kept.
function Sections:discard()
  self.quote_seen, self.written, self.first = nil, 0, nil
  self.output:close()
  self.output = self.open_output()
end

--- The mark that quotes cells in the copy: `"` where every cell that has some is quoted as
--- a whole, else they are text like any other. Who quotes cells itself sets `quoted`.
---@return string|false
function Sections:quote()
  return (self.quoted or self.quote_seen == "whole") and '"' or false
end

--- The cells of a line as they stand.
---@param line string
---@param separator string|nil "\t" without it
---@return string[]
function M.raw_cells(line, separator)
  separator = separator or "\t"
  local cells, from = {}, 1
  while true do
    local stop = line:find(separator, from, true)
    cells[#cells + 1] = line:sub(from, stop and stop - 1)
    if not stop then
      return cells
    end
    from = stop + 1
  end
end

--- The cells of a line, without quotes where the cell is quoted as a whole.
---@param line string
---@param separator string|nil "\t" without it
---@return string[]
function M.cells(line, separator)
  local cells = M.raw_cells(line, separator)
  for i, cell in ipairs(cells) do
    if #cell > 1 and cell:find('^".*"$') then
      cells[i] = cell:sub(2, -2):gsub('""', '"')
    end
  end
  return cells
end

--- How many cells a line has.
---@param line string
---@param separator string|nil "\t" without it
---@return integer
function M.width(line, separator)
  separator = separator or "\t"
  local count, from = 1, 1
  while true do
    local stop = line:find(separator, from, true)
    if not stop then
      return count
    end
    count, from = count + 1, stop + 1
  end
end

-- ---- packing and encoding --------------------------------------------------

local function run_into(argv, path, shown, fields)
  local result = sys.run(argv, { stdout = path })
  if result.code ~= 0 then
    fields.kind, fields.file, fields.detail = "input", shown, text.printable(result.stderr:match("^[^\n]*") or "")
    errors.raise(fields)
  end
  return path
end

--- The source as bytes whose line ends, tabs and quotes are those of ASCII: unpacked, and
--- out of encodings where they are wider.
---@return string path, string|nil encoding nil for UTF-8, string|nil wide the encoding it was in
local function plain_path(source, folder)
  local path, encoding = source.path, source.encoding
  if source.gzip then
    path = run_into({ "gzip", "-dc", "--", path }, folder .. "/unpacked", source.shown,
      { code = "gzip", message = "the packed file is damaged or cut short", hint = "Fetch it again" })
  end
  if encoding and encoding:upper():find("^UTF%-?_?8$") then
    encoding = nil
  elseif encoding and (encoding:upper():find("^UTF%-?_?16") or encoding:upper():find("^UTF%-?_?32")) then
    path = run_into({ "iconv", "-f", encoding, "-t", "UTF-8", "--", path }, folder .. "/decoded", source.shown,
      { code = "encoding", message = ("the file is not valid %s"):format(encoding),
        hint = "Name the encoding: --encoding" })
    return path, nil, encoding
  end
  return path, encoding, nil
end

local function open(path, mode, shown)
  local file, why = io.open(path, mode)
  if not file then
    errors.raise { kind = "system", code = "open", file = shown, message = "cannot open the file: " .. tostring(why) }
  end
  return file
end

--- The file's bytes once more, unpacked, for reading at places. Close it.
---@return file*
function Sections:reopen()
  return open(self.plain, "rb", self.file)
end

local function new(source, folder)
  local self = setmetatable({
    file = source.shown, line = 0, at = 0, doubts = {}, reader = source, separator = "\t",
    written = 0, kept_bytes = 0, waiting = {}, doubt_counts = {}, doubt_places = {}, place = 1, piece_at = 0,
  }, Sections)
  self.plain, self.encoding, self.wide = plain_path(source, folder)
  self.input = open(self.plain, "rb", source.shown)
  self.open_output = function()
    local output = open(folder .. "/table", "wb", source.shown)
    output:setvbuf("full", BLOCK_BYTES)
    return output
  end
  self.output = self.open_output()
  self.block = next_block(self) or ""
  if self.block:find("^\xef\xbb\xbf") then
    self.place, self.piece_at = 4, 3
  end
  local is_cr = not self.block:find("\n", 1, true) and self.block:find("\r", 1, true)
  self.ending = is_cr and "\r" or "\n"
  return self
end

function Sections:__close()
  self.input:close()
  if self.output then
    self.output:close()
  end
end

local function finish(self, stat)
  local done, why = self.output:close()
  self.output = nil
  if not done then
    errors.raise { kind = "system", code = "write",
      message = ("cannot copy a section of %s to a temporary file: %s"):format(self.file, why),
      hint = "Make room, or set TMPDIR to a folder on a larger disk" }
  end
  local now = sys.stat(self.reader.path)
  if not now or now.size_bytes ~= stat.size_bytes or now.modified_s ~= stat.modified_s then
    self:refuse { code = "changed", line = false, message = "the file changed while it was read",
      hint = "Wait until it is written, and read it again" }
  end
  finish_doubts(self)
end

--- The copy, in the encoding of the file: a person may have named it.
local function final_path(self, folder)
  if not self.wide then
    return folder .. "/table"
  end
  return run_into({ "iconv", "-f", "UTF-8", "-t", self.wide, "--", folder .. "/table" }, folder .. "/encoded",
    self.file, { code = "encoding", message = ("the table cannot be written as %s"):format(self.wide),
      hint = "Save the file as UTF-8" })
end

local function convert(source, folder, read)
  local stat = sys.stat(source.path)
  local self <close> = new(source, folder)
  local result = read(self) or {}
  finish(self, stat or {})
  result.doubts, result.about = self.doubts, result.about or {}
  result.header = self.first and M.cells(self:decoded(self.first), self.separator) or {}
  result.placement = {
    path = final_path(self, folder), remove = folder, separator = self.separator, quote = self:quote(), decimal = ".",
    skip_lines = 0, encoding = self.wide or self.encoding or "utf-8", doubts = self.doubts,
    sectioned = result, -- lives as long as the placement does
  }
  return result
end

---@class ligase.sectioned
---@field placement table for a format's `place`: path, remove, separator, quote, decimal, skip_lines, encoding,
--- doubts
---@field about table
---@field doubts string[]
---@field header string[] the cells of the first line that was kept

--- Reads a file of sections. `read` gets it as lines, keeps those of the table, and
--- returns what else it found: {about =, ...}. Raises "input" for what cannot
--- be read; then no temporary file is left.
---@param source {path: string, shown: string, encoding: string|nil, gzip: boolean|nil}
---@param read fun(sections: ligase.sections): table|nil
---@return ligase.sectioned the caller removes the folder placement.remove
function M.convert(source, read)
  local folder = sys.temp_dir("ligase-section-")
  local done, result = xpcall(convert, errors.explained, source, folder, read)
  if not done then
    sys.remove_tree(folder)
    error(result, 0)
  end
  return result
end

-- ---- for formats -----------------------------------------------------------

--- What was read for a look, as long as the look lives; and by the copy's path, for a look
--- at the copy.
local by_look = setmetatable({}, { __mode = "k" })
local by_path = setmetatable({}, { __mode = "v" })

--- The functions `place` and `about` of a format of sections, and one that gives what `read`
--- returned, for its `columns`. The file is read once for all of them.
---@param read fun(sections: ligase.sections, look: table): table
---@return {place: fun(look: table): table, about: fun(look: table): table, found: fun(look: table): table}
function M.format(read)
  local function convert_look(look)
    local how = look.dialect or {}
    return M.convert({ path = look.path, shown = look.shown, encoding = how.encoding, gzip = how.gzip },
      function(sections)
        return read(sections, look)
      end)
  end
  local function found(look)
    local result = by_look[look] or by_path[look.path]
    if not result then
      result = convert_look(look)
      sys.remove_tree(result.placement.remove)
      by_look[look] = result
    end
    return result
  end
  return {
    place = function(look)
      local result = convert_look(look)
      by_look[look], by_path[result.placement.path] = result, result
      return result.placement
    end,
    about = function(look)
      return found(look).about
    end,
    found = found,
  }
end

return M
