--- What the Tab key offers: Lua names, fields and methods, meta commands, and inside the
--- strings of sql, dataset, datasets and features what the database has of that beginning.
---
--- The database is asked on a connection of its own, for the beginning only, by an index
--- and with a limit, so that it does not matter how much there is.
local arguments = require "ligase.cli.repl.arguments"
local connection = require "ligase.connection"
local errors = require "ligase.base.errors"
local lexing = require "ligase.cli.repl.lexing"
local sys = require "sys"
local text = require "ligase.base.text"
local words = require "ligase.words"

local M = {}

--- Candidates that are listed, and the most that is asked for.
local LISTED, LIMIT = 60, 200

--- How long a server that could not be reached is left alone.
local REST_S = 10

local KEYWORDS = { "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if", "in",
  "local", "nil", "not", "or", "repeat", "return", "then", "true", "until", "while" }

---@class ligase.completion
---@field env table
---@field commands string[] names of the meta commands, with their dot
---@field ahead table|nil a connection that was begun for it
local Completion = {}
Completion.__index = Completion

--- Completes for one session.
---@param env table the session's environment
---@param commands string[] the meta commands
---@param ahead table|nil a connection that was begun for it; one is made without it when it is needed
---@return ligase.completion
function M.new(env, commands, ahead)
  return setmetatable({ env = env, commands = commands, ahead = ahead }, Completion)
end

--- Lets go of the connection.
function Completion:close()
  if self.ahead then
    self.ahead:close()
    self.ahead = nil
  end
  if self.conn then
    self.conn:close()
    self.conn = nil
  end
end

-- ---- the database ----------------------------------------------------------

--- A connection that a slow or lost server cannot hold up for long; nil when there is none.
local function conn_of(self)
  if self.conn and self.conn:is_open() then
    return self.conn
  end
  if self.conn then
    self:close()
  end
  if self.rest_until and sys.monotonic() < self.rest_until then
    return nil
  end
  local done, failure = errors.try(function()
    local conn = self.ahead or connection.has_database() and connection.begin_beside()
    if conn then
      self.conn, self.ahead = conn, nil
      conn:set_echo(nil)
      conn:script "SET default_transaction_read_only = on; SET statement_timeout = '500ms'; SET jit = off"
    end
  end)
  if not done then
    self:close()
    self.rest_until = sys.monotonic() + REST_S
    error(failure, 0)
  end
  return self.conn
end

--- Names of this beginning: the first ones, and the last of all, by an index on `name`.
local NAMES = [[
(SELECT DISTINCT name FROM %s WHERE name >= $1 AND name < $1 || chr(1114111) ORDER BY name LIMIT $2)
UNION ALL
(SELECT name FROM %s WHERE name >= $1 AND name < $1 || chr(1114111) ORDER BY name DESC LIMIT 1)]]

local RELATIONS = [[
SELECT c.relname AS name FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'v', 'm', 'p', 'f') AND pg_table_is_visible(c.oid) AND starts_with(c.relname, $1)
  AND (n.nspname NOT IN ('pg_catalog', 'information_schema') OR $1 LIKE 'pg\_%') ORDER BY c.relname LIMIT $2]]

local COLUMNS = [[
SELECT DISTINCT a.attname AS name FROM pg_attribute AS a
WHERE a.attrelid = ANY (SELECT to_regclass(quote_ident(r)) FROM unnest($3::text[]) AS r) AND a.attnum > 0
  AND NOT a.attisdropped AND starts_with(a.attname, $1) ORDER BY a.attname LIMIT $2]]

local function asked(self, sql, ...)
  local conn, names = conn_of(self), {}
  for i, row in ipairs(conn and conn:query(sql, ...) or {}) do
    names[i] = row.name
  end
  return names
end

