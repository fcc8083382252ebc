--- The main path: a file comes in, becomes frames, names become features, rows go out.
---
--- A recipe's stages see every frame of a source in turn; the three that every recipe
--- has are here. What is written and how is in ligase.store.ingestion; reading and
--- writing meet in ligase.intake.ingest.
local columns = require "ligase.omics.columns"
local dictionary = require "dictionary"
local errors = require "ligase.base.errors"
local json = require "ligase.base.json"
local names = require "ligase.omics.names"
local opening = require "ligase.omics.opening"
local recipes = require "ligase.omics.recipes"
local samples = require "ligase.omics.samples"
local text = require "ligase.base.text"

local M = {}

--- Defines a recipe; see ligase.omics.recipes for its fields.
M.recipe = recipes.define

--- Counts up whenever the same file would be read differently than before: a file is
--- "unchanged" only if this is unchanged too.
M.READING_VERSION = 4

--- Frames are small, so that Postgres stores one while the next is read, and the first
--- is large, because what the columns mean is decided by it.
local FRAME_BYTES, FIRST_FRAME_BYTES = 256 * 1024, 1024 * 1024

--- Names waiting for their receipts before the stream is paused to write them.
local WAITING_MOST = 25000

--- Distinct features counted here; beyond that Postgres counts them.
local COUNTED_MOST = 200000

---@class ligase.ingest
---@field recipe ligase.recipe
---@field source ligase.source
---@field dialect ligase.dialect
---@field plan ligase.column_plan|nil set by recognise
---@field keys table|nil int8 column of the frame's feature keys, set by link
---@field resolver ligase.resolver
---@field seen table a tally of the feature keys met so far
---@field uncounted boolean|nil there are too many of them to count here
---@field writer table|nil ligase.store.ingestion's writer; nil in a dry run
---@field counts {rows: integer, values: integer}
---@field unread {count: integer, examples: {name: string, reason: string}[]}|nil names that were not understood
---@field looking boolean|nil the first frame is read ahead of its transaction
---@field held table|nil that frame, whose rows wait to be written
---@field misfits integer[] in a dry run: cells by slot that are neither numbers nor missing

-- ---- the three stages ------------------------------------------------------

--- Joins the table of samples that was given; those of a long table stand in its rows.
local function join_samples(ingest, frame)
  if not ingest.samples then
    return
  end
  local named = ingest.plan.sample_name
  samples.join(ingest.plan, ingest.samples, named and frame:text(named.position):distinct() or nil)
end

