--- Names of metabolites.
---
--- What is only spelling is brought into one form: case of ordinary words, blanks, Greek
--- letters, dashes. What was measured or weighed in, and is no part of the molecule's name,
--- is set aside: adducts, ion modes, isotope labels, salts of standards, a search engine's
--- remark. Everything else belongs to the name: L- and (R)-, the sign of (+)-catechin, the
--- charge of NAD+, the small c of cAMP. Glutamate and glutamic acid are one molecule in two
--- states, but only alias tables say which names are synonyms.
local adducts = require "ligase.omics.names.adduct"
local cell = require "ligase.omics.names.cell"
local greek = require "ligase.omics.names.greek"
local group = require "ligase.omics.names.group"
local ids = require "ligase.omics.names.metabolite_ids"
local spreadsheet = require "ligase.omics.names.spreadsheet"

local M = {}

local find, gsub, lower, match, sub = string.find, string.gsub, string.lower, string.match, string.sub
local verbatim = cell.verbatim

-- ---- spelling --------------------------------------------------------------

--- Short words that are plain words also when they stand in capitals. Other capitals of
--- up to five letters may be an abbreviation (GABA, NADPH, HETE) and stay.
local PLAIN_WORDS = {}
for word in ([[ACID ALPHA BETA GAMMA DELTA OMEGA CIS TRANS MESO ISO OXO KETO AMINO AMIDE ESTER ETHER ETHYL OXIDE UREA
  DEOXY BIS TRIS MONO DI TRI TETRA PARA META ORTHO ALLO EPI NOR HYDRO DIOL TRIOL SALT FREE BASE AND WITH FROM TYPE
  SUGAR HEME BILE BORON ZINC IRON ALLYL BUTYL ACYL ARYL VINYL PROPYL PHENYL BENZYL INDOLE OXIME THIO AZO
  FURAN PYRAN LIPID STEROL ONE DIONE OIC ENE ENOL URATE NITRO BROMO
  HEXYL OCTYL NONYL DECYL]]):gmatch("%u+") do
  PLAIN_WORDS[word] = true
end

--- One run of letters. Capitalised words and long words in capitals are words that begin
--- a sentence or shout; anything mixed (cAMP, GlcNAc, CoA) is a formula of its own.
local function word_spelled(word)
  local length = #word
  if length >= 4 and find(word, "^%u%l+$") then
    return lower(word)
  elseif length >= 6 and not find(word, "%l") or PLAIN_WORDS[word] then
    return lower(word)
  end
end

local spelled_words, spelled_count = {}, 0

local function spell_word(word)
  local known = spelled_words[word]
  if known == nil then
    if spelled_count == 20000 then
      spelled_words, spelled_count = {}, 0
    end
    known = word_spelled(word) or false
    spelled_words[word], spelled_count = known, spelled_count + 1
  end
  return known
end

local PLACES_SHOUTED = { ["COA"] = "CoA" }

--- Underscores that stand for the commas between places: 11BETA_21-DIHYDROXY, 1_6-.
local function places_joined(text)
  local changed = false
  local result = gsub(text, "(%f[%w]%d+%a*)_()", function(before, at)
    if find(text, "^%d[%w_]*%-[%a(]", at) or find(text, "^%d%-[%a(]", at) then
      changed = true
      return before .. ","
    end
  end)
  return result, changed
end

local GREEK_NAMES = {}
for name in ("alpha beta gamma delta epsilon zeta omega psi"):gmatch("%a+") do
  GREEK_NAMES[name] = name
end

