--- Settings: every flag in one flat table, read from the environment and from the
--- workspace's `.env`, checked once. A wrong value stops ligase before it touches
--- anything; what a flag then means is decided where it is used.
local errors = require "ligase.base.errors"
local sys = require "sys"
local text = require "ligase.base.text"
local workspaces = require "ligase.base.workspace"

local M = {}

---@class ligase.Flag
---@field name string
---@field type string "boolean", "integer", "number", "string", "url"
---@field default? any
---@field meaning string
---@field secret? boolean never shown
---@field valid? table the values of an enumeration, {min, max} of a number, schemes of a url

---@type ligase.Flag[]
M.flags = {
  { name = "USE_POSTGRES_AS_SOT", type = "boolean", default = true,
    meaning = "Postgres is the source of truth; false: Notion first, Postgres integration off" },
  { name = "ENABLE_NOTION_SYNC", type = "boolean", default = false,
    meaning = "keep Notion pages as documentation" },
  { name = "ENABLE_DUAL_WRITE", type = "boolean", default = false,
    meaning = "write to Postgres and to Notion during the transition" },
  { name = "ENABLE_FEATURE_LINKING", type = "boolean", default = true,
    meaning = "link rows to features" },
  { name = "ENABLE_SIGNATURE_SCORING", type = "boolean", default = true,
    meaning = "score signatures after an ingest" },
  { name = "SIGNATURE_OVERLAP_THRESHOLD", type = "number", default = 0.3, valid = { min = 0, max = 1 },
    meaning = "share of a signature that must be found before it is scored" },
  { name = "POSTGRES_URL", type = "url", valid = { "postgresql", "postgres" },
    meaning = "the server, as one address; without it and POSTGRES_HOST a private cluster" },
  { name = "POSTGRES_HOST", type = "string",
    meaning = "the server's host, or the folder of its socket" },
  { name = "POSTGRES_PORT", type = "integer", default = 5432, valid = { min = 1, max = 65535 },
    meaning = "the server's port" },
  { name = "POSTGRES_DB", type = "string", meaning = "the database; the user's name without it" },
  { name = "POSTGRES_USER", type = "string", meaning = "the role to connect as" },
  { name = "POSTGRES_PASSWORD", type = "string", secret = true, meaning = "the role's password" },
  { name = "POSTGRES_ECHO", type = "boolean", default = false, meaning = "log SQL" },
  { name = "NOTION_API_KEY", type = "string", secret = true,
    meaning = "token of the Notion integration; needed when Notion is on" },
  { name = "NOTION_PROGRAMS_DB_ID", type = "string", meaning = "Notion database of programs" },
  { name = "NOTION_EXPERIMENTS_DB_ID", type = "string", meaning = "Notion database of experiments" },
  { name = "NOTION_EXP_DATA_DB_ID", type = "string", meaning = "Notion database of datasets" },
  { name = "NOTION_SIGNATURE_DB_ID", type = "string", meaning = "Notion database of signatures" },
  { name = "NOTION_API_URL", type = "url", default = "https://api.notion.com", valid = { "https", "http" },
    meaning = "where Notion's API is; http only on this machine" },
  { name = "NOTION_REQUESTS_PER_MINUTE", type = "integer", default = 180, valid = { min = 1, max = 6000 },
    meaning = "requests to Notion in 60 seconds, of all processes together" },
  { name = "NOTION_TIMEOUT_S", type = "number", default = 60, valid = { min = 1, max = 600 },
    meaning = "seconds to wait for an answer of Notion's" },
  { name = "PINECONE_API_KEY", type = "string", secret = true, meaning = "key of Pinecone" },
  { name = "PINECONE_INDEX", type = "string", meaning = "index of the vectors" },
  { name = "PINECONE_NAMESPACE", type = "string", meaning = "namespace in that index" },
  { name = "VECTOR_BACKEND", type = "string", default = "none", valid = { "none", "pgvector", "pinecone" },
    meaning = "where vectors are kept" },
  { name = "EMBEDDING_URL", type = "url", valid = { "http", "https" },
    meaning = "OpenAI-compatible server that makes embeddings" },
  { name = "EMBEDDING_MODEL", type = "string", meaning = "its model" },
  { name = "CHAT_URL", type = "url", valid = { "http", "https" },
    meaning = "OpenAI-compatible server that answers questions" },
  { name = "CHAT_MODEL", type = "string", meaning = "its model" },
  { name = "OPENAI_API_KEY", type = "string", secret = true, meaning = "key of those servers" },
}

