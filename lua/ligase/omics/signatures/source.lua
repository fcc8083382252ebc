--- The text of a signature file: its lines, what its comments say of it, and what is no such file.
---
--- Signature files are small beside tables of measurements, so they are held whole.
local csv = require "csv"
local errors = require "ligase.base.errors"
local sys = require "sys"
local text = require "ligase.base.text"

local M = {}

local BYTES_MOST = 64 << 20

--- What a comment "# key: value" may say, by key without case, blanks and marks.
local KEYS = {
  name = "name", signature = "name", signaturename = "name", version = "version", type = "type",
  signaturetype = "type", source = "source", reference = "source", doi = "source", pmid = "source",
  description = "description", organism = "organism", species = "organism", disease = "disease",
  diseases = "disease", matrix = "matrix", featuretype = "feature_type",
}

--- These hold several terms, with semicolons between.
local LISTS = { organism = true, disease = true, matrix = true }

---@class ligase.signature_source
---@field shown string the path for people
---@field name string|nil the file's name without its ending
---@field ending string the file's ending in small letters, "" without one
---@field text string UTF-8, without its mark
---@field sha256 string of the file's bytes
---@field bytes integer
---@field lines {text: string, number: integer}[] without comments and without blank ones
---@field about table<string, string|string[]> what the comments say: name, version, type, ...
---@field encoding string

--- Raises "input" for a line of the source.
---@param source {shown: string}
---@param line integer|nil
---@param message string
---@param hint string
---@param code string|nil
function M.refuse(source, line, message, hint, code)
  errors.raise { kind = "input", code = code or "signature", file = source.shown, line = line, message = message,
    hint = hint }
end

--- Terms with semicolons between, each once.
---@param value string
---@return string[]
function M.terms(value)
  local terms, seen = {}, {}
  for term in value:gmatch("[^;]+") do
    term = term:match("^%s*(.-)%s*$")
    if term ~= "" and not seen[term] then
      seen[term] = true
      terms[#terms + 1] = term
    end
  end
  return terms
end

local function note_comment(about, line)
  local key, value = line:match("^#+%s*([%a][%w _%-]-)%s*[:=]%s*(.-)%s*$")
  local field = key and KEYS[key:lower():gsub("[%s_%-]", "")]
  if field and value ~= "" and about[field] == nil then
    about[field] = LISTS[field] and M.terms(value) or value
  end
end

--- Whether a line is a comment and not a header that begins with "#".
local function is_comment(line)
  return line:find("^#") ~= nil and not line:find("^#[^\t]*\t")
end

local function split(source)
  local number, at, content = 0, 1, source.text
  while at <= #content do
    local stop = content:find("[\r\n]", at) or #content + 1
    local line = content:sub(at, stop - 1)
    number = number + 1
    if is_comment(line) then
      note_comment(source.about, line)
    elseif line:find("%S") then
      source.lines[#source.lines + 1] = { text = line, number = number }
    end
    at = stop + (content:sub(stop, stop + 1) == "\r\n" and 2 or 1)
  end
end

--- What a file is that is no list of features, and what to do about it.
local function refuse_others(source)
  local head = source.text:sub(1, 2000)
  if head:find("^%s*<") then
    M.refuse(source, 1, "this is XML", "Take the sets as GMT: MSigDB offers every collection in that form too", "xml")
  elseif head:find("^%s*[{%[]") then
    M.refuse(source, 1, "this is JSON", "Take the sets as GMT or as a table of features", "json")
  elseif head:find("^%d+ %d+ 1%s*[\r\n]+#") then
    M.refuse(source, 1, "this is a class file of GSEA: it says of which group each sample is",
      "Groups belong to a dataset: ligase ingest --samples FILE", "cls")
  end
end

--- Reads a file. Raises "input" for what cannot hold signatures.
---@param input ligase.source from ligase.io.inputs
---@param options {encoding: string|nil}
---@return ligase.signature_source
function M.read(input, options)
  local stat = sys.stat(input.path)
  if not stat or stat.type ~= "file" then
    errors.raise { kind = "input", code = "ENOENT", file = input.shown, message = stat and "this is no file"
      or "there is no such file", hint = "Check the path; relative paths start at the current folder" }
  elseif stat.size_bytes == 0 then
    M.refuse(input, nil, "the file is empty", "Check that the download finished", "empty")
  end
  local content, how = csv.head(input.path, { encoding = options.encoding }, BYTES_MOST)
  if not how.complete then
    M.refuse(input, nil, ("the file holds more than %s"):format(text.bytes(BYTES_MOST)),
      "Is it data? ligase ingest reads that; or split it", "EFBIG")
  end
  local plain = (input.shown:match("[^/]*$") or ""):gsub("%.[gG][zZ]$", "")
  local source = { shown = input.shown, name = input.name, ending = (plain:match("%.([%w]+)$") or ""):lower(),
    text = content:gsub("^\xEF\xBB\xBF", ""), sha256 = sys.sha256_file(input.path), bytes = stat.size_bytes, lines = {},
    about = {}, encoding = how.encoding }
  refuse_others(source)
  split(source)
  if #source.lines == 0 then
    M.refuse(source, nil, "the file holds no features", "Give one feature on each line", "empty")
  end
  return source
end

return M
