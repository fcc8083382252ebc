--- What repairs a schema that differs from what its steps make: for each thing that is missing or
--- another, words for people and the statement that makes it good, and the order in which the
--- statements run one after the other.
local schema_shape = require "ligase.store.schema_shape"
local sys = require "sys"

---@class ligase.SchemaRepairs
local Repairs = {}
Repairs.__index = Repairs

local M = {}

-- ---- statements ------------------------------------------------------------

local function statement_of(thing)
  local sql = thing.statement
  return type(sql) == "string" and (sql:gsub("%s*\n%s*", " "):gsub("  ", " ", 1):gsub(";?%s*$", "")) or nil
end

--- Several statements that are done together or not at all.
local function together(statements)
  if #statements > 1 then
    return ("BEGIN; %s; COMMIT"):format(table.concat(statements, "; "))
  end
  return statements[1]
end

--- The statement that makes a thing, after what drops the one that is there.
local function replaced(is, thing)
  local statement = statement_of(thing)
  return statement and is.parts.drop and together { is.parts.drop, statement } or statement
end

-- ---- views -----------------------------------------------------------------

--- The views there are that use a table, a view, or a column (its table's name before it), each
--- after those that use it in turn.
local function users_of(self, used)
  local users, seen = {}, {}
  local function visit(name)
    for _, view in ipairs(self.actual) do
      local uses = schema_shape.is_view(view) and "\n" .. (view.parts.uses or "") .. "\n" or ""
      if not seen[view.name] and uses:find("\n" .. name .. "\n", 1, true) then
        seen[view.name] = true
        visit(view.name)
        users[#users + 1] = view
      end
    end
  end
  visit(used)
  return users
end

--- Statements between dropping the views that use something and making them again. A view that is
--- another than it should be has a finding of its own, which makes it.
local function without_users(self, used, statements)
  local users, all = users_of(self, used), {}
  for i, view in ipairs(users) do
    all[i] = view.parts.drop
  end
  table.move(statements, 1, #statements, #all + 1, all)
  for i = #users, 1, -1 do
    local should_be = self.should_be[users[i].kind .. " " .. users[i].name]
    if not should_be or should_be.definition == users[i].definition then
      all[#all + 1] = statement_of(users[i])
    end
  end
  return together(all)
end

local function view_repair(self, is, thing)
  local before, after = is.parts.columns or "", thing.parts.columns or ""
  if thing.kind == "view" and after:sub(1, #before) == before then
    return statement_of(thing)
  end
  return without_users(self, is.name, { is.parts.drop, statement_of(thing) })
end

--- How many views stand one on the other below a view, with itself.
local function depth_of(self, view)
  if not self.depths[view.name] then
    local deepest = 0
    for name in (view.parts.uses or ""):gmatch "[^\n]+" do
      local below = self.should_be["view " .. name] or self.should_be["materialized view " .. name]
      deepest = math.max(deepest, below and depth_of(self, below) or 0)
    end
    self.depths[view.name] = deepest + 1
  end
  return self.depths[view.name]
end

-- ---- tables ----------------------------------------------------------------

--- The file in which a step makes a table.
local function file_of(files, name)
  for _, step in ipairs(files) do
    if sys.read_file(step.up_path):find(("TABLE%%s+%s%%f[%%W]"):format((name:gsub("%p", "%%%0")))) then
      return step.up_path
    end
  end
end

--- A table's columns as text, the same for the same columns.
local function columns_of(things, owner)
  local columns = {}
  for _, thing in ipairs(things) do
    if thing.kind == "column" and thing.owner == owner then
      columns[#columns + 1] = thing.name:sub(#owner + 2) .. " " .. thing.definition
    end
  end
  table.sort(columns)
  return table.concat(columns, "\n")
end

--- The only table beside the steps' own that has the columns of a missing one, which was renamed.
local function renamed(self, thing)
  local columns, found = columns_of(self.expected, thing.name), nil
  for _, other in ipairs(self.actual) do
    if other.kind == "table" and not self.should_be["table " .. other.name]
      and columns_of(self.actual, other.name) == columns then
      if found then
        return nil
      end
      found = other
    end
  end
  return found
end

--- A table comes from a backup with the sequences of its columns, which pg_restore wants named.
local function restored(self, thing)
  local names = { "--table=" .. thing.name }
  for _, other in ipairs(self.expected) do
    if other.kind == "sequence" and other.owner == thing.name and other.name ~= thing.name then
      names[#names + 1] = "--table=" .. other.name
    end
  end
  local path = file_of(self.files, thing.name)
  return ("restore it from a backup: pg_restore %s -d \"$(ligase db url)\" FILE; then ask again what belongs to it%s")
    :format(table.concat(names, " "), path and ("; without a backup, empty as in " .. path) or "")
end

local function missing_table(self, thing)
  local other = renamed(self, thing)
  if not other then
    return "is missing", restored(self, thing)
  end
  return ("is missing, and %s has its columns"):format(other.name), ("if that is it: ALTER TABLE %s RENAME TO %s; "
    .. "else %s"):format(other.parts.quoted, thing.parts.quoted, restored(self, thing))
end

local function different_table(self, is, thing)
  if is.definition == "unlogged" and thing.definition == "logged" then
    return ("ALTER TABLE %s SET LOGGED"):format(thing.parts.quoted)
  end
  return "restore it from a backup, or alter it back; see " .. (file_of(self.files, thing.name) or "the steps")
end

-- ---- columns ---------------------------------------------------------------

local function missing_column(thing)
  local statement, parts = statement_of(thing), thing.parts
  if parts.computed then
    return statement
  end
  return "its values are gone: restore them from a backup"
    .. (statement and "; an empty one is made by: " .. statement or "")
    .. (statement and parts.to_fill and ("; fill it, then: ALTER TABLE %s ALTER COLUMN %s SET NOT NULL")
      :format(parts.table, parts.quoted) or "")
end

--- Says of a property that both may have or not how it is and how it should be.
local function property(is, should_be, having, lacking)
  if is ~= should_be then
    return ("%s, and should %s"):format(is and having.is:format(is) or lacking.is,
      should_be and having.should_be:format(should_be) or lacking.should_be)
  end
end

local PROPERTIES = {
  { "type", { is = "is %s", should_be = "be %s" } },
  { "not_null", { is = "may not be NULL", should_be = "not" }, { is = "may be NULL", should_be = "be allowed to" } },
  { "default", { is = "has the default %s", should_be = "have the default %s" },
    { is = "has no default", should_be = "have none" } },
  { "computed", { is = "is computed as %s", should_be = "be computed as %s" },
    { is = "is not computed", should_be = "not be computed" } },
  { "identity", { is = "is numbered by itself (%s)", should_be = "be numbered by itself (%s)" },
    { is = "is not numbered by itself", should_be = "not be numbered by itself" } },
  { "storage", { is = "has the storage %s", should_be = "have the storage %s" } },
}

local function column_words(is, should_be)
  local words = {}
  for _, entry in ipairs(PROPERTIES) do
    words[#words + 1] = property(is[entry[1]], should_be[entry[1]], entry[2], entry[3])
  end
  return (table.concat(words, "; "):gsub("%s+", " "))
end

--- What numbers a column by itself goes on behind the numbers that there are.
local function numbered(is, parts, alter)
  if is.identity then
    return { alter .. (parts.identity and "SET GENERATED " .. parts.identity or "DROP IDENTITY") }
  end
  return { ("%sADD GENERATED %s AS IDENTITY"):format(alter, parts.identity),
    ("SELECT setval(pg_get_serial_sequence('%s', '%s'), coalesce(max(%s), 0) + 1, false) FROM %s"):format(
      parts.table:gsub("'", "''"), parts.bare:gsub("'", "''"), parts.quoted, parts.table) }
end

--- The statements that alter a column back, each for itself, and whether its type is altered.
local function column_statements(is, parts)
  local alter = ("ALTER TABLE %s ALTER COLUMN %s "):format(parts.table, parts.quoted)
  local statements, is_retyped = {}, is.type ~= parts.type
  local function add(condition, statement)
    statements[#statements + 1] = condition and alter .. statement or nil
  end
  add(is.computed, "DROP EXPRESSION")
  add(is.default and (is_retyped or not parts.default), "DROP DEFAULT")
  add(is_retyped, ("TYPE %s USING %s::%s"):format(parts.type, parts.quoted, (parts.type:gsub(" COLLATE .*", ""))))
  add(parts.default and (is_retyped or is.default ~= parts.default), "SET DEFAULT " .. (parts.default or ""))
  add(is.not_null and not parts.not_null, "DROP NOT NULL")
  add(parts.not_null and not is.not_null, "SET NOT NULL")
  if is.identity ~= parts.identity then
    local last = numbered(is, parts, alter)
    table.move(last, 1, #last, #statements + 1, statements)
  end
  add(is.storage ~= parts.storage or is_retyped and parts.is_stored_unusually, "SET STORAGE " .. parts.storage)
  return statements, is_retyped
end

local function different_column(self, is, thing)
  local parts = thing.parts
  if parts.computed and (is.parts.computed ~= parts.computed or is.parts.type ~= parts.type) then
    return without_users(self, thing.name, {
      ("ALTER TABLE %s DROP COLUMN %s"):format(parts.table, parts.quoted), statement_of(thing) })
  end
  local statements, is_retyped = column_statements(is.parts, parts)
  local repair = is_retyped and without_users(self, thing.name, statements) or together(statements)
  if parts.not_null and not is.parts.not_null then
    return "fill it where it is NULL, then: " .. repair
  end
  return repair
end

-- ---- constraints and indexes -----------------------------------------------

--- Takes the name of an index from one of another table.
local function name_freed(self, thing, name)
  local taken = self.is["index " .. name]
  if not taken or taken.owner == thing.owner then
    return nil
  end
  local free = ('"%s"'):format((("%s_of_%s"):format(name, taken.owner):gsub('"', '""')))
  return ("ALTER INDEX %s RENAME TO %s"):format(taken.parts.quoted, free)
end

--- Another primary key of a table, which has no more than one.
local function other_key(self, thing)
  for _, other in ipairs(self.actual) do
    if thing.parts.type == "p" and other.kind == "constraint" and other.owner == thing.owner
      and other.name ~= thing.name and other.parts.type == "p" then
      return other
    end
  end
end

local function constraint_repair(self, is, thing)
  local parts, there = thing.parts, is or other_key(self, thing)
  local alter, statements = ("ALTER TABLE %s "):format(parts.table), {}
  local index = parts.index and self.is["index " .. parts.index]
  if index then
    statements[1] = name_freed(self, thing, parts.index) or not is and index.parts.drop or nil
  end
  if there and there ~= is and there.definition == thing.definition then
    statements[#statements + 1] = ("%sRENAME CONSTRAINT %s TO %s"):format(alter, there.parts.quoted, parts.quoted)
  elseif there then
    statements[#statements + 1] = ("%sDROP CONSTRAINT IF EXISTS %s, %s"):format(alter, there.parts.quoted, parts.add)
  else
    statements[#statements + 1] = alter .. parts.add
  end
  return together(statements)
end

--- An index of that name may belong to another table, or to a constraint that there should not be.
local function different_index(self, is, thing)
  local free = name_freed(self, thing, thing.name)
  local constraint = self.is[("constraint %s.%s"):format(is.owner, is.name)]
  local drop = constraint and ("ALTER TABLE %s DROP CONSTRAINT IF EXISTS %s"):format(constraint.parts.table,
    constraint.parts.quoted) or is.parts.drop
  return together { free or drop, statement_of(thing) }
end

-- ---- words -----------------------------------------------------------------

local MOST_SHOWN = 100

local function difference_of(is, thing)
  if thing.kind == "column" then
    return column_words(is.parts, thing.parts)
  elseif is.owner ~= thing.owner then
    return ("belongs to %s, and should belong to %s"):format(is.owner, thing.owner)
  end
  local shown = { (is.definition:gsub("%s+", " ")), (thing.definition:gsub("%s+", " ")) }
  if #shown[1] > MOST_SHOWN or #shown[2] > MOST_SHOWN then
    return "is another than the steps make"
  end
  return ("is '%s', and should be '%s'"):format(shown[1], shown[2])
end

local function missing(self, thing)
  if thing.kind == "table" then
    return missing_table(self, thing)
  elseif thing.kind == "column" then
    return "is missing", missing_column(thing)
  elseif thing.kind == "constraint" then
    return "is missing", constraint_repair(self, nil, thing)
  end
  return "is missing", statement_of(thing) or "restore it from a backup"
end

local DIFFERENT = { table = different_table, column = different_column, constraint = constraint_repair,
  index = different_index, view = view_repair, ["materialized view"] = view_repair }

local function different(self, is, thing)
  local repair = DIFFERENT[thing.kind]
  return difference_of(is, thing), repair and repair(self, is, thing) or replaced(is, thing)
    or "alter it back, or restore it from a backup"
end

-- ---- order -----------------------------------------------------------------

local RANKS = { schema = 1, extension = 2, type = 3, sequence = 4, table = 5, ["function"] = 6, column = 7,
  constraint = 11, index = 13, statistics = 14, trigger = 1000 }
local KEYS = 9

--- Tables, columns, keys, other constraints, indexes, views; a column that a key that goes keeps
--- from being NULL follows the keys, one that is computed follows those that it is computed from.
local function rank_of(self, thing, is)
  local parts = thing.parts
  if schema_shape.is_view(thing) then
    return 20 + depth_of(self, thing)
  elseif thing.kind == "column" then
    return is and is.parts.not_null and not parts.not_null and KEYS + 1 or RANKS.column + (parts.computed and 1 or 0)
  elseif thing.kind == "constraint" then
    return parts.index and parts.type ~= "f" and KEYS or RANKS.constraint + (parts.type == "f" and 1 or 0)
  elseif thing.kind == "index" and parts.unique then
    return KEYS -- a foreign key may rest on it
  end
  return RANKS[thing.kind]
end

--- What to tell of a thing, and its place among the others.
---@param thing ligase.SchemaThing as it should be
---@param is? ligase.SchemaThing as it is
---@return { message: string, repair: string, rank: number }
function Repairs:finding(thing, is)
  local what, repair
  if is then
    what, repair = different(self, is, thing)
  else
    what, repair = missing(self, thing)
  end
  return { message = ("%s %s %s"):format(thing.kind, thing.name, what), repair = repair,
    rank = rank_of(self, thing, is) }
end

--- Repairs that make one schema into another.
---@param actual ligase.SchemaThing[]
---@param expected ligase.SchemaThing[]
---@param files table[] the steps, as migration_files lists them
---@return ligase.SchemaRepairs
function M.new(actual, expected, files)
  return setmetatable({ actual = actual, expected = expected, files = files, is = schema_shape.by_id(actual),
    should_be = schema_shape.by_id(expected), depths = {} }, Repairs)
end

return M