--- The samples of a long table, in the order of their first rows: plan.sample_names.
local function note_samples(ingest, frame)
  local plan = ingest.plan
  local found = plan.sample_names or {}
  local seen = ingest.seen_samples or {}
  local cells <close> = frame:text(plan.sample_name.position)
  for _, name in ipairs(cells:distinct()) do
    if not seen[name] then
      seen[name] = true
      found[#found + 1] = name
    end
  end
  plan.sample_names, ingest.seen_samples, plan.samples = found, seen, #found
end

--- Stage: on the first frame, decides what the columns mean. Of a long table, every frame's
--- samples are noted.
---@param ingest ligase.ingest
---@param frame table
function M.recognise(ingest, frame)
  if not ingest.plan then
    ingest.plan = columns.understand(frame, {
      name_columns = ingest.recipe.name_columns, set = ingest.set, opened = ingest.opened,
      file = ingest.source.shown, line = ingest.reader:info().header_line,
    })
    join_samples(ingest, frame)
  end
  if ingest.plan.sample_name then
    note_samples(ingest, frame)
  end
end

--- The stages after recognise need what it found.
local function plan_of(ingest, stage)
  if not ingest.plan then
    errors.raise { kind = "usage", code = "recipe", file = ingest.recipe.path,
      message = ("the stage %s comes before pipeline.recognise"):format(stage),
      hint = "Put pipeline.recognise first in the recipe's stages" }
  end
  return ingest.plan
end

--- Names that are shown of those that were not understood.
local UNREAD_SHOWN = 5

local function note_unread(ingest, name)
  local noted = ingest.unread or { count = 0, examples = {} }
  noted.count = noted.count + 1
  if noted.count <= UNREAD_SHOWN then
    noted.examples[noted.count] = { name = text.truncate(name.raw, 80), reason = name.reason }
  end
  ingest.unread = noted
end

--- Stage: turns the frame's names into feature keys.
---@param ingest ligase.ingest
---@param frame table
function M.link(ingest, frame)
  local plan = plan_of(ingest, "link")
  if not ingest.linking then
    return
  end
  local names_read <close> = frame:text(plan.feature.position)
  ingest.keys = ingest.resolver:resolve(names_read)
  local unread = ingest.resolver.unread
  local _, fresh = ingest.seen:add(ingest.keys, next(unread) ~= nil)
  for _, key in ipairs(fresh or {}) do
    if unread[key] then
      note_unread(ingest, unread[key])
    end
  end
  if #ingest.seen > COUNTED_MOST then
    ingest.uncounted = true
    ingest.seen:close()
  end
end

--- A dry run: the rows are only counted.
local function count_cells(ingest, frame)
  local counts, profile = ingest.counts, frame:profile()
  for slot, position in ipairs(ingest.plan.number_positions) do
    local seen = profile[position]
    counts.values = counts.values + seen.number + seen.rounded + (seen.code or 0)
    ingest.misfits[slot] = (ingest.misfits[slot] or 0) + seen.misfit
  end
end

--- The columns of measurements that a frame's rows are written from.
local function row_columns(ingest, frame)
  local plan = ingest.plan
  return {
    ordinal = frame:ordinals(),
    feature_key = ingest.keys,
    source_name = frame:text(plan.feature.position),
    values = #plan.number_positions > 0 and frame:numbers(plan.number_positions) or nil,
    texts = #plan.text_positions > 0 and frame:texts(plan.text_positions) or nil,
    cells = #plan.number_positions > 0 and frame:misfits(plan.number_positions, plan.number_marks) or nil,
  }
end

local function write_rows(ingest, frame)
  local row_of = row_columns(ingest, frame)
  local made = {}
  for _, column in pairs(row_of) do
    made[#made + 1] = column
  end
  ingest.writer:write(frame, row_of)
  -- An open column keeps its frame's cells alive: the next frame takes their memory.
  for _, column in ipairs(made) do
    column:close()
  end
  ingest.keys = nil
  local resolver = ingest.resolver
  if resolver:waiting_count() > WAITING_MOST then
    ingest.writer:link(resolver, resolver:take())
    resolver:forget_some()
    collectgarbage() -- many short-lived lists were made; the next ones need not come on top
  end
end

--- Stage: sends the frame's rows to Postgres; in a dry run only counts them. The first
--- frame may have been read ahead of its transaction: its rows wait for it.
---@param ingest ligase.ingest
---@param frame table
function M.store(ingest, frame)
  plan_of(ingest, "store")
  ingest.counts.rows = ingest.counts.rows + #frame
  if ingest.looking then
    ingest.held = frame
  elseif ingest.writer then
    write_rows(ingest, frame)
  else
    count_cells(ingest, frame)
  end
end

-- ---- one source ------------------------------------------------------------

--- What the reading depended on beside the recipe and the file; when it changes, the
--- same file makes a new revision.
---@param ingest ligase.ingest
---@return table
function M.given_of(ingest)
  local given = {}
  for key, value in pairs(ingest.given or {}) do
    given[key] = value
  end
  given.set = next(ingest.set) and ingest.set or nil
  given.format, given.samples = ingest.format, ingest.samples and ingest.samples.sha256
  given.reading_version, given.aliases = M.READING_VERSION, ingest.resolver.state
  if not ingest.linking then
    given.linking = false
  end
  return given
end

local function merged(base, over)
  local result = {}
  for key, value in pairs(base or {}) do
    result[key] = value
  end
  for key, value in pairs(over or {}) do
    result[key] = value
  end
  return result
end

--- What was detected, as it is stored with the revision and printed.
local function findings_of(ingest, info)
  local d, plan = ingest.dialect, ingest.plan
  local found = ingest.opened:findings(plan)
  local doubts = table.move(plan.doubts, 1, #plan.doubts, 1, {})
  table.move(d.doubts, 1, #d.doubts, #doubts + 1, doubts)
  return merged(found, {
    shape = plan.shape, encoding = info.encoding, byte_order_mark = info.byte_order_mark, gzip = info.gzip,
    separator = d.separator, quote = d.quote, decimal = d.decimal, skip_lines = d.skip_lines, comment = d.comment,
    missing = d.missing, header_line = info.header_line, header_short = info.header_short,
    names_not_understood = ingest.unread,
    preamble = d.preamble, ragged = d.ragged, sample_table = plan.sample_table, given = M.given_of(ingest),
    doubts = json.array(doubts),
  })
end

local MISFITS_MANY = 0.1 -- of a column's rows

--- The kind of a column is settled by the first frame; when the rest of the file speaks
--- against it, that is a doubt.
---@param ingest ligase.ingest
---@param found table findings
---@param counts integer[] misfits by slot
function M.doubt_misfits(ingest, found, counts)
  local many = {}
  for slot, position in ipairs(ingest.plan.number_positions) do
    local share = (counts[slot] or 0) / ingest.counts.rows
    if share > MISFITS_MANY then
      many[#many + 1] = ('"%s" (%d %%)'):format(ingest.plan.columns[position].name, math.floor(share * 100 + 0.5))
    end
  end
  if #many > 0 then
    local shown = table.concat(many, ", ", 1, math.min(#many, 4)) .. (#many > 4 and ", ..." or "")
    found.doubts[#found.doubts + 1] = ("cells that are no numbers were kept as text in columns of numbers: %s "
      .. "(--decimal, --missing, --set COLUMN=annotation)"):format(shown)
  end
end

--- Finds out what the source is and how it is written, and reads its first frame.
local function open_reader(ingest)
  ingest.opened = ingest.opened or opening.open(ingest.source, ingest.given, ingest.format)
  ingest.dialect = ingest.opened.dialect
  ingest.reader = ingest.opened:reader { frame_bytes = FRAME_BYTES, first_frame_bytes = FIRST_FRAME_BYTES }
end

--- A plain error() or a slip in somebody's stage or read_name is the recipe's failure and
--- this file's: the next file may do.
local function run_stage(stage, ingest, frame)
  local done, failure = xpcall(stage, function(raised)
    if errors.is(raised) then
      return raised
    end
    return errors.new { kind = "input", code = "recipe", file = ingest.source.shown,
      message = ("the recipe %s failed: %s"):format(ingest.recipe.name or "", tostring(raised)),
      traceback = debug.traceback(nil, 2), hint = "Mend the recipe at the line named" }
  end, ingest, frame)
  if not done then
    error(failure, 0)
  end
end

--- The next frame through the recipe's stages; false at the end.
local function run_frame(ingest)
  local frame = ingest.reader()
  if not frame then
    return false
  end
  for _, stage in ipairs(ingest.recipe.stages) do
    run_stage(stage, ingest, frame)
  end
  if frame ~= ingest.held then
    frame:close()
  end
  if ingest.progress then
    ingest.progress(ingest.reader:info().bytes)
  end
  return true
end

--- Opens the source and reads its first frame, whose rows are held.
local function read_first(ingest)
  open_reader(ingest)
  ingest.looking = true
  run_frame(ingest)
  ingest.looking = false
end

--- Reads what is left of the source.
local function read_rest(ingest)
  local held <close> = ingest.held
  if held then
    (ingest.writer and write_rows or count_cells)(ingest, held)
    ingest.held = nil
  end
  while run_frame(ingest) do
  end
  if ingest.counts.rows == 0 and ingest.reader:info().rows > 0 then
    errors.raise { kind = "usage", code = "recipe", file = ingest.source.shown,
      message = ("the recipe %s stored none of the rows"):format(ingest.recipe.name or ""),
      hint = "Name pipeline.store as the last of its stages" }
  elseif ingest.counts.rows == 0 then
    errors.raise { kind = "input", code = "no_rows", file = ingest.source.shown,
      message = "the file has a header and no rows", hint = "Check that the export finished" }
  end
  return ingest.opened:info(ingest.reader:info())
end

--- Calls fn(ingest); errors of reading carry the path that was opened, and people know
--- the one they named.
local function with_shown_path(fn, ingest)
  local done, result = xpcall(fn, errors.explained, ingest)
  if not done then
    if result.file == ingest.source.path or ingest.opened and result.file == ingest.opened.path then
      result.file = ingest.source.shown
    end
    error(result, 0)
  end
  return result
end

local Ingest = {}
Ingest.__index = Ingest

--- Closes the source. Safe to call again.
function Ingest:close()
  if self.held then
    self.held:close()
    self.held = nil
  end
  if self.reader then
    self.reader:close()
  end
  if self.opened then
    self.opened:close()
  end
end

Ingest.__close = Ingest.close

--- Makes the state that one file's stages share.
---@param recipe ligase.recipe
---@param source ligase.source
---@param given {dialect: table|nil, set: table|nil, linking: boolean|nil, resolver: table|nil, progress: function|nil,
--- format: string|nil, samples: ligase.sample_table|nil}
---@param opened ligase.opened|nil the source, opened already with given.dialect and given.format; closed with the
--- ingest, or at once where the recipe has answers of its own
---@return ligase.ingest close it
function M.prepare(recipe, source, given, opened)
  if opened and (recipe.dialect or recipe.format and not given.format) then
    opened:close()
    opened = nil
  end
  return setmetatable({
    recipe = recipe, source = source, given = merged(recipe.dialect, given.dialect),
    set = merged(recipe.set, given.set), linking = given.linking ~= false, progress = given.progress,
    resolver = given.resolver or M.resolver(recipe), counts = { rows = 0, values = 0 }, seen = dictionary.tally(),
    misfits = {}, format = given.format or recipe.format, samples = given.samples,
    opened = opened,
  }, Ingest)
end

--- A resolver for a recipe's names, to be shared by the files of one process.
---@param recipe ligase.recipe
---@return ligase.resolver
function M.resolver(recipe)
  return names.resolver(recipe.feature_type, recipe.read_name, recipe.describe_name)
end

--- Looks at the source: how it is written, and its first frame, up to the rows that are
--- to be written. Touches no database, so that it can be done while Postgres still stores
--- another file.
---@param ingest ligase.ingest
function M.look(ingest)
  with_shown_path(read_first, ingest)
end

--- Reads a source through the stages. With a writer, its rows are written; the caller
--- finishes the writer's transaction. Raises input errors with file, line and reason.
---@param ingest ligase.ingest
---@param writer table|nil
---@return table findings
---@return table info of the reader: bytes, sha256, lines, rows
function M.read(ingest, writer)
  ingest.writer = writer
  if not ingest.reader then
    M.look(ingest)
  end
  local info = with_shown_path(read_rest, ingest)
  return findings_of(ingest, info), info
end

return M
