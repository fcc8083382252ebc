--- A readable copy of Notion databases in a folder: for each page its JSON, as Notion gives it,
--- and its Markdown, for people.
---
---     DIR/index.tsv                       what is there, page by page
---     DIR/<database>/database.json        the data source with its schema
---     DIR/<database>/<title>-<id8>.json   {fetched_at, page, blocks}
---     DIR/<database>/<title>-<id8>.md
---
--- A copy only grows: pages that are gone from Notion stay, and the index says so. Pages that
--- did not change since they were fetched are not fetched again, so an export that was
--- interrupted goes on where it was.
local blocks = require "ligase.io.notion.blocks"
local errors = require "ligase.base.errors"
local instants = require "ligase.base.instants"
local json = require "ligase.base.json"
local limits = require "ligase.io.notion.limits"
local markdown = require "ligase.io.notion.markdown"
local notion = require "ligase.io.notion"
local properties = require "ligase.io.notion.properties"
local sys = require "sys"

local M = {}

local INDEX = "index.tsv"
local COLUMNS = { "database", "id", "parent", "state", "last_edited_time", "fetched_at", "file", "title" }
local KEEP_EVERY_S = 5

-- ---- names -----------------------------------------------------------------

local SLUG_LENGTH = 60

local function slug_of(title)
  local words = title:lower():gsub("[^%w\x80-\xFF]+", "-"):gsub("^%-+", ""):gsub("%-+$", "")
  local short = limits.split(words, SLUG_LENGTH)[1] or "untitled"
  return (short:gsub("%-+$", ""))
end

--- A page's file without its ending. Ids of pages that were made together begin alike, so
--- the last digits tell them apart; where even those are alike, all do.
local function file_of(database, page, taken)
  local digits = page.id:gsub("-", "")
  local start = ("%s/%s-"):format(database.folder, slug_of(properties.title(page)))
  local file = start .. digits:sub(-8)
  return taken[file] and taken[file] ~= page.id and start .. digits or file
end

-- ---- the index -------------------------------------------------------------

---@class ligase.notion.ExportRow
---@field database string
---@field id string
---@field parent string the id of the page that it is within; "" for a page of the database
---@field state string "live" or "gone"
---@field last_edited_time string
---@field fetched_at string
---@field file string below the folder, without ending
---@field title string

---@class ligase.notion.ExportIndex
---@field path string
---@field rows table<string, ligase.notion.ExportRow> by page id
---@field taken table<string, string> the files' names, and whose they are
---@field within table<string, string[]> the ids of the pages within a page

local function cell(value)
  return (value:gsub("%c", " "))
end

