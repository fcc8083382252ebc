--- Phases, gates and changes of phase, for people.
local json = require "ligase.base.json"
local output = require "ligase.cli.output"
local phase_flags = require "ligase.sync.phase_flags"
local policy_of = require "ligase.sync.policy"
local text = require "ligase.base.text"

local M = {}

local LINES_MOST = 20

local function say(format, ...)
  output.write(text.printable(string.format(format, ...)) .. "\n")
end

--- The phase in force, and where that is known from.
---@param config ligase.Config
---@param current ligase.lab_phase
function M.tell_current(config, current)
  say("phase  %s", current.phase)
  if current.is_stored then
    say("since  %s", current.since:sub(1, 19))
  else
    local flags = {}
    for i, name in ipairs { "USE_POSTGRES_AS_SOT", "ENABLE_DUAL_WRITE", "ENABLE_NOTION_SYNC" } do
      flags[i] = ("%s=%s (%s)"):format(name, tostring(config:get(name)), config:source(name))
    end
    say("from   the flags, as none is stored yet: %s", table.concat(flags, ", "))
  end
  local begun = current.begun
  if begun and current.is_under_way then
    say("begun  %s to %s at %s, under way in another process", begun.direction, begun.to,
      begun.run.started_at:sub(1, 19))
  elseif begun then
    say("begun  %s to %s at %s, not ended: ligase phase %s --to %s goes on", begun.direction, begun.to,
      begun.run.started_at:sub(1, 19), begun.direction, begun.to)
  end
end

local function shown_value(gate)
  local whole = math.tointeger(gate.value)
  return whole and text.number(whole) or gate.value and ("%.6g"):format(gate.value) or "-"
end

local function gate_lines(gates, overrides)
  local rows = {}
  for i, gate in ipairs(gates) do
    local overridden = not gate.is_green and overrides and overrides[gate.name]
    rows[i] = { "  " .. (gate.is_green and "green" or overridden and "overridden" or "red"), gate.name,
      shown_value(gate), gate.wanted, overridden and ("overridden: %s"):format(overridden) or gate.missing or "" }
  end
  for _, row in ipairs(rows) do
    for i, cell in ipairs(row) do
      row[i] = text.printable(cell)
    end
  end
  output.write(text.table(rows, { align = { "left", "left", "right", "left", "left" }, width = math.huge }))
end

--- The gates in front of a phase.
---@param following string|nil
---@param gates ligase.gate[]|nil nil where there is no database to measure them in
function M.tell_gates(following, gates)
  if not following then
    return say("next   none: it is the last one")
  elseif not gates then
    return say("next   %s: its gates are measured once there is data", following)
  end
  local green = 0
  for _, gate in ipairs(gates) do
    green = green + (gate.is_green and 1 or 0)
  end
  say("next   %s: %d of %d gates green", following, green, #gates)
  gate_lines(gates)
  if green == #gates then
    say("ligase phase advance goes there")
  end
end

--- Gates for programs.
---@param gates ligase.gate[]
---@param format string
function M.print_gates(gates, format)
  local at = 0
  output.print_rows({ { name = "gate", type = "text" }, { name = "value", type = "numeric" },
    { name = "wanted", type = "text" }, { name = "is_green", type = "bool" }, { name = "missing", type = "text" } },
    function()
      at = at + 1
      local gate = gates[at]
      return gate and { gate.name, gate.value and tostring(gate.value) or json.null, gate.wanted,
        gate.is_green and "t" or "f", gate.missing or json.null }
    end, format)
end

-- ---- a change --------------------------------------------------------------

local COUNTED = { { "entities", "entities in Postgres" }, { "pages", "of these with a page" },
  { "untold", "not told to Notion" }, { "waiting", "waiting in the outbox" }, { "dead", "set aside" } }

local function signed(number)
  return (number > 0 and "+" or "") .. text.number(number)
end

local function tell_difference(was, became)
  local rows = {}
  for _, one in ipairs(COUNTED) do
    local before, after = was[one[1]], became[one[1]]
    local is_known = math.type(before) == "integer" and math.type(after) == "integer"
    rows[#rows + 1] = { "  " .. one[2], is_known and text.number(before) or "-", is_known and text.number(after) or "-",
      is_known and signed(after - before) or "-" }
  end
  output.write(text.table(rows, { header = { "  ", "was", "is", "difference" },
    align = { "left", "right", "right", "right" } }))
end

local SAYS = { missing = "missing in Notion", extra = "only in Notion", duplicate = "twice in Notion",
  differing = "differs" }

local function tell_remaining(compared)
  local left, shown, on_their_way = 0, 0, 0
  for _, one in ipairs(compared) do
    on_their_way = on_their_way + one.counts.on_their_way
    for _, finding in ipairs(one.findings) do
      left = left + 1
      if shown < LINES_MOST then
        shown = shown + 1
        say("  remains  %s '%s': %s", one.policy.kind.name,
          text.shown(finding.details.name or finding.page_id or "", 40), SAYS[finding.finding])
      end
    end
  end
  if on_their_way > 0 then
    say("  remains  %s with changes on their way to Notion: ligase outbox", text.count(on_their_way, "entity",
      "entities"))
  elseif left == 0 then
    say("  remains  nothing: both systems say the same")
  end
  if left > shown then
    say("  remains  ... and %s more: ligase reconcile --all", text.number(left - shown))
  end
end

local function tell_flags(config, phase, is_rehearsed)
  if not policy_of.flags_fit(config, phase) then
    say("%s set: %s", is_rehearsed and "Then" or "Now", phase_flags.settings(config, phase))
  end
end

local WORD = { advance = "advanced", back = "went back" }

local function tell_red(report)
  if report.is_unverified then
    gate_lines(report.red)
  end
  for i, gate in ipairs(report.red) do
    report.red[i] = gate.name
  end
  local hint = report.is_unverified and "it has to hold after the change, so nothing was changed"
    or report.direction == "back" and "the phase is what it was, and nothing is lost"
    or "to pass one all the same: --override GATE --reason \"why\""
  say("not %s: %s %s not green; %s", report.direction == "advance" and "advanced" or "gone back",
    text.enumerate(report.red, "and"), #report.red == 1 and "is" or "are", hint)
end

--- Which phases on the way a dry run did not try: what comes after a change depends on what it did.
---@param way string[]
---@param tried integer how many of them were
function M.tell_untried(way, tried)
  if tried < #way then
    say("not tried: %s; what is measured and done there depends on %s being entered first",
      text.enumerate(table.move(way, tried + 1, #way, 1, {}), "and"), way[tried])
  end
end

--- What a change did, or would do.
---@param config ligase.Config
---@param report ligase.phase_report
---@param overrides table<string, string>
---@param is_last boolean no other one follows
function M.tell_change(config, report, overrides, is_last)
  say("%s to %s%s", report.from, report.to, report.is_resumed and " (going on with what was begun)" or "")
  gate_lines(report.gates, overrides)
  if report.outcome == "rehearsed" and #report.red > 0 then
    say("  dry run: nothing was written")
    return tell_red(report)
  elseif report.outcome == "rehearsed" then
    say("  the phase that is stored: %s becomes %s, with its run in the journal (dry run: nothing was written)",
      report.from, report.to)
    return tell_flags(config, report.to, true)
  end
  if report.compared then
    tell_remaining(report.compared)
  end
  if report.became then
    tell_difference(report.was, report.became)
  end
  if report.outcome == "refused" then
    return tell_red(report)
  end
  config.stored_phase = report.to
  say("%s: the phase is %s", WORD[report.direction], report.to)
  if is_last then
    tell_flags(config, report.to)
  end
end

return M
