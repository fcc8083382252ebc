--- Signature files that are read line by line: GMT, GMX, rank files, lists of names.
---
--- GMT, GMX and RNK are described by the Broad Institute's "GSEA data formats".
local refuse = require("ligase.omics.signatures.source").refuse
local text = require "ligase.base.text"

local M = {}

local function trimmed(cell)
  return cell:match("^%s*(.-)%s*$")
end

--- The cells between tabs.
---@param line string
---@return string[]
function M.cells(line)
  local cells = {}
  for cell in (line .. "\t"):gmatch("([^\t]*)\t") do
    cells[#cells + 1] = trimmed(cell)
  end
  return cells
end

--- Descriptions that say nothing.
local function description_of(cell)
  return cell ~= "" and cell:lower() ~= "na" and cell or nil
end

local function check_unique(source, sets)
  local first = {}
  for _, set in ipairs(sets) do
    if first[set.name] then
      refuse(source, set.line, ("two sets are called '%s', the first one on line %d"):format(text.shown(set.name, 60),
        first[set.name]), "Give each set a name of its own")
    end
    first[set.name] = set.line
  end
end

--- Members that carry a weight, "TP53,1.0" as Enrichr writes them: all of them do.
local function take_weights(components)
  local weights = {}
  for i, component in ipairs(components) do
    local name, weight = component.raw:match("^(.+),(%d+%.%d+)$")
    if not name then
      return
    end
    weights[i] = { name, tonumber(weight) }
  end
  for i, pair in ipairs(weights) do
    components[i].raw, components[i].weight = trimmed(pair[1]), pair[2]
  end
end

--- One set on each line: its name, a description, its members.
---@param source ligase.signature_source
---@return table[] sets {name, description, line, components}
function M.gmt(source)
  local sets = {}
  for i, line in ipairs(source.lines) do
    local cells = M.cells(line.text)
    local components = {}
    for j = 3, #cells do
      if cells[j] ~= "" then
        components[#components + 1] = { raw = cells[j], line = line.number }
      end
    end
    if #cells < 2 or cells[1] == "" then
      refuse(source, line.number, #cells < 2 and "a line of GMT has a name, a description and members, with tabs "
        .. "between; this one has no tab" or "the set has no name", "Is it a list? Say --format list")
    elseif #components == 0 then
      refuse(source, line.number, ("the set '%s' has no members"):format(text.shown(cells[1], 60)), "Take the line out",
        "empty")
    end
    take_weights(components)
    sets[i] = { name = cells[1], description = description_of(cells[2]), line = line.number, components = components }
  end
  check_unique(source, sets)
  return sets
end

--- One set in each column: its name, a description, its members.
---@param source ligase.signature_source
---@return table[] sets
function M.gmx(source)
  if #source.lines < 3 then
    refuse(source, nil, "a GMX file has a line of names, one of descriptions, and lines of members",
      "Is it a list? Say --format list", "empty")
  end
  local names, descriptions = M.cells(source.lines[1].text), M.cells(source.lines[2].text)
  local sets = {}
  for column, name in ipairs(names) do
    if name == "" then
      refuse(source, source.lines[1].number, ("column %d has no name"):format(column), "Give each column a name")
    end
    sets[column] = { name = name, description = description_of(descriptions[column] or ""),
      line = source.lines[1].number, components = {} }
  end
  for i = 3, #source.lines do
    local line = source.lines[i]
    for column, cell in ipairs(M.cells(line.text)) do
      if cell ~= "" and not sets[column] then
        refuse(source, line.number, ("there is a member in column %d, and only %d columns have a name"):format(column,
          #names), "Give each column a name")
      elseif cell ~= "" then
        table.insert(sets[column].components, { raw = cell, line = line.number })
      end
    end
  end
  for _, set in ipairs(sets) do
    if #set.components == 0 then
      refuse(source, set.line, ("the set '%s' has no members"):format(text.shown(set.name, 60)),
        "Take the column out", "empty")
    end
  end
  check_unique(source, sets)
  return sets
end

--- A feature and a number on each line: the number's sign is the direction, its size the
--- weight. Features with 0 go neither way and are left out, which is said.
---@param source ligase.signature_source
---@param doubts string[] what is to be said of it
---@return table[] sets one
function M.rnk(source, doubts)
  local components, zeros = {}, 0
  for i, line in ipairs(source.lines) do
    local cells = M.cells(line.text)
    local value = #cells == 2 and tonumber(cells[2])
    if not value and i == 1 and #cells == 2 then
      doubts[#doubts + 1] = ("line %d was taken for the header"):format(line.number)
    elseif not value or value ~= value or value == math.huge or value == -math.huge then
      refuse(source, line.number, #cells == 2 and ("'%s' is no rank"):format(text.shown(cells[2], 60))
        or ("a line of a rank file has two cells, this one %d"):format(#cells),
        "Give a feature and a number on each line, with a tab between")
    elseif cells[1] == "" then
      refuse(source, line.number, "the rank belongs to no feature", "Give a feature and a number on each line")
    elseif value == 0 then
      zeros = zeros + 1
    else
      components[#components + 1] = { raw = cells[1], line = line.number, direction = value > 0 and 1 or -1,
        weight = math.abs(value) }
    end
  end
  if zeros > 0 then
    doubts[#doubts + 1] = ("%s with the rank 0 go neither up nor down and were left out"):format(
      text.count(zeros, "feature"))
  end
  return { { components = components } }
end

--- One feature on each line.
---@param source ligase.signature_source
---@param doubts string[]
---@param is_header fun(word: string): boolean whether a first line stands over names
---@return table[] sets one
function M.list(source, doubts, is_header)
  local components = {}
  for i, line in ipairs(source.lines) do
    local raw = trimmed(line.text)
    if i == 1 and #source.lines > 1 and is_header(raw) then
      doubts[#doubts + 1] = ("line %d, '%s', was taken for the header"):format(line.number, text.shown(raw, 40))
    else
      components[#components + 1] = { raw = raw:match('^"(.*)"$') or raw, line = line.number }
    end
  end
  return { { components = components } }
end

return M