--- The canonical spelling of a name.
---@param text string trimmed
---@return string
---@return boolean assumed whether underscores between places were taken for commas
local function spell(text)
  local assumed = false
  if find(text, "[\x80-\xFF]") then
    text = greek.spelled(text)
  end
  if find(text, ".", 1, true) then -- NIST writes .alpha.
    text = gsub(text, "%.(%l+)%.", GREEK_NAMES)
  end
  if find(text, "[_`]") then
    text = gsub(text, "`", "'")
    text, assumed = places_joined(text)
  end
  if find(text, "%s%s") or find(text, "[\t\n]") then
    text = gsub(text, "%s+", " ")
  end
  if find(text, "%u") then
    if not find(text, "%l") then
      text = gsub(text, "%f[%a]COA%f[%A]", PLACES_SHOUTED.COA)
    end
    text = gsub(text, "%a+", spell_word)
    if find(text, "D,L-", 1, true) then
      text = gsub(text, "%f[%a]D,L%-", "DL-")
    end
  end
  return text, assumed
end

-- ---- what is set aside -----------------------------------------------------

local MODES = { pos = "positive", neg = "negative", positive = "positive", negative = "negative", ["esi+"] = "positive",
  ["esi-"] = "negative", ["+esi"] = "positive", ["-esi"] = "negative" }

--- "x (pos)", "x [neg]", "x_pos", "x ESI+".
local function take_mode(text, aside)
  if not find(text, "[PpNnEe][OoEeSs][SsGgIi]") then
    return text
  end
  local before, word = match(text, "^(.+)%s*[%(%[]([%a+-]+)[%)%]]$")
  if not (word and MODES[lower(word)]) then
    before, word = match(text, "^(.+)[_ ]([%a+-]+)$")
  end
  local mode = word and MODES[lower(word)]
  if mode then
    aside.mode = mode
    return match(before, "^(.-)[%s_]*$")
  end
  return text
end

--- "x [M+H]+", "x_[M-H]-", "x (M+Na)", "x M+H".
---@return string text
---@return string|nil reason why an adduct stands there that is not understood
local function take_adduct(text, aside)
  if not find(text, "M", 1, true) then
    return text
  end
  local before, adduct, reason = adducts.take(text)
  if reason then
    return text, reason
  elseif not before then
    before, adduct = match(text, "^(.+)%((%d*M[+-][%w+-]+)%)$")
    if not before then
      before, adduct = match(text, "^(.+)[ _](%d?M[+-][%w+-]+)$")
    end
    if not before or not adducts.check(adduct, true) then
      return text
    end
  end
  before = match(before, "^(.-)[%s_-]*$")
  if before ~= "" then
    aside.adduct = adduct
    return before
  end
  return text
end

--- Names of series whose members end in a small d and a number without being labelled.
local D_SERIES = { "vitamin", "prostaglandin", "resolvin", "protectin", "isoprostane", "pg", "thromboxane" }

