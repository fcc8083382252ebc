--- Times as Notion, Postgres and people write them, as seconds since 1970.
---
---   instants.seconds "2026-01-31T10:00:00.000Z"     -- 1769853600
---   instants.seconds "2026-01-31 12:00:00+02"       -- the same
---   instants.seconds "yesterday"                    -- nil
local M = {}

local MONTH_DAYS = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }

local function days_in(year, month)
  local is_leap = year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0)
  return (MONTH_DAYS[month] or 0) + (month == 2 and is_leap and 1 or 0)
end

--- Days from 1970-01-01 to a day of the Gregorian calendar.
---@param year integer
---@param month integer
---@param day integer
---@return integer
function M.days(year, month, day)
  local y = year - (month <= 2 and 1 or 0) -- years that begin in March end with the leap day
  return 365 * y + y // 4 - y // 100 + y // 400 + (153 * ((month + 9) % 12) + 2) // 5 + day - 719469
end

--- Seconds of the day, in UTC, of "T10:00:00.5+02:00"; nil when it is none.
local function seconds_of_day(text)
  local hour, minute, rest = text:match "^[T ](%d%d):(%d%d)(.*)$"
  if not hour then
    return nil
  end
  local second, zone = rest:match "^:(%d%d%.?%d*)(.*)$"
  zone = zone or rest
  local sign, zone_hour, zone_minute = zone:match "^([+-])(%d%d):?(%d*)$"
  hour, minute, second = tonumber(hour), tonumber(minute), tonumber(second or 0)
  if hour > 23 or minute > 59 or second >= 61 or not (sign or zone == "Z" or zone == "") then
    return nil
  end
  local offset = sign and (tonumber(zone_hour) * 60 + (tonumber(zone_minute) or 0)) * (sign == "-" and -60 or 60) or 0
  return hour * 3600 + minute * 60 + second - offset
end

--- Seconds since 1970 of a day ("2026-01-31") or a time ("2026-01-31T10:00:00Z", with any zone;
--- UTC without one).
---@param text any
---@return number|nil seconds nil when it is no time
function M.seconds(text)
  local year, month, day, rest = tostring(text):match "^(%d%d%d%d)-(%d%d)-(%d%d)(.*)$"
  if not year then
    return nil
  end
  year, month, day = math.tointeger(year), math.tointeger(month), math.tointeger(day)
  local of_day = rest == "" and 0 or seconds_of_day(rest)
  if not of_day or day < 1 or day > days_in(year, month) then
    return nil
  end
  return M.days(year, month, day) * 86400 + of_day
end

return M
