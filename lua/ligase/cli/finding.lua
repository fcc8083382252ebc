--- Which files the words of a command line mean: files, folders, patterns.
---
--- A folder stands for the tables in it and below it; a pattern that the shell did not
--- expand is expanded here.
local errors = require "ligase.base.errors"
local inputs = require "ligase.io.inputs"
local sys = require "sys"
local text = require "ligase.base.text"

local M = {}

--- What the name of a file in a folder ends with when it is taken for a table, also with
--- .gz after it. A file that is named itself may be called anything.
M.ENDINGS = { "csv", "tsv", "tab", "tabular", "txt", "sf", "results", "counts", "gct", "mztab", "mwtab", "json",
  "soft", "maf", "rcc", "rnk", "diff", "fpkm_tracking" }

local IS_TABLE = {}
for _, ending in ipairs(M.ENDINGS) do
  IS_TABLE[ending] = true
end

---@class ligase.found_file
---@field path string as it is to be shown: as the person wrote it
---@field source string absolute; "-" and streams as they are
---@field name string the dataset it becomes
---@field size_bytes integer|nil nil for what is not there and for streams
---@field modified_s number|nil
---@field in_folder boolean|nil it was found in a folder

---@class ligase.findings
---@field files ligase.found_file[]
---@field passed integer files in folders that do not look like tables
---@field problems {source: string, error: table}[] files that cannot be taken
---@field has_folder boolean a folder or a pattern was among the words

local function join(folder, name)
  return (folder:find("/$") and folder or folder .. "/") .. name
end

--- A path that other processes understand too, without links in its folders.
local function absolute(path)
  local folder, name = path:match("^(.*/)([^/]+)$")
  local found, real = pcall(sys.real_path, folder or ".")
  return found and join(real, name or path) or path
end

local function stat_of(path, options)
  local found, stat = pcall(sys.stat, path, options)
  return found and stat or nil
end

local function add(found, file, stat)
  if stat and stat.type == "file" then
    file.size_bytes, file.modified_s = stat.size_bytes, stat.modified_s
  end
  found.files[#found.files + 1] = file
end

-- ---- folders ---------------------------------------------------------------

local function looks_like_table(name)
  local ending = name:lower():gsub("%.gz$", ""):match("%.([^.]+)$")
  return ending ~= nil and IS_TABLE[ending] == true
end

local function problem(found, path, message, hint)
  found.problems[#found.problems + 1] = { source = path, error = errors.new { kind = "input", code = "no_file",
    file = text.printable(path), message = message, hint = hint } }
end

--- What is in a folder; one that cannot be looked into is told of, and the others are read.
local function listed(found, path, real)
  local done, names = pcall(sys.list, real)
  if not done then
    problem(found, path, errors.is(names) and names.message or tostring(names), "Give yourself the right to read it")
  end
  return done and names or {}
end

--- What is called like a table and is no file: a link that leads nowhere, a FIFO.
local function tell_no_file(found, path, kind)
  if kind == "link" then
    problem(found, path, "the link leads to no file", "Mend it, or take it away")
  else
    problem(found, path, ("this is no file (%s)"):format(kind), "Take it out of the folder, or name it by itself")
  end
end

--- Folders below are entered, links to folders are not: they may lead in a ring. The
--- dataset's name holds the folders below the one that was named, because tools write
--- one folder per sample and always the same file name.
local function walk(found, folder, real, below)
  for _, name in ipairs(listed(found, folder, real)) do
    local path, source = join(folder, name), join(real, name)
    local link = name:sub(1, 1) ~= "." and stat_of(source, { follow = false })
    local stat = link and (link.type == "link" and stat_of(source) or link)
    if stat and stat.type == "directory" and link.type == "directory" then
      walk(found, path, source, below .. name .. "/")
    elseif stat and stat.type == "file" then
      if looks_like_table(name) then
        add(found, { path = path, source = source, name = below .. inputs.name_of(source), in_folder = true }, stat)
      else
        found.passed = found.passed + 1
      end
    elseif link and not (stat and stat.type == "directory") and looks_like_table(name) then
      tell_no_file(found, path, stat and stat.type or link.type)
    end
  end
end

local function take_folder(found, folder)
  found.has_folder = true
  local before, passed, problems = #found.files, found.passed, #found.problems
  walk(found, folder, sys.real_path(folder), "")
  if #found.files == before and #found.problems == problems then
    passed = found.passed - passed
    found.problems[#found.problems + 1] = { source = folder, error = errors.new { kind = "input", code = "no_tables",
      file = text.printable(folder), message = passed == 0 and "the folder holds no files"
        or ("the folder holds no tables (%s with other endings)"):format(text.count(passed, "file")),
      hint = "Tables end with ." .. table.concat(M.ENDINGS, " .") .. "; a file that is named may be called anything" } }
  end
