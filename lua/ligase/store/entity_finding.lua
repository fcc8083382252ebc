--- Finding entities by what a person may call them: name, id or an unambiguous start of
--- it, an id in another system, Notion page id, and what else a kind has (a compound's
--- code, CAS number, InChIKey; omics/name of a dataset).
---
--- Nothing is guessed: what fits several is listed, what fits none comes with the nearest
--- names. Many words take as many queries as one.
local errors = require "ligase.base.errors"
local identifiers = require "ligase.base.identifiers"
local kinds = require "ligase.store.entity_kinds"
local pg = require "pg"
local text = require "ligase.base.text"

local M = {}

--- A start of an id has so many characters at least: fewer are more likely a slip.
local PREFIX_LEAST = 4
local SHOWN_MOST, NEAREST_MOST = 8, 3
--- So many names are compared with one that is unknown.
local NAMES_MOST = 5000

-- ---- words -----------------------------------------------------------------

local UUID = "^" .. ("%x"):rep(8) .. ("%-" .. ("%x"):rep(4)):rep(3) .. "%-" .. ("%x"):rep(12) .. "$"

--- The forms in which the database may know a word, each leading back to it.
local function forms_of(words)
  local by_form, lists = {}, { plain = {}, ids = {}, pages = {} }
  local function add(list, form, word)
    if not by_form[form] then
      by_form[form] = {}
    end
    local owners = by_form[form]
    owners[#owners + 1] = owners[#owners] ~= word and word or nil
    list[#list + 1] = form
  end
  for _, word in ipairs(words) do
    add(lists.plain, word, word)
    if word:find(UUID) then
      add(lists.ids, word:lower(), word)
    end
    local page = identifiers.notion_page(word)
    if page then
      add(lists.pages, (page:gsub("%-", "")), word)
    end
  end
  return by_form, lists
end

local statements = {}

--- One SELECT for each way in which an entity can be named.
local function match_of(kind)
  if not statements[kind.name] then
    local table_name, parts = kind.table, {}
    local function add(expression, condition)
      parts[#parts + 1] = ("SELECT t.id, %s AS word FROM %s AS t WHERE %s"):format(expression, table_name,
        condition or expression .. " = ANY($1::text[])")
    end
    add "t.name"
    if kind.fields.code then
      add "t.code"
    end
    for _, expression in ipairs(kind.words) do
      add(expression)
    end
    add("t.id::text", "t.id = ANY($2::uuid[])")
    add "t.notion_page_id"
    add("replace(lower(t.notion_page_id), '-', '')", "replace(lower(t.notion_page_id), '-', '') = ANY($3::text[])")
    parts[#parts + 1] = ([[
SELECT t.id, e.word FROM %s AS t CROSS JOIN LATERAL (
  SELECT unnest(ARRAY[value, key || ':' || value]) AS word FROM jsonb_each_text(t.external_ids)) AS e
WHERE t.external_ids <> '{}' AND e.word = ANY($1::text[])]]):format(table_name)
    statements[kind.name] = table.concat(parts, "\nUNION ALL\n")
  end
  return statements[kind.name]
end

local ROWS = "SELECT to_jsonb(t) AS row, %s AS shown FROM %s AS t WHERE t.id = ANY($1::uuid[])"

--- The rows of these ids, by id.
local function rows_of(conn, kind, ids)
  local rows = {}
  if #ids > 0 then
    local sql = conn:prepare(ROWS:format(kind.shown, kind.table))
    for _, found in ipairs(conn:query(sql, pg.array(ids))) do
      rows[found.row.id] = { row = found.row, shown = found.shown }
    end
  end
  return rows
end

