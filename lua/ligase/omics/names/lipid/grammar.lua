--- The grammar of one chain: "18:1(9Z)", "O-16:0", "d18:1(4E)", "20:2(5Z,13E);[8-12cy5:0;11OH];15OH",
--- and the same in the dialects of LIPID MAPS, SwissLipids, Goslin, LPPtiger and LipidLynxX.
---
--- It gives a description as written; ligase.omics.names.lipid.chain makes a chain of it.
local groups = require "ligase.omics.names.lipid.groups"
local lpeg = require "lpeg"

local P, R, S, V = lpeg.P, lpeg.R, lpeg.S, lpeg.V
local C, Cc, Cg, Ct = lpeg.C, lpeg.Cc, lpeg.Cg, lpeg.Ct

local M = {}

local digits = R "09" ^ 1
local number = digits / function(text)
  return #text < 4 and math.tointeger(tonumber(text)) or 9999
end
local size = ("0" * -R "09" + R "19" * R "09" ^ 0) / function(text) -- no leading zeros: "16:00" is a time of day
  return #text < 4 and math.tointeger(tonumber(text)) or 9999
end
local comma = P " " ^ -1 * "," * P " " ^ -1

local spelling = P(false)
for _, name in ipairs(groups.spellings()) do
  spelling = spelling + P(name)
end

--- One entry of a list of what a chain carries, as {kind, ...fields}.
local function entry(kind, pattern)
  return Ct(Cg(Cc(kind), "kind") * pattern)
end

local position = Ct(Cg(number, "at") * P "'" ^ -1 * Cg(C(S "EZ"), "geometry") ^ -1)
local positions = "(" * Ct(position * (comma * position) ^ 0) * ")"
local stereo = ("[" * Cg(C(S "RS"), "stereo") * "]") ^ -1
local name = C(spelling)
local at = Cg(number, "at") ^ -1
local count = Cg(number, "count") ^ -1

local balanced = P { "(" * ((1 - S "()") + V(1)) ^ 0 * ")" }

--- ";9OH,10OH", ";(OH)2", ";5O(FA 16:0)", ";2(24:0)"
local joint = C(P "O" + P "N" + P "S")
local nested = entry("chain", at * Cg(joint, "joint") * "(" * Cg(P "FA " * Cc(true), "acyl") ^ -1
  * Cg(C((1 - S "()" + balanced) ^ 1), "text") * ")")
  + entry("chain", at * "(" * Cg(C(digits * ":" * (1 - S "()" + balanced) ^ 1), "text") * ")")
local short_group = nested + entry("group", at * Cg(name, "name") * stereo * -R("az", "09"))
  + entry("group", at * "(" * Cg(name, "name") * ")" * count)
local group_list = short_group * ("," * short_group) ^ 0
local element = Cg(C(P "As" + P "Br" + P "Cl" + S "OSNPFI"), "element")
local extra = entry("extra", element * count * -(R "az" + S "("))
  + entry("extra", Cg(number, "count") * P "O" * Cg(Cc "O", "element") * -(R("az", "AZ") + S "("))
  + entry("extra", Cg(number, "count") * Cg(Cc "O", "element") * -(R("az", "AZ") + S "("))
local ring = entry("ring", "[" * (Cg(number, "from") * "-" * Cg(number, "to")) ^ -1
  * Cg(C(S "OSN" ^ 0), "hetero") * "cy" * Cg(number, "size") * ":" * Cg(number, "double_bonds")
  * Cg(positions, "positions") ^ -1 * (";" * Cg(Ct(group_list * (";" * group_list) ^ 0), "inner")) ^ -1 * "]")

--- LIPID MAPS: "(2OH[S],3Me)", "(OH3)", "(9Cp)"; also several after one another; LipidLynxX: ";2(1OH,3OH)".
local long_group = entry("group", at * Cg(name - P "COOH", "name") * count * stereo)
  + entry("cyclopropane", at * "Cp" * stereo) + entry("acid", at * "COOH")
local brackets = "(" * long_group * (comma * long_group) ^ 0 * ")"
local counted = entry("counted", Cg(number, "count") * Cg(Ct(brackets), "inner"))
local shorthand = ";" * (ring + group_list + extra + counted)

--- LPPtiger "[2xOH]", "<CHO@C9>"; LipidLynxX "<{9Z},2OH{8,11}>"; shorthand of 2009 "_OH2"; SwissLipids "-13me".
local tiger = entry("group", "[" * Cg(number, "count") * "x" * Cg(name, "name") * "]")
  + entry("acid", "<COOH@C" * number * ">") + entry("group", "<" * Cg(name, "name") * "@C" * Cg(number, "at") * ">")
