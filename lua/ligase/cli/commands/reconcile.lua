--- `ligase reconcile`: whether Postgres and Notion say the same, and repairs where they do not.
local errors = require "ligase.base.errors"
local json = require "ligase.base.json"
local notion = require "ligase.io.notion"
local opening = require "ligase.sync.opening"
local output = require "ligase.cli.output"
local parsing = require "ligase.cli.parsing"
local policy_of = require "ligase.sync.policy"
local progress = require "ligase.cli.progress"
local reconcile = require "ligase.sync.reconcile"
local reconciliations = require "ligase.store.reconciliations"
local repair = require "ligase.sync.repair"
local runs = require "ligase.store.runs"
local sys = require "sys"
local syncing = require "ligase.cli.syncing"
local text = require "ligase.base.text"
local values = require "ligase.sync.values"

local M = {}

M.description = "Compares Postgres with Notion, entity by entity: pages that are missing, too many, or say something "
  .. "else. --fix repairs one side where the other one is newer; what was changed on the side that is repaired is "
  .. "shown and stays, unless --overwrite is said. What Notion has to be told then goes out with: ligase sync. What "
  .. "lies in the outbox is on its way and no difference. The exit status is 1 when differences are left. The figures "
  .. "are kept."
M.example = [[
  ligase reconcile
  ligase reconcile --entity programs --entity datasets
  ligase reconcile --fix notion
  ligase reconcile --fix postgres --overwrite]]

M.surplus = "reconcile takes only options"

local LINES_MOST = 20

--- Declares the command's words.
---@param parser table argparse's
function M.configure(parser)
  parser:option("--entity", "Only this type (repeatable): programs, experiments, datasets, ..."):target("types")
    :argname("TYPE"):count("*"):convert(parsing.one_of("the type", policy_of.TYPES))
  parser:option("--fix", "The side to repair: notion or postgres."):argname("SIDE")
    :convert(parsing.one_of("--fix", { "notion", "postgres" }))
  parser:flag("--overwrite", "With --fix: also what was changed on that side.")
  parser:flag("--all", "Every difference, and not only the first ones.")
  output.add_format(parser)
end

local function check(arguments)
  if arguments.overwrite and not arguments.fix then
    errors.raise { kind = "usage", code = "usage", message = "--overwrite goes with --fix",
      hint = "Say which side to repair: --fix notion, or --fix postgres" }
  end
end

-- ---- what was found --------------------------------------------------------

local COLUMNS = { { name = "entity" }, { name = "entities", type = "int8" }, { name = "pages", type = "int8" },
  { name = "equal", type = "int8" }, { name = "on their way", type = "int8" }, { name = "missing", type = "int8" },
  { name = "extra", type = "int8" }, { name = "differing", type = "int8" }, { name = "duplicates", type = "int8" },
  { name = "fixed", type = "int8" } }

local function row_of(name, c)
  local row = { name }
  for i, value in ipairs { c.entities, c.pages, c.equal, c.on_their_way, c.missing, c.extra, c.differing, c.duplicates,
    c.fixed } do
    row[i + 1] = tostring(value)
  end
  return row
end

local function print_counts(list, format)
  local at = 0
  output.print_rows(COLUMNS, function()
    at = at + 1
    return list[at] and row_of(list[at].entity_type, list[at].counts)
  end, format)
end

local WHERE = { notion = "changed in Notion", postgres = "changed in Postgres", both = "changed on both sides" }

local function plain(value)
  return value ~= json.null and value or nil
end

