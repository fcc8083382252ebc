--- Counts and checksums of the rows of every table, so that two states of a database, or
--- two databases, can be held against each other.
local pg = require "pg"

local M = {}

--- Tables that an extension brings along are its own business.
local TABLES = [[
  SELECT c.oid::regclass::text AS name FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
  WHERE c.relkind = 'r' AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
    AND NOT EXISTS (SELECT FROM pg_depend AS d
                    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
  ORDER BY 1]]

--- The names of all tables, as they are written in SQL.
---@param conn table
---@return string[]
function M.tables(conn)
  local names = {}
  for i, row in ipairs(conn:query(TABLES)) do
    names[i] = row.name
  end
  return names
end

--- The columns of all tables in alphabetical order: a row is the same whatever the order of
--- its columns.
local COLUMNS = [[
  SELECT attrelid::regclass::text AS name, string_agg(quote_ident(attname), ', ' ORDER BY attname COLLATE "C") AS list
  FROM pg_attribute WHERE attrelid = ANY ($1::regclass[]) AND attnum > 0 AND NOT attisdropped GROUP BY 1]]

---@class ligase.RowSum
---@field count integer
---@field sum string of all rows' hashes, whatever their order

--- The sums of every table. They are read in one transaction, with settings under which
--- equal rows are equal text.
---@param conn table
---@param columns? table<string, string> by table: the columns that count, as SQL; all without it
---@return table<string, ligase.RowSum> by table
function M.read(conn, columns)
  return conn:transaction(function()
    conn:script "SET LOCAL timezone = 'UTC'; SET LOCAL intervalstyle = 'postgres'"
    local parts, names, all = {}, M.tables(conn), {}
    for _, row in ipairs(conn:query(COLUMNS, pg.array(names, "text"))) do
      all[row.name] = row.list
    end
    for i, name in ipairs(names) do
      local row = ("ROW(%s)"):format(columns and columns[name] or all[name] or "")
      parts[i] = ("SELECT '%s' AS name, count(*) AS count, "
        .. "coalesce(sum(hashtextextended(%s::text, 0)::numeric), 0)::text AS sum FROM %s AS x"):format(
        name:gsub("'", "''"), row, name)
    end
    local sums = {}
    for _, row in ipairs(#parts > 0 and conn:query(table.concat(parts, " UNION ALL ")) or {}) do
      sums[row.name] = { count = row.count, sum = row.sum }
    end
    return sums
  end)
end

--- What differs, one line for each table.
---@param before table<string, ligase.RowSum>
---@param after table<string, ligase.RowSum>
---@return string[]
function M.difference(before, after)
  local lines = {}
  for name, was in pairs(before) do
    local is = after[name]
    if not is then
      lines[#lines + 1] = ("%s is missing"):format(name)
    elseif is.count ~= was.count then
      lines[#lines + 1] = ("%s has %d rows instead of %d"):format(name, is.count, was.count)
    elseif is.sum ~= was.sum then
      lines[#lines + 1] = ("%s has other content in its %d rows"):format(name, is.count)
    end
  end
  for name in pairs(after) do
    if not before[name] then
      lines[#lines + 1] = ("%s is too many"):format(name)
    end
  end
  table.sort(lines)
  return lines
end

return M
