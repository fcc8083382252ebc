--- Formats: what the instruments' and the tools' tables look like, and which of them a
--- file is.
---
--- Each format is one short file in lua/ligase/omics/formats/, of the workspace or of
--- ligase, that calls register once; the workspace's file hides ligase's of the same name.
--- A format says how sure it is that a file is its own; the surest wins, and two that are
--- about equally sure make a doubt. What a format says of the table and its columns wins
--- over what is found by looking, and loses against what a person said.
local errors = require "ligase.base.errors"
local looks = require "ligase.omics.look"
local options = require "ligase.base.options"
local sys = require "sys"
local text = require "ligase.base.text"
local workspace = require "ligase.base.workspace"

local M = {}

--- Two formats whose sureness differs by less are about equally sure.
local NEAR = 0.05

local FORMAT = {} -- marks a checked format

---@class ligase.format
---@field name string the name of its file ("maxquant")
---@field title string for people ("MaxQuant proteinGroups.txt")
---@field source string where the format is described
---@field omics string[]|(fun(look: ligase.look): string[]|nil)|nil types that it may hold, the likeliest first;
--- nil: any
---@field recognise fun(look: ligase.look): number|nil, string|nil how sure (0 to 1), and why in a clause
---@field place (fun(look: ligase.look): ligase.placement|nil)|nil how the table is written
---@field columns (fun(header: string[], look: ligase.look): table<integer, ligase.column_role>|nil)|nil by position
---@field flags (fun(header: string[], look: ligase.look): ligase.flag_rule[])|nil rows that are no measurement proper
---@field about (fun(look: ligase.look): table|nil)|nil what the file says of study and samples; kept with the revision
---@field generic boolean|nil a shape rather than a tool's format
---@field path string set on loading

--- How a table is written, where that is not what looking at it gave. All of it is optional.
---@class ligase.placement
---@field separator string|nil
---@field quote string|false|nil
---@field encoding string|nil
---@field decimal string|nil
---@field comment string|nil
---@field missing string[]|nil
---@field skip_lines integer|nil lines before the (last) header line
---@field header boolean|nil false: there is no header line
---@field header_rows integer|nil how many lines make the header, for people; skip_lines counts all but the last
---@field names string[]|nil the columns' names, instead of those in the header line
---@field ragged string|nil "pad": rows may be short
---@field doubts string[]|nil what a person should look at
---@field path string|nil a converted temporary copy with the same line numbers, to be read instead of the file
---@field remove string|nil a temporary folder that is removed when the file was read

--- What a format knows of one column.
---@class ligase.column_role
---@field role string "feature", "sample", "statistic", "annotation", "sample_name" or "value"
---@field sample string|nil the sample's name, where the header says more than that
---@field quantity string|nil what was measured ("LFQ intensity", "TPM")
---@field unit string|nil
---@field statistic string|nil one of ligase.omics.statistics.NAMES
---@field contrast string|nil
---@field attributes table<string, string>|nil of a sample: its group, ...

--- A rule by which rows are flagged: a text column (or the name, without a position) whose
--- cell equals a text or begins with one.
---@class ligase.flag_rule
---@field flag string "contaminant", "decoy", "standard" or "summary"
---@field position integer|nil column; nil: the column of names
---@field equals string|nil
---@field prefix string|nil

local SPEC = {
  name = { type = "string", required = true }, title = { type = "string", required = true },
  source = { type = "string", required = true }, omics = { type = "table|function" },
  recognise = { type = "function", required = true }, place = { type = "function" }, columns = { type = "function" },
  flags = { type = "function" }, about = { type = "function" }, generic = { type = "boolean" },
}

--- By name; and the file that is being loaded, which must register under its own name.
local registered, loading = {}, nil

--- Makes a format known. Called once by each file of formats.
---@param definition table
---@return ligase.format
function M.register(definition)
  local format = options.check(definition, SPEC, "formats.register")
  if loading and format.name ~= loading.name then
    errors.raise({ kind = "usage", code = "format", message = ("the format '%s' stands in a file of another name")
      :format(format.name), hint = ("Name it '%s', like its file"):format(loading.name) }, 2)
  elseif registered[format.name] then
    errors.raise({ kind = "usage", code = "format", message = ("there is a format '%s' already"):format(format.name),
      hint = "Give it another name" }, 2)
  end
  format.path = loading and loading.path
  registered[format.name] = setmetatable(format, FORMAT)
  return format
end

-- ---- finding them ----------------------------------------------------------