local places = "{" * Cg(Ct(number * (comma * number) ^ 0), "places") * "}"
local lynx_item = entry("positions", "{" * Cg(Ct(position * (comma * position) ^ 0), "positions") * "}")
  + entry("acid", "COOH" * P "@" ^ -1 * places ^ -1)
  + entry("group", count * Cg(name, "name") * P "@" ^ -1 * places ^ -1)
  + entry("extra", Cg(number, "count") ^ -1 * Cg(Cc "O", "element") * "O")
local lynx = P "<" * P "+" ^ -1 * lynx_item * (comma * lynx_item) ^ 0 * ">"
local old = entry("group", "_" * Cg(name, "name") * count)
local swiss_methyl = entry("iso", "-" * Cg(number, "at") * "me") + entry("iso", "(" * Cg(number, "at") * "-me)")

local ethers = P "d" * Cc(2) + P "t" * Cc(3) + P "e" * Cc(4)
local bond = Cg(ethers, "ethers") ^ -1 * Cg(C(S "OP"), "bond") * "-" + P "O " * Cg(Cc "O", "bond")
local prefix = bond + Cg(P "iso" * P "-" ^ -1 * Cc(true), "iso") * Cg(C(S "dt"), "hydroxyls") ^ -1
  + Cg(C(S "dtmh"), "hydroxyls") + (P "FA " + P "C")
local suffix = Cg(C(S "apeo"), "suffix") * -R "az"

local chain = Ct(prefix ^ -1 * Cg(size, "carbons") * ":" * Cg(size, "double_bonds") * suffix ^ -1
  * Cg(positions, "positions") ^ -1 * Cg(Ct((brackets + shorthand + tiger + lynx + old + swiss_methyl) ^ 0), "items"))
  * -1

--- What a text of one chain says, as written.
---@param text string
---@return table|nil written carbons, double_bonds, bond, ethers, hydroxyls, suffix, positions, items
function M.chain(text)
  return chain:match(text)
end

-- ---- a whole body of chains -----------------------------------------------------------

--- Where chains may begin, so that a head can be told from them.
local begins = (S "dte" ^ -1 * S "OP" * "-" + P "O " + S "dtmh" + P "iso" * P "-" ^ -1 * S "dt" ^ -1 + P "C") ^ -1
  * digits * ":" * R "09"

local angles = "<" * (1 - S "<>") ^ 0 * ">"
local squares = P { "[" * ((1 - S "[]") + V(1)) ^ 0 * "]" }
local more = balanced + squares + angles + (R("az", "AZ", "09") + S ";,'") ^ 1 + "-" * digits * "me"
  + "_" * spelling * R "09" ^ 0 * #(S "/_\\-" + -1)
local piece = C(begins * more ^ 0)

local function joined(mark)
  local blank = P " " ^ 0
  return Cg(Cc(mark), "separator") * (blank * mark * blank * piece) ^ 1
end

local body = Ct(piece * (joined "/" + joined "_" + joined "-" + joined "\\") ^ -1) * -1

--- Chains one after another, all with the same mark between them.
---@param text string
---@return table|nil pieces texts of the chains; field `separator` when there are several
function M.body(text)
  return body:match(text)
end

local delimiter = P " (" + S " ("
local head = C((1 - delimiter * (begins + "1'-[")) ^ 1) * C(delimiter) * C(P(1) ^ 1)
local tight = C((R "AZ" + R "az") ^ 1) * Cc "" * C(digits * ":" * P(1) ^ 1)

--- Splits a name where its chains begin.
---@param text string
---@return string|nil head, string delimiter " (", "(", " " or "", string rest after the delimiter
function M.split(text)
  local before, mark, rest = head:match(text)
  if not before then
    return tight:match(text)
  end
  return before, mark, rest
end

local bracketed = C((1 - S "()" + balanced) ^ 1) * ")" * C(P(1) ^ 0)

--- "16:0/18:1)(OH)" -> "16:0/18:1", "(OH)"
---@param text string what follows an opening bracket
---@return string|nil inside, string after
function M.inside(text)
  return bracketed:match(text)
end

local is_begin = begins + -P(1)

--- Whether a text begins like a chain.
---@param text string
---@return boolean
function M.begins_chain(text)
  return text ~= "" and is_begin:match(text) ~= nil
end

return M
