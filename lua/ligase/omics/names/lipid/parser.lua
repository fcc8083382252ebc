--- Reads a lipid's name into a structure: splits it into head and chains, whatever the
--- dialect, and says why where that cannot be done.
local asides = require "ligase.omics.names.lipid.asides"
local classes = require "ligase.omics.names.lipid.classes"
local details = require "ligase.omics.names.lipid.details"
local dialects = require "ligase.omics.names.lipid.dialects"
local grammar = require "ligase.omics.names.lipid.grammar"
local heads = require "ligase.omics.names.lipid.heads"
local sterols = require "ligase.omics.names.lipid.sterols"
local structures = require "ligase.omics.names.lipid.structure"
local trivial = require "ligase.omics.names.lipid.trivial"

local M = {}

local find, match, sub, byte = string.find, string.match, string.sub, string.byte

local LONGEST = 400 -- bytes of a name

---@class ligase.lipid.split
---@field head string
---@field mark string what stands between head and chains
---@field body string the chains
---@field after string what follows the closing bracket
---@field is_spaced boolean more than one blank stands before the chains
---@field head_piece string|nil the chain on the head

--- "CL(1'-[16:0/18:1],3'-[16:0/18:1])" -> "16:0/18:1/16:0/18:1"
local function without_brackets(body)
  local first, second = match(body, "^1'%-%[(.-)%],3'%-%[(.*)%]$")
  return first and first .. "/" .. second or body
end

--- "ACer(FA 16:0)(1) 18:1;O2/16:0": the head carries a chain of its own.
local function head_chain(text)
  local head, piece, rest = match(text, "^([%a-]+)(%b())(.*)$")
  if head and (sub(piece, 1, 4) == "(FA " or piece == "(FA)") then
    return head, piece == "(FA)" and "" or sub(piece, 5, -2), rest
  end
  return nil
end

---@return ligase.lipid.split|nil
local function split(text)
  local head, piece, rest = head_chain(text)
  if head then
    rest = match(rest, "^%([1]%) ?(.*)$") or match(rest, "^ ?(.*)$")
    return { head = head, mark = " ", body = rest, after = "", head_piece = piece }
  end
  local mark
  head, mark, rest = grammar.split(text)
  if not head then
    return nil
  end
  local after, is_spaced = "", false
  if mark == "(" or mark == " (" then
    local inside
    inside, after = grammar.inside(rest)
    if not inside then
      return nil, "a bracket is not closed"
    end
    rest = without_brackets(inside)
  elseif find(rest, "^ ") then
    rest, is_spaced = match(rest, "^ +(.*)$"), true
  end
  local trimmed = match(head, "^(.-) *$")
  return { head = trimmed, mark = mark, body = rest, after = after, is_spaced = is_spaced or trimmed ~= head }
end

--- "(OH,Ke)" after a single chain belongs to it, "+O" and "+2OH" to the lipid as a whole.
local function join_after(body, after)
  if after == "" then
    return body
  elseif match(after, "^%b()$") and not find(body, "[/_\\]") then
    return body .. after
  end
  return nil
end

local function chains_of(found, head)
  local body = join_after(found.body, found.after)
  if not body then
    return nil, ("what follows the chains is not understood: %s"):format(found.after)
  end
  local pieces = grammar.body(body)
  if not pieces then
    return nil, ("the chains are not understood: %s"):format(body)
  end
  if found.is_spaced and pieces.separator == "-" then
    return nil, "more than one blank between class and chains"
  end
  return structures.make(head, pieces, found.head_piece)
end

--- Whether a chain carries anything, placed or not.
local function has_groups(structure)
  for _, chain in ipairs(structure.chains) do
    if #chain.groups > 0 or next(chain.extra) then
      return true
    end
  end
  return false
end

local function from_split(text)
  local found, reason = split(text)
  if not found then
    return nil, reason or "no lipid class followed by chains"
  end
  local head = heads.find(found.head)
  if not head then
    return nil, ("no lipid class is called %s"):format(found.head)
  end
  if found.mark == "" and head.class.name ~= "FA" and found.head ~= head.class.name then
    return nil, "no blank or bracket between class and chains"
  end
  local structure, why = chains_of(found, head)
  if structure and find(found.head, "^Ox%u") and not has_groups(structure) then
    return nil, "it is oxidised, but no oxygen is written"
  elseif not structure then
    return nil, why
  end
  local aside = details.of(structure, found.head)
  if head.aside then
    aside = aside or {}
    for kind, value in pairs(head.aside) do -- shared by all names with this head
      aside[kind] = value
    end
  end
  return structure, nil, aside
end

