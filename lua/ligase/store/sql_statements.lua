--- Where the statements of a script of SQL begin, and which of them begin or end
--- transactions: read without running anything. Comments, strings, quoted names and
--- dollar quotes are passed over; the body of a function in BEGIN ATOMIC ... END belongs
--- to the statement that makes the function.
local M = {}

---@class ligase.SqlStatement
---@field words string[] its first words, in capitals
---@field line integer where it begins

local MOST_WORDS = 5

-- ---- what is passed over ---------------------------------------------------

--- The end of a comment in /* */, which may hold others.
local function end_of_comment(sql, at)
  local depth, i = 1, at + 2
  while depth > 0 do
    local found = sql:find("[/*][/*]", i)
    if not found then
      return #sql
    end
    local pair = sql:sub(found, found + 1)
    depth = depth + (pair == "/*" and 1 or pair == "*/" and -1 or 0)
    i = found + ((pair == "/*" or pair == "*/") and 2 or 1)
  end
  return i - 1
end

--- The end of what stands in quotes. Two of them are one within; in an E'' string a
--- backslash protects what follows it.
local function end_of_quoted(sql, at, quote, has_escapes)
  local i = at + 1
  while true do
    local found = sql:find(has_escapes and "['\\]" or quote, i)
    if not found then
      return #sql
    elseif sql:sub(found, found) == "\\" or sql:sub(found + 1, found + 1) == quote then
      i = found + 2
    else
      return found
    end
  end
end

--- The end of what begins at a place and holds no words of statements; nil where there is
--- no such thing.
local function end_of_other(sql, at)
  local two = sql:sub(at, at + 1)
  local one = two:sub(1, 1)
  if two == "--" then
    return (sql:find("\n", at, true) or #sql + 1) - 1
  elseif two == "/*" then
    return end_of_comment(sql, at)
  elseif one == "'" or one == '"' then
    return end_of_quoted(sql, at, one, false)
  elseif two:upper() == "E'" then
    return end_of_quoted(sql, at + 1, "'", true)
  end
  local tag = sql:match("^%$[%a_\x80-\xff]?[%w_\x80-\xff]*%$", at)
  if tag then
    local _, stop = sql:find(tag, at + #tag, true)
    return stop or #sql
  end
end

-- ---- statements ------------------------------------------------------------

local function makes_routine(words)
  local what = words[2] == "OR" and words[4] or words[2]
  return words[1] == "CREATE" and (what == "FUNCTION" or what == "PROCEDURE")
end

---@class ligase.SqlReading
---@field statements ligase.SqlStatement[]
---@field current? ligase.SqlStatement
---@field parens integer how many are open
---@field blocks integer how many BEGIN ATOMIC and CASE are open in the making of a function

local function take_word(reading, word, line)
  local current = reading.current
  if not current then
    current = { words = {}, line = line }
    reading.current, reading.statements[#reading.statements + 1] = current, current
  end
  if #current.words < MOST_WORDS then
    current.words[#current.words + 1] = word
  end
  if word == "ATOMIC" and reading.last == "BEGIN" and makes_routine(current.words) then
    reading.blocks = 1
  elseif reading.blocks > 0 and (word == "CASE" or word == "END") then
    reading.blocks = reading.blocks + (word == "CASE" and 1 or -1)
  end
  reading.last = word
end

local function take_sign(reading, sign)
  if sign == "(" then
    reading.parens = reading.parens + 1
  elseif sign == ")" then
    reading.parens = math.max(0, reading.parens - 1)
  elseif sign == ";" and reading.parens == 0 and reading.blocks == 0 then
    reading.current = nil
  end
end

--- The statements of a script.
---@param sql string
---@return ligase.SqlStatement[]
function M.read(sql)
  local reading = { statements = {}, parens = 0, blocks = 0 }
  local at, line = 1, 1
  while at <= #sql do
    local stop = end_of_other(sql, at)
    if not stop then
      local word = sql:match("^[%a_\x80-\xff][%w_$\x80-\xff]*", at)
      if word then
        take_word(reading, word:upper(), line)
      else
        take_sign(reading, sql:sub(at, at))
      end
      stop = at + (word and #word or 1) - 1
    end
    line = line + select(2, sql:sub(at, stop):gsub("\n", ""))
    at = stop + 1
  end
  return reading.statements
end

-- ---- ends of transactions --------------------------------------------------

local ENDS = { COMMIT = true, ["END"] = true, ABORT = true }

--- What a statement is called that ends the transaction it stands in; nil for all others.
--- Going back to a savepoint ends nothing.
---@param statement ligase.SqlStatement
---@return string?
function M.end_of_transaction(statement)
  local words = statement.words
  local first, second, third = words[1], words[2], words[3]
  if ENDS[first] and second ~= "PREPARED" then
    return first
  elseif first == "ROLLBACK" and second ~= "PREPARED" then
    local follows = (second == "WORK" or second == "TRANSACTION") and third or second
    return follows ~= "TO" and first or nil
  elseif first == "PREPARE" and second == "TRANSACTION" then
    return "PREPARE TRANSACTION"
  end
end

--- The first statement of a script that ends a transaction.
---@param sql string
---@return string? ending what it is called
---@return integer? line
function M.first_ending(sql)
  local upper = sql:upper()
  if not (upper:find("COMMIT", 1, true) or upper:find("ROLLBACK", 1, true) or upper:find("END", 1, true)
    or upper:find("ABORT", 1, true) or upper:find("PREPARE", 1, true)) then
    return nil -- as nearly all
  end
  for _, statement in ipairs(M.read(sql)) do
    local ending = M.end_of_transaction(statement)
    if ending then
      return ending, statement.line
    end
  end
end

return M