--- The files of formats by name, the workspace's first.
local function files()
  local found, by_name = {}, {}
  for _, folder in ipairs(workspace.search_path("lua")) do
    local of_formats = folder .. "/ligase/omics/formats"
    local stat = sys.stat(of_formats)
    for _, file in ipairs(stat and stat.type == "directory" and sys.list(of_formats) or {}) do
      local name = file:match("^([%w_-]+)%.lua$")
      if name and not by_name[name] then
        by_name[name] = { name = name, path = of_formats .. "/" .. file }
        found[#found + 1] = by_name[name]
      end
    end
  end
  table.sort(found, function(a, b)
    return a.name < b.name
  end)
  return found
end

--- A slip in somebody's format is told with file and line.
local function load_file(file)
  loading = file
  local done, result = pcall(require, "ligase.omics.formats." .. file.name)
  loading = nil
  if done and getmetatable(result) == FORMAT then
    return result
  elseif done then
    errors.raise { kind = "usage", code = "format", file = file.path, message = "the file returns no format",
      hint = "It must end with: return formats.register { ... }" }
  elseif errors.is(result) then
    result.file = result.file or (not rawget(result, "where") and file.path or nil)
    error(result, 0)
  end
  errors.raise { kind = "usage", code = "format", file = file.path,
    message = tostring(result):match("^[^\n]*"), hint = "Mend the format at the line named" }
end

--- Calls what loads a changed format, which registers itself once more. The earlier one stays
--- known: who calls this gives its table the new content.
---@param path string its file, which has its name
---@param load fun(...): ligase.format
---@param ... any
---@return ligase.format
function M.anew(path, load, ...)
  local name = path:match "([^/]+)%.lua$"
  local old = registered[name]
  registered[name], loading = nil, { name = name, path = path }
  local done, result = pcall(load, ...)
  registered[name], loading = old, nil
  if not done then
    error(result, 0)
  elseif getmetatable(result) ~= FORMAT then
    error(("%s: the file returns no format"):format(path), 0)
  end
  return result
end

local list

--- All formats in alphabetical order. Raises "usage" for a file that holds none.
---@return ligase.format[]
function M.all()
  if not list then
    local loaded = {}
    for i, file in ipairs(files()) do
      loaded[i] = registered[file.name] or load_file(file)
    end
    list = loaded
  end
  return list
end

--- The format of that name. Raises "usage" when there is none, naming those there are.
---@param name string
---@return ligase.format
function M.get(name)
  local names = {}
  for i, format in ipairs(M.all()) do
    if format.name == name then
      return format
    end
    names[i] = format.name
  end
  local near = text.nearest(name, names)
  errors.raise { kind = "usage", code = "format", message = ("there is no format '%s'"):format(name),
    hint = (near and ("Did you mean %s? "):format(near) or "") .. "The formats are " .. table.concat(names, ", ") }
end

-- ---- recognising -----------------------------------------------------------

---@class ligase.recognition
---@field format ligase.format
---@field sureness number 0 to 1; 1 when it was given
---@field why string
---@field given boolean a person said so
---@field doubts string[]
---@field wanted string[]|nil of a given format that does not recognise the file: headers that it looked for in vain

--- A slip in somebody's format is told as that format's.
local function refuse_failing(format, look, failure)
  if failure.kind ~= "internal" then
    error(failure, 0)
  end
  errors.raise { kind = "input", code = "format", file = look.shown, traceback = failure.traceback,
    message = ("the format %s failed: %s"):format(format.name, failure.message),
    hint = "Mend it, or say which format the file is: --format NAME" }
end

local function by_sureness(look)
  local found = {}
  for _, format in ipairs(M.all()) do
    local done, sureness, why = xpcall(format.recognise, errors.explained, look)
    if not done then
      refuse_failing(format, look, sureness)
    elseif sureness and sureness > 0 then
      found[#found + 1] = { format = format, sureness = sureness, why = why or format.title, given = false,
        doubts = {} }
    end
  end
  table.sort(found, function(a, b)
    return a.sureness > b.sureness or a.sureness == b.sureness and a.format.name < b.format.name
  end)
  return found
end

--- Raises "input": a file lacks the columns of the format that it was said to be.
---@param recognition ligase.recognition
---@param look ligase.look
function M.refuse(recognition, look)
  local wanted = recognition.wanted
  errors.raise { kind = "input", code = "format", file = look.shown, line = look.dialect.skip_lines + 1,
    message = ("the file is not %s: it has no column %s"):format(recognition.format.title,
      table.concat(wanted, ", nor ")),
    hint = "Leave --format out, or give the format that it is (ligase inspect --formats lists them)" }
end

--- Which format a file is. Raises "usage" for a name that is none.
---@param look ligase.look
---@param name string|nil the format that a person said it is
---@return ligase.recognition|nil nil when none is like it
function M.detect(look, name)
  if name then
    local format = M.get(name)
    local done, sureness, wanted = looks.asking(look, format.recognise)
    local is_like = done and sureness
    return { format = format, sureness = 1, why = "it was given", given = true,
      wanted = not is_like and not format.generic and #wanted > 0 and wanted or nil,
      doubts = { not is_like and ("read as %s, as was said, but it does not look like that"):format(format.title)
        or nil } }
  end
  local found = by_sureness(look)
  local best, second = found[1], found[2]
  if second and best.sureness - second.sureness < NEAR then
    best.doubts[1] = ("read as %s, but it may be %s as well (--format %s)"):format(best.format.title,
      second.format.title, second.format.name)
  end
  return best
end

return M