--- A chain alone is a fatty acid: "20:2(7Z,14Z)".
local function from_chain(text)
  if not grammar.begins_chain(text) then
    return nil
  end
  local body = match(text, "^%((.*)%)$") or text
  local pieces = grammar.body(body)
  if not pieces or #pieces > 1 or find(pieces[1], "^[dtmhOPC]") or find(pieces[1], "^%d+:%d+[peo]") then
    return nil, "a chain without a class"
  elseif tonumber(match(pieces[1], "^%d+")) < 6 and not find(pieces[1], "(", 1, true) then
    return nil, "a chain so short may be a ratio"
  elseif find(pieces[1], "^%d+:%d%d") then
    return nil, "it may be a time of day"
  end
  return structures.make(heads.find "FA", pieces)
end

local function from_name(text)
  local class = classes.get(text)
  if class then
    local head = heads.find(text) or { class = class, full = text, low = text, species = text }
    return structures.bare(head, "class")
  end
  for code, name in pairs(classes.CATEGORIES) do
    if text == name then
      return structures.bare({ class = { name = name, category = code, kind = "none" }, full = name, low = name,
        species = name }, "category")
    end
  end
  local head = heads.find(text)
  if head and not head.chain and text == head.full and #text > 2 then
    return structures.bare(head, "class")
  end
  return nil
end

local function merge(first, second)
  if not first then
    return second
  end
  for kind, value in pairs(second or {}) do
    first[kind] = first[kind] and first[kind] .. "; " .. value or value
  end
  return first
end

local understand

--- "PC(16:0_18:1) + O", "PE(P-16:0/18:1)<OH>": an oxygen of the lipid as a whole, wherever it is; so it can only
--- be read as a sum.
---@return ligase.lipid.structure|nil structure
---@return string|nil body what was written of the chains
local function oxidised(text)
  if not find(text, "[+>]") then
    return nil
  end
  local before, count, more = match(text, "^(.-) *%+ *(%d?)OH?(%d?)$")
  if not before then
    before, count = match(text, "^(.*%))<(%d?)OH?>$")
    more = ""
  end
  local number = count and tonumber(count ~= "" and count or more ~= "" and more or 1)
  local structure = number and number > 0 and understand(before)
  if not structure or not structure.pieces or structure.trivial then
    return nil
  end
  local sum = structures.print(structure, "species")
  if find(sum, ";", 1, true) then
    return nil
  end
  local read = understand(("%s;O%s"):format(sum, number > 1 and math.tointeger(number) or ""))
  return read, table.concat(structure.pieces, structure.pieces.separator) .. sub(text, #before + 1)
end

--- The steps of reading, the most common first; each gives a structure, or nil and perhaps a reason.
function understand(text)
  if sterols.begins(text) then
    local structure, reason = sterols.read(text)
    if structure or reason then
      return structure, reason, "lipid.shorthand", structure and details.of(structure)
    end
  end
  local structure, reason, aside = from_split(text)
  if structure then
    return structure, nil, "lipid.shorthand", aside
  end
  local chain, why = from_chain(text)
  if chain then
    return chain, nil, "lipid.shorthand", details.of(chain)
  end
  structure = from_name(text)
  if structure then
    return structure, nil, "lipid.class"
  end
  local says_less
  structure, says_less = trivial.read(text)
  if structure then
    says_less = says_less or not structure.trivial and details.is_lost(structure)
    return structure, nil, "lipid.trivial", says_less and { detail = text } or nil
  end
  local rewritten, rule, other_aside = dialects.rewrite(text)
  if rewritten and rewritten ~= text then
    local again, second, _, third = understand(rewritten)
    return again, second, rule, merge(other_aside, third)
  end
  local whole, body = oxidised(text)
  if whole then
    return whole, nil, "lipid.plus-oxygen", { detail = body }
  end
  return nil, not rewritten and rule or why or reason or "it is not understood"
end

--- Reads a name.
---@param text string trimmed
---@return ligase.lipid.structure|nil structure
---@return string|nil reason why it was not understood
---@return string|nil rule
---@return table|nil aside
function M.read(text)
  if #text > LONGEST then
    return nil, "it is longer than any lipid's name"
  elseif byte(text) == 0x2D or find(text, "\n", 1, true) then
    return nil, "it is not understood"
  end
  local bare, aside, why_not = asides.take(text)
  if why_not then
    return nil, why_not
  end
  local structure, reason, rule, other = understand(bare)
  if not structure and aside then
    local whole, _, whole_rule, whole_aside = understand(text)
    if whole then
      return whole, nil, whole_rule, whole_aside
    end
  end
  return structure, reason, rule, other and merge(aside, other) or aside
end

trivial.use(function(text)
  return (M.read(text))
end)

return M