--- Names out of a table that has very many.
local function stored_names(self, relation, start)
  local names = asked(self, NAMES:format(relation, relation), start, LIMIT)
  table.sort(names)
  if names[#names] == names[#names - 1] then
    names[#names] = nil
  else
    names.is_cut = #names > 0
  end
  return names
end

-- ---- SQL -------------------------------------------------------------------

local BEFORE_RELATION = { from = true, join = true, into = true, update = true, table = true }

--- The relations that a statement names, by what they are called in it.
local function relations_of(sql)
  local by_name, list, at = {}, {}, 1
  local plain = sql:gsub("'[^']*'?", "''"):gsub("%-%-[^\n]*", "")
  while true do
    local _, _, before, second, name, after = plain:find("%f[%a_](%a+)%s+()([%a_][%w_]*)()", at)
    if not before then
      return by_name, list
    end
    at = second
    if BEFORE_RELATION[before:lower()] then
      list[#list + 1] = name
      by_name[name] = name
      local alias = plain:match("^%s+[aA][sS]%s+([%a_][%w_]*)", after) or plain:match("^%s+([%a_][%w_]*)", after)
      if alias then
        by_name[alias] = name
      end
    end
  end
end

local function columns_of(self, relations, start)
  return #relations > 0 and asked(self, COLUMNS, start, LIMIT, require("pg").array(relations, "text")) or {}
end

--- `whole` is the statement with what stands behind the cursor.
local function sql_names(self, before, whole)
  local start = before:match("[%a_][%w_]*$") or ""
  local ahead = before:sub(1, #before - #start)
  local by_name, relations = relations_of(whole)
  local owner = ahead:match("([%a_][%w_]*)%.$")
  if owner then
    return columns_of(self, { by_name[owner] or owner }, start), start
  end
  local keyword = ahead:match("(%a+)%s+$")
  if keyword and BEFORE_RELATION[keyword:lower()] or ahead:lower():find("from%s[^()]*,%s*$") then
    return asked(self, RELATIONS, start, LIMIT), start
  end
  local names = columns_of(self, relations, start)
  for _, name in ipairs(start ~= "" and asked(self, RELATIONS, start, LIMIT) or {}) do
    names[#names + 1] = name
  end
  return names, start
end

-- ---- Lua -------------------------------------------------------------------

local function add_names(names, seen, from, start, wanted)
  for key, value in next, from do
    if type(key) == "string" and not seen[key] and key:sub(1, #start) == start and key:find("^[%a_][%w_]*$")
      and (start ~= "" or key:sub(1, 1) ~= "_") and (not wanted or type(value) == wanted) then
      seen[key] = true
      names[#names + 1] = key
    end
  end
end

--- The tables that a value's fields are found in, without calling anything of it.
local function field_tables(value)
  local tables, meta = {}, debug.getmetatable(value)
  if type(value) == "table" then
    tables[1] = value
  end
  for _ = 1, 10 do
    local index = type(meta) == "table" and rawget(meta, "__index")
    if type(index) ~= "table" then
      break
    end
    tables[#tables + 1] = index
    meta = getmetatable(index)
  end
  return tables
end

local function field(value, name)
  for _, fields in ipairs(field_tables(value)) do
    local found = rawget(fields, name)
    if found ~= nil then
      return found
    end
  end
end

local function global(self, name)
  local value = rawget(self.env, name)
  if value == nil then
    value = rawget(_G, name)
  end
  if value == nil and name == "ligase" then
    return require "ligase"
  end
  return value == nil and rawget(words, name) or words.loaded(value)
end

--- What a chain of fields holds: a.b.c.
local function value_of(self, chain)
  local value
  for name in chain:gmatch "[%a_][%w_]*" do
    if value == nil then
      value = global(self, name)
    else
      value = field(value, name)
    end
    if value == nil then
      return nil
    end
  end
  return value
end

--- Names behind a chain of fields: a.b.c or a.b:c.
local function fields_of(self, chain, separator, start)
  local value = value_of(self, chain)
  if value == nil then
    return {}
  end
  local names, seen = {}, {}
  for _, fields in ipairs(field_tables(value)) do
    add_names(names, seen, fields, start, separator == ":" and "function" or nil)
  end
  return names
end

local function lua_names(self, before)
  local start = before:match("[%a_][%w_]*$") or ""
  local chain, separator = before:sub(1, #before - #start):match("([%a_][%w_.]*)%s*([.:])$")
  if chain then
    return fields_of(self, chain, separator, start), start
  elseif before:find("[.:]" .. start .. "$") then
    return {}, start -- fields of what is only known once it has run
  end
  local names, seen = {}, {}
  add_names(names, seen, self.env, start)
  add_names(names, seen, _G, start)
  for _, list in ipairs { words.NAMES, start ~= "" and KEYWORDS or {} } do
    for _, name in ipairs(list) do
      if name:sub(1, #start) == start and not seen[name] then
        seen[name] = true
        names[#names + 1] = name
      end
    end
  end
  return names, start
end

-- ---- strings ---------------------------------------------------------------

--- The text that a string so far stands for, and back.
local function unescaped(content, close)
  return #close > 1 and content or (content:gsub("\\(.)", "%1"))
end

local function escaped(name, close)
  return #close > 1 and name or (name:gsub("[\\" .. close .. "]", "\\%0"))
end

local RELATION_OF = { dataset = "datasets", datasets = "datasets", features = "features" }

--- Columns of a dataset's table, which is not read for that.
local COLUMNS_OF_DATASET = [[
SELECT c ->> 'name' AS name FROM datasets AS d
JOIN revisions AS r ON r.dataset_id = d.id AND r.revision = d.current_revision
CROSS JOIN jsonb_array_elements(r.columns) AS c
WHERE d.id = $3::uuid AND starts_with(c ->> 'name', $1) LIMIT $2]]

local function columns_at_hand(self, lexed, start)
  local owner = arguments.column_owner(lexed.before)
  local value = owner and value_of(self, owner)
  local meta = debug.getmetatable(value)
  if type(meta) == "table" and rawget(meta, "__name") == "ligase.dataset" then
    return asked(self, COLUMNS_OF_DATASET, start, LIMIT, value.id)
  end
  return arguments.columns(value, start)
end

--- Names for a string, by their beginning.
local function names_for(self, lexed, start)
  if RELATION_OF[lexed.word] then
    return stored_names(self, RELATION_OF[lexed.word], start)
  elseif lexed.word == "recipe" then
    return arguments.recipes(start)
  end
  return columns_at_hand(self, lexed, start)
end


local function string_names(self, lexed, behind)
  if lexed.word == "sql" then
    local stop = behind:find(lexed.close, 1, true)
    return sql_names(self, lexed.content, lexed.content .. (stop and behind:sub(1, stop - 1) or behind))
  end
  local start = unescaped(lexed.content, lexed.close)
  local names = names_for(self, lexed, start)
  for i, name in ipairs(names) do
    names[i] = escaped(name, lexed.close)
  end
  return names, escaped(start, lexed.close), behind:sub(1, #lexed.close) ~= lexed.close and lexed.close or nil
end

-- ---- commands --------------------------------------------------------------

--- By command: the names for the words behind it.
local WORDS_OF = {
  [".columns"] = function(self, start)
    return asked(self, RELATIONS, start, LIMIT)
  end,
  [".time"] = function(_, start)
    return arguments.among({ "on", "off" }, start)
  end,
  [".run"] = function(_, start)
    return arguments.files(start)
  end,
}
WORDS_OF[".tables"], WORDS_OF[".save"] = WORDS_OF[".columns"], WORDS_OF[".run"]

--- Names for a line that begins with a dot; nil for the expression of .page, which is code.
local function command_names(self, before)
  local command, start = before:match "^%s*(%.%a+)%s+(.*)$"
  if WORDS_OF[command] then
    return WORDS_OF[command](self, start), start
  elseif command == ".page" then
    return nil
  elseif command then
    return {}, start
  end
  start = before:match("%.%a*$")
  return arguments.among(self.commands, start), start
end

-- ---- what is inserted, and what is listed -----------------------------------

--- The longest beginning that all share, of whole characters.
local function common_start(names)
  local common = names[1]
  for _, name in ipairs(names) do
    local length = 0
    while length < #common and common:byte(length + 1) == name:byte(length + 1) do
      length = length + 1
    end
    common = common:sub(1, length)
  end
  while #common > 0 and not utf8.len(common) do
    common = common:sub(1, -2)
  end
  return common
end

--- Candidates in columns, as wide as the terminal.
---@param names string[]
---@param width integer
---@return string
function M.listed(names, width)
  local shown, widest = {}, 1
  for i = 1, math.min(#names, LISTED) do
    shown[i] = text.shown(names[i], math.max(8, width - 1))
    widest = math.max(widest, text.width(shown[i]))
  end
  local columns = math.max(1, width // (widest + 2))
  local rows, lines = math.ceil(#shown / columns), {}
  for row = 1, rows do
    local cells = {}
    for column = 1, columns do
      local name = shown[(column - 1) * rows + row]
      cells[column] = name and name .. (" "):rep(widest - text.width(name)) or nil
    end
    lines[row] = (table.concat(cells, "  "):gsub(" +$", ""))
  end
  if #names > #shown or names.is_cut then
    lines[#lines + 1] = names.is_cut and "... and more" or ("... and %s more"):format(text.number(#names - #shown))
  end
  return table.concat(lines, "\n") .. "\n"
end

--- What the Tab key does.
---@param before string all that was typed up to the cursor, with the lines above
---@param behind string what stands behind the cursor
---@return string|nil insert
---@return string[]|nil names to be listed, when several may be meant and nothing can be inserted
function Completion:complete(before, behind)
  local names, start, close
  if before:find("^%s*%.%a*$") or before:find("^%s*%.%a+%s") then
    names, start = command_names(self, before)
    before = before:gsub("^%s*%.%a+%s", "", 1)
  end
  local lexed = lexing.at_end(before)
  if not start and lexed.kind == "string" then
    names, start, close = string_names(self, lexed, behind)
  elseif not start and lexed.kind == "code" then
    names, start = lua_names(self, before)
  end
  if not names or #names == 0 then
    return nil
  end
  table.sort(names)
  local insert = common_start(names):sub(#start + 1)
  if #names == 1 then
    return insert .. (close or "")
  elseif insert ~= "" then
    return insert
  end
  return nil, names
end

return M