local function is_series(stem)
  stem = lower(stem)
  for _, name in ipairs(D_SERIES) do
    if sub(stem, -#name) == name then
      return true
    end
  end
  return false
end

--- Isotopes: 13C6, C13, U-13C, d3, 2H4, 15N, 18O, 34S1. Hydrogen and sulfur need their
--- count: 2H-chromene names a place, (34S) a centre.
local function is_label(text)
  text = gsub(lower(text), "^u%-", "")
  text = gsub(gsub(gsub(text, "^[%d',-]+%-(%d+%l)", "%1"), "^[%d',]+%-(d%d)", "%1"), "[%s_-]", "")
  local count = 0
  for piece in text:gmatch("[^,]+") do
    repeat
      local rest = match(piece, "^13c%d*(.*)$") or match(piece, "^15n%d*(.*)$") or match(piece, "^18o%d*(.*)$")
        or match(piece, "^2h%d+(.*)$") or match(piece, "^34s%d+(.*)$") or match(piece, "^c13(.*)$")
        or match(piece, "^n15(.*)$") or match(piece, "^d%d+(.*)$")
      if not rest then
        return false
      end
      piece, count = rest, count + 1
    until piece == ""
  end
  return count > 0
end

local function label_before(text)
  local label, rest = match(text, "^[%[%(]([%w,' -]+)[%]%)][%s-]*(.+)$")
  if not label then
    label, rest = match(text, "^(U%-%d+%u%d*)%-(.+)$")
  end
  if not label then
    label, rest = match(text, "^([%w]+)%-(.+)$")
    label = label and not find(label, "^D") and label or nil
  end
  return label, rest
end

local function label_behind(text)
  local rest, label = match(text, "^(.-)[%s-]*[%[%(]([%w,' -]+)[%]%)]$")
  if not label or not is_label(label) then
    rest, label = match(text, "^(.+)[-_ ]([%d',]+%-[%l%d]%w*)$") -- alanine-2,3,3,3-d4
    if not label or not is_label(label) then
      rest, label = match(text, "^(.+)[-_ ]([%w]+)$")
    end
    local is_part = rest and (find(rest, "[-(]%a+yl$") or find(rest, "%-ring$"))
    if label and find(label, "^D") or is_part or rest and is_series(rest) then
      label = nil -- of "methionine-methyl-d3" it is not said whether the methyl group is its own
    end
  end
  return label, rest
end

local function take_label(text, aside)
  if not find(text, "1[358]") and not find(text, "[dD]%d") and not find(text, "2[hH]%d")
    and not find(text, "34[sS]") then
    return text
  end
  local label, rest = label_before(text)
  if not (label and is_label(label)) then
    label, rest = label_behind(text)
  end
  if label and rest ~= "" and is_label(label) then
    aside.label = label
    return rest
  end
  return text
end

local METALS = { sodium = true, potassium = true, lithium = true, ammonium = true, calcium = true, magnesium = true,
  barium = true, zinc = true }
local COUNTS = { "mono", "di", "tri", "tetra", "hemi", "sesqui", "penta", "hexa", "hepta" }

local FORMS = { hydrochloride = true, monohydrochloride = true, dihydrochloride = true, trihydrochloride = true,
  hcl = true, ["2hcl"] = true, anhydrous = true, ["free acid"] = true, ["free base"] = true }

local function without_count(word)
  for _, count in ipairs(COUNTS) do
    if sub(word, 1, #count) == count and #word > #count then
      return sub(word, #count + 1), true
    end
  end
  return word, false
end

--- Whether words at a name's end say in which form the substance was weighed in. Only
--- what cannot be part of the molecule: "hydrate" alone may be (chloral hydrate), and
--- "chloride" or "sulfate" are no salt of cholesterol.
local function is_salt(words)
  words = lower(words)
  if FORMS[words] then
    return true
  end
  local metal = match(words, "^(%l+) salt$")
  if metal then
    return METALS[(without_count(metal))] or false
  end
  local rest, counted = without_count(words)
  return counted and rest == "hydrate"
end

local function take_salt(text, aside)
  if not find(text, "[ (,]") or not find(text, "[Hh][Yy][Dd][Rr]") and not find(text, "[Ss][Aa][Ll][Tt]%)?$")
    and not find(text, "HCl") and not find(text, "[Ff]ree ") then
    return text
  end
  local taken
  for _ = 1, 2 do
    local before, words = match(text, "^(.-)%s*%(([%a%d ]+)%)$")
    if not words or not is_salt(words) then
      before, words = match(text, "^(.-),? (%a+ %a+)$")
    end
    if not words or not is_salt(words) then
      before, words = match(text, "^(.-),? (%w+)$")
    end
    if not words or before == "" or not is_salt(words) then
      break
    end
    taken = taken and words .. ", " .. taken or words
    text = before
  end
  aside.salt = taken
  return text
end

--- Remarks that search engines put around a name.
local function take_remark(text, aside)
  if not find(text, ":", 1, true) and not find(text, "^Spectral") then
    return text
  end
  local name = match(text, "^no MS2: ?(.+)$") or match(text, "^w/o MS2: ?(.+)$") or match(text, "^low score: ?(.+)$")
  if name then
    aside.remark = match(text, "^(.-): ?")
    return name
  end
  local library
  name, library = match(text, "^Spectral Match to (.+) from (%S+)$")
  if name then
    aside.remark = "spectral match, " .. library
    return name
  end
  name, library = match(text, "^(.+) (CollisionEnergy:%d+)$")
  if name then
    aside.remark = library
    return name
  end
  local prefix
  prefix, name = match(text, "^(Mas[%a]+):%S+ (.+)$")
  if prefix then
    aside.remark = match(text, "^(%S+)")
    return (gsub(name, "|.*$", ""))
  end
  return text
end

-- ---- one name --------------------------------------------------------------

--- Signals without a name: masses, retention times, numbers of unknowns.
local UNNAMED = { "^[Uu]nknown[ _#-]*%d*$", "^[Uu]nknown[ _]", "^no MS2: Unknown ",
  "^low score: Unknown ", "^M%d+%.?%d*T%d+%.?%d*", "^FT%d+$", "^X ?%- ?%d+$",
  "^%d+%.%d+[_@/ ]%d+%.?%d*[%a/]*$", "^mz[_ ]?%d+%.?%d*", "^m/z", "^[Ff]eature[ _]?%d+$", "^[Pp]eak[ _]?%d+$",
  "^[Cc]luster[ _]?%d+$", "^%d+%.%d+_?[mn][/]?[z]",
  "^%[%d*M[%w+-]*%]%d*[+-]*$" }

local function unnamed(text)
  if not find(text, "^[UuMFfXmPpCcnl%d%[]") then
    return nil
  end
  for i = 1, #UNNAMED do
    if find(text, UNNAMED[i]) then
      return "a signal without a substance's name"
    end
  end
end

local STEREO = { "%f[%w]D%-", "%f[%w]L%-", "%f[%w]DL%-", "^%(%+%)", "^%(%-%)", "%(%+/%-%)",
  "%(%d*%l?'*[RSEZ][,%dRSEZ'ab]*%)", "%f[%a]cis%-", "%f[%a]trans%-", "%f[%a]meso%-", "%d%l*alpha", "%d%l*beta" }

local function level_of(name)
  if not find(name, "[-(]") then
    return "name"
  end
  for i = 1, #STEREO do
    if find(name, STEREO[i]) then
      return "stereoisomer"
    end
  end
  return "name"
end

local function is_broken(text)
  return find(text, "%c") ~= nil or not utf8.len(text)
end

--- Whether a text may be an identifier, told quickly.
local function may_be_id(text)
  return find(text, "%d%d%d") or find(text, "%d%d%-%d$") or #text == 27 or find(text, "^[Ii]n[Cc]h[Ii]")
    or find(text, "^[CcPp]") and find(text, "[:_ ]%d+$")
end

--- Bytes that the name of one substance has at most; what is set aside is looked for up to there.
local LONGEST = 1000

local function read_one(text)
  local id, system
  if may_be_id(text) then
    id, system = ids.read(text)
  end
  if id then
    return { name = id, rule = "metabolite.id", level = find(system, "^InChI") and "structure" or "identifier" }
  elseif system then
    return verbatim(text, "an HMDB number has 7 digits, or 5 in older files")
  elseif #text > LONGEST then
    return verbatim(text, cell.why_not(text, "it is longer than any substance's name"))
  end
  local reason = cell.absent(text) or find(text, "^%a?%a?%a?%a?%.?[ -]?%d") and spreadsheet.damage(text)
    or unnamed(text)
  if reason then
    return verbatim(text, reason)
  elseif not find(text, "[%a\x80-\xFF]") or find(text, "[%c\x80-\xFF]") and is_broken(text) then
    return verbatim(text, cell.why_not(text, "it holds no letter"))
  end
  local aside = {}
  local body = take_remark(text, aside)
  body = greek.spelled(body)
  local why_not
  body, why_not = take_adduct(take_mode(body, aside), aside)
  if why_not then
    return verbatim(text, why_not)
  end
  body = take_salt(take_label(body, aside), aside)
  local name, assumed = spell(body)
  if assumed then
    aside.assumed = "_ between places is a comma"
  end
  return { name = name, rule = "metabolite.name", level = level_of(name), aside = next(aside) and aside or nil }
end

-- ---- several names ---------------------------------------------------------

--- The record titles of spectral libraries: "name; GC-EI-TOF; MS; 2 TMS", "name; [M+H]+ C20".
local function is_record(rest)
  return find(rest, "^[GL]C%-") or find(rest, "^EI[ %-]") or find(rest, "^ESI") or find(rest, "^%[%d*M[%w+-]*%]")
    or find(rest, "^MS%d?; ")
end

--- "A / B", "A; B", "A | B", "Leucine/Isoleucine": which of them is not known.
local function parts_of(text)
  local separator = find(text, " / ", 1, true) and " / " or find(text, "; ", 1, true) and "; "
    or find(text, " | ", 1, true) and " | " or find(text, "^%a%a%a%a[%a-]*/%a%a%a%a[%a-]*$") and "/"
  if not separator then
    return nil
  end
  local parts = group.split((gsub(text, separator, "\n")), "\n")
  for _, part in ipairs(parts) do
    if separator == "; " and not find(part, "%a%a%a%a") then
      return nil -- a formula, a number: no second name
    end
  end
  return parts
end

local function read_parts(text)
  local parts = parts_of(text)
  if not parts or #parts < 2 then
    return read_one(text)
  end
  local reading, member = group.read(parts, read_one, "metabolite.group", { joined_by = " / " })
  return reading or verbatim(text, ("a list with a member that is not understood: %s"):format(member))
end

--- What stands behind a name as a whole: a library's record, a mark such as * or (*).
local function take_behind(text)
  if #text > LONGEST then
    return text
  end
  local name, record = match(text, "^(.-); (.+)$")
  if name and is_record(record) then
    return name, "record", record
  end
  local mark
  name, mark = match(text, "^(.-)%s*(%(?%*+%)?)$")
  return name or text, "mark", mark
end

--- Reads one name.
---@param raw string a cell
---@return ligase.reading|nil reading nil when the cell is blank
function M.read(raw)
  local text = cell.trim(raw)
  if not text then
    return nil
  elseif find(text, "^%l+$") and not cell.absent(text) then
    return { name = text, rule = "metabolite.name", level = "name" }
  elseif group.is_abbreviated(text) then
    return group.abbreviated(text, "metabolite.group")
  elseif not find(text, "[/;|*]") or sub(text, 1, 6) == "InChI=" then
    return read_one(text)
  end
  local name, kind, behind = take_behind(text)
  if not behind or name == "" then
    return read_parts(text)
  end
  local reading = read_parts(name)
  if reading.rule == "verbatim" then
    reading.name = text
  else
    reading.aside = reading.aside or {}
    reading.aside[kind] = behind
  end
  return reading
end

--- The form by which alias tables are searched: the canonical spelling, with blanks and
--- hyphens alike. Nothing is set aside.
---@param name string
---@return string
function M.fold(name)
  local text = cell.trim(name) or ""
  return (gsub(spell(ids.read(text) or text), " ", "-"))
end

--- What follows from a canonical name.
---@param name string
---@param reading ligase.reading|nil how it was read, where that is known already
---@return table|nil attributes {class = the naming system, level =}; nil for what is not understood
function M.describe(name, reading)
  reading = reading or M.read(name)
  if not reading or reading.rule == "verbatim" then
    return nil
  end
  local class = reading.rule == "metabolite.group" and "group" or "name"
  if reading.rule == "metabolite.id" then
    class = select(2, ids.read(name))
  end
  return { class = class, level = reading.level }
end

return M