local function properties_line(finding)
  local parts, names = {}, {}
  for name in pairs(finding.differences) do
    names[#names + 1] = name
  end
  table.sort(names)
  for i, name in ipairs(names) do
    local difference = finding.differences[name]
    parts[i] = ("%s is %s in Notion and %s in Postgres (%s)"):format(name, values.shown(plain(difference.page)),
      values.shown(plain(difference.wanted)), WHERE[finding.sides[name]])
  end
  if #parts > 0 then
    return table.concat(parts, "; ")
  end
  return finding.why == "waits" and ("it refers to %s, which has no page yet"):format(finding.details.waits_for)
    or "Postgres does not know its page"
end

local WHY = { gone = "its entity was deleted", stranger = "it carries an id that is not this database's",
  notions_own = "it was made in Notion" }

local LINES = {
  missing = function(finding)
    return finding.page_id and ("its page %s is not in the database any more"):format(finding.page_id)
      or "it has no page"
  end,
  extra = function(finding) return ("page %s: %s"):format(finding.page_id, WHY[finding.why]) end,
  duplicate = function(finding) return ("page %s is one more of it"):format(finding.page_id) end,
  differing = properties_line,
}

local function print_findings(list, most)
  local shown, left = 0, 0
  for _, one in ipairs(list) do
    for _, finding in ipairs(one.findings) do
      if shown < most then
        shown = shown + 1
        local note = finding.details.note and "; " .. finding.details.note or ""
        output.write(("%-10s %s '%s': %s%s%s\n"):format(finding.is_fixed and "fixed" or finding.finding,
          one.policy.kind.name, text.shown(finding.details.name or "", 40),
          text.printable(LINES[finding.finding](finding)), finding.is_fixed and ("; was %s"):format(finding.finding)
          or "", text.printable(note)))
      else
        left = left + 1
      end
    end
  end
  if left > 0 then
    output.write(("... and %s more: ligase reconcile --all\n"):format(text.number(left)))
  end
end

-- ---- running ---------------------------------------------------------------

local function compare_all(conn, target, types, arguments)
  local line <close> = progress.line()
  local is_shown, list = sys.is_terminal(1) and sys.is_terminal(2), {}
  for i, entity_type in ipairs(types) do
    list[i] = reconcile.compare(conn, target, entity_type, is_shown and function(so_far)
      line:draw(("%s: %s compared"):format(entity_type, text.count(so_far.counts.pages, "page")))
    end or nil)
    if arguments.fix then
      repair.repair(conn, target, list[i], { side = arguments.fix, overwrite = arguments.overwrite,
        tell = is_shown and function(done, all)
          line:draw(("%s: %d of %d differences looked at"):format(entity_type, done, all))
        end or nil })
    end
  end
  return list
end

--- How many differences are left, and whether some repairs lie in the outbox.
local function outcome(list, fix)
  local left, has_outbox = 0, false
  for _, one in ipairs(list) do
    for _, finding in ipairs(one.findings) do
      left = left + (finding.is_fixed and 0 or 1)
      has_outbox = has_outbox or finding.is_fixed and fix == "notion"
        and (finding.finding == "missing" or finding.finding == "differing")
    end
  end
  return left, has_outbox
end

--- Runs the command.
---@param arguments table as parsed
---@param context ligase.context
---@return integer status 1 when differences are left
function M.run(arguments, context)
  check(arguments)
  notion.token(context.config)
  local is_reading = arguments.fix == nil
  local conn = context:open { when_off = is_reading }
  context:govern(conn, { is_reading = is_reading })
  local target = opening.target(context.config, { conn = context:open { when_off = is_reading } })
  local types = syncing.types(target, arguments.types)
  local run = runs.new("reconcile", nil, { entities = json.array(types), fix = arguments.fix,
    overwrite = arguments.overwrite })
  local list = compare_all(conn, target, types, arguments)
  reconciliations.write(conn, run, { phase = target.phase, fix = arguments.fix }, list)
  print_counts(list, arguments.format)
  local left, has_outbox = outcome(list, arguments.fix)
  if arguments.format == "table" then
    print_findings(list, arguments.all and math.huge or LINES_MOST)
    if has_outbox then
      output.write "Notion is told by: ligase sync\n"
    end
  end
  return left > 0 and 1 or 0
end

return M
