--- `ligase name TYPE [FILE]`: what names are read as.
local aliases = require "ligase.omics.names.aliases"
local errors = require "ligase.base.errors"
local json = require "ligase.base.json"
local output = require "ligase.cli.output"
local parsing = require "ligase.cli.parsing"
local sys = require "sys"
local text = require "ligase.base.text"

local M = {}

local TYPES = { "lipid", "protein", "gene", "metabolite" }

M.description = "Reads names, one per line, and prints one line for each, with tabs between: the name as it stands, "
  .. "the canonical name (- when it is not understood), its level, class, sum formula, what was set aside (JSON), the "
  .. "rule that read it, and the reason when it was not understood. TYPE is lipid, protein, gene or metabolite; "
  .. "without FILE, or with -, names come from standard input. Only --aliases and --source need a database."
M.example = [[
  echo "PC(16:0/18:1)" | ligase name lipid
  ligase name gene genes.txt --header > read.tsv
  cut -f1 our_panel.tsv | ligase name metabolite]]

local HEADER = { "raw", "name", "level", "class", "formula", "aside", "rule", "reason" }

--- Lines that are remembered with what they were read as, before it starts afresh.
local REMEMBERED_MOST = 100000

local PIECE_BYTES = 1 << 18
local LINE_BYTES_MOST = 16 << 20

--- Declares the command's words.
---@param parser table argparse's
function M.configure(parser)
  parser:argument("TYPE", "lipid, protein, gene or metabolite."):target("feature_type"):argname("TYPE")
    :convert(parsing.one_of("the type", TYPES))
  parser:argument("FILE", "Names, one per line."):target("file"):argname("FILE"):args("?")
  parser:flag("--header", "Print a first line with the columns' names.")
  parser:flag("--aliases", "Look the names up in all alias tables that are loaded for the type.")
  parser:option("--source", "Look them up in this alias table. May be given again."):target("sources")
    :argname("SOURCE"):count("*")
end

-- ---- lines in --------------------------------------------------------------

local function refuse(path, message, hint, code)
  errors.raise { kind = "input", code = code or "unreadable", file = path ~= "-" and path or "(standard input)",
    message = message, hint = hint }
end

local NOT_TEXT = {
  { "^\x1F\x8B", "the names are packed by gzip", "Unpack them: gzip -dc FILE | ligase name TYPE" },
  { "^PK\3\4", "this is a zip file or a workbook", "Save the column of names as text" },
  { "^\xFF\xFE", "the names are UTF-16", "Convert them: iconv -f utf-16 -t utf-8 FILE | ligase name TYPE" },
  { "^\xFE\xFF", "the names are UTF-16", "Convert them: iconv -f utf-16 -t utf-8 FILE | ligase name TYPE" },
}

local function check_start(path, piece)
  for _, case in ipairs(NOT_TEXT) do
    if piece:find(case[1]) then
      refuse(path, case[2], case[3], "binary")
    end
  end
  return (piece:gsub("^\xEF\xBB\xBF", ""))
end