--- Which entities each word may mean: {word = {id, ...}}, and all their ids.
local function matches_of(conn, kind, words)
  local by_form, lists = forms_of(words)
  local found, ids, seen, has = {}, {}, {}, {}
  for _, match in ipairs(conn:query(conn:prepare(match_of(kind)), pg.array(lists.plain), pg.array(lists.ids),
    pg.array(lists.pages))) do
    for _, word in ipairs(by_form[match.word] or {}) do
      local list = found[word] or {}
      found[word] = list
      local pair = word .. "\0" .. match.id
      list[#list + 1] = not has[pair] and match.id or nil
      has[pair] = true
    end
    if not seen[match.id] then
      seen[match.id] = true
      ids[#ids + 1] = match.id
    end
  end
  return found, ids
end

local STARTS = [[
SELECT t.id FROM %s AS t WHERE starts_with(t.id::text, $1) ORDER BY t.id LIMIT 50]]

local function starting_with(conn, kind, word)
  local ids = {}
  if #word >= PREFIX_LEAST and word:find("^%x[%x-]*$") then
    for i, found in ipairs(conn:query(STARTS:format(kind.table), word:lower())) do
      ids[i] = found.id
    end
  end
  return ids
end

-- ---- refusals --------------------------------------------------------------

local CANDIDATES = [[
SELECT DISTINCT name FROM %s WHERE abs(length(name) - length($1)) <= $2
  OR position(lower($1) IN lower(name)) > 0 OR position(lower(name) IN lower($1)) > 0
LIMIT %d]]

--- Names that were probably meant, the likeliest first.
local function nearest_names(conn, kind, word)
  local limit = math.max(1, #word // 3)
  local wanted, ranked = word:lower(), {}
  for _, found in ipairs(conn:query(CANDIDATES:format(kind.table, NAMES_MOST), word, limit)) do
    local name = found.name:lower()
    local distance = text.distance(wanted, name)
    local is_part = #wanted > 2 and #name > 2
      and (name:find(wanted, 1, true) or wanted:find(name, 1, true)) ~= nil
    if distance <= limit or is_part then
      ranked[#ranked + 1] = { name = found.name, distance = distance - (is_part and 0.5 or 0) }
    end
  end
  table.sort(ranked, function(a, b)
    return a.distance < b.distance or a.distance == b.distance and a.name < b.name
  end)
  local names = {}
  for i = 1, math.min(#ranked, NEAREST_MOST) do
    names[i] = ("'%s'"):format(text.shown(ranked[i].name, 60))
  end
  return names
end

--- The error for a word that means nothing here, with the nearest names.
---@param conn table
---@param kind_name string
---@param word string
---@param remedy string|nil what else can be done, a sentence
---@return ligase.Error
function M.unknown(conn, kind_name, word, remedy)
  local kind = kinds.get(kind_name)
  local names = nearest_names(conn, kind, word)
  local is_empty = #names == 0 and #conn:query(("SELECT FROM %s LIMIT 1"):format(kind.table)) == 0
  local hint = #names > 0 and ("Did you mean %s?"):format(text.enumerate(names))
    or is_empty and ("There are no %s yet"):format(kind.plural)
    or ("None of the %s has a name like it"):format(kind.plural)
  return errors.new { kind = "usage", code = "unknown_" .. kind.name, wanted = word,
    message = ("there is no %s '%s'"):format(kind.name, text.printable(word)),
    hint = remedy and hint .. (hint:find("%?$") and " " or ". ") .. remedy or hint }
end

--- Whether a word is a whole id, which is no name for something new.
---@param word string
---@return boolean
function M.is_id(word)
  return word:find(UUID) ~= nil
end

--- The error for a program or experiment that something is to be linked to and that is not
--- there.
---@param conn table
---@param kind_name string
---@param word string
---@param option string|nil how the caller is told to make it; "--create" without it
---@return ligase.Error
function M.unknown_link(conn, kind_name, word, option)
  return M.unknown(conn, kind_name, word, not M.is_id(word) and "To make it: " .. (option or "--create") or nil)
end

local function refuse_ambiguous(conn, kind, word, ids)
  local rows, lines = rows_of(conn, kind, ids), {}
  for i = 1, math.min(#ids, SHOWN_MOST) do
    lines[i] = ("%s (%s)"):format(text.printable(rows[ids[i]].shown), ids[i])
  end
  errors.raise { kind = "usage", code = "ambiguous_" .. kind.name, wanted = word,
    message = ("'%s' may be any of %d %s"):format(text.printable(word), #ids, kind.plural),
    detail = table.concat(lines, ", ") .. (#ids > SHOWN_MOST and ", ..." or ""),
    hint = "Say which by its id" }
end

-- ---- finding ---------------------------------------------------------------

--- What each of many words means. Words of which several entities are possible are in the
--- second table, those that mean nothing are in neither.
---@param conn table
---@param kind_name string
---@param words string[]
---@return table<string, table> rows by word: the entity's columns by name
---@return table<string, string[]> ambiguous ids by word
function M.find_all(conn, kind_name, words)
  local kind = kinds.get(kind_name)
  local found, ambiguous = {}, {}
  if #words == 0 then
    return found, ambiguous
  end
  local matches, ids = matches_of(conn, kind, words)
  local rows = rows_of(conn, kind, ids)
  for word, list in pairs(matches) do
    if #list == 1 then
      found[word] = rows[list[1]].row
    else
      table.sort(list)
      ambiguous[word] = list
    end
  end
  return found, ambiguous
end

--- The id of the entity that a word means, or nil when there is none. Raises "usage" when
--- there are several, listing them.
---@param conn table
---@param kind_name string
---@param word string
---@return string|nil id
function M.lookup_id(conn, kind_name, word)
  local kind = kinds.get(kind_name)
  if word == "" then
    return nil
  end
  local ids = matches_of(conn, kind, { word })[word] or starting_with(conn, kind, word)
  if #ids > 1 then
    table.sort(ids)
    refuse_ambiguous(conn, kind, word, ids)
  end
  return ids[1]
end

--- The entity that a word means, or nil when there is none. Raises "usage" when there are
--- several, listing them.
---@param conn table
---@param kind_name string
---@param word string
---@return table|nil row its columns by name, NULL as json.null
function M.lookup(conn, kind_name, word)
  local id = M.lookup_id(conn, kind_name, word)
  local found = id and rows_of(conn, kinds.get(kind_name), { id })[id]
  return found and found.row or nil
end

--- The entity that a word means. Raises "usage" when there is none, with the nearest
--- names, or when there are several.
---@param conn table
---@param kind_name string
---@param word string
---@param remedy string|nil what else can be done when there is none, a sentence
---@return table row its columns by name, NULL as json.null
function M.find(conn, kind_name, word, remedy)
  local row = M.lookup(conn, kind_name, word)
  if not row then
    error(M.unknown(conn, kind_name, word, remedy), 0)
  end
  return row
end

--- Raises "usage" for a word that several entities fit.
---@param conn table
---@param kind_name string
---@param word string
---@param ids string[]
function M.refuse_ambiguous(conn, kind_name, word, ids)
  refuse_ambiguous(conn, kinds.get(kind_name), word, ids)
end

return M