local FLAG_BY_NAME, NAMES = {}, {}
for i, flag in ipairs(M.flags) do
  FLAG_BY_NAME[flag.name], NAMES[i] = flag, flag.name
end

local NOTION_DATABASE = "^NOTION_[A-Z0-9_]+_DB_ID$"

--- The flag of that name. The lab's other Notion databases form a family that this
--- page need not know one by one.
local function flag_of(name)
  if FLAG_BY_NAME[name] then
    return FLAG_BY_NAME[name]
  end
  if name:find(NOTION_DATABASE) then
    return { name = name, type = "string", meaning = "a Notion database of the lab" }
  end
end

-- Reading .env --------------------------------------------------------------

local function refuse_line(path, number, message, hint)
  errors.raise { kind = "input", code = "env", file = path, line = number, message = message, hint = hint }
end

local ESCAPES = { n = "\n", r = "\r", t = "\t" }

--- The value that a line's right side stands for.
local function line_value(raw, path, number)
  local quote = raw:match("^[\"']")
  if not quote then
    return (raw:gsub("%s+#.*$", ""):gsub("^#.*$", ""):gsub("%s+$", ""))
  end
  local stop, value = 2, {}
  while true do
    local c = raw:sub(stop, stop)
    if c == "" then
      refuse_line(path, number, ("the value's opening %s is never closed"):format(quote),
        "Close the quote on the same line; a value cannot go on over several lines")
    elseif c == quote then
      break
    elseif c == "\\" and quote == '"' then
      stop = stop + 1
      c = raw:sub(stop, stop)
      c = ESCAPES[c] or (c:find('[\\"$]') and c) or "\\" .. c
    end
    value[#value + 1] = c
    stop = stop + 1
  end
  local rest = raw:sub(stop + 1)
  if not (rest:find("^%s*$") or rest:find("^%s+#")) then
    refuse_line(path, number, "text follows the closing quote", -- not shown: it may be half a secret
      "Put the whole value into one pair of quotes")
  end
  return table.concat(value)
end

local function check_name(name, path, number, seen)
  if seen[name] and flag_of(name) then
    refuse_line(path, number, ("%s is set a second time (first in line %d)"):format(name, seen[name]),
      "Keep one of the two lines")
  end
  local nearest = not FLAG_BY_NAME[name] and text.nearest(name, NAMES, 2)
  if nearest then
    refuse_line(path, number, ("unknown setting %s"):format(name), ("Did you mean %s?"):format(nearest))
  end
end

--- Calls fn, which reads or checks a setting. Its failure is raised, or kept where somebody wants
--- all of them.
local function attempt(problems, fn, ...)
  local done, result = errors.try(fn, ...)
  if done then
    return result
  elseif not problems then
    error(result, 0)
  end
  problems[#problems + 1] = result
end

local function read_line(found, seen, rest, path, number)
  local name, raw = rest:gsub("^export%s+", ""):match("^([%a_][%w_]*)%s*=%s*(.*)$")
  if not name then
    refuse_line(path, number, ("not a setting: %s"):format(text.truncate(text.printable(
      rest:match("^[^=]*")), 40)), "Write NAME=value, or # before a comment")
  end
  check_name(name, path, number, seen)
  seen[name] = number
  found[name] = { value = line_value(raw, path, number), line = number }
end

--- Reads the text of a `.env` file: NAME=value lines, `export` before them, comments
--- after #, single quotes (as it stands) and double quotes (with \n, \t, \r, \", \\,
--- \$). Raises "input" with file and line.
---@param content string
---@param path string for messages
---@param problems table[]|nil gets the failures instead: lines that cannot be read are left out
---@return table<string, {value: string, line: integer}>
function M.parse_env(content, path, problems)
  local found, seen, number = {}, {}, 0
  if content:find("\0", 1, true) then
    local before = content:sub(1, content:find("\0", 1, true))
    refuse_line(path, select(2, before:gsub("\n", "")) + 1, "the line holds a NUL byte",
      "Save the file as plain UTF-8 text")
  end
  content = content:gsub("^\xEF\xBB\xBF", ""):gsub("\r\n?", "\n")
  for line in (content .. "\n"):gmatch "(.-)\n" do
    number = number + 1
    local rest = line:gsub("^%s+", "")
    if rest ~= "" and rest:sub(1, 1) ~= "#" then
      attempt(problems, read_line, found, seen, rest, path, number)
    end
  end
  return found
end

-- Values --------------------------------------------------------------------

local BOOLEANS = {
  ["true"] = true, ["1"] = true, yes = true, on = true,
  ["false"] = false, ["0"] = false, no = false, off = false,
}

--- Hides the passwords that an address or a connection string carries.
local function masked_address(value)
  return (value:gsub("^(%a[%w+.-]*://[^:/?#]*):.*@", "%1:********@")
    :gsub("([Pp][Aa][Ss][Ss][Ww][Oo][Rr][Dd]%s*=%s*)'[^']*'", "%1********")
    :gsub("([Pp][Aa][Ss][Ss][Ww][Oo][Rr][Dd]%s*=%s*)[^'&%s*][^&%s]*", "%1********"))
end

local function shown(flag, value)
  if flag.secret then
    return "********"
  end
  return masked_address(tostring(value))
end

local function refuse_value(flag, raw, source, valid)
  errors.raise { kind = "usage", code = "flag", flag = flag.name,
    message = ("%s is '%s'"):format(flag.name, text.printable(shown(flag, raw))),
    detail = "from " .. source, hint = ("Valid: %s"):format(valid) }
end

local function number_value(flag, raw, source)
  local value = tonumber(raw:match("^%s*([+-]?[%d.]+)%s*$"))
  local min, max = flag.valid.min, flag.valid.max
  if flag.type == "integer" then
    value = math.tointeger(value)
  end
  if not value or value < min or value > max then
    refuse_value(flag, raw, source, ("%s from %s to %s"):format(
      flag.type == "integer" and "a whole number" or "a number", min, max))
  end
  return flag.type == "number" and value + 0.0 or value
end

local function url_value(flag, raw, source)
  local scheme = raw:match("^(%a[%w+.-]*)://.")
  for _, allowed in ipairs(flag.valid) do
    if scheme and scheme:lower() == allowed then
      return raw
    end
  end
  if flag.name == "POSTGRES_URL" and not scheme and raw:find("^%s*%l[%l_]*%s*=") then
    return raw -- libpq's other form: host=... dbname=...
  end
  local examples = {}
  for i, allowed in ipairs(flag.valid) do
    examples[i] = allowed .. "://..."
  end
  -- What is no address may still hold a password before its @.
  refuse_value(flag, (raw:gsub("^.*@", "********@")), source, text.enumerate(examples))
end

--- The text of a setting as its flag's type has it; an error names the valid values.
local function typed_value(flag, raw, source)
  if flag.type == "boolean" then
    local value = BOOLEANS[raw:lower()]
    if value == nil then
      refuse_value(flag, raw, source, "true or false (also 1, 0, yes, no, on, off)")
    end
    return value
  elseif flag.type == "integer" or flag.type == "number" then
    return number_value(flag, raw, source)
  elseif flag.type == "url" then
    return url_value(flag, raw, source)
  elseif flag.valid then
    for _, allowed in ipairs(flag.valid) do
      if raw:lower() == allowed then
        return allowed
      end
    end
    refuse_value(flag, raw, source, text.enumerate(flag.valid))
  end
  return raw
end

-- Contradictions ------------------------------------------------------------

---@param config ligase.Config
local function check_contradictions(config)
  local function refuse(message, hint, ...)
    local sources = {}
    for i, name in ipairs { ... } do
      sources[i] = ("%s: %s"):format(name, config:source(name))
    end
    errors.raise { kind = "usage", code = "flag", message = message,
      detail = #sources > 0 and table.concat(sources, ", ") or nil, hint = hint }
  end
  local on = config.values
  if on.ENABLE_DUAL_WRITE and not on.USE_POSTGRES_AS_SOT then
    refuse("ENABLE_DUAL_WRITE=true contradicts USE_POSTGRES_AS_SOT=false",
      "Writing both means Postgres first: set USE_POSTGRES_AS_SOT=true, or ENABLE_DUAL_WRITE=false",
      "ENABLE_DUAL_WRITE", "USE_POSTGRES_AS_SOT")
  end
  if on.POSTGRES_URL and on.POSTGRES_HOST then
    refuse("POSTGRES_URL and POSTGRES_HOST are both set", "Keep one of the two",
      "POSTGRES_URL", "POSTGRES_HOST")
  end
  for _, name in ipairs { "POSTGRES_DB", "POSTGRES_USER", "POSTGRES_PASSWORD", "POSTGRES_PORT" } do
    if config:is_set(name) and not on.POSTGRES_URL and not on.POSTGRES_HOST then
      refuse(name .. " is set, but no server is",
        "Set POSTGRES_HOST or POSTGRES_URL, or unset it to use the private cluster", name)
    end
  end
  local wants_notion = not on.USE_POSTGRES_AS_SOT and "USE_POSTGRES_AS_SOT=false"
    or on.ENABLE_DUAL_WRITE and "ENABLE_DUAL_WRITE=true"
    or on.ENABLE_NOTION_SYNC and "ENABLE_NOTION_SYNC=true"
  if wants_notion and not on.NOTION_API_KEY then
    refuse(wants_notion .. " needs NOTION_API_KEY", "Set the key of the Notion integration",
      (wants_notion:match("^[^=]+")))
  end
  if on.VECTOR_BACKEND == "pinecone" then
    for _, name in ipairs { "PINECONE_API_KEY", "PINECONE_INDEX" } do
      if not on[name] then
        refuse("VECTOR_BACKEND=pinecone needs " .. name, "Set it, or VECTOR_BACKEND=none",
          "VECTOR_BACKEND")
      end
    end
  end
end

-- Config --------------------------------------------------------------------

---@class ligase.Config
---@field workspace string the folder whose `.env` was read
---@field values table<string, any>
---@field sources table<string, string> of what was set
---@field problems table[]|nil what was wrong, when it was to be told and not raised
---@field stored_phase string|nil the phase of the database, once it was looked up there
local Config = {}
Config.__index = Config

local function known_flag(name)
  local flag = flag_of(name)
  if not flag then
    local nearest = text.nearest(name, NAMES)
    errors.raise({ kind = "usage", code = "flag", message = ("there is no setting %s"):format(name),
      hint = nearest and ("Did you mean %s?"):format(nearest) or nil }, 3)
  end
  return flag
end

--- The value of a setting in its own type; nil when it has none. Raises "usage" for
--- a name that is no setting.
---@param name string
---@return any
function Config:get(name)
  known_flag(name)
  local value = self.values[name]
  if value == nil and not FLAG_BY_NAME[name] then
    value = self.environ(name)
    value = value ~= "" and value or nil
  end
  return value
end

--- Whether the environment or `.env` gives the setting a value.
---@param name string
---@return boolean
function Config:is_set(name)
  known_flag(name)
  return self.sources[name] ~= nil
end

--- Where a setting's value comes from: "environment", ".env:12" or "default".
---@param name string
---@return string
function Config:source(name)
  known_flag(name)
  return self.sources[name] or "default"
end

--- The Notion databases that the settings name: those on this page, and the family's others that
--- `.env` or the environment sets.
---@return {name: string, value: string, source: string}[] databases by the setting's name
function Config:notion_databases()
  local names, found = {}, {}
  for name in pairs(self.environ == sys.getenv and sys.environ() or {}) do
    names[name] = true
  end
  for name in pairs(self.values) do
    names[name] = true
  end
  for name in pairs(names) do
    local value = name:find(NOTION_DATABASE) and self:get(name)
    if value then
      found[#found + 1] = { name = name, value = value, source = self.sources[name] or "environment" }
    end
  end
  table.sort(found, function(a, b) return a.name < b.name end)
  return found
end

--- What pg.connect needs, or nil when the private cluster is meant.
---@return string|table|nil conninfo
function Config:postgres()
  local values = self.values
  if values.POSTGRES_URL then
    return values.POSTGRES_URL
  elseif not values.POSTGRES_HOST then
    return nil
  end
  return { host = values.POSTGRES_HOST, port = values.POSTGRES_PORT, dbname = values.POSTGRES_DB,
    user = values.POSTGRES_USER, password = values.POSTGRES_PASSWORD }
end

--- Every setting, for people: values as text, secrets masked.
---@return {name: string, value: string, source: string, meaning: string, is_set: boolean}[]
function Config:list()
  local listed = {}
  local function add(flag)
    local value = self.values[flag.name]
    listed[#listed + 1] = { name = flag.name, value = value == nil and "" or shown(flag, value),
      source = self.sources[flag.name] or "default", meaning = flag.meaning,
      is_set = self.sources[flag.name] ~= nil }
  end
  for _, flag in ipairs(M.flags) do
    add(flag)
  end
  local others = {}
  for name in pairs(self.values) do
    others[#others + 1] = not FLAG_BY_NAME[name] and name or nil
  end
  table.sort(others)
  for _, name in ipairs(others) do
    add(flag_of(name))
  end
  return listed
end

local function read_env(workspace, problems)
  local path = workspace .. "/.env"
  local stat = sys.stat(path)
  if not stat or stat.type ~= "file" then
    return {} -- a folder of that name is somebody's Python, not ours
  end
  return M.parse_env(sys.read_file(path, 1 << 20), path, problems)
end

--- Reads and checks all settings. The environment wins over `.env`; an empty value
--- means the default, so that `POSTGRES_URL= ligase …` undoes a line of `.env`.
---@param options? {workspace?: string, environ?: fun(name: string): string?, problems?: table[]} problems: gets the
--- failures, and what is wrong counts as not set; they are raised without it
---@return ligase.Config
function M.load(options)
  options = options or {}
  local workspace, problems = options.workspace or workspaces.find(), options.problems
  local environ = options.environ or sys.getenv
  local config = setmetatable(
    { workspace = workspace, environ = environ, values = {}, sources = {}, problems = problems }, Config)
  local from_file = attempt(problems, read_env, workspace, problems) or {}
  local function set(flag)
    local name = flag.name
    local raw, source = environ(name), "environment"
    if raw == nil and from_file[name] then
      raw, source = from_file[name].value, ".env:" .. from_file[name].line
    end
    config.values[name] = flag.default
    local value
    if raw ~= nil and raw ~= "" then
      value = attempt(problems, typed_value, flag, raw, source)
    end
    if value ~= nil then
      config.values[name], config.sources[name] = value, source
    end
  end
  for _, flag in ipairs(M.flags) do
    set(flag)
  end
  for name in pairs(from_file) do
    local flag = not FLAG_BY_NAME[name] and flag_of(name)
    if flag then
      set(flag)
    end
  end
  attempt(problems, check_contradictions, config)
  return config
end

return M