--- The whole lines of a piece of text, and what is left of the last.
local function split(piece, ending)
  local lines, from = {}, 1
  while true do
    local at = piece:find(ending, from, true)
    if not at then
      return lines, piece:sub(from)
    end
    local last = piece:byte(at - 1) == 13 and at > from and at - 2 or at - 1
    lines[#lines + 1] = piece:sub(from, last)
    from = at + 1
  end
end

--- An iterator over lists of lines. Lines end in LF or CRLF; in a file without LF, in CR.
local function batches(path, file)
  local rest, ending, done = "", nil, false
  return function()
    while not done do
      local piece, why = file:read(PIECE_BYTES)
      if why then
        refuse(path, "cannot read the names: " .. why)
      elseif not piece then
        done = true
        return rest ~= "" and { (rest:gsub("\r$", "")) } or nil
      end
      if not ending then
        piece = check_start(path, piece)
        ending = (piece:find("\r", 1, true) and not piece:find("\n", 1, true)) and "\r" or "\n"
      end
      local lines
      lines, rest = split(rest .. piece, ending)
      if #rest > LINE_BYTES_MOST then
        refuse(path, ("a line is longer than %s"):format(text.bytes(LINE_BYTES_MOST)), "Names stand one on a line",
          "line_length")
      elseif #lines > 0 then
        return lines
      end
    end
  end
end

-- ---- lines out -------------------------------------------------------------

local ESCAPES = { ["\\"] = "\\\\", ["\t"] = "\\t", ["\r"] = "\\r", ["\n"] = "\\n" }

local function escape_byte(byte)
  return ESCAPES[byte] or ("\\x%02X"):format(byte:byte())
end

--- A cell without tabs and control characters; bytes that are not UTF-8 are written \xHH.
local function cell(value)
  if value == nil then
    return ""
  elseif not value:find("[%c\\\x7F-\xFF]") then
    return value
  end
  value = value:gsub("[%c\\]", escape_byte)
  local from, parts = 1, {}
  while true do
    local _, bad = utf8.len(value, from)
    if not bad then
      parts[#parts + 1] = value:sub(from)
      return table.concat(parts)
    end
    parts[#parts + 1] = value:sub(from, bad - 1)
    parts[#parts + 1] = escape_byte(value:sub(bad, bad))
    from = bad + 1
  end
end

local function reason_of(reading)
  if reading.candidates and #reading.candidates > 0 then
    return ("%s: %s"):format(reading.reason or "it may mean", table.concat(reading.candidates, ", "))
  end
  return reading.reason or "not understood"
end

--- The cells behind the raw name.
local function told(reading, describe)
  if not reading then
    return "\t-\t\t\t\t\t\tblank\n"
  end
  local aside = reading.aside and cell(json.encode(reading.aside)) or ""
  if reading.rule == "verbatim" then
    return ("\t-\t\t\t\t%s\tverbatim\t%s\n"):format(aside, cell(reason_of(reading)))
  end
  -- By a table's word it is another name than the one that was read.
  local known = not reading.rule:find("^alias%.") and reading or nil
  local described = describe and describe(reading.name, known) or {}
  return ("\t%s\t%s\t%s\t%s\t%s\t%s\t\n"):format(cell(reading.name), cell(reading.level), cell(described.class),
    cell(described.formula), aside, cell(reading.rule))
end

-- ---- the command -----------------------------------------------------------

--- A function that reads many names at once, by the tables when they are asked for.
local function many_reader(arguments, context, module)
  local feature_type = arguments.feature_type
  if not arguments.aliases and #arguments.sources == 0 then
    return function(raws)
      local readings = {}
      for i = 1, #raws do
        readings[i] = module.read(raws[i]) or false
      end
      return readings
    end
  end
  local store = require "ligase.store.aliases"
  local conn = context:open_existing()
  local sources = store.sources(conn, feature_type, #arguments.sources > 0 and arguments.sources or nil)
  return function(raws)
    return aliases.read_all(feature_type, raws, module.read, function(names)
      return store.lookup(conn, feature_type, names, sources)
    end)
  end
end

--- The lines of a batch that are new, each once.
local function unknown_of(lines, known)
  local new, count, met = {}, 0, {}
  for i = 1, #lines do
    local line = lines[i]
    if not known[line] and not met[line] then
      met[line] = true
      count = count + 1
      new[count] = line
    end
  end
  return new, count
end

local function print_all(file, arguments, read_many, describe)
  local known, count = {}, 0
  for lines in batches(arguments.file, file) do
    local new, more = unknown_of(lines, known)
    for i, reading in ipairs(read_many(new)) do
      known[new[i]] = cell(new[i]) .. told(reading, describe)
    end
    count = count + more
    for i = 1, #lines do
      lines[i] = known[lines[i]]
    end
    output.write(table.concat(lines))
    if count > REMEMBERED_MOST then
      known, count = {}, 0
    end
  end
end

local function open(path)
  if path == "-" then
    return io.stdin
  end
  local stat = sys.stat(path)
  if stat and stat.type == "directory" then
    refuse(path, "this is a folder", "Name a file", "directory")
  end
  local file, why = io.open(path, "rb")
  if not file then
    refuse(path, "cannot open the file: " .. why:gsub("^.*: ", ""),
      "Check the path; relative paths start at the current folder", "missing")
  end
  return file
end

--- Runs the command.
---@param arguments table as parsed
---@param context ligase.context
function M.run(arguments, context)
  local module = require("ligase.omics.names." .. arguments.feature_type)
  local read_many = many_reader(arguments, context, module)
  arguments.file = arguments.file or "-"
  local file <close> = open(arguments.file)
  io.stdout:setvbuf("full", 1 << 16)
  if arguments.header then
    output.write(table.concat(HEADER, "\t") .. "\n")
  end
  print_all(file, arguments, read_many, module.describe)
end

return M