local function set_row(index, row)
  local before = index.rows[row.id]
  if row.parent ~= "" and (not before or before.parent ~= row.parent) then
    local within = index.within[row.parent] or {}
    index.within[row.parent] = within
    within[#within + 1] = row.id
  end
  index.rows[row.id], index.taken[row.file], index.is_changed = row, row.id, true
end

local function read_index(folder)
  local index = { path = folder .. "/" .. INDEX, rows = {}, taken = {}, within = {}, kept_at = sys.monotonic() }
  if not sys.stat(index.path) then
    return index
  end
  local number = 0
  for line in io.lines(index.path) do
    number = number + 1
    local cells = {}
    for value in (line .. "\t"):gmatch("(.-)\t") do
      cells[#cells + 1] = value
    end
    local row = {}
    for i, name in ipairs(COLUMNS) do
      row[name] = cells[i]
    end
    if #cells ~= #COLUMNS or number == 1 and line ~= table.concat(COLUMNS, "\t") then
      errors.raise { kind = "input", code = "index", file = index.path, line = number,
        message = "the index of the export is not as ligase wrote it",
        hint = "Choose another folder, or remove the index: everything is then fetched anew" }
    elseif number > 1 then
      set_row(index, row)
    end
  end
  index.is_changed = false
  return index
end

--- Writes the index, now or when some seconds have passed since the last time.
local function keep_index(index, is_due)
  local now = sys.monotonic()
  if not index.is_changed or not is_due and now - index.kept_at < KEEP_EVERY_S then
    return
  end
  local rows = {}
  for _, row in pairs(index.rows) do
    rows[#rows + 1] = row
  end
  table.sort(rows, function(a, b)
    return a.database == b.database and a.file < b.file or a.database < b.database
  end)
  local lines = { table.concat(COLUMNS, "\t") }
  for i, row in ipairs(rows) do
    local cells = {}
    for j, name in ipairs(COLUMNS) do
      cells[j] = cell(row[name])
    end
    lines[i + 1] = table.concat(cells, "\t")
  end
  sys.write_file(index.path, table.concat(lines, "\n") .. "\n")
  index.is_changed, index.kept_at = false, now
end

-- ---- one page --------------------------------------------------------------

local function seconds_of(timestamp)
  return instants.seconds(timestamp) or 0
end

--- Whether the copy is that of the page as it is. Notion's times are whole minutes: what was
--- fetched right after an edit may lack the next one.
local function is_current(row, page, folder)
  return row ~= nil and row.state == "live" and row.last_edited_time == page.last_edited_time
    and seconds_of(row.fetched_at) - seconds_of(row.last_edited_time) > notion.SETTLED_AFTER_S
    and sys.stat(("%s/%s.json"):format(folder, row.file)) ~= nil
end

local function flat(tree)
  local list = json.array()
  for block in blocks.walk(tree) do
    local copy = {}
    for name, value in pairs(block) do
      copy[name] = name ~= "children" and value or nil
    end
    list[#list + 1] = copy
  end
  return list
end

local function shown(value)
  if value == nil or value == json.null then
    return ""
  elseif type(value) ~= "table" then
    return tostring(value)
  elseif value.url then
    return value.name and ("%s <%s>"):format(value.name, value.url) or value.url
  elseif value.start then
    return value["end"] and ("%s to %s"):format(value.start, value["end"]) or value.start
  elseif value.id then
    return value.name or value.id
  end
  local parts = {}
  for i, item in ipairs(value) do
    parts[i] = shown(item)
  end
  return table.concat(parts, ", ")
end

local function text_blocks(content)
  return { { type = "text", text = { content = content } } }
end

--- The properties as a table for people, before the page's own blocks.
local function page_markdown(page, tree)
  local names = {}
  for name, property in pairs(page.properties) do
    names[#names + 1] = property.type ~= "title" and name or nil
  end
  table.sort(names)
  local rows = { { type = "table_row", table_row = { cells = { text_blocks "property", text_blocks "value" } } } }
  for i, name in ipairs(names) do
    rows[i + 1] = { type = "table_row", table_row = { cells = { text_blocks(name),
      text_blocks(shown(properties.read(page.properties[name]))) } } }
  end
  local head = { { type = "heading_1", heading_1 = { rich_text = text_blocks(properties.title(page)) } },
    { type = "paragraph", paragraph = { rich_text = { { type = "text", text = { content = page.url or page.id,
      link = page.url and { url = page.url } or nil } } } } } }
  if #names > 0 then
    head[3] = { type = "table", table = { table_width = 2, has_column_header = true, children = rows } }
  end
  return markdown.write(table.move(tree, 1, #tree, #head + 1, head))
end

local function remove_files(path)
  sys.remove(path .. ".json")
  sys.remove(path .. ".md")
end

-- ---- all of them -----------------------------------------------------------

---@class ligase.notion.Export
---@field client ligase.notion.Client
---@field folder string
---@field index ligase.notion.ExportIndex
---@field database table the one that is read
---@field counts table of it
---@field seen table<string, boolean> pages of it
---@field failures ligase.notion.Error[]

--- Fetches a page's content and writes its files; then the index knows it.
---@return string[] within ids of the pages within it
local function fetch(export, page, parent)
  local about = ("page '%s' of %s"):format(properties.title(page), export.database.folder)
  local before = export.index.rows[page.id]
  local fetched_at = sys.timestamp(notion.read_s(page))
  page = export.client:complete(page, { about = about })
  local tree = export.client:blocks(page.id, { about = about })
  local file = file_of(export.database, page, export.index.taken)
  local path = ("%s/%s"):format(export.folder, file)
  sys.write_file(path .. ".json", json.encode({ fetched_at = fetched_at, page = page, blocks = flat(tree) },
    { pretty = true }) .. "\n")
  sys.write_file(path .. ".md", page_markdown(page, tree))
  set_row(export.index, { database = export.database.folder, id = page.id, parent = parent, state = "live",
    fetched_at = fetched_at, last_edited_time = page.last_edited_time, file = file, title = properties.title(page) })
  if before and before.file ~= file then
    remove_files(("%s/%s"):format(export.folder, before.file))
  end
  local within = {}
  for block in blocks.walk(tree) do
    within[#within + 1] = block.type == "child_page" and block.id or nil
  end
  return within
end

local PASSED_OVER = { value = true, multiple_data_sources = true }

--- Failures of one page or database, after which the others can still be fetched.
local function is_of_one(failure)
  return errors.is(failure, "notion") and (failure.status == 400 or failure.status == 403 or failure.status == 404
    or PASSED_OVER[failure.code] ~= nil)
end

--- Notes that a page failed. What was fetched of the pages within it stays what it is.
local function note_failure(export, id, failure)
  if not is_of_one(failure) then
    error(failure, 0)
  end
  export.counts.failed = export.counts.failed + 1
  export.failures[#export.failures + 1] = failure
  local function keep(page_id)
    if not export.seen[page_id] then
      export.seen[page_id] = true
      for _, below in ipairs(export.index.within[page_id] or {}) do
        keep(below)
      end
    end
  end
  export.seen[id] = nil
  keep(id)
end

local take_within

--- Brings one page up to date, and the pages within it. Those are asked for one by one: a change
--- in one of them is no change of the page around it.
local function take_page(export, page, parent)
  export.seen[page.id] = true
  local counts = export.counts
  local within = export.index.within[page.id] or {}
  if is_current(export.index.rows[page.id], page, export.folder) then
    counts.unchanged = counts.unchanged + 1
  else
    local done
    done, within = xpcall(fetch, errors.explained, export, page, parent)
    if not done then
      return note_failure(export, page.id, within)
    end
    counts.fetched = counts.fetched + 1
  end
  keep_index(export.index, false)
  export.on_page(counts)
  for _, id in ipairs(within) do
    take_within(export, id, page.id)
  end
end

function take_within(export, id, parent)
  if export.seen[id] then
    return -- a page within itself would have no end
  end
  local about = ("a page within '%s' of %s"):format(export.index.rows[parent].title, export.database.folder)
  local done, page = xpcall(export.client.page, errors.explained, export.client, id, { about = about })
  if not done then
    note_failure(export, id, page)
  elseif not page.in_trash then
    take_page(export, page, parent)
  end
end

--- Pages that were there and are not any more.
local function note_gone(export)
  for id, row in pairs(export.index.rows) do
    if row.database == export.database.folder and row.state == "live" and not export.seen[id] then
      row.state, export.index.is_changed = "gone", true
      export.counts.gone = export.counts.gone + 1
    end
  end
end

local function take_database(export, database)
  export.database, export.seen = database, {}
  export.counts = { database = database.folder, fetched = 0, unchanged = 0, failed = 0, gone = 0 }
  export.done[#export.done + 1] = export.counts
  local found, source = xpcall(export.client.resolve_database, errors.explained, export.client, database.id,
    { about = database.about })
  if not found then
    export.counts.is_unreadable = true
    return note_failure(export, database.id, source)
  end
  local folder = ("%s/%s"):format(export.folder, database.folder)
  sys.mkdir(folder, { parents = true })
  sys.write_file(folder .. "/database.json", json.encode(source, { pretty = true }) .. "\n")
  for page in export.client:query(source.id, { about = database.about }) do
    take_page(export, page, "")
  end
  note_gone(export)
end

--- Brings the copy in a folder up to date. When it ends early, by an error or by Ctrl-C, what
--- was fetched is kept, and the index knows it.
---@param client ligase.notion.Client
---@param folder string made when it is not there
---@param databases {folder: string, id: string, about: string}[] the name of each one's folder, and its id or link
---@param options? {on_page?: fun(counts: table)} called after each page with what was done of its database so far
---@return {database: string, fetched: integer, unchanged: integer, failed: integer, gone: integer,
---  is_unreadable: boolean|nil}[] counts
---@return ligase.notion.Error[] failures of single pages and databases
function M.run(client, folder, databases, options)
  sys.mkdir(folder, { parents = true })
  local lock = sys.lock(folder .. "/.lock")
  local export = { client = client, folder = folder, done = {}, failures = {},
    on_page = options and options.on_page or function() end }
  local done, failure = xpcall(function()
    export.index = read_index(folder)
    for _, database in ipairs(databases) do
      take_database(export, database)
    end
  end, errors.explained)
  if export.index then
    keep_index(export.index, true)
  end
  lock:close()
  if not done then
    failure.counts = export.done
    error(failure, 0)
  end
  return export.done, export.failures
end

return M
