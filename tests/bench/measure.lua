--- Taking times and setting them side by side.
local sys = require "sys"

local M = {}

--- The middle one of an odd number of values.
---@param values number[]
---@return number
function M.median(values)
  local sorted = table.move(values, 1, #values, 1, {})
  table.sort(sorted)
  return sorted[(#sorted + 1) // 2]
end

--- Seconds that a function takes.
---@param run function
---@param ... any what the function is given
---@return number seconds
function M.seconds(run, ...)
  local began = sys.monotonic()
  run(...)
  return sys.monotonic() - began
end

--- Runs the contestants in rounds (A B C A B C …), so that what changes on the
--- machine meanwhile touches them all alike. Each is {name=, prepare=, run=};
--- prepare is not timed; a number that run returns counts instead of its seconds.
---@param rounds integer
---@param contestants table[]
---@return table<string, number> medians in seconds, by name
function M.rounds(rounds, contestants)
  local taken = {}
  for round = 1, rounds do
    for _, contestant in ipairs(contestants) do
      local list = taken[contestant.name] or {}
      taken[contestant.name] = list
      if contestant.prepare then
        contestant.prepare(round)
      end
      collectgarbage()
      local began = sys.monotonic()
      local own = contestant.run(round)
      list[round] = type(own) == "number" and own or sys.monotonic() - began
      if contestant.finish then
        contestant.finish(round)
      end
    end
    if sys.is_terminal(2) then
      io.stderr:write(("  round %d of %d\r"):format(round, rounds))
    end
  end
  local medians = {}
  for name, list in pairs(taken) do
    medians[name] = M.median(list)
  end
  return medians
end

--- Prints a title and rows of cells, numbers to the right.
---@param title string
---@param rows string[][] the first one is the head
function M.print_table(title, rows)
  local widths = {}
  for _, row in ipairs(rows) do
    for i, cell in ipairs(row) do
      widths[i] = math.max(widths[i] or 0, utf8.len(cell))
    end
  end
  print("\n" .. title)
  for _, row in ipairs(rows) do
    local cells = {}
    for i, cell in ipairs(row) do
      local fill = (" "):rep(widths[i] - utf8.len(cell))
      cells[i] = i == 1 and cell .. fill or fill .. cell
    end
    print("  " .. (table.concat(cells, "  "):gsub("%s+$", "")))
  end
  io.stdout:flush()
end

--- A ratio as it is read: "1.43x".
---@param a number
---@param b number
---@return string
function M.ratio(a, b)
  return (a / b >= 10 and "%.0fx" or "%.2fx"):format(a / b)
end

return M
