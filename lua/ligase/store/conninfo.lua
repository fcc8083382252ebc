--- How a server is named to libpq and to Postgres' own programs: an address, words of the
--- form key=value, or a table of libpq's settings.
local M = {}

local function quoted(value)
  return ("'%s'"):format((tostring(value):gsub("[\\']", "\\%0")))
end

--- As one text, password included.
---@param conninfo string|table
---@return string
function M.text(conninfo)
  if type(conninfo) == "string" then
    return conninfo
  end
  local keys, parts = {}, {}
  for key in pairs(conninfo) do
    keys[#keys + 1] = key
  end
  table.sort(keys)
  for i, key in ipairs(keys) do
    parts[i] = ("%s=%s"):format(key, quoted(conninfo[key]))
  end
  return table.concat(parts, " ")
end

local function percent_decoded(s)
  return (s:gsub("%%(%x%x)", function(digits)
    return string.char(tonumber(digits, 16))
  end))
end

--- Takes password=... out of libpq's words.
local function split_words(words)
  local before, start = (" " .. words):match("^(.-)%f[%w_]password%s*=%s*()")
  if not before then
    return words
  end
  local rest = (" " .. words):sub(start)
  local value
  if rest:sub(1, 1) == "'" then
    local stop = 2
    while stop <= #rest and rest:sub(stop, stop) ~= "'" do
      stop = stop + (rest:sub(stop, stop) == "\\" and 2 or 1)
    end
    value, rest = rest:sub(2, stop - 1), rest:sub(stop + 1)
  else
    value, rest = rest:match("^(%S*)(.*)$")
  end
  return ((before .. rest):gsub("^%s+", "")), (value:gsub("\\(.)", "%1"))
end

--- Takes password=... out of an address's last part.
local function split_query(address)
  local before, mark, password, after = address:match("^(.-)([?&])password=([^&]*)(.*)$")
  if not before then
    return address
  end
  return before .. (mark == "?" and after:gsub("^&", "?") or after), percent_decoded(password)
end

--- The words that name the server, and the password apart from them: every user of the
--- machine can read the words of a process.
---@param conninfo string|table
---@return string words
---@return string? password for PGPASSWORD
function M.split(conninfo)
  if type(conninfo) == "table" then
    local rest = {}
    for key, value in pairs(conninfo) do
      rest[key] = key ~= "password" and value or nil
    end
    return M.text(rest), conninfo.password
  end
  local before, password, after = conninfo:match("^(%a[%w+.-]*://[^:/?#@]*):([^@/]*)(@.*)$")
  if before then
    return before .. after, percent_decoded(password)
  elseif conninfo:find("://", 1, true) then
    return split_query(conninfo)
  end
  return split_words(conninfo)
end

--- The same server with another database.
---@param conninfo string|table
---@param database string a name of letters, digits and underscores
---@return string|table conninfo
function M.with_database(conninfo, database)
  if type(conninfo) == "table" then
    local other = {}
    for key, value in pairs(conninfo) do
      other[key] = value
    end
    other.dbname = database
    return other
  elseif conninfo:find("://", 1, true) then -- the last mention counts
    return ("%s%sdbname=%s"):format(conninfo, conninfo:find("?", 1, true) and "&" or "?", database)
  elseif conninfo:find("=", 1, true) then
    return ("%s dbname=%s"):format(conninfo, database)
  end
  return "dbname=" .. database
end

return M
