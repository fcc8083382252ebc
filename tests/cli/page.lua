--- Walks a page of docs/ as its reader would: saves the files that it shows, makes the edits,
--- types the commands, and compares what is printed with what the page says.
---
--- A fenced block of the page is one of these:
---   a file     the line above begins with "Save" and holds its path in backquotes
---   an edit    ```diff, the line above begins with "Open" and holds the path; lines with - become
---              those with +, and what is there must be there once
---   a dialogue its first line begins with "$ ": commands, each followed by what it prints.
---              After "$ ligase repl" come lines with "ligase> "
--- In what is printed a line "..." stands for any lines.
local host = require "host"
local sys = require "sys"

local M = {}

--- Where the page's reader works, and where ligase is installed there.
local READER, INSTALLED = "/home/ann/acqua", "/usr/local/share/ligase"

--- What differs from run to run, and what stands for it in a comparison. Ids of runs and datasets
--- are not among them: they are paired, see M.walk.
M.MASKS = {
  { "%d%d%d%d%-%d%d%-%d%d %d%d:%d%d:%d%d", "<time>" },
  { "%f[%d][%d.]+ m?s%f[%W]", "<seconds>" },
  { "%f[%w_][%w_.-]+@[%w_.-]+ *", "<who> " },
  { "^(when +)who +", "%1<who> " }, -- the column is as wide as who that is
  { "^(%-+  )%-+( +%-+  .*)$", "%1<who>%2" },
  { " +$", "" },
}

-- ---- reading the page ------------------------------------------------------

--- The commands of a dialogue, each with its line and what it prints.
local function dialogue(lines, first)
  local commands = {}
  for i, text in ipairs(lines) do
    local command = text:match "^%$ (.+)$"
    local last = commands[#commands]
    local typed = last and last.typed and text:match "^ligase> ?(.*)$"
    if command then
      commands[#commands + 1] = { line = first + i - 1, command = command, output = {},
        typed = command:find "^ligase repl" and {} or nil }
    elseif typed then
      table.insert(last.typed, typed)
    elseif last then
      table.insert(last.output, { line = first + i - 1, text = text })
    end
  end
  return commands
end

local function block_of(kind, above, lines, first)
  local path = above:match "`([^`]+)`"
  if above:find "^Save" and path then
    return { what = "file", path = path, lines = lines, line = first }
  elseif kind == "diff" and above:find "^Open" and path then
    return { what = "edit", path = path, lines = lines, line = first }
  elseif (lines[1] or ""):find "^%$ " then
    return { what = "dialogue", commands = dialogue(lines, first), line = first }
  end
  return { what = "unknown", line = first }
end

--- The fenced blocks of a page, in order.
---@param page string its text
---@return table[]
function M.blocks(page)
  local blocks, above, open, number = {}, "", nil, 0
  for text in (page .. "\n"):gmatch "([^\n]*)\n" do
    number = number + 1
    local kind = text:match "^```(%w*)$"
    if kind and open then
      blocks[#blocks + 1] = block_of(open.kind, above, open.lines, open.first)
      open = nil
    elseif kind then
      open = { kind = kind, lines = {}, first = number + 1 }
    elseif open then
      table.insert(open.lines, text)
    elseif text:find "%S" then
      above = text
    end
  end
  return blocks
end

-- ---- comparing -------------------------------------------------------------

local function masked(text)
  for _, mask in ipairs(M.MASKS) do
    text = text:gsub(mask[1], mask[2])
  end
  return text
end

--- Ids of the moment: UUIDs of version 7, and their starts.
local IDS = { "%f[%x]%x%x%x%x%x%x%x%x%-%x%x%x%x%-7%x%x%x%-%x%x%x%x%-%x%x%x%x%x%x%x%x%x%x%x%x%f[%X]",
  "%f[%x]01%x%x%x%x%x%x%-%x%x%x%x%f[^%x-]" }

--- Notes that an id of the page is this one of ours; false when either has another partner.
local function pair(ids, shown, ours)
  if (ids.ours[shown] or ours) ~= ours or (ids.shown[ours] or shown) ~= shown then
    return false
  end
  ids.ours[shown], ids.shown[ours] = ours, shown
  return #shown == 13 or pair(ids, shown:sub(1, 13), ours:sub(1, 13))
end

--- Pairs the ids of a line of the page with those of a printed one.
local function pair_ids(ids, shown, printed)
  for _, pattern in ipairs(IDS) do
    local next_printed = printed:gmatch(pattern)
    for id in shown:gmatch(pattern) do
      local ours = next_printed()
      if not ours or not pair(ids, id, ours) then
        return false
      end
    end
  end
  return true
end

local function without_ids(text)
  for _, pattern in ipairs(IDS) do
    text = text:gsub(pattern, "<id>")
  end
  return text
end

local function is_same(ids, shown, printed)
  return masked(without_ids(shown)) == masked(without_ids(printed)) and pair_ids(ids, shown, printed)
end

--- The first line that differs: its number on the page, what the page shows, what was printed.
local function difference(ids, command, printed)
  local at, skipping = 1, false
  for _, shown in ipairs(command.output) do
    if shown.text == "..." then
      skipping = true
    else
      while skipping and printed[at] and not is_same(ids, shown.text, printed[at]) do
        at = at + 1
      end
      if not printed[at] or not is_same(ids, shown.text, printed[at]) then
        return shown.line, shown.text, printed[at] or "(nothing more)"
      end
      at, skipping = at + 1, false
    end
  end
  if printed[at] and not skipping then
    return command.line, "(nothing more)", printed[at]
  end
end

-- ---- doing what it says ----------------------------------------------------

local function plain_gsub(text, from, to)
  return (text:gsub(from:gsub("%p", "%%%0"), (to:gsub("%%", "%%%%"))))
end

--- A path of this machine as the page has it, and the other way round.
local function as_reader_sees(walk, text)
  return plain_gsub(plain_gsub(text, walk.folder, READER), host.home, INSTALLED)
end

--- The words of a command, with our ids instead of the page's.
local function with_our_ids(walk, text)
  for _, pattern in ipairs(IDS) do
    text = text:gsub(pattern, walk.ids.ours)
  end
  return text
end

local function complain(walk, line, format, ...)
  table.insert(walk.complaints, ("%s:%d: %s"):format(walk.name, line, format:format(...)))
end

local function save(walk, block)
  local folder = block.path:match "^(.*)/"
  if folder and not sys.stat(walk.folder .. "/" .. folder) then
    complain(walk, block.line, "the page has no folder %s yet", folder)
    return
  end
  sys.write_file(walk.folder .. "/" .. block.path, table.concat(block.lines, "\n") .. "\n")
end

local function edit(walk, block)
  local path, before, after = walk.folder .. "/" .. block.path, {}, {}
  for _, text in ipairs(block.lines) do
    local mark, rest = text:match "^([-+ ]?)(.*)$"
    if mark ~= "+" then
      before[#before + 1] = rest
    end
    if mark ~= "-" then
      after[#after + 1] = rest
    end
  end
  local old = "\n" .. table.concat(before, "\n") .. "\n"
  local content = sys.stat(path) and "\n" .. sys.read_file(path) or ""
  local from, to = content:find(old, 1, true)
  if not from or content:find(old, from + 1, true) then
    complain(walk, block.line, "these lines are not in %s, or twice", block.path)
    return
  end
  sys.write_file(path, (content:sub(1, from) .. table.concat(after, "\n") .. content:sub(to)):sub(2))
end

local function type_command(walk, command)
  local result = sys.run({ "sh", "-c", with_our_ids(walk, command.command) .. " 2>&1" }, {
    cwd = walk.folder, timeout_s = 120, env = walk.env,
    stdin = command.typed and table.concat(command.typed, "\n") .. "\n" or nil })
  local printed = {}
  for text in as_reader_sees(walk, result.stdout):gmatch "([^\n]*)\n?" do
    printed[#printed + 1] = text
  end
  while printed[#printed] == "" do
    printed[#printed] = nil
  end
  command.printed = printed
  local line, shown, ours = difference(walk.ids, command, printed)
  if line then
    complain(walk, line, "after '%s' the page shows\n  %s\nand this is printed\n  %s", command.command, shown, ours)
  end
end

local STEPS = { file = save, edit = edit }

function STEPS.dialogue(walk, block)
  for _, command in ipairs(block.commands) do
    type_command(walk, command)
  end
end

function STEPS.unknown(walk, block)
  complain(walk, block.line, "this block is no file to save, no edit and no dialogue")
end

--- Does all that a page says, in an empty folder.
---@param name string the page, for complaints
---@param page string its text
---@param folder string
---@param env table the environment of its commands
---@return string[] complaints each with the line of the page; none when page and tool agree
---@return table[] blocks as M.blocks, commands with what they printed
function M.walk(name, page, folder, env)
  local walk = { name = name, folder = folder, env = env, ids = { ours = {}, shown = {} }, complaints = {} }
  local blocks = M.blocks(page)
  for _, block in ipairs(blocks) do
    STEPS[block.what](walk, block)
  end
  return walk.complaints, blocks
end

return M