end

-- ---- words -----------------------------------------------------------------

local function take_word(found, word)
  local stat = word ~= "-" and stat_of(word)
  if stat and stat.type == "directory" then
    take_folder(found, word)
  elseif not stat and word:find("[*?%[]") then
    found.has_folder = true
    local paths = sys.glob(word)
    if #paths == 0 then
      found.problems[#found.problems + 1] = { source = word, error = errors.new { kind = "input", code = "no_match",
        message = ("no file matches %s"):format(text.printable(word)),
        hint = "Check the pattern; relative paths start at the current folder" } }
    end
    for _, path in ipairs(paths) do
      take_word(found, path)
    end
  else
    local is_stream = inputs.is_stream(word)
    add(found, { path = word, source = is_stream and word or absolute(word), name = inputs.name_of(word) }, stat)
  end
end

-- ---- names -----------------------------------------------------------------

local function is_name(name)
  return utf8.len(name) ~= nil and not name:find("%c")
end

local function refuse(message, hint)
  errors.raise { kind = "usage", code = "name", message = message, hint = hint }
end

local NAME_HINT = "A name is UTF-8 text without control characters: say --name NAME"

local function same_name(one, other)
  return ("%s and %s would both be the dataset '%s'"):format(text.printable(one.path), text.printable(other.path),
    text.printable(one.name))
end

local function set_aside(found, file, message, hint)
  found.problems[#found.problems + 1] = { source = file.path, error = errors.new { kind = "input", code = "name",
    file = text.printable(file.path), message = message, hint = hint } }
end

--- A file that a person named and that has no good name for its dataset is misuse, before
--- anything is done; one that was found in a folder is set aside.
local function check_name(found, file)
  if not file.name then
    refuse(("%s has no name for its dataset"):format(file.path == "-" and "standard input"
      or text.printable(file.path)), "Say --name NAME")
  elseif is_name(file.name) and (utf8.len(file.source) or not file.in_folder) then
    return true
  elseif not file.in_folder then
    refuse(("the name of %s is no name for a dataset"):format(text.printable(file.path)), NAME_HINT)
  end
  set_aside(found, file, "the file's path is not UTF-8 text without control characters", "Rename it")
end

local function by_name(files)
  local groups = {}
  for _, file in ipairs(files) do
    local group = groups[file.name] or {}
    groups[file.name] = group
    group[#group + 1] = file
  end
  return groups
end

--- Each file becomes a dataset of its own, under a name of its own: of those in folders
--- that share one, none is taken.
local function check_unique(found)
  local groups, kept = by_name(found.files), {}
  for _, file in ipairs(found.files) do
    local group = groups[file.name]
    local other = group[1] == file and group[2] or group[1]
    if not group[2] then
      kept[#kept + 1] = file
    elseif file.in_folder and other.in_folder then
      set_aside(found, file, same_name(file, other), "Ingest them one by one, each with a --name")
    else
      refuse(same_name(file, other), "Ingest them one by one, each with a --name; or name the folder above them: then "
        .. "the folders between are part of the names")
    end
  end
  found.files = kept
end

--- The same file named twice is read once.
local function without_repetitions(files)
  local seen, once = {}, {}
  for _, file in ipairs(files) do
    if file.source == "-" or not seen[file.source] then
      seen[file.source] = true
      once[#once + 1] = file
    end
  end
  return once
end

--- Finds what the words mean. Raises "usage" when what a person named cannot become
--- datasets.
---@param words string[] paths, folders, patterns, "-"
---@param options {name: string|nil, except: string|nil, unnamed: boolean|nil} name: of the only file's dataset;
--- except: a file in the folders that is not meant; unnamed: they become no datasets, so that their names do not matter
---@return ligase.findings
function M.find(words, options)
  local found = { files = {}, problems = {}, passed = 0, has_folder = false }
  for _, word in ipairs(words) do
    take_word(found, word)
  end
  local except = options.except and absolute(options.except)
  local files = {}
  for _, file in ipairs(without_repetitions(found.files)) do
    if not (file.in_folder and file.source == except) then
      files[#files + 1] = file
    end
  end
  if options.unnamed then
    found.files = files
    return found
  end
  if options.name and #files > 1 then
    refuse("--name is for one file, and several were given", "Leave it out to name each dataset after its file")
  end
  found.files = {}
  for _, file in ipairs(files) do
    file.name = options.name or file.name
    found.files[#found.files + 1] = check_name(found, file) and file or nil
  end
  check_unique(found)
  return found
end

return M
