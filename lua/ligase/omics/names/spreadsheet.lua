--- What spreadsheets make of names: dates and numbers.
---
--- Gene symbols such as MARCH1 and SEPT2 become dates when a file passes through a
--- spreadsheet, clone names such as 2310009E13 become numbers (Zeeberg et al. 2004, BMC
--- Bioinformatics 5:80; Ziemann et al. 2016, Genome Biology 17:177). What the cell held
--- before cannot be told with certainty, so damage is recognised and never repaired.
local M = {}

local find, lower, match = string.find, string.lower, string.match

local MONTHS = {}

--- Months as spreadsheets write them, in English, German, French, Spanish, Italian,
--- Dutch and Portuguese.
for number, words in ipairs {
  "jan janv ene gen", "feb febr f\u{E9}vr fev", "mar mrz m\u{E4}r mars mrt", "apr avr abr", "may mai mag mei maj",
  "jun juin giu", "jul juil lug", "aug ago ao\u{FB}t", "sep sept set", "oct okt ott out", "nov",
  "dec dez dic d\u{E9}c",
} do
  for word in words:gmatch("%S+") do
    MONTHS[word] = number
  end
end

--- Families of symbols that turn into dates, by month: stem, greatest number, least number.
--- The symbols are those that were typed; MARCH1 is MARCHF1 by now and SEPT2 SEPTIN2.
local FAMILIES = {
  [3] = { { "MARCH", 11 }, { "MARC", 2 } }, [9] = { { "SEPT", 14 }, { "SEP", 15, 15 } }, [10] = { { "OCT", 11 } },
  [12] = { { "DEC", 2 } },
}

local DATE = "a date, as spreadsheets make them of names such as MARCH1 or SEPT2"
local NUMBER = "a number in powers of ten, as spreadsheets make them of names such as 2310009E13"

local function symbols(month, number)
  local found
  for _, family in ipairs(FAMILIES[month] or {}) do
    if number >= (family[3] or 1) and number <= family[2] then
      found = found or {}
      found[#found + 1] = family[1] .. number
    end
  end
  return found
end

--- "1-Mar", "01-Mar", "1. Mrz", "1-Mar-05".
local function day_first(text)
  local day, word, year = match(text, "^(%d%d?)%.?[ -]([%a\x80-\xFF]+)%.?[ -]?(%d*)$")
  local month = day and MONTHS[lower(word)]
  day = tonumber(day)
  if month and day >= 1 and day <= 31 and (year == "" or #year == 2 or #year == 4) then
    return DATE, year == "" and symbols(month, day) or nil
  end
end

--- "Jun-74", "Sep-02". One digit is a spreadsheet's only after Mar and Sep: Oct-4 is
--- a protein; and words in capitals or small letters are names (C. elegans has jun-1).
local function month_first(text)
  local word, digits = match(text, "^([%a\x80-\xFF]+)%.?[ -](%d+)$")
  local month = word and MONTHS[lower(word)]
  if not month then
    return nil
  end
  local is_capital = find(word, "^%u%l+$") or find(word, "^%u.*[\x80-\xFF]")
  local plausible = #digits == 2 and (is_capital or find(digits, "^0") and find(word, "^%l"))
    or #digits == 4 and is_capital
    or #digits == 1 and (word == "Mar" or word == "Sep")
  if plausible then
    return DATE, symbols(month, tonumber(digits))
  end
end

local NUMERIC_DATES = { "^%d%d%d%d%-%d%d%-%d%d$", "^%d%d%d%d%-%d%d%-%d%d[ T]%d%d:%d%d", "^%d%d?/%d%d?/%d%d$",
  "^%d%d?/%d%d?/%d%d%d%d$", "^%d%d?%.%d%d?%.%d%d%d%d$" }

--- No date or number that a spreadsheet writes is longer.
local LONGEST = 60

--- Why a text looks like a spreadsheet's damage.
---@param text string trimmed
---@return string|nil reason nil when it does not
---@return string[]|nil candidates names that may have stood there
function M.damage(text)
  if #text > LONGEST or not find(text, "%d") then
    return nil
  elseif find(text, "^%d+[.,]?%d*[eE]%+%d+$") or find(text, "^%d+[.,]%d+[eE]%d+$") then
    return NUMBER
  end
  local reason, candidates = day_first(text)
  if not reason then
    reason, candidates = month_first(text)
  end
  if reason then
    return reason, candidates
  end
  for _, pattern in ipairs(NUMERIC_DATES) do
    if find(text, pattern) then
      return DATE
    end
  end
end

return M
